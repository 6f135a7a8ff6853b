"""Keys to rows: a bounded table from text to a dense row number. No columns live here.

A row keeps its number until it is released; released rows are used again, lowest first, so the
columns beside this table never grow past ``limit`` and a table that was saved and loaded gives the
same rows as one that was not.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def key_hash(key: str) -> int:
    """64-bit hash of a key that is the same on every machine and in every process.

    >>> key_hash("A") == key_hash("A") != key_hash("B")
    True
    """
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")


class KeyTable:
    """text -> row in ``0 .. limit-1``.

    ``hashes`` is uint64[limit], the stable hash of each row's key (0 where the row is free).
    """

    def __init__(self, limit: int) -> None:
        assert limit > 0, limit
        self.limit = limit
        self.high = 0  # rows ever used: columns are live in [0, high)
        self.hashes = np.zeros(limit, np.uint64)
        self.refused = 0  # claims turned away because the table was full
        self._rows: dict[str, int] = {}
        self.find = self._rows.get  # the row of a key, or None: for hot loops
        self._keys: list[str | None] = []
        self._free: list[int] = []  # a heap

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    @property
    def full(self) -> bool:
        """Whether a new key would be refused."""
        return len(self._rows) >= self.limit

    def get(self, key: str) -> int:
        """The row of ``key``, or -1."""
        return self._rows.get(key, -1)

    def key(self, row: int) -> str:
        """The key of a live row."""
        key = self._keys[row]
        assert key is not None, row
        return key

    def keys_of(self, rows: Iterable[int]) -> list[str]:
        """The keys of live rows."""
        keys = self._keys
        return [keys[row] or "" for row in rows]

    def claim(self, key: str) -> int:
        """The row of ``key``, made if need be; -1 when the table is full."""
        row = self._rows.get(key, -1)
        return row if row >= 0 else self._make(key)

    def lookup(self, keys: Sequence[str]) -> Rows:
        """int64[n] rows of ``keys``; -1 for those unknown."""
        get = self._rows.get
        return np.array([get(key, -1) for key in keys], np.int64)

    def claim_all(self, keys: Sequence[str]) -> Rows:
        """int64[n] rows of ``keys``, made in order if need be; -1 once the table is full."""
        find = self.find
        rows = [find(key, -1) for key in keys]
        if -1 in rows:
            rows = [self.claim(key) for key in keys]
        return np.array(rows, np.int64)

    def release(self, rows: Iterable[int]) -> None:
        """Forget these rows' keys; their columns are the caller's to clear."""
        for row in rows:
            key = self._keys[row]
            assert key is not None, row
            del self._rows[key]
            self._keys[row] = None
            self.hashes[row] = 0
            heappush(self._free, row)

    def live(self) -> Rows:
        """int64[n] rows in use, ascending."""
        return np.flatnonzero(self.hashes[: self.high]).astype(np.int64)

    def keys(self) -> list[str]:
        """Keys of ``live()`` in the same order."""
        return [self.key(row) for row in self.live().tolist()]

    def items(self) -> Iterable[tuple[str, int]]:
        """(key, row) pairs in the order the keys were made."""
        return self._rows.items()

    def dump(self) -> bytes:
        """Every row's key in row order, NUL between them; empty for a free row."""
        return "\0".join(key or "" for key in self._keys).encode()

    @classmethod
    def load(cls, limit: int, dump: bytes, hashes: NDArray[np.uint64]) -> "KeyTable":
        """The table that ``dump`` and its ``hashes[:high]`` describe.

        Raises ValueError when more keys were stored than ``limit`` allows.
        """
        table = cls(limit)
        texts = dump.decode().split("\0") if len(hashes) else []
        if len(texts) > limit:
            raise ValueError(f"{len(texts)} keys stored, but the limit is {limit}: raise it")
        table.high = len(texts)
        table.hashes[: table.high] = hashes
        table._keys = [text or None for text in texts]
        table._rows.update((text, row) for row, text in enumerate(texts) if text)
        table._free = [row for row, text in enumerate(texts) if not text]
        return table

    def _make(self, key: str) -> int:
        assert key, "an empty text is no key"
        assert "\0" not in key, key
        if self._free:
            row = heappop(self._free)
            self._keys[row] = key
        elif self.high < self.limit:
            row = self.high
            self.high += 1
            self._keys.append(key)
        else:
            self.refused += 1
            return -1
        self._rows[key] = row
        self.hashes[row] = key_hash(key) or 1
        return row
