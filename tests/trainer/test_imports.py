"""Imported history: every format gives the same rows, every row has an account, nothing half stays."""

import csv
import gzip
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.config import Config, Shop
from edge.errors import JournalBroken
from edge.records import Batch
from edge.replay.errors import ReplayError
from edge.storage.history import HistoryReader
from trainer.history import panel
from trainer.imports import NO_TIME, Report, from_file, from_journal, import_history

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")  # fmt: skip
ROWS: list[tuple[Any, ...]] = [
    ("1", "A", "Lamp", 2, "2011-01-03T09:00:00", 2.5, "17"),
    ("1", "B", "Cup", 6, "2011-01-03T09:00:00", 1.25, "17"),
    ("2", "A", "Lamp", 1, "2011-01-03T17:30:00", 2.5, ""),
    ("C3", "A", "Lamp", -1, "2011-01-04T10:00:00", 2.5, "17"),
    ("4", "POST", "Postage", 1, "2011-01-05T10:00:00", 9.0, "18"),
    ("5", "B", "broken", -3, "2011-01-05T11:00:00", 0.0, ""),
    ("6", "A", "Lamp", 4, "2011-01-08T11:00:00", 3.0, "19"),
    ("7", "A", "Lamp", "n/a", "2011-01-08T12:00:00", 3.0, "19"),
]
LONDON = Config(shop=Shop(timezone="Europe/London"))


def as_csv(path: Path) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *ROWS])
    return path


def as_json_lines(path: Path) -> Path:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in ROWS)
    return path


def as_sqlite(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE invoices ({', '.join(COLUMNS)})")
    connection.executemany(f"INSERT INTO invoices VALUES ({', '.join('?' * 7)})", ROWS)
    connection.commit()
    connection.close()
    return path


def as_parquet(path: Path) -> Path:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    columns = {
        name: [None if row[i] == "" else str(row[i]) for row in ROWS]
        for i, name in enumerate(COLUMNS)
    }
    pq.write_table(pa.table(columns), path)
    return path


def content(path: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT * FROM history ORDER BY entity, day, chunk").fetchall()
    connection.close()
    return rows


def test_every_format_of_the_same_rows_gives_the_same_history(tmp_path: Path) -> None:
    made = {
        "csv": as_csv(tmp_path / "a.csv"),
        "json": as_json_lines(tmp_path / "a.jsonl.gz"),
        "sqlite": as_sqlite(tmp_path / "a.db"),
        "parquet": as_parquet(tmp_path / "a.parquet"),
    }
    found = {}
    for kind, path in made.items():
        report = from_file(path, "invoices", tmp_path / f"{kind}.sqlite", LONDON)
        assert report.events["admitted"] == 6, kind
        found[kind] = content(tmp_path / f"{kind}.sqlite")
    assert found["csv"]
    assert all(rows == found["csv"] for rows in found.values())


def test_the_panel_is_what_the_file_says_and_the_report_accounts_for_every_row(
    tmp_path: Path,
) -> None:
    steps: list[tuple[int, int, int]] = []
    report = from_file(
        as_csv(tmp_path / "a.csv"), "invoices", tmp_path / "h.sqlite", LONDON,
        progress=lambda *told: steps.append(told),
    )  # fmt: skip
    assert steps[-1][:2] == (8, 8)
    assert (report.rows, report.messages, report.days) == (8, 8, 6)
    assert (report.classes, report.items) == (3, 0)
    assert sum(report.dead_letters.values()) == 2
    assert {letter.reason for letter in report.letters} == set(report.dead_letters)
    assert any("dead letters" in line for line in report.lines())
    with HistoryReader.open(tmp_path / "h.sqlite") as source:
        made = panel([source])
    by_hand: Counter[tuple[str, str]] = Counter()
    for invoice, sku, _, quantity, at, _, _ in ROWS:
        if not invoice.startswith("C") and isinstance(quantity, int) and quantity > 0:
            by_hand[sku, at[:10]] += quantity
    for (sku, day), units in by_hand.items():
        column = int(day[-2:]) - 3
        assert made.measures["sold"][made.keys.index(f"main\x1f{sku}"), column] == units
    assert made.measures["returned"][made.keys.index("main\x1fA"), 1] == 1
    assert made.measures["sold"][made.keys.index("main\x1fA")].tolist() == [3, 0, 0, 0, 0, 4]
    assert made.groups["category"][made.keys.index("main\x1fPOST")] == "not a product"


def test_rows_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    from_file(as_csv(tmp_path / "a.csv"), "invoices", tmp_path / "a.sqlite", LONDON)
    with (tmp_path / "b.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *ROWS[4:], *ROWS[:4]])
    from_file(tmp_path / "b.csv", "invoices", tmp_path / "b.sqlite", LONDON)
    one, two = (
        panel([HistoryReader.open(tmp_path / name)]).measures for name in ("a.sqlite", "b.sqlite")
    )
    assert one["sold"][0].tolist() == two["sold"][0].tolist()


def test_what_fails_leaves_no_file_and_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    class Broken:
        whole_days = True
        total = done = 0

        def __init__(self) -> None:
            self.skipped: Counter[str] = Counter()

        def batches(self) -> Any:
            yield Batch(1, 0, 1_000, [])
            raise JournalBroken("in the middle")

    with pytest.raises(JournalBroken, match="in the middle"):
        import_history(Broken(), tmp_path / "h.sqlite")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "h.sqlite").write_text("mine")
    with pytest.raises(FileExistsError):
        from_file(as_csv(tmp_path / "a.csv"), "invoices", tmp_path / "h.sqlite", LONDON)
    assert (tmp_path / "h.sqlite").read_text() == "mine"


def test_a_wrong_mapping_or_journal_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ReplayError):
        from_file(as_csv(tmp_path / "a.csv"), "rentals", tmp_path / "h.sqlite", LONDON)
    with pytest.raises(JournalBroken):
        from_journal(tmp_path, tmp_path / "h.sqlite")
    assert not (tmp_path / "h.sqlite").exists()


def test_a_report_without_rows_is_a_report() -> None:
    assert Report().lines()[-1] == "0 days, 0 classes, 0 items"


@pytest.mark.parametrize("where", [0, 3, len(ROWS)])
def test_a_row_without_a_readable_time_is_left_out_and_counted(tmp_path: Path, where: int) -> None:
    bad = ("9", "A", "Lamp", 5, "yesterday", 2.5, "17")
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *ROWS[:where], bad, *ROWS[where:]])
    report = from_file(tmp_path / "a.csv", "invoices", tmp_path / "a.sqlite", LONDON)
    assert report.skipped[NO_TIME] == 1
    from_file(as_csv(tmp_path / "b.csv"), "invoices", tmp_path / "b.sqlite", LONDON)
    found = [
        panel([HistoryReader.open(tmp_path / name)]).measures["sold"]
        for name in ("a.sqlite", "b.sqlite")
    ]
    np.testing.assert_array_equal(found[0], found[1])


def test_a_file_without_any_readable_time_is_a_report_and_no_crash(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as file:
        rows = [(*row[:4], "01.02.2026", *row[5:]) for row in ROWS]
        csv.writer(file).writerows([COLUMNS, *rows])
    report = from_file(tmp_path / "a.csv", "invoices", tmp_path / "a.sqlite", LONDON)
    assert report.messages == 0
    assert report.skipped[NO_TIME] > 0
