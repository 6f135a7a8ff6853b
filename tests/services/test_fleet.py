"""Fleets against a simulated shop that turns customers away."""

import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.services import fleet


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def simulated(units: int, rate: float, turn: float, requests: int, *, burst: int = 1, seed: int = 1, fixed: bool = False) -> float:  # fmt: skip
    """Share of requests that find no unit; ``burst`` come at once."""
    rng = np.random.default_rng(seed)
    now, out, lost = 0.0, [], 0
    gaps = rng.exponential(burst / rate, requests // burst)
    stays = rng.exponential(turn, requests) if not fixed else np.full(requests, turn)
    told = 0
    for gap in gaps.tolist():
        now += gap
        while out and out[0] <= now:
            heapq.heappop(out)
        for _ in range(burst):
            told += 1
            if len(out) >= units:
                lost += 1
            else:
                heapq.heappush(out, now + float(stays[told - 1]))
    return lost / told


@pytest.mark.parametrize("fixed", [False, True])
def test_the_share_lost_is_erlangs_whatever_rentals_last(fixed: bool) -> None:
    seen = simulated(9, 2.0, 3.5, 200_000, fixed=fixed)
    assert abs(fleet.lost(column(9), column(7.0))[0] - seen) < 0.006


def test_bursts_lose_more_and_the_approximation_says_so() -> None:
    """Batches of b of exponential stays have peakedness 1 + (b - 1) / 2."""
    seen = simulated(14, 2.0, 3.5, 200_000, burst=3)
    plain = fleet.lost(column(14), column(7.0))[0]
    told = fleet.lost(column(14), column(7.0), column(2.0))[0]
    assert seen > 3 * plain
    assert abs(told - seen) < 0.02


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 120), st.floats(0.01, 100.0))
def test_erlangs_b_by_the_recursion_one_learns(units: int, offered: float) -> None:
    share = 1.0
    for n in range(1, units + 1):
        share = offered * share / (n + offered * share)
    assert math.isclose(
        fleet.erlang_b(column(units), column(offered))[0], share, rel_tol=1e-5, abs_tol=1e-300
    )


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 60.0), st.floats(0.5, 0.995), st.floats(1.0, 5.0))
def test_a_fleet_is_the_smallest_that_serves(offered: float, level: float, bursty: float) -> None:
    units = fleet.size(column(offered), level, bursty)
    assert fleet.lost(units, column(offered), bursty)[0] <= 1 - level + 1e-9
    assert units[0] == 0 or fleet.lost(units - 1, column(offered), bursty)[0] > 1 - level - 1e-9


def test_each_unit_more_earns_less_than_the_one_before() -> None:
    gains = fleet.unit_gain(column(4), column(7.0), column(1.5), column(2.0), column(5000.0), 12)
    assert (np.diff(gains[0]) <= 1e-9).all()
    served = fleet.lost(column(4), column(7.0), 1.5) - fleet.lost(column(16), column(7.0), 1.5)
    assert math.isclose(gains.sum(), float(served[0]) * 2.0 * 5000.0)


def test_what_was_turned_away_is_found_again() -> None:
    rate = 2.0
    served = rate * (1 - fleet.lost(column(5), column(7.0)))
    found = fleet.true_rate(served, column(5), column(3.5))
    assert found[0] == pytest.approx(rate, rel=3e-3)
    assert fleet.true_rate(column(1.0), column(0), column(3.0))[0] == fleet.MOST_HIDDEN


def test_requests_at_random_are_not_bursty_and_weekends_are() -> None:
    rng = np.random.default_rng(2)
    even = rng.poisson(2.0, (364, 60)).astype(float)
    weekend = np.tile([0, 0, 0, 0, 0, 1, 0], 52)[:, None] * rng.poisson(14.0, (364, 60))
    turn = np.full(60, 2.0)
    assert abs(fleet.peakedness(even, turn).mean() - 1) < 0.15
    assert fleet.peakedness(weekend.astype(float), turn).mean() > 5
    assert fleet.peakedness(np.full((3, 1), np.nan), np.array([np.nan]))[0] == 1


def test_an_infinite_fleet_needs_about_as_many() -> None:
    lossy = fleet.size(column(7.0), 0.95)[0]
    watched = fleet.occupied_quantile(column(7.0), 0.95)[0]
    assert (lossy, watched) == (11, 12)


def test_turn_time_is_what_is_away_over_what_goes_out() -> None:
    found = fleet.turn_days(
        column(6, 0, 0), column(1, 0, 0), column(2, 0, 0), column(np.nan, 2.5, np.nan)
    )
    assert found[0] == 3.5
    assert found[1] == 2.5
    assert np.isnan(found[2])


def test_a_class_that_nobody_asks_for_needs_no_fleet() -> None:
    assert fleet.size(column(0.0, np.nan), 0.95).tolist() == [0, 0]
    assert fleet.lost(column(3), column(0.0))[0] == 0


def test_what_is_in_service_is_the_mean_of_the_days_whatever_is_washed_just_now() -> None:
    rng = np.random.default_rng(5)
    washed = rng.integers(0, 4, 90).astype(float)
    closed, owned = (20.0 - washed)[:, None], np.array([20.0])
    for now in (0.0, 3.0):
        found = fleet.in_service(closed, owned, np.array([now]))
        assert found[0] == pytest.approx(washed.mean(), abs=0.1)
    always = fleet.in_service(closed - 2.0, owned, np.array([3.0]))
    assert always[0] == pytest.approx(washed.mean() + 2.0, abs=0.1)
    bought = fleet.in_service(closed, owned + 15.0, np.array([1.0]))
    assert bought[0] <= washed.mean() + 1.0  # what came yesterday was not in the wash before
    nobody = np.full((90, 1), np.nan)
    assert fleet.in_service(nobody, owned, np.array([4.0]))[0] == 4.0


def test_a_fleet_that_ran_out_is_not_told_that_it_hardly_does() -> None:
    held, offered, turn = np.array([20.0, 20.0]), np.array([10.0, 10.0]), np.array([2.0, 2.0])
    plain, seen = np.ones(2), np.array([0.15, 0.0])
    bursty = fleet.bursty_enough(held, offered, seen, np.array([1e6, 90.0]), turn, plain)
    assert fleet.lost(held, offered, plain)[0] < 0.01
    assert fleet.lost(held, offered, bursty)[0] == pytest.approx(0.15, abs=0.01)
    assert bursty[1] == 1.0
    few = fleet.bursty_enough(held, offered, seen, np.array([4.0, 90.0]), turn, plain)
    assert 1.0 < few[0] < bursty[0]  # two turn times say little
