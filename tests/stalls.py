"""What a shop of 50,000 items asks of the loop, and how long each callback of it takes meanwhile.

Processor time of the loop's thread, not wall time: what others on the machine do takes none of it,
though it can make the same work dearer. On asyncio's own loop: uvloop has no place to look.
"""

import asyncio
import gc
import json
import time
from asyncio import events
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from edge.api.table import ENDPOINTS
from edge.app import Daemon
from edge.config import Api, Config, Ingest, Limits, Mqtt, Shop, Storage, Zone
from edge.records import Message
from tests.corridor import SetClock, until

LIMIT_S = 0.005
"""Nothing on the loop should take longer."""
TRIES = 5
ITEMS = 50_000
START_MS = 1_760_000_000_000
MINUTE, HOUR = 60_000, 3_600_000


def epc(number: int) -> str:
    return f"E28011606000{number:012X}"


class Watch:
    """The slowest callback since ``begin``, in processor time of the loop's thread."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self.what = ""
        self._own: object = None  # the test's own task, which makes what the daemon is told

    def begin(self) -> None:
        self.worst_s, self.what, self._own = 0.0, "", asyncio.current_task()

    def saw(self, took_s: float, handle: Any) -> None:
        task = getattr(handle._callback, "__self__", None)
        if took_s > self.worst_s and (task is None or task is not self._own):
            self.worst_s, self.what = took_s, repr(task or handle)[:300]


@contextmanager
def watched() -> Iterator[Watch]:
    """Every callback of every asyncio loop is measured meanwhile."""
    watch, real = Watch(), events.Handle._run

    def measured(self: events.Handle) -> None:
        began = time.thread_time()
        real(self)
        watch.saw(time.thread_time() - began, self)

    events.Handle._run = measured  # type: ignore[method-assign]
    before = gc.get_threshold()
    try:
        yield watch
    finally:
        events.Handle._run = real  # type: ignore[method-assign]
        gc.unfreeze()
        gc.set_threshold(*before)


def shop(directory: Path) -> Config:
    return Config(
        shop=Shop(timezone="Europe/Berlin"),
        mqtt=Mqtt(enabled=False),
        ingest=Ingest(beat_ms=2, quiet_beat_s=0.01, inbox_max=200_000),
        zones=[
            Zone(name="shelf", readers=["r0", "r1"]),
            Zone(name="door", readers=["r2"], kind="portal"),
        ],
        limits=Limits(items_max=60_000, active_items_max=60_000),
        storage=Storage(directory=str(directory), disk_reserve_bytes=0),
        api=Api(bind="127.0.0.1:0"),
    )


class Hands:
    """The daemon with many items, and hands to make it work."""

    def __init__(
        self, daemon: Daemon, client: aiohttp.ClientSession, clock: SetClock, items: int = ITEMS
    ) -> None:
        self.daemon = daemon
        self.client = client
        self.clock = clock
        self.items = items
        self._serial = 0

    def put(self, topic: str, body: Any, packet_id: int = 0) -> None:
        """One message arrives now."""
        payload = body if isinstance(body, bytes) else msgspec.json.encode(body)
        message = Message(topic, payload, self.clock.now_ms(), 1, packet_id, 1)
        self.daemon.pipeline.inbox.put(message)

    def read(self, item: int) -> dict[str, Any]:
        """A tag read that was never told before."""
        self._serial += 1
        return {
            "epc": epc(item),
            "at": self.clock.now_ms() - self._serial % 900,
            "seq": self._serial,
            "rssi_dbm": -50.5,
            "antenna": 1,
        }

    async def read_all(self, reader: str) -> None:
        """Every item is seen once, fifteen hundred a second."""
        for start in range(0, self.items, 100):
            self.clock.advance(67)
            told = [self.read(i) for i in range(start, start + 100)]
            self.put(f"rfid3/main/tag_read/{reader}", told)
        await self.idle()

    async def idle(self) -> None:
        """Everything is committed and applied."""
        pipeline = self.daemon.pipeline

        def done() -> bool:
            return not (len(pipeline.inbox) or pipeline.behind or pipeline.progress.waiting_since)

        await until(done, 60)
        beat = pipeline.progress.beat_at
        await until(lambda: pipeline.progress.beat_at > beat and done(), 60)

    async def fill(self) -> None:
        """Every item is linked to a class, seen in a zone, and some are on rent."""
        for start in range(0, self.items, 100):
            links = [
                {"type": "item_link", "epc": epc(i), "sku": f"SKU-{i % 5_000}", "name": "Tent"}
                for i in range(start, start + 100)
            ]
            self.put("rfid3/main/events/office", links)
        await self.read_all("r0")

    async def get(self, path: str) -> None:
        while (place := await self._answer(path)) is not None:
            async with asyncio.timeout(60):  # it is made in a thread
                while not await self._finished(place):
                    await asyncio.sleep(0.05)

    async def _answer(self, path: str) -> str | None:
        """Where an answer is being made; ``None``: it was given."""
        async with self.client.get(path) as answer:
            await answer.read()
            assert answer.status in (200, 202), (path, answer.status)
            return answer.headers["Location"] if answer.status == 202 else None

    async def _finished(self, place: str) -> bool:
        async with self.client.get(place) as answer:
            told = await answer.json()
            assert told["state"] in ("waiting", "running", "done"), told
            return bool(told["state"] == "done")


Deed = Callable[[Hands], Awaitable[None]]


async def many_reads(shop: Hands) -> None:
    for i in range(4_000):
        shop.clock.advance(i % 2)
        shop.put(f"rfid3/main/tag_read/r{i % 3}", shop.read(i * 13 % shop.items), i % 60_000 + 1)
    await shop.idle()


async def a_zebra_array_of_a_thousand_reads(shop: Hands) -> None:
    array = [
        {
            "data": {"idHex": epc(i * 7), "antenna": 1, "peakRssi": -50, "eventNum": i},
            "timestamp": "2025-10-09T08:53:20.000Z",
            "type": "SIMPLE",
            "hostName": f"r{shop._serial % 3}",
        }
        for i in range(1_000)
    ]
    shop._serial += 1
    shop.put("zebra/r0", array)
    await shop.idle()


async def scans_and_lines(shop: Hands) -> None:
    for i in range(300):
        shop._serial += 1
        scan = {"type": "item_scan", "epc": epc(i * 11), "scan_type": "Rental", "sku": "SKU-1"}
        scan |= {"contract": f"C{shop._serial}", "at": shop.clock.now_ms()}
        line = {"type": "pos_line", "document": f"D{shop._serial}", "kind": "sale", "sku": "SKU-2"}
        shop.put("rfid3/main/events/till", [scan, line])
        shop.put("junk", b"\xff\x00" + str(shop._serial).encode())
    await shop.idle()


async def quiet_beats(shop: Hands) -> None:
    for _ in range(6):
        shop.clock.advance(20_000)
        await shop.idle()


async def an_hour_passes(shop: Hands) -> None:
    shop.clock.advance(HOUR)
    await shop.idle()


async def everything_departs(shop: Hands) -> None:
    await shop.read_all("r1")
    shop.clock.advance(11 * MINUTE)
    await shop.idle()


async def a_day_closes(shop: Hands) -> None:
    shop.clock.advance(24 * HOUR)
    await shop.idle()


async def a_snapshot(shop: Hands) -> None:
    shop.put("rfid3/main/tag_read/r0", shop.read(1))
    await shop.idle()
    await shop.daemon.pipeline.snapshot()


async def trimming(shop: Hands) -> None:
    await shop.daemon.pipeline._trim()


async def a_line_is_posted(shop: Hands) -> None:
    async with shop.client.post("/api/events", json={"type": "tag_read", **shop.read(5)}) as told:
        assert told.status == 200, await told.text()


async def many_lines_are_posted(shop: Hands) -> None:
    lines = b"".join(
        msgspec.json.encode({"type": "tag_read", **shop.read(i)}) + b"\n" for i in range(3_000)
    )
    headers = {"Content-Type": "application/x-ndjson"}
    async with shop.client.post("/api/events", data=lines, headers=headers) as told:
        assert told.status == 200, await told.text()
        assert json.loads(await told.read())["accepted"] == 3_000


DEEDS: tuple[Deed, ...] = (
    many_reads,
    a_zebra_array_of_a_thousand_reads,
    scans_and_lines,
    quiet_beats,
    an_hour_passes,
    everything_departs,
    a_day_closes,
    a_snapshot,
    trimming,
    a_line_is_posted,
    many_lines_are_posted,
)

PAGES = (
    "/api/items?limit=1000",
    "/api/items?sku=SKU-399&limit=1000",
    "/api/items?status=nothing",
    "/api/items?zone=door",
    f"/api/items/{epc(7)}",
    "/api/classes?limit=1000",
    "/api/classes/SKU-7?days=400",
    "/api/unknown-tags?limit=1000",
    "/api/dead-letters?limit=1000",
    "/api/gaps?limit=1000",
    "/api/availability?sku=SKU-7&from=2030-01-05&to=2030-01-06",
)


def pages() -> tuple[str, ...]:
    """Every GET without a variable part, and the heaviest forms of the others."""
    plain = [
        e.path
        for e in ENDPOINTS
        if e.method == "GET" and "{" not in e.path and not required(e.query)
    ]
    return (*plain, *PAGES)


def required(query: type[Struct]) -> bool:
    """Whether a query cannot be left out; such an endpoint stands in ``PAGES``."""
    return any(field.required for field in msgspec.structs.fields(query))


async def least(watch: Watch, shop: Hands, deed: Deed, limit_s: float) -> tuple[float, str]:
    """The slowest callback of the best of a few tries, or of the first within the limit."""
    best = (1e9, "")
    for _ in range(TRIES):
        watch.begin()
        await deed(shop)
        best = min(best, (watch.worst_s, watch.what))
        if best[0] <= limit_s:
            break
    return best
