"""Starfish hub: ``{"S": station, "E": event, "U": uid}``. No time, so arrival counts.

``E``: R enters, C still there (every 15 s), U leaves (it was in view until now), S the station
itself. Source: starfishrail.co.uk/sfrmqtt.
"""

from edge.errors import FormatError
from edge.events import TagRead
from edge.ingest.formats import values
from edge.ingest.formats.reading import Object, Reading


def looks_like(o: Object) -> bool:
    """Whether an object is a Starfish hub's."""
    return "S" in o and "E" in o and "U" in o


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """One event of a station. Raises FormatError."""
    station = reading.source.named(o.get("S"))
    kind = o.get("E")
    if kind == "S":
        reading.status(station, "heartbeat", values.name(o.get("U")), reading.moment(None))
        return
    if kind not in ("R", "C", "U"):
        raise FormatError("unsupported_event", f"starfish: E is {values.name(kind)[:20]!r}")
    reading.add(
        TagRead(
            at=reading.arrival_ms,
            time_quality="arrival",
            store=reading.source.store,
            source=station,
            epc=values.hex_identity(o.get("U")),
        )
    )
