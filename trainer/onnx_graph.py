"""Small ONNX graphs, node by node. The operator set is fixed here and nowhere else. No models.

Graphs take and give float32 only, carry their constants inside, and use only what the door allows
(``edge/inference/door_graph.py``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = 21
ML = "ai.onnx.ml"
ML_OPSET = 3
"""The last one with TreeEnsembleRegressor as every onnxruntime in use reads it."""
IR_VERSION = 10

Shape = Sequence[str | int]
"""A letter for what varies (``n`` rows), a number for what does not."""


class Graph:
    """Nodes and constants in the order in which they were added; names are made here."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def constant(self, values: ArrayLike, dtype: Any = np.float32) -> str:
        """Name of a constant; float32 unless told otherwise (int64 for axes and shapes)."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def axis(self, *axes: int) -> str:
        """Name of a constant int64[k]: axes, shapes, counts."""
        return self.constant(axes, np.int64)

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Name of the one output of a new node."""
        return self.nodes(operator, 1, *inputs, domain=domain, **attributes)[0]

    def nodes(
        self, operator: str, outputs: int, *inputs: str, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Names of the outputs of a new node."""
        at = len(self._nodes)
        names = [f"v{at}_{i}" if outputs > 1 else f"v{at}" for i in range(outputs)]
        self._nodes.append(
            helper.make_node(
                operator, inputs, names, f"{operator}_{at}", domain=domain, **attributes
            )
        )
        return names

    def model(self, inputs: Mapping[str, Shape], outputs: Mapping[str, tuple[str, Shape]]) -> bytes:
        """The file. ``inputs``: name -> shape. ``outputs``: name -> (value in the graph, shape)."""
        ends = [
            helper.make_node("Identity", [value], [name]) for name, (value, _) in outputs.items()
        ]
        graph = helper.make_graph(
            [*self._nodes, *ends],
            "rfid3",
            [_float(name, shape) for name, shape in inputs.items()],
            [_float(name, shape) for name, (_, shape) in outputs.items()],
            self._constants,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]
        made: ModelProto = helper.make_model(
            graph, producer_name="rfid3", opset_imports=opsets, ir_version=IR_VERSION
        )
        return bytes(made.SerializeToString(deterministic=True))


def _float(name: str, shape: Shape) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def link(graph: Graph, value: str, name: str) -> str:
    """The inverse link as a node of its own: ``identity``, ``exp`` or ``logistic``."""
    operators = {"identity": "", "exp": "Exp", "logistic": "Sigmoid"}
    return graph.node(operators[name], value) if operators[name] else value


def clip(graph: Graph, value: str, lowest: float | None, highest: float | None) -> str:
    """Keep a value within its range; ``None``: open."""
    if lowest is None and highest is None:
        return value
    bounds = ["" if bound is None else graph.constant(bound) for bound in (lowest, highest)]
    return graph.node("Clip", value, *bounds)


def line(graph: Graph, value: str, weights: ArrayLike, rest: ArrayLike | str | None = None) -> str:
    """``value @ weights + rest`` as one node: float32[n, f] -> float32[n, o].

    ``rest`` is float[o], the name of a value float32[n, o], or nothing.
    """
    inputs = [value, graph.constant(weights)]
    if rest is not None:
        inputs.append(rest if isinstance(rest, str) else graph.constant(rest))
    return graph.node("Gemm", *inputs)


def ramps(graph: Graph, value: str, weights: ArrayLike, rest: ArrayLike) -> str:
    """The same, then kept between 0 and 1: what a value has gone of each piece of a bent line.

    onnxruntime makes one step of both, and the ends hold however far away the value is.
    """
    return graph.node("HardSigmoid", line(graph, value, weights, rest), alpha=1.0, beta=0.0)


def ordered(graph: Graph, value: str, columns: int) -> str:
    """Sort each row upwards: quantiles that cannot cross."""
    if columns < 2:
        return value
    return graph.nodes("TopK", 2, value, graph.axis(columns), axis=1, largest=0, sorted=1)[0]
