"""What of the API is mirrored for replicas: answers made as a handler makes them, without a request."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Literal

import msgspec

from edge.api.encode import encode
from edge.api.endpoint import Answer, Api, Call, Endpoint
from edge.api.problems import Problem
from edge.view_decisions import DecisionsView

ANSWERS = (
    "/api/kpis",
    "/api/models",
    "/api/decisions",
    "/api/decisions/summary",
    "/api/safeguards",
    "/api/inventory",
    "/api/inventory/low-stock",
    "/api/inventory/reorder-suggestions",
    "/api/predictive/inventory/restock-alerts",
    "/api/predictive/pricing/recommendations",
    "/api/predictive/packs/recommendations",
    "/api/predictive/quality/replacement-recommendations",
    "/api/predictive/models/status",
    "/api/predictive/health/system-status",
)
"""GET endpoints whose answer without parameters is mirrored, where they exist."""

Told = AsyncIterator[tuple[Literal["kpi", "alert", "answer"], str, Any]]


async def told(api: Api, table: tuple[Endpoint, ...]) -> Told:
    """(family, name, record) of everything that is mirrored beside forecasts."""
    for endpoint in table:
        if endpoint.method != "GET" or endpoint.path not in ANSWERS:
            continue
        await asyncio.sleep(0)
        body = await _body(api, endpoint)
        if body is None:
            continue
        yield "answer", endpoint.path, body
        if endpoint.path == "/api/kpis":
            for row in msgspec.json.decode(body)["kpis"]:
                yield "kpi", row["name"], row
    await asyncio.sleep(0)
    for decision in api.view_of(DecisionsView).rows():
        if decision.status in ("proposed", "pending"):
            yield "alert", f"decision-{decision.id}", decision


async def _body(api: Api, endpoint: Endpoint) -> bytes | None:
    """What the endpoint answers without parameters.

    ``None``: a problem, such as models switched off, or no more than a promise (202).
    """
    call: Call[Any, Any] = Call(None, endpoint.query(), endpoint.parts())  # type: ignore[arg-type]
    try:
        made = endpoint.handler(api, call)
        made = await made if inspect.isawaitable(made) else made
    except Problem:
        return None
    if isinstance(made, Answer):
        if made.status != HTTPStatus.OK:
            return None
        made = made.body
    return made if isinstance(made, bytes) else encode(made)
