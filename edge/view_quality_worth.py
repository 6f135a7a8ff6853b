"""What to do with items: the columns that ``edge.services.lifecycle`` asks for, in slices. No answers.

Why nothing is said of some items stands here, too, since it follows from what those columns lack.
"""

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from edge.config import Config
from edge.services import lifecycle
from edge.services.lifecycle import MONTH_DAYS, MONTHS, Terms, Values
from edge.services.maintenance import Fresh, failures_until
from edge.view_fleet import HORIZONS, ClassMoney
from edge.view_quality_curve import BY_MONTH, renewed_ahead, renewed_by_model, shares_ahead
from edge.view_voice import NEEDED_DAYS_MOST

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROWS = 128
"""Items looked at in one slice."""
MONTH_ENDS = np.arange(1, MONTHS + 1) * MONTH_DAYS
USE_DAYS = NEEDED_DAYS_MOST
"""Closed days of a class that tell how much its items are needed: of fewer nobody knows."""
LACKS = (
    "",
    f"use is known of fewer than {USE_DAYS} closed days of the class",
    "nobody graded them",
    "neither a price nor revenue of the class is known",
)
"""Why nothing is said of what to do with items; the first that holds."""


def terms(config: Config) -> Terms:
    """What money follows from."""
    settings = config.quality
    return Terms(
        resale_shares=settings.resale_shares,
        fading_a_year=settings.fading,
        refurbish_days=settings.refurbish_days,
        selling_cents=settings.selling_cents,
        disposal_cents=settings.disposal_cents,
        interest_a_year=settings.interest,
    )


def worth(
    config: Config,
    money: ClassMoney,
    *,
    cls: Ints,
    place: Ints,
    grade: Floats,
    after: Floats,
    change: Floats,
    loss: Floats,
    rates: Floats,
    fresh: Fresh,
    failure_cents: Floats,
    price_shares: Floats,
) -> Generator[float, None, tuple[Values, Floats, Floats]]:
    """(what each choice is worth, float64[n] share of days each is needed, float64[n] cents to refurbish).

    Columns are of n items; ``cls``: their classes, as places in ``money``; ``place``: int64[n] among the
    items of its class; ``rates``, ``fresh``: of failures, as maintenance takes them; ``price_shares``:
    float64[g, 3], of classes. Yields the share that is done.
    """
    n, asked, renewed, parts = len(cls), terms(config), renewed_by_model(change), []
    needed = np.zeros(n)
    refurbish = config.quality.refurbish_share * money.new_cents[cls]
    for start in range(0, max(n, 1), ROWS):
        part = slice(start, start + ROWS)
        of = cls[part]
        needed[part] = busy(money, of, place[part])
        now, later = failures_until(rates[part], HORIZONS, fresh.only(part), MONTH_ENDS)
        yield part.start / max(n, 1)
        parts.append(
            lifecycle.values(
                shares=shares_ahead(grade[part], after[part], change, loss[part], BY_MONTH),
                renewed=renewed_ahead(after[part], renewed, loss[part]),
                busy=needed[part],
                rent_cents=money.rent_day_cents[of],
                failures=np.diff(now, axis=1, prepend=0.0),
                renewed_failures=np.diff(later, axis=1, prepend=0.0),
                repair_cents=failure_cents[part],
                new_cents=money.new_cents[of],
                refurbish_cents=refurbish[part],
                price_shares=price_shares[of],
                terms=asked,
            )
        )
        yield min(part.stop / max(n, 1), 1.0)
    return _joined(parts), needed, refurbish


def busy(money: ClassMoney, cls: Ints, place: Ints) -> Floats:
    """float64[n]: share of known days on which the item of this place in its class is out; NaN: unknown."""
    out, days = money.out[:, cls], money.known_days[cls]
    share = (out >= place[None, :]).sum(axis=0) / np.maximum(days, 1)
    return np.where(days >= USE_DAYS, share, np.nan)


def lacks(needed: Floats, grade: Floats, best: Ints) -> Ints:
    """int64[n]: why nothing is said of each item, as in ``LACKS``; 0: something is."""
    unknown = best < 0
    return np.select([~unknown, np.isnan(needed), np.isnan(grade)], [0, 1, 2], 3).astype(np.int64)


def gain(values: Values) -> Floats:
    """float64[n]: what the best choice is worth more than keeping, or keeping than the next; whole cents.

    Of what is shown in whole cents, so that rows and sums of them agree to the cent.
    """
    told, best = np.rint(values.worth), values.best
    keep, others = told[:, 0], told[:, 1:]
    next_best = np.where(np.isnan(others), -np.inf, others).max(axis=1, initial=-np.inf)
    chosen = told[np.arange(len(best)), np.maximum(best, 0)]
    ahead = np.where(best == 0, keep - next_best, chosen - keep)
    return np.where(best < 0, np.nan, ahead)


def _joined(parts: list[Values]) -> Values:
    return Values(
        worth=np.concatenate([p.worth for p in parts]),
        best=np.concatenate([p.best for p in parts]),
        sell_after_days=np.concatenate([p.sell_after_days for p in parts]),
        earns=np.concatenate([p.earns for p in parts]),
        repairs=np.concatenate([p.repairs for p in parts]),
    )
