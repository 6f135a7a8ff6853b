"""How long until the daemon is ready again, with 500,000 items.

What the numbers do not say: the files are in the page cache, where a Pi that has just been switched
on reads them from its card (at 40 to 90 MB/s: the size of the snapshot stands in the table), and
the machine's own start comes before. Ready means `/readyz` answers 200: the state is whole and the
API answers; what queued at the broker meanwhile still has to be drained. The state is minutes old,
so its windows are mostly empty and its snapshot small; a day of reads makes it several times larger
(`disk_bytes` shows one of 50,000 items), and reading it takes longer accordingly.

From the start of the process to the first 200, asked every 20 ms. After a clean stop the snapshot
holds everything; after a SIGKILL the journal's tail is replayed, here as long as the default
schedule (a snapshot every 900 s) leaves it at 100 events a second.
"""

import time
from collections.abc import Iterator
from statistics import median

from bench.daemon import DaemonProcess
from bench.harness import Context, Figure, Result, Row, result
from bench.shops import feed, lived_in
from bench.workload import Made, Workload, uniform

TITLE = "Restart with 500,000 items until ready"
GOAL_S = 3.0


def tail(items: int, count: int) -> Iterator[Made]:
    """Messages since the last snapshot."""
    now_ms = int(time.time() * 1000)
    return Workload(11).messages(uniform(items, count, 11), now_ms - 5_000, count / 5)


def measure(context: Context) -> Result:
    """Clean stops, then kills."""
    items, count = context.size(500_000, 50_000, 500), context.size(90_000, 10_000, 200)
    rounds = context.size(3, 1, 1)
    broker, daemon = lived_in(context, items)
    rows: list[Row] = []
    for turn in range(rounds):
        context.say("after a clean stop", 0.3 + 0.2 * turn / rounds)
        ready_s = daemon.start()
        stop_s = daemon.stop()
        rows.append(_row("clean stop", daemon, ready_s, stop_s))
    context.say("the tail is sent", 0.5)
    daemon.start()
    feed(daemon, broker, tail(items, count))
    daemon.kill()
    for turn in range(rounds):
        context.say("after SIGKILL", 0.7 + 0.3 * turn / rounds)
        ready_s = daemon.start()
        daemon.kill()
        rows.append(_row("SIGKILL", daemon, ready_s, float("nan")))
    clean = float(median(row["ready s"] for row in rows[:rounds]))
    killed = float(median(row["ready s"] for row in rows[rounds:]))
    figures = [
        Figure(name="ready after a clean stop", value=clean, unit="s", goal=GOAL_S),
        Figure(name=f"ready after SIGKILL, {count:,} events behind", value=killed, unit="s",
               goal=GOAL_S),
    ]  # fmt: skip
    notes = [f"{items:,} items, a tenth of them on rent. {rounds} starts each; medians."]
    return result("restart", TITLE, __doc__, figures, {"starts": rows}, notes)


def _row(after: str, daemon: DaemonProcess, ready_s: float, stop_s: float) -> Row:
    told = daemon.logged("recovered")
    newest = max(daemon.store.glob("snapshot-*.bin"))
    return {
        "after": after,
        "ready s": ready_s,
        "of it recovery s": told["took_s"],
        "replayed messages": told["replayed"],
        "items": told["items"],
        "snapshot MB": newest.stat().st_size / 2**20,
        "stop s": stop_s,
    }
