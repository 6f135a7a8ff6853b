"""How many repairs the coming weeks bring, out of each item's chances. No schedule, no crew: expectation only.

Columns in, columns out: ``chances`` are those of the maintenance model, within 7, 14 and 30 days.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.services import counts
from edge.services.counts import Floats

ENDS = (7, 14, 30)
"""Days that the model's chances reach to."""
WEEKS = 4


@dataclass(frozen=True, slots=True)
class Repairs:
    """Repairs by group and week; float64[g, 4] each."""

    expected: Floats
    low: Floats
    """At least so many with probability 0.9."""
    high: Floats
    """No more than so many with probability 0.9."""


def weekly(chances: Floats) -> Floats:
    """float64[n, 4]: chance of a first repair in each of four weeks, of chances float64[n, 3].

    Between day 14 and 30 the chance is spread evenly. A later end never has a smaller chance.

    >>> weekly(np.array([[0.1, 0.2, 0.36]])).round(3).tolist()
    [[0.1, 0.1, 0.07, 0.07]]
    """
    by = np.clip(np.nan_to_num(chances), 0.0, 1.0)
    by = np.maximum.accumulate(by, axis=1)
    day = (by[:, 2] - by[:, 1]) / (ENDS[2] - ENDS[1])
    return np.stack([by[:, 0], by[:, 1] - by[:, 0], day * 7, day * 7], axis=1)


def expected(chances: Floats, group: NDArray[np.int64], groups: int) -> Repairs:
    """Repairs of items float64[n, 3] summed by ``group`` int64[n], -1 for none.

    Items break independently, so the number is a sum of chances; its ends are those of a Poisson of
    that mean, which is never narrower (Hodges & Le Cam, Annals of Mathematical Statistics 31, 1960).
    """
    return spread(by_group(chances, group, groups))


def by_group(chances: Floats, group: NDArray[np.int64], groups: int) -> Floats:
    """float64[g, 4]: expected repairs of items float64[n, 3] by ``group`` int64[n], -1 for none."""
    by_week = weekly(chances)
    told = group >= 0
    if not told.all():
        group, by_week = group[told], by_week[told]
    weeks = [np.bincount(group, weights=by_week[:, w], minlength=groups) for w in range(WEEKS)]
    return np.stack(weeks, axis=1)


def spread(mean: Floats) -> Repairs:
    """Expected repairs float64[g, 4] with their ends, those of a Poisson of that mean."""
    flat = mean.ravel()
    low = counts.quantile(flat, flat, 0.1).reshape(mean.shape)
    high = counts.quantile(flat, flat, 0.9).reshape(mean.shape)
    return Repairs(mean, low, high)
