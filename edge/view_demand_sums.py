"""What stands about some classes, and all of them summed up, with the interval of the sum. Arrays only.

Arrays: n classes, h days ahead from today on, w weeks.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.inference.demand_columns import HORIZON_DAYS, WEEKS
from edge.services import demand

Floats = NDArray[np.float64]

FAR_MS = 1 << 62
PAST_DAYS = 200
"""Closed days that the swings of a sum are taken from."""


@dataclass(frozen=True, slots=True)
class Said:
    """What stands in the columns about some classes: float64[n, h] from today on, by class."""

    mean: Floats
    low: Floats
    high: Floats
    week_low: Floats
    """float64[n, w]: how far the lower end of a week's sum is below its mean."""
    week_high: Floats
    ruled: NDArray[np.bool_]
    """bool[n]: of which classes a simple rule spoke."""
    oldest_ms: int

    @property
    def by_rule(self) -> int:
        """Of how many."""
        return int(self.ruled.sum())


@dataclass(slots=True)
class Summed:
    """Some classes together: sums of means, and of squares of the widths, float64[91] and [13]."""

    stamp: tuple[int, ...]
    """What it was made from; another one, and it is made again."""
    made_ms: int
    """The moment of the state when that began."""
    mean: Floats = field(default_factory=lambda: np.full(HORIZON_DAYS, np.nan))
    low: Floats = field(default_factory=lambda: np.full(HORIZON_DAYS, np.nan))
    high: Floats = field(default_factory=lambda: np.full(HORIZON_DAYS, np.nan))
    week_low: Floats = field(default_factory=lambda: np.full(WEEKS, np.nan))
    week_high: Floats = field(default_factory=lambda: np.full(WEEKS, np.nan))
    classes: int = 0
    unknown: int = 0
    by_rule: int = 0
    oldest_ms: int = FAR_MS
    past: Floats = field(default_factory=lambda: np.zeros(PAST_DAYS))
    """Units of the closed days."""
    blind: NDArray[np.bool_] = field(default_factory=lambda: np.ones(PAST_DAYS, np.bool_))
    """Days on which nobody looked."""
    swings: demand.Swings | None = None

    def add(self, said: Said, past: Floats, blind: NDArray[np.bool_]) -> None:
        """Some classes more."""
        self.past, self.blind = self.past + past, self.blind & blind
        self.classes += len(said.mean)
        self.unknown += int(np.isnan(said.mean).all(axis=1).sum())
        self.by_rule += said.by_rule
        self.oldest_ms = min(self.oldest_ms, said.oldest_ms)
        for name, values in (
            ("mean", said.mean),
            ("low", (said.mean - said.low) ** 2),
            ("high", (said.high - said.mean) ** 2),
            ("week_low", said.week_low**2),
            ("week_high", said.week_high**2),
        ):
            setattr(self, name, _plus(getattr(self, name), values))

    def swing(self) -> None:
        """All are summed up: learn how far such sums were from what came before."""
        if self.classes > 1:
            begun = np.flatnonzero(self.past > 0)
            past = np.where(self.blind, np.nan, self.past)
            self.swings = demand.swings(past[begun[0] :], WEEKS) if len(begun) else None

    def ahead(self, days: int) -> demand.Ahead:
        """The days ahead."""
        mean = self.mean[:days]
        if self.swings is not None:
            week = np.arange(days) // 7
            told = self.swings
            return demand.Ahead(mean, mean * told.day_low[week], mean * told.day_high[week])
        low = np.maximum(mean - np.sqrt(self.low[:days]), 0.0)
        return demand.Ahead(mean, low, mean + np.sqrt(self.high[:days]))


def _plus(total: Floats, values: Floats) -> Floats:
    """A sum of what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    more = np.where(known, values, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), np.nan_to_num(total) + more, total)
