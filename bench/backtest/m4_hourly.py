"""M4's hourly series: first the published figures of its naive forecasts, then ours.

What it does not say: how rare or new series are forecast; these are long, regular and without
names or dates. OWA is relative to Naive2 on the same series. The judged point forecast is the median,
as both of M4's errors are absolute ones; the mean's figure stands beside it.
"""

import numpy as np
from numpy.typing import NDArray

from bench.backtest import windows
from bench.backtest.product import NAME, Product
from bench.backtest.tables import m4_hourly
from bench.harness import Context, Figure, Result, Row, result
from trainer import backtest, metrics
from trainer.backtest import Plan
from trainer.backtest_baselines import NAIVE, naive2, season_scale

TITLE = "M4's hourly series"
PUBLISHED = {"sMAPE": 13.912, "MASE": 1.193, "OWA": 0.628}
"""Seasonal naive, as M4's organisers published it."""
GOAL = 0.58
Floats = NDArray[np.float64]


def measure(context: Context) -> Result:
    """The test set, and the 48 hours before it."""
    panel = m4_hourly.read(context.shared["data"])
    count = context.shared.get("series") or context.size(len(panel.keys), 60, 3)
    few = np.unique(np.linspace(0, len(panel.keys) - 1, count).astype(np.int64))
    panel = panel.rows(few)
    d, h = len(panel.days), m4_hourly.HORIZON
    plan = Plan((d - 2 * h, d - h), h)
    product = Product(horizon=h)
    found = backtest.run(panel, "units", plan, [*NAIVE, product], context.say)
    tables: dict[str, list[Row]] = {}
    figures: list[Figure] = []
    for i, name in ((1, "test set"), (0, "48 hours before")):
        window = backtest.at_origins(found, [i])
        rows = errors(window)
        tables[name] = rows
        tables[f"{name}: quantiles"] = windows.rows(window)
        by_name = {row["forecast"]: row for row in rows}
        if i == 1:
            figures += [
                Figure(name=f"seasonal naive: {what} (published {value:g})", better="neither",
                       value=by_name["seasonal_naive"][what])
                for what, value in PUBLISHED.items()
            ]  # fmt: skip
        figures.append(Figure(name=f"{name}: OWA", value=by_name[f"{NAME} median"]["OWA"],
                              goal=GOAL))  # fmt: skip
        figures += windows.coverage(name, window) + windows.against_static(name, window)
    late = backtest.at_origins(found, [1])
    tables["Time"] = windows.time_rows(late)
    windows.write_page(context, "m4_hourly", TITLE, late, figures, ((1, 24), (25, 48)))
    return result("m4_hourly", TITLE, __doc__, figures, tables)


def errors(window: backtest.Backtest) -> list[Row]:
    """sMAPE, MASE and OWA of each point forecast, means over series."""
    known, h = window.plan.origins[0], window.plan.horizon
    y = window.panel.measures["units"].astype(np.float64)
    history, actual = y[:, :known], y[:, known : known + h]
    scale = season_scale(history, m4_hourly.PERIOD)
    forecasts: dict[str, Floats] = {
        "Naive2": np.stack([naive2(r[~np.isnan(r)], m4_hourly.PERIOD, h) for r in history])
    }
    for run in window.runs:
        forecasts[run.name] = run.mean[0].astype(np.float64)
    middle = window.plan.levels.index(0.5)
    forecasts[f"{NAME} median"] = window.run(NAME).quantiles[0, ..., middle].astype(np.float64)
    found = {
        name: (float(metrics.mean_known(metrics.smape(actual, f))),
               float(metrics.mean_known(metrics.mase(actual, f, scale))))
        for name, f in forecasts.items()
    }  # fmt: skip
    return [
        {"forecast": name, "sMAPE": smape, "MASE": mase,
         "OWA": metrics.owa(smape, mase, *found["Naive2"])}
        for name, (smape, mase) in found.items()
    ]  # fmt: skip
