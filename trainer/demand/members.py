"""The ladder: every member's forecast of every series from one origin. No weights, no quantiles."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.inference import demand_history, demand_rows, demand_states, demand_windows
from edge.inference.demand import WINDOW_DAYS
from edge.inference.demand_calendar import Calendar
from edge.inference.demand_history import Drivers
from edge.inference.demand_states import Member, State
from trainer.demand import seasons, states
from trainer.demand.seasons import Seasons

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STATE_NAMES = ("smoothing", "seasonal_smoothing", "theta", "arima")
NAMES = (*demand_windows.NAMES, *STATE_NAMES, "boosted")
"""Of a series with one season; see ``names``."""
LONG = ("short_seasonal_naive", "long_seasonal_smoothing")
"""More members where the profile is longer than the period: hours of a day within a week."""
OWN_SEASON = (False, True, False, False, True)
"""Which state-space members bring a season of their own and are not divided by the profile's."""


def names(fitted: Seasons) -> tuple[str, ...]:
    """What the rows of forecasts are called, in order."""
    if fitted.phases == fitted.calendar.period:
        return NAMES
    return (*demand_windows.NAMES, LONG[0], *STATE_NAMES, LONG[1], "boosted")


@dataclass(frozen=True, slots=True)
class Series:
    """Demand of k series: ``y`` float64[k, d] with NaN where not observed, ``moments`` int64[d]."""

    y: Floats
    moments: Ints
    period: int
    drivers: Drivers = field(default_factory=lambda: demand_history.none(0, 0))
    """Of the same series and days; without any names: none is known."""

    def upto(self, days: int) -> "Series":
        """The first so many observations."""
        return Series(self.y[:, :days], self.moments[:days], self.period, self.drivers.upto(days))

    def lately(self) -> "Series":
        """What rows and members without a fit look at: of days, as the daemon keeps them."""
        look = window(self.period)
        y, drivers = self.y[:, -look:], self.drivers.last(look)
        if not drivers.names:
            drivers = demand_history.none(*y.shape)
        if self.period == 7:
            y, drivers = demand_history.lately(y, drivers)
        return Series(y, self.moments[-look:], self.period, drivers)

    def ahead(self, horizon: int) -> Ints:
        """int64[h]: the observations after the last."""
        return np.asarray(self.moments[-1] + 1 + np.arange(horizon))


@dataclass(frozen=True, slots=True)
class StateMembers:
    """The state-space members, fitted at ``days``, and their states there."""

    days: int
    scale: Floats
    seasons: Seasons
    members: list[Member]
    states: list[State]


def indices(fitted: Seasons, own_season: bool, moments: Ints) -> Floats:
    """float64[k, n]: what a member divides by; one with a season of its own only by holidays."""
    if own_season:
        shares = fitted.calendar.shares(moments)
        return np.broadcast_to(shares, (len(fitted.profile), len(moments)))
    return fitted.index(moments)


def fit(series: Series, calendar: Calendar, phases: int) -> StateMembers:
    """Fit them all on the whole of ``series``."""
    y, moments, period = series.y, series.moments, series.period
    profile = seasons.fit(y, moments, calendar, phases)
    scale = np.maximum(demand_windows.mean_of(y, 1.0), 1e-3)
    shut = seasons.closed_days(y, profile.phases)
    flat = _adjusted(y, profile.index(moments), scale, shut)
    own = _adjusted(y, indices(profile, True, moments), scale, shut)
    fits = [
        states.smoothing(flat, period, states.SMOOTHING),
        states.smoothing(own, period, states.SEASONAL),
        states.theta(flat, period),
        states.arma(flat, period),
    ]
    if profile.phases != period:
        fits.append(states.smoothing(own, profile.phases, states.SEASONAL))
    return StateMembers(
        y.shape[1], scale, profile, [member for member, _ in fits], [state for _, state in fits]
    )


def _adjusted(y: Floats, index: Floats, scale: Floats, shut: NDArray[np.bool_]) -> Floats:
    usable = (index > 0.02) & ~shut[None]
    return np.where(usable, y / np.where(usable, index, 1.0) / scale[:, None], np.nan)


def rolled(fitted: StateMembers, series: Series) -> StateMembers:
    """The same parameters, the states rolled on to the end of ``series``."""
    since = fitted.days
    if series.y.shape[1] == since:
        return fitted
    y, moments = series.y[:, since:] / fitted.scale[:, None], series.moments[since:]
    shut = seasons.closed_days(series.y, fitted.seasons.phases)[since:]
    y = np.where(shut[None], np.nan, y)
    after = [
        demand_states.roll(member, state, y, indices(fitted.seasons, OWN_SEASON[i], moments))
        for i, (member, state) in enumerate(zip(fitted.members, fitted.states, strict=True))
    ]
    return StateMembers(series.y.shape[1], fitted.scale, fitted.seasons, fitted.members, after)


def paths(fitted: StateMembers, moments: Ints) -> Floats:
    """float64[s, k, h]: forecasts of the observations ``moments`` after the states' last."""
    return np.stack(
        [
            demand_states.path(member, state, indices(fitted.seasons, OWN_SEASON[i], moments))
            * fitted.scale[:, None]
            for i, (member, state) in enumerate(zip(fitted.members, fitted.states, strict=True))
        ]
    )


def window_paths(series: Series, fitted: Seasons, horizon: int) -> Floats:
    """float64[w, k, h]: the members that need no fit, closed on holidays."""
    recent = series.lately()
    y, moments = recent.y, recent.moments
    later = series.ahead(horizon)
    z = demand_rows.view(y, fitted.index(moments), series.period).of
    paths = demand_windows.forecasts(y, z, fitted.index(later), series.period, fitted.phases)
    shares = fitted.calendar.shares(later)
    paths[:4] *= shares
    if fitted.phases != series.period:
        short = demand_windows.seasonal_naive(y, horizon, series.period)
        paths = np.concatenate([paths, np.nan_to_num(short)[None] * shares])
    return paths


def window(period: int) -> int:
    """Observations that rows and members without a fit look back: the closed days the daemon keeps."""
    return {7: WINDOW_DAYS - 1, 24: 24 * WINDOW_DAYS}.get(period, 60)
