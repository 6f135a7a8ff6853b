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


def one(state: FeatureState, row: int, model: Loaded) -> Trouble | None:
    """Put the answers for one row into ``model.first`` by the shortest way: few calls into numpy."""
    if model.plan is not None:
        model.plan.one(row)
    if model.side is not None and model.side_cells is not None:
        key = state.tables[model.manifest.entity].keys.key(row)
        model.side_cells[:] = model.side.cells(key)
    trouble = model.session.run(1)
    if trouble is None and model.bounded:
        if model.bounds:  # few columns: calling numpy takes longer
            model.pack(
                model.told,
                0,
                *[
                    low if value < low else high if value > high else value
                    for value, (low, high) in zip(
                        model.unpack(model.told), model.bounds, strict=True
                    )
                ],
            )
        else:
            np.maximum(model.first, model.low, out=model.first)
            np.minimum(model.first, model.high, out=model.first)
    return trouble
