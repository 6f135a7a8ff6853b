"""Times as devices write them, against datetime as the slow judge."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ingest import times as module
from edge.ingest.times import TIME_MAX_MS, TIME_MIN_MS, Times, plausible

CHICAGO = Times("America/Chicago")


def ms(*parts: int, zone: timezone = UTC) -> int:
    return round(datetime(*parts, tzinfo=zone).timestamp() * 1000)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-09-05T01:07:01.785-0600", ms(2024, 9, 5, 7, 7, 1, 785_000)),
        ("2024-09-05T01:07:01.785-06:00", ms(2024, 9, 5, 7, 7, 1, 785_000)),
        ("2024-09-05T01:07:01-06", ms(2024, 9, 5, 7, 7, 1)),
        ("2026-02-26T17:13:37.432087177Z", ms(2026, 2, 26, 17, 13, 37, 432_000)),
        ("2026-02-26 17:13:37.4329999z", ms(2026, 2, 26, 17, 13, 37, 432_000)),
        ("2026-02-26t17:13:37,43 +05:30", ms(2026, 2, 26, 11, 43, 37, 430_000)),
        ("2026-02-26T17:13Z", ms(2026, 2, 26, 17, 13)),
        ("2026-02-26T17:13:60Z", ms(2026, 2, 26, 17, 14)),
        ("2026-02-26T17:13:37.1Z", ms(2026, 2, 26, 17, 13, 37, 100_000)),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_a_time_with_a_zone_means_one_moment(text: str, expected: int) -> None:
    for _ in range(3):  # the first reading teaches the fast path; it must not change the answer
        assert CHICAGO.parse(text) == (expected, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-05 09:00:00", ms(2024, 1, 5, 15)),
        ("2024-07-05T09:00:00.25", ms(2024, 7, 5, 14, 0, 0, 250_000)),
        ("2024-07-05", ms(2024, 7, 5, 5)),
        ("2024-03-10 02:30:00", ms(2024, 3, 10, 8, 30)),  # skipped: lands just after the jump
        ("2024-11-03 01:30:00", ms(2024, 11, 3, 6, 30)),  # twice: the first of the two
    ],
)
def test_a_time_without_a_zone_is_the_shops(text: str, expected: int) -> None:
    assert CHICAGO.parse(text) == (expected, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "0000-00-00 00:00:00",
        "2024-13-01T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T00:00:00+2500",
        "2024-01-01T00:00:00+0060",
        "2024-01-01T00:00:00.Z",
        "٢٠٢٤-01-01T00:00:00Z",
        "2024-01-01T00:00:٠٠Z",
        "2024-01-01T00:00:00.0٠0Z",
        "42544500000000000000049a",
        "1706119203123456",
    ],
)
def test_what_is_no_time_is_refused_however_often_it_comes(text: str) -> None:
    CHICAGO.parse("2024-01-01T00:00:00Z")
    for _ in range(2):
        with pytest.raises(ValueError, match=r".*"):
            CHICAGO.parse(text)


@given(
    st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.integers(0, 9),
    st.sampled_from(["T", " "]),
    st.booleans(),
)
def test_fast_and_slow_agree_with_datetime(
    moment: datetime, offset_min: int, digits: int, separator: str, colon: bool
) -> None:
    sign = "-" if offset_min < 0 else "+"
    hours, minutes = divmod(abs(offset_min), 60)
    zone = f"{sign}{hours:02d}{':' if colon else ''}{minutes:02d}"
    fraction = f".{moment.microsecond:06d}000"[: digits + 1] if digits else ""
    text = moment.strftime(f"%Y-%m-%d{separator}%H:%M:%S") + fraction + zone
    micro = int((fraction[1:] or "0").ljust(6, "0")[:6])
    exact = moment.replace(microsecond=micro, tzinfo=timezone(timedelta(minutes=offset_min)))
    expected = (exact - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert CHICAGO.parse(text) == (expected, False)
    assert CHICAGO.parse(text) == (expected, False)


@given(
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2027, 1, 1)),
    st.sampled_from(["T", " "]),
    st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]),
    st.sampled_from(["", " ", "   "]),
)
def test_local_times_read_fast_and_slowly_agree_with_datetime(
    moment: datetime, separator: str, precision: str, blanks: str
) -> None:
    text = blanks + moment.isoformat(separator, precision)
    minute = moment.replace(second=0, microsecond=0, tzinfo=ZoneInfo("America/Chicago"))
    seconds = text.strip()[17:]
    after_ms = int(seconds[:2]) * 1000 + int((seconds[3:6] or "0").ljust(3, "0"))
    for _ in range(2):
        assert CHICAGO.parse(text) == (int(minute.timestamp()) * 1000 + after_ms, True)


def test_a_blank_before_a_time_shifts_nothing_into_the_memory_of_minutes() -> None:
    assert CHICAGO.parse("   2024-01-05 09:13")[0] == ms(2024, 1, 5, 15, 13)
    assert CHICAGO.parse("   2024-01-05 09:45")[0] == ms(2024, 1, 5, 15, 45)


@given(st.text(alphabet="0123456789-+:.TZ ,", max_size=40) | st.text(max_size=40))
def test_any_text_is_a_time_or_a_value_error_and_stays_so(text: str) -> None:
    def reading() -> tuple[int, bool] | str:
        try:
            return CHICAGO.parse(text)
        except ValueError:
            return "refused"

    first = reading()
    assert reading() == first


def test_the_cache_of_minutes_is_bounded() -> None:
    for minute in range(module._CACHE_MAX + 10):
        CHICAGO.parse(
            f"2024-01-{1 + minute // 1440:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}:00Z"
        )
    assert len(module._minutes) <= module._CACHE_MAX


def test_the_caches_of_seconds_endings_and_local_minutes_are_bounded() -> None:
    for i in range(module._CACHE_MAX + 10):
        clock = f"{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}"
        CHICAGO.parse(f"2024-02-01T{clock}.{i % 1000:03d}+0{i // 1000}00")
        CHICAGO.parse(f"2024-{1 + i // 1440:02d}-01 {i // 60 % 24:02d}:{i % 60:02d}:00")
    for cache in (module._seconds, module._endings, CHICAGO._local):
        assert len(cache) <= module._CACHE_MAX


def test_clocks_that_were_never_set_are_not_plausible() -> None:
    assert not plausible(0)
    assert not plausible(TIME_MIN_MS - 1)
    assert plausible(TIME_MIN_MS)
    assert plausible(TIME_MAX_MS - 1)
    assert not plausible(TIME_MAX_MS)
    assert ms(2106, 2, 7) == TIME_MAX_MS
