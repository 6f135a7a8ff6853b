"""The middle alone: decode, admit, presence and every feature, from messages in memory.

What the numbers do not say: no broker, no socket, no journal, no API; one thread has a core to
itself and the caches are as warm as a loop makes them. The messages come at 30,000 a second of
their own time, as in a drain; where fewer arrive, presence's epochs of a second cut them into
smaller pieces, which cost more an event.

Calls are as long as the corridor makes them (its own rules are asked: a time to aim at, so many
messages and bytes at most), and the garbage collector is frozen and set as the daemon does. Every
item is known before the clock starts.
"""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import numpy as np

from bench.harness import Context, Figure, Result, Row, result
from bench.workload import SAID, Workload, arriving, shop, uniform
from edge.app import GC_THRESHOLDS
from edge.core import Core
from edge.pipeline_pace import Pace
from edge.records import Message

TITLE = "Decode, admit, features: no network"
START_MS = 1_772_000_000_000
PER_S = 30_000.0
ITEMS = 5_000
ARRAY = 20
GOAL = 120_000.0


@contextmanager
def settled() -> Iterator[None]:
    """The garbage collector as the daemon sets it, for as long as the block runs."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class Feeder:
    """Feeds a core in slices, cut and paced by the corridor's own rules."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.ordinal = 0
        self.events = 0
        self.slice = 0
        """Messages of the last whole call, as the corridor's rules cut it."""
        self._pace = Pace()

    def feed(self, messages: list[Message], fixed: int = 0) -> tuple[float, float]:
        """Let the core take all; wall and processor time, seconds. ``fixed``: messages a call."""
        began, began_cpu = time.perf_counter(), time.process_time()
        start = 0
        while start < len(messages):
            stop = start + fixed if fixed else self._pace.end(messages, start, len(messages))
            part = messages[start:stop]
            before = time.thread_time()
            self.events += self.core.step(part, self.ordinal).events
            if not fixed:
                self._pace.took(time.thread_time() - before)
                self.slice = len(part) if stop < len(messages) else self.slice
            self.ordinal += len(part)
            start += len(part)
        return time.perf_counter() - began, time.process_time() - began_cpu


def known(items: int) -> Feeder:
    """A core that has heard of every item once."""
    feeder = Feeder(Core(shop()))
    from_ms = START_MS - 3_600_000
    made = Workload(0).scans(np.arange(items), from_ms, PER_S)
    feeder.feed(arriving(made, from_ms, PER_S), 1_024)
    return feeder


def measure(context: Context) -> Result:
    """Rounds of each way of cutting, interleaved; medians."""
    count, rounds = context.size(60_000, 20_000, 1_000), context.size(5, 2, 1)
    ways = (("as the corridor cuts", 0, 1), ("64 a call", 64, 1), ("1,024 a call", 1_024, 1),
            (f"arrays of {ARRAY} reads, as the corridor cuts", 0, ARRAY))  # fmt: skip
    feeder, workload = known(ITEMS), Workload(1)
    walls: dict[str, list[float]] = {name: [] for name, _, _ in ways}
    cpus: dict[str, list[float]] = {name: [] for name, _, _ in ways}
    cuts: dict[str, int] = {}
    now_ms = START_MS
    for turn in range(rounds):
        for i, (name, fixed, size) in enumerate(ways):
            context.say(name, (turn + i / len(ways)) / rounds)
            drawn = uniform(ITEMS, count, turn)
            if size == 1:
                made = workload.messages(drawn, now_ms, PER_S)
            else:
                made = workload.arrays(drawn, size, now_ms, PER_S)
            messages = arriving(made, now_ms, PER_S / size)
            now_ms = messages[-1].arrival_ms
            before = feeder.events
            with settled():
                wall_s, cpu_s = feeder.feed(messages, fixed)
            cuts[name] = fixed or feeder.slice
            events = feeder.events - before
            assert events == len(messages) * size, (events, len(messages), size)
            walls[name].append(events / wall_s)
            cpus[name].append(cpu_s / events * 1e6)
    rows: list[Row] = [
        {
            "cut": name,
            "messages a call": cuts[name],
            "events/s": median(walls[name]),
            "µs CPU an event": median(cpus[name]),
        }
        for name, _, _ in ways
    ]
    return _told(rows, count, rounds)


def _told(rows: list[Row], count: int, rounds: int) -> Result:
    figures = [
        Figure(name="events", value=rows[0]["events/s"], unit="events/s", better="higher",
               goal=GOAL),
        Figure(name="CPU an event", value=rows[0]["µs CPU an event"], unit="µs"),
        Figure(name=f"events, in arrays of {ARRAY}", value=rows[3]["events/s"], unit="events/s",
               better="higher"),
    ]  # fmt: skip
    notes = [
        f"{rounds} rounds of {count:,} {SAID}; {ITEMS:,} items, drawn uniformly. Medians.",
        "Where processor time is well below wall time, something else was running: trust the processor time.",
    ]
    return result("core_rate", TITLE, __doc__, figures, {"ways of cutting": rows}, notes)
