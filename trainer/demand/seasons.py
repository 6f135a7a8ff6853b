"""The calendar's index of each series: how its weekday (hour, month) and its holidays weigh.

Indices multiply a level and average 1 over a season. A series' own profile is shrunk towards the
panel's by as much as its noise deserves. No levels, no forecasts. Arrays are float64[k, d].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.inference.demand_calendar import Calendar

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HALF_LIFE_SEASONS = 13.0
CLOSED = 0.01


@dataclass(frozen=True, slots=True)
class Seasons:
    """``profile`` float64[k, p]: index of each phase; ``calendar`` knows the holidays' shares."""

    profile: Floats
    calendar: Calendar

    @property
    def phases(self) -> int:
        """Length of the profile."""
        return int(self.profile.shape[1])

    def index(self, moments: Ints) -> Floats:
        """float64[k, n]: index of each series on each of the observations."""
        phase = self.calendar.phase(moments, self.phases)
        return self.profile[:, phase] * self.calendar.shares(moments)


def phases_of(period: int, days: int) -> int:
    """Length of the profile: an hourly series with three weeks behind it has a week of hours."""
    if period == 24 and days >= 3 * 168:
        return 168
    return period


def local_level(y: Floats, width: int) -> Floats:
    """Mean of the ``width`` observations round each, so that a trend is not taken for a season."""
    k, d = y.shape
    seen = ~np.isnan(y)
    sums = np.concatenate([np.zeros((k, 1)), np.where(seen, y, 0).cumsum(axis=1)], axis=1)
    counts = np.concatenate([np.zeros((k, 1)), seen.cumsum(axis=1)], axis=1)
    low = np.clip(np.arange(d) - width // 2, 0, max(d - width, 0))
    high = np.minimum(low + width, d)
    count = counts[:, high] - counts[:, low]
    return np.asarray((sums[:, high] - sums[:, low]) / np.maximum(count, 1))


def fit(y: Floats, moments: Ints, calendar: Calendar, phases: int) -> Seasons:
    """Profile and holiday shares from all of ``y``, recent seasons weighing more."""
    ordinary = calendar.shares(moments) == 1
    known = ~np.isnan(y) & ordinary[None] & ~closed_days(y, phases)[None]
    profile = _profile(np.where(known, y, np.nan), moments % phases, phases)
    return Seasons(profile, _closing(y, profile, moments, calendar))


def closed_days(y: Floats, phases: int) -> NDArray[np.bool_]:
    """bool[d]: nobody sold anything although usually somebody does: the shop was closed."""
    if len(y) < 5:
        return np.zeros(y.shape[1], bool)
    total = np.nansum(y, axis=0)
    phase = np.arange(y.shape[1]) % phases
    usual = np.array([np.median(total[phase == p]) for p in range(phases)])
    return np.asarray((total == 0) & (usual[phase] > 0))


def _profile(y: Floats, phase: Ints, phases: int) -> Floats:
    k, d = y.shape
    level = local_level(y, 4 * phases + 1)
    seen = ~np.isnan(y) & (level > 0)
    weight = 0.5 ** (np.arange(d)[::-1] / (HALF_LIFE_SEASONS * phases)) * seen
    onto = np.eye(phases)[phase]
    share = np.where(seen, y, 0.0) / np.where(level > 0, level, 1.0)
    # A series counts by its level: a burst of a rare class says little of weekdays.
    total = (weight * share) @ onto
    count = weight @ onto
    raw = (total + 0.0) / np.maximum(count, 1e-9)
    spread = np.where(seen, (share - raw[:, phase]) ** 2, 0).sum(axis=1) / np.maximum(
        seen.sum(axis=1), 1
    )
    noise = np.minimum(spread[:, None], 25.0) / np.maximum((weight**0.5) @ onto * 0.7, 0.5)
    trust = 1 / (noise + 0.05)
    if k >= 5:
        common = (np.where(count > 0, raw, 0) * trust).sum(axis=0) / np.maximum(
            (trust * (count > 0)).sum(axis=0), 1e-9
        )
        between = max(float((((raw - common) ** 2 - noise) * trust).sum() / trust.sum()), 0.005)
    else:
        common, between = np.ones(phases), 0.25
    weight_own = np.where(count > 0, between / (between + noise), 0.0)
    profile = weight_own * raw + (1 - weight_own) * common
    shut = common < CLOSED
    profile = np.where(shut[None], 0.0, profile)
    return np.asarray(
        np.maximum(profile, 0) / np.maximum(profile.mean(axis=1, keepdims=True), 1e-9)
    )


def _closing(y: Floats, profile: Floats, moments: Ints, calendar: Calendar) -> Calendar:
    """The share of usual demand on holidays: all of them together, then each day of the year."""
    shares = np.ones(len(calendar.holidays))
    if not calendar.dated or not len(calendar.holidays):
        return calendar
    phases = profile.shape[1]
    index = profile[:, moments % phases]
    holiday = np.isin(calendar.day(moments), calendar.holidays)
    if not holiday.any():
        return Calendar(calendar.period, calendar.holidays, shares)
    usual = np.where(holiday[None], np.nan, y / np.where(index > 0.05, index, np.nan))
    expected = np.nansum(local_level(usual, 4 * phases + 1) * index * ~np.isnan(y), axis=0)
    actual = np.nansum(y, axis=0)
    one = max(float(expected.mean()) * calendar.period / 7, 1e-9)
    common = (actual[holiday].sum() + one) / (expected[holiday].sum() + one)
    name = _date_key(calendar.holidays)
    when = _date_key(calendar.day(moments))
    for key in np.unique(name):
        mine = holiday & (when == key)
        own = (actual[mine].sum() + 0.5 * one * common) / (expected[mine].sum() + 0.5 * one)
        shares[name == key] = own
    shares = np.clip(np.where(shares < 0.08, 0.0, shares), 0.0, 3.0)
    return Calendar(calendar.period, calendar.holidays, shares)


def _date_key(days: Ints) -> Ints:
    date = days.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    return np.asarray(month.astype(np.int64) % 12 * 32 + (date - month).astype(np.int64))
