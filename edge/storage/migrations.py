"""Numbered SQL files: what makes an empty store, or one of an older version, one of ours.

No connection to MySQL here (``mysql_schema.py``). ``schema/NNNN_name.sql``: all files of a number are
one step, in the order of their names, and the highest number is the version. A file of common SQL is
for both engines; one with the line ``-- engine: sqlite`` or ``-- engine: mysql`` is for that alone. Common SQL:
VARCHAR(n) or TEXT, BIGINT, DOUBLE, SMALLINT (truth), DATETIME (UTC text); no AUTO_INCREMENT, no
foreign keys, no words of one engine. A step is never changed once it was released.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from msgspec import Struct

FOLDER = Path(__file__).parent / "schema"
BACKUPS = "backups"
BACKUPS_KEPT = 3
BACKUP_PAGES = 4_096
"""Pages copied between two looks at the clock."""
_ENGINE = re.compile(r"^-- engine: (sqlite|mysql)$", re.M)


class Step(Struct, frozen=True):
    """One version of the schema: what leads to it from the one before."""

    version: int
    names: tuple[str, ...]
    """Of the files."""
    local: str
    """SQL for SQLite: the files that are not for MySQL alone."""
    mysql: str
    """SQL for MySQL: the files that are not for SQLite alone."""


def steps(folder: Path = FOLDER) -> list[Step]:
    """All steps, the first first; their numbers have no holes."""
    by_number: dict[int, list[Path]] = {}
    for file in sorted(folder.glob("*.sql")):
        by_number.setdefault(int(file.name.partition("_")[0]), []).append(file)
    assert sorted(by_number) == list(range(1, len(by_number) + 1)), sorted(by_number)
    return [_step(number, files) for number, files in sorted(by_number.items())]


def _step(number: int, files: list[Path]) -> Step:
    texts = [file.read_text(encoding="utf-8") for file in files]
    names = tuple(file.stem for file in files)
    return Step(number, names, _for("sqlite", texts), _for("mysql", texts))


def _for(engine: str, texts: list[str]) -> str:
    """Those of the texts that are not for another engine alone."""
    return "\n".join(text for text in texts if set(_ENGINE.findall(text)) <= {engine})


_TOKENS = re.compile(
    r"""--[^\n]*|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|/\*.*?\*/|;|[^;'"`/-]+|.""", re.S
)


def split(sql: str) -> list[str]:
    """The statements of a script, without comments and semicolons.

    >>> split("-- a; b\\nCREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x;''--y');")
    ['CREATE TABLE t (a TEXT)', "INSERT INTO t VALUES ('x;''--y')"]
    """
    return [text for text in _statements(sql) if text]


def _statements(sql: str) -> Iterator[str]:
    parts: list[str] = []
    for token in _TOKENS.findall(sql):
        if token == ";":
            yield "".join(parts).strip()
            parts = []
        elif not token.startswith(("--", "/*")):
            parts.append(token)
    yield "".join(parts).strip()


# -- the local store --------------------------------------------------------------------------------


def version_of(connection: sqlite3.Connection) -> int:
    """Version of a local store's schema; 0: an empty file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def create(connection: sqlite3.Connection, application_id: int, folder: Path = FOLDER) -> None:
    """Lay out an empty file: all of it in one transaction, or nothing."""
    every = steps(folder)
    schema = "\n".join(step.local for step in every)
    _run(connection, f"{schema}\n; PRAGMA application_id = {application_id};", every[-1].version)


def upgrade(connection: sqlite3.Connection, folder: Path = FOLDER) -> int:
    """Bring a store of an older version up to ours; the steps made. Each is done wholly or not at all.

    Raises sqlite3.Error: then the store is what it was after the last whole step.
    """
    before = version_of(connection)
    due = [step for step in steps(folder) if step.version > before]
    for step in due:
        _run(connection, step.local, step.version)
    return len(due)


def _run(connection: sqlite3.Connection, script: str, version: int) -> None:
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE; {script}\n; PRAGMA user_version = {version}; COMMIT;"
        )
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def back_up(
    connection: sqlite3.Connection, directory: Path, progress: Callable[[], object] = lambda: None
) -> Path:
    """Copy the whole store into ``directory/backups``, named by its version; the file.

    The newest three are kept. ``progress`` is called now and then. Raises sqlite3.Error, OSError:
    nothing half written stays under a backup's name.
    """
    folder = directory / BACKUPS
    folder.mkdir(mode=0o750, exist_ok=True)
    made = folder / f"journal-v{version_of(connection)}.db"
    partial = made.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(partial)) as target:
            connection.backup(target, pages=BACKUP_PAGES, progress=lambda *_: progress(), sleep=0)
        partial.replace(made)
    finally:
        partial.unlink(missing_ok=True)
    for old in backups(directory)[BACKUPS_KEPT:]:
        old.unlink()
    return made


def backups(directory: Path) -> list[Path]:
    """Backups of a store, the newest first."""
    found = (directory / BACKUPS).glob("journal-v*.db")
    return sorted(found, key=lambda file: file.stat().st_mtime_ns, reverse=True)
