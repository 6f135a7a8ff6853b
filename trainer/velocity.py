"""Service ``inventory``: velocity classes, and what the coming 7 and 14 days may need. No stock policy.

The rate of a class is a blend of its last 7 and 28 days and its long run, with weights learnt for the
whole shop. The demand of a lead time has mean ``days * rate`` and a variance that is a class's own
multiple of it, measured on sums over whole lead times, so that the correlation of its days is in it
without being assumed. Its quantiles are a gamma's by Wilson & Hilferty (PNAS 17, 1931), whose normal
deviates are replaced by those that were seen: the share of lead times below each is then the level.
Windows in which stock ran out are left out: what was not there could not be sold.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from edge.inference import velocity
from edge.inference.manifest import Column, Training
from trainer import metrics
from trainer.data import Data, named
from trainer.export import Exportable, Side, golden_rows, quantiles21
from trainer.onnx_graph import Graph, line
from trainer.panel import Panel
from trainer.services import Settings, TooLittle

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]

FEATURES = ("rented_units_7d", "sold_units_7d", "rented_units_28d", "sold_units_28d")
SIDE = (
    "abc",
    "xyz",
    "pattern",
    "rate_long",
    "one",
    "over_7d",
    "over_14d",
    "root_over_7d",
    "root_over_14d",
)
"""``rate_long`` as it counts: by its weight, and at least ``RATE_LEAST``. ``root_``: square roots;
``one`` stands beside them, so that the graph can treat all alike."""
LEADS = (7, 14)
LEVELS = (0.5, 0.9, 0.95, 0.99)
MEASURES = ("units", "revenue_cents", "stockout")
PAST_DAYS = 28
LONG_DAYS = 364
STEP_DAYS = 3
WINDOWS_MIN = 60
PRIOR_WINDOWS = 8.0
"""Windows that the whole shop's multiple counts for beside a class's own."""
RATE_LEAST = 1e-3
"""Units a day below which nothing is told apart."""
UNITS_MAX = 1e7
EPS = 1e-9


def columns() -> list[Column]:
    """Of the output ``y``."""
    made = [
        Column(name="abc", unit="1", lowest=0.0, highest=2.0),
        Column(name="xyz", unit="1", lowest=0.0, highest=2.0),
        Column(name="pattern", unit="1", lowest=0.0, highest=3.0),
    ]
    for days in LEADS:
        name = f"units_{days}d"
        made.append(Column(name=name, unit="units", horizon_days=days, lowest=0.0))
        made += [
            Column(name=f"{name}_p{round(100 * level)}", unit="units", horizon_days=days,
                   quantile=level, lowest=0.0)
            for level in LEVELS
        ]  # fmt: skip
    return made


class Windows:
    """Lead times of k classes that begin after o origins: rates before, units after."""

    def __init__(self, panel: Panel, first: int, last: int) -> None:
        """Origins ``first <= column < last`` (days known before), lead times within ``last``."""
        units = panel.measures["units"].astype(np.float64)
        known = np.isfinite(units)
        out = np.nan_to_num(panel.measures["stockout"]) > 0
        self._sum = _running(np.where(known, units, 0.0))
        self._days = _running(known.astype(np.float64))
        self._out = _running(out.astype(np.float64))
        self.at = np.arange(max(first, PAST_DAYS), last - LEADS[0] + 1, STEP_DAYS)
        self._last = last

    def rate(self, days: int) -> Floats:
        """float64[k, o]: units a day over up to so many days before; NaN: nothing is known of them."""
        low = np.maximum(self.at - days, 0)
        n = self._days[:, self.at] - self._days[:, low]
        moved = self._sum[:, self.at] - self._sum[:, low]
        return np.where(n > 0, moved / np.maximum(n, 1), np.nan)

    def moved(self, days: int) -> Floats:
        """float64[k, o]: units of the last ``days`` days before."""
        return self._sum[:, self.at] - self._sum[:, np.maximum(self.at - days, 0)]

    def came(self, days: int) -> Floats:
        """float64[k, o]: units of the lead time; NaN: beyond the end, unknown, or out of stock."""
        high = np.minimum(self.at + days, self._last)
        whole = self._days[:, high] - self._days[:, self.at] == days
        stocked = self._out[:, high] == self._out[:, self.at]
        return np.where(whole & stocked, self._sum[:, high] - self._sum[:, self.at], np.nan)

    def rates(self) -> Floats:
        """float64[k, o, 3]: of 7 and 28 days and of the long run."""
        found = np.stack([self.rate(days) for days in (7, PAST_DAYS, LONG_DAYS)], axis=2)
        return np.nan_to_num(found)


def _running(values: Floats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


class Learnt:
    """Weights of the rates, multiples of the variance, deviates of the levels."""

    def __init__(self, windows: Windows) -> None:
        """Raises TooLittle."""
        rates = windows.rates()
        came = windows.came(LEADS[0])
        good = np.isfinite(came) & (rates[:, :, 1:].sum(axis=2) > 0)
        if good.sum() < WINDOWS_MIN:
            raise TooLittle(f"{int(good.sum())} lead times are known, {WINDOWS_MIN} are needed")
        weight = 1 / np.sqrt(np.maximum(rates[good].mean(axis=1), RATE_LEAST))
        target = came[good] / LEADS[0] * weight
        self.weights = optimize.nnls(rates[good] * weight[:, None], target)[0]
        rate = self.rate(rates)
        self.over = np.stack([_over(windows.came(d), d * rate) for d in LEADS], axis=1)
        self.deviates = np.stack([
            _deviates(windows.came(d), d * rate, self.over[:, [i]]) for i, d in enumerate(LEADS)
        ])  # fmt: skip

    def rate(self, rates: Floats) -> Floats:
        """float64[…] units a day out of those of 7 days, of 28, and of the long run: float64[…, 3]."""
        return np.asarray(rates[..., :2] @ self.weights[:2] + self.long(rates[..., 2]), np.float64)

    def long(self, rates: Floats) -> Floats:
        """What the long run adds; never nothing, so that every class has a rate."""
        return np.asarray(np.maximum(rates * self.weights[2], RATE_LEAST), np.float64)


def _over(came: Floats, mean: Floats) -> Floats:
    """float64[k]: variance over mean of each class, drawn to the whole shop's; at least 0.5."""
    known = np.isfinite(came)
    square = np.where(known, (np.nan_to_num(came) - mean) ** 2 / mean, 0.0)
    n = known.sum(axis=1)
    shop = square.sum() / max(int(n.sum()), 1)
    return np.asarray(
        np.maximum((square.sum(axis=1) + PRIOR_WINDOWS * shop) / (n + PRIOR_WINDOWS), 0.5),
        np.float64,
    )


def _deviates(came: Floats, mean: Floats, over: Floats) -> Floats:
    """float64[l]: the deviates at which the seen shares of lead times are the levels."""
    shape = mean / over
    deviate = (np.cbrt(np.nan_to_num(came) / mean) - 1 + 1 / (9 * shape)) * 3 * np.sqrt(shape)
    return np.asarray(np.quantile(deviate[np.isfinite(came)], LEVELS))


def quantiles(rate: Floats, over: Floats, deviates: Floats, days: int) -> Floats:
    """float64[…, l] units of a lead time; rising with the level."""
    mean = (days * rate)[..., None]
    shape = mean / over[..., None]
    root = 1 - 1 / (9 * shape) + deviates / (3 * np.sqrt(shape))
    return np.asarray(mean * np.maximum(root, 0.0) ** 3)


def fit(data: Data, settings: Settings) -> Exportable:
    """See ``trainer.services``. Raises TooLittle."""
    panel = data.panel(MEASURES)
    split = int(np.searchsorted(panel.days, data.split_day))
    settings.say("held-out lead times", 0.1)
    told, naive = held_out(panel, split)
    settings.say("all days", 0.6)
    training = Training(
        data=settings.data, from_day=named(int(panel.days[0])), to_day=named(int(panel.days[-1])),
        rows=int(np.isfinite(panel.measures["units"]).sum()), entities=len(panel.keys),
        reason=settings.reason,
    )  # fmt: skip
    return exportable(panel, training, told, naive)


def held_out(panel: Panel, split: int) -> tuple[dict[str, float], dict[str, float]]:
    """Pinball and coverage of the lead times after ``split``; beside a normal of the last 28 days."""
    learnt, later = Learnt(Windows(panel, 0, split)), Windows(panel, split, len(panel.days))
    rates = later.rates()
    rate = learnt.rate(rates)
    units = np.nan_to_num(panel.measures["units"].astype(np.float64))
    daily = np.stack([units[:, at - PAST_DAYS : at].std(axis=1) for at in later.at], axis=1)
    z = np.array([velocity.normal_quantile(level) for level in LEVELS])
    mine, theirs = [], []
    for i, days in enumerate(LEADS):
        over = np.broadcast_to(learnt.over[:, [i]], rate.shape)
        mine.append(quantiles(rate, over, learnt.deviates[i], days))
        normal = (days * rates[:, :, 1])[..., None] + z * (daily * np.sqrt(days))[..., None]
        theirs.append(np.maximum(normal, 0.0))
    return judged(later, mine), judged(later, theirs)


def judged(windows: Windows, told: Sequence[Floats]) -> dict[str, float]:
    """Pinball and shares below of the quantiles ``told`` for each lead time: float64[k, o, l]."""
    found = [_judged(windows.came(days), q) for days, q in zip(LEADS, told, strict=True)]
    return _mean(found)


def _judged(came: Floats, found: Floats) -> dict[str, float]:
    told = {"pinball": float(np.nanmean(metrics.pinball_losses(came, found, LEVELS)))}
    known = np.isfinite(came)
    for i, level in enumerate(LEVELS):
        share = float((came[known] <= found[known][:, i]).mean())
        told[f"below_p{round(100 * level)}"] = share
    return told


def _mean(parts: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}


# -- the artifact -----------------------------------------------------------------------------------


def exportable(
    panel: Panel, training: Training, told: dict[str, float], naive: dict[str, float]
) -> Exportable:
    """The artifact of all days. Raises TooLittle."""
    d = len(panel.days)
    learnt = Learnt(Windows(panel, 0, d))
    side = side_of(panel, learnt)
    random = np.random.default_rng(1)
    golden = golden_rows(random.gamma(0.5, 20.0, (96, len(FEATURES))).astype(np.float32))
    picked = random.integers(0, len(side.values), len(golden))
    inputs = {"x": golden, "s": np.ascontiguousarray(side.values[picked])}
    return Exportable(
        service="inventory",
        kind="lead_time_gamma",
        entity="class",
        onnx_bytes=onnx(learnt),
        features=FEATURES,
        columns=columns(),
        training=training,
        golden_inputs=inputs,
        predict=lambda given: predict(learnt, given),
        side=side,
        metrics=told,
        baselines={"normal": naive},
        hyperparameters={f"weight_{name}": float(w) for name, w in
                         zip(("7d", "28d", "long"), learnt.weights, strict=True)},
        output_quantiles=quantiles21(predict(learnt, inputs), [c.name for c in columns()]),
        notes="Lead times in which stock ran out were left out. A class nobody knew counts as C, Z.",
        extra={"abc": ["A", "B", "C"], "xyz": ["X", "Y", "Z"],
               "pattern": ["smooth", "erratic", "intermittent", "lumpy"]},
    )  # fmt: skip


def side_of(panel: Panel, learnt: Learnt) -> Side:
    """Constants of every class; the last row, for everybody else, is the median class."""
    revenue = np.nan_to_num(panel.measures["revenue_cents"][:, -LONG_DAYS:].astype(np.float64))
    weekly = weeks_of(panel)
    rate = np.nan_to_num(metrics.mean_known(panel.measures["units"].astype(np.float64)[:, -LONG_DAYS:],
                                            axis=1))  # fmt: skip
    table = np.stack(
        [velocity.abc(revenue.sum(axis=1)), velocity.xyz(weekly), velocity.pattern(weekly),
         learnt.long(rate), np.ones(len(rate)), *learnt.over.T, *np.sqrt(learnt.over).T], axis=1,
    )  # fmt: skip
    over = np.median(learnt.over, axis=0)
    nobody = [velocity.C, velocity.Z, velocity.LUMPY, RATE_LEAST, 1.0, *over, *np.sqrt(over)]
    values = np.concatenate([table, np.array(nobody)[None]]).astype(np.float32)
    return Side(list(SIDE), [*panel.keys, ""], values)


def weeks_of(panel: Panel) -> Floats:
    """float64[k, w]: units of whole weeks counted back from the last day; NaN: unknown, no stock."""
    units = panel.measures["units"].astype(np.float64)
    units = np.where(np.nan_to_num(panel.measures["stockout"]) > 0, np.nan, units)
    w = units.shape[1] // 7
    return np.asarray(
        units[:, units.shape[1] - 7 * w :].reshape(len(units), w, 7).sum(axis=2), np.float64
    )


def predict(learnt: Learnt, inputs: dict[str, Float32]) -> Floats:
    """What the graph must answer: float64[n, o]."""
    x, s = (inputs[name].astype(np.float64) for name in ("x", "s"))
    x = np.where(x > 0, x, 0.0)
    week, month = (x[:, 0] + x[:, 1]) / 7, (x[:, 2] + x[:, 3]) / PAST_DAYS
    rate = np.stack([week, month], axis=1) @ learnt.weights[:2] + s[:, 3]
    parts = [s[:, :3]]
    for i, days in enumerate(LEADS):
        parts += [days * rate[:, None], quantiles(rate, s[:, 5 + i], learnt.deviates[i], days)]
    return np.concatenate(parts, axis=1)


def onnx(learnt: Learnt) -> bytes:
    """``x`` float32[n, 4], ``s`` float32[n, 9] -> ``y`` float32[n, 13]; see :func:`predict`.

    Every column is a cube, so that few nodes make all of them: with mean m = d · r of d days at rate r
    and variance v · m, the quantile m · (1 − v / 9m + z · √(v / m) / 3)³ is the cube of
    ∛d · (r^⅓ − v · r^−⅔ / 9d + z · √v · r^−⅙ / 3√d), and the mean that of ∛d · r^⅓.
    """
    g = Graph()
    c = g.constant
    there = g.node("Greater", "x", c(0.0))  # false for what is missing
    moved = g.node("Where", there, "x", c(0.0))
    letters, long, over = g.nodes("Split", 3, "s", g.axis(3, 1, 1 + 2 * len(LEADS)), axis=1)
    week, month, _ = learnt.weights
    rate = line(g, moved, np.array([[week / 7]] * 2 + [[month / PAST_DAYS]] * 2), long)
    powers = [1 / 3, *[-2 / 3] * len(LEADS), *[-1 / 6] * len(LEADS)]
    parts = g.node("Mul", g.node("Pow", rate, c(powers)), over)
    roots = g.node("Relu", line(g, parts, _roots(learnt)))
    y = g.node("Concat", letters, g.node("Pow", roots, c(3.0)), axis=1)
    return g.model({"x": ["n", len(FEATURES)], "s": ["n", len(SIDE)]}, {"y": (y, ["n", 3 + _TOLD])})


_TOLD = len(LEADS) * (1 + len(LEVELS))
"""Columns that are units."""


def _roots(learnt: Learnt) -> Floats:
    """float64[1 + 2 · leads, columns]: from the three terms to the cubic roots."""
    made = np.zeros((1 + 2 * len(LEADS), _TOLD))
    for i, days in enumerate(LEADS):
        first = i * (1 + len(LEVELS))
        told = slice(first + 1, first + 1 + len(LEVELS))
        made[0, first : told.stop] = np.cbrt(days)
        made[1 + i, told] = -np.cbrt(days) / (9 * days)
        made[1 + len(LEADS) + i, told] = np.cbrt(days) * learnt.deviates[i] / (3 * np.sqrt(days))
    return made
