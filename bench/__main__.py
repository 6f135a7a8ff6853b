"""``python -m bench``: every figure in one run on one machine, as tables and as JSON.

No bench lives here: this is the table of them, and the order. Ctrl-C ends a run; what was measured
until then is shown and written.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import structlog
from rich.console import Console

from bench import (
    api_every,
    api_load,
    bytewax_peer,
    core_rate,
    decode,
    disk_bytes,
    drain,
    drift,
    fsync_table,
    items_scaling,
    latency,
    memory,
    mysql_clients,
    presence,
    restart,
    scoring,
    shops,
    stall,
    swaps,
    train_time,
)
from bench import journal as journal_bench
from bench.harness import (
    ACCEPTED,
    RESULTS,
    Bar,
    Bench,
    Context,
    Figure,
    Result,
    Row,
    Run,
    accept,
    machine,
    named,
    read,
    result,
    show,
    write,
)
from edge.errors import Rfid3Error

WIDTH = 150
"""Columns of a table that goes into a file."""


def measure_decode(context: Context) -> Result:
    """µs an event by format (``bench/decode.py``)."""
    found = decode.measure(context.seconds(0.4, 0.1, 0.01))
    rows = [{"format": name, "µs an event": micros} for name, micros in found.items()]
    figures = [
        Figure(name=name, value=found[name], unit="µs/event") for name in ("zebra", "impinj")
    ]
    return result("decode", "Bytes to events by format", decode.__doc__, figures, {"": rows})


def measure_journal(context: Context) -> Result:
    """Bytes and time of a commit by its size (``bench/journal.py``)."""
    room, commits = context.room("journal") / "journal", context.size(1_000, 300, 100)
    if context.tiny:
        rows = [journal_bench.commits(room, 20, 100)]
    else:
        rows = journal_bench.sizes(room, commits)
    figures = [
        Figure(name=f"{row['messages']} messages a commit", value=float(row["write_bytes"]),
               unit="bytes/message")
        for row in rows
    ]  # fmt: skip
    return result("journal", "A commit by its size", journal_bench.__doc__, figures, {"": rows})


def measure_presence(context: Context) -> Result:
    """What presence costs by the pairs in view (``bench/presence.py``)."""
    sizes, epochs = ((500, 5_000, 50_000) if not context.tiny else (200,)), context.size(30, 12, 8)
    rows: list[Row] = [{**presence.cost(pairs, 256, epochs)} for pairs in sizes]
    figures = [
        Figure(name=f"a read, {row['pairs']:,} tags in view", value=row["us_a_read"], unit="µs")
        for row in rows
    ]
    return result("presence", "Cost of presence", presence.__doc__, figures, {"": rows})


BENCHES = (
    Bench("drain", drain.TITLE, drain.measure, 90),
    Bench("core_rate", core_rate.TITLE, core_rate.measure, 50),
    Bench("bytewax_peer", bytewax_peer.TITLE, bytewax_peer.measure, 110),
    Bench("items_scaling", items_scaling.TITLE, items_scaling.measure, 60),
    Bench("latency", latency.TITLE, latency.measure, 40),
    Bench("api", api_load.TITLE, api_load.measure, 40),
    Bench("api_every", api_every.TITLE, api_every.measure, 220),
    Bench("stall", stall.TITLE, stall.measure, 40),
    Bench("memory", memory.TITLE, memory.measure, 60),
    Bench("restart", restart.TITLE, restart.measure, 40),
    Bench("disk_bytes", disk_bytes.TITLE, disk_bytes.measure, 120),
    Bench("fsync_table", fsync_table.TITLE, fsync_table.measure, 120),
    Bench("drift", drift.TITLE, drift.measure, 60),
    Bench("scoring", scoring.TITLE, scoring.measure, 15),
    Bench("swaps", swaps.TITLE, swaps.measure, 90),
    Bench("train_time", train_time.TITLE, train_time.measure, 600),
    Bench("decode", "Bytes to events by format", measure_decode, 10),
    Bench("presence", "Cost of presence", measure_presence, 20),
    Bench("mysql_clients", mysql_clients.TITLE, mysql_clients.measure, 30),
    Bench("journal", "A commit by its size", measure_journal, 20),
)
"""Every bench, in the order in which they run, with about how many seconds each takes."""


def chosen(names: Sequence[str]) -> list[Bench]:
    """The benches of these names; all without any. Raises KeyError for an unknown name."""
    by_name = {bench.name: bench for bench in BENCHES}
    return [by_name[name] for name in names] if names else list(BENCHES)


def run(benches: Sequence[Bench], context: Context, console: Console) -> Run:
    """Run them one after the other; show each as soon as it is done."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    about = machine(context.directory)
    console.print(f"[bold]Machine:[/bold] {named(about)}\n", highlight=False)
    accepted = read(ACCEPTED)
    if accepted is not None and accepted.machine["processor"] != about["processor"]:
        console.print(f"The accepted run was on another machine: {named(accepted.machine)}\n")
    before = accepted.results if accepted else {}
    found = Run(machine=about, results={})
    try:
        with Bar(console, benches) as bar:
            context.say = bar.say
            for bench in benches:
                bar.begin(bench)
                began = time.perf_counter()
                try:
                    made = bench.measure(context)
                except Rfid3Error as error:
                    console.print(f"[bold red]FAILED[/bold red]  {bench.name}: {error}")
                    continue
                made.took_s, made.quick = time.perf_counter() - began, context.quick
                found.results[bench.name] = made
                show(console, made, before.get(bench.name))
    except KeyboardInterrupt:
        console.print("[yellow]Stopped: what follows was measured until then.[/yellow]")
    finally:
        shops.close(context)
    return found


def summary(console: Console, found: Run) -> None:
    """Every figure with a goal in one place, the misses last and named."""
    told = [(r.name, f) for r in found.results.values() for f in r.figures if f.goal is not None]
    missed = [f"{name}: {figure.name}" for name, figure in told if not figure.met]
    console.rule("[bold]Goals[/bold]", align="left")
    console.print(f"{len(told) - len(missed)} of {len(told)} reached.")
    for line in missed:
        console.print(f"  [bold red]MISSED[/bold red]  {line}", highlight=False)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the product on this machine; docs/benchmarks.md says how to read it.",
        epilog="benches: " + ", ".join(bench.name for bench in BENCHES),
    )
    made.add_argument("--only", metavar="NAME", action="append", default=[],
                      choices=[bench.name for bench in BENCHES],
                      help="this bench only; may be given again")  # fmt: skip
    made.add_argument("--quick", action="store_true", help="small sizes: a look, not a figure")
    made.add_argument("--accept", action="store_true",
                      help="later runs are compared with this one")  # fmt: skip
    made.add_argument("--directory", type=Path, metavar="DIR",
                      help="where to write while measuring: on the disk that counts")  # fmt: skip
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show, write; 0 also where a goal is missed (a figure is no test), 1 where a bench failed."""
    given = parser().parse_args(arguments)
    benches = chosen(given.only)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    with tempfile.TemporaryDirectory(prefix="rfid3-bench-", dir=given.directory) as directory:
        context = Context(Path(directory), quick=given.quick)
        found = run(benches, context, console)
    write(found)
    summary(console, found)
    if given.accept:
        accept(found)
        console.print(f"Accepted: written to {ACCEPTED.relative_to(RESULTS.parent.parent)}")
    console.print(f"JSON: {RESULTS.relative_to(RESULTS.parent.parent)}/")
    return 0 if len(found.results) == len(benches) else 1


if __name__ == "__main__":
    sys.exit(main())
