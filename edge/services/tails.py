"""Tail probabilities and false discoveries, in columns. Pure; no statistics library is needed.

Only what the services here ask for: tails of the normal, Poisson, hypergeometric and chi-square (even
degrees) distributions, points that stand for a normal belief, and adjusted p-values.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

Z80 = NormalDist().inv_cdf(0.9)
"""Half the width of an interval of 80 %, in standard deviations."""
_SMALL = 1e-17
_ROUNDS_MAX = 100_000

_BLOCK = 4_096
"""Numbers worked on without letting other threads in: Python's own functions hold them off."""

_lgamma = np.frompyfunc(math.lgamma, 1, 1)
_erfc = np.frompyfunc(math.erfc, 1, 1)


def log_gamma(x: ArrayLike) -> Floats:
    """float64[…]: ln Γ(x)."""
    return _blockwise(lambda v: np.asarray(_lgamma(v), np.float64), x)


def normal_tail(z: ArrayLike) -> Floats:
    """float64[…]: P(Z > z) of a standard normal.

    >>> normal_tail([0.0, 1.959964]).round(6).tolist()
    [0.5, 0.025]
    """
    return _blockwise(lambda v: np.asarray(_erfc(v / math.sqrt(2)), np.float64) / 2, z)


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
    return _blockwise(_poisson, least, mean)


def _poisson(least: Floats, mean: Floats) -> Floats:
    out = np.ones(len(least))
    asked = np.flatnonzero((least > mean) & (least > 0))
    k, mu = least[asked], np.maximum(mean[asked], 1e-300)
    first = np.exp(k * np.log(mu) - mu - log_gamma(k + 1))
    out[asked] = _summed(first, lambda j: mu / (k + j + 1))
    return out


def hypergeometric_tail(least: ArrayLike, total: ArrayLike, a: ArrayLike, b: ArrayLike) -> Floats:
    """float64[p]: P(X >= least), X of ``a`` draws out of ``total`` that hit one of ``b``.

    1 where ``least`` is no more than the mean, as in :func:`poisson_tail`. One-sided Fisher's exact test.
    """
    return _blockwise(_hypergeometric, least, total, a, b)


def _hypergeometric(least: Floats, total: Floats, a_: Floats, b_: Floats) -> Floats:
    asked = (least * total > a_ * b_) & (least > 0)
    possible = asked & (least <= np.minimum(a_, b_)) & (a_ + b_ - least <= total)
    out = np.where(asked, 0.0, 1.0)
    at = np.flatnonzero(possible)
    k, n, a, b = least[at], total[at], a_[at], b_[at]

    def choose(top: Floats, bottom: Floats) -> Floats:
        return log_gamma(top + 1) - log_gamma(bottom + 1) - log_gamma(top - bottom + 1)

    first = np.exp(np.minimum(choose(b, k) + choose(n - b, a - k) - choose(n, a), 0.0))

    def ratio(j: int) -> Floats:
        up = np.maximum(a - k - j, 0.0) * np.maximum(b - k - j, 0.0)
        return np.asarray(up / np.maximum((k + j + 1) * (n - a - b + k + j + 1), 1.0))

    out[at] = _summed(first, ratio)
    return out


def _summed(first: Floats, ratio: Callable[[int], Floats]) -> Floats:
    """Sum of terms that fall ever faster: each is the one before times ``ratio(number)``; 1 at most."""
    term, total = first.copy(), first.copy()
    for j in range(_ROUNDS_MAX):
        term = term * ratio(j)
        total += term
        if not (term > total * _SMALL).any():
            break
    return np.minimum(total, 1.0)


def _blockwise(f: Callable[..., Floats], *given: ArrayLike) -> Floats:
    """``f`` of flat blocks of the arrays, put together in their common shape."""
    arrays = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in given))
    flat = [np.ascontiguousarray(v).reshape(-1) for v in arrays]
    out = np.empty(flat[0].shape)
    for start in range(0, len(out), _BLOCK):
        part = slice(start, start + _BLOCK)
        out[part] = f(*(v[part] for v in flat))
    return out.reshape(arrays[0].shape)


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
