"""How long the API takes to answer: p50 and p99 by endpoint, at a steady rate of requests.

What it does not say: the client runs on the same machine and takes its share of the processor, so a
browser on another machine waits less for the daemon and more for the network. Requests leave at
fixed moments, and each time counts from that moment: a server that stalls pays for everybody who
had to wait. Load the daemon by other means meanwhile; alone this measures an idle one.

    python bench/api.py http://127.0.0.1:8099 [--rate 200] [--seconds 10] [--json FILE]
"""

import argparse
import asyncio
import json
import math
import platform
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
import uvloop

# (name, path, weight): what a dashboard, a scraper and a person with a browser ask for.
ASKED = (
    ("healthz", "/healthz", 2),
    ("readyz", "/readyz", 1),
    ("metrics", "/metrics", 1),
    ("stats", "/api/stats", 4),
    ("items, 100 rows", "/api/items", 6),
    ("items, 1,000 rows", "/api/items?limit=1000", 1),
    ("items on rent", "/api/items?status=On%20Rent", 4),
    ("item", "/api/items/{epc}", 12),
    ("item, polled", "/api/items/{epc}", 6),
    ("classes", "/api/classes", 4),
    ("class, 400 days", "/api/classes/{sku}?days=400", 4),
    ("zones", "/api/zones", 6),
    ("zones, polled", "/api/zones", 6),
    ("readers", "/api/readers", 4),
    ("unknown tags", "/api/unknown-tags", 2),
    ("dead letters", "/api/dead-letters", 2),
    ("gaps", "/api/gaps", 1),
    ("features", "/api/features", 1),
    ("openapi, polled", "/openapi.json", 1),
)


@dataclass
class Times:
    """What was measured of one endpoint."""

    waited_ms: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    bytes: int = 0


@dataclass
class Shop:
    """What there is to ask for."""

    epcs: Sequence[str]
    skus: Sequence[str]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed; 0 for none.

    >>> percentile([1, 2, 3, 4], 0.5), percentile([], 0.5)
    (2, 0.0)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


async def look(client: aiohttp.ClientSession) -> Shop:
    """Some items and classes that exist; a made-up one where there are none."""
    async with client.get("/api/items", params={"limit": 1000}) as got:
        epcs = [row["epc"] for row in (await got.json())["items"]]
    async with client.get("/api/classes", params={"limit": 1000}) as got:
        skus = [row["sku"] for row in (await got.json())["classes"]]
    return Shop(epcs or ["E2801160"], skus or ["NONE"])


async def ask(
    client: aiohttp.ClientSession, path: str, due: float, tags: dict[str, str] | None, times: Times
) -> None:
    """One request; its time counts from when it was due."""
    headers = {"If-None-Match": tags[path]} if tags and path in tags else {}
    async with client.get(path, headers=headers) as got:
        body = await got.read()
    times.waited_ms.append((time.perf_counter() - due) * 1e3)
    times.statuses[got.status] = times.statuses.get(got.status, 0) + 1
    times.bytes += len(body)
    if tags is not None and "ETag" in got.headers:
        tags[path] = got.headers["ETag"]


async def measure(url: str, rate: float, seconds: float, seed: int) -> dict[str, Times]:
    """Ask at a steady rate, whatever the answers do."""
    rng = random.Random(seed)
    found = {name: Times() for name, _, _ in ASKED}
    tags: dict[str, str] = {}
    weights = [weight for _, _, weight in ASKED]
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(url, connector=connector) as client:
        shop = await look(client)
        start = time.perf_counter() + 0.1
        async with asyncio.TaskGroup() as tasks:
            for i in range(int(rate * seconds)):
                due = start + i / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                (name, path, _) = rng.choices(ASKED, weights)[0]
                polled = tags if "polled" in name else None
                # Who polls, polls the same few.
                epc = rng.choice(shop.epcs[:10] if "polled" in name else shop.epcs)
                sku = rng.choice(shop.skus)
                path = path.format(epc=quote(epc, safe=""), sku=quote(sku, safe=""))
                tasks.create_task(ask(client, path, due, polled, found[name]))
    return found


def rows(found: dict[str, Times]) -> list[dict[str, Any]]:
    """One row an endpoint, and one for all."""
    every = Times([ms for t in found.values() for ms in t.waited_ms])
    for times in found.values():
        every.bytes += times.bytes
        for status, n in times.statuses.items():
            every.statuses[status] = every.statuses.get(status, 0) + n
    return [
        {
            "endpoint": name,
            "requests": len(t.waited_ms),
            "p50_ms": round(percentile(t.waited_ms, 0.5), 2),
            "p99_ms": round(percentile(t.waited_ms, 0.99), 2),
            "max_ms": round(max(t.waited_ms, default=0.0), 2),
            "bytes_mean": t.bytes // max(1, len(t.waited_ms)),
            "statuses": {str(status): n for status, n in sorted(t.statuses.items())},
        }
        for name, t in [*found.items(), ("all", every)]
    ]


def show(table: list[dict[str, Any]], rate: float) -> None:
    """Print it, with the machine named."""
    print(__doc__.partition("\n\n    python")[0])
    print(f"\n{platform.machine()}, {platform.system()}, Python {platform.python_version()}")
    print(f"{rate:g} requests/s\n")
    print(
        f"{'endpoint':20}{'requests':>9}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'bytes':>9}  statuses"
    )
    for row in table:
        statuses = " ".join(f"{status}:{n}" for status, n in row["statuses"].items())
        print(
            f"{row['endpoint']:20}{row['requests']:>9}{row['p50_ms']:>9}{row['p99_ms']:>9}"
            f"{row['max_ms']:>9}{row['bytes_mean']:>9}  {statuses}"
        )


def main() -> int:
    """Measure, print, write; 1 when any answer was an error of the server."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="address of a running daemon, such as http://127.0.0.1:8099")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second (200)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--seed", type=int, default=1, help="which requests, in which order (1)")
    parser.add_argument("--json", metavar="FILE", help="write the table there too")
    given = parser.parse_args()
    found = uvloop.run(measure(given.url.rstrip("/"), given.rate, given.seconds, given.seed))
    table = rows(found)
    show(table, given.rate)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"rate": given.rate, "seconds": given.seconds, "rows": table}, file, indent=1)
    failed = sum(n for s, n in table[-1]["statuses"].items() if s.startswith("5"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
