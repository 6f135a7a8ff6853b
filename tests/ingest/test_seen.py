"""The memory of keys against plain sets."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ingest.seen import SeenKeys, mix

keys_lists = st.lists(
    st.integers(0, 30).map(lambda n: (n * 0x9E3779B97F4A7C15) % 2**64), max_size=80
)


class Generations:
    """What SeenKeys promises, one key at a time: two sets."""

    def __init__(self, size: int) -> None:
        self.size, self.young, self.old = size, set[int](), set[int]()

    def check_and_add(self, key: int) -> bool:
        if len(self.young) == self.size:
            self.young, self.old = set(), self.young
        seen = key in self.young or key in self.old
        if not seen:
            self.young.add(key)
        return seen


@given(keys=keys_lists, size=st.integers(1, 20), cuts=st.randoms(use_true_random=False))
def test_any_cut_of_a_stream_gives_the_same_answers(
    keys: list[int], size: int, cuts: random.Random
) -> None:
    oracle, memory = Generations(size), SeenKeys(size)
    expected = [oracle.check_and_add(key or 1) for key in keys]
    told: list[bool] = []
    while len(told) < len(keys):
        piece = keys[len(told) : len(told) + cuts.randint(1, 12)]
        if len(piece) == 1:
            told.append(memory.check_and_add_one(piece[0]))
        else:
            told += memory.check_and_add(np.array(piece, np.uint64)).tolist()
        if cuts.random() < 0.2:
            memory = SeenKeys.of(size, *memory.remembered())
    assert told == expected
    old, young = memory.remembered()
    assert len(old) == len(oracle.old)
    assert len(young) == len(oracle.young)


def test_at_least_the_last_keys_are_remembered_and_at_most_twice_as_many() -> None:
    memory = SeenKeys(50)
    keys = np.arange(1, 1_001, dtype=np.uint64)
    assert not memory.check_and_add(keys).any()
    assert memory.contains(keys[-50:]).all()
    assert memory.contains(keys).sum() <= 100


@given(keys=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40, unique=True))
def test_a_key_taken_back_is_new_again_and_no_other_is(keys: list[int]) -> None:
    memory = SeenKeys(64)
    for key in keys:
        memory.check_and_add_one(key)
    before = memory.remembered()
    extra = next(n for n in range(100) if n not in keys and n != 0)
    memory.check_and_add_one(extra)
    memory.take_back(extra)
    assert all((a == b).all() for a, b in zip(before, memory.remembered(), strict=True))
    assert memory.contains(np.array(keys, np.uint64)).all()
    assert not memory.check_and_add_one(extra)


def test_keys_that_want_one_slot_are_all_kept() -> None:
    memory = SeenKeys(8)
    keys = (np.arange(1, 9, dtype=np.uint64) << np.uint64(40)) | np.uint64(3)
    assert not memory.check_and_add(keys).any()
    assert memory.check_and_add(keys).all()
    assert all(memory.check_and_add_one(key) for key in keys.tolist())


def test_a_zero_is_a_key_like_any_other() -> None:
    memory = SeenKeys(4)
    assert not memory.contains(np.zeros(1, np.uint64))[0]
    assert memory.check_and_add(np.zeros(2, np.uint64)).tolist() == [False, True]
    assert memory.check_and_add_one(0)


def test_mixed_keys_tell_columns_and_their_order_apart() -> None:
    here, there = np.arange(1, 1_001, dtype=np.uint64), np.arange(5_001, 6_001, dtype=np.uint64)
    keys = [mix(here, there), mix(there, here), mix(here, here), mix(here, here, there, there)]
    assert len(np.unique(np.concatenate(keys))) == 4_000


def test_a_memory_of_nothing_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        SeenKeys(0)
