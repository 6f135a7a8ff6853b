"""Models, manifests and a state for the benches of scoring and swapping. Measures nothing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edge.config import Limits
from edge.features.catalog import BY_ENTITY, catalogue_hash
from edge.features.state import FeatureState
from edge.inference.door import Loaded as Contents
from edge.inference.door import Verdict
from edge.inference.manifest import (
    MANIFEST,
    MODEL,
    Column,
    Golden,
    Manifest,
    Service,
    Tensor,
    Training,
    decode_manifest,
    encode_manifest,
)
from edge.inference.model import Loaded
from edge.inference.predict import SERVICES

ITEM = tuple(BY_ENTITY["item"])
CLASS = tuple(name for name, f in BY_ENTITY["class"].items() if f.read.one is not None)
"""Features of a class that one row can be read of without numpy."""
START_MS = 1_772_000_000_000
_NUMBERS = iter(range(1, 1 << 30))


def a_state(items: int, classes: int) -> FeatureState:
    """A state that knows so many items and classes, each a little different."""
    limits = Limits(items_max=items, active_items_max=items, classes_max=classes)
    state = FeatureState(limits, "UTC", 7_200_000)
    state.advance(START_MS)
    rng = np.random.default_rng(0)
    for table, many in ((state.item, items), (state.cls, classes)):
        for i in range(many):
            table.keys.claim(f"K{i:06d}")
        for name, column in table.col.items():
            if name.endswith("_ms"):
                column[:many] = START_MS - rng.integers(0, 10_000_000_000, many)
            elif name.endswith(("_total", "_cents")):
                column[:many] = rng.integers(0, 100, many)
    state.item.col["class_row"][:items] = rng.integers(0, classes, items)
    return state


def columns(o: int) -> list[Column]:
    """Probabilities ahead."""
    return [
        Column(name=f"p{i}", unit="1", horizon_days=7.0 * (i + 1), lowest=0.0, highest=1.0)
        for i in range(o)
    ]


def manifest(
    service: Service, version: str, kind: str, features: tuple[str, ...], o: int
) -> Manifest:
    """What such a model says of itself."""
    return Manifest(
        service=service,
        version=version,
        kind=kind,
        entity=SERVICES[service].entity,
        created_at="2026-11-21T00:00:00Z",
        catalogue=catalogue_hash(),
        features=list(features),
        inputs=[Tensor(name="x", shape=["n", len(features)])],
        outputs=[Tensor(name="y", shape=["n", o])],
        columns=columns(o),
        training=Training(
            data="made up", from_day="", to_day="", rows=0, entities=0, reason="asked"
        ),
        feature_quantiles={name: [0.0] * 21 for name in features},
        files=[],
    )


def loaded(
    state: FeatureState, service: Service, kind: str, features: tuple[str, ...], content: bytes
) -> Loaded:
    """A model ready to be asked."""
    said = manifest(service, kind, kind, features, 3)
    most = SERVICES[service].columns_max
    return Loaded(said, content, None, state, next(_NUMBERS), most)


def linear(f: int, o: int, seed: int = 0) -> bytes:
    """Missing values as 0, then weights and a bias."""
    rng = np.random.default_rng(seed)
    kept = {
        "w": (rng.normal(size=(f, o)) / 1e6).astype(np.float32),
        "b": rng.random(o).astype(np.float32),
        "zero": np.zeros((), np.float32),
    }
    nodes = [
        helper.make_node("IsNaN", ["x"], ["gaps"]),
        helper.make_node("Where", ["gaps", "zero", "x"], ["whole"]),
        helper.make_node("Gemm", ["whole", "w", "b"], ["y"]),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in kept.items()]
    return _serialized(nodes, f, o, constants)


def forest(f: int, o: int, trees: int, depth: int = 5, seed: int = 0) -> bytes:
    """Complete trees, ``2**depth`` leaves each; missing values go right."""
    rng = np.random.default_rng(seed)
    inner, leaves = 2**depth - 1, 2**depth
    node_ids = np.tile(np.arange(inner + leaves), trees)
    tree_ids = np.repeat(np.arange(trees), inner + leaves)
    leaf = node_ids >= inner
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_featureids=np.where(leaf, 0, rng.integers(0, f, leaf.size)).tolist(),
        nodes_modes=["LEAF" if end else "BRANCH_LEQ" for end in leaf.tolist()],
        nodes_values=rng.exponential(30.0, leaf.size).tolist(),
        nodes_truenodeids=np.where(leaf, 0, 2 * node_ids + 1).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, 2 * node_ids + 2).tolist(),
        target_treeids=np.repeat(tree_ids[leaf], o).tolist(),
        target_nodeids=np.repeat(node_ids[leaf], o).tolist(),
        target_ids=np.tile(np.arange(o), trees * leaves).tolist(),
        target_weights=(rng.random(trees * leaves * o) / trees).tolist(),
        n_targets=o,
        aggregate_function="SUM",
        post_transform="NONE",
    )
    return _serialized([node], f, o, [])


def _serialized(
    nodes: Sequence[NodeProto], f: int, o: int, constants: Sequence[TensorProto]
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "bench",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", f])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", o])],
        constants,
    )
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    content: bytes = helper.make_model(graph, opset_imports=sets, ir_version=9).SerializeToString()
    return content


class UnlockedDoor:
    """Lets in every folder with a manifest: benches of what happens behind the door."""

    def __init__(self, trusted: Path, limits: object) -> None:
        """Nobody needs to be trusted."""

    def inspect(self, folder: Path) -> Verdict:
        """Its manifest is believed."""
        told = decode_manifest((folder / MANIFEST).read_bytes())
        return Verdict(folder=str(folder), ok=True, manifest=told)

    def load(self, folder: Path, verdict: Verdict) -> Contents:
        """The bytes as they are."""
        assert verdict.manifest is not None
        golden = Golden(rows=0, inputs={}, outputs={}, tolerance=0.0)
        model = (folder / MODEL).read_bytes()
        return Contents(manifest=verdict.manifest, model=model, entities=None, golden=golden)

    def trust(self) -> str:
        """Never changes."""
        return ""


def publish(
    root: Path, service: Service, version: str, features: tuple[str, ...], content: bytes
) -> None:
    """A folder of a model, without a signature."""
    folder = root / service / version
    folder.mkdir(parents=True)
    (folder / MODEL).write_bytes(content)
    (folder / MANIFEST).write_bytes(
        encode_manifest(manifest(service, version, "trees", features, 3))
    )
