"""Who speaks of a class that no model can speak of, and what is said: against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config import ManualDemand
from edge.inference import demand_fallback
from edge.inference.demand_columns import columns
from edge.inference.demand_fallback import AVERAGE_DAYS, average, counted, manual_units, spoken
from edge.inference.manifest import stem

NAMES = [column.name for column in demand_fallback.COLUMNS]
NOT_TRAINED = np.full((1, 7), np.nan)


def said(y: list[float], name: str) -> float:
    told = average(np.array([y])).answer()[0]
    return float(told[NAMES.index(name)])


def test_it_tells_what_a_model_tells() -> None:
    assert list(demand_fallback.COLUMNS) == columns()
    assert average(np.ones((3, 20))).answer().shape == (3, len(NAMES))
    assert {stem(name) for name in NAMES} >= {"units_day_1", "units_day_91", "units_week_13"}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.5, 9.0, float("nan")]), min_size=8, max_size=27))
def test_a_short_history_is_its_plain_mean_and_quantiles(y: list[float]) -> None:
    known = [value for value in y if value == value]
    padded = known + [0.0] * max(7 - len(known), 0)
    assert said(y, "units_day_5") == pytest.approx(np.mean(padded), abs=1e-5)
    for level in (10, 50, 90):
        expected = np.quantile(padded, level / 100)
        assert said(y, f"units_day_5_p{level}") == pytest.approx(expected, abs=1e-5)
    assert said(y, "units_week_2") == pytest.approx(7 * np.mean(padded), abs=1e-4)


def test_one_sale_is_no_daily_habit() -> None:
    assert said([np.nan] * 50 + [7.0], "units_day_1") == pytest.approx(1.0)


def test_weekdays_are_told_apart_once_there_are_four_weeks() -> None:
    week = [40.0, 40, 40, 40, 80, 0, 40]
    many = said(week * 4, "units_day_5"), said(week * 4, "units_day_6")
    assert many[0] > 1.7 * said(week * 4, "units_day_1")
    assert many[1] < 2
    assert said(week * 3, "units_day_5") == said(week * 3, "units_day_6")
    assert said(week * 4, "units_week_1") == pytest.approx(sum(week), rel=1e-5)


def test_tomorrow_is_the_weekday_after_the_newest_day() -> None:
    week = [0.0, 0, 0, 100, 0, 0, 0]
    for shift in range(7):
        y = (week * 14)[: 91 + shift]
        tomorrow = (week * 15)[91 + shift]
        assert (said(y, "units_day_1") > 50) == (tomorrow > 0), shift


def test_a_rare_class_is_not_taken_to_be_shut_on_days_without_a_sale() -> None:
    y = [0.0] * AVERAGE_DAYS
    y[3] = y[20] = y[40] = 1.0
    told = [said(y, f"units_day_{d}") for d in range(1, 8)]
    assert min(told) > 0.5 * max(told)


def test_weeks_have_the_quantiles_of_the_weeks_there_were() -> None:
    chance = np.random.default_rng(4)
    y = np.repeat(chance.poisson(30, 13), 7).astype(float)  # the days of a week go together
    sums = np.array([y[i : i + 7].sum() for i in range(len(y) - 6)])
    for level in (10, 90):
        assert said(y.tolist(), f"units_week_1_p{level}") == pytest.approx(
            np.quantile(sums, level / 100), rel=1e-5
        )


def test_of_a_given_mean_the_quantiles_are_those_of_counts() -> None:
    week = counted(np.array([2.0]))
    assert week.quantiles[0, 0].tolist() == [0, 2, 4]  # Poisson's, of a mean of 2
    assert week.sums[0].tolist() == [9, 14, 19]
    assert week.mean.tolist() == [[2.0] * 7]


def test_a_class_counts_before_its_category_and_that_before_the_default() -> None:
    manual = ManualDemand(default=1.0, categories={"tents": 2.0}, classes={"A": 0.0})
    told = manual_units(manual, ["A", "B", "C"], ["tents", "tents", ""])
    assert told.tolist() == [0.0, 2.0, 1.0]
    assert np.isnan(manual_units(ManualDemand(), ["A"], ["tents"])).all()


def test_days_speak_first_then_what_a_model_learnt_then_the_configuration_then_nobody() -> None:
    nothing, some = np.full((1, 30), np.nan), np.full((1, 30), 3.0)
    learnt, manual, none = np.full((1, 7), 5.0), np.array([8.0]), np.array([np.nan])
    for y, trained, given_, who, mean in (
        (some, learnt, manual, "historical_average", 3.0),
        (nothing, learnt, manual, "historical_average", 5.0),
        (nothing, NOT_TRAINED, manual, "manual", 8.0),
        (nothing, NOT_TRAINED, none, "nothing_known", np.nan),
    ):
        week, speakers = spoken(y, trained, given_)
        assert speakers == [who]
        np.testing.assert_allclose(week.mean[0], mean, rtol=1e-6)
        assert np.isnan(week.answer()).all() == (who == "nothing_known")


def test_quantiles_never_cross_and_are_never_below_zero() -> None:
    chance = np.random.default_rng(6)
    y = chance.poisson(chance.gamma(0.5, 4, (40, 1)), (40, 120)).astype(float)
    y[chance.random(y.shape) < 0.3] = np.nan
    week = average(y)
    assert (np.diff(week.quantiles, axis=2) >= 0).all()
    assert (np.diff(week.sums, axis=1) >= 0).all()
    assert (week.answer() >= 0).all()
