"""Examine the machine, the broker and the settings; tell what was seen and what to do.

Only a table of checks and how findings are shown; each check is a file of ``edge/checks``.
"""

import textwrap
from collections.abc import Callable, Iterator, Sequence

import msgspec

from edge import __version__
from edge.checks import (
    Case,
    Check,
    Verdict,
    broker,
    clock_sync,
    disk,
    machine,
    mosquitto_conf,
    service,
    store,
    versions,
)

CHECKS: tuple[tuple[str, Callable[[Case], list[Check]]], ...] = (
    ("broker", broker.check),
    ("mosquitto.conf", mosquitto_conf.check),
    ("clock", clock_sync.check),
    ("disk", disk.check),
    ("store", store.check),
    ("machine", machine.check),
    ("service", service.check),
    ("versions", versions.check),
)
"""Topic and its check, in the order they are shown."""

_COLOURS: dict[Verdict, str] = {"ok": "\33[32m", "warn": "\33[33m", "fail": "\33[31m"}
_NAME_WIDTH = 20


def examine(case: Case) -> Iterator[Check]:
    """All findings, one topic after the other, as they are made."""
    for topic, check in CHECKS:
        try:
            yield from check(case)
        except OSError as error:
            yield Check(
                topic, "fail", f"could not be examined: {error}", "run it as the daemon's user"
            )


def failed(checks: Sequence[Check]) -> bool:
    """Whether any finding is a failure."""
    return any(c.verdict == "fail" for c in checks)


def line(check: Check, *, width: int = 100, colour: bool = False) -> str:
    """One finding as text: verdict, name, what was seen, and below it what to do."""
    head = f"{check.verdict:<5} {check.name:<{_NAME_WIDTH}}"
    indent = " " * (len(head) + 1)
    text = textwrap.fill(f"{head} {check.seen}", width, subsequent_indent=indent)
    if check.todo:
        text += "\n" + textwrap.fill(
            f"{indent}-> {check.todo}",
            width,
            subsequent_indent=f"{indent}   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    if colour:
        text = f"{_COLOURS[check.verdict]}{text[:5]}\33[0m{text[5:]}"
    return text


def summary(checks: Sequence[Check]) -> str:
    """How many of each verdict."""
    count = {v: sum(c.verdict == v for c in checks) for v in ("ok", "warn", "fail")}
    return f"{count['ok']} ok, {count['warn']} to look at, {count['fail']} failed"


def document(checks: Sequence[Check]) -> dict[str, object]:
    """All findings for machines: ``{"rfid3": …, "ok": bool, "checks": [{name, verdict, seen, todo}]}``."""
    return {
        "rfid3": __version__,
        "ok": not failed(checks),
        "checks": msgspec.to_builtins(list(checks)),
    }
