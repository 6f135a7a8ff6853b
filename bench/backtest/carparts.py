"""Spare parts, most months without any: pinball and what stock costs, beside zero, SES and Croston.

What it does not say: anything about parts given up (a part counts while the table knows it). Judged
by quantiles, as a point forecast of 0 has the least absolute error here. Stock is run for ten months
by the same rule for everybody (``bench/backtest/stock.py``): lead time 2 months, monthly review,
1 a unit held and 9 a unit backordered each month, order-up-to the 0.9 quantile of three months.
"""

from typing import Any

import numpy as np

from bench.backtest import peers, stock, windows
from bench.backtest.product import NAME, Product
from bench.backtest.tables import carparts
from bench.harness import Context, Figure, Result, Row, result
from trainer import backtest
from trainer.backtest import Backtest, Forecaster, Plan
from trainer.backtest_baselines import AllZero, HistoricalAverage

TITLE = "Spare parts by month"
MONTHS = 12
AHEAD = stock.LEAD_STEPS + 1
RIVALS = ("CrostonOptimized", "SimpleExponentialSmoothingOptimized")
STATIC = HistoricalAverage("static_quantiles")


def measure(context: Context) -> Result:
    """Pinball of the last 12 months from one origin and of the 12 before; stock over ten months."""
    panel = carparts.read(context.shared["data"])
    count = context.shared.get("series") or context.size(len(panel.keys), 300, 6)
    panel = panel.rows(np.unique(np.linspace(0, len(panel.keys) - 1, count).astype(np.int64)))
    names = RIVALS if peers.available() else ()
    if names:
        peers.warm_up(names)
    others: list[Forecaster] = [AllZero(), STATIC, *(peers.Peer(name) for name in names)]
    d, figures, tables = len(panel.days), [], {}
    plan = Plan((d - 2 * MONTHS, d - MONTHS), MONTHS)
    found = backtest.run(panel, "units", plan, [*others, Product(horizon=MONTHS)],
                         windows.saying(context, 0.0, 0.4))  # fmt: skip
    rivals = ["all_zero", *names]
    for i, name in ((1, "last 12 months"), (0, "12 months before")):
        window = backtest.at_origins(found, [i])
        tables[name] = windows.rows(window)
        figures += [
            windows.versus(f"{name}: pinball against {other}", window, NAME, other, "pinball")
            for other in rivals
        ]
        figures += windows.coverage(name, window) + windows.against_static(name, window)
    at = tuple(range(d - MONTHS, d - AHEAD + 1))[:: context.size(1, 1, 5)]
    monthly = backtest.run(panel, "units", Plan(at, AHEAD, stock.LEVELS),
                           [*others, Product(horizon=MONTHS)],
                           windows.saying(context, 0.4, 1.0))  # fmt: skip
    costs = stock_rows(monthly)
    tables["Stock, units a part and month"] = costs
    tables["Time, stock's origins"] = windows.time_rows(monthly)
    by_name: dict[str, Any] = {row["forecaster"]: row["cost"] for row in costs}
    figures += [
        Figure(name=f"stock cost against {other}", value=by_name[NAME], goal=by_name[other],
               unit="a part and month")
        for other in [*rivals, STATIC.name]
    ]  # fmt: skip
    notes = [] if names else [peers.MISSING]
    last = backtest.at_origins(found, [1])
    windows.write_page(context, "carparts", TITLE, last, figures, ((1, 3), (4, 12)), notes)
    return result("carparts", TITLE, __doc__, figures, tables, notes)


def stock_rows(monthly: Backtest) -> list[Row]:
    """What each forecaster's stock costs over the months of the origins."""
    demand = monthly.truth.actual[:, :, 0].T
    made: list[Row] = []
    for run in monthly.runs:
        targets = [
            stock.order_up_to(q.astype(np.float64), monthly.plan.levels) for q in run.quantiles
        ]
        cost = stock.cost(np.stack(targets, axis=1), demand)
        made.append({"forecaster": run.name, "cost": cost.total, "held": cost.held,
                     "backordered": cost.waiting})  # fmt: skip
    return made
