"""What a change brought: against the pace of the rest of the shop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.services.impact import brought

positive = st.floats(0.1, 1e6)


@given(positive, positive, st.floats(0.1, 10))
def test_a_class_that_keeps_pace_with_the_shop_brought_nothing(
    level: float, rest: float, pace: float
) -> None:
    day = np.ones(28)
    found = brought(level * day, level * pace * day, rest * day, rest * pace * day)
    assert found == pytest.approx(0, abs=1e-6 * level * pace * 28 + 1e-6)


@given(positive, st.floats(-0.5, 2), positive, st.floats(0.1, 10))
def test_what_is_beyond_the_pace_is_what_it_brought(
    level: float, effect: float, rest: float, pace: float
) -> None:
    day = np.ones(10)
    after = level * pace * (1 + effect) * day
    found = brought(level * day, after, rest * day, rest * pace * day)
    assert found == pytest.approx(10 * level * pace * effect, rel=1e-6, abs=1e-5)


def test_where_there_is_nothing_to_compare_with_nothing_is_told() -> None:
    none = np.zeros(0)
    assert brought(none, none, none, none) is None
    assert brought(np.zeros(3), np.ones(3), np.ones(3), np.ones(3)) is None
    assert brought(np.ones(3), 2 * np.ones(3), np.zeros(3), np.zeros(3)) == 3.0
