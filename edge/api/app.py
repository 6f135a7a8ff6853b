"""The server: routes from the table, one guard around every handler, answers on the wire.

No state of the shop: handlers get ports (``ports.py``), and what they read is the view's.
"""

import asyncio
import inspect
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import structlog
from aiohttp import web
from msgspec import Struct

from edge import __version__
from edge.api import loopback, metrics, problems
from edge.api.body import read_body
from edge.api.documents import Index, IndexRow
from edge.api.empty import explained
from edge.api.encode import encode, pack
from edge.api.endpoint import Answer, Api, Call, Endpoint, Patience
from edge.api.etag import matches
from edge.api.jobs import Jobs, Publish
from edge.api.known import need_store
from edge.api.near import Near
from edge.api.openapi import document
from edge.api.ports import Corridor, Models, Tables, View
from edge.api.problems import Problem
from edge.api.query import read_path, read_query
from edge.api.spreadsheet import CONTENT_TYPE, THREAD_ABOVE_ROWS, as_csv, row_type, wants_csv
from edge.api.table import ENDPOINTS
from edge.clock import Clock
from edge.config import Config
from edge.view_all import Views

log = structlog.get_logger("edge.api")

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]
MOMENTARY = frozenset({"health", "commands", "jobs"})
"""Areas whose answers change without a revision of the state."""
API = web.AppKey("api", Api)


def server(
    view: View,
    corridor: Corridor,
    tables: Tables,
    settings: Config,
    clock: Clock,
    patience: Patience | None = None,
    models: Models | None = None,
    views: Views | None = None,
    table: Sequence[Endpoint] = ENDPOINTS,
    publish: Publish | None = None,
) -> web.Application:
    """The application, ready to be served; it starts nothing by itself.

    ``publish`` is how a finished job tells a topic; ``None``: there is no broker.
    """
    registry, seconds = metrics.registry()
    api = Api(
        view=view,
        corridor=corridor,
        tables=tables,
        settings=settings,
        clock=clock,
        instance=secrets.token_hex(4),
        registry=registry,
        seconds=seconds,
        documents=_documents(table),
        patience=patience or Patience(),
        models=models,
        views=views,
    )
    own_port = loopback.parse_bind(settings.api.bind)[1]
    api.jobs = Jobs(clock, settings.api.webhook_hosts, own_port, publish)
    app = web.Application(middlewares=[_guard(api)])
    app[API] = api
    app.on_cleanup.append(_end_jobs)
    for endpoint in table:
        respond = _respond(api, endpoint)
        app.router.add_route(endpoint.method, endpoint.path, respond)
        if endpoint.method == "GET":
            app.router.add_route("HEAD", endpoint.path, respond)
    return app


async def _end_jobs(app: web.Application) -> None:
    await app[API].jobs.close()


def _documents(table: Sequence[Endpoint]) -> dict[str, bytes]:
    rows = [IndexRow(e.method, e.path, e.summary) for e in table]
    return {
        "index": encode(Index("rfid3", __version__, rows)),
        "openapi": encode(document(table)),
    }


def _respond(api: Api, endpoint: Endpoint) -> Respond:
    """The aiohttp handler of one row of the table."""
    waits = inspect.iscoroutinefunction(endpoint.handler)
    cache_control = "no-cache" if endpoint.tag else "no-store"
    vary = "Accept, Accept-Encoding" if endpoint.rows else "Accept-Encoding"
    kind = row_type(endpoint.answer, endpoint.rows) if endpoint.rows else None
    # who has a tag is asked for it anyway; who waits asks somebody else
    lasting = not (waits or endpoint.tag or endpoint.area in MOMENTARY)
    near = Near(api.clock) if lasting and endpoint.method == "GET" else None
    stored = "unknown-store" in endpoint.problems  # its figures are no list that could be empty

    async def respond(request: web.Request) -> web.StreamResponse:
        query = read_query(endpoint.query, request.query)
        path = read_path(endpoint.parts, request.match_info)
        told = endpoint.body and await read_body(
            api, request, endpoint.body, endpoint.body_max_bytes
        )
        call = Call(request, query, path, told)
        headers = {"Cache-Control": cache_control, "Vary": vary}
        csv = kind is not None and wants_csv(request, getattr(query, "format", None))
        # From here to the handler's end nothing awaits: tag and body belong to one revision.
        tag = endpoint.tag(api, call) if endpoint.tag else None
        if tag is not None:
            tag = tag[:-1] + '-csv"' if csv else tag
            headers["ETag"] = tag
            if matches(request.headers.get("If-None-Match"), tag):
                return web.Response(status=304, headers=headers)
        if near is not None and (known := near.get(request.path_qs, api.view.revision)) is not None:
            api.layers["l1_hit"] += 1
            made = known
        else:
            if stored:
                need_store(api, getattr(query, "store", None))
            made = endpoint.handler(api, call)
            made = await made if waits else made
            if endpoint.method == "GET":
                made = explained(api, endpoint.rows, query, made)
            if near is not None:
                api.layers["l1_miss"] += 1
                near.put(request.path_qs, api.view.revision, made)
        if csv and kind is not None and not isinstance(made, Answer):
            made = await _table(request, made, endpoint, kind)
        return await _reply(request, made, endpoint, headers)

    return respond


async def _table(request: web.Request, made: Any, endpoint: Endpoint, kind: type[Struct]) -> Answer:
    """The rows of an answer as CSV; where the next page is goes into a header."""
    rows = getattr(made, endpoint.rows)
    if len(rows) > THREAD_ABOVE_ROWS:
        body = await asyncio.to_thread(as_csv, rows, kind)
    else:
        body = as_csv(rows, kind)
    following = getattr(made, "next_cursor", None)
    place = request.rel_url.update_query(cursor=following) if following else None
    headers = {"Link": f'<{place}>; rel="next"'} if place else {}
    return Answer(body, media=CONTENT_TYPE, headers=headers)


async def _reply(
    request: web.Request, made: Any, endpoint: Endpoint, headers: dict[str, str]
) -> web.Response:
    """A record or an Answer as a response, as gzip where that pays."""
    answer = made if isinstance(made, Answer) else Answer(made, media=endpoint.media)
    body = answer.body if isinstance(answer.body, bytes) else encode(answer.body)
    body, encoding = await pack(body, request.headers.get("Accept-Encoding", ""), answer.lasting)
    headers |= {"Content-Type": answer.media, **answer.headers}
    if encoding:
        headers["Content-Encoding"] = encoding
    return web.Response(status=answer.status, body=body, headers=headers)


def _guard(api: Api) -> Any:
    """The one place where problems become bodies, and where answers are counted and timed."""

    @web.middleware
    async def guard(request: web.Request, handler: Respond) -> web.StreamResponse:
        started_ms = api.clock.monotonic_ms()
        try:
            _admit(request)
            response = await handler(request)
        except Problem as problem:
            response = problems.response(problem, request.path)
        except web.HTTPException as error:
            response = problems.response(problems.from_http_error(error), request.path)
        except Exception as error:
            # A mistake in one answer is logged and told to the one who asked; it changes no
            # state, so the daemon, which others rely on, goes on.
            log.exception("api_mistake", path=request.path, error=repr(error))
            response = problems.response(Problem("internal", type(error).__name__), request.path)
        name = _endpoint_of(request)
        api.answers[name, response.status] += 1
        api.seconds.observe(name, (api.clock.monotonic_ms() - started_ms) / 1e3)
        return response

    return guard


def _endpoint_of(request: web.Request) -> str:
    """The endpoint's path as in the table, so that counters have few names; ``none``: no such."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "none"


def _admit(request: web.Request) -> None:
    """Only this machine's own programs and pages. Raises Problem."""
    host = request.headers.get("Host")  # browsers always send it; without it there is no name
    if host is not None and not loopback.is_loopback(loopback.host_of(host)):
        raise Problem("foreign-host", f"Host: {host}")
    if loopback.is_foreign_origin(request.headers.get("Origin")):
        raise Problem("foreign-origin", f"Origin: {request.headers['Origin']}")


class Bound(NamedTuple):
    """Where the server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address to give to people and clients, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@asynccontextmanager
async def serving(app: web.Application, bind: str) -> AsyncIterator[Bound]:
    """Listen on ``bind`` (port 0: any free one) while the block runs.

    Raises ConfigError when ``bind`` is not loopback, OSError when the port is taken.
    """
    host, port = loopback.parse_bind(bind)
    # Bodies are opened by the handler, piece by piece: see inflate.py.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        address = runner.addresses[0]
        yield Bound(address[0], address[1])
    finally:
        await runner.cleanup()
