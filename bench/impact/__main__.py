"""``make impact``: what a year with the proposals brings, against the same year without. Several seeds.

The seed's owner hopes for 40 % fewer stock-outs, 15 % more turns, 25 % fewer emergency repairs and 8 %
more revenue per rental; here stands what this simulated shop shows, with intervals, whatever it is.
The picture and the table of ``docs/impact.md`` are made here.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.impact.arm import KINDS, Helped, Plan, with_proposals, without
from bench.impact.world import at_the_same_mix
from edge import logs
from edge.config import Log

HOPES = {
    "class days with a stock-out": -0.40,
    "turns of sold stock": 0.15,
    "emergency repairs": -0.25,
    "revenue per rental": 0.08,
}
"""Figure -> the change that the owner hopes for."""
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5 % quantile of Student's t, 1 to 9 degrees of freedom."""
SAME_MIX = "revenue per rental, classes as often as without"
RESULTS = Path(__file__).parent.parent / "results"

Figures = dict[str, float]
Pair = tuple[Figures, Figures]


class Span(NamedTuple):
    """A mean of paired differences and its interval, 95 %; with one seed there is none."""

    mean: float
    low: float
    high: float


def interval(values: list[float]) -> Span:
    """Student's interval; beyond ten seeds that of ten, which is wider."""
    found = np.array(values)
    mean = float(found.mean())
    if len(found) < 2:
        return Span(mean, math.nan, math.nan)
    degrees = min(len(found) - 1, len(T_975))
    half = T_975[degrees - 1] * float(found.std(ddof=1)) / math.sqrt(len(found))
    return Span(mean, mean - half, mean + half)


def differences(pairs: list[Pair]) -> dict[str, Span]:
    """Figure -> with less without, of the same shop."""
    return {name: interval([b[name] - a[name] for a, b in pairs]) for name in pairs[0][0]}


def changes(pairs: list[Pair]) -> dict[str, Span]:
    """Figure -> relative change; figures that were 0 without are left out."""
    made = {}
    for name in pairs[0][0]:
        told = [b[name] / a[name] - 1 for a, b in pairs if a[name]]
        if len(told) == len(pairs):
            made[name] = interval(told)
    return made


def measure(plan: Plan) -> tuple[Figures, Figures, Helped]:
    """Both arms of one seed: without, with, and what was done."""
    alone = without(plan)
    with tempfile.TemporaryDirectory() as directory:
        helped = with_proposals(plan, Path(directory))
    told = [
        money.figures() | {SAME_MIX: at_the_same_mix(money, alone)}
        for money in (alone, helped.money)
    ]
    return told[0], told[1], helped


def table(pairs: list[Pair]) -> str:
    """The figures side by side, means over seeds; Markdown."""
    found, away = changes(pairs), differences(pairs)
    lines = [
        "| a year | without | with | difference | change | hoped for |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in pairs[0][0]:
        a, b = (float(np.mean([pair[i][name] for pair in pairs])) for i in (0, 1))
        hope = f"{HOPES[name]:+.0%}" if name in HOPES else ""
        change = _words(found[name], "+.1%") if name in found else ""
        cells = (name, f"{a:,.2f}", f"{b:,.2f}", _words(away[name], "+,.2f"), change, hope)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines).replace(" |  |", " | |")


def _words(span: Span, form: str) -> str:
    if math.isnan(span.low):
        return f"{span.mean:{form}}"
    return f"{span.mean:{form}} ({span.low:{form}} to {span.high:{form}})"


def picture(pairs: list[Pair], path: Path) -> None:
    """Changes of every shop, their means with intervals, and what was hoped for."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "rfid3"  # the same figures, the same file
    import matplotlib.pyplot as plt

    found = changes(pairs)
    names = list(found)
    figure, axes = plt.subplots(figsize=(9, 0.42 * len(names) + 1.4))
    for row, name in enumerate(reversed(names)):
        mean, low, high = (100 * value for value in found[name])
        if low == low:
            axes.plot([low, high], [row, row], color="#335577", linewidth=2)
        each = [100 * (b[name] / a[name] - 1) for a, b in pairs]
        axes.plot(each, [row] * len(each), ".", color="#88aacc", markersize=5)
        axes.plot([mean], [row], "o", color="#335577")
        if name in HOPES:
            axes.plot([100 * HOPES[name]], [row], "|", color="#bb5533", markersize=16)
    axes.axvline(0, color="#999999", linewidth=0.8)
    axes.set_yticks(range(len(names)), list(reversed(names)))
    axes.set_xlabel(
        "change with the proposals carried out, %\n"
        "(small dots: shops; large dot: mean; bar: 95 %; red: hoped for)"
    )
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="make impact", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="shops (default: %(default)s)")
    parser.add_argument("--first", type=int, default=101, help="first seed (default: %(default)s)")
    parser.add_argument("--days", type=int, default=365, help="days that count")
    parser.add_argument(
        "--warm",
        type=int,
        default=Plan.warm_days,
        help="days before, watched only (default: %(default)s)",
    )
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="decisions carried out"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of impact.json and .svg")
    args = parser.parse_args()
    logs.configure(Log(level="error", format="text"))
    pairs: list[Pair] = []
    shops = []
    for seed in range(args.first, args.first + args.seeds):
        began, cpu_s = time.monotonic(), time.process_time()
        plan = Plan(seed, args.warm, args.days, tuple(args.kinds))
        alone, figures, helped = measure(plan)
        pairs.append((alone, figures))
        shops.append(
            {
                "seed": seed,
                "without": alone,
                "with": figures,
                "decisions": helped.done,
                "trained": helped.trained,
            }
        )
        print(
            f"shop {seed}: {helped.done}, own models of {', '.join(helped.trained) or 'nothing'}; "
            f"{time.monotonic() - began:.0f} s, {time.process_time() - cpu_s:.0f} s of processor",
            file=sys.stderr,
            flush=True,
        )
        _keep(args, pairs, shops)
    print(table(pairs))
    picture(pairs, args.out / "impact.svg")
    return 0


def _keep(args: argparse.Namespace, pairs: list[Pair], shops: list[dict[str, object]]) -> None:
    """After every shop, so that an interrupted run has told what it found."""
    args.out.mkdir(parents=True, exist_ok=True)
    told = {
        "days": args.days,
        "warm": args.warm,
        "kinds": args.kinds,
        "shops": shops,
        "differences": {name: span._asdict() for name, span in differences(pairs).items()},
        "changes": {name: span._asdict() for name, span in changes(pairs).items()},
    }
    (args.out / "impact.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
