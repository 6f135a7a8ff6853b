"""What readers are told of stock: positions, what to order, fleets, and what orders are worth.

Answers read the columns of the plans that stand (``edge.view_inventory_plans``), beside the stock of
this moment. Nothing here awaits.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.commands import Propose
from edge.decisions.deeds import safeguards
from edge.decisions.rows import Decision
from edge.decisions.transitions import OPEN
from edge.features.business import class_key
from edge.ledger.catalogue import CatalogueClass
from edge.ledger.suppliers import Supplier, Supply
from edge.services import inventory
from edge.services.counts import Floats
from edge.services.inventory import MEDIUM, PRIORITIES
from edge.services.lead_time import EVIDENCE, MODEL, SIMPLE, UNKNOWN
from edge.view_basis import Basis, Sources
from edge.view_inventory_plans import PLAN, POSITION, REST, TERMS, WAITS, Plans
from edge.view_inventory_types import StockRow, SupplierTotal
from edge.view_inventory_words import (
    letter,
    minimum_note,
    number,
    reasons,
    whole_cents,
    why_unknown,
)
from edge.view_stock_columns import (
    COST_SOURCES,
    bought_unmet,
    key_of,
    live_rows,
    on_hand_of,
    position_of,
)

Ints = NDArray[np.int64]

DAY_MS = 86_400_000
FEW = 64
"""Changed classes for whose plan an answer waits."""
WRITTEN_MOST = 1_000
"""Classes whose rows for people are kept until something of them moves."""
FORMULA = (
    "lead-time demand: models, else the class's own days, else mean and deviation of a day; "
    "reorder point: its quantile; quantity: EOQ in packs; rentals: Erlang's loss with Hayward's peakedness"
)

UNMET = (
    "nothing is known of its demand: nothing of it was counted, received, tagged, sold or rented in this"
    " store yet; a quantity (PUT /api/inventory/{sku}) or its first event begins that"
)

NO_COST = ("unknown", "assumed")
"""Sources of a cost that nobody told."""

NO_CLASS = (
    "Nothing was told of any class yet: POST /api/inventory puts one in, and so does its first sale,"
    " rental, scan or count."
)

R = TypeVar("R", bound=Struct)

SORTS: dict[str, str] = {
    "current_stock": "on_hand",
    "on_rent": "on_rent",
    "on_order": "on_order",
    "reserved": "reserved",
    "position": "position",
    "reorder_point": "reorder_point",
    "right_size": "reorder_point",
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


class Texts(NamedTuple):
    """What a class and its supplier are called."""

    sku: str
    store: str
    name: str
    category: str
    supplier: str


class InventoryView(Plans):
    """Answers from the plans that it keeps."""

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources)
        self.steps: tuple[Floats, Ints, inventory.Steps] | None = None
        """Orders cut into steps as they were last (``edge.view_inventory_money``)."""
        self._written: dict[int, tuple[tuple[Any, ...], StockRow]] = {}
        """Row -> what its words and figures were made of, and they."""

    # -- rows -----------------------------------------------------------------------------------

    def values(self, rows: Ints, sort: str) -> Floats:
        """float64[n]: the column that ``SORTS`` names."""
        name = SORTS[sort]
        of = self.columns.of
        if name == "row":
            return rows.astype(np.float64)
        if name == "position":
            return of["on_hand"][rows] + of["on_order"][rows] - of["reserved"][rows]
        found = of[name][rows]
        if sort in ("reorder_point", "right_size"):  # one column, of which each kind has its own
            found = np.where((of["rental"][rows] == 1) == (sort == "right_size"), found, np.nan)
        return np.where(np.isinf(found), np.nan, found)

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
        return [
            f"{key_of(self._state, row)[0]}\n{self.called(row)[0]}".casefold()
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

    def met(self, sku: str, store: str) -> int:
        """Row of a class of which anything was told, planned or not; -1: nothing was."""
        return int(self._state.cls.keys.get(class_key(store, sku)))

    def told(self, rows: Ints) -> list[StockRow]:
        """Rows for people, of ``rows``; not to be changed: what nothing moved is written once."""
        now = position_of(self._state, rows, self.coming)
        of = {name: self.columns.of[name][rows] for name in (*TERMS, *PLAN, *REST)}
        of |= {name: getattr(now, name) for name in POSITION}
        of["stock_position"] = now.position
        block = np.column_stack([np.asarray(values, np.float64) for values in of.values()])
        known = self._state.stock_known(rows).tolist()
        if len(self._written) > WRITTEN_MOST:
            self._written.clear()
        shown, today = [], self._today()
        for i, row in enumerate(rows.tolist()):
            texts = self._texts(row)
            made_of = (block[i].tobytes(), known[i], texts, today)
            before = self._written.get(row)
            if before is None or before[0] != made_of:
                values = {name: column[i].item() for name, column in of.items()}
                before = self._written[row] = made_of, self._told(texts, values, known[i])
            shown.append(before[1])
        return shown

    def _texts(self, row: int) -> Texts:
        supplier = self.columns.suppliers.get(row, "")
        return Texts(*key_of(self._state, row), *self.called(row), supplier)

    def _today(self) -> int:
        return self._state.days.day(self._sources.now_ms)

    def unmet(self, sku: str, store: str) -> StockRow | None:
        """A class that stands in the catalogue or has terms, of which nothing was told yet in a store."""
        listed = self._ledger.get(CatalogueClass, sku)
        terms = (self._ledger.get(Supply, sku, place) for place in (store, ""))
        if listed is None and not any(terms):
            return None
        bought = bought_unmet(self._ledger, sku, store, self.terms)
        coming = float(sum(line.coming for line in self.coming.lines((sku, store))))
        told = dict.fromkeys((*TERMS, *PLAN, *REST), math.nan) | dict.fromkeys(POSITION, 0.0)
        told |= {name: float(getattr(bought.terms, name)[0]) for name in TERMS}
        by_hand = float(bought.fixed_point[0])
        rental = listed is not None and listed.offered_for == "rental"
        told |= {"rental": float(rental), "owned": 0.0 if rental else math.nan}
        told |= {"on_order": coming, "stock_position": coming, "evidence": UNKNOWN}
        told |= {"reorder_point": by_hand, "fixed_point": math.isfinite(by_hand)}
        told |= {"cost_source": float(bought.cost_source[0])}
        row = self._told(Texts(sku, store, *bought.named[0], bought.supplier[0]), told, False)
        row.why_unknown = UNMET
        return row

    def _told(self, of: Texts, told: dict[str, float], known: bool) -> StockRow:
        rental = told["rental"] == 1
        suggested = number(told["suggested"])
        point = number(told["reorder_point"])
        return StockRow(
            product_id=of.sku,
            sku=of.sku,
            store=of.store,
            name=of.name,
            category=of.category,
            kind="rental" if rental else "sale",
            current_stock=told["on_hand"],
            on_rent=told["on_rent"],
            in_service=told["in_service"],
            reserved=told["reserved"],
            on_order=told["on_order"],
            position=told["stock_position"],
            owned=number(told["owned"]),
            reorder_point=None if rental else point,
            right_size=point if rental else None,
            reorder_point_by_hand=told["fixed_point"] == 1,
            safety_stock=number(told["safety_stock"]),
            suggested_order_qty=suggested,
            waits=told["short"] == WAITS,
            minimum_note=minimum_note(told, of.supplier),
            order_quantity=number(told["order_units"]),
            eoq=number(told["eoq"]),
            lead_time_days=round(told["lead_days"], 2),
            lead_time_sd_days=round(told["lead_sd"], 2),
            service_level=told["level"],
            daily_demand=number(told["rate"], 4),
            lead_time_demand=number(told["lead_mean"]),
            chance_of_stockout=number(told["chance_short"], 4),
            cover_days=number(told["cover_days"], 1),
            estimated_stockout_date=self._date(told["middle_days"]),
            early_stockout_date=self._date(told["early_days"]),
            planned_fill_rate=number(told["fill_rate"], 4),
            priority=None if suggested is None else PRIORITIES[int(told["priority"])],  # type: ignore[arg-type]
            order_cents=whole_cents(told["value"]),
            expected_gain_cents=whole_cents(told["gain"]),
            roi=number(told["roi"], 4),
            confidence=number(told["chance"], 4),
            unit_cost_cents=whole_cents(told["cost"]),
            cost_source=COST_SOURCES[int(told["cost_source"])],  # type: ignore[arg-type]
            price_cents=whole_cents(told["price"]),
            supplier=of.supplier,
            evidence=EVIDENCE[int(told["evidence"])],  # type: ignore[arg-type]
            why_unknown=why_unknown(told["evidence"], told["known_days"]),
            stock_known=known,
            abc=letter("abc", told["abc"]),
            xyz=letter("xyz", told["xyz"]),
            pattern=letter("pattern", told["pattern"]),
            requests_a_day=number(told["requests"], 4),
            peakedness=number(told["peakedness"], 3),
        )

    def _date(self, days: float) -> str | None:
        if not math.isfinite(days):
            return None
        return str(np.datetime64(self._today() + int(days), "D"))

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
        return (listed.name if listed else "") or self._state.cls.text["name"].get(row, "")

    def cost_of(self, sku: str, store: str) -> int | None:
        """Cost of a unit as terms, receipts or the catalogue tell it, cents; ``None``: none of them does."""
        row = self.row(sku, store)
        if row < 0 or COST_SOURCES[int(self.columns.of["cost_source"][row])] in NO_COST:
            return None
        return whole_cents(float(self.columns.of["cost"][row]))

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
                    f"{row.suggested_order_qty:g} units would be right, {units:g} are asked for"
                )
        data: dict[str, Any] = {"units": units, "supplier": row.supplier}
        if row.cost_source not in NO_COST:
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
        return number(float(found.chance[0]), 4), whole_cents(float(found.gain[0]))

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
