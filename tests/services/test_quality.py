"""Grades ahead, health, price against grade and inspections, each against a slow way of saying it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edge.services import quality
from edge.services.quality import (
    HORIZONS_DAYS,
    MIDDLE,
    changes,
    curve,
    group_of,
    health,
    inspection_interval,
    inspections,
    price_relation,
    shares_told,
    t_quantile,
    t_two_sided,
    wear,
    worn,
)

NAMES = ("p_grade_a_90d", "p_grade_b_90d", "p_grade_c_90d", "days_to_grade_c_p50")


def slow_shares(start: np.ndarray, after: np.ndarray, change: np.ndarray, day: float) -> np.ndarray:  # type: ignore[type-arg]
    """Step by step, one item."""
    points = [start, after]
    for _ in range(6):
        points.append(
            np.array([sum(points[-1][g] * change[g][h] for g in range(3)) for h in range(3)])
        )
    step = int(day // 90)
    part = day / 90 - step
    return (1 - part) * points[step] + part * points[step + 1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000))
def test_a_curve_is_that_of_walking_step_by_step(seed: int) -> None:
    random = np.random.default_rng(seed)
    grade = random.integers(1, 10, 5).astype(float)
    after, change = random.dirichlet((1, 1, 1), 5), random.dirichlet((1, 1, 1), 3)
    found = curve(grade, after, change)
    assert found.shares.sum(axis=2) == pytest.approx(np.ones((5, len(HORIZONS_DAYS))))
    for i in range(5):
        start = np.eye(3)[group_of(grade)[i]]
        level = MIDDLE.copy()
        level[group_of(grade)[i]] = grade[i]
        for t, day in enumerate(HORIZONS_DAYS):
            expected = slow_shares(start, after[i], change, day)
            assert found.shares[i, t] == pytest.approx(expected)
            assert found.grade[i, t] == pytest.approx(float(expected @ level))
        days = next(
            (
                d / 4
                for d in range(4 * 451)
                if slow_shares(start, after[i], change, d / 4)[2] >= 0.5
            ),
            math.inf,
        )
        if math.isfinite(days) and found.threshold_days[i] <= 360:
            assert found.threshold_days[i] == pytest.approx(days, abs=0.3)


def test_an_item_that_stays_as_it_is_keeps_its_grade() -> None:
    found = curve(np.array([6.0, np.nan]), np.array([[0, 1, 0], [0, 1.0, 0]]), np.eye(3))
    assert found.grade[0].tolist() == [6.0] * len(HORIZONS_DAYS)
    assert math.isinf(found.threshold_days[0])
    assert np.isnan(found.grade[1]).all()
    assert math.isnan(found.threshold_days[1])


def test_columns_of_a_model_become_three_groups() -> None:
    values = np.array([[0.2, 0.5, 0.3, 40.0]])
    assert shares_told(NAMES, values, np.array([8.0]))[0].tolist() == [0.2, 0.5, 0.3]
    two = ("p_grade_b_or_better_90d", "p_grade_c_90d")
    told = shares_told(two, np.array([[0.7, 0.3], [0.7, 0.3]]), np.array([8.0, 5.0]))
    assert told.tolist() == [[0.7, 0.0, 0.3], [0.0, 0.7, 0.3]]
    worse = ("p_grade_a_90d", "p_grade_b_or_worse_90d")
    told = shares_told(worse, np.array([[0.6, 0.4], [0.6, 0.4]]), np.array([8.0, 2.0]))
    assert told.tolist() == [[0.6, 0.4, 0.0], [0.6, 0.0, 0.4]]
    assert np.isnan(shares_told(("grade",), np.array([[5.0]]), np.array([5.0]))).all()


def test_changes_of_few_items_are_held_towards_staying() -> None:
    after = np.tile(np.array([[0.5, 0.5, 0.0]]), (8, 1))
    made = changes(np.zeros(8, np.int64), after)
    assert made[0].tolist() == pytest.approx([0.75, 0.25, 0.0])
    assert made[1].tolist() == [0.0, 1.0, 0.0]
    assert made.sum(axis=1) == pytest.approx(np.ones(3))


def test_wear_is_the_slope_of_grades_over_use() -> None:
    random = np.random.default_rng(1)
    cls = np.repeat(np.arange(3), 400)
    used = random.uniform(0, 300, 1_200)
    loss = np.array([0.01, 0.02, 0.0])
    grade = 9 - loss[cls] * used + random.normal(0, 0.3, 1_200)
    assert wear(grade, used, cls, 4)[:3] == pytest.approx(loss, abs=0.002)
    assert wear(grade, used, cls, 4)[3] == pytest.approx(0.01, abs=0.002)  # as all items
    assert np.isnan(wear(grade[:1], used[:1], cls[:1], 1)).all()
    path, until = worn(np.array([9.0, 9.0]), np.array([0.1, 0.0]), (10, 600))
    assert path.tolist() == [[8.0, 1.0], [9.0, 9.0]]
    assert until.tolist() == [pytest.approx(55.0), math.inf]


def test_a_grade_between_two_counts_for_both_groups() -> None:
    path = np.linspace(1.0, 9.0, 33)[None, :]
    shares = quality.shares_of(path)
    assert shares.sum(axis=2) == pytest.approx(np.ones((1, 33)))
    for grade, share in zip(path[0].tolist(), shares[0].tolist(), strict=True):
        assert share[2] == pytest.approx(min(max(4 - grade, 0.0), 1.0))
        assert share[0] == pytest.approx(min(max(grade - 6, 0.0), 1.0))


def test_health_falls_with_every_part_and_leaves_out_what_nobody_knows() -> None:
    def score(grade: float = 8, chance: float = 0.1, defects: int = 0, spent: float = 0.2) -> float:
        of = [np.array([v]) for v in (grade, chance, defects, spent)]
        return float(health(*of)[0][0])

    assert score(grade=5) < score()
    assert score(chance=0.5) < score()
    assert score(defects=1) < score()
    assert score(spent=0.9) < score()
    assert score(1, 1, 9, 2) == 0.0
    _, parts, known = health(np.array([np.nan]), np.array([0.0]), np.array([0]), np.array([np.nan]))
    assert known[0] == pytest.approx(0.45)
    assert np.isnan(parts[0, 0])
    assert math.isnan(
        health(np.array([np.nan]), np.array([np.nan]), np.array([np.nan]), np.array([np.nan]))[0][0]
    )


def test_the_relation_of_price_and_grade_is_the_weighted_line() -> None:
    random = np.random.default_rng(2)
    grade = random.integers(3, 10, 60).astype(float)
    price = np.exp(7 + 0.05 * grade + random.normal(0, 0.1, 60))
    found = price_relation(grade, price, np.ones(60))
    line = stats.linregress(grade, np.log(price))
    error = stats.t.ppf(0.975, 58) * line.stderr
    assert found.per_grade == pytest.approx(math.expm1(line.slope))
    assert found.low == pytest.approx(math.expm1(line.slope - error), abs=1e-5)
    assert found.high == pytest.approx(math.expm1(line.slope + error), abs=1e-5)
    assert found.explained == pytest.approx(line.rvalue**2)
    assert found.seen
    twice = price_relation(np.repeat(grade, 2), np.repeat(price, 2), np.ones(120))
    weighted = price_relation(grade, price, np.full(60, 2.0))
    assert weighted.per_grade == pytest.approx(twice.per_grade)
    assert weighted.high == pytest.approx(found.high)  # items are what counts, not rentals


def test_chances_of_t_are_those_of_the_book() -> None:
    for freedom in (6, 10, 40):
        for t in (0.5, 2.0, 3.5):
            assert t_two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=0.02)


def test_of_many_classes_without_relation_hardly_one_is_believed() -> None:
    random = np.random.default_rng(5)
    found = [
        price_relation(
            random.integers(1, 10, 15).astype(float), np.exp(random.normal(7, 0.2, 15)), np.ones(15)
        )
        for _ in range(200)
    ]
    shares = quality.false_shares([*found, quality.Relation(2, "too few")])
    assert (shares[:-1] <= 0.05).sum() <= 2
    assert math.isnan(shares[-1])
    assert sum(relation.seen for relation in found) > 2


def test_intervals_of_no_relation_hold_zero_as_often_as_they_say() -> None:
    random = np.random.default_rng(3)
    seen = sum(
        price_relation(
            random.integers(1, 10, 15).astype(float), np.exp(random.normal(7, 0.2, 15)), np.ones(15)
        ).seen
        for _ in range(2_000)
    )
    assert seen == pytest.approx(100, abs=32)


@pytest.mark.parametrize(
    ("grade", "price", "word"),
    [
        ([5.0] * 20, list(range(100, 120)), "same grade"),
        (list(range(1, 10)), [900] * 9, "same price"),
        ([1.0, 2.0, 3.0], [1, 2, 3], "it takes 8"),
    ],
)
def test_nothing_is_said_where_nothing_varies(
    grade: list[float], price: list[float], word: str
) -> None:
    found = price_relation(np.array(grade, float), np.array(price, float), np.ones(len(grade)))
    assert word in found.refused
    assert not found.seen


def test_quantiles_of_students_t_are_those_of_the_book() -> None:
    for freedom in (6, 8, 15, 40, 1_000):
        assert t_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=2e-3)


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-6, 0.5), st.floats(0.01, 0.5))
def test_at_the_end_of_the_interval_the_risk_is_as_asked(rate: float, risk: float) -> None:
    days = inspection_interval(np.array([rate]), risk, 0.0, 1e9)[0]
    assert 1 - math.exp(-rate * days) == pytest.approx(risk)


def test_inspections_go_to_those_with_most_at_stake_and_no_day_has_too_many() -> None:
    random = np.random.default_rng(4)
    n = 200
    rate, since = random.uniform(0, 0.05, n), random.uniform(0, 60, n)
    since[:20] = np.nan
    stake, away = random.uniform(1_000, 50_000, n), random.random(n) < 0.3
    found = inspections(
        rate, since, stake, away, days=10, a_day=4, risk=0.2, shortest_days=5, longest_days=90
    )
    assert not away[found.rows].any()
    planned = found.day >= 0
    assert planned.sum() == min(40, len(found.rows))
    assert (np.bincount(found.day[planned], minlength=10) <= 4).all()
    assert (np.diff(np.where(planned, found.day, 99)) >= 0).all()
    worth = found.unseen * stake[found.rows]
    first = found.day == 0
    ready = found.due_in_days <= 0
    assert worth[first].min() >= worth[ready & ~first].max(initial=0.0)
    due = found.interval_days - np.where(
        np.isnan(since[found.rows]), found.interval_days, since[found.rows]
    )
    assert found.due_in_days == pytest.approx(due)


def test_groups_are_those_of_the_trainer() -> None:
    from edge.features.words import GRADE_NUMBER

    for name, number in GRADE_NUMBER.items():
        if name:
            assert quality.GROUPS[int(group_of(np.array([float(number)]))[0])] == name[0].lower()
