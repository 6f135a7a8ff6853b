"""The same tables in MySQL or MariaDB: made, brought up, set aside. On an asyncmy connection.

No rows are copied here (``mysql.py``). MySQL commits every definition by itself, so progress is kept
statement by statement in ``rfid3_schema``; a statement that was carried out but not noted, because
somebody was killed in between, is known by the error that it gives the second time.

Names compare as bytes, as in SQLite: ``A`` is not ``a``, and a blank at the end counts.
"""

import re
from collections.abc import Sequence
from typing import Any

import asyncmy
import asyncmy.errors

from edge.errors import Rfid3Error
from edge.storage.migrations import Step, split, steps

Connection = Any
"""``asyncmy.connection.Connection``; its types do not know its cursors' context."""

SCHEMA = "rfid3_schema"
COPY = "rfid3_copy"
OWN = (SCHEMA, COPY)
COLLATIONS = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin")
"""Of MariaDB, of MySQL 8."""
ALREADY = frozenset({1050, 1060, 1061, 1091})
"""Table, column or index is there already, or is gone already."""

_OWN_TABLES = {
    SCHEMA: """(
        version BIGINT NOT NULL PRIMARY KEY,
        statements BIGINT NOT NULL,
        whole SMALLINT NOT NULL,
        applied_at DATETIME NOT NULL
    )""",
    COPY: """(
        name VARCHAR(16) NOT NULL PRIMARY KEY,
        journal_id VARCHAR(32) NOT NULL,
        position BIGINT NOT NULL,
        updated_at DATETIME NOT NULL
    )""",
}


class SchemaTooNew(Rfid3Error):
    """The database was brought up by a newer program."""


async def ask(connection: Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    """The rows of one statement."""
    async with connection.cursor() as cursor:
        await cursor.execute(sql, tuple(values) or None)
        return list(await cursor.fetchall() or ())


async def upgrade(connection: Connection, through: int | None = None) -> int:
    """Make or bring up all tables; how many steps had anything to do.

    Raises SchemaTooNew, or what asyncmy raises; made again it goes on where it was.
    """
    every = [step for step in steps() if through is None or step.version <= through]
    options = await _options(connection)
    there = {name for name, _ in await _tables(connection)}
    for name in OWN:
        if name not in there:
            await ask(connection, f"CREATE TABLE {name} {_OWN_TABLES[name]}{options}")
    done = {version: (count, whole) for version, count, whole in await _progress(connection)}
    if done and max(done) > every[-1].version:
        raise SchemaTooNew(
            f"the database has version {max(done)}, this program knows {every[-1].version}:"
            " use the newer program, or another database"
        )
    made = 0
    for step in every:
        count, whole = done.get(step.version, (0, 0))
        if not whole:
            await _apply(connection, step, count, options)
            made += 1
    return made


async def versions(connection: Connection) -> tuple[int, int]:
    """(version that is whole, the program's own); 0: nothing was made there yet."""
    own = steps()[-1].version
    try:
        done = await _progress(connection)
    except asyncmy.errors.ProgrammingError:
        return 0, own
    return max((version for version, _, whole in done if whole), default=0), own


async def _progress(connection: Connection) -> list[tuple[int, int, int]]:
    return await ask(connection, f"SELECT version, statements, whole FROM {SCHEMA}")


async def _options(connection: Connection) -> str:
    names = ", ".join(f"'{name}'" for name in COLLATIONS)
    found = await ask(
        connection,
        "SELECT COLLATION_NAME FROM information_schema.COLLATIONS"
        f" WHERE COLLATION_NAME IN ({names})",
    )
    collation = found[0][0] if found else "utf8mb4_bin"
    return f" ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"


_NEW_TABLE = re.compile(r"\s*CREATE TABLE\b", re.I)


async def _apply(connection: Connection, step: Step, done: int, options: str) -> None:
    statements = split(step.mysql)
    for number, sql in enumerate(statements[done:], done + 1):
        whole = sql + options if _NEW_TABLE.match(sql) else sql
        try:
            await ask(connection, whole)
        except asyncmy.errors.MySQLError as error:
            if number != done + 1 or error.args[0] not in ALREADY:
                raise
        await _note(connection, step.version, number, False)
    await _note(connection, step.version, len(statements), True)


async def _note(connection: Connection, version: int, count: int, whole: bool) -> None:
    await ask(
        connection,
        f"REPLACE INTO {SCHEMA} VALUES (%s, %s, %s, UTC_TIMESTAMP())",
        (version, count, int(whole)),
    )
    await connection.commit()


async def _tables(connection: Connection) -> list[tuple[str, str]]:
    """(name, kind) of all tables and views."""
    return await ask(
        connection,
        "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = DATABASE()",
    )


async def set_aside(connection: Connection, journal_id: str) -> list[str]:
    """Rename all tables of ours, for another store begins here; their new names.

    Nothing is deleted: it may be all that is left of a shop whose card broke.
    """
    prefix = _prefix(journal_id)
    found = await _tables(connection)
    ours = _ours()
    for name, kind in found:
        if kind == "VIEW" and name in ours:
            await ask(connection, f"DROP VIEW {name}")
    taken = {name for name, _ in found}
    tables = [name for name, kind in found if kind != "VIEW" and name in ours | set(OWN)]
    while any(prefix + name in taken for name in tables):
        prefix = f"{prefix.rstrip('_')}x_"
    if tables:
        moves = ", ".join(f"{name} TO {prefix}{name}" for name in tables)
        await ask(connection, f"RENAME TABLE {moves}")
    return [prefix + name for name in tables]


async def aside(connection: Connection, journal_id: str) -> bool:
    """Whether tables of that store were set aside here by somebody."""
    return any(name.startswith(_prefix(journal_id)) for name, _ in await _tables(connection))


def _prefix(journal_id: str) -> str:
    return f"old_{journal_id[:8] or 'unknown'}_"


_MADE = re.compile(r"CREATE (?:TABLE|VIEW) (\w+)", re.I)


def _ours() -> set[str]:
    """Names of all tables and views that any step makes."""
    return {
        found[1] for step in steps() for sql in split(step.mysql) if (found := _MADE.match(sql))
    }
