"""Rows, sizes and versions of the local store and of its copy, for people. Reads only, never locks.

Sizes are near enough to know what takes the room: bytes of a table are worked out from its newest
rows, indexes included; MySQL's own figures are estimates as well.
"""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from edge.config import Mysql
from edge.storage import changes, migrations
from edge.storage.journal_file import FILE_NAME, SCHEMA_VERSION, connect_readonly

SAMPLE_ROWS = 100
COUNT_S = 3.0
"""A table that takes longer to count is not counted: on a slow card that may take minutes."""
LOOK_EVERY = 100_000
"""Steps of SQLite between two looks at the clock."""
UNCOUNTED = -1
OWN_TABLES = ("batch", "history", "timeline", "dead_letter", "gap", "field_kept", "field_score")
"""Of the local store alone."""


class Size(Struct, frozen=True):
    """How large a table is."""

    table: str
    rows: int
    """-1: too many to count in time."""
    bytes: int
    """0 where they were not counted."""


class LocalFigures(Struct, frozen=True):
    """The local store."""

    version: int
    """Of its schema; 0: there is none yet."""
    program_version: int
    """That this program knows."""
    journal_id: str = ""
    newest_change: int = 0
    """Number of the newest change of a table that is copied."""
    sizes: list[Size] = []
    """The largest first."""
    backups: list[str] = []
    """Files, the newest first."""


class CopyFigures(Struct, frozen=True):
    """The copy."""

    server: str
    version: int
    program_version: int
    journal_id: str
    """Of the store whose copy it is; empty: nothing was copied yet."""
    position: int
    """Number of the newest change that it holds."""
    updated_at: str
    """When it last moved, UTC."""
    waiting: int
    """Rows and deletions of the local store that it was not told yet."""
    sizes: list[Size] = []


def local_figures(directory: Path) -> LocalFigures:
    """Raises JournalBroken where the store cannot be read."""
    if not (directory / FILE_NAME).exists():
        return LocalFigures(0, SCHEMA_VERSION)
    connection = connect_readonly(directory)
    try:
        found = connection.execute("SELECT value FROM meta WHERE key = 'journal_id'").fetchone()
        names = [*OWN_TABLES, "gone", *(t.name for t in changes.copied_tables(connection))]
        return LocalFigures(
            migrations.version_of(connection),
            SCHEMA_VERSION,
            f"{found[0]:016x}" if found else "",
            changes.newest(connection),
            sorted((s for n in names if (s := size_of(connection, n)).rows), key=_falling),
            [str(file) for file in migrations.backups(directory)],
        )
    finally:
        connection.close()


def _falling(size: Size) -> tuple[int, str]:
    return -size.bytes, size.table


def size_of(connection: sqlite3.Connection, table: str) -> Size:
    """Rows of a table and about how many bytes they take; no rows where there is no such table."""
    until = time.monotonic() + COUNT_S
    connection.set_progress_handler(lambda: int(time.monotonic() > until), LOOK_EVERY)
    try:
        return _size_of(connection, table)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return Size(table, UNCOUNTED, 0)
    finally:
        connection.set_progress_handler(None, 0)


def _size_of(connection: sqlite3.Connection, table: str) -> Size:
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    if not names:
        return Size(table, 0, 0)
    (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    each = " + ".join(f"coalesce(length({name}), 0) + 1" for name in names)
    if "blob" in names:
        (total,) = connection.execute(f"SELECT coalesce(sum({each}), 0) FROM {table}").fetchone()
        return Size(table, int(rows), int(total))
    order = "ORDER BY changed DESC" if "changed" in names else ""
    (mean,) = connection.execute(
        f"SELECT coalesce(avg({each}), 0) FROM (SELECT * FROM {table} {order} LIMIT {SAMPLE_ROWS})"
    ).fetchone()
    indexes = connection.execute(f"PRAGMA index_list({table})").fetchall()
    return Size(table, int(rows), int(rows * mean * (1 + len(indexes) / 4)))


def copy_figures(settings: Mysql, directory: Path) -> CopyFigures:
    """What the database says of itself. Raises what is in ``mysql.TROUBLE``; some seconds."""
    return asyncio.run(_copy_figures(settings, directory))


async def _copy_figures(settings: Mysql, directory: Path) -> CopyFigures:
    from edge.storage.mysql import connect
    from edge.storage.mysql_schema import COPY, ask, versions

    connection = await connect(settings)
    try:
        ((server,),) = await ask(connection, "SELECT version()")
        version, own = await versions(connection)
        position, journal_id, updated_at = 0, "", ""
        if version:
            rows = await ask(
                connection,
                f"SELECT journal_id, position, updated_at FROM {COPY} WHERE name = 'copy'",
            )
            if rows:
                journal_id, position, updated_at = str(rows[0][0]), int(rows[0][1]), str(rows[0][2])
        sizes = await ask(
            connection,
            "SELECT TABLE_NAME, coalesce(TABLE_ROWS, 0), coalesce(DATA_LENGTH + INDEX_LENGTH, 0)"
            " FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'",
        )
    finally:
        connection.close()
    told = sorted((Size(str(n), int(r), int(b)) for n, r, b in sizes if r), key=_falling)
    return CopyFigures(
        str(server), version, own, journal_id, position, updated_at,
        _waiting(directory, journal_id, position), told,
    )  # fmt: skip


def _waiting(directory: Path, journal_id: str, position: int) -> int:
    """Changes that the copy was not told; all where it is another store's."""
    if not (directory / FILE_NAME).exists():
        return 0
    local = connect_readonly(directory)
    try:
        own = local.execute("SELECT value FROM meta WHERE key = 'journal_id'").fetchone()
        mine = own is not None and f"{own[0]:016x}" == journal_id
        if migrations.version_of(local) != SCHEMA_VERSION:
            return 0
        return changes.waiting(local, changes.copied_tables(local), position if mine else 0)
    finally:
        local.close()


def total(sizes: Sequence[Size]) -> int:
    """Bytes of all."""
    return sum(size.bytes for size in sizes)
