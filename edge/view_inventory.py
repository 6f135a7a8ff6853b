"""What readers are told of stock: positions, what to order, fleets, and what orders are worth.

Plans are made for all classes now and then, and again for those whose stock, orders or terms
changed: in slices (``due``), by whoever asks next. Answers read the columns that stand. Nothing
here awaits; what is likely or best is ``edge.services.inventory``'s word.
"""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.commands import Propose
from edge.decisions.deeds import safeguards
from edge.decisions.rows import Decision
from edge.decisions.transitions import OPEN
from edge.features.business import class_key
from edge.inference.codes import CODES
from edge.ledger.catalogue import CatalogueClass
from edge.ledger.suppliers import Supplier, Supply
from edge.services import budget, inventory, lead_time, stock_position
from edge.services.counts import Floats
from edge.services.inventory import MEDIUM, PRIORITIES, Plan, Terms, Worth
from edge.services.lead_time import EVIDENCE, KNOTS, MODEL, SIMPLE, UNKNOWN, Curve
from edge.services.stock_position import Position
from edge.view_basis import Basis, Sources, why_empty
from edge.view_inventory_types import (
    Recommendation,
    Recommendations,
    StockRow,
    SupplierTotal,
)
from edge.view_stock_columns import (
    COST_SOURCES,
    Coming,
    Watch,
    abc_of,
    bought,
    days_of,
    is_rental,
    key_of,
    live_rows,
    on_hand_of,
    position_of,
    rows_named,
    use_of,
    wanted,
)

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DAY_MS = 86_400_000
SLICE_ROWS = 128
"""Classes in one slice of planning."""
NO_ROWS: Ints = np.zeros(0, np.int64)
PLAN_MS = 900_000
"""So long a plan stands whose inputs did not change, milliseconds."""
CHECK_MS = 1_000
"""So often the stock of all classes is compared with what its plan was made for, milliseconds."""
FEW = 64
"""Changed classes for whose plan an answer waits."""
EARLY, MIDDLE = 0.1, 0.5
"""Chances of having run out by the days that are told."""
CANDIDATES = 256
"""Orders that are weighed against each other under a budget, those with the best returns."""
RAISED_TRIED = 3
"""Classes of a supplier that are tried to be raised to its smallest order, the most urgent first."""
NEITHER, TOGETHER, RAISED, WAITS = 0.0, 1.0, 2.0, 3.0
"""What the smallest order of a supplier does to a suggestion: column ``short``."""
STEPS = 6
FORMULA = (
    "lead-time demand: models, else the class's own days, else mean and deviation of a day; "
    "reorder point: its quantile; quantity: EOQ in packs; rentals: Erlang's loss with Hayward's peakedness"
)

NO_CLASS = (
    "Nothing was told of any class yet: POST /api/inventory puts one in, and so does its first sale,"
    " rental, scan or count."
)

R = TypeVar("R", bound=Struct)


@dataclass
class Columns:
    """What stands of every class, by row of the state; float64 unless said otherwise."""

    limit: int
    whose: NDArray[np.uint64] = field(init=False)
    planned_ms: Ints = field(init=False)
    of: dict[str, Floats] = field(init=False)
    """Name -> float64[limit]; see ``_NAMES``."""
    suppliers: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.whose = np.zeros(self.limit, np.uint64)
        self.planned_ms = np.zeros(self.limit, np.int64)
        self.of = {name: np.full(self.limit, np.nan) for name in _NAMES}

    def put(self, rows: Ints, told: dict[str, Any]) -> None:
        """Keep columns of ``rows``."""
        for name, values in told.items():
            self.of[name][rows] = values

    def take(self, kind: type[Any], rows: Ints) -> Any:
        """A dataclass of columns whose names are kept."""
        return kind(**{f.name: self.of[f.name][rows] for f in fields(kind)})


_POSITION = tuple(f.name for f in fields(Position))
_TERMS = tuple(f.name for f in fields(Terms))
_PLAN = tuple(f.name for f in fields(Plan))
_CURVE = tuple(f"{what}_{days}" for what in ("mean", "variance") for days in KNOTS)
_REST = (
    *(
        "owned",
        "cost_source",
        "fixed_point",
        "abc",
        "xyz",
        "pattern",
        "revenue_cents",
        "known_days",
    ),
    *("chance_short", "cover_days", "suggested", "priority", "early_days", "middle_days"),
    *("value", "gain", "roi", "chance", "span"),
    *("wish", "short", "together", "minimum"),
)
_NAMES = (*_POSITION, *_TERMS, *_PLAN, *_CURVE, *_REST)

SORTS: dict[str, str] = {
    "current_stock": "on_hand",
    "on_rent": "on_rent",
    "on_order": "on_order",
    "reserved": "reserved",
    "position": "position",
    "reorder_point": "reorder_point",
    "suggested_order_qty": "suggested",
    "chance_of_stockout": "chance_short",
    "cover_days": "cover_days",
    "daily_demand": "rate",
    "priority": "priority",
    "order_cents": "value",
    "expected_gain_cents": "gain",
    "roi": "roi",
    "confidence": "chance",
    "stockout_days": "middle_days",
    "revenue_cents": "revenue_cents",
    "row": "row",
}
"""Field to sort by -> column."""


class InventoryView:
    """Keeps plans of all classes and answers from them."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state
        self._ledger = sources.core.ledger
        self.terms = sources.config.inventory
        """What holds where nobody told other terms."""
        self.columns = Columns(self._state.cls.keys.limit)
        self.coming = Coming()
        self._watch = Watch()
        self._dirty: set[int] = set()
        self._all_dirty = True
        self._full_ms = 0
        self._checked_ms = -CHECK_MS
        self._version = -1
        self._drift = lead_time.DRIFT
        self._moved, self._moved_classes = 0.0, 0
        self._reached: dict[tuple[str, str], bytes] = {}
        self._steps: tuple[Floats, Ints, inventory.Steps] | None = None
        self.busy = False
        """Whether somebody is planning."""
        self.ready = False
        """Whether every class had a plan once."""
        self.by_command = False
        """Whether what was due last was due because somebody changed terms or orders."""
        self.asked_ms = 0
        """When plans were last asked for; kept by who asks."""

    # -- planning -------------------------------------------------------------------------------

    def due(self) -> tuple[int, Iterator[None]] | None:
        """(classes, slices of work) that bring the plans up to date; ``None``: they are, or somebody
        is at it."""
        if self.busy:
            return None
        now_ms = self._sources.now_ms
        if self._version != self._ledger.version:
            self._version = self._ledger.version
            self._look_at_ledger()
        told = bool(self._all_dirty or self._dirty)  # terms and orders: who changed them looks next
        if self.ready and not told and now_ms < self._checked_ms + CHECK_MS:
            return None
        self._checked_ms, self.by_command = now_ms, told
        rows, moved = self.changed()
        if not len(rows) and not len(moved):
            self._dirty.clear()  # of classes that are gone
            self.ready = True
            return None
        whole = len(rows) == len(live_rows(self._state))
        return len(rows) + len(moved), self.planning(rows, whole, moved)

    def changed(self) -> tuple[Ints, Ints]:
        """int64[n] each: rows whose plan does not hold any more; rows whose stock alone moved."""
        rows = live_rows(self._state)
        if self._all_dirty or self._sources.now_ms >= self._full_ms + PLAN_MS:
            return rows, rows[:0]
        stale = self.columns.whose[rows] != self._state.cls.keys.hashes[rows]
        if self._dirty:
            stale |= np.isin(rows, list(self._dirty))
        moved = np.zeros(len(rows), np.bool_)
        now = position_of(self._state, rows, self.coming)
        for name in _POSITION:
            moved |= self.columns.of[name][rows] != getattr(now, name)
        return rows[stale], rows[moved & ~stale]

    def _look_at_ledger(self) -> None:
        skus = self._watch.changed(self._ledger)
        self._all_dirty |= skus is None
        self._dirty |= set(rows_named(self._state, skus or ()).tolist())
        for sku, store in self.coming.refresh(self._ledger):
            row = self._state.cls.keys.get(class_key(store, sku))
            if row >= 0:
                self._dirty.add(row)

    def planning(self, rows: Ints, whole: bool = False, moved: Ints = NO_ROWS) -> Iterator[None]:
        """Plan ``rows`` anew, some at a time; the state may go on between two slices.

        ``whole``: they were all there were. ``moved``: rows whose plan holds; their stock is held
        against it anew.
        """
        self.busy = True
        try:
            begun_ms = self._sources.now_ms
            if whole:
                self._all_dirty = False
                self._moved, self._moved_classes = 0.0, 0
            for start in range(0, len(rows), SLICE_ROWS):
                yield from self._slice(rows[start : start + SLICE_ROWS])
            for start in range(0, len(moved), SLICE_ROWS):
                yield from self._moved_slice(moved[start : start + SLICE_ROWS])
            yield from self._reach_minimums()
            if whole:
                self._full_ms, self.ready = begun_ms, True
                self._drift = lead_time.drift_of(self._moved, self._moved_classes)
            if len(rows):
                self._rank()  # among all, whoever of them was planned
        finally:
            self.busy = False

    def _slice(self, rows: Ints) -> Generator[None, None, None]:
        state, made = self._state, self.columns
        rows = rows[state.cls.keys.hashes[rows] != 0]
        if not len(rows):
            return
        self._dirty -= set(rows.tolist())
        whose = state.cls.keys.hashes[rows].copy()
        days = days_of(state, rows)
        yield
        rental = is_rental(state, self._ledger, rows, days)
        terms = bought(state, self._ledger, rows, rental, self.terms)
        yield
        asked = wanted(state, self._sources.scorer, rows, days, self._drift)
        yield
        moved, classes = lead_time.drift_seen(days.moved)
        self._moved += moved
        self._moved_classes += classes
        use, owned = use_of(state, rows, days, rental, terms.turn_days)
        yield
        plan = yield from inventory.planning(
            asked.curve, asked.evidence, terms.terms, rental, use, owned
        )
        by_hand = np.isfinite(terms.fixed_point)
        plan = _with_points(plan, terms.fixed_point)
        yield
        self._keep(rows, whose, terms.terms, plan, asked.curve)
        letters = {"abc": asked.abc, "xyz": asked.xyz, "pattern": asked.pattern}
        unknown = asked.evidence == UNKNOWN
        made.put(
            rows,
            {
                "owned": owned,
                "cost_source": terms.cost_source,
                "fixed_point": by_hand,
                "known_days": lead_time.known_days(days.moved),
                "revenue_cents": np.nansum(days.revenue_cents, axis=0),
                **{name: np.where(unknown, np.nan, of) for name, of in letters.items()},
            },
        )
        made.suppliers |= dict(zip(rows.tolist(), terms.supplier, strict=True))
        yield from self._stand(rows)

    def _moved_slice(self, rows: Ints) -> Generator[None, None, None]:
        rows = rows[self.columns.whose[rows] == self._state.cls.keys.hashes[rows]]
        if len(rows):
            self.columns.planned_ms[rows] = self._sources.now_ms
            yield from self._stand(rows)

    def _keep(
        self, rows: Ints, whose: NDArray[np.uint64], terms: Terms, plan: Plan, curve: Curve
    ) -> None:
        made = self.columns
        made.whose[rows] = whose
        made.planned_ms[rows] = self._sources.now_ms
        made.put(rows, {name: getattr(terms, name) for name in _TERMS})
        made.put(rows, {name: getattr(plan, name) for name in _PLAN})
        told = np.concatenate([curve.mean, curve.variance], axis=1)
        made.put(rows, {name: told[:, i] for i, name in enumerate(_CURVE)})

    def _stand(self, rows: Ints) -> Generator[None, None, None]:
        """Hold the present stock against the plan of ``rows``."""
        made = self.columns
        now = position_of(self._state, rows, self.coming)
        plan, terms, curve, owned = self.parts(rows)
        stands = inventory.stand(plan, curve, terms, now, owned)
        yield
        worth = yield from self._weighed(plan, curve, terms, now, owned, stands.suggested)
        yield
        arrivals = self.coming.arrivals(
            self._state, rows, self._sources.now_ms, made.of["lead_days"][rows]
        )
        days = np.full((2, len(rows)), np.nan)
        told = np.flatnonzero(~plan.rental & (plan.evidence != UNKNOWN))
        for part in np.array_split(told, max(len(told) // (SLICE_ROWS // 2), 1)):
            twice = np.concatenate([part, part])
            days[:, part] = stock_position.run_out(
                curve.rows(twice),
                now.available[twice],
                [(at[twice], units[twice]) for at, units in arrivals],
                np.repeat((EARLY, MIDDLE), len(part)),
            ).reshape(2, -1)
            yield
        made.put(rows, {name: getattr(now, name) for name in _POSITION})
        made.put(
            rows,
            {
                "chance_short": stands.chance_short,
                "cover_days": stands.cover_days,
                "suggested": stands.suggested,
                "priority": stands.priority,
                "early_days": days[0],
                "middle_days": days[1],
                "value": worth.cost,
                "gain": np.where(stands.suggested > 0, worth.gain, np.nan),
                "roi": np.where(stands.suggested > 0, worth.roi, np.nan),
                "chance": np.where(plan.evidence == UNKNOWN, np.nan, worth.chance),
                "span": worth.days,
                "wish": stands.suggested,
                "short": NEITHER,
            },
        )

    def _reach_minimums(self) -> Generator[None, None, None]:
        """Hold what is to be ordered from each supplier for a store against its smallest order."""
        rows = self.rows()
        least = {
            row.supplier: float(row.minimum_cents)
            for row in self._ledger.rows(Supplier).values()
            if row.minimum_cents > 0
        }
        groups: dict[tuple[str, str], list[int]] = {}
        if least:
            for row in self.needed(rows).tolist():
                name = self.columns.suppliers.get(row, "")
                if name in least:
                    groups.setdefault((name, key_of(self._state, row)[1]), []).append(row)
        held = [row for members in groups.values() for row in members]
        yield from self._let_go(rows[~np.isin(rows, held)])
        reached: dict[tuple[str, str], bytes] = {}
        for key, members in groups.items():
            some = np.array(members, np.int64)
            if self._reached.get(key) != self._group(some, least[key[0]]):
                yield from self._let_go(some)
                yield from self._reach(some, least[key[0]])
                yield
            reached[key] = self._group(some, least[key[0]])
        self._reached = reached

    def _group(self, rows: Ints, minimum: float) -> bytes:
        """What a supplier's suggestions for a store are; equal: nothing changed."""
        columns = [
            self.columns.of[name][rows] for name in ("wish", "suggested", "cost", "roi", "short")
        ]
        return np.stack([rows, *columns, np.full(len(rows), minimum)]).tobytes()

    def _let_go(self, rows: Ints) -> Generator[None, None, None]:
        """Put suggestions back to what the stock alone asks for."""
        short = self.columns.of["short"]
        raised = rows[short[rows] == RAISED]
        for start in range(0, len(raised), SLICE_ROWS):
            yield from self._stand(raised[start : start + SLICE_ROWS])
        short[rows] = NEITHER

    def _reach(self, rows: Ints, minimum: float) -> Generator[None, None, None]:
        """One supplier's suggestions for a store: enough together, or one raised, or all wait."""
        of = self.columns.of
        total = float(of["value"][rows].sum())
        self.columns.put(rows, {"together": total, "minimum": minimum})
        if not total < minimum:  # enough, or a cost is not known
            of["short"][rows] = TOGETHER
            return
        best = np.lexsort((rows, -np.nan_to_num(of["roi"][rows]), -of["priority"][rows]))
        for row in rows[best][:RAISED_TRIED].tolist():
            lacking = math.ceil((minimum - total) / of["cost"][row] / of["pack"][row] - 1e-9)
            units = float(of["suggested"][row] + lacking * of["pack"][row])
            found = yield from self._raised(np.array([row], np.int64), units)
            if found is not None:
                self.columns.put(np.array([row], np.int64), found)
                of["short"][rows] = TOGETHER
                of["short"][row] = RAISED
                return
        of["short"][rows] = WAITS

    def _raised(self, row: Ints, units: float) -> Generator[None, None, dict[str, Any] | None]:
        """Columns of an order of more units than the stock asks for; ``None``: better to wait."""
        plan, terms, curve, owned = self.parts(row)
        limit = safeguards(self._ledger).restock_max_cents
        if units * terms.cost[0] > limit:
            return None
        if not plan.rental[0] and not units <= plan.rate[0] * self.terms.minimum_cover_days:
            return None
        now = position_of(self._state, row, self.coming)
        worth = yield from inventory.weighing(plan, curve, terms, now, owned, np.array([units]))
        if not worth.gain[0] > 0:
            return None
        told = {"value": worth.cost, "gain": worth.gain, "roi": worth.roi, "span": worth.days}
        return {**told, "chance": worth.chance, "suggested": units}

    @staticmethod
    def _weighed(
        plan: Plan, curve: Curve, terms: Terms, now: Position, owned: Floats, units: Floats
    ) -> Generator[None, None, Worth]:
        """What the suggested orders are worth; of classes without one there is nothing to weigh."""
        k = len(units)
        found = Worth(*(np.full(k, value) for value in (0.0, np.nan, np.nan, 0.0, np.nan)))
        at = np.flatnonzero(units > 0)
        if not len(at):
            return found
        some = [_some(part, at) for part in (plan, terms, now)]
        told = yield from inventory.weighing(
            some[0], curve.rows(at), some[1], some[2], owned[at], units[at]
        )
        for column in fields(Worth):
            getattr(found, column.name)[at] = getattr(told, column.name)
        return found

    def _rank(self) -> None:
        """ABC of all classes at once, where no model said it."""
        rows = live_rows(self._state)
        letters = abc_of(self.columns.of["revenue_cents"][rows])
        own = ~np.isin(self.columns.of["evidence"][rows], (MODEL, UNKNOWN))
        self.columns.of["abc"][rows[own]] = letters[own]

    def parts(self, rows: Ints) -> tuple[Plan, Terms, Curve, Floats]:
        """(plan, terms, curve, units owned) of ``rows`` as they stand."""
        made = self.columns
        told: dict[str, Any] = {name: made.of[name][rows] for name in _PLAN}
        told["rental"] = told["rental"] == 1
        told["evidence"] = np.nan_to_num(told["evidence"]).astype(np.int64)
        columns = np.stack([made.of[name][rows] for name in _CURVE], axis=1)
        curve = Curve(columns[:, : len(KNOTS)], columns[:, len(KNOTS) :])
        return Plan(**told), made.take(Terms, rows), curve, made.of["owned"][rows]

    # -- rows -----------------------------------------------------------------------------------

    def rows(self, *, store: str | None = None, category: str | None = None) -> Ints:
        """int64[n]: rows that have a plan, of a store and a category."""
        rows = live_rows(self._state)
        rows = rows[self.columns.whose[rows] == self._state.cls.keys.hashes[rows]]
        return self._of_place(rows, store, category)

    def _of_place(self, rows: Ints, store: str | None, category: str | None) -> Ints:
        if store is not None:
            of = self._state.store.keys.get(store)
            rows = rows[(self._state.cls.col["store_row"][rows] == of) & (of >= 0)]
        if category is not None:
            wanted_category = category.casefold()
            text = self._state.cls.text["category"]
            same = [text.get(r, "").casefold() == wanted_category for r in rows.tolist()]
            rows = rows[np.array(same, np.bool_)]
        return np.asarray(rows, np.int64)

    def values(self, rows: Ints, sort: str) -> Floats:
        """float64[n]: the column that ``SORTS`` names."""
        name = SORTS[sort]
        of = self.columns.of
        if name == "row":
            return rows.astype(np.float64)
        if name == "position":
            return of["on_hand"][rows] + of["on_order"][rows] - of["reserved"][rows]
        found = of[name][rows]
        return np.where(np.isinf(found), np.nan, found)

    def needed(self, rows: Ints) -> Ints:
        """Of ``rows`` those with something to order."""
        return rows[self.columns.of["suggested"][rows] > 0]

    def low(self, rows: Ints) -> Ints:
        """Of ``rows`` those at or below their reorder point, rentals with too small a fleet."""
        of = self.columns.of
        position = of["on_hand"][rows] + of["on_order"][rows] - of["reserved"][rows]
        below = position <= of["reorder_point"][rows]
        short = of["owned"][rows] + of["on_order"][rows] < of["reorder_point"][rows]
        asked = (of["rate"][rows] > 0) | (of["fixed_point"][rows] == 1)
        return rows[np.where(of["rental"][rows] == 1, short, below & asked)]

    def known(self, store: str | None, category: str | None) -> Ints:
        """int64[n]: rows of every class of a store and a category, planned or not."""
        rows = live_rows(self._state)
        return self._of_place(rows, store, category)

    def why_none(self, words: str = "") -> tuple[tuple[bool, str], ...]:
        """Reasons why a list of classes is empty, for ``why_empty``; ``words`` where some are known."""
        return ((not len(live_rows(self._state)), NO_CLASS), (bool(words), words))

    def none_of(self, rows: Ints, what: str) -> str:
        """That none of ``rows`` is or does what the list is of; empty: there is no such class at all."""
        unknown = int((self.columns.of["evidence"][rows] == UNKNOWN).sum())
        more = f"; of {unknown} nothing is known of what is asked for, see why_unknown in /api/inventory"
        return f"None of {len(rows)} classes {what}{more * bool(unknown)}." if len(rows) else ""

    def labels(self, rows: Ints) -> list[str]:
        """SKU and name of ``rows`` in lower case, for searching."""
        text = self._state.cls.text["name"]
        return [
            f"{key_of(self._state, row)[0]}\n{text.get(row, '')}".casefold()
            for row in rows.tolist()
        ]

    def on_hand(self, rows: Ints) -> Floats:
        """float64[n]: units in the store now."""
        return on_hand_of(self._state, rows)

    def idle_days(self, rows: Ints) -> Floats:
        """float64[n]: days since a unit was sold, rented or received; NaN: never seen to."""
        col = self._state.cls.col
        moved = np.maximum(col["last_sale_ms"][rows], col["last_rental_ms"][rows])
        newest_ms = np.maximum(moved, col["last_receipt_ms"][rows])
        idle = np.maximum(self._sources.now_ms - newest_ms, 0) / DAY_MS
        return np.where(newest_ms > 0, idle, np.nan)

    def of(self, row: StockRow, name: str) -> float:
        """One value of a class's plan."""
        return float(self.columns.of[name][self.row(row.sku, row.store)])

    @staticmethod
    def words(row: StockRow) -> str:
        """Why a class should be ordered."""
        return "; ".join(reasons(row))

    def row(self, sku: str, store: str) -> int:
        """Row of a class that has a plan; -1: it has none."""
        row = self._state.cls.keys.get(class_key(store, sku))
        if row < 0 or self.columns.whose[row] != self._state.cls.keys.hashes[row]:
            return -1
        return int(row)

    def told(self, rows: Ints) -> list[StockRow]:
        """Rows for people, of ``rows``."""
        now = position_of(self._state, rows, self.coming)
        of = {name: self.columns.of[name][rows].tolist() for name in (*_TERMS, *_PLAN, *_REST)}
        of |= {name: getattr(now, name).tolist() for name in _POSITION}
        of["stock_position"] = now.position.tolist()
        known = self._state.stock_known(rows).tolist()
        told = (dict(zip(of, values, strict=True)) for values in zip(*of.values(), strict=True))
        return [self._told(*row) for row in zip(rows.tolist(), told, known, strict=True)]

    def _told(self, row: int, told: dict[str, float], known: bool) -> StockRow:
        sku, store = key_of(self._state, row)
        text = self._state.cls.text
        rental = told["rental"] == 1
        suggested = _number(told["suggested"])
        return StockRow(
            product_id=sku,
            sku=sku,
            store=store,
            name=text["name"].get(row, ""),
            category=text["category"].get(row, ""),
            kind="rental" if rental else "sale",
            current_stock=told["on_hand"],
            on_rent=told["on_rent"],
            in_service=told["in_service"],
            reserved=told["reserved"],
            on_order=told["on_order"],
            position=told["stock_position"],
            owned=_number(told["owned"]),
            reorder_point=_number(told["reorder_point"]),
            reorder_point_by_hand=told["fixed_point"] == 1,
            safety_stock=_number(told["safety_stock"]),
            suggested_order_qty=suggested,
            waits=told["short"] == WAITS,
            minimum_note=_minimum_note(told, self.columns.suppliers.get(row, "")),
            order_quantity=_number(told["order_units"]),
            eoq=_number(told["eoq"]),
            lead_time_days=round(told["lead_days"], 2),
            lead_time_sd_days=round(told["lead_sd"], 2),
            service_level=told["level"],
            daily_demand=_number(told["rate"], 4),
            lead_time_demand=_number(told["lead_mean"]),
            chance_of_stockout=_number(told["chance_short"], 4),
            cover_days=_number(told["cover_days"], 1),
            estimated_stockout_date=self._date(told["middle_days"]),
            early_stockout_date=self._date(told["early_days"]),
            fill_rate=_number(told["fill_rate"], 4),
            priority=None if suggested is None else PRIORITIES[int(told["priority"])],  # type: ignore[arg-type]
            order_cents=whole_cents(told["value"]),
            expected_gain_cents=whole_cents(told["gain"]),
            roi=_number(told["roi"], 4),
            confidence=_number(told["chance"], 4),
            unit_cost_cents=whole_cents(told["cost"]),
            cost_source=COST_SOURCES[int(told["cost_source"])],  # type: ignore[arg-type]
            price_cents=whole_cents(told["price"]),
            supplier=self.columns.suppliers.get(row, ""),
            evidence=EVIDENCE[int(told["evidence"])],  # type: ignore[arg-type]
            why_unknown=_why_unknown(told["evidence"], told["known_days"]),
            stock_known=known,
            abc=_letter("abc", told["abc"]),
            xyz=_letter("xyz", told["xyz"]),
            pattern=_letter("pattern", told["pattern"]),
            requests_a_day=_number(told["requests"], 4),
            peakedness=_number(told["peakedness"], 3),
        )

    def _date(self, days: float) -> str | None:
        if not math.isfinite(days):
            return None
        day = self._state.days.day(self._sources.now_ms) + int(days)
        return str(np.datetime64(day, "D"))

    def basis(self, rows: Ints | None = None) -> Basis:
        """Who spoke; ``rows``: of these."""
        basis = self._sources.of_service("inventory")
        if rows is None:
            rows = self.rows()
        evidence = self.columns.of["evidence"][rows]
        if len(rows) and not (evidence == MODEL).any():
            basis.version, basis.kind = "", "computed"
        basis.rule = FORMULA
        if len(rows):
            basis.fallback = bool(np.isin(evidence, (SIMPLE, UNKNOWN)).any())
        planned_ms = self.columns.planned_ms[rows]
        basis.as_of_ms = int(planned_ms.min()) if len(rows) else self._sources.now_ms
        return basis

    def counted(self) -> Basis:
        """The basis of rows that people put here."""
        return self._sources.counted()

    @property
    def now_ms(self) -> int:
        """The moment the state stands for."""
        return self._sources.now_ms

    def rows_of(self, kind: type[R]) -> list[R]:
        """Rows of the ledger that are in memory."""
        return list(self._ledger.rows(kind).values())

    def answered(self, key: str) -> str | None:
        """What a command with this key was answered, JSON; ``None``: there was none."""
        found = self._ledger.answered.get(key)
        return found[2] if found is not None else None

    def terms_naming(self, supplier: str) -> int:
        """How many terms name a supplier."""
        return len(self._ledger.by(Supply, "supplier", supplier))

    def name(self, sku: str, store: str) -> str:
        """Name of a class; empty: not known."""
        row = self._state.cls.keys.get(class_key(store, sku))
        listed = self._ledger.get(CatalogueClass, sku)
        return self._state.cls.text["name"].get(row, "") or (listed.name if listed else "")

    def by_supplier(self, rows: Ints) -> list[SupplierTotal]:
        """What is suggested of ``rows``, supplier by supplier, the most money first."""
        value = np.nan_to_num(self.columns.of["value"][rows]).tolist()
        waits = (self.columns.of["short"][rows] == WAITS).tolist()
        totals: dict[str, tuple[int, float, bool]] = {}
        for row, cents, short in zip(rows.tolist(), value, waits, strict=True):
            name = self.columns.suppliers.get(row, "")
            classes, sum_cents, before = totals.get(name, (0, 0.0, False))
            totals[name] = classes + 1, sum_cents + cents, before or short
        made = []
        for name, (classes, cents, short) in totals.items():
            known = self._ledger.get(Supplier, name) if name else None
            minimum = known.minimum_cents if known is not None else 0
            made.append(
                SupplierTotal(
                    supplier=name,
                    classes=classes,
                    value_cents=round(cents),
                    minimum_cents=minimum,
                    below_minimum=short,
                )
            )
        return sorted(made, key=lambda total: (-total.value_cents, total.supplier))

    # -- money ------------------------------------------------------------------------------------

    def recommending(
        self, rows: Ints, budget_cents: int | None, limit: int
    ) -> Generator[None, None, Recommendations]:
        """What to buy of ``rows`` first, the best ``limit`` told; in slices."""
        of = self.columns.of
        none = self.none_of(rows, "is to be ordered now")
        rows = self.needed(rows)
        known = np.isfinite(of["roi"][rows])
        basis, unknown = self.basis(rows), int((~known).sum())
        rows = rows[known & (of["gain"][rows] > 0)]
        order = np.lexsort((rows, -of["roi"][rows]))
        rows = rows[order]
        total = float(of["value"][rows].sum())
        if budget_cents is None or budget_cents >= total:
            units, cost = of["suggested"][rows], of["value"][rows]
            gain, cut = of["gain"][rows], np.zeros(len(rows), np.bool_)
        else:
            units, cost, gain, cut = yield from self._within(rows, budget_cents)
        yield
        told = self._recommended(rows, (units, cost, gain), limit)
        pays = f"No order pays: of {unknown} the gain is not known, for want of a cost or a price."
        small = f"The budget is too small for any of {len(rows)} orders."
        why = (
            *self.why_none(none * (not unknown and not len(rows))),
            (not len(rows), pays),
            (True, small),
        )
        return Recommendations(
            basis=basis,
            budget_cents=budget_cents,
            spent_cents=round(float(cost.sum())),
            gain_cents=round(float(gain.sum())),
            wanted_cents=round(total),
            orders=int((units > 0).sum()),
            left_out=int(cut.sum()),
            not_weighed=unknown,
            recommendations=told,
            why_empty=why_empty(told, *why),
        )

    def _within(
        self, rows: Ints, budget_cents: int
    ) -> Generator[None, None, tuple[Floats, Floats, Floats, Bools]]:
        weighed = rows[:CANDIDATES]
        taken, cost, gain = yield from self._stepped(weighed)
        share = budget.allocate(cost, gain, float(budget_cents))
        k = len(rows)
        units, spent, gained = np.zeros(k), np.zeros(k), np.zeros(k)
        cut = np.ones(k, np.bool_)
        first = np.arange(STEPS) < share.steps[:, None]
        units[: len(weighed)] = np.where(first, np.nan_to_num(taken), 0.0).sum(axis=1)
        spent[: len(weighed)], gained[: len(weighed)] = share.spent, share.gain
        cut[: len(weighed)] = share.cut
        return units, spent, gained, cut

    def _stepped(self, rows: Ints) -> Generator[None, None, inventory.Steps]:
        """The orders of ``rows`` cut into steps; kept until one of them changes."""
        now = np.stack([rows, *(self.columns.of[name][rows] for name in (*_POSITION, "suggested"))])
        planned = self.columns.planned_ms[rows]
        if self._steps is not None:
            before, planned_before, found = self._steps
            if np.array_equal(before, now) and np.array_equal(planned_before, planned):
                return found
        parts = []
        for start in range(0, len(rows), SLICE_ROWS):
            part = rows[start : start + SLICE_ROWS]
            plan, terms, curve, owned = self.parts(part)
            found = yield from inventory.stepping(
                plan,
                curve,
                terms,
                self.columns.take(Position, part),
                owned,
                self.columns.of["suggested"][part],
                STEPS,
            )
            parts.append(found)
        taken, cost, gain = (np.concatenate(told) for told in zip(*parts, strict=True))
        self._steps = now, planned, (taken, cost, gain)
        return taken, cost, gain

    def _recommended(
        self, rows: Ints, found: tuple[Floats, Floats, Floats], limit: int
    ) -> list[Recommendation]:
        units, cost, gain = found
        taken = np.flatnonzero(units > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            roi = gain / cost
        order = taken[np.lexsort((rows[taken], -roi[taken]))][:limit]
        told = self.told(rows[order])
        return [
            Recommendation(
                rank=n,
                action="expand_fleet" if row.kind == "rental" else "reorder",
                sku=row.sku,
                store=row.store,
                name=row.name,
                units=float(units[i]),
                wanted_units=row.suggested_order_qty or 0.0,
                cost_cents=round(float(cost[i])),
                gain_cents=round(float(gain[i])),
                roi=round(float(roi[i]), 4),
                days=round(float(self.columns.of["span"][rows[i]]), 1),
                confidence=row.confidence or 0.0,
                priority=row.priority or "low",
                supplier=row.supplier,
                why="; ".join(reasons(row)),
            )
            for n, (i, row) in enumerate(zip(order.tolist(), told, strict=True), 1)
        ]

    # -- decisions ----------------------------------------------------------------------------------

    def proposals(self) -> Iterator[Propose | None]:
        """Restocks worth deciding on, for the decisions task."""
        work = self.due()
        if work is not None:
            for _ in work[1]:
                yield None
        needed = self.needed(self.rows())
        for start in range(0, len(needed), FEW):
            for row in self.told(needed[start : start + FEW]):
                if self._worth_proposing(row):
                    yield self.proposal(row, self.within_limit(row))
            yield None

    @staticmethod
    def _worth_proposing(row: StockRow) -> bool:
        gains = row.expected_gain_cents is None or row.expected_gain_cents > 0
        if row.waits:
            return False
        urgent = row.priority is not None and PRIORITIES.index(row.priority) >= MEDIUM
        return gains and urgent and row.order_cents is not None

    def within_limit(self, row: StockRow) -> float:
        """Units of the suggestion that one decision may commit: a larger order would be refused."""
        limit = safeguards(self._ledger).restock_max_cents
        cents, pack = row.unit_cost_cents or 0, self.of(row, "pack")
        units = row.suggested_order_qty or 0.0
        if not cents or units * cents <= limit:
            return units
        fits = math.floor(limit / cents / pack + 1e-9) * pack
        return max(fits, min(pack, units))

    def proposal(self, row: StockRow, units: float) -> Propose:
        """A restock of so many units."""
        cents = row.unit_cost_cents or 0
        confidence, gain_cents, words = row.confidence, row.expected_gain_cents, reasons(row)
        if units != row.suggested_order_qty:
            confidence, gain_cents = self._weigh(row, units)
            if row.suggested_order_qty:
                words.append(
                    f"{row.suggested_order_qty:g} units would be right: this is a part of them"
                )
        data: dict[str, Any] = {"units": units, "supplier": row.supplier}
        if row.cost_source not in ("assumed", "unknown"):
            data["cost_cents"] = cents
        by_model = row.evidence == "model"
        return Propose(
            kind="restock",
            target=row.sku,
            store=row.store,
            period=self._period(row.sku, row.store),
            confidence=confidence or 0.0,
            impact_cents=gain_cents or 0,
            value_cents=round(units * cents),
            data=data,
            reasons=words,
            service="inventory",
            version=self._sources.of_service("inventory").version if by_model else "",
            fallback=row.evidence in ("simple", "unknown"),
        )

    def _weigh(self, row: StockRow, units: float) -> tuple[float | None, int | None]:
        """(confidence, gain in cents) of another number of units than the suggested."""
        rows = np.array([self.row(row.sku, row.store)], np.int64)
        plan, terms, curve, owned = self.parts(rows)
        now = position_of(self._state, rows, self.coming)
        found = inventory.worth(plan, curve, terms, now, owned, np.array([units]))
        return _number(float(found.chance[0]), 4), whole_cents(float(found.gain[0]))

    def _period(self, sku: str, store: str) -> str:
        """This week; with a number once a restock of the week was carried out, so that what is still
        short can be proposed too."""
        week = self._week()
        done = [
            one
            for one in self._ledger.by(Decision, "target", sku)
            if (one.kind, one.store, one.status) == ("restock", store, "executed")
            and not one.dry_run
            and one.period.startswith(week)
        ]
        return f"{week}/{len(done) + 1}" if done else week

    def _week(self) -> str:
        """ISO week of today, such as ``2026-W47``."""
        day = np.datetime64(self._state.days.day(self._sources.now_ms), "D").astype(object)
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02d}"

    def open_decision(self, sku: str, store: str) -> Decision | None:
        """The restock of a class that waits for somebody."""
        for one in self._ledger.by(Decision, "target", sku):
            if one.kind == "restock" and one.store == store and one.status in OPEN:
                return one
        return None


def _some(columns: Any, at: Ints) -> Any:
    """Some rows of a dataclass of columns."""
    return type(columns)(**{f.name: getattr(columns, f.name)[at] for f in fields(columns)})


def _with_points(plan: Plan, fixed: Floats) -> Plan:
    """The plan with reorder points set by hand in the place of computed ones."""
    hand = np.isfinite(fixed)
    if not hand.any():
        return plan
    told = {f.name: getattr(plan, f.name) for f in fields(Plan)}
    told["reorder_point"] = np.where(hand, fixed, plan.reorder_point)
    safety = np.where(plan.rental, np.nan, np.maximum(fixed - plan.lead_mean, 0.0))
    told["safety_stock"] = np.where(hand, safety, plan.safety_stock)
    return Plan(**told)


def reasons(row: StockRow) -> list[str]:
    """Why a class should be ordered, for people, the weightiest first."""
    if row.chance_of_stockout is None:
        made = [f"the position is {row.position:g}, {row.reorder_point:g} were set by hand"]
        made.append(row.why_unknown)
    elif row.kind == "rental":
        made = [f"{row.owned:g} units are owned and {row.on_order:g} on order"]
        if row.reorder_point_by_hand:
            made.append(f"{row.reorder_point:g} were set by hand")
        else:
            enough = f"{row.reorder_point:g} would serve {row.service_level:.0%} of requests"
            made[0] = f"{made[0]}; {enough}"
            made.append(f"{row.chance_of_stockout:.1%} of requests find nothing now")
    else:
        made = [
            f"the position is {row.position:g} units, the reorder point {row.reorder_point:g}",
            f"{row.chance_of_stockout:.0%} chance of running out before an order is there",
        ]
        if row.estimated_stockout_date is not None:
            made.append(f"the stock is likely gone by {row.estimated_stockout_date}")
    if row.evidence == "simple":
        made.append("little is known of its demand: the simple rule speaks")
    if row.minimum_note:
        made.append(row.minimum_note)
    if row.cost_source == "assumed":
        made.append("its cost is not known and taken from its price")
    if not row.stock_known:
        made.append("its stock was never counted: none is taken to be here")
    return made


def _number(value: float, digits: int = 3) -> float | None:
    return round(value, digits) + 0.0 if math.isfinite(value) else None  # no -0.0


def _minimum_note(told: dict[str, float], supplier: str) -> str:
    """What the smallest order of the supplier does to a suggestion."""
    least = f"{supplier} takes no order below {told['minimum'] / 100:,.2f}"
    if told["short"] == WAITS:
        return f"it waits: {least}, all that is suggested comes to {told['together'] / 100:,.2f}"
    if told["short"] == RAISED:
        return f"raised from {told['wish']:g} to {told['suggested']:g} units: {least}"
    if told["short"] == TOGETHER and told["value"] < told["minimum"]:
        return f"{least}: to be ordered together with its other classes"
    return ""


def _why_unknown(evidence: float, days: float) -> str:
    if evidence != UNKNOWN:
        return ""
    return (
        f"nothing is known of its demand: nothing moved on its {days:.0f} whole days with stock;"
        f" from {lead_time.QUIET_DAYS_MIN} such days or the first movement on it is told"
    )


def whole_cents(value: float) -> int | None:
    """An amount of money; ``None``: it is not known."""
    return round(value) if math.isfinite(value) else None


def _letter(column: str, value: float) -> str:
    words = CODES["inventory", column]
    return words[int(value)] if math.isfinite(value) and 0 <= value < len(words) else ""
