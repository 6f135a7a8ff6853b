"""RFID3's rows, with every trap that its real tables hold."""

from typing import Any

import pytest

from edge.events import ItemLink, ItemScan

ROW = {
    "id": 91,
    "contract_number": "L4412",
    "tag_id": "42544500000000000000beef",
    "scan_type": "Return",
    "scan_date": "2026-04-01 08:15:30",
    "client_name": "client-7",
    "common_name": "90 ROUND WHITE",
    "bin_location": "NR5x2",
    "status": "Needs to be Inspected",
    "scan_by": "kim",
    "quality": "b+",
    "rental_class_id": 61885,
    "dirty_or_mud": "True",
    "leaves": "False",
    "wet": 1,
    "oil": None,
    "other": "cat hair",
}


def test_a_row_is_a_scan(one: Any) -> None:
    assert one(ROW, "handheld/kim") == ItemScan(
        epc="42544500000000000000BEEF",
        scan_type="Return",
        at=1_775_049_330_000,
        time_quality="naive_local",
        contract="L4412",
        status="Needs to be Inspected",
        grade="B+",
        defects=["dirty_or_mud", "wet", "other"],
        sku="61885",
        name="90 ROUND WHITE",
        bin="NR5x2",
        by="kim",
        customer="client-7",
        store="main",
        source="handheld/kim",
    )


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("Touch Scan", "Touch Scan"),
        ("touch_scan", "Touch Scan"),
        ("checkout", "Rental"),
        ("Check-Out", "Rental"),
        ("checkin", "Return"),
        ("Deliver", "Delivery"),
        ("DELIVERY", "Delivery"),
        (" Pickup ", "Pickup"),
    ],
)
def test_scan_types_go_by_several_names(one: Any, word: str, ours: str) -> None:
    assert one({**ROW, "scan_type": word}).scan_type == ours


def test_an_unknown_scan_type_is_refused_with_the_known_ones(tell: Any) -> None:
    (reject,) = tell({**ROW, "scan_type": "Teleport"}).rejects
    assert reject.reason == "out_of_range"
    assert "Touch Scan" in reject.detail


@pytest.mark.parametrize("date", ["0000-00-00 00:00:00", ROW["tag_id"], None, "", 5])
def test_a_broken_date_does_not_lose_the_scan(one: Any, date: object, arrival: int) -> None:
    scan = one({**ROW, "scan_date": date})
    assert (scan.at, scan.time_quality) == (arrival, "arrival")


def test_unknown_status_texts_are_kept_and_unknown_grades_are_not(one: Any) -> None:
    scan = one({**ROW, "status": "Out to Customer", "quality": "Z"})
    assert (scan.status, scan.grade) == ("Out to Customer", "")


def test_both_names_of_the_rental_class_count_and_mud_has_two_columns(one: Any) -> None:
    row = {k: v for k, v in ROW.items() if k not in ("rental_class_id", "dirty_or_mud", "other")}
    scan = one({**row, "rental_class_num": "777", "mud": "true", "other": "False"})
    assert (scan.sku, scan.defects) == ("777", ["dirty_or_mud", "wet"])


@pytest.mark.parametrize("tag", ["TENT-7", "QR/88 a", "1234"])
def test_stickers_and_bulk_codes_are_items_too(one: Any, tag: str) -> None:
    assert one({**ROW, "tag_id": tag}).epc == tag


@pytest.mark.parametrize("tag", [None, "", "  ", "a\tb", "x" * 129, ["E2"]])
def test_a_row_without_a_usable_tag_is_refused(refused: Any, tag: object) -> None:
    assert refused({**ROW, "tag_id": tag}) == ["bad_epc"]


def test_a_row_of_the_item_master_binds_the_tag_to_its_class(one: Any) -> None:
    row = {"tag_id": "ab", "rental_class_num": "61885", "common_name": "90 ROUND WHITE"}
    link = one(row)
    assert isinstance(link, ItemLink)
    assert (link.epc, link.action, link.sku) == ("AB", "bind", "61885")
