"""When to order and how much: reorder points, safety stock, fill rates, and the cheapest pair of both.

Columns in, columns out; ``best_pair`` and ``simple`` speak of one class. Nothing here knows what may
be spent: see ``budget.py``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.services import counts, eoq
from edge.services.counts import Floats


def point(mean: Floats, variance: Floats, level: Floats | float) -> Floats:
    """float64[k]: the reorder point. Demand until the order arrives stays within it so often.

    ``mean`` and ``variance`` are of the units asked for until an order placed now is there (lead
    time, and the time until the next look); ``level`` is the cycle service level.
    """
    return counts.quantile(mean, variance, level)


def safety_stock(reorder_point: Floats, mean: Floats) -> Floats:
    """float64[k]: what of the reorder point is not expected to be needed."""
    return np.maximum(reorder_point - mean, 0.0)


def fill_rate(reorder_point: Floats, units: Floats, mean: Floats, variance: Floats) -> Floats:
    """float64[k]: share of the units asked for that are served from stock.

    ``1 - (n(s) - n(s + Q)) / Q`` with n the expected shortage of a lead time.
    Source: Silver, Pyke & Thomas (2017), 6.7; the second term counts shortages that the order before
    had left already.
    """
    q = np.maximum(units, 1e-9)
    before = counts.shortage(mean, variance, reorder_point)
    after = counts.shortage(mean, variance, reorder_point + q)
    return np.clip(1.0 - (before - after) / q, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Pair:
    """A reorder point, an order quantity, and what they cost a time, expected."""

    reorder_point: int
    units: int
    cost: float


def best_pair(
    holding: float, penalty: float, order_cost: float, rate: float, mean: float, variance: float
) -> Pair:
    """The cheapest reorder point and quantity of one class when what is short waits.

    ``holding`` and ``penalty`` of a unit and time, ``rate`` units a time, ``mean`` and ``variance`` of
    the demand of a lead time. Exact for demand in single units: the quantity grows while the next
    level costs less than what a unit costs on average.
    Source: Federgruen & Zheng, Operations Research 40 (1992); cost rate of one level as a newsvendor.

    >>> best = best_pair(20, 150, 100, 1.5, 3.0, 3.0)
    >>> best.reorder_point, best.units, round(best.cost, 4)
    (3, 5, 107.9236)
    """
    reach = _reach(mean, variance, holding, order_cost, rate)
    levels = np.arange(-float(reach), float(reach))  # where waiting is cheap, orders may wait too
    short = _shortages(levels, mean, max(variance, mean))
    columns = holding * (levels - mean + short) + penalty * short
    low = high = int(np.argmin(columns))
    costs: list[float] = columns.tolist()
    total = order_cost * rate + costs[low]
    while high + 1 < len(levels):
        below = costs[low - 1] if low > 0 else math.inf
        following = min(below, costs[high + 1])
        if following >= total / (high - low + 1):
            break
        low, high = (low - 1, high) if below <= costs[high + 1] else (low, high + 1)
        total += following
    units = high - low + 1
    return Pair(int(levels[low]) - 1, units, total / units)


def _shortages(levels: Floats, mean: float, variance: float) -> Floats:
    """``counts.shortage`` at whole numbers that rise by one, of one distribution."""
    if mean > counts.LARGE:
        ones = np.ones(len(levels))
        return counts.shortage(mean * ones, variance * ones, levels)
    most = max(int(levels[-1]), 0)
    served = np.concatenate([[0.0], np.cumsum(1.0 - counts.up_to(mean, variance, most))])
    inside = np.maximum(mean - served[np.maximum(levels, 0.0).astype(np.int64)], 0.0)
    return np.where(levels < 0, mean - levels, inside)


LEVELS_MAX = 10_000


def _reach(mean: float, variance: float, holding: float, order_cost: float, rate: float) -> int:
    """How many levels may matter: the demand of a lead time, and twice an economic quantity."""
    economic = math.sqrt(2 * order_cost * rate / holding)
    most = mean + 12 * math.sqrt(max(variance, mean)) + 3 * economic + 20
    return int(min(most, LEVELS_MAX))


def pair_cost(
    reorder_point: int,
    units: int,
    holding: float,
    penalty: float,
    order_cost: float,
    rate: float,
    mean: float,
    variance: float,
) -> float:
    """Expected cost a time of one reorder point and quantity, for ``best_pair``'s arguments."""
    levels = np.arange(reorder_point + 1.0, reorder_point + units + 1.0)
    ones = np.ones(units)
    short = counts.shortage(mean * ones, max(variance, mean) * ones, levels)
    costs = holding * (levels - mean + short) + penalty * short
    return float((order_cost * rate + costs.sum()) / units)


# -- seed 4's logic, for when little is known -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Simple:
    """What seed 4's ``calculateReorderPoint`` says of one class."""

    reorder_point: int
    safety_stock: int
    eoq: int
    daily_mean: float
    daily_deviation: float


def simple(
    daily: Sequence[float],
    lead_days: float,
    order_cost: float,
    holding_a_year: float,
    level: float = 0.95,
) -> Simple:
    """Mean and deviation of the last 90 days, ``z * sd * sqrt(lead time)`` of safety, EOQ. Documented.

    It takes days as independent and normal, and the lead time as certain; so it stands only where
    the history is too short for anything better. ``holding_a_year`` of a unit.

    >>> simple([2, 4] * 45, 7, 5.0, 2.0)
    Simple(reorder_point=26, safety_stock=5, eoq=74, daily_mean=3.0, daily_deviation=1.0056...)
    """
    days = np.array(daily[-90:], np.float64)
    mean = float(days.mean()) if len(days) else 0.0
    deviation = float(days.std(ddof=1)) if len(days) > 1 else 0.0
    safety = math.ceil(counts.z_of(level) * deviation * math.sqrt(lead_days) - 1e-9)
    economic = eoq.quantity(np.array(order_cost), np.array(holding_a_year), np.array(mean * 365))
    found = float(economic)
    return Simple(
        math.ceil(mean * lead_days + safety - 1e-9),
        safety,
        math.ceil(found - 1e-9) if math.isfinite(found) else 0,
        mean,
        deviation,
    )


def simple_points(
    mean: Floats, variance: Floats, lead_days: Floats, level: Floats | float
) -> tuple[Floats, Floats]:
    """(reorder point, safety stock) of ``simple`` for columns: a day's mean and variance.

    >>> simple_points(np.array([3.0]), np.array([1.0112]), np.array([7.0]), 0.95)
    (array([26.]), array([5.]))
    """
    levels, of = np.unique(np.broadcast_to(level, mean.shape), return_inverse=True)
    z = np.array([counts.z_of(float(x)) for x in levels])[of]
    safety = np.maximum(np.ceil(z * np.sqrt(variance * lead_days) - 1e-9), 0.0)
    return np.ceil(mean * lead_days + safety - 1e-9), safety
