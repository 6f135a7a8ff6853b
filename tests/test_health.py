"""What counts as a standstill, judged on a corridor at work."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge import health as health_module
from edge import pipeline as pipeline_module
from edge.health import Health
from edge.pipeline import AHEAD_MAX
from tests.corridor import Corridor, SetClock, corridor, run, until
from tests.streams import START_MS
from tests.test_pipeline import read, settings

STUCK_S = 1.0
"""Shorter ones a machine that does other work beside may reach by itself."""


class SlowCard:
    """Snapshots that take as long as a test wants, and get on meanwhile or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gets_on = threading.Event()
        self.gets_on.set()
        self.done = threading.Event()
        self._real = pipeline_module.write_snapshot
        monkeypatch.setattr(pipeline_module, "write_snapshot", self._write)

    def _write(self, *args: Any, progress: Callable[[int], None], **options: Any) -> object:
        while not self.done.wait(0.005):
            if self.gets_on.is_set():
                progress(1)
        return self._real(*args, progress=progress, **options)


async def commit(live: Corridor, number: int) -> None:
    """One more batch."""
    before = live.pipeline.batches
    live.put([read(number, START_MS + number)])
    await until(lambda: live.pipeline.batches > before)


async def pile_up(live: Corridor) -> None:
    """Batches until the committer itself has to wait for the applier."""
    for number in range(AHEAD_MAX + 2):
        await commit(live, number)


async def never(said: Callable[[], str], for_s: float) -> None:
    """It stays empty for so long."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        assert said() == ""
        await asyncio.sleep(0.005)


def test_a_snapshot_however_slow_is_no_standstill_while_it_gets_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "STUCK_S", STUCK_S)
    card = SlowCard(monkeypatch)

    async def main() -> None:
        clock, config = SetClock(START_MS), settings(tmp_path)
        async with corridor(tmp_path, config, clock) as live:
            health = Health(live.pipeline, None, live.writer, live.inbox, config, clock)
            live.put([read(1, START_MS)])
            await live.settled()
            writing = asyncio.create_task(live.pipeline.snapshot())
            try:
                await until(lambda: live.pipeline.progress.snapshot_at)
                await pile_up(live)
                await never(health.stuck, 2.5 * STUCK_S)
                card.gets_on.clear()
                await until(lambda: health.stuck() in ("the beat", "applying"))
                told = {d.name: d for d in health.health()}["corridor"]
                assert not told.ok
                assert "makes no progress" in told.detail
                card.gets_on.set()
                await until(lambda: health.stuck() == "")
            finally:
                card.done.set()
                await writing
            await live.settled()
            assert health.stuck() == ""
            assert live.pipeline.snapshots == 1

    run(main)
