"""Distinct counts and quantiles in a few bytes a row. Pure; the order of events does not matter.

Sources: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog", AofA 2007 (registers, linear counting
below 2.5 m); logarithmic buckets after Masson, Rim, Lee, "DDSketch", VLDB 2019.
"""

import math
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def ranked(hashes: NDArray[np.uint64], registers: int) -> tuple[Ints, NDArray[np.uint8]]:
    """(register int64[n], rank uint8[n]) of 64-bit key hashes for that many registers."""
    register = (hashes & np.uint64(registers - 1)).astype(np.int64)
    rest = (hashes >> np.uint64(registers.bit_length() - 1)) & np.uint64((1 << 50) - 1)
    # float64 holds 50 bits exactly, so its exponent is the position of the highest bit
    return register, (51 - np.frexp(rest.astype(np.float64))[1]).astype(np.uint8)


class DistinctWindow:
    """uint8[buckets, rows, registers]: how many different keys a row saw in a rolling window.

    Relative standard error about ``1.04 / sqrt(registers)``.
    """

    def __init__(self, rows: int, buckets: int, width_ms: int, registers: int) -> None:
        assert registers & (registers - 1) == 0, registers
        self.buckets = buckets
        self.width_ms = width_ms
        self.registers = registers
        self.ring = np.zeros((buckets, rows, registers), np.uint8)
        self.newest = -(1 << 40)
        self._bits = registers.bit_length() - 1

    def roll(self, now_ms: int, high: int) -> None:
        """Let time reach ``now_ms``."""
        bucket = now_ms // self.width_ms
        if bucket - self.newest >= self.buckets:
            self.ring[:, :high] = 0
            self.newest = bucket
        for number in range(self.newest + 1, bucket + 1):
            self.ring[number % self.buckets, :high] = 0
        self.newest = max(self.newest, bucket)

    def open(self, at_ms: Ints, lateness_ms: int, arrival_ms: Ints) -> NDArray[np.bool_]:
        """bool[n]: whether each event's bucket is still open."""
        bucket = at_ms // self.width_ms
        not_closed = (bucket + 1) * self.width_ms + lateness_ms > arrival_ms
        return not_closed & (bucket > self.newest - self.buckets)

    def add(self, rows: Ints, at_ms: Ints, hashes: NDArray[np.uint64]) -> None:
        """Show key hashes ``uint64[n]`` to rows at open buckets."""
        register, rank = ranked(hashes, self.registers)
        self.add_ranked(rows, at_ms, register, rank)

    def add_ranked(self, rows: Ints, at_ms: Ints, register: Ints, rank: NDArray[np.uint8]) -> None:
        """Like ``add``, for hashes already turned into ``ranked`` registers."""
        shape = self.ring.shape
        index = (at_ms // self.width_ms % self.buckets * shape[1] + rows) * shape[2] + register
        np.maximum.at(self.ring.reshape(-1), index, rank)

    def add_one(self, row: int, at_ms: int, key: int) -> None:
        """Show one 64-bit key hash to one row at an open bucket."""
        rest = (key >> self._bits) & ((1 << 50) - 1)
        cell = (at_ms // self.width_ms % self.buckets, row, key & (self.registers - 1))
        rank = 51 - rest.bit_length()
        if rank > self.ring[cell]:
            self.ring[cell] = rank

    def estimate(self, rows: Ints) -> NDArray[np.float64]:
        """float64[n]: different keys over the whole window."""
        ranks = self.ring[:, rows].max(axis=0)
        m = self.registers
        alpha = 0.7213 / (1 + 1.079 / m)
        raw = alpha * m * m / np.exp2(-ranks.astype(np.float64)).sum(axis=1)
        empty = (ranks == 0).sum(axis=1)
        linear = m * np.log(m / np.maximum(empty, 1))
        small = (raw <= 2.5 * m) & (empty > 0)
        return np.asarray(np.where(small, linear, raw), np.float64)

    def clear(self, rows: Ints) -> None:
        """Forget these rows."""
        self.ring[:, rows] = 0


class LogHistogram:
    """uint32[rows, bins] of positive values in bins that grow by ``growth``: quantiles to a few %.

    Bin 0 holds values below ``least``; a quantile is the geometric middle of its bin.
    """

    def __init__(self, rows: int, bins: int, least: float, growth: float) -> None:
        self.least = least
        self.growth = growth
        self.counts = np.zeros((rows, bins), np.uint32)
        self._edges = [self._edge(number) for number in range(1, bins)]

    def bin(self, value: float) -> int:
        """The bin of one value."""
        return bisect_right(self._edges, value)

    def _edge(self, number: int) -> float:
        """The least value of a bin: where the logarithm says so, to the last bit."""
        edge = self.least * self.growth ** (number - 1)
        while self._logarithm(math.nextafter(edge, 0.0)) >= number:
            edge = math.nextafter(edge, 0.0)
        while self._logarithm(edge) < number:
            edge = math.nextafter(edge, math.inf)
        return edge

    def _logarithm(self, value: float) -> int:
        if value < self.least:
            return 0
        return 1 + int(math.log(value / self.least) / math.log(self.growth))

    def add(self, row: int, value: float, times: int = 1) -> None:
        """Count one value (``times=-1`` takes it back)."""
        cell = (row, self.bin(value))
        self.counts[cell] = max(int(self.counts[cell]) + times, 0)

    def add_all(self, rows: Ints, values: NDArray[np.float64]) -> None:
        """Count ``values[n]``, one for each row."""
        bins = np.searchsorted(self._edges, values, side="right")
        np.add.at(self.counts.reshape(-1), rows * self.counts.shape[1] + bins, np.uint32(1))

    def quantile(self, rows: Ints, q: float) -> NDArray[np.float64]:
        """float64[n]: the q-quantile of each row; NaN where the row is empty."""
        assert 0 <= q <= 1, q
        cumulated = self.counts[rows].cumsum(axis=1, dtype=np.int64)
        total = cumulated[:, -1]
        rank = np.maximum(np.ceil(q * total), 1)
        chosen = (cumulated < rank[:, None]).sum(axis=1)
        middle = self.least * self.growth ** (chosen - 0.5)
        middle = np.where(chosen == 0, self.least / 2, middle)
        return np.where(total > 0, middle, np.nan)

    def clear(self, rows: Ints) -> None:
        """Forget these rows."""
        self.counts[rows] = 0
