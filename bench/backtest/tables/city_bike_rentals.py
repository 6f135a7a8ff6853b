"""Rentals of individually identified bicycles -> rentals by station and day, or hour.

A station exists from its first rental on: NaN before. Months of which the table holds nothing are
unknown, NaN for every station: nobody knows what was rented then. Stations are named by their id.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.backtest.tables import files
from trainer.panel import Panel

COLUMNS = ("starttime", "startstationid")


def read(data: Path, period: int = 7) -> Panel:
    """Panel with ``units`` by day (``period`` 7) or by hour (24)."""
    assert period in (7, 24), period
    raw = files.read(files.find(data, "city_bike_rentals"), COLUMNS)
    return rentals(raw["starttime"].astype("datetime64[s]"), raw["startstationid"], period)


def rentals(started: NDArray[np.datetime64], station: NDArray[np.int64], period: int) -> Panel:
    """Count them. ``started`` in local time."""
    step = files.days(started) if period == 7 else files.hours(started)
    ids, row = np.unique(station, return_inverse=True)
    steps = np.arange(step.min(), step.max() + 1)
    units = np.zeros((len(ids), len(steps)))
    np.add.at(units, (row, step - step.min()), 1)
    begun = np.maximum.accumulate(units > 0, axis=1)
    unit = "D" if period == 7 else "h"
    months = steps.astype(f"datetime64[{unit}]").astype("datetime64[M]")
    known = np.isin(months, np.unique(started.astype("datetime64[M]")))
    return Panel(
        [str(i) for i in ids.tolist()],
        steps.astype(np.int64),
        {"units": np.where(begun & known, units, np.nan).astype(np.float32)},
        period=period,
    )  # fmt: skip


def spans(panel: Panel) -> list[tuple[int, int]]:
    """(first, last + 1) column of every run of columns in which something is known."""
    known = np.append(~np.isnan(panel.measures["units"]).all(axis=0), False)
    edges = np.flatnonzero(np.diff(known.astype(np.int8), prepend=0))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
