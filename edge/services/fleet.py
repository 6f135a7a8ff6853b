"""How many units a rental class needs: fleets for a service level, and what one unit more earns.

The model is a loss system. Requests come at random, a unit is away for its turn time (rental,
inspection, wash), and a request that finds no unit goes elsewhere. The share lost is Erlang's B, which
holds whatever the distribution of turn times (Erlang 1917; Sevastyanov 1957). Requests that come in
bursts (weekends, feasts) make the units out vary more than a Poisson count: Hayward's approximation
divides units and load by that peakedness (Fredericks, Bell System Technical Journal 59, 1980).
``occupied_quantile`` is the other usual answer, an infinite fleet watched from outside: how many units
would be out at once, so often. Columns in, columns out; no money but in ``unit_gain``.
"""

import numpy as np
from numpy.typing import NDArray

from edge.services import counts
from edge.services.counts import Floats

FLEET_MAX = 5_000
"""Most units of a class that are looked for."""
PEAKEDNESS_MOST = 20.0
_LOAD_LEAST = 1e-9


def load(rate: Floats, turn_days: Floats) -> Floats:
    """float64[k]: units out on average if nobody is ever turned away (Little 1961).

    ``rate`` requests a day, ``turn_days`` until a unit may go out again.
    """
    return np.maximum(np.nan_to_num(rate), 0.0) * np.maximum(np.nan_to_num(turn_days), 0.0)


def erlang_b(units: Floats, offered: Floats) -> Floats:
    """float64[k]: share of requests lost with ``units`` (any number >= 0) at ``offered`` load.

    ``B = P(N = c) / P(N <= c)`` of a Poisson count, which incomplete gamma functions carry on to
    numbers of units that are not whole (Jagerman, Bell System Technical Journal 53, 1974).

    >>> erlang_b(np.array([10.0, 2.0]), np.array([7.0, 1.0])).round(5).tolist()
    [0.07874, 0.2]
    """
    told = np.nan_to_num(np.asarray(units, np.float64))
    load_ = np.nan_to_num(np.asarray(offered, np.float64))
    c, a = np.broadcast_arrays(np.maximum(told, 0.0), np.maximum(load_, _LOAD_LEAST))
    found = np.empty(c.shape)
    busy = a > c + 2.0
    if busy.any():
        found[busy] = 1.0 / (a[busy] * counts.gamma_fraction(c[busy] + 1.0, a[busy]))
    if not busy.all():
        x, y = c[~busy], a[~busy]
        exactly = np.exp(x * np.log(y) - y - counts.log_gamma(x + 1.0))
        found[~busy] = exactly / counts.gamma_above(x + 1.0, y)
    return np.asarray(np.where(load_ > 0, np.minimum(found, 1.0), 0.0), np.float64)


def lost(units: Floats, offered: Floats, peakedness: Floats | float = 1.0) -> Floats:
    """float64[k]: share of requests lost; Hayward's approximation where demand is bursty."""
    z = np.clip(np.asarray(peakedness, np.float64), 1.0, PEAKEDNESS_MOST)
    return erlang_b(np.asarray(units) / z, np.asarray(offered) / z)


def size(offered: Floats, level: Floats | float, peakedness: Floats | float = 1.0) -> Floats:
    """float64[k]: the fewest units with which a share ``level`` of requests is served.

    >>> size(np.array([7.0, 0.0]), 0.95).tolist()
    [11.0, 0.0]
    """
    offered = np.maximum(np.nan_to_num(np.asarray(offered, np.float64)), 0.0)
    wanted = np.broadcast_to(1.0 - np.asarray(level, np.float64), offered.shape)
    z = np.broadcast_to(
        np.clip(np.asarray(peakedness, np.float64), 1.0, PEAKEDNESS_MOST), offered.shape
    )
    # a normal count of this mean and peakedness is near; the search goes out from there
    spread = np.sqrt(np.maximum(offered * z, 1e-9))
    guess = np.ceil(offered + np.maximum(1.0 - wanted * 4, 0.0) * spread)
    found = counts.first(
        lambda n, on: lost(n, offered[on], z[on]) <= wanted[on] + 1e-12,
        np.minimum(guess, FLEET_MAX),
    )
    return np.where(offered > 0, np.minimum(found, FLEET_MAX), 0.0)


def occupied_quantile(
    offered: Floats, level: Floats | float, peakedness: Floats | float = 1.0
) -> Floats:
    """float64[k]: so many units are all that is out at once with probability ``level``.

    An infinite fleet: Poisson (Mirasol 1963), or a negative binomial of this peakedness.
    """
    mean = np.maximum(np.nan_to_num(np.asarray(offered, np.float64)), 0.0)
    return counts.quantile(mean, mean * np.maximum(peakedness, 1.0), level)


def unit_gain(
    units: Floats,
    offered: Floats,
    peakedness: Floats,
    rate: Floats,
    revenue: Floats,
    added: int = 1,
) -> Floats:
    """float64[k, added]: money a day that the first, second … unit more brings, largest first.

    ``rate`` requests a day, ``revenue`` of one rental. The loss is convex in the number of units
    (Messerli 1972), so each unit more earns less than the one before.
    """
    more = np.arange(added + 1.0)
    told = [
        np.broadcast_to(np.asarray(x)[:, None], (len(units), added + 1)).ravel()
        for x in (offered, peakedness)
    ]
    shares = lost((units[:, None] + more).ravel(), told[0], told[1]).reshape(len(units), added + 1)
    saved = np.maximum(shares[:, :-1] - shares[:, 1:], 0.0)
    return np.asarray(saved * (rate * revenue)[:, None], np.float64)


def peakedness(daily: Floats, turn_days: Floats) -> Floats:
    """float64[k]: variance over mean of the units that would be out, at least 1.

    With turn times near their mean, what is out is what was asked for in the last turn time: sums of
    daily requests float64[d, k] (oldest first, NaN: not known) over so many days. Weekends and other
    bursts are in it; few spans are drawn towards 1.
    """
    spans = np.clip(np.rint(np.nan_to_num(turn_days)), 1, max(len(daily) // 4, 1)).astype(int)
    found = np.ones(daily.shape[1])
    for days in np.unique(spans).tolist():
        rows = np.flatnonzero(spans == days)
        found[rows] = _dispersion(daily[:, rows], int(days))
    return found


def bursty_enough(
    held: Floats,
    offered: Floats,
    lost_share: Floats,
    days: Floats,
    turn_days: Floats,
    bursty: Floats,
) -> Floats:
    """float64[k]: peakedness that explains the share of requests which the record says ``held`` units lost.

    Never below ``bursty``, what the days themselves show. A model that says of a fleet which was seen to
    run out that it hardly does would call it too large. A share seen over few turn times is drawn
    towards nothing.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        spans = np.nan_to_num(days / np.maximum(turn_days, 1.0))
    wanted = np.nan_to_num(lost_share) * spans / (spans + PRIOR_SPANS)
    found = bursty.copy()
    short = np.flatnonzero(lost(held, offered, bursty) < wanted - 1e-9)
    if not len(short):
        return found
    low, high = bursty[short], np.full(len(short), PEAKEDNESS_MOST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        few = lost(held[short], offered[short], middle) < wanted[short]
        low, high = np.where(few, middle, low), np.where(few, high, middle)
    found[short] = high
    return found


PRIOR_SPANS = 10.0


def _dispersion(daily: Floats, days: int) -> Floats:
    if len(daily) < days:
        return np.ones(daily.shape[1])
    windows = np.lib.stride_tricks.sliding_window_view(daily, days, axis=0).sum(axis=2)
    known = np.isfinite(windows)
    n = known.sum(axis=0)
    mean = np.where(known, windows, 0.0).sum(axis=0) / np.maximum(n, 1)
    square = (np.where(known, windows - mean, 0.0) ** 2).sum(axis=0)
    variance = square / np.maximum(n - np.minimum(days, n - 1), 1)
    ratio = np.where(mean > 0, variance / np.maximum(mean, 1e-12), 1.0)
    trust = (n / days) / (n / days + PRIOR_SPANS)
    found = np.clip(1.0 + trust * (ratio - 1.0), 1.0, PEAKEDNESS_MOST)
    return np.asarray(found, np.float64)


def true_rate(
    served_rate: Floats, units: Floats, turn_days: Floats, bursty: Floats | float = 1.0
) -> Floats:
    """float64[k]: requests a day behind the rentals a day that were served by so many units.

    What was lost is not seen: solved for ``rate (1 - lost(rate)) = served``, at most ``MOST_HIDDEN``
    times what was seen.
    """
    seen = np.maximum(np.nan_to_num(served_rate), 0.0)
    low, high = seen.copy(), seen * MOST_HIDDEN
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        more = middle * (1.0 - lost(units, load(middle, turn_days), bursty)) < seen
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return np.where(seen > 0, high, 0.0)


MOST_HIDDEN = 2.0
_HALVINGS = 9
"""To a fifth of a percent of what was seen."""


def in_service(closed: Floats, owned: Floats, now: Floats) -> Floats:
    """float64[k]: units in inspection, repair or wash, on the mean of the days.

    ``closed`` float64[d, k]: units in the store or out at the close of each day, oldest first, NaN where
    nobody looked. What lacks of the most that closed in the week around was in service then; of the
    units that never closed, no more than are in service ``now`` (others were bought since). One day's
    count of what is washed just then would say one thing in the morning and another at night.
    """
    known = np.isfinite(closed)
    if not len(closed):
        return now
    about = np.pad(np.where(known, closed, -np.inf), ((AROUND, AROUND), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(about, 2 * AROUND + 1, axis=0)
    most = windows.max(axis=2)
    with np.errstate(invalid="ignore"):
        lacks = _mean(most - closed, known)
        never = np.clip(np.minimum(owned - most[-1], now), 0.0, None)
        at_most = _mean(np.maximum(owned, most) - closed, known)
    found = np.where(np.isfinite(most[-1]), np.minimum(lacks + never, at_most), now)
    return np.asarray(np.nan_to_num(found), np.float64)


def _mean(values: Floats, known: NDArray[np.bool_]) -> Floats:
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(known.sum(axis=0), 1), np.float64)


AROUND = 7
"""Days before and after a day whose most units are taken for all that there were."""


def turn_days(on_rent: Floats, in_service: Floats, rate: Floats, median_days: Floats) -> Floats:
    """float64[k]: days from one rental of a unit to when it is ready for the next.

    Little's law on the mean units away (on rent and in service) and the rentals a day; where it has
    nothing to go by, the median length of rentals; else NaN.
    """
    away = np.nan_to_num(on_rent) + np.nan_to_num(in_service)
    little = np.where(rate > 0, away / np.where(rate > 0, rate, 1.0), np.nan)
    found = np.where(little > 0, little, median_days)
    return np.asarray(np.where(found > 0, found, np.nan), np.float64)
