"""The folder of models: what is published there. Blocking; believes nothing, loads nothing.

Looking costs a few calls of ``stat``; whether a model may come in is the door's word.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge.inference.manifest import MANIFEST, SERVICES, SIGNATURE, Service

VERSIONS_MAX = 512
"""Most versions of a service that are looked at, the newest by name."""
MANIFEST_MAX_BYTES = 4_194_304


@dataclass(frozen=True, slots=True)
class Published:
    """One folder ``<service>/<version>`` with a manifest in it."""

    service: Service
    version: str
    path: Path
    mark: str
    """Tells its manifest and signature, and so all of its files, from those of any other."""


class Folder:
    """``directory``: one folder a service, in it one a version. Names with a dot in front are not read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._seen: dict[Path, tuple[tuple[int, ...], str]] = {}

    def published(self) -> Iterator[Published]:
        """Every version there is; a manifest is read again only when it changed."""
        for service in SERVICES:
            for path in self._versions(service):
                mark = self._mark(path)
                if mark:
                    yield Published(service, path.name, path, mark)

    def path(self, service: Service, version: str) -> Path:
        """Where a version lives."""
        return self.directory / service / version

    def _versions(self, service: Service) -> list[Path]:
        try:
            with os.scandir(self.directory / service) as entries:
                names = [e.name for e in entries if e.name[0] != "." and e.is_dir()]
        except OSError:
            return []
        return [self.directory / service / name for name in sorted(names)[-VERSIONS_MAX:]]

    def _mark(self, path: Path) -> str:
        try:
            states = [(path / MANIFEST).stat()]
        except OSError:
            return ""
        with suppress(OSError):  # unsigned: the door will say so
            states.append((path / SIGNATURE).stat())
        told = tuple(n for s in states for n in (s.st_mtime_ns, s.st_size, s.st_ino))
        known = self._seen.get(path)
        if known is not None and known[0] == told:
            return known[1]
        digest = hashlib.blake2b(digest_size=12)
        for name in (MANIFEST, SIGNATURE):
            try:
                with (path / name).open("rb") as file:
                    digest.update(file.read(MANIFEST_MAX_BYTES))
            except OSError:
                digest.update(b"-")
        mark = digest.hexdigest()
        self._seen[path] = (told, mark)
        return mark
