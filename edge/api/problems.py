"""Problem bodies (RFC 9457): every way a request can fail, in one table. No routing, no state.

A body is ``application/problem+json`` with type, title, status, detail, instance and ``cure``,
which says what to do about it; a problem may add members of its own.

Source: RFC 9457, Problem Details for HTTP APIs.
"""

from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from edge.api.encode import encode

MEDIA = "application/problem+json"
TYPE_PREFIX = "urn:rfid3:problem:"


class Kind(NamedTuple):
    """One row of the table."""

    status: int
    title: str
    cure: str
    """What to do where nobody says it better; ``{path}`` is what was asked for."""


KINDS: dict[str, Kind] = {
    "unknown-parameter": Kind(
        400,
        "Unknown query parameter",
        "Leave it out, or use one of the names in the detail, as in {path}?limit=10; /openapi.json has "
        "them with their types.",
    ),
    "bad-parameter": Kind(
        400,
        "A query parameter cannot be used",
        "Give it what the detail asks for, percent-encoded, as in ?category=Round%20Linen&limit=10; "
        "/openapi.json has the type and limits of each parameter of {path}.",
    ),
    "bad-path": Kind(
        400,
        "A part of the path cannot be used",
        "Percent-encode it, as in /api/classes/A%2F1 for the class A/1; control characters are in no name.",
    ),
    "bad-cursor": Kind(
        400,
        "The cursor cannot be used",
        "Ask {path} again without a cursor, then copy next_cursor of each page unchanged into ?cursor=, and keep "
        "the filters the same from page to page.",
    ),
    "bad-body": Kind(
        400,
        "The body cannot be read",
        "Send one JSON object in UTF-8, as in curl -H 'Content-Type: application/json' "
        '-d \'{"by": "ann"}\'; /openapi.json has the fields of {path}.',
    ),
    "bad-header": Kind(
        400,
        "A header cannot be used",
        "Give it what the detail asks for, as in Idempotency-Key: order-17, or leave it out.",
    ),
    "bad-header-row": Kind(
        400,
        "The header row cannot be used",
        "Name the event type's own fields in the first row; see docs/events.md.",
    ),
    "incomplete-body": Kind(
        400,
        "The body broke off or cannot be decompressed",
        "Send it again, whole, or what the answer's count does not have yet; a body sent as gzip must end "
        "where its gzip ends (gzip -t tests it).",
    ),
    "foreign-host": Kind(
        403,
        "Not asked for by a loopback name",
        "Use 127.0.0.1, [::1] or localhost in the address.",
    ),
    "foreign-origin": Kind(
        403,
        "Asked for by a page of another site",
        "Call the API from a program on this machine, as in curl http://127.0.0.1:8099{path}: a page of "
        "another site may not.",
    ),
    "not-found": Kind(
        404,
        "No such endpoint",
        "GET / lists the endpoints, docs/endpoints.md says what serves which need; a name with a slash in "
        "the path is percent-encoded (%2F).",
    ),
    "unknown-item": Kind(
        404,
        "No such item",
        "Look it up in /api/items (by zone, sku or status); a tag that was seen but that nobody linked "
        "stands in /api/unknown-tags.",
    ),
    "unknown-class": Kind(
        404,
        "No such class in this store",
        "Look it up in /api/classes, and name its store, as in ?store=main; a new class is made known by "
        "PUT /api/catalogue/classes/{sku}, or by its first sale, rental or count.",
    ),
    "unknown-store": Kind(
        404,
        "No such store",
        "Name one that the detail has, or leave it out; a store is made known by PUT "
        "/api/catalogue/stores/{store}, or by its first event.",
    ),
    "unknown-service": Kind(404, "No such service", "The list of services is at /api/models."),
    "models-off": Kind(
        404,
        "Models are switched off",
        "Write enabled = true under [models] in the configuration, and restart the daemon.",
    ),
    "not-applied": Kind(
        409,
        "The command changes nothing",
        "See the versions of the service and their states in /api/models/{service}.",
    ),
    "unknown-dead-letter": Kind(
        404, "No such dead letter", "It was played again or trimmed; see /api/dead-letters."
    ),
    "in-play": Kind(
        409,
        "This dead letter is being played already",
        "Wait a moment: once the journal holds it, it leaves the list of GET /api/dead-letters.",
    ),
    "unknown": Kind(
        404,
        "No such thing",
        "Look it up in the list of its kind, such as GET /api/decisions, /api/forecasts, "
        "/api/purchase-orders or /api/suppliers: what is over for long leaves it.",
    ),
    "unknown-field": Kind(
        422,
        "The body has a field that is not known",
        "Leave it out, or use one of the names in the detail; /openapi.json has the fields of {path}. "
        "Nothing was changed.",
    ),
    "bad-field": Kind(
        422,
        "A field of the body cannot be used",
        "Give the field that the detail names a value as it asks for (field holds its path), and send the "
        "body again; /openapi.json has each field of {path} with type and limits. Nothing was changed.",
    ),
    "invalid": Kind(
        422,
        "What is asked for makes no sense",
        "Change what the detail names and ask again: nothing was changed. Examples that work stand in "
        "docs/, one page an area (docs/README.md lists them), and in /openapi.json.",
    ),
    "conflict": Kind(
        409,
        "It cannot be done in its present state",
        "Look at how it stands (its own path, as in GET /api/decisions/{id}): the detail says what is in the "
        "way, or what can be done from there. Nothing was changed.",
    ),
    "limit": Kind(
        422,
        "A table is full, or a safeguard says no",
        "Stay below the limit in the detail, delete what is not needed, or raise the limit: GET "
        "/api/safeguards has those of decisions, docs/configuration.md all others.",
    ),
    "forbidden": Kind(
        403,
        "It is never done",
        "It is refused on purpose, whoever asks: the detail says why; docs/api.md says what the API may do.",
    ),
    "no-trainer": Kind(
        501,
        "Training is not installed here",
        "'make trainer' in the project's folder, or pip install --require-hashes -r "
        "requirements/trainer.txt; or train on a workstation: docs/training.md.",
    ),
    "unknown-command": Kind(
        404,
        "No such command",
        "Only the newest are remembered, since the daemon started: look at what it should change, as in "
        "GET /api/decisions/{id}.",
    ),
    "unknown-job": Kind(
        404,
        "No such job",
        "GET /api/jobs lists those that are remembered; an older one's answer was let go: start it again.",
    ),
    "too-many-jobs": Kind(
        503,
        "Too many jobs are waiting",
        "Ask again after Retry-After seconds; GET /api/jobs lists them, DELETE /api/jobs/{id} stops one.",
    ),
    "method-not-allowed": Kind(405, "Method not allowed", "Use a method of the Allow header."),
    "slow-body": Kind(
        408,
        "The body came too slowly",
        "Send it again, whole and without pauses; where the line is slow in several smaller ones, as in "
        "500 events each.",
    ),
    "body-too-large": Kind(
        413,
        "The body is too large",
        "Send JSON lines or CSV in several uploads; the limit is api.body_max_bytes.",
    ),
    "unsupported-media-type": Kind(
        415,
        "The content type is not understood",
        "Name what is sent, as in curl -H 'Content-Type: application/json' (or application/x-ndjson, text/csv).",
    ),
    "http-error": Kind(
        400,
        "The request cannot be served",
        "The detail is the server's own word about the request line or a header; a request that works is "
        "curl http://127.0.0.1:8099/healthz.",
    ),
    "internal": Kind(
        500,
        "The daemon made a mistake",
        "Nothing was changed by it. Its log has the place, as in journalctl -u rfid3 | grep api_mistake: "
        "report that with what you asked.",
    ),
    "inbox-full": Kind(
        503, "The inbox is full", "Wait as long as Retry-After says, then send the rest again."
    ),
    "not-durable": Kind(
        503,
        "The journal has not committed it yet",
        "Send the same body again, best under the Idempotency-Key of the first try: what has an id,"
        " a time or a line number of its own is recognised anyway.",
    ),
    "not-ready": Kind(
        503,
        "Not ready",
        "Each of the dependencies that is not ok has a cure of its own; GET /healthz shows them all.",
    ),
}

RETRY_AFTER_S = {"inbox-full": 1, "not-durable": 5, "not-ready": 5, "too-many-jobs": 5}


class Problem(Exception):
    """Raised by a handler, turned into a problem body by the guard in ``app.py``."""

    def __init__(
        self, slug: str, detail: str = "", *, status: int = 0, cure: str = "", **members: Any
    ) -> None:
        assert slug in KINDS, slug
        super().__init__(f"{slug}: {detail}")
        self.slug = slug
        self.status = status or KINDS[slug].status
        self.detail = detail
        self.cure = cure or KINDS[slug].cure
        self.members = members
        self.headers: dict[str, str] = {}


class ProblemBody(msgspec.Struct):
    """Why a request failed (RFC 9457); a problem may add members of its own."""

    type: str
    """Which problem, ``urn:rfid3:problem:…``; docs/api.md lists them."""
    title: str
    """The same in words."""
    status: int
    """The HTTP status."""
    detail: str
    """What was wrong this time."""
    instance: str
    """The path that was asked for."""
    cure: str
    """What to do about it."""


def response(problem: Problem, instance: str) -> web.Response:
    """The response for a problem; ``instance`` is the path that was asked for."""
    body = {
        **problem.members,
        "type": TYPE_PREFIX + problem.slug,
        "title": KINDS[problem.slug].title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
        "cure": problem.cure.replace("{path}", instance),
    }
    headers = {"Content-Type": MEDIA, "Cache-Control": "no-store", **problem.headers}
    if problem.slug in RETRY_AFTER_S:
        headers["Retry-After"] = str(RETRY_AFTER_S[problem.slug])
    return web.Response(status=problem.status, body=encode(body), headers=headers)


def from_http_error(error: web.HTTPException) -> Problem:
    """aiohttp's own refusal as one of our problems."""
    slug = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}.get(
        error.status, "http-error"
    )
    problem = Problem(slug, error.reason, status=error.status)
    if "Allow" in error.headers:
        problem.headers["Allow"] = error.headers["Allow"]
    return problem
