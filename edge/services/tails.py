"""Tail probabilities and false discoveries, in columns. Pure; no statistics library is needed.

Only what the services here ask for: tails of the normal, Poisson, hypergeometric and chi-square (even
degrees) distributions, points that stand for a normal belief, and adjusted p-values.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

Z80 = NormalDist().inv_cdf(0.9)
"""Half the width of an interval of 80 %, in standard deviations."""
_SMALL = 1e-17
_ROUNDS_MAX = 100_000

_lgamma = np.frompyfunc(math.lgamma, 1, 1)
_erfc = np.frompyfunc(math.erfc, 1, 1)


def log_gamma(x: ArrayLike) -> Floats:
    """float64[…]: ln Γ(x)."""
    return np.asarray(_lgamma(np.asarray(x, np.float64)), np.float64)


def normal_tail(z: ArrayLike) -> Floats:
    """float64[…]: P(Z > z) of a standard normal.

    >>> normal_tail([0.0, 1.959964]).round(6).tolist()
    [0.5, 0.025]
    """
    return np.asarray(_erfc(np.asarray(z, np.float64) / math.sqrt(2)), np.float64) / 2


def normal_points(n: int) -> Floats:
    """float64[n]: middles of n equally likely parts of a standard normal, ascending.

    >>> normal_points(3).round(3).tolist()
    [-0.967, 0.0, 0.967]
    """
    unit = NormalDist()
    return np.array([unit.inv_cdf((i + 0.5) / n) for i in range(n)])


def chi2_tail(x: ArrayLike, degrees: int) -> Floats:
    """float64[…]: P(X > x) of chi-square with an even number of degrees of freedom.

    >>> chi2_tail([5.991465], 2).round(6).tolist()
    [0.05]
    """
    assert degrees in range(2, 1_000, 2), degrees
    half = np.maximum(np.asarray(x, np.float64), 0.0) / 2
    term = np.ones_like(half)
    total = np.ones_like(half)
    for i in range(1, degrees // 2):
        term = term * half / i
        total = total + term
    return np.asarray(np.minimum(np.exp(-half) * total, 1.0))


def poisson_tail(least: ArrayLike, mean: ArrayLike) -> Floats:
    """float64[p]: P(X >= least) of Poisson variables; 1 where ``least`` is no more than the mean.

    A p-value above a half tells nothing, so it is not worked out.
    """
    k, mu = (np.array(v, np.float64) for v in np.broadcast_arrays(least, mean))
    asked = (k > mu) & (k > 0)
    with np.errstate(divide="ignore"):
        first = np.exp(k * np.log(np.maximum(mu, 1e-300)) - mu - log_gamma(k + 1))
    return _summed(np.where(asked, first, 0.0), asked, lambda j: mu / (k + j + 1))


def hypergeometric_tail(least: ArrayLike, total: ArrayLike, a: ArrayLike, b: ArrayLike) -> Floats:
    """float64[p]: P(X >= least), X of ``a`` draws out of ``total`` that hit one of ``b``.

    1 where ``least`` is no more than the mean, as in :func:`poisson_tail`. One-sided Fisher's exact test.
    """
    k, n, a_, b_ = (np.array(v, np.float64) for v in np.broadcast_arrays(least, total, a, b))
    asked = (k * n > a_ * b_) & (k > 0)
    possible = asked & (k <= np.minimum(a_, b_)) & (a_ + b_ - k <= n)
    kk = np.where(possible, k, 0.0)

    def choose(top: Floats, bottom: Floats) -> Floats:
        return log_gamma(top + 1) - log_gamma(bottom + 1) - log_gamma(top - bottom + 1)

    safe_n = np.maximum(n, np.maximum(a_, b_))
    rest = np.where(possible, a_ - kk, 0.0)
    log_first = (
        choose(np.maximum(b_, kk), kk)
        + choose(np.maximum(safe_n - b_, rest), rest)
        - choose(safe_n, np.minimum(a_, safe_n))
    )
    first = np.where(possible, np.exp(np.minimum(log_first, 0.0)), 0.0)

    def ratio(j: int) -> Floats:
        up = np.maximum(a_ - k - j, 0.0) * np.maximum(b_ - k - j, 0.0)
        return np.asarray(up / np.maximum((k + j + 1) * (n - a_ - b_ + k + j + 1), 1.0))

    return _summed(first, asked, ratio)


def _summed(first: Floats, asked: NDArray[np.bool_], ratio: object) -> Floats:
    """Sum of terms that fall ever faster: each is the one before times ``ratio(number)``."""
    assert callable(ratio)
    term, total = first.copy(), first.copy()
    for j in range(_ROUNDS_MAX):
        term = term * ratio(j)
        total += term
        if not (term > total * _SMALL).any():
            break
    return np.where(asked, np.minimum(total, 1.0), 1.0)


def q_values(p: Floats, tests: int | None = None, *, any_dependence: bool = False) -> Floats:
    """float64[p]: least share of false discoveries at which each would be one, of ``tests`` in all.

    Benjamini & Hochberg (J. R. Stat. Soc. B 57, 1995): right for tests that do not depend on each
    other, or only positively. ``any_dependence``: right however they do, and more careful (Benjamini
    & Yekutieli, Ann. Stat. 29, 2001). Tests that are not given count as failed.

    >>> q_values(np.array([0.01, 0.5]), 10).tolist()
    [0.1, 1.0]
    """
    assert tests is None or tests >= len(p), (tests, len(p))
    many = len(p) if tests is None else tests
    if any_dependence:
        many *= math.fsum(1 / i for i in range(1, many + 1))  # type: ignore[assignment]
    order = np.argsort(p, kind="stable")
    ranked = p[order] * many / np.arange(1, len(p) + 1)
    q = np.empty_like(p)
    q[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return q
