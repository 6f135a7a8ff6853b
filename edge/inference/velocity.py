"""How fast and how evenly a class moves, and what a lead time may bring. Pure; arrays in, arrays out.

ABC by share of revenue (80 %, 15 %, 5 %), XYZ by the coefficient of variation of weekly units (0.5,
1.0), and quantiles of the demand of a lead time out of the quantiles of its days. No model, no state.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

A, B, C = 0, 1, 2
SHARES = (0.80, 0.95)
X, Y, Z = 0, 1, 2
VARIATIONS = (0.5, 1.0)
SMOOTH, ERRATIC, INTERMITTENT, LUMPY = 0, 1, 2, 3
INTERVAL_ENDS, SIZE_ENDS = 1.32, 0.49
WEEKS_MIN = 8
NORMAL_UNITS = 1_000.0
"""Above this mean a count is as good as continuous."""
_TAIL = 12.0
FEW = 64
"""Up to so many classes are counted many counts at once, more of them one count at once."""
_AT_ONCE = 16


def abc(revenue: Floats) -> Ints:
    """int64[k]: 0 = A, 1 = B, 2 = C.

    Classes by falling revenue; A until they make up 80 %, B until 95 %. Who crosses the line is still
    on its upper side; no revenue, or less, is C.

    >>> abc(np.array([70.0, 20.0, 6.0, 4.0, 0.0])).tolist()
    [0, 0, 1, 2, 2]
    """
    earned = np.maximum(np.nan_to_num(revenue), 0.0)
    order = np.argsort(-earned, kind="stable")
    before = np.cumsum(earned[order]) - earned[order]
    total = float(earned.sum())
    letters = np.full(len(earned), C, np.int64)
    if total > 0:
        ends = np.array(SHARES) * total * (1 - 1e-12)
        letters[order] = np.searchsorted(ends, before, side="right")
    letters[earned == 0] = C
    return letters


def variation(weekly: Floats) -> Floats:
    """float64[k]: coefficient of variation of units float64[k, w], corrected for few weeks.

    Weeks without demand count; weeks without stock are NaN and do not. NaN with fewer than
    :data:`WEEKS_MIN` weeks or without any demand.
    Source: Sokal & Braumann (1980), 1 + 1 / 4n.
    """
    n, mean, deviation = _moments(weekly)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = deviation / mean * (1 + 1 / (4 * np.maximum(n, 1)))
    return np.where((n >= WEEKS_MIN) & (mean > 0), found, np.nan)


def xyz(weekly: Floats) -> Ints:
    """int64[k]: 0 = X steady, 1 = Y, 2 = Z erratic, intermittent, or not known well enough.

    Adjusted for intermittency: what is bought in fewer than three weeks of four is never X, what is
    lumpy is always Z, however even the weeks with demand look.
    """
    spread = variation(weekly)
    letters = np.where(np.isnan(spread), Z, np.searchsorted(VARIATIONS, np.nan_to_num(spread)))
    kind = pattern(weekly)
    letters = np.where(kind == INTERMITTENT, np.maximum(letters, Y), letters)
    return np.asarray(np.where(kind == LUMPY, Z, letters), np.int64)


def pattern(weekly: Floats) -> Ints:
    """int64[k]: 0 smooth, 1 erratic, 2 intermittent, 3 lumpy.

    By the mean interval between weeks with demand (1.32) and the squared variation of their units
    (0.49). Source: Syntetos, Boylan & Croston, J. Oper. Res. Soc. 56 (2005).
    """
    known = np.isfinite(weekly)
    moved = known & (np.nan_to_num(weekly) > 0)
    interval = known.sum(axis=1) / np.maximum(moved.sum(axis=1), 1)
    _, mean, deviation = _moments(np.where(moved, weekly, np.nan))
    size = (deviation / np.maximum(mean, 1e-12)) ** 2
    return np.asarray((size >= SIZE_ENDS) + 2 * (interval >= INTERVAL_ENDS), np.int64)


def _moments(values: Floats) -> tuple[Ints, Floats, Floats]:
    known = np.isfinite(values)
    n = known.sum(axis=1)
    mean = np.where(known, values, 0.0).sum(axis=1) / np.maximum(n, 1)
    square = (np.where(known, values - mean[:, None], 0.0) ** 2).sum(axis=1)
    return n, mean, np.sqrt(square / np.maximum(n - 1, 1))


# -- lead time --------------------------------------------------------------------------------------


def spread_of(quantiles: Floats, levels: Sequence[float]) -> Floats:
    """float64[k, h]: standard deviation of each day out of its quantiles float64[k, h, q].

    The widest pair of levels, as if the day were normal: what lies between 0.1 and 0.9 over 2.563.
    """
    low, high = quantiles[..., 0], quantiles[..., -1]
    width = normal_quantile(levels[-1]) - normal_quantile(levels[0])
    return np.maximum(high - low, 0.0) / width


def lead_time(
    mean: Floats, deviation: Floats, days: int, correlation: float
) -> tuple[Floats, Floats]:
    """(mean, variance) float64[k] of the sum of the first ``days`` of float64[k, h].

    Errors of days i and j correlate by ``correlation`` to the power of their distance.
    """
    assert 0 <= correlation <= 1, correlation
    part = deviation[:, :days]
    at = np.arange(part.shape[1])
    matrix = correlation ** np.abs(at[:, None] - at[None]) if correlation else np.eye(len(at))
    return mean[:, :days].sum(axis=1), np.einsum("kh,hi,ki->k", part, matrix, part)


def demand_quantile(mean: Floats, variance: Floats, level: float) -> Floats:
    """float64[k] whole units that suffice with probability ``level``.

    Negative binomial of these moments; Poisson where the variance is no larger than the mean. Above
    :data:`NORMAL_UNITS` a gamma of the same moments (Wilson & Hilferty, PNAS 17, 1931).

    >>> demand_quantile(np.array([2.0, 0.0]), np.array([2.0, 0.0]), 0.95).tolist()
    [5.0, 0.0]
    """
    assert 0 < level < 1, level
    m = np.maximum(np.nan_to_num(mean), 0.0)
    v = np.maximum(np.nan_to_num(variance), m)
    found = np.zeros(len(m))
    large = m > NORMAL_UNITS
    found[large] = np.ceil(_gamma(m[large], v[large], level))
    small = np.flatnonzero((m > 0) & ~large)
    count = _counts if len(small) > FEW else _counts_of_few
    found[small] = count(m[small], v[small], level)
    return found


def _gamma(mean: Floats, variance: Floats, level: float) -> Floats:
    shape = mean**2 / variance
    root = 1 - 1 / (9 * shape) + normal_quantile(level) / (3 * np.sqrt(shape))
    return np.asarray(mean * np.maximum(root, 0.0) ** 3, np.float64)


def _counts(mean: Floats, variance: Floats, level: float) -> Floats:
    """Sum up probabilities, count by count, of all classes at once (logarithms: none underflows)."""
    over = np.maximum(variance / mean - 1.0, 1e-9)
    size = mean / over
    log_p = -size * np.log1p(over)
    log_step = np.log(over) - np.log1p(over)
    total = np.exp(log_p)
    enough = level - 1e-12  # a sum that is the level but for rounding
    found = np.where(total >= enough, 0.0, np.nan)
    most = mean + _TAIL * np.sqrt(variance) + 30 * (1 + over)
    for n in range(1, int(most.max()) + 1):
        log_p = log_p + np.log(size + n - 1) - math.log(n) + log_step
        total = total + np.exp(log_p)
        found = np.where(np.isnan(found) & (total >= enough), float(n), found)
        if not np.isnan(found).any():
            break
    return np.where(np.isnan(found), np.ceil(most), found)


def _counts_of_few(mean: Floats, variance: Floats, level: float) -> Floats:
    """The same, many counts of few classes at once: a sum over a whole shop counts up to a thousand."""
    over = np.maximum(variance / mean - 1.0, 1e-9)
    size = mean / over
    log_p = -size * np.log1p(over)
    log_step = np.log(over) - np.log1p(over)
    total = np.exp(log_p)
    enough = level - 1e-12
    most = mean + _TAIL * np.sqrt(variance) + 30 * (1 + over)
    found = np.where(total >= enough, 0.0, np.ceil(most))
    left = np.flatnonzero(total < enough)
    last, many, end = 0, _AT_ONCE, int(most.max(initial=0.0))
    while len(left) and last < end:
        n = np.arange(last + 1.0, min(last + many, end) + 1.0)
        steps = np.log(size[left, None] + n - 1) - np.log(n) + log_step[left, None]
        chances = log_p[left, None] + np.cumsum(steps, axis=1)
        sums = total[left, None] + np.cumsum(np.exp(chances), axis=1)
        log_p[left], total[left] = chances[:, -1], sums[:, -1]
        done = sums[:, -1] >= enough
        found[left[done]] = n[np.argmax(sums[done] >= enough, axis=1)]
        left, last, many = left[~done], int(n[-1]), 2 * many
    return found


def normal_quantile(level: float) -> float:
    """Standard normal quantile, by bisection of ``math.erf``: to 12 digits, no library.

    >>> round(normal_quantile(0.9), 6)
    1.281552
    """
    low, high = -10.0, 10.0
    for _ in range(80):
        middle = (low + high) / 2
        below = 0.5 * (1 + math.erf(middle / math.sqrt(2))) < level
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2
