"""Exponentially weighted counts by forward decay, in integers: bit for bit, however batches fall.

Each event weighs ``2 ** ((t - landmark) / half_life)`` at the time it arrives; weights only ever
add up, so the order and the grouping of events between two landmarks do not matter. At a landmark
every sum is shifted right by a whole number of half-lives. Reading divides by the weight of now.

Source: Cormode, Shkapenyuk, Srivastava, Xu, "Forward decay", ICDE 2009.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

STEPS = 256
"""A half-life is cut into so many steps; the weight's error is below 0.14 %."""
UNIT_BITS = 16
"""A weight of 1 has so many bits below it."""
_HALF_LIVES = 8  # between landmarks
_MOST = 1 << 62
# the weight in the middle of a step
_WEIGHTS = np.array(
    [round(2**UNIT_BITS * 2 ** ((i + 0.5) / STEPS)) for i in range(STEPS)], np.int64
)


class DecayedCount:
    """int64[rows] of exponentially weighted counts, one half-life for all.

    A count of events at a steady rate r tends to ``r * half_life / ln 2``.
    """

    def __init__(self, rows: int, half_life_ms: int) -> None:
        assert half_life_ms >= STEPS, half_life_ms
        self.half_life_ms = half_life_ms
        self.span_ms = half_life_ms * _HALF_LIVES
        self.landmark = -(1 << 40)  # landmarks are counted: at landmark * span_ms
        self.sums = np.zeros(rows, np.int64)

    def roll(self, now_ms: int, high: int) -> None:
        """Let time reach ``now_ms``."""
        landmark = now_ms // self.span_ms
        passed = landmark - self.landmark
        if passed > 0:
            self.sums[:high] >>= min(passed * _HALF_LIVES, 63)
            self.landmark = landmark

    def next_landmark_ms(self) -> int:
        """The moment that must separate two calls of ``add``."""
        return (self.landmark + 1) * self.span_ms

    def add(self, rows: Ints, at_ms: Ints, amounts: NDArray[Any]) -> None:
        """Count ``amounts[n]`` at ``at_ms[n]``, all between this landmark and the next."""
        if not len(rows):
            return
        first, last = self._steps(int(at_ms[0])), self._steps(int(at_ms[-1]))
        if first == last and bool((at_ms[1:] >= at_ms[:-1]).all()):  # in order, within one step
            np.add.at(self.sums, rows, amounts * self._weight(first))
        else:
            np.add.at(self.sums, rows, self._weights(at_ms) * amounts)

    def add_one(self, row: int, at_ms: int, amount: int) -> None:
        """Count ``amount`` at ``at_ms`` for one row."""
        weighed = self._weight(self._steps(at_ms)) * amount
        self.sums[row] = max(-_MOST, min(int(self.sums[row]) + weighed, _MOST))

    def values(self, rows: Ints, now_ms: int) -> NDArray[np.float64]:
        """float64[n]: the counts as of ``now_ms``."""
        if not self.sums[rows].any():  # also before time has begun
            return np.zeros(len(rows))
        steps = (now_ms - self.landmark * self.span_ms) * STEPS / self.half_life_ms
        return np.asarray(self.sums[rows] / (2.0 ** (UNIT_BITS + steps / STEPS)), np.float64)

    def per(self, unit_ms: int, rows: Ints, now_ms: int) -> NDArray[np.float64]:
        """float64[n]: the steady rate that would give these counts, events per ``unit_ms``."""
        return self.values(rows, now_ms) * (math.log(2.0) / self.half_life_ms * unit_ms)

    def clear(self, rows: Ints) -> None:
        """Forget these rows."""
        self.sums[rows] = 0

    def _steps(self, at_ms: int) -> int:
        since = at_ms - self.landmark * self.span_ms
        assert 0 <= since < self.span_ms, (at_ms, self.landmark, self.span_ms)
        return since * STEPS // self.half_life_ms

    @staticmethod
    def _weight(steps: int) -> int:
        return int(_WEIGHTS[steps % STEPS]) << (steps // STEPS)

    def _weights(self, at_ms: Ints) -> Ints:
        steps = (at_ms - self.landmark * self.span_ms) * STEPS // self.half_life_ms
        return np.asarray(_WEIGHTS[steps % STEPS] << (steps // STEPS), np.int64)
