"""The unit and timer of nightly training, judged by systemd's own tools and held against the code."""

import re
from pathlib import Path

import pytest

from tests.test_systemd_unit import EXPOSURE_MAX, ROOT, analyze, exposure
from trainer.__main__ import COMMANDS, parser

UNIT = ROOT / "systemd" / "rfid3-train.service"
TIMER = ROOT / "systemd" / "rfid3-train.timer"
DAEMON = ROOT / "systemd" / "rfid3.service"


def lines(unit: Path) -> set[str]:
    """Settings of a unit."""
    return {line for line in unit.read_text().splitlines() if "=" in line and line[0] not in "#["}


def test_the_sandbox_of_training_leaves_little_exposed() -> None:
    assert exposure(UNIT) <= EXPOSURE_MAX


@pytest.mark.parametrize(("broken", "accepted"), [("", True), ("Nicee=3\n", False)])
def test_systemd_understands_every_line_of_service_and_timer(
    tmp_path: Path, broken: str, accepted: bool
) -> None:
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE)
    (tmp_path / UNIT.name).write_text(text.replace("[Service]\n", "[Service]\n" + broken))
    (tmp_path / TIMER.name).write_text(TIMER.read_text())
    report = analyze("verify", "--man=no", str(tmp_path / UNIT.name), str(tmp_path / TIMER.name))
    complaints = [line for line in report.stderr.splitlines() if "rfid3-train" in line]
    assert (complaints == []) is accepted, report.stderr


def test_training_is_the_same_user_in_the_same_directory_as_the_daemon() -> None:
    ours, daemons = lines(UNIT), lines(DAEMON)
    shared = {line for line in daemons if line.startswith(("StateDirectory", "WorkingDirectory"))}
    assert shared <= ours
    assert {"DynamicUser=yes", f"User={DAEMON.stem}"} <= ours
    assert "Environment=RFID3_STORAGE__DIRECTORY=%S/rfid3" in ours & daemons


def test_training_has_every_protection_of_the_daemon() -> None:
    protections = ("Protect", "Private", "Restrict", "SystemCall", "Capability", "NoNew", "Memory")
    missing = {line for line in lines(DAEMON) - lines(UNIT) if line.startswith(protections)}
    assert missing == {"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"}
    assert {"RestrictAddressFamilies=AF_UNIX", "PrivateNetwork=yes"} <= lines(UNIT)


def test_training_steps_back_for_the_shop_and_is_the_first_to_go() -> None:
    told = dict(line.split("=", 1) for line in lines(UNIT) if not line.startswith("Environment"))
    assert int(told["Nice"]) >= 10
    assert told["IOSchedulingClass"] == "idle"
    assert int(told["OOMScoreAdjust"]) > 0


def test_the_unit_starts_a_command_that_there_is_and_the_timer_starts_the_unit() -> None:
    (start,) = [line for line in lines(UNIT) if line.startswith("ExecStart=")]
    program, train, command, *options = start.removeprefix("ExecStart=").split()
    assert (Path(program).name, train) == ("rfid3", "train")
    assert command in dict(COMMANDS)
    parser().parse_args([command, *options])
    assert TIMER.stem == UNIT.stem
    assert "Persistent=true" in lines(TIMER)
