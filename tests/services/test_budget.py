"""What is bought under a budget against trying every choice."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.services import budget

MONEY = st.integers(1, 30).map(float)


def best(cost: np.ndarray, gain: np.ndarray, money: float) -> float:
    """Most that any choice of first steps gains."""
    choices = [range(int(np.isfinite(row).sum()) + 1) for row in cost]
    most = 0.0
    for taken in itertools.product(*choices):
        spent = sum(cost[i, :n].sum() for i, n in enumerate(taken))
        if spent <= money:
            most = max(most, sum(gain[i, :n].sum() for i, n in enumerate(taken)))
    return most


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(MONEY, st.integers(-5, 30).map(float)), min_size=1, max_size=3),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 150).map(float),
)
def test_the_gain_lacks_at_most_what_one_step_more_would_bring(
    classes: list[list[tuple[float, float]]], money: float
) -> None:
    cost, gain = np.full((len(classes), 3), np.nan), np.full((len(classes), 3), np.nan)
    for i, steps in enumerate(classes):
        steps = sorted(steps, key=lambda s: -s[1] / s[0])  # returns fall, as they do
        for j, (price, profit) in enumerate(steps):
            cost[i, j], gain[i, j] = price, profit
    share = budget.allocate(cost, gain, money)
    assert share.spent.sum() <= money + 1e-9
    largest = max((g for g in gain.ravel() if g == g), default=0.0)
    assert share.gain.sum() >= best(cost, gain, money) - max(largest, 0.0) - 1e-9
    for i, n in enumerate(share.steps):
        assert share.spent[i] == cost[i, :n].sum()
        assert share.gain[i] == gain[i, :n].sum()


def test_with_money_enough_everything_that_pays_is_bought() -> None:
    cost = np.array([[10.0, 10.0, np.nan], [5.0, 5.0, 5.0]])
    gain = np.array([[9.0, 1.0, np.nan], [4.0, -1.0, -2.0]])
    share = budget.allocate(cost, gain, 1e9)
    assert share.steps.tolist() == [2, 1]
    assert not share.cut.any()


def test_a_good_step_is_not_hidden_behind_a_dear_first_one() -> None:
    cost = np.array([[10.0, 1.0], [10.0, np.nan]])
    gain = np.array([[-2.0, 30.0], [5.0, np.nan]])
    share = budget.allocate(cost, gain, 11.0)
    assert share.steps.tolist() == [2, 0]
    assert share.cut.tolist() == [False, True]


def test_without_money_nothing_is_bought() -> None:
    share = budget.allocate(np.array([[3.0]]), np.array([[9.0]]), 0.0)
    assert share.steps.tolist() == [0]
    assert share.cut.tolist() == [True]
