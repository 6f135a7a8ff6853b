"""Cells -> moments in epoch nanoseconds UTC. No clock: what is unreadable raises ValueError.

A local time that daylight saving makes ambiguous is the first of the two, unless another moment of
the same row must lie before it (``after``) and would not: then it is the second.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from edge.ingest.times import Times
from edge.replay.reader import NS_PER_UNIT, Row, Stamp

Moment = Callable[[Row], int]
"""Row -> epoch nanoseconds, UTC. Raises ValueError."""

NS_PER_MS = 1_000_000
_QUARTER_NS = 900 * 10**9
_CACHE_MAX = 200_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_as_if_utc = Times("UTC")


class LocalTime:
    """Local wall-clock nanoseconds of one zone -> UTC.

    >>> new_york = LocalTime("America/New_York")
    >>> half_past_one = 1_446_341_400 * 10**9  # 2015-11-01 01:30 on the wall, which came twice
    >>> [(new_york.utc_ns(half_past_one, fold) - half_past_one) // 10**9 for fold in (0, 1)]
    [14400, 18000]
    """

    def __init__(self, zone: str) -> None:
        """``zone``: an IANA name. Raises zoneinfo.ZoneInfoNotFoundError or ValueError."""
        self._zone = ZoneInfo(zone)
        self._behind_ns: dict[tuple[int, int], int] = {}  # offsets change on quarters of an hour

    def utc_ns(self, local_ns: int, fold: int = 0) -> int:
        """``fold``: 0 the first, 1 the second of two moments with the same local time."""
        key = (local_ns // _QUARTER_NS, fold)
        behind_ns = self._behind_ns.get(key)
        if behind_ns is None:
            if len(self._behind_ns) >= _CACHE_MAX:
                self._behind_ns.clear()
            behind_ns = self._behind_ns[key] = self._look_up(local_ns, fold)
        return local_ns + behind_ns

    def _look_up(self, local_ns: int, fold: int) -> int:
        try:
            moment = datetime.fromtimestamp(local_ns // 10**9, UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(str(local_ns)) from error
        offset = moment.replace(tzinfo=self._zone, fold=fold).utcoffset()
        assert offset is not None
        return -int(offset.total_seconds()) * 10**9


def read_moment(
    index: int,
    *,
    stamp: Stamp | None,
    unit: str,
    pattern: str,
    zone: LocalTime,
    after: Moment | None = None,
) -> Moment:
    """How to read the moment in column ``index``.

    Numbers count ``unit`` from 1970 in UTC; texts follow ``pattern`` (strptime) or, when it is
    empty, RFC 3339 and its relatives. What has no zone of its own is local to ``zone``.
    """
    unit_ns = NS_PER_UNIT[unit]

    def moment(row: Row) -> int:
        value = row[index]
        if stamp is not None and isinstance(value, int):
            at_ns, local = value * stamp.unit_ns, not stamp.utc
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            at_ns, local = _scaled(value, unit_ns), False
        elif isinstance(value, str):
            at_ns, local = _parse(value, pattern, unit_ns)
        else:
            raise ValueError(f"no time in {value!r}")
        if not local:
            return at_ns
        utc_ns = zone.utc_ns(at_ns)
        if after is not None and utc_ns < after(row):
            return zone.utc_ns(at_ns, fold=1)
        return utc_ns

    return moment


def _scaled(value: float, unit_ns: int) -> int:
    try:
        return value * unit_ns if isinstance(value, int) else round(value * unit_ns)
    except OverflowError as error:
        raise ValueError(str(value)) from error


def _parse(text: str, pattern: str, unit_ns: int) -> tuple[int, bool]:
    """Nanoseconds, and whether they are local."""
    if pattern:
        moment = datetime.strptime(text, pattern)
        local = moment.tzinfo is None
        aware = moment.replace(tzinfo=UTC) if local else moment
        passed = aware - _EPOCH
        return (passed.days * 86_400 + passed.seconds) * 10**9 + passed.microseconds * 1000, local
    if text.lstrip("-").isdigit():
        return int(text) * unit_ns, False
    at_ms, local = _as_if_utc.parse(text)
    return at_ms * NS_PER_MS, local
