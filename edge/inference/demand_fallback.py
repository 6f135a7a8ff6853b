"""Who speaks of a class where no model of demand can: its own average, else what a person said. Pure.

No fitting and no models. Every answer says who made it: the average of the days there are, by weekday
once there are enough of them; the units that the configuration gives for the class, its category or any
class; or that nothing is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.config import ManualDemand
from edge.inference.demand_columns import (
    DAILY_QUANTILE_DAYS,
    HORIZON_DAYS,
    LEVELS,
    WEEKS,
    columns,
    joined,
)
from edge.inference.velocity import demand_quantile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Speaker = Literal["historical_average", "manual", "nothing_known"]
SPEAKERS: tuple[Speaker, ...] = ("historical_average", "manual", "nothing_known")
RULES: dict[Speaker, str] = {
    "historical_average": "the average of the days known of the last 91, by weekday where they are enough",
    "manual": "the units a day that [demand.manual] of the configuration gives",
    "nothing_known": "nothing is known of it: no day of history, and no units in [demand.manual]",
}

AVERAGE_DAYS = 91
WEEKDAYS_FROM_DAYS = 28
"""Known days from which on weekdays are told apart, and weeks by the weeks there were."""
LEAST_DAYS = 7
"""One sale is no daily habit: days before the first demand count as days without, up to so many."""
ENOUGH_DAYS = 14
"""A model is asked about a class of which so many of the last ``AVERAGE_DAYS`` days are known."""
UNITS_TOLD = 5.0
"""A weekday that should have brought so many units by now is believed by half."""


@dataclass(frozen=True, slots=True)
class Week:
    """Of n classes: ``mean`` [n, 7] and ``quantiles`` [n, 7, 3] of the next seven days, ``sums``
    [n, 3] quantiles of their sum."""

    mean: Floats
    quantiles: Floats
    sums: Floats

    def answer(self) -> NDArray[np.float32]:
        """float32[n, len(columns())]: the same week again and again."""
        day = np.arange(HORIZON_DAYS) % 7
        near = day[:DAILY_QUANTILE_DAYS]
        n = len(self.mean)
        weeks = np.repeat(self.mean.sum(axis=1)[:, None], WEEKS, axis=1)
        wide = np.broadcast_to(self.sums[:, None], (n, WEEKS, len(LEVELS)))
        told = joined(self.mean[:, day], self.quantiles[:, near], weeks, wide)
        return told.astype(np.float32)

    def put(self, rows: Ints, of: "Week") -> None:
        """Take over other rows."""
        self.mean[rows], self.quantiles[rows], self.sums[rows] = of.mean, of.quantiles, of.sums


def blank(n: int) -> Week:
    """Nothing is known."""
    return Week(np.full((n, 7), np.nan), np.full((n, 7, 3), np.nan), np.full((n, 3), np.nan))


def known_days(y: Floats) -> Ints:
    """int64[n]: days known among the newest ``AVERAGE_DAYS`` of float64[n, d]."""
    return np.asarray((~np.isnan(y[:, -AVERAGE_DAYS:])).sum(axis=1), np.int64)


def average(y: Floats) -> Week:
    """Mean and empirical quantiles of the days known of float64[n, d], the newest last.

    Each weekday's share of the mean is drawn towards 1 by ``UNITS_TOLD`` units.
    """
    recent = y[:, -AVERAGE_DAYS:]
    if recent.shape[1] < AVERAGE_DAYS:
        recent = np.pad(
            recent, ((0, 0), (AVERAGE_DAYS - recent.shape[1], 0)), constant_values=np.nan
        )
    known = ~np.isnan(recent)
    count = known.sum(axis=1)
    zeros = np.maximum(LEAST_DAYS - count, 0)
    mean = np.where(known, recent, 0.0).sum(axis=1) / np.maximum(count + zeros, 1)
    share = np.where((count >= WEEKDAYS_FROM_DAYS)[:, None], _shares(recent, known, mean), 1.0)
    of_day = np.tile(share, (1, AVERAGE_DAYS // 7))
    flat = np.where(of_day > 0, recent / np.where(of_day > 0, of_day, 1.0), np.nan)
    quantiles = share[:, :, None] * _quantiles(flat, zeros)[:, None]
    return Week(mean[:, None] * share, quantiles, _sums(recent, mean, quantiles, share))


def _shares(y: Floats, known: NDArray[np.bool_], mean: Floats) -> Floats:
    """float64[n, 7]: of the next seven days, tomorrow's first; they average 1."""
    weeks = y.reshape(len(y), -1, 7)
    units = np.where(known.reshape(weeks.shape), weeks, 0.0).sum(axis=1)
    usual = mean[:, None] * known.reshape(weeks.shape).sum(axis=1)
    share = (units + UNITS_TOLD) / (usual + UNITS_TOLD)
    return np.asarray(share / share.mean(axis=1, keepdims=True))


def _quantiles(y: Floats, zeros: Ints) -> Floats:
    """float64[n, 3] of what is known in each row, and of so many zeros more."""
    ordered = np.sort(y, axis=1)  # NaN last
    count = (~np.isnan(y)).sum(axis=1) + zeros
    at = np.array(LEVELS)[None] * np.maximum(count - 1, 0)[:, None]
    low = np.floor(at).astype(np.int64)
    ends = [_nth(ordered, i - zeros[:, None]) for i in (low, np.ceil(at).astype(np.int64))]
    return np.asarray(ends[0] + (ends[1] - ends[0]) * (at - low))


def _nth(ordered: Floats, at: Ints) -> Floats:
    found = np.take_along_axis(ordered, np.clip(at, 0, ordered.shape[1] - 1), axis=1)
    return np.where(at < 0, 0.0, np.nan_to_num(found))


def _sums(y: Floats, mean: Floats, quantiles: Floats, share: Floats) -> Floats:
    """float64[n, 3]: quantiles of seven days together, from the weeks there were; with too few, as if
    each day were its own: errors add like squares."""
    running = np.concatenate([np.zeros((len(y), 1)), np.nancumsum(y, axis=1)], axis=1)
    whole = np.concatenate([np.zeros((len(y), 1)), np.isnan(y).cumsum(axis=1)], axis=1)
    sums = np.where(whole[:, 7:] == whole[:, :-7], running[:, 7:] - running[:, :-7], np.nan)
    gap = quantiles - (mean[:, None] * share)[:, :, None]
    added = 7 * mean[:, None] + np.sign(gap.sum(axis=1)) * np.sqrt((gap**2).sum(axis=1))
    enough = (~np.isnan(sums)).sum(axis=1) >= WEEKDAYS_FROM_DAYS - 6
    told = np.where(enough[:, None], _quantiles(sums, np.zeros(len(y), np.int64)), added)
    return np.sort(np.maximum(told, 0.0), axis=1)


def counted(units_a_day: Floats) -> Week:
    """Of a mean that somebody gave, float64[n] or [n, 7] a day: quantiles as if sales were Poisson's."""
    n = len(units_a_day)
    mean = np.broadcast_to(units_a_day.reshape(n, -1), (n, 7)).astype(np.float64)
    quantiles = np.stack([_poisson(mean, level) for level in LEVELS], axis=2)
    sums = np.stack([_poisson(mean.sum(axis=1), level) for level in LEVELS], axis=1)
    return Week(mean, quantiles, sums)


def _poisson(mean: Floats, level: float) -> Floats:
    few, at = np.unique(mean, return_inverse=True)
    return np.asarray(demand_quantile(few, few, level)[at].reshape(mean.shape), np.float64)


def manual_units(manual: ManualDemand, skus: list[str], categories: list[str]) -> Floats:
    """float64[n]: units a day that the configuration gives; NaN where it gives none."""
    told = [
        manual.classes.get(sku, manual.categories.get(category, manual.default))
        for sku, category in zip(skus, categories, strict=True)
    ]
    return np.array([units if units >= 0 else np.nan for units in told], np.float64)


def spoken(y: Floats, trained: Floats, manual: Floats) -> tuple[Week, list[Speaker]]:
    """What is said of each class, and who says it.

    ``y`` float64[n, d] the days, ``trained`` float64[n, 7] the mean a day in the history that a model
    learnt from, NaN where it knows none: it speaks where there are no days. ``manual`` float64[n].
    """
    lived, learnt = known_days(y) > 0, ~np.isnan(trained).any(axis=1)
    ways: tuple[tuple[NDArray[np.bool_], Speaker, Callable[[Floats], Week], Floats], ...] = (
        (lived, "historical_average", average, y),
        (~lived & learnt, "historical_average", counted, trained),
        (~lived & ~learnt & ~np.isnan(manual), "manual", counted, manual),
    )
    week, who = blank(len(y)), [SPEAKERS[-1]] * len(y)
    for where, name, make, of in ways:
        rows = np.flatnonzero(where)
        if len(rows):
            week.put(rows, make(of[rows]))
        for row in rows.tolist():
            who[row] = name
    return week, who


COLUMNS = tuple(columns())
