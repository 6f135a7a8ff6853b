"""Rings and logs of days against lists that remember everything."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features.windows import (
    DayLog,
    DayRing,
    RingWindow,
    above_zero,
    days_above_zero,
    each,
)

ROWS, BUCKETS, WIDTH = 3, 4, 10
adds = st.lists(
    st.tuples(
        st.integers(0, 25),  # time that passes first
        st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, 50), st.integers(0, 9))),
    ),
    max_size=25,
)


@given(adds=adds, lateness=st.sampled_from([0, 5, 12, 1_000]))
def test_a_window_is_the_present_bucket_and_those_before_it(
    adds: list[tuple[int, list[tuple[int, int, int]]]], lateness: int
) -> None:
    window, told, now = RingWindow(ROWS, BUCKETS, WIDTH), [], 1_000
    for passes, events in adds:
        now += passes
        window.roll(now, ROWS)
        rows = np.array([row for row, _, _ in events], np.int64)
        at = np.array([now - age for _, age, _ in events], np.int64)
        amounts = np.array([amount for _, _, amount in events], np.int32)
        open_ = window.open(at, lateness, np.full(len(at), now, np.int64))
        window.add(rows[open_], at[open_], amounts[open_])
        told += [(row, now - age, now, amount) for row, age, amount in events]
        for row in range(ROWS):
            expected = sum(
                amount
                for r, at_ms, arrival, amount in told
                if r == row
                and now // WIDTH - BUCKETS < at_ms // WIDTH
                and (at_ms // WIDTH + 1) * WIDTH + lateness > arrival
            )
            assert window.totals[row] == expected == window.last(np.array([row]), BUCKETS)[0]


def test_time_never_runs_back_and_reading_does_not_move_it() -> None:
    window = RingWindow(1, BUCKETS, WIDTH)
    window.roll(509, 1)
    window.add(np.array([0]), np.array([505]), np.array([7]))
    window.roll(100, 1)
    assert window.newest == 50
    assert window.last(np.array([0]), 1).tolist() == [7]
    assert window.totals.tolist() == [7]


def test_a_bucket_stays_at_the_end_of_its_range_however_amounts_are_cut() -> None:
    whole, pieces = RingWindow(2, BUCKETS, WIDTH), RingWindow(2, BUCKETS, WIDTH)
    rows = np.zeros(20_000, np.int64)
    at, amounts = np.full(20_000, 1_000), np.full(20_000, 65_535, np.int32)
    for window in (whole, pieces):
        window.roll(1_000, 2)
    whole.add(rows, at, amounts)
    for cut in range(0, 20_000, 2_500):
        part = slice(cut, cut + 2_500)
        pieces.add(rows[part], at[part], amounts[part])
    most = (2**31 - 1) // BUCKETS
    assert whole.totals.tolist() == pieces.totals.tolist() == [most, 0]
    whole.roll(1_000 + BUCKETS * WIDTH, 2)
    assert whole.totals.tolist() == [0, 0]


@given(
    adds=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7), st.integers(-5, 9)), max_size=40)
)
def test_a_ring_of_days_remembers_each_day_until_it_leaves(
    adds: list[tuple[int, int, int]],
) -> None:
    ring, days, today = DayRing(2, 6), defaultdict[int, int](int), 20_000
    ring.roll(today, 2)
    for passes, age, amount in adds:
        today += passes
        ring.roll(today, 2)
        if ring.holds(today - age):
            ring.add(1, today - age, amount)
            days[today - age] += amount
        series = [days[day] for day in range(today - 5, today + 1)]
        assert ring.series(np.array([1]), 6)[:, 0].tolist() == series
        assert ring.last(np.array([1]), 3)[0] == sum(series[-3:])
        assert not ring.series(np.array([0]), 6).any()


TALLIES = {
    each: lambda v: v,
    above_zero: lambda v: max(v, 0),
    days_above_zero: lambda v: int(v > 0),
}


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([0, 0, 0, 1, 2, 7]), st.integers(0, 7), st.integers(-5, 9)),
        max_size=40,
    ),
    tally=st.sampled_from(list(TALLIES)),
    put=st.booleans(),
)
def test_the_sums_kept_of_days_are_those_of_their_cells(
    steps: list[tuple[int, int, int]], tally: Callable[[Any], Any], put: bool
) -> None:
    ring, days, today = DayRing(3, 6, np.int16, (1, 3, 6), tally), defaultdict[int, int](int), 90
    ring.roll(today, 3)
    for passes, age, amount in steps:
        today += passes
        ring.roll(today, 3)
        if ring.holds(today - age) and put:
            ring.put(today - age, np.array([0, amount]))
            days[today - age] = amount
        elif ring.holds(today - age):
            ring.add(1, today - age, amount)
            days[today - age] += amount
        rows = np.array([0, 1, 2])
        for length in (1, 2, 3, 6):  # of 2 days no sum is kept
            found = sum(TALLIES[tally](days[today - back]) for back in range(length))
            assert ring.last(rows, length).tolist() == [0, found, 0]
    kept = {length: sums.tolist() for length, sums in ring.sums.items()}
    ring.sums[3][:] = 77
    ring.recount(3)
    assert {length: sums.tolist() for length, sums in ring.sums.items()} == kept
    ring.clear(np.array([1]))
    assert not any(sums.any() for sums in ring.sums.values())


def test_a_day_at_the_end_of_its_range_adds_to_the_sum_what_it_holds() -> None:
    ring = DayRing(1, 4, np.int16, (2,))
    ring.roll(0, 1)
    ring.add(0, 0, 10**6)
    ring.roll(1, 1)
    ring.put(1, np.array([-(10**6)]))
    assert ring.sums[2].tolist() == [0]
    ring.roll(2, 1)
    assert ring.sums[2].tolist() == [-(2**15 - 1)]


def test_a_day_stays_at_the_end_of_its_range() -> None:
    for dtype, most in ((np.int16, 2**15 - 1), (np.int32, 2**31 - 1), (np.int64, 2**53)):
        ring = DayRing(1, 400, dtype)
        ring.roll(0, 1)
        ring.roll(399, 1)
        for day in range(400):
            ring.add(0, day, 10**30)
        assert ring.last(np.array([0]), 400)[0] == 400 * most
        ring.add(0, 0, -(10**30))
        assert ring.series(np.array([0]), 400)[0, 0] == -most
        ring.put(5, np.array([2**60]))
        assert ring.series(np.array([0]), 395)[0, 0] == most


log_steps = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 1), st.sampled_from([1, 1, -1])),
    max_size=40,
)


@given(steps=log_steps, cut=st.integers(0, 40))
def test_a_log_of_days_counts_every_window(
    steps: list[tuple[int, int, int, int]], cut: int
) -> None:
    windows = (2, 4, 7)
    log, told, today = DayLog(2, windows, 1_000), [], 100
    log.roll(today)
    for i, (passes, age, row, amount) in enumerate(steps):
        today += passes
        log.roll(today)
        if log.holds(today - age):
            log.add(row, today - age, amount)
            told.append((row, today - age, amount))
        if i == cut:
            again = DayLog(2, windows, 1_000)
            again.load(log.dump())
            again.today, again.totals = log.today, log.totals.copy()
            log = again
        for n, length in enumerate(windows):
            for r in range(2):
                expected = sum(a for row, day, a in told if row == r and today - day < length)
                assert log.totals[n, r] == expected
        assert log.size == sum(today - day < 7 for _, day, _ in told)


@settings(max_examples=30)
@given(days=st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_a_full_log_gives_up_its_oldest_days_and_says_so(days: list[int]) -> None:
    log, today = DayLog(1, (3, 9), 5), 10
    log.roll(today)
    for passes in days:
        today += passes
        log.roll(today)
        log.add(0, today)
        assert log.size <= 5
        assert log.totals[1, 0] == log.size
        assert 0 <= log.totals[0, 0] <= log.totals[1, 0]
    assert log.size + log.dropped <= len(days)


def test_a_log_forgets_a_row_and_only_that_row() -> None:
    log = DayLog(2, (3,), 10)
    log.roll(5)
    log.add(0, 5)
    log.add(1, 4, 2)
    log.clear(np.array([0]))
    assert log.totals.tolist() == [[0, 2]]
    assert log.dump().T.tolist() == [[4, 1, 2]]


@pytest.mark.parametrize("bad", [(0, 1), (1, 0)])
def test_a_window_without_width_or_buckets_is_a_mistake(bad: tuple[int, int]) -> None:
    with pytest.raises(AssertionError):
        RingWindow(1, *bad)
