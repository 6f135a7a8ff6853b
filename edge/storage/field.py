"""Predictions that wait for what happens, and their scores: rows of the local store. Blocking.

Every write is one transaction of the caller's and may be repeated: what is there already stays.
A row that cannot be read (of another version of rfid3, or damaged) is as good as gone: it is not
worth the daemon.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Sequence

import msgspec
import structlog
from msgspec import Struct

from edge.inference.accuracy import Scores
from edge.inference.field import Kept

log = structlog.get_logger(__name__)

LEVEL = 1
"""A day of 5,000 classes is packed in some milliseconds."""


class Packed(Struct, frozen=True):
    """One row of ``field_kept``, ready to be written."""

    service: str
    version: str
    role: str
    day: int
    until_day: int
    blob: bytes


class Scored(Struct, frozen=True):
    """One row of ``field_score``."""

    service: str
    version: str
    role: str
    question: str
    horizon_days: int
    day: int
    scores: Scores


class ByClass(Struct, frozen=True):
    """One row of ``field_class``, or what is added to it."""

    service: str
    version: str
    question: str
    class_key: str
    n: int
    error: float
    absolute_error: float
    absolute_actual: float
    covered: int


def pack(service: str, version: str, role: str, kept: Kept, until_day: int) -> Packed:
    """A day's predictions of one version as they are stored. Takes milliseconds: in a thread."""
    blob = zlib.compress(msgspec.msgpack.encode(kept), LEVEL)
    return Packed(service, version, role, kept.day, until_day, blob)


def keep(connection: sqlite3.Connection, packed: Sequence[Packed]) -> None:
    """Keep a day's predictions; those of a version that is kept for the day already stay.

    In whichever role: who was beside and then came to be shown is not counted twice.
    """
    connection.executemany(_KEEP, [msgspec.structs.asdict(one) for one in packed])


_KEEP = """
INSERT INTO field_kept
SELECT :service, :version, :role, :day, :until_day, :blob WHERE NOT EXISTS
  (SELECT 1 FROM field_kept WHERE service = :service AND version = :version AND day = :day)
"""


def waiting(connection: sqlite3.Connection) -> list[tuple[str, str, str, int]]:
    """(service, version, role, day) of everything kept, oldest first."""
    rows = connection.execute(
        "SELECT service, version, role, day FROM field_kept ORDER BY day, service, version, role"
    )
    return [(str(s), str(v), str(r), int(d)) for s, v, r, d in rows]


def kept(connection: sqlite3.Connection, key: tuple[str, str, str, int]) -> Kept | None:
    """One of them; ``None``: it is gone, or cannot be read."""
    row = connection.execute(
        "SELECT blob FROM field_kept WHERE service = ? AND version = ? AND role = ? AND day = ?",
        key,
    ).fetchone()
    if row is None:
        return None
    try:
        told = msgspec.msgpack.decode(zlib.decompress(row[0]), type=Kept)
    except (zlib.error, msgspec.DecodeError) as error:
        log.warning("field_row_unreadable", table="field_kept", key=key, reason=str(error))
        return None
    n = len(told.keys)
    if (len(told.values), len(told.basis)) != (4 * n * len(told.columns), 8 * n):
        log.warning("field_row_unreadable", table="field_kept", key=key, reason="its sizes differ")
        return None
    return told


def judged(connection: sqlite3.Connection, key: tuple[str, str, str, int]) -> set[str]:
    """Questions of a kept row that have been scored."""
    rows = connection.execute(
        "SELECT question FROM field_score"
        " WHERE service = ? AND version = ? AND role = ? AND day = ?",
        key,
    )
    return {str(row[0]) for row in rows}


def score(connection: sqlite3.Connection, scored: Scored, by_class: Sequence[ByClass] = ()) -> None:
    """Store one question's scores of one day; a second time changes nothing."""
    added = connection.execute(
        "INSERT OR IGNORE INTO field_score VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            scored.service,
            scored.version,
            scored.role,
            scored.question,
            scored.horizon_days,
            scored.day,
            msgspec.json.encode(scored.scores).decode(),
        ),
    ).rowcount
    if added:
        connection.executemany(_ADD, [msgspec.structs.astuple(one) for one in by_class])


_ADD = """
INSERT INTO field_class VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (service, version, question, class) DO UPDATE SET
  n = n + excluded.n,
  error = error + excluded.error,
  absolute_error = absolute_error + excluded.absolute_error,
  absolute_actual = absolute_actual + excluded.absolute_actual,
  covered = covered + excluded.covered
"""


def trim(connection: sqlite3.Connection, closed_day: int, before_day: int) -> None:
    """Drop what waits for nothing any more, and scores of days before ``before_day``."""
    connection.execute("DELETE FROM field_kept WHERE until_day < ?", (closed_day,))
    connection.execute("DELETE FROM field_score WHERE day < ?", (before_day,))
    connection.execute(
        "DELETE FROM field_class WHERE NOT EXISTS (SELECT 1 FROM field_score AS s"
        " WHERE s.service = field_class.service AND s.version = field_class.version)"
    )


_SCORES = (
    "SELECT service, version, role, question, horizon_days, day, scores FROM field_score WHERE "
)


def scores(connection: sqlite3.Connection, from_day: int) -> Iterable[Scored]:
    """Scores whose last day was ``from_day`` or later."""
    return _read(connection.execute(_SCORES + "day + horizon_days >= ?", (from_day,)))


def scores_of(connection: sqlite3.Connection, service: str, question: str) -> list[Scored]:
    """Every day's scores of one question, each version's in the order of its days."""
    rows = connection.execute(
        _SCORES + "service = ? AND question = ? ORDER BY version, day", (service, question)
    )
    return list(_read(rows))


def _read(rows: sqlite3.Cursor) -> Iterable[Scored]:
    for service, version, role, question, horizon_days, day, text in rows:
        try:
            told = msgspec.json.decode(text, type=Scores)
        except msgspec.DecodeError as error:
            key = (service, version, role, question, day)
            log.warning("field_row_unreadable", table="field_score", key=key, reason=str(error))
            continue
        yield Scored(service, version, role, question, horizon_days, day, told)


def kept_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the predictions that wait."""
    (size,) = connection.execute("SELECT coalesce(sum(length(blob)), 0) FROM field_kept").fetchone()
    return int(size)


def drop_oldest_quarter(connection: sqlite3.Connection) -> int:
    """Give up the predictions of the oldest quarter of their days; how many rows went."""
    return connection.execute(
        "DELETE FROM field_kept WHERE day <="
        " (SELECT min(day) + (max(day) - min(day)) / 4 FROM field_kept)"
    ).rowcount


def worst_classes(
    connection: sqlite3.Connection, service: str, version: str, limit: int
) -> list[ByClass]:
    """Of each question the ``limit`` classes whose errors weigh most, the heaviest first."""
    rows = connection.execute(_WORST, (service, version, limit))
    return [ByClass(*row) for row in rows]


_WORST = """
SELECT service, version, question, class, n, error, absolute_error, absolute_actual, covered
FROM (
  SELECT *, row_number() OVER (PARTITION BY question ORDER BY absolute_error DESC, class) AS place
  FROM field_class WHERE service = ? AND version = ?
) WHERE place <= ? ORDER BY question, place
"""
