"""The journal's file: whose it is, its lock, how it is opened, and SQLite's errors in our words.

No batches and no rows: those are ``journal.py`` and ``journal_reader.py``.
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import structlog

from edge.errors import JournalBroken, JournalBusy, JournalFull, Rfid3Error
from edge.storage import migrations

log = structlog.get_logger(__name__)

FILE_NAME = "journal.db"
LOCK_NAME = "journal.lock"
APPLICATION_ID = 0x52464A33
"""``PRAGMA application_id`` of our files: "RFJ3"."""
SCHEMA_VERSION = migrations.steps()[-1].version
"""Of our files: the highest number in ``schema/``."""
PAGE_BYTES = 1_024
WAL_MAX_BYTES = 8_388_608
"""Beyond this a commit checkpoints by itself, idle or not."""
FREE_BYTES_MIN = 4_194_304
"""Whatever the reserve: with less free space nothing is written and no journal opened. SQLite maps
its -shm file into memory, and on a full disk (with file system blocks smaller than a page) touching
a page of it that has no block yet kills the process (SIGBUS) instead of returning an error."""

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


class JournalInUse(Rfid3Error):
    """Another daemon works in this directory; the message names its process id."""


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
def typed_errors() -> Iterator[None]:
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
    with typed_errors():
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=5.0,
        )
        connection.execute("PRAGMA query_only = ON")
    return connection


def check_identity(connection: sqlite3.Connection) -> None:
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


def lock_directory(directory: Path) -> int:
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


# page_size and auto_vacuum count only while the file is empty, and page_size not in WAL mode.
BEFORE_CREATION = (f"page_size = {PAGE_BYTES}", "auto_vacuum = NONE")
EVERY_TIME = (
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


def open_connection(
    directory: Path, reserve: int, free_bytes: Callable[[Path], int], progress: Callable[[], object]
) -> sqlite3.Connection:
    connection = sqlite3.connect(
        directory / FILE_NAME, isolation_level=None, check_same_thread=False, timeout=5.0
    )
    try:
        _set(connection, BEFORE_CREATION)
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if objects:  # before anything is written: it may be somebody else's file
            check_identity(connection)
        _set(connection, EVERY_TIME)
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


def free_bytes_of(directory: Path) -> int:
    """Bytes an ordinary user may still write on the directory's file system."""
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


def demand_free(free: int, reserve: int) -> None:
    if free < reserve:
        raise JournalFull(f"{free} bytes can be written, {reserve} are held in reserve")
