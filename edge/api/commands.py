"""Commands of the domain: posted into the corridor, waited for two beats, looked up afterwards.

No rules and no rows here: what a command does stands in ``edge.ledger`` and ``edge.decisions``.
Every 2xx follows the commit of the journal.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.problems import KINDS, Problem
from edge.api.query import Text
from edge.api.upload import IDEMPOTENCY_KEY, idempotency_key
from edge.commands import TOPIC, Command
from edge.errors import InboxFull
from edge.records import Message, Receipt

ASKED_MAX = 1_000
"""Commands remembered with what became of them, the newest."""
DETAIL_MAX = 65_536
"""A longer outcome is remembered without its detail, bytes."""
DONE = "done"

KEY_HEADER = {
    IDEMPOTENCY_KEY: "The asker's own name for this command. The same command under the same name "
    "is carried out once, and answered alike again."
}
"""``Endpoint.headers`` of an endpoint that posts a command."""
STATUSES = {200: "It is done.", 202: "It is durable, and will be decided: see ``Location``."}
"""``Endpoint.statuses`` of an endpoint that posts a command."""
CREATED = {201: "It is there now.", 202: STATUSES[202]}
"""The same of one that creates something."""
PROBLEMS = ("invalid", "conflict", "limit", "bad-header", "inbox-full", "not-durable")
"""What every command may meet; ``unknown`` and ``forbidden`` where they can happen."""

R = TypeVar("R")
State = Literal["waiting", "durable", "done", "refused"]


@dataclass(slots=True)
class Asked:
    """One command: the receipt that the corridor tells, and what is remembered of it."""

    id: str
    what: str
    at_ms: int
    reason: str = ""  # ``done`` or a refusal's code; empty: not decided
    detail: str = ""
    durable: bool = False
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    def committed(self) -> None:
        """The journal holds it."""
        self.durable = True
        self.stirred.set()

    def applied(self, outcomes: Sequence[tuple[str, str]]) -> None:
        """(reason, detail): one, since a command is one message."""
        self.reason, self.detail = outcomes[0] if outcomes else ("unanswered", "")
        if self.reason == DONE and len(self.detail) > DETAIL_MAX:
            self.detail = "null"
        self.stirred.set()

    @property
    def state(self) -> State:
        """How far it came."""
        if self.reason:
            return "done" if self.reason == DONE else "refused"
        return "durable" if self.durable else "waiting"


class CommandAnswer(Struct, kw_only=True):
    """What became of a command."""

    command: str
    """Its id, for ``/api/commands``."""
    state: State
    """``done``; with status 202 ``durable``: it is in the journal and will be decided."""
    place: str
    """Where to look for what becomes of it."""
    revision: int
    """The revision of the state after it."""
    as_of_ms: int
    """The moment the state stands for."""
    result: Any = None
    """What it did, such as the row as it is now; null while it is not decided."""


class CommandRow(Struct, kw_only=True):
    """A command that was asked for lately."""

    command: str
    """Its id."""
    what: str
    """Which command."""
    state: State
    """``waiting`` for the journal, ``durable``, ``done`` or ``refused``."""
    at_ms: int
    """When it was asked for."""
    reason: str = ""
    """Why it was refused, in one word."""
    detail: str = ""
    """Why it was refused, for people."""
    result: Any = None
    """What it did; null where it is not done, or did more than is remembered."""


class CommandPath(Path):
    """Which command."""

    id: Text
    """``command`` of the answer that promised a place to look."""


async def obey(
    api: Api,
    call: Call[Any, Any],
    told: Command,
    *,
    beside: Sequence[tuple[Message, Receipt]] = (),
) -> Asked:
    """Post a command and wait up to two beats for its outcome, longer only for its commit.

    ``beside``: messages of events that go before it, all or none.
    ``told.key`` becomes the request's ``Idempotency-Key``. What is returned is ``done`` or
    ``durable``. Raises Problem: the refusal's own slug, ``inbox-full``, ``not-durable``.
    """
    told.key = told.key or idempotency_key(call.request)
    asked = await post(api, told, beside)
    await _settle(api, asked)
    if asked.state == "refused":
        raise refusal(asked)
    return asked


async def post(api: Api, told: Command, beside: Sequence[tuple[Message, Receipt]] = ()) -> Asked:
    """Post a command, after what goes before it, and wait for nothing. Raises Problem ``inbox-full``."""
    what = str(told.__struct_config__.tag)
    asked = Asked(secrets.token_hex(8), what, api.clock.now_ms())
    message = Message(TOPIC, msgspec.json.encode(told), asked.at_ms)
    try:
        api.corridor.submit([*beside, (message, asked)])
    except InboxFull as error:
        raise Problem("inbox-full", str(error)) from None
    api.asked[asked.id] = asked
    if len(api.asked) > ASKED_MAX:
        api.asked.popitem(last=False)
    return asked


async def decided(api: Api, asked: Asked) -> Asked:
    """Wait until it is done, as long as the corridor gets on. Raises Problem."""
    await _settle(api, asked)
    while not asked.reason:
        asked.stirred.clear()
        try:
            async with asyncio.timeout(api.patience.progress_s):
                await asked.stirred.wait()
        except TimeoutError:
            raise Problem("not-durable", "It is durable, but not decided in time.") from None
    if asked.state == "refused":
        raise refusal(asked)
    return asked


def result_of(asked: Asked, kind: type[R]) -> R:
    """The detail of what is done, as a record."""
    return msgspec.json.decode(asked.detail, type=kind)


async def _settle(api: Api, asked: Asked) -> None:
    """Wait as ``obey`` says. Raises Problem ``not-durable``."""
    loop = asyncio.get_running_loop()
    beats_s = 2 * max(api.settings.ingest.beat_ms / 1000, api.patience.beat_s)
    began = loop.time()
    while not asked.reason:
        limit_s = beats_s if asked.durable else max(beats_s, api.patience.progress_s)
        left_s = began + limit_s - loop.time()
        if left_s <= 0:
            break
        asked.stirred.clear()
        try:
            async with asyncio.timeout(left_s):
                await asked.stirred.wait()
        except TimeoutError:
            continue
    if not asked.durable:
        raise Problem("not-durable", "No commit in time.", command=asked.id, place=_place(asked))


def refusal(asked: Asked) -> Problem:
    """Why it was refused."""
    slug = asked.reason if asked.reason in KINDS else "invalid"
    return Problem(slug, asked.detail, command=asked.id)


def _place(asked: Asked) -> str:
    return f"/api/commands/{asked.id}"


async def command(
    api: Api, call: Call[Any, Any], told: Command, *, created: bool = False
) -> Answer:
    """Post a command; its outcome as 200 (201 where ``created``), else 202 with a place to look."""
    return answer(api, await obey(api, call, told), created=created)


def answer(api: Api, asked: Asked, *, created: bool = False, result: Any = None) -> Answer:
    """The answer about a command; ``result`` in place of the outcome's own detail."""
    done = asked.state == "done"
    if result is None and done:
        result = Raw(asked.detail.encode())
    body = CommandAnswer(
        command=asked.id,
        state=asked.state,
        place=_place(asked),
        revision=api.view.revision,
        as_of_ms=api.view.now_ms,
        result=result,
    )
    status = (201 if created else 200) if done else 202
    return Answer(body, status=status, headers={} if done else {"Location": _place(asked)})


def get_command(api: Api, call: Call[Query, CommandPath]) -> CommandRow:
    """What became of a command."""
    asked: Asked | None = api.asked.get(call.path.id)
    if asked is None:
        raise Problem("unknown-command", f"Nothing is remembered of {call.path.id!r}.")
    done = asked.state == "done"
    return CommandRow(
        command=asked.id,
        what=asked.what,
        state=asked.state,
        at_ms=asked.at_ms,
        reason="" if done else asked.reason,
        detail="" if done else asked.detail,
        result=Raw(asked.detail.encode()) if done else None,
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/commands/{id}",
        "command",
        "What became of a command: the newest are remembered.",
        get_command,
        CommandRow,
        area="commands",
        parts=CommandPath,
        problems=("unknown-command",),
    ),
)
