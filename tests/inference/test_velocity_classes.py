"""ABC, XYZ and lead-time demand against slow and outside judges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edge.inference import velocity


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=30))
def test_abc_is_what_one_would_do_by_hand(revenue: list[int]) -> None:
    found = velocity.abc(np.array(revenue, np.float64)).tolist()
    total, running = sum(revenue), 0
    for i in sorted(range(len(revenue)), key=lambda i: -revenue[i]):
        letter = 0 if running < 0.8 * total else 1 if running < 0.95 * total else 2
        assert found[i] == (letter if revenue[i] else velocity.C)
        running += revenue[i]


def test_xyz_by_variation_and_never_steady_when_intermittent() -> None:
    random = np.random.default_rng(1)
    weeks = 200
    steady = random.normal(100, 10, weeks)
    middling = np.maximum(random.normal(100, 70, weeks), 1)
    wild = random.lognormal(3, 1.2, weeks)
    now_and_then = np.where(np.arange(weeks) % 3 == 0, 5.0, 0.0)
    almost = np.where(np.arange(weeks) % 4 == 0, 0.0, 10.0)  # variation 0.58, three weeks of four
    few = np.full(weeks, np.nan)
    few[:4] = 3
    weekly = np.stack([steady, middling, wild, now_and_then, almost, few])
    assert velocity.xyz(weekly).tolist() == [0, 1, 2, 2, 1, 2]
    assert velocity.pattern(weekly)[:4].tolist() == [0, 0, 1, 2]


def test_weeks_without_stock_say_nothing_of_variation() -> None:
    weekly = np.tile([10.0, 11.0, 9.0, 10.0], 6)[None]
    gaps = weekly.copy()
    gaps[0, ::4] = np.nan
    assert velocity.xyz(gaps).tolist() == [0]


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_quantiles_are_scipys_negative_binomial(level: float) -> None:
    mean = np.array([0.05, 0.7, 3.0, 20.0, 300.0])
    for over in (1.1, 2.0, 6.0):
        told = stats.nbinom(mean / (over - 1), 1 / over)
        found = velocity.demand_quantile(mean, mean * over, level)
        assert (told.cdf(found) >= level - 1e-9).all()
        assert (told.cdf(found - 1) < level + 1e-9).all()


def test_few_classes_are_counted_as_many_are() -> None:
    """Many counts at once, and one after the other: the slow way is the oracle."""
    random = np.random.default_rng(7)
    mean = np.exp(random.uniform(np.log(1e-3), np.log(velocity.NORMAL_UNITS), 300))
    mean[:5] = 0.125, 1.0, 2.5, 999.0, velocity.NORMAL_UNITS
    over = np.where(random.random(300) < 0.3, 0.0, np.exp(random.uniform(-8, 4, 300)))
    for level in (0.1, 0.5, 0.9, 0.95, 0.999):
        slow = velocity._counts(mean, mean * (1 + over), level)
        assert velocity._counts_of_few(mean, mean * (1 + over), level).tolist() == slow.tolist()
        told = velocity.demand_quantile(mean[:3], mean[:3] * (1 + over[:3]), level)
        assert told.tolist() == slow[:3].tolist()
    nobody = velocity.demand_quantile(np.zeros(2), np.zeros(2), 0.9)
    assert nobody.tolist() == [0.0, 0.0]


def test_too_little_variance_is_poisson_and_much_is_gamma() -> None:
    few = velocity.demand_quantile(np.array([4.0]), np.array([1.0]), 0.9)
    assert few.tolist() == [stats.poisson.ppf(0.9, 4.0)]
    many = velocity.demand_quantile(np.array([5_000.0]), np.array([4e6]), 0.95)
    exact = stats.gamma.ppf(0.95, 5_000.0**2 / 4e6, scale=4e6 / 5_000)
    assert many[0] == pytest.approx(exact, rel=0.003)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.9])
def test_sums_have_the_variance_of_simulated_paths(correlation: float) -> None:
    random = np.random.default_rng(2)
    days, paths = 10, 40_000
    deviation = random.uniform(1, 3, (1, days))
    noise = random.normal(size=(paths, days))
    for t in range(1, days):
        fresh = np.sqrt(1 - correlation**2) * noise[:, t]
        noise[:, t] = correlation * noise[:, t - 1] + fresh
    simulated = (noise * deviation).sum(axis=1).var()
    mean, variance = velocity.lead_time(np.full((1, days), 5.0), deviation, days, correlation)
    assert mean.tolist() == [50.0]
    assert variance[0] == pytest.approx(simulated, rel=0.05)


def test_a_service_level_is_kept_by_the_demand_that_comes() -> None:
    random = np.random.default_rng(3)
    days, level = 7, 0.95
    rate = random.gamma(4.0, 0.5, (400, 1))
    mean = np.broadcast_to(rate, (400, days))
    quantiles = np.stack([stats.norm.ppf(q, mean, np.sqrt(mean)) for q in (0.1, 0.5, 0.9)], axis=2)
    deviation = velocity.spread_of(quantiles, (0.1, 0.5, 0.9))
    target = velocity.demand_quantile(*velocity.lead_time(mean, deviation, days, 0.0), level)
    came = random.poisson(rate * days, (400, 500))
    assert (came <= target[:, None]).mean() == pytest.approx(level, abs=0.02)
    assert (came <= target[:, None]).mean() >= level - 0.005
