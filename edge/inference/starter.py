"""Starter models: shipped with the program, signed by this machine at its first start. No training.

A fresh install has no history to learn from, so the wheel holds one small model a service, trained on
a simulated shop (its manifest says so). Where a service has no version at all, its starter is copied
to the folder of models and signed with the machine's own key. From there on it is a model like any
other: the door examines it, and the first of the shop's own that is better takes its place.

Copying and signing happen in a subprocess: the daemon's own process never holds a private key.
"""

import hashlib
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import structlog

from edge.errors import Rfid3Error
from edge.inference.manifest import MANIFEST, SERVICES, SIGNATURE, Service

log = structlog.get_logger(__name__)

SUMS = "SHA256SUMS"
"""Beside the starters' folders: a digest and a path a line, as ``sha256sum`` writes and checks."""
PACKAGE = Path(__file__).resolve().parents[1]
PATIENCE_S = 120.0


class StarterDamaged(Rfid3Error):
    """A shipped file is not what was shipped, or the subprocess that signs failed."""


def shipped() -> Path:
    """Where the starters are: inside the package, or beside it in a source tree."""
    inside = PACKAGE / "models"
    return inside if inside.is_dir() else PACKAGE.parent / "models"


def needed(models: Path, source: Path | None = None) -> list[Service]:
    """Services that have a starter, and no version of anything in the folder of models."""
    return [
        service for service in SERVICES if _starter(source or shipped(), service) is not None
        and not _versions(models / service)
    ]  # fmt: skip


def install(models: Path, keys: Path) -> None:
    """Copy and sign what is needed, in a subprocess. Blocks about a second; never raises.

    What goes wrong is told and leaves the services to their simple rules.
    """
    wanted: list[Service] = []
    try:
        wanted = needed(models)
        if wanted:
            _run([str(path.absolute()) for path in (shipped(), models, keys)])
            log.info("starter_models", services=wanted)
    except (OSError, subprocess.SubprocessError, StarterDamaged) as error:
        log.warning("starter_models_missing", services=wanted, reason=str(error))


def _run(order: list[str]) -> None:
    """Raises OSError, TimeoutExpired, StarterDamaged with its last word."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "edge.inference.starter", *order],
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode != 0:
        raise StarterDamaged(done.stderr.decode(errors="replace").strip()[-500:])


def copy(source: Path, models: Path, keys: Path) -> list[Path]:
    """What the subprocess does: the folders made. Raises StarterDamaged, KeyProblem, OSError."""
    from edge.inference import keys as signing  # never in the daemon's own process

    sums = _sums(source)
    key = signing.machine_key(keys)
    made = []
    for service in needed(models, source):
        folder = _starter(source, service)
        assert folder is not None, service
        content = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        for name, data in content.items():
            if sums.get(f"{service}/{folder.name}/{name}") != hashlib.sha256(data).hexdigest():
                raise StarterDamaged(
                    f"{folder / name}: it is not the file that was shipped\n"
                    "Cure: install rfid3 again"
                )
        content[SIGNATURE] = signing.sign(content[MANIFEST], key)
        made.append(_appear(models / service / folder.name, content))
    return made


def _starter(source: Path, service: Service) -> Path | None:
    """The newest shipped version of a service."""
    versions = _versions(source / service)
    return versions[-1] if versions else None


def _versions(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if (path / MANIFEST).is_file())


def _sums(source: Path) -> dict[str, str]:
    """Path -> SHA-256 as shipped."""
    lines = (source / SUMS).read_text().splitlines()
    return {path: digest for digest, _, path in (line.partition("  ") for line in lines)}


def _appear(target: Path, content: dict[str, bytes]) -> Path:
    """A folder that is there finished, or not at all."""
    scratch = target.parent / f".{secrets.token_hex(4)}"
    scratch.mkdir(parents=True)
    try:
        for name, data in content.items():
            with (scratch / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def main(words: list[str]) -> int:
    """The subprocess."""
    source, models, keys = (Path(word) for word in words)
    try:
        copy(source, models, keys)
    except (OSError, Rfid3Error) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
