"""Tag reads, a column at a time, into every window they belong to. Pure; the hot path.

All windows of one bucket width ask the same questions of a batch (which bucket, still open?), so
they are asked once. Nearly always a batch lies in one bucket a width and all of it is open: then no
mask and no index is built at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.decay import DecayedCount
from edge.features.pool import WindowPool
from edge.features.sketch import DistinctWindow, ranked
from edge.features.tables import Table
from edge.features.windows import RingWindow

Array = NDArray[Any]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

RSSI_UNKNOWN = -(1 << 30)


@dataclass(slots=True)
class Reads:
    """Admitted tag reads as columns, in arrival order; every array has length n.

    ``item`` and ``reader`` are rows; ``zone`` is a zone row; ``at_ms`` event time, ``arrival_ms``
    arrival, both epoch milliseconds; ``rssi_cdbm`` hundredths of dBm or ``RSSI_UNKNOWN``.
    """

    item: Ints
    reader: Ints
    zone: Ints
    antenna: Ints
    at_ms: Ints
    arrival_ms: Ints
    rssi_cdbm: Ints
    count: Ints
    quality: Ints

    def where(self, keep: Mask) -> "Reads":
        """The reads for which ``keep[n]`` holds."""
        return Reads(*(getattr(self, name)[keep] for name in self.__slots__))

    def __len__(self) -> int:
        return len(self.item)


class _Cells:
    """Where reads fall in windows of one shape: the only bucket, or a cell each and a mask."""

    __slots__ = ("at_ms", "bucket", "mask")

    def __init__(self, window: RingWindow | DistinctWindow, reads: Reads, lateness_ms: int) -> None:
        width_ms = window.width_ms
        first, last = int(reads.at_ms.min()) // width_ms, int(reads.at_ms.max()) // width_ms
        latest_ms = int(reads.arrival_ms.max())
        in_ring = first > window.newest - window.buckets
        open_ = in_ring and (first + 1) * width_ms + lateness_ms > latest_ms
        self.at_ms = reads.at_ms
        self.bucket = first if open_ and first == last else None
        self.mask = None if open_ else window.open(reads.at_ms, lateness_ms, reads.arrival_ms)


class ReadWindows:
    """Takes admitted reads into the tables and the pool of a state."""

    def __init__(self, tables: Mapping[str, Table], pool: WindowPool, lateness_ms: int) -> None:
        self._item, self._zone = tables["item"], tables["zone"]
        self._reader, self._class = tables["reader"], tables["class"]
        self._pool = pool
        self._lateness_ms = lateness_ms

    def take(self, reads: Reads, repeat_ms: int, count: Callable[[str, int], None]) -> Ints:
        """Into every window; int64[n], 1 where a read was folded into the sighting before it."""
        self._columns(reads)
        folded = self._sightings(reads, repeat_ms)
        cells: dict[tuple[int, int], _Cells] = {}

        def cells_of(window: RingWindow | DistinctWindow) -> _Cells:
            shape = (window.buckets, window.width_ms)
            if shape not in cells:
                cells[shape] = _Cells(window, reads, self._lateness_ms)
            return cells[shape]

        self._item_windows(reads, folded, cells_of, count)
        for table, rows in ((self._zone, reads.zone), (self._reader, reads.reader)):
            sums = np.bincount(rows, reads.count).astype(np.int64)
            for name in ("reads_5m", "reads_1h", "reads_24h"):
                _add_few(_ring(table, name), rows, reads.count, sums, cells_of)
        self._distinct(reads, cells_of)
        rows = self._item.col["class_row"][reads.item].astype(np.int64)
        _add(_ring(self._class, "sightings_24h"), rows, 1 - folded, cells_of, rows >= 0)
        return folded

    def _columns(self, reads: Reads) -> None:
        col, rows = self._item.col, reads.item
        np.maximum.at(col["last_read_ms"], rows, reads.at_ms)
        np.maximum.at(col["last_event_ms"], rows, reads.arrival_ms)
        np.add.at(col["reads_total"], rows, reads.count)
        first = col["first_seen_ms"][rows]
        new = np.flatnonzero((first == 0) | (first > reads.arrival_ms))[::-1]
        if len(new):  # written backwards, so that the earliest arrival stays
            col["first_seen_ms"][rows[new]] = reads.arrival_ms[new]
        # where a row repeats, numpy keeps the last assignment: the newest arrival
        col["reader_row"][rows] = reads.reader
        col["antenna"][rows] = reads.antenna
        col["time_quality"][rows] = reads.quality
        loud = reads.rssi_cdbm != RSSI_UNKNOWN
        col["rssi_last_cdbm"][rows[loud]] = reads.rssi_cdbm[loud]
        for table, row in ((self._item, rows), (self._zone, reads.zone)):
            ew = table.part["reads_ew_1h"]
            assert isinstance(ew, DecayedCount)
            ew.add(row, reads.arrival_ms, reads.count)
        for table, row in ((self._zone, reads.zone), (self._reader, reads.reader)):
            np.maximum.at(table.col["last_read_ms"], row, reads.at_ms)
        np.add.at(self._reader.col["reads_total"], reads.reader, reads.count)

    def _sightings(self, reads: Reads, repeat_ms: int) -> Ints:
        """A read is folded when its item was last read in the same zone and repeat cell."""
        col, rows = self._item.col, reads.item
        cell = reads.at_ms // repeat_ms
        order = np.argsort(rows, kind="stable")
        row, cells, zones = rows[order], cell[order], reads.zone[order]
        first = np.ones(len(row), np.bool_)
        first[1:] = row[1:] != row[:-1]
        before_cell, before_zone = np.empty_like(cells), np.empty_like(zones)
        before_cell[1:], before_zone[1:] = cells[:-1], zones[:-1]
        before_cell[first] = col["sight_cell"][row[first]]
        before_zone[first] = col["sight_zone_row"][row[first]]
        same = (before_cell == cells) & (before_zone == zones)
        last = np.ones(len(row), np.bool_)
        last[:-1] = first[1:]
        col["sight_cell"][row[last]] = cells[last]
        col["sight_zone_row"][row[last]] = zones[last]
        np.add.at(col["sightings_total"], row[~same], np.int32(1))
        folded = np.zeros(len(row), np.int64)
        folded[order] = same
        return folded

    def _item_windows(
        self,
        reads: Reads,
        folded: Ints,
        cells_of: "CellsOf",
        count: Callable[[str, int], None],
    ) -> None:
        slots = self._pool.claim(reads.item)
        pooled: Mask | None = slots >= 0
        if pooled is not None and pooled.all():
            pooled = None
        elif pooled is not None:
            count("window_pool_full", int((~pooled).sum()))
        loud = reads.rssi_cdbm != RSSI_UNKNOWN
        amounts = {
            "reads_5m": reads.count,
            "reads_1h": reads.count,
            "reads_24h": reads.count,
            "rssi_reads_1h": loud,
            "rssi_cdbm_1h": np.where(loud, reads.rssi_cdbm, 0),
            "sightings_24h": 1 - folded,
        }
        for name, amount in amounts.items():
            _add(self._pool.window[name], slots, amount, cells_of, pooled)
        keep = _both(pooled, cells_of(self._pool.window["reads_24h"]).mask)
        if keep is None:
            self._pool.touch(slots, reads.at_ms)
        else:
            self._pool.touch(slots[keep], reads.at_ms[keep])

    def _distinct(self, reads: Reads, cells_of: "CellsOf") -> None:
        hashes = self._item.keys.hashes[reads.item]
        register: Ints | None = None
        for name in ("items_1h", "items_24h"):
            sketch = self._zone.part[name]
            assert isinstance(sketch, DistinctWindow)
            if register is None:
                register, rank = ranked(hashes, sketch.registers)
            mask = cells_of(sketch).mask
            keep = slice(None) if mask is None else mask
            sketch.add_ranked(reads.zone[keep], reads.at_ms[keep], register[keep], rank[keep])


CellsOf = Callable[[RingWindow | DistinctWindow], _Cells]


def _ring(table: Table, name: str) -> RingWindow:
    window = table.part[name]
    assert isinstance(window, RingWindow)
    return window


def _both(a: Mask | None, b: Mask | None) -> Mask | None:
    return b if a is None else a if b is None else a & b


def _add(
    window: RingWindow, rows: Ints, amounts: Array, cells_of: CellsOf, keep: Mask | None
) -> None:
    cells = cells_of(window)
    keep = _both(keep, cells.mask)
    amounts = amounts.astype(window.ring.dtype)
    if keep is not None:
        window.add(rows[keep], cells.at_ms[keep], amounts[keep])
    elif cells.bucket is None:
        window.add(rows, cells.at_ms, amounts)
    else:
        window.add_in(cells.bucket, rows, amounts)


def _add_few(window: RingWindow, rows: Ints, amounts: Ints, sums: Ints, cells_of: CellsOf) -> None:
    """Into a table of few rows; ``sums`` are the amounts of each row together."""
    cells = cells_of(window)
    if cells.bucket is not None:
        window.ring[cells.bucket % window.buckets, : sums.size] += sums
        window.totals[: sums.size] += sums
    elif cells.mask is None:
        window.add_few(rows, cells.at_ms, amounts)
    elif cells.mask.any():
        window.add_few(rows[cells.mask], cells.at_ms[cells.mask], amounts[cells.mask])
