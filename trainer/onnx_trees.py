"""scikit-learn's histogram gradient boosting as one tree-ensemble node. No fitting.

All trees of all models (a quantile each, say) are one ``TreeEnsembleRegressor`` with a target a
model; links and sorting are nodes of their own, in sight.

A tree of scikit-learn compares ``x <= t`` in float64. At the edge ``x`` is float32, so the threshold
becomes the largest float32 that is not above ``t``: for every float32 ``x`` the answer is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Target:
    """One column of an ensemble: what the trees of a model add up to, times ``scale``, plus ``shift``."""

    model: Any
    """``None``: only the shift, and what rules add."""
    columns: Sequence[int] | None = None
    """Where the model's features stand in the graph's input; as they come when not told."""
    scale: float = 1.0
    shift: float = 0.0

    @property
    def base(self) -> float:
        """What there is before the first tree."""
        if self.model is None:
            return self.shift
        start = float(np.asarray(self.model._baseline_prediction).ravel()[0])
        return start * self.scale + self.shift


@dataclass(frozen=True, slots=True)
class Rule:
    """``adds`` to one target where a feature is at most ``at_most``; not where it is missing."""

    feature: int
    at_most: float
    target: int
    adds: float


def add_ensemble(
    graph: Graph, x: str, models: Sequence[Any | Target], rules: Sequence[Rule] = ()
) -> str:
    """Append the trees of fitted models, one target each; the name of raw sums float32[n, o].

    Raises NotExportable.
    """
    nodes: dict[str, list[NDArray[Any]]] = {}
    leaves: dict[str, list[NDArray[Any]]] = {}
    targets = [model if isinstance(model, Target) else Target(model) for model in models]
    tree = 0
    for number, target in enumerate(targets):
        for predictors in () if target.model is None else target.model._predictors:
            if len(predictors) != 1:
                raise NotExportable("more than two classes")
            _add_tree(nodes, leaves, predictors[0].nodes, tree, number, target)
            tree += 1
    bare = [i for i, target in enumerate(targets) if target.model is None]
    for rule in (*rules, *(Rule(0, 0.0, number, 0.0) for number in bare)):
        _add_rule(nodes, leaves, rule, tree)  # onnxruntime forgets the base of what has no tree
        tree += 1
    told = {name: np.concatenate(parts).tolist() for name, parts in (nodes | leaves).items()}
    modes = np.where(np.concatenate(nodes["nodes_hitrates"]) > 0, "BRANCH_LEQ", "LEAF")
    told["nodes_modes"] = modes.tolist()
    told["nodes_hitrates"] = [1.0] * len(modes)
    return graph.node(
        "TreeEnsembleRegressor",
        x,
        domain=ML,
        n_targets=len(targets),
        aggregate_function="SUM",
        base_values=[target.base for target in targets],
        **told,
    )


def _add_tree(
    nodes: dict[str, list[NDArray[Any]]],
    leaves: dict[str, list[NDArray[Any]]],
    tree: NDArray[Any],
    number: int,
    into: int,
    target: Target,
) -> None:
    """``tree`` is scikit-learn's structured array, a record a node, parents before children."""
    leaf = tree["is_leaf"].astype(bool)
    if tree["is_categorical"][~leaf].any():
        raise NotExportable("categorical splits: encode categories as numbers")
    ids = np.arange(len(tree))
    feature = np.where(leaf, 0, tree["feature_idx"]).astype(np.int64)
    if target.columns is not None:
        feature = np.where(leaf, 0, np.array(target.columns)[feature])
    columns = {
        "nodes_treeids": np.full(len(tree), number),
        "nodes_nodeids": ids,
        "nodes_featureids": feature,
        "nodes_values": np.where(leaf, 0.0, float32_below(tree["num_threshold"])),
        "nodes_truenodeids": np.where(leaf, 0, tree["left"]),
        "nodes_falsenodeids": np.where(leaf, 0, tree["right"]),
        "nodes_missing_value_tracks_true": np.where(leaf, 0, tree["missing_go_to_left"]),
        "nodes_hitrates": (~leaf).astype(np.float32),  # until the modes are made of it
    }
    ends = {
        "target_treeids": np.full(int(leaf.sum()), number),
        "target_nodeids": ids[leaf],
        "target_ids": np.full(int(leaf.sum()), into),
        "target_weights": (tree["value"][leaf] * target.scale).astype(np.float32),
    }
    _extend(nodes, leaves, columns, ends)


def _add_rule(
    nodes: dict[str, list[NDArray[Any]]],
    leaves: dict[str, list[NDArray[Any]]],
    rule: Rule,
    number: int,
) -> None:
    """A tree of one question."""
    columns = {
        "nodes_treeids": np.full(3, number),
        "nodes_nodeids": np.arange(3),
        "nodes_featureids": np.array([rule.feature, 0, 0]),
        "nodes_values": np.append(float32_below(np.array([rule.at_most])), np.zeros(2)),
        "nodes_truenodeids": np.array([1, 0, 0]),
        "nodes_falsenodeids": np.array([2, 0, 0]),
        "nodes_missing_value_tracks_true": np.zeros(3, np.int64),
        "nodes_hitrates": np.array([1.0, 0.0, 0.0], np.float32),
    }
    ends = {
        "target_treeids": np.full(2, number),
        "target_nodeids": np.array([1, 2]),
        "target_ids": np.full(2, rule.target),
        "target_weights": np.array([rule.adds, 0.0], np.float32),
    }
    _extend(nodes, leaves, columns, ends)


def _extend(
    nodes: dict[str, list[NDArray[Any]]],
    leaves: dict[str, list[NDArray[Any]]],
    columns: dict[str, NDArray[Any]],
    ends: dict[str, NDArray[Any]],
) -> None:
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
