"""Tails and adjusted p-values, against SciPy and statsmodels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

from edge.services.tails import (
    chi2_tail,
    hypergeometric_tail,
    log_gamma,
    normal_points,
    normal_tail,
    poisson_tail,
    q_values,
)


def test_smooth_tails_are_scipys() -> None:
    z = np.linspace(-8, 8, 101)
    assert normal_tail(z) == pytest.approx(stats.norm.sf(z), rel=1e-12)
    assert log_gamma(np.arange(1, 50)) == pytest.approx(special.gammaln(np.arange(1, 50)))
    x = np.linspace(0, 60, 61)
    for degrees in (2, 4, 6, 10):
        assert chi2_tail(x, degrees) == pytest.approx(stats.chi2.sf(x, degrees), rel=1e-10)


def test_points_of_a_normal_have_its_mean_and_nearly_its_spread() -> None:
    points = normal_points(41)
    assert points.mean() == pytest.approx(0, abs=1e-12)
    assert points.std() == pytest.approx(1, abs=0.03)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 400), st.floats(0.001, 300))
def test_a_poisson_tail_is_scipys_where_it_is_below_a_half(least: int, mean: float) -> None:
    found = float(poisson_tail([least], [mean])[0])
    if least > mean:
        assert found == pytest.approx(stats.poisson.sf(least - 1, mean), rel=1e-8, abs=1e-300)
    else:
        assert found == 1.0


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_fishers_tail_is_scipys_where_it_is_below_a_half(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 3_000))
    a, b = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    least = data.draw(st.integers(0, min(a, b)))
    found = float(hypergeometric_tail([least], [total], [a], [b])[0])
    if least * total > a * b and least > 0:
        wanted = stats.hypergeom.sf(least - 1, total, a, b)
        assert found == pytest.approx(wanted, rel=1e-7, abs=1e-250)
    else:
        assert found == 1.0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 50))
def test_adjusted_p_values_are_statsmodels(told: list[float], untold: int) -> None:
    p = np.array(told)
    every = np.concatenate([p, np.ones(untold)])
    for method, any_dependence in (("fdr_bh", False), ("fdr_by", True)):
        wanted = multipletests(every, method=method)[1][: len(p)]
        found = q_values(p, len(every), any_dependence=any_dependence)
        assert found == pytest.approx(wanted, rel=1e-12)
