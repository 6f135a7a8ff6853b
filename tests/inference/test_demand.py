"""The edge answers what the trainer would, from history alone; intervals follow what happens."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from edge.inference import demand
from edge.inference.manifest import Training
from trainer.demand import artifact, forecaster
from trainer.demand.model import FittedDemand
from trainer.demand.shapes import Shape
from trainer.demand.spread import LEVELS
from trainer.export import write_artifact
from trainer.panel import Panel

FIRST = 19_000
TRAINING = Training(data="made up", from_day="2022-01-08", to_day="2022-06-06", rows=1, entities=1, reason="asked")  # fmt: skip


def shop(days: int = 170) -> Panel:
    rng = np.random.default_rng(8)
    level = rng.gamma(1.0, 8.0, 20)[:, None]
    week = np.array([1.2, 1.0, 0.8, 1.0, 1.5, 0.0, 0.5])[np.arange(days) % 7]
    y = rng.poisson(level * week).astype(np.float32)
    return Panel([f"s|{i}" for i in range(20)], np.arange(FIRST, FIRST + days), {"units": y})


@pytest.fixture(scope="module")
def fitted() -> FittedDemand:
    return forecaster("GB").fit(shop().upto(FIRST + 149), "units")


def asked(fitted: FittedDemand, y: np.ndarray, today: int) -> np.ndarray:
    made = artifact.exportable(fitted, [str(i) for i in range(20)], TRAINING)
    session = ort.InferenceSession(made.onnx_bytes)
    side = artifact.side_values(fitted)[:20]
    given = demand.inputs(artifact.constants_of(fitted), side, y, today)
    given["offset"] = np.zeros(3, np.float32)
    names = {i.name for i in session.get_inputs()}
    return session.run(["y"], {n: v for n, v in given.items() if n in names})[0]


@pytest.mark.parametrize("share", [None, 0.0, 0.5])
def test_the_graph_answers_what_the_trainer_does(fitted: FittedDemand, share: float | None) -> None:
    if share is not None:
        chance = np.random.default_rng(3)
        gap = share * np.sort(chance.gamma(1.0, 1.0, (20, 7, len(LEVELS))), axis=2) - share
        shape = Shape(np.full((20, 7), share) * (np.arange(7) % 3), gap)
        fitted = replace(fitted, shape=shape)
    y = asked(fitted, fitted.series.y, FIRST + 149)
    mean, q = fitted.forecast(91, demand.LEVELS)
    np.testing.assert_allclose(y[:, :91], mean, rtol=1e-3, atol=1e-3)
    daily = y[:, 91 : 91 + 84].reshape(20, 28, 3)
    np.testing.assert_allclose(daily, q[:, :28], rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(y[:, 175:188], y[:, :91].reshape(20, 13, 7).sum(axis=2), rtol=1e-4)


@pytest.mark.parametrize("days", [1, 2, 20])
def test_states_are_rolled_on_from_the_training_to_today(fitted: FittedDemand, days: int) -> None:
    whole = shop().measures["units"].astype(np.float64)[:, : 150 + days]
    later = FittedDemand(
        type(fitted.series)(whole, shop().days[: 150 + days], 7),
        fitted.factors, fitted.ladder, fitted.weights, fitted.spread, fitted.week_spread,
        fitted.shape,
    )  # fmt: skip
    expected, _ = later.forecast(91, (0.5,))
    told = asked(fitted, whole, FIRST + 149 + days)
    np.testing.assert_allclose(told[:, :91], expected, rtol=2e-3, atol=2e-3)


def test_the_artifact_passes_the_exports_own_checks(fitted: FittedDemand, tmp_path: Path) -> None:
    made = artifact.exportable(fitted, [str(i) for i in range(20)], TRAINING)
    folder = write_artifact(tmp_path, made)
    assert (folder / "model.onnx").is_file()


def test_a_class_unknown_in_training_is_forecast_from_its_history(fitted: FittedDemand) -> None:
    side = np.repeat(artifact.side_values(fitted)[-1:], 20, axis=0)
    given = demand.inputs(artifact.constants_of(fitted), side, fitted.series.y, FIRST + 149)
    made = artifact.exportable(fitted, [str(i) for i in range(20)], TRAINING)
    given["offset"] = np.zeros(3, np.float32)
    mean = np.asarray(made.predict(given)["y"])[:, :28].mean(axis=1)
    known = fitted.forecast(28, (0.5,))[0].mean(axis=1)
    np.testing.assert_allclose(mean, known, rtol=0.4, atol=0.5)


def test_intervals_widen_until_they_cover() -> None:
    rng = np.random.default_rng(9)
    now, within = demand.begun(), []
    for _ in range(400):
        wide = np.exp(now.offset.astype(float))
        q = np.tile([50 - 6 * wide[0], 50, 50 + 6 * wide[2]], (40, 1))
        actual = rng.normal(50, 10, 40)
        now = demand.adapted(now, actual, q)
        within.append(((actual >= q[:, 0]) & (actual <= q[:, 2])).mean())
    assert np.mean(within[:20]) < 0.6
    assert 0.77 < np.mean(within[-100:]) < 0.83
    assert 0.74 < now.coverage < 0.86


def test_a_day_that_nobody_observed_corrects_nothing() -> None:
    now = demand.begun()
    assert demand.adapted(now, np.full(3, np.nan), np.ones((3, 3))) is now


def test_constants_survive_the_manifest(fitted: FittedDemand) -> None:
    constants = artifact.constants_of(fitted)
    again = demand.Constants.from_extra(constants.extra())
    assert again.trained_day == constants.trained_day
    np.testing.assert_array_equal(again.calendar.holidays, constants.calendar.holidays)


def test_constants_of_before_know_of_no_own_quantiles_and_all_else_is_as_it_is(
    fitted: FittedDemand,
) -> None:
    constants, side = artifact.constants_of(fitted), artifact.side_values(fitted)[:20]
    before = side[:, : demand.LAYOUT["shape"].start]
    told, old = (demand.inputs(constants, s, fitted.series.y, FIRST + 149) for s in (side, before))
    assert told["shape"].shape == (20, 28 * 4)
    assert old.pop("shape").shape == (20, 0)
    np.testing.assert_array_equal(old.pop("s"), told["s"][:, : before.shape[1]])
    for name, values in old.items():
        np.testing.assert_array_equal(values, told[name], err_msg=name)
