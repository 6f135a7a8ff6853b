"""Where the trainer reads and writes on this machine: stores, imports, trained models. Paths only."""

import hashlib
from pathlib import Path

from edge.config import Config

IMPORTED = "imported"
"""Folder of imported history, under ``storage.directory``."""
TRAINED = "trained"
"""Folder of trained models that are not published, under ``storage.directory``."""
KEPT = 3
"""Trained versions kept of each service."""


def imported_directory(config: Config) -> Path:
    """Where imported history is kept, so that every night learns from it too."""
    return Path(config.storage.directory) / IMPORTED


def trained_directory(config: Config) -> Path:
    """Where ``fit`` leaves its models."""
    return Path(config.storage.directory) / TRAINED


def history(config: Config) -> list[Path]:
    """What there is: imports first, then the daemon's own store, which wins where both know a day."""
    found = sorted(imported_directory(config).glob("*.sqlite"))
    store = Path(config.storage.directory) / "journal.db"
    return [*found, store] if store.exists() else found


def import_path(config: Config, rows: Path, mapping: str) -> Path:
    """Where the history of a file of rows is kept: another name for another content or mapping."""
    state = rows.stat()
    told = f"{rows.resolve()} {state.st_size} {state.st_mtime_ns} {mapping}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:8]
    return imported_directory(config) / f"{rows.stem}-{digest}.sqlite"


def trained(root: Path, service: str) -> list[Path]:
    """Versions of a service that ``fit`` has left, oldest first."""
    folder = root / service
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
