"""The drain again on slow cards: 5, 50 and 500 ms added to every fsync.

What the numbers do not say: the delay is added to each commit (`storage.fsync_delay_ms`) and
blocks nothing else, where a real card also delays reads and other programs, and varies. The table
says what to expect of a card whose fsync `rfid3 doctor` has measured: messages in flight divided by
the time of a commit is the most that can be acknowledged, whatever the processor.

The window is set twice: `max_inflight_messages` of the broker, and our Receive Maximum
(`mqtt.receive_maximum`), which wins on Mosquitto 2.0.11. The window that was really used is
received less acknowledged, sampled from the API: the most that was ever seen.
"""

import time
from typing import Any

from bench.daemon import DaemonProcess
from bench.drain import OLD_READS_COUNT, fill, forget, look, settings_of
from bench.harness import Context, Figure, Result, Row, result
from bench.workload import SAID
from edge.broker import Broker, BrokerSettings

TITLE = "Drain with slow fsyncs"
DELAYS_MS = (0, 5, 50, 500)
WINDOWS = (20, 1_000)
ITEMS = 20_000
POLL_S = 0.025
FASTEST_PER_S = 50_000.0


def measure(context: Context) -> Result:
    """Every delay at every window."""
    delays = DELAYS_MS if not context.tiny else DELAYS_MS[:2]
    seconds = context.seconds(5.0, 2.0, 0.4)
    rows: list[Row] = []
    cells = len(delays) * len(WINDOWS)
    for window in WINDOWS:
        directory = context.room(f"fsync-{window}")
        settings = BrokerSettings(queued_max=2_000_000, inflight_max=window)
        with Broker(directory / "broker", settings) as broker:
            daemon = DaemonProcess(directory / "daemon", broker.port)
            session = settings_of(broker, "rfid3-bench")
            for delay_ms in delays:
                context.say(f"{delay_ms} ms, {window} in flight", len(rows) / cells)
                fill(session, _enough(window, delay_ms, seconds), ITEMS, window)
                rows.append(_cell(daemon, broker, window, delay_ms, seconds))
                forget(session)
    figures = [
        Figure(
            name=f"{row['added ms']} ms, {row['limit']} in flight",
            value=row["messages/s"],
            unit="messages/s",
            better="higher",
        )
        for row in rows
    ]
    notes = [f"{seconds:g} s a cell (more where a commit takes long), of {SAID}; {ITEMS:,} items."]
    broken = [row for row in rows if row["most in flight seen"] > 2 * row["limit"]]
    if broken:
        notes.append(
            f"The broker did not keep to the limit in {len(broken)} of {len(rows)} cells (see the "
            "last column): one that counts gives at most limit / time of a commit there."
        )
    return result("fsync_table", TITLE, __doc__, figures, {"drain": rows}, notes)


def _enough(window: int, delay_ms: int, seconds: float) -> int:
    """Messages that last for a cell, whatever the broker makes of the window (it overshoots)."""
    per_s = min(FASTEST_PER_S, 4_000 * window / max(delay_ms, 1))
    return int(per_s * (seconds + delay_ms / 500) + 2 * window)


def _cell(daemon: DaemonProcess, broker: Broker, window: int, delay_ms: int, seconds: float) -> Row:
    daemon.configure(
        broker.port,
        {
            **OLD_READS_COUNT,
            "mqtt": {"receive_maximum": window},
            "storage": {"fsync_delay_ms": delay_ms},
        },
    )
    daemon.start()
    samples: list[tuple[Any, int]] = []
    deadline = 0.0

    def enough() -> bool:
        nonlocal deadline
        time.sleep(POLL_S)
        sample, stats = look(daemon)
        if sample.acknowledged:
            deadline = deadline or sample.at_s + seconds + delay_ms / 500
            samples.append((sample, stats["corridor"]["commits"]))
        return bool(deadline) and time.perf_counter() >= deadline

    daemon.wait(enough, 60.0 + seconds, f"past {seconds:g} s")
    daemon.kill()
    moved = [i for i in range(1, len(samples)) if samples[i][0].acknowledged
             > samples[i - 1][0].acknowledged]  # fmt: skip
    # from one acknowledgement to another: whole commits only
    first, last = samples[moved[0] if len(moved) > 1 else 0], samples[moved[-1] if moved else -1]
    took_s = max(last[0].at_s - first[0].at_s, 1e-9)
    messages, commits = last[0].acknowledged - first[0].acknowledged, last[1] - first[1]
    nan = float("nan")
    return {
        "added ms": delay_ms,
        "limit": window,
        "messages/s": messages / took_s if messages else nan,
        "messages a commit": messages / commits if commits else nan,
        "ms a commit": took_s / commits * 1e3 if commits else nan,
        "most in flight seen": max(s.received - s.acknowledged for s, _ in samples),
    }
