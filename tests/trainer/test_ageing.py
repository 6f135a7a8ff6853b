"""Ageing between renewals: items that live by dice with a known law, some far more frail than others."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.services.maintenance import Costs, aged, outlook
from trainer.ageing import LEAST_FAILURES, Gaps, ageing, gaps
from trainer.history import FeatureTable

Floats = NDArray[np.float64]

NAMES = ("days_since_repair", "failures_total", "repairs_total")
TYPICAL_DAYS = 90.0
YEAR = 365


@dataclass
class Log:
    """What an item lived through, day by day; the day's close comes after everything that happened on it."""

    gaps: list[tuple[float, bool]] = field(default_factory=list)
    rows: list[tuple[int, float, float, float]] = field(default_factory=list)
    """day, and ``NAMES``."""


def live(
    frailty: float, shape: float, days: int, services: float, dice: np.random.Generator
) -> Log:
    """Failures by the law, a repair up to three days later, now and then a service; quiet days are weekly."""
    log, turn = Log(), int(dice.integers(7))
    since, age, seen = (
        np.nan,
        float(dice.integers(60)),
        False,
    )  # whoever begins was never seen renewed
    failures = repairs = 0
    mended_on = -1
    for day in range(days):
        told = day % 7 == turn
        age, since = age + 1, since + 1
        chance = 0.0
        if mended_on < 0:
            from_days, to_days = ((age - 1) / TYPICAL_DAYS) ** shape, (age / TYPICAL_DAYS) ** shape
            chance = 1 - np.exp(-frailty * (to_days - from_days))
        if dice.random() < chance:
            failures, told = failures + 1, True
            if seen:
                log.gaps.append((age, True))
            mended_on, seen = day + int(dice.integers(0, 4)), False
        if mended_on == day:
            repairs, told = repairs + 1, True
            since, age, seen, mended_on = 0.4, 0.0, True, -1
        elif mended_on < 0 and dice.random() < services:
            told = True
            if seen:
                log.gaps.append((age, False))
            since, age, seen = 0.4, 0.0, True
        if told:
            log.rows.append((day, since, float(failures), float(repairs)))
    if seen and age > 0:
        log.gaps.append((age, False))
    return log


def shop(
    items: int, shape: float, seed: int = 1, services: float = 0.0, days: int = YEAR
) -> tuple[FeatureTable, list[Log], Floats]:
    """(history, what really was, frailty of each item)"""
    dice = np.random.default_rng(seed)
    frailty = dice.gamma(2.0, 0.5, items)
    logs = [live(float(z), shape, days, services, dice) for z in frailty]
    rows = np.array([row for log in logs for row in log.rows])
    number = np.repeat(np.arange(items), [len(log.rows) for log in logs])
    table = FeatureTable(
        entity="item",
        keys=[f"item{i}" for i in range(items)],
        start=np.searchsorted(number, np.arange(items + 1)),
        day=rows[:, 0].astype(np.int64),
        features=NAMES,
        x=rows[:, 1:].astype(np.float32),
        levels={},
    )
    return table, logs, frailty


def found(items: int, shape: float, seed: int = 1) -> Gaps:
    table, _, _ = shop(items, shape, seed)
    return gaps(table, np.full(items, YEAR - 1))


def test_gaps_are_those_that_were_lived_through() -> None:
    table, logs, _ = shop(60, 1.7, services=0.006)
    told = gaps(table, np.full(60, YEAR - 1))
    assert told.failed.sum() > 50
    assert (~told.failed).sum() > 60  # services end some, the end of the watch one each
    for i, log in enumerate(logs):
        mine = told.item == i
        lived = [(days, failed) for days, failed in log.gaps if days > 0 or failed]
        assert list(zip(told.days[mine], told.failed[mine], strict=True)) == lived


def test_a_moment_that_is_told_an_hour_off_is_no_renewal() -> None:
    table, _, _ = shop(40, 1.7)
    told = gaps(table, np.full(40, YEAR - 1))
    shifted = table.x.copy()
    shifted[:, 0] -= np.where(table.day > 180, 1 / 24, 0).astype(
        np.float32
    )  # the clocks went forward
    again = gaps(
        FeatureTable(
            entity="item", keys=table.keys, start=table.start, day=table.day, features=NAMES,
            x=shifted, levels={},
        ),
        np.full(40, YEAR - 1),
    )  # fmt: skip
    assert again.days.tolist() == told.days.tolist()


@pytest.mark.parametrize("shape", [0.8, 1.0, 1.5, 2.2])
def test_the_shape_is_found_though_some_items_are_far_more_frail(shape: float) -> None:
    told = ageing(found(400, shape))
    assert told is not None
    assert told.likeliest == pytest.approx(shape, rel=0.1)
    assert told.shape < told.likeliest
    assert told.frailty_variance == pytest.approx(0.5, abs=0.2)


def test_with_fewer_failures_the_shape_is_held_nearer_to_none() -> None:
    few, many = ageing(found(60, 2.0)), ageing(found(600, 2.0))
    assert few is not None
    assert many is not None
    assert few.likeliest - few.shape > 2 * (many.likeliest - many.shape)


def test_of_a_handful_of_failures_nothing_is_said() -> None:
    told = found(15, 1.5)
    assert told.failed.sum() < LEAST_FAILURES
    assert ageing(told) is None
    none = np.zeros(0)
    assert ageing(Gaps(none.astype(np.int64), none, none.astype(np.bool_))) is None


def worth_it(shape: float) -> float:
    """Share of a shop's items for which a service would be planned: a third of a failure's cost, and a margin."""
    told = ageing(found(250, shape))
    assert told is not None
    dice = np.random.default_rng(5)
    n = 400
    frailty, age = dice.gamma(2.0, 0.5, n), dice.uniform(5, 150, n)
    # how often each really fails in the middle of the next month
    worn = frailty * shape / TYPICAL_DAYS * ((age + 15) / TYPICAL_DAYS) ** (shape - 1)
    costs = Costs(
        service_cents=np.full(n, 1_200.0),
        failure_cents=np.full(n, 3_600.0),
        service_days=np.zeros(n),
        failure_days=np.zeros(n),
        cls=np.zeros(n, np.int64),
        lost_cents=np.zeros((1, 180)),
    )
    horizons = np.array([7.0, 14.0, 30.0])
    fresh = aged(worn, age, told.shape, horizons)
    saved = outlook(np.tile(worn[:, None], 4), horizons, fresh, costs, 28).gain.max(axis=1)
    return float((saved > 0.25 * 1_200).mean())


def test_where_nothing_wears_no_service_pays_however_frail_some_are_and_where_all_does_many_do() -> (
    None
):
    assert worth_it(1.0) == 0.0
    assert 0.02 < worth_it(1.6) < worth_it(2.5)
    assert worth_it(2.5) > 0.4
