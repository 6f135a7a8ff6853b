"""``rfid3 db`` and what ``doctor`` says of the store and its copy."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge.__main__ import main
from edge.checks import Case, store
from edge.config import Config, Mysql, Storage
from edge.storage import figures
from edge.storage.journal import Journal
from tests.databases import Database
from tests.storage.test_migrations import old_journal
from tests.storage.test_mysql_copy import copy, sale, where


def written(tmp_path: Path, database: Database | None = None) -> str:
    lines = ["[storage]", f'directory = "{tmp_path / "shop"}"', "disk_reserve_bytes = 0"]
    if database is not None:
        server = database.server
        lines += ["[mysql]", "enabled = true", f'host = "{server.host}"', f"port = {server.port}",
                  'user = "root"', f'database = "{database.name}"']  # fmt: skip
    file = tmp_path / "config.toml"
    file.write_text("\n".join(lines))
    return str(file)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(list(arguments))
    return code, capsys.readouterr().out


def case(directory: Path, mysql: Mysql | None = None) -> Case:
    return Case(Config(storage=Storage(directory=str(directory)), mysql=mysql or Mysql()), {})


def test_before_the_first_start_there_is_no_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = said(capsys, "db", "status", "-c", written(tmp_path))
    assert code == 0
    assert "there is none yet" in text
    assert "switched off" in text
    assert not (tmp_path / "shop").exists()


def test_an_older_store_is_copied_and_brought_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old_journal(tmp_path / "shop")
    config = written(tmp_path)
    code, text = said(capsys, "db", "status", "-c", config)
    assert (code, "version     3" in text) == (1, True)
    code, text = said(capsys, "db", "upgrade", "-c", config)
    assert code == 0
    assert "version 3 -> 4" in text
    assert "journal-v3.db" in text
    code, text = said(capsys, "db", "status", "-c", config)
    assert code == 0
    assert "journal-v3.db" in text
    assert "already" in said(capsys, "db", "upgrade", "-c", config)[1]


def test_a_table_that_takes_too_long_is_not_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(tmp_path / "shop", Storage(disk_reserve_bytes=0))
    sale(journal, *(("2026-01-01", f"c{i}", 1.0) for i in range(2_000)))
    journal.close()
    monkeypatch.setattr(figures, "COUNT_S", -1.0)
    monkeypatch.setattr(figures, "LOOK_EVERY", 100)
    code, text = said(capsys, "db", "status", "-c", written(tmp_path))
    assert code == 0
    assert re.search(r"daily_sales +uncounted rows", text)


def test_status_says_how_far_the_copy_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    journal = Journal.open(tmp_path / "shop", Storage(disk_reserve_bytes=0))
    sale(journal, ("2026-01-01", "chair", 1.0), ("2026-01-01", "table", 1.0))
    copy(journal, database)
    sale(journal, ("2026-01-02", "chair", 1.0))
    config = written(tmp_path, database)
    code, text = said(capsys, "db", "status", "--json", "-c", config)
    told: Any = json.loads(text)
    assert code == 0
    assert (told["mysql"]["waiting"], told["mysql"]["position"]) == (1, 2)
    assert told["mysql"]["journal_id"] == told["local"]["journal_id"] == journal.journal_id
    assert {s["table"]: s["rows"] for s in told["local"]["sizes"]}["daily_sales"] == 3
    found = {c.name: c for c in store.check(case(journal.directory, where(database)))}
    assert found["store"].verdict == found["mysql"].verdict == "ok"
    assert "1 changes wait" in found["mysql"].seen
    assert "daily_sales" in found["store"].seen
    journal.close()


def test_upgrade_makes_the_tables_of_the_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    code, text = said(capsys, "db", "upgrade", "-c", written(tmp_path, database))
    assert (code, "mysql: version 0 -> 4" in text) == (0, True)
    assert (
        "mysql: version 4 already"
        in said(capsys, "db", "upgrade", "-c", str(tmp_path / "config.toml"))[1]
    )


def test_a_copy_that_is_away_is_said_and_never_a_failure_of_the_shop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = Mysql(enabled=True, port=1, user="root")
    found = {c.name: c for c in store.check(case(tmp_path, away))}
    assert found["mysql"].verdict == "warn"
    assert "the shop goes on" in found["mysql"].seen


def test_a_database_of_a_newer_program_is_a_failure(tmp_path: Path, database: Database) -> None:
    journal = Journal.open(tmp_path / "shop", Storage(disk_reserve_bytes=0))
    copy(journal, database)
    database.ask("INSERT INTO rfid3_schema VALUES (99, 1, 1, now())")
    found = {c.name: c for c in store.check(case(journal.directory, where(database)))}
    assert found["mysql"].verdict == "fail"
    journal.close()
