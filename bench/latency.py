"""From a reader's publish to the tag in the API, while 2,000 messages a second come in.

What the numbers do not say: publisher, broker, daemon and the client that asks run on the same
cores here, and the asking itself is load (stated below); a browser adds its own polling interval
and the network. The journal's beat (`ingest.beat_ms`) is most of the median: it is what a shop pays
for few and large commits.

A probe is a read of a tag nobody has seen, published (QoS 1) like any other; then
`/api/items/{epc}` is asked every 10 ms until it answers 200. A probe's time counts from before its
publish until that answer has arrived, so it holds up to 10 ms of the polling and one request.
"""

import asyncio
import subprocess
import sys
import time

import aiohttp
import uvloop

from bench.api import percentile
from bench.daemon import DaemonProcess
from bench.drain import settings_of
from bench.harness import Context, Figure, Result, Row, result
from bench.workload import SAID
from edge.broker import Broker
from edge.config import Mqtt
from edge.ingest.mqtt import publisher

TITLE = "Publish to visible in the API"
RATE = 2_000.0
ITEMS = 20_000
PROBES_PER_S = 20.0
POLL_S = 0.010
WARM_UP_S = 2.0
LOST_AFTER_S = 10.0
GOAL_P99_MS = 300.0


def steadily(broker: Broker, rate: float, seconds: float) -> subprocess.Popen[bytes]:
    """The production mix at a steady rate, from a process of its own."""
    told = {"port": broker.port, "items": ITEMS, "rate": rate, "seconds": seconds}
    arguments = [str(part) for name, value in told.items() for part in (f"--{name}", value)]
    return subprocess.Popen(
        [sys.executable, "-m", "bench.workload", *arguments], stdout=subprocess.DEVNULL
    )


async def probe(settings: Mqtt, url: str, seconds: float) -> list[float]:
    """Milliseconds from publish to visible of one probe after another, started at a steady rate."""
    found: list[float] = []
    stamp = int(time.time())
    async with (
        publisher(settings, "bench-probe") as client,
        aiohttp.ClientSession(url) as session,
        asyncio.TaskGroup() as tasks,
    ):

        async def one(number: int) -> None:
            epc = f"E280BE00{stamp:08X}{number:08X}"
            began = time.perf_counter()
            at_ms = int(time.time() * 1000)
            payload = f'{{"epc":"{epc}","at":{at_ms},"antenna":1,"rssi_dbm":-50}}'.encode()
            await client.publish("rfid3/main/tag_read/reader1", payload, 1)
            while time.perf_counter() - began < LOST_AFTER_S:
                asked = time.perf_counter()
                async with session.get(f"/api/items/{epc}") as got:
                    await got.read()
                    if got.status == 200:
                        found.append((time.perf_counter() - began) * 1e3)
                        return
                await asyncio.sleep(max(0.0, asked + POLL_S - time.perf_counter()))
            found.append(float("inf"))

        start = time.perf_counter()
        for number in range(int(seconds * PROBES_PER_S)):
            await asyncio.sleep(max(0.0, start + number / PROBES_PER_S - time.perf_counter()))
            tasks.create_task(one(number), name=f"probe {number}")
    return found


def measure(context: Context) -> Result:
    """Probe a daemon under a steady load."""
    seconds = context.seconds(30.0, 6.0, 1.0)
    rate = RATE if not context.tiny else 200.0
    directory = context.room("latency")
    with (
        Broker(directory / "broker") as broker,
        DaemonProcess(directory / "daemon", broker.port) as daemon,
    ):
        context.say(f"{rate:g} messages/s, {PROBES_PER_S:g} probes/s", 0.1)
        load = steadily(broker, rate, seconds + WARM_UP_S + 1)
        time.sleep(WARM_UP_S if not context.tiny else 0.5)
        before, cpu_s = daemon.stats()["stats"], daemon.cpu_s()
        began = time.perf_counter()
        waited = uvloop.run(probe(settings_of(broker, "probe"), daemon.url, seconds))
        took_s = time.perf_counter() - began
        after, cpu_s = daemon.stats()["stats"], daemon.cpu_s() - cpu_s
        load.wait()
    come = after["mqtt"]["received"] - before["mqtt"]["received"]
    asked = sum(after["http"].values()) - sum(before["http"].values())
    row: Row = {
        "messages/s": come / took_s,
        "probes": len(waited),
        "p50 ms": percentile(waited, 0.5),
        "p90 ms": percentile(waited, 0.9),
        "p99 ms": percentile(waited, 0.99),
        "max ms": max(waited),
        "lost": sum(ms == float("inf") for ms in waited),
        "requests/s": asked / took_s,
        "daemon, share of a core": cpu_s / took_s,
    }
    figures = [
        Figure(name="publish to visible, p99", value=row["p99 ms"], unit="ms", goal=GOAL_P99_MS),
        Figure(name="publish to visible, p50", value=row["p50 ms"], unit="ms"),
        Figure(name="daemon, share of a core", value=row["daemon, share of a core"]),
    ]
    notes = [
        f"{rate:g} messages/s of {SAID}; {ITEMS:,} items. {PROBES_PER_S:g} probes a second for "
        f"{seconds:g} s, polled every {POLL_S * 1e3:g} ms."
    ]
    return result("latency", TITLE, __doc__, figures, {"probes": [row]}, notes)
