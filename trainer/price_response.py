"""Demand response to price: an elasticity a class, drawn towards its category's. No files, no ONNX.

Units of a week are ``exposure * exp(level + trend + season + covariates + elasticity * log price)``
with an error that is multiplicative, has the noise of counts below it, and remembers the week
before. Estimated by generalised estimating equations: quasi-likelihood with variance
``mu + tau mu^2`` and first-order autoregressive errors; every class has its own level, trend and
elasticity, a category shares season and covariates. All classes are solved at once: own parameters
are eliminated block by block, which leaves a small system a category.
Sources: Liang & Zeger, Longitudinal data analysis using generalized linear models, Biometrika 73
(1986); Prais & Winsten (1954) for the errors; Frisch & Waugh (1933) for the elimination.

Classes of a category are then drawn towards each other (``price_population.py``).

What identifies it: how units moved within one class when its own price moved, beyond trend and
season. That is no experiment. If prices were lowered because demand was expected to fall (or raised
before a feast that the season does not know), the elasticity is biased towards 0; if the price
paid fell because somebody bought many (quantity discounts), it is biased away from 0, so posted
prices are to be preferred to prices paid. Nothing here repairs that; the manifest says it.

Where a price never moved nothing is invented: the class answers its category's population, flagged,
if that is known, and otherwise nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainer.price_population import Population, populations_of, posterior_of
from trainer.price_weeks import Weeks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

YEAR_DAYS = 365.25
HARMONICS = 3
"""Of the year, where there are at least :data:`SEASON_WEEKS` weeks."""
SEASON_WEEKS = 78
WEEKS_MIN = 20
CHANGE = 0.01
"""Relative change of price that counts as one."""
CHANGES_MIN = 2
"""One step is as good as a change of level: two are the least that tell price from level."""
MOVED_SD = 0.01
"""Least deviation of the log price left over by level, trend and season …"""
MOVED_SHARE = 0.05
"""… and least share of its variance."""
TREND_SD, SHARED_SD = 0.3, 0.5
"""Weak priors: log units a year; log units a unit of a shared column."""
HALF_WEEKS, HALVES_MIN, APART_MAX = 39, 5, 6.0
"""Least weeks and classes to compare halves by; what is further apart counts as so far."""
STEPS = 10
HELD_WEEKS = 13
SMOOTHING = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Of the level's drift; chosen by what they foretell …"""
LEAD = 8
"""… so many weeks ahead."""
SMOOTHING_ASSUMED, GROWTH_ASSUMED = 0.2, 0.02
GROWN = (4, 8, 13, 26)
"""Leads, weeks, at which the growth of errors is measured."""
RHO_MAX = 0.95


# -- what was learnt --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Response:
    """Fitted: k classes; ``m`` shared columns."""

    keys: list[str]
    category: list[str]
    elasticity: Floats
    """float64[k]: posterior mean; NaN where nothing is known."""
    sd: Floats
    """float64[k]: posterior deviation; NaN where nothing is known."""
    own: Floats
    """float64[k]: the class's own estimate, before shrinkage; NaN where its price never moved."""
    own_sd: Floats
    evidence: Ints
    """int64[k]: :data:`NOTHING`, :data:`CATEGORY` or :data:`OWN`."""
    base_price_cents: Floats
    """float64[k]: geometric mean of the prices seen; NaN where none was."""
    price_low_cents: Floats
    price_high_cents: Floats
    """float64[k]: the range seen; beyond it an answer is an extrapolation."""
    populations: dict[str, Population]
    """Of the categories that are known; ``""``: the whole shop's."""
    level: Floats
    """float64[k, 2]: log units a week at the base price in mid-span, and its trend a year."""
    shared: dict[str, Floats]
    """float64[m] a category."""
    names: list[str]
    """Of the shared columns: seasonal terms, then covariates."""
    centre: dict[str, Floats]
    """float64[k] of each covariate: the class's mean, which stands for unknown."""
    tau: Floats
    """float64[k]: squared coefficient of variation beyond the noise of counts."""
    rho: Floats
    """float64[k]: what an error keeps of the week before's."""
    drift: Floats
    """float64[k]: smoothed log error at the end: how far the level has come since …"""
    noise: Floats
    """float64[k]: variance of the log error one week ahead, the noise of counts included …"""
    growth: Floats
    """float64[k]: … and the share of it that every further week adds."""
    last_day: Ints
    """int64[k]: the last counted week."""
    mid_day: float
    priced: bool

    def design(self, weeks: Weeks) -> Floats:
        """float64[k, w]: log units at exposure 1, without the drift at the end."""
        base = self.level[:, :1] + self.level[:, 1:] * _years(weeks.day, self.mid_day)
        columns = _shared(weeks, self.names, self.centre)
        weights = np.stack([self.shared[name] for name in self.category])
        base = base + np.einsum("kwm,km->kw", columns, weights)
        if not self.priced:
            return np.asarray(base)
        slope = np.nan_to_num(self.elasticity)[:, None]
        return np.asarray(base + slope * _moves(weeks.price_cents, self.base_price_cents))

    def forecast(self, weeks: Weeks) -> tuple[Floats, Floats]:
        """(float64[k, w] log units expected, float64[k, w] its deviation) at given prices.

        ``weeks`` come after what was fitted; their units are not looked at.
        """
        ahead = np.maximum((weeks.day[None] - self.last_day[:, None]) / 7, 1.0)
        exposure = np.log(np.where(weeks.exposure > 0, weeks.exposure, 1.0))
        mean = self.design(weeks) + exposure + self.drift[:, None]
        noise = self.noise[:, None] * (1 + self.growth[:, None] * (ahead - 1))
        moved = _moves(weeks.price_cents, self.base_price_cents) if self.priced else 0.0
        doubt = (np.nan_to_num(self.sd)[:, None] * moved) ** 2
        return mean, np.sqrt(noise + doubt)


def _moves(price_cents: Floats, base_cents: Floats) -> Floats:
    """float64[k, w]: log of price over base; 0 where either is unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.log(price_cents) - np.log(base_cents)[:, None]
    return np.where(np.isfinite(moved), moved, 0.0)


def _years(day: Ints, mid_day: float) -> Floats:
    return np.asarray((day[None] - mid_day) / YEAR_DAYS, np.float64)


def _shared(weeks: Weeks, names: Sequence[str], centre: Mapping[str, Floats]) -> Floats:
    """float64[k, w, m]"""
    k, w = weeks.units.shape
    angle = 2 * np.pi * weeks.day / YEAR_DAYS
    columns = []
    for name in names:
        kind, _, number = name.partition("_year_")
        if number:
            wave = (np.sin if kind == "sin" else np.cos)(angle * int(number))
            columns.append(np.broadcast_to(wave, (k, w)))
        else:
            values = weeks.covariates[name] - centre[name][:, None]
            columns.append(np.nan_to_num(values))
    return np.stack(columns, axis=-1) if columns else np.zeros((k, w, 0))


# -- fitting ----------------------------------------------------------------------------------------


Given = tuple[Floats, Floats]
"""(elasticity, deviation) float64[k]; NaN where nothing is told."""


def fit_response(
    weeks: Weeks, *, price: bool = True, harmonics: int = HARMONICS, given: Given | None = None
) -> Response:
    """Estimate every class. ``price`` False: the same model without price, to compare with.

    ``given``: elasticities that are taken as they are, so that somebody else's can be judged; all
    else is estimated with them.

    How the level drifts is learnt from the last quarter of the weeks, foretold by a fit that did
    not see them; with less than :data:`HELD_WEEKS` of them it is assumed.
    """
    scale = _instability(weeks, harmonics) if price else np.ones(len(weeks.keys))
    whole = _estimated(weeks, price, harmonics, scale, given)
    held = weeks.units.shape[1] // 4
    if held < HELD_WEEKS:
        error = _errors(whole, weeks)
        alpha = np.full(len(error), SMOOTHING_ASSUMED)
        noise, growth = _noise(error, _smoothed(error, alpha), 0, whole.category)
        growth = np.maximum(growth, GROWTH_ASSUMED)
    else:
        known = weeks.units.shape[1] - held
        error = _errors(_estimated(weeks.upto(known), price, harmonics, scale, given), weeks)
        alpha = _smoothing(error, known, whole.category)
        noise, growth = _noise(error, _smoothed(error, alpha), known, whole.category)
        error = _errors(whole, weeks)
    drift = _smoothed(error, alpha)[:, -1]
    return replace(whole, drift=drift, noise=noise, growth=growth)


def _instability(weeks: Weeks, harmonics: int) -> Floats:
    """float64[k]: by how much standard errors are too small, at least 1, pooled by category.

    Estimates of either half of the weeks should differ by their errors and no more. Where they differ
    by more, customers change or something else moved with the price, and every error grows by the
    same factor.
    Source: Birge, Phys. Rev. 40 (1932); the scale factor of the Particle Data Group's averages.
    """
    k, w = weeks.units.shape
    scale = np.ones(k)
    if w < 2 * HALF_WEEKS:
        return scale
    one, other = (
        _estimated(weeks.columns(part), True, harmonics, scale)
        for part in (slice(0, w // 2), slice(w // 2, w))
    )
    apart = (one.own - other.own) / np.sqrt(one.own_sd**2 + other.own_sd**2)
    square = np.minimum(apart**2, APART_MAX**2)
    names = np.array(weeks.category, dtype=np.str_)
    for chosen in [np.ones(k, np.bool_), *(names == name for name in sorted({*weeks.category}))]:
        known = square[chosen & np.isfinite(square)]
        if len(known) >= HALVES_MIN:
            scale[chosen] = max(1.0, float(np.sqrt(known.mean())))
    return scale


def _estimated(
    weeks: Weeks, price: bool, harmonics: int, scale: Floats, given: Given | None = None
) -> Response:
    """Everything but the drift of the level. ``scale``: of the standard errors."""
    prepared = _prepared(weeks, harmonics)
    state = _solved(prepared, price)
    moved = prepared.moved & price
    own = np.where(moved, state.slope, np.nan)
    own_sd = np.where(moved, state.slope_sd * scale, np.nan)
    populations = populations_of(weeks.category, own, own_sd)
    elasticity, sd, evidence = posterior_of(weeks.category, own, own_sd, populations)
    if given is not None:
        elasticity, sd = given
    state = _solved(prepared, price, fixed=np.nan_to_num(elasticity))
    low, high = _range(weeks)
    none = np.zeros(len(own))
    return Response(
        list(weeks.keys), list(weeks.category), elasticity, sd, own, own_sd, evidence,
        prepared.base_cents, low, high, populations, state.level, state.shared, prepared.names,
        prepared.centre, state.tau, state.rho, none, none, none, _last_day(prepared),
        prepared.mid_day, price,
    )  # fmt: skip


def _range(weeks: Weeks) -> tuple[Floats, Floats]:
    """Lowest and highest counted price of each class; NaN where there is none."""
    known = weeks.counted
    nobody = ~known.any(axis=1)
    low = np.where(known, weeks.price_cents, np.inf).min(axis=1)
    high = np.where(known, weeks.price_cents, -np.inf).max(axis=1)
    return np.where(nobody, np.nan, low), np.where(nobody, np.nan, high)


@dataclass(frozen=True, slots=True)
class _Prepared:
    weeks: Weeks
    counted: Bools
    groups: Ints
    labels: list[str]
    names: list[str]
    centre: dict[str, Floats]
    columns: Floats
    years: Floats
    move: Floats
    base_cents: Floats
    moved: Bools
    mid_day: float


def _prepared(weeks: Weeks, harmonics: int) -> _Prepared:
    counted = weeks.counted
    spans = int((weeks.day.max() - weeks.day.min()) // 7 + 1) if len(weeks.day) else 0
    waves = range(1, harmonics + 1) if spans >= SEASON_WEEKS else range(0)
    names = [f"{wave}_year_{n}" for n in waves for wave in ("sin", "cos")] + [*weeks.covariates]
    centre = {
        name: _mean(np.where(counted, values, np.nan)) for name, values in weeks.covariates.items()
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        log_price = np.where(counted, np.log(weeks.price_cents), np.nan)
    base = np.exp(_mean(log_price))
    labels, groups = np.unique(np.array(weeks.category, dtype=object).astype(str),
                               return_inverse=True)  # fmt: skip
    mid_day = float((weeks.day.min() + weeks.day.max()) / 2) if len(weeks.day) else 0.0
    columns = _shared(weeks, names, centre)
    move = np.where(counted, _moves(weeks.price_cents, base), 0.0)
    years = np.broadcast_to(_years(weeks.day, mid_day), counted.shape)
    return _Prepared(
        weeks, counted, groups.astype(np.int64), labels.tolist(), names, centre, columns, years,
        move, base, _has_moved(counted, move, years, columns), mid_day,
    )  # fmt: skip


def _mean(values: Floats) -> Floats:
    """float64[k] over the weeks, NaN where nothing is known."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    count = known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _has_moved(counted: Bools, move: Floats, years: Floats, columns: Floats) -> Bools:
    """bool[k]: price moved often enough, and otherwise than level, trend and season together."""
    order = np.cumsum(counted, axis=1) - 1
    previous = np.zeros_like(move)
    for k in range(len(move)):  # a row a class: its counted weeks one after the other
        seen = move[k, counted[k]]
        before = np.concatenate([seen[:1], seen[:-1]])
        previous[k, counted[k]] = before[order[k, counted[k]]] if len(seen) else 0.0
    changes = (counted & (np.abs(move - previous) >= CHANGE)).sum(axis=1)
    n = counted.sum(axis=1)
    weight = counted[..., None].astype(np.float64)
    x = np.concatenate([np.ones_like(move)[..., None], years[..., None], columns], axis=-1) * weight
    gram = np.einsum("kwp,kwq->kpq", x, x) + 1e-6 * np.eye(x.shape[-1])
    slope = np.linalg.solve(gram, np.einsum("kwp,kw->kp", x, move)[..., None])[..., 0]
    left = move - np.einsum("kwp,kp->kw", x, slope)
    freedom = np.maximum(n - x.shape[-1], 1)
    variance = (np.where(counted, left, 0.0) ** 2).sum(axis=1) / freedom
    total = (move**2).sum(axis=1) / np.maximum(n - 1, 1)
    return np.asarray(
        (n >= max(WEEKS_MIN, x.shape[-1] + 5))
        & (changes >= CHANGES_MIN)
        & (variance >= MOVED_SD**2)
        & (variance >= MOVED_SHARE * total)
    )


@dataclass(frozen=True, slots=True)
class _State:
    level: Floats
    slope: Floats
    slope_sd: Floats
    shared: dict[str, Floats]
    tau: Floats
    rho: Floats
    eta: Floats


def _solved(p: _Prepared, price: bool, fixed: Floats | None = None) -> _State:
    """Estimating equations, a few steps. ``fixed``: elasticities that are given, not estimated."""
    y = np.where(p.counted, p.weeks.units, 0.0)
    exposure = np.where(p.counted, p.weeks.exposure, 1.0)
    offset = np.zeros_like(y) if fixed is None else fixed[:, None] * p.move
    parts = [np.ones_like(y), p.years]
    penalty = [1e-8, TREND_SD**-2]
    if price and fixed is None:
        parts.append(p.move)
        penalty.append(1e-6)
    x = np.stack(parts, axis=-1)
    ridge = np.diag(penalty)
    start = np.log(np.maximum(y, 0) + 0.5) - np.log(exposure)
    mean = _mean(np.where(p.counted, start, np.nan))
    eta = np.where(p.counted, start, np.nan_to_num(mean)[:, None])
    tau, rho = np.full(len(y), 0.25), np.zeros(len(p.labels))
    z = eta
    for step in range(STEPS):
        mu = np.exp(np.clip(eta, -12, 30)) * exposure
        if step:
            z = eta + np.clip((y - mu) / mu, -1.0, 3.0)
        weight = np.where(p.counted, mu / (1.0 + tau[:, None] * mu), 0.0)
        if not step:
            weight = np.where(p.counted, 1.0 / (1.0 / (y + 0.5) + tau[:, None]), 0.0)
        beta, variance, shared = _step(p, x, z - offset, weight, rho, ridge)
        fitted = np.einsum("kwp,kp->kw", x, beta) + offset
        eta = fitted + np.einsum("kwm,km->kw", p.columns, shared[p.groups])
        mu = np.exp(np.clip(eta, -12, 30)) * exposure
        error = np.where(p.counted, np.clip(y / mu - 1.0, -1.0, 3.0), 0.0)
        count = np.maximum(p.counted.sum(axis=1) - x.shape[-1], 1)
        excess = (error**2 - np.where(p.counted, 1.0 / mu, 0.0)).sum(axis=1) / count
        tau = np.maximum(excess, 1e-4)
        rho = _remembered(p, error)
    scale = _dispersion(p, y, eta, exposure, tau, rho, x.shape[-1])
    has_slope = x.shape[-1] == 3
    return _State(
        beta[:, :2],
        beta[:, 2] if has_slope else np.zeros(len(y)),
        np.sqrt(variance[:, 2, 2] * scale) if has_slope else np.zeros(len(y)),
        {label: shared[i] for i, label in enumerate(p.labels)},
        tau,
        rho[p.groups],
        eta,
    )


def _step(
    p: _Prepared, x: Floats, z: Floats, weight: Floats, rho: Floats, ridge: Floats
) -> tuple[Floats, Floats, Floats]:
    """One weighted least squares: own float64[k, p], its covariance, shared float64[g, m]."""
    whiten = _Whitener(p, weight, rho)
    xs, zs, ss = whiten(x), whiten(z[..., None])[..., 0], whiten(p.columns)
    gram = np.linalg.inv(np.einsum("kwp,kwq->kpq", xs, xs) + ridge)
    cross = np.einsum("kwp,kwm->kpm", xs, ss)
    right = np.einsum("kwp,kw->kp", xs, zs)
    reduced = np.einsum("kwm,kwn->kmn", ss, ss) - np.einsum(
        "kpm,kpq,kqn->kmn", cross, gram, cross, optimize=True
    )
    target = np.einsum("kwm,kw->km", ss, zs) - np.einsum(
        "kpm,kpq,kq->km", cross, gram, right, optimize=True
    )
    m = ss.shape[-1]
    system = np.zeros((len(p.labels), m, m))
    wanted = np.zeros((len(p.labels), m))
    np.add.at(system, p.groups, reduced)
    np.add.at(wanted, p.groups, target)
    inverse = np.linalg.inv(system + SHARED_SD**-2 * np.eye(m)) if m else system
    shared = np.einsum("gmn,gn->gm", inverse, wanted)
    beta = np.einsum("kpq,kq->kp", gram, right - np.einsum("kpm,km->kp", cross, shared[p.groups]))
    lever = np.einsum("kpq,kqm->kpm", gram, cross)
    covariance = gram + np.einsum(
        "kpm,kmn,kqn->kpq", lever, inverse[p.groups], lever, optimize=True
    )
    return beta, covariance, shared


class _Whitener:
    """Rows by the root of their weight, less what the last counted week's row foretells."""

    def __init__(self, p: _Prepared, weight: Floats, rho: Floats) -> None:
        w = weight.shape[1]
        column = np.where(p.counted, np.arange(w), -1)
        before = np.maximum.accumulate(column, axis=1)
        self.last = np.concatenate([np.full((len(before), 1), -1), before[:, :-1]], axis=1)
        day = p.weeks.day
        gap = np.maximum((day[None] - day[np.maximum(self.last, 0)]) / 7, 1.0)
        kept = np.where(self.last >= 0, rho[p.groups][:, None] ** gap, 0.0)
        self.root = np.sqrt(weight)
        self.kept = np.where(p.counted, kept, 0.0)
        self.scale = 1.0 / np.sqrt(1.0 - self.kept**2)

    def __call__(self, rows: Floats) -> Floats:
        """``rows`` float64[k, w, c]"""
        weighted = rows * self.root[..., None]
        before = np.take_along_axis(weighted, np.maximum(self.last, 0)[..., None], axis=1)
        return np.asarray((weighted - self.kept[..., None] * before) * self.scale[..., None])


def _remembered(p: _Prepared, error: Floats) -> Floats:
    """float64[g]: correlation of errors of weeks that follow each other, pooled by category."""
    follow = p.counted[:, 1:] & p.counted[:, :-1] & (np.diff(p.weeks.day) <= 8)[None]
    scale = (error**2).sum(axis=1, keepdims=True) / np.maximum(
        p.counted.sum(axis=1, keepdims=True), 1
    )
    unit = error / np.sqrt(np.maximum(scale, 1e-12))
    both = np.where(follow, unit[:, 1:] * unit[:, :-1], 0.0).sum(axis=1)
    one = np.where(follow, (unit[:, 1:] ** 2 + unit[:, :-1] ** 2) / 2, 0.0).sum(axis=1)
    above, below = (np.bincount(p.groups, v, len(p.labels)) for v in (both, one))
    # Fitting a level and a trend takes memory out of short series: 4 / weeks (Kendall, 1954).
    classes = np.maximum(np.bincount(p.groups, minlength=len(p.labels)), 1)
    weeks = np.bincount(p.groups, p.counted.sum(axis=1), len(p.labels)) / classes
    rho = above / np.maximum(below, 1e-12)
    rho = rho + (1 + 4 * rho) / np.maximum(weeks, 20)
    return np.asarray(np.clip(np.where(below > 0, rho, 0.0), 0.0, RHO_MAX))


def _dispersion(
    p: _Prepared, y: Floats, eta: Floats, exposure: Floats, tau: Floats, rho: Floats, own: int
) -> Floats:
    """float64[k]: variance of the whitened errors against what the model says, at least 0.5."""
    mu = np.exp(np.clip(eta, -12, 30)) * exposure
    weight = np.where(p.counted, mu / (1.0 + tau[:, None] * mu), 0.0)
    error = np.clip(y / mu - 1.0, -1.0, 3.0)
    white = _Whitener(p, weight, rho)(error[..., None])[..., 0]
    freedom = np.maximum(p.counted.sum(axis=1) - own, 1)
    return np.asarray(np.maximum((white**2).sum(axis=1) / freedom, 0.5), np.float64)


def _last_day(p: _Prepared) -> Ints:
    column = np.where(p.counted, np.arange(p.counted.shape[1]), 0).max(axis=1)
    return np.asarray(p.weeks.day[column], np.int64)


def _errors(fitted: Response, weeks: Weeks) -> Floats:
    """float64[k, w]: log of units over what was expected of them; NaN where not counted."""
    counted = weeks.counted
    mu = np.exp(np.clip(fitted.design(weeks), -12, 30)) * np.where(counted, weeks.exposure, 1.0)
    units = np.where(counted, weeks.units, 0.0)
    return np.where(counted, np.log((units + 0.5) / (mu + 0.5)), np.nan)


def _smoothing(error: Floats, known: int, category: Sequence[str]) -> Floats:
    """float64[k]: each category's smoothing, the one that foretells what came after ``known`` best."""
    labels, groups = np.unique(np.array(category, dtype=np.str_), return_inverse=True)
    pooled = np.zeros((len(labels), len(SMOOTHING)))
    for i, alpha in enumerate(SMOOTHING):
        ahead = _ahead(error, _smoothed(error, np.full(len(error), alpha)), LEAD, known)
        np.add.at(pooled[:, i], groups, np.nansum(ahead**2, axis=1))
    return np.asarray(
        np.array(SMOOTHING, np.float64)[np.argmin(pooled, axis=1)[groups]], np.float64
    )


def _noise(
    error: Floats, level: Floats, known: int, category: Sequence[str]
) -> tuple[Floats, Floats]:
    """(noise, growth) of each class; see :class:`Response`. Growth is pooled by category."""
    labels, groups = np.unique(np.array(category, dtype=np.str_), return_inverse=True)
    leads = np.array([1, *GROWN])
    spent = np.stack([_mean(_ahead(error, level, lead, known) ** 2) for lead in leads])
    usual = np.nanmedian(spent[0]) if np.isfinite(spent[0]).any() else 1.0
    first = np.where(np.isfinite(spent[0]), spent[0], usual) + 1e-4
    ratio = spent[1:] / first
    steps = np.broadcast_to((leads[1:] - 1.0)[:, None], ratio.shape)
    usable = np.isfinite(ratio)
    above = np.where(usable, (np.nan_to_num(ratio) - 1) * steps * first, 0.0).sum(axis=0)
    below = np.where(usable, steps**2 * first, 0.0).sum(axis=0)
    slope = np.bincount(groups, above, len(labels)) / np.maximum(
        np.bincount(groups, below, len(labels)), 1e-12
    )
    return first, np.maximum(slope, 0.0)[groups]


def _smoothed(error: Floats, alpha: Floats) -> Floats:
    """float64[k, w]: the level after each week; a week without an error leaves it."""
    level = np.zeros_like(error)
    now = np.zeros(len(error))
    for week in range(error.shape[1]):
        now = now + alpha * np.where(np.isfinite(error[:, week]), error[:, week] - now, 0.0)
        level[:, week] = now
    return level


def _ahead(error: Floats, level: Floats, lead: int, known: int) -> Floats:
    """float64[k, ?]: what the level ``lead`` weeks before did not foretell, from ``known`` on."""
    first = max(known, lead)
    return error[:, first:] - level[:, first - lead : error.shape[1] - lead]
