"""Service ``pricing``: the answer of units to price of every class, as a graph. No estimation here.

Estimated in ``trainer/price_response.py``, which says what identifies an elasticity and what does not.
The graph knows no class: what was learnt of each comes in as its constants (``SIDE``), so that a class
nobody has seen answers "nothing" (``evidence`` 0) and the widest interval there is.

Ratios are of expected units: ``units_ratio`` at the present price against the price the class used to
have (``base_price_cents``), ``units_ratio_<change>`` at a price that is changed by so many percent
against the present one. All are medians; ``_low`` and ``_high`` are the 10 % and 90 % quantiles of
what the elasticity may be. ``extrapolated`` is 1 where the price is outside of what was ever charged.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.inference.manifest import Column, Training
from edge.inference.pricing import CHANGES, change_name
from trainer.data import Data, named
from trainer.export import Exportable, Side, golden_rows, quantiles21
from trainer.onnx_graph import Graph
from trainer.panel import Panel
from trainer.price_population import NOTHING, OWN
from trainer.price_response import Response, fit_response
from trainer.price_weeks import Weeks, weekly
from trainer.services import Settings, TooLittle

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]

FEATURES = ("price_last_cents", "price_list_cents")
SEEN = (
    "elasticity",
    "elasticity_sd",
    "base_price_cents",
    "price_low_cents",
    "price_high_cents",
    "evidence",
    "list_price",
    "category",
)
"""``list_price``: 1 where the posted price was learnt from. ``category``: number in ``extra``, -1: none.
These are for people and for other services; what the graph needs is made of them beforehand."""
MEASURES = ("units", "stockout", "price_cents", "list_price_cents")
NOBODY_SD = 25.0
"""What is not known may be anything: the interval reaches the ends of every range."""
Z80 = 1.2815515655446004
ELASTICITY_ENDS = 10.0
LOG_ENDS = 4.0
"""Ratios stay within exp(-4) and exp(4)."""
LIVE = 4
"""Of the present price: three ratios, and whether it was never charged."""
STEEP = 2.0**40
"""An even power that makes 0 or endless of what is within ±1 and of what is not."""
ROLLS = 8
"""Weeks foretold from one origin when the last fifth is held out."""
WEEKS_MIN = 26
CAVEAT = (
    "Observed prices are no experiment: an elasticity is biased towards 0 where prices followed "
    "expected demand, and away from 0 where the price paid fell with the quantity bought."
)


def columns() -> list[Column]:
    """Of the output ``y``: first what does not depend on the present price."""
    ends = float(np.float32(np.exp(LOG_ENDS))) * 1.001
    made = [Column(name="evidence", unit="1", lowest=0.0, highest=2.0)]
    for name in ("elasticity", *(change_name(c) for c in CHANGES), "units_ratio"):
        low, high = (-ELASTICITY_ENDS, ELASTICITY_ENDS) if name == "elasticity" else (0.0, ends)
        made += [
            Column(name=f"{name}{tail}", unit="1", quantile=level, lowest=low, highest=high)
            for tail, level in (("", 0.5), ("_low", 0.1), ("_high", 0.9))
        ]
    return [*made, Column(name="extrapolated", unit="1", lowest=0.0, highest=1.0)]


STILL = tuple(column.name for column in columns()[:-LIVE])
"""Columns that are constants of a class."""
_PARTS = {
    "asked_above": 2,  # a price of x is looked at when it is above: endless for the one that is not
    "else": 2,  # what stands for a price that is not looked at, or not there: nothing, or the base
    "times": LIVE,  # price * times + plus: three times over the base, and where between low and high
    "plus": LIVE,
    "rising": LIVE,  # its power above the base price
    "falling": LIVE,  # and below
}
"""Further constants of a class, and how many of each."""
SIDE = (
    *STILL,
    *(f"{name}_{i}" for name, count in _PARTS.items() for i in range(count)),
    *(name for name in SEEN if name not in STILL),
)


def fit(data: Data, settings: Settings) -> Exportable:
    """See ``trainer.services``. Raises TooLittle."""
    panel = data.panel(MEASURES)
    weeks = weekly(panel)
    split = int(np.searchsorted(weeks.day, data.split_day))
    if split < WEEKS_MIN or len(weeks.day) - split < 2:
        raise TooLittle(f"{split} weeks before the held-out ones, {WEEKS_MIN} are needed at least")
    settings.say("held-out weeks", 0.1)
    told, naive = held_out(weeks, split)
    settings.say("all weeks", 0.6)
    fitted = fit_response(weeks)
    if not (fitted.evidence == OWN).any():
        raise TooLittle("no price moved often enough to learn from")
    found = exportable(fitted, listed(panel), training_of(weeks, int(panel.days[-1]), settings))
    return replace(
        found,
        metrics={**told, **found.metrics},
        baselines={"no_price": naive},
        extra={**found.extra, "held_out_weeks": len(weeks.day) - split},
    )


def training_of(weeks: Weeks, last_day: int, settings: Settings) -> Training:
    """What it learnt from; the last week may have begun only."""
    return Training(
        data=settings.data,
        from_day=named(int(weeks.day[0])),
        to_day=named(min(int(weeks.day[-1]) + 6, last_day)),
        rows=int(weeks.counted.sum()),
        entities=len(weeks.keys),
        reason=settings.reason,
    )


def listed(panel: Panel) -> NDArray[np.bool_]:
    """bool[k]: whether the posted price was learnt from (as ``weekly`` chooses)."""
    if "list_price_cents" not in panel.measures:
        return np.zeros(len(panel.keys), np.bool_)
    posted = np.isfinite(panel.measures["list_price_cents"])
    known = np.isfinite(panel.measures["units"])
    return np.asarray((posted | ~known).all(axis=1) & posted.any(axis=1))


# -- judging ----------------------------------------------------------------------------------------


def held_out(weeks: Weeks, split: int) -> tuple[dict[str, float], dict[str, float]]:
    """Metrics of log units from week ``split`` on: with price, and the same model without.

    Every :data:`ROLLS` weeks both are fitted anew on what was known and told the prices that came
    (quantities they are not told). ``coverage``: share within their 80 % intervals.
    """
    errors = []
    for price in (True, False):
        error, within = rolled(weeks, split, price=price)
        errors.append((error, within))
    both = np.isfinite(errors[0][0]) & np.isfinite(errors[1][0])
    return _told(*errors[0], both), _told(*errors[1], both)


def judged_with(weeks: Weeks, split: int, given: tuple[Floats, Floats]) -> dict[str, float]:
    """The same metrics with (elasticity, deviation) float64[k] that somebody else tells."""
    error, within = rolled(weeks, split, price=True, given=given)
    return _told(error, within, np.isfinite(error))


def rolled(
    weeks: Weeks,
    split: int,
    *,
    price: bool,
    ahead: int = ROLLS,
    given: tuple[Floats, Floats] | None = None,
) -> tuple[Floats, Floats]:
    """(error of log units, 1 within the 80 % interval) float64[k, w - split]; NaN: not counted.

    Only classes whose price had moved by then count: the others answer alike with and without.
    ``given``: see ``fit_response``.
    """
    error = np.full((len(weeks.keys), len(weeks.day) - split), np.nan)
    within = error.copy()
    for start in range(split, len(weeks.day), ahead):
        fitted = fit_response(weeks.upto(start), price=price, given=given)
        coming = weeks.columns(slice(start, start + ahead))
        mean, sd = fitted.forecast(coming)
        with np.errstate(divide="ignore"):
            off = np.log(np.maximum(coming.units, 0.5)) - mean
        moved = np.isfinite(fitted.own)[:, None] if price else True
        off = np.where(coming.counted & moved, off, np.nan)
        span = slice(start - split, start - split + ahead)
        error[:, span] = off
        within[:, span] = np.where(np.isfinite(off), np.abs(off) <= Z80 * sd, np.nan)
    return error, within


def _told(error: Floats, within: Floats, counted: NDArray[np.bool_]) -> dict[str, float]:
    if not counted.any():
        return {}
    off = error[counted]
    return {
        "mae": float(np.abs(off).mean()),
        "rmse": float(np.sqrt((off**2).mean())),
        "coverage": float(within[counted].mean()),
    }


# -- the artifact -----------------------------------------------------------------------------------


def exportable(fitted: Response, list_price: NDArray[np.bool_], training: Training) -> Exportable:
    """The artifact of a fitted response; ``metrics`` and ``baselines`` are the caller's to add."""
    labels = sorted({*fitted.category} - {""})
    side = side_of(fitted, list_price, labels)
    x = np.full((len(fitted.keys), len(FEATURES)), np.nan, np.float32)
    x[:, 0] = fitted.base_price_cents
    x[:, 1] = np.where(list_price, fitted.base_price_cents, np.nan)
    golden = golden_rows(np.concatenate([x, x * 0.5, x * 1.7]))
    picked = np.random.default_rng(1).integers(0, len(side.values), len(golden))
    picked[-1] = len(side.values) - 1
    inputs = {"x": golden, "s": np.ascontiguousarray(side.values[picked])}
    answers = predict(inputs)
    names = [column.name for column in columns()]
    return Exportable(
        service="pricing",
        kind="hierarchical_elasticity",
        entity="class",
        onnx_bytes=onnx(),
        features=FEATURES,
        columns=columns(),
        training=training,
        golden_inputs=inputs,
        predict=predict,
        side=side,
        metrics={
            "classes_own": float((fitted.evidence == OWN).sum()),
            "classes_nothing": float((fitted.evidence == NOTHING).sum()),
        },
        feature_quantiles=quantiles21(x, FEATURES),
        output_quantiles=quantiles21(answers, names),
        notes=CAVEAT,
        extra={
            "categories": labels,
            "populations": {
                name or "all": [p.mean, p.mean_sd, p.new_sd, p.classes]
                for name, p in fitted.populations.items()
            },
        },
    )


def side_of(fitted: Response, list_price: NDArray[np.bool_], labels: list[str]) -> Side:
    """Constants of every class; the last row, for everybody else, knows nothing."""
    known = fitted.evidence != NOTHING
    numbers = {name: float(i) for i, name in enumerate(labels)}
    table = np.stack(
        [
            np.where(known, fitted.elasticity, 0.0),
            np.where(known, fitted.sd, NOBODY_SD),
            np.nan_to_num(fitted.base_price_cents),
            np.nan_to_num(fitted.price_low_cents),
            np.nan_to_num(fitted.price_high_cents),
            fitted.evidence.astype(np.float64),
            list_price.astype(np.float64),
            [numbers.get(name, -1.0) for name in fitted.category],
        ],
        axis=1,
    )
    nobody = np.array([[0.0, NOBODY_SD, 0.0, 0.0, 0.0, NOTHING, 0.0, -1.0]])
    values = prepared(np.concatenate([table, nobody])).astype(np.float32)
    return Side(list(SIDE), [*fitted.keys, ""], values)


def prepared(seen: Floats) -> Floats:
    """float64[k, len(SIDE)] of float64[k, len(SEEN)]: all that can be known before a price is seen."""
    mean, sd, base, low, high, evidence, posted, _ = seen.T
    ends = [np.clip(mean + z * sd, -ELASTICITY_ENDS, ELASTICITY_ENDS) for z in (0.0, -Z80, Z80)]
    still = [evidence, *ends]
    for change in CHANGES:
        ratios = [np.exp(np.clip(e * np.log1p(change / 100), -LOG_ENDS, LOG_ENDS)) for e in ends]
        still += [ratios[0], np.minimum(*ratios[1:]), np.maximum(*ratios[1:])]
    based, zero, one = base > 0, np.zeros_like(base), np.ones_like(base)
    divisor, low, high = np.where(based, base, 1.0), low * 0.999, high * 1.001
    half = np.maximum((high - low) / 2, 1e-6)
    own = posted > 0.5
    parts = [
        *(np.where(mine, 0.0, np.finfo(np.float32).max) for mine in (~own, own)),
        *(np.where(mine, divisor, 0.0) for mine in (~own, own)),
        *([1 / divisor] * 3), np.where(based, 1 / half, 0.0),
        zero, zero, zero, np.where(based, -(high + low) / 2 / half, 0.0),
        *(np.where(based, ends[i], 0.0) for i in (0, 1, 2)), STEEP * one,
        *(np.where(based, ends[i], 0.0) for i in (0, 2, 1)), STEEP * one,
    ]  # fmt: skip
    rest = [seen[:, i] for i, name in enumerate(SEEN) if name not in STILL]
    return np.stack([*still, *parts, *rest], axis=1)


def predict(inputs: dict[str, Float32]) -> Floats:
    """What the graph must answer: float64[n, o]."""
    x, s = (inputs[name].astype(np.float64) for name in ("x", "s"))
    told = dict(zip(SIDE, s.T, strict=True))
    mean, sd, base, low, high, posted = (
        told[name]
        for name in ("elasticity", "elasticity_sd", "base_price_cents", "price_low_cents",
                     "price_high_cents", "list_price")
    )  # fmt: skip
    seen = np.where(posted > 0.5, x[:, 1], x[:, 0])
    price = np.where(seen > 0, seen, base)
    based = base > 0
    with np.errstate(divide="ignore"):
        moved = np.where(
            based, np.log(np.where(based, price, 1.0)) - np.log(np.where(based, base, 1.0)), 0.0
        )
    beyond = based & ((price < low * 0.999) | (price > high * 1.001))
    powers = []
    for z in (0.0, -Z80, Z80):
        end = np.clip(mean + z * sd, -ELASTICITY_ENDS, ELASTICITY_ENDS)
        powers.append(np.exp(np.minimum(end * moved, LOG_ENDS)))
    live = [powers[0], np.minimum(*powers[1:]), np.maximum(*powers[1:]), beyond.astype(np.float64)]
    return np.concatenate([s[:, : len(STILL)], np.stack(live, axis=1)], axis=1)


def onnx() -> bytes:
    """``x`` float32[n, 2], ``s`` float32[n, len(SIDE)] -> ``y`` float32[n, o]; see :func:`predict`.

    At the edge a node takes as long for a whole row as for one number: what depends on the present
    price is four powers of four numbers, made at once, and all else is ready among the constants.
    """
    g = Graph()
    c = g.constant
    sizes = (len(STILL), *_PARTS.values(), len(SIDE) - len(STILL) - sum(_PARTS.values()))
    still, asked, other, times, plus, rising, falling, _ = g.nodes(
        "Split", len(sizes), "s", g.axis(*sizes), axis=1
    )
    chosen = g.node("Where", g.node("Greater", "x", asked), "x", other)  # false for NaN
    price = g.node("ReduceSum", chosen, g.axis(1), keepdims=1)
    moved = g.node("Add", g.node("Mul", price, times), plus)
    power = g.node("Where", g.node("Greater", moved, c(1.0)), rising, falling)
    ends = c([*[np.exp(LOG_ENDS)] * (LIVE - 1), 1.0])
    live = g.node("Min", g.node("Pow", moved, power), ends)
    y = g.node("Concat", still, live, axis=1)
    return g.model({"x": ["n", 2], "s": ["n", len(SIDE)]}, {"y": (y, ["n", len(columns())])})
