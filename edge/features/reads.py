"""Admitted tag reads as columns. No windows: those are in ``read_windows.py``. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

RSSI_UNKNOWN = -(1 << 30)
"""``rssi_cdbm`` of a read whose reader does not tell."""


@dataclass(slots=True)
class Reads:
    """Admitted tag reads as columns, in arrival order; every array has length n.

    ``item`` and ``reader`` are rows; ``zone`` is a zone row; ``at_ms`` event time, ``arrival_ms``
    arrival, both epoch milliseconds; ``rssi_cdbm`` hundredths of dBm, or ``RSSI_UNKNOWN`` where
    ``loud`` does not hold.
    """

    item: Ints
    reader: Ints
    zone: Ints
    antenna: Ints
    at_ms: Ints
    arrival_ms: Ints
    rssi_cdbm: Ints
    loud: Mask
    count: Ints
    quality: Ints

    def where(self, keep: Mask) -> "Reads":
        """The reads for which ``keep[n]`` holds."""
        return Reads(*(getattr(self, name)[keep] for name in self.__slots__))

    def __len__(self) -> int:
        return len(self.item)
