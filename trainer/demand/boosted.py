"""One gradient-boosted model over all series: rows of many origins, ratios to level and calendar.

Fits trees; knows nothing of the other members. The rows are the edge's own (``demand_rows``).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference import demand_rows
from trainer.demand.members import Series
from trainer.demand.seasons import Seasons

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROWS_MAX = 60_000
RATIO_MAX = 12.0


@dataclass(frozen=True, slots=True)
class Boosted:
    """Fitted trees; ``factors`` are the names of the outside influences they look at, ``drivers``
    those of what stands beside the units."""

    mean: Any
    names: list[str]
    factors: list[str]
    drivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Factors:
    """Outside influences: ``values`` float64[e, d] up to now, NaN unknown; ``known`` ahead or not."""

    names: list[str]
    values: Floats

    def upto(self, days: int) -> "Factors":
        """What was known then."""
        return Factors(self.names, self.values[:, :days])


def origin_rows(
    series: Series, fitted: Seasons, steps: Ints, factors: Floats
) -> tuple[NDArray[np.float32], Floats]:
    """Rows float32[k, n, f] of the days ``steps`` after the end of ``series``, and level x index."""
    recent = series.lately()
    later = series.moments[-1] + steps
    v = demand_rows.view(recent.y, fitted.index(recent.moments), series.period)
    index = fitted.index(later)
    rows = demand_rows.rows(
        v, index, steps, fitted.calendar.columns(later), fitted.phases, factors, recent.drivers
    )
    return rows, v.level[:, None] * index


def fit(
    series: Series, fitted: Seasons, factors: Factors, horizon: int, seed: int, first: int = 0
) -> Boosted | None:
    """Trees on targets within ``series`` only; ``None`` when there is too little to learn from."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    k, d = series.y.shape
    rng = np.random.default_rng(seed)
    warm = min(max(3 * series.period, 14), d // 3)
    origins, per = _plan(k, d, warm, horizon)
    xs, ts, ws = [], [], []
    for t in origins:
        reach = min(horizon, d - t)
        steps = np.unique(_steps(rng, reach, per))
        x, base = origin_rows(series.upto(t), fitted, steps, factors.values[:, t - 1 + steps].T)
        target = series.y[:, t - 1 + steps]
        good = ~np.isnan(target) & (base > 1e-6)
        xs.append(x[good])
        ts.append(target[good] / base[good])
        ws.append(
            np.sqrt(np.minimum(base / np.maximum(base.mean(axis=1, keepdims=True), 1e-9), 4.0))[
                good
            ]
        )
    if not xs or sum(map(len, ts)) < 300:
        return None
    x, target, weight = np.concatenate(xs), np.concatenate(ts), np.concatenate(ws)
    # Weights by drawing, not by sample_weight: weighted bins cost half of the fit.
    keep = rng.random(len(target)) < weight / weight.max() * 1.5
    keep &= rng.random(len(target)) < ROWS_MAX / max(int(keep.sum()), 1)
    x, target = x[keep], target[keep]
    model = HistGradientBoostingRegressor(
        loss="poisson",
        learning_rate=0.06,
        max_iter=90 if len(target) > 5000 else 120,
        max_leaf_nodes=16,
        min_samples_leaf=max(10, min(60, len(target) // 200)),
        l2_regularization=5.0,
        max_features=0.5,
        early_stopping=False,
        random_state=seed,
    )
    x[:, np.isnan(x).all(axis=0)] = 0  # the binning refuses a column without a value
    with threadpool_limits(1):  # two threads that wait for each other on a busy box cost tenfold
        model.fit(x, np.minimum(target, RATIO_MAX))
    drivers = series.drivers.names
    return Boosted(model, demand_rows.names(factors.names, drivers), factors.names, drivers)


def _plan(k: int, d: int, warm: int, horizon: int) -> tuple[list[int], int]:
    """Origins, newest first in weight, and days ahead of each, for about ``ROWS_MAX`` rows."""
    room = max(ROWS_MAX // max(k, 1), 1)
    per = int(np.clip(room // 20, 6, min(horizon, 24)))
    count = int(np.clip(round(room / per * 1.6), 4, max((d - warm) // 2, 4)))
    count = min(count, 900)
    stops = np.unique(np.linspace(warm, d - 1, count).astype(int))
    return [int(t) for t in stops if t >= warm and t < d], per


def _steps(rng: np.random.Generator, reach: int, per: int) -> Ints:
    """Days ahead of one origin, near ones more often."""
    if reach <= per:
        return np.arange(1, reach + 1)
    draw = np.exp(rng.uniform(0, np.log(reach + 1), per * 2)).astype(int)
    mixed = np.concatenate([draw[: per // 2], rng.integers(1, reach + 1, per - per // 2)])
    return np.asarray(np.clip(mixed, 1, reach))


def path(
    boosted: Boosted, series: Series, fitted: Seasons, horizon: int, factors: Floats
) -> Floats:
    """float64[k, h]: expected demand; ``factors`` float64[h, e]."""
    rows, base = origin_rows(series, fitted, np.arange(1, horizon + 1), factors)
    k, h, f = rows.shape
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        ratio = boosted.mean.predict(rows.reshape(k * h, f)).reshape(k, h)
    return np.asarray(ratio * base)
