"""How long a night's training takes: every service, 900 classes, two years of days.

What it does not say: how long another shop takes. This one is generated (edge.simulate.days), and
making its history is not counted. Each service runs in a process of its own within
the default budget, as the nightly timer runs it, one after the other.
"""

import os
from typing import Any

from bench.harness import Context, Figure, Result, Row, result
from edge.simulate.days import DaysSettings, ShopDays
from trainer.budget import Budget
from trainer.fitting import Fits, fit_all
from trainer.imports import import_history
from trainer.orders import FitOrder
from trainer.services import RECIPES

TITLE = "Training every service"
GOAL_S, GOAL_MB = 480.0, 1_536.0
ALL_S = 3_600.0
BUDGET = Budget()


def shop(context: Context) -> DaysSettings:
    """300 rental classes with 1,200 tagged items, 600 articles."""
    return DaysSettings(
        days=context.size(730, 365, 120),
        rental_classes=context.size(300, 60, 8),
        articles=context.size(600, 120, 6),
        items_per_class=4,
        rentals_a_day=float(context.size(60, 20, 6)),
        sales_a_day=0.5,
    )


def measure(context: Context) -> Result:
    """Generate, train everything once, and tell what it took."""
    room, settings = context.room("train"), shop(context)
    history = room / "history.sqlite"
    context.say("generating the shop's days", 0.0)
    told = import_history(
        ShopDays(settings),
        history,
        progress=lambda done, total, at_ms: context.say("generating", 0.3 * done / total),
    )
    services = list(RECIPES)
    orders = [
        FitOrder(service=name, history=[str(history)], out=str(room / "trained"), budget=BUDGET,
                 quick=context.tiny)
        for name in services
    ]  # fmt: skip

    def say(service: str, text: str, share: float) -> None:
        at = services.index(service) + share  # type: ignore[arg-type]
        context.say(f"{service}: {text}", 0.3 + 0.7 * at / len(services))

    fits = fit_all(orders, ALL_S, say)
    return result("train_time", TITLE, __doc__, _figures(fits), {"services": _rows(fits)}, [
        f"{told.classes} classes, {told.items:,} items, {told.days} days, "
        f"{sum(told.events.values()):,} events; {os.cpu_count()} cores, nice {BUDGET.nice}.",
        *(f"{fit.service}: {fit.detail}" for fit in fits.fits if fit.detail),
    ])  # fmt: skip


def _figures(fits: Fits) -> list[Figure]:
    return [
        Figure(name="all services", value=fits.seconds, unit="s", goal=GOAL_S),
        Figure(name="most memory of one", value=fits.peak_mb, unit="MB RSS", goal=GOAL_MB),
        Figure(name="services with a model", value=float(len(fits.models)), better="higher",
               goal=float(len(RECIPES))),
    ]  # fmt: skip


def _rows(fits: Fits) -> list[Row]:
    made: list[dict[str, Any]] = []
    for fit in fits.fits:
        row = {"service": fit.service, "became": fit.became, "s": fit.seconds}
        made.append(row | {"processor s": fit.cpu_s, "MB RSS": fit.peak_mb})
    return made
