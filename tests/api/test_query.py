"""A parameter that is needed is asked for by its name."""

import pytest
from multidict import MultiDict

from edge.api.dead_letters import ReplayQuery
from edge.api.problems import Problem
from edge.api.query import read_query


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(Problem, match="reason is needed"):
        read_query(ReplayQuery, MultiDict())
