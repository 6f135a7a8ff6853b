"""A model ready to be asked: its session, its plan of features, its constants, how it behaves.

Made in a thread, used on the loop. No files and no registry: what to load is somebody else's word.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.features.catalog import BY_ENTITY, catalogue_hash
from edge.features.state import FeatureState
from edge.inference.gather import Plan
from edge.inference.manifest import Entities, Manifest, Tensor
from edge.inference.session import ModelUnusable, Session, Trouble

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

FEATURES, SIDE, OFFSET, ANSWER = "x", "s", "offset", "y"
"""Names of the tensors that every service may have."""
FEW_COLUMNS = 8
"""So many numbers of one row are handled faster one by one than by numpy."""
CONSTANT_ROWS = 1_024
"""So many different rows with one and the same answer: it has learnt nothing, or lost it."""
ODD_ROWS, ODD_SHARE = 8, 0.01
"""Answers that are no numbers: so many, and more than this share of all, and it is not used any more."""
SLOW_S, SLOW_TIMES = 0.003, 5
"""A call that takes longer for one row, so many times one after the other, is slow."""


@dataclass(slots=True)
class Conduct:
    """How a model has behaved since it was loaded."""

    rows: int = 0
    odd_rows: int = 0
    same_rows: int = 0
    slow_times: int = 0
    _only: bytes = b""

    def answered(self, x: Floats | None, y: Floats) -> Trouble | None:
        """Judge one batch of answers ``y``: float32[n, o] to the inputs ``x``: float32[n, f]."""
        self.rows += len(y)
        if not np.isfinite(y).all():
            self.odd_rows += int((~np.isfinite(y)).any(axis=1).sum())
            if self.odd_rows >= ODD_ROWS and self.odd_rows > ODD_SHARE * self.rows:
                return Trouble("nan", f"{self.odd_rows} of {self.rows} answers are no numbers")
        return self._varied(x, y) if self.same_rows >= 0 else None

    def _varied(self, x: Floats | None, y: Floats) -> Trouble | None:
        """A model that was once seen to tell two rows apart is never called constant again."""
        first = y[0].tobytes()
        if (y != y[0]).any() or self._only not in (b"", first):
            self.same_rows = -1
            return None
        if x is not None and len(x) > 1 and len({row.tobytes() for row in x}) * 2 > len(x):
            self._only = first
            self.same_rows += len(y)
        if self.same_rows >= CONSTANT_ROWS:
            return Trouble("constant", f"{self.same_rows} different rows have one answer")
        return None

    def took(self, seconds: float, rows: int) -> Trouble | None:
        """Judge the time of one call."""
        if rows > 1 or seconds <= SLOW_S:
            self.slow_times = 0 if seconds <= SLOW_S else self.slow_times
            return None
        self.slow_times += 1
        if self.slow_times >= SLOW_TIMES:
            return Trouble("slow", f"{seconds * 1e3:.1f} ms for one row")
        return None


class Loaded:
    """One version of one service, ready. Raises ModelUnusable when made.

    ``number`` tells it from every other of this run of the daemon; ``offset`` is float32[q], the
    conformal corrections that the edge keeps, or ``None``.
    """

    def __init__(
        self,
        manifest: Manifest,
        content: bytes,
        entities: Entities | None,
        state: FeatureState,
        number: int,
        columns_max: int,
    ) -> None:
        self.manifest = manifest
        self.number = number
        self.state = state
        _check(manifest, columns_max)
        self.session = Session(content, manifest.inputs, _answer(manifest))
        self.output = self.session.output
        self.plan = self._planned()
        self.side = _side(manifest, entities)
        self.offset = self.session.inputs.get(OFFSET)
        self.conduct = Conduct()
        self.low = np.array([_bound(c.lowest, -np.inf) for c in manifest.columns], np.float32)
        self.high = np.array([_bound(c.highest, np.inf) for c in manifest.columns], np.float32)
        self.bounded = bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())
        # as large as the output: numpy takes several times as long where it must repeat a short row
        self.lows, self.highs = (
            np.broadcast_to(ends, self.output.shape).copy() for ends in (self.low, self.high)
        )
        # for one row: views that are made once
        self.first: Floats = self.output[0]
        self.told = memoryview(self.first).cast("B")
        self.nil = np.zeros(len(manifest.columns), np.float32)
        self.few = len(manifest.columns) <= FEW_COLUMNS
        self.bounds = list(zip(self.low.tolist(), self.high.tolist(), strict=True))
        packed = struct.Struct(f"={len(manifest.columns)}f")
        self.unpack, self.pack = packed.unpack_from, packed.pack_into
        side = self.session.inputs.get(SIDE)
        self.side_cells = None if side is None else memoryview(side[0]).cast("B")

    @property
    def name(self) -> str:
        """Service and version, for logs."""
        return f"{self.manifest.service}/{self.manifest.version}"

    def set_offset(self, values: Floats) -> None:
        """Correct what follows by these conformal offsets, float32[q]."""
        assert self.offset is not None
        self.offset[...] = values

    def _planned(self) -> Plan | None:
        x = self.session.inputs.get(FEATURES)
        if x is None:
            return None
        if x.shape[1:] != (len(self.manifest.features),):
            raise ModelUnusable(f"x has the shape {x.shape[1:]}, not one column a feature")
        return Plan(self.state, self.manifest.entity, self.manifest.features, x)


@dataclass(slots=True)
class Side:
    """Constants of the entities known in training: float32[keys, k]; the last row is everybody else's."""

    values: Floats
    row_of: Mapping[str, int]
    other: int = field(init=False)
    _cells: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.other = len(self.values) - 1
        self._cells = [row.tobytes() for row in self.values]

    def cells(self, key: str) -> bytes:
        """The constants of one key, as they lie in memory."""
        return self._cells[self.row_of.get(key, self.other)]

    def put(self, keys: list[str], into: Floats) -> None:
        """The constants of ``keys[n]`` into ``into[:n]``."""
        get, other = self.row_of.get, self.other
        into[: len(keys)] = self.values[[get(key, other) for key in keys]]


def _side(manifest: Manifest, entities: Entities | None) -> Side | None:
    if not manifest.side:
        return None
    if entities is None or entities.columns != manifest.side:
        raise ModelUnusable("the constants of its entities are not those of its manifest")
    values = np.frombuffer(entities.values, "<f4").reshape(len(entities.keys), -1)
    if values.shape[1] != len(manifest.side) or not entities.keys or entities.keys[-1]:
        raise ModelUnusable("the constants of its entities have another shape, or no last row")
    return Side(values, {key: i for i, key in enumerate(entities.keys)})


def _answer(manifest: Manifest) -> Tensor:
    return next(tensor for tensor in manifest.outputs if tensor.name == ANSWER)


def _check(manifest: Manifest, columns_max: int) -> None:
    """What the door cannot know. Raises ModelUnusable."""
    if manifest.catalogue != catalogue_hash() and manifest.features:
        raise ModelUnusable("it was trained on another catalogue of features: train it again")
    known = BY_ENTITY.get(manifest.entity, {})
    missing = [name for name in manifest.features if name not in known]
    if missing:
        raise ModelUnusable(f"no such features: {', '.join(missing)}")
    if not 0 < len(manifest.columns) <= columns_max:
        raise ModelUnusable(f"{len(manifest.columns)} columns; at most {columns_max} are kept")
    answer = next((t for t in manifest.outputs if t.name == ANSWER), None)
    if answer is None or answer.shape[1:] != [len(manifest.columns)]:
        raise ModelUnusable(f"its output {ANSWER} has not one column for each of its columns")


def _bound(value: float | None, unbounded: float) -> float:
    return unbounded if value is None else float(np.float32(value))
