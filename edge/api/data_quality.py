"""``/api/data-quality``: what each day's data were like, by day and in detail. No rules."""

from datetime import date

from msgspec import Struct

from edge.api.endpoint import Api, Call, Endpoint, Path, Query
from edge.api.lists import Listing, ListQuery
from edge.api.problems import Problem
from edge.api.query import Day, Text
from edge.ledger.data_quality import DataQualityDay
from edge.view_basis import Basis
from edge.view_data_quality import EPOCH, DataQualityReport, DataQualityRow, DataQualityView

DAYS_MAX = 400
"""Most closed days that are looked at, the newest."""


class DataQualityQuery(ListQuery):
    """Which days."""

    day: Day | None = None
    """Only this day, ``YYYY-MM-DD``."""


class DayPath(Path):
    """Which day."""

    day: Text
    """Local day, ``YYYY-MM-DD``."""


class DataQualityDays(Struct, kw_only=True):
    """One page of days."""

    basis: Basis
    """What they stand on."""
    days: list[DataQualityRow]
    """The days, the newest first."""
    next_cursor: str | None
    """``cursor`` of the next page; null: it is the last."""


DAYS: Listing[DataQualityRow] = Listing(
    "data-quality",
    key=("date",),
    sorts=("date", "dead_letters", "impossible", "duplicates", "gaps", "silences", "late"),
    sort="date",
    order="desc",
    filters={"day": "date"},
)


async def list_days(api: Api, call: Call[DataQualityQuery, Path]) -> DataQualityDays:
    """One page of days, the one under way included."""
    view = api.view_of(DataQualityView)
    closed = await api.tables.ledger_rows(DataQualityDay, order="-day", limit=DAYS_MAX)
    rows = [view.row(view.so_far()), *(view.row(d) for d in closed if d.day < view.today)]
    page = DAYS.page(call.query, rows)
    return DataQualityDays(basis=view.basis(), days=page.rows, next_cursor=page.next_cursor)


async def get_day(api: Api, call: Call[Query, DayPath]) -> DataQualityReport:
    """One day in detail."""
    view, day = api.view_of(DataQualityView), _number(call.path.day)
    if day == view.today:
        return view.report(view.so_far())
    stored = await api.tables.ledger_rows(DataQualityDay, {"day": day}, limit=1)
    if not stored:
        detail = f"Nothing is known of what came in on {call.path.day}."
        raise Problem("unknown", detail, cure="See /api/data-quality.")
    return view.report(stored[0])


def _number(text: str) -> int:
    try:
        return (date.fromisoformat(text) - EPOCH).days
    except ValueError:
        raise Problem("unknown", f"{text} is no day.", cure="See /api/data-quality.") from None


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/data-quality",
        "data-quality",
        "What each day's data were like: duplicates, gaps, dead letters, impossible values, silences.",
        list_days,
        DataQualityDays,
        area="data quality",
        query=DataQualityQuery,
        problems=("bad-cursor",),
        rows="days",
    ),
    Endpoint(
        "GET",
        "/api/data-quality/{day}",
        "data-quality-day",
        "One day in detail.",
        get_day,
        DataQualityReport,
        area="data quality",
        parts=DayPath,
        problems=("unknown",),
    ),
)
