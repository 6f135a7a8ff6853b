"""The graph of hazards against Python: both families, every calibration, alone and side by side."""

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from trainer import calibrate
from trainer.calibrate import KINDS, Kind, Scored
from trainer.hazard import Model, add_hazards
from trainer.onnx_graph import Graph
from trainer.onnx_trees import Rule
from trainer.scores import Boosting, Logistic, Picked, Scorer
from trainer.survival import Stage

ROWS, FEATURES, GRADE = 1_500, 6, 5


def rows() -> NDArray[np.float32]:
    """Some with holes, some endless, one feature of whole numbers."""
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, FEATURES)).astype(np.float32)
    x[random.random(x.shape) < 0.1] = np.nan
    x[:, GRADE] = random.integers(1, 10, ROWS)
    return x


X = rows()
HAPPENED = [
    np.nan_to_num(X[:, 0]) + np.random.default_rng(seed).normal(size=ROWS) > 0 for seed in range(3)
]
STAGES = [Stage(np.arange(ROWS), happened, np.ones(ROWS)) for happened in HAPPENED]
LINES = Logistic(c=0.01).fit(X, STAGES[:2])
TREES = Picked(Boosting(trees=20, leaves=4), (1, 0, 5), "the rest").fit(X, STAGES)
SIDES: dict[str, list[tuple[Scorer, int]]] = {
    "lines": [(LINES, 2)],
    "trees": [(TREES, 3)],
    "lines and trees": [(LINES, 2), (TREES, 3)],
    "trees and lines": [(TREES, 3), (LINES, 2)],
}


def model(scorer: Scorer, steps: int, kind: Kind) -> Model:
    z = scorer(X)
    scored = [Scored(z[:, i], HAPPENED[i], np.ones(ROWS)) for i in range(steps)]
    return Model(scorer, calibrate.fit(kind, scored))


def told(
    models: list[Model], rules: tuple[Rule, ...], x: NDArray[np.float32]
) -> NDArray[np.float32]:
    graph, steps = Graph(), sum(len(m.calibration.constants) for m in models)
    y = add_hazards(graph, "x", FEATURES, models, rules)
    session = InferenceSession(graph.model({"x": ["n", FEATURES]}, {"y": (y, ["n", steps])}))
    found: NDArray[np.float32] = session.run(None, {"x": x})[0]
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_the_graph_of_hazards_is_pythons(side: str, kind: Kind) -> None:
    models = [model(scorer, steps, kind) for scorer, steps in SIDES[side]]
    x = np.concatenate([X, np.full((3, FEATURES), [[np.inf], [-np.inf], [np.nan]], np.float32)])
    expected = np.concatenate([m.hazards(x) for m in models], axis=1)
    np.testing.assert_allclose(told(models, (), x), expected, atol=5e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_a_rule_adds_where_its_feature_is_low_and_nowhere_else(side: str, kind: Kind) -> None:
    models = [model(scorer, steps, kind) for scorer, steps in SIDES[side]]
    last = sum(steps for _, steps in SIDES[side]) - 1
    found = told(models, (Rule(GRADE, 3, last, 1e30),), X)
    expected = np.concatenate([m.hazards(X) for m in models], axis=1)
    low = X[:, GRADE] <= 3
    assert (found[low, last] > 1e29).all()
    expected[low, last] = found[low, last]
    np.testing.assert_allclose(found, expected, atol=5e-6)
