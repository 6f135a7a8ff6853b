"""Sums, parts and the nowcast of demand, against what a person would work out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.services import demand


def test_means_add_up_and_widths_like_squares() -> None:
    mean = np.array([[3.0, 1.0], [4.0, np.nan], [np.nan, np.nan]])
    low = np.array([[0.0, np.nan], [0.0, np.nan], [np.nan, np.nan]])
    high = np.array([[9.0, np.nan], [12.0, np.nan], [np.nan, np.nan]])
    found = demand.together(mean, low, high)
    assert found.mean.tolist() == [7.0, 1.0]
    assert found.low[0] == pytest.approx(7 - 5)  # of 3 and 4
    assert found.high[0] == pytest.approx(7 + 10)  # of 6 and 8
    assert np.isnan(found.low[1])
    assert np.isnan(found.high[1])


def test_swings_hold_what_they_promise_though_classes_err_together() -> None:
    rng = np.random.default_rng(5)
    week = np.array([1.0, 1.0, 1.0, 1.2, 1.5, 2.0, 0.5])
    held_day, held_week = [], []
    for _ in range(60):
        level = np.exp(rng.normal(0, 0.15, 60)).repeat(7)[
            : 7 * 40
        ]  # all classes alike, week by week
        y = rng.poisson(100 * week[np.arange(280) % 7] * level).astype(float)
        past, later = y[:200], y[200:]
        found = demand.swings(past, 4)
        assert found is not None
        mean = past[-28:].reshape(4, 7).mean(axis=0)[(np.arange(28)) % 7]
        for k in range(4):
            days, said = later[7 * k : 7 * k + 7], mean[7 * k : 7 * k + 7]
            low, high = found.day_low[k], found.day_high[k]
            held_day += ((said * low <= days) & (days <= said * high)).tolist()
            total = said.sum()
            week_low, week_high = total * found.week_low[k], total * found.week_high[k]
            held_week.append(week_low <= days.sum() <= week_high)
    assert 0.68 < np.mean(held_day) < 0.88
    assert 0.6 < np.mean(held_week) < 0.88


def test_swings_need_some_weeks_and_pass_over_days_nobody_saw() -> None:
    assert demand.swings(np.ones(50), 2) is None
    past = np.ones(120)
    past[60] = np.nan
    found = demand.swings(past, 13)
    assert found is not None
    assert set(np.concatenate([found.day_low, found.week_high])) == {1.0}
    assert len(found.day_low) == 13


def test_bounds_hold_for_the_interval_too() -> None:
    ahead = demand.Ahead(np.array([5.0]), np.array([1.0]), np.array([9.0])).bounded(2.0, 6.0)
    assert (ahead.mean[0], ahead.low[0], ahead.high[0]) == (5.0, 2.0, 6.0)


@given(
    st.lists(st.floats(0, 1e4), min_size=7, max_size=91),
    st.integers(0, 6),
    st.floats(-0.4, 0.9),
)
def test_parts_always_add_up_to_the_forecast(values: list[float], first: int, ratio: float) -> None:
    mean = np.array(values)
    weekday = (first + np.arange(len(mean))) % 7
    shares = np.where(np.arange(len(mean)) % 11 == 3, 0.5, 1.0)
    effect = np.full(len(mean), ratio)
    found = demand.parts(mean, weekday, shares, effect)
    whole = found.trend + found.season + found.holiday + found.influence
    assert np.allclose(whole, mean * (1 + ratio), rtol=1e-9, atol=1e-6)


def test_a_known_pattern_is_taken_apart_as_it_was_put_together() -> None:
    days = np.arange(28)
    weekday = days % 7
    index = np.array([0.5, 0.5, 0.5, 1.0, 1.0, 2.0, 1.5])
    level = 100 + 7.0 * (days // 7)
    shares = np.where(days == 9, 0.25, 1.0)
    found = demand.parts(level * index[weekday] * shares, weekday, shares, np.zeros(28))
    assert found.trend_per_week == pytest.approx(7.0)
    assert np.allclose(found.index, index, atol=0.05)
    assert found.holiday[9] == pytest.approx(-0.75 * 107 * 0.5)
    assert np.abs(np.delete(found.holiday, 9)).max() == 0


def test_a_closed_day_and_no_forecast_at_all_break_nothing() -> None:
    shares = np.array([1.0] * 6 + [0.0])
    found = demand.parts(np.array([4.0] * 6 + [0.0]), np.arange(7), shares, np.zeros(7))
    assert found.holiday[6] == pytest.approx(-4.0)
    unknown = demand.parts(np.full(7, np.nan), np.arange(7), np.ones(7), np.zeros(7))
    assert np.isnan(unknown.trend).all()


@given(st.floats(0.5, 5_000), st.floats(0.0, 1.0), st.floats(0, 10_000), st.floats(0.01, 2.0))
def test_the_nowcast_lies_above_what_is_counted_and_rises_with_it(
    mean: float, share: float, so_far: float, wide: float
) -> None:
    low, high = max(mean * (1 - wide), 0.0), mean * (1 + wide)
    found = demand.nowcast(mean, low, high, so_far, share)
    assert found.units >= so_far
    assert so_far <= found.low <= found.high
    more = demand.nowcast(mean, low, high, so_far + 5, share)
    assert more.units >= found.units - 1e-6


def test_the_nowcast_begins_with_the_forecast_and_ends_with_the_count() -> None:
    assert demand.nowcast(50, 40, 60, 0, 0.0).units == pytest.approx(50)
    end = demand.nowcast(50, 40, 60, 71, 1.0)
    assert (end.units, end.low, end.high) == (71, 71, 71)
    noon = demand.nowcast(50, 40, 60, 25, 0.5)
    assert noon.units == pytest.approx(50)
    steady = demand.nowcast(1_000, 640, 1_360, 750, 0.5)  # the day's rate is another
    assert 1_300 < steady.units < 1_500
    lots = demand.nowcast(
        50, 0, 150, 75, 0.5
    )  # somebody took a lot: the rest of the day is as it was
    assert 95 < lots.units < 115


@pytest.mark.parametrize("lot", [1, 12])
def test_a_nowcast_holds_what_it_promises(lot: int) -> None:
    rng = np.random.default_rng(3)
    held, better = [], []
    for _ in range(3_000):
        rate = rng.gamma(16, 240 / 16 / lot)
        share = rng.beta(0.4 * 20, 0.6 * 20)
        morning, rest = lot * rng.poisson(rate * share), lot * rng.poisson(rate * (1 - share))
        sd = np.sqrt((240 / 4) ** 2 + 240 * lot)
        found = demand.nowcast(240, 240 - 1.28 * sd, 240 + 1.28 * sd, morning, 0.4)
        held.append(found.low <= morning + rest <= found.high)
        better.append(abs(240 - morning - rest) - abs(found.units - morning - rest))
    assert 0.74 < np.mean(held) < 0.87
    assert np.mean(better) > 5


def test_a_factor_is_found_by_its_effect_and_chance_is_not() -> None:
    rng = np.random.default_rng(1)
    weekday = np.arange(39) % 7
    heat = rng.normal(20, 5, 39)
    base = np.array([10, 10, 10, 12, 15, 30, 20.0])[weekday]
    units = base * (1 + 0.04 * (heat - 20)) * rng.normal(1, 0.03, 39)
    noise = {f"n{i}": rng.normal(0, 1, 39) for i in range(5)}
    (found,) = demand.influences(units, weekday, {"heat": heat, **noise})
    assert (found.name, found.days) == ("heat", 39)
    assert found.ratio == pytest.approx(0.04, rel=0.3)
    effect = demand.effect_of([found], {"heat": 20.0}, {"heat": np.array([25.0, np.nan, 500.0])})
    assert effect[0] == pytest.approx(0.2, rel=0.3)
    assert (effect[1], effect[2]) == (0.0, demand.INFLUENCE_MOST)


def test_few_days_or_a_constant_say_nothing() -> None:
    weekday = np.arange(39) % 7
    units = np.where(np.arange(39) < 30, np.nan, 5.0)
    assert demand.influences(units, weekday, {"x": np.arange(39.0)}) == []
    assert demand.influences(np.full(39, 5.0), weekday, {"x": np.ones(39)}) == []
