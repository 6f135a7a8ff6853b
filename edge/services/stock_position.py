"""Where the stock of a class stands and when it runs out. No orders are decided here, nothing is priced.

Columns in, columns out; quantities in units, times in days from now.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.services import counts
from edge.services.counts import Floats
from edge.services.lead_time import Curve

HORIZON_DAYS = 365
"""Beyond it nothing is said of when stock runs out."""


@dataclass(frozen=True, slots=True)
class Position:
    """Float64[k] each: what there is, what is spoken for, what is coming."""

    on_hand: Floats
    """Units in the store."""
    on_rent: Floats
    """Units out on rent."""
    in_service: Floats
    """Units in inspection, repair or cleaning."""
    reserved: Floats
    """Units promised to customers."""
    on_order: Floats
    """Units ordered from suppliers and not here yet."""

    @property
    def available(self) -> Floats:
        """What may be given to somebody now."""
        return self.on_hand - self.reserved

    @property
    def position(self) -> Floats:
        """On hand and on order less what is promised: what a reorder point is held against."""
        return self.on_hand + self.on_order - self.reserved


def run_out(
    curve: Curve,
    on_hand: Floats,
    arrivals: Sequence[tuple[Floats, Floats]],
    chance: Floats | float,
) -> Floats:
    """float64[k]: first whole day by whose end nothing is left with probability ``chance``.

    ``arrivals``: (days from now, units) float64[k] each, in the order in which they come, units 0
    where there is none. 0: nothing is left now. NaN: not within ``HORIZON_DAYS``. By the demand of a
    span alone: that stock may run out and come back within a day is not seen.
    """
    k = len(on_hand)
    likely = np.broadcast_to(np.asarray(chance, np.float64), (k,))
    left, begun = np.asarray(on_hand, np.float64).copy(), np.zeros(k)
    found = np.full(k, np.nan)
    open_ = np.ones(k, np.bool_)
    far = np.full(k, float(HORIZON_DAYS))
    for days, units in [*arrivals, (far, np.zeros(k))]:
        until = np.clip(np.where(units > 0, days, begun), begun, HORIZON_DAYS)
        until = np.where(days is far, far, until)
        rows = np.flatnonzero(open_ & (until >= begun))
        when = _first_day(curve.rows(rows), left[rows], begun[rows], until[rows], likely[rows])
        hit = np.isfinite(when)
        found[rows[hit]] = when[hit]
        open_[rows[hit]] = False
        left = left + np.maximum(units, 0.0)
        begun = np.maximum(begun, until)
    return found


def _first_day(curve: Curve, units: Floats, begin: Floats, end: Floats, chance: Floats) -> Floats:
    """First whole day in ``begin .. end`` by which ``units`` are gone with probability ``chance``.

    More is asked for the longer one waits, so the day is found by halving.
    """
    low, high = np.floor(begin) - 1.0, np.floor(end)
    gone = _gone(curve, units, np.maximum(high, 0.0)) >= chance
    while len(rows := np.flatnonzero(gone & (high - low > 1))):
        middle = np.floor((low[rows] + high[rows]) / 2)
        true = _gone(curve.rows(rows), units[rows], middle) >= chance[rows]
        high[rows[true]], low[rows[~true]] = middle[true], middle[~true]
    return np.where(gone, np.maximum(high, 0.0), np.nan)


def _gone(curve: Curve, units: Floats, days: Floats) -> Floats:
    """Probability that nothing is left of ``units`` after so many days."""
    mean, variance = curve.at(days)
    return np.where(units <= 0, 1.0, counts.more_than(mean, variance, units - 1.0))


def short_before(curve: Curve, position: Floats, days: Floats, days_sd: Floats) -> Floats:
    """float64[k]: probability that more is asked for within ``days`` than the position holds."""
    mean, variance = curve.at(days, days_sd)
    return np.where(position < 0, 1.0, counts.more_than(mean, variance, position))
