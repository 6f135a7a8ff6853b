"""Monthly demand of spare parts, most months without any -> one panel, a column a month.

``days`` counts months since 1970-01. A part is NaN where the table says nothing of it: before it
was stocked or after it was given up.
Source: Hyndman, Koehler, Ord & Snyder, Forecasting with Exponential Smoothing (2008), chapter 16.
"""

from pathlib import Path

import numpy as np

from bench.backtest.tables import files
from trainer.panel import Panel

PERIOD = 12


def read(data: Path) -> Panel:
    """Panel with ``units``."""
    (path,) = files.find(data, "carparts")
    months, parts, units = files.wide(path)
    first = np.array(months, dtype="datetime64[M]").astype(np.int64)
    assert (np.diff(first) == 1).all(), "months are missing or out of order"
    return Panel(parts, first, {"units": units.astype(np.float32)}, period=PERIOD)
