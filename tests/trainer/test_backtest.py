"""The harness never shows the future, counts as a slow loop does, and keeps what it says."""

import itertools
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer import backtest, backtest_splits, metrics
from trainer.backtest import Cost, Plan, Run
from trainer.backtest_baselines import (
    NAIVE,
    AllZero,
    HistoricalAverage,
    SeasonalAverage,
    SeasonalNaive,
    is_seasonal,
    naive2,
    seasonal_indices,
)
from trainer.panel import Panel

LEVELS = (0.1, 0.5, 0.9)


def made(seed: int = 1, keys: int = 5, days: int = 84) -> Panel:
    """A small shop: shut on one weekday, one product new, one never sold until late."""
    chance = np.random.default_rng(seed)
    weekday = np.arange(days) % 7
    units = chance.poisson(3.0 + 2.0 * (weekday == 4), (keys, days)).astype(np.float32)
    units[:, weekday == 6] = 0
    units[1] = units[1] * (chance.random(days) < 0.3)
    units[2, :40] = np.nan
    units[3, :-10] = np.nan
    units[4] *= 20
    weather = chance.normal(size=days).astype(np.float32)
    return Panel(
        [f"k{i}" for i in range(keys)],
        np.arange(20_000, 20_000 + days),
        {"units": units, "price_cents": np.full((keys, days), 250, dtype=np.float32)},
        {"category": ["a", "a", "b", "b", "b"][:keys]},
        {"weather": weather},
    )


class Spy:
    """Remembers what it was shown; foretells the last known value."""

    name = "spy"

    def __init__(self) -> None:
        self.seen: list[Panel] = []
        self.updates = 0

    def fit(self, panel: Panel, measure: str) -> "Spy":
        self.seen.append(panel)
        self.y = panel.measures[measure]
        return self

    def forecast(self, horizon, levels):
        last = np.nan_to_num(self.y[:, -1:])
        mean = np.repeat(last, horizon, axis=1)
        return mean, np.repeat(mean[..., None], len(levels), axis=2)


class Updating(Spy):
    """Learns once, is told the rest."""

    def update(self, panel: Panel) -> None:
        self.updates += 1
        self.y = panel.measures["units"]


@pytest.mark.parametrize("known_ahead", [False, True])
def test_poisoned_future_values_change_no_forecast(known_ahead) -> None:
    panel, plan = made(), Plan((42, 56), 14, known_ahead=known_ahead)
    clean = backtest.run(panel, "units", plan, NAIVE)
    for known in plan.origins:
        poisoned = made()
        for values in poisoned.measures.values():
            values[:, known:] = 1e9
        poisoned.factors["weather"][known + (14 if known_ahead else 0) :] = 1e9
        again = backtest.run(poisoned, "units", plan, NAIVE)
        which = plan.origins.index(known)
        for before, after in zip(clean.runs, again.runs, strict=True):
            np.testing.assert_array_equal(before.mean[which], after.mean[which])
            np.testing.assert_array_equal(before.quantiles[which], after.quantiles[which])


def test_what_a_forecaster_is_shown_ends_at_the_origin_and_is_its_own() -> None:
    panel, spy = made(), Spy()
    backtest.run(panel, "units", Plan((42, 56), 14), [spy])
    for seen, known in zip(spy.seen, (42, 56), strict=True):
        assert len(seen.days) == known
        arrays = [seen.days, *seen.measures.values(), *seen.factors.values()]
        assert all(a.shape[-1] == known for a in arrays)
        assert all(a.base is None for a in arrays), "a view reaches into the future"
        seen.measures["units"][:] = -1
    np.testing.assert_array_equal(panel.measures["units"], made().measures["units"])


def test_factors_alone_are_known_ahead_and_only_over_the_horizon() -> None:
    spy = Spy()
    backtest.run(made(), "units", Plan((42,), 14, known_ahead=True), [spy])
    (seen,) = spy.seen
    assert seen.factors["weather"].shape == (56,)
    assert seen.measures["units"].shape[1] == len(seen.days) == 42


def test_without_refit_the_first_fit_is_told_what_came() -> None:
    model = Updating()
    found = backtest.run(made(), "units", Plan((42, 49, 56), 7, refit=False), [model])
    assert (len(model.seen), model.updates) == (1, 2)
    np.testing.assert_array_equal(
        found.runs[0].mean[2][:, 0], np.nan_to_num(made().measures["units"][:, 55])
    )
    with pytest.raises(AssertionError, match="no update"):
        backtest.run(made(), "units", Plan((42, 49), 7, refit=False), [Spy()])


def test_an_answer_that_is_no_number_is_named() -> None:
    class Broken(Spy):
        name = "broken"

        def forecast(self, horizon, levels):
            mean, quantiles = super().forecast(horizon, levels)
            return mean * np.nan, quantiles

    with pytest.raises(AssertionError, match="broken"):
        backtest.run(made(), "units", Plan((42,), 7), [Broken()])


def test_figures_agree_with_a_loop_over_every_single_forecast() -> None:
    found = backtest.run(made(), "units", Plan((42, 56), 14), [SeasonalNaive()])
    run = found.runs[0]
    y = made().measures["units"].astype(float)
    losses, scaled, rmsse, errors, actuals, inside = [], [], [], [], [], []
    for o, known in enumerate(found.plan.origins):
        for k in range(5):
            if np.isnan(y[k, :known]).all():
                continue
            own, squares = [], []
            for h in range(14):
                actual, mean = y[k, known + h], float(run.mean[o, k, h])
                for i, level in enumerate(LEVELS):
                    apart = actual - float(run.quantiles[o, k, h, i])
                    own.append(level * apart if apart >= 0 else (level - 1) * apart)
                squares.append((actual - mean) ** 2)
                errors.append(abs(actual - mean))
                actuals.append(actual)
                low, high = float(run.quantiles[o, k, h, 0]), float(run.quantiles[o, k, h, 2])
                inside.append(low <= actual <= high)
            before = [v for v in y[k, :known] if not math.isnan(v)]
            while before[0] == 0:
                before.pop(0)
            steps = [abs(b - a) for a, b in itertools.pairwise(before)]
            losses += own
            scaled.append(np.mean(own) / np.mean(steps))
            rmsse.append(math.sqrt(np.mean(squares) / np.mean([s * s for s in steps])))
    figures = backtest.score(found, run)
    assert figures["pinball"] == pytest.approx(np.mean(losses))
    assert figures["pinball_scaled"] == pytest.approx(np.mean(scaled))
    assert figures["rmsse"] == pytest.approx(np.mean(rmsse))
    assert figures["wape"] == pytest.approx(sum(errors) / sum(actuals))
    assert figures["coverage"] == pytest.approx(np.mean(inside))
    assert figures["forecasts"] == len(errors)


def test_a_series_counts_only_where_it_existed_at_the_origin() -> None:
    found = backtest.truth(made(), "units", Plan((30, 56), 14))
    assert np.isnan(found.actual[0, 2]).all()
    assert not np.isnan(found.actual[1, 2]).any()
    assert np.isnan(found.actual[:, 3]).all()


def test_a_step_is_busy_by_the_same_weekdays_before_it() -> None:
    busy = backtest.truth(made(), "units", Plan((30, 56), 14)).busy
    assert busy.shape == (2, 5, 14)
    assert not busy[:, :4].any()
    shut = (np.array([[30], [56]]) + np.arange(14)) % 7 == 6
    np.testing.assert_array_equal(busy[:, 4], ~shut)


def test_parts_of_one_cut_hold_every_forecast_once() -> None:
    found = backtest.run(made(), "units", Plan((42, 56), 14), [AllZero()])
    count = {
        part.name: backtest.score(found, found.runs[0], part)["forecasts"]
        for part in backtest.parts(found, [(1, 7), (8, 14), (15, 28)])
    }
    assert count["steps 1-7"] + count["steps 8-14"] == count["all"]
    assert sum(count[kind] for kind in metrics.KINDS) == count["all"]
    assert count["over 20 a step"] + count["not over 20 a step"] == count["all"]
    assert "steps 15-28" not in count


def test_the_best_of_several_takes_each_series_from_the_run_chosen_for_it() -> None:
    def run(name: str, value: float) -> Run:
        mean = np.full((2, 3, 4), value, dtype=np.float32)
        return Run(
            name, mean, np.full((2, 3, 4, 3), value, dtype=np.float32), [Cost(fit_s=1.0)] * 2
        )

    losses = [np.array([1.0, 5.0, math.nan]), np.array([2.0, 3.0, math.nan])]
    best, choice = backtest.best_of("best", [run("a", 1), run("b", 2)], losses)
    assert choice.tolist() == [0, 1, 0]
    assert best.mean[:, :, 0].tolist() == [[1, 2, 1], [1, 2, 1]]
    assert best.quantiles[1, 1, 3].tolist() == [2, 2, 2]
    assert best.cost.wall_s == 4.0


def test_by_series_and_by_step_average_to_the_whole() -> None:
    panel = made().rows(np.array([0, 1, 4]))
    found = backtest.run(panel, "units", Plan((42, 56), 14), [HistoricalAverage()])
    run = found.runs[0]
    whole = backtest.score(found, run)["pinball"]
    assert backtest.by_series(found, run).mean() == pytest.approx(whole)
    assert np.mean(backtest.by_step(found, run)["pinball"]) == pytest.approx(whole)
    squares = backtest.by_series(found, run, "rmse") ** 2
    apart = found.truth.actual - run.mean
    np.testing.assert_allclose(squares, (apart**2).mean(axis=(0, 2)))


def test_some_origins_are_scored_as_if_only_they_had_been_planned() -> None:
    whole = backtest.run(made(), "units", Plan((42, 49, 56), 14), NAIVE)
    alone = backtest.run(made(), "units", Plan((42, 56), 14), NAIVE)
    cut = backtest.at_origins(whole, [0, 2])
    assert cut.plan == alone.plan
    for one, two in zip(cut.runs, alone.runs, strict=True):
        assert backtest.score(cut, one) == backtest.score(alone, two)
        assert len(one.costs) == 2


def test_a_summary_comes_back_from_its_file() -> None:
    found = backtest.run(made(), "units", Plan((42, 56), 14), NAIVE)
    told = backtest.summary(found, "A shop", [(1, 7), (8, 14)], ["made up"])
    again = backtest.decode(backtest.encode(told))
    assert again == told
    assert again.origins == [20_041, 20_055]
    assert again.figure("seasonal_naive", "pinball") == pytest.approx(
        backtest.score(found, found.runs[0])["pinball"], abs=1e-5
    )
    assert all(t.peak_mb > 10 and t.cpu_s >= 0 for t in again.times)
    with pytest.raises(KeyError):
        again.figure("nobody", "pinball")
    with pytest.raises(msgspec.ValidationError):
        backtest.decode(b'{"title": 3}')


# -- naive forecasters ------------------------------------------------------------------------------


def test_the_seasonal_naive_forecast_is_the_last_week_again() -> None:
    panel = made().rows(np.array([0, 1]))
    mean, quantiles = SeasonalNaive().fit(panel, "units").forecast(10, LEVELS)
    y = panel.measures["units"]
    np.testing.assert_array_equal(mean, np.hstack([y[:, -7:], y[:, -7:-4]]))
    steps = (y[0, 7:] - y[0, :-7]).astype(float)
    expected = np.maximum(y[0, -7] + np.quantile(steps, LEVELS), 0)
    np.testing.assert_allclose(quantiles[0, 0], expected, rtol=1e-5)
    assert (np.diff(quantiles, axis=2) >= 0).all()


def test_an_unknown_day_is_passed_over_by_the_naive_forecasts() -> None:
    panel = made().rows(np.array([0]))
    panel.measures["units"][0, -7:-3] = np.nan
    mean, _ = SeasonalNaive().fit(panel, "units").forecast(7, LEVELS)
    y = panel.measures["units"][0]
    assert mean[0].tolist() == [*y[-14:-10].tolist(), *y[-3:].tolist()]


def test_averages_are_means_and_quantiles_of_what_was_known() -> None:
    panel = made().rows(np.array([0, 2]))
    y = panel.measures["units"].astype(float)
    mean, quantiles = HistoricalAverage().fit(panel, "units").forecast(3, LEVELS)
    np.testing.assert_allclose(mean[1, 2], np.nanmean(y[1]), rtol=1e-6)
    np.testing.assert_allclose(quantiles[1, 0], np.nanquantile(y[1], LEVELS), rtol=1e-6)
    mean, quantiles = SeasonalAverage().fit(panel, "units").forecast(9, LEVELS)
    np.testing.assert_allclose(mean[1, 8], np.nanmean(y[1, 1::7]), rtol=1e-6)
    assert mean[0, 6] == 0.0


@given(st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_naive_forecasts_answer_however_short_the_history(days, seed) -> None:
    panel = made(seed % 1000, days=84)
    short = Panel(panel.keys, panel.days[:days], {"units": panel.measures["units"][:, :days]})
    for model in (*NAIVE, AllZero()):
        mean, quantiles = model.fit(short, "units").forecast(30, LEVELS)
        assert np.isfinite(mean).all()
        assert np.isfinite(quantiles).all()
        assert (quantiles >= 0).all()


def test_naive2_finds_a_season_it_was_made_of_and_none_in_noise() -> None:
    chance = np.random.default_rng(3)
    wave = 1 + 0.5 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    y = np.tile(wave, 20) * 100
    np.testing.assert_allclose(seasonal_indices(y, 24), wave / wave.mean(), rtol=1e-6)
    assert is_seasonal(y, 24)
    np.testing.assert_allclose(naive2(y, 24, 30), 100 * np.tile(wave, 2)[:30], rtol=1e-6)
    assert not is_seasonal(chance.normal(100, 1, 300), 24)
    assert not is_seasonal(y[:60], 24), "too short to tell"
    assert naive2(np.full(50, 5.0), 7, 3).tolist() == [5.0, 5.0, 5.0]


# -- splits -----------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 300), min_size=2, max_size=60),
    st.integers(0, 30),
    st.floats(0.1, 0.9),
    st.integers(1, 4),
)
def test_no_row_learns_from_a_label_unknown_when_judging_begins(cutoffs, label, share, n) -> None:
    days = np.array(cutoffs)
    splits = [backtest_splits.temporal(days, label, share)]
    splits += backtest_splits.expanding(days, label, n, share)
    for split in splits:
        if split.learn.any() and split.judge.any():
            assert (days[split.learn] + label).max() <= days[split.judge].min()
    judged = np.sum([s.judge for s in splits[1:]], axis=0)
    assert judged.max(initial=0) <= 1, "a row is judged in two folds"


def test_origins_end_with_the_data_and_windows_do_not_overlap() -> None:
    assert backtest_splits.origins(200, 28, 3) == (116, 144, 172)
    assert backtest_splits.origins(200, 28, 2, step=7) == (165, 172)
    with pytest.raises(AssertionError, match="too few"):
        backtest_splits.origins(50, 28, 2)
