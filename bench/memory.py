"""What the daemon holds in memory when it knows 50,000 items, and 500,000.

What the numbers do not say: a shop's items differ in how often they are read, on how many
contracts they are and how long their names are; here every item was read at least once, a tenth is
on rent, and every one is active at the same time (a window slot each), which a shop of 500,000
items hardly sees. Memory of windows becomes resident as hours pass: "lived once" is minutes old and
holds one bucket of each window; "after a restart" holds all of them, as after a day, and is the
figure to plan with. The page cache of the journal is not in it: the kernel takes that back.

Everything goes through a real broker into the daemon as a process of its own, with the environment
of the service unit. RSS is VmRSS, PSS the kernel's proportional share (libraries shared with other
processes counted in part), the peak is VmHWM up to the end of the snapshot at the stop. The goals
are those of the stream core, models switched off; what models add stands beside them.
"""

from bench.daemon import DaemonProcess, Memory
from bench.harness import Context, Figure, Result, Row, result
from bench.shops import ON_RENT_SHARE, limits, lived_in
from edge.broker import Broker

SCORED_WITHIN_S = 300.0
TITLE = "Resident memory by the number of items"
SIZES_AND_GOALS_MB = ((50_000, 130.0), (500_000, 400.0))


def measure(context: Context) -> Result:
    """Every size: lived once, the peak of a stop with its snapshot, and after a restart."""
    sizes = context.size(2, 1, 1)
    rows: list[Row] = []
    figures: list[Figure] = []
    for turn, (items, goal) in enumerate(SIZES_AND_GOALS_MB[:sizes]):
        items = items if not context.tiny else 500
        context.say(f"{items:,} items", turn / sizes)
        broker, daemon = lived_in(context, items)
        once: Memory = context.shared[f"shop-{items}-memory"]
        peak: float = context.shared[f"shop-{items}-peak"]
        daemon.start()
        again = daemon.memory()
        peaks = [again.peak]
        daemon.stop(lambda found=peaks, one=daemon: found.append(one.peak_mb()))  # type: ignore[misc]
        with_models = _with_models(broker, daemon, items)
        rows.append(_row(items, "lived once", once, peak))
        rows.append(_row(items, "after a restart", again, max(peaks)))
        rows.append(_row(items, "with the models shipped", with_models, with_models.peak))
        figures += [
            Figure(name=f"{items:,} items, lived once", value=once.rss, unit="MB RSS", goal=goal),
            Figure(name=f"{items:,} items, after a restart", value=again.rss, unit="MB RSS",
                   goal=goal),
            Figure(name=f"{items:,} items, with the models shipped", value=with_models.rss,
                   unit="MB RSS"),
        ]  # fmt: skip
    notes = [
        f"Every item read at least once, {ON_RENT_SHARE:.0%} rented; limits.items_max and "
        "active_items_max as many as there are (at least 100,000); MB are 2**20 bytes.",
    ]
    return result("memory", TITLE, __doc__, figures, {"memory, MB": rows}, notes)


def _with_models(broker: Broker, daemon: DaemonProcess, items: int) -> Memory:
    """After a restart with models on, once each has been asked about every item."""
    daemon.configure(broker.port, limits(items, {"models": {"enabled": True}}))
    daemon.start()
    daemon.wait(lambda: _all_scored(daemon, items), SCORED_WITHIN_S, "done scoring every item")
    found = daemon.memory()
    daemon.stop()
    daemon.configure(broker.port, limits(items))
    return found


def _all_scored(daemon: DaemonProcess, items: int) -> bool:
    asked = [
        m for m in daemon.get("/api/models")["services"] if m["entity"] == "item" and m["active"]
    ]
    return bool(asked) and all(m["predictions"] >= items for m in asked)


def _row(items: int, state: str, memory: Memory, peak: float) -> Row:
    return {
        "items": items,
        "state": state,
        "RSS": memory.rss,
        "PSS": memory.pss,
        "peak, snapshot included": peak,
    }
