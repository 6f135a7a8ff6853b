"""Maintenance as readers see it: the plan of services, chances by item, parts, hours, money.

Gathers columns and hands them to ``edge.services``; a plan is made in slices (``gathering``, then
``planning``, which a thread may do) and kept for an hour, for what it says changes by the day.
"""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.commands import Propose
from edge.config import Crew, Maintenance
from edge.config_rules import WEEKDAYS
from edge.ledger.workshop import Component, ComponentKind, VerdictTally
from edge.services import ical, maintenance
from edge.services.components import Life, life_of
from edge.services.maintenance import Costs, Worth
from edge.services.planning import Inputs, Plan, planning
from edge.view_basis import Basis, Sources
from edge.view_fleet import (
    DAY_MS,
    HORIZONS,
    ClassMoney,
    Items,
    categories,
    class_money,
    date_of,
    drained,
    gathered_items,
    items,
    name_of,
    rental_hours,
    repair_costs,
)
from edge.view_maintenance_rows import (
    Advice,
    ClassReturn,
    ComponentKindRow,
    ComponentRow,
    DayChance,
    PartsRow,
    Probability,
    Resources,
    Returns,
    Schedule,
    ServiceRow,
    VerdictRow,
    WayRow,
    WeekRow,
)
from edge.view_models import Prediction

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FRESH_MS = 3_600_000
"""A plan is made anew after so long, or when the day has changed."""
DAYS = 30
"""Days that are planned where nobody says otherwise."""
DAYS_MOST = 60
TOLD_MOST = 1_000
"""Services that the job's own result tells; the endpoint pages through all."""
PLANS_KEPT = 4
"""Plans of other lengths that are kept."""
PROPOSED_DAYS = 3
"""Services of so many days ahead are proposed."""
HORIZON_DAYS = 30
EVERYBODY = "workshop"
"""Name of the crew where none is configured."""
RULE = "expected cost of repairs, failures, missed rentals and hours, least for all items together"


@dataclass(frozen=True)
class Gathered:
    """What a plan is made of."""

    inputs: Inputs
    items: Items
    money: ClassMoney
    categories: list[str]
    version: str


@dataclass(frozen=True)
class Book:
    """A plan and what it was made of."""

    gathered: Gathered
    plan: Plan
    made_ms: int
    services: list[ServiceRow]
    classes: list[ClassReturn]
    basis: Basis

    @property
    def waiting(self) -> int:
        """Items that a service would pay for, and for which there are no hours."""
        return int(((self.plan.wanted > 0) & (self.plan.day < 0)).sum())


@dataclass
class _Kept:
    books: dict[int, Book] = field(default_factory=dict)


class MaintenanceView:
    """Reads the state, the columns of predictions and the ledger."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._settings: Maintenance = sources.config.maintenance
        self._crews = list(sources.config.crews) or [
            Crew(
                name=EVERYBODY,
                hours=self._settings.crew_hours,
                weekdays=self._settings.weekdays,
            )
        ]
        self._kept = _Kept()

    def counted(self) -> Basis:
        """The basis of what nobody predicted."""
        return self._sources.counted()

    # -- plans ----------------------------------------------------------------------------------

    def book(self, days: int) -> Book | None:
        """The plan that is kept for so many days; ``None``: none yet."""
        return self._kept.books.get(days)

    def of_today(self, days: int) -> bool:
        """Whether the plan that is kept is of today."""
        book = self.book(days)
        return book is not None and book.gathered.items.today == self._sources.core.state.today

    def fresh(self, days: int) -> bool:
        """Whether it is of today and not old."""
        book = self.book(days)
        return (
            book is not None
            and self.of_today(days)
            and self._sources.now_ms - book.made_ms < FRESH_MS
        )

    def _keep(self, book: Book) -> None:
        """From now on this is shown."""
        books = self._kept.books
        books.pop(book.plan.days, None)
        books[book.plan.days] = book
        while len(books) > PLANS_KEPT:
            del books[next(iter(books))]

    def gathering(self, days: int) -> Generator[None, None, Gathered]:
        """Columns for a plan, in slices; what the generator returns holds nothing live."""
        found = yield from gathered_items(self._sources)
        worth = self._sources.config.quality.worth_rentals
        money = yield from class_money(self._sources, found.class_rows, worth)
        told, crews = categories(self._sources, found.class_rows)
        yield
        inputs = self._inputs(found, money, told, crews, days)
        basis = self._sources.of_service("maintenance")
        return Gathered(inputs, found, money, told, basis.version)

    def making(self, gathered: Gathered) -> Generator[float, None, Schedule]:
        """The plan, in slices, kept at the end; may be done in a thread."""
        plan = yield from planning(gathered.inputs)
        book = self._made(gathered, plan)
        self._keep(book)
        return self.schedule(book, book.services[:TOLD_MOST], None)

    def _made(self, gathered: Gathered, plan: Plan) -> Book:
        """The plan as it is shown."""
        found = gathered.items
        rows = np.flatnonzero(plan.day >= 0)
        rows = rows[np.lexsort((-plan.saves[rows], plan.day[rows]))]
        fallback = bool(len(found)) and not bool(found.by_model.all())
        return Book(
            gathered=gathered,
            plan=plan,
            made_ms=found.now_ms,
            services=[self._service(gathered, plan, row) for row in rows.tolist()],
            classes=self._class_returns(gathered, plan),
            basis=self._basis(found, fallback),
        )

    def _basis(self, found: Items, fallback: bool) -> Basis:
        basis = self._sources.of_service("maintenance")
        basis.as_of_ms = found.now_ms
        basis.fallback = basis.fallback or fallback
        basis.rule = f"{basis.rule}; {RULE}" if basis.rule else RULE
        return basis

    def _service(self, gathered: Gathered, plan: Plan, row: int) -> ServiceRow:
        found, inputs = gathered.items, gathered.inputs
        class_row = int(found.class_rows[found.cls[row]])
        state = self._sources.core.state
        store, sku = _class_of(state.cls.keys.keys_of([class_row])[0])
        return ServiceRow(
            epc=found.keys[row],
            name=name_of(state, int(found.rows[row]), class_row),
            sku=sku,
            store=store,
            day=date_of(plan.first_day + int(plan.day[row])),
            crew=inputs.crews[int(plan.crew[row])],
            hours=float(inputs.hours[row]),
            cost_cents=round(float(inputs.costs.service_cents[row])),
            saves_cents=round(float(plan.saves[row])),
            probability=round(float(plan.failing[row]), 6),
            avoids=round(float(plan.avoided[row]), 6),
            fallback=not bool(found.by_model[row]),
        )

    def _inputs(
        self, found: Items, money: ClassMoney, told: list[str], crews: list[str], days: int
    ) -> Inputs:
        settings, n = self._settings, len(found)
        first_day = found.today + 1
        cents, hours, _ = repair_costs(found, settings)
        costs = Costs(
            service_cents=np.full(
                n, settings.service_parts_cents + settings.service_hours * settings.labour_cents
            ),
            failure_cents=cents * settings.emergency_factor + settings.failure_cents,
            service_days=np.full(n, settings.service_days),
            failure_days=np.full(n, settings.failure_days),
            effect=np.full(n, settings.effect),
            cls=found.cls,
            lost_cents=self._lost(money, first_day, max(settings.effect_days, days)),
        )
        return Inputs(
            first_day=first_day,
            days=days,
            chances=found.chances,
            horizons=HORIZONS,
            costs=costs,
            hours=np.full(n, settings.service_hours),
            may=self._may(told, crews)[found.cls] if n else np.zeros((0, len(self._crews)), bool),
            crews=[crew.name for crew in self._crews],
            capacity=self._capacity(first_day, days),
            earliest=self._earliest(found, first_day),
            since_days=found.days_since("last_maintenance_ms", "last_repair_ms", "first_seen_ms"),
            interval_days=settings.interval_days,
            repair_hours=float(hours.mean()) if n else settings.repair_hours,
        )

    @staticmethod
    def _lost(money: ClassMoney, first_day: int, days: int) -> Floats:
        """float64[g, days]: what one item away costs a day, where the class has none to spare."""
        weekday = (first_day + np.arange(days) + 3) % 7
        earned = np.nan_to_num(money.rent_day_cents, nan=0.0)
        return np.asarray(earned[:, None] * money.scarce[:, weekday], np.float64)

    def _may(self, told: list[str], crews: list[str]) -> NDArray[np.bool_]:
        """bool[g, crews]: whose class it is."""
        names = [crew.name for crew in self._crews]
        made = np.zeros((len(told), len(names)), np.bool_)
        for i, (category, own) in enumerate(zip(told, crews, strict=True)):
            for c, crew in enumerate(self._crews):
                if own in names:
                    made[i, c] = own == crew.name
                else:
                    made[i, c] = not crew.categories or category in crew.categories
        return made

    def _capacity(self, first_day: int, days: int) -> Floats:
        weekday = (first_day + np.arange(days) + 3) % 7
        made = np.zeros((days, len(self._crews)))
        for c, crew in enumerate(self._crews):
            works = np.array([name in crew.weekdays for name in WEEKDAYS])
            made[:, c] = np.where(works[weekday], crew.hours, 0.0)
        return made

    def _earliest(self, found: Items, first_day: int) -> Ints:
        """int64[n]: first day of the plan after what is on rent is expected back."""
        state = self._sources.core.state
        hours = rental_hours(state, found.class_rows)[found.cls] if len(found) else np.zeros(0)
        usual_ms = found.col["rented_at_ms"] + (hours * 3.6e6).astype(np.int64)
        back_ms = np.where(found.col["due_ms"] > 0, found.col["due_ms"], usual_ms)
        days_left = np.ceil(np.maximum(back_ms - found.now_ms, 0) / DAY_MS).astype(np.int64)
        back = found.today + days_left + 1 - first_day
        return np.where(found.on_rent, np.maximum(back, 1), 0)

    # -- answers --------------------------------------------------------------------------------

    def schedule(self, book: Book, services: list[ServiceRow], cursor: str | None) -> Schedule:
        """The plan, with these services of it."""
        plan = book.plan
        return Schedule(
            basis=book.basis,
            first_day=date_of(plan.first_day),
            days=plan.days,
            weighed_days=book.gathered.inputs.costs.window_days,
            items=len(plan.day),
            waiting=book.waiting,
            saved_cents=round(plan.gain),
            bound_cents=round(plan.bound),
            ways=self._ways(plan),
            services=services,
            next_cursor=cursor,
        )

    def _ways(self, plan: Plan) -> list[WayRow]:
        interval = self._settings.interval_days
        told: list[tuple[Any, float | None, Worth]] = [
            ("plan", None, plan.plan),
            ("run_to_failure", None, plan.never),
            ("calendar", interval, plan.calendar),
            ("best_calendar", plan.best_interval_days, plan.best_calendar),
        ]
        return [
            WayRow(
                way=way,
                interval_days=every,
                cost_cents=round(worth.cost_cents),
                services=worth.services,
                service_cents=round(worth.service_cents),
                failures=round(worth.failures, 3),
                failure_cents=round(worth.failure_cents),
                saved_cents=round(worth.cost_cents - plan.plan.cost_cents),
            )
            for way, every, worth in told
        ]

    def calendar(self, book: Book) -> str:
        """The plan as an iCalendar feed."""
        shop = self._sources.config.shop.store
        entries = [
            ical.Entry(
                uid=f"service-{row.epc}-{book.plan.first_day // 7}@{shop}.rfid3",
                day=row.day,
                days=1,
                summary=f"Service {row.name or row.sku} ({row.epc[-8:]})",
                description=(
                    f"Item {row.epc}, class {row.sku}\n{row.hours:g} h, crew {row.crew}\n"
                    f"Probability of a failure within {book.plan.days} days: {row.probability:.0%}\n"
                    f"Expected to save {row.saves_cents / 100:.2f}"
                ),
                location=row.store,
                categories=("maintenance", row.crew),
            )
            for row in book.services
        ]
        stamp = str(np.datetime64(book.made_ms // 1000, "s")) + "Z"
        return ical.calendar(f"Maintenance of {shop}", entries, stamp)

    def probability(self, epc: str, made: Prediction | None) -> Probability | None:
        """One item; ``None``: nobody knows it. ``made``: what the service says of it."""
        state = self._sources.core.state
        row = state.item.keys.get(epc)
        if row < 0:
            return None
        told = {answer.name: answer.value for answer in made.answers} if made else {}
        chances = np.array([[_number(told.get(f"p_event_{d:g}d")) for d in HORIZONS]])
        class_row = int(state.item.col["class_row"][row])
        sku = _class_of(state.cls.keys.keys_of([class_row])[0])[1] if class_row >= 0 else ""
        at = np.array([1, 3, 7, 14, 21, 30], np.float64)
        rates = maintenance.hazards(chances, HORIZONS)
        by_day = -np.expm1(-maintenance.cumulated(rates, HORIZONS, at))[0]
        known = not np.isnan(chances).any()
        return Probability(
            basis=self._sources.of_prediction(made)
            if made
            else self._sources.of_service("maintenance"),
            epc=epc,
            sku=sku,
            curve=[
                DayChance(days=int(day), probability=round(float(p), 6) if known else None)
                for day, p in zip(at, by_day, strict=True)
            ],
            days_to_event_p50=told.get("days_to_event_p50", told.get("days_to_event")),
            advice=self._advice(row, chances) if known else None,
            components=[self._component(part) for part in self._parts(epc)],
        )

    def _advice(self, row: int, chances: Floats) -> Advice | None:
        found = items(self._sources, np.array([row], np.int64))
        if not len(found):
            return None
        worth = self._sources.config.quality.worth_rentals
        money = drained(class_money(self._sources, found.class_rows, worth))
        told, crews = categories(self._sources, found.class_rows)
        inputs = self._inputs(found, money, told, crews, DAYS)
        rates = maintenance.hazards(chances, HORIZONS)
        seen = maintenance.outlook(rates, HORIZONS, inputs.costs, DAYS)
        gain = np.where(np.arange(DAYS) < inputs.earliest[0], -np.inf, seen.gain[0])
        best = int(gain.argmax())
        pays = bool(gain[best] > 0)
        book = self.book(DAYS)
        planned = _planned(book, found.keys[0]) if book else None
        return Advice(
            failure_cents=round(float(inputs.costs.failed_cents()[0])),
            service_cents=round(float(inputs.costs.service_cents[0])),
            never_cents=round(float(seen.never[0])),
            best_cents=round(float(seen.service_on[0, best] if pays else seen.never[0])),
            best_day=date_of(inputs.first_day + best) if pays else "",
            planned_day=planned.day if planned else "",
            crew=planned.crew if planned else "",
        )

    # -- parts ----------------------------------------------------------------------------------

    def _parts(self, epc: str) -> list[Component]:
        return self._sources.core.ledger.by(Component, "epc", epc)

    def life(self, component: str) -> Life:
        """Of one kind of part, learnt from those that were replaced."""
        kind = self._sources.core.ledger.get(ComponentKind, component)
        usual = self._settings.component_lives.get(component, self._settings.component_life_days)
        return life_of(np.array(kind.lives_days if kind else [], np.float64), np.zeros(0), usual)

    def _component(self, part: Component, life: Life | None = None) -> ComponentRow:
        life = life or self.life(part.component)
        if part.expected_days > 0:  # somebody told this one's
            factor = part.expected_days / life.mean_days
            life = Life(life.shape, life.scale_days * factor, 0, 0)
        age = np.array([max(self._sources.now_ms - part.installed_ms, 0) / DAY_MS])
        return ComponentRow(
            epc=part.epc,
            component=part.component,
            installed_ms=part.installed_ms,
            age_days=round(float(age[0]), 3),
            expected_days=round(life.mean_days, 2),
            remaining_days=round(float(life.remaining_days(age)[0]), 2),
            probability_30d=round(float(life.chance_within(age, HORIZON_DAYS)[0]), 6),
            replaced=part.replaced,
            learnt_from=life.ended,
        )

    def component_rows(
        self, epc: str | None, component: str | None
    ) -> Generator[None, None, list[ComponentRow]]:
        """Parts of an item, of a kind, or all, in slices."""
        ledger = self._sources.core.ledger
        parts = self._parts(epc) if epc else list(ledger.rows(Component).values())
        lives: dict[str, Life] = {}
        made = []
        for number, part in enumerate(parts):
            if component and part.component != component:
                continue
            if part.component not in lives:
                lives[part.component] = self.life(part.component)
            made.append(self._component(part, lives[part.component]))
            if number % 32 == 31:
                yield
        return made

    def kinds(self) -> list[ComponentKindRow]:
        """Every kind of part."""
        ages = self._ages()
        known = {
            kind.component: kind for kind in self._sources.core.ledger.rows(ComponentKind).values()
        }
        made = []
        for name in sorted({*known, *ages}):
            life, kind = self.life(name), known.get(name)
            of = ages.get(name, np.zeros(0))
            made.append(
                ComponentKindRow(
                    component=name,
                    in_use=len(of),
                    replaced=kind.replaced if kind else 0,
                    expected_days=round(life.mean_days, 2),
                    shape=round(life.shape, 3),
                    learnt_from=life.ended,
                    due_30d=round(float(life.chance_within(of, HORIZON_DAYS).sum()), 3),
                    cost_cents=_mean_cost(kind),
                )
            )
        return made

    def _ages(self) -> dict[str, Floats]:
        """Days in use of every part, by kind."""
        now_ms = self._sources.now_ms
        found: dict[str, list[float]] = {}
        for part in self._sources.core.ledger.rows(Component).values():
            found.setdefault(part.component, []).append(max(now_ms - part.installed_ms, 0) / DAY_MS)
        return {name: np.array(ages) for name, ages in found.items()}

    # -- hours, parts, money ----------------------------------------------------------------------

    def resources(self, book: Book) -> Resources:
        """Hours and parts by week."""
        plan = book.plan
        used = [
            week.planned_hours / week.capacity_hours if week.capacity_hours > 0 else None
            for week in plan.weeks
        ]
        return Resources(
            basis=book.basis,
            weeks=[
                WeekRow(
                    week=date_of(week.start_day),
                    crew=week.crew,
                    capacity_hours=round(week.capacity_hours, 3),
                    planned_hours=round(week.planned_hours, 3),
                    services=week.services,
                    repair_hours=round(week.repair_hours, 3),
                    used=round(share, 4) if share is not None else None,
                )
                for week, share in zip(plan.weeks, used, strict=True)
            ],
            parts=self._parts_by_week(plan),
            service_parts_cents=plan.plan.services * self._settings.service_parts_cents,
            waiting=book.waiting,
        )

    def _parts_by_week(self, plan: Plan) -> list[PartsRow]:
        ledger, ages = self._sources.core.ledger, self._ages()
        starts = sorted({week.start_day for week in plan.weeks})
        made = []
        for start in starts:
            from_days = max(start - plan.first_day, 0)
            to_days = min(start + 7 - plan.first_day, plan.days)
            for name in sorted(ages):
                life = self.life(name)
                within = life.chance_within(ages[name], to_days)
                before = life.chance_within(ages[name], from_days)
                units = float((within - before).sum())
                if units >= 0.005:
                    cost = _mean_cost(ledger.get(ComponentKind, name))
                    made.append(
                        PartsRow(
                            week=date_of(start),
                            component=name,
                            units=round(units, 3),
                            cost_cents=round(units * cost) if cost is not None else None,
                        )
                    )
        return made

    def _class_returns(self, gathered: Gathered, plan: Plan) -> list[ClassReturn]:
        """What maintenance of each class brings."""
        found, inputs = gathered.items, gathered.inputs
        g, planned = len(found.class_rows), plan.day >= 0

        def total(values: Floats | Ints) -> list[float]:
            made: list[float] = np.bincount(found.cls, weights=values, minlength=g).tolist()
            return made

        spend = total(np.where(planned, inputs.costs.service_cents, 0.0))
        saved, served = total(plan.saves), total(planned.astype(np.int64))
        waiting = total(np.where(planned, 0.0, plan.wanted))
        ever = {name: total(found.col[name]) for name in _EVER}
        many = np.bincount(found.cls, minlength=g).tolist()
        keys = self._sources.core.state.cls.keys.keys_of(found.class_rows.tolist())
        made = []
        for i, key in enumerate(keys):
            store, sku = _class_of(key)
            made.append(
                ClassReturn(
                    sku=sku,
                    store=store,
                    items=many[i],
                    services=round(served[i]),
                    spend_cents=round(spend[i]),
                    saved_cents=round(saved[i]),
                    roi=round(saved[i] / spend[i], 4) if spend[i] > 0 else None,
                    repairs=round(ever["repairs_total"][i]),
                    repair_cents=round(ever["repair_cost_cents_total"][i]),
                    revenue_cents=round(ever["revenue_cents_total"][i]),
                    waiting_cents=round(waiting[i]),
                )
            )
        return made

    def returns(self, book: Book, classes: list[ClassReturn], cursor: str | None) -> Returns:
        """What maintenance brings, with these classes."""
        plan = book.plan
        tallies = list(self._sources.core.ledger.rows(VerdictTally).values())
        times = {str(tally.verdict): tally.times for tally in tallies}
        judged = times.get("right", 0) + times.get("false_alarm", 0)
        roi = maintenance.return_on(plan.plan, plan.never)
        return Returns(
            basis=book.basis,
            spend_cents=round(plan.plan.service_cents),
            saved_cents=round(plan.gain),
            roi=round(roi, 4) if roi is not None else None,
            saved_against_calendar_cents=round(plan.calendar.cost_cents - plan.plan.cost_cents),
            feedback=[
                VerdictRow(
                    verdict=tally.verdict,
                    times=tally.times,
                    predicted_mean=_share(tally.predicted_sum, tally.predicted_times),
                    rating_mean=_share(tally.rating_sum, tally.ratings),
                )
                for tally in tallies
            ],
            right_share=_share(times.get("right", 0), judged),
            classes=classes,
            next_cursor=cursor,
        )

    # -- what is worth doing ------------------------------------------------------------------------

    def proposals(self) -> Iterator[Propose | None]:
        """Services of the next days, each once a week; makes the plan where none is fresh."""
        if not self.fresh(DAYS):
            gathered = yield from self.gathering(DAYS)
            for _ in self.making(gathered):
                yield None
        book = self.book(DAYS)
        assert book is not None
        until = date_of(book.plan.first_day + PROPOSED_DAYS)
        for number, row in enumerate(book.services):
            if row.day >= until:
                break
            yield self._proposal(book, row)
            if number % 64 == 63:
                yield None

    def _proposal(self, book: Book, row: ServiceRow) -> Propose:
        week = np.datetime64(row.day, "D").astype(object).isocalendar()
        probability = row.probability or 0.0
        return Propose(
            kind="maintenance",
            target=row.epc,
            store=row.store,
            period=f"{week[0]}-W{week[1]:02d}",
            confidence=round(-math.expm1(-row.avoids), 6),
            impact_cents=row.saves_cents,
            value_cents=row.cost_cents,
            data={"day": row.day, "crew": row.crew, "hours": row.hours, "sku": row.sku},
            reasons=[
                f"fails or needs a repair within {book.plan.days} days with probability "
                f"{probability:.0%}",
                f"a service on {row.day} saves {row.saves_cents / 100:.2f} on average",
            ],
            service="maintenance",
            version=book.gathered.version if not row.fallback else "",
            fallback=row.fallback,
            valid_until_ms=(int(np.datetime64(row.day, "D").astype(np.int64)) + 1) * DAY_MS,
        )


_EVER = ("repairs_total", "repair_cost_cents_total", "revenue_cents_total")


def _class_of(key: str) -> tuple[str, str]:
    """(store, sku)"""
    store, _, sku = key.partition("\x1f")
    return store, sku


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _share(above: float, below: float) -> float | None:
    return round(above / below, 6) if below else None


def _mean_cost(kind: ComponentKind | None) -> int | None:
    return (
        round(kind.cost_cents / kind.replaced)
        if kind and kind.replaced and kind.cost_cents
        else None
    )


def _planned(book: Book, epc: str) -> ServiceRow | None:
    return next((row for row in book.services if row.epc == epc), None)
