"""The shop that the impact bench acts on: what was decided is done, and when it was said. No daemon."""

import math
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from bench.impact.__main__ import changes, interval
from bench.impact.arm import Driver, Plan, day_number
from bench.impact.world import LEAD_DAYS, SERVICE_CENTS, Money, World, at_the_same_mix
from edge.commands import DecisionKind
from edge.decisions.rows import Decision
from edge.events import AnyEvent, Event, ItemLink, Maintenance, PosLine, PriceObserved, StockReceipt
from edge.records import Message
from edge.simulate.days import DaysSettings, Thing

SHOP = DaysSettings(seed=7, days=200, rental_classes=6, articles=4, items_per_class=4)
QUIET = msgspec.structs.replace(SHOP, rentals_a_day=0.0, sales_a_day=0.0)


def said(messages: list[Message]) -> list[Event]:
    decode = msgspec.json.Decoder(list[AnyEvent]).decode
    return [event for message in messages for event in decode(message.payload)]


def lived(settings: DaysSettings, days: int) -> World:
    world = World(settings)
    for _ in range(days):
        world.next_day()
    return world


def coming(world: World) -> int:
    """The day that is lived next."""
    return world.settings.first_day + world.done


def in_the_house(world: World) -> Thing:
    return next(t for t in world._by_epc.values() if t.busy_until < coming(world))


def carry_out(world: World, kind: DecisionKind, target: str, data: dict[str, Any]) -> None:
    driver = Driver(Plan(seed=7), world, daemon=None, clock=None)  # type: ignore[arg-type]
    driver._carry_out(
        Decision(
            id="1", kind=kind, target=target, store="main", period="", status="executed", gate="",
            confidence=1.0, impact_cents=1, value_cents=1, change_ratio=0.0, data=data, reasons=[],
            service="", version="", fallback=False,
        )
    )  # fmt: skip


def plan_service(world: World, thing: Thing, in_days: int) -> int:
    """The day on which a service of it is decided to be."""
    on = coming(world) + in_days
    text = (date(1970, 1, 1) + timedelta(days=on)).isoformat()
    assert day_number(text) == on
    carry_out(world, "maintenance", thing.epc, {"day": text})
    return on


def served_on(world: World, thing: Thing, days: int) -> list[int]:
    """The days, of so many, on which somebody tells a service of it."""
    found = []
    for _ in range(days):
        day, events = coming(world), said(world.next_day())
        found += [
            day
            for e in events
            if isinstance(e, Maintenance) and (e.epc, e.cost_cents) == (thing.epc, SERVICE_CENTS)
        ]
    return found


@pytest.mark.parametrize("in_days", [0, 1, 6])
def test_a_service_is_done_once_and_on_the_day_that_was_proposed(in_days: int) -> None:
    world = lived(QUIET, 3)
    thing = in_the_house(world)
    thing.uses = 5
    on = plan_service(world, thing, in_days)
    assert served_on(world, thing, 10) == [on]
    assert (world.money.services, world.money.service_cents) == (1, SERVICE_CENTS)
    assert thing.uses == 0


def test_a_thing_in_service_is_away_for_that_day_and_there_the_next_morning() -> None:
    world = lived(QUIET, 3)
    thing = in_the_house(world)
    on = plan_service(world, thing, 0)
    world._serve(on)
    assert thing not in world._take(thing.kind, 99, on)
    world = lived(QUIET, 3)
    thing = in_the_house(world)
    plan_service(world, thing, 0)
    world.next_day()
    assert thing in world._take(thing.kind, 99, on + 1)


def test_a_thing_that_is_out_on_its_day_is_served_as_soon_as_it_stands_there() -> None:
    world = lived(QUIET, 3)
    thing = in_the_house(world)
    thing.frailty, thing.contract, thing.busy_until = 0.0, "C-1", coming(world) + 4
    on = plan_service(world, thing, 2)
    washed = int(thing.kind.washed)
    assert served_on(world, thing, 10) == [on + 2 + washed + 1]


def test_a_thing_that_was_repaired_before_its_day_is_not_served() -> None:
    world = lived(QUIET, 3)
    thing = in_the_house(world)
    thing.workshop, thing.busy_until = "repair", coming(world) + 2
    plan_service(world, thing, 4)
    assert served_on(world, thing, 10) == []
    assert world.money.repair_cents > 0


def test_the_newest_word_on_a_service_that_still_waits_holds() -> None:
    world = lived(QUIET, 3)
    thing = in_the_house(world)
    plan_service(world, thing, 2)
    on = plan_service(world, thing, 5)
    assert served_on(world, thing, 9) == [on]


def test_goods_come_once_after_the_suppliers_time_as_many_as_were_decided() -> None:
    world = lived(QUIET, 3)
    world.habits = False
    sku, began = world._sold[0].sku, coming(world)
    carry_out(world, "restock", sku, {"units": 17.0})
    receipts = [
        (coming(world) - 1 - began, event.quantity)
        for _ in range(LEAD_DAYS[1] + 3)
        for event in said(world.next_day())
        if isinstance(event, StockReceipt) and event.sku == sku
    ]
    ((days, units),) = receipts
    assert units == 17
    assert LEAD_DAYS[0] <= days < LEAD_DAYS[1]


def test_a_fleet_grows_by_as_many_tagged_things_as_were_decided() -> None:
    world = lived(QUIET, 3)
    kind = world._rented[0]
    before = len(world._things[kind.sku])
    carry_out(world, "restock", kind.sku, {"units": 2.0})
    linked = [
        event.epc
        for _ in range(LEAD_DAYS[1] + 1)
        for event in said(world.next_day())
        if isinstance(event, ItemLink)
    ]
    assert len(linked) == 2
    assert len(world._things[kind.sku]) == before + 2


def test_a_decided_price_is_told_first_and_is_what_everybody_pays_from_then_on() -> None:
    world = lived(SHOP, 3)
    world.moves_prices = False
    kind = world._rented[0]
    carry_out(world, "pricing", kind.sku, {"price_cents": 777})
    events = [event for _ in range(20) for event in said(world.next_day())]
    assert isinstance(events[0], PriceObserved)
    assert (events[0].sku, events[0].price_cents) == (kind.sku, 777)
    paid = {
        e.price_cents
        for e in events
        if isinstance(e, PosLine) and e.sku == kind.sku and e.kind == "rental"
    }
    assert paid == {777}


def test_what_is_done_for_one_class_leaves_the_customers_of_the_others_as_they_were() -> None:
    one, other = lived(SHOP, 30), lived(SHOP, 30)
    changed = one._sold[0].sku
    carry_out(one, "pricing", changed, {"price_cents": 1})
    carry_out(one, "restock", changed, {"units": 500.0})
    for _ in range(60):
        one.next_day()
        other.next_day()
    wanted = [other._sold[i].on_hand for i in range(1, 4)]
    assert [one._sold[i].on_hand for i in range(1, 4)] == wanted
    assert one.money.rental_wanted == other.money.rental_wanted
    assert one.money.sale_wanted > other.money.sale_wanted


def test_the_interval_is_students_over_paired_changes() -> None:
    mean, low, high = interval([0.1, 0.2, 0.3])
    assert mean == pytest.approx(0.2)
    half = 4.303 * 0.1 / math.sqrt(3)
    assert (low, high) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))
    assert math.isnan(interval([0.1])[1])


def test_a_figure_that_was_nothing_without_has_no_change() -> None:
    pairs = [({"a": 0.0, "b": 2.0}, {"a": 3.0, "b": 3.0})] * 2
    assert list(changes(pairs)) == ["b"]


def test_renting_out_more_of_what_is_cheap_changes_no_price_at_the_same_mix() -> None:
    before = Money(rented={"tent": (10, 10_000), "chair": (10, 1_000)})
    after = Money(rented={"tent": (10, 10_000), "chair": (90, 9_900), "new": (5, 1)})
    assert at_the_same_mix(before, before) == pytest.approx(5.5)
    assert at_the_same_mix(after, before) == pytest.approx(5.55)
