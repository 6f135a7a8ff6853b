"""Elasticities of classes as one population a category: each drawn towards the others. No weeks, no fitting.

Elasticities of a category are one normal population, whose mean is integrated out and whose spread
is averaged over a grid: the hierarchical normal model of Gelman et al., Bayesian Data Analysis
(3rd ed.), section 5.4. Classes with much evidence keep their own number, others move to the mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOTHING, CATEGORY, OWN = 0, 1, 2
"""What an answer rests on: nothing (there is none), its category alone, the class's own prices."""
SD_ALONE = 1.0
"""A class without a population behind it answers only with a standard error below this."""
CLASSES_MIN = 3
"""Classes with own evidence that make a category known …"""
SD_MEAN = 0.5
"""… if the standard error of its mean is below this."""
SPREADS = np.concatenate([[0.0], np.geomspace(0.02, 4.0, 48)])
"""Grid of the deviation of elasticities within a population."""


@dataclass(frozen=True, slots=True)
class Population:
    """Elasticities of a category, or of the whole shop."""

    mean: float
    mean_sd: float
    new_sd: float
    """Deviation of a class nobody has seen: spread and doubt of the mean together."""
    classes: int


@dataclass(frozen=True, slots=True)
class _Mixture:
    """The hierarchical normal model on the grid of spreads: g grid points."""

    weight: Floats
    spread: Floats
    mean: Floats
    mean_variance: Floats

    def population(self, classes: int) -> Population:
        mean = float(self.weight @ self.mean)
        of_mean = float(self.weight @ (self.mean_variance + self.mean**2)) - mean**2
        of_new = of_mean + float(self.weight @ self.spread**2)
        return Population(mean, of_mean**0.5, of_new**0.5, classes)

    def posterior(self, own: Floats, own_sd: Floats) -> tuple[Floats, Floats]:
        """(mean, deviation) float64[n] of classes with estimates of their own."""
        s2 = own_sd[:, None] ** 2
        shrunk = s2 / (s2 + self.spread**2)
        mean = shrunk * self.mean + (1 - shrunk) * own[:, None]
        variance = (1 - shrunk) * s2 + shrunk**2 * self.mean_variance
        overall = mean @ self.weight
        return overall, np.sqrt((variance + mean**2) @ self.weight - overall**2)


def _mixture(own: Floats, own_sd: Floats) -> _Mixture:
    """Source: Gelman et al., Bayesian Data Analysis, equations 5.17 to 5.21; half-Cauchy(1) spread."""
    total = own_sd[None] ** 2 + SPREADS[:, None] ** 2
    precision = (1 / total).sum(axis=1)
    mean = (own / total).sum(axis=1) / precision
    logs = -0.5 * (
        np.log(precision) + np.log(total).sum(axis=1)
        + ((own[None] - mean[:, None]) ** 2 / total).sum(axis=1)
    )  # fmt: skip
    widths = np.gradient(SPREADS)
    logs += np.log(widths) - np.log1p(SPREADS**2)
    weight = np.exp(logs - logs.max())
    return _Mixture(weight / weight.sum(), SPREADS, mean, 1 / precision)


def populations_of(category: Sequence[str], own: Floats, own_sd: Floats) -> dict[str, Population]:
    """Of every category that is known, and of the whole shop (key ``""``)."""
    names = np.array(category, dtype=object).astype(str)
    found = {}
    for name in ["", *sorted(set(category) - {""})]:
        chosen = np.isfinite(own) & ((names == name) | (name == ""))
        if chosen.sum() < CLASSES_MIN:
            continue
        made = _mixture(own[chosen], own_sd[chosen]).population(int(chosen.sum()))
        if made.mean_sd <= SD_MEAN:
            found[name] = made
    return found


def posterior_of(
    category: Sequence[str], own: Floats, own_sd: Floats, populations: Mapping[str, Population]
) -> tuple[Floats, Floats, Ints]:
    """(elasticity, sd, evidence): own estimates drawn to their category, or to the whole shop."""
    names = np.array(category, dtype=object).astype(str)
    mean, sd = own.copy(), own_sd.copy()
    evidence = np.where(np.isfinite(own), OWN, NOTHING)
    for name in sorted(set(category)):
        mine = names == name
        tested = mine & np.isfinite(own)
        if name and name in populations:
            mean[tested], sd[tested] = _mixture(own[tested], own_sd[tested]).posterior(
                own[tested], own_sd[tested]
            )
            unseen = mine & ~np.isfinite(own)
            mean[unseen], sd[unseen] = populations[name].mean, populations[name].new_sd
            evidence[unseen] = CATEGORY
        elif "" in populations and tested.any():
            everybody = np.isfinite(own)
            whole = _mixture(own[everybody], own_sd[everybody])
            mean[tested], sd[tested] = whole.posterior(own[tested], own_sd[tested])
        else:
            weak = tested & (own_sd > SD_ALONE)
            mean[weak] = sd[weak] = np.nan
            evidence[weak] = NOTHING
    return mean, sd, evidence.astype(np.int64)
