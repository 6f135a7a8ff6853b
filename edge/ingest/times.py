"""Texts and numbers -> epoch milliseconds, UTC. No clock: what is absent stays absent.

RFC 3339 and its near relatives: ``T`` or a blank, any number of fraction digits (cut to
milliseconds, not rounded), offsets with or without colon, ``Z``, or no zone at all. A time without
a zone is local to the shop. Where daylight saving makes a local time ambiguous the first of the
two is taken; a local time that was skipped is read with the offset before the jump, so it lands
just after it. Both are PEP 495's ``fold=0``, the same on every run.

Results are cached by minute and second; a full cache is emptied, and none changes a result.
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

TIME_MIN_MS = 946_684_800_000
"""2000-01-01T00:00:00Z: an older time comes from a device clock that was never set."""
TIME_MAX_MS = 4_294_944_000_000
"""2106-02-07T00:00:00Z: unsigned 32-bit seconds run out on that day."""

_CACHE_MAX = 4_096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DIGITS = "0123456789"

_PATTERN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r"\s?(Z|z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)

_SECONDS = {f"{s:02d}": s * 1_000 for s in range(61)}  # 60: a leap second
_WHOLE_SECONDS_UTC = {f"{text}Z": ms for text, ms in _SECONDS.items()}
_FRACTIONAL_SECONDS = {f"{text}.": ms for text, ms in _SECONDS.items()}
_MILLIS = {f"{ms:03d}": ms for ms in range(1_000)}
_minutes: dict[str, int] = {}  # "2026-02-26T17:13:" -> as if it were UTC, ms
_seconds: dict[str, int] = {}  # "2026-02-26T17:13:07." -> as if it were UTC, ms
_offsets: dict[str, int] = {"Z": 0}  # "-0600" -> ms to subtract
_endings: dict[str, int] = {}  # "785-0600" -> ms to add


def utc_ms(text: str) -> int:
    """The fast path: a time with a zone, and whole or at least millisecond seconds.

    Raises KeyError for anything else (which may still be a time: ask :meth:`Times.parse`). Which
    texts it knows grows with use; what it answers is always what :meth:`Times.parse` answers.
    """
    if len(text) == 20:
        return _minutes[text[:17]] + _WHOLE_SECONDS_UTC[text[17:]]
    second = _seconds.get(text[:20])
    if second is None:
        second = _minutes[text[:17]] + _FRACTIONAL_SECONDS[text[17:20]]
        _remember(_seconds, text[:20], second)
    ending = _endings.get(text[20:])
    return second + (ending if ending is not None else _ending(text[20:]))


def _ending(text: str) -> int:
    """Milliseconds and zone. Remembered where no more digits than these are told: few differ."""
    ms, zone = _MILLIS[text[:3]], text[3:]
    offset = _offsets.get(zone)
    if offset is None:
        return ms - _offsets[zone.lstrip(_DIGITS)]
    _remember(_endings, text, ms - offset)
    return ms - offset


def _remember(cache: dict[str, int], text: str, ms: int) -> None:
    if len(cache) >= _CACHE_MAX:
        cache.clear()
    cache[text] = ms


def _offset_ms(zone: str) -> int:
    """``-0600``, ``-06:00``, ``-06``, ``Z`` -> milliseconds east of UTC. Raises ValueError."""
    if zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    ms = (hours * 60 + minutes) * 60_000
    return -ms if zone[0] == "-" else ms


class Times:
    """Reads times; knows the zone of those that do not say theirs.

    >>> times = Times("America/Chicago")
    >>> times.parse("2024-09-05T01:07:01.785-0600")
    (1725520021785, False)
    >>> times.parse("2024-09-05 02:07:01")
    (1725520021000, True)
    """

    def __init__(self, timezone: str) -> None:
        """``timezone``: an IANA name. Raises zoneinfo.ZoneInfoNotFoundError or ValueError."""
        self._zone = ZoneInfo(timezone)
        self._local: dict[str, int] = {}  # "2026-02-26 17:13:" in this zone -> ms

    def parse(self, text: str) -> tuple[int, bool]:
        """Epoch milliseconds, and whether the text had no zone. Raises ValueError."""
        size = len(text)
        if (size == 19 or size == 23) and (minute := self._local.get(text[:17])) is not None:
            ms = _local_ms(text)
            if ms >= 0:
                return minute + ms, True
        try:
            return utc_ms(text), False
        except KeyError:
            return self._parse(text)

    def _parse(self, text: str) -> tuple[int, bool]:
        found = _PATTERN.fullmatch(text.strip())
        if found is None:
            raise ValueError(text[:40])
        year, month, day, hour, minute, second, fraction, zone = found.groups()
        ms = int(second or 0) * 1_000 + int((fraction or "0")[:3].ljust(3, "0"))
        if ms > 60_999:
            raise ValueError(text[:40])
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0))
        # Whether its minute and second stand where the fast path looks for them.
        exact = second is not None and text[16:17] == text[13] == ":"
        if zone is None:
            local = self._local_minute(moment)
            if exact:
                _remember(self._local, text[:17], local)
            return local + ms, True
        base = (moment.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
        offset = _offset_ms(zone)
        if exact:
            _remember(_minutes, text[:17], base)
        if text.endswith(zone):
            _offsets[zone] = offset  # at most a few thousand spellings exist
        return base + ms - offset, False

    def _local_minute(self, moment: datetime) -> int:
        """A local minute -> epoch ms. Raises ValueError outside the years datetime knows."""
        try:
            return (moment.replace(tzinfo=self._zone) - _EPOCH) // _MILLISECOND
        except OverflowError as error:
            raise ValueError(str(moment)) from error


def _local_ms(text: str) -> int:
    """What follows the minute of a time without a zone: ``07`` or ``07.785``; -1: something else."""
    second = _SECONDS.get(text[17:19], -1)
    if len(text) == 19:
        return second
    ms = _MILLIS.get(text[20:], -1)
    return second + ms if text[19] == "." and second >= 0 and ms >= 0 else -1


def plausible(at_ms: int) -> bool:
    """Whether a device clock that says so may have been set at all."""
    return TIME_MIN_MS <= at_ms < TIME_MAX_MS
