"""Small good models for the mutator to spoil: one linear with constants of entities, one of trees."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from edge.features.catalog import BY_ENTITY
from edge.inference import keys
from edge.inference.manifest import Column, Training
from trainer.export import Exportable, Floats, Side, golden_rows, publish, write_artifact
from trainer.onnx_graph import Graph
from trainer.onnx_linear import Linear
from trainer.onnx_trees import boosted_quantiles, predict_quantiles

FEATURES = list(BY_ENTITY["item"])[:6]
LEVELS = (0.1, 0.5, 0.9)
MADE_AT = datetime(2026, 3, 1, 2, 0, 0, tzinfo=UTC)
TRAINING = Training(
    data="made up for tests", from_day="", to_day="", rows=600, entities=600, reason="asked"
)


def rows(number: int = 600, seed: int = 1) -> Floats:
    """float32[n, 6], a tenth of it missing."""
    random = np.random.default_rng(seed)
    x = random.lognormal(0.0, 1.5, (number, len(FEATURES))).astype(np.float32)
    x[random.random(x.shape) < 0.1] = np.nan
    return x


def linear(x: Floats) -> Exportable:
    """A logistic model of the features, shifted by a constant of the entity."""
    random = np.random.default_rng(2)
    f = len(FEATURES)
    inner = Linear(
        fill=np.nanmedian(x, axis=0).astype(np.float64),
        centre=np.nanmean(x, axis=0).astype(np.float64),
        scale=np.nanstd(x, axis=0).astype(np.float64),
        coefficients=random.normal(0.0, 0.4, (1, f)),
        intercept=np.array([-1.0]),
    )
    graph = Graph()
    shifted = graph.node("Add", inner.add(graph, "x"), "s")
    onnx = graph.model(
        {"x": ["n", f], "s": ["n", 1]}, {"y": (graph.node("Sigmoid", shifted), ["n", 1])}
    )

    def predict(inputs: dict[str, Floats]) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-(inner.predict(inputs["x"]) + inputs["s"])))

    golden = golden_rows(x)
    shift = random.normal(0.0, 0.5, (len(golden), 1)).astype(np.float32)
    return Exportable(
        service="maintenance",
        kind="logistic",
        entity="item",
        onnx_bytes=onnx,
        features=FEATURES,
        columns=[Column(name="p", unit="1", horizon_days=7, lowest=0.0, highest=1.0)],
        training=TRAINING,
        golden_inputs={"x": golden, "s": shift},
        predict=predict,
        side=Side(["shift"], ["a", "b", ""], shift[:3]),
        extra={"why": "tests"},
    )


def trees(x: Floats) -> Exportable:
    """Three quantiles in one ensemble, with conformal offsets."""
    y = np.nan_to_num(x[:, 0]) + np.random.default_rng(3).normal(0.0, 1.0, len(x)) ** 2
    models = [
        HistGradientBoostingRegressor(
            loss="quantile", quantile=level, max_iter=6, max_leaf_nodes=6, early_stopping=False
        ).fit(x, y)
        for level in LEVELS
    ]
    golden = golden_rows(x)
    return Exportable(
        service="quality",
        kind="gradient_boosting",
        entity="item",
        onnx_bytes=boosted_quantiles(models, lowest=0.0, offset=True),
        features=FEATURES,
        columns=[Column(name=f"q{q}", unit="1", quantile=q, lowest=0.0) for q in LEVELS],
        offsets=len(LEVELS),
        training=TRAINING,
        golden_inputs={"x": golden, "offset": np.array([-0.1, 0.0, 0.3], np.float32)},
        predict=lambda inputs: predict_quantiles(models, inputs, lowest=0.0),
    )


def published(root: Path) -> list[Path]:
    """Both, signed by ``<root>/keys/machine.pem``, in ``<root>/models``."""
    key = keys.machine_key(root / "keys")
    x = rows()
    return [
        publish(write_artifact(root / "made", made, created_at=MADE_AT), root / "models", key)
        for made in (linear(x), trees(x))
    ]
