"""The tables derived from the journal: dead letters, item timelines, gaps. Plain SQL on a connection.

No transactions and no threads here: writing runs inside the journal's transaction, reading on a
read-only connection. Writing the same effects again changes nothing (rows are keyed by where they
come from), so a replay may repeat them.
"""

import sqlite3
from collections.abc import Iterable

from edge.records import DeadLetter, Effects, Gap, TimelineEntry
from edge.storage.history import write_history
from edge.storage.ledger import write_rows

DEAD_LETTER_BYTES_MAX = 67_108_864
"""Most payload bytes of all dead letters together, whatever their number."""

_INSERT_DEAD = "INSERT OR IGNORE INTO dead_letter VALUES (?, ?, ?, ?, ?, ?, ?)"
_INSERT_TIMELINE = "INSERT OR IGNORE INTO timeline VALUES (?, ?, ?, ?, ?, ?)"
# A replay tells the opening again after the closing is stored: it must not open the gap anew.
_UPSERT_GAP = """
INSERT INTO gap VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (ordinal, reader, reason) DO UPDATE SET
  to_ms = CASE WHEN excluded.to_ms = 0 THEN to_ms ELSE excluded.to_ms END,
  lost_events = max(lost_events, excluded.lost_events)
"""


class DeadLetterStock:
    """How many dead letters are kept and how many bytes they hold, counted once and then kept up.

    The bounds hold after every :meth:`write`: at most ``most`` letters and
    :data:`DEAD_LETTER_BYTES_MAX` payload bytes (at least the newest letter stays).
    """

    def __init__(self, connection: sqlite3.Connection, most: int) -> None:
        assert most > 0, most
        self._connection = connection
        self._most = most
        self.count = 0
        self.bytes = 0
        self.recount()

    def recount(self) -> None:
        """Read both figures from the table: at the start, and after a rolled back transaction."""
        self.count, self.bytes = self._connection.execute(
            "SELECT count(*), coalesce(sum(length(payload)), 0) FROM dead_letter"
        ).fetchone()

    def write(self, letters: list[DeadLetter]) -> None:
        """Store ``letters``, then let the oldest go while a bound is exceeded."""
        for letter in letters:
            added = self._connection.execute(_INSERT_DEAD, _dead_row(letter)).rowcount
            self.count += added
            self.bytes += added * len(letter.payload)
        while self.count > self._most or (self.bytes > DEAD_LETTER_BYTES_MAX and self.count > 1):
            self._drop_oldest()

    def forget(self, keys: Iterable[tuple[int, int]]) -> None:
        """Remove these (ordinal, index) letters, where they are still kept."""
        self._connection.executemany(
            "DELETE FROM dead_letter WHERE ordinal = ? AND idx = ?", list(keys)
        )
        self.recount()

    def drop_oldest(self, number: int) -> None:
        """Let the ``number`` oldest letters go."""
        for _ in range(min(number, self.count)):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        rowid, size = self._connection.execute(
            "SELECT rowid, length(payload) FROM dead_letter ORDER BY ordinal, idx LIMIT 1"
        ).fetchone()
        self._connection.execute("DELETE FROM dead_letter WHERE rowid = ?", (rowid,))
        self.count -= 1
        self.bytes -= size


def _dead_row(d: DeadLetter) -> tuple[object, ...]:
    return d.ordinal, d.index, d.arrival_ms, d.topic, d.reason, d.detail, d.payload


def _timeline_row(e: TimelineEntry) -> tuple[str, int, int, int, str, str]:
    return e.epc, e.at_ms, e.ordinal, e.index, e.kind, e.detail


def _gap_row(g: Gap) -> tuple[object, ...]:
    return g.ordinal, g.reader, g.from_ms, g.to_ms, g.reason, g.lost_events


def write_effects(connection: sqlite3.Connection, stock: DeadLetterStock, effects: Effects) -> None:
    """Store ``effects`` inside the caller's transaction; repeating them changes nothing."""
    if effects.dead_letters:
        stock.write(effects.dead_letters)
    if effects.timeline:
        # In key order, so that neighbours share a page.
        connection.executemany(_INSERT_TIMELINE, sorted(map(_timeline_row, effects.timeline)))
    if effects.gaps:
        connection.executemany(_UPSERT_GAP, map(_gap_row, effects.gaps))
    if effects.history:
        write_history(connection, effects.history)
    write_rows(connection, effects.rows)


def trim_timeline(
    connection: sqlite3.Connection, before_ms: int, after_epc: str, rows: int = 2_000
) -> str:
    """Remove entries older than ``before_ms`` among the next ``rows`` after item ``after_epc``.

    Returns the item to go on from, "" when the end was reached. The table is clustered by item,
    so an index by time would double its writes; walking it a slice at a time costs no write.
    """
    upto = connection.execute(
        "SELECT epc FROM timeline WHERE epc > ? ORDER BY epc LIMIT 1 OFFSET ?", (after_epc, rows)
    ).fetchone()
    span = "epc > ? AND epc <= ?" if upto else "epc > ?"
    connection.execute(
        f"DELETE FROM timeline WHERE {span} AND at_ms < ?",
        (after_epc, *(upto or ()), before_ms),
    )
    return str(upto[0]) if upto else ""


def trim_gaps(connection: sqlite3.Connection, before_ms: int) -> int:
    """Remove closed gaps that ended before ``before_ms``; how many went."""
    return connection.execute(
        "DELETE FROM gap WHERE to_ms > 0 AND to_ms < ?", (before_ms,)
    ).rowcount


def oldest_quarter_ms(connection: sqlite3.Connection) -> int:
    """The moment after the first quarter of the time that timeline and closed gaps span.

    At least one row is older whenever there is any; 0 when there is none.
    """
    oldest, newest = connection.execute(
        "SELECT min(oldest), max(newest) FROM ("
        "SELECT min(at_ms) AS oldest, max(at_ms) AS newest FROM timeline"
        " UNION ALL SELECT min(to_ms), max(to_ms) FROM gap WHERE to_ms > 0)"
    ).fetchone()
    return 0 if oldest is None else int(oldest + (newest - oldest) // 4 + 1)


_DEAD = "SELECT ordinal, idx, arrival_ms, topic, reason, detail, payload FROM dead_letter"
_END = (1 << 62, 1 << 62)


def dead_letters(
    connection: sqlite3.Connection,
    limit: int,
    before: tuple[int, int] | None = None,
    reason: str | None = None,
) -> list[DeadLetter]:
    """Up to ``limit`` dead letters, newest first; ``before`` is the last (ordinal, index) seen."""
    rows = connection.execute(
        f"{_DEAD} WHERE (ordinal, idx) < (?, ?) AND (?3 IS NULL OR reason = ?3)"
        " ORDER BY ordinal DESC, idx DESC LIMIT ?4",
        (*(before or _END), reason, limit),
    )
    return [DeadLetter(*row) for row in rows]


def dead_letter(connection: sqlite3.Connection, ordinal: int, index: int) -> DeadLetter | None:
    """One dead letter by where it came from."""
    row = connection.execute(f"{_DEAD} WHERE ordinal = ? AND idx = ?", (ordinal, index)).fetchone()
    return DeadLetter(*row) if row else None


DeadHead = tuple[int, int, int, str, str, str, int, bytes]
"""ordinal, index, arrival_ms, topic, reason, detail, payload size, first payload bytes."""


def dead_letter_heads(
    connection: sqlite3.Connection,
    limit: int,
    after: tuple[int, int] | None = None,
    reason: str | None = None,
    newest_first: bool = True,
    head_bytes: int = 256,
) -> list[DeadHead]:
    """Up to ``limit`` dead letters beyond ``after``, without the bulk of their payloads."""
    beyond, order = ("<", "DESC") if newest_first else (">", "ASC")
    start = after or (_END if newest_first else (-1, -2))
    rows = connection.execute(
        "SELECT ordinal, idx, arrival_ms, topic, reason, detail, length(payload),"
        f" substr(payload, 1, ?5) FROM dead_letter WHERE (ordinal, idx) {beyond} (?1, ?2)"
        f" AND (?3 IS NULL OR reason = ?3) ORDER BY ordinal {order}, idx {order} LIMIT ?4",
        (*start, reason, limit, head_bytes),
    )
    return list(rows)


def timeline(
    connection: sqlite3.Connection,
    epc: str,
    limit: int,
    before: tuple[int, int, int] | None = None,
) -> list[TimelineEntry]:
    """Up to ``limit`` entries of one item, newest first.

    ``before`` is the last (at_ms, ordinal, index) seen.
    """
    rows = connection.execute(
        "SELECT ordinal, idx, epc, at_ms, kind, detail FROM timeline"
        " WHERE epc = ? AND (at_ms, ordinal, idx) < (?, ?, ?)"
        " ORDER BY at_ms DESC, ordinal DESC, idx DESC LIMIT ?",
        (epc, *(before or (1 << 62, *_END)), limit),
    )
    return [TimelineEntry(*row) for row in rows]


def gaps(
    connection: sqlite3.Connection,
    reader: str | None = None,
    limit: int = 100,
    before: tuple[int, str] | None = None,
) -> list[Gap]:
    """Up to ``limit`` gaps, newest first; ``before`` is the last (ordinal, reader) seen.

    With ``reader``: those of that reader and those of every reader ("").
    """
    rows: Iterable[tuple[int, str, int, int, str, int]] = connection.execute(
        "SELECT ordinal, reader, from_ms, to_ms, reason, lost_events FROM gap"
        " WHERE (ordinal, reader) < (?1, ?2) AND (?3 IS NULL OR reader IN (?3, ''))"
        " ORDER BY ordinal DESC, reader DESC LIMIT ?4",
        (*(before or (1 << 62, "")), reader, limit),
    )
    return [Gap(*row) for row in rows]
