"""A daemon with everything in it: 5,000 classes, 50,000 items, weeks of trade, a full ledger, starters.

Measures nothing. The weeks go in on event time without models, then the daemon starts again on the
wall clock with them; suppliers, terms, orders, decisions and packs are told through the API.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from bench.daemon import DaemonProcess, Tables
from bench.drain import settings_of
from bench.shops import SETTLED_WITHIN_S, SUBSCRIBED_WITHIN_S, subscribed
from bench.workload import epc
from edge.broker import Broker
from edge.ingest.mqtt import publisher
from edge.ingest.mqtt_publish import Outgoing

DAY_MS = 86_400_000
TIME = "rfid3-time"
AT_ONCE = 50
STORE = "main"

Event = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much of everything there is."""

    items: int = 50_000
    classes: int = 5_000
    days: int = 42
    lines_a_day: int = 2_500
    suppliers: int = 40
    orders: int = 500
    decisions: int = 2_000
    contracts: int = 1_000
    packs: int = 30


TINY = Size(200, 40, 3, 30, 3, 5, 10, 10, 2)


def sku(number: int) -> str:
    """A class by its number."""
    return f"SKU{number:04d}"


def settings(size: Size, *, trading: bool) -> Tables:
    """Of the first start (trading: event time, no models) or the second."""
    return {
        "limits": {
            "items_max": max(size.items + 1_000, 2_000),
            "active_items_max": max(size.items + 1_000, 2_000),
            "classes_max": size.classes + 100,
        },
        "ingest": {"clock": "events" if trading else "wall", "lateness_s": 3_600},
        "models": {"enabled": not trading},
        "shop": {"store": STORE},
    }


class Trade:
    """What a shop tells in weeks, day by day; sales of a class follow its rank."""

    def __init__(self, size: Size, first_ms: int, seed: int = 3) -> None:
        self.size, self.first_ms = size, first_ms
        self.chance = random.Random(seed)
        self.popular = [1 / (1 + rank) ** 0.6 for rank in range(size.classes)]
        self.out: list[int] = []  # items on rent under nobody's contract

    def told(self) -> Iterator[tuple[int, str, list[Event]]]:
        """(moment, kind, events of that kind)."""
        yield from self._begin()
        for day in range(self.size.days):
            yield from self._day(self.first_ms + day * DAY_MS + 8 * 3_600_000, day)
        yield from self._contracts()

    def _begin(self) -> Iterator[tuple[int, str, list[Event]]]:
        at_ms = self.first_ms
        items = range(self.size.items)
        yield at_ms, "item_link", [{"epc": epc(i), "sku": self.of(i), "at": at_ms} for i in items]
        classes = range(self.size.classes)
        yield (
            at_ms + 1_000,
            "stock_count",
            [{"sku": sku(c), "quantity": 200 + c % 300, "at": at_ms + 1_000} for c in classes],
        )

    def of(self, item: int) -> str:
        """The class of an item."""
        return sku(item % self.size.classes)

    def _day(self, at_ms: int, day: int) -> Iterator[tuple[int, str, list[Event]]]:
        drawn = self.chance.choices(range(self.size.classes), self.popular, k=self.size.lines_a_day)
        step = 36_000_000 // len(drawn)
        lines: list[Event] = []
        for i, number in enumerate(drawn):
            price = 500 + number % 4_000
            lines.append(
                {
                    "document": f"D{day}-{i // 3}",
                    "line": i % 3,
                    "kind": "rental" if number % 2 else "sale",
                    "sku": sku(number),
                    "quantity": 1 + i % 3,
                    "price_cents": price,
                    "customer": f"c{i % 900}",
                    "category": f"category {number % 25}",
                    "at": at_ms + i * step,
                }
            )
        yield at_ms, "pos_line", lines
        at_ms += 36_100_000
        weather = {"factor": "weather", "name": "temperature_c", "value": 10.0 + day % 9}
        yield at_ms, "factor", [{**weather, "at": at_ms}]
        yield at_ms, "item_scan", self._scans(at_ms)
        many = max(1, self.size.items // 500)
        worked = self.chance.sample(range(self.size.items), many)
        works = ("repair", "wash", "inspection", "failure")
        yield (
            at_ms + 1_000,
            "maintenance",
            [
                {
                    "epc": epc(i),
                    "kind": works[n % 4],
                    "cost_cents": 900,
                    "minutes": 20,
                    "component": f"part {n % 5}",
                    "at": at_ms + 1_000,
                }
                for n, i in enumerate(worked)
            ],
        )
        rivals = self.chance.sample(range(self.size.classes), max(1, self.size.classes // 50))
        yield (
            at_ms + 2_000,
            "price_observed",
            [
                {
                    "sku": sku(c),
                    "price_cents": 600 + c % 4_000,
                    "competitor": f"rival {c % 3}",
                    "at": at_ms + 2_000,
                }
                for c in rivals
            ],
        )

    def _scans(self, at_ms: int) -> list[Event]:
        back, self.out = self.out, []
        scans = [
            {
                "epc": epc(i),
                "scan_type": "Return",
                "grade": ("A", "A-", "B+", "B")[i % 4],
                "sku": self.of(i),
                "at": at_ms,
            }
            for i in back
        ]
        self.out = self.chance.sample(range(self.size.items), max(1, self.size.items // 40))
        return scans + [
            {"epc": epc(i), "scan_type": "Rental", "sku": self.of(i), "at": at_ms + 1}
            for i in self.out
        ]

    def _contracts(self) -> Iterator[tuple[int, str, list[Event]]]:
        """Contracts of three items, half of them overdue; each has a line too."""
        at_ms = self.first_ms + self.size.days * DAY_MS
        lines, scans = [], []
        for number in range(self.size.contracts):
            told = {"customer": f"c{number % 900}", "at": at_ms}
            name, items = f"K{number}", [number * 3 % self.size.items + j for j in range(3)]
            due = at_ms + (-DAY_MS if number % 2 else 3 * DAY_MS)
            for i, item in enumerate(items):
                lines.append(
                    {
                        "document": name,
                        "line": i,
                        "kind": "rental",
                        "sku": self.of(item),
                        "price_cents": 1_500,
                        "due": due,
                        **told,
                    }
                )
                scan = {"scan_type": "Rental", "contract": name, "sku": self.of(item)}
                scans.append({"epc": epc(item % self.size.items), **scan, **told})
        yield at_ms, "pos_line", lines
        yield at_ms, "item_scan", scans


def outgoing(trade: Trade) -> Iterator[Outgoing]:
    """The messages, dated on event time, some events to each."""
    for at_ms, kind, events in trade.told():
        for start in range(0, len(events), AT_ONCE):
            part = events[start : start + AT_ONCE]
            moment = max(at_ms, int(part[-1]["at"]))
            topic = f"rfid3/{STORE}/{kind}/till{start // AT_ONCE % 8}"
            yield Outgoing(topic, json.dumps(part).encode(), [(TIME, str(moment))])


def trade(daemon: DaemonProcess, broker: Broker, size: Size) -> int:
    """Tell a running daemon the weeks before now; how many messages."""
    daemon.wait(lambda: subscribed(daemon), SUBSCRIBED_WITHIN_S, "subscribed")
    first_ms = (int(time.time() * 1000) // DAY_MS - size.days) * DAY_MS

    async def main() -> int:
        async with publisher(settings_of(broker, "unused"), "bench-trade") as client:
            return await client.publish_many(outgoing(Trade(size, first_ms)), 1)

    count = uvloop.run(main())

    def applied() -> bool:
        stats = daemon.stats()["stats"]
        return bool(stats.get("state", {}).get("messages", 0) >= count)

    daemon.wait(applied, SETTLED_WITHIN_S, f"done with {count} messages")
    return count


async def _each(many: int, tell: Callable[[int], Any]) -> None:
    """Some at a time: commands wait for a commit each."""
    gate = asyncio.Semaphore(32)

    async def one(number: int) -> None:
        async with gate:
            await tell(number)

    await asyncio.gather(*(one(number) for number in range(many)))


async def _fill(url: str, size: Size) -> None:
    async with aiohttp.ClientSession(url) as client:

        async def tell(method: str, path: str, body: object) -> None:
            async with client.request(method, path, json=body) as got:
                if got.status >= 300:
                    raise RuntimeError(f"{method} {path}: {got.status} {await got.text()}")

        for start in range(0, size.classes, 1_000):
            rows = [_class_row(c) for c in range(start, min(start + 1_000, size.classes))]
            await tell("POST", "/api/catalogue/classes/import", rows)
        await tell("PUT", f"/api/catalogue/stores/{STORE}", {"name": "Main", "country": "GB"})
        await tell("PUT", "/api/catalogue/categories/category%200", {"crew": "tools"})
        await _each(
            size.suppliers,
            lambda n: tell(
                "PUT", f"/api/suppliers/S{n}", {"lead_days": 3 + n % 9, "order_cost_cents": 2_000}
            ),
        )
        await _each(
            size.classes // 5,
            lambda n: tell(
                "PUT",
                f"/api/supply/{sku(n * 5)}",
                {"supplier": f"S{n % size.suppliers}", "cost_cents": 300 + n % 900},
            ),
        )
        await _each(
            size.orders,
            lambda n: tell(
                "POST",
                "/api/purchase-orders",
                {
                    "id": f"PO{n}",
                    "supplier": f"S{n % size.suppliers}",
                    "lines": [
                        {"sku": sku((n * 7 + j) % size.classes), "units": 5 + j, "cost_cents": 250}
                        for j in range(min(5, size.classes))
                    ],
                },
            ),
        )
        await _each(size.decisions, lambda n: tell("POST", "/api/decisions", _proposal(n, size)))
        await _each(
            size.packs,
            lambda n: tell(
                "POST",
                "/api/predictive/packs/create-pack",
                {
                    "name": f"pack {n}",
                    "price_cents": 900,
                    "parts": [{"sku": sku(2 * n)}, {"sku": sku(2 * n + 1)}],
                },
            ),
        )
        await tell("POST", "/api/forecasts", {"product_ids": [sku(n) for n in range(20)]})
        await tell("POST", "/api/stock-takes", {"zone": "zone0"})
        for result in ("pass", "repair"):
            body = {"item": epc(1), "result": result}
            await tell("POST", "/api/predictive/quality/inspection-result", body)
        await tell(
            "POST",
            "/api/predictive/maintenance/components",
            {"item": epc(1), "component": "motor", "expected_days": 300},
        )
        await tell(
            "POST", "/api/predictive/maintenance/feedback", {"item": epc(1), "verdict": "right"}
        )


def _class_row(number: int) -> dict[str, Any]:
    return {
        "sku": sku(number),
        "name": f"Class {number}",
        "category": f"category {number % 25}",
        "offered_for": "rental" if number % 2 else "sale",
        "price_cents": 500 + number % 4_000,
        "cost_cents": 300 + number % 900,
        "replacement_cents": 4_000,
        "lead_time_days": 5,
    }


def _proposal(number: int, size: Size) -> dict[str, Any]:
    return {
        "kind": "restock",
        "target": sku(number % size.classes),
        "period": f"W{number}",
        "impact_cents": 100 * number,
        "value_cents": 1_000 + number,
        "data": {"units": 5},
    }


def fill(daemon: DaemonProcess, size: Size) -> None:
    """Tell a running daemon everything that people say: catalogue, suppliers, orders and so on."""
    uvloop.run(_fill(daemon.url, size))


def whole(directory: Path, broker: Broker, size: Size) -> DaemonProcess:
    """A running daemon with all of it; the caller stops it."""
    daemon = DaemonProcess(directory, broker.port, settings(size, trading=True))
    daemon.start()
    try:
        trade(daemon, broker, size)
    finally:
        daemon.stop()
    daemon.configure(broker.port, settings(size, trading=False))
    daemon.start()
    fill(daemon, size)
    return daemon
