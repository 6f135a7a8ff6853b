"""Intervals follow what they missed: too narrow ones widen, too wide ones narrow, day by day."""

import numpy as np

from edge.inference import demand
from edge.inference.accuracy import judge
from edge.inference.corrections import QUESTION, Corrections
from edge.inference.manifest import Column

COLUMNS = [
    Column(name=QUESTION + f"_p{q * 100:.0f}", unit="units", horizon_days=1, quantile=q, lowest=0.0)
    for q in demand.LEVELS
]


def days(told: Corrections, width: float, count: int) -> list[float]:
    """Judge ``count`` days of forecasts of N(100, 10), so many deviations wide; the last coverages."""
    chance, coverages = np.random.default_rng(2), []
    for _ in range(count):
        offset = told.offset("v")
        grown = np.exp(offset) if offset is not None else np.ones(3)
        y = chance.normal(100, 10, 200)
        said = np.tile([100 - 10 * width * grown[0], 100, 100 + 10 * width * grown[2]], (200, 1))
        scores = judge(COLUMNS, said, y)
        coverages.append(scores.covered / scores.n)
        told.learn("demand", "v", QUESTION, scores)
    return coverages


def test_narrow_intervals_widen_until_they_cover() -> None:
    covered = days(Corrections(), 0.6, 250)
    assert covered[0] < 0.55
    assert 0.76 <= np.mean(covered[-50:]) <= 0.84


def test_wide_intervals_narrow() -> None:
    covered = days(Corrections(), 3.0, 400)
    assert covered[0] > 0.98
    assert 0.76 <= np.mean(covered[-50:]) <= 0.86


def test_other_questions_and_services_teach_nothing() -> None:
    told = Corrections()
    scores = judge(COLUMNS, np.zeros((5, 3)), np.ones(5))
    told.learn("inventory", "v", QUESTION, scores)
    told.learn("demand", "v", "units_week_1", scores)
    assert told.offset("v") is None


def test_a_low_quantile_of_nothing_cannot_be_missed() -> None:
    told = Corrections()
    said = np.tile([0.0, 1.0, 3.0], (50, 1))
    told.learn("demand", "v", QUESTION, judge(COLUMNS, said, np.zeros(50)))
    offset = told.offset("v")
    assert offset is not None
    assert offset[0] == 0.0
    assert offset[2] < 0.0
