"""UCI Bike Sharing: rentals of a whole city by hour with weather -> hourly or daily, one series.

Hours that the table leaves out had no rental: 0; their weather is the last known. ``factors`` are
the weather alone (temperature, felt temperature, humidity, wind: shares of the table's own scales;
``weather`` 1 clear to 4 storm); holidays are the forecaster's business.
Source: Fanaee-T & Gama, Event labeling combining ensemble detectors and background knowledge (2013);
CC BY 4.0.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.backtest.tables import files
from trainer.panel import Panel

FACTORS = {"temp": "temperature", "atemp": "felt_temperature", "hum": "humidity",
           "windspeed": "wind", "weathersit": "weather"}  # fmt: skip


def read(data: Path, period: int = 24) -> Panel:
    """Panel with ``units`` and the weather, by hour (``period`` 24) or by day (7)."""
    assert period in (7, 24), period
    raw = files.read(files.find(data, "bike_sharing"), ("dteday", "hr", "cnt", *FACTORS))
    hour = files.days(raw["dteday"]) * 24 + raw["hr"].astype(np.int64)
    first, last = hour.min() // 24 * 24, hour.max() // 24 * 24 + 24
    column = hour - first
    units = np.zeros(last - first)
    units[column] = raw["cnt"]
    factors = {}
    for name, ours in FACTORS.items():
        values = np.full(last - first, np.nan)
        values[column] = raw[name]
        factors[ours] = _carried(values)
    if period == 24:
        steps = np.arange(first, last)
        return _panel(steps, units, factors, 24)
    return _panel(
        np.arange(first // 24, last // 24),
        units.reshape(-1, 24).sum(axis=1),
        {name: values.reshape(-1, 24).mean(axis=1) for name, values in factors.items()},
        7,
    )


def _panel(
    steps: NDArray[np.int64],
    units: NDArray[np.float64],
    factors: dict[str, NDArray[np.float64]],
    period: int,
) -> Panel:
    return Panel(
        ["city"],
        steps.astype(np.int64),
        {"units": units[None].astype(np.float32)},
        factors={name: values.astype(np.float32) for name, values in factors.items()},
        period=period,
    )


def _carried(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The last known value where there is none; the first one before it."""
    known = np.flatnonzero(~np.isnan(values))
    last = np.searchsorted(known, np.arange(len(values)), side="right") - 1
    return np.asarray(values[known[np.maximum(last, 0)]], dtype=np.float64)
