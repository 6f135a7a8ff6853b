"""What readers are told of stock: the records of the answers. No columns, no state."""

from typing import Literal

from msgspec import Struct

from edge.view_basis import Basis

Priority = Literal["low", "medium", "high", "critical"]
Kind = Literal["sale", "rental"]


class StockRow(Struct, kw_only=True, gc=False):
    """One class in one store: what is there, what is asked for, what to order."""

    product_id: str
    """The class; the same as ``sku``."""
    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    name: str
    """Name."""
    category: str
    """Category."""
    kind: Kind
    """``rental``: units come back, so the stock is a fleet; ``sale``: they do not."""
    current_stock: float
    """Units in the store."""
    on_rent: float
    """Units out on rent."""
    in_service: float
    """Units in inspection, repair or cleaning."""
    reserved: float
    """Units promised to customers."""
    on_order: float
    """Units on their way from suppliers."""
    position: float
    """Stock and units on their way, less what is promised."""
    owned: float | None
    """Rentals: units owned; null: a sale."""
    reorder_point: float | None
    """Sales: order at this position or below; null: a rental, see ``right_size``, or nothing is known of
    what is asked for."""
    right_size: float | None
    """Rentals: the fleet that serves ``service_level``, to be held against ``owned`` and ``on_order``; null:
    a sale, or nothing is known of what is asked for."""
    reorder_point_by_hand: bool
    """Whether somebody set it, or the right size, in the terms."""
    safety_stock: float | None
    """Part of it that is not expected to be needed; null: a rental."""
    suggested_order_qty: float | None
    """Units to order now; 0: none; null: nothing is known of what is asked for."""
    waits: bool
    """Whether that waits until more is to be ordered from its supplier: see ``minimum_note``."""
    minimum_note: str
    """What the smallest order of its supplier does to that: raised, reached with others, or waiting;
    empty: nothing."""
    order_quantity: float | None
    """Units of the cheapest order, whenever one is due; null: a rental."""
    eoq: float | None
    """Economic order quantity before packs and minimum; null: a rental."""
    lead_time_days: float
    """Days from order to receipt."""
    lead_time_sd_days: float
    """Deviation of that."""
    service_level: float
    """Share of order cycles without a stock-out (sales), of requests served (rentals)."""
    daily_demand: float | None
    """Units asked for a day over the next four weeks; null: nothing is known of it."""
    lead_time_demand: float | None
    """Units asked for until an order placed now is there, expected; null as above."""
    chance_of_stockout: float | None
    """Sales: probability of running out before an order placed now is there. Rentals: share of
    requests that find nothing. Null as above."""
    cover_days: float | None
    """Days that the stock lasts; null: nothing is asked for, or known of it, or a rental."""
    estimated_stockout_date: str | None
    """Day by which the stock is gone as likely as not, orders on their way reckoned with; null: not
    within a year, nothing is known of what is asked for, or a rental."""
    early_stockout_date: str | None
    """Day by which it is gone with probability 0.1."""
    planned_fill_rate: float | None
    """Share of units that will be served when ordering as suggested; rentals: with the right fleet. What
    was served stands in ``/api/inventory/performance``."""
    priority: Priority | None
    """How much it matters to order: ``low`` where nothing is to be ordered; null: that is not known."""
    order_cents: int | None
    """Cost of the suggested order, cents; null: no cost is known."""
    expected_gain_cents: int | None
    """What it is expected to earn over not ordering, cents; null: cost or price is not known."""
    roi: float | None
    """The gain over the cost."""
    confidence: float | None
    """Probability that ordering earns more than not ordering; null: nothing is known of what is asked
    for."""
    unit_cost_cents: int | None
    """Cost of a unit, cents."""
    cost_source: Literal["unknown", "terms", "receipt", "catalogue", "assumed"]
    """Where that is from; ``assumed``: a share of the price."""
    price_cents: int | None
    """Price of a unit or of a rental, cents."""
    supplier: str
    """Who sells it."""
    evidence: Literal["simple", "history", "model", "unknown"]
    """What the demand is known from; ``unknown``: what hangs on it is null."""
    why_unknown: str
    """Why nothing is known of the demand, and from when on it is; empty: it is known."""
    stock_known: bool
    """Whether its stock was ever counted or received, or an item of it is tagged; else 0 is taken."""
    abc: str
    """Class by revenue; empty: nothing moved yet."""
    xyz: str
    """Class by evenness; empty as above."""
    pattern: str
    """smooth, erratic, intermittent or lumpy; empty as above."""
    requests_a_day: float | None
    """Rentals: requests a day, those turned away included."""
    peakedness: float | None
    """Rentals: how much the units out vary, against a Poisson count."""


class ComingRow(Struct, kw_only=True):
    """Units of a class on their way."""

    order: str
    """Purchase order."""
    supplier: str
    """Supplier."""
    units: float
    """Units that have not come yet."""
    expected_ms: int
    """When they are expected; 0: not known."""


class DemandPoint(Struct, kw_only=True):
    """What will be asked for over some days."""

    days: int
    """Days from now."""
    expected: float
    """Units, expected."""
    low: float
    """No more than this with probability 0.1."""
    high: float
    """No more than this with probability 0.9."""


class CheapestPair(Struct, kw_only=True):
    """Reorder point and quantity that cost least if what is short waits and its margin is the penalty."""

    reorder_point: int
    """Order at this position or below."""
    order_quantity: int
    """Units."""
    cost_cents_a_year: float
    """Ordering, keeping and waiting, cents a year."""
    penalty_cents: float
    """What a unit that is short for a year is taken to cost, cents."""


class OrderUpTo(Struct, kw_only=True):
    """The level to order up to, for whoever orders on fixed days only."""

    review_days: float
    """Days between two orders: the supplier's, else ``inventory.round_days`` of the configuration."""
    order_up_to: int
    """Units: order what the position lacks of it."""
    critical_ratio: float
    """Share of rounds in which it suffices: what a unit short costs, over that and its keeping."""


class UnitMore(Struct, kw_only=True):
    """One unit more in a fleet."""

    owned: int
    """Units owned with it."""
    served: float
    """Share of requests served with it."""
    gain_cents_a_year: int | None
    """What it earns a year beyond keeping and wear; null: cost or price is not known."""


class BuyOnce(Struct, kw_only=True):
    """How much to buy once, for a season or a fair, when no second order is possible."""

    basis: Basis
    """How fresh this is, and who spoke."""
    sku: str
    """Class."""
    store: str
    """Store."""
    days: int
    """Days that it is sold in."""
    expected_demand: float
    """Units asked for in that time, expected."""
    units: float
    """Units to have at its begin."""
    to_buy: float
    """Units to buy beyond what is here and on its way."""
    critical_ratio: float
    """Probability that they suffice: where a unit more earns as much as it risks."""
    price_cents: int
    """Price of a unit."""
    cost_cents: int
    """Cost of a unit."""
    salvage_cents: int
    """What a unit that is left over still brings."""
    expected_profit_cents: int
    """Expected profit with so many."""


class SupplierTotal(Struct, kw_only=True):
    """What is suggested to order from one supplier, together."""

    supplier: str
    """Supplier; empty: not known."""
    classes: int
    """Classes."""
    value_cents: int
    """Cost of all of it, as far as costs are known."""
    minimum_cents: int
    """Value of the smallest order it takes."""
    below_minimum: bool
    """Whether it is too little for an order of some store, so that it waits."""


class StockDetail(Struct, kw_only=True):
    """One class in one store."""

    basis: Basis
    """How fresh this is, and who spoke."""
    item: StockRow
    """How it stands."""
    coming: list[ComingRow]
    """What is on its way, the soonest first."""
    demand: list[DemandPoint]
    """What will be asked for; empty: nothing is known of it, see ``why_unknown`` of ``item``."""
    cheapest: CheapestPair | None
    """Another view of the same question, by cost alone; null: a rental, or cost or price is not known."""
    order_up_to: OrderUpTo | None
    """The same for fixed order days; null as above."""
    more_units: list[UnitMore]
    """Rentals: what each unit more in the fleet earns, the next six; empty: a sale."""


class Recommendation(Struct, kw_only=True):
    """One thing to do with money."""

    rank: int
    """1: first."""
    action: Literal["reorder", "expand_fleet"]
    """What."""
    sku: str
    """Class."""
    store: str
    """Store."""
    name: str
    """Name."""
    units: float
    """Units to order within the budget."""
    wanted_units: float
    """Units that would be ordered with money enough."""
    cost_cents: int
    """What they cost, cents."""
    gain_cents: int
    """What they are expected to earn beyond that, cents."""
    roi: float
    """The gain over the cost."""
    days: float
    """Days that the gain is over."""
    confidence: float
    """Probability that it earns anything."""
    priority: Priority
    """How much it matters."""
    supplier: str
    """Who sells it."""
    why: str
    """In words."""


class Recommendations(Struct, kw_only=True):
    """What to do with a budget."""

    basis: Basis
    """How fresh this is, and who spoke."""
    budget_cents: int | None
    """Money there is; null: no limit was given."""
    spent_cents: int
    """Money that is used."""
    gain_cents: int
    """What it is expected to earn."""
    wanted_cents: int
    """Money that everything that pays would take."""
    orders: int
    """Orders that are recommended, told or not."""
    left_out: int
    """Orders for which the money is short, wholly or in part."""
    not_weighed: int
    """Orders whose gain is not known, for want of a cost or a price."""
    recommendations: list[Recommendation]
    """The best return first."""
    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""
