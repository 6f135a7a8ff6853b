"""Forecasts that need nothing but the last days of history. No fitting, no state, no clock.

The trainer's backtests and the daemon call the same functions, so a forecast made at night and one
made at the counter agree. Arrays are float64[k, d]: k series, d days, the newest day last; NaN is a
day that was not observed (the class did not exist yet, or its stock had run out).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NAMES = ("naive", "seasonal_naive", "average", "profile", "croston", "sba", "tsb", "yearly")
"""Rows of what ``forecasts`` answers, in order."""

PROFILE_SEASONS = 8
"""Seasons the profile and the average look back."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Days as sums need them, looked at once: for one class a call of numpy costs more than its numbers.

    ``values`` float64[k, d] with NaN, ``seen`` bool[k, d], ``filled`` with 0 for NaN, and of the days
    before each ``sums`` and ``counts`` float64[k, d + 1].
    """

    values: Floats
    seen: Bools
    filled: Floats
    sums: Floats
    counts: Floats

    def between(self, first: Ints, last: Ints) -> tuple[Floats, Floats]:
        """float64[k, n] each: sum and number of what was seen from day ``first`` to before ``last``."""
        return (
            self.sums[:, last] - self.sums[:, first],
            self.counts[:, last] - self.counts[:, first],
        )

    def means(self, days: tuple[int, ...]) -> Floats:
        """float64[k, len(days)]: means of the newest so many days; NaN where nothing was seen."""
        first = _before(self.values.shape[1], days)
        total = self.sums[:, -1:] - self.sums[:, first]
        count = self.counts[:, -1:] - self.counts[:, first]
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@lru_cache(maxsize=64)
def _before(end: int, days: tuple[int, ...]) -> Ints:
    return np.asarray(np.maximum(end - np.array(days), 0))


def look(values: Floats) -> Seen:
    """``values`` float64[k, d], newest day last."""
    k, d = values.shape
    seen = ~np.isnan(values)
    filled = np.where(seen, values, 0.0)
    sums, counts = np.zeros((2, k, d + 1))
    filled.cumsum(axis=1, out=sums[:, 1:])
    seen.cumsum(axis=1, out=counts[:, 1:])
    return Seen(values, seen, filled, sums, counts)


@lru_cache(maxsize=16)
def fading(days: int, half_life: float) -> Floats:
    """float64[d]: 1 for the newest day, half of it ``half_life`` days before. Do not write into it."""
    return np.asarray(0.5 ** (np.arange(days)[::-1] / half_life))


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


def seasonal_naive(y: Floats, horizon: int, period: int) -> Floats:
    """The newest observed value of the same phase, up to four seasons ago; else the average."""
    return ahead(_last_of_phase(look(y), period), horizon)


def _last_of_phase(y: Seen, period: int) -> Floats:
    """float64[k, period], tomorrow's phase first."""
    seasons = by_phase(y.values, period, 4)
    out, *earlier = seasons[:, ::-1].swapaxes(0, 1)
    for values in earlier:
        out = np.where(np.isnan(out), values, out)
    return np.where(np.isnan(out), y.sums[:, -1:] / np.maximum(y.counts[:, -1:], 1), out)


def _average(y: Seen, period: int) -> Floats:
    """float64[k, 1]: the mean of the newest seasons."""
    means = y.means((PROFILE_SEASONS * period, y.values.shape[1]))
    return np.where(np.isnan(means[:, :1]), means[:, 1:], means[:, :1])


def _profile(y: Seen, average: Floats, period: int) -> Floats:
    """float64[k, period]: the mean of the same phase (such as the day of the week) over the newest
    seasons, tomorrow's first; shrunk towards the average by half a season's worth of it, so that short
    series are calm."""
    need = PROFILE_SEASONS * period
    if y.values.shape[1] < need:
        y = look(by_phase(y.values, period, PROFILE_SEASONS).reshape(len(y.values), need))
    shape = len(y.values), PROFILE_SEASONS, period
    count = y.seen[:, -need:].reshape(shape).sum(axis=1)
    total = y.filled[:, -need:].reshape(shape).sum(axis=1)
    return np.asarray((total + 0.5 * average) / (count + 0.5))


def intermittent(y: Floats, horizon: int, alpha: float) -> tuple[Floats, Floats, Floats]:
    """Croston's method, Syntetos and Boylan's correction, and Teunter, Syntetos and Babai's.

    All by weights instead of recursions: an exponentially smoothed mean of the demands is a weighted
    sum with weight (1 - alpha) to the number of demands after. Days not observed are left out.
    Source: Croston (1972), Syntetos & Boylan (2005), Teunter, Syntetos & Babai (2011).
    """
    croston, sba, tsb = (flat(level, horizon) for level in _rates(look(y), alpha).T)
    return croston, sba, tsb


def _rates(y: Seen, alpha: float) -> Floats:
    """float64[k, 3]: units a day, see ``intermittent``."""
    powers = _powers(y.values.shape[1] + 1, 1.0 - alpha)
    demand = y.filled > 0
    rank, clock = demand.cumsum(axis=1), y.seen.cumsum(axis=1)
    weight = powers[rank[:, -1:] - rank] * np.where(rank == 1, 1.0, alpha) * demand
    size = (weight * y.filled).sum(axis=1)
    # Days since the demand before (the first counts from the start of what was observed).
    gap = clock.copy()
    gap[:, 1:] -= np.maximum.accumulate(clock * demand, axis=1)[:, :-1]
    interval = (weight * gap).sum(axis=1)
    croston = np.where(interval > 0, size / np.where(interval > 0, interval, 1.0), 0.0)
    share = powers[clock[:, -1:] - clock] * np.where(clock == 1, 1.0, alpha) * demand
    return np.stack([croston, croston * (1 - alpha / 2), share.sum(axis=1) * size], axis=1)


@lru_cache(maxsize=16)
def _powers(count: int, keep: float) -> Floats:
    return np.asarray(keep ** np.arange(count))


def yearly(z: Floats, horizon: int, period: int) -> Floats:
    """The newest two seasons' level, going on as it did a year ago; flat without a year behind it.

    The ratio (three weeks round the same day a year ago, over the four seasons before it) is the
    series' own, shrunk towards 1 as by two days at the present level and by ``FAITH_UNITS``, or rare
    series would follow chance: no series knows of another, so that the daemon may ask for a few at a
    time. ``z`` is adjusted for the calendar.
    """
    return _yearly(look(z), horizon, period)


def _yearly(z: Seen, horizon: int, period: int) -> Floats:
    recent = _smoothed(z, period)[:, None]
    year = YEAR_DAYS * (24 if period == 24 else 1)
    d = z.values.shape[1]
    back, reach = 4 * period, 10 if period == 7 else period
    if period not in (7, 24) or d < year + back:
        return np.repeat(recent, horizon, axis=1)
    total, days = z.between(*_year_before(d, horizon, back, reach, year))
    base, base_count, then, count = total[:, :1], days[:, :1], total[:, 1:], days[:, 1:]
    whole = (base_count > back / 2) & (count > 0)
    rate = np.where(whole, base / np.maximum(base_count, 1), 0.0)
    faith = 2.0 * np.maximum(recent, 1e-9) + FAITH_UNITS
    own = (then * whole + faith) / (rate * count * whole + faith)
    return np.asarray(recent * np.minimum(np.maximum(own, 0.4), 2.5) ** 0.6)


@lru_cache(maxsize=16)
def _year_before(days: int, horizon: int, back: int, reach: int, year: int) -> tuple[Ints, Ints]:
    """int64[horizon + 1] each, first days and those after the last: the seasons before this day a year
    ago, then ``reach`` days either side of each of the days ahead, a year ago."""
    low = np.arange(-1, horizon) + (days - year - reach)
    high = low + 2 * reach + 1
    low[0], high[0] = days - year - back, days - year
    return np.clip(low, 0, days), np.clip(high, 0, days)


YEAR_DAYS = 364
FAITH_UNITS = 8.0


def has_year(z: Floats, period: int) -> NDArray[np.bool_]:
    """bool[k]: whether a series was known a year and four seasons ago, so that ``yearly`` can tell."""
    k, d = z.shape
    need = YEAR_DAYS * (24 if period == 24 else 1) + 4 * period
    if period not in (7, 24) or d < need:
        return np.zeros(k, np.bool_)
    return np.asarray((~np.isnan(z[:, : d - need + 1])).any(axis=1))


def _smoothed(z: Seen, period: int) -> Floats:
    """float64[k]: exponentially weighted mean with a half-life of one season.

    Not a product of matrices: that would differ in the last bits with the number of rows.
    """
    decay = fading(z.values.shape[1], period)
    long = z.sums[:, -1] / np.maximum(z.counts[:, -1], 1)
    return np.asarray(
        ((z.filled * decay).sum(axis=1) + long) / ((z.seen * decay).sum(axis=1) + 1.0)
    )


def forecasts(
    y: Floats, z: "Floats | Seen", index: Floats, period: int, phases: int, alpha: float = 0.1
) -> Floats:
    """float64[len(NAMES), k, h]; a series without any observation gets zeros.

    ``z`` is ``y`` adjusted for the calendar, ``index`` float64[k, h] that of the days ahead.
    """
    known, adjusted = look(y), z if isinstance(z, Seen) else look(z)
    horizon = index.shape[1]
    out = np.empty((len(NAMES), *index.shape))
    average = _average(known, phases)
    cycle = np.arange(horizon) % phases
    out[0] = newest(y)[:, None]
    out[1] = _last_of_phase(known, phases)[:, cycle]
    out[2] = average
    out[3] = _profile(known, average, phases)[:, cycle]
    np.multiply(_rates(adjusted, alpha).T[:, :, None], index, out=out[4:7])
    np.multiply(_yearly(adjusted, horizon, period), index, out=out[7])
    np.copyto(out, 0.0, where=np.isnan(out))
    return out
