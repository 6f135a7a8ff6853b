"""Tasmota: RC522, PN532 and RDM6300 readers on ESP chips, and RDM6300 over the serial bridge.

``Time`` has no zone: it is local. Sensor telegrams without a reader in them, and Tasmota's own
state telegrams, tell us nothing and are skipped. Source: Tasmota docs, MFRC522, PN532, RDM6300.
"""

from edge.errors import FormatError
from edge.events import TagRead
from edge.ingest.formats import values
from edge.ingest.formats.reading import Object, Reading

READERS = ("RC522", "PN532", "RDM6300")


def looks_like(o: Object) -> bool:
    """Whether an object is a Tasmota card read."""
    return "SSerialReceived" in o or any(r in o for r in READERS)


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """One or more cards in a telegram. Raises FormatError."""
    uids = [_uid(o[r], r) for r in READERS if r in o]
    if "SSerialReceived" in o:
        uids.append(values.hex_identity(o["SSerialReceived"]))
    if not uids:
        reading.skip()
        return
    at, quality = reading.moment(o.get("Time"))
    store, source = reading.source.store, reading.source.named()
    reading.add(
        *(TagRead(at=at, time_quality=quality, store=store, source=source, epc=u) for u in uids)
    )


def _uid(told: object, reader: str) -> str:
    if not isinstance(told, dict) or "UID" not in told:
        raise FormatError("missing_field", f"tasmota: {reader}.UID")
    return values.hex_identity(told["UID"])
