"""What has been predicted: one array a service, by state row. No models, no scoring.

A row belongs to whoever's key hash it was scored for: once the row is forgotten, or given to
another key, what stood there is nobody's.
"""

import numpy as np
from numpy.typing import NDArray

from edge.features.tables import Table

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class Predictions:
    """float32[rows, columns] of one service, with when and by whom each row was scored.

    ``by`` is int32[rows], the number of the model (``Loaded.number``); a model with fewer columns
    leaves the last ones alone. Memory is taken when a row is first written.
    """

    def __init__(self, table: Table, columns: int) -> None:
        rows = table.keys.limit
        self.columns = columns
        self.values: Floats = np.zeros((rows, columns), np.float32)
        self.at_ms = np.zeros(rows, np.int64)
        self.by = np.zeros(rows, np.int32)
        self._whose = np.zeros(rows, np.uint64)
        self._keys = table.keys
        # for one row: the same memory without numpy in between
        self._cells = self.values.data.cast("B")
        self._at, self._by, self._own = self.at_ms.data, self.by.data, self._whose.data
        self._hashes = table.keys.hashes.data
        self._row_bytes = 4 * columns

    def put(self, rows: Ints, values: Floats, at_ms: int, by: int) -> None:
        """Keep ``values[n, o]`` of ``rows[n]``, o <= columns."""
        self.values[rows, : values.shape[1]] = values
        self.at_ms[rows] = at_ms
        self.by[rows] = by
        self._whose[rows] = self._keys.hashes[rows]

    def put_one(self, row: int, told: memoryview, at_ms: int, by: int) -> None:
        """Keep the values of one row: ``told`` are the bytes of float32[o]."""
        at = row * self._row_bytes
        self._cells[at : at + len(told)] = told
        self._at[row] = at_ms
        self._by[row] = by
        self._own[row] = self._hashes[row]

    def holds(self, row: int) -> bool:
        """Whether there is a prediction for whoever has this row now."""
        whose = self._own[row]
        return bool(whose and whose == self._hashes[row])

    def held(self, rows: Ints) -> NDArray[np.bool_]:
        """bool[n]: the same for many rows."""
        whose = self._whose[rows]
        return np.asarray((whose != 0) & (whose == self._keys.hashes[rows]))

    def drop(self, rows: Ints) -> None:
        """Forget these rows."""
        self.values[rows] = 0
        self.at_ms[rows] = 0
        self.by[rows] = 0
        self._whose[rows] = 0

    def sweep(self) -> int:
        """Clear the rows whose owners are gone; how many there were."""
        high = self._keys.high
        whose = self._whose[:high]
        gone = np.flatnonzero((whose != 0) & (whose != self._keys.hashes[:high]))
        self.drop(gone)
        return len(gone)

    def nbytes(self) -> int:
        """Bytes when every row is used."""
        return row_bytes(self.columns) * len(self.at_ms)


def row_bytes(columns: int) -> int:
    """Bytes of one row of predictions with so many columns.

    >>> row_bytes(3)
    32
    """
    return 4 * columns + 8 + 4 + 8
