"""Drift: how often it is called where nothing moved, and how many values a shift needs to be called.

What the numbers do not say: values are drawn independently here, while a shop's days resemble each
other; a share of false alarms is told with the number of looks behind it, and 0 of 300 still allows
1 %. The delay counts looks of 100 values each, one model with one moved feature of six. PSI above
0.1 is the rule of thumb that many monitors use, on the same bins: no test, and never calibrated.
"""

import numpy as np

from bench.harness import Context, Figure, Result, Row, result
from edge.inference.drift import ALPHA, Bins, bins_of, count, look

TITLE = "Drift: false alarms and delay"
TRAINED = 5_000
SIZES = (50, 200, 1_000, 10_000, 100_000)
SHIFTS_SIGMA = (0.25, 0.5, 1.0, 2.0)
A_LOOK = 100
LOOKS_MOST = 100
PSI_LIMIT = 0.1

Chance = np.random.Generator


def _sample(chance: Chance, n: int, shift_sigma: float = 0.0) -> dict[str, np.ndarray]:
    """Six features of different kinds; the first may have moved."""
    return {
        "normal": chance.normal(shift_sigma, 1, n),
        "rare": (chance.random(n) < 0.01) * chance.exponential(size=n),
        "counts": chance.poisson(0.3, n).astype(float),
        "mostly missing": np.where(chance.random(n) < 0.98, np.nan, chance.normal(size=n)),
        "constant": np.ones(n),
        "skewed": chance.lognormal(0, 2, n),
    }


def _reference(chance: Chance) -> dict[str, Bins]:
    return {name: bins_of(values) for name, values in _sample(chance, TRAINED).items()}


def _psi(bins: Bins, values: np.ndarray) -> float:
    """Population stability index with the usual floor for empty bins."""
    live, _ = count(bins, values)
    shares = [np.maximum(c / max(c.sum(), 1), 1e-4) for c in (np.array(bins.counts), live)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def false_alarms(n: int, looks: int) -> Row:
    """Share of looks at ``n`` values that call a model moved although it has not."""
    chance = np.random.default_rng(n)
    ours = psi = 0
    for _ in range(looks):
        reference, live = _reference(chance), _sample(chance, n)
        ours += any(moved.drifted for moved in look(reference, live))
        psi += any(_psi(bins, live[name]) > PSI_LIMIT for name, bins in reference.items())
    return {"values": n, "looks": looks, "false alarms": ours / looks, "PSI > 0.1": psi / looks}


def delay(shift_sigma: float, repeats: int) -> Row:
    """Looks of 100 values until a shift is called."""
    chance, took = np.random.default_rng(7), []
    for _ in range(repeats):
        reference = _reference(chance)
        looks, called = 0, False
        while not called and looks < LOOKS_MOST:
            looks += 1
            found = look(reference, _sample(chance, A_LOOK, shift_sigma))
            called = any(moved.drifted and moved.name == "normal" for moved in found)
        took.append(looks)
    return {"shift, sigma": shift_sigma, "looks, median": float(np.median(took)),
            "looks, 90 %": float(np.percentile(took, 90)), "repeats": repeats}  # fmt: skip


def _mean(rows: list[Row], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def measure(context: Context) -> Result:
    """False alarms by sample size, delay by shift."""
    looks, repeats = context.size(300, 60, 3), context.size(50, 10, 2)
    alarms, delays = [], []
    for i, n in enumerate(SIZES[: context.size(5, 5, 2)]):
        context.say(f"nothing moved, {n:,} values", i / 8)
        alarms.append(false_alarms(n, looks))
    for i, shift in enumerate(SHIFTS_SIGMA):
        context.say(f"moved by {shift} sigma", 0.6 + i / 10)
        delays.append(delay(shift, repeats))
    figures = [
        Figure(name="false alarms, all sizes", value=_mean(alarms, "false alarms"), goal=ALPHA,
               unit="of looks"),
        Figure(name="PSI above 0.1, all sizes", value=_mean(alarms, "PSI > 0.1"), unit="of looks",
               better="neither"),
        *(Figure(name=f"{r['shift, sigma']} sigma is called after", value=r["looks, median"],
                 unit="looks of 100") for r in delays),
    ]  # fmt: skip
    return result(
        "drift", TITLE, __doc__, figures, {"false alarms": alarms, "delay": delays},
        [f"Training sample of {TRAINED:,}; six features of different kinds, corrected together."],
    )  # fmt: skip
