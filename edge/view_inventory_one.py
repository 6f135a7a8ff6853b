"""One class of stock in all it takes: demand ahead, what each order level costs, buying once. No lists.

Reads the plans that ``view_inventory`` keeps and asks ``edge.services`` about a single class.
"""

import numpy as np

from edge.ledger.orders import OrderLine
from edge.services import counts, fleet, inventory, newsvendor, reorder
from edge.services.inventory import Terms
from edge.services.lead_time import KNOTS, Curve
from edge.view_inventory import InventoryView
from edge.view_inventory_types import (
    BuyOnce,
    CheapestPair,
    ComingRow,
    DemandPoint,
    OrderUpTo,
    StockDetail,
    StockRow,
    UnitMore,
)
from edge.view_inventory_words import whole_cents

UNITS_MORE = 6


def detail(view: InventoryView, row: int) -> StockDetail:
    """Everything about one class."""
    rows = np.array([row], np.int64)
    _, terms, curve, _ = view.parts(rows)
    (told,) = view.told(rows)
    mean, variance = curve.mean[0], curve.variance[0]
    demand = (
        []
        if told.why_unknown
        else [_point(days, float(mean[i]), float(variance[i])) for i, days in enumerate(KNOTS)]
    )
    coming = [_coming(line) for line in view.coming.lines((told.sku, told.store))]
    sale = told.kind == "sale"
    return StockDetail(
        basis=view.basis(rows),
        item=told,
        coming=coming,
        demand=demand,
        cheapest=_cheapest(terms, told, curve) if sale else None,
        order_up_to=_order_up_to(terms, told, curve, view.terms.round_days) if sale else None,
        more_units=[] if sale else _more_units(view, terms, told),
    )


def unmet_detail(view: InventoryView, sku: str, store: str) -> StockDetail | None:
    """The same of a class of which nothing was told yet; ``None``: nobody put it here either."""
    told = view.unmet(sku, store)
    if told is None:
        return None
    return StockDetail(
        basis=view.counted(),
        item=told,
        coming=[_coming(line) for line in view.coming.lines((sku, store))],
        demand=[],
        cheapest=None,
        order_up_to=None,
        more_units=[],
    )


def _point(days: int, mean: float, variance: float) -> DemandPoint:
    low, high = counts.quantiles_of_one(mean, variance, (0.1, 0.9))
    return DemandPoint(days=days, expected=round(mean, 3), low=low, high=high)


def _more_units(view: InventoryView, terms: Terms, told: StockRow) -> list[UnitMore]:
    """What each of the next units earns: each less than the one before."""
    owned = (told.owned or 0.0) + told.on_order
    offered, requests = view.of(told, "offered"), told.requests_a_day or 0.0
    if not requests > 0:
        return []
    one = np.ones(1)
    bursty = (told.peakedness or 1.0) * one
    after = owned + 1.0 + np.arange(UNITS_MORE, dtype=np.float64)
    served = 1.0 - fleet.lost(after, offered * np.ones(UNITS_MORE), float(bursty[0]))
    gains = fleet.unit_gain(
        owned * one, offered * one, bursty, requests * one, terms.price, UNITS_MORE
    )[0]
    keeping = terms.cost[0] * (terms.holding_rate[0] + 365.0 / inventory.LIFE_DAYS)
    return [
        UnitMore(
            owned=round(float(after[i])),
            served=round(float(served[i]), 4),
            gain_cents_a_year=whole_cents(float(gains[i] * 365.0 - keeping)),
        )
        for i in range(UNITS_MORE)
    ]


def buy_once(
    view: InventoryView, row: int, days: int, price: int | None, cost: int | None, salvage: int
) -> BuyOnce | str:
    """How much to buy once for the next ``days``; words: why nothing can be said."""
    rows = np.array([row], np.int64)
    _, _, curve, _ = view.parts(rows)
    (told,) = view.told(rows)
    if told.why_unknown:
        return told.why_unknown
    price = price if price is not None else told.price_cents
    cost = cost if cost is not None else told.unit_cost_cents
    if price is None or cost is None:
        return "neither price_cents nor cost_cents is known: name them"
    if salvage >= cost:
        return "salvage_cents is not below the cost: there would be no limit"
    mean, variance = curve.at(float(days))
    money = [np.array([float(x)]) for x in (price, cost, salvage)]
    units, profit = newsvendor.for_once(money[0], money[1], money[2], mean, variance)
    left, short = money[1] - money[2], np.maximum(money[0] - money[1], 0.0)
    return BuyOnce(
        basis=view.basis(rows),
        sku=told.sku,
        store=told.store,
        days=days,
        expected_demand=round(float(mean[0]), 3),
        units=float(units[0]),
        to_buy=max(float(units[0]) - max(told.position, 0.0), 0.0),
        critical_ratio=round(float(newsvendor.ratio(left, short)[0]), 4),
        price_cents=price,
        cost_cents=cost,
        salvage_cents=salvage,
        expected_profit_cents=round(float(profit[0])),
    )


def _coming(line: OrderLine) -> ComingRow:
    return ComingRow(
        order=line.id, supplier=line.supplier, units=line.coming, expected_ms=line.expected_ms
    )


def _order_up_to(terms: Terms, told: StockRow, curve: Curve, round_days: float) -> OrderUpTo | None:
    """Base stock: the newsvendor's level of lead time and review; the margin is the penalty."""
    margin = float(terms.price[0] - terms.cost[0])
    if not margin > 0 or not told.daily_demand:
        return None
    review = float(terms.review_days[0]) or round_days
    keeping = terms.cost * terms.holding_rate / 365.0 * review
    if not keeping[0] > 0:  # what costs nothing to keep has no level
        return None
    mean, variance = curve.at(terms.lead_days + review, terms.lead_sd)
    ratio = float(newsvendor.ratio(keeping, np.array([margin]))[0])
    (units,) = counts.quantiles_of_one(float(mean[0]), float(variance[0]), (ratio,))
    return OrderUpTo(
        review_days=review,
        order_up_to=round(units),
        critical_ratio=round(ratio, 4),
    )


def _cheapest(terms: Terms, told: StockRow, curve: Curve) -> CheapestPair | None:
    """By cost alone; the margin of a lead time's wait is the penalty."""
    margin = float(terms.price[0] - terms.cost[0])
    if not margin > 0 or not told.daily_demand or told.lead_time_days <= 0:
        return None
    rate = told.daily_demand * 365
    mean, variance = curve.at(terms.lead_days + terms.review_days, terms.lead_sd)
    holding = float(terms.cost[0] * terms.holding_rate[0])
    if holding <= 0 or mean[0] > 500 or rate * float(terms.order_cost[0]) / holding > 1e6:
        return None
    penalty = margin * 365 / told.lead_time_days
    best = reorder.best_pair(
        holding, penalty, float(terms.order_cost[0]), rate, float(mean[0]), float(variance[0])
    )
    return CheapestPair(
        reorder_point=best.reorder_point,
        order_quantity=best.units,
        cost_cents_a_year=round(best.cost, 2),
        penalty_cents=round(penalty, 2),
    )
