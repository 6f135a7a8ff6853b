"""onnxruntime by its C interface: the calls that we make of it. No features, no files, no judgement.

Its Python package has no say in who holds the interpreter meanwhile: it lets go of it for one row's
few microseconds, after which another thread may keep the loop waiting for a millisecond, and it
holds it for parts of building a session. Here what is long lets go (``_LONG``), and nothing else does,
for every letting go is an invitation.

The library lies in the same wheel. Its functions stand in one table that is only ever appended to,
so their places are those of every version since the one that brought them.
Source: include/onnxruntime/core/session/onnxruntime_c_api.h, ``OrtApi``, counted from 0.
"""

import ctypes
import weakref
from collections.abc import Callable, Mapping
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_void_p
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import Rfid3Error
from edge.inference.aside import off_the_loops_processor

Floats = NDArray[np.float32]
Call = Callable[..., Any]
Run = Callable[[], int | None]
"""Runs a graph once; ``None``, or the status to be read by ``Runtime.failure``."""

API_VERSION = 17
"""We call nothing younger; newer libraries give this table, too."""
FLOAT = 1
"""ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT."""
SILENT = 4
"""ORT_LOGGING_LEVEL_FATAL: failures are told by us."""
ALL_OPTIMIZATIONS, SEQUENTIAL = 99, 0
DEVICE_ALLOCATOR, DEFAULT_MEMORY = 0, 0

_OUT = POINTER(c_void_p)
_SIZE = POINTER(c_size_t)
_FALLIBLE: dict[str, tuple[int, tuple[Any, ...]]] = {
    "CreateEnv": (3, (c_int, c_char_p, _OUT)),
    "CreateSessionFromArray": (8, (c_void_p, c_char_p, c_size_t, c_void_p, _OUT)),
    "CreateSessionOptions": (10, (_OUT,)),
    "SetSessionExecutionMode": (13, (c_void_p, c_int)),
    "DisableCpuMemArena": (19, (c_void_p,)),
    "SetSessionLogSeverityLevel": (22, (c_void_p, c_int)),
    "SetSessionGraphOptimizationLevel": (23, (c_void_p, c_int)),
    "SetIntraOpNumThreads": (24, (c_void_p, c_int)),
    "SetInterOpNumThreads": (25, (c_void_p, c_int)),
    "SessionGetInputCount": (30, (c_void_p, _SIZE)),
    "SessionGetOutputCount": (31, (c_void_p, _SIZE)),
    "SessionGetInputTypeInfo": (33, (c_void_p, c_size_t, _OUT)),
    "SessionGetOutputTypeInfo": (34, (c_void_p, c_size_t, _OUT)),
    "SessionGetInputName": (36, (c_void_p, c_size_t, c_void_p, _OUT)),
    "SessionGetOutputName": (37, (c_void_p, c_size_t, c_void_p, _OUT)),
    "CreateRunOptions": (39, (_OUT,)),
    "RunOptionsSetRunLogSeverityLevel": (41, (c_void_p, c_int)),
    "CreateTensorWithDataAsOrtValue": (
        49,
        (c_void_p, c_void_p, c_size_t, POINTER(c_int64), c_size_t, c_int, _OUT),
    ),
    "CastTypeInfoToTensorInfo": (55, (c_void_p, _OUT)),
    "GetTensorElementType": (60, (c_void_p, POINTER(c_int))),
    "CreateCpuMemoryInfo": (69, (c_int, c_int, _OUT)),
    "AllocatorFree": (76, (c_void_p, c_void_p)),
    "GetAllocatorWithDefaultOptions": (78, (_OUT,)),
    "AddSessionConfigEntry": (130, (c_void_p, c_char_p, c_char_p)),
    "RunWithBinding": (133, (c_void_p, c_void_p, c_void_p)),
    "CreateIoBinding": (134, (c_void_p, _OUT)),
    "BindInput": (136, (c_void_p, c_char_p, c_void_p)),
    "BindOutput": (137, (c_void_p, c_char_p, c_void_p)),
}
"""Place in the table and arguments of what gives a status: null when all is well."""
_RELEASES = {"Status": 93, "Session": 95, "Value": 96, "TypeInfo": 98, "IoBinding": 135}
"""Places of what gives something back."""
_GET_ERROR_MESSAGE = 2
_LONG = {"CreateEnv", "CreateSessionFromArray"}
"""Others may go on meanwhile. Giving a session back takes a tenth of the time of building it, on the loop."""


class OrtError(Rfid3Error):
    """onnxruntime refuses something, in its own words; or its library is not there."""


class Runtime:
    """The opened library. Raises OrtError when there is none, or none that we know to call."""

    def __init__(self, library: Path) -> None:
        try:
            self._library = ctypes.CDLL(str(library))
            get_base = self._library.OrtGetApiBase
        except (OSError, AttributeError) as error:
            raise OrtError(f"{library} cannot be opened: {error}") from error
        get_base.restype = POINTER(c_void_p * 2)
        get_api, get_version = get_base().contents
        self.version = ctypes.CFUNCTYPE(c_char_p)(get_version or 0)().decode()
        table = ctypes.CFUNCTYPE(c_void_p, c_uint32)(get_api or 0)(API_VERSION)
        if not table:
            raise OrtError(f"onnxruntime {self.version} has no interface of version {API_VERSION}")
        size = 1 + max(place for place, _ in _FALLIBLE.values())
        places = ctypes.cast(table, POINTER(c_void_p * size)).contents

        def function(name: str, place: int, gives: Any, taken: tuple[Any, ...]) -> Call:
            kind = ctypes.CFUNCTYPE if name in _LONG else ctypes.PYFUNCTYPE
            return kind(gives, *taken)(places[place] or 0)

        self._message = function("GetErrorMessage", _GET_ERROR_MESSAGE, c_char_p, (c_void_p,))
        self._calls = {
            name: function(name, place, c_void_p, taken)
            for name, (place, taken) in _FALLIBLE.items()
        }
        self._releases = {
            name: function(name, place, None, (c_void_p,)) for name, place in _RELEASES.items()
        }
        self._prepare()

    def _prepare(self) -> None:
        """What all sessions share, made once; it lives as long as the process."""
        self.env = self.made("CreateEnv", SILENT, b"rfid3")
        self.memory = self.made("CreateCpuMemoryInfo", DEVICE_ALLOCATOR, DEFAULT_MEMORY)
        self.allocator = self.made("GetAllocatorWithDefaultOptions")
        self.run_options = self.made("CreateRunOptions")
        self.call("RunOptionsSetRunLogSeverityLevel", self.run_options, SILENT)
        self.options = self.made("CreateSessionOptions")
        self.call("SetSessionExecutionMode", self.options, SEQUENTIAL)
        self.call("SetIntraOpNumThreads", self.options, 1)
        self.call("SetInterOpNumThreads", self.options, 1)
        self.call("DisableCpuMemArena", self.options)
        self.call("SetSessionLogSeverityLevel", self.options, SILENT)
        self.call("SetSessionGraphOptimizationLevel", self.options, ALL_OPTIMIZATIONS)
        self.call("AddSessionConfigEntry", self.options, b"session.load_model_format", b"ONNX")

    def call_of(self, name: str) -> Call:
        """A function of the table as it is: gives ``None``, or a status for ``failure``."""
        return self._calls[name]

    def release(self, what: str, pointer: int) -> None:
        """Give something back."""
        self._releases[what](pointer)

    def call(self, name: str, *given: Any) -> None:
        """Call one of the table. Raises OrtError."""
        status = self._calls[name](*given)
        if status is not None:
            raise OrtError(self.failure(status))

    def made(self, name: str, *given: Any) -> int:
        """The same for what gives a pointer as its last argument; 0 where it gives none."""
        out = c_void_p()
        self.call(name, *given, ctypes.byref(out))
        return out.value or 0

    def failure(self, status: int) -> str:
        """The first line of what a status says; the status is given back."""
        told: bytes = self._message(status)
        text = told.decode(errors="replace")
        self.release("Status", status)
        return text.strip().partition("\n")[0][:300]


@cache
def runtime() -> Runtime:
    """The library of the installed wheel, opened with the first call. Raises OrtError."""
    found = find_spec("onnxruntime")  # does not import it
    places = (found.submodule_search_locations if found is not None else None) or []
    for place in places:
        for library in sorted(Path(place, "capi").glob("libonnxruntime.so*")):
            return Runtime(library)
    raise OrtError("there is no libonnxruntime.so: install the package onnxruntime")


class Graph:
    """A session over the bytes of a model, given back when nobody holds it. Raises OrtError.

    ``inputs`` and ``outputs``: name -> element type, 0 for what is no tensor.
    """

    def __init__(self, content: bytes) -> None:
        ort = self.ort = runtime()
        with off_the_loops_processor():
            self.session = ort.made(
                "CreateSessionFromArray", ort.env, content, len(content), ort.options
            )
        weakref.finalize(self, ort.release, "Session", self.session).atexit = False
        self.inputs = self._nodes("Input")
        self.outputs = self._nodes("Output")

    def bound(self, inputs: Mapping[str, Floats], outputs: Mapping[str, Floats]) -> "Binding":
        """These arrays, read and written in place by every run. Whoever binds keeps them alive."""
        return Binding(self, inputs, outputs)

    def _nodes(self, kind: str) -> dict[str, int]:
        count = c_size_t()
        self.ort.call(f"SessionGet{kind}Count", self.session, ctypes.byref(count))
        return {self._name(kind, i): self._type(kind, i) for i in range(count.value)}

    def _name(self, kind: str, i: int) -> str:
        ort = self.ort
        name = ort.made(f"SessionGet{kind}Name", self.session, i, ort.allocator)
        told = ctypes.string_at(name).decode(errors="replace")
        ort.call("AllocatorFree", ort.allocator, name)
        return told

    def _type(self, kind: str, i: int) -> int:
        ort = self.ort
        info = ort.made(f"SessionGet{kind}TypeInfo", self.session, i)
        try:
            tensor = ort.made("CastTypeInfoToTensorInfo", info)
            element = c_int(0)
            if tensor:
                ort.call("GetTensorElementType", tensor, ctypes.byref(element))
            return element.value
        finally:
            ort.release("TypeInfo", info)


class Binding:
    """Arrays bound to a graph's inputs and outputs. Raises OrtError when made.

    ``run`` runs the graph once and gives ``None``, or a status for ``Runtime.failure``. It keeps the
    interpreter: a slice of scoring is short, and its thread would have to wait to get it back.
    """

    def __init__(
        self, graph: Graph, inputs: Mapping[str, Floats], outputs: Mapping[str, Floats]
    ) -> None:
        ort = graph.ort
        self._graph = graph  # the session outlives its bindings
        binding = ort.made("CreateIoBinding", graph.session)
        weakref.finalize(self, ort.release, "IoBinding", binding).atexit = False
        for call, arrays in (("BindInput", inputs), ("BindOutput", outputs)):
            for name, array in arrays.items():
                _bind(ort, call, binding, name, array)
        run = ort.call_of("RunWithBinding")
        self.run: Run = partial(run, graph.session, ort.run_options, binding)


def _bind(ort: Runtime, call: str, binding: int, name: str, array: Floats) -> None:
    """One array; what holds its address may go at once, for the binding has its own."""
    assert array.dtype == np.float32, array.dtype
    assert array.flags.c_contiguous
    shape = (c_int64 * array.ndim)(*array.shape)
    where, size = array.ctypes.data, array.nbytes
    value = ort.made(
        "CreateTensorWithDataAsOrtValue", ort.memory, where, size, shape, array.ndim, FLOAT
    )
    try:
        ort.call(call, binding, name.encode(), value)
    finally:
        ort.release("Value", value)
