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
from trainer.price_response import NOTHING, OWN, Response, Weeks, fit_response, weekly
from trainer.services import Settings, TooLittle

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]

FEATURES = ("price_last_cents", "price_list_cents")
SIDE = (
    "elasticity",
    "elasticity_sd",
    "base_price_cents",
    "price_low_cents",
    "price_high_cents",
    "evidence",
    "list_price",
    "category",
)
"""``list_price``: 1 where the posted price was learnt from. ``category``: number in ``extra``, -1: none."""
MEASURES = ("units", "stockout", "price_cents", "list_price_cents")
NOBODY_SD = 25.0
"""What is not known may be anything: the interval reaches the ends of every range."""
Z80 = 1.2815515655446004
ELASTICITY_ENDS = 10.0
LOG_ENDS = 4.0
"""Ratios stay within exp(-4) and exp(4)."""
LEAST_CENTS, MOST_CENTS = 1.0, 1e8
ROLLS = 8
"""Weeks foretold from one origin when the last fifth is held out."""
WEEKS_MIN = 26
CAVEAT = (
    "Observed prices are no experiment: an elasticity is biased towards 0 where prices followed "
    "expected demand, and away from 0 where the price paid fell with the quantity bought."
)


def columns() -> list[Column]:
    """Of the output ``y``."""
    ends = float(np.float32(np.exp(LOG_ENDS))) * 1.001
    made = [
        Column(name="evidence", unit="1", lowest=0.0, highest=2.0),
        Column(name="extrapolated", unit="1", lowest=0.0, highest=1.0),
    ]
    for name in ("elasticity", "units_ratio", *(change_name(c) for c in CHANGES)):
        low, high = (-ELASTICITY_ENDS, ELASTICITY_ENDS) if name == "elasticity" else (0.0, ends)
        made += [
            Column(name=f"{name}{tail}", unit="1", quantile=level, lowest=low, highest=high)
            for tail, level in (("", 0.5), ("_low", 0.1), ("_high", 0.9))
        ]
    return made


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
    values = np.concatenate([table, nobody]).astype(np.float32)
    return Side(list(SIDE), [*fitted.keys, ""], values)


def predict(inputs: dict[str, Float32]) -> Floats:
    """What the graph must answer: float64[n, o]."""
    x, s = (inputs[name].astype(np.float64) for name in ("x", "s"))
    mean, sd, base, low, high, evidence, posted, _ = s.T
    seen = np.where(posted > 0.5, x[:, 1], x[:, 0])
    usable = np.isfinite(seen) & (seen > 0)
    price = np.clip(np.where(usable, seen, base), LEAST_CENTS, MOST_CENTS)
    moved = np.log(price) - np.log(np.clip(base, LEAST_CENTS, MOST_CENTS))
    moved = np.where(base > 0, moved, 0.0)
    beyond = (price < low * 0.999) | (price > high * 1.001)
    ends = [np.clip(mean + z * sd, -ELASTICITY_ENDS, ELASTICITY_ENDS) for z in (0.0, -Z80, Z80)]
    made = [evidence, (beyond & (base > 0)).astype(np.float64), *ends]
    for step in (moved, *(np.full_like(moved, np.log1p(c / 100)) for c in CHANGES)):
        powers = [np.exp(np.clip(end * step, -LOG_ENDS, LOG_ENDS)) for end in ends]
        made += [powers[0], np.minimum(powers[1], powers[2]), np.maximum(powers[1], powers[2])]
    return np.stack(made, axis=1)


def onnx() -> bytes:
    """``x`` float32[n, 2], ``s`` float32[n, 8] -> ``y`` float32[n, o]; see :func:`predict`."""
    g = Graph()
    c = g.constant
    last, listed_ = g.nodes("Split", 2, "x", g.axis(1, 1), axis=1)
    mean, sd, base, low, high, evidence, posted, _ = g.nodes(
        "Split", len(SIDE), "s", g.axis(*[1] * len(SIDE)), axis=1
    )
    seen = g.node("Where", g.node("Greater", posted, c([[0.5]])), listed_, last)
    usable = g.node("Greater", seen, c([[0.0]]))  # false for NaN
    price = g.node("Where", usable, seen, base)
    ends_of = (c(LEAST_CENTS), c(MOST_CENTS))
    price = g.node("Clip", price, *ends_of)
    logs = [g.node("Log", v) for v in (price, g.node("Clip", base, *ends_of))]
    has_base = g.node("Greater", base, c([[0.0]]))
    moved = g.node("Where", has_base, g.node("Sub", *logs), c([[0.0]]))
    below = g.node("Less", price, g.node("Mul", low, c([[0.999]])))
    above = g.node("Greater", price, g.node("Mul", high, c([[1.001]])))
    beyond = g.node("And", g.node("Or", below, above), has_base)
    reach = g.node("Mul", sd, c([[0.0, -Z80, Z80]]))
    bounds = (c(-ELASTICITY_ENDS), c(ELASTICITY_ENDS))
    ends = g.node("Clip", g.node("Add", mean, reach), *bounds)
    y = g.node(
        "Concat", evidence, g.node("Cast", beyond, to=1), ends, _ratios(g, ends, moved), axis=1
    )
    return g.model({"x": ["n", 2], "s": ["n", len(SIDE)]}, {"y": (y, ["n", len(columns())])})


def _ratios(g: Graph, ends: str, moved: str) -> str:
    """float32[n, 3 * steps]: for the price as it is and each change the ratio, its low and its high.

    All steps in one go: at the edge a node takes as long for a whole row as for one number.
    """
    c, steps = g.constant, 1 + len(CHANGES)
    logs = np.repeat([0.0, *(np.log1p(change / 100) for change in CHANGES)], 3)
    as_it_is = c([[column < 3 for column in range(3 * steps)]], np.bool_)
    step = g.node("Where", as_it_is, moved, c(logs[None]))
    power = g.node("Mul", g.node("Gather", ends, g.axis(*[0, 1, 2] * steps), axis=1), step)
    ratio = g.node("Exp", g.node("Clip", power, c(-LOG_ENDS), c(LOG_ENDS)))
    swapped = [3 * (at // 3) + (0, 2, 1)[at % 3] for at in range(3 * steps)]
    other = g.node("Gather", ratio, g.axis(*swapped), axis=1)  # the middle beside itself
    high = c([[at % 3 == 2 for at in range(3 * steps)]], np.bool_)
    return g.node("Where", high, g.node("Max", ratio, other), g.node("Min", ratio, other))
