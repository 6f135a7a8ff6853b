"""``POST /api/events``: the HTTP door into the corridor, one message an event. It keeps no state.

A body is read as it comes and submitted in bounded chunks; a full inbox holds the sender back
before it refuses him. The answer is a report by line number of what was admitted and what not.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import Meta

from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.fields import counts_again, fields_of, unknown_fields, with_id
from edge.api.inflate import Inflate
from edge.api.lines import Line, Lines
from edge.api.native import CsvEvents, RefusedLineError, json_event, json_events
from edge.api.problems import Problem
from edge.api.report import UPLOADED, LineReceipt, Report, UploadReport
from edge.errors import InboxFull
from edge.events import BY_KIND, AnyEvent
from edge.records import Message

CHUNK_LINES = 256
CHUNK_BYTES = 262_144
PIECE_BYTES = 32_768  # cut into lines at once
WINDOW_LINES = 4_096  # most lines of one upload in the corridor at once; MQTT wants room too

IDEMPOTENCY_KEY = "Idempotency-Key"
IDEMPOTENCY_KEY_MAX = 64

BREAKS = ("body-too-large", "slow-body", "incomplete-body")

JSON_TYPE = "application/json"
LINES_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
CSV_TYPE = "text/csv"


class UploadQuery(Query):
    """What the events are, and who sends them."""

    type: Annotated[str, Meta(extra_json_schema={"enum": sorted(BY_KIND)})] | None = None
    """Event type of every line that does not name its own."""
    source: Annotated[str, Meta(min_length=1, max_length=128, pattern="^[^/+#]*$")] = "http"
    """Who sends: becomes the ``source`` of events that do not name one."""


class Door:
    """Submits one event a line, chunk by chunk, holding back while the corridor is full."""

    def __init__(
        self, api: Api, report: Report, topic: str, kind: str = "", idempotency_key: str = ""
    ) -> None:
        """``kind``: of events that do not name their own. ``idempotency_key``: see ``_looked_at``."""
        self._api = api
        self._report = report
        self._topic = topic
        self._kind = kind
        self._idempotency_key = idempotency_key
        self._chunk: list[tuple[Message, LineReceipt]] = []
        self._chunk_bytes = 0
        self._next_line = 1

    async def put(self, line: Line, event_of: Callable[[bytes], bytes]) -> None:
        """Add the event of a line, or note why it is refused; a full chunk is submitted."""
        self._next_line = line.number + 1
        try:
            if line.too_long:
                raise RefusedLineError("too_long", "Longer than ingest.payload_max_bytes.")
            event = event_of(line.text)
        except RefusedLineError as error:
            self._report.refuse(line.number, error.reason, error.detail)
        else:
            event = self._looked_at(line.number, event)
            message = Message(self._topic, event, self._api.clock.now_ms())
            await self.add(line.number, message)

    def _looked_at(self, line: int, event: bytes) -> bytes:
        """The event, with warnings told and an id where it needs and gets one.

        With an idempotency key, an event that could not be told from its own repeat is known by
        key and line, so that the same body may be sent again.
        """
        told = fields_of(event)
        kind = self._kind or str(told.get("type"))
        for warning in unknown_fields(told, kind):
            self._report.warn(line, warning)
        if self._idempotency_key and counts_again(told, kind):
            return with_id(event, f"{self._idempotency_key}/{line}")
        return event

    async def add(self, line: int, message: Message, receipt: LineReceipt | None = None) -> None:
        """Add a message; a full chunk is submitted."""
        self._chunk.append((message, receipt or self._report.receipt(line)))
        self._chunk_bytes += len(message.payload)
        if len(self._chunk) >= CHUNK_LINES or self._chunk_bytes >= CHUNK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Submit what is waiting. Raises Problem ``inbox-full``."""
        if not self._chunk:
            return
        room = WINDOW_LINES - len(self._chunk)
        if not await self._report.settle(room, self._api.patience.progress_s):
            raise Problem("inbox-full", "The corridor stands still.", **self._taken())
        await self._submit()
        self._report.submitted += len(self._chunk)
        self._chunk, self._chunk_bytes = [], 0
        await asyncio.sleep(0)  # let the corridor and other requests have their turn

    async def _submit(self) -> None:
        """Try until there is room; the first chunk of an upload is refused at once."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._api.patience.progress_s
        while True:
            try:
                return self._api.corridor.submit(self._chunk)
            except InboxFull as error:
                if not self._report.submitted or loop.time() >= deadline:
                    raise Problem("inbox-full", str(error), **self._taken()) from None
            await asyncio.sleep(self._api.patience.full_s)

    def untaken(self) -> list[LineReceipt]:
        """Receipts of what was added and not submitted."""
        return [receipt for _, receipt in self._chunk]

    def _taken(self) -> dict[str, Any]:
        """For a problem: how far we came, so that the sender knows where to go on."""
        first_untaken = self._chunk[0][1].line if self._chunk else self._next_line
        return {"resume_line": first_untaken, "report": self._report.summary()}

    async def finish(self) -> Answer:
        """Submit the rest, wait for the receipts, and answer 200, or 202 when it takes long."""
        await self.flush()
        settled = await self._report.settle(0, self._api.patience.progress_s)
        if not self._report.durable:
            raise Problem("not-durable", "No commit in time.", **self._taken())
        return Answer(self._report.summary(), status=200 if settled else 202)

    async def close_early(self, problem: Problem) -> None:
        """The body broke: what came before counts all the same, and the problem says so."""
        await self.flush()
        await self._report.settle(0, self._api.patience.progress_s)
        problem.members.update(self._taken())


async def _received(api: Api, request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Problem when too slow, or broken off."""
    while True:
        try:
            async with asyncio.timeout(api.patience.body_s):
                piece = await request.content.readany()
        except TimeoutError:
            raise Problem("slow-body", f"Nothing for {api.patience.body_s} s.") from None
        except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as error:
            raise Problem("incomplete-body", "The sender broke off inside the body.") from error
        if not piece:
            return
        yield piece


async def _opened(api: Api, request: web.Request) -> AsyncIterator[bytes]:
    """The body, no longer compressed. Raises Problem."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Problem("unsupported-media-type", f"Content-Encoding: {encoding}.", cure="Use gzip.")
    inflate = Inflate() if encoding == "gzip" else None
    async for piece in _received(api, request):
        for opened in inflate.feed(piece) if inflate else (piece,):
            yield opened
            await asyncio.sleep(0)  # a small piece may become many large ones
    if inflate and not inflate.complete:
        raise Problem("incomplete-body", "The gzip body has no end.")


async def pieces(api: Api, request: web.Request, limit_bytes: int) -> AsyncIterator[bytes]:
    """The body piece by piece. Raises Problem when too large, too slow, or broken off."""
    too_large = f"More than {limit_bytes} bytes."
    if (request.content_length or 0) > limit_bytes:
        raise Problem("body-too-large", too_large)
    seen = 0
    async for piece in _opened(api, request):
        seen += len(piece)
        if seen > limit_bytes:
            raise Problem("body-too-large", too_large)
        yield piece


async def _numbered(api: Api, request: web.Request) -> AsyncIterator[Line]:
    """The lines of the body, without empty ones; every so often others have their turn."""
    lines = Lines(api.settings.ingest.payload_max_bytes)
    async for piece in pieces(api, request, api.settings.api.body_max_bytes):
        for start in range(0, len(piece), PIECE_BYTES):
            for line in lines.feed(piece[start : start + PIECE_BYTES]):
                if line.number % CHUNK_LINES == 0:
                    await asyncio.sleep(0)
                if not line.blank:
                    yield line
    for line in lines.end():
        if not line.blank:
            yield line


async def _array(api: Api, request: web.Request) -> AsyncIterator[Line]:
    """The elements of a JSON body, numbered from 1.

    Reading JSON cannot be done in slices, so such a body is bounded like one MQTT payload.
    """
    limit = min(api.settings.ingest.payload_max_bytes, api.settings.api.body_max_bytes)
    body = b"".join([piece async for piece in pieces(api, request, limit)])
    for number, event in enumerate(json_events(body), start=1):
        if number % CHUNK_LINES == 0:
            await asyncio.sleep(0)
        yield Line(number, bytes(event))


Reading = tuple[AsyncIterator[Line], Callable[[bytes], bytes]]


async def _open_csv(api: Api, request: web.Request, kind: str) -> Reading:
    lines = _numbered(api, request)
    header = await anext(lines, None)
    if header is None or header.too_long:
        raise Problem("bad-header-row", "There is no header row.")
    return lines, CsvEvents(header.text, kind).event


async def _open(api: Api, call: Call[UploadQuery, Path]) -> Reading:
    """(lines, line -> event) for the content type. Raises Problem."""
    media = call.request.content_type if "Content-Type" in call.request.headers else ""
    if media == JSON_TYPE:
        return _array(api, call.request), json_event
    if media in LINES_TYPES:
        return _numbered(api, call.request), json_event
    if media == CSV_TYPE:
        return await _open_csv(api, call.request, call.query.type or "")
    raise Problem("unsupported-media-type", f"{media or 'No content type'}.")


def idempotency_key(request: web.Request) -> str:
    """The sender's name for this body; empty: none. Raises Problem ``bad-header``."""
    key = request.headers.get(IDEMPOTENCY_KEY, "").strip()
    if len(key) > IDEMPOTENCY_KEY_MAX or not (key.isascii() and key.isprintable()):
        detail = f"{IDEMPOTENCY_KEY}: at most {IDEMPOTENCY_KEY_MAX} printable ASCII characters."
        raise Problem("bad-header", detail)
    return key


async def post_events(api: Api, call: Call[UploadQuery, Path]) -> Answer:
    """Admit events, and report by line what became of them."""
    kind = call.query.type
    if kind is not None and kind not in BY_KIND:
        detail = f"type={kind!r}: one of {', '.join(sorted(BY_KIND))}."
        raise Problem("bad-parameter", detail, parameter="type")
    topic = f"$http/{kind or 'events'}/{call.query.source}"
    door = Door(api, Report(api.uploaded), topic, kind or "", idempotency_key(call.request))
    lines, event_of = await _open(api, call)
    try:
        async for line in lines:
            await door.put(line, event_of)
    except Problem as problem:
        if problem.slug in BREAKS:
            await door.close_early(problem)
        raise
    return await door.finish()


_READ_THE_REPORT = (
    "**200 does not mean that every event was taken.** An event that is refused does not fail its "
    "neighbours or the request: read `refused_count` and `refused` in every answer. `warnings` "
    "names fields that no event has and that were ignored."
)
_KEY = (
    "The sender's own name for this body. The same body sent again under the same name counts "
    "once, also events without id, time or line number of their own."
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/api/events",
        "post_events",
        "Send events: JSON, JSON lines or CSV; the answer says line by line what was refused.",
        post_events,
        UploadReport,
        area="events",
        query=UploadQuery,
        statuses=UPLOADED,
        description=_READ_THE_REPORT,
        headers={IDEMPOTENCY_KEY: _KEY},
        problems=(
            "bad-body",
            "bad-header",
            "bad-header-row",
            "incomplete-body",
            "slow-body",
            "body-too-large",
            "unsupported-media-type",
            "inbox-full",
            "not-durable",
        ),
        bodies={
            JSON_TYPE: AnyEvent | list[AnyEvent],
            LINES_TYPES[0]: str,
            CSV_TYPE: str,
        },
    ),
)
