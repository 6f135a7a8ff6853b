"""How many units to order at once: economic order quantities. Demand is steady here; no stock, no chance.

Columns in, columns out; any unit of time will do, as long as rates and costs share it.
Source: Snyder & Shen, Fundamentals of Supply Chain Theory, 2nd ed. (2019), chapter 3.
"""

import numpy as np

from edge.services.counts import Floats


def quantity(order_cost: Floats, holding: Floats, rate: Floats) -> Floats:
    """float64[k]: ``sqrt(2 K rate / h)``, the quantity at which ordering costs what holding costs.

    ``order_cost`` of an order, ``holding`` of a unit and time, ``rate`` units a time. Where holding
    costs nothing there is no best quantity: infinite; without demand it is 0.

    >>> quantity(np.array([8.0]), np.array([0.225]), np.array([1300.0])).round(3).tolist()
    [304.047]
    """
    k, h, d = np.broadcast_arrays(order_cost, holding, rate)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.sqrt(2 * k * d / h)
    return np.asarray(np.where(d > 0, found, 0.0), np.float64)


def cost(units: Floats, order_cost: Floats, holding: Floats, rate: Floats) -> Floats:
    """float64[k]: ordering and holding a time, when ``units`` are ordered at once."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(order_cost * rate / units + holding * units / 2, np.float64)


def with_backorders(
    order_cost: Floats, holding: Floats, penalty: Floats, rate: Floats
) -> tuple[Floats, Floats, Floats]:
    """(quantity, share of demand that waits, cost a time) when a waiting unit costs ``penalty`` a time.

    >>> q, x, g = with_backorders(*(np.array([v]) for v in (8.0, 0.225, 5.0, 1300.0)))
    >>> q.round(3).tolist(), x.round(4).tolist(), g.round(3).tolist()
    ([310.813], [0.0431], [66.921])
    """
    waits = holding / (holding + penalty)
    units = quantity(order_cost, holding * (1 - waits), rate)
    least = np.sqrt(2 * order_cost * rate * holding * penalty / (holding + penalty))
    return units, np.asarray(waits, np.float64), np.asarray(least, np.float64)


def with_discounts(
    order_cost: float, holding_rate: float, rate: float, breaks: Floats, prices: Floats
) -> tuple[float, int, float]:
    """(quantity, which price, cost a time) when larger orders make every unit cheaper.

    ``prices[i]`` of a unit holds from ``breaks[i]`` units (ascending, the first 0) on; a unit's holding
    costs ``holding_rate`` of its price a time.
    """
    plain = quantity(np.array(order_cost), holding_rate * prices, np.array(rate))
    ends = np.append(breaks[1:], np.inf)
    units = np.where(plain < ends, np.maximum(plain, breaks), np.nan)  # beyond: the next is cheaper
    total = prices * rate + cost(units, np.array(order_cost), holding_rate * prices, np.array(rate))
    best = int(np.nanargmin(total))
    return float(units[best]), best, float(total[best])


def in_packs(units: Floats, pack: Floats, least: Floats) -> Floats:
    """float64[k]: at least ``units`` and ``least``, in whole packs; 0 stays 0.

    >>> in_packs(np.array([7.0, 0.0, 1.0]), np.array([6.0, 6.0, 1.0]), np.array([0, 0, 10])).tolist()
    [12.0, 0.0, 10.0]
    """
    size = np.maximum(pack, 1e-9)
    wanted = np.where(units > 1e-9, np.maximum(units, least), 0.0)
    return np.asarray(np.maximum(np.ceil(wanted / size - 1e-9), 0.0) * size, np.float64)


def best_packs(
    order_cost: Floats, holding: Floats, rate: Floats, pack: Floats, least: Floats, most: Floats
) -> Floats:
    """float64[k]: the cheapest whole number of packs, of at least ``least`` units where possible.

    The cost is convex, so the best is one of the two whole numbers of packs round ``quantity``.
    ``most`` units: what sells before it is too old; one pack is always allowed.
    """
    size = np.maximum(pack, 1e-9)
    ideal = np.minimum(quantity(order_cost, holding, rate), np.maximum(most, 0.0))
    down = np.maximum(np.floor(ideal / size), 1.0) * size
    up = np.maximum(np.ceil(ideal / size), 1.0) * size
    over = up > np.maximum(most, size)
    args = (np.asarray(order_cost), np.asarray(holding), np.asarray(rate))
    cheaper = ~over & (cost(up, *args) < cost(down, *args))
    found = in_packs(np.where(cheaper, up, down), size, least)
    return np.where(np.asarray(rate) > 0, found, 0.0)
