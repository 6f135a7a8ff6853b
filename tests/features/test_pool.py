"""Windows of active rows only read the same as windows of all rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features.pool import WindowPool
from edge.features.windows import RingWindow

WINDOWS = {"short": (3, 10, np.int32), "long": (5, 40, np.int32)}
ROWS = 5
steps = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 9, 40, 250]),
        st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, 60)), max_size=6),
        st.integers(-1, ROWS - 1),  # a row that is forgotten
        st.booleans(),  # a restart
    ),
    max_size=30,
)


@settings(max_examples=80)
@given(steps=steps)
def test_a_row_without_a_slot_reads_like_one_whose_windows_ran_empty(
    steps: list[tuple[int, list[tuple[int, int]], int, bool]],
) -> None:
    pool = WindowPool(ROWS, ROWS, WINDOWS)
    plain = {name: RingWindow(ROWS, *shape) for name, shape in WINDOWS.items()}
    now = 10_000
    for passes, events, forgotten, restart in steps:
        now += passes
        pool.roll(now)
        rows = np.array([row for row, _ in events], np.int64)
        at = np.array([now - age for _, age in events], np.int64)
        slots = pool.claim(rows)
        for name, window in plain.items():
            window.roll(now, ROWS)
            open_ = window.open(at, 1_000, np.full(len(at), now))
            window.add(rows[open_], at[open_], np.ones(open_.sum(), np.int32))
            pool.window[name].add(slots[open_], at[open_], np.ones(open_.sum(), np.int32))
            if name == "long":
                pool.touch(slots[open_], at[open_])
        if forgotten >= 0:
            pool.release(np.array([forgotten]))
            for window in plain.values():
                window.clear(np.array([forgotten]))
        if restart:
            saved = {name: array.copy() for name, array in pool.save().items()}
            pool = WindowPool(ROWS, ROWS, WINDOWS)
            pool.load(saved)
        for name, window in plain.items():
            assert pool.totals(name, np.arange(ROWS)).tolist() == window.totals.tolist()
        assert pool.used() == (pool.slot >= 0).sum()


def test_a_slot_comes_back_once_its_windows_are_empty() -> None:
    pool = WindowPool(2, 1, WINDOWS)
    pool.roll(1_000)
    slot = pool.claim(np.array([0]))
    pool.touch(slot, np.array([1_000]))
    assert pool.claim(np.array([1])).tolist() == [-1]
    assert pool.refused == 1
    pool.roll(1_000 + 5 * 40 + 40)
    assert pool.used() == 0
    assert pool.claim(np.array([1])).tolist() == [0]
    assert pool.slot.tolist() == [-1, 0]


def test_a_pool_takes_what_it_said() -> None:
    pool = WindowPool(100, 50, WINDOWS)
    arrays = [pool.slot, pool._owner, pool._last_at_ms]
    for window in pool.window.values():
        arrays += [window.ring, window.totals]
    assert pool.nbytes() == sum(array.nbytes for array in arrays)


def test_more_active_items_than_the_pool_holds_are_said() -> None:
    pool = WindowPool(4, 4, WINDOWS)
    pool.claim(np.arange(4))
    with pytest.raises(ValueError, match="active_items_max"):
        WindowPool(4, 2, WINDOWS).load(pool.save())
