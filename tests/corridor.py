"""A corridor of its own for a test: real journal, real writer thread, no sockets.

Leaving the block stops it cleanly; ``crash`` leaves it as a killed process would.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.clock import ManualClock
from edge.config import Config
from edge.core import Core
from edge.ingest.inbox import Inbox, Token
from edge.pipeline import Pipeline
from edge.records import Effects, Message
from edge.recovery import apply_batch, recover
from edge.storage.journal import Journal
from edge.storage.journal_file import free_bytes_of
from edge.storage.journal_reader import JournalReader
from edge.storage.writer import JournalWriter


class SetClock(ManualClock):
    """A clock that may also be set back."""

    def set(self, now_ms: int) -> None:
        """It is ``now_ms``."""
        self._now_ms = now_ms


class CountingInbox(Inbox):
    """Knows how many messages were ever put; ``first`` is the ordinal of the first of them."""

    first = 0
    puts = 0

    def put(self, message: Message, token: Token = 0) -> bool:
        """As the real one."""
        self.puts += 1
        return super().put(message, token)


@dataclass
class Corridor:
    """The parts."""

    pipeline: Pipeline
    writer: JournalWriter
    journal: Journal
    clock: SetClock
    replayed: int
    inbox: "CountingInbox"
    running: "asyncio.Task[None]"
    crashed: bool = False

    @property
    def expected(self) -> int:
        """Ordinal that follows the last message put."""
        return self.inbox.first + self.inbox.puts

    @property
    def core(self) -> Core:
        """The state."""
        return self.pipeline.core

    def put(self, messages: Sequence[Message], token: int = 0) -> None:
        """Into the inbox, as copies: the corridor may change their times."""
        for m in messages:
            copy = Message(
                m.topic, m.payload, m.arrival_ms, m.session, m.packet_id, m.flags, m.origin_ms
            )
            self.pipeline.inbox.put(copy, token)

    async def settled(self) -> None:
        """All that was put is committed and applied."""

        def done() -> bool:
            p, tail = self.pipeline, self.writer.last()
            if p.progress.waiting_since:  # a commit under way: the journal knows more than the core
                return False
            return tail.next_ordinal == self.expected and not p.behind and p.applied_seq == tail.seq

        await until(done)

    async def crash(self) -> None:
        """No last words: no snapshot, no effects that were waiting."""
        self.crashed = True
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            await self.running
        await self.writer.close()


@asynccontextmanager
async def corridor(
    directory: Path,
    config: Config,
    clock: SetClock,
    free_bytes: Callable[[Path], int] = free_bytes_of,
) -> AsyncIterator[Corridor]:
    """Open, recover and run until the block is left."""
    journal = Journal.open(directory, config.storage, config.limits.dead_letters_max, free_bytes)
    recovered = recover(config, journal, directory)
    replayed = recovered.replayed
    writer = JournalWriter(journal)
    inbox = CountingInbox(config.ingest.inbox_max, config.ingest.inbox_max_bytes)
    inbox.first = journal.last().next_ordinal
    pipeline = Pipeline(config, recovered, writer, inbox, clock, directory)
    running = asyncio.create_task(pipeline.run(), name="corridor")
    made = Corridor(pipeline, writer, journal, clock, replayed, inbox, running)
    try:
        await until(lambda: pipeline.progress.condition != "starting")
        yield made
    finally:
        if not made.crashed:
            pipeline.stop()
            async with asyncio.timeout(120):
                await asyncio.wait({running})
            await writer.close()
            running.result()


def replay(directory: Path, config: Config, slice_: int = 1_024) -> tuple[Core, Effects]:
    """An uninterrupted replay of the whole journal, without any snapshot."""
    core, effects, reader = Core(config), Effects.empty(), JournalReader.open(directory)
    for batch in reader.batches(0):
        apply_batch(core, batch, effects, slice_)
    reader.close()
    return core, effects


async def until(true: Callable[[], object], within_s: float = 60.0) -> None:
    """Poll until it is true; fail when it does not become so, however slow the machine."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        await asyncio.sleep(0.002)


def run(main: Callable[[], Coroutine[Any, Any, None]], within_s: float = 300) -> None:
    """Run an async test with a limit that only a standstill reaches."""

    async def limited() -> None:
        async with asyncio.timeout(within_s):
            await main()

    asyncio.run(limited())
