"""Quality: grades ahead, health, what to do with items, price against grade, inspections."""

from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, field

from edge.api.body import Body
from edge.api.books import book_of, places_of
from edge.api.commands import CREATED, KEY_HEADER, PROBLEMS, CommandAnswer
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.lists import Listing, arranged
from edge.api.problems import Problem
from edge.api.query import Text
from edge.api.state import identity_of
from edge.api.workshop import (
    ClassesQuery,
    ItemPath,
    Minutes,
    SaidQuery,
    Who,
    Words,
    known_item,
    said,
    tell,
)
from edge.events import Defect, Event, Grade, ItemLink, ItemScan, Maintenance
from edge.features.words import GRADE_NUMBER, GRADE_TEXT, GROUP_OF_STATUS
from edge.ledger.inspections import Inspection, RecordInspection, Result
from edge.services.lifecycle import CHOICES, Choice
from edge.view_basis import Listed, why_empty
from edge.view_quality import BOOK, QualityView
from edge.view_quality_book import INSPECTION_DAYS, Book
from edge.view_quality_rows import (
    Degradation,
    HealthPage,
    InspectionDue,
    InspectionPlan,
    ItemHealth,
    RelationRow,
    Relations,
    Replacement,
    Replacements,
)

KIND = "quality of all items"
STATUS_AFTER: dict[Result, str] = {"repair": "Repair", "wash": "Wash"}
READY = "Ready to Rent"
NO_RESULTS = "No inspection was recorded yet: POST /api/predictive/quality/inspection-result takes what was found."

Score = Annotated[float, Meta(ge=0, le=100)]
Ahead = Annotated[int, Meta(ge=1, le=INSPECTION_DAYS)]


class HealthQuery(ClassesQuery):
    """Which items."""

    below: Score | None = None
    """Only those whose health is below this."""


class ReplacementQuery(ClassesQuery):
    """Which items."""

    choice: Choice | None = None
    """Only those for which this is worth most; without it all but ``keep``."""
    min_gain_cents: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    """Only those for which it is worth at least so much more."""


class RelationQuery(ClassesQuery):
    """Which classes."""

    seen: bool | None = None
    """``true``: only where a relation is seen; ``false``: only where none is."""


class InspectionsQuery(ClassesQuery):
    """Which items."""

    days: Ahead = 7
    """Those due within so many days."""


class ResultsQuery(SaidQuery):
    """Which inspections."""

    result: Result | None = None
    """Only those that ended so."""


class InspectionResult(Body):
    """What was found when somebody looked at an item."""

    item: Text
    """EPC of the item."""
    result: Result
    """What follows: ``pass``, ``repair``, ``wash`` or ``retire``."""
    grade: Grade = ""
    """Grade given, A+ to C-; empty: none."""
    defects: list[Defect] = field(default_factory=list)
    """Defects found."""
    minutes: Minutes = 0
    """How long it took."""
    note: Words = ""
    """Free words."""
    by: Who = ""
    """Who looked, pseudonymous."""


class InspectionAnswer(CommandAnswer, kw_only=True):
    """What became of it."""

    result: Inspection | None = None
    """The row; null while it is not decided."""
    events: dict[str, int] = field(default_factory=dict)
    """What became of the events beside it: ``admitted``, ``duplicate`` … -> how many."""


class InspectionList(Listed, kw_only=True):
    """What people found."""

    inspections: list[Inspection]
    """The newest 1,000 are looked at."""


HEALTH: Listing[ItemHealth] = Listing(
    "health", key=("epc",), sorts=("health", "grade", "known"), sort="health"
)
REPLACE: Listing[Replacement] = Listing(
    "replacements",
    key=("epc",),
    sorts=("gain_cents", "keep_cents", "resell_cents", "busy", "earns_cents", "repairs_cents"),
    sort="gain_cents",
    order="desc",
)
CLASSES: Listing[RelationRow] = Listing(
    "price relations",
    key=("sku", "store"),
    sorts=("per_grade", "explained", "items", "sku"),
    sort="explained",
    order="desc",
)
DUE: Listing[InspectionDue] = Listing(
    "inspections due",
    key=("epc",),
    sorts=("day", "due_in_days", "unseen", "stake_cents"),
    sort="due_in_days",
)
FOUND: Listing[Inspection] = Listing(
    "inspections",
    key=("id",),
    sorts=("at_ms", "minutes"),
    sort="at_ms",
    order="desc",
    filters={"result": "result"},
)


async def _book(api: Api) -> Book | Answer:
    return await book_of(api, api.view_of(QualityView), BOOK, KIND)


async def health(api: Api, call: Call[HealthQuery, Path]) -> HealthPage | Answer:
    """How well items are, the worst first."""
    book, query = await _book(api), call.query
    if isinstance(book, Answer):
        return book
    view = api.view_of(QualityView)
    mask = view.passing(book, query.sku, query.store)
    if query.below is not None:
        mask &= book.health < query.below
    columns = {"health": book.health, "grade": book.items.grade, "known": book.known}
    places, cursor = places_of(HEALTH, query, book.items.rows, columns, mask)
    return view.health(book, mask, places, cursor)


async def degradation(api: Api, call: Call[Query, ItemPath]) -> Degradation | Answer:
    """How the grade of one item falls, beside its class."""
    epc = identity_of(call.path.item_id)
    view = api.view_of(QualityView)
    if view.status_of(epc) is None:
        raise Problem("unknown-item", f"Nothing is known about {epc!r}.")
    book = await _book(api)
    if isinstance(book, Answer):
        return book
    found = view.degradation(book, epc)
    if found is None:
        raise Problem(
            "unknown",
            f"{epc!r} is not among the items of the shop: retired, sold, missing, of no class, or "
            "newer than what is shown.",
            cure="See /api/items; what is shown is made anew every hour.",
        )
    return found


async def replacements(api: Api, call: Call[ReplacementQuery, Path]) -> Replacements | Answer:
    """What to do with items, and the money behind it."""
    book, query = await _book(api), call.query
    if isinstance(book, Answer):
        return book
    view = api.view_of(QualityView)
    best, gain = book.values.best, book.gain
    mask = view.passing(book, query.sku, query.store) & (best >= 0)
    mask &= best == CHOICES.index(query.choice) if query.choice else best > 0
    if query.min_gain_cents is not None:
        mask &= gain >= query.min_gain_cents
    columns = {
        "gain_cents": gain,
        "keep_cents": book.values.worth[:, 0],
        "resell_cents": book.values.worth[:, 2],
        "busy": book.busy,
        "earns_cents": book.values.earns,
        "repairs_cents": book.values.repairs,
    }
    places, cursor = places_of(REPLACE, query, book.items.rows, columns, mask)
    return view.replacements(book, [view.replacement(book, i) for i in places], cursor)


async def price_relation(api: Api, call: Call[RelationQuery, Path]) -> Relations | Answer:
    """Price paid against grade, by class; nothing is said where nothing varies."""
    book = await _book(api)
    if isinstance(book, Answer):
        return book
    query, columns = call.query, book.relations_by
    passing = book.classes.passing(query.sku, query.store)
    if query.seen is not None:
        passing &= columns["seen"] == query.seen
    places, cursor = places_of(CLASSES, query, book.classes.rows, columns, passing)
    return api.view_of(QualityView).relations(book, places, cursor)


async def inspections(api: Api, call: Call[InspectionsQuery, Path]) -> InspectionPlan | Answer:
    """Who should be looked at, by risk."""
    book, query = await _book(api), call.query
    if isinstance(book, Answer):
        return book
    view = api.view_of(QualityView)
    mask = view.passing(book, query.sku, query.store)
    places, cursor = _due(query, view, book, mask)
    rows = [view.inspection(book, m, query.days) for m in places]
    return view.inspections(book, query.days, rows, cursor)


def _due(
    query: InspectionsQuery, view: QualityView, book: Book, mask: Any
) -> tuple[list[int], str | None]:
    """(places in the plan, next cursor) of one page."""
    plan = book.inspections
    sort, falling = DUE.arrangement(query)
    chosen = np.flatnonzero((plan.due_in_days < query.days) & mask[plan.rows])
    late = plan.day + np.where(plan.day < 0, np.inf, 0.0)
    values = {
        "due_in_days": plan.due_in_days,
        "day": np.where(np.isfinite(late), late, np.nan),
        "unseen": plan.unseen,
        "stake_cents": book.stake_cents[plan.rows],
    }[sort]
    numbers = book.items.rows[plan.rows]
    rows, cursor = arranged(query, DUE.name, numbers[chosen], values[chosen], falling)
    place = np.empty(len(book.items.rows), np.int64)
    place[plan.rows] = np.arange(len(plan.rows))  # of an item in the plan
    places: list[int] = place[np.searchsorted(book.items.rows, rows)].tolist()
    return places, cursor


# -- results ----------------------------------------------------------------------------------------


async def record(api: Api, call: Call[Query, Path]) -> Answer:
    """Record what was found: features and history follow through ordinary events."""
    told: InspectionResult = call.body
    epc = known_item(api, told.item)
    status, grade = api.view_of(QualityView).status_of(epc) or ("", "")
    command = RecordInspection(
        epc=epc,
        result=told.result,
        grade=told.grade,
        grade_before=_grade(grade),
        defects=told.defects,
        minutes=told.minutes,
        note=told.note,
        by=told.by,
    )
    body, became, sent = await tell(api, call, command, "inspection", _events(told, epc, status))
    return replace(sent, body=InspectionAnswer(**body, events=became))


def _grade(text: str) -> Grade:
    number = GRADE_NUMBER.get(text, 0)
    return GRADE_TEXT[number]  # type: ignore[return-value]


def _events(told: InspectionResult, epc: str, status: str) -> list[Event]:
    """What the look means for the item: an inspection, defects as a scan, or its end."""
    in_service = GROUP_OF_STATUS.get(status) == "in_service"
    after = STATUS_AFTER.get(told.result, "")
    if told.result == "pass" and in_service:
        after = READY
    made: list[Event] = [
        Maintenance(
            epc=epc, kind="inspection", minutes=told.minutes, grade=told.grade, status=after
        )
    ]
    if told.defects:
        made.append(
            ItemScan(
                epc=epc,
                scan_type="Touch Scan",
                defects=list(dict.fromkeys(told.defects)),
                by=told.by,
            )
        )
    if told.result == "retire":
        made.append(ItemLink(epc=epc, action="retire"))
    return made


async def list_results(api: Api, call: Call[ResultsQuery, Path]) -> InspectionList:
    """What people found, the newest first."""
    rows = await said(api, call.query, Inspection)
    page = FOUND.page(call.query, rows)
    return InspectionList(
        basis=api.view_of(QualityView).counted(),
        inspections=page.rows,
        why_empty=why_empty(page.rows, (not (rows or call.query.item), NO_RESULTS)),
        next_cursor=page.next_cursor,
    )


_MADE = {
    200: "As it is kept; it is made anew every hour and every day.",
    202: "Nobody has made it yet, and it takes longer: see ``Location``.",
}
_LIST = ("bad-cursor", "unknown-store", "too-many-jobs", "invalid")

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/predictive/quality/degradation/{item_id}",
        "quality_degradation",
        "How the grade of one item falls, beside its class, and what to do with it.",
        degradation,
        Degradation,
        area="quality",
        parts=ItemPath,
        statuses=_MADE,
        problems=("unknown-item", "unknown", "too-many-jobs", "invalid"),
    ),
    Endpoint(
        "GET",
        "/api/predictive/quality/replacement-recommendations",
        "replacement_recommendations",
        "Keep, refurbish, resell or retire: what each is worth, item by item.",
        replacements,
        Replacements,
        area="quality",
        query=ReplacementQuery,
        rows="recommendations",
        statuses=_MADE,
        problems=_LIST,
    ),
    Endpoint(
        "POST",
        "/api/predictive/quality/inspection-result",
        "inspection_result",
        "Record what was found when somebody looked at an item.",
        record,
        InspectionAnswer,
        area="quality",
        body=InspectionResult,
        headers=KEY_HEADER,
        statuses=CREATED,
        problems=("unknown-item", *PROBLEMS),
    ),
    Endpoint(
        "GET",
        "/api/predictive/quality/inspection-results",
        "inspection_results",
        "What people found, the newest first.",
        list_results,
        InspectionList,
        area="quality",
        query=ResultsQuery,
        rows="inspections",
        problems=("bad-cursor",),
    ),
    Endpoint(
        "GET",
        "/api/predictive/quality/health",
        "quality_health",
        "How well items are, 0 to 100, with the parts of it.",
        health,
        HealthPage,
        area="quality",
        query=HealthQuery,
        rows="health",
        statuses=_MADE,
        problems=_LIST,
    ),
    Endpoint(
        "GET",
        "/api/predictive/quality/price-relation",
        "quality_price_relation",
        "Price paid against grade, by class, with its interval.",
        price_relation,
        Relations,
        area="quality",
        query=RelationQuery,
        rows="classes",
        statuses=_MADE,
        problems=_LIST,
    ),
    Endpoint(
        "GET",
        "/api/predictive/quality/inspections",
        "quality_inspections",
        "Who should be looked at next, by risk.",
        inspections,
        InspectionPlan,
        area="quality",
        query=InspectionsQuery,
        rows="inspections",
        statuses=_MADE,
        problems=_LIST,
    ),
)
