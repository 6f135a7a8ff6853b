"""Sketches against sets and sorted lists, within the error that their documentation tells."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.features.keys import key_hash
from edge.features.sketch import DistinctWindow, LogHistogram


def hashes(names: range) -> np.ndarray:
    return np.array([key_hash(f"item {n}") for n in names], np.uint64)


@pytest.mark.parametrize("registers", [64, 1_024])
@pytest.mark.parametrize("many", [0, 1, 10, 60, 200, 1_000, 20_000])
def test_distinct_counts_are_within_four_standard_errors(registers: int, many: int) -> None:
    window = DistinctWindow(1, 2, 1_000, registers)
    window.roll(5_000, 1)
    keys = hashes(range(many))
    for _ in range(2):  # told twice: nothing new
        window.add(np.zeros(many, np.int64), np.full(many, 5_000), keys)
    error = 4 * 1.04 / math.sqrt(registers)
    assert window.estimate(np.array([0]))[0] == pytest.approx(many, rel=error, abs=0.5)


def test_one_by_one_is_the_same_as_in_columns_in_any_order() -> None:
    keys = [*hashes(range(500)).tolist(), 0, 1, 2**64 - 1]
    columns, single = (DistinctWindow(2, 3, 100, 64) for _ in range(2))
    for window in (columns, single):
        window.roll(1_000, 2)
    columns.add(np.ones(len(keys), np.int64), np.full(len(keys), 950), np.array(keys, np.uint64))
    for key in random.Random(1).sample(keys, len(keys)):
        single.add_one(1, 950, key)
    assert (columns.ring == single.ring).all()
    assert single.estimate(np.array([0]))[0] == 0


def test_a_window_of_distinct_keys_forgets_bucket_by_bucket() -> None:
    window = DistinctWindow(1, 3, 100, 1_024)
    for bucket, keys in enumerate((range(100), range(50, 150), range(150, 160))):
        window.roll(bucket * 100, 1)
        told = hashes(keys)
        window.add(np.zeros(len(told), np.int64), np.full(len(told), bucket * 100), told)
    expected = (160, 110, 10, 0)
    for later, many in enumerate(expected):
        window.roll(200 + 100 * later, 1)
        assert window.estimate(np.array([0]))[0] == pytest.approx(many, rel=0.08, abs=0.5)


@given(
    values=st.lists(st.floats(1, 20_000), min_size=1, max_size=60),
    q=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
)
def test_a_quantile_is_within_half_a_bin_of_the_nearest_rank(values: list[float], q: float) -> None:
    histogram = LogHistogram(2, 48, 1.0, 1.25)
    for value in values:
        histogram.add(1, value)
    right = sorted(values)[max(math.ceil(q * len(values)), 1) - 1]
    told = histogram.quantile(np.array([0, 1]), q)
    assert math.isnan(told[0])
    assert told[1] == pytest.approx(right, rel=math.sqrt(1.25) - 1 + 1e-9)


def test_a_value_taken_back_is_gone_and_counts_never_fall_below_zero() -> None:
    histogram = LogHistogram(1, 8, 1.0, 2.0)
    histogram.add(0, 5.0)
    histogram.add(0, 5.0, -1)
    histogram.add(0, 5.0, -1)
    assert not histogram.counts.any()


@pytest.mark.parametrize("value", [0, 1e-300, 0.99, 1, 1e300])
def test_every_value_has_a_bin(value: float) -> None:
    histogram = LogHistogram(1, 8, 1.0, 2.0)
    histogram.add(0, value)
    assert histogram.counts.sum() == 1
