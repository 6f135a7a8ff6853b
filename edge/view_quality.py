"""Quality as readers see it: grades ahead, health, what to do with items, prices, who is looked at next.

Gathers columns and hands them to ``edge.services``; all items together are made in slices
(``gathering``, then ``making``, which a thread may do) and kept for an hour.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.config import Maintenance, Quality
from edge.features.words import GRADE_TEXT
from edge.ledger.inspections import InspectionTally
from edge.services import lifecycle, maintenance, quality
from edge.services.lifecycle import CHOICES, MONTH_DAYS, MONTHS, Terms
from edge.services.quality import HORIZONS_DAYS, Relation
from edge.view_basis import Basis, Sources, why_empty
from edge.view_fleet import (
    HORIZONS,
    NO_ITEMS,
    ClassMoney,
    ClassNames,
    Items,
    class_money,
    class_names,
    date_of,
    gathered_items,
    name_of,
    repair_costs,
    told,
)
from edge.view_quality_rows import (
    Degradation,
    GradePoint,
    HealthPage,
    HealthParts,
    InspectionDue,
    InspectionPlan,
    ItemHealth,
    RelationRow,
    Relations,
    Replacement,
    Replacements,
    ResultRow,
)
from edge.view_voice import NEEDED_DAYS_MOST, Voice, voice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

FRESH_MS = 3_600_000
ROWS = 1_024
"""Items looked at in one slice."""
FALSE_MOST = 0.05
"""Most false discoveries among the relations that are said to be seen."""
RELATIONS = 32
"""Classes whose prices are looked at in one slice."""
THRESHOLD = "C+"
RENEWED_GRADE = 8.0
"""Grade of an item that was just refurbished: A."""
INSPECTION_DAYS = 60
"""Days ahead that inspections are planned for."""
BOOK = 0
"""There is one book."""
HEALTH_PLACES = 2
"""Health is compared as it is shown."""
USE_DAYS = NEEDED_DAYS_MOST
"""Closed days of a class that tell how much its items are needed: of fewer nobody knows."""
LACKS = (
    "",
    f"use is known of fewer than {USE_DAYS} closed days of the class",
    "nobody graded them",
    "neither a price nor revenue of the class is known",
)
"""Why nothing is said of what to do with items; the first that holds."""
RULE = (
    "without a model grades fall with use as in the item's class; worth of a year's rentals, repairs "
    "and what can be sold for"
)
_MONTHS = [float(m * MONTH_DAYS) for m in range(MONTHS + 1)]


@dataclass(frozen=True)
class Gathered:
    """What the book is made of."""

    items: Items
    money: ClassMoney
    names: tuple[str, ...]
    answers: Floats
    by_model: Mask
    voice: Voice
    """How far the model of quality is believed."""
    classes: ClassNames
    version: str


@dataclass(frozen=True)
class Book:
    """All items of the shop; arrays are of its n items or g classes."""

    items: Items
    new_cents: Floats
    """float64[g]: price of a new one."""
    guessed: Mask
    """bool[g]: whether nobody told it."""
    made_ms: int
    version: str
    """Of the model that answered; empty: a simple rule did."""
    basis: Basis
    after: Floats
    """float64[n, 3]: groups of grades after a step, as a model told them; NaN: none did."""
    change: Floats
    """float64[3, 3]: from each group to each, over the shop."""
    loss: Floats
    """float64[n]: grades lost a day, where no model spoke."""
    rates: Floats
    """float64[n, 4] of failures a day."""
    health: Floats
    parts: Floats
    known: Floats
    busy: Floats
    """float64[n]: share of days on which each is needed; NaN: too few days are known."""
    known_days: Ints
    """int64[g]: closed days on which each class was known."""
    lacks: Ints
    """int64[n]: why nothing is said of what to do with it, as in ``LACKS``; 0: something is."""
    values: lifecycle.Values
    gain: Floats
    """float64[n]: what the best choice is worth more than keeping, or keeping than the next."""
    refurbish_cents: Floats
    stake_cents: Floats
    classes: ClassNames
    relations: list[RelationRow]
    relations_by: dict[str, Floats]
    """Field of ``relations`` -> float64[g] to sort by."""
    inspections: quality.Inspections

    def place(self, row: int) -> int:
        """The item's place, by its row in the state; -1: not in the book."""
        at = int(np.searchsorted(self.items.rows, row))
        return at if at < len(self.items) and self.items.rows[at] == row else -1


class QualityView:
    """Reads the state, the columns of predictions and the ledger."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._settings: Quality = sources.config.quality
        self._maintenance: Maintenance = sources.config.maintenance
        self._kept: Book | None = None

    # -- the book -------------------------------------------------------------------------------

    def book(self, number: int = BOOK) -> Book | None:
        """What is kept; ``None``: nothing yet."""
        return self._kept

    def of_today(self, number: int = BOOK) -> bool:
        """Whether what is kept is of today."""
        return self._kept is not None and self._kept.items.today == self._sources.core.state.today

    def fresh(self, number: int = BOOK) -> bool:
        """Whether it is of today, of the model that answers now, and not old."""
        book = self._kept
        return (
            book is not None
            and self.of_today()
            and book.version == self._sources.of_service("quality").version
            and self._sources.now_ms - book.made_ms < FRESH_MS
        )

    def gathering(self, number: int = BOOK) -> Generator[None, None, Gathered]:
        """Columns, in slices; what the generator returns holds nothing live."""
        found = yield from gathered_items(self._sources)
        names, answers, by_model = told(self._sources, "quality", found.rows)
        yield
        heard = voice(self._sources, "quality", found.rows)
        classes = class_names(self._sources.core.state, found.class_rows)
        yield
        money = yield from class_money(
            self._sources, found.class_rows, self._settings.worth_rentals
        )
        version = self._sources.of_service("quality").version
        return Gathered(found, money, names, answers, by_model, heard, classes, version)

    def making(self, gathered: Gathered) -> Generator[float, None, Replacements]:
        """All of it, in slices, kept at the end; may be done in a thread."""
        found, money = gathered.items, gathered.money
        grade, group = found.grade, quality.group_of(found.grade)
        after = quality.shares_told(gathered.names, gathered.answers, grade)
        after = quality.held(after, group, gathered.voice.share)
        change = quality.changes(group, after)
        used = self._used_a_day(found)
        by_class = quality.wear(grade, used * self._age(found), found.cls, len(found.class_rows))
        loss = np.nan_to_num(by_class, nan=0.0)[found.cls] * used
        rates = maintenance.hazards(found.chances, HORIZONS)
        cents, _, _ = repair_costs(found, self._maintenance)
        health, parts, known = quality.health(
            grade, found.chances[:, -1], found.open_defects, self._spent(found, money)
        )
        yield 0.1
        relations = yield from self._relations(found)
        prices = quality.price_shares(relations, self._settings.price_shares)
        place = lifecycle.ranks(found.cls, health)
        renewed = self._renewed(change)
        columns = []
        busy = np.zeros(len(found))
        refurbish = self._settings.refurbish_share * money.new_cents[found.cls]
        for start in range(0, max(len(found), 1), ROWS):
            part = slice(start, start + ROWS)
            of = found.cls[part]
            busy[part] = _busy(money, of, place[part])
            columns.append(
                lifecycle.values(
                    shares=_shares(grade[part], after[part], change, loss[part], _MONTHS),
                    renewed=_renewed(after[part], renewed, loss[part]),
                    busy=busy[part],
                    rent_cents=money.rent_day_cents[of],
                    rate_a_day=rates[part, -1],
                    repair_cents=cents[part] * self._maintenance.emergency_factor,
                    new_cents=money.new_cents[of],
                    refurbish_cents=refurbish[part],
                    price_shares=prices[of],
                    terms=self._terms(),
                )
            )
            yield 0.4 + 0.6 * min(part.stop / max(len(found), 1), 1.0)
        stake = cents * self._maintenance.emergency_factor + self._maintenance.failure_cents
        values = _joined(columns)
        relation_rows = self._relation_rows(gathered.classes, relations)
        self._kept = Book(
            items=found.only("grade"),
            new_cents=money.new_cents,
            guessed=money.guessed,
            made_ms=found.now_ms,
            version=gathered.version,
            basis=self._basis(gathered, bool(np.isnan(after).any())),
            after=after,
            change=change,
            loss=loss,
            rates=rates,
            health=np.round(health, HEALTH_PLACES),
            parts=parts,
            known=known,
            busy=busy,
            known_days=money.known_days,
            lacks=_lacks(busy, grade, values.best),
            values=values,
            gain=_gain(values),
            refurbish_cents=refurbish,
            stake_cents=stake,
            classes=gathered.classes,
            relations=relation_rows,
            relations_by=_relation_columns(relation_rows, gathered.classes),
            inspections=self._inspections(found, rates[:, -1], stake),
        )
        return self.replacements(self._kept, [], None)

    def _basis(self, gathered: Gathered, unknown: bool) -> Basis:
        basis = self._sources.of_service("quality")
        basis.as_of_ms = gathered.items.now_ms
        silent = unknown or not gathered.by_model.all()
        basis.fallback = basis.fallback or (silent and len(gathered.items) > 0)
        basis.rule = f"{basis.rule}; {RULE}" if basis.rule else RULE
        return gathered.voice.told(basis)

    @staticmethod
    def _age(found: Items) -> Floats:
        """float64[n], days."""
        return np.nan_to_num(found.days_since("first_seen_ms"), nan=0.0)

    def _used_a_day(self, found: Items) -> Floats:
        """float64[n]: share of its days that an item was on rent."""
        out = found.col["on_rent_ms_total"] / 86_400_000
        running = np.where(
            found.on_rent & (found.col["rented_at_ms"] > 0),
            np.maximum(found.now_ms - found.col["rented_at_ms"], 0) / 86_400_000,
            0.0,
        )
        return np.asarray(np.clip((out + running) / np.maximum(self._age(found), 1.0), 0.0, 1.0))

    def _spent(self, found: Items, money: ClassMoney) -> Floats:
        """float64[n]: share used up of the life, or of the worth in repairs, whichever is more."""
        life = np.where(np.isnan(money.life_days), self._settings.life_days, money.life_days)
        aged = self._age(found) / life[found.cls]
        repaired = found.col["repair_cost_cents_total"] / money.new_cents[found.cls]
        return np.asarray(np.fmax(aged, repaired), np.float64)

    def _terms(self) -> Terms:
        settings = self._settings
        return Terms(
            resale_shares=settings.resale_shares,
            fading_a_year=settings.fading,
            effect=self._maintenance.effect,
            refurbish_days=settings.refurbish_days,
            selling_cents=settings.selling_cents,
            disposal_cents=settings.disposal_cents,
            interest_a_year=settings.interest,
        )

    @staticmethod
    def _renewed(change: Floats) -> Floats:
        """float64[13, 3]: grades of an item that was just refurbished, month by month."""
        found = quality.curve(np.array([RENEWED_GRADE]), change[:1], change, _MONTHS)
        return np.asarray(found.shares[0], np.float64)

    def _relations(self, found: Items) -> Generator[float, None, list[Relation]]:
        rentals = found.col["rentals_total"].astype(np.float64)
        price = np.where(rentals > 0, found.col["revenue_cents_total"] / np.maximum(rentals, 1), 0)
        grade, order = found.grade, np.argsort(found.cls, kind="stable")
        ends = np.cumsum(np.bincount(found.cls, minlength=len(found.class_rows)))
        made: list[Relation] = []
        for i, end in enumerate(ends.tolist()):
            of = order[(ends[i - 1] if i else 0) : end]
            made.append(quality.price_relation(grade[of], price[of], rentals[of]))
            if i % RELATIONS == RELATIONS - 1:
                yield 0.1 + 0.3 * i / len(ends)
        return made

    def _inspections(self, found: Items, rate: Floats, stake: Floats) -> quality.Inspections:
        settings = self._settings
        return quality.inspections(
            rate,
            found.days_since("last_inspection_ms", "last_repair_ms"),
            stake,
            found.on_rent,
            days=INSPECTION_DAYS,
            a_day=settings.inspections_a_day,
            risk=settings.inspection_risk,
            shortest_days=settings.inspection_min_days,
            longest_days=settings.inspection_max_days,
        )

    # -- which items ------------------------------------------------------------------------------

    def passing(self, book: Book, sku: str | None, store: str | None) -> Mask:
        """bool[n]: items of a class, of a store."""
        return book.classes.passing(sku, store)[book.items.cls]

    def _named(self, book: Book, i: int) -> dict[str, str]:
        of = int(book.items.cls[i])
        state, classes = self._sources.core.state, book.classes
        name = name_of(state, int(book.items.rows[i]), int(classes.rows[of]))
        return {
            "epc": book.items.keys[i],
            "name": name,
            "sku": classes.skus[of],
            "store": classes.stores[of],
        }

    # -- health -----------------------------------------------------------------------------------

    def health(self, book: Book, mask: Mask, places: list[int], cursor: str | None) -> HealthPage:
        """Of items at these places; ``mask``: those that pass the filters."""
        scores = book.health[mask]
        known = scores[~np.isnan(scores)]
        return HealthPage(
            basis=book.basis,
            items=len(book.items),
            mean=round(float(known.mean()), 3) if len(known) else None,
            passing=int(mask.sum()),
            health=[self.item_health(book, i) for i in places],
            why_empty=why_empty(places, (not len(book.items), NO_ITEMS)),
            next_cursor=cursor,
        )

    def item_health(self, book: Book, i: int) -> ItemHealth:
        """Of the item at this place."""
        parts = {name: _rounded(p) for (name, _), p in zip(_PARTS, book.parts[i], strict=True)}
        return ItemHealth(
            **self._named(book, i),
            grade=GRADE_TEXT[int(book.items.col["grade"][i])],
            health=_rounded(book.health[i], HEALTH_PLACES),
            known=round(float(book.known[i]), 4),
            parts=HealthParts(**parts),
            fallback=not bool(book.items.by_model[i]),
        )

    # -- grades ahead -----------------------------------------------------------------------------

    def degradation(self, book: Book, epc: str) -> Degradation | None:
        """One item; ``None``: nobody knows it, or it is not in the shop's book."""
        row = self._sources.core.state.item.keys.get(epc)
        i = book.place(row) if row >= 0 else -1
        if i < 0:
            return None
        grade = book.items.grade
        of = np.flatnonzero((book.items.cls == book.items.cls[i]) & ~np.isnan(grade))
        own, days = self._points(book, np.array([i]))
        return Degradation(
            basis=self._item_basis(book, i),
            epc=epc,
            sku=self._named(book, i)["sku"],
            grade=GRADE_TEXT[int(book.items.col["grade"][i])],
            curve=own,
            days_to_threshold=days,
            threshold=THRESHOLD,
            health=self.item_health(book, i),
            class_items=len(of),
            class_curve=self._points(book, of)[0] if len(of) else [],
            replacement=self.replacement(book, i) if book.values.best[i] >= 0 else None,
            no_advice=_no_advice(book, i),
        )

    def _item_basis(self, book: Book, i: int) -> Basis:
        basis = self._sources.of_service("quality")
        basis.as_of_ms, basis.held = book.made_ms, book.basis.held
        return basis.as_rule("quality", RULE) if np.isnan(book.after[i]).any() else basis

    def _points(self, book: Book, of: Ints) -> tuple[list[GradePoint], float | None]:
        """(mean of these items' curves, days until C of the first)."""
        grade, after = book.items.grade[of], book.after[of]
        shares = _shares(grade, after, book.change, book.loss[of], HORIZONS_DAYS)
        model = quality.curve(grade, after, book.change)
        path, until = quality.worn(grade, book.loss[of])
        by_model = np.asarray(~np.isnan(after).any(axis=1))
        level = np.where(by_model[:, None], model.grade, path).mean(axis=0)
        days = float(np.where(by_model, model.threshold_days, until)[0])
        share = shares.mean(axis=0)
        made = [
            GradePoint(
                days=int(day),
                grade=_rounded(level[t], 4),
                p_a=_rounded(share[t, 0]),
                p_b=_rounded(share[t, 1]),
                p_c=_rounded(share[t, 2]),
            )
            for t, day in enumerate(HORIZONS_DAYS)
        ]
        return made, round(days, 2) if math.isfinite(days) else None

    # -- what to do with them ---------------------------------------------------------------------

    def replacements(
        self, book: Book, recommendations: list[Replacement], cursor: str | None
    ) -> Replacements:
        """What to do with items, with these of them."""
        best = book.values.best
        counts: dict[str, int] = {}
        for i, name in enumerate(CHOICES):
            counts[name] = int((best == i).sum())
        counts["unknown"] = int((best < 0).sum())
        unknown = _unknown(book)
        return Replacements(
            basis=book.basis,
            items=len(book.items),
            counts=counts,
            unknown=unknown,
            gain_cents=round(float(book.gain[best > 0].sum())),
            recommendations=recommendations,
            why_empty=why_empty(recommendations, *_no_recommendation(book)),
            next_cursor=cursor,
        )

    def replacement(self, book: Book, i: int) -> Replacement:
        """Of the item at this place, whose choice is known."""
        found, values, of = book.items, book.values, int(book.items.cls[i])
        keep, refurbish, resell, retire = (round(v) for v in values.worth[i].tolist())
        choice = CHOICES[int(values.best[i])]
        return Replacement(
            **self._named(book, i),
            choice=choice,
            gain_cents=round(float(book.gain[i])),
            keep_cents=keep,
            refurbish_cents=refurbish,
            resell_cents=resell,
            retire_cents=retire,
            sell_after_days=int(values.sell_after_days[i]),
            earns_cents=round(float(values.earns[i])),
            repairs_cents=round(float(values.repairs[i])),
            refurbishing_cents=round(float(book.refurbish_cents[i])),
            new_cents=round(float(book.new_cents[of])),
            new_guessed=bool(book.guessed[of]),
            busy=round(float(book.busy[i]), 4),
            grade=GRADE_TEXT[int(found.col["grade"][i])],
            health=_rounded(book.health[i], 2),
            reasons=self._reasons(book, i),
            fallback=bool(np.isnan(book.after[i]).any()) or not bool(found.by_model[i]),
        )

    def _reasons(self, book: Book, i: int) -> list[str]:
        values, days = book.values, int(book.known_days[book.items.cls[i]])
        return [
            f"needed on {book.busy[i]:.0%} of {days} days",
            f"earns {values.earns[i] / 100:.2f} in the year ahead",
            f"costs {values.repairs[i] / 100:.2f} in repairs in the year ahead",
            f"sells for {values.worth[i, 2] / 100:.2f} now",
        ]

    # -- prices -----------------------------------------------------------------------------------

    @staticmethod
    def _relation_rows(classes: ClassNames, relations: list[Relation]) -> list[RelationRow]:
        """Price paid against grade, by class."""
        shares = quality.false_shares(relations).tolist()
        return [
            RelationRow(
                sku=sku,
                store=store,
                items=one.items,
                refused=one.refused,
                per_grade=_rounded(one.per_grade),
                low=_rounded(one.low),
                high=_rounded(one.high),
                explained=_rounded(one.explained),
                false_share=_rounded(share),
                seen=share <= FALSE_MOST,
            )
            for sku, store, one, share in zip(
                classes.skus, classes.stores, relations, shares, strict=True
            )
        ]

    def relations(self, book: Book, places: list[int], cursor: str | None) -> Relations:
        """With the classes at these places."""
        formula = "weighted least squares of the logarithm of the price paid on the grade"
        return Relations(
            basis=self._sources.computed(formula),
            classes=[book.relations[i] for i in places],
            why_empty=why_empty(
                places,
                (not book.relations, NO_ITEMS),
                (not any(row.seen for row in book.relations), NOT_SEEN),
            ),
            next_cursor=cursor,
        )

    # -- inspections --------------------------------------------------------------------------------

    def inspection(self, book: Book, m: int, days: int) -> InspectionDue:
        """The line of the plan at this place."""
        plan = book.inspections
        i, day = int(plan.rows[m]), int(plan.day[m])
        planned = 0 <= day < days
        return InspectionDue(
            **self._named(book, i),
            day=date_of(book.items.today + 1 + day) if planned else "",
            due_in_days=round(float(plan.due_in_days[m]), 2),
            interval_days=round(float(plan.interval_days[m]), 2),
            unseen=round(float(plan.unseen[m]), 6),
            stake_cents=round(float(book.stake_cents[i])),
            grade=GRADE_TEXT[int(book.items.col["grade"][i])],
        )

    def inspections(
        self, book: Book, days: int, rows: list[InspectionDue], cursor: str | None
    ) -> InspectionPlan:
        """With these of them."""
        due_in = book.inspections.due_in_days
        basis = book.items.voice.told(self._sources.of_service("maintenance"))
        basis.as_of_ms = book.made_ms
        tallies = self._sources.core.ledger.rows(InspectionTally).values()
        return InspectionPlan(
            basis=basis,
            due=int((due_in < days).sum()),
            overdue=int((due_in <= 0).sum()),
            results=[
                ResultRow(
                    result=tally.result,
                    times=tally.times,
                    minutes_mean=round(tally.minutes / tally.times, 2) if tally.minutes else None,
                    defects_mean=round(tally.defects / tally.times, 3),
                )
                for tally in tallies
            ],
            inspections=rows,
            why_empty=why_empty(
                rows,
                (not len(book.items), NO_ITEMS),
                (not (due_in < days).any(), f"Nobody is due within {days} days."),
            ),
            next_cursor=cursor,
        )

    def counted(self) -> Basis:
        """The basis of what nobody predicted."""
        return self._sources.counted()

    def status_of(self, epc: str) -> tuple[str, str] | None:
        """(status, grade) of an item now; ``None``: nobody knows it."""
        state = self._sources.core.state
        row = state.item.keys.get(epc)
        if row < 0:
            return None
        status = state.status.keys.key(int(state.item.col["status_row"][row]))
        return status, GRADE_TEXT[int(state.item.col["grade"][row])]


_PARTS = quality.HEALTH_PARTS


def _shares(
    grade: Floats,
    after: Floats,
    change: Floats,
    loss: Floats,
    days: "list[float] | tuple[int, ...]",
) -> Floats:
    """float64[n, t, 3]: as a model tells it, else the group of an evenly falling grade."""
    shares = quality.curve(grade, after, change, days).shares
    silent = np.isnan(after).any(axis=1) & ~np.isnan(grade)
    if silent.any():
        path, _ = quality.worn(grade[silent], loss[silent], days)
        shares[silent] = quality.shares_of(path)
    return shares


def _renewed(after: Floats, by_model: Floats, loss: Floats) -> Floats:
    """float64[n, 13, 3]: once refurbished, as items of that grade in the shop or with the same wear."""
    path, _ = quality.worn(np.full(len(loss), RENEWED_GRADE), loss, _MONTHS)
    silent = np.asarray(np.isnan(after).any(axis=1))
    return np.where(silent[:, None, None], quality.shares_of(path), by_model)


NOT_SEEN = (
    f"In no class the price paid is seen to follow the grade: it takes {quality.ITEMS_LEAST} items of a class "
    "with a grade and a price, of which both differ."
)


def _busy(money: ClassMoney, cls: Ints, place: Ints) -> Floats:
    """float64[n]: share of known days on which the item of this place in its class is out; NaN: unknown."""
    out, days = money.out[:, cls], money.known_days[cls]
    share = (out >= place[None, :]).sum(axis=0) / np.maximum(days, 1)
    return np.where(days >= USE_DAYS, share, np.nan)


def _lacks(busy: Floats, grade: Floats, best: Ints) -> Ints:
    """int64[n]: see ``Book.lacks``."""
    unknown = best < 0
    return np.select([~unknown, np.isnan(busy), np.isnan(grade)], [0, 1, 2], 3).astype(np.int64)


def _unknown(book: Book) -> dict[str, int]:
    """Why nothing is said of items -> of how many."""
    many = np.bincount(book.lacks, minlength=len(LACKS)).tolist()
    return {words: n for words, n in zip(LACKS, many, strict=True) if words and n}


def _no_advice(book: Book, i: int) -> str:
    """Why nothing is said of the item at this place; empty: something is."""
    days = int(book.known_days[book.items.cls[i]])
    return (
        "",
        f"The use of its class is known of {days} closed days; {USE_DAYS} are needed. Keep it till then.",
        "Nobody graded it: inspect it and tell the grade.",
        "Neither a price nor revenue of its class is known: tell its price in the catalogue.",
    )[int(book.lacks[i])]


def _no_recommendation(book: Book) -> tuple[tuple[bool, str], ...]:
    """Why nothing else than keeping is recommended."""
    best, n = book.values.best, len(book.items)
    why = "; ".join(f"of {many} items, as {words}" for words, many in _unknown(book).items())
    silent = f" Nothing is said {why}." if why else ""
    return (
        (not n, NO_ITEMS),
        (not (best >= 0).any(), f"Not enough is known yet: nothing is said {why}."),
        (
            not (best > 0).any(),
            f"The {int((best == 0).sum())} items known well are best kept.{silent}",
        ),
    )


def _relation_columns(rows: list[RelationRow], classes: ClassNames) -> dict[str, Floats]:
    """See ``Book.relations_by``."""
    told = {
        name: np.array([getattr(row, name) for row in rows], np.float64)
        for name in ("per_grade", "explained", "items", "seen")
    }
    return {**told, "sku": classes.sortable()}


def _gain(values: lifecycle.Values) -> Floats:
    """float64[n]: see ``Book.gain``."""
    worth, best = values.worth, values.best
    keep, others = worth[:, 0], worth[:, 1:]
    next_best = np.where(np.isnan(others), -np.inf, others).max(axis=1, initial=-np.inf)
    chosen = worth[np.arange(len(best)), np.maximum(best, 0)]
    ahead = np.where(best == 0, keep - next_best, chosen - keep)
    return np.where(best < 0, np.nan, ahead)


def _joined(parts: list[lifecycle.Values]) -> lifecycle.Values:
    return lifecycle.Values(
        worth=np.concatenate([p.worth for p in parts]),
        best=np.concatenate([p.best for p in parts]),
        sell_after_days=np.concatenate([p.sell_after_days for p in parts]),
        earns=np.concatenate([p.earns for p in parts]),
        repairs=np.concatenate([p.repairs for p in parts]),
    )


def _rounded(value: float, places: int = 6) -> float | None:
    return round(float(value), places) if math.isfinite(value) else None
