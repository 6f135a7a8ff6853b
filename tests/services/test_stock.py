"""Where stock stands, when it runs out, how it has done, and what repairs will be."""

import math

import numpy as np
import pytest

from edge.services import repairs, stock_performance, stock_position
from edge.services.lead_time import KNOTS, Curve
from edge.services.stock_position import Position


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def poisson(*rates: float) -> Curve:
    mean = np.array(rates)[:, None] * np.array(KNOTS, np.float64)
    return Curve(mean, mean)


def runs(rate: float, stock: int, arrivals: dict[int, int], seed: int = 1) -> np.ndarray:
    """By which day nothing is left, of many shops; 10**6: never within 200 days."""
    rng = np.random.default_rng(seed)
    left = np.full(20_000, stock)
    gone = np.full(20_000, 10**6)
    for day in range(1, 201):
        left = left - rng.poisson(rate, 20_000)
        gone = np.where((left <= 0) & (gone == 10**6), day, gone)
        left = left + arrivals.get(day, 0)
    return gone


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.9])
def test_stock_runs_out_when_simulated_shops_run_out(chance: float) -> None:
    gone = np.sort(runs(1.5, 30, {}))
    found = stock_position.run_out(poisson(1.5), column(30), [], chance)[0]
    assert abs(found - gone[int(chance * len(gone))]) <= 1


def test_the_last_unit_is_gone_once_one_is_asked_for() -> None:
    """1 - exp(-1) = 0.63 on the first day, 0.86 by the second, 0.95 by the third."""
    days = [stock_position.run_out(poisson(1.0), column(1), [], p)[0] for p in (0.6, 0.8, 0.9)]
    assert days == [1, 2, 3]


def test_what_is_on_its_way_puts_it_off_unless_it_comes_too_late() -> None:
    curve = poisson(1.5, 1.5, 1.5)
    days, units = column(10, 40, 10), column(30, 30, 0)
    found = stock_position.run_out(curve, column(30, 30, 30), [(days, units)], 0.5)
    assert found[0] == pytest.approx(np.median(runs(1.5, 30, {10: 30})), abs=1)
    assert found[1] == found[2] == pytest.approx(np.median(runs(1.5, 30, {})), abs=1)


def test_nothing_left_is_gone_today_and_nothing_asked_for_never() -> None:
    found = stock_position.run_out(poisson(1.0, 0.0, 1e-4), column(0, 5, 50), [], 0.5)
    assert found[0] == 0
    assert np.isnan(found[1])
    assert np.isnan(found[2])


def test_the_position_is_what_is_here_and_coming_less_what_is_promised() -> None:
    now = Position(column(5), column(2), column(1), column(3), column(10))
    assert now.available[0] == 2
    assert now.position[0] == 12


def test_the_chance_of_running_short_grows_with_the_lead_time() -> None:
    curve = poisson(1.0, 1.0, 1.0)
    short = stock_position.short_before(
        curve, column(10, 10, -1), column(7, 14, 7), column(0, 0, 0)
    )
    assert short[0] < short[1] < 1
    assert short[2] == 1
    wide = stock_position.short_before(curve, column(10, 10, 10), column(7, 7, 7), column(0, 2, 4))
    assert (np.diff(wide) > 0).all()


# -- how it has done --------------------------------------------------------------------------------------


def test_a_busy_day_that_ended_without_stock_lost_what_busier_days_asked_for() -> None:
    """It served six; the three days with stock that asked for as much asked for three more on the mean."""
    sold = np.array([2.0, 1, 9, 8, 2, 3, 1, 10, 6])[:, None]
    empty = np.zeros_like(sold)
    empty[-1] = 1.0
    found = stock_performance.measure(
        sold, 0 * sold, 0 * sold, np.maximum(20 - 20 * empty, 0), 0 * sold, empty
    )
    assert found.lost[0] == pytest.approx((3 + 2 + 4) / 3)
    assert found.fill_rate[0] < 1.0


def test_turns_fill_rate_and_stock_outs_of_a_span() -> None:
    n = 10
    sold = np.array([4.0] * 8 + [0.0, 2.0])[:, None]
    on_hand = np.array([20.0] * 8 + [0.0, 0.0])[:, None]
    empty = (on_hand <= 0).astype(float)
    zero = np.zeros((n, 1))
    found = stock_performance.measure(sold, zero, 100 * sold, on_hand, zero, empty)
    assert found.days[0] == 10
    assert found.turns[0] == pytest.approx(34 * 365 / 10 / 16)
    assert found.empty_days[0] == 2
    assert found.in_stock[0] == pytest.approx(0.8)
    assert found.lost[0] == pytest.approx(4 + 2)  # four a day would have gone
    assert found.fill_rate[0] == pytest.approx(34 / 40)
    assert found.revenue_cents[0] == 3400


def test_what_is_only_rented_has_no_turns() -> None:
    two, zero = np.full((5, 2), 2.0), np.zeros((5, 2))
    sold = two * [[0.0, 1.0]]
    found = stock_performance.measure(sold, two, zero, 10 * two, two, zero)
    assert np.isnan(found.turns[0])
    assert found.turns[1] == pytest.approx(2 * 365 / 20)


def test_days_that_nobody_saw_do_not_count() -> None:
    sold = np.array([[4.0], [np.nan], [4.0]])
    seen = np.array([[20.0], [np.nan], [20.0]])
    zero = np.zeros((3, 1))
    found = stock_performance.measure(sold, zero, zero, seen, zero, zero)
    assert found.days[0] == 2
    assert found.sold[0] == 8
    none = np.full((3, 1), np.nan)
    empty = stock_performance.measure(none, none, none, none, none, none)
    assert empty.days[0] == 0
    assert np.isnan(empty.fill_rate[0])
    assert np.isnan(empty.turns[0])


def test_utilisation_is_what_is_out_of_what_is_owned() -> None:
    found = stock_performance.measure(
        np.zeros((4, 1)), np.full((4, 1), 1.0), np.zeros((4, 1)), np.full((4, 1), 6.0),
        np.full((4, 1), 2.0), np.zeros((4, 1)),
    )  # fmt: skip
    assert found.utilisation[0] == 0.25
    assert found.rentals_a_unit[0] == pytest.approx(365 / 8)


def test_slow_movers_are_long_lasting_and_idle() -> None:
    found = stock_performance.slow_movers(
        on_hand=column(100, 100, 10, 0, 50),
        rate=column(0.1, 0.1, 1.0, 0.0, 0.0),
        idle_days=column(60, 3, 60, 60, np.nan),
        cost_cents=column(200, 200, 200, 200, np.nan),
        holding_rate=0.25,
        keep_days=182,
        idle_days_min=30,
    )
    assert found.slow.tolist() == [True, False, False, False, True]
    assert found.excess[0] == pytest.approx(100 - 18.2)
    assert found.holding_cents[0] == pytest.approx((100 - 18.2) * 200 / 4)
    assert math.isinf(found.cover_days[4])
    assert np.isnan(found.tied_cents[4])


# -- repairs -------------------------------------------------------------------------------------------------


def test_repairs_are_the_sum_of_every_items_chance() -> None:
    rng = np.random.default_rng(1)
    chances = np.sort(rng.uniform(0, 0.3, (400, 3)), axis=1)
    group = np.where(np.arange(400) < 300, 0, 1)
    group[7] = -1
    found = repairs.expected(chances, group, 2)
    assert found.expected[0, 0] == pytest.approx(chances[group == 0, 0].sum())
    drawn = (rng.random((4000, 300)) < np.append(chances[group == 0, 0], 0)).sum(axis=1)
    assert (drawn <= found.high[0, 0]).mean() >= 0.9
    assert (drawn >= found.low[0, 0]).mean() >= 0.9
    assert found.expected.shape == (2, repairs.WEEKS)


def test_chances_that_are_not_there_bring_no_repairs() -> None:
    assert repairs.weekly(np.array([[np.nan, np.nan, np.nan], [0.5, 0.4, 0.3]])).tolist() == [
        [0, 0, 0, 0],
        [0.5, 0, 0, 0],
    ]
