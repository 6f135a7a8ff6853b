"""Price tests: which store charges which price when, how long it takes to know, and what is known. Pure.

No rows and no clock (``edge/ledger/price_tests.py`` keeps tests). A test lasts whole *blocks* of two
periods. Within a block every store charges both prices, one in each period:

- ``period``: all stores charge the same; a coin decides a block which price comes first.
- ``store``: the stores are split in two groups that charge different prices at the same time and swap
  with the period. So neither a good store nor a good week is taken for a good price, however few
  stores there are; two groups that never swap could not be told from two different groups.

Coins and groups come from the test's id by SHA-256: nobody chooses them, everybody finds the same.

A block gives one number: takings under the tested price less takings under the present one, both as
shares of what was expected of those stores on those weekdays before the test (``Expected``). Its mean
is 0 if the price makes no difference, whatever stores and weeks are like, and counts may be as
over-dispersed as they are: how far such numbers scatter is taken from themselves.

*Evidence* is the scale-free t-test martingale of Lai with a normal mixture over the effect: its value
E may be looked at after every block, and reaches 1 / alpha with probability alpha at most if there is no
difference; the interval that goes with it holds the truth at all times at once. Source: Wang & Ramdas,
Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance, 2023
(arXiv 2310.03722), after Lai, Ann. Stat. 4 (1976). Block differences are sums over days and stores, hence
nearly normal; the tests measure the rate of false alarms on over-dispersed counts.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Design = Literal["store", "period"]
CONTROL, TESTED, OUTSIDE = 0, 1, -1
"""Arms: the present price, the tested one; or no day of the test."""

ALPHA = 0.05
"""Probability of a difference being shown where there is none."""
POWER = 0.8
HARM_ALPHA = 0.2
"""A test is stopped for harm when the interval at this level lies below 0: of tests without any
difference it stops half so many at most, since the other half err upwards."""
BLOCKS_MAX = 52
BLOCKS_LEAST = 3
"""Fewer are never planned."""
SEEN_LEAST = 6
"""Blocks of the past that tell how they scatter; with fewer the scatter of counts is taken."""
ADHERENCE_LEAST = 0.8
"""Least share of the days on which the planned price was charged."""
_DRAWS, _SEED = 4_000, 20_260
_TINY = 1e-12


# -- who charges what, when -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """When which store charges which price."""

    id: str
    """Decides coins and groups."""
    design: Design
    stores: tuple[str, ...]
    first_day: int
    """Local day, counted from 1970-01-01."""
    period_days: int
    blocks: int
    washout_days: int = 0
    """First days of a period that do not count: customers still act on the price before."""

    @property
    def block_days(self) -> int:
        """Length of a block."""
        return 2 * self.period_days

    @property
    def last_day(self) -> int:
        """Last day of the last block."""
        return self.first_day + self.blocks * self.block_days - 1

    def complaint(self) -> str:
        """What is wrong with it; empty when nothing is."""
        if not self.stores or len(set(self.stores)) < len(self.stores):
            return "stores: name each store once"
        if self.design == "store" and len(self.stores) < 2:
            return "stores: a test by store needs two at least; test by period instead"
        if not 1 <= self.period_days <= 28:
            return "period_days: 1 to 28"
        if not 0 <= self.washout_days < self.period_days:
            return "washout_days: fewer than the period has"
        if not 2 <= self.blocks <= BLOCKS_MAX:
            return f"blocks: 2 to {BLOCKS_MAX}"
        return ""


def arm(layout: Layout, store: str, day: int) -> int:
    """:data:`CONTROL`, :data:`TESTED` or :data:`OUTSIDE`.

    >>> layout = Layout("T1", "store", ("north", "south"), 100, 7, 3)
    >>> sorted(arm(layout, store, 100) for store in layout.stores), arm(layout, "north", 99)
    ([0, 1], -1)
    """
    at = day - layout.first_day
    block, half = at // layout.block_days, at // layout.period_days % 2
    if store not in layout.stores or not 0 <= block < layout.blocks:
        return OUTSIDE
    turned = group(layout, store) if layout.design == "store" else 0
    return half ^ _coin(f"{layout.id}/{block}") ^ turned


def group(layout: Layout, store: str) -> int:
    """0 or 1: which half of the stores; the halves differ by one store at most."""
    return _ranked(layout.id, layout.stores).index(store) % 2


def counts(layout: Layout, day: int) -> bool:
    """Whether a day of the test is behind the washout of its period."""
    return (day - layout.first_day) % layout.period_days >= layout.washout_days


@lru_cache(maxsize=1_024)
def _ranked(name: str, stores: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(stores, key=lambda store: _hash(f"{name}/{store}")))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@lru_cache(maxsize=4_096)
def _coin(text: str) -> int:
    return _hash(text)[0] & 1


# -- what was expected, and what came ----------------------------------------------------------------


def expected(past: Floats, last_day: int) -> Floats:
    """float64[s, 7]: usual takings of each store by weekday, from past days float64[s, d].

    ``last_day`` is the day number of the last column; NaN: not known. Weekday 0 is a Monday. A weekday
    never seen gets the mean of the others; a store that never took anything gets 0 and tells nothing.
    """
    days = last_day - past.shape[1] + 1 + np.arange(past.shape[1])
    weekday = (days + 3) % 7
    made = np.zeros((len(past), 7))
    for w in range(7):
        mine = past[:, weekday == w]
        known = np.isfinite(mine)
        total = np.where(known, mine, 0.0).sum(axis=1)
        made[:, w] = np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
    whole = np.isfinite(made)
    mean = np.where(whole, made, 0.0).sum(axis=1) / np.maximum(whole.sum(axis=1), 1)
    return np.where(whole, made, mean[:, None])


def differences(layout: Layout, takings: Floats, usual: Floats) -> Floats:
    """float64[b]: each block's difference, a share of what was expected; NaN: it cannot be told.

    ``takings`` is float64[s, d] of the layout's stores from its first day on (NaN: not known, such as
    a day that the shop was closed), ``usual`` as :func:`expected` gives it. Blocks that are not whole
    are left out.
    """
    whole = min(takings.shape[1] // layout.block_days, layout.blocks)
    return _differences(layout, takings[:, : whole * layout.block_days], usual)


def _differences(layout: Layout, takings: Floats, usual: Floats) -> Floats:
    stores, width = takings.shape
    blocks = width // layout.block_days
    days = np.arange(width)
    weekday = (layout.first_day + days + 3) % 7
    known = np.isfinite(takings) & (days % layout.period_days >= layout.washout_days)
    shape = (stores, blocks, 2, layout.period_days)
    took = np.where(known, takings, 0.0).reshape(shape).sum(axis=3)
    hoped = np.where(known, usual[:, weekday], 0.0).reshape(shape).sum(axis=3)
    coins = np.array([_coin(f"{layout.id}/{b}") for b in range(blocks)], np.int64)
    if layout.design == "store":
        members = np.array([group(layout, store) for store in layout.stores])
    else:
        members = np.zeros(stores, np.int64)
    parts = []
    for g in range(int(members.max(initial=0)) + 1):
        mine = members == g
        with np.errstate(divide="ignore", invalid="ignore"):
            share = took[mine].sum(axis=0) / hoped[mine].sum(axis=0)  # [b, half]
        first = coins ^ g  # half 0 charges this arm
        sign = np.where(first == TESTED, 1.0, -1.0)
        parts.append(sign * (share[:, 0] - share[:, 1]))
    return np.asarray(np.mean(parts, axis=0)) if parts else np.zeros(0)


def levels(layout: Layout, takings: Floats, usual: Floats) -> tuple[float, float]:
    """(control, tested): takings as shares of what was expected, over all whole blocks; NaN: none."""
    whole = min(takings.shape[1] // layout.block_days, layout.blocks) * layout.block_days
    sums = np.zeros((2, 2))
    for s, store in enumerate(layout.stores):
        for d in range(whole):
            day = layout.first_day + d
            if counts(layout, day) and math.isfinite(takings[s, d]):
                sums[:, arm(layout, store, day)] += takings[s, d], usual[s, (day + 3) % 7]
    control, tested = (float(t / h) if h > 0 else math.nan for t, h in sums.T)
    return control, tested


# -- evidence ---------------------------------------------------------------------------------------


def evidence(total: Floats, squares: Floats, n: Floats, scale: float) -> Floats:
    """float64[…]: ln E after n differences with this sum and sum of squares.

    ``scale`` is the precision of the mixture: effects of ``1 / sqrt(scale)`` standard deviations are
    what it looks for. All differences 0 is no evidence.
    """
    mixed = squares - total**2 / (n + scale)
    some = squares > _TINY**2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(some, np.log(squares / np.maximum(mixed, squares * 1e-300)), 0.0)
    told = 0.5 * np.log(scale / (n + scale)) + 0.5 * n * ratio
    return np.where(some, told, np.minimum(told, 0.0))


def reach(n: int, scale: float, alpha: float) -> float:
    """Half the interval's width after n differences, in standard errors; infinite with too few."""
    if n < 2:
        return math.inf
    log_most = 2 / n * (math.log(1 / alpha) + 0.5 * math.log((n + scale) / scale))
    most = math.exp(min(log_most, 500.0))
    room = 1 - most * scale / (n + scale)
    return math.sqrt((n - 1) * (most - 1) / room) if room > 0 else math.inf


def interval(differences_: Floats, scale: float, alpha: float) -> tuple[float, float]:
    """The mean difference lies in here, at all times at once, with probability 1 - alpha at least."""
    n = len(differences_)
    wide = reach(n, scale, alpha)
    if not math.isfinite(wide):
        return -math.inf, math.inf
    middle = float(differences_.mean())
    error = float(differences_.std(ddof=1)) / math.sqrt(n)
    return middle - wide * error, middle + wide * error


# -- how long it takes, said beforehand ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spread:
    """How block differences scatter when nothing is tested."""

    sd: float
    """Share of what is expected; infinite: nothing is known."""
    blocks: int
    """Blocks of the past it was measured on; 0: it was reckoned from counts alone."""
    careful_sd: float
    """Upper end of its 80 % interval (one-sided): what the plan counts with."""


def spread(layout: Layout, past: Floats, last_day: int, units_per_day: float) -> Spread:
    """Lay the test over the past, where nothing was tested, and look how its numbers scatter.

    ``past`` is float64[s, d] takings up to ``last_day``. Past blocks hold everything that will disturb
    the test: over-dispersed counts, weeks, stores. With fewer than :data:`SEEN_LEAST` of them the
    scatter of counts speaks (``units_per_day``: of all stores together; variance over mean from the
    days themselves, at least 1). Never less than Poisson's.
    """
    half = max(layout.period_days - layout.washout_days, 1)
    units = max(units_per_day * half, _TINY)
    with np.errstate(invalid="ignore"):
        total = np.nansum(past, axis=0) if past.size else np.zeros(0)
    counting = math.sqrt(2 * _dispersion(total, units_per_day) / units)
    blocks = past.shape[1] // layout.block_days
    if blocks < SEEN_LEAST:
        return Spread(counting, 0, counting * 1.3) if units_per_day > 0 else Spread(
            math.inf, 0, math.inf
        )  # fmt: skip
    width = blocks * layout.block_days
    first = last_day - width + 1
    laid = Layout(f"{layout.id}/past", layout.design, layout.stores, first, layout.period_days,
                  blocks, layout.washout_days)  # fmt: skip
    found = _differences(laid, past[:, -width:], expected(past, last_day))
    found = found[np.isfinite(found)]
    if len(found) < SEEN_LEAST:
        return Spread(counting, 0, counting * 1.3)
    sd = max(math.sqrt(float((found**2).mean())), math.sqrt(2 / units))
    return Spread(sd, len(found), sd * _careful(len(found)))


def _dispersion(total: Floats, units_per_day: float) -> float:
    """Variance over mean of a day's units, takings standing for them; 1 at least."""
    mean = float(total.mean()) if len(total) else 0.0
    if len(total) < 14 or mean <= 0:
        return 2.0
    price = mean / max(units_per_day, _TINY)
    return max(float(total.var(ddof=1)) / (mean * price), 1.0)


def _careful(n: int) -> float:
    """How much larger the true deviation may be than one measured on n numbers, 80 %.

    Wilson & Hilferty's chi-square quantile, PNAS 17 (1931).
    """
    z = NormalDist().inv_cdf(0.2)
    share = (1 - 2 / (9 * n) + z * math.sqrt(2 / (9 * n))) ** 3
    return 1 / math.sqrt(max(share, 0.05))


def scale_for(effect: float, sd: float) -> float:
    """Precision of the mixture that looks for ``effect`` (a share) where differences scatter by ``sd``."""
    return min(max((sd / max(abs(effect), _TINY)) ** 2, 0.25), 400.0)


def blocks_needed(
    effect: float, sd: float, alpha: float = ALPHA, power: float = POWER
) -> int | None:
    """Fewest blocks after which ``effect`` is shown with probability ``power``; ``None``: too many.

    Played through with normal differences and the very rule that stops the test, the same draws each
    time.

    >>> blocks_needed(0.10, 0.10), blocks_needed(0.10, 0.30)
    (18, None)
    """
    if not (math.isfinite(sd) and effect):
        return None
    reached = chances(effect, sd, alpha)
    enough = np.flatnonzero(reached >= power)
    return max(int(enough[0]) + 1, BLOCKS_LEAST) if len(enough) else None


def chances(effect: float, sd: float, alpha: float = ALPHA) -> Floats:
    """float64[b]: probability that a true ``effect`` is shown after 1, 2 … :data:`BLOCKS_MAX` blocks."""
    drawn = abs(effect) / max(sd, _TINY) + _noise()
    n = np.arange(1.0, BLOCKS_MAX + 1)
    total = np.cumsum(drawn, axis=1)
    told = evidence(total, np.cumsum(drawn**2, axis=1), n, scale_for(effect, sd))
    shown = (told >= math.log(1 / alpha)) & (total > 0)
    return np.asarray(np.logical_or.accumulate(shown, axis=1).mean(axis=0))


@lru_cache(maxsize=1)
def _noise() -> Floats:
    return np.random.default_rng(_SEED).standard_normal((_DRAWS, BLOCKS_MAX))


# -- what is known now --------------------------------------------------------------------------------

Verdict = Literal["better", "worse", "no_difference_shown", "not_enough_data"]
Stop = Literal["", "shown", "harm", "loss", "planned", "not_charged"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What was stated before the test began."""

    alpha: float
    scale: float
    blocks: int
    """Planned."""
    effect: float
    """Least effect worth knowing, a share."""
    loss_most: float
    """Most that the tested price may have lost, in shares of a block's expected takings; 0: no end."""
    harm_alpha: float = HARM_ALPHA


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known after the blocks so far."""

    verdict: Verdict
    stop: Stop
    """Why the test ends; empty: it goes on."""
    blocks: int
    """Whole blocks that were looked at: up to the one that ended it."""
    effect: float
    """Mean difference, a share of what was expected; NaN before the first block."""
    low: float
    high: float
    """Its interval at 1 - alpha, right at all times; infinite ends: not enough blocks."""
    log_evidence: float
    """ln E; ln 20 shows a difference at alpha 5 %."""
    negligible: bool
    """Nothing was shown, and the interval holds no effect that was worth knowing."""


def judge(found: Sequence[float] | Floats, rule: Rule, adherence: float = 1.0) -> Judgement:
    """Go through the blocks in order and stop where the rule says so.

    Blocks that could not be told (NaN) are left out and do not count as planned ones.
    """
    all_ = np.asarray(found, np.float64)
    all_ = all_[np.isfinite(all_)]
    for n in range(1, len(all_) + 1):
        stop = _stop(all_[:n], rule)
        if stop:
            return _told(all_[:n], rule, stop if adherence >= ADHERENCE_LEAST else "not_charged")
    return _told(all_, rule, "")


def _stop(seen: Floats, rule: Rule) -> Stop:
    if _evidence_of(seen, rule.scale) >= math.log(1 / rule.alpha):
        return "shown"
    if interval(seen, rule.scale, rule.harm_alpha)[1] < 0:
        return "harm"
    if rule.loss_most > 0 and -float(seen.sum()) > rule.loss_most:
        return "loss"
    return "planned" if len(seen) >= rule.blocks else ""


def _evidence_of(seen: Floats, scale: float) -> float:
    n = np.array(float(len(seen)))
    return float(evidence(np.array(seen.sum()), np.array((seen**2).sum()), n, scale))


def _told(seen: Floats, rule: Rule, stop: Stop) -> Judgement:
    effect = float(seen.mean()) if len(seen) else math.nan
    low, high = interval(seen, rule.scale, rule.alpha)
    verdict: Verdict = "not_enough_data"
    if stop == "shown":
        verdict = "better" if effect > 0 else "worse"
    elif stop == "planned":
        verdict = "no_difference_shown"
    negligible = stop == "planned" and max(abs(low), abs(high)) < rule.effect
    told = _evidence_of(seen, rule.scale) if len(seen) else 0.0
    return Judgement(verdict, stop, len(seen), effect, low, high, told, negligible)


def adherence(layout: Layout, paid_cents: Floats, prices: tuple[float, float]) -> float:
    """Share of the days with a known price paid, on which it was nearer to the one that was planned.

    ``paid_cents`` is float64[s, d] from the first day on; ``prices`` are control and tested. 1 where
    nothing is known.
    """
    kept = told = 0
    for s, store in enumerate(layout.stores):
        for d in np.flatnonzero(np.isfinite(paid_cents[s])).tolist():
            charged = arm(layout, store, layout.first_day + d)
            if charged == OUTSIDE or not counts(layout, layout.first_day + d):
                continue
            near = abs(paid_cents[s, d] - prices[TESTED]) < abs(paid_cents[s, d] - prices[CONTROL])
            told += 1
            kept += int(near == (charged == TESTED))
    return kept / told if told else 1.0
