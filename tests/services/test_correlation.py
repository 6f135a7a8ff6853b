"""What moves together: found where it is, with its lag and size, and hardly ever where it is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from statsmodels.regression.linear_model import yule_walker

from edge.services import correlation
from edge.services.correlation import LAG_MAX, ORDER_MAX, correlate, whiten

Floats = NDArray[np.float64]
FIRST = 20_000


def remembering(random: np.random.Generator, n: int, t: int, phi: float) -> Floats:
    """float64[n, t]: autoregressive noise."""
    x = random.normal(size=(n, t))
    for i in range(1, t):
        x[:, i] += phi * x[:, i - 1]
    return x


def shop(seed: int, k: int, t: int, phi: float = 0.7, level: float = 1.5) -> Floats:
    """Over-dispersed daily units with weekdays, a season and a memory."""
    random = np.random.default_rng(seed)
    day = FIRST + np.arange(t)
    weekday = np.array([0, 0, 0.1, 0.2, 0.4, 0.7, 0.1])[(day + 3) % 7]
    season = 0.5 * np.sin(2 * np.pi * day / 365.25)
    mean = np.exp(level + weekday + season + 0.25 * remembering(random, k, t, phi))
    return random.poisson(mean).astype(np.float64)


# -- where there is nothing ---------------------------------------------------------------------------


def test_of_unrelated_series_hardly_any_are_called_related() -> None:
    """Season, weekdays and memory on both sides, influences that resemble each other; 120 shops."""
    any_found = careful = 0
    p: list[float] = []
    naive: list[bool] = []
    shops, k, t = 120, 15, 420
    for seed in range(shops):
        random = np.random.default_rng(1_000 + seed)
        phi = (0.3, 0.8, 0.95)[seed % 3]
        common = remembering(random, 1, t, phi)
        factors = 0.6 * common + remembering(random, 5, t, phi)
        factors[0] += 3 * np.sin(2 * np.pi * (FIRST + np.arange(t)) / 365.25)  # a temperature
        units = shop(seed, k, t)
        found, _ = correlate(units, factors, FIRST)
        any_found += bool(len(found.discoveries()))
        careful += bool(len(found.discoveries(careful=True)))
        p += found.p.tolist()
        r = np.corrcoef(np.sqrt(units), factors)[:k, k:]
        naive += (np.abs(r) * np.sqrt(t) > 1.96).ravel().tolist()
    assert any_found / shops <= 0.09  # 5 % expected, and two standard errors of 120 shops
    assert careful / shops <= 0.05
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.08)
    assert np.mean(naive) > 0.3  # what a plain table of correlations would call significant


def test_a_season_that_both_share_relates_nothing() -> None:
    random = np.random.default_rng(12)
    t, k = 730, 40
    season = np.sin(2 * np.pi * (FIRST + np.arange(t)) / 365.25 + 0.3)
    factors = 3 * season + random.normal(size=(6, t))
    units = random.poisson(np.exp(2 + 0.8 * season) * np.ones((k, 1))).astype(np.float64)
    found, _ = correlate(units, factors, FIRST)
    assert len(found.discoveries()) == 0
    assert (found.p < 0.05).mean() == pytest.approx(0.05, abs=0.03)


def test_of_shops_without_a_season_hardly_any_has_one() -> None:
    random = np.random.default_rng(4)
    t = 500
    units = random.poisson(np.exp(1.5 + 0.2 * remembering(random, 200, t, 0.6))).astype(np.float64)
    _, season = correlate(units, np.zeros((0, t)), FIRST)
    assert (season.weekday_p < 0.05).mean() < 0.10
    assert (season.year_p < 0.05).mean() < 0.15
    assert (season.weekday_q <= 0.05).mean() < 0.02


# -- where there is something -------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 3, 10])
def test_an_influence_is_found_with_its_lag_its_direction_and_its_size(lag: int) -> None:
    random = np.random.default_rng(5)
    k, t = 30, 500
    factor = remembering(random, 2, t, 0.6)
    shocks = whiten(factor[:1], FIRST)
    effect = np.zeros(k)
    effect[:10], effect[10:15] = 0.15, -0.15
    late = np.roll(factor[0] - factor[0].mean(), lag)
    mean = np.exp(2.0 + effect[:, None] * late[None, :] + 0.1 * random.normal(size=(k, t)))
    units = random.poisson(mean).astype(np.float64)
    found, _ = correlate(units, factor, FIRST)
    hits = found.discoveries()
    related = {(int(found.row[i]), int(found.factor[i])) for i in hits}
    planted = {(row, 0) for row in range(15)}
    assert len(related & planted) >= 13
    assert len(related - planted) <= 2
    mine = [i for i in hits if found.factor[i] == 0 and found.row[i] < 15]
    assert np.mean(found.lag_days[mine] == lag) > 0.8
    assert (np.sign(found.effect[mine]) == np.sign(effect[found.row[mine]])).all()
    size = float(shocks.scale[0]) * 0.15
    assert np.median(np.abs(found.effect[mine])) == pytest.approx(size, rel=0.3)


def test_an_influence_of_a_classs_own_moves_that_class_alone() -> None:
    random = np.random.default_rng(6)
    k, t = 12, 450
    price = np.exp(0.1 * remembering(random, k, t, 0.5))
    slope = np.where(np.arange(k) < 6, -2.0, 0.0)[:, None]
    units = random.poisson(20 * price**slope).astype(np.float64)
    found, _ = correlate(units, np.zeros((0, t)), FIRST, own=[np.log(price)])
    hits = found.discoveries()
    assert set(range(6)) <= set(found.row[hits].tolist())
    assert len(hits) <= 7
    assert (found.factor == 0).all()
    mine = [i for i in hits if found.row[i] < 6]
    assert (found.effect[mine] < 0).all()
    assert (found.lag_days[mine] == 0).all()


def test_weekdays_and_seasons_that_are_there_are_found() -> None:
    _, season = correlate(shop(7, 20, 730), np.zeros((0, 730)), FIRST)
    assert (season.weekday_q <= 0.05).all()
    assert (season.year_q <= 0.05).mean() > 0.8
    assert ((season.weekday > 0) & (season.weekday < 1)).all()
    _, short = correlate(shop(7, 5, 200), np.zeros((0, 200)), FIRST)
    assert np.isnan(short.year).all()
    assert (short.year_p == 1).all()


# -- what is not tested -------------------------------------------------------------------------------


def test_too_little_is_not_tested() -> None:
    units = shop(8, 5, 300)
    units[0] = 0.0
    units[1, 90:] = np.nan
    factors = remembering(np.random.default_rng(8), 3, 300, 0.3)
    factors[1] = 7.0
    factors[2, ::2] = np.nan
    found, season = correlate(units, factors, FIRST)
    assert set(found.row.tolist()) == {2, 3, 4}
    assert set(found.factor.tolist()) == {0}
    assert np.isnan(season.weekday[:2]).all()
    assert len(correlate(units[:, :50], factors[:, :50], FIRST)[0].p) == 0


def test_gaps_are_no_zeros() -> None:
    random = np.random.default_rng(9)
    t = 500
    factor = remembering(random, 1, t, 0.5)
    units = random.poisson(np.exp(2 + 0.3 * factor + np.zeros((6, 1)))).astype(np.float64)
    units[:, 100:140] = np.nan
    factor[0, 300:330] = np.nan
    found, _ = correlate(units, factor, FIRST)
    assert len(found.discoveries()) == 6
    assert (found.days[found.discoveries()] == t - 70).all()


# -- against slow ways ------------------------------------------------------------------------------


def test_series_are_filtered_as_statsmodels_foretells_them() -> None:
    t = 400
    rest = remembering(np.random.default_rng(10), 6, t, 0.6)
    rest -= rest.mean(axis=1, keepdims=True)
    found = correlation._filtered(rest, np.ones((6, t), np.bool_))
    for row, white in zip(rest, found, strict=True):
        told = []
        for order in range(ORDER_MAX + 1):
            phi, sigma = yule_walker(
                row, order=order, method="mle", demean=False, result_object=False) if order else (
                np.zeros(0), row.std())  # fmt: skip
            told.append((t * np.log(sigma**2) + 2 * order, phi))
        phi = min(told, key=lambda one: one[0])[1]
        wanted = row.copy()
        for lag, c in enumerate(phi, 1):
            wanted[lag:] -= c * row[:-lag]
        assert white == pytest.approx(wanted, abs=1e-6)


def test_correlations_are_those_of_looking_at_every_lag() -> None:
    units, factors = shop(11, 4, 200), remembering(np.random.default_rng(11), 3, 200, 0.5)
    factors[0, 20:40] = np.nan
    found, _ = correlate(units, factors, FIRST)
    y, _ = correlation.whiten_units(units, FIRST)
    x = whiten(factors, FIRST)
    for i in range(len(found.p)):
        row, f = int(found.row[i]), int(found.factor[i])
        best = (0.0, 0.0, 0)
        for lag in range(LAG_MAX + 1):
            pairs = [(y.noise[row, d], x.noise[f, d - lag]) for d in range(lag, 200)
                     if y.known[row, d] and x.known[f, d - lag]]  # fmt: skip
            r = sum(a * b for a, b in pairs) / len(pairs)
            best = max(best, (abs(r) * len(pairs) ** 0.5, r, lag))
        assert found.r[i] == pytest.approx(best[1])
        assert found.lag_days[i] == best[2]


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(
        np.float64,
        (3, 100),
        elements=st.one_of(st.just(np.nan), st.floats(0, 1e6), st.just(0.0)),
        fill=st.just(1.0),
    ),
    st.integers(0, 2**32 - 1),
)
def test_odd_numbers_give_no_odd_answers(units: Floats, seed: int) -> None:
    factors = remembering(np.random.default_rng(seed), 2, 100, 0.9)
    found, season = correlate(units, factors, FIRST, own=[units])
    for values in (found.r, found.effect, found.p, found.q, season.weekday_p):
        assert np.isfinite(values).all()
    assert ((found.p >= 0) & (found.p <= 1)).all()
    assert (np.abs(found.r) <= 1.5).all()
