"""Labels of events that not everybody was watched for: who counts, as what, and how much. No models.

An example is an entity at a cutoff. Its event within h days was seen (1), or it was watched for h
days without one (0), or watching ended before (censored). Leaving out the censored alone would count
events too often: a short watch can see an event but can never see that there was none. So what
is known is weighted by the inverse probability of being known, from the Kaplan–Meier curve of the
end of watching (Graf et al., Assessment and comparison of prognostic classification schemes for
survival data, Statistics in Medicine 18, 1999; Vock et al., J. Biomedical Informatics 61, 2016).

A competing end (retired, sold, missing) ends the watch: a probability made of these labels is that
of an item that stays. Whether an item was sold *because* it was about to fail, nobody can see here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.history import FeatureTable

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

HEAVIEST = 20.0
"""No example counts for more than so many: one that was nearly never to be known says little."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What was seen of ``n`` examples after their cutoffs."""

    event: Floats
    """float64[n]: days until the first event; inf where none was seen."""
    watched: Floats
    """float64[n]: days under watch; 0 or less: not at all."""

    def __post_init__(self) -> None:
        assert self.event.shape == self.watched.shape, (self.event.shape, self.watched.shape)

    def __len__(self) -> int:
        return len(self.event)

    @property
    def seen(self) -> Floats:
        """float64[n]: days until the event; inf also where it came after the watch had ended."""
        return np.where(self.event <= self.watched, self.event, np.inf)

    def where(self, chosen: Ints | Mask) -> "Followed":
        """Some of them."""
        return Followed(self.event[chosen], self.watched[chosen])

    def upto(self, days: Floats | Ints) -> "Followed":
        """As it was known ``days`` (int64[n]) after each cutoff: nothing that came later."""
        return Followed(
            np.where(self.event <= days, self.event, np.inf), np.minimum(self.watched, days)
        )


def follow(table: FeatureTable, rows: Ints, counts: Sequence[str], until: Ints) -> Followed:
    """Days from each row to the next day on which any of the counts (features) had risen.

    ``rows``: int64[n] of the table; ``until``: int64[n], the last day each was watched
    (``trainer.examples.watched_until``). A count that is not known never rises.
    """
    columns = table.x[:, [table.features.index(name) for name in counts]]
    key = table.key_of_rows()
    same = key[1:] == key[:-1]
    rose = np.flatnonzero((columns[1:] > columns[:-1]).any(axis=1) & same) + 1
    at = np.searchsorted(rose, rows, side="right")
    event = np.full(len(rows), np.inf)
    inside = at < len(rose)
    following = rose[at[inside]]
    mine = key[following] == key[rows[inside]]
    days = (table.day[following] - table.day[rows[inside]]).astype(np.float64)
    event[inside] = np.where(mine, days, np.inf)
    return Followed(event, (until - table.day[rows]).astype(np.float64))


@dataclass(frozen=True, slots=True)
class Curve:
    """A right-continuous step function that starts at 1."""

    days: Floats
    """float64[k], rising: where it steps."""
    height: Floats
    """float64[k]: from each step on."""

    def at(self, days: Floats) -> Floats:
        """Its value at each moment."""
        return self._after(np.searchsorted(self.days, days, side="right"))

    def before(self, days: Floats) -> Floats:
        """Its value just before each moment."""
        return self._after(np.searchsorted(self.days, days, side="left"))

    def _after(self, steps: Ints) -> Floats:
        return np.concatenate([[1.0], self.height])[steps]


def kaplan_meier(days: Floats, ended: Mask, first: Mask | None = None) -> Curve:
    """Probability of lasting longer than each day.

    ``ended``: bool[n], whether the end was seen at ``days``; ``first``: bool[n], who leaves the risk
    set of that very day before anybody ends on it.
    Source: Kaplan & Meier, Nonparametric estimation from incomplete observations, JASA 53 (1958).

    >>> kaplan_meier(np.array([1.0, 2.0, 3.0]), np.array([True, False, True])).height.round(3).tolist()
    [0.667, 0.0]
    """
    steps, ends = np.unique(days[ended], return_counts=True)
    order = np.sort(days)
    at_risk = len(days) - np.searchsorted(order, steps, side="left")
    if first is not None:
        gone = np.sort(days[first])
        at_risk = at_risk - (
            np.searchsorted(gone, steps, side="right") - np.searchsorted(gone, steps, side="left")
        )
    lasting = np.cumprod(1.0 - ends / np.maximum(at_risk, 1))
    return Curve(steps, np.asarray(lasting, np.float64))


def incidence(followed: Followed, days: Floats) -> Floats:
    """Probability of an event by each day, whoever it is: the base rate that censoring allows."""
    last = np.minimum(followed.seen, followed.watched)
    under_watch = last > 0
    seen = np.isfinite(followed.seen)
    return 1.0 - kaplan_meier(last[under_watch], seen[under_watch]).at(days)


def labels(followed: Followed, horizon: Floats | float) -> tuple[Mask, Floats]:
    """(bool[n] it happened within the horizon, float64[n] weight; 0: censored, do not count it).

    ``horizon``: days, one for all or one each. The weighted share of events is exactly 1 − the
    Kaplan–Meier curve at the horizon (Satten & Datta, The Kaplan–Meier estimator as an
    inverse-probability-of-censoring weighted average, American Statistician 55, 2001).
    """
    return _interval(followed, np.zeros(len(followed)), horizon)


def _interval(followed: Followed, start: Floats, end: Floats | float) -> tuple[Mask, Floats]:
    """The same from ``start`` on, among those who were still under watch and without event then."""
    seen, watched = followed.seen, followed.watched
    end = np.broadcast_to(np.asarray(end, np.float64), seen.shape)
    at_risk = (seen > start) & (watched > start)
    happened = at_risk & (seen <= end)
    known = happened | (at_risk & (watched >= end))
    last = np.minimum(seen, watched)
    censored = seen > watched
    lasting = kaplan_meier(last[at_risk], censored[at_risk], ~censored[at_risk])
    chance = lasting.before(np.minimum(last, end))
    return happened, np.where(known, 1.0 / np.maximum(chance, 1.0 / HEAVIEST), 0.0)


@dataclass(frozen=True, slots=True)
class Stage:
    """One interval of a discrete-time hazard: m examples that came into it, and what it brought."""

    rows: Ints
    """int64[m] of the examples."""
    happened: Mask
    """bool[m]"""
    weight: Floats
    """float64[m], above 0."""


def stages(followed: Followed, edges: Sequence[float]) -> list[Stage]:
    """Person-period rows: interval k is ``edges[k-1] < days <= edges[k]``, the first from 0.

    Who is in an interval came into it without an event and under watch; who left within it counts
    by the weights of :func:`labels`. A product of (1 − hazard) over intervals never rises with
    the horizon, whatever models the hazards.
    Source: Singer & Willett, It's about time: using discrete-time survival analysis, J. Educational
    Statistics 18 (1993).
    """
    assert list(edges) == sorted(set(edges)), edges
    made = []
    for start, end in zip([0.0, *edges[:-1]], edges, strict=True):
        happened, weight = _interval(followed, np.full(len(followed), float(start)), float(end))
        rows = np.flatnonzero(weight > 0)
        made.append(Stage(rows, happened[rows], weight[rows]))
    return made


def brier(happened: Mask, probability: Floats, weight: Floats) -> float:
    """Weighted mean squared difference of probability and outcome; NaN where nothing is known.

    Source: Graf et al. (1999), with weights from :func:`labels`.
    """
    total = float(weight.sum())
    if total <= 0:
        return float("nan")
    return float(np.sum(weight * (probability - happened) ** 2) / total)
