"""Files of rows: CSV, Parquet, JSON lines, SQLite. Rows come as tuples, one at a time.

It does not know what a column means, and changes no value: text of a CSV stays text. A file may be
read several times; at no time is more than one piece of it in memory. What cannot be read as a row
is given as a :class:`BadRow`, never dropped.
"""

import csv
import gzip
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec
from msgspec import Struct

from edge.replay.errors import ReplayError, did_you_mean

Row = tuple[Any, ...]

NS_PER_UNIT = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
PIECE_ROWS = 8_192
JSON_COLUMNS_FROM_LINES = 1_000
CSV_FIELD_MAX_BYTES = 1_048_576


class BadRow(Struct, frozen=True):
    """A line that is no row, and why."""

    reason: str


class Stamp(Struct, frozen=True):
    """A column that the file itself declares to hold moments, given as integers."""

    unit_ns: int
    """Nanoseconds in one."""
    utc: bool
    """Whether they count from 1970 in UTC; else in local time of an unnamed zone."""


class Rows(Protocol):
    """A readable file."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names, in the order of each row's values."""
        ...

    @property
    def stamps(self) -> dict[str, Stamp]:
        """Columns of moments, where the file says so."""
        ...

    def __iter__(self) -> Iterator[Row | BadRow]:
        """All rows, from the beginning."""
        ...


def open_rows(path: Path, table: str = "", encoding: str = "utf-8") -> Rows:
    """The reader that fits the file's name. Raises ReplayError.

    ``table`` is for SQLite; ``encoding`` for text files.
    """
    if not path.is_file():
        raise ReplayError(f"{path}: no such file")
    name = path.name.removesuffix(".gz")
    kind = _KINDS.get(name[name.rfind(".") :].lower())
    if kind is None or (name != path.name and kind not in (CsvRows, JsonLines)):
        known = ", ".join(sorted(_KINDS))
        raise ReplayError(f"{path}: cannot tell its format by its name; known are {known}, and .gz")
    if table and kind is not SqliteRows:
        raise ReplayError(f"{path}: --table is for SQLite files only")
    if kind is SqliteRows:
        return SqliteRows(path, table)
    return kind(path) if kind is ParquetRows else kind(path, encoding)


def _open_text(path: Path, encoding: str) -> IO[str]:
    # a byte order mark is no character of the first column's name
    name = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        return opened(path, "rt", encoding=name, errors="replace", newline="")
    except LookupError as error:
        raise ReplayError(f"no encoding {encoding!r}; common are utf-8 and latin-1") from error


class CsvRows:
    """Comma, semicolon or tab separated, with a header line; empty cells are ``None``."""

    stamps: dict[str, Stamp] = {}  # noqa: RUF012 - always empty: text declares nothing

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        with _open_text(path, encoding) as file:
            header = file.readline()
        self._separator = max(",;\t", key=header.count)
        names = next(csv.reader([header], delimiter=self._separator), [])
        self.columns = tuple(name.strip() for name in names)
        if not header.strip():
            raise ReplayError(f"{path}: the first line must name the columns")

    def __iter__(self) -> Iterator[Row | BadRow]:
        csv.field_size_limit(CSV_FIELD_MAX_BYTES)
        width = len(self.columns)
        with _open_text(self._path, self._encoding) as file:
            lines = csv.reader(file, delimiter=self._separator)
            next(lines)
            while True:
                try:
                    cells = next(lines)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield BadRow(f"not CSV: {error}")
                    continue
                if not cells:
                    continue  # an empty line is no row
                if len(cells) > width:
                    yield BadRow("more cells than columns")
                    continue
                filled = [cell if cell else None for cell in cells]
                yield tuple(filled + [None] * (width - len(cells)))


class JsonLines:
    """One flat JSON object a line. Its columns are those of the first lines."""

    stamps: dict[str, Stamp] = {}  # noqa: RUF012 - always empty: JSON declares nothing

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        names: dict[str, None] = {}
        for number, found in enumerate(self._objects()):
            if isinstance(found, dict):
                names.update(dict.fromkeys(found))
            if number >= JSON_COLUMNS_FROM_LINES:
                break
        self.columns = tuple(names)
        if not names:
            raise ReplayError(f"{path}: no JSON object in the first lines")

    def __iter__(self) -> Iterator[Row | BadRow]:
        for found in self._objects():
            if isinstance(found, BadRow):
                yield found
            else:
                yield tuple([_flat(found.get(name)) for name in self.columns])

    def _objects(self) -> Iterator[dict[str, Any] | BadRow]:
        decoder = msgspec.json.Decoder(dict[str, Any])
        with _open_text(self._path, self._encoding) as file:
            for line in file:
                if not line.strip():
                    continue
                try:
                    yield decoder.decode(line)
                except (msgspec.DecodeError, RecursionError):
                    yield BadRow("not a JSON object")


def _flat(value: Any) -> Any:
    """A cell holds one value: a nested one is shown as its JSON."""
    return msgspec.json.encode(value).decode() if isinstance(value, (dict, list)) else value


class ParquetRows:
    """Parquet; needs the extra ``rfid3[parquet]``. Timestamps come as integers, see ``stamps``."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa  # type: ignore[import-untyped]
            import pyarrow.parquet as pq  # type: ignore[import-untyped]
        except ImportError as error:
            raise ReplayError(
                f"{path}: Parquet needs pyarrow: pip install 'rfid3[parquet]'"
            ) from error
        self._path = path
        self._open = pq.ParquetFile
        self._int64 = pa.int64()
        try:
            schema = pq.read_schema(path)
        except pa.ArrowInvalid as error:
            raise ReplayError(f"{path}: not a Parquet file: {error}") from error
        self.columns = tuple(schema.names)
        self.stamps = {
            field.name: Stamp(NS_PER_UNIT[field.type.unit], field.type.tz is not None)
            for field in schema
            if pa.types.is_timestamp(field.type)
        }

    def __iter__(self) -> Iterator[Row | BadRow]:
        with self._open(self._path) as file:
            for piece in file.iter_batches(PIECE_ROWS):
                columns = [
                    column.cast(self._int64) if name in self.stamps else column
                    for name, column in zip(self.columns, piece.columns, strict=True)
                ]
                yield from zip(*(column.to_pylist() for column in columns), strict=True)


class SqliteRows:
    """One table or view of an SQLite file, opened for reading only."""

    stamps: dict[str, Stamp] = {}  # noqa: RUF012 - always empty: SQLite declares nothing reliable

    def __init__(self, path: Path, table: str) -> None:
        self._path = path
        try:
            with self._connect() as found:
                kinds = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
                names = [name for (name,) in found.execute(kinds) if not name.startswith("sqlite_")]
                self._table = _choose_table(path, table, names)
                listed = found.execute(f"SELECT * FROM {_quoted(self._table)} LIMIT 0")
                self.columns = tuple(column[0] for column in listed.description)
        except sqlite3.DatabaseError as error:
            raise ReplayError(f"{path}: not a readable SQLite file: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)

    def __iter__(self) -> Iterator[Row | BadRow]:
        connection = self._connect()
        try:
            yield from connection.execute(f"SELECT * FROM {_quoted(self._table)}")
        finally:
            connection.close()


def _choose_table(path: Path, table: str, names: list[str]) -> str:
    if table in names:
        return table
    listed = ", ".join(names) or "none"
    if table:
        hint = did_you_mean(table, names)
        raise ReplayError(f"{path}: no table {table}{hint}. There are: {listed}")
    if len(names) != 1:
        raise ReplayError(f"{path}: say which table with --table. There are: {listed}")
    return names[0]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_KINDS: dict[str, Any] = {
    ".csv": CsvRows,
    ".tsv": CsvRows,
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".parquet": ParquetRows,
    ".db": SqliteRows,
    ".sqlite": SqliteRows,
    ".sqlite3": SqliteRows,
}
