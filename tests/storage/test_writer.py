"""The writer thread: in order, off the loop, and nobody waits for ever."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from edge.config import Storage
from edge.errors import JournalBroken, JournalFull
from edge.records import Batch, DeadLetter, Effects, Gap, Message, TimelineEntry
from edge.storage import tables
from edge.storage.journal import Journal
from edge.storage.writer import JournalWriter

WAL = 0x80000


def opened(directory: Path, **changes: Any) -> Journal:
    return Journal.open(directory, Storage(disk_reserve_bytes=0, **changes))


def numbered(seq: int, n: int = 1) -> Batch:
    first = (seq - 1) * n
    return Batch(seq, first, seq, [Message("a", b"%d" % (first + i), seq) for i in range(n)])


def test_writes_happen_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        writer = JournalWriter(opened(tmp_path))
        order: list[int] = []
        waiting = []
        for seq in range(1, 51):
            commit = writer.commit(numbered(seq))
            commit.add_done_callback(lambda _, seq=seq: order.append(seq))
            waiting.append(commit)
            waiting.append(writer.run(lambda journal: journal.last().seq))
        results = await asyncio.gather(*waiting)
        assert results[1::2] == list(range(1, 51))
        assert order == list(range(1, 51))
        await writer.close()

    asyncio.run(main())
    journal = opened(tmp_path)
    assert [b.seq for b in journal.batches(0)] == list(range(1, 51))
    journal.close()


def test_the_loop_goes_on_while_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    async def main() -> None:
        writer = JournalWriter(opened(tmp_path))
        held = threading.Event()
        blocked = writer.run(lambda _: held.wait(30))
        commit = writer.commit(numbered(1))
        turns = 0
        for _ in range(100):
            await asyncio.sleep(0)
            turns += not commit.done()
        assert turns == 100
        held.set()
        assert await blocked
        await commit
        await writer.close()

    asyncio.run(main())


def test_closing_writes_what_is_queued_and_refuses_what_comes_later(tmp_path: Path) -> None:
    async def main() -> None:
        writer = JournalWriter(opened(tmp_path))
        commits = [writer.commit(numbered(seq)) for seq in range(1, 11)]
        closing = asyncio.create_task(writer.close())
        await asyncio.sleep(0)
        with pytest.raises(JournalBroken, match="closed"):
            await writer.commit(numbered(11))
        await closing
        await writer.close()
        assert all(c.done() and c.exception() is None for c in commits)
        assert writer.ended.exception() is None

    asyncio.run(main())
    journal = opened(tmp_path)
    assert journal.last().seq == 10
    journal.close()


def test_a_cancelled_waiter_does_not_cancel_its_write(tmp_path: Path) -> None:
    async def main() -> None:
        writer = JournalWriter(opened(tmp_path))
        writer.commit(numbered(1)).cancel()
        await writer.commit(numbered(2))
        assert writer.last().seq == 2
        await writer.close()

    asyncio.run(main())


def test_a_full_journal_refuses_and_then_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        free = [2**40]
        journal = Journal.open(tmp_path, Storage(), free_bytes=lambda _: free[0])
        free[0] = 0
        writer = JournalWriter(journal)
        for _ in range(3):
            with pytest.raises(JournalFull):
                await writer.commit(numbered(1))
        free[0] = 2**40
        await writer.commit(numbered(1))
        assert not writer.ended.done()
        await writer.close()

    asyncio.run(main())


def test_a_broken_journal_ends_the_thread_and_tells_every_waiter(
    tmp_path: Path, failing_disk: Any
) -> None:
    async def main() -> None:
        writer = JournalWriter(opened(tmp_path))
        await writer.commit(numbered(1))
        failing_disk.sync_error[WAL] = sqlite3.SQLITE_IOERR_FSYNC
        commits = [writer.commit(numbered(seq)) for seq in range(2, 6)]
        reading = writer.run(lambda journal: journal.used_bytes())
        outcomes = await asyncio.gather(*commits, reading, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [JournalBroken] * 5
        with pytest.raises(JournalBroken, match="IOERR_FSYNC"):
            await writer.ended
        with pytest.raises(JournalBroken, match="IOERR_FSYNC"):
            await writer.commit(numbered(2))
        failing_disk.heal()
        await writer.close()

    asyncio.run(main())


def test_a_thread_that_dies_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def die(_: Journal) -> None:
        raise SystemExit

    async def main() -> None:
        writer = JournalWriter(opened(tmp_path))
        waiting = [writer.run(die), writer.commit(numbered(1)), writer.run(Journal.used_bytes)]
        outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
        assert [type(outcome) for outcome in outcomes] == [JournalBroken] * 3
        with pytest.raises(JournalBroken, match="unexpectedly"):
            await writer.ended
        writer._thread.join()
        await writer.close()

    asyncio.run(main())


def test_an_error_in_other_work_belongs_to_its_waiter_alone(tmp_path: Path) -> None:
    async def main() -> None:
        writer = JournalWriter(opened(tmp_path))
        with pytest.raises(ZeroDivisionError):
            await writer.run(lambda _: 1 // 0)
        await writer.commit(numbered(1))
        await writer.close()

    asyncio.run(main())


def test_commits_pass_between_the_slices_of_a_trim(tmp_path: Path) -> None:
    async def main() -> None:
        journal = opened(tmp_path)
        for seq in range(1, 1_201):
            journal.append(numbered(seq))
        oldest_at_commit: list[int] = []
        writer = JournalWriter(journal)
        trimming = asyncio.create_task(writer.trim(2**60, 1_190))
        await asyncio.sleep(0)
        commit = writer.commit(numbered(1_201))
        commit.add_done_callback(lambda _: oldest_at_commit.append(journal.reader.oldest_seq()))
        assert await trimming == 1_190
        await commit
        assert oldest_at_commit[0] < 1_190
        assert journal.reader.oldest_seq() == 1_191
        await writer.close()

    asyncio.run(main())


def test_reads_see_what_was_committed_and_are_bounded(tmp_path: Path) -> None:
    async def main() -> None:
        writer = JournalWriter(opened(tmp_path), readers=2)
        letter = DeadLetter(0, -1, 5, "a", "unreadable", "why", b"x")
        line = TimelineEntry(0, 0, "E1", 5, "arrived", "{}")
        gap = Gap(0, "dock", 5, 0, "offline")
        await writer.commit(numbered(1), Effects([letter], [line], [gap]), 1)
        assert await writer.read(lambda c: tables.dead_letters(c, 10)) == [letter]
        assert await writer.read(lambda c: tables.timeline(c, "E1", 10)) == [line]
        assert await writer.read(lambda c: tables.gaps(c, "dock")) == [gap]
        running, most, lock = 0, 0, threading.Lock()

        def slow(connection: sqlite3.Connection) -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            connection.execute("SELECT count(*) FROM batch a, batch b").fetchall()
            with lock:
                running -= 1

        await asyncio.gather(*(writer.read(slow) for _ in range(20)))
        assert 1 <= most <= 2
        with pytest.raises(JournalBroken, match="readonly"):
            await writer.read(lambda c: c.execute("DELETE FROM batch"))
        await writer.close()

    asyncio.run(main())


def test_old_timeline_entries_and_gaps_are_trimmed_item_by_item(tmp_path: Path) -> None:
    async def main() -> None:
        writer = JournalWriter(opened(tmp_path))
        lines = [TimelineEntry(o, 0, f"E{o % 700}", o, "seen", "{}") for o in range(7_000)]
        gaps = [Gap(o, "dock", o, 0 if o == 3 else o + 1, "offline") for o in range(10)]
        await writer.commit(numbered(1), Effects([], lines, gaps), 1)
        await writer.trim_effects(6_000)
        kept = await writer.read(
            lambda c: c.execute("SELECT at_ms FROM timeline ORDER BY at_ms").fetchall()
        )
        assert [at for (at,) in kept] == list(range(6_000, 7_000))
        kept = await writer.read(tables.gaps)
        assert [gap.to_ms for gap in kept] == [0]  # what is open stays
        await writer.close()

    asyncio.run(main())
