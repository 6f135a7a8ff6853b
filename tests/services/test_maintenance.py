"""Costs of failures and services, against a slow sum over days and against thrown dice."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.services.maintenance import (
    Costs,
    Outlook,
    cumulated,
    hazards,
    outlook,
    outlooks,
    repairs_by_day,
    return_on,
    together,
    weeks,
    worth,
)

Floats = NDArray[np.float64]

HORIZONS = np.array([7.0, 14.0, 30.0])
WINDOW = 60


def costs(n: int, seed: int = 0, window: int = WINDOW) -> Costs:
    """Of n items in three classes."""
    random = np.random.default_rng(seed)
    return Costs(
        service_cents=random.uniform(500, 3_000, n),
        failure_cents=random.uniform(3_000, 20_000, n),
        service_days=random.choice([0.5, 1.0, 2.5], n),
        failure_days=random.uniform(1, 6, n),
        effect=random.uniform(0, 1, n),
        cls=random.integers(0, 3, n),
        lost_cents=random.uniform(0, 900, (3, window)),
    )


def chances(n: int, seed: int = 0) -> Floats:
    """Rising along the horizons."""
    return np.sort(np.random.default_rng(seed).beta(1.0, 6.0, (n, 3)), axis=1)


def rate_on(rates: list[float], day: int) -> float:
    """Of one item, failures on this day, from 0."""
    return rates[0] if day < 7 else rates[1] if day < 14 else rates[2] if day < 30 else rates[3]


def slow_cost(rates: list[float], of: Costs, i: int, service: int) -> float:
    """One item day by day; ``service`` -1: never."""
    lost, window = of.lost_cents[of.cls[i]], of.window_days
    failed = of.failure_cents[i] + of.failure_days[i] * sum(lost) / len(lost)
    later = (1 - of.effect[i]) * rates[3]
    alive, total = 1.0, 0.0
    for day in range(window):
        if day == service:
            away, left = 0.0, of.service_days[i]
            for ahead in range(4):
                away += max(min(left - ahead, 1.0), 0.0) * lost[min(day + ahead, window - 1)]
            return total + alive * (of.service_cents[i] + away + failed * later * (window - day))
        falls = alive * (1 - math.exp(-rate_on(rates, day)))
        total += falls * failed * (1 + later * (window - day - 0.5))
        alive -= falls
    return total


def test_costs_are_those_of_a_slow_sum_over_days() -> None:
    of, p = costs(12), chances(12)
    rates = hazards(p, HORIZONS)
    found = outlook(rates, HORIZONS, of, 20)
    for i in range(12):
        told = rates[i].tolist()
        assert found.never[i] == pytest.approx(slow_cost(told, of, i, -1))
        for day in (0, 1, 6, 7, 15, 19):
            assert found.service_on[i, day] == pytest.approx(slow_cost(told, of, i, day))


def test_costs_are_those_of_dice_thrown_many_times() -> None:
    of = costs(1, 4, 30)
    rates = hazards(np.array([[0.2, 0.4, 0.7]]), HORIZONS)
    found = outlook(rates, HORIZONS, of, 15)
    random = np.random.default_rng(9)
    lost = of.lost_cents[of.cls[0]]
    failed = float(of.failure_cents[0] + of.failure_days[0] * lost.mean())
    later = float((1 - of.effect[0]) * rates[0, 3])
    for service in (-1, 10):
        until = 30 if service < 0 else service
        totals = []
        for _ in range(20_000):
            day = next(
                (
                    d
                    for d in range(until)
                    if random.random() < -math.expm1(-rate_on(rates[0].tolist(), d))
                ),
                None,
            )
            if day is not None:
                totals.append(failed * (1 + random.poisson(later * (30 - day - random.random()))))
            elif service < 0:
                totals.append(0.0)
            else:
                away = found.away_on[0, service] / np.exp(
                    -cumulated(rates, HORIZONS, np.array([float(service)]))[0, 0]
                )
                totals.append(
                    of.service_cents[0] + away + failed * random.poisson(later * (30 - service))
                )
        expected = found.never[0] if service < 0 else found.service_on[0, service]
        assert np.mean(totals) == pytest.approx(expected, abs=4 * np.std(totals) / 141)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_rates_give_back_the_chances_they_were_made_of(told: list[float]) -> None:
    p = np.sort(np.array([told]), axis=1)
    rates = hazards(p, HORIZONS)
    assert (rates >= 0).all()
    back = -np.expm1(-cumulated(rates, HORIZONS, HORIZONS))
    assert back == pytest.approx(np.minimum(p, 0.999), abs=1e-9)
    at = cumulated(rates, HORIZONS, np.arange(0.0, 60.0))
    assert (np.diff(at) >= -1e-12).all()


def test_what_nobody_knows_is_no_failure() -> None:
    rates = hazards(np.array([[np.nan, np.nan, np.nan]]), HORIZONS)
    assert rates.tolist() == [[0.0, 0.0, 0.0, 0.0]]


def test_slices_give_what_the_whole_gives() -> None:
    of, p = costs(50), chances(50)
    whole = outlook(hazards(p, HORIZONS), HORIZONS, of, 10)
    gains = np.concatenate([part.gain for _, part in outlooks(p, HORIZONS, of, 10, rows=7)])
    assert gains == pytest.approx(whole.gain)


def test_a_service_without_effect_is_never_worth_it_and_one_with_effect_is_when_failures_cost() -> (
    None
):
    of = costs(20)
    of.effect[:] = 0.0
    rates = hazards(np.full((20, 3), 1 - np.exp(-0.01 * HORIZONS)), HORIZONS)
    assert (outlook(rates, HORIZONS, of, 10).gain < 0).all()
    of.effect[:] = 1.0
    of.failure_cents[:] = 1e6
    assert (outlook(rates, HORIZONS, of, 10).gain > 0).all()


def test_what_a_plan_is_worth_adds_up() -> None:
    of, p = costs(30), chances(30)
    found: Outlook = outlook(hazards(p, HORIZONS), HORIZONS, of, 12)
    never = worth(found, np.full(30, -1))
    assert never.cost_cents == pytest.approx(found.never.sum())
    assert never.service_cents == pytest.approx(0.0)
    day = np.where(found.gain.max(axis=1) > 0, found.gain.argmax(axis=1), -1)
    plan = worth(found, day)
    assert never.cost_cents - plan.cost_cents == pytest.approx(
        found.gain.max(axis=1)[day >= 0].sum()
    )
    assert plan.cost_cents == pytest.approx(plan.service_cents + plan.failure_cents)
    failed = of.failed_cents()
    planned = day >= 0
    failures = np.where(
        planned, found.failures_on[np.arange(30), np.maximum(day, 0)], found.failures
    )
    assert plan.failure_cents == pytest.approx((failed * failures).sum())
    both = together([plan, never])
    assert both.cost_cents == pytest.approx(plan.cost_cents + never.cost_cents)
    assert return_on(never, never) is None


def test_weeks_begin_on_monday_and_hold_every_planned_hour() -> None:
    day, crew = np.array([0, 0, 3, 9, -1]), np.array([0, 1, 0, 0, -1])
    hours = np.array([1.0, 2.0, 0.5, 4.0, 9.0])
    capacity = np.full((10, 2), 8.0)
    capacity[:, 1] = 2.0
    first = 20_414  # a Saturday: 2025-11-22
    found = weeks(
        first_day=first,
        day=day,
        crew=crew,
        hours=hours,
        crews=["north", "south"],
        capacity=capacity,
        repairs=np.full(10, 0.5),
        repair_hours=2.0,
    )
    assert [(w.start_day - first, w.crew) for w in found] == [
        (-5, "north"), (-5, "south"), (2, "north"), (2, "south"), (9, "north"), (9, "south")
    ]  # fmt: skip
    assert sum(w.planned_hours for w in found) == pytest.approx(7.5)
    assert [w.planned_hours for w in found] == [1.0, 2.0, 0.5, 0.0, 4.0, 0.0]
    assert sum(w.repair_hours for w in found) == pytest.approx(10.0)
    assert sum(w.capacity_hours for w in found) == pytest.approx(100.0)


def test_expected_repairs_a_day_add_up_to_the_chance_of_failing() -> None:
    rates = hazards(chances(40), HORIZONS)
    none = repairs_by_day(rates, HORIZONS, np.full(40, -1), np.full(40, 0.5), 30)
    assert none.sum() == pytest.approx(chances(40)[:, 2].sum())
    some = repairs_by_day(rates, HORIZONS, np.zeros(40, np.int64), np.full(40, 1.0), 30)
    assert some.sum() == pytest.approx(0.0)
