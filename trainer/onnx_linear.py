"""Linear and logistic models as a graph: fill missing, scale, clip, multiply, link. No fitting.

``predict`` is the same formula in float64, for the export's comparison.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.onnx_graph import Graph, link

Floats = NDArray[np.float64]

LINKS: dict[str, Callable[[Floats], Floats]] = {
    "identity": lambda z: z,
    "exp": np.exp,
    "logistic": lambda z: 1.0 / (1.0 + np.exp(-z)),
}


@dataclass(frozen=True, slots=True)
class Linear:
    """y = link(intercept + coefficients · clip((fill(x) - centre) / scale)).

    ``f`` features, ``o`` outputs.
    """

    fill: Floats
    """float64[f]: what stands for a missing value (NaN)."""
    centre: Floats
    """float64[f]"""
    scale: Floats
    """float64[f], above 0."""
    coefficients: Floats
    """float64[o, f]"""
    intercept: Floats
    """float64[o]"""
    link: str = "identity"
    """``identity``, ``exp`` or ``logistic``."""
    clip: float = 8.0
    """Scaled features end here: a broken sensor's number shifts an answer, never ruins it."""

    def predict(self, x: NDArray[np.float32]) -> Floats:
        """float64[n, o] for float32[n, f]."""
        filled = np.where(np.isnan(x), self.fill, x.astype(np.float64))
        scaled = np.clip((filled - self.centre) / self.scale, -self.clip, self.clip)
        return np.asarray(LINKS[self.link](scaled @ self.coefficients.T + self.intercept))

    def add(self, graph: Graph, x: str) -> str:
        """Append the nodes; the name of float32[n, o]."""
        assert (self.scale > 0).all(), self.scale
        missing = graph.node("IsNaN", x)
        filled = graph.node("Where", missing, graph.constant(self.fill), x)
        centred = graph.node("Sub", filled, graph.constant(self.centre))
        scaled = graph.node("Mul", centred, graph.constant(1.0 / self.scale))
        bounds = (graph.constant(-self.clip), graph.constant(self.clip))
        clipped = graph.node("Clip", scaled, *bounds)
        raw = graph.node(
            "Gemm", clipped, graph.constant(self.coefficients.T), graph.constant(self.intercept)
        )
        return link(graph, raw, self.link)

    def onnx(self) -> bytes:
        """The whole model: ``x`` float32[n, f] -> ``y`` float32[n, o]."""
        graph = Graph()
        y = self.add(graph, "x")
        outputs, features = self.coefficients.shape
        return graph.model({"x": ["n", features]}, {"y": (y, ["n", outputs])})
