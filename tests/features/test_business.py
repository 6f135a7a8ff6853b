"""What scans, lines, counts and links mean to a shop, told as short stories."""

import json
from typing import Any

import pytest

from edge.core import Core
from edge.features.catalog import values
from edge.records import Message
from tests.streams import DAY, HOUR, START_MS, config, epc, run


class Shop:
    """A core that is told events by name."""

    def __init__(self, timezone: str = "UTC") -> None:
        self.core, self.now, self.ordinal = Core(config(timezone)), START_MS, 0

    def tell(self, kind: str, /, *, ago: int = 0, **fields: Any) -> int:
        """Tell one event, dated ``ago`` before now; its time."""
        at = self.now - ago
        payload = json.dumps({"at": at} | fields).encode()
        message = Message(f"rfid3/main/{kind}/s1", payload, self.now)
        told = run(self.core, [message], 1, first=self.ordinal)
        assert not told.dead_letters, told.dead_letters
        self.ordinal += 1
        self.now += 1
        return at

    def scan(self, scan_type: str, number: int = 1, **fields: Any) -> int:
        return self.tell("item_scan", epc=epc(number), scan_type=scan_type, **fields)

    def line(self, kind: str, sku: str = "A", **fields: Any) -> int:
        return self.tell("pos_line", document=f"D{self.ordinal}", kind=kind, sku=sku, **fields)

    def wait(self, ms: int) -> None:
        self.now += ms
        self.core.advance(self.now)

    def item(self, number: int = 1) -> dict[str, float | None]:
        state = self.core.state
        return values(state, "item", state.item.keys.get(epc(number)))

    def cls(self, sku: str = "A") -> dict[str, float | None]:
        state = self.core.state
        return values(state, "class", state.cls.keys.get(f"main\x1f{sku}"))

    def status(self, number: int = 1) -> str:
        state = self.core.state
        row = state.item.keys.get(epc(number))
        return state.status.keys.key(int(state.item.col["status_row"][row]))


@pytest.mark.parametrize(
    ("scan", "status"),
    [
        ({"scan_type": "Rental"}, "On Rent"),
        ({"scan_type": "Delivery"}, "Delivered"),
        ({"scan_type": "Return"}, "Ready to Rent"),
        ({"scan_type": "Return", "defects": ["oil"]}, "Needs to be Inspected"),
        ({"scan_type": "Return", "defects": ["oil"], "status": "Wash"}, "Wash"),
        ({"scan_type": "Pickup"}, "Needs to be Inspected"),
        ({"scan_type": "Touch Scan"}, "Unknown"),
        ({"scan_type": "Touch Scan", "status": "Sold"}, "Unknown"),
        ({"scan_type": "Rental", "status": "At the fair"}, "At the fair"),
    ],
)
def test_a_scan_sets_the_status_it_names_or_its_own(scan: dict[str, Any], status: str) -> None:
    shop = Shop()
    shop.scan(**scan)
    assert shop.status() == status


def test_a_rental_lasts_from_going_out_to_coming_back() -> None:
    shop = Shop()
    shop.scan("Rental", sku="A")
    shop.wait(5 * HOUR)
    shop.scan("Delivery")  # still out
    assert shop.item()["on_rent_days_current"] == pytest.approx(5 / 24, abs=1e-6)
    shop.wait(5 * HOUR)
    shop.scan("Return")
    shop.wait(DAY)
    told = shop.item()
    assert told["on_rent_days_current"] is None
    assert told["on_rent_days_total"] == pytest.approx(10 / 24, abs=1e-6)
    assert (told["rentals_30d"], told["returns_30d"]) == (1, 1)
    assert shop.cls()["rental_hours_p50"] == pytest.approx(10, rel=0.12)
    assert shop.cls()["items_ready"] == 1


def test_an_older_scan_that_comes_later_counts_but_does_not_change_the_status() -> None:
    shop = Shop()
    shop.scan("Return")
    shop.scan("Rental", ago=HOUR)
    assert shop.status() == "Ready to Rent"
    assert shop.item()["rentals_total"] == 1
    assert shop.item()["rentals_30d"] == 1


def test_a_scan_of_a_closed_day_enters_totals_only() -> None:
    shop = Shop()
    shop.scan("Rental", sku="A", ago=3 * DAY)
    assert (shop.item()["rentals_total"], shop.item()["rentals_30d"]) == (1, 0)
    assert shop.cls()["scans_out_7d"] == 0
    assert shop.core.state.counters["late_day_values"] == 2
    assert shop.core.state.counters["events_late"] == 1


def test_defects_stay_until_the_next_return_or_repair() -> None:
    shop = Shop()
    shop.scan("Touch Scan", defects=["oil", "oil", "wet"])
    assert shop.item()["defects_last"] == 0b100000000100
    assert shop.item()["defects_count_last"] == 2
    shop.scan("Rental")
    assert shop.item()["defects_last"] != 0
    shop.tell("maintenance", epc=epc(1), kind="wash")
    assert shop.item()["defects_last"] != 0
    shop.tell("maintenance", epc=epc(1), kind="repair")
    assert shop.item()["defects_last"] == 0


@pytest.mark.parametrize(
    "work", [{"kind": "service"}, {"kind": "repair", "planned": True}, {"kind": "replacement", "planned": True}]
)  # fmt: skip
def test_a_planned_service_renews_an_item_and_is_neither_a_failure_nor_what_one_costs(
    work: dict[str, Any],
) -> None:
    shop = Shop()
    shop.tell("maintenance", epc=epc(1), kind="repair", cost_cents=900, minutes=30, ago=3 * DAY)
    shop.scan("Touch Scan", defects=["oil"])
    before = shop.item()
    assert before["days_since_repair"] == pytest.approx(3.0, abs=1e-3)
    assert before["defects_count_last"] == 1
    shop.tell("maintenance", epc=epc(1), cost_cents=500, minutes=10, **work)
    after = shop.item()
    assert after["defects_count_last"] == 0
    assert (
        after["days_since_repair"] == after["days_since_maintenance"] == pytest.approx(0, abs=1e-3)
    )
    for name in ("failures_total", "repairs_total", "repair_cost_cents_total", "maintenance_minutes_total"):  # fmt: skip
        assert after[name] == before[name], name


def test_a_failure_is_one_whatever_was_planned() -> None:
    shop = Shop()
    shop.tell("maintenance", epc=epc(1), kind="failure", planned=True)
    assert shop.item()["failures_total"] == 1


def test_a_scan_told_by_mistake_is_undone_once() -> None:
    shop = Shop()
    shop.scan("Return", sku="A")
    at = shop.scan("Rental", contract="C1")
    undo = {"action": "undo_scan", "epc": epc(1), "scan_type": "Rental", "contract": "C1"}
    shop.tell("correction", scanned_at=at, **undo)
    shop.tell("correction", scanned_at=at, **undo)
    assert shop.status() == "Ready to Rent"
    told = shop.item()
    assert (told["rentals_total"], told["rentals_30d"], told["scans_total"]) == (0, 0, 1)
    assert told["on_rent_days_total"] == 0
    assert (shop.cls()["items_ready"], shop.cls()["scans_out_1d"]) == (1, 0)


def test_undoing_a_return_lets_the_rental_go_on() -> None:
    shop = Shop()
    shop.scan("Rental", sku="A")
    shop.wait(DAY)
    at = shop.scan("Return")
    shop.tell("correction", action="undo_scan", epc=epc(1), scan_type="Return", scanned_at=at)
    shop.wait(DAY)
    assert shop.item()["on_rent_days_current"] == pytest.approx(2, abs=1e-6)
    assert shop.item()["on_rent_days_total"] == pytest.approx(2, abs=1e-6)
    assert shop.cls()["rental_hours_p50"] is None


def test_a_scan_nobody_told_cannot_be_undone() -> None:
    shop = Shop()
    shop.scan("Rental")
    before = shop.item()
    shop.tell("correction", action="undo_scan", epc=epc(1), scan_type="Return", scanned_at=1)
    shop.tell("correction", action="undo_scan", epc=epc(2), scan_type="Return", scanned_at=1)
    assert {**shop.item(), "x": 0} == pytest.approx({**before, "x": 0}, abs=1e-6, nan_ok=True)
    assert shop.core.state.counters["undo_of_unknown_scan"] == 2


def test_a_new_tag_goes_on_with_the_life_of_the_old_one() -> None:
    shop = Shop()
    shop.scan("Rental", sku="A", grade="B")
    shop.tell("maintenance", epc=epc(1), kind="repair", cost_cents=700, minutes=20)
    shop.wait(DAY)
    shop.tell("item_link", epc=epc(2), action="replace", replaces=epc(1))
    told = shop.item(2)
    assert shop.status(2) == "On Rent"
    assert (told["grade_last"], told["repairs_total"], told["rentals_total"]) == (5, 1, 1)
    assert (told["repair_cost_cents_total"], told["maintenance_minutes_total"]) == (700, 20)
    assert told["on_rent_days_current"] == pytest.approx(1, abs=1e-5)
    assert shop.item(1)["on_rent_days_current"] is None
    assert shop.cls()["items_on_rent"] == 1


def test_a_retired_item_is_in_no_count_and_its_days_out_are_kept() -> None:
    shop = Shop()
    shop.scan("Rental", sku="A")
    shop.wait(DAY)
    shop.tell("item_link", epc=epc(1), action="retire")
    shop.tell("item_link", epc=epc(1), action="retire")
    assert shop.cls()["items_on_rent"] == 0
    assert shop.item()["on_rent_days_total"] == pytest.approx(1, abs=1e-5)


def test_the_ledger_follows_counts_receipts_and_lines() -> None:
    shop = Shop()
    shop.tell("stock_count", sku="A", quantity=10)
    shop.tell("stock_receipt", sku="A", quantity=5, cost_cents=300)
    shop.line("sale", quantity=2)
    shop.line("rental", quantity=3)
    shop.line("return", quantity=1)
    told = shop.cls()
    assert (told["on_hand_units"], told["on_rent_units"], told["fleet_units"]) == (11, 2, 13)
    assert told["utilisation_now"] == pytest.approx(2 / 13)
    shop.tell("stock_count", sku="A", quantity=9)
    assert shop.cls()["on_hand_units"] == 9


def test_what_a_count_has_seen_does_not_change_the_ledger_again() -> None:
    shop = Shop()
    shop.tell("stock_count", sku="A", quantity=10)
    shop.line("sale", quantity=2, ago=HOUR)
    shop.tell("stock_receipt", sku="A", quantity=4, ago=HOUR)
    assert shop.cls()["on_hand_units"] == 10
    assert shop.cls()["sold_units_1d"] == 2
    shop.tell("stock_count", sku="A", quantity=1, ago=HOUR)  # an older count
    assert shop.cls()["on_hand_units"] == 10


def test_running_out_is_noted_once_a_day() -> None:
    shop = Shop()
    shop.tell("stock_count", sku="A", quantity=2)
    shop.line("sale", quantity=2)
    shop.tell("stock_receipt", sku="A", quantity=1)
    shop.line("sale", quantity=1)
    assert shop.cls()["stockout_days_28d"] == 1
    shop.wait(DAY)
    shop.tell("stock_receipt", sku="A", quantity=1)
    shop.line("sale", quantity=3)
    assert shop.cls()["stockout_days_28d"] == 2


def test_without_a_ledger_the_last_ready_item_is_the_stock() -> None:
    shop = Shop()
    for number in (1, 2):
        shop.scan("Return", number, sku="A")
    shop.scan("Rental", 1)
    assert (shop.cls()["on_hand_units"], shop.cls()["stockout_days_28d"]) == (1, 0)
    shop.scan("Rental", 2)
    assert (shop.cls()["on_hand_units"], shop.cls()["stockout_days_28d"]) == (0, 1)


def test_a_void_takes_back_units_money_goods_and_the_customers_line() -> None:
    shop = Shop()
    shop.tell("stock_count", sku="A", quantity=10)
    shop.tell(
        "pos_line", document="R", line=1, kind="rental", sku="A", quantity=2, price_cents=500,
        customer="k",
    )  # fmt: skip
    shop.tell("correction", action="void_line", document="R", line=1)
    told = shop.cls()
    assert (told["on_hand_units"], told["on_rent_units"], told["rented_units_1d"]) == (10, 0, 0)
    assert (told["revenue_cents_1d"], told["units_out_1h"]) == (0, 0)
    state = shop.core.state
    customer = values(state, "customer", state.customer.keys.get("k"))
    assert (customer["lines_total"], customer["spend_cents_total"]) == (0, 0)
    shop.tell("correction", action="void_line", document="R", line=1)
    assert state.counters["void_of_unknown_line"] == 1
    assert shop.cls()["on_hand_units"] == 10


def test_the_newest_price_of_a_sale_or_rental_is_kept() -> None:
    shop = Shop()
    shop.line("rental", price_cents=900)
    shop.line("sale", price_cents=100, ago=HOUR)
    assert shop.cls()["price_last_cents"] == 900
    shop.line("sale", price_cents=0)
    assert shop.cls()["price_last_cents"] == 900
    for price, ago in ((500, 0), (400, HOUR)):
        shop.tell("price_observed", sku="A", price_cents=price, ago=ago)
        shop.tell("price_observed", sku="A", price_cents=price + 1, competitor="x", ago=ago)
        shop.tell("stock_receipt", sku="A", quantity=1, cost_cents=price + 2, ago=ago)
    told = shop.cls()
    assert (told["price_list_cents"], told["price_competitor_cents"]) == (500, 501)
    assert told["cost_last_cents"] == 502


def test_reservations_are_replaced_cancelled_and_end_with_their_day() -> None:
    shop = Shop()
    promise = {"document": "V", "sku": "A", "start": START_MS, "end": START_MS + DAY}
    shop.tell("reservation", quantity=2, **promise)
    shop.tell("reservation", quantity=3, **promise)
    assert shop.cls()["reserved_units"] == 3
    shop.tell("reservation", quantity=1, **promise | {"document": "W"})
    shop.tell("reservation", quantity=0, **promise)
    assert shop.cls()["reserved_units"] == 1
    shop.wait(3 * DAY)
    assert shop.cls()["reserved_units"] == 0


def test_utilisation_is_that_of_closed_days() -> None:
    shop = Shop()
    shop.tell("stock_count", sku="A", quantity=4)
    shop.line("rental", quantity=1)
    assert shop.cls()["utilisation_7d"] is None
    shop.wait(DAY)
    assert shop.cls()["utilisation_7d"] == pytest.approx(1 / 4)
    shop.line("rental", quantity=1)
    shop.wait(DAY)
    assert shop.cls()["utilisation_7d"] == pytest.approx(3 / 8)


def test_a_review_counts_for_its_class_and_its_item() -> None:
    shop = Shop()
    shop.tell("review", rating=5, sku="A", epc=epc(1))
    shop.tell("review", rating=2, sku="A")
    assert (shop.cls()["rating_mean"], shop.item()["rating_mean"]) == (3.5, 5)


@pytest.mark.parametrize("ahead", [1_000, 119_000])
def test_a_clock_that_is_ahead_is_known_and_makes_no_duplicates(ahead: int) -> None:
    shop = Shop()
    at = shop.now + ahead
    for _ in range(2):
        shop.tell("tag_read", epc=epc(1), source="r0", at=at)
        shop.tell("item_scan", epc=epc(1), scan_type="Rental", at=at)
    assert (shop.item()["reads_total"], shop.item()["scans_total"]) == (1, 1)
    state = shop.core.state
    reader = values(state, "reader", state.reader.keys.get("r0"))
    assert reader["clock_ahead_ms"] == ahead
    for moment in ("last_read_ms", "last_scan_ms", "rented_at_ms"):  # arrival, not the future
        assert int(state.item.col[moment][0]) < at
