"""Looks now and then what came of prices, and tells it through the corridor. No rules.

What a block of a test brought, or a changed price in its first weeks, is read out of days that have
closed (``edge.view_price_tests``, ``edge.view_pricing``); when a test ends is decided where it is kept
(``edge.ledger.price_tests``).
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import msgspec
import structlog

from edge.commands import TOPIC, Command

log = structlog.get_logger(__name__)

EVERY_S = 300.0
FIRST_AFTER_S = 20.0


Due = Callable[[], Iterator[Command]]
"""What is known now and was not told yet."""


class PriceOutcomes:
    """One daemon's looks."""

    def __init__(
        self, due: Sequence[Due], tell: Callable[[str, bytes], None], every_s: float = EVERY_S
    ) -> None:
        self._due = due
        self._tell = tell
        self._every_s = every_s

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(min(FIRST_AFTER_S, self._every_s))
        while True:
            await self.round()
            await asyncio.sleep(self._every_s)

    async def round(self) -> int:
        """Tell everything that is known by now; how much there was."""
        told = 0
        for due in self._due:
            for one in due():
                self._tell(TOPIC, msgspec.json.encode(one))
                told += 1
                await asyncio.sleep(0)
        if told:
            log.info("price_outcomes", told=told)
        return told
