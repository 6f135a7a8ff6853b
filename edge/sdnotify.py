"""Tell the service manager how we are: a datagram or two to systemd. No threads, no timers.

Whether we are healthy enough to feed the watchdog is decided elsewhere (``app.py``); here the words
are only sent. Without a service manager (``NOTIFY_SOCKET`` unset) every call does nothing.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

import os
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Self


def watchdog_interval_s(environ: Mapping[str, str], pid: int) -> float | None:
    """How often the watchdog wants to be fed at the very least, seconds; None: there is none.

    Feed it at half of this. A watchdog that is meant for another process is not ours.

    >>> watchdog_interval_s({"WATCHDOG_USEC": "30000000"}, pid=7)
    30.0
    >>> watchdog_interval_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, pid=7) is None
    True
    """
    micros = environ.get("WATCHDOG_USEC", "")
    owner = environ.get("WATCHDOG_PID", str(pid))
    if not micros.isascii() or not micros.isdigit() or int(micros) == 0 or owner != str(pid):
        return None
    return int(micros) / 1e6


def _address(text: str) -> str:
    """``@name`` is an abstract socket, a path a file; anything else is not spoken here."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


class Notifier:
    """One datagram socket towards the service manager; use it as ``with Notifier(os.environ)``."""

    def __init__(self, environ: Mapping[str, str], pid: int | None = None) -> None:
        """Read ``NOTIFY_SOCKET`` and the watchdog's wish; nothing is sent yet."""
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        self._status = ""
        self.watchdog_interval_s = watchdog_interval_s(environ, os.getpid() if pid is None else pid)
        """Longest time between two :meth:`watchdog` calls, seconds; None: nobody waits for them."""
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def __enter__(self) -> Self:
        """The notifier itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the socket."""
        self.close()

    def close(self) -> None:
        """Give the socket back; later calls do nothing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def listening(self) -> bool:
        """Whether a service manager asked to be told."""
        return self._socket is not None

    def ready(self, status: str = "") -> bool:
        """Start-up is over: whoever waits for the service may go on."""
        return self._send("READY=1", status)

    def status(self, text: str) -> bool:
        """One line for ``systemctl status``; the same line twice is sent once."""
        return text == self._status or self._send("", text)

    def watchdog(self) -> bool:
        """Still making progress; to be called at least every :attr:`watchdog_interval_s`."""
        return self._send("WATCHDOG=1")

    def stopping(self, status: str = "") -> bool:
        """The clean stop has begun."""
        return self._send("STOPPING=1", status)

    def extend(self, seconds: float) -> bool:
        """Starting or stopping takes this much longer, seconds from now (a long replay says so)."""
        assert seconds > 0, seconds
        return self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def _send(self, words: str, status: str = "") -> bool:
        """Hand over one datagram; False when nobody took it (no manager, or its queue is full)."""
        if self._socket is None:
            return False
        line = " ".join(status.split())
        parts = [words] if words else []
        if line:
            parts.append(f"STATUS={line}")
        try:
            self._socket.sendto("\n".join(parts).encode(), self._address)
        except OSError:
            return False  # The manager is restarting; the next feed is a moment away.
        if line:
            self._status = status
        return True
