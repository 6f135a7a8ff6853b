"""What most services do: features (and constants of the entity) in, bounded numbers out. No state.

A service that needs more has a file of its own with the same two functions.
"""

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
        np.maximum(answers, model.low, out=answers)
        np.minimum(answers, model.high, out=answers)
    return answers


def others(model: Loaded) -> NDArray[np.int64]:
    """int64[0]: every row was answered by the model itself."""
    return _NONE


_NONE = np.zeros(0, np.int64)


def one(state: FeatureState, row: int, model: Loaded) -> list[float] | Trouble:
    """The answers for one row, by the shortest way: few calls into numpy."""
    if model.plan is not None:
        model.plan.one(row)
    if model.side is not None:
        key = state.tables[model.manifest.entity].keys.key(row)
        model.session.inputs[SIDE][0] = model.side.values[
            model.side.row_of.get(key, model.side.other)
        ]
    trouble = model.session.run(1)
    if trouble is not None:
        return trouble
    answers = model.unpack(model.buffer)
    if not model.bounded:
        return list(answers)
    return [
        low if value < low else high if value > high else value
        for value, (low, high) in zip(answers, model.bounds, strict=True)
    ]
