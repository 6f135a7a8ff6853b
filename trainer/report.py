"""What a backtest found as one HTML file with plots inside. Computes no figure, reads no file.

The page needs nothing from elsewhere: style and plots (SVG) stand in it, there is no script. Every
plot says in words what it shows, and tables hold what can be read from it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import StringIO
from itertools import count

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from trainer.backtest import Backtest, Summary, by_series
from trainer.metrics import KINDS, quantile_calibration

Cell = str | float | int | None
Row = Mapping[str, Cell]

COLOURS = ("#0b6e99", "#c44536", "#5b8c2a", "#8a4fbf", "#b8860b", "#444444", "#e377c2", "#17807e")
"""Told apart on white also without red or green; markers differ as well."""
MARKERS = "osD^vPX*"
INCHES = (5.4, 3.3)
FORECASTERS_MAX = len(COLOURS)
BINS_MAX = 40
STYLE = """
:root{color-scheme:light dark;--ink:#1b1b1b;--dim:#555;--paper:#fff;--line:#ccc}
@media(prefers-color-scheme:dark){:root{--ink:#eee;--dim:#b5b5b5;--paper:#161616;--line:#444}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.2rem;margin-top:2.2rem}
p{max-width:46rem}.dim,figcaption{color:var(--dim);font-size:.9rem}
.plots{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr))}
figure{margin:0}figure svg{width:100%;height:auto;background:#fff;border:1px solid var(--line)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--dim);padding:.3rem 0}
summary{cursor:pointer;padding:.3rem 0}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:normal}
.reached::before{content:"✓ "}.missed{font-weight:bold}.missed::before{content:"✗ "}
"""


@dataclass(frozen=True, slots=True)
class Plot:
    """One drawing: ``svg`` markup and what it says, in words."""

    svg: str
    says: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the same keys; the first key names the row."""

    caption: str
    rows: Sequence[Row]
    folded: bool = False
    """Whether only the caption shows until it is opened."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page, in this order: text, plots, tables."""

    title: str
    text: str = ""
    plots: Sequence[Plot] = field(default_factory=tuple)
    tables: Sequence[Table] = field(default_factory=tuple)


# -- the page ---------------------------------------------------------------------------------------


def page(title: str, sections: Sequence[Section], about: str = "") -> str:
    """The whole file. ``about`` is one paragraph under the title."""
    number = count()
    body = "\n".join(_section(section, number) for section in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(about)}</p>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _section(section: Section, number: "count[int]") -> str:
    name = f"s{next(number)}"
    plots = "\n".join(_plot(plot, next(number)) for plot in section.plots)
    return "\n".join(
        [
            f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(section.title)}</h2>',
            f"<p>{escape(section.text)}</p>" if section.text else "",
            f'<div class="plots">\n{plots}\n</div>' if plots else "",
            *(_table(table) for table in section.tables),
            "</section>",
        ]
    )


def _plot(plot: Plot, number: int) -> str:
    """A figure; names inside the SVG are made unique, as several stand on one page."""
    prefix = f"g{number}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', plot.svg)
    svg = svg.replace('href="#', f'href="#{prefix}').replace("url(#", f"url(#{prefix}")
    label = escape(plot.says, quote=True)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return f"<figure>{svg}<figcaption>{escape(plot.says)}</figcaption></figure>"


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    names = list(dict.fromkeys(name for row in table.rows for name in row))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    lines = []
    for row in table.rows:
        first, *rest = (cell(row.get(name)) for name in names)
        marks = [_mark(value) for value in rest]
        lines.append(
            f'<tr><th scope="row">{escape(first)}</th>'
            + "".join(f"<td{m}>{escape(v)}</td>" for m, v in zip(marks, rest, strict=True))
            + "</tr>"
        )
    caption = escape(table.caption)
    whole = (
        f'<div class="wide" tabindex="0" role="region" aria-label="{caption}"><table>'
        f"<caption>{'' if table.folded else caption}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )
    return f"<details><summary>{caption}</summary>{whole}</details>" if table.folded else whole


def _mark(text: str) -> str:
    return f' class="{text}"' if text in ("reached", "missed") else ""


def cell(value: Cell) -> str:
    """A value as a table shows it.

    >>> [cell(v) for v in ("a", None, float("nan"), 3, 0.12341, 1234.5)]
    ['a', '–', '–', '3', '0.1234', '1,234']
    """
    if value is None or value != value:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


# -- drawing ----------------------------------------------------------------------------------------


def draw(paint: Callable[[Axes], None], says: str, inches: tuple[float, float] = INCHES) -> Plot:
    """A plot: ``paint`` draws on the axes; the same input gives the same bytes."""
    with mpl.rc_context(
        {
            "svg.fonttype": "none",  # text stays text: to be found, enlarged, read aloud
            "svg.hashsalt": "rfid3",
            "font.family": "sans-serif",
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    ):
        figure = Figure(figsize=inches, layout="constrained")
        axes = figure.add_subplot()
        paint(axes)
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return Plot(_bare(out.getvalue()), says)


def _bare(svg: str) -> str:
    """The ``svg`` element alone: no prolog, no metadata with addresses."""
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s(width|height)="[\d.]+pt"', "", svg, count=2)
    return re.sub(r"\n\s*", "\n", svg)


def lines(
    title: str,
    series: Mapping[str, Sequence[float | None]],
    across: str,
    up: str,
    says: str,
    x: Sequence[float] | None = None,
) -> Plot:
    """One line a name, in the order given."""

    def paint(axes: Axes) -> None:
        for i, (name, values) in enumerate(series.items()):
            y = np.array([np.nan if v is None else v for v in values], dtype=float)
            at = np.arange(1, len(y) + 1) if x is None else np.asarray(x)
            axes.plot(at, y, color=COLOURS[i % FORECASTERS_MAX], label=name, linewidth=1.6,
                      marker=MARKERS[i % len(MARKERS)] if len(y) <= BINS_MAX else None,
                      markersize=3)  # fmt: skip
        axes.set(title=title, xlabel=across, ylabel=up)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=8)

    return draw(paint, says)


def bars(title: str, values: Mapping[str, float], up: str, says: str) -> Plot:
    """Horizontal bars, the first on top."""

    def paint(axes: Axes) -> None:
        names = list(values)[::-1]
        axes.barh(names, [values[name] for name in names], color=COLOURS[0])
        axes.set(title=title, xlabel=up)

    return draw(paint, says, (INCHES[0], max(INCHES[1], 0.26 * len(values) + 1.2)))


def calibration(
    title: str, curves: Mapping[str, Sequence[tuple[float, float, int]]], says: str
) -> Plot:
    """Foretold share across, observed share up; on the dashed line both agree."""

    def paint(axes: Axes) -> None:
        top = 0.0
        for i, (name, points) in enumerate(curves.items()):
            x, y = [p for p, _, _ in points], [o for _, o, _ in points]
            top = max([top, *x, *y])
            axes.plot(x, y, color=COLOURS[i % FORECASTERS_MAX], marker=MARKERS[i % len(MARKERS)],
                      label=name, linewidth=1.2, markersize=4)  # fmt: skip
        axes.plot([0, top], [0, top], color="#777", linestyle="--", linewidth=1)
        axes.set(title=title, xlabel="foretold", ylabel="observed")
        axes.legend(frameon=False, fontsize=8)

    return draw(paint, says)


def versions(
    title: str, points: Sequence[tuple[str, float]], baseline: float | None, up: str
) -> Plot:
    """A figure of each version of a model, oldest first; the dashed line is the naive answer's."""

    def paint(axes: Axes) -> None:
        names, values = [p[0] for p in points], [p[1] for p in points]
        axes.plot(range(len(points)), values, color=COLOURS[0], marker="o")
        if baseline is not None:
            axes.axhline(baseline, color="#777", linestyle="--", linewidth=1)
        axes.set_xticks(range(len(points)), names, rotation=30, ha="right", fontsize=8)
        axes.set(title=title, ylabel=up)

    told = ", ".join(f"{name}: {cell(value)}" for name, value in points)
    beside = f" Naive answer: {cell(baseline)}." if baseline is not None else ""
    return draw(paint, f"{up} by version: {told}.{beside}")


def forecast(
    title: str,
    before: NDArray[np.floating],
    actual: NDArray[np.floating],
    mean: NDArray[np.floating],
    low: NDArray[np.floating],
    high: NDArray[np.floating],
) -> Plot:
    """History float[b], then what came and what was foretold, each float[h], with its interval."""

    def paint(axes: Axes) -> None:
        past, ahead = np.arange(-len(before) + 1, 1), np.arange(1, len(actual) + 1)
        axes.plot(past, before, color="#999", linewidth=1, label="before")
        axes.fill_between(ahead, low, high, color=COLOURS[0], alpha=0.2, linewidth=0,
                          label="interval")  # fmt: skip
        axes.plot(ahead, mean, color=COLOURS[0], linewidth=1.6, label="forecast")
        axes.plot(ahead, actual, color=COLOURS[1], linewidth=1, marker=".", markersize=4,
                  label="actual")  # fmt: skip
        axes.set(title=title, xlabel="steps from the origin")
        axes.legend(frameon=False, fontsize=8, ncols=2)

    inside = float(np.nanmean((actual >= low) & (actual <= high)))
    says = (
        f"{title}: {cell(float(np.nanmean(mean)))} a step foretold, "
        f"{cell(float(np.nanmean(actual)))} came; {inside:.0%} of steps inside the interval."
    )
    return draw(paint, says)


# -- a backtest -------------------------------------------------------------------------------------

FIGURES = ("pinball", "pinball_scaled", "rmsse", "mase", "wape", "smape", "bias", "coverage",
           "interval_score", "width")  # fmt: skip


def of_backtest(
    backtest: Backtest,
    told: Summary,
    chosen: str,
    examples: int = 6,
    verdicts: Sequence[Row] = (),
    importances: Mapping[str, float] | None = None,
    history: Sequence[tuple[str, float]] = (),
) -> str:
    """The page of one backtest; ``chosen`` is the forecaster whose forecasts are drawn.

    ``verdicts``: a row a figure with a goal; ``importances``: feature -> share; ``history``:
    (version, pinball) of the versions of the model so far, oldest first. Raises KeyError where
    ``chosen`` did not run.
    """
    sections = [
        _verdict_section(verdicts),
        _figure_section(told),
        _examples_section(backtest, chosen, examples),
        _horizon_section(told),
        _calibration_section(backtest),
        _importance_section(importances or {}),
        _versions_section(history, told),
        Section("Notes", " ".join(told.notes)),
    ]
    kept = [s for s in sections if s.text or s.plots or s.tables]
    about = (
        f"{told.series:,} series of {told.measure}, {told.columns:,} steps, "
        f"{len(told.origins)} origins, {told.horizon} steps ahead"
        f"{', outside influences known ahead' if told.known_ahead else ''}. "
        "Each forecaster saw only what was known at the origin."
    )
    return page(told.title, kept, about)


def _verdict_section(verdicts: Sequence[Row]) -> Section:
    return Section("Goals", tables=[Table("Figures beside their goals", verdicts)] if verdicts
                   else [])  # fmt: skip


def _figure_section(told: Summary) -> Section:
    tables = []
    for part in dict.fromkeys(s.part for s in told.scores):
        rows: list[Row] = [
            {"forecaster": s.forecaster, **{f: s.figures.get(f) for f in FIGURES}}
            for s in told.scores
            if s.part == part and s.figures.get("forecasts")
        ]
        tables.append(Table(f"Part: {part}", rows, folded=part != "all"))
    times: list[Row] = [
        {"forecaster": t.forecaster, "fit s": round(t.fit_s, 2),
         "forecast s": round(t.forecast_s, 2), "CPU s": round(t.cpu_s, 2),
         "peak MB": round(t.peak_mb)}
        for t in told.times
    ]  # fmt: skip
    return Section(
        "Figures",
        "Lower is better but for coverage, which should be near the interval's share; bias is "
        "forecast less actual.",
        tables=[*tables, Table("Time and memory, all origins", times)],
    )


def _examples_section(backtest: Backtest, chosen: str, examples: int) -> Section:
    """Series spread evenly from the best to the worst forecast, the newest origin."""
    run = backtest.run(chosen)
    last, known = len(backtest.plan.origins) - 1, backtest.plan.origins[-1]
    losses = np.where(
        np.isnan(backtest.truth.actual[last]).all(axis=1),
        np.nan,
        by_series(backtest, run) / np.maximum(backtest.truth.step_scale[last], 1e-9),
    )
    order = [int(i) for i in np.argsort(losses) if not np.isnan(losses[i])]
    spread = np.linspace(0, len(order) - 1, examples).round() if order else np.zeros(0)
    at = np.unique(spread).astype(int).tolist()
    y = backtest.panel.measures[backtest.measure]
    shown = 3 * backtest.plan.horizon
    plots = [
        forecast(
            f"{backtest.panel.keys[i]} ({KINDS[int(backtest.truth.kinds[i])]})",
            y[i, max(known - shown, 0) : known],
            backtest.truth.actual[last, i],
            run.mean[last, i],
            run.quantiles[last, i, :, 0],
            run.quantiles[last, i, :, -1],
        )
        for i in (order[j] for j in at)
    ]
    return Section(
        "Forecast against actual",
        f"{chosen}, from the newest origin; series from the best forecast to the worst.",
        plots,
    )


def _horizon_section(told: Summary) -> Section:
    names = list(told.steps)[:FORECASTERS_MAX]
    plots = []
    for figure in ("pinball", "mae"):
        found = {name: told.steps[name][figure] for name in names}
        says = f"Mean {figure} by step: " + _from_to(found)
        plots.append(lines(f"{figure} by step ahead", found, "steps ahead", figure, says))
    return Section("Error by horizon", plots=plots)


def _from_to(found: Mapping[str, Sequence[float | None]]) -> str:
    return "; ".join(f"{n} {cell(v[0])} at the first, {cell(v[-1])} at the last"
                     for n, v in found.items()) + "."  # fmt: skip


def _calibration_section(backtest: Backtest) -> Section:
    levels = backtest.plan.levels
    curves = {
        run.name: quantile_calibration(backtest.truth.actual, run.quantiles, levels)
        for run in backtest.runs[:FORECASTERS_MAX]
    }
    says = "; ".join(
        f"{name}: " + ", ".join(f"{o:.0%} below the {p:g} quantile" for p, o, _ in points)
        for name, points in curves.items()
    )
    inside = {
        run.name: [
            None if np.isnan(v) else float(v)
            for v in _step_coverage(backtest.truth.actual, run.quantiles)
        ]
        for run in backtest.runs[:FORECASTERS_MAX]
    }
    return Section(
        "Calibration and coverage",
        "Demand in whole units lies on a quantile often, so that observed shares may be above the "
        "foretold ones where demand is rare.",
        [
            calibration("Quantiles", curves, says + "."),
            lines("Coverage by step ahead", inside, "steps ahead", "share inside",
                  "Share inside the interval: " + _from_to(inside)),
        ],
    )  # fmt: skip


def _step_coverage(
    actual: NDArray[np.floating], quantiles: NDArray[np.floating]
) -> NDArray[np.float64]:
    inside = (actual >= quantiles[..., 0]) & (actual <= quantiles[..., -1])
    known = ~np.isnan(actual)
    count_ = known.sum(axis=(0, 1))
    return np.where(count_ > 0, (inside & known).sum(axis=(0, 1)) / np.maximum(count_, 1), np.nan)


def _importance_section(importances: Mapping[str, float]) -> Section:
    if not importances:
        return Section("Importances")
    top = dict(sorted(importances.items(), key=lambda pair: -pair[1])[:20])
    says = "Share of what counts: " + ", ".join(f"{n} {v:.0%}" for n, v in top.items()) + "."
    return Section("Importances", plots=[bars("Importances", top, "share", says)])


def _versions_section(history: Sequence[tuple[str, float]], told: Summary) -> Section:
    if not history:
        return Section("Learning over versions")
    try:
        naive = told.figure("seasonal_naive", "pinball")
    except KeyError:
        naive = None
    return Section("Learning over versions",
                   plots=[versions("Pinball by version", history, naive, "pinball")])  # fmt: skip
