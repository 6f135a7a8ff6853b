"""Local days against the calendar, in zones that skip and repeat hours, also at midnight."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.features.days import LocalDays

ZONES = (
    "UTC",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",  # midnight itself was skipped
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Pacific/Apia",  # a whole day was skipped
)
DAYS = {zone: LocalDays(zone) for zone in ZONES}
EPOCH = date(1970, 1, 1).toordinal()
moments = st.integers(631_152_000_000, 4_294_944_000_000)


def calendar(zone: str, at_ms: int) -> int:
    return datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone)).date().toordinal() - EPOCH


@given(zone=st.sampled_from(ZONES), at_ms=moments)
def test_a_moment_lies_in_the_day_of_the_calendar(zone: str, at_ms: int) -> None:
    days = DAYS[zone]
    assert days.day(at_ms) == calendar(zone, at_ms)
    assert days.days(np.array([at_ms])).tolist() == [calendar(zone, at_ms)]


@given(zone=st.sampled_from(ZONES), at_ms=moments)
def test_a_day_holds_its_own_moments_and_no_others(zone: str, at_ms: int) -> None:
    days = DAYS[zone]
    day = days.day(at_ms)
    assert days.start_ms(day) <= at_ms < days.end_ms(day)
    assert calendar(zone, days.end_ms(day)) > day
    assert calendar(zone, days.end_ms(day) - 1) == day


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/London", date(2025, 3, 30), 23),
        ("Europe/London", date(2025, 10, 26), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),
        ("Australia/Lord_Howe", date(2025, 10, 5), 23.5),
        ("UTC", date(2025, 3, 30), 24),
    ],
)
def test_days_of_a_change_are_shorter_or_longer(zone: str, day: date, hours: float) -> None:
    number = day.toordinal() - EPOCH
    assert DAYS[zone].end_ms(number) - DAYS[zone].start_ms(number) == hours * 3_600_000


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    days = LocalDays("Europe/London")
    asked = [
        int(datetime(year, month, 1, tzinfo=UTC).timestamp() * 1000)
        for year in (2105, 1995, 2030)
        for month in (1, 7, 4, 11)
    ]
    assert [days.day(at) for at in asked] == [LocalDays("Europe/London").day(at) for at in asked]
