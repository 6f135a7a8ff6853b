"""Costs of failures and services, against a slow sum over days and against items that live by dice."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.services.maintenance import (
    Costs,
    Fresh,
    Outlook,
    aged,
    beats,
    compared,
    cumulated,
    due_days,
    failures_until,
    half_failed,
    hazards,
    lessened,
    outlook,
    outlooks,
    renewals,
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
        cls=random.integers(0, 3, n),
        lost_cents=random.uniform(0, 900, (3, window)),
    )


def chances(n: int, seed: int = 0) -> Floats:
    """Rising along the horizons."""
    return np.sort(np.random.default_rng(seed).beta(1.0, 6.0, (n, 3)), axis=1)


def rate_on(rates: list[float], day: int) -> float:
    """Of one item, failures on this day, from 0."""
    return rates[0] if day < 7 else rates[1] if day < 14 else rates[2] if day < 30 else rates[3]


def freshness(n: int, seed: int = 0) -> Fresh:
    """What a service leaves of rates of about 0.02 a day."""
    random = np.random.default_rng(seed + 100)
    start = random.choice([0.0, 15.0], n)
    return Fresh(random.uniform(0.0, 0.03, n), start, start + random.uniform(30, 200, n))


def fresh_rate(fresh: Fresh, i: int, worn: float, age: float) -> float:
    """Of one item at an age, failures a day."""
    low = min(float(fresh.rate[i]), worn)
    start, end = float(fresh.from_days[i]), float(fresh.worn_days[i])
    return low + (worn - low) * min(max((age - start) / (end - start), 0.0), 1.0)


def slow_renewals(fresh: Fresh, i: int, worn: float, window: int, parts: int = 4) -> list[float]:
    """Failures expected within 0, 1, 2 … days of a renewal: the chance of one in every small step."""
    many = window * parts
    alive, first = 1.0, []
    for k in range(many):
        gone = alive * -math.expm1(-fresh_rate(fresh, i, worn, (k + 0.5) / parts) / parts)
        first.append(gone)
        alive -= gone
    chance: list[float] = []  # of a failure in each step, whichever it is
    for k in range(many):
        chance.append(first[k] + sum(chance[j] * first[k - 1 - j] for j in range(k)))
    return np.concatenate([[0.0], np.cumsum(chance)])[::parts].tolist()


def slow_cost(rates: list[float], of: Costs, fresh: Fresh, i: int, service: int) -> float:
    """One item day by day; ``service`` -1: never."""
    lost, window = of.lost_cents[of.cls[i]], of.window_days
    failed = of.failure_cents[i] + of.failure_days[i] * sum(lost) / len(lost)
    after = slow_renewals(fresh, i, rates[3], window)
    alive, total = 1.0, 0.0
    for day in range(window):
        if day == service:
            away, left = 0.0, of.service_days[i]
            for ahead in range(4):
                away += max(min(left - ahead, 1.0), 0.0) * lost[min(day + ahead, window - 1)]
            return total + alive * (of.service_cents[i] + away + failed * after[window - day])
        falls = alive * (1 - math.exp(-rate_on(rates, day)))
        total += falls * failed * (1 + (after[window - day] + after[window - day - 1]) / 2)
        alive -= falls
    return total


def test_costs_are_those_of_a_slow_sum_over_days() -> None:
    of, p, fresh = costs(6), chances(6), freshness(6)
    rates = hazards(p, HORIZONS)
    found = outlook(rates, HORIZONS, fresh, of, 20)
    for i in range(6):
        told = rates[i].tolist()
        assert found.never[i] == pytest.approx(slow_cost(told, of, fresh, i, -1), rel=0.01)
        for day in (0, 7, 19):
            slow = slow_cost(told, of, fresh, i, day)
            assert found.service_on[i, day] == pytest.approx(slow, rel=0.01)


def lives(
    random: np.random.Generator,
    rates: Floats,
    fresh: Fresh,
    start: int,
    window: int,
    renewed: bool,
    many: int,
) -> NDArray[np.int64]:
    """int64[many]: failures of items from ``start`` until ``window``, an hour being a tenth of a day.

    ``renewed``: each was served at ``start``; else it fails by ``rates`` until its first failure.
    """
    parts = 10
    age = np.full(many, 0.0 if renewed else np.nan)
    failures = np.zeros(many, np.int64)
    low, worn = min(float(fresh.rate[0]), float(rates[3])), float(rates[3])
    begin, end = float(fresh.from_days[0]), float(fresh.worn_days[0])
    for k in range(start * parts, window * parts):
        rising = np.clip((age + 0.05 - begin) / (end - begin), 0, 1)
        now = np.where(
            np.isnan(age), rate_on(rates.tolist(), k // parts), low + (worn - low) * rising
        )
        failed = random.random(many) < -np.expm1(-now / parts)
        failures += failed
        age = np.where(failed, 0.0, age + 1.0 / parts)
    return failures


def one() -> tuple[Floats, Fresh, Costs]:
    """An item that fails often, and less often after a service."""
    of = Costs(
        service_cents=np.array([1_200.0]),
        failure_cents=np.array([3_400.0]),
        service_days=np.array([1.0]),
        failure_days=np.array([2.5]),
        cls=np.array([0]),
        lost_cents=np.full((1, 120), 40.0),
    )
    fresh = Fresh(np.array([0.006]), np.array([15.0]), np.array([115.0]))
    return hazards(np.array([[0.15, 0.35, 0.6]]), HORIZONS), fresh, of


def test_failures_and_the_chance_to_do_better_are_those_of_items_that_live_by_dice() -> None:
    rates, fresh, of = one()
    random, many = np.random.default_rng(5), 20_000
    found = outlook(rates, HORIZONS, fresh, of, 30)
    never = lives(random, rates[0], fresh, 0, 120, False, many)
    assert found.failures[0] == pytest.approx(never.mean(), abs=4 * never.std() / many**0.5 + 0.01)
    for day in (0, 12):
        still = math.exp(-cumulated(rates, HORIZONS, np.array([float(day)]))[0, 0])
        served = lives(random, rates[0], fresh, day, 120, True, many)
        without = lives(random, rates[0], fresh, day, 120, False, many)
        saved = (without.mean() - served.mean()) * still
        told = found.failures[0] - found.failures_on[0, day]
        assert told == pytest.approx(saved, abs=0.03)
        money = 3_500.0 * (without - served) - 1_240.0
        chance = beats(rates, HORIZONS, fresh, of, np.array([day]))[0]
        assert chance == pytest.approx((money > 0).mean(), abs=0.02)
        assert found.gain[0, day] == pytest.approx(money.mean() * still, abs=0.03 * 3_500)


def test_failures_until_a_day_are_those_of_items_that_live_by_dice_and_are_repaired() -> None:
    told, fresh = chances(4, 3), freshness(4, 3)
    rates, ends = hazards(told, HORIZONS), np.array([30, 90, 180])
    now, later = failures_until(rates, HORIZONS, fresh, ends)
    random = np.random.default_rng(8)
    lives = 4_000
    for i in range(4):
        risen = fresh.only(np.array([i])).cumulated(rates[i : i + 1, -1], np.arange(181.0))[0]
        chance = 1 - np.exp(-np.diff(risen))  # by age since the repair
        first = [1 - math.exp(-rate_on(rates[i].tolist(), day)) for day in range(180)]
        for renewed, found in ((False, now[i]), (True, later[i])):
            age = np.where(renewed, 0, -1) * np.ones(lives, np.int64)
            count = np.zeros(lives)
            seen = {}
            for day in range(180):
                falls = np.where(age < 0, first[day], chance[np.maximum(age, 0)])
                failed = random.random(lives) < falls
                count += failed
                age = np.where(failed, 0, np.where(age < 0, -1, age + 1))
                seen[day + 1] = count.mean()
            for k, end in enumerate(ends.tolist()):
                assert found[k] == pytest.approx(seen[end], rel=0.08, abs=0.03)


def test_who_is_sure_to_fail_now_fails_no_more_often_afterwards_than_one_just_repaired() -> None:
    told = np.array([[0.9, 0.97, 0.999]])
    rates = hazards(told, HORIZONS)
    fresh = Fresh(rates[:, -1] / 50, np.zeros(1), np.full(1, 3_000.0))
    now, later = failures_until(rates, HORIZONS, fresh, np.array([30, 360]))
    assert now[0, 0] == pytest.approx(1.0, abs=0.15)
    assert now[0, 1] - now[0, 0] == pytest.approx(later[0, 1], rel=0.2)
    assert (
        now[0, 1] < 0.5 * rates[0, -1] * 360
    )  # not one after the other at the rate before the repair


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_half_have_failed_where_their_curve_passes_one_half_and_nowhere_behind_it(
    seed: int,
) -> None:
    told = np.sort(np.random.default_rng(seed).beta(1.0, 1.0, (20, 3)), axis=1)
    told[0] = [0.5, 0.5, 0.5]
    rates = hazards(told, HORIZONS)
    found = half_failed(rates, HORIZONS)
    for i in range(len(told)):
        if told[i, -1] < 0.5 - 1e-9:
            assert math.isnan(found[i])
        else:
            at = 1 - math.exp(-cumulated(rates[i : i + 1], HORIZONS, found[i : i + 1])[0, 0])
            assert at == pytest.approx(0.5, abs=1e-9)


def test_a_memoryless_item_fails_at_its_rate_however_often_it_is_renewed() -> None:
    rate = np.array([0.001, 0.01, 0.05])
    fresh = Fresh(rate, np.zeros(3), np.full(3, 30.0))
    found = renewals(fresh, rate, 180)
    assert found == pytest.approx(rate[:, None] * np.arange(181.0), rel=0.01, abs=1e-9)


def test_a_renewed_item_that_wears_is_never_worse_than_the_worn_one() -> None:
    fresh, worn = freshness(40), np.full(40, 0.02)
    found = renewals(fresh, worn, 90)
    assert (np.diff(found, axis=1) >= 0).all()
    assert (found <= 0.02 * np.arange(91.0) * 1.01 + 1e-9).all()
    for i in (0, 1, 2):
        assert found[i, 1:] == pytest.approx(slow_renewals(fresh, i, 0.02, 90)[1:], rel=0.02)


def test_a_model_that_sees_no_difference_makes_a_service_worth_nothing() -> None:
    p, of = chances(20), costs(20)
    fresh = compared(p, HORIZONS, np.linspace(0.0, 400.0, 20))
    rates = hazards(p, HORIZONS)
    rates[:] = rates[:, -1:]
    found = outlook(rates, HORIZONS, fresh, of, 10)
    assert (found.gain < 0).all()
    worse = compared(np.minimum(p * 1.5, 0.99), HORIZONS, np.full(20, 50.0))
    again = outlook(rates, HORIZONS, worse, of, 10)
    assert again.failures == pytest.approx(found.failures, rel=0.01)


def test_what_a_model_tells_of_a_served_item_lasts_until_it_is_as_old_again() -> None:
    p = np.array([[0.1, 0.2, 0.4]])
    fresh = compared(p, HORIZONS, np.array([100.0]))
    assert fresh.rate[0] == pytest.approx(-math.log(0.6) / 30)
    assert (fresh.from_days[0], fresh.worn_days[0]) == (15.0, 115.0)
    assert compared(p, HORIZONS, np.array([3.0])).worn_days[0] == 45.0


@settings(max_examples=50, deadline=None)
@given(st.floats(0.3, 8.0), st.floats(0.0, 500.0), st.floats(1e-4, 0.1))
def test_until_an_item_is_as_old_again_it_fails_as_often_as_its_law_says(
    shape: float, age: float, worn: float
) -> None:
    fresh, now = aged(np.array([worn]), np.array([age]), shape, HORIZONS), np.array([worn])
    as_old = age + 15.0
    until = np.array([0.25, 0.5, 1.0, 1.5]) * as_old
    found = fresh.cumulated(now, until)[0]
    law = worn * as_old / max(shape, 1.0)  # the integral of worn (t / as_old) ** (shape - 1)
    assert found[2] == pytest.approx(law)
    assert found[3] - found[2] == pytest.approx(worn * as_old / 2)  # from then on as now
    exact = law * np.array([0.25, 0.5]) ** max(shape, 1.0)
    assert found[:2] == pytest.approx(exact, abs=0.12 * law)  # the rise is an even one


def bill(service: float, failure: float, n: int = 1) -> Costs:
    """Of n items that nobody misses while they are away."""
    none = np.zeros(n)
    return Costs(
        service_cents=np.full(n, service),
        failure_cents=np.full(n, failure),
        service_days=none,
        failure_days=none,
        cls=none.astype(np.int64),
        lost_cents=np.zeros((1, 180)),
    )


@pytest.mark.parametrize("shape", [1.3, 1.6, 2.0, 3.5])
@pytest.mark.parametrize("service", [500.0, 2_000.0, 4_000.0])
def test_an_item_is_due_when_it_is_so_old_that_served_then_ever_again_it_costs_least(
    shape: float, service: float
) -> None:
    worn, age, failure = 0.012, 40.0, 6_000.0
    ages = np.arange(0.25, 3_000.0, 0.25)
    # the rate told is that of the middle of the longest horizon, 15 days ahead
    survives = np.exp(-worn * 55.0 / shape * (ages / 55.0) ** shape)
    fails = 1 - survives
    a_day = (service * survives + failure * fails) / (np.cumsum(survives) * 0.25)
    told = due_days(np.array([worn]), np.array([age]), shape, bill(service, failure), HORIZONS)[0]
    if np.isinf(told):  # then waiting for the failure costs nearly as little
        assert a_day.min() == pytest.approx(a_day[-1], rel=0.02)
        return
    at = int(np.searchsorted(ages, max(told + age, 0.25)))
    if told > 0:
        assert a_day[at] == pytest.approx(a_day.min(), rel=0.005)
    else:  # it should have been served long ago
        assert ages[a_day.argmin()] <= age + 1.0


def test_what_does_not_age_or_costs_as_much_to_serve_as_to_mend_is_never_due() -> None:
    worn, age = np.array([0.02, 0.0]), np.array([50.0, 50.0])
    for shape in (0.6, 1.0):
        assert np.isinf(due_days(worn, age, shape, bill(1.0, 100.0, 2), HORIZONS)).all()
    assert np.isinf(due_days(worn, age, 2.5, bill(100.0, 100.0, 2), HORIZONS)).all()
    assert np.isinf(due_days(worn, age, 2.5, bill(10.0, 100.0, 2), HORIZONS)).tolist() == [0, 1]


def test_what_does_not_age_gains_nothing_from_a_service() -> None:
    of, worn, age = costs(20), np.full(20, 0.02), np.linspace(0.0, 400.0, 20)
    rates = np.tile(worn[:, None], 4)
    for shape in (0.5, 1.0):
        found = outlook(rates, HORIZONS, aged(worn, age, shape, HORIZONS), of, 10)
        assert (found.gain < 0).all()
    gains = [
        outlook(rates, HORIZONS, aged(worn, age, k, HORIZONS), of, 10).gain[:, 0]
        for k in (1.0, 1.3, 1.8, 2.5, 4.0)
    ]
    more = np.diff(gains, axis=0)
    assert (more >= -1e-6).all()
    assert (more[0] > 0).all()


def test_failures_while_wear_comes_back_are_those_of_small_steps() -> None:
    fresh, worn = freshness(10), np.full(10, 0.025)
    ages = np.array([0.0, 5.0, 40.0, 300.0])
    found = fresh.cumulated(worn, ages)
    for i in range(10):
        for age, told in zip(ages, found[i], strict=True):
            steps = int(age * 20)
            slow = sum(fresh_rate(fresh, i, 0.025, (k + 0.5) / 20) for k in range(steps)) / 20
            assert told == pytest.approx(slow, rel=1e-3, abs=1e-9)


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
    of, p, fresh = costs(50), chances(50), freshness(50)
    whole = outlook(hazards(p, HORIZONS), HORIZONS, fresh, of, 10)
    parts = outlooks(p, HORIZONS, fresh, of, 10, rows=7)
    gains = np.concatenate([part.gain for _, part in parts])
    assert gains == pytest.approx(whole.gain)


def test_a_service_without_effect_is_never_worth_it_and_one_with_effect_is_when_failures_cost() -> (
    None
):
    of = costs(20)
    rates = hazards(np.full((20, 3), 1 - np.exp(-0.01 * HORIZONS)), HORIZONS)
    fading = np.full(20, 90.0)
    none = lessened(rates[:, -1], np.zeros(20), fading)
    assert (outlook(rates, HORIZONS, none, of, 10).gain < 0).all()
    of.failure_cents[:] = 1e6
    whole = lessened(rates[:, -1], np.ones(20), fading)
    assert (outlook(rates, HORIZONS, whole, of, 10).gain > 0).all()


def test_what_a_plan_is_worth_adds_up() -> None:
    of, p, fresh = costs(30), chances(30), freshness(30)
    of.failure_cents[:] *= 5
    found: Outlook = outlook(hazards(p, HORIZONS), HORIZONS, fresh, of, 12)
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
    rates, fresh = hazards(chances(40), HORIZONS), freshness(40)
    none = repairs_by_day(rates, HORIZONS, np.full(40, -1), fresh, 30)
    assert none.sum() == pytest.approx(chances(40)[:, 2].sum())
    never_fails = Fresh(np.zeros(40), np.full(40, 30.0), np.full(40, 60.0))
    some = repairs_by_day(rates, HORIZONS, np.zeros(40, np.int64), never_fails, 30)
    assert some.sum() == pytest.approx(0.0)
