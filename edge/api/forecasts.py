"""``/api/forecasts``: forecasts that are asked for, kept, and held against what happened. No rules.

What a forecast says is made here out of the demand that stands in the columns, and goes into the
corridor with the command that keeps it, so that a replay keeps the same words.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from edge.api import commands, jobs
from edge.api.body import Body
from edge.api.commands import CREATED, KEY_HEADER, CommandAnswer
from edge.api.commands import PROBLEMS as COMMAND_PROBLEMS
from edge.api.commands import STATUSES as COMMAND_STATUSES
from edge.api.empty import strange
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.jobs import Job, JobRow, Notify
from edge.api.known import unknown_class
from edge.api.lists import Listing, ListQuery
from edge.api.problems import Problem
from edge.api.query import Text
from edge.ledger.forecasts import DropForecast, Forecast, ForecastDays, KeepForecast, Status
from edge.view_basis import Basis, Listed, why_empty
from edge.view_demand import DemandView
from edge.view_forecasts import (
    SLICE_CLASSES,
    ForecastAnswer,
    ForecastRow,
    ForecastScore,
    ForecastsView,
    ProductForecast,
    row_of,
)
from edge.view_known import KnownView

AREA = "forecasts"
PRODUCTS_MAX = 100
BULK_MAX = 2_000
NAMED_MOST = 5
"""Unknown classes that a refusal names."""

Horizon = Annotated[int, Meta(ge=1, le=91)]
Units = Annotated[float, Meta(ge=0, le=1e9)]
Sku = Annotated[str, Meta(min_length=1, max_length=255)]


class NewForecast(Body):
    """Of whom, how far, and within which bounds."""

    product_ids: Annotated[list[Sku], Meta(min_length=1, max_length=PRODUCTS_MAX)]
    """Classes, by SKU; at most 100."""
    forecast_horizon: Horizon = 28
    """Days ahead, today being the first."""
    model: str = "auto"
    """``auto``, or the version that answers now: no other can be asked."""
    include_confidence: bool = True
    """Whether intervals are kept too."""
    store: str = ""
    """Store; empty: the configured one."""
    name: Annotated[str, Meta(max_length=255)] = ""
    """A name for people."""
    minimum: Units = 0.0
    """Least units a day of a class that it may say."""
    maximum: Units | None = None
    """Most units a day of a class that it may say."""
    by: Annotated[str, Meta(max_length=255)] = ""
    """Who asks."""


class BulkForecast(Body):
    """Of all classes of a store or a category, as a job."""

    store: str = ""
    """Store; empty: the configured one."""
    category: str = ""
    """Only classes of this category; empty: all."""
    forecast_horizon: Horizon = 28
    """Days ahead, today being the first."""
    include_confidence: bool = True
    """Whether intervals are kept too."""
    name: Annotated[str, Meta(max_length=255)] = ""
    """A name for people."""
    minimum: Units = 0.0
    """Least units a day of a class that it may say."""
    maximum: Units | None = None
    """Most units a day of a class that it may say."""
    by: Annotated[str, Meta(max_length=255)] = ""
    """Who asks."""
    notify: Notify | None = None
    """Who is told when it is done."""


class BulkResult(Struct, kw_only=True):
    """What a bulk forecast made."""

    forecasts: list[str]
    """Ids of the forecasts, of at most 100 classes each."""
    classes: int
    """Classes in them."""
    without: int
    """Classes of which nothing can be said: no closed day of theirs is known yet."""
    total_units: float
    """Sum of what is expected."""


class ForecastPath(Path):
    """Which forecast."""

    id: Text
    """Its id."""


class ProductPath(Path):
    """Which class."""

    product_id: Text
    """Class or SKU."""


class ForecastsQuery(ListQuery):
    """Which forecasts."""

    store: Text | None = None
    """Only of this store."""
    sku: Text | None = None
    """Only those with this class."""
    status: Status | None = None
    """Only these."""
    version: Text | None = None
    """Only by this version of the model."""
    name: Text | None = None
    """Only of this name."""


class Forecasts(Listed, kw_only=True):
    """A page of kept forecasts, without what they say."""

    revision: int
    """The revision the page belongs to."""
    as_of_ms: int
    """The moment it stands for."""
    forecasts: list[ForecastRow]
    """The rows."""


class ProductQuery(Query):
    """Of which store, and how many."""

    store: Text | None = None
    """Store; without it the configured one."""
    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    """Most forecasts, the newest first."""


class ProductForecasts(Struct):
    """What kept forecasts say of one class."""

    basis: Basis
    """Who would speak now."""
    product_id: str
    """Class."""
    store: str
    """Store."""
    forecasts: list[ProductForecast]
    """The newest first."""
    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""


class ScoresQuery(Query):
    """Of which forecasts."""

    forecast: Text | None = None
    """Only of this forecast."""
    sku: Text | None = None
    """Only of this class."""
    store: Text | None = None
    """Only of this store."""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200
    """Most rows, the newest forecasts first."""


class ForecastAccuracy(Struct, kw_only=True):
    """How good kept forecasts have been."""

    basis: Basis
    """Who speaks now."""
    days: int
    """Class-days that have passed and can be judged."""
    accuracy: float | None
    """1 less the sum of absolute errors over the sum of actuals, all rows together."""
    coverage: float | None
    """Share of class-days within the interval."""
    measured: dict[str, float]
    """The active model's forecasts of a day over the last weeks, kept or not."""
    forecasts: list[ForecastScore]
    """By forecast and class; those of which no day has passed are left out."""
    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""


class KeptAnswer(CommandAnswer, kw_only=True):
    """The forecast that was kept."""

    result: ForecastAnswer | None = None
    """What it says; null while it is not decided."""


FORECASTS: Listing[Forecast] = Listing(
    "forecasts",
    key=("id",),
    sorts=("created_ms", "updated_ms", "name", "total_units", "horizon_days"),
    sort="created_ms",
    order="desc",
    filters={
        "store": "store",
        "status": "status",
        "version": "version",
        "name": "name",
        "sku": lambda row, wanted: wanted in row.skus,
    },
)


_NONE_KEPT = (
    'No forecast is kept yet: make one, POST /api/forecasts with {"product_ids": ["…"]}, or of a whole '
    "store, POST /api/forecasts/bulk."
)


def _store(api: Api, text: str | None) -> str:
    return text or api.settings.shop.store


def _asked(api: Api, body: NewForecast, id_: str = "") -> Forecast:
    """Raises Problem ``invalid``."""
    view = api.view_of(ForecastsView)
    version = view.version()
    if body.model not in ("auto", version):
        answering = version or "none: a simple rule speaks"
        detail = f"model={body.model!r}: 'auto', or the version that answers ({answering})."
        raise Problem("invalid", detail, cure="Leave model out, or write auto: who answers is chosen, "
                      "and GET /api/predictive/models/status says why.")  # fmt: skip
    return Forecast(
        id=id_,
        name=body.name,
        store=_store(api, body.store),
        skus=list(dict.fromkeys(body.product_ids)),
        horizon_days=body.forecast_horizon,
        minimum=body.minimum,
        maximum=body.maximum,
        first_day=0,
        asked_by=body.by,
    )


async def _made(api: Api, asked: Forecast, intervals: bool) -> tuple[Forecast, list[ForecastDays]]:
    """What is said of the classes asked for. Raises Problem ``unknown-class``."""
    view = api.view_of(ForecastsView)
    known = view.known(asked.store, asked.skus)
    if not known:
        if len(asked.skus) == 1:
            raise unknown_class(api, asked.skus[0], asked.store)
        detail = (
            f"Nothing is known about any of these {len(asked.skus)} classes in store {asked.store!r}: "
            f"{', '.join(asked.skus[:NAMED_MOST])}{' …' if len(asked.skus) > NAMED_MOST else ''}."
        )
        cure = f"Look them up in /api/classes?store={quote(asked.store)}; name another store."
        raise Problem("unknown-class", detail, cure=cure)
    for _ in view.filling(list(known.values())):
        await asyncio.sleep(0)
    whole, days = asked, list[ForecastDays]()
    for whole, days in view.made(asked, intervals):  # noqa: B007 - the last one is the whole
        await asyncio.sleep(0)
    return whole, days


async def _keep(api: Api, call: Call[Any, Any], id_: str = "") -> Answer:
    body: NewForecast = call.body
    row, days = await _made(api, _asked(api, body, id_), body.include_confidence)
    told = KeepForecast(by=body.by, forecast=row, days=days, again=bool(id_))
    asked = await commands.obey(api, call, told)
    result = None
    if asked.state == "done":
        kept = commands.result_of(asked, Forecast)
        days = [msgspec.structs.replace(one, forecast=kept.id) for one in days]
        result = await _answer(api, kept, days)
    return commands.answer(api, asked, created=not id_, result=result)


async def _answer(api: Api, row: Forecast, days: Sequence[ForecastDays]) -> ForecastAnswer:
    """What it says, some classes at a time: a forecast may be long."""
    view, products = api.view_of(ForecastsView), list[ProductForecast]()
    measured = view.judged()
    for i, one in enumerate(days, 1):
        products.append(view.product(row, one, measured))
        if i % SLICE_CLASSES == 0:
            await asyncio.sleep(0)
    return view.answer(row, products)


async def create(api: Api, call: Call[Query, Path]) -> Answer:
    """Make a forecast and keep it."""
    return await _keep(api, call)


async def replace(api: Api, call: Call[Query, ForecastPath]) -> Answer:
    """Make a kept forecast anew, from today on, as the body says."""
    if api.view_of(ForecastsView).one(call.path.id) is None:
        raise _unknown(call.path.id)
    return await _keep(api, call, call.path.id)


async def drop(api: Api, call: Call[Query, ForecastPath]) -> Answer:
    """Forget a forecast."""
    return await commands.command(api, call, DropForecast(id=call.path.id))


def _unknown(id_: str) -> Problem:
    return Problem("unknown", f"There is no forecast {id_!r}.", cure="See /api/forecasts.")


def bulk(api: Api, call: Call[Query, Path]) -> Answer:
    """Forecasts of many classes, as a job."""
    body: BulkForecast = call.body
    store = _store(api, body.store)
    demand = api.view_of(DemandView)
    skus = demand.skus(demand.rows(store, body.category))
    if not skus:
        raise _nobody(api, store, body.category)
    if len(skus) > BULK_MAX:
        known = ", ".join(api.view_of(KnownView).categories()) or "none yet"
        raise Problem(
            "limit",
            f"{len(skus)} classes: at most {BULK_MAX}.",
            cure=f"Name a category, and ask once for each; there are {known}.",
        )

    async def work(job: Job) -> BulkResult:
        made: list[str] = []
        total, without = 0.0, 0
        for start in range(0, len(skus), PRODUCTS_MAX):
            job.step(start / len(skus), f"{start} of {len(skus)} classes")
            kept, silent = await _part(api, body, store, skus[start : start + PRODUCTS_MAX])
            made.append(kept.id)
            total, without = total + kept.total_units, without + silent
        job.step(1.0, f"{len(skus)} of {len(skus)} classes")
        return BulkResult(
            forecasts=made, classes=len(skus), without=without, total_units=round(total, 4)
        )

    return jobs.started(api.jobs.start("bulk forecast", work, lane="forecasts", notify=body.notify))


def _nobody(api: Api, store: str, category: str) -> Problem:
    """Why a bulk forecast has no class."""
    view = api.view_of(KnownView)
    if not view.knows_store(store):
        known = ", ".join(view.stores())
        return Problem("unknown-class", f"No store is called {store!r}.", cure=f"One of {known}.")
    if category and not view.knows_category(category):
        known = ", ".join(view.categories()) or "none yet: name them in /api/catalogue/classes"
        detail = f"No class is of category {category!r}."
        return Problem("unknown-class", detail, cure=f"Categories are {known}.")
    detail = (
        f"No class {f'of category {category!r} ' if category else ''}is known in store {store!r}."
    )
    return Problem(
        "unknown-class",
        detail,
        cure="Tell the till's lines first (POST /api/events); /api/classes lists what is known.",
    )


async def _part(
    api: Api, body: BulkForecast, store: str, skus: Sequence[str]
) -> tuple[Forecast, int]:
    """The forecast of some classes, and of how many of them it says nothing."""
    asked = Forecast(
        id="",
        name=body.name,
        store=store,
        skus=list(skus),
        horizon_days=body.forecast_horizon,
        minimum=body.minimum,
        maximum=body.maximum,
        first_day=0,
    )
    row, days = await _made(api, asked, body.include_confidence)
    done = await commands.post(api, KeepForecast(by=body.by, forecast=row, days=days))
    kept = commands.result_of(await commands.decided(api, done), Forecast)
    return kept, sum(all(value is None for value in one.demand) for one in days)


async def list_forecasts(api: Api, call: Call[ForecastsQuery, Path]) -> Forecasts:
    """One page of kept forecasts."""
    view = api.view_of(ForecastsView)
    kept = view.kept()
    page = await FORECASTS.page_of_many(call.query, kept)
    return Forecasts(
        basis=view.counted(),
        revision=api.view.revision,
        as_of_ms=api.view.now_ms,
        forecasts=[row_of(row) for row in page.rows],
        why_empty=why_empty(page.rows, (not kept, _NONE_KEPT)),
        next_cursor=page.next_cursor,
    )


async def get(api: Api, call: Call[Query, ForecastPath]) -> ForecastAnswer:
    """One forecast with what it says."""
    view = api.view_of(ForecastsView)
    row = view.one(call.path.id)
    if row is None:
        raise _unknown(call.path.id)
    days = await api.tables.ledger_rows(ForecastDays, {"forecast": row.id})
    order = {sku: i for i, sku in enumerate(row.skus)}
    return await _answer(api, row, sorted(days, key=lambda one: order.get(one.sku, 0)))


async def of_product(api: Api, call: Call[ProductQuery, ProductPath]) -> ProductForecasts:
    """What kept forecasts say of one class."""
    view, store = api.view_of(ForecastsView), _store(api, call.query.store)
    where = {"sku": call.path.product_id, "store": store}
    found = await api.tables.ledger_rows(
        ForecastDays, where, order="-updated_ms", limit=call.query.limit
    )
    told = [(view.one(days.forecast), days) for days in found]
    shown = [view.product(row, days) for row, days in told if row is not None]
    wrong = None
    if not api.view_of(KnownView).knows_class(call.path.product_id, store):
        wrong = unknown_class(api, call.path.product_id, store)
    return ProductForecasts(
        basis=view.who(),
        product_id=call.path.product_id,
        store=store,
        forecasts=shown,
        why_empty=why_empty(
            shown,
            (wrong is not None, f"{wrong.detail} {wrong.cure}" if wrong else ""),
            (
                True,
                "No kept forecast holds this class in this store: make one, POST /api/forecasts.",
            ),
        ),
    )


async def accuracy(api: Api, call: Call[ScoresQuery, Path]) -> ForecastAccuracy:
    """How good kept forecasts have been, by forecast and class."""
    view, query = api.view_of(ForecastsView), call.query
    asked = {"forecast": query.forecast, "sku": query.sku, "store": query.store}
    where = {name: value for name, value in asked.items() if value is not None}
    found = await api.tables.ledger_rows(
        ForecastDays, where, order="-updated_ms", limit=query.limit
    )
    scores = [view.score(days) for days in found if days.first_day < view.today]
    scores = [score for score in scores if score.days]
    actual = sum(score.actual for score in scores)
    missed = sum((1 - s.accuracy) * s.actual for s in scores if s.accuracy is not None)
    told = [(s.coverage, s.days) for s in scores if s.coverage is not None]
    days = sum(n for _, n in told)
    return ForecastAccuracy(
        basis=view.who(),
        days=sum(score.days for score in scores),
        accuracy=round(1 - missed / actual, 6) if actual > 0 else None,
        coverage=round(sum(c * n for c, n in told) / days, 6) if days else None,
        measured=view.measured(),
        forecasts=scores,
        why_empty=why_empty(
            scores,
            (not view.kept(), _NONE_KEPT),
            (not found, strange(api, query) or "No kept forecast is of that class, store or id."),
            (
                True,
                "No whole day of these forecasts has passed yet: they are judged from tomorrow on.",
            ),
        ),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/forecasts",
        "forecasts",
        "Forecasts that are kept.",
        list_forecasts,
        Forecasts,
        area=AREA,
        query=ForecastsQuery,
        rows="forecasts",
        problems=("bad-cursor",),
    ),
    Endpoint(
        "POST",
        "/api/forecasts",
        "create_forecast",
        "Make a forecast of some classes, and keep it.",
        create,
        KeptAnswer,
        area=AREA,
        body=NewForecast,
        headers=KEY_HEADER,
        statuses=CREATED,
        problems=("unknown-class", *COMMAND_PROBLEMS),
    ),
    Endpoint(
        "POST",
        "/api/forecasts/bulk",
        "bulk_forecast",
        "Make forecasts of all classes of a store or category, as a job.",
        bulk,
        JobRow,
        area=AREA,
        body=BulkForecast,
        statuses=jobs.STATUSES,
        problems=("unknown-class", "limit", *jobs.PROBLEMS),
    ),
    Endpoint(
        "GET",
        "/api/forecasts/accuracy",
        "forecast_accuracy",
        "How good kept forecasts have been, held against what happened.",
        accuracy,
        ForecastAccuracy,
        area=AREA,
        query=ScoresQuery,
    ),
    Endpoint(
        "GET",
        "/api/forecasts/product/{product_id}",
        "product_forecasts",
        "What kept forecasts say of one class, the newest first.",
        of_product,
        ProductForecasts,
        area=AREA,
        query=ProductQuery,
        parts=ProductPath,
    ),
    Endpoint(
        "GET",
        "/api/forecasts/{id}",
        "forecast",
        "One forecast with what it says, and how good it has been so far.",
        get,
        ForecastAnswer,
        area=AREA,
        parts=ForecastPath,
        problems=("unknown",),
    ),
    Endpoint(
        "PUT",
        "/api/forecasts/{id}",
        "replace_forecast",
        "Make a kept forecast anew, from today on.",
        replace,
        KeptAnswer,
        area=AREA,
        parts=ForecastPath,
        body=NewForecast,
        headers=KEY_HEADER,
        statuses=COMMAND_STATUSES,
        problems=("unknown", "unknown-class", *COMMAND_PROBLEMS),
    ),
    Endpoint(
        "DELETE",
        "/api/forecasts/{id}",
        "drop_forecast",
        "Forget a forecast.",
        drop,
        CommandAnswer,
        area=AREA,
        parts=ForecastPath,
        headers=KEY_HEADER,
        statuses=COMMAND_STATUSES,
        problems=("unknown", *COMMAND_PROBLEMS),
    ),
)
