"""How stock has done, for readers: turns, fill rate, stock-outs, slow movers, and repairs to come.

Gathers columns in slices and hands them to ``edge.services``; nothing here awaits. What was gathered
stands for the day: the days it is made of have closed.
"""

import math
from collections.abc import Generator
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.inference.predict import SERVICES
from edge.services import repairs, stock_performance
from edge.services.counts import Floats
from edge.services.stock_performance import Performance
from edge.view_basis import Basis, Sources
from edge.view_fleet import believed
from edge.view_stock_columns import days_of, key_of, live_rows, named
from edge.view_voice import voice

Ints = NDArray[np.int64]

SLICE_CELLS = 24_576
"""Classes times days in one slice."""
SLICE_ITEMS = 8_192
"""Items in one slice."""
REPAIRS_LAST_MS = 10_000
"""What four weeks bring is told again for so long, milliseconds, and for as long again while it is made
anew: chances move by the day."""
REPAIRS_KEPT = 32
"""Answers about repairs that are kept."""
DAYS_MOST = 365
FORMULA = (
    "turns: units sold a year over mean units on hand; fill rate: units served over served and "
    "lost, lost: what days without stock would have served"
)
_FIELDS = tuple(Performance.__dataclass_fields__)


class PerformanceRow(Struct, kw_only=True, gc=False):
    """How one class in one store has done."""

    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    name: str
    """Name."""
    category: str
    """Category."""
    days: int
    """Days that were looked at."""
    sold: float
    """Units sold."""
    rented: float
    """Units rented."""
    revenue_cents: int
    """Revenue, cents."""
    on_hand_mean: float | None
    """Units at the close of a day, mean."""
    on_rent_mean: float | None
    """Units out at the close of a day, mean."""
    turns: float | None
    """Units sold a year over mean units on hand; null: none were on hand, or it is only rented."""
    rentals_a_unit: float | None
    """Units rented a year over mean units owned."""
    utilisation: float | None
    """Mean units out over mean units owned."""
    stockout_days: int
    """Days that closed without stock, or on which the last unit went."""
    in_stock_share: float | None
    """Share of days that were not so."""
    lost_units: float
    """Units probably asked for in vain."""
    fill_rate: float | None
    """Units served over units asked for, as far as can be told."""


class PerformanceTotal(Struct, kw_only=True):
    """The same of all rows that pass the filters."""

    classes: int
    """Classes."""
    sold: float
    """Units sold."""
    rented: float
    """Units rented."""
    revenue_cents: int
    """Revenue, cents."""
    turns: float | None
    """Units sold a year over mean units on hand, of classes that are not only rented."""
    utilisation: float | None
    """Mean units out over mean units owned, of classes that are rented."""
    stockout_days: int
    """Sum over classes."""
    in_stock_share: float | None
    """Share of class days with stock."""
    lost_units: float
    """Units probably asked for in vain."""
    fill_rate: float | None
    """Units served over units asked for."""


class RepairWeek(Struct, kw_only=True):
    """Repairs in one week."""

    week: int
    """1: the coming seven days."""
    expected: float
    """Repairs expected."""
    low: float
    """At least so many with probability 0.9."""
    high: float
    """No more than so many with probability 0.9."""


class RepairRow(Struct, kw_only=True):
    """Repairs to come of the items of one class."""

    sku: str
    """Class; empty: items without one."""
    store: str
    """Store."""
    name: str
    """Name."""
    items: int
    """Items that the maintenance service speaks of."""
    expected: float
    """Repairs expected in four weeks."""
    weeks: list[RepairWeek]
    """Week by week."""


class RepairDemand(Struct, kw_only=True):
    """Repairs to come."""

    basis: Basis
    """How fresh this is, and who spoke."""
    items: int
    """Items that the maintenance service speaks of."""
    total: list[RepairWeek]
    """All classes together, week by week."""
    classes: list[RepairRow]
    """Class by class, the most repairs first."""


class StockHistoryView:
    """Reads the days of classes."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state
        self._kept: dict[int, tuple[int, Ints, Performance]] = {}  # by span: (today, rows, found)
        self._repairs: dict[tuple[str | None, int, str], RepairDemand] = {}

    # -- performance ------------------------------------------------------------------------------

    def standing(self, days: int) -> tuple[Ints, Performance] | None:
        """(rows, figures) of the last ``days`` days, if they were measured today."""
        kept = self._kept.get(days)
        if kept is None or kept[0] != self._state.today:
            return None
        rows = kept[1]
        there = np.array_equal(rows, live_rows(self._state))
        return (rows, kept[2]) if there else None

    def measuring(self, days: int) -> Generator[None, None, None]:
        """Measure all classes, in slices."""
        rows, parts = live_rows(self._state), []
        today = self._state.today
        step = max(SLICE_CELLS // days, 16)
        for start in range(0, len(rows), step):
            told = days_of(self._state, rows[start : start + step], days)
            yield
            parts.append(
                stock_performance.measure(
                    told.sold,
                    told.rented,
                    told.revenue_cents,
                    told.on_hand,
                    told.on_rent,
                    told.empty,
                )
            )
            yield
        columns = {
            name: np.concatenate([getattr(p, name) for p in parts]) if parts else np.zeros(0)
            for name in _FIELDS
        }
        if len(self._kept) > 8:
            self._kept.clear()
        self._kept[days] = today, rows, Performance(**columns)

    def rows(self, at: Ints, rows: Ints, found: Performance) -> list[PerformanceRow]:
        """For people: positions ``at`` of ``rows`` and what was found of them."""
        of = {name: getattr(found, name)[at].tolist() for name in _FIELDS}
        made = []
        for i, row in enumerate(rows[at].tolist()):
            sku, store = key_of(self._state, row)
            name, category = named(self._state, self._sources.core.ledger, row)
            told = {column: values[i] for column, values in of.items()}
            made.append(
                PerformanceRow(
                    sku=sku,
                    store=store,
                    name=name,
                    category=category,
                    days=int(told["days"]),
                    sold=round(told["sold"], 3),
                    rented=round(told["rented"], 3),
                    revenue_cents=round(told["revenue_cents"]),
                    on_hand_mean=_number(told["on_hand_mean"]),
                    on_rent_mean=_number(told["on_rent_mean"]),
                    turns=_number(told["turns"]),
                    rentals_a_unit=_number(told["rentals_a_unit"]),
                    utilisation=_number(told["utilisation"]),
                    stockout_days=int(told["empty_days"]),
                    in_stock_share=_number(told["in_stock"]),
                    lost_units=round(told["lost"], 2),
                    fill_rate=_number(told["fill_rate"]),
                )
            )
        return made

    def total(self, at: Ints, found: Performance) -> PerformanceTotal:
        """All positions ``at`` together."""
        of = {name: np.nan_to_num(getattr(found, name)[at]) for name in _FIELDS}
        days, sold, rented = of["days"], of["sold"], of["rented"]
        years = np.where(days > 0, days / 365.0, 1.0)
        rents, sells = rented > 0, (sold > 0) | (rented <= 0)
        away = float(of["on_rent_mean"][rents].sum())
        owned = away + float(of["on_hand_mean"][rents].sum())
        moved, lost = float((sold + rented).sum()), float(of["lost"].sum())
        return PerformanceTotal(
            classes=len(at),
            sold=round(float(sold.sum()), 3),
            rented=round(float(rented.sum()), 3),
            revenue_cents=round(float(of["revenue_cents"].sum())),
            turns=_over(float((sold / years).sum()), float(of["on_hand_mean"][sells].sum())),
            utilisation=_over(away, owned),
            stockout_days=int(of["empty_days"].sum()),
            in_stock_share=_over(float((days - of["empty_days"]).sum()), float(days.sum())),
            lost_units=round(lost, 2),
            fill_rate=_over(moved, moved + lost),
        )

    def basis(self) -> Basis:
        """How fresh figures are: as of the close of yesterday."""
        return self._sources.computed(FORMULA)

    # -- repairs ----------------------------------------------------------------------------------

    def repairs(self, store: str | None, limit: int) -> Generator[None, None, RepairDemand]:
        """Repairs to come, by class, in slices; of the model that answers, as it stood lately."""
        version = self._sources.of_service("maintenance").version
        kept, old = self.kept_repairs(store, limit)
        if kept is not None and not old:
            return kept
        found = yield from self._repairing(store, limit)
        if len(self._repairs) >= REPAIRS_KEPT:
            self._repairs.clear()
        self._repairs[store, limit, version] = found
        return found

    def kept_repairs(self, store: str | None, limit: int) -> tuple[RepairDemand | None, bool]:
        """(what may be told again, if there is something; whether it is to be made anew meanwhile)."""
        version = self._sources.of_service("maintenance").version
        kept = self._repairs.get((store, limit, version))
        age_ms = -1 if kept is None else self._sources.now_ms - kept.basis.as_of_ms
        if not 0 <= age_ms < 2 * REPAIRS_LAST_MS:
            return None, True
        return kept, age_ms >= REPAIRS_LAST_MS

    def _repairing(self, store: str | None, limit: int) -> Generator[None, None, RepairDemand]:
        """Gathered in slices of items, the rest of it once."""
        state = self._state
        of = None if store is None else state.store.keys.get(store)
        mean, many = np.zeros((0, repairs.WEEKS)), np.zeros(0, np.int64)
        basis = self._sources.of_service("maintenance")
        items = np.asarray(state.item.keys.live(), np.int64)
        for start in range(0, len(items), SLICE_ITEMS):
            part = self._of_store(items[start : start + SLICE_ITEMS], of)
            chances = self._chances(part, basis)
            rows = state.item.col["class_row"][part].astype(np.int64)
            known = np.isfinite(chances[:, 0]) & (rows >= 0)  # nobody repairs a tag of nothing
            rows = rows[known]
            groups = max(len(many), int(rows.max(initial=-1)) + 1)  # more may be met meanwhile
            mean = _longer(mean, groups) + repairs.by_group(chances[known], rows, groups)
            many = _longer(many, groups) + np.bincount(rows, minlength=groups)
            yield
        keys = np.flatnonzero(many)
        return RepairDemand(
            basis=basis,
            items=int(many.sum()),
            total=_weeks(repairs.spread(mean.sum(axis=0, keepdims=True)), 0),
            classes=self._by_class(keys, many[keys], mean[keys], limit),
        )

    def _of_store(self, items: Ints, store: int | None) -> Ints:
        """Those not retired, and of this store's row alone if one is told."""
        col = self._state.item.col
        kept = col["retired"][items] == 0
        if store is not None:
            # A store nobody has heard of is row -1, and so is that of items without a store.
            kept &= (col["store_row"][items] == store) & (store >= 0)
        mine: Ints = items[kept]
        return mine

    def _chances(self, items: Ints, basis: Basis) -> Floats:
        """float64[n, 3] by the maintenance service's model, or by its simple rule, told in ``basis``."""
        scorer = self._sources.scorer
        slot = scorer.slots["maintenance"] if scorer is not None else None
        if slot is not None and slot.active is not None and slot.shown is not None:
            names = [c.name for c in slot.active.manifest.columns]
            wanted = [f"p_event_{days}d" for days in repairs.ENDS]
            if all(name in names for name in wanted):
                values = slot.shown.values[items][:, [names.index(name) for name in wanted]]
                held = slot.shown.held(items)
                told = np.where(held[:, None], values, np.nan).astype(np.float64)
                heard = voice(self._sources, "maintenance", items)
                return believed(self._sources, items, told, heard)
        rule = SERVICES["maintenance"].fallback
        basis.as_rule("maintenance", rule.rule)
        return np.asarray(rule.answer(self._state, items), np.float64)

    def _by_class(self, keys: Ints, many: Ints, mean: Floats, limit: int) -> list[RepairRow]:
        """The classes with the most repairs; only of these the ends are looked up."""
        total = mean.sum(axis=1)
        shown = np.argsort(-total, kind="stable")[:limit]
        found = repairs.spread(mean[shown])
        made = []
        for at, i in enumerate(shown.tolist()):
            row = int(keys[i])
            sku, store = key_of(self._state, row)
            made.append(
                RepairRow(
                    sku=sku,
                    store=store,
                    name=named(self._state, self._sources.core.ledger, row)[0],
                    items=int(many[i]),
                    expected=round(float(total[i]), 3),
                    weeks=_weeks(found, at),
                )
            )
        return made


def _weeks(found: repairs.Repairs, i: int) -> list[RepairWeek]:
    return [
        RepairWeek(
            week=w + 1,
            expected=round(float(found.expected[i, w]), 3),
            low=float(found.low[i, w]),
            high=float(found.high[i, w]),
        )
        for w in range(repairs.WEEKS)
    ]


def _longer(values: NDArray[Any], rows: int) -> NDArray[Any]:
    """The same with so many rows, zeros behind."""
    wanted = np.zeros((rows, *values.shape[1:]), values.dtype)
    wanted[: len(values)] = values
    return wanted


def _number(value: float, digits: int = 4) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def _over(above: float, below: float) -> float | None:
    return round(above / below, 4) if below > 0 else None
