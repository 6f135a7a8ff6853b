"""From the live columns to the inputs of a model: float32[n, f], NaN where there is no value.

A plan is made once for a model. Many rows are read column by column; one row is read by a function
that is put together from the catalogue's own expressions, because 25 numpy calls for one value each
would take longer than the model itself. No scoring here.
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import CodeType

import numpy as np
from numpy.typing import NDArray

from edge.features import catalog
from edge.features.state import FeatureState

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
One = Callable[[int, int], None]


class Plan:
    """Features ``names`` of ``entity``, read from ``state`` into ``x``: float32[rows_max, f].

    The plan holds on to the state's arrays, which live as long as the state. Raises KeyError for a
    name that is not in the catalogue.
    """

    def __init__(self, state: FeatureState, entity: str, names: Sequence[str], x: Floats) -> None:
        assert x.dtype == np.float32, x.dtype
        assert x.shape[1:] == (len(names),), (x.shape, len(names))
        self.names = tuple(names)
        self.x = x
        self._state = state
        reads = [catalog.BY_ENTITY[entity][name].read for name in names]
        self._columns = [(x[:, i], read) for i, read in enumerate(reads)]
        self.one: One = _compiled(state, reads, x)
        """Puts the features of one row, at a time in ms, into the first row of ``x``."""

    def many(self, rows: Ints) -> None:
        """Put the features of ``rows`` (int64[n], n <= rows_max) into the first n rows of ``x``."""
        state, n = self._state, len(rows)
        for column, read in self._columns:
            column[:n] = read(state, rows)


@lru_cache(maxsize=64)
def _code(source: str) -> CodeType:
    """Compiled once for all versions of a model: it holds the interpreter, as does the loop."""
    return compile(source, "<a plan of the feature catalogue>", "exec")


def _compiled(state: FeatureState, reads: Sequence[catalog.Read], x: Floats) -> One:
    """A function of (row, now_ms) that fills the first row of ``x``.

    Its source is made of expressions from the catalogue alone: nothing a model says is in it.
    """
    if not reads:
        return lambda row, now_ms: None
    names = catalog.Names()
    rows = np.zeros(1, np.int64)
    parts = []
    for read in reads:
        if read.one is not None:
            parts.append(read.one(state, names))
        else:  # no short way: numpy, for one row
            parts.append(f"{names.thing(read)}(state,rows).item()")
    slow = any(read.one is None for read in reads)
    lines = [
        "def one(r, now):",
        *(["    rows[0] = r"] if slow else []),
        f"    pack(buffer, 0, {', '.join(parts)})",
    ]
    scope = names.named | {
        "pack": struct.Struct(f"={len(reads)}f").pack_into,
        "buffer": x.data.cast("B"),
        "state": state,
        "rows": rows,
    }
    exec(_code("\n".join(lines)), scope)
    made: One = scope["one"]  # type: ignore[assignment]
    return made
