"""Availability out of items, due days, repairs and reservations of a shop that lived some days."""

from typing import Any

import msgspec
import pytest

from edge.config import Config
from edge.core import Core
from edge.records import Message
from edge.services import availability
from edge.view_availability import AvailabilityView
from edge.view_basis import Sources

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
START_MS = 1_772_409_600_000


class Shop:
    """A core told event by event, and the view over it."""

    def __init__(self) -> None:
        self.core = Core(Config())
        self.view = AvailabilityView(Sources(self.core, Config()))
        self.now_ms, self.ordinal = START_MS, 0

    def tell(self, what: str, **event: Any) -> None:
        payload = msgspec.json.encode({"type": what, "at": self.now_ms, **event})
        self.core.step([Message(f"$http/{what}/till", payload, self.now_ms)], self.ordinal)
        self.ordinal += 1

    def scan(self, epc: str, scan_type: str, **more: Any) -> None:
        self.tell("item_scan", epc=epc, scan_type=scan_type, sku="TENT", **more)

    def rent(self, epc: str, due_in_h: float) -> None:
        self.scan(epc, "Rental")
        due = self.now_ms + round(due_in_h * HOUR_MS)
        self.tell(
            "pos_line", document=f"C{epc}", line=1, kind="rental", sku="TENT", epc=epc, due=due, price_cents=5_000
        )  # fmt: skip

    def wait(self, hours: float) -> None:
        self.now_ms += round(hours * HOUR_MS)
        self.core.advance(self.now_ms)

    def ask(self, in_h: float, for_h: float, units: float = 1.0) -> Any:
        begin = self.now_ms + round(in_h * HOUR_MS)
        return self.view.available("TENT", "main", begin, begin + round(for_h * HOUR_MS), units)


@pytest.fixture
def shop() -> Shop:
    """Four tents, in the store."""
    made = Shop()
    for n in range(4):
        made.scan(f"T{n}", "Return", name="Tent")
    made.wait(1)
    return made


def test_what_is_here_and_nobody_wants_is_free(shop: Shop) -> None:
    found = shop.ask(24, 48, 4)
    assert (found.on_hand, found.on_rent, found.probability, found.available) == (4, 0, 1.0, True)
    assert shop.ask(24, 48, 5).probability == 0
    assert shop.view.available("NONE", "main", 0, 1, 1.0) is None


def test_of_walk_in_customers_nobody_saw_nothing_is_said(shop: Shop) -> None:
    young = shop.ask(24, 48, 4)
    assert (young.probability, young.probability_unpromised) == (1.0, None)
    assert young.basis.fallback
    assert "walk-in" in young.why_unknown
    assert "4 on hand" in young.covers
    assert "unpromised" not in young.covers
    shop.wait(8 * 24)  # a week in which nobody asked
    known = shop.ask(24, 48, 4)
    assert (known.probability_unpromised, known.why_unknown) == (1.0, "")
    assert not known.basis.fallback
    assert "walk-in customers too" in known.covers


def test_stock_that_was_never_counted_is_not_taken_for_none() -> None:
    shop = Shop()
    shop.tell("pos_line", document="R", kind="rental", sku="TENT", quantity=1.0, price_cents=5_000)
    found = shop.ask(1, 24, 1)
    assert (found.on_hand, found.probability, found.available, found.expected_units) == (None,) * 4
    assert {day.probability for day in found.days} == {None}
    assert "never counted" in found.why_unknown
    shop.tell("stock_count", sku="TENT", quantity=3.0)
    counted = shop.ask(1, 24, 1)
    assert (counted.on_hand, counted.available) == (3, True)
    assert "guessed" in counted.covers
    assert counted.basis.fallback


def test_a_tent_is_likely_free_after_its_due_day_and_hardly_before(shop: Shop) -> None:
    for n in range(4):
        shop.rent(f"T{n}", due_in_h=48)
    shop.wait(1)
    assert shop.ask(0, 4, 1).on_rent == 4
    early, due, later = (shop.ask(h, 4, 4).probability for h in (6, 47, 47 + 24 * 5))
    assert early < 0.01
    assert due == pytest.approx(availability.LATE_ON_TIME**4, abs=0.01)
    assert later > 0.98
    one = shop.ask(47, 4, 1)
    assert one.probability == pytest.approx(1 - (1 - availability.LATE_ON_TIME) ** 4, abs=0.001)
    assert one.expected_returns == pytest.approx(4 * availability.LATE_ON_TIME, abs=0.05)


def test_a_span_is_as_scarce_as_its_scarcest_day(shop: Shop) -> None:
    shop.rent("T0", due_in_h=72)
    shop.wait(1)
    found = shop.ask(1, 6 * 24, 4)
    assert len(found.days) == 7
    chances = [day.probability for day in found.days]
    assert found.probability == min(chances)
    assert chances == sorted(chances)
    assert found.scarcest_day == found.days[0].day


def test_what_is_in_repair_may_come_back_in_time(shop: Shop) -> None:
    for n in range(3):
        shop.tell("maintenance", epc=f"T{n}", kind="failure", status="Repair")
    soon, late = shop.ask(1, 2, 4), shop.ask(24 * 20, 2, 4)
    assert (soon.on_hand, soon.in_service) == (1, 3)
    assert soon.probability < 0.01
    assert late.probability > 0.95


def test_what_is_promised_for_those_days_is_not_free_on_them_alone(shop: Shop) -> None:
    start = shop.now_ms + 10 * DAY_MS
    shop.tell("reservation", document="R1", sku="TENT", quantity=3, start=start, end=start + DAY_MS)
    assert shop.ask(10 * 24 + 1, 4, 2).probability == 0
    assert shop.ask(10 * 24 + 1, 4, 1).probability == 1
    assert shop.ask(12 * 24, 4, 4).probability == 1


def test_those_who_walk_in_every_day_make_a_promise_worth_something(shop: Shop) -> None:
    for day in range(20):
        shop.rent(f"T{day % 4}", due_in_h=20)
        shop.wait(20)
        shop.scan(f"T{day % 4}", "Return")
        shop.tell("pos_line", document=f"B{day}", line=1, kind="return", sku="TENT", quantity=1.0)
        shop.wait(4)
    found = shop.ask(24, 8, 4)
    assert found.on_hand == 4
    assert found.probability == 1.0
    assert 0.2 < found.probability_unpromised < 0.95
    assert shop.ask(24, 8, 1).probability_unpromised > 0.98
