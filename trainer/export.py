"""A fitted model becomes a folder that the door lets in, or nothing. No fitting.

``write_artifact`` writes model, constants, golden rows and manifest into ``<root>/<service>/<version>``
and compares the ONNX answers with Python's on every golden row; ``publish`` signs such a folder and
puts it where the daemon looks. Both are all or nothing: a folder appears finished or not at all.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import Rfid3Error
from edge.features.catalog import catalogue_hash
from edge.inference import door_check, door_run, keys
from edge.inference.door import Limits, Refused
from edge.inference.drift import Bins, bins_of
from edge.inference.manifest import (
    ENTITIES,
    GOLDEN,
    MANIFEST,
    MODEL,
    SIGNATURE,
    Column,
    Entities,
    Entity,
    File,
    Golden,
    Manifest,
    Service,
    Tensor,
    Training,
    encode_manifest,
)

Floats = NDArray[np.float32]
Predict = Callable[[dict[str, Floats]], NDArray[Any]]

GOLDEN_ROWS_MIN = 64
LIBRARIES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "scipy")


class ExportRefused(Rfid3Error):
    """The model is not written: its ONNX answers are not Python's, or the door would refuse it."""


@dataclass(frozen=True)
class Side:
    """Constants of entities, fed as ``s``: float32[k + 1, c], the last row for everybody else."""

    columns: list[str]
    keys: list[str]
    """As the state names them; an empty key is added when the last is not."""
    values: Floats


@dataclass(frozen=True, kw_only=True)
class Exportable:
    """A fitted model and everything its manifest says. ``n`` rows, ``f`` features, ``o`` columns."""

    service: Service
    kind: str
    entity: Entity
    onnx_bytes: bytes
    features: Sequence[str]
    columns: Sequence[Column]
    training: Training
    golden_inputs: Mapping[str, Floats]
    """At least 64 rows, missing values (NaN) and extremes among them."""
    predict: Predict
    """Python's answer: inputs by name -> [n, o]."""
    side: Side | None = None
    offsets: int = 0
    inputs: Sequence[Tensor] = ()
    """Only where they are not ``x``, ``s`` and ``offset`` as the fields above tell."""
    outputs: Sequence[Tensor] = ()
    """Only where there are more than ``y``; ``predict`` then gives the answers by name."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    hyperparameters: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    importances: Mapping[str, float] = field(default_factory=dict)
    calibration: Sequence[tuple[float, float, int]] = ()
    feature_quantiles: Mapping[str, Sequence[float]] = field(default_factory=dict)
    output_quantiles: Mapping[str, Sequence[float]] = field(default_factory=dict)
    feature_bins: Mapping[str, Bins] = field(default_factory=dict)
    """For the drift test (``binned``)."""
    output_bins: Mapping[str, Bins] = field(default_factory=dict)
    notes: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """A service's own constants: whatever JSON can hold."""
    tolerance: float = 1e-4
    """Largest difference from Python, relative to max(1, |value|)."""


def write_artifact(
    root: Path,
    fitted: Exportable,
    *,
    created_at: datetime | None = None,
    limits: Limits | None = None,
) -> Path:
    """``<root>/<service>/<version>``, unsigned. Raises ExportRefused; nothing is left then."""
    moment = (created_at or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    digest = hashlib.sha256(fitted.onnx_bytes).hexdigest()
    name = f"{moment.strftime('%Y%m%dT%H%M%SZ')}-{digest[:8]}"
    content = _content(fitted)
    content[MANIFEST] = encode_manifest(_manifest(fitted, name, moment, content))
    with _staged(root / fitted.service / name) as folder:
        for file, data in content.items():
            _write(folder / file, data)
        try:
            door_check.sound(folder, limits or Limits())
        except Refused as refused:
            raise ExportRefused(
                f"{fitted.service}: the model is not written: {refused.detail} "
                f"[{refused.reason}, {refused.where}]"
            ) from refused
    return root / fitted.service / name


def publish(folder: Path, models: Path, key: keys.Key) -> Path:
    """Sign a copy of the folder and let it appear in ``models/<service>/<version>``.

    Raises FileExistsError when this version is there already.
    """
    with _staged(models / folder.parent.name / folder.name) as made:
        for path in sorted(folder.iterdir()):
            if path.name != SIGNATURE:
                _write(made / path.name, path.read_bytes())
        _write(made / SIGNATURE, keys.sign((made / MANIFEST).read_bytes(), key))
    return models / folder.parent.name / folder.name


def golden_rows(x: Floats, rows: int = 96, seed: int = 0) -> Floats:
    """float32[rows + 2·k, f] out of real rows: some of them as they are, some with values missing,
    and for each feature (at most 16, the widest first) the rows of its least and largest value; last
    a row with nothing known.
    """
    random = np.random.default_rng(seed)
    chosen = x[random.choice(len(x), rows, replace=len(x) < rows)].astype(np.float32)
    holes = random.random(chosen.shape) < 0.2
    holes[: rows // 2] = False
    chosen[holes] = np.nan
    filled = np.where(np.isnan(x), 0.0, x)
    widest = np.argsort(-np.ptp(filled, axis=0))[:16]
    ends = np.concatenate([filled[:, widest].argmin(axis=0), filled[:, widest].argmax(axis=0)])
    nothing = np.full((1, x.shape[1]), np.nan, np.float32)
    return np.ascontiguousarray(np.concatenate([chosen, x[ends], nothing]), np.float32)


def quantiles21(x: NDArray[Any], names: Sequence[str]) -> dict[str, list[float]]:
    """For the manifest: each column's values at the levels 0, 0.05 … 1, missing ones left out."""
    levels = np.linspace(0.0, 1.0, 21)
    seen = {name: x[:, i][np.isfinite(x[:, i])] for i, name in enumerate(names)}
    return {
        name: np.quantile(values, levels).tolist() for name, values in seen.items() if len(values)
    }


def binned(x: NDArray[Any], names: Sequence[str]) -> dict[str, Bins]:
    """For the manifest: each column's training values as counts."""
    return {name: bins_of(np.asarray(x[:, i], np.float64)) for i, name in enumerate(names)}


# --- the parts of a folder ---------------------------------------------------------------------------


def _tensors(fitted: Exportable) -> tuple[list[Tensor], list[Tensor]]:
    shapes: list[tuple[str, int, list[str | int]]] = [
        ("x", len(fitted.features), ["n", len(fitted.features)]),
        ("s", len(fitted.side.columns) if fitted.side else 0, []),
        ("offset", fitted.offsets, [fitted.offsets]),
    ]
    usual = [
        Tensor(name=name, shape=shape or ["n", size]) for name, size, shape in shapes if size > 0
    ]
    y = Tensor(name="y", shape=["n", len(fitted.columns)])
    return list(fitted.inputs) or usual, list(fitted.outputs) or [y]


def _content(fitted: Exportable) -> dict[str, bytes]:
    content = {MODEL: fitted.onnx_bytes, GOLDEN: msgspec.msgpack.encode(_golden(fitted))}
    if fitted.side is not None:
        content[ENTITIES] = msgspec.msgpack.encode(_entities(fitted.side))
    return content


def _entities(side: Side) -> Entities:
    assert side.values.shape == (len(side.keys), len(side.columns)), side.values.shape
    assert side.keys[-1] == "", "the last key is empty: the row for everybody else"
    return Entities(
        keys=list(side.keys),
        columns=list(side.columns),
        values=np.ascontiguousarray(side.values, "<f4").tobytes(),
    )


def _golden(fitted: Exportable) -> Golden:
    """Python's answers, after ONNX gave the same. Raises ExportRefused."""
    inputs, outputs = _tensors(fitted)
    held = {
        name: np.ascontiguousarray(values, np.float32)
        for name, values in fitted.golden_inputs.items()
    }
    rows = next(len(held[t.name]) for t in inputs if t.shape and t.shape[0] == "n")
    if rows < GOLDEN_ROWS_MIN:
        raise ExportRefused(f"{fitted.service}: {rows} golden rows; at least {GOLDEN_ROWS_MIN}")
    answers = fitted.predict({name: values.copy() for name, values in held.items()})
    named = answers if isinstance(answers, dict) else {"y": answers}
    told = {name: np.asarray(values, np.float32) for name, values in named.items()}
    _compare(fitted, held, told, outputs)
    return Golden(
        rows=rows,
        inputs={name: values.astype("<f4").tobytes() for name, values in held.items()},
        outputs={
            name: np.ascontiguousarray(values, "<f4").tobytes() for name, values in told.items()
        },
        tolerance=fitted.tolerance,
    )


def _compare(
    fitted: Exportable, held: dict[str, Floats], told: dict[str, Floats], outputs: list[Tensor]
) -> None:
    """ONNX against Python. Raises ExportRefused and names the worst row with its inputs."""
    try:
        given = door_run.run(door_run.load(fitted.onnx_bytes), outputs, held, "golden rows")
    except Refused as refused:
        raise ExportRefused(f"{fitted.service}: ONNX does not run: {refused.detail}") from refused
    for name, expected in told.items():
        values = given[name]
        if values.shape != expected.shape:
            raise ExportRefused(
                f"{fitted.service}: ONNX gives {name} of shape {values.shape}, "
                f"Python {expected.shape}"
            )
        error = np.nan_to_num(door_run.relative(values, expected), nan=np.inf)
        if error.size == 0 or error.max() <= fitted.tolerance:
            continue
        row, *rest = (int(i) for i in np.unravel_index(int(error.argmax()), error.shape))
        wrong = int((error.reshape(len(error), -1).max(axis=1) > fitted.tolerance).sum())
        raise ExportRefused(
            f"{fitted.service}: ONNX and Python differ in {wrong} of {len(error)} golden rows; worst "
            f"row {row}: {name}{rest} is {values[(row, *rest)]:.7g}, Python says "
            f"{expected[(row, *rest)]:.7g} (allowed {fitted.tolerance:g}); its inputs: "
            f"{_row(fitted, held, row)}"
        )


def _row(fitted: Exportable, held: dict[str, Floats], row: int) -> str:
    x = held.get("x")
    if x is None:
        return ", ".join(sorted(held))
    return ", ".join(
        f"{name}={value:.6g}" for name, value in zip(fitted.features, x[row].tolist(), strict=False)
    )


def _manifest(
    fitted: Exportable, name: str, moment: datetime, content: dict[str, bytes]
) -> Manifest:
    inputs, outputs = _tensors(fitted)
    return Manifest(
        service=fitted.service,
        version=name,
        kind=fitted.kind,
        entity=fitted.entity,
        created_at=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        catalogue=catalogue_hash(),
        features=list(fitted.features),
        side=list(fitted.side.columns) if fitted.side else [],
        inputs=inputs,
        outputs=outputs,
        columns=list(fitted.columns),
        offsets=fitted.offsets,
        training=fitted.training,
        metrics=dict(fitted.metrics),
        baselines={name: dict(values) for name, values in fitted.baselines.items()},
        hyperparameters=dict(fitted.hyperparameters),
        importances=dict(fitted.importances),
        calibration=list(fitted.calibration),
        feature_quantiles={name: list(v) for name, v in fitted.feature_quantiles.items()},
        output_quantiles={name: list(v) for name, v in fitted.output_quantiles.items()},
        feature_bins=dict(fitted.feature_bins),
        output_bins=dict(fitted.output_bins),
        libraries=dict(_libraries()),
        notes=fitted.notes,
        extra={name: msgspec.Raw(msgspec.json.encode(v)) for name, v in fitted.extra.items()},
        files=[
            File(name=file, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            for file, data in content.items()
        ],
    )


def _libraries() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


# --- folders that appear at once ---------------------------------------------------------------------


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """A folder beside ``target`` that takes its name when all went well, and else is gone."""
    if target.exists():
        raise FileExistsError(f"{target} is there already: a version is never written twice")
    target.parent.mkdir(parents=True, exist_ok=True)
    # The folder has its final name from the start: the door asks whether both agree.
    scratch = target.parent / f".{secrets.token_hex(4)}" / target.parent.name / target.name
    scratch.mkdir(parents=True)
    try:
        yield scratch
        _flush(scratch)
        try:
            scratch.rename(target)
        except OSError as error:  # somebody else was faster
            if target.exists():
                raise FileExistsError(f"{target} is there already") from error
            raise
        _flush(target.parent)
    finally:
        shutil.rmtree(scratch.parent.parent, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
