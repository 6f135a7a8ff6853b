"""Asks the services what is worth doing, now and then, and posts it into the corridor. No rules.

What was proposed before, or is still open, is not posted again: the journal holds decisions, not
the same thought every quarter of an hour.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec
import structlog

from edge.commands import TOPIC, Propose
from edge.core import Core
from edge.decisions.deeds import decision_id, safeguards
from edge.decisions.rows import Decision
from edge.decisions.transitions import OPEN

log = structlog.get_logger(__name__)

ROUND_MAX = 200
"""Proposals of one service in one round, the most valuable first: people read them."""
FIRST_AFTER_S = 30.0
"""A start is not the moment to think."""


class Proposer(Protocol):
    """A view that knows what is worth doing."""

    def proposals(self) -> Iterator[Propose | None]:
        """What is worth doing now; ``None`` now and then, to let others work."""
        ...


class Proposals:
    """One daemon's rounds."""

    def __init__(
        self,
        core: Core,
        proposers: Sequence[Proposer],
        tell: Callable[[str, bytes], None],
        every_s: float,
        first_after_s: float = FIRST_AFTER_S,
    ) -> None:
        self.rounds = 0
        self.posted = 0
        self._core = core
        self._proposers = proposers
        self._tell = tell
        self._every_s = every_s
        self._wait_s = min(first_after_s, every_s)

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(self._wait_s)
        while True:
            await self.round()
            await asyncio.sleep(self._every_s)

    async def round(self) -> int:
        """Ask every service once; how many proposals were posted."""
        posted = 0
        if self._core.now_ms and not safeguards(self._core.ledger).killed:
            for proposer in self._proposers:
                posted += await self._ask(proposer)
        self.rounds += 1
        self.posted += posted
        if posted:
            log.info("proposed", decisions=posted)
        return posted

    async def _ask(self, proposer: Proposer) -> int:
        found: list[Propose] = []
        for one in proposer.proposals():
            if one is None:
                await asyncio.sleep(0)
            elif not self._known(one):
                found.append(one)
        found.sort(key=lambda one: (-one.impact_cents * one.confidence, one.target))
        for one in found[:ROUND_MAX]:
            self._tell(TOPIC, msgspec.json.encode(one))
        return min(len(found), ROUND_MAX)

    def _known(self, one: Propose) -> bool:
        ledger = self._core.ledger
        if ledger.get(Decision, decision_id(one)) is not None:
            return True
        same = ledger.by(Decision, "target", one.target)
        asked = (one.kind, one.store, one.period)
        return any(
            (old.kind, old.store, old.period) == asked and old.status in OPEN for old in same
        )
