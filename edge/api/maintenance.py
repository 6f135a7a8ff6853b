"""Maintenance: the plan of services, chances by item, feedback of mechanics, parts, hours and money."""

from dataclasses import replace
from typing import Annotated, Literal

from msgspec import Meta

from edge.api.body import Body
from edge.api.books import book_of, in_slices, places_of
from edge.api.commands import (
    CREATED,
    KEY_HEADER,
    PROBLEMS,
    CommandAnswer,
    command,
)
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.lists import Listing, ListQuery
from edge.api.problems import Problem
from edge.api.query import Day, Text
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
from edge.events import Event, Grade, Maintenance
from edge.ledger.workshop import (
    Component,
    GiveMaintenanceFeedback,
    MaintenanceFeedback,
    PutComponent,
    Verdict,
    part_name,
)
from edge.view_basis import Listed, why_empty
from edge.view_components import ComponentsView
from edge.view_maintenance import DAYS, DAYS_MOST, Book, MaintenanceView
from edge.view_maintenance_rows import (
    ClassReturn,
    ComponentRow,
    Components,
    Probability,
    Resources,
    Returns,
    Schedule,
    ServiceRow,
)
from edge.view_maintenance_words import NO_PARTS
from edge.view_models import Prediction

FEED_PATIENCE_S = 30.0
"""How long a calendar waits for a plan: it does not ask a second time."""
NO_FEEDBACK = "No mechanic has said anything yet: POST /api/predictive/maintenance/feedback takes what was found."
ICS = "text/calendar; charset=utf-8"

Days = Annotated[int, Meta(ge=1, le=DAYS_MOST)]
Cents = Annotated[int, Meta(ge=0, le=2**53)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Work = Literal["", "inspection", "repair", "wash", "replacement", "failure", "service"]


class DaysQuery(Query):
    """How far ahead."""

    days: Days = DAYS
    """Days that are planned, the first is tomorrow."""


class ScheduleQuery(ClassesQuery):
    """How far ahead, and which services."""

    days: Days = DAYS
    """Days that are planned, the first is tomorrow."""
    day: Day | None = None
    """Only this day, ``YYYY-MM-DD``."""
    crew: Text | None = None
    """Only this crew's."""


class ReturnsQuery(ClassesQuery):
    """How far ahead, and which classes."""

    days: Days = DAYS
    """Days that are planned, the first is tomorrow."""


class ComponentsQuery(ListQuery):
    """Which parts."""

    epc: Text | None = None
    """Only of this item."""
    component: Text | None = None
    """Only of this kind."""


class Feedback(Body):
    """What a mechanic found, and what was done."""

    item: Text
    """EPC of the item."""
    verdict: Verdict
    """``right``: it needed it, as was predicted; ``false_alarm``: it did not; ``missed``: it did, and
    nobody had said so; ``unsure``."""
    work: Work = ""
    """What was done. It becomes an ordinary ``maintenance`` event, which features and labels follow."""
    planned: bool = False
    """Whether a repair or replacement was done because it was planned and nothing had failed: then it is
    no failure for the next training. With ``false_alarm`` that goes without saying."""
    minutes: Minutes = 0
    """Labour, minutes."""
    cost_cents: Cents = 0
    """Cost of parts and labour, cents."""
    component: Annotated[str, Meta(max_length=64)] = ""
    """The part worked on."""
    grade: Grade = ""
    """Grade afterwards; empty: not graded."""
    status: Annotated[str, Meta(max_length=64)] = ""
    """Status afterwards; empty: as the work says."""
    rating: Annotated[int, Meta(ge=0, le=5)] = 0
    """How useful the prediction was, 1 to 5; 0: not said."""
    note: Words = ""
    """Free words."""
    by: Who = ""
    """Who says it, pseudonymous."""
    confirm: bool = False
    """``true``: ``cost_cents`` is meant, though more than ten times a usual repair and a new item."""


class FeedbackAnswer(CommandAnswer, kw_only=True):
    """What became of the feedback."""

    result: MaintenanceFeedback | None = None
    """The row; null while it is not decided."""
    event: str = ""
    """What became of the maintenance event: ``admitted``, ``duplicate`` …; empty: none was needed."""


class FeedbackList(Listed, kw_only=True):
    """What mechanics said."""

    feedback: list[MaintenanceFeedback]
    """The newest 1,000 are looked at."""


class NewComponent(Body):
    """A part that an item has."""

    item: Text
    """EPC of the item."""
    component: Name
    """Which part."""
    installed_ms: Annotated[int, Meta(ge=0)] = 0
    """When it was put in; 0: now."""
    expected_days: Annotated[float, Meta(ge=0, le=36_500)] = 0.0
    """How long it should last; 0: as its kind."""
    serial_number: Annotated[str, Meta(max_length=255)] = ""
    """Its own number."""
    by: Who = ""
    """Who says it."""


class ComponentAnswer(CommandAnswer, kw_only=True):
    """What became of it."""

    result: Component | None = None
    """The part as it is now; null while it is not decided."""


SERVICES: Listing[ServiceRow] = Listing(
    "services",
    key=("epc",),
    sorts=("day", "saves_cents", "probability", "cost_cents", "epc"),
    sort="day",
    filters={"day": "day", "crew": "crew", "store": "store", "sku": "sku"},
)
CLASSES: Listing[ClassReturn] = Listing(
    "class returns",
    key=("sku", "store"),
    sorts=("saved_cents", "spend_cents", "roi", "repair_cents", "waiting_cents", "sku"),
    sort="saved_cents",
    order="desc",
)
PARTS: Listing[ComponentRow] = Listing(
    "components",
    key=("epc", "component"),
    sorts=("probability_30d", "remaining_days", "age_days", "component", "epc"),
    sort="probability_30d",
    order="desc",
)
SAID: Listing[MaintenanceFeedback] = Listing(
    "feedback",
    key=("id",),
    sorts=("at_ms", "rating", "predicted"),
    sort="at_ms",
    order="desc",
)


# -- the plan -------------------------------------------------------------------------------------


async def _book(api: Api, days: int, patience_s: float | None = None) -> Book | Answer:
    """The plan for so many days."""
    view = api.view_of(MaintenanceView)
    return await book_of(api, view, days, f"maintenance schedule, {days} days", patience_s)


async def schedule(api: Api, call: Call[ScheduleQuery, Path]) -> Schedule | Answer:
    """Who is served when, and what that saves."""
    book = await _book(api, call.query.days)
    if isinstance(book, Answer):
        return book
    page, view = (
        await SERVICES.page_of_many(call.query, book.services),
        api.view_of(MaintenanceView),
    )
    told = view.schedule(book, page.rows, page.next_cursor)
    told.services = view.so_far(book, page.rows)
    return told


async def schedule_feed(api: Api, call: Call[DaysQuery, Path]) -> Answer:
    """The same as a calendar that other programs subscribe to."""
    book = await _book(api, call.query.days, FEED_PATIENCE_S)
    if isinstance(book, Answer):
        return book
    return Answer(book.feed, media=ICS)


async def resources(api: Api, call: Call[DaysQuery, Path]) -> Resources | Answer:
    """Hours and parts by week."""
    book = await _book(api, call.query.days)
    return book if isinstance(book, Answer) else api.view_of(MaintenanceView).resources(book)


async def roi(api: Api, call: Call[ReturnsQuery, Path]) -> Returns | Answer:
    """What maintenance brings, altogether and by class."""
    book = await _book(api, call.query.days)
    if isinstance(book, Answer):
        return book
    query, sums = call.query, book.returned
    passing = sums.names.passing(query.sku, query.store)
    places, cursor = places_of(CLASSES, query, sums.names.rows, sums.sortable, passing)
    return api.view_of(MaintenanceView).returns(book, places, cursor)


# -- one item and its parts -------------------------------------------------------------------------


def predicted(api: Api, epc: str) -> Prediction | None:
    """What the service says of an item; ``None``: models are off, or nobody knows it."""
    if api.models is None:
        return None
    return api.models.predict("maintenance", epc, "", False)


def probability(api: Api, call: Call[Query, ItemPath]) -> Probability:
    """How likely one item fails, and what a service would be worth."""
    epc = identity_of(call.path.item_id)
    found = api.view_of(MaintenanceView).probability(epc, predicted(api, epc))
    if found is None:
        raise Problem("unknown-item", f"Nothing is known about {epc!r}.")
    return found


async def components(api: Api, call: Call[ComponentsQuery, Path]) -> Components:
    """Parts in items: how old, how much is left."""
    view, query = api.view_of(ComponentsView), call.query
    epc = identity_of(query.epc) if query.epc else None
    name = part_name(query.component) if query.component else None
    rows = await in_slices(view.rows(epc, name))
    page = await PARTS.page_of_many(query, rows)
    return Components(
        basis=view.counted(),
        kinds=await in_slices(view.kinds(name)),
        components=page.rows,
        why_empty=why_empty(page.rows, (not rows and not (epc or name), NO_PARTS)),
        next_cursor=page.next_cursor,
    )


async def put_component(api: Api, call: Call[Query, Path]) -> Answer:
    """Say that an item has a part, and since when."""
    told: NewComponent = call.body
    epc = known_item(api, told.item)
    return await command(
        api,
        call,
        PutComponent(
            epc=epc,
            component=told.component,
            installed_ms=told.installed_ms,
            expected_days=told.expected_days,
            serial_number=told.serial_number,
            by=told.by,
        ),
        created=True,
    )


# -- feedback -----------------------------------------------------------------------------------------


async def give_feedback(api: Api, call: Call[Query, Path]) -> Answer:
    """Say what was found; work that was done becomes an event, which models learn from."""
    told: Feedback = call.body
    epc = known_item(api, told.item)
    far = api.view_of(MaintenanceView).far_cost(epc, told.cost_cents)
    if far and not told.confirm:
        raise Problem(
            "limit", f"{far}.", cure='If that is meant, send the same with "confirm": true.'
        )
    made = predicted(api, epc)
    chances = {row.name: row.value for row in made.answers} if made else {}
    command = GiveMaintenanceFeedback(
        epc=epc,
        verdict=told.verdict,
        work=told.work,
        rating=told.rating,
        predicted=chances.get("p_event_30d"),
        version=made.version if made else "",
        minutes=told.minutes,
        cost_cents=told.cost_cents,
        component=told.component,
        note=told.note,
        by=told.by,
    )
    body, became, sent = await tell(api, call, command, "feedback", _events(told, epc))
    return replace(sent, body=FeedbackAnswer(**body, event=next(iter(became), "")))


def _events(told: Feedback, epc: str) -> list[Event]:
    """What was done, if anything was."""
    if not told.work:
        return []
    return [
        Maintenance(
            epc=epc,
            kind=told.work,
            cost_cents=told.cost_cents,
            minutes=told.minutes,
            component=told.component,
            grade=told.grade,
            status=told.status,
            planned=told.planned or told.verdict == "false_alarm",
        )
    ]


async def list_feedback(api: Api, call: Call[SaidQuery, Path]) -> FeedbackList:
    """What mechanics said, the newest first."""
    rows = await said(api, call.query, MaintenanceFeedback)
    page = SAID.page(call.query, rows)
    return FeedbackList(
        basis=api.view_of(MaintenanceView).counted(),
        feedback=page.rows,
        why_empty=why_empty(page.rows, (not (rows or call.query.item), NO_FEEDBACK)),
        next_cursor=page.next_cursor,
    )


_PLANNED = {
    200: "The plan as it is kept; it is made anew every hour and every day.",
    202: "Nobody has made it yet, and it takes longer: see ``Location``.",
}
_JOB = ("too-many-jobs", "invalid")

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/predictive/maintenance/schedule",
        "maintenance_schedule",
        "Which items are served on which day by whom, and what that saves.",
        schedule,
        Schedule,
        area="maintenance",
        query=ScheduleQuery,
        rows="services",
        statuses=_PLANNED,
        problems=("bad-cursor", "unknown-store", *_JOB),
    ),
    Endpoint(
        "GET",
        "/api/predictive/maintenance/schedule.ics",
        "maintenance_feed",
        "The plan as an iCalendar feed.",
        schedule_feed,
        str,
        area="maintenance",
        query=DaysQuery,
        media=ICS,
        statuses=_PLANNED,
        problems=_JOB,
    ),
    Endpoint(
        "GET",
        "/api/predictive/maintenance/probability/{item_id}",
        "maintenance_probability",
        "How likely one item fails or needs a repair, and what a service would be worth.",
        probability,
        Probability,
        area="maintenance",
        parts=ItemPath,
        problems=("unknown-item",),
    ),
    Endpoint(
        "POST",
        "/api/predictive/maintenance/feedback",
        "maintenance_feedback",
        "Say what was found and what was done: models learn from it.",
        give_feedback,
        FeedbackAnswer,
        area="maintenance",
        body=Feedback,
        headers=KEY_HEADER,
        statuses=CREATED,
        problems=("unknown-item", *PROBLEMS),
    ),
    Endpoint(
        "GET",
        "/api/predictive/maintenance/feedback",
        "list_maintenance_feedback",
        "What mechanics said, the newest first.",
        list_feedback,
        FeedbackList,
        area="maintenance",
        query=SaidQuery,
        rows="feedback",
        problems=("bad-cursor",),
    ),
    Endpoint(
        "GET",
        "/api/predictive/maintenance/resources",
        "maintenance_resources",
        "Hours by week and crew, and parts by week.",
        resources,
        Resources,
        area="maintenance",
        query=DaysQuery,
        statuses=_PLANNED,
        problems=_JOB,
    ),
    Endpoint(
        "GET",
        "/api/predictive/maintenance/components",
        "maintenance_components",
        "Parts in items: age, what is left, and how long each kind lasts.",
        components,
        Components,
        area="maintenance",
        query=ComponentsQuery,
        rows="components",
        problems=("bad-cursor",),
    ),
    Endpoint(
        "POST",
        "/api/predictive/maintenance/components",
        "put_component",
        "Say that an item has a part, and since when.",
        put_component,
        ComponentAnswer,
        area="maintenance",
        body=NewComponent,
        headers=KEY_HEADER,
        statuses=CREATED,
        problems=("unknown-item", *PROBLEMS),
    ),
    Endpoint(
        "GET",
        "/api/predictive/maintenance/roi",
        "maintenance_roi",
        "What maintenance brings, altogether and by class, and how often predictions were right.",
        roi,
        Returns,
        area="maintenance",
        query=ReturnsQuery,
        rows="classes",
        statuses=_PLANNED,
        problems=("bad-cursor", "unknown-store", *_JOB),
    ),
)
