"""Windows for the rows that are active only. Most items of a shop lie still most of the day.

A slot is taken at a row's first event and given back once all its windows have run empty, so a
row without a slot and a row with an empty one read the same.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.windows import RingWindow, put_sparse

Ints = NDArray[np.int64]
Array = NDArray[Any]


class WindowPool:
    """Ring windows over ``size`` slots, shared by ``rows`` rows.

    ``slot`` is int32[rows], -1 where a row has none.
    """

    def __init__(self, rows: int, size: int, windows: Mapping[str, tuple[int, int, Any]]) -> None:
        self.slot = np.full(rows, -1, np.int32)
        # windows of one type lie in one array, so that one addition reaches them all
        cells = {
            np.dtype(dtype): sum(b + 1 for b, _, d in windows.values() if d is dtype) * size
            for _, _, dtype in windows.values()
        }
        self._cells = {dtype: np.zeros(cells[dtype], dtype) for dtype in cells}
        self._begin: dict[str, int] = {}  # where a window begins there
        self.window: dict[str, RingWindow] = {}
        taken = dict.fromkeys(cells, 0)
        for name, (buckets, width_ms, dtype) in windows.items():
            begin = taken[np.dtype(dtype)]
            end = taken[np.dtype(dtype)] = begin + (buckets + 1) * size
            mine = self._cells[np.dtype(dtype)][begin:end]
            self._begin[name] = begin
            self.window[name] = RingWindow(size, buckets, width_ms, dtype, mine)
        self.size = size
        self.high = 0
        self.refused = 0
        self._owner = np.full(size, -1, np.int64)
        self._last_at_ms = np.zeros(size, np.int64)
        self._free: deque[int] = deque()
        self._span_ms = max(w.buckets * w.width_ms for w in self.window.values())
        self._sweep_ms = max(w.width_ms for w in self.window.values())
        self._swept = -(1 << 40)

    def roll(self, now_ms: int) -> None:
        """Let time reach ``now_ms``; slots whose windows have all run empty are given back."""
        for window in self.window.values():
            window.roll(now_ms, self.high)
        number = now_ms // self._sweep_ms
        if number > self._swept:
            self._swept = number
            used = self._owner[: self.high] >= 0
            idle = used & (self._last_at_ms[: self.high] < now_ms - self._span_ms)
            self._give_back(np.flatnonzero(idle))

    def cells(self, dtype: Any) -> Array:
        """All windows of one type, one after the other; slot s of a place is at place + s."""
        return self._cells[np.dtype(dtype)]

    def places(self, names: Sequence[str], at_ms: int) -> Ints:
        """int64[2 * windows, 1]: where the bucket of ``at_ms`` and the totals of each begin."""
        found = []
        for name in names:
            window, begin = self.window[name], self._begin[name]
            found.append(begin + at_ms // window.width_ms % window.buckets * self.size)
            found.append(begin + window.buckets * self.size)
        return np.array(found, np.int64)[:, None]

    def claim(self, rows: Ints) -> Ints:
        """int64[n] slots of ``rows``, taken if need be; -1 once the pool is full."""
        slots = self.slot[rows].astype(np.int64)
        if not len(slots) or int(slots.min()) >= 0:
            return slots
        for i in np.flatnonzero(slots < 0).tolist():
            row = int(rows[i])
            slots[i] = self.slot[row] = self._take(row) if self.slot[row] < 0 else self.slot[row]
        return slots

    def touch(self, slots: Ints, at_ms: Ints) -> None:
        """Events at ``at_ms[n]`` reached ``slots[n]``: keep them at least for the longest window."""
        np.maximum.at(self._last_at_ms, slots, at_ms)

    def totals(self, name: str, rows: Ints) -> Ints:
        """int64[n] window sums of rows; 0 without a slot."""
        slots = self.slot[rows]
        return np.where(slots >= 0, self.window[name].totals[slots], 0).astype(np.int64)

    def release(self, rows: Ints) -> None:
        """Forget these rows."""
        slots = self.slot[rows].astype(np.int64)
        slots = slots[slots >= 0]
        for window in self.window.values():
            window.clear(slots)
        self._give_back(slots)

    def used(self) -> int:
        """Slots in use."""
        return self.high - len(self._free)

    def nbytes(self) -> int:
        """Bytes that a full pool takes."""
        rings = sum(w.ring.nbytes + w.totals.nbytes for w in self.window.values())
        return rings + self.slot.nbytes + self._owner.nbytes + self._last_at_ms.nbytes

    def save(self) -> dict[str, Array]:
        """Arrays that ``load`` takes back."""
        high = self.high
        arrays: dict[str, Array] = {
            "owner": self._owner[:high],
            "last_at_ms": self._last_at_ms[:high],
            "swept": np.array([self._swept], np.int64),
        }
        for name, window in self.window.items():
            arrays[f"{name}.ring"] = window.ring[:, :high]
            arrays[f"{name}.totals"] = window.totals[:high]
            arrays[f"{name}.moment"] = np.array([window.newest], np.int64)
        return arrays

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take back what ``save`` gave, into a fresh pool. Raises ValueError beyond the size."""
        high = len(arrays["owner"])
        if high > self.size:
            raise ValueError(f"{high} active items stored, but active_items_max is {self.size}")
        self.high = high
        self._owner[:high] = arrays["owner"]
        self._last_at_ms[:high] = arrays["last_at_ms"]
        self._swept = int(arrays["swept"][0])
        for name, window in self.window.items():
            ring = arrays.get(f"{name}.ring")
            if ring is None or len(ring) != window.buckets:
                continue  # of another version: starts empty
            put_sparse(window.ring[:, :high], ring)
            put_sparse(window.totals[:high], arrays[f"{name}.totals"])
            window.newest = int(arrays[f"{name}.moment"][0])
            window.forget_bound()
        used = np.flatnonzero(self._owner[:high] >= 0)
        self.slot[self._owner[used]] = used
        self._free = deque(np.flatnonzero(self._owner[:high] < 0).tolist())

    def canonical(self, rows: Ints) -> dict[str, Any]:
        """Window content of ``rows`` in that order, empty where there is no slot."""
        slots = self.slot[rows]
        out: dict[str, Any] = {}
        for name, window in self.window.items():
            out[f"{name}.newest"] = window.newest
            out[f"{name}.ring"] = np.where(slots >= 0, window.ring[:, slots], 0)
            out[f"{name}.totals"] = np.where(slots >= 0, window.totals[slots], 0)
        return out

    def absorb(self, other: "WindowPool", rows: Ints, to: Ints) -> None:
        """Add the windows of another pool's ``rows`` to rows ``to`` of this one."""
        for name, window in self.window.items():
            window.newest = max(window.newest, other.window[name].newest)
        self._swept = max(self._swept, other._swept)
        active = other.slot[rows] >= 0
        theirs = other.slot[rows[active]].astype(np.int64)
        mine = self.claim(to[active])
        assert (mine >= 0).all(), "the pool is too small for what it absorbs"
        self.touch(mine, other._last_at_ms[theirs])
        for name, window in self.window.items():
            window.ring[:, mine] += other.window[name].ring[:, theirs]
            window.totals[mine] += other.window[name].totals[theirs]
            window.forget_bound()

    def _take(self, row: int) -> int:
        if self._free:
            slot = self._free.popleft()
        elif self.high < self.size:
            slot = self.high
            self.high += 1
        else:
            self.refused += 1
            return -1
        self._owner[slot] = row
        self._last_at_ms[slot] = 0
        return slot

    def _give_back(self, slots: Ints) -> None:
        self.slot[self._owner[slots]] = -1
        self._owner[slots] = -1
        self._free.extend(slots.tolist())
