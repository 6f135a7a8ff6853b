"""The whole daemon with a real broker: how it starts, refuses to start, comes back and stops."""

import asyncio
import errno
import gc
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import structlog

from edge.app import Daemon, _say, _watch, running
from edge.broker import LOOPBACK, Broker, free_port
from edge.clock import SystemClock
from edge.config import Api, Config, Ingest, Limits, Mqtt, Storage
from edge.errors import ConfigError, JournalBusy, JournalFull
from edge.ingest.mqtt import publisher
from edge.ingest.mqtt_publish import Outgoing
from edge.sdnotify import Notifier
from edge.storage.journal import Journal
from edge.storage.journal_reader import JournalReader
from tests.corridor import SetClock, replay, run, until

ROOT = Path(__file__).resolve().parents[1]
EPC = "E2801160600002{:010X}"


@pytest.fixture(autouse=True)
def _usual_memory() -> Iterator[None]:
    """The daemon tunes the collector of its process; here it is only a guest."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def shop(directory: Path, broker: Broker | None, **ingest: Any) -> Config:
    """A small shop on free ports."""
    mqtt = Mqtt(enabled=False)
    if broker is not None:
        mqtt = Mqtt(host=broker.host, port=broker.port, reconnect_min_s=0.02, reconnect_max_s=0.1)
    return Config(
        mqtt=mqtt,
        ingest=Ingest(**{"beat_ms": 2, "quiet_beat_s": 0.05} | ingest),
        limits=Limits(items_max=2_000, active_items_max=2_000, rental_log_max=10_000),
        storage=Storage(directory=str(directory), disk_reserve_bytes=0),
        api=Api(bind=f"{LOOPBACK}:0"),
    )


@asynccontextmanager
async def served(config: Config) -> AsyncIterator[tuple[Daemon, aiohttp.ClientSession]]:
    """The daemon and somebody who asks it."""
    async with running(config, SystemClock()) as daemon:
        assert daemon.bound is not None
        async with aiohttp.ClientSession(daemon.bound.url) as client:
            yield daemon, client


async def asked(client: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    """Status and JSON of a GET."""
    async with client.get(path) as answer:
        return answer.status, json.loads(await answer.read())


async def tell(broker: Broker, first: int, many: int, items: int = 20) -> None:
    """Bare tag reads, answered by the broker."""
    told = [
        Outgoing(f"door/{i % 3}", EPC.format(i % items).encode())
        for i in range(first, first + many)
    ]
    async with publisher(Mqtt(host=broker.host, port=broker.port), "teller") as client:
        await client.publish_many(told, qos=1)


def reads(daemon: Daemon) -> int:
    """Reads counted over all items."""
    return int(daemon.pipeline.core.state.item.col["reads_total"].sum())


def test_a_broker_that_goes_and_comes_costs_no_message(broker: Broker, tmp_path: Path) -> None:
    config = shop(tmp_path / "var", broker)

    async def main() -> None:
        broker.stop()
        async with served(config) as (daemon, client):
            assert daemon.source is not None
            status, health = await asked(client, "/readyz")
            assert (status, health["status"]) == (200, "degraded")
            for round_ in range(3):
                await asyncio.to_thread(broker.start)
                await until(lambda: daemon.source.subscribed)
                assert (await asked(client, "/readyz"))[1]["status"] == "ok"
                await tell(broker, round_ * 100, 100)
                await until(lambda r=round_: reads(daemon) == (r + 1) * 100)
                await asyncio.to_thread(broker.stop)
                await until(lambda: not daemon.source.connected)
                assert (await asked(client, "/readyz"))[1]["status"] == "degraded"
        assert daemon.pipeline.core.digest() == replay(tmp_path / "var", config)[0].digest()

    run(main)


def test_a_condition_began_when_it_did_and_not_when_somebody_asked(
    broker: Broker, tmp_path: Path
) -> None:
    clock = SetClock(SystemClock().now_ms())
    began_ms = clock.now_ms()
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"}

    async def main() -> None:
        fed = asyncio.Event()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, ExitStack() as stack:
            manager.bind(environ["NOTIFY_SOCKET"])
            manager.setblocking(False)
            asyncio.get_running_loop().add_reader(manager, lambda: manager.recv(99) and fed.set())
            notifier = stack.enter_context(Notifier(environ))
            async with running(shop(tmp_path / "var", broker), clock) as daemon:
                stopped = asyncio.Event()
                watching = asyncio.create_task(_watch(daemon, notifier, stopped))
                await until(lambda: daemon.source.subscribed)
                await asyncio.to_thread(broker.stop)
                await until(lambda: not daemon.source.connected)
                for _ in range(2):  # the first may have been sent before the link went down
                    fed.clear()
                    await fed.wait()
                clock.advance(3_600_000)
                assert daemon.bound is not None
                async with aiohttp.ClientSession(daemon.bound.url) as client:
                    health = (await asked(client, "/healthz"))[1]
                told = {d["name"]: d for d in health["dependencies"]}
                assert told["mqtt"]["degraded"]
                assert told["mqtt"]["since_ms"] == began_ms
                stopped.set()
                await watching
            asyncio.get_running_loop().remove_reader(manager)

    run(main)


def test_an_upload_into_a_full_corridor_is_refused_with_503_and_what_was_taken_is_counted(
    tmp_path: Path,
) -> None:
    config = shop(tmp_path / "var", None, inbox_max=40, batch_max=20)
    slow = Storage(directory=str(tmp_path / "var"), disk_reserve_bytes=0, fsync_delay_ms=400)

    async def main() -> None:
        async with served(msgspec.structs.replace(config, storage=slow)) as (daemon, client):

            async def upload(number: int) -> tuple[int, int]:
                events = [
                    {"type": "tag_read", "epc": EPC.format(number), "at": 1_700_000_000_000 + i}
                    for i in range(30)
                ]
                async with client.post("/api/events", json=events) as answer:
                    return answer.status, (await answer.json()).get("accepted", 0)

            answers = await asyncio.gather(*(upload(n) for n in range(12)))
            statuses = {status for status, _ in answers}
            assert statuses == {200, 503}
            assert reads(daemon) == sum(n for status, n in answers if status == 200)
            assert reads(daemon) == 30 * sum(status == 200 for status, _ in answers)

    run(main)


def test_a_session_is_known_after_a_start_although_no_message_came_in_it(
    broker: Broker, tmp_path: Path
) -> None:
    config = shop(tmp_path / "var", broker)
    sessions: list[int] = []

    async def main() -> None:
        for _ in range(2):
            async with served(config) as (daemon, _client):
                source = daemon.source
                assert source is not None
                await until(lambda s=source: s.subscribed)
                sessions.append(source.session)
            reader = JournalReader.open(tmp_path / "var")
            assert reader.last().session == sessions[-1]
            reader.close()
        assert sessions[0] == sessions[1] > 0, "the broker kept it, and so did the journal"

    run(main)


def test_a_start_that_fails_lets_the_journal_go(tmp_path: Path) -> None:
    config = shop(tmp_path, None)
    small = msgspec.structs.replace(config.limits, items_max=50, active_items_max=50)

    async def main() -> None:
        async with served(config) as (daemon, client):
            lines = b"".join(b'{"type":"tag_read","epc":"%024X"}\n' % i for i in range(1_000))
            headers = {"Content-Type": "application/x-ndjson"}
            async with client.post("/api/events", data=lines, headers=headers) as answer:
                assert answer.status == 200
        with socket.socket() as taken:
            taken.bind((LOOPBACK, 0))
            taken.listen()
            bind = f"{LOOPBACK}:{taken.getsockname()[1]}"
            failing: list[tuple[Config, type[Exception]]] = [
                (msgspec.structs.replace(config, limits=small), ConfigError),
                (msgspec.structs.replace(config, api=Api(bind=bind)), OSError),
            ]
            for bad, expected in failing:
                with pytest.raises(expected):
                    async with running(bad, SystemClock()):
                        pass
                Journal.open(tmp_path, config.storage).close()
        async with served(config) as (daemon, _):
            assert reads(daemon) == 1_000

    run(main)


# -- as a process ---------------------------------------------------------------------------------


def written(directory: Path, broker_port: int, bind: str, storage: Path | None = None) -> Path:
    """A configuration file."""
    file = directory / f"{bind.rpartition(':')[2]}.toml"
    file.write_text(
        f'[mqtt]\nport = {broker_port}\n[storage]\ndirectory = "{storage or directory / "var"}"\n'
        f'disk_reserve_bytes = 0\n[api]\nbind = "{bind}"\n[log]\nformat = "json"\n'
        "[limits]\nitems_max = 2000\nactive_items_max = 2000\nrental_log_max = 10000\n"
    )
    return file


class Process:
    """``rfid3 run`` and what it says."""

    def __init__(self, config: Path) -> None:
        self.log = config.with_suffix(".log")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge", "run", "--config", str(config)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def said(self, event: str) -> list[dict[str, Any]]:
        """Lines of the log with this event."""
        lines = self.log.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line.get("event") == event]

    def until_ready(self, times: int = 1) -> None:
        """Poll the log."""
        deadline = time.monotonic() + 120
        while len(self.said("ready")) < times:
            assert self.process.poll() is None, self.log.read_text()[-2_000:]
            assert time.monotonic() < deadline, "not ready in time"
            time.sleep(0.02)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def test_a_taken_address_ends_the_start_with_a_clear_word(broker: Broker, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        bind = f"{LOOPBACK}:{taken.getsockname()[1]}"
        with Process(written(tmp_path, broker.port, bind)) as daemon:
            assert daemon.process.wait(30) == 1
    (line,) = daemon.said("failed")
    assert bind.rpartition(":")[2] in line["reason"]
    assert "in use" in line["reason"]
    assert "api.bind" in line["cure"]
    assert "Traceback" not in daemon.log.read_text()


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (OSError(errno.EADDRINUSE, "taken"), "end the other program there"),
        (OSError(errno.EADDRNOTAVAIL, "foreign"), "no such address: see api.bind"),
        (PermissionError(errno.EACCES, "denied"), "lacks the permission"),
        (PermissionError(errno.EPERM, "denied"), "lacks the permission"),
        (OSError(errno.EROFS, "read-only"), "on a disk that can be written"),
        (OSError(errno.ENOSPC, "full"), "free some disk space"),
        (OSError(errno.EDQUOT, "quota"), "this user's quota"),
        # its number is of the resolver's list, where another word stands beside it
        (socket.gaierror(errno.EACCES, "unknown name"), "no such name"),
        (OSError(errno.EIO, "input/output error"), "see the reason"),
        (JournalBusy("locked"), "end the other program"),
        (JournalFull("no room"), "free some disk space"),
    ],
)
def test_what_the_system_refuses_is_told_with_what_may_help(error: Exception, cure: str) -> None:
    with structlog.testing.capture_logs() as logs:
        _say(error)
    (line,) = logs
    assert (line["event"], line["kind"]) == ("failed", type(error).__name__)
    assert str(error) == line["reason"]
    assert cure in line["cure"]


def test_a_second_daemon_on_one_directory_is_refused_and_the_first_lives_on(
    broker: Broker, tmp_path: Path
) -> None:
    one = written(tmp_path, broker.port, f"{LOOPBACK}:{free_port()}")
    two = written(tmp_path, broker.port, f"{LOOPBACK}:{free_port()}")
    with Process(one) as first:
        first.until_ready()
        with Process(two) as second:
            assert second.process.wait(30) == 1
        (line,) = second.said("failed")
        assert str(first.process.pid) in line["reason"]
        assert first.process.poll() is None


def test_told_to_stop_under_load_it_ends_cleanly_and_the_next_start_replays_nothing(
    broker: Broker, tmp_path: Path
) -> None:
    config = written(tmp_path, broker.port, f"{LOOPBACK}:{free_port()}")
    with Process(config) as daemon:
        daemon.until_ready()

        async def load() -> None:
            await tell(broker, 0, 500)
            telling = asyncio.create_task(tell(broker, 500, 6_000))
            await asyncio.sleep(0)
            daemon.process.send_signal(signal.SIGTERM)
            await telling

        asyncio.run(load())
        assert daemon.process.wait(30) == 0
    with Process(config) as daemon:
        daemon.until_ready(2)
        assert daemon.said("recovered")[-1]["replayed"] == 0
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
    assert not daemon.said("failed")
