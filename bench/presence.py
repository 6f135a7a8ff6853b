"""How well and how fast presence works: errors beside fixed windows and SMURF, and its cost.

What it does not say: how real readers behave. The floors are simulated (``edge.simulate.reads``);
tags are read independently from epoch to epoch, and half of those who leave a zone walk straight
into the next. Errors are counted from the first epoch on, learning included, in percent of the
epochs in which a tag was truly there: for stock, which changes place a few times a day, those first
minutes are most of all errors. Costs are of one process on one core, with nothing else of
the pipeline around them.

    python bench/presence.py [--json FILE] [--seeds 201,202,203] [--days 1000] [--quick]
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.config import PresenceSettings
from edge.ingest.presence import Presence
from edge.ingest.transitions import Kind, Transitions
from edge.simulate.reads import AWAY, Floor, Reads, generate
from tests.ingest.presence_peers import Score, fixed_window, score, smurf

RATES = (0.3, 0.45, 0.6, 0.75, 0.9)
WINDOWS = (1, 5, 10, 25)
FLOORS: dict[str, Floor] = {
    "mobile": Floor(dwell=(20, 80)),
    "static": Floor(dwell=(200, 600)),
    "shop": Floor(static_share=0.8, static_dwell=(1_000, 20_000)),
    "uneven": Floor(read_rate_spread=0.25, static_share=0.5),
    "stock": Floor(dwell=(5_000, 50_000), epochs=6_000),
}
Believed = NDArray[np.bool_]


def believe(floor: Floor, reads: Reads) -> Believed:
    """bool[epochs, tags * zones]: what presence believes as each epoch closes."""
    presence = Presence(PresenceSettings(), ["shelf"] * floor.zones)
    items = np.repeat(np.arange(floor.tags), floor.zones)
    zones = np.tile(np.arange(floor.zones), floor.tags)
    cuts = np.searchsorted(_epochs(floor, reads), np.arange(floor.epochs + 1))
    believed = np.zeros((floor.epochs, len(items)), np.bool_)
    for epoch in range(floor.epochs):
        _observe(presence, reads.between(cuts[epoch], cuts[epoch + 1]))
        presence.advance(floor.start_ms + (epoch + 1) * floor.epoch_ms)
        believed[epoch] = presence.present_in(items, zones)
    return believed


def _epochs(floor: Floor, reads: Reads) -> NDArray[np.int64]:
    return (reads.arrival_ms - floor.start_ms) // floor.epoch_ms


def _observe(presence: Presence, rows: Reads) -> Transitions:
    return presence.observe(rows.item, rows.zone, rows.arrival_ms, rows.rssi_cdbm, rows.count)


def scores(floor: Floor, seed: int) -> dict[str, Score]:
    """Every contender's errors on one scene."""
    reads, where = generate(floor, seed)
    truth = (where[:, :, None] == np.arange(floor.zones)).reshape(floor.epochs, -1)
    cells = np.zeros((floor.epochs, floor.tags, floor.zones), np.int64)
    cells[_epochs(floor, reads), reads.item, reads.zone] = reads.count
    hits = cells.reshape(floor.epochs, -1)
    found = {f"window {w}": score(fixed_window(hits > 0, w), truth) for w in WINDOWS}
    published = np.stack([smurf(column, floor.rounds) for column in hits.T], axis=1)
    found["SMURF"] = score(published, truth)
    found["ours"] = score(believe(floor, reads), truth)
    return found


def quality(seeds: Sequence[int], rates: Sequence[float]) -> list[dict[str, Any]]:
    """Print the table of errors; a row a floor, read rate and contender."""
    rows: list[dict[str, Any]] = []
    print("FN / FP in % of true epochs, x flips of belief per true change; mean over seeds", seeds)
    for name, floor in FLOORS.items():
        for rate in rates:
            scenes = [scores(replace(floor, read_rate=rate), seed) for seed in seeds]
            best = mean(min(s[f"window {w}"].error for w in WINDOWS) for s in scenes)
            cells = []
            for who in scenes[0]:
                missed = mean(s[who].missed for s in scenes)
                ghost = mean(s[who].ghost for s in scenes)
                flips = mean(s[who].flips for s in scenes)
                rows.append({"floor": name, "read_rate": rate, "who": who, "missed": missed,
                             "ghost": ghost, "flips": flips})  # fmt: skip
                cells.append(f"{who} {100 * missed:.2f}/{100 * ghost:.2f} x{flips:.1f}")
            ours = mean(s["ours"].error for s in scenes)
            verdict = f"{ours / best:.2f} of best window ({100 * best:.2f})"
            print(f"{name:7} p={rate:<4} | {' | '.join(cells)} | {verdict}", flush=True)
    return rows


def false_departures(days: float, rates: Sequence[float]) -> list[dict[str, Any]]:
    """Print false departures of tags truly there, each hidden for a tenth of its time."""
    rows: list[dict[str, Any]] = []
    epochs = 4_400
    tags_a_scene = 4_000
    habits = {"stock": (10**8, 10**8), "walkers": (60, 600)}
    for habit, dwell in habits.items():
        for rate in rates:
            seen, false, seed = 0.0, 0, 300
            while seen < days:
                floor = Floor(tags=tags_a_scene, epochs=epochs, rounds=2, dwell=dwell,
                              away_share=0.0, hidden_share=0.1, read_rate=rate)  # fmt: skip
                false += _false_departures(floor, seed)
                seen += tags_a_scene * epochs / 86_400
                seed += 1
            rows.append({"habit": habit, "read_rate": rate, "item_days": seen, "false": false})
            print(f"{habit:8} p={rate:<4} {false} false departures in {seen:,.0f} item-days "
                  f"= {1_000 * false / seen:.2f} per 1,000", flush=True)  # fmt: skip
    return rows


def _false_departures(floor: Floor, seed: int) -> int:
    reads, where = generate(floor, seed)
    presence = Presence(PresenceSettings(), ["shelf"] * floor.zones)
    false = 0
    for start in range(0, len(reads.item), 1_024):
        told = _observe(presence, reads.between(start, start + 1_024))
        left = told.kind == Kind.DEPARTED
        epoch = (told.at_ms[left] - floor.start_ms) // floor.epoch_ms - 1
        false += int((where[epoch, told.item[left]] != AWAY).sum())
    return false


def _timed(work: Callable[[], object]) -> float:
    """Microseconds."""
    start = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start) / 1e3


def cost(pairs: int, batch: int, epochs: int) -> dict[str, float]:
    """µs a read, and µs to close an epoch (median, worst), with so many pairs in view."""
    floor = Floor(tags=pairs, zones=8, epochs=epochs, read_rate=0.6, static_share=0.9,
                  static_dwell=(10_000, 20_000))  # fmt: skip
    reads, _ = generate(floor, 1)
    presence = Presence(PresenceSettings(), ["shelf"] * floor.zones)
    cuts = np.searchsorted(_epochs(floor, reads), np.arange(epochs + 1)).tolist()
    observing: list[float] = []
    closing: list[float] = []
    taken = 0
    for epoch in range(epochs):
        start, end = cuts[epoch], cuts[epoch + 1]
        for at in range(start, end, batch):
            rows = reads.between(at, min(at + batch, end))
            spent = _timed(lambda rows=rows: _observe(presence, rows))  # type: ignore[misc]
            if epoch >= 5:
                observing.append(spent)
                taken += len(rows.item)
        now_ms = floor.start_ms + (epoch + 1) * floor.epoch_ms
        spent = _timed(lambda now_ms=now_ms: presence.advance(now_ms))  # type: ignore[misc]
        if epoch >= 5:
            closing.append(spent)
    return {
        "pairs": pairs,
        "batch": batch,
        "us_a_read": sum(observing) / taken,
        "us_a_batch_worst": max(observing),
        "us_an_epoch": float(np.median(closing)),
        "us_an_epoch_p99": float(np.quantile(closing, 0.99)),
        "reads_an_epoch": (cuts[-1] - cuts[5]) / (epochs - 5),
    }


def speed(epochs: int) -> list[dict[str, float]]:
    """Print what presence costs by pairs in view."""
    rows = []
    for pairs in (500, 5_000, 50_000):
        for batch in (256, 1_024):
            row = cost(pairs, batch, epochs)
            rows.append(row)
            print(f"{pairs:6,} tags, batches of {batch:5,}: {row['us_a_read']:.2f} µs a read, "
                  f"batch at worst {row['us_a_batch_worst']:,.0f} µs; closing an epoch of "
                  f"{row['reads_an_epoch']:,.0f} reads {row['us_an_epoch']:,.0f} µs, "
                  f"p99 {row['us_an_epoch_p99']:,.0f} µs", flush=True)  # fmt: skip
    return rows


def main() -> None:
    """Print all tables; write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", help="write the tables to this file")
    parser.add_argument("--seeds", default="201,202,203", help="scenes of the table of errors")
    parser.add_argument("--days", type=float, default=1_000, help="item-days for departures")
    parser.add_argument("--quick", action="store_true", help="one seed, two rates, ten item-days")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    rates: Sequence[float] = RATES
    if options.quick:
        seeds, rates, options.days = seeds[:1], (0.3, 0.75), 10.0
    print((__doc__ or "").split("\n\n    ")[0], "\n")
    print(f"machine: {platform.machine()}, {platform.processor() or platform.platform()}\n")
    report = {
        "machine": platform.platform(),
        "speed": speed(30 if options.quick else 60),
        "quality": quality(seeds, rates),
        "departures": false_departures(options.days, rates),
    }
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
