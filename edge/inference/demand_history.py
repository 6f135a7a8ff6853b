"""Daily history as demand models look at it: units, and what drove or cut them off. Pure.

The daemon hands in its rings, the trainer its panel: the same days give the same bits. Arrays are
float64[k, d], k classes, d closed days, the newest last; NaN where nothing is known. No forecasts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

DRIVERS = ("price", "on_rent", "out")
"""What may stand beside the units: the price at the close (cents), units out at the close, and 1 on a
day on which stock ran out or there was none."""


@dataclass(frozen=True, slots=True)
class Drivers:
    """``values`` float64[e, k, d] of the drivers ``names``, in the order of ``DRIVERS``."""

    names: tuple[str, ...]
    values: Floats

    def upto(self, days: int) -> "Drivers":
        """What was known then."""
        return Drivers(self.names, self.values[:, :, :days])

    def last(self, days: int) -> "Drivers":
        """The newest days."""
        return Drivers(self.names, self.values[:, :, -days:])

    def chosen(self, names: Sequence[str]) -> "Drivers":
        """Some of them; unknown ones are NaN."""
        if tuple(names) == self.names:
            return self
        k, d = self.values.shape[1:]
        blank = np.full((k, d), np.nan)
        found = dict(zip(self.names, self.values, strict=True))
        some = [name for name in DRIVERS if name in names]
        values = np.array([found.get(name, blank) for name in some]).reshape(len(some), k, d)
        return Drivers(tuple(some), values)


def none(k: int, days: int) -> Drivers:
    """Nothing but units is known."""
    return Drivers((), np.zeros((0, k, days)))


def rounded(amounts: Ints, factor: float) -> Floats:
    """Whole amounts in their unit as a panel holds them, in float32: nothing may differ by that."""
    return (amounts * factor).astype(np.float32).astype(np.float64)


def demand(units: Floats, out: Floats) -> Floats:
    """Units never below zero; a day without stock is not a day without demand: NaN."""
    return np.where(out > 0, np.nan, np.maximum(units, 0))


def begun(y: Floats) -> Bools:
    """bool[k, d]: days from the first demand within these days on; before, nobody sold it yet."""
    return np.asarray(np.logical_or.accumulate(y > 0, axis=1))


def lately(y: Floats, drivers: Drivers) -> tuple[Floats, Drivers]:
    """The same, NaN before the first demand of these days."""
    there = begun(y)
    return (
        np.where(there, y, np.nan),
        Drivers(drivers.names, np.where(there[None], drivers.values, np.nan)),
    )
