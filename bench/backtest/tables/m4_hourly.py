"""M4's hourly series and their test set -> one panel, the test set its last 48 columns.

Series differ in length: NaN before their first value, so that all end together. They have no dates:
``days`` counts hours from 0.
Source: Makridakis, Spiliotis & Assimakopoulos, The M4 Competition, IJF 36 (2020).
"""

from pathlib import Path

import numpy as np

from bench.backtest.tables import files
from trainer.panel import Panel

HORIZON = 48
PERIOD = 24


def read(data: Path) -> Panel:
    """Panel with ``units``; AssertionError when both files do not name the same series."""
    (train,), (test,) = (
        files.find(data, "m4_hourly", "train"),
        files.find(data, "m4_hourly", "test"),
    )
    _, names, history = files.wide(train)
    _, names_test, after = files.wide(test)
    assert names == names_test, "train and test hold other series"
    assert after.shape[1] == HORIZON, after.shape
    width = history.shape[1]
    length = (~np.isnan(history)).sum(axis=1)
    column = np.arange(width)[None] - (width - length)[:, None]
    aligned = np.where(
        column >= 0, np.take_along_axis(history, np.maximum(column, 0), axis=1), np.nan
    )
    units = np.hstack([aligned, after]).astype(np.float32)
    return Panel(names, np.arange(units.shape[1]), {"units": units}, period=PERIOD)
