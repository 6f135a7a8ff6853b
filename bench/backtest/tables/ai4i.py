"""UCI AI4I 2020: 10,000 machine states and whether the machine failed, without what gives it away.

The five columns of failure modes (TWF, HDF, PWF, OSF, RNF) are the answer in other words: left out,
as are the row's number and the product's serial number.
Source: Matzka, Explainable Artificial Intelligence for Predictive Maintenance Applications (2020);
CC BY 4.0.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.backtest.tables import files

MEASURED = {
    "Air temperature [K]": "air_k",
    "Process temperature [K]": "process_k",
    "Rotational speed [rpm]": "speed_rpm",
    "Torque [Nm]": "torque_nm",
    "Tool wear [min]": "tool_wear_min",
}
GRADES = ("L", "M", "H")
FAILED = "Machine failure"


@dataclass(frozen=True, slots=True)
class States:
    """n machine states."""

    names: list[str]
    """Of the columns of ``x``: the five measured ones, then ``grade`` 0 low to 2 high."""
    x: NDArray[np.float64]
    """float64[n, 6]"""
    failed: NDArray[np.bool_]


def read(data: Path) -> States:
    """The table."""
    raw = files.read(files.find(data, "ai4i"), (*MEASURED, "Type", FAILED))
    grade = np.array([GRADES.index(g) for g in raw["Type"].tolist()], dtype=np.float64)
    columns = [raw[name].astype(np.float64) for name in MEASURED]
    return States(
        [*MEASURED.values(), "grade"], np.stack([*columns, grade], axis=1), raw[FAILED] > 0
    )
