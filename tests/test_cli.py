"""The command line as a person meets it: help, exit codes, and what is said of mistakes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge import __version__
from edge.__main__ import COMMANDS, main

NAMES = [name for name, _, _ in COMMANDS]
HEAVY = ("numpy", "aiohttp", "rich", "uvloop", "mqtt5", "structlog", "prometheus_client", "msgspec")


def rfid3(*args: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as its own process, in a folder without configuration."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RFID3_")}
    return subprocess.run(
        [sys.executable, "-m", "edge", *args],
        cwd=cwd,
        env={**clean, "COLUMNS": "100", **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_help_names_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, line, _ in COMMANDS:
        assert f"{name} {line}" in text
    assert "exit codes:" in text


def test_no_command_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "commands:" in capsys.readouterr().out


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from edge.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("name", ["run", "check-config", "doctor", "openapi", "version"])
def test_every_command_explains_itself_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: rfid3 {name} ")
    assert "example" in text


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["chek"], "there is no command chek; the commands are run, demo"),
        (["chek"], "did you mean check-config?"),
        (["doctr"], "did you mean doctor?"),
        (["run", "--confg", "x"], "unrecognized arguments: --confg x; did you mean --config?"),
        (["run", "--clock", "sun"], "invalid choice: 'sun'"),
        (["check-config", "-c"], "expected one argument"),
        (["version", "extra"], "unrecognized arguments: extra"),
        (["--confg", "x"], "there is no command x"),
        (["models", "lst"], "there is no verb lst; the verbs are list, show"),
        (["models", "lst"], "did you mean list?"),
        (["models", "show", "demand", "--jsn"], "rfid3 models show: unrecognized arguments: --jsn"),
        (["models", "show", "demand", "--jsn"], "did you mean --json?"),
        (["keys", "list", "--confi", "x"], "did you mean --config?"),
    ],
)
def test_wrong_usage_is_told_in_one_paragraph(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    text = capsys.readouterr().err
    assert said in text
    assert "Help: rfid3" in text


def test_a_good_configuration_is_said_to_be_good(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[mqtt]\nport = 1884\n")
    done = rfid3("check-config", "--show", cwd=tmp_path, RFID3_MQTT__PASSWORD="geheim")
    assert done.returncode == 0, done.stderr
    assert "config.toml: good" in done.stdout
    assert "mqtt.port = 1884  # config.toml:2" in done.stdout
    assert "mqtt.password = …  # RFID3_MQTT__PASSWORD" in done.stdout
    assert "mqtt.qos = 1\n" in done.stdout
    assert "geheim" not in done.stdout


@pytest.mark.parametrize("command", ["check-config", "run", "doctor"])
def test_a_wrong_configuration_ends_with_2_and_no_traceback(command: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[mqtt]\nport = 99999\nqos = 9\n")
    done = rfid3(command, "-c", "wrong.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "wrong.toml:2: mqtt.port = 99999: must be 1..65535" in done.stderr
    assert "wrong.toml:3: mqtt.qos = 9" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["check-config", "run", "doctor"])
def test_a_missing_configuration_file_ends_with_2_and_says_where_to_start(
    command: str, tmp_path: Path
) -> None:
    done = rfid3(command, "-c", "gone.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "cp config.example.toml gone.toml" in done.stderr


def test_the_version_is_told_alone_or_with_the_libraries(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"rfid3 {__version__}\n"
    assert main(["version", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rfid3"] == __version__
    assert {"python", "sqlite", "mqtt5", "msgspec"} <= set(told)


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m edge check-config --show | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == 'shop.store = "main"'
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["replay", "sales.csv"], "rfid3: replay needs a FILE and --mapping NAME"),
        (["replay", "no.csv", "--mapping", "invoices"], "no.csv: no such file"),
        (
            ["replay", "sales.csv", "--mapping", "invoices"],
            "sales.csv, read by the mapping invoices",
        ),
        (["replay", "sales.csv", "--mapping", "invoice"], "did you mean invoices?"),
        (["demo", "--bind", "nonsense"], "--bind nonsense: write ADDRESS:PORT"),
        (["demo", "--seconds", "-3"], "--seconds must be 0"),
        (["simulate", "--seconds", "-3"], "--seconds must be 0"),
    ],
)
def test_a_wrong_input_is_told_as_what_it_is_with_code_2(
    argv: list[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "sales.csv").write_text("a,b\n1,2\n")
    done = rfid3(*argv, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "configuration" not in done.stderr
