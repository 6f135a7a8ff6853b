"""One line of an upload -> the JSON text of one native event. No sockets, no meaning.

Only what a line is made of is checked here: UTF-8, JSON, an object; for CSV also the types of its
cells, because only here it is known that they were text. What an event means, and whether it is
complete, is for the decoder to say, as for every other door.
"""

import csv
from collections.abc import Sequence
from typing import Any

import msgspec

from edge.api.complaints import readable
from edge.api.problems import Problem
from edge.events import BY_KIND, EVENT_TYPES, Event


class RefusedLineError(Exception):
    """This line cannot become an event; the others can. Carries a reason and a detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


# A list is read in one piece: so many commas bound its elements, and the time, to a few ms.
COMMAS_MAX = 65_536

_raw = msgspec.json.Decoder(msgspec.Raw)
_raws = msgspec.json.Decoder(list[msgspec.Raw])


def json_event(text: bytes) -> bytes:
    """``text`` itself, when it is one JSON object in UTF-8.

    >>> json_event(b' {"type": "tag_read"} ')
    b'{"type": "tag_read"}'

    Raises RefusedLineError with ``not_utf8``, ``not_json`` or ``not_an_object``.
    """
    try:
        text.decode()
        event = bytes(_raw.decode(text)).strip()
    except UnicodeDecodeError as error:
        raise RefusedLineError("not_utf8", f"Byte {error.start} is not UTF-8.") from None
    except msgspec.DecodeError as error:
        raise RefusedLineError("not_json", f"{readable(error)}.") from None
    except RecursionError:
        raise RefusedLineError("not_json", "It is nested too deeply.") from None
    if not event.startswith(b"{"):
        raise RefusedLineError("not_an_object", "An event is a JSON object.")
    return event


def json_events(body: bytes) -> Sequence[msgspec.Raw]:
    """The elements of a JSON array, or the one object, each still unread.

    Raises Problem ``bad-body`` when the body as a whole is not JSON.
    """
    if body.count(b",") > COMMAS_MAX:
        raise Problem("body-too-large", "Too many values for one JSON body.")
    try:
        body.decode()
        return _raws.decode(body) if _is_array(body) else [_raw.decode(body)]
    except UnicodeDecodeError as error:
        raise Problem("bad-body", f"Byte {error.start} is not UTF-8.") from None
    except msgspec.DecodeError as error:
        raise Problem("bad-body", f"{readable(error)}.") from None
    except RecursionError:
        raise Problem("bad-body", "It is nested too deeply.") from None


def _is_array(body: bytes) -> bool:
    return body.lstrip(b" \t\r\n").startswith(b"[")


def _is_moment(wanted: Any) -> bool:
    return bool(wanted == int | float | str)


_FIELDS: dict[type[Event], dict[str, Any]] = {
    kind: {field.name: field.type for field in msgspec.structs.fields(kind)} for kind in EVENT_TYPES
}
_ALL_NAMES = frozenset(name for fields in _FIELDS.values() for name in fields)
_LISTS = frozenset({"defects"})


class CsvEvents:
    """Rows of a CSV body, one event a line.

    The header row names the fields of the event type; a column ``type`` gives the kind row by row
    where the upload has none. An empty cell leaves its field out. Cells of a list are separated
    by ``;``. A quoted cell may hold commas, not line ends: else one lost quote would swallow its
    neighbours.
    """

    def __init__(self, header: bytes, kind: str) -> None:
        names = [name.strip() for name in _cells(header)]
        if len(names) == 1:
            _refuse_other_separators(header)
        known = frozenset(_FIELDS[BY_KIND[kind]]) if kind else _ALL_NAMES
        unknown = [name for name in names if name not in known | {"type"}]
        if unknown:
            raise Problem("bad-header-row", f"Unknown columns: {', '.join(map(repr, unknown))}.")
        if len(set(names)) < len(names):
            raise Problem("bad-header-row", "A column stands there twice.")
        if not kind and "type" not in names:
            cure = "Add ?type= to the address, or a column 'type'."
            raise Problem("bad-header-row", "Nothing says of which type these are.", cure=cure)
        self._names = names
        self._kind = kind

    def event(self, row: bytes) -> bytes:
        """The row as the JSON text of a native event. Raises RefusedLineError."""
        try:
            cells = _cells(row)
        except Problem as problem:
            raise RefusedLineError("bad_row", problem.detail) from None
        if len(cells) != len(self._names):
            told = f"{len(cells)} cells under {len(self._names)} names; separate them with commas."
            raise RefusedLineError("bad_row", told)
        filled = {n: c.strip() for n, c in zip(self._names, cells, strict=True) if c.strip()}
        kind = filled.pop("type", self._kind)
        if kind not in BY_KIND or (self._kind and kind != self._kind):
            raise RefusedLineError("bad_type", f"{kind!r} is not the type of these events.")
        return _event_text(BY_KIND[kind], filled)


_OTHERS = {b";": "semicolons", b"\t": "tabs", b"|": "bars"}


def _refuse_other_separators(header: bytes) -> None:
    """A single name that holds a separator is no name. Raises Problem ``bad-header-row``."""
    for separator, name in _OTHERS.items():
        if separator in header:
            raise Problem(
                "bad-header-row",
                f"The columns are separated by {name}.",
                cure="Separate columns by commas, and write numbers with a point, like 12.5.",
            )


def _cell_words(error: msgspec.ValidationError) -> str:
    """About a cell, which is text and needs no quotes."""
    return readable(error).replace(", not a text in double quotes", "")


def _cells(row: bytes) -> list[str]:
    try:
        (cells,) = csv.reader([row.decode()], strict=True) if row else ([],)
    except UnicodeDecodeError as error:
        raise Problem("bad-header-row", f"Byte {error.start} is not UTF-8.") from None
    except (csv.Error, ValueError) as error:
        raise Problem("bad-header-row", f"Not a CSV row: {error}.") from None
    return cells


def _event_text(kind: type[Event], filled: dict[str, str]) -> bytes:
    fields = _FIELDS[kind]
    foreign = [name for name in filled if name not in fields]
    if foreign:
        raise RefusedLineError("bad_row", f"{', '.join(foreign)} is no field of this type.")
    values = {name: _value(fields[name], name, cell) for name, cell in filled.items()}
    try:
        return msgspec.json.encode(msgspec.convert(values, kind, strict=False))
    except msgspec.ValidationError as error:
        raise RefusedLineError("bad_cell", f"{_cell_words(error)}.") from None


def _value(wanted: Any, name: str, cell: str) -> Any:
    """A cell as msgspec's lax conversion understands it.

    >>> _value(int | float | str, "at", "1700000000000"), _value(list, "defects", "oil; mold")
    (1700000000000, ['oil', 'mold'])
    """
    if name in _LISTS:
        return [part.strip() for part in cell.split(";") if part.strip()]
    if _is_moment(wanted) and cell.removeprefix("-").isdecimal() and cell.isascii():
        return int(cell)
    return cell
