"""A shop of a few days with the models that come along: they are held back, say so, and propose nothing."""

import asyncio
import re
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from edge.config import Config, Maintenance
from edge.core import Core
from edge.events import ItemLink
from edge.features.catalog import BY_ENTITY
from edge.inference.manifest import Manifest, Service
from edge.inference.model import Loaded
from edge.inference.predict import SERVICES
from edge.inference.scorer import Scorer
from edge.records import Message
from edge.simulate.days import DaysSettings, ShopDays
from edge.view_answers import Answer
from edge.view_basis import Basis, Sources
from edge.view_fleet import chances_of, drained, items, told
from edge.view_maintenance import DAYS, MaintenanceView
from edge.view_maintenance_rows import Probability
from edge.view_models import LiveModels, Prediction
from edge.view_quality import BOOK, QualityView
from edge.view_voice import NEEDED_DAYS_MOST, RULE_DAYS, needed_days, voice
from tests.test_view_fleet import SHIPPED, scored

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


def why_none(sources: Sources, worth: Maintenance) -> str:
    """Why a plan under these settings has no service."""
    config = replace(sources.core.config, maintenance=worth)
    view, _ = planned(Sources(sources.core, config, sources.models, sources.scorer))
    book = view.book(DAYS)
    assert book is not None
    assert book.services == []
    return view.schedule(book, [], None).why_empty


def test_an_empty_plan_says_what_its_best_service_lacks(fresh: Sources) -> None:
    useless = why_none(fresh, Maintenance(failure_cents=0, effect=0.0))
    assert (
        "No service of the 64 items is worth its cost: the one that comes nearest costs" in useless
    )
    assert "more than it saves over 180 days" in useless
    close = why_none(fresh, Maintenance(failure_cents=32_000, effect=0.6))
    assert re.search(r"nearest saves \d+\.\d\d over 180 days, .* and \d+\.\d\d \(25%", close), close


def test_an_empty_plan_says_that_little_is_known_where_it_is_and_never_in_place_of_the_cost(
    fresh: Sources, grown: Sources
) -> None:
    dear = Maintenance(service_parts_cents=10_000_000)
    for sources, little in ((fresh, True), (grown, False)):
        why = why_none(sources, dear)
        assert why.startswith("No service of the 64 items is worth its cost")
        assert (" 0 of them are known well: 90 days of an item's own history" in why) == little


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


def said_of(sources: Sources, *chances: float, p50: float) -> tuple[Probability, float]:
    """What is told of the first item where a model says this of it, and how far it is believed."""
    rows = items(sources).rows[:1]
    names = ("p_event_7d", "p_event_14d", "p_event_30d", "days_to_event_p50")
    told_so = [
        Answer(name=name, unit="", horizon_days=0.0, value=value)
        for name, value in zip(names, (*chances, p50), strict=True)
    ]
    made = Prediction(
        service="maintenance", entity="item", key="", store="", version="v", kind="k", canary=False,
        predicted_ms=0, stale=False, fallback="", rule="", confidence=None, answers=told_so,
    )  # fmt: skip
    epc = sources.core.state.item.keys.key(int(rows[0]))
    found = MaintenanceView(sources).probability(epc, made)
    assert found is not None
    return found, float(voice(sources, "maintenance", rows).share[0])


def test_half_of_such_items_have_failed_where_the_curve_that_is_told_says_so(
    fresh: Sources, grown: Sources
) -> None:
    now, share = said_of(grown, 0.3, 0.7, 0.9, p50=25.0)
    assert share == 1.0
    days = now.days_to_event_p50
    assert days is not None
    assert 7 < days < 14  # not the 25 days that contradict the curve
    later, _ = said_of(grown, 0.1, 0.2, 0.4, p50=25.0)
    assert later.days_to_event_p50 == 30.0  # behind the curve, and so not before its end
    assert said_of(grown, 0.1, 0.2, 0.4, p50=55.0)[0].days_to_event_p50 == 55.0
    held, share = said_of(fresh, 0.999, 0.999, 0.999, p50=1.0)
    assert share < 0.1
    assert held.days_to_event_p50 is None  # held towards the rule, the curve stays below one half
    assert max(row.probability or 0.0 for row in held.curve) < 0.5


# -- another version answers ----------------------------------------------------------------------------


def other_version(sources: Sources, service: Service, number: int) -> None:
    """The same model under another name: from now on it answers; nothing is scored yet."""
    assert sources.scorer is not None
    active = sources.scorer.slots[service].active
    assert active is not None
    told = replace(active.manifest, version=f"20990101T00000{number}Z-0123abcd")
    (folder,) = (SHIPPED / service).iterdir()
    model = (folder / "model.onnx").read_bytes()
    most = SERVICES[service].columns_max
    sources.scorer.use(service, Loaded(told, model, None, sources.core.state, 100 + number, most))


def score(sources: Sources) -> None:
    """Let every row be scored."""

    async def beats() -> None:
        assert sources.scorer is not None
        for _ in range(3):
            await sources.scorer.beat()

    asyncio.run(beats())


def made(view: MaintenanceView | QualityView, number: int) -> None:
    drained(view.making(drained(view.gathering(number))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "number", "services"),
    [
        (MaintenanceView, DAYS, ("maintenance",)),
        (QualityView, BOOK, ("quality", "maintenance")),  # health and inspections are of failures
    ],
)
def test_books_are_made_anew_when_another_version_answers_and_once_it_has_spoken_of_all(
    kind: type[MaintenanceView] | type[QualityView], number: int, services: tuple[Service, ...]
) -> None:
    sources = sources_after(3)
    view = kind(sources)
    assert not view.fresh(number)
    made(view, number)
    assert view.fresh(number)
    for at, service in enumerate(services):
        other_version(sources, service, at)
        assert not view.fresh(number)
        assert view.of_today(number)  # shown meanwhile
        made(view, number)
        assert view.fresh(number)
        score(sources)  # simple rules stood in while nothing was scored
        assert not view.fresh(number)
        made(view, number)
        assert view.fresh(number)
    book = view.book(number)
    assert book is not None
    assert book.basis.version.startswith("2099")
    assert not book.basis.fallback or kind is QualityView


@pytest.mark.parametrize("kind", [MaintenanceView, QualityView])
def test_books_are_made_anew_when_many_items_came(
    kind: type[MaintenanceView] | type[QualityView],
) -> None:
    sources = sources_after(3)
    view, number = kind(sources), DAYS if kind is MaintenanceView else BOOK
    made(view, number)
    assert view.fresh(number)
    for i in range(20):
        epc, at = f"42544500000000000000A{i:03d}", sources.now_ms
        new = ItemLink(epc=epc, sku="63005", store="south", at=at)
        sources.core.step(
            [Message("rfid3/south/item_link/x", msgspec.json.encode(new), at)], 10**6 + i
        )
    assert not view.fresh(number)
    made(view, number)
    assert view.fresh(number)
    book = view.book(number)
    assert book is not None
    assert len(items(sources)) == 84


def test_a_proposal_names_the_version_that_answers_now() -> None:
    sources = sources_after(NEEDED_DAYS_MOST + 5)
    view = MaintenanceView(sources)
    before = {one.version for one in view.proposals() if one is not None and not one.fallback}
    other_version(sources, "maintenance", 1)
    score(sources)
    after = {one.version for one in view.proposals() if one is not None and not one.fallback}
    assert before
    assert after == {"20990101T000001Z-0123abcd"}
