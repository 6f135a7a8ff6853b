"""A live RFID3 database as a source: its columns are found, its traps survive, its scans count once."""

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from edge.core import Core
from edge.records import Message
from edge.replay import mappings
from edge.replay.errors import ReplayError
from edge.replay.mysql_rows import PASSWORD, MysqlRows, parse
from edge.replay.plan import Plan, survey
from edge.replay.sources import open_source
from tests.databases import Database
from tests.streams import config
from trainer.imports import FileSource
from trainer.places import import_path

SCANS = """CREATE TABLE id_transactions (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, contract_number VARCHAR(255), tag_id VARCHAR(255) NOT NULL,
    scan_type VARCHAR(50) NOT NULL, scan_date DATETIME NOT NULL, client_name VARCHAR(255),
    common_name VARCHAR(255) NOT NULL, status VARCHAR(50), quality VARCHAR(50),
    dirty_or_mud BOOL, wet BOOL, rip_or_tear VARCHAR(5), other TEXT, rental_class_num VARCHAR(255),
    longitude DECIMAL(9,6), home_store VARCHAR(10), notes TEXT, KEY (tag_id, scan_date)) DEFAULT CHARSET utf8mb4"""
ITEMS = """CREATE TABLE id_item_master (
    tag_id VARCHAR(255) PRIMARY KEY, rental_class_num VARCHAR(255), common_name VARCHAR(255),
    status VARCHAR(50), quality VARCHAR(50), sell_price DECIMAL(10,2), tag_history LONGTEXT,
    date_created DATETIME, date_updated DATETIME) DEFAULT CHARSET utf8mb4"""
TAG = "42544500000000000000049a"


@pytest.fixture
def rfid3(database: Database) -> Database:
    """A small shop's tables, with the traps of real ones."""
    database.ask(SCANS)
    database.ask(ITEMS)
    rows = [
        ("C1", TAG, "Rental", "2025-06-01 09:30:00", "Ann", "Round table", "On Rent", "A-"),
        ("C1", TAG, "Return", "2025-06-03 17:00:00", "Ann", "Round table", "Ready to Rent", "B+"),
        (
            "",
            "425445000000000000000777",
            "Touch Scan",
            "2025-06-02 08:00:00",
            None,
            "Tent 🎪",
            None,
            "",
        ),
    ]
    for row in rows:
        for _ in range(3):  # merged again and again by RFID3's own refresh
            database.ask(
                "INSERT INTO id_transactions (contract_number, tag_id, scan_type, scan_date,"
                " client_name, common_name, status, quality, dirty_or_mud, wet, rip_or_tear, other,"
                " rental_class_num, longitude) VALUES"
                " (%s, %s, %s, %s, %s, %s, %s, %s, 1, 0, 'False', '', '65001', -93.265)",
                *row,
            )
    database.ask(
        "INSERT INTO id_item_master VALUES (%s, '65001', 'Round table', 'On Rent', 'A-', 12.50,"
        " '[]', '2024-01-01 00:00:00', '2024-02-01 00:00:00')",
        TAG,
    )
    database.ask("INSERT INTO id_item_master (tag_id) VALUES ('425445000000000000000888')")
    ask = "SET STATEMENT sql_mode = '' FOR UPDATE id_item_master SET date_updated ="
    database.ask(f"{ask} '0000-00-00 00:00:00' WHERE tag_id = %s", TAG)
    return database


def address(database: Database) -> Path:
    server = database.server
    return Path(f"mysql://root@{server.host}:{server.port}/{database.name}")  # eats one stroke


def messages(database: Database, table: str, mapping: str) -> list[Message]:
    spec = mappings.load(mapping)
    rows = open_source(address(database), table, spec.encoding)
    compiled = mappings.compile_mapping(spec, rows, "main")
    plan = Plan(rows, compiled, survey(rows, compiled.at))
    made = []
    for due in plan:
        written = plan.write(due)
        assert written is not None
        made.append(Message(written[0], written[1], due.at_ms))
    assert plan.close().rows == plan.tally.sent + sum(plan.tally.skipped.values())
    return made


def test_columns_are_found_and_known_ones_that_are_missing_come_empty(rfid3: Database) -> None:
    rows = MysqlRows(address(rfid3), "id_transactions")
    told = [dict(zip(rows.columns, row, strict=True)) for row in rows]
    assert len(told) == 9
    first = told[0]
    assert (first["scan_date"], first["longitude"]) == ("2025-06-01 09:30:00", -93.265)
    assert (first["bin_location"], first["grommet"], first["home_store"]) == (None, None, None)
    assert [row["scan_date"] for row in told] == sorted(row["scan_date"] for row in told)
    assert list(rows) == list(rows)  # it may be read several times


def test_the_same_scan_told_three_times_counts_once_and_orphans_are_kept(rfid3: Database) -> None:
    core = Core(config())
    told = messages(rfid3, "id_item_master", "rfid3-items")
    told += messages(rfid3, "id_transactions", "rfid3-scans")
    found = core.step(sorted(told, key=lambda m: m.arrival_ms), 0)
    assert found.effects.dead_letters == []
    counts = Counter({k: v for k, v in core.state.counters.items() if k.startswith("events_")})
    assert counts["events_admitted"] == 4  # an item and three scans
    assert counts["events_business_duplicate"] + counts["events_duplicate"] == 6
    items = core.state.item
    row = items.keys.get(TAG.upper())
    assert (items.col["rentals_total"][row], items.col["returns_total"][row]) == (1, 1)
    assert items.keys.get("425445000000000000000777") >= 0


def test_the_trainer_reads_the_same_table(rfid3: Database) -> None:
    source = FileSource(address(rfid3), "rfid3-scans", table="id_transactions")
    assert sum(len(batch.messages) for batch in source.batches()) == 9
    assert source.done == 9


def test_imported_history_has_another_name_once_the_table_has_another_row(
    rfid3: Database,
) -> None:
    def name() -> str:
        where = address(rfid3)
        return import_path(config(), where, "rfid3-scans", "id_transactions").name

    before = name()
    assert before == name()
    assert before.startswith(rfid3.name)
    rfid3.ask("UPDATE id_transactions SET quality = 'C' WHERE id = 1")
    assert name() != before


def test_a_date_that_is_none_stays_a_text_and_an_item_without_class_is_left_out(
    rfid3: Database,
) -> None:
    rows = MysqlRows(address(rfid3), "id_item_master")
    told = [dict(zip(rows.columns, row, strict=True)) for row in rows]
    assert {row["tag_id"]: str(row["date_updated"]) for row in told}[TAG] in (
        "0000-00-00 00:00:00",
        "None",
    )
    assert len(messages(rfid3, "id_item_master", "rfid3-items")) == 1


def test_only_the_tag_must_be_there(database: Database) -> None:
    database.ask("CREATE TABLE id_item_master (tag_id VARCHAR(255), x INT)")
    database.ask("INSERT INTO id_item_master VALUES ('425445AA', 1)")
    rows = MysqlRows(address(database), "id_item_master")
    assert next(iter(rows))[:2] == ("425445AA", 1)
    database.ask("CREATE TABLE id_transactions (tag_id VARCHAR(255))")
    with pytest.raises(ReplayError, match="id_transactions has no column scan_type"):
        MysqlRows(address(database), "id_transactions")


@pytest.mark.parametrize(
    ("table", "complaint"),
    [("", "say which table"), ("id_transaction", "did you mean id_transactions")],
)
def test_a_wrong_table_is_told_with_those_that_there_are(
    rfid3: Database, table: str, complaint: str
) -> None:
    with pytest.raises(ReplayError, match=f"{complaint}.*There are: id_item_master"):
        MysqlRows(address(rfid3), table)


def test_a_database_that_cannot_be_reached_is_told_without_its_password() -> None:
    with pytest.raises(ReplayError, match=r"mysql://u@127\.0\.0\.1:1/d: ") as told:
        MysqlRows("mysql://u:hidden@127.0.0.1:1/d", "t")
    assert "hidden" not in str(told.value)


@pytest.mark.parametrize("text", ["mysql://host/db", "mysql://u@host", "mysql://u@h:x/d"])
def test_an_address_that_lacks_something_is_told_with_the_cure(text: str) -> None:
    with pytest.raises(ReplayError, match="write mysql://user@host:port/database"):
        parse(text)


def test_the_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "from-there")
    assert parse("mysql://u@h/d").password == "from-there"
    assert parse("mysql://u:p%40s@h/d").password == "p@s"
    assert "from-there" not in str(parse("mysql://u@h/d"))


def test_a_large_table_is_read_whole_a_piece_at_a_time(database: Database) -> None:
    database.ask("CREATE TABLE t (n BIGINT PRIMARY KEY, words VARCHAR(40))")
    database.ask("INSERT INTO t SELECT seq, concat('row ', seq) FROM seq_1_to_10000")
    rows = MysqlRows(address(database), "t")
    assert sorted(row[0] for row in rows) == list(range(1, 10_001))
    assert sqlite3.sqlite_version
