"""The demo and the simulator as a user runs them: real broker, real daemon, real processes."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edge.broker import Broker, free_port
from edge.simulate.demo import PROBE_TAG
from edge.simulate.stock import ARTICLES, CLASSES

ROOT = Path(__file__).resolve().parents[1]
WITHIN_S = 300


def start(*args: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=WITHIN_S)
    return process.returncode, out, err


def processes_that_mention(word: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if word in line:
                found.append(line)
    return found


def test_a_demo_ends_by_itself_and_sums_up_every_event(tmp_path: Path) -> None:
    bind = f"127.0.0.1:{free_port()}"
    keep = tmp_path / "demo"
    code, out, err = finish(
        start(
            *("demo", "--seconds", "6", "--rate", "150", "--weeks", "0"),
            *("--bind", bind, "--json", "--keep", str(keep)),
        )
    )
    assert code == 0, err
    assert out.count("\n") == 1
    told = json.loads(out)
    assert told["api"] == f"http://{bind}"
    assert told["received"]["messages"] == told["published"]["messages"] > 900
    assert (
        told["received"]["events"] == told["published"]["events"] == sum(told["outcomes"].values())
    )
    assert told["admitted"] + sum(told["refused"].values()) == told["received"]["events"]
    assert sum(told["dead_letters"].values()) == told["outcomes"].get("unreadable", 0) + told[
        "outcomes"
    ].get("future", 0)
    assert told["latency_ms"]["probes"] > 5
    assert told["latency_ms"]["lost"] == 0
    assert told["zones"]["linen"] > 0
    assert told["past"]["days"] == 0
    assert "\x1b" not in out + err
    assert bind in err
    assert (keep / "config.toml").is_file()
    assert processes_that_mention(str(keep)) == []


def asked(url: str, path: str) -> Any:
    with urllib.request.urlopen(f"{url}{path}", timeout=60) as answer:
        return json.load(answer)


def api_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    """(where its API answers, all that it said until then)."""
    assert process.stdout is not None
    seen = ""
    while (url := re.search(r"API: (\S+)", seen)) is None:
        line = process.stdout.readline()
        assert line, finish(process)
        seen += line
    return url[1], seen


def test_a_demo_begins_with_weeks_behind_it_and_every_service_has_numbers() -> None:
    process = start("demo", "--weeks", "6", "--bind", f"127.0.0.1:{free_port()}")
    try:
        url, seen = api_of(process)
        assert "last 6 weeks are told to the daemon: day 42 of 42, in " in seen
        demand = asked(url, "/api/predictive/demand/forecast?sku=62110")
        assert demand["weeks"][0]["units"] > 5
        history = asked(url, "/api/classes/62110?days=42")["class"]["history"]
        assert sum((units or 0) > 0 for units in history["columns"]["rented_units"]) > 30
        fleet = {row["sku"]: row for row in asked(url, "/api/inventory/fleet")["classes"]}
        assert fleet["62110"]["turn_days"] > 1
        shelf = {row["sku"]: row for row in asked(url, "/api/inventory")["items"]}
        assert shelf["R-1001"]["reorder_point"] > 0
        assert asked(url, "/api/predictive/quality/health")["mean"] > 0
        later = {"maintenance/roi": "classes", "packs/co-demand": "pairs"}
        deadline = time.monotonic() + WITHIN_S
        while later and time.monotonic() < deadline:  # in the first minute, not at once
            told = {path: asked(url, f"/api/predictive/{path}") for path in later}
            later = {path: name for path, name in later.items() if not told[path][name]}
            time.sleep(0.2)
        assert not later
        assert process.stdout is not None
        for _ in range(2):  # a line every five seconds, and it asks every three what services say
            assert "messages published" in process.stdout.readline()
        probe = asked(url, f"/api/items/{PROBE_TAG}")["item"]  # it was sent, and is of no class
        assert probe["sku"] == ""
        shop = {kind.sku for kind in (*CLASSES, *ARTICLES)}
        assert {row["sku"] for row in asked(url, "/api/classes")["classes"]} == shop
        assert asked(url, "/api/kpis")["classes"] == len(shop)
    finally:
        process.send_signal(signal.SIGINT)
        code, out, err = finish(process)
    assert code == 0, out + err
    assert re.search(r"^expected in seven days: [\d,]+ units", out, re.MULTILINE)
    assert re.search(r"^health of the stock: \d+ of 100, \d+ items", out, re.MULTILINE)


def test_a_demo_may_be_stopped_while_its_past_is_told(tmp_path: Path) -> None:
    keep = tmp_path / "demo"
    process = start(
        "demo", "--weeks", "52", "--bind", f"127.0.0.1:{free_port()}", "--keep", str(keep)
    )
    assert process.stdout is not None
    while "day 0 of 364" not in (line := process.stdout.readline()):
        assert line, finish(process)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 0, out + err
    assert "API: " not in out
    assert processes_that_mention(str(keep)) == []


def test_a_demo_for_people_ends_with_tables(tmp_path: Path) -> None:
    bind = f"127.0.0.1:{free_port()}"
    code, out, err = finish(
        start("demo", "--seconds", "2", "--rate", "300", "--bind", bind, "--weeks", "0")
    )
    assert code == 0, err
    assert re.search(r"[\d,]+ messages with [\d,]+ events published: [\d,]+ count, \d+ do not", out)
    assert re.search(r"^folded +[\d,]+$", out, re.MULTILINE)
    assert not re.search(r"[{}_]", out), "no names or texts of the program"


def test_a_demo_on_a_port_in_use_starts_nothing_and_tells_the_cure(tmp_path: Path) -> None:
    keep = tmp_path / "demo"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = finish(start("demo", "--bind", bind, "--keep", str(keep)))
    assert code == 1
    assert out == ""
    assert f"--bind {bind}: Address already in use" in err
    assert "leave --bind out" in err
    assert "Traceback" not in err
    assert not keep.exists()


def test_ctrl_c_stops_a_demo_cleanly(tmp_path: Path) -> None:
    keep = tmp_path / "demo"
    bind = f"127.0.0.1:{free_port()}"
    process = start("demo", "--bind", bind, "--keep", str(keep), "--weeks", "0")
    url, _ = api_of(process)
    assert asked(url, "/healthz")
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 0, out + err
    assert processes_that_mention(str(keep)) == []


STOPPABLE = """
import signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
print("ready", flush=True)
signal.pause()
"""


def test_ctrl_c_at_the_terminal_ends_make_with_0(tmp_path: Path) -> None:
    (tmp_path / "stoppable.py").write_text(STOPPABLE)
    command = f"{ROOT}/tools/foreground.sh {sys.executable} {tmp_path}/stoppable.py"
    (tmp_path / "Makefile").write_text(f"demo:\n\t@{command}\n")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("make", ["make", "-C", str(tmp_path), "demo"])
    said = b""
    while b"ready" not in said:
        said += os.read(terminal, 1_000)
    os.write(terminal, b"\x03")
    with suppress(OSError):  # the terminal is gone when its last program is
        while piece := os.read(terminal, 1_000):
            said += piece
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    assert b"Interrupt" not in said


def test_a_demo_whose_daemon_dies_shows_the_end_of_its_log(tmp_path: Path) -> None:
    keep = tmp_path / "demo"
    bind = f"127.0.0.1:{free_port()}"
    process = start("demo", "--bind", bind, "--keep", str(keep), "--weeks", "0")
    deadline, pid = time.monotonic() + WITHIN_S, 0
    while not pid and time.monotonic() < deadline:
        assert process.poll() is None, finish(process)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            with suppress(OSError):  # it may be gone by now
                line = Path(f"/proc/{child}/cmdline").read_bytes()
                if b"\0run\0" in line and (keep / "var").is_dir():
                    pid = int(child)
        time.sleep(0.02)
    assert pid  # 0 would be everybody here
    os.kill(pid, signal.SIGKILL)
    code, _, err = finish(process)
    assert code == 1
    assert "the daemon ended with code -9" in err
    assert processes_that_mention(str(keep)) == []


def test_without_mosquitto_the_cure_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge import broker
    from edge.__main__ import main

    monkeypatch.setattr(broker, "SEARCH_ALSO", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    assert main(["demo", "--seconds", "1", "--bind", f"127.0.0.1:{free_port()}"]) == 1
    told = capsys.readouterr().err
    assert "mosquitto is not installed" in told
    assert "make demo" in told


def test_simulate_publishes_all_it_takes_and_says_by_format(shared_broker: Broker) -> None:
    address = f"{shared_broker.host}:{shared_broker.port}"
    code, out, err = finish(
        start("simulate", "--broker", address, "--rate", "500", "--seconds", "2")
    )
    assert code == 0, err
    assert out == ""
    assert "1,000 of 1,000 messages acknowledged" in err
    assert "zebra" in err


def test_simulate_prints_a_configuration_that_is_good(tmp_path: Path) -> None:
    code, out, err = finish(start("simulate", "--config-for-daemon"))
    assert code == 0, err
    path = tmp_path / "config.toml"
    path.write_text(out, encoding="utf-8")
    code, out, err = finish(start("check-config", "--config", str(path)))
    assert code == 0, err


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("simulate", "--broker", "pi:mqtt"), "write HOST:PORT"),
        (("simulate", "--rate", "0"), "--rate must be more than 0"),
        (("demo", "--bind", "8099"), "write ADDRESS:PORT"),
        (("demo", "--weeks", "53"), "--weeks must be 0 (a shop that opens today) to 52"),
        (("demo", "--bind", "0.0.0.0:8099"), "on this machine only; write 127.0.0.1:8099"),
        (("demo", "--bind", "[::]:8099"), "on this machine only"),
        (("demo", "--bind", "shop.example:8099"), "on this machine only"),
    ],
)
def test_a_wrong_option_is_told_with_its_cure(args: tuple[str, ...], complaint: str) -> None:
    code, _, err = finish(start(*args))
    assert code == 2
    assert complaint in err
