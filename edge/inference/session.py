"""One onnxruntime session of one model, with the arrays it reads and writes. No features, no files.

One thread, no arena (a model of our size gains nothing from one, and it keeps what it took), I/O
bound to arrays that are made once: a call gives no Python object to the runtime and takes none.
onnxruntime costs 20 MB, so it is opened with the first model and not before (``ort.py``).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.errors import Rfid3Error
from edge.inference.manifest import Tensor
from edge.inference.ort import FLOAT, Binding, Graph, OrtError, Run, runtime

Floats = NDArray[np.float32]

ROWS_MAX = 256
"""Most rows of one call."""
SIZES_KEPT = 16
"""Batches of so many sizes stay bound."""

Why = Literal["error", "nan", "slow", "constant", "worse"]


class Trouble(Struct, frozen=True):
    """Why a model cannot be used any longer."""

    why: Why
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.why}: {self.detail}" if self.detail else self.why


class ModelUnusable(Rfid3Error):
    """A model cannot be loaded, or is not what its manifest says."""


class Session:
    """Runs one graph. Inputs and outputs are float32, as the manifest's tensors say.

    ``inputs[name]`` is float32[rows_max, …] where the tensor's first dimension is a letter, else a
    constant of that shape. ``output`` is float32[rows_max, o]. Raises ModelUnusable.
    """

    def __init__(
        self,
        content: bytes,
        inputs: Sequence[Tensor],
        output: Tensor,
        rows_max: int = ROWS_MAX,
    ) -> None:
        self.rows_max = rows_max
        self.inputs = {
            tensor.name: np.zeros(_shape(tensor, rows_max), np.float32) for tensor in inputs
        }
        self.output: Floats = np.zeros(_shape(output, rows_max), np.float32)
        self._rows = {tensor.name for tensor in inputs if isinstance(tensor.shape[0], str)}
        self._output = output.name
        self._failure = runtime().failure
        self._bindings: dict[int, Binding] = {}
        try:
            self._graph = Graph(content)
            self._check(inputs, output)
            self.one: Run = self._bound(1).run
            """Scores the first row; ``None``, or what ``failed`` reads."""
        except OrtError as error:
            raise ModelUnusable(f"onnxruntime refuses it: {error}") from error

    def run(self, n: int) -> Trouble | None:
        """Score the first ``n`` rows of the inputs into ``output``; ``None``: all is well."""
        run = self.one if n == 1 else self._run_of(n)
        if isinstance(run, Trouble):
            return run
        status = run()
        return None if status is None else self.failed(status)

    def failed(self, status: int) -> Trouble:
        """What a status says; to be asked once."""
        return Trouble("error", self._failure(status))

    def _run_of(self, n: int) -> Run | Trouble:
        try:
            return self._bound(n).run
        except OrtError as error:
            return Trouble("error", str(error))

    def _bound(self, n: int) -> Binding:
        """The arrays' first ``n`` rows bound to the graph; kept, for batches are of few sizes."""
        assert 0 < n <= self.rows_max, n
        binding = self._bindings.get(n)
        if binding is not None:
            return binding
        if len(self._bindings) >= SIZES_KEPT:
            self._bindings = {1: self._bindings[1]}
        inputs = {
            name: array[:n] if name in self._rows else array for name, array in self.inputs.items()
        }
        binding = self._graph.bound(inputs, {self._output: self.output[:n]})
        self._bindings[n] = binding
        return binding

    def _check(self, inputs: Sequence[Tensor], output: Tensor) -> None:
        """The graph must take and give what the manifest says. Raises ModelUnusable."""
        if self._graph.inputs != {tensor.name: FLOAT for tensor in inputs}:
            raise ModelUnusable(
                f"the graph takes {_told(self._graph.inputs)}, not what its manifest says"
            )
        if self._graph.outputs.get(output.name) != FLOAT:
            raise ModelUnusable(f"the graph gives {_told(self._graph.outputs)}, not {output.name}")


def warm_up() -> None:
    """Open onnxruntime, which takes 50 ms: better before the loop serves. Raises OrtError."""
    runtime()


def _told(nodes: dict[str, int]) -> str:
    """
    >>> _told({"x": 1, "z": 7})
    'x (float), z (type 7)'
    """
    kinds = {FLOAT: "float"}
    return ", ".join(f"{name} ({kinds.get(kind, f'type {kind}')})" for name, kind in nodes.items())


def _shape(tensor: Tensor, rows: int) -> tuple[int, ...]:
    assert all(isinstance(size, int) for size in tensor.shape[1:]), tensor
    return tuple(size if isinstance(size, int) else rows for size in tensor.shape)
