"""Snapshot plus replay: the state as it was when the daemon stopped, however it stopped.

No event loop. A message that makes replay fail twice is found and set aside as a dead letter, so
that one bad event can never make a crash loop: what fails in Python is found in the same start,
what kills the process is found by marks that each attempt leaves behind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from edge.config import Config
from edge.core import Core, Step
from edge.errors import ConfigError, Rfid3Error
from edge.features.catalog import catalogue_hash
from edge.features.layout import STATE_LAYOUT
from edge.records import Batch, Effects
from edge.storage.journal import Journal
from edge.storage.snapshots import SnapshotHeader, newest_snapshot

log = structlog.get_logger(__name__)

CAREFUL_AFTER = 2  # starts that died in replay before every message leaves a mark


class Marks(msgspec.Struct):
    """What earlier attempts left behind, in ``replay.json``; survives a killed process."""

    attempts: int = 0
    ordinal: int = -1  # being applied in careful mode when the process died
    suspect: int = -1  # the same, one death earlier
    poisoned: list[int] = []

    def judge(self) -> None:
        """Set aside what two careful attempts died of; once may have been a pulled plug."""
        if self.ordinal >= 0 and self.ordinal == self.suspect:
            log.error("poison_found", ordinal=self.ordinal, cure="see /api/dead-letters")
            self.poisoned.append(self.ordinal)
        self.ordinal, self.suspect = -1, self.ordinal

    def acquit(self, ordinals: list[int]) -> None:
        """Setting these aside did not help, so they are innocent; nobody is suspected now."""
        self.poisoned = [ordinal for ordinal in self.poisoned if ordinal not in ordinals]
        self.ordinal, self.suspect = -1, -1

    @classmethod
    def load(cls, directory: Path) -> "Marks":
        """The marks on disk; fresh ones when there are none or they are damaged."""
        try:
            return msgspec.json.decode((directory / "replay.json").read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.DecodeError):
            return cls()

    def save(self, directory: Path) -> None:
        """Replace the marks on disk (atomic for a killed process; not for a power cut)."""
        temporary = directory / "replay.json.tmp"
        temporary.write_bytes(msgspec.json.encode(self))
        temporary.rename(directory / "replay.json")


@dataclass(slots=True)
class Recovered:
    """The state, and what of it the tables do not hold yet."""

    core: Core
    seq: int  # the newest batch applied
    snapshot_seq: int  # what the newest usable snapshot holds; 0: none
    effects: Effects
    replayed: int  # messages


def merge_effects(into: Effects, step: Step) -> None:
    """Append what a step left behind."""
    into.dead_letters += step.effects.dead_letters
    into.timeline += step.effects.timeline
    into.gaps += step.effects.gaps
    into.history += step.effects.history
    into.rows.update(step.effects.rows)


def apply_batch(core: Core, batch: Batch, effects: Effects, slice_: int = 1_024) -> None:
    """Apply a batch as the live daemon does: its messages, then the time of its beat."""
    for start in range(0, len(batch.messages), slice_):
        part = batch.messages[start : start + slice_]
        merge_effects(effects, core.step(part, batch.first + start))
    merge_effects(effects, core.advance(batch.beat_ms))


def recover(
    config: Config,
    journal: Journal,
    directory: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> Recovered:
    """Load the newest usable snapshot and replay the journal after it.

    ``progress`` gets the number of messages replayed so far. Raises JournalBroken, ConfigError,
    and Rfid3Error when replay fails at something that no message can be blamed for.
    """
    marks = Marks.load(directory)
    marks.judge()
    careful = marks.attempts >= CAREFUL_AFTER
    marks.attempts += 1
    marks.save(directory)
    found: list[int] = []  # set aside in this start
    while True:
        replay = _Replay(config, journal, directory, marks, progress)
        try:
            recovered = replay.run(careful)
        except Rfid3Error:  # the world's mistake, not a message's
            raise
        except (
            Exception
        ) as error:  # the one place: the culprit is set aside, and only once found twice
            culprit = replay.ordinal
            log.exception("replay_failed", ordinal=culprit, careful=careful)
            if careful and (culprit < 0 or culprit in marks.poisoned):
                marks.acquit(found)
                marks.save(directory)
                raise Rfid3Error(
                    f"replay fails and no message is at fault ({type(error).__name__}: {error}): "
                    "nothing is lost, the journal is whole; report this mistake of the daemon"
                ) from error
            if careful:
                found.append(culprit)
                marks.poisoned.append(culprit)
            careful = True
            continue
        marks.attempts, marks.ordinal, marks.suspect = 0, -1, -1
        marks.save(directory)
        return recovered


class _Replay:
    """One attempt."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        directory: Path,
        marks: Marks,
        progress: Callable[[int], None],
    ) -> None:
        self.config = config
        self.journal = journal
        self.directory = directory
        self.marks = marks
        self.progress = progress
        self.ordinal = -1

    def run(self, careful: bool) -> Recovered:
        core = Core(self.config)
        core.poisoned = frozenset(self.marks.poisoned)
        last, journal_id = self.journal.last().seq, self.journal.journal_id
        snapshot = newest_snapshot(self.directory, STATE_LAYOUT, last, journal_id)
        if snapshot is not None:
            try:
                core.load(snapshot.arrays, snapshot.blobs)
            except ValueError as error:
                raise ConfigError(f"the stored state does not fit the settings: {error}") from error
            seq = snapshot.header.seq
            del snapshot
        else:
            seq = self._begin()
        keeps = core.tells_history
        found = Recovered(core, seq, seq, Effects.empty(), 0)
        for batch in self.journal.batches(seq):
            effects = Effects.empty()
            core.tells_history = keeps and batch.seq > self.journal.effects_seq
            self._apply(core, batch, effects, careful)
            if batch.seq > self.journal.effects_seq:
                merge_effects(found.effects, Step(effects))
            found.seq = batch.seq
            found.replayed += len(batch.messages)
            self.progress(found.replayed)
        core.tells_history = keeps
        return found

    def _begin(self) -> int:
        """Where to begin without a snapshot; what was trimmed can only be gone without."""
        seq = self.journal.reader.oldest_seq() - 1
        if seq:
            log.error(
                "state_from_kept_history_only",
                first_batch=seq + 1,
                reason="no snapshot can be used, and older batches were trimmed",
            )
        return seq

    def _apply(self, core: Core, batch: Batch, effects: Effects, careful: bool) -> None:
        if not careful:
            apply_batch(core, batch, effects)
            return
        for i, message in enumerate(batch.messages):
            self._mark(batch.first + i)
            merge_effects(effects, core.step([message], self.ordinal))
        self._mark(-1)
        merge_effects(effects, core.advance(batch.beat_ms))

    def _mark(self, ordinal: int) -> None:
        """From here on this message is to blame; -1: none is, it is only time that passes."""
        self.ordinal = -1  # a disk that takes no marks is no message's fault
        self.marks.ordinal = ordinal
        self.marks.save(self.directory)
        self.ordinal = ordinal


def header_of(core: Core, seq: int, journal_id: str = "") -> SnapshotHeader:
    """The header of a snapshot of ``core`` after batch ``seq`` of that journal."""
    return SnapshotHeader(
        catalogue=STATE_LAYOUT,
        metadata={"features": catalogue_hash()},
        seq=seq,
        next_ordinal=core.next_ordinal,
        beat_ms=core.now_ms,
        journal=journal_id,
    )
