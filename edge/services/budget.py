"""What to buy first when there is not money for all: pack by pack, by what each earns. Pure.

The gain of a class's packs falls with each pack (the next one is needed less surely), so taking the
best return first is best, but for the last pack that no longer fits: marginal analysis (Fox,
Management Science 13, 1966). What a supplier sells only from some quantity on is one first step.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.services.counts import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Share:
    """What of each class is bought, and what that costs and is expected to earn; [k] each."""

    steps: Ints
    spent: Floats
    gain: Floats
    cut: NDArray[np.bool_]
    """Money ended before all steps that pay were taken."""


def allocate(cost: Floats, gain: Floats, budget: float) -> Share:
    """Spend ``budget`` on steps float64[k, s]; NaN where a class has fewer; only what gains is taken.

    Steps of a class are taken in order. Those that together return more than the first alone count
    as one (a first large order, a pack that completes a set), so that no good step hides behind a bad
    one. ``gain`` is what comes back beyond the cost.

    >>> share = allocate(np.array([[10.0, 10.0], [10.0, 10.0]]), np.array([[9.0, 1.0], [5.0, 4.0]]), 20.0)
    >>> share.steps.tolist(), share.gain.tolist()
    ([1, 1], [9.0, 5.0])
    """
    k = len(cost)
    ratio, start, stop = _hull(cost, gain)
    order = sorted(range(len(ratio)), key=lambda i: (-ratio[i][0], ratio[i][1], start[i]))
    spent, gained = np.zeros(k), np.zeros(k)
    steps, cut = np.zeros(k, np.int64), np.zeros(k, np.bool_)
    left = budget
    for i in order:
        row = ratio[i][1]
        if cut[row]:
            continue  # an earlier step of it did not fit
        price = float(cost[row, start[i] : stop[i]].sum())
        if price > left + 1e-9:
            cut[row] = True
            continue
        left -= price
        spent[row] += price
        gained[row] += float(gain[row, start[i] : stop[i]].sum())
        steps[row] = stop[i]
    return Share(steps, spent, gained, cut)


def _hull(cost: Floats, gain: Floats) -> tuple[list[tuple[float, int]], list[int], list[int]]:
    """Runs of steps with falling returns: ((return, class), first step, step after the last)."""
    ratio: list[tuple[float, int]] = []
    start: list[int] = []
    stop: list[int] = []
    for row, (prices, gains) in enumerate(zip(cost.tolist(), gain.tolist(), strict=True)):
        runs: list[list[float]] = []  # cost, gain, first, after
        for i, (price, profit) in enumerate(zip(prices, gains, strict=True)):
            if price != price or profit != profit:
                break
            runs.append([max(price, 1e-9), profit, i, i + 1])
            while len(runs) > 1 and runs[-1][1] / runs[-1][0] > runs[-2][1] / runs[-2][0]:
                late = runs.pop()
                runs[-1] = [runs[-1][0] + late[0], runs[-1][1] + late[1], runs[-1][2], late[3]]
        for price, profit, first, after in runs:
            if profit > 0:
                ratio.append((profit / price, row))
                start.append(int(first))
                stop.append(int(after))
    return ratio, start, stop
