"""Rows of the domain in memory, each change told once. No clock, no database.

Rows are frozen structs: a change puts another one in their place, so whoever still holds an old one
is not disturbed. Tables and their limits stand in ``tables.py``.
"""

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from edge.commands import Outcome, Told
from edge.errors import Rfid3Error

Key = tuple[str | int, ...]
Changes = dict[tuple[str, Key], Struct | None]
"""(table, key) -> the row as it is now; ``None``: it is gone."""
R = TypeVar("R", bound=Struct)
Kept = Literal["all", "open", "none"]
WHOLE_MOST = 2**63 - 1
"""Largest whole number of a row: the store holds no larger one, and a snapshot hardly."""


class LedgerFullError(Rfid3Error):
    """A table holds as many rows as it may; nothing was changed."""

    def __init__(self, table: str, limit: int) -> None:
        self.table = table
        super().__init__(
            f"the table {table!r} holds {limit} rows, its limit: delete some that are not needed"
        )


def _storable(row: R) -> R:
    """The row, its whole numbers within what can be stored."""
    beyond = {
        name: max(-WHOLE_MOST, min(value, WHOLE_MOST))
        for name in _whole(type(row))
        if (value := getattr(row, name)) is not None and not -WHOLE_MOST <= value <= WHOLE_MOST
    }
    return msgspec.structs.replace(row, **beyond) if beyond else row


@cache
def _whole(row: type[Struct]) -> tuple[str, ...]:
    """Names of the fields that hold whole numbers."""
    kinds = {int, int | None}
    return tuple(field.name for field in msgspec.structs.fields(row) if field.type in kinds)


@dataclass(frozen=True)
class Table:
    """One table of the ledger, in memory and in the store."""

    name: str
    """Of the table in SQL."""
    row: type[Struct]
    """Its rows: a frozen struct whose fields are the columns."""
    key: tuple[str, ...]
    """Fields that tell its rows apart."""
    limit: int
    """Rows in memory at most; with ``kept="none"`` without meaning."""
    kept: Kept = "all"
    """``all`` rows are in memory; only ``open`` ones, the rest in the store; ``none`` is."""
    is_open: Callable[[Any], bool] = lambda _: True
    """For ``open``: whether a row stays in memory."""
    index: tuple[str, ...] = ()
    """Fields by which rows are looked up."""
    ordered: tuple[str, ...] = ()
    """Fields (or properties) by which rows are kept in order, so that a page of many costs no more than
    a page: numbers or texts that are never ``None``, and best such as seldom change."""

    def key_of(self, row: Struct) -> Key:
        """What tells a row from the others."""
        return tuple([getattr(row, name) for name in self.key])


class Ledger:
    """The rows of all tables. ``into`` receives every change; its owner sets it and empties it."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self.tables: dict[str, Table] = {table.name: table for table in tables}
        self.into: Changes = {}
        self.version = 0  # rises with every change
        self._versions: dict[str, int] = dict.fromkeys(self.tables, 0)
        self.answered: dict[str, tuple[str, str, str]] = {}  # by key of a command, oldest first
        self._of = {table.row: table for table in self.tables.values()}
        self._rows: dict[str, dict[Key, Struct]] = {name: {} for name in self.tables}
        self._index: dict[tuple[str, str], dict[Any, dict[Key, None]]] = {
            (t.name, f): {} for t in self.tables.values() for f in t.index
        }
        self._order: dict[str, dict[str, list[Key]]] = {
            t.name: {field: [] for field in t.ordered} for t in self.tables.values()
        }
        self._wakes: list[tuple[int, str, Key]] = []

    # -- reading --------------------------------------------------------------------------------

    def get(self, row: type[R], *key: str | int) -> R | None:
        """One row by its key, if it is in memory."""
        found = self._rows[self._table(row).name].get(key)
        assert found is None or isinstance(found, row), found
        return found

    def rows(self, row: type[R]) -> Mapping[Key, R]:
        """All rows in memory, by key, in the order in which they first came. Do not change it."""
        return self._rows[self._table(row).name]  # type: ignore[return-value]

    def by(self, row: type[R], field: str, value: str | int) -> list[R]:
        """Rows in memory whose indexed ``field`` has this value."""
        name = self._table(row).name
        rows = self._rows[name]
        return [rows[key] for key in self._index[name, field].get(value, ())]  # type: ignore[misc]

    def in_order(
        self, row: type[R], field: str, beyond: Key | None = None, *, falling: bool = False
    ) -> Iterator[R] | None:
        """Rows in memory by ``field``, ties by key, from one end on or from beyond a place.

        A place is the field's value and the key: ``(value, *key)``; ``(value,)`` lies before all of
        that value. Where ``falling``, beyond is below. Nothing may be changed before the last of them was taken. ``None``: they are not kept
        in order by that field. Raises TypeError for a place of another kind.
        """
        table = self._table(row)
        order = self._order[table.name].get(field)
        if order is None:
            return None
        rows: dict[Key, R] = self._rows[table.name]  # type: ignore[assignment]
        if falling:
            end = len(order) if beyond is None else bisect_left(order, beyond)
            return (rows[order[i][1:]] for i in range(end - 1, -1, -1))
        start = 0 if beyond is None else bisect_right(order, beyond)
        return (rows[order[i][1:]] for i in range(start, len(order)))

    def between(self, row: type[Struct], field: str, low: int, high: int) -> int:
        """Of how many rows an ordered ``field`` is at least ``low`` and below ``high``."""
        order = self._order[self._table(row).name][field]
        return max(0, bisect_left(order, (high,)) - bisect_left(order, (low,)))

    def count(self, row: type[Struct]) -> int:
        """How many rows are in memory."""
        return len(self._rows[self._table(row).name])

    def version_of(self, *rows: type[Struct]) -> int:
        """Rises with every change of the tables of these kinds of rows."""
        return sum(self._versions[self._table(row).name] for row in rows)

    def room(self, row: type[Struct]) -> int:
        """How many more rows fit."""
        table = self._table(row)
        return table.limit - len(self._rows[table.name])

    # -- changing -------------------------------------------------------------------------------

    def put(self, row: Struct) -> None:
        """Add a row or put it in the place of the one with its key. Raises LedgerFullError.

        A whole number beyond ``WHOLE_MOST``, such as a product of two that were each allowed, is kept
        as that: a row that cannot be stored would end the daemon, now and at every start.
        """
        row, table = _storable(row), self._table(type(row))
        key, rows = table.key_of(row), self._rows[table.name]
        before = rows.get(key)
        if before == row and type(before) is type(row):
            return
        stays = table.kept == "all" or (table.kept == "open" and table.is_open(row))
        if stays and before is None and len(rows) >= table.limit:
            raise LedgerFullError(table.name, table.limit)
        self._place(table, key, before, row if stays else None)
        if before is not None:
            self._forget(table, key, before)
        if stays:
            rows[key] = row
            self._remember(table, key, row)
        elif before is not None:
            del rows[key]
        self._tell(table.name, key, row)

    def drop(self, row: type[Struct], *key: str | int) -> bool:
        """Delete a row that is in memory; whether it was there."""
        table = self._table(row)
        before = self._rows[table.name].pop(key, None)
        if before is None:
            return False
        self._place(table, key, before, None)
        self._forget(table, key, before)
        self._tell(table.name, key, None)
        return True

    def erase(self, row: type[Struct], *key: str | int) -> None:
        """Delete a row wherever it is: in memory, or in the store alone."""
        if not self.drop(row, *key):
            self._tell(self._table(row).name, key, None)

    def release(self, row: type[Struct], *key: str | int) -> None:
        """Let a row go from memory; the store keeps it."""
        table = self._table(row)
        before = self._rows[table.name].pop(key, None)
        if before is not None:
            self._place(table, key, before, None)
            self._forget(table, key, before)
            self._count(table.name)

    def _table(self, row: type[Struct]) -> Table:
        return self._of[row]

    def _tell(self, table: str, key: Key, row: Struct | None) -> None:
        self.into[table, key] = row
        self._count(table)

    def _count(self, table: str) -> None:
        self.version += 1
        self._versions[table] += 1

    def _remember(self, table: Table, key: Key, row: Struct) -> None:
        for name in table.index:
            self._index[table.name, name].setdefault(getattr(row, name), {})[key] = None

    def _forget(self, table: Table, key: Key, row: Struct) -> None:
        for name in table.index:
            of = self._index[table.name, name]
            keys = of[getattr(row, name)]
            del keys[key]
            if not keys:
                del of[getattr(row, name)]

    def _place(self, table: Table, key: Key, before: Struct | None, after: Struct | None) -> None:
        """Where a row stands in each order, if it stands elsewhere now."""
        for name, order in self._order[table.name].items():
            was = None if before is None else (getattr(before, name), *key)
            now = None if after is None else (getattr(after, name), *key)
            if was == now:
                continue
            if was is not None:
                del order[bisect_left(order, was)]
            if now is not None:
                insort(order, now)

    # -- what falls due -------------------------------------------------------------------------

    def wake(self, at_ms: int, kind: str, key: Key) -> None:
        """Let ``WAKES[kind]`` be asked at that moment; who is asked looks whether it still matters."""
        heapq.heappush(self._wakes, (at_ms, kind, key))

    def due_ms(self) -> int:
        """When somebody must be asked next; far away: nobody."""
        return self._wakes[0][0] if self._wakes else 1 << 62

    def due(self, now_ms: int) -> Iterator[tuple[int, str, Key]]:
        """(moment, kind, key) of everything due until ``now_ms``, each handed out once."""
        while self._wakes and self._wakes[0][0] <= now_ms:
            yield heapq.heappop(self._wakes)

    # -- saving ---------------------------------------------------------------------------------

    def save(self) -> bytes:
        """Everything in memory, for ``load``. The same rows give the same bytes."""
        told = {
            "rows": {
                name: [rows[key] for key in sorted(rows)]
                for name, rows in self._rows.items()
                if rows
            },
            "answered": list(self.answered.items()),
            "wakes": sorted(self._wakes),
        }
        return msgspec.msgpack.encode(told)

    def load(self, told: bytes) -> None:
        """Take back what ``save`` gave, into a fresh ledger. Tables that are gone are left out."""
        saved = msgspec.msgpack.decode(told, type=_Saved)
        for name, raw in saved.rows.items():
            if name not in self.tables:
                continue
            table = self.tables[name]
            rows = msgspec.msgpack.decode(raw, type=list[table.row])  # type: ignore[name-defined]
            for row in rows:
                key = table.key_of(row)
                self._rows[name][key] = row
                self._remember(table, key, row)
            for field, order in self._order[name].items():
                order[:] = sorted((getattr(row, field), *table.key_of(row)) for row in rows)
        self.answered = dict(saved.answered)
        self._wakes = [(at_ms, kind, tuple(key)) for at_ms, kind, key in saved.wakes]
        heapq.heapify(self._wakes)


Deed = Callable[[Ledger, Any, Told], Outcome]
"""What a command does."""
Hook = Callable[[Ledger, Any, Told], None]
"""What an event changes."""
Wake = Callable[[Ledger, Key, Told], None]
"""Who is asked when something falls due."""


class _Saved(Struct):
    rows: dict[str, msgspec.Raw]
    answered: list[tuple[str, tuple[str, str, str]]]
    wakes: list[tuple[int, str, list[str | int]]]
