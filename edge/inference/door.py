"""The door: whether a model's folder may come in. No onnx, no cryptography, no numpy here.

Cheap looks come first, in this process: names, kinds of files, links, sizes. What passes is looked
at by ``door_check.py`` in a subprocess with budgets of memory and time, which alone parses what a
stranger may have written. A verdict names the SHA-256 of every file it speaks of;
``load_verified`` reads the folder again and believes only those bytes.
"""

import contextlib
import hashlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from edge.config import Models
from edge.errors import Rfid3Error
from edge.inference.manifest import (
    ENTITIES,
    GOLDEN,
    MANIFEST,
    MODEL,
    SIGNATURE,
    Entities,
    Golden,
    Manifest,
    decode_manifest,
)

MANIFEST_MAX_BYTES = 1_048_576
SIGNATURE_MAX_BYTES = 4_096
MB = 1_000_000
STARTUP_S = 30.0
"""Time the subprocess may take before it looks at anything: a cold Pi imports slowly."""
PROGRAM = ("-m", "edge.inference.door_check")
"""What the subprocess runs."""


class Reason(StrEnum):
    """Why a folder was refused; the first that was found."""

    NOT_A_FOLDER = "not_a_folder"
    MISSING_FILE = "missing_file"
    UNEXPECTED_FILE = "unexpected_file"
    NOT_A_FILE = "not_a_file"
    HARD_LINK = "hard_link"
    TOO_BIG = "too_big"
    WRONG_SIZE = "wrong_size"
    UNREADABLE = "unreadable"
    MANIFEST = "manifest"
    UNTRUSTED = "untrusted"
    BAD_SIGNATURE = "bad_signature"
    ALTERED = "altered"
    WRONG_PLACE = "wrong_place"
    CATALOGUE = "catalogue"
    FEATURE = "feature"
    GRAPH = "graph"
    OPSET = "opset"
    OPERATOR = "operator"
    EXTERNAL_DATA = "external_data"
    TENSOR = "tensor"
    INTERFACE = "interface"
    ENTITIES = "entities"
    GOLDEN = "golden"
    DOES_NOT_LOAD = "does_not_load"
    DOES_NOT_RUN = "does_not_run"
    WRONG_ANSWER = "wrong_answer"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    TOO_SLOW = "too_slow"
    OUT_OF_MEMORY = "out_of_memory"
    OUT_OF_TIME = "out_of_time"
    CRASHED = "crashed"
    NO_CHECK = "no_check"


_PUBLISH = "train and publish it again: rfid3 train"
_COPY = "copy the folder again from where it was published"

CURES: dict[Reason, str] = {
    Reason.NOT_A_FOLDER: "a version is a real folder models/<service>/<version>, no link: copy it",
    Reason.MISSING_FILE: _COPY,
    Reason.UNEXPECTED_FILE: "take out of the folder whatever its manifest does not name",
    Reason.NOT_A_FILE: "copy the files themselves, no links and no special files",
    Reason.HARD_LINK: "copy the file instead of linking it: who owns the other name could change it",
    Reason.TOO_BIG: "train a smaller model, or raise models.model_max_bytes",
    Reason.WRONG_SIZE: _COPY,
    Reason.UNREADABLE: "let the user of the daemon read the folder and its files",
    Reason.MANIFEST: f"publish it with this version of rfid3; {_PUBLISH}",
    Reason.UNTRUSTED: "if you trust who made it: rfid3 keys trust FILE with their public key",
    Reason.BAD_SIGNATURE: _COPY,
    Reason.ALTERED: f"somebody or the disk changed it: {_COPY}",
    Reason.WRONG_PLACE: "put it into models/<service>/<version> as its manifest names them",
    Reason.CATALOGUE: f"it was trained on other features than this version has: {_PUBLISH}",
    Reason.FEATURE: _PUBLISH,
    Reason.GRAPH: _PUBLISH,
    Reason.OPSET: "export it with this version's trainer, which knows the operator sets",
    Reason.OPERATOR: "export it with operators on the list in docs/models.md",
    Reason.EXTERNAL_DATA: "export it in one file: weights outside the model are never loaded",
    Reason.TENSOR: _PUBLISH,
    Reason.INTERFACE: _PUBLISH,
    Reason.ENTITIES: _PUBLISH,
    Reason.GOLDEN: _PUBLISH,
    Reason.DOES_NOT_LOAD: _PUBLISH,
    Reason.DOES_NOT_RUN: _PUBLISH,
    Reason.WRONG_ANSWER: _PUBLISH,
    Reason.NOT_FINITE: f"let the model answer every row, missing values too; {_PUBLISH}",
    Reason.OUT_OF_RANGE: f"clip the answers in the graph, or declare their true range; {_PUBLISH}",
    Reason.TOO_SLOW: "train a smaller model",
    Reason.OUT_OF_MEMORY: "train a smaller model, or raise models.budget_mb",
    Reason.OUT_OF_TIME: "train a smaller model, or raise models.budget_s",
    Reason.CRASHED: f"do not use it: it ended the process that tried it; {_PUBLISH}",
    Reason.NO_CHECK: "the check itself could not run: rfid3 doctor; then ask again",
}
"""What helps, by reason."""


class Limits(Struct, frozen=True, kw_only=True):
    """What a model may take."""

    memory_mb: int = 512
    """Address space beyond what the empty check takes, MB."""
    seconds: float = 20.0
    """Wall clock, and processor time, for one folder."""
    model_max_bytes: int = 33_554_432
    folder_max_bytes: int = 67_108_864
    """All files together."""
    row_p50_us: float = 2_000.0
    """Processor time of one row, median."""
    row_p99_us: float = 5_000.0
    """The same, 99 of 100: no call may hold the loop longer than 5 ms."""
    golden_rows_min: int = 64

    @classmethod
    def of(cls, models: Models) -> "Limits":
        """As the configuration says."""
        largest = models.model_max_bytes
        return cls(
            memory_mb=models.budget_mb,
            seconds=models.budget_s,
            model_max_bytes=largest,
            folder_max_bytes=2 * largest,
        )


class Verdict(Struct, frozen=True, kw_only=True):
    """What the door says of a folder."""

    folder: str
    ok: bool = False
    reason: Reason | None = None
    """``None`` when it may come in."""
    where: str = ""
    """File, node or tensor, or row."""
    detail: str = ""
    cure: str = ""
    manifest: Manifest | None = None
    """Only of what may come in."""
    key: str = ""
    """Id of the key that signed it."""
    sha256: dict[str, str] = {}
    """File -> hex digest of what was looked at, manifest and signature too."""
    p50_us: float = 0.0
    """Processor time of one row in the check, median."""
    p99_us: float = 0.0
    seconds: float = 0.0
    """What looking took."""

    def __str__(self) -> str:
        """One paragraph for people."""
        if self.ok:
            return f"{self.folder}: good, signed by {self.key}, one row {self.p50_us:.0f} µs"
        where = f" ({self.where})" if self.where else ""
        return f"{self.folder}: {self.reason}{where}: {self.detail}\nCure: {self.cure}"


class Order(Struct, frozen=True, kw_only=True):
    """What the subprocess is told on stdin: JSON."""

    folders: list[str]
    trusted: str
    limits: Limits


class Refused(Rfid3Error):
    """A folder may not come in. ``where`` is a file, a node, a row."""

    def __init__(self, reason: Reason, where: str, detail: str) -> None:
        super().__init__(f"{reason} ({where}): {detail}")
        self.reason, self.where, self.detail = reason, where[:200], detail[:1000]

    def verdict(self, folder: str, seconds: float = 0.0) -> Verdict:
        """The same as a verdict, with its cure."""
        return Verdict(
            folder=folder,
            reason=self.reason,
            where=self.where,
            detail=self.detail,
            cure=CURES[self.reason],
            seconds=seconds,
        )


class Loaded(Struct, frozen=True, kw_only=True):
    """A model's bytes as the verdict knew them."""

    manifest: Manifest
    model: bytes
    entities: Entities | None
    golden: Golden


# --- reading a folder: only regular files, under one name each, of the size that was told ----------


def read_folder(
    folder: Path, limits: Limits, *, signed: bool = True
) -> tuple[Manifest, dict[str, bytes]]:
    """Its manifest, and the bytes of every file by name. Raises Refused."""
    with _opened(folder) as directory:
        names = _names(folder, directory)
        content = {MANIFEST: _read(directory, MANIFEST, MANIFEST_MAX_BYTES)}
        if signed:
            content[SIGNATURE] = _read(directory, SIGNATURE, SIGNATURE_MAX_BYTES)
        manifest = _manifest(content[MANIFEST])
        sizes = _sizes(manifest, limits)
        _compare_names(names, {*content, *sizes})
        for name, size in sizes.items():
            content[name] = _read(directory, name, size, exactly=True)
    return manifest, content


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    try:
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        denied = isinstance(error, PermissionError)
        reason = Reason.UNREADABLE if denied else Reason.NOT_A_FOLDER
        raise Refused(reason, folder.name, _told(error)) from error
    try:
        yield directory
    finally:
        os.close(directory)


def _names(folder: Path, directory: int) -> set[str]:
    """At most a few; a folder of millions is not listed to its end."""
    names: set[str] = set()
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                names.add(entry.name)
                if len(names) > 16:
                    break
    except OSError as error:
        raise Refused(Reason.UNREADABLE, folder.name, _told(error)) from error
    return names


def _compare_names(found: set[str], told: set[str]) -> None:
    if extra := sorted(found - told):
        raise Refused(Reason.UNEXPECTED_FILE, extra[0], "the manifest does not name it")
    if absent := sorted(told - found):
        raise Refused(Reason.MISSING_FILE, absent[0], "the manifest names it, but it is not there")


def _manifest(content: bytes) -> Manifest:
    try:
        return decode_manifest(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.MANIFEST, MANIFEST, f"it cannot be read: {error}") from error


def _sizes(manifest: Manifest, limits: Limits) -> dict[str, int]:
    """Size of each file that the manifest names. Raises Refused, also for a name that is no file's."""
    sizes: dict[str, int] = {}
    for file in manifest.files:
        if file.name not in (MODEL, GOLDEN, ENTITIES) or file.name in sizes or file.size_bytes < 0:
            raise Refused(Reason.MANIFEST, MANIFEST, f"no model has the file {file.name[:64]!r}")
        sizes[file.name] = file.size_bytes
    for name in (MODEL, GOLDEN):
        if name not in sizes:
            raise Refused(Reason.MANIFEST, MANIFEST, f"it names no {name}")
    if sizes[MODEL] > limits.model_max_bytes:
        said = f"{sizes[MODEL]:,} bytes; models.model_max_bytes is {limits.model_max_bytes:,}"
        raise Refused(Reason.TOO_BIG, MODEL, said)
    if (total := sum(sizes.values())) > limits.folder_max_bytes:
        said = f"{total:,} bytes together; at most {limits.folder_max_bytes:,}"
        raise Refused(Reason.TOO_BIG, MANIFEST, said)
    return sizes


def _read(directory: int, name: str, size: int, *, exactly: bool = False) -> bytes:
    """A file's bytes, at most (or exactly) ``size`` of them. Never waits on a pipe or a device."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(name, flags, dir_fd=directory)
    except FileNotFoundError as error:
        raise Refused(Reason.MISSING_FILE, name, "it is not there") from error
    except PermissionError as error:
        raise Refused(Reason.UNREADABLE, name, _told(error)) from error
    except OSError as error:  # a link (ELOOP), a socket (ENXIO)
        raise Refused(Reason.NOT_A_FILE, name, _told(error)) from error
    try:
        seen = os.fstat(handle)
        if not stat.S_ISREG(seen.st_mode):
            raise Refused(Reason.NOT_A_FILE, name, "it is no regular file")
        if seen.st_nlink != 1:
            raise Refused(Reason.HARD_LINK, name, f"the file has {seen.st_nlink} names")
        if exactly and seen.st_size != size:
            said = f"{seen.st_size:,} bytes, the manifest says {size:,}"
            raise Refused(Reason.WRONG_SIZE, name, said)
        if seen.st_size > size:
            raise Refused(Reason.TOO_BIG, name, f"{seen.st_size:,} bytes; at most {size:,}")
        return _all(handle, seen.st_size)
    except OSError as error:
        raise Refused(Reason.UNREADABLE, name, _told(error)) from error
    finally:
        os.close(handle)


def _all(handle: int, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := os.read(handle, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _told(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def digests(content: dict[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file, hex."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}


# --- asking the subprocess --------------------------------------------------------------------------


def inspect(folder: Path, trusted: Path, limits: Limits) -> Verdict:
    """Whether the folder may come in. Blocks for about a second: call it in a thread.

    ``trusted`` is the folder of public keys. Never raises for what the folder holds.
    """
    return inspect_many([folder], trusted, limits)[0]


def inspect_many(
    folders: Sequence[Path], trusted: Path, limits: Limits, program: Sequence[str] = PROGRAM
) -> list[Verdict]:
    """The same for many folders: one warm subprocess, which gives each a process of its own.

    ``program`` is what Python runs; tests put a check there that is broken on purpose.
    """
    verdicts: dict[int, Verdict] = {}
    for i, folder in enumerate(folders):
        try:
            read_folder(folder, limits)
        except Refused as refused:
            verdicts[i] = refused.verdict(str(folder))
    left = [i for i in range(len(folders)) if i not in verdicts]
    if left:
        answers = _ask([folders[i] for i in left], trusted, limits, program)
        verdicts.update(zip(left, answers, strict=True))
    return [verdicts[i] for i in range(len(folders))]


def _ask(
    folders: Sequence[Path], trusted: Path, limits: Limits, program: Sequence[str]
) -> list[Verdict]:
    """One verdict a folder, from the subprocess; what it did not answer is refused."""
    told = [str(folder.absolute()) for folder in folders]
    order = Order(folders=told, trusted=str(trusted.absolute()), limits=limits)
    output, why = _run(program, msgspec.json.encode(order), _patience(len(told), limits))
    verdicts: list[Verdict] = []
    for line, folder in zip(output.splitlines(), told, strict=False):
        try:
            verdict = msgspec.json.decode(line, type=Verdict)
        except msgspec.DecodeError:
            break
        if verdict.folder != folder:
            break
        verdicts.append(verdict)
    silent = Refused(Reason.NO_CHECK, "subprocess", why)
    return verdicts + [silent.verdict(folder) for folder in told[len(verdicts) :]]


def _patience(folders: int, limits: Limits) -> float:
    """Seconds until the subprocess is ended; it ends each folder's process itself before that."""
    return STARTUP_S + folders * (limits.seconds + 1.0)


def _run(program: Sequence[str], order: bytes, timeout_s: float) -> tuple[bytes, str]:
    """What the subprocess wrote, and how it ended. It is killed with all its children when late."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
    except OSError as error:
        return b"", f"it could not be started: {_told(error)}"
    try:
        output, errors = process.communicate(order, timeout_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        output, errors = process.communicate()
        return output, f"it was ended after {timeout_s:.0f} s"
    finally:
        _kill(process)
    last = errors.decode(errors="replace").strip().splitlines()[-1:]
    return output, f"it ended with {process.returncode}: {''.join(last)}"


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """No secrets of ours, no settings of others; one thread for linear algebra."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TZ")}
    package = Path(__file__).resolve().parents[2]
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(package)}


# --- after the verdict ------------------------------------------------------------------------------


def load_verified(folder: Path, verdict: Verdict, limits: Limits | None = None) -> Loaded:
    """Read the folder once more and give its parts, if they are what the verdict spoke of.

    Raises Refused (ALTERED) when anything changed since, and for a verdict that refused.
    """
    if not verdict.ok or verdict.manifest is None:
        raise Refused(verdict.reason or Reason.ALTERED, verdict.where, verdict.detail)
    manifest, content = read_folder(folder, limits or Limits())
    for name, digest in digests(content).items():
        if verdict.sha256.get(name) != digest:
            raise Refused(Reason.ALTERED, name, "it changed after it was inspected")
    entities = content.get(ENTITIES)
    return Loaded(
        manifest=manifest,
        model=content[MODEL],
        entities=msgspec.msgpack.decode(entities, type=Entities) if entities is not None else None,
        golden=msgspec.msgpack.decode(content[GOLDEN], type=Golden),
    )
