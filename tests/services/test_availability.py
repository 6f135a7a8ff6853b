"""Availability against trying every outcome, and against drawing many."""

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.services import availability
from edge.services.availability import Durations

WEEK = Durations(np.array([0.0, 10.0, 30.0, 10.0]), np.array([24.0, 48.0, 96.0, 168.0]))


def tried(chances: list[float], wanted: int) -> float:
    total = 0.0
    for outcome in itertools.product((0, 1), repeat=len(chances)):
        if sum(outcome) >= wanted:
            total += math.prod(p if x else 1 - p for p, x in zip(chances, outcome, strict=True))
    return total


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=9),
    st.integers(0, 4),
    st.integers(1, 12),
    st.integers(0, 4),
)
def test_the_chance_is_that_of_every_outcome_added_up(
    chances: list[float], here: int, units: int, reserved: int
) -> None:
    found = availability.free(
        units, here, np.array([chances]), 0.0, np.array([24.0]), np.array([float(reserved)]),
        np.zeros(1), np.zeros(1),
    )  # fmt: skip
    assert math.isclose(
        found.chance[0], tried(chances, units + reserved - here), rel_tol=1e-9, abs_tol=1e-9
    )
    assert math.isclose(found.expected[0], here + sum(chances) - reserved)


def test_customers_who_walk_in_before_are_reckoned_with_unless_units_are_promised() -> None:
    rng = np.random.default_rng(1)
    chances = np.array([0.9, 0.5, 0.5, 0.2])
    mean = 1.5
    back = (rng.random((200_000, 4)) < chances).sum(axis=1)
    free = 2 + back - rng.poisson(mean, 200_000)
    found = availability.free(
        3, 2, chances[None], 0.0, np.array([24.0]), np.zeros(1), np.array([mean]), np.array([mean])
    )
    assert abs(found.chance_later[0] - (free >= 3).mean()) < 0.005
    assert found.chance[0] > found.chance_later[0]


def test_many_units_out_are_nearly_what_counting_each_would_give() -> None:
    few = np.full((1, availability.EXACT_MOST), 0.6)
    more = np.full((1, availability.EXACT_MOST + 1), 0.6 * 400 / 401)
    args = (240.0, 0.0), (np.array([24.0]), np.zeros(1), np.array([3.0]), np.array([5.0]))
    exact = availability.free(*args[0], few, 0.0, *args[1])
    normal = availability.free(*args[0], more, 0.0, *args[1])
    assert abs(exact.chance[0] - normal.chance[0]) < 0.01
    assert abs(exact.chance_later[0] - normal.chance_later[0]) < 0.01


def test_what_is_due_comes_back_about_then_and_what_is_not_due_as_others_did() -> None:
    hours = np.array([12.0, 24.0, 72.0, 500.0])
    back = availability.back_within(
        hours,
        out_h=np.array([10.0, 100.0, 30.0, 400.0]),
        due_in_h=np.array([24.0, -48.0, np.nan, np.nan]),
        durations=WEEK,
    )
    assert (np.diff(back, axis=0) >= -1e-12).all()
    assert back[0, 0] < 0.1  # long before it is due
    assert math.isclose(back[1, 0], availability.LATE_ON_TIME)
    assert math.isclose(back[1, 1], availability.LATE_A_DAY)  # two days late: each day half come
    assert math.isclose(back[2, 2], 1 - WEEK.still_out(np.array([102.0]))[0] / WEEK.still_out(np.array([30.0]))[0])  # fmt: skip
    assert 0 < back[1, 3] < 0.3  # out for longer than any before
    assert back[3, 2] == 1.0


def test_without_any_rental_seen_nothing_is_known_of_how_long_they_last() -> None:
    none = Durations(np.zeros(4), WEEK.ends_h)
    back = availability.back_within(np.array([24.0]), np.array([5.0]), np.array([np.nan]), none)
    assert math.isclose(back[0, 0], availability.OVERDUE_A_DAY)


def test_units_in_repair_come_back_by_and_by() -> None:
    hours = np.array([0.0, 72.0, 24.0 * 60])
    found = availability.free(
        1, 0, np.zeros((3, 0)), 1.0, hours, np.zeros(3), np.zeros(3), np.zeros(3)
    )
    assert found.chance[0] == 0
    assert math.isclose(found.chance[1], 1 - math.exp(-1))
    assert found.chance[2] > 0.999


def test_walk_ins_are_those_who_came_and_have_not_brought_it_back() -> None:
    """Against drawing arrivals and stays."""
    rng = np.random.default_rng(2)
    rate, turn, begin = 3.0, 2.0, 96.0
    hours = np.array([48.0, 96.0, 144.0])
    seen = np.zeros(3)
    runs = 4_000
    for _ in range(runs):
        came = rng.uniform(0, begin, rng.poisson(rate * begin / 24))
        back = came + rng.exponential(turn * 24, len(came))
        seen += [((came <= h) & (back > h)).sum() for h in hours]
    mean, variance = availability.walk_ins(rate, 2.0, begin, hours, turn)
    assert np.abs(mean - seen / runs).max() < 0.12
    assert np.allclose(variance, 2 * mean)
