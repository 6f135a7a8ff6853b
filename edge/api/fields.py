"""What a native event over HTTP shows before it is decoded: names nobody knows, and whether it can be
told from a repeat. Pure; what an event means is for the decoder to say.
"""

import difflib
from typing import Any

import msgspec

from edge.events import BY_KIND

_KNOWN = {
    kind: frozenset({field.name for field in msgspec.structs.fields(event)} | {"type"})
    for kind, event in BY_KIND.items()
}
NAME_SHOWN_MAX = 40


def fields_of(event: bytes) -> dict[str, Any]:
    """The fields of a JSON object; none where it cannot be read (the decoder will say why)."""
    try:
        told = msgspec.json.decode(event)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def unknown_fields(told: dict[str, Any], kind: str) -> list[str]:
    """A sentence for each field that an event of this kind does not have; none for other formats.

    >>> unknown_fields({"sku": "T", "qantity": 2}, "stock_count")
    ["unknown field 'qantity' was ignored; did you mean 'quantity'?"]
    >>> unknown_fields({"anything": 1}, "zebra")
    []
    """
    known = _KNOWN.get(kind)
    return [_unknown(name, known) for name in told if name not in known] if known else []


def _unknown(name: str, known: frozenset[str]) -> str:
    near = difflib.get_close_matches(name.lower(), sorted(known), 1, 0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown field {name[:NAME_SHOWN_MAX]!r} was ignored{hint}"


def counts_again(told: dict[str, Any], kind: str) -> bool:
    """Whether the same native event told twice would count twice: nothing in it tells which it is.

    >>> counts_again({"sku": "T", "quantity": 2}, "stock_receipt")
    True
    >>> counts_again({"sku": "T", "quantity": 2, "at": 1700000000000}, "stock_receipt")
    False
    >>> counts_again({"document": "R-1", "sku": "T", "at": 1700000000000}, "pos_line")
    True
    """
    if kind not in _KNOWN or "id" in told:
        return False
    return "line" not in told if kind == "pos_line" else "at" not in told


def with_id(event: bytes, id_: str) -> bytes:
    """The JSON object with an id in front.

    >>> with_id(b'{"sku":"T"}', "day-7/1"), with_id(b"{ }", "day-7/1")
    (b'{"id":"day-7/1","sku":"T"}', b'{"id":"day-7/1"}')
    """
    rest = event[1:].lstrip()
    comma = b"" if rest.startswith(b"}") else b","
    return b'{"id":' + msgspec.json.encode(id_) + comma + rest
