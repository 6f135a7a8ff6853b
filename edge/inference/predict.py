"""The services at the edge, in order of need: how each is asked, and what it says without a model.

No scoring here and no models: ``scorer.py`` walks this table.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.features.catalog import matrix
from edge.features.state import FeatureState
from edge.inference import demand, demand_fallback, tabular
from edge.inference.manifest import Column, Entity, Manifest, Service
from edge.inference.model import Loaded

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

DAY_MS = 86_400_000
HISTORY_DAYS = 28
MAINTENANCE_DAYS = (7, 14, 30)
ITEMS_LOOKED_AT = 20_000
PRIOR_EVENTS, PRIOR_ITEM_DAYS = 10, 3_650
"""A shop's rate counts as if so much had been seen before: the repairs of a first day are no rate."""
MOMENTS = (
    *("first_seen_ms", "last_scan_ms", "last_inspection_ms"),
    *("last_maintenance_ms", "last_repair_ms"),
)
"""Columns of items that say how long something has been known of them."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """A simple rule that speaks where no model does; its answers are flagged."""

    rule: str
    """What it does, for people."""
    columns: tuple[Column, ...]
    answer: Callable[[FeatureState, Ints], Floats]
    """``answer(state, rows)`` gives float32[n, len(columns)], NaN where the rule knows nothing."""
    name: str = "rule"
    """What its answers are flagged with."""
    speakers: Callable[[FeatureState, Ints], Sequence[str]] | None = None
    """Where it has several ways: the flag of each row, int64[n] of them."""
    rules: Mapping[Any, str] = field(default_factory=dict)
    """The rule in words by such a flag."""

    def speaker(self, state: FeatureState, row: int) -> str:
        """Who answers for a row."""
        if self.speakers is None:
            return self.name
        return self.speakers(state, np.array([row], np.int64))[0]


def _fit(manifest: Manifest) -> str:
    return ""


def _nobody(state: FeatureState, row: int, model: Loaded) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class ServiceAtEdge:
    """How a service is asked.

    ``prepare(state, rows, model)`` fills the first n rows of the model's inputs for ``rows``:
    int64[n], n <= ``ROWS_MAX``; ``interpret(model, n)`` gives float32[n, o], which the next call
    may overwrite.
    """

    entity: Entity
    columns_max: int
    """Most columns of an answer: it bounds the memory of the predictions."""
    fallback: Fallback
    when: Literal["touched", "day"] = "touched"
    """``touched``: rows that something happened to; ``day``: every row, at each day's close."""
    slice_first: int = 16
    """Rows of the first slice of a model, while nobody knows yet how long it takes."""
    prepare: Callable[[FeatureState, Ints, Loaded], None] = tabular.prepare
    interpret: Callable[[Loaded, int], Floats] = tabular.interpret
    others: Callable[[Loaded], Ints] = tabular.others
    """int64[m]: which of the rows interpreted last somebody else answered in the model's place."""
    unfit: Callable[[Manifest], str] = _fit
    """Why a model that the door let in cannot be asked all the same; empty: it can."""
    stand_in: Callable[[FeatureState, int, Loaded], str | None] = _nobody
    """Who answers for a row in place of a model that cannot speak of it; ``None``: the model does.
    What is said then is among what ``interpret`` gives."""

    @property
    def plain(self) -> bool:
        """Whether the short way for one row may be taken."""
        return self.prepare is tabular.prepare and self.interpret is tabular.interpret


def _units_ahead(*days: int) -> tuple[Column, ...]:
    return tuple(Column(name=f"units_{d}d", unit="units", horizon_days=d, lowest=0.0) for d in days)


def _daily_average(state: FeatureState, rows: Ints) -> Floats:
    """float32[n]: units rented and sold a day over the last four weeks."""
    moved = matrix(state, "class", rows, ("rented_units_28d", "sold_units_28d"))
    return np.asarray(np.maximum(moved.sum(axis=1), 0) / HISTORY_DAYS, np.float32)


def _times_average(*days: int) -> Callable[[FeatureState, Ints], Floats]:
    ahead = np.array(days, np.float32)
    return lambda state, rows: _daily_average(state, rows)[:, None] * ahead


def known_since_ms(state: FeatureState, rows: Ints) -> Ints:
    """int64[n]: the oldest moment known of items; 0: nothing is.

    Events told later than they happened reach further back than the first time an item was heard of.
    """
    found = np.full(len(rows), np.iinfo(np.int64).max)
    for name in MOMENTS:
        at_ms = state.item.col[name][rows]
        np.minimum(found, np.where(at_ms > 0, at_ms, found), out=found)
    return np.where(found < np.iinfo(np.int64).max, found, 0)


def _base_rate(state: FeatureState, rows: Ints) -> Floats:
    """float32[n, 3]: the whole shop's failures or repairs by item and day, for every item the same.

    A failure and the repair that follows it are one event; many shops tell only one of the two. Of a large shop every so many-th item is looked at, so that nobody waits.
    """
    known = state.item.keys.live()
    known = known[:: len(known) // ITEMS_LOOKED_AT + 1]
    col = state.item.col
    begun_ms = known_since_ms(state, known)
    days = float(np.maximum(state.now_ms - begun_ms[begun_ms > 0], 0).sum()) / DAY_MS
    events = int(np.maximum(col["failures_total"][known], col["repairs_total"][known]).sum())
    rate = (events + PRIOR_EVENTS) / (days + PRIOR_ITEM_DAYS) if len(known) else math.nan
    chances = [1 - math.exp(-rate * d) for d in MAINTENANCE_DAYS]
    return np.tile(np.array(chances, np.float32), (len(rows), 1))


def _same_grade(state: FeatureState, rows: Ints) -> Floats:
    return matrix(state, "item", rows, ("grade_last",))


def _nothing(state: FeatureState, rows: Ints) -> Floats:
    return np.zeros((len(rows), 0), np.float32)


SERVICES: dict[Service, ServiceAtEdge] = {
    "demand": ServiceAtEdge(
        entity="class",
        columns_max=256,
        when="day",
        fallback=Fallback(
            "the average of the days there are, else the units in [demand.manual]",
            demand_fallback.COLUMNS,
            demand.without_model,
            "historical_average",
            demand.speakers,
            demand_fallback.RULES,
        ),
        slice_first=1,
        prepare=demand.prepare,
        interpret=demand.interpret,
        others=demand.others,
        unfit=demand.unfit,
        stand_in=demand.stand_in,
    ),
    "maintenance": ServiceAtEdge(
        entity="item",
        columns_max=12,
        fallback=Fallback(
            "the whole shop's rate of failures or repairs",
            tuple(
                Column(name=f"p_event_{d}d", unit="1", horizon_days=d, lowest=0.0, highest=1.0)
                for d in MAINTENANCE_DAYS
            ),
            _base_rate,
            "base_rate",
        ),
    ),
    "quality": ServiceAtEdge(
        entity="item",
        columns_max=24,
        fallback=Fallback(
            "the grade stays as it is",
            (Column(name="grade", unit="grade", horizon_days=30.0, lowest=1.0, highest=9.0),),
            _same_grade,
            "last_grade",
        ),
    ),
    "pricing": ServiceAtEdge(
        entity="class",
        columns_max=32,
        fallback=Fallback(
            "nothing is said of prices without a model", (), _nothing, "nothing_known"
        ),
    ),
    "inventory": ServiceAtEdge(
        entity="class",
        columns_max=64,
        fallback=Fallback(
            f"the average of the last {HISTORY_DAYS} days, over a lead time of 7 and 14 days",
            _units_ahead(7, 14),
            _times_average(7, 14),
            "historical_average",
        ),
    ),
    "packs": ServiceAtEdge(
        entity="class",
        columns_max=32,
        fallback=Fallback(
            "nothing is said of packs without a model", (), _nothing, "nothing_known"
        ),
    ),
}
"""Every service, those first that others build on."""
