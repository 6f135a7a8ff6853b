"""The derived tables: paging newest first, filters, and gaps that close once."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.records import DeadLetter, Effects, Gap, TimelineEntry
from edge.storage import journal, tables

SCHEMA = (Path(journal.__file__).parent / "schema" / "0001_journal.sql").read_text()


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:")
    opened.executescript(SCHEMA)
    yield opened
    opened.close()


def write(connection: sqlite3.Connection, effects: Effects) -> None:
    tables.write_effects(connection, tables.DeadLetterStock(connection, 1_000), effects)


@settings(max_examples=40, deadline=None)
@given(
    keys=st.sets(st.tuples(st.integers(0, 20), st.integers(0, 5), st.integers(-1, 5)), max_size=40),
    page=st.integers(1, 7),
)
def test_pages_of_a_timeline_put_together_are_the_whole_story_newest_first(
    keys: set[tuple[int, int, int]], page: int
) -> None:
    opened = sqlite3.connect(":memory:")
    opened.executescript(SCHEMA)
    lines = [TimelineEntry(o, i, "E1", at, "seen", "{}") for at, o, i in keys]
    others = [TimelineEntry(o, i, "E2", at, "seen", "{}") for at, o, i in keys]
    write(opened, Effects([], lines + others, []))
    read: list[TimelineEntry] = []
    before = None
    while part := tables.timeline(opened, "E1", page, before):
        read += part
        before = (part[-1].at_ms, part[-1].ordinal, part[-1].index)
    key = sorted(keys, reverse=True)
    assert [(e.at_ms, e.ordinal, e.index) for e in read] == key
    opened.close()


def test_dead_letters_page_filter_and_count(connection: sqlite3.Connection) -> None:
    letters = [
        DeadLetter(o, i, o, "a", "future" if o % 3 == 0 else "unreadable", "", b"x" * o)
        for o in range(10)
        for i in (-1, 0)
    ]
    write(connection, Effects(letters, [], []))
    newest = sorted(letters, key=lambda d: (d.ordinal, d.index), reverse=True)
    assert tables.dead_letters(connection, 99) == newest
    assert tables.dead_letters(connection, 3, before=(7, 0)) == newest[5:8]
    assert tables.dead_letters(connection, 2, reason="future") == newest[:2]
    assert tables.dead_letters(connection, 2, (9, -1), "future") == newest[6:8]
    assert tables.dead_letter(connection, 4, -1) == letters[8]
    assert tables.dead_letter(connection, 4, 7) is None
    by_reason = [
        len(tables.dead_letters(connection, 99, reason=r)) for r in ("future", "unreadable")
    ]
    assert by_reason == [8, 12]


def test_a_gap_closes_and_a_replayed_opening_does_not_open_it_again(
    connection: sqlite3.Connection,
) -> None:
    write(connection, Effects([], [], [Gap(7, "dock", 100, 0, "offline")]))
    assert [gap.to_ms for gap in tables.gaps(connection)] == [0]
    write(connection, Effects([], [], [Gap(7, "dock", 100, 250, "offline", 3)]))
    write(connection, Effects([], [], [Gap(7, "dock", 100, 0, "offline")]))
    assert tables.gaps(connection) == [Gap(7, "dock", 100, 250, "offline", 3)]
    assert [gap.to_ms > 0 for gap in tables.gaps(connection)] == [True]


def test_the_gaps_of_a_reader_include_those_of_every_reader(
    connection: sqlite3.Connection,
) -> None:
    known = [
        Gap(1, "dock", 1, 2, "offline"),
        Gap(2, "", 1, 2, "link"),
        Gap(3, "door", 1, 2, "offline"),
        Gap(3, "dock", 1, 2, "offline"),
    ]
    write(connection, Effects([], [], known))
    assert tables.gaps(connection, "dock") == [known[3], known[1], known[0]]
    assert tables.gaps(connection, limit=2) == [known[2], known[3]]
    assert tables.gaps(connection, limit=9, before=(3, "dock")) == [known[1], known[0]]
