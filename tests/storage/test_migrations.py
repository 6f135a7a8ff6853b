"""Stores of every older version, with rows in every table, are brought up and lose nothing."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edge.config import Storage
from edge.records import Batch, Message
from edge.storage import journal_file, migrations
from edge.storage.journal import Journal
from edge.storage.journal_file import APPLICATION_ID, FILE_NAME, SCHEMA_VERSION

SHOP = Storage(disk_reserve_bytes=0)
OLDER = range(1, SCHEMA_VERSION)
ROWS = 25
Rows = dict[str, list[tuple[Any, ...]]]


def tables(connection: sqlite3.Connection) -> list[str]:
    return [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        )
    ]


def filled(directory: Path, version: int) -> Rows:
    """A store as a program of that version left it, rows in every table; those rows."""
    directory.mkdir(exist_ok=True)
    connection = sqlite3.connect(directory / FILE_NAME, isolation_level=None)
    connection.executescript(f"PRAGMA page_size = {journal_file.PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    for step in migrations.steps()[:version]:
        connection.executescript(step.local)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("BEGIN")
    for name in tables(connection):
        if name == "meta":
            continue
        columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
        marks = ", ".join("?" * len(columns))
        for row in range(1, ROWS + 1):
            values = [value(name, column, kind, row) for _, column, kind, *_ in columns]
            connection.execute(f"INSERT INTO {name} VALUES ({marks})", values)
    connection.execute("COMMIT")
    rows = everything(connection)
    connection.close()
    return rows


def value(table: str, column: str, kind: str, row: int) -> Any:
    """Something of the column's type, another in every row."""
    if (table, column) in {("batch", "codec"), ("batch", "n")}:
        return 0  # an empty batch, which a journal can read
    if (table, column) == ("batch", "first"):
        return 0
    if "INT" in kind:
        return row
    if kind in ("REAL", "DOUBLE"):
        return row + 0.25
    return (
        b""
        if kind == "BLOB" and table == "batch"
        else (f"ä{row}".encode() if kind == "BLOB" else f"ä{row}")
    )


def everything(connection: sqlite3.Connection) -> Rows:
    return {
        name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
        for name in tables(connection)
    }


@pytest.mark.parametrize("version", OLDER)
def test_a_store_of_every_older_version_is_brought_up_with_all_its_rows(
    tmp_path: Path, version: int
) -> None:
    before = filled(tmp_path, version)
    made = migrations.FOLDER
    assert made.is_dir()
    connection = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    assert migrations.upgrade(connection) == SCHEMA_VERSION - version
    assert migrations.version_of(connection) == SCHEMA_VERSION
    after = everything(connection)
    for name, rows in before.items():
        assert after[name][: len(rows)] == rows if name != "meta" else set(rows) <= set(after[name])
    new = sqlite3.connect(":memory:", isolation_level=None)
    migrations.create(new, APPLICATION_ID)
    shape = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    assert connection.execute(shape).fetchall() == new.execute(shape).fetchall()


@pytest.mark.parametrize("version", OLDER)
def test_what_was_there_before_is_copied_first(tmp_path: Path, version: int) -> None:
    before = filled(tmp_path, version)
    said = []
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    made = migrations.back_up(connection, tmp_path, lambda: said.append(1))
    assert made == tmp_path / "backups" / f"journal-v{version}.db"
    assert said
    copy = sqlite3.connect(made)
    assert everything(copy) == before
    assert migrations.version_of(copy) == version


def old_journal(directory: Path) -> None:
    """A real, used journal that says it is of version 3."""
    journal = Journal.open(directory, SHOP)
    journal.close()
    connection = sqlite3.connect(directory / FILE_NAME, isolation_level=None)
    known = sqlite3.connect(":memory:", isolation_level=None)
    for step in migrations.steps()[:3]:
        known.executescript(step.local)
    for view in ("automated_decisions", "feedback"):
        connection.execute(f"DROP VIEW {view}")
    for name in set(tables(connection)) - set(tables(known)):
        connection.execute(f"DROP TABLE {name}")
    connection.execute("DELETE FROM meta WHERE key = 'changed'")
    connection.execute("PRAGMA user_version = 3")
    connection.close()


def test_opening_an_older_journal_copies_it_and_brings_it_up(tmp_path: Path) -> None:
    old_journal(tmp_path)
    said = []
    journal = Journal.open(tmp_path, SHOP, progress=lambda: said.append(1))
    journal.close()
    (copy,) = migrations.backups(tmp_path)
    assert copy.name == "journal-v3.db"
    assert said
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    assert migrations.version_of(connection) == SCHEMA_VERSION
    Journal.open(tmp_path, SHOP).close()  # nothing to do: no other copy
    assert migrations.backups(tmp_path) == [copy]


def test_a_copy_can_be_put_back_and_is_brought_up_again(tmp_path: Path) -> None:
    old_journal(tmp_path)
    Journal.open(tmp_path, SHOP).close()
    (tmp_path / FILE_NAME).unlink()
    migrations.backups(tmp_path)[0].rename(tmp_path / FILE_NAME)
    Journal.open(tmp_path, SHOP).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    assert migrations.version_of(connection) == SCHEMA_VERSION


def test_without_room_for_a_copy_the_store_is_brought_up_all_the_same(tmp_path: Path) -> None:
    old_journal(tmp_path)
    room = journal_file.FREE_BYTES_MIN
    Journal.open(
        tmp_path, Storage(disk_reserve_bytes=room), free_bytes=lambda _: room + 1_000
    ).close()
    assert migrations.backups(tmp_path) == []
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    assert migrations.version_of(connection) == SCHEMA_VERSION


def test_on_a_full_disk_old_copies_go_before_any_history(tmp_path: Path) -> None:
    old_journal(tmp_path)
    free = 1 << 40
    shop = Storage(disk_reserve_bytes=10_000_000)
    journal = Journal.open(tmp_path, shop, free_bytes=lambda _: free)
    assert len(migrations.backups(tmp_path)) == 1
    journal.append(Batch(1, 0, 1, [Message("a", b"x", 1)]))
    journal.append(Batch(2, 1, 2, [Message("a", b"x", 2)]))
    free = 5_000_000
    assert journal.make_room(1) == 1
    assert migrations.backups(tmp_path) == []
    assert journal.reader.oldest_seq() == 1
    assert journal.make_room(1) == 1  # now the oldest batch
    assert journal.reader.oldest_seq() == 2
    journal.close()


def test_only_the_newest_copies_are_kept(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    for version in range(1, 7):
        connection.execute(f"PRAGMA user_version = {version}")
        migrations.back_up(connection, tmp_path)
    kept = [file.name for file in migrations.backups(tmp_path)]
    assert kept == ["journal-v6.db", "journal-v5.db", "journal-v4.db"]


def test_a_copy_that_fails_leaves_no_half_written_file(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("CREATE TABLE t AS SELECT 1 AS a")

    def full() -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        migrations.back_up(connection, tmp_path, full)
    assert list((tmp_path / "backups").iterdir()) == []


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("", []),
        (";;  ;", []),
        ("A; B", ["A", "B"]),
        ("-- a; b\nA 'x;y'; /* ; */ B", ["A 'x;y'", "B"]),
        ("A 'it''s; -- no comment' ;B", ["A 'it''s; -- no comment'", "B"]),
        ('A "x;y" `z;w`;', ['A "x;y" `z;w`']),
        ("A - 1 / 2; B", ["A - 1 / 2", "B"]),
    ],
)
def test_scripts_are_split_at_their_semicolons_and_nowhere_else(
    sql: str, statements: list[str]
) -> None:
    assert migrations.split(sql) == statements


def test_the_journal_is_no_business_of_mysql() -> None:
    for step in migrations.steps()[:3]:
        assert migrations.split(step.local)
        assert not step.mysql


def test_tables_and_their_indexes_are_the_same_statements_in_both_engines() -> None:
    for step in migrations.steps()[3:]:
        local, mysql = migrations.split(step.local), migrations.split(step.mysql)
        only = {text.split()[2] for text in set(local) ^ set(mysql)}
        assert only <= {"gone", "gone_changed", "automated_decisions"}
