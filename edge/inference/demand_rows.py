"""Rows of the boosted demand model: what a class, a day ahead and the calendar look like from today.

The trainer makes its rows with the same functions, an origin at a time. No fitting, no clock. The
model answers a ratio: demand over (level x index of the day), so trees learn corrections, not sizes.
No row knows of other series: the daemon asks for a few at a time, and must see what the trainer saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.inference import demand_calendar as calendar
from edge.inference.demand_history import Drivers
from edge.inference.demand_windows import Seen, fading, look, newest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ORIGIN = (
    *("level_log", "mean_7_ratio", "mean_14_ratio", "mean_28_ratio", "mean_91_ratio"),
    *("mean_364_ratio", "deviation_28_ratio", "zero_share_28", "zero_share_91", "last_ratio"),
    *("largest_28_ratio", "observed_log", "since_demand"),
)
"""Seen from the last day of history."""
AHEAD = (
    "horizon",
    "index",
    "phase_last_ratio",
    "phase_mean_ratio",
    "lag_364_ratio",
)
"""Seen of a day ahead."""
DRIVEN: dict[str, tuple[str, ...]] = {
    "price": ("price_28_ratio", "price_91_ratio"),
    "on_rent": ("on_rent_ratio", "on_rent_28_ratio"),
    "out": ("out_last", "out_share_28", "out_share_91"),
}
"""Seen of each driver from the last day of history (``demand_history.DRIVERS``)."""

HALF_LIFE_SEASONS = 2.0
SINCE_SEASONS_MAX = 20.0
INDEX_FLOOR = 0.02
"""Days with less than this share of usual demand are closed."""


@dataclass(frozen=True, slots=True)
class View:
    """History as rows need it: ``of`` is demand over the day's index, [k, d], NaN where unknown."""

    of: Seen
    level: Floats
    period: int

    @property
    def z(self) -> Floats:
        """float64[k, d]: that demand."""
        return self.of.values


def view(y: Floats, index: Floats, period: int) -> View:
    """``y`` and ``index`` are float64[k, d], newest day last."""
    of = look(np.where(index > INDEX_FLOOR, y / np.maximum(index, INDEX_FLOOR), np.nan))
    decay = fading(y.shape[1], HALF_LIFE_SEASONS * period)
    mean = of.sums[:, -1] / np.maximum(of.counts[:, -1], 1)
    # Not a product of matrices: that would differ in the last bits with the number of rows.
    level = ((of.filled * decay).sum(axis=1) + mean) / ((of.seen * decay).sum(axis=1) + 1.0)
    return View(of, np.maximum(level, 1e-3), period)


MEAN_SEASONS = (1, 2, 4, 13, 52)


def origin(v: View) -> Floats:
    """float64[k, len(ORIGIN)]."""
    season, d = v.period, v.z.shape[1]
    short, long = min(4 * season, d), min(13 * season, d)
    seen, filled = v.of.seen[:, -short:], v.of.filled[:, -short:]
    count = np.maximum(v.of.counts[:, -1] - v.of.counts[:, d - short], 1)
    middle = (v.of.sums[:, -1] - v.of.sums[:, d - short]) / count
    gap = (filled - middle[:, None]) * seen
    spread = np.sqrt((gap * gap).sum(axis=1) / count)
    demand, days = v.of.filled > 0, v.of.counts
    none = (v.of.seen[:, -long:] > demand[:, -long:]).cumsum(axis=1)
    nothing = np.zeros(len(v.z)) if short == long else none[:, long - short - 1]
    since = np.where(
        demand.any(axis=1), np.argmax(demand[:, ::-1], axis=1), SINCE_SEASONS_MAX * season
    )
    out = np.zeros((len(v.z), len(ORIGIN)))
    out[:, 1:6] = v.of.means(tuple(n * season for n in MEAN_SEASONS))
    out[:, 6] = spread
    out[:, 9] = v.z[:, -1]
    out[:, 10] = filled.max(axis=1)
    out *= (1 / v.level)[:, None]
    out[:, 0] = np.log(v.level)
    out[:, 7] = (none[:, -1] - nothing) / count
    out[:, 8] = none[:, -1] / np.maximum(days[:, -1] - days[:, d - long], 1)
    out[:, 11] = np.log1p(days[:, -1])
    out[:, 12] = np.minimum(since / season, SINCE_SEASONS_MAX)
    return out


def driven(v: View, drivers: Drivers) -> Floats:
    """float64[k, c]: the columns ``DRIVEN`` of the drivers there are."""
    e, k = drivers.values.shape[:2]
    if not e:
        return np.zeros((k, 0))
    last = look(drivers.values[:, :, -91:].reshape(e * k, -1))
    now = newest(last.values[:, -28:]).reshape(e, k)
    month, quarter = last.means((28, 91)).T.reshape(2, e, k)
    with np.errstate(invalid="ignore", divide="ignore"):
        told = [
            column
            for i, name in enumerate(drivers.names)
            for column in _DRIVEN[name](v, now[i], month[i], quarter[i])
        ]
    columns = np.stack(told, axis=1)
    return np.where(np.isfinite(columns), columns, np.nan)


Columns = tuple[Floats, ...]


def _price(v: View, now: Floats, month: Floats, quarter: Floats) -> Columns:
    return now / month, now / quarter


def _on_rent(v: View, now: Floats, month: Floats, quarter: Floats) -> Columns:
    return now / v.level, now / month


def _out(v: View, now: Floats, month: Floats, quarter: Floats) -> Columns:
    return now, month, quarter


_DRIVEN = {"price": _price, "on_rent": _on_rent, "out": _out}


def _ahead(v: View, index: Floats, steps: Ints, phases: int, out: NDArray[np.float32]) -> None:
    """Put into float32[k, n, len(AHEAD)] the days ``steps`` (int64[n], 1 is tomorrow) after the last.

    ``index`` is float64[k, n], the indices of those days; ``phases`` the length of the profile.
    """
    d = v.z.shape[1]
    scale = (1 / v.level)[:, None]
    # the newest season's same phase, then those of the three seasons before
    back = (d - 1 + steps - phases * -(-steps // phases)) - phases * np.arange(4)[:, None]
    at = np.maximum(back, 0)
    same, there = v.of.filled[:, at], v.of.seen[:, at] & (back >= 0)
    count = there.sum(axis=1)
    mean = (same * there).sum(axis=1) / np.maximum(count, 1)
    year = 52 * 7 * (v.period if v.period == 24 else 1) if v.period in (7, 24) else v.period
    out[:, :, 0] = steps
    out[:, :, 1] = index
    out[:, :, 2] = np.where(there[:, 0], same[:, 0] * scale, np.nan)
    out[:, :, 3] = np.where(count > 0, mean * scale, np.nan)
    out[:, :, 4] = _year_ago(v.of, year, steps, v.period)


def _year_ago(z: Seen, year: int, steps: Ints, period: int) -> Floats:
    """float64[k, n]: how demand went on from this day a year ago, over the season before it."""
    k, d = z.values.shape
    if d < year + period:
        return np.full((k, len(steps)), np.nan)
    half = max(period // 2, 1)
    low = np.empty(len(steps) + 1, np.int64)
    low[1:] = d - 1 - half - year + steps
    high = low + 2 * half + 1
    low[0], high[0] = d - year - 4 * period, d - year
    low, high = (np.minimum(np.maximum(ends, 0), d) for ends in (low, high))
    sums, counts = z.between(low, high)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
        own = means[:, 1:] / means[:, :1]
    return np.where(np.isfinite(own), np.minimum(own, 10), np.nan)


def rows(
    v: View,
    index: Floats,
    steps: Ints,
    dates: Floats,
    phases: int,
    factors: Floats,
    drivers: Drivers,
) -> NDArray[np.float32]:
    """float32[k, n, f]: everything of each series and each day ahead.

    ``dates`` float64[n, c] is what the calendar says of those days (``Calendar.columns``), ``factors``
    float64[n, e] what is known of them; ``drivers`` those of the same days as ``v``.
    """
    since, driving = origin(v), driven(v, drivers)
    coming = since.shape[1] + driving.shape[1]
    dated = coming + len(AHEAD)
    given = dated + dates.shape[1]
    out = np.empty((len(v.z), len(steps), given + factors.shape[1]), np.float32)
    out[:, :, : since.shape[1]] = since[:, None]
    out[:, :, since.shape[1] : coming] = driving[:, None]
    _ahead(v, index, steps, phases, out[:, :, coming:dated])
    out[:, :, dated:given] = dates
    out[:, :, given:] = factors
    return out


def names(factors: Sequence[str], drivers: Sequence[str] = ()) -> list[str]:
    """Columns of ``rows``."""
    about = [column for name in drivers for column in DRIVEN[name]]
    return [*ORIGIN, *about, *AHEAD, *calendar.NAMES, *factors]
