"""Fits of exponential smoothing, Theta and ARIMA for all series at once. No files, no backtests.

One pass over the days filters every series under every line of a grid; each series then takes the
line with the least error, its own error shrunk towards the panel's, so that a short or rare series
does not chase noise. Arrays are float64[k, d]; NaN is not observed. Series come scaled to about 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.inference.demand_states import DIM, Member, State

Floats = NDArray[np.float64]
Marks = dict[int, State]

SHRINK_DAYS = 60.0
"""A series of this many observations takes its own error and the panel's by halves."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Lines of candidates for the same recursion, each float64[n]."""

    alpha: Floats
    beta: Floats
    phi: Floats
    gamma: Floats


def _grid(lines: list[tuple[float, float, float, float]]) -> Grid:
    a, b, p, g = np.array(lines).T
    return Grid(a, b, p, g)


ALPHAS = (0.01, 0.03, 0.06, 0.1, 0.17, 0.28, 0.45, 0.7)
SMOOTHING = _grid(
    [(a, 0.0, 0.0, 0.0) for a in ALPHAS]
    + [(a, a * r, p, 0.0) for a in ALPHAS[1:-1] for r in (0.05, 0.2) for p in (0.9, 0.97)]
)
"""Level alone, or with a damped trend; the season is in the calendar's index."""
SEASONAL = _grid(
    [(a, 0.0, 0.0, g) for a in ALPHAS for g in (0.02, 0.07, 0.16, 0.3)]
    + [(a, a * 0.1, 0.95, g) for a in ALPHAS[1:-1] for g in (0.03, 0.12)]
)
"""With an additive season of its own."""
THETA = _grid([(a, 0.0, 1.0, 0.0) for a in ALPHAS])


def start(y: Floats, period: int, seasonal: bool) -> tuple[Floats, Floats]:
    """Level [k] and season [k, m] from the first four seasons observed of each series."""
    k, d = y.shape
    seen = ~np.isnan(y)
    rank = seen.cumsum(axis=1)
    early = seen & (rank <= max(4 * period, 14))
    count = np.maximum(early.sum(axis=1), 1)
    level = np.where(early, y, 0.0).sum(axis=1) / count
    season = np.zeros((k, period))
    if seasonal:
        phase = np.arange(d) % period
        gap = np.where(early, y - level[:, None], 0.0)
        onto = np.eye(period)[phase]
        season = (gap @ onto) / (early.astype(np.float64) @ onto + 1.0)
        season -= season.mean(axis=1, keepdims=True)
    return level, season


def smooth(
    y: Floats,
    level: Floats,
    trend: Floats,
    season: Floats,
    grid: Grid,
    since: int,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Squared one-step error [n, k] from day ``since`` on, and the last level, trend and season.

    ``grid`` lines are [n, 1] or [n, k].
    """
    n = grid.alpha.shape[0]
    k, d = y.shape
    period = season.shape[1]
    seasonal = bool((grid.gamma > 0).any())
    one = np.broadcast_to(level, (n, k)).copy()
    slope = np.broadcast_to(trend, (n, k)).copy()
    cycle = np.broadcast_to(season.T[:, None, :], (period, n, k)).copy()
    wrong, days = np.zeros((n, k)), y.T.copy()
    seen = ~np.isnan(days)
    filled = np.where(seen, days, 0.0)
    for day in range(d):
        ahead = one + grid.phi * slope
        expected = ahead + cycle[day % period] if seasonal else ahead
        error = (filled[day] - expected) * seen[day]
        if day >= since:
            wrong += error * error
        one = ahead + grid.alpha * error
        slope = grid.phi * slope + grid.beta * error
        if seasonal:
            cycle[day % period] += grid.gamma * error
    order = (d + np.arange(period)) % period
    return wrong, one, slope, cycle[order].transpose(1, 2, 0)


def choose(wrong: Floats, y: Floats, since: int) -> NDArray[np.int64]:
    """int64[k]: the line of each series, its own error shrunk towards the panel's."""
    count = (~np.isnan(y[:, since:])).sum(axis=1)
    best = np.maximum(wrong.min(axis=0), 1e-9)
    own = wrong / best
    everybody = np.minimum(own, 3.0).mean(axis=1, keepdims=True)
    trust = count / (count + SHRINK_DAYS)
    return np.asarray((trust * np.minimum(own, 3.0) + (1 - trust) * everybody).argmin(axis=0))


def _line(grid: Grid, chosen: NDArray[np.int64]) -> Grid:
    return Grid(*(v[chosen][None] for v in (grid.alpha, grid.beta, grid.phi, grid.gamma)))


def _column(grid: Grid) -> Grid:
    return Grid(*(v[:, None] for v in (grid.alpha, grid.beta, grid.phi, grid.gamma)))


def smoothing(
    y: Floats, period: int, grid: Grid, trend: Floats | None = None
) -> tuple[Member, State]:
    """Exponential smoothing with the best line of ``grid``, and the state at the end of ``y``.

    ``trend`` [k] is a constant drift a day (Theta); without it the trend starts at nothing.
    """
    k = len(y)
    seasonal = bool((grid.gamma > 0).any())
    level, season = start(y, period, seasonal)
    drift = np.zeros(k) if trend is None else trend
    since = min(2 * period, y.shape[1] // 3)
    wrong, *_ = smooth(y, level, drift, season, _column(grid), since)
    line = _line(grid, choose(wrong, y, since))
    _, one, slope, cycle = smooth(y, level, drift, season, line, since)
    return _member(line, k), State(_stack(one[0], slope[0]), cycle[0])


def _stack(level: Floats, trend: Floats) -> Floats:
    return np.stack([level, trend, np.zeros_like(level)], axis=1)


def _member(line: Grid, k: int) -> Member:
    a = np.zeros((k, DIM, DIM))
    a[:, 0, 0], a[:, 0, 1], a[:, 1, 1] = 1.0, line.phi[0], line.phi[0]
    w = np.stack([np.ones(k), line.phi[0], np.zeros(k)], axis=1)
    return Member(a, w, _stack(line.alpha[0], line.beta[0]), line.gamma[0].copy())


def theta(y: Floats, period: int) -> tuple[Member, State]:
    """Theta as simple exponential smoothing with half the slope of the line through the series.

    The slope is shrunk by its own standard error. Source: Hyndman & Billah (2003).
    """
    seen = ~np.isnan(y)
    days = np.arange(y.shape[1], dtype=np.float64)
    count = np.maximum(seen.sum(axis=1), 1)
    middle = (seen * days).sum(axis=1) / count
    mean = np.where(seen, y, 0.0).sum(axis=1) / count
    x = np.where(seen, days - middle[:, None], 0.0)
    spread = np.maximum((x * x).sum(axis=1), 1e-9)
    gap = np.where(seen, y - mean[:, None], 0.0)
    slope = (x * gap).sum(axis=1) / spread
    left = ((gap - slope[:, None] * x) ** 2).sum(axis=1) / np.maximum(count - 2, 1)
    slope *= slope**2 / (slope**2 + 4 * left / spread + 1e-12)
    return smoothing(y, period, THETA, slope / 2)


def arma(y: Floats, period: int) -> tuple[Member, State]:
    """ARMA(2, 1) with a mean, by Hannan and Rissanen's two regressions, then filtered once.

    A long autoregression gives the errors, a second regression the coefficients; both are ridged,
    and coefficients outside the stationary region are drawn in. Source: Hannan & Rissanen (1982).
    """
    k, d = y.shape
    seen = ~np.isnan(y)
    count = np.maximum(seen.sum(axis=1), 1)
    mean = np.where(seen, y, 0.0).sum(axis=1) / count
    z = np.where(seen, y - mean[:, None], 0.0)
    long = min(10, max(d // 4, 1))
    error = z - _regress(z, _lags(z, range(1, long + 1)), seen)[1]
    error = np.where(seen, error, 0.0)
    both = np.concatenate([_lags(z, (1, 2)), _lags(error, (1,))], axis=0)
    coefficients, _ = _regress(z, both, seen)
    phi1, phi2, ma = coefficients.T
    phi2 = np.clip(phi2, -0.9, 0.9)
    phi1 = np.clip(phi1, -(0.98 - phi2), 0.98 - phi2)
    ma = np.clip(ma, -0.95, 0.95)
    a = np.zeros((k, DIM, DIM))
    a[:, 0, 0], a[:, 0, 1], a[:, 1, 0], a[:, 2, 2] = phi1, 1.0, phi2, 1.0
    w = np.tile(np.array([1.0, 0.0, 1.0]), (k, 1))
    member = Member(a, w, np.stack([phi1 + ma, phi2, np.zeros(k)], axis=1), np.zeros(k))
    one, two = np.zeros(k), np.zeros(k)
    for day in range(d):
        shock = np.where(seen[:, day], z[:, day] - one, 0.0)
        one, two = phi1 * one + two + (phi1 + ma) * shock, phi2 * one + phi2 * shock
    x = np.stack([one, two, mean], axis=1)
    return member, State(x, np.zeros((k, period)))


def _lags(z: Floats, lags: "range | tuple[int, ...]") -> Floats:
    """float64[p, k, d]: the values so many days before."""
    out = np.zeros((len(lags), *z.shape))
    for i, lag in enumerate(lags):
        out[i, :, lag:] = z[:, :-lag]
    return out


def _regress(z: Floats, on: Floats, seen: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Ridged least squares of each series: coefficients [k, p] and fitted values [k, d]."""
    x = on * seen
    gram = np.einsum("pkd,qkd->kpq", x, x)
    size = np.trace(gram, axis1=1, axis2=2)[:, None, None] / len(on)
    gram += np.eye(len(on)) * (0.02 * size + 1e-9)
    right = np.einsum("pkd,kd->kp", x, z)
    coefficients = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
    return coefficients, np.einsum("kp,pkd->kd", coefficients, on)
