"""A table of one entity: keys, columns and windows beside each other, under one life cycle.

Everything here is generic over the column list: rolling time, clearing a released row, saving,
loading, a canonical form for comparing two states, splitting by key and merging again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.features.decay import DecayedCount
from edge.features.keys import KeyTable
from edge.features.sketch import DistinctWindow, LogHistogram
from edge.features.windows import DayLog, DayRing, RingWindow, cells_of, put_sparse

Array = NDArray[Any]
Ints = NDArray[np.int64]
Part = RingWindow | DayRing | DayLog | DecayedCount | DistinctWindow | LogHistogram

# How two partial rows of one key become one: counts add up, moments and latest values take the
# greater (one side is empty), first moments the lesser that is there, and a reference takes
# whichever side has one.
Merge = Literal["sum", "max", "first"]


@dataclass(frozen=True, slots=True)
class Column:
    """One value a row. ``ref`` names the table that an integer row reference points into."""

    name: str
    dtype: Any
    empty: int = 0
    merge: Merge = "max"
    ref: str = ""


class Table:
    """Keys with their columns and windows.

    ``col[name]`` is dtype[limit]; ``cell[name]`` the same memory, for one row at a time;
    ``part[name]`` a window over the same rows; ``text[name]`` a sparse row -> text.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        columns: Sequence[Column],
        parts: Mapping[str, Callable[[int], Part]],
        texts: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.keys = KeyTable(limit)
        self.columns = {column.name: column for column in columns}
        self.col: dict[str, Array] = {c.name: _filled(limit, c) for c in columns}
        # Python's integers in and out, in a third of the time
        self.cell = {name: cells_of(column) for name, column in self.col.items()}
        self.part: dict[str, Part] = {key: make(limit) for key, make in parts.items()}
        self.text: dict[str, dict[int, str]] = {key: {} for key in texts}
        self.touched = np.zeros(limit, np.bool_)  # something happened to it; no part of the state

    def take_touched(self) -> Ints:
        """int64[n]: rows that something happened to since this was last asked, ascending."""
        rows = np.flatnonzero(self.touched[: self.keys.high])
        self.touched[rows] = False
        return rows.astype(np.int64)

    def roll(self, now_ms: int, today: int) -> None:
        """Let time reach ``now_ms``, which lies in the local day ``today``."""
        high = self.keys.high
        for part in self.part.values():
            match part:
                case DayRing():
                    part.roll(today, high)
                case DayLog():
                    part.roll(today)
                case LogHistogram():
                    pass
                case _:
                    part.roll(now_ms, high)

    def release(self, rows: Ints) -> None:
        """Forget these rows: keys, columns, windows, texts."""
        if not len(rows):
            return  # most days nobody is forgotten, and a log of rentals is long
        for part in self.part.values():
            part.clear(rows)
        for name, column in self.columns.items():
            self.col[name][rows] = column.empty
        self.touched[rows] = False
        gone = rows.tolist()
        for texts in self.text.values():
            for row in gone:
                texts.pop(row, None)
        self.keys.release(gone)

    def nbytes(self) -> int:
        """Bytes that columns and windows take when every row is used."""
        arrays = [*self.col.values(), *(a for p in self.part.values() for a in _arrays(p))]
        return sum(a.nbytes for a in arrays)

    # -- saving and loading ------------------------------------------------------------------

    def save(self) -> tuple[dict[str, Array], dict[str, bytes]]:
        """(arrays, blobs) that ``load`` takes back; arrays are views of the used rows."""
        high = self.keys.high
        arrays: dict[str, Array] = {"hashes": self.keys.hashes[:high]}
        for name, column in self.col.items():
            arrays[f"col.{name}"] = column[:high]
        for name, part in self.part.items():
            for field, (array, axis) in _row_arrays(part).items():
                arrays[f"part.{name}.{field}"] = array[(slice(None),) * axis + (slice(0, high),)]
            if isinstance(part, DayLog):
                arrays[f"part.{name}.log"] = part.dump()
            arrays[f"part.{name}.moment"] = np.array([_moment(part)], np.int64)
        blobs = {"keys": self.keys.dump()}
        for name, texts in self.text.items():
            blobs[f"text.{name}"] = "\0".join(f"{r}\1{t}" for r, t in texts.items()).encode()
        return arrays, blobs

    def load(self, arrays: Mapping[str, Array], blobs: Mapping[str, bytes]) -> None:
        """Take back what ``save`` gave, into a fresh table.

        What an older snapshot does not have, or has in another shape, starts empty. Raises
        ValueError beyond the limit.
        """
        self.keys = KeyTable.load(self.keys.limit, blobs["keys"], arrays["hashes"])
        high = self.keys.high
        for name, column in self.col.items():
            stored = arrays.get(f"col.{name}")
            if stored is None:
                continue
            if self.columns[name].empty:
                column[:high] = stored
            else:
                put_sparse(column[:high], stored)
        for name, part in self.part.items():
            _load_part(part, name, arrays, high)
        for name, texts in self.text.items():
            lines = blobs.get(f"text.{name}", b"").decode().split("\0")
            texts.update((int(r), t) for r, _, t in (x.partition("\1") for x in lines if x))

    # -- one form for every row order ----------------------------------------------------------

    def canonical(self, ranks: Mapping[str, Ints]) -> dict[str, Any]:
        """Content in key order, references as ranks of the keys they point at; for comparing."""
        rows = self.keys.live()
        keys = self.keys.keys()
        order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
        rows = rows[order] if len(order) else rows
        out: dict[str, Any] = {"keys": sorted(keys)}
        for name, column in self.columns.items():
            values = self.col[name][rows]
            out[name] = _ranked(values, ranks[column.ref]) if column.ref else values
        position = {row: i for i, row in enumerate(rows.tolist())}
        for name, part in self.part.items():
            out[f"{name}.moment"] = _moment(part)
            for field, (array, axis) in _row_arrays(part).items():
                out[f"{name}.{field}"] = np.take(array, rows, axis=axis)
            if isinstance(part, DayLog):
                day, row, amount = part.dump()
                at = np.array([position[r] for r in row.tolist()], np.int64)
                out[f"{name}.log"] = _summed(day, at, amount)
        for name, texts in self.text.items():
            out[f"text.{name}"] = {position[r]: t for r, t in texts.items() if r in position}
        return out

    def rank(self) -> Ints:
        """int64[limit]: the place of each row's key among all keys in order; -1 where free."""
        rows = self.keys.live()
        keys = self.keys.keys()
        ranks = np.full(self.keys.limit, -1, np.int64)
        for i, at in enumerate(sorted(range(len(keys)), key=keys.__getitem__)):
            ranks[rows[at]] = i
        return ranks

    def absorb(self, other: "Table", rows: Ints, to: Ints, remap: Mapping[str, Ints]) -> None:
        """Add rows of another table of the same kind into rows ``to`` of this one.

        ``remap[table]`` turns the other's references into ours.
        """
        for name, column in self.columns.items():
            theirs = other.col[name][rows]
            if column.ref:
                theirs = _ranked(theirs, remap[column.ref]).astype(theirs.dtype)
            self.col[name][to] = _MERGES[column.merge](self.col[name][to], theirs)
        for name, part in self.part.items():
            source = other.part[name]
            _set_moment(part, _moment(source))
            greatest = isinstance(part, DistinctWindow)
            for field, (array, axis) in _row_arrays(part).items():
                theirs = np.take(_row_arrays(source)[field][0], rows, axis=axis)
                where = (slice(None),) * axis + (to,)
                array[where] = (
                    np.maximum(array[where], theirs) if greatest else array[where] + theirs
                )
            if isinstance(part, DayRing):
                part.recount(self.keys.high)
            if isinstance(part, DayLog) and isinstance(source, DayLog):
                _absorb_log(part, source, dict(zip(rows.tolist(), to.tolist(), strict=True)))
        for name, texts in self.text.items():
            for source_row, row in zip(rows.tolist(), to.tolist(), strict=True):
                if source_row in other.text[name]:
                    texts[row] = other.text[name][source_row]


def _first(mine: Array, theirs: Array) -> Array:
    both = np.minimum(mine, theirs)
    return np.where((mine == 0) | (theirs == 0), np.maximum(mine, theirs), both)


_MERGES: dict[Merge, Callable[[Array, Array], Array]] = {
    "sum": np.add,
    "max": np.maximum,
    "first": _first,
}


def _filled(limit: int, column: Column) -> Array:
    # zeros are not touched until used, so a high limit costs no memory before it is needed
    if column.empty == 0:
        return np.zeros(limit, column.dtype)
    return np.full(limit, column.empty, column.dtype)


def _row_arrays(part: Part) -> dict[str, tuple[Array, int]]:
    """Arrays of a window with the axis on which its rows lie."""
    match part:
        case RingWindow():
            return {"ring": (part.ring, 1), "totals": (part.totals, 0)}
        case DayRing() | DistinctWindow():
            return {"ring": (part.ring, 1)}
        case DayLog():
            return {"totals": (part.totals, 1)}
        case DecayedCount():
            return {"sums": (part.sums, 0)}
        case LogHistogram():
            return {"counts": (part.counts, 0)}


def _arrays(part: Part) -> list[Array]:
    """Every array of a window, those that are made from others included."""
    made = part.sums.values() if isinstance(part, DayRing) else ()
    return [*(array for array, _ in _row_arrays(part).values()), *made]


def _moment(part: Part) -> int:
    match part:
        case RingWindow() | DistinctWindow():
            return part.newest
        case DayRing() | DayLog():
            return part.today
        case DecayedCount():
            return part.landmark
        case LogHistogram():
            return 0


def _set_moment(part: Part, moment: int) -> None:
    match part:
        case RingWindow():
            part.newest = moment
            part.forget_bound()
        case DistinctWindow():
            part.newest = moment
        case DayRing() | DayLog():
            part.today = moment
        case DecayedCount():
            part.landmark = moment
        case LogHistogram():
            pass


def _load_part(part: Part, name: str, arrays: Mapping[str, Array], high: int) -> None:
    targets = {
        f"part.{name}.{field}": array[(slice(None),) * axis + (slice(0, high),)]
        for field, (array, axis) in _row_arrays(part).items()
    }
    if any(key not in arrays or arrays[key].shape != t.shape for key, t in targets.items()):
        return
    for key, target in targets.items():
        put_sparse(target, arrays[key])
    if isinstance(part, DayLog):
        part.load(arrays[f"part.{name}.log"].astype(np.int64))
    _set_moment(part, int(arrays[f"part.{name}.moment"][0]))
    if isinstance(part, DayRing):
        part.recount(high)


def _ranked(values: Array, ranks: Ints) -> Ints:
    wide = values.astype(np.int64)
    return np.where(wide >= 0, ranks[np.maximum(wide, 0)], -1)


def _summed(day: Ints, at: Ints, amount: Ints) -> Ints:
    """int64[3, n] distinct (day, at) in order with their summed amounts, zeros left out."""
    if not len(day):
        return np.zeros((3, 0), np.int64)
    pairs, inverse = np.unique(np.stack([day, at]), axis=1, return_inverse=True)
    sums = np.bincount(inverse.reshape(-1), weights=amount).astype(np.int64)
    return np.concatenate([pairs, sums[None]])[:, sums != 0]


def _absorb_log(part: DayLog, source: DayLog, to: Mapping[int, int]) -> None:
    totals = part.totals.copy()  # totals were added already
    day, row, amount = source.dump()
    for d, r, a in zip(day.tolist(), row.tolist(), amount.tolist(), strict=True):
        if r in to:
            part.add(to[r], d, a)
    part.totals[:] = totals
