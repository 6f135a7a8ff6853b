"""Makers' own formats, written: what a Zebra, an Impinj, an RFID3 handheld and a till would send.

No randomness, no clock, no sockets: values in, payload out. The opposite of
``edge.ingest.formats``, which reads them, and written from the makers' documents rather than from
that code, so that the two check each other.

Times are epoch milliseconds UTC, except ``at_ns`` which is epoch nanoseconds because Impinj
readers write nine digits. Signal strength is dBm. A value of ``None`` is left out, as the makers
leave out metadata that is switched off.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from edge.events import Event

Object = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode_json = msgspec.json.Encoder().encode
_encode_msgpack = msgspec.msgpack.Encoder().encode


def payload(said: Object | Sequence[Object]) -> bytes:
    """An object, or several as an array, in compact JSON."""
    return _encode_json(said)


def rfc3339(at_ms: int) -> str:
    """UTC with milliseconds and ``Z``.

    >>> rfc3339(1_725_520_021_785)
    '2024-09-05T07:07:01.785Z'
    """
    return f"{_whole_seconds(at_ms // 1000)}.{at_ms % 1000:03d}Z"


def rfc3339_ns(at_ns: int) -> str:
    """UTC with nine digits and ``Z``, as an R700 writes.

    >>> rfc3339_ns(1_772_126_017_432_087_177)
    '2026-02-26T17:13:37.432087177Z'
    """
    return f"{_whole_seconds(at_ns // 10**9)}.{at_ns % 10**9:09d}Z"


def zebra_time(at_ms: int, offset_minutes: int = 0) -> str:
    """Milliseconds and an offset without a colon, as the IoT Connector writes.

    >>> zebra_time(1_725_520_021_785, -360)
    '2024-09-05T01:07:01.785-0600'
    """
    local = _whole_seconds(at_ms // 1000 + offset_minutes * 60)
    hours, minutes = divmod(abs(offset_minutes), 60)
    sign = "-" if offset_minutes < 0 else "+"
    return f"{local}.{at_ms % 1000:03d}{sign}{hours:02d}{minutes:02d}"


def _whole_seconds(at_s: int) -> str:
    return (_EPOCH + timedelta(seconds=at_s)).strftime("%Y-%m-%dT%H:%M:%S")


def epc_base64url(epc_hex: str) -> str:
    """An R700's ``epc``: base64url of the bytes, padding kept.

    >>> epc_base64url("8A450224"), epc_base64url("E28011606000020A6681F23F")
    ('ikUCJA==', '4oARYGAAAgpmgfI_')
    """
    return base64.urlsafe_b64encode(bytes.fromhex(epc_hex)).decode()


def _without_none(said: Object) -> Object:
    return {name: value for name, value in said.items() if value is not None}


# -- Zebra IoT Connector --------------------------------------------------------------------------


def zebra_read(
    at_ms: int,
    epc_hex: str,
    *,
    mode: str = "INVENTORY",
    antenna: int | None = None,
    rssi_dbm: int | None = None,
    reads: int | None = None,
    event_number: int | None = None,
    offset_minutes: int = 0,
) -> Object:
    """One tag data event. Which metadata is there depends on the operating mode."""
    data = {
        "eventNum": event_number,
        "format": "epc",
        "idHex": epc_hex,
        "antenna": antenna,
        "peakRssi": rssi_dbm,
        "reads": reads,
    }
    return {
        "data": _without_none(data),
        "timestamp": zebra_time(at_ms, offset_minutes),
        "type": mode,
    }


def zebra_heartbeat(
    at_ms: int, *, event_number: int, tag_reads: int, uptime_s: int, antennas: int = 2
) -> Object:
    """A management event of type heartbeat."""
    hours, rest = divmod(uptime_s, 3600)
    uptime = f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
    ports = [str(port + 1) for port in range(antennas)]
    radio = {
        "status": "running",
        "radioActivity": "active",
        "radioConnection": "connected",
        "antennas": dict.fromkeys(ports, "connected"),
        "numTagReads": tag_reads,
        "numTagReadsPerAntenna": dict.fromkeys(ports, tag_reads // antennas),
        "numErrors": 0,
        "numWarnings": 0,
        "cpu": 7,
        "ram": 31,
        "uptime": uptime,
    }
    return {
        "type": "heartbeat",
        "timestamp": zebra_time(at_ms),
        "component": "RC",
        "eventNum": event_number,
        "data": {
            "radio_control": radio,
            "reader_gateway": {},
            "system": {"uptime": uptime, "systemTime": zebra_time(at_ms)},
            "userapps": [],
        },
    }


def zebra_gpi(at_ms: int, *, event_number: int, pin: int, high: bool) -> Object:
    """A management event of a general purpose input, such as a light barrier at a portal."""
    return {
        "type": "gpi",
        "timestamp": zebra_time(at_ms),
        "component": "RC",
        "eventNum": event_number,
        "data": {"pin": pin, "state": "HIGH" if high else "LOW"},
    }


# -- Impinj R700 ----------------------------------------------------------------------------------


def impinj_read(
    at_ns: int,
    epc_hex: str | None,
    *,
    antenna: int | None = None,
    rssi_dbm: float | None = None,
    frequency_khz: int | None = None,
    power_cdbm: int | None = None,
    phase_deg: float | None = None,
    hostname: str | None = None,
    with_hex: bool = False,
) -> Object:
    """A tagInventory event; a factory reader sends base64url ``epc`` and no ``epcHex``."""
    event = {
        "epc": epc_base64url(epc_hex) if epc_hex is not None else None,
        "epcHex": epc_hex if with_hex else None,
        "antennaPort": antenna,
        "peakRssiCdbm": round(rssi_dbm * 100) if rssi_dbm is not None else None,
        "frequency": frequency_khz,
        "transmitPowerCdbm": power_cdbm,
        "phaseAngle": phase_deg,
    }
    return _impinj(rfc3339_ns(at_ns), hostname, "tagInventory", _without_none(event))


def impinj_status(at_ns: int, status: str, *, hostname: str | None = None) -> Object:
    """``idle``, ``running`` or ``armed``."""
    return _impinj(rfc3339_ns(at_ns), hostname, "inventoryStatus", {"status": status})


def impinj_overflow(
    at_ns: int, *, from_ns: int, purged: int, remaining: int = 0, hostname: str | None = None
) -> Object:
    """The reader threw reads away."""
    event = {
        "firstEventTimestamp": rfc3339_ns(from_ns),
        "lastEventTimestamp": rfc3339_ns(at_ns),
        "eventsPurged": purged,
        "eventsRemaining": remaining,
    }
    return _impinj(rfc3339_ns(at_ns), hostname, "overflow", event)


def impinj_antenna(
    at_ns: int, *, antenna: int, connected: bool, hostname: str | None = None
) -> Object:
    """An antenna was plugged in or has gone."""
    kind = "antennaConnected" if connected else "antennaDisconnected"
    return _impinj(rfc3339_ns(at_ns), hostname, kind, {"antennaPort": antenna})


def _impinj(timestamp: str, hostname: str | None, kind: str, event: Object) -> Object:
    envelope = {"timestamp": timestamp, "hostname": hostname, "eventType": kind}
    return {**_without_none(envelope), f"{kind}Event": event}


IMPINJ_WILL = b"connection lost"
IMPINJ_BIRTH = b"connected"
IMPINJ_KEEP_ALIVE = b"[]"


# -- RFID3 handheld rows --------------------------------------------------------------------------


def rfid3_row(at_ms: int, tag_id: str, scan_type: str, **columns: str | bool | None) -> Object:
    """A row of RFID3's ``id_transactions``: scan words, flags and columns as that table names them.

    Empty columns are left out.
    """
    row: Object = {"tag_id": tag_id, "scan_type": scan_type, "scan_date": rfc3339(at_ms)}
    return row | {name: value for name, value in columns.items() if value not in (None, "", False)}


# -- tills ----------------------------------------------------------------------------------------


def native(event: Event) -> bytes:
    """One of our own events in JSON."""
    return _encode_json(event)


def natives(events: Sequence[Event]) -> bytes:
    """Several of our own events as one JSON array."""
    return _encode_json(events)


def native_msgpack(event: Event) -> bytes:
    """One of our own events in MessagePack."""
    return _encode_msgpack(event)
