"""Impinj IoT device interface: R700, R720. Tag reads, status, overflow, antennas, inputs.

``epc`` is base64url, with or without padding; the hex twin is off by default. Signal strength is
in 1/100 dBm. ``lastSeenTime`` is preferred over ``timestamp`` (when the event was queued). Older
firmware leaves ``eventType`` out: the ``…Event`` key then says what it is.

Source: Impinj Reader Configuration API 1.7 (OpenAPI), captures of R700 over MQTT and webhook.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.errors import FormatError
from edge.events import TagRead
from edge.ingest.formats import values
from edge.ingest.formats.reading import Object, Reading, Source
from edge.ingest.formats.typed import Absent, Doubt, fast_reader
from edge.ingest.formats.values import ANTENNA_MAX, RSSI_MAX_DBM, RSSI_MIN_DBM, SEQ_MAX
from edge.ingest.times import TIME_MAX_MS, TIME_MIN_MS, plausible, utc_ms

MARK = b'"tagInventoryEvent"'


def event_key(o: Object) -> str:
    """The key that holds the event: ``<eventType>Event``, or the first ``…Event`` object; or ''."""
    kind = o.get("eventType")
    if isinstance(kind, str) and isinstance(o.get(kind + "Event"), dict):
        return kind + "Event"
    for key in o:
        if key.endswith("Event") and isinstance(o[key], dict):
            return key
    return ""


# ── the hot path ──────────────────────────────────────────────────────────────────────────────


class _Inventory(Struct, gc=False):
    epc: str = ""
    epcHex: str = ""  # noqa: N815 - the reader's own field names
    tid: str = ""
    tidHex: str = ""  # noqa: N815
    antennaPort: Annotated[int, Meta(ge=0, le=ANTENNA_MAX)] = 0  # noqa: N815
    peakRssiCdbm: (  # noqa: N815
        Annotated[float, Meta(ge=100 * RSSI_MIN_DBM, le=100 * RSSI_MAX_DBM)] | None
    ) = None
    lastSeenTime: str = ""  # noqa: N815
    pc: str = ""


class _Tag(Struct, gc=False):
    tagInventoryEvent: _Inventory  # noqa: N815
    timestamp: str = ""
    hostname: str = ""
    eventType: Literal["tagInventory"] = "tagInventory"  # noqa: N815
    # What would make it another format's payload; then the slow path decides.
    data: None = None
    type: None = None
    epcisBody: Absent = ""  # noqa: N815


def _event(tag: _Tag, source: Source, arrival_ms: int) -> TagRead:
    seen = tag.tagInventoryEvent
    at = utc_ms(seen.lastSeenTime or tag.timestamp)
    if not TIME_MIN_MS <= at < TIME_MAX_MS:
        raise Doubt
    rssi = seen.peakRssiCdbm
    event = TagRead(
        at=at,
        store=source.store,
        source=source.reader or (tag.hostname and values.device(tag.hostname)) or source.fallback,
        epc=values.hex_identity(seen.epcHex) if seen.epcHex else values.hex_of_base64(seen.epc),
        antenna=seen.antennaPort,
        rssi_dbm=None if rssi is None else rssi / 100,
    )
    if seen.pc:
        event.pc = values.control_word(seen.pc)
    if seen.tid or seen.tidHex:
        event.tid = _chip_id(seen.tidHex, seen.tid)
    return event


fast = fast_reader(_Tag, _event)
"""Ordinary tag reads, one or many; None where anything is out of the ordinary."""


def _chip_id(hex_digits: object, base64: object) -> str:
    """The TID from its hex twin, else from base64; empty where neither can be read."""
    found = values.optional_hex(hex_digits)
    if found or not isinstance(base64, str) or not base64:
        return found
    try:
        return values.hex_of_base64(base64)
    except FormatError:
        return ""


# ── every other payload ───────────────────────────────────────────────────────────────────────


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """One event. Raises FormatError."""
    key = event_key(o)
    kind = o.get("eventType")
    kind = kind if isinstance(kind, str) else key.removesuffix("Event")
    reader = _EVENTS.get(kind)
    if reader is None:
        raise FormatError("unsupported_event", f"impinj: event {values.free_text(kind, 40)!r}")
    if not key:
        raise FormatError("missing_field", f"impinj: {kind}Event")
    reader(o, o[key], reading)


def _tag(o: Object, seen: Object, reading: Reading) -> None:
    at, quality = reading.moment(seen.get("lastSeenTime"))
    if quality == "arrival":
        at, quality = reading.moment(o.get("timestamp"))
    reading.add(
        TagRead(
            at=at,
            time_quality=quality,
            store=reading.source.store,
            source=reading.source.named(o.get("hostname")),
            epc=_epc(seen),
            antenna=values.antenna(seen.get("antennaPort")),
            rssi_dbm=values.rssi(seen.get("peakRssiCdbm"), 100),
            tid=_chip_id(seen.get("tidHex"), seen.get("tid")),
            pc=_pc(seen.get("pc")),
        )
    )


def _epc(seen: Object) -> str:
    if seen.get("epcHex"):
        return values.hex_identity(seen["epcHex"])
    epc = seen.get("epc")
    if not isinstance(epc, str):
        raise FormatError("missing_field", "impinj: tagInventoryEvent.epc; switch epc reporting on")
    return values.hex_of_base64(epc)


def _pc(told: object) -> str:
    if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < 1 << 16:
        return f"{told:04X}"
    return values.optional_hex(told)


def _inventory_status(o: Object, event: Object, reading: Reading) -> None:
    """A reader that is idle, or armed and waiting for its trigger, sees nothing: a gap."""
    status = values.name(event.get("status"))
    running = "online" if status == "running" else "offline"
    _status(o, reading, running, f"inventory {status}")


def _terminated(o: Object, event: Object, reading: Reading) -> None:
    _status(o, reading, "offline", "inventory terminated")


def _overflow(o: Object, event: Object, reading: Reading) -> None:
    first, quality = reading.moment(event.get("firstEventTimestamp"))
    at = reading.moment(event.get("lastEventTimestamp"))
    if at[1] == "arrival":
        at = reading.moment(o.get("timestamp"))
    reading.status(
        reading.source.named(o.get("hostname")),
        "overflow",
        "the reader threw reads away",
        at,
        gap_from=first if quality != "arrival" and plausible(first) else 0,
        lost_events=values.integer(event.get("eventsPurged"), 0, SEQ_MAX, 0),
    )


def _antenna(connected: bool | None) -> Callable[[Object, Object, Reading], None]:
    def read_antenna(o: Object, event: Object, reading: Reading) -> None:
        words = {True: "connected", False: "disconnected", None: "active"}[connected]
        label = values.name(event.get("antennaName"))
        port = values.antenna(event.get("antennaPort"))
        reading.status(
            reading.source.named(o.get("hostname")),
            "antenna",
            f"antenna {port} {label} {words}".replace("  ", " "),
            reading.moment(o.get("timestamp")),
            antenna=port,
            connected=connected,
        )

    return read_antenna


def _gpi(o: Object, event: Object, reading: Reading) -> None:
    pin, transition = values.name(event.get("gpi")), values.name(event.get("transition"))
    _status(o, reading, "input", f"gpi {pin} {transition}")


def _status(o: Object, reading: Reading, status: str, detail: str) -> None:
    reader = reading.source.named(o.get("hostname"))
    reading.status(reader, status, detail, reading.moment(o.get("timestamp")))


_EVENTS: dict[str, Callable[[Object, Object, Reading], None]] = {
    "tagInventory": _tag,
    "inventoryStatus": _inventory_status,
    "inventoryTerminated": _terminated,
    "overflow": _overflow,
    "antennaConnected": _antenna(True),
    "antennaDisconnected": _antenna(False),
    "antennaActivation": _antenna(None),
    "gpiTransition": _gpi,
}
