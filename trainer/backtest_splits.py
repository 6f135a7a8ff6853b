"""Who may learn from what: temporal splits of rows and origins of a backtest. No models, no scores.

A row is known at its cutoff and labelled by what came in the ``label_days`` after it. No row may
learn from a label that was not known yet when the first row of the judging part was cut.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to learn from and rows to be judged on; rows in between belong to neither."""

    learn: Bools
    judge: Bools


def at(cutoffs: Days, label_days: int, day: int) -> Split:
    """Judge rows cut at ``day`` or later; learn from rows whose label was known by then.

    >>> split = at(np.array([1, 5, 8, 10, 12]), 3, 10)
    >>> split.learn.tolist(), split.judge.tolist()
    ([True, True, False, False, False], [False, False, False, True, True])
    """
    assert label_days >= 0, label_days
    return Split(cutoffs + label_days <= day, cutoffs >= day)


def temporal(cutoffs: Days, label_days: int, share: float = 0.8) -> Split:
    """The first ``share`` of the time between first and last cutoff to learn, the rest to judge."""
    assert 0.0 < share < 1.0, share
    first, last = int(cutoffs.min()), int(cutoffs.max())
    return at(cutoffs, label_days, first + int(np.ceil((last - first) * share)))


def expanding(cutoffs: Days, label_days: int, folds: int, share: float = 0.5) -> list[Split]:
    """Folds one after the other: each learns from all before it, and is judged on its own span.

    The first ``share`` of the time is only learnt from; the rest is cut into ``folds`` equal spans.
    """
    assert folds >= 1, folds
    first, last = int(cutoffs.min()), int(cutoffs.max())
    edges = np.linspace(first + (last - first) * share, last + 1, folds + 1).round().astype(int)
    made = []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        split = at(cutoffs, label_days, start)
        made.append(Split(split.learn, split.judge & (cutoffs < end)))
    return made


def origins(columns: int, horizon: int, count: int, step: int | None = None) -> tuple[int, ...]:
    """Numbers of known columns at each origin, earliest first; the last window ends with the data.

    ``step`` columns between origins; by default the horizon, so that windows do not overlap.

    >>> origins(100, 28, 2)
    (44, 72)
    """
    made = tuple(columns - horizon - (step or horizon) * i for i in reversed(range(count)))
    assert made, "no origin"
    assert made[0] > 0, f"{columns} columns are too few for {count} origins of {horizon}"
    return made
