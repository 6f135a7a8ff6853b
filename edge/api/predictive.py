"""``/api/predictive/models`` and ``/api/predictive/health``: how the services and the daemon stand.

Nothing of its own is known here: rows of the registry, dependencies and counters, put together.
"""

from msgspec import Struct

from edge.api import training
from edge.api.demand import VersionFigures, version_figures
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.health import Health, health_of
from edge.api.jobs import STATUSES as JOB_STATUSES
from edge.api.jobs import JobRow
from edge.api.lists import Listing, ListQuery
from edge.api.models import ServicePath, models_of, service_of
from edge.api.ports import Models
from edge.inference.manifest import Service
from edge.inference.registry import State
from edge.view_basis import why_empty
from edge.view_models import HistoryRow, LatencyRow, ServiceRow

AREA = "predictive"
DEAR_MOST = 20
"""Endpoints whose mean time is told: those that took most."""


class ModelsQuery(Query):
    """Of which service."""

    service: Service | None = None
    """Only this service."""


class ModelStatus(Struct, kw_only=True):
    """How every service's models stand."""

    revision: int
    """The revision of the state."""
    as_of_ms: int
    """The moment the state stands for."""
    trainer: bool
    """Whether training is installed here."""
    training: list[str]
    """Services that are being trained, or wait for it."""
    services: list[ServiceRow]
    """The rows, in order of need."""


class ServicePerformance(Struct, kw_only=True):
    """How good and how fast one service is."""

    service: str
    """Service."""
    answering: str
    """Version that answers; empty: the simple rule."""
    scores: dict[str, dict[str, float]]
    """Question -> figures of the active version over the last weeks."""
    drifted: list[str]
    """Features and answers whose distribution has moved."""
    latency: list[LatencyRow]
    """What scoring takes."""
    versions: list[VersionFigures]
    """Every version, the newest first."""


class ModelPerformance(Struct, kw_only=True):
    """How good and how fast the services are."""

    as_of_ms: int
    """The moment the state stands for."""
    services: list[ServicePerformance]
    """The rows, in order of need."""


class VersionsQuery(ListQuery):
    """Which changes."""

    service: Service | None = None
    """Only this service."""
    state: State | None = None
    """Only changes into this state."""


class VersionChange(Struct, kw_only=True):
    """One change of a version's state."""

    service: str
    """Service."""
    at_ms: int
    """When."""
    number: int
    """Its place among the changes of the service, from 0."""
    version: str
    """Version."""
    state: str
    """What it became."""
    who: str
    """Who did it."""
    why: str
    """Why."""


class VersionHistory(Struct, kw_only=True):
    """What became of the versions."""

    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""

    as_of_ms: int
    """The moment the state stands for."""
    changes: list[VersionChange]
    """The rows."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""


class PerformanceMetrics(Struct, kw_only=True):
    """What the daemon takes: counters that stand for speed and load."""

    as_of_ms: int
    """The moment the state stands for."""
    revision: int
    """The revision of the state."""
    requests: int
    """Requests answered since the daemon started."""
    failed: int
    """Of them with a status of 500 and above."""
    seconds_mean: dict[str, float]
    """Endpoint -> mean time to answer, seconds; the twenty that took most in all."""
    corridor: dict[str, int | float]
    """Counters of inbox, beats and latencies."""
    latency: dict[str, int | float]
    """From arrival to applied."""
    models: dict[str, int | float]
    """Scoring, by service."""
    rows: dict[str, int | float]
    """Rows of the state by table."""


class ServiceAccuracy(Struct, kw_only=True):
    """How good one service's answers were."""

    service: str
    """Service."""
    version: str
    """Version that answers; empty: the simple rule."""
    measured: bool
    """Whether anything has been held against what happened yet."""
    scores: dict[str, dict[str, float]]
    """Question -> figures over the last weeks."""
    better_than_rule: float | None
    """1 less the loss over that of the simple rule on the same rows; null: not measured yet."""
    coverage: float | None
    """Share of actuals within the interval; null: not measured, or no interval is told."""
    drifted: list[str]
    """Features and answers whose distribution has moved."""


class PredictionAccuracy(Struct, kw_only=True):
    """How good the services' answers were, held against what happened."""

    as_of_ms: int
    """The moment the state stands for."""
    services: list[ServiceAccuracy]
    """The rows, in order of need."""


CHANGES: Listing[VersionChange] = Listing(
    "version-history",
    key=("service", "number"),
    sorts=("at_ms", "service", "version"),
    sort="at_ms",
    order="desc",
    filters={"service": "service", "state": "state"},
)


def _chosen(models: Models, name: str | None) -> list[ServiceRow]:
    return [row for row in models.models() if name in (None, row.service)]


def status(api: Api, call: Call[ModelsQuery, Path]) -> ModelStatus:
    """Which version of each service answers, and what is being trained."""
    busy = [
        job.kind.removeprefix("train ")
        for job in api.jobs.known.values()
        if job.kind.startswith("train ") and job.state in ("waiting", "running")
    ]
    return ModelStatus(
        revision=api.view.revision,
        as_of_ms=api.view.now_ms,
        trainer=not training.missing(),
        training=busy,
        services=_chosen(models_of(api), call.query.service),
    )


def performance(api: Api, call: Call[ModelsQuery, Path]) -> ModelPerformance:
    """How good and how fast each service is."""
    models, made = models_of(api), []
    for row in _chosen(models, call.query.service):
        found = models.model(service_of(row.service))
        made.append(
            ServicePerformance(
                service=row.service,
                answering=row.answering,
                scores=found.scores,
                drifted=[moved.name for moved in found.drift if moved.drifted],
                latency=found.latency,
                versions=[version_figures(version) for version in found.versions],
            )
        )
    return ModelPerformance(as_of_ms=api.view.now_ms, services=made)


def history(api: Api, call: Call[VersionsQuery, Path]) -> VersionHistory:
    """What became of each version, and why."""
    models, rows = models_of(api), []
    for service in _chosen(models, call.query.service):
        told = models.model(service_of(service.service)).history
        rows += [_change(service.service, n, row) for n, row in enumerate(reversed(told))]
    page = CHANGES.page(call.query, rows)
    return VersionHistory(
        as_of_ms=api.view.now_ms,
        changes=page.rows,
        why_empty=why_empty(page.rows, (not rows, _NO_VERSION)),
        next_cursor=page.next_cursor,
    )


_NO_VERSION = (
    "No version of a model was ever here: starters come with the program, 'make starter' makes them, and "
    "rfid3 train makes the shop's own (docs/training.md)."
)


def _change(service: str, number: int, row: HistoryRow) -> VersionChange:
    return VersionChange(
        service=service,
        at_ms=row.at_ms,
        number=number,
        version=row.version,
        state=row.state,
        who=row.who,
        why=row.why,
    )


def retrain(api: Api, call: Call[Query, ServicePath]) -> Answer:
    """Learn a service anew from the shop's history, now."""
    return training.asked(api, service_of(call.path.service), call.body)


def system_status(api: Api, call: Call[Query, Path]) -> Health:
    """How the daemon and what it stands on are."""
    return health_of(api)


def metrics(api: Api, call: Call[Query, Path]) -> PerformanceMetrics:
    """How fast the daemon is, and how much it bears."""
    told = api.view.stats()
    return PerformanceMetrics(
        as_of_ms=api.view.now_ms,
        revision=api.view.revision,
        requests=sum(api.answers.values()),
        failed=sum(n for (_, status), n in api.answers.items() if status >= 500),
        seconds_mean=api.seconds.means(DEAR_MOST),
        corridor=told.get("corridor", {}),
        latency=told.get("latency", {}),
        models=told.get("models", {}),
        rows=told.get("rows", {}),
    )


def accuracy(api: Api, call: Call[ModelsQuery, Path]) -> PredictionAccuracy:
    """How good each service's answers were, held against what happened."""
    models, made = models_of(api), []
    for row in _chosen(models, call.query.service):
        found = models.model(service_of(row.service))
        here = next((v.field for v in found.versions if v.version == row.active), None)
        rule = here.baseline_loss if here is not None else None
        better = 1 - here.loss / rule if here is not None and rule else None
        made.append(
            ServiceAccuracy(
                service=row.service,
                version=row.answering,
                measured=bool(found.scores),
                scores=found.scores,
                better_than_rule=better,
                coverage=here.coverage if here is not None else None,
                drifted=[moved.name for moved in found.drift if moved.drifted],
            )
        )
    return PredictionAccuracy(as_of_ms=api.view.now_ms, services=made)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/predictive/models/status",
        "model_status",
        "Which version of each service answers, and what is being trained.",
        status,
        ModelStatus,
        area=AREA,
        query=ModelsQuery,
        problems=("models-off",),
    ),
    Endpoint(
        "GET",
        "/api/predictive/models/performance",
        "model_performance",
        "How good and how fast each service is, version by version.",
        performance,
        ModelPerformance,
        area=AREA,
        query=ModelsQuery,
        problems=("models-off",),
    ),
    Endpoint(
        "GET",
        "/api/predictive/models/version-history",
        "version_history",
        "What became of each version, when and why.",
        history,
        VersionHistory,
        area=AREA,
        query=VersionsQuery,
        rows="changes",
        problems=("models-off", "bad-cursor"),
    ),
    Endpoint(
        "POST",
        "/api/predictive/models/retrain/{service}",
        "retrain",
        "Learn a service anew from the shop's history, now.",
        retrain,
        JobRow,
        area=AREA,
        parts=ServicePath,
        body=training.Retrain,
        statuses=JOB_STATUSES,
        problems=("unknown-service", *training.PROBLEMS),
    ),
    Endpoint(
        "GET",
        "/api/predictive/health/system-status",
        "system_status",
        "How the daemon and what it stands on are.",
        system_status,
        Health,
        area=AREA,
    ),
    Endpoint(
        "GET",
        "/api/predictive/health/performance-metrics",
        "performance_metrics",
        "How fast the daemon is, and how much it bears.",
        metrics,
        PerformanceMetrics,
        area=AREA,
    ),
    Endpoint(
        "GET",
        "/api/predictive/health/prediction-accuracy",
        "prediction_accuracy",
        "How good each service's answers were, held against what happened.",
        accuracy,
        PredictionAccuracy,
        area=AREA,
        query=ModelsQuery,
        problems=("models-off",),
    ),
)
