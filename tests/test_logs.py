"""Lines arrive where they should: a real datagram socket, a real terminal, a real pipe."""

import contextlib
import json
import logging
import os
import pty
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from edge.config import Log
from edge.logs import TEXT_MAX, Journal, choose_format, configure, datagram, field_name


def parse(entry: bytes) -> dict[str, str]:
    """The journal's side of its native protocol, as its documentation tells it."""
    fields: dict[str, str] = {}
    while entry:
        line, _, rest = entry.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", rest[:8])
            value, end, rest = rest[8 : 8 + size], rest[8 + size : 9 + size], rest[9 + size :]
            assert end == b"\n"
        fields[name.decode()] = value.decode()
        entry = rest
    return fields


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Other tests find logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """The journal's end of the socket, at ``tmp_path / "journal"``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "journal"))
        end.settimeout(5)
        yield end


def logger_to_journal(tmp_path: Path, level: str = "info") -> Any:
    configure(Log(format="journald", level=level), str(tmp_path / "journal"))  # type: ignore[arg-type]
    return structlog.get_logger()


def test_every_pair_is_a_field_that_the_journal_can_index(
    journal: socket.socket, tmp_path: Path
) -> None:
    logger_to_journal(tmp_path).warning("reader_silent", reader="dock-1", seconds=120)
    fields = parse(journal.recv(65_536))
    assert fields == {
        "MESSAGE": "reader_silent reader=dock-1 seconds=120",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "rfid3",
        "RFID3_EVENT": "reader_silent",
        "RFID3_READER": "dock-1",
        "RFID3_SECONDS": "120",
    }


def test_a_traceback_keeps_its_lines(journal: socket.socket, tmp_path: Path) -> None:
    log = logger_to_journal(tmp_path)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("broken")
    fields = parse(journal.recv(65_536))
    assert fields["PRIORITY"] == "3"
    assert fields["RFID3_EXCEPTION"].endswith("ValueError: two\nlines")
    assert "Traceback" in fields["MESSAGE"]


def test_payloads_secrets_and_long_texts_are_not_shown(
    journal: socket.socket, tmp_path: Path
) -> None:
    log = logger_to_journal(tmp_path)
    log.info("connected", payload=b"\x00" * 99, mqtt_password="hush", note="x" * 9_000)
    fields = parse(journal.recv(65_536))
    assert fields["RFID3_PAYLOAD"] == "<99 bytes>"
    assert fields["RFID3_MQTT_PASSWORD"] == "***"
    assert len(fields["RFID3_NOTE"]) < TEXT_MAX + 50
    assert "hush" not in str(fields)


def test_a_value_cannot_forge_a_field(journal: socket.socket, tmp_path: Path) -> None:
    logger_to_journal(tmp_path).info("odd", reader="a\nPRIORITY=0\nMESSAGE=forged")
    fields = parse(journal.recv(65_536))
    assert fields["PRIORITY"] == "6"
    assert fields["RFID3_READER"] == "a\nPRIORITY=0\nMESSAGE=forged"


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=80),
        st.one_of(st.text(max_size=200), st.integers(), st.floats(), st.none(), st.booleans()),
        max_size=6,
    )
)
def test_whatever_is_said_the_journal_can_read_it(pairs: dict[str, object]) -> None:
    fields = parse(datagram({"event": "any", "level": "info", **pairs}))
    assert fields["RFID3_EVENT"] if "event" not in pairs else True
    for name in fields:
        assert len(name) <= 64
        assert name == name.upper()
        assert name.replace("_", "").isascii()
        assert name.replace("_", "").isalnum()
        assert not name.startswith("_")


def test_an_own_key_never_hides_the_journals_fields() -> None:
    assert field_name("MESSAGE") == "RFID3_MESSAGE"
    assert parse(datagram({"event": "e", "level": "error", "priority": 0}))["PRIORITY"] == "3"


def test_a_full_journal_holds_nobody_up_and_the_loss_is_told(
    journal: socket.socket, tmp_path: Path
) -> None:
    sink = Journal(str(tmp_path / "journal"))
    while not sink.lost:
        sink.info(event="flood", level="info")
    sink.info(event="flood", level="info")
    assert sink.lost == 2
    journal.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while journal.recv(65_536):
            pass
    sink.info(event="again", level="info")
    assert parse(journal.recv(65_536))["RFID3_LINES_LOST"] == "2"
    assert sink.lost == 0


def test_without_a_journal_the_line_goes_to_standard_error_with_its_priority(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger_to_journal(tmp_path).error("no_journal", reader="dock-1")
    line = capsys.readouterr().err.strip()
    assert line.startswith("<3>")
    assert json.loads(line[3:])["reader"] == "dock-1"


def test_json_lines_have_the_event_first_and_one_line_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(Log(format="json"))
    structlog.get_logger().info("started", zones=3, note="a\nb", where=Path("var"))
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert next(iter(said)) == "event"
    assert said["event"] == "started"
    assert said["zones"] == 3
    assert said["level"] == "info"
    assert said["timestamp"].endswith("Z")


def test_text_names_the_event_and_its_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Log(format="text"))
    structlog.get_logger().info("started", zones=3)
    err = capsys.readouterr().err
    assert "started" in err
    assert "zones=3" in err


def test_a_line_below_the_level_does_no_work_at_all(journal: socket.socket, tmp_path: Path) -> None:
    class Explodes:
        def __str__(self) -> str:
            raise AssertionError("rendered")

        __repr__ = __str__

    log = logger_to_journal(tmp_path, "warning")
    log.info("quiet", value=Explodes())
    log.debug("quiet", value=Explodes())
    log.warning("loud")
    assert parse(journal.recv(65_536))["RFID3_EVENT"] == "loud"


def test_libraries_speak_through_the_same_door_and_only_when_something_is_wrong(
    journal: socket.socket, tmp_path: Path
) -> None:
    logger_to_journal(tmp_path, "debug")
    logging.getLogger("aiohttp.access").info("GET /healthz 200")
    logging.getLogger("asyncio").warning("slow callback %d ms", 12)
    fields = parse(journal.recv(65_536))
    assert fields["RFID3_LOGGER"] == "asyncio"
    assert fields["RFID3_MESSAGE"] == "slow callback 12 ms"


def test_auto_is_text_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    try:
        assert choose_format(Log(), {}, theirs) == "text"
    finally:
        os.close(ours)
        os.close(theirs)


def test_auto_is_journald_only_where_standard_error_is_the_journals() -> None:
    ours, theirs = os.pipe()
    try:
        status = os.fstat(theirs)
        mine = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert choose_format(Log(), mine, theirs) == "journald"
        assert choose_format(Log(), {"JOURNAL_STREAM": "1:2"}, theirs) == "json"
        assert choose_format(Log(), {}, theirs) == "json"
        assert choose_format(Log(format="text"), mine, theirs) == "text"
        assert choose_format(Log(), mine, -1) == "json"
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_process_of_its_own_writes_json_into_a_pipe() -> None:
    code = (
        "from edge.config import Log; from edge.logs import configure; import structlog;"
        "configure(Log()); structlog.get_logger().info('hello', n=1); print('data')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "data\n", "standard output belongs to the commands"
    assert json.loads(run.stderr)["event"] == "hello"
