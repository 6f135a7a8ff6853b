"""Counts against sums of single probabilities, added up one by one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.services import counts

MEANS = st.floats(0.01, 60.0)
OVER = st.one_of(st.just(0.0), st.floats(0.01, 8.0))


def chance(mean: float, variance: float, n: int) -> float:
    """Probability of exactly n: a negative binomial's, or a Poisson's."""
    if variance <= mean * (1 + counts.POISSON_BELOW):
        return math.exp(-mean + n * math.log(mean) - math.lgamma(n + 1))
    p = mean / variance
    size = mean * p / (1 - p)
    log = math.lgamma(n + size) - math.lgamma(size) - math.lgamma(n + 1)
    return math.exp(log + size * math.log(p) + n * math.log1p(-p))


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


@settings(max_examples=80, deadline=None)
@given(MEANS, OVER, st.integers(0, 120))
def test_at_most_is_the_sum_of_the_single_chances(mean: float, over: float, n: int) -> None:
    variance = mean * (1 + over)
    slow = sum(chance(mean, variance, i) for i in range(n + 1))
    assert math.isclose(
        counts.at_most(column(mean), column(variance), column(n))[0], slow, abs_tol=1e-9
    )


@settings(max_examples=80, deadline=None)
@given(MEANS, OVER, st.floats(0.01, 0.999))
def test_a_quantile_is_the_first_count_that_suffices(
    mean: float, over: float, level: float
) -> None:
    variance = mean * (1 + over)
    found = int(counts.quantile(column(mean), column(variance), level)[0])
    total, n = chance(mean, variance, 0), 0
    while total < level - 1e-9:
        n += 1
        total += chance(mean, variance, n)
    assert found == n or abs(total - level) < 1e-8


@settings(max_examples=60, deadline=None)
@given(MEANS, OVER, st.integers(-5, 80))
def test_shortage_is_the_mean_of_what_exceeds(mean: float, over: float, units: int) -> None:
    variance = mean * (1 + over)
    slow = sum(max(n - units, 0) * chance(mean, variance, n) for n in range(1500))
    found = counts.shortage(column(mean), column(variance), column(units))[0]
    assert math.isclose(found, slow, rel_tol=1e-6, abs_tol=1e-7)


def test_parts_of_a_unit_lie_on_the_line_between_whole_ones() -> None:
    m, v = column(7.0, 7.0, 7.0), column(9.0, 9.0, 9.0)
    low, half, high = counts.shortage(m, v, column(8.0, 8.5, 9.0))
    assert math.isclose(half, (low + high) / 2)


def test_where_nothing_is_asked_for_nothing_is_needed() -> None:
    none = column(0.0)
    assert counts.at_most(none, none, none)[0] == 1.0
    assert counts.at_most(none, none, column(-1.0))[0] == 0.0
    assert counts.quantile(none, none, 0.99)[0] == 0.0
    assert counts.shortage(none, none, none)[0] == 0.0
    assert counts.shortage(none, none, column(-2.0))[0] == 2.0


def test_a_large_count_is_nearly_the_gamma_that_stands_for_it() -> None:
    m, v = column(9_999.0, 10_001.0), column(40_000.0, 40_008.0)
    below, above = counts.quantile(m, v, 0.95)
    assert abs(below - above) < 6
    assert abs(np.diff(counts.shortage(m, v, m))[0]) < 0.5
    for units in (5.0, 9_800.0, 10_000.0, 10_200.0, 30_000.0):
        below, above = counts.at_most(m, v, column(units, units))
        assert abs(below - above) < 0.02


def test_numbers_that_are_not_there_count_as_none() -> None:
    assert counts.quantile(column(math.nan), column(math.nan), 0.9)[0] == 0.0


@given(
    st.one_of(st.just(0.0), st.floats(1e-3, 500.0), st.floats(500.0, 3_000.0)),
    st.floats(1.0, 40.0),
    st.integers(0, 4_000),
)
@settings(max_examples=200, deadline=None)
def test_one_distribution_in_one_go_is_what_its_columns_say(
    mean: float, ratio: float, most: int
) -> None:
    units = np.arange(most + 1.0)
    one = np.ones(most + 1)
    asked = counts.at_most(mean * one, mean * ratio * one, units)
    assert counts.up_to(mean, mean * ratio, most) == pytest.approx(asked, abs=1e-9)


@given(
    st.one_of(st.just(0.0), st.floats(1e-3, 2_000.0), st.floats(2_000.0, 20_000.0)),
    st.floats(1.0, 400.0),
    st.floats(0.001, 0.999),
)
@settings(max_examples=200, deadline=None)
def test_quantiles_of_one_distribution_are_those_of_columns(
    mean: float, ratio: float, level: float
) -> None:
    (asked,) = counts.quantile(np.array([mean]), np.array([mean * ratio]), level)
    (found,) = counts.quantiles_of_one(mean, mean * ratio, (level,))
    near = counts.at_most(*(np.array([x]) for x in (mean, mean * ratio, min(found, asked))))
    assert found == asked or abs(near[0] - level) < 1e-8
