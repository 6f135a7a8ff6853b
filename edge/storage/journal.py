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

import errno
import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Self, TypeVar
from urllib.parse import quote

import structlog

from edge.config import Storage
from edge.errors import JournalBroken, JournalBusy, JournalFull, Rfid3Error
from edge.records import Batch, Effects, Message, Replayed
from edge.storage import analytics, changes, migrations, packing
from edge.storage.field import drop_oldest_quarter, kept_bytes
from edge.storage.history import history_bytes, oldest_quarter_day, pack, trim_history
from edge.storage.tables import (
    DeadLetterStock,
    oldest_quarter_ms,
    trim_gaps,
    trim_timeline,
    write_effects,
)

T = TypeVar("T")

log = structlog.get_logger(__name__)

FILE_NAME = "journal.db"
LOCK_NAME = "journal.lock"
APPLICATION_ID = 0x52464A33
"""``PRAGMA application_id`` of our files: "RFJ3"."""
SCHEMA_VERSION = migrations.steps()[-1].version
"""Of our files: the highest number in ``schema/``."""
PAGE_BYTES = 1_024
IDLE_CHECKPOINT_BYTES = 1_048_576
"""An idle writer checkpoints once about so much was written to the WAL."""
WAL_MAX_BYTES = 8_388_608
"""Beyond this a commit checkpoints by itself, idle or not."""
READ_BYTES = 4_194_304
"""Blob bytes fetched at a time by :meth:`JournalReader.batches`."""
TRIM_BYTES = 1_048_576
TRIM_ROWS = 512
TAIL_CHECKED = 64
"""So many of the newest batches are read whole when the journal is opened."""
FREE_BYTES_MIN = 4_194_304
"""Whatever the reserve: with less free space nothing is written and no journal opened. SQLite maps
its -shm file into memory, and on a full disk (with file system blocks smaller than a page) touching
a page of it that has no block yet kills the process (SIGBUS) instead of returning an error."""
DERIVED_SHARE = 0.5
"""Derived tables beyond this share of the journal's limit give way when no batch may go."""
ROOM_CHECK_S = 1.0
ROOM_CHECK_BYTES = 4_194_304

# Not enough room, everything rolled back, works again later. SHMSIZE: no room to grow the -shm file.
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
# Somebody else holds the write lock (a backup, a shell): also only later.
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_BROKEN = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
}


class JournalAtLimit(JournalFull):
    """The journal's own limit, not the disk: what it still holds must not go yet."""

    cure = "raise storage.journal_max_bytes"


class JournalInUse(Rfid3Error):
    """Another daemon works in this directory; the message names its process id."""


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


def typed(error: sqlite3.Error) -> Rfid3Error | sqlite3.Error:
    """SQLite's error as ours: full (try again), broken (stop), or itself when it is our bug.

    An I/O error is never retried: after a failed fsync the kernel may have dropped the dirty
    pages and confirm the next fsync although they are lost.
    """
    code = getattr(error, "sqlite_errorcode", None)
    name = getattr(error, "sqlite_errorname", "")
    if code is None:
        return error
    if code in _FULL:
        return JournalFull(f"no room to write the journal ({name})")
    if code & 0xFF in _BUSY:
        return JournalBusy(f"another program holds the journal's write lock ({name})")
    if code & 0xFF in _BROKEN:
        return JournalBroken(f"{error} ({name})")
    return error


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise typed(error) from error


def connect_readonly(directory: Path) -> sqlite3.Connection:
    """A connection that can only read; usable from any one thread at a time.

    Raises :class:`JournalBroken` when there is no journal or it cannot be read.
    """
    path = directory / FILE_NAME
    if not path.exists():
        raise JournalBroken(f"there is no journal at {path}")
    with _typed_errors():
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=5.0,
        )
        connection.execute("PRAGMA query_only = ON")
    return connection


def _read_tail(connection: sqlite3.Connection) -> Tail:
    row = connection.execute(
        "SELECT seq, first + n, beat_ms, last_arrival_ms, session FROM batch"
        " ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return Tail(*row) if row else Tail()


def _journal_id(connection: sqlite3.Connection) -> str:
    """The random name of this journal, given at its first opening for writing.

    "" while a journal without one cannot be written: the next start gives it one.
    """
    select = "SELECT value FROM meta WHERE key = 'journal_id'"
    with _typed_errors():
        row = connection.execute(select).fetchone()
    if row is None:
        row = (secrets.randbits(63),)
        try:
            with _typed_errors():
                connection.execute("INSERT INTO meta VALUES ('journal_id', ?)", row)
        except JournalFull:
            return ""
    return f"{row[0]:016x}"


def _read_effects_seq(connection: sqlite3.Connection) -> int:
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
            with _typed_errors():
                _check_identity(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def last(self) -> Tail:
        """Where the journal ends."""
        with _typed_errors():
            return _read_tail(self._connection)

    def oldest_seq(self) -> int:
        """Of the oldest batch still kept; one past the last when there is none."""
        with _typed_errors():
            (seq,) = self._connection.execute("SELECT min(seq) FROM batch").fetchone()
        return int(seq) if seq is not None else self.last().seq + 1

    def effects_seq(self) -> int:
        """Effects of batches up to this one are stored."""
        with _typed_errors():
            return _read_effects_seq(self._connection)

    def count(self, after_seq: int = 0) -> int:
        """How many messages the batches after ``after_seq`` hold (for a progress bar)."""
        with _typed_errors():
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
        with _typed_errors(), closing(self._connection.cursor()) as cursor:
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


def _check_identity(connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise JournalBroken(f"{FILE_NAME} is not a journal of ours (application id {application})")
    if not 1 <= version <= SCHEMA_VERSION:  # older ones hold all that a reader asks for
        raise JournalBroken(
            f"{FILE_NAME} has version {version}, this program reads up to {SCHEMA_VERSION}"
        )


def no_room(error: OSError) -> bool:
    """Whether an operating system error says that a disk or quota is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _lock(directory: Path) -> int:
    """Hold the directory's lock for the life of the returned descriptor; makes the directory."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o640)
    except OSError as error:
        kind = JournalFull if no_room(error) else JournalBroken
        raise kind(f"the storage directory {directory} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise JournalInUse(
            f"the storage directory {directory} is in use by another rfid3 (process {owner});"
            " stop it, or give this one its own storage.directory"
        ) from None
    with suppress(OSError):  # the number is for people; a full disk must not stop us here
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def fsync_directory(directory: Path) -> None:
    """Make what was created or renamed in ``directory`` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _upgrade(
    connection: sqlite3.Connection,
    directory: Path,
    reserve: int,
    free_bytes: Callable[[Path], int],
    progress: Callable[[], object],
) -> None:
    """Bring a file of an older version up to ours, after a copy of it was made.

    Where a copy has no room the steps are made all the same, as each is a transaction of its own:
    a shop that sees nothing is worse. That is said loudly.
    """
    before = migrations.version_of(connection)
    if before == SCHEMA_VERSION:
        return
    free, needed = free_bytes(directory), _page_bytes(connection)
    if free - needed < reserve:
        log.error("no_room_for_backup", version=before, free_bytes=free, needed_bytes=needed)
    else:
        made = migrations.back_up(connection, directory, progress)
        log.info("backed_up", version=before, file=str(made))
    migrations.upgrade(connection)
    log.info("store_upgraded", before=before, now=SCHEMA_VERSION)


def _page_bytes(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    return int(pages) * PAGE_BYTES


# page_size and auto_vacuum count only while the file is empty, and page_size not in WAL mode.
_BEFORE_CREATION = (f"page_size = {PAGE_BYTES}", "auto_vacuum = NONE")
_EVERY_TIME = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = OFF",
    "cache_size = -4096",
    f"wal_autocheckpoint = {WAL_MAX_BYTES // PAGE_BYTES}",
    f"journal_size_limit = {2 * WAL_MAX_BYTES}",
)


def _set(connection: sqlite3.Connection, pragmas: tuple[str, ...]) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _open_connection(
    directory: Path, reserve: int, free_bytes: Callable[[Path], int], progress: Callable[[], object]
) -> sqlite3.Connection:
    connection = sqlite3.connect(
        directory / FILE_NAME, isolation_level=None, check_same_thread=False, timeout=5.0
    )
    try:
        _set(connection, _BEFORE_CREATION)
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if objects:  # before anything is written: it may be somebody else's file
            _check_identity(connection)
        _set(connection, _EVERY_TIME)
        if objects:
            _upgrade(connection, directory, reserve, free_bytes, progress)
        else:
            migrations.create(connection, APPLICATION_ID)
            fsync_directory(directory)
            fsync_directory(directory.parent)
    except BaseException:
        connection.close()
        raise
    return connection


def free_bytes_of(directory: Path) -> int:
    """Bytes an ordinary user may still write on the directory's file system."""
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


def _demand_free(free: int, reserve: int) -> None:
    if free < reserve:
        raise JournalFull(f"{free} bytes can be written, {reserve} are held in reserve")


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
        self._tail = _read_tail(connection)
        self._effects_seq = _read_effects_seq(connection)
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
        lock = _lock(path)
        try:
            _demand_free(free_bytes(path), FREE_BYTES_MIN)
            with _typed_errors():
                connection = _open_connection(
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
        _demand_free(self._free_bytes(self.directory), FREE_BYTES_MIN)
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
            fine, lost = analytics.give_up(self._connection, copied, also_uncopied=also_uncopied)
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
            _demand_free(self._free_bytes(self.directory), FREE_BYTES_MIN)
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
            _demand_free(self._free_bytes(self.directory), FREE_BYTES_MIN)
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
        _demand_free(free, FREE_BYTES_MIN)
        pages, unused = self._pages()
        # What trimming gave back is written again without taking anything from the disk.
        _demand_free(free + unused - needed, self._settings.disk_reserve_bytes)
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
            with _typed_errors():
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
