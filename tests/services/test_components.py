"""Lives of parts: the fit finds what the lives were drawn from, remaining life is the integral."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize

from edge.services.components import PRIOR_LIVES, PRIOR_SHAPE, SHAPE_SPREAD, Life, life_of

NONE = np.zeros(0)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.6, 6.0), st.floats(5.0, 2_000.0), st.floats(0.0, 3.0))
def test_remaining_life_is_the_integral_of_what_survives(
    shape: float, scale: float, age: float
) -> None:
    life, at = Life(shape, scale, 0, 0), age * scale

    def alive(t: float) -> float:
        return math.exp((at / scale) ** shape - ((at + t) / scale) ** shape)

    end = scale * ((at / scale) ** shape + 40.0) ** (1 / shape) - at
    expected = quad(alive, 0, end / 50, limit=200)[0] + quad(alive, end / 50, end, limit=200)[0]
    assert life.remaining_days(np.array([at]))[0] == pytest.approx(expected, rel=2e-3)


def test_a_new_part_has_its_mean_life_ahead() -> None:
    life = Life(2.0, 100.0, 0, 0)
    assert life.remaining_days(np.array([0.0]))[0] == pytest.approx(life.mean_days, rel=1e-3)


def test_without_any_life_seen_the_configured_one_holds() -> None:
    life = life_of(NONE, NONE, 365.0)
    assert life.mean_days == pytest.approx(365.0)
    assert life.shape == pytest.approx(PRIOR_SHAPE, rel=0.02)


def test_the_fit_is_the_maximum_that_an_optimiser_finds() -> None:
    random = np.random.default_rng(3)
    ended, running = 200.0 * random.weibull(2.5, 40), random.uniform(0, 150, 30)

    def minus(told: np.ndarray) -> float:  # type: ignore[type-arg]
        k, s = math.exp(told[0]), math.exp(told[1])
        prior = 365.0 / math.gamma(1 + 1 / k)
        exposure = (ended**k).sum() + (running**k).sum() + PRIOR_LIVES * prior**k
        likely = len(ended) * (math.log(k) - k * math.log(s)) + (k - 1) * np.log(ended).sum()
        likely += PRIOR_LIVES * k * (math.log(prior) - math.log(s)) - exposure / s**k
        return float(-likely + (math.log(k / PRIOR_SHAPE) / SHAPE_SPREAD) ** 2 / 2)

    best = minimize(minus, [math.log(2), math.log(200)], method="Nelder-Mead", tol=1e-8)
    found = life_of(ended, running, 365.0)
    assert found.shape == pytest.approx(math.exp(best.x[0]), rel=0.02)
    assert found.scale_days == pytest.approx(math.exp(best.x[1]), rel=0.02)


def test_many_lives_outweigh_the_configured_one() -> None:
    random = np.random.default_rng(4)
    found = life_of(200.0 * random.weibull(2.5, 2_000), NONE, 400.0)
    assert found.mean_days == pytest.approx(200.0 * math.gamma(1 + 1 / 2.5), rel=0.05)
    assert found.shape == pytest.approx(2.5, rel=0.08)


def test_parts_that_go_on_lengthen_the_life() -> None:
    ended = np.full(10, 100.0)
    short = life_of(ended, NONE, 100.0).mean_days
    assert life_of(ended, np.full(20, 150.0), 100.0).mean_days > 1.3 * short


def test_a_weight_is_as_good_as_so_many_parts() -> None:
    ended, running = np.full(10, 100.0), np.array([150.0, 40.0])
    assert life_of(ended, running, 100.0, 3.0).shape == pytest.approx(
        life_of(ended, np.repeat(running, 3), 100.0).shape
    )


def test_older_parts_of_a_wearing_kind_are_likelier_to_end() -> None:
    life = Life(2.5, 300.0, 0, 0)
    within = life.chance_within(np.array([0.0, 100.0, 300.0, 900.0]), 30.0)
    assert (np.diff(within) > 0).all()
    assert ((within >= 0) & (within <= 1)).all()
