"""Start, load, kill, judge, start again. The events are numbered and their truth is known.

Everything it starts it also ends. The same seed gives the same kills in the same order; when
exactly each falls, the machine decides.
"""

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import aiohttp

from edge.broker import LOOPBACK, Broker, BrokerSettings, free_port
from edge.clock import SystemClock
from edge.config import Config, Mqtt
from edge.config_file import load
from edge.ingest.inbox import Inbox
from edge.ingest.mqtt import MqttSource, publisher
from tests.torture.daemon import ONCE, POINTS, SELDOM
from tests.torture.judge import Judge, Verdict
from tests.torture.truth import Teller, Truth

ROOT = Path(__file__).resolve().parents[2]
SLICES = (1, 7, 1_024)
READY_WITHIN_S = 180.0
STARTS_IN_S = 2.0
"""How long a quick machine takes; on others all waits grow with it."""
DRAINED_WITHIN_S = 120.0
SLOWEST = 5.0
"""… but no further: many lives are to be lived."""
AIMED_WITHIN_S = 3.0
LIVES_MOST_S = 1.6
BACKLOG_MOST = 8_000
"""Messages that may wait in the broker: with more in flight Mosquitto 2.0 works on nothing else."""

CONFIG = """\
[shop]
store = "main"
timezone = "Europe/Berlin"
[mqtt]
host = "{host}"
port = {port}
client_id = "rfid3-torture"
subscriptions = ["#"]
receive_maximum = 300
reconnect_min_s = 0.05
reconnect_max_s = 0.2
status_topic = ""
[ingest]
beat_ms = 10
quiet_beat_s = 0.2
batch_max = 200
inbox_max = 1000
dedupe_events = 65536
[presence]
departed_after_s = 2
reader_silent_s = 3
pairs_max = 2048
[limits]
items_max = 512
active_items_max = 512
rental_log_max = 200000
classes_max = 32
zones_max = 16
readers_max = 32
customers_max = 16
lines_max = 1024
dead_letters_max = 1000000
[storage]
directory = "{directory}"
disk_reserve_bytes = 0
snapshot_every_events = 400
[api]
bind = "{bind}"
[log]
level = "warning"
format = "text"
[[sources]]
topic = "handheld/+/scans"
format = "rfid3"
reader_level = 1
[[zones]]
name = "shelf"
readers = ["a-json", "a-pack"]
[[zones]]
name = "door"
kind = "portal"
readers = ["r700-a", "b-json"]
"""


@dataclass
class Settings:
    """What to do."""

    directory: Path
    kills: int = 50
    seed: int = 1
    rate: int = 1_500
    """Messages a second, all publishers together; those made while the daemon is away wait."""
    points: tuple[str, ...] = tuple(POINTS)
    """Where a kill may be aimed at."""
    aimed: float = 0.6
    """Part of the kills that are aimed; the others fall at a random time."""
    mistake: str = ""
    """One of the daemon's mistakes; then a Verdict is what is hoped for."""
    slices: tuple[int, ...] = SLICES
    progress: Callable[["Report"], None] = lambda _: None


@dataclass
class Report:
    """What was done; grows."""

    kills: int = 0
    terms: int = 0
    cuts: int = 0
    messages: int = 0
    batches: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    last: str = ""


class Wire:
    """Between daemon and broker: a TCP wire that can be cut."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Wire"]:
        """Listen."""
        listening = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = listening.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listening.close()
            self.cut()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Both ways at once, with a reset."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far = await asyncio.open_connection(self._broker.host, self._broker.port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far}
        for source, sink in ((reader, far), (far_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        sink.close()
        self._writers.discard(sink)


class Torture:
    """One run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.report = Report()
        self._chance = Random(settings.seed)
        self._truth = Truth()
        self._telling = asyncio.Event()
        self._telling.set()
        self._process: asyncio.subprocess.Process | None = None
        self._slower = 1.0
        """How many times as long as on a quick machine the newest start took."""

    async def run(self) -> Report:
        """Raises Verdict when anything was lost, doubled, or differs."""
        directory = self.settings.directory
        directory.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            broker = Broker(directory / "broker", BrokerSettings(inflight_max=1_000))
            await asyncio.to_thread(broker.start)
            stack.callback(broker.stop)
            self._wire = await stack.enter_async_context(Wire(broker).open())
            self._config = self._configure(directory)
            stack.push_async_callback(self._end)
            self._judge = Judge(self._config, Path(self._config.storage.directory))
            await self._subscribe(broker)
            tellers = [
                Teller(name, Random(self.settings.seed + i), _now_ms) for i, name in enumerate("ab")
            ]
            telling = [asyncio.create_task(self._tell(broker, teller)) for teller in tellers]
            try:
                while self.report.kills < self.settings.kills:
                    self._demand_alive(telling)
                    await self._life()
                    self._check()
            finally:
                self._telling.clear()
                await asyncio.wait(telling)
            sentinels = [task.result() for task in telling]
            await self._drain(sentinels)
            self._final()
        return self.report

    def _configure(self, directory: Path) -> Config:
        self._bind = f"{LOOPBACK}:{free_port()}"
        text = CONFIG.format(
            host=LOOPBACK, port=self._wire.port, directory=directory / "var", bind=self._bind
        )
        self._config_file = directory / "config.toml"
        self._config_file.write_text(text)
        return load(self._config_file, {})

    async def _subscribe(self, broker: Broker) -> None:
        """Be the daemon once, so that the broker keeps everything from the first message on."""
        settings = self._config.mqtt
        source = MqttSource(settings, Inbox(1_000, 1 << 20), clock=SystemClock(), session=0)
        running = asyncio.create_task(source.run())
        await until(lambda: source.subscribed, "the broker did not take the subscription")
        running.cancel()
        await asyncio.wait({running})

    # -- telling ----------------------------------------------------------------------------------

    async def _tell(self, broker: Broker, teller: Teller) -> str:
        """Publish until told to stop, then a last message; the tag in it."""
        loop = asyncio.get_running_loop()
        settings = Mqtt(host=broker.host, port=broker.port)
        chance = Random(self.settings.seed)
        async with publisher(settings, f"teller-{teller.name}") as client:
            due = loop.time()
            while self._telling.is_set():
                messages, truth = teller.take(chance.choice([1, 20, 100, 300]))
                await client.publish_many(messages, qos=1)  # returns when all are acknowledged
                self._truth.add(truth)
                self.report.messages = self._truth.messages
                while self._telling.is_set() and self._backlog() > BACKLOG_MOST:
                    await asyncio.sleep(0.02)
                due = max(due + 2 * len(messages) / self.settings.rate, loop.time() - 1)
                await asyncio.sleep(max(due - loop.time(), 0))
            sentinel, epc = teller.sentinel()
            await client.publish_many([sentinel], qos=1)
            _, truth = teller.take(0)
            truth.messages = 1
            self._truth.add(truth)
        return epc

    def _backlog(self) -> int:
        """Messages told that no journal held when the daemon last died."""
        counters = self._judge.core.state.counters
        held = counters.get("messages", 0) - counters.get("messages_redelivered", 0)
        return self._truth.messages - held

    @staticmethod
    def _demand_alive(telling: list[asyncio.Task[str]]) -> None:
        for task in telling:
            if task.done():
                task.result()
                raise AssertionError("a publisher ended")

    # -- a life and its end -----------------------------------------------------------------------

    async def _life(self) -> None:
        """Start the daemon, and one way or another end it."""
        chance = self._chance
        fate = chance.random()
        if fate < self.settings.aimed:
            point = chance.choice(self.settings.points)
            often = [1] if point in ONCE else [1, 1, 2] if point in SELDOM else [1, 2, 3, 5, 9, 20]
            await self._aimed(point, chance.choice(often))
        else:
            lives_s = LIVES_MOST_S * chance.random() ** 2 + 0.05
            await self._random(lives_s, cut=chance.random() < 0.25, term=chance.random() < 0.15)

    async def _aimed(self, point: str, n: int) -> None:
        process = await self._start("--die", f"{point}:{n}")
        self.report.last = f"{point}:{n}"
        await self._up(process)
        within_s = AIMED_WITHIN_S * self._slower
        try:
            async with asyncio.timeout(within_s):
                await process.wait()
        except TimeoutError:
            self.report.last += " missed"
            if self._chance.random() < 0.5:  # some points are only passed on the way out
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
                with suppress(TimeoutError):
                    async with asyncio.timeout(within_s):
                        await process.wait()
            with suppress(ProcessLookupError):
                process.kill()
        await self._buried(process, self.report.last.partition(":")[0])

    async def _up(self, process: asyncio.subprocess.Process) -> None:
        """Until it answers, or is dead."""
        began = time.monotonic()
        async with (
            asyncio.timeout(READY_WITHIN_S),
            aiohttp.ClientSession(f"http://{self._bind}") as client,
        ):
            while process.returncode is None and not await _status(client, "/healthz"):
                await asyncio.sleep(0.02)
        if process.returncode is None:
            self._slower = min(max(1.0, (time.monotonic() - began) / STARTS_IN_S), SLOWEST)

    async def _random(self, lives_s: float, *, cut: bool, term: bool) -> None:
        process = await self._start()
        self.report.last = f"after {lives_s:.2f} s"
        lives_s *= self._slower
        await asyncio.sleep(0.35 * self._slower + lives_s / 2)
        if cut:
            self._wire.cut()
            self.report.cuts += 1
        await asyncio.sleep(lives_s / 2)
        if term:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await asyncio.sleep(self._chance.random() * 0.1)
        if not term or self._chance.random() < 0.5:
            with suppress(ProcessLookupError):
                process.kill()
        await self._buried(process, "random")

    async def _start(
        self, *more: str, module: str = "tests.torture.daemon"
    ) -> asyncio.subprocess.Process:
        arguments = ["run"] if module == "edge" else []
        if self.settings.mistake and module != "edge":
            more = (*more, "--mistake", self.settings.mistake)
        with (self.settings.directory / "daemon.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", module, *arguments, "--config", str(self._config_file), *more),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self._process

    async def _buried(self, process: asyncio.subprocess.Process, how: str) -> None:
        async with asyncio.timeout(READY_WITHIN_S):
            code = await process.wait()
        if code not in (0, -signal.SIGKILL, -signal.SIGTERM):
            raise Verdict(f"the daemon ended with {code} ({self.report.last}): {self.last_words()}")
        self.report.kills += code == -signal.SIGKILL
        self.report.terms += code != -signal.SIGKILL
        self.report.deaths[how] += 1

    async def _end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def last_words(self) -> str:
        """The end of the daemon's log."""
        text = (self.settings.directory / "daemon.log").read_text(errors="replace")
        return text[-2_000:]

    # -- judging ----------------------------------------------------------------------------------

    def _check(self) -> None:
        try:
            self._judge.check()
        except Verdict as verdict:
            raise Verdict(f"kill {self.report.kills} ({self.report.last}): {verdict}") from None
        self.report.batches = self._judge.seq
        self.settings.progress(self.report)

    async def _drain(self, sentinels: list[str]) -> None:
        """The daemon as shipped, until it has everything; then a clean stop."""
        process = await self._start(module="edge")
        self.report.last = "the end"
        async with aiohttp.ClientSession(f"http://{self._bind}") as client:
            deadline = time.monotonic() + DRAINED_WITHIN_S * self._slower
            for epc in sentinels:
                while await _status(client, f"/api/items/{epc}") != 200:
                    if process.returncode is not None:
                        raise Verdict(f"the daemon ended: {self.last_words()}")
                    if time.monotonic() > deadline:
                        raise Verdict("the last message did not arrive")
                    await asyncio.sleep(0.05)
            await self._ask(client)
        process.send_signal(signal.SIGTERM)
        await self._buried(process, "the end")
        if process.returncode != 0:
            raise Verdict(f"a clean stop ended with {process.returncode}: {self.last_words()}")

    async def _ask(self, client: aiohttp.ClientSession) -> None:
        """What the API says must be the truth, too."""
        async with client.get("/api/stats") as answer:
            counters = (await answer.json())["stats"]
        events, dead = counters["events"], counters["dead"]
        admitted = events.get("admitted", 0) + events.get("folded", 0)
        letters = sum(n for name, n in dead.items() if name != "letters")
        self._said = (admitted, letters)

    def _final(self) -> None:
        self._check()
        wrong = self._truth.complaints(self._judge.core, self._judge.dead_letters())
        if wrong:
            raise Verdict("; ".join(wrong))
        told = (self._truth.events, self._truth.dead.total())
        if self._said != told:
            raise Verdict(f"/api/stats says {self._said} (events, dead letters), told were {told}")
        expected = self._judge.core.digest()
        for slice_ in self.settings.slices:
            if self._judge.whole(slice_) != expected:
                raise Verdict(f"a replay in slices of {slice_} gives another state")


def torture(settings: Settings) -> Report:
    """Run to the end. Raises Verdict when anything was lost, doubled, or differs."""
    return asyncio.run(Torture(settings).run())


async def until(true: Callable[[], object], complaint: str, within_s: float = 60.0) -> None:
    """Poll; AssertionError with ``complaint`` when it does not become true."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, complaint
        await asyncio.sleep(0.01)


async def _status(client: aiohttp.ClientSession, path: str) -> int:
    try:
        async with client.get(path) as answer:
            await answer.read()
            return answer.status
    except aiohttp.ClientError:
        return 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
