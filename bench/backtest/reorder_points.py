"""Reorder points on an online shop's products and a bicycle hire's stations, beside seed 4's rule.

What it does not say: what stock would have cost (see ``carparts``), and how lead times vary. Each
origin looks at the half year before it, as the daemon does; the reorder point of a lead time of 7, 14
and 28 days at levels 0.9, 0.95 and 0.99 is held against what was asked for in the days after. ``own
days`` is what speaks where no model does; ``simple rule`` is mean and deviation of a day over 90 days.
Stations count rentals as sales, which rentals are not: they are here because they have seasons.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.backtest.tables import city_bike_rentals, online_retail
from bench.backtest.tables.files import TableMissing
from bench.harness import Context, Figure, Result, Row, result
from edge.services import lead_time, reorder
from trainer.panel import Panel

TITLE = "Reorder points: how often they suffice"
LEADS = (7, 14, 28)
LEVELS = (0.9, 0.95, 0.99)
STEP_DAYS = 11
PRODUCTS = 1_500
TOLERANCE = 0.02
"""Of the share at level 0.95 that counts as kept."""

Floats = NDArray[np.float64]
TABLES: dict[str, Callable[[Path], Panel]] = {
    "online shop": online_retail.read,
    "bicycle hire": city_bike_rentals.read,
}


def measure(context: Context) -> Result:
    """Share of spans whose demand the reorder point covers, by table, lead time and level."""
    figures: list[Figure] = []
    rows: list[Row] = []
    missing: list[str] = []
    for i, (name, read) in enumerate(TABLES.items()):
        try:
            panel = read(context.shared["data"])
        except TableMissing as error:
            missing.append(str(error))
            continue
        context.say(name, (i + 0.5) / len(TABLES))
        found = shares(largest(panel, context.size(PRODUCTS, 200, 20)))
        rows += [_row(name, lead, told) for lead, told in found.items()]
        for lead in LEADS:
            kept, plain = (found[lead][way, 0.95] for way in ("own days", "simple rule"))
            figures.append(
                Figure(
                    name=f"{name}, {lead} days: distance from 0.95",
                    value=abs(kept - 0.95),
                    goal=TOLERANCE,
                )
            )
            figures.append(
                Figure(name=f"{name}, {lead} days: the simple rule's", value=abs(plain - 0.95))
            )
    if not figures:
        raise TableMissing("; ".join(missing))
    return result("reorder_points", TITLE, __doc__, figures, {"Share that sufficed": rows}, missing)


def _row(name: str, lead: int, told: dict[tuple[str, float], float]) -> Row:
    made: Row = {"table": name, "lead time": f"{lead} d"}
    for (way, level), share in told.items():
        made[f"{way} {level:g}"] = round(share, 3)
    return made


def largest(panel: Panel, count: int) -> Floats:
    """float64[d, k]: units of the series with the most days of demand."""
    units = np.asarray(panel.measures["units"], np.float64)
    days = (np.nan_to_num(units) > 0).sum(axis=1)
    return units[np.argsort(-days, kind="stable")[:count]].T


def shares(daily: Floats) -> dict[int, dict[tuple[str, float], float]]:
    """Lead time -> (way, level) -> share of spans in which the reorder point sufficed."""
    found: dict[int, dict[tuple[str, float], list[bool]]] = {
        lead: {(way, level): [] for way in ("own days", "simple rule") for level in LEVELS}
        for lead in LEADS
    }
    first = min(lead_time.HISTORY_DAYS, max(len(daily) // 2, 1))
    for at in range(first, len(daily) - min(LEADS), STEP_DAYS):
        past = daily[max(at - lead_time.HISTORY_DAYS, 0) : at]
        drift = lead_time.drift_of(*lead_time.drift_seen(past))
        curve, enough = lead_time.from_history(past, drift)
        plain = lead_time.simple(past)
        for lead in LEADS:
            came = daily[at : at + lead]
            told = enough & (np.isfinite(came).sum(axis=0) == lead)
            if len(came) == lead and told.any():
                _one(found[lead], curve.rows(np.flatnonzero(told)), plain, told, came, lead)
    return {
        lead: {key: float(np.mean(kept)) if kept else 0.0 for key, kept in by.items()}
        for lead, by in found.items()
    }


def _one(
    found: dict[tuple[str, float], list[bool]],
    curve: lead_time.Curve,
    plain: lead_time.Curve,
    told: NDArray[np.bool_],
    came: Floats,
    lead: int,
) -> None:
    units = came[:, told].sum(axis=0)
    mean, variance = curve.at(float(lead))
    day_mean, day_variance = plain.mean[told, 0] / 7, plain.variance[told, 0] / 7
    days = np.full(len(units), float(lead))
    for level in LEVELS:
        point = reorder.point(mean, variance, level)
        found["own days", level] += (units <= point).tolist()
        simple, _ = reorder.simple_points(day_mean, day_variance, days, level)
        found["simple rule", level] += (units <= simple).tolist()
