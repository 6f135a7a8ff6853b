"""What this runs on: Python, SQLite, libraries, systemd, Mosquitto."""

import importlib.metadata
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys

from edge.checks import Case, Check

PYTHON = ((3, 11), (3, 13))
SQLITE = (3, 37, 0)
SEARCH_ALSO = ("/usr/sbin", "/usr/local/sbin")
BROKEN_MOSQUITTO = "2.0.16"


def check(case: Case) -> list[Check]:
    """One line each."""
    return [_python(), _libraries(), _sqlite(), _mosquitto(case), _systemd()]


def library_versions() -> dict[str, str]:
    """Python, SQLite, and every library that this distribution asks for; empty: it is missing."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    return found | {name: _version(name) for name in _required()}


def _required() -> list[str]:
    try:
        lines = importlib.metadata.requires("rfid3") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    names = (re.match(r"[\w.-]+", line) for line in lines if "extra ==" not in line)
    return sorted(match.group() for match in names if match)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _python() -> Check:
    seen = f"{platform.python_version()} ({platform.python_implementation()}, {platform.machine()})"
    low, high = PYTHON
    if not low <= sys.version_info[:2] <= high:
        return Check(
            "python", "fail", f"{seen}: 3.11 to 3.13 are supported", "use Python 3.11 to 3.13"
        )
    if sys.maxsize < 2**32:
        return Check("python", "fail", f"{seen}: 32 bits", "install a 64-bit system")
    return Check("python", "ok", seen)


def _libraries() -> Check:
    found = {name: version for name, version in library_versions().items() if name in _required()}
    lacking = [name for name, version in found.items() if not version]
    if lacking or not found:
        seen = f"not installed: {', '.join(lacking) or 'rfid3 itself'}"
        return Check("libraries", "fail", seen, "install again: pip install rfid3")
    return Check("libraries", "ok", ", ".join(f"{n} {v}" for n, v in found.items()))


def _sqlite() -> Check:
    seen = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < SQLITE:
        return Check("sqlite", "fail", f"{seen}: too old for the journal", "update the system")
    return Check("sqlite", "ok", seen)


def first_line(*command: str) -> str:
    """First line that a program prints; empty where it is missing or silent."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SEARCH_ALSO))
    program = shutil.which(command[0], path=path)
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def _mosquitto(case: Case) -> Check:
    seen = first_line("mosquitto", "-h")
    if not seen:
        return Check("mosquitto", "ok", "not installed here; fine where the broker is elsewhere")
    if BROKEN_MOSQUITTO in seen:
        cure = "never write max_queued_messages 0; better, update Mosquitto"
        return Check("mosquitto", "warn", f"{seen}: max_queued_messages 0 is broken in it", cure)
    return Check("mosquitto", "ok", seen)


def _systemd() -> Check:
    return Check("systemd", "ok", first_line("systemctl", "--version") or "not installed here")
