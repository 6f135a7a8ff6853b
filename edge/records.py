"""What crosses the borders inside the daemon: raw messages, batches, and what the middle gives back.

No sockets, no clock, no database: plain records that every layer may hold.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

DUP = 0b100
RETAIN = 0b1000
QOS_MASK = 0b11


class Message(Struct, array_like=True, gc=False):
    """One raw payload as it arrived, before anybody has looked inside.

    ``arrival_ms`` never decreases along the journal. ``session`` counts the broker sessions this
    daemon has held (0: not MQTT); ``packet_id`` and the DUP bit of ``flags`` let a redelivery be
    recognised. ``origin_ms`` is set when a dead letter is played again: when it first arrived.
    """

    topic: str
    payload: bytes
    arrival_ms: int
    session: int = 0
    packet_id: int = 0
    flags: int = 0  # bits 0-1 QoS, bit 2 DUP, bit 3 RETAIN
    origin_ms: int = 0


class Replayed(Message, array_like=True, gc=False):
    """A dead letter that is played again; the commit that stores it drops the old letter."""

    letter: tuple[int, int] = (-1, -1)
    """(ordinal, index) of the old letter."""


class Batch(Struct, gc=False):
    """What one journal commit holds: messages in arrival order, and the beat that took them.

    ``seq`` counts commits; ``first`` is the ordinal of the first message since the journal began.
    An empty batch records that time has passed.
    """

    seq: int
    first: int
    beat_ms: int
    messages: list[Message]


class Reason(StrEnum):
    """Why an event was admitted, folded or refused. One counter each, never silent."""

    ADMITTED = "admitted"
    FOLDED = "folded"  # a repeat read of a tag in the same zone: counted, no new sighting
    LATE = "late"  # admitted to history and timeline, skips windows that have closed
    POSSIBLE_REPEAT = "possible_repeat"  # kept; the session was lost and it has no time of its own
    REDELIVERED = "redelivered"  # MQTT sent again what the journal already holds
    DUPLICATE = "duplicate"  # the same event by its own key
    BUSINESS_DUPLICATE = "business_duplicate"  # the same scan or document line told twice
    FUTURE = "future"  # dated later than the clock allows: dead letter
    KEY_LIMIT = "key_limit"  # more keys than configured: dead letter
    MUTED = "muted"  # a tag that is always in view and was muted
    UNREADABLE = "unreadable"  # dead letter, see its own reason
    IGNORED = "ignored"  # keep-alives and topics we were told to ignore


class DeadLetter(Struct, gc=False):
    """A payload, or one event of an array, that could not be used; kept with its reason."""

    ordinal: int  # of the message in the journal
    index: int  # of the event inside the message; -1: the whole message
    arrival_ms: int
    topic: str
    reason: str
    detail: str
    payload: bytes


class TimelineEntry(Struct, gc=False):
    """One line in the story of an item, for people to read."""

    ordinal: int
    index: int
    epc: str
    at_ms: int
    kind: str
    detail: str  # compact JSON


class Gap(Struct, gc=False):
    """A span in which a reader (or the whole link) could not see: not-seen is not departed."""

    ordinal: int
    reader: str  # "" means every reader
    from_ms: int
    to_ms: int  # 0: still open
    reason: str
    lost_events: int = 0


class HistoryRows(Struct, kw_only=True):
    """Some rows of one day's close (``edge.features.history``); idempotent by (entity, day, chunk).

    ``n`` is the number of keys; arrays are bytes, little endian, the last axis contiguous.
    """

    entity: str
    """class, item, factor, basket or pair."""
    day: int
    """Local day that closed, counted from 1970-01-01."""
    chunk: int
    """Number among the chunks of that entity and day, from 0."""
    catalogue: str
    """Hash of the feature catalogue."""
    keys: list[str]
    texts: dict[str, list[str]] = {}
    """Words about each key: name, category, class."""
    features: tuple[str, ...] = ()
    values: bytes = b""
    """float32[len(features), n], NaN where there is no value."""
    measures: tuple[str, ...] = ()
    days: int = 0
    amounts: bytes = b""
    """int64[days, len(measures), n]: this day, the day before …"""
    levels: tuple[str, ...] = ()
    heights: bytes = b""
    """int64[len(levels), n], as the day closed."""
    packed: bytes = b""
    """What is stored, once somebody has packed it; then the arrays above may be empty."""
    n: int = -1
    """Number of keys once packed."""


class Effects(Struct):
    """What applying a span of the journal leaves behind in tables; idempotent by (ordinal, index)."""

    dead_letters: list[DeadLetter]
    timeline: list[TimelineEntry]
    gaps: list[Gap]
    history: list[HistoryRows] = []
    rows: dict[tuple[str, tuple[str | int, ...]], Struct | None] = {}
    """(table, key) of the ledger -> the row as it is now; ``None``: it is gone."""

    @classmethod
    def empty(cls) -> "Effects":
        """Nothing to write."""
        return cls([], [], [])


class Receipt(Protocol):
    """Told what became of a message that came through HTTP."""

    def committed(self) -> None:
        """The journal holds it."""
        ...

    def applied(self, outcomes: Sequence[tuple[str, str]]) -> None:
        """One (reason, detail) for each event found inside, after admission."""
        ...
