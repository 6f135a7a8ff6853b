"""Naive forecasters that every model is measured beside. Nothing here is learnt or tuned.

They speak the forecasters' protocol (``backtest.py``), so the same harness runs them. All series of
a panel at once; NaN days are unknown and are passed over. Demand is never below 0, nor a quantile.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.metrics import difference_scale, mean_known
from trainer.panel import Panel

Floats = NDArray[np.float64]
Forecast = tuple[NDArray[np.float32], NDArray[np.float32]]

SEASON_LAGS_MAX = 60
"""Seasons ahead for which differences are taken from the history; further ones take the last."""


def nan_quantiles(values: Floats, levels: Sequence[float]) -> Floats:
    """Quantiles of each row of float[k, n] over what is known: float[k, q]; 0 for an empty row."""
    filled = np.where(np.isnan(values).all(axis=1, keepdims=True), 0.0, values)
    return np.nanquantile(filled, list(levels), axis=1).T if filled.size else _none(values, levels)


def _none(values: Floats, levels: Sequence[float]) -> Floats:
    return np.zeros((len(values), len(levels)))


def _answer(mean: Floats, quantiles: Floats) -> Forecast:
    floor = [np.maximum(np.nan_to_num(a), 0.0).astype(np.float32) for a in (mean, quantiles)]
    return floor[0], floor[1]


@dataclass(frozen=True, slots=True)
class FittedPhases:
    """What was observed at each phase of the season, and how far seasons lie apart."""

    y: Floats
    period: int

    def phases(self, horizon: int) -> NDArray[np.int64]:
        """Phase of each step ahead, counted like the columns of the history."""
        return np.asarray((self.y.shape[1] + np.arange(horizon)) % self.period, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class FittedSeasonalNaive(FittedPhases):
    """See :class:`SeasonalNaive`."""

    def forecast(self, horizon: int, levels: Sequence[float]) -> Forecast:
        """mean float32[k, h] and quantiles float32[k, h, q]."""
        last = self._last_of_phase()[:, self.phases(horizon)]
        seasons = np.arange(horizon) // self.period + 1
        spread = {int(s): self._spread(int(s), levels) for s in np.unique(seasons)}
        apart = np.stack([spread[int(s)] for s in seasons], axis=1)
        return _answer(last, last[..., None] + apart)

    def _last_of_phase(self) -> Floats:
        """Newest known value of each phase: float[k, period]."""
        k, d = self.y.shape
        found = np.full((k, self.period), np.nan)
        for phase in range(min(self.period, d)):
            column = self.y[:, phase :: self.period]
            known = ~np.isnan(column)
            newest = column.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
            found[:, phase] = column[np.arange(k), newest]
        return np.where(np.isnan(found), mean_known(self.y, axis=1)[:, None], found)

    def _spread(self, seasons: int, levels: Sequence[float]) -> Floats:
        """Quantiles of y[t] − y[t − seasons · period] in the history: float[k, q]."""
        longest = max((self.y.shape[1] - 1) // self.period // 2, 1)
        lag = min(seasons, longest, SEASON_LAGS_MAX) * self.period
        return nan_quantiles(self.y[:, lag:] - self.y[:, :-lag], levels)


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """The last season again; quantiles from the differences of as many seasons in the history."""

    name: str = "seasonal_naive"
    period: int = 0
    """Steps in the season; 0: the panel's."""

    def fit(self, panel: Panel, measure: str) -> FittedSeasonalNaive:
        """Keep the history."""
        y = panel.measures[measure].astype(np.float64)
        return FittedSeasonalNaive(y, self.period or panel.period)


@dataclass(frozen=True, slots=True)
class FittedAverage(FittedPhases):
    """See :class:`HistoricalAverage` and :class:`SeasonalAverage`."""

    def forecast(self, horizon: int, levels: Sequence[float]) -> Forecast:
        """mean float32[k, h] and quantiles float32[k, h, q]."""
        columns = [self.y[:, phase :: self.period] for phase in range(self.period)]
        means = np.stack([mean_known(c, axis=1) for c in columns], axis=1)
        quantiles = np.stack([nan_quantiles(c, levels) for c in columns], axis=1)
        phases = self.phases(horizon)
        return _answer(means[:, phases], quantiles[:, phases])


@dataclass(frozen=True, slots=True)
class HistoricalAverage:
    """Mean and quantiles of everything known, the same for every step."""

    name: str = "historical_average"

    def fit(self, panel: Panel, measure: str) -> FittedAverage:
        """Keep the history."""
        return FittedAverage(panel.measures[measure].astype(np.float64), 1)


@dataclass(frozen=True, slots=True)
class SeasonalAverage:
    """Mean and quantiles of everything known at the same phase (weekday, hour): static quantiles."""

    name: str = "static_quantiles"
    period: int = 0
    """Steps in the season; 0: the panel's."""

    def fit(self, panel: Panel, measure: str) -> FittedAverage:
        """Keep the history."""
        return FittedAverage(
            panel.measures[measure].astype(np.float64), self.period or panel.period
        )


@dataclass(frozen=True, slots=True)
class FittedZero:
    """See :class:`AllZero`."""

    series: int

    def forecast(self, horizon: int, levels: Sequence[float]) -> Forecast:
        """mean float32[k, h] and quantiles float32[k, h, q], all 0."""
        return _answer(
            np.zeros((self.series, horizon)), np.zeros((self.series, horizon, len(levels)))
        )


@dataclass(frozen=True, slots=True)
class AllZero:
    """Nothing is ever asked for: hard to beat by absolute error where demand is rare."""

    name: str = "all_zero"

    def fit(self, panel: Panel, measure: str) -> FittedZero:
        """Count the series."""
        return FittedZero(len(panel.keys))


NAIVE = (SeasonalNaive(), HistoricalAverage(), SeasonalAverage())
"""What stands beside every backtest."""


# -- M4's reference ---------------------------------------------------------------------------------


def seasonal_indices(y: Floats, period: int) -> Floats:
    """Multiplicative indices of one series float[d] by its centred moving average: float[period].

    Source: classical decomposition as in R's ``decompose(type = "multiplicative")``, which M4 used.
    """
    half = period // 2
    weights = np.full(period + 1 - period % 2, 1.0)
    if period % 2 == 0:
        weights[[0, -1]] = 0.5
    trend = np.convolve(y, weights / period, mode="valid")
    ratio = y[half : half + len(trend)] / trend
    phase = (np.arange(len(trend)) + half) % period
    indices = np.bincount(phase, ratio, period) / np.bincount(phase, minlength=period)
    return np.asarray(indices / indices.mean(), dtype=np.float64)


def is_seasonal(y: Floats, period: int, z: float = 1.645) -> bool:
    """M4's test: autocorrelation at one season beyond a 90 % limit (Bartlett's variance).

    Source: Assimakopoulos & Nikolopoulos, The theta model, IJF 16 (2000); code of the M4 benchmarks.
    """
    if len(y) < 3 * period:
        return False
    centred = y - y.mean()
    power = float(centred @ centred)
    if power == 0.0:
        return False
    r = np.array([float(centred[lag:] @ centred[:-lag]) / power for lag in range(1, period + 1)])
    limit = z * np.sqrt((1.0 + 2.0 * float(r[:-1] @ r[:-1])) / len(y))
    return bool(abs(r[-1]) > limit)


def naive2(y: Floats, period: int, horizon: int) -> Floats:
    """Naive on the seasonally adjusted series, put back into season: float[h].

    Source: Makridakis, Spiliotis & Assimakopoulos, The M4 Competition, IJF 36 (2020), table 1.
    """
    if not is_seasonal(y, period):
        return np.full(horizon, y[-1])
    indices = seasonal_indices(y, period)
    phases = (len(y) + np.arange(horizon)) % period
    return np.asarray(y[-1] / indices[(len(y) - 1) % period] * indices[phases], dtype=np.float64)


def season_scale(history: Floats, period: int) -> Floats:
    """MASE's denominator of each series: float[k]."""
    return difference_scale(history, lag=period)
