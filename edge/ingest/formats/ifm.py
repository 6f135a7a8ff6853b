"""ifm RFID gates (DTE, ZZ08xx): a list of passages with their direction.

Source: ifm ZZ0814 manual, 8.4.5.1.
"""

from edge.errors import FormatError
from edge.events import TagRead
from edge.ingest.formats import values
from edge.ingest.formats.reading import Object, Reading
from edge.ingest.formats.values import SEQ_MAX


def looks_like(o: Object) -> bool:
    """Whether an object is an ifm gate's."""
    return "gateID" in o and "EPC" in o


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """One passage. Raises FormatError."""
    if "EPC" not in o:
        raise FormatError("missing_field", "ifm: EPC")
    at, quality = reading.moment(o.get("timestamp"))
    direction = values.name(o.get("direction")).lower()
    reading.add(
        TagRead(
            at=at,
            time_quality=quality,
            store=reading.source.store,
            source=reading.source.named(o.get("gateID")),
            epc=values.hex_identity(o["EPC"]),
            seq=values.integer(o.get("eventID"), 0, SEQ_MAX, 0),
            tid=values.optional_hex(o.get("TID")),
            direction=direction if direction in ("in", "out") else "",
        )
    )
