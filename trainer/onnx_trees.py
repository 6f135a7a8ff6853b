"""scikit-learn's histogram gradient boosting as one tree-ensemble node. No fitting.

All trees of all models (a quantile each, say) are one ``TreeEnsembleRegressor`` with a target a
model; links and sorting are nodes of their own, in sight.

A tree of scikit-learn compares ``x <= t`` in float64. At the edge ``x`` is float32, so the threshold
becomes the largest float32 that is not above ``t``: for every float32 ``x`` the answer is the same.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.onnx_graph import ML, Graph, clip, link, ordered

LINKS = {
    "squared_error": "identity",
    "absolute_error": "identity",
    "quantile": "identity",
    "poisson": "exp",
    "gamma": "exp",
    "log_loss": "logistic",
}
"""Loss of the estimator -> how its raw sum becomes an answer."""


class NotExportable(ValueError):
    """An estimator that this emitter does not know to write; says why."""


def float32_below(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each value.

    >>> float32_below(np.array([0.1, 0.5])).tolist()
    [0.09999999403953552, 0.5]
    """
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
    down = np.nextafter(near, np.float32(-np.inf))
    return np.where(near.astype(np.float64) > values, down, near).astype(np.float32)


def add_ensemble(graph: Graph, x: str, models: Sequence[Any]) -> str:
    """Append the trees of fitted models, one target each; the name of raw sums float32[n, o].

    Raises NotExportable.
    """
    nodes: dict[str, list[NDArray[Any]]] = {}
    leaves: dict[str, list[NDArray[Any]]] = {}
    tree = 0
    for target, model in enumerate(models):
        for predictors in model._predictors:
            if len(predictors) != 1:
                raise NotExportable("more than two classes")
            _add_tree(nodes, leaves, predictors[0].nodes, tree, target)
            tree += 1
    told = {name: np.concatenate(parts).tolist() for name, parts in (nodes | leaves).items()}
    modes = np.where(np.concatenate(nodes["nodes_hitrates"]) > 0, "BRANCH_LEQ", "LEAF")
    told["nodes_modes"] = modes.tolist()
    told["nodes_hitrates"] = [1.0] * len(modes)
    return graph.node(
        "TreeEnsembleRegressor",
        x,
        domain=ML,
        n_targets=len(models),
        aggregate_function="SUM",
        base_values=[float(np.asarray(model._baseline_prediction).ravel()[0]) for model in models],
        **told,
    )


def _add_tree(
    nodes: dict[str, list[NDArray[Any]]],
    leaves: dict[str, list[NDArray[Any]]],
    tree: NDArray[Any],
    number: int,
    target: int,
) -> None:
    """``tree`` is scikit-learn's structured array, a record a node, parents before children."""
    leaf = tree["is_leaf"].astype(bool)
    if tree["is_categorical"][~leaf].any():
        raise NotExportable("categorical splits: encode categories as numbers")
    ids = np.arange(len(tree))
    columns = {
        "nodes_treeids": np.full(len(tree), number),
        "nodes_nodeids": ids,
        "nodes_featureids": np.where(leaf, 0, tree["feature_idx"]),
        "nodes_values": np.where(leaf, 0.0, float32_below(tree["num_threshold"])),
        "nodes_truenodeids": np.where(leaf, 0, tree["left"]),
        "nodes_falsenodeids": np.where(leaf, 0, tree["right"]),
        "nodes_missing_value_tracks_true": np.where(leaf, 0, tree["missing_go_to_left"]),
        "nodes_hitrates": (~leaf).astype(np.float32),  # until the modes are made of it
    }
    ends = {
        "target_treeids": np.full(int(leaf.sum()), number),
        "target_nodeids": ids[leaf],
        "target_ids": np.full(int(leaf.sum()), target),
        "target_weights": tree["value"][leaf].astype(np.float32),
    }
    for held, made in ((nodes, columns), (leaves, ends)):
        for name, values in made.items():
            held.setdefault(name, []).append(values)


def link_of(model: Any) -> str:
    """The inverse link of a fitted estimator. Raises NotExportable."""
    if model.loss not in LINKS:
        raise NotExportable(f"loss {model.loss!r}")
    return LINKS[model.loss]


def boosted(model: Any, *, lowest: float | None = None, highest: float | None = None) -> bytes:
    """One fitted HistGradientBoosting regressor or two-class classifier: ``x`` -> ``y`` float32[n, 1].

    A classifier's ``y`` is the probability of its second class. Raises NotExportable.
    """
    graph = Graph()
    raw = add_ensemble(graph, "x", [model])
    y = clip(graph, link(graph, raw, link_of(model)), lowest, highest)
    return graph.model({"x": ["n", model.n_features_in_]}, {"y": (y, ["n", 1])})


def boosted_quantiles(
    models: Sequence[Any],
    *,
    lowest: float | None = None,
    highest: float | None = None,
    offset: bool = False,
) -> bytes:
    """Fitted quantile models, levels rising: ``y`` float32[n, q], each row sorted, no crossings.

    With ``offset`` the graph takes a second input, float32[q], added before sorting. Raises
    NotExportable.
    """
    assert [model.quantile for model in models] == sorted(model.quantile for model in models)
    graph, count = Graph(), len(models)
    inputs: dict[str, list[str | int]] = {"x": ["n", models[0].n_features_in_]}
    y = add_ensemble(graph, "x", models)
    if offset:
        inputs["offset"] = [count]
        y = graph.node("Add", y, "offset")
    y = clip(graph, ordered(graph, y, count), lowest, highest)
    return graph.model(inputs, {"y": (y, ["n", count])})


def predict_quantiles(
    models: Sequence[Any],
    inputs: dict[str, NDArray[np.float32]],
    *,
    lowest: float | None = None,
    highest: float | None = None,
) -> NDArray[np.float64]:
    """What ``boosted_quantiles`` must answer, by scikit-learn itself: float64[n, q]."""
    raw = np.stack([model.predict(inputs["x"]) for model in models], axis=1)
    return np.asarray(np.clip(np.sort(raw + inputs.get("offset", 0.0), axis=1), lowest, highest))
