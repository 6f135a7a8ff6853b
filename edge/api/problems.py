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


KINDS: dict[str, Kind] = {
    "unknown-parameter": Kind(
        400, "Unknown query parameter", "Leave it out, or correct its name; see /openapi.json."
    ),
    "bad-parameter": Kind(
        400, "A query parameter cannot be used", "Correct its value; see /openapi.json."
    ),
    "bad-path": Kind(
        400, "A part of the path cannot be used", "Percent-encode it, without control characters."
    ),
    "bad-cursor": Kind(
        400,
        "The cursor cannot be used",
        "Start again without a cursor, and keep the filters the same from page to page.",
    ),
    "bad-body": Kind(400, "The body cannot be read", "Send JSON text in UTF-8."),
    "bad-header": Kind(400, "A header cannot be used", "Correct its value, or leave it out."),
    "bad-header-row": Kind(
        400,
        "The header row cannot be used",
        "Name the event type's own fields in the first row; see docs/events.md.",
    ),
    "incomplete-body": Kind(
        400, "The body broke off or cannot be decompressed", "Send the rest again."
    ),
    "foreign-host": Kind(
        403,
        "Not asked for by a loopback name",
        "Use 127.0.0.1, [::1] or localhost in the address.",
    ),
    "foreign-origin": Kind(
        403, "Asked for by a page of another site", "Call the API from this machine, not a page."
    ),
    "not-found": Kind(404, "No such endpoint", "The list of endpoints is at /."),
    "unknown-item": Kind(404, "No such item", "Look it up in /api/items."),
    "unknown-class": Kind(
        404, "No such class in this store", "Look it up in /api/classes; name the store."
    ),
    "unknown-service": Kind(404, "No such service", "The list of services is at /api/models."),
    "models-off": Kind(404, "Models are switched off", "Set models.enabled in the configuration."),
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
        "Wait: once the journal holds it, it leaves the list.",
    ),
    "unknown": Kind(404, "No such thing", "Look it up in the list of its kind."),
    "unknown-field": Kind(
        422, "The body has a field that is not known", "Leave it out, or correct its name."
    ),
    "bad-field": Kind(422, "A field of the body cannot be used", "Correct its value."),
    "invalid": Kind(422, "What is asked for makes no sense", "Correct it as the detail says."),
    "conflict": Kind(
        409, "It cannot be done in its present state", "Look at how it stands, and ask again."
    ),
    "limit": Kind(
        422,
        "A table is full, or a safeguard says no",
        "Delete what is not needed, or change the limit in the configuration.",
    ),
    "forbidden": Kind(403, "It is never done", "See the detail."),
    "no-trainer": Kind(
        501,
        "Training is not installed here",
        "'make trainer' in the project's folder, or pip install --require-hashes -r "
        "requirements/trainer.txt; or train on a workstation: docs/training.md.",
    ),
    "unknown-command": Kind(
        404,
        "No such command",
        "Only the newest are remembered, since the daemon started: look at what it should change.",
    ),
    "unknown-job": Kind(404, "No such job", "Its answer was let go; start it again."),
    "too-many-jobs": Kind(503, "Too many jobs are waiting", "Wait for one to finish."),
    "method-not-allowed": Kind(405, "Method not allowed", "Use a method of the Allow header."),
    "slow-body": Kind(408, "The body came too slowly", "Send the rest again."),
    "body-too-large": Kind(
        413,
        "The body is too large",
        "Send JSON lines or CSV in several uploads; the limit is api.body_max_bytes.",
    ),
    "unsupported-media-type": Kind(
        415,
        "The content type is not understood",
        "Use application/json, application/x-ndjson or text/csv.",
    ),
    "http-error": Kind(400, "The request cannot be served", "Correct the request."),
    "internal": Kind(
        500, "The daemon made a mistake", "Look in its log, and report what you find there."
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
    "not-ready": Kind(503, "Not ready", "See the dependencies that are not ok."),
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
        "cure": problem.cure,
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
