"""The inbox: what goes in comes out once and in order, and doors are held back in time."""

from hypothesis import given
from hypothesis import strategies as st

from edge.ingest.inbox import Inbox
from edge.records import Message

LIMIT, LIMIT_BYTES = 20, 4_000


def message(number: int, size_bytes: int) -> Message:
    return Message("t", bytes(size_bytes), number)


@given(st.lists(st.lists(st.integers(0, 300), max_size=12) | st.integers(1, 15), max_size=12))
def test_many_put_together_are_as_if_put_one_by_one(steps: list[list[int] | int]) -> None:
    together, one_by_one = Inbox(LIMIT, LIMIT_BYTES), Inbox(LIMIT, LIMIT_BYTES)
    number = 0
    for step in steps:
        if isinstance(step, int):
            assert together.take(step) == one_by_one.take(step)
        else:
            messages = [message(number + i, size) for i, size in enumerate(step)]
            tokens = list(range(number, number + len(step)))
            number += len(step)
            room = together.put_all(messages, tokens)
            for each, token in zip(messages, tokens, strict=True):
                one_by_one.put(each, token)
            assert room == (not together.full) == (not one_by_one.full)
        assert len(together) == len(one_by_one)
        assert together.full == one_by_one.full
        assert together.arrived.is_set() == one_by_one.arrived.is_set()


def test_the_message_that_crosses_a_limit_is_kept_and_holds_its_door_back() -> None:
    by_count, by_bytes = Inbox(2, 1_000), Inbox(100, 200)
    assert by_count.put(message(1, 0))
    assert not by_count.put(message(2, 0))
    assert not by_bytes.put_all([message(1, 150)], [0])
    assert len(by_count.take(10)[0]) == 2
    assert not by_count.full


def test_who_waits_for_room_is_woken_once_by_the_next_taking() -> None:
    inbox, woken = Inbox(1, 1_000), []
    inbox.put(message(1, 1))
    inbox.on_drained(lambda: woken.append("door"))
    assert woken == []
    inbox.take(1)
    inbox.take(1)
    assert woken == ["door"]
