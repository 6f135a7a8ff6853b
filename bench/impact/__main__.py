"""``make impact``: what a year with the proposals brings, against the same year without. Several seeds.

The seed's owner hopes for 40 % fewer stock-outs, 15 % more turns, 25 % fewer emergency repairs and 8 %
more revenue per rental; here stands what this simulated shop shows, with intervals, whatever it is.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.impact.arm import KINDS, Plan, with_proposals, without

HOPES = {
    "class days with a stock-out": -0.40,
    "turns of sold stock": 0.15,
    "emergency repairs": -0.25,
    "revenue per rental": 0.08,
}
"""Figure -> the change that the owner hopes for."""
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5 % quantile of Student's t, 1 to 9 degrees of freedom."""
RESULTS = Path(__file__).parent.parent / "results"

Figures = dict[str, float]


def interval(changes: list[float]) -> tuple[float, float, float]:
    """(mean, low, high) of paired changes, 95 %; with one seed there is no interval."""
    values = np.array(changes)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, math.nan, math.nan
    degrees = min(len(values) - 1, len(T_975))
    half = T_975[degrees - 1] * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def changes(pairs: list[tuple[Figures, Figures]]) -> dict[str, tuple[float, float, float]]:
    """Figure -> relative change with its interval; figures that were 0 without are left out."""
    made = {}
    for name in pairs[0][0]:
        told = [b[name] / a[name] - 1 for a, b in pairs if a[name]]
        if len(told) == len(pairs):
            made[name] = interval(told)
    return made


def measure(plan: Plan) -> tuple[Figures, Figures, dict[str, int]]:
    """Both arms of one seed, and how many decisions of each kind were carried out."""
    alone = without(plan).figures()
    with tempfile.TemporaryDirectory() as directory:
        helped, done = with_proposals(plan, Path(directory))
    return alone, helped.figures(), done


def table(pairs: list[tuple[Figures, Figures]]) -> str:
    """The figures side by side, means over seeds."""
    found = changes(pairs)
    lines = [f"{'a year':34}{'without':>14}{'with':>14}{'change':>10}  95 % interval     hoped for"]
    for name in pairs[0][0]:
        a, b = (float(np.mean([pair[i][name] for pair in pairs])) for i in (0, 1))
        mean, low, high = found.get(name, (math.nan,) * 3)
        hope = f"{HOPES[name]:+.0%}" if name in HOPES else ""
        span = f"{low:+8.1%} .. {high:+.1%}" if low == low else ""
        change = f"{mean:+.1%}" if mean == mean else ""
        lines.append(f"{name:34}{a:14,.2f}{b:14,.2f}{change:>10}  {span:18}{hope}")
    return "\n".join(lines)


def picture(pairs: list[tuple[Figures, Figures]], path: Path) -> None:
    """Changes with their intervals, and what was hoped for."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    found = changes(pairs)
    names = list(found)
    figure, axes = plt.subplots(figsize=(9, 0.42 * len(names) + 1.4))
    for row, name in enumerate(reversed(names)):
        mean, low, high = (100 * value for value in found[name])
        if low == low:
            axes.plot([low, high], [row, row], color="#335577", linewidth=2)
        axes.plot([mean], [row], "o", color="#335577")
        if name in HOPES:
            axes.plot([100 * HOPES[name]], [row], "|", color="#bb5533", markersize=16)
    axes.axvline(0, color="#999999", linewidth=0.8)
    axes.set_yticks(range(len(names)), list(reversed(names)))
    axes.set_xlabel(
        "change with the proposals carried out, % (dot: mean; bar: 95 %; red: hoped for)"
    )
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="make impact", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="shops (default: %(default)s)")
    parser.add_argument("--first", type=int, default=101, help="first seed (default: %(default)s)")
    parser.add_argument("--days", type=int, default=365, help="days that count")
    parser.add_argument("--warm", type=int, default=180, help="days before, watched only")
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="decisions carried out"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of impact.json and .svg")
    args = parser.parse_args()
    pairs, seeds = [], []
    for seed in range(args.first, args.first + args.seeds):
        began = time.monotonic()
        plan = Plan(seed, args.warm, args.days, tuple(args.kinds))
        alone, helped, done = measure(plan)
        pairs.append((alone, helped))
        seeds.append({"seed": seed, "without": alone, "with": helped, "decisions": done})
        print(f"shop {seed}: {done}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(table(pairs))
    args.out.mkdir(parents=True, exist_ok=True)
    told = {"days": args.days, "warm": args.warm, "kinds": args.kinds, "shops": seeds}
    (args.out / "impact.json").write_text(json.dumps(told, indent=1) + "\n")
    picture(pairs, args.out / "impact.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
