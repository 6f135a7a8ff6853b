"""How long every GET endpoint takes to answer while 1,000 messages a second come in.

What the numbers do not say: the client that asks, the publisher and the broker share this machine's
cores with the daemon, so a browser elsewhere waits less for the daemon and more for the network.
Every endpoint of the API's table is asked equally often, which no shop does: dear ones are asked far
more than they would be, and everybody behind them in the loop's queue waits too. Requests leave at
fixed moments, and a time counts from that moment. Lists are asked for their first page as they come
without a limit.

The shop is that of `bench/whole_shop.py`; the requests are timed as in `bench/api.py`. First every
endpoint is asked some times alone, one request after the other, while messages come in: what it costs
by itself, by the clock and by the processor time of the loop's thread, less what the messages took as
long as nobody asked: that says something on a busy machine, too. Then all of them together at the
stated rate.
"""

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import uvloop

from bench import api
from bench.harness import Context, Figure, Result, Row, result
from bench.latency import WARM_UP_S
from bench.whole_shop import STORE, TINY, Size, sku, whole
from bench.workload import SAID, epc
from edge.api.table import ENDPOINTS
from edge.broker import Broker
from edge.inference.manifest import SERVICES

TITLE = "Every GET endpoint while ingesting"
RATE = 1_000.0
ASKED_PER_S = 200.0
GOAL_P99_MS = 25.0
ALONE = 12
"""Requests of an endpoint asked alone."""

Known = Mapping[str, list[str]]
"""Part of a path -> what stands there, of what is known to be there."""

LISTS = (
    ("/api/forecasts/{id}", "/api/forecasts", "forecasts", "id"),
    ("/api/contracts/{id}", "/api/contracts", "contracts", "contract"),
    ("/api/purchase-orders/{id}", "/api/purchase-orders", "orders", "id"),
    ("/api/stock-takes/{id}", "/api/stock-takes", "takes", "id"),
    ("/api/decisions/{id}", "/api/decisions", "decisions", "id"),
)
"""(endpoint, list to find its ids in, field of its rows, field of the id)."""

ENTITIES = {"demand": "class", "inventory": "class", "packs": "class", "pricing": "class"}


def day(days: int) -> str:
    """A day from today."""
    return datetime.fromtimestamp(time.time() + days * 86_400, UTC).date().isoformat()


async def known(client: aiohttp.ClientSession, size: Size) -> dict[str, list[str]]:
    """Path in the table -> addresses to ask, all of which exist; without those that have none."""
    found: dict[str, list[str]] = {}
    ids = {path: await _ids(client, listed, rows, key) for path, listed, rows, key in LISTS}
    classes = [sku(n) for n in range(0, size.classes, max(1, size.classes // 50))]
    items = [epc(n) for n in range(0, size.items, max(1, size.items // 50))]
    parts: dict[str, Callable[[str], list[str]]] = {
        "sku": lambda path: classes,
        "product_id": lambda path: classes[:1],
        "epc": lambda path: items,
        "item_id": lambda path: items,
        "store": lambda path: [STORE],
        "supplier": lambda path: [f"S{n}" for n in range(size.suppliers)],
        "name": lambda path: ["category 0"],
        "service": lambda path: list(SERVICES),
        "day": lambda path: [day(0)],
        "id": lambda path: ids.get(path, []),
    }
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET":
            continue
        path = endpoint.path
        if path == "/api/predict/{service}/{entity}":
            found[path] = [
                f"/api/predict/{s}/{(classes if s in ENTITIES else items)[n]}"
                for s in SERVICES
                for n in range(min(20, len(items), len(classes)))
            ]
        elif path == "/api/availability":
            span = f"from={day(1)}&to={day(4)}"
            found[path] = [f"{path}?sku={name}&{span}" for name in classes]
        elif "{" not in path:
            found[path] = [path]
        else:
            name = path.partition("{")[2].partition("}")[0]
            found[path] = [path.replace(f"{{{name}}}", quote(v)) for v in parts[name](path)]
    return found


async def _ids(client: aiohttp.ClientSession, path: str, rows: str, key: str) -> list[str]:
    async with client.get(path) as got:
        return [row[key] for row in (await got.json())[rows]]


class Took(NamedTuple):
    """One request, ms."""

    ms: float
    loop_ms: float
    """Processor time of the daemon's loop, without what it had to do anyway."""


class Moment(NamedTuple):
    """Ms of the clock, and of the processor time of a process's first thread: the daemon's loop."""

    ms: float
    loop_ms: float

    @classmethod
    def now(cls, pid: int) -> "Moment":
        """To the nanosecond, as the kernel's scheduler counts."""
        on_processor_ns, _, _ = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
        return cls(time.perf_counter() * 1e3, int(on_processor_ns) / 1e6)


async def alone(
    client: aiohttp.ClientSession, asked: Mapping[str, list[str]], times: int, pid: int
) -> dict[str, list[Took]]:
    """Every endpoint, asked one request after the other; the first is the first."""
    found: dict[str, list[Took]] = {}
    for path, addresses in asked.items():
        took = found.setdefault(path, [])
        for i in range(times):
            began = Moment.now(pid)
            async with client.get(addresses[i % len(addresses)]) as got:
                await got.read()
            ended = Moment.now(pid)
            await asyncio.sleep(0.11)  # another revision, and no answer kept for 100 ms
            after = Moment.now(pid)
            anyway = (after.loop_ms - ended.loop_ms) / (after.ms - ended.ms)
            ms = ended.ms - began.ms
            took.append(Took(ms, max(0.0, ended.loop_ms - began.loop_ms - anyway * ms)))
    return found


async def together(
    client: aiohttp.ClientSession,
    asked: Mapping[str, list[str]],
    rate: float,
    seconds: float,
    seed: int = 1,
) -> dict[str, api.Times]:
    """All endpoints, equally often, at a steady rate, whatever the answers do."""
    rng = random.Random(seed)
    found = {path: api.Times() for path in asked}
    order: list[str] = []
    start = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as tasks:
        for i in range(int(rate * seconds)):
            due = start + i / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if not order:
                order = rng.sample(list(asked), len(asked))
            path = order.pop()
            address = rng.choice(asked[path])
            tasks.create_task(api.ask(client, address, due, None, found[path]))
    return found


async def walk(
    url: str, pid: int, size: Size, rate: float, seconds: float, times: int
) -> tuple[dict[str, list[Took]], dict[str, api.Times], list[str]]:
    """(alone, together, endpoints of which nothing is there to ask for)."""
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(url, connector=connector) as client:
        asked = await known(client, size)
        nothing = [path for path, addresses in asked.items() if not addresses]
        asked = {path: addresses for path, addresses in asked.items() if addresses}
        one = await alone(client, asked, times, pid)
        return one, await together(client, asked, rate, seconds), nothing


def rows(one: Mapping[str, list[Took]], found: dict[str, api.Times]) -> list[Row]:
    """One row an endpoint, the slowest first."""
    table: list[dict[str, Any]] = []
    for row in api.rows(found):
        took = one.get(row["endpoint"], [Took(0.0, 0.0)])
        table.append(
            {
                "endpoint": row["endpoint"],
                "alone, p50 ms": round(median(took), 2),
                "alone, max ms": round(max(ms for ms, _ in took), 2),
                "alone, loop ms": round(median(took, loop=True), 2),
                "requests": row["requests"],
                "p50 ms": row["p50_ms"],
                "p99 ms": row["p99_ms"],
                "max ms": row["max_ms"],
                "bytes": row["bytes_mean"],
                "statuses": " ".join(f"{s}: {n}" for s, n in row["statuses"].items()),
            }
        )
    return sorted(table, key=lambda row: -row["p99 ms"])


def median(took: Sequence[Took], *, loop: bool = False) -> float:
    """Of the milliseconds, or of those of the loop's processor."""
    return api.percentile([one.loop_ms if loop else one.ms for one in took], 0.5)


def load(broker: Broker, size: Size, rate: float, seconds: float) -> "subprocess.Popen[bytes]":
    """The production mix at a steady rate, from a process of its own."""
    told = {"port": broker.port, "items": size.items, "rate": rate, "seconds": seconds}
    told["classes"] = size.classes
    arguments = [str(part) for name, value in told.items() for part in (f"--{name}", value)]
    return subprocess.Popen(
        [sys.executable, "-m", "bench.workload", *arguments], stdout=subprocess.DEVNULL
    )


def measure(context: Context) -> Result:
    """Ask a daemon with everything in it, under a steady load."""
    seconds = context.seconds(60.0, 30.0, 1.0)
    size = TINY if context.tiny else Size()
    times, rate = (2, 100.0) if context.tiny else (ALONE, RATE)
    directory = context.room("api_every")
    with Broker(directory / "broker") as broker, contextlib.ExitStack() as stack:
        context.say(f"{size.items:,} items, {size.classes:,} classes and a ledger are told", 0.0)
        daemon = whole(directory / "daemon", broker, size)
        stack.callback(daemon.stop)
        running = load(broker, size, rate, 3_600)
        stack.callback(running.wait)
        stack.callback(running.terminate)
        time.sleep(WARM_UP_S if not context.tiny else 0.5)
        context.say(f"{rate:g} messages/s, {ASKED_PER_S:g} requests/s", 0.5)
        before, began = daemon.stats()["stats"]["mqtt"]["received"], time.perf_counter()
        asked_per_s = ASKED_PER_S if not context.tiny else 150.0
        one, found, nothing = uvloop.run(
            walk(daemon.url, daemon.pid, size, asked_per_s, seconds, times)
        )
        took_s = time.perf_counter() - began
        come = daemon.stats()["stats"]["mqtt"]["received"] - before
    table = rows(one, found)
    beyond = [r["endpoint"] for r in table if r["p99 ms"] > GOAL_P99_MS and r["endpoint"] != "all"]
    (every,) = (row for row in table if row["endpoint"] == "all")
    failed = sum(n for t in found.values() for status, n in t.statuses.items() if status >= 500)
    slow_alone = [path for path, took in one.items() if median(took) > GOAL_P99_MS]
    loop_ms = [median(took, loop=True) for took in one.values()]
    figures = [
        Figure(name="all endpoints, p99", value=every["p99 ms"], unit="ms", goal=GOAL_P99_MS),
        Figure(name="all endpoints, p50", value=every["p50 ms"], unit="ms"),
        Figure(name="endpoints with a p99 beyond the goal", value=float(len(beyond)), goal=0.0),
        Figure(name="endpoints beyond the goal alone, p50", value=float(len(slow_alone)), goal=0.0),
        Figure(
            name="loop's processor time a request, mean of the endpoints alone",
            value=round(sum(loop_ms) / len(loop_ms), 3),
            unit="ms",
        ),
        Figure(name="answers of 5xx", value=float(failed), goal=0.0),
    ]
    notes = [
        f"{come / took_s:,.0f} messages/s came in, of {SAID}; {size.items:,} items, "
        f"{size.classes:,} classes; {len(found)} endpoints, {asked_per_s:g} requests/s for "
        f"{seconds:g} s.",
        f"Beyond {GOAL_P99_MS:g} ms together: {', '.join(beyond) or 'none'}.",
        f"Beyond {GOAL_P99_MS:g} ms alone: {', '.join(slow_alone) or 'none'}.",
        f"Nothing there to ask for: {', '.join(nothing) or 'none'}.",
    ]
    return result("api_every", TITLE, __doc__, figures, {"endpoints": table}, notes)
