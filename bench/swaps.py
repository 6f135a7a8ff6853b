"""Hot swaps of a model under load: nothing dropped, nothing scored twice, and what people notice.

What the numbers do not say: publisher, asker and daemon share one process and its loop, and the disk
is this machine's; no HTTP is in the time of an answer. The signature's check is left out (it is made
once for each published folder, in a subprocess); reading, verifying the bytes' place in the folder and
building the session, in a thread beside the load, is in.

Each swap is a `promote` through the journal to one of three versions of 100 trees, of which the daemon
holds two, so that every third session and more is built anew while 2,000 tags a second are read. A
probe asks for a prediction every 2 ms; its time counts from when it was due until the answer is there.
Readers and probe are the same with swaps and without; what a swap brings is the building, the commands and
every row scored again by the model that comes. With two processors, whoever else works on the machine takes
the second from the building: the notes say how much that was, and above a tenth the ratio says little,
unless the kernel was told to serve us first (`chrt -r 1 python -m bench --only swaps`; the notes say that,
too): then nobody else's work is in it, and what our own threads take from each other is.
"""

import asyncio
import os
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import uvloop

from bench.api import percentile
from bench.harness import Context, Figure, Result, result, scheduling
from bench.models import ITEM, UnlockedDoor, forest, publish
from edge import app, pipeline_scoring
from edge.app import Daemon, running
from edge.clock import SystemClock
from edge.config import Api, Config, Limits, Mqtt, Storage
from edge.inference.manifest import Service
from edge.inference.registry import Command
from edge.inference.scorer import Scorer, Slot
from edge.pipeline_scoring import TOPIC
from edge.records import Message

TITLE = "Hot swaps under load"
SERVICE: Service = "maintenance"
VERSIONS = ("v1", "v2", "v3")
ITEMS = 2_000
READS_A_BATCH, EVERY_S = 20, 0.01
PROBE_S = 0.002
BLOCKS = 10
"""Spans without and with swaps take turns: what else the machine does falls on both."""
GOAL_TIMES = 2.0


class Count:
    """Every touched row, and every row scored for it."""

    def __init__(self) -> None:
        self.taken: Counter[int] = Counter()
        self.scored: Counter[int] = Counter()

    def watch(self) -> ExitStack:
        """Count until closed; asked for while nothing is under way."""
        real_touched, real_slice = Scorer._touched, Scorer._slice

        def touched(scorer: Scorer) -> Any:
            found = real_touched(scorer)
            self.taken.update(found["item"].tolist())
            return found

        def slice_(scorer: Scorer, slot: Slot, rows: Any, swept: bool) -> float:
            took_s = real_slice(scorer, slot, rows, swept)
            if not swept and slot.shown is not None and slot.active is not None:
                by = slot.shown.by[rows] == slot.active.number
                self.scored.update(rows[by].tolist())
            return took_s

        stack = ExitStack()
        stack.enter_context(patch.object(Scorer, "_touched", touched))
        stack.enter_context(patch.object(Scorer, "_slice", slice_))
        return stack


def _busy_s() -> float:
    """Processor time of everybody on this machine since it started."""
    told = [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(told) - told[3] - told[4]) / os.sysconf("SC_CLK_TCK")  # idle, waiting for disks


async def _until(done: Any) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.002)


class Shop:
    """A running daemon, readers that never stop, and somebody who asks."""

    def __init__(self, daemon: Daemon) -> None:
        assert daemon.scoring is not None
        assert daemon.models is not None
        self.daemon, self.scoring, self.models = daemon, daemon.scoring, daemon.models
        self.state = daemon.pipeline.core.state
        self.late_ms: list[float] = []
        self._clock = SystemClock()
        self._serial = 0

    @property
    def slot(self) -> Slot:
        """The service that is swapped."""
        return self.scoring.scorer.slots[SERVICE]

    def read(self, items: list[int]) -> None:
        """One message of reads."""
        self._serial += 1
        now_ms = self._clock.now_ms()
        told = [{"epc": f"E280{i:020X}", "at": now_ms, "seq": self._serial} for i in items]
        body = msgspec.json.encode(told)
        self.daemon.pipeline.inbox.put(Message("rfid3/main/tag_read/r1", body, now_ms))

    async def load(self) -> None:
        """Readers, until cancelled."""
        rng = np.random.default_rng(0)
        while True:
            self.read(rng.integers(0, ITEMS, READS_A_BATCH).tolist())
            await asyncio.sleep(EVERY_S)

    async def ask(self) -> None:
        """A prediction every so often, until cancelled."""
        clock, i = time.perf_counter, 0
        due_s = clock()
        while True:
            due_s = max(due_s + PROBE_S, clock() - 0.1)
            await asyncio.sleep(max(0.0, due_s - clock()))
            i += 1
            found = self.models.predict(SERVICE, f"E280{i * 7 % ITEMS:020X}", "main", False)
            assert found is not None
            self.late_ms.append((clock() - due_s) * 1e3)

    async def swap(self, first: int, times: int) -> None:
        """Promote one version after the other, each once the one before answers."""
        for i in range(first, first + times):
            version = VERSIONS[i % len(VERSIONS)]
            told = Command(do="promote", service=SERVICE, version=version, why="bench")
            goal = self.slot.swaps + 1
            self.daemon.pipeline.tell(TOPIC, msgspec.json.encode(told))
            await _until(lambda goal=goal: self.slot.swaps >= goal)

    def answered_ms(self) -> list[float]:
        """How late the answers since the last call were."""
        found, self.late_ms = self.late_ms, []
        return found

    async def idle(self) -> None:
        """Everything that was touched is scored."""
        slot = self.slot
        await _until(
            lambda: not len(self.daemon.pipeline.inbox) and not self.daemon.pipeline.behind
        )
        await _until(lambda: not self.state.item.touched.any())
        await _until(lambda: slot.touched == slot.scored + slot.missed + slot.gone)


async def _play(directory: Path, context: Context) -> dict[str, Any]:
    swaps, calm_s = context.size(1_000, 200, 10), context.seconds(40.0, 8.0, 0.3)
    config = Config(
        mqtt=Mqtt(enabled=False),
        limits=Limits(items_max=2 * ITEMS, active_items_max=2 * ITEMS),
        storage=Storage(directory=str(directory), disk_reserve_bytes=0),
        api=Api(enabled=False),
    )
    for i, version in enumerate(VERSIONS):
        publish(directory / "models", SERVICE, version, ITEM, forest(len(ITEM), 3, 100, seed=i))
    async with running(config, SystemClock()) as daemon:
        shop = Shop(daemon)
        for start in range(0, ITEMS, 100):
            shop.read(list(range(start, start + 100)))
        await _until(lambda: len(shop.scoring.registry.versions[SERVICE]) == len(VERSIONS))
        shop.daemon.pipeline.tell(
            TOPIC, msgspec.json.encode(Command(do="promote", service=SERVICE, version="v3"))
        )
        await _until(lambda: shop.slot.active is not None)
        await _until(lambda: len(shop.state.item.keys) == ITEMS)
        await shop.idle()
        count = Count()
        with count.watch():
            tasks = [asyncio.create_task(work) for work in (shop.load(), shop.ask())]
            calm_ms: list[float] = []
            swap_ms: list[float] = []
            before, took_s = shop.slot.swaps, 0.0
            began_s, all_s, ours_s = time.perf_counter(), _busy_s(), time.process_time()
            for block in range(BLOCKS):
                context.say(f"swap {block * swaps // BLOCKS}", block / BLOCKS)
                await asyncio.sleep(calm_s / BLOCKS)
                calm_ms += shop.answered_ms()
                began = time.perf_counter()
                await shop.swap(block * swaps // BLOCKS, swaps // BLOCKS)
                took_s += time.perf_counter() - began
                swap_ms += shop.answered_ms()
            swapped = shop.slot.swaps - before
            others_s = _busy_s() - all_s - (time.process_time() - ours_s)
            others = max(0.0, others_s / (time.perf_counter() - began_s))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await shop.idle()
        dropped, doubled = count.taken - count.scored, count.scored - count.taken
        return {
            "swaps": swapped,
            "seconds": took_s,
            "others": others,
            "touched": count.taken.total(),
            "dropped": dropped.total(),
            "doubled": doubled.total(),
            "calm": sorted(calm_ms),
            "swapping": sorted(swap_ms),
        }


def measure(context: Context) -> Result:
    """Answers without and with swaps; what was touched against what was scored."""
    with (
        patch.object(app, "SignedDoor", UnlockedDoor),
        patch.object(pipeline_scoring, "WATCH_S", 0.1),
    ):
        found = uvloop.run(_play(context.room("swaps"), context))
    p99 = {name: percentile(found[name], 0.99) for name in ("calm", "swapping")}
    figures = [
        Figure(name="dropped", value=found["dropped"], unit="rows", goal=0.0),
        Figure(name="scored twice", value=found["doubled"], unit="rows", goal=0.0),
        Figure(name="p99 while swapping / p99 without", value=p99["swapping"] / p99["calm"],
               unit="times", goal=GOAL_TIMES),
        Figure(name="p99 while swapping", value=p99["swapping"], unit="ms"),
        Figure(name="a swap, asked for until it answers", unit="ms",
               value=found["seconds"] / found["swaps"] * 1e3),
    ]  # fmt: skip
    rows = [
        {"": name, "asked": len(found[name]), "p50 ms": percentile(found[name], 0.5),
         "p99 ms": p99[name], "worst ms": found[name][-1]}
        for name in ("calm", "swapping")
    ]  # fmt: skip
    notes = [
        f"{found['swaps']:,} swaps, {found['touched']:,} rows touched and scored meanwhile.",
        f"Others on this machine took {found['others']:.0%} of one processor.",
        scheduling(),
    ]
    return result("swaps", TITLE, __doc__, figures, {"answers": rows}, notes)
