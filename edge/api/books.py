"""Answers that are made once and read by many: whoever comes first starts it, the others wait with it.

A view keeps what was made (its book) and says whether it is fresh; a job makes it in a thread, out of
columns that were gathered on the loop. No rules, no columns here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Hashable, Mapping
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from edge.api import jobs
from edge.api.endpoint import Answer, Api
from edge.api.lists import Listing, ListQuery, arranged
from edge.api.problems import Problem

T = TypeVar("T")
B = TypeVar("B", covariant=True)
P = ParamSpec("P")


class Shelf(Protocol[B]):
    """A view that keeps books by a number, such as the days they look ahead."""

    def book(self, number: int) -> B | None:
        """The book that is kept; ``None``: none yet."""
        ...

    def fresh(self, number: int) -> bool:
        """Whether it is kept, of today and not old."""
        ...

    def of_today(self, number: int) -> bool:
        """Whether it is kept, and of today."""
        ...

    def gathering(self, number: int) -> Generator[None, None, Any]:
        """What it is made of, in slices."""
        ...

    def making(self, gathered: Any) -> Generator[float, None, Any]:
        """Make it out of that and keep it; yields how far it is, and returns what the job tells."""
        ...


async def book_of(
    api: Api, shelf: Shelf[T], number: int, kind: str, patience_s: float | None = None
) -> T | Answer:
    """The book, made where there is none; else 202 with the job that makes it.

    A book of today that has grown old is shown, and made anew behind it. ``patience_s``: as everybody
    has it, where not told. Raises Problem.
    """
    patience_s = api.patience.book_s if patience_s is None else patience_s
    if not shelf.fresh(number):
        wait_s = 0.0 if shelf.of_today(number) else patience_s
        made = await shared(shelf, number, lambda: _started(api, shelf, number, kind), wait_s)
        if made is not None and made.state == "failed":
            raise Problem("invalid", made.error)
        if made is None and not shelf.of_today(number):
            return _at_it(api, kind)
    book = shelf.book(number)
    return book if book is not None else _at_it(api, kind)


def _at_it(api: Api, kind: str) -> Answer:
    known: list[jobs.Job] = list(api.jobs.known.values())
    for job in reversed(known):
        if job.kind == kind:
            return jobs.started(job)
    raise Problem("too-many-jobs", "It is being prepared.")


async def _started(api: Api, shelf: Shelf[Any], number: int, kind: str) -> jobs.Job:
    """Gather on the loop, make it in a thread, wait until it is there."""
    gathered = await in_slices(shelf.gathering(number))
    job: jobs.Job = api.jobs.start(kind, lambda job: _stepped(shelf.making(gathered), job))
    await api.jobs.finished(job)
    return job


def _stepped(work: Generator[float, None, Any], job: jobs.Job) -> Any:
    """In a thread."""
    while True:
        try:
            job.step(next(work))
        except StopIteration as end:
            return end.value


_at_work: "WeakKeyDictionary[Any, dict[Hashable, asyncio.Task[Any]]]" = WeakKeyDictionary()


class Sums(Protocol[P]):
    """A view that keeps sums over many classes by what was asked for."""

    def fresh(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether they are there, and not old."""
        ...

    def standing(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether those that are there may be shown while they are made anew."""
        ...

    def preparing(self, *args: P.args, **kwargs: P.kwargs) -> Generator[None, None, None]:
        """Make them, in slices."""
        ...


async def prepared(view: Sums[P], *asked: P.args, **named: P.kwargs) -> None:
    """The sums that an answer needs are there. Where old ones may stand a little longer, nobody waits
    for the new ones."""
    work = partial(view.preparing, *asked, **named)
    while not view.fresh(*asked, **named):
        if view.standing(*asked, **named):
            await shared(view, asked, lambda: in_slices(work(), REST_S), 0.0)
        else:
            await shared(view, asked, lambda: in_slices(work()), None)
        if view.standing(*asked, **named):
            return


REST_S = 0.002
"""Rest after each slice of work that nobody waits for, seconds."""


async def shared(
    owner: object, name: Hashable, make: Callable[[], Awaitable[T]], patience_s: float | None
) -> T | None:
    """What ``make`` gives, asked once for all who wait; ``None``: not within the patience.

    Raises what ``make`` raises. It goes on when nobody waits any more.
    """
    tasks = _at_work.setdefault(owner, {})
    task = tasks.get(name)
    if task is None or task.done():
        task = tasks[name] = asyncio.ensure_future(_made(make))
        task.add_done_callback(_heard)
    done, _ = await asyncio.wait([task], timeout=patience_s)
    return task.result() if done else None


async def _made(make: Callable[[], Awaitable[T]]) -> T:
    return await make()


def _heard(task: "asyncio.Task[Any]") -> None:
    """A failure that nobody waited for is no surprise at the end."""
    if not task.cancelled():
        task.exception()


async def in_slices(work: Generator[Any, None, T], rest_s: float = 0.0) -> T:
    """What a generator returns; between two of its slices everybody else has a turn, and ``rest_s``."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found
        await asyncio.sleep(rest_s)


# -- pages out of columns --------------------------------------------------------------------------


def places_of(
    listing: Listing[Any],
    query: ListQuery,
    numbers: NDArray[np.int64],
    columns: Mapping[str, NDArray[Any]],
    passing: NDArray[np.bool_],
) -> tuple[list[int], str | None]:
    """(places of one page's rows in the columns, next cursor): for tens of thousands of rows.

    ``numbers``: int64[n] that tell the rows apart, rising; ``columns``: field to sort by -> float64[n];
    ``passing``: bool[n]. Raises Problem ``bad-parameter`` or ``bad-cursor``.
    """
    sort, falling = listing.arrangement(query)
    rows, cursor = arranged(query, listing.name, numbers[passing], columns[sort][passing], falling)
    places: list[int] = np.searchsorted(numbers, rows).tolist()
    return places, cursor
