"""Is it alive, is it ready, what does it count: health, metrics and stats. No rules of its own."""

from collections.abc import Iterable

from msgspec import Struct

from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.metrics import CONTENT_TYPE, render
from edge.api.problems import Problem
from edge.view_types import Counters, Dependency


class Health(Struct):
    """How the daemon is."""

    status: str
    """``ok``, ``degraded`` (something works worse than it should) or ``not ready``."""
    as_of_ms: int
    """The moment the state stands for: the newest beat applied."""
    revision: int
    """The newest revision of what can be seen."""
    dependencies: list[Dependency]
    """Every dependency by name."""


class Stats(Struct):
    """Every counter."""

    revision: int
    """The revision these numbers belong to."""
    as_of_ms: int
    """The moment they stand for."""
    stats: Counters
    """Group -> name -> number."""


def _status(dependencies: Iterable[Dependency]) -> str:
    """The worst condition of any dependency.

    >>> _status([Dependency("mqtt", ok=True, degraded=True), Dependency("journal", ok=True)])
    'degraded'
    """
    found = list(dependencies)
    if not all(d.ok for d in found):
        return "not ready"
    return "degraded" if any(d.degraded for d in found) else "ok"


def health_of(api: Api) -> Health:
    """How the daemon is, whatever that is."""
    dependencies = api.corridor.health()
    return Health(_status(dependencies), api.view.now_ms, api.view.revision, dependencies)


def healthz(api: Api, call: Call[Query, Path]) -> Health:
    """Alive: always 200 while the loop turns, whatever the dependencies do."""
    return health_of(api)


def readyz(api: Api, call: Call[Query, Path]) -> Health:
    """Ready: 200, or a problem 503 that names what is not ok."""
    health = health_of(api)
    if health.status != "not ready":
        return health
    failing = [d for d in health.dependencies if not d.ok]
    raise Problem(
        "not-ready",
        "; ".join(f"{d.name}: {d.detail or 'not ok'}" for d in failing),
        cure=" ".join(d.cure for d in failing if d.cure),
        dependencies=health.dependencies,
    )


async def metrics(api: Api, call: Call[Query, Path]) -> Answer:
    """Prometheus text: the view's samples of one revision, then the process's and the API's own."""
    return Answer(await render(api), media=CONTENT_TYPE)


def stats(api: Api, call: Call[Query, Path]) -> Stats:
    """Every counter of the daemon, and the API's own under ``http`` and ``http_events``."""
    own: Counters = {
        "http": {f"{name} {status}": n for (name, status), n in sorted(api.answers.items())},
        "http_events": dict(sorted(api.uploaded.items())),
    }
    groups = {**api.view.stats(), **own}
    groups["layers"] = {**groups.get("layers", {}), **api.layers}
    return Stats(api.view.revision, api.view.now_ms, groups)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/healthz",
        "healthz",
        "Whether the daemon is alive, and how its dependencies are.",
        healthz,
        Health,
        area="health",
    ),
    Endpoint(
        "GET",
        "/readyz",
        "readyz",
        "Whether the daemon is ready; 503 names what is not.",
        readyz,
        Health,
        area="health",
        problems=("not-ready",),
    ),
    Endpoint(
        "GET",
        "/metrics",
        "metrics",
        "Every counter and gauge for Prometheus.",
        metrics,
        str,
        area="health",
        media=CONTENT_TYPE,
    ),
    Endpoint(
        "GET",
        "/api/stats",
        "stats",
        "Every counter.",
        stats,
        Stats,
        area="health",
    ),
)
