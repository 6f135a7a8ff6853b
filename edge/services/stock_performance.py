"""How the stock has done: turns, fill rate, days without stock, utilisation, slow movers. No forecasts.

Columns in, columns out. Daily arrays are float64[d, k], oldest first; NaN where nobody looked.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.services.counts import Floats

Bools = NDArray[np.bool_]

YEAR_DAYS = 365.0


@dataclass(frozen=True, slots=True)
class Performance:
    """Of one span of days; float64[k] each, NaN where there is nothing to tell it from."""

    days: Floats
    """Days that were looked at."""
    sold: Floats
    rented: Floats
    """Units."""
    revenue_cents: Floats
    on_hand_mean: Floats
    on_rent_mean: Floats
    """Units at the close of a day, mean."""
    turns: Floats
    """Units sold a year over mean units on hand; of what is only rented it has no meaning."""
    rentals_a_unit: Floats
    """Units rented a year over mean units owned (on hand and on rent)."""
    utilisation: Floats
    """Mean on rent over mean owned."""
    empty_days: Floats
    """Days that closed without stock, or on which the last unit went."""
    in_stock: Floats
    """Share of days that were not so."""
    lost: Floats
    """Units that were probably asked for in vain."""
    fill_rate: Floats
    """Units served over units asked for, as far as can be told."""


def measure(
    sold: Floats,
    rented: Floats,
    revenue_cents: Floats,
    on_hand: Floats,
    on_rent: Floats,
    empty: Floats,
) -> Performance:
    """Performance over daily arrays float64[d, k]; ``empty`` is 1 on days without stock.

    What was lost is judged by the class's own days with stock: an empty day that served ``s`` units was
    asked for ``s`` at least, and so for ``E[D - s | D >= s]`` more. Nothing is known to be lost where no
    day with stock asked for as much.
    """
    known = np.isfinite(on_hand)
    days = known.sum(axis=0).astype(np.float64)
    served = np.nan_to_num(sold) + np.nan_to_num(rented)
    out = known & (np.nan_to_num(empty) > 0)
    stocked = known & ~out
    with np.errstate(divide="ignore", invalid="ignore"):
        here = _mean(np.maximum(on_hand, 0.0), known)
        away = _mean(on_rent, known)
        lost = _lost(served, stocked, out)
        sold_units = np.where(known, np.nan_to_num(sold), 0.0).sum(axis=0)
        rented_units = np.where(known, np.nan_to_num(rented), 0.0).sum(axis=0)
        moved = sold_units + rented_units
        scale = YEAR_DAYS / days
        return Performance(
            days=days,
            sold=sold_units,
            rented=rented_units,
            revenue_cents=np.where(known, np.nan_to_num(revenue_cents), 0.0).sum(axis=0),
            on_hand_mean=here,
            on_rent_mean=away,
            turns=np.where(
                (here > 0) & ((sold_units > 0) | (rented_units <= 0)),
                sold_units * scale / here,
                np.nan,
            ),
            rentals_a_unit=np.where(here + away > 0, rented_units * scale / (here + away), np.nan),
            utilisation=np.where(here + away > 0, away / (here + away), np.nan),
            empty_days=out.sum(axis=0).astype(np.float64),
            in_stock=np.where(days > 0, 1.0 - out.sum(axis=0) / days, np.nan),
            lost=lost,
            fill_rate=np.where(moved + lost > 0, moved / (moved + lost), np.nan),
        )


def _lost(served: Floats, stocked: Bools, out: Bools) -> Floats:
    """float64[k]: units that the days without stock probably lost."""
    found = np.zeros(served.shape[1])
    for i in np.flatnonzero(out.any(axis=0) & stocked.any(axis=0)).tolist():
        asked = np.sort(served[stocked[:, i], i])
        above = np.append(np.cumsum(asked[::-1])[::-1], 0.0)  # sums of the days from each on
        had = served[out[:, i], i]
        first = np.searchsorted(asked, had, side="right")
        short = np.maximum(above[first] - (len(asked) - first) * had, 0.0)
        alike = len(asked) - np.searchsorted(asked, had)  # days that asked for as much at least
        found[i] = float((short[alike > 0] / alike[alike > 0]).sum())
    return found


def _mean(values: Floats, known: NDArray[np.bool_]) -> Floats:
    return np.asarray(
        np.where(known, np.nan_to_num(values), 0.0).sum(axis=0) / known.sum(axis=0), np.float64
    )


@dataclass(frozen=True, slots=True)
class Slow:
    """Classes that tie up money and hardly move; float64[k] each."""

    cover_days: Floats
    """How long the stock lasts at the present rate; infinite where nothing moves."""
    excess: Floats
    """Units beyond ``keep_days`` of demand."""
    tied_cents: Floats
    """What the excess cost; NaN where no cost is known."""
    holding_cents: Floats
    """What it costs a year to keep the excess."""
    slow: NDArray[np.bool_]
    """Whether it counts as slow: stock for longer than ``keep_days`` and idle so long."""


def slow_movers(
    on_hand: Floats,
    rate: Floats,
    idle_days: Floats,
    cost_cents: Floats,
    holding_rate: Floats | float,
    keep_days: float,
    idle_days_min: float,
) -> Slow:
    """What of the stock is more than ``keep_days`` will need.

    ``idle_days`` since the last unit moved, NaN: never seen to. ``holding_rate`` of the cost a year.
    """
    stock = np.maximum(on_hand, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        cover = np.where(stock > 0, np.where(rate > 0, stock / rate, np.inf), 0.0)
    excess = np.maximum(stock - np.maximum(rate, 0.0) * keep_days, 0.0)
    tied = excess * cost_cents
    idle = np.isnan(idle_days) | (idle_days >= idle_days_min)
    return Slow(cover, excess, tied, tied * holding_rate, (cover > keep_days) & idle & (stock > 0))
