"""Tiny ONNX models and folders of them for tests. Nothing here is trained, nothing is signed."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.config import Models
from edge.features.catalog import catalogue_hash
from edge.features.state import FeatureState
from edge.inference.manifest import (
    MANIFEST,
    MODEL,
    Column,
    Entities,
    File,
    Manifest,
    Service,
    Tensor,
    Training,
    encode_manifest,
)
from edge.inference.model import Loaded
from edge.inference.predict import SERVICES

Floats = NDArray[np.float32]

ITEM_FEATURES = ("age_days", "reads_total", "rentals_total", "days_since_read", "failures_total")
CLASS_FEATURES = ("on_hand_units", "items_ready", "sightings_24h")
SETTINGS = Models()


def linear(weights: Floats, bias: Floats, side: int = 0) -> bytes:
    """``y = nan_to_0(x) @ weights + bias``: weights float32[f, o]; with ``side``, plus sum of s."""
    f, o = weights.shape
    nodes = [
        helper.make_node("IsNaN", ["x"], ["gaps"]),
        helper.make_node("Where", ["gaps", "zero", "x"], ["whole"]),
        helper.make_node("Gemm", ["whole", "w", "b"], ["z" if side else "y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", f])]
    if side:
        inputs.append(helper.make_tensor_value_info("s", TensorProto.FLOAT, ["n", side]))
        nodes.append(helper.make_node("ReduceSum", ["s", "axes"], ["total"], keepdims=1))
        nodes.append(helper.make_node("Add", ["z", "total"], ["y"]))
    weighed = {
        "w": np.asarray(weights, np.float32),
        "b": np.asarray(bias, np.float32),
        "zero": np.float32(0).reshape(()),
        "axes": np.array([1], np.int64),
    }
    used = {name for node in nodes for name in node.input}
    return _model(nodes, inputs, o, {n: v for n, v in weighed.items() if n in used})


def odd(f: int, o: int) -> bytes:
    """Answers that are no numbers: 0 divided by 0."""
    nodes = [
        helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=1),
        helper.make_node("Sub", ["sum", "sum"], ["null"]),
        helper.make_node("Div", ["null", "zeros"], ["y"]),
    ]
    kept = {"axes": np.array([1], np.int64), "zeros": np.zeros((1, o), np.float32)}
    return _model(nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", f])], o, kept)


def failing(f: int, o: int) -> bytes:
    """A graph that loads, and fails when it is run on more than one row, or on one."""
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["y"]),
    ]
    kept = {"shape": np.array([-1, 7_919], np.int64), "w": np.zeros((7_919, o), np.float32)}
    return _model(nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", f])], o, kept)


def slow(f: int, o: int, size: int = 700) -> bytes:
    """A graph that multiplies large matrices for each call, whatever comes in."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("ReduceSum", ["x", "both"], ["sum"], keepdims=1),
        helper.make_node("IsNaN", ["sum"], ["gap"]),
        helper.make_node("Where", ["gap", "zero", "sum"], ["seed"]),
        helper.make_node("Add", ["m", "seed"], ["a"]),
        helper.make_node("MatMul", ["a", "m"], ["b"]),
        helper.make_node("MatMul", ["b", "m"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["mean"], keepdims=0),
        helper.make_node("IsNaN", ["x"], ["gaps"]),
        helper.make_node("Where", ["gaps", "zero", "x"], ["whole"]),
        helper.make_node("Gemm", ["whole", "w"], ["z"]),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["z", "nothing"], ["y"]),
    ]
    kept = {
        "both": np.array([0, 1], np.int64),
        "m": rng.normal(size=(size, size)).astype(np.float32) / size,
        "w": rng.normal(size=(f, o)).astype(np.float32),
        "zero": np.float32(0).reshape(()),
    }
    return _model(nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", f])], o, kept)


def _model(nodes: list[object], inputs: list[object], o: int, kept: dict[str, object]) -> bytes:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", o])
    constants = [numpy_helper.from_array(np.asarray(v), name) for name, v in kept.items()]
    graph = helper.make_graph(nodes, "test", inputs, [output], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    content: bytes = made.SerializeToString()
    return content


def chances(o: int) -> list[Column]:
    """Columns of probabilities 7 days ahead and further."""
    return [
        Column(
            name=f"p_event_{7 * (i + 1)}d",
            unit="1",
            horizon_days=7.0 * (i + 1),
            lowest=0.0,
            highest=1.0,
        )
        for i in range(o)
    ]


def manifest(
    service: Service = "maintenance",
    version: str = "20261121T000000Z-00000000",
    *,
    features: Sequence[str] = ITEM_FEATURES,
    columns: Sequence[Column] | None = None,
    o: int = 2,
    side: Sequence[str] = (),
    metrics: dict[str, float] | None = None,
    baselines: dict[str, dict[str, float]] | None = None,
    files: list[File] | None = None,
    medians: dict[str, float] | None = None,
) -> Manifest:
    """A manifest that fits ``linear(float32[len(features), o], …)``."""
    made = list(columns or chances(o))
    inputs = [Tensor(name="x", shape=["n", len(features)])]
    if side:
        inputs.append(Tensor(name="s", shape=["n", len(side)]))
    return Manifest(
        service=service,
        version=version,
        kind="linear",
        entity=SERVICES[service].entity,
        created_at="2026-11-21T00:00:00Z",
        catalogue=catalogue_hash(),
        features=list(features),
        side=list(side),
        inputs=inputs,
        outputs=[Tensor(name="y", shape=["n", len(made)])],
        columns=made,
        training=Training(
            data="a test", from_day="", to_day="", rows=1, entities=1, reason="asked"
        ),
        metrics=metrics or {"pinball": 1.0},
        baselines=baselines or {"naive": {"pinball": 2.0}},
        feature_quantiles={name: [value] * 21 for name, value in (medians or {}).items()},
        files=files or [],
    )


def weights(f: int, o: int, seed: int = 0) -> Floats:
    """float32[f, o], small."""
    return np.random.default_rng(seed).normal(size=(f, o)).astype(np.float32) / 1_000


def loaded(
    state: FeatureState,
    number: int = 1,
    *,
    service: Service = "maintenance",
    content: bytes | None = None,
    entities: Entities | None = None,
    seed: int = 0,
    **told: object,
) -> Loaded:
    """A model ready to be asked."""
    said = manifest(service, **told)  # type: ignore[arg-type]
    o = len(said.columns)
    made = content or linear(weights(len(said.features), o, seed), np.full(o, 0.5, np.float32))
    return Loaded(said, made, entities, state, number, SERVICES[service].columns_max)


def publish(
    root: Path,
    service: Service,
    version: str,
    content: bytes | None = None,
    *,
    seed: int = 0,
    **told: object,
) -> Path:
    """A folder ``root/service/version`` as the trainer publishes one, but not signed."""
    said = manifest(service, version, **told)  # type: ignore[arg-type]
    o = len(said.columns)
    made = content or linear(weights(len(said.features), o, seed), np.full(o, 0.5, np.float32))
    said = msgspec.structs.replace(
        said,
        files=[File(name=MODEL, size_bytes=len(made), sha256=hashlib.sha256(made).hexdigest())],
    )
    folder = root / service / version
    temporary = folder.with_name(f".{version}")
    temporary.mkdir(parents=True)
    (temporary / MODEL).write_bytes(made)
    (temporary / MANIFEST).write_bytes(encode_manifest(said))
    temporary.rename(folder)
    return folder
