"""How grades fall, how well an item is, what people pay for a better one, and who is looked at next.

No clock and no prices of buying or selling (``lifecycle.py``): columns of n items in, columns out.
Grades are numbers from 1 (C-) to 9 (A+), in three groups: 0 is A, 1 is B, 2 is C.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.inference.velocity import normal_quantile
from edge.services.tails import q_values

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

GROUPS = ("a", "b", "c")
BEST, WORST = 9, 1
MIDDLE = np.array([8.0, 5.0, 2.0])
"""Grade that stands for a group an item is not in now."""
BETWEEN_B_AND_C = 3.5
STEP_DAYS = 90
"""What a model tells is so far ahead; one step of what follows is as long."""
HORIZONS_DAYS = (7, 14, 30, 60, 90, 180, 365)
"""Points of a degradation curve."""
PRIOR_ITEMS = 8.0
"""A group's own changes count for half where so many of its items are known."""


def group_of(grade: Floats) -> Ints:
    """int64[n]: 0 (A), 1 (B), 2 (C); -1: not graded.

    >>> group_of(np.array([9.0, 7.0, 6.0, 4.0, 3.0, 1.0, np.nan])).tolist()
    [0, 0, 1, 1, 2, 2, -1]
    """
    known = np.nan_to_num(np.asarray(grade, np.float64), nan=0.0)
    return np.where(known < WORST, -1, 2 - np.clip((known.astype(np.int64) - 1) // 3, 0, 2))


def shares_told(names: Sequence[str], values: Floats, grade: Floats) -> Floats:
    """float64[n, 3]: probability of each group ``STEP_DAYS`` ahead, out of a model's columns.

    ``names`` of the columns of ``values`` float64[n, o]. A model that joins two groups leaves open
    which: an item of one of them stays there, others go to the nearer. NaN where it says nothing.
    """
    out = np.full((len(grade), 3), np.nan)
    now = group_of(grade)
    told: dict[str, Floats] = {}
    for i, name in enumerate(names):
        if name.startswith("p_grade_") and name.endswith(f"_{STEP_DAYS}d"):
            told[name.removeprefix("p_grade_").removesuffix(f"_{STEP_DAYS}d")] = values[:, i]
    for i, group in enumerate(GROUPS):
        if group in told:
            out[:, i] = told[group]
    if "b_or_better" in told:
        out[:, 0] = np.where(now == 0, told["b_or_better"], 0.0)
        out[:, 1] = np.where(now == 0, 0.0, told["b_or_better"])
    if "b_or_worse" in told:
        out[:, 2] = np.where(now == 2, told["b_or_worse"], 0.0)
        out[:, 1] = np.where(now == 2, 0.0, told["b_or_worse"])
    total = out.sum(axis=1, keepdims=True)
    return np.asarray(out / np.where(total > 0, total, np.nan), np.float64)


def changes(group: Ints, after: Floats) -> Floats:
    """float64[3, 3]: from each group to each within one step, the mean of the items in it.

    A group of few items is held towards staying as it is, by ``PRIOR_ITEMS``.
    """
    made = np.eye(3)
    for g in range(3):
        of = (group == g) & ~np.isnan(after).any(axis=1)
        many = int(of.sum())
        if many:
            weight = many / (many + PRIOR_ITEMS)
            made[g] = weight * after[of].mean(axis=0) + (1 - weight) * made[g]
    return made


def held(after: Floats, group: Ints, share: Floats) -> Floats:
    """float64[n, 3]: of what a model tells (``after``) this share (float64[n]); the rest stays as it is.

    >>> held(np.array([[0.5, 0.5, 0.0]]), np.array([0]), np.array([0.2])).tolist()
    [[0.9, 0.1, 0.0]]
    """
    part = np.where(share < 1.0, share, 1.0)[:, None]
    return np.where(part < 1.0, part * after + (1.0 - part) * _now(group), after)


@dataclass(frozen=True, slots=True)
class Curve:
    """Grades ahead of n items at t points of time."""

    days: Floats
    """float64[t]"""
    shares: Floats
    """float64[n, t, 3]: probability of each group."""
    grade: Floats
    """float64[n, t]: expected grade."""
    threshold_days: Floats
    """float64[n]: when C is as likely as not; inf: not within the last step looked at; NaN: unknown."""


def curve(
    grade: Floats, after: Floats, change: Floats, days: Sequence[float] = HORIZONS_DAYS
) -> Curve:
    """What becomes of grades: ``after`` (float64[n, 3]) within the first step, then by ``change``.

    Between two steps probabilities go over evenly. An item stands for itself in its own group
    (its grade stays) and for the middle of a group it comes into.
    """
    group, at = group_of(grade), np.asarray(days, np.float64)
    now = _now(group)
    steps = [now, np.where(np.isnan(now), np.nan, after)]
    last = max(float(at.max(initial=0.0)), 2.0 * STEP_DAYS)
    while (len(steps) - 1) * STEP_DAYS < last:
        steps.append(steps[-1] @ change)
    stacked = np.stack(steps)  # [steps, n, 3]
    number = np.minimum((at // STEP_DAYS).astype(np.int64), len(steps) - 2)
    part = (at - number * STEP_DAYS) / STEP_DAYS
    shares = stacked[number] * (1 - part)[:, None, None] + stacked[number + 1] * part[:, None, None]
    shares = np.asarray(shares.transpose(1, 0, 2), np.float64)
    return Curve(
        days=at,
        shares=shares,
        grade=np.asarray((shares * _levels(grade, group)[:, None, :]).sum(axis=2), np.float64),
        threshold_days=_until_half(stacked[:, :, 2]),
    )


def _now(group: Ints) -> Floats:
    return np.where(group[:, None] >= 0, np.eye(3)[np.maximum(group, 0)], np.nan)


def _levels(grade: Floats, group: Ints) -> Floats:
    levels = np.tile(MIDDLE, (len(grade), 1))
    known = np.flatnonzero(group >= 0)
    levels[known, group[known]] = grade[known]
    return levels


def _until_half(worst: Floats) -> Floats:
    """float64[n]: days until a probability, float64[steps, n], first reaches one half."""
    days = np.full(worst.shape[1], np.inf)
    for step in range(1, len(worst)):
        before, after = worst[step - 1], worst[step]
        reached = np.isinf(days) & (after >= 0.5)
        rise = np.where(after > before, after - before, 1.0)
        within = np.clip((0.5 - before) / rise, 0.0, 1.0)
        days[reached] = ((step - 1 + within) * STEP_DAYS)[reached]
    days[worst[0] >= 0.5] = 0.0
    days[np.isnan(worst).any(axis=0)] = np.nan
    return days


# --- without a model -----------------------------------------------------------------------------


def wear(grade: Floats, used_days: Floats, cls: Ints, classes: int) -> Floats:
    """float64[classes]: grades that items of a class lose for a day of use, never below 0.

    A line through its items' grades over their days of use, held towards the line of all items by
    as much as ``PRIOR_ITEMS`` items of their spread. NaN: nothing varies anywhere.
    """
    known = ~np.isnan(grade) & ~np.isnan(used_days) & (cls >= 0)
    grade, used, cls = grade[known], used_days[known], cls[known]
    many = np.bincount(cls, minlength=classes).astype(np.float64)
    mean = [
        np.bincount(cls, weights=v, minlength=classes) / np.maximum(many, 1) for v in (grade, used)
    ]
    off_grade, off_used = grade - mean[0][cls], used - mean[1][cls]
    xx = np.bincount(cls, weights=off_used * off_used, minlength=classes)
    xy = np.bincount(cls, weights=off_used * off_grade, minlength=classes)
    if xx.sum() <= 0:
        return np.full(classes, np.nan)
    all_items = xy.sum() / xx.sum()
    held = PRIOR_ITEMS * xx.sum() / max(len(grade), 1)
    return np.asarray(np.maximum(-(xy + held * all_items) / (xx + held), 0.0), np.float64)


def worn(
    grade: Floats, loss_a_day: Floats, days: Sequence[float] = HORIZONS_DAYS
) -> tuple[Floats, Floats]:
    """(float64[n, t] grade on each day, float64[n] days until C) where grades fall evenly."""
    at = np.asarray(days, np.float64)
    path = np.maximum(grade[:, None] - loss_a_day[:, None] * at[None, :], float(WORST))
    with np.errstate(divide="ignore", invalid="ignore"):
        until = np.where(loss_a_day > 0, (grade - BETWEEN_B_AND_C) / loss_a_day, np.inf)
    return path, np.where(np.isnan(grade), np.nan, np.maximum(until, 0.0))


def shares_of(path: Floats) -> Floats:
    """float64[n, t, 3]: groups of grades that lie between two: float64[n, t], the nearer counts more.

    >>> shares_of(np.array([[7.0, 6.75, 3.5]])).tolist()
    [[[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.0, 0.5, 0.5]]]
    """
    below = np.floor(path)
    part = (path - below)[..., None]
    each = np.eye(3)
    low, high = each[group_of(below)], each[group_of(np.minimum(below + 1, BEST))]
    return np.asarray((1 - part) * low + part * high, np.float64)


# --- health ----------------------------------------------------------------------------------------

HEALTH_PARTS: tuple[tuple[str, float], ...] = (
    ("condition", 0.40),
    ("reliability", 0.30),
    ("defects", 0.15),
    ("wear", 0.15),
)
"""Parts of the health score and their weights."""
DEFECTS_MOST = 3
"""So many open defects count as all."""


def health(
    grade: Floats, chance: Floats, defects: Ints, spent: Floats
) -> tuple[Floats, Floats, Floats]:
    """(float64[n] score 0 to 100, float64[n, 4] its parts 0 to 1, float64[n] weight of known parts).

    ``chance``: of a failure or repair within 30 days; ``defects``: how many are open; ``spent``:
    share of the life (or of the worth, in repairs) that is used up. A part that is not known (NaN)
    is left out and the others count for it.

    >>> score, parts, known = health(np.array([9.0]), np.array([0.0]), np.array([0]), np.array([0.0]))
    >>> score.tolist(), known.tolist()
    ([100.0], [1.0])
    """
    parts = np.column_stack(
        [
            (grade - WORST) / (BEST - WORST),
            1.0 - chance,
            1.0 - np.minimum(defects, DEFECTS_MOST) / DEFECTS_MOST,
            1.0 - np.clip(spent, 0.0, 1.0),
        ]
    )
    weight = np.array([w for _, w in HEALTH_PARTS])
    known = np.where(np.isnan(parts), 0.0, weight)
    total = known.sum(axis=1)
    score = np.nansum(parts * weight, axis=1) / np.where(total > 0, total, np.nan)
    return np.round(100.0 * score, 6), parts, total


# --- what a grade is worth to customers ----------------------------------------------------------

ITEMS_LEAST = 8
"""A relation of price and grade is told from so many items."""


@dataclass(frozen=True, slots=True)
class Relation:
    """Price paid against grade in one class."""

    items: int
    """Items whose grade and price are known."""
    refused: str
    """Why nothing is said; empty: something is."""
    per_grade: float = math.nan
    """Change of the price for one grade better, as a share of it."""
    low: float = math.nan
    high: float = math.nan
    """Ends of the 95 % interval of it."""
    explained: float = math.nan
    """Share of the variance of (logarithmic) prices that grades explain."""
    p_value: float = math.nan
    """Chance of a slope as far from zero if there were none."""

    @property
    def seen(self) -> bool:
        """Whether the interval leaves zero out."""
        return not self.refused and (self.low > 0 or self.high < 0)


def price_relation(grade: Floats, price: Floats, weight: Floats) -> Relation:
    """Weighted least squares of log price on grade, over the items of one class.

    ``price``: mean price paid for a rental of each item; ``weight``: rentals it is the mean of.
    """
    ok = ~np.isnan(grade) & (price > 0) & (weight > 0)
    x, y, w = grade[ok], np.log(price[ok]), weight[ok]
    n = len(x)
    if n < ITEMS_LEAST:
        return Relation(n, f"{n} items with a grade and a price; it takes {ITEMS_LEAST}")
    if np.ptp(x) == 0:
        return Relation(n, "all items have the same grade")
    if np.ptp(y) < 1e-9:
        return Relation(n, "all items are rented at the same price")
    w = w / w.mean()
    mx, my = np.average(x, weights=w), np.average(y, weights=w)
    sxx = float((w * (x - mx) ** 2).sum())
    syy = float((w * (y - my) ** 2).sum())
    slope = float((w * (x - mx) * (y - my)).sum()) / sxx
    left = max(syy - slope * slope * sxx, 0.0)
    error = t_quantile(0.975, n - 2) * math.sqrt(left / (n - 2) / sxx)
    return Relation(
        items=n,
        refused="",
        per_grade=math.expm1(slope),
        low=math.expm1(slope - error),
        high=math.expm1(slope + error),
        explained=1.0 - left / syy,
        p_value=t_two_sided(slope / math.sqrt(max(left, 1e-300) / (n - 2) / sxx), n - 2),
    )


def price_shares(found: Sequence[Relation], usual: Sequence[float]) -> Floats:
    """float64[k, 3]: what customers pay for grade A, B, C, of k classes, as shares of A's price.

    The configured shares, moved towards what a class's prices say as their items outnumber
    ``PRIOR_ITEMS``; nobody pays more for a worse grade.

    >>> same = Relation(24, "", 0.0, -0.01, 0.01, 0.0)
    >>> price_shares([same, Relation(0, "too few")], (1.0, 0.95, 0.8)).round(3).tolist()
    [[1.0, 0.987, 0.946], [1.0, 0.95, 0.8]]
    """
    prior = np.log(np.maximum(np.asarray(usual, np.float64), 1e-6))
    steps = MIDDLE - MIDDLE[0]
    made = np.tile(prior, (len(found), 1))
    for i, relation in enumerate(found):
        if not relation.refused:
            weight = relation.items / (relation.items + PRIOR_ITEMS)
            told = prior[0] + max(math.log1p(relation.per_grade), 0.0) * steps
            made[i] = weight * told + (1 - weight) * prior
    return np.asarray(np.exp(made), np.float64)


def t_quantile(q: float, freedom: int) -> float:
    """Quantile of Student's t, within 0.001 from 5 degrees of freedom on.

    Source: R. A. Fisher and E. A. Cornish, Technometrics 2 (1960).

    >>> round(t_quantile(0.975, 10), 3)
    2.228
    """
    z, v = normal_quantile(q), float(freedom)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / v**i for i, term in enumerate(terms)))


def t_two_sided(t: float, freedom: int) -> float:
    """Chance of a Student's t as far from zero, within 2 % of itself from 6 degrees of freedom on.

    Source: D. L. Wallace, Annals of Mathematical Statistics 30 (1959).

    >>> round(t_two_sided(2.228, 10), 3)
    0.05
    """
    z = math.sqrt(freedom * math.log1p(t * t / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)
    return math.erfc(z / math.sqrt(2.0))


def false_shares(found: Sequence[Relation]) -> Floats:
    """float64[k]: share of false discoveries if each, and all surer ones, are believed; NaN: refused."""
    told = np.array([not relation.refused for relation in found], np.bool_)
    made = np.full(len(found), np.nan)
    if told.any():
        p = np.array([relation.p_value for relation in found], np.float64)[told]
        made[told] = q_values(p)
    return made


# --- who is looked at next -------------------------------------------------------------------------


def inspection_interval(
    rate_a_day: Floats, risk: float, shortest_days: float, longest_days: float
) -> Floats:
    """float64[n]: days between inspections so that something happens unseen with chance ``risk``.

    >>> inspection_interval(np.array([0.01, 0.0]), 0.1, 7.0, 180.0).round(2).tolist()
    [10.54, 180.0]
    """
    rate = np.maximum(np.nan_to_num(rate_a_day, nan=0.0), 1e-9)
    return np.clip(-math.log1p(-risk) / rate, shortest_days, longest_days)


@dataclass(frozen=True, slots=True)
class Inspections:
    """Who is due, in the order in which they should be looked at."""

    rows: Ints
    """int64[m] of the n items."""
    due_in_days: Floats
    """float64[m]: below 0 where it is overdue."""
    interval_days: Floats
    unseen: Floats
    """float64[m]: chance that something happened since the last look."""
    day: Ints
    """int64[m]: planned for, 0 is the first; -1: no time within the days asked for."""


def inspections(
    rate_a_day: Floats,
    since_days: Floats,
    at_stake: Floats,
    away: Mask,
    *,
    days: int,
    a_day: int,
    risk: float,
    shortest_days: float,
    longest_days: float,
) -> Inspections:
    """Items due within ``days``, those with most at stake first, ``a_day`` on each day.

    ``since_days``: since the last look (NaN: never, so due at once); ``at_stake``: money that a
    failure costs; ``away``: on rent, so seen when it returns.
    """
    interval = inspection_interval(rate_a_day, risk, shortest_days, longest_days)
    since = np.where(np.isnan(since_days), interval, since_days)
    due_in = interval - since
    unseen = -np.expm1(-np.maximum(np.nan_to_num(rate_a_day, nan=0.0), 0.0) * since)
    rows = np.flatnonzero((due_in < days) & ~away)
    worth = unseen[rows] * np.maximum(np.nan_to_num(at_stake[rows], nan=0.0), 1.0)
    rows = rows[np.lexsort((rows, -worth))]
    day = np.full(len(rows), -1, np.int64)
    opens = np.clip(np.ceil(due_in[rows]), 0, days - 1).astype(np.int64)
    for d in range(days):
        free = np.flatnonzero((day < 0) & (opens <= d))[:a_day]
        day[free] = d
    order = np.lexsort((np.arange(len(rows)), np.where(day < 0, days, day)))
    rows = rows[order]
    return Inspections(rows, due_in[rows], interval[rows], unseen[rows], day[order])
