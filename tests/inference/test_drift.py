"""The drift test against chance itself: how often it is wrong when nothing moved, and how soon it
is right when something did."""

import math
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.inference import drift
from edge.inference.drift import Bins, bins_of, look

KINDS = {
    "normal": lambda chance, n: chance.normal(size=n),
    "rare": lambda chance, n: (chance.random(n) < 0.01) * chance.exponential(size=n),
    "counts": lambda chance, n: chance.poisson(0.3, n).astype(float),
    "mostly missing": lambda chance, n: np.where(
        chance.random(n) < 0.98, np.nan, chance.normal(size=n)
    ),
    "constant": lambda chance, n: np.ones(n),
    "skewed": lambda chance, n: chance.lognormal(0, 2, n),
}


@pytest.mark.parametrize(("trained", "n", "looks"), [(200, 50, 250), (5_000, 500, 150),
                                                     (20_000, 100_000, 60)])  # fmt: skip
def test_a_model_that_has_not_moved_is_called_moved_in_at_most_one_look_of_a_hundred(
    trained: int, n: int, looks: int
) -> None:
    chance, alarms = np.random.default_rng(n), 0
    for _ in range(looks):
        reference = {name: bins_of(make(chance, trained)) for name, make in KINDS.items()}
        live = {name: make(chance, n) for name, make in KINDS.items()}
        alarms += any(moved.drifted for moved in look(reference, live))
    # at 1 % a look: more than 9 of 250 (6 of 150, 4 of 60) is rarer than once in a thousand
    assert alarms <= {250: 9, 150: 6, 60: 4}[looks], alarms


@pytest.mark.parametrize(("sigma", "n"), [(0.25, 1_000), (0.5, 250), (1.0, 80), (2.0, 50)])
def test_a_shifted_level_is_noticed_at_once_when_there_are_enough_values(
    sigma: float, n: int
) -> None:
    chance, noticed = np.random.default_rng(3), 0
    for _ in range(20):
        reference = {"x": bins_of(chance.normal(size=10_000)), "y": bins_of(chance.normal(size=50))}
        moved = look(reference, {"x": chance.normal(sigma, 1, n), "y": chance.normal(size=n)})
        noticed += moved[0].drifted and moved[0].name == "x" and moved[0].what == "level"
        assert moved[0].shift > 0
    assert noticed >= 18


def test_a_wider_spread_and_more_missing_values_are_named_as_such() -> None:
    chance = np.random.default_rng(4)
    reference = {
        "wide": bins_of(chance.normal(size=5_000)),
        "gone": bins_of(chance.normal(size=5_000)),
    }
    gone = np.where(chance.random(500) < 0.3, np.nan, chance.normal(size=500))
    found = {m.name: m for m in look(reference, {"wide": chance.normal(0, 2, 500), "gone": gone})}
    assert found["wide"].drifted
    assert found["wide"].what == "spread"
    assert found["gone"].drifted
    assert found["gone"].what == "missing"


def test_too_few_values_say_nothing() -> None:
    bins = bins_of(np.arange(100.0))
    assert look({"x": bins}, {"x": np.full(49, 1e9)}) == []
    assert look({"x": bins_of(np.arange(9.0))}, {"x": np.full(500, 1e9)}) == []
    assert look({"x": bins}, {"another": np.full(500, 1e9)}) == []


@given(
    st.lists(st.one_of(st.floats(width=32), st.integers(-3, 3).map(float)), max_size=60),
    st.integers(2, 20),
)
def test_bins_hold_every_value_once(values: list[float], most: int) -> None:
    sample = np.array(values, np.float64)
    bins = bins_of(sample, most)
    missing = sum(1 for v in values if not math.isfinite(v))
    assert bins.missing == missing
    assert sum(bins.counts) == len(values) - missing
    assert len(bins.counts) == len(bins.edges) + 1 <= most
    assert bins.edges == sorted(set(bins.edges))
    naive = [0] * len(bins.counts)
    for v in values:
        if math.isfinite(v):
            naive[sum(1 for edge in bins.edges if edge < v)] += 1
    assert naive == bins.counts
    counted, gone = drift.count(bins, sample)
    assert (counted.tolist(), gone) == (bins.counts, missing)


def test_the_drawn_p_value_is_that_of_every_way_to_choose() -> None:
    trained, live = np.array([5, 1, 1]), np.array([1, 1, 2])
    scores = np.array([0.0, 0.5, 1.0])
    pooled = np.repeat(scores, trained + live)
    mean, n = pooled.mean(), int(live.sum())
    seen = abs((scores * live).sum() - n * mean)
    as_far = sum(abs(sum(chosen) - n * mean) >= seen - 1e-9 for chosen in combinations(pooled, n))
    exact = as_far / comb(len(pooled), n)
    assert drift._p_value(trained, live, scores) == pytest.approx(exact, abs=0.01)


def test_an_empty_training_sample_is_no_reference() -> None:
    assert bins_of(np.array([])) == Bins(edges=[], counts=[0], missing=0)
    assert bins_of(np.full(7, np.nan)) == Bins(edges=[], counts=[0], missing=7)


def test_an_infinite_value_is_missing_on_both_sides() -> None:
    values = np.array([1.0, np.inf, 2.0, -np.inf, np.nan])
    bins = drift.bins_of(values)
    assert (sum(bins.counts), bins.missing) == (2, 3)
    assert np.isfinite(bins.edges).all()
    assert drift.count(bins, values)[1] == 3
