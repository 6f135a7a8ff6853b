"""What ``rfid3 doctor`` examines, one file a topic. Nothing here changes the machine.

Each file has ``check(case) -> list[Check]``; files of the machine are read below ``case.root``,
so that a test can show another machine.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from edge.config import Config

Verdict = Literal["ok", "warn", "fail"]


class Case(Struct, frozen=True):
    """What is examined: the settings, and the machine they are for."""

    config: Config
    environ: Mapping[str, str]
    root: Path = Path("/")
    """Where the machine's files begin."""

    def text(self, path: str) -> str:
        """A file of the machine as text without blanks at its end; empty where it cannot be read."""
        try:
            return (self.root / path).read_text(errors="replace").rstrip("\0\n ")
        except OSError:
            return ""


class Check(Struct, frozen=True):
    """One finding."""

    name: str
    """What was examined."""
    verdict: Verdict
    """ok, warn (works, but will hurt) or fail (does not work, or loses events)."""
    seen: str
    """What was seen, with numbers."""
    todo: str = ""
    """What to do; empty: nothing."""


def size(count: float) -> str:
    """Bytes for people.

    >>> size(134_217_728)
    '134 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1_000:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1_000
    return f"{count:.3g} TB"
