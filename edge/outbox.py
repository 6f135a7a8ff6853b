"""Delivers what is due, one line of the outbox after another; what became of it goes through the corridor.

Reads the ledger between the corridor's slices, never changes it. Because a line is in memory only
once the journal holds the decision behind it, a crash loses no delivery; because its record comes
after it, a crash may repeat one (``channels.py`` says how the receiver can tell).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog

from edge.commands import TOPIC
from edge.core import Core
from edge.decisions.deeds import Delivered, safeguards
from edge.decisions.rows import OutboxLine
from edge.notify.channels import Channels

log = structlog.get_logger(__name__)

LOOK_S = 0.5
"""How often somebody looks whether something is due."""
AT_ONCE = 8
"""Lines that are under way at a time."""
RECORD_S = 30.0
"""How long the record of a delivery may take before the line is looked at again."""


class Outbox:
    """One daemon's deliveries."""

    def __init__(
        self,
        core: Core,
        channels: Channels,
        tell: Callable[[str, bytes], None],
        now_ms: Callable[[], int],
    ) -> None:
        self.sent = 0
        self.failed = 0
        self._core = core
        self._channels = channels
        self._tell = tell
        self._now_ms = now_ms
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def waiting(self) -> int:
        """Lines that nobody has received yet."""
        return self._core.ledger.count(OutboxLine)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._begin()
                await asyncio.sleep(LOOK_S)
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _begin(self) -> None:
        ledger = self._core.ledger
        if safeguards(ledger).killed:
            return
        for line in self._due():
            if len(self._under_way) >= AT_ONCE:
                return
            task = asyncio.create_task(self._deliver(line), name=f"deliver {line.id}")
            self._under_way[line.id] = task

    def _due(self) -> list[OutboxLine]:
        now_ms = max(self._core.now_ms, self._now_ms())
        rows = self._core.ledger.rows(OutboxLine).values()
        return [one for one in rows if one.due_ms <= now_ms and one.id not in self._under_way]

    async def _deliver(self, line: OutboxLine) -> None:
        attempt = await self._channels.deliver(line)
        if attempt.ok:
            self.sent += 1
        else:
            self.failed += 1
            log.warning("not_delivered", line=line.id, channel=line.channel, reason=attempt.error)
        command = Delivered(line=line.id, ok=attempt.ok, error=attempt.error, final=attempt.final)
        self._tell(TOPIC, msgspec.json.encode(command))
        with suppress(TimeoutError):
            async with asyncio.timeout(RECORD_S):
                while self._core.ledger.get(OutboxLine, line.id) is line:  # until that is recorded
                    await asyncio.sleep(LOOK_S / 10)
        del self._under_way[line.id]
