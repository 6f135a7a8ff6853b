"""Columns of predictions as forecasts: a model's answers, older ones, and those of its stand-ins."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.config import Config
from edge.core import Core
from edge.inference.demand_columns import HORIZON_DAYS, WEEKS, columns
from edge.inference.predictions import Predictions
from edge.records import Message
from edge.view_basis import Sources
from edge.view_demand import FRESH_MS, STANDS_MS, DemandView

DAY_MS = 86_400_000
NOON_MS = 1_772_409_600_000 + DAY_MS // 2
COLUMNS = columns()


@dataclass
class Manifest:
    columns: list[Any]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class Model:
    manifest: Manifest
    number: int = 7
    side: None = None


@dataclass
class Slot:
    shown: Predictions
    active: Model
    cursor: int = -1
    swept_at_ms: int = 0


@dataclass
class Scorer:
    slots: dict[str, Slot]


def told(core: Core, sku: str, at_ms: int, units: float = 1.0) -> None:
    body = f'{{"document":"D{at_ms}-{sku}","kind":"sale","sku":"{sku}","quantity":{units}}}'
    core.step([Message("$http/pos_line/till", body.encode(), at_ms)], core.next_ordinal)


def answer(day: float, low: float, high: float) -> NDArray[np.float32]:
    """Every day ``day`` plus its number among the days."""
    days = day + np.arange(HORIZON_DAYS)
    narrow = np.stack([days - low, days, days + high], axis=1)[:28]
    weeks = days.reshape(WEEKS, 7).sum(axis=1)
    wide = np.stack([weeks - 2 * low, weeks, weeks + 2 * high], axis=1)
    parts = (days, narrow.ravel(), weeks, wide.ravel())
    return np.concatenate(parts).astype(np.float32)


@pytest.fixture(name="shop")
def make() -> tuple[Core, Slot, DemandView]:
    core = Core(Config())
    for sku in ("A", "B", "C"):
        told(core, sku, NOON_MS)
    shown = Predictions(core.state.cls, 256)
    slot = Slot(shown, Model(Manifest(COLUMNS)))
    sources = Sources(core, Config(), None, Scorer({"demand": slot}))  # type: ignore[arg-type]
    return core, slot, DemandView(sources)


def ask(view: DemandView, sku: str = "", weeks: int = 2) -> Any:
    for _ in view.preparing("", "", sku):
        pass
    return view.forecast("", "", sku, weeks)


def test_a_models_days_and_weeks_are_told_as_they_stand(
    shop: tuple[Core, Slot, DemandView],
) -> None:
    core, slot, view = shop
    rows = np.array([0, 1])
    slot.shown.put(rows, np.stack([answer(10, 3, 4), answer(20, 4, 3)]), core.now_ms, 7)
    found = ask(view, "A")
    assert [day.units for day in found.days] == [10.0 + i for i in range(14)]
    assert view.said(np.array([0, 1, 2]), 7).ruled.tolist() == [False, False, True]
    assert (found.days[1].low, found.days[1].high) == (8.0, 15.0)
    assert found.weeks[0].units == sum(range(10, 17))
    assert (found.weeks[0].low, found.weeks[0].high) == (91 - 6, 91 + 8)
    both = ask(view)
    assert (both.classes, both.unknown) == (3, 1)
    assert both.basis.fallback  # the third was never scored: the simple rule speaks of it
    assert "1 of 3 classes" in both.basis.rule
    assert both.days[0].units == 30.0
    assert ask(view, "C").days[0].units is None  # it has lived for no whole day


def test_what_was_said_yesterday_begins_with_its_second_day(
    shop: tuple[Core, Slot, DemandView],
) -> None:
    core, slot, view = shop
    slot.shown.put(np.array([0]), answer(10, 3, 4)[None], core.now_ms, 7)
    told(core, "B", NOON_MS + DAY_MS)
    found = ask(view, "A", 13)
    assert found.days[0].units == 11.0
    assert found.days[0].low == 8.0
    assert found.days[26].low is not None
    assert found.days[27].low is None  # 28 days were told, one of them has passed
    assert found.days[90].units is None
    assert found.basis.as_of_ms == NOON_MS
    assert not found.basis.stale
    told(core, "B", NOON_MS + 2 * DAY_MS)
    assert ask(view, "A").basis.stale


def test_another_models_answers_do_not_count(shop: tuple[Core, Slot, DemandView]) -> None:
    core, slot, view = shop
    slot.shown.put(np.array([0]), answer(10, 3, 4)[None], core.now_ms, 6)
    assert ask(view, "A").basis.fallback
    slot.shown.put(np.array([0]), answer(10, 3, 4)[None], core.now_ms, 7)
    slot.swept_at_ms += 1
    told(core, "B", NOON_MS + 2_000)
    assert ask(view, "A").days[0].units == 10.0


def test_a_model_with_other_columns_tells_what_it_has(shop: tuple[Core, Slot, DemandView]) -> None:
    core, slot, view = shop
    slot.active.manifest.columns = [COLUMNS[1], COLUMNS[0]]
    slot.shown.put(np.array([0]), np.array([[6.0, 5.0]], np.float32), core.now_ms, 7)
    found = ask(view, "A")
    assert [day.units for day in found.days[:3]] == [5.0, 6.0, None]
    assert found.weeks[0].low is None


def test_sums_are_made_again_only_when_predictions_change(
    shop: tuple[Core, Slot, DemandView],
) -> None:
    _, slot, view = shop
    assert list(view.preparing("", "", "")) != []
    assert list(view.preparing("", "", "")) == []
    assert view.fresh("", "", "")
    slot.swept_at_ms += 1
    assert not view.fresh("", "", "")
    assert list(view.preparing("", "", "")) != []


def test_a_sum_stands_while_it_is_made_anew_but_not_for_long_nor_for_another_day_or_model(
    shop: tuple[Core, Slot, DemandView],
) -> None:
    core, slot, view = shop
    assert not view.standing("", "", "")
    ask(view)
    slot.swept_at_ms += 1
    assert (view.fresh("", "", ""), view.standing("", "", "")) == (False, True)
    core.advance(core.now_ms + STANDS_MS)
    assert view.standing("", "", "")
    core.advance(core.now_ms + 1)
    assert not view.standing("", "", "")
    ask(view)
    slot.active.number += 1
    assert not view.standing("", "", "")
    ask(view)
    core.advance(core.now_ms + 24 * 3_600_000)
    ask(view)
    told(core, "D", core.now_ms)
    core.advance(core.now_ms + FRESH_MS)  # a class more, seen by then
    assert not view.standing("", "", "")
