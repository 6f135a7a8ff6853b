"""A replica of the API that reads Redis alone: no state, no journal; as many as one likes. Read only.

It serves what the daemon mirrors: whole answers by their path, forecasts by class and store, active
alerts. Every answer says how old it is (``Age``); what is not mirrored is a problem that says so.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
from aiohttp import web
from msgspec import Struct

from edge.api import loopback
from edge.api.encode import JSON, encode
from edge.api.mirrored import ANSWERS
from edge.storage.mirror import Mirror, MirrorAwayError

SELF = "rfid3:mirror"
L1_S = 0.1
"""A value read from Redis is answered again for so long without asking."""
L1_MAX = 4_096
ALERTS_MAX = 10_000
PROBLEM = "application/problem+json"


class Fault(Struct, omit_defaults=True):
    """A problem, as the daemon tells them."""

    type: str
    title: str
    status: int
    detail: str
    cure: str


class _Made(Struct):
    predicted_ms: int


@dataclass
class Layers:
    """Two layers of memory: this process for 100 ms, then Redis."""

    mirror: Mirror
    ttl_s: int
    hits: Counter[str] = field(default_factory=Counter)
    near: dict[str, tuple[float, bytes, float]] = field(default_factory=dict)

    async def get(self, key: str, life_s: int) -> tuple[bytes, float] | None:
        """A value and its age, seconds. Raises MirrorAwayError."""
        now_s = time.monotonic()
        kept = self.near.get(key)
        if kept is not None and now_s - kept[0] < L1_S:
            self.hits["l1_hit"] += 1
            return kept[1], kept[2]
        self.hits["l1_miss"] += 1
        found = await self.mirror.get(key)
        self.hits["l2_hit" if found else "l2_miss"] += 1
        if found is None:
            return None
        age_s = max(0.0, life_s - found[1])
        if len(self.near) >= L1_MAX:
            self.near.clear()
        self.near[key] = (now_s, found[0], age_s)
        return found[0], age_s


LAYERS = web.AppKey("layers", Layers)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def replica(mirror: Mirror, ttl_s: int, forecast_ttl_s: int) -> web.Application:
    """The application, ready to be served."""
    layers = Layers(mirror, ttl_s)
    app = web.Application(middlewares=[_guard])
    app[LAYERS] = layers

    def answered(path: str) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            if request.query:
                return _fault(
                    400, "not-mirrored", "Parameters are for the daemon alone.", "Ask it."
                )
            return _told(await layers.get(f"answer:{path}", ttl_s), path)

        return handler

    async def forecast(request: web.Request) -> web.Response:
        sku, store = request.match_info["sku"], request.query.get("store", "")
        if not store:
            told = "A replica knows no shop of its own."
            return _fault(400, "bad-parameter", told, "Add ?store=.")
        found = await layers.get(f"forecast:{sku}:{store}", forecast_ttl_s)
        if found is not None:  # how long it lives depends on who made it; it says when it was
            made_ms = msgspec.json.decode(found[0], type=_Made).predicted_ms
            found = found[0], max(0.0, time.time() - made_ms / 1000)
        return _told(found, f"{sku} {store}")

    async def alerts(request: web.Request) -> web.Response:
        found = await mirror.found("alert:active:*", ALERTS_MAX)
        rows = [msgspec.Raw(value) for _, value in found]
        return web.Response(body=encode({"alerts": rows}), content_type=JSON)

    async def ready(request: web.Request) -> web.Response:
        found = await layers.get(SELF, ttl_s)
        if found is None:
            told = "The daemon has not written for too long."
            return _fault(503, "stale", told, "See the daemon's /healthz and its redis.url.")
        return web.Response(body=found[0], content_type=JSON)

    async def counters(request: web.Request) -> web.Response:
        return web.Response(body=encode(dict(layers.hits)), content_type=JSON)

    for path in ANSWERS:
        app.router.add_get(path, answered(path))
    app.router.add_get("/api/predict/demand/{sku}", forecast)
    app.router.add_get("/api/alerts/active", alerts)
    app.router.add_get("/api/stats", counters)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/healthz", ready)
    return app


def _told(found: tuple[bytes, float] | None, what: str) -> web.Response:
    if found is None:
        told = f"Nothing is mirrored of {what}, or it is too old."
        return _fault(404, "not-mirrored", told, "Ask the daemon; see /readyz.")
    headers = {"Age": str(int(found[1])), "Cache-Control": "no-store"}
    return web.Response(body=found[0], content_type=JSON, headers=headers)


def _fault(status: int, slug: str, detail: str, cure: str) -> web.Response:
    told = Fault(f"urn:rfid3:problem:{slug}", slug.replace("-", " "), status, detail, cure)
    return web.Response(status=status, body=encode(told), content_type=PROBLEM)


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    host = request.headers.get("Host")
    if host is not None and not loopback.is_loopback(loopback.host_of(host)):
        return _fault(403, "foreign-host", f"Host: {host}", "Use 127.0.0.1 or localhost.")
    try:
        return await handler(request)
    except MirrorAwayError as error:
        return _fault(503, "redis-away", str(error), "Start Redis; the daemon itself answers.")
    except web.HTTPNotFound:
        told = f"{request.path} is not mirrored."
        return _fault(404, "not-mirrored", told, "Ask the daemon itself.")
    except web.HTTPMethodNotAllowed:
        return _fault(405, "read-only", "A replica only reads.", "Ask the daemon itself.")
