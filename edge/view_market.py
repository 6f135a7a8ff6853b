"""What is known of classes' prices, gathered into the columns that pricing asks for. No judgement.

Prices: what was decided or set (ledger), else our list price, else the catalogue's, else the newest
price paid, unless it is absurd beside what is usually paid. Units of the next 28 days are demand's; how they answer to price is the pricing model's.
"""

from collections.abc import Iterator
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edge.features import catalog
from edge.features.windows import DayRing
from edge.inference.model import Loaded
from edge.inference.scorer import Slot
from edge.ledger import price_tests
from edge.ledger.catalogue import CatalogueClass
from edge.ledger.prices import JUMP_MOST, CompetitorPrice, Price, jump, present_cents, same
from edge.services.pricing import Market
from edge.view_basis import Basis, Sources
from edge.view_demand import DemandView

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY_MS = 86_400_000
HORIZON_DAYS = 28
MARKET_DAYS = 60
"""Older competitors' prices count no more."""
RECENT_DAYS = 14
"""A price that was changed is let be for so long: what came of it is not known sooner."""
SEASON_AGE_DAYS = 300
"""A class must have been known for so long for its year to be an average."""
FEATURES = (
    "price_list_cents",
    "price_last_cents",
    "cost_last_cents",
    "rented_units_364d",
    "sold_units_364d",
    "fleet_units",
    "utilisation_28d",
    "rental_hours_p50",
    "price_mean_28d_cents",
)
BELIEFS = ("evidence", "elasticity", "elasticity_low", "elasticity_high", "extrapolated")
SEEN = ("price_low_cents", "price_high_cents")
GRADES_EVERY_MS = 60_000


def _believed(cents: Floats, usual: Floats) -> Floats:
    """float64[n]: ``cents``, or what is usual where they are too far from it: one absurd line moves no price."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = cents / usual
    return np.where((ratio > JUMP_MOST) | (ratio < 1 / JUMP_MOST), usual, cents)


class MarketColumns:
    """Gathers columns for rows of classes; remembers mean grades for a minute."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state
        self.demand = DemandView(sources)
        self._grades: Floats = np.zeros(0)
        self._grades_ms = -GRADES_EVERY_MS
        size = self._state.cls.keys.limit
        self._side_of = np.full(size, -1, np.int32)  # row of the model's constants; -1: it has none
        self._side_whose = np.zeros(size, np.uint64)
        self._side_by = 0

    # -- who answers --------------------------------------------------------------------------------

    @property
    def slot(self) -> Slot | None:
        """The pricing model's columns; ``None``: there is no model."""
        scorer = self._sources.scorer
        found = scorer.slots.get("pricing") if scorer is not None else None
        return found if found is not None and found.active is not None else None

    @property
    def model_number(self) -> int:
        """Tells the model that answers now from others; 0: none."""
        slot = self.slot
        return slot.active.number if slot is not None and slot.active is not None else 0

    def basis(self) -> Basis:
        """Who answers for pricing."""
        return self._sources.of_service("pricing")

    # -- prices -------------------------------------------------------------------------------------

    def keys(self, rows: Ints) -> list[tuple[str, str]]:
        """(store, SKU) of each class."""
        key = self._state.cls.keys.key
        made = []
        for row in rows.tolist():
            store, _, sku = key(row).partition("\x1f")
            made.append((store, sku))
        return made

    def prices(self, rows: Ints, features: Floats | None = None) -> tuple[Floats, Floats]:
        """(present price, baseline) float64[n], cents; NaN: not known."""
        if features is None:
            features = self._features(rows)
        listed, last, mean = features[:, 0], features[:, 1], features[:, 8]
        price, base = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        ledger, paid_only = self._sources.core.ledger, []
        for i, (store, sku) in enumerate(self.keys(rows)):
            known = ledger.get(Price, sku, store)
            if known is not None:
                price[i], base[i] = known.price_cents, known.baseline_cents
                continue
            told = ledger.get(CatalogueClass, sku)
            catalogued = (
                float(told.price_cents) if told is not None and told.price_cents else np.nan
            )
            people = listed[i] if listed[i] > 0 and not jump(listed[i], catalogued) else catalogued
            price[i] = base[i] = people
            if not people > 0:
                paid_only.append(i)
        if paid_only:
            at = np.array(paid_only, np.int64)
            usual = self._usual(rows[at])
            price[at] = _believed(last[at], usual)
            base[at] = _believed(np.where(mean[at] > 0, mean[at], last[at]), usual)
        price[~(price > 0)] = np.nan
        return price, np.where(base > 0, base, price)

    def _usual(self, rows: Ints) -> Floats:
        """float64[n]: price paid on the middle one of the last days with business; NaN: on none."""
        part = {}
        for name in ("revenue_cents", "rented_milli", "sold_milli"):
            ring = self._state.cls.part[name]
            assert isinstance(ring, DayRing)
            part[name] = ring.series(rows, HORIZON_DAYS).astype(np.float64)
        units = (part["rented_milli"] + part["sold_milli"]) / 1_000
        earned = part["revenue_cents"]
        known = (units > 0) & (earned > 0)
        paid = np.where(known, earned / np.where(known, units, 1.0), np.nan)
        paid.sort(axis=0)  # days without business come last
        many, at = known.sum(axis=0), np.arange(len(rows))
        low, high = np.maximum(many - 1, 0) // 2, np.minimum(many // 2, HORIZON_DAYS - 1)
        return np.asarray((paid[low, at] + paid[high, at]) / 2)

    def doubted(self, row: int, store: str, sku: str) -> str:
        """Why the price that was told last is not taken over, in words; empty: it is."""
        col, ledger = self._state.cls.col, self._sources.core.ledger
        told, known = int(col["list_price_cents"][row]), ledger.get(Price, sku, store)
        if known is not None and col["list_price_ms"][row] <= known.since_ms:
            return ""
        far = jump(told, present_cents(ledger, sku, store))
        return (
            f"a price was told that is not believed: {far}; set it with confirm if it is meant"
            if far
            else ""
        )

    def competitors(self, sku: str, store: str) -> list[CompetitorPrice]:
        """Prices of competitors of a class that are not too old."""
        oldest_ms = self._sources.now_ms - MARKET_DAYS * DAY_MS
        found = self._sources.core.ledger.by(CompetitorPrice, "sku", sku)
        return [one for one in found if one.store == store and one.seen_ms >= oldest_ms]

    # -- everything ---------------------------------------------------------------------------------

    def filling(self, rows: Ints) -> Iterator[None]:
        """Let demand be known first; some at each step."""
        return self.demand.filling(rows)

    def gather(self, rows: Ints) -> Market:
        """All columns of some tens of classes, after ``filling``; about 20 µs a class."""
        features = self._features(rows)
        price, base = self.prices(rows, features)
        cost, rented, sold, fleet, busy, hours = (features[:, i] for i in (2, 3, 4, 5, 6, 7))
        sells = np.nan_to_num(sold) > np.nan_to_num(rented)
        units, low, high = self._units(rows)
        known = self._beliefs(rows)
        n = len(rows)
        turn, paid = np.zeros(n), np.full(n, np.nan)
        market, testing = np.full(n, np.nan), np.zeros(n, np.bool_)
        recent = np.zeros(n, np.bool_)
        ledger = self._sources.core.ledger
        for i, (store, sku) in enumerate(self.keys(rows)):
            told = ledger.get(CatalogueClass, sku)
            if told is not None:
                turn[i], paid[i] = told.turn_days, told.cost_cents or np.nan
            seen = self.competitors(sku, store)
            if seen:
                market[i] = median(one.price_cents for one in seen)
            testing[i] = bool(price_tests.running(ledger, sku, store))
            row = ledger.get(Price, sku, store)
            recent[i] = row is not None and self._changed_lately(row)
        unit_cost = np.where(sells, np.where(cost > 0, cost, paid), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            days_out = np.maximum(hours / 24, 0.25) + turn
            capacity = np.where(~sells & (fleet > 0), fleet * HORIZON_DAYS / days_out, np.nan)
            usual = (np.nan_to_num(rented) + np.nan_to_num(sold)) * HORIZON_DAYS / 364
            season = np.where((usual > 0) & self._old_enough(rows), units / usual, np.nan)
        return Market(
            price_cents=price, baseline_cents=base, unit_cost_cents=unit_cost, units=units,
            units_low=low, units_high=high, capacity_units=capacity,
            evidence=known[:, 0].astype(np.int64), elasticity=known[:, 1],
            elasticity_low=known[:, 2], elasticity_high=known[:, 3], seen_low_cents=known[:, 5],
            seen_high_cents=known[:, 6], season=season, utilisation=busy, grade=self._grade(rows),
            market_cents=market, testing=testing, recent=recent,
        )  # fmt: skip

    def _changed_lately(self, row: Price) -> bool:
        """Whether units still are those of another price."""
        another = row.before_cents > 0 and not same(row.before_cents, row.price_cents)
        lately = self._sources.now_ms - row.since_ms < RECENT_DAYS * DAY_MS
        return lately and (row.decided or another)

    def _features(self, rows: Ints) -> Floats:
        return catalog.matrix(self._state, "class", rows, FEATURES).astype(np.float64)

    def _units(self, rows: Ints) -> tuple[Floats, Floats, Floats]:
        """(units, low, high) float64[n] of the next 28 days."""
        said = self.demand.said(rows, HORIZON_DAYS)
        known = np.isfinite(said.mean).any(axis=1)
        units = np.where(known, np.nansum(said.mean, axis=1), np.nan)
        below = np.sqrt(np.nansum(said.week_low**2, axis=1))
        above = np.sqrt(np.nansum(said.week_high**2, axis=1))
        told = known & np.isfinite(said.week_low).all(axis=1) & (above + below > 0)
        low = np.where(told, np.maximum(units - below, 0.0), np.nan)
        return units, low, np.where(told, units + above, np.nan)

    def _beliefs(self, rows: Ints) -> Floats:
        """float64[n, 7]: :data:`BELIEFS`, then :data:`SEEN`; evidence 0 where the model is silent."""
        out = np.full((len(rows), len(BELIEFS) + len(SEEN)), np.nan)
        out[:, 0] = 0.0
        slot = self.slot
        if slot is None or slot.active is None or slot.shown is None:
            return out
        model = slot.active
        mine = np.flatnonzero(slot.shown.held(rows) & (slot.shown.by[rows] == model.number))
        names = [column.name for column in model.manifest.columns]
        for i, name in enumerate(BELIEFS):
            if name in names:
                out[mine, i] = slot.shown.values[rows[mine], names.index(name)]
        out[:, 0] = np.rint(np.nan_to_num(out[:, 0]))
        if model.side is not None and set(SEEN) <= set(model.manifest.side):
            at = [model.manifest.side.index(name) for name in SEEN]
            side = self._sides(rows[mine], model)
            known = side >= 0
            out[mine[known], len(BELIEFS) :] = model.side.values[side[known]][:, at]
        return out

    def _sides(self, rows: Ints, model: Loaded) -> Ints:
        """int64[n]: rows of the model's constants, looked up once a class; -1: it knows none."""
        assert model.side is not None
        if self._side_by != model.number:
            self._side_by = model.number
            self._side_whose[:] = 0
        hashes, key = self._state.cls.keys.hashes, self._state.cls.keys.key
        for row in rows[self._side_whose[rows] != hashes[rows]].tolist():
            self._side_of[row] = model.side.row_of.get(key(row), -1)
            self._side_whose[row] = hashes[row]
        return self._side_of[rows].astype(np.int64)

    def beliefs(self, rows: Ints) -> Floats:
        """The same, for tables."""
        return self._beliefs(rows)

    def _grade(self, rows: Ints) -> Floats:
        now_ms = self._sources.now_ms
        if now_ms - self._grades_ms >= GRADES_EVERY_MS or len(self._grades) <= rows.max(initial=0):
            col = self._state.item.col
            items = self._state.item.keys.live()
            kept = (col["class_row"][items] >= 0) & (col["grade"][items] > 0)
            items = items[kept & (col["retired"][items] == 0)]
            of, size = col["class_row"][items], self._state.cls.keys.limit
            total = np.bincount(of, col["grade"][items].astype(np.float64), size)
            many = np.bincount(of, minlength=size)
            self._grades = np.where(many > 0, total / np.maximum(many, 1), np.nan)
            self._grades_ms = now_ms
        return np.asarray(self._grades[rows], np.float64)

    def _old_enough(self, rows: Ints) -> NDArray[np.bool_]:
        """bool[n]: whether units moved before the last :data:`SEASON_AGE_DAYS` days."""
        before = np.zeros(len(rows))
        for name in ("rented_milli", "sold_milli"):
            ring = self._state.cls.part[name]
            assert isinstance(ring, DayRing)
            before += ring.series(rows, 364)[: 364 - SEASON_AGE_DAYS].sum(axis=0)
        return before > 0
