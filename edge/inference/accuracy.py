"""How good predictions have been, once the actual values are known. Pure: arrays in, sums out.

No storage and no judgement about promotion. What is kept are sums, so that days, classes and
horizons add up exactly; every figure is derived from sums (``figures``).

Sources: pinball loss, Koenker and Bassett 1978; interval score, Gneiting and Raftery 2007, eq. 43;
Brier 1950. ``accuracy`` of a forecast is 1 - WAPE (sum of absolute errors over sum of actuals).
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from edge.inference.manifest import Column, central

Floats = NDArray[np.float32] | NDArray[np.float64]

CALIBRATION_BINS = 10

Number = TypeVar("Number", int, float)


class Scores(Struct, kw_only=True):
    """Sums over predictions whose actual is known. They add up: see ``add``."""

    n: int = 0
    points: int = 0
    """Predictions with a point forecast or a probability: what the errors are sums over."""
    error: float = 0.0
    """Sum of predicted less actual: the bias."""
    absolute_error: float = 0.0
    squared_error: float = 0.0
    absolute_actual: float = 0.0
    pinball: dict[str, float] = {}
    """Sum of the pinball loss by level, ``0.1`` …"""
    below: dict[str, int] = {}
    """How often the actual was at or below the quantile, by level."""
    interval_n: int = 0
    """Predictions with an interval: two quantiles with the same share outside on either side."""
    covered: int = 0
    under: int = 0
    """Actuals below the low quantile, where that is above the least there can be."""
    under_n: int = 0
    over: int = 0
    """Actuals above the high quantile."""
    interval_width: float = 0.0
    interval_score: float = 0.0
    probabilities: list[tuple[int, float, float]] = field(default_factory=list)
    """(predictions, sum of probability, times it happened) in ten bins of equal width."""
    brier: float = 0.0

    def add(self, other: "Scores") -> "Scores":
        """Both together, as a new one."""
        mine = self.probabilities or [(0, 0.0, 0.0)] * len(other.probabilities)
        theirs = other.probabilities or [(0, 0.0, 0.0)] * len(mine)
        return Scores(
            pinball=_added(self.pinball, other.pinball),
            below=_added(self.below, other.below),
            probabilities=[
                (a[0] + b[0], a[1] + b[1], a[2] + b[2]) for a, b in zip(mine, theirs, strict=True)
            ],
            **{name: getattr(self, name) + getattr(other, name) for name in _PLAIN},
        )


_PLAIN = (
    *("n", "points", "error", "absolute_error", "squared_error", "absolute_actual"),
    *(
        "interval_n",
        "covered",
        "under",
        "under_n",
        "over",
        "interval_width",
        "interval_score",
        "brier",
    ),
)


def _added(a: Mapping[str, Number], b: Mapping[str, Number]) -> dict[str, Number]:
    return {name: a.get(name, 0) + b.get(name, 0) for name in {**a, **b}}


def is_probability(column: Column) -> bool:
    """Whether a column says how likely something is."""
    return column.unit == "1" and column.quantile is None and column.highest == 1.0


def judge(columns: Sequence[Column], predicted: Floats, actual: Floats) -> Scores:
    """Scores of columns that answer one question (same horizon), where the actual is known.

    ``predicted``: [n, len(columns)]; ``actual``: [n], NaN where it is not known, 0 or 1 for
    probabilities. The point forecast is the column without a level, else the median; a question
    with neither has quantiles judged alone. An answer that is no finite number is none: one of them
    would make every sum infinite, for good.
    """
    y, answers = np.asarray(actual, np.float64), np.asarray(predicted, np.float64)
    usable = np.isfinite(y) & np.isfinite(answers).all(axis=1)
    y, answers = y[usable], answers[usable]
    if any(is_probability(column) for column in columns):
        return _probabilities(columns, answers, y)
    scores = _point(columns, answers, y)
    return scores.add(_quantiles(columns, answers, y))


def _point(columns: Sequence[Column], answers: Floats, y: Floats) -> Scores:
    levels = [column.quantile for column in columns]
    at = next((levels.index(level) for level in (None, 0.5) if level in levels), None)
    if at is None:
        return Scores(n=len(y))
    error = answers[:, at] - y
    return Scores(
        n=len(y),
        points=len(y),
        error=float(error.sum()),
        absolute_error=float(np.abs(error).sum()),
        squared_error=float((error * error).sum()),
        absolute_actual=float(np.abs(y).sum()),
    )


def _quantiles(columns: Sequence[Column], answers: Floats, y: Floats) -> Scores:
    levels = {c.quantile: i for i, c in enumerate(columns) if c.quantile is not None}
    pinball, below = {}, {}
    for level, i in levels.items():
        short = y - answers[:, i]
        pinball[f"{level:g}"] = float(np.maximum(level * short, (level - 1) * short).sum())
        below[f"{level:g}"] = int((short <= 0).sum())
    ends = central(levels)
    if ends is None:
        return Scores(pinball=pinball, below=below)
    low, high = ends
    low_y, high_y = answers[:, levels[low]], answers[:, levels[high]]
    outside = np.maximum(low_y - y, 0) / low + np.maximum(y - high_y, 0) / (1 - high)
    width = high_y - low_y
    least = next((c.lowest for c in columns if c.quantile == low), None)
    can = low_y > least if least is not None else np.ones(len(y), np.bool_)
    return Scores(
        pinball=pinball,
        below=below,
        interval_n=len(y),
        covered=int(((y >= low_y) & (y <= high_y)).sum()),
        under=int((y < low_y)[can].sum()),
        under_n=int(can.sum()),
        over=int((y > high_y).sum()),
        interval_width=float(width.sum()),
        interval_score=float((width + outside).sum()),
    )


def _probabilities(columns: Sequence[Column], answers: Floats, y: Floats) -> Scores:
    at = next(i for i, column in enumerate(columns) if is_probability(column))
    said = answers[:, at]
    bins = np.clip(said * CALIBRATION_BINS, 0, CALIBRATION_BINS - 1).astype(np.int64)
    n = np.bincount(bins, minlength=CALIBRATION_BINS)
    total = np.bincount(bins, weights=said, minlength=CALIBRATION_BINS)
    happened = np.bincount(bins, weights=y, minlength=CALIBRATION_BINS)
    error = said - y
    return Scores(
        n=len(y),
        points=len(y),
        error=float(error.sum()),
        absolute_error=float(np.abs(error).sum()),
        squared_error=float((error * error).sum()),
        absolute_actual=float(y.sum()),
        brier=float((error * error).sum()),
        probabilities=list(zip(n.tolist(), total.tolist(), happened.tolist(), strict=True)),
    )


def by_group(
    columns: Sequence[Column], predicted: Floats, actual: Floats, groups: NDArray[np.int64], n: int
) -> NDArray[np.float64]:
    """float64[n, 5]: predictions, error, absolute error, absolute actual, covered, by group.

    ``groups``: int64[rows], 0 … n-1. The same sums as ``judge``, for many groups at once.
    """
    y, answers = np.asarray(actual, np.float64), np.asarray(predicted, np.float64)
    usable = np.isfinite(y) & np.isfinite(answers).all(axis=1)
    y, answers, groups = y[usable], answers[usable], groups[usable]
    levels = {c.quantile: i for i, c in enumerate(columns) if c.quantile is not None}
    point = next((i for i, c in enumerate(columns) if c.quantile is None), levels.get(0.5))
    error = answers[:, point] - y if point is not None else np.zeros(len(y))
    covered = np.zeros(len(y))
    ends = central(levels)
    if ends is not None:
        low, high = (answers[:, levels[end]] for end in ends)
        covered = ((y >= low) & (y <= high)).astype(np.float64)
    parts = (np.ones(len(y)), error, np.abs(error), np.abs(y), covered)
    return np.stack([np.bincount(groups, part, minlength=n) for part in parts], axis=1)


def figures(scores: Scores) -> dict[str, float]:
    """The figures people read, by name; one that has nothing to stand on is left out."""
    n = scores.n
    if not n:
        return {"n": 0.0}
    out = {"n": float(n)}
    if scores.points:
        out["bias"] = scores.error / scores.points
    if scores.probabilities:
        return out | {
            "brier": scores.brier / n,
            "base_rate": sum(b[2] for b in scores.probabilities) / n,
            "calibration_error": sum(abs(b[1] - b[2]) for b in scores.probabilities) / n,
        }
    if scores.points:
        out["mae"] = scores.absolute_error / scores.points
        out["rmse"] = math.sqrt(scores.squared_error / scores.points)
    if scores.absolute_actual > 0:
        out["wape"] = scores.absolute_error / scores.absolute_actual
        out["accuracy"] = 1 - out["wape"]
    for level, loss in scores.pinball.items():
        out[f"pinball_{level}"] = loss / n
        out[f"below_{level}"] = scores.below[level] / n
    if scores.interval_n:
        out["coverage"] = scores.covered / scores.interval_n
        out["interval_width"] = scores.interval_width / scores.interval_n
        out["interval_score"] = scores.interval_score / scores.interval_n
    return out
