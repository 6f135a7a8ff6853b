"""Impinj Speedway Connect: one flat object a read, or a heartbeat.

Source: support.impinj.com, article 360000044739.
"""

from edge.errors import FormatError
from edge.events import TagRead
from edge.ingest.formats import values
from edge.ingest.formats.reading import Object, Reading


def looks_like(o: Object) -> bool:
    """Whether an object is Speedway Connect's."""
    return "isHeartBeat" in o


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """One read or heartbeat. Raises FormatError."""
    reader = reading.source.named(o.get("readerName") or o.get("hostname"))
    moment = reading.moment(o.get("firstSeenTimestamp") or o.get("timestamp"))
    if values.truth(o.get("isHeartBeat")):
        reading.status(reader, "heartbeat", "", moment)
        return
    if "epc" not in o:
        raise FormatError("missing_field", "speedway: epc")
    reading.add(
        TagRead(
            at=moment[0],
            time_quality=moment[1],
            store=reading.source.store,
            source=reader,
            epc=values.hex_identity(o["epc"]),
            antenna=values.antenna(o.get("antennaPort")),
            rssi_dbm=values.rssi(o.get("peakRssi")),
            tid=values.optional_hex(o.get("tid")),
            pc=values.optional_hex(o.get("pc")),
        )
    )
