"""The demo's parts under one roof: a private broker, the daemon as a process of its own, the shop.

It shows nothing and parses no options: :class:`Demo` runs, and what it knows can be asked of it at
any moment (:attr:`Demo.state`), which a table or a JSON summary does.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
from msgspec import Struct, field

from edge.broker import LOOPBACK, Broker, free_port
from edge.config import Mqtt
from edge.errors import Rfid3Error
from edge.events import ItemScan
from edge.ingest.mqtt import MqttSource, publisher
from edge.ingest.mqtt_publish import Outgoing
from edge.records import Message
from edge.simulate import speak
from edge.simulate.daemon_config import daemon_config
from edge.simulate.demo_says import sayings
from edge.simulate.live import EVENT_TIME, Taken, live
from edge.simulate.past import Past
from edge.simulate.publish import Progress, publish_paced
from edge.simulate.shop import Shop
from edge.simulate.shop_settings import ShopSettings

READY_WITHIN_S = 180.0
STOP_WITHIN_S = 60.0
CATCH_UP_WITHIN_S = 180.0
PAST_WITHIN_S = 900.0
PAST_AT_ONCE = 70
"""Messages of the past that are published before one looks how far the daemon is."""
LOOK_EVERY_S = 0.5
ASK_EVERY_S = 3.0
PROBE_EVERY_S = 0.2
PROBE_POLL_S = 0.002
PROBE_GIVE_UP_S = 10.0
PROBE_TAG = "425445FFFFFFFFFFFFFFFF02"
LOG_LINES = 15


class Stopped(Exception):
    """Somebody stopped the demo before the live shop began."""


class DemoError(Rfid3Error):
    """A part did not start, or died; the message holds the end of its log."""


class State(Struct):
    """What is known of a running demo; everything of the daemon's is as its API says."""

    stats: dict[str, dict[str, float]] = field(default_factory=dict)
    """Counters: group -> name -> number."""
    zones: list[dict[str, Any]] = field(default_factory=list)
    """Rows of ``/api/zones``."""
    says: list[tuple[str, str]] = field(default_factory=list)
    """What a service speaks of, and what it says; those that have something to say."""
    changes: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=8))
    """(wall clock in seconds, what happened to an item), newest last."""
    latency_ms: list[float] = field(default_factory=list)
    """Publish until visible in the API, one number a probe."""
    probes: int = 0
    """Probes published."""
    probes_lost: int = 0
    """Probes not visible within PROBE_GIVE_UP_S."""
    taken: Taken = field(default_factory=Taken)
    """What the shop has said."""
    progress: Progress = field(default_factory=Progress)
    """What the broker has acknowledged."""
    seconds: float = 0.0
    """For how long messages were published."""
    past_days: int = 0
    """Days of the shop's past that were told before."""
    past_messages: int = 0
    """Messages that told them."""
    past_seconds: float = 0.0
    """How long that took, with the daemon's start and stop."""
    before: dict[str, dict[str, float]] = field(default_factory=dict)
    """Counters as they were when the live shop began."""

    def counted(self, group: str) -> dict[str, float]:
        """Counters of a group since the live shop began; those that did not move since are left out."""
        before = self.before.get(group, {})
        now = self.stats.get(group, {}).items()
        return {name: many - before.get(name, 0) for name, many in now if many != before.get(name)}


class Demo:
    """One demo in one directory; use :meth:`running`."""

    def __init__(
        self, directory: Path, bind: str, settings: ShopSettings, *, seed: int, weeks: int = 0
    ) -> None:
        self.directory = directory
        self.state = State()
        self._settings = settings
        self._seed = seed
        self._weeks = weeks
        self._shop: Shop | None = None
        self._host, _, port = bind.rpartition(":")
        self._port = int(port) or free_port(LOOPBACK)
        self._broker = Broker(directory / "broker")
        self._daemon: subprocess.Popen[bytes] | None = None
        self._log_file = directory / "daemon.log"
        self._items: dict[str, tuple[str, str]] = {}

    @property
    def api_url(self) -> str:
        """Where the daemon's API answers."""
        return f"http://{self._host or LOOPBACK}:{self._port}"

    @property
    def broker_address(self) -> str:
        """Where the private broker listens."""
        return f"{self._broker.host}:{self._broker.port}"

    @asynccontextmanager
    async def running(
        self, stop: asyncio.Event, telling: Callable[[int, int], None]
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """Broker and daemon while the block runs; stopped, daemon first, when it ends.

        The shop's past is told first; ``telling`` hears how many of its days are. Raises BrokerError,
        DemoError, Stopped (while the past is told).
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._broker.start)
        try:
            past = await self._told(stop, telling) if self._weeks else None
            async with self._daemon_running() as api:
                await self.look(api)
                self.state.before = self.state.stats
                if past is not None:
                    await self._look_together(api)
                now_ms = time.time_ns() // 1_000_000
                self._shop = Shop(self._settings, seed=self._seed, start_ms=now_ms, past=past)
                yield api
        finally:
            await asyncio.to_thread(self._broker.stop)

    @asynccontextmanager
    async def _daemon_running(
        self, *options: str, **settings: str
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """The daemon while the block runs, and a client of its API; ``settings`` go into its environment."""
        self._start_daemon(options, settings)
        try:
            timeout = aiohttp.ClientTimeout(total=10)
            async with aiohttp.ClientSession(self.api_url, timeout=timeout) as api:
                await self._until_ready(api)
                yield api
        finally:
            await asyncio.to_thread(self._stop_daemon)

    # -- the past -----------------------------------------------------------------------------------

    async def _told(self, stop: asyncio.Event, telling: Callable[[int, int], None]) -> Past:
        """The shop's past, once the daemon has heard it: its time was that of the messages."""
        began, now_ms = time.monotonic(), time.time_ns() // 1_000_000
        past = Past(self._settings, seed=self._seed, weeks=self._weeks, now_ms=now_ms)
        telling(0, past.days)
        settings = Mqtt(host=self._broker.host, port=self._broker.port)
        async with (
            self._daemon_running("--clock", "events", RFID3_MODELS__ENABLED="false") as api,
            publisher(settings, "rfid3-demo-past") as client,
        ):
            for piece in _pieces(past.messages()):
                await client.publish_many(piece, 1)
                self.state.past_messages += len(piece)
                await self._until_applied(api, self.state.past_messages, PAST_WITHIN_S)
                if stop.is_set():
                    raise Stopped
                if past.done < past.days:
                    telling(past.done, past.days)
        self.state.past_days = past.days
        self.state.past_seconds = time.monotonic() - began
        telling(past.days, past.days)
        return past

    async def play(self, api: aiohttp.ClientSession, seconds: float, stop: asyncio.Event) -> None:
        """Publish for so long (0: until ``stop``), watching; then let the daemon catch up.

        Raises DemoError when the daemon dies.
        """
        settings = Mqtt(host=self._broker.host, port=self._broker.port)
        began = time.monotonic()
        async with publisher(settings, "rfid3-demo-shop") as client:
            publishing = asyncio.create_task(self._publish(client, seconds), name="shop")
            watching = [
                asyncio.create_task(self._look(api), name="look"),
                asyncio.create_task(self._ask(api), name="ask"),
                asyncio.create_task(self._probe(client, api), name="probe"),
                asyncio.create_task(self._guard(), name="guard"),
            ]
            stopping = asyncio.create_task(stop.wait(), name="stop")
            try:
                ends = {publishing, stopping, *watching}
                done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                self.state.seconds = time.monotonic() - began
                for task in done:
                    task.result()
            finally:
                ended = [publishing, stopping, *watching]
                for task in ended:
                    task.cancel()
                await asyncio.wait(ended)
        await self._catch_up(api)

    async def _look_together(self, api: aiohttp.ClientSession) -> None:
        """What goes together is looked for once a day: at once, as there are weeks to look at."""
        async with api.post("/api/correlations/look", json={}) as answer:
            if answer.status not in (202, 409):  # it may be at it by itself
                raise DemoError(f"POST /api/correlations/look: {answer.status}")

    # -- parts ------------------------------------------------------------------------------------

    def _start_daemon(self, options: Sequence[str], settings: Mapping[str, str]) -> None:
        config_file = self.directory / "config.toml"
        day_s = self._settings.day_s
        text = daemon_config(
            self._settings,
            broker_port=self._broker.port,
            directory=str(self.directory / "var"),
            bind=f"{self._host or LOOPBACK}:{self._port}",
            departed_after_s=max(5, min(600, int(day_s / 2))),
        )
        config_file.write_text(text, encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RFID3_")}
        with self._log_file.open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "edge", "run", "--config", str(config_file), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environment, **settings},
                start_new_session=True,  # Ctrl-C is for us; we stop it in its turn
            )

    def _stop_daemon(self) -> None:
        process, self._daemon = self._daemon, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()

    def _died(self) -> DemoError:
        lines = self._log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n  ".join(lines[-LOG_LINES:])
        code = self._daemon.poll() if self._daemon is not None else None
        return DemoError(f"the daemon ended with code {code}; its log ends:\n  {tail}")

    @property
    def _alive(self) -> bool:
        return self._daemon is not None and self._daemon.poll() is None

    async def _until_ready(self, api: aiohttp.ClientSession) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            if not self._alive:
                raise self._died()
            with suppress(aiohttp.ClientError, TimeoutError):
                async with api.get("/readyz") as answer:
                    if answer.status == 200 and _subscribed(await answer.json()):
                        return
            await asyncio.sleep(0.05)
        raise DemoError(f"the daemon was not ready within {READY_WITHIN_S:.0f} s: {self._log_file}")

    async def _guard(self) -> None:
        while self._alive:
            await asyncio.sleep(0.2)
        raise self._died()

    async def _publish(self, client: MqttSource, seconds: float) -> None:
        assert self._shop is not None
        messages = live(self._shop, seconds, self.state.taken)
        await publish_paced(client, messages, self.state.progress)

    # -- watching ---------------------------------------------------------------------------------

    async def _look(self, api: aiohttp.ClientSession) -> None:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                await self.look(api)
                await self._compare_items(api)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask(self, api: aiohttp.ClientSession) -> None:
        while True:
            self.state.says = await sayings(api)
            await asyncio.sleep(ASK_EVERY_S)

    async def look(self, api: aiohttp.ClientSession) -> None:
        """Ask the daemon for its counters and zones, once."""
        async with api.get("/api/stats") as answer:
            told = await answer.json()
            self.state.stats = told.get("stats", {})
        async with api.get("/api/zones") as answer:
            self.state.zones = (await answer.json()).get("zones", [])

    async def _compare_items(self, api: aiohttp.ClientSession) -> None:
        """What changed since the last look: status, and the zone an item lies in."""
        async with api.get("/api/items", params={"limit": "1000"}) as answer:
            rows = (await answer.json()).get("items", [])
        known = self._items
        for row in rows:
            now = (row["status"], row["zone"] if row["present"] else "")
            before = known.get(row["epc"])
            known[row["epc"]] = now
            if before is None or before == now or not row["sku"]:
                continue
            name = row["name"] or row["epc"]
            if before[0] != now[0]:
                self._note(f"{name} …{row['epc'][-4:]}: {before[0]} → {now[0]}")
            elif now[1]:
                self._note(f"{name} …{row['epc'][-4:]}: in {now[1]}")
            else:
                self._note(f"{name} …{row['epc'][-4:]}: left {before[1]}")

    def _note(self, text: str) -> None:
        self.state.changes.append((time.time(), text))

    async def _probe(self, client: MqttSource, api: aiohttp.ClientSession) -> None:
        """Publish a scan of a tag of our own, and ask for it until it shows; it is of no class of the shop."""
        while True:
            at_ms = time.time_ns() // 1_000_000
            scan = ItemScan(epc=PROBE_TAG, scan_type="Touch Scan", name="Latency probe", at=at_ms)
            began = time.monotonic()
            topic = f"rfid3/{self._settings.store}/item_scan/probe"
            await client.publish(topic, speak.native(scan), 1)
            self.state.probes += 1
            if await self._visible(api, at_ms, began + PROBE_GIVE_UP_S):
                self.state.latency_ms.append((time.monotonic() - began) * 1000)
            else:
                self.state.probes_lost += 1
            await asyncio.sleep(PROBE_EVERY_S)

    async def _visible(self, api: aiohttp.ClientSession, at_ms: int, deadline: float) -> bool:
        while time.monotonic() < deadline:
            async with api.get(f"/api/items/{PROBE_TAG}", params={"events": "0"}) as answer:
                if answer.status == 200 and (await answer.json())["item"]["last_scan_ms"] >= at_ms:
                    return True
            await asyncio.sleep(PROBE_POLL_S)
        return False

    async def _catch_up(self, api: aiohttp.ClientSession) -> None:
        """Until the daemon has applied what the broker acknowledged to us."""
        before = int(self.state.before.get("state", {}).get("messages", 0))
        expected = before + self.state.progress.published + self.state.probes
        await self._until_applied(api, expected, CATCH_UP_WITHIN_S)

    async def _until_applied(
        self, api: aiohttp.ClientSession, messages: int, within_s: float
    ) -> None:
        """Until the daemon has applied so many messages, or that takes too long."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if not self._alive:
                raise self._died()
            await self.look(api)
            if self.state.stats.get("state", {}).get("messages", 0) >= messages:
                return
            await asyncio.sleep(0.02)


def _pieces(messages: Iterator[Message]) -> Iterator[list[Outgoing]]:
    """Some messages at a time, each with its own time."""
    while piece := list(islice(messages, PAST_AT_ONCE)):
        yield [
            Outgoing(one.topic, one.payload, ((EVENT_TIME, str(one.arrival_ms)),)) for one in piece
        ]


def quantile(numbers: list[float], share: float) -> float | None:
    """The nearest-rank quantile; ``None`` of nothing.

    >>> quantile([5.0, 1.0, 3.0], 0.5), quantile([], 0.5)
    (3.0, None)
    """
    if not numbers:
        return None
    return sorted(numbers)[min(int(len(numbers) * share), len(numbers) - 1)]


ADMITTED = ("admitted", "folded", "late", "possible_repeat")
"""Outcomes of events that count."""


def summary(demo: Demo) -> dict[str, Any]:
    """What ``rfid3 demo --json`` prints last."""
    state = demo.state
    events = {name: int(many) for name, many in state.counted("events").items()}
    admitted = {name: many for name, many in events.items() if name in ADMITTED}
    return {
        "seconds": round(state.seconds, 1),
        "api": demo.api_url,
        "past": {
            "days": state.past_days,
            "messages": state.past_messages,
            "seconds": round(state.past_seconds, 1),
        },
        "published": {
            "messages": state.progress.published + state.probes,
            "events": state.taken.events + state.probes,
            "by_format": {**state.taken.formats, "probe": state.probes},
        },
        "received": {
            "messages": int(state.counted("mqtt").get("received", 0)),
            "events": sum(events.values()),
        },
        "admitted": admitted.get("admitted", 0) + admitted.get("folded", 0),
        "outcomes": events,
        "refused": {name: many for name, many in events.items() if name not in ADMITTED},
        "dead_letters": {
            name: int(many) for name, many in state.counted("dead").items() if name != "letters"
        },
        "transitions": {k: int(v) for k, v in state.counted("transitions").items()},
        "zones": {zone["name"]: zone["items"] for zone in state.zones},
        "says": dict(state.says),
        "latency_ms": {
            "what": "publish of a probe until it is visible in the API",
            "p50": _rounded(quantile(state.latency_ms, 0.50)),
            "p99": _rounded(quantile(state.latency_ms, 0.99)),
            "max": _rounded(max(state.latency_ms, default=None)),
            "probes": len(state.latency_ms),
            "lost": state.probes_lost,
        },
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1)


def _subscribed(health: dict[str, Any]) -> bool:
    """Ready says nothing about the broker: what is published before the daemon has subscribed,
    nobody keeps for it."""
    return not any(d["degraded"] for d in health["dependencies"] if d["name"] == "mqtt")
