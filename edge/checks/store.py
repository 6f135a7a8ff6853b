"""The local store's tables and their copy in MySQL: versions, what takes the room, how far the copy is."""

from pathlib import Path

from edge.checks import Case, Check, size
from edge.errors import JournalBroken
from edge.storage.figures import CopyFigures, LocalFigures, copy_figures, local_figures, total

LARGEST = 4
BEHIND = 100_000
"""Changes that wait beyond this are a lot."""


def check(case: Case) -> list[Check]:
    """One line of the local store, one of the copy where one is wanted."""
    directory = Path(case.config.storage.directory)
    try:
        local = local_figures(directory)
    except JournalBroken as error:
        return [Check("store", "fail", str(error), "rfid3 db status says more")]
    return [_local(local), *_copy(case, directory)]


def _local(local: LocalFigures) -> Check:
    if not local.version:
        return Check("store", "ok", "there is none yet: the daemon makes it")
    largest = ", ".join(f"{s.table} {size(s.bytes)}" for s in local.sizes[:LARGEST])
    seen = f"version {local.version}, {size(total(local.sizes))} in tables"
    seen += f": {largest}" if largest else ""
    if local.version > local.program_version:
        return Check("store", "fail", f"{seen}; this program knows {local.program_version}",
                     "use the newer program, or put back a file of backups/")  # fmt: skip
    if local.version < local.program_version:
        seen += f"; the daemon brings it up to {local.program_version} when it starts"
    return Check("store", "ok", seen)


def _copy(case: Case, directory: Path) -> list[Check]:
    settings = case.config.mysql
    if not settings.enabled:
        return []
    from edge.storage.mysql import TROUBLE

    where = f"{settings.host}:{settings.port}/{settings.database}"
    try:
        copy = copy_figures(settings, directory)
    except TROUBLE as error:
        seen = (
            f"{where}: {error or type(error).__name__}; the shop goes on, and the copy catches up"
        )
        return [Check("mysql", "warn", seen, "see the server, and user and password in [mysql]")]
    return [_copied(where, copy)]


def _copied(where: str, copy: CopyFigures) -> Check:
    seen = f"{where} ({copy.server}), version {copy.version}, {size(total(copy.sizes))}"
    seen += f", {copy.waiting:,} changes wait"
    if copy.version > copy.program_version:
        return Check("mysql", "fail", f"{seen}; this program knows {copy.program_version}",
                     "use the newer program, or another database")  # fmt: skip
    if copy.waiting > BEHIND:
        return Check("mysql", "warn", seen, "is the daemon running? rfid3 db status, and /healthz")
    return Check("mysql", "ok", seen)
