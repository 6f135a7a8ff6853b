"""Predictions that wait for what really happens, and what did. Pure: state in, arrays out.

No storage and no schedule: ``pipeline_field.py`` keeps predictions at a day's close and asks here,
once a horizon has passed, what came of them. One table says how each service learns the truth.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.features.state import FeatureState
from edge.features.windows import DayRing
from edge.inference.manifest import Column, Service, stem

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]

KEYS_MAX = 5_000
"""So many keys of a service are kept a day; which, their hashes say, so that they are the same every
day and for every version."""
DAY_UNITS = re.compile(r"units_day_(\d+)")
WEEK_UNITS = re.compile(r"units_week_(\d+)")
SUM_UNITS = re.compile(r"units_(\d+)d")
DAYS_ASKED = (1, 7, 14, 28)
"""Single days ahead that are judged."""
WEEKS_ASKED = (1, 2, 4, 13)
"""Weeks ahead that are judged; sums and probabilities are judged at every horizon told."""


class Kept(Struct, frozen=True, array_like=True):
    """What one version said at the close of one local day; arrays are little endian, C order.

    What it saw is not here: the history keeps the features of that day (``edge.features.history``).
    """

    day: int
    """The day that closed, counted from 1970-01-01."""
    at_ms: int
    keys: list[str]
    columns: list[Column]
    values: bytes
    """float32[n, len(columns)]; NaN where nothing was said."""
    basis: bytes
    """int64[n]: what the truth is measured against, such as failures so far."""


@dataclass(frozen=True, slots=True)
class Question:
    """Columns that speak of the same thing at the same horizon."""

    name: str
    horizon_days: int
    columns: tuple[int, ...]


Basis = Callable[[FeatureState, Ints], Ints]
Truth = Callable[[FeatureState, Ints, Ints, int, Question], Floats]


@dataclass(frozen=True, slots=True)
class Judged:
    """How a service learns what happened.

    ``basis(state, rows)`` is int64[n], taken when the prediction is made; ``truth(state, rows,
    basis, day, question)`` is float64[n] once the horizon after ``day`` has passed, NaN where
    nobody can tell.
    """

    entity: str
    asks: Callable[[str], bool]
    """Whether a question of this name is judged."""
    basis: Basis
    truth: Truth


def questions(service: Service, columns: Sequence[Column]) -> list[Question]:
    """The questions among a model's columns whose answers can be known, in the columns' order."""
    judged = JUDGED.get(service)
    groups: dict[tuple[str, int], list[int]] = {}
    for i, column in enumerate(columns):
        name = stem(column.name)
        if judged is not None and column.horizon_days >= 1 and judged.asks(name):
            groups.setdefault((name, int(column.horizon_days)), []).append(i)
    return [Question(name, days, tuple(at)) for (name, days), at in groups.items()]


def chosen(hashes: Hashes, most: int = KEYS_MAX) -> Ints:
    """Ascending indices of the keys that are kept: all, or those with the smallest hashes.

    ``hashes``: uint64[n], of the keys (``edge.features.keys``).

    >>> chosen(np.array([5, 1, 9, 3], np.uint64), 2).tolist()
    [1, 3]
    """
    if len(hashes) <= most:
        return np.arange(len(hashes))
    return np.sort(np.argpartition(hashes, most - 1)[:most])


# -- what happened --------------------------------------------------------------------------------


def _no_basis(state: FeatureState, rows: Ints) -> Ints:
    return np.zeros(len(rows), np.int64)


def _units_of_days(state: FeatureState, rows: Ints, first_day: int, last_day: int) -> Floats:
    """float64[n]: units rented and sold on the local days from first to last; NaN: not kept."""
    total = np.zeros(len(rows), np.float64)
    for name in ("rented_milli", "sold_milli"):
        ring = state.cls.part[name]
        assert isinstance(ring, DayRing)
        if not (ring.holds(first_day) and last_day < state.today):
            return np.full(len(rows), np.nan)
        days = np.arange(first_day, last_day + 1) % ring.days
        total += ring.ring[days[:, None], rows].sum(axis=0)
    return total / 1000


def _units(state: FeatureState, rows: Ints, basis: Ints, day: int, asked: Question) -> Floats:
    """Of one day, of the seven days that end a week ahead, or of all days until then."""
    spans = ((DAY_UNITS, 1), (WEEK_UNITS, 7), (SUM_UNITS, asked.horizon_days))
    days = next(span for name, span in spans if name.fullmatch(asked.name))
    last = day + asked.horizon_days
    return _units_of_days(state, rows, last - days + 1, last)


def _asks_units(name: str) -> bool:
    day = DAY_UNITS.fullmatch(name)
    if day:
        return int(day[1]) in DAYS_ASKED
    week = WEEK_UNITS.fullmatch(name)
    return int(week[1]) in WEEKS_ASKED if week else SUM_UNITS.fullmatch(name) is not None


def _events(state: FeatureState, rows: Ints) -> Ints:
    col = state.item.col
    return np.asarray(col["failures_total"][rows] + col["repairs_total"][rows], np.int64)


def _failed(state: FeatureState, rows: Ints, basis: Ints, day: int, asked: Question) -> Floats:
    """1 where something broke since; an item that left the shop before it could is not known.

    Failures are counted, not dated: once another day has closed nobody can tell.
    """
    if state.today - 1 > day + asked.horizon_days:
        return np.full(len(rows), np.nan)
    broke = _events(state, rows) > basis
    left = state.item.col["retired"][rows] > 0
    return np.where(broke, 1.0, np.where(left, np.nan, 0.0))


_EVENT = re.compile(r"p_event_\d+d")
_GRADED = re.compile(r"p_grade_(\w+)_\d+d")
_GROUPS: dict[str, frozenset[int]] = {
    "a": frozenset({3}),
    "b": frozenset({2}),
    "c": frozenset({1}),
    "b_or_better": frozenset({2, 3}),
    "b_or_worse": frozenset({1, 2}),
}
"""Words for grades in a question -> groups of three grades, 1 the worst."""


def _asks_grade(name: str) -> bool:
    told = _GRADED.fullmatch(name)
    return told is not None and told[1] in _GROUPS


def _graded(state: FeatureState, rows: Ints, basis: Ints, day: int, asked: Question) -> Floats:
    """1 where the grade at the horizon is one of those asked about; not known of who has none, or
    left, or was looked at too late."""
    told = _GRADED.fullmatch(asked.name)
    assert told is not None, asked
    if state.today - 1 > day + asked.horizon_days:
        return np.full(len(rows), np.nan)
    grade = state.item.col["grade"][rows].astype(np.int64)
    among = np.isin((grade + 2) // 3, sorted(_GROUPS[told[1]]))
    known = (grade > 0) & (state.item.col["retired"][rows] == 0)
    return np.where(known, among.astype(np.float64), np.nan)


JUDGED: dict[Service, Judged] = {
    "demand": Judged("class", _asks_units, _no_basis, _units),
    "inventory": Judged("class", _asks_units, _no_basis, _units),
    "maintenance": Judged("item", lambda name: bool(_EVENT.fullmatch(name)), _events, _failed),
    "quality": Judged("item", _asks_grade, _no_basis, _graded),
}
"""Services whose predictions can be held against what happened."""


def actual(
    service: Service, state: FeatureState, kept: Kept, asked: Question, start: int, stop: int
) -> Floats:
    """float64[stop - start]: what happened to ``kept.keys[start:stop]``; NaN: not known.

    The horizon must have passed; a key that is gone is not known.
    """
    judged = JUDGED[service]
    keys = state.tables[judged.entity].keys
    rows = np.array([keys.get(key) for key in kept.keys[start:stop]], np.int64)
    basis = np.frombuffer(kept.basis, "<i8")[start:stop]
    out = np.full(len(rows), np.nan)
    there = rows >= 0
    if there.any():
        out[there] = judged.truth(state, rows[there], basis[there], kept.day, asked)
    return out
