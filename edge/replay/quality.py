"""The quality of a file that is replayed, as a daemon of the default configuration would judge it.

The messages go once through the daemon's own middle beside the broker: what is a duplicate, a dead
letter, impossible or a silence there is one here. No network; nothing is kept.
"""

from edge.config import Config
from edge.core import Core
from edge.ledger.data_quality import Imported, row_of
from edge.records import Message

BATCH_MESSAGES = 512


class FileQuality:
    """Looks at messages in the order in which they are sent."""

    def __init__(self, config: Config | None = None) -> None:
        self._core = Core(config or Config())
        self._core.tells_history = False
        self._imported = Imported()
        self._waiting: list[Message] = []
        self._first = self._now_ms = 0

    def see(self, topic: str, payload: bytes, at_ms: int) -> None:
        """One message, and the moment it speaks of."""
        self._now_ms = max(self._now_ms, at_ms)
        self._waiting.append(Message(topic, payload, self._now_ms))
        if len(self._waiting) >= BATCH_MESSAGES:
            self._look()

    def _look(self) -> None:
        step = self._core.step(self._waiting, self._first)
        self._imported.take(step.effects.rows)
        self._first, self._waiting = self._first + len(self._waiting), []

    def lines(self) -> list[str]:
        """The account, for people."""
        if self._waiting:
            self._look()
        core = self._core
        account = core.watch.account(core.quality_counters())
        self._imported.end(row_of(core.state.today, account))
        return self._imported.lines()
