"""The table of daily history: bits that come back, older stores, retention, and giving way."""

import sqlite3
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config import Storage
from edge.errors import JournalBroken, JournalFull
from edge.records import Batch, Effects, HistoryRows, Message, TimelineEntry
from edge.storage import journal_file, migrations
from edge.storage.history import HistoryFile, HistoryReader, pack, unpack
from edge.storage.journal import Journal
from edge.storage.journal_file import FILE_NAME, SCHEMA_VERSION
from edge.storage.journal_reader import JournalReader

VERSION_1 = """
CREATE TABLE batch (
    seq INTEGER PRIMARY KEY, first INTEGER NOT NULL, beat_ms INTEGER NOT NULL, n INTEGER NOT NULL,
    last_arrival_ms INTEGER NOT NULL, session INTEGER NOT NULL, effects_seq INTEGER NOT NULL,
    codec INTEGER NOT NULL, blob BLOB NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('effects_seq', 0);
CREATE TABLE dead_letter (
    ordinal INTEGER NOT NULL, idx INTEGER NOT NULL, arrival_ms INTEGER NOT NULL,
    topic TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (ordinal, idx));
CREATE TABLE timeline (
    epc TEXT NOT NULL, at_ms INTEGER NOT NULL, ordinal INTEGER NOT NULL, idx INTEGER NOT NULL,
    kind TEXT NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (epc, at_ms, ordinal, idx)) WITHOUT ROWID;
CREATE TABLE gap (
    ordinal INTEGER NOT NULL, reader TEXT NOT NULL, from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL, reason TEXT NOT NULL, lost_events INTEGER NOT NULL,
    PRIMARY KEY (ordinal, reader, reason)) WITHOUT ROWID;
"""
"""The schema as the first release wrote it; never to be changed."""

SHOP = Storage(disk_reserve_bytes=0)


def rows(day: int, n: int = 3, chunk: int = 0, seed: int = 0, entity: str = "class") -> HistoryRows:
    """Random rows of one chunk."""
    chance = np.random.default_rng([seed, day, chunk])
    values = chance.normal(size=(4, n)).astype("<f4")
    values[chance.random((4, n)) < 0.3] = np.nan
    return HistoryRows(
        entity=entity,
        day=day,
        chunk=chunk,
        catalogue="c" * 32,
        keys=[f"main\x1fS{i}" for i in range(n)],
        texts={"name": ["Tent\0"] * n, "category": [""] * n},
        features=("a", "b", "c", "d"),
        values=values.tobytes(),
        measures=("m1", "m2"),
        days=2,
        amounts=chance.integers(-(2**40), 2**40, (2, 2, n)).astype("<i8").tobytes(),
        levels=("price_cents",),
        heights=chance.integers(0, 999, (1, n)).astype("<i8").tobytes(),
    )


def told(*history: HistoryRows) -> Effects:
    return Effects([], [], [], list(history))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 50), seed=st.integers(0, 1_000))
def test_what_was_packed_comes_back_bit_for_bit(n: int, seed: int) -> None:
    one = rows(7, n, seed=seed)
    packed = pack(one)
    assert pack(packed) is packed
    back = unpack("class", 7, 0, packed.n, packed.catalogue, packed.packed)
    assert (back.keys, back.texts, back.features) == (one.keys, one.texts, one.features)
    assert np.ascontiguousarray(back.values.T).tobytes() == one.values
    assert back.amounts.astype("<i8").tobytes() == one.amounts
    assert back.heights.astype("<i8").tobytes() == one.heights
    assert np.isnan(back.column("of a later catalogue")).all()


def test_damage_is_told_and_not_believed() -> None:
    packed = pack(rows(7))
    damaged = bytearray(packed.packed)
    damaged[len(damaged) // 2] ^= 1
    with pytest.raises(JournalBroken, match="day 7 is damaged"):
        unpack("class", 7, 0, packed.n, "", bytes(damaged))


def test_rows_written_again_stay_as_they_were_and_are_read_beside_the_writer(
    tmp_path: Path,
) -> None:
    journal = Journal.open(tmp_path, SHOP)
    first = rows(10)
    journal.append(Batch(1, 0, 1, []), told(first, rows(10, chunk=1)), 1)
    journal.append(Batch(2, 0, 2, []), told(rows(10, seed=9), rows(11)), 2)
    with HistoryReader.open(tmp_path) as reader:
        assert reader.days("class") == [10, 11]
        journal.append_effects(told(rows(12)), 2)  # stored by position: a replay, so not again
        journal.append(Batch(3, 0, 3, []))
        journal.append_effects(told(rows(12)), 3)
        assert reader.days("class") == [10, 11, 12]
        assert [(c.day, c.chunk) for c in reader.chunks("class", 10, 11)] == [
            (10, 0),
            (10, 1),
            (11, 0),
        ]
        kept = reader.day("class", 10)[0]
        assert np.ascontiguousarray(kept.values.T).tobytes() == first.values
        assert reader.size()["class"][:2] == (3, 12)
    journal.close()


def test_a_store_of_the_first_version_is_brought_up_and_loses_nothing(tmp_path: Path) -> None:
    new = Journal.open(tmp_path / "new", SHOP)
    messages = [Message("a", b"x" * i, i + 1) for i in range(20)]
    line = TimelineEntry(0, 0, "E1", 5, "seen", "{}")
    new.append(Batch(1, 0, 20, messages))
    new.append(Batch(2, 20, 21, []), Effects([], [line], []), 1)
    new.close()
    old_directory = tmp_path / "old"
    old_directory.mkdir()
    old = sqlite3.connect(old_directory / FILE_NAME)
    old.executescript(
        f"PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; {VERSION_1}"
        f"PRAGMA application_id = {journal_file.APPLICATION_ID}; PRAGMA user_version = 1;"
        f"ATTACH '{tmp_path / 'new' / FILE_NAME}' AS new;"
        "INSERT INTO batch SELECT * FROM new.batch; INSERT INTO timeline SELECT * FROM new.timeline;"
    )
    old.close()
    reader = JournalReader.open(old_directory)  # the trainer may come before the daemon
    assert [len(b.messages) for b in reader.batches(0)] == [20, 0]
    reader.close()
    with pytest.raises(JournalBroken, match="no history"):
        HistoryReader.open(old_directory)
    journal = Journal.open(old_directory, SHOP)
    assert journal.last().seq == 2
    assert next(iter(journal.batches(0))).messages == messages
    assert journal._connection.execute("SELECT epc FROM timeline").fetchall() == [("E1",)]
    assert journal._connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    journal.append(Batch(3, 20, 22, []), told(rows(10)), 2)
    journal.close()
    again = Journal.open(old_directory, SHOP)
    assert again.last().seq == 3
    with HistoryReader.open(old_directory) as found:
        assert found.days("class") == [10]
    again.close()


def test_a_step_to_the_next_version_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal.open(tmp_path, SHOP).close()
    old = sqlite3.connect(tmp_path / FILE_NAME)
    later = old.execute(
        "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view')"
        " AND name NOT IN ('batch', 'meta', 'dead_letter', 'timeline', 'gap')"
    ).fetchall()
    old.executescript("".join(f"DROP {kind} {name};" for kind, name in later))
    old.execute("PRAGMA user_version = 1")
    old.close()
    real = migrations.steps()
    wrong = [msgspec.structs.replace(s, local=s.local + "; SELECT nothing") for s in real]
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "steps", lambda folder: wrong)
        with pytest.raises(sqlite3.OperationalError, match="nothing"):
            Journal.open(tmp_path, SHOP)
    check = sqlite3.connect(tmp_path / FILE_NAME)
    assert check.execute("PRAGMA user_version").fetchone() == (1,)
    assert not check.execute("SELECT 1 FROM sqlite_schema WHERE name = 'history'").fetchall()
    check.close()
    journal = Journal.open(tmp_path, SHOP)
    journal.append(Batch(1, 0, 1, []), told(rows(1)), 1)
    journal.close()


def test_a_store_of_a_later_version_is_refused(tmp_path: Path) -> None:
    Journal.open(tmp_path, SHOP).close()
    later = sqlite3.connect(tmp_path / FILE_NAME)
    later.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    later.close()
    with pytest.raises(
        JournalBroken, match=f"version {SCHEMA_VERSION + 1}, this program reads up to"
    ):
        Journal.open(tmp_path, SHOP)


def test_days_before_the_retention_go_slice_by_slice(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, SHOP)
    for day in range(100):
        made = [rows(day, entity=entity) for entity in ("class", "item", "factor")]
        journal.append(Batch(day + 1, 0, day, []), told(*made), day + 1)
    slices = []
    while removed := journal.trim_history(60):
        slices.append(removed)
    assert sum(slices) == 3 * 60
    assert max(slices) <= 32
    with HistoryReader.open(tmp_path) as reader:
        for entity in ("class", "item", "factor"):
            assert reader.days(entity) == list(range(60, 100))
    journal.close()


def test_history_that_fills_the_limit_gives_way_oldest_first(tmp_path: Path) -> None:
    shop = Storage(disk_reserve_bytes=0, journal_max_bytes=1_048_576)
    journal = Journal.open(tmp_path, shop)
    gave_way = 0
    for seq in range(1, 120):
        batch = Batch(seq, seq - 1, seq, [Message("a", b"x", seq)])
        tries = 0
        while journal.last().seq < seq:
            journal._room_checked_at = float("-inf")  # as if a second had passed
            try:
                journal.append(batch, told(rows(seq, 600)), seq)
            except JournalFull:
                assert journal.make_room(seq - 1) > 0, "ingest would stop for ever"
                gave_way, tries = gave_way + 1, tries + 1
                assert tries < 60
    assert gave_way
    with HistoryReader.open(tmp_path) as reader:
        days = reader.days("class")
    assert days == list(range(days[0], 120))
    assert 10 < days[0] < 110
    journal.close()


def test_lines_for_people_give_way_before_history_that_takes_less(tmp_path: Path) -> None:
    shop = Storage(disk_reserve_bytes=0, journal_max_bytes=1_048_576)
    journal = Journal.open(tmp_path, shop)
    chance = Random(1)
    lines = [
        TimelineEntry(i, 0, f"{chance.random()}", i, "seen", "x" * 90) for i in range(6_000)
    ]  # the most of what is derived
    made = Effects([], lines, [], [rows(day, 300) for day in range(5)])
    journal.append(Batch(1, 0, 1, []), made, 1)
    while journal._derived_bytes() > 0.5 * shop.journal_max_bytes:
        assert journal.make_room(0) > 0
    with HistoryReader.open(tmp_path) as reader:
        assert reader.days("class") == [0, 1, 2, 3, 4]
    assert journal._connection.execute("SELECT count(*) FROM timeline").fetchone()[0] > 0
    journal.close()


def test_a_file_of_imported_history_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    file = HistoryFile(path)
    file.write([rows(1), rows(1), rows(2)])
    assert not path.exists()
    file.close()
    with HistoryReader.open(tmp_path) as reader:
        assert reader.days("class") == [1, 2]
    with pytest.raises(FileExistsError):
        HistoryFile(path)
    other = HistoryFile(tmp_path / "other.sqlite")
    other.discard()
    assert [p.name for p in tmp_path.iterdir()] == ["history.sqlite"]


def test_what_holds_no_history_is_said_to(tmp_path: Path) -> None:
    with pytest.raises(JournalBroken, match="there is no history"):
        HistoryReader.open(tmp_path)
    (tmp_path / "notes.txt").write_text("not a database, only long enough to look like a file")
    with pytest.raises(JournalBroken, match="holds no history"):
        HistoryReader.open(tmp_path / "notes.txt")
