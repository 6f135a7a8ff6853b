"""Rows as CSV: one header row, cells that no spreadsheet runs as a formula. No routing, no state.

Source: RFC 4180; OWASP, CSV Injection.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, get_args, get_type_hints

import msgspec
from aiohttp import web
from msgspec import Struct

MEDIA = "text/csv"
CONTENT_TYPE = "text/csv; charset=utf-8; header=present"
THREAD_ABOVE_ROWS = 100
"""More rows are written in a thread: they would hold the loop."""
_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n")


def wants_csv(request: web.Request, format_: str | None) -> bool:
    """Whether the client wants CSV: ``format`` decides, else what it accepts most.

    Equal wishes, and ``*/*``, mean JSON.
    """
    if format_ is not None:
        return format_ == "csv"
    quality = {"text/csv": 0.0, "application/json": 0.0}
    for part in request.headers.get("Accept", "").split(","):
        media, *parameters = (word.strip().lower() for word in part.split(";"))
        q = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            value = float(q)
        except ValueError:
            value = 0.0
        for known in quality:
            if media in (known, f"{known.partition('/')[0]}/*"):
                quality[known] = max(quality[known], value)
    return quality["text/csv"] > quality["application/json"]


def row_type(answer: Any, field: str) -> type[Struct]:
    """The type of the rows that ``field`` of an answer lists."""
    (found,) = get_args(get_type_hints(answer)[field])
    assert isinstance(found, type), found
    assert issubclass(found, Struct), found
    return found


def as_csv(rows: Sequence[Struct], kind: type[Struct]) -> bytes:
    """``rows`` of ``kind`` with their header row; records inside become ``name.field`` columns.

    >>> class Row(Struct):
    ...     sku: str
    ...     units: float | None
    ...     tags: list[str] = []
    >>> as_csv([Row("=A1", -2.5), Row("B", None, ["x"])], Row).decode().splitlines()
    ['sku,units,tags', "'=A1,-2.5,[]", 'B,,"[""x""]"']
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_header(kind))
    for row in rows:
        writer.writerow([_cell(value) for value in _values(row, kind)])
    return out.getvalue().encode()


@cache
def _columns(kind: type[Struct]) -> tuple[tuple[str, str, type[Struct] | None], ...]:
    """(field, name on the wire, its record if it is one) of every field."""
    return tuple(
        (
            field.name,
            field.encode_name,
            field.type if isinstance(field.type, type) and issubclass(field.type, Struct) else None,
        )
        for field in msgspec.structs.fields(kind)
    )


def _header(kind: type[Struct]) -> list[str]:
    return [
        name
        for _, wire, inner in _columns(kind)
        for name in ([f"{wire}.{sub}" for sub in _header(inner)] if inner else [wire])
    ]


def _values(row: Struct, kind: type[Struct]) -> Iterator[Any]:
    for name, _, inner in _columns(kind):
        value = getattr(row, name)
        if inner is not None:
            yield from _values(value, inner)
        else:
            yield value


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    return safe(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def safe(text: str) -> str:
    """``text`` so that no spreadsheet takes it for a formula: an apostrophe before it.

    >>> safe("=1+1"), safe("-4"), safe("A-4")
    ("'=1+1", "'-4", 'A-4')
    """
    return f"'{text}" if text.startswith(_RUNS) else text
