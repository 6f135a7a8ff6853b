"""100 machines: errors, failures, replacements, and hourly telemetry of some -> plain columns.

Moments are hours since 1970-01-01 00:00 of the table's own clock. Features and labels are the
trainer's business.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.backtest.tables import files

Ints = NDArray[np.int64]
SENSORS = ("volt", "rotate", "pressure", "vibration")


@dataclass(frozen=True, slots=True)
class Happenings:
    """Errors, failures or replacements, sorted by hour; all of length n."""

    hour: Ints
    machine: Ints
    what: list[str]
    """``error1`` … or ``comp1`` …"""


@dataclass(frozen=True, slots=True)
class Machines:
    """Everything in the folder."""

    machine: Ints
    model: list[str]
    age_years: NDArray[np.float64]
    errors: Happenings
    failures: Happenings
    replacements: Happenings
    """Planned ones, and those after a failure of the same component and hour."""
    telemetry_hour: Ints
    telemetry_machine: Ints
    telemetry: NDArray[np.float64]
    """float64[n, 4], columns :data:`SENSORS`; no rows where the folder has no telemetry."""


def read(data: Path) -> Machines:
    """All files of the table."""
    about = files.read(files.find(data, "machine_maintenance", "^machines"),
                       ("machineID", "model", "age"))  # fmt: skip
    return Machines(
        about["machineID"].astype(np.int64),
        about["model"].tolist(),
        about["age"].astype(np.float64),
        _happenings(data, "^errors", "errorID"),
        _happenings(data, "^failures", "failure"),
        _happenings(data, "^maint", "comp"),
        *_telemetry(data),
    )


def _happenings(data: Path, pattern: str, column: str) -> Happenings:
    found = files.find(data, "machine_maintenance", pattern)
    raw = files.read(found, ("datetime", "machineID", column))
    hour = files.hours(raw["datetime"])
    order = np.argsort(hour, kind="stable")
    return Happenings(
        hour[order], raw["machineID"][order].astype(np.int64), raw[column][order].tolist()
    )


def _telemetry(data: Path) -> tuple[Ints, Ints, NDArray[np.float64]]:
    try:
        paths = files.find(data, "machine_maintenance", "^telemetry")
    except files.TableMissing:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, len(SENSORS)))
    raw: dict[str, NDArray[Any]] = files.read(paths, ("datetime", "machineID", *SENSORS))
    values = np.stack([raw[name] for name in SENSORS], axis=1).astype(np.float64)
    return files.hours(raw["datetime"]), raw["machineID"].astype(np.int64), values
