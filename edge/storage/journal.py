"""The journal: every batch of raw messages, durable on return. Blocking; for one thread only.

No event loop here (that is ``writer.py``) and no meaning: what is inside a payload is not looked
at. One SQLite file, ``journal.db``, in WAL mode with ``synchronous=FULL``: when :meth:`append`
returns, the batch survives a power cut, as far as the card keeps what it confirmed.

Choices, all measured with ``bench/journal.py``:

* Pages of 1 KB: a commit of a few messages rewrites one page, so small pages write less. Bytes
  written an event, five events a commit: 1,296 with pages of 512 bytes (too small for timeline
  rows), 1,382 with 1,024, 1,506 with 2,048, 1,901 with 4,096. The floor is the kernel's own page
  of 4 KB a commit; larger commits are what lowers it (10 events: 689, 100: 123, 1,024: 66).
* No auto-vacuum: its pointer pages cost 8 % more writes. Trimmed pages are reused by new batches,
  so the file stays at the largest size it ever needed; it never shrinks while the daemon runs.
* Checkpoints run when the writer is idle, after the answer to a commit has been given; only
  under load without a pause does SQLite itself run one inside a commit, so the WAL stays bounded.
* A deleted row's bytes are not overwritten (``secure_delete`` off): that would write each page twice.
"""

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self, TypeVar

import structlog

from edge.config import Storage
from edge.errors import JournalBroken, JournalFull
from edge.records import Batch, Effects, Replayed
from edge.storage import analytics_room, changes, migrations, packing
from edge.storage.field import drop_oldest_quarter, kept_bytes
from edge.storage.history import history_bytes, oldest_quarter_day, pack, trim_history
from edge.storage.journal_file import (
    FREE_BYTES_MIN,
    PAGE_BYTES,
    connect_readonly,
    demand_free,
    free_bytes_of,
    lock_directory,
    open_connection,
    typed_errors,
)
from edge.storage.journal_reader import JournalReader, Tail, read_effects_seq, read_tail
from edge.storage.tables import (
    DeadLetterStock,
    oldest_quarter_ms,
    trim_gaps,
    trim_timeline,
    write_effects,
)

T = TypeVar("T")

log = structlog.get_logger(__name__)

IDLE_CHECKPOINT_BYTES = 1_048_576
"""An idle writer checkpoints once about so much was written to the WAL."""
TRIM_BYTES = 1_048_576
TRIM_ROWS = 512
TAIL_CHECKED = 64
"""So many of the newest batches are read whole when the journal is opened."""
DERIVED_SHARE = 0.5
"""Derived tables beyond this share of the journal's limit give way when no batch may go."""
ROOM_CHECK_S = 1.0
ROOM_CHECK_BYTES = 4_194_304


class JournalAtLimit(JournalFull):
    """The journal's own limit, not the disk: what it still holds must not go yet."""

    cure = "raise storage.journal_max_bytes"


def _journal_id(connection: sqlite3.Connection) -> str:
    """The random name of this journal, given at its first opening for writing.

    "" while a journal without one cannot be written: the next start gives it one.
    """
    select = "SELECT value FROM meta WHERE key = 'journal_id'"
    with typed_errors():
        row = connection.execute(select).fetchone()
    if row is None:
        row = (secrets.randbits(63),)
        try:
            with typed_errors():
                connection.execute("INSERT INTO meta VALUES ('journal_id', ?)", row)
        except JournalFull:
            return ""
    return f"{row[0]:016x}"


class Journal:
    """The one writer. Used by one thread at a time; :meth:`batches` by any other, one at a time.

    Every method may raise :class:`JournalBroken`; from then on all of them do, and only a new
    process should open the directory again.
    """

    def __init__(
        self,
        directory: Path,
        settings: Storage,
        connection: sqlite3.Connection,
        lock: int,
        dead_letters_max: int,
        free_bytes: Callable[[Path], int],
    ) -> None:
        self.directory = directory
        self._settings = settings
        self._connection = connection
        self._lock = lock
        self._free_bytes = free_bytes
        self._broken = ""
        self.journal_id = _journal_id(connection)
        """Tells this journal from every other that was or will be in the directory."""
        self._tail = read_tail(connection)
        self._effects_seq = read_effects_seq(connection)
        self._dead_letters = DeadLetterStock(connection, dead_letters_max)
        self._wal_bytes = IDLE_CHECKPOINT_BYTES  # unknown: what a crash left behind goes first
        self._room_checked_at = float("-inf")
        self._room_bytes = 0
        self._timeline_cursor = ""
        self.reader = JournalReader(connect_readonly(directory))
        self.commits = 0
        """Batches committed since opening."""
        self.letters_played = 0
        """Dead letters that went since opening because they were played again."""
        self.packed_bytes = 0
        """Blob bytes committed since opening."""
        self.commit_s = 0.0
        """How long the last commit took, seconds."""

    @classmethod
    def open(
        cls,
        directory: str | Path,
        settings: Storage,
        dead_letters_max: int = 10_000,
        free_bytes: Callable[[Path], int] = free_bytes_of,
        progress: Callable[[], object] = lambda: None,
    ) -> Self:
        """Open or create the journal in ``directory`` and read its newest batches as a check.

        One of an older version is copied into ``backups`` and brought up to ours; ``progress`` is
        called now and then while that lasts.

        Raises :class:`JournalInUse` (another daemon), :class:`JournalFull` (no room even to open),
        :class:`JournalBroken` (not ours, of another version, damaged).
        """
        path = Path(directory)
        lock = lock_directory(path)
        try:
            demand_free(free_bytes(path), FREE_BYTES_MIN)
            with typed_errors():
                connection = open_connection(
                    path, settings.disk_reserve_bytes, free_bytes, progress
                )
                journal = cls(path, settings, connection, lock, dead_letters_max, free_bytes)
        except BaseException:
            os.close(lock)
            raise
        try:
            journal._check_tail()
        except BaseException:
            journal.close()
            raise
        return journal

    def _check_tail(self) -> None:
        start = max(self._tail.seq - TAIL_CHECKED, self.reader.oldest_seq() - 1)
        for _ in self.reader.batches(start, self._tail.seq):
            pass

    def close(self) -> None:
        """Move everything from the WAL into the file and let the directory go. Idempotent."""
        if self._lock < 0:
            return
        self.reader.close()
        with suppress(sqlite3.Error):
            if not self._broken:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with suppress(sqlite3.Error):
            self._connection.close()
        os.close(self._lock)
        self._lock = -1

    # Reading

    def last(self) -> Tail:
        """Where the journal ends; from memory."""
        return self._tail

    @property
    def effects_seq(self) -> int:
        """Effects of batches up to this one are stored; from memory."""
        return self._effects_seq

    @property
    def broken(self) -> str:
        """Why the journal is not trusted any more; empty while it is."""
        return self._broken

    def batches(self, after_seq: int, upto: int | None = None) -> Iterator[Batch]:
        """See :meth:`JournalReader.batches`."""
        return self.reader.batches(after_seq, upto)

    def used_bytes(self) -> int:
        """Bytes of pages in use: what ``journal_max_bytes`` bounds. The file may hold free pages."""
        whole, unused = self._pages()
        return whole - unused

    def _pages(self) -> tuple[int, int]:
        """Bytes of all pages of the file, and of those that trimming set free."""
        with self._guarded():
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return pages * PAGE_BYTES, free * PAGE_BYTES

    # Writing

    def append(
        self, batch: Batch, effects: Effects | None = None, effects_seq: int | None = None
    ) -> None:
        """Commit ``batch`` (and effects of batches up to ``effects_seq``) in one transaction.

        Dead letters that the batch plays again go in the same transaction, so that no death of the
        process leaves a letter in both places. Durable on return. Raises :class:`JournalFull` with nothing written: the same call works
        once there is room again.
        """
        tail = self._tail
        assert (batch.seq, batch.first) == (tail.seq + 1, tail.next_ordinal), (batch.seq, tail)
        started = time.perf_counter()
        codec, blob = packing.pack(batch.messages)
        self._demand_room(len(blob) + _pack_history(effects))
        after = _tail_after(tail, batch)
        played = [m.letter for m in batch.messages if isinstance(m, Replayed)]
        with self._transaction():
            position = self._write_effects(effects, effects_seq)
            if played:
                self._dead_letters.forget(played)
            self._connection.execute(
                "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    batch.seq,
                    batch.first,
                    batch.beat_ms,
                    len(batch.messages),
                    after.last_arrival_ms,
                    after.session,
                    position,
                    codec,
                    blob,
                ),
            )
        self._tail, self._effects_seq = after, position
        self.commits += 1
        self.letters_played += len(played)
        self.packed_bytes += len(blob)
        self._room_bytes += len(blob)
        self._wal_bytes += len(blob) + 3 * PAGE_BYTES
        self.commit_s = time.perf_counter() - started

    def append_effects(self, effects: Effects, upto_seq: int) -> None:
        """Commit effects of batches up to ``upto_seq`` without a batch. Errors as :meth:`append`."""
        assert upto_seq <= self._tail.seq, (upto_seq, self._tail.seq)
        self._demand_room(_pack_history(effects))
        with self._transaction():
            position = self._write_effects(effects, upto_seq)
            self._connection.execute(
                "UPDATE meta SET value = ? WHERE key = 'effects_seq'", (position,)
            )
        self._effects_seq = position
        self._wal_bytes += 4 * PAGE_BYTES

    def write_field(self, work: Callable[[sqlite3.Connection], T], bytes_needed: int = 0) -> T:
        """Change the tables of ``field.py`` in a transaction of its own. Errors as :meth:`append`."""
        self._demand_room(bytes_needed)
        with self._transaction():
            done = work(self._connection)
        self._wal_bytes += 4 * PAGE_BYTES + bytes_needed
        return done

    def _write_effects(self, effects: Effects | None, upto_seq: int | None) -> int:
        """Inside a transaction; the effects position afterwards."""
        assert (effects is None) == (upto_seq is None), "effects come with their position"
        if effects is None or upto_seq is None or upto_seq <= self._effects_seq:
            return self._effects_seq  # a replay: stored already
        write_effects(self._connection, self._dead_letters, effects)
        rows = len(effects.timeline) + len(effects.dead_letters) + len(effects.gaps)
        self._wal_bytes += rows * PAGE_BYTES + sum(len(one.packed) for one in effects.history)
        return upto_seq

    def trim(self, before_ms: int, keep_after_seq: int, max_bytes: int | None = None) -> int:
        """Remove one slice of the oldest batches; how many went. Call again until 0.

        A batch goes when its last arrival is before ``before_ms``, or while the journal uses
        more than ``max_bytes`` (default: the setting). Batches after ``keep_after_seq`` stay
        whatever their age: give the seq of the oldest snapshot that a restart may fall back to.
        The last batch always stays, as it says where the journal ends. A slice holds at most
        512 batches or 1 MB, so that a commit never waits long behind it. Works below the disk
        reserve (removing needs some pages of WAL: that is what the reserve is for), but not with
        less than 4 MB free.
        """
        demand_free(self._free_bytes(self.directory), FREE_BYTES_MIN)
        limit = self._settings.journal_max_bytes if max_bytes is None else max_bytes
        excess = self.used_bytes() - limit
        with self._transaction():
            last, removed = self._trim_end(
                min(keep_after_seq, self._tail.seq - 1), before_ms, excess
            )
            if removed:
                self._connection.execute("DELETE FROM batch WHERE seq <= ?", (last,))
        self._wal_bytes += removed * 64 + 4 * PAGE_BYTES
        return removed

    def make_room(self, keep_after_seq: int) -> int:
        """After :class:`JournalFull`: remove one slice of the oldest batches whatever their age.

        When none may go and the derived tables use more than half of the journal's limit, their
        oldest quarter goes instead: else they could fill the limit for good. First of all rows that
        are only there for others to ask in SQL, as far as a copy holds them. Predictions that wait
        for what happens and daily history go late, in this order, or first where they take the
        most: models are trained on history. Last go rows for SQL that no copy holds.
        Where the disk is full and not the journal's own limit, the oldest copy in ``backups`` goes
        before anything else. How many rows (or copies) went; 0: nothing may go, as all is after
        ``keep_after_seq`` (take a snapshot).
        """
        if self._drop_backup():
            return 1
        limit = DERIVED_SHARE * self._settings.journal_max_bytes
        removed = self.trim(1 << 62, keep_after_seq)
        if not removed and self._derived_bytes() > limit:
            removed = (
                self._give_up_tables(also_uncopied=False)
                or self._give_up_derived()
                or self._give_up_predictions()
                or self._give_up_history()
                or self._give_up_tables(also_uncopied=True)
            )
        return removed

    def _drop_backup(self) -> bool:
        """Whether the oldest copy of an older version went, as the disk has no room."""
        if self._free_bytes(self.directory) >= self._settings.disk_reserve_bytes:
            return False
        copies = migrations.backups(self.directory)
        if not copies:
            return False
        copies[-1].unlink(missing_ok=True)
        log.warning("backup_given_up", file=str(copies[-1]), reason="the disk is full")
        return True

    def _give_up_tables(self, *, also_uncopied: bool) -> int:
        """Remove a slice of the rows that are only there to be asked in SQL; how many went."""
        with self._transaction():
            copied = changes.value_of(self._connection, changes.COPIED)
            fine, lost = analytics_room.give_up(
                self._connection, copied, also_uncopied=also_uncopied
            )
        if lost:
            log.error("tables_give_up_rows", rows=lost, limit="storage.journal_max_bytes")
        return fine + lost

    def _derived_bytes(self) -> int:
        """About what all other tables use: what the batches do not."""
        with self._guarded():
            (batches,) = self._connection.execute(
                "SELECT coalesce(sum(length(blob) + 64), 0) FROM batch"
            ).fetchone()
        return self.used_bytes() - int(batches)

    def _give_up_derived(self) -> int:
        """Remove the oldest quarter of the derived rows: of the time they span, of the letters."""
        with self._guarded():
            history, predictions = history_bytes(self._connection), kept_bytes(self._connection)
        derived = self._derived_bytes()
        if 2 * predictions > derived and (removed := self._give_up_predictions()):
            return removed
        if 2 * history > derived and (removed := self._give_up_history()):
            return removed
        before = self._connection.total_changes
        with self._transaction():
            self._dead_letters.drop_oldest((self._dead_letters.count + 3) // 4)
        with self._guarded():
            before_ms = oldest_quarter_ms(self._connection)
        self._timeline_cursor = ""
        while self.trim_effects(before_ms):  # each slice is a transaction of its own
            demand_free(self._free_bytes(self.directory), FREE_BYTES_MIN)
        return self._connection.total_changes - before

    def _give_up_predictions(self) -> int:
        """Remove those of the oldest quarter of the days that wait; how many rows went."""
        with self._transaction():
            return drop_oldest_quarter(self._connection)

    def _give_up_history(self) -> int:
        """Remove the oldest quarter of the days of history; how many chunks went."""
        with self._guarded():
            day = oldest_quarter_day(self._connection)
        removed = 0
        while slice_ := self.trim_history(day):  # each slice is a transaction of its own
            removed += slice_
            demand_free(self._free_bytes(self.directory), FREE_BYTES_MIN)
        return removed

    def trim_history(self, before_day: int) -> int:
        """Remove one slice of the history of days before ``before_day``; how many chunks went."""
        with self._transaction():
            removed = trim_history(self._connection, before_day)
        self._wal_bytes += removed * 4 * PAGE_BYTES
        return removed

    def _trim_end(self, keep_after_seq: int, before_ms: int, excess: int) -> tuple[int, int]:
        """(last seq to remove, how many rows) of one slice."""
        last = removed = size = 0
        rows = self._connection.execute(
            "SELECT seq, last_arrival_ms, length(blob) FROM batch WHERE seq <= ?"
            " ORDER BY seq LIMIT ?",
            (keep_after_seq, TRIM_ROWS),
        ).fetchall()
        for seq, arrival_ms, length in rows:
            if (arrival_ms >= before_ms and size >= excess) or size >= TRIM_BYTES:
                break
            last, removed, size = seq, removed + 1, size + length + 64
        return last, removed

    def trim_effects(self, before_ms: int) -> bool:
        """Remove one slice of timeline entries and gaps older than ``before_ms``.

        True while the walk through the items goes on; the next call continues it.
        """
        with self._transaction():
            following = trim_timeline(self._connection, before_ms, self._timeline_cursor)
            if not following:
                trim_gaps(self._connection, before_ms)
        self._timeline_cursor = following
        return bool(following)

    def checkpoint_if_due(self) -> bool:
        """Called when the writer is idle: move the WAL into the file once it is large enough.

        No room for it is no error here: the WAL still holds everything.
        """
        if self._wal_bytes < IDLE_CHECKPOINT_BYTES or self._broken:
            return False
        try:
            with self._guarded():
                _, logged, moved = self._connection.execute(
                    "PRAGMA wal_checkpoint(PASSIVE)"
                ).fetchone()
        except JournalFull:
            logged = moved = 0
        self._wal_bytes = max(0, logged - moved) * PAGE_BYTES
        return True

    # How it may fail

    def _demand_room(self, needed: int) -> None:
        """Raise :class:`JournalFull` when the disk or the journal's own limit has no room.

        Looked up at most once a second or every 4 MB while there is room, each time while not.
        """
        self._demand_trust()
        now = time.monotonic()
        recent = now - self._room_checked_at < ROOM_CHECK_S
        if recent and self._room_bytes + needed < ROOM_CHECK_BYTES:
            return
        self._room_checked_at = float("-inf")
        free = self._free_bytes(self.directory)
        demand_free(free, FREE_BYTES_MIN)
        pages, unused = self._pages()
        # What trimming gave back is written again without taking anything from the disk.
        demand_free(free + unused - needed, self._settings.disk_reserve_bytes)
        used, most = pages - unused, self._settings.journal_max_bytes
        if used + needed > most:
            raise JournalAtLimit(f"the journal uses {used} bytes of {most} allowed")
        self._room_checked_at, self._room_bytes = now, 0

    def _demand_trust(self) -> None:
        if self._broken:
            raise JournalBroken(self._broken)
        if self._lock < 0:
            raise JournalBroken("the journal is closed")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """SQLite's errors as ours; a broken journal stays broken."""
        self._demand_trust()
        try:
            with typed_errors():
                yield
        except JournalBroken as error:
            self._broken = str(error)
            raise

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, on the disk on leaving."""
        with self._guarded():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        if self._settings.fsync_delay_ms:
            time.sleep(self._settings.fsync_delay_ms / 1_000)

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._dead_letters.recount()


def _pack_history(effects: Effects | None) -> int:
    """Pack what is not packed yet, which takes too long inside a transaction; bytes of all."""
    if effects is None:
        return 0
    effects.history = [pack(rows) for rows in effects.history]
    return sum(len(rows.packed) for rows in effects.history)


def _tail_after(tail: Tail, batch: Batch) -> Tail:
    """Where the journal ends once ``batch`` is in it."""
    messages = batch.messages
    return Tail(
        batch.seq,
        batch.first + len(messages),
        batch.beat_ms,
        messages[-1].arrival_ms if messages else tail.last_arrival_ms,
        max(tail.session, max((m.session for m in messages), default=0)),
    )
