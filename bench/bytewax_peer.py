"""Five named features of the catalogue, by bytewax and by this core, on the same messages.

What the numbers do not say: bytewax spreads over processes and machines and recovers its state from
a store of its own, which a shop's one Pi does not need and this bench does not use; it is measured
with one worker. Both start from the same raw messages and the same decoder, and both take 1,024 at a
time; then bytewax computes five features, while the core admits, smooths presence and keeps its
whole catalogue. So the ratio understates what the core does for its time.

The peer is written as fast as we could make it: `op.flat_map_batch` decodes a batch, and
`op.stateful_batch` (bytewax's lowest and fastest stateful operator) hands each key's share of the
batch to its logic at once: rings of integer buckets in plain Python. A feature must be readable after
every batch, so each touched key emits its values then. Two more forms stand beside it. As its
documentation does it: `fold_window` over `SlidingWindower` and `EventClock`, unordered; a window is kept
open for every bucket an event falls into (24 for the 24 hours) and tells its value only when it
closes. And the least bytewax can do: decoded beforehand, batches of 10,000, nothing emitted until the
end. All forms must give equal values for every key, on a dense stream (the timed one) and on a
stretched one of 30 hours whose windows roll and run empty.
"""

import importlib
import importlib.metadata
import operator
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import numpy as np

from bench.core_rate import ITEMS, PER_S, START_MS, Feeder, settled
from bench.harness import Context, Figure, Result, Row, result
from bench.workload import SAID, Workload, arriving, shop, uniform
from edge.core import Core
from edge.events import PosLine, TagRead
from edge.features.business import class_key
from edge.features.catalog import matrix
from edge.records import Message

TITLE = "Five features by bytewax and by the core"
GOAL = 5.0
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
WINDOWS = {
    "item": (("reads_5m", 5, MINUTE_MS), ("reads_1h", 12, 5 * MINUTE_MS), ("reads_24h", 24, HOUR_MS)),
    "class": (("units_out_1h", 12, 5 * MINUTE_MS),),
    "zone": (("reads_5m", 5, MINUTE_MS),),
}  # fmt: skip
"""Feature -> (buckets, width of a bucket), by entity: as in the catalogue."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BATCH, LEAST_BATCH = 1_024, 10_000
WINDOWED_SHARE = 10
"""The form with bytewax's own windows gets one message in so many: it takes too long for all."""

Values = dict[tuple[str, str], tuple[int, ...]]


class Rings:
    """One key's windows in plain Python: rings of buckets, rolled by event time."""

    __slots__ = ("_rings",)

    def __init__(self, windows: Sequence[tuple[str, int, int]]) -> None:
        # each: width, buckets, number of the newest bucket, total, counts
        self._rings: list[list[Any]] = [[w, n, -1, 0, [0] * n] for _, n, w in windows]

    def add(self, events: Iterable[tuple[int, int]]) -> None:
        """Count (at_ms, amount) pairs."""
        for ring in self._rings:
            width, buckets, newest, total, counts = ring
            for at_ms, amount in events:
                bucket = at_ms // width
                if bucket > newest:
                    total -= _roll(counts, buckets, newest, bucket)
                    newest = bucket
                elif bucket <= newest - buckets:
                    continue
                counts[bucket % buckets] += amount
                total += amount
            ring[2], ring[3] = newest, total

    def newest(self) -> tuple[int, ...]:
        """The sums as of each window's newest event."""
        return tuple([ring[3] for ring in self._rings])

    def totals(self, now_ms: int) -> tuple[int, ...]:
        """The sums as of ``now_ms``."""
        for ring in self._rings:
            width, buckets, newest, _, counts = ring
            bucket = now_ms // width
            if bucket > newest:
                ring[3] -= _roll(counts, buckets, newest, bucket)
                ring[2] = bucket
        return tuple(ring[3] for ring in self._rings)


def _roll(counts: list[int], buckets: int, newest: int, bucket: int) -> int:
    """Empty the buckets that time has passed; what was in them."""
    gone = 0
    for number in range(max(newest + 1, bucket - buckets + 1), bucket + 1):
        at = number % buckets
        gone += counts[at]
        counts[at] = 0
    return gone


def peer(messages: Sequence[Message], now_ms: int) -> Values:
    """The five features by bytewax from raw messages, values emitted after every batch.

    Raises ImportError where bytewax is not installed.
    """
    op, dataflow, testing = _bytewax()
    flow = dataflow.Dataflow("peer")
    split = Split(Core(shop()))
    source = testing.TestingSource(messages, batch_size=BATCH)
    decoded = op.flat_map_batch("decode", op.input("in", flow, source), split.batch)
    keyed = op.key_on("key", decoded, lambda told: told[0])
    logic, emitted = _logic(op, emits=True), Newest()
    made = op.stateful_batch("rings", keyed, lambda _: logic(now_ms))
    op.output("out", made, emitted.sink())
    testing.run_main(flow)
    return emitted.values


def least(events: Sequence[Any], now_ms: int) -> Values:
    """The same with everything spared: decoded and keyed already, one value a key at the end."""
    op, dataflow, testing = _bytewax()
    flow = dataflow.Dataflow("least")
    stream = op.input("in", flow, testing.TestingSource(events, batch_size=LEAST_BATCH))
    logic, emitted = _logic(op, emits=False), Newest()
    made = op.stateful_batch("rings", stream, lambda _: logic(now_ms))
    op.output("out", made, emitted.sink())
    testing.run_main(flow)
    return emitted.values


def windowed(messages: Sequence[Message], now_ms: int) -> Values:
    """The same by bytewax's own sliding event-time windows, as its documentation shows them."""
    op, dataflow, testing = _bytewax()
    windowing: Any = importlib.import_module("bytewax.operators.windowing")
    flow = dataflow.Dataflow("windowed")
    split = Split(Core(shop()))
    source = testing.TestingSource(messages, batch_size=BATCH)
    decoded = op.flat_map_batch("decode", op.input("in", flow, source), split.dated)
    clock = windowing.EventClock(_moment_of, timedelta(0), now_getter=_standing_still)
    outputs: dict[tuple[str, str], list[tuple[str, tuple[int, int]]]] = {}
    for entity, windows in WINDOWS.items():
        mine = op.filter(f"{entity}s", decoded, lambda told, e=entity: told[1] == e)
        keyed = op.key_on(f"{entity}_key", mine, lambda told: told[0])
        for name, buckets, width_ms in windows:
            width = timedelta(milliseconds=width_ms)
            windower = windowing.SlidingWindower(buckets * width, width, EPOCH)
            folded = windowing.fold_window(
                f"{entity}_{name}", keyed, clock, windower, int, _count, operator.add, ordered=False
            )
            out = outputs[entity, name] = []
            op.output(f"{entity}_{name}_out", folded.down, testing.TestingSink(out))
    testing.run_main(flow)
    return _as_of(outputs, now_ms)


def _count(total: int, told: Any) -> int:
    return total + int(told[4])


def _moment_of(told: Any) -> datetime:
    moment: datetime = told[5]
    return moment


def _standing_still() -> datetime:
    """The watermark follows the events alone, whatever time the bench takes."""
    return EPOCH


def _as_of(
    outputs: dict[tuple[str, str], list[tuple[str, tuple[int, int]]]], now_ms: int
) -> Values:
    """Of all windows ever closed, those that end with the bucket of ``now_ms``."""
    values: Values = {}
    for entity, windows in WINDOWS.items():
        keys = {key for name, _, _ in windows for key, _ in outputs[entity, name]}
        columns = []
        for name, buckets, width_ms in windows:
            first = now_ms // width_ms - buckets + 1  # number of the window that starts there
            columns.append(
                {key: n for key, (number, n) in outputs[entity, name] if number == first}
            )
        for key in keys:
            values[entity, key] = tuple(column.get(key, 0) for column in columns)
    return values


def _bytewax() -> tuple[Any, Any, Any]:
    """Its modules, typed as anything: it need not be installed. Raises ImportError."""
    names = ("bytewax.operators", "bytewax.dataflow", "bytewax.testing")
    op, dataflow, testing = (importlib.import_module(name) for name in names)
    return op, dataflow, testing


class Newest:
    """Where the peer's values go: the newest a key."""

    def __init__(self) -> None:
        self.values: Values = {}

    def sink(self) -> Any:
        """A bytewax sink that keeps them."""
        outputs: Any = importlib.import_module("bytewax.outputs")
        values = self.values

        def write_batch(_: Any, items: Sequence[Any]) -> None:
            values.update([told for _, told in items])

        part = type("Part", (outputs.StatelessSinkPartition,), {"write_batch": write_batch})
        members = {"build": lambda *_: part()}
        return type("Sink", (outputs.DynamicSink,), members)()


def _logic(op: Any, *, emits: bool) -> Any:
    """bytewax's logic of one key, made here because bytewax may not be installed."""
    nothing: tuple[()] = ()

    def build(self: Any, now_ms: int) -> None:
        self.name, self.rings, self.now_ms = None, None, now_ms

    def on_batch(self: Any, told: list[Any]) -> tuple[Any, bool]:
        if self.rings is None:
            _, entity, key, _, _ = told[0]
            self.name, self.rings = (entity, key), Rings(WINDOWS[entity])
        self.rings.add([(at_ms, amount) for _, _, _, at_ms, amount in told])
        return ([(self.name, self.rings.newest())] if emits else nothing), False

    def on_eof(self: Any) -> tuple[Any, bool]:
        return [(self.name, self.rings.totals(self.now_ms))], True

    def snapshot(self: Any) -> None:
        return None

    members = {"__init__": build, "on_batch": on_batch, "on_eof": on_eof, "snapshot": snapshot}
    return type("KeyedRings", (op.StatefulBatchLogic,), members)


class Split:
    """Messages -> (routing key, entity, key, at_ms, amount), by the core's own decoder."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._zone: dict[tuple[str, int], str] = {}

    def batch(self, messages: Sequence[Message]) -> list[Any]:
        """Every event of a batch, once for each entity that counts it."""
        decode, zones = self._core.decoder.decode, self._zone
        found: list[Any] = []
        for message in messages:
            for event in decode(message).events:
                at_ms = event.at
                if type(event) is TagRead:
                    place = (event.source, event.antenna)
                    zone = zones.get(place) or zones.setdefault(place, _zone(self._core, event))
                    epc = event.epc
                    found.append((epc, "item", epc, at_ms, event.count))
                    found.append((zone, "zone", zone, at_ms, event.count))
                elif type(event) is PosLine:
                    key = class_key(event.store, event.sku)
                    found.append((key, "class", key, at_ms, round(event.quantity * 1000)))
        return found

    def dated(self, messages: Sequence[Message]) -> list[Any]:
        """The same with the moment as a datetime added, which bytewax's windows ask for."""
        return [
            (*told, datetime.fromtimestamp(told[3] / 1000, UTC)) for told in self.batch(messages)
        ]


def _zone(core: Core, event: TagRead) -> str:
    reader = core.state.reader.keys.claim_all([event.source])
    row = core.places.zones(reader, np.array([event.antenna]), [event])
    return core.state.zone.keys.key(int(row[0]))


def ours(core: Core, keys: Iterable[tuple[str, str]]) -> Values:
    """The same features out of the core, for the same keys."""
    found: Values = {}
    wanted: dict[str, list[str]] = {entity: [] for entity in WINDOWS}
    for entity, key in keys:
        wanted[entity].append(key)
    for entity, names in wanted.items():
        rows = np.array([core.state.tables[entity].keys.get(key) for key in names], np.int64)
        assert (rows >= 0).all(), entity
        scale = 1000 if entity == "class" else 1
        columns = matrix(core.state, entity, rows, [name for name, _, _ in WINDOWS[entity]])
        for key, row in zip(names, np.rint(columns * scale).astype(np.int64).tolist(), strict=True):
            found[entity, key] = tuple(row)
    return found


def stream(count: int, per_s: float, seed: int, items: int = ITEMS) -> list[Message]:
    """Messages that the core admits all: nothing repeated, nothing late, nothing from the future."""
    made = Workload(seed).messages(uniform(items, count, seed), START_MS, per_s)
    return arriving(made, START_MS, per_s)


def compare(name: str, count: int, per_s: float, seed: int) -> Row:
    """Rates of all three on one stream, and for how many keys the values differ."""
    messages = stream(count, per_s, seed)
    decoded = [(told[0], told) for told in Split(Core(shop())).batch(messages)]
    feeder = Feeder(Core(shop()))
    with settled():
        core_s, _ = feeder.feed(messages, BATCH)
        now_ms = feeder.core.state.now_ms
        theirs, peer_s = _timed(peer, messages, now_ms)
        spared, least_s = _timed(least, decoded, now_ms)
        few = messages[: len(messages) // WINDOWED_SHARE]
        windows, windowed_s = _timed(windowed, few, few[-1].arrival_ms)
    mine, of_few = ours(feeder.core, theirs), ours(_fed(few), windows)
    wrong = sum(mine[key] != theirs[key] or mine[key] != spared[key] for key in mine)
    wrong += sum(of_few[key] != windows[key] for key in windows)
    return {
        "stream": name,
        "core events/s": count / core_s,
        "bytewax events/s": count / peer_s,
        "ratio": peer_s / core_s,
        "its windows events/s": len(few) / windowed_s,
        "ratio to its windows": windowed_s / len(few) * count / core_s,
        "least bytewax events/s": count / least_s,
        "ratio to the least": least_s / core_s,
        "keys": len(theirs),
        "differ": wrong + abs(len(theirs) - len(spared)),
    }


def _fed(messages: list[Message]) -> Core:
    feeder = Feeder(Core(shop()))
    feeder.feed(messages, BATCH)
    return feeder.core


def _timed(work: Callable[[Any, int], Values], given: Any, now_ms: int) -> tuple[Values, float]:
    began = time.perf_counter()
    values = work(given, now_ms)
    return values, time.perf_counter() - began


def measure(context: Context) -> Result:
    """Alternate rounds on the dense stream; once on the stretched one, for the values only."""
    count, rounds = context.size(200_000, 30_000, 1_000), context.size(3, 2, 1)
    try:
        rows: list[Row] = []
        for turn in range(rounds):
            context.say(f"round {turn + 1} of {rounds}", turn / (rounds + 1))
            rows.append(compare("dense", count, PER_S, turn))
        context.say("stretched over 30 hours", rounds / (rounds + 1))
        few = min(count, 10_000)
        rows.append(compare("30 hours", few, few / (30 * 3_600), rounds))
    except ImportError as error:
        return _left_out(error)
    timed = rows[:-1]
    figures = [
        Figure(
            name=f"ratio to bytewax, {form}",
            value=float(median(row[column] for row in timed)),
            better="higher",
            goal=GOAL if goal else None,
        )
        for form, column, goal in (
            ("its own windows", "ratio to its windows", True),
            ("rings by hand", "ratio", True),
            ("the least it can do", "ratio to the least", False),
        )
    ]
    figures.append(
        Figure(
            name="keys whose values differ", value=float(sum(r["differ"] for r in rows)), goal=0.0
        )
    )
    notes = [
        f"bytewax {importlib.metadata.version('bytewax')}, one worker. {rounds} rounds of "
        f"{count:,} {SAID}; {ITEMS:,} items, drawn uniformly, all new at the start. Medians.",
        "Features: item reads_5m, reads_1h, reads_24h; class units_out_1h; zone reads_5m.",
    ]
    return result("bytewax_peer", TITLE, __doc__, figures, {"streams": rows}, notes)


def _left_out(error: ImportError) -> Result:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    why = f"The comparison is left out: {error}. bytewax has no wheel for Python 3.13"
    why += f" (this is {version}); on 3.11 and 3.12 `make bench` installs it."
    return result("bytewax_peer", TITLE, __doc__, [], {}, [why])
