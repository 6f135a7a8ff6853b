"""SpringCard SpringCore: one object a card event, timed only by the reader's own uptime.

Source: docs.springcard.com, READER_EVENT.
"""

from edge.errors import FormatError
from edge.events import TagRead
from edge.ingest.formats import values
from edge.ingest.formats.reading import Object, Reading


def looks_like(o: Object) -> bool:
    """Whether an object is SpringCore's."""
    return "TagId" in o and ("Protocol" in o or "Interface" in o or "Uptime" in o)


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """One card seen; on removal it was in view until now. Raises FormatError."""
    if "TagId" not in o:
        raise FormatError("missing_field", "springcard: TagId")
    reading.add(
        TagRead(
            at=reading.arrival_ms,
            time_quality="uptime" if "Uptime" in o else "arrival",
            store=reading.source.store,
            source=reading.source.named(),
            epc=values.hex_identity(o["TagId"]),
        )
    )
