"""What the daemon says: structlog set up once, for a terminal, a pipe or the system's journal.

Not a place that decides what to say, and never a place where payloads or secrets pass: bytes are
shown as their length, secrets as ``***``, long texts are cut. A line below the configured level
costs one call of an empty function.

The journal is spoken to in its own protocol rather than through prefixed lines on standard error:
only so does every pair become a field that can be asked for
(``journalctl RFID3_EVENT=broker_lost RFID3_HOST=...``), and one datagram without an answer is
cheaper than a pipe that may fill up. The loop is never held up: what the journal cannot take at
once is counted, and the next line that gets through says how many were lost.

Source: systemd.journal-fields(7), the native journal protocol, JOURNAL_STREAM in systemd.exec(5).
"""

import json
import logging
import os
import re
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from edge.config import Log

JOURNAL_SOCKET = "/run/systemd/journal/socket"
TEXT_MAX = 4_000
"""Longest text of one pair, characters; a traceback keeps its end."""
SECRET = re.compile(r"passw|secret|token|authorization|api_?key", re.IGNORECASE)
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog(3) priorities by level name."""
QUIET_LIBRARIES = ("aiohttp.access", "asyncio", "aiohttp")
"""Never below warning: they speak once a request or a connection."""

Format = Literal["text", "json", "journald"]


def configure(settings: Log, journal: str = JOURNAL_SOCKET) -> None:
    """Set up logging for the whole process; call it once, before the first line.

    ``journal`` is the path of the journal's datagram socket.
    """
    chosen = choose_format(settings, os.environ, sys.stderr.fileno() if _has_fd() else -1)
    sink: _Stderr | Journal = Journal(journal) if chosen == "journald" else _Stderr()
    structlog.configure(
        processors=[*_COMMON, _RENDERERS[chosen]()],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=lambda *_args: sink,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_FromStandardLibrary()]
    root.setLevel(LEVELS[settings.level])
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(LEVELS[settings.level], logging.WARNING))


def choose_format(settings: Log, environ: Mapping[str, str], descriptor: int) -> Format:
    """The configured format, or for ``auto`` the one that fits where standard error leads.

    Text on a terminal; journald when the service manager says that this very descriptor is its
    journal (``JOURNAL_STREAM`` is device:inode); else JSON lines.
    """
    if settings.format != "auto":
        return settings.format
    if descriptor < 0:
        return "json"
    if os.isatty(descriptor):
        return "text"
    status = os.fstat(descriptor)
    leads_to_journal = environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    return "journald" if leads_to_journal else "json"


def datagram(event: EventDict) -> bytes:
    r"""One entry in the journal's native protocol: ``NAME=value`` lines, long form for newlines.

    >>> datagram({"event": "link_up", "level": "info", "port": 1883}).decode().splitlines()
    ... # doctest: +NORMALIZE_WHITESPACE
    ['MESSAGE=link_up port=1883', 'PRIORITY=6', 'SYSLOG_IDENTIFIER=rfid3',
     'RFID3_EVENT=link_up', 'RFID3_PORT=1883']
    """
    name, level = str(event.get("event", "")), str(event.get("level", "info"))
    pairs = {key: _plain(value) for key, value in event.items() if key not in _NOT_PAIRS}
    trace = pairs.get("exception", "")
    words = [f"{key}={text}" for key, text in pairs.items() if key != "exception"]
    message = " ".join([name, *words]) + (f"\n{trace}" if trace else "")
    fields = {
        "MESSAGE": message,
        "PRIORITY": str(PRIORITIES.get(level, 6)),
        "SYSLOG_IDENTIFIER": "rfid3",
        "RFID3_EVENT": name,
    }
    fields |= {field_name(key): text for key, text in pairs.items()}
    return b"".join(_field(key, text.encode(errors="replace")) for key, text in fields.items())


def field_name(key: str) -> str:
    """Our key as a journal field: upper case, at most 64 characters, prefixed so it hides none.

    >>> field_name("latency-ms.max")
    'RFID3_LATENCY_MS_MAX'
    """
    return ("RFID3_" + re.sub(r"[^A-Z0-9_]", "_", key.upper()))[:64]


class Journal:
    """The journal's socket as a structlog logger: one datagram a line, never waits."""

    def __init__(self, path: str = JOURNAL_SOCKET) -> None:
        """Open a socket; the path is looked up line by line, so a restarted journal is found."""
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self.lost = 0
        """Lines lost since one last got through."""

    def write(self, **event: Any) -> None:
        """Send one line; a full journal loses it (counted), a missing one sends it to stderr."""
        if self.lost:
            event["lines_lost"] = self.lost
        entry = datagram(event)
        try:
            self._socket.sendto(entry, self._path)
        except BlockingIOError:
            self.lost += 1
        except OSError:
            level = str(event.get("level", "info"))
            print(f"<{PRIORITIES.get(level, 6)}>{_json(event)}", file=sys.stderr, flush=True)
        else:
            self.lost = 0

    debug = info = warning = error = critical = write


class _Stderr:
    """Standard error as it is now (a test or a demo may have replaced it), a line at a time."""

    def write(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    debug = info = warning = error = critical = write


class _FromStandardLibrary(logging.Handler):
    """What libraries say through ``logging`` takes the same way, with their name as ``logger``."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        known = record.levelname.lower()
        say = getattr(log, known if known in LEVELS else "warning")
        say("library", logger=record.name, message=record.getMessage(), exc_info=record.exc_info)


_NOT_PAIRS = ("event", "level", "timestamp")


def _has_fd() -> bool:
    """Whether standard error is a real descriptor (under a test it may be none)."""
    try:
        return sys.stderr.fileno() >= 0
    except (OSError, ValueError, AttributeError):
        return False


def _field(name: str, value: bytes) -> bytes:
    """One field: ``NAME=value``, or with a length in front where the value has a newline."""
    if b"\n" not in value:
        return b"%s=%s\n" % (name.encode(), value)
    return b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(value)), value)


def _plain(value: object) -> str:
    """A value as people read it: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _json(event: Mapping[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(event, default=str, ensure_ascii=False)


def _shown(key: str, value: object) -> object:
    """A pair's value as it may be shown: no secrets, no payloads, no long texts."""
    if SECRET.search(key):
        return "***"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, str) and len(value) > TEXT_MAX:
        if key == "exception":
            return "… " + value[-TEXT_MAX:]
        return value[:TEXT_MAX] + f" … ({len(value)} characters)"
    return value


def _guarded(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Every pair as it may be shown."""
    return {key: _shown(key, value) for key, value in event.items()}


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """The event's name first, then its pairs."""
    return _json({"event": event.pop("event", ""), **event})


def _as_pairs(
    _logger: WrappedLogger, _method: str, event: EventDict
) -> tuple[tuple[()], EventDict]:
    """Nothing rendered: the journal takes the pairs themselves."""
    return (), event


def _text_renderer() -> Processor:
    """Colours on a terminal, plain tracebacks."""
    return structlog.dev.ConsoleRenderer(
        colors=_has_fd() and sys.stderr.isatty(),
        exception_formatter=structlog.dev.plain_traceback,
    )


_COMMON: tuple[Processor, ...] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    _guarded,
)
_RENDERERS: dict[Format, Callable[[], Processor]] = {
    "text": _text_renderer,
    "json": lambda: _as_json,
    "journald": lambda: _as_pairs,
}
