"""The daemon as a process of its own: its configuration, its start, its stop, and what /proc says.

Not the daemon, and nothing is measured inside it: processor time and memory come from the kernel,
counters from its API, asked seldom enough not to matter.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from bench.workload import READERS
from edge.broker import free_port
from edge.errors import Rfid3Error

READY_WITHIN_S = 120.0
STOP_WITHIN_S = 60.0
POLL_S = 0.02
AS_THE_SERVICE = {"NUMPY_MADVISE_HUGEPAGE": "0", "MALLOC_ARENA_MAX": "2"}
"""What ``systemd/rfid3.service`` sets and memory depends on."""

_TICKS = os.sysconf("SC_CLK_TCK")

Tables = Mapping[str, Mapping[str, Any]]


class DaemonError(Rfid3Error):
    """The daemon ended, or did not get where it should in time; the message quotes its log."""


class Memory(NamedTuple):
    """Of one process, MB (2**20 bytes)."""

    rss: float
    pss: float
    peak: float


def configuration(
    directory: Path, broker_port: int, settings: Tables | None = None, *, bind: str = ""
) -> str:
    """A ``config.toml`` for the workload's shop; ``settings`` replaces or adds values by table.

    ``broker_port`` 0 switches MQTT off. Models are off unless ``settings`` say otherwise: what the
    stream core costs is measured without them, and what they cost beside it.
    """
    tables: dict[str, dict[str, Any]] = {
        "mqtt": {
            "enabled": broker_port > 0,
            "port": broker_port or 1883,
            "client_id": "rfid3-bench",
        },
        "storage": {"directory": str(directory / "store")},
        "api": {"bind": bind or f"127.0.0.1:{free_port()}"},
        "log": {"format": "json"},
        "models": {"enabled": False},
    }
    for name, values in (settings or {}).items():
        tables.setdefault(name, {}).update(values)
    parts = [
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
        for name, values in tables.items()
    ]
    parts.append('[[sources]]\ntopic = "handheld/+/scans"\nformat = "rfid3"\nreader_level = 1')
    parts += [
        f'[[zones]]\nname = "zone{i}"\nreaders = ["reader{i}", "reader{i + 1}"]'
        for i in range(0, READERS, 2)
    ]
    return "\n\n".join(parts) + "\n"


class DaemonProcess:
    """``python -m edge run`` in ``directory``; a context manager that stops it cleanly."""

    def __init__(
        self, directory: Path, broker_port: int = 0, settings: Tables | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.store = directory / "store"
        self.bind = f"127.0.0.1:{free_port()}"
        self._config = directory / "config.toml"
        self._log = directory / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.configure(broker_port, settings)

    def configure(self, broker_port: int, settings: Tables | None = None) -> None:
        """Write the configuration that the next start reads."""
        text = configuration(self.directory, broker_port, settings, bind=self.bind)
        self._config.write_text(text, encoding="utf-8")

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://{self.bind}"

    def start(self) -> float:
        """Start it and wait until ``/readyz`` says 200; how long that took, seconds."""
        assert self._process is None, self._process
        began = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edge", "run", "-c", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | AS_THE_SERVICE,
                start_new_session=True,  # Ctrl-C is for us, who stop it in our turn
            )
        self.pid = self._process.pid
        self.wait(self.ready, READY_WITHIN_S, "ready")
        return time.perf_counter() - began

    def ready(self) -> bool:
        """Whether ``/readyz`` answers 200."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5.0) as got:
                return bool(got.status == 200)
        except OSError:
            return False

    def get(self, path: str) -> Any:
        """The JSON behind ``path``. Raises DaemonError when nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=30.0) as got:
                return json.loads(got.read())
        except OSError as error:
            raise DaemonError(f"{path}: {error}; its log ends: {self.last_words()}") from error

    def stats(self) -> dict[str, Any]:
        """Every counter, by group."""
        found: dict[str, Any] = self.get("/api/stats")
        return found

    def wait(self, until: Callable[[], bool], within_s: float, what: str) -> None:
        """Ask again and again. Raises DaemonError when it ends or ``within_s`` is over."""
        deadline = time.monotonic() + within_s
        while not until():
            if self._process is None or self._process.poll() is not None:
                raise DaemonError(f"the daemon ended before it was {what}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise DaemonError(f"not {what} within {within_s:g} s: {self.last_words()}")
            time.sleep(POLL_S)

    def stop(self, watch: Callable[[], None] = lambda: None) -> float:
        """Ask it to stop and wait, calling ``watch`` meanwhile; how long that took, seconds."""
        process, self._process = self._process, None
        if process is None:
            return 0.0
        began = time.perf_counter()
        process.terminate()
        while process.poll() is None and time.perf_counter() - began < STOP_WITHIN_S:
            watch()
            time.sleep(0.005)
        if process.poll() is None:
            process.kill()
        process.wait()
        return time.perf_counter() - began

    def kill(self) -> None:
        """SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def cpu_s(self) -> float:
        """User and system time of all its threads, seconds; in steps of 10 ms."""
        text = Path(f"/proc/{self.pid}/stat").read_text()
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / _TICKS

    def written_bytes(self) -> int:
        """Bytes it caused to be written to the disk so far, in whole pages."""
        return _field(Path(f"/proc/{self.pid}/io"), "write_bytes")

    def memory(self) -> Memory:
        """What it holds now, and the most it ever held."""
        status = Path(f"/proc/{self.pid}/status")
        pss = _field(Path(f"/proc/{self.pid}/smaps_rollup"), "Pss")
        return Memory(_field(status, "VmRSS") / 1024, pss / 1024, _field(status, "VmHWM") / 1024)

    def peak_mb(self) -> float:
        """The most it ever held, MB; 0 once it is gone."""
        try:
            return _field(Path(f"/proc/{self.pid}/status"), "VmHWM") / 1024
        except (OSError, StopIteration):
            return 0.0

    def last_words(self) -> str:
        """The end of its log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(lines[-4:])[-800:]

    def logged(self, event: str) -> dict[str, Any]:
        """The newest log line of that event; empty where there is none."""
        for line in reversed(self._log.read_text(encoding="utf-8").splitlines()):
            if line.startswith("{") and (found := json.loads(line)).get("event") == event:
                return dict(found)
        return {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _field(path: Path, name: str) -> int:
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])
