"""Keep it, mend it, sell it or throw it away: what each is worth over a year. No clock, no rules.

An item earns what the class earns a day on rent, on the days it is needed: the best items of a class
go out first, so the last of them are needed only when nearly all are out. Worth falls with the
grade, failures cost money and are repaired, which makes the next one later, and what can be sold for something now can be sold for less later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Choice = Literal["keep", "refurbish", "resell", "retire"]
CHOICES: tuple[Choice, ...] = ("keep", "refurbish", "resell", "retire")
MONTH_DAYS = 30
MONTHS = 12


@dataclass(frozen=True, slots=True)
class Terms:
    """What money follows from; shares are of the price of a new one."""

    resale_shares: Sequence[float] = (0.4, 0.3, 0.15)
    """What is got for an item of grade A, B, C."""
    fading_a_year: float = 0.2
    """Share of the resale value that a year takes whatever the grade."""
    refurbish_days: float = 5.0
    """Days away for refurbishing."""
    selling_cents: float = 500.0
    """Cost of selling one item."""
    disposal_cents: float = 0.0
    """Cost of throwing one away."""
    interest_a_year: float = 0.08
    """What money costs."""


@dataclass(frozen=True, slots=True)
class Values:
    """What each choice is worth, cents; NaN where the money is not known."""

    worth: Floats
    """float64[n, 4], in the order of ``CHOICES``."""
    best: Ints
    """int64[n]: the choice worth most; -1: nothing is known."""
    sell_after_days: Ints
    """int64[n]: how long keeping goes on best before selling, at most a year; 0: not at all."""
    earns: Floats
    """float64[n]: income of the year ahead if it is kept, repairs not taken off."""
    repairs: Floats
    """float64[n]: repairs of the year ahead if it is kept."""


def needed(out: Floats, rank: Ints) -> Floats:
    """float64[n]: share of days on which an item is out that is the ``rank``-th choice of its class.

    ``out``: float64[n_days, n] units of its class on rent, day by day; ``rank``: int64[n] from 1.

    >>> needed(np.array([[1.0], [2.0], [0.0], [3.0]]), np.array([2])).tolist()
    [0.5]
    """
    if not len(out):
        return np.full(len(rank), np.nan)
    return np.asarray((out >= rank[None, :]).mean(axis=0), np.float64)


def ranks(cls: Ints, score: Floats) -> Ints:
    """int64[n]: place of each item in its class from 1, the best score first; unknown scores last."""
    order = np.lexsort((np.arange(len(cls)), -np.nan_to_num(score, nan=-np.inf), cls))
    sorted_cls = cls[order]
    starts = np.flatnonzero(np.append(True, sorted_cls[1:] != sorted_cls[:-1])[: len(cls)])
    lengths = np.diff(np.append(starts, len(cls)))
    place = np.empty(len(cls), np.int64)
    place[order] = np.arange(len(cls)) - np.repeat(starts, lengths) + 1
    return place


def values(
    *,
    shares: Floats,
    renewed: Floats,
    busy: Floats,
    rent_cents: Floats,
    failures: Floats,
    renewed_failures: Floats,
    repair_cents: Floats,
    new_cents: Floats,
    refurbish_cents: Floats,
    price_shares: Floats,
    terms: Terms,
) -> Values:
    """What keeping, refurbishing, selling and throwing away are worth.

    ``shares``: float64[n, 13, 3] probability of grades A, B, C in 0, 1 … 12 months; ``renewed``:
    float64[n, 13, 3] the same once it is refurbished; ``busy``: float64[n] share of days it is
    needed (``needed``); ``rent_cents``: income of a day on rent; ``failures``: float64[n, 12] expected in
    each month, ``renewed_failures`` the same once it is refurbished; ``repair_cents``: what each of them
    costs; ``new_cents``: price of a new one; ``price_shares``: float64[n, 3], what customers pay for grade
    A, B, C as a share of the usual price.
    """
    n = len(busy)
    assert shares.shape == (n, MONTHS + 1, 3), shares.shape
    assert renewed.shape == shares.shape, renewed.shape
    kept, after = _going_on(
        shares,
        _priced(shares, price_shares),
        busy,
        rent_cents,
        failures * repair_cents[:, None],
        new_cents,
        terms,
    )
    mended, _ = _going_on(
        renewed,
        _priced(renewed, price_shares),
        busy,
        rent_cents,
        renewed_failures * repair_cents[:, None],
        new_cents,
        terms,
    )
    away = terms.refurbish_days * busy * rent_cents
    now = resale(shares[:, 0], new_cents, 0.0, terms)
    worth = np.column_stack(
        [kept, mended - refurbish_cents - away, now, np.full(n, -terms.disposal_cents)]
    )
    known = ~np.isnan(worth[:, 0])
    worth[~known] = np.nan
    best = np.where(known, np.argmax(np.nan_to_num(worth, nan=-np.inf), axis=1), -1)
    priced = _priced(shares, price_shares)[:, :MONTHS].sum(axis=1) * MONTH_DAYS
    return Values(
        worth=worth,
        best=best.astype(np.int64),
        sell_after_days=np.where(kept >= now, after * MONTH_DAYS, 0).astype(np.int64),
        earns=busy * rent_cents * priced,
        repairs=failures.sum(axis=1) * repair_cents,
    )


def resale(shares: Floats, new_cents: Floats, years: float, terms: Terms) -> Floats:
    """float64[n]: what selling brings after so many years, the cost of selling taken off."""
    share = shares @ np.asarray(terms.resale_shares, np.float64)
    return np.asarray(
        new_cents * share * (1.0 - terms.fading_a_year) ** years - terms.selling_cents, np.float64
    )


def _priced(shares: Floats, price_shares: Floats) -> Floats:
    """float64[n, 13]: share of the usual price that is paid, month by month."""
    return np.asarray((shares * price_shares[:, None, :]).sum(axis=2), np.float64)


def _going_on(
    shares: Floats,
    priced: Floats,
    busy: Floats,
    rent_cents: Floats,
    repaired: Floats,
    new_cents: Floats,
    terms: Terms,
) -> tuple[Floats, Ints]:
    """(worth of keeping and selling in the best month, that month from 1): float64[n], int64[n].

    ``repaired``: float64[n, 12] cents of each month.
    """
    earned_a_month = busy[:, None] * rent_cents[:, None] * priced[:, :MONTHS] * MONTH_DAYS
    monthly = earned_a_month - repaired
    discount = (1.0 + terms.interest_a_year) ** (-np.arange(MONTHS + 1) / 12.0)
    earned = np.cumsum(monthly * discount[:MONTHS], axis=1)
    sold = np.stack(
        [resale(shares[:, m], new_cents, m / 12.0, terms) for m in range(1, MONTHS + 1)], axis=1
    )
    thrown = -terms.disposal_cents
    total = earned + np.maximum(sold, thrown) * discount[1:]
    best = np.argmax(np.nan_to_num(total, nan=-np.inf), axis=1)
    return total[np.arange(len(total)), best], best.astype(np.int64) + 1
