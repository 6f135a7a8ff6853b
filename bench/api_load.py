"""How long the API takes to answer while 2,000 messages a second come in.

What the numbers do not say: the client that asks, the publisher and the broker share this machine's
cores with the daemon, so a browser elsewhere waits less for the daemon and more for the network.
Requests leave at fixed moments, and a time counts from that moment: a daemon that stalls pays for
everybody who had to wait. The mix of requests is ours (what a dashboard, a scraper and a person
with a browser ask for); a shop with more than 20,000 items has longer lists to filter.

The requests and the way they are timed are those of `bench/api.py`.
"""

import time

import uvloop

from bench import api
from bench.daemon import DaemonProcess
from bench.harness import Context, Figure, Result, result
from bench.latency import ITEMS, RATE, WARM_UP_S, steadily
from bench.shops import feed, stocked
from bench.workload import SAID
from edge.broker import Broker

TITLE = "API while ingesting"
ASKED_PER_S = 200.0
GOAL_P99_MS = 20.0


def measure(context: Context) -> Result:
    """Ask a daemon under a steady load."""
    seconds = context.seconds(30.0, 6.0, 1.0)
    rate = RATE if not context.tiny else 200.0
    items = context.size(ITEMS, ITEMS, 200)
    directory = context.room("api")
    with (
        Broker(directory / "broker") as broker,
        DaemonProcess(directory / "daemon", broker.port) as daemon,
    ):
        context.say(f"{items:,} items are made known", 0.0)
        feed(daemon, broker, stocked(items))
        load = steadily(broker, rate, seconds + WARM_UP_S + 1)
        time.sleep(WARM_UP_S if not context.tiny else 0.5)
        context.say(f"{rate:g} messages/s, {ASKED_PER_S:g} requests/s", 0.2)
        before, began = daemon.stats()["stats"]["mqtt"]["received"], time.perf_counter()
        found = uvloop.run(api.measure(daemon.url, ASKED_PER_S, seconds, 1))
        took_s = time.perf_counter() - began
        come = daemon.stats()["stats"]["mqtt"]["received"] - before
        load.wait()
    rows = [
        {
            **{name: value for name, value in row.items() if name != "statuses"},
            "statuses": " ".join(f"{status}: {n}" for status, n in row["statuses"].items()),
        }
        for row in api.rows(found)
    ]
    every = rows[-1]
    failed = sum(n for t in found.values() for status, n in t.statuses.items() if status >= 500)
    figures = [
        Figure(name="all endpoints, p99", value=every["p99_ms"], unit="ms", goal=GOAL_P99_MS),
        Figure(name="all endpoints, p50", value=every["p50_ms"], unit="ms"),
        Figure(name="answers of 5xx", value=float(failed), goal=0.0),
    ]
    notes = [
        f"{come / took_s:,.0f} messages/s came in, of {SAID}; {items:,} items; "
        f"{ASKED_PER_S:g} requests/s for {seconds:g} s."
    ]
    return result("api", TITLE, __doc__, figures, {"endpoints": rows}, notes)
