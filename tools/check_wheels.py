"""Do the pinned requirements install from wheels alone, on every machine that we promise?

For each requirement file, Python 3.11 to 3.13, x86-64 and aarch64 at Debian 12's glibc: the index
must offer, for every package, a wheel that fits and whose hash is in the file. Asks for metadata
only: no wheel is downloaded, nothing is installed. It begins by making sure that it can say no.

Not a test of pytest's: it needs the package index, and the answer changes only with the files.

Usage: python tools/check_wheels.py      (or: make wheels)
"""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sysconfig.get_path("scripts")) / "uv"
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = ("x86_64-manylinux_2_36", "aarch64-manylinux_2_36")
FILES = ("run", "trainer", "build", "dev", "bench", "lock")
HASH = re.compile(r"^ +--hash=sha256:([0-9a-f]{64})", re.MULTILINE)
PIP_SETTINGS = {"global.index-url": "UV_DEFAULT_INDEX", "global.cert": "SSL_CERT_FILE"}
MUST_FAIL = (
    ("tzdata==2025.2 \\\n    --hash=sha256:" + "0" * 64, "no fitting wheel of tzdata"),
    ("bytewax==0.21.1 \\\n    --hash=sha256:" + "0" * 64, "bytewax==0.21.1 has no wheels"),
)
"""A hash that no file of the release has; a release without a wheel for Python 3.13: the refusals."""


def index_environment() -> dict[str, str]:
    """Our environment, with pip's own index and certificates handed on where they are set."""
    environment = dict(os.environ)
    environment.setdefault("UV_SYSTEM_CERTS", "true")
    for setting, variable in PIP_SETTINGS.items():
        asked = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", setting],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode == 0 and asked.stdout.strip():
            environment.setdefault(variable, asked.stdout.strip())
    return environment


def complaint(requirements: str, python: str, platform: str, environment: dict[str, str]) -> str:
    """Why these requirements do not install as wheels on this target; empty when they do."""
    pins = re.sub(r" \\$", "", HASH.sub("", requirements), flags=re.MULTILINE)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(pins)
        file.flush()
        command = [str(UV), "pip", "compile", "--quiet", "--no-deps", "--format", "pylock.toml"]
        command += ["--python", sys.executable, "--only-binary", ":all:", file.name]
        command += ["--python-version", python, "--python-platform", platform]
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
    if run.returncode:
        return run.stderr
    accepted = set(HASH.findall(requirements))
    packages: list[dict[str, Any]] = tomllib.loads(run.stdout).get("packages", [])
    return "".join(
        f"no fitting wheel of {package['name']} {package['version']} has its hash in the file\n"
        for package in packages
        if accepted.isdisjoint(wheel["hashes"]["sha256"] for wheel in package.get("wheels", []))
    )


def main() -> int:
    """Print the table; the exit status is 1 when a cell is not ok."""
    environment = index_environment()
    for text, refusal in MUST_FAIL:
        why = complaint(text, "3.13", PLATFORMS[0], environment)
        if refusal not in why:
            print(
                f"Not checked: expected {refusal!r}, got {why or 'no refusal'!r}", file=sys.stderr
            )
            return 1
    failures: list[str] = []
    print(f"{'wheels with hashes':24}" + "".join(f"{name:>8}" for name in FILES))
    for platform in PLATFORMS:
        for python in PYTHONS:
            answers = []
            for name in FILES:
                text = (ROOT / "requirements" / f"{name}.txt").read_text()
                why = complaint(text, python, platform, environment)
                answers.append("NO" if why else "ok")
                if why:
                    failures.append(f"{name}.txt, Python {python}, {platform}:\n{why}")
            target = f"{python} {platform.partition('-')[0]}"
            print(f"{target:24}" + "".join(f"{a:>8}" for a in answers), flush=True)
    print("\n".join(failures), file=sys.stderr, end="")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
