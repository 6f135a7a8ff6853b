"""Figures against published examples.

The numbers are those that the documentation of stockpyl 1.0 (Snyder, https://stockpyl.readthedocs.io)
gives for examples of Snyder & Shen, Fundamentals of Supply Chain Theory, 2nd ed. (2019); Erlang's
table is the classical one (Erlang 1917, as in ITU-T E.520).
"""

import numpy as np
import pytest

from edge.services import counts, eoq, fleet, newsvendor, reorder


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


K, H, RATE = column(8.0), column(0.225), column(1300.0)


def test_economic_order_quantity_example_3_1() -> None:
    units = eoq.quantity(K, H, RATE)
    assert units[0] == pytest.approx(304.0467800264368)
    assert eoq.cost(units, K, H, RATE)[0] == pytest.approx(68.41052550594829)


def test_economic_order_quantity_with_backorders_example_3_8() -> None:
    units, waits, cost = eoq.with_backorders(K, H, column(5.0), RATE)
    assert units[0] == pytest.approx(310.81255515896464)
    assert waits[0] == pytest.approx(0.0430622009569378)
    assert cost[0] == pytest.approx(66.92136355097325)


def test_economic_order_quantity_with_discounts() -> None:
    found = eoq.with_discounts(200.0, 0.20, 1000.0, column(0, 200, 500), column(500, 475, 450))
    assert found == (500.0, 2, pytest.approx(472_900.0))


def test_newsvendor_of_normal_demand_example_4_3() -> None:
    units, cost = newsvendor.of_normal(column(0.18), column(0.70), column(50.0), column(8.0))
    assert units[0] == pytest.approx(56.60395592743389)
    assert cost[0] == pytest.approx(1.9976051931766445)


def test_newsvendor_of_poisson_demand() -> None:
    units, cost = newsvendor.of_counts(column(0.18), column(0.70), column(50.0), column(50.0))
    assert units[0] == 56
    assert cost[0] == pytest.approx(1.797235211809178)
    cost = newsvendor.cost_of_counts(units, column(0.18), column(0.70), column(50.0), column(50.0))
    assert cost[0] == pytest.approx(1.797235211809178)


def test_newsvendor_of_discrete_demand_example_4_7() -> None:
    chances = dict(enumerate(np.exp(-6.0) * np.cumprod([1.0, *(6.0 / n for n in range(1, 41))])))
    units, cost = newsvendor.of_table(1.0, 4.0, {float(n): float(p) for n, p in chances.items()})
    assert units == 8
    assert cost == pytest.approx(3.5701069457709416, abs=1e-6)
    found, same = newsvendor.of_counts(column(1.0), column(4.0), column(6.0), column(6.0))
    assert (found[0], same[0]) == (8, pytest.approx(3.5701069457709416))
    five = newsvendor.cost_of_counts(column(5.0), column(1), column(4), column(6.0), column(6.0))
    assert five[0] == pytest.approx(6.590296024616343)


def test_newsvendor_with_price_cost_and_salvage_example_4_2() -> None:
    """``newsvendor_poisson_explicit(1, 0.3, 0.12, 50)``: price 1, cost 0.3, salvage 0.12."""
    units, profit = newsvendor.for_once(
        column(1.0), column(0.3), column(0.12), column(50.0), column(50.0)
    )
    assert units[0] == 56
    assert profit[0] == pytest.approx(33.20276478819082)


def test_base_stock_level_with_a_lead_time_example_4_3() -> None:
    """``newsvendor_normal(0.18, 0.70, 50, 8, lead_time=4)``: five periods to be covered."""
    spans = 5.0
    units, cost = newsvendor.of_normal(
        column(0.18), column(0.70), column(50.0 * spans), column(8.0 * spans**0.5)
    )
    assert units[0] == pytest.approx(264.76689437415484)
    assert cost[0] == pytest.approx(4.466781004149577)
    counted, _ = newsvendor.base_stock(
        column(0.18), column(0.70), column(50.0), column(64.0), column(4.0), column(1.0)
    )
    assert counted[0] == pytest.approx(265, abs=1)


def test_reorder_point_and_quantity_of_poisson_demand_example_5_8() -> None:
    best = reorder.best_pair(20, 150, 100, 1.5, 3.0, 3.0)
    assert (best.reorder_point, best.units) == (3, 5)
    assert best.cost == pytest.approx(107.92358063314975)
    assert reorder.pair_cost(3, 5, 20, 150, 100, 1.5, 3.0, 3.0) == pytest.approx(best.cost)


def test_reorder_point_beside_an_economic_quantity_example_5_5() -> None:
    """``r_q_eoqss_approximation(0.225, 7.5, 8, 1300, 150, 1/12)``."""
    mean, deviation = 1300 / 12, 150 / 12**0.5
    level = float(newsvendor.ratio(column(0.225), column(7.5))[0])
    assert mean + counts.z_of(level) * deviation == pytest.approx(190.3369965715624)
    # counts of the same moments: the next whole unit, a little higher for the longer tail
    counted = reorder.point(column(mean), column(deviation**2), level)[0]
    assert 190 <= counted <= 205


@pytest.mark.parametrize(
    ("units", "offered", "lost"),
    [(1, 0.0101, 0.01), (5, 1.361, 0.01), (10, 4.461, 0.01), (20, 12.03, 0.01), (10, 6.216, 0.05)],
)
def test_erlangs_table(units: int, offered: float, lost: float) -> None:
    assert fleet.erlang_b(column(units), column(offered))[0] == pytest.approx(lost, rel=2e-3)
    assert fleet.size(column(offered * 0.999), 1 - lost)[0] == units
