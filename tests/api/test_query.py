"""A parameter that is needed is asked for by its name."""

import msgspec
import pytest
from multidict import MultiDict

from edge.api.choices import PATTERNS
from edge.api.contracts import ContractsQuery
from edge.api.dead_letters import LetterPath, ReplayQuery
from edge.api.maintenance import ScheduleQuery
from edge.api.problems import Problem
from edge.api.query import patterns, read_path, read_query
from edge.api.table import ENDPOINTS


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(Problem, match="reason is needed"):
        read_query(ReplayQuery, MultiDict())


def test_a_word_that_is_not_known_is_answered_with_those_that_are() -> None:
    with pytest.raises(Problem, match="state='lost': 'lost' is none of open, returned"):
        read_query(ContractsQuery, MultiDict(state="lost"))


@pytest.mark.parametrize(
    "wrong", ["yesterday", "2026-02-31", "2026-13-01", "2026-W08-1", "20260228", ""]
)
def test_a_day_that_is_none_is_answered_with_one_that_is(wrong: str) -> None:
    with pytest.raises(Problem) as refused:
        read_query(ScheduleQuery, MultiDict(day=wrong))
    assert refused.value.slug == "bad-parameter"
    assert refused.value.detail == f"day={wrong!r}: a day as 2026-02-28 is expected."
    assert refused.value.members == {"parameter": "day"}


def test_a_day_that_the_calendar_has_is_taken() -> None:
    assert read_query(ScheduleQuery, MultiDict(day="2028-02-29")).day == "2028-02-29"


def test_no_parameter_and_no_part_of_a_path_shows_a_pattern() -> None:
    for endpoint in ENDPOINTS:
        for wanted in (endpoint.query, endpoint.parts):
            for field in msgspec.structs.fields(wanted):
                for pattern in patterns(field.type):
                    assert pattern in PATTERNS, (endpoint.path, field.name)
    with pytest.raises(Problem, match="'x': a number as in 17 or"):
        read_path(LetterPath, {"id": "x"})
