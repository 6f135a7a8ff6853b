"""How items age between renewals: whether one that was mended long ago fails more often than one just mended.

Not who fails when (``maintenance.py``): that model says how often items fail that *look* as if they had just
been mended. Those are mostly items that fail often, so it finds little that a repair changes, even where
everything wears out. Here each item is compared with itself. An item of frailty z, mended s days ago,
fails at the rate z b k s^(k - 1); z is drawn from a gamma distribution with mean 1. Shape k = 1: a
mended item fails as often as an old one; k = 2: the rate grows evenly. Use that differs from item to
item is part of its frailty.

Source: J. P. Klein and M. L. Moeschberger, Survival Analysis (2nd ed. 2003), chapter 13, gamma frailty;
the marginal likelihood of recurrent gaps, each renewed: R. J. Cook and J. F. Lawless, The Statistical
Analysis of Recurrent Events (2007), section 4.2. Bound by the profile likelihood.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from trainer.history import FeatureTable

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SHAPES = (0.3, 8.0)
"""Shapes looked at."""
LEAST_FAILURES = 60
"""Of gaps whose beginning was seen; with fewer nothing is said."""
ONE_ERROR = 0.5
"""By so much the logarithm of the likelihood falls at one standard error."""
SAME_DAYS = 0.25
"""Two moments of a renewal that differ by no more are the same."""
LEAST_DAYS = 0.5
"""A failure on the day of the repair came half a day after it."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """``n`` spans that began with a renewal."""

    item: Ints
    """int64[n]"""
    days: Floats
    """float64[n]: until the failure, or until nobody watched any more or a service renewed it before."""
    failed: Mask
    """bool[n]"""

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True, slots=True)
class Ageing:
    """What gaps say; ``shape`` is one standard error nearer to none than the likeliest."""

    shape: float
    likeliest: float
    frailty_variance: float
    failures: int

    @property
    def figures(self) -> dict[str, float]:
        """For the manifest."""
        return {
            "ageing_shape": self.shape,
            "ageing_shape_likeliest": self.likeliest,
            "ageing_frailty_variance": self.frailty_variance,
            "ageing_failures": float(self.failures),
        }


def gaps(table: FeatureTable, until: Ints) -> Gaps:
    """Every span between a renewal that was seen and what ended it.

    ``until``: int64[keys], the last day each was watched (``trainer.examples.watched_until``). The repair that
    mends a failure told before is no failure of its own, and the days between the two are at no risk.
    """
    since, failures, repairs = (
        table.x[:, table.features.index(name)].astype(np.float64)
        for name in ("days_since_repair", "failures_total", "repairs_total")
    )
    key = table.key_of_rows()
    same = np.append(False, key[1:] == key[:-1])
    # a service renews as well; summer time, or a rounded fraction of a day, does not
    moment = np.where(np.isnan(since), -np.inf, table.day - np.nan_to_num(since))
    renewed = same & (moment > np.append(-np.inf, moment[:-1]) + SAME_DAYS)
    renewed_on = table.day - np.floor(np.nan_to_num(since))
    broke = same & (failures > np.append(np.inf, failures[:-1]))
    mended = same & (repairs > np.append(np.inf, repairs[:-1]))
    found: list[tuple[int, float, bool]] = []
    start = np.nan  # no gap is under way
    broken = False
    for i in np.flatnonzero(~same | renewed | broke | mended).tolist():
        if not same[i]:
            _close(found, int(key[i - 1]) if i else -1, start, until)
            start, broken = float(renewed_on[i]) if since[i] < 1.0 else np.nan, False
            continue
        if broke[i] or (mended[i] and not broken):
            if np.isfinite(start):
                # told together with its repair: the failure was on the day of the repair at the latest
                end = renewed_on[i] if renewed[i] and not broken else table.day[i]
                found.append((int(key[i]), float(end - start), True))
            start, broken = np.nan, True
        if renewed[i]:
            if np.isfinite(start):
                found.append((int(key[i]), float(renewed_on[i] - start), False))
            start, broken = float(renewed_on[i]), False
    _close(found, int(key[-1]) if len(key) else -1, start, until)
    item, days, failed = zip(*found, strict=True) if found else ((), (), ())
    return Gaps(np.array(item, np.int64), np.array(days, np.float64), np.array(failed, np.bool_))


def _close(found: list[tuple[int, float, bool]], key: int, start: float, until: Ints) -> None:
    """The gap under way ends with the watch."""
    if np.isfinite(start) and until[key] > start:
        found.append((key, float(until[key] - start), False))


def ageing(told: Gaps) -> Ageing | None:
    """``None``: too few failures were seen after a renewal that was seen."""
    failures = int(told.failed.sum())
    if failures < LEAST_FAILURES:
        return None
    likelihood = _Likelihood(told)
    best = optimize.minimize_scalar(
        lambda shape: -likelihood(shape)[0],
        bounds=SHAPES,
        method="bounded",
        options={"xatol": 1e-3},
    )
    likeliest = float(best.x)
    most, variance = likelihood(likeliest)

    def falls(shape: float) -> float:
        return likelihood(shape)[0] - (most - ONE_ERROR)

    low = SHAPES[0]
    shape = low if falls(low) >= 0 else float(optimize.brentq(falls, low, likeliest, xtol=1e-3))
    return Ageing(shape, likeliest, variance, failures)


class _Likelihood:
    """Shape -> (logarithm of the likelihood at the best rate and frailty, variance of frailty)."""

    def __init__(self, told: Gaps) -> None:
        _, self._item = np.unique(told.item, return_inverse=True)
        days = np.maximum(told.days, LEAST_DAYS)
        self._days = days / days.mean()
        self._count = np.bincount(self._item, weights=told.failed)
        self._failures = float(told.failed.sum())
        self._logs = float(np.log(self._days[told.failed]).sum())

    def __call__(self, shape: float) -> tuple[float, float]:
        risk = np.bincount(self._item, weights=self._days**shape)
        sure = self._failures * np.log(shape) + (shape - 1) * self._logs
        count = self._count

        def against(at: Floats) -> float:
            log_rate, log_variance = at
            variance = np.exp(log_variance)
            much = 1.0 / variance
            each = (
                special.gammaln(count + much)
                - special.gammaln(much)
                + count * log_variance
                - (count + much) * np.log1p(variance * np.exp(log_rate) * risk)
            )
            return float(-(self._failures * log_rate + each.sum()))

        start = np.array([np.log(self._failures / risk.sum()), -1.0])
        found = optimize.minimize(against, start, method="L-BFGS-B", bounds=[(-30, 30), (-7, 4)])
        return sure - float(found.fun), float(np.exp(found.x[1]))
