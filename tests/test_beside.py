"""The tasks beside the corridor: how the daemon ends when one of them does, and what it leaves."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edge import app as app_module
from edge import pipeline_field
from edge.app import running
from edge.config import Config
from edge.errors import JournalBroken
from edge.pipeline_field import FieldRecord
from edge.pipeline_scoring import Scoring
from edge.records import Message
from edge.storage.journal import Journal
from edge.storage.journal_reader import JournalReader
from tests.corridor import SetClock, run, until
from tests.test_stall import START_MS, shop

LINK = b'{"type":"item_link","epc":"E2801160600000000001","sku":"S1"}'


async def ended(config: Config, clock: SetClock) -> list[BaseException]:
    """Run until something ends the daemon; what it says."""
    try:
        async with asyncio.timeout(60):
            async with running(config, clock) as daemon:
                daemon.pipeline.inbox.put(Message("rfid3/main/events/office", LINK, START_MS))
                await until(lambda: daemon.pipeline.applied_seq > 0)
                state = daemon.pipeline.core.state
                clock.advance(state.days.end_ms(state.today) - clock.now_ms() + 1_000)
                await asyncio.Event().wait()
    except BaseExceptionGroup as group:
        return list(group.exceptions)
    raise AssertionError("it ended without a word")


@pytest.mark.parametrize(("part", "method"), [(FieldRecord, "close"), (Scoring, "watch")])
def test_a_broken_journal_met_beside_the_corridor_ends_the_daemon_with_one_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: Any, method: str
) -> None:
    async def broken(*_: object) -> None:
        raise JournalBroken("the card is gone")

    monkeypatch.setattr(pipeline_field, "LOOK_S", 0.01)

    async def main() -> None:
        clock = SetClock(START_MS)
        if part is FieldRecord:
            monkeypatch.setattr(part, method, broken)
        else:
            real = part.watch

            async def later(self: Scoring) -> None:
                await real(self)
                await asyncio.sleep(0.2)
                await broken()

            monkeypatch.setattr(part, method, later)
        told = [
            leaf
            for error in await ended(shop(tmp_path), clock)
            for leaf in app_module._leaves(error)
        ]
        assert [str(error) for error in told] == ["the card is gone"]

    run(main)
    Journal.open(tmp_path, shop(tmp_path).storage).close()  # its lock is free
    reader = JournalReader.open(tmp_path)
    held = [message for batch in reader.batches(0) for message in batch.messages]
    reader.close()
    assert sum(message.payload == LINK for message in held) == 1


def test_the_daemon_has_no_large_pages(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(shop(tmp_path), SetClock(START_MS)):
            told = Path("/proc/self/status").read_text()
            assert "THP_enabled:\t1" not in told  # older kernels do not say

    run(main)
