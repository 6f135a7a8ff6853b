"""The demand model as one ONNX graph, and the same in numpy as its judge. No fitting, no files.

Inputs are those of ``edge.inference.demand.inputs`` and ``offset`` float32[3]. Outputs: ``y``
float32[n, o] in the order of ``columns()``, and ``next``, the states after the newest day.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference import demand as edge_demand
from edge.inference import demand_states
from edge.inference.demand import (
    LAYOUT,
    MEMBERS,
    OWN_SEASON,
    PERIOD,
    SIDE,
    STATE_MEMBERS,
    STATES,
)
from edge.inference.demand_columns import (
    DAILY_QUANTILE_DAYS,
    HORIZON_DAYS,
    LEVELS,
    WEEKS,
    columns,
    joined,
)
from edge.inference.demand_states import DIM
from edge.inference.manifest import Tensor
from trainer.demand.spread import MEAN_MIN, Spread
from trainer.onnx_graph import Graph
from trainer.onnx_trees import add_ensemble

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parts:
    """What all classes share: the trees and the tables of quantiles; ``features`` of a row."""

    trees: Any
    features: int
    day: Spread
    week: Spread


def tensors(parts: Parts) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and outputs, as the manifest tells them."""
    shapes = _inputs(parts)
    ends: dict[str, list[str | int]] = {
        "y": ["n", len(columns())],
        "next": ["n", STATES.stop - STATES.start],
    }
    return (
        [Tensor(name=name, shape=shape) for name, shape in shapes.items()],
        [Tensor(name=name, shape=shape) for name, shape in ends.items()],
    )


def _inputs(parts: Parts) -> dict[str, list[str | int]]:
    shapes: dict[str, list[str | int]] = {
        "s": ["n", len(SIDE)],
        "newest": ["n", 3],
        "index": ["n", 2 * HORIZON_DAYS],
        "other": ["n", HORIZON_DAYS],
    }
    if parts.trees is not None:
        shapes["rows"] = ["n", HORIZON_DAYS * parts.features]
        shapes["base"] = ["n", HORIZON_DAYS]
    return {**shapes, "offset": [len(LEVELS)]}


# -- numpy ------------------------------------------------------------------------------------------


def answer(parts: Parts, given: dict[str, Float32]) -> dict[str, Floats]:
    """What the graph must answer, by numpy and scikit-learn: float64."""
    s = given["s"].astype(np.float64)
    weights = s[:, LAYOUT["weights"]]
    mean = given["other"].astype(np.float64)
    following = s.copy()
    for i, name in enumerate(STATE_MEMBERS):
        member, state = edge_demand.member_of(s, name), edge_demand.state_of(s, name)
        own = OWN_SEASON[i]
        newest = given["newest"].astype(np.float64)
        state = demand_states.step(
            member, state, newest[:, 0] * _seen(newest, own), newest[:, 1 + own]
        )
        edge_demand.put_member(following, name, member, state)
        index = given["index"].astype(np.float64).reshape(len(s), 2, HORIZON_DAYS)[:, int(own)]
        path = demand_states.path(member, state, index) * s[:, LAYOUT["scale"]]
        mean = mean + path * weights[:, [MEMBERS.index(name)]]
    if parts.trees is not None:
        rows = given["rows"].reshape(-1, parts.features)
        ratio = parts.trees.predict(rows).reshape(len(s), HORIZON_DAYS)
        mean = mean + ratio * given["base"] * weights[:, -1:]
    wide = np.exp(given["offset"].astype(np.float64))
    day = _narrowed(parts.day, mean[:, :DAILY_QUANTILE_DAYS], s[:, LAYOUT["width"]], wide)
    weekly = mean.reshape(len(s), WEEKS, 7).sum(axis=2)
    week = _narrowed(parts.week, weekly, s[:, LAYOUT["week_width"]], wide)
    y = joined(mean, day, weekly, week).astype(np.float64)
    return {"y": y, "next": following[:, STATES]}


def _seen(newest: Floats, own: bool) -> Floats:
    return np.where(newest[:, 1 + own] > 0, 1.0, np.nan)


def _narrowed(table: Spread, mean: Floats, width: Floats, wide: Floats) -> Floats:
    """float64[n, h, 3], each level's distance from the mean multiplied by ``wide``."""
    ratio = np.empty((*mean.shape, len(LEVELS)))
    at = np.log(np.maximum(mean, MEAN_MIN))
    for i, row in enumerate(_ratios(table)):
        ratio[..., i] = np.interp(at, table.knots, row)
    wide = table.growths(mean.shape[1])[:, None] * wide
    out = mean[..., None] * (1 + (ratio - 1) * width[:, :, None] * wide)
    return np.asarray(np.sort(np.maximum(out, 0), axis=2))


def _ratios(table: Spread) -> Floats:
    """float64[3, b]: the table at our levels."""
    from trainer.demand.spread import LEVELS as KNOWN

    return np.stack([[np.interp(q, KNOWN, row) for row in table.ratios] for q in LEVELS])


# -- ONNX -------------------------------------------------------------------------------------------


def emit(parts: Parts) -> bytes:
    """The graph: additions, products, comparisons and one tree ensemble; 91 days by seven doublings."""
    graph = Graph()
    scale = _pick(graph, "s", LAYOUT["scale"])
    mean, states = "other", []
    for i, name in enumerate(STATE_MEMBERS):
        path, state = _member(graph, name, 1 + OWN_SEASON[i])
        states.append(state)
        weight = _pick(graph, "s", _one(LAYOUT["weights"].start + MEMBERS.index(name)))
        mean = graph.node("Add", mean, graph.node("Mul", path, graph.node("Mul", scale, weight)))
    if parts.trees is not None:
        mean = graph.node("Add", mean, _trees(graph, parts))
    weekly = graph.node("MatMul", mean, graph.constant(np.kron(np.eye(WEEKS), np.ones((7, 1)))))
    wide = graph.node("Exp", "offset")
    near = _pick(graph, mean, slice(0, DAILY_QUANTILE_DAYS))
    day = _levels(graph, parts.day, near, DAILY_QUANTILE_DAYS, "width", wide)
    week = _levels(graph, parts.week, weekly, WEEKS, "week_width", wide)
    y = graph.node("Concat", mean, day, weekly, week, axis=1)
    following = graph.node("Concat", *states, axis=1)
    return graph.model(
        _inputs(parts),
        {
            "y": (y, ["n", len(columns())]),
            "next": (following, ["n", STATES.stop - STATES.start]),
        },
    )


def _one(at: int) -> slice:
    return slice(at, at + 1)


def _pick(graph: Graph, value: str, part: slice, axis: int = 1) -> str:
    return graph.node("Gather", value, graph.axis(*range(part.start, part.stop)), axis=axis)


def _member(graph: Graph, name: str, which: int) -> tuple[str, str]:
    """Path float32[n, h] in units of the scale, and the state after the newest day."""
    start = LAYOUT[f"{name}_member"].start
    a = graph.node("Reshape", _pick(graph, "s", slice(start, start + 9)), graph.axis(-1, DIM, DIM))
    w, g = (_pick(graph, "s", slice(start + 9 + 3 * i, start + 12 + 3 * i)) for i in range(2))
    gamma = _pick(graph, "s", _one(start + 15))
    at = LAYOUT[f"{name}_state"].start
    x, season = _pick(graph, "s", slice(at, at + DIM)), _pick(
        graph, "s", slice(at + DIM, at + DIM + PERIOD)
    )  # fmt: skip
    error = _error(graph, graph.node("Mul", w, x), _pick(graph, season, _one(0)), which)
    column = graph.node("Unsqueeze", x, graph.axis(2))
    moved = graph.node("Squeeze", graph.node("MatMul", a, column), graph.axis(2))
    x = graph.node("Add", moved, graph.node("Mul", g, error))
    renewed = graph.node("Add", _pick(graph, season, _one(0)), graph.node("Mul", gamma, error))
    season = graph.node("Concat", _pick(graph, season, slice(1, PERIOD)), renewed, axis=1)
    rows, power, days = graph.node("Unsqueeze", w, graph.axis(1)), a, 1
    while days < HORIZON_DAYS:
        rows = graph.node("Concat", rows, graph.node("MatMul", rows, power), axis=1)
        days *= 2
        power = graph.node("MatMul", power, power) if days < HORIZON_DAYS else power
    rows = _pick(graph, rows, slice(0, HORIZON_DAYS))
    column = graph.node("Unsqueeze", x, graph.axis(2))
    level = graph.node("Squeeze", graph.node("MatMul", rows, column), graph.axis(2))
    cycle = graph.node(
        "Gather", season, graph.axis(*(i % PERIOD for i in range(HORIZON_DAYS))), axis=1
    )
    first = (which - 1) * HORIZON_DAYS
    index = _pick(graph, "index", slice(first, first + HORIZON_DAYS))
    path = graph.node("Relu", graph.node("Mul", graph.node("Add", level, cycle), index))
    return path, graph.node("Concat", x, season, axis=1)


def _error(graph: Graph, parts: str, season: str, which: int) -> str:
    """float32[n, 1]: the newest observation over its index less what was expected; 0: not observed."""
    expected = graph.node("Add", graph.node("ReduceSum", parts, graph.axis(1), keepdims=1), season)
    value, index = _pick(graph, "newest", _one(0)), _pick(graph, "newest", _one(which))
    zero, one = graph.constant(0.0), graph.constant(1.0)
    open_ = graph.node("Greater", index, zero)
    told = graph.node("And", open_, graph.node("Not", graph.node("IsNaN", value)))
    safe = graph.node("Where", open_, index, one)
    seen = graph.node("Where", told, value, zero)
    gap = graph.node("Sub", graph.node("Div", seen, safe), expected)
    return graph.node("Where", told, gap, zero)


def _trees(graph: Graph, parts: Parts) -> str:
    rows = graph.node("Reshape", "rows", graph.axis(-1, parts.features))
    ratio = graph.node("Exp", add_ensemble(graph, rows, [parts.trees]))
    ratio = graph.node("Reshape", ratio, graph.axis(-1, HORIZON_DAYS))
    weight = _pick(graph, "s", _one(LAYOUT["weights"].stop - 1))
    return graph.node("Mul", graph.node("Mul", ratio, "base"), weight)


def _levels(graph: Graph, table: Spread, mean: str, count: int, width: str, wide: str) -> str:
    """float32[n, count * 3]: quantiles, by straight lines between the table's knots, then sorted."""
    at = graph.node("Log", graph.node("Max", mean, graph.constant(MEAN_MIN)))
    at = graph.node("Unsqueeze", at, graph.axis(2))
    values = _ratios(table).T
    ratio = graph.constant(values[None, :1])
    if len(table.knots) > 1:
        low, high = table.knots[:-1], table.knots[1:]
        along = graph.node("Min", graph.node("Max", at, graph.constant(low)), graph.constant(high))
        along = graph.node("Sub", along, graph.constant(low))
        slope = (values[1:] - values[:-1]) / (high - low)[:, None]
        ratio = graph.node("Add", graph.node("MatMul", along, graph.constant(slope)), ratio)
    ratio = graph.node("Sub", ratio, graph.constant(1.0))
    own = graph.node("Unsqueeze", _pick(graph, "s", LAYOUT[width]), graph.axis(2))
    growth = graph.constant(table.growths(count)[None, :, None])
    wide = graph.node("Mul", growth, wide)
    gap = graph.node("Mul", graph.node("Mul", ratio, own), wide)
    middle = graph.node("Unsqueeze", mean, graph.axis(2))
    q = graph.node("Mul", middle, graph.node("Add", gap, graph.constant(1.0)))
    q = graph.node("Relu", q)
    ordered = graph.nodes("TopK", 2, q, graph.axis(len(LEVELS)), axis=2, largest=0, sorted=1)[0]
    return graph.node("Reshape", ordered, graph.axis(-1, count * len(LEVELS)))
