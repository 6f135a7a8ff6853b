"""A shop of a few days with the models that come along: they are held back, say so, and propose nothing."""

from typing import Any, cast

import numpy as np
import pytest
from msgspec.structs import replace

from edge.config import Config, Maintenance
from edge.core import Core
from edge.features.catalog import BY_ENTITY
from edge.inference.manifest import Manifest
from edge.inference.predict import SERVICES
from edge.inference.scorer import Scorer
from edge.simulate.days import DaysSettings, ShopDays
from edge.view_basis import Basis, Sources
from edge.view_fleet import chances_of, drained, items, told
from edge.view_maintenance import DAYS, MaintenanceView
from edge.view_models import LiveModels
from edge.view_quality import BOOK, QualityView
from edge.view_voice import NEEDED_DAYS_MOST, RULE_DAYS, needed_days, voice
from tests.test_view_fleet import scored

DAY_MS = 86_400_000


class Answering:
    """As much of the models as a basis asks for: who answers."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def row(self, service: Any) -> Any:
        active = self._scorer.slots[service].active
        assert active is not None
        told = active.manifest

        class Row:
            answering, rule, trained_on = told.version, "", told.training.data

        return Row


def sources_after(days: int) -> Sources:
    """A shop of so many days where failures are dear, with the starters that are shipped."""
    core = Core(Config(maintenance=Maintenance(failure_cents=1_000_000, effect=0.9)))
    settings = DaysSettings(
        days=days, rental_classes=8, articles=2, items_per_class=8, rentals_a_day=14
    )
    for batch in ShopDays(settings).batches():
        core.step(batch.messages, batch.first)
        core.advance(batch.beat_ms)
    core.advance(core.now_ms + 3_600_000)
    scorer = scored(core, "maintenance", "quality")
    return Sources(core, core.config, cast(LiveModels, Answering(scorer)), scorer)


@pytest.fixture(scope="module")
def fresh() -> Sources:
    return sources_after(3)


@pytest.fixture(scope="module")
def grown() -> Sources:
    return sources_after(NEEDED_DAYS_MOST + 5)


def manifest(sources: Sources) -> Manifest:
    assert sources.scorer is not None
    active = sources.scorer.slots["maintenance"].active
    assert active is not None
    return active.manifest


def planned(sources: Sources) -> tuple[MaintenanceView, Basis]:
    view = MaintenanceView(sources)
    drained(view.making(drained(view.gathering(DAYS))))
    book = view.book(DAYS)
    assert book is not None
    return view, book.basis


def test_how_long_a_starter_is_held_follows_from_the_windows_of_its_features(
    fresh: Sources,
) -> None:
    told = manifest(fresh)
    windows = [BY_ENTITY["item"][name].window for name in told.features]
    days = [int(window[:-1]) for window in windows if window.endswith("d")]
    assert needed_days(told) == min(max(days), NEEDED_DAYS_MOST)
    own = replace(told, training=replace(told.training, reason="schedule"))
    assert needed_days(own) == 0  # what learnt here is believed
    assert needed_days(None) == RULE_DAYS


def test_a_starter_is_believed_as_far_as_its_days_are_known(fresh: Sources) -> None:
    found = items(fresh)
    assert (found.voice.watched_days < 4).all()
    rows = found.rows
    _, said, _ = told(fresh, "maintenance", rows)
    rule = SERVICES["maintenance"].fallback.answer(fresh.core.state, rows)
    names = [column.name for column in manifest(fresh).columns]
    for row in range(len(rows)):  # the oracle, one by one
        share = found.voice.watched_days[row] / needed_days(manifest(fresh))
        for k, days in enumerate((7, 14, 30)):
            model = said[row, names.index(f"p_event_{days}d")]
            expected = share * model + (1 - share) * rule[row, k]
            assert found.chances[row, k] == pytest.approx(expected, rel=1e-5)


def test_of_a_fresh_shop_nothing_is_proposed_and_the_answers_say_why(fresh: Sources) -> None:
    view, basis = planned(fresh)
    assert basis.origin == "starter"
    assert "simulated shop" in basis.trained_on
    assert f"until {needed_days(manifest(fresh))} days" in basis.held
    assert [one for one in view.proposals() if one is not None] == []
    book = view.book(DAYS)
    assert book is not None
    assert book.services  # failures are so dear that the plan has some all the same
    assert not any(row.founded for row in book.services)
    quality = QualityView(fresh)
    drained(quality.making(drained(quality.gathering(BOOK))))
    kept = quality.book()
    assert kept is not None
    got = quality.replacements(kept, [], None)
    assert got.counts["unknown"] == got.items > 0
    assert got.gain_cents == 0
    assert got.basis.origin == "starter"
    assert got.basis.held


def test_an_empty_plan_of_a_fresh_shop_says_what_is_needed(fresh: Sources) -> None:
    config = replace(fresh.core.config, maintenance=Maintenance(failure_cents=0, effect=0.0))
    view, _ = planned(Sources(fresh.core, config, fresh.models, fresh.scorer))
    book = view.book(DAYS)
    assert book is not None
    assert book.services == []
    assert "90 days of an item's own history are needed" in view.schedule(book, [], None).why_empty


def test_once_its_windows_have_filled_a_starter_speaks_in_full(grown: Sources) -> None:
    view, basis = planned(grown)
    found = items(grown)
    old = found.voice.watched_days >= NEEDED_DAYS_MOST
    assert old.mean() > 0.9
    _, said, _ = told(grown, "maintenance", found.rows[old])
    assert np.array_equal(found.chances[old], said[:, :3])
    assert basis.origin == "starter"
    proposed = [one for one in view.proposals() if one is not None]
    assert proposed
    known = {key for key, enough in zip(found.keys, old, strict=True) if enough}
    assert {one.target for one in proposed} <= known
    heard = voice(grown, "maintenance", found.rows[:1])
    assert chances_of(grown, found.rows[:1], heard)[1].all()
