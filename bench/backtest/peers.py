"""statsforecast's models behind the forecasters' protocol; only here, never in the product.

One process and one thread (``n_jobs=1``), as the product's own forecasters. Quantiles are the ends
of the peer's own central intervals and its point forecast as the median; CrostonOptimized has no
intervals, so statsforecast's conformal ones. None is below 0: demand cannot be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.panel import Panel

Float32 = NDArray[np.float32]
NAMES = ("AutoETS", "AutoTheta", "SeasonalNaive", "CrostonOptimized")
MISSING = "statsforecast is not installed here: its models are left out (make bench installs it)"


def available() -> bool:
    """Whether statsforecast is there; its wheels are for x86-64 alone."""
    return find_spec("statsforecast") is not None


def _model(name: str, period: int, horizon: int) -> Any:
    from statsforecast import models
    from statsforecast.utils import ConformalIntervals

    if name == "CrostonOptimized":
        return models.CrostonOptimized(prediction_intervals=ConformalIntervals(2, horizon))
    if name in ("SimpleExponentialSmoothingOptimized", "TSB"):
        intervals = ConformalIntervals(2, horizon)
        extra = {"alpha_d": 0.2, "alpha_p": 0.2} if name == "TSB" else {}
        return getattr(models, name)(**extra, prediction_intervals=intervals)
    return getattr(models, name)(season_length=period)


@dataclass(frozen=True, slots=True)
class FittedPeer:
    """See :class:`Peer`; the fit itself runs in ``forecast``, as statsforecast's own ``forecast``."""

    name: str
    y: NDArray[np.float64]
    days: NDArray[np.int64]
    period: int

    def forecast(self, horizon: int, levels: Sequence[float]) -> tuple[Float32, Float32]:
        """mean float32[k, h] and quantiles float32[k, h, q]; ``levels`` lie symmetric round 0.5."""
        import pandas as pd  # type: ignore[import-untyped]
        from statsforecast import StatsForecast

        k = len(self.y)
        long, lengths = _long(self.y, horizon)
        frame = pd.DataFrame(
            {
                "unique_id": np.repeat(np.arange(k), lengths),
                "ds": np.concatenate([np.arange(-n, 0) for n in lengths.tolist()]),
                "y": long,
            }
        )
        model = _model(self.name, self.period, horizon)  # its text is its column's name
        fallback = _model("SeasonalNaive", self.period, horizon)
        found = StatsForecast([model], freq=1, n_jobs=1, fallback_model=fallback).forecast(
            h=horizon, df=frame, level=_percent(levels)
        )
        return _columns(found, str(model), (k, horizon), levels)


def _long(y: NDArray[np.float64], horizon: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Known values, one series after the other, and how many of each.

    A series starts where it is first known; one too short for the peer's conformal intervals is
    given zeros before. What is unknown in between is 0: these peers know no gaps.
    """
    made, lengths = [], []
    for row in y:
        known = np.flatnonzero(~np.isnan(row))
        values = row[known[0] :] if len(known) else np.zeros(1)
        short = 3 * horizon + 1 - len(values)
        values = np.concatenate([np.zeros(max(short, 0)), values])
        made.append(np.nan_to_num(values))
        lengths.append(len(values))
    return np.concatenate(made), np.array(lengths)


def _percent(levels: Sequence[float]) -> list[int]:
    """Central intervals whose ends are these levels, whole percent."""
    return sorted({round(100 * abs(2 * p - 1)) for p in levels if p != 0.5})


def _columns(
    found: Any, name: str, shape: tuple[int, int], levels: Sequence[float]
) -> tuple[Float32, Float32]:
    mean = found[name].to_numpy().reshape(shape)
    quantiles = []
    for p in levels:
        end = "" if p == 0.5 else f"-{'hi' if p > 0.5 else 'lo'}-{round(100 * abs(2 * p - 1))}"
        quantiles.append(found[name + end].to_numpy().reshape(shape))
    return _demand(mean), _demand(np.stack(quantiles, axis=-1))


def _demand(values: NDArray[np.float64]) -> Float32:
    return np.maximum(np.nan_to_num(values), 0.0).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Peer:
    """One of statsforecast's models by its name."""

    name: str

    def fit(self, panel: Panel, measure: str) -> FittedPeer:
        """Hand the history on."""
        y = panel.measures[measure].astype(np.float64)
        return FittedPeer(self.name, y, panel.days, panel.period)


def warm_up(names: Sequence[str] = NAMES) -> None:
    """Let the peers compile what they compile on their first use: not part of their time."""
    chance = np.random.default_rng(0)
    y = chance.poisson(3.0, (2, 90)).astype(np.float32)
    panel = Panel(["a", "b"], np.arange(90), {"units": y})
    for name in names:
        Peer(name).fit(panel, "units").forecast(7, (0.1, 0.5, 0.9))
