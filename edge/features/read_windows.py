"""Tag reads, a column at a time, into every window they belong to. Pure; the hot path.

Nearly always the reads of a batch lie in one minute, and every window still holds that minute: then
they lie in one bucket of every window (widths are whole minutes), and where that bucket begins is
looked up once a minute. Otherwise each window is asked for itself, which ``read_windows_apart.py`` does.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.decay import DecayedCount
from edge.features.pool import WindowPool
from edge.features.read_windows_apart import ReadsApart
from edge.features.reads import Reads
from edge.features.sketch import DistinctWindow, ranked
from edge.features.tables import Table
from edge.features.windows import RingWindow

Array = NDArray[Any]
Ints = NDArray[np.int64]

COUNTED = ("reads_5m", "reads_1h", "reads_24h")
"""Windows of reads: of an item, a zone and a reader."""
DISTINCT = ("items_1h", "items_24h")
"""Sketches of the items that a zone saw."""

_MINUTE_MS = 60_000


class ReadWindows:
    """Takes admitted reads into the tables and the pool of a state."""

    def __init__(self, tables: Mapping[str, Table], pool: WindowPool, lateness_ms: int) -> None:
        self._item, self._zone = tables["item"], tables["zone"]
        self._reader, self._class = tables["reader"], tables["class"]
        self._pool = pool
        self._lateness_ms = lateness_ms
        self._sketches = [_sketch(self._zone, name) for name in DISTINCT]
        self._sighted = _ring(self._class, "sightings_24h")
        self._few = [(t, [_ring(t, name) for name in COUNTED]) for t in (self._zone, self._reader)]
        windows: list[RingWindow | DistinctWindow] = [*pool.window.values(), *self._sketches]
        windows.append(self._sighted)
        self._shapes = list({(w.buckets, w.width_ms): w for w in windows}.values())
        self._minute = -1  # the places below are of this minute
        self._counted = self._signal = self._strength = self._sightings = np.zeros((0, 1), np.int64)
        self._of_few: list[list[Array]] = []

    def take(self, reads: Reads, repeat_ms: int, count: Callable[[str, int], None]) -> Ints:
        """Into every window; int64[n], 1 where a read was folded into the sighting before it."""
        few = (reads.zone, reads.reader)
        sums = [np.bincount(rows, reads.count).astype(np.int64) for rows in few]
        self._columns(reads, sums)
        folded = self._fold(reads, repeat_ms)
        slots = self._pool.claim(reads.item)
        if int(slots.min()) >= 0 and self._together(reads) and self._room(reads):
            self._add_together(reads, folded, slots, sums)
        else:
            apart = ReadsApart(reads, self._lateness_ms)
            apart.add_items(self._pool, slots, folded, count)
            for (_, windows), rows, of_rows in zip(self._few, few, sums, strict=True):
                apart.add_few(windows, rows, of_rows)
            apart.add_distinct(self._sketches, self._item.keys.hashes[reads.item])
            rows = self._item.col["class_row"][reads.item].astype(np.int64)
            apart.add(self._sighted, rows, 1 - folded, rows >= 0)
        return folded

    # -- columns --------------------------------------------------------------------------------

    def _columns(self, reads: Reads, sums: list[Ints]) -> None:
        col, rows, arrival_ms = self._item.col, reads.item, reads.arrival_ms
        np.maximum.at(col["last_read_ms"], rows, reads.at_ms)
        np.maximum.at(col["last_event_ms"], rows, arrival_ms)
        np.add.at(col["reads_total"], rows, reads.count)
        first = col["first_seen_ms"][rows]
        first -= 1  # never seen: becomes the greatest of all unsigned numbers
        new = np.flatnonzero(first.view(np.uint64) >= arrival_ms.view(np.uint64))
        if len(new):  # written backwards, so that the earliest arrival stays
            new = new[::-1]
            col["first_seen_ms"][rows[new]] = arrival_ms[new]
        # where a row repeats, numpy keeps the last assignment: the newest arrival
        col["reader_row"][rows] = reads.reader
        col["antenna"][rows] = reads.antenna
        col["time_quality"][rows] = reads.quality
        if reads.loud.all():
            col["rssi_last_cdbm"][rows] = reads.rssi_cdbm
        else:
            col["rssi_last_cdbm"][rows[reads.loud]] = reads.rssi_cdbm[reads.loud]
        for table, row in ((self._item, rows), (self._zone, reads.zone)):
            ew = table.part["reads_ew_1h"]
            assert isinstance(ew, DecayedCount)
            ew.add(row, arrival_ms, reads.count)
        for table, row in ((self._zone, reads.zone), (self._reader, reads.reader)):
            np.maximum.at(table.col["last_read_ms"], row, reads.at_ms)
        of_readers = sums[1]
        self._reader.col["reads_total"][: of_readers.size] += of_readers

    def _fold(self, reads: Reads, repeat_ms: int) -> Ints:
        """int64[n], 1 where an item was last read in the same zone and repeat cell."""
        col = self._item.col
        order = np.argsort(reads.item, kind="stable")
        row = reads.item[order]
        cell, zone = (reads.at_ms // repeat_ms)[order], reads.zone[order]
        first = np.empty(len(row) + 1, np.bool_)  # of its item, in this batch
        first[0] = first[-1] = True
        np.not_equal(row[1:], row[:-1], out=first[1:-1])
        starts, ends = np.flatnonzero(first[:-1]), np.flatnonzero(first[1:])
        same = np.empty(len(row), np.bool_)
        np.equal(cell[1:], cell[:-1], out=same[1:])
        same[1:] &= zone[1:] == zone[:-1]
        whom = row[starts]
        same[starts] = (col["sight_cell"][whom] == cell[starts]) & (
            col["sight_zone_row"][whom] == zone[starts]
        )
        col["sight_cell"][whom] = cell[ends]
        col["sight_zone_row"][whom] = zone[ends]
        if not same.all():
            np.add.at(col["sightings_total"], row[~same], np.int32(1))
        folded = np.empty(len(row), np.int64)
        folded[order] = same
        return folded

    # -- all in one minute ------------------------------------------------------------------------

    def _together(self, reads: Reads) -> bool:
        """Whether every read lies in one minute that is open in every window."""
        first_ms = int(reads.at_ms.min())
        minute = first_ms // _MINUTE_MS
        if int(reads.at_ms.max()) // _MINUTE_MS != minute:
            return False
        latest_ms = int(reads.arrival_ms.max()) - self._lateness_ms
        for window in self._shapes:
            bucket = first_ms // window.width_ms
            if bucket <= window.newest - window.buckets:
                return False
            if (bucket + 1) * window.width_ms <= latest_ms:
                return False
        if minute != self._minute:
            self._minute = minute
            self._find_places(first_ms)
        return True

    def _find_places(self, at_ms: int) -> None:
        """Where the buckets and totals of this minute begin in what holds them."""
        pool = self._pool
        self._counted = pool.places(COUNTED, at_ms)
        self._signal = pool.places(("rssi_reads_1h",), at_ms)
        self._strength = pool.places(("rssi_cdbm_1h",), at_ms)
        self._sightings = pool.places(("sightings_24h",), at_ms)
        self._of_few = [
            [part for w in windows for part in (w.ring[at_ms // w.width_ms % w.buckets], w.totals)]
            for _, windows in self._few
        ]

    def _room(self, reads: Reads) -> bool:
        """Whether no sum can reach the end of its range, in any window."""
        window, n = self._pool.window, len(reads)
        counted = int(reads.count.max()) * n
        room = [window[name].has_room(counted) for name in COUNTED]
        room += [window[name].has_room(n) for name in ("rssi_reads_1h", "sightings_24h")]
        loudest = int(reads.rssi_cdbm.max())
        room += [window["rssi_cdbm_1h"].has_room(max(loudest, 0) * n), self._sighted.has_room(n)]
        return all(room)

    def _add_together(self, reads: Reads, folded: Ints, slots: Ints, sums: list[Ints]) -> None:
        pool, n = self._pool, len(reads)
        counted = len(self._counted)
        amounts = np.empty((counted + len(self._signal), n), np.int32)
        amounts[:counted] = reads.count
        amounts[counted:] = reads.loud
        index = np.empty((len(amounts), n), np.int64)
        np.add(slots, self._counted, out=index[:counted])
        np.add(slots, self._signal, out=index[counted:])
        np.add.at(pool.cells(np.int32), index.reshape(-1), amounts.reshape(-1))
        strength = reads.rssi_cdbm if reads.loud.all() else np.where(reads.loud, reads.rssi_cdbm, 0)
        for place in self._strength[:, 0].tolist():
            np.add.at(pool.cells(np.int64), slots + place, strength)
        pool.touch(slots, reads.at_ms)
        self._add_sightings(reads, folded, slots)
        for of_minute, of_rows in zip(self._of_few, sums, strict=True):
            for part in of_minute:
                part[: of_rows.size] += of_rows
        self._add_distinct(reads)

    def _add_sightings(self, reads: Reads, folded: Ints, slots: Ints) -> None:
        new = np.flatnonzero(folded == 0)
        if not len(new):
            return
        for place in self._sightings[:, 0].tolist():
            np.add.at(self._pool.cells(np.int32), slots[new] + place, np.int32(1))
        rows = self._item.col["class_row"][reads.item[new]].astype(np.int64)
        rows = rows[rows >= 0]
        bucket = int(reads.at_ms[0]) // self._sighted.width_ms
        np.add.at(self._sighted.ring[bucket % self._sighted.buckets], rows, np.int32(1))
        np.add.at(self._sighted.totals, rows, np.int32(1))

    def _add_distinct(self, reads: Reads) -> None:
        registers = self._sketches[0].registers
        register, rank = ranked(self._item.keys.hashes[reads.item], registers)
        cell = reads.zone * registers + register
        for sketch in self._sketches:
            bucket = int(reads.at_ms[0]) // sketch.width_ms % sketch.buckets
            np.maximum.at(sketch.ring[bucket].reshape(-1), cell, rank)


def _ring(table: Table, name: str) -> RingWindow:
    window = table.part[name]
    assert isinstance(window, RingWindow)
    return window


def _sketch(table: Table, name: str) -> DistinctWindow:
    window = table.part[name]
    assert isinstance(window, DistinctWindow)
    return window
