"""A server with a table of endpoints of a test's own, before the shop in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from edge.api.app import API, server, serving
from edge.api.endpoint import Api, Endpoint, Patience
from edge.clock import SystemClock
from edge.config import Config
from edge.errors import InboxFull
from edge.records import Message, Receipt
from edge.view_types import Dependency
from tests.api.fakes import MemoryShop, MemoryTables, MemoryView


@dataclass
class ScriptedCorridor:
    """Answers every message alike, as slowly as told; ``None``: not before ``catch_up``."""

    outcome: tuple[str, str] = ("done", "{}")
    commit_s: float | None = 0.0
    apply_s: float | None = 0.0
    full: bool = False
    taken: list[Message] = field(default_factory=list)
    untold: list[Receipt] = field(default_factory=list)

    def submit(self, entries: Sequence[tuple[Message, Receipt]]) -> None:
        if self.full:
            raise InboxFull("full")
        loop = asyncio.get_running_loop()
        for message, receipt in entries:
            self.taken.append(message)
            if self.commit_s is not None:
                loop.call_later(self.commit_s, receipt.committed)
            if self.apply_s is not None:
                loop.call_later(self.apply_s, receipt.applied, [self.outcome])
            else:
                self.untold.append(receipt)

    def catch_up(self) -> None:
        """What nobody was told yet is told."""
        while self.untold:
            receipt = self.untold.pop()
            receipt.committed()
            receipt.applied([self.outcome])

    def health(self) -> list[Dependency]:
        return []


@dataclass
class Table:
    """The client of a served table, and what is behind it."""

    client: aiohttp.ClientSession
    api: Api
    corridor: ScriptedCorridor


@asynccontextmanager
async def served(
    *endpoints: Endpoint, corridor: ScriptedCorridor | None = None, settings: Config | None = None
) -> AsyncIterator[Table]:
    """A real server on a free port."""
    memory, told = MemoryShop(), corridor or ScriptedCorridor()
    app = server(
        MemoryView(memory),
        told,
        MemoryTables(memory),
        settings or Config(),
        SystemClock(),
        Patience(progress_s=0.2, body_s=0.3, full_s=0.01, beat_s=0.02),
        table=endpoints,
    )
    async with (
        serving(app, "127.0.0.1:0") as bound,
        aiohttp.ClientSession(bound.url) as client,
    ):
        yield Table(client, app[API], told)
