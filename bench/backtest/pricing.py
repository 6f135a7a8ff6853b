"""Avocados by city and week: what prices explain of volumes that were not seen.

What it does not say: whether the elasticities are causal (prices here are no experiment), and whether
nothing is invented where no price moved: own prices of these cities all did, so tests show that instead.

Judged on the last fifth of the weeks: every eight weeks both models are fitted on what was known, then
told the prices of the eight weeks that follow, never the volumes. "Without price" is the same model, its
season, trend and drifting level included. The margin was stated before these weeks were looked at;
the model was shaped on weeks before them. Whether intervals are honest is asked twice: of the volumes,
and of the elasticities themselves, estimated on either half of the weeks, which must agree within their
errors.
"""

import numpy as np
from numpy.typing import NDArray

from bench.backtest.tables import avocado
from bench.harness import Context, Figure, Result, Row, result
from trainer.price_population import OWN
from trainer.price_response import Response, fit_response
from trainer.price_weeks import Weeks
from trainer.pricing import Z80, held_out

TITLE = "Avocados: answer to price"
MARGIN = 0.10
"""Stated before looking: a tenth less error of log volume than without price."""
HELD = 0.2

Floats = NDArray[np.float64]


def measure(context: Context) -> Result:
    """Held-out error with and without price, coverage, agreement of halves."""
    weeks = table(avocado.read(context.shared["data"]))
    split = round(len(weeks.day) * (1 - HELD))
    context.say("held-out weeks", 0.05)
    told, naive = held_out(weeks, split)
    context.say("halves", 0.8)
    halves = [fit_response(weeks.columns(part)) for part in
              (slice(0, split // 2), slice(split // 2, split))]  # fmt: skip
    agree, ratio = agreement(*halves)
    found = fit_response(weeks.upto(split))
    figures = [
        Figure(name=f"{name} of log volume over without price", value=told[name] / naive[name],
               goal=1 - MARGIN, unit="of it")
        for name in ("mae", "rmse")
    ]  # fmt: skip
    figures += [
        Figure(name="80 % intervals of volume cover", value=told["coverage"], goal=0.78,
               better="higher"),
        Figure(name="halves agree within 80 %", value=agree, goal=0.78, better="higher"),
        Figure(name="difference of halves over its error", value=ratio, unit="rms"),
        Figure(name="classes with own evidence", value=float((found.evidence == OWN).mean()),
               better="higher"),
    ]  # fmt: skip
    tables: dict[str, list[Row]] = {
        "Held-out weeks": [
            {"model": "with price", **told},
            {"model": "without price", **naive},
        ],
        "Populations": [
            {"category": name or "all", "classes": p.classes, "elasticity": p.mean,
             "of the mean ±": p.mean_sd, "of a new class ±": p.new_sd}
            for name, p in found.populations.items()
        ],
    }  # fmt: skip
    return result("avocado", TITLE, __doc__, figures, tables)


def table(prices: avocado.Prices) -> Weeks:
    """Columns of the table -> weeks; a week that a series lacks is not counted."""
    keys, row = np.unique(np.array(prices.series), return_inverse=True)
    days, column = np.unique(prices.day, return_inverse=True)
    units, cents = np.full((2, len(keys), len(days)), np.nan)
    units[row, column] = prices.units
    cents[row, column] = prices.price_cents
    category = [""] * len(keys)
    for i, name in zip(row.tolist(), prices.category, strict=True):
        category[i] = name
    first = days.astype(np.int64) - 6  # the table names the end of each week
    return Weeks(keys.tolist(), category, first, units, cents, np.ones_like(units))


def agreement(one: Response, other: Response) -> tuple[float, float]:
    """(share of own estimates within 80 % of each other, rms of their difference over its error)."""
    error = np.sqrt(one.own_sd**2 + other.own_sd**2)
    apart: Floats = (one.own - other.own) / error
    known = np.isfinite(apart)
    return float((np.abs(apart[known]) <= Z80).mean()), float(np.sqrt((apart[known] ** 2).mean()))
