"""How the trainer's commands show what they do: bars on a terminal, tables, figures. Not a command."""

import sys
from collections.abc import Mapping, Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from edge.inference.registry import METRICS
from trainer.orders import Fit

WORDS = {
    "fitted": "trained",
    "too_little": "too little data",
    "refused": "refused",
    "absent": "not in this version",
    "over_memory": "over its memory",
    "over_time": "over its time",
    "failed": "failed",
}


class Bar:
    """A progress bar on a terminal; silent elsewhere. Use as a context."""

    def __init__(self, text: str) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<48}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task(text, total=1.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def to(self, done: float, total: float, text: str | None = None) -> None:
        """So much of so much is done."""
        told = {} if text is None else {"description": text[:48]}
        self._progress.update(self._task, completed=done, total=total or 1.0, **told)  # type: ignore[arg-type]


def figure(
    metrics: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]
) -> tuple[str, str]:
    """(the metric that models are compared by, the same of the simple rules) in words."""
    for name, _ in METRICS:
        if name in metrics:
            beside = [
                f"{rule} {told[name]:.4g}" for rule, told in baselines.items() if name in told
            ]
            return f"{name} {metrics[name]:.4g}", ", ".join(beside)
    return "", ""


def fits(made: Sequence[Fit]) -> None:
    """A table of what became of each service."""
    table = Table("service", "what became", "held-out days", "simple rules", "s", "MB")
    for column in table.columns[4:]:
        column.justify = "right"
    for fit in made:
        ours, rules = figure(fit.metrics, fit.baselines)
        table.add_row(
            fit.service, WORDS[fit.became], ours, rules, f"{fit.seconds:.0f}", f"{fit.peak_mb:.0f}"
        )
    console = _console()
    console.print(table)
    for fit in made:
        if fit.detail:
            console.print(f"{fit.service}: {fit.detail}", highlight=False, markup=False)
        if fit.path:
            console.print(f"{fit.service}: {fit.path}", highlight=False, markup=False)


def lines(told: Sequence[str]) -> None:
    """One after the other."""
    for line in told:
        _console().print(line, highlight=False, markup=False)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 140, soft_wrap=True)
