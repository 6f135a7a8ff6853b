"""The daemon with a point at which it dies, or with a mistake built in: for the torture alone.

``python -m tests.torture.daemon --config FILE [--die POINT:N] [--mistake NAME]`` is ``rfid3 run``
after the patches below. A point is a place in the code; at its Nth passing the process gets
SIGKILL, with other threads doing whatever they were doing. Snapshots come far more often.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec

from edge import app, pipeline, recovery
from edge.__main__ import main
from edge.core import Core
from edge.ingest.admit import Redeliveries
from edge.ingest.mqtt import MqttSource
from edge.pipeline import Pipeline
from edge.records import Reason
from edge.storage import journal, snapshots
from edge.storage.journal import Journal

SLOW_DISK_S = 0.05
"""Where a mistake needs it: how long a commit takes, so that what came too early has come."""


def die() -> None:
    """As if the plug were pulled."""
    os.kill(os.getpid(), signal.SIGKILL)


class Countdown:
    """Dies when called for the ``n``-th time."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            die()


def _before(owner: Any, name: str, act: Callable[[], None]) -> None:
    real = getattr(owner, name)

    @wraps(real)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        act()
        return real(*args, **kwargs)

    setattr(owner, name, wrapped)


def _after(owner: Any, name: str, act: Callable[[], None]) -> None:
    real = getattr(owner, name)

    @wraps(real)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        act()
        return result

    setattr(owner, name, wrapped)


POINTS: dict[str, tuple[Callable[[Any, str, Callable[[], None]], None], Any, str]] = {
    "starting": (_before, app, "_recover"),
    "replaying": (_after, recovery, "apply_batch"),
    "recovered": (_before, app, "_assemble"),
    "before-commit": (_before, Journal, "append"),
    "inside-commit": (_after, journal, "_tail_after"),  # then the transaction begins
    "inside-transaction": (_after, Journal, "_write_effects"),
    "after-commit": (_after, Journal, "append"),
    "after-acknowledgement": (_after, MqttSource, "acknowledge"),
    "before-effects": (_before, Journal, "append_effects"),
    "after-effects": (_after, Journal, "append_effects"),
    "applying": (_after, Core, "step"),
    "freezing": (_after, Core, "save"),
    "inside-snapshot": (_after, snapshots, "_views"),
    "before-rename": (_after, snapshots, "_write_file"),
    "after-rename": (_before, snapshots, "_remove_older"),
    "after-snapshot": (_after, pipeline, "write_snapshot"),
    "checkpoint": (_before, Journal, "checkpoint_if_due"),
    "link-up": (_after, MqttSource, "_on_connack"),
}
"""Name -> where."""
ONCE = ("starting", "recovered", "link-up")
"""Points that a life passes once."""
SELDOM = (
    *("replaying", "before-effects", "after-effects", "freezing", "before-rename", "after-rename"),
    *("after-snapshot", "checkpoint"),
)
"""Points that a life passes a few times."""


# -- mistakes, each of which the torture must find ------------------------------------------------


def _acknowledge_early() -> None:
    """Acknowledge, then commit."""
    real_acknowledge, real_write = Pipeline._acknowledge, Pipeline._commit

    async def commit(self: Pipeline, messages: Any, tokens: Any) -> Any:
        real_acknowledge(self, tokens)
        return await real_write(self, messages, tokens)

    Pipeline._commit = commit  # type: ignore[method-assign]
    Pipeline._acknowledge = lambda self, tokens: None  # type: ignore[method-assign]
    _before(Journal, "append", lambda: time.sleep(SLOW_DISK_S))


def _move_position(by: Callable[[int], int]) -> Callable[[], None]:
    def patch() -> None:
        real = pipeline.write_snapshot

        def write(directory: Path, header: Any, *args: Any, **kwargs: Any) -> Path:
            moved = msgspec.structs.replace(header, seq=by(header.seq))
            return real(directory, moved, *args, **kwargs)

        pipeline.write_snapshot = write

    return patch


def _forget_redeliveries() -> None:
    """Notice whatever the broker sends again, and let it in all the same."""
    real = Redeliveries.judge

    def judge(self: Redeliveries, messages: Any) -> list[Reason] | None:
        verdicts = real(self, messages)
        return verdicts and [Reason.ADMITTED] * len(verdicts)

    Redeliveries.judge = judge  # type: ignore[method-assign]


MISTAKES: dict[str, Callable[[], None]] = {
    "acknowledge-before-commit": _acknowledge_early,
    "snapshot-without-position": _move_position(lambda seq: 0),
    "snapshot-behind-its-state": _move_position(lambda seq: max(seq - 3, 0)),
    "snapshot-ahead-of-its-state": _move_position(lambda seq: seq + 1),
    "redeliveries-let-in": _forget_redeliveries,
}
"""Name -> what is patched."""


def run(arguments: list[str]) -> int:
    """Patch, then ``rfid3 run``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--die", default="")
    parser.add_argument("--mistake", default="")
    told = parser.parse_args(arguments)
    pipeline.KEEP_EVERY_S = 0.05
    pipeline.SNAPSHOT_LEAST_S = 0.1
    if told.mistake:
        MISTAKES[told.mistake]()
    if told.die:
        name, _, n = told.die.partition(":")
        patch, owner, attribute = POINTS[name]
        patch(owner, attribute, Countdown(int(n)))
    return main(["run", "--config", told.config])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
