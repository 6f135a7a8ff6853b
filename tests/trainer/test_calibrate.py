"""Calibration against known distortions, and its graph against Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from trainer import calibrate
from trainer.calibrate import KINDS, Calibration, Kind, Scored
from trainer.onnx_graph import Graph

Floats = NDArray[np.float64]


def scored(n: int, seed: int, distort: float = 1.0, shift: float = 0.0) -> Scored:
    """True log odds of about -2, told as ``distort * z + shift``."""
    chance = np.random.default_rng(seed)
    z = chance.normal(-2.0, 1.2, n)
    happened = chance.random(n) < calibrate.probability(z)
    return Scored(distort * z + shift, happened, np.ones(n))


def error(made: Calibration, column: Scored) -> float:
    """Largest distance of told and true share over ten bins of equal rows."""
    p = calibrate.probability(made(column.z[:, None])[:, 0])
    parts = np.array_split(np.argsort(p), 10)
    return max(abs(float(p[part].mean() - column.happened[part].mean())) for part in parts)


@pytest.mark.parametrize("kind", ["platt", "beta", "isotonic"])
def test_a_distorted_score_means_what_it_says_afterwards(kind: Kind) -> None:
    late = scored(20_000, 2, distort=2.5, shift=1.0)
    made = calibrate.fit(kind, [scored(20_000, 1, distort=2.5, shift=1.0)])
    assert error(calibrate.identity(1), late) > 0.1
    assert error(made, late) < 0.04


def test_constants_are_those_of_the_distortion() -> None:
    made = calibrate.fit("platt", [scored(200_000, 1, distort=2.0, shift=1.0)])
    assert made.constants[0] == pytest.approx([0.5, 0.5, -0.5], abs=0.03)


def test_a_good_score_is_left_as_it_is() -> None:
    made, scores = calibrate.choose([scored(5_000, 1)], [scored(5_000, 2)])
    assert made.kind == "identity"
    assert set(scores) == set(KINDS)


def test_a_bad_score_is_not() -> None:
    bad = [scored(5_000, seed, distort=3.0) for seed in (1, 2)]
    made, scores = calibrate.choose(bad[:1], bad[1:])
    assert made.kind != "identity"
    assert scores[made.kind] < scores["identity"]


def test_a_score_that_points_the_wrong_way_is_made_level_and_never_turned() -> None:
    column = scored(5_000, 1, distort=-1.0)
    for kind in ("platt", "beta", "isotonic"):
        made = calibrate.fit(kind, [column])  # type: ignore[arg-type]
        answers = made(np.linspace(-12, 12, 50)[:, None])[:, 0]
        assert (np.diff(answers) >= -1e-9).all()


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(0, 1000),
    st.integers(1, 900),
    st.floats(0.2, 4.0),
    st.floats(-3.0, 3.0),
)
def test_it_never_falls_and_its_graph_says_the_same(
    kind: Kind, seed: int, n: int, distort: float, shift: float
) -> None:
    columns = [scored(n, seed, distort, shift), scored(n + 50, seed + 1)]
    made = calibrate.fit(kind, columns)
    z = np.repeat(np.linspace(-15, 15, 201)[:, None], 2, axis=1)
    answers = made(z)
    assert np.isfinite(answers).all()
    assert (np.diff(answers, axis=0) >= -1e-9).all()
    graph = Graph()
    content = graph.model({"z": ["n", 2]}, {"y": (made.add(graph, "z"), ["n", 2])})
    session = InferenceSession(content)
    (given_,) = session.run(None, {"z": z.astype(np.float32)})
    same = calibrate.probability(given_.astype(np.float64)) - calibrate.probability(answers)
    assert np.abs(same).max() < 2e-6
