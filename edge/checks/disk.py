"""The storage directory: room, filesystem, rights, and how long an fsync takes right now."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edge.checks import Case, Check, Verdict, size
from edge.config_rules import directory_fault, user_name

WRITES = 50
WRITE_BYTES = 4_096
BUDGET_S = 10.0
"""A very slow card is judged by fewer writes."""
WITHOUT_DISK_MS = 1.0
"""Decoding, writing and acknowledging a batch, roughly, milliseconds."""
FASTEST_PER_S = 40_000
"""Beyond this the disk is not what limits."""
SLOW_MS = 50.0
VERY_SLOW_MS = 250.0

FILESYSTEMS: dict[str, tuple[Verdict, str]] = {
    "tmpfs": ("fail", "it is memory: everything is gone after a power cut"),
    "ramfs": ("fail", "it is memory: everything is gone after a power cut"),
    "overlay": (
        "warn",
        "an overlay (container, or a read-only root): it may be gone after a restart",
    ),
    "nfs": ("fail", "SQLite's journal is not safe on a network filesystem"),
    "nfs4": ("fail", "SQLite's journal is not safe on a network filesystem"),
    "cifs": ("fail", "SQLite's journal is not safe on a network filesystem"),
    "9p": ("fail", "SQLite's journal is not safe on a network filesystem"),
    "vfat": ("fail", "FAT has no journal: a power cut can damage every file"),
    "exfat": ("fail", "exFAT has no journal: a power cut can damage every file"),
}
"""Filesystems to warn of; every other is taken as good."""


def check(case: Case) -> list[Check]:
    """What can be examined depends on the rights: without them only that is told."""
    directory = Path(case.config.storage.directory).absolute()
    fault = directory_fault(directory)
    if fault:
        seen, _, cure = fault.partition("; ")
        return [Check("storage rights", "fail", f"{directory}: {seen}", cure)]
    place = next(p for p in (directory, *directory.parents) if p.exists())
    return [
        _rights(directory),
        _room(case, place),
        _filesystem(case, place),
        *_speed(case, place),
    ]


def _rights(directory: Path) -> Check:
    if not directory.exists():
        return Check("storage rights", "ok", f"{directory} is not there yet, and can be made")
    mode = directory.stat().st_mode & 0o777
    locked = [p.name for p in directory.iterdir() if p.is_file() and not os.access(p, os.W_OK)]
    if locked:
        seen = f"user {user_name()} may not write {', '.join(sorted(locked)[:3])} in {directory}"
        cure = f"run as the daemon's user, or: sudo chown -R <its user> {directory}"
        return Check("storage rights", "fail", seen, cure)
    if mode & 0o007:
        seen = f"{directory} has mode {mode:o}: every user of this machine can look into it"
        return Check("storage rights", "warn", seen, f"chmod 750 {directory}")
    return Check("storage rights", "ok", f"{directory}, mode {mode:o}")


def _room(case: Case, place: Path) -> Check:
    storage = case.config.storage
    free = shutil.disk_usage(place).free
    journal = Path(storage.directory)
    used = 0
    with contextlib.suppress(OSError):
        used = sum(f.stat().st_size for f in journal.iterdir() if f.is_file())
    needed = max(0, storage.journal_max_bytes - used) + storage.disk_reserve_bytes
    seen = f"{size(free)} free"
    if free < storage.disk_reserve_bytes:
        seen += f", less than storage.disk_reserve_bytes = {size(storage.disk_reserve_bytes)}"
        return Check(
            "disk room", "fail", f"{seen}: nothing is acknowledged", "make room on the disk"
        )
    if free < needed:
        seen += f", but the journal may grow to {size(storage.journal_max_bytes)}"
        cure = f"lower storage.journal_max_bytes to {max(1, int(free / 2e9))}_000_000_000, or make room"
        return Check("disk room", "warn", seen, cure)
    return Check(
        "disk room", "ok", f"{seen}, the journal takes at most {size(storage.journal_max_bytes)}"
    )


def _filesystem(case: Case, place: Path) -> Check:
    kind, device, options = mount_of(case.text("proc/self/mountinfo"), place.resolve())
    verdict, why = FILESYSTEMS.get(kind, ("ok", ""))
    seen = f"{kind or 'unknown'} on {device or 'unknown'} ({options})"
    cure = "" if verdict == "ok" else "put storage.directory on a local ext4 disk or card"
    return Check("filesystem", verdict, f"{seen}; {why}" if why else seen, cure)


def mount_of(mountinfo: str, path: Path) -> tuple[str, str, str]:
    """Filesystem type, device and options of the mount that holds ``path`` (proc(5), mountinfo)."""
    best, found = -1, ("", "", "")
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        point = Path(left.split()[4].replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= best:
            kind, device, *_ = right.split()
            best, found = len(point.parts), (kind, device, left.split()[5])
    return found


def _speed(case: Case, place: Path) -> Iterator[Check]:
    times_ms = fsync_times_ms(place)
    p50 = times_ms[len(times_ms) // 2] + case.config.storage.fsync_delay_ms
    p99 = (
        times_ms[min(len(times_ms) - 1, len(times_ms) * 99 // 100)]
        + case.config.storage.fsync_delay_ms
    )
    rates = [f"{drain_per_s(n, p50):,} messages/s with {n:,} in flight" for n in (20, 1_000)]
    seen = f"p50 {p50:.2g} ms, p99 {p99:.2g} ms of {len(times_ms)} writes of 4 kB: expect to drain about {' and '.join(rates)}"
    if p50 > SLOW_MS or p99 > VERY_SLOW_MS:
        cure = "use a better card (A2) or an SSD, and let the broker hold 1000 in flight"
        yield Check("disk fsync", "warn", seen, cure)
    else:
        yield Check("disk fsync", "ok", seen)


def drain_per_s(in_flight: int, fsync_ms: float) -> int:
    """QoS 1 messages a second where each commit frees one window of the broker's; it may send more.

    >>> drain_per_s(20, 9.0), drain_per_s(1_000, 9.0)
    (2000, 40000)
    """
    return min(FASTEST_PER_S, round(in_flight / (fsync_ms + WITHOUT_DISK_MS) * 1_000))


def fsync_times_ms(place: Path, writes: int = WRITES) -> list[float]:
    """Milliseconds of appending 4 kB and fsync, sorted, in a temporary file in ``place``."""
    times_ms: list[float] = []
    block = os.urandom(WRITE_BYTES)
    stop = time.monotonic() + BUDGET_S
    with tempfile.TemporaryFile(dir=place) as file:
        while len(times_ms) < writes and (not times_ms or time.monotonic() < stop):
            started = time.perf_counter()
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
            times_ms.append((time.perf_counter() - started) * 1_000)
    return sorted(times_ms)
