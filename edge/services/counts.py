"""How many units will be asked for, as a distribution of counts. No stock, no money, no models.

A count is told by its mean and variance: a negative binomial of these moments, a Poisson where the
variance is no larger than the mean, and nothing but zero where the mean is zero. Above ``LARGE``
units a gamma of the same moments is as good (Wilson & Hilferty, PNAS 17, 1931). Every function takes
and gives columns of one length k; numbers repeat for all rows where a scalar is given.

Sources: tails by continued fractions, Press et al., Numerical Recipes 3rd ed. (2007), 6.2 and 6.4;
expected shortage from ``x P(x; r) = m P(x - 1; r + 1)``, Zipkin, Foundations of Inventory
Management (2000), C.2.3.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge.inference.velocity import normal_quantile

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LARGE = 10_000.0
"""Above this mean a count is as good as continuous, units."""
POISSON_BELOW = 1e-3
"""A variance that exceeds the mean by a smaller share is a Poisson's."""
ADDED_MOST = 64
"""Up to so many units chances are added up one by one: quicker than a fraction."""
_TINY = 1e-300
_EPS = 1e-12
_STEPS = 5_000

z_of = lru_cache(maxsize=256)(normal_quantile)
"""Standard normal quantile of one level, remembered."""


def moments(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """(mean, variance) as they are used: no mean below 0, no variance below the mean."""
    m = np.maximum(np.nan_to_num(np.asarray(mean, np.float64)), 0.0)
    return m, np.maximum(np.nan_to_num(np.asarray(variance, np.float64)), m)


def at_most(mean: Floats, variance: Floats, units: Floats) -> Floats:
    """float64[k]: probability that no more than ``units`` are asked for; 0 below zero units.

    >>> at_most(np.array([2.0]), np.array([2.0]), np.array([2.0])).round(4).tolist()
    [0.6767]
    """
    m, v = moments(mean, variance)
    m, v, x = np.broadcast_arrays(m, v, np.floor(np.asarray(units, np.float64) + 1e-9))
    found = np.where(x >= 0, 1.0, 0.0)
    asked = (x >= 0) & (m > 0)
    large = asked & (m > LARGE)
    over = v / np.where(m > 0, m, 1.0) - 1.0
    if large.any():
        found[large] = _gamma_at_most(m[large], v[large], x[large] + 0.5)
    poisson = over < POISSON_BELOW
    few = asked & ~large & (x <= ADDED_MOST)
    if few.any():
        found[few] = _added(m[few], over[few], poisson[few], x[few])
    rest = asked & ~large & ~few
    if (told := rest & poisson).any():
        found[told] = gamma_above(x[told] + 1.0, m[told])
    if (told := rest & ~poisson).any():
        p = m[told] / v[told]
        size = m[told] * p / (1.0 - p)
        found[told] = _beta_below(size, x[told] + 1.0, p)
    return np.clip(found, 0.0, 1.0)


def more_than(mean: Floats, variance: Floats, units: Floats) -> Floats:
    """float64[k]: probability that more than ``units`` are asked for."""
    return 1.0 - at_most(mean, variance, units)


def quantile(mean: Floats, variance: Floats, level: Floats | float) -> Floats:
    """float64[k]: the fewest whole units that suffice with probability ``level``, below 1.

    >>> quantile(np.array([2.0, 0.0, 50.0]), np.array([2.0, 0.0, 50.0]), 0.95).tolist()
    [5.0, 0.0, 62.0]
    """
    m, v = moments(mean, variance)
    m, v, wanted = np.broadcast_arrays(m, v, np.asarray(level, np.float64))
    assert bool(((wanted >= 0) & (wanted < 1)).all()), wanted
    enough = wanted - 1e-12  # a sum that is the level but for rounding
    guess = np.ceil(np.maximum(_gamma_quantile(m, v, wanted) - 0.5, 0.0))
    guess[m == 0] = 0.0
    searched = np.flatnonzero((m > 0) & (m <= LARGE))
    if len(searched):
        a, b, e = m[searched], v[searched], enough[searched]
        guess[searched] = first(lambda x, on: at_most(a[on], b[on], x) >= e[on], guess[searched])
    return np.asarray(guess, np.float64)


def up_to(mean: float, variance: float, most: int) -> Floats:
    """float64[most + 1]: ``at_most`` 0, 1, … ``most`` units of one distribution.

    Each chance out of the one before, all in one go; beyond ``ONE_MOST`` by their logarithms.

    >>> up_to(2.0, 2.0, 3).round(4).tolist()
    [0.1353, 0.406, 0.6767, 0.8571]
    """
    m = max(mean, 0.0)
    over = max(variance, m) / m - 1.0 if m > 0 else 0.0
    over = 0.0 if over < POISSON_BELOW else over
    nothing = -m / over * math.log1p(over) if over else -m
    n = np.arange(1.0, most + 1.0)
    steps = (m / (1.0 + over) + over / (1.0 + over) * (n - 1.0)) / n
    if m <= ONE_MOST:
        chances = np.cumprod(np.concatenate(([math.exp(nothing)], steps)))
    else:
        chances = np.exp(np.cumsum(np.concatenate(([nothing], np.log(steps)))))
    return np.minimum(np.cumsum(chances), 1.0)


ONE_MOST = 500.0
"""Largest mean whose chance of nothing is still a number to begin with."""


def quantiles_of_one(mean: float, variance: float, levels: tuple[float, ...]) -> list[float]:
    """``quantile`` of one distribution at some levels: quicker than as columns.

    >>> quantiles_of_one(50.0, 50.0, (0.1, 0.95))
    [41.0, 62.0]
    """
    m, v = max(mean, 0.0), max(variance, mean, 0.0)
    most = m + 12.0 * math.sqrt(v) + 20.0
    if m <= LARGE and most <= 2.0 * LARGE:
        chances = up_to(m, v, int(most))
        if chances[-1] >= max(levels):
            return [float(np.searchsorted(chances, level - 1e-12)) for level in levels]
    k = len(levels)
    found: list[float] = quantile(np.full(k, m), np.full(k, v), np.array(levels)).tolist()
    return found


def first(holds: Callable[[Floats, NDArray[np.int64]], Bools], guess: Floats) -> Floats:
    """float64[k]: the first whole number from 0 for which ``holds`` is true, found from a guess.

    ``holds(numbers, rows)`` is false up to some number and true from there on.
    """
    rows = np.arange(len(guess))
    high, low, width = guess.copy(), np.full(len(guess), -1.0), np.ones(len(guess))
    down = holds(guess, rows)
    low[~down] = guess[~down]
    open_up, open_down = np.flatnonzero(~down), np.flatnonzero(down & (guess > 0))
    while len(open_up):
        high[open_up] = low[open_up] + width[open_up]
        true = holds(high[open_up], open_up)
        low[open_up[~true]] = high[open_up[~true]]
        width[open_up] *= 2
        open_up = open_up[~true]
    while len(open_down):
        tried = np.maximum(high[open_down] - width[open_down], -1.0)
        true = (tried >= 0) & holds(np.maximum(tried, 0.0), open_down)
        high[open_down[true]] = tried[true]
        low[open_down[~true]] = tried[~true]
        width[open_down] *= 2
        open_down = open_down[true]
    while len(left := np.flatnonzero(high - low > 1)):
        middle = np.floor((high[left] + low[left]) / 2)
        true = holds(middle, left)
        high[left[true]], low[left[~true]] = middle[true], middle[~true]
    return high


def shortage(mean: Floats, variance: Floats, units: Floats) -> Floats:
    """float64[k]: expected units asked for beyond ``units``; all of them where that is negative.

    >>> shortage(np.array([50.0]), np.array([50.0]), np.array([56.0])).round(3).tolist()
    [0.815]
    """
    m, v = moments(mean, variance)
    m, v, given = np.broadcast_arrays(m, v, np.asarray(units, np.float64))
    x = np.floor(np.maximum(given, 0.0) + 1e-9)
    over = np.where(m > 0, v / np.where(m > 0, m, 1.0) - 1.0, 0.0)
    found = m * more_than(m + over, v + over * (1.0 + over), x - 1.0) - x * more_than(m, v, x)
    part = np.clip(np.maximum(given, 0.0) - x, 0.0, 1.0)  # linear between two whole numbers
    found = np.maximum(found - part * more_than(m, v, x), 0.0)
    large = m + over > LARGE  # both tails above are then one kind or the other
    if large.any():
        found[large] = _gamma_shortage(m[large], v[large], np.maximum(given[large], 0.0))
    return np.asarray(np.where(given < 0, m - given, found), np.float64)


def normal_at_most(z: Floats) -> Floats:
    """float64[k]: the standard normal distribution function."""
    flat = np.asarray(z, np.float64)
    root = math.sqrt(2.0)
    return np.array([0.5 * math.erfc(-x / root) for x in flat.ravel().tolist()]).reshape(flat.shape)


def normal_density(z: Floats) -> Floats:
    """float64[k]: the standard normal density."""
    return np.asarray(np.exp(-0.5 * np.square(z)) / math.sqrt(2 * math.pi), np.float64)


# -- the gamma of the same moments ----------------------------------------------------------------------


def _gamma_quantile(mean: Floats, variance: Floats, level: Floats) -> Floats:
    levels, of = np.unique(level, return_inverse=True)
    z = np.array([z_of(min(max(float(x), 1e-12), 1 - 1e-12)) for x in levels])[of].reshape(
        level.shape
    )
    shape = np.maximum(mean, _TINY) ** 2 / np.maximum(variance, _TINY)
    root = 1 - 1 / (9 * np.maximum(shape, 1e-9)) + z / (3 * np.sqrt(np.maximum(shape, 1e-9)))
    return np.asarray(np.minimum(mean * np.maximum(root, 0.0) ** 3, mean * 1e6), np.float64)


def _gamma_at_most(mean: Floats, variance: Floats, units: Floats) -> Floats:
    shape = mean**2 / variance
    z = (np.cbrt(units / mean) - 1 + 1 / (9 * shape)) * 3 * np.sqrt(shape)
    return normal_at_most(z)


def _gamma_shortage(mean: Floats, variance: Floats, units: Floats) -> Floats:
    """Expected excess of a gamma: ``m P(X' > u) - u P(X > u)``, X' with one more of shape.

    Where the shape is so large that it is a normal, the normal's.
    """
    shape, scale = mean**2 / variance, variance / mean
    deviation = np.sqrt(variance)
    z = (units - mean) / deviation
    found = deviation * (normal_density(z) - z * normal_at_most(-z))
    skew = (shape < _SHAPE_NORMAL) & (units > 0)
    if skew.any():
        a, x = shape[skew], (units / scale)[skew]
        found[skew] = mean[skew] * gamma_above(a + 1.0, x) - units[skew] * gamma_above(a, x)
    return np.maximum(np.where(units > 0, found, mean), 0.0)


_SHAPE_NORMAL = 10_000.0


# -- few units: added up ----------------------------------------------------------------------------------


def _added(mean: Floats, over: Floats, poisson: Bools, units: Floats) -> Floats:
    """Chances of 0, 1, … units added up, each out of the one before. A mean of 700 leaves none."""
    o = np.where(poisson, 0.0, over)
    first = np.where(poisson, mean, mean / np.where(poisson, 1.0, o) * np.log1p(o))
    start, slope = mean / (1.0 + o), o / (1.0 + o)
    n = np.arange(1.0, float(units.max()) + 1.0)
    chances = np.empty((len(mean), len(n) + 1))
    chances[:, 0] = np.exp(-first)
    chances[:, 1:] = (start[:, None] + slope[:, None] * (n - 1.0)) / n
    totals = np.cumsum(np.cumprod(chances, axis=1), axis=1)
    return np.asarray(totals[np.arange(len(mean)), units.astype(np.int64)], np.float64)


# -- tails --------------------------------------------------------------------------------------------


def log_gamma(values: Floats) -> Floats:
    """float64[k]: ln Γ of positive numbers."""
    return np.array([math.lgamma(x) for x in values.tolist()])


def gamma_above(a: Floats, x: Floats) -> Floats:
    """float64[k]: the regularised upper incomplete gamma Q(a, x), x > 0."""
    front = np.exp(a * np.log(x) - x - log_gamma(a))
    found = np.empty(len(a))
    below = x < a + 1
    if below.any():
        found[below] = 1.0 - front[below] * _gamma_series(a[below], x[below])
    if not below.all():
        found[~below] = front[~below] * gamma_fraction(a[~below], x[~below])
    return found


def _gamma_series(a: Floats, x: Floats) -> Floats:
    term = 1.0 / a
    total = term.copy()
    for n in range(1, _STEPS):
        term = term * x / (a + n)
        total += term
        if (term < total * _EPS).all():
            break
    return total


def gamma_fraction(a: Floats, x: Floats) -> Floats:
    """float64[k]: Γ(a, x) exp(x) x^-a for x > a + 1, by a continued fraction."""
    b = x + 1.0 - a
    c = np.full(len(a), 1 / _TINY)
    d = 1.0 / b
    found = d.copy()
    for n in range(1, _STEPS):
        an = -n * (n - a)
        b = b + 2.0
        d = 1.0 / _away(an * d + b)
        c = _away(b + an / c)
        step = d * c
        found *= step
        if (np.abs(step - 1.0) < _EPS).all():
            break
    return found


def _beta_below(a: Floats, b: Floats, x: Floats) -> Floats:
    """Regularised incomplete beta I_x(a, b) of columns, 0 < x < 1."""
    front = np.exp(
        log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * np.log(x) + b * np.log1p(-x)
    )
    turned = x >= (a + 1) / (a + b + 2)
    p, q = np.where(turned, b, a), np.where(turned, a, b)
    found = front * _beta_fraction(p, q, np.where(turned, 1 - x, x)) / p
    return np.where(turned, 1.0 - found, found)


def _beta_fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    c = np.ones(len(a))
    d = 1.0 / _away(1 - (a + b) * x / (a + 1))
    found = d.copy()
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / _away(1 + even * d)
        c = _away(1 + even / c)
        found = found * d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / _away(1 + odd * d)
        c = _away(1 + odd / c)
        step = d * c
        found = found * step
        if (np.abs(step - 1.0) < _EPS * 10).all():
            break
    return found


def _away(values: Floats) -> Floats:
    """Never exactly zero, so that it may be divided by."""
    return np.where(np.abs(values) < _TINY, _TINY, values)
