"""A parameter that is needed is asked for by its name."""

import pytest
from multidict import MultiDict

from edge.api.contracts import ContractsQuery
from edge.api.dead_letters import ReplayQuery
from edge.api.problems import Problem
from edge.api.query import read_query


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(Problem, match="reason is needed"):
        read_query(ReplayQuery, MultiDict())


def test_a_word_that_is_not_known_is_answered_with_those_that_are() -> None:
    with pytest.raises(Problem, match="state='lost': 'lost' is none of open, returned"):
        read_query(ContractsQuery, MultiDict(state="lost"))
