"""Scores are sums, and every figure is what a person would compute from the single predictions."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.inference.accuracy import Scores, by_group, figures, judge
from edge.inference.manifest import Column

UNITS = [
    Column(name="units", unit="units", horizon_days=7),
    Column(name="units_q10", unit="units", horizon_days=7, quantile=0.1),
    Column(name="units_q50", unit="units", horizon_days=7, quantile=0.5),
    Column(name="units_q90", unit="units", horizon_days=7, quantile=0.9),
]
RISK = [Column(name="failure", unit="1", horizon_days=30, lowest=0.0, highest=1.0)]

small = st.floats(-50, 50, width=32)
row = st.tuples(small, small, small, small, st.one_of(small, st.just(math.nan)))


def slowly(rows: list[tuple[float, ...]]) -> dict[str, float]:
    """One prediction after the other."""
    told = [r for r in rows if not any(math.isnan(v) for v in r)]
    n = len(told)
    if not n:
        return {"n": 0.0}
    out = {
        "n": n,
        "bias": sum(r[0] - r[4] for r in told) / n,
        "mae": sum(abs(r[0] - r[4]) for r in told) / n,
        "rmse": math.sqrt(sum((r[0] - r[4]) ** 2 for r in told) / n),
    }
    actual = sum(abs(r[4]) for r in told)
    if actual > 0:
        out["wape"] = sum(abs(r[0] - r[4]) for r in told) / actual
        out["accuracy"] = 1 - out["wape"]
    for i, level in ((1, 0.1), (2, 0.5), (3, 0.9)):
        losses = [
            level * (r[4] - r[i]) if r[4] > r[i] else (1 - level) * (r[i] - r[4]) for r in told
        ]
        out[f"pinball_{level:g}"] = sum(losses) / n
        out[f"below_{level:g}"] = sum(r[4] <= r[i] for r in told) / n
    out["coverage"] = sum(r[1] <= r[4] <= r[3] for r in told) / n
    out["interval_width"] = sum(r[3] - r[1] for r in told) / n
    out["interval_score"] = (
        sum(r[3] - r[1] + max(r[1] - r[4], 0) / 0.1 + max(r[4] - r[3], 0) / (1 - 0.9) for r in told)
        / n
    )
    return out


def judged(rows: list[tuple[float, ...]]) -> Scores:
    table = np.array(rows, np.float64).reshape(len(rows), 5)
    return judge(UNITS, table[:, :4], table[:, 4])


@given(st.lists(row, max_size=20), st.lists(row, max_size=20))
def test_figures_of_a_forecast_are_those_of_its_single_predictions(
    first: list[tuple[float, ...]], second: list[tuple[float, ...]]
) -> None:
    found = figures(judged(first).add(judged(second)))
    expected = slowly([*first, *second])
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6, rel=1e-6), name


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=40))
def test_figures_of_a_probability_are_those_of_its_single_predictions(
    rows: list[tuple[float, bool]],
) -> None:
    said = np.array([[p] for p, _ in rows])
    came = np.array([float(y) for _, y in rows])
    half = len(rows) // 2
    scores = judge(RISK, said[:half], came[:half]).add(judge(RISK, said[half:], came[half:]))
    found = figures(scores)
    assert found["brier"] == pytest.approx(sum((p - y) ** 2 for p, y in rows) / len(rows), abs=1e-9)
    assert found["base_rate"] == pytest.approx(sum(y for _, y in rows) / len(rows))
    error = 0.0
    for i in range(10):
        inside = [(p, y) for p, y in rows if min(int(p * 10), 9) == i]
        error += abs(sum(p for p, _ in inside) - sum(y for _, y in inside))
    assert found["calibration_error"] == pytest.approx(error / len(rows), abs=1e-9)


@given(st.lists(st.tuples(row, st.integers(0, 3)), max_size=20))
def test_sums_by_group_are_those_of_each_group_alone(
    rows: list[tuple[tuple[float, ...], int]],
) -> None:
    table = np.array([r for r, _ in rows], np.float64).reshape(len(rows), 5)
    groups = np.array([g for _, g in rows], np.int64)
    found = by_group(UNITS, table[:, :4], table[:, 4], groups, 4)
    for g in range(4):
        alone = judged([r for r, of in rows if of == g])
        expected = (
            alone.n, alone.error, alone.absolute_error, alone.absolute_actual, alone.covered
        )  # fmt: skip
        assert found[g].tolist() == pytest.approx(expected, abs=1e-6)


def test_the_median_is_the_point_forecast_where_no_mean_is_told() -> None:
    scores = judge(UNITS[1:], np.array([[1.0, 2.0, 5.0]]), np.array([4.0]))
    assert figures(scores)["bias"] == -2.0


def test_scores_survive_a_table_as_json() -> None:
    scores = judged([(1, 0, 1, 2, 1.5), (3, 1, 2, 4, 9)])
    assert msgspec.json.decode(msgspec.json.encode(scores), type=Scores) == scores
    assert figures(Scores()) == {"n": 0.0}


def test_one_infinite_answer_spoils_no_sum() -> None:
    actual = np.array([1.0, 2.0, np.inf])
    told = np.array([[1.0, 0.0, 1.0, 2.0], [np.inf, 0.0, 1.0, 2.0], [1.0, 0.0, 1.0, 2.0]])
    scores = judge(UNITS, told, actual)
    assert scores == judge(UNITS, told[:1], actual[:1])
    assert msgspec.json.decode(msgspec.json.encode(scores), type=Scores) == scores
    assert by_group(UNITS, told, actual, np.zeros(3, np.int64), 1)[0].tolist() == [1, 0, 0, 1, 1]


def test_a_probability_below_nothing_counts_in_the_lowest_bin() -> None:
    scores = judge(RISK, np.array([[-0.25], [1.25]]), np.array([0.0, 1.0]))
    assert [scores.probabilities[i][0] for i in (0, 9)] == [1, 1]


def test_quantiles_without_a_point_have_no_error_rather_than_none_at_all() -> None:
    told = judge([UNITS[1], UNITS[3]], np.array([[0.0, 2.0]]), np.array([5.0]))
    assert figures(told).keys() & {"bias", "mae", "rmse", "wape", "accuracy"} == set()
    assert figures(told)["coverage"] == 0.0
