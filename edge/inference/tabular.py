"""What most services do: features (and constants of the entity) in, bounded numbers out. No state.

A service that needs more has a file of its own with the same two functions.
"""

import math

import numpy as np
from numpy.typing import NDArray

from edge.features.state import FeatureState
from edge.inference.model import SIDE, Loaded
from edge.inference.session import Trouble

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


def prepare(state: FeatureState, rows: Ints, model: Loaded) -> None:
    """Fill the first n rows of the model's inputs for ``rows``: int64[n]."""
    if model.plan is not None:
        model.plan.many(rows)
    if model.side is not None:
        key = state.tables[model.manifest.entity].keys.key
        model.side.put([key(row) for row in rows.tolist()], model.session.inputs[SIDE])


def interpret(model: Loaded, n: int) -> Floats:
    """float32[n, o]: the answers within their bounds; a view that the next call overwrites."""
    answers = model.output[:n]
    if model.bounded:
        np.maximum(answers, model.lows[:n], out=answers)
        np.minimum(answers, model.highs[:n], out=answers)
    return answers


def others(model: Loaded) -> NDArray[np.int64]:
    """int64[0]: every row was answered by the model itself."""
    return _NONE


_NONE = np.zeros(0, np.int64)


def one(state: FeatureState, row: int, model: Loaded) -> Trouble | bool:
    """Put the answers for one row into ``model.first``; whether all of them are numbers.

    The shortest way: few calls into numpy, and none where there are few columns.
    """
    if model.plan is not None:
        model.plan.one(row, state.now_ms)
    if model.side is not None and model.side_cells is not None:
        key = state.tables[model.manifest.entity].keys.key(row)
        model.side_cells[:] = model.side.cells(key)
    status = model.session.one()
    if status is not None:
        return model.session.failed(status)
    if not model.few:
        if model.bounded:
            np.maximum(model.first, model.low, out=model.first)
            np.minimum(model.first, model.high, out=model.first)
        return bool(model.first.dot(model.nil) == 0.0)  # nothing times what is none is no number
    values = model.unpack(model.told)
    for value, (low, high) in zip(values, model.bounds, strict=True):
        if not low <= value <= high:
            pairs = zip(values, model.bounds, strict=True)
            answers = [min(max(v, low), high) for v, (low, high) in pairs]
            model.pack(model.told, 0, *answers)
            return all(map(math.isfinite, answers))
    return math.isfinite(sum(values))
