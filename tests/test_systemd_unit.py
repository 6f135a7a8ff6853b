"""The service unit, judged by systemd's own tools and held against the code that it starts."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.__main__ import USAGE

ROOT = Path(__file__).resolve().parent.parent
UNIT = ROOT / "systemd" / "rfid3.service"
EXPOSURE_MAX = 1.5
HARDWARE_WATCHDOG_MAX_S = 15
SECONDS = {"s": 1, "min": 60}


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze; it is there, or the test fails with the cure."""
    tool = shutil.which("systemd-analyze")
    assert tool, "systemd-analyze is missing: run `make setup` or `apt-get install systemd`"
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)


def exposure(unit: Path) -> float:
    """The overall exposure level that systemd gives the unit, 0 to 10."""
    report = analyze("security", "--offline=true", "--no-pager", str(unit))
    level = re.search(r"Overall exposure level.*: ([\d.]+)", report.stdout)
    assert level, report.stdout + report.stderr
    return float(level[1])


def settings() -> dict[str, list[str]]:
    """Every ``Key=value`` of the unit; a key may stand several times."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def seconds(text: str) -> float:
    """``3min`` -> 180."""
    match = re.fullmatch(r"([\d.]+)(s|min)", text)
    assert match, text
    return float(match[1]) * SECONDS[match[2]]


def test_the_sandbox_leaves_little_exposed() -> None:
    assert exposure(UNIT) <= EXPOSURE_MAX


def test_the_judge_sees_a_unit_without_a_sandbox(tmp_path: Path) -> None:
    bare = tmp_path / "rfid3.service"
    bare.write_text("[Service]\nExecStart=/bin/true\n")
    assert exposure(bare) > 9


@pytest.mark.parametrize(
    ("broken", "accepted"), [("", True), ("WatchdogSec=soon\n", False), ("Wachtdog=1s\n", False)]
)
def test_systemd_understands_every_line(tmp_path: Path, broken: str, accepted: bool) -> None:
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE)
    copy = tmp_path / "rfid3.service"
    copy.write_text(text.replace("[Service]\n", "[Service]\n" + broken))
    report = analyze("verify", "--man=no", str(copy))
    complaints = [line for line in report.stderr.splitlines() if "rfid3.service" in line]
    assert (complaints == []) is accepted, report.stderr


def test_the_sections_are_those_of_a_service() -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.read(UNIT)
    assert parser.sections() == ["Unit", "Service", "Install"]


def test_it_reports_readiness_itself_and_is_watched() -> None:
    unit = settings()
    assert unit["Type"] == ["notify"]
    assert unit["NotifyAccess"] == ["main"]
    assert seconds(unit["WatchdogSec"][0]) > HARDWARE_WATCHDOG_MAX_S, (
        "the service's watchdog must leave room for a slow card"
    )


def test_a_failure_is_tried_again_a_bounded_number_of_times() -> None:
    unit = settings()
    assert unit["Restart"] == ["on-failure"]
    assert unit["RestartPreventExitStatus"] == [str(USAGE)], "trying again mends no configuration"
    starts, interval = int(unit["StartLimitBurst"][0]), seconds(unit["StartLimitIntervalSec"][0])
    assert starts * seconds(unit["RestartSec"][0]) < interval, "the limit would never be reached"


def test_what_the_daemon_needs_is_not_taken_away() -> None:
    unit = settings()
    families = set(unit["RestrictAddressFamilies"][0].split())
    assert families == {"AF_INET", "AF_INET6", "AF_UNIX"}
    assert "ProcSubset" not in unit, "psutil-like readings of /proc would fail"
    assert not any("@resources" in value for value in unit["SystemCallFilter"])
    assert "PrivateNetwork" not in unit


def test_it_starts_the_command_line_and_writes_only_to_its_state_directory() -> None:
    unit = settings()
    program, command, option, path = unit["ExecStart"][0].split()
    assert Path(program).name == "rfid3"
    assert (command, option) == ("run", "--config")
    assert Path(path).is_absolute()
    assert unit["StateDirectory"] == ["rfid3"]
    assert "RFID3_STORAGE__DIRECTORY=%S/rfid3" in unit["Environment"]
    assert unit["ProtectSystem"] == ["strict"]
    assert "ReadWritePaths" not in unit
