"""Reads that lie in several buckets, or partly in closed ones: each window is asked for itself. Pure.

Not the hot path (``read_windows.py``), which sums to the same. All windows of one shape ask the same
questions of a batch (which bucket, still open?), so they are asked once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.pool import WindowPool
from edge.features.reads import Reads
from edge.features.sketch import DistinctWindow, ranked
from edge.features.windows import RingWindow

Array = NDArray[Any]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class _Cells:
    """Where reads fall in windows of one shape: the only bucket, or a cell each and a mask."""

    __slots__ = ("bucket", "mask")

    def __init__(self, window: RingWindow | DistinctWindow, reads: Reads, lateness_ms: int) -> None:
        width_ms = window.width_ms
        first, last = int(reads.at_ms.min()) // width_ms, int(reads.at_ms.max()) // width_ms
        latest_ms = int(reads.arrival_ms.max())
        in_ring = first > window.newest - window.buckets
        open_ = in_ring and (first + 1) * width_ms + lateness_ms > latest_ms
        self.bucket = first if open_ and first == last else None
        self.mask = None if open_ else window.open(reads.at_ms, lateness_ms, reads.arrival_ms)


class ReadsApart:
    """One batch of reads, and where it falls in windows of each shape."""

    def __init__(self, reads: Reads, lateness_ms: int) -> None:
        self._reads = reads
        self._lateness_ms = lateness_ms
        self._cells: dict[tuple[int, int], _Cells] = {}

    def add_items(
        self, pool: WindowPool, slots: Ints, folded: Ints, count: Callable[[str, int], None]
    ) -> None:
        """Into the windows of active items; ``slots[n]`` is -1 where the pool is full."""
        reads = self._reads
        pooled: Mask | None = slots >= 0
        if pooled is not None and pooled.all():
            pooled = None
        elif pooled is not None:
            count("window_pool_full", int((~pooled).sum()))
        amounts = {
            "reads_5m": reads.count,
            "reads_1h": reads.count,
            "reads_24h": reads.count,
            "rssi_reads_1h": reads.loud,
            "rssi_cdbm_1h": np.where(reads.loud, reads.rssi_cdbm, 0),
            "sightings_24h": 1 - folded,
        }
        for name, amount in amounts.items():
            self.add(pool.window[name], slots, amount, pooled)
        keep = _both(pooled, self._cells_of(pool.window["reads_24h"]).mask)
        if keep is None:
            pool.touch(slots, reads.at_ms)
        else:
            pool.touch(slots[keep], reads.at_ms[keep])

    def add(self, window: RingWindow, rows: Ints, amounts: Array, keep: Mask | None) -> None:
        """``amounts[n]`` into the window's ``rows[n]``, where ``keep`` holds."""
        cells, at_ms = self._cells_of(window), self._reads.at_ms
        keep = _both(keep, cells.mask)
        amounts = amounts.astype(window.ring.dtype)
        if keep is not None:
            window.add(rows[keep], at_ms[keep], amounts[keep])
        elif cells.bucket is None:
            window.add(rows, at_ms, amounts)
        else:
            window.add_in(cells.bucket, rows, amounts)

    def add_few(self, windows: Sequence[RingWindow], rows: Ints, sums: Ints) -> None:
        """Counts into a table of few rows; ``sums`` are the counts of each row together."""
        at_ms, amounts = self._reads.at_ms, self._reads.count
        for window in windows:
            cells = self._cells_of(window)
            if cells.bucket is not None:
                window.ring[cells.bucket % window.buckets, : sums.size] += sums
                window.totals[: sums.size] += sums
            elif cells.mask is None:
                window.add_few(rows, at_ms, amounts)
            elif cells.mask.any():
                window.add_few(rows[cells.mask], at_ms[cells.mask], amounts[cells.mask])

    def add_distinct(self, sketches: Sequence[DistinctWindow], hashes: NDArray[np.uint64]) -> None:
        """Items, by their ``hashes[n]``, to the sketches of the zones that read them."""
        reads = self._reads
        register, rank = ranked(hashes, sketches[0].registers)
        for sketch in sketches:
            mask = self._cells_of(sketch).mask
            keep = slice(None) if mask is None else mask
            sketch.add_ranked(reads.zone[keep], reads.at_ms[keep], register[keep], rank[keep])

    def _cells_of(self, window: RingWindow | DistinctWindow) -> _Cells:
        shape = (window.buckets, window.width_ms)
        if shape not in self._cells:
            self._cells[shape] = _Cells(window, self._reads, self._lateness_ms)
        return self._cells[shape]


def _both(a: Mask | None, b: Mask | None) -> Mask | None:
    return b if a is None else a if b is None else a & b
