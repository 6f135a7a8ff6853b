"""A random forest as one ONNX node, for tests and benches of time: its answers mean nothing."""

import numpy as np
from onnx import TensorProto, helper


def forest(f: int, o: int, trees: int, depth: int = 5, seed: int = 0) -> bytes:
    """``trees`` complete trees over f features, o targets; missing values go right."""
    rng = np.random.default_rng(seed)
    inner, leaves = 2**depth - 1, 2**depth
    nodes = inner + leaves
    ids = np.tile(np.arange(nodes), trees)
    of = np.repeat(np.arange(trees), nodes)
    is_leaf = ids >= inner
    attributes = {
        "nodes_treeids": of.tolist(),
        "nodes_nodeids": ids.tolist(),
        "nodes_featureids": np.where(is_leaf, 0, rng.integers(0, f, ids.size)).tolist(),
        "nodes_modes": ["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf.tolist()],
        "nodes_values": rng.exponential(10.0, ids.size).astype(float).tolist(),
        "nodes_truenodeids": np.where(is_leaf, 0, 2 * ids + 1).tolist(),
        "nodes_falsenodeids": np.where(is_leaf, 0, 2 * ids + 2).tolist(),
        "target_treeids": np.repeat(of[is_leaf], o).tolist(),
        "target_nodeids": np.repeat(ids[is_leaf], o).tolist(),
        "target_ids": np.tile(np.arange(o), trees * leaves).tolist(),
        "target_weights": (rng.random(trees * leaves * o) / trees).tolist(),
        "n_targets": o,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
    }
    node = helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **attributes
    )
    graph = helper.make_graph(
        [node],
        "forest",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", f])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", o])],
    )
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    content: bytes = helper.make_model(graph, opset_imports=sets, ir_version=9).SerializeToString()
    return content
