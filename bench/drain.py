"""The QoS 1 drain: how fast the daemon takes a queue off the broker, durable before acknowledged.

What the numbers do not say: broker and daemon share this machine's cores, so on more cores both are
faster; a queue is the best case for batches (a steady trickle costs more an event, see `disk_bytes`
and `latency`); this disk confirms an fsync faster than a memory card does (see `fsync_table`). The
null subscriber is a peer and no upper limit: it stores, decodes and counts nothing, but the broker
is what limits it. Processor time is the kernel's, in steps of 10 ms, of all threads of the daemon,
from the first acknowledgement until everything is applied, the polling of its API included.

Rounds alternate: the queue is filled while nobody listens, drained by the null subscriber, filled
again with the same messages, drained by the daemon as a process of its own (journal, features, API,
everything on, settings as shipped except `ingest.stale_read_s`: the queue is older than the 30 s
after which a read no longer counts for presence, and skipping presence would flatter us).
"""

import asyncio
import time
from collections.abc import Iterable
from math import isfinite
from statistics import median
from typing import Any

import uvloop
from msgspec import Struct

from bench.daemon import DaemonProcess
from bench.harness import Context, Figure, Result, Row, result
from bench.null_subscriber import Drained, drain_null
from bench.workload import SAID, Made, Workload, uniform
from edge.broker import Broker, BrokerSettings
from edge.clock import SystemClock
from edge.config import Mqtt
from edge.ingest.inbox import Inbox
from edge.ingest.mqtt import MqttSource, publisher
from edge.ingest.mqtt_publish import Outgoing

TITLE = "QoS 1 drain against a null subscriber"
ITEMS = 20_000
RATE_GOAL, RATIO_GOAL, CPU_GOAL_US = 30_000.0, 0.7, 30.0
POLL_S = 0.05
STALLED_S = 60.0
OLD_READS_COUNT = {"ingest": {"stale_read_s": 3_600}}


class Sample(Struct):
    """One look at the daemon."""

    at_s: float
    acknowledged: int
    received: int
    applied: bool
    cpu_s: float


class DaemonDrained(Struct):
    """What draining took the daemon: first to last acknowledged, and first until all is applied."""

    messages: int
    messages_per_s: float
    applied_per_s: float
    cpu_us_per_message: float
    commits: int
    pss_mb: float


def settings_of(broker: Broker, client_id: str, window: int = 1_000) -> Mqtt:
    """Settings of a client of ours with a session of its own."""
    return Mqtt(
        port=broker.port, client_id=client_id, receive_maximum=window, status_topic="", ignore=[]
    )


async def subscribe_once(settings: Mqtt) -> None:
    """Leave a persistent session behind, subscribed and empty, and go away."""
    client = MqttSource(settings, Inbox(1_000, 1 << 20), clock=SystemClock(), session=0)
    running = asyncio.create_task(client.run(), name="subscribe once")
    async with asyncio.timeout(10.0):
        while not client.subscribed:
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.wait({running})


async def publish(settings: Mqtt, made: Iterable[Made]) -> int:
    """Publish as fast as the broker answers (QoS 1); how many."""
    async with publisher(settings, "bench-filler") as filler:
        return await filler.publish_many((Outgoing(m.topic, m.payload) for m in made), 1)


def fill(settings: Mqtt, count: int, items: int, seed: int) -> None:
    """Leave ``count`` messages of the production mix in the session of ``settings``."""

    async def main() -> None:
        await subscribe_once(settings)
        now_ms = int(time.time() * 1000)
        workload = Workload(seed).messages(uniform(items, count, seed), now_ms - 5_000, count / 5)
        await publish(settings, workload)

    uvloop.run(main())


def null(settings: Mqtt, count: int) -> Drained:
    """Drain with the null subscriber."""
    return uvloop.run(drain_null(settings, count))


def look(daemon: DaemonProcess) -> tuple[Sample, dict[str, Any]]:
    """One sample, and the counters it was taken from."""
    stats = daemon.stats()["stats"]
    corridor, mqtt = stats["corridor"], stats["mqtt"]
    applied = corridor["inbox"] == 0 and corridor["batches_ahead"] == 0
    return (
        Sample(
            time.perf_counter(),
            mqtt["acknowledged"],
            mqtt["received"],
            applied,
            daemon.cpu_s(),
        ),
        stats,
    )


def drain_daemon(daemon: DaemonProcess, count: int) -> DaemonDrained:
    """Start the daemon on a full queue; from the first to the last message acknowledged.

    Start-up is not in it: the first sample that shows an acknowledgement begins the clock.
    """
    daemon.start()
    samples: list[Sample] = []
    moved_at = time.perf_counter()
    stats: dict[str, Any] = {}

    def finished() -> bool:
        nonlocal moved_at, stats
        time.sleep(POLL_S)
        sample, stats = look(daemon)
        if sample.acknowledged and (not samples or sample != samples[-1]):
            if not samples or sample.acknowledged > samples[-1].acknowledged:
                moved_at = sample.at_s
            samples.append(sample)
        return sample.acknowledged >= count and sample.applied

    daemon.wait(finished, STALLED_S + count / 1_000, f"done with {count} messages")
    pss_mb = daemon.memory().pss
    daemon.stop()
    return summed(samples, count, stats["corridor"]["commits"], pss_mb)


def summed(samples: list[Sample], count: int, commits: int, pss_mb: float) -> DaemonDrained:
    """The figures of a drain from its samples."""
    first, end = samples[0], samples[-1]
    last = next(s for s in samples if s.acknowledged >= count)
    if last is first:  # everything fitted between two looks: too small to tell
        return DaemonDrained(count, float("nan"), float("nan"), float("nan"), commits, pss_mb)
    messages = count - first.acknowledged
    return DaemonDrained(
        count,
        messages / (last.at_s - first.at_s),
        messages / (end.at_s - first.at_s),
        (end.cpu_s - first.cpu_s) / messages * 1e6,
        commits,
        pss_mb,
    )


def measure(context: Context) -> Result:
    """Alternate null subscriber and daemon on one broker; medians."""
    count = context.size(200_000, 40_000, 4_000)
    rounds = context.size(3, 1, 1)
    directory = context.room("drain")
    rows: list[Row] = []
    with Broker(directory / "broker", BrokerSettings(queued_max=2_000_000)) as broker:
        daemon = DaemonProcess(directory / "daemon", broker.port, OLD_READS_COUNT)
        peer, ours = settings_of(broker, "null"), settings_of(broker, "rfid3-bench")
        for turn in range(rounds):
            share = turn / rounds
            context.say(f"round {turn + 1} of {rounds}: the null subscriber", share)
            fill(peer, count, ITEMS, turn)
            drained = null(peer, count)
            forget(peer)
            context.say(f"round {turn + 1} of {rounds}: the daemon", share + 0.5 / rounds)
            fill(ours, count, ITEMS, turn)
            found = drain_daemon(daemon, count)
            forget(ours)
            rows.append(_row(turn, drained, found))
    return _told(rows, count, rounds)


def forget(settings: Mqtt) -> None:
    """End the session, so that the other client's messages are not queued for this one too."""

    async def main() -> None:
        async with publisher(settings, settings.client_id):
            pass

    uvloop.run(main())


def _row(turn: int, peer: Drained, ours: DaemonDrained) -> Row:
    return {
        "round": turn + 1,
        "null messages/s": round(peer.messages_per_s),
        "null µs CPU": round(peer.cpu_us_per_message, 2),
        "daemon messages/s": ours.messages_per_s,
        "applied/s": ours.applied_per_s,
        "daemon µs CPU": ours.cpu_us_per_message,
        "ratio": ours.messages_per_s / peer.messages_per_s,
        "messages a commit": ours.messages / max(1, ours.commits),
        "PSS MB": ours.pss_mb,
    }


def _told(rows: list[Row], count: int, rounds: int) -> Result:
    told = [row for row in rows if isfinite(row["ratio"])]
    if not told:  # no number is better than one that is none
        note = f"left out: {count:,} messages were drained between two looks, too few to tell"
        return result("drain", TITLE, __doc__, [], {}, [note])

    def mid(name: str) -> float:
        return float(median(row[name] for row in told))

    figures = [
        Figure(name="ratio to the null subscriber", value=mid("ratio"), better="higher",
               goal=RATIO_GOAL),
        Figure(name="daemon, acknowledged", value=mid("daemon messages/s"), unit="messages/s",
               better="higher", goal=RATE_GOAL),
        Figure(name="whole-daemon CPU", value=mid("daemon µs CPU"), unit="µs/message",
               goal=CPU_GOAL_US),
        Figure(name="daemon, applied", value=mid("applied/s"), unit="messages/s", better="higher"),
        Figure(name="null subscriber", value=mid("null messages/s"), unit="messages/s",
               better="neither"),
    ]  # fmt: skip
    notes = [
        f"{rounds} rounds of {count:,} {SAID}; {ITEMS:,} items, drawn uniformly. Medians.",
        "Same codec, same broker, Receive Maximum 1,000 for both; the null subscriber acknowledges "
        "256 in one write.",
    ]
    return result("drain", TITLE, __doc__, figures, {"rounds": told}, notes)
