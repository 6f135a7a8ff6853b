"""A daemon that has lived: every item read at least once, some of them on rent. For the benches of
memory, restart and disk, which share one.

Measures nothing. What is fed goes through a real broker and the daemon's own door.
"""

import time
from collections.abc import Iterator

import numpy as np
import uvloop

from bench.daemon import DaemonProcess, Tables
from bench.drain import publish, settings_of
from bench.harness import Context
from bench.workload import Made, Workload
from edge.broker import Broker, BrokerSettings

ON_RENT_SHARE = 0.1
PUBLISHED_PER_S = 30_000.0
SETTLED_WITHIN_S = 600.0
SUBSCRIBED_WITHIN_S = 30.0


def limits(items: int, more: Tables | None = None) -> dict[str, dict[str, object]]:
    """Settings for a shop of so many items, all of them active."""
    most = max(items, 100_000)
    settings: dict[str, dict[str, object]] = {
        "limits": {"items_max": most, "active_items_max": most},
        "storage": {"snapshot_every_events": 1_000_000_000},
    }
    for name, values in (more or {}).items():
        settings.setdefault(name, {}).update(values)
    return settings


def stocked(items: int, seed: int = 5) -> Iterator[Made]:
    """A rental scan for a tenth of the items, then a read of every item, in any order."""
    chance = np.random.default_rng(seed)
    workload, now_ms = Workload(seed), int(time.time() * 1000)
    out = chance.permutation(items)[: int(items * ON_RENT_SHARE)]
    yield from workload.scans(out, now_ms, PUBLISHED_PER_S)
    now_ms += int(len(out) / PUBLISHED_PER_S * 1000)
    yield from workload.reads(chance.permutation(items), now_ms, PUBLISHED_PER_S)


def subscribed(daemon: DaemonProcess) -> bool:
    """Ready says nothing about the broker: what is published before nobody keeps for the daemon."""
    found = {d["name"]: d["degraded"] for d in daemon.get("/healthz")["dependencies"]}
    return not found["mqtt"]


def feed(daemon: DaemonProcess, broker: Broker, made: Iterator[Made]) -> int:
    """Publish to a running daemon and wait until all is applied; how many."""
    daemon.wait(lambda: subscribed(daemon), SUBSCRIBED_WITHIN_S, "subscribed")
    before = daemon.stats()["stats"]["mqtt"]["acknowledged"]
    count = uvloop.run(publish(settings_of(broker, "unused"), made))

    def applied() -> bool:
        stats = daemon.stats()["stats"]
        idle = not stats["corridor"]["inbox"] and not stats["corridor"]["batches_ahead"]
        return idle and stats["mqtt"]["acknowledged"] - before >= count

    daemon.wait(applied, SETTLED_WITHIN_S, f"done with {count} messages")
    return count


def lived_in(context: Context, items: int) -> tuple[Broker, DaemonProcess]:
    """A running broker and a stopped daemon whose directory holds a shop of so many items.

    Made once a run of the benches; whoever asks first pays for it.
    """
    name = f"shop-{items}"
    if name not in context.shared:
        context.say(f"{items:,} items are made known", 0.0)
        directory = context.room(name)
        broker = Broker(directory / "broker", BrokerSettings(queued_max=2_000_000))
        broker.start()
        daemon = DaemonProcess(directory / "daemon", broker.port, limits(items))
        context.shared[name] = broker, daemon
        daemon.start()
        try:
            feed(daemon, broker, stocked(items))
            context.shared[f"{name}-memory"] = daemon.memory()
        finally:
            peaks: list[float] = [0.0]
            daemon.stop(lambda: peaks.append(daemon.peak_mb()))
            context.shared[f"{name}-peak"] = max(peaks)
    broker, daemon = context.shared[name]
    return broker, daemon


def close(context: Context) -> None:
    """Stop every broker and daemon that is shared."""
    for value in context.shared.values():
        if isinstance(value, tuple) and isinstance(value[0], Broker):
            value[1].kill()
            value[0].stop()
