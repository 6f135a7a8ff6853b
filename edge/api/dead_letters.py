"""What could not be used: the list of dead letters, one whole, and playing them again.

Playing again puts the kept payload into the corridor as if it came anew, with the time it first
arrived. The commit that stores it drops the old letter; if it fails again it becomes a new one. So a
letter is never lost, never kept twice and never played twice, whenever the daemon dies, and however
often somebody asks.
"""

import asyncio
import base64
from collections.abc import Sequence
from typing import Annotated, Self

from msgspec import Meta, Struct

from edge.api.complaints import readable
from edge.api.empty import strange_reason
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.etag import tag_of
from edge.api.paging import cursor, position
from edge.api.ports import DeadLetterKey
from edge.api.problems import Problem
from edge.api.query import Cursor, Limit, Text
from edge.api.report import UPLOADED, LineReceipt, Report, UploadReport
from edge.api.upload import Door
from edge.records import DeadLetter, Replayed
from edge.view_basis import why_empty
from edge.view_types import DeadLetterHead

LISTING = "dead-letters"
REPLAY_PAGE = 64  # letters read at once; each may be as large as a payload
LOWEST = (0, -1)


class LettersQuery(Query):
    """Which dead letters."""

    reason: Text | None = None
    """Only those with this reason."""
    cursor: Cursor | None = None
    """``next_cursor`` of the page before."""
    limit: Limit = 100
    """Most rows in the page."""


class LetterRow(Struct, gc=False):
    """One dead letter in the list."""

    id: str
    """Its id, for the paths below ``/api/dead-letters/``."""
    arrival_ms: int
    """When it came."""
    topic: str
    """Where it came from."""
    reason: str
    """Why it could not be used, in one word."""
    detail: str
    """Why, for people."""
    payload_bytes: int
    """Size of the payload."""
    payload_start: str
    """Its first bytes as text; what is not UTF-8 shows as U+FFFD."""


class Letters(Struct):
    """A page of dead letters, newest first."""

    letters: list[LetterRow]
    """The rows."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""
    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""


class LetterPath(Path):
    """Which dead letter."""

    id: Annotated[str, Meta(pattern="^[0-9]{1,18}([.][0-9]{1,9})?$", max_length=32)]
    """Its id from the list."""


class Letter(Struct):
    """One dead letter, whole."""

    id: str
    """Its id."""
    arrival_ms: int
    """When it came."""
    topic: str
    """Where it came from."""
    reason: str
    """Why it could not be used, in one word."""
    detail: str
    """Why, for people."""
    payload_text: str | None
    """The payload as text; null when it is not UTF-8."""
    payload_base64: str | None
    """The payload in base64; null when it is UTF-8."""


class ReplayQuery(Query):
    """Which dead letters to play again."""

    reason: Text
    """Those with this reason."""
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 10_000
    """Most letters, oldest first."""


class ReplayReport(Struct):
    """What became of dead letters that were played again."""

    replayed: int
    """Letters played."""
    report: UploadReport
    """What became of them; lines count the letters played, oldest first."""


def id_of(key: DeadLetterKey) -> str:
    """The public id of a dead letter.

    >>> id_of((1205, -1)), id_of((1205, 3))
    ('1205', '1205.3')
    """
    ordinal, index = key
    return str(ordinal) if index < 0 else f"{ordinal}.{index}"


def key_of(text: str) -> DeadLetterKey:
    """The inverse of ``id_of``.

    >>> key_of("1205"), key_of("1205.3")
    ((1205, -1), (1205, 3))
    """
    ordinal, _, index = text.partition(".")
    return int(ordinal), int(index) if index else -1


def _row(head: DeadLetterHead) -> LetterRow:
    return LetterRow(
        id_of((head.ordinal, head.index)),
        head.arrival_ms,
        head.topic,
        head.reason,
        readable(head.detail),
        head.payload_bytes,
        head.payload_start.decode(errors="replace"),
    )


def letters_tag(api: Api, call: Call[LettersQuery, Path]) -> str:
    """The tag of everything that only depends on the tables."""
    return tag_of(api.instance, api.tables.revision)


async def list_letters(api: Api, call: Call[LettersQuery, Path]) -> Letters:
    """One page of dead letters, newest first."""
    query = call.query
    after = None
    if query.cursor:
        ordinal, index = position(query.cursor, LISTING, (query.reason,), LOWEST)
        after = (ordinal, index)
    # One row more than asked for tells whether there is a next page.
    heads = await api.tables.dead_letters(
        reason=query.reason, after=after, newest_first=True, limit=query.limit + 1
    )
    shown = heads[: query.limit]
    following = None
    if len(heads) > len(shown):
        following = cursor(LISTING, (query.reason,), shown[-1].ordinal, shown[-1].index)
    strange = strange_reason(api, query.reason) if not shown else ""
    why = why_empty(shown, (strange != "", strange), (not query.cursor, _NO_LETTER))
    return Letters([_row(head) for head in shown], following, why)


_NO_LETTER = (
    "All that came could be used, or what could not was played again or trimmed: nothing waits."
)


async def get_letter(api: Api, call: Call[Query, LetterPath]) -> Letter:
    """One dead letter with its whole payload."""
    letter = await _letter(api, call.path.id)
    try:
        text, packed = letter.payload.decode(), None
    except UnicodeDecodeError:
        text, packed = None, base64.b64encode(letter.payload).decode()
    detail = readable(letter.detail)
    return Letter(
        call.path.id, letter.arrival_ms, letter.topic, letter.reason, detail, text, packed
    )


async def _letter(api: Api, id_: str) -> DeadLetter:
    letter = await api.tables.dead_letter(key_of(id_))
    if letter is None:
        raise _unknown(id_)
    return letter


def _unknown(id_: str) -> Problem:
    return Problem("unknown-dead-letter", f"There is no dead letter {id_}.")


class LetterReceipt(LineReceipt):
    """The receipt of a letter played again: from the commit on it is no longer in play."""

    __slots__ = ("_in_play", "key")

    def __init__(
        self, report: Report, line: int, key: DeadLetterKey, in_play: set[DeadLetterKey]
    ) -> None:
        super().__init__(report, line)
        self.key = key
        self._in_play = in_play

    def committed(self) -> None:
        """The journal holds it, and the old letter is gone."""
        self._in_play.discard(self.key)
        super().committed()


class Replay:
    """Plays letters again, one after the other; use it as ``with Replay(api)``."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._report = Report(api.uploaded)
        self._door = Door(api, self._report, "")
        self._played = 0

    def __enter__(self) -> Self:
        """The replay itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """What did not get into the corridor may be played by others."""
        for receipt in self._door.untaken():
            if isinstance(receipt, LetterReceipt):
                self._api.in_play.discard(receipt.key)

    async def play(self, key: DeadLetterKey) -> bool:
        """Put one letter into the corridor; ``False``: there is none. Raises Problem.

        Claimed before it is read: whoever reads it after a commit that dropped it finds nothing.
        """
        in_play = self._api.in_play
        if key in in_play:
            raise Problem("in-play", f"Dead letter {id_of(key)}.")
        in_play.add(key)
        letter = None
        try:
            letter = await self._api.tables.dead_letter(key)
        finally:
            if letter is None:
                in_play.discard(key)
        if letter is None:
            return False
        self._played += 1
        now_ms, first_ms = self._api.clock.now_ms(), letter.arrival_ms
        message = Replayed(letter.topic, letter.payload, now_ms, origin_ms=first_ms, letter=key)
        receipt = LetterReceipt(self._report, self._played, key, in_play)
        await self._door.add(self._played, message, receipt)
        return True

    async def settle(self) -> None:
        """Wait until the journal holds what was played. Raises Problem.

        What it holds not yet stays a letter until it does, and cannot be played meanwhile.
        """
        await self._door.finish()

    def answer(self) -> Answer:
        """200 with the report, or 202 while some are not applied yet."""
        summary = self._report.summary()
        status = 202 if summary.pending else 200
        return Answer(ReplayReport(self._played, summary), status=status)


async def replay_one(api: Api, call: Call[Query, LetterPath]) -> Answer:
    """Play one dead letter again."""
    with Replay(api) as replay:
        if not await replay.play(key_of(call.path.id)):
            raise _unknown(call.path.id)
        await replay.settle()
        return replay.answer()


async def replay_many(api: Api, call: Call[ReplayQuery, Path]) -> Answer:
    """Play dead letters of one reason again, oldest first; those that fail anew are left alone."""
    newest = await _newest(api, call.query.reason)
    after, left = None, call.query.limit
    with Replay(api) as replay:
        while left > 0 and (keys := await _page(api, call.query.reason, after, newest, left)):
            for key in keys:
                if key not in api.in_play:  # else somebody else is at it
                    await replay.play(key)
            await replay.settle()
            after, left = keys[-1], left - len(keys)
            await asyncio.sleep(0)
        return replay.answer()


async def _newest(api: Api, reason: str) -> DeadLetterKey:
    heads = await api.tables.dead_letters(reason=reason, after=None, newest_first=True, limit=1)
    return (heads[0].ordinal, heads[0].index) if heads else LOWEST


async def _page(
    api: Api, reason: str, after: DeadLetterKey | None, newest: DeadLetterKey, left: int
) -> Sequence[DeadLetterKey]:
    heads = await api.tables.dead_letters(
        reason=reason, after=after, newest_first=False, limit=min(left, REPLAY_PAGE)
    )
    keys = [(head.ordinal, head.index) for head in heads]
    return [key for key in keys if key <= newest]


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/dead-letters",
        "dead_letters",
        "What could not be used, and why; newest first.",
        list_letters,
        Letters,
        area="dead letters",
        query=LettersQuery,
        tag=letters_tag,
        problems=("bad-cursor",),
    ),
    Endpoint(
        "POST",
        "/api/dead-letters/replay",
        "replay_dead_letters",
        "Play all dead letters of one reason again, oldest first.",
        replay_many,
        ReplayReport,
        area="dead letters",
        query=ReplayQuery,
        statuses=UPLOADED,
        problems=("inbox-full", "not-durable"),
    ),
    Endpoint(
        "GET",
        "/api/dead-letters/{id}",
        "dead_letter",
        "One dead letter with its whole payload.",
        get_letter,
        Letter,
        area="dead letters",
        parts=LetterPath,
        problems=("unknown-dead-letter",),
    ),
    Endpoint(
        "POST",
        "/api/dead-letters/{id}/replay",
        "replay_dead_letter",
        "Play one dead letter again.",
        replay_one,
        ReplayReport,
        area="dead letters",
        parts=LetterPath,
        statuses=UPLOADED,
        problems=("unknown-dead-letter", "in-play", "inbox-full", "not-durable"),
    ),
)
