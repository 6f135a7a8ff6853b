"""Demand as people ask for it: sums over classes, parts made visible, today as it is under way. Pure.

The forecasts themselves are the model's or its stand-in's (``edge.inference.demand``); here columns
become answers. Arrays: n classes, h days ahead, the first of them the present day.

Sources: conditional mean of jointly normal variables, Anderson, An Introduction to Multivariate
Statistical Analysis, 3rd ed., 2.5.1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.inference.velocity import demand_quantile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LOW, HIGH = 0.1, 0.9
LEVEL = HIGH - LOW
Z = 1.2815515655446004
"""Of the normal distribution at ``HIGH``."""
OPEN_FROM_H, OPEN_UNTIL_H = 8, 18
"""Hours in which a shop of which nothing is known yet does its business."""
SWINGS_LEAST = 28
"""Ratios known at least before they are told."""
PRIOR_UNITS = 24.0
"""So many units moved by the hour are believed by half against that."""
RATE_SPREAD = 0.3
"""Standard deviation, as a share of the mean, that a day's rate has at most."""
PROFILE_DRAWS = 20.0
"""How well days keep to their hours. Both by what held on hourly rentals of bicycles and on invoices."""
INFLUENCE_LEAST_DAYS = 14
INFLUENCE_T_LEAST = 2.5
"""An influence is told only where its effect is so many standard errors from none."""
INFLUENCE_MOST = 1.0
"""An influence at most doubles or, the other way round, halves demand."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """Units of the days ahead: ``mean``, ``low`` and ``high`` float64[h]; NaN where not told."""

    mean: Floats
    low: Floats
    high: Floats

    def bounded(self, minimum: float, maximum: float | None) -> "Ahead":
        """The same within bounds."""
        most = np.inf if maximum is None else maximum
        return Ahead(*(np.clip(part, minimum, most) for part in (self.mean, self.low, self.high)))


def together(mean: Floats, low: Floats, high: Floats) -> Ahead:
    """The sum of classes: float64[n, h] each. Classes of which nothing is known are left out.

    Means add up; widths add like squares, as if classes erred independently.
    """
    total = np.where(np.isnan(mean).all(axis=0), np.nan, np.nansum(mean, axis=0))
    below = np.sqrt(np.nansum((mean - low) ** 2, axis=0))
    above = np.sqrt(np.nansum((high - mean) ** 2, axis=0))
    unknown = np.isnan(low).all(axis=0)
    return Ahead(
        total,
        np.where(unknown, np.nan, np.maximum(total - below, 0.0)),
        np.where(unknown, np.nan, total + above),
    )


@dataclass(frozen=True, slots=True)
class Swings:
    """How far sums were from what came before: ratios, float64[w] by weeks ahead, the first week first.

    ``day`` of one day to the mean of the same weekday in four weeks, ``week`` of seven days alike.
    """

    day_low: Floats
    day_high: Floats
    week_low: Floats
    week_high: Floats


def swings(past: Floats, weeks: int) -> Swings | None:
    """Of what some classes together brought on closed days, float64[d], the newest last.

    ``None`` where too few days are known even for one week ahead. Where they are too few for a week
    further ahead, the one before speaks for it.
    """
    found: list[tuple[float, ...]] = []
    for ahead in range(1, weeks + 1):
        ratios = [_ratios(past, ahead, span) for span in (1, 7)]
        if min(len(told) for told in ratios) < SWINGS_LEAST:
            break
        # a sum may always be what it was
        ends = [(min(np.quantile(r, LOW), 1.0), max(np.quantile(r, HIGH), 1.0)) for r in ratios]
        found.append((*ends[0], *ends[1]))
    if not found:
        return None
    found += [found[-1]] * (weeks - len(found))
    return Swings(*np.array(found, np.float64).T)


def _ratios(past: Floats, ahead: int, span: int) -> Floats:
    """float64[n]: sums over ``span`` days, over the mean of four such sums ``ahead`` weeks and more ago."""
    sums = np.convolve(past, np.ones(span), "valid")
    first = 7 * (ahead + 3)
    if len(sums) <= first:
        return np.zeros(0)
    at = np.arange(first, len(sums))
    before = np.mean([sums[at - 7 * (ahead + k)] for k in range(4)], axis=0)
    known = ~np.isnan(before) & ~np.isnan(sums[at]) & (before > 0)
    return np.asarray(sums[at][known] / before[known], np.float64)


@dataclass(frozen=True, slots=True)
class Parts:
    """What makes up the days ahead; ``trend + season + holiday + influence`` is the forecast.

    ``index`` float64[7] is each weekday's share of the average day, Monday first;
    ``trend_per_week`` the change of the level a week.
    """

    trend: Floats
    season: Floats
    holiday: Floats
    influence: Floats
    index: Floats
    trend_per_week: float


def parts(mean: Floats, weekday: Ints, shares: Floats, effect: Floats) -> Parts:
    """Take a forecast float64[h] apart.

    ``weekday`` int64[h], Monday 0; ``shares`` float64[h] the share of usual demand that holidays
    leave; ``effect`` float64[h] the ratio that known influences add (0: none). The forecast is read
    as level x weekday x holiday, and influences come on top of it.
    """
    usual = np.where(shares > 0, mean / np.where(shares > 0, shares, 1.0), np.nan)
    level = _level(usual)
    ratio = np.where(level > 0, usual / np.where(level > 0, level, 1.0), np.nan)
    index = np.ones(7)
    for day in range(7):
        of_day = ratio[(weekday == day) & ~np.isnan(ratio)]
        if len(of_day):
            index[day] = of_day.mean()
    expected = np.where(np.isnan(usual), level * index[weekday], usual)
    holiday = mean - expected
    season = expected - level
    weeks = (len(level) - 1) / 7
    per_week = float((level[-1] - level[0]) / weeks) if weeks > 0 else 0.0
    return Parts(level, season, holiday, mean * effect, index, per_week)


def _level(y: Floats) -> Floats:
    """A line through the means of whole weeks, so that no weekday weighs more than another."""
    h = len(y)
    whole = h // 7 * 7
    if whole == 0 or np.isnan(y).all():
        return np.full(h, np.nanmean(y) if not np.isnan(y).all() else np.nan)
    weeks = y[:whole].reshape(-1, 7)
    known = ~np.isnan(weeks).all(axis=1)
    means = np.nanmean(weeks[known], axis=1)
    middle = np.arange(len(weeks))[known] * 7 + 3.0
    at = np.arange(h, dtype=np.float64)
    if len(means) == 1:
        return np.full(h, means[0])
    slope, start = np.polyfit(middle, means, 1)
    return np.asarray(np.maximum(start + slope * at, 0.0), np.float64)


# -- today ----------------------------------------------------------------------------------------


def share_done(left_units: float, day_units: float, hours: float) -> float:
    """Share of a day's business that is usually done ``hours`` after midnight.

    Yesterday ``day_units`` moved in all, ``left_units`` of them after this hour; an even flow in
    opening hours stands in where too little moved.

    >>> share_done(0.0, 0.0, 13.0), round(share_done(90.0, 100.0, 13.0), 2)
    (0.5, 0.18)
    """
    open_h = OPEN_UNTIL_H - OPEN_FROM_H
    flat = min(max((OPEN_UNTIL_H - hours) / open_h, 0.0), 1.0)
    left = (min(left_units, day_units) + PRIOR_UNITS * flat) / (day_units + PRIOR_UNITS)
    return 1.0 - left


@dataclass(frozen=True, slots=True)
class Now:
    """Today as it is expected to end: units, and the interval."""

    units: float
    low: float
    high: float
    so_far: float
    share: float


def nowcast(mean: float, low: float, high: float, so_far: float, share: float) -> Now:
    """What today will have brought, once ``so_far`` units are counted and ``share`` of it is over.

    The morning's uncertainty has two parts. The day's rate may be another, by ``RATE_SPREAD`` of it at
    most: what is counted says much about the rest. What is beyond that is chance, units that come in
    lots: what is counted says nothing about the rest. And days do not keep to their hours: the share is
    as uncertain as one of ``PROFILE_DRAWS`` draws, and what came early does not come later. All three
    are normal and the rest of the day is told by its mean and variance given what was counted.
    """
    if mean != mean or mean <= 0:
        return Now(so_far, so_far, so_far, so_far, share)
    width = (high - low) / (2 * Z) if high == high and low == low else 0.0
    spread = max(width**2, mean)
    rate = min(spread, (RATE_SPREAD * mean) ** 2)
    chance = max(spread - rate, mean)
    hours = mean**2 * share * (1 - share) / (PROFILE_DRAWS + 1)
    counted = share**2 * rate + share * chance + hours
    shared = share * (1 - share) * rate - hours
    gain = shared / counted if counted > 0 else 0.0
    rest = max((1 - share) * mean + gain * (so_far - share * mean), 0.0)
    left = (1 - share) ** 2 * rate + (1 - share) * chance + hours - gain * shared
    variance = max(left, rest)
    told = [
        float(demand_quantile(np.array([rest]), np.array([variance]), level)[0])
        for level in (LOW, HIGH)
    ]
    return Now(so_far + rest, so_far + told[0], so_far + told[1], so_far, share)


# -- weather and events ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Influence:
    """What one outside factor does: ``ratio`` of demand a unit of it adds, and how sure that is."""

    name: str
    ratio: float
    t: float
    days: int


def influences(units: Floats, weekday: Ints, factors: dict[str, Floats]) -> list[Influence]:
    """Which factors moved demand: ``units`` float64[d] of the last days, factors float64[d] each.

    Each factor by itself: the ratio of each day's demand to its weekday's average, less 1, on the
    factor's distance from its own mean, by least squares. Only what is far from chance is told.
    """
    usual = np.ones(7) * np.nan
    for day in range(7):
        of_day = units[(weekday == day) & ~np.isnan(units)]
        if len(of_day):
            usual[day] = of_day.mean()
    level = usual[weekday]
    excess = np.where(level > 0, units / np.where(level > 0, level, 1.0) - 1.0, np.nan)
    found = []
    for name, values in factors.items():
        known = ~np.isnan(values) & ~np.isnan(excess)
        n = int(known.sum())
        x = values[known] - values[known].mean() if n else values[known]
        square = float((x**2).sum())
        if n < INFLUENCE_LEAST_DAYS or square <= 1e-12:
            continue
        y = excess[known] - excess[known].mean()
        slope = float((x * y).sum() / square)
        rest = y - slope * x
        error = float(np.sqrt((rest**2).sum() / max(n - 2, 1) / square))
        t = slope / error if error > 0 else np.sign(slope) * 99.0
        if abs(t) >= INFLUENCE_T_LEAST:
            found.append(Influence(name, slope, float(t), n))
    return sorted(found, key=lambda one: -abs(one.t))


def effect_of(found: list[Influence], usual: dict[str, float], ahead: dict[str, Floats]) -> Floats:
    """float64[h]: ratio that known values of the days ahead add; 0 where nothing is known.

    ``usual`` is each factor's mean in the days that its influence was found in.
    """
    days = max((len(values) for values in ahead.values()), default=0)
    total = np.zeros(days)
    for one in found:
        if one.name in ahead:
            total += one.ratio * np.nan_to_num(ahead[one.name] - usual[one.name])
    return np.clip(total, -INFLUENCE_MOST / 2, INFLUENCE_MOST)
