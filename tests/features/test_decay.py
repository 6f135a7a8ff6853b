"""Forward decay in integers against plain floating point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.features.decay import DecayedCount

HALF = 3_600_000
steps = st.lists(
    st.tuples(st.integers(0, 40 * 60_000), st.integers(0, 1), st.integers(1, 500)),
    min_size=1,
    max_size=60,
)


def told(steps: list[tuple[int, int, int]], start_ms: int = 1_760_000_000_000) -> list[list[int]]:
    out, now = [], start_ms
    for passes, row, amount in steps:
        now += passes
        out.append([now, row, amount])
    return out


@given(steps=steps)
def test_a_count_halves_in_a_half_life(steps: list[tuple[int, int, int]]) -> None:
    count, events = DecayedCount(2, HALF), told(steps)
    for now, row, amount in events:
        count.roll(now, 2)
        count.add_one(row, now, amount)
    for row in range(2):
        exact = sum(a * 2 ** ((at - now) / HALF) for at, r, a in events if r == row)
        assert count.values(np.array([row]), now)[0] == pytest.approx(exact, rel=0.0015, abs=1e-3)


@given(steps=steps, order=st.randoms(use_true_random=False))
def test_between_landmarks_order_and_grouping_do_not_matter(
    steps: list[tuple[int, int, int]], order: object
) -> None:
    one, many = DecayedCount(2, HALF), DecayedCount(2, HALF)
    events = told(steps)
    by_landmark: dict[int, list[list[int]]] = {}
    for now, row, amount in events:
        one.roll(now, 2)
        one.add_one(row, now, amount)
        by_landmark.setdefault(now // many.span_ms, []).append([now, row, amount])
    for group in by_landmark.values():
        many.roll(group[0][0], 2)
        order.shuffle(group)  # type: ignore[attr-defined]
        columns = np.array(group, np.int64).T
        many.add(columns[1], columns[0], columns[2])
    assert one.sums.tolist() == many.sums.tolist()


def test_a_steady_rate_is_told_as_that_rate() -> None:
    count, now = DecayedCount(1, HALF), 1_760_000_000_000
    for _ in range(2_000):
        now += 60_000
        count.roll(now, 1)
        count.add(np.array([0]), np.array([now]), np.array([2]))
    assert count.per(HALF, np.array([0]), now)[0] == pytest.approx(120, rel=0.01)


def test_nothing_is_left_after_years_and_no_sum_wraps_around() -> None:
    count, now = DecayedCount(1, HALF), 1_760_000_000_000
    count.roll(now, 1)
    for _ in range(5):
        count.add_one(0, now, 10**12)
    assert count.sums[0] > 0
    count.add_one(0, now, 2**62)
    assert count.sums[0] == 2**62
    count.roll(now + 365 * 86_400_000, 1)
    assert count.values(np.array([0]), now + 365 * 86_400_000)[0] == 0


def test_a_moment_beyond_the_landmark_is_a_mistake() -> None:
    count = DecayedCount(1, HALF)
    count.roll(1_760_000_000_000, 1)
    with pytest.raises(AssertionError):
        count.add_one(0, count.next_landmark_ms(), 1)
