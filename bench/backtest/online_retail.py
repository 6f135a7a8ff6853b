"""Demand of a gift shop's products against the best of statsforecast's models, chosen a series.

What it does not say: how the forecasts do in another trade. The peers are statsforecast's AutoETS,
AutoTheta, SeasonalNaive and CrostonOptimized with their own intervals; for each product the one with
the least loss on two earlier folds is taken (by pinball for pinball, by squared error for RMSSE), so
that the peer knows no more than the product's own forecaster. Demand is sales as ordered: see the
reader for cancellations. Time counts the judged origins alone, not the folds the peer chose on.
"""

from dataclasses import replace

from bench.backtest import peers, windows
from bench.backtest.product import NAME, Product
from bench.backtest.tables import online_retail
from bench.harness import Context, Figure, Result, Row, result
from trainer import backtest
from trainer.backtest import Backtest, Plan
from trainer.backtest_baselines import NAIVE
from trainer.backtest_splits import origins

TITLE = "Demand of an online shop's products by day"
HORIZON = 28
CLASSES = 500
BEST = {"pinball": "best peer", "rmse": "best peer by RMSE"}


def measure(context: Context) -> Result:
    """The late window (last 8 weeks) and the 8 weeks before it."""
    whole = online_retail.read(context.shared["data"])
    count = context.shared.get("series") or context.size(CLASSES, 60, 4)
    at = origins(len(whole.days), HORIZON, 6)
    panel = online_retail.top(whole, count, at[4])
    names = peers.NAMES if peers.available() else ()
    if names:
        peers.warm_up()
    ours = backtest.run(panel, "units", Plan(at[2:], HORIZON), [*NAIVE, Product("GB")],
                        windows.saying(context, 0.0, 0.3))  # fmt: skip
    theirs = backtest.run(panel, "units", Plan(at, HORIZON), [peers.Peer(n) for n in names],
                          windows.saying(context, 0.3, 1.0))  # fmt: skip
    late = joined(ours, theirs, (2, 3), (4, 5), (2, 3))
    early = joined(ours, theirs, (0, 1), (2, 3), (0, 1))
    made = goals("last 8 weeks", late) + goals("8 weeks before", early)
    notes = [f"{len(panel.keys)} products, most units before the last 8 weeks; origins "
             f"{', '.join(str(len(whole.days) - o) for o in at[2:])} days before the end.",
             *([] if names else [peers.MISSING])]  # fmt: skip
    windows.write_page(context, "online_retail", TITLE, late, made, notes=notes)
    shown = [NAME, "static_quantiles", *(BEST.values() if names else ())]
    tables: dict[str, list[Row]] = {
        "Last 8 weeks": windows.rows(late),
        "8 weeks before": windows.rows(early),
        "Last 8 weeks by part (pinball scaled)": windows.part_rows(late, shown, windows.BANDS),
        "Time, judged origins of the last 8 weeks": windows.time_rows(late),
    }
    return result("online_retail", TITLE, __doc__, made, tables, notes)


def joined(
    ours: Backtest,
    theirs: Backtest,
    judged: tuple[int, ...],
    judged_peers: tuple[int, ...],
    folds: tuple[int, ...],
) -> Backtest:
    """One window with all forecasters, and the best peers chosen on earlier folds."""
    window = backtest.at_origins(ours, judged)
    runs = list(window.runs)
    if theirs.runs:
        now, before = (backtest.at_origins(theirs, i) for i in (judged_peers, folds))
        runs += now.runs
        for figure, name in BEST.items():
            losses = [backtest.by_series(before, r, figure) for r in before.runs]
            runs.append(backtest.best_of(name, now.runs, losses)[0])
    return replace(window, runs=runs)


def goals(name: str, found: Backtest) -> list[Figure]:
    """Figures of one window."""
    made = windows.coverage(name, found) + windows.against_static(name, found)
    if not any(run.name in BEST.values() for run in found.runs):
        return made
    by_pinball, by_rmse = BEST["pinball"], BEST["rmse"]
    ours, theirs = found.run(NAME).cost, found.run(by_pinball).cost
    return [
        windows.versus(f"{name}: pinball", found, NAME, by_pinball, "pinball"),
        windows.versus(f"{name}: pinball, scaled", found, NAME, by_pinball, "pinball_scaled"),
        windows.versus(f"{name}: RMSSE", found, NAME, by_rmse, "rmsse"),
        Figure(name=f"{name}: time", value=ours.wall_s, goal=theirs.wall_s / 5, unit="s"),
        Figure(name=f"{name}: CPU time", value=ours.cpu_s, goal=theirs.cpu_s / 5, unit="s"),
        *made,
    ]
