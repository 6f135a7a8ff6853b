"""Maintenance as readers see it: the plan of services, chances by item, parts, hours, money.

Gathers columns and hands them to ``edge.services``; a plan is made in slices (``gathering``, then
``planning``, which a thread may do) and kept for an hour, for what it says changes by the day.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edge.commands import Propose
from edge.config import Maintenance
from edge.ledger.prices import jump
from edge.ledger.workshop import Component, VerdictTally
from edge.services import ical, maintenance
from edge.services.planning import Inputs, Plan, planning
from edge.view_basis import Basis, Sources, why_empty
from edge.view_components import Ages, ComponentsView
from edge.view_fleet import (
    DAY_MS,
    HORIZONS,
    HOUR_MS,
    NO_ITEMS,
    Items,
    believed,
    class_money,
    class_names,
    date_of,
    drained,
    gathered_items,
    items,
    name_of,
)
from edge.view_maintenance_inputs import over_hours, plan_inputs, promised_since
from edge.view_maintenance_returns import (
    ItemCents,
    Returned,
    item_cents,
    return_on,
    returned,
    ways,
)
from edge.view_maintenance_rows import (
    Advice,
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
from edge.view_maintenance_words import NO_PARTS, little_known, nearest, within
from edge.view_models import Prediction
from edge.view_speakers import Speakers, speakers
from edge.view_voice import Voice, voice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FRESH_MS = 3_600_000
"""A plan is made anew after so long, or when the day has changed."""
LOOKED_MS = 1_000
DAYS = 30
"""Days that are planned where nobody says otherwise."""
DAYS_MOST = 60
TOLD_MOST = 1_000
"""Services that the job's own result tells; the endpoint pages through all."""
PARTS_LEAST = 0.005
"""Fewer expected parts of a kind in a week are not told."""
PLANS_KEPT = 4
"""Plans of other lengths that are kept."""
PROPOSED_DAYS = 3
"""Services of so many days ahead are proposed."""
RULE = "expected cost of repairs, failures, missed rentals and hours, least for all items together"


@dataclass(frozen=True)
class Gathered:
    """What a plan is made of."""

    inputs: Inputs
    items: Items
    ages: Ages
    speakers: Speakers


@dataclass(frozen=True)
class Book:
    """A plan as it is shown."""

    plan: Plan
    today: int
    made_ms: int
    items: int
    weighed_days: int
    speakers: Speakers
    """The model that answered."""
    basis: Basis
    voice: Voice
    services: list[ServiceRow]
    cents: ItemCents
    ways: list[WayRow]
    returned: Returned
    parts: list[PartsRow]
    feed: bytes
    """The plan as an iCalendar feed."""
    over_hours: float
    """Hours that were promised beyond those there are."""
    nearest: str
    """Why nothing more is planned: what the best further service would save, beside what it must, in words."""

    @property
    def waiting(self) -> int:
        """Items that a service would pay for, and for which there are no hours."""
        return int(((self.plan.wanted > 0) & (self.plan.day < 0)).sum())

    @property
    def saved_cents(self) -> int:
        """What the plan saves."""
        return self.returned.totals["saved_cents"]


class MaintenanceView:
    """Reads the state, the columns of predictions and the ledger."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._settings: Maintenance = sources.config.maintenance
        self._components = ComponentsView(sources)
        self._books: dict[int, Book] = {}
        self._looked = (0, 0, 0), False

    def counted(self) -> Basis:
        """The basis of what nobody predicted."""
        return self._sources.counted()

    # -- plans ----------------------------------------------------------------------------------

    def book(self, days: int) -> Book | None:
        """The plan that is kept for so many days; ``None``: none yet."""
        return self._books.get(days)

    def of_today(self, days: int) -> bool:
        """Whether the plan that is kept is of today."""
        book = self.book(days)
        return book is not None and book.today == self._sources.core.state.today

    def fresh(self, days: int) -> bool:
        """Whether it is of today, of the model that answers now, and not old."""
        book = self.book(days)
        return (
            book is not None
            and self.of_today(days)
            and book.speakers.still(speakers(self._sources, "maintenance"))
            and self._sources.now_ms - book.made_ms < FRESH_MS
            and not self._decided_since(book)
        )

    def _decided_since(self, book: Book) -> bool:
        """Whether people said yes or no to its next services since it was made; looked at once a second."""
        asked = book.plan.days, book.made_ms, self._sources.now_ms // LOOKED_MS
        if self._looked[0] != asked or self._sources.now_ms < book.made_ms + LOOKED_MS:
            epcs = (row.epc for row in islice(book.services, TOLD_MOST))
            self._looked = asked, promised_since(self._sources, epcs, book.made_ms)
        return self._looked[1]

    def _keep(self, book: Book) -> None:
        """From now on this is shown."""
        books = self._books
        books.pop(book.plan.days, None)
        books[book.plan.days] = book
        while len(books) > PLANS_KEPT:
            del books[next(iter(books))]

    def gathering(self, days: int) -> Generator[None, None, Gathered]:
        """Columns for a plan, in slices; what the generator returns holds nothing live."""
        spoken = speakers(self._sources, "maintenance")
        found = yield from gathered_items(self._sources)
        worth = self._sources.config.quality.worth_rentals
        money = yield from class_money(self._sources, found.class_rows, worth)
        ages = yield from self._components.ages()
        inputs = yield from plan_inputs(self._sources, found, money, days)
        return Gathered(inputs, found, ages, spoken)

    def making(self, gathered: Gathered) -> Generator[float, None, Schedule]:
        """The plan, in slices, kept at the end; may be done in a thread."""
        plan = yield from planning(gathered.inputs)
        cents = item_cents(plan)
        names = class_names(self._sources.core.state, gathered.items.class_rows)
        yield 0.99
        sums = yield from returned(gathered.items, plan, cents, names)
        yield 0.99
        book = self._made(gathered, plan, cents, sums)
        self._keep(book)
        return self.schedule(book, book.services[:TOLD_MOST], None)

    def _made(self, gathered: Gathered, plan: Plan, cents: ItemCents, sums: Returned) -> Book:
        """The plan as it is shown."""
        found = gathered.items
        rows = np.flatnonzero(plan.day >= 0)
        rows = rows[np.lexsort((-plan.saves[rows], plan.day[rows]))]
        fallback = bool(len(found)) and not bool(found.by_model.all())
        services = [self._service(gathered, plan, cents, row) for row in rows.tolist()]
        return Book(
            plan=plan,
            today=found.today,
            made_ms=found.now_ms,
            items=len(found),
            weighed_days=gathered.inputs.costs.window_days,
            speakers=gathered.speakers,
            basis=self._basis(found, fallback),
            voice=found.voice,
            services=services,
            cents=cents,
            ways=ways(plan, cents, self._settings.interval_days),
            returned=sums,
            parts=self._parts_by_week(gathered.ages, plan),
            feed=self._feed(plan, services, _served_days(found, rows), found.now_ms),
            over_hours=over_hours(gathered.inputs, plan),
            nearest=nearest(gathered.inputs, plan),
        )

    def _basis(self, found: Items, fallback: bool) -> Basis:
        basis = self._sources.of_service("maintenance")
        basis.as_of_ms = found.now_ms
        basis.fallback = basis.fallback or fallback
        basis.rule = f"{basis.rule}; {RULE}" if basis.rule else RULE
        return found.voice.told(basis)

    def _service(self, gathered: Gathered, plan: Plan, cents: ItemCents, row: int) -> ServiceRow:
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
            averts_cents=int(cents.averts[row]),
            spends_cents=int(cents.spends[row]),
            saves_cents=int(cents.saves[row]),
            probability=round(float(plan.failing[row]), 6),
            avoids=round(float(plan.avoided[row]), 6),
            effect=effect_of(inputs, row),
            effect_by=effect_by(inputs, row),
            confidence=round(float(plan.beats[row]), 6),
            approved=bool(inputs.pinned_day[row] == plan.day[row]),
            known_days=round(float(found.voice.watched_days[row]), 2),
            founded=bool(found.voice.founded[row]),
            fallback=not bool(found.by_model[row]),
        )

    # -- answers --------------------------------------------------------------------------------

    def schedule(self, book: Book, services: list[ServiceRow], cursor: str | None) -> Schedule:
        """The plan, with these services of it."""
        plan = book.plan
        return Schedule(
            basis=book.basis,
            first_day=date_of(plan.first_day),
            days=plan.days,
            weighed_days=book.weighed_days,
            items=book.items,
            waiting=book.waiting,
            saved_cents=book.saved_cents,
            bound_cents=max(round(plan.bound), book.saved_cents),
            over_hours=round(book.over_hours, 3),
            ways=book.ways,
            services=services,
            why_empty=why_empty(services, *_no_service(book)),
            next_cursor=cursor,
        )

    def so_far(self, book: Book, services: list[ServiceRow]) -> list[ServiceRow]:
        """The same, with those marked whose items were served or repaired since the plan was made."""
        return [
            replace(row, done=True) if self._served(row.epc, book.made_ms) else row
            for row in services
        ]

    def _served(self, epc: str, since_ms: int) -> bool:
        state = self._sources.core.state
        row = state.item.keys.get(epc)
        return row >= 0 and bool(state.item.col["last_repair_ms"][row] > since_ms)

    def far_cost(self, epc: str, cents: int) -> str:
        """What a piece of work costs beside a new item or a usual repair, where that is absurd; else empty."""
        state, told = self._sources.core.state, self._settings
        rows = np.array([state.item.keys.get(epc)], np.int64)
        usual = told.repair_parts_cents + told.repair_hours * told.labour_cents
        found = state.item.col["class_row"][rows].astype(np.int64)
        if found[0] >= 0:
            worth = self._sources.config.quality.worth_rentals
            new = drained(class_money(self._sources, found, worth)).new_cents[0]
            usual = float(np.fmax(usual, new))
        return (
            jump(cents, usual, "the larger of a usual repair and a new item,")
            if cents > usual
            else ""
        )

    def _feed(
        self, plan: Plan, services: list[ServiceRow], served: list[int], made_ms: int
    ) -> bytes:
        """The plan as an iCalendar feed; ``served``: day of each item's last service."""
        shop = self._sources.config.shop.store
        entries = [
            ical.Entry(
                uid=f"service-{row.epc}-{since}@{shop}.rfid3",  # the same until it is served
                day=row.day,
                days=1,
                summary=f"Service {row.name or row.sku} ({row.epc[-8:]})",
                description=(
                    f"Item {row.epc}, class {row.sku}\n{row.hours:g} h, crew {row.crew}\n"
                    f"Probability of a failure within {plan.days} days: {row.probability:.0%}\n"
                    f"Expected to save {row.saves_cents / 100:.2f}"
                ),
                location=row.store,
                categories=("maintenance", row.crew),
                sequence=made_ms // HOUR_MS,
            )
            for row, since in zip(services, served, strict=True)
        ]
        stamp = str(np.datetime64(made_ms // 1000, "s")) + "Z"
        return ical.calendar(f"Maintenance of {shop}", entries, stamp).encode()

    def probability(self, epc: str, made: Prediction | None) -> Probability | None:
        """One item; ``None``: nobody knows it. ``made``: what the service says of it."""
        state = self._sources.core.state
        row = state.item.keys.get(epc)
        if row < 0:
            return None
        told = {answer.name: answer.value for answer in made.answers} if made else {}
        chances = np.array([[_number(told.get(f"p_event_{d:g}d")) for d in HORIZONS]])
        rows = np.array([row], np.int64)
        heard = voice(self._sources, "maintenance", rows)
        chances = believed(self._sources, rows, chances, heard)
        class_row = int(state.item.col["class_row"][row])
        sku = _class_of(state.cls.keys.keys_of([class_row])[0])[1] if class_row >= 0 else ""
        at = np.array([1, 3, 7, 14, 21, 30], np.float64)
        rates = maintenance.hazards(chances, HORIZONS)
        by_day = -np.expm1(-maintenance.cumulated(rates, HORIZONS, at))[0]
        known = not np.isnan(chances).any()
        sources = self._sources
        basis = sources.of_prediction(made) if made else sources.of_service("maintenance")
        return Probability(
            basis=heard.told(basis),
            epc=epc,
            sku=sku,
            curve=[
                DayChance(days=int(day), probability=round(float(p), 6) if known else None)
                for day, p in zip(at, by_day, strict=True)
            ],
            days_to_event_p50=_half_failed(rates, heard, told) if known else None,
            known_days=round(float(heard.watched_days[0]), 2),
            founded=bool(heard.founded[0]),
            advice=self._advice(row, chances) if known else None,
            components=self._components.of_item(epc),
        )

    def _advice(self, row: int, chances: Floats) -> Advice | None:
        found = items(self._sources, np.array([row], np.int64))
        if not len(found):
            return None
        worth = self._sources.config.quality.worth_rentals
        money = drained(class_money(self._sources, found.class_rows, worth))
        inputs = drained(plan_inputs(self._sources, found, money, DAYS))
        rates = maintenance.hazards(chances, HORIZONS)
        seen = maintenance.outlook(rates, HORIZONS, inputs.fresh, inputs.costs, DAYS)
        gain = np.where(np.arange(DAYS) < inputs.earliest[0], -np.inf, seen.gain[0])
        best = int(gain.argmax())
        pays = bool(gain[best] >= inputs.margin_cents[0])
        book = self.book(DAYS)
        planned = _planned(book, found.keys[0]) if book else None
        return Advice(
            failure_cents=round(float(inputs.costs.failed_cents()[0])),
            service_cents=round(float(inputs.costs.service_cents[0])),
            effect=effect_of(inputs, 0),
            effect_by=effect_by(inputs, 0),
            never_cents=round(float(seen.never[0])),
            best_cents=round(float(seen.service_on[0, best] if pays else seen.never[0])),
            best_day=date_of(inputs.first_day + best) if pays else "",
            planned_day=planned.day if planned else "",
            crew=planned.crew if planned else "",
        )

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
            parts=book.parts,
            service_parts_cents=plan.plan.services * self._settings.service_parts_cents,
            waiting=book.waiting,
            why_empty=why_empty(
                book.parts,
                (not self._sources.core.ledger.rows(Component), NO_PARTS),
                (True, f"No part is expected to end {within(plan.days)}."),
            ),
        )

    def _parts_by_week(self, ages: Ages, plan: Plan) -> list[PartsRow]:
        made = []
        for start in sorted({week.start_day for week in plan.weeks}):
            from_days = max(start - plan.first_day, 0)
            to_days = min(start + 7 - plan.first_day, plan.days)
            for name in sorted(ages):
                life, cost = self._components.life(name), self._components.cost(name)
                within = life.chance_within(ages[name], to_days)
                units = float((within - life.chance_within(ages[name], from_days)).sum())
                if units >= PARTS_LEAST:
                    made.append(
                        PartsRow(
                            week=date_of(start),
                            component=name,
                            units=round(units, 3),
                            cost_cents=round(units * cost) if cost is not None else None,
                        )
                    )
        return made

    def returns(self, book: Book, places: list[int], cursor: str | None) -> Returns:
        """What maintenance brings, with the classes at these places."""
        tallies = list(self._sources.core.ledger.rows(VerdictTally).values())
        times = {str(tally.verdict): tally.times for tally in tallies}
        judged = times.get("right", 0) + times.get("false_alarm", 0)
        totals = book.returned.totals
        calendar = next(row for row in book.ways if row.way == "calendar")
        return Returns(
            basis=book.basis,
            **totals,
            roi=return_on(totals["saved_cents"], totals["spend_cents"]),
            saved_against_calendar_cents=calendar.saved_cents,
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
            classes=[book.returned.line(i) for i in places],
            why_empty=why_empty(places, (not book.items, NO_ITEMS)),
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
            if row.founded and not self._served(row.epc, book.made_ms):
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
            confidence=row.confidence,
            impact_cents=row.saves_cents,
            value_cents=row.cost_cents,
            data={"day": row.day, "crew": row.crew, "hours": row.hours, "sku": row.sku},
            reasons=[
                f"fails or needs a repair within {book.plan.days} days with probability "
                f"{probability:.0%}",
                f"a service on {row.day} saves {row.saves_cents / 100:.2f} on average over "
                f"{book.weighed_days} days, its own {row.cost_cents / 100:.2f} taken off",
                _EFFECT_WORDS[row.effect_by].format(row.effect),
            ],
            service="maintenance",
            version=book.speakers.versions[0] if not row.fallback else "",
            fallback=row.fallback,
            valid_until_ms=(int(np.datetime64(row.day, "D").astype(np.int64)) + 1) * DAY_MS,
        )


_EFFECT_WORDS = {
    "model": "the model says that the item just served fails {:.0%} less often at first",
    "configured": "no model speaks of it: a service is taken to avert {:.0%} at first, as configured",
}


def _no_service(book: Book) -> tuple[tuple[bool, str], ...]:
    """Why a plan has no service."""
    return (
        (not book.items, NO_ITEMS),
        (
            not any(w.capacity_hours for w in book.plan.weeks),
            f"No crew has hours {within(book.plan.days)}.",
        ),
        (not book.services, f"{book.nearest}{little_known(book.voice)}"),
    )


def effect_of(inputs: Inputs, row: int) -> float:
    """Share of the item's rate of failures that is gone right after a service."""
    worn = float(maintenance.hazards(inputs.chances[row : row + 1], inputs.horizons)[0, -1])
    return round(max(1.0 - float(inputs.fresh.rate[row]) / worn, 0.0), 4) if worn > 0 else 0.0


def effect_by(inputs: Inputs, row: int) -> Literal["model", "configured"]:
    """Who tells that share."""
    return "model" if inputs.effect_by_model[row] else "configured"


def _served_days(found: Items, rows: Ints) -> list[int]:
    """Day of the last service or repair of these items, days since 1970-01-01; 0: never."""
    days: list[int] = (found.col["last_repair_ms"][rows] // DAY_MS).tolist()
    return days


def _half_failed(rates: Floats, heard: Voice, told: dict[str, float | None]) -> float | None:
    """Where the curve of one item passes one half; behind its end as a model tells it that is fully believed."""
    within = float(maintenance.half_failed(rates, HORIZONS)[0])
    if not np.isnan(within):
        return round(within, 2)
    later = told.get("days_to_event_p50", told.get("days_to_event"))
    if later is None or heard.share[0] < 1.0:
        return None
    return max(later, float(HORIZONS[-1]))


def _class_of(key: str) -> tuple[str, str]:
    """(store, sku)"""
    store, _, sku = key.partition("\x1f")
    return store, sku


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _share(above: float, below: float) -> float | None:
    return round(above / below, 6) if below else None


def _planned(book: Book, epc: str) -> ServiceRow | None:
    return next((row for row in book.services if row.epc == epc), None)
