"""Which models answer now, and which wait: the daemon's own history of them, read. Changes nothing."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.config import Config
from edge.inference.folder import Folder
from edge.inference.history import FILE_NAME
from edge.inference.manifest import Manifest, Service
from edge.inference.registry import DAEMON, Line, Registry
from trainer.compare import read_manifest


@dataclass(frozen=True, slots=True)
class Standing:
    """How one service stands."""

    service: Service
    active: Path | None
    manifest: Manifest | None
    """Of the active model."""
    newest: Manifest | None
    """Of the newest published version, whatever its state; a starter does not count."""
    complaint: str = ""
    """Why the daemon took a model back since the newest was published; empty: it did not."""

    @property
    def own(self) -> Manifest | None:
        """The active model's manifest, unless it is a starter: that knows nothing of this shop."""
        if self.manifest is None or self.manifest.training.reason == "starter":
            return None
        return self.manifest


def models_directory(config: Config) -> Path:
    """Where the daemon looks for models."""
    return Path(config.models.directory or Path(config.storage.directory) / "models")


def standings(config: Config, services: list[Service]) -> dict[Service, Standing]:
    """How services stand, as far as the folder of models tells."""
    directory = models_directory(config)
    folder, lines = Folder(directory), _lines(directory / FILE_NAME)
    registry = Registry(config.models, "", lines)
    published: dict[Service, list[Manifest]] = {}
    for one in folder.published():
        manifest = read_manifest(one.path)
        if manifest is not None and manifest.training.reason != "starter":
            published.setdefault(one.service, []).append(manifest)
    found = {}
    for service in services:
        version = registry.active(service)
        path = folder.path(service, version.version) if version else None
        newest = max(published.get(service, []), key=lambda m: m.version, default=None)
        found[service] = Standing(
            service,
            path,
            read_manifest(path) if path else None,
            newest,
            _complaint(registry.history[service], newest.version if newest else ""),
        )
    return found


def _lines(path: Path) -> list[Line]:
    """Every whole line; the daemon may be writing the last one."""
    try:
        content = path.read_bytes()
    except OSError:
        return []
    lines = []
    for text in content.rpartition(b"\n")[0].splitlines():
        try:
            lines.append(msgspec.json.decode(text, type=Line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # the daemon mends its file itself
    return lines


def _complaint(lines: list[Line], newest: str) -> str:
    """The last time that the daemon itself took back the newest model."""
    for line in reversed(lines):
        if line.version == newest and line.state == "rejected" and line.who == DAEMON:
            return line.why
    return ""
