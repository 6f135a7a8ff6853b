"""Where the trainer reads and writes on this machine: stores, imports, trained models. Paths only."""

import hashlib
from pathlib import Path

from edge.config import Config
from edge.replay.mysql_rows import is_address
from edge.replay.sources import open_source

IMPORTED = "imported"
"""Folder of imported history, under ``storage.directory``."""
TRAINED = "trained"
"""Folder of trained models that are not published, under ``storage.directory``."""
PIECE_BYTES = 1 << 20
KEPT = 3
"""Trained versions kept of each service."""


def imported_directory(config: Config) -> Path:
    """Where imported history is kept, so that every night learns from it too."""
    return Path(config.storage.directory) / IMPORTED


def trained_directory(config: Config) -> Path:
    """Where ``fit`` leaves its models."""
    return Path(config.storage.directory) / TRAINED


def history(config: Config) -> list[Path]:
    """What there is: imports first, the oldest import foremost, then the daemon's own store.

    The later one wins where two know a day: a newer export of the same rows, and the daemon itself.
    """
    found = sorted(imported_directory(config).glob("*.sqlite"), key=_written)
    own = store(config)
    return [*found, own] if own.exists() else found


def store(config: Config) -> Path:
    """The daemon's own store; it may not be there yet."""
    return Path(config.storage.directory) / "journal.db"


def _written(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def import_path(config: Config, rows: Path, mapping: str, table: str = "") -> Path:
    """Where the history of a file of rows is kept: another name for whatever would come out otherwise.

    That is another content, mapping, table or shop (its time zone says where days end); not another
    place or time of the file. A table of a database is read for it once. Raises OSError, ReplayError.
    """
    digest = hashlib.sha256()
    for told in (mapping, table, repr(config.shop)):
        digest.update(f"{told}\0".encode())
    if (spec := Path(mapping)).is_file():
        digest.update(spec.read_bytes())
    if is_address(rows):
        for row in open_source(rows, table):
            digest.update(repr(row).encode())
    else:
        with rows.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
    return imported_directory(config) / f"{rows.stem}-{digest.hexdigest()[:8]}.sqlite"


def trained(root: Path, service: str) -> list[Path]:
    """Versions of a service that ``fit`` has left, oldest first."""
    folder = root / service
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
