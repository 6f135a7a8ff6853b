"""The copy of the local store's tables in MySQL or MariaDB: asynchronous, behind, never in the way.

The truth is the local store. Changes are read in the order of their numbers (``changes.py``) and
written in transactions that also move the position, which is kept *there*: whoever is killed when,
what the database says it holds is what it holds. Nothing is lost, nothing is there twice.

All of it runs on an event loop of its own in a thread of its own, with a read-only connection to the
local store: building the SQL of a batch takes tens of milliseconds that the daemon's loop must not
wait for. The daemon only looks at :attr:`Copier.state`.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any, Literal

import asyncmy
import asyncmy.errors
import msgspec
import structlog
from msgspec import Struct

from edge.config import Mysql
from edge.errors import Rfid3Error
from edge.storage import changes, mysql_schema
from edge.storage.changes import Copied, Row, Window
from edge.storage.journal_file import connect_readonly
from edge.storage.mysql_schema import COPY, Connection, SchemaTooNew, ask

log = structlog.get_logger(__name__)

CONNECT_S = 10.0
CLOSE_S = 1.0
CANCEL_AGAIN_S = 0.2
CLAIM_S = 2
"""The server may take a moment to see that the one before has gone."""
ANSWER_S = 120.0
"""A statement that takes longer is given up, and the connection with it."""
DEFINE_S = 1_800.0
"""The same of making or changing all tables."""
BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
REFUSED = frozenset({1048, 1264, 1265, 1292, 1364, 1366, 1406, 3819, 4025})
"""What a database says of a row that it cannot hold: too long, out of range, not what is allowed."""

TROUBLE = (asyncmy.errors.Error, Rfid3Error, OSError, EOFError, TimeoutError, sqlite3.Error)
"""What may happen because a database is away, is stopped or loses its connection. A broken packet is
read as no packet at all by the client: that shows as a RuntimeError or an AttributeError."""

_ANOTHER = "another rfid3 copies into this database: give each a database of its own"

Condition = Literal["starting", "copying", "caught_up", "away", "failed"]


class CopyState(Struct, frozen=True):
    """How far the copy is; replaced as a whole, from the copier's thread."""

    condition: Condition = "starting"
    position: int = 0
    """Number of the newest change that the database is known to hold."""
    newest: int = 0
    """Number of the newest change of the local store when it was last looked at."""
    known: bool = False
    """Whether ``position`` was heard from the database since the start."""
    copied_rows: int = 0
    """Rows and deletions told since the start."""
    refused_rows: int = 0
    """Rows that the database could not hold, since the start."""
    refused: str = ""
    """The last of them, and why."""
    trouble: str = ""
    """Why the database is away."""
    since_s: float = 0.0
    """When the condition began, on the monotonic clock."""
    set_aside: str = ""
    """Tables of another store that were renamed at the start."""


class AnotherCopier(Rfid3Error):
    """Somebody else moved the position: two daemons copy into one database."""


class Copier:
    """One daemon's copy. ``run`` until cancelled; ``state`` from any thread."""

    def __init__(
        self,
        directory: Path,
        journal_id: str,
        settings: Mysql,
        back_off_s: Sequence[float] = BACK_OFF_S,
    ) -> None:
        self.state = CopyState(since_s=time.monotonic())
        self._directory = directory
        self._journal_id = journal_id
        self._settings = settings
        self._back_off_s = back_off_s
        self._stop: Callable[[], None] = lambda: None
        self._tables: list[Copied] = []

    # -- what others ask ------------------------------------------------------------------------

    @property
    def holds(self) -> int:
        """Number of the newest change that the database is known to hold."""
        return self.state.position

    @property
    def heard(self) -> bool:
        """Whether the database said so itself since the start."""
        return self.state.known

    @property
    def trouble(self) -> str:
        """What is wrong, for people; empty: nothing."""
        told = self.state
        if told.condition in ("away", "failed"):
            behind = max(0, told.newest - told.position) if told.known else told.newest
            for_s = time.monotonic() - told.since_s
            return f"{told.trouble} (for {for_s:.0f} s; {behind} changes wait)"
        if told.refused_rows:
            return f"{told.refused_rows} rows cannot be held there; the last: {told.refused}"
        return ""

    def counters(self) -> dict[str, float | int]:
        """Numbers for ``/api/stats`` and ``/metrics``."""
        told = self.state
        return {
            "away": int(told.condition in ("away", "failed")),
            "position": told.position,
            "changes_waiting": max(0, told.newest - told.position),
            "copied_rows_total": told.copied_rows,
            "refused_rows_total": told.refused_rows,
        }

    # -- on the daemon's loop -------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled. Whatever happens to the copy, the shop goes on."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        started: asyncio.Future[None] = loop.create_future()

        def work() -> None:
            try:
                asyncio.run(self._until_stopped(lambda: loop.call_soon_threadsafe(_done, started)))
            except Exception as error:  # a bug of ours: said once, and the shop goes on without
                log.exception("mysql_copy_failed")
                self._tell(condition="failed", trouble=f"{type(error).__name__}: {error}")
            finally:
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(_done, started)
                    loop.call_soon_threadsafe(ended.set)

        thread = threading.Thread(target=work, name="mysql-copy", daemon=True)
        thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            await started
            self._stop()
            await ended.wait()
            thread.join()  # that was its last word

    # -- on the thread --------------------------------------------------------------------------

    async def _until_stopped(self, started: Callable[[], object]) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()

        def stop() -> None:
            with suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(stopped.set)

        self._stop = stop
        started()
        copying = asyncio.create_task(self.copy_for_ever(), name="copy")
        stopping = asyncio.create_task(stopped.wait(), name="stop")
        await asyncio.wait((copying, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        while not copying.done():  # the client connects through ``asyncio.wait_for``, which up to
            copying.cancel()  # Python 3.11 forgets a cancellation that comes as it succeeds
            await asyncio.wait((copying,), timeout=CANCEL_AGAIN_S)
        with suppress(asyncio.CancelledError):
            await copying

    async def copy_for_ever(self) -> None:
        """Connect, copy, wait for more; after trouble begin again, later and later."""
        failures = 0
        while True:
            try:
                await self._session(_go_on)
            except SchemaTooNew as error:
                self._trouble(error)
            except TROUBLE as error:
                failures = 0 if self.state.condition in ("copying", "caught_up") else failures
                self._trouble(error)
            except (RuntimeError, AttributeError) as error:
                if not _is_broken_packet(error):
                    raise
                self._trouble(error)
            await asyncio.sleep(self._back_off_s[min(failures, len(self._back_off_s) - 1)])
            failures += 1

    async def copy_once(self) -> None:
        """Everything that there is now; then return. For tests and the command line."""
        await self._session(_enough)

    async def _session(self, caught_up: Callable[[], None]) -> None:
        """One connection's life. ``caught_up`` may end it by raising ``_Enough``."""
        local = connect_readonly(self._directory)
        try:
            connection = await connect(self._settings)
            try:
                async with asyncio.timeout(DEFINE_S):
                    await self._claim(connection)
                    await mysql_schema.upgrade(connection)
                    self._tables = changes.copied_tables(local)
                    position = await self._settle(connection, local)
                self._tell(position=position, known=True)
                with suppress(_EnoughError):
                    while True:
                        position = await self._copy(connection, local, position)
                        caught_up()
                        await asyncio.sleep(self._settings.every_s)
            finally:
                await _close(connection)
        finally:
            local.close()

    async def _claim(self, connection: Connection) -> None:
        """Be the only one that copies into this database, for as long as the connection lives."""
        name = f"rfid3_copy.{self._settings.database}"[:64]
        asked = await ask(connection, "SELECT GET_LOCK(%s, %s)", (name, CLAIM_S))
        if asked != [(1,)]:
            raise AnotherCopier(_ANOTHER)

    async def _settle(self, connection: Connection, local: sqlite3.Connection) -> int:
        """Where to go on; another store's tables are set aside first."""
        rows = await ask(connection, f"SELECT journal_id, position FROM {COPY} WHERE name = 'copy'")
        if rows:
            journal_id, position = str(rows[0][0]), int(rows[0][1])
            why = self._why_anew(local, journal_id, position)
            if not why:
                return position
            if await mysql_schema.aside(connection, self._journal_id):
                raise AnotherCopier(_ANOTHER)  # else two of us would set each other aside for ever
            moved = await mysql_schema.set_aside(connection, journal_id)
            log.warning("mysql_begins_anew", reason=why, set_aside=moved)
            self._tell(set_aside=f"{why}: {len(moved)} tables were renamed, such as {moved[0]}")
            await mysql_schema.upgrade(connection)
        await ask(
            connection,
            f"INSERT INTO {COPY} VALUES ('copy', %s, 0, UTC_TIMESTAMP())",
            (self._journal_id,),
        )
        await connection.commit()
        return 0

    def _why_anew(self, local: sqlite3.Connection, journal_id: str, position: int) -> str:
        """Why the tables there are not the beginning of ours; empty: they are."""
        if journal_id != self._journal_id:
            return f"the tables there are of another store ({journal_id})"
        if position > changes.newest(local):
            return "the tables there are newer than the local store, as after a restored backup"
        if 0 < position < changes.value_of(local, changes.FLOOR):
            return "deletions that the tables there were not told are forgotten here"
        return ""

    async def _copy(self, connection: Connection, local: sqlite3.Connection, position: int) -> int:
        """Everything that there is now; the position afterwards."""
        while True:
            told = changes.window(local, self._tables, position, self._settings.batch_rows)
            self._tell(newest=changes.newest(local))
            if told.upto > position:
                self._tell(condition="copying", trouble="")
                async with asyncio.timeout(ANSWER_S):
                    await self._write(connection, told, position)
                position = told.upto
                rows = self.state.copied_rows + told.size
                self._tell(position=position, copied_rows=rows)
            if not told.more:
                self._tell(condition="caught_up", trouble="")
                if told.upto == position and not told.size:
                    async with asyncio.timeout(ANSWER_S):
                        await connection.ping(reconnect=False)
                return position

    async def _write(self, connection: Connection, told: Window, position: int) -> None:
        """One transaction: the position moves, keys go, rows come."""
        await (
            connection.begin()
        )  # whatever goes wrong, the connection is closed: that takes it back
        async with connection.cursor() as cursor:
            moved = await cursor.execute(
                f"UPDATE {COPY} SET position = %s, updated_at = UTC_TIMESTAMP()"
                " WHERE name = 'copy' AND journal_id = %s AND position = %s",
                (told.upto, self._journal_id, position),
            )
            if moved != 1:
                raise AnotherCopier(_ANOTHER)
            for table, keys in told.gone.items():
                await cursor.executemany(_delete(table), keys)
            for table, rows in told.rows.items():
                await self._replace(cursor, table, [_finite(row) for row in rows])
        await connection.commit()

    async def _replace(self, cursor: Any, table: Copied, rows: list[Row]) -> None:
        """Put the rows there; one that the database cannot hold is left out, counted and said."""
        sql = _replace(table)
        try:
            await cursor.executemany(sql, rows)
        except asyncmy.errors.MySQLError as error:
            if error.args[0] not in REFUSED:
                raise
        else:
            return
        for row in rows:
            try:
                await cursor.execute(sql, row)
            except asyncmy.errors.MySQLError as error:
                if error.args[0] not in REFUSED:
                    raise
                self._refuse(table, row, error)

    def _refuse(self, table: Copied, row: Row, error: Exception) -> None:
        key = [row[table.columns.index(name)] for name in table.key]
        why = f"{table.name} {key}: {error.args[-1]}"
        log.warning("mysql_row_refused", table=table.name, key=key, reason=str(error.args[-1]))
        self._tell(refused_rows=self.state.refused_rows + 1, refused=why)

    def _trouble(self, error: BaseException) -> None:
        why = f"{error}" or ("no answer" if isinstance(error, TimeoutError) else repr(error))
        with suppress(*TROUBLE):  # how far behind it is grows while it is away
            local = connect_readonly(self._directory)
            self._tell(newest=changes.newest(local))
            local.close()
        if self.state.condition != "away" or self.state.trouble != why:
            log.warning("mysql_away", reason=why)
        self._tell(condition="away", trouble=why)

    def _tell(self, **news: Any) -> None:
        if news.get("condition", self.state.condition) != self.state.condition:
            news["since_s"] = time.monotonic()
        self.state = msgspec.structs.replace(self.state, **news)


class _EnoughError(Exception):
    """Everything is copied, and nobody waits for more."""


def _go_on() -> None:
    """Wait for more."""


def _enough() -> None:
    raise _EnoughError


def _done(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _is_broken_packet(error: BaseException) -> bool:
    """Whether the client stumbled over a connection that ended inside an answer."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and "asyncmy" in trace.tb_frame.f_code.co_filename


async def connect(settings: Mysql) -> Connection:
    """A connection in UTC that refuses what it cannot hold. Raises what is in ``TROUBLE``."""
    async with asyncio.timeout(CONNECT_S):
        connection = await asyncmy.connect(
            host=settings.host,
            port=settings.port,
            user=settings.user,
            password=settings.password,
            db=settings.database,
            charset="utf8mb4",
            ssl=_tls(settings),
            connect_timeout=int(CONNECT_S),
            autocommit=False,
        )
        await ask(
            connection,
            "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'",
        )
    return connection


def _tls(settings: Mysql) -> SSLContext | None:
    return create_default_context(cafile=settings.ca_file) if settings.ca_file else None


async def _close(connection: Connection) -> None:
    """Say goodbye, so that the lock is free at once; a server that does not listen is left."""
    with suppress(*TROUBLE, RuntimeError, AttributeError):
        async with asyncio.timeout(CLOSE_S):
            await connection.ensure_closed()
    with suppress(*TROUBLE, RuntimeError, AttributeError):
        connection.close()


def _finite(row: Row) -> Row:
    """A row without infinities and NaN, which MySQL has no word for: they become NULL."""
    if all(not isinstance(v, float) or (v - v == 0) for v in row):
        return row
    return tuple(None if isinstance(v, float) and v - v != 0 else v for v in row)


def _replace(table: Copied) -> str:
    names, marks = ", ".join(table.columns), ", ".join(["%s"] * len(table.columns))
    return f"REPLACE INTO {table.name} ({names}) VALUES ({marks})"


def _delete(table: Copied) -> str:
    return f"DELETE FROM {table.name} WHERE {' AND '.join(f'{name} = %s' for name in table.key)}"
