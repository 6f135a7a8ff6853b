"""A model is written when ONNX answers as Python does, and not at all otherwise."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.inference import door, keys
from edge.inference.door import Limits
from edge.inference.manifest import MANIFEST, decode_manifest
from tests.hostile.originals import FEATURES, MADE_AT, linear, rows, trees
from trainer.export import (
    Exportable,
    ExportRefused,
    golden_rows,
    publish,
    quantiles21,
    write_artifact,
)

X = rows()


@pytest.mark.parametrize("make", [linear, trees])
def test_a_published_model_passes_the_door(
    tmp_path: Path, make: Callable[[NDArray[np.float32]], Exportable]
) -> None:
    made = make(X)
    written = write_artifact(tmp_path / "out", made, created_at=MADE_AT)
    assert written.parent.name == made.service
    assert written.name.startswith("20260301T020000Z-")
    key = keys.machine_key(tmp_path / "keys")
    folder = publish(written, tmp_path / "models", key)
    verdict = door.inspect(folder, tmp_path / "keys" / keys.TRUSTED, Limits())
    assert verdict.ok, verdict
    told = verdict.manifest
    assert told is not None
    assert told.features == FEATURES
    assert told.libraries["onnx"]
    assert told.extra == {k: msgspec.Raw(msgspec.json.encode(v)) for k, v in made.extra.items()}


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_artifact(tmp_path / n, linear(X), created_at=MADE_AT) for n in "ab")
    assert {p.name: p.read_bytes() for p in first.iterdir()} == {
        p.name: p.read_bytes() for p in second.iterdir()
    }


def test_the_moment_of_the_version_is_utc(tmp_path: Path) -> None:
    local = datetime.fromisoformat("2026-03-01T04:00:00+02:00")
    folder = write_artifact(tmp_path, linear(X), created_at=local)
    assert folder.name.startswith("20260301T020000Z-")
    told = decode_manifest((folder / MANIFEST).read_bytes())
    assert datetime.fromisoformat(told.created_at) == local.astimezone(UTC)


def left(root: Path) -> list[str]:
    return [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]


def test_a_difference_names_the_worst_row_and_leaves_nothing(tmp_path: Path) -> None:
    made = linear(X)

    def otherwise(inputs: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        y = np.array(made.predict(inputs))
        y[7] += 0.02
        y[11] += 0.3
        return y

    with pytest.raises(ExportRefused, match=r"2 of \d+ golden rows; worst row 11: .*reads_5m="):
        write_artifact(tmp_path, dataclasses.replace(made, predict=otherwise))
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"golden_inputs": {"x": X[:20], "s": X[:20, :1]}}, "20 golden rows"),
        ({"features": [*FEATURES[:-1], "none_such"]}, "none_such"),
        ({"onnx_bytes": b"noise"}, "does not run"),
        ({"predict": lambda inputs: np.full((len(inputs["x"]), 1), np.nan)}, "differ in"),
        ({"predict": lambda inputs: np.zeros((len(inputs["x"]), 2))}, "shape"),
    ],
)
def test_what_the_door_would_refuse_is_not_written(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    with pytest.raises(ExportRefused, match=said):
        write_artifact(tmp_path, dataclasses.replace(linear(X), **change))
    assert left(tmp_path) == []


def test_golden_rows_without_a_missing_value_are_not_enough(tmp_path: Path) -> None:
    made = linear(X)
    whole = {name: np.nan_to_num(values) for name, values in made.golden_inputs.items()}
    with pytest.raises(ExportRefused, match="missing value"):
        write_artifact(tmp_path, dataclasses.replace(made, golden_inputs=whole))


def test_a_version_is_never_written_twice(tmp_path: Path) -> None:
    write_artifact(tmp_path, linear(X), created_at=MADE_AT)
    with pytest.raises(FileExistsError):
        write_artifact(tmp_path, linear(X), created_at=MADE_AT)


def test_golden_rows_hold_real_rows_holes_and_extremes() -> None:
    golden = golden_rows(X)
    assert golden.shape == (96 + 2 * len(FEATURES) + 1, len(FEATURES))
    assert np.isnan(golden[-1]).all()
    known = np.nan_to_num(X)
    for column in range(len(FEATURES)):
        assert known[:, column].max() in golden[:, column]
        assert (np.nan_to_num(golden[:, column]) == known[:, column].min()).any()


def test_quantiles_leave_missing_values_out() -> None:
    told = quantiles21(np.array([[0.0, np.nan], [10.0, np.nan], [np.nan, np.nan]]), ["a", "b"])
    assert list(told) == ["a"]
    assert told["a"][10] == 5.0
    assert len(told["a"]) == 21
