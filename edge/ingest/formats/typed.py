"""The hot path that formats share: bytes -> rows of one struct type -> events. No format's own fields.

A format declares the struct of its ordinary payloads and says how one row becomes an event. Where
anything is out of the ordinary the answer is None, and the slow way decides, element by element.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

from msgspec import Meta
from msgspec.json import Decoder

from edge.errors import FormatError
from edge.events import Event
from edge.ingest.formats.reading import Source

FastReader = Callable[[bytes, Source, int], list[Event] | None]
"""(payload, where it comes from, arrival in epoch ms) -> all events inside, or None on any doubt."""

Row = TypeVar("Row")

Absent = Annotated[str, Meta(min_length=1, max_length=0)]
"""The type of a field whose mere presence is a doubt: no value is of it, null neither."""

_DOUBTS = (ValueError, LookupError, RecursionError, FormatError)
_LIST = ord("[")


class Doubt(ValueError):
    """A row that only the slow way may judge."""


def fast_reader(row: type[Row], event_of: Callable[[Row, Source, int], Event]) -> FastReader:
    """A reader of payloads that hold one ``row``, or an array of them.

    ``event_of`` may raise ValueError, LookupError or FormatError on a doubt. What the reader
    answers is what the slow way would have answered, except that it does not mind nonsense (1e999,
    a lone surrogate) in fields that nobody reads.
    """
    one, many = Decoder(row).decode, Decoder(list[row]).decode  # type: ignore[valid-type]

    def read(payload: bytes, source: Source, arrival_ms: int) -> list[Event] | None:
        try:
            if not payload.isascii():
                payload.decode()  # the typed decoder would not look at texts that nobody reads
            if payload[0] == _LIST:
                return [event_of(each, source, arrival_ms) for each in many(payload)] or None
            return [event_of(one(payload), source, arrival_ms)]
        except _DOUBTS:
            return None

    return read
