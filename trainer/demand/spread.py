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

    ``width`` float64[k] a series' own, ``growth`` float64[3]: widths at the edges of horizons.
    """

    knots: Floats
    ratios: Floats
    width: Floats


def fit(mean: Floats, actual: Floats, recency: Floats) -> Spread:
    """From past forecasts ``mean`` and what followed, both float64[k, n]."""
    k = len(mean)
    seen = ~np.isnan(actual) & (mean > MEAN_MIN)
    if seen.sum() < 30:
        return Spread(np.zeros(1), _poisson_like()[None], np.ones(k))
    row = np.nonzero(seen)[0]
    mu, y = mean[seen], actual[seen]
    width = np.ones(k)
    knots = ratios = np.zeros(0)
    for _ in range(2):
        ratio = 1 + (y / mu - 1) / width[row]
        knots, ratios = _table(np.log(mu), ratio)
        expected = np.abs(y - mu) / np.maximum(_typical(knots, ratios, np.log(mu)) * mu, 1e-9)
        total = np.bincount(row, np.minimum(expected, 8.0), minlength=k)
        count = np.bincount(row, minlength=k)
        width = (total + SHRINK_ERRORS) / (count + SHRINK_ERRORS)
    ratio = 1 + (y / mu - 1) / width[row]
    knots, ratios = _table(np.log(mu), ratio)
    return Spread(knots, ratios, width)


def _poisson_like() -> Floats:
    return np.linspace(0.0, 2.0, len(LEVELS))


def _table(log_mean: Floats, ratio: Floats) -> tuple[Floats, Floats]:
    bins = int(np.clip(len(ratio) // 400, 1, 16))
    order = np.argsort(log_mean)
    parts = np.array_split(order, bins)
    knots = np.array([log_mean[p].mean() for p in parts])
    knots = np.maximum.accumulate(knots + np.arange(bins) * 1e-6)
    return knots, np.stack([np.quantile(ratio[p], LEVELS) for p in parts])


def _typical(knots: Floats, ratios: Floats, at: Floats) -> Floats:
    middle = np.abs(ratios - 1)
    steps = np.gradient(LEVELS)
    return np.asarray(np.interp(at, knots, (middle * steps).sum(axis=1) / steps.sum()))


def quantiles(spread: Spread, mean: Floats, levels: Sequence[float]) -> Floats:
    """float64[k, h, q] of ``mean`` float64[k, h]: never below zero, never crossing."""
    at = np.log(np.maximum(mean, MEAN_MIN))
    out = np.empty((*mean.shape, len(levels)))
    table = np.stack([np.interp(levels, LEVELS, row) for row in spread.ratios])
    for i in range(len(levels)):
        ratio = np.interp(at, spread.knots, table[:, i])
        out[..., i] = np.maximum(mean * (1 + (ratio - 1) * spread.width[:, None]), 0)
    return np.maximum.accumulate(out, axis=2)
