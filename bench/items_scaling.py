"""What an event costs when the shop is a hundred times larger: 500,000 items against 5,000.

What the numbers do not say: both states live in one process and take turns, so each finds the
caches as the other left them, which flatters neither; memory, snapshots and restarts grow with the
items whatever this says (see `memory`, `restart`). Uniform draws are the worst case: nearly every
read is of an item that no cache holds. In a shop a few shelves are read again and again, which the
skewed draws stand for (Zipf's law: the r-th most read item in proportion to 1/r).

Every item is known and has a window slot before the clock starts. Processor time, so that what else
runs on the machine counts less; rounds alternate; medians. Calls of 256 messages.
"""

from statistics import median

import msgspec
import numpy as np

from bench.core_rate import PER_S, START_MS, Feeder, settled
from bench.harness import Context, Figure, Result, Row, result
from bench.workload import SAID, Workload, arriving, shop, skewed, uniform
from edge.config import Limits
from edge.core import Core

TITLE = "Cost per event by the number of items"
GOAL = 1.2
CALL = 256
DRAWS = {"uniform": uniform, "skewed": skewed}


class Shop:
    """A core that knows its items, and where its time has come to."""

    def __init__(self, items: int) -> None:
        limits = Limits(items_max=items + 1_000, active_items_max=items + 1_000)
        self.items = items
        self.feeder = Feeder(Core(shop(msgspec.structs.replace(shop(), limits=limits))))
        self.workload = Workload(items)
        self.now_ms = START_MS
        everyone = np.random.default_rng(items).permutation(items)
        for start in range(0, items, 50_000):
            self.cost_us(everyone[start : start + 50_000], 1_024)

    def cost_us(self, drawn: "np.typing.NDArray[np.int64]", call: int = CALL) -> float:
        """Processor time an event, µs."""
        made = self.workload.messages(drawn, self.now_ms, PER_S)
        messages = arriving(made, self.now_ms, PER_S)
        self.now_ms = messages[-1].arrival_ms
        _, cpu_s = self.feeder.feed(messages, call)
        return cpu_s / len(messages) * 1e6


def measure(context: Context) -> Result:
    """Few and many items in turn."""
    many, few = context.size(500_000, 100_000, 3_000), context.size(5_000, 5_000, 1_000)
    count, rounds = context.size(40_000, 20_000, 1_000), context.size(7, 3, 1)
    context.say(f"{many:,} items are made known", 0.0)
    shops = {few: Shop(few), many: Shop(many)}
    costs: dict[tuple[str, int], list[float]] = {(d, n): [] for d in DRAWS for n in shops}
    with settled():
        for turn in range(rounds):
            context.say(f"round {turn + 1} of {rounds}", 0.3 + 0.7 * turn / rounds)
            for name, draw in DRAWS.items():
                for items, one in shops.items():
                    costs[name, items].append(one.cost_us(draw(items, count, turn)))
    rows: list[Row] = []
    for name in DRAWS:
        least, most = median(costs[name, few]), median(costs[name, many])
        ratio = median(b / a for a, b in zip(costs[name, few], costs[name, many], strict=True))
        rows.append(
            {
                "draws": name,
                f"{few:,} items, µs": least,
                f"{many:,} items, µs": most,
                "ratio": ratio,
            }
        )
    figures = [
        Figure(name=f"cost at {many:,} items to {few:,}, {row['draws']}", value=row["ratio"],
               goal=GOAL)
        for row in rows
    ]  # fmt: skip
    notes = [f"{rounds} rounds of {count:,} {SAID}. Ratio: the median of each round's ratio."]
    return result("items_scaling", TITLE, __doc__, figures, {"cost an event": rows}, notes)
