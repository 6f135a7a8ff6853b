"""Rolling-origin backtests of forecasters over a panel: forecasts, figures, time, memory.

No forecaster lives here, no file is read and nothing is drawn (``report.py``). At each origin every
forecaster gets a copy of what was known then, and nothing else; what came after is only compared.
"""

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trainer import metrics
from trainer.panel import Panel

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEVELS = (0.1, 0.5, 0.9)
BUSY_UNITS = 20.0
"""Mean demand of the same phase (weekday, hour) over the last :data:`BUSY_SEASONS` above which a
step counts as busy: on a day on which a shop is always shut, no interval can be wrong."""
BUSY_SEASONS = 8


class Fitted(Protocol):
    """What a forecaster learnt from one panel."""

    def forecast(self, horizon: int, levels: Sequence[float]) -> tuple[Float32, Float32]:
        """mean float32[k, h] and quantiles float32[k, h, q] of the steps after the panel's last."""
        ...


class Forecaster(Protocol):
    """Fits all series of a panel at once."""

    @property
    def name(self) -> str:
        """One word; how results call it."""
        ...

    def fit(self, panel: Panel, measure: str) -> Fitted:
        """Learn from the panel; it may be changed freely, it is a copy."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """Where forecasts start, how far they look, and what is known ahead."""

    origins: tuple[int, ...]
    """Number of columns known at each origin, earliest first."""
    horizon: int
    levels: tuple[float, ...] = LEVELS
    known_ahead: bool = False
    """Whether the factors of the horizon are shown (a weather forecast that is always right)."""
    refit: bool = True
    """Fit at every origin; else once, at the first, and hand later columns to ``update``."""

    def __post_init__(self) -> None:
        assert self.horizon >= 1, self.horizon
        assert list(self.origins) == sorted(set(self.origins)), self.origins
        assert list(self.levels) == sorted(set(self.levels)), self.levels


@dataclass(slots=True)
class Cost:
    """What a forecaster took, over all origins."""

    fit_s: float = 0.0
    forecast_s: float = 0.0
    cpu_s: float = 0.0
    """Of all threads of this process."""
    peak_mb: float = 0.0
    """Resident memory at its highest, the process's whole."""

    @property
    def wall_s(self) -> float:
        """Seconds on the clock."""
        return self.fit_s + self.forecast_s


def total(costs: Sequence[Cost]) -> Cost:
    """Times added up; memory at its highest."""
    return Cost(
        sum(c.fit_s for c in costs),
        sum(c.forecast_s for c in costs),
        sum(c.cpu_s for c in costs),
        max((c.peak_mb for c in costs), default=0.0),
    )


@dataclass(frozen=True, slots=True)
class Run:
    """Forecasts of one forecaster at every origin: o origins, k series, h steps, q levels."""

    name: str
    mean: Float32
    """float32[o, k, h]"""
    quantiles: Float32
    """float32[o, k, h, q]"""
    costs: list[Cost] = field(default_factory=list)
    """What each origin took; empty where nobody measured."""

    @property
    def cost(self) -> Cost:
        """All origins together; memory at its highest."""
        return total(self.costs)


@dataclass(frozen=True, slots=True)
class Truth:
    """What came, and what errors are measured by; the same for every forecaster."""

    actual: Floats
    """float[o, k, h]; NaN: not counted (unknown, or the series did not exist at the origin)."""
    step_scale: Floats
    """float[o, k]: mean absolute one-step difference before the origin."""
    square_scale: Floats
    """float[o, k]: mean squared one-step difference before the origin (RMSSE's)."""
    season_scale: Floats
    """float[o, k]: mean absolute seasonal difference before the origin (MASE's)."""
    kinds: NDArray[np.int64]
    """int[k] into ``metrics.KINDS``, by what was known at the first origin."""
    busy: Bools
    """bool[o, k, h]: more than :data:`BUSY_UNITS` at such steps just before the origin."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """Every forecaster's forecasts of the same windows."""

    panel: Panel
    measure: str
    plan: Plan
    truth: Truth
    runs: list[Run]

    def run(self, name: str) -> Run:
        """The forecaster's run. Raises KeyError."""
        return {run.name: run for run in self.runs}[name]


# -- running ----------------------------------------------------------------------------------------


def shown(panel: Panel, measure: str, known: int, plan: Plan) -> Panel:
    """A copy of what was known after ``known`` columns; no array of it reaches into the future.

    With ``plan.known_ahead`` the factors run on over the horizon; they alone do.
    """
    assert 0 < known <= len(panel.days), (known, len(panel.days))
    assert measure in panel.measures, (measure, sorted(panel.measures))
    ahead = known + plan.horizon if plan.known_ahead else known
    return Panel(
        list(panel.keys),
        panel.days[:known].copy(),
        {name: values[:, :known].copy() for name, values in panel.measures.items()},
        {level: list(names) for level, names in panel.groups.items()},
        {name: values[:ahead].copy() for name, values in panel.factors.items()},
        panel.period,
    )


def truth(panel: Panel, measure: str, plan: Plan) -> Truth:
    """What came after each origin, and the scales from before it."""
    y = panel.measures[measure].astype(np.float64)
    assert plan.origins[-1] + plan.horizon <= y.shape[1], (plan.origins, plan.horizon, y.shape)
    known = [y[:, :n] for n in plan.origins]
    existed = np.stack([(~np.isnan(k)).any(axis=1) for k in known])
    came = np.stack([y[:, n : n + plan.horizon] for n in plan.origins])
    recent = np.stack([_recent(k, panel.period, plan.horizon) for k in known])
    return Truth(
        np.where(existed[..., None], came, np.nan),
        np.stack([metrics.difference_scale(k) for k in known]),
        np.stack([metrics.difference_scale(k, power=2) for k in known]),
        np.stack([metrics.difference_scale(k, lag=panel.period) for k in known]),
        metrics.kinds(known[0]),
        np.nan_to_num(recent) > BUSY_UNITS,
    )


def _recent(y: Floats, period: int, horizon: int) -> Floats:
    """Mean of the same phase over the last seasons known, for each step ahead: float[k, h]."""
    last = y[:, -BUSY_SEASONS * period :]
    phases = (last.shape[1] + np.arange(horizon)) % period
    means = [metrics.mean_known(last[:, phase::period], axis=1) for phase in range(period)]
    return np.stack(means, axis=1)[:, phases]


def run_one(panel: Panel, measure: str, plan: Plan, forecaster: Forecaster) -> Run:
    """One forecaster at every origin. AssertionError for an answer of another shape, or NaN in it."""
    costs, means, quantiles = [], [], []
    shape = (len(panel.keys), plan.horizon)
    fitted: Fitted | None = None
    for known in plan.origins:
        seen = shown(panel, measure, known, plan)
        _forget_peak()
        began, began_cpu = time.perf_counter(), time.process_time()
        if fitted is None or plan.refit:
            fitted = forecaster.fit(seen, measure)
        else:
            update = getattr(fitted, "update", None)
            assert callable(update), f"{forecaster.name} has no update: plan a refit"
            update(seen)
        done = time.perf_counter()
        mean, levels = fitted.forecast(plan.horizon, plan.levels)
        ended, cpu_s = time.perf_counter(), time.process_time() - began_cpu
        costs.append(Cost(done - began, ended - done, cpu_s, peak_mb()))
        assert mean.shape == shape, (forecaster.name, mean.shape, shape)
        assert levels.shape == (*shape, len(plan.levels)), (forecaster.name, levels.shape)
        existed = (~np.isnan(seen.measures[measure])).any(axis=1)
        assert np.isfinite(mean[existed]).all(), f"{forecaster.name}: a mean that is no number"
        assert np.isfinite(levels[existed]).all(), (
            f"{forecaster.name}: a quantile that is no number"
        )
        means.append(mean.astype(np.float32))
        quantiles.append(levels.astype(np.float32))
    return Run(forecaster.name, np.stack(means), np.stack(quantiles), costs)


def run(
    panel: Panel,
    measure: str,
    plan: Plan,
    forecasters: Sequence[Forecaster],
    say: Callable[[str, float], None] = lambda text, share: None,
) -> Backtest:
    """All forecasters over the same windows; ``say`` hears who runs, and the share that is done."""
    made = []
    for i, forecaster in enumerate(forecasters):
        say(forecaster.name, i / len(forecasters))
        made.append(run_one(panel, measure, plan, forecaster))
    return Backtest(panel, measure, plan, truth(panel, measure, plan), made)


def _forget_peak() -> None:
    """Start the kernel's peak of resident memory anew (Linux; elsewhere it is since the start)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_mb() -> float:
    """Highest resident memory of this process, MB."""
    try:
        told = Path("/proc/self/status").read_text()
        return int(told.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# -- scoring ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the forecasts: a mask that broadcasts to bool[o, k, h], and what it is called."""

    name: str
    mask: Bools


def parts(backtest: Backtest, bands: Sequence[tuple[int, int]] = ()) -> list[Part]:
    """All; each band of steps (first, last, from 1); each kind of series; busy and quiet ones."""
    steps = np.arange(1, backtest.plan.horizon + 1)
    kinds, busy = backtest.truth.kinds, backtest.truth.busy
    made = [Part("all", np.ones((1, 1, 1), dtype=bool))]
    made += [
        Part(f"steps {a}-{b}", ((steps >= a) & (steps <= b))[None, None])
        for a, b in bands
        if a <= backtest.plan.horizon
    ]
    made += [Part(name, (kinds == i)[None, :, None]) for i, name in enumerate(metrics.KINDS)]
    busy_name = f"over {BUSY_UNITS:g} a step"
    return [*made, Part(busy_name, busy), Part(f"not {busy_name}", ~busy)]


def score(backtest: Backtest, run: Run, part: Part | None = None) -> dict[str, float]:
    """Every figure of one forecaster on one part; NaN where the part is empty.

    Pooled over all forecasts (unit of the measure): ``pinball``, ``mae``, ``bias``, ``wape``,
    ``accuracy``, ``smape``, ``coverage``, ``interval_score``, ``width``. Mean over series and
    origins, each by its own scale: ``pinball_scaled``, ``rmsse``, ``mase``. ``interval`` figures
    are of the lowest and highest level.
    """
    truth, levels = backtest.truth, backtest.plan.levels
    actual = truth.actual if part is None else np.where(part.mask, truth.actual, np.nan)
    mean, q = run.mean.astype(np.float64), run.quantiles.astype(np.float64)
    low, high = q[..., 0], q[..., -1]
    flat, flat_mean = actual.ravel(), mean.ravel()
    inside = levels[-1] - levels[0]
    losses = metrics.pinball(actual, q, levels)
    width = np.where(np.isnan(actual), np.nan, high - low)
    return {
        "pinball": float(metrics.pinball(flat, q.reshape(-1, len(levels)), levels)),
        "pinball_scaled": float(metrics.mean_known(_over(losses, truth.step_scale))),
        "rmsse": float(metrics.mean_known(metrics.rmsse(actual, mean, truth.square_scale))),
        "mase": float(metrics.mean_known(metrics.mase(actual, mean, truth.season_scale))),
        "wape": float(metrics.wape(flat, flat_mean)),
        "accuracy": float(metrics.accuracy(flat, flat_mean)),
        "smape": float(metrics.smape(flat, flat_mean)),
        "mae": float(metrics.mae(flat, flat_mean)),
        "bias": float(metrics.bias(flat, flat_mean)),
        "coverage": float(metrics.coverage(flat, low.ravel(), high.ravel())),
        "interval_score": float(
            metrics.interval_score(flat, low.ravel(), high.ravel(), inside)
        ),
        "width": float(metrics.mean_known(width)),
        "forecasts": float((~np.isnan(flat)).sum()),
    }  # fmt: skip


def _over(values: Floats, scale: Floats) -> Floats:
    return np.where(scale > 0, values / np.where(scale > 0, scale, 1.0), np.nan)


def by_step(backtest: Backtest, run: Run) -> dict[str, list[float]]:
    """``pinball``, ``mae`` and ``coverage`` of each step of the horizon, for plots."""
    actual, q = backtest.truth.actual, run.quantiles.astype(np.float64)
    losses = metrics.pinball_losses(actual, q, backtest.plan.levels).mean(axis=-1)
    inside = (actual >= q[..., 0]) & (actual <= q[..., -1])
    found = {
        "pinball": losses,
        "mae": np.abs(actual - run.mean),
        "coverage": np.where(np.isnan(actual), np.nan, inside),
    }
    return {name: metrics.mean_known(v, axis=(0, 1)).tolist() for name, v in found.items()}


def by_series(backtest: Backtest, run: Run, figure: str = "pinball") -> Floats:
    """``pinball`` or ``rmse`` of each series over all origins and steps: float[k]."""
    assert figure in ("pinball", "rmse"), figure
    o, k, h = backtest.truth.actual.shape
    actual = backtest.truth.actual.transpose(1, 0, 2).reshape(k, o * h)
    if figure == "rmse":
        return metrics.rmse(actual, run.mean.transpose(1, 0, 2).reshape(k, o * h))
    q = run.quantiles.transpose(1, 0, 2, 3).reshape(k, o * h, -1)
    return metrics.pinball(actual, q, backtest.plan.levels)


def best_of(
    name: str, runs: Sequence[Run], losses: Sequence[Floats]
) -> tuple[Run, NDArray[np.int64]]:
    """For each series the run of least loss (float[k] a run, from earlier windows), and which.

    A series without a loss takes the first run.
    """
    table = np.stack([np.nan_to_num(loss, nan=np.inf) for loss in losses])
    choice = table.argmin(axis=0)
    rows = np.arange(table.shape[1])
    mean = np.stack([r.mean for r in runs])[choice, :, rows].swapaxes(0, 1)
    quantiles = np.stack([r.quantiles for r in runs])[choice, :, rows].swapaxes(0, 1)
    each = zip(*(r.costs for r in runs), strict=True)
    return Run(name, mean, quantiles, [total(costs) for costs in each]), choice


def at_origins(backtest: Backtest, which: Sequence[int]) -> Backtest:
    """Some of the origins, as if only they had been planned; kinds stay as they were."""
    chosen, truth = list(which), backtest.truth
    return Backtest(
        backtest.panel,
        backtest.measure,
        replace(backtest.plan, origins=tuple(backtest.plan.origins[i] for i in chosen)),
        replace(truth, actual=truth.actual[chosen], step_scale=truth.step_scale[chosen],
                square_scale=truth.square_scale[chosen], busy=truth.busy[chosen],
                season_scale=truth.season_scale[chosen]),
        [
            replace(r, mean=r.mean[chosen], quantiles=r.quantiles[chosen],
                    costs=[r.costs[i] for i in chosen] if r.costs else [])
            for r in backtest.runs
        ],
    )  # fmt: skip


# -- the summary ------------------------------------------------------------------------------------


class Scored(Struct, frozen=True, kw_only=True):
    """One forecaster on one part."""

    forecaster: str
    part: str
    figures: dict[str, float | None]
    """``None`` where a figure says nothing (no forecasts, no scale)."""


class Timed(Struct, frozen=True, kw_only=True):
    """What one forecaster took over all origins."""

    forecaster: str
    fit_s: float
    forecast_s: float
    cpu_s: float
    peak_mb: float


class Summary(Struct, frozen=True, kw_only=True):
    """A backtest as it is written to a file: ``msgspec.json`` reads and writes it."""

    title: str
    measure: str
    series: int
    columns: int
    """Steps in the panel."""
    period: int
    """Steps in the season: 7 days, 24 hours, 12 months."""
    first: int
    """The panel's first step, as ``Panel.days`` counts."""
    origins: list[int]
    """Last known step at each origin, as ``Panel.days`` counts."""
    horizon: int
    levels: list[float]
    known_ahead: bool
    kinds: dict[str, int]
    """Number of series of each kind."""
    scores: list[Scored]
    times: list[Timed]
    steps: dict[str, dict[str, list[float | None]]] = {}
    """Forecaster -> figure -> its value at each step of the horizon."""
    notes: list[str] = []

    def figure(self, forecaster: str, name: str, part: str = "all") -> float | None:
        """One figure. Raises KeyError for a forecaster or part that is not there."""
        for scored in self.scores:
            if (scored.forecaster, scored.part) == (forecaster, part):
                return scored.figures[name]
        raise KeyError((forecaster, part))


def summary(
    backtest: Backtest,
    title: str,
    bands: Sequence[tuple[int, int]] = (),
    notes: Sequence[str] = (),
) -> Summary:
    """Everything worth keeping of a backtest; forecasts themselves are not."""
    days, plan, truth = backtest.panel.days, backtest.plan, backtest.truth
    counted = np.bincount(truth.kinds, minlength=len(metrics.KINDS)).tolist()
    chosen = parts(backtest, bands)
    return Summary(
        title=title,
        measure=backtest.measure,
        series=len(backtest.panel.keys),
        columns=len(days),
        period=backtest.panel.period,
        first=int(days[0]),
        origins=[int(days[n - 1]) for n in plan.origins],
        horizon=plan.horizon,
        levels=list(plan.levels),
        known_ahead=plan.known_ahead,
        kinds=dict(zip(metrics.KINDS, counted, strict=True)),
        scores=[
            Scored(forecaster=r.name, part=p.name, figures=_known(score(backtest, r, p)))
            for r in backtest.runs
            for p in chosen
        ],
        times=[
            Timed(forecaster=r.name, fit_s=r.cost.fit_s, forecast_s=r.cost.forecast_s,
                  cpu_s=r.cost.cpu_s, peak_mb=r.cost.peak_mb)
            for r in backtest.runs
        ],
        steps={
            r.name: {n: [_none(v) for v in vs] for n, vs in by_step(backtest, r).items()}
            for r in backtest.runs
        },
        notes=list(notes),
    )  # fmt: skip


def _none(value: float) -> float | None:
    return None if value != value else round(value, 6)


def _known(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: _none(value) for name, value in figures.items()}


def encode(made: Summary) -> bytes:
    """JSON for people and programs."""
    return msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n"


def decode(content: bytes) -> Summary:
    """A summary from its file. Raises msgspec.ValidationError naming the field that is wrong."""
    return msgspec.json.decode(content, type=Summary)
