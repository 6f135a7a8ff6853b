"""Columns of items and the money behind them, against the state read one by one, with shipped models."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.config import Config, Crew, Maintenance
from edge.core import Core
from edge.events import ItemLink, ItemScan, PosLine, StockReceipt
from edge.features import catalog
from edge.features.windows import DayRing
from edge.inference.manifest import Service, decode_manifest
from edge.inference.model import Loaded
from edge.inference.predict import SERVICES
from edge.inference.scorer import Scorer
from edge.records import Message
from edge.services.maintenance import due_days, hazards
from edge.services.planning import planned
from edge.simulate.days import DaysSettings, Kind, ShopDays, Thing
from edge.view_basis import Sources
from edge.view_fleet import (
    PRIOR_OWN,
    PRIOR_REPAIRS,
    class_money,
    drained,
    failure_cents,
    items,
    repair_costs,
)
from edge.view_maintenance import MaintenanceView, effect_by, effect_of
from edge.view_maintenance_inputs import capacity, lost_cents, who_may
from edge.view_quality import QualityView

SHIPPED = Path(__file__).resolve().parents[1] / "models"
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def core() -> Core:
    """A simulated shop after four months."""
    made = Core(Config())
    settings = DaysSettings(
        days=120, rental_classes=8, articles=4, items_per_class=8, rentals_a_day=14
    )
    for batch in ShopDays(settings).batches():
        made.step(batch.messages, batch.first)
        made.advance(batch.beat_ms)
    made.advance(made.now_ms + DAY_MS)
    return made


def scored(core: Core, *services: Service, own: dict[str, float] | None = None) -> Scorer:
    """With the models that are shipped; ``own``: as if learnt here, with these figures."""
    scorer = Scorer(core.state, core.config.models, lambda *_: None)
    for number, service in enumerate(services, 1):
        (folder,) = (SHIPPED / service).iterdir()
        manifest = decode_manifest((folder / "manifest.json").read_bytes())
        if own is not None:
            here = msgspec.structs.replace(manifest.training, reason="asked")
            manifest = msgspec.structs.replace(manifest, metrics=own, training=here)
        most = SERVICES[service].columns_max
        model = (folder / "model.onnx").read_bytes()
        scorer.use(service, Loaded(manifest, model, None, core.state, number, most))

    async def beats() -> None:
        for _ in range(3):
            await scorer.beat()

    asyncio.run(beats())
    return scorer


def test_items_are_those_of_the_shop_with_their_columns(core: Core) -> None:
    found = items(Sources(core, core.config))
    state = core.state
    there = [
        row
        for row in state.item.keys.live().tolist()
        if state.item.col["class_row"][row] >= 0
        and not state.item.col["retired"][row]
        and state.group_of(int(state.item.col["status_row"][row])) not in ("sold", "missing")
    ]
    assert found.rows.tolist() == there
    assert found.keys == [state.item.keys.key(row) for row in there]
    grade = catalog.matrix(state, "item", found.rows, ("grade_last",))[:, 0]
    assert found.grade == pytest.approx(grade, nan_ok=True)
    assert found.on_rent.tolist() == [
        state.group_of(int(state.item.col["status_row"][row])) == "on_rent" for row in there
    ]
    assert found.class_rows[found.cls].tolist() == state.item.col["class_row"][found.rows].tolist()
    assert not found.by_model.any()
    some = items(Sources(core, core.config), np.array(there[3:5], np.int64))
    assert some.keys == found.keys[3:5]


def test_a_day_on_rent_earns_the_years_revenue_over_its_days(core: Core) -> None:
    found = items(Sources(core, core.config))
    money = drained(class_money(Sources(core, core.config), found.class_rows, 25.0))
    for i, row in enumerate(found.class_rows.tolist()):
        rings = [
            core.state.cls.part[n]
            for n in ("revenue_cents", "on_rent_close_milli", "on_hand_close_milli", "rented_milli")
        ]
        earned, out, here, went = (
            ring.series(np.array([row]), 365)[:-1, 0] for ring in rings if isinstance(ring, DayRing)
        )
        assert money.rent_day_cents[i] == pytest.approx(earned.sum() / (out.sum() / 1000))
        assert (money.out[:, i] == out // 1000).all()
        assert 118 <= money.known_days[i] <= 122
        empty = [
            (here[d] < 1000 and out[d] > 0) or went[d] == here[d - 1] > 0
            for d in range(len(here) - 56, len(here))
        ]
        assert money.scarce[i].mean() == pytest.approx(np.mean(empty), abs=0.02)
    assert money.guessed.all()
    assert money.new_cents == pytest.approx(25 * money.price_cents)


def test_a_class_is_scarce_as_often_as_somebody_goes_away_without() -> None:
    class Watched(ShopDays):
        """Also counts who wanted what was not there."""

        def _take(self, kind: Kind, many: int, day: int) -> list[Thing]:
            taken = super()._take(kind, many, day)
            missed[kind.sku, day] = missed.get((kind.sku, day), 0) + many - len(taken)
            return taken

    missed: dict[tuple[str, int], int] = {}
    core, days = Core(Config()), 120
    shop = Watched(DaysSettings(days=days, rental_classes=8, items_per_class=8, rentals_a_day=11))
    for batch in shop.batches():
        core.step(batch.messages, batch.first)
        core.advance(batch.beat_ms)
    core.advance(core.now_ms + DAY_MS)
    found = items(Sources(core, core.config))
    money = drained(class_money(Sources(core, core.config), found.class_rows, 25.0))
    last = shop.settings.first_day + days
    truly = [
        np.mean([missed.get((key.partition("\x1f")[2], last - d), 0) > 0 for d in range(1, 57)])
        for key in core.state.cls.keys.keys_of(found.class_rows.tolist())
    ]
    told = money.scarce.mean(axis=1)
    assert max(truly) > 0.3
    assert min(truly) < 0.1
    assert told == pytest.approx(np.array(truly), abs=0.12)
    assert told.mean() == pytest.approx(np.mean(truly), abs=0.05)


def test_repairs_cost_what_they_cost_here_as_they_are_many(core: Core) -> None:
    found, settings = items(Sources(core, core.config)), Maintenance()
    cents, hours, by_class = repair_costs(found, settings)
    usual = settings.repair_parts_cents + settings.repair_hours * settings.labour_cents
    for i in (0, 5, 20):
        of = found.cls == found.cls[i]
        repairs, cost = found.col["repairs_total"], found.col["repair_cost_cents_total"]
        cost = np.where(repairs > 0, cost, 0)
        mean = (cost[of].sum() + PRIOR_REPAIRS * usual) / (repairs[of].sum() + PRIOR_REPAIRS)
        assert by_class[found.cls[i]] == pytest.approx(mean)
        own = (cost[i] + PRIOR_OWN * mean) / (repairs[i] + PRIOR_OWN)
        assert cents[i] == pytest.approx(own)
    assert (hours > 0).all()


def test_a_failure_costs_at_most_a_new_one(core: Core) -> None:
    sources, settings = Sources(core, core.config), Maintenance()
    found = items(sources)
    money = drained(class_money(sources, found.class_rows, 0.5))  # a new one costs half a rental
    cents, _, _ = repair_costs(found, settings)
    told = failure_cents(found, money, cents, settings)
    cheap = 0
    for i in range(len(found)):
        hurried, new = cents[i] * settings.emergency_factor, money.new_cents[found.cls[i]]
        assert told[i] == (hurried if np.isnan(new) or hurried < new else new)
        cheap += told[i] < hurried
    assert cheap > 0


def test_chances_are_the_models_where_one_answers(core: Core) -> None:
    scorer = scored(core, "maintenance")
    found = items(Sources(core, core.config, None, scorer))
    slot = scorer.slots["maintenance"]
    assert slot.shown is not None
    assert slot.active is not None
    names = [column.name for column in slot.active.manifest.columns]
    wanted = [names.index(f"p_event_{days}d") for days in (7, 14, 30)]
    assert found.by_model.all()
    assert found.chances == pytest.approx(slot.shown.values[found.rows][:, wanted].astype(float))
    assert (np.diff(found.chances, axis=1) >= -1e-6).all()


def test_a_plan_with_the_shipped_model_serves_the_likelier_first(core: Core) -> None:
    sources = Sources(core, core.config, None, scored(core, "maintenance"))
    view = MaintenanceView(sources)
    gathered = drained(view.gathering(30))
    plan = planned(gathered.inputs)
    chance = gathered.items.chances[:, 2]
    served = plan.day >= 0
    left = ~served & ~gathered.items.in_repair
    assert served.any()
    if left.any():
        assert chance[served].mean() > chance[left].mean()
    assert not gathered.items.on_rent[plan.day == 0].any()
    assert not served[gathered.items.in_repair].any()


def test_what_a_service_leaves_is_told_by_the_model_of_the_item_just_served(core: Core) -> None:
    scorer = scored(core, "maintenance")
    gathered = drained(MaintenanceView(Sources(core, core.config, None, scorer)).gathering(30))
    inputs, rows = gathered.inputs, gathered.items.rows
    assert inputs.effect_by_model.all()
    col = core.state.item.col
    kept = {n: col[n].copy() for n in ("last_repair_ms", "last_maintenance_ms", "defects")}
    try:  # the state itself as it would be, and scored anew
        col["last_repair_ms"][rows] = col["last_maintenance_ms"][rows] = core.state.now_ms
        col["defects"][rows] = 0
        served = items(Sources(core, core.config, None, scored(core, "maintenance")))
    finally:
        for name, values in kept.items():
            col[name][:] = values
    slow = hazards(served.chances, inputs.horizons)[:, -1]
    assert inputs.fresh.rate == pytest.approx(slow, rel=1e-4)


def test_where_the_shops_own_model_tells_how_items_age_a_service_leaves_what_that_says(
    core: Core,
) -> None:
    known = {"ageing_shape": 1.6}
    scorer = scored(core, "maintenance", own=known)
    gathered = drained(MaintenanceView(Sources(core, core.config, None, scorer)).gathering(30))
    inputs, found = gathered.inputs, gathered.items
    assert inputs.effect_by_model.all()
    worn = hazards(inputs.chances, inputs.horizons)[:, -1]
    age = np.nan_to_num(found.days_since("last_repair_ms", "first_seen_ms"))
    for i in range(0, len(found), 7):
        as_old = np.array([[age[i] + 15.0]])  # the middle of the longest horizon
        told = inputs.fresh.only(slice(i, i + 1)).cumulated(worn[i : i + 1], as_old)[0, 0]
        assert told == pytest.approx(worn[i] * as_old[0, 0] / 1.6)
    assert effect_of(inputs, 0) == pytest.approx(0.75)
    slow = due_days(worn, age, 1.6, inputs.costs, inputs.horizons)
    assert inputs.due_days == pytest.approx(slow)
    plain = drained(
        MaintenanceView(
            Sources(core, core.config, None, scored(core, "maintenance", own={}))
        ).gathering(30)
    ).inputs
    assert (plain.due_days == 0).all()
    assert (plain.fresh.worn_days > plain.fresh.from_days).all()
    assert plain.fresh.from_days == pytest.approx(np.full(len(found), 15.0))  # the model was asked


def test_how_items_age_is_not_taken_from_a_shop_that_was_another(core: Core) -> None:
    scorer = scored(core, "maintenance")
    told = scorer.slots["maintenance"].active
    assert told is not None
    told.manifest.metrics["ageing_shape"] = 3.0
    fresh = drained(
        MaintenanceView(Sources(core, core.config, None, scorer)).gathering(30)
    ).inputs.fresh
    assert fresh.from_days == pytest.approx(np.full(len(fresh.rate), 15.0))


def test_where_no_model_speaks_the_configured_effect_stands_in_and_says_so(core: Core) -> None:
    gathered = drained(MaintenanceView(Sources(core, core.config)).gathering(30))
    inputs = gathered.inputs
    assert not inputs.effect_by_model.any()
    worn = hazards(inputs.chances, inputs.horizons)[:, -1]
    assert inputs.fresh.rate == pytest.approx((1 - core.config.maintenance.effect) * worn)
    assert effect_by(inputs, 0) == "configured"
    assert effect_of(inputs, 0) == pytest.approx(core.config.maintenance.effect)


def test_a_day_away_costs_nothing_where_something_is_always_left(core: Core) -> None:
    found = items(Sources(core, core.config))
    money = drained(class_money(Sources(core, core.config), found.class_rows, 25.0))
    scarce = money.scarce.copy()
    scarce[0] = 0.0
    monday = 20_416 - 7 * 30  # 2025-04-28
    scarce[1] = [0, 0, 0, 0, 0.5, 0, 0]
    lost = lost_cents(replace(money, scarce=scarce), monday, 14)
    earned = money.rent_day_cents
    assert (lost[0] == 0).all()
    assert lost[1] == pytest.approx(np.tile([0, 0, 0, 0, 0.5, 0, 0], 2) * earned[1])
    assert (lost <= np.nan_to_num(earned)[:, None] + 1e-9).all()


def test_grades_ahead_are_the_models_at_its_horizon(core: Core) -> None:
    scorer = scored(core, "quality", "maintenance")
    view = QualityView(Sources(core, core.config, None, scorer))
    drained(view.making(drained(view.gathering())))
    book = view.book()
    assert book is not None
    slot = scorer.slots["quality"]
    assert slot.active is not None
    assert slot.shown is not None
    names = [column.name for column in slot.active.manifest.columns]
    for i in (0, 7, 30):
        found = view.degradation(book, book.items.keys[i])
        assert found is not None
        at_90 = next(point for point in found.curve if point.days == 90)
        told = slot.shown.values[book.items.rows[i]]
        for group, value in (("a", at_90.p_a), ("b", at_90.p_b), ("c", at_90.p_c)):
            assert value == pytest.approx(
                float(told[names.index(f"p_grade_{group}_90d")]), abs=1e-4
            )


def test_an_item_on_rent_is_planned_after_it_is_due() -> None:
    core = Core(Config())
    now_ms = 1_790_000_000_000
    epc = "AB" * 12
    told = [
        ItemLink(epc=epc, sku="TENT", at=now_ms),
        StockReceipt(sku="TENT", quantity=1, at=now_ms),
        ItemScan(epc=epc, scan_type="Rental", at=now_ms),
        PosLine(
            document="D", kind="rental", sku="TENT", epc=epc, due=now_ms + 5 * DAY_MS, at=now_ms
        ),
    ]
    core.step([Message("rfid3/main/events/office", msgspec.json.encode(told), now_ms)], 0)
    view = MaintenanceView(Sources(core, core.config))
    gathered = drained(view.gathering(30))
    assert gathered.inputs.earliest.tolist() == [5]


def test_a_class_goes_to_the_crew_that_the_catalogue_names() -> None:
    crews = [
        Crew(name="a", categories=["Linen"], hours=3.0, weekdays=["mon"]),
        Crew(name="b", hours=8.0),
    ]
    may = who_may(crews, ["Linen", "Tents", "Linen"], ["", "", "b"])
    assert may.tolist() == [[True, True], [False, True], [False, True]]
    hours = capacity(crews, 20_412, 7)  # a Thursday
    assert hours[:, 0].tolist() == [0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0]
    assert hours[:, 1].tolist() == [8.0, 8.0, 0.0, 0.0, 8.0, 8.0, 8.0]
