"""A fitted demand model as something to export: graph, constants of each class, golden rows."""

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.inference import demand as edge_demand
from edge.inference.demand import LAYOUT, MEMBERS, SIDE, STATE_MEMBERS, Constants
from edge.inference.demand_columns import HORIZON_DAYS, LEVELS, columns
from edge.inference.demand_history import Drivers
from edge.inference.manifest import Training
from trainer import backtest
from trainer.backtest_baselines import NAIVE
from trainer.data import Data, named
from trainer.demand import graph, members
from trainer.demand.graph import Parts
from trainer.demand.model import DemandForecaster, FittedDemand
from trainer.export import Exportable, Side
from trainer.services import Settings, TooLittle

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]

MEASURE = "units"
GOLDEN_ROWS = 64
JUDGED_DAYS = 28


def fit(data: Data, settings: Settings) -> Exportable:
    """Demand of every class by day. Raises TooLittle."""
    began = time.perf_counter()
    panel = data.panel()
    if not panel.keys or len(panel.days) < 56:
        raise TooLittle(f"{len(panel.days)} days of {len(panel.keys)} classes; 56 days are needed")
    forecaster = DemandForecaster(
        country=settings.country,
        region=settings.region or None,
        known=settings.known,
        horizon=JUDGED_DAYS,
        seed=settings.seed,
    )
    settings.say("demand: measuring on the newest days", 0.1)
    plan = backtest.Plan((len(panel.days) - JUDGED_DAYS,), JUDGED_DAYS)
    told = backtest.summary(backtest.run(panel, MEASURE, plan, [forecaster, *NAIVE]), "demand")
    settings.say("demand: fitting on all days", 0.6)
    fitted = forecaster.fit(panel, MEASURE)
    figures = {
        name: {
            figure: value
            for figure in ("pinball", "rmsse", "wape")
            if (value := told.figure(name, figure)) is not None
        }
        for name in (forecaster.name, *(naive.name for naive in NAIVE))
    }
    training = Training(
        data=settings.data,
        from_day=named(int(panel.days[0])),
        to_day=named(int(panel.days[-1])),
        rows=int((~np.isnan(fitted.series.y)).sum()),
        entities=len(panel.keys),
        reason=settings.reason,
        seconds=round(time.perf_counter() - began, 1),
    )
    return exportable(fitted, panel.keys, training, figures.pop(forecaster.name), figures)


def exportable(
    fitted: FittedDemand,
    keys: list[str],
    training: Training,
    metrics: dict[str, float] | None = None,
    baselines: dict[str, dict[str, float]] | None = None,
) -> Exportable:
    """The artifact of a model fitted on days (a period of 7)."""
    assert fitted.series.period == edge_demand.PERIOD, fitted.series.period
    trees = fitted.ladder.boosted
    parts = Parts(
        trees.mean if trees else None,
        len(trees.names) if trees else 0,
        fitted.spread,
        fitted.week_spread,
    )
    side = side_values(fitted)
    constants = constants_of(fitted)
    inputs, outputs = graph.tensors(parts)
    return Exportable(
        service="demand",
        kind="ensemble",
        entity="class",
        onnx_bytes=graph.emit(parts),
        features=[],
        columns=columns(),
        training=training,
        golden_inputs=golden(fitted, constants, side, [tensor.name for tensor in inputs]),
        predict=lambda given: graph.answer(parts, given),  # type: ignore[arg-type,return-value]
        side=Side(SIDE, [*map(str, keys), ""], side),
        offsets=len(LEVELS),
        inputs=inputs,
        outputs=outputs,
        metrics=metrics or {},
        baselines=baselines or {},
        hyperparameters={"members": ", ".join(MEMBERS)},
        importances=dict(zip(MEMBERS, fitted.weights.mean(axis=0).round(6).tolist(), strict=True)),
        notes="Importances are the members' mean weights. Weekly quantiles are learnt from weekly "
        "sums; means of days, weeks, classes and categories add up exactly.",
        extra={"demand": constants.extra()},
        tolerance=5e-4,
    )


def constants_of(fitted: FittedDemand) -> Constants:
    """What all classes share at the edge."""
    return Constants(
        int(fitted.series.moments[-1]),
        fitted.ladder.states.seasons.calendar,
        tuple(fitted.factors.names),
        fitted.series.drivers.names,
    )


def side_values(fitted: FittedDemand) -> Float32:
    """float32[k + 1, len(SIDE)]: a row a class, the last for everybody else.

    A class unknown in training has no states: the members that need none answer for it.
    """
    states = fitted.ladder.states
    k = len(states.scale)
    out = np.zeros((k + 1, len(SIDE)))
    out[:k, LAYOUT["scale"]] = states.scale[:, None]
    out[:k, LAYOUT["width"]] = fitted.spread.width[:, None]
    out[:k, LAYOUT["week_width"]] = fitted.week_spread.width[:, None]
    out[:k, LAYOUT["weights"]] = fitted.weights
    out[:k, LAYOUT["profile"]] = states.seasons.profile
    for name, member, state in zip(STATE_MEMBERS, states.members, states.states, strict=True):
        edge_demand.put_member(out[:k], name, member, state)
    own = fitted.shape.at(np.arange(edge_demand.PERIOD), LEVELS)
    out[:k, LAYOUT["shape"]] = np.concatenate([own.share, own.gap.reshape(k, -1)], axis=1)
    out[k] = out[:k].mean(axis=0)
    out[k, LAYOUT["scale"]] = 1.0
    out[k, LAYOUT["shape"]] = 0.0
    weights = out[k, LAYOUT["weights"]]
    for name in STATE_MEMBERS:
        weights[MEMBERS.index(name)] = 0.0
        out[k, LAYOUT[f"{name}_member"]] = 0.0
        out[k, LAYOUT[f"{name}_state"]] = 0.0
    out[k, LAYOUT["weights"]] = weights / max(weights.sum(), 1e-9)
    return out.astype(np.float32)


def golden(
    fitted: FittedDemand, constants: Constants, side: Float32, names: list[str]
) -> dict[str, Float32]:
    """Real rows, the row for everybody else, days not observed, nothing at all, and a very big day."""
    look = members.window(edge_demand.PERIOD)
    y = fitted.series.y[:, -look:]
    chosen = np.resize(np.arange(len(y)), GOLDEN_ROWS)
    rows, history = side[chosen].copy(), y[chosen].copy()
    rows[-4:] = side[-1]
    history[1, -1] = np.nan
    history[2, :] = np.nan
    history[3, -1] = 1e5
    history[5, :] = 0.0
    unknown = np.full((HORIZON_DAYS, len(constants.factors)), np.nan)
    today = int(fitted.series.moments[-1])
    earlier = replace(constants, trained_day=today - 3)
    beside = fitted.series.drivers.last(look)
    beside = Drivers(beside.names, beside.values[:, chosen])
    given = edge_demand.inputs(earlier, rows, history, today, unknown, beside)
    given["offset"] = np.array([0.1, 0.0, -0.1], np.float32)
    return {name: given[name] for name in names}
