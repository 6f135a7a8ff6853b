"""``python -m tests.torture --kills N --seed S``: as many kills as you like, with a progress line."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.torture.daemon import MISTAKES
from tests.torture.judge import Verdict
from tests.torture.run import Report, Settings, torture


def main() -> int:
    """0: nothing was lost, doubled or different; 1: something was."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often (200)")
    parser.add_argument("--seed", type=int, default=1, help="chooses when and how (1)")
    parser.add_argument("--rate", type=int, default=1_500, help="messages a second (1,500)")
    parser.add_argument(
        "--mistake", choices=sorted(MISTAKES), default="", help="be wrong on purpose"
    )
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep journal, snapshots and logs")
    told = parser.parse_args()
    directory = told.keep or Path(tempfile.mkdtemp(prefix="rfid3-torture-"))
    again = f"make torture KILLS={told.kills} SEED={told.seed}"
    console = Console(stderr=True)
    console.print(f"seed {told.seed}; the same again: {again}")
    began = time.monotonic()
    try:
        report = _watched(console, told, directory)
    except Verdict as verdict:
        console.print(f"[red]Found:[/] {verdict}", markup=True, highlight=False)
        console.print(f"Kept in {directory}. The same again: {again}")
        return 1
    if told.keep is None:
        shutil.rmtree(directory)
    print(
        f"{report.kills} kills, {report.terms} clean stops, {report.cuts} cut connections,"
        f" {report.messages} messages, {report.batches} commits in"
        f" {time.monotonic() - began:.0f} s: nothing lost, nothing twice, every state the same"
    )
    print("died at: " + ", ".join(f"{how} {n}" for how, n in report.deaths.most_common()))
    return 0


def _watched(console: Console, told: argparse.Namespace, directory: Path) -> Report:
    columns = (
        TextColumn("kills"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=told.kills)

        def show(report: Report) -> None:
            text = f"{report.messages:,} messages, last: {report.last}"
            progress.update(task, completed=min(report.kills, told.kills), description=text)

        return torture(
            Settings(
                directory=directory.resolve(),
                kills=told.kills,
                seed=told.seed,
                rate=told.rate,
                mistake=told.mistake,
                progress=show,
            )
        )


if __name__ == "__main__":
    sys.exit(main())
