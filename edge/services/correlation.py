"""Which influences move which classes, how many days later, and how sure that is. Pure; no causes.

Two series that both remember yesterday agree by chance far more often than tables of correlation
allow, and two that share a year's season agree without knowing each other. So:

1. Weekday, trend and the year's season (two harmonics; one year is the least for that) are taken out
   of every series by least squares. What they explain of units is told by itself, as ``season``.
2. What is left is prewhitened: each series, units and influence alike, is filtered by an autoregression
   of its own (Yule & Walker, order up to :data:`ORDER_MAX` by Akaike's criterion).
3. Of two unrelated prewhitened series, at least one of which is white, the correlations at different
   lags are independent and normal with variance 1 / n (Haugh, J. Am. Stat. Assoc. 71, 1976; Box &
   Jenkins 1970, ch. 11). A pair's p-value is that of its largest one among all lags (Sidak).
4. Of all pairs that are called discoveries a share of :data:`FDR` at most is expected to be false:
   Benjamini & Hochberg, and beside it Benjamini & Yekutieli, which holds whatever depends on whatever.

Units count by their square root, so that noise does not grow with the level. An effect is the change of
units, in percent, for one standard deviation of the influence's unforeseen part. Prices are set by
people who look at demand, so price and units moving together says nothing about what a change of price
would do (``pricing`` asks that).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.services.tails import Z80, chi2_tail, normal_tail, q_values

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FDR = 0.05
LAG_MAX = 14
ORDER_MAX = 7
DAYS_MIN = 84
"""Fewer days with both known are not tested."""
TAKEN_MIN = 20
"""Nor is a class that moved on fewer days."""
YEAR = 365.25
SEASON_DAYS = 365
GAP_SHARE = 0.3
"""Nor a series of which more than this share is not known."""
_CHUNK = 512
_COLUMNS = 12
"""Of the calendar, the year included."""


@dataclass(frozen=True, slots=True)
class Found:
    """Pairs that were tested, p of them: columns."""

    row: Ints
    """int64[p]: number of the class."""
    factor: Ints
    """int64[p]: number of the influence."""
    lag_days: Ints
    """int64[p]: units follow so many days later; the lag with the largest correlation."""
    r: Floats
    """float64[p]: correlation of the unforeseen parts at that lag."""
    effect: Floats
    """float64[p]: change of units, a share, for one standard deviation of the influence."""
    effect_low: Floats
    effect_high: Floats
    """80 %."""
    days: Ints
    """int64[p]: days with both known."""
    p: Floats
    q: Floats
    """Benjamini & Hochberg."""
    q_careful: Floats
    """Benjamini & Yekutieli."""

    def discoveries(self, fdr: float = FDR, *, careful: bool = False) -> Ints:
        """int64[?] positions, the surest first."""
        q = self.q_careful if careful else self.q
        hits = np.flatnonzero(q <= fdr)
        return np.asarray(hits[np.lexsort((-np.abs(self.r[hits]), self.p[hits]))], np.int64)


@dataclass(frozen=True, slots=True)
class Season:
    """What weekday and time of year explain of each class; k of them."""

    weekday: Floats
    """float64[k]: share of the variance; NaN: not tested."""
    year: Floats
    """float64[k]; NaN: less than a year is known."""
    weekday_p: Floats
    year_p: Floats
    weekday_q: Floats
    year_q: Floats


@dataclass(frozen=True, slots=True)
class Whitened:
    """Series without season, trend and memory."""

    noise: Floats
    """float64[n, t]: unforeseen part, unit variance, 0 where not known."""
    known: Bools
    """bool[n, t]"""
    tested: Bools
    """bool[n]"""
    scale: Floats
    """float64[n]: deviation of the unforeseen part before it was brought to 1."""
    level: Floats
    """float64[n]: mean of the series."""


def correlate(
    units: Floats,
    factors: Floats,
    first_day: int,
    own: Sequence[Floats] = (),
    lag_max: int = LAG_MAX,
) -> tuple[Found, Season]:
    """Test every class against every influence.

    ``units`` float64[k, t] by local day from ``first_day``, ``factors`` float64[f, t] the same for all
    classes, ``own`` further influences float64[k, t] of each class by itself (its price); NaN: not
    known. Influences are numbered ``factors`` first. About 10 s for 5,000 classes, ten influences
    and two years: in a thread.
    """
    whitened, season = whiten_units(units, first_day)
    shared = whiten(factors, first_day)
    parts = [_against(whitened, shared, lag_max)]
    for i, each in enumerate(own):
        mine = whiten(each, first_day)
        parts.append(_each_own(whitened, mine, len(factors) + i, lag_max))
    return _judged(whitened, parts), season


# -- making series white ----------------------------------------------------------------------------


def whiten_units(units: Floats, first_day: int) -> tuple[Whitened, Season]:
    """Units of k classes, by their square root, and what the calendar explains of them."""
    root = np.sqrt(np.maximum(units, 0.0))
    made = whiten(root, first_day)
    taken = (np.nan_to_num(units) > 0).sum(axis=1)
    made.tested[:] &= taken >= TAKEN_MIN
    made.noise[~made.tested] = 0.0
    return made, _season(root, made, first_day)


def whiten(series: Floats, first_day: int) -> Whitened:
    """Take calendar, trend and memory out of float64[n, t]."""
    n, t = series.shape
    known = np.isfinite(series)
    days = known.sum(axis=1)
    level = np.where(known, series, 0.0).sum(axis=1) / np.maximum(days, 1)
    tested = (days >= DAYS_MIN) & (days >= (1 - GAP_SHARE) * t)
    noise, scale = np.zeros((n, t)), np.zeros(n)
    basis = _calendar(first_day, t)
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        rest = _without(series[part], known[part], basis)
        white = _filtered(rest, known[part])
        deviation = np.sqrt((white**2).sum(axis=1) / np.maximum(days[part], 1))
        flat = deviation <= 1e-6 * (1 + np.abs(level[part]))
        tested[part] &= ~flat
        noise[part] = np.where(tested[part, None], white / np.where(flat, 1, deviation)[:, None], 0)
        scale[part] = deviation
    return Whitened(noise, known, tested, scale, level)


def _calendar(first_day: int, t: int) -> Floats:
    """float64[c, t]: one, trend, six weekdays, and the year's harmonics where a year is known."""
    day = first_day + np.arange(t)
    rows = [np.ones(t), np.linspace(-1, 1, t)]
    rows += [((day + 3) % 7 == w).astype(np.float64) for w in range(1, 7)]
    if t >= SEASON_DAYS:
        rows += _harmonics(day)
    return np.stack(rows)


def _harmonics(day: Ints) -> list[Floats]:
    turn = 2 * np.pi * day / YEAR
    return [f(k * turn) for k in (1, 2) for f in (np.cos, np.sin)]


def _without(series: Floats, known: Bools, basis: Floats) -> Floats:
    """Residuals of least squares on the basis, over what is known; 0 elsewhere.

    A slight ridge keeps series that are known on few weekdays from failing.
    """
    y = np.where(known, series, 0.0)
    w = known.astype(np.float64)
    gram = np.einsum("ct,nt,dt->ncd", basis, w, basis, optimize=True)
    gram += 1e-6 * np.eye(len(basis))
    right = y @ basis.T
    fitted = np.linalg.solve(gram, right[:, :, None])[:, :, 0] @ basis
    return np.where(known, y - fitted, 0.0)


def _filtered(rest: Floats, known: Bools) -> Floats:
    """Each row less what its own autoregression foretells; 0 where not known.

    Orders 0 to :data:`ORDER_MAX` by Levinson and Durbin's recursion, chosen by AIC row by row. A gap
    counts as its mean, 0, so it draws coefficients towards 0, never beyond.
    """
    n, t = rest.shape
    days = np.maximum(known.sum(axis=1), 1)
    gamma = np.stack([(rest[:, lag:] * rest[:, : t - lag]).sum(axis=1) / days
                      for lag in range(ORDER_MAX + 1)], axis=1)  # fmt: skip
    error = np.maximum(gamma[:, 0], 1e-300)
    phi = np.zeros((n, ORDER_MAX))
    best, best_phi = days * np.log(error), phi.copy()
    for p in range(1, ORDER_MAX + 1):
        before = phi[:, : p - 1]
        partial = (gamma[:, p] - (before * gamma[:, p - 1 : 0 : -1]).sum(axis=1)) / error
        partial = np.clip(partial, -0.999, 0.999)
        phi[:, : p - 1] = before - partial[:, None] * before[:, ::-1]
        phi[:, p - 1] = partial
        error = np.maximum(error * (1 - partial**2), 1e-300)
        told = days * np.log(error) + 2 * p
        better = told < best
        best = np.where(better, told, best)
        best_phi[better] = phi[better]
    white = rest.copy()
    for p in range(1, ORDER_MAX + 1):
        white[:, p:] -= best_phi[:, p - 1 : p] * rest[:, : t - p]
    return np.where(known, white, 0.0)


# -- the season by itself -----------------------------------------------------------------------------


def _season(root: Floats, made: Whitened, first_day: int) -> Season:
    """Chi-square tests of weekday (6) and year (4 columns) on series whose memory is filtered out.

    The columns go through the same filter as the series (Cochrane & Orcutt, 1949): then the errors are
    white, and twice the log of the ratio of their sums of squares is chi-square.
    """
    k, t = root.shape
    day = first_day + np.arange(t)
    weekday = np.stack([((day + 3) % 7 == w).astype(np.float64) for w in range(1, 7)])
    plain = np.stack([np.ones(t), np.linspace(-1, 1, t)])
    year = np.stack(_harmonics(day)) if t >= SEASON_DAYS else np.zeros((0, t))
    share = {name: np.full(k, np.nan) for name in ("weekday", "year")}
    p = {name: np.ones(k) for name in ("weekday", "year")}
    for start in range(0, k, _CHUNK):
        rows = start + np.flatnonzero(made.tested[start : start + _CHUNK])
        if not len(rows):
            continue
        y, known = root[rows], made.known[rows]
        full = _without(y, known, np.concatenate([plain, weekday, year]))
        memory = _memory(full, known)
        for name, left in (("weekday", year), ("year", weekday)):
            if name == "year" and not len(year):
                continue
            reduced = _without(y, known, np.concatenate([plain, left]))
            total = (reduced**2).sum(axis=1)
            gain = np.maximum(total - (full**2).sum(axis=1), 0.0)
            share[name][rows] = gain / np.maximum(total, 1e-12)
            columns = weekday if name == "weekday" else year
            statistic = _explained(y, known, plain, left, columns, memory)
            p[name][rows] = chi2_tail(statistic, len(columns))
    return Season(share["weekday"], share["year"], p["weekday"], p["year"],
                  q_values(p["weekday"]), q_values(p["year"]))  # fmt: skip


def _memory(rest: Floats, known: Bools) -> Floats:
    """float64[n]: each row's correlation with the day before."""
    both = known[:, 1:] & known[:, :-1]
    product = np.where(both, rest[:, 1:] * rest[:, :-1], 0.0).sum(axis=1)
    return np.asarray(np.clip(product / np.maximum((rest**2).sum(axis=1), 1e-12), -0.95, 0.95))


def _explained(
    y: Floats, known: Bools, plain: Floats, left: Floats, columns: Floats, memory: Floats
) -> Floats:
    """float64[n]: likelihood ratio of ``columns`` beside the others, all quasi-differenced by memory."""
    made = np.zeros(len(y))
    mean = np.where(known, y, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    filled = np.where(known, y, mean[:, None])
    for i in range(len(y)):
        rho = memory[i]
        basis = np.concatenate([plain, left, columns])
        use = known[i, 1:] & known[i, :-1]
        x = (basis[:, 1:] - rho * basis[:, :-1])[:, use].T
        z = (filled[i, 1:] - rho * filled[i, :-1])[use]
        small = len(plain) + len(left)
        sums = [_rest_of(x[:, :c], z) for c in (small, x.shape[1])]
        n = max(len(z) - x.shape[1], 1)
        made[i] = n * np.log(max(sums[0], 1e-300) / max(sums[1], 1e-300))
    return made


def _rest_of(x: Floats, z: Floats) -> float:
    gram = x.T @ x + 1e-9 * np.eye(x.shape[1])
    fitted = x @ np.linalg.solve(gram, x.T @ z)
    return float(((z - fitted) ** 2).sum())


# -- pairs --------------------------------------------------------------------------------------------

_Part = tuple[Ints, Ints, Ints, Floats, Ints, Ints]
"""(class, influence, lag, r, days, lags tried) of each pair."""


def _against(units: Whitened, shared: Whitened, lag_max: int) -> _Part:
    """Every tested class with every tested influence that all share."""
    rows, cols = np.flatnonzero(units.tested), np.flatnonzero(shared.tested)
    t = units.noise.shape[1]
    k, f = len(rows), len(cols)
    best = np.zeros((k, f))
    at, days = np.zeros((k, f), np.int64), np.zeros((k, f), np.int64)
    y, y_known = units.noise[rows], units.known[rows].astype(np.float64)
    x, x_known = shared.noise[cols], shared.known[cols].astype(np.float64)
    for lag in range(lag_max + 1):
        n = y_known[:, lag:] @ x_known[:, : t - lag].T
        r = (y[:, lag:] @ x[:, : t - lag].T) / np.maximum(n, 1)
        larger = np.abs(r) * np.sqrt(n) > np.abs(best) * np.sqrt(days)
        best, at = np.where(larger, r, best), np.where(larger, lag, at)
        days = np.where(larger, n.astype(np.int64), days)
    enough = days >= DAYS_MIN
    i, j = np.nonzero(enough)
    tried = np.full(len(i), lag_max + 1)
    return rows[i], cols[j], at[enough], best[enough], days[enough], tried


def _each_own(units: Whitened, own: Whitened, number: int, lag_max: int) -> _Part:
    """Every tested class with an influence of its own."""
    rows = np.flatnonzero(units.tested & own.tested)
    t = units.noise.shape[1]
    best, at = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    days = np.zeros(len(rows), np.int64)
    y, x = units.noise[rows], own.noise[rows]
    y_known, x_known = units.known[rows], own.known[rows]
    for lag in range(lag_max + 1):
        n = (y_known[:, lag:] & x_known[:, : t - lag]).sum(axis=1)
        r = (y[:, lag:] * x[:, : t - lag]).sum(axis=1) / np.maximum(n, 1)
        larger = np.abs(r) * np.sqrt(n) > np.abs(best) * np.sqrt(days)
        best, at = np.where(larger, r, best), np.where(larger, lag, at)
        days = np.where(larger, n, days)
    enough = days >= DAYS_MIN
    many = int(enough.sum())
    return (rows[enough], np.full(many, number), at[enough], best[enough], days[enough],
            np.full(many, lag_max + 1))  # fmt: skip


def _judged(units: Whitened, parts: Sequence[_Part]) -> Found:
    row, factor, lag, r, days, tried = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    left = np.maximum(days - _COLUMNS, 1)  # the calendar took its share of the freedom
    single = np.minimum(2 * normal_tail(np.abs(r) * np.sqrt(left)), 1.0)
    p = -np.expm1(tried * np.log1p(-np.minimum(single, 1 - 1e-16)))
    # d units / units = 2 d root / root
    one_sd = 2 * units.scale[row] / np.maximum(units.level[row], 1e-9)
    doubt = one_sd * Z80 / np.sqrt(np.maximum(days, 1))
    effect = one_sd * r
    return Found(
        row.astype(np.int64), factor.astype(np.int64), lag, r, effect, effect - doubt,
        effect + doubt, days, p, q_values(p), q_values(p, any_dependence=True),
    )  # fmt: skip


def joined(parts: Sequence[tuple[Found, Ints, Ints]]) -> Found:
    """Several tables as one, judged together: (found, its classes, its influences) with new numbers.

    Tables of different stores share a question, so they share one rate of false discoveries, too.
    """
    row = np.concatenate([rows[found.row] for found, rows, _ in parts])
    factor = np.concatenate([factors[found.factor] for found, _, factors in parts])
    p = np.concatenate([found.p for found, _, _ in parts])
    rest = {
        name: np.concatenate([getattr(found, name) for found, _, _ in parts])
        for name in ("lag_days", "r", "effect", "effect_low", "effect_high", "days")
    }
    return Found(
        row=row, factor=factor, p=p, q=q_values(p), q_careful=q_values(p, any_dependence=True), **rest
    )  # fmt: skip
