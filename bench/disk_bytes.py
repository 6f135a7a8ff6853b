"""Bytes written to the disk per event at 100 events a second, with 50,000 items.

What the numbers do not say: `write_bytes` counts what the kernel was asked to write, in pages of
4 KB; the file system's own journal and the card's rewriting of blocks come on top and differ by
card. A busier shop writes less an event (larger commits), a quieter one more (see `bench/journal.py`
for commits of one message). How well a snapshot compresses depends on how its windows are filled:
it is measured in a state a day old, each item read about once in every hour of it at random.

The journal runs for the stated time in the daemon, as shipped, timeline included, no snapshot
among it. A snapshot is written by itself and spread over the events between two of them by the
default schedule: whichever of `snapshot_every_s` and `snapshot_every_events` comes first.
"""

import time
from pathlib import Path

import msgspec
import numpy as np

from bench.core_rate import START_MS, Feeder
from bench.daemon import DaemonError
from bench.harness import Context, Figure, Result, Row, result
from bench.latency import steadily
from bench.shops import lived_in
from bench.workload import SAID, Workload, arriving, shop
from edge.config import Storage
from edge.core import Core
from edge.recovery import header_of
from edge.storage.snapshots import write_snapshot

TITLE = "Bytes written per event at 100 events/s"
RATE = 100.0
GOAL_BYTES = 2_048.0
HOURS = 24


def journal_bytes(context: Context, items: int, seconds: float) -> Row:
    """What the running daemon writes, per event."""
    broker, daemon = lived_in(context, items)
    daemon.start()
    try:
        load = steadily(broker, RATE, seconds + 4)
        time.sleep(min(2.0, seconds))  # the beat has settled
        began, before, stats = time.perf_counter(), daemon.written_bytes(), daemon.stats()["stats"]
        time.sleep(seconds)
        took_s, written = time.perf_counter() - began, daemon.written_bytes() - before
        after = daemon.stats()["stats"]
        load.wait()
        if after["corridor"]["snapshots"] != stats["corridor"]["snapshots"]:
            raise DaemonError("a snapshot was written meanwhile: its bytes would count twice")
    finally:
        daemon.stop()
    events = after["mqtt"]["acknowledged"] - stats["mqtt"]["acknowledged"]
    commits = after["corridor"]["commits"] - stats["corridor"]["commits"]
    return {
        "seconds": took_s,
        "events/s": events / took_s,
        "events a commit": events / max(1, commits),
        "bytes": written,
        "bytes an event": written / max(1, events),
    }


def day_old(context: Context, items: int, hours: int) -> Core:
    """A state in which each item was read about once an hour at random, all day long."""
    feeder, workload = Feeder(Core(shop())), Workload(3)
    chance = np.random.default_rng(3)
    for hour in range(hours):
        context.say(f"hour {hour + 1} of a day of reads", 0.6 + 0.3 * hour / hours)
        from_ms = START_MS + hour * 3_600_000
        drawn = chance.integers(0, items, items)
        # ten bursts an hour: presence looks at every second that something happens in
        for burst in range(10):
            part = drawn[burst::10]
            burst_ms = from_ms + burst * 360_000
            made = workload.messages(part, burst_ms, 20_000.0)
            feeder.feed(arriving(made, burst_ms, 20_000.0), 1_024)
    return feeder.core


def snapshot_bytes(directory: Path, core: Core) -> Row:
    """What one snapshot writes."""
    arrays, blobs = core.save()
    began, before = time.perf_counter(), _written()
    path = write_snapshot(directory, header_of(core, 1), arrays, blobs, compress=True)
    took_s = time.perf_counter() - began
    content = sum(a.nbytes for a in arrays.values()) + sum(len(b) for b in blobs.values())
    return {
        "items": len(core.state.item.keys),
        "content MB": content / 2**20,
        "file MB": path.stat().st_size / 2**20,
        "written MB": (_written() - before) / 2**20,
        "took s": took_s,
    }


def _written() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


def measure(context: Context) -> Result:
    """Journal for a while, then a snapshot, then the sum by the schedule."""
    items = context.size(50_000, 50_000, 500)
    seconds = context.seconds(75.0, 15.0, 1.0)
    context.say(f"{RATE:g} events/s for {seconds:g} s", 0.1)
    journal = journal_bytes(context, items, seconds)
    core = day_old(context, items, context.size(HOURS, 4, 1))
    written = snapshot_bytes(context.room("snapshot"), core)
    schedule = msgspec.structs.asdict(Storage())
    every_s, every_events = schedule["snapshot_every_s"], schedule["snapshot_every_events"]
    between = min(every_s * RATE, every_events)
    one = max(written["written MB"], written["file MB"]) * 2**20
    share = one / between
    total = journal["bytes an event"] + share
    figures = [
        Figure(name="journal and snapshots", value=total, unit="bytes/event", goal=GOAL_BYTES),
        Figure(name="journal", value=journal["bytes an event"], unit="bytes/event"),
        Figure(name="snapshots", value=share, unit="bytes/event"),
    ]
    notes = [
        f"{RATE:g} events/s for {journal['seconds']:.0f} s of {SAID}, one every 10 ms; "
        f"{items:,} items known.",
        f"{journal['bytes an event']:,.0f} + {one:,.0f} bytes a snapshot / min({every_s} s x "
        f"{RATE:g} events/s, {every_events:,} events) = {journal['bytes an event']:,.0f} + "
        f"{share:,.0f} = {total:,.0f} bytes an event.",
    ]
    tables = {"journal": [journal], "one snapshot": [written]}
    return result("disk_bytes", TITLE, __doc__, figures, tables, notes)
