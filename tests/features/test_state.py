"""The state as a whole: memory known in advance, time that only moves forward, digests."""

import tracemalloc

import numpy as np
import pytest

from edge.checks import Case
from edge.checks.machine import memory_rows
from edge.config import Config, Limits
from edge.core import Core
from edge.features.state import FeatureState, digest_of, memory_table
from tests.streams import DAY, HOUR, START_MS, Streams, config, run

LIMITS = Limits(
    items_max=4_000,
    active_items_max=4_000,
    classes_max=300,
    zones_max=8,
    readers_max=8,
    customers_max=1_000,
    rental_log_max=8_000,
    lines_max=3_000,
)


def full(limits: Limits) -> FeatureState:
    """A state with every row, log and line in use."""
    core = Core(config(limits=limits))
    many = limits.items_max
    state = core.state
    state.advance(START_MS)
    for i in range(many):
        row = state.item.keys.claim(f"{i:024X}")
        state.item.text["name"][row] = f"a tent {i}"
        state.item.text["contract"][row] = f"C-{i:06d}"
        state.pool.claim(np.array([row]))
        for part in ("rentals", "returns"):
            state.item.part[part].add(row, state.today, 1)  # type: ignore[union-attr,call-arg,arg-type]
    for name in ("class", "customer"):
        table = state.tables[name]
        table.keys.claim_all([f"main\x1f{name}{i:06d}" for i in range(table.keys.limit)])
    return state


def test_memory_is_known_before_the_first_event() -> None:
    promised = sum(size for _, _, size in memory_table(LIMITS))
    tracemalloc.start()
    state = full(LIMITS)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    others = 64 * 1024 * 1024  # decoder, admission and presence, which have limits of their own
    assert state.pool.used() == LIMITS.active_items_max
    arrays = sum(table.nbytes() for table in state.tables.values()) + state.pool.nbytes()
    assert arrays < promised
    assert taken < promised + others


def test_keys_and_texts_take_no_more_than_promised() -> None:
    more, less = LIMITS, Limits(**{f: getattr(LIMITS, f) // 2 for f in LIMITS.__struct_fields__})
    taken = []
    for limits in (less, more):
        tracemalloc.start()
        state = full(limits)
        taken.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        del state
    promised = [sum(size for _, _, size in memory_table(limits)) for limits in (less, more)]
    assert taken[1] - taken[0] < promised[1] - promised[0]


def test_the_doctor_tells_what_the_state_promises() -> None:
    rows = memory_rows(Case(Config(limits=LIMITS), {}))
    assert {name: size for name, _, size in memory_table(LIMITS)}.items() <= rows.items()
    assert rows["item"] > 0


def test_time_only_moves_forward() -> None:
    state = Core(config()).state
    state.advance(START_MS)
    before = state.digest()
    assert len(state.advance(START_MS - HOUR)) == 0
    assert state.digest() == before
    assert state.next_boundary_ms() > START_MS


def test_many_small_steps_are_one_large_step() -> None:
    messages = Streams(6).messages(150)
    small, large = Core(config()), Core(config())
    for core in (small, large):
        run(core, messages, 64)
    now = messages[-1].arrival_ms
    for hours in range(1, 60):
        small.advance(now + hours * HOUR)
    large.advance(now + 59 * HOUR)
    assert small.digest() == large.digest()


def test_any_difference_shows_in_the_digest() -> None:
    messages = Streams(7).messages(200)
    core = Core(config())
    run(core, messages, 64)
    digest = core.state.digest()
    for table in core.state.tables.values():
        rows = table.keys.live()
        for name, column in table.columns.items():
            if not len(rows) or column.ref:
                continue
            values = table.col[name]
            values[rows[0]] += 1
            assert core.state.digest() != digest, (table.name, name)
            values[rows[0]] -= 1
    assert core.state.digest() == digest


def test_a_digest_knows_names_types_and_shapes() -> None:
    a = np.zeros(4, np.int32)
    digests = {
        digest_of({"a": a}),
        digest_of({"b": a}),
        digest_of({"a": a.astype(np.int64)}),
        digest_of({"a": a.reshape(2, 2)}),
        digest_of({"a": {"a": a}}),
    }
    assert len(digests) == 5


def test_a_state_that_was_larger_than_its_limits_says_which_to_raise() -> None:
    core = Core(config())
    run(core, Streams(2).messages(200), 64)
    arrays, blobs = core.state.save()
    small = FeatureState(Limits(items_max=2, active_items_max=2), "UTC", 0)
    with pytest.raises(ValueError, match="raise it"):
        small.load(arrays, blobs)


def test_a_part_of_a_state_goes_on_where_the_whole_was() -> None:
    core = Core(config())
    run(core, Streams(3).messages(100), 64)
    part = core.state.empty()
    assert (part.now_ms, part.today, part.repeat_ms) == (
        core.state.now_ms,
        core.state.today,
        core.state.repeat_ms,
    )
    part.advance(core.state.now_ms + DAY)
