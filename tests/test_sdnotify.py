"""The words reach a real datagram socket, exactly as sd_notify(3) spells them."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.sdnotify import Notifier, watchdog_interval_s


@pytest.fixture(params=["a file", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's end of the socket, and what NOTIFY_SOCKET says."""
    name = f"rfid3-test-{os.getpid()}-{tmp_path.name}"
    path, said = {
        "a file": (str(tmp_path / "notify"), str(tmp_path / "notify")),
        "an abstract name": ("\0" + name, "@" + name),
    }[request.param]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(path)
        end.settimeout(5)
        yield end, said


def test_every_word_arrives_as_the_manual_spells_it(manager: tuple[socket.socket, str]) -> None:
    end, said = manager
    with Notifier({"NOTIFY_SOCKET": said}) as notifier:
        assert notifier.listening
        words: list[tuple[Callable[[], bool], bytes]] = [
            (lambda: notifier.ready("42 items"), b"READY=1\nSTATUS=42 items"),
            (notifier.watchdog, b"WATCHDOG=1"),
            (lambda: notifier.status("drained"), b"STATUS=drained"),
            (lambda: notifier.extend(1.5), b"EXTEND_TIMEOUT_USEC=1500000"),
            (lambda: notifier.stopping("snapshot"), b"STOPPING=1\nSTATUS=snapshot"),
        ]
        for call, expected in words:
            assert call()
            assert end.recv(4096) == expected


def test_a_status_cannot_smuggle_in_another_word(manager: tuple[socket.socket, str]) -> None:
    end, said = manager
    with Notifier({"NOTIFY_SOCKET": said}) as notifier:
        assert notifier.status("reader\nREADY=1")
    assert end.recv(4096) == b"STATUS=reader READY=1"


def test_the_same_status_is_sent_once(manager: tuple[socket.socket, str]) -> None:
    end, said = manager
    with Notifier({"NOTIFY_SOCKET": said}) as notifier:
        assert [notifier.status(text) for text in ("a", "a", "b")] == [True, True, True]
    end.setblocking(False)
    assert [end.recv(99), end.recv(99)] == [b"STATUS=a", b"STATUS=b"]
    with pytest.raises(BlockingIOError):
        end.recv(99)


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    with Notifier(environ) as notifier:
        assert not notifier.listening
        assert not notifier.ready("x")
        assert not notifier.watchdog()


def test_a_manager_that_went_away_is_no_error(tmp_path: Path) -> None:
    with Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}) as notifier:
        assert not notifier.watchdog()


def test_a_manager_that_does_not_read_never_holds_us_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        with Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}) as notifier:
            answers = [notifier.watchdog() for _ in range(5_000)]
    assert answers[0]
    assert not answers[-1]


def test_after_close_nothing_is_sent(manager: tuple[socket.socket, str]) -> None:
    _end, said = manager
    notifier = Notifier({"NOTIFY_SOCKET": said})
    notifier.close()
    assert not notifier.ready()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_interval_is_ours_or_none(
    environ: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_interval_s(environ, pid=7) == seconds
    assert Notifier(environ, pid=7).watchdog_interval_s == seconds
