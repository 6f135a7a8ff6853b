"""The whole ladder: no look ahead, sane answers on odd histories, sums that add up."""

import numpy as np
import pytest

from edge.inference import demand_windows
from trainer.demand import forecaster
from trainer.demand.blend import weights, with_year
from trainer.demand.rollups import rolled_up, shared_out
from trainer.demand.spread import apart, calibrated, fit, quantiles, unrest
from trainer.panel import Panel

FIRST = 18_000


def shop(keys: int = 12, days: int = 150, seed: int = 1) -> Panel:
    rng = np.random.default_rng(seed)
    level = rng.gamma(1.0, 6.0, keys)[:, None]
    week = np.array([1.2, 1.0, 0.8, 1.0, 1.5, 0.0, 0.5])[np.arange(days) % 7]
    y = rng.poisson(level * week).astype(np.float32)
    y[0, :60] = np.nan
    return Panel([str(i) for i in range(keys)], np.arange(FIRST, FIRST + days), {"units": y})


def test_nothing_after_the_cutoff_changes_a_forecast() -> None:
    panel = shop()
    other = Panel(panel.keys, panel.days, {"units": panel.measures["units"].copy()})
    other.measures["units"][:, 120:] = 1e6
    cut = FIRST + 119
    told = [
        forecaster("GB").fit(p.upto(cut), "units").forecast(14, (0.1, 0.9)) for p in (panel, other)
    ]
    np.testing.assert_array_equal(told[0][0], told[1][0])
    np.testing.assert_array_equal(told[0][1], told[1][1])


def test_odd_series_get_finite_forecasts_in_order() -> None:
    panel = shop()
    y = panel.measures["units"]
    y[1] = 0
    y[2] = np.nan
    y[3, 100:] = np.nan
    y[4, :-1] = np.nan
    mean, q = forecaster().fit(panel, "units").forecast(91, (0.05, 0.1, 0.5, 0.9, 0.95))
    assert np.isfinite(mean).all()
    assert np.isfinite(q).all()
    assert (mean >= 0).all()
    assert (q >= 0).all()
    assert (np.diff(q, axis=2) >= 0).all()
    assert mean[1].max() < 0.1


@pytest.mark.parametrize("days", [8, 15, 40])
def test_a_short_history_is_enough_for_an_answer(days: int) -> None:
    panel = shop(days=150).upto(FIRST + days - 1)
    mean, _ = forecaster().fit(panel, "units").forecast(28, (0.5,))
    assert np.isfinite(mean).all()


def test_a_closed_weekday_is_forecast_as_closed() -> None:
    mean, q = forecaster().fit(shop(keys=30, days=210), "units").forecast(14, (0.9,))
    closed = (np.arange(210, 224) % 7) == 5
    assert mean[:, closed].max() < 0.05 * mean[:, ~closed].mean()
    assert q[:, closed].max() < 1


def test_a_day_without_stock_is_not_a_day_without_demand() -> None:
    panel = shop(keys=8, days=160)
    out = np.zeros_like(panel.measures["units"])
    out[5, 100:] = 1
    panel.measures["units"][5, 100:] = 0
    blind = forecaster().fit(panel, "units").forecast(7, (0.5,))[0][5].sum()
    panel.measures["stockout"] = out
    told = forecaster().fit(panel, "units").forecast(7, (0.5,))[0][5].sum()
    assert told > 2 * blind


def test_weights_favour_who_was_right_and_add_up_to_one() -> None:
    rng = np.random.default_rng(5)
    actual = rng.poisson(5, (20, 60)).astype(float)
    good, bad = np.full((20, 60), 5.0), np.full((20, 60), 15.0)
    w = weights(np.stack([good, bad]), actual, np.ones(60))
    np.testing.assert_allclose(w.sum(axis=1), 1)
    assert (w[:, 0] > 0.95).all()


def test_quantiles_of_poisson_counts_cover_what_they_say() -> None:
    rng = np.random.default_rng(6)
    mean = rng.gamma(1, 10, (60, 1)) * np.ones((1, 200))
    past, future = rng.poisson(mean).astype(float), rng.poisson(mean)
    q = quantiles(fit(mean, past, np.ones(200)), mean, (0.1, 0.9))
    within = ((future >= q[..., 0]) & (future <= q[..., 1])).mean()
    assert 0.76 < within < 0.88


def test_intervals_grow_with_the_step_as_errors_did() -> None:
    rng = np.random.default_rng(8)
    step = np.tile(np.arange(1, 29), 6)
    actual = 100 + rng.normal(0, 5 * step**0.4, (30, len(step)))
    spread = fit(np.full(actual.shape, 100.0), actual, np.ones(len(step)), step)
    assert 0.3 < spread.growth < 0.5
    width = np.ptp(quantiles(spread, np.full((30, 40), 100.0), (0.1, 0.9)), axis=2)[0]
    np.testing.assert_allclose(width[[0, 27]], 2 * 1.2816 * 5 * np.array([1, 28]) ** 0.4, rtol=0.2)
    np.testing.assert_array_equal(width[28:], width[27])


def test_folds_of_few_series_that_differ_as_a_whole_widen_intervals_until_new_ones_are_covered() -> (
    None
):
    """Days of one origin share an error: what is learnt from few origins must hold for others."""
    rng = np.random.default_rng(9)
    fold = np.repeat(np.arange(0, 168, 28), 28)
    within, plain = [], []
    for _ in range(60):
        shift = np.repeat(rng.normal(0, 10, 6), 28)
        actual = 100 + shift + rng.normal(0, 5, (2, 168))
        mean, even = np.full(actual.shape, 100.0), np.ones(168)
        future = 100 + rng.normal(0, 10) + rng.normal(0, 5, (2, 28))
        for into, spread in (
            (within, calibrated(mean, actual, even, fold, apart(mean, actual, even, fold, 28))),
            (plain, fit(mean, actual, even)),
        ):
            q = quantiles(spread, mean[:, :28], (0.1, 0.9))
            into.append(((future >= q[..., 0]) & (future <= q[..., 1])).mean())
    assert np.mean(within) > max(np.mean(plain) + 0.02, 0.78)


def test_a_rise_in_every_fold_does_not_lift_the_median_and_makes_room_for_a_fall() -> None:
    rng = np.random.default_rng(12)
    fold = np.repeat(np.arange(0, 168, 28), 28)
    mean = np.full((3, 168), 100.0)
    rising = 125 + rng.normal(0, 5, (3, 168))  # each fold was missed by a quarter
    told = mean, rising, np.ones(168), fold
    spread = calibrated(*told, apart(*told, 28))
    low, middle, high = quantiles(spread, mean[:, :1], (0.1, 0.5, 0.9))[0, 0]
    assert 93 < middle < 107
    assert low < 85
    assert high > 120


def test_calm_folds_are_widened_by_a_history_that_was_not() -> None:
    rng = np.random.default_rng(13)
    rough, calm = rng.normal(100, 40, (4, 280)), rng.normal(100, 5, (4, 140))
    fold = np.repeat(np.arange(336, 420, 28), 28)
    told = np.ones(len(fold))
    both = np.maximum(np.concatenate([rough, calm], axis=1), 0)
    assert unrest(both, fold, told, 7, 28) > 1.4
    even = np.maximum(rng.normal(100, 5, (4, 420)), 0)
    assert unrest(even, fold, told, 7, 28) < 1.1
    assert unrest(both[:, ::-1], fold, told, 7, 28) == 1.0, "never narrower than the folds ask for"


def test_a_year_behind_a_series_has_its_share_of_the_weights() -> None:
    w = np.array([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6]])
    told = with_year(w, np.array([True, False]), ("naive", "average", "yearly"))
    np.testing.assert_allclose(told[0], [0.3, 0.3, 0.4])
    np.testing.assert_array_equal(told[1], w[1])
    np.testing.assert_array_equal(with_year(w, np.array([True, True]), ("a", "b", "c")), w)
    names = ("naive", "boosted", "yearly")
    told = with_year(w, np.array([True, False]), names, told=True)
    np.testing.assert_allclose(told[0], [0.3, 0.5, 0.2])  # who knows the weather gives nothing up
    np.testing.assert_array_equal(told[1], w[1])


def test_a_rare_series_does_not_follow_the_chances_of_a_year_ago() -> None:
    rng = np.random.default_rng(14)
    rare = rng.poisson(0.1, (200, 399)).astype(float)
    path = demand_windows.yearly(rare, 28, 7)
    level = path[:, :1] / np.maximum(path.mean(axis=1, keepdims=True), 1e-9)
    assert abs(level - 1).max() < 0.25
    season = 100 * (1.5 + np.cos(2 * np.pi * np.arange(399) / 364))[None]
    ratio = demand_windows.yearly(season, 28, 7)[0]
    expected = season[0, 399 - 364 : 399 - 364 + 28]
    assert np.corrcoef(ratio, expected)[0, 1] > 0.95


def test_members_that_are_right_by_luck_are_doubted_in_few_series() -> None:
    rng = np.random.default_rng(10)
    actual = rng.poisson(9, (1, 40)).astype(float)
    paths = np.stack([np.full((1, 40), 9.0)] * 2)
    w = weights(paths, actual, np.ones(40), ("naive", "smoothing"))
    assert w[0, 0] < 0.4 < w[0, 1]
    np.testing.assert_allclose(weights(paths, actual, np.ones(40)), 0.5)


def test_roll_ups_add_up() -> None:
    rng = np.random.default_rng(7)
    mean = rng.gamma(1, 5, (6, 4))
    q = np.stack([mean * 0.5, mean, mean * 2], axis=2)
    labels = list("aabbbc")
    names, total, wide = rolled_up(mean, q, labels)
    assert names == ["a", "b", "c"]
    np.testing.assert_allclose(total[1], mean[2:5].sum(axis=0))
    np.testing.assert_allclose(wide[2], q[5])
    added = q[:2].sum(axis=0)
    assert (wide[0, :, 2] <= added[:, 2] + 1e-9).all()
    assert (wide[0, :, 2] >= total[0]).all()
    np.testing.assert_allclose(shared_out(mean[0], np.array([1.0, 3.0])).sum(axis=0), mean[0])
