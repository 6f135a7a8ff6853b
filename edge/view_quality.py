"""Quality as readers see it: grades ahead, health, what to do with items, prices, who is looked at next.

Gathers columns and hands them to ``edge.services``; all items together are made in slices
(``gathering``, then ``making``, which a thread may do) and kept for an hour.
"""

import math
from collections.abc import Generator

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edge.features.words import GRADE_TEXT
from edge.inference.manifest import Service
from edge.ledger.inspections import InspectionTally
from edge.services import quality
from edge.services.lifecycle import CHOICES
from edge.view_basis import Basis, Sources, why_empty
from edge.view_fleet import (
    NO_ITEMS,
    class_money,
    class_names,
    date_of,
    gathered_items,
    name_of,
    told,
)
from edge.view_maintenance_inputs import renewed
from edge.view_quality_book import HEALTH_PLACES, Book, Gathered, making
from edge.view_quality_curve import points
from edge.view_quality_rows import (
    Degradation,
    GradePoint,
    HealthPage,
    HealthParts,
    InspectionDue,
    InspectionPlan,
    ItemHealth,
    Relations,
    Replacement,
    Replacements,
    ResultRow,
)
from edge.view_quality_worth import LACKS, USE_DAYS
from edge.view_speakers import speakers
from edge.view_voice import voice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

FRESH_MS = 3_600_000
SPOKEN_BY: tuple[Service, ...] = ("quality", "maintenance")
"""Grades ahead are the one's word, chances of a failure the other's."""
THRESHOLD = "C+"
BOOK = 0
"""There is one book."""
RULE = (
    "without a model grades fall with use as in the item's class; worth of a year's rentals, repairs "
    "and what can be sold for"
)


class QualityView:
    """Reads the state, the columns of predictions and the ledger."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._kept: Book | None = None

    # -- the book -------------------------------------------------------------------------------

    def book(self, number: int = BOOK) -> Book | None:
        """What is kept; ``None``: nothing yet."""
        return self._kept

    def of_today(self, number: int = BOOK) -> bool:
        """Whether what is kept is of today."""
        return self._kept is not None and self._kept.items.today == self._sources.core.state.today

    def fresh(self, number: int = BOOK) -> bool:
        """Whether it is of today, of the models that answer now, and not old."""
        book = self._kept
        return (
            book is not None
            and self.of_today()
            and book.speakers.still(speakers(self._sources, *SPOKEN_BY))
            and self._sources.now_ms - book.made_ms < FRESH_MS
        )

    def gathering(self, number: int = BOOK) -> Generator[None, None, Gathered]:
        """Columns, in slices; what the generator returns holds nothing live."""
        sources = self._sources
        spoken = speakers(sources, *SPOKEN_BY)
        found = yield from gathered_items(sources)
        names, answers, by_model = told(sources, "quality", found.rows)
        yield
        heard = voice(sources, "quality", found.rows)
        classes = class_names(sources.core.state, found.class_rows)
        yield
        worth_rentals = sources.config.quality.worth_rentals
        money = yield from class_money(sources, found.class_rows, worth_rentals)
        fresh, _ = yield from renewed(sources, found)
        basis, of_failures = sources.of_service("quality"), sources.of_service("maintenance")
        basis.as_of_ms = of_failures.as_of_ms = found.now_ms
        basis.rule = f"{basis.rule}; {RULE}" if basis.rule else RULE
        return Gathered(
            found,
            money,
            names,
            answers,
            by_model,
            heard,
            classes,
            spoken,
            fresh,
            basis,
            of_failures,
        )

    def making(self, gathered: Gathered) -> Generator[float, None, Replacements]:
        """All of it, in slices, kept at the end; may be done in a thread."""
        self._kept = yield from making(self._sources.config, gathered)
        return self.replacements(self._kept, [], None)

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

    @staticmethod
    def _item_basis(book: Book, i: int) -> Basis:
        spoke = bool(book.basis.version)
        rule = "" if spoke else book.basis.rule
        basis = replace(book.basis, fallback=not spoke, rule=rule)
        return basis.as_rule("quality", RULE) if np.isnan(book.after[i]).any() else basis

    @staticmethod
    def _points(book: Book, of: Ints) -> tuple[list[GradePoint], float | None]:
        """Of the items at these places, as ``points`` gives them."""
        return points(book.items.grade[of], book.after[of], book.change, book.loss[of])

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
        tallies = self._sources.core.ledger.rows(InspectionTally).values()
        return InspectionPlan(
            basis=book.of_failures,
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


NOT_SEEN = (
    f"In no class the price paid is seen to follow the grade: it takes {quality.ITEMS_LEAST} items of a class "
    "with a grade and a price, of which both differ."
)


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


def _rounded(value: float, places: int = 6) -> float | None:
    return round(float(value), places) if math.isfinite(value) else None
