"""What the calendar says of a day: its phase, its date, its holidays. No demand, no clock.

Moments are observations counted from 1970-01-01 in the shop's calendar: days with a period of 7,
hours with a period of 24; any other period has no calendar, only phases.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAMES = (
    *("weekday", "month_day", "month", "year_day", "hour"),
    *("holiday", "days_after_holiday", "days_before_holiday"),
)
"""Columns of ``Calendar.columns``."""
FAR_DAYS = 7
"""A holiday further away than this is no longer felt."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """``holidays`` are day numbers; ``closing`` the share of usual demand on each (0: closed)."""

    period: int = 7
    holidays: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    closing: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def dated(self) -> bool:
        """Whether observations have dates at all."""
        return self.period in (7, 24)

    def day(self, moments: Ints) -> Ints:
        """int64[n]: the day numbers of observations."""
        return moments // 24 if self.period == 24 else moments

    def phase(self, moments: Ints, phases: int) -> Ints:
        """int64[n]: place of each observation in a profile of ``phases`` places."""
        return np.asarray(moments % phases)

    def shares(self, moments: Ints) -> Floats:
        """float64[n]: share of usual demand left by holidays; 1 on ordinary days."""
        out = np.ones(len(moments))
        if self.dated and len(self.holidays):
            day = self.day(moments)
            at = np.minimum(np.searchsorted(self.holidays, day), len(self.holidays) - 1)
            out = np.where(self.holidays[at] == day, self.closing[at], 1.0)
        return out

    def columns(self, moments: Ints) -> Floats:
        """float64[n, len(NAMES)]; NaN where a calendar has no such thing."""
        out = np.full((len(moments), len(NAMES)), np.nan)
        if not self.dated:
            out[:, 2] = moments % self.period
            return out
        day = self.day(moments)
        date = day.astype("datetime64[D]")
        month = date.astype("datetime64[M]")
        year = date.astype("datetime64[Y]")
        out[:, 0] = (day + 3) % 7
        out[:, 1] = (date - month).astype(np.int64) + 1
        out[:, 2] = month.astype(np.int64) % 12 + 1
        out[:, 3] = (date - year).astype(np.int64) + 1
        if self.period == 24:
            out[:, 4] = moments % 24
        out[:, 5:] = self._near(day)
        return out

    def _near(self, day: Ints) -> Floats:
        if not len(self.holidays):
            return np.tile([0.0, FAR_DAYS, FAR_DAYS], (len(day), 1))
        edges = np.concatenate([[-(1 << 40)], self.holidays, [1 << 40]])
        after = day - edges[np.searchsorted(edges, day, side="right") - 1]
        before = edges[np.searchsorted(edges, day)] - day
        near = np.minimum(np.stack([after, before]), FAR_DAYS)
        return np.stack([after == 0, near[0], near[1]], axis=1).astype(np.float64)


def sorted_days(days: Sequence[int]) -> Ints:
    """int64[n] without repeats."""
    return np.unique(np.asarray(days, np.int64))
