"""What maintenance proposes and keeps: once a week for an item, within the days ahead, made anew in time."""

import numpy as np
import pytest

from edge.config import Config, Maintenance
from edge.core import Core
from edge.decisions.deeds import decision_id
from edge.simulate.days import DaysSettings, ShopDays
from edge.view_basis import Sources
from edge.view_components import ComponentsView
from edge.view_fleet import drained
from edge.view_maintenance import DAYS, FRESH_MS, PROPOSED_DAYS, MaintenanceView
from edge.view_maintenance_rows import ClassReturn, Returns

HOUR_MS = 3_600_000


def a_core() -> Core:
    """A simulated shop after three months, where failures are dear."""
    made = Core(Config(maintenance=Maintenance(failure_cents=50_000, crew_hours=4.0)))
    settings = DaysSettings(
        days=90, rental_classes=6, articles=2, items_per_class=6, rentals_a_day=9
    )
    for batch in ShopDays(settings).batches():
        made.step(batch.messages, batch.first)
        made.advance(batch.beat_ms)
    return made


@pytest.fixture(scope="module")
def core() -> Core:
    return a_core()


def test_services_of_the_next_days_are_proposed_once_a_week(core: Core) -> None:
    view = MaintenanceView(Sources(core, core.config))
    found = [one for one in view.proposals() if one is not None]
    book = view.book(DAYS)
    assert book is not None
    days = sorted({row.day for row in book.services})
    until = str(np.datetime64(book.plan.first_day + PROPOSED_DAYS, "D"))
    soon = [row for row in book.services if row.day < until]
    assert [one.target for one in found] == [row.epc for row in soon]
    assert days
    assert len(soon) > 0
    assert len({decision_id(one) for one in found}) == len(found)
    for one, row in zip(found, soon, strict=True):
        assert one.kind == "maintenance"
        assert 0 < one.confidence < 1
        assert one.impact_cents == row.saves_cents > 0
        assert one.value_cents == row.cost_cents
        assert one.data["day"] == row.day
        assert one.fallback
        assert one.valid_until_ms > core.now_ms
        year, week, _ = np.datetime64(row.day, "D").astype(object).isocalendar()
        assert one.period == f"{year}-W{week:02d}"
    again = [one for one in view.proposals() if one is not None]
    assert [decision_id(one) for one in again] == [decision_id(one) for one in found]
    assert view.book(DAYS) is book


SUMMED = (
    *("items", "services", "averted_cents", "spend_cents", "saved_cents", "waiting_cents"),
    *("repairs", "repair_cents", "revenue_cents"),
)


def test_money_adds_up_from_services_over_classes_to_the_whole(core: Core) -> None:
    view = MaintenanceView(Sources(core, core.config))
    drained(view.making(drained(view.gathering(DAYS))))
    book = view.book(DAYS)
    assert book is not None
    got = view.returns(book, list(range(len(book.returned.names.rows))), None)
    plan = view.schedule(book, book.services, None)
    assert got.spend_cents > 0
    assert got.saved_cents > 0
    # the oracle: sums of what is shown, in plain Python
    for name in SUMMED:
        assert sum(getattr(row, name) for row in got.classes) == getattr(got, name), name
    lines: list[ClassReturn | Returns] = [*got.classes, got]
    for told in lines:
        assert told.saved_cents == told.averted_cents - told.spend_cents
        roi = told.saved_cents / told.spend_cents if told.spend_cents else None
        assert told.roi == (None if roi is None else pytest.approx(roi, abs=1e-4))
    for row in book.services:
        assert row.saves_cents == row.averts_cents - row.spends_cents
        assert row.spends_cents > 0
    for each, total in (("averts", "averted"), ("spends", "spend"), ("saves", "saved")):
        for line in got.classes:
            mine = [
                getattr(row, f"{each}_cents")
                for row in book.services
                if (row.sku, row.store) == (line.sku, line.store)
            ]
            assert sum(mine) == getattr(line, f"{total}_cents"), (line.sku, total)
            assert len(mine) == line.services
    assert plan.saved_cents == got.saved_cents <= plan.bound_cents
    ways = {row.way: row for row in plan.ways}
    for way in ways.values():
        assert way.cost_cents == way.service_cents + way.failure_cents
        assert way.saved_cents == way.cost_cents - ways["plan"].cost_cents
    assert ways["plan"].service_cents == got.spend_cents
    assert ways["run_to_failure"].saved_cents == got.saved_cents
    assert ways["calendar"].saved_cents == got.saved_against_calendar_cents
    # and the rounded sums are those of the plan
    assert ways["plan"].cost_cents == pytest.approx(
        book.plan.plan.cost_cents, abs=len(book.services) + 1
    )
    assert ways["plan"].service_cents == pytest.approx(
        book.plan.plan.service_cents, abs=len(book.services) + 1
    )


def test_a_plan_is_kept_for_an_hour_and_never_beyond_the_day() -> None:
    core = a_core()
    view = MaintenanceView(Sources(core, core.config))
    assert not view.fresh(DAYS)
    drained(view.making(drained(view.gathering(DAYS))))
    assert view.fresh(DAYS)
    assert not view.fresh(7)
    core.advance(core.now_ms + FRESH_MS + 1)
    assert not view.fresh(DAYS)
    assert view.of_today(DAYS)
    core.advance(core.now_ms + 24 * HOUR_MS)
    assert not view.of_today(DAYS)


def test_a_service_keeps_its_identity_in_the_calendar_when_the_plan_is_made_anew() -> None:
    def events(view: MaintenanceView) -> dict[str, str]:
        drained(view.making(drained(view.gathering(DAYS))))
        book = view.book(DAYS)
        assert book is not None
        told = book.feed.decode().replace("\r\n ", "").split("BEGIN:VEVENT")[1:]
        made = [
            dict(line.split(":", 1) for line in one.splitlines() if ":" in line) for one in told
        ]
        assert len({one["UID"] for one in made}) == len(made) == len(book.services)
        return {row.epc: one["UID"] for row, one in zip(book.services, made, strict=True)}

    core = a_core()
    view = MaintenanceView(Sources(core, core.config))
    first = events(view)
    core.advance(core.now_ms + 9 * 24 * HOUR_MS)
    then = events(view)
    both = set(first) & set(then)
    assert both
    assert all(first[epc] == then[epc] for epc in both)


def test_plans_of_few_lengths_are_kept() -> None:
    core = Core(Config())
    core.advance(1_790_000_000_000)
    view = MaintenanceView(Sources(core, core.config))
    for days in range(1, 8):
        drained(view.making(drained(view.gathering(days))))
    assert [days for days in range(1, 8) if view.book(days) is not None] == [4, 5, 6, 7]


def test_a_shop_without_parts_has_none() -> None:
    core = Core(Config())
    view = ComponentsView(Sources(core, core.config))
    assert drained(view.rows(None, None)) == []
    assert drained(view.kinds(None)) == []
