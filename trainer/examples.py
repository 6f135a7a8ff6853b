"""Feature rows at cutoffs, and labels from what happened strictly after. Never the other way round.

A cutoff is a local day: the features are what the daemon read as that day closed, the label is what
the following days brought. What had not been watched long enough is *censored*: nothing was seen to
happen, and nobody can say that nothing did. No models here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge.features.history import SLOT_DAYS
from edge.features.words import GROUPS
from trainer.history import FeatureTable

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LEFT = [GROUPS.index(group) for group in ("sold", "missing")]


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """The rows of one key, oldest first, as a label sees them; ``n`` rows."""

    table: FeatureTable
    rows: slice
    last_day: int
    """Watched until the end of this day; see :func:`watched_until`."""

    @property
    def days(self) -> Ints:
        """int64[n]"""
        return self.table.day[self.rows]

    def feature(self, name: str) -> Floats:
        """float32[n]"""
        return self.table.x[self.rows, self.table.features.index(name)]

    def amount(self, name: str) -> Floats:
        """float32[n] of a day measure, corrected."""
        return self.table.amounts[name][self.rows]

    def level(self, name: str) -> Ints:
        """int64[n]"""
        return self.table.levels[name][self.rows]


class Label(Protocol):
    """What is to be predicted of one key."""

    def __call__(
        self, history: KeyHistory, key: str, cutoff: int, horizon_days: int
    ) -> tuple[float, bool]:
        """(value or NaN, censored) over ``cutoff < day <= cutoff + horizon_days``."""
        ...


@runtime_checkable
class Whole(Protocol):
    """A label that can be told of all examples at once; it must say the same as one by one."""

    def whole(
        self, table: FeatureTable, rows: Ints, until: Ints, horizon_days: int
    ) -> tuple[Floats, Mask]:
        """(float32[n], bool[n]) for the examples at ``rows`` watched ``until`` days int64[n]."""
        ...


@dataclass(frozen=True, slots=True)
class Examples:
    """``n`` examples of ``f`` features."""

    keys: list[str]
    """[n]"""
    cutoffs: Ints
    """int64[n]: the local day at whose close the features were read."""
    features: tuple[str, ...]
    x: Floats
    """float32[n, f]"""
    y: Floats
    """float32[n]: the label; NaN where censored without one."""
    censored: Mask
    """bool[n]: not watched until the end of the horizon, and not seen to happen before."""
    rows: Ints
    """int64[n]: rows of the table they came from."""

    def __len__(self) -> int:
        return len(self.keys)

    def until(self, day: int, horizon_days: int) -> "Examples":
        """Those whose label was complete by the end of ``day``: what a fold may learn from."""
        return self.where(self.cutoffs + horizon_days <= day)

    def where(self, chosen: Mask) -> "Examples":
        """Some of them."""
        at = np.flatnonzero(chosen)
        return Examples(
            [self.keys[i] for i in at.tolist()],
            self.cutoffs[at],
            self.features,
            self.x[at],
            self.y[at],
            self.censored[at],
            self.rows[at],
        )


def examples(
    table: FeatureTable,
    features: Sequence[str],
    cutoffs: Sequence[int],
    label: Label,
    horizon_days: int,
) -> Examples:
    """Examples of a table at local days, ascending by cutoff and key.

    Classes: their row of each cutoff. Items: for each cutoff their row of the weekly turn within
    the seven days that end with it, whose day becomes the cutoff: so every item counts once a week,
    whatever happened to it. A key without such a row has no example there.
    """
    rows = _rows_at(table, cutoffs)
    number = table.key_of_rows()[rows]
    until = watched_until(table)[number]
    if isinstance(label, Whole):
        y, censored = label.whole(table, rows, until, horizon_days)
    else:
        y, censored = _one_by_one(table, rows, number, until, label, horizon_days)
    columns = np.array([table.features.index(name) for name in features], np.int64)
    return Examples(
        keys=[table.keys[k] for k in number.tolist()],
        cutoffs=table.day[rows],
        features=tuple(features),
        x=table.x[np.ix_(rows, columns)],
        y=y,
        censored=censored,
        rows=rows,
    )


def _rows_at(table: FeatureTable, cutoffs: Sequence[int]) -> Ints:
    wanted = np.zeros(0, np.int64)
    if len(cutoffs):
        days = np.asarray(cutoffs, np.int64)
        if table.entity == "item":
            days = np.unique((days[:, None] - np.arange(SLOT_DAYS)).reshape(-1))
        wanted = np.unique(days)
    chosen = np.isin(table.day, wanted)
    if table.entity == "item":
        chosen &= table.on_turn()
    rows = np.flatnonzero(chosen)
    return np.asarray(rows[np.lexsort((rows, table.day[rows]))], np.int64)


def watched_until(table: FeatureTable) -> Ints:
    """int64[k]: the last day on which each key was under watch.

    An item has a row every week while it is known, so one that has none for more than a week was
    forgotten. One that is retired, sold or missing to the end was watched until the first row that
    says so; this needs the levels ``status_group`` and ``retired`` in the table.
    """
    if not len(table.day):
        return np.zeros(0, np.int64)
    last = table.day[table.start[1:] - 1]
    slack = SLOT_DAYS - 1 if table.entity == "item" else 0
    until = np.minimum(last + slack, table.last_day)
    if {"status_group", "retired"} <= table.levels.keys():
        gone = (table.levels["retired"] > 0) | np.isin(table.levels["status_group"], _LEFT)
        there = np.where(gone, -1, np.arange(len(gone)))
        newest_there = np.maximum.reduceat(there, table.start[:-1])
        first_gone = np.maximum(newest_there + 1, table.start[:-1])
        left = first_gone < table.start[1:]
        until[left] = table.day[first_gone[left]]
    return np.asarray(until, np.int64)


def _one_by_one(
    table: FeatureTable, rows: Ints, number: Ints, until: Ints, label: Label, horizon_days: int
) -> tuple[Floats, Mask]:
    y, censored = np.empty(len(rows), np.float32), np.empty(len(rows), np.bool_)
    for i, (row, key, last) in enumerate(
        zip(rows.tolist(), number.tolist(), until.tolist(), strict=True)
    ):
        mine = slice(int(table.start[key]), int(table.start[key + 1]))
        history = KeyHistory(table, mine, last)
        y[i], censored[i] = label(history, table.keys[key], int(table.day[row]), horizon_days)
    return y, censored


@dataclass(frozen=True, slots=True)
class Rises:
    """Whether a count (failures, repairs, rentals ever) is higher at the end of the horizon.

    1 when it was seen to be, 0 when it was watched throughout and is not, else NaN and censored.
    The last row within the horizon decides: what was undone by then did not happen.
    """

    feature: str

    def __call__(
        self, history: KeyHistory, key: str, cutoff: int, horizon_days: int
    ) -> tuple[float, bool]:
        """One key at one cutoff."""
        days, count = history.days, history.feature(self.feature)
        before = count[days == cutoff]
        after = count[(days > cutoff) & (days <= cutoff + horizon_days)]
        if len(before) and len(after) and after[-1] > before[0]:
            return 1.0, False
        watched = history.last_day >= cutoff + horizon_days
        return (0.0, False) if watched else (float("nan"), True)

    def whole(
        self, table: FeatureTable, rows: Ints, until: Ints, horizon_days: int
    ) -> tuple[Floats, Mask]:
        """All at once."""
        column = table.x[:, table.features.index(self.feature)]
        last = _last_row_within(table, rows, horizon_days)
        rose = column[last] > column[rows]
        censored = ~rose & (until < table.day[rows] + horizon_days)
        return np.where(censored, np.nan, rose).astype(np.float32), censored


@dataclass(frozen=True, slots=True)
class DaysUntil:
    """Days until a count is first higher; without that, days watched (censored)."""

    feature: str

    def __call__(
        self, history: KeyHistory, key: str, cutoff: int, horizon_days: int
    ) -> tuple[float, bool]:
        """One key at one cutoff."""
        days, count = history.days, history.feature(self.feature)
        before = count[days == cutoff]
        for day, now in zip(days.tolist(), count.tolist(), strict=True):
            if cutoff < day <= cutoff + horizon_days and len(before) and now > before[0]:
                return float(day - cutoff), False
        return float(max(min(history.last_day - cutoff, horizon_days), 0)), True


@dataclass(frozen=True, slots=True)
class Total:
    """Sum of a class's day measure over the horizon; censored where a day of it is not known."""

    measure: str

    def __call__(
        self, history: KeyHistory, key: str, cutoff: int, horizon_days: int
    ) -> tuple[float, bool]:
        """One key at one cutoff."""
        after = (history.days > cutoff) & (history.days <= cutoff + horizon_days)
        total = float(history.amount(self.measure)[after].astype(np.float64).sum())
        censored = int(after.sum()) < horizon_days or total != total
        return (float("nan"), True) if censored else (total, False)

    def whole(
        self, table: FeatureTable, rows: Ints, until: Ints, horizon_days: int
    ) -> tuple[Floats, Mask]:
        """All at once, by running sums."""
        amounts = table.amounts[self.measure].astype(np.float64)
        unknown = np.isnan(amounts)  # nobody looked that day
        running = np.concatenate([[0.0], np.cumsum(np.where(unknown, 0.0, amounts))])
        missing = np.concatenate([[0], np.cumsum(unknown)])
        last = _last_row_within(table, rows, horizon_days)
        censored = (last - rows < horizon_days) | (missing[last + 1] > missing[rows + 1])
        total = running[last + 1] - running[rows + 1]
        return np.where(censored, np.nan, total).astype(np.float32), censored


def _last_row_within(table: FeatureTable, rows: Ints, horizon_days: int) -> Ints:
    """int64[n]: each key's last row with day <= cutoff + horizon; the row itself at the least."""
    if not len(table.day):
        return rows
    number = table.key_of_rows()
    span = int(table.day.max()) + horizon_days + 1
    place = number * span + table.day
    wanted = number[rows] * span + table.day[rows] + horizon_days
    return np.asarray(np.searchsorted(place, wanted, side="right") - 1, np.int64)
