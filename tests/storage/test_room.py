"""What gives way when the journal has no room, what only waits, and whose state is loaded."""

import sqlite3
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from edge.config import Config, Storage
from edge.errors import JournalBusy, JournalFull
from edge.records import Batch, DeadLetter, Effects, Gap, Message, TimelineEntry
from edge.storage import analytics, changes, field
from edge.storage import journal as journal_module
from edge.storage.field import Packed
from edge.storage.journal import Journal
from edge.storage.journal_file import FILE_NAME
from edge.storage.snapshots import keep_newest_alone, kept_snapshots, path_of
from tests.corridor import SetClock, corridor, run, until
from tests.streams import START_MS, config, epc

LEAST_BYTES = 1_048_576


def settings(directory: Path, **storage: Any) -> Config:
    """A small quick shop."""
    stored = Storage(directory=str(directory), disk_reserve_bytes=0, **storage)
    return msgspec.structs.replace(config(beat_ms=1, quiet_beat_s=0.005), storage=stored)


def reads_total(core: Any) -> int:
    return int(core.state.item.col["reads_total"][core.state.item.keys.get(epc(1))])


def derived(seq: int, rows: int) -> Effects:
    """Rows of every derived table, later with each batch."""
    told = [
        TimelineEntry(seq, k, f"{seq * 7919 % 997:04d}{k:04d}", seq * 100 + k, "seen", "x" * 60)
        for k in range(rows)
    ]
    letters = [DeadLetter(seq, k, seq, "a", "unreadable", "", b"{" * 200) for k in range(rows // 8)]
    return Effects(letters, told, [Gap(seq, "r", seq, seq * 100, "silent", 0)])


def test_derived_tables_that_fill_the_limit_give_way_oldest_first(tmp_path: Path) -> None:
    shop = Storage(disk_reserve_bytes=0, journal_max_bytes=LEAST_BYTES)
    journal = Journal.open(tmp_path, shop)
    gave_way = 0
    for seq in range(1, 400):
        batch = Batch(seq, seq - 1, seq, [Message("a", b"x", seq)])
        tries = 0
        while journal.last().seq < seq:
            journal._room_checked_at = float("-inf")  # as if a second had passed
            try:
                journal.append(batch, derived(seq, 80), seq)
            except JournalFull:
                assert journal.make_room(seq - 1) > 0, "ingest would stop for ever"
                gave_way += 1
                tries += 1
                assert tries < 60
    assert gave_way
    connection = journal._connection
    (oldest, newest) = connection.execute("SELECT min(at_ms), max(at_ms) FROM timeline").fetchone()
    assert oldest > 10_000
    assert newest == 399 * 100 + 79
    assert connection.execute("SELECT max(ordinal) FROM dead_letter").fetchone() == (399,)
    assert (
        journal._dead_letters.count
        == connection.execute("SELECT count(*) FROM dead_letter").fetchone()[0]
    )
    assert journal.used_bytes() <= LEAST_BYTES + 65_536
    journal.close()


def test_predictions_that_wait_give_way_oldest_first_and_never_stop_ingest(tmp_path: Path) -> None:
    shop = Storage(disk_reserve_bytes=0, journal_max_bytes=LEAST_BYTES)
    journal = Journal.open(tmp_path, shop)
    random = Random(1)
    for day in range(40):
        packed = [Packed("demand", "v", "shown", day, day + 91, random.randbytes(60_000))]
        journal._room_checked_at = float("-inf")
        try:
            journal.write_field(lambda c, told=packed: field.keep(c, told), 60_000)
        except JournalFull:
            assert journal.make_room(0) > 0, "ingest would stop for ever"
    journal._room_checked_at = float("-inf")
    journal.append(Batch(1, 0, 1, [Message("a", b"x", 1)]))
    days = [day for *_, day in field.waiting(journal._connection)]
    assert 0 < len(days) < 40
    assert days == sorted(days)
    assert min(days) > 5
    journal.close()


@pytest.mark.parametrize("copied", [0, 1 << 62], ids=["uncopied", "copied"])
def test_rows_for_sql_that_fill_the_limit_give_way_and_never_stop_ingest(
    tmp_path: Path, copied: int
) -> None:
    shop = Storage(disk_reserve_bytes=0, journal_max_bytes=LEAST_BYTES)
    journal = Journal.open(tmp_path, shop)
    journal.write_field(lambda c: changes.note(c, changes.COPIED, copied))
    gave_way = 0
    for day in range(400):
        rows = [("w", f"f{i}", "", analytics.moment(day * 86_400_000), 1.5, "x" * 90, 1.0, "")
                for i in range(20)]  # fmt: skip
        part = analytics.Rows(analytics.FACTORS, rows)
        journal._room_checked_at = float("-inf")
        try:
            journal.write_field(lambda c, part=part: analytics.write(c, part), 8_000)
        except JournalFull:
            assert journal.make_room(0) > 0, "ingest would stop for ever"
            gave_way += 1
    assert gave_way
    journal._room_checked_at = float("-inf")
    journal.append(Batch(1, 0, 1, [Message("a", b"x", 1)]))
    days = journal._connection.execute(
        "SELECT min(measurement_date), max(measurement_date) FROM external_data_factors"
    ).fetchone()
    assert days[0] > analytics.moment(10 * 86_400_000)
    assert days[1] >= analytics.moment(395 * 86_400_000)
    journal.close()


def test_derived_tables_stay_while_they_use_less_than_half_of_the_limit(tmp_path: Path) -> None:
    shop = Storage(disk_reserve_bytes=0, journal_max_bytes=LEAST_BYTES)
    journal = Journal.open(tmp_path, shop)
    journal.append(Batch(1, 0, 1, []), derived(1, 80), 1)
    assert journal.make_room(0) == 0
    assert journal._connection.execute("SELECT count(*) FROM timeline").fetchone() == (80,)
    journal.close()


def test_at_the_least_limit_ingest_goes_on_and_a_restart_knows_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "ROOM_CHECK_BYTES", 0)  # look every time
    shop = settings(tmp_path, journal_max_bytes=LEAST_BYTES)
    sent = 4_000

    async def main() -> None:
        async with corridor(tmp_path, shop, SetClock(START_MS)) as live:
            chance = Random(1)
            for i in range(1, sent + 1):
                noise = msgspec.json.encode({"epc": epc(1), "x": chance.randbytes(900).hex()})
                live.put([Message("rfid3/main/tag_read/r0", noise, START_MS + i)])
                if i % 100 == 0:
                    await live.settled()
            await live.settled()
            assert reads_total(live.core) == sent
            assert live.journal.used_bytes() <= LEAST_BYTES
            await live.crash()
        async with corridor(tmp_path, shop, SetClock(START_MS)) as again:
            assert reads_total(again.core) == sent

    run(main)


def test_a_busy_lock_gives_up_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = settings(tmp_path)

    async def main() -> None:
        async with corridor(tmp_path, shop, SetClock(START_MS)) as live:
            for i in range(1, 20):
                live.put([Message("rfid3/main/tag_read/r0", b'{"epc":"AB"}', START_MS + i)])
                await live.settled()
            await live.pipeline.snapshot()
            live.journal._connection.execute("PRAGMA busy_timeout = 10")
            oldest = live.journal.reader.oldest_seq()
            other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            tried: list[int] = []
            real = live.journal.make_room

            def noted(keep_after_seq: int) -> int:
                tried.append(keep_after_seq)
                return real(keep_after_seq)

            monkeypatch.setattr(live.journal, "make_room", noted)
            live.put([Message("rfid3/main/tag_read/r0", b'{"epc":"AB"}', START_MS + 50)])
            progress = live.pipeline.progress
            await until(lambda: progress.condition == "full")
            assert "another program holds the journal" in progress.trouble
            seen = progress.beat_at
            await until(lambda: progress.beat_at > seen)  # it has tried again
            other.execute("ROLLBACK")
            other.close()
            await live.settled()
            assert progress.condition == "running"
            assert not tried
            assert live.journal.reader.oldest_seq() == oldest

    run(main)


def test_a_busy_lock_has_a_cure_of_its_own() -> None:
    assert issubclass(JournalBusy, JournalFull)
    assert "disk space" in JournalFull.cure
    assert "other program" in JournalBusy.cure


def test_the_older_snapshot_is_given_up_only_for_a_whole_newer_one(tmp_path: Path) -> None:
    from tests.storage.test_snapshots import write

    write(tmp_path, 5)
    path = write(tmp_path, 9)
    good = path.read_bytes()
    path.write_bytes(good[:70] + bytes([good[70] ^ 1]) + good[71:])
    keep_newest_alone(tmp_path)
    assert [seq for seq, _ in kept_snapshots(tmp_path)] == [9, 5]
    path.write_bytes(good)
    keep_newest_alone(tmp_path)
    assert [seq for seq, _ in kept_snapshots(tmp_path)] == [9]


@pytest.mark.parametrize("grown", [0, 30])
def test_the_state_of_a_removed_journal_is_never_loaded(tmp_path: Path, grown: int) -> None:
    """Also once the new journal has grown past the old snapshots, without a start in between."""
    shop = settings(tmp_path)

    async def live_on(messages: int, crash: bool) -> int:
        async with corridor(tmp_path, shop, SetClock(START_MS)) as live:
            for i in range(1, messages + 1):
                live.put([Message("rfid3/main/tag_read/r0", b'{"epc":"AB"}', START_MS + i)])
                await live.settled()
            if crash:
                await live.crash()
            keys = live.core.state.item
            return int(keys.col["reads_total"][keys.keys.get("AB")])

    async def main() -> None:
        assert await live_on(12, crash=False) == 12
        foreign = kept_snapshots(tmp_path)
        kept = {path: path.read_bytes() for _, path in foreign}
        for path in tmp_path.glob(FILE_NAME + "*"):
            path.unlink()
        assert await live_on(3 + grown, crash=True) == 3 + grown
        for path, content in kept.items():  # as if that start had not set them aside
            path.write_bytes(content)
        assert await live_on(2, crash=False) == 5 + grown
        left = [seq for seq, _ in kept_snapshots(tmp_path)]
        assert len(left) == 1
        assert not list(tmp_path.glob("*.foreign"))

    run(main)


def test_an_older_journal_put_back_sets_later_snapshots_aside(tmp_path: Path) -> None:
    from edge.storage.snapshots import newest_snapshot
    from tests.storage.test_snapshots import write

    write(tmp_path, 5)
    write(tmp_path, 6)
    assert newest_snapshot(tmp_path, "c1", upto_seq=2) is None
    assert newest_snapshot(tmp_path, "c1", upto_seq=7) is None, "the journal has passed them"
    write(tmp_path, 5).rename(path_of(tmp_path, 6))
    write(tmp_path, 3)
    assert [seq for seq, _ in kept_snapshots(tmp_path)] == [3], "just written, so it is the newest"


def test_a_journal_keeps_its_id_and_one_without_gets_one(tmp_path: Path) -> None:
    ids = []
    for k in range(4):
        journal = Journal.open(tmp_path, Storage(disk_reserve_bytes=0))
        ids.append(journal.journal_id)
        if k == 1:  # as a journal of before
            journal._connection.execute("DELETE FROM meta WHERE key = 'journal_id'")
        journal.close()
    assert ids[0] == ids[1] != ids[2] == ids[3]
    other = Journal.open(tmp_path / "other", Storage(disk_reserve_bytes=0))
    assert other.journal_id not in ids
    other.close()
