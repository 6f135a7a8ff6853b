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
from trainer.demand.shapes import Own
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
        "shape": ["n", DAILY_QUANTILE_DAYS * (1 + len(LEVELS))],
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
    shape = given["shape"].astype(np.float64)
    share, gap = shape[:, :DAILY_QUANTILE_DAYS], shape[:, DAILY_QUANTILE_DAYS:]
    shapes = Own(share, gap.reshape(len(s), DAILY_QUANTILE_DAYS, len(LEVELS)))
    near = mean[:, :DAILY_QUANTILE_DAYS]
    day = _narrowed(parts.day, near, s[:, LAYOUT["width"]], wide, shapes)
    weekly = mean.reshape(len(s), WEEKS, 7).sum(axis=2)
    week = _narrowed(parts.week, weekly, s[:, LAYOUT["week_width"]], wide)
    y = joined(mean, day, weekly, week).astype(np.float64)
    return {"y": y, "next": following[:, STATES]}


def _seen(newest: Floats, own: bool) -> Floats:
    return np.where(newest[:, 1 + own] > 0, 1.0, np.nan)


def _narrowed(
    table: Spread, mean: Floats, width: Floats, wide: Floats, own: Own | None = None
) -> Floats:
    """float64[n, h, 3], each level's distance from the mean multiplied by ``wide``."""
    ratio = np.empty((*mean.shape, len(LEVELS)))
    at = np.log(np.maximum(mean, MEAN_MIN))
    for i, row in enumerate(_ratios(table)):
        ratio[..., i] = np.interp(at, table.knots, row)
    gap = (ratio - 1) * width[:, :, None] * table.growths(mean.shape[1])[:, None]
    if own is not None:
        gap = (1 - own.share)[..., None] * np.maximum(gap, -1) + own.gap
    out = mean[..., None] * (1 + gap * wide)
    return np.asarray(np.sort(np.maximum(out, 0), axis=2))


def _ratios(table: Spread) -> Floats:
    """float64[3, b]: the table at our levels."""
    from trainer.demand.spread import LEVELS as KNOWN

    return np.stack([[np.interp(q, KNOWN, row) for row in table.ratios] for q in LEVELS])


# -- ONNX -------------------------------------------------------------------------------------------


def emit(parts: Parts) -> bytes:
    """The graph: additions, products, comparisons and one tree ensemble; 91 days by seven doublings.

    All state-space members are one axis of every step: a node costs what a hundred numbers cost.
    """
    graph = Graph()
    paths, following = _members(graph)
    weights = _pick(graph, "s", _after(LAYOUT["weights"].start + MEMBERS.index(STATE_MEMBERS[0])))
    weights = graph.node("Mul", weights, _pick(graph, "s", LAYOUT["scale"]))
    paths = graph.node("Mul", paths, graph.node("Unsqueeze", weights, graph.axis(2)))
    mean = graph.node("Add", "other", graph.node("ReduceSum", paths, graph.axis(1), keepdims=0))
    if parts.trees is not None:
        mean = graph.node("Add", mean, _trees(graph, parts))
    weekly = graph.node("MatMul", mean, graph.constant(np.kron(np.eye(WEEKS), np.ones((7, 1)))))
    wide = graph.node("Exp", "offset")
    near = _pick(graph, mean, slice(0, DAILY_QUANTILE_DAYS))
    day = _levels(graph, parts.day, near, DAILY_QUANTILE_DAYS, "width", wide, _own(graph))
    week = _levels(graph, parts.week, weekly, WEEKS, "week_width", wide)
    y = graph.node("Concat", mean, day, weekly, week, axis=1)
    return graph.model(
        _inputs(parts),
        {
            "y": (y, ["n", len(columns())]),
            "next": (following, ["n", STATES.stop - STATES.start]),
        },
    )


def _after(at: int) -> slice:
    """As many columns as there are state-space members."""
    return slice(at, at + len(STATE_MEMBERS))


def _one(at: int) -> slice:
    return slice(at, at + 1)


def _pick(graph: Graph, value: str, part: slice, axis: int = 1) -> str:
    return graph.node("Gather", value, graph.axis(*range(part.start, part.stop)), axis=axis)


def _members(graph: Graph) -> tuple[str, str]:
    """Paths float32[n, m, h] in units of the scale, and the states after the newest day."""
    m, own = len(STATE_MEMBERS), [int(has) for has in OWN_SEASON]
    first, last = (LAYOUT[f"{STATE_MEMBERS[i]}_member"] for i in (0, -1))
    known = _pick(graph, "s", slice(first.start, last.stop))
    known = graph.node("Reshape", known, graph.axis(-1, m, (last.stop - first.start) // m))
    sizes = graph.axis(DIM * DIM, DIM, DIM, 1)
    a, w, g, gamma = graph.nodes("Split", 4, known, sizes, axis=2)
    a = graph.node("Reshape", a, graph.axis(-1, m, DIM, DIM))
    states = graph.node("Reshape", _pick(graph, "s", STATES), graph.axis(-1, m, DIM + PERIOD))
    x, today, season = graph.nodes("Split", 3, states, graph.axis(DIM, 1, PERIOD - 1), axis=2)
    error = _error(graph, graph.node("Mul", w, x), today, own)
    column = graph.node("Unsqueeze", x, graph.axis(3))
    moved = graph.node("Squeeze", graph.node("MatMul", a, column), graph.axis(3))
    x = graph.node("Add", moved, graph.node("Mul", g, error))
    renewed = graph.node("Add", today, graph.node("Mul", gamma, error))
    season = graph.node("Concat", season, renewed, axis=2)
    rows, power, days = graph.node("Unsqueeze", w, graph.axis(2)), a, 1
    while days < HORIZON_DAYS:
        rows = graph.node("Concat", rows, graph.node("MatMul", rows, power), axis=2)
        days *= 2
        power = graph.node("MatMul", power, power) if days < HORIZON_DAYS else power
    rows = _pick(graph, rows, slice(0, HORIZON_DAYS), axis=2)
    column = graph.node("Unsqueeze", x, graph.axis(3))
    level = graph.node("Squeeze", graph.node("MatMul", rows, column), graph.axis(3))
    cycle = graph.axis(*(i % PERIOD for i in range(HORIZON_DAYS)))
    cycle = graph.node("Gather", season, cycle, axis=2)
    index = graph.node("Reshape", "index", graph.axis(-1, 2, HORIZON_DAYS))
    index = graph.node("Gather", index, graph.axis(*own), axis=1)
    paths = graph.node("Relu", graph.node("Mul", graph.node("Add", level, cycle), index))
    both = graph.node("Concat", x, season, axis=2)
    return paths, graph.node("Reshape", both, graph.axis(-1, STATES.stop - STATES.start))


def _error(graph: Graph, parts: str, season: str, own: list[int]) -> str:
    """float32[n, m, 1]: the newest observation over its index less what was expected; 0: not observed."""
    expected = graph.node("Add", graph.node("ReduceSum", parts, graph.axis(2), keepdims=1), season)
    newest = graph.node("Unsqueeze", "newest", graph.axis(2))
    value = _pick(graph, newest, _one(0))
    index = graph.node("Gather", newest, graph.axis(*(1 + has for has in own)), axis=1)
    zero, one = graph.constant(0.0), graph.constant(1.0)
    open_ = graph.node("Greater", index, zero)
    told = graph.node("And", open_, graph.node("Not", graph.node("IsNaN", value)))
    safe = graph.node("Where", open_, index, one)
    seen = graph.node("Where", told, value, zero)
    gap = graph.node("Sub", graph.node("Div", seen, safe), expected)
    return graph.node("Where", told, gap, zero)


def _own(graph: Graph) -> tuple[str, str]:
    """What the pooled quantiles of each day are multiplied by, float32[n, h, 1], and what is added."""
    share = _pick(graph, "shape", slice(0, DAILY_QUANTILE_DAYS))
    left = graph.node("Sub", graph.constant(1.0), graph.node("Unsqueeze", share, graph.axis(2)))
    gap = slice(DAILY_QUANTILE_DAYS, DAILY_QUANTILE_DAYS * (1 + len(LEVELS)))
    shape = graph.axis(-1, DAILY_QUANTILE_DAYS, len(LEVELS))
    return left, graph.node("Reshape", _pick(graph, "shape", gap), shape)


def _trees(graph: Graph, parts: Parts) -> str:
    rows = graph.node("Reshape", "rows", graph.axis(-1, parts.features))
    ratio = graph.node("Exp", add_ensemble(graph, rows, [parts.trees]))
    ratio = graph.node("Reshape", ratio, graph.axis(-1, HORIZON_DAYS))
    weight = _pick(graph, "s", _one(LAYOUT["weights"].stop - 1))
    return graph.node("Mul", graph.node("Mul", ratio, "base"), weight)


def _levels(
    graph: Graph,
    table: Spread,
    mean: str,
    count: int,
    width: str,
    wide: str,
    shape: tuple[str, str] | None = None,
) -> str:
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
    gap = graph.node("Mul", graph.node("Mul", ratio, own), growth)
    if shape is not None:
        gap = graph.node("Max", gap, graph.constant(-1.0))
        gap = graph.node("Add", graph.node("Mul", gap, shape[0]), shape[1])
    gap = graph.node("Mul", gap, wide)
    middle = graph.node("Unsqueeze", mean, graph.axis(2))
    q = graph.node("Mul", middle, graph.node("Add", gap, graph.constant(1.0)))
    q = graph.node("Relu", q)
    ordered = graph.nodes("TopK", 2, q, graph.axis(len(LEVELS)), axis=2, largest=0, sorted=1)[0]
    return graph.node("Reshape", ordered, graph.axis(-1, count * len(LEVELS)))
