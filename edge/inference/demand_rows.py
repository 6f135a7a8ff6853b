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
from edge.inference.demand_windows import newest

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
    """History as rows need it: ``z`` [k, d] is demand over the day's index, NaN where unknown."""

    z: Floats
    level: Floats
    period: int


def view(y: Floats, index: Floats, period: int) -> View:
    """``y`` and ``index`` are float64[k, d], newest day last."""
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(index > INDEX_FLOOR, y / np.maximum(index, INDEX_FLOOR), np.nan)
    d = z.shape[1]
    decay = 0.5 ** (np.arange(d)[::-1] / (HALF_LIFE_SEASONS * period))
    seen = ~np.isnan(z)
    filled = np.where(seen, z, 0.0)
    mean = filled.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    # Not a product of matrices: that would differ in the last bits with the number of rows.
    level = ((filled * decay).sum(axis=1) + mean) / ((seen * decay).sum(axis=1) + 1.0)
    return View(z, np.maximum(level, 1e-3), period)


def _mean(z: Floats, days: int) -> Floats:
    part = z[:, -days:]
    seen = ~np.isnan(part)
    count = seen.sum(axis=1)
    total = np.where(seen, part, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def origin(v: View) -> Floats:
    """float64[k, len(ORIGIN)]."""
    z, level, season = v.z, v.level, v.period
    scale = 1 / level
    recent = z[:, -4 * season :]
    seen = ~np.isnan(recent)
    filled = np.where(seen, recent, 0.0)
    count = np.maximum(seen.sum(axis=1), 1)
    middle = filled.sum(axis=1) / count
    spread = np.sqrt(np.where(seen, (recent - middle[:, None]) ** 2, 0).sum(axis=1) / count)
    demand = np.nan_to_num(z) > 0
    none = ~demand.any(axis=1)
    since = np.where(none, SINCE_SEASONS_MAX * season, np.argmax(demand[:, ::-1], axis=1))
    last = recent[:, -1]
    return np.stack(
        [
            np.log(level),
            *(_mean(z, n * season) * scale for n in (1, 2, 4, 13, 52)),
            spread * scale,
            np.where(seen, recent == 0, 0).sum(axis=1) / count,
            (z[:, -13 * season :] == 0).sum(axis=1)
            / np.maximum((~np.isnan(z[:, -13 * season :])).sum(axis=1), 1),
            last * scale,
            filled.max(axis=1) * scale,
            np.log1p((~np.isnan(z)).sum(axis=1)),
            np.minimum(since / season, SINCE_SEASONS_MAX),
        ],
        axis=1,
    )


def driven(v: View, drivers: Drivers) -> Floats:
    """float64[k, c]: the columns ``DRIVEN`` of the drivers there are."""
    told: list[Floats] = [np.zeros((0, len(v.z)))]
    for name, values in zip(drivers.names, drivers.values, strict=True):
        with np.errstate(invalid="ignore", divide="ignore"):
            columns = _DRIVEN[name](v, newest(values[:, -28:]), _mean(values, 28), values)
        told.append(np.where(np.isfinite(columns), columns, np.nan))
    return np.concatenate(told).T


def _price(v: View, now: Floats, month: Floats, values: Floats) -> Floats:
    return np.stack([now / month, now / _mean(values, 91)])


def _on_rent(v: View, now: Floats, month: Floats, values: Floats) -> Floats:
    return np.stack([now / v.level, now / month])


def _out(v: View, now: Floats, month: Floats, values: Floats) -> Floats:
    return np.stack([now, month, _mean(values, 91)])


_DRIVEN = {"price": _price, "on_rent": _on_rent, "out": _out}


def ahead(v: View, index: Floats, steps: Ints, phases: int) -> Floats:
    """float64[k, n, len(AHEAD)] of the days ``steps`` (int64[n], 1 is tomorrow) after the last.

    ``index`` is float64[k, n], the indices of those days; ``phases`` the length of the profile.
    """
    z, k, n = v.z, len(v.z), len(steps)
    d = z.shape[1]
    scale = (1 / v.level)[:, None]
    back = d - 1 + steps[None] - phases * np.ceil(steps / phases).astype(np.int64)[None]
    same = np.stack([_at(z, (back - phases * i)[0]) for i in range(4)])
    known = ~np.isnan(same)
    mean = np.where(known, same, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    year = 52 * 7 * (v.period if v.period == 24 else 1) if v.period in (7, 24) else v.period
    return np.stack(
        [
            np.broadcast_to(steps[None].astype(np.float64), (k, n)),
            index,
            same[0] * scale,
            np.where(known.any(axis=0), mean, np.nan) * scale,
            _year_ago(z, year, steps, v.period),
        ],
        axis=2,
    )


def _at(z: Floats, columns: Ints) -> Floats:
    out = z[:, np.maximum(columns, 0)]
    return np.where(columns >= 0, out, np.nan)


def _year_ago(z: Floats, year: int, steps: Ints, period: int) -> Floats:
    """float64[k, n]: how demand went on from this day a year ago, over the season before it."""
    k, d = z.shape
    if d < year + period:
        return np.full((k, len(steps)), np.nan)
    seen = ~np.isnan(z)
    sums = np.concatenate([np.zeros((k, 1)), np.where(seen, z, 0).cumsum(axis=1)], axis=1)
    counts = np.concatenate([np.zeros((k, 1)), seen.cumsum(axis=1)], axis=1)
    half = max(period // 2, 1)
    centre = d - 1 + steps - year
    low = np.clip(centre - half, 0, d)
    high = np.clip(centre + half + 1, 0, d)
    base_high = d - year
    base_low = max(base_high - 4 * period, 0)
    base = sums[:, base_high] - sums[:, base_low]
    base_count = counts[:, base_high] - counts[:, base_low]
    then = sums[:, high] - sums[:, low]
    then_count = counts[:, high] - counts[:, low]
    with np.errstate(invalid="ignore", divide="ignore"):
        own = (then / then_count) / (base / base_count)[:, None]
    return np.where(np.isfinite(own), np.minimum(own, 10), np.nan)


def rows(
    v: View,
    index: Floats,
    steps: Ints,
    moments: Ints,
    dates: calendar.Calendar,
    phases: int,
    factors: Floats,
    drivers: Drivers,
) -> NDArray[np.float32]:
    """float32[k, n, f]: everything of each series and each day ahead.

    ``moments`` int64[n] are the observations ahead, ``factors`` float64[n, e] what is known of them;
    ``drivers`` those of the same days as ``v``.
    """
    k, n = len(v.z), len(steps)
    since = np.concatenate([origin(v), driven(v, drivers)], axis=1)
    parts = [
        np.broadcast_to(since[:, None], (k, n, since.shape[1])),
        ahead(v, index, steps, phases),
        np.broadcast_to(dates.columns(moments)[None], (k, n, len(calendar.NAMES))),
        np.broadcast_to(factors[None], (k, n, factors.shape[1])),
    ]
    return np.concatenate(parts, axis=2).astype(np.float32)


def names(factors: Sequence[str], drivers: Sequence[str] = ()) -> list[str]:
    """Columns of ``rows``."""
    about = [column for name in drivers for column in DRIVEN[name]]
    return [*ORIGIN, *about, *AHEAD, *calendar.NAMES, *factors]
