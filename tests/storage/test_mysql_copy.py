"""The copy in MariaDB equals the local store, whoever is stopped or killed when."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from edge.config import Mysql, Storage
from edge.servers import MariaDb
from edge.storage import changes, mysql, mysql_schema
from edge.storage.journal import Journal
from edge.storage.journal_file import connect_readonly
from edge.storage.mysql import AnotherCopier, Copier, CopyState
from tests.databases import Database

SALES = (
    "REPLACE INTO daily_sales (day, store, sku, rented_units, sold_units, returned_units,"
    " revenue_cents, stockouts, on_hand_close_units, changed) VALUES (?, ?, ?, ?, 0, 0, ?, 0, ?, ?)"
)
STORES = (
    "REPLACE INTO catalogue_stores (store, name, city, country, opened_on, active, attributes,"
    " created_ms, updated_ms, changed) VALUES (?, ?, '', '', '', 1, '{}', 1, 2, ?)"
)
WITHIN_S = 120.0


def sale(journal: Journal, *rows: tuple[str, str, float]) -> None:
    """Put (day, sku, units) rows, as one transaction."""

    def work(connection: sqlite3.Connection) -> None:
        first = changes.reserve(connection, len(rows))
        told = [
            (day, "main", sku, units, int(units * 100), None if units < 1 else units, first + i)
            for i, (day, sku, units) in enumerate(rows)
        ]
        connection.executemany(SALES, told)

    journal.write_field(work)


def store(journal: Journal, name: str, words: str) -> None:
    journal.write_field(lambda c: c.execute(STORES, (name, words, changes.reserve(c, 1))))


def close_store(journal: Journal, name: str) -> None:
    def work(connection: sqlite3.Connection) -> None:
        if connection.execute("DELETE FROM catalogue_stores WHERE store = ?", (name,)).rowcount:
            number = changes.reserve(connection, 1)
            connection.execute("REPLACE INTO gone VALUES ('catalogue_stores', ?, ?)",
                               (f'["{name}"]', number))  # fmt: skip

    journal.write_field(work)


def local_rows(directory: Path) -> dict[str, list[Any]]:
    connection = connect_readonly(directory)
    try:
        return {
            table.name: sorted(
                map(_plain, connection.execute(f"SELECT {_names(table)} FROM {table.name}"))
            )
            for table in changes.copied_tables(connection)
        }
    finally:
        connection.close()


def copied_rows(directory: Path, database: Database) -> dict[str, list[Any]]:
    connection = connect_readonly(directory)
    try:
        tables = changes.copied_tables(connection)
    finally:
        connection.close()
    return {
        t.name: sorted(map(_plain, database.ask(f"SELECT {_names(t)} FROM {t.name}")))
        for t in tables
    }


def _names(table: changes.Copied) -> str:
    return ", ".join(table.columns)


def _plain(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(value) for value in row)


def where(database: Database, **given: Any) -> Mysql:
    server = database.server
    return Mysql(
        enabled=True,
        host=server.host,
        port=server.port,
        user="root",
        database=database.name,
        every_s=0.05,
        **given,
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal.open(tmp_path / "shop", Storage(disk_reserve_bytes=0))
    yield made
    made.close()


def copier(journal: Journal, database: Database, **given: Any) -> Copier:
    return Copier(journal.directory, journal.journal_id, where(database, **given), (0.05,))


def copy(journal: Journal, database: Database, **given: Any) -> CopyState:
    """Everything that there is now."""
    made = copier(journal, database, **given)
    asyncio.run(made.copy_once())
    return made.state


def until(told: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not told():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Running:
    """A copier as the daemon runs it, on a loop of another thread."""

    def __init__(self, made: Copier) -> None:
        self.copier = made
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        async def main() -> None:
            self._task = asyncio.create_task(self.copier.run())
            await asyncio.wait([self._task])

        self._loop.run_until_complete(main())

    def __enter__(self) -> "Running":
        self._thread.start()
        until(lambda: self._task is not None, "the task")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._task is not None
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()
        self._loop.close()

    def caught_up(self, journal: Journal) -> None:
        number = journal.write_field(changes.newest)
        until(
            lambda: (
                self.copier.state.position >= number and self.copier.state.condition == "caught_up"
            ),
            f"{self.copier.state} of {number}",
        )


def test_everything_that_changed_arrives_and_what_was_deleted_goes(
    journal: Journal, database: Database
) -> None:
    sale(journal, ("2026-01-01", "chair", 3.5), ("2026-01-01", "table", 0.25))
    store(journal, "main", "Hauptstraße 🏠")
    store(journal, "other", "")
    assert copy(journal, database).copied_rows == 4
    assert copied_rows(journal.directory, database) == local_rows(journal.directory)
    assert database.ask("SELECT name FROM catalogue_stores WHERE store = 'main'") == [
        ("Hauptstraße 🏠",)
    ]
    sale(journal, ("2026-01-01", "chair", 7.0))
    close_store(journal, "other")
    assert copy(journal, database).copied_rows == 2
    assert copied_rows(journal.directory, database) == local_rows(journal.directory)
    assert database.ask("SELECT count(*) FROM daily_sales") == [(2,)]
    assert copy(journal, database).copied_rows == 0


def test_whatever_is_done_in_whatever_order_the_copy_is_equal_in_the_end(
    journal: Journal, database: Database
) -> None:
    chance = random.Random(4)
    for turn in range(60):
        for _ in range(chance.randrange(8)):
            name = f"s{chance.randrange(6)}"
            if chance.random() < 0.4:
                close_store(journal, name)
            else:
                store(journal, name, str(chance.random()))
        days = [f"2026-01-0{chance.randrange(1, 9)}" for _ in range(chance.randrange(1, 12))]
        sale(journal, *{(day, f"c{chance.randrange(9)}", chance.random() * 3) for day in days})
        if turn % 6 == 5:
            copy(journal, database, batch_rows=chance.randrange(1, 6))
    copy(journal, database, batch_rows=3)
    assert copied_rows(journal.directory, database) == local_rows(journal.directory)
    assert local_rows(journal.directory)["catalogue_stores"]


def test_a_window_never_ends_between_what_it_tells_of_two_tables(journal: Journal) -> None:
    for number in range(20):
        sale(journal, ("2026-01-01", f"c{number}", 1.0))
        store(journal, f"s{number}", "")
    connection = connect_readonly(journal.directory)
    tables, position, seen = changes.copied_tables(connection), 0, []
    while (told := changes.window(connection, tables, position, 3)).size:
        numbers = sorted(
            row[table.columns.index("changed")] for table, rows in told.rows.items() for row in rows
        )
        assert numbers == list(range(position + 1, told.upto + 1))
        seen += numbers
        position = told.upto
    assert seen == list(range(1, 41))
    assert changes.waiting(connection, tables, 30) == 10
    connection.close()


class Shop(threading.Thread):
    """A shop that goes on selling, whatever becomes of the copy."""

    def __init__(self, journal: Journal, pause_s: float = 0.002) -> None:
        super().__init__()
        self._journal = journal
        self._pause_s = pause_s
        self._closed = threading.Event()
        self.sold = 0

    def run(self) -> None:
        chance = random.Random(1)
        while not self._closed.is_set():
            day = f"2026-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}"
            skus = chance.sample(range(60), 5)
            sale(self._journal, *((day, f"c{sku}", chance.random() * 9) for sku in skus))
            name = f"s{chance.randrange(30)}"
            (close_store if chance.random() < 0.5 else lambda j, n: store(j, n, "x"))(
                self._journal, name
            )
            self.sold += 5
            time.sleep(self._pause_s)

    def close(self) -> None:
        self._closed.set()
        self.join()


def test_with_the_database_killed_again_and_again_the_shop_goes_on_and_nothing_is_lost_or_doubled(
    journal: Journal, mariadb: MariaDb
) -> None:
    database = Database(mariadb, "shop")
    shop = Shop(journal)
    shop.start()
    chance = random.Random(2)
    with Running(copier(journal, database, batch_rows=20)) as running:
        for _ in range(4):
            before = running.copier.state.copied_rows
            until(lambda: running.copier.state.copied_rows > before + 40, "copying")  # noqa: B023
            time.sleep(chance.random() * 0.1)
            mariadb.kill()
            until(lambda: running.copier.state.condition == "away", "noticing")
            assert running.copier.state.trouble
            sold = shop.sold
            until(lambda: shop.sold > sold + 50, "selling meanwhile")  # noqa: B023
            mariadb.start()
        until(lambda: running.copier.state.condition != "away", "back again")
        shop.close()
        running.caught_up(journal)
        assert running.copier.state.refused_rows == 0
    assert copied_rows(journal.directory, database) == local_rows(journal.directory)


def test_a_database_that_stands_still_is_left_and_found_again(
    journal: Journal, mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "ANSWER_S", 0.5)
    monkeypatch.setattr(mysql, "CONNECT_S", 1.0)
    database = Database(mariadb, "shop")
    sale(journal, ("2026-01-01", "chair", 1.0))
    with Running(copier(journal, database)) as running:
        running.caught_up(journal)
        os.kill(mariadb.pid, signal.SIGSTOP)
        try:
            sale(journal, ("2026-01-02", "chair", 1.0))
            until(lambda: running.copier.state.condition == "away", "noticing")
            assert "no answer" in running.copier.trouble
        finally:
            os.kill(mariadb.pid, signal.SIGCONT)
        sale(journal, ("2026-01-03", "chair", 1.0))
        running.caught_up(journal)
    assert copied_rows(journal.directory, database) == local_rows(journal.directory)


def test_a_copier_that_is_stopped_at_once_leaves_no_thread(
    journal: Journal, database: Database
) -> None:
    async def main() -> None:
        task = asyncio.create_task(copier(journal, database).run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert "mysql-copy" not in {thread.name for thread in threading.enumerate()}


def test_a_cancellation_that_the_client_forgets_is_told_again(
    journal: Journal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = threading.Event()

    async def forgetful(self: Copier, caught_up: Any) -> None:
        forgets = not entered.is_set()
        entered.set()
        with suppress(asyncio.CancelledError) if forgets else nullcontext():
            await asyncio.Event().wait()

    monkeypatch.setattr(Copier, "_session", forgetful)

    async def main() -> None:
        task = asyncio.create_task(copier(journal, database).run())
        while not entered.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=30)
        assert done

    asyncio.run(main())
    assert "mysql-copy" not in {thread.name for thread in threading.enumerate()}


def test_a_copier_killed_again_and_again_loses_and_doubles_nothing(
    journal: Journal, database: Database, tmp_path: Path
) -> None:
    for number in range(300):
        sale(
            journal, *((f"2026-01-{1 + number % 28:02d}", f"c{number}-{i}", 1.5) for i in range(9))
        )
    settings = where(database, batch_rows=7)
    program = textwrap.dedent(
        f"""
        import asyncio
        from pathlib import Path
        from edge.config import Mysql
        from edge.storage.mysql import Copier
        made = Copier(Path({str(journal.directory)!r}), {journal.journal_id!r},
                      Mysql(host={settings.host!r}, port={settings.port}, user="root",
                            database={settings.database!r}, batch_rows=7, every_s=0.05), (0.05,))
        print("ready", flush=True)
        asyncio.run(made.run())
        """
    )
    chance = random.Random(3)
    position = "SELECT position FROM rfid3_copy"
    seen = -1
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"

        def further() -> bool:
            made = database.ask("SHOW TABLES LIKE 'rfid3_copy'")
            rows = database.ask(position) if made else []
            return bool(rows) and int(rows[0][0]) > seen  # noqa: B023

        until(further, "the killed copier gets on")
        time.sleep(chance.random() * 0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        seen = int(database.ask(position)[0][0])
        close_store(journal, "none")
        store(journal, f"s{seen}", "")
    with Running(copier(journal, database)) as running:
        running.caught_up(journal)
    assert copied_rows(journal.directory, database) == local_rows(journal.directory)
    assert database.ask("SELECT count(*) FROM daily_sales") == [(2_700,)]


def test_a_database_that_lost_everything_is_filled_anew(
    journal: Journal, database: Database
) -> None:
    sale(journal, ("2026-01-01", "chair", 3.5))
    store(journal, "main", "a")
    with Running(copier(journal, database)) as running:
        running.caught_up(journal)
        database.make()
        store(journal, "main", "b")
        until(lambda: database.ask("SHOW TABLES LIKE 'rfid3_copy'") != [], "made anew")
        running.caught_up(journal)
        until(lambda: running.copier.state.position >= 3, "copied anew")
        assert copied_rows(journal.directory, database) == local_rows(journal.directory)


def test_tables_of_another_store_are_set_aside_and_nothing_of_them_is_lost(
    journal: Journal, database: Database, tmp_path: Path
) -> None:
    old = Journal.open(tmp_path / "old", Storage(disk_reserve_bytes=0))
    sale(old, ("2025-01-01", "bench", 1.0))
    copy(old, database)
    old.close()
    sale(journal, ("2026-01-01", "chair", 3.5))
    state = copy(journal, database)
    assert "another store" in state.set_aside
    assert copied_rows(journal.directory, database) == local_rows(journal.directory)
    assert database.ask(f"SELECT sku FROM old_{old.journal_id[:8]}_daily_sales") == [("bench",)]


def test_two_stores_do_not_set_each_other_aside_for_ever(
    journal: Journal, database: Database, tmp_path: Path
) -> None:
    other = Journal.open(tmp_path / "other", Storage(disk_reserve_bytes=0))
    copy(other, database)
    copy(journal, database)
    with pytest.raises(AnotherCopier, match="a database of its own"):
        copy(other, database)
    other.close()


def test_only_one_at_a_time_copies_into_a_database(journal: Journal, database: Database) -> None:
    with Running(copier(journal, database)) as running:
        running.caught_up(journal)
        with pytest.raises(AnotherCopier, match="a database of its own"):
            copy(journal, database)


def test_a_local_store_that_was_put_back_begins_anew(journal: Journal, database: Database) -> None:
    sale(journal, ("2026-01-01", "chair", 3.5), ("2026-01-02", "chair", 3.5))
    copy(journal, database)
    journal.write_field(lambda c: c.execute("DELETE FROM daily_sales WHERE day = '2026-01-02'"))
    journal.write_field(lambda c: changes.note(c, changes.COUNTER, 1))
    assert "restored backup" in copy(journal, database).set_aside
    assert copied_rows(journal.directory, database) == local_rows(journal.directory)


def test_deletions_that_were_forgotten_before_they_were_told_begin_anew(
    journal: Journal, database: Database
) -> None:
    for name in "abc":
        store(journal, name, "")
    copy(journal, database)
    for name in "abc":
        close_store(journal, name)
    assert journal.write_field(lambda c: changes.trim_gone(c, 0, most=1)) == 2
    assert "deletions" in copy(journal, database).set_aside
    assert copied_rows(journal.directory, database) == local_rows(journal.directory)
    assert journal.write_field(lambda c: changes.trim_gone(c, 6)) == 1
    assert copy(journal, database).set_aside == ""


def test_a_row_that_the_database_cannot_hold_is_left_out_and_said(
    journal: Journal, database: Database
) -> None:
    sale(journal, ("2026-01-01", "x" * 256, 1.0), ("2026-01-01", "chair", 1.0))
    store(journal, "main", "y" * 70_000)
    state = copy(journal, database)
    assert state.refused_rows == 2
    assert "catalogue_stores ['main']: Data too long for column 'name'" in state.refused
    assert database.ask("SELECT sku FROM daily_sales") == [("chair",)]
    assert copy(journal, database).copied_rows == 0  # not tried for ever


def test_no_number_is_written_where_sqlite_holds_infinity(
    journal: Journal, database: Database
) -> None:
    sale(journal, ("2026-01-01", "chair", 1.0))
    journal.write_field(
        lambda c: c.execute(
            "UPDATE daily_sales SET on_hand_close_units = 9e999, changed = ?",
            (changes.reserve(c, 1),),
        )
    )
    assert copy(journal, database).refused_rows == 0
    assert database.ask("SELECT on_hand_close_units FROM daily_sales") == [(None,)]


def test_a_wrong_password_is_told_and_the_copier_goes_on_trying(
    journal: Journal, database: Database
) -> None:
    made = Copier(
        journal.directory,
        journal.journal_id,
        Mysql(host=database.server.host, port=database.server.port, user="nobody", password="p"),
        (0.05,),
    )
    with Running(made) as running:
        until(lambda: running.copier.state.condition == "away", "told")
        assert "Access denied" in running.copier.state.trouble


def test_definitions_go_on_where_they_were_interrupted(database: Database) -> None:
    async def main() -> None:
        from edge.storage.mysql import connect

        connection = await connect(where(database))
        assert await mysql_schema.upgrade(connection) > 0
        # as if killed after a statement was carried out, before that was noted
        await mysql_schema.ask(
            connection, "UPDATE rfid3_schema SET statements = statements - 1, whole = 0"
            " WHERE version = 4"
        )  # fmt: skip
        await connection.commit()
        assert await mysql_schema.upgrade(connection) == 1
        assert await mysql_schema.upgrade(connection) == 0
        await mysql_schema.ask(connection, "INSERT INTO rfid3_schema VALUES (99, 1, 1, now())")
        with pytest.raises(mysql_schema.SchemaTooNew, match="version 99"):
            await mysql_schema.upgrade(connection)
        connection.close()

    asyncio.run(main())
