"""A backtest of demand on a shop's own history: report and summary. The harness is ``backtest.py``."""

from pathlib import Path

import numpy as np

from edge.errors import Rfid3Error
from trainer import backtest, backtest_splits, report
from trainer.backtest_baselines import NAIVE
from trainer.budget import Say
from trainer.data import Data, named
from trainer.demand import forecaster
from trainer.orders import BacktestOrder, Tested
from trainer.panel import Panel

FIGURES = ("pinball", "rmsse", "mase", "wape", "accuracy", "coverage", "bias")
HISTORY_MIN = 2
"""Days of history before the first origin, in horizons."""


def run(order: BacktestOrder, say: Say) -> Tested:
    """Write ``demand.html`` and ``demand.summary.json``. Raises Rfid3Error for too little history."""
    say("reading history", 0.0)
    with Data([Path(path) for path in order.history]) as data:
        panel = largest(data.panel(), order.measure, order.classes_max)
    days, horizon = len(panel.days), order.horizon
    origins = min(order.origins, days // horizon - HISTORY_MIN)
    if origins < 1 or not panel.keys:
        raise Rfid3Error(
            f"{days} days of {len(panel.keys)} classes are known; a backtest of {horizon} days needs "
            f"{(HISTORY_MIN + 1) * horizon} days\nCure: a shorter --horizon, or import history"
        )
    plan = backtest.Plan(backtest_splits.origins(days, horizon, origins), horizon)
    ours = forecaster(order.country, order.region or None, horizon=horizon)
    made = backtest.run(
        panel, order.measure, plan, [ours, *NAIVE], lambda text, share: say(text, 0.9 * share)
    )
    say("writing the report", 0.9)
    title = f"Demand, {named(int(panel.days[0]))} to {named(int(panel.days[-1]))}"
    told = backtest.summary(made, title, bands=((1, 7), (8, horizon)))
    out = Path(order.out)
    out.mkdir(parents=True, exist_ok=True)
    page, figures = out / "demand.html", out / "demand.summary.json"
    page.write_text(report.of_backtest(made, told, ours.name), encoding="utf-8")
    figures.write_bytes(backtest.encode(told))
    return Tested(
        report=str(page),
        summary=str(figures),
        classes=len(panel.keys),
        figures={
            run.name: {name: told.figure(run.name, name) for name in FIGURES} for run in made.runs
        },
    )


def largest(panel: Panel, measure: str, most: int) -> Panel:
    """The classes with most of the measure, at most ``most``; those with none are left out."""
    total = np.nansum(panel.measures[measure].astype(np.float64), axis=1)
    order = np.argsort(-total, kind="stable")[:most]
    return panel.rows(order[total[order] > 0].astype(np.int64))
