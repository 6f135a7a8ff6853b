"""An overflow and the silence after it are two gaps, although one message began both."""

from pathlib import Path

from edge.config import Storage
from edge.records import Batch, Effects, Gap
from edge.storage.journal import Journal
from edge.storage.tables import gaps


def test_an_overflow_and_the_silence_after_it_are_two_gaps(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, Storage(directory=str(tmp_path)))
    try:
        told = [Gap(7, "r1", 10, 20, "overflow", 3), Gap(7, "r1", 20, 0, "silent")]
        ended = Gap(7, "r1", 20, 90, "silent")
        journal.append(Batch(1, 0, 100, []), Effects([], [], [*told, ended]), 0)
        journal.append_effects(Effects([], [], [*told, ended]), 1)
        found = gaps(journal.reader._connection)
        assert {(g.reason, g.from_ms, g.to_ms, g.lost_events) for g in found} == {
            ("overflow", 10, 20, 3),
            ("silent", 20, 90, 0),
        }
    finally:
        journal.close()
