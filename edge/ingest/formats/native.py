"""Our own events, as JSON or MessagePack: one object, or an array, of one type or mixed.

Topics ``rfid3/<store>/<kind>/<source>`` and ``$http/<kind>/<source>``. The kind is an event type,
whose ``type`` field the payload may then leave out, or ``events`` for a mixture.
"""

from typing import Any

import msgspec
from msgspec import Struct

from edge.errors import FormatError
from edge.events import BY_KIND, AnyEvent, Event
from edge.ingest.formats.checks import fault, settle
from edge.ingest.formats.reading import Object, Reading, Source

MIXED = "events"
"""The topic's kind level for messages that may hold any event type."""


class _Decoders(Struct, frozen=True):
    """One kind's decoders."""

    json_one: Any
    json_many: Any
    pack_one: Any
    pack_many: Any


def _decoders(event_type: Any) -> _Decoders:
    many = list[event_type]
    return _Decoders(
        msgspec.json.Decoder(event_type),
        msgspec.json.Decoder(many),
        msgspec.msgpack.Decoder(event_type),
        msgspec.msgpack.Decoder(many),
    )


_DECODERS = {kind: _decoders(t) for kind, t in BY_KIND.items()} | {MIXED: _decoders(AnyEvent)}


def looks_like(o: Object) -> bool:
    """Whether an object says that it is one of our event types."""
    kind = o.get("type")
    return isinstance(kind, str) and kind in BY_KIND


def is_pack(payload: bytes) -> bool:
    """Whether the first byte opens a MessagePack map or array, which no JSON text begins with."""
    first = payload[0] if payload else 0
    return 0x80 <= first <= 0x9F or first in (0xDC, 0xDD, 0xDE, 0xDF)


def is_pack_array(payload: bytes) -> bool:
    """Whether a MessagePack payload is an array."""
    return 0x90 <= payload[0] <= 0x9F or payload[0] in (0xDC, 0xDD)


class Fast:
    """The hot path for one kind: all events of a payload, or None where any of them is faulty."""

    def __init__(self, kind: str) -> None:
        self._decoders = _DECODERS[kind]

    def __call__(self, payload: bytes, source: Source, arrival_ms: int) -> list[Event] | None:
        """Whole payloads only; what it answers is what :func:`read` would have answered."""
        decoders = self._decoders
        first = payload[:1]
        try:
            if first in (b"{", b"[") and not payload.isascii():
                payload.decode()  # the typed decoder would not look at texts that nobody reads
            if first == b"{":
                events = [decoders.json_one.decode(payload)]
            elif first == b"[":
                events = decoders.json_many.decode(payload)
            elif not is_pack(payload):
                return None
            elif is_pack_array(payload):
                events = decoders.pack_many.decode(payload)
            else:
                events = [decoders.pack_one.decode(payload)]
            for event in events:
                settle(event, source, arrival_ms)
        except (ValueError, RecursionError, FormatError):
            return None
        return events or None


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """One event in JSON. Raises FormatError."""
    _read(raw, o.get("type"), reading, "json_one")


def read_pack(raw: bytes, reading: Reading) -> None:
    """One event in MessagePack. Raises FormatError."""
    _read(raw, None, reading, "pack_one")


def _read(raw: bytes, told: object, reading: Reading, which: str) -> None:
    kind = reading.source.kind or (told if isinstance(told, str) and told in BY_KIND else MIXED)
    try:
        event = getattr(_DECODERS[kind], which).decode(raw)
    except (ValueError, RecursionError) as error:
        raise fault(error) from None
    settle(event, reading.source, reading.arrival_ms)
    reading.add(event)
