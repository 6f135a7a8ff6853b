"""What the demand tables share: windows of a backtest, scored, with goals beside them.

Reads no table. A window is some origins of one backtest; each table has at least two, the later one
for the figures and an earlier one that must show the same picture.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.backtest.product import NAME
from bench.harness import Better, Context, Figure, Row
from trainer import backtest, report
from trainer.backtest import Backtest, Run, Summary

BANDS = ((1, 7), (8, 14), (15, 28))
SHOWN = ("pinball", "pinball_scaled", "rmsse", "wape", "bias", "coverage", "interval_score")
COVERAGE_MIN, COVERAGE_MAX = 0.78, 0.84


@dataclass(frozen=True, slots=True)
class Page:
    """A report and its summary, to be written by the command."""

    name: str
    html: str
    told: Summary


def keep(context: Context, page: Page) -> None:
    """Hand a page to whoever ran the bench."""
    context.shared.setdefault("pages", []).append(page)


def figures_row(found: Backtest, run: Run, part: backtest.Part | None = None) -> Row:
    """The figures of a table's row."""
    scores = backtest.score(found, run, part)
    return {"forecaster": run.name, **{name: scores[name] for name in SHOWN}}


def rows(found: Backtest) -> list[Row]:
    """A row a forecaster, all forecasts."""
    return [figures_row(found, run) for run in found.runs]


def part_rows(found: Backtest, names: Sequence[str], bands: Sequence[tuple[int, int]]) -> list[Row]:
    """``pinball_scaled`` and ``rmsse`` of some forecasters, a row a part that holds forecasts."""
    made: list[Row] = []
    for part in backtest.parts(found, bands):
        row: Row = {"part": part.name}
        for name in names:
            scores = backtest.score(found, found.run(name), part)
            row[f"{name} pinball"] = scores["pinball_scaled"]
            row[f"{name} rmsse"] = scores["rmsse"]
            row["forecasts"] = scores["forecasts"]
        made += [row] if row["forecasts"] else []
    return made


def time_rows(found: Backtest) -> list[Row]:
    """What each took, all origins of this backtest."""
    return [
        {"forecaster": r.name, "wall s": r.cost.wall_s, "CPU s": r.cost.cpu_s,
         "peak MB": r.cost.peak_mb}
        for r in found.runs
    ]  # fmt: skip


def versus(
    name: str, found: Backtest, judged: str, other: str, figure: str, share: float = 1.0
) -> Figure:
    """``judged``'s figure beside ``share`` of ``other``'s, the lower the better."""
    ours = backtest.score(found, found.run(judged))[figure]
    theirs = backtest.score(found, found.run(other))[figure]
    return Figure(name=name, value=ours, goal=share * theirs, unit=figure)


def coverage(name: str, found: Backtest, judged: str = NAME) -> list[Figure]:
    """Coverage of all, and of steps busier than ``backtest.BUSY_UNITS`` within both its limits."""
    run = found.run(judged)
    whole = backtest.score(found, run)["coverage"]
    busy = next(p for p in backtest.parts(found) if p.name.startswith("over"))
    inside = backtest.score(found, run, busy)["coverage"]
    made = [_share(f"{name}: coverage of 80 % intervals", whole, "higher", COVERAGE_MIN)]
    if inside == inside:
        told = f"{name}: coverage where demand exceeds {backtest.BUSY_UNITS:g} a step"
        made.append(_share(f"{told}, at least", inside, "higher", COVERAGE_MIN))
        made.append(_share(f"{told}, at most", inside, "lower", COVERAGE_MAX))
    return made


def _share(name: str, value: float, better: Better, goal: float) -> Figure:
    return Figure(name=name, value=value, better=better, goal=goal, unit="share")


def against_static(name: str, found: Backtest, judged: str = NAME) -> list[Figure]:
    """Pinball and interval score no worse than the quantiles of the same weekday or hour."""
    return [
        versus(f"{name}: {figure} against static quantiles", found, judged,
               "static_quantiles", figure)
        for figure in ("pinball", "interval_score")
    ]  # fmt: skip


def against_naive(name: str, found: Backtest, naive: Sequence[str]) -> list[Figure]:
    """Pinball and RMSSE at most 0.8 of the best seasonal naive forecast's."""
    made = []
    for figure in ("pinball", "rmsse"):
        best = min(naive, key=lambda n: backtest.score(found, found.run(n))[figure])
        made.append(
            versus(f"{name}: {figure} against 0.8 x {best}", found, NAME, best, figure, 0.8)
        )
    return made


def write_page(
    context: Context,
    name: str,
    title: str,
    found: Backtest,
    figures: Sequence[Figure],
    bands: Sequence[tuple[int, int]] = BANDS,
    notes: Sequence[str] = (),
) -> None:
    """The report of one backtest, with its goals on top."""
    told = backtest.summary(found, title, bands, notes)
    verdicts: list[report.Row] = [
        {"figure": f.name, "value": f.value,
         "goal": None if f.goal is None else f"{'≥' if f.better == 'higher' else '≤'} {f.goal:.4g}",
         "verdict": {True: "reached", False: "missed", None: ""}[f.met]}
        for f in figures
    ]  # fmt: skip
    keep(context, Page(name, report.of_backtest(found, told, NAME, verdicts=verdicts), told))


def saying(context: Context, first: float, last: float) -> Callable[[str, float], None]:
    """Progress of a step that takes the bench from share ``first`` to ``last``."""
    return lambda text, share: context.say(text, first + (last - first) * share)
