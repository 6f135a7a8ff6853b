"""What changed in the local store since somebody last looked, in the order of the changes. Blocking.

Every table that is copied has a column ``changed``: a number that rises with every change of any row
of any of them, never given twice. A deleted row leaves a line in ``gone``. So "everything after
number n" is all that a copy which holds n must be told, and telling it twice changes nothing.
"""

import re
import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from edge.storage.migrations import split, steps

GONE_MAX = 100_000
"""Lines of deleted rows kept for a copy that is away."""
COUNTER, FLOOR, COPIED = "changed", "gone_floor", "copied"
"""Rows of ``meta``: the newest number given; the newest line of ``gone`` that was let go; how far the copy was when it was last heard of."""

Row = tuple[Any, ...]


class Copied(Struct, frozen=True):
    """A table that is copied."""

    name: str
    columns: tuple[str, ...]
    """All, as the local store orders them; ``changed`` among them."""
    key: tuple[str, ...]


class Window(Struct):
    """Changes with ``after < changed <= upto``."""

    upto: int
    rows: dict[Copied, list[Row]]
    """Rows as they are now. Those that changed again after ``upto`` are not among them."""
    gone: dict[Copied, list[Row]]
    """Keys of rows that were deleted. To be deleted before ``rows`` are written."""
    more: bool
    """Whether there is more after ``upto`` already."""

    @property
    def size(self) -> int:
        """Rows and deletions."""
        return sum(map(len, self.rows.values())) + sum(map(len, self.gone.values()))


_MADE = re.compile(r"CREATE TABLE (\w+)", re.I)


def copied_tables(connection: sqlite3.Connection) -> list[Copied]:
    """Every table of common SQL with a column ``changed``."""
    names = [m[1] for step in steps() for sql in split(step.mysql) if (m := _MADE.match(sql))]
    found = []
    for name in names:
        info = connection.execute(f"PRAGMA table_info({name})").fetchall()
        columns = tuple(str(row[1]) for row in info)
        key = tuple(str(row[1]) for row in sorted(info, key=lambda row: int(row[5])) if row[5])
        if COUNTER in columns:
            found.append(Copied(name, columns, key))
    return found


def value_of(connection: sqlite3.Connection, name: str) -> int:
    """A row of ``meta``; 0 where there is none."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def note(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Set a row of ``meta``, inside the caller's transaction."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def newest(connection: sqlite3.Connection) -> int:
    """Number of the newest change; 0: nothing ever changed."""
    return value_of(connection, COUNTER)


def reserve(connection: sqlite3.Connection, many: int) -> int:
    """The first of so many new numbers, which are the caller's; inside the caller's transaction."""
    first = newest(connection) + 1
    note(connection, COUNTER, first + many - 1)
    return first


def window(
    connection: sqlite3.Connection, tables: Sequence[Copied], after: int, most: int
) -> Window:
    """The next changes, about ``most`` rows of each table at a time, as one moment saw them.

    A table with more rows than that ends the window for all: nothing after its last one is told.
    """
    connection.execute("BEGIN")
    try:
        upto = end = newest(connection)
        found: dict[Copied, list[Row]] = {}
        for table in tables:
            rows = connection.execute(
                f"SELECT {', '.join(table.columns)} FROM {table.name}"
                " WHERE changed > ? AND changed <= ? ORDER BY changed LIMIT ?",
                (after, end, most),
            ).fetchall()
            if len(rows) == most:
                end = min(end, rows[-1][table.columns.index(COUNTER)])
            if rows:
                found[table] = rows
        lines = connection.execute(
            "SELECT table_name, row_key, changed FROM gone"
            " WHERE changed > ? AND changed <= ? ORDER BY changed LIMIT ?",
            (after, end, most),
        ).fetchall()
        if len(lines) == most:
            end = min(end, lines[-1][2])
    finally:
        connection.execute("COMMIT")
    return Window(
        upto=end,
        rows={t: kept for t, rows in found.items() if (kept := _until(t, rows, end))},
        gone=_keys(tables, [line for line in lines if line[2] <= end]),
        more=end < upto,
    )


def _until(table: Copied, rows: list[Row], end: int) -> list[Row]:
    at = table.columns.index(COUNTER)
    return [row for row in rows if row[at] <= end]


def _keys(tables: Sequence[Copied], lines: list[Row]) -> dict[Copied, list[Row]]:
    by_name = {table.name: table for table in tables}
    found: dict[Copied, list[Row]] = {}
    for name, text, _ in lines:
        if name in by_name:
            found.setdefault(by_name[name], []).append(tuple(msgspec.json.decode(text)))
    return found


def waiting(connection: sqlite3.Connection, tables: Sequence[Copied], after: int) -> int:
    """How many rows and deletions a copy that holds ``after`` has not been told."""
    counts = [
        connection.execute(f"SELECT count(*) FROM {name} WHERE changed > ?", (after,)).fetchone()[0]
        for name in (*(table.name for table in tables), "gone")
    ]
    return sum(map(int, counts))


def trim_gone(connection: sqlite3.Connection, copied: int, most: int = GONE_MAX) -> int:
    """Let go of lines that the copy was told, and of the oldest beyond ``most``; how many went.

    A copy that was not told all of what goes here (a backup of it that was put back) must begin anew:
    ``gone_floor`` says so. Inside the caller's transaction.
    """
    row = connection.execute(
        "SELECT changed FROM gone ORDER BY changed DESC LIMIT 1 OFFSET ?", (most,)
    ).fetchone()
    upto = max(copied, int(row[0]) if row else 0)
    (last,) = connection.execute(
        "SELECT max(changed) FROM gone WHERE changed <= ?", (upto,)
    ).fetchone()
    if last is None:
        return 0
    note(connection, FLOOR, int(last))
    return connection.execute("DELETE FROM gone WHERE changed <= ?", (last,)).rowcount
