"""What is made once for all who wait: one maker, every reader, failures told, nobody blocked."""

import asyncio
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from edge.api.books import book_of, in_slices, prepared, shared
from edge.api.endpoint import Answer, Patience
from edge.api.jobs import Jobs
from edge.api.problems import Problem
from edge.clock import SystemClock


class Owner:
    """Anything that can be told apart."""


def test_all_who_wait_get_what_one_made() -> None:
    made = 0

    async def make() -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0.01)
        return made

    async def main() -> None:
        owner = Owner()
        first = await asyncio.gather(*(shared(owner, "a", make, 5.0) for _ in range(4)))
        assert first == [1, 1, 1, 1]
        assert await shared(owner, "a", make, 5.0) == 2  # the first is over
        assert await shared(Owner(), "a", make, 5.0) == 3

    asyncio.run(main())


def test_whoever_has_no_patience_leaves_and_it_goes_on() -> None:
    async def main() -> None:
        owner, done = Owner(), asyncio.Event()

        async def make() -> str:
            await done.wait()
            return "made"

        assert await shared(owner, 1, make, 0.0) is None
        waiting = asyncio.ensure_future(shared(owner, 1, make, 5.0))
        await asyncio.sleep(0)
        done.set()
        assert await waiting == "made"

    asyncio.run(main())


def test_a_failure_is_told_to_everybody_who_waits() -> None:
    async def make() -> None:
        raise Problem("too-many-jobs", "busy")

    async def main() -> None:
        owner = Owner()
        found = await asyncio.gather(
            *(shared(owner, 1, make, 5.0) for _ in range(2)), return_exceptions=True
        )
        assert [type(one) for one in found] == [Problem, Problem]

    asyncio.run(main())


def test_others_have_a_turn_between_slices() -> None:
    turns = []

    def work() -> Generator[None, None, str]:
        for number in range(3):
            turns.append(number)
            yield
        return "end"

    async def main() -> None:
        task = asyncio.ensure_future(in_slices(work()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(turns) < 3
        assert await task == "end"

    asyncio.run(main())


class Shelf:
    """A view that keeps one book."""

    def __init__(self, fails: bool = False) -> None:
        self.kept: str | None = None
        self.fails = fails
        self.made = 0
        self.may_end = threading.Event()
        self.may_end.set()

    def book(self, number: int) -> str | None:
        return self.kept

    def fresh(self, number: int) -> bool:
        return self.kept is not None and self.made > 0

    def of_today(self, number: int) -> bool:
        return self.kept is not None

    def gathering(self, number: int) -> Generator[None, None, str]:
        yield
        return f"book {number}"

    def making(self, gathered: str) -> Generator[float, None, dict[str, Any]]:
        yield 0.5
        assert self.may_end.wait(60)
        if self.fails:
            raise ValueError("spoilt")
        self.made += 1
        self.kept = f"{gathered}, {self.made}"
        return {"made": self.kept}


class Asked:
    """As much of the API as a book needs: real jobs."""

    def __init__(self) -> None:
        self.jobs = Jobs(SystemClock(), [])
        self.patience = Patience(book_s=60.0)


@asynccontextmanager
async def asked() -> AsyncIterator[Any]:
    api = Asked()
    try:
        yield api
    finally:
        await api.jobs.close()


@pytest.mark.parametrize("old", [False, True])
def test_a_book_is_made_in_a_job_and_an_old_one_is_shown_meanwhile(old: bool) -> None:
    async def main() -> None:
        async with asked() as api:
            shelf = Shelf()
            if old:
                shelf.kept = "of an hour ago"
                assert await book_of(api, shelf, 7, "a book") == "of an hour ago"
                while not shelf.made:
                    await asyncio.sleep(0.01)
            assert await book_of(api, shelf, 7, "a book") == "book 7, 1"
            assert await book_of(api, shelf, 7, "a book") == "book 7, 1"
            assert [job.kind for job in api.jobs.known.values()] == ["a book"]

    asyncio.run(main())


def test_without_patience_there_is_a_job_to_look_at() -> None:
    async def main() -> None:
        async with asked() as api:
            shelf = Shelf()
            shelf.may_end.clear()
            found: Any = None
            while found is None:
                with suppress(Problem):  # raised while not even its columns are gathered
                    found = await book_of(api, shelf, 7, "a book", 0.0)
            assert isinstance(found, Answer)
            assert found.status == 202
            assert found.headers["Location"].startswith("/api/jobs/")
            shelf.may_end.set()
            while shelf.kept is None:
                await asyncio.sleep(0.01)
            assert await book_of(api, shelf, 7, "a book") == "book 7, 1"

    asyncio.run(main())


def test_a_mistake_in_making_is_told() -> None:
    async def main() -> None:
        async with asked() as api:
            with pytest.raises(Problem, match="spoilt"):
                await book_of(api, Shelf(fails=True), 7, "a book")

    asyncio.run(main())


class Tally:
    """Sums that are counted up slice by slice, each slice when the test lets it."""

    def __init__(self) -> None:
        self.made, self.wanted, self.least = 0, 1, 1
        self.may_end = False
        self.slices = 0

    def fresh(self, store: str) -> bool:
        assert store == "main"
        return self.made >= self.wanted

    def standing(self, store: str) -> bool:
        assert store == "main"
        return self.made >= self.least

    def preparing(self, store: str) -> Generator[None, None, None]:
        wanted = self.wanted
        while not self.may_end:
            self.slices += 1
            yield
        self.made = wanted


def test_sums_are_waited_for_where_none_stand_and_made_behind_those_that_do() -> None:
    async def main() -> None:
        tally = Tally()
        asked = [asyncio.ensure_future(prepared(tally, "main")) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert not any(one.done() for one in asked)
        alone, tally.slices = tally.slices, 0
        await asyncio.sleep(0)
        assert alone
        assert tally.slices <= 1  # one makes them for all three
        tally.may_end = True
        await asyncio.gather(*asked)
        assert tally.made == 1

        tally.wanted, tally.may_end = 2, False
        async with asyncio.timeout(30):
            await prepared(tally, "main")  # the first stand: nobody waits
            await prepared(tally, "main")
        assert tally.made == 1
        tally.wanted = tally.least = 3  # none stand: what was begun is waited for, and made again
        waits = asyncio.ensure_future(prepared(tally, "main"))
        await asyncio.sleep(0.01)
        assert not waits.done()
        tally.may_end = True
        await waits
        assert tally.made == 3

    asyncio.run(main())
