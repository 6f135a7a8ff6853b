"""Imported history: files of rows, or a journal -> the daemon's own state -> a file of daily history.

Rows go through the mappings of ``rfid3 replay``, become the messages that a till or handheld would
have sent, and pass decoder, admission and state with their own time as the clock: what comes out is
what the daemon would have written had it been there. No sockets, no broker, no fitting.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edge.config import Config
from edge.core import Core
from edge.ledger.data_quality import Imported, row_of
from edge.records import Batch, DeadLetter, HistoryRows, Message
from edge.replay import mappings
from edge.replay.plan import Plan, survey
from edge.replay.sources import open_source
from edge.storage.history import HistoryFile, pack
from edge.storage.journal_reader import JournalReader

BATCH_MESSAGES = 512
LETTERS_KEPT = 100
"""So many dead letters are shown whole; all are counted."""
PACKING_AHEAD = 16

Progress = Callable[[int, int, int], None]
"""(rows or messages done, of how many, the moment they have reached in epoch milliseconds)."""


class HistorySource(Protocol):
    """Where events of the past come from. A database of rows is one more of these."""

    whole_days: bool
    """Whether the last day is over, although nothing was told after it."""

    @property
    def total(self) -> int:
        """Rows or messages there are, for the progress; known before ``batches`` ends."""
        ...

    @property
    def done(self) -> int:
        """How many of these were given so far."""
        ...

    @property
    def skipped(self) -> Counter[str]:
        """Reason -> rows that became no message."""
        ...

    def batches(self) -> Iterator[Batch]:
        """Messages in the order of their moments, which are their arrivals."""
        ...


@dataclass(slots=True)
class Report:
    """What became of everything: ``rows`` = rows of which messages were made + ``skipped``."""

    rows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    events: Counter[str] = field(default_factory=Counter)
    """What admission said -> events: admitted, duplicate, business_duplicate, late …"""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """Reason -> events or payloads that could not be used."""
    letters: list[DeadLetter] = field(default_factory=list)
    """The first of them."""
    notes: Counter[str] = field(default_factory=Counter)
    """What was kept although something was odd: voids of unknown lines, values too late …"""
    first_day: int = 0
    last_day: int = 0
    """Local days written, counted from 1970-01-01; both 0: none."""
    days: int = 0
    classes: int = 0
    items: int = 0
    """Known at the end."""
    seconds: float = 0.0
    quality: list[str] = field(default_factory=list)
    """What is odd about it, in lines for people."""

    def lines(self) -> list[str]:
        """For people."""
        told = [f"{self.rows:,} rows, {self.messages:,} messages in {self.seconds:.1f} s"]
        told += [f"  skipped: {reason}: {many:,}" for reason, many in self.skipped.most_common()]
        told += [f"  {what}: {many:,}" for what, many in self.events.most_common()]
        told += [
            f"  dead letters, {why}: {many:,}" for why, many in self.dead_letters.most_common()
        ]
        told += [f"  {what}: {many:,}" for what, many in self.notes.most_common()]
        told += [f"{self.days:,} days, {self.classes:,} classes, {self.items:,} items"]
        return told + self.quality


NO_TIME = "its time cannot be read; the mapping says which column and how"


class FileSource:
    """CSV, Parquet, JSON lines, a table of SQLite or MySQL, through a mapping of ``rfid3 replay``.

    Raises ReplayError when the file or the mapping cannot be used.
    """

    whole_days = True

    def __init__(
        self, path: Path, mapping: str, *, store: str = "main", table: str = "", limit: int = 0
    ) -> None:
        spec = mappings.load(mapping)
        rows = open_source(path, table, spec.encoding)
        compiled = mappings.compile_mapping(spec, rows, store)
        found = survey(rows, compiled.at)
        self._plan = Plan(rows, compiled, found, limit)
        self.total = min(found.rows, limit) if limit else found.rows

    @property
    def done(self) -> int:
        """Rows read."""
        return self._plan.tally.rows

    @property
    def skipped(self) -> Counter[str]:
        """Reason -> rows."""
        return self._plan.tally.skipped

    def batches(self) -> Iterator[Batch]:
        """See :class:`HistorySource`."""
        seq = first = now_ms = 0
        messages: list[Message] = []
        for due in self._plan:
            if not due.readable:  # a day's history cannot hold what has no day
                self._plan.tally.skipped[NO_TIME] += 1
                continue
            written = self._plan.write(due)
            if written is None:
                continue
            now_ms = max(now_ms, due.at_ms)
            messages.append(Message(*written, now_ms))
            if len(messages) >= BATCH_MESSAGES:
                seq += 1
                yield Batch(seq, first, now_ms, messages)
                first, messages = first + len(messages), []
        if messages:
            yield Batch(seq + 1, first, now_ms, messages)


class JournalSource:
    """What a daemon's journal still holds, replayed. A daemon may be writing it meanwhile."""

    whole_days = False

    def __init__(self, directory: Path) -> None:
        """Raises JournalBroken."""
        self._directory = directory
        with closing(JournalReader.open(directory)) as reader:
            self.total = reader.count(reader.oldest_seq() - 1)
        self.done = 0
        self.skipped: Counter[str] = Counter()

    def batches(self) -> Iterator[Batch]:
        """See :class:`HistorySource`."""
        with closing(JournalReader.open(self._directory)) as reader:
            for batch in reader.batches(reader.oldest_seq() - 1, reader.last().seq):
                yield batch
                self.done += len(batch.messages)


def import_history(
    source: HistorySource,
    out: Path,
    config: Config | None = None,
    progress: Progress = lambda done, total, at_ms: None,
) -> Report:
    """Write the daily history of a source to ``out``, a new file, and say what became of it all.

    ``config`` is the shop's own: its time zone says where days end, its limits how many classes
    and items there may be. Raises FileExistsError, and what the source raises; then no file stays.
    """
    began = time.monotonic()
    core, report, file = Core(config or Config()), Report(), HistoryFile(out)
    quality = Imported()
    core.tells_history = True
    try:
        with _Packing(file, report) as packing:
            for batch in source.batches():
                for start in range(0, len(batch.messages), BATCH_MESSAGES):
                    part = batch.messages[start : start + BATCH_MESSAGES]
                    step = core.step(part, batch.first + start)
                    _note(step.effects.dead_letters, report)
                    quality.take(step.effects.rows)
                    packing.take(step.effects.history)
                passed = core.advance(batch.beat_ms).effects
                quality.take(passed.rows)
                packing.take(passed.history)
                report.messages += len(batch.messages)
                progress(source.done, source.total, batch.beat_ms)
            quality.end(row_of(core.state.today, core.watch.account(core.quality_counters())))
            if source.whole_days and report.messages:
                packing.take(core.advance(core.day_end_ms()).effects.history)
        file.close()
    except BaseException:
        file.discard()
        raise
    _finish(report, core, source)
    report.seconds = time.monotonic() - began
    report.quality = quality.lines()
    return report


def from_file(
    path: Path,
    mapping: str,
    out: Path,
    config: Config | None = None,
    *,
    table: str = "",
    limit: int = 0,
    progress: Progress = lambda done, total, at_ms: None,
) -> Report:
    """Import a file of rows; see :func:`import_history`."""
    shop = config or Config()
    source = FileSource(path, mapping, store=shop.shop.store, table=table, limit=limit)
    return import_history(source, out, shop, progress)


def from_journal(
    directory: Path,
    out: Path,
    config: Config | None = None,
    progress: Progress = lambda done, total, at_ms: None,
) -> Report:
    """Import what a journal holds; see :func:`import_history`. The day under way is left out."""
    return import_history(JournalSource(directory), out, config, progress)


class _Packing:
    """Packs in a thread what the core has left, writes it here, in order."""

    def __init__(self, file: HistoryFile, report: Report) -> None:
        self._file, self._report = file, report
        self._thread = ThreadPoolExecutor(1, "pack")
        self._under_way: deque[Future[HistoryRows]] = deque()
        self._last_day: int | None = None

    def __enter__(self) -> "_Packing":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            while self._under_way and kind is None:
                self._file.write([self._under_way.popleft().result()])
        finally:
            self._thread.shutdown(cancel_futures=True)

    def take(self, history: list[HistoryRows]) -> None:
        """Rows of days that have closed."""
        report = self._report
        for rows in history:
            if rows.day != self._last_day:
                report.first_day = rows.day if self._last_day is None else report.first_day
                report.last_day, report.days = rows.day, report.days + 1
                self._last_day = rows.day
            self._under_way.append(self._thread.submit(pack, rows))
            while len(self._under_way) > PACKING_AHEAD:
                self._file.write([self._under_way.popleft().result()])


def _note(letters: list[DeadLetter], report: Report) -> None:
    for letter in letters:
        report.dead_letters[letter.reason] += 1
        if len(report.letters) < LETTERS_KEPT:
            report.letters.append(letter)


_ODD = ("late_day_values", "void_of_unknown_line", "undo_of_unknown_scan", "replace_of_unknown_tag",
        "classes_full", "customers_full", "factors_full", "status_texts_full")  # fmt: skip


def _finish(report: Report, core: Core, source: HistorySource) -> None:
    counters = core.state.counters
    report.rows = source.done
    report.skipped = Counter(source.skipped)
    report.events = Counter(
        {
            name.removeprefix("events_"): many
            for name, many in counters.items()
            if name.startswith("events_") and many
        }
    )
    report.notes = Counter({name: counters[name] for name in _ODD if counters.get(name)})
    report.classes, report.items = len(core.state.cls.keys), len(core.state.item.keys)
