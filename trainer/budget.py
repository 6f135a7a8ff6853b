"""Work with a budget: a process of its own, watched from outside, ended when it takes too much.

No models here: a program is given an order on stdin (JSON) and tells how it goes, a JSON line at a
time. Whoever takes more memory or time than allowed is ended with all its children; the rest goes on.

Memory is what is resident, summed over the process and its children; address space means little for
numerical libraries, which reserve much and use little. A limit of the kernel on written data
(``RLIMIT_DATA``) catches what grows faster than it is looked at.
"""

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

MB = 1_048_576
LOOK_EVERY_S = 0.2
"""How often memory and time are looked at."""
BURST = 2
"""The kernel's limit on data, in budgets."""
LINE_MAX_BYTES = 4 * MB
ERRORS_KEPT_BYTES = 8_192


class Budget(Struct, frozen=True, kw_only=True):
    """What one piece of work may take."""

    memory_mb: int = 1_536
    """Resident memory, MB (2**20 bytes)."""
    seconds: float = 1_800.0
    """Time on the clock."""
    nice: int = 10
    """How far it steps back for others: 0 to 19."""


class Ended(StrEnum):
    """How it ended."""

    DONE = "done"
    """It gave its answer."""
    MEMORY = "memory"
    """It was ended: it took too much memory."""
    TIME = "time"
    """It was ended: it took too long."""
    CRASHED = "crashed"
    """It ended itself without an answer."""


class Spent(Struct, frozen=True, kw_only=True):
    """What it took."""

    seconds: float
    cpu_s: float
    """Processor time, of all its threads."""
    peak_mb: float
    """Most resident memory that was seen, MB."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of it."""

    ended: Ended
    spent: Spent
    answer: msgspec.Raw = msgspec.Raw()
    """JSON, only with ``done``."""
    detail: str = ""
    """Why not, in words."""


class Said(Struct, frozen=True, kw_only=True):
    """One line of the program: how far it is, or its answer, the last line."""

    say: str = ""
    share: float = 0.0
    """Done, 0 to 1."""
    answer: msgspec.Raw = msgspec.Raw()
    """JSON; empty: not yet."""


Say = Callable[[str, float], None]
"""Told what is being done, and the share that is done."""


def run(
    program: Sequence[str],
    order: bytes,
    budget: Budget,
    say: Say = lambda text, share: None,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Run ``python program…`` within the budget; blocks until it has ended. Never raises for it."""
    began, cpu_before = time.monotonic(), _children_cpu_s()
    process = subprocess.Popen(
        [sys.executable, *program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if environment is None else dict(environment),
        start_new_session=True,
    )
    watched = _Watched(process, budget, say)
    try:
        ended, detail = watched.until_it_ends(order)
    finally:
        _end(process)
    spent = Spent(
        seconds=round(time.monotonic() - began, 3),
        cpu_s=round(_children_cpu_s() - cpu_before, 3),
        peak_mb=round(watched.peak_bytes / MB, 1),
    )
    answer = watched.answer if ended is Ended.DONE else msgspec.Raw()
    return Outcome(ended=ended, spent=spent, answer=answer, detail=detail)


def limit_self(budget: Budget) -> None:
    """In the program itself, before its work: step back for others, and let the kernel watch."""
    os.nice(max(budget.nice - os.nice(0), 0))
    most = budget.memory_mb * MB * BURST
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def tell(said: Said) -> None:
    """In the program itself: one line to whoever watches."""
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


class _Watched:
    """One process under watch."""

    def __init__(self, process: "subprocess.Popen[bytes]", budget: Budget, say: Say) -> None:
        self.peak_bytes = 0
        self.answer = msgspec.Raw()
        self._process = process
        self._budget = budget
        self._say = say
        self._looked_at = 0.0
        self._errors = b""
        self._line = b""

    def until_it_ends(self, order: bytes) -> tuple[Ended, str]:
        """How it ended, and in words why."""
        deadline = time.monotonic() + self._budget.seconds
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(order)
            process.stdin.close()
        with selectors.DefaultSelector() as pipes:
            pipes.register(process.stdout, selectors.EVENT_READ, self._heard)
            pipes.register(process.stderr, selectors.EVENT_READ, self._complained)
            while pipes.get_map():
                for key, _ in pipes.select(LOOK_EVERY_S):
                    if not key.data(os.read(key.fd, 65_536)):
                        pipes.unregister(key.fileobj)
                if why := self._too_much(deadline):
                    return why
        return self._after(deadline)

    def _after(self, deadline: float) -> tuple[Ended, str]:
        """Its pipes are closed; it has moments to end."""
        try:
            code = self._process.wait(max(deadline - time.monotonic(), LOOK_EVERY_S))
        except subprocess.TimeoutExpired:
            return Ended.TIME, self._late()
        if code == 0 and bytes(self.answer):
            return Ended.DONE, ""
        if b"MemoryError" in self._errors or b"bad_alloc" in self._errors:
            return Ended.MEMORY, f"{self._full()}: it asked for far more at once"
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        last = self._errors.decode(errors="replace").strip().splitlines()[-1:]
        return Ended.CRASHED, f"{how}: {''.join(last) or 'it said nothing'}"

    def _too_much(self, deadline: float) -> tuple[Ended, str] | None:
        now = time.monotonic()
        if now < self._looked_at + LOOK_EVERY_S:
            return None
        self._looked_at = now
        taken = resident_bytes(self._process.pid)
        self.peak_bytes = max(self.peak_bytes, taken)
        if taken > self._budget.memory_mb * MB:
            return Ended.MEMORY, f"{self._full()}: it took {taken / MB:,.0f} MB"
        if now > deadline:
            return Ended.TIME, self._late()
        return None

    def _full(self) -> str:
        return f"ended at {self._budget.memory_mb:,} MB of memory"

    def _late(self) -> str:
        return f"ended after {self._budget.seconds:,.0f} s"

    def _heard(self, content: bytes) -> bool:
        *lines, self._line = (self._line + content).split(b"\n")
        self._line = self._line[:LINE_MAX_BYTES]
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError):  # a library that talks
                said = msgspec.json.decode(line, type=Said)
                if bytes(said.answer):
                    self.answer = msgspec.Raw(bytes(said.answer))
                else:
                    self._say(said.say, said.share)
        return bool(content)

    def _complained(self, content: bytes) -> bool:
        self._errors = (self._errors + content)[-ERRORS_KEPT_BYTES:]
        return bool(content)


def resident_bytes(session: int) -> int:
    """Resident memory of all processes of a session, bytes; 0 once they are gone."""
    total = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                told = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                total += int(told[21]) if int(told[3]) == session else 0
    return total * os.sysconf("SC_PAGE_SIZE")


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _end(process: "subprocess.Popen[bytes]") -> None:
    """It and all that it started; then forget it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
