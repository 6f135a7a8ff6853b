"""What every bench shares: the machine's name, tables, JSON, and the last accepted run beside them.

Measures nothing itself and passes no judgement: a goal stands beside its figure, and a miss is
shown as a miss.
"""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from edge import __version__
from edge.broker import BrokerError, find_mosquitto

RESULTS = Path(__file__).resolve().parent / "results"
ACCEPTED = RESULTS / "accepted.json"
LATEST = RESULTS / "latest.json"

Row = dict[str, Any]
Better = Literal["higher", "lower", "neither"]


class Figure(Struct, kw_only=True):
    """One number worth comparing from run to run."""

    name: str
    value: float
    unit: str = ""
    better: Better = "lower"
    goal: float | None = None
    """The goal; none: the figure explains another."""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; ``None`` without a goal.

        >>> Figure(name="rate", value=5.0, better="higher", goal=4.0).met
        True
        """
        if self.goal is None:
            return None
        return self.value >= self.goal if self.better == "higher" else self.value <= self.goal


class Result(Struct, kw_only=True):
    """What one bench found."""

    name: str
    title: str
    caveat: str
    """What the numbers do not say."""
    figures: list[Figure]
    tables: dict[str, list[Row]] = {}
    notes: list[str] = []
    """How it was measured this time, and what was left out."""
    took_s: float = 0.0
    quick: bool = False


class Run(Struct, kw_only=True):
    """Everything one ``make bench`` found, as it is written to a file."""

    machine: Row
    results: dict[str, Result]


@dataclass
class Context:
    """What a bench gets: a place to write, how thorough to be, and where to say how far it is."""

    directory: Path
    quick: bool = False
    tiny: bool = False
    """As small as it can be and still go through every step: for the tests."""
    say: Callable[[str, float], None] = lambda text, share: None
    """Told what is being done now, and the share of the bench that is done, 0 to 1."""
    shared: dict[str, Any] = field(default_factory=dict)
    """What one bench prepared and another may use, by name."""

    def size(self, full: int, quick: int, tiny: int) -> int:
        """The size that fits the thoroughness asked for."""
        return tiny if self.tiny else quick if self.quick else full

    def seconds(self, full: float, quick: float, tiny: float) -> float:
        """The time that fits the thoroughness asked for, seconds."""
        return tiny if self.tiny else quick if self.quick else full

    def room(self, name: str) -> Path:
        """A new, empty directory below :attr:`directory`."""
        path = self.directory / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path


@dataclass(frozen=True, slots=True)
class Bench:
    """One entry of the table in ``__main__``."""

    name: str
    title: str
    measure: Callable[[Context], Result]
    costs: float = 1.0
    """Share of the time of a whole run, any unit: for the progress bar."""


def result(
    name: str,
    title: str,
    doc: str | None,
    figures: Sequence[Figure],
    tables: Mapping[str, list[Row]] | None = None,
    notes: Sequence[str] = (),
) -> Result:
    """A :class:`Result` whose caveat is the second paragraph of a bench's docstring."""
    caveat = " ".join((doc or "").split("\n\n")[1].split())
    return Result(
        name=name,
        title=title,
        caveat=caveat,
        figures=list(figures),
        tables=dict(tables or {}),
        notes=list(notes),
    )


# -- the machine ------------------------------------------------------------------------------------


def machine(directory: Path) -> Row:
    """Everything about this machine that moves the figures; ``directory`` is what is written to."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "file_system": _file_system(directory),
        "fsync_ms": round(_fsync_ms(directory), 3),
        "python": platform.python_version(),
        "mosquitto": _mosquitto(),
        "packages": {
            name: metadata.version(name)
            for name in ("numpy", "mqtt5", "msgspec", "uvloop", "aiohttp")
        },
        "rfid3": __version__,
        "load_before": round(os.getloadavg()[0], 2),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def scheduling() -> str:
    """For a bench's notes: how the kernel serves us beside others, and how many want to be served."""
    policies = {os.SCHED_OTHER: "as anybody", os.SCHED_RR: "first", os.SCHED_FIFO: "first"}
    policy = policies.get(os.sched_getscheduler(0), "in another way")
    return f"The kernel served us {policy}; load average {os.getloadavg()[0]:.1f}."


def _processor() -> str:
    """The model's name; a Raspberry Pi tells its own in the device tree."""
    board = Path("/proc/device-tree/model")
    if board.exists():
        return board.read_text(errors="replace").strip("\0\n ")
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _file_system(directory: Path) -> str:
    """Type of the file system that holds ``directory``: the longest mount point above it."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, type_, *_ = line.split()
        if directory.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, type_
    return kind


def _fsync_ms(directory: Path) -> float:
    """Median of 21 fsyncs after 4 KB each, milliseconds."""
    path, took = directory / "fsync.probe", []
    with path.open("wb", buffering=0) as file:
        for _ in range(21):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    path.unlink()
    return median(took) * 1e3


def _mosquitto() -> str:
    try:
        program = find_mosquitto()
    except BrokerError:
        return "not installed"
    told = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout
    return told.partition("\n")[0].removeprefix("mosquitto version ").strip()


def named(about: Row) -> str:
    """The machine in one line."""
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    return (
        f"{about['processor']}, {about['cores']} cores, {about['memory_mb']:,} MB, "
        f"{about['architecture']}, {about['system']}, {about['file_system']} "
        f"(fsync {about['fsync_ms']:g} ms), Python {about['python']}, "
        f"Mosquitto {about['mosquitto']}, {packages}; load before the run {about['load_before']:g}"
    )


# -- files ------------------------------------------------------------------------------------------


def write(run: Run, directory: Path = RESULTS) -> None:
    """One JSON file a bench, and all of them in ``latest.json``."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, found in run.results.items():
        one = {"machine": run.machine, **msgspec.to_builtins(found)}
        _write_json(directory / f"{name}.json", one)
    kept = read(directory / LATEST.name)
    if kept is not None and kept.machine["processor"] == run.machine["processor"]:
        run = Run(machine=run.machine, results=kept.results | run.results)
    _write_json(directory / LATEST.name, run)


def accept(run: Run, path: Path = ACCEPTED) -> None:
    """Make these results the ones that later runs are compared with; others stay as they are."""
    kept = read(path)
    results = (kept.results if kept else {}) | run.results
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_json(path, Run(machine=run.machine, results=results))


def read(path: Path) -> Run | None:
    """A run from a file; ``None`` where there is none."""
    return msgspec.json.decode(path.read_bytes(), type=Run) if path.exists() else None


def _write_json(path: Path, content: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


# -- on the terminal --------------------------------------------------------------------------------


def number(value: float) -> str:
    """A number as people read it.

    >>> [number(x) for x in (123456.7, 12.345, 0.0123, 1.0, float("nan"))]
    ['123,457', '12.3', '0.0123', '1', '-']
    """
    if value != value:
        return "-"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def verdict(figure: Figure) -> str:
    """The goal, and whether it is reached."""
    if figure.goal is None:
        return ""
    sign = "≥" if figure.better == "higher" else "≤"
    return f"{sign} {number(figure.goal)}: {'reached' if figure.met else 'MISSED'}"


def change(figure: Figure, before: Figure | None) -> str:
    """How the figure stands to the accepted run's.

    >>> change(Figure(name="a", value=12.0, better="higher"), Figure(name="a", value=10.0))
    '10 (+20 %, better)'
    """
    if before is None or before.value != before.value:
        return "new"
    if not before.value:
        return number(before.value)
    share = figure.value / before.value - 1
    if figure.better == "neither" or abs(share) < 0.005:
        word = ""
    else:
        word = ", better" if (share > 0) == (figure.better == "higher") else ", worse"
    return f"{number(before.value)} ({share:+.0%}{word})".replace("%", " %")


def show(console: Console, found: Result, accepted: Result | None) -> None:
    """Print one bench: what it does not say, its figures, its tables, its notes."""
    console.rule(f"[bold]{found.title}[/bold]  ({found.name}, {found.took_s:.0f} s)", align="left")
    console.print(found.caveat, style="dim", highlight=False)
    if accepted is not None and accepted.quick != found.quick:
        console.print("The accepted run was of another size: no comparison.", style="yellow")
        accepted = None
    before = {f.name: f for f in accepted.figures} if accepted else {}
    table = Table("figure", "value", "unit", "goal", "last accepted run")
    for f in found.figures:
        style = {True: "green", False: "bold red", None: ""}[f.met]
        told = change(f, before.get(f.name)) if accepted else "none"
        table.add_row(f.name, number(f.value), f.unit, f"[{style}]{verdict(f)}[/]" if style else "",
                      told)  # fmt: skip
    table.columns[1].justify = "right"
    console.print(table)
    for title, rows in found.tables.items():
        _show_rows(console, title, rows)
    for note in found.notes:
        console.print(f"• {note}", highlight=False)
    console.print()


def _show_rows(console: Console, title: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    head = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(*head, title=title, title_justify="left", title_style="")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*(_cell(row.get(key, "")) for key in head))
    console.print(table)


def _cell(value: Any) -> str:
    return number(value) if isinstance(value, int | float) else str(value)


class Bar:
    """One progress bar over all benches; ``say`` of a :class:`Context` moves it."""

    def __init__(self, console: Console, benches: Sequence[Bench]) -> None:
        columns = (TextColumn("{task.description:<60}"), BarColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("", total=sum(b.costs for b in benches))
        self._done = 0.0
        self._bench: Bench | None = None

    def begin(self, bench: Bench) -> None:
        """This bench runs now; what ran before is done."""
        self._done += self._bench.costs if self._bench else 0.0
        self._bench = bench
        self.say("", 0.0)

    def say(self, text: str, share: float) -> None:
        """What is being done, and the share of the present bench that is done."""
        assert self._bench is not None
        told = f"{self._bench.name}: {text}"[:60]
        done = self._done + share * self._bench.costs
        self._progress.update(self._task, description=told, completed=done)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
