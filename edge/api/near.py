"""Answers made a moment ago: whoever asks the same of the same state within 100 ms gets them again.

The nearest of the layers (L1). An answer is never older than the state: another revision, another
answer; the limit is for what changes without one, such as ages.
"""

from typing import Any

from edge.clock import Clock

NEAR_MS = 100
ENTRIES_MAX = 64


class Near:
    """Answers of one endpoint."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[int, int, Any]] = {}

    def get(self, asked: str, revision: int) -> Any:
        """The answer to the same question; ``None``: there is none that may be given again."""
        kept = self._kept.get(asked)
        if kept is None or kept[0] != revision:
            return None
        return kept[2] if self._clock.monotonic_ms() - kept[1] < NEAR_MS else None

    def put(self, asked: str, revision: int, made: Any) -> None:
        """Keep an answer."""
        if len(self._kept) >= ENTRIES_MAX:
            self._kept.clear()
        self._kept[asked] = (revision, int(self._clock.monotonic_ms()), made)
