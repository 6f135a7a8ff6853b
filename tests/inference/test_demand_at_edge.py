"""A model of demand in the daemon's state: what it forecasts is what the trainer does from the same days."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.config import ManualDemand
from edge.core import Core
from edge.inference import demand, demand_windows
from edge.inference.demand_columns import columns
from edge.inference.manifest import ENTITIES, MODEL, Entities, Tensor, Training, decode_manifest
from edge.inference.model import Loaded
from edge.inference.predict import SERVICES
from edge.inference.scorer import Scorer
from edge.records import Message
from edge.view_models import LiveModels, Prediction
from tests.corridor import run
from tests.inference import models
from tests.inference.test_registry import Told
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
        fitted.shape,
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


def told_of(core: Core, model: Loaded, sku: str) -> tuple[np.ndarray, Prediction]:
    """What stands in the columns of a class, and what people are told of it."""
    found: list[tuple[np.ndarray, Prediction]] = []

    async def main() -> None:
        scorer = Scorer(core.state, models.SETTINGS, lambda *told: pytest.fail(str(told)))
        scorer.use("demand", model)
        for _ in range(3):
            await scorer.beat()
        live = LiveModels(core, config("UTC"), Told().registry, scorer, None)  # type: ignore[arg-type]
        prediction = live.predict("demand", sku, "main", explain=False)
        assert prediction is not None
        shown = scorer.slots["demand"].shown
        assert shown is not None
        found.append((shown.values[core.state.cls.keys.get(f"main\x1f{sku}")], prediction))

    run(main)
    return found[0]


def tell(core: Core, type_: str, **fields: object) -> None:
    told = {"type": type_, "at": core.now_ms, **fields}
    message = Message("rfid3/main/events/t", msgspec.json.encode(told), core.now_ms)
    core.step([message], core.next_ordinal)


def pass_days(core: Core, many: int) -> None:
    for _ in range(many):
        core.advance(core.state.days.end_ms(core.state.today) + 1)


@pytest.fixture(scope="module")
def fitted() -> FittedDemand:
    days = np.arange(20_000 - DAYS, 20_000)
    panel = Panel([f"S{i}" for i in range(CLASSES)], days, {"units": units().astype(np.float32)})
    return forecaster("GB").fit(panel, "units")


def test_a_class_that_the_model_never_saw_gets_its_own_average_and_says_so(
    fitted: FittedDemand, tmp_path: Path
) -> None:
    core = lived(units()[:, -40:])
    tell(core, "pos_line", document="n", line=1, kind="sale", sku="NEW", quantity=14.0)
    pass_days(core, 7)
    values, told = told_of(core, loaded(fitted, core.state, tmp_path), "NEW")
    assert (told.fallback, told.kind, told.version) == ("historical_average", "rule", "")
    assert "average" in told.rule
    assert "never saw" in told.why
    assert told.known is None
    assert values[0] == pytest.approx(2.0)
    days = [a for a in told.answers if a.name == "units_day_1"]
    assert days[0].value == pytest.approx(2.0)
    _, known = told_of(core, loaded(fitted, core.state, tmp_path / "again"), "S0")
    assert (known.fallback, known.kind, known.known) == ("", "ensemble", True)
    assert [a.name for a in known.answers] == [a.name for a in told.answers]


def test_a_class_without_a_day_gets_the_configuration_s_units_or_nothing(
    fitted: FittedDemand, tmp_path: Path
) -> None:
    core = lived(units()[:, -30:])
    tell(core, "price_observed", sku="NEW", price_cents=100)
    pass_days(core, 1)
    values, told = told_of(core, loaded(fitted, core.state, tmp_path / "a"), "NEW")
    assert told.fallback == "nothing_known"
    assert "[demand.manual]" in told.rule
    assert {a.value for a in told.answers} == {None}
    core.state.manual_demand = ManualDemand(classes={"NEW": 3.0})
    values, told = told_of(core, loaded(fitted, core.state, tmp_path / "b"), "NEW")
    assert told.fallback == "manual"
    assert values[:3].tolist() == [3.0] * 3


def test_a_class_that_the_model_knows_from_imports_alone_gets_their_average(
    fitted: FittedDemand, tmp_path: Path
) -> None:
    core = lived(units()[:1, -30:])
    tell(core, "price_observed", sku="S3", price_cents=100)
    pass_days(core, 1)
    values, told = told_of(core, loaded(fitted, core.state, tmp_path), "S3")
    assert told.fallback == "historical_average"
    assert "too few" in told.why
    assert values[:7].mean() == pytest.approx(units()[3].mean(), rel=0.1)
    assert values[:7].std() > 0, "by weekday"


def test_without_any_model_the_rule_speaks_in_the_model_s_columns() -> None:
    core = lived(units()[:, -40:])
    tell(core, "price_observed", sku="NEW", price_cents=100)
    rows = np.array([core.state.cls.keys.get(f"main\x1f{sku}") for sku in ("S0", "NEW")])
    rule = SERVICES["demand"].fallback
    told = rule.answer(core.state, rows)
    assert told.shape == (2, len(columns()))
    assert list(rule.columns) == columns()
    assert [rule.speaker(core.state, int(row)) for row in rows] == [
        "historical_average", "nothing_known",
    ]  # fmt: skip
    assert told[0, :7].sum() == pytest.approx(units()[0, -40:].mean() * 7, rel=0.1)
    assert np.isnan(told[1]).all()


def test_a_model_of_other_rows_cannot_be_asked(fitted: FittedDemand, tmp_path: Path) -> None:
    core = lived(units()[:, -3:])
    manifest = loaded(fitted, core.state, tmp_path).manifest
    assert demand.unfit(manifest) == ""
    other = [
        Tensor(name=t.name, shape=["n", 7 if t.name == "rows" else t.shape[-1]])
        for t in manifest.inputs
    ]
    assert "train it again" in demand.unfit(msgspec.structs.replace(manifest, inputs=other))


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
