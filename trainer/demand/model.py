"""Fit of the whole: members, weights from earlier origins, quantiles. No files, no ONNX."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.inference import demand_history, demand_windows
from edge.inference.demand_calendar import Calendar
from edge.inference.demand_history import Drivers
from trainer.demand import blend, boosted, members, shapes, spread
from trainer.demand.boosted import Boosted, Factors
from trainer.demand.holiday_days import holiday_days
from trainer.demand.members import Series, StateMembers
from trainer.demand.seasons import phases_of
from trainer.demand.shapes import Shape
from trainer.demand.spread import Spread
from trainer.panel import Panel

Floats = NDArray[np.float64]

ORIGINS = 6
"""Earlier origins that weights and quantiles are learnt from, at least."""
LOOKS_MAX, LOOKS_SERIES = 6, 40
"""How many more horizons few series look back, as a day of theirs tells little."""
REFIT_ORIGINS = 3
"""Those that look back further fit their ladder anew every so many origins."""
HALF_LIFE_SEASONS = 8.0
"""Of how much an earlier origin counts; for widths twice that for those that look back further."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """All members fitted on the same days."""

    states: StateMembers
    boosted: Boosted | None


@dataclass(frozen=True, slots=True)
class FittedDemand:
    """See ``forecast``; ``weights`` float64[k, m] in the order of ``members.names``."""

    series: Series
    factors: Factors
    ladder: Ladder
    weights: Floats
    spread: Spread
    week_spread: Spread
    shape: Shape

    def forecast(
        self,
        horizon: int,
        levels: Sequence[float],
        ahead: Mapping[str, NDArray[np.floating]] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean float32[k, h] and quantiles float32[k, h, q] of the observations after the panel's.

        ``ahead`` gives outside influences of those days (name -> [h]) that the panel did not.
        """
        values = _ahead(self.factors, self.series.y.shape[1], horizon, ahead or {})
        mean = combined(member_paths(self.ladder, self.series, horizon, values), self.weights)
        pooled = spread.quantiles(self.spread, mean, levels)
        own = self.shape.at(self.series.ahead(horizon) % self.shape.share.shape[1], levels)
        return mean.astype(np.float32), own.put(mean, pooled).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Past:
    """What every member foretold at earlier origins: ``paths`` float64[m, k, n], and what came.

    ``actual`` float64[k, n]; ``recency`` float64[n] how much a past day counts for weights, ``calm``
    for widths; ``fold`` int64[n] its origin.
    """

    paths: Floats
    actual: Floats
    recency: Floats
    calm: Floats
    fold: NDArray[np.int64]
    phases: int
    names: tuple[str, ...]


def _ahead(
    factors: Factors,
    days: int,
    horizon: int,
    told: Mapping[str, NDArray[np.floating]],
) -> Floats:
    """float64[h, e]: what is known of the days ahead, NaN where it is not."""
    out = np.full((horizon, len(factors.names)), np.nan)
    known = factors.values[:, days : days + horizon].T
    out[: len(known)] = known
    for i, name in enumerate(factors.names):
        if name in told:
            values = np.asarray(told[name], np.float64)[:horizon]
            out[: len(values), i] = values
    return out


def member_paths(ladder: Ladder, series: Series, horizon: int, factors: Floats) -> Floats:
    """float64[m, k, h] in the order of ``members.names``."""
    fitted = ladder.states.seasons
    now = members.rolled(ladder.states, series)
    flat = members.window_paths(series, fitted, horizon)
    linear = members.paths(now, series.ahead(horizon))
    trees = (
        boosted.path(ladder.boosted, series, fitted, horizon, factors)
        if ladder.boosted
        else linear[0]
    )
    return np.concatenate([flat, linear, trees[None]])


def combined(paths: Floats, weights: Floats) -> Floats:
    """float64[k, h]: the weighted mean of the members."""
    return np.asarray(np.einsum("mkh,km->kh", paths, weights))


@dataclass(frozen=True, slots=True)
class DemandForecaster:
    """``country`` and ``region`` choose holidays; ``horizon`` is what weights are judged by.

    Outside influences are used where they are known ahead (a weather forecast): those that run on
    after the panel's days, and those named in ``known``; others are not.
    """

    name: str = "rfid3"
    country: str = ""
    region: str | None = None
    horizon: int = 28
    known: tuple[str, ...] = ()
    with_boosted: bool = True
    seed: int = 1

    def fit(self, panel: Panel, measure: str) -> FittedDemand:
        """Fit on everything in ``panel``; nothing after it is ever seen."""
        series = series_of(panel, measure)
        factors = _factors(panel, self.known)
        calendar = self._calendar(series)
        horizon = int(min(self.horizon, max(series.y.shape[1] // 5, 1)))
        past = self._past(series, factors, calendar, horizon)
        weight = blend.weights(past.paths, past.actual, past.recency, past.names)
        year = demand_windows.has_year(series.lately().y, series.period)
        weight = blend.with_year(weight, year, past.names, bool(factors.names))
        mean = combined(past.paths, weight)
        unrest = spread.unrest(series.y, past.fold, past.calm, past.phases, horizon)
        told = mean, past.actual, past.calm, past.fold
        apart = spread.apart(*told, horizon)
        day = spread.calibrated(*told, apart, unrest)
        weeks = _weekly(*told)
        week = spread.calibrated(*weeks, spread.apart(*weeks, horizon), unrest)
        columns = past.fold + spread.steps(past.fold) - 1
        season = series.period, past.phases
        shape = shapes.fit(series.y, series.moments, season, told[:3], columns, apart)
        ladder = self._ladder(series, factors, calendar, horizon, past.phases)
        return FittedDemand(series, factors, ladder, weight, day, week, shape)

    def _past(self, series: Series, factors: Factors, calendar: Calendar, horizon: int) -> Past:
        """What earlier ladders foretold at origins after their days, and what came."""
        k, d = series.y.shape
        looks = int(np.clip(LOOKS_SERIES // max(k, 1), 1, LOOKS_MAX))
        origins = _folds(series.y, horizon, series.period, looks)
        phases = phases_of(series.period, origins[0])
        every = REFIT_ORIGINS if looks > 1 else len(origins)
        half_life = HALF_LIFE_SEASONS * series.period
        paths, actual, recency, fold = [], [], [], []
        earlier = self._ladder(
            series.upto(origins[0]), factors.upto(origins[0]), calendar, horizon, phases
        )
        for i, t in enumerate(origins):
            then = series.upto(t)
            if i and i % every == 0:
                earlier = self._ladder(then, factors.upto(t), calendar, horizon, phases)
            earlier = Ladder(members.rolled(earlier.states, then), earlier.boosted)
            reach = min(horizon, d - t)
            paths.append(member_paths(earlier, then, reach, _ahead(factors, t, reach, {})))
            actual.append(series.y[:, t : t + reach])
            recency.append(np.full(reach, 0.5 ** ((d - t - reach) / half_life)))
            fold.append(np.full(reach, t))
        return Past(
            np.concatenate(paths, axis=2),
            np.concatenate(actual, axis=1),
            np.concatenate(recency),
            np.concatenate(recency) ** (1.0 if looks == 1 else 0.5),
            np.concatenate(fold),
            phases,
            members.names(earlier.states.seasons),
        )

    def _calendar(self, series: Series) -> Calendar:
        calendar = Calendar(series.period)
        if not calendar.dated:
            return calendar
        first, last = (int(v) for v in calendar.day(series.moments[[0, -1]]))
        days = holiday_days(self.country, self.region, first - 7, last + 100)
        return replace(calendar, holidays=days, closing=np.ones(len(days)))

    def _ladder(
        self, series: Series, factors: Factors, calendar: Calendar, horizon: int, phases: int
    ) -> Ladder:
        fitted = members.fit(series, calendar, phases)
        if not self.with_boosted:
            return Ladder(fitted, None)
        trees = boosted.fit(series, fitted.seasons, factors, horizon, self.seed)
        return Ladder(fitted, trees)


def _folds(y: Floats, horizon: int, period: int, looks: int) -> list[int]:
    """The origins that judge the members; the first ladder ends at the first of them.

    Counted in days of which anything is known: a gap of months has nothing to judge by. ``looks``
    above 1 are as many horizons more to look back.
    """
    days = np.flatnonzero(~np.isnan(y).all(axis=0))
    known = len(days)
    # Two weeks of hours, for their weekdays, if that leaves the first ladder a week of hours too.
    least = int(np.clip(known - 3 * 168, 168, 2 * 168)) if period == 24 else 56
    span = max(min(max(3 * horizon, least) + (looks - 1) * horizon, known // 2), 1)
    last = max(known - horizon, known - span)
    count = ORIGINS + looks - 1
    places = np.unique(np.linspace(known - span, last, count).astype(int))
    return [int(days[i]) for i in places]


def _weekly(
    mean: Floats, actual: Floats, recency: Floats, fold: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """The same of sums over seven days of one origin, for quantiles of weeks."""
    starts = [
        int(first) + 7 * i
        for one in np.unique(fold)
        for first in [np.flatnonzero(fold == one)[0]]
        for i in range(int((fold == one).sum()) // 7)
    ]
    if not starts:
        return mean, actual, recency, fold
    days = np.array(starts)[:, None] + np.arange(7)
    return (
        mean[:, days].sum(axis=2),
        actual[:, days].sum(axis=2),
        recency[days].mean(axis=1),
        fold[days[:, 0]],
    )


MEASURE_OF = {"price": "price_cents", "on_rent": "on_rent_close", "out": "stockout"}
"""Driver -> measure of a panel."""


def series_of(panel: Panel, measure: str) -> Series:
    """Demand, and those drivers that ever differ: of one that never moved nothing can be learnt."""
    known = {
        name: panel.measures[told].astype(np.float64)
        for name, told in MEASURE_OF.items()
        if told in panel.measures
    }
    units = panel.measures[measure].astype(np.float64)
    y = demand_history.demand(units, known.get("out", np.zeros_like(units)))
    moved = tuple(name for name in demand_history.DRIVERS if name in known and _moved(known[name]))
    drivers = Drivers(moved, np.array([known[n] for n in moved]).reshape(len(moved), *y.shape))
    return Series(y, panel.days.astype(np.int64), panel.period, drivers)


def _moved(values: Floats) -> bool:
    told = values[np.isfinite(values)]
    return len(told) > 0 and bool((told != told[0]).any())


def _factors(panel: Panel, told: tuple[str, ...]) -> Factors:
    days = len(panel.days)
    names = sorted(
        name for name, values in panel.factors.items() if name in told or len(values) > days
    )
    if not names:
        return Factors([], np.zeros((0, days)))
    length = max(len(panel.factors[name]) for name in names)
    values = np.full((len(names), length), np.nan)
    for i, name in enumerate(names):
        values[i, : len(panel.factors[name])] = panel.factors[name]
    return Factors(names, values)
