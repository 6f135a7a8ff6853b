"""The one writer thread and its async face. No SQL here, and nothing blocks the event loop.

Every write to the local store goes through one queue to one thread, so writes happen strictly in
the order they were asked for. Reads for the API run on a few read-only connections beside it.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import structlog

from edge.errors import JournalBroken, JournalFull
from edge.records import Batch, Effects
from edge.storage.journal import Journal
from edge.storage.journal_file import connect_readonly, typed
from edge.storage.journal_reader import Tail

T = TypeVar("T")

_Job = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]"]

DIED = "the writer thread ended unexpectedly"

log = structlog.get_logger(__name__)


def _settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    """On the loop: hand over the outcome, unless the waiter has been cancelled meanwhile."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class JournalWriter:
    """Owns the journal from construction to :meth:`close`, and the thread that works on it.

    Construct inside a running loop. A cancelled waiter does not cancel its write: what was
    queued is written. ``readers`` bounds the reads that run at the same time.
    """

    def __init__(self, journal: Journal, readers: int = 2) -> None:
        assert readers > 0, readers
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = False
        self.reads = 0  # queries of readers: the third of the layers
        self._read_slots = asyncio.Semaphore(readers)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(readers, "journal-read")
        self.ended: asyncio.Future[None] = self._loop.create_future()
        """Done when the thread has ended: of itself after :meth:`close`, else with
        :class:`JournalBroken`. A supervisor waits for it."""
        self.ended.add_done_callback(
            lambda f: f.cancelled() or f.exception()
        )  # never "unretrieved"
        self._thread = threading.Thread(target=self._work, name="journal-write", daemon=True)
        self._thread.start()

    # Writing

    def commit(
        self, batch: Batch, effects: Effects | None = None, effects_seq: int | None = None
    ) -> "asyncio.Future[None]":
        """Awaitable: the batch is durable. Raises as :meth:`Journal.append`."""
        return self._submit(self._journal.append, batch, effects, effects_seq)

    def append_effects(self, effects: Effects, upto_seq: int) -> "asyncio.Future[None]":
        """Awaitable: the effects are durable. Raises as :meth:`Journal.append_effects`."""
        return self._submit(self._journal.append_effects, effects, upto_seq)

    async def trim(self, before_ms: int, keep_after_seq: int, max_bytes: int | None = None) -> int:
        """Trim slice after slice, letting commits through in between; batches removed."""
        removed = 0
        while slice_ := await self._submit(
            self._journal.trim, before_ms, keep_after_seq, max_bytes
        ):
            removed += slice_
        return removed

    def make_room(self, keep_after_seq: int) -> "asyncio.Future[int]":
        """Awaitable: see :meth:`Journal.make_room`."""
        return self._submit(self._journal.make_room, keep_after_seq)

    async def trim_effects(self, before_ms: int) -> None:
        """Trim timeline and gaps likewise, one whole walk through the items."""
        while await self._submit(self._journal.trim_effects, before_ms):
            pass

    async def trim_history(self, before_day: int) -> None:
        """Trim daily history likewise."""
        while await self._submit(self._journal.trim_history, before_day):
            pass

    def run(self, work: Callable[[Journal], T]) -> "asyncio.Future[T]":
        """Awaitable: the result of ``work(journal)``, run in its turn on the writer thread."""
        return self._submit(work, self._journal)

    @property
    def journal_id(self) -> str:
        """See :attr:`Journal.journal_id`."""
        return self._journal.journal_id

    def last(self) -> Tail:
        """Where the journal ended at the last commit; from memory."""
        return self._journal.last()

    def _submit(self, work: Callable[..., T], *args: Any) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closing or self.ended.done():
            future.set_exception(JournalBroken(self._journal.broken or "the journal is closed"))
        else:
            self._jobs.put((work, args, future))
        return future

    async def close(self) -> None:
        """Write all that is queued, then close the journal. Idempotent."""
        if not self._closing:
            self._closing = True
            self._jobs.put(None)
        with suppress(JournalBroken):
            await asyncio.shield(self.ended)
        await asyncio.to_thread(self._close_readers)

    # Reading

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The result of ``query(connection)`` on a read-only connection, off the loop.

        Sees everything committed before. Raises as the query, SQLite's errors as ours.
        """
        self.reads += 1
        async with self._read_slots:
            return await self._loop.run_in_executor(self._readers, self._read, query)

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect_readonly(self._journal.directory)
            self._connections.append(connection)
        try:
            return query(connection)
        except sqlite3.Error as error:
            raise typed(error) from error

    def _close_readers(self) -> None:
        self._readers.shutdown()
        while self._connections:
            self._connections.pop().close()

    # On the thread

    def _work(self) -> None:
        reason = DIED
        try:
            while not self._journal.broken and (job := self._jobs.get()) is not None:
                self._do(job)
                if self._jobs.empty():
                    self._rest()
            reason = self._journal.broken
        finally:
            self._journal.close()
            self._tell(self._end, reason)

    def _do(self, job: _Job) -> None:
        """One job; whatever it raises belongs to its waiter."""
        work, args, future = job
        try:
            result = work(*args)
        except Exception as error:
            self._tell(_settle, future, None, error)
        except BaseException:  # the thread dies of it; its waiter must not wait for ever
            self._tell(_settle, future, None, JournalBroken(DIED))
            raise
        else:
            self._tell(_settle, future, result, None)

    def _rest(self) -> None:
        """Nothing is waiting: a good moment for a checkpoint. The next write tells of trouble."""
        with suppress(JournalBroken, JournalFull):
            self._journal.checkpoint_if_due()

    def _tell(self, callback: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(callback, *args)

    def _end(self, reason: str) -> None:
        """On the loop, last of all: every waiter is told, and whoever watches ``ended``."""
        while not self._jobs.empty():
            if (job := self._jobs.get_nowait()) is not None:
                _settle(job[2], None, JournalBroken(reason or "the journal is closed"))
        if reason:
            log.error("journal_ended", reason=reason)
            _settle(self.ended, None, JournalBroken(reason))
        else:
            _settle(self.ended, None, None)
