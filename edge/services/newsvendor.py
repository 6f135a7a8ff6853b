"""How much to have ready for one span of chance: newsvendor and base-stock levels. No orders over time.

A unit left over costs ``holding``, a unit short costs ``penalty``; the best level is the quantile
``penalty / (penalty + holding)`` of the demand. Columns in, columns out, except where one class is
meant. Source: Snyder & Shen, Fundamentals of Supply Chain Theory, 2nd ed. (2019), 4.3 and 4.4.
"""

from collections.abc import Mapping

import numpy as np

from edge.services import counts
from edge.services.counts import Floats


def ratio(holding: Floats, penalty: Floats) -> Floats:
    """float64[k]: the critical ratio, the share of spans in which the best level suffices."""
    return np.asarray(penalty / (holding + penalty), np.float64)


def of_counts(
    holding: Floats, penalty: Floats, mean: Floats, variance: Floats
) -> tuple[Floats, Floats]:
    """(units, expected cost) for demand that comes in whole units.

    >>> best, cost = of_counts(*(np.array([v]) for v in (0.18, 0.70, 50.0, 50.0)))
    >>> best.tolist(), cost.round(4).tolist()
    ([56.0], [1.7972])
    """
    units = counts.quantile(mean, variance, ratio(holding, penalty))
    return units, cost_of_counts(units, holding, penalty, mean, variance)


def cost_of_counts(
    units: Floats, holding: Floats, penalty: Floats, mean: Floats, variance: Floats
) -> Floats:
    """float64[k]: expected cost of having ``units`` ready."""
    short = counts.shortage(mean, variance, units)
    left = units - counts.moments(mean, variance)[0] + short
    return np.asarray(holding * left + penalty * short, np.float64)


def of_normal(
    holding: Floats, penalty: Floats, mean: Floats, deviation: Floats
) -> tuple[Floats, Floats]:
    """(units, expected cost) for normal demand.

    >>> best, cost = of_normal(*(np.array([v]) for v in (0.18, 0.70, 50.0, 8.0)))
    >>> best.round(4).tolist(), cost.round(4).tolist()
    ([56.604], [1.9976])
    """
    z = np.array([counts.z_of(float(level)) for level in np.atleast_1d(ratio(holding, penalty))])
    units = mean + z * deviation
    return units, np.asarray((holding + penalty) * deviation * counts.normal_density(z), np.float64)


def of_table(holding: float, penalty: float, chances: Mapping[float, float]) -> tuple[float, float]:
    """(units, expected cost) for demand told as units -> probability.

    >>> of_table(1.0, 4.0, {0.0: 0.5, 10.0: 0.5})
    (10.0, 5.0)
    """
    units = np.array(sorted(chances), np.float64)
    chance = np.array([chances[u] for u in sorted(chances)], np.float64)
    enough = penalty / (holding + penalty) - 1e-12
    best = float(units[int(np.argmax(np.cumsum(chance) >= enough))])
    left, short = np.maximum(best - units, 0), np.maximum(units - best, 0)
    return best, float(((holding * left + penalty * short) * chance).sum())


def for_once(
    price: Floats, cost: Floats, salvage: Floats, mean: Floats, variance: Floats
) -> tuple[Floats, Floats]:
    """(units, expected profit) of goods bought once, for a season or a fair.

    Sold at ``price``, bought at ``cost``, what is left goes at ``salvage``. Nothing is bought where a
    unit earns nothing, nor where a leftover loses nothing is there a best level: then the quantile
    of ``MOST`` is taken.
    """
    short, left = price - cost, cost - salvage
    worth = short > 0
    level = np.where(
        worth, np.minimum(short / np.maximum(short + np.maximum(left, 0.0), 1e-9), MOST), 0.0
    )
    units = np.where(worth, counts.quantile(mean, variance, level), 0.0)
    sold = counts.moments(mean, variance)[0] - counts.shortage(mean, variance, units)
    return units, np.asarray(price * sold + salvage * (units - sold) - cost * units, np.float64)


MOST = 0.995


def base_stock(
    holding: Floats,
    penalty: Floats,
    mean: Floats,
    variance: Floats,
    lead: Floats,
    review: Floats,
) -> tuple[Floats, Floats]:
    """(units, expected cost a span) of ordering up to one level every ``review`` spans.

    ``mean`` and ``variance`` are of one span; spans are independent; an order arrives after ``lead``
    spans. What is ordered now must last until the order after it arrives.
    """
    spans = lead + review
    return of_counts(holding, penalty, mean * spans, variance * spans)
