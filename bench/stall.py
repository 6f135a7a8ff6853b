"""How long the daemon's loop is held by any one callback, whatever it is asked.

What the numbers do not say: how long somebody waits. They are processor time of the loop's thread, a
callback at a time; several may stand in line. The loop is asyncio's own and not uvloop, which has no
place to look. The clock of the shop is set by hand: an hour passes at once, which no hour does.

Each deed and each GET endpoint is done some times over by a daemon in this process; told is the
median over the tries of the slowest callback of each.
"""

import asyncio
from functools import partial
from statistics import median

import aiohttp

from bench.harness import Context, Figure, Result, Row, result
from edge.app import running
from tests.corridor import SetClock
from tests.stalls import DEEDS, LIMIT_S, START_MS, Deed, Hands, pages, shop, watched

TITLE = "The longest callback on the loop"


def measure(context: Context) -> Result:
    """The slowest callback of everything the daemon is asked in ``tests/stalls.py``."""
    items, tries = context.size(50_000, 20_000, 300), context.size(5, 3, 1)
    rows = asyncio.run(_rows(context, items, tries))
    rows.sort(key=lambda row: -row["worst ms"])
    slowest = rows[0]
    held = [row["asked"] for row in rows if row["worst ms"] > LIMIT_S * 1e3]
    figures = [
        Figure(name=f"slowest: {slowest['asked']}", value=slowest["worst ms"], unit="ms",
               goal=LIMIT_S * 1e3),
        Figure(name="median of all that was asked", value=median(r["worst ms"] for r in rows),
               unit="ms"),
    ]  # fmt: skip
    notes = [
        f"{items:,} items; {len(rows)} deeds and endpoints, the median of {tries} tries each.",
        f"Above {LIMIT_S * 1e3:.0f} ms: {', '.join(held) or 'none'}.",
    ]
    return result("stall", TITLE, __doc__, figures, {"slowest callbacks": rows[:20]}, notes)


async def _rows(context: Context, items: int, tries: int) -> list[Row]:
    clock, rows = SetClock(START_MS), list[Row]()
    asked: list[tuple[str, Deed]] = [(deed.__name__.replace("_", " "), deed) for deed in DEEDS]
    asked += [(path, partial(Hands.get, path=path)) for path in pages()]
    with watched() as watch:
        async with running(shop(context.room("stall")), clock) as daemon:
            assert daemon.bound is not None
            async with aiohttp.ClientSession(daemon.bound.url) as client:
                made = Hands(daemon, client, clock, items)
                context.say("filling the shop", 0.0)
                await made.fill()
                for i, (name, deed) in enumerate(asked):
                    context.say(name, (i + 1) / (len(asked) + 1))
                    worst = []
                    for _ in range(tries):
                        watch.begin()
                        await deed(made)
                        worst.append((watch.worst_s, watch.what))
                    took_s, what = sorted(worst)[len(worst) // 2]
                    rows.append({"asked": name, "worst ms": took_s * 1e3, "in": what[:60]})
    return rows
