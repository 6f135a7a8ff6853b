"""How the days of one series lie round their usual level, weekday by weekday. No means made here.

The pooled quantiles of ``spread`` know how series of a similar mean miss their forecasts; they do not
know that this one's Thursdays are even and its Mondays now and then large. Its own quantiles of a
phase, over the mean of that phase, are put beside them with a share that is learnt from the folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.demand import blend
from trainer.demand.seasons import local_level
from trainer.demand.spread import LEVELS, Apart

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Of the quantiles, so much may be a series' own."""
SHRINK_SEASONS = 10.0
"""Of a phase seen in so many seasons its own quantiles count half of that."""
LEVEL_SEASONS = 8
JUDGED = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Own:
    """What is a series' own on some days: ``share`` float64[k, h] and, times that share, ``gap``
    float64[k, h, q], the quantiles over the mean less 1."""

    share: Floats
    gap: Floats

    def put(self, mean: Floats, pooled: Floats) -> Floats:
        """float64[k, h, q]: the pooled quantiles and these."""
        mixed = (1 - self.share)[..., None] * pooled + mean[..., None] * (
            self.share[..., None] + self.gap
        )
        return np.asarray(np.sort(np.maximum(mixed, 0), axis=2))


@dataclass(frozen=True, slots=True)
class Shape:
    """Of each phase p: ``share`` float64[k, p], ``gap`` float64[k, p, 17] at ``LEVELS``, times it."""

    share: Floats
    gap: Floats

    def at(self, phase: Ints, levels: Sequence[float]) -> Own:
        """On days of these phases, int64[h]."""
        return Own(self.share[:, phase], _at_levels(self.gap, levels)[:, phase])


def _at_levels(gap: Floats, levels: Sequence[float]) -> Floats:
    """float64[k, p, q] by straight lines between ``LEVELS``."""
    at = np.clip(np.interp(levels, LEVELS, np.arange(len(LEVELS))), 0, len(LEVELS) - 1)
    low = np.minimum(at.astype(np.int64), len(LEVELS) - 2)
    along = at - low
    return np.asarray(gap[..., low] * (1 - along) + gap[..., low + 1] * along)


def fit(
    y: Floats, moments: Ints, season: tuple[int, int], past: tuple[Floats, Floats, Floats],
    columns: Ints, apart: Sequence[Apart],
) -> Shape:  # fmt: skip
    """From the days ``y`` float64[k, d] and what earlier forecasts say of its worth.

    ``season`` are the period and the phases of the profile; ``past`` the means foretold and what came,
    float64[k, n] each, and how much each of those days counts; ``columns`` int64[n] where in ``y``
    they stand; ``apart`` the pooled quantiles of each fold, learnt from the others.
    """
    period, phases = season
    mean, actual, counts = past
    first = int(columns.min())
    before = _observed(y[:, :first], moments[:first], period, phases)
    own = before.at(moments[columns] % phases, JUDGED)
    scale = blend.scales(actual)[:, None]
    losses = np.zeros(len(SHARES))
    for fold in apart:
        days = fold.days
        for i, share in enumerate(SHARES):
            mine = Own(own.share[:, days] * share, own.gap[:, days] * share)
            told = mine.put(mean[:, days], fold.told)
            loss = _pinball(actual[:, days], told) / scale * counts[days]
            losses[i] += np.nansum(loss)
    share = SHARES[int(losses.argmin())]
    now = _observed(y, moments, period, phases)
    return Shape(now.share * share, now.gap * share)


def _pinball(actual: Floats, told: Floats) -> Floats:
    """float64[k, n] of the levels ``JUDGED``."""
    error = actual[..., None] - told
    levels = np.array(JUDGED)
    return np.asarray(np.maximum(levels * error, (levels - 1) * error).sum(axis=2))


def _observed(y: Floats, moments: Ints, period: int, phases: int) -> Shape:
    """What was observed at each phase, over the level of the days around; ``share`` is how far it is
    believed, by the number of seasons."""
    level = local_level(y, LEVEL_SEASONS * period + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(level > 1e-9, y / level, np.nan)
    k, _d = y.shape
    lead = int(moments[0] % phases) if len(moments) else 0
    short = -(lead + ratio.shape[1]) % phases
    blank = np.full((k, lead), np.nan), np.full((k, short), np.nan)
    seasons = np.concatenate([blank[0], ratio, blank[1]], axis=1).reshape(k, -1, phases)
    count = (~np.isnan(seasons)).sum(axis=1)
    mean = np.nansum(seasons, axis=1) / np.maximum(count, 1)
    told = _quantiles(np.sort(seasons, axis=1), count)
    usual = (mean > 1e-6) & (count > 0)
    gap = np.where(usual[..., None], told / np.where(usual, mean, 1.0)[..., None] - 1, -1.0)
    share = np.where(count > 0, count / (count + SHRINK_SEASONS), 0.0)
    return Shape(share, share[..., None] * gap)


def _quantiles(ordered: Floats, count: Ints) -> Floats:
    """float64[k, p, 17] of each phase's values float64[k, seasons, p], sorted, NaN last."""
    at = LEVELS * np.maximum(count - 1, 0)[..., None]
    low = np.floor(at).astype(np.int64)
    values = ordered.transpose(0, 2, 1)
    ends = [
        np.nan_to_num(np.take_along_axis(values, np.minimum(i, values.shape[2] - 1), axis=2))
        for i in (low, np.ceil(at).astype(np.int64))
    ]
    return np.asarray(ends[0] + (ends[1] - ends[0]) * (at - low))
