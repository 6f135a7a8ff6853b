"""Service ``inventory``: what to order, how much, how surely, and what it earns. What is likely or best only.

Two steps, for columns of k classes: :func:`plan` looks at demand, lead times and costs, which change
slowly; :func:`stand` holds the present stock against it, which changes with every sale. Whether an
order may be placed is for the decisions to say; where money ends is for ``budget.py``.

Rental classes come back, so their stock is a fleet (``fleet.py``): a restock adds units to it. Money
in cents, times in days, quantities in units.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.services import counts, eoq, fleet, reorder
from edge.services.counts import Floats
from edge.services.lead_time import SIMPLE, UNKNOWN, Curve
from edge.services.stock_position import Position, short_before

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
T = TypeVar("T")

COVER_DAYS_MOST = 182.0
"""No order is meant to last longer."""
BLIND_DAYS = 28.0
"""Where neither cost nor price is known an order lasts so long."""
LIFE_DAYS = 4 * 365.0
"""Over which a rental unit's cost is spread."""
FLEET_STEPS = 24
"""Units that are added to a fleet in one proposal, at most."""
CONFIDENCE_SIMPLE = 0.59
"""Most that is trusted where only the simple rule speaks: it is for people to decide."""

CRITICAL, HIGH, MEDIUM, LOW = 3, 2, 1, 0
PRIORITIES = ("low", "medium", "high", "critical")
_CRITICAL_CHANCE, _HIGH_CHANCE = 0.5, 0.2


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a class is bought and kept; float64[k] each."""

    lead_days: Floats
    lead_sd: Floats
    review_days: Floats
    """Days between two looks at whether to order; 0: whenever it is needed."""
    order_cost: Floats
    """Of an order, whatever is in it, cents."""
    holding_rate: Floats
    """Of a unit's cost, a year."""
    pack: Floats
    """Units that are sold together."""
    least: Floats
    """Units of the smallest order."""
    level: Floats
    """Share of order cycles without a stock-out (sales), of requests served (rentals)."""
    cost: Floats
    """Of a unit, cents; NaN: not known, nor any price."""
    price: Floats
    """Of a unit sold, or of one rental, cents; NaN: not known."""

    def rows(self, rows: Ints) -> "Terms":
        """Some of the classes."""
        return Terms(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True, slots=True)
class Use:
    """How a rental class is used; float64[k] each, NaN where it is not rented."""

    rate: Floats
    """Requests served a day."""
    turn_days: Floats
    """Days until a unit that went out may go out again."""
    peakedness: Floats
    """Variance over mean of units out."""
    held: Floats
    """Units owned, on the mean of the days that this is from."""
    lost: Floats
    """Requests a day that found nothing, as far as days without stock tell."""
    days: Floats
    """Days that this is from."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be right for each class; float64[k] unless said otherwise. NaN: has no meaning there,
    or nothing is known of what is asked for."""

    rental: Bools
    evidence: Ints
    """Index into ``lead_time.EVIDENCE``."""
    rate: Floats
    """Units a day over the next four weeks."""
    lead_mean: Floats
    lead_variance: Floats
    """Demand until an order placed now is there (sales)."""
    reorder_point: Floats
    """Sales: order at or below this position. Rentals: the fleet that serves ``level`` of requests."""
    safety_stock: Floats
    eoq: Floats
    order_units: Floats
    """The cheapest number of units in whole packs, at least the smallest order."""
    fill_rate: Floats
    """Share of units served when ordering so; rentals: with the fleet that would be right."""
    requests: Floats
    """Rentals: requests a day, those that were lost included."""
    offered: Floats
    """Rentals: units that would be out if nobody were turned away."""
    peakedness: Floats


def plan(
    curve: Curve, evidence: Ints, terms: Terms, rental: Bools, use: Use, owned: Floats
) -> Plan:
    """Reorder points and quantities of sales classes, fleets of rental classes.

    ``owned`` units of rental classes; for sales classes it has no meaning.
    """
    return _to_end(planning(curve, evidence, terms, rental, use, owned))


def _to_end(work: Generator[None, None, T]) -> T:
    while True:
        try:
            next(work)
        except StopIteration as ended:
            found: T = ended.value
            return found


def planning(
    curve: Curve, evidence: Ints, terms: Terms, rental: Bools, use: Use, owned: Floats
) -> Generator[None, None, Plan]:
    """As ``plan``, in parts of a few milliseconds for some hundred classes."""
    protect = terms.lead_days + terms.review_days
    mean, variance = curve.at(protect, terms.lead_sd)
    point, safety = _points(curve, evidence, terms, mean, variance)
    yield
    economic, units = _quantities(curve.rate, terms)
    fleets = yield from _fleets(np.flatnonzero(rental), terms, use, owned)
    yield
    filled = reorder.fill_rate(point, np.maximum(units, 1.0), mean, variance)
    unknown = evidence == UNKNOWN
    told = {
        "rate": curve.rate,
        "lead_mean": mean,
        "lead_variance": variance,
        "reorder_point": np.where(rental, fleets.target, point),
        "safety_stock": np.where(rental, np.nan, safety),
        "eoq": np.where(rental, np.nan, economic),
        "order_units": np.where(rental, np.nan, units),
        "fill_rate": np.where(rental, fleets.served, filled),
        "requests": fleets.requests,
        "offered": fleets.offered,
        "peakedness": fleets.peakedness,
    }
    hidden = {name: np.where(unknown, np.nan, values) for name, values in told.items()}
    return Plan(rental=rental, evidence=evidence, **hidden)


def _points(
    curve: Curve, evidence: Ints, terms: Terms, mean: Floats, variance: Floats
) -> tuple[Floats, Floats]:
    """(reorder point, safety stock): of the demand of a lead time, or by the simple rule."""
    point = reorder.point(mean, variance, terms.level)
    safety = reorder.safety_stock(point, mean)
    day_mean, day_variance = curve.mean[:, 0] / 7, curve.variance[:, 0] / 7
    days = terms.lead_days + terms.review_days
    plain_point, plain_safety = reorder.simple_points(day_mean, day_variance, days, terms.level)
    plain = evidence == SIMPLE
    return np.where(plain, plain_point, point), np.where(plain, plain_safety, safety)


def _quantities(rate: Floats, terms: Terms) -> tuple[Floats, Floats]:
    """(economic quantity, the cheapest whole packs); four weeks of demand where no cost is known."""
    holding = terms.cost * terms.holding_rate / 365.0
    known = np.isfinite(holding) & (holding > 0)
    economic = eoq.quantity(terms.order_cost, holding, rate)
    economic = np.where(known, economic, rate * BLIND_DAYS)
    most = np.maximum(rate * COVER_DAYS_MOST, 1.0)
    holding = np.where(known, holding, 1.0)
    best = eoq.best_packs(terms.order_cost, holding, rate, terms.pack, terms.least, most)
    return economic, np.where(known, best, eoq.in_packs(economic, terms.pack, terms.least))


class _Fleets(NamedTuple):
    target: Floats
    served: Floats
    requests: Floats
    offered: Floats
    peakedness: Floats


def _fleets(rows: Ints, terms: Terms, use: Use, owned: Floats) -> Generator[None, None, _Fleets]:
    """Of the rental classes ``rows``; NaN for all others."""
    turn, bursty = use.turn_days[rows], _or_one(use.peakedness[rows])
    rate, lost = np.nan_to_num(use.rate[rows]), np.nan_to_num(use.lost[rows])
    held = np.where(np.isfinite(use.held[rows]), use.held[rows], owned[rows])
    requests = np.maximum(fleet.true_rate(rate, held, turn, bursty), rate + lost)
    offered = fleet.load(requests, turn)
    yield
    with np.errstate(divide="ignore", invalid="ignore"):
        share = lost / (rate + lost)
    bursty = fleet.bursty_enough(held, offered, share, use.days[rows], turn, bursty)
    yield
    target = fleet.size(offered, terms.level[rows], bursty)
    # a fleet that was seen to serve less than it should is not too large, whatever a formula says
    target = np.where(share > 1.0 - terms.level[rows], np.maximum(target, np.ceil(held)), target)
    served = 1.0 - fleet.lost(target, offered, bursty)
    found = [np.full(len(owned), np.nan) for _ in range(5)]
    for column, values in zip(found, (target, served, requests, offered, bursty), strict=True):
        column[rows] = values
    return _Fleets(*found)


def _or_one(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, 1.0)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the present stock stands beside the plan; float64[k] unless said otherwise. NaN: nothing is
    known of what is asked for."""

    chance_short: Floats
    """Sales: probability of running out before an order placed now is there. Rentals: share of
    requests that find nothing."""
    cover_days: Floats
    """Days that the stock on hand lasts at the present rate; NaN for rentals."""
    suggested: Floats
    """Units to order now; 0: none."""
    priority: Ints
    """Index into ``PRIORITIES``."""


def stand(made: Plan, curve: Curve, terms: Terms, now: Position, owned: Floats) -> Standing:
    """What the present position asks for. ``owned``: units of rental classes, those on order apart.

    A reorder point above 0 holds though nothing is asked for, or nothing known: somebody set it.
    """
    unknown = made.evidence == UNKNOWN
    position = now.position
    coming = owned + now.on_order
    short = np.where(
        made.rental,
        fleet.lost(owned, np.nan_to_num(made.offered), _or_one(made.peakedness)),
        short_before(curve, position, terms.lead_days + terms.review_days, terms.lead_sd),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        cover = np.where(made.rate > 0, np.maximum(now.on_hand, 0) / made.rate, np.inf)
    below = made.reorder_point - position
    wanted = np.where(
        (below >= 0) & ((made.rate > 0) | (made.reorder_point > 0)),
        np.maximum(np.nan_to_num(made.order_units), below + 1.0),
        0.0,
    )
    gap = np.maximum(made.reorder_point - coming, 0.0)
    wanted = np.where(made.rental, gap, wanted)
    suggested = eoq.in_packs(wanted, terms.pack, terms.least)
    return Standing(
        chance_short=np.where(unknown, np.nan, short),
        cover_days=np.where(made.rental | unknown, np.nan, cover),
        suggested=np.where(unknown & np.isnan(made.reorder_point), np.nan, suggested),
        priority=_priority(short, suggested, position, made),
    )


def _priority(short: Floats, suggested: Floats, position: Floats, made: Plan) -> Ints:
    needed = suggested > 0
    gone = ~made.rental & (position <= 0) & (made.rate > 0)
    found = np.where(needed, MEDIUM, LOW)
    found = np.where(needed & (short >= _HIGH_CHANCE), HIGH, found)
    return np.asarray(
        np.where(needed & (gone | (short >= _CRITICAL_CHANCE)), CRITICAL, found), np.int64
    )


@dataclass(frozen=True, slots=True)
class Worth:
    """What ordering ``units`` earns over not ordering, expected; float64[k] each, NaN: not known."""

    cost: Floats
    """Of the order, cents."""
    gain: Floats
    """Margin of the units that will be used, less keeping and ordering, cents."""
    roi: Floats
    """Gain over cost."""
    chance: Floats
    """Probability that it earns anything: that acting beats not acting; NaN: nothing is known of what
    is asked for."""
    days: Floats
    """The span that gain and chance are over."""


def worth(
    made: Plan, curve: Curve, terms: Terms, now: Position, owned: Floats, units: Floats
) -> Worth:
    """What an order of ``units`` now earns over its span, for sales and rentals."""
    return _to_end(weighing(made, curve, terms, now, owned, units))


def weighing(
    made: Plan, curve: Curve, terms: Terms, now: Position, owned: Floats, units: Floats
) -> Generator[None, None, Worth]:
    """As ``worth``, in parts of a few milliseconds for some hundred classes."""
    sales = yield from _worth_of_sales(made, curve, terms, now, units)
    yield
    rents = _worth_of_fleet(made, terms, now, owned, units)
    both = [np.where(made.rental, b, a) for a, b in zip(sales, rents, strict=True)]
    cost, gain, chance, days = both
    chance = np.where(made.evidence == SIMPLE, np.minimum(chance, CONFIDENCE_SIMPLE), chance)
    unknown = made.evidence == UNKNOWN
    gain, chance = np.where(unknown, np.nan, gain), np.where(unknown, np.nan, chance)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Worth(cost, gain, np.where(cost > 0, gain / cost, np.nan), chance, days)


Parts = tuple[Floats, Floats, Floats, Floats]


def _worth_of_sales(
    made: Plan, curve: Curve, terms: Terms, now: Position, units: Floats
) -> Generator[None, None, Parts]:
    """The order is to serve its lead time, the review, and as long as it lasts at the present rate.

    A unit earns its margin if it is asked for in that time; every unit costs its keeping, half the
    span where it is sold and the whole span where it is not.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        lasts = np.where(made.rate > 0, units / made.rate, 0.0)
    span = terms.lead_days + terms.review_days + np.minimum(lasts, 2 * COVER_DAYS_MOST)
    mean, variance = curve.at(span, terms.lead_sd)
    position = now.position
    before = counts.shortage(mean, variance, position)
    yield
    used = np.clip(before - counts.shortage(mean, variance, position + units), 0.0, units)
    yield
    margin = terms.price - terms.cost
    keeping = terms.cost * terms.holding_rate / 365.0 * np.minimum(lasts, span)
    cost = units * terms.cost
    gain = margin * used - keeping * (used / 2 + (units - used)) - terms.order_cost
    with np.errstate(divide="ignore", invalid="ignore"):
        even = (terms.order_cost + keeping * units) / (margin + keeping / 2)
    even = np.where(margin > 0, np.minimum(even, units), units)
    even = np.where(np.isfinite(margin), even, units / 2)
    chance = counts.more_than(mean, variance, position + np.ceil(even - 1e-9) - 1.0)
    pays = ~np.isfinite(margin) | (margin > 0)
    return cost, gain, np.where((units > 0) & pays, chance, 0.0), span


def _worth_of_fleet(made: Plan, terms: Terms, now: Position, owned: Floats, units: Floats) -> Parts:
    """A year of the requests that more units would serve, less a year of their keeping and wear."""
    before = fleet.lost(owned + now.on_order, np.nan_to_num(made.offered), _or_one(made.peakedness))
    after = fleet.lost(
        owned + now.on_order + units, np.nan_to_num(made.offered), _or_one(made.peakedness)
    )
    served = np.nan_to_num(made.requests) * 365.0 * (before - after)
    cost = units * terms.cost
    yearly = cost * (terms.holding_rate + 365.0 / LIFE_DAYS)
    gain = terms.price * served - yearly - terms.order_cost
    with np.errstate(divide="ignore", invalid="ignore"):
        even = (yearly + terms.order_cost) / terms.price
    # the number served more in a year, about Poisson with the requests' own burstiness
    spread = np.maximum(served * _or_one(made.peakedness), served)
    chance = counts.more_than(served, spread, np.nan_to_num(np.ceil(even - 1e-9), nan=0.0) - 1.0)
    known = np.isfinite(even)
    year = np.full(len(units), 365.0)
    return cost, gain, np.where((units > 0) & known, chance, 0.0), year


Steps = tuple[Floats, Floats, Floats]


def steps(
    made: Plan,
    curve: Curve,
    terms: Terms,
    now: Position,
    owned: Floats,
    units: Floats,
    most: int = FLEET_STEPS,
) -> Steps:
    """(units, cost, gain) float64[k, s]: an order cut into steps of whole packs, for ``budget.allocate``.

    Steps are as even as packs allow; their gains are the differences of ``worth``. NaN beyond the last.
    """
    return _to_end(stepping(made, curve, terms, now, owned, units, most))


def stepping(
    made: Plan,
    curve: Curve,
    terms: Terms,
    now: Position,
    owned: Floats,
    units: Floats,
    most: int,
) -> Generator[None, None, Steps]:
    """As ``steps``, in parts of a few milliseconds for some hundred classes."""
    k = len(units)
    packs = np.ceil(units / np.maximum(terms.pack, 1e-9) - 1e-9)
    each = np.maximum(np.ceil(packs / most), 1.0) * terms.pack
    upto = np.minimum(each[:, None] * np.arange(1, most + 1), units[:, None])
    begun = np.concatenate([np.zeros((k, 1)), upto[:, :-1]], axis=1)
    there = begun < units[:, None] - 1e-9
    first = np.maximum(upto, np.minimum(terms.least, units)[:, None])
    gains, costs = np.zeros((k, most)), np.zeros((k, most))
    for s in range(int(there.sum(axis=1).max(initial=0))):
        found = yield from weighing(made, curve, terms, now, owned, first[:, s])
        yield
        gains[:, s], costs[:, s] = found.gain, found.cost
    taken = np.diff(first, axis=1, prepend=0.0)
    gain = np.diff(gains, axis=1, prepend=0.0)
    cost = np.diff(costs, axis=1, prepend=0.0)
    there = there & (taken > 1e-9) | (np.arange(most) == 0) & (units > 0)[:, None]
    hidden = [np.where(there, values, np.nan) for values in (taken, cost, gain)]
    return hidden[0], hidden[1], hidden[2]
