"""Rows of a table in MySQL or MariaDB, such as a live RFID3's ``id_transactions``. Reads only.

One statement reads the whole table, a piece at a time, so all rows are of one moment; columns are
found in ``information_schema``. RFID3's tables differ from shop to shop: of the columns that our
mappings know, those that are not there come as empty cells, and only ``tag_id`` must be there.

Texts, numbers and moments come as a CSV export would hold them; a date that is none, such as
``0000-00-00 00:00:00``, stays that text.
"""

import asyncio
import os
import re
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from edge.replay.errors import ReplayError, did_you_mean
from edge.replay.reader import BadRow, Row, Stamp

T = TypeVar("T")

ADDRESS = re.compile(r"mysql:/{1,2}(?=[^/])")
PASSWORD = "RFID3_MYSQL__PASSWORD"
PIECE_ROWS = 4_096
CONNECT_S = 10.0
KNOWN: dict[str, tuple[str, ...]] = {
    "id_transactions": (
        *("contract_number", "tag_id", "scan_type", "scan_date", "client_name", "common_name"),
        *("bin_location", "status", "scan_by", "quality", "rental_class_num", "rental_class_id"),
        *("dirty_or_mud", "mud", "leaves", "oil", "mold", "stain", "oxidation", "rip_or_tear"),
        *("sewing_repair_needed", "grommet", "rope", "buckle", "wet", "service_required", "other"),
    ),
    "id_item_master": (
        *("tag_id", "rental_class_num", "rental_class_id", "common_name", "status", "quality"),
        *("bin_location", "last_contract_num", "date_last_scanned", "date_created"),
        "date_updated",
    ),
}
"""Columns of RFID3's tables that our mappings name; the first of ``NEEDED`` must be there."""
NEEDED = {"id_transactions": ("tag_id", "scan_type", "scan_date"), "id_item_master": ("tag_id",)}
IN_ORDER = {"id_transactions": "scan_date", "id_item_master": "date_updated"}


class Address(Struct, frozen=True):
    """Where a database is."""

    host: str
    port: int
    user: str
    password: str
    database: str

    def __str__(self) -> str:
        """Without the password."""
        return f"mysql://{self.user}@{self.host}:{self.port}/{self.database}"


def is_address(path: Path | str) -> bool:
    """Whether it names a database and no file; a path may have swallowed one of two strokes."""
    return ADDRESS.match(str(path)) is not None


def parse(path: Path | str) -> Address:
    """``mysql://user@host:port/database``. Raises ReplayError with the cure.

    >>> str(parse("mysql://reader@db.shop/rfid3"))
    'mysql://reader@db.shop:3306/rfid3'
    """
    parts = urlsplit(ADDRESS.sub("mysql://", str(path)))
    database = parts.path.strip("/")
    try:
        port = parts.port or 3306
    except ValueError:
        port = 0
    if not (parts.hostname and parts.username and database and port):
        raise ReplayError("write mysql://user@host:port/database")
    password = parts.password if parts.password is not None else os.environ.get(PASSWORD, "")
    user, secret = unquote(parts.username), unquote(password)
    return Address(parts.hostname, port, user, secret, database)


class MysqlRows:
    """One table. Moments are texts in the shop's own time: the mapping says its zone."""

    stamps: dict[str, Stamp] = {}  # noqa: RUF012 - always empty: a DATETIME does not say its zone

    def __init__(self, path: Path | str, table: str) -> None:
        self._address = parse(path)
        found = _alone(self._find(table))
        self._table, self._there = found
        missing = [name for name in KNOWN.get(self._table, ()) if name not in self._there]
        self._missing = len(missing)
        self.columns = (*self._there, *missing)

    def __iter__(self) -> Iterator[Row | BadRow]:
        nothing = (None,) * self._missing
        with ThreadPoolExecutor(1, "mysql-rows") as thread:  # a loop may be running in ours
            loop = asyncio.new_event_loop()

            def done(work: Coroutine[Any, Any, T]) -> T:
                return thread.submit(loop.run_until_complete, work).result()

            connection = None
            try:
                connection, cursor = done(self._begin())
                while rows := done(_piece(cursor)):
                    for row in rows:
                        yield (*map(_cell, row), *nothing)
            except _errors() as error:
                raise ReplayError(f"{self._address}: {error}") from error
            finally:
                if connection is not None:
                    done(_close(connection))
                thread.submit(loop.close).result()

    async def _begin(self) -> tuple[Any, Any]:
        from asyncmy.cursors import SSCursor

        connection = await _connect(self._address)
        cursor = connection.cursor(SSCursor)
        names = ", ".join(_quoted(name) for name in self._there)
        order = IN_ORDER.get(self._table, "")
        sql = f"SELECT {names} FROM {_quoted(self._table)}"
        await cursor.execute(f"{sql} ORDER BY {_quoted(order)}" if order in self._there else sql)
        return connection, cursor

    async def _find(self, table: str) -> tuple[str, tuple[str, ...]]:
        try:
            connection = await _connect(self._address)
            try:
                async with connection.cursor() as cursor:
                    await cursor.execute(
                        "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS"
                        " WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION"
                    )
                    found: dict[str, list[str]] = {}
                    for name, column in await cursor.fetchall():
                        found.setdefault(str(name), []).append(str(column))
            finally:
                connection.close()
        except _errors() as error:
            raise ReplayError(f"{self._address}: {error}") from error
        return self._choose(table, found)

    def _choose(self, table: str, found: dict[str, list[str]]) -> tuple[str, tuple[str, ...]]:
        listed = ", ".join(sorted(found)) or "none"
        if table not in found:
            hint = did_you_mean(table, list(found)) if table else ""
            told = f"no table {table}{hint}." if table else "say which table with --table."
            raise ReplayError(f"{self._address}: {told} There are: {listed}")
        for name in NEEDED.get(table, ()):
            if name not in found[table]:
                raise ReplayError(f"{self._address}: {table} has no column {name}")
        return table, tuple(found[table])


def _errors() -> tuple[type[Exception], ...]:
    import asyncmy.errors

    return asyncmy.errors.Error, OSError, TimeoutError, EOFError


def _alone(work: Coroutine[Any, Any, T]) -> T:
    """Its result; in a thread, as a loop may be running in ours."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _connect(where: Address) -> Any:
    import asyncmy

    async with asyncio.timeout(CONNECT_S):
        return await asyncmy.connect(
            host=where.host,
            port=where.port,
            user=where.user,
            password=where.password,
            db=where.database,
            charset="utf8mb4",
            autocommit=True,  # no lock outlives a statement
            init_command="SET SESSION TRANSACTION READ ONLY",
        )


async def _close(connection: Any) -> None:
    with suppress(*_errors()):
        connection.close()
    await asyncio.sleep(0)  # the transport closes in the loop's next round


async def _piece(cursor: Any) -> list[tuple[Any, ...]]:
    return list(await cursor.fetchmany(PIECE_ROWS) or ())


def _cell(value: Any) -> Any:
    """A value as a CSV export would hold it; empty: ``None``."""
    if value is None or value == "":
        return None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime | date | timedelta):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    return value


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
