"""What forecasts cost as stock: order-up-to with the quantile of demand over the lead time.

No forecaster and no table; months are steps of any length. The numbers, the same for every
forecaster:
- at the start of each month the stock position (on hand + on order − backordered) is raised to S;
  what is ordered arrives at the start of the month ``LEAD_STEPS`` later;
- S is the critical quantile b / (b + h) of demand over the ``LEAD_STEPS`` + 1 months which that
  order must last for;
- each unit on hand at a month's end costs h = 1, each unit backordered b = 9 (quantile 0.9).
- stock begins at the first S. Demand that finds none waits.
Source: Silver, Pyke & Thomas, Inventory and Production Management in Supply Chains (2017), chapter 7.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAD_STEPS = 2
HOLDING = 1.0
BACKORDER = 9.0
CRITICAL = BACKORDER / (BACKORDER + HOLDING)
LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
DRAWS = 400


@dataclass(frozen=True, slots=True)
class Cost:
    """A month and part, mean over all."""

    total: float
    held: float
    """Units on hand at a month's end."""
    waiting: float
    """Units backordered at a month's end."""


def order_up_to(quantiles: Floats, levels: Sequence[float], share: float = CRITICAL) -> Floats:
    """Quantile ``share`` of the sum over steps: float[k] of quantiles float[k, h, q], in whole units.

    Months are drawn on their own, each from its quantiles joined by straight lines and rounded to
    whole units, as demand comes; the same draws for every series and forecaster. Beyond the
    outermost levels demand is that level's quantile.
    """
    steps = quantiles.shape[1]
    order = np.random.default_rng(11)
    total = np.zeros((len(quantiles), DRAWS))
    for step in range(steps):
        drawn = (order.permutation(DRAWS) + 0.5) / DRAWS
        total += np.round(_inverse(quantiles[:, step], np.asarray(levels), drawn))
    return np.ceil(np.quantile(total, share, axis=1) - 1e-6)


def _inverse(quantiles: Floats, levels: Floats, drawn: Floats) -> Floats:
    """Each row's quantile function at ``drawn``: float[k, n] of float[k, q]."""
    right = np.clip(np.searchsorted(levels, drawn), 1, len(levels) - 1)
    low, high = levels[right - 1], levels[right]
    part = np.clip((drawn - low) / (high - low), 0.0, 1.0)
    return quantiles[:, right - 1] * (1.0 - part) + quantiles[:, right] * part


def cost(targets: Floats, demand: Floats) -> Cost:
    """Run the stock: ``targets`` S and ``demand`` are float[k, t]; months with NaN demand end a part.

    Months of a part are counted up to its first unknown month.
    """
    k, months = demand.shape
    net, on_order = targets[:, 0].copy(), np.zeros((k, months + LEAD_STEPS + 1))
    held, waiting, counted = 0.0, 0.0, 0
    alive = np.ones(k, dtype=bool)
    for t in range(months):
        alive &= ~np.isnan(demand[:, t])
        net += on_order[:, t]
        position = net + on_order[:, t + 1 :].sum(axis=1)
        on_order[:, t + LEAD_STEPS] += np.maximum(targets[:, t] - position, 0.0)
        net -= np.nan_to_num(demand[:, t])
        held += float(np.maximum(net, 0.0)[alive].sum())
        waiting += float(np.maximum(-net, 0.0)[alive].sum())
        counted += int(alive.sum())
    counted = max(counted, 1)
    return Cost((HOLDING * held + BACKORDER * waiting) / counted, held / counted, waiting / counted)
