"""Rows of the ledger in the local store: whatever the table, written, deleted and read alike. Blocking.

Every table has the columns of its struct and ``changed``, a number that rises with every change of
any row: whoever copies the store elsewhere asks for what is newer than what it has. A deleted row
leaves a line in ``gone``. Every write is part of the caller's transaction and may be repeated.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from edge.ledger.ledger import Changes, Key, Table
from edge.ledger.tables import TABLES

R = TypeVar("R", bound=Struct)

BY_NAME: Mapping[str, Table] = {table.name: table for table in TABLES}


@cache
def columns(row: type[Struct]) -> tuple[str, ...]:
    """Names of a struct's columns, in its order."""
    return tuple(field.name for field in msgspec.structs.fields(row))


def cells(row: Struct) -> list[Any]:
    """A row as SQL takes it: truth as 0 and 1, lists and objects as JSON text."""
    return [_cell(getattr(row, name)) for name in columns(type(row))]


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, int | float | str | bytes):
        return value
    return msgspec.json.encode(value).decode()


def write_rows(connection: sqlite3.Connection, changes: Changes) -> None:
    """Store what changed, numbered on from the newest number there is."""
    if not changes:
        return
    number = newest_change(connection)
    by_table: dict[str, list[tuple[Key, Struct | None]]] = {}
    for (table, key), row in changes.items():
        by_table.setdefault(table, []).append((key, row))
    for name, changed in by_table.items():
        number = _write_table(connection, BY_NAME[name], changed, number)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('changed', ?)", (number,))


def newest_change(connection: sqlite3.Connection) -> int:
    """Number of the newest change; 0: nothing ever changed."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'changed'").fetchone()
    return int(row[0]) if row else 0


def _write_table(
    connection: sqlite3.Connection,
    table: Table,
    changed: Sequence[tuple[Key, Struct | None]],
    number: int,
) -> int:
    put = [[*cells(row), number + i] for i, (_, row) in enumerate(changed, 1) if row is not None]
    gone = [(key, number + i) for i, (key, row) in enumerate(changed, 1) if row is None]
    if put:
        connection.executemany(_replace(table), put)
    if gone:
        connection.executemany(_delete(table), [key for key, _ in gone])
        lines = [(table.name, msgspec.json.encode(key).decode(), n) for key, n in gone]
        connection.executemany("REPLACE INTO gone VALUES (?, ?, ?)", lines)
    return number + len(changed)


def _replace(table: Table) -> str:
    names = [*columns(table.row), "changed"]
    marks = ", ".join("?" * len(names))
    return f"REPLACE INTO {table.name} ({', '.join(names)}) VALUES ({marks})"


def _delete(table: Table) -> str:
    return f"DELETE FROM {table.name} WHERE {' AND '.join(f'{name} = ?' for name in table.key)}"


def read_rows(
    connection: sqlite3.Connection,
    table: Table,
    where: Mapping[str, Any] | None = None,
    *,
    order: str = "",
    limit: int = -1,
    offset: int = 0,
) -> Iterator[Struct]:
    """Rows whose columns equal ``where``, as structs; ``order`` is a column, ``-`` before it: falling."""
    where, names = where or {}, columns(table.row)
    assert set(where) | {order.removeprefix("-")} <= {*names, "changed", ""}, (where, order)
    text = f"SELECT {', '.join(names)} FROM {table.name}"
    if where:
        text += " WHERE " + " AND ".join(f"{name} = ?" for name in where)
    if order:
        text += f" ORDER BY {order.removeprefix('-')}{' DESC' if order.startswith('-') else ''}"
    rows = connection.execute(f"{text} LIMIT ? OFFSET ?", (*where.values(), limit, offset))
    for row in rows:
        yield from_cells(table.row, row)


def from_cells(kind: type[R], row: Sequence[Any]) -> R:
    """A row as SQL gives it, as a struct. Raises msgspec.ValidationError."""
    told = {
        name: msgspec.json.decode(value) if is_json and isinstance(value, str) else value
        for (name, is_json), value in zip(_kinds(kind), row, strict=True)
    }
    return msgspec.convert(told, kind, strict=False)


@cache
def _kinds(row: type[Struct]) -> tuple[tuple[str, bool], ...]:
    """(column, whether it is text that holds a list or an object as JSON)."""
    return tuple((f.name, _is_json(f.type)) for f in msgspec.structs.fields(row))


def _is_json(wanted: Any) -> bool:
    told = str(wanted)
    return (
        told.startswith(("list[", "dict[", "tuple[")) or "struct" in type(wanted).__name__.lower()
    )
