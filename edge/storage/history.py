"""The table of daily history: packing its rows, writing, trimming, and reading them for the trainer.

What a row means is said in ``edge.features.history``; here are bytes and plain SQL. Writing runs
inside the journal's transaction; reading on a read-only connection, also while the daemon runs.

A blob is zlib over MessagePack. Arrays go in by column, each column with its bytes sorted by
significance (all first bytes, all second bytes …): neighbours are alike then. Measured on
simulated shops in docs/history.md.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import JournalBroken
from edge.records import HistoryRows

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

CODEC_1 = 1
"""zlib over MessagePack of :class:`_Stored`."""
LEVEL = 6
FILE_NAME = "history.sqlite"
"""Of imported history."""
APPLICATION_ID = 0x52464A48
"""``PRAGMA application_id`` of a file of imported history: "RFJH"."""
FILE_VERSION = 1
TRIM_CHUNKS = 32
ENTITIES = ("class", "item", "factor", "basket", "pair")

_INSERT = "INSERT OR IGNORE INTO history VALUES (?, ?, ?, ?, ?, ?, ?)"


class _Stored(msgspec.Struct, array_like=True):
    keys: list[str]
    texts: dict[str, list[str]]
    features: tuple[str, ...]
    values: bytes
    measures: tuple[str, ...]
    days: int
    amounts: bytes
    levels: tuple[str, ...]
    heights: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of one day's close, read back. ``n`` keys."""

    entity: str
    day: int
    chunk: int
    catalogue: str
    keys: list[str]
    texts: dict[str, list[str]]
    features: tuple[str, ...]
    values: Floats
    """float32[n, f]"""
    measures: tuple[str, ...]
    amounts: Ints
    """int64[days, m, n]: this day, the day before …"""
    levels: tuple[str, ...]
    heights: Ints
    """int64[l, n]"""

    def column(self, feature: str) -> Floats:
        """float32[n] of one feature; NaN where the catalogue of that day had no such feature."""
        if feature not in self.features:
            return np.full(len(self.keys), np.nan, np.float32)
        return self.values[:, self.features.index(feature)]


def pack(rows: HistoryRows) -> HistoryRows:
    """Rows with their arrays packed and let go; what is packed already stays as it is.

    Takes some 10 ms a chunk and lets other threads run meanwhile.
    """
    if rows.packed:
        return rows
    n = len(rows.keys)
    stored = _Stored(
        rows.keys,
        rows.texts,
        rows.features,
        _by_significance(rows.values, n, 4),
        rows.measures,
        rows.days,
        _by_significance(rows.amounts, n, 8),
        rows.levels,
        _by_significance(rows.heights, n, 8),
    )
    blob = zlib.compress(msgspec.msgpack.encode(stored), LEVEL)
    return HistoryRows(
        entity=rows.entity,
        day=rows.day,
        chunk=rows.chunk,
        catalogue=rows.catalogue,
        keys=[],
        packed=blob,
        n=n,
    )


def unpack(entity: str, day: int, chunk: int, n: int, catalogue: str, blob: bytes) -> Chunk:
    """A stored row. Raises :class:`JournalBroken` when it is damaged."""
    try:
        stored = msgspec.msgpack.decode(zlib.decompress(blob), type=_Stored)
        f, m, height = len(stored.features), len(stored.measures), len(stored.levels)
        return Chunk(
            entity,
            day,
            chunk,
            catalogue,
            stored.keys,
            stored.texts,
            stored.features,
            _back(stored.values, n, "<f4").reshape(f, n).T,
            stored.measures,
            _back(stored.amounts, n, "<i8").reshape(stored.days, m, n),
            stored.levels,
            _back(stored.heights, n, "<i8").reshape(height, n),
        )
    except (zlib.error, msgspec.DecodeError, ValueError) as damage:
        raise JournalBroken(f"history of {entity}, day {day} is damaged: {damage}") from damage


def _by_significance(raw: bytes, n: int, width: int) -> bytes:
    whole = np.frombuffer(raw, np.uint8).reshape(-1, n, width)
    return np.ascontiguousarray(whole.transpose(0, 2, 1)).tobytes()


def _back(raw: bytes, n: int, dtype: str) -> NDArray[Any]:
    width = np.dtype(dtype).itemsize
    planes = np.frombuffer(raw, np.uint8).reshape(-1, width, n)
    return np.ascontiguousarray(planes.transpose(0, 2, 1)).reshape(-1).view(dtype)


# Writing


def write_history(connection: sqlite3.Connection, rows: Iterable[HistoryRows]) -> None:
    """Store rows inside the caller's transaction; what is stored already stays as it was."""
    connection.executemany(_INSERT, [_row(pack(one)) for one in rows])


def _row(rows: HistoryRows) -> tuple[object, ...]:
    assert rows.n > 0, rows
    return rows.entity, rows.day, rows.chunk, rows.n, rows.catalogue, CODEC_1, rows.packed


def trim_history(connection: sqlite3.Connection, before_day: int) -> int:
    """Remove one slice of the chunks of days before ``before_day``; how many went."""
    removed = 0
    entities = connection.execute("SELECT DISTINCT entity FROM history").fetchall()
    for (entity,) in entities:
        removed += connection.execute(
            "DELETE FROM history WHERE rowid IN (SELECT rowid FROM history"
            " WHERE entity = ? AND day < ? ORDER BY day, chunk LIMIT ?)",
            (entity, before_day, TRIM_CHUNKS - removed),
        ).rowcount
        if removed >= TRIM_CHUNKS:
            break
    return removed


def history_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of all blobs."""
    (size,) = connection.execute("SELECT coalesce(sum(length(blob)), 0) FROM history").fetchone()
    return int(size)


def oldest_quarter_day(connection: sqlite3.Connection) -> int:
    """The day after the first quarter of the days kept; 0 when none is kept."""
    oldest, newest = connection.execute("SELECT min(day), max(day) FROM history").fetchone()
    return 0 if oldest is None else int(oldest + (newest - oldest) // 4 + 1)


# Reading


class HistoryReader:
    """Reads the history of a local store or of a file of imported history. Never locks either."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a storage directory, its ``journal.db``, or a ``history.sqlite``.

        Raises :class:`JournalBroken` when there is no history.
        """
        file = Path(path)
        if file.is_dir():
            found = [file / name for name in ("journal.db", FILE_NAME) if (file / name).exists()]
            file = found[0] if found else file / "journal.db"
        if not file.exists():
            raise JournalBroken(f"there is no history at {file}")
        connection = sqlite3.connect(
            f"file:{quote(str(file.absolute()))}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=5.0,
        )
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT entity FROM history LIMIT 1").fetchone()
        except sqlite3.Error as error:
            connection.close()
            raise JournalBroken(f"{file} holds no history ({error})") from error
        return cls(connection)

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def days(self, entity: str) -> list[int]:
        """Days with rows of an entity, ascending."""
        rows = self._connection.execute(
            "SELECT DISTINCT day FROM history WHERE entity = ? ORDER BY day", (entity,)
        )
        return [day for (day,) in rows]

    def size(self) -> dict[str, tuple[int, int, int]]:
        """Entity -> (days, rows, bytes)."""
        rows = self._connection.execute(
            "SELECT entity, count(DISTINCT day), sum(n), sum(length(blob)) FROM history"
            " GROUP BY entity"
        )
        return {entity: (days, n, size) for entity, days, n, size in rows}

    def chunks(
        self, entity: str, first_day: int = -(1 << 62), last_day: int = 1 << 62
    ) -> Iterator[Chunk]:
        """Chunks of ``first_day <= day <= last_day`` by day; one at a time in memory.

        Each day is a short read transaction of its own. Raises :class:`JournalBroken`.
        """
        for day in self.days(entity):
            if first_day <= day <= last_day:
                yield from self.day(entity, day)

    def day(self, entity: str, day: int) -> Sequence[Chunk]:
        """The chunks of one day, in order."""
        with closing(self._connection.cursor()) as cursor:
            rows = cursor.execute(
                "SELECT chunk, n, catalogue, codec, blob FROM history"
                " WHERE entity = ? AND day = ? ORDER BY chunk",
                (entity, day),
            ).fetchall()
        found = []
        for chunk, n, catalogue, codec, blob in rows:
            if codec != CODEC_1:
                raise JournalBroken(f"history of {entity}, day {day} has an unknown codec {codec}")
            found.append(unpack(entity, day, chunk, n, catalogue, blob))
        return found


class HistoryFile:
    """A file of imported history being written; its rows become visible with :meth:`close`."""

    def __init__(self, path: Path) -> None:
        """Make ``path`` anew. Raises FileExistsError: imported history is never overwritten."""
        if path.exists():
            raise FileExistsError(path)
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._partial.unlink(missing_ok=True)
        schema = (Path(__file__).parent / "schema" / "0002_history.sql").read_text()
        self._connection = sqlite3.connect(self._partial, isolation_level=None)
        self._connection.executescript(
            f"PRAGMA page_size = 8192; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            f"BEGIN; {schema}; PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {FILE_VERSION}; COMMIT; BEGIN;"
        )

    def write(self, rows: Iterable[HistoryRows]) -> None:
        """Add rows."""
        write_history(self._connection, rows)

    def close(self) -> None:
        """Make the file whole and give it its name."""
        self._connection.execute("COMMIT")
        self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        self._partial.rename(self._path)

    def discard(self) -> None:
        """Give up: no file stays."""
        self._connection.close()
        self._partial.unlink(missing_ok=True)
