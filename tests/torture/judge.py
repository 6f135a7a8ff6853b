"""The judge: one core that replays the whole journal without interruption, and compares.

Reads only. After every death it takes in what the journal holds anew and demands that a recovery
from snapshot and journal gives the same bits, and that the tables hold exactly what they claim to.
"""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from edge.config import Config
from edge.core import Core
from edge.ledger.tables import TABLES
from edge.records import Batch, Effects
from edge.recovery import Recovered, apply_batch, recover
from edge.storage.journal_file import FILE_NAME
from edge.storage.journal_reader import JournalReader, Tail
from edge.storage.ledger import cells, read_rows
from edge.storage.snapshots import kept_snapshots


class Verdict(AssertionError):
    """What is wrong, in sentences."""


class Rows:
    """What the tables must hold, kept by hand."""

    def __init__(self) -> None:
        self.dead: dict[tuple[int, int], tuple[Any, ...]] = {}
        self.timeline: dict[tuple[str, int, int, int], tuple[Any, ...]] = {}
        self.gaps: dict[tuple[int, str], tuple[Any, ...]] = {}
        self.ledger: dict[tuple[str, tuple[str | int, ...]], Struct | None] = {}

    def add(self, effects: Effects) -> None:
        """Enter effects; a key that two different rows claim would lose one of them."""
        for d in effects.dead_letters:
            self._new(self.dead, (d.ordinal, d.index), tuple(_values(d)))
        for e in effects.timeline:
            key = (e.epc, e.at_ms, e.ordinal, e.index)
            self._new(self.timeline, key, (*key, e.kind, e.detail))
        for g in effects.gaps:
            before = self.gaps.get((g.ordinal, g.reader))
            to_ms = g.to_ms or (before[3] if before else 0)
            lost = max(g.lost_events, before[5] if before else 0)
            from_ms, reason = (before[2], before[4]) if before else (g.from_ms, g.reason)
            self.gaps[g.ordinal, g.reader] = (g.ordinal, g.reader, from_ms, to_ms, reason, lost)
        self.ledger |= effects.rows

    @staticmethod
    def _new(rows: dict[Any, tuple[Any, ...]], key: Any, row: tuple[Any, ...]) -> None:
        if key in rows:
            raise Verdict(f"two effects claim the same row: {rows[key]} and {row}")
        rows[key] = row

    def differences(self, connection: sqlite3.Connection) -> list[str]:
        """Where the tables hold something else."""
        found = []
        for name, rows in (
            ("dead_letter", self.dead),
            ("timeline", self.timeline),
            ("gap", self.gaps),
        ):
            stored = Counter(tuple(r) for r in connection.execute(f"SELECT * FROM {name}"))
            found += _difference(name, stored, Counter(rows.values()))
        for table in TABLES:
            told = Counter(
                tuple(cells(row))
                for (name, _), row in self.ledger.items()
                if name == table.name and row is not None
            )
            stored = Counter(tuple(cells(row)) for row in read_rows(connection, table))
            found += _difference(table.name, stored, told)
        return found


def _difference(name: str, stored: Counter[Any], told: Counter[Any]) -> list[str]:
    if stored == told:
        return []
    missing, surplus = told - stored, stored - told
    example = next(iter(missing or surplus))
    return [
        f"table {name}: {missing.total()} rows missing, {surplus.total()} too many,"
        f" such as {example}"
    ]


def _values(record: Any) -> Iterator[Any]:
    return (getattr(record, name) for name in record.__struct_fields__)


class _Source:
    """What ``recover`` needs of a journal, without its lock and without writing."""

    def __init__(self, reader: JournalReader) -> None:
        self.reader = reader
        self.effects_seq = reader.effects_seq()
        self.journal_id = ""  # not asked: the directory holds no other journal's snapshots

    def last(self) -> Tail:
        return self.reader.last()

    def batches(self, after_seq: int) -> Iterator[Batch]:
        return self.reader.batches(after_seq)


class Judge:
    """Grows with the journal in ``directory``."""

    def __init__(self, config: Config, directory: Path) -> None:
        self._config = config
        self._directory = directory
        self._waiting: list[tuple[int, Effects]] = []  # batches whose effects may not be stored
        self.core = Core(config)
        self.seq = 0
        self.messages = 0
        self.rows = Rows()

    def check(self) -> None:
        """With the daemon dead: recovery gives the judge's bits, tables what they claim. Raises Verdict."""
        if not (self._directory / FILE_NAME).exists():
            return
        reader = JournalReader.open(self._directory)
        try:
            self._follow(reader)
            recovered = self._recover(reader)
            self._compare(recovered)
            self._compare_tables(reader)
            self._compare_unstored(recovered)
        finally:
            reader.close()

    def whole(self, slice_: int) -> str:
        """Digest of a fresh core after the whole journal, applied in slices of this size."""
        core, reader = Core(self._config), JournalReader.open(self._directory)
        try:
            for batch in reader.batches(0):
                apply_batch(core, batch, Effects.empty(), slice_)
        finally:
            reader.close()
        return core.digest()

    def dead_letters(self) -> Counter[bytes]:
        """Payload -> how often it is among the dead letters."""
        return Counter(row[-1] for row in self.rows.dead.values())

    def _follow(self, reader: JournalReader) -> None:
        for batch in reader.batches(self.seq):
            effects = Effects.empty()
            apply_batch(self.core, batch, effects)
            self._waiting.append((batch.seq, effects))
            self.seq = batch.seq
            self.messages += len(batch.messages)

    def _recover(self, reader: JournalReader) -> Recovered:
        """A recovery beside the daemon's own, so that it leaves no marks there."""
        beside = self._directory.with_name(f"{self._directory.name}-beside")
        beside.mkdir()
        try:
            for _, path in kept_snapshots(self._directory):
                (beside / path.name).symlink_to(path)
            return recover(self._config, _Source(reader), beside)  # type: ignore[arg-type]
        finally:
            shutil.rmtree(beside)

    def _compare(self, recovered: Recovered) -> None:
        if recovered.seq != self.seq:
            raise Verdict(f"recovered up to batch {recovered.seq}, the journal ends at {self.seq}")
        if recovered.core.digest() == self.core.digest():
            return
        wrong = differences(recovered.core, self.core)
        raise Verdict(
            f"the state recovered from snapshot {recovered.snapshot_seq} and {recovered.replayed}"
            f" messages differs from an uninterrupted replay in: {', '.join(wrong)}"
        )

    def _compare_tables(self, reader: JournalReader) -> None:
        stored = reader.effects_seq()
        while self._waiting and self._waiting[0][0] <= stored:
            self.rows.add(self._waiting.pop(0)[1])
        if wrong := self.rows.differences(reader._connection):
            raise Verdict("; ".join(wrong))

    def _compare_unstored(self, recovered: Recovered) -> None:
        """What recovery will store is what is not stored, no more and no less."""
        told = Effects.empty()
        for _, effects in self._waiting:
            told.dead_letters += effects.dead_letters
            told.timeline += effects.timeline
            told.gaps += effects.gaps
            told.history += effects.history
            told.rows |= effects.rows
        if recovered.effects != told:
            raise Verdict("recovery would not store the effects that are missing in the tables")


def differences(one: Core, other: Core) -> list[str]:
    """Names of what differs between two states; for people."""
    found: list[str] = []

    def walk(name: str, a: Any, b: Any) -> None:
        if isinstance(a, dict):
            for key in sorted({*a, *b}, key=str):
                walk(f"{name}.{key}", a.get(key), b.get(key))
        elif repr(a) != repr(b) or getattr(a, "tobytes", bytes)() != getattr(b, "tobytes", bytes)():
            text = f"{a!r} / {b!r}"
            found.append(f"{name} ({text})" if len(text) < 120 else name)

    walk("state", one.state.canonical(), other.state.canonical())
    walk("presence", one._presence_by_key(), other._presence_by_key())
    walk("admission", one.admission.save(), other.admission.save())
    walk("rest", {"rest": one._rest()}, {"rest": other._rest()})
    return found
