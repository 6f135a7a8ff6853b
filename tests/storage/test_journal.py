"""The journal: what was appended is there, in order, whole, once; and how it refuses."""

import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config import Storage
from edge.errors import JournalBroken, JournalFull
from edge.records import Batch, DeadLetter, Effects, Gap, Message, Replayed, TimelineEntry
from edge.storage import journal as journal_module
from edge.storage import journal_reader, tables
from edge.storage.journal import Journal
from edge.storage.journal_file import FILE_NAME, JournalInUse
from edge.storage.journal_reader import JournalReader, Tail

MAIN, WAL = 0x100, 0x80000  # kinds of file, as the failing disk names them
FAST = settings(max_examples=30, deadline=None)

messages = st.builds(
    Message,
    topic=st.text(max_size=20),
    payload=st.binary(max_size=300),
    arrival_ms=st.integers(0, 2**52),
    session=st.integers(0, 2**40),
    packet_id=st.integers(0, 65_535),
    flags=st.integers(0, 15),
    origin_ms=st.integers(0, 2**52),
)


def opened(directory: Path, **changes: Any) -> Journal:
    return Journal.open(directory, Storage(disk_reserve_bytes=0, **changes))


def said(ordinal: int, size: int = 40) -> Message:
    """The message with this ordinal, always the same."""
    return Message(f"shop/{ordinal % 7}", b"%d " % ordinal * (size // 4), 1_000 + ordinal, 1)


def following(journal: Journal, n: int, size: int = 40) -> Batch:
    """The next batch, of ``n`` messages."""
    tail = journal.last()
    first = tail.next_ordinal
    return Batch(tail.seq + 1, first, 1_000 + first, [said(first + i, size) for i in range(n)])


def everything(journal: Journal) -> list[Message]:
    return [m for b in journal.batches(journal.reader.oldest_seq() - 1) for m in b.messages]


@FAST
@given(st.lists(st.lists(messages, max_size=40), max_size=8))
def test_any_split_into_batches_reads_back_identical_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, split: list[list[Message]]
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    journal = opened(directory)
    first = 0
    written = []
    for seq, part in enumerate(split, 1):
        written.append(Batch(seq, first, seq * 50, part))
        journal.append(written[-1])
        first += len(part)
    assert list(journal.batches(0)) == written
    tail = journal.last()
    journal.close()
    again = opened(directory)
    assert list(again.batches(0)) == written
    assert again.last() == tail
    again.close()


def test_a_new_journal_ends_at_zero(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    assert journal.last() == Tail(0, 0, 0, 0, 0)
    assert journal.reader.oldest_seq() == 1
    assert list(journal.batches(0)) == []
    journal.close()


def test_the_tail_remembers_arrival_and_session_across_empty_batches(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(Batch(1, 0, 50, [Message("a", b"", 40, 3), Message("a", b"", 45, 0)]))
    journal.append(Batch(2, 2, 1_050, []))
    journal.close()
    journal = opened(tmp_path)
    assert journal.last() == Tail(2, 2, 1_050, 45, 3)
    journal.close()


def test_a_large_read_is_fetched_in_parts_and_may_start_and_end_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_reader, "READ_BYTES", 1_000)
    journal = opened(tmp_path)
    for _ in range(50):
        journal.append(following(journal, 3))
    assert [b.seq for b in journal.batches(0)] == list(range(1, 51))
    assert [b.seq for b in journal.batches(17, 41)] == list(range(18, 42))
    assert journal.reader.count(17) == 33 * 3
    journal.close()


def test_a_batch_out_of_order_is_a_mistake_of_ours(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(AssertionError):
        journal.append(Batch(2, 0, 0, []))
    with pytest.raises(AssertionError):
        journal.append(Batch(1, 5, 0, []))
    journal.close()


def test_a_reader_follows_while_the_daemon_writes(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(following(journal, 2))
    reader = JournalReader.open(tmp_path)
    stream = reader.batches(0)
    assert next(stream).seq == 1
    journal.append(following(journal, 2))
    assert next(stream).seq == 2
    assert reader.last() == journal.last()
    with pytest.raises(sqlite3.OperationalError):
        reader._connection.execute("DELETE FROM batch")
    reader.close()
    journal.close()


# Who may open it


def test_a_second_daemon_in_one_directory_is_refused_by_the_number_of_the_first(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; from edge.storage.journal import Journal; from edge.config import Storage\n"
        f"j = Journal.open({str(tmp_path)!r}, Storage()); print('open', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "open\n"
        with pytest.raises(JournalInUse, match=rf"\(process {first.pid}\)"):
            opened(tmp_path)
        first.kill()
    opened(tmp_path).close()


def test_somebody_elses_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    foreign = sqlite3.connect(tmp_path / FILE_NAME)
    foreign.execute("CREATE TABLE theirs(x)")
    foreign.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(JournalBroken, match="not a journal of ours"):
        opened(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalBroken, match="version 99"):
        opened(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"holiday pictures" * 500)
    with pytest.raises(JournalBroken, match="not a database"):
        opened(tmp_path)


def test_a_directory_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalBroken, match="cannot be used"):
        opened(tmp_path / "file" / "var")


def test_the_lock_is_let_go_when_opening_fails(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"holiday pictures" * 500)
    with pytest.raises(JournalBroken):
        opened(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    opened(tmp_path).close()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("UPDATE batch SET blob = zeroblob(length(blob)) WHERE seq = 3", "batch 3 is damaged"),
        ("UPDATE batch SET blob = substr(blob, 1, 20) WHERE seq = 3", "batch 3 is damaged"),
        ("UPDATE batch SET blob = CAST(blob || x'00' AS BLOB) WHERE seq = 3", "batch 3 is damaged"),
        ("UPDATE batch SET codec = 77 WHERE seq = 3", "unknown codec 77"),
        ("UPDATE batch SET n = 9 WHERE seq = 5", "batch 5 holds 4 messages instead of 9"),
        ("DELETE FROM batch WHERE seq = 3", "batch 3 is missing"),
        ("UPDATE batch SET first = 0 WHERE seq = 4", "batch 4 is missing"),
    ],
)
def test_a_damaged_end_is_found_on_opening(tmp_path: Path, damage: str, complaint: str) -> None:
    journal = opened(tmp_path)
    for _ in range(5):
        journal.append(following(journal, 4))
    journal.close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute(damage)
    connection.commit()
    connection.close()
    with pytest.raises(JournalBroken, match=complaint):
        opened(tmp_path)


# A full disk, a broken disk


def test_below_the_disk_reserve_nothing_is_written_until_there_is_room(tmp_path: Path) -> None:
    free = [10_000_000]
    journal = Journal.open(
        tmp_path, Storage(disk_reserve_bytes=5_000_000), free_bytes=lambda _: free[0]
    )
    free[0] = 4_999_999
    batch = following(journal, 3)
    for _ in range(3):
        with pytest.raises(JournalFull, match="held in reserve"):
            journal.append(batch)
    assert journal.last() == Tail()
    free[0] = 10_000_000
    journal.append(batch)
    assert everything(journal) == batch.messages
    journal.append(following(journal, 3))
    free[0] = 4_200_000
    assert journal.trim(2**60, 2) == 1  # what is held in reserve is there for this
    free[0] = 4_000_000
    with pytest.raises(JournalFull):
        journal.trim(2**60, 2)
    journal.close()
    with pytest.raises(JournalFull, match="4000000 bytes can be"):
        Journal.open(tmp_path, Storage(), free_bytes=lambda _: free[0])


def test_what_trimming_gave_back_counts_as_room_although_the_file_does_not_shrink(
    tmp_path: Path,
) -> None:
    journal = Journal.open(
        tmp_path, Storage(disk_reserve_bytes=10_000_000), free_bytes=lambda _: 9_980_000
    )
    journal._room_checked_at = float("inf")  # there was room when these were written
    noise = random.Random(1)
    for k in range(20):
        journal.append(Batch(k + 1, k, k, [Message("a", noise.randbytes(4_000), k)]))
    journal._room_checked_at = float("-inf")
    with pytest.raises(JournalFull, match="held in reserve"):
        journal.append(following(journal, 1))
    assert journal.make_room(keep_after_seq=0) == 0
    assert journal.make_room(keep_after_seq=15) == 15
    journal.append(following(journal, 1))
    journal.close()


def test_a_letter_played_again_goes_in_the_commit_that_stores_it_or_stays(
    tmp_path: Path, failing_disk: Any
) -> None:
    journal = opened(tmp_path)
    letters = [DeadLetter(n, -1, 5, "a/b", "not_json", "", b"x") for n in (0, 1)]
    journal.append(following(journal, 2), None, None)
    journal.append_effects(Effects(letters, [], []), 1)

    def kept() -> list[int]:
        return [d.ordinal for d in tables.dead_letters(journal._connection, 9)]

    played = Replayed("a/b", b"x", 9_000, origin_ms=5, letter=(0, -1))
    batch = Batch(2, 2, 9_000, [played])
    failing_disk.write_error[WAL] = sqlite3.SQLITE_FULL
    with pytest.raises(JournalFull):
        journal.append(batch)
    failing_disk.heal()
    assert (kept(), journal.letters_played) == ([1, 0], 0)
    journal.append(batch)
    assert (kept(), journal.letters_played) == ([1], 1)
    again = everything(journal)[-1]
    assert (again.topic, again.payload, again.origin_ms) == ("a/b", b"x", 5)
    journal.close()


def test_at_its_own_limit_the_journal_is_full_until_something_was_trimmed(tmp_path: Path) -> None:
    empty = opened(tmp_path)
    base = empty.used_bytes()  # of all the tables
    empty.close()
    most = base + 48_000
    journal = opened(tmp_path, journal_max_bytes=most)
    noise = random.Random(1)

    def fill() -> None:
        for k in range(10_000):
            journal._room_checked_at = float("-inf")  # as if a second had passed
            journal.append(Batch(k + 1, k, k, [Message("a", noise.randbytes(4_000), k)]))

    with pytest.raises(JournalFull, match=f"of {most} allowed") as refused:
        fill()
    assert refused.value.cure == "raise storage.journal_max_bytes"
    size = journal.used_bytes()
    assert base + 38_000 < size <= base + 50_000
    while journal.trim(2**60, journal.last().seq // 2):
        pass
    assert journal.used_bytes() < base + 33_000
    journal.append(following(journal, 1))
    journal.close()
    assert (tmp_path / FILE_NAME).stat().st_size <= base + 50_000  # freed pages are used again


@pytest.mark.parametrize(
    ("operation", "kind", "code", "expected"),
    [
        ("write", WAL, sqlite3.SQLITE_FULL, JournalFull),
        ("write", WAL, sqlite3.SQLITE_IOERR_WRITE, JournalBroken),
        ("sync", WAL, sqlite3.SQLITE_IOERR_FSYNC, JournalBroken),
        ("sync", WAL, sqlite3.SQLITE_IOERR_DIR_FSYNC, JournalBroken),
        ("write", WAL, sqlite3.SQLITE_READONLY, JournalBroken),
    ],
)
def test_a_failing_commit_is_full_or_broken_and_never_half_written(
    tmp_path: Path,
    failing_disk: Any,
    operation: str,
    kind: int,
    code: int,
    expected: type[Exception],
) -> None:
    journal = opened(tmp_path)
    for _ in range(5):
        journal.append(following(journal, 4))
    good = everything(journal)
    batch = following(journal, 6)
    letter = DeadLetter(5, -1, 1, "a", "unreadable", "", b"x")
    getattr(failing_disk, f"{operation}_error")[kind] = code
    for _ in range(2):
        with pytest.raises(expected):
            journal.append(batch, Effects([letter], [], []), 5)
    assert journal.last().seq == 5
    assert journal.effects_seq == 0
    failing_disk.heal()
    if expected is JournalFull:
        assert everything(journal) == good
        assert journal._dead_letters.count == 0
        journal.append(batch, Effects([letter], [], []), 5)
        assert journal._dead_letters.count == 1
        assert everything(journal) == good + batch.messages
    else:
        for write in (lambda: journal.append(batch), lambda: journal.trim(0, 0)):
            with pytest.raises(JournalBroken):  # never trusted again, although the disk is well
                write()
    journal.close()
    after = opened(tmp_path)
    assert everything(after) in (good, good + batch.messages)
    assert (after.last().seq, after.effects_seq) in ((5, 0), (6, 5))
    after.close()


def test_the_failing_disk_sees_a_sync_at_every_commit(tmp_path: Path, failing_disk: Any) -> None:
    journal = opened(tmp_path)
    journal.append(following(journal, 1))
    before = failing_disk.syncs
    for _ in range(10):
        journal.append(following(journal, 1))
    assert failing_disk.syncs - before >= 10
    journal.close()


def test_no_room_for_a_checkpoint_stops_nothing(tmp_path: Path, failing_disk: Any) -> None:
    journal = opened(tmp_path)
    failing_disk.write_error[MAIN] = sqlite3.SQLITE_FULL
    journal.append(following(journal, 4))
    assert journal.checkpoint_if_due()
    journal.append(following(journal, 4))
    assert len(everything(journal)) == 8
    failing_disk.heal()
    journal.close()
    journal = opened(tmp_path)
    assert len(everything(journal)) == 8
    journal.close()


def test_a_failed_sync_in_a_checkpoint_breaks_the_journal(
    tmp_path: Path, failing_disk: Any
) -> None:
    journal = opened(tmp_path)
    journal.append(following(journal, 4))
    failing_disk.sync_error[MAIN] = sqlite3.SQLITE_IOERR_FSYNC
    with pytest.raises(JournalBroken, match="IOERR_FSYNC"):
        journal.checkpoint_if_due()
    with pytest.raises(JournalBroken, match="IOERR_FSYNC"):
        journal.append(following(journal, 4))
    failing_disk.heal()
    journal.close()
    journal = opened(tmp_path)
    assert len(everything(journal)) == 4
    journal.close()


def test_a_write_the_kernel_refuses_breaks_the_journal_and_keeps_what_was_committed(
    tmp_path: Path,
) -> None:
    code = f"""
import resource
from edge.config import Storage
from edge.errors import JournalBroken
from edge.records import Batch, Message
from edge.storage.journal import Journal
from pathlib import Path
journal = Journal.open({str(tmp_path)!r}, Storage(disk_reserve_bytes=0))
most = 150_000 + max(file.stat().st_size for file in Path({str(tmp_path)!r}).iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
try:
    for seq in range(1, 10_000):
        journal.append(Batch(seq, seq - 1, seq, [Message("a", b"%d" % seq, seq)]))
        print(seq)
except JournalBroken as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    *seqs, complaint = done.stdout.split("\n")[:-1]
    assert "IOERR_WRITE" in complaint
    journal = opened(tmp_path)
    assert journal.last().seq == int(seqs[-1])
    assert [m.payload for m in everything(journal)] == [seq.encode() for seq in seqs]
    journal.close()


def test_a_lock_held_by_another_program_is_only_for_now(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal._connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    batch = following(journal, 1)
    with pytest.raises(JournalFull, match="another program"):
        journal.append(batch)
    other.execute("ROLLBACK")
    other.close()
    journal.append(batch)
    journal.close()


def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.close()
    journal.close()
    with pytest.raises(JournalBroken, match="closed"):
        journal.append(Batch(1, 0, 0, []))


# Trimming


@FAST
@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=40),
    keep_after=st.integers(0, 45),
    before=st.integers(0, 250),
    max_bytes=st.sampled_from([0, 15_000, 30_000, 10**9]),
    slices=st.integers(1, 9),
)
def test_trimming_removes_the_oldest_and_never_what_a_restart_needs(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    keep_after: int,
    before: int,
    max_bytes: int,
    slices: int,
) -> None:
    journal = opened(tmp_path_factory.mktemp("trim"))
    for size in sizes:
        journal.append(following(journal, size, 400))
    all_batches = list(journal.batches(0))
    tail = journal.last()
    arrival = 0
    droppable = 0  # the naive rule: a prefix, whose arrivals are old, that nobody needs
    for batch in all_batches:
        arrival = batch.messages[-1].arrival_ms if batch.messages else arrival
        old = arrival < 1_000 + before
        if batch.seq > keep_after or batch.seq == tail.seq or not (old or max_bytes < 10**9):
            break
        droppable = batch.seq
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module, "TRIM_ROWS", slices)
        removed = 0
        while n := journal.trim(1_000 + before, keep_after, max_bytes):
            assert n <= slices
            removed += n
    kept = list(journal.batches(removed))
    assert kept == all_batches[removed:]
    assert removed <= max(droppable, 0)
    if max_bytes == 10**9 or journal.used_bytes() > max_bytes:
        assert removed == droppable
    assert journal.last() == tail
    journal.append(following(journal, 1))
    journal.close()


def test_trimmed_room_is_used_again_so_the_file_stops_growing(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    sizes = []
    for _ in range(6):
        for _ in range(100):
            journal.append(following(journal, 5, 200))
        while journal.trim(2**60, journal.last().seq - 100):
            pass
        journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes.append((tmp_path / FILE_NAME).stat().st_size)
    assert max(sizes[2:]) <= sizes[1] * 1.1
    journal.close()


def test_reading_from_before_the_oldest_batch_is_refused(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for _ in range(10):
        journal.append(following(journal, 1))
    assert journal.trim(2**60, 5) == 5
    with pytest.raises(JournalBroken, match="batch 3 is missing, the next kept is 6"):
        list(journal.batches(2))
    assert [b.seq for b in journal.batches(5)] == [6, 7, 8, 9, 10]
    journal.close()


# Effects


def effects_of(batch: Batch) -> Effects:
    """Two kinds of row from every message, and a gap that opens at one batch, closes at the next."""
    letters = [
        DeadLetter(batch.first + i, -1, m.arrival_ms, m.topic, "unreadable", "", m.payload)
        for i, m in enumerate(batch.messages)
    ]
    lines = [
        TimelineEntry(batch.first + i, 0, f"E{i}", m.arrival_ms, "seen", "{}")
        for i, m in enumerate(batch.messages)
    ]
    opening = batch.seq - 1 | 1  # batches 1 and 2 share the gap opened by 1
    gap = Gap(opening, "dock", opening, 0 if batch.seq == opening else batch.seq, "offline", 2)
    return Effects(letters, lines, [gap])


def rows_of(journal: Journal) -> list[list[tuple[Any, ...]]]:
    return [
        journal._connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
        for table in ("dead_letter", "timeline", "gap")
    ]


@FAST
@given(
    n=st.integers(1, 12),
    stops=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5)), max_size=5),
)
def test_replaying_from_anywhere_never_doubles_an_effect(
    tmp_path_factory: pytest.TempPathFactory, n: int, stops: list[tuple[int, int]]
) -> None:
    once = opened(tmp_path_factory.mktemp("once"))
    for _ in range(n):
        once.append(following(once, 3))
    batches = list(once.batches(0))
    for batch in batches:
        once.append_effects(effects_of(batch), batch.seq)
    journal = opened(tmp_path_factory.mktemp("again"))
    for batch in batches:
        journal.append(batch)
    for start, step in [*stops, (0, 1)]:  # each a restart from some snapshot, in some split
        for k in range(min(start, n), n, step):
            together = Effects.empty()
            for batch in batches[k : k + step]:
                one = effects_of(batch)
                together.dead_letters += one.dead_letters
                together.timeline += one.timeline
                together.gaps += one.gaps
            upto = min(k + step, n)
            if start <= journal.effects_seq:  # a snapshot is never ahead of the stored effects
                before = journal.effects_seq
                journal.append_effects(together, upto)
                assert journal.effects_seq == max(before, upto)
    assert rows_of(journal) == rows_of(once)
    journal.close()
    once.close()


def test_effects_ride_with_a_batch_or_not_at_all(tmp_path: Path, failing_disk: Any) -> None:
    journal = opened(tmp_path)
    first = following(journal, 2)
    journal.append(first)
    second = following(journal, 2)
    failing_disk.sync_error[WAL] = sqlite3.SQLITE_IOERR_FSYNC
    with pytest.raises(JournalBroken):
        journal.append(second, effects_of(first), 1)
    failing_disk.heal()
    journal.close()
    journal = opened(tmp_path)
    stored = len(rows_of(journal)[0])
    assert (journal.last().seq, journal.effects_seq, stored) in ((1, 0, 0), (2, 1, 2))
    journal.close()


def test_the_effects_position_survives_reopening_and_trimming(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(following(journal, 1))
    journal.append(following(journal, 1), Effects.empty(), 1)
    journal.append_effects(Effects.empty(), 2)
    journal.append(following(journal, 1))
    journal.trim(2**60, 10)
    journal.close()
    journal = opened(tmp_path)
    assert journal.effects_seq == 2
    assert journal.reader.effects_seq() == 2
    journal.close()


def test_only_the_newest_dead_letters_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "DEAD_LETTER_BYTES_MAX", 1_000)
    journal = Journal.open(tmp_path, Storage(disk_reserve_bytes=0), dead_letters_max=5)
    for seq in range(1, 21):
        journal.append(following(journal, 1))
        letter = DeadLetter(seq, -1, seq, "a", "unreadable", "", b"x")
        journal.append_effects(Effects([letter], [], []), seq)
    read = journal._connection
    assert [d.ordinal for d in tables.dead_letters(read, 99)] == [20, 19, 18, 17, 16]
    journal.append(following(journal, 1))
    big = DeadLetter(21, -1, 21, "a", "unreadable", "", bytes(998))
    journal.append_effects(Effects([big], [], []), 21)
    assert [d.ordinal for d in tables.dead_letters(read, 99)] == [21, 20, 19]
    journal.close()


def test_appending_and_reading_may_happen_on_different_threads(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for _ in range(20):
        journal.append(following(journal, 2))
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.extend(b.seq for b in journal.batches(0, 20)))
    thread.start()
    for _ in range(20):
        journal.append(following(journal, 2))
    thread.join()
    assert seen == list(range(1, 21))
    journal.close()
