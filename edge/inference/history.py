"""The registry's history on disk: one JSON line a change of state, appended and synced. Blocking.

A file of its own beside the models, and no table of the local store: it belongs to the folder (who
copies the folder takes along who promoted what, and why), a person can read it, there is nothing to
migrate, and it must outlive a journal that is begun anew. A line that a power cut tore is cut off.
"""

import os
from pathlib import Path

import msgspec
import structlog

from edge.inference.registry import Line

log = structlog.get_logger(__name__)

FILE_NAME = "history.jsonl"
FILE_MAX_BYTES = 4_194_304
"""Beyond this the older half goes, except what says where each version stands."""


class HistoryFile:
    """``directory/history.jsonl``; for one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME

    def read(self) -> list[Line]:
        """Every whole line, oldest first; what is torn or foreign is left out and told."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        whole, _, torn = content.rpartition(b"\n")
        lines, bad = [], bool(torn)
        for text in whole.splitlines():
            try:
                lines.append(msgspec.json.decode(text, type=Line))
            except (msgspec.DecodeError, UnicodeDecodeError):
                bad = True
        if bad:
            log.warning("model_history_damaged", path=str(self._path), kept=len(lines))
            self._rewrite(lines)
        return lines

    def append(self, lines: list[Line]) -> None:
        """Make lines durable. Raises OSError."""
        if not lines:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not self._path.exists()
        with self._path.open("ab") as file:
            file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if fresh:
            _sync(self._path.parent)
        if size > FILE_MAX_BYTES:
            self._shorten()

    def _shorten(self) -> None:
        lines = self.read()
        newest = {(line.service, line.version): i for i, line in enumerate(lines)}
        half = len(lines) // 2
        kept = set(newest.values())
        self._rewrite([line for i, line in enumerate(lines) if i >= half or i in kept])

    def _rewrite(self, lines: list[Line]) -> None:
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._path)
        _sync(self._path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
