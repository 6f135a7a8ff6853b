"""Reorder points, quantities and fill rates against simulated stock and against trying everything."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.services import counts, eoq, newsvendor, reorder


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def simulated(point: int, units: int, rate: float, lead: int, days: int) -> tuple[float, float]:
    """(share of cycles without shortage, share of units served at once) of stock run day by day."""
    rng = np.random.default_rng(7)
    demand = rng.poisson(rate, days)
    on_hand, due = point + units, {}
    asked = served = cycles = bad = 0
    short_since_order = False
    for day in range(days):
        arrived = due.pop(day, 0)
        if arrived:
            cycles += 1
            bad += short_since_order
            short_since_order = False
        on_hand += arrived
        asked += demand[day]
        served += min(max(on_hand, 0), demand[day])
        on_hand -= demand[day]
        short_since_order |= on_hand < 0
        while on_hand + sum(due.values()) <= point:
            due[day + lead + 1] = due.get(day + lead + 1, 0) + units
    return 1 - bad / cycles, served / asked


def test_a_reorder_point_keeps_its_service_level_when_simulated() -> None:
    rate, lead, units = 2.0, 7, 60
    mean = rate * (lead + 1)  # looked at once a day
    point = int(reorder.point(column(mean), column(mean), 0.95)[0])
    cycles, _ = simulated(point, units, rate, lead, 120_000)
    assert 0.94 < cycles < 0.98
    too_low, _ = simulated(point - 4, units, rate, lead, 120_000)
    assert too_low < 0.95


def test_a_fill_rate_is_what_a_simulation_serves() -> None:
    rate, lead = 2.0, 7
    mean = rate * (lead + 0.5)  # an order is placed half a day after it was due, on average
    for point, units in ((12, 20), (16, 40), (20, 30)):
        told = reorder.fill_rate(column(point), column(units), column(mean), column(mean))[0]
        _, served = simulated(point, units, rate, lead, 120_000)
        assert abs(told - served) < 0.02, (point, units)


@settings(max_examples=12, deadline=None)
@given(
    st.floats(0.5, 20.0), st.floats(5.0, 80.0), st.floats(5.0, 150.0), st.floats(0.3, 3.0), st.floats(0.5, 6.0)
)  # fmt: skip
def test_the_cheapest_pair_is_found_as_if_all_were_tried(
    holding: float, penalty: float, order: float, rate: float, mean: float
) -> None:
    variance = 1.5 * mean
    best = reorder.best_pair(holding, penalty, order, rate, mean, variance)
    tried = min(
        reorder.pair_cost(r, q, holding, penalty, order, rate, mean, variance)
        for r in range(max(best.reorder_point - 6, -3), best.reorder_point + 7)
        for q in range(max(best.units - 8, 1), best.units + 9)
    )
    assert best.cost <= tried + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    st.floats(1, 50), st.floats(0.01, 5), st.floats(0.05, 40), st.integers(1, 24), st.integers(0, 60)
)  # fmt: skip
def test_whole_packs_are_the_cheapest_that_are_allowed(
    order: float, holding: float, rate: float, pack: int, least: int
) -> None:
    most = 500.0
    found = eoq.best_packs(
        column(order), column(holding), column(rate), column(pack), column(least), column(most)
    )[0]
    allowed = [n * pack for n in range(1, 4000) if n * pack <= most or n == 1]
    cost = {u: order * rate / u + holding * u / 2 for u in allowed}
    best = min(cost, key=cost.__getitem__)
    wanted = max(math.ceil(max(best, least) / pack) * pack, pack)
    assert found == wanted or cost.get(int(found), 0) == pytest.approx(cost[best])


@settings(max_examples=40, deadline=None)
@given(st.floats(0.1, 5), st.floats(0.1, 20), st.floats(0.2, 40), st.floats(0, 4))
def test_a_newsvendors_level_costs_least(
    holding: float, penalty: float, mean: float, over: float
) -> None:
    args = column(holding), column(penalty), column(mean), column(mean * (1 + over))
    units, cost = newsvendor.of_counts(*args)
    for other in range(max(int(units[0]) - 3, 0), int(units[0]) + 4):
        assert cost[0] <= newsvendor.cost_of_counts(column(other), *args)[0] + 1e-7


def test_what_earns_nothing_is_not_bought_for_once() -> None:
    units, profit = newsvendor.for_once(
        column(1.0, 2.0), column(1.0, 1.0), column(0.0, 1.0), column(9.0, 9.0), column(9.0, 9.0)
    )
    assert (units[0], profit[0]) == (0, 0)
    assert units[1] == counts.quantile(column(9.0), column(9.0), newsvendor.MOST)[0]


def test_orders_up_to_a_level_wait_longer_the_slower_the_supplier() -> None:
    quick, _ = newsvendor.base_stock(*(column(v) for v in (1, 9, 2.0, 3.0, 2, 1)))
    slow, _ = newsvendor.base_stock(*(column(v) for v in (1, 9, 2.0, 3.0, 9, 1)))
    assert slow[0] > quick[0]
    assert quick[0] == counts.quantile(column(6.0), column(9.0), 0.9)[0]


# -- the simple rule -------------------------------------------------------------------------------------


def test_the_simple_rule_is_seed_fours() -> None:
    """By hand: mean 3, deviation 1.0056; 1.645 x 1.0056 x sqrt(7) = 4.38 -> 5; 21 + 5 = 26."""
    found = reorder.simple([2, 4] * 45, 7, order_cost=5.0, holding_a_year=2.0)
    assert (found.reorder_point, found.safety_stock, found.eoq) == (26, 5, 74)
    points, safety = reorder.simple_points(
        column(3.0), column(found.daily_deviation**2), column(7.0), 0.95
    )
    assert (points[0], safety[0]) == (26, 5)


def test_the_simple_rule_looks_at_ninety_days_and_knows_when_there_are_none() -> None:
    assert reorder.simple([1000] * 10 + [1] * 90, 7, 1.0, 1.0).daily_mean == 1.0
    empty = reorder.simple([], 7, 1.0, 1.0)
    assert (empty.reorder_point, empty.safety_stock, empty.eoq) == (0, 0, 0)
    assert reorder.simple([1, 2], 7, 1.0, 0.0).eoq == 0  # keeping costs nothing: no best quantity


@pytest.mark.parametrize("mean", [3.0, 499.0, 501.0, 2_000.0, 9_000.0])
@pytest.mark.parametrize("ratio", [1.0, 4.0])
def test_shortages_of_one_distribution_are_those_of_columns(mean: float, ratio: float) -> None:
    levels = np.arange(-50.0, mean + 12 * math.sqrt(mean * ratio))
    ones = np.ones(len(levels))
    asked = counts.shortage(mean * ones, mean * ratio * ones, levels)
    found = reorder._shortages(levels, mean, mean * ratio)
    assert found == pytest.approx(asked, abs=1e-5)
