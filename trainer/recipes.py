"""One function a service: from a shop's history to what the exporter takes. No learning happens here.

Each module knows its own question; here they are all asked alike. ``<service>(data, settings)``
raises TooLittle. What any other model of the service is worth on the same days: ``measured.py``.
"""

import importlib
import math
from dataclasses import replace
from types import ModuleType
from typing import Any

from edge.inference.manifest import Training
from trainer import backtest, backtest_splits
from trainer.backtest_baselines import NAIVE
from trainer.data import Data, named
from trainer.export import Exportable
from trainer.history import FeatureTable
from trainer.services import Settings, TooLittle

DEMAND_HORIZON_DAYS = 28
DEMAND_FIGURES = ("pinball", "rmsse", "mase", "wape", "accuracy", "bias", "coverage")


def training(data: Data, settings: Settings, rows: int, entities: int) -> Training:
    """What a manifest says of its data; seconds are entered by whoever watched."""
    return Training(
        data=settings.data,
        from_day=named(data.first_day),
        to_day=named(data.last_day),
        rows=rows,
        entities=entities,
        reason=settings.reason,
    )


# --- items: questions of trainer.hazard ----------------------------------------------------------------


def maintenance(data: Data, settings: Settings) -> Exportable:
    """Failures and repairs of items."""
    from trainer import maintenance as service

    return _hazard(service, data, settings)


def _hazard(service: ModuleType, data: Data, settings: Settings) -> Exportable:
    from trainer import hazard

    table: FeatureTable = service.read(data.sources, last_day=data.last_day)
    settings.say("searching", 0.1)
    try:
        fitted = service.fit(table, **hazard_search(settings), split_day=data.split_asked)
    except hazard.TooLittleKnown as error:
        raise TooLittle(str(error)) from error
    learnt: hazard.Fitted = fitted.grades if hasattr(fitted, "grades") else fitted.fitted
    made: Exportable = fitted.exportable(
        training(data, settings, len(learnt.problem), len(table.keys))
    )
    return made


def hazard_search(settings: Settings) -> dict[str, Any]:
    """How much is tried, and on how many examples at most."""
    from trainer import hazard

    return {"families": hazard.FAMILIES[1:4:2], "rows_max": 8_000} if settings.quick else {}


def quality(data: Data, settings: Settings) -> Exportable:
    """Grades of items ahead."""
    from trainer import quality as service

    return _hazard(service, data, settings)


# --- classes -------------------------------------------------------------------------------------------


def demand(data: Data, settings: Settings) -> Exportable:
    """Units a class and day; measured from several origins, so that a fifth of the days is held out."""
    made = _of("demand", data, settings)
    metrics, baselines = _over_a_fifth(data, settings)
    return replace(made, metrics=metrics, baselines=baselines)


def _over_a_fifth(
    data: Data, settings: Settings
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Metrics and baselines of forecasts from origins all over the held-out days."""
    panel = data.panel()
    plan = demand_plan(data, len(panel.days))
    ours = importlib.import_module("trainer.demand").forecaster(
        settings.country, settings.region or None, settings.known, DEMAND_HORIZON_DAYS
    )
    made = backtest.run(
        panel,
        "units",
        plan,
        [ours, *NAIVE],
        lambda text, share: settings.say(f"held-out days: {text}", 0.5 + 0.5 * share),
    )
    found = {run.name: backtest.score(made, run) for run in made.runs}
    figures = {
        name: {figure: told[figure] for figure in DEMAND_FIGURES if math.isfinite(told[figure])}
        for name, told in found.items()
    }
    return figures.pop(ours.name), figures


def demand_plan(data: Data, days: int) -> backtest.Plan:
    """Origins all over the held-out days; where somebody asked for these, none of them before."""
    many = (data.last_day + 1 - data.split_day) / DEMAND_HORIZON_DAYS
    count = math.ceil(many) if data.split_asked is None else math.floor(many)
    count = max(min(count, days // DEMAND_HORIZON_DAYS - 2), 1)
    return backtest.Plan(
        backtest_splits.origins(days, DEMAND_HORIZON_DAYS, count), DEMAND_HORIZON_DAYS
    )


def pricing(data: Data, settings: Settings) -> Exportable:
    """Demand's answer to a price."""
    return _of("pricing", data, settings)


def packs(data: Data, settings: Settings) -> Exportable:
    """What is taken together."""
    return _of("packs", data, settings)


def inventory(data: Data, settings: Settings) -> Exportable:
    """Velocity classes and demand over a lead time."""
    return _of("velocity", data, settings)


def _of(module: str, data: Data, settings: Settings) -> Exportable:
    """What the module's own ``fit`` gives."""
    made: Exportable = importlib.import_module(f"trainer.{module}").fit(data, settings)
    return made
