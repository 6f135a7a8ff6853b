"""Our own events: every type, its limits, and what is filled in."""

from typing import Any

import msgspec
import pytest

from edge.events import BY_KIND, kind_of

LEAST: dict[str, dict[str, Any]] = {
    "tag_read": {"epc": "ab"},
    "item_scan": {"epc": "ab", "scan_type": "Rental"},
    "pos_line": {"document": "R1", "kind": "sale", "sku": "S"},
    "stock_count": {"sku": "S", "quantity": 0},
    "stock_receipt": {"sku": "S", "quantity": 3},
    "reservation": {"document": "V1", "sku": "S"},
    "item_link": {"epc": "ab", "sku": "S"},
    "correction": {"action": "undo_scan", "epc": "ab"},
    "maintenance": {"epc": "ab", "kind": "wash"},
    "price_observed": {"sku": "S", "price_cents": 100},
    "factor": {"factor": "weather", "name": "temperature_c", "value": -3.5},
    "review": {"rating": 4, "sku": "S"},
    "reader_status": {"reader": "door", "status": "online"},
}


def test_there_is_a_least_sample_of_every_type() -> None:
    assert LEAST.keys() == BY_KIND.keys()


@pytest.mark.parametrize("kind", LEAST)
@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
def test_each_type_is_read_on_its_own_topic_and_in_a_mixture(
    one: Any, arrival: int, kind: str, encode: Any
) -> None:
    event = one(encode(LEAST[kind]), f"rfid3/main/{kind}/till-1")
    assert kind_of(event) == kind
    assert (event.at, event.time_quality, event.source) == (arrival, "arrival", "till-1")
    assert one(encode([{"type": kind} | LEAST[kind]]), "rfid3/main/events/till-1") == event
    if hasattr(event, "epc") and "epc" in LEAST[kind]:
        assert event.epc == "AB"


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("tag_read", {"antenna": 256}, "out_of_range"),
        ("tag_read", {"antenna": -1}, "out_of_range"),
        ("tag_read", {"seq": 2**63}, "out_of_range"),
        ("tag_read", {"count": 10**60}, "out_of_range"),
        ("tag_read", {"direction": "up"}, "out_of_range"),
        ("tag_read", {"time_quality": "good"}, "out_of_range"),
        ("item_scan", {"scan_type": "Teleport"}, "out_of_range"),
        ("item_scan", {"epc": ""}, "missing_field"),
        ("pos_line", {"quantity": 0}, "out_of_range"),
        ("pos_line", {"quantity": -2}, "out_of_range"),
        ("pos_line", {"price_cents": 10**12 + 1}, "out_of_range"),
        ("pos_line", {"price_cents": 1.5}, "wrong_type"),
        ("pos_line", {"sku": " "}, "missing_field"),
        ("pos_line", {"document": "x" * 129}, "bad_text"),
        ("pos_line", {"due": "tomorrow"}, "bad_time"),
        ("item_link", {"action": "replace"}, "missing_field"),
        ("item_link", {"sku": "", "name": "Chair"}, "missing_field"),
        ("correction", {"action": "void_line"}, "missing_field"),
        ("review", {"rating": 6}, "out_of_range"),
        ("stock_count", {"quantity": "7"}, "wrong_type"),
    ],
)
def test_what_is_beyond_its_limits_is_refused(
    refused: Any, kind: str, change: dict[str, Any], reason: str
) -> None:
    assert refused(LEAST[kind] | change, f"rfid3/main/{kind}/x") == [reason]


def test_numbers_that_are_not_finite_are_refused(refused: Any) -> None:
    for value in (float("nan"), float("inf")):
        payload = msgspec.msgpack.encode({"sku": "S", "quantity": value})
        assert refused(payload, "rfid3/main/stock_count/x") == ["out_of_range"]


@pytest.mark.parametrize(
    ("at", "ms", "quality"),
    [
        (1_775_049_330_250, 1_775_049_330_250, "reader"),
        (1_775_049_330_250.9, 1_775_049_330_250, "reader"),
        ("1775049330250", 1_775_049_330_250, "reader"),
        ("2026-04-01T08:15:30.25-05:00", 1_775_049_330_250, "reader"),
        ("2026-04-01 08:15:30.25", 1_775_049_330_250, "naive_local"),
    ],
)
def test_times_are_rfc_3339_or_epoch_milliseconds(
    one: Any, at: object, ms: int, quality: str
) -> None:
    event = one(LEAST["tag_read"] | {"at": at}, "rfid3/main/tag_read/x")
    assert (event.at, event.time_quality) == (ms, quality)


def test_other_times_are_epoch_milliseconds_too_and_0_where_never_set(one: Any) -> None:
    line = LEAST["pos_line"] | {"due": "2026-04-03"}
    assert one(line, "rfid3/main/pos_line/x").due == 1_775_192_400_000
    assert one(line | {"due": -5}, "rfid3/main/pos_line/x").due == 0


def test_words_for_people_are_cut_and_cleaned_not_refused(one: Any) -> None:
    event = one(LEAST["review"] | {"text": "a\tb" + "x" * 5_000}, "rfid3/main/review/x")
    assert event.text.startswith("a b")
    assert len(event.text) == 2_000
