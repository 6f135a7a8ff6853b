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
LEAN_ONE = 0.55


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


def fit(mean: Floats, actual: Floats, recency: Floats, step: Ints | None = None) -> Spread:
    """From past forecasts ``mean`` and what followed, both float64[k, n]; ``recency`` float64[n].

    ``step`` int64[n] tells how far ahead each was forecast; without it widths do not grow.
    """
    k, n = mean.shape
    step = np.ones(n, np.int64) if step is None else step
    seen = ~np.isnan(actual) & (mean > MEAN_MIN)
    if seen.sum() < 30:
        return Spread(np.zeros(1), _poisson_like()[None], np.ones(k))
    row, column = np.nonzero(seen)
    mu, y, weight = mean[seen], actual[seen], recency[column]
    order = np.argsort(mu)
    row, mu, y, weight = row[order], mu[order], y[order], weight[order]
    ahead = np.log(step[column[order]])
    width, at, growth = np.ones(k), np.log(mu), 0.0
    for _ in range(3):
        wide = np.exp(growth * ahead)
        knots, ratios = _table(at, 1 + (y / mu - 1) / (width[row] * wide), weight)
        usual = np.interp(at, knots, _typical(ratios)) * mu * wide
        far = np.minimum(np.abs(y - mu) / np.maximum(usual, 1e-9), 8.0)
        total = np.bincount(row, far * weight, minlength=k)
        count = np.bincount(row, weight, minlength=k)
        width = (total + SHRINK_ERRORS) / (count + SHRINK_ERRORS)
        growth = float(np.clip(growth + _slope(ahead, far, weight), 0.0, GROWTH_MAX))
    wide = np.exp(growth * ahead)
    knots, ratios = _table(at, 1 + (y / mu - 1) / (width[row] * wide), weight)
    return Spread(knots, ratios, width, growth, int(step.max()))


def _slope(ahead: Floats, far: Floats, weight: Floats) -> float:
    """How the size of errors grows with the logarithm of the step: d log(far) / d log(step)."""
    middle = np.average(ahead, weights=weight)
    across = np.average((ahead - middle) ** 2, weights=weight)
    size = np.average(far, weights=weight)
    if across <= 0 or size <= 0:
        return 0.0
    return float(np.average((ahead - middle) * far, weights=weight) / across / size)


def calibrated(
    mean: Floats, actual: Floats, recency: Floats, fold: NDArray[np.int64], horizon: int
) -> Spread:
    """``fit``, its width corrected by how it covers each fold when learnt from others.

    ``fold`` int64[n] tells which origin each past day was forecast from; folds nearer than
    ``horizon`` share days and do not judge each other. What a whole fold needed differs from fold
    to fold (a spring, a fair): the correction leans above the middle of what they needed, by a
    share of their deviation that fades with the square root of the number of series: the weights
    of few are chosen on few errors.
    """
    step = _steps(fold)
    whole = fit(mean, actual, recency, step)
    needs = []
    for one in np.unique(fold):
        mine, others = fold == one, np.abs(fold - one) >= horizon
        others = others if others.any() else ~mine
        if not others.any():
            return whole
        learnt = fit(mean[:, others], actual[:, others], recency[others], step[others])
        needs.append(_needed(learnt, mean[:, mine], actual[:, mine]))
    log = np.log(np.clip(np.array([v for v in needs if v > 0]), 0.2, 5.0))
    if len(log) < 2:
        return whole
    lean = LEAN_ONE / np.sqrt(len(mean))
    correction = float(np.clip(np.exp(log.mean() + lean * log.std()), 1.0, 2.5))
    return replace(whole, width=whole.width * correction)


def _steps(fold: NDArray[np.int64]) -> Ints:
    """int64[n]: place of each past day within its fold, from 1; folds stand together."""
    first = np.concatenate([[True], fold[1:] != fold[:-1]])
    start = np.maximum.accumulate(np.where(first, np.arange(len(fold)), 0))
    return np.asarray(np.arange(len(fold)) - start + 1)


def _needed(spread: Spread, mean: Floats, actual: Floats) -> float:
    """The factor on widths that makes the middle 80 % hold 80 % of ``actual``; NaN: nothing known."""
    seen = ~np.isnan(actual) & (mean > MEAN_MIN)
    if not seen.any():
        return float("nan")
    q = quantiles(spread, mean, (0.1, 0.9))
    above = (actual - mean) / np.maximum(q[..., 1] - mean, 1e-9)
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
