"""The plan of services: feasible, near the best there is, and never above its own bound."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import lil_matrix

from edge.services.schedule import Assignment, assign, fixed_intervals

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def brute_force(gain: Floats, hours: Floats, may: Mask, capacity: Floats) -> float:
    """Every item in every slot or in none."""
    days, n = gain.shape
    slots = [(-1, -1), *product(range(days), range(capacity.shape[1]))]
    best = 0.0
    for choice in product(slots, repeat=n):
        left, total = capacity.copy(), 0.0
        for i, (d, c) in enumerate(choice):
            if d >= 0:
                left[d, c] -= hours[i]
                total += gain[d, i] if may[i, c] else -np.inf
        if (left >= -1e-9).all():
            best = max(best, total)
    return best


def exact(gain: Floats, hours: Floats, may: Mask, capacity: Floats) -> float:
    """The same by branch and cut, for more items."""
    days, n = gain.shape
    crews = capacity.shape[1]
    worth = np.repeat(gain[:, :, None], crews, axis=2)
    allowed = np.isfinite(worth) & may[None] & (worth > 0)
    index = np.arange(worth.size).reshape(worth.shape)
    rows = lil_matrix((n + days * crews, worth.size))
    for i in range(n):
        rows[i, index[:, i, :].ravel()] = 1
    for d, c in product(range(days), range(crews)):
        rows[n + d * crews + c, index[d, :, c]] = hours
    found = milp(
        -np.where(allowed, worth, 0.0).ravel(),
        constraints=LinearConstraint(
            rows.tocsr(), -np.inf, np.concatenate([np.ones(n), capacity.ravel()])
        ),
        integrality=np.ones(worth.size),
        bounds=Bounds(0, allowed.astype(float).ravel()),
        options={"mip_rel_gap": 1e-6},
    )
    return float(-found.fun)


def check(found: Assignment, gain: Floats, hours: Floats, may: Mask, capacity: Floats) -> None:
    """No crew works longer than it may, nobody does what it cannot, and the sum is right."""
    planned = np.flatnonzero(found.day >= 0)
    assert ((found.day >= 0) == (found.crew >= 0)).all()
    assert may[planned, found.crew[planned]].all()
    for d, c in product(range(capacity.shape[0]), range(capacity.shape[1])):
        there = (found.day == d) & (found.crew == c)
        assert hours[there].sum() <= max(capacity[d, c], 0.0) + 1e-6
    each = gain[found.day[planned], planned]
    assert (each > 0).all()
    assert found.gain == pytest.approx(each.sum())
    assert found.gain <= found.bound + 1e-6


def case(seed: int, n: int, days: int, crews: int) -> tuple[Floats, Floats, Mask, Floats]:
    """Some items gain by a service, some lose; some days are short of hours, some crews unfit."""
    random = np.random.default_rng(seed)
    gain = random.normal(20.0, 40.0, (days, n))
    gain[random.random((days, n)) < 0.1] = -np.inf
    hours = random.choice([0.5, 1.0, 1.5, 2.0, 3.0], n)
    capacity = random.choice([0.0, 1.0, 2.0, 4.0], (days, crews))
    return gain, hours, random.random((n, crews)) < 0.8, capacity


def test_small_plans_are_as_good_as_trying_everything() -> None:
    found, best = [], []
    for seed in range(40):
        problem = case(seed, 5, 2, 1 + seed % 2)
        made = assign(*problem)
        check(made, *problem)
        optimum = brute_force(*problem)
        assert optimum <= made.bound + 1e-6
        found.append(made.gain)
        best.append(optimum)
    assert sum(found) >= 0.995 * sum(best)
    assert np.mean(np.isclose(found, best)) >= 0.9


@pytest.mark.parametrize(("n", "days", "crews"), [(30, 5, 1), (60, 7, 2), (200, 10, 2)])
def test_larger_plans_are_within_three_percent_of_the_best(n: int, days: int, crews: int) -> None:
    found, best = 0.0, 0.0
    for seed in range(3):
        gain, hours, may, capacity = case(seed, n, days, crews)
        capacity = capacity * 2.0
        made = assign(gain, hours, may, capacity)
        check(made, gain, hours, may, capacity)
        optimum = exact(gain, hours, may, capacity)
        assert made.gain <= optimum * (1 + 1e-5) <= made.bound * (1 + 2e-5)
        found, best = found + made.gain, best + optimum
    assert found >= 0.97 * best


def test_where_all_services_take_as_long_the_plan_is_the_optimal_assignment() -> None:
    random = np.random.default_rng(5)
    gain, capacity = random.lognormal(3.0, 1.0, (6, 60)), np.full((6, 1), 4.0)
    made = assign(gain, np.ones(60), np.ones((60, 1), np.bool_), capacity)
    slots = np.repeat(gain, 4, axis=0)
    rows, columns = linear_sum_assignment(slots, maximize=True)
    best = float(slots[rows, columns].sum())
    assert 0.998 * best <= made.gain <= best + 1e-6
    assert made.bound <= 1.01 * best


def test_many_items_come_close_to_the_bound() -> None:
    random = np.random.default_rng(6)
    gain = random.lognormal(6.0, 1.5, 5_000)[None] - 800.0 * random.random((10, 1))
    hours, may = random.choice([0.25, 0.5, 1.0, 2.0], 5_000), np.ones((5_000, 2), np.bool_)
    capacity = np.full((10, 2), 8.0)
    made = assign(gain, hours, may, capacity)
    check(made, gain, hours, may, capacity)
    assert made.gain >= 0.99 * made.bound


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 12), st.integers(1, 4), st.integers(1, 3))
def test_no_plan_breaks_a_rule(seed: int, n: int, days: int, crews: int) -> None:
    problem = case(seed, n, days, crews)
    check(assign(*problem), *problem)


def test_with_hours_for_all_everyone_has_the_best_day() -> None:
    gain, hours, may, _ = case(3, 50, 6, 1)
    may[:] = True
    made = assign(gain, hours, may, np.full((6, 1), 1e3))
    best = gain.max(axis=0)
    assert made.gain == pytest.approx(best[best > 0].sum())
    assert made.bound == pytest.approx(made.gain)


def test_without_hours_nothing_is_planned() -> None:
    gain, hours, may, capacity = case(3, 50, 6, 2)
    made = assign(gain, hours, may, capacity * 0.0)
    assert (made.day == -1).all()
    assert made.gain == made.bound == 0.0


def test_the_calendar_serves_who_is_longest_overdue() -> None:
    due: Any = np.array([2.0, -5.0, 0.0, np.nan, 40.0])
    may = np.ones((5, 1), np.bool_)
    day, crew = fixed_intervals(
        due, np.ones(5), may, np.full((4, 1), 1.0), np.array([0, 0, 0, 0, 0])
    )
    assert day.tolist() == [2, 0, 1, -1, -1]
    assert crew.tolist() == [0, 0, 0, -1, -1] or crew[day >= 0].tolist() == [0, 0, 0]


def test_the_calendar_waits_for_items_that_are_out() -> None:
    day, _ = fixed_intervals(
        np.array([-3.0]),
        np.ones(1),
        np.ones((1, 1), np.bool_),
        np.full((4, 1), 1.0),
        np.array([2]),
    )
    assert day.tolist() == [2]
