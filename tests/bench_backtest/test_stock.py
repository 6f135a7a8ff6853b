"""Stock by hand: every unit held and every unit waiting is counted once. No forecasts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.backtest import stock


def by_hand(targets: list[float], demand: list[float]) -> float:
    """One part, one month after the other, with a list of what is on its way."""
    on_hand, waiting, coming, cost = targets[0], 0.0, {}, 0.0
    for month, (target, wanted) in enumerate(zip(targets, demand, strict=True)):
        on_hand += coming.pop(month, 0.0)
        served = min(on_hand, waiting)
        on_hand, waiting = on_hand - served, waiting - served
        position = on_hand - waiting + sum(coming.values())
        if target > position:
            coming[month + stock.LEAD_STEPS] = target - position
        served = min(on_hand, wanted)
        on_hand, waiting = on_hand - served, waiting + wanted - served
        cost += stock.HOLDING * on_hand + stock.BACKORDER * waiting
    return cost / len(demand)


@given(
    st.lists(
        st.tuples(st.integers(0, 9).map(float), st.integers(0, 5).map(float)),
        min_size=1,
        max_size=12,
    )
)
def test_stock_costs_what_a_months_ledger_by_hand_says(months) -> None:
    targets, demand = [m[0] for m in months], [m[1] for m in months]
    found = stock.cost(np.array([targets]), np.array([demand]))
    assert found.total == pytest.approx(by_hand(targets, demand))


def test_no_stock_at_all_makes_every_unit_wait_for_the_lead_time() -> None:
    demand = np.array([[1.0, 0.0, 0.0, 0.0, 0.0]])
    found = stock.cost(np.zeros((1, 5)), demand)
    assert found.waiting * 5 == stock.LEAD_STEPS + 1
    assert found.held == 0.0


def test_a_part_given_up_costs_nothing_after_its_last_known_month() -> None:
    demand = np.array([[1.0, np.nan, np.nan], [1.0, 1.0, 1.0]])
    found = stock.cost(np.full((2, 3), 3.0), demand)
    assert found.held == pytest.approx((2 + 2 + 1 + 0) / 4)


def test_the_target_is_the_quantile_of_the_sum_over_months() -> None:
    chance = np.random.default_rng(1)
    levels = tuple(np.linspace(0.01, 0.99, 99))
    one = np.quantile(chance.gamma(2.0, 50.0, 100_000), levels)
    target = stock.order_up_to(np.tile(one, (1, 3, 1)), levels)
    expected = np.quantile(chance.gamma(2.0, 50.0, (100_000, 3)).sum(axis=1), stock.CRITICAL)
    assert target[0] == pytest.approx(expected, rel=0.04)


def test_nothing_foretold_asks_for_no_stock() -> None:
    assert stock.order_up_to(np.zeros((2, 3, len(stock.LEVELS))), stock.LEVELS).tolist() == [
        0.0,
        0.0,
    ]
