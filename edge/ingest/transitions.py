"""What people are told of tags: arrived, moved, departed, as columns. Who finds it out is ``presence.py``."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

I16 = NDArray[np.int16]
I64 = NDArray[np.int64]

NOWHERE = -1
"""The zone of a tag that is in none."""


class Kind(IntEnum):
    """What people are told."""

    ARRIVED = 0
    MOVED = 1
    DEPARTED = 2


class Transitions(NamedTuple):
    """What people are told, in order of (at_ms, departures last, item): columns of one length n."""

    kind: NDArray[np.int8]  # a Kind
    item: I64
    old_zone: I16  # NOWHERE for arrivals
    new_zone: I16  # NOWHERE for departures
    at_ms: I64  # the end of the epoch in which it was found, epoch milliseconds
    last_read_ms: I64  # newest read of the item anywhere, epoch milliseconds

    @classmethod
    def empty(cls) -> "Transitions":
        """Nothing to tell."""
        return NOTHING

    @classmethod
    def join(cls, parts: "Sequence[Transitions]") -> "Transitions":
        """One after the other."""
        full = [part for part in parts if len(part.item)]
        if len(full) < 2:
            return full[0] if full else NOTHING
        return cls(
            np.concatenate([part.kind for part in full]),
            np.concatenate([part.item for part in full]),
            np.concatenate([part.old_zone for part in full]),
            np.concatenate([part.new_zone for part in full]),
            np.concatenate([part.at_ms for part in full]),
            np.concatenate([part.last_read_ms for part in full]),
        )

    def take(self, rows: slice | NDArray[np.bool_] | NDArray[np.int64]) -> "Transitions":
        """Chosen rows, in the order given."""
        return Transitions(
            self.kind[rows],
            self.item[rows],
            self.old_zone[rows],
            self.new_zone[rows],
            self.at_ms[rows],
            self.last_read_ms[rows],
        )


NOTHING = Transitions(
    np.empty(0, np.int8),
    np.empty(0, np.int64),
    np.empty(0, np.int16),
    np.empty(0, np.int16),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
)
