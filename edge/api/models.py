"""What models say and how they stand; promote and roll back as commands through the corridor.

Answers come from the columns, nothing is waited for. A command is journaled like an event and
applied in its order; nothing here changes a registry.
"""

import secrets
from typing import Annotated, NoReturn

import msgspec
from msgspec import Meta, Struct

from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.ports import Models
from edge.api.problems import Problem
from edge.api.query import Text
from edge.api.report import Report
from edge.api.state import identity_of
from edge.errors import InboxFull
from edge.inference.manifest import SERVICES, Service
from edge.inference.registry import Command, Deed
from edge.records import Message
from edge.view_models import Prediction, ServiceModels, ServiceRow

TOPIC = "$rfid3/models"
WORST = 5
"""Classes told for each question."""

Name = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema={"enum": list(SERVICES)})]


class PredictPath(Path):
    """Which service, and of whom."""

    service: Name
    """Name of the service."""
    entity: Text
    """EPC of an item, or SKU of a class, as the service speaks of."""


class PredictQuery(Query):
    """Which store, and how much is told."""

    store: Text | None = None
    """Store of the class; without it the configured one."""
    explain: bool = False
    """Whether the features and what each adds to the answer are told too."""


class PredictAnswer(Struct):
    """What a service says."""

    revision: int
    """The revision of the state."""
    as_of_ms: int
    """The moment it stands for."""
    prediction: Prediction
    """The prediction."""


class ServicePath(Path):
    """Which service."""

    service: Name
    """Name of the service."""


class ServiceList(Struct):
    """Every service and its models."""

    as_of_ms: int
    """The moment the state stands for."""
    services: list[ServiceRow]
    """The rows, in order of need."""


class ServiceAnswer(Struct):
    """One service, all its versions and their history."""

    as_of_ms: int
    """The moment the state stands for."""
    model: ServiceModels
    """How it stands."""


class CommandQuery(Query):
    """Which version, who asks and why."""

    version: Text | None = None
    """The version; without it whichever is next (promote) or active (rollback)."""
    who: Text = "api"
    """Who asks, for the history."""
    why: Annotated[str, Meta(max_length=500)] = ""
    """Why, for the history."""


class CommandReport(Struct):
    """What became of a command."""

    applied: bool
    """Whether it is applied; false with status 202: it is durable, and will be."""
    active: str
    """Version that is active now; empty: none, the simple rule answers."""
    answering: str
    """Version that is asked now; it may take a moment to load the active one."""


def models_of(api: Api) -> Models:
    """The models. Raises Problem ``models-off``."""
    if api.models is None:
        raise Problem("models-off", "models.enabled is false.")
    return api.models


def service_of(text: str) -> Service:
    """The service of that name. Raises Problem ``unknown-service``."""
    for name in SERVICES:
        if name == text:
            return name
    raise Problem("unknown-service", f"{text!r} is none of {', '.join(SERVICES)}.")


def predict(api: Api, call: Call[PredictQuery, PredictPath]) -> PredictAnswer:
    """What a service says of an item or a class."""
    models, service = models_of(api), service_of(call.path.service)
    of_item = models.entity(service) == "item"
    key = identity_of(call.path.entity) if of_item else call.path.entity
    store = call.query.store or api.settings.shop.store
    found = models.predict(service, key, store, call.query.explain)
    if found is None:
        _unknown(key, store, of_item)
    return PredictAnswer(api.view.revision, api.view.now_ms, found)


def _unknown(key: str, store: str, of_item: bool) -> NoReturn:
    if of_item:
        raise Problem("unknown-item", f"Nothing is known about {key!r}.")
    raise Problem("unknown-class", f"Nothing is known about class {key!r} in store {store!r}.")


def list_models(api: Api, call: Call[Query, Path]) -> ServiceList:
    """Every service, and which of its versions answers."""
    return ServiceList(api.view.now_ms, models_of(api).models())


async def get_model(api: Api, call: Call[Query, ServicePath]) -> ServiceAnswer:
    """One service: versions, history, latency, drift, and where its errors weigh most."""
    models, service = models_of(api), service_of(call.path.service)
    active = models.row(service).active
    worst = await api.tables.worst_classes(service, active, limit=WORST) if active else []
    told = models.model(service)
    told.worst = worst if told.service.active == active else []
    return ServiceAnswer(api.view.now_ms, told)


async def promote(api: Api, call: Call[CommandQuery, ServicePath]) -> Answer:
    """Let a version answer from now on."""
    return await _command(api, call, "promote")


async def roll_back(api: Api, call: Call[CommandQuery, ServicePath]) -> Answer:
    """Reject a version; where it was active, the one before answers again."""
    return await _command(api, call, "rollback")


async def _command(api: Api, call: Call[CommandQuery, ServicePath], deed: Deed) -> Answer:
    models, service = models_of(api), service_of(call.path.service)
    request = secrets.token_hex(8)
    told = Command(
        do=deed,
        service=service,
        version=call.query.version or "",
        who=call.query.who,
        why=call.query.why or "asked for",
        id=request,
    )
    report = Report(api.uploaded)
    message = Message(TOPIC, msgspec.json.encode(told), api.clock.now_ms())
    try:
        api.corridor.submit([(message, report.receipt(1))])
    except InboxFull as error:
        raise Problem("inbox-full", str(error)) from None
    report.submitted = 1
    settled = await report.settle(0, api.patience.progress_s)
    if not report.durable:
        raise Problem("not-durable", "No commit in time.")
    outcome = models.outcome(request)
    row = models.row(service)
    if outcome is not None and not outcome.done:
        raise Problem("not-applied", f"{outcome.reason}: {outcome.detail}.", active=outcome.version)
    applied = settled and outcome is not None
    return Answer(CommandReport(applied, row.active, row.answering), status=200 if applied else 202)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/predict/{service}/{entity}",
        "predict",
        "What a service says of one item or class: numbers, intervals, and who says it.",
        predict,
        PredictAnswer,
        area="models",
        query=PredictQuery,
        parts=PredictPath,
        problems=("unknown-service", "unknown-item", "unknown-class", "models-off"),
    ),
    Endpoint(
        "GET",
        "/api/models",
        "models",
        "Every service, and which version of its models answers.",
        list_models,
        ServiceList,
        area="models",
        problems=("models-off",),
    ),
    Endpoint(
        "GET",
        "/api/models/{service}",
        "model",
        "One service: every version, its metrics, its history, latency and drift.",
        get_model,
        ServiceAnswer,
        area="models",
        parts=ServicePath,
        problems=("unknown-service", "models-off"),
    ),
    Endpoint(
        "POST",
        "/api/models/{service}/promote",
        "promote_model",
        "Let a version answer from now on.",
        promote,
        CommandReport,
        area="models",
        query=CommandQuery,
        parts=ServicePath,
        statuses={200: "It is applied.", 202: "It is durable, and will be applied."},
        problems=("unknown-service", "models-off", "not-applied", "inbox-full", "not-durable"),
    ),
    Endpoint(
        "POST",
        "/api/models/{service}/rollback",
        "roll_back_model",
        "Reject a version; where it was active, the one before answers again.",
        roll_back,
        CommandReport,
        area="models",
        query=CommandQuery,
        parts=ServicePath,
        statuses={200: "It is applied.", 202: "It is durable, and will be applied."},
        problems=("unknown-service", "models-off", "not-applied", "inbox-full", "not-durable"),
    ),
)
