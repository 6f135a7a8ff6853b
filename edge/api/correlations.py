"""``/api/correlations``: which influences move which classes, as a table and a picture. No rules."""

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from edge.api.body import Body
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.jobs import PROBLEMS as JOB_PROBLEMS
from edge.api.jobs import STATUSES as JOB_STATUSES
from edge.api.jobs import Job, JobRow, Notify, started
from edge.api.lists import Listing, ListQuery
from edge.api.problems import Problem
from edge.api.query import Text
from edge.view_basis import Listed, why_empty
from edge.view_correlations import CorrelationRow, CorrelationsView

AREA = "correlations"
SVG = "image/svg+xml"
Share = Annotated[float, Meta(ge=0, le=1)]


class CorrelationsQuery(ListQuery):
    """Of what with what."""

    sku: Text | None = None
    """Only of this class."""
    store: Text | None = None
    """Only of this store."""
    factor: Text | None = None
    """Only with this influence, such as ``weather.temperature_c``, ``price`` or ``season.year``."""
    q_most: Share = 0.05
    """Most share of false discoveries among what is shown; 1: all that was tested."""
    careful: bool = False
    """Whether that share must hold however influences depend on each other."""


class PictureQuery(Query):
    """What is drawn."""

    q_most: Share = 0.05
    """Most share of false discoveries among what is shown."""
    careful: bool = False
    """Whether that share must hold however influences depend on each other."""


class Correlations(Listed, kw_only=True):
    """What moves together."""

    looked_ms: int
    """When somebody looked last; 0: nobody has."""
    from_day: str
    """First day that was looked at."""
    to_day: str
    """Last day."""
    tests: int
    """Pairs that were tested."""
    found: int
    """Pairs within the share of false discoveries that was asked for."""
    correlations: list[CorrelationRow]
    """The rows."""


ROWS: Listing[CorrelationRow] = Listing(
    "correlations",
    key=("store", "sku", "factor"),
    sorts=("q", "p", "r", "effect", "explained", "lag_days", "sku", "factor"),
    sort="p",
    filters={"sku": "sku", "store": "store", "factor": "factor"},
)


def correlations(api: Api, call: Call[CorrelationsQuery, Path]) -> Correlations:
    """Which influences move which classes, how much, and how many days later."""
    view, query = api.view_of(CorrelationsView), call.query
    found = view.rows(query.q_most, query.careful)
    page = ROWS.page(query, found)
    first, last = view.span
    return Correlations(
        basis=view.basis(), looked_ms=view.looked_ms, from_day=first, to_day=last,
        tests=view.tests, found=len(found),
        correlations=[replace(row, name=view.name(row)) for row in page.rows],
        why_empty=why_empty(page.rows, (not view.looked_ms, _NOT_YET), (not view.tests, _NO_FACTOR),
                            (not found, _NONE_FOUND.format(view.tests))),
        next_cursor=page.next_cursor,
    )  # fmt: skip


_NOT_YET = (
    "Nobody looked yet: it is done once a day, a minute after the start at the earliest. POST "
    "/api/correlations/look looks now."
)
_NO_FACTOR = (
    "There was nothing to hold demand against: send weather, events or prices (factor and price_observed "
    "events, docs/events.md), for some weeks of days on which something moved."
)
_NONE_FOUND = "None of the {} pairs that were tested moved together beyond chance; q_most allows more false ones."


class Look(Body):
    """A look that somebody asks for."""

    notify: Notify | None = None
    """Who is told when it is done."""


class Seen(Struct, kw_only=True):
    """What a look found."""

    looked_ms: int
    """When it was done; 0: there is too little to look at."""
    tests: int
    """Pairs that were tested."""
    found: int
    """Pairs with at most 5 % of false discoveries."""


def look(api: Api, call: Call[Query, Path]) -> Answer:
    """Look now, without waiting for the day to close."""
    view = api.view_of(CorrelationsView)

    async def work(job: Job) -> Seen:
        assert view.look is not None
        job.step(0.1, "documents and days are added up")
        await view.look()
        return Seen(looked_ms=view.looked_ms, tests=view.tests, found=len(view.rows(0.05, False)))

    if view.look is None:
        raise Problem("conflict", "Nobody looks here: a replica shows what the daemon found.")
    return started(api.jobs.start("correlations", work, lane="insights", notify=call.body.notify))


def picture(api: Api, call: Call[PictureQuery, Path]) -> Answer:
    """The same as a picture."""
    view = api.view_of(CorrelationsView)
    drawn = view.picture(call.query.q_most, call.query.careful)
    return Answer(drawn.encode(), media=SVG)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/api/correlations", "correlations",
        "Which influences move which classes, with lags and significance.",
        correlations, Correlations, area=AREA, query=CorrelationsQuery, problems=("bad-cursor",),
        rows="correlations",
    ),
    Endpoint(
        "GET", "/api/correlations/picture", "correlations_picture",
        "The same as a picture.",
        picture, str, area=AREA, query=PictureQuery, media=SVG,
    ),
    Endpoint(
        "POST", "/api/correlations/look", "look_at_correlations",
        "Look now, as a job: it is done once a day by itself.",
        look, JobRow, area=AREA, body=Look, statuses=JOB_STATUSES,
        problems=(*JOB_PROBLEMS, "conflict"),
    ),
)  # fmt: skip
