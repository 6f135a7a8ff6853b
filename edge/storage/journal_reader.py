"""Reading a journal, also while a daemon writes it. Nothing is written here."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Self

from edge.errors import JournalBroken
from edge.records import Batch, Message
from edge.storage import packing
from edge.storage.journal_file import check_identity, connect_readonly, typed_errors

READ_BYTES = 4_194_304
"""Blob bytes fetched at a time by :meth:`JournalReader.batches`."""


class Tail(NamedTuple):
    """Where the journal ends; all zero when nothing was ever written."""

    seq: int = 0
    """Of the last batch; the next one has one more."""
    next_ordinal: int = 0
    """Ordinal of the next message."""
    beat_ms: int = 0
    """Beat of the last batch."""
    last_arrival_ms: int = 0
    """Arrival of the last message, however many empty batches ago."""
    session: int = 0
    """Highest broker session number seen."""


def read_tail(connection: sqlite3.Connection) -> Tail:
    row = connection.execute(
        "SELECT seq, first + n, beat_ms, last_arrival_ms, session FROM batch"
        " ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return Tail(*row) if row else Tail()


def read_effects_seq(connection: sqlite3.Connection) -> int:
    (seq,) = connection.execute(
        "SELECT max(value, coalesce((SELECT effects_seq FROM batch ORDER BY seq DESC LIMIT 1), 0))"
        " FROM meta WHERE key = 'effects_seq'"
    ).fetchone()
    return int(seq)


class JournalReader:
    """Reads a journal, also while a daemon writes it (the trainer does). Never locks it out.

    Each fetch is a short read transaction of its own, so a slow reader does not make the WAL grow.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, directory: str | Path) -> Self:
        """Open the journal in ``directory``. Raises :class:`JournalBroken`."""
        connection = connect_readonly(Path(directory))
        try:
            with typed_errors():
                check_identity(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def last(self) -> Tail:
        """Where the journal ends."""
        with typed_errors():
            return read_tail(self._connection)

    def oldest_seq(self) -> int:
        """Of the oldest batch still kept; one past the last when there is none."""
        with typed_errors():
            (seq,) = self._connection.execute("SELECT min(seq) FROM batch").fetchone()
        return int(seq) if seq is not None else self.last().seq + 1

    def effects_seq(self) -> int:
        """Effects of batches up to this one are stored."""
        with typed_errors():
            return read_effects_seq(self._connection)

    def count(self, after_seq: int = 0) -> int:
        """How many messages the batches after ``after_seq`` hold (for a progress bar)."""
        with typed_errors():
            (messages,) = self._connection.execute(
                "SELECT coalesce(max(first + n) - min(first), 0) FROM batch WHERE seq > ?",
                (after_seq,),
            ).fetchone()
        return int(messages)

    def batches(self, after_seq: int, upto: int | None = None) -> Iterator[Batch]:
        """Every batch with ``after_seq < seq <= upto``, in order, a few megabytes at a time.

        ``upto`` None: to the end, including what is written meanwhile. Raises
        :class:`JournalBroken` on a missing or damaged batch; also when the batch after
        ``after_seq`` was trimmed: start at ``oldest_seq() - 1`` to accept that.
        """
        assert after_seq >= 0, after_seq
        last = after_seq
        ordinal: int | None = None
        while rows := self._fetch(last, (1 << 62) if upto is None else upto):
            for seq, first, beat_ms, n, codec, blob in rows:
                if seq != last + 1 or ordinal not in (None, first):
                    raise JournalBroken(f"batch {last + 1} is missing, the next kept is {seq}")
                yield Batch(seq, first, beat_ms, _unpack(seq, n, codec, blob))
                last, ordinal = seq, first + n

    def _fetch(self, after_seq: int, upto: int) -> list[tuple[int, int, int, int, int, bytes]]:
        rows, size = [], 0
        with typed_errors(), closing(self._connection.cursor()) as cursor:
            cursor.execute(
                "SELECT seq, first, beat_ms, n, codec, blob FROM batch"
                " WHERE seq > ? AND seq <= ? ORDER BY seq",
                (after_seq, upto),
            )
            for row in cursor:
                rows.append(row)
                size += len(row[5]) + 256
                if size >= READ_BYTES:
                    break
        return rows


def _unpack(seq: int, n: int, codec: int, blob: bytes) -> list[Message]:
    try:
        messages = packing.unpack(codec, blob)
    except packing.Unpackable as damage:
        raise JournalBroken(f"batch {seq} is damaged: {damage}") from damage
    if len(messages) != n:
        raise JournalBroken(f"batch {seq} holds {len(messages)} messages instead of {n}")
    return messages
