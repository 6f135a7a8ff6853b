"""A private MariaDB and a private Redis, for tests and benches.

Not a client, and not how a shop runs its database: a shop has one already, or lets systemd run it.
Each server lives in one directory, listens on a free port of the loopback and ends with its block.
Its settings are made for a quick start and for a machine with little memory.
"""

import os
import pwd
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.broker import LOOPBACK, free_port
from edge.errors import Rfid3Error

SEARCH_ALSO = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec")
START_WITHIN_S = 180.0
STOP_WITHIN_S = 30.0


class ServerError(Rfid3Error):
    """A program is missing or would not start; the message says the cure or quotes its log."""


def find(program: str, package: str) -> str:
    """Path of a server's program; Debian keeps some where a user's PATH does not look.

    Raises ServerError, with the cure, when it is not installed.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SEARCH_ALSO))
    found = shutil.which(program, path=path)
    if found is None:
        raise ServerError(f"{program} is not installed: sudo apt-get install {package}")
    return found


class Server(ABC):
    """One process in one directory with its log; ``start`` after ``stop`` or ``kill`` goes on."""

    name = "server"

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory = directory.resolve()
        self.host = LOOPBACK
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What is started."""

    def prepare(self) -> None:
        """What must be there before the first start."""
        self.directory.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def greets(self, connection: socket.socket) -> bool:
        """Whether it answers as such a server does once it is ready."""

    @property
    def log_file(self) -> Path:
        """What it said."""
        return self.directory / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """Process id; 0 when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def start(self) -> None:
        """Start and wait until it answers. Raises ServerError with the end of its log."""
        assert not self.pid, f"already running as {self.pid}"
        self.prepare()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,  # Ctrl-C is for the program that stops us in its turn
            )
        self._wait(self._process)

    def stop(self) -> None:
        """Ask it to save and end; kill it when it does not."""
        process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self._end()

    def kill(self) -> None:
        """SIGKILL, as in a power cut."""
        if self._process is not None:
            self._process.kill()
        self._end()

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

    def _end(self) -> None:
        if self._process is not None:
            self._process.wait()
        self._process = None

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and process.poll() is None:
            if self._ready():
                return
            time.sleep(0.02)
        self.kill()
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        raise ServerError(f"{self.name} did not start; its log ends: {' | '.join(lines[-5:])}")

    def _ready(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1.0) as connection:
                return self.greets(connection)
        except OSError:
            return False


class MariaDb(Server):
    """One ``mariadbd``; its user ``root`` has no password, as only this machine reaches it."""

    name = "mariadbd"

    def prepare(self) -> None:
        """Lay out the data directory, once."""
        super().prepare()
        if (self.directory / "data").exists():
            return
        find("mariadbd", "mariadb-server")
        made = subprocess.run(
            [
                find("mariadb-install-db", "mariadb-server"),
                "--no-defaults",
                f"--user={_user()}",
                f"--datadir={self.directory / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
                "--innodb-log-file-size=4M",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise ServerError(
                f"mariadb-install-db failed: {made.stdout[-500:]}{made.stderr[-500:]}"
            )

    def command(self) -> list[str]:
        """A small server that keeps what it confirmed through ``kill -9``."""
        return [
            find("mariadbd", "mariadb-server"),
            "--no-defaults",
            f"--user={_user()}",
            f"--datadir={self.directory / 'data'}",
            f"--bind-address={self.host}",
            f"--port={self.port}",
            f"--socket={self.directory / 's'}",
            f"--pid-file={self.directory / 'pid'}",
            "--skip-name-resolve",
            "--performance-schema=OFF",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=4M",
            # a crash of the process loses nothing; only one of the machine would
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=nosync",
            "--innodb-file-per-table=OFF",  # no file and no wait for each table that a test makes
            "--sync-frm=OFF",
        ]

    def greets(self, connection: socket.socket) -> bool:
        """Its first packet is a handshake of protocol 10."""
        head = connection.recv(5)
        return len(head) == 5 and head[4] == 10


class Redis(Server):
    """One ``redis-server``; nothing is saved on the disk."""

    name = "redis-server"

    def command(self) -> list[str]:
        """No file is read or written."""
        return [
            find("redis-server", "redis-server"),
            *("--bind", self.host),
            *("--port", str(self.port)),
            *("--save", ""),
            *("--appendonly", "no"),
            *("--dir", str(self.directory)),
        ]

    def greets(self, connection: socket.socket) -> bool:
        """It answers a ping."""
        connection.sendall(b"PING\r\n")
        return connection.recv(7).startswith(b"+PONG")


def _user() -> str:
    """Started by root, MariaDB wants to be told so."""
    return pwd.getpwuid(os.getuid()).pw_name
