"""Labels under censoring, against slow loops and against the truth of a simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainer import survival
from trainer.history import FeatureTable
from trainer.survival import Followed

Floats = NDArray[np.float64]
CASES = st.lists(
    st.tuples(st.one_of(st.integers(1, 12), st.just(10**6)), st.integers(0, 12)),
    min_size=1,
    max_size=40,
)


def followed(cases: list[tuple[int, int]]) -> Followed:
    event, watched = (np.array(column, np.float64) for column in zip(*cases, strict=True))
    return Followed(np.where(event >= 10**6, np.inf, event), watched)


def slow_survival(cases: list[tuple[int, int]], day: int) -> float:
    """Kaplan–Meier of the event by the book, a day after the other."""
    lasting = 1.0
    for today in range(1, day + 1):
        at_risk = sum(event >= today and watched >= today for event, watched in cases)
        events = sum(event == today and watched >= today for event, watched in cases)
        lasting *= 1 - events / at_risk if at_risk else 1.0
    return lasting


@given(CASES)
def test_what_happened_is_one_what_was_watched_throughout_is_zero_and_the_rest_counts_nothing(
    cases: list[tuple[int, int]],
) -> None:
    happened, weight = survival.labels(followed(cases), 7.0)
    for (event, watched), h, w in zip(cases, happened, weight, strict=True):
        seen = event <= min(7, watched)
        assert h == seen
        assert (w > 0) == (seen or (watched >= 7))


@given(CASES)
def test_the_curve_is_that_of_the_book(cases: list[tuple[int, int]]) -> None:
    found = survival.incidence(followed(cases), np.arange(1.0, 13.0))
    assert found.tolist() == pytest.approx([1 - slow_survival(cases, d) for d in range(1, 13)])


@given(CASES)
def test_the_weighted_share_of_events_is_the_curve_unless_a_weight_was_cut(
    cases: list[tuple[int, int]],
) -> None:
    watch = followed([case for case in cases if case[1] > 0] or [(1, 1)])
    happened, weight = survival.labels(watch, 7.0)
    if weight.max(initial=0) < survival.HEAVIEST and (watch.watched >= 7).any():
        share = float((weight * happened).sum()) / len(watch)
        assert share == pytest.approx(float(survival.incidence(watch, np.array([7.0]))[0]))


def simulated(n: int = 40_000) -> tuple[Followed, Floats]:
    """Constant hazard 0.02 a day, and one watch in two ends early: (what was seen, true days)."""
    chance = np.random.default_rng(3)
    true = np.ceil(chance.exponential(50.0, n))
    watched = np.where(chance.random(n) < 0.5, np.ceil(chance.uniform(0, 30, n)), 60.0)
    return Followed(np.where(true <= watched, true, np.inf), watched), true


def test_weights_give_the_true_share_where_leaving_out_the_censored_does_not() -> None:
    watch, true = simulated()
    happened, weight = survival.labels(watch, 30.0)
    truth = float((true <= 30).mean())
    weighed = float((weight * happened).sum() / weight.sum())
    naive = float(happened[weight > 0].mean())
    assert weighed == pytest.approx(truth, abs=0.01)
    assert naive > truth + 0.05


def test_hazards_of_intervals_multiply_to_the_true_share() -> None:
    watch, true = simulated()
    lasting = 1.0
    for stage, edge in zip(survival.stages(watch, (7, 14, 30)), (7, 14, 30), strict=True):
        lasting *= 1 - float((stage.weight * stage.happened).sum() / stage.weight.sum())
        assert 1 - lasting == pytest.approx(float((true <= edge).mean()), abs=0.01)


@given(CASES, st.integers(0, 12))
def test_what_was_known_on_a_day_holds_nothing_that_came_later(
    cases: list[tuple[int, int]], day: int
) -> None:
    then = followed(cases).upto(np.full(len(cases), day))
    changed = [(e if e <= day else 10**6, min(w, day)) for e, w in cases]
    assert then.event.tolist() == followed(changed).event.tolist()
    assert then.watched.tolist() == followed(changed).watched.tolist()


def test_days_to_the_next_rise_are_those_of_a_slow_loop() -> None:
    chance = np.random.default_rng(5)
    days = [np.sort(chance.choice(60, 12, replace=False)) for _ in range(6)]
    counts = [np.cumsum(chance.random((12, 2)) < 0.2, axis=0) for _ in range(6)]
    table = FeatureTable(
        entity="item",
        keys=[f"k{i}" for i in range(6)],
        start=np.arange(7) * 12,
        day=np.concatenate(days).astype(np.int64),
        features=("failures_total", "repairs_total"),
        x=np.concatenate(counts).astype(np.float32),
    )
    rows = np.arange(72)
    until = np.full(72, 60)
    found = survival.follow(table, rows, table.features, until)
    for row in rows.tolist():
        key, at = divmod(row, 12)
        after = [
            float(days[key][i] - days[key][at])
            for i in range(at + 1, 12)
            if (counts[key][i] > counts[key][at]).any()
        ]
        assert found.event[row] == min(after, default=np.inf)
        assert found.watched[row] == 60 - days[key][at]
