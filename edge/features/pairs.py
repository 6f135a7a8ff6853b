"""Which classes go out together: the day's documents, and in how many of them each pair was. Pure.

No significance and no advice (``trainer.packs``): counts of one day, which its close leaves to the
history; whoever wants a month adds its days up. Memory is bounded: open documents by
``limits.baskets_max``, pairs by ``limits.pairs_max``.

A document is open until it has been told nothing new for ``ingest.lateness_s`` (tills do not say that
a receipt is whole), or until more are open than the limit, when the longest silent one is closed.
Lines of one class count once; returns are no demand; a line that is voided while its document is open
was never there. A document of more than :data:`CLASSES_MAX` classes is a delivery rather than a
choice: it is counted apart and pairs nothing.

Pairs are counted by Space-Saving within groups of :data:`WAYS` slots: a pair that finds its group full
takes the place of the rarest there and inherits its count as its error. So for every pair that is
kept, ``count - error <= documents with both <= count``, and a pair that is not kept was in at most
``unseen()`` documents.
Source: Metwally, Agrawal & El Abbadi, Efficient computation of frequent and top-k elements in data
streams, ICDT 2005.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.config import Limits
from edge.features.tables import Table

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]

CLASSES_MAX = 64
"""Most classes of a document whose pairs are counted: 2,016 pairs, about 0.3 ms."""
WAYS = 8
TOTALS = ("documents", "lines", "pairs", "oversized")
"""Of a store's closed documents: how many, classes in them, pairs of classes, and those too large."""

_MINUTE_MS = 60_000
_LOW = (1 << 32) - 1
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MOST = np.uint64((1 << 64) - 1)


@dataclass(slots=True)
class Basket:
    """An open document."""

    store: str
    closes_ms: int
    lines: dict[int, int]
    """Class row -> lines; empty once it is too large."""
    oversized: bool = False


class Pairs:
    """Counts of the day under way; ``classes`` is the state's table of classes."""

    def __init__(self, classes: Table, limits: Limits, idle_ms: int) -> None:
        self._classes = classes
        self._idle_ms = idle_ms
        self._open_max = limits.baskets_max
        groups = groups_for(limits.pairs_max)
        self._shift = np.uint64(64 - groups.bit_length() + 1)
        self._key = np.full((groups, WAYS), -1, np.int64)
        self._mixed = np.zeros((groups, WAYS), np.uint64)
        self._count = np.zeros((groups, WAYS), np.int32)
        self._error = np.zeros((groups, WAYS), np.int32)
        self.single = np.zeros(classes.keys.limit, np.int32)
        """int32[classes]: closed documents with each class."""
        self.totals: dict[str, list[int]] = {}
        """Store -> :data:`TOTALS`."""
        self.open: dict[str, Basket] = {}
        """By store and document, the longest silent first."""

    # -- documents ------------------------------------------------------------------------------

    def add(self, store: str, document: str, row: int, arrival_ms: int) -> None:
        """A line of a class; arrivals never go back."""
        self.roll(arrival_ms)
        name = f"{store}\x1f{document}"
        basket = self.open.pop(name, None) or Basket(store, 0, {})
        basket.closes_ms = -(-(arrival_ms + self._idle_ms) // _MINUTE_MS) * _MINUTE_MS
        if not basket.oversized:
            basket.lines[row] = basket.lines.get(row, 0) + 1
            if len(basket.lines) > CLASSES_MAX:
                basket.lines, basket.oversized = {}, True
        self.open[name] = basket
        if len(self.open) > self._open_max:
            self._close_first()

    def take_back(self, store: str, document: str, row: int) -> None:
        """A voided line; of a document that is closed it stays counted."""
        basket = self.open.get(f"{store}\x1f{document}")
        if basket is None or row not in basket.lines:
            return
        basket.lines[row] -= 1
        if not basket.lines[row]:
            del basket.lines[row]

    def roll(self, now_ms: int) -> None:
        """Close what has been silent for long enough."""
        while self.open and next(iter(self.open.values())).closes_ms <= now_ms:
            self._close_first()

    def _close_first(self) -> None:
        basket = self.open.pop(next(iter(self.open)))
        n = len(basket.lines)
        if not n and not basket.oversized:
            return
        total = self.totals.setdefault(basket.store, [0] * len(TOTALS))
        if basket.oversized:
            total[3] += 1
            return
        total[0] += 1
        total[1] += n
        total[2] += n * (n - 1) // 2
        if n == 1:
            self.single[next(iter(basket.lines))] += 1
            return
        rows = np.fromiter(basket.lines, np.int64, n)
        self.single[rows] += 1
        rows = rows[np.argsort(self._classes.keys.hashes[rows], kind="stable")]
        first, second = np.triu_indices(n, 1)
        self._put(rows[first], rows[second], np.ones(len(first), np.int32), 0)

    # -- pairs ----------------------------------------------------------------------------------

    def _put(self, a: Ints, b: Ints, count: NDArray[np.int32], error: Any) -> None:
        """Count different pairs of class rows; the class with the lesser hash comes first."""
        hashes = self._classes.keys.hashes
        key = a << 32 | b
        mixed = ((hashes[a] ^ (hashes[b] << np.uint64(1))) * _MIX) | np.uint64(1)
        group = (mixed >> self._shift).astype(np.int64)
        hit = self._key[group] == key[:, None]
        kept = hit.any(axis=1)
        slot = hit.argmax(axis=1)
        error = np.broadcast_to(np.asarray(error, np.int32), count.shape)
        self._count[group[kept], slot[kept]] += count[kept]
        self._error[group[kept], slot[kept]] += error[kept]
        fresh = np.flatnonzero(~kept)
        fresh = fresh[np.lexsort((mixed[fresh], group[fresh]))]
        for some in _rounds(group[fresh]):
            new = fresh[some]
            self._replace(group[new], key[new], mixed[new], count[new], error[new])

    def _replace(
        self, group: Ints, key: Ints, mixed: Hashes, count: NDArray[np.int32], error: Any
    ) -> None:
        """Put new pairs where the rarest was, one in a group. Of equals the least hash goes."""
        counts = self._count[group]
        least = counts.min(axis=1)
        equal = counts == least[:, None]
        slot = np.where(equal, self._mixed[group], _MOST).argmin(axis=1)
        self._key[group, slot] = key
        self._mixed[group, slot] = mixed
        self._count[group, slot] = least + count
        self._error[group, slot] = least + error

    def unseen(self) -> int:
        """A pair that is not kept was in no more documents of the day than this."""
        return int(self._count.min(axis=1).max())

    def kept(self) -> tuple[Ints, Ints, Ints, Ints]:
        """(class row, class row, count, error) int64[p] each, in an order that no row number sets."""
        group, slot = np.nonzero(self._key >= 0)
        key = self._key[group, slot]
        a, b = key >> 32, key & _LOW
        hashes = self._classes.keys.hashes
        order = np.lexsort((hashes[b], hashes[a]))
        count, error = (x[group, slot][order].astype(np.int64) for x in (self._count, self._error))
        return a[order], b[order], count, error

    # -- days, rows, saving ---------------------------------------------------------------------

    def clear(self) -> None:
        """Begin the next day; open documents stay open."""
        self._key[:] = -1
        self._mixed[:] = 0
        self._count[:] = 0
        self._error[:] = 0
        self.single[:] = 0
        self.totals = {}

    def forget(self, rows: Ints) -> None:
        """These classes are gone: out of open documents, at a day's end, after ``clear``."""
        gone = set(rows.tolist())
        for basket in self.open.values() if gone else ():
            basket.lines = {row: n for row, n in basket.lines.items() if row not in gone}

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, bytes]]:
        """(arrays, blobs) that ``load`` takes back."""
        rows = np.flatnonzero(self.single)
        arrays: dict[str, NDArray[Any]] = {
            "kept": np.stack(self.kept()),
            "single": np.stack([rows, self.single[rows].astype(np.int64)]),
        }
        rest = (self.totals, [(k, _told(basket)) for k, basket in self.open.items()])
        return arrays, {"rest": msgspec.msgpack.encode(rest)}

    def load(self, arrays: Mapping[str, NDArray[Any]], blobs: Mapping[str, bytes]) -> None:
        """Take back what ``save`` gave, into fresh counts; without it they stay empty."""
        if "rest" not in blobs:
            return
        a, b, count, error = (part.astype(np.int64) for part in arrays["kept"])
        self._put(a, b, count.astype(np.int32), error)
        rows, single = arrays["single"]
        self.single[rows] = single
        self.totals, open_ = msgspec.msgpack.decode(
            blobs["rest"],
            type=tuple[
                dict[str, list[int]], list[tuple[str, tuple[str, int, dict[int, int], bool]]]
            ],
        )
        self.open = {name: Basket(*told) for name, told in open_}

    def canonical(self, ranks: Ints) -> dict[str, Any]:
        """Everything, with the ranks of classes in the place of their rows."""
        a, b, count, error = self.kept()
        rows = np.flatnonzero(self.single)
        return {
            "kept": sorted(zip(ranks[a].tolist(), ranks[b].tolist(), count.tolist(),
                               error.tolist(), strict=True)),
            "single": sorted(zip(ranks[rows].tolist(), self.single[rows].tolist(), strict=True)),
            "totals": sorted(self.totals.items()),
            "open": [
                (name, basket.store, basket.closes_ms, basket.oversized,
                 sorted((int(ranks[row]), n) for row, n in basket.lines.items()))
                for name, basket in self.open.items()
            ],
        }  # fmt: skip

    def absorb(self, other: "Pairs", remap: Ints) -> None:
        """Add another's counts; ``remap`` turns its class rows into ours.

        Documents that both hold open would have to be one: the other's is kept.
        """
        a, b, count, error = other.kept()
        self._put(remap[a], remap[b], count.astype(np.int32), error)
        rows = np.flatnonzero(other.single)
        np.add.at(self.single, remap[rows], other.single[rows])
        for store, total in other.totals.items():
            mine = self.totals.get(store, [0] * len(TOTALS))
            self.totals[store] = [x + y for x, y in zip(mine, total, strict=True)]
        for name, basket in other.open.items():
            lines = {int(remap[row]): n for row, n in basket.lines.items()}
            self.open[name] = Basket(basket.store, basket.closes_ms, lines, basket.oversized)
        self.open = dict(sorted(self.open.items(), key=lambda told: told[1].closes_ms))

    @property
    def slots(self) -> int:
        """Most pairs counted a day."""
        return int(self._key.size)

    def nbytes(self) -> int:
        """Bytes of the arrays."""
        parts = (self._key, self._mixed, self._count, self._error, self.single)
        return sum(part.nbytes for part in parts)


def groups_for(pairs_max: int) -> int:
    """Groups of :data:`WAYS` slots, a power of two: at least 2, room for ``pairs_max`` at most.

    >>> groups_for(16_384), groups_for(1)
    (2048, 2)
    """
    return max(2, 1 << (max(pairs_max // WAYS, 1).bit_length() - 1))


def _rounds(groups: Ints) -> Iterator[Ints]:
    """Positions in ``groups`` (sorted), such that no group is twice in a round."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    turn = np.arange(len(groups)) - np.repeat(starts, np.diff(np.append(starts, len(groups))))
    for number in range(int(turn.max()) + 1 if len(turn) else 0):
        yield np.flatnonzero(turn == number)


def _told(basket: Basket) -> tuple[str, int, dict[int, int], bool]:
    return basket.store, basket.closes_ms, basket.lines, basket.oversized
