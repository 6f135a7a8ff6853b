"""The shop in figures: each with its span, the same before, and how it is counted. No predictions.

Sums over the days' rings are worked out once a minute of the state, beside answers that show those
of the minute before; what is counted now, each time.
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.decisions.rows import Decision
from edge.features.windows import DayRing
from edge.ledger.contracts import Contract
from edge.view_basis import Basis, Sources
from edge.view_demand import DemandView

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY_MS = 86_400_000
MINUTE_MS = 60_000
DAYS = 57
"""Today, and twice 28 closed days."""
KNOWN = 64
ACCEPTED = frozenset({"approved", "executed", "failed"})
DECIDED = ACCEPTED | {"rejected", "undone"}

Span = Literal["now", "today", "7d", "28d"]


class Kpi(Struct, kw_only=True):
    """One figure."""

    name: str
    """Its name; unique in the answer."""
    title: str
    """Its name for people."""
    unit: str
    """``cents``, ``units``, ``classes``, ``contracts``, ``decisions``, ``1`` for shares, ``1/a`` …"""
    span: Span
    """``now``, ``today`` (since midnight), or the last 7 or 28 closed days."""
    value: float | None
    """The figure; null: nothing can be said yet."""
    before: float | None
    """The same over the same span before; null: it is not known."""
    change: float | None
    """Value over before, less 1; null: there is nothing to compare with."""
    better: Literal["up", "down", "none"]
    """Which way is good."""
    definition: str
    """How it is counted."""


class Kpis(Struct, kw_only=True):
    """The shop in figures."""

    basis: Basis
    """What they stand on."""
    store: str
    """Store; empty: all."""
    category: str
    """Category; empty: all."""
    day: str
    """Today, in the shop's calendar."""
    classes: int
    """Classes in it."""
    kpis: list[Kpi]
    """The figures."""
    why_empty: str = ""
    """Why there are none, or none of them is of any class; empty: there are some."""


@dataclass(frozen=True)
class Days:
    """Sums over some classes by day, float64[DAYS] each, the oldest first, today last."""

    by: dict[str, Floats] = field(default_factory=dict)

    def sum(self, name: str, days: int, back: int = 0) -> float:
        """Over ``days`` closed days, the newest of them ``back`` days before yesterday."""
        values = self.by[name][: DAYS - 1]
        end = len(values) - back
        return float(values[end - days : end].sum())

    def today(self, name: str) -> float:
        """So far today."""
        return float(self.by[name][-1])

    def at(self, name: str, back: int) -> float:
        """The whole of the day so many days ago."""
        return float(self.by[name][-1 - back])

    def seen(self, days: int, back: int = 0) -> bool:
        """Whether anything had been told by the first of these days."""
        return bool(self.by["lived"][max(DAYS - 1 - back - days, 0)] > 0)


MEASURES = ("revenue_cents", "rented_milli", "sold_milli", "returned_milli")
LEVELS = ("on_hand_close_milli", "on_rent_close_milli")
SUMS = (*MEASURES, *LEVELS, "stockout_days", "moved", "fleet")
SLICE_ROWS = 512
"""Classes that are summed up in one slice."""


class KpisView:
    """Counts."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state
        self._ledger = sources.core.ledger
        self._demand = DemandView(sources)
        self._known: dict[tuple[str, str], tuple[tuple[int, int, int], Days]] = {}

    def kpis(self, store: str = "", category: str = "") -> Kpis:
        """Every figure of a store (empty: all) and a category (empty: all), after ``preparing``."""
        rows = self._demand.rows(store, category)
        days = self._days(store, category, rows)
        whole = not store and not category
        made = [*self._moved(store, days), *self._stock(rows, days)]
        made += self._out(store) if not category else []
        made += self._accuracy() + self._decisions() if whole else []
        return Kpis(
            basis=self._sources.counted(),
            store=store,
            category=category,
            day=str(np.datetime64(self._state.today, "D")) if self._state.now_ms else "",
            classes=len(rows),
            kpis=made,
        )

    # -- columns ------------------------------------------------------------------------------------

    def _ring(self, name: str) -> DayRing:
        ring = self._state.cls.part[name]
        assert isinstance(ring, DayRing), name
        return ring

    def fresh(self, store: str = "", category: str = "") -> bool:
        """Whether the sums by day are there, and no older than a minute."""
        known = self._known.get((store, category.lower()))
        return known is not None and known[0] == self._stamp(self._demand.rows(store, category))

    def standing(self, store: str = "", category: str = "") -> bool:
        """Whether they are of today and of the same classes, and no older than the minute before."""
        minute, *whose = self._stamp(self._demand.rows(store, category))
        known = self._known.get((store, category.lower()))
        return known is not None and known[0][0] >= minute - 1 and [*known[0][1:]] == whose

    def _stamp(self, rows: Ints) -> tuple[int, int, int]:
        return self._sources.now_ms // MINUTE_MS, self._state.today, len(rows)

    def preparing(self, store: str = "", category: str = "") -> Generator[None, None, None]:
        """Sums by day, some classes at each step; nothing where they are fresh."""
        rows, key = self._demand.rows(store, category), (store, category.lower())
        stamp = self._stamp(rows)
        if self.fresh(store, category):
            return
        days = Days({name: np.zeros(DAYS) for name in SUMS})
        for start in range(0, len(rows), SLICE_ROWS):
            for name, values in self._count(rows[start : start + SLICE_ROWS]).items():
                days.by[name] += values
            yield
        if len(self._known) >= KNOWN:
            self._known.clear()
        days.by["lived"] = np.cumsum(days.by["moved"] > 0).astype(np.float64)
        self._known[key] = stamp, days

    def _days(self, store: str, category: str, rows: Ints) -> Days:
        """Sums by day; closed days may be two minutes old, today is counted anew."""
        days = self._known[store, category.lower()][1]
        for name in MEASURES:
            ring = self._ring(name)
            days.by[name][-1] = float(ring.ring[self._state.today % ring.days][rows].sum())
        return days

    def _count(self, rows: Ints) -> dict[str, Floats]:
        """Float64[DAYS] sums over some classes."""
        numbers = np.arange(self._state.today - DAYS + 1, self._state.today + 1)

        def of(name: str) -> NDArray[np.int64]:
            ring = self._ring(name)
            return ring.ring[numbers % ring.days][:, rows]

        held = {name: of(name) for name in (*MEASURES, *LEVELS)}
        by = {name: values.sum(axis=1).astype(np.float64) for name, values in held.items()}
        empty = (of("stockouts") > 0) | (of("empty_close") > 0)
        by["stockout_days"] = empty.sum(axis=1).astype(np.float64)
        moved = held["rented_milli"] | held["sold_milli"] | held["on_hand_close_milli"]
        by["moved"] = (moved != 0).any(axis=1).astype(np.float64)
        on_rent = held["on_rent_close_milli"]
        rented = (on_rent > 0).any(axis=0)
        fleet = held["on_hand_close_milli"][:, rented] + on_rent[:, rented]
        by["fleet"] = fleet.sum(axis=1).astype(np.float64)
        return by

    # -- what moved -------------------------------------------------------------------------------

    def _moved(self, store: str, days: Days) -> list[Kpi]:
        share = self._demand.share_done(store, self._sources.now_ms)
        names: tuple[tuple[str, str, str, Callable[[Days], Floats], str], ...] = (
            ("revenue", "Revenue", "cents", lambda d: d.by["revenue_cents"],
             "Sum of quantity x price over lines, less returns that pay back."),
            ("units_rented", "Units rented", "units", lambda d: d.by["rented_milli"] / 1000,
             "Sum of quantity over rental lines."),
            ("units_sold", "Units sold", "units", lambda d: d.by["sold_milli"] / 1000,
             "Sum of quantity over sale lines."),
            ("units_returned", "Units returned", "units", lambda d: d.by["returned_milli"] / 1000,
             "Sum of quantity over return lines."),
        )  # fmt: skip
        made = []
        for name, title, unit, of, definition in names:
            series = of(days)
            better: Literal["up", "none"] = "none" if name == "units_returned" else "up"
            week_ago = float(series[-8]) * share if days.seen(1, 6) else None
            made.append(
                _kpi(
                    f"{name}_today", title, unit, "today", float(series[-1]), week_ago, better,
                    f"{definition} Before: the same weekday a week ago, times the share of a day's "
                    f"business that is usually done by now ({share:.2f}).",
                )
            )  # fmt: skip
            for span, n in (("7d", 7), ("28d", 28)):
                value, before = (_closed(series, n, back) for back in (0, n))
                made.append(
                    _kpi(
                        f"{name}_{span}", title, unit, "7d" if n == 7 else "28d",
                        value if days.seen(1) else None,
                        before if days.seen(n, n) else None, better,
                        f"{definition} Over {n} closed days; before: the {n} before those.",
                    )
                )  # fmt: skip
        out = (days.by["rented_milli"] + days.by["sold_milli"]) / 1000
        money = days.by["revenue_cents"]
        per_unit, earlier = (
            _ratio(_closed(money, 28, back), _closed(out, 28, back)) for back in (0, 28)
        )
        made.append(
            _kpi(
                "revenue_per_unit_28d", "Revenue per unit out", "cents", "28d", per_unit,
                earlier if days.seen(28, 28) else None, "up",
                "Revenue over units rented and sold, of 28 closed days.",
            )
        )  # fmt: skip
        return made

    # -- what is there ----------------------------------------------------------------------------

    def _stock(self, rows: Ints, days: Days) -> list[Kpi]:
        col = self._state.cls.col
        on_rent = np.maximum(col["rented_out_milli"][rows] / 1000, col["items_on_rent"][rows])
        known = col["ledger_known"][rows] > 0
        on_hand = np.where(known, col["ledger_milli"][rows] / 1000, col["items_ready"][rows])
        rentals = (on_rent > 0) | (col["last_rental_ms"][rows] > 0)
        held = on_rent + np.maximum(on_hand, 0) + col["items_in_service"][rows]
        fleet = float(held[rentals].sum())
        empty = (on_hand <= 0) & (known | (col["items_on_rent"][rows] > 0))
        made = [
            _kpi(
                "units_on_rent", "Units on rent", "units", "now", float(on_rent.sum()),
                days.at("on_rent_close_milli", 1) / 1000 if days.seen(1) else None, "up",
                "Units out now, by lines or by scans, whichever is more. Before: at the last close.",
            ),
            _kpi(
                "utilisation", "Utilisation", "1", "now",
                float(on_rent[rentals].sum()) / fleet if fleet > 0 else None, None, "up",
                "Units on rent over units on rent, on hand and in service, of classes ever rented.",
            ),
            _kpi(
                "utilisation_28d", "Utilisation", "1", "28d",
                _ratio(days.sum("on_rent_close_milli", 28), days.sum("fleet", 28)),
                _ratio(days.sum("on_rent_close_milli", 28, 28), days.sum("fleet", 28, 28)), "up",
                "Units on rent over units on rent and on hand at the close, summed over 28 closed "
                "days, of classes that were out on one of the last 57 days.",
            ),
            _kpi(
                "stockouts", "Classes out of stock", "classes", "now", float(empty.sum()), None,
                "down", "Classes whose stock is known, with nothing on hand now.",
            ),
        ]  # fmt: skip
        for span, n in (("7d", 7), ("28d", 28)):
            made.append(
                _kpi(
                    f"stockout_days_{span}", "Days out of stock", "class-days",
                    "7d" if n == 7 else "28d",
                    days.sum("stockout_days", n) if days.seen(1) else None,
                    days.sum("stockout_days", n, n) if days.seen(n, n) else None, "down",
                    f"Classes and days, of {n} closed days, on which stock ran out or was none at "
                    f"the close. Before: the {n} before those.",
                )
            )  # fmt: skip
        made.append(
            _kpi(
                "turns_per_year", "Inventory turns", "1/a", "28d", *self._turns(days), "up",
                "Units rented and sold in 28 closed days, over the mean of units on hand at their "
                "closes, times 365/28.",
            )
        )  # fmt: skip
        return made

    @staticmethod
    def _turns(days: Days) -> tuple[float | None, float | None]:
        made: list[float | None] = []
        for back in (0, 28):
            out = days.sum("rented_milli", 28, back) + days.sum("sold_milli", 28, back)
            held = days.sum("on_hand_close_milli", 28, back) / 28
            told = days.seen(28, back) if back else days.seen(1)
            made.append(out / held * 365 / 28 if held > 0 and told else None)
        return made[0], made[1]

    def _out(self, store: str) -> list[Kpi]:
        """What is out too long."""
        state, now_ms = self._state, self._sources.now_ms
        col, high = state.item.col, state.item.keys.high
        late = (col["due_ms"][:high] > 0) & (col["due_ms"][:high] < now_ms)
        late &= col["rented_at_ms"][:high] > 0
        if store:
            late &= col["store_row"][:high] == state.store.keys.get(store)
        contracts = self._ledger.between(Contract, "owed_ms", 1, now_ms)
        if store:
            owed = self._ledger.in_order(Contract, "owed_ms", (1,)) or ()
            contracts = sum(row.store == store for row in islice(owed, contracts))
        return [
            _kpi(
                "overdue_items", "Items overdue", "items", "now", float(late.sum()), None, "down",
                "Items on rent whose due moment has passed.",
            ),
            _kpi(
                "overdue_contracts", "Contracts overdue", "contracts", "now", float(contracts),
                None, "down", "Open contracts whose due moment has passed.",
            ),
        ]  # fmt: skip

    # -- how good we are ----------------------------------------------------------------------------

    def _accuracy(self) -> list[Kpi]:
        scores = self._demand.scores()
        made = []
        for name, question, title in (
            ("forecast_accuracy_day", "units_day_1", "Forecast of a day"),
            ("forecast_accuracy_week", "units_week_1", "Forecast of a week"),
        ):
            figures = scores.get(question, {})
            made.append(
                _kpi(
                    name, title, "1", "28d", figures.get("accuracy"), None, "up",
                    "1 less the sum of absolute errors over the sum of actuals, by class, of the "
                    "active version over the last weeks; null until something was judged.",
                )
            )  # fmt: skip
        coverage = scores.get("units_day_1", {}).get("coverage")
        made.append(
            _kpi(
                "forecast_coverage", "Forecasts within their interval", "1", "28d", coverage, None,
                "none", "Share of a day's units within the 80 % interval told the day before.",
            )
        )  # fmt: skip
        return made

    def _decisions(self) -> list[Kpi]:
        """Over 28 times 24 hours, and those before."""
        now_ms = self._sources.now_ms
        spans = [(now_ms - 28 * DAY_MS, now_ms), (now_ms - 56 * DAY_MS, now_ms - 28 * DAY_MS)]
        since_ms = spans[-1][0]
        rows = [  # most are waiting, or long past
            row
            for row in self._ledger.rows(Decision).values()
            if row.decided_ms > since_ms or row.executed_ms > since_ms
        ]
        told = [[row for row in rows if a < row.decided_ms <= b] for a, b in spans]
        done = [[row for row in rows if a < row.executed_ms <= b] for a, b in spans]
        accepted = _accepted(told[0]), _accepted(told[1])
        expected = _expected(done[0]), _expected(done[1])
        actual = _actual(done[0]), _actual(done[1])
        return [
            _kpi(
                "decisions_decided", "Decisions made", "decisions", "28d", float(len(told[0])),
                float(len(told[1])), "none", "Proposals approved or rejected in 28 days.",
            ),
            _kpi(
                "decision_acceptance", "Proposals accepted", "1", "28d", *accepted, "up",
                "Approved, of those approved, rejected or undone in 28 days.",
            ),
            _kpi(
                "savings_expected", "Savings expected", "cents", "28d", *expected, "up",
                "Sum of the predicted impact of decisions carried out in 28 days, dry runs left out.",
            ),
            _kpi(
                "savings_actual", "Savings found", "cents", "28d", *actual, "up",
                "Sum of the actual impact of decisions carried out in 28 days, where it is known.",
            ),
        ]  # fmt: skip


def _closed(series: Floats, days: int, back: int) -> float:
    end = len(series) - 1 - back
    return float(series[end - days : end].sum())


def _ratio(above: float, below: float) -> float | None:
    return above / below if below > 0 else None


def _accepted(rows: Iterable[Decision]) -> float | None:
    decided = [row for row in rows if row.status in DECIDED]
    return sum(row.status in ACCEPTED for row in decided) / len(decided) if decided else None


def _expected(rows: Iterable[Decision]) -> float:
    return float(sum(row.impact_cents for row in rows if not row.dry_run))


def _actual(rows: Iterable[Decision]) -> float | None:
    known = [r.actual_impact_cents for r in rows if r.actual_impact_cents is not None]
    return float(sum(known)) if known else None


def _kpi(
    name: str,
    title: str,
    unit: str,
    span: Span,
    value: float | None,
    before: float | None,
    better: Literal["up", "down", "none"],
    definition: str,
) -> Kpi:
    change = value / before - 1 if value is not None and before else None
    return Kpi(
        name=name,
        title=title,
        unit=unit,
        span=span,
        value=_round(value),
        before=_round(before),
        change=_round(change),
        better=better,
        definition=definition,
    )


def _round(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, 6)
