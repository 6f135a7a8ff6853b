"""Files of rows: four formats give the same rows, and nothing unreadable is lost."""

import gzip
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge.replay.errors import ReplayError
from edge.replay.reader import BadRow, Stamp, open_rows

NAMES = ("sku", "quantity", "note")
ROWS = [("A1", 2, "x"), ("B2", -1, None)]


def write_csv(path: Path) -> None:
    path.write_text("sku;quantity;note\nA1;2;x\nB2;-1\n", encoding="utf-8")


def write_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfsku,quantity,note\nA1,2,x\n\nB2,-1,\n"))


def write_json_lines(path: Path) -> None:
    path.write_text('{"sku":"A1","quantity":2,"note":"x"}\n{"sku":"B2","quantity":-1}\n')


def write_parquet(path: Path) -> None:
    columns = list(zip(*ROWS, strict=True))
    pq.write_table(pa.table(dict(zip(NAMES, map(list, columns), strict=True))), path)


def write_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE lines (sku, quantity, note)")
        file.executemany("INSERT INTO lines VALUES (?, ?, ?)", ROWS)
    file.close()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.csv", write_csv),
        ("rows.csv.gz", write_gzip),
        ("rows.jsonl", write_json_lines),
        ("rows.parquet", write_parquet),
        ("rows.sqlite", write_sqlite),
    ],
)
def test_every_format_gives_the_same_rows_as_often_as_asked(
    tmp_path: Path, name: str, write
) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / name
    write(path)
    rows = open_rows(path)
    assert rows.columns == NAMES
    for _ in range(2):
        told = [row if isinstance(row, BadRow) else (row[0], int(row[1]), row[2]) for row in rows]
        assert told == ROWS


def test_a_line_that_is_no_row_is_told_and_its_neighbours_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a":1}\n{"a":\n[1]\n{"a":{"b":[2]}}\n')
    assert list(open_rows(path)) == [
        (1,),
        BadRow("not a JSON object"),
        BadRow("not a JSON object"),
        ('{"b":[2]}',),
    ]
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n1,2,3\n4\n")
    assert list(open_rows(path)) == [("1", "2"), BadRow("more cells than columns"), ("4", None)]


def test_bytes_that_are_no_text_do_not_stop_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"name\nCaf\xe9\n")
    assert list(open_rows(path)) == [("Caf\ufffd",)]
    assert list(open_rows(path, encoding="latin-1")) == [("Café",)]


def test_parquet_timestamps_keep_their_nanoseconds_and_say_whether_they_are_utc(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.parquet"
    moments = [1_747_681_842_589_930_058]
    naive = pa.array(moments, pa.timestamp("ns"))
    aware = pa.array([moments[0] // 1000], pa.timestamp("us", tz="Europe/Paris"))
    pq.write_table(pa.table({"naive": naive, "aware": aware}), path)
    rows = open_rows(path)
    assert rows.stamps == {"naive": Stamp(1, False), "aware": Stamp(1000, True)}
    assert list(rows) == [(moments[0], moments[0] // 1000)]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("gone.csv", None, "no such file"),
        ("rows.xlsx", b"x", "known are .csv"),
        ("rows.csv", b"", "must name the columns"),
        ("rows.jsonl", b"oops\n", "no JSON object"),
        ("rows.parquet", b"PAR2", "not a Parquet file"),
        (
            "rows.db",
            b"not a database, but long enough to be looked at as one....",
            "not a readable",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_words(
    tmp_path: Path, name: str, content: bytes | None, complaint: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReplayError, match=complaint):
        open_rows(path)


def test_a_table_is_chosen_by_name_and_a_misspelt_one_is_guessed(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE sales (a)")
        file.execute("CREATE TABLE visits (b)")
    file.close()
    assert open_rows(path, "visits").columns == ("b",)
    with pytest.raises(ReplayError, match="did you mean visits"):
        open_rows(path, "visit")
    with pytest.raises(ReplayError, match="say which table"):
        open_rows(path)
