"""JSON of no known maker that plainly holds one tag: its id under one of the usual names.

A last resort before the dead letters; a ``[mapping.<name>]`` in the configuration says it better.
"""

from edge.errors import FormatError
from edge.events import BY_KIND, TagRead
from edge.ingest.formats import values
from edge.ingest.formats.reading import Object, Reading
from edge.ingest.formats.values import COUNT_MAX, SEQ_MAX

TAGS = ("epc", "epcHex", "idHex", "EPC", "tag", "tagId", "tag_id", "uid", "UID")
"""Usual names of a tag's id; the first present wins."""
_READERS = ("reader", "readerName", "hostname", "hostName", "device")
_TIMES = ("lastSeenTime", "lastSeenTimestamp", "firstSeenTimestamp", "timestamp", "time", "Time")
_ANTENNAS = ("antenna", "antennaPort", "antenna_port", "ant")
_SIGNALS = ("rssi_dbm", "peakRssi", "rssi", "RSSI")
_COUNTS = ("count", "reads", "seenCount")
_OUR_EVENTS = ("rfid3/", "$http/events/")
"""Here ``type`` names one of our events: a misspelt one must not pass for a tag read."""


def looks_like(o: Object) -> bool:
    """Whether an object holds a tag's id under a usual name."""
    return any(name in o for name in TAGS)


def _first(o: Object, names: tuple[str, ...]) -> object:
    return next((o[n] for n in names if o.get(n) is not None), None)


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """One read. Raises FormatError."""
    topic, said = reading.source.topic, o.get("type")
    if isinstance(said, str) and topic.startswith(_OUR_EVENTS):
        known = ", ".join(BY_KIND)
        raise FormatError("unknown_kind", f"{said[:40]!r} is no event type; one of: {known}")
    at, quality = reading.moment(_first(o, _TIMES))
    told = _first(o, TAGS)
    if told is None:
        raise FormatError("missing_field", "no tag id under a usual name; write a [mapping]")
    reading.add(
        TagRead(
            at=at,
            time_quality=quality,
            store=reading.source.store,
            source=reading.source.named(_first(o, _READERS)),
            epc=values.identity(told),
            antenna=values.antenna(_first(o, _ANTENNAS)),
            rssi_dbm=values.rssi(_first(o, _SIGNALS)),
            count=values.integer(_first(o, _COUNTS), 1, COUNT_MAX, 1),
            seq=values.integer(o.get("seq"), 0, SEQ_MAX, 0),
            tid=values.optional_hex(o.get("tid")),
        )
    )
