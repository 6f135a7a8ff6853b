"""Service ``pricing``: which price would earn more, how sure that is, and what holds it back. Pure.

No model here (``edge/inference/pricing.py`` reads its answers) and no decision: what may be done is for
``edge/decisions``. A class of which price, units to come or the answer to price are not known gets no
recommendation; nothing is assumed in their place.

Units at a price changed by the share c are ``min(units (1 + c) ^ elasticity, capacity)``: elasticity and
units are beliefs (normal and log-normal, from their 80 % intervals), stood for by equally likely points. Gain is the contribution (price less the cost of one more unit, times units) at the changed price
less that at the present one, at the same point, so that what is not known of demand does not hide what
is known of price. The best change is the one with the highest expected gain among those that the guard
rails leave, that lie within the prices ever charged, and that gain with at least :data:`CHANCE_CHANGE`;
``confidence`` is that chance. What else may gain is worth a test.

Demand that rises with its price is not believed: elasticities count up to 0, and a class whose median
is above it gets no recommendation.
"""

from dataclasses import dataclass, fields, replace
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from edge.services.tails import Z80, normal_points

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CHANGES = np.arange(-20.0, 20.1, 2.5) / 100
"""Shares by which a price may be changed at once."""
NOTHING, CATEGORY, OWN = 0, 1, 2
"""What an elasticity rests on (``edge.inference.pricing``)."""
POINTS, GENERATOR = 144, 89
"""Of the lattice that stands for both beliefs at once: neighbours in Fibonacci's row, which lie most
evenly (Sloan & Joe, Lattice Methods for Multiple Integration, 1994)."""
CHANCE_CHANGE, CHANCE_TEST = 0.8, 0.6
"""Least chances of a gain for a change, and for a test."""
GAIN_LEAST = 0.005
"""An expected gain below this share of the present contribution is none."""
_CHUNK = 64
_EVEN = 1e-9
_NORMAL = normal_points(POINTS)
_OTHER = np.arange(POINTS) * GENERATOR % POINTS


class Action(IntEnum):
    """What would be best."""

    NOTHING = 0
    """Nothing is known, so nothing is said."""
    KEEP = 1
    """No other price would earn more, as far as can be told."""
    TEST = 2
    """Another price may earn more; a test would tell."""
    CHANGE = 3
    """Another price would earn more."""


class Why(IntFlag):
    """What stands behind an action, or in its way."""

    NO_PRICE = 1
    NO_DEMAND = 2
    NO_ELASTICITY = 4
    ODD_ELASTICITY = 8
    """Units rose with the price: not believed."""
    CATEGORY_ONLY = 16
    """Only prices of its like have moved."""
    BEYOND_SEEN = 32
    """More may be gained outside of the prices that were ever charged: a test would tell."""
    RAIL = 64
    """A price beyond the guard rail would earn more still."""
    MARKET = 128
    """Competitors' prices hold it back."""
    QUALITY = 256
    """Worn goods are not made dearer."""
    SCARCE = 512
    """More is asked for than can be handed out."""
    BUSY = 1024
    """A test of its price is running."""
    RECENT = 2048
    """Its price was changed a short while ago: what came of it is not known yet."""
    UNSURE = 4096
    """A gain is expected, but not likely enough."""


WORDS: dict[Why, str] = {
    Why.NO_PRICE: "no price is known",
    Why.NO_DEMAND: "units to come are not known",
    Why.NO_ELASTICITY: "how units answer to price is not known",
    Why.ODD_ELASTICITY: "units seem to rise with the price, which is not believed",
    Why.CATEGORY_ONLY: "only prices of its category have moved, not its own",
    Why.BEYOND_SEEN: "prices outside of those ever charged may earn more: a test would tell",
    Why.RAIL: "it stops at the guard rail around the baseline",
    Why.MARKET: "competitors' prices hold it back",
    Why.QUALITY: "its items are worn",
    Why.SCARCE: "more is asked for than can be handed out",
    Why.BUSY: "a test of its price is running",
    Why.RECENT: "its price was changed a short while ago",
    Why.UNSURE: "a gain is expected, but not likely enough",
}


@dataclass(frozen=True, slots=True)
class Rails:
    """What no recommendation goes beyond."""

    baseline: float = 0.20
    """Largest distance from the baseline price, as a share of it."""
    above_market: float = 0.15
    """No rise beyond the median of the competitors' prices by more than this share."""
    grade_least: float = 3.0
    """No rise where the mean grade is below this (3: B-)."""


@dataclass(frozen=True, slots=True)
class Market:
    """What is known of n classes. Every column is float64[n] unless it says otherwise; NaN: not known."""

    price_cents: Floats
    """Present price of a unit."""
    baseline_cents: Floats
    """Price that guard rails count from; NaN: the present one."""
    unit_cost_cents: Floats
    """Cost of one more unit handed out; NaN: none (a rental comes back)."""
    units: Floats
    """Expected units of the horizon at the present price, as many as are asked for."""
    units_low: Floats
    units_high: Floats
    """80 % of the belief; NaN: as sure as counting is (Poisson)."""
    capacity_units: Floats
    """Most units that can be handed out in the horizon; NaN: no end."""
    evidence: Ints
    """int64[n]: :data:`NOTHING`, :data:`CATEGORY` or :data:`OWN`."""
    elasticity: Floats
    elasticity_low: Floats
    elasticity_high: Floats
    seen_low_cents: Floats
    seen_high_cents: Floats
    """Range of the prices ever charged."""
    season: Floats
    """Expected units over those of an average time as long."""
    utilisation: Floats
    """Share of the units that are out."""
    grade: Floats
    """Mean quality grade, 1 (C-) to 9 (A+)."""
    market_cents: Floats
    """Median of the competitors' newest prices."""
    testing: Bools
    """bool[n]: a price test is running."""
    recent: Bools
    """bool[n]: the price was changed too short a while ago."""

    def __len__(self) -> int:
        return len(self.price_cents)

    def take(self, rows: Ints | slice) -> "Market":
        """Some of the classes."""
        return Market(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Money:
    """Mean and 80 % interval over the horizon, cents; float64[n] each."""

    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Advice:
    """Of n classes; NaN where nothing is said."""

    action: Ints
    """int64[n]: :class:`Action`."""
    why: Ints
    """int64[n]: bits of :class:`Why`."""
    change: Floats
    """float64[n]: share of the present price; 0: keep it."""
    price_cents: Floats
    """float64[n]: recommended: whole cents, or the present price."""
    confidence: Floats
    """float64[n]: chance that the change gains; of ``KEEP`` that no allowed one gains more."""
    units: Floats
    units_now: Floats
    """float64[n]: expected units handed out at the recommended and at the present price."""
    revenue: Money
    revenue_now: Money
    gain: Money
    """Of contribution: revenue less the cost of the units."""

    def reasons(self, i: int) -> list[str]:
        """Words for one class."""
        return [text for flag, text in WORDS.items() if int(self.why[i]) & flag]


def advise(market: Market, rails: Rails | None = None) -> Advice:
    """What would be best for each of n classes; about 80 µs a class."""
    used = rails or Rails()
    parts = [_advise(market.take(slice(i, i + _CHUNK)), used)
             for i in range(0, max(len(market), 1), _CHUNK)]  # fmt: skip
    return _joined(parts)


def unknown(market: Market) -> Ints:
    """int64[n]: bits of :class:`Why` that forbid any recommendation; 0: enough is known."""
    why = np.zeros(len(market), np.int64)
    why |= np.where(_positive(market.price_cents), 0, Why.NO_PRICE)
    why |= np.where(_positive(market.units), 0, Why.NO_DEMAND)
    answer = np.isfinite(market.elasticity) & np.isfinite(
        market.elasticity_high - market.elasticity_low
    )
    why |= np.where((market.evidence > NOTHING) & answer, 0, Why.NO_ELASTICITY)
    odd = (why & Why.NO_ELASTICITY == 0) & (np.nan_to_num(market.elasticity) > 0)
    return np.asarray(why | np.where(odd, Why.ODD_ELASTICITY, 0), np.int64)


def offered(market: Market) -> Floats:
    """float64[n, c]: prices that are looked at, whole cents but for the present one; see :data:`CHANGES`.

    Rounded towards the present price, so that rounding leaves no rail.
    """
    present = market.price_cents[:, None]
    price = present * (1 + CHANGES)
    dearer = np.maximum(np.floor(price + 1e-6), present)
    cheaper = np.minimum(np.ceil(price - 1e-6), present)
    return np.where(CHANGES > 0, dearer, np.where(CHANGES < 0, cheaper, present))


def allowed(market: Market, rails: Rails) -> tuple[Bools, Ints]:
    """(bool[n, c], int64[n, c]): prices within every rail, and bits of what forbids the others."""
    price, present = offered(market), market.price_cents[:, None]
    base = np.where(_positive(market.baseline_cents), market.baseline_cents, market.price_cents)
    away = np.abs(price / base[:, None] - 1)
    now_away = np.abs(present / base[:, None] - 1)
    stopped = np.zeros(price.shape, np.int64)
    # a price that people set outside of the rails may come back towards them
    out = (away > rails.baseline + _EVEN) & (away >= now_away - _EVEN)
    stopped |= np.where(out, Why.RAIL, 0)
    ceiling = market.market_cents[:, None] * (1 + rails.above_market)
    stopped |= np.where((price > ceiling + _EVEN) & (price > present), Why.MARKET, 0)
    worn = (market.grade < rails.grade_least)[:, None]
    stopped |= np.where(worn & (price > present), Why.QUALITY, 0)
    stopped[:, CHANGES == 0] = 0
    return stopped == 0, stopped


def beliefs(market: Market) -> tuple[Floats, Floats]:
    """(elasticity, units asked for) float64[n, q] each: equally likely points, one of each together."""
    sd = (market.elasticity_high - market.elasticity_low) / (2 * Z80)
    slope = market.elasticity[:, None] + sd[:, None] * _NORMAL
    units = np.maximum(market.units, 1e-9)
    told = _positive(market.units_high) & (market.units_low >= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = np.log(market.units_high / np.maximum(market.units_low, units / 20)) / (2 * Z80)
    spread = np.where(told, np.maximum(np.nan_to_num(wide), 0.0), np.sqrt(np.log1p(1 / units)))
    spread = np.minimum(spread, 2.0)
    points = np.exp(spread[:, None] * _NORMAL[_OTHER])
    points /= points.mean(axis=1, keepdims=True)  # the mean stays what it was told to be
    return np.minimum(slope, 0.0), units[:, None] * points


def _advise(market: Market, rails: Rails) -> Advice:
    n = len(market)
    missing = unknown(market)
    fine = np.flatnonzero(missing == 0)
    known = market.take(fine)
    price = offered(known)
    change = price / known.price_cents[:, None] - 1
    cost = np.nan_to_num(known.unit_cost_cents)[:, None, None]
    slope, asked = beliefs(known)
    wanted = (1 + change[:, :, None]) ** slope[:, None, :] * asked[:, None, :]
    capacity = np.where(np.isfinite(known.capacity_units), known.capacity_units, np.inf)
    units = np.minimum(wanted, capacity[:, None, None])
    revenue = units * price[:, :, None]
    gain = revenue - units * cost
    present = int(np.flatnonzero(CHANGES == 0)[0])
    now = gain[:, present].mean(axis=1)
    gain = gain - gain[:, present : present + 1]
    expected = gain.mean(axis=2)
    chance = (gain > _EVEN * np.abs(now)[:, None, None]).mean(axis=2)
    free, stopped = allowed(known, rails)
    worth = expected > GAIN_LEAST * np.abs(now)[:, None]

    sure = free & worth & (chance >= CHANCE_CHANGE)
    seen = (price >= known.seen_low_cents[:, None] * 0.999) & (
        price <= known.seen_high_cents[:, None] * 1.001
    )
    own = (known.evidence == OWN)[:, None]
    best = _best(expected, sure & seen & own, present)
    hopeful = _best(expected, free & worth & (chance >= CHANCE_TEST), present)
    wished = _best(expected, worth & (chance >= CHANCE_CHANGE), present)
    further = _best(expected, sure & own, present)
    chosen = np.where(best != present, best, hopeful)
    at = np.arange(len(fine))
    why = np.zeros(len(fine), np.int64)
    why |= np.where(wished != chosen, stopped[at, wished], 0)
    moves = chosen != present
    why |= np.where(moves & ((further != best) | ~seen[at, chosen]), Why.BEYOND_SEEN, 0)
    why |= np.where(known.evidence == CATEGORY, Why.CATEGORY_ONLY, 0)
    why |= np.where(known.units > capacity, Why.SCARCE, 0)
    why |= np.where(moves & ~sure[at, chosen], Why.UNSURE, 0)
    why |= np.where(known.testing, Why.BUSY, 0) | np.where(known.recent, Why.RECENT, 0)
    waits = known.testing | known.recent
    action = np.where(moves, np.where(best != present, Action.CHANGE, Action.TEST), Action.KEEP)
    action = np.where(waits, Action.KEEP, action)
    chosen = np.where(waits, present, chosen)
    none_better = 1 - np.where(free & (CHANGES != 0), chance, 0.0).max(axis=1, initial=0.0)

    made = _empty(n)
    made.action[fine], made.why[:] = action, missing
    made.why[fine] = why
    made.change[fine] = change[at, chosen]
    made.price_cents[fine] = price[at, chosen]
    made.confidence[fine] = np.where(chosen == present, none_better, chance[at, chosen])
    made.units[fine] = units[at, chosen].mean(axis=1)
    made.units_now[fine] = units[:, present].mean(axis=1)
    for into, points in ((made.revenue, revenue[at, chosen]), (made.revenue_now, revenue[:, present]),
                         (made.gain, gain[at, chosen])):  # fmt: skip
        into.mean[fine] = points.mean(axis=1)
        low, high = np.quantile(points, (0.1, 0.9), axis=1) if len(fine) else (0.0, 0.0)
        into.low[fine], into.high[fine] = low, high
    return made


def _best(expected: Floats, among: Bools, present: int) -> Ints:
    """int64[n]: the change with the highest expected gain among some; the present one if there is none."""
    found = np.where(among, expected, -np.inf)
    return np.where(among.any(axis=1), found.argmax(axis=1), present)


def _empty(n: int) -> Advice:
    def money() -> Money:
        return Money(*(np.full(n, np.nan) for _ in range(3)))

    def blank() -> Floats:
        return np.full(n, np.nan)

    said = np.zeros(n, np.int64), np.zeros(n, np.int64)
    numbers = blank(), blank(), blank(), blank(), blank()
    return Advice(*said, *numbers, money(), money(), money())


def _joined(parts: list[Advice]) -> Advice:
    if len(parts) == 1:
        return parts[0]

    def column(name: str) -> NDArray[np.generic] | Money:
        values = [getattr(part, name) for part in parts]
        if isinstance(values[0], Money):
            each = (
                np.concatenate([getattr(v, f) for v in values]) for f in ("mean", "low", "high")
            )
            return Money(*each)
        return np.concatenate(values)

    return Advice(**{f.name: column(f.name) for f in fields(Advice)})  # type: ignore[arg-type]


def _positive(values: Floats) -> Bools:
    return np.asarray(np.nan_to_num(values) > 0)


# -- what each influence does to it -----------------------------------------------------------------

INFLUENCES = ("season", "utilisation", "quality", "market")


def influences(market: Market, rails: Rails | None = None) -> dict[str, Floats]:
    """Influence -> float64[n]: the recommended change less what it would be without that influence.

    Without the season: units of an average time. Without utilisation: no end to what can be handed out.
    Without quality or market: their rails away. For the few rows that somebody looks at.
    """
    nothing = np.full(len(market), np.nan)
    usual = np.where(_positive(market.season), market.season, 1.0)
    average = replace(
        market,
        units=market.units / usual,
        units_low=market.units_low / usual,
        units_high=market.units_high / usual,
    )
    without = {
        "season": average,
        "utilisation": replace(market, capacity_units=nothing),
        "quality": replace(market, grade=nothing),
        "market": replace(market, market_cents=nothing),
    }
    change = advise(market, rails).change
    return {name: change - advise(other, rails).change for name, other in without.items()}


# -- elasticities as a table ------------------------------------------------------------------------


class Kind(IntEnum):
    """How units answer to price, as far as its 80 % interval allows to say."""

    UNKNOWN = 0
    ELASTIC = 1
    """Below -1: a lower price brings more revenue."""
    INELASTIC = 2
    """Above -1: a higher price brings more revenue."""
    EITHER = 3
    """The interval holds -1."""
    ODD = 4
    """Above 0, which is not believed."""


def kinds(evidence: Ints, elasticity: Floats, low: Floats, high: Floats) -> Ints:
    """int64[n]: :class:`Kind`, from evidence and elasticities with their 80 % intervals.

    >>> e = np.array([-2.0, -0.3, -1.0, 0.4])
    >>> [Kind(k).name for k in kinds(np.full(4, OWN), e, e - 0.3, e + 0.3).tolist()]
    ['ELASTIC', 'INELASTIC', 'EITHER', 'ODD']
    """
    found = np.full(len(elasticity), int(Kind.EITHER))
    found[high < -1] = Kind.ELASTIC
    found[low > -1] = Kind.INELASTIC
    found[elasticity > 0] = Kind.ODD
    found[(evidence == NOTHING) | ~np.isfinite(elasticity)] = Kind.UNKNOWN
    return found


@dataclass(frozen=True, slots=True)
class Pooled:
    """Elasticities of a group of classes, taken together."""

    classes: int
    """With evidence of their own."""
    mean: float
    sd: float
    """Of the mean."""
    spread: float
    """Deviation between classes; 0: no more apart than their own doubt explains."""


def pooled(elasticity: Floats, low: Floats, high: Floats) -> Pooled | None:
    """Random-effects mean of own elasticities; ``None``: there is none.

    Source: DerSimonian & Laird, Controlled Clinical Trials 7 (1986). The model has drawn them to their
    category already, so the spread is rather too small.
    """
    sd = (high - low) / (2 * Z80)
    use = np.isfinite(elasticity) & np.isfinite(sd) & (sd > 0)
    if not use.any():
        return None
    y, w = elasticity[use], 1 / sd[use] ** 2
    fixed = float((w * y).sum() / w.sum())
    scale = float(w.sum() - (w**2).sum() / w.sum())
    q = float((w * (y - fixed) ** 2).sum())
    between = max(0.0, (q - (len(y) - 1)) / scale) if scale > 0 else 0.0
    w = 1 / (sd[use] ** 2 + between)
    return Pooled(len(y), float((w * y).sum() / w.sum()), float(w.sum() ** -0.5), between**0.5)


def example(elasticity: list[float], sd: float = 0.2) -> Market:
    """Classes of which everything but the elasticity is alike: for tests and documents."""
    n = len(elasticity)
    slope = np.array(elasticity, np.float64)

    def all_(value: float) -> Floats:
        return np.full(n, value)

    return Market(
        price_cents=all_(1000.0), baseline_cents=all_(1000.0), unit_cost_cents=all_(np.nan),
        units=all_(100.0), units_low=all_(85.0), units_high=all_(116.0), capacity_units=all_(np.nan),
        evidence=np.full(n, OWN), elasticity=slope, elasticity_low=slope - Z80 * sd,
        elasticity_high=slope + Z80 * sd, seen_low_cents=all_(700.0), seen_high_cents=all_(1300.0),
        season=all_(1.0), utilisation=all_(0.5), grade=all_(7.0), market_cents=all_(np.nan),
        testing=np.zeros(n, np.bool_), recent=np.zeros(n, np.bool_),
    )  # fmt: skip
