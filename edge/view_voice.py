"""How far the model that came with the program is believed while little of a shop's own history is known.

Reads only. A starter learnt in another shop: of an item that was never watched it speaks out of columns
that are empty here, not low. So it is held towards the simple rule until its windows have filled.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.features.catalog import BY_ENTITY
from edge.inference.answering import Origin, origin_of
from edge.inference.manifest import Manifest, Service
from edge.inference.predict import MAINTENANCE_DAYS, known_since_ms
from edge.view_basis import Basis, Sources, speaker

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

DAY_MS = 86_400_000
NEEDED_DAYS_MOST = 90
"""A window of a year is never waited for: starters learnt from items that were younger, too."""
RULE_DAYS = MAINTENANCE_DAYS[-1]
"""A simple rule counts what happened; of fewer days it is not worth a proposal."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How far a service is believed of n items."""

    origin: Origin
    """Who speaks: ``starter``, ``shop``; empty: a simple rule."""
    needed_days: int
    """Days of an item's own history until it is believed in full; 0: none are needed."""
    watched_days: Floats
    """float64[n]: days since the oldest thing that is known of each item."""

    @property
    def founded(self) -> Mask:
        """bool[n]: whether enough is known to propose something."""
        return np.asarray(self.watched_days >= self.needed_days)

    @property
    def longest_days(self) -> float:
        """Of the item that is known for longest."""
        return float(self.watched_days.max(initial=0.0))

    @property
    def share(self) -> Floats:
        """float64[n]: weight of what a starter says; the simple rule has the rest."""
        if self.origin != "starter":
            return np.ones(len(self.watched_days))
        return np.asarray(np.clip(self.watched_days / self.needed_days, 0.0, 1.0), np.float64)

    def told(self, basis: Basis) -> Basis:
        """``basis``, saying how far the model is held."""
        known = self.founded
        if basis.origin == "starter" and not known.all():
            basis.held = (
                f"A starter is held towards the simple rule until {self.needed_days} days of an item's "
                f"own history are known: {int(known.sum())} of {len(known)} items have them, the "
                f"median is {float(np.median(self.watched_days)):.1f} days."
                if len(known) > 1
                else f"A starter is held towards the simple rule until {self.needed_days} days of the item "
                f"are known; these are {self.longest_days:.1f}."
            )
        return basis


def voice(sources: Sources, service: Service, rows: Ints) -> Voice:
    """Of these items: their rows in the state."""
    told = speaker(sources.scorer, service)
    return Voice(origin_of(told), needed_days(told), watched_days(sources, rows))


def watched_days(sources: Sources, rows: Ints) -> Floats:
    """float64[n]: days since the oldest thing that is known of each item."""
    since = known_since_ms(sources.core.state, rows)
    return np.where(since > 0, np.maximum(sources.now_ms - since, 0), 0) / DAY_MS


def needed_days(told: Manifest | None) -> int:
    """Days that the features of a starter look back over, at most ``NEEDED_DAYS_MOST``.

    Of a model that learnt here 0: it learnt from young items of this very shop, too. Of no model
    ``RULE_DAYS``.
    """
    if told is None:
        return RULE_DAYS
    if origin_of(told) != "starter":
        return 0
    known = BY_ENTITY[told.entity]
    longest = max((_days(known[name].window) for name in told.features), default=0)
    return min(longest, NEEDED_DAYS_MOST) or RULE_DAYS


def _days(window: str) -> int:
    """Whole days of a window of the catalogue; 0: it is shorter, or there is none.

    >>> _days("90d"), _days("24h"), _days("")
    (90, 0, 0)
    """
    return int(window[:-1]) if window.endswith("d") else 0
