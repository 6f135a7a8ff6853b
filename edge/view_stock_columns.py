"""Columns of classes for the inventory service, gathered from state, predictions and ledger. No answers.

Everything is gathered for some rows at a time, so that nobody holds the loop for long. ``Watch``
says which rows must be looked at again.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.config import Inventory
from edge.features.business import class_key
from edge.features.catalog import matrix
from edge.features.state import FeatureState
from edge.features.windows import DayRing
from edge.inference.answering import origin_of
from edge.inference.manifest import Service
from edge.inference.scorer import Scorer, Slot
from edge.inference.velocity import C, Z, abc, pattern, xyz
from edge.ledger.catalogue import CatalogueClass
from edge.ledger.ledger import Ledger
from edge.ledger.orders import OrderLine
from edge.ledger.suppliers import EVERY, Supplier, Supply, seen_variance, terms_of
from edge.services import fleet, lead_time, stock_performance
from edge.services.counts import Floats
from edge.services.inventory import Terms, Use
from edge.services.lead_time import HISTORY, MODEL, SIMPLE, UNKNOWN, Curve
from edge.services.stock_performance import Performance
from edge.services.stock_position import Position
from edge.view_basis import speaker

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DAY_MS = 86_400_000
DAYS = lead_time.HISTORY_DAYS
USE_DAYS = 91
"""Days that say how rental classes are used."""
ARRIVALS = 4
"""Orders on their way that are looked at one by one, the soonest; the rest counts as the last."""
COST_SOURCES = ("unknown", "terms", "receipt", "catalogue", "assumed")


def key_of(state: FeatureState, row: int) -> tuple[str, str]:
    """(SKU, store) of a class."""
    store, _, sku = state.cls.keys.key(row).partition("\x1f")
    return sku, store


# -- stock ------------------------------------------------------------------------------------------------


class Coming:
    """What is on its way from suppliers, by class row; built anew when orders changed."""

    def __init__(self) -> None:
        self._lines: tuple[OrderLine, ...] = ()
        self._of: dict[tuple[str, str], list[OrderLine]] = {}
        self._units: dict[str, float] = {}  # by the state's key of the class

    def refresh(self, ledger: Ledger) -> set[tuple[str, str]]:
        """(SKU, store) of everything whose orders changed."""
        lines = tuple(ledger.rows(OrderLine).values())
        if lines == self._lines:
            return set()
        before, self._lines, self._of = self._of, lines, {}
        for line in lines:
            self._of.setdefault((line.sku, line.store), []).append(line)
        self._units = {
            class_key(store, sku): sum(line.coming for line in lines)
            for (sku, store), lines in self._of.items()
        }
        return {k for k in before.keys() | self._of.keys() if before.get(k) != self._of.get(k)}

    def lines(self, key: tuple[str, str]) -> list[OrderLine]:
        """Open lines of a class, the first to come first."""
        return sorted(self._of.get(key, ()), key=lambda line: (line.expected_ms, line.id))

    def units(self, state: FeatureState, rows: Ints) -> Floats:
        """float64[n]: units on their way."""
        if not self._units:
            return np.zeros(len(rows))
        keys = state.cls.keys
        if len(rows) <= len(self._units):
            # A class may have gone between two slices: its row has no name any more.
            return np.array([self._units.get(key, 0.0) for key in keys.keys_of(rows.tolist())])
        by_row = np.zeros(keys.high + 1)  # the last: of classes that nobody has met
        for key, units in self._units.items():
            by_row[keys.get(key)] = units
        by_row[-1] = 0.0
        return by_row[rows]

    def arrivals(
        self, state: FeatureState, rows: Ints, now_ms: int, lead_days: Floats
    ) -> list[tuple[Floats, Floats]]:
        """(days from now, units) float64[n] of the first, second … order to come.

        An order without a day comes after the lead time; one that is overdue comes tomorrow.
        """
        days, units = np.zeros((ARRIVALS, len(rows))), np.zeros((ARRIVALS, len(rows)))
        if not self._of:
            return []
        for i, row in enumerate(rows.tolist()):
            told = []
            for line in self._of.get(key_of(state, row), ()):
                lead_ms = round(float(lead_days[i]) * DAY_MS)
                at_ms = line.expected_ms or line.ordered_ms + lead_ms
                told.append((max((at_ms - now_ms) / DAY_MS, 1.0), line.coming))
            for n, (day, amount) in enumerate(sorted(told)):
                slot = min(n, ARRIVALS - 1)
                days[slot, i] = max(days[slot, i], day)
                units[slot, i] += amount
        return [(days[n], units[n]) for n in range(ARRIVALS) if units[n].any()]


def on_hand_of(state: FeatureState, rows: Ints) -> Floats:
    """float64[n]: units in the store now, by lines and counts where there are any, else by scans."""
    col = state.cls.col
    known = col["ledger_known"][rows] > 0
    return np.where(known, col["ledger_milli"][rows] / 1000, col["items_ready"][rows])


def position_of(state: FeatureState, rows: Ints, coming: Coming) -> Position:
    """Stock of classes ``rows`` as it is now."""
    col = state.cls.col
    on_rent = np.maximum(col["rented_out_milli"][rows] / 1000, col["items_on_rent"][rows])
    return Position(
        on_hand=on_hand_of(state, rows),
        on_rent=np.asarray(on_rent, np.float64),
        in_service=col["items_in_service"][rows].astype(np.float64),
        reserved=np.maximum(col["reserved_milli"][rows] / 1000, 0.0),
        on_order=coming.units(state, rows),
    )


# -- days ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Days:
    """Daily values of the last ``DAYS`` whole days, float64[d, n], oldest first; NaN: not looked at."""

    sold: Floats
    rented: Floats
    revenue_cents: Floats
    on_hand: Floats
    on_rent: Floats
    empty: Floats
    """1: closed without stock, or the last unit went."""

    @property
    def moved(self) -> Floats:
        """Units asked for, NaN on days without stock: what was not there could not be sold."""
        units = self.sold + self.rented
        return np.where(self.empty > 0, np.nan, units)


def days_of(state: FeatureState, rows: Ints, days: int = DAYS) -> Days:
    """The days before today. Days before a class first moved, or its stock was known, are not looked at."""
    days = min(days, _ring(state, "sold_milli").days - 1)
    sold, rented = (
        _daily(state, "sold_milli", rows, days),
        _daily(state, "rented_milli", rows, days),
    )
    on_hand = _daily(state, "on_hand_close_milli", rows, days)
    on_rent = _daily(state, "on_rent_close_milli", rows, days)
    ended = _daily(state, "empty_close", rows, days) > 0
    empty = ended | (_daily(state, "stockouts", rows, days) > 0)
    # a day that is known to be without stock is one of a class that there was before
    begun = np.maximum.accumulate(
        (sold != 0) | (rented != 0) | (on_hand != 0) | (on_rent != 0) | empty
    )
    unseen = (_daily(state, "unseen", rows, days) > 0) | ~begun
    revenue = _daily(state, "revenue_cents", rows, days)
    told = (sold / 1000, rented / 1000, revenue, on_hand / 1000, on_rent / 1000, empty)
    return Days(*[np.where(unseen, np.nan, values) for values in told])


def _ring(state: FeatureState, name: str) -> DayRing:
    ring = state.cls.part[name]
    assert isinstance(ring, DayRing)
    return ring


def _daily(state: FeatureState, name: str, rows: Ints, days: int) -> Floats:
    return _ring(state, name).series(rows, days + 1)[:-1].astype(np.float64)


# -- terms --------------------------------------------------------------------------------------------------


class Bought:
    """Terms of classes as ledger and catalogue tell them, beside what they are taken from."""

    __slots__ = ("cost_source", "fixed_point", "named", "supplier", "terms", "turn_days")

    def __init__(self, n: int) -> None:
        columns = {name: np.zeros(n) for name in Terms.__dataclass_fields__}
        self.terms = Terms(**columns)
        self.fixed_point = np.full(n, np.nan)
        """float64[n]: reorder points set by hand."""
        self.turn_days = np.zeros(n)
        """float64[n]: days from return until a unit can go out again, as the catalogue says."""
        self.cost_source = np.zeros(n, np.int64)
        """int64[n] into ``COST_SOURCES``."""
        self.supplier = [""] * n
        self.named = [("", "")] * n
        """Name and category that people gave in the catalogue; empty: none did."""


def bought(
    state: FeatureState, ledger: Ledger, rows: Ints, rental: Bools, otherwise: Inventory
) -> Bought:
    """Terms of ``rows``; what nobody told stands as configured."""
    made = Bought(len(rows))
    prices = np.nan_to_num(
        matrix(state, "class", rows, ("price_last_cents", "price_list_cents", "cost_last_cents"))
    ).astype(np.float64)
    for i, row in enumerate(rows.tolist()):
        sku, store = key_of(state, row)
        _one(made, i, ledger, (sku, store), prices[i].tolist(), bool(rental[i]), otherwise)
    return made


def bought_unmet(ledger: Ledger, sku: str, store: str, otherwise: Inventory) -> Bought:
    """Terms of one class that the state has not met: of nothing that moved a price or a cost is known."""
    listed = ledger.get(CatalogueClass, sku)
    made = Bought(1)
    rental = listed is not None and listed.offered_for == "rental"
    _one(made, 0, ledger, (sku, store), [0.0, 0.0, 0.0], rental, otherwise)
    return made


def _one(
    made: Bought,
    i: int,
    ledger: Ledger,
    of: tuple[str, str],
    told: list[float],
    rental: bool,
    otherwise: Inventory,
) -> None:
    sku, store = of
    terms = terms_of(ledger, sku, store) or _NOBODY
    listed = ledger.get(CatalogueClass, sku) or _NOTHING
    name = terms.supplier or listed.supplier
    supplier = ledger.get(Supplier, name) if name else None
    made.supplier[i], made.named[i] = name, (listed.name, listed.category)
    lead, spread = _lead(terms, listed, supplier, otherwise)
    last, own_list, received = told
    price = listed.price_cents or own_list or last
    costs = (terms.cost_cents or 0, received, listed.cost_cents)
    cost, source = next(((c, n) for n, c in enumerate(costs, 1) if c), (math.nan, 0))
    if not source and price and not rental:
        cost, source = otherwise.cost_share * price or math.nan, COST_SOURCES.index("assumed")
    row: dict[str, float] = {
        "lead_days": lead,
        "lead_sd": spread,
        "review_days": supplier.review_days if supplier else otherwise.review_days,
        "order_cost": _or(supplier.order_cost_cents if supplier else None, otherwise.order_cost_cents),
        "holding_rate": _or(terms.holding_rate, otherwise.holding_rate),
        "pack": terms.pack_units,
        "least": terms.minimum_units,
        "level": _or(terms.service_level, otherwise.service_level),
        "cost": cost,
        "price": price or math.nan,
    }  # fmt: skip
    for field in fields(Terms):
        getattr(made.terms, field.name)[i] = row[field.name]
    made.cost_source[i] = source
    made.fixed_point[i] = _or(terms.fixed_reorder_point, math.nan)
    made.turn_days[i] = listed.turn_days


_NOBODY, _NOTHING = Supply(sku=EVERY), CatalogueClass(sku=EVERY)


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _lead(
    terms: Supply, listed: CatalogueClass, supplier: Supplier | None, otherwise: Inventory
) -> tuple[float, float]:
    """(days, deviation): terms by hand, else the catalogue's or the supplier's word, and its orders."""
    said = supplier.lead_days if supplier else otherwise.lead_days
    days = listed.lead_time_days or said
    spread = supplier.lead_sd_days if supplier else None
    spread = _or(spread, days * otherwise.lead_sd_share)
    if supplier is not None and supplier.orders_seen:
        one = np.ones(1)
        mean, deviation = lead_time.observed_lead(
            days * one,
            spread * one,
            supplier.orders_seen * one,
            supplier.lead_seen_days * one,
            seen_variance(supplier) * one,
        )
        days, spread = float(mean[0]), float(deviation[0])
    if terms.lead_days is not None:
        days, spread = terms.lead_days, terms.lead_days * otherwise.lead_sd_share
    return days, _or(terms.lead_sd_days, spread)


def named(state: FeatureState, ledger: Ledger, row: int) -> tuple[str, str]:
    """(name, category) of a class: the catalogue's word, else the till's."""
    listed = ledger.get(CatalogueClass, key_of(state, row)[0]) or _NOTHING
    text = state.cls.text
    return (
        listed.name or text["name"].get(row, ""),
        listed.category or text["category"].get(row, ""),
    )


class Watch:
    """Which classes' terms changed since it was last asked."""

    _KINDS: tuple[type[Any], ...] = (Supplier, Supply, CatalogueClass)

    def __init__(self) -> None:
        self._version = -1
        self._versions = [-1 for _ in self._KINDS]
        self._before: list[dict[tuple[str | int, ...], object]] = [{} for _ in self._KINDS]

    def changed(self, ledger: Ledger) -> set[str] | None:
        """SKUs; ``None``: it may be any."""
        if ledger.version == self._version:
            return set()
        self._version = ledger.version
        skus: set[str] = set()
        anything = False
        for i, kind in enumerate(self._KINDS):
            version, self._versions[i] = self._versions[i], ledger.version_of(kind)
            if version == self._versions[i]:
                continue
            now: Mapping[tuple[str | int, ...], object] = ledger.rows(kind)
            before = self._before[i]
            if len(now) == len(before) and all(
                a is b for a, b in zip(now.values(), before.values(), strict=True)
            ):
                continue
            keys = [k for k in now.keys() | before.keys() if now.get(k) is not before.get(k)]
            anything |= kind is Supplier or any(key[0] == EVERY for key in keys)
            skus |= {str(key[0]) for key in keys}
            self._before[i] = dict(now)
        return None if anything else skus


# -- demand ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What will be asked for of some classes, and how they move; arrays of n."""

    curve: Curve
    evidence: Ints
    abc: Ints
    """-1: not known."""
    xyz: Ints
    pattern: Ints


def wanted(
    state: FeatureState, scorer: Scorer | None, rows: Ints, days: Days, drift: float
) -> Wanted:
    """By models where they speak, else by the days themselves; see ``lead_time`` for ``drift``."""
    history, enough = lead_time.from_history(days.moved, drift)
    simple = lead_time.simple(days.moved)
    evidence = np.where(enough, HISTORY, SIMPLE)
    evidence = np.where(lead_time.nothing_known(days.moved), UNKNOWN, evidence)
    letters = _letters(days)
    model = _model_columns(scorer, "inventory", rows)
    by_model = history
    if model is not None:
        told, spoken = model
        week, fortnight = (
            np.stack([told(f"units_{d}d{q}") for q in ("", "_p90", "_p95", "_p99")], axis=1)
            for d in (7, 14)
        )
        by_model = lead_time.from_model(week, fortnight, _ahead(scorer, rows))
        # a model reckons four weeks back: of a class that is younger it would say too little
        old = np.isfinite(days.moved).sum(axis=0) >= lead_time.KNOWN_DAYS_MIN
        if (
            origin_of(speaker(scorer, "inventory")) == "starter"
        ):  # it never saw this shop: a class's own weeks say more
            old &= ~enough
        evidence = np.where(spoken & old & np.isfinite(week).all(axis=1), MODEL, evidence)
        mine = evidence == MODEL
        letters = [
            np.where(mine & np.isfinite(told(name)), np.nan_to_num(told(name)), own).astype(
                np.int64
            )
            for name, own in zip(("abc", "xyz", "pattern"), letters, strict=True)
        ]
    curve = lead_time.mixed(evidence, (simple, history, by_model))
    return Wanted(curve, evidence.astype(np.int64), *letters)


def _letters(days: Days) -> list[Ints]:
    """(ABC, XYZ, pattern) by the class's own days; ABC of the rows at hand is set by the whole later."""
    moved = days.moved[-DAYS:]
    weeks = len(moved) // 7
    weekly = moved[len(moved) - 7 * weeks :].reshape(weeks, 7, -1)
    sums = np.where(np.isnan(weekly).all(axis=1), np.nan, np.nansum(weekly, axis=1)).T
    return [np.full(moved.shape[1], C, np.int64), xyz(sums), pattern(sums)] if weeks else [
        np.full(moved.shape[1], value, np.int64) for value in (C, Z, 0)
    ]  # fmt: skip


def abc_of(revenue: Floats) -> Ints:
    """int64[n]: ABC by revenue, of all classes at once."""
    return abc(np.nan_to_num(revenue))


def _model_columns(
    scorer: Scorer | None, service: Service, rows: Ints
) -> tuple[Callable[[str], Floats], Bools] | None:
    """(column by name, bool[n] whether the answering model spoke of the row); ``None``: none is there."""
    slot: Slot | None = scorer.slots[service] if scorer is not None else None
    if slot is None or slot.active is None or slot.shown is None:
        return None
    names = {c.name: i for i, c in enumerate(slot.active.manifest.columns)}
    values = slot.shown.values[rows].astype(np.float64)
    spoken = slot.shown.held(rows) & (slot.shown.by[rows] == slot.active.number)
    nothing = np.full(len(rows), np.nan)

    def told(name: str) -> Floats:
        return values[:, names[name]] if name in names else nothing

    return told, spoken


def _ahead(scorer: Scorer | None, rows: Ints) -> Floats:
    """float64[n, 2]: the demand model's units of 28 and 91 days; NaN where it says nothing."""
    found = np.full((len(rows), 2), np.nan)
    model = _model_columns(scorer, "demand", rows)
    if model is None:
        return found
    told, spoken = model
    for i, weeks in enumerate((4, 13)):
        total = sum((told(f"units_week_{w}") for w in range(1, weeks + 1)), np.zeros(len(rows)))
        found[:, i] = np.where(spoken, total, np.nan)
    return found


# -- rentals -----------------------------------------------------------------------------------------------


def is_rental(state: FeatureState, ledger: Ledger, rows: Ints, days: Days) -> Bools:
    """bool[n]: whether units come back. By what moved; by what is out; by the catalogue."""
    rented, sold = np.nansum(days.rented, axis=0), np.nansum(days.sold, axis=0)
    col = state.cls.col
    out = (col["items_on_rent"][rows] > 0) | (col["rented_out_milli"][rows] > 0)
    found = np.where(rented + sold > 0, rented >= sold, out)
    still = np.flatnonzero((rented + sold == 0) & ~out)
    for i in still.tolist():
        listed = ledger.get(CatalogueClass, key_of(state, int(rows[i]))[0])
        found[i] = listed is not None and listed.offered_for == "rental"
    return np.asarray(found, np.bool_)


def use_of(
    state: FeatureState, rows: Ints, days: Days, rental: Bools, told_turn: Floats
) -> tuple[Use, Floats, Performance]:
    """(how rental classes are used, units owned, how their stock has done); NaN for the others.

    How stock has done is told as ``/api/inventory/performance`` tells it of as many days.
    """
    at = np.flatnonzero(rental)
    mine = rows[at]
    parts = [getattr(days, name)[-USE_DAYS:, at] for name in _MEASURED]
    record = stock_performance.measure(*parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate, lost = record.rented / record.days, record.lost / record.days
    told = matrix(state, "class", mine, ("rental_hours_p50", "fleet_units")).astype(np.float64)
    washed = state.cls.col["items_in_service"][mine].astype(np.float64)
    service = fleet.in_service(parts[3] + parts[4], told[:, 1], washed)
    held = record.on_hand_mean + record.on_rent_mean + service
    service = np.where(service > 0, service, np.nan_to_num(rate) * told_turn[at])
    median = told[:, 0] / 24.0 + told_turn[at]
    turn = fleet.turn_days(record.on_rent_mean, service, np.nan_to_num(rate), median)
    bursty = fleet.peakedness(days.rented[:, at], turn)
    k = len(rows)
    use = Use(*(_spread(k, at, of) for of in (rate, turn, bursty, held, lost, record.days)))
    done = Performance(*(_spread(k, at, getattr(record, f.name)) for f in fields(Performance)))
    return use, _spread(k, at, told[:, 1]), done


def _spread(k: int, at: Ints, values: Floats) -> Floats:
    """float64[k]: ``values`` at ``at``, NaN elsewhere."""
    found = np.full(k, np.nan)
    found[at] = values
    return found


_MEASURED = ("sold", "rented", "revenue_cents", "on_hand", "on_rent", "empty")


def live_rows(state: FeatureState) -> Ints:
    """int64[n]: rows of every class."""
    return np.asarray(state.cls.keys.live(), np.int64)


def rows_named(state: FeatureState, skus: Iterable[str]) -> Ints:
    """int64[n]: rows of classes of these SKUs, in any store."""
    wanted_skus = set(skus)
    if not wanted_skus:
        return np.zeros(0, np.int64)
    found = [r for k, r in state.cls.keys.items() if k.partition("\x1f")[2] in wanted_skus]
    return np.array(sorted(found), np.int64)
