"""Forecasts that need nothing but the last days of history. No fitting, no state, no clock.

The trainer's backtests and the daemon call the same functions, so a forecast made at night and one
made at the counter agree. Arrays are float64[k, d]: k series, d days, the newest day last; NaN is a
day that was not observed (the class did not exist yet, or its stock had run out).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NAMES = ("naive", "seasonal_naive", "average", "profile", "croston", "sba", "tsb", "yearly")
"""Rows of what ``forecasts`` answers, in order."""

PROFILE_SEASONS = 8
"""Seasons the profile and the average look back."""


def flat(level: Floats, horizon: int) -> Floats:
    """float64[k, h]: the same value every day."""
    return np.repeat(level[:, None], horizon, axis=1)


def newest(y: Floats) -> Floats:
    """float64[k]: the newest observed value of each series; NaN without any."""
    seen = ~np.isnan(y)
    last = y.shape[1] - 1 - np.argmax(seen[:, ::-1], axis=1)
    return np.asarray(y[np.arange(len(y)), last])


def mean_of(y: Floats, empty: float = np.nan) -> Floats:
    """float64[k]: mean of what was observed; ``empty`` where nothing was."""
    seen = ~np.isnan(y)
    count = seen.sum(axis=1)
    total = np.where(seen, y, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), empty)


def by_phase(y: Floats, period: int, seasons: int) -> Floats:
    """float64[k, seasons, period]: the newest seasons, oldest first, NaN where history is shorter."""
    need = seasons * period
    k, d = y.shape
    if d < need:
        y = np.concatenate([np.full((k, need - d), np.nan), y], axis=1)
    return np.asarray(y[:, y.shape[1] - need :].reshape(k, seasons, period))


def ahead(phases: Floats, horizon: int) -> Floats:
    """float64[k, h]: a value a phase, repeated season after season; phase 0 is tomorrow's."""
    period = phases.shape[1]
    return np.asarray(phases[:, np.arange(horizon) % period])


def naive(y: Floats, horizon: int) -> Floats:
    """The newest value, every day."""
    return flat(newest(y), horizon)


def seasonal_naive(y: Floats, horizon: int, period: int) -> Floats:
    """The newest observed value of the same phase, up to four seasons ago; else the average."""
    seasons = by_phase(y, period, 4)
    k = len(y)
    out = newest(seasons.transpose(0, 2, 1).reshape(k * period, 4)).reshape(k, period)
    out = np.where(np.isnan(out), mean_of(y)[:, None], out)
    return ahead(out, horizon)


def average(y: Floats, horizon: int, period: int) -> Floats:
    """The mean of the newest seasons."""
    recent = mean_of(y[:, -PROFILE_SEASONS * period :])
    return flat(np.where(np.isnan(recent), mean_of(y), recent), horizon)


def profile(y: Floats, horizon: int, period: int) -> Floats:
    """The mean of the same phase (such as the day of the week) over the newest seasons.

    Shrunk towards the average by one season's worth of it, so that short series are calm.
    """
    seasons = by_phase(y, period, PROFILE_SEASONS)
    seen = ~np.isnan(seasons)
    count = seen.sum(axis=1)
    total = np.where(seen, seasons, 0.0).sum(axis=1)
    overall = average(y, 1, period)
    return ahead((total + 0.5 * overall) / (count + 0.5), horizon)


def intermittent(y: Floats, horizon: int, alpha: float) -> tuple[Floats, Floats, Floats]:
    """Croston's method, Syntetos and Boylan's correction, and Teunter, Syntetos and Babai's.

    All by weights instead of recursions: an exponentially smoothed mean of the demands is a weighted
    sum with weight (1 - alpha) to the number of demands after. Days not observed are left out.
    Source: Croston (1972), Syntetos & Boylan (2005), Teunter, Syntetos & Babai (2011).
    """
    keep = 1.0 - alpha
    seen = ~np.isnan(y)
    demand = seen & (np.nan_to_num(y) > 0)
    after = demand[:, ::-1].cumsum(axis=1)[:, ::-1] - demand  # demands after each day
    first = demand & (demand.cumsum(axis=1) == 1)
    weight = np.where(demand, keep**after * np.where(first, 1.0, alpha), 0.0)
    size = (weight * np.nan_to_num(y)).sum(axis=1)
    # Days since the demand before (the first counts from the start of what was observed).
    clock = seen.cumsum(axis=1)
    before = np.maximum.accumulate(np.where(demand, clock, 0), axis=1)
    gap = clock - np.concatenate([np.zeros((len(y), 1)), before[:, :-1]], axis=1)
    interval = (weight * gap).sum(axis=1)
    croston = np.where(interval > 0, size / np.where(interval > 0, interval, 1.0), 0.0)
    later = seen[:, ::-1].cumsum(axis=1)[:, ::-1] - seen
    share = np.where(seen, keep**later * np.where(clock == 1, 1.0, alpha), 0.0)
    tsb = (share * demand).sum(axis=1) * size
    return (
        flat(croston, horizon),
        flat(croston * (1 - alpha / 2), horizon),
        flat(tsb, horizon),
    )


def yearly(z: Floats, horizon: int, period: int) -> Floats:
    """The newest two seasons' level, going on as it did a year ago; flat without a year behind it.

    The ratio (three weeks round the same day a year ago, over the four seasons before it) is the
    series' own, shrunk towards 1 as by two days at the present level and by ``FAITH_UNITS``, or rare
    series would follow chance: no series knows of another, so that the daemon may ask for a few at a
    time. ``z`` is adjusted for the calendar.
    """
    recent = _smoothed(z, period)
    year = YEAR_DAYS * (24 if period == 24 else 1)
    d = z.shape[1]
    back, reach = 4 * period, 10 if period == 7 else period
    if period not in (7, 24) or d < year + back:
        return flat(recent, horizon)
    seen = ~np.isnan(z)
    zero = np.zeros((len(z), 1))
    sums = np.concatenate([zero, np.where(seen, z, 0.0).cumsum(axis=1)], axis=1)
    days = np.concatenate([zero, seen.cumsum(axis=1)], axis=1)
    centre = d + np.arange(horizon) - year
    low, high = np.clip(centre - reach, 0, d), np.clip(centre + reach + 1, 0, d)
    then, count = sums[:, high] - sums[:, low], days[:, high] - days[:, low]
    base = (sums[:, d - year] - sums[:, d - year - back])[:, None]
    base_count = (days[:, d - year] - days[:, d - year - back])[:, None]
    whole = (base_count > back / 2) & (count > 0)
    rate = np.where(whole, base / np.maximum(base_count, 1), 0.0)
    faith = (2.0 * np.maximum(recent, 1e-9) + FAITH_UNITS)[:, None]
    own = (then * whole + faith) / (rate * count * whole + faith)
    return np.asarray(recent[:, None] * np.clip(own, 0.4, 2.5) ** 0.6)


YEAR_DAYS = 364
FAITH_UNITS = 8.0


def has_year(z: Floats, period: int) -> NDArray[np.bool_]:
    """bool[k]: whether a series was known a year and four seasons ago, so that ``yearly`` can tell."""
    k, d = z.shape
    need = YEAR_DAYS * (24 if period == 24 else 1) + 4 * period
    if period not in (7, 24) or d < need:
        return np.zeros(k, np.bool_)
    return np.asarray((~np.isnan(z[:, : d - need + 1])).any(axis=1))


def _smoothed(z: Floats, period: int) -> Floats:
    """float64[k]: exponentially weighted mean with a half-life of one season."""
    decay = 0.5 ** (np.arange(z.shape[1])[::-1] / period)
    seen = ~np.isnan(z)
    long = mean_of(z, 0.0)
    return np.asarray((np.where(seen, z, 0.0) @ decay + long) / (seen @ decay + 1.0))


def forecasts(
    y: Floats, z: Floats, index: Floats, period: int, phases: int, alpha: float = 0.1
) -> Floats:
    """float64[len(NAMES), k, h]; a series without any observation gets zeros.

    ``z`` is ``y`` adjusted for the calendar, ``index`` float64[k, h] that of the days ahead.
    """
    horizon = index.shape[1]
    rows = [
        naive(y, horizon),
        seasonal_naive(y, horizon, phases),
        average(y, horizon, phases),
        profile(y, horizon, phases),
        *(path * index for path in intermittent(z, horizon, alpha)),
        yearly(z, horizon, period) * index,
    ]
    return np.nan_to_num(np.stack(rows))
