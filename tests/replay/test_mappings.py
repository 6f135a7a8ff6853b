"""Mapping files: what a row becomes, and how a wrong mapping is told before the first row."""

import re
from pathlib import Path

import msgspec
import pytest

from edge.events import PosLine
from edge.replay import mappings, spec
from edge.replay.errors import ReplayError
from tests.replay.rows import InMemory, compiled, plan_of, sent

SALE = """
time = "when"
timezone = "Europe/London"
[[messages]]
format = "native"
type = "pos_line"
topic = "rfid3/{store}/pos_line/till"
[messages.fields]
document = "doc"
line = { line_of = "doc" }
kind = { constant = "sale" }
sku = "sku"
quantity = "n"
price_cents = { column = "price", scale = 100 }
"""
COLUMNS = ("when", "doc", "sku", "n", "price")


def line(
    doc: object, sku: object, n: object = 1, price: object = 1, when: object = "2024-07-01 12:00"
) -> tuple[object, ...]:
    return (when, doc, sku, n, price)


def objects(text: str, *rows: tuple[object, ...]) -> list[dict[str, object]]:
    return [said for _, _, said in sent(plan_of(text, InMemory(COLUMNS, rows)))]


def test_texts_become_the_types_that_the_event_wants() -> None:
    (said,) = objects(SALE, line(536365.0, 71053, "2.5", "3.39"))
    assert said["at"] == 1_719_831_600_000  # noon in London in summer
    del said["at"]
    assert said == {
        "type": "pos_line",
        "document": "536365",
        "line": 1,
        "kind": "sale",
        "sku": "71053",
        "quantity": 2.5,
        "price_cents": 339,
    }
    assert msgspec.convert(said, PosLine).quantity == 2.5


def test_lines_are_numbered_within_their_document_even_where_rows_are_equal_or_interrupted() -> (
    None
):
    rows = [line("A", "x"), line("A", "x"), line("B", "x"), line("A", "y")]
    assert [said["line"] for said in objects(SALE, *rows)] == [1, 2, 1, 3]


def test_what_cannot_be_converted_is_sent_as_it_stands() -> None:
    (said,) = objects(SALE, line("A", "x", n="many", price="n/a"))
    assert (said["quantity"], said["price_cents"]) == ("many", "n/a")


def test_empty_cells_leave_their_fields_out() -> None:
    (said,) = objects(SALE, line("A", None, n=float("nan"), price=None))
    assert not {"sku", "quantity", "price_cents"} & set(said)


def test_a_time_that_cannot_be_read_keeps_its_row_in_place_without_a_time() -> None:
    rows = [line("A", "x"), line("B", "x", when="soon"), line("C", "x", when="2024-07-01 12:01")]
    told = sent(plan_of(SALE, InMemory(COLUMNS, rows)))
    assert [said["document"] for _, _, said in told] == ["A", "B", "C"]
    assert "at" not in told[1][2]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (SALE.replace('"sku"', '"skku"'), "no column 'skku'; did you mean sku"),
        (
            SALE.replace("price_cents =", "price_cent ="),
            "no field 'price_cent'; did you mean price_cents",
        ),
        (
            SALE.replace('"pos_line"', '"pos_lines"'),
            "no event type 'pos_lines'; did you mean pos_line",
        ),
        (SALE.replace("Europe/London", "Europe/Londen"), "no timezone"),
        (SALE.replace('{ constant = "sale" }', "{ }"), "exactly one of"),
        (SALE.replace("{ constant", '{ column = "doc", constant'), "exactly one of"),
        (SALE.replace('line = { line_of = "doc" }', 'due = "when"'), "write { time"),
        (SALE.replace("till", "{till}"), "no column 'till'"),
        ('time = "when"', r"no \[\[messages\]\]"),
    ],
)
def test_a_wrong_mapping_is_told_before_the_first_row(text: str, complaint: str) -> None:
    with pytest.raises(ReplayError, match=complaint):
        compiled(text, InMemory(COLUMNS, []))


def test_a_misspelt_mapping_is_guessed_and_a_misspelt_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="did you mean invoices"):
        mappings.load("invoice")
    path = tmp_path / "mine.toml"
    path.write_text(SALE.replace("topic", "topics"))
    with pytest.raises(ReplayError, match="topics"):
        mappings.load(str(path))


INVOICE_COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
)


def shipped(
    name: str, columns: tuple[str, ...], *rows: tuple[object, ...]
) -> list[tuple[int, str, dict[str, object]]]:
    text = mappings.shipped()[name].read_text(encoding="utf-8")
    return sent(plan_of(text, InMemory(columns, rows)))


def test_an_invoice_is_a_sale_and_a_cancelled_one_a_return_of_positive_units() -> None:
    at = "2011-01-10 09:30"
    told = shipped(
        "invoices",
        INVOICE_COLUMNS,
        ("536365", "85123A", "HOLDER", 6, at, 2.55, 17850.0),
        ("C536379", "22553", "PLASTERS", -4, at, 1.65, None),
        ("536370", "POST", "POSTAGE", 3, at, 18.0, 12583.0),
        ("536589", "21777", None, -10, at, 0.0, None),
    )
    lines = [said for _, _, said in told]
    assert [said["kind"] for said in lines] == ["sale", "return", "sale", "sale"]
    assert [said["quantity"] for said in lines] == [6, 4, 3, -10]
    assert [said.get("category") for said in lines] == [None, None, "not a product", None]
    assert lines[0]["customer"] == "17850"
    assert "customer" not in lines[1]
    assert {topic for _, topic, _ in told} == {"rfid3/main/pos_line/till"}


READ_COLUMNS = ("ts", "reader", "antenna", "rssi", "epc")


def test_a_raw_read_is_sent_as_an_r700_would() -> None:
    row = (1_747_681_842_589_930_058, "10.0.0.7:5084", 3, -63, "e28011606000020a6681f23f")
    ((at_ms, topic, said),) = shipped("raw-reads", READ_COLUMNS, row)
    assert (at_ms, topic) == (1_747_681_842_589, "impinj/10.0.0.7:5084")
    assert said == {
        "timestamp": "2025-05-19T19:10:42.589930058Z",
        "eventType": "tagInventory",
        "tagInventoryEvent": {"epc": "4oARYGAAAgpmgfI_", "antennaPort": 3, "peakRssiCdbm": -6300},
    }


def test_a_raw_read_of_no_reader_or_no_tag_is_still_sent() -> None:
    told = shipped(
        "raw-reads", READ_COLUMNS, (1, None, 1, -60, "e2"), (2, "a/b#", 1, "loud", "tag")
    )
    assert [topic for _, topic, _ in told] == ["impinj/unknown", "impinj/a-b-"]
    assert told[1][2]["tagInventoryEvent"] == {"epc": "tag", "antenna": 1, "rssi_dbm": "loud"}


TRIP_COLUMNS = ("starttime", "stoptime", "startstationid", "endstationid", "bikeid", "usertype")


def test_a_rental_goes_out_and_comes_back_as_a_scan_and_as_a_contract_line() -> None:
    told = shipped(
        "rentals",
        TRIP_COLUMNS,
        ("2015-09-21 14:53:16", "2015-09-21 15:53:16", 3185, 3187, 24722, "Subscriber"),
        ("2015-09-21 15:00:00", "2015-09-21 15:01:00", 3185, 3185, 24388, None),
    )
    assert [(at - told[0][0]) // 1000 for at, _, _ in told] == [
        0,
        0,
        404,
        404,
        464,
        464,
        3600,
        3600,
    ]
    scan, opened, *_, back, closed = [said for _, _, said in told]
    assert scan["tag_id"] == opened["epc"] == back["tag_id"] == "425445000000000000006092"
    assert (scan["scan_type"], back["scan_type"]) == ("Rental", "Return")
    assert (opened["kind"], closed["kind"]) == ("rental", "return")
    assert scan["contract_number"] == opened["document"] == closed["document"] == "R1"
    assert (scan["bin_location"], back["bin_location"]) == ("station-3185", "station-3187")
    assert scan["scan_date"] == "2015-09-21T18:53:16.000Z"


def test_a_trip_over_the_hour_that_comes_twice_ends_after_it_began() -> None:
    row = ("2015-11-01 01:56:17", "2015-11-01 01:06:20", 1, 2, 7, "Subscriber")
    told = shipped("rentals", TRIP_COLUMNS, row)
    assert (told[-1][0] - told[0][0]) // 1000 == 603


def test_every_key_of_a_mapping_file_stands_in_the_documentation() -> None:
    told = (Path(__file__).parents[2] / "docs" / "replay.md").read_text(encoding="utf-8")
    for table in (spec.Mapping, spec.MessageSpec, spec.Condition, spec.SkipRule, spec.Expression):
        for field in msgspec.structs.fields(table):
            assert re.search(rf"`{field.name}`", told), f"{table.__name__}.{field.name}"
    for name in mappings.shipped():
        assert f"`{name}`" in told
