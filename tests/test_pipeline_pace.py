"""A slice is as many messages as what their kinds have cost allows; nothing is left out of a batch."""

from hypothesis import given
from hypothesis import strategies as st

from edge.pipeline_pace import (
    EVENTS_MIN,
    KINDS_MAX,
    LARGE_BYTES,
    MESSAGES_MAX,
    TARGET_S,
    Pace,
    guess_events,
)
from edge.records import Message

READS, LINES = "rfid3/main/tag_read/r0", "rfid3/main/events/till"
COSTS_S = {READS: 8e-6, LINES: 120e-6}


def messages(topic: str, count: int, payload: bytes = b"{}") -> list[Message]:
    return [Message(topic, payload, 0)] * count


def run(pace: Pace, batch: list[Message]) -> list[float]:
    """What each slice of a batch takes, seconds, where events cost what ``COSTS_S`` says."""
    took, start = [], 0
    while start < len(batch):
        stop = pace.end(batch, start, len(batch))
        assert start < stop <= len(batch)
        part = batch[start:stop]
        took.append(sum(COSTS_S[m.topic] * guess_events(m.payload) for m in part))
        pace.took(took[-1])
        start = stop
    return took


def test_cheap_messages_do_not_make_dear_ones_of_another_kind_late() -> None:
    pace = Pace()
    run(pace, messages(READS, 20_000))
    assert max(run(pace, messages(LINES, 2_000))) < 3 * TARGET_S
    assert max(run(pace, messages(LINES, 2_000))) < 1.1 * TARGET_S


def test_slices_of_a_known_kind_come_near_the_target() -> None:
    pace = Pace()
    run(pace, messages(LINES, 2_000))
    took = run(pace, messages(LINES, 2_000))[:-1]
    assert min(took) > 0.7 * TARGET_S
    assert max(took) < 1.1 * TARGET_S


def test_of_cheap_ones_no_more_than_a_fixed_number_is_taken() -> None:
    pace = Pace()
    for _ in range(100):
        assert pace.end(messages(READS, 5_000), 0, 5_000) <= MESSAGES_MAX
        pace.took(0.0001)
    assert pace.end(messages(READS, 5_000), 0, 5_000) == MESSAGES_MAX


def test_what_a_mixed_slice_took_too_long_is_told_to_the_kinds_by_their_part() -> None:
    pace = Pace()
    mixed = (messages(READS, 9) + messages(LINES, 1)) * 600
    run(pace, mixed)
    assert max(run(pace, mixed)) < 1.2 * TARGET_S


def test_arrays_of_events_count_by_what_they_are_likely_to_hold() -> None:
    pace = Pace()
    array = b"[" + b",".join([b'{"epc":"E280"}'] * 100) + b"]"
    batch = messages(READS, 200, array)
    run(pace, batch)
    assert max(run(pace, batch)) <= TARGET_S


def test_a_large_message_has_a_slice_to_itself_and_is_cut_by_its_events() -> None:
    pace = Pace()
    batch = [*messages(READS, 3), *messages(READS, 1, b"x" * (LARGE_BYTES + 1))]
    assert pace.end(batch, 0, len(batch)) == 3
    assert pace.events(READS, 5) == 5
    pace.took(1.0)
    assert pace.events(READS, 5_000) == EVENTS_MIN


def test_no_slice_reaches_beyond_its_limit() -> None:
    assert Pace().end(messages(READS, 100), 10, 13) == 13


def test_a_time_without_a_slice_changes_nothing() -> None:
    pace = Pace()
    before = pace.end(messages(READS, 1_000), 0, 1_000)
    pace.took(TARGET_S)
    pace.took(10.0)
    assert pace.end(messages(READS, 1_000), 0, 1_000) == before


def test_invented_topics_cost_no_memory() -> None:
    pace = Pace()
    for n in range(3 * KINDS_MAX):
        pace.end(messages(f"a{n}/b", 1), 0, 1)
        pace.took(0.001)
    assert len(pace._cost_s) <= KINDS_MAX


@given(
    st.lists(st.tuples(st.sampled_from([READS, LINES, "x"]), st.integers(1, 40_000)), min_size=1),
    st.lists(st.floats(0, 0.1), min_size=1),
)
def test_every_message_is_in_exactly_one_slice(
    sizes: list[tuple[str, int]], times: list[float]
) -> None:
    pace, start, turn = Pace(), 0, 0
    batch = [Message(topic, b"{" * size, 0) for topic, size in sizes]
    while start < len(batch):
        stop = pace.end(batch, start, len(batch))
        assert start < stop <= len(batch)
        pace.took(times[turn % len(times)])
        start, turn = stop, turn + 1
