"""One function a service: from a shop's history to what the exporter takes. No learning happens here.

Each module knows its own question; here they are all asked alike. ``<service>(data, settings)``
raises TooLittle; ``measure_<service>(data, folder, manifest)`` gives the metrics of any model of that
service, such as the active one, on the held-out days.
"""

import importlib
import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np

from edge.inference import door_run
from edge.inference.manifest import MODEL, Manifest, Training
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


def measure_maintenance(data: Data, folder: Path, manifest: Manifest) -> dict[str, float]:
    """Figures of a model of maintenance on the held-out days."""
    from trainer import maintenance as service

    return _measure_hazard(service, data, folder, manifest)


def _hazard(service: ModuleType, data: Data, settings: Settings) -> Exportable:
    from trainer import hazard

    table: FeatureTable = service.read(data.sources, last_day=data.last_day)
    settings.say("searching", 0.1)
    search = {"families": hazard.FAMILIES[1:4:2], "rows_max": 8_000} if settings.quick else {}
    try:
        fitted = service.fit(table, **search)
    except hazard.TooLittleKnown as error:
        raise TooLittle(str(error)) from error
    learnt: hazard.Fitted = fitted.grades if hasattr(fitted, "grades") else fitted.fitted
    made: Exportable = fitted.exportable(
        training(data, settings, len(learnt.problem), len(table.keys))
    )
    return made


def _measure_hazard(
    service: ModuleType, data: Data, folder: Path, manifest: Manifest
) -> dict[str, float]:
    from trainer import hazard

    problem = service.problem(service.read(data.sources, last_day=data.last_day))
    if not set(manifest.features) <= set(problem.features):
        return {}
    judged = problem.where(problem.cutoffs >= data.split_day).only(manifest.features)
    session = door_run.load((folder / MODEL).read_bytes())
    given = door_run.run(session, manifest.outputs, {"x": judged.x}, "held-out days")["y"]
    answers = given[:, : len(problem.edges)].astype(np.float64)
    found = hazard.figures(judged, answers)
    return {name: value for name, value in found.items() if np.isfinite(value)}


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
    days = len(panel.days)
    origins = math.ceil((data.last_day + 1 - data.split_day) / DEMAND_HORIZON_DAYS)
    origins = max(min(origins, days // DEMAND_HORIZON_DAYS - 2), 1)
    plan = backtest.Plan(
        backtest_splits.origins(days, DEMAND_HORIZON_DAYS, origins), DEMAND_HORIZON_DAYS
    )
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
