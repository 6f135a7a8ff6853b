"""Whether so many units of a class will be free in a span of days, as a probability. One class at a time.

What is free on a day is what is here now, and what comes back until then (each unit out has its own
chance), and what repair and cleaning hand back, less what is promised to others for that day. Whoever
does not promise the units now also runs against customers who walk in before the span begins. No
state, no calendar: times are hours from now.

The number that comes back is a sum of independent chances, counted exactly up to ``EXACT_MOST`` units
(Poisson-binomial: Wang, Statistica Sinica 3, 1993) and as a normal of its moments beyond.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.services import counts
from edge.services.counts import Floats

EXACT_MOST = 400
"""Units out that are counted one by one."""
LATE_ON_TIME, LATE_A_DAY = 0.9, 0.5
"""Taken where nothing better is known: so many come back by the agreed time, and of the rest so many
each day after it."""
OVERDUE_A_DAY = 0.2
"""Chance a day of coming back that a unit out for longer than any before it is given."""
SERVICE_DAYS = 3.0
"""Mean days a unit is taken to stay in repair or cleaning."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long rentals of a class lasted: ``counts[b]`` of them ended within ``ends_h[b]`` hours."""

    counts: Floats
    ends_h: Floats

    def still_out(self, hours: Floats) -> Floats:
        """float64[n]: share of rentals that last longer; straight between two ends, 0 beyond."""
        total = float(self.counts.sum())
        if total <= 0:
            return np.where(hours <= 0, 1.0, 0.0)
        left = 1.0 - np.cumsum(self.counts) / total
        ends, shares = np.concatenate([[0.0], self.ends_h]), np.concatenate([[1.0], left])
        return np.asarray(np.interp(hours, ends, shares, right=0.0), np.float64)


def back_within(
    hours: Floats, out_h: Floats, due_in_h: Floats, durations: Durations
) -> NDArray[np.float64]:
    """float64[t, n]: chance that each of n units is back within each of ``hours``, ascending.

    ``out_h`` since when it is out; ``due_in_h`` until it is due, negative where overdue, NaN where
    nothing was agreed: then the lengths of other rentals speak, given that it has lasted so long.
    """
    h = np.asarray(hours, np.float64)[:, None]
    late = h - due_in_h
    by_due = np.where(
        late >= 0, 1.0 - (1.0 - LATE_ON_TIME) * (1.0 - LATE_A_DAY) ** (late / 24.0), 0.0
    )
    # before it is due: a straight line up to the share of those who are on time
    early = np.clip(h / np.maximum(due_in_h, 1e-9), 0.0, 1.0) ** EARLY_POWER * LATE_ON_TIME
    by_due = np.where(late < 0, early, by_due)
    overdue = 1.0 - (1.0 - LATE_A_DAY) ** (h / 24.0)
    by_due = np.where(due_in_h <= 0, overdue, by_due)
    so_far = durations.still_out(out_h)
    later = durations.still_out((out_h + h).ravel()).reshape(len(h), -1)
    given = 1.0 - later / np.where(so_far > 0, so_far, 1.0)
    by_length = np.where(so_far > 1e-6, given, 1.0 - (1.0 - OVERDUE_A_DAY) ** (h / 24.0))
    return np.asarray(np.clip(np.where(np.isnan(due_in_h), by_length, by_due), 0.0, 1.0))


EARLY_POWER = 4.0
"""Few come back long before they are due."""


@dataclass(frozen=True, slots=True)
class Free:
    """One class over the moments asked for; every column float64[t]."""

    expected: Floats
    """Units free, expected, if they are promised now."""
    chance: Floats
    """Probability that as many are free as are wanted, if they are promised now."""
    chance_later: Floats
    """The same if they are not promised before the span begins."""
    returned: Floats
    """Units expected back until then."""
    reserved: Floats
    """Units promised to others for that moment."""


def free(
    units: float,
    here: float,
    back: Floats,
    service: float,
    hours: Floats,
    reserved: Floats,
    walk_in: Floats,
    walk_in_variance: Floats,
) -> Free:
    """Whether ``units`` are free at each of ``hours`` from now.

    ``here``: units ready now; ``back`` float64[t, n]: chance that each unit out is back by then;
    ``service``: units in repair or cleaning; ``reserved`` float64[t]: promised to others;
    ``walk_in`` and its variance float64[t]: units that others, not known yet, will have out then.
    """
    handed = 1.0 - np.exp(-np.asarray(hours) / 24.0 / SERVICE_DAYS)
    mended = np.repeat(handed[:, None], max(round(service), 0), axis=1)
    chances = np.concatenate([np.asarray(back, np.float64), mended], axis=1)
    missing = units + reserved - here  # so many must come back
    promised = _at_least(chances, missing)
    unpromised = _at_least_of_rest(chances, missing, walk_in, walk_in_variance)
    coming = chances.sum(axis=1)
    return Free(
        expected=here + coming - reserved,
        chance=promised,
        chance_later=np.minimum(unpromised, promised),
        returned=np.asarray(np.asarray(back).sum(axis=1), np.float64),
        reserved=np.asarray(reserved, np.float64),
    )


def counted(chances: Floats) -> Floats:
    """float64[t, n + 1]: probability of each number of successes, of independent chances [t, n].

    >>> counted(np.array([[0.5, 0.5]])).tolist()
    [[0.25, 0.5, 0.25]]
    """
    t, n = chances.shape
    found = np.zeros((t, n + 1))
    found[:, 0] = 1.0
    for i in range(n):
        p = chances[:, i : i + 1]
        found[:, 1 : i + 2] = found[:, 1 : i + 2] * (1 - p) + found[:, : i + 1] * p
        found[:, 0] *= 1 - p[:, 0]
    return found


def _at_least(chances: Floats, wanted: Floats) -> Floats:
    """float64[t]: probability of at least ``wanted`` successes; 1 where none is wanted."""
    need = np.ceil(np.asarray(wanted, np.float64) - 1e-9)
    if chances.shape[1] > EXACT_MOST:
        mean, variance = _moments(chances)
        return _normal_at_least(mean, variance, need)
    table = counted(chances)
    above = np.concatenate(
        [np.cumsum(table[:, ::-1], axis=1)[:, ::-1], np.zeros((len(table), 1))], axis=1
    )
    at = np.clip(need, 0, chances.shape[1] + 1).astype(np.int64)
    found = above[np.arange(len(table)), at]
    return np.clip(np.where(need <= 0, 1.0, found), 0.0, 1.0)


def _at_least_of_rest(
    chances: Floats, wanted: Floats, taken: Floats, taken_variance: Floats
) -> Floats:
    """The same when others take a random number of units before."""
    if not np.asarray(taken).any():
        return _at_least(chances, wanted)
    need = np.ceil(np.asarray(wanted, np.float64) - 1e-9)
    if chances.shape[1] > EXACT_MOST:
        mean, variance = _moments(chances)
        return _normal_at_least(mean - taken, variance + taken_variance, need)
    table = counted(chances)
    t, m = table.shape
    room = np.arange(m, dtype=np.float64)[None, :] - need[:, None]  # so many may be taken
    fits = counts.at_most(
        np.repeat(taken, m), np.repeat(np.maximum(taken_variance, taken), m), room.ravel()
    ).reshape(t, m)
    met = (table * np.where(room >= 0, fits, 0.0)).sum(axis=1)
    return np.asarray(np.clip(met, 0.0, 1.0), np.float64)


def _moments(chances: Floats) -> tuple[Floats, Floats]:
    return chances.sum(axis=1), (chances * (1 - chances)).sum(axis=1)


def _normal_at_least(mean: Floats, variance: Floats, wanted: Floats) -> Floats:
    z = (mean + 0.5 - wanted) / np.sqrt(np.maximum(variance, 1e-9))
    return counts.normal_at_most(z)


def walk_ins(
    rate: float,
    variance_ratio: float,
    begin_h: float,
    hours: Floats,
    turn_days: float,
) -> tuple[Floats, Floats]:
    """(mean, variance) float64[t] of units out at each of ``hours`` to customers who come until ``begin_h``.

    ``rate`` requests a day at random, more bursty by ``variance_ratio``; a rental lasts exponentially
    with mean ``turn_days``: what came at s is still out at t with chance exp(-(t - s) / turn).
    """
    turn_h = max(turn_days, 1e-6) * 24.0
    end = np.minimum(np.asarray(hours, np.float64), begin_h)
    held = turn_h * (np.exp(-(hours - end) / turn_h) - np.exp(-hours / turn_h))
    mean = np.maximum(rate / 24.0 * held, 0.0)
    return mean, mean * max(variance_ratio, 1.0)
