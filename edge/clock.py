"""Where time comes from: one small protocol, handed in. No module below the edge calls a clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Milliseconds since 1970-01-01 UTC, and a monotonic counterpart for intervals."""

    def now_ms(self) -> int:
        """Wall-clock time, epoch milliseconds, UTC."""
        ...

    def monotonic_ms(self) -> float:
        """Time since an arbitrary start, milliseconds; never goes backwards."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Wall-clock time, epoch milliseconds, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> float:
        """Monotonic time, milliseconds."""
        return time.monotonic_ns() / 1e6


class ManualClock:
    """A clock that a test moves by hand.

    >>> clock = ManualClock(1_000)
    >>> clock.advance(250)
    >>> clock.now_ms()
    1250
    """

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """The time last set, epoch milliseconds."""
        return self._now_ms

    def monotonic_ms(self) -> float:
        """The time last set, as a float."""
        return float(self._now_ms)

    def advance(self, by_ms: int) -> None:
        """Move forward by ``by_ms`` milliseconds."""
        assert by_ms >= 0, by_ms
        self._now_ms += by_ms
