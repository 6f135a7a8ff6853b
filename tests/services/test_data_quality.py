"""Silences are told of sources that fall silent, and hardly ever of others; accounts add up."""

import numpy as np
import pytest

from edge.services import data_quality as dq
from edge.services.data_quality import HOUR_MS, HOURS, Watch

START_MS = 1_772_000_000_000 // HOUR_MS * HOUR_MS
NAMES = [f"s{i}" for i in range(40)]


def hour_of_week(at_ms: int) -> int:
    return at_ms // HOUR_MS % HOURS


def rates(seed: int) -> np.ndarray:
    """float64[sources, 168]: quiet nights, busy days, some sources rare and some frequent."""
    chance = np.random.default_rng(seed)
    scale = np.exp(chance.uniform(np.log(0.05), np.log(60), len(NAMES)))
    day = np.where((np.arange(HOURS) % 24 >= 8) & (np.arange(HOURS) % 24 < 20), 1.0, 0.03)
    return scale[:, None] * day * chance.uniform(0.5, 1.5, (len(NAMES), HOURS))


def run(watch: Watch, counts: np.ndarray, first: int) -> list[list[dq.Silence]]:
    """Counts int[hours, sources] from hour ``first`` on; the silences told by day."""
    days = []
    for i, row in enumerate(counts):
        watch.advance(START_MS + (first + i) * HOUR_MS, hour_of_week)
        for name, many in zip(NAMES, row.tolist(), strict=True):
            if many:
                watch.heard(name, many)
        if (first + i) % 24 == 23:
            watch.advance(START_MS + (first + i + 1) * HOUR_MS, hour_of_week)
            days.append(watch.close_day({}).silences)
    return days


@pytest.mark.parametrize("seed", [1, 2])
def test_at_most_one_source_day_in_a_hundred_is_a_false_alarm_on_poisson_data(seed: int) -> None:
    weeks, rate = 14, rates(seed)
    chance = np.random.default_rng(seed + 10)
    counts = chance.poisson(np.tile(rate.T, (weeks, 1)))
    days = run(Watch(), counts, 0)
    # from the fourth week on something can be told at all
    told = sum(len({s.source for s in day}) for day in days[21:])
    assert told / ((weeks - 3) * 7 * len(NAMES)) <= dq.FALSE_ALARMS


def test_a_busy_source_that_falls_silent_is_told_the_same_day_and_only_it() -> None:
    weeks, rate = 5, rates(3)
    chance = np.random.default_rng(3)
    counts = chance.poisson(np.tile(rate.T, (weeks, 1)))
    busy = int(rate.mean(axis=1).argmax())
    day = weeks * 7 - 2
    counts[day * 24 + 10 : day * 24 + 17, busy] = 0
    told = run(Watch(), counts, 0)[day]
    (found,) = [s for s in told if s.source == NAMES[busy]]
    assert found.from_ms == START_MS + (day * 24 + 10) * HOUR_MS
    assert found.to_ms == START_MS + (day * 24 + 17) * HOUR_MS
    assert found.expected > 8


def test_a_source_that_varies_more_than_chance_is_not_called_silent_for_it() -> None:
    chance = np.random.default_rng(4)
    weeks = 12
    whole = chance.poisson(6.0, (weeks * HOURS, len(NAMES)))
    counts = np.where(chance.random(whole.shape) < 0.3, 0, whole)
    days = run(Watch(), counts, 0)[42:]
    assert sum(len(day) for day in days) / (len(days) * len(NAMES)) < 0.05


def test_a_closed_shop_at_night_is_no_silence() -> None:
    pattern = np.where(np.arange(24) // 8 == 1, 30, 0)
    counts = np.tile(pattern, 70)[:, None].repeat(len(NAMES), axis=1)
    assert not any(run(Watch(), counts, 0))


def test_blind_hours_say_nothing_of_anybody() -> None:
    watch = Watch()
    counts = np.full((5 * HOURS, len(NAMES)), 20)
    run(watch, counts, 0)
    at_ms = START_MS + 5 * HOURS * HOUR_MS
    for hour in range(1, 12):
        watch.blind()
        watch.advance(at_ms + hour * HOUR_MS, hour_of_week)
    assert watch.close_day({}).silences == []


def test_a_leap_of_the_clock_is_no_silence_and_costs_nothing() -> None:
    watch = Watch()
    run(watch, np.full((5 * HOURS, len(NAMES)), 20), 0)
    watch.advance(START_MS + 100_000 * HOUR_MS, hour_of_week)
    assert watch.close_day({}).silences == []


def test_what_was_saved_goes_on_as_if_nothing_had_happened() -> None:
    counts = np.random.default_rng(5).poisson(3.0, (4 * HOURS, len(NAMES)))
    once, again = Watch(), Watch()
    run(once, counts[: 2 * HOURS + 7], 0)
    again.load(once.save())
    assert again.save() == once.save()
    for watch in (once, again):
        run(watch, counts[2 * HOURS + 7 :], 2 * HOURS + 7)
        watch.odd("price_zero")
    assert again.save() == once.save()


def test_an_account_holds_what_rose_since_the_day_before() -> None:
    watch = Watch()
    watch.heard("till")
    watch.odd("price_absurd")
    first = watch.close_day({"events_admitted": 5, "dead_future": 1})
    assert first.counts == {"dead_future": 1, "events_admitted": 5}
    assert first.impossible == {"price_absurd": 1}
    assert first.sources == {"till": 1}
    second = watch.account({"events_admitted": 7, "dead_future": 1})
    assert second.counts == {"events_admitted": 2}
    assert second.impossible == {}
    assert second.sources == {}


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        (("sale", 1, 1_000, 900, 5, 0), ""),
        (("sale", 1, 30_000, 900, 5, 0), "price_absurd"),
        (("sale", 1, 10, 900, 5, 0), "price_absurd"),
        (("sale", 1, 0, 900, 5, 0), "price_zero"),
        (("sale", 1, 200_000_000, 0, 5, 0), "price_absurd"),
        (("return", 1, 0, 900, 5, 0), ""),
        (("sale", 20_000, 900, 900, 5, 0), "units_absurd"),
        (("rental", 1, 900, 900, 5, 4), "due_before_rental"),
        (("rental", 1, 900, 900, 5, 6), ""),
    ],
)
def test_a_line_that_cannot_be_is_called_so(told: tuple, fault: str) -> None:
    assert dq.line_fault(*told) == fault


def test_sources_beyond_the_limit_are_not_watched(monkeypatch) -> None:
    monkeypatch.setattr(dq, "SOURCES_MAX", 2)
    watch = Watch()
    for name in "abc":
        watch.heard(name)
    assert set(watch.account({}).sources) == {"a", "b"}
