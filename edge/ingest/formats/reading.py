"""What the format files share: where a message comes from, and what has been found in it so far.

No format's own knowledge, no topics, no clock: arrival time is handed in.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Raw, Struct

from edge.errors import FormatError
from edge.events import Event, ReaderStatus, TimeQuality
from edge.ingest.formats.values import free_text, name
from edge.ingest.times import Times, plausible

ELEMENTS_MAX = 10_000
"""Most elements (or events) of one message; a longer one is refused whole (``too_many``)."""
DETAIL_MAX = 200
"""Longest detail of a reject, characters."""

Object = dict[str, Any]


class Reject(Struct, gc=False):
    """A message, or one element of it, that could not be read."""

    index: int
    """Which element, from 0; -1: the whole message."""
    reason: str
    """A name of :data:`edge.ingest.decode.REASONS`."""
    detail: str
    """What, where and the cure, for people; at most 200 characters."""
    payload: bytes
    """The element's own bytes, which decode on the same topic as the whole message would have."""


class Source(Struct, frozen=True):
    """What the topic and the configuration say about a message, before anybody looks inside."""

    topic: str
    times: Times
    store: str
    """The store to assume: the rule's, the topic's or the configured one."""
    store_ruled: bool = False
    """Whether a ``[[sources]]`` rule fixed the store, so that payloads may not name another."""
    reader: str = ""
    """The reader by a ``[[sources]]`` rule; wins over what payloads say."""
    fallback: str = ""
    """The reader for payloads that do not say: the rule's, else by the topic's convention."""
    kind: str = ""
    """The native event type that the topic names; empty: none or mixed."""
    company_prefixes: Sequence[str] = ()
    """GS1 company prefixes, for Digital Links."""

    def named(self, told: object = "") -> str:
        """The device: the rule's, else the one the payload told, else the topic's."""
        return self.reader or name(told) or self.fallback

    def moment(self, told: object, arrival_ms: int) -> tuple[int, TimeQuality]:
        """A device's text time, or the arrival where it is absent, unreadable or never set."""
        if isinstance(told, str):
            try:
                at, naive = self.times.parse(told)
            except ValueError:
                return arrival_ms, "arrival"
            if plausible(at):
                return at, "naive_local" if naive else "reader"
        return arrival_ms, "arrival"


class Reading:
    """One message being read: events and rejects so far, and the number of the next element."""

    def __init__(self, source: Source, arrival_ms: int) -> None:
        self.source = source
        self.arrival_ms = arrival_ms
        self.events: list[Event] = []
        self.rejects: list[Reject] = []
        self.skipped = 0
        self.index = 0
        self.formats: set[str] = set()

    def add(self, *events: Event) -> None:
        """What one element tells: all of it or, by FormatError (``too_many``), nothing."""
        if len(self.events) + len(events) > ELEMENTS_MAX:
            raise FormatError("too_many", f"more than {ELEMENTS_MAX} events; send smaller messages")
        self.events.extend(events)

    def skip(self) -> None:
        """An element that was understood and tells nothing: a keep-alive, a discovery."""
        self.skipped += 1

    def reject(self, error: FormatError, payload: bytes, index: int | None = None) -> None:
        """An element that cannot be read."""
        at = self.index if index is None else index
        self.rejects.append(Reject(at, error.reason, error.detail[:DETAIL_MAX], payload))

    def each(
        self,
        elements: Sequence[Raw],
        read: Callable[[bytes], None],
        wrap: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """Read a list, element by element: a bad one never takes its neighbours down.

        ``wrap`` gives a rejected element the envelope it needs to be read again by itself.
        Raises FormatError (``too_many``).
        """
        if self.index + len(elements) > ELEMENTS_MAX:
            raise FormatError(
                "too_many", f"{len(elements)} elements, at most {ELEMENTS_MAX}; send smaller ones"
            )
        for element in elements:
            raw = bytes(element)
            before = self.index
            try:
                read(raw)
            except FormatError as error:
                self.reject(error, wrap(raw), before)
            if self.index == before:  # else the element was a list itself, and counted its own
                self.index += 1

    def moment(self, told: object) -> tuple[int, TimeQuality]:
        """A device's text time, or the arrival where it is absent, unreadable or never set."""
        return self.source.moment(told, self.arrival_ms)

    def status(
        self,
        reader: str,
        status: Any,
        detail: str,
        at: tuple[int, TimeQuality],
        **more: Any,
    ) -> None:
        """A reader's health, found."""
        self.add(
            ReaderStatus(
                reader=reader,
                source=reader,
                status=status,
                detail=free_text(detail, DETAIL_MAX),
                at=at[0],
                time_quality=at[1],
                store=self.source.store,
                **more,
            )
        )
