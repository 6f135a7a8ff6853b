"""Zebra IoT Connector: FX7500, FX9600, FXR90, ATR7000. Tag data and management events.

Tag data is an envelope ``{"data": {...}, "timestamp": ..., "type": MODE}``, alone or in an array.
``antenna`` and ``peakRssi`` are absent in SIMPLE mode; ``reads`` counts reads the reader folded.

Source: ZebraDevs/RFID-IoTConnector-MQTT-dotnet-DockDoorSample (MIT), captures of FXR90 and FX9600.
"""

from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct

from edge.errors import FormatError
from edge.events import TagRead
from edge.ingest.formats import values
from edge.ingest.formats.reading import Object, Reading, Source
from edge.ingest.formats.typed import Absent, Doubt, fast_reader
from edge.ingest.formats.values import (
    ANTENNA_MAX,
    COUNT_MAX,
    HEX,
    NAME_MAX,
    RSSI_MAX_DBM,
    RSSI_MIN_DBM,
    SEQ_MAX,
)
from edge.ingest.times import TIME_MAX_MS, TIME_MIN_MS, utc_ms

_PlainMode = Literal["SIMPLE", "INVENTORY", "PORTAL", "CONVEYOR", "CUSTOM"]
# A tuple: `in` compares, so an unhashable value in a payload is no error.
MODES = (*get_args(_PlainMode), "DIRECTIONALITY", "RAW_DIRECTIONALITY", "DIRECTIONALITY_RAW")
MARK = b'"idHex"'


def is_tag(o: Object) -> bool:
    """Whether an object is tag data."""
    data = o.get("data")
    return isinstance(data, dict) and ("idHex" in data or o.get("type") in MODES)


def is_management(o: Object) -> bool:
    """Whether an object is a management event."""
    return (
        isinstance(o.get("type"), str)
        and isinstance(o.get("data"), dict)
        and ("component" in o or "eventNum" in o or o["type"] == "heartbeat")
    )


# ── the hot path ──────────────────────────────────────────────────────────────────────────────


class _Data(Struct, gc=False):
    idHex: Annotated[str, Meta(min_length=1, max_length=NAME_MAX)]  # noqa: N815 - the reader's own
    antenna: Annotated[int, Meta(ge=0, le=ANTENNA_MAX)] = 0
    peakRssi: Annotated[float, Meta(ge=RSSI_MIN_DBM, le=RSSI_MAX_DBM)] | None = None  # noqa: N815
    reads: Annotated[int, Meta(ge=1, le=COUNT_MAX)] = 1
    eventNum: Annotated[int, Meta(ge=0, le=SEQ_MAX)] = 0  # noqa: N815
    PC: str = ""
    TID: str = ""
    hostName: str = ""  # noqa: N815
    rssi: None = None
    direction: None = None


class _Tag(Struct, gc=False):
    data: _Data
    type: _PlainMode
    timestamp: str = ""
    hostName: str = ""  # noqa: N815
    # What would make it another format's payload; then the slow path decides.
    eventType: None = None  # noqa: N815
    epcisBody: Absent = ""  # noqa: N815


def _event(tag: _Tag, source: Source, arrival_ms: int) -> TagRead:
    data = tag.data
    epc = data.idHex
    told = data.hostName or tag.hostName
    at = utc_ms(tag.timestamp)
    if epc.strip(HEX) or not TIME_MIN_MS <= at < TIME_MAX_MS:
        raise Doubt
    event = TagRead(
        at=at,
        store=source.store,
        source=source.reader or (told and values.device(told)) or source.fallback,
        epc=epc,
        antenna=data.antenna,
        rssi_dbm=data.peakRssi,
        count=data.reads,
        seq=data.eventNum,
    )
    if data.PC:
        event.pc = values.control_word(data.PC)
    if data.TID:
        event.tid = values.optional_hex(data.TID)
    return event


fast = fast_reader(_Tag, _event)
"""Ordinary tag data, one or many; None where anything is out of the ordinary."""


# ── every other payload ───────────────────────────────────────────────────────────────────────


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """One element: tag data or a management event. Raises FormatError."""
    if is_tag(o):
        _read_tag(o, o["data"], reading)
    elif is_management(o):
        _read_management(o, o["data"], reading)
    else:
        raise FormatError("unknown_format", "zebra: neither data.idHex nor a management event")


def _read_tag(o: Object, data: Object, reading: Reading) -> None:
    if "idHex" not in data:
        raise FormatError("missing_field", "zebra: data.idHex; switch the EPC metadata on")
    at, quality = reading.moment(o.get("timestamp"))
    rssi = values.rssi(data.get("peakRssi"))
    reading.add(
        TagRead(
            at=at,
            time_quality=quality,
            store=reading.source.store,
            source=reading.source.named(data.get("hostName") or o.get("hostName")),
            epc=values.hex_identity(data["idHex"]),
            antenna=values.antenna(data.get("antenna")),
            rssi_dbm=rssi if rssi is not None else values.rssi(data.get("rssi")),
            count=values.integer(data.get("reads"), 1, COUNT_MAX, 1),
            seq=values.integer(data.get("eventNum"), 0, SEQ_MAX, 0),
            tid=values.optional_hex(data.get("TID")),
            pc=values.optional_hex(data.get("PC")),
            direction=_direction(data),
        )
    )


def _direction(data: Object) -> str:
    """IN and OUT; NONE, UNKNOWN and ERROR say nothing."""
    told = data.get("direction")
    word = told.lower() if isinstance(told, str) else ""
    return word if word in ("in", "out") else ""


def _read_management(o: Object, data: Object, reading: Reading) -> None:
    reader = reading.source.named(data.get("hostName") or o.get("hostName"))
    status, detail = _MANAGEMENT.get(o["type"].lower(), _other)(o["type"], data)
    reading.status(reader, status, detail, reading.moment(o.get("timestamp")))


def _heartbeat(kind: str, data: Object) -> tuple[str, str]:
    """A reader whose radio is off or gone is alive but sees nothing: a gap, not a quiet shop."""
    radio = data.get("radio_control")
    radio = radio if isinstance(radio, dict) else {}
    connection, activity = radio.get("radioConnection"), radio.get("radioActivity")
    if isinstance(connection, str) and connection.lower() != "connected":
        return "offline", f"radio {connection}"
    if isinstance(activity, str) and activity.lower() == "inactive":
        return "offline", "radio inactive"
    reads = values.integer(radio.get("numTagReads"), 0, SEQ_MAX, 0)
    errors = values.integer(radio.get("numErrors"), 0, SEQ_MAX, 0)
    return "heartbeat", f"{reads} reads, {errors} errors"


def _gpi(kind: str, data: Object) -> tuple[str, str]:
    return "input", f"{kind} {values.name(data.get('pin'))} {values.name(data.get('state'))}"


def _error(kind: str, data: Object) -> tuple[str, str]:
    return "error", f"{kind}: {values.free_text(data.get('message'), 150)}"


def _other(kind: str, data: Object) -> tuple[str, str]:
    """Firmware updates, user applications and the like: the reader is there."""
    return "heartbeat", kind


_MANAGEMENT: dict[str, Any] = {
    "heartbeat": _heartbeat,
    "gpi": _gpi,
    "gpo": _gpi,
    "error": _error,
    "errors": _error,
    "warning": _error,
    "warnings": _error,
}
