"""Quantiles round a mean, from what actually followed earlier forecasts. No means made here.

Ratios actual / mean are pooled over series of similar mean, so rare classes get the shape of rare
classes (mostly zero, now and then one) and busy ones a narrow one; a series' own width is a factor
on top, shrunk by its number of errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVELS = np.array([0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5,
                   0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99])  # fmt: skip
SHRINK_ERRORS = 40.0
MEAN_MIN = 1e-3


@dataclass(frozen=True, slots=True)
class Spread:
    """``knots`` float64[b] log means, ``ratios`` float64[b, 17] quantiles of actual / mean there;

    ``width`` float64[k] a series' own.
    """

    knots: Floats
    ratios: Floats
    width: Floats


def fit(mean: Floats, actual: Floats, recency: Floats) -> Spread:
    """From past forecasts ``mean`` and what followed, both float64[k, n]; ``recency`` float64[n]."""
    k = len(mean)
    seen = ~np.isnan(actual) & (mean > MEAN_MIN)
    if seen.sum() < 30:
        return Spread(np.zeros(1), _poisson_like()[None], np.ones(k))
    row, column = np.nonzero(seen)
    mu, y, weight = mean[seen], actual[seen], recency[column]
    order = np.argsort(mu)
    row, mu, y, weight = row[order], mu[order], y[order], weight[order]
    width, at = np.ones(k), np.log(mu)
    for _ in range(3):
        knots, ratios = _table(at, 1 + (y / mu - 1) / width[row], weight)
        usual = np.interp(at, knots, _typical(ratios)) * mu
        far = np.minimum(np.abs(y - mu) / np.maximum(usual, 1e-9), 8.0)
        total = np.bincount(row, far * weight, minlength=k)
        count = np.bincount(row, weight, minlength=k)
        width = (total + SHRINK_ERRORS) / (count + SHRINK_ERRORS)
    knots, ratios = _table(at, 1 + (y / mu - 1) / width[row], weight)
    return Spread(knots, ratios, width)


def calibrated(mean: Floats, actual: Floats, recency: Floats, fold: NDArray[np.int64]) -> Spread:
    """``fit``, its width corrected by how it covers each fold when learnt from the others.

    ``fold`` int64[n] tells which origin each past day was forecast from. Weights were chosen on
    the same days, so errors look smaller than they will be: this gives some of that back.
    """
    whole = fit(mean, actual, recency)
    needs = []
    for one in np.unique(fold):
        mine = fold == one
        if mine.all():
            return whole
        others = fit(mean[:, ~mine], actual[:, ~mine], recency[~mine])
        needs.append(_needed(others, mean[:, mine], actual[:, mine]))
    correction = float(np.clip(np.nanmean(needs), 0.9, 1.6)) if len(needs) > 1 else 1.0
    return Spread(whole.knots, whole.ratios, whole.width * correction)


def _needed(spread: Spread, mean: Floats, actual: Floats) -> float:
    """The factor on widths that makes the middle 80 % hold 80 % of ``actual``."""
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
    table = np.stack([np.interp(levels, LEVELS, row) for row in spread.ratios])
    for i in range(len(levels)):
        ratio = np.interp(at, spread.knots, table[:, i])
        out[..., i] = np.maximum(mean * (1 + (ratio - 1) * spread.width[:, None]), 0)
    return np.sort(out, axis=2)
