"""What services could save at best, beside a simulation of the same things."""

from pathlib import Path

import numpy as np
import pytest

from bench.impact.wear import DAYS_RENT_CENTS, life, saved
from bench.impact.world import SERVICE_CENTS, SERVICE_DAYS
from edge.simulate.days import REPAIR_CENTS, REPAIR_DAYS, failing


@pytest.mark.parametrize(("frailty", "after", "day_cents"), [(0.7, 14, 0.0), (1.6, 9, 2_600.0)])
def test_the_cost_of_a_use_is_what_many_lives_come_to(
    frailty: float, after: int, day_cents: float
) -> None:
    chance, uses, failures, cents = np.random.default_rng(1), 0, 0, 0.0
    for _ in range(20_000):
        for use in range(1, after + 1):
            uses += 1
            if chance.random() < failing(frailty, use):
                failures += 1
                cents += chance.integers(*REPAIR_CENTS) + day_cents * chance.integers(*REPAIR_DAYS)
                break
        else:
            cents += SERVICE_CENTS + day_cents * SERVICE_DAYS
    told = life(frailty, after, day_cents)
    assert told.failures == pytest.approx(failures / uses, rel=0.03)
    assert told.cents == pytest.approx(cents / uses, rel=0.03)


def test_who_knows_each_thing_saves_no_less_than_who_knows_them_all_together() -> None:
    for day_cents in (0.0, DAYS_RENT_CENTS):
        each, together = saved(day_cents, each=True), saved(day_cents, each=False)
        assert each.cost >= together.cost >= 0


def test_the_document_tells_what_is_found() -> None:
    text = (Path(__file__).parents[2] / "docs" / "impact.md").read_text(encoding="utf-8")
    for whose, each in (("of each thing", True), ("one for all things", False)):
        for what, cents in (("nothing", 0.0), ("its rent", DAYS_RENT_CENTS)):
            found = saved(cents, each)
            assert f"| {whose} | {what} | {-found.cost:+.1%} | {-found.failures:+.1%} |" in text
