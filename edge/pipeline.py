"""The corridor: inbox -> journal -> acknowledgement -> core -> effects. Sole owner of state.

Two tasks. The *committer* takes what has arrived, on a beat, and has it made durable; only then is
it acknowledged. The *applier* lets the core work on committed batches in slices short enough for
everybody else on the loop. While one batch is being written, the one before is being applied.

Nothing here parses, judges or counts events; nothing here knows MQTT, HTTP or SQL.
"""

import asyncio
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Literal

import structlog

from edge.clock import Clock
from edge.config import Config
from edge.core import SYSTEM, Core, Step
from edge.errors import InboxFull, JournalBusy, JournalFull
from edge.ingest.inbox import Inbox, Token
from edge.ingest.source import Source
from edge.ingest.times import TIME_MIN_MS
from edge.pipeline_pace import LARGE_BYTES, Pace
from edge.records import Batch, Effects, HistoryRows, Message, Receipt, TimelineEntry
from edge.recovery import Recovered, header_of, merge_effects
from edge.storage.history import pack
from edge.storage.snapshots import keep_newest_alone, kept_snapshots, write_snapshot
from edge.storage.writer import JournalWriter

log = structlog.get_logger(__name__)

PASS_MS = 100
"""Time that has passed is let pass in pieces of this where things fall due: a crowd may depart."""
LULL_S = 0.003
"""Nothing new for so long while senders may be waiting for us: commit now."""
LULL_MESSAGES = 16
AHEAD_MAX = 8
"""Batches that may be committed ahead of applying."""
EFFECTS_ROWS = 256
EFFECTS_AGE_S = 2.0
RETRY_S = 1.0
RECORDED_BEAT_MS = 60_000
"""In a quiet shop a beat is written at each multiple of this: the finest windows close then."""
KEEP_EVERY_S = 1.0
"""How often somebody looks whether a snapshot or trimming is due."""
SNAPSHOT_LEAST_S = 60.0
TRIM_EVERY_S = 3_600.0

_ARRIVAL_MS = attrgetter("arrival_ms")

Condition = Literal["starting", "running", "full", "stopping"]


@dataclass(slots=True)
class Progress:
    """What the watchdog and ``/readyz`` look at; loop times, seconds."""

    committed_at: float = 0.0
    applied_at: float = 0.0  # or then the applier got work after it had none
    snapshot_at: float = 0.0  # a snapshot being written got on; applying waits for it
    beat_at: float = 0.0
    waiting_since: float = 0.0  # a commit has been under way since; 0: none is
    condition: Condition = "starting"
    trouble: str = ""
    cure: str = ""  # what helps against the trouble


class Pipeline:
    """Owns the core. Everybody else reads it between slices and posts messages."""

    def __init__(
        self,
        config: Config,
        recovered: Recovered,
        writer: JournalWriter,
        inbox: Inbox,
        clock: Clock,
        directory: Path,
    ) -> None:
        self.core: Core = recovered.core
        self.inbox = inbox
        self.source: Source | None = None
        self.on_applied: Callable[[], None] = lambda: None  # after each batch, before its receipts
        self.before_snapshot: Callable[[], Awaitable[None]] | None = None
        self.first_words: list[tuple[str, bytes]] = []  # (topic, payload), told right after a start
        self.progress = Progress()
        self.applied_seq = recovered.seq
        self.snapshot_seq = recovered.snapshot_seq
        self.effects_revision = 0  # rises with every batch that left effects for the tables
        self.latency_ms: deque[float] = deque(maxlen=2_048)
        self.batches = 0
        self.snapshots = 0
        self._config = config
        self._writer = writer
        self._clock = clock
        self._directory = directory
        self._tail = writer.last()
        self._floor_ms = max(self._tail.last_arrival_ms, self._tail.beat_ms)
        self._by_events = config.ingest.clock == "events"
        if self._by_events:  # before anybody told a time it is the earliest there can be
            self._floor_ms = max(self._floor_ms, TIME_MIN_MS)
        self._ahead: asyncio.Queue[tuple[Batch, list[Token]]] = asyncio.Queue(AHEAD_MAX)
        self._effects = recovered.effects
        self._on_its_way: Effects | None = None
        self._effects_at = 0.0
        self._effects_lock = asyncio.Lock()  # stored in the order in which they are taken
        self._pace = Pace()
        # a quarter of what the broker may have in flight: it goes on sending while we commit
        window = config.mqtt.receive_maximum // 4
        self._enough = max(LULL_MESSAGES, min(config.ingest.batch_max, window))
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._applied_since_snapshot = recovered.replayed
        self._in_hand = False  # the applier has a batch: at work on it, or waiting for a thaw
        self._applying = False
        self._snapshot_lock = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._clock_of_loop = asyncio.get_running_loop().time

    # -- what others ask ------------------------------------------------------------------------

    @property
    def behind(self) -> int:
        """Batches committed but not applied yet."""
        return self._ahead.qsize() + self._in_hand

    def submit(self, entries: Sequence[tuple[Message, Receipt]]) -> None:
        """Put messages of the HTTP door into the inbox, all or none. Raises InboxFull."""
        if self.inbox.full:
            raise InboxFull("the inbox is full: try again shortly")
        for message, receipt in entries:
            if self._by_events:  # the wall clock must not move the time of a replay
                message.arrival_ms = self._floor_ms
            self.inbox.put(message, receipt)

    def tell(self, topic: str, payload: bytes, session: int = 0) -> None:
        """Record something about the daemon itself, in order with the events.

        ``session``: of the broker, which the journal then remembers although no message came.
        """
        self.inbox.put(Message(topic, payload, self._now_ms(), session), 0)

    def stop(self) -> None:
        """Commit and apply what has arrived, then let ``run`` return."""
        self._stopping.set()
        self.inbox.arrived.set()

    async def flush(self, concerns: Callable[[Effects], bool] = lambda effects: True) -> None:
        """Store what waits for the tables, so that a reader of them sees it.

        ``concerns``: whether the reader looks for any of this; where not, nobody waits for the disk.
        """
        if self.progress.condition != "running":
            return
        if concerns(self._effects):
            await self._flush_effects()
        elif self._on_its_way is not None and concerns(self._on_its_way):
            async with self._effects_lock:
                pass

    def waiting_timeline(self, epc: str) -> list[TimelineEntry]:
        """Timeline entries of an item that are not stored yet, or just being stored."""
        on_its_way = self._on_its_way.timeline if self._on_its_way is not None else []
        return [entry for entry in (*on_its_way, *self._effects.timeline) if entry.epc == epc]

    # -- the tasks ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until ``stop``: commit, apply, snapshot. Raises JournalBroken."""
        self.tell("$rfid3/start", b"{}")
        for topic, payload in self.first_words:
            self.tell(topic, payload)
        async with asyncio.TaskGroup() as tasks:
            applier = tasks.create_task(self._apply_for_ever(), name="apply")
            tasks.create_task(self._keep(), name="keep")  # ends by itself, not inside a snapshot
            await self._commit_until_stopped()
            await self._ahead.join()
            applier.cancel()
        await self._flush_effects()
        await self.snapshot()

    async def _commit_until_stopped(self) -> None:
        self.progress.condition = "running"
        while not self._stopping.is_set() or len(self.inbox):
            if not await self._gather():
                await self._quiet_beat()
                continue
            messages, tokens = self.inbox.take(self._config.ingest.batch_max)
            if not await self._commit(messages, tokens):
                break  # told to stop while there is no room: the broker keeps what is not stored
        self.progress.condition = "stopping"

    async def _gather(self) -> bool:
        """Wait for a batch: full, or its first message old enough, or senders waiting for us."""
        ingest = self._config.ingest
        if not len(self.inbox):
            self.inbox.arrived.clear()
            try:
                async with asyncio.timeout(ingest.quiet_beat_s):
                    await self.inbox.arrived.wait()
            except TimeoutError:
                return False
            if not len(self.inbox):
                return False
        loop = asyncio.get_running_loop()
        until = loop.time() + ingest.beat_ms / 1000
        before = 0
        while (waiting := len(self.inbox)) < self._enough and not self._stopping.is_set():
            left_s = until - loop.time()
            if left_s <= 0 or (waiting == before and waiting >= LULL_MESSAGES):
                break
            before = waiting
            await asyncio.sleep(min(left_s, LULL_S))
        return True

    async def _quiet_beat(self) -> None:
        """Time passes without events: recorded first, so that a replay closes the same windows."""
        self.progress.beat_at = asyncio.get_running_loop().time()
        if self._by_events or self.behind:
            return
        now_ms = self._now_ms()
        minute = now_ms // RECORDED_BEAT_MS > self._tail.beat_ms // RECORDED_BEAT_MS
        if minute or self.core.due_ms() <= now_ms:
            await self._commit([], [])
        if self._effects_waiting() and not self._ahead.qsize():
            await self._flush_effects()

    async def _commit(self, messages: list[Message], tokens: list[Token]) -> bool:
        """Make a batch durable, acknowledge it, hand it to the applier; ``False``: see ``_write``."""
        loop = asyncio.get_running_loop()
        beat_ms = self._settle_times(messages)
        batch = Batch(self._tail.seq + 1, self._tail.next_ordinal, beat_ms, messages)
        self.progress.waiting_since = loop.time()
        written = await self._write(batch)
        self.progress.waiting_since = 0.0
        if not written:
            return False
        self._tail = self._writer.last()
        self._floor_ms = beat_ms
        self.batches += 1
        self.progress.committed_at = self.progress.beat_at = loop.time()
        self._acknowledge(tokens)
        if not self.behind:
            self.progress.applied_at = loop.time()  # it had nothing to do until now
        await self._ahead.put((batch, tokens))
        return True

    async def _write(self, batch: Batch) -> bool:
        """Commit with whatever effects are due; a full disk is waited for, nothing is lost.

        ``False``: told to stop while there is no room; nothing was written.
        """
        while True:
            busy = False
            try:
                await self._write_once(batch)
            except JournalFull as error:
                busy = isinstance(error, JournalBusy)  # less history would not end that
                self._note_full(error)
            else:
                if self.progress.condition == "full":
                    log.info("journal_has_room")
                    self.progress.condition, self.progress.trouble = "running", ""
                return True
            if self._stopping.is_set():
                return False
            if busy or not await self._make_room():
                await self._pause(RETRY_S)

    async def _write_once(self, batch: Batch) -> None:
        """One try. Raises JournalFull: then neither the batch nor the effects are stored."""
        async with self._effects_lock:
            effects, seq = self._take_effects() if self._effects_due() else (None, None)
            try:
                await self._writer.commit(batch, effects, seq)
            except JournalFull:
                self._keep_effects(effects)
                raise
            finally:
                self._on_its_way = None

    def _note_full(self, error: JournalFull) -> None:
        if self.progress.condition != "full":
            log.error("journal_full", reason=str(error), cure=error.cure)
        self.progress.condition, self.progress.trouble = "full", str(error)
        self.progress.cure = error.cure
        self.progress.beat_at = asyncio.get_running_loop().time()

    async def _pause(self, seconds: float) -> None:
        """Wait, but not once told to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _make_room(self) -> bool:
        """Give up the oldest history that no snapshot needs; whether to try again at once."""
        try:
            if await self._give_up_history():
                return True
            written = self.snapshots
            await self.snapshot()  # it may be what lets some go; but first see whether it must
            if self.snapshots > written:
                return True
            await asyncio.to_thread(keep_newest_alone, self._directory)
            return await self._give_up_history()
        except JournalFull:
            return False

    async def _give_up_history(self) -> bool:
        kept = kept_snapshots(self._directory)
        return bool(kept) and await self._writer.make_room(kept[-1][0]) > 0

    def _settle_times(self, messages: list[Message]) -> int:
        """Make arrivals never decrease, also after a clock was set back; returns the beat."""
        floor_ms = self._floor_ms
        for message in messages:
            if message.arrival_ms < floor_ms:
                message.arrival_ms = floor_ms
            else:
                floor_ms = message.arrival_ms
        return floor_ms if self._by_events else max(floor_ms, self._clock.now_ms())

    def _acknowledge(self, tokens: list[Token]) -> None:
        if self.source is not None:
            mine = [token for token in tokens if isinstance(token, int) and token]
            if mine:
                self.source.acknowledge(mine)
        for token in tokens:
            if not isinstance(token, int):
                token.committed()

    async def _apply_for_ever(self) -> None:
        while True:
            batch, tokens = await self._ahead.get()
            self._in_hand = True
            while not self._thawed.is_set():  # the next snapshot may freeze before this wakes
                await self._thawed.wait()
            self._applying = True
            await self._apply(batch, tokens)
            self._applying = self._in_hand = False
            self._ahead.task_done()

    async def _apply(self, batch: Batch, tokens: list[Token]) -> None:
        """Let the core work through a batch in slices that leave the loop to others."""
        whole = Step()
        start, messages = 0, batch.messages
        while start < len(messages):
            message = messages[start]
            due, large = message.arrival_ms >= self.core.day_end_ms(), _is_large(message)
            if (due or large) and message.topic.startswith(SYSTEM):
                # it says itself how time gets there, and is no payload of events
                await self._in_slices(self.core.own(message, batch.first + start, whole), whole)
                start += 1
                continue
            if due:
                await self._in_slices(self.core.passing(message.arrival_ms, whole), whole)
            if large:
                await self._apply_large(message, batch.first + start, whole)
                start += 1
                continue
            end_ms, of_day = self.core.day_end_ms(), len(messages)
            if messages[-1].arrival_ms >= end_ms:
                of_day = bisect_left(messages, end_ms, start, key=_ARRIVAL_MS)
            stop = self._pace.end(messages, start, of_day)
            began = time.thread_time()
            _join(whole, self.core.step(messages[start:stop], batch.first + start))
            self._pace.took(time.thread_time() - began)
            start = stop
            if start < len(messages):
                await asyncio.sleep(0)
        await self._pass_time(batch.beat_ms, whole)
        self._done(batch, whole, tokens)

    async def _apply_large(self, message: Message, ordinal: int, whole: Step) -> None:
        """A payload of many events: decoded in a thread, applied some events at a time."""
        decoded = await asyncio.to_thread(self.core.decoder.decode, message)
        began = time.thread_time()
        room = partial(self._pace.events, message.topic)
        for step in self.core.pieces(message, ordinal, decoded, room):
            _join(whole, step)
            self._pace.took(time.thread_time() - began)
            await asyncio.sleep(0)
            began = time.thread_time()

    async def _pass_time(self, until_ms: int, whole: Step) -> None:
        """Let time reach a moment, piece by piece; the pieces give the same bits as the whole."""
        core = self.core
        while (due_ms := max(core.due_ms(), core.now_ms) + PASS_MS) < until_ms:
            await self._in_slices(core.passing(due_ms, whole), whole)
            await asyncio.sleep(0)
        await self._in_slices(core.passing(until_ms, whole), whole)

    @staticmethod
    async def _in_slices(slices: Iterator[None], whole: Step) -> None:
        """Let the core go on slice by slice; what a day leaves behind is packed in a thread."""
        history = whole.effects.history
        packed = len(history)
        for _ in slices:
            if len(history) > packed:
                history[packed:] = await asyncio.to_thread(_packed, history[packed:])
                packed = len(history)
            else:
                await asyncio.sleep(0)

    def _done(self, batch: Batch, whole: Step, tokens: list[Token]) -> None:
        """A batch is applied: its effects wait for the tables, its senders are told."""
        merge_effects(self._effects, whole)  # whole batches only: they are stored by position
        self.applied_seq = batch.seq
        self.effects_revision += bool(_rows(whole.effects))
        self._applied_since_snapshot += len(batch.messages)
        self.progress.applied_at = asyncio.get_running_loop().time()
        if batch.messages and not self._by_events:
            self.latency_ms.append(self._clock.now_ms() - batch.messages[0].arrival_ms)
        self.on_applied()
        self._settle_receipts(whole.outcomes, batch.first, tokens)

    @staticmethod
    def _settle_receipts(
        outcomes: dict[int, list[tuple[str, str]]], first: int, tokens: list[Token]
    ) -> None:
        for i, token in enumerate(tokens):
            if not isinstance(token, int):
                token.applied(outcomes.get(first + i, []))

    # -- effects --------------------------------------------------------------------------------

    def _effects_waiting(self) -> int:
        return _rows(self._effects)

    def _effects_due(self) -> bool:
        waiting = self._effects_waiting()
        age_s = asyncio.get_running_loop().time() - self._effects_at
        return waiting >= EFFECTS_ROWS or (waiting > 0 and age_s > EFFECTS_AGE_S)

    def _take_effects(self) -> tuple[Effects, int]:
        """What waits for the tables, and the newest batch whose effects are all in it."""
        effects, self._effects = self._effects, Effects.empty()
        self._on_its_way = effects
        self._effects_at = asyncio.get_running_loop().time()
        return effects, self.applied_seq

    async def _flush_effects(self) -> None:
        async with self._effects_lock:
            if not self._effects_waiting():
                return
            effects, seq = self._take_effects()
            try:
                await self._writer.append_effects(effects, seq)
            except JournalFull:
                self._keep_effects(effects)
            finally:
                self._on_its_way = None

    def _keep_effects(self, effects: Effects | None) -> None:
        """They could not be stored: put them back, before what has come since."""
        if effects is not None:
            merge_effects(effects, Step(self._effects))
            self._effects = effects

    # -- snapshots and trimming -------------------------------------------------------------------

    async def _keep(self) -> None:
        """Snapshots and trimming, on their schedules, until told to stop."""
        storage = self._config.storage
        loop = asyncio.get_running_loop()
        written_at = trimmed_at = loop.time()
        while not self._stopping.is_set():
            await self._pause(KEEP_EVERY_S)
            if self._stopping.is_set() or self.progress.condition == "full":
                continue
            age_s = loop.time() - written_at
            many = self._applied_since_snapshot >= storage.snapshot_every_events
            old = age_s >= storage.snapshot_every_s and self._applied_since_snapshot > 0
            if age_s >= SNAPSHOT_LEAST_S and (many or old):
                await self.snapshot()
                written_at = loop.time()
            if loop.time() - trimmed_at >= TRIM_EVERY_S:
                with suppress(JournalFull):  # the committer meets it too, and says so
                    await self._trim()
                trimmed_at = loop.time()

    async def snapshot(self) -> None:
        """Freeze the state between two batches, write it from a thread, thaw.

        Commits, acknowledgements and reads go on meanwhile; only applying waits.
        """
        async with self._snapshot_lock:
            self._thawed.clear()
            try:
                await self._ahead_idle()
                await self._flush_effects()  # what the snapshot holds, the tables must hold too
                if self.before_snapshot is not None:  # and what else was made of its batches
                    await self.before_snapshot()
                if self._effects_waiting():
                    raise JournalFull("the tables are full")
                seq = self.applied_seq
                if seq > self.snapshot_seq:
                    await asyncio.to_thread(self._write_snapshot, seq)
                    self.snapshot_seq = seq
                    self.snapshots += 1
                    self._applied_since_snapshot = 0
            except JournalFull as error:
                log.warning("snapshot_skipped", reason=str(error))
            finally:
                self._thawed.set()

    async def _ahead_idle(self) -> None:
        """Wait until the applier is between two batches."""
        while self._applying:
            await asyncio.sleep(0.001)

    def _write_snapshot(self, seq: int) -> None:
        self._got_on(0)
        arrays, blobs = self.core.save()
        header = header_of(self.core, seq, self._writer.journal_id)
        write_snapshot(self._directory, header, arrays, blobs, compress=True, progress=self._got_on)

    def _got_on(self, _written: int) -> None:
        """A snapshot that is being written is no standstill, however slow the card."""
        self.progress.snapshot_at = self._clock_of_loop()

    async def _trim(self) -> None:
        storage = self._config.storage
        kept = [seq for seq, _ in kept_snapshots(self._directory)]
        if not kept:
            return
        now_ms = self.core.now_ms
        await self._writer.trim(now_ms - int(storage.retention_days * 86_400_000), min(kept))
        await self._writer.trim_effects(now_ms - int(storage.timeline_days * 86_400_000))
        await self._writer.trim_history(self.core.state.today - storage.history_days)

    def _now_ms(self) -> int:
        return self._floor_ms if self._by_events else max(self._floor_ms, self._clock.now_ms())


def _join(whole: Step, step: Step) -> None:
    """Append what a step left behind to what its batch has left so far."""
    merge_effects(whole.effects, step)
    for ordinal, told in step.outcomes.items():
        whole.outcomes.setdefault(ordinal, []).extend(told)


def _is_large(message: Message) -> bool:
    return len(message.payload) > LARGE_BYTES


def _rows(effects: Effects) -> int:
    lines = len(effects.dead_letters) + len(effects.timeline) + len(effects.gaps)
    return lines + len(effects.history) + len(effects.rows)


def _packed(rows: list[HistoryRows]) -> list[HistoryRows]:
    return [pack(one) for one in rows]
