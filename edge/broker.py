"""A private Mosquitto with a sane configuration: for the demo, the tests and the benches.

Not a client, and not how a shop runs its broker: a shop lets systemd run it, with the text of
:func:`render` as its configuration. Why each setting is what it is stands beside it, because the
defaults lose events: 1,000 queued messages, a save every 30 minutes, 20 in flight.
"""

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from edge.errors import Rfid3Error

LOOPBACK = "127.0.0.1"
SEARCH_ALSO = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
START_WITHIN_S = 60.0
STOP_WITHIN_S = 10.0


class BrokerError(Rfid3Error):
    """Mosquitto is missing, or would not start; the message says the cure or quotes its log."""


class BrokerSettings(Struct, frozen=True, kw_only=True):
    """What may differ between one private broker and the next."""

    host: str = LOOPBACK
    """Address to listen on."""
    port: int = 0
    """Port; 0 picks a free one."""
    inflight_max: int = 1_000
    """Unacknowledged QoS 1 messages a subscriber may hold; caps its Receive Maximum."""
    queued_max: int = 1_000_000
    """Messages kept for a subscriber that is away."""
    packet_max_bytes: int = 2_097_152
    """Largest packet taken from anybody, bytes."""
    autosave_s: int = 5
    """Seconds between saves of sessions and queues to disk."""
    password_file: str = ""
    """Made by ``mosquitto_passwd``; empty: anybody may connect."""
    acl_file: str = ""
    """Mosquitto access control list; empty: everybody may do everything."""
    ca_file: str = ""
    """Certificate authority, PEM; with it clients must show a certificate of its making."""
    cert_file: str = ""
    """Server certificate, PEM; empty: plain TCP."""
    key_file: str = ""
    """Key of the server certificate, PEM."""


def render(settings: BrokerSettings, directory: Path) -> str:
    """The configuration file, with a reason beside each setting that is not a default.

    >>> text = render(BrokerSettings(port=1884), Path("/var/lib/rfid3/broker"))
    >>> [line for line in text.splitlines() if line.startswith("max_inflight")]
    ['max_inflight_messages 1000']
    """
    user = pwd.getpwuid(os.getuid()).pw_name
    lines = [
        "# Loopback only unless somebody decided otherwise.",
        f"listener {settings.port} {settings.host}",
        f"allow_anonymous {'false' if settings.password_file else 'true'}",
        "# Started by root, Mosquitto would change to a user that cannot write here.",
        f"user {user}",
        "# Queues must survive a restart; by default they are saved every 30 minutes.",
        "persistence true",
        f"persistence_location {directory}/",
        f"autosave_interval {settings.autosave_s}",
        "# The default of 1000 silently drops what an offline subscriber should get;",
        "# 0 (no limit) is broken in 2.0.16.",
        f"max_queued_messages {settings.queued_max}",
        "# Acknowledged after the commit of a batch: a batch must fit in flight (default 20).",
        f"max_inflight_messages {settings.inflight_max}",
        "# Many readers can only publish QoS 0; keep theirs too while the daemon restarts.",
        "queue_qos0_messages true",
        "# A larger packet is refused here, before anybody has to hold it.",
        f"max_packet_size {settings.packet_max_bytes}",
        "set_tcp_nodelay true",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "log_type information",
    ]
    lines += _optional(settings)
    return "\n".join(lines) + "\n"


def _optional(settings: BrokerSettings) -> list[str]:
    files = {
        "password_file": settings.password_file,
        "acl_file": settings.acl_file,
        "cafile": settings.ca_file,
        "certfile": settings.cert_file,
        "keyfile": settings.key_file,
    }
    lines = [f"{word} {path}" for word, path in files.items() if path]
    return [*lines, "require_certificate true"] if settings.ca_file else lines


def find_mosquitto() -> str:
    """Path of the broker's program; Debian keeps it where a user's PATH does not look.

    Raises BrokerError, with the cure, when it is not installed.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SEARCH_ALSO))
    found = shutil.which("mosquitto", path=path)
    if found is None:
        raise BrokerError("mosquitto is not installed: sudo apt-get install mosquitto")
    return found


def free_port(host: str = LOOPBACK) -> int:
    """A TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class Broker:
    """One Mosquitto process in one directory: ``mosquitto.conf``, ``mosquitto.log``, its store.

    A context manager; ``start`` after ``stop`` or ``kill`` keeps the port and the directory, so
    sessions come back as far as they were saved.
    """

    def __init__(self, directory: Path, settings: BrokerSettings | None = None) -> None:
        settings = settings or BrokerSettings()
        self.directory = directory.resolve()
        self.host = settings.host
        self.port = settings.port or free_port(settings.host)
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def config_file(self) -> Path:
        """The configuration it was started with."""
        return self.directory / "mosquitto.conf"

    @property
    def log_file(self) -> Path:
        """What it said."""
        return self.directory / "mosquitto.log"

    @property
    def pid(self) -> int:
        """Process id; 0 when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def start(self) -> None:
        """Start and wait until it listens. Raises BrokerError with the end of its log."""
        assert not self.pid, f"already running as {self.pid}"
        program = find_mosquitto()
        if self._answers():
            raise BrokerError(f"port {self.port} is in use by another program: choose another")
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = _on_port(self._settings, self.port)
        self.config_file.write_text(render(settings, self.directory), encoding="utf-8")
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self.config_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the program that stops us in its turn
            )
        self._wait_until_listening(self._process)

    def stop(self) -> None:
        """Ask it to save and end; kill it when it does not."""
        self._end(gently=True)

    def kill(self) -> None:
        """SIGKILL: what was not saved is lost, as in a power cut."""
        self._end(gently=False)

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

    def _end(self, *, gently: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if gently:
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
        else:
            process.kill()
        process.wait()

    def _wait_until_listening(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and process.poll() is None:
            if self._answers():
                return
            time.sleep(0.01)
        self._end(gently=False)
        raise BrokerError(f"mosquitto did not start; its log ends: {self._last_words()}")

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1.0):
                return True
        except OSError:
            return False

    def _last_words(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(lines[-5:])


def _on_port(settings: BrokerSettings, port: int) -> BrokerSettings:
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return BrokerSettings(**{**values, "port": port})
