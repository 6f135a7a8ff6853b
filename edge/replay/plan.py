"""Rows of a file and a compiled mapping -> messages in the order of their moments. No network.

A file is read twice: once to count its rows and see whether they are in order, once to send them.
Rows out of order go through a temporary SQLite file, which sorts on disk; so memory holds one
piece of the file, the line numbers of recent documents, and the messages still to come of rows
already read (for rentals: of the items that are out).
"""

import heapq
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import msgspec
from msgspec import Struct

from edge.replay.mappings import Compiled, Message
from edge.replay.moments import NS_PER_MS, Moment
from edge.replay.reader import BadRow, Row, Rows

SPILL_ROWS = 4_096


class Survey(Struct):
    """What the first reading of a file found."""

    rows: int = 0
    """Rows, bad ones included."""
    ordered: bool = True
    """Whether the moments never decrease."""
    first_ms: int = 0
    """Earliest moment, epoch milliseconds."""
    last_ms: int = 0
    """Latest moment, epoch milliseconds."""
    timeless: int = 0
    """Rows whose moment cannot be read; they are sent where they stand."""


def survey(rows: Rows, at: Moment) -> Survey:
    """Count the rows and look at their order."""
    found, newest_ns = Survey(), None
    for row in rows:
        found.rows += 1
        if isinstance(row, BadRow):
            continue
        try:
            at_ns = at(row)
        except ValueError:
            found.timeless += 1
            continue
        if newest_ns is None:
            first_ns = newest_ns = at_ns
        if at_ns < newest_ns:
            found.ordered = False
            first_ns = min(first_ns, at_ns)
        else:
            newest_ns = at_ns
    if newest_ns is not None:
        found.first_ms, found.last_ms = first_ns // NS_PER_MS, newest_ns // NS_PER_MS
    return found


class Tally(Struct):
    """Where every row has gone; ``rows`` is the sum of the others once the plan has ended."""

    rows: int = 0
    """Rows read."""
    sent: int = 0
    """Rows of which every message was handed over."""
    waiting: int = 0
    """Rows of which a message was still to come when the replay was stopped."""
    skipped: Counter[str] = msgspec.field(default_factory=Counter)
    """Reason -> rows that became no message."""
    messages: int = 0
    """Messages handed over."""


class Due(Struct, gc=False):
    """A message whose turn has come; written by :meth:`Plan.write` when its time is known."""

    at_ns: int
    """Its moment (or its row's place in the order), epoch nanoseconds."""
    order: int
    message: Message
    row: Row
    number: int
    readable: bool
    """Whether ``at_ns`` was read from the row."""

    @property
    def at_ms(self) -> int:
        """Its moment, epoch milliseconds."""
        return self.at_ns // NS_PER_MS


class Plan:
    """Messages of a file, each when its time comes; :attr:`tally` accounts for every row.

    ``limit``: rows to read, 0 for all. After :meth:`until` it may be iterated again and goes on
    from where it stopped.
    """

    def __init__(self, rows: Rows, mapping: Compiled, found: Survey, limit: int = 0) -> None:
        self.tally = Tally()
        self._mapping = mapping
        self._limit = limit
        self._until_ns: int | None = None
        self._coming: list[tuple[int, int, Due]] = []
        self._order = count()
        self._open: dict[int, int] = {}  # row number -> messages still to come
        self._failed: dict[int, str] = {}  # row number -> why one of its messages could not be
        self._rows = self._numbered(rows if found.ordered else Sorted(rows, mapping.at))
        self._next: tuple[int, bool, Row, int] | None = None
        self._ended = False

    def until(self, until_ms: int | None) -> None:
        """Give no messages after this moment until told otherwise."""
        self._until_ns = None if until_ms is None else (until_ms + 1) * NS_PER_MS - 1

    def __iter__(self) -> Iterator[Due]:
        """Messages up to :meth:`until`, in the order of their moments."""
        while True:
            row = self._peek()
            row_at_ns = row[0] if row is not None else None
            while self._coming and (row_at_ns is None or self._coming[0][0] <= row_at_ns):
                if self._until_ns is not None and self._coming[0][0] > self._until_ns:
                    return
                yield heapq.heappop(self._coming)[2]
            if row is None:
                return
            if self._until_ns is not None and row[0] > self._until_ns:
                return
            self._next = None
            yield from self._expand(*row)

    def write(self, due: Due, shift_ms: int = 0) -> tuple[str, bytes] | None:
        """Topic and payload, or ``None`` (counted) where the row cannot be expressed."""
        tally = self.tally
        at_ns = due.at_ns + shift_ms * NS_PER_MS if due.readable else None
        try:
            topic: str = due.message.topic(due.row, shift_ms)
            payload = due.message.write(due.row, shift_ms, at_ns)
        except (ValueError, TypeError, OverflowError) as error:
            self._settle(due.number, f"cannot be expressed: {str(error)[:80]}")
            return None
        tally.messages += 1
        self._settle(due.number, "")
        return topic, payload

    def close(self) -> Tally:
        """The account when nothing more will be asked for."""
        self.tally.waiting = len(self._open) + (self._next is not None)
        return self.tally

    def _settle(self, number: int, failure: str) -> None:
        """One message of a row is done; a row of which one failed counts as skipped, once."""
        if failure:
            self._failed.setdefault(number, failure)
        self._open[number] -= 1
        if self._open[number]:
            return
        del self._open[number]
        reason = self._failed.pop(number, "")
        if reason:
            self.tally.skipped[reason] += 1
        else:
            self.tally.sent += 1

    def _peek(self) -> tuple[int, bool, Row, int] | None:
        if self._next is None and not self._ended:
            self._next = next(self._rows, None)
            self._ended = self._next is None
        return self._next

    def _numbered(self, rows: "Rows | Sorted") -> Iterator[tuple[int, bool, Row, int]]:
        """(moment, whether it was read, extended row, number) of every row that is one."""
        tally, mapping, newest_ns = self.tally, self._mapping, 0
        numbered = rows.numbered() if isinstance(rows, Sorted) else enumerate(rows, 1)
        for number, row in numbered:
            if self._limit and tally.rows >= self._limit:
                return
            tally.rows += 1
            if isinstance(row, BadRow):
                tally.skipped[row.reason] += 1
                continue
            try:
                newest_ns, readable = mapping.at(row), True
            except ValueError:
                readable = False
            yield newest_ns, readable, mapping.columns.extend(row, number), number

    def _expand(self, row_at_ns: int, readable: bool, row: Row, number: int) -> Iterator[Due]:
        """What a row becomes: messages due now are given, later ones wait in the heap."""
        for skip in self._mapping.skips:
            if skip.applies(row):
                self.tally.skipped[skip.reason] += 1
                return
        due = [
            self._due(message, row_at_ns, readable, row, number)
            for message in self._mapping.messages
            if message.applies(row)
        ]
        if not due:
            self.tally.skipped["no message of the mapping applies"] += 1
            return
        self._open[number] = len(due)
        for one in due:
            if one.at_ns <= row_at_ns:
                yield one
            else:
                heapq.heappush(self._coming, (one.at_ns, one.order, one))

    def _due(self, message: Message, row_at_ns: int, readable: bool, row: Row, number: int) -> Due:
        at_ns = row_at_ns
        if message.at is not None:
            try:
                at_ns, readable = message.at(row), True
            except ValueError:
                readable = False
        return Due(at_ns, next(self._order), message, row, number, readable)


class Sorted:
    """Rows in the order of their moments, sorted on disk; equal moments keep the file's order."""

    def __init__(self, rows: Rows, at: Moment) -> None:
        self._rows = rows
        self._at = at

    def numbered(self) -> Iterator[tuple[int, Row | BadRow]]:
        """(number in the file from 1, row)."""
        with tempfile.TemporaryDirectory(prefix="rfid3-replay-") as directory:
            spill = sqlite3.connect(Path(directory) / "rows.db", isolation_level=None)
            try:
                self._spill(spill)
                decode = msgspec.msgpack.Decoder(tuple).decode
                for number, packed in spill.execute("SELECT n, row FROM rows ORDER BY at, n"):
                    yield number, BadRow(packed) if isinstance(packed, str) else decode(packed)
            finally:
                spill.close()

    def _spill(self, spill: sqlite3.Connection) -> None:
        spill.execute("PRAGMA journal_mode=OFF")
        spill.execute("PRAGMA synchronous=OFF")
        spill.execute("CREATE TABLE rows (at INTEGER, n INTEGER, row)")
        spill.execute("BEGIN")
        encode, newest_ns = msgspec.msgpack.Encoder().encode, 0
        piece: list[tuple[int, int, str | bytes]] = []
        for number, row in enumerate(self._rows, 1):
            if isinstance(row, BadRow):
                piece.append((newest_ns, number, row.reason))
            else:
                with suppress(ValueError):  # a row without time keeps its place in the file
                    newest_ns = self._at(row)
                piece.append((newest_ns, number, encode(row)))
            if len(piece) >= SPILL_ROWS:
                spill.executemany("INSERT INTO rows VALUES (?, ?, ?)", piece)
                piece.clear()
        spill.executemany("INSERT INTO rows VALUES (?, ?, ?)", piece)
        spill.execute("COMMIT")
