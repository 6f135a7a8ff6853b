"""Hass avocados: weekly mean price and volume by city and kind -> columns for price response.

Regions that sum up others are left out (``TotalUS`` and the like); a series is a city and a kind.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.backtest.tables import files

SUMS = frozenset({"California", "Great Lakes", "GreatLakes", "Midsouth", "Northeast",
                  "Northern New England", "NorthernNewEngland", "Plains", "South Central",
                  "SouthCentral", "Southeast", "Total U.S.", "TotalUS", "West",
                  "West Tex/New Mexico", "WestTexNewMexico"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prices:
    """A row a week and series; all of length n, sorted by series, then day."""

    series: list[str]
    """``<city>|<kind>`` of each row."""
    category: list[str]
    """``conventional`` or ``organic``."""
    day: NDArray[np.int64]
    """Days since 1970-01-01 of the week's end."""
    price_cents: NDArray[np.float64]
    units: NDArray[np.float64]


def read(data: Path, sums: bool = False) -> Prices:
    """All weeks; ``sums``: with the regions that sum up others."""
    raw = files.read(
        files.find(data, "avocado"), ("date", "average_price", "total_volume", "type", "geography")
    )
    kept = np.array([sums or place not in SUMS for place in raw["geography"].tolist()])
    place, kind = raw["geography"][kept].tolist(), raw["type"][kept].tolist()
    names = np.array([f"{p}|{k}" for p, k in zip(place, kind, strict=True)])
    day = files.days(raw["date"][kept])
    order = np.lexsort((day, names))
    return Prices(
        names[order].tolist(),
        [kind[i] for i in order.tolist()],
        day[order],
        raw["average_price"][kept][order].astype(np.float64) * 100,
        raw["total_volume"][kept][order].astype(np.float64),
    )
