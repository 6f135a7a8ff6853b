"""What will be asked for until an order arrives: demand over any span of days. No stock, no orders.

Three kinds of evidence, best first: ``model`` (what the inventory and demand models say of 7, 14 and
more days), ``history`` (sums over whole spans of the class's own days, without days that were sold
out) and ``simple`` (mean and deviation of a day, as seed 4's reorder logic has it), which speaks when
little is known. All give a :class:`Curve`, so that whoever asks need not know which it was. Of a class
that nobody watched for a week, and of which nothing moved, nothing is known: ``unknown``, no zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.services.counts import Floats, moments, z_of

Bools = NDArray[np.bool_]

KNOTS = (7, 14, 28, 91)
"""Days at which a curve is kept."""
LEVELS = (0.9, 0.95, 0.99)
"""Quantiles of the inventory model that a variance is read from."""
HISTORY_DAYS = 182
RATE_DAYS = (28, 91, 182)
"""The mean of a class is the mean of its means over so many days: neither deaf nor nervous."""
SIMPLE_DAYS = 90
KNOWN_DAYS_MIN = 28
MOVED_DAYS_MIN = 4
"""With fewer known days, or fewer days with demand, only the simple rule speaks."""
PRIOR_SPANS = 8.0
"""Separate spans that the sum of independent days counts for beside what was seen of whole spans."""

DRIFT = 0.1
"""Squared share by which a class's mean changes from one season to the next, where nothing is measured;
of 600 products of an online shop it was 0.13, of 60 bicycle stations 0.4, of 170 groceries 0.01."""
DRIFT_CLASSES = 5.0
"""Classes that ``DRIFT`` counts for beside those that were measured."""
DRIFT_DAYS = 14.0
"""Days after which it counts twice: what is further off has changed more."""

QUIET_DAYS_MIN = 7
"""Known days without any demand from which on it is believed that little is asked for."""

UNKNOWN, MODEL, HISTORY, SIMPLE = 3, 2, 1, 0
EVIDENCE = ("simple", "history", "model", "unknown")


@dataclass(frozen=True, slots=True)
class Curve:
    """Mean and variance of the units asked for in the first ``KNOTS`` days; float64[k, 4] each.

    The variance is what a forecaster must reckon with: chance, and not knowing the mean exactly.
    """

    mean: Floats
    variance: Floats

    @property
    def rate(self) -> Floats:
        """float64[k]: units a day over the next four weeks."""
        return np.asarray(self.mean[:, 2] / KNOTS[2], np.float64)

    def at(self, days: Floats | float, days_sd: Floats | float = 0.0) -> tuple[Floats, Floats]:
        """(mean, variance) float64[k] over ``days``, which themselves vary by ``days_sd``.

        Means are joined by straight lines, variances by powers of the time; beyond the last knot
        both go on as they came. Demand of a random time: ``Var = Var(D(E t)) + rate^2 Var(t)``.
        Source: Silver, Pyke & Thomas, Inventory and Production Management (2017), 6.10.
        """
        k = len(self.mean)
        d = np.broadcast_to(np.maximum(np.asarray(days, np.float64), 0.0), (k,))
        sd = np.broadcast_to(np.asarray(days_sd, np.float64), (k,))
        mean, variance = self._mean(d), self._variance(d)
        rate = np.where(d > 0, mean / np.where(d > 0, d, 1.0), self.rate)
        return moments(mean, variance + (rate * sd) ** 2)

    def rows(self, rows: NDArray[np.int64]) -> "Curve":
        """Some of the classes."""
        return Curve(self.mean[rows], self.variance[rows])

    def _mean(self, days: Floats) -> Floats:
        ends = np.array((0, *KNOTS), np.float64)
        amounts = np.concatenate([np.zeros((len(self.mean), 1)), self.mean], axis=1)
        part = np.clip(np.searchsorted(ends, days, side="left") - 1, 0, len(KNOTS) - 1)
        at = np.arange(len(days))
        low, high = ends[part], ends[part + 1]
        inside = amounts[at, part] + (amounts[at, part + 1] - amounts[at, part]) * (days - low) / (
            high - low
        )
        beyond = self.mean[:, -1] * days / KNOTS[-1]
        return np.asarray(np.where(days > KNOTS[-1], beyond, inside), np.float64)

    def _variance(self, days: Floats) -> Floats:
        """Straight from nothing to the first knot; powers of the time from there on."""
        at = np.arange(len(days))
        knots = np.array(KNOTS, np.float64)
        part = np.clip(np.searchsorted(knots, days, side="left"), 1, len(KNOTS) - 1)
        low, high = self.variance[at, part - 1], self.variance[at, part]
        steps = np.log(knots[part] / knots[part - 1])
        grown = np.log(np.maximum(high, 1e-300) / np.maximum(low, 1e-300)) / steps
        power = np.where((low > 0) & (high > 0), np.clip(grown, 0.0, 2.0), 1.0)
        beyond = days > knots[-1]
        power = np.where(beyond, np.clip(power, 1.0, 2.0), power)
        base, base_days = np.where(beyond, high, low), np.where(beyond, knots[-1], knots[part - 1])
        later = base * (np.maximum(days, 1e-9) / base_days) ** power
        return np.where(days <= knots[0], self.variance[:, 0] * days / knots[0], later)


def from_model(week: Floats, fortnight: Floats, ahead: Floats | None = None) -> Curve:
    """Curve of what models say.

    ``week`` and ``fortnight`` float64[k, 4]: the inventory model's mean and quantiles ``LEVELS`` of 7
    and 14 days; ``ahead`` float64[k, 2]: the demand model's mean of 28 and 91 days, where it speaks,
    NaN elsewhere.
    """
    mean = np.stack([week[:, 0], fortnight[:, 0]], axis=1)
    rate = mean[:, 1] / KNOTS[1]
    later = np.stack([rate * KNOTS[2], rate * KNOTS[3]], axis=1)
    if ahead is not None:
        known = np.isfinite(ahead)
        # never less than what the fortnight alone already needs
        told = np.maximum(np.where(known, ahead, 0.0), mean[:, 1:])
        later = np.where(known, told, later)
    means = np.maximum(np.concatenate([mean, later], axis=1), 0.0)
    first = _variance_of(week[:, 0], week[:, 1:], LEVELS)
    second = np.maximum(_variance_of(fortnight[:, 0], fortnight[:, 1:], LEVELS), first)
    ratio = np.where(first > 0, second / np.where(first > 0, first, 1.0), 2.0)
    power = np.clip(np.log2(ratio), 1.0, 2.0)
    grown = []
    for i in (2, 3):  # what a season adds to the mean it adds to the variance
        steady = rate * KNOTS[i]
        season = np.where(steady > 0, means[:, i] / np.where(steady > 0, steady, 1.0), 1.0)
        grown.append(second * (KNOTS[i] / KNOTS[1]) ** power * season)
    variance = np.stack([first, second, *grown], axis=1)
    return Curve(means, np.maximum(variance, means))


def _variance_of(mean: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    """float64[k]: variance of the gamma that has this mean and comes nearest to the quantiles.

    Wilson & Hilferty's quantile solved for ``s = sd / (3 mean)``: ``s^2 - z s + cbrt(q / m) - 1 = 0``;
    the deviations of the levels are averaged.
    """
    m = np.maximum(mean, 1e-9)
    found = np.zeros(len(m))
    for i, level in enumerate(levels):
        z = z_of(level)
        root = np.cbrt(np.maximum(quantiles[:, i], 0.0) / m) - 1.0
        inner = np.sqrt(np.maximum(z * z - 4.0 * root, 0.0))
        s = np.where(root >= 0, (z - inner) / 2, (z + inner) / 2)
        found += np.minimum(s, 2.0)
    deviation = 3.0 * m * found / len(levels)
    return np.where(mean > 0, np.maximum(deviation**2, mean), 0.0)


def from_history(daily: Floats, drift: float = DRIFT) -> tuple[Curve, Bools]:
    """Curve of daily units float64[d, k], oldest first, NaN for days that tell nothing.

    bool[k]: where the days suffice. The variance of a span is that of spans as they were, leaning on
    independent days where few separate spans were seen; widened because the mean is an estimate, and
    because means ``drift``.
    """
    n, _, daily_variance = _moments(daily)
    rate, weight = _rate(daily)
    means, variances = [], []
    for days in KNOTS:
        seen, spans = _span_variance(daily, days)
        trust = spans / (spans + PRIOR_SPANS)
        independent = days * daily_variance
        mixed = trust * np.where(spans > 1, seen, independent) + (1 - trust) * independent
        moved = drift * (1 + days / DRIFT_DAYS) * (rate * days) ** 2
        means.append(rate * days)
        variances.append(mixed + daily_variance * days**2 * weight + moved)
    mean, variance = np.stack(means, axis=1), np.stack(variances, axis=1)
    moved_days = (np.nan_to_num(daily) > 0).sum(axis=0)
    enough = (n >= KNOWN_DAYS_MIN) & (moved_days >= MOVED_DAYS_MIN)
    variance = np.maximum.accumulate(np.maximum(variance, mean), axis=1)
    return Curve(mean, variance), enough


def _rate(daily: Floats) -> tuple[Floats, Floats]:
    """(units a day, its variance as a share of a day's) float64[k]: the mean of three means.

    Two means of n and m days that share the last ones vary together by 1 / max(n, m).
    """
    told = [_moments(daily[-days:])[:2] for days in RATE_DAYS]
    counted = np.stack([np.maximum(n, 1.0) for n, _ in told])
    known = np.stack([n > 0 for n, _ in told])
    many = np.maximum(known.sum(axis=0), 1)
    rate = np.where(known, np.stack([mean for _, mean in told]), 0.0).sum(axis=0) / many
    shared = known[:, None] & known[None]
    together = np.where(shared, 1.0 / np.maximum(counted[:, None], counted[None]), 0.0)
    return rate, together.sum(axis=(0, 1)) / many**2


def drift_seen(daily: Floats) -> tuple[float, int]:
    """(sum, classes): squared shares by which means of the two halves of the days differ.

    Less what chance alone would make them differ by. Of classes with four weeks known in each half.
    """
    half = len(daily) // 2
    (n, first, spread), (m, second, width) = _moments(daily[:half]), _moments(daily[half:])
    mean = (n * first + m * second) / np.maximum(n + m, 1)
    told = (n >= KNOWN_DAYS_MIN) & (m >= KNOWN_DAYS_MIN) & (mean > 0)
    chance = (spread / np.maximum(n, 1) + width / np.maximum(m, 1)) / 2
    share = ((first - second) ** 2 / 2 - chance)[told] / mean[told] ** 2
    return float(np.clip(share, -1.0, 1.0).sum()), int(told.sum())


def drift_of(total: float, classes: int) -> float:
    """What ``drift_seen`` of all classes makes of ``DRIFT``.

    >>> drift_of(0.0, 0), round(drift_of(40.0, 100), 3)
    (0.1, 0.386)
    """
    return max((total + DRIFT * DRIFT_CLASSES) / (classes + DRIFT_CLASSES), 0.0)


def simple(daily: Floats) -> Curve:
    """Seed 4's view of the last ``SIMPLE_DAYS`` days: independent days of one mean and deviation.

    The same days as ``from_history`` takes. A class without any day known moves nothing.
    """
    n, rate, variance = _moments(daily[-SIMPLE_DAYS:])
    days = np.array(KNOTS, np.float64)
    return Curve(rate[:, None] * days, np.where(n > 0, variance, 0.0)[:, None] * days)


def nothing_known(daily: Floats) -> Bools:
    """bool[k]: of which classes nothing is known: no day on which anything moved, and under a week.

    ``daily`` float64[d, k] as in ``from_history``.
    """
    return np.asarray(
        (known_days(daily) < QUIET_DAYS_MIN) & ~(np.nan_to_num(daily) > 0).any(axis=0)
    )


def known_days(daily: Floats) -> Floats:
    """float64[k]: days that tell something."""
    return np.asarray(np.isfinite(daily).sum(axis=0), np.float64)


def mixed(evidence: NDArray[np.int64], curves: Sequence[Curve]) -> Curve:
    """The curve of each class's own evidence; ``curves`` in the order simple, history, model.

    Zeros where nothing is known: whoever tells of such a class must say so.
    """
    at = evidence[:, None]
    return Curve(
        np.select([at == i for i in range(len(curves))], [c.mean for c in curves]),
        np.select([at == i for i in range(len(curves))], [c.variance for c in curves]),
    )


def observed_lead(
    days: Floats, days_sd: Floats, seen: Floats, seen_mean: Floats, seen_variance: Floats
) -> tuple[Floats, Floats]:
    """(days, deviation) of a lead time: what the supplier says, corrected by the orders that came.

    The supplier's word counts for ``WORD_ORDERS`` orders; ``seen`` orders took ``seen_mean`` days with
    ``seen_variance``. Both columns of one length.
    """
    n = np.maximum(seen, 0.0)
    total = n + WORD_ORDERS
    mean = (WORD_ORDERS * days + n * np.nan_to_num(seen_mean)) / total
    between = WORD_ORDERS * n / total**2 * (np.nan_to_num(seen_mean) - days) ** 2
    within = (WORD_ORDERS * days_sd**2 + n * np.nan_to_num(seen_variance)) / total
    return mean, np.sqrt(within + np.where(n > 0, between, 0.0))


WORD_ORDERS = 3.0


def _moments(daily: Floats) -> tuple[Floats, Floats, Floats]:
    """(days known, mean, variance) of each column."""
    known = np.isfinite(daily)
    n = known.sum(axis=0).astype(np.float64)
    mean = np.where(known, daily, 0.0).sum(axis=0) / np.maximum(n, 1)
    square = np.where(known, daily - mean, 0.0) ** 2
    return n, mean, square.sum(axis=0) / np.maximum(n - 1, 1)


def _span_variance(daily: Floats, days: int) -> tuple[Floats, Floats]:
    """(variance of sums over ``days`` whole known days, how many of them do not overlap)."""
    if len(daily) < days:
        return np.zeros(daily.shape[1]), np.zeros(daily.shape[1])
    known = np.isfinite(daily)
    zero = np.zeros((1, daily.shape[1]))
    running = np.concatenate([zero, np.cumsum(np.where(known, daily, 0.0), axis=0)])
    counted = np.concatenate([zero, np.cumsum(known, axis=0)])
    sums = running[days:] - running[:-days]
    whole = (counted[days:] - counted[:-days]) == days
    n = whole.sum(axis=0)
    mean = np.where(whole, sums, 0.0).sum(axis=0) / np.maximum(n, 1)
    square = np.where(whole, sums - mean, 0.0) ** 2
    spans = n / days
    # overlapping sums share days: unbiased for independent days when divided so
    least = np.maximum(n - np.minimum(days, n) + (n == 0), 1)
    return square.sum(axis=0) / least, np.floor(spans)
