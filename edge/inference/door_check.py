"""``python -m edge.inference.door_check``: looks into models' folders so that the daemon need not.

Started by ``door.py`` with an order on stdin (JSON); writes one verdict a line to stdout. Each folder
gets a process of its own, forked from this warm one, with limits on memory, processor time and wall
clock. Before anything in the folder is parsed that process gives up the right to open any file or
socket, to write, and to start processes.
"""

import ctypes
import hashlib
import os
import re
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from edge.features import catalog
from edge.inference import door_graph, door_run, keys
from edge.inference.door import (
    MB,
    Limits,
    Order,
    Reason,
    Refused,
    Verdict,
    digests,
    read_folder,
)
from edge.inference.drift import BINS_MAX
from edge.inference.manifest import (
    ENTITIES,
    FORMAT,
    GOLDEN,
    MANIFEST,
    MODEL,
    SIGNATURE,
    Manifest,
    Tensor,
)

VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
VERDICT_MAX_BYTES = 8 * MB
MANY = 1 << 40
"""No training sample is as large."""
HORIZON_DAYS_MAX = 400
"""What happened is known for so many days back: nobody could judge what looks further ahead."""
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


@dataclass
class Case:
    """One folder under inspection, and what the checks found out so far."""

    folder: Path
    content: dict[str, bytes]
    manifest: Manifest
    limits: Limits
    trusted: dict[str, keys.Trusted] = field(default_factory=dict)
    key: str = ""
    sample: door_run.Sample | None = None
    session: Any = None
    p50_us: float = 0.0
    p99_us: float = 0.0


# --- the checks, in the order in which they are made -------------------------------------------------


def signature(case: Case) -> None:
    """A trusted key signed the manifest's bytes."""
    try:
        case.key = keys.verify(case.content[MANIFEST], case.content[SIGNATURE], case.trusted)
    except keys.Untrusted as error:
        raise Refused(Reason.UNTRUSTED, SIGNATURE, str(error)) from error
    except keys.BadSignature as error:
        raise Refused(Reason.BAD_SIGNATURE, SIGNATURE, str(error)) from error


def files(case: Case) -> None:
    """Every file is byte for byte the one that the manifest names."""
    for file in case.manifest.files:
        if hashlib.sha256(case.content[file.name]).hexdigest() != file.sha256:
            raise Refused(Reason.ALTERED, file.name, "its SHA-256 is not the manifest's")


def place(case: Case) -> None:
    """The folder is where a model of this service and version belongs."""
    told = case.manifest
    if told.format != FORMAT:
        raise Refused(Reason.MANIFEST, MANIFEST, f"format {told.format}; this version: {FORMAT}")
    if (case.folder.parent.name, case.folder.name) != (told.service, told.version):
        where = f"{case.folder.parent.name}/{case.folder.name}"
        raise Refused(Reason.WRONG_PLACE, where, f"it is {told.service}/{told.version[:64]}")
    digest = hashlib.sha256(case.content[MODEL]).hexdigest()
    if not VERSION.fullmatch(told.version) or not told.version.endswith(digest[:8]):
        raise Refused(
            Reason.MANIFEST, MANIFEST, f"version {told.version[:64]!r} is not the model's"
        )
    try:
        moment = datetime.fromisoformat(told.created_at)
    except ValueError as error:
        raise Refused(Reason.MANIFEST, MANIFEST, f"created_at: {error}") from error
    if moment.strftime("%Y%m%dT%H%M%SZ") != told.version.partition("-")[0]:
        raise Refused(Reason.MANIFEST, MANIFEST, "created_at is not the version's moment")


def catalogue(case: Case) -> None:
    """It was trained on this version's features."""
    told = case.manifest
    if told.catalogue != catalog.catalogue_hash():
        said = f"{told.catalogue[:40]!r}; here {catalog.catalogue_hash()!r}"
        raise Refused(Reason.CATALOGUE, MANIFEST, said)
    known = catalog.BY_ENTITY.get(told.entity, {})
    for name in told.features:
        if told.entity != "pair" and name not in known:
            raise Refused(Reason.FEATURE, MANIFEST, f"{told.entity} has no feature {name[:64]!r}")
    if len(set(told.features)) != len(told.features):
        raise Refused(Reason.FEATURE, MANIFEST, "a feature twice")


def shapes(case: Case) -> None:
    """Inputs, outputs and columns of the manifest agree with each other."""
    told = case.manifest
    inputs, outputs = _by_name(told.inputs), _by_name(told.outputs)
    expected: dict[str, tuple[int, list[str | int]]] = {
        "x": (len(told.features), ["n", len(told.features)]),
        "s": (len(told.side), ["n", len(told.side)]),
        "offset": (told.offsets, [told.offsets]),
    }
    for name, (size, shape) in expected.items():
        if (name in inputs) != (size > 0) and (name != "x" or name in inputs):
            raise Refused(Reason.MANIFEST, MANIFEST, f"input {name!r} does not fit the manifest")
        if name in inputs and inputs[name].shape != shape:
            raise Refused(Reason.MANIFEST, MANIFEST, f"input {name!r} must be {shape}")
    if not told.columns or "y" not in outputs or outputs["y"].shape != ["n", len(told.columns)]:
        raise Refused(Reason.MANIFEST, MANIFEST, "y must be [n, a number for each column]")
    if len({column.name for column in told.columns}) != len(told.columns):
        raise Refused(Reason.MANIFEST, MANIFEST, "a column twice")


def told(case: Case) -> None:
    """What the manifest says of columns and training samples can be worked with, day after day."""
    manifest = case.manifest
    for column in manifest.columns:
        if not 0 <= column.horizon_days <= HORIZON_DAYS_MAX:
            said = f"{column.name[:64]!r} looks {column.horizon_days:g} days ahead"
            raise Refused(Reason.MANIFEST, MANIFEST, f"{said}; 0 to {HORIZON_DAYS_MAX}")
        if column.quantile is not None and not 0 < column.quantile < 1:
            said = f"{column.name[:64]!r} is a quantile of level {column.quantile:g}"
            raise Refused(Reason.MANIFEST, MANIFEST, f"{said}; levels are between 0 and 1")
    for name, bins in (*manifest.feature_bins.items(), *manifest.output_bins.items()):
        rising = all(a < b for a, b in zip(bins.edges, bins.edges[1:], strict=False))
        whole = len(bins.counts) == len(bins.edges) + 1 and rising
        counts = [*bins.counts, bins.missing]
        if not whole or len(bins.counts) > BINS_MAX or not 0 <= min(counts) <= max(counts) < MANY:
            raise Refused(Reason.MANIFEST, MANIFEST, f"the bins of {name[:64]!r} are none")


def _by_name(tensors: list[Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for tensor in tensors:
        odd = any(size < 1 if isinstance(size, int) else not size for size in tensor.shape)
        if not tensor.name or tensor.name in found or odd:
            raise Refused(
                Reason.MANIFEST, MANIFEST, f"tensor {tensor.name[:64]!r} is not well told"
            )
        found[tensor.name] = tensor
    return found


def graph(case: Case) -> None:
    """Nothing in the graph that is not on a list (``door_graph.py``)."""
    door_graph.examine(case.content[MODEL], case.manifest, case.limits.model_max_bytes)


def entities(case: Case) -> None:
    """The table of constants is whole."""
    door_run.entities(case.content.get(ENTITIES), case.manifest)


def golden(case: Case) -> None:
    """There are golden rows to hold it against."""
    case.sample = door_run.golden(case.content[GOLDEN], case.manifest, case.limits.golden_rows_min)


def load(case: Case) -> None:
    """onnxruntime takes it."""
    case.session = door_run.load(case.content[MODEL])


def answers(case: Case) -> None:
    """It answers the golden rows as Python did."""
    assert case.sample is not None
    door_run.answers(case.session, case.manifest, case.sample)


def probes(case: Case) -> None:
    """It answers rows nobody trained on, within its range."""
    assert case.sample is not None
    door_run.probes(case.session, case.manifest, case.sample)


def pace(case: Case) -> None:
    """A single row gets the same answer, soon enough."""
    assert case.sample is not None
    case.p50_us, case.p99_us = door_run.pace(case.session, case.manifest, case.sample, case.limits)


Check = Callable[[Case], None]
SIGNED: tuple[Check, ...] = (signature, files)
"""Who made it, and that nobody changed it since."""
SOUND: tuple[Check, ...] = (
    *(place, catalogue, shapes, told, graph),
    *(entities, golden, load, answers, probes, pace),
)
"""That it is a good model; the exporter asks the same."""
CHECKS: dict[str, Check] = {check.__name__: check for check in (*SIGNED, *SOUND)}


def examine(case: Case) -> Verdict:
    """All checks in this process. Raises Refused for the first that fails."""
    for check in CHECKS.values():
        check(case)
    return Verdict(
        folder=str(case.folder),
        ok=True,
        manifest=case.manifest,
        key=case.key,
        sha256=digests(case.content),
        p50_us=case.p50_us,
        p99_us=case.p99_us,
    )


def sound(folder: Path, limits: Limits) -> Case:
    """What the exporter asks of a folder that is not signed yet. Raises Refused."""
    manifest, content = read_folder(folder, limits, signed=False)
    case = Case(folder, content, manifest, limits)
    for check in SOUND:
        check(case)
    return case


# --- one folder, one process -------------------------------------------------------------------------


def _inspect(folder: Path, trusted: dict[str, keys.Trusted], limits: Limits) -> Verdict:
    """In the child: read, close every door, look."""
    started = time.monotonic()
    try:
        manifest, content = read_folder(folder, limits)
        _close_doors()
        verdict = examine(Case(folder, content, manifest, limits, trusted))
    except Refused as refused:
        verdict = refused.verdict(str(folder))
    except MemoryError:
        starved = Refused(Reason.OUT_OF_MEMORY, MODEL, "it took more memory than it may")
        verdict = starved.verdict(str(folder))
    except Exception as error:  # a check met what nobody thought of: no reason to let it in
        unforeseen = Refused(Reason.CRASHED, MODEL, f"{type(error).__name__}: {error}")
        verdict = unforeseen.verdict(str(folder))
    return msgspec.structs.replace(verdict, seconds=time.monotonic() - started)


def _close_doors() -> None:
    """No file, socket or process can be opened from here on."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _budget(limits: Limits, base_bytes: int) -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    seconds = max(1, round(limits.seconds))
    memory = base_bytes + limits.memory_mb * MB
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _child(folder: Path, trusted: dict[str, keys.Trusted], limits: Limits, answer: int) -> None:
    """Never returns. What it cannot say itself, its exit code does."""
    code = 1
    try:
        silent = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(silent, standard)
        _budget(limits, _address_space())
        line = msgspec.json.encode(_inspect(folder, trusted, limits))
        while line:
            line = line[os.write(answer, line) :]
        code = 0
    finally:
        os._exit(code)


def _address_space() -> int:
    """Bytes that this process has mapped."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def verdict_of(folder: Path, trusted: dict[str, keys.Trusted], limits: Limits) -> Verdict:
    """Fork, wait as long as the budget allows, and say how it went."""
    started = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(folder, trusted, limits, writing)
    os.close(writing)
    line, late = _hear(reading, started + limits.seconds)
    os.close(reading)
    if late:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - started
    if not late and status == 0:
        return msgspec.json.decode(line, type=Verdict)
    return _ending(status, late, limits).verdict(str(folder), seconds)


def _hear(reading: int, deadline: float) -> tuple[bytes, bool]:
    """What the child wrote until it ended, and whether it took too long (or wrote too much)."""
    parts: list[bytes] = []
    size = 0
    while size <= VERDICT_MAX_BYTES:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            return b"", True
        part = os.read(reading, 65_536)
        if not part:
            return b"".join(parts), False
        parts.append(part)
        size += len(part)
    return b"", True


def _ending(status: int, late: bool, limits: Limits) -> Refused:
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if late or killed == signal.SIGXCPU:
        return Refused(Reason.OUT_OF_TIME, MODEL, f"not done after {limits.seconds:g} s")
    how = f"signal {killed}" if killed else f"exit code {os.waitstatus_to_exitcode(status)}"
    return Refused(Reason.CRASHED, MODEL, f"the process that tried it ended with {how}")


def main() -> None:
    """Read the order, answer a line a folder."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    trusted, _ = keys.trusted_keys(Path(order.trusted))
    for folder in order.folders:
        verdict = verdict_of(Path(folder), trusted, order.limits)
        # On one line: a service's own constants (``extra``) come as they stand in the manifest.
        line = msgspec.json.format(msgspec.json.encode(verdict), indent=-1)
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
