"""Quantiles round a mean, from what actually followed earlier forecasts. No means made here.

Ratios actual / mean are pooled over series of similar mean, so rare classes get the shape of rare
classes (mostly zero, now and then one) and busy ones a narrow one; a series' own width is a factor
on top, shrunk by its number of errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVELS = np.array([0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5,
                   0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99])  # fmt: skip
SHRINK_ERRORS = 40.0
MEAN_MIN = 1e-3
GROWTH_MAX = 0.5
CORRECTION_MAX = 1.5
SHIFT_MAX = 0.7
"""Log of how far a fold is believed to have been missed as a whole."""
MIRRORS = (0.22, -1.0, -2.22)
"""Each actual is taken so many times, moved by these multiples of its fold's shift: as it was and the
other way, both as much further out as the one without any shift lies inside."""
UNREST_SEASONS = 8
UNREST_MAX = 0.9
"""Log of how much more restless the whole history is believed to have been."""


@dataclass(frozen=True, slots=True)
class Spread:
    """``knots`` float64[b] log means, ``ratios`` float64[b, 17] quantiles of actual / mean there;

    ``width`` float64[k] a series' own, one step ahead; it grows as the step to the power of
    ``growth``, up to the step ``reach`` that was learnt from.
    """

    knots: Floats
    ratios: Floats
    width: Floats
    growth: float = 0.0
    reach: int = 1

    def growths(self, count: int) -> Floats:
        """float64[count]: factor on the width of each step ahead, from the first."""
        return np.asarray(np.minimum(np.arange(1.0, count + 1), self.reach) ** self.growth)


def fit(
    mean: Floats,
    actual: Floats,
    recency: Floats,
    step: Ints | None = None,
    shift: Floats | None = None,
) -> Spread:
    """From past forecasts ``mean`` and what followed, both float64[k, n]; ``recency`` float64[n].

    ``step`` int64[n] tells how far ahead each was forecast; without it widths do not grow. ``shift``
    float64[n] is the logarithm by which all that was forecast together was missed: each actual is
    also taken as if that had gone the other way (``MIRRORS``), so that a spring that was rising does
    not make every forecast look too low.
    """
    n = mean.shape[1]
    step = np.ones(n, np.int64) if step is None else step
    if shift is not None and shift.any():
        other_way = np.outer(shift, MIRRORS).ravel()
        mean, actual = (np.repeat(v, len(MIRRORS), axis=1) for v in (mean, actual))
        actual = actual * np.exp(other_way)
        recency, step = np.repeat(recency, len(MIRRORS)), np.repeat(step, len(MIRRORS))
    k = len(mean)
    seen = ~np.isnan(actual) & (mean > MEAN_MIN)
    if seen.sum() < 30:
        return Spread(np.zeros(1), _poisson_like()[None], np.ones(k))
    row, column = np.nonzero(seen)
    mu, y, weight = mean[seen], actual[seen], recency[column]
    order = np.argsort(mu, kind="stable")  # an actual and its mirror images stay side by side
    row, mu, y, weight = row[order], mu[order], y[order], weight[order]
    ahead, at, ratio = np.log(step[column[order]]), np.log(mu), y / mu
    width, growth = np.ones(k), 0.0
    for _ in range(3):
        wide = np.exp(growth * ahead)
        knots, ratios = _table(at, 1 + (ratio - 1) / (width[row] * wide), weight)
        usual = np.interp(at, knots, _typical(ratios)) * mu * wide
        far = np.minimum(np.abs(y - mu) / np.maximum(usual, 1e-9), 8.0)
        total = np.bincount(row, far * weight, minlength=k)
        count = np.bincount(row, weight, minlength=k)
        width = (total + SHRINK_ERRORS) / (count + SHRINK_ERRORS)
        growth = float(np.clip(growth + _slope(ahead, far, weight), 0.0, GROWTH_MAX))
    wide = np.exp(growth * ahead)
    knots, ratios = _table(at, 1 + (ratio - 1) / (width[row] * wide), weight)
    return Spread(knots, ratios, width, growth, int(step.max()))


def _slope(ahead: Floats, far: Floats, weight: Floats) -> float:
    """How the size of errors grows with the logarithm of the step: d log(far) / d log(step)."""
    middle = np.average(ahead, weights=weight)
    across = np.average((ahead - middle) ** 2, weights=weight)
    size = np.average(far, weights=weight)
    if across <= 0 or size <= 0:
        return 0.0
    return float(np.average((ahead - middle) * far, weights=weight) / across / size)


@dataclass(frozen=True, slots=True)
class Apart:
    """A fold told by the others: ``days`` bool[n] which past days are its own, ``told`` float64[k, m, 3]
    their quantiles at 0.1, 0.5 and 0.9."""

    days: NDArray[np.bool_]
    told: Floats


def apart(mean: Floats, actual: Floats, recency: Floats, fold: Ints, horizon: int) -> list[Apart]:
    """Each fold's quantiles as learnt from the others.

    ``fold`` int64[n] tells which origin each past day was forecast from; folds nearer than
    ``horizon`` share days and do not judge each other.
    """
    step, shift = steps(fold), _shifts(mean, actual, fold)
    made = []
    for one in np.unique(fold):
        mine, others = fold == one, np.abs(fold - one) >= horizon
        others = others if others.any() else ~mine
        if not others.any():
            break
        learnt = fit(
            mean[:, others], actual[:, others], recency[others], step[others], shift[others]
        )
        made.append(Apart(mine, quantiles(learnt, mean[:, mine], (0.1, 0.5, 0.9))))
    return made


def calibrated(
    mean: Floats,
    actual: Floats,
    recency: Floats,
    fold: Ints,
    told: Sequence[Apart],
    unrest: float = 1.0,
) -> Spread:
    """``fit``, its width corrected by how it covers each fold when learnt from others (``apart``).

    ``unrest`` widens everything: see there.
    """
    whole = fit(mean, actual, recency, steps(fold), _shifts(mean, actual, fold))
    needs = [_needed(one.told, mean[:, one.days], actual[:, one.days]) for one in told]
    log = np.log(np.clip(np.array([v for v in needs if v > 0]), 0.2, 5.0))
    correction = float(np.clip(np.exp(log.mean()), 1.0, CORRECTION_MAX)) if len(log) > 1 else 1.0
    return replace(whole, width=whole.width * correction * unrest)


def unrest(y: Floats, fold: Ints, recency: Floats, phases: int, horizon: int) -> float:
    """How much wider intervals must be than the folds ask for, as those were calm days; at least 1.

    A simple forecast (the mean of the same phase over ``UNREST_SEASONS`` seasons) can be judged on the
    whole of ``y`` float64[k, d]. What it misses there, over what it misses on the folds' days, says
    how usual these are; the root of it, as half of that is chance.
    """
    step = steps(fold)
    day = fold + step - 1
    lags = max(-(-horizon // phases), 1)
    lag = np.minimum((step - 1) // phases, lags - 1)
    sums = np.zeros((4, len(y)))  # error and forecast, on the folds and everywhere
    for ahead in range(lags):
        usual = _same_phase(y, phases, ahead + 1)
        error = np.abs(y - usual)
        known = ~np.isnan(error)
        mine = lag == ahead
        for row, values in enumerate((error, usual)):
            told = np.where(known, values, 0.0)
            sums[row] += (told[:, day[mine]] * recency[mine]).sum(axis=1)
            sums[2 + row] += told.sum(axis=1)
    good = (sums > 0).all(axis=0)
    if not good.any():
        return 1.0
    log = np.log(sums[2, good] / sums[3, good]) - np.log(sums[0, good] / sums[1, good])
    found = float(np.average(log, weights=np.sqrt(sums[1, good])))
    return float(np.exp(np.clip(found, 0.0, UNREST_MAX) / 2))


def _same_phase(y: Floats, phases: int, ahead: int) -> Floats:
    """float64[k, d]: mean of the same phase over the seasons that end ``ahead`` seasons before."""
    seen = ~np.isnan(y)
    filled = np.where(seen, y, 0.0)
    total, count = np.zeros(y.shape), np.zeros(y.shape)
    for season in range(ahead, ahead + UNREST_SEASONS):
        back = season * phases
        if back >= y.shape[1]:
            break
        total[:, back:] += filled[:, :-back]
        count[:, back:] += seen[:, :-back]
    return np.where(count >= 3, total / np.maximum(count, 1), np.nan)


def _shifts(mean: Floats, actual: Floats, fold: Ints) -> Floats:
    """float64[n]: logarithm of all that came over all that was foretold, fold by fold."""
    seen = ~np.isnan(actual)
    _, at = np.unique(fold, return_inverse=True)
    came, told = (
        np.bincount(at, np.where(seen, values, 0.0).sum(axis=0)) for values in (actual, mean)
    )
    both = (came > 0) & (told > 0)
    log = np.log(np.where(both, came, 1.0) / np.where(both, told, 1.0))
    return np.asarray(np.clip(log, -SHIFT_MAX, SHIFT_MAX)[at])


def steps(fold: NDArray[np.int64]) -> Ints:
    """int64[n]: place of each past day within its fold, from 1; folds stand together."""
    first = np.concatenate([[True], fold[1:] != fold[:-1]])
    start = np.maximum.accumulate(np.where(first, np.arange(len(fold)), 0))
    return np.asarray(np.arange(len(fold)) - start + 1)


def _needed(q: Floats, mean: Floats, actual: Floats) -> float:
    """The factor on widths that makes the middle 80 % hold 80 % of ``actual``; NaN: nothing known."""
    seen = ~np.isnan(actual) & (mean > MEAN_MIN)
    if not seen.any():
        return float("nan")
    above = (actual - mean) / np.maximum(q[..., 2] - mean, 1e-9)
    below = (mean - actual) / np.maximum(mean - q[..., 0], 1e-9)
    return float(np.quantile(np.maximum(above, below)[seen], 0.8))


def _poisson_like() -> Floats:
    return np.linspace(0.0, 2.0, len(LEVELS))


def _table(log_mean: Floats, ratio: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weighted quantiles in bins of as many errors each; ``log_mean`` is sorted."""
    bins = int(np.clip(len(ratio) // 400, 1, 16))
    parts = np.array_split(np.arange(len(ratio)), bins)
    knots = np.array([log_mean[p].mean() for p in parts]) + np.arange(bins) * 1e-6
    return knots, np.stack([_weighted(ratio[p], weight[p]) for p in parts])


def _weighted(values: Floats, weight: Floats) -> Floats:
    order = np.argsort(values)
    share = np.cumsum(weight[order])
    return np.asarray(np.interp(LEVELS * share[-1], share - weight[order] / 2, values[order]))


def _typical(ratios: Floats) -> Floats:
    """float64[b]: about the mean absolute error over the mean, from the quantiles."""
    steps = np.gradient(LEVELS)
    return np.asarray((np.abs(ratios - 1) * steps).sum(axis=1) / steps.sum())


def quantiles(spread: Spread, mean: Floats, levels: Sequence[float]) -> Floats:
    """float64[k, h, q] of ``mean`` float64[k, h]: never below zero, never crossing."""
    at = np.log(np.maximum(mean, MEAN_MIN))
    out = np.empty((*mean.shape, len(levels)))
    wide = spread.width[:, None] * spread.growths(mean.shape[1])
    table = np.stack([np.interp(levels, LEVELS, row) for row in spread.ratios])
    for i in range(len(levels)):
        ratio = np.interp(at, spread.knots, table[:, i])
        out[..., i] = np.maximum(mean * (1 + (ratio - 1) * wide), 0)
    return np.sort(out, axis=2)
