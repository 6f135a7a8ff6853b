"""Weights of the members, from how they did at earlier origins. No forecasts made here.

Weights of the whole panel first, sharply by how much worse a member is than the best; each series
then leans a little to the members that served it, as far as it has days to tell. Arrays: float64[m, k, n] forecasts of m
members, k series, n past days ahead; NaN in the actuals is not scored.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHARP_ONE, SHARP_TENFOLD = 4.0, 2.0
"""How sharply weights follow relative errors: of one series, and more for each tenfold of series."""
DOUBTS = {"naive": 0.6, "average": 0.3, "yearly": 0.4}
"""Log of error that a single series' own folds are not believed about a member that is right by luck

there: the newest value, a mean without a season, and the one year ago that there is. It fades with
the square root of the number of series.
"""


YEARLY_SHARE = 0.4
"""Of a series with a year behind it, so much of the weights is the yearly member's before any fold is
looked at: in the folds it was seldom the season that mattered, or there was no year behind them yet."""


def with_year(
    weights: Floats, has_year: NDArray[np.bool_], names: Sequence[str], told: bool = False
) -> Floats:
    """float64[k, m]: ``weights`` with the yearly member's own share in them.

    ``told``: something of the days ahead is known, such as the weather. What the boosted member, who
    looks at it, has earned then is left to it: the folds did show what it is worth.
    """
    if "yearly" not in names:
        return weights
    only = np.arange(len(names)) == names.index("yearly")
    kept = weights * (np.array([name == "boosted" for name in names]) & told)
    free = 1 - kept.sum(axis=1, keepdims=True)
    share = np.where(has_year, YEARLY_SHARE, 0.0)[:, None]
    return np.asarray(kept + (1 - share) * (weights - kept) + share * free * only)


def scales(actual: Floats) -> Floats:
    """float64[k]: usual size of a series' days, for errors to be compared across series."""
    seen = ~np.isnan(actual)
    square = np.where(seen, actual, 0.0) ** 2
    return np.asarray(np.sqrt(square.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)) + 1e-3)


def weights(
    forecasts: Floats, actual: Floats, recency: Floats, names: Sequence[str] = ()
) -> Floats:
    """float64[k, m]: weights of each series, each row adding up to 1.

    ``recency`` float64[n] is how much each past day counts. Past days stand in the order of time.
    ``names`` are the members', for ``DOUBTS``.
    """
    k, _n = actual.shape
    everything = _relative(forecasts, actual, recency)
    # A series without any demand in the folds says nothing: whoever forecasts nothing is perfect.
    telling = (np.nan_to_num(actual) > 0).any(axis=1)
    everything = np.where(telling, everything, 0.0)
    common = everything.sum(axis=1, keepdims=True) / max(int(telling.sum()), 1)
    everything = np.where(telling, everything, common)
    if names:
        doubt = np.array([DOUBTS.get(name, 0.0) for name in names])[:, None] / np.sqrt(k)
        common, everything = common + doubt, everything + doubt
    sharp = SHARP_ONE + SHARP_TENFOLD * np.log10(k)
    trust = _persistence(forecasts, actual) if k >= 5 else 0.0
    own = np.clip(everything - common, -2, 2)
    score = sharp * (common - common.min()) + (SHARP_ONE + sharp * trust) * trust * own
    w = np.exp(-(score - score.min(axis=0)))
    return np.asarray((w / w.sum(axis=0)).T)


def _relative(forecasts: Floats, actual: Floats, recency: Floats) -> Floats:
    """float64[m, k]: log of each member's squared error over the members' mean; 0: unknown."""
    seen = ~np.isnan(actual)
    scored = np.where(seen, recency[None], 0.0)
    scale = scales(actual)[:, None]
    error = np.where(seen[None], forecasts - actual[None], 0.0) / scale
    days = scored.sum(axis=1)
    own = np.einsum("mkn,mkn,kn->mk", error, error, scored) / np.maximum(days, 1e-9)
    relative = np.log(own / np.maximum(own.mean(axis=0), 1e-9) + 0.001)
    return np.where(days > 0, relative, 0.0)


def _persistence(forecasts: Floats, actual: Floats) -> float:
    """How far a series' own favourites stay so: correlation of early and late leanings, 0 to 1."""
    half = actual.shape[1] // 2
    if half < 2:
        return 0.0
    even = np.ones(half)
    early = _relative(forecasts[..., :half], actual[:, :half], even)
    late = _relative(forecasts[..., -half:], actual[:, -half:], even)
    early -= early.mean(axis=1, keepdims=True)
    late -= late.mean(axis=1, keepdims=True)
    size = np.sqrt((early**2).sum() * (late**2).sum())
    found = float((early * late).sum() / size) if size > 0 else 0.0
    return float(np.clip(2 * found / (1 + found), 0, 1)) if found > 0 else 0.0
