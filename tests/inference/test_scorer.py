"""Scoring: what is touched is scored once, by whoever's turn it is, in slices; and how models fail."""

import asyncio
import dataclasses
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core import Core
from edge.features.catalog import matrix
from edge.inference import scorer as scorer_module
from edge.inference import tabular
from edge.inference.manifest import Column, Entities, Service
from edge.inference.model import CONSTANT_ROWS, Loaded
from edge.inference.predict import SERVICES
from edge.inference.scorer import Role, Scorer, memory_table
from edge.inference.session import ModelUnusable, Session, Trouble
from tests.corridor import run as run_within
from tests.inference import models
from tests.inference.models import CLASS_FEATURES, ITEM_FEATURES
from tests.streams import DAY, LIMITS, Streams, config, run

SERVICE: Service = "maintenance"


def a_core(seed: int = 0, messages: int = 300) -> tuple[Core, Streams, list[Any]]:
    core, stream = Core(config()), Streams(seed, items=40)
    made = stream.messages(messages)
    run(core, made, 16)
    return core, stream, made


class Troubles:
    def __init__(self) -> None:
        self.told: list[tuple[Service, str, Role, str]] = []

    def __call__(self, service: Service, model: Loaded, role: Role, trouble: Trouble) -> None:
        self.told.append((service, model.manifest.version, role, trouble.why))


def a_scorer(core: Core) -> tuple[Scorer, Troubles]:
    troubles = Troubles()
    return Scorer(core.state, models.SETTINGS, troubles), troubles


def beat(scorer: Scorer, times: int = 1) -> None:
    async def main() -> None:
        for _ in range(times):
            await scorer.beat()

    run_within(main)


def expected(core: Core, rows: Any, seed: int = 0, o: int = 2) -> Any:
    """By numpy, from the catalogue: the judge."""
    x = np.nan_to_num(matrix(core.state, "item", rows, ITEM_FEATURES), nan=0.0)
    return np.clip(x @ models.weights(len(ITEM_FEATURES), o, seed) + np.float32(0.5), 0, 1)


def test_rows_that_are_merely_swept_come_in_short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    core, _, _ = a_core(messages=1_200)
    scorer, _ = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state))
    beat(scorer)
    slot, seen = scorer.slots[SERVICE], []
    real = Scorer._slice

    def slice_(self: Scorer, of: Any, rows: Any, swept: bool) -> float:
        seen.append((swept, len(rows)))
        return real(self, of, rows, swept)

    monkeypatch.setattr(Scorer, "_slice", slice_)
    monkeypatch.setattr(scorer_module, "SWEPT_ROWS", 8)
    slot.size = 16
    core.state.item.touched[core.state.item.keys.live()] = True
    beat(scorer)
    assert max(n for _, n in seen) > 8
    seen.clear()
    scorer.use(SERVICE, models.loaded(core.state, seed=1, number=2))  # all are due again
    slot.size = 16
    beat(scorer)
    assert {swept for swept, _ in seen} == {True}
    assert sum(n for _, n in seen) == len(core.state.item.keys.live())
    assert max(n for _, n in seen) == 8


def test_every_touched_row_is_scored_as_numpy_would() -> None:
    core, _, _ = a_core()
    scorer, troubles = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state))
    beat(scorer)
    slot, rows = scorer.slots[SERVICE], core.state.item.keys.live()
    assert slot.touched == slot.scored == len(rows)
    assert slot.shown is not None
    assert slot.shown.held(rows).all()
    np.testing.assert_allclose(slot.shown.values[rows, :2], expected(core, rows), rtol=1e-5)
    assert (slot.shown.at_ms[rows] == core.state.now_ms).all()
    assert not troubles.told


def test_one_row_is_answered_as_in_a_batch() -> None:
    core, _, _ = a_core()
    scorer, _ = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state))
    slot = scorer.slots[SERVICE]
    for row in core.state.item.keys.live().tolist():
        assert scorer.one(SERVICE, row)
        assert slot.shown is not None
        want = expected(core, np.array([row]))[0]
        np.testing.assert_allclose(slot.shown.values[row, :2], want, rtol=1e-5)
        assert slot.shown.holds(row)


@pytest.mark.parametrize("o", [2, 12], ids=["few columns", "many columns"])
@pytest.mark.parametrize("answer", [0.5, 7.0, -3.0, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("highest", [1.0, None], ids=["bounded", "half open"])
def test_bounds_and_what_is_no_number_count_alike_for_one_row_and_for_many(
    o: int, answer: float, highest: float | None
) -> None:
    core, _, _ = a_core()
    row = int(core.state.item.keys.live()[0])
    columns = [msgspec.structs.replace(column, highest=highest) for column in models.chances(o)]
    bias = np.full(o, 0.25, np.float32)
    bias[-1] = answer
    content = models.linear(models.weights(len(ITEM_FEATURES), o) * 0, bias)
    model = models.loaded(core.state, content=content, columns=columns)
    tabular.prepare(core.state, np.array([row, row]), model)
    assert model.session.run(2) is None
    many = tabular.interpret(model, 2)[1].copy()
    model.output[:] = -1
    assert tabular.one(core.state, row, model) is bool(np.isfinite(many).all())
    if np.isfinite(many).all():
        np.testing.assert_array_equal(model.first, many)


def test_only_what_was_touched_since_the_last_beat_is_scored_again() -> None:
    core, _, _ = a_core()
    scorer, _ = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state))
    beat(scorer, 3)
    slot = scorer.slots[SERVICE]
    before = slot.scored
    beat(scorer)
    assert slot.scored == before
    row = int(core.state.item.keys.live()[0])
    core.state.item.touched[row] = True
    beat(scorer)
    assert slot.scored == before + 1


def test_a_row_forgotten_or_given_to_another_key_has_no_prediction() -> None:
    core, _, _ = a_core()
    scorer, _ = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state))
    beat(scorer)
    shown, keys = scorer.slots[SERVICE].shown, core.state.item.keys
    assert shown is not None
    row = int(keys.live()[3])
    core.state.item.release(np.array([row]))
    assert not shown.holds(row)
    assert keys.claim("SOMEBODY-ELSE") == row
    assert not shown.holds(row)
    assert not shown.held(np.array([row])).any()
    assert shown.sweep() == 1
    assert shown.at_ms[row] == 0
    assert not shown.values[row].any()


def test_a_new_model_scores_every_row_in_the_background() -> None:
    core, _, _ = a_core()
    scorer, _ = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state, 1))
    beat(scorer, 2)
    scorer.use(SERVICE, models.loaded(core.state, 2, seed=5))
    beat(scorer, 2)
    shown, rows = scorer.slots[SERVICE].shown, core.state.item.keys.live()
    assert shown is not None
    assert (shown.by[rows] == 2).all()
    np.testing.assert_allclose(shown.values[rows, :2], expected(core, rows, 5), rtol=1e-5)


def test_rows_that_nothing_happens_to_are_scored_again_before_they_are_stale() -> None:
    core, _, _ = a_core()
    scorer, _ = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state))
    beat(scorer, 2)
    core.state.advance(core.state.now_ms + DAY // 3)
    core.state.item.take_touched()
    beat(scorer, 2)
    shown, rows = scorer.slots[SERVICE].shown, core.state.item.keys.live()
    assert shown is not None
    assert (shown.at_ms[rows] == core.state.now_ms).all()


def test_a_shadow_is_scored_on_the_same_rows_and_never_shown() -> None:
    core, _, _ = a_core()
    scorer, _ = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state, 1), models.loaded(core.state, 2, seed=7))
    beat(scorer)
    slot, rows = scorer.slots[SERVICE], core.state.item.keys.live()
    assert slot.shown is not None
    assert slot.beside is not None
    assert (slot.shown.by[rows] == 1).all()
    assert (slot.beside.by[rows] == 2).all()
    np.testing.assert_allclose(slot.beside.values[rows, :2], expected(core, rows, 7), rtol=1e-5)
    scorer.one(SERVICE, int(rows[0]))
    assert slot.shown.by[rows[0]] == 1


def test_a_canary_answers_for_its_share_of_the_keys_and_always_the_same() -> None:
    core = Core(config(limits=LIMITS.__class__(items_max=4_000, active_items_max=64)))
    for i in range(3_000):
        core.state.item.keys.claim(f"K{i}")
    core.state.item.touched[:3_000] = True
    scorer, _ = a_scorer(core)
    active, canary = models.loaded(core.state, 1), models.loaded(core.state, 2, seed=7)
    scorer.use(SERVICE, active, canary, 0.2)
    beat(scorer)
    slot = scorer.slots[SERVICE]
    assert slot.shown is not None
    by = slot.shown.by[:3_000].copy()
    assert 0.15 < (by == 2).mean() < 0.25
    for row in range(0, 3_000, 37):
        scorer.one(SERVICE, row)
        assert slot.shown.by[row] == by[row]


def test_constants_of_the_entities_are_fed_by_key_and_others_get_the_last_row() -> None:
    core, _, _ = a_core()
    rows = core.state.item.keys.live()
    known = core.state.item.keys.key(int(rows[0]))
    values = np.array([[0.1, 0.2], [0.0, 0.0]], "<f4")
    entities = Entities(keys=[known, ""], columns=["a", "b"], values=values.tobytes())
    content = models.linear(models.weights(5, 2) * 0, np.zeros(2, np.float32), side=2)
    scorer, _ = a_scorer(core)
    scorer.use(
        SERVICE, models.loaded(core.state, content=content, entities=entities, side=["a", "b"])
    )
    beat(scorer)
    shown = scorer.slots[SERVICE].shown
    assert shown is not None
    np.testing.assert_allclose(shown.values[rows, 0], [0.3] + [0.0] * (len(rows) - 1), atol=1e-6)
    scorer.one(SERVICE, int(rows[0]))
    assert shown.values[rows[0], 0] == pytest.approx(0.3)


FAILURES = {
    "error": models.failing(len(ITEM_FEATURES), 2),
    "nan": models.odd(len(ITEM_FEATURES), 2),
}


@pytest.mark.parametrize("why", FAILURES)
def test_a_failing_model_is_let_go_and_its_answers_with_it(why: str) -> None:
    core, _, _ = a_core()
    scorer, troubles = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state, content=FAILURES[why]))
    beat(scorer, 2)
    slot = scorer.slots[SERVICE]
    assert [(role, told) for _, _, role, told in troubles.told] == [("active", why)]
    assert slot.active is None
    assert slot.shown is not None
    assert not slot.shown.held(core.state.item.keys.live()).any()
    assert not scorer.one(SERVICE, int(core.state.item.keys.live()[0]))


def test_nobody_is_blamed_for_what_another_said_in_his_place() -> None:
    core, _, _ = a_core()
    scorer, troubles = a_scorer(core)
    slot = scorer.slots[SERVICE]
    asked: list[int] = []

    def interpret(model: Loaded, n: int) -> NDArray[np.float32]:
        asked.append(n)
        return tabular.interpret(model, n)

    slot.at_edge = dataclasses.replace(
        slot.at_edge, interpret=interpret, others=lambda model: np.arange(asked[-1])
    )
    model = models.loaded(core.state, content=FAILURES["nan"])
    scorer.use(SERVICE, model)
    beat(scorer, 2)
    assert troubles.told == []
    assert slot.active is model
    assert slot.shown is not None
    assert not slot.shown.held(core.state.item.keys.live()).any()  # "nothing is known" is no number


def test_a_failing_shadow_leaves_the_active_model_alone() -> None:
    core, _, _ = a_core()
    scorer, troubles = a_scorer(core)
    failing = models.loaded(core.state, 2, content=FAILURES["error"])
    scorer.use(SERVICE, models.loaded(core.state, 1), failing)
    beat(scorer, 2)
    assert [role for _, _, role, _ in troubles.told] == ["beside"]
    slot = scorer.slots[SERVICE]
    assert slot.candidate is None
    assert slot.shown is not None
    assert slot.shown.held(core.state.item.keys.live()).all()


def test_a_model_with_one_answer_for_everybody_is_constant() -> None:
    core = Core(config(limits=LIMITS.__class__(items_max=4_000, active_items_max=64)))
    for i in range(CONSTANT_ROWS + 300):
        row = core.state.item.keys.claim(f"K{i}")
        core.state.item.col["reads_total"][row] = i
    core.state.item.touched[: CONSTANT_ROWS + 300] = True
    scorer, troubles = a_scorer(core)
    flat = models.linear(models.weights(5, 2) * 0, np.full(2, 0.25, np.float32))
    scorer.use(SERVICE, models.loaded(core.state, content=flat))
    beat(scorer)
    assert [why for *_, why in troubles.told] == ["constant"]


def test_a_slow_model_is_given_fewer_rows_and_then_up() -> None:
    core, _, _ = a_core()
    scorer, troubles = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state, content=models.slow(5, 2)))
    for _ in range(12):
        core.state.item.touched[core.state.item.keys.live()] = True
        beat(scorer)
        if troubles.told:
            break
    assert [why for *_, why in troubles.told] == ["slow"]


def test_others_have_a_turn_between_two_slices() -> None:
    core = Core(config(limits=LIMITS.__class__(items_max=4_000, active_items_max=64)))
    for i in range(3_000):
        core.state.item.keys.claim(f"K{i}")
    core.state.item.touched[:3_000] = True
    scorer, _ = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(others())
        await scorer.beat()
        task.cancel()

    run_within(main)
    assert turns >= 3_000 / 256
    assert scorer.slots[SERVICE].size == 256


def test_demand_is_scored_at_the_close_of_a_day_for_every_class() -> None:
    core, _, _ = a_core()
    scorer, _ = a_scorer(core)
    scorer.use("demand", models.loaded(core.state, service="demand", features=CLASS_FEATURES))
    beat(scorer, 2)
    slot, rows = scorer.slots["demand"], core.state.cls.keys.live()
    assert slot.shown is not None
    first = slot.shown.at_ms[rows].copy()
    assert (first > 0).all()
    core.state.cls.touched[rows] = True
    beat(scorer, 2)
    assert (slot.shown.at_ms[rows] == first).all()
    core.state.advance(core.state.now_ms + DAY)
    beat(scorer, 2)
    live = core.state.cls.keys.live()
    assert (slot.shown.at_ms[live] == core.state.now_ms).all()


def test_contributions_of_a_linear_model_are_its_terms() -> None:
    core, _, _ = a_core()
    scorer, _ = a_scorer(core)
    medians = dict.fromkeys(ITEM_FEATURES, 1.0)
    columns = [Column(name="score", unit="1"), Column(name="other", unit="1")]
    scorer.use(SERVICE, models.loaded(core.state, medians=medians, columns=columns))
    row = int(core.state.item.keys.live()[0])
    weights = dict(zip(ITEM_FEATURES, models.weights(5, 2)[:, 0].tolist(), strict=True))
    found = scorer.explain(SERVICE, row)
    assert {c.feature for c in found} == set(ITEM_FEATURES)
    for c in found:
        term = weights[c.feature] * ((c.value or 0.0) - 1.0)
        assert c.adds == pytest.approx(term, abs=1e-4), c
    assert [abs(c.adds) for c in found] == sorted((abs(c.adds) for c in found), reverse=True)


def test_a_model_is_asked_what_it_would_say_of_other_values_and_nothing_of_it_is_kept() -> None:
    core, _, _ = a_core()
    scorer, _ = a_scorer(core)
    assert scorer.instead(SERVICE, np.zeros(1, np.int64), {}) is None
    columns = [Column(name="score", unit="1"), Column(name="other", unit="1")]
    scorer.use(SERVICE, models.loaded(core.state, columns=columns))
    beat(scorer, 2)
    shown = scorer.slots[SERVICE].shown
    assert shown is not None
    rows = core.state.item.keys.live()[:6]
    before = shown.values[rows].copy()
    x = np.nan_to_num(matrix(core.state, "item", rows, ITEM_FEATURES), nan=0.0)
    x[:, 1] = 7.0
    told = scorer.instead(SERVICE, rows, {ITEM_FEATURES[1]: 7.0, "of_no_interest": 1.0})
    assert told is not None
    slow = x @ models.weights(len(ITEM_FEATURES), 2, 0) + np.float32(0.5)
    assert told == pytest.approx(slow, rel=1e-4)
    np.testing.assert_array_equal(shown.values[rows], before)


def test_what_a_kept_prediction_saw_belongs_to_its_answer() -> None:
    core, _, _ = a_core()
    scorer, _ = a_scorer(core)
    scorer.use(SERVICE, models.loaded(core.state))
    rows = core.state.item.keys.live()[:5]
    seen = scorer.seen(SERVICE, rows)
    assert seen is not None
    x, answers, number = seen
    np.testing.assert_array_equal(x, matrix(core.state, "item", rows, ITEM_FEATURES))
    np.testing.assert_allclose(answers, expected(core, rows), rtol=1e-5)
    assert number == 1


NO_BIAS = np.zeros(2, np.float32)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"features": ("age_days", "no_such_feature")}, "no_such_feature"),
        ({"columns": [Column(name="a", unit="1")] * 500}, "at most"),
        ({"side": ["a"]}, "not what its manifest says"),
        (
            {"side": ["a"], "content": models.linear(models.weights(5, 2), NO_BIAS, side=1)},
            "constants",
        ),
        ({"content": b"\x08\x07nonsense"}, "onnxruntime"),
    ],
)
def test_what_does_not_fit_its_manifest_is_not_loaded(change: dict[str, Any], says: str) -> None:
    core, _, _ = a_core()
    with pytest.raises(ModelUnusable, match=says):
        models.loaded(core.state, **change)


def test_a_graph_of_another_width_than_its_manifest_fails_with_a_reason() -> None:
    core, _, _ = a_core()
    content = models.linear(models.weights(4, 2), np.zeros(2, np.float32))
    trouble = models.loaded(core.state, content=content).session.run(1)
    assert trouble is not None
    assert trouble.why == "error"


def test_the_fallbacks_answer_for_every_row_and_column() -> None:
    core, _, _ = a_core()
    for name, at_edge in SERVICES.items():
        rows = core.state.tables[at_edge.entity].keys.live()
        answers = at_edge.fallback.answer(core.state, rows)
        assert answers.shape == (len(rows), len(at_edge.fallback.columns)), name
        assert answers.dtype == np.float32
        for k, column in enumerate(at_edge.fallback.columns):
            told = answers[:, k][np.isfinite(answers[:, k])]
            assert (told >= (column.lowest or 0.0)).all()
            assert (told <= (column.highest or math.inf)).all()


def test_the_memory_of_predictions_is_known_before_the_first_model() -> None:
    core, _, _ = a_core()
    scorer, _ = a_scorer(core)
    table = {name: size for name, _, size in memory_table(LIMITS)}
    for name in ("maintenance", "quality"):
        made = models.loaded(core.state, service=name)
        scorer.use(name, made, models.loaded(core.state, 2, service=name))
        slot = scorer.slots[name]
        assert slot.shown is not None
        assert slot.beside is not None
        assert slot.shown.nbytes() + slot.beside.nbytes() <= table[f"predictions: {name}"]
        held = sum(
            array.nbytes for array in vars(slot.shown).values() if isinstance(array, np.ndarray)
        )
        assert held == slot.shown.nbytes()


def test_a_session_keeps_constant_inputs_apart_from_rows() -> None:
    content = models.linear(models.weights(3, 1), np.zeros(1, np.float32))
    said = models.manifest(features=CLASS_FEATURES, o=1)
    session = Session(content, said.inputs, said.outputs[0])
    session.inputs["x"][:4] = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    for n in (1, 4, 3, 1):
        session.output[:] = 9
        assert session.run(n) is None
        want = session.inputs["x"][:n] @ models.weights(3, 1)
        np.testing.assert_allclose(session.output[:n], want, rtol=1e-5)
        assert (session.output[n:] == 9).all()
