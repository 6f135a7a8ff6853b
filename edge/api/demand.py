"""``/api/predictive/demand``: what will be asked for, how good that has been, learn it anew. No rules."""

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from edge.api import training
from edge.api.books import prepared
from edge.api.empty import strange
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.jobs import STATUSES as JOB_STATUSES
from edge.api.jobs import JobRow
from edge.api.known import unknown_class
from edge.api.models import models_of
from edge.api.problems import Problem
from edge.api.query import Text
from edge.view_basis import Basis
from edge.view_demand import DemandView
from edge.view_demand_types import DemandForecast
from edge.view_models import VersionRow

Weeks = Annotated[int, Meta(ge=1, le=13)]


class ForecastQuery(Query):
    """Of whom, and how far."""

    weeks: Weeks = 4
    """Weeks ahead, from today on."""
    category: Text | None = None
    """Only classes of this category; upper and lower case do not matter."""
    store: Text | None = None
    """Only this store; ``all`` or nothing: all stores."""
    sku: Text | None = None
    """Only this class."""
    format: Literal["json", "csv"] | None = None
    """Form of the answer; without it ``Accept`` decides. CSV holds the days."""


class AccuracyQuery(Query):
    """Of which version."""

    version: Text | None = None
    """Only this version; without it all."""


class Figure(Struct, kw_only=True):
    """How good one question was answered over the last weeks, here."""

    question: str
    """Such as ``units_day_1`` (tomorrow) or ``units_week_4``."""
    figures: dict[str, float]
    """``accuracy`` (1 less WAPE), ``wape``, ``bias``, ``rmse``, ``pinball``, ``coverage`` …"""


class DayFigure(Struct, kw_only=True):
    """How good one day's answers to a question were."""

    question: str
    """Question."""
    day: str
    """Day at whose close it was asked, ``YYYY-MM-DD``."""
    figures: dict[str, float]
    """As of ``active``."""


class VersionFigures(Struct, kw_only=True):
    """How good one version is."""

    version: str
    """Version."""
    state: str
    """Where it stands."""
    backtest: dict[str, float]
    """On data after its training, when it was made."""
    baselines: dict[str, dict[str, float]]
    """Simple rules on the same data."""
    here_rows: int
    """Predictions judged here over the last weeks."""
    here_loss: float | None
    """Root mean squared error here; null: not judged yet."""
    here_baseline_loss: float | None
    """The same of the simple rule on the same rows."""
    here_coverage: float | None
    """Share of actuals within the interval."""


class DemandAccuracy(Struct, kw_only=True):
    """How good forecasts of demand have been."""

    basis: Basis
    """Who answers now."""
    active: list[Figure]
    """The active version, question by question, over the last 28 days."""
    history: list[DayFigure]
    """The active version, question by question and day by day, the oldest first."""
    versions: list[VersionFigures]
    """Every version, the newest first."""


def _store(api: Api, text: str | None) -> str:
    return "" if text is None or text.lower() == "all" else text


async def forecast(api: Api, call: Call[ForecastQuery, Path]) -> DemandForecast:
    """What will be asked for, by day and week."""
    query, view = call.query, api.view_of(DemandView)
    store, category, sku = _store(api, query.store), query.category or "", query.sku or ""
    if sku and not len(view.rows(store, category, sku)):
        raise unknown_class(api, sku, store)
    await prepared(view, store, category, sku)
    made = view.forecast(store, category, sku, query.weeks)
    if not made.classes:
        return replace(made, why_empty=strange(api, query) or _NO_CLASS)
    if made.unknown == made.classes:
        return replace(made, why_empty=_NO_DAY.format(made.classes))
    return made


_NO_CLASS = "No class is known there yet: tell the till's lines (POST /api/events), or the first count or rental."
_NO_DAY = (
    "Nothing is known of the demand of these {} classes: no day of theirs has closed yet, and no demand "
    "was set by hand."
)


def version_figures(row: VersionRow) -> VersionFigures:
    """What is known of one version."""
    here = row.field
    return VersionFigures(
        version=row.version,
        state=row.state,
        backtest=row.metrics,
        baselines=row.baselines,
        here_rows=here.rows if here else 0,
        here_loss=here.loss if here else None,
        here_baseline_loss=here.baseline_loss if here else None,
        here_coverage=here.coverage if here else None,
    )


def accuracy(api: Api, call: Call[AccuracyQuery, Path]) -> DemandAccuracy:
    """How good forecasts have been, here and in backtests."""
    view = api.view_of(DemandView)
    found = models_of(api).model("demand")
    wanted = call.query.version
    rows = [row for row in found.versions if wanted in (None, row.version)]
    if wanted is not None and not rows:
        raise Problem("unknown", f"There is no version {wanted!r}.", cure="See /api/models/demand.")
    return DemandAccuracy(
        basis=view.who(),
        active=[Figure(question=name, figures=told) for name, told in found.scores.items()],
        history=[
            DayFigure(question=name, day=day, figures=told)
            for name, days in view.days().items()
            for day, told in days
        ],
        versions=[version_figures(row) for row in rows],
    )


def retrain(api: Api, call: Call[Query, Path]) -> Answer:
    """Learn demand anew from the shop's history, now."""
    return training.asked(api, "demand", call.body)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/predictive/demand/forecast",
        "demand_forecast",
        "What will be asked for, by day and week, with its parts and how today goes on.",
        forecast,
        DemandForecast,
        area="demand",
        query=ForecastQuery,
        rows="days",
        problems=("unknown-class",),
    ),
    Endpoint(
        "GET",
        "/api/predictive/demand/accuracy",
        "demand_accuracy",
        "How good forecasts of demand have been, here and in backtests.",
        accuracy,
        DemandAccuracy,
        area="demand",
        query=AccuracyQuery,
        problems=("unknown", "models-off"),
    ),
    Endpoint(
        "POST",
        "/api/predictive/demand/retrain",
        "retrain_demand",
        "Learn demand anew from the shop's history, now.",
        retrain,
        JobRow,
        area="demand",
        body=training.Retrain,
        statuses=JOB_STATUSES,
        problems=training.PROBLEMS,
    ),
)
