"""``python -m bench.backtest --data DIR``: forecasts against public tables, goals beside figures.

No bench lives here: this is the table of them. Each table's folder is looked for below ``--data``; a
table that is not there is left out, and said so. Results go to ``bench/results/backtest/``: JSON of
every figure, and a report in HTML with its summary.
"""

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.backtest import (
    ai4i,
    bike_sharing,
    carparts,
    city_bike_rentals,
    m4_hourly,
    machine_maintenance,
    online_retail,
    packs,
    pricing,
    reorder_points,
)
from bench.backtest.tables.files import TableMissing
from bench.backtest.windows import Page
from bench.harness import RESULTS, Bar, Bench, Context, Run, accept, machine, named, read, show
from bench.harness import write as write_run
from trainer import backtest

FOLDER = RESULTS / "backtest"
WIDTH = 170

BENCHES = (
    Bench("online_retail", online_retail.TITLE, online_retail.measure, 300),
    Bench("city_bike_rentals", city_bike_rentals.TITLE, city_bike_rentals.measure, 60),
    Bench("bike_sharing", bike_sharing.TITLE, bike_sharing.measure, 150),
    Bench("m4_hourly", m4_hourly.TITLE, m4_hourly.measure, 60),
    Bench("reorder_points", reorder_points.TITLE, reorder_points.measure, 60),
    Bench("carparts", carparts.TITLE, carparts.measure, 120),
    Bench("avocado", pricing.TITLE, pricing.measure, 20),
    Bench("packs", packs.TITLE, packs.measure, 60),
    Bench("machine_maintenance", machine_maintenance.TITLE, machine_maintenance.measure, 60),
    Bench("ai4i", ai4i.TITLE, ai4i.measure, 60),
)
"""Every table, in the order in which they run, with about how many seconds each takes."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m bench.backtest", description=__doc__)
    made.add_argument("--data", type=Path, required=True, metavar="DIR",
                      help="where the tables' folders are")  # fmt: skip
    made.add_argument("--only", metavar="TABLE", action="append", default=[],
                      choices=[bench.name for bench in BENCHES],
                      help="this table only; may be given again")  # fmt: skip
    made.add_argument("--quick", action="store_true", help="few series: a look, not a figure")
    made.add_argument("--series", type=int, default=0, metavar="N", help="this many series")
    made.add_argument("--accept", action="store_true",
                      help="later runs are compared with this one")  # fmt: skip
    made.add_argument("--results", type=Path, default=FOLDER, metavar="DIR",
                      help="where JSON and HTML are written")  # fmt: skip
    return made


def run(benches: Sequence[Bench], context: Context, console: Console, before: Run | None) -> Run:
    """Run them one after the other; show each as soon as it is done."""
    about = machine(context.directory)
    console.print(f"[bold]Machine:[/bold] {named(about)}\n", highlight=False)
    found = Run(machine=about, results={})
    try:
        with Bar(console, benches) as bar:
            context.say = bar.say
            for bench in benches:
                bar.begin(bench)
                began = time.perf_counter()
                try:
                    made = bench.measure(context)
                except TableMissing as error:
                    console.print(f"[yellow]left out[/yellow]  {bench.name}: {error}")
                    continue
                made.took_s, made.quick = time.perf_counter() - began, context.quick
                found.results[bench.name] = made
                show(console, made, before.results.get(bench.name) if before else None)
    except KeyboardInterrupt:
        console.print("[yellow]Stopped: what follows was measured until then.[/yellow]")
    return found


def write(found: Run, pages: Sequence[Page], folder: Path) -> None:
    """JSON of the figures; HTML and summary of each backtest."""
    write_run(found, folder)
    for page in pages:
        (folder / f"{page.name}.html").write_text(page.html, encoding="utf-8")
        (folder / f"{page.name}.summary.json").write_bytes(backtest.encode(page.told))


def summary(console: Console, found: Run) -> None:
    """Every figure with a goal in one count, the misses named."""
    told = [(r.name, f) for r in found.results.values() for f in r.figures if f.goal is not None]
    missed = [f"{name}: {f.name}" for name, f in told if not f.met]
    console.rule("[bold]Goals[/bold]", align="left")
    console.print(f"{len(told) - len(missed)} of {len(told)} reached.")
    for line in missed:
        console.print(f"  [bold red]MISSED[/bold red]  {line}", highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show, write; 0 also where a goal is missed, 1 where no table was found."""
    given = parser().parse_args(arguments)
    warnings.filterwarnings("ignore", module="statsforecast")
    benches = [b for b in BENCHES if not given.only or b.name in given.only]
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    accepted = given.results / "accepted.json"
    with tempfile.TemporaryDirectory(prefix="rfid3-backtest-") as directory:
        context = Context(Path(directory), quick=given.quick)
        context.shared.update(data=given.data, series=given.series)
        found = run(benches, context, console, read(accepted))
    write(found, context.shared.get("pages", []), given.results)
    summary(console, found)
    if given.accept:
        accept(found, accepted)
    console.print(f"JSON and HTML: {given.results}/", highlight=False)
    return 0 if found.results else 1


if __name__ == "__main__":
    sys.exit(main())
