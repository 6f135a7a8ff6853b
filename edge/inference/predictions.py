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
    """float32[rows, o] of one service, with when and by whom each row was scored.

    ``by`` is int32[rows], the number of the model (``Loaded.number``).
    """

    def __init__(self, table: Table, columns: int) -> None:
        rows = table.keys.limit
        self._table = table
        self.values: Floats = np.zeros((rows, columns), np.float32)
        self.at_ms = np.zeros(rows, np.int64)
        self.by = np.zeros(rows, np.int32)
        self._whose = np.zeros(rows, np.uint64)

    @property
    def columns(self) -> int:
        """Values a row."""
        return int(self.values.shape[1])

    def put(self, rows: Ints, values: Floats, at_ms: int, by: "int | NDArray[np.int32]") -> None:
        """Keep ``values[n, o]`` of ``rows[n]``."""
        self.values[rows] = values
        self.at_ms[rows] = at_ms
        self.by[rows] = by
        self._whose[rows] = self._table.keys.hashes[rows]

    def put_one(
        self, row: int, values: "tuple[float, ...] | list[float]", at_ms: int, by: int
    ) -> None:
        """Keep the values of one row."""
        self.values[row] = values
        self.at_ms[row] = at_ms
        self.by[row] = by
        self._whose[row] = self._table.keys.hashes[row]

    def holds(self, row: int) -> bool:
        """Whether there is a prediction for whoever has this row now."""
        whose = self._whose[row]
        return bool(whose and whose == self._table.keys.hashes[row])

    def held(self, rows: Ints) -> NDArray[np.bool_]:
        """bool[n]: the same for many rows."""
        whose = self._whose[rows]
        return np.asarray((whose != 0) & (whose == self._table.keys.hashes[rows]))

    def drop(self, rows: Ints) -> None:
        """Forget these rows."""
        self.values[rows] = 0
        self.at_ms[rows] = 0
        self.by[rows] = 0
        self._whose[rows] = 0

    def sweep(self) -> int:
        """Clear the rows whose owners are gone; how many there were."""
        high = self._table.keys.high
        gone = np.flatnonzero(self._whose[:high] != self._table.keys.hashes[:high])
        gone = gone[self._whose[gone] != 0]
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
