"""What a model says of itself: ``manifest.json`` of ``models/<service>/<version>/``. No model code.

The manifest names every other file of its folder with size and SHA-256; ``manifest.sig`` signs the
manifest's bytes, so that one signature covers all. Nothing in it is believed before that is checked
(``door.py``).
"""

import re
from collections.abc import Iterable
from typing import Literal, get_args

import msgspec
from msgspec import Struct, field

from edge.inference.drift import Bins

FORMAT = 1
"""Raised when a manifest changes its meaning; older formats are refused with the cure."""

Service = Literal["demand", "maintenance", "quality", "pricing", "inventory", "packs"]
SERVICES: tuple[Service, ...] = get_args(Service)
Entity = Literal["item", "class", "pair"]
SAME_LEVEL = 1e-6
"""Levels that differ by less are one."""

MODEL = "model.onnx"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
GOLDEN = "golden.msgpack"
ENTITIES = "entities.msgpack"


class File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the folder beside the manifest and its signature."""

    name: str
    size_bytes: int
    sha256: str
    """Hex."""


class Tensor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An input or output of the graph; all are float32."""

    name: str
    shape: list[str | int]
    """A letter for what varies (``n`` rows), a number for what does not."""


class Column(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One column of the output ``y``: float32[n, o]."""

    name: str
    unit: str
    """``1`` for probabilities and ratios."""
    horizon_days: float = 0.0
    """How far ahead it looks; 0: now."""
    quantile: float | None = None
    """Level of a quantile; ``None`` for a mean, a probability or a score."""
    lowest: float | None = None
    """No answer is below this; ``None``: unbounded."""
    highest: float | None = None


class Training(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the model learnt from."""

    data: str
    """What it was, for people: this shop's history, a simulated shop, an openly licensed table."""
    from_day: str
    """First local day, ISO 8601; empty where the data has no days."""
    to_day: str
    """Last local day: nothing after it was seen."""
    rows: int
    entities: int
    reason: Literal["schedule", "drift", "accuracy", "feedback", "asked", "starter"]
    """Why it was trained."""
    seconds: float = 0.0


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See the module's docstring. ``x`` is float32[n, f], f = ``len(features)``, NaN where missing."""

    format: int = FORMAT
    service: Service
    version: str
    """``<UTC time of training>-<first 8 hex digits of the model's SHA-256>``: sorts by time."""
    kind: str
    """Family of the model, such as ``gradient_boosting``, ``logistic``, ``state_space``."""
    entity: Entity
    created_at: str
    """RFC 3339, UTC."""
    catalogue: str
    """Hash of the feature catalogue it was trained on (``edge.features.catalog``)."""
    features: list[str]
    """Names in the catalogue, in the order of the columns of ``x``."""
    side: list[str] = []
    """Columns of ``entities.msgpack``: constants of each entity, fed as ``s``: float32[n, k]."""
    inputs: list[Tensor]
    outputs: list[Tensor]
    columns: list[Column]
    offsets: int = 0
    """Length of the input ``offset`` (conformal corrections, kept by the edge); 0: no such input."""
    training: Training
    metrics: dict[str, float] = {}
    """On data after the training span, by name (``pinball``, ``pr_auc``, …)."""
    baselines: dict[str, dict[str, float]] = {}
    """The same metrics of naive answers on the same rows: baseline -> metric -> value."""
    hyperparameters: dict[str, str | int | float | bool | None] = {}
    importances: dict[str, float] = {}
    """Feature -> share, adding up to 1."""
    calibration: list[tuple[float, float, int]] = []
    """(mean predicted, mean observed, rows) of each bin, for probabilities and quantiles."""
    feature_quantiles: dict[str, list[float]] = {}
    """Feature -> its values at 21 levels 0, 0.05 … 1 in training, for people."""
    output_quantiles: dict[str, list[float]] = {}
    """The same of each output column."""
    feature_bins: dict[str, Bins] = {}
    """Feature -> its counts in training, for the drift test (``drift.bins_of``)."""
    output_bins: dict[str, Bins] = {}
    """The same of each output column."""
    libraries: dict[str, str] = {}
    """Name -> version, as trained."""
    notes: str = ""
    """What a person should know: limits, what it refuses to say."""
    extra: dict[str, msgspec.Raw] = field(default_factory=dict)
    """A service's own constants, JSON (holidays, thresholds, candidates' weights)."""
    files: list[File]


class Golden(Struct, frozen=True, kw_only=True, array_like=True):
    """``golden.msgpack``: real rows with missing values and edges, and what Python answered."""

    rows: int
    inputs: dict[str, bytes]
    """Input name -> float32 little endian, C order, of the manifest's shape with n = ``rows``."""
    outputs: dict[str, bytes]
    tolerance: float
    """Largest absolute difference allowed, relative to max(1, |value|)."""


class Entities(Struct, frozen=True, kw_only=True, array_like=True):
    """``entities.msgpack``: a row of constants for each entity known in training."""

    keys: list[str]
    """As the state names them; the last key is empty: the row for everybody else."""
    columns: list[str]
    values: bytes
    """float32[len(keys), len(columns)], little endian, C order."""


_LEVEL = re.compile(r"_(?:[pq]\d+|low|high)$")


def stem(name: str) -> str:
    """What a column speaks of, without its level.

    >>> stem("units_week_1_p90"), stem("elasticity_low"), stem("units_week_1")
    ('units_week_1', 'elasticity', 'units_week_1')
    """
    return _LEVEL.sub("", name)


def central(levels: Iterable[float]) -> tuple[float, float] | None:
    """The widest pair of levels with the same share outside on either side; ``None``: no such pair.

    Only such a pair is an interval: between the quantiles of 50 % and 99 % lies half of the cases,
    but nobody would read it so.

    >>> central([0.1, 0.5, 0.9]), central([0.5, 0.9, 0.95, 0.99])
    ((0.1, 0.9), None)
    """
    told = sorted(levels)
    for low in told:
        for high in told:
            if low < high and abs(low + high - 1) < SAME_LEVEL:
                return low, high
    return None


QUICK = "quick"
"""In ``extra`` where the model was a quick look: a small search and small models."""


def is_quick(manifest: Manifest) -> bool:
    """Whether the model was a quick look, which nobody should be served by chance."""
    return bytes(manifest.extra.get(QUICK, b"")) == b"true"


def decode_manifest(content: bytes) -> Manifest:
    """The manifest. Raises msgspec.ValidationError naming the field that is wrong."""
    return msgspec.json.decode(content, type=Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    """Stable bytes: what is signed."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)
