"""Rolling windows over rows: counts and sums in a ring of time buckets. Pure; integers only.

A window of ``buckets`` buckets, each ``width_ms`` wide, read at time t covers the bucket that holds
t and the ``buckets - 1`` before it: between ``(buckets - 1) * width_ms`` and ``buckets * width_ms``
of event time. Buckets are aligned to the epoch, so the same events give the same sums in any order
and any split into batches, as long as each bucket is still open when its events arrive.

Only ``roll`` moves time; reading never does, or replay and live would differ.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_PIECE = 16_384
_STRETCH = 8_192


def put_sparse(target: NDArray[Any], source: NDArray[Any]) -> None:
    """Copy ``source`` into a zeroed ``target`` of the same shape, leaving empty stretches untouched.

    Pages that were never written take no memory, and most buckets of most rows are empty.
    """
    if target.ndim > 1:
        for part, stored in zip(target, source, strict=True):
            put_sparse(part, stored)
        return
    for start in range(0, len(source), _STRETCH):
        piece = source[start : start + _STRETCH]
        if piece.any():
            target[start : start + _STRETCH] = piece


def cells_of(array: NDArray[Any]) -> memoryview:
    """The same memory one value at a time: Python's integers in and out, ValueError beyond the type.

    An array's own elements are numpy's integers, which cost three times as much.
    """
    return memoryview(array)  # type: ignore[arg-type]  # numpy tells types of it from 3.12 on


class RingWindow:
    """int[buckets, rows] in bucket-major order, so that closing a bucket is one contiguous pass.

    ``totals[rows]`` is kept equal to the sum of a row's buckets, and lies behind the last bucket:
    both are views of ``cells``, zeros that may be handed in (dtype[(buckets + 1) * rows]).
    """

    def __init__(
        self,
        rows: int,
        buckets: int,
        width_ms: int,
        dtype: Any = np.int32,
        cells: NDArray[Any] | None = None,
    ) -> None:
        assert buckets > 0, buckets
        assert width_ms > 0, width_ms
        self.buckets = buckets
        self.width_ms = width_ms
        if cells is None:
            cells = np.zeros((buckets + 1) * rows, dtype)
        self.ring = cells[: buckets * rows].reshape(buckets, rows)
        self.totals = cells[buckets * rows :]
        self.newest = -(1 << 40)  # number of the newest bucket
        self._most = int(np.iinfo(self.ring.dtype).max) // buckets  # so that totals always fit
        self.forget_bound()

    def forget_bound(self) -> None:
        """The arrays were written from outside: look at them again before trusting the bound."""
        self._bound = self._most + 1  # no total is above it

    def roll(self, now_ms: int, high: int) -> None:
        """Let time reach ``now_ms``; rows at or above ``high`` are known to be empty."""
        bucket = now_ms // self.width_ms
        passed = bucket - self.newest
        if passed <= 0:
            return
        if passed >= self.buckets:
            self.ring[:, :high] = 0
            self.totals[:high] = 0
        else:
            for number in range(self.newest + 1, bucket + 1):
                oldest = self.ring[number % self.buckets, :high]
                if oldest.any():  # else its pages may never have been touched: leave them so
                    self.totals[:high] -= oldest
                    oldest[:] = 0
        self.newest = bucket
        self.forget_bound()

    def open(self, at_ms: Ints, lateness_ms: int, arrival_ms: Ints) -> NDArray[np.bool_]:
        """bool[n]: whether the bucket of each event is still in the ring and not closed.

        A bucket closes ``lateness_ms`` after its end, by the time the event arrived.
        """
        bucket = at_ms // self.width_ms
        not_closed = (bucket + 1) * self.width_ms + lateness_ms > arrival_ms
        return not_closed & (bucket > self.newest - self.buckets)

    def holds(self, at_ms: Ints) -> NDArray[np.bool_]:
        """bool[n]: whether the bucket of each moment is in the ring."""
        bucket = at_ms // self.width_ms
        return np.asarray((bucket > self.newest - self.buckets) & (bucket <= self.newest))

    def add(self, rows: Ints, at_ms: Ints, amounts: NDArray[Any]) -> None:
        """Add ``amounts[n]`` to the buckets of ``at_ms[n]``; all must be open (see ``open``).

        A bucket's sum stays at the end of its range. Amounts are below 2**16 where buckets are
        int32, so that ``_PIECE`` of them cannot wrap around unseen.
        """
        cells = self.ring.reshape(-1)
        index = at_ms // self.width_ms % self.buckets * self.totals.size + rows
        self._add(cells, index, rows, amounts)

    def add_in(self, bucket: int, rows: Ints, amounts: NDArray[Any]) -> None:
        """Like ``add``, all into one open bucket."""
        self._add(self.ring[bucket % self.buckets], rows, rows, amounts)

    def _add(self, cells: NDArray[Any], index: Ints, rows: Ints, amounts: NDArray[Any]) -> None:
        if self.has_room(max(int(amounts.max()), 0) * len(amounts) if len(amounts) else 0):
            np.add.at(cells, index, amounts)
            np.add.at(self.totals, rows, amounts)
            return
        for start in range(0, len(rows), _PIECE):
            piece = slice(start, start + _PIECE)
            at = index[piece]
            np.add.at(cells, at, amounts[piece])
            np.add.at(self.totals, rows[piece], amounts[piece])
            over = cells[at] > self._most
            if over.any():
                full = np.unique(at[over])
                np.subtract.at(self.totals, full % self.totals.size, cells[full] - self._most)
                cells[full] = self._most

    def has_room(self, added: int) -> bool:
        """Whether no bucket can reach the end of its range by adding so much, which is noted."""
        if self._bound + added > self._most:
            self._bound = max(int(self.totals.max()), 0)
        self._bound += added
        return self._bound <= self._most

    def add_few(self, rows: Ints, at_ms: Ints, amounts: NDArray[Any]) -> None:
        """Like ``add``, for tables with few rows: sums a bucket at a time."""
        bucket = at_ms // self.width_ms
        for number in range(int(bucket.min()), int(bucket.max()) + 1):
            mine = bucket == number
            # float64 weights are exact below 2**53
            sums = np.bincount(rows[mine], amounts[mine]).astype(self.ring.dtype)
            self.ring[number % self.buckets, : sums.size] += sums
            self.totals[: sums.size] += sums

    def clear(self, rows: Ints) -> None:
        """Forget these rows."""
        self.ring[:, rows] = 0
        self.totals[rows] = 0

    def last(self, rows: Ints, buckets: int) -> Ints:
        """int64[n] sums over the newest ``buckets`` buckets only."""
        numbers = np.arange(self.newest - buckets + 1, self.newest + 1) % self.buckets
        return np.asarray(self.ring[numbers[:, None], rows].sum(axis=0), np.int64)


def each(values: Any) -> Any:
    """A day counts with its value."""
    return values


def above_zero(values: Any) -> Any:
    """A day counts with its value, and one below zero not at all."""
    return values * (values > 0)


def days_above_zero(values: Any) -> Any:
    """A day with a value above zero counts as one."""
    return (values > 0) * 1


class DayRing:
    """int[days, rows]: one value a row and local day, the newest ``days`` days.

    ``today`` is the number of the newest day; ``day`` of an event must lie in the ring. For each
    length in ``windows``, ``sums[length]`` is int64[rows]: the sum of ``tally`` over the newest so
    many days, today included, kept equal to that of the cells; whoever writes into ``ring`` from
    outside says so (``recount``). Such a sum is read in a moment, whatever its length.
    """

    def __init__(
        self,
        rows: int,
        days: int,
        dtype: Any = np.int32,
        windows: tuple[int, ...] = (),
        tally: Callable[[Any], Any] = each,
    ) -> None:
        assert days > 0, days
        assert all(0 < length <= days for length in windows), windows
        self.days = days
        self.ring = np.zeros((days, rows), dtype)
        self.tally = tally
        self.sums = {length: np.zeros(rows, np.int64) for length in windows}
        self._cells = cells_of(self.ring)
        self._sum_cells = [(length, cells_of(sums)) for length, sums in self.sums.items()]
        self.today = -(1 << 40)
        limits = np.iinfo(self.ring.dtype)
        most = min(int(limits.max), 1 << 53)  # so that the sum of all days fits, exact as a float
        self._least, self._most = -most, most

    def roll(self, today: int, high: int) -> None:
        """Let the local day ``today`` begin."""
        passed = today - self.today
        if passed <= 0:
            return
        if passed >= self.days:
            self.ring[:, :high] = 0
            for sums in self.sums.values():
                sums[:high] = 0
        else:
            for day in range(self.today + 1, today + 1):
                for length, sums in self.sums.items():
                    leaving = self.ring[(day - length) % self.days, :high]
                    sums[:high] -= self.tally(leaving)
                self.ring[day % self.days, :high] = 0
        self.today = today

    def holds(self, day: int) -> bool:
        """Whether a day is still in the ring."""
        return self.today - self.days < day <= self.today

    def add(self, row: int, day: int, amount: int) -> None:
        """Add to one day's value; sums that leave the type's range stay at its end."""
        cell = (day % self.days, row)
        before = self._cells[cell]
        after = self._cells[cell] = min(max(before + amount, self._least), self._most)
        added, age = self.tally(after) - self.tally(before), self.today - day
        for length, sums in self._sum_cells:
            if age < length:
                sums[row] += added

    def put(self, day: int, values: NDArray[Any]) -> None:
        """Set one day's values of rows ``0 .. len(values)-1``."""
        cells = self.ring[day % self.days, : values.size]
        before = self.tally(cells.astype(np.int64))
        cells[:] = self.bounded(values)
        added = self.tally(cells.astype(np.int64)) - before
        for length, sums in self.sums.items():
            if self.today - day < length:
                sums[: values.size] += added

    def bounded(self, values: NDArray[Any]) -> Ints:
        """int64[n]: values as a day keeps them, at the end of the range where they leave it."""
        return np.asarray(np.clip(values, self._least, self._most), np.int64)

    def clear(self, rows: Ints) -> None:
        """Forget these rows."""
        self.ring[:, rows] = 0
        for sums in self.sums.values():
            sums[rows] = 0

    def recount(self, high: int) -> None:
        """Make the sums of rows below ``high`` anew: their cells were written from outside."""
        for length, sums in self.sums.items():
            sums[:high] = 0
            for day in range(self.today - length + 1, self.today + 1):
                sums[:high] += self.tally(self.ring[day % self.days, :high])

    def last(self, rows: Ints, days: int) -> Ints:
        """int64[n]: what ``tally`` gives, summed over the newest ``days`` days, today included."""
        kept = self.sums.get(days)
        if kept is not None:
            return kept[rows]
        if days == 1:
            today = self.ring[self.today % self.days][rows]
            return np.asarray(self.tally(today.astype(np.int64)), np.int64)
        return np.asarray(self.tally(self.series(rows, days)).sum(axis=0), np.int64)

    def series(self, rows: Ints, days: int) -> Ints:
        """int64[days, n], oldest day first, today last."""
        numbers = np.arange(self.today - days + 1, self.today + 1) % self.days
        return self.ring[numbers[:, None], rows].astype(np.int64)


class DayLog:
    """Counts in several long windows of days, for events that are rare per row.

    A ring of 365 buckets a row would cost more than the events themselves: here each day keeps the
    list of its (row, amount) pairs, and a window's ``totals`` lose a day's pairs when it leaves.
    ``windows`` are lengths in local days, today included; ``totals`` is int32[len(windows), rows].
    """

    def __init__(self, rows: int, windows: tuple[int, ...], limit: int) -> None:
        self.windows = windows
        self.limit = limit
        self.totals = np.zeros((len(windows), rows), np.int32)
        self.today = -(1 << 40)
        self.size = 0
        self.dropped = 0  # pairs given up early because ``limit`` was reached
        self._days: dict[int, tuple[list[int], list[int]]] = {}

    def roll(self, today: int) -> None:
        """Let the local day ``today`` begin."""
        if today <= self.today:
            return
        if self.today > -(1 << 40):
            for day in sorted(self._days):
                self._leave(day, self.today, today)
        self.today = today

    def holds(self, day: int) -> bool:
        """Whether a day is inside the longest window."""
        return self.today - max(self.windows) < day <= self.today

    def add(self, row: int, day: int, amount: int = 1) -> None:
        """Count ``amount`` for ``row`` on ``day``, which must be inside the longest window."""
        rows, amounts = self._days.setdefault(day, ([], []))
        rows.append(row)
        amounts.append(amount)
        self.size += 1
        totals = cells_of(self.totals)
        for i, length in enumerate(self.windows):
            if day > self.today - length:
                totals[i, row] += amount
        if self.size > self.limit:
            self._drop_oldest()

    def clear(self, rows: Ints) -> None:
        """Forget these rows."""
        gone = set(rows.tolist())
        for day, (of_day, amounts) in list(self._days.items()):
            kept = [(r, a) for r, a in zip(of_day, amounts, strict=True) if r not in gone]
            self.size -= len(of_day) - len(kept)
            self._days[day] = ([r for r, _ in kept], [a for _, a in kept])
        self.totals[:, rows] = 0

    def dump(self) -> Ints:
        """int64[3, size]: day, row, amount."""
        flat = [
            (day, row, amount)
            for day in sorted(self._days)
            for row, amount in zip(*self._days[day], strict=True)
        ]
        return np.array(flat, np.int64).reshape(-1, 3).T.copy()

    def load(self, dump: Ints) -> None:
        """Take back what ``dump`` gave; ``today`` and ``totals`` are restored beside it."""
        self._days, self.size = {}, dump.shape[1]
        for day in np.unique(dump[0]).tolist():
            mine = dump[:, dump[0] == day]
            self._days[day] = (mine[1].tolist(), mine[2].tolist())

    def _leave(self, day: int, before: int, today: int) -> None:
        rows, amounts = self._days[day]
        for i, length in enumerate(self.windows):
            if before - length < day <= today - length:
                np.subtract.at(self.totals[i], rows, np.array(amounts, np.int32))
        if day <= today - max(self.windows):
            self.size -= len(rows)
            del self._days[day]

    def _drop_oldest(self) -> None:
        day = min(self._days)
        self.dropped += len(self._days[day][0])
        self._leave(day, self.today, day + max(self.windows))
