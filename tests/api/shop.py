"""A real daemon without a broker, for tests of the API: its client, and the parts behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from edge.app import Daemon, running
from edge.clock import Clock, SystemClock
from edge.config import Api, Config, Ingest, Models, Mqtt, Storage

DAY_MS = 86_400_000


@dataclass
class Shop:
    """A running daemon and how to ask it."""

    client: aiohttp.ClientSession
    daemon: Daemon

    async def ask(self, method: str, path: str, status: int = 200, **arguments: Any) -> Any:
        """The JSON of an answer that must have this status."""
        async with self.client.request(method, path, **arguments) as got:
            body = await got.read()
            assert got.status == status, (method, path, got.status, body)
            return msgspec.json.decode(body)

    async def get(self, path: str, status: int = 200, **params: Any) -> Any:
        """The JSON of a GET."""
        return await self.ask("GET", path, status, params=params)

    async def events(self, *told: dict[str, Any]) -> None:
        """Post events, all of which must be taken."""
        for start in range(0, len(told), 500):
            report = await self.ask("POST", "/api/events", json=list(told[start : start + 500]))
            assert report["refused_count"] == 0, report


@asynccontextmanager
async def daemon(tmp_path: Path, clock: Clock | None = None, **tables: Any) -> AsyncIterator[Shop]:
    """A fresh daemon; ``tables`` replace tables of its configuration.

    With ``clock`` events may lie years back: its time is the daemon's, as far as nothing was told
    that is later.
    """
    fields: dict[str, Any] = {
        "mqtt": Mqtt(enabled=False),
        "storage": Storage(directory=str(tmp_path)),
        "api": Api(bind="127.0.0.1:0"),
        "models": Models(enabled=True),
        "ingest": Ingest(beat_ms=5),
        **tables,
    }
    config = Config(**fields)
    async with running(config, clock or SystemClock()) as made:
        assert made.bound is not None
        async with aiohttp.ClientSession(made.bound.url) as client:
            yield Shop(client, made)


@asynccontextmanager
async def shop(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Only the client, as anybody outside has it."""
    async with daemon(tmp_path) as found:
        yield found.client
