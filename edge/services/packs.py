"""Service ``packs``: what goes out together, what packs earn, and which to make or to take apart. Pure.

No counting (``edge/features/pairs.py``) and no decision. Three questions, each answered by itself:

*What goes together?* :func:`co_demand` tests pairs of classes as ``trainer/packs.py`` does, on counts of
the edge's own days: Fisher's exact test, and what the sizes of documents alone explain (Chung & Lu,
2002); the larger p-value counts, and false discoveries are held at a share (Benjamini & Hochberg).

*What would a pack earn?* :func:`effects`. A pack takes ``D = discount x sum of prices`` off what its
classes cost apart. Who takes all of them anyway pays D less; who would have taken all but one is
offered that one D cheaper, and so many more take it as its elasticity says:
``R_i = (1 - D / price_i) ^ elasticity_i``. With J documents that hold all of them, a horizon's effect is
``J (sum_i (R_i - 1) (price_i - D - cost_i) - D + saving)``. J and the elasticities are beliefs (gamma,
normal); the effect is told with its 80 % interval and the chance that it is a gain. An elasticity is
that of all who ask for a class, taken here for those who hold the rest of the pack already: the
shop's own figures of an existing pack are worth more. A class of unknown elasticity has no R, so a
discounted pack with it has no expected effect, and none is invented.

*How old is a pack?* :func:`lifecycle` looks at weekly units against the shop's own weeks (so that a
season is no decline): a log-linear trend with quasi-Poisson errors that remember the week before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edge.services.tails import (
    Z80,
    hypergeometric_tail,
    normal_points,
    normal_tail,
    poisson_tail,
    q_values,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FDR = 0.05
DOCUMENTS_MIN = 5
"""Documents that a class must be in to be tested."""
DISCOUNTS = np.array([0.0, 0.05, 0.10, 0.15, 0.20])
"""Shares off the sum of prices that a new pack may take."""
CHANCE_ACT = 0.8
"""Least chance of a gain for a recommendation."""
CUT_MOST = 0.5
"""A discount of the pack that is more than this share of one class's price is reckoned as this."""
CLASSES_MAX = 8
"""Most classes of a pack."""
_POINTS = 256


def _deviates() -> Floats:
    """float64[1 + CLASSES_MAX, q]: normal deviates of the joint count and of each elasticity.

    Ranks of the additive recurrence on powers of the generalised golden ratio (x^(d+1) = x + 1), which
    fills d dimensions evenly (Roberts 2018, after Kronecker); each row alone is an even normal.
    """
    d = 1 + CLASSES_MAX
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (d + 1))
    steps = ratio ** -np.arange(1.0, d + 1)
    at = (0.5 + np.arange(1, _POINTS + 1)[None, :] * steps[:, None]) % 1
    return np.asarray(normal_points(_POINTS)[at.argsort(axis=1).argsort(axis=1)])


_NORMAL = _deviates()


# -- what goes together -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Together:
    """p pairs of classes; float64[p] each."""

    p: Floats
    q: Floats
    """The least share of false discoveries at which the pair would be one."""
    support: Floats
    confidence_ab: Floats
    confidence_ba: Floats
    lift: Floats
    """Documents with both over those that sizes and popularity alone explain."""
    lift_low: Floats
    lift_high: Floats
    """80 %: Garwood's interval, by Wilson and Hilferty's quantiles."""
    lift_plain: Floats
    """The textbook's: against independence."""


def co_demand(
    documents: Floats, lines: Floats, met: Floats, a: Floats, b: Floats, both: Floats,
    error: Floats, tests: int,
) -> Together:  # fmt: skip
    """Judge pairs. All float64[p]: of the pair's store ``documents``, classes in them and pairs of
    classes in them (``edge.features.pairs.TOTALS``); documents with ``a``, with ``b``; at most ``both``
    and at least ``error`` less hold both. ``tests``: how many pairs could have been seen.
    """
    least = np.maximum(both - error, 0.0)
    by_size = a * b * 2 * met / np.maximum(lines, 1) ** 2
    p = np.maximum(hypergeometric_tail(least, documents, a, b), poisson_tail(least, by_size))
    share = np.maximum(by_size, 1e-12)
    return Together(
        p,
        q_values(p, max(tests, len(p))),
        least / np.maximum(documents, 1),
        least / np.maximum(a, 1),
        least / np.maximum(b, 1),
        least / share,
        gamma_quantile(least, -Z80) / share,
        gamma_quantile(both + 1, Z80) / share,
        least * documents / np.maximum(a * b, 1),
    )


def gamma_quantile(shape: Floats, z: float | Floats) -> Floats:
    """Quantile of gamma(shape, 1) at the normal deviate ``z``; shape 0: 0.

    Wilson & Hilferty, PNAS 17 (1931); within 2 % from shape 3 on, between the 5 % and 95 % quantiles.
    """
    k = np.maximum(shape, 1e-9)
    root = 1 - 1 / (9 * k) + z / (3 * np.sqrt(k))
    return np.asarray(np.where(shape > 0, k * np.maximum(root, 0.0) ** 3, 0.0))


def chains(pairs: Sequence[tuple[int, int]], counts: Sequence[float], most: int = 50) -> list[
    tuple[int, int, int]
]:  # fmt: skip
    """Triples all three pairs of which are among ``pairs``, those with the most documents first.

    Only pairs are counted, so a triple is in at most as many documents as its rarest pair.
    """
    weight = {frozenset(pair): count for pair, count in zip(pairs, counts, strict=True)}
    near: dict[int, set[int]] = {}
    for one, other in pairs:
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)
    found = {}
    for one, other in pairs:
        for third in near[one] & near[other]:
            x, y, z = sorted((one, other, third))
            sides = (frozenset((x, y)), frozenset((x, z)), frozenset((y, z)))
            found[x, y, z] = min(weight[side] for side in sides)
    return sorted(found, key=lambda t: (-found[t], t))[:most]


# -- what a pack earns --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offers:
    """n packs, or packs that could be, of m classes at most; missing places are NaN everywhere."""

    seen: Floats
    """float64[n]: documents that held all of it; of an existing pack the units handed out."""
    seen_days: Floats
    """float64[n]: in so many days."""
    price_cents: Floats
    """float64[n, m]: of each class alone."""
    cost_cents: Floats
    """float64[n, m]: of one more unit; NaN: none (a rental comes back)."""
    elasticity: Floats
    elasticity_low: Floats
    elasticity_high: Floats
    """float64[n, m]: 80 %; NaN: not known."""
    most: Floats
    """float64[n]: documents of ``seen_days`` that could hold it at most (the rarest class's); NaN: no end."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Of having each pack rather than not, over the horizon; float64[n] each, NaN: not known."""

    mean_cents: Floats
    low_cents: Floats
    high_cents: Floats
    """80 %."""
    chance: Floats
    """That it is a gain."""
    loss: Floats
    """Chance that it is a loss; what is left is neither."""
    units: Floats
    """Packs handed out."""
    extra_units: Floats
    """Of them, those that would not have been taken together without the pack."""


def effects(
    offers: Offers,
    discount: Floats,
    horizon_days: float,
    saving_cents: float = 0.0,
    *,
    is_pack: bool = False,
) -> Effect:
    """What having each pack is worth at ``discount`` float64[n], shares of the sum of prices.

    ``saving_cents``: work saved by handing out one pack in the place of its parts. ``is_pack``: ``seen``
    counts packs at that discount, not documents without one.
    """
    n = len(offers.seen)
    member = np.isfinite(offers.price_cents)
    price = np.where(member, offers.price_cents, 1.0)
    cost = np.nan_to_num(offers.cost_cents)
    off = (discount * np.where(member, price, 0.0).sum(axis=1))[:, None]
    slopes = _slopes(offers)  # [n, m, q]
    cut = np.minimum(off / price, CUT_MOST)
    more = np.where(member[:, :, None], (1 - cut)[:, :, None] ** slopes - 1, 0.0)
    more = np.where((cut > 0)[:, :, None], more, 0.0)  # nothing off, nobody comes for it
    whole = 1 + more.sum(axis=1)
    rate = horizon_days / np.maximum(offers.seen_days, 1.0)
    joint = gamma_quantile((offers.seen + 0.5)[:, None], _NORMAL[:1]) * rate[:, None]
    if is_pack:
        joint = joint / whole
    most = np.where(np.isfinite(offers.most), offers.most, np.inf) * rate
    fits = np.minimum(np.maximum(most[:, None] / np.maximum(joint, 1e-12), 1.0), whole)
    squeeze = np.where(whole > 1, (fits - 1) / np.maximum(whole - 1, 1e-12), 1.0)
    more = more * squeeze[:, None, :]
    worth = np.where(member, price - off - cost, 0.0)
    extra = more.sum(axis=1)
    gain = joint * ((more * worth[:, :, None]).sum(axis=1) - off + saving_cents)
    known = (np.isfinite(offers.elasticity) | ~member).all(axis=1) | (discount == 0)
    known &= (member.sum(axis=1) > 1) & np.isfinite(offers.seen) & np.isfinite(discount)

    def told(values: Floats) -> Floats:
        return np.where(known, values, np.nan)

    if not n:
        return Effect(*(np.zeros(0) for _ in Effect.__slots__))
    low, high = np.quantile(gain, (0.1, 0.9), axis=1)
    return Effect(
        told(gain.mean(axis=1)), told(low), told(high), told((gain > 0).mean(axis=1)), told((gain < 0).mean(axis=1)),
        told((joint * (1 + extra)).mean(axis=1)), told((joint * extra).mean(axis=1)),
    )  # fmt: skip


def _slopes(offers: Offers) -> Floats:
    """float64[n, m, q]: equally likely elasticities, 0 at most."""
    m = offers.price_cents.shape[1]
    assert m <= CLASSES_MAX, m
    sd = (offers.elasticity_high - offers.elasticity_low) / (2 * Z80)
    slopes = offers.elasticity[:, :, None] + sd[:, :, None] * _NORMAL[None, 1 : m + 1]
    return np.asarray(np.clip(np.nan_to_num(slopes), -10.0, 0.0))


@dataclass(frozen=True, slots=True)
class Best:
    """The best of :data:`DISCOUNTS` for each of n packs that could be."""

    discount: Floats
    """float64[n]; NaN: what a discount would bring is not known."""
    effect: Effect
    create: Bools
    """bool[n]: likely enough a gain to be recommended."""


def best_discount(offers: Offers, horizon_days: float, saving_cents: float = 0.0) -> Best:
    """The discount with the highest expected effect; of equals the smallest."""
    n = len(offers.seen)
    tried = [effects(offers, np.full(n, d), horizon_days, saving_cents) for d in DISCOUNTS.tolist()]
    mean = np.stack([one.mean_cents for one in tried]) if n else np.zeros((len(DISCOUNTS), 0))
    likely = np.stack([one.chance for one in tried]) if n else mean
    worth = np.where(np.isfinite(mean) & (likely >= CHANCE_ACT) & (mean > 0), mean, -np.inf)
    fair = np.where(np.isfinite(mean), mean, -np.inf)
    create = np.asarray(np.isfinite(worth).any(axis=0))
    at = np.where(create, worth.argmax(axis=0), fair.argmax(axis=0))
    rows = np.arange(n)

    def chosen(name: str) -> Floats:
        return np.asarray(np.stack([getattr(one, name) for one in tried])[at, rows])

    effect = Effect(*(chosen(name) for name in Effect.__slots__))
    # nothing off and nothing saved is worth nothing, which needs no saying
    known = np.isfinite(fair[1:]).any(axis=0) | create
    effect = Effect(*(np.where(known, getattr(effect, n), np.nan) for n in Effect.__slots__))
    return Best(np.where(known, DISCOUNTS[at], np.nan), effect, create)


# -- how old a pack is --------------------------------------------------------------------------------

LAUNCH_WEEKS, TREND_WEEKS, TREND_LEAST, IDLE_WEEKS = 8, 26, 8, 8
TREND_FDR = 0.10


class Stage(IntEnum):
    """Of a pack's life."""

    UNKNOWN = 0
    LAUNCH = 1
    """Younger than eight weeks: too little to say more."""
    GROWTH = 2
    STEADY = 3
    DECLINE = 4
    IDLE = 5
    """Nobody took it for eight weeks."""


@dataclass(frozen=True, slots=True)
class Life:
    """Of n packs."""

    stage: Ints
    """int64[n]: :class:`Stage`."""
    growth: Floats
    """float64[n]: share by which units change a week, against the shop's; NaN: not known."""
    growth_sd: Floats
    p: Floats
    q: Floats
    """Least share of false trends at which this would be one, among all packs that were tested."""


def lifecycle(units: Floats, age_weeks: Floats, shop: Floats) -> Life:
    """``units`` float64[n, w] whole weeks, the newest last; ``age_weeks`` float64[n] since each began;
    ``shop`` float64[w]: everybody's units. NaN: not known.

    The trend is of ``units / shop`` over the last 26 weeks at most.
    """
    n, w = units.shape
    span = min(w, TREND_WEEKS)
    y, total = units[:, w - span :], shop[w - span :]
    lived = np.arange(span) >= span - np.minimum(np.floor(age_weeks), span)[:, None]
    use = np.isfinite(y) & lived & (total > 0)
    y = np.where(use, y, 0.0)
    slope, sd, freedom = _trend(y, use, np.where(total > 0, total, 1.0))
    tested = (freedom >= TREND_LEAST - 2) & (y.sum(axis=1) >= 5) & np.isfinite(sd) & (sd > 0)
    p = np.ones(n)
    p[tested] = 2 * normal_tail(_as_normal(np.abs(slope / sd)[tested], freedom[tested]))
    q = np.ones(n)
    q[tested] = q_values(p[tested])
    recent = np.where(use[:, -IDLE_WEEKS:], y[:, -IDLE_WEEKS:], 0.0).sum(axis=1)
    stage = np.full(n, int(Stage.STEADY))
    stage[(q <= TREND_FDR) & (slope > 0)] = Stage.GROWTH
    stage[(q <= TREND_FDR) & (slope < 0)] = Stage.DECLINE
    stage[(recent == 0) & use.any(axis=1)] = Stage.IDLE
    stage[age_weeks < LAUNCH_WEEKS] = Stage.LAUNCH
    stage[~use.any(axis=1) & ~(age_weeks < LAUNCH_WEEKS)] = Stage.UNKNOWN
    known = np.where(tested, 1.0, np.nan)
    return Life(stage, np.expm1(slope) * known, sd * known, p, q)


def _trend(y: Floats, use: Bools, exposure: Floats) -> tuple[Floats, Floats, Floats]:
    """(slope a week, its standard error, degrees of freedom) float64[n]: Poisson regression by IRLS.

    Errors: Pearson's dispersion (at least 1) times (1 + r) / (1 - r), r the correlation of neighbours.
    """
    n, w = y.shape
    t = np.arange(w) - (w - 1) / 2
    weight = use.astype(np.float64)
    rate = (y.sum(axis=1) + 0.5) / np.maximum((weight * exposure).sum(axis=1), 1e-9)
    level, slope = np.log(rate), np.zeros(n)
    for _ in range(25):
        mu = weight * np.exp(np.clip(level[:, None] + slope[:, None] * t, -50, 50)) * exposure
        s0, s1, s2 = mu.sum(axis=1), (mu * t).sum(axis=1), (mu * t * t).sum(axis=1)
        # half a unit of prior weight at no trend keeps empty ends from running away
        r0, r1 = ((y - mu) * weight).sum(axis=1), ((y - mu) * weight * t).sum(axis=1) - 0.5 * slope
        s2 = s2 + 0.5
        both = np.maximum(s0 * s2 - s1**2, 1e-12)
        level = level + np.clip((s2 * r0 - s1 * r1) / both, -1, 1)
        slope = np.clip(slope + np.clip((s0 * r1 - s1 * r0) / both, -0.5, 0.5), -2, 2)
    mu = weight * np.exp(np.clip(level[:, None] + slope[:, None] * t, -50, 50)) * exposure
    freedom = weight.sum(axis=1) - 2
    pearson = np.where(use, (y - mu) / np.sqrt(np.maximum(mu, 1e-9)), 0.0)
    spread = np.maximum((pearson**2).sum(axis=1) / np.maximum(freedom, 1), 1.0)
    neighbours = (pearson[:, 1:] * pearson[:, :-1]).sum(axis=1)
    r = np.clip(neighbours / np.maximum((pearson**2).sum(axis=1), 1e-9), 0.0, 0.8)
    s0, s1, s2 = mu.sum(axis=1), (mu * t).sum(axis=1), (mu * t * t).sum(axis=1)
    information = np.maximum(s2 - s1**2 / np.maximum(s0, 1e-9), 1e-9)
    return slope, np.sqrt(spread * (1 + r) / (1 - r) / information), freedom


def _as_normal(t: Floats, freedom: Floats) -> Floats:
    """The normal deviate as rare as Student's ``t``. Source: Wallace, Ann. Math. Stat. 30 (1959)."""
    v = np.maximum(freedom, 1.0)
    return np.asarray((8 * v + 1) / (8 * v + 3) * np.sqrt(v * np.log1p(t**2 / v)))


class Advice(IntEnum):
    """What would be best for an existing pack."""

    KEEP = 0
    WATCH = 1
    """It declines, a loss is more likely than not, or it is dearer than its parts apart."""
    DISSOLVE = 2


def dissolve(life: Life, effect: Effect, dearer: Bools) -> Ints:
    """int64[n]: :class:`Advice`; ``effect`` is that of having each pack, ``dearer``: bool[n], whether it
    costs more than its parts apart.

    Taken apart when having it is a loss with the chance :data:`CHANCE_ACT`, or when nobody takes it.
    What is just launched is let be, but for a price that makes no sense from the first day.
    """
    loss = np.nan_to_num(effect.loss)
    made = np.full(len(life.stage), int(Advice.KEEP))
    made[(life.stage == Stage.DECLINE) | (loss > 0.5)] = Advice.WATCH
    made[(loss >= CHANCE_ACT) | (life.stage == Stage.IDLE)] = Advice.DISSOLVE
    made[life.stage == Stage.LAUNCH] = Advice.KEEP
    made[dearer & (made == Advice.KEEP)] = Advice.WATCH
    return made
