"""The shop's local days, in bulk. A day is the span between two local midnights of an IANA zone.

``day`` numbers count from 1970-01-01 in local time. Offsets are looked up in a table of the zone's
transitions, so a whole column is turned into days without a loop.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

DAY_MS = 86_400_000
_FIRST_YEAR, _LAST_YEAR = 1990, 2107


class LocalDays:
    """Epoch milliseconds <-> local day numbers of one IANA zone.

    >>> days = LocalDays("Europe/London")
    >>> summer_midnight = 1_751_324_400_000  # 2025-07-01 00:00 BST
    >>> days.day(summer_midnight) - days.day(summer_midnight - 1)
    1
    """

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._at_ms, self._offset_ms = _transitions(ZoneInfo(zone))
        self._from, self._until, self._offset = 1, 0, 0  # the span last asked for

    def day(self, at_ms: int) -> int:
        """Local day number of one moment."""
        if not self._from <= at_ms < self._until:
            i = int(np.searchsorted(self._at_ms, at_ms, side="right")) - 1
            self._offset = int(self._offset_ms[max(i, 0)])
            self._from = int(self._at_ms[i]) if i >= 0 else -(1 << 62)
            self._until = int(self._at_ms[i + 1]) if i + 1 < len(self._at_ms) else 1 << 62
        return (at_ms + self._offset) // DAY_MS

    def days(self, at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[n] local day numbers of int64[n] epoch milliseconds."""
        i = np.searchsorted(self._at_ms, at_ms, side="right") - 1
        return (at_ms + self._offset_ms[np.maximum(i, 0)]) // DAY_MS

    def start_ms(self, day: int) -> int:
        """First moment of a local day, epoch milliseconds."""
        # The offset in force at the local midnight: try those around it, take the first that fits.
        nominal = day * DAY_MS
        low = int(np.searchsorted(self._at_ms, nominal - DAY_MS, side="right")) - 1
        high = int(np.searchsorted(self._at_ms, nominal + DAY_MS, side="right")) - 1
        for i in range(max(low, 0), max(high, 0) + 1):
            begin = nominal - int(self._offset_ms[i])
            until = int(self._at_ms[i + 1]) if i + 1 < len(self._at_ms) else 1 << 62
            if begin < until:  # else midnight was skipped: the day begins with the transition
                return max(begin, int(self._at_ms[i])) if i > max(low, 0) else begin
        return nominal - int(self._offset_ms[max(high, 0)])

    def end_ms(self, day: int) -> int:
        """First moment after a local day."""
        return self.start_ms(day + 1)


def _transitions(zone: ZoneInfo) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """UTC moments at which the zone's offset changes, and the offset from each on, milliseconds."""
    moment = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    end = datetime(_LAST_YEAR, 1, 1, tzinfo=UTC)
    step = timedelta(days=7)  # no zone has changed twice within a week since 1990
    offset = _offset_ms(zone, moment)
    at_ms, offsets = [-(1 << 60)], [offset]
    while moment < end:
        following = moment + step
        if _offset_ms(zone, following) != offset:
            low, high = moment, following
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                middle = middle.replace(microsecond=0)
                if middle in (low, high):
                    break
                if _offset_ms(zone, middle) == offset:
                    low = middle
                else:
                    high = middle
            offset = _offset_ms(zone, high)
            at_ms.append(int(high.timestamp()) * 1000)
            offsets.append(offset)
        moment = following
    return np.array(at_ms, np.int64), np.array(offsets, np.int64)


def _offset_ms(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds() * 1000)
