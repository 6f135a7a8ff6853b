"""Documents of many days added up: which pairs of classes go out together more than chance says. Pure.

The edge counts the pairs of each day (``edge/features/pairs.py``) and its history keeps the days; here
they become one table a store, judged by ``packs.co_demand``. Memory is bounded: beyond
:data:`PAIRS_MAX` pairs the rarest are let go, so a count is never too large, and the more documents hold
a pair, the less it misses.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.services.packs import DOCUMENTS_MIN, Together, co_demand

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SEPARATOR = "\x1f"
PAIRS_MAX = 400_000
BUFFER_ROWS = 200_000
TOTALS = 4
_LOW = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Table:
    """Pairs that were tested, p of them, of all stores."""

    keys: list[str]
    """Store and SKU of each class that was in enough documents (and of others)."""
    first: Ints
    """int64[p]: number of one class of each pair …"""
    second: Ints
    """… and of the other."""
    documents: Ints
    """int64[p]: documents with both, at least."""
    of_first: Ints
    """int64[p]: documents with the first."""
    of_second: Ints
    days: int
    """Days added up."""
    tests: int
    """Pairs that could have been seen."""
    judged: Together


class Tally:
    """Adds days up."""

    def __init__(self, pairs_max: int = PAIRS_MAX) -> None:
        self.days = 0
        self._pairs_max = pairs_max
        self._number: dict[str, int] = {}
        self._single: list[int] = []
        self._totals: dict[str, Ints] = {}
        self._pairs: Ints = np.zeros((3, 0), np.int64)  # key, count, error
        self._waiting: list[Ints] = []
        self._rows = 0

    def documents(self, keys: list[str], amounts: Ints) -> None:
        """A chunk of a day: ``keys`` as the history names stores and classes, int64[m, n] counts."""
        for key, told in zip(keys, amounts.T.tolist(), strict=True):
            store, _, sku = key.partition(SEPARATOR)
            if sku:
                self._single[self._of(key)] += told[0]
            else:
                total = self._totals.setdefault(store, np.zeros(TOTALS, np.int64))
                total += np.array(told[:TOTALS], np.int64)

    def pairs(self, keys: list[str], amounts: Ints) -> None:
        """A chunk of pairs (store, SKU, SKU): int64[2, n] documents and error."""
        of = np.empty(len(keys), np.int64)
        for i, key in enumerate(keys):
            store, one, other = key.split(SEPARATOR)
            a, b = self._of(f"{store}{SEPARATOR}{one}"), self._of(f"{store}{SEPARATOR}{other}")
            of[i] = min(a, b) << 32 | max(a, b)
        self._waiting.append(np.stack([of, amounts[0], amounts[1]]))
        self._rows += len(keys)
        if self._rows >= BUFFER_ROWS:
            self._merge()

    def _of(self, key: str) -> int:
        number = self._number.get(key)
        if number is None:
            number = self._number[key] = len(self._number)
            self._single.append(0)
        return number

    def _merge(self) -> None:
        rows = np.concatenate([self._pairs, *self._waiting], axis=1)
        self._waiting, self._rows = [], 0
        keys, at = np.unique(rows[0], return_inverse=True)
        sums = [np.bincount(at, rows[i], len(keys)).astype(np.int64) for i in (1, 2)]
        self._pairs = np.stack([keys, *sums])
        if len(keys) > self._pairs_max:
            sure = self._pairs[1] - self._pairs[2]
            kept = np.argpartition(-sure, self._pairs_max // 2)[: self._pairs_max // 2]
            self._pairs = self._pairs[:, np.sort(kept)]

    def table(self, documents_min: int = DOCUMENTS_MIN) -> Table:
        """Every pair of classes with enough documents, judged."""
        self._merge()
        names = list(self._number)
        single = np.array(self._single, np.int64)
        stores = sorted(self._totals)
        number = {store: i for i, store in enumerate(stores)}
        of = np.array([number.get(n.partition(SEPARATOR)[0], -1) for n in names], np.int64)
        totals = np.array([self._totals[s] for s in stores], np.float64).reshape(-1, TOTALS)
        first, second = self._pairs[0] >> 32, self._pairs[0] & _LOW
        enough = (single >= documents_min) & (of >= 0)
        use = enough[first] & enough[second] if len(first) else np.zeros(0, np.bool_)
        first, second = first[use], second[use]
        both, error = self._pairs[1:, use]
        classes = np.bincount(of[enough], minlength=len(stores)) if enough.any() else np.zeros(1)
        tests = int((classes * (classes - 1) // 2).sum())
        mine = totals[of[first]] if len(first) else np.zeros((0, TOTALS))
        documents, lines, met = mine[:, 0], mine[:, 1], mine[:, 2]
        counted = [v.astype(np.float64) for v in (single[first], single[second], both, error)]
        judged = co_demand(documents, lines, met, *counted, tests=tests)  # type: ignore[misc]
        return Table(
            names,
            first,
            second,
            both - error,
            single[first],
            single[second],
            self.days,
            tests,
            judged,
        )
