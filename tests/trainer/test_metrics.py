"""Every figure beside a slow sum written out, or a number from its source. No models."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as judge

from trainer import metrics

CHANCE = np.random.default_rng(7)
ACTUAL = CHANCE.poisson(3.0, (4, 9)).astype(float)
ACTUAL[0, 3] = math.nan
ACTUAL[2] = math.nan
FORECAST = CHANCE.gamma(3.0, 1.0, (4, 9))
LEVELS = (0.1, 0.5, 0.9)
QUANTILES = np.sort(CHANCE.gamma(3.0, 1.0, (4, 9, 3)), axis=-1)


def each(error) -> list[float]:
    """Mean of ``error(actual, forecast)`` over the known days of each series, by hand."""
    made = []
    for row in range(4):
        errors = [
            error(a, f)
            for a, f in zip(ACTUAL[row], FORECAST[row], strict=True)
            if not math.isnan(a)
        ]
        made.append(sum(errors) / len(errors) if errors else math.nan)
    return made


@pytest.mark.parametrize(
    ("figure", "error"),
    [
        (metrics.mae, lambda a, f: abs(a - f)),
        (metrics.bias, lambda a, f: f - a),
        (metrics.smape, lambda a, f: 200 * abs(a - f) / (abs(a) + abs(f))),
    ],
)
def test_a_mean_error_is_the_sum_over_known_days_by_their_number(figure, error) -> None:
    np.testing.assert_allclose(figure(ACTUAL, FORECAST), each(error), rtol=1e-12)


def test_rmse_and_its_scaled_form_are_roots_of_mean_squares() -> None:
    squares = np.array(each(lambda a, f: (a - f) ** 2))
    np.testing.assert_allclose(metrics.rmse(ACTUAL, FORECAST), np.sqrt(squares))
    scale = np.array([2.0, 4.0, 1.0, 0.0])
    expected = [math.sqrt(squares[0] / 2), math.sqrt(squares[1] / 4), math.nan, math.nan]
    np.testing.assert_allclose(metrics.rmsse(ACTUAL, FORECAST, scale), expected)


def test_wape_divides_sums_and_accuracy_is_what_is_left() -> None:
    a, f = ACTUAL[1], FORECAST[1]
    expected = sum(abs(x - y) for x, y in zip(a, f, strict=True)) / sum(a)
    assert metrics.wape(ACTUAL, FORECAST)[1] == pytest.approx(expected)
    assert metrics.accuracy(a, f) == pytest.approx(1 - expected)
    assert math.isnan(metrics.wape([0.0, 0.0], [1.0, 0.0]))


def test_smape_of_nothing_foretold_and_nothing_sold_is_no_error() -> None:
    assert metrics.smape([0.0, 0.0], [0.0, 1.0]) == 100.0


def test_a_scale_counts_from_the_first_sale_on_and_skips_unknown_days() -> None:
    history = [math.nan, 0.0, 0.0, 2.0, 5.0, math.nan, 1.0, 2.0]
    assert metrics.difference_scale(history) == (3 + 1) / 2
    assert metrics.difference_scale(history, power=2) == (9 + 1) / 2
    # lag 3: (2 -> 1: one), (5 -> 2: three), (unknown -> …: none)
    assert metrics.difference_scale(history, lag=3) == 2.0
    assert math.isnan(metrics.difference_scale([0.0, 0.0, 0.0]))


def test_mase_of_the_seasonal_naive_forecast_inside_its_history_is_one() -> None:
    history = CHANCE.gamma(2.0, 1.0, 28)
    scale = metrics.difference_scale(history, lag=7)
    assert metrics.mase(history[7:], history[:-7], scale) == pytest.approx(1.0)


def test_the_published_owa_of_m4s_seasonal_naive_follows_from_its_errors() -> None:
    assert metrics.owa(13.912, 1.193, 18.383, 2.395) == pytest.approx(0.628, abs=1e-3)


def test_pinball_agrees_with_another_implementation() -> None:
    for i, level in enumerate(LEVELS):
        ours = metrics.pinball_losses(ACTUAL[1], QUANTILES[1], LEVELS)[:, i].mean()
        theirs = judge.mean_pinball_loss(ACTUAL[1], QUANTILES[1, :, i], alpha=level)
        assert ours == pytest.approx(theirs)
    whole = metrics.pinball(ACTUAL, QUANTILES, LEVELS)
    assert whole.shape == (4,)
    assert math.isnan(whole[2])


@given(st.lists(st.floats(0, 100), min_size=5, max_size=60), st.sampled_from(LEVELS))
def test_the_empirical_quantile_is_the_constant_of_least_pinball_loss(values, level) -> None:
    y = np.array(values)
    best = np.quantile(y, level, method="inverted_cdf")
    loss = metrics.pinball(y, np.full((len(y), 1), best), [level])
    for other in (best - 1, best + 1, y.mean()):
        assert loss <= metrics.pinball(y, np.full((len(y), 1), other), [level]) + 1e-9


def test_an_interval_score_is_the_pinball_of_both_ends_in_other_units() -> None:
    low, high = QUANTILES[..., 0], QUANTILES[..., 2]
    losses = metrics.pinball_losses(ACTUAL, QUANTILES, LEVELS)
    expected = 2 / 0.2 * (losses[..., 0] + losses[..., 2])
    np.testing.assert_allclose(
        metrics.interval_score(ACTUAL, low, high, 0.8), metrics.mean_known(expected, axis=-1)
    )


def test_coverage_counts_both_ends_of_the_interval_as_inside() -> None:
    assert metrics.coverage([1.0, 3.0, 4.0, math.nan], [1.0] * 4, [3.0] * 4) == pytest.approx(2 / 3)


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.7, 1.0])),
        min_size=2,
        max_size=80,
    ).filter(lambda rows: any(y for y, _ in rows))
)
def test_pr_auc_and_brier_agree_with_another_implementation_ties_included(rows) -> None:
    y, p = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    assert metrics.pr_auc(y, p) == pytest.approx(judge.average_precision_score(y, p))
    assert metrics.brier(y, p) == pytest.approx(np.mean((p - y) ** 2), abs=1e-9)
    calls = p >= 0.5
    assert metrics.f1(y, calls) == pytest.approx(judge.f1_score(y, calls, zero_division=0.0))
    best, threshold = metrics.best_f1(y, p)
    assert best == pytest.approx(metrics.f1(y, p >= threshold))
    assert best == pytest.approx(max(metrics.f1(y, p >= t) for t in set(p.tolist())))


def test_precision_at_a_recall_is_the_best_that_finds_as_much() -> None:
    y = [True, False, True, False, False, True]
    score = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert metrics.precision_at_recall(y, score, 1 / 3) == 1.0
    assert metrics.precision_at_recall(y, score, 2 / 3) == pytest.approx(2 / 3)
    assert metrics.precision_at_recall(y, score, 1.0) == 0.5
    assert metrics.recall_at_precision(y, score, 0.6) == pytest.approx(2 / 3)
    assert metrics.recall_at_precision([False, True], [0.9, 0.1], 0.9) == 0.0


def test_probabilities_drawn_honestly_are_calibrated_and_boastful_ones_are_not() -> None:
    p = CHANCE.beta(1, 9, 20_000)
    y = CHANCE.random(20_000) < p
    honest = metrics.calibration(y, p)
    assert honest.rows.sum() == 20_000
    assert honest.error < 0.02
    assert metrics.calibration(y, np.sqrt(p)).error > 0.1
    assert honest.triples()[0][2] == honest.rows[0]


def test_calibration_does_not_tear_equal_probabilities_apart() -> None:
    bins = metrics.calibration([1, 0, 0, 1, 1, 0], [0.2, 0.2, 0.2, 0.2, 0.9, 0.9], bins=5)
    assert bins.predicted.tolist() == pytest.approx([0.2, 0.9])
    assert bins.observed.tolist() == [0.5, 0.5]
    assert metrics.calibration([True, False], [0.5, 0.5]).error == 0.0


def test_quantile_calibration_tells_the_share_below_each_level() -> None:
    actual = np.arange(10.0)[None]
    quantiles = np.broadcast_to([0.0, 4.0, 8.0], (1, 10, 3))
    assert metrics.quantile_calibration(actual, quantiles, LEVELS) == [
        (0.1, 0.1, 10),
        (0.5, 0.5, 10),
        (0.9, 0.9, 10),
    ]


def test_series_fall_into_the_four_kinds_of_syntetos_boylan_and_croston() -> None:
    rare, late = [0, 0, 0, 4] * 5, [math.nan, 0, 0] + [5] * 17
    history = np.array(
        [[4, 5] * 10, [1, 1, 1, 30] * 5, rare, [0, 0, 1, 0, 0, 30] * 3 + [0, 0], late, [0] * 20],
        dtype=float,
    )
    named = [metrics.KINDS[i] for i in metrics.kinds(history)]
    assert named == ["smooth", "erratic", "intermittent", "lumpy", "smooth", "intermittent"]
