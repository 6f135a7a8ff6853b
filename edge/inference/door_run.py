"""A model's golden rows, run: the answers Python gave, in range, finite, one row as fast as told.

Only in the door's subprocess and in the trainer. No files: bytes in, figures out.
"""

import math
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge.inference.door import Limits, Reason, Refused
from edge.inference.manifest import ENTITIES, GOLDEN, MODEL, Entities, Golden, Manifest, Tensor

Floats = NDArray[np.float32]
Named = dict[str, Floats]

TOLERANCE_MAX = 1e-3
"""No model may ask for more leniency than this."""
RUNS = 256
"""Single rows that are timed."""
EXTREME = 1e9
"""A broken sensor's number: an answer to it must still be finite."""


class Sample(msgspec.Struct, frozen=True):
    """Golden rows as arrays."""

    rows: int
    inputs: Named
    outputs: Named
    tolerance: float


# --- what the files hold -----------------------------------------------------------------------------


def golden(content: bytes, manifest: Manifest, rows_min: int) -> Sample:
    """Golden rows of the manifest's shapes. Raises Refused."""
    try:
        told = msgspec.msgpack.decode(content, type=Golden)
    except msgspec.DecodeError as error:
        raise Refused(Reason.GOLDEN, GOLDEN, f"it cannot be read: {error}") from error
    if told.rows < rows_min:
        raise Refused(Reason.GOLDEN, GOLDEN, f"{told.rows} rows; at least {rows_min}")
    if not 0 <= told.tolerance <= TOLERANCE_MAX:
        raise Refused(Reason.GOLDEN, GOLDEN, f"tolerance {told.tolerance}; at most {TOLERANCE_MAX}")
    inputs = _arrays(told.inputs, manifest.inputs, told.rows)
    outputs = _arrays(told.outputs, manifest.outputs, told.rows)
    if not any(np.isnan(values).any() for values in inputs.values()) and manifest.features:
        raise Refused(Reason.GOLDEN, GOLDEN, "no row has a missing value")
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise Refused(Reason.NOT_FINITE, GOLDEN, f"an answer in {name} is not a number")
    return Sample(told.rows, inputs, outputs, told.tolerance)


def _arrays(held: dict[str, bytes], tensors: list[Tensor], rows: int) -> Named:
    if set(held) != {tensor.name for tensor in tensors}:
        raise Refused(Reason.GOLDEN, GOLDEN, f"it holds {sorted(held)[:8]}")
    return {tensor.name: _array(held[tensor.name], tensor, rows) for tensor in tensors}


def _array(raw: bytes, tensor: Tensor, rows: int) -> Floats:
    """float32 of the tensor's shape: ``n`` is ``rows``, one other letter may be whatever fits."""
    shape = [rows if d == "n" else d if isinstance(d, int) else -1 for d in tensor.shape]
    try:
        return np.frombuffer(raw, "<f4").reshape(shape)
    except ValueError as error:
        raise Refused(Reason.GOLDEN, tensor.name, f"{len(raw)} bytes are not {shape}") from error


def entities(content: bytes | None, manifest: Manifest) -> None:
    """The table of constants must be what the manifest says. Raises Refused."""
    if content is None:
        if manifest.side:
            raise Refused(
                Reason.ENTITIES, ENTITIES, "the manifest needs it, and names no such file"
            )
        return
    try:
        table = msgspec.msgpack.decode(content, type=Entities)
    except msgspec.DecodeError as error:
        raise Refused(Reason.ENTITIES, ENTITIES, f"it cannot be read: {error}") from error
    if table.columns != manifest.side:
        raise Refused(Reason.ENTITIES, ENTITIES, "its columns are not the manifest's")
    if len(table.values) != 4 * len(table.keys) * len(table.columns):
        raise Refused(Reason.ENTITIES, ENTITIES, "its values do not fill its rows")
    if not table.keys or table.keys[-1] or len(set(table.keys)) != len(table.keys):
        raise Refused(Reason.ENTITIES, ENTITIES, "its last key must be empty, and no key twice")


# --- running ------------------------------------------------------------------------------------------


def load(content: bytes) -> Any:
    """A session from bytes: one thread, no custom operators, never onnxruntime's own file format."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no class in common
        raise _refused(Reason.DOES_NOT_LOAD, MODEL, error) from error


def run(session: Any, outputs: list[Tensor], inputs: Named, where: str) -> Named:
    """Every output of one call. Raises Refused."""
    names = [tensor.name for tensor in outputs]
    try:
        given = session.run(names, inputs)
    except Exception as error:  # the same
        raise _refused(Reason.DOES_NOT_RUN, where, error) from error
    return dict(zip(names, given, strict=True))


def _refused(reason: Reason, where: str, error: Exception) -> Refused:
    text = str(error).strip().partition("\n")[0]
    starved = isinstance(error, MemoryError) or "bad_alloc" in text or "allocate memory" in text
    return Refused(Reason.OUT_OF_MEMORY if starved else reason, where, text or repr(error))


def answers(session: Any, manifest: Manifest, sample: Sample) -> None:
    """All rows at once must be what Python said, finite and in range. Raises Refused."""
    given = run(session, manifest.outputs, sample.inputs, "all golden rows")
    _same(given, sample.outputs, sample.tolerance, 0)
    in_range(given["y"], manifest, sample.tolerance, "golden row")


def _same(given: Named, told: Named, tolerance: float, first: int) -> None:
    for name, expected in told.items():
        values = given[name]
        if values.shape != expected.shape:
            said = f"shape {values.shape}, Python's {expected.shape}"
            raise Refused(Reason.WRONG_ANSWER, name, said)
        if not np.isfinite(values).all():
            row = first + int(np.argwhere(~np.isfinite(values))[0][0])
            raise Refused(Reason.NOT_FINITE, f"golden row {row}", f"{name} is not a number")
        error = relative(values, expected)
        if error.size and error.max() > tolerance:
            at = np.unravel_index(int(error.argmax()), error.shape)
            raise Refused(
                Reason.WRONG_ANSWER,
                f"golden row {first + int(at[0])}" if error.ndim > 1 else name,
                f"{name}{[int(i) for i in at[1:]]} is {values[at]:.7g}, Python said "
                f"{expected[at]:.7g}, {error[at]:.2g} apart; allowed {tolerance:.2g}",
            )


def relative(values: Floats, expected: Floats) -> NDArray[np.float64]:
    """Absolute difference over max(1, |expected|)."""
    wide = expected.astype(np.float64)
    return np.asarray(np.abs(values.astype(np.float64) - wide) / np.maximum(1.0, np.abs(wide)))


def in_range(y: Floats, manifest: Manifest, tolerance: float, what: str) -> None:
    """No answer outside its column's range. Raises Refused."""
    for i, column in enumerate(manifest.columns):
        low = -math.inf if column.lowest is None else column.lowest
        high = math.inf if column.highest is None else column.highest
        slack = tolerance * max(1.0, abs(low) if math.isfinite(low) else 1.0)
        wrong = (y[:, i] < low - slack) | (y[:, i] > high + slack)
        if wrong.any():
            row = int(wrong.argmax())
            said = f"{column.name} is {y[row, i]:.7g}; declared {low} to {high}"
            raise Refused(Reason.OUT_OF_RANGE, f"{what} {row}", said)


def probes(session: Any, manifest: Manifest, sample: Sample) -> None:
    """Rows that nobody trained on: nothing known, all zero, nonsense; finite answers in range."""
    if not {tensor.name for tensor in manifest.inputs} <= {"x", "s", "offset"}:
        return  # such a model has no free features: its state is made by its own code
    if "x" not in sample.inputs:
        return
    width = sample.inputs["x"].shape[1]
    rows = np.array([np.nan, 0.0, EXTREME, -EXTREME], np.float32)
    inputs: Named = dict(sample.inputs)
    inputs["x"] = np.repeat(rows[:, None], width, axis=1)
    if "s" in inputs:
        inputs["s"] = np.ascontiguousarray(inputs["s"][: len(rows)])
    y = run(session, manifest.outputs, inputs, "probe rows")["y"]
    if not np.isfinite(y).all():
        row = int(np.argwhere(~np.isfinite(y))[0][0])
        raise Refused(Reason.NOT_FINITE, f"probe row {row}", f"every feature is {rows[row]:g}")
    in_range(y, manifest, sample.tolerance, "probe row")


def pace(session: Any, manifest: Manifest, sample: Sample, limits: Limits) -> tuple[float, float]:
    """(p50, p99) of one row, µs of processor time, and that alone it gets the same answer.

    Raises Refused. Processor time, so that a busy machine does not make a good model slow.
    """
    taken: list[float] = []
    tensors = (manifest.inputs, manifest.outputs)
    singles = [_row(sample, tensors, i) for i in range(sample.rows)]
    spent, allowed = 0.0, limits.seconds * 1e6 / 4
    for i in _turns(len(singles)):
        inputs, told = singles[i]
        started = time.thread_time_ns()
        given = run(session, manifest.outputs, inputs, f"golden row {i}")
        taken.append((time.thread_time_ns() - started) / 1e3)
        _same(given, told, sample.tolerance, i)
        spent += taken[-1]
        if spent > allowed:
            break
    steady = sorted(taken[8:] or taken)  # numpy's quantile imports more: no file opens here
    p50, p99 = (steady[int(q * (len(steady) - 1))] for q in (0.5, 0.99))
    if p50 > limits.row_p50_us or p99 > limits.row_p99_us:
        said = f"p50 {p50:.0f} µs, p99 {p99:.0f} µs of processor time; allowed {limits.row_p50_us:.0f} and {limits.row_p99_us:.0f}"
        raise Refused(Reason.TOO_SLOW, "one row", said)
    return p50, p99


def _turns(rows: int) -> Iterator[int]:
    return (i % rows for i in range(max(RUNS, rows) + 8))


def _row(sample: Sample, tensors: tuple[list[Tensor], list[Tensor]], i: int) -> tuple[Named, Named]:
    """Row ``i`` alone: inputs and outputs cut along ``n``."""
    inputs, outputs = (
        {t.name: _cut(held[t.name], t, i) for t in told}
        for held, told in zip((sample.inputs, sample.outputs), tensors, strict=True)
    )
    return inputs, outputs


def _cut(values: Floats, tensor: Tensor, i: int) -> Floats:
    if "n" not in tensor.shape:
        return values
    return np.ascontiguousarray(values.take([i], axis=tensor.shape.index("n")))
