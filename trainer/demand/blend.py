"""Weights of the members, from how they did at earlier origins. No forecasts made here.

Weights of the whole panel first, sharply by how much worse a member is than the best; each series
then leans a little to the members that served it, as far as it has days to tell. Arrays: float64[m, k, n] forecasts of m
members, k series, n past days ahead; NaN in the actuals is not scored.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAN = 1.0
SHARP = 10.0
"""A member 10 % worse than another over the panel gets exp(-1) of its weight."""
SHRINK_ERRORS = 60.0


def scales(actual: Floats) -> Floats:
    """float64[k]: usual size of a series' days, for errors to be compared across series."""
    seen = ~np.isnan(actual)
    square = np.where(seen, actual, 0.0) ** 2
    return np.sqrt(square.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)) + 1e-3


def weights(forecasts: Floats, actual: Floats, recency: Floats) -> Floats:
    """float64[k, m]: weights of each series, each row adding up to 1.

    ``recency`` float64[n] is how much each past day counts.
    """
    seen = ~np.isnan(actual)
    scale = scales(actual)[:, None]
    scored = np.where(seen, recency[None], 0.0)
    error = np.where(seen[None], forecasts - actual[None], 0.0) / scale
    own = np.einsum("mkn,mkn,kn->mk", error, error, scored) / np.maximum(scored.sum(axis=1), 1e-9)
    relative = np.log(own + 1e-9) - np.log(own.mean(axis=0) + 1e-9)
    everybody = relative.mean(axis=1, keepdims=True)
    common = np.exp(-SHARP * (everybody - everybody.min()))
    count = seen.sum(axis=1)
    trust = count / (count + SHRINK_ERRORS)
    lean = np.clip(relative - everybody, -1, 1)
    w = common * np.exp(-LEAN * trust[None] * lean)
    return np.asarray((w / w.sum(axis=0)).T)
