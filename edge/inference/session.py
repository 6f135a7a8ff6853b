"""One onnxruntime session of one model, with the arrays it reads and writes. No features, no files.

One thread, no arena (a model of our size gains nothing from one, and it keeps what it took), I/O
bound to arrays that are made once: a call gives no Python object to the runtime and takes none.
onnxruntime costs 30 MB, so it is imported with the first model and not before.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.errors import Rfid3Error
from edge.inference.manifest import Tensor

Floats = NDArray[np.float32]

ROWS_MAX = 256
"""Most rows of one call."""
SILENT = 4
"""onnxruntime's log level for what is fatal only: failures are told by us."""

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
        self._rows = {
            tensor.name: isinstance(tensor.shape[0], str) for tensor in inputs if tensor.shape
        }
        self._output = output.name
        self._errors = _errors()
        self._session = _load(content, self._errors)
        self._check(inputs, output)
        self._bindings: dict[int, Any] = {}
        self._one = self._bound(1)

    def run(self, n: int) -> Trouble | None:
        """Score the first ``n`` rows of the inputs into ``output``; ``None``: all is well."""
        binding = self._one if n == 1 else self._bound(n)
        try:
            self._session.run_with_iobinding(binding)
        except self._errors as error:
            return Trouble("error", _first_line(error))
        return None

    def _bound(self, n: int) -> Any:
        """The arrays' first ``n`` rows bound to the graph; kept, for batches are of few sizes."""
        assert 0 < n <= self.rows_max, n
        binding = self._bindings.get(n)
        if binding is not None:
            return binding
        if len(self._bindings) >= 16:
            self._bindings = {1: self._bindings[1]}
        binding = self._session.io_binding()
        for name, array in self.inputs.items():
            shape = [n, *array.shape[1:]] if self._rows.get(name) else list(array.shape)
            binding.bind_input(name, "cpu", 0, np.float32, shape, array.ctypes.data)
        shape = [n, *self.output.shape[1:]]
        binding.bind_output(self._output, "cpu", 0, np.float32, shape, self.output.ctypes.data)
        self._bindings[n] = binding
        return binding

    def _check(self, inputs: Sequence[Tensor], output: Tensor) -> None:
        """The graph must take and give what the manifest says. Raises ModelUnusable."""
        told = {node.name: node.type for node in self._session.get_inputs()}
        if told != {tensor.name: "tensor(float)" for tensor in inputs}:
            raise ModelUnusable(f"the graph takes {told}, not what its manifest says")
        given = {node.name: node.type for node in self._session.get_outputs()}
        if given.get(output.name) != "tensor(float)":
            raise ModelUnusable(f"the graph gives {given}, not {output.name}")


def warm_up() -> None:
    """Import onnxruntime, which holds the interpreter for 50 ms: better before the loop serves."""
    import onnxruntime  # noqa: F401


def _load(content: bytes, errors: tuple[type[Exception], ...]) -> Any:
    """A session over the bytes of a model. Raises ModelUnusable."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = SILENT
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except errors as error:
        raise ModelUnusable(f"onnxruntime refuses it: {_first_line(error)}") from error


def _errors() -> tuple[type[Exception], ...]:
    """Everything onnxruntime raises; its classes have no common parent of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [
        kind
        for kind in vars(state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ]
    return (*own, RuntimeError, ValueError)


def _shape(tensor: Tensor, rows: int) -> tuple[int, ...]:
    assert all(isinstance(size, int) for size in tensor.shape[1:]), tensor
    return tuple(size if isinstance(size, int) else rows for size in tensor.shape)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
