"""Columns become answers: intervals that are intervals, quantiles by level, words for codes."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.features.words import GRADE_NUMBER
from edge.inference import codes, velocity
from edge.inference.answering import answering, origin_of
from edge.inference.manifest import Column, Manifest, Service, decode_manifest
from edge.inference.predict import SERVICES as AT_EDGE
from edge.inference.registry import Registry
from edge.view_answers import Answer, answers
from tests.inference import models
from tests.inference.test_registry import SETTINGS, S, Told
from trainer import pricing
from trainer import velocity as inventory

SHIPPED = sorted((Path(__file__).resolve().parents[1] / "models").glob("*/*/manifest.json"))


def told(service: Service, columns: list[Column], *values: float) -> dict[str, Answer]:
    return {a.name: a for a in answers(service, columns, values)}


def of_levels(*levels: float) -> list[Column]:
    return [Column(name="units_7d", unit="units", horizon_days=7), *(
        Column(name=f"units_7d_p{round(100 * level)}", unit="units", horizon_days=7, quantile=level)
        for level in levels
    )]  # fmt: skip


def test_an_interval_leaves_the_same_share_out_on_either_side() -> None:
    (one,) = told("demand", of_levels(0.9, 0.1, 0.5), 5.0, 9.0, 1.0, 4.0).values()
    assert one.interval is not None
    assert (one.interval.low, one.interval.high, one.interval.level) == (1.0, 9.0, 0.8)
    assert [(q.level, q.value) for q in one.quantiles] == [(0.1, 1.0), (0.5, 4.0), (0.9, 9.0)]


def test_quantiles_above_the_median_are_no_interval_but_stand_by_their_levels() -> None:
    (one,) = told("inventory", of_levels(0.5, 0.9, 0.95, 0.99), 5.0, 4.0, 9.0, 10.0, 12.0).values()
    assert one.interval is None
    assert [(q.level, q.value) for q in one.quantiles][-1] == (0.99, 12.0)


def test_quantiles_join_only_what_they_speak_of() -> None:
    columns = [*of_levels(0.1, 0.9), Column(name="other", unit="units", horizon_days=7)]
    found = told("demand", columns, 5.0, 1.0, 9.0, 2.0)
    assert found["other"].interval is None
    assert found["other"].quantiles == []


def test_a_price_has_its_elasticity_with_its_own_interval() -> None:
    values = [float(i) for i in range(1, len(pricing.columns()) + 1)]
    values[0] = 2.0
    found = told("pricing", pricing.columns(), *values)
    elasticity = found["elasticity"]
    assert elasticity.interval is not None
    assert (elasticity.value, elasticity.interval.low, elasticity.interval.high) == (2.0, 3.0, 4.0)
    assert found["evidence"].interval is None
    assert found["evidence"].word == "its own prices"
    assert "units_ratio_minus_20" in found


def test_no_elasticity_is_told_where_no_price_ever_moved() -> None:
    values = [0.0] * len(pricing.columns())
    found = told("pricing", pricing.columns(), *values)
    assert found.pop("evidence").word == "nothing"
    assert {answer.value for answer in found.values()} == {None}
    assert all(a.interval is None or a.interval.low is None for a in found.values())


def test_codes_have_the_words_of_those_who_made_them() -> None:
    words = {name: told for (_, name), told in codes.CODES.items()}
    assert words["abc"][velocity.A : velocity.C + 1] == ("A", "B", "C")
    assert words["xyz"][velocity.Z] == "Z"
    assert words["pattern"][velocity.LUMPY] == "lumpy"
    assert words["pattern"][velocity.INTERMITTENT] == "intermittent"
    assert words["grade"][GRADE_NUMBER["A+"]] == "A+"
    found = told("inventory", inventory.columns(), 0.0, 2.0, 1.0, *[1.0] * 10)
    assert [found[name].word for name in ("abc", "xyz", "pattern")] == ["A", "Z", "erratic"]


def test_a_partner_has_its_name() -> None:
    (path,) = (p for p in SHIPPED if p.parent.parent.name == "packs")
    manifest = decode_manifest(path.read_bytes())
    names = codes.named(manifest)
    values = [-1.0] * len(manifest.columns)
    values[0] = 3.0
    made = {a.name: a for a in answers("packs", manifest.columns, values, names)}
    keys = msgspec.json.decode(manifest.extra["classes"])
    assert made["partner_1"].word == keys[3].split("\x1f")[1]
    assert made["partner_2"].word == "none"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.parent.parent.name)
def test_every_shipped_model_says_each_number_once_and_is_a_starter(path: Path) -> None:
    manifest = decode_manifest(path.read_bytes())
    values = np.arange(1.0, len(manifest.columns) + 1).tolist()
    made = answers(manifest.service, manifest.columns, values)
    assert len({a.name for a in made}) == len(made)
    shown = [a.value for a in made] + [q.value for a in made for q in a.quantiles]
    assert {v for v in values if v in shown} == set(values)
    assert origin_of(manifest) == "starter"


def test_a_simple_rules_answers_need_no_model() -> None:
    for service, at_edge in AT_EDGE.items():
        columns = at_edge.fallback.columns
        made = answers(service, columns, [1.0] * len(columns))
        assert [a.name for a in made] == [c.name for c in columns if c.quantile is None]


# --- who answers, and why not a model ----------------------------------------------------------------


def why(registry: Registry, asked: Manifest | None = None, canary: bool = False) -> tuple[str, ...]:
    said = answering(registry, S, asked, canary)
    return said.who, said.reason, said.why


def test_why_no_model_answers_is_told_in_each_state() -> None:
    told = Told()
    assert why(told.registry)[:2] == ("rule", "no_model")
    told.do("refuse", "v1", why="untrusted: signed by a key that nobody knows")
    who, reason, said = why(told.registry)
    assert (who, reason) == ("rule", "refused")
    assert "untrusted" in said
    told.found("v2")
    assert why(told.registry)[1] == "waiting"
    told.do("shadow", "v2", why="to be judged")
    assert why(told.registry)[1] == "trial"
    told.do("canary", "v2")
    assert why(told.registry, None, canary=True)[:2] == ("canary", "trial")
    told.do("promote", "v2")
    assert why(told.registry)[1] == "loading"
    told.do("rollback", "v2", who="anna", why="too many tents")
    who, reason, said = why(told.registry)
    assert (who, reason) == ("rule", "rolled_back")
    assert "rolled back by anna: too many tents" in said
    told.do("refuse", "v0", why="too_slow: 9 ms a row")
    assert why(told.registry)[1] == "refused"  # the last that was rejected, whatever its name


def test_a_model_answers_without_any_reason() -> None:
    registry = Registry(SETTINGS)
    mine = models.manifest(S)
    shipped = msgspec.structs.replace(
        mine, training=msgspec.structs.replace(mine.training, reason="starter")
    )
    assert why(registry, mine) == ("model", "", "")
    assert why(registry, shipped) == ("starter", "", "")
    assert (origin_of(mine), origin_of(shipped), origin_of(None)) == ("shop", "starter", "")
