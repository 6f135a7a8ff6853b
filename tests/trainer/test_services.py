"""The table of services: what is too little is told, not raised through; what is due has its reason."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from edge.errors import Rfid3Error
from edge.features import catalog
from edge.inference.manifest import SERVICES, Manifest
from edge.inference.predict import SERVICES as AT_EDGE
from edge.inference.registry import ACTIVE
from edge.storage.feedback import low_ratings
from tests.inference import models
from trainer import maintenance, packs, pricing, quality, velocity
from trainer.compare import compare, may_publish
from trainer.data import Data, named, numbered
from trainer.schedule import REASONS, Due, Signals, due
from trainer.services import RECIPES, Reason, Recipe, Settings, TooLittle, chosen
from trainer.standing import Standing


@dataclass
class Days:
    """Stands where ``Data`` is asked for its days only."""

    days: dict[str, list[int]]
    split_day: int = 0
    sources: list[object] = field(default_factory=list)


def test_every_service_has_a_recipe_of_the_edges_entity() -> None:
    assert set(RECIPES) == set(SERVICES)
    for name, recipe in RECIPES.items():
        assert recipe.entity == AT_EDGE[name].entity, name
        assert recipe.baselines
        assert recipe.every_days >= 1


def test_no_model_learns_from_a_set_as_if_it_were_a_quantity() -> None:
    used = {("item", name) for name in (*maintenance.FEATURES, *quality.FEATURES)}
    used |= {("class", name) for of in (velocity, pricing, packs) for name in of.FEATURES}
    assert {catalog.BY_ENTITY[entity][name].unit for entity, name in used} & {"bits"} == set()


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_too_few_days_are_told_with_what_is_needed(recipe: Recipe) -> None:
    few = Days({"class": list(range(5)), "item": list(range(5))})
    with pytest.raises(TooLittle, match=f"5 days .* {recipe.days_min} are needed"):
        recipe.fit(few, Settings())  # type: ignore[arg-type]


def test_a_service_that_is_none_is_named() -> None:
    assert [r.name for r in chosen(["quality", "demand"])] == ["demand", "quality"]
    with pytest.raises(Rfid3Error, match="no service weather"):
        chosen(["weather"])


@pytest.mark.parametrize("span", [1, 2, 5, 7, 99, 100, 731])
def test_at_least_a_fifth_of_the_span_is_held_out(span: int) -> None:
    data = Data([])
    data.__dict__["days"] = {"class": [100, 100 + span - 1], "item": []}
    held_out = data.last_day - data.split_day + 1
    assert span * 0.2 <= held_out <= span * 0.2 + 1


def test_days_have_names() -> None:
    assert numbered(named(20_000)) == 20_000


# --- which is due -------------------------------------------------------------------------------------


def manifest(to_day: int, **told: object) -> Manifest:
    made = models.manifest("demand", columns=models.chances(2), **told)  # type: ignore[arg-type]
    training = msgspec.structs.replace(made.training, to_day=named(to_day))
    return msgspec.structs.replace(made, training=training)


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setattr(Recipe, "installed", True)
    return RECIPES["maintenance"]


def plan(
    recipe: Recipe, trained_to: int | None, last_day: int, complaint: str = "", **noticed: float
) -> Due:
    newest = None if trained_to is None else manifest(trained_to)
    standing = Standing(recipe.name, None, None, newest, complaint)
    signals = {recipe.name: Signals(**noticed)}  # type: ignore[arg-type]
    last = {"class": -1, "item": last_day}
    (told,) = due([recipe], {recipe.name: standing}, last, signals, feedback_ratings=3)
    return told


def test_a_service_without_a_model_of_the_shops_own_is_due(recipe: Recipe) -> None:
    assert plan(recipe, None, 100).reason == "schedule"


def test_without_history_nothing_is_due(recipe: Recipe) -> None:
    assert plan(recipe, None, -1).reason is None


def test_a_model_is_trained_again_when_enough_days_are_new_to_it(recipe: Recipe) -> None:
    assert plan(recipe, 100, 100 + recipe.every_days - 1).reason is None
    assert plan(recipe, 100, 100 + recipe.every_days).reason == "schedule"


def test_what_the_daemon_took_back_is_trained_again_early(recipe: Recipe) -> None:
    assert plan(recipe, 100, 101, "worse than the simple rule by 9%").reason == "accuracy"
    assert plan(recipe, 100, 100, "worse than the simple rule by 9%").reason is None


def test_drift_and_low_ratings_are_reasons(recipe: Recipe) -> None:
    assert plan(recipe, 100, 101, drifted=0.3).reason == "drift"
    assert plan(recipe, 100, 101, drifted=0.1).reason is None
    assert plan(recipe, 100, 101, low_ratings=3).reason == "feedback"
    assert plan(recipe, 100, 101, low_ratings=2).reason is None


def test_without_a_threshold_no_rating_is_a_reason(recipe: Recipe) -> None:
    standing = Standing(recipe.name, None, None, manifest(100))
    signals = {recipe.name: Signals(low_ratings=1_000)}
    (told,) = due([recipe], {recipe.name: standing}, {"class": -1, "item": 101}, signals)
    assert told.reason is None


def test_what_somebody_asks_for_is_due_whatever_its_age(recipe: Recipe) -> None:
    assert plan(recipe, 100, 100, asked=True).reason == "asked"
    assert plan(recipe, None, 100, asked=True).reason == "asked"
    assert plan(recipe, 100, -1, asked=True).reason is None


def test_of_several_reasons_the_most_urgent_is_told(recipe: Recipe) -> None:
    everything = {"drifted": 1.0, "low_ratings": 9, "asked": True}
    order: list[str | None] = []
    for gone in ("", "asked", "complaint", "drifted", "low_ratings"):
        everything.pop(gone, None)
        complaint = "worse" if len(order) < 2 else ""
        order.append(plan(recipe, 100, 200, complaint, **everything).reason)
    assert order == [reason for reason, _ in REASONS]
    assert {reason for reason, _ in REASONS} == set(get_args(Reason)) - {"starter"}


def test_low_ratings_since_the_training_are_counted_by_service(tmp_path: Path) -> None:
    store = tmp_path / "journal.db"
    since = {"demand": 1_000, "quality": 1_000}
    assert low_ratings(store, since) == {}
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("CREATE TABLE other (x)")
        connection.commit()
        assert low_ratings(store, since) == {}
        connection.execute(
            "CREATE TABLE feedback (entity TEXT, service TEXT, rating INTEGER, at_ms INTEGER, note TEXT)"
        )
        for service, rating, at_ms in (
            ("demand", 1, 2_000), ("demand", 2, 3_000), ("demand", 3, 3_000), ("demand", 5, 3_000),
            ("demand", 1, 900), ("demand", 0, 3_000), ("quality", 4, 3_000), ("packs", 1, 3_000),
        ):  # fmt: skip
            row = ("A", service, rating, at_ms, "too many tents")
            connection.execute("INSERT INTO feedback VALUES (?, ?, ?, ?, ?)", row)
        connection.commit()
    assert low_ratings(store, since) == {"demand": 2}


# --- which is better ----------------------------------------------------------------------------------


def told(pinball: float, rule: float, active: float | None = None) -> Manifest:
    baselines = {"naive": {"pinball": rule}}
    if active is not None:
        baselines[ACTIVE] = {"pinball": active}
    return manifest(100, metrics={"pinball": pinball}, baselines=baselines)


def test_the_same_later_rows_decide_where_there_are_any() -> None:
    compared = compare(told(0.9, 2.0, active=1.0), told(0.1, 2.0))
    assert compared.gain == pytest.approx(0.1)
    assert "same later days" in compared.by


def test_else_each_is_held_against_the_simple_rules_that_both_know() -> None:
    compared = compare(told(1.0, 2.0), told(1.2, 2.0))
    assert compared.gain == pytest.approx(0.5 - 0.4)
    other = manifest(100, metrics={"mae": 1.0}, baselines={"naive": {"mae": 2.0}})
    assert compare(told(1.0, 2.0), other).gain is None


def test_a_worse_model_is_not_published_beyond_the_margin() -> None:
    active = told(1.0, 2.0)
    assert may_publish(compare(told(1.02, 2.0), active), active, 0.02) == ""
    assert "worse" in may_publish(compare(told(1.2, 2.0), active), active, 0.02)
    assert may_publish(compare(told(3.0, 2.0), None), None, 0.02) == ""


def test_no_service_is_fitted_from_nothing(tmp_path: Path) -> None:
    with Data([]) as data:
        assert data.last_day == -1
        for recipe in RECIPES.values():
            with pytest.raises(TooLittle):
                recipe.fit(data, Settings())
