"""Answers that are made once and read by many: whoever comes first starts it, the others wait with it.

A view keeps what was made (its book) and says whether it is fresh. No rules, no columns.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

_at_work: "WeakKeyDictionary[Any, dict[Hashable, asyncio.Task[Any]]]" = WeakKeyDictionary()


async def shared(
    owner: object, name: Hashable, make: Callable[[], Awaitable[T]], patience_s: float
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


async def in_slices(work: Generator[Any, None, T]) -> T:
    """What a generator returns; between two of its slices everybody else has a turn."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found
        await asyncio.sleep(0)
