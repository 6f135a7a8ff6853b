"""What the bench of real input computes of files itself, held against the services. No files, no daemon."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.real_services import LEAD_DAYS, LEAD_SD_DAYS, LEVEL, Compared, enough, points_of_history
from edge.services import lead_time, reorder


def made(classes: int, seed: int) -> np.ndarray:
    chance = np.random.default_rng(seed)
    some = chance.random((182, classes)) < chance.uniform(0.05, 0.9, classes)
    return some * chance.negative_binomial(0.5, 0.05, (182, classes)).astype(float)


def of_the_service(days: np.ndarray, drift: float = lead_time.DRIFT) -> np.ndarray:
    curve, _ = lead_time.from_history(days, drift)
    k = days.shape[1]
    mean, variance = curve.at(np.full(k, float(LEAD_DAYS)), np.full(k, LEAD_SD_DAYS))
    return reorder.point(mean, variance, LEVEL)


def test_points_worked_out_from_days_alone_are_those_of_the_service() -> None:
    days = made(200, 1)
    assert points_of_history(days).tolist() == of_the_service(days).tolist()


def test_another_drift_would_be_seen() -> None:
    days = made(200, 2)
    assert (points_of_history(days) != of_the_service(days, 0.3)).mean() > 0.5


@given(st.floats(0.1, 300), st.floats(1.01, 20))
def test_so_many_units_are_enough_and_one_fewer_is_not(mean: float, over: float) -> None:
    units = enough(mean, mean * over, LEVEL)
    told = reorder.point(np.array([mean]), np.array([mean * over]), LEVEL)
    assert units == pytest.approx(told[0])


def test_a_line_says_differs_as_soon_as_one_does() -> None:
    assert Compared("x", 3, 3, "").line.startswith("equal")
    assert Compared("x", 3, 2, "").line.startswith("DIFFERS")
