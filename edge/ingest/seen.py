"""Which event keys were seen before: an exact, bounded memory of 64-bit keys. Pure, vectorised.

Two generations of open-addressing tables: the younger fills up, then becomes the elder and the old
elder is forgotten. So at least the last ``size`` keys are remembered, at most twice as many, and a
key that is still remembered is always found: no false "new", and a false "seen" only where two of
2**64 keys collide.
"""

import numpy as np
from numpy.typing import NDArray

from edge.features.windows import cells_of

Keys = NDArray[np.uint64]

_FOR_ZERO = np.uint64(0xA24BAED4963EE407)  # 0 marks an empty slot: such a key becomes this one
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


_FACTORS = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xC2B2AE3D27D4EB4F),
    np.uint64(0x165667B19E3779F9),
    np.uint64(0xD6E8FEB86659FD93),
)


def mix(*columns: NDArray[np.uint64]) -> Keys:
    """uint64[n]: one well-spread key from up to four columns.

    A sum of products with odd factors, then the splitmix64 finaliser.
    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    key = columns[0] * _FACTORS[0]
    for column, factor in zip(columns[1:], _FACTORS[1:], strict=False):
        key += column * factor
    key ^= key >> np.uint64(30)
    key *= _MIX1
    key ^= key >> np.uint64(27)
    key *= _MIX2
    key ^= key >> np.uint64(31)
    return key


class SeenKeys:
    """Remembers at least the last ``size`` distinct keys."""

    def __init__(self, size: int) -> None:
        assert size > 0, size
        self.size = size
        slots = 1 << (2 * size - 1).bit_length()  # load at most one half
        self._mask, self._last = np.uint64(slots - 1), slots - 1
        self._young = np.zeros(slots, np.uint64)
        self._old = np.zeros(slots, np.uint64)
        self._cells = cells_of(self._young), cells_of(self._old)  # one key at a time
        self._count = 0

    def check_and_add(self, keys: Keys) -> NDArray[np.bool_]:
        """bool[n]: whether each key was seen before, also earlier in the same call; all are added.

        The answer does not depend on how a stream of keys is cut into calls.
        """
        seen = np.zeros(len(keys), np.bool_)
        if not keys.all():
            keys = np.where(keys == 0, _FOR_ZERO, keys)
        start = 0
        while start < len(keys):
            room = self.size - self._count
            if room == 0:
                self._turn()
                room = self.size
            # a chunk no longer than the room left can never cross a change of generation
            stop = min(start + room, len(keys))
            seen[start:stop] = self._one_generation(keys[start:stop])
            start = stop
        return seen

    def check_and_add_one(self, key: int) -> bool:
        """Like ``check_and_add`` for a single key, without the cost of a column."""
        key = key or int(_FOR_ZERO)
        if self._count == self.size:
            self._turn()
        young, old = self._cells
        slot, seen = _probe(young, key, self._last)
        if seen or _probe(old, key, self._last)[1]:
            return True
        young[slot] = key
        self._count += 1
        return False

    def take_back(self, key: int) -> None:
        """Forget the key that was added last; only that one, or later keys might not be found."""
        slot, there = _probe(self._cells[0], key or int(_FOR_ZERO), self._last)
        assert there, key
        self._young[slot] = 0
        self._count -= 1

    def contains(self, keys: Keys) -> NDArray[np.bool_]:
        """bool[n]: whether each key is remembered; nothing is added."""
        keys = np.where(keys == 0, _FOR_ZERO, keys)
        return _find(self._young, keys, self._mask) | _find(self._old, keys, self._mask)

    def remembered(self) -> tuple[Keys, Keys]:
        """(elder, younger) keys, each sorted: the canonical content."""
        return np.sort(self._old[self._old != 0]), np.sort(self._young[self._young != 0])

    @classmethod
    def of(cls, size: int, elder: Keys, younger: Keys) -> "SeenKeys":
        """The memory that ``remembered`` described."""
        memory = cls(size)
        _insert(memory._old, elder[-size:], memory._mask)
        _insert(memory._young, younger[-size:], memory._mask)
        memory._count = min(len(younger), size)
        return memory

    def _turn(self) -> None:
        self._old, self._young = self._young, self._old
        self._cells = cells_of(self._young), cells_of(self._old)
        self._young[:] = 0
        self._count = 0

    def _one_generation(self, keys: Keys) -> NDArray[np.bool_]:
        seen = _find(self._young, keys, self._mask)
        seen |= _find(self._old, keys, self._mask)
        fresh = keys if not seen.any() else keys[~seen]
        order = np.sort(fresh)
        if (order[1:] == order[:-1]).any():  # the same new key more than once: the first counts
            _, first = np.unique(keys, return_index=True)
            again = np.ones(len(keys), np.bool_)
            again[first] = False
            seen |= again
            fresh = keys[~seen]
        _insert(self._young, fresh, self._mask)
        self._count += len(fresh)
        return seen


def _find(table: Keys, keys: Keys, mask: np.uint64) -> NDArray[np.bool_]:
    slot = (keys & mask).view(np.int64)  # an int64 index is what numpy takes without a copy
    there = table[slot]
    found: NDArray[np.bool_] = there == keys
    open_ = np.flatnonzero((there != 0) & ~found)
    last = int(mask)
    slot = slot[open_]
    while len(open_):
        slot = (slot + 1) & last
        there = table[slot]
        hit = there == keys[open_]
        found[open_[hit]] = True
        go_on = ~hit & (there != 0)
        open_, slot = open_[go_on], slot[go_on]
    return found


def _probe(table: memoryview, key: int, last: int) -> tuple[int, bool]:
    """(slot, found): where one key is, or the empty slot where it would go."""
    slot = key & last
    while (there := table[slot]) != 0:
        if there == key:
            return slot, True
        slot = (slot + 1) & last
    return slot, False


def _insert(table: Keys, keys: Keys, mask: np.uint64) -> None:
    """Insert distinct keys that are not in the table."""
    slot = keys & mask
    while len(keys):
        free = table[slot] == 0
        table[slot[free]] = keys[free]  # where two want one slot, the last wins
        lost = table[slot] != keys
        keys, slot = keys[lost], (slot[lost] + np.uint64(1)) & mask
