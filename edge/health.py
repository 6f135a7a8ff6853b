"""How well each part works, and every number that is not the core's: the corridor as the API sees it.

Cheap: reads flags and counters, asks nobody, never blocks.
"""

import asyncio
from collections.abc import Callable, Sequence

from edge.clock import Clock
from edge.config import Config
from edge.ingest.inbox import Inbox
from edge.ingest.source import Source
from edge.pipeline import Pipeline
from edge.records import Message, Receipt
from edge.storage.writer import JournalWriter
from edge.view_types import Counters, Dependency

STUCK_S = 20.0
"""No progress for so long, while there is work: stuck."""
BEHIND = 0.8
"""An inbox this full is behind."""


class Health:
    """The corridor's face to the API: messages in, conditions and counters out."""

    def __init__(
        self,
        pipeline: Pipeline,
        source: Source | None,
        writer: JournalWriter,
        inbox: Inbox,
        config: Config,
        clock: Clock,
    ) -> None:
        self._pipeline = pipeline
        self._source = source
        self._writer = writer
        self._inbox = inbox
        self._config = config
        self._clock = clock
        self._since: dict[str, tuple[tuple[bool, bool], int]] = {}
        self._copies: dict[str, Callable[[], str]] = {}

    def watch(self, name: str, trouble: Callable[[], str]) -> None:
        """Tell of a copy of the shop's data: ``trouble()`` says what is wrong, empty: nothing.

        A copy that is away degrades the daemon; it goes on, and catches up.
        """
        self._copies[name] = trouble

    def submit(self, entries: Sequence[tuple[Message, Receipt]]) -> None:
        """Put messages into the inbox, all or none. Raises InboxFull."""
        self._pipeline.submit(entries)

    def health(self) -> list[Dependency]:
        """Every dependency by name, in a fixed order."""
        made = [self._corridor(), self._journal(), self._broker(), self._clock_state()]
        made += [self._copy(name, trouble()) for name, trouble in self._copies.items()]
        for dependency in made:
            state = (dependency.ok, dependency.degraded)
            known = self._since.get(dependency.name)
            if known is None or known[0] != state:
                known = self._since[dependency.name] = (state, self._clock.now_ms())
            dependency.since_ms = known[1]
        return made

    def stuck(self) -> str:
        """What makes no progress although it has work; empty: all is well."""
        now = asyncio.get_running_loop().time()
        progress = self._pipeline.progress
        if progress.condition in ("starting", "stopping"):
            return ""
        waiting = max(STUCK_S, 3 * self._config.ingest.quiet_beat_s)
        # while a snapshot is written, batches pile up until the committer has to wait as well;
        # only a commit under way on a disk that has room is no business of the snapshot's
        committing = progress.waiting_since and progress.condition != "full"
        beat_at = max(progress.beat_at, progress.committed_at)
        if not committing:
            beat_at = max(beat_at, progress.snapshot_at)
        if now - beat_at > waiting and progress.beat_at:
            return "the beat" if not progress.waiting_since else "the journal"
        applied_at = max(progress.applied_at, progress.snapshot_at)
        if self._pipeline.behind and now - applied_at > waiting:
            return "applying"
        return ""

    def counters(self) -> Counters:
        """Numbers of the doors, the corridor and the journal."""
        pipeline, source = self._pipeline, self._source
        latency = sorted(pipeline.latency_ms)
        groups: Counters = {
            "corridor": {
                "inbox": len(self._inbox),
                "batches_ahead": pipeline.behind,
                "revision": pipeline.core.revision,
                "applied_seq": pipeline.applied_seq,
                "snapshot_seq": pipeline.snapshot_seq,
                "snapshots": pipeline.snapshots,
                "commits": pipeline.batches,
            },
            "latency": {
                f"arrival_to_applied_ms_p{p}": latency[
                    min(len(latency) * p // 100, len(latency) - 1)
                ]
                for p in (50, 99)
                if latency
            },
        }
        if source is not None:
            groups["mqtt"] = {
                "received": source.received,
                "acknowledged": source.acknowledged,
                "stale_tokens_dropped": source.stale_tokens_dropped,
                "reconnects": source.reconnects,
                "malformed": source.malformed,
                "bytes_received": source.bytes_received,
            }
        return groups

    def _corridor(self) -> Dependency:
        stuck = self.stuck()
        if stuck:
            return Dependency("corridor", False, False, f"{stuck} makes no progress", "restart")
        if self._pipeline.progress.condition == "starting":
            return Dependency("corridor", False, False, "starting", "wait")
        full = len(self._inbox) >= self._config.ingest.inbox_max * BEHIND
        detail = f"{len(self._inbox)} messages are waiting" if full else ""
        return Dependency("corridor", True, full, detail, "fewer or slower senders" if full else "")

    def _journal(self) -> Dependency:
        progress = self._pipeline.progress
        if progress.condition == "full":
            cure = f"{progress.cure}; nothing is lost"
            return Dependency("journal", False, False, progress.trouble, cure)
        broken = self._writer.ended.done()
        return Dependency("journal", not broken, False, "closed" if broken else "")

    def _broker(self) -> Dependency:
        if self._source is None:
            return Dependency("mqtt", True, False, "switched off")
        if self._source.subscribed:  # before that the broker keeps nothing for us
            return Dependency("mqtt", True)
        why = self._source.last_error or "connecting"
        return Dependency("mqtt", True, True, why, "rfid3 doctor says more")

    @staticmethod
    def _copy(name: str, trouble: str) -> Dependency:
        if not trouble:
            return Dependency(name, True)
        return Dependency(name, True, True, trouble, "the shop goes on; it is caught up later")

    def _clock_state(self) -> Dependency:
        behind_ms = self._pipeline.core.now_ms - self._clock.now_ms()
        if self._config.ingest.clock == "wall" and behind_ms > 2_000:
            return Dependency(
                "clock",
                True,
                True,
                f"the clock is {behind_ms / 1000:.0f} s behind the journal",
                "check time synchronisation; time stands still until it has caught up",
            )
        return Dependency("clock", True)
