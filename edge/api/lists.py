"""Lists of rows: filters, sorting, pages whose cursors stay true while rows come and go. No routing.

A cursor holds the place of the last row shown (its value and its key), not a number of rows: a row
that stays is shown once, whatever is added or goes meanwhile.
"""

import asyncio
import base64
import binascii
import math
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import Annotated, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from edge.api.endpoint import Query
from edge.api.problems import Problem
from edge.api.query import Limit, Text
from edge.view_basis import Rows

R = TypeVar("R", bound=Struct)
R_co = TypeVar("R_co", bound=Struct, covariant=True)
Ints = NDArray[np.int64]

ListCursor = Annotated[str, Meta(min_length=1, max_length=2_048)]
Order = Literal["asc", "desc"]
SLICE_ROWS = 2_000
"""Rows that a list looks at in one slice."""
FILLED_FROM = 3
"""A page is first filled from so many times its rows."""
NAMED_MOST = 10
"""Values that an empty list names of those that there are."""
_PAGING = frozenset({"cursor", "limit", "format"})


class ListQuery(Query):
    """Which page, in which order, in which form. Subclasses add filters."""

    cursor: ListCursor | None = None
    """``next_cursor`` of the page before."""
    limit: Limit = 100
    """Most rows in the page."""
    sort: Text | None = None
    """Field to sort by; a wrong one is refused with the list of those that can be used."""
    order: Order | None = None
    """``asc`` or ``desc``; rows without a value come last either way."""
    format: Literal["json", "csv"] | None = None
    """Form of the answer; without it ``Accept`` decides."""


class Page(NamedTuple, Generic[R]):
    """Rows of one page."""

    rows: Rows[R]
    """They know it where there are none because a filter names what no row has."""
    next_cursor: str | None
    """``None``: it is the last."""


Extract = Callable[[Any], Any]


class Walk(Protocol[R_co]):
    """Rows by a field, ties by key, from an end on or from beyond ``(value, *key)``; ``None``: not so."""

    def __call__(
        self, field: str, beyond: tuple[Any, ...] | None = None, *, falling: bool = False
    ) -> Iterator[R_co] | None:
        """See ``edge.ledger.ledger.Ledger.in_order``."""


@dataclass(frozen=True)
class Listing(Generic[R]):
    """How the rows of one endpoint are filtered and sorted; declared once, beside its query.

    ``key`` names the fields that tell rows apart. ``filters`` maps a field of the query to the
    field of the row that must equal it, or to ``(row, wanted) -> bool``; a filter not given is
    passed by all. ``sort`` and ``order`` hold where the asker names none. A filter by text that no
    row has is named by the empty page, with values that there are.
    """

    name: str
    key: tuple[str, ...]
    sorts: tuple[str, ...]
    sort: str
    order: Order = "asc"
    filters: Mapping[str, str | Callable[[R, Any], bool]] = field(default_factory=dict)

    def page(self, query: ListQuery, rows: Iterable[R]) -> Page[R]:
        """One page of the rows that pass the query's filters.

        It looks at every row once: for a few thousand rows; of more, see ``page_of_many``, and of
        columns, ``arranged``.
        Raises Problem ``bad-parameter`` or ``bad-cursor``.
        """
        return deque(self._paged(query, rows), maxlen=1).pop()

    async def page_of_many(self, query: ListQuery, rows: Sequence[R]) -> Page[R]:
        """The same of many rows, with a turn for everybody else between two slices of them.

        ``rows`` must not change meanwhile: hand in a list of one's own.
        """
        page = Page[R](Rows(), None)
        for so_far in self._paged(query, rows):
            page = so_far
            await asyncio.sleep(0)
        return page

    def page_in_order(
        self, query: ListQuery, walk: Walk[R], *also: Callable[[R], bool]
    ) -> Page[R] | None:
        """The same of rows that are kept in order, however many: the first that pass fill the page.

        They must pass ``also``, too. ``None``: they are not kept in the order asked for, too few of
        the first ``SLICE_ROWS`` pass, or none does; then all of them have to be looked at.
        Raises Problem ``bad-parameter`` or ``bad-cursor``.
        """
        sort, falling = self.arrangement(query)
        after = _after(query, self.name)
        start = None if after is None else _checked(after, 2 + len(self.key))
        if start is not None and start[0] != falling:  # beyond all that have a value
            return None
        try:
            waiting = walk(sort, None if start is None else start[1:], falling=falling)
        except TypeError:  # a cursor of no row of ours: judged where all rows are looked at
            return None
        if waiting is None:
            return None
        passing = [*also, *self._passing(query)]
        near = islice(waiting, SLICE_ROWS)
        found = (row for row in near if all(passes(row) for passes in passing))
        picked = list(islice(found, query.limit + 1))
        more = len(picked) > query.limit
        if not more and (not picked or next(waiting, None) is not None):
            return None
        shown = Rows(picked[: query.limit])
        place = _place(attrgetter(sort), _key_of(self.key), falling)
        return Page(shown, _cursor(query, self.name, list(place(shown[-1]))) if more else None)

    def _paged(self, query: ListQuery, given: Iterable[R]) -> Iterator[Page[R]]:
        """The page as of the rows looked at so far, slice by slice; at least once."""
        sort, falling = self.arrangement(query)
        value = attrgetter(sort)
        place = _place(value, _key_of(self.key), falling)
        passing = self._passing(query)
        after = _after(query, self.name)
        start = None if after is None else _checked(after, 2 + len(self.key))
        picked: list[tuple[Any, R]] = []
        strange = self._texts(query)
        # rows mostly stand in rising order: from the right end the page is soon full of what belongs there
        waiting = reversed(given) if falling and isinstance(given, Sequence) else iter(given)
        while True:
            part = list(islice(waiting, SLICE_ROWS))
            # once a page is full, its last row judges the others: so it is filled from few
            few = len(part) if picked else min(FILLED_FROM * (query.limit + 1), len(part))
            for some in (part[:few], part[few:]):
                full = len(picked) > query.limit
                looked = _near(some, value, picked[-1][0], falling) if full else some
                found = [(place(row), row) for row in looked if all(p(row) for p in passing)]
                strange = [] if picked or found else [one for one in strange if not one.seen(some)]
                if start is not None:
                    found = [(p, row) for p, row in found if _beyond(p, start, falling)]
                if full:
                    last = picked[-1][0]
                    found = [(p, row) for p, row in found if (p > last if falling else p < last)]
                if found:
                    picked = sorted(picked + found, key=_first, reverse=falling)[: query.limit + 1]
            shown = picked[: query.limit]
            more = len(picked) > query.limit
            following = _cursor(query, self.name, list(shown[-1][0])) if more else None
            rows = Rows(row for _, row in shown)
            rows.why = strange[0].words() if strange and not rows else ""
            yield Page(rows, following)
            if len(part) < SLICE_ROWS:
                return

    def arrangement(self, query: ListQuery) -> tuple[str, bool]:
        """(field to sort by, whether it falls). Raises Problem ``bad-parameter``."""
        sort = query.sort or self.sort
        if sort not in self.sorts:
            detail = f"sort={sort!r}: one of {', '.join(self.sorts)}."
            raise Problem("bad-parameter", detail, parameter="sort")
        return sort, (query.order or self.order) == "desc"

    def _passing(self, query: ListQuery) -> list[Callable[[R], bool]]:
        made: list[Callable[[R], bool]] = []
        for name, how in self.filters.items():
            wanted = getattr(query, name)
            if wanted is not None:
                made.append(_equals(how, wanted) if isinstance(how, str) else _asks(how, wanted))
        return made

    def _texts(self, query: ListQuery) -> list["_Text"]:
        """Filters by text that the asker gave: each may name what no row has."""
        given = ((name, how, getattr(query, name)) for name, how in self.filters.items())
        return [_Text(name, how, told) for name, how, told in given if isinstance(told, str)]


class _Text:
    """A filter by text, and what the rows have in its place as long as none had what was asked for."""

    def __init__(self, name: str, how: str | Callable[[Any, Any], bool], wanted: str) -> None:
        self._name, self._wanted = name, wanted
        self._passes = _equals(how, wanted) if isinstance(how, str) else _asks(how, wanted)
        self._value = attrgetter(how) if isinstance(how, str) else None
        self._others: dict[str, None] = {}
        self._rows = 0

    def seen(self, rows: Sequence[Any]) -> bool:
        """Whether one of these rows has it."""
        if any(self._passes(row) for row in rows):
            return True
        self._rows += len(rows)
        if self._value is not None and len(self._others) <= NAMED_MOST:
            told = (value for row in rows if (value := self._value(row)) and isinstance(value, str))
            self._others.update(dict.fromkeys(told))
        return False

    def words(self) -> str:
        """Why the page is empty; nothing where there was no row at all."""
        if not self._rows:
            return ""
        known = sorted(self._others)[:NAMED_MOST]
        more = " …" if len(self._others) > NAMED_MOST else ""
        there_are = f"; there are {', '.join(known)}{more}" if known else ""
        return f"No row has {self._name}={self._wanted!r}{there_are}."


def _near(rows: list[R], value: Extract, last: tuple[Any, ...], falling: bool) -> list[R]:
    """Those that may still come before ``last``: most rows of a long list are judged by this alone."""
    empty, border = last[0] != falling, last[1]
    if empty:
        return rows
    if falling:
        return [row for row in rows if (found := value(row)) is not None and found >= border]
    return [row for row in rows if (found := value(row)) is not None and found <= border]


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def _equals(name: str, wanted: Any) -> Callable[[Any], bool]:
    value = attrgetter(name)
    return lambda row: bool(value(row) == wanted)


def _asks(how: Callable[[Any, Any], bool], wanted: Any) -> Callable[[Any], bool]:
    return lambda row: how(row, wanted)


def arranged(
    query: ListQuery, listing: str, rows: Ints, values: NDArray[Any], falling: bool
) -> tuple[Ints, str | None]:
    """(rows of one page, next cursor) out of columns: ``values``: float64[n] belong to ``rows``: int64[n].

    For tens of thousands of rows. Row numbers break ties, so a row must keep its number while it
    lives. Rows whose value is NaN come last. Raises Problem ``bad-cursor``.
    """
    signed = -np.asarray(values, np.float64) if falling else np.asarray(values, np.float64)
    place = np.where(np.isnan(signed), math.inf, signed)
    after = _after(query, listing)
    if after is not None:
        if len(after) != 2 or not all(isinstance(n, int | float) for n in after):
            raise Problem("bad-cursor", "It is not a cursor of this listing.")
        last, row = math.inf if math.isnan(after[0]) else float(after[0]), int(after[1])
        keep = (place > last) | ((place == last) & (rows > row))
        rows, place = rows[keep], place[keep]
    if len(rows) > 4 * query.limit + 64:
        border = np.partition(place, query.limit)[query.limit]
        near = place <= border
        rows, place = rows[near], place[near]
    order = np.lexsort((rows, place))[: query.limit + 1]
    shown = order[: query.limit]
    if len(order) <= query.limit:
        return rows[shown], None
    end = shown[-1]
    value = float(place[end])
    return rows[shown], _cursor(query, listing, [value, int(rows[end])])


# -- places and cursors --------------------------------------------------------------------------


def _key_of(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) == 1:
        value = attrgetter(names[0])
        return lambda row: (value(row),)
    return attrgetter(*names)


def _place(value: Extract, key: Callable[[Any], tuple[Any, ...]], falling: bool) -> Extract:
    """Where a row stands: rows without a value behind all others, ties by key."""

    def place(row: Any) -> tuple[Any, ...]:
        found = value(row)
        empty = found is None or found != found
        return (empty != falling, 0 if empty else found, *key(row))

    return place


def _beyond(place: tuple[Any, ...], start: tuple[Any, ...], falling: bool) -> bool:
    try:
        return place < start if falling else place > start
    except TypeError:
        raise Problem("bad-cursor", "It is not a cursor of this listing.") from None


def _checked(after: list[Any], length: int) -> tuple[Any, ...]:
    if len(after) != length:
        raise Problem("bad-cursor", "It is not a cursor of this listing.")
    return tuple(after)


def _check(query: ListQuery, listing: str) -> int:
    told = {n: getattr(query, n) for n in query.__struct_fields__ if n not in _PAGING}
    return zlib.crc32(repr((listing, sorted(told.items(), key=lambda x: x[0]))).encode())


def _cursor(query: ListQuery, listing: str, place: list[Any]) -> str:
    packed = msgspec.msgpack.encode([_check(query, listing), *place])
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def _after(query: ListQuery, listing: str) -> list[Any] | None:
    """The place in the query's cursor; ``None``: it has none. Raises Problem ``bad-cursor``."""
    text = query.cursor
    if text is None:
        return None
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = msgspec.msgpack.decode(packed)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        found = None
    if not isinstance(found, list) or not found:
        raise Problem("bad-cursor", f"{text!r} is not a cursor of this listing.")
    if found[0] != _check(query, listing):
        raise Problem("bad-cursor", "The cursor belongs to another listing or other filters.")
    return found[1:]
