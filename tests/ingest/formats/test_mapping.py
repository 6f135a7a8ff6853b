"""Foreign JSON by a mapping, and Square's webhook."""

from typing import Any

import pytest

from edge.config import Mapping

KEONN = Mapping(
    items="data.reads",
    fields={
        "epc": "tag.hex",
        "antenna": "where.1",
        "rssi_dbm": "power",
        "at": "seen",
        "direction": "way",
        "source": "name",
    },
    values={"direction": {"IN_STORE": "in", "EXIT": "out"}},
    scale={"rssi_dbm": 0.1},
)
INVOICE = Mapping(
    kind="pos_line",
    fields={"document": "no", "sku": "code", "quantity": "qty", "price_cents": "price", "at": "d"},
    constants={"kind": "sale", "channel": "web"},
    scale={"price_cents": 100.0},
)


def test_a_mapping_follows_paths_translates_and_scales(tell: Any) -> None:
    read = {
        "tag": {"hex": "e2:80"},
        "where": [9, 2],
        "power": -615,
        "seen": "2026-04-01T08:15:30",
        "way": "EXIT",
        "name": "keonn-3",
    }
    decoded = tell({"data": {"reads": [read, {"tag": {}}, 5]}}, "m/keonn", keonn=KEONN)
    (event,) = decoded.events
    assert (event.epc, event.antenna, event.rssi_dbm) == ("E280", 2, -61.5)
    assert (event.direction, event.source, event.time_quality) == ("out", "keonn-3", "naive_local")
    assert [(r.index, r.reason) for r in decoded.rejects] == [
        (1, "missing_field"),
        (2, "wrong_type"),
    ]
    assert decoded.rejects[0].payload == b'{"data":{"reads":[{"tag":{}}]}}'


def test_money_is_rounded_to_whole_cents_and_numbers_become_texts(one: Any) -> None:
    line = {"no": 536365, "code": 85123.0, "qty": "6", "price": 2.55, "d": 1775049330250}
    event = one([line], "m/invoice", invoice=INVOICE)
    assert (event.document, event.sku, event.quantity) == ("536365", "85123", 6.0)
    assert (event.price_cents, event.channel, event.at) == (255, "web", 1775049330250)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"qty": "many"}, "wrong_type"),
        ({"qty": -1}, "out_of_range"),
        ({"qty": "nan"}, "out_of_range"),
        ({"price": "x"}, "wrong_type"),
        ({"price": 1e200}, "out_of_range"),
        ({"no": None}, "missing_field"),
        ({"no": ""}, "missing_field"),
        ({"d": "1.4.2026"}, "bad_time"),
        ({"code": {"a": 1}}, "wrong_type"),
    ],
)
def test_what_a_mapping_cannot_turn_into_an_event_is_refused(
    tell: Any, change: dict[str, Any], reason: str
) -> None:
    line = {"no": "1", "code": "A", "qty": 1, "price": 1, "d": "2026-04-01T08:15:30Z"}
    decoded = tell(line | change, "m/invoice", invoice=INVOICE)
    assert decoded.events == []
    assert decoded.rejects[0].reason == reason


def test_a_mapping_without_its_list_is_refused(refused: Any) -> None:
    assert refused({"data": {}}, "m/keonn", keonn=KEONN) == ["missing_field"]


def square(*counts: Any) -> dict[str, Any]:
    return {
        "type": "inventory.count.updated",
        "event_id": "ev-1",
        "created_at": "2026-04-01T13:15:30Z",
        "data": {"inventory_counts": list(counts)},
    }


def test_squares_counts_are_stock_counts_and_other_states_are_skipped(tell: Any) -> None:
    stock = {"catalog_object_id": "X1", "state": "IN_STOCK", "quantity": "12.5", "location_id": "L"}
    decoded = tell(square(stock, stock | {"state": "SOLD"}), "$http/square/hook")
    (count,) = decoded.events
    assert (count.sku, count.quantity, count.source, count.id) == ("X1", 12.5, "L", "ev-1#0")
    assert decoded.skipped == 1
    assert count.at == 1_775_049_330_000


def test_squares_newer_shape_is_read_too(one: Any) -> None:
    payload = square()
    counts = [{"catalog_object_id": "X1", "quantity": "1"}]
    payload["data"] = {
        "type": "inventory_counts",
        "id": "1",
        "object": {"inventory_counts": counts},
    }
    assert one(payload).quantity == 1.0


@pytest.mark.parametrize("quantity", ["", "lots", None, True, [1], "1_0", "inf"])
def test_a_quantity_that_is_no_number_is_refused(refused: Any, quantity: object) -> None:
    assert refused(square({"catalog_object_id": "X", "quantity": quantity})) == ["wrong_type"]
