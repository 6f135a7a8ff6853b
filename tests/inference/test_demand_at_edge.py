"""A model of demand in the daemon's state: what it forecasts is what the trainer does from the same days."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.core import Core
from edge.inference import demand, demand_windows
from edge.inference.manifest import ENTITIES, MODEL, Entities, Training, decode_manifest
from edge.inference.model import Loaded
from edge.inference.scorer import Scorer
from edge.records import Message
from tests.corridor import run
from tests.inference import models
from tests.streams import START_MS, config
from trainer.demand import artifact, forecaster
from trainer.demand.model import FittedDemand
from trainer.export import write_artifact
from trainer.panel import Panel

CLASSES, DAYS = 8, 90
TRAINING = Training(
    data="made up", from_day="", to_day="", rows=1, entities=CLASSES, reason="asked"
)


def units() -> np.ndarray:
    """float64[classes, days]; each class sells on its first day, so that all begin together."""
    chance = np.random.default_rng(3)
    week = np.array([1.2, 1.0, 0.8, 1.0, 1.5, 0.3, 0.5])[np.arange(DAYS) % 7]
    sold = chance.poisson(chance.gamma(2.0, 4.0, CLASSES)[:, None] * week).astype(np.float64)
    sold[:, 0] += 1
    return sold


def lived(sold: np.ndarray) -> Core:
    """A shop that sold so much, one day after the other; the last day has closed."""
    core = Core(config("UTC"))
    core.advance(START_MS // 86_400_000 * 86_400_000 + 1)
    for day in range(sold.shape[1]):
        at_ms = core.now_ms + 3_600_000
        for row in range(len(sold)):
            told = {
                "type": "pos_line",
                "document": f"{day}",
                "line": row,
                "kind": "sale",
                "sku": f"S{row}",
                "quantity": float(sold[row, day]),
                "at": at_ms,
            }
            if sold[row, day]:
                message = Message("rfid3/main/pos_line/t", msgspec.json.encode(told), at_ms)
                core.step([message], core.next_ordinal)
        core.advance(core.state.days.end_ms(core.state.today))
        core.advance(core.state.days.start_ms(core.state.today) + 1)
    return core


def loaded(fitted: FittedDemand, state, folder: Path) -> Loaded:
    keys = [f"main\x1fS{i}" for i in range(CLASSES)]
    made = write_artifact(folder, artifact.exportable(fitted, keys, TRAINING))
    manifest = decode_manifest((made / "manifest.json").read_bytes())
    entities = msgspec.msgpack.decode((made / ENTITIES).read_bytes(), type=Entities)
    return Loaded(manifest, (made / MODEL).read_bytes(), entities, state, 1, 256)


@pytest.mark.parametrize("fresh", [0, 5])
def test_the_daemon_forecasts_what_the_trainer_does(tmp_path: Path, fresh: int) -> None:
    sold = units()
    core = lived(sold)
    today = core.state.today
    days = np.arange(today - DAYS, today)
    panel = Panel([f"S{i}" for i in range(CLASSES)], days, {"units": sold.astype(np.float32)})
    fitted = forecaster("GB").fit(panel.upto(today - 1 - fresh), "units")
    whole = FittedDemand(
        type(fitted.series)(sold, days, 7),
        fitted.factors, fitted.ladder, fitted.weights, fitted.spread, fitted.week_spread,
    )  # fmt: skip
    mean, quantiles = whole.forecast(91, demand.LEVELS)

    async def main() -> None:
        scorer = Scorer(core.state, models.SETTINGS, lambda *told: pytest.fail(str(told)))
        scorer.use("demand", loaded(fitted, core.state, tmp_path))
        for _ in range(3):
            await scorer.beat()
        slot = scorer.slots["demand"]
        assert slot.shown is not None
        rows = [core.state.cls.keys.get(f"main\x1fS{i}") for i in range(CLASSES)]
        told = slot.shown.values[rows]
        np.testing.assert_allclose(told[:, :91], mean, rtol=2e-3, atol=2e-3)
        daily = told[:, 91 : 91 + 84].reshape(CLASSES, 28, 3)
        np.testing.assert_allclose(daily, quantiles[:, :28], rtol=5e-3, atol=5e-3)

    run(main)


def test_a_sale_of_the_day_that_has_only_begun_changes_no_forecast(tmp_path: Path) -> None:
    core = lived(units())
    before = demand.history(core.state, np.arange(CLASSES))
    told = {"type": "pos_line", "document": "x", "kind": "sale", "sku": "S0", "quantity": 50,
            "at": core.now_ms}  # fmt: skip
    core.step(
        [Message("rfid3/main/pos_line/t", msgspec.json.encode(told), core.now_ms)],
        core.next_ordinal,
    )
    after = demand.history(core.state, np.arange(CLASSES))
    np.testing.assert_array_equal(before, after)
    assert before[:, -DAYS:].sum() == units().sum()


def test_a_few_classes_at_a_time_are_told_what_all_at_once_are() -> None:
    chance = np.random.default_rng(5)
    z = chance.poisson(chance.gamma(1.0, 5.0, 12)[:, None], (12, demand.WINDOW_DAYS - 1)) * 1.0
    index = np.ones((12, demand.HORIZON_DAYS))
    whole = demand_windows.forecasts(z, z, index, 7, 7)
    apart = [
        demand_windows.forecasts(z[i : i + 1], z[i : i + 1], index[:1], 7, 7) for i in range(12)
    ]
    np.testing.assert_allclose(whole, np.concatenate(apart, axis=1), rtol=1e-12)
