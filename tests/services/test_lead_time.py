"""Demand of a lead time: by models, by history, by the simple rule, and joined."""

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.services import counts, lead_time
from edge.services.lead_time import KNOTS, LEVELS, Curve


def gamma_quantiles(mean: float, variance: float) -> list[float]:
    """As the inventory model tells them: a gamma's, by Wilson & Hilferty."""
    shape = mean * mean / variance
    z = [counts.z_of(level) for level in LEVELS]
    return [mean * max(1 - 1 / (9 * shape) + x / (3 * math.sqrt(shape)), 0.0) ** 3 for x in z]


@settings(max_examples=80, deadline=None)
@given(st.floats(0.5, 500.0), st.floats(1.0, 8.0))
def test_a_variance_is_read_back_from_the_models_quantiles(mean: float, over: float) -> None:
    variance = mean * over
    if mean * mean / variance < 0.3:
        return  # so skewed that the mean lies beyond the quantiles
    week = np.array([[mean, *gamma_quantiles(mean, variance)]])
    twice = np.array([[2 * mean, *gamma_quantiles(2 * mean, 2 * variance)]])
    curve = lead_time.from_model(week, twice)
    assert math.isclose(curve.variance[0, 0], variance, rel_tol=1e-6)
    assert math.isclose(curve.variance[0, 1], 2 * variance, rel_tol=1e-6)
    assert math.isclose(curve.mean[0, 3], mean / 7 * 91)


def test_a_season_that_the_demand_model_sees_is_in_the_later_means() -> None:
    week = np.array([[7.0, *gamma_quantiles(7.0, 14.0)]] * 2)
    fortnight = np.array([[14.0, *gamma_quantiles(14.0, 28.0)]] * 2)
    ahead = np.array([[56.0, 182.0], [np.nan, np.nan]])
    curve = lead_time.from_model(week, fortnight, ahead)
    assert curve.mean[0].tolist() == [7.0, 14.0, 56.0, 182.0]
    assert curve.mean[1].tolist() == [7.0, 14.0, 28.0, 91.0]
    assert curve.variance[0, 2] > curve.variance[1, 2]


def test_history_is_the_mean_and_the_spread_of_whole_spans() -> None:
    rng = np.random.default_rng(3)
    days = rng.poisson(3.0, (91, 400)).astype(float)
    curve, enough = lead_time.from_history(days, drift=0.0)
    assert enough.all()
    assert abs(curve.mean[:, 0].mean() - 21.0) < 0.2
    # chance of the seven days, and of a mean of means: (1/28 + 1/91 + 1/91 + 2 x 3/91) / 9 of a day
    weight = (1 / 28 + 2 / 91 + 6 / 91) / 9
    assert abs(curve.variance[:, 0].mean() / (21.0 * (1 + 7 * weight)) - 1) < 0.1
    assert abs(curve.mean[:, 0].std() / (7 * (3 * weight) ** 0.5) - 1) < 0.15


def test_means_that_drift_are_seen_and_widen_what_is_far_more() -> None:
    rng = np.random.default_rng(6)
    still = rng.poisson(6.0, (182, 300)).astype(float)
    total, classes = lead_time.drift_seen(still)
    assert classes == 300
    assert abs(total / classes) < 0.01
    level = rng.gamma(4.0, 1.5, (2, 300))  # another mean in each half: a squared share of 1/4
    moving = rng.poisson(np.repeat(level, 91, axis=0)).astype(float)
    total, classes = lead_time.drift_seen(moving)
    assert 0.1 < total / classes < 0.3
    drift = lead_time.drift_of(total, classes)
    calm, wide = lead_time.from_history(still, 0.0)[0], lead_time.from_history(still, drift)[0]
    added = (wide.variance - calm.variance) / calm.mean**2
    assert np.allclose(added[:, 0], drift * 1.5, rtol=0.05)
    assert np.allclose(added[:, 2], drift * 3.0, rtol=0.05)
    assert lead_time.drift_seen(np.full((182, 2), np.nan)) == (0.0, 0)


def test_days_that_go_together_spread_more_than_single_days_say() -> None:
    rng = np.random.default_rng(4)
    weeks = np.repeat(rng.gamma(1.0, 3.0, (13, 300)), 7, axis=0)
    together, _ = lead_time.from_history(rng.poisson(weeks).astype(float), 0.0)
    apart = lead_time.simple(rng.poisson(weeks).astype(float))
    assert together.variance[:, 1].mean() > 1.5 * apart.variance[:, 1].mean()


def test_days_that_nobody_saw_or_that_were_sold_out_change_nothing() -> None:
    days = np.tile(np.array([2.0, 4.0, 3.0, 5.0, 1.0, 0.0, 6.0]), 26)[:, None]
    holes = days.copy()
    whole, _ = lead_time.from_history(days)
    holes[14:21] = np.nan
    found, _ = lead_time.from_history(holes)
    assert math.isclose(found.rate[0], whole.rate[0])


def test_few_days_or_few_sales_are_not_enough() -> None:
    few = np.full((91, 2), np.nan)
    few[-20:, 0] = 3.0
    few[:, 1] = 0.0
    few[50, 1] = 1.0
    assert lead_time.from_history(few)[1].tolist() == [False, False]


def test_the_simple_rule_is_a_days_mean_and_variance() -> None:
    days = np.tile([2.0, 4.0], 45)[:, None]
    curve = lead_time.simple(days)
    mean, variance = curve.at(10.0)
    assert math.isclose(mean[0], 30.0)
    assert math.isclose(variance[0], max(30.0, 10 * days.var(ddof=1)))
    assert lead_time.simple(np.full((90, 1), np.nan)).at(7.0)[0][0] == 0.0


CURVE = Curve(np.array([[7.0, 14.0, 28.0, 91.0]]), np.array([[10.0, 22.0, 50.0, 200.0]]))


def test_a_curve_meets_its_knots_and_grows_between_them() -> None:
    for i, days in enumerate(KNOTS):
        mean, variance = CURVE.at(float(days))
        assert math.isclose(mean[0], CURVE.mean[0, i])
        assert math.isclose(variance[0], CURVE.variance[0, i])
    told = [CURVE.at(float(days)) for days in range(200)]
    assert all(a[0][0] <= b[0][0] for a, b in itertools.pairwise(told))
    assert all(a[1][0] <= b[1][0] for a, b in itertools.pairwise(told))
    assert told[0][0][0] == 0


def test_an_uncertain_lead_time_adds_what_the_rate_makes_of_it() -> None:
    """Against drawing the days first and the demand then."""
    rng = np.random.default_rng(5)
    days = np.maximum(rng.normal(14.0, 3.0, 400_000), 0)
    drawn = rng.poisson(1.0 * days)
    flat = Curve(np.array([[7.0, 14.0, 28.0, 91.0]]), np.array([[7.0, 14.0, 28.0, 91.0]]))
    mean, variance = flat.at(14.0, 3.0)
    assert abs(mean[0] - drawn.mean()) < 0.05
    assert abs(variance[0] / drawn.var() - 1) < 0.02


def test_each_class_follows_its_own_evidence() -> None:
    curves = [Curve(np.full((3, 4), i), np.full((3, 4), 10 + i)) for i in (0.0, 1.0, 2.0)]
    found = lead_time.mixed(np.array([2, 0, 1]), curves)
    assert found.mean[:, 0].tolist() == [2.0, 0.0, 1.0]
    assert found.variance[:, 3].tolist() == [12.0, 10.0, 11.0]


def test_a_suppliers_word_gives_way_to_how_orders_came() -> None:
    one = np.ones(1)
    word, _ = lead_time.observed_lead(7 * one, one, 0 * one, np.nan * one, np.nan * one)
    assert word[0] == 7
    later, spread = lead_time.observed_lead(7 * one, one, 27 * one, 14 * one, 4 * one)
    assert 13 < later[0] < 14
    assert spread[0] > 1.9


def test_nothing_is_known_until_something_moves_or_a_week_was_seen() -> None:
    nan = np.nan
    daily = np.array(
        [[nan, nan, 0.0, nan], [nan, 0.0, 0.0, nan], *[[nan, 0.0, 0.0, nan]] * 4, [nan, 0, 0, 2]]
    )
    assert lead_time.known_days(daily).tolist() == [0, 6, 7, 1]
    assert lead_time.nothing_known(daily).tolist() == [True, True, False, False]
