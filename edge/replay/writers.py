"""Fields of a message -> its payload, a writer a format. Pure; the formats are ``simulate.speak``'s.

A message's own moment is ``at`` (native), ``timestamp`` (impinj) or ``scan_date`` (rfid3); the
fields of the mapping may set it themselves. Where the row's time cannot be read there is none.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from edge.replay.expressions import Cell
from edge.replay.moments import NS_PER_MS
from edge.replay.reader import Row
from edge.simulate import speak

Writer = Callable[[Row, int, int | None], bytes]
"""(row, shift in ms, moment in ns or None when unreadable) -> payload."""


class Format(Struct, frozen=True):
    """A format: what makes its writer, and the fields it knows (none: any)."""

    make: Callable[[str, Mapping[str, Cell]], Writer]
    fields: dict[str, str]


def _native(encode: Callable[[Any], bytes]) -> Callable[[str, Mapping[str, Cell]], Writer]:
    def make(kind: str, cells: Mapping[str, Cell]) -> Writer:
        items = tuple(cells.items())

        def write(row: Row, shift_ms: int, at_ns: int | None) -> bytes:
            said: dict[str, Any] = {"type": kind}
            if at_ns is not None:
                said["at"] = at_ns // NS_PER_MS
            for name, cell in items:
                value = cell(row, shift_ms)
                if value is not None:
                    said[name] = value
            return encode(said)

        return write

    return make


def _impinj(kind: str, cells: Mapping[str, Cell]) -> Writer:
    items = tuple(cells.items())

    def write(row: Row, shift_ms: int, at_ns: int | None) -> bytes:
        told = {name: cell(row, shift_ms) for name, cell in items}
        epc = told.pop("epc", None)
        try:
            said = speak.impinj_read(at_ns or 0, epc, **told)
        except (ValueError, TypeError):  # not hex, or a number that is none: say it as it stands
            said = speak.impinj_read(at_ns or 0, None)
            said["tagInventoryEvent"] = {"epc": epc, **told}
        if at_ns is None:
            del said["timestamp"]
        return encode_json(said)

    return write


def _rfid3(kind: str, cells: Mapping[str, Cell]) -> Writer:
    items = tuple(cells.items())

    def write(row: Row, shift_ms: int, at_ns: int | None) -> bytes:
        told = {name: cell(row, shift_ms) for name, cell in items}
        said = speak.rfid3_row(
            at_ns // NS_PER_MS if at_ns is not None else 0,
            told.pop("tag_id", None),
            told.pop("scan_type", None),
            **told,
        )
        if at_ns is None and "scan_date" not in told:
            del said["scan_date"]
        return encode_json({name: value for name, value in said.items() if value is not None})

    return write


def _flat(kind: str, cells: Mapping[str, Cell]) -> Writer:
    items = tuple(cells.items())

    def write(row: Row, shift_ms: int, at_ns: int | None) -> bytes:
        told = {name: cell(row, shift_ms) for name, cell in items}
        return encode_json({name: value for name, value in told.items() if value is not None})

    return write


encode_json = msgspec.json.Encoder().encode

_READ_FIELDS = {
    "epc": "text",
    "antenna": "integer",
    "rssi_dbm": "number",
    "frequency_khz": "integer",
    "power_cdbm": "integer",
    "phase_deg": "number",
    "hostname": "text",
}

WRITERS: dict[str, Format] = {
    "native": Format(_native(encode_json), {}),
    "native-msgpack": Format(_native(msgspec.msgpack.Encoder().encode), {}),
    "impinj": Format(_impinj, _READ_FIELDS),
    "rfid3": Format(_rfid3, {}),
    "json": Format(_flat, {}),
}
