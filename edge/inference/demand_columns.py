"""What an answer about demand tells, column by column; the same of a model and of who stands in for it.

No forecasts here. Means of 91 days, quantiles of 28, then mean and quantiles of 13 weeks.
"""

import numpy as np
from numpy.typing import NDArray

from edge.inference.manifest import Column

HORIZON_DAYS = 91
DAILY_QUANTILE_DAYS = 28
WEEKS = HORIZON_DAYS // 7
LEVELS = (0.1, 0.5, 0.9)


def columns() -> list[Column]:
    """Of ``y``, in its order."""
    days = [_column(f"units_day_{d}", d, None) for d in range(1, HORIZON_DAYS + 1)]
    narrow = [
        _column(f"units_day_{d}_p{q * 100:.0f}", d, q)
        for d in range(1, DAILY_QUANTILE_DAYS + 1)
        for q in LEVELS
    ]
    weeks = [_column(f"units_week_{w}", 7 * w, None) for w in range(1, WEEKS + 1)]
    wide = [
        _column(f"units_week_{w}_p{q * 100:.0f}", 7 * w, q)
        for w in range(1, WEEKS + 1)
        for q in LEVELS
    ]
    return [*days, *narrow, *weeks, *wide]


def _column(name: str, days: int, level: float | None) -> Column:
    return Column(name=name, unit="units", horizon_days=days, quantile=level, lowest=0.0)


def joined(
    days: NDArray[np.floating],
    narrow: NDArray[np.floating],
    weeks: NDArray[np.floating],
    wide: NDArray[np.floating],
) -> NDArray[np.floating]:
    """[n, len(columns())] from [n, 91], [n, 28, 3], [n, 13] and [n, 13, 3]."""
    n = len(days)
    return np.concatenate([days, narrow.reshape(n, -1), weeks, wide.reshape(n, -1)], axis=1)
