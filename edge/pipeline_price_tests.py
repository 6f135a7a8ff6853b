"""Looks now and then whether a block of a price test is over, and tells it through the corridor. No rules.

What a block brought is read out of days that have closed (``edge.view_price_tests``); when a test ends
is decided where it is kept (``edge.ledger.price_tests``).
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec
import structlog

from edge.commands import TOPIC, Command

log = structlog.get_logger(__name__)

EVERY_S = 300.0
FIRST_AFTER_S = 20.0


class Blocks(Protocol):
    """Who knows which blocks are over."""

    def due(self) -> Iterator[Command]:
        """Blocks that were not told yet, one a test."""
        ...


class PriceTestBlocks:
    """One daemon's looks."""

    def __init__(
        self, blocks: Blocks, tell: Callable[[str, bytes], None], every_s: float = EVERY_S
    ) -> None:
        self._blocks = blocks
        self._tell = tell
        self._every_s = every_s

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(min(FIRST_AFTER_S, self._every_s))
        while True:
            await self.round()
            await asyncio.sleep(self._every_s)

    async def round(self) -> int:
        """Tell every block that is over; how many there were."""
        told = 0
        for one in self._blocks.due():
            self._tell(TOPIC, msgspec.json.encode(one))
            told += 1
            await asyncio.sleep(0)
        if told:
            log.info("price_test_blocks", blocks=told)
        return told
