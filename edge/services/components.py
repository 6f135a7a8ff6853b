"""How long parts last, and how long one that is in use will go on. No clock, no prices.

A part's life follows a Weibull distribution: shape 1 fails at any age alike, above 1 it wears. Its
parameters come from lives that ended (replaced) and lives that go on (censored), by maximum
likelihood with a prior: as if ``PRIOR_LIVES`` parts with the configured life had been seen. A part
nobody has replaced yet is judged by that alone, many replacements outweigh it.

Source: J. F. Lawless, Statistical Models and Methods for Lifetime Data, 2nd ed. (2003), 5.2.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

PRIOR_LIVES = 4.0
"""The configured life counts as much as so many replacements."""
PRIOR_SHAPE = 2.0
"""Shape of lives before any was seen: parts wear."""
SHAPES = np.exp(np.linspace(math.log(0.5), math.log(8.0), 121))
"""Shapes looked at."""
SHAPE_SPREAD = 0.25
"""Standard deviation of the logarithm of shapes believed beforehand."""


@dataclass(frozen=True, slots=True)
class Life:
    """Weibull: ``P(life > t) = exp(-(t / scale) ** shape)``."""

    shape: float
    scale_days: float
    ended: int
    """Lives it was learnt from that ended."""
    running: int
    """Lives it was learnt from that go on."""

    @property
    def mean_days(self) -> float:
        """Mean life.

        >>> round(Life(1.0, 100.0, 0, 0).mean_days, 6)
        100.0
        """
        return self.scale_days * math.gamma(1.0 + 1.0 / self.shape)

    def chance_within(self, age_days: Floats, days: float) -> Floats:
        """float64[n]: probability that a part of this age ends within ``days``.

        >>> Life(1.0, 100.0, 0, 0).chance_within(np.array([0.0, 500.0]), 100.0).round(4).tolist()
        [0.6321, 0.6321]
        """
        age = np.maximum(np.asarray(age_days, np.float64), 0.0)
        gone = (age / self.scale_days) ** self.shape
        then = ((age + days) / self.scale_days) ** self.shape
        return np.asarray(-np.expm1(gone - then), np.float64)

    def remaining_days(self, age_days: Floats) -> Floats:
        """float64[n]: mean of what is left at this age, by Simpson's rule over what survives."""
        age = np.maximum(np.asarray(age_days, np.float64), 0.0)
        gone = (age / self.scale_days) ** self.shape
        # until the survival of what is left falls to e^-30
        end = self.scale_days * (gone + 30.0) ** (1.0 / self.shape) - age
        # points crowd near 0, where survival falls first
        share = np.linspace(0.0, 1.0, 401)
        at = share**2
        slope = 2.0 * share
        alive = np.exp(
            gone[:, None] - ((age[:, None] + end[:, None] * at) / self.scale_days) ** self.shape
        )
        weights = np.ones(401)
        weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
        weights *= 1.0 / 400 / 3.0
        return np.asarray((alive * slope) @ weights * end, np.float64)


def life_of(
    ended_days: Floats, running_days: Floats, usual_days: float, running_weight: float = 1.0
) -> Life:
    """The life of one kind of part.

    ``ended_days``: float64[e] lives that ended; ``running_days``: float64[r] ages of those in use;
    each counts as ``running_weight``; ``usual_days``: the configured mean life. The scale has its maximum in closed form for each
    shape; the shape is the best of ``SHAPES``.
    """
    assert usual_days > 0, usual_days
    ended = np.maximum(np.asarray(ended_days, np.float64), 0.5)
    running = np.maximum(np.asarray(running_days, np.float64), 0.0)
    prior_scale = usual_days / np.array([math.gamma(1.0 + 1.0 / k) for k in SHAPES])
    deaths = len(ended) + PRIOR_LIVES
    exposure = np.array([(ended**k).sum() + running_weight * (running**k).sum() for k in SHAPES])
    exposure += PRIOR_LIVES * prior_scale**SHAPES
    scale = (exposure / deaths) ** (1.0 / SHAPES)
    logs = np.log(ended).sum() if len(ended) else 0.0
    fit = len(ended) * np.log(SHAPES) + (SHAPES - 1) * logs - deaths * SHAPES * np.log(scale)
    fit += PRIOR_LIVES * SHAPES * np.log(prior_scale)  # the prior says nothing of the shape
    believed = np.log(SHAPES / PRIOR_SHAPE) / SHAPE_SPREAD
    best = int(np.argmax(fit - exposure / scale**SHAPES - believed**2 / 2))
    return Life(float(SHAPES[best]), float(scale[best]), len(ended), len(running))
