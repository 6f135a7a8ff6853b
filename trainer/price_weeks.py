"""Weeks of units and prices, class by class, out of a daily panel: what elasticities are learnt from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trainer.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DAYS_MIN = 4
"""Days in stock below which a week is left out."""


@dataclass(frozen=True, slots=True)
class Weeks:
    """k classes in w weeks. What is not to be counted is NaN in ``units``."""

    keys: list[str]
    category: list[str]
    day: Ints
    """int64[w]: first day of each week, since 1970-01-01; gaps are allowed."""
    units: Floats
    """float64[k, w]"""
    price_cents: Floats
    """float64[k, w]; NaN: unknown, and the week is left out."""
    exposure: Floats
    """float64[k, w]: share of the week in stock."""
    covariates: Mapping[str, Floats] = field(default_factory=dict)
    """float64[k, w]: quality, events; NaN: unknown, as if at the class's mean."""

    @property
    def counted(self) -> Bools:
        """bool[k, w]"""
        return np.isfinite(self.units) & (np.nan_to_num(self.price_cents) > 0) & (self.exposure > 0)

    def upto(self, weeks: int) -> "Weeks":
        """The first so many weeks."""
        return self.columns(slice(0, weeks))

    def columns(self, chosen: slice) -> "Weeks":
        """Some of the weeks."""
        return replace(
            self,
            day=self.day[chosen],
            units=self.units[:, chosen],
            price_cents=self.price_cents[:, chosen],
            exposure=self.exposure[:, chosen],
            covariates={name: v[:, chosen] for name, v in self.covariates.items()},
        )


def weekly(panel: Panel, measure: str = "units", covariates: Sequence[str] = ()) -> Weeks:
    """Calendar weeks (from Monday) of a daily panel; days without stock are left out.

    ``list_price_cents`` is used where a class has it on every counted day, else ``price_cents``. The
    price of a week is the mean over its days, not over its units.
    """
    day = panel.days
    first = (day - (day + 3) % 7).astype(np.int64)  # 1970-01-01 was a Thursday
    starts = np.unique(first, return_index=True)[1]
    units = panel.measures[measure].astype(np.float64)
    sold_out = panel.measures.get("stockout")
    open_: Bools = np.isfinite(units)
    if sold_out is not None:
        open_ &= np.nan_to_num(sold_out) == 0
    price = _posted(panel, open_)
    known = open_ & np.isfinite(price) & (price > 0)

    def summed(values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(np.where(known, values, 0.0), starts, axis=1))

    days = summed(np.ones_like(units))
    enough = days >= DAYS_MIN
    share = np.maximum(days, 1)
    return Weeks(
        list(panel.keys),
        list(panel.groups.get("category", [""] * len(panel.keys))),
        first[starts],
        np.where(enough, summed(units), np.nan),
        np.where(enough, summed(price) / share, np.nan),
        np.where(enough, days / 7, 0.0),
        {
            name: np.where(enough, summed(np.nan_to_num(panel.measures[name])) / share, np.nan)
            for name in covariates
        },
    )


def _posted(panel: Panel, open_: Bools) -> Floats:
    paid = panel.measures["price_cents"].astype(np.float64)
    if "list_price_cents" not in panel.measures:
        return paid
    posted = panel.measures["list_price_cents"].astype(np.float64)
    whole: Bools = np.all(np.isfinite(posted) | ~open_, axis=1, keepdims=True)
    return np.where(whole, posted, paid)
