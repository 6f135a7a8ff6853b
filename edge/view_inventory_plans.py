"""Plans of stock for all classes, kept as columns and brought up to date in slices. No words, no answers.

Plans are made for all classes now and then, and again for those whose stock, orders or terms
changed (``due``), by whoever asks next. What is likely or best is ``edge.services.inventory``'s word.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.decisions.deeds import safeguards
from edge.features.business import class_key
from edge.inference.manifest import Service
from edge.ledger.suppliers import Supplier
from edge.services import inventory, lead_time, stock_position
from edge.services.counts import Floats
from edge.services.inventory import Plan, Terms, Worth
from edge.services.lead_time import KNOTS, MODEL, UNKNOWN, Curve
from edge.services.stock_position import Position
from edge.view_basis import Sources
from edge.view_stock_columns import (
    Coming,
    Watch,
    abc_of,
    bought,
    days_of,
    is_rental,
    key_of,
    live_rows,
    position_of,
    rows_named,
    use_of,
    wanted,
)

Ints = NDArray[np.int64]

SLICE_ROWS = 128
"""Classes in one slice of planning."""
NO_ROWS: Ints = np.zeros(0, np.int64)
PLAN_MS = 900_000
"""So long a plan stands whose inputs did not change, milliseconds."""
CHECK_MS = 1_000
"""So often the stock of all classes is compared with what its plan was made for, milliseconds."""
EARLY, MIDDLE = 0.1, 0.5
"""Chances of having run out by the days that are told."""
RAISED_TRIED = 3
"""Classes of a supplier that are tried to be raised to its smallest order, the most urgent first."""
NEITHER, TOGETHER, RAISED, WAITS = 0.0, 1.0, 2.0, 3.0
"""What the smallest order of a supplier does to a suggestion: column ``short``."""


@dataclass
class Columns:
    """What stands of every class, by row of the state; float64 unless said otherwise."""

    limit: int
    whose: NDArray[np.uint64] = field(init=False)
    planned_ms: Ints = field(init=False)
    of: dict[str, Floats] = field(init=False)
    """Name -> float64[limit]; see ``_NAMES``."""
    suppliers: dict[int, str] = field(default_factory=dict)
    named: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Name and category that the catalogue gives a class; empty: it does not."""

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


POSITION = tuple(f.name for f in fields(Position))
TERMS = tuple(f.name for f in fields(Terms))
PLAN = tuple(f.name for f in fields(Plan))
_CURVE = tuple(f"{what}_{days}" for what in ("mean", "variance") for days in KNOTS)
REST = (
    *(
        "owned",
        "cost_source",
        "fixed_point",
        "abc",
        "xyz",
        "pattern",
        "revenue_cents",
        "known_days",
        "record_days",
        "record_out",
        "record_fill",
    ),
    *("chance_short", "cover_days", "suggested", "priority", "early_days", "middle_days"),
    *("value", "gain", "roi", "chance", "span"),
    *("wish", "short", "together", "minimum"),
)
_NAMES = (*POSITION, *TERMS, *PLAN, *_CURVE, *REST)


class Plans:
    """Keeps plans of all classes."""

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
        self._speakers = ("", "")
        self._version = -1
        self._drift, self._drift_day = lead_time.DRIFT, -1
        self._reached: dict[tuple[str, str], bytes] = {}
        self.busy = False
        """Whether somebody is planning."""
        self.ready = False
        """Whether every class had a plan once."""
        self.by_command = False
        """Whether what was due last was due because somebody changed terms or orders."""
        self.asked_ms = 0
        """When plans were last asked for; kept by who asks."""

    def due(self) -> tuple[int, Generator[None, None, None]] | None:
        """(classes, slices of work) that bring the plans up to date; ``None``: they are, or somebody
        is at it."""
        if self.busy:
            return None
        now_ms = self._sources.now_ms
        speakers = (self._speaker("inventory"), self._speaker("demand"))
        if speakers != self._speakers:  # another model sees every class with other eyes
            self._speakers, self._all_dirty = speakers, True
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

    def _speaker(self, service: Service) -> str:
        """Version that answers now; empty: a simple rule does."""
        return self._sources.of_service(service).version

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
        # of what was known only by being there it shows now that it comes back
        stale |= (self.columns.of["evidence"][rows] == UNKNOWN) & self._turned(rows, now.on_rent)
        for name in POSITION:
            moved |= self.columns.of[name][rows] != getattr(now, name)
        return rows[stale], rows[moved & ~stale]

    def _turned(self, rows: Ints, on_rent: Floats) -> NDArray[np.bool_]:
        """bool[n]: whether units went out on rent, or came back, since a class was planned."""
        return np.asarray((self.columns.of["on_rent"][rows] > 0) != (on_rent > 0))

    def _look_at_ledger(self) -> None:
        skus = self._watch.changed(self._ledger)
        self._all_dirty |= skus is None
        self._dirty |= set(rows_named(self._state, skus or ()).tolist())
        for sku, store in self.coming.refresh(self._ledger):
            row = self._state.cls.keys.get(class_key(store, sku))
            if row >= 0:
                self._dirty.add(row)

    def planning(
        self, rows: Ints, whole: bool = False, moved: Ints = NO_ROWS
    ) -> Generator[None, None, None]:
        """Plan ``rows`` anew, some at a time; the state may go on between two slices.

        ``whole``: they were all there were. ``moved``: rows whose plan holds; their stock is held
        against it anew.
        """
        self.busy = True
        try:
            begun_ms = self._sources.now_ms
            if whole:
                self._all_dirty = False
                yield from self._measure_drift(rows)
            for start in range(0, len(rows), SLICE_ROWS):
                yield from self._slice(rows[start : start + SLICE_ROWS])
            for start in range(0, len(moved), SLICE_ROWS):
                yield from self._moved_slice(moved[start : start + SLICE_ROWS])
            yield from self._reach_minimums()
            if whole:
                self._full_ms, self.ready = begun_ms, True
            if len(rows):
                self._rank()  # among all, whoever of them was planned
        finally:
            self.busy = False

    def _measure_drift(self, rows: Ints) -> Generator[None, None, None]:
        """How much the means of all classes change, before any is planned with it; once a day, for it is
        made of days that closed."""
        today = self._state.today
        if self._drift_day == today:
            return
        moved, classes = 0.0, 0
        for start in range(0, len(rows), SLICE_ROWS):
            days = days_of(self._state, rows[start : start + SLICE_ROWS])
            yield
            seen, many = lead_time.drift_seen(days.moved)
            moved, classes = moved + seen, classes + many
            yield
        self._drift, self._drift_day = lead_time.drift_of(moved, classes), today

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
        use, owned, record = use_of(state, rows, days, rental, terms.turn_days)
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
                "record_days": record.days,
                "record_out": record.empty_days,
                "record_fill": record.fill_rate,
                "revenue_cents": np.nansum(days.revenue_cents, axis=0),
                **{name: np.where(unknown, np.nan, of) for name, of in letters.items()},
            },
        )
        made.suppliers |= dict(zip(rows.tolist(), terms.supplier, strict=True))
        made.named |= dict(zip(rows.tolist(), terms.named, strict=True))
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
        made.put(rows, {name: getattr(terms, name) for name in TERMS})
        made.put(rows, {name: getattr(plan, name) for name in PLAN})
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
        made.put(rows, {name: getattr(now, name) for name in POSITION})
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
        told: dict[str, Any] = {name: made.of[name][rows] for name in PLAN}
        told["rental"] = told["rental"] == 1
        told["evidence"] = np.nan_to_num(told["evidence"]).astype(np.int64)
        columns = np.stack([made.of[name][rows] for name in _CURVE], axis=1)
        curve = Curve(columns[:, : len(KNOTS)], columns[:, len(KNOTS) :])
        return Plan(**told), made.take(Terms, rows), curve, made.of["owned"][rows]

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
            same = [self.called(r)[1].casefold() == wanted_category for r in rows.tolist()]
            rows = rows[np.array(same, np.bool_)]
        return np.asarray(rows, np.int64)

    def called(self, row: int) -> tuple[str, str]:
        """(name, category) of a class: the catalogue's word, else the till's."""
        name, category = self.columns.named.get(row, ("", ""))
        text = self._state.cls.text
        return name or text["name"].get(row, ""), category or text["category"].get(row, "")

    def needed(self, rows: Ints) -> Ints:
        """Of ``rows`` those with something to order."""
        return rows[self.columns.of["suggested"][rows] > 0]


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
