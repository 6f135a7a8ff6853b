"""How long may a tag be silent and still be believed present? The answer, learned and tabulated.

No pairs, no items, no events, no clock: integers in, integers out. ``presence.py`` keeps the tags.

The model. In every epoch a present tag is read with chance p (its read rate) and leaves with
chance h (the hazard); an absent tag is not read. This is a two-state hidden Markov model, and
after a read followed by k silent epochs the odds of absent against present are

    odds(0) = 0,   odds(k) = (odds(k-1) + h) / ((1-h) (1-p))

Fewest errors are made by believing the likelier state, so a tag stays believed for the largest k
with odds(k) <= 1. With q = (1-h)(1-p) the recursion sums to a geometric series, and that window is

    k = floor( ln( h / (1-q+h) ) / ln q )

It grows as reads get rarer and as stays get longer: the adaptive window of SMURF (Jeffery,
Garofalakis, Franklin, "Adaptive Cleaning for RFID Data Streams", VLDB 2006), but where SMURF
asks for completeness (a present tag is seen with confidence 1-delta) and shrinks on surprise,
this asks for the fewest errors and needs no surprise: how mobile tags are is learned.
Measured over read rates 0.3 to 0.9 (``bench/presence.py``), SMURF loses to the best fixed window
for mobile tags, and this does not.

p and h are never configured.

p: between two reads lie g epochs, one of them a read; the reads of a tag over the epochs between
its first and its last read estimate p without bias (both ends are given). The tag's ratio is
shrunk towards its zone's, the zone's towards the shop's (a beta prior of fixed weight).

h: a life table (Kaplan and Meier, JASA 1958): for every zone and class of age (epochs since the
stay began) the departures over the epochs stayed. Age matters: who just came is likely to pass
on, who has stood for hours is stock. Where a class has few data it is shrunk towards the shop's,
and that towards the class below or a heavy-tailed prior, 1 / (age + 600): nothing known, a tag
that has stayed for long will stay for long. A silence counts as a departure only when presence has
become a thousand times less likely than absence; a read before that shows that the tag stayed.
So a missed tag does not teach that tags leave, and the estimate cannot talk itself down. (Tags
read far more rarely than the prior thinks are recognised when they come back: ``presence.py``.)

Rates are in 1024ths and dwells in half octaves, so the windows are two lookups in a table made
once, and state is integers: the same bits on every machine and for every split into batches.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]

RATE_ONE = 1024
"""Read rates are counted in 1024ths."""
RATE_MAX = 1004
"""No tag is believed to be read in more than 98 % of epochs."""
AGES = 31
"""Classes of age: 0, then half octaves of epochs; the last is open."""
AGE_LAST = 1 << 15
"""Ages from here on are alike, epochs."""
DWELLS = 48
"""Classes of mean dwell: half octaves of epochs."""
WINDOW_MAX = 600
"""Longest silence that smoothing bridges, epochs."""
GONE_MAX = 1_800
"""Longest silence before a stay is taken as over, epochs."""
QUIET_MAX = 7_200
"""Longest silence asked before people are told of a departure, epochs."""
GONE_ODDS = 1_000
"""Absence must be so much likelier than presence before a stay counts as over."""
QUIET_CHANCE = 1e-9
"""People are told of a departure only after a silence this unlikely for a present tag. At most
86,400 silences begin in an item-day of one-second epochs: one false departure in 10,000 days."""
PRIOR_DWELL = 600
"""Prior mean dwell of a tag that has just come, epochs; it grows with age."""
TAG_WEIGHT = 16
"""A zone's read rate counts like so many epochs of the tag's own."""
ZONE_WEIGHT = 8
"""The shop's read rate counts like so many epochs of the zone's own."""
SHOP_READS, SHOP_EPOCHS = 3, 5
"""A shop nobody has seen yet: read rate 0.6 (VLDB 2006: 60-70 % is common)."""
STAYED_MAX = 1 << 22
"""A cell of the life table is halved here, epochs: old habits fade."""
SPAN_MAX = 1 << 20
"""A zone's read rate forgets beyond so many epochs."""


def age_class(age: I64) -> I64:
    """Class of each age in epochs, int64[n] -> int64[n].

    >>> age_class(np.array([0, 1, 2, 3, 100_000])).tolist()
    [0, 1, 3, 4, 30]
    """
    return _age_classes()[np.minimum(age, AGE_LAST - 1)].astype(np.int64)


@lru_cache(maxsize=1)
def _age_classes() -> NDArray[np.uint8]:
    """uint8[AGE_LAST]: small, so that it stays in the processor's cache."""
    ages = np.arange(AGE_LAST)
    classes = np.floor(2 * np.log2(np.maximum(ages, 1))).astype(np.int64) + 1
    classes[0] = 0
    small: NDArray[np.uint8] = np.minimum(classes, AGES - 1).astype(np.uint8)
    return small


@lru_cache(maxsize=1)
def _dwell_edges() -> I64:
    """Least dwell of classes 1, 2, …; epochs, rounded to whole epochs."""
    return np.ceil(2.0 ** (np.arange(1, DWELLS) / 2)).astype(np.int64)


def dwell_class(dwell: I64) -> I64:
    """Class of each mean dwell in epochs: floor(2 log2 dwell), within 0..DWELLS-1."""
    return np.searchsorted(_dwell_edges(), dwell, side="right").astype(np.int64)


def prior_dwells() -> I64:
    """int64[AGES]: mean remaining dwell of each class of age before anything is known, epochs."""
    middle = 2.0 ** ((np.arange(AGES) - 0.5) / 2)
    middle[0] = 0
    return np.rint(middle).astype(np.int64) + PRIOR_DWELL


@lru_cache(maxsize=4)
def silence_table(odds: float, limit: int) -> NDArray[np.int16]:
    """int16[RATE_ONE+1, DWELLS]: the longest silence with odds(k) <= ``odds``, at most ``limit``.

    The closed form of this module's docstring; a hazard is the middle of its dwell class.
    """
    rate = np.clip(np.arange(RATE_ONE + 1), 1, RATE_MAX)[:, None] / RATE_ONE
    hazard = np.minimum(0.9, 2.0 ** (-(np.arange(DWELLS) + 0.5) / 2))[None, :]
    q = (1 - hazard) * (1 - rate)
    silence = np.log(hazard / (odds * (1 - q) + hazard)) / np.log(q)
    return np.clip(np.floor(silence), 0, limit).astype(np.int16)


@lru_cache(maxsize=1)
def quiet_table() -> I64:
    """int64[RATE_ONE+1]: silence that a present tag keeps with chance QUIET_CHANCE, epochs."""
    rate = np.clip(np.arange(RATE_ONE + 1), 1, RATE_MAX) / RATE_ONE
    quiet = np.ceil(np.log(QUIET_CHANCE) / np.log1p(-rate))
    capped: I64 = np.minimum(quiet, QUIET_MAX).astype(np.int64)
    return capped


class ZoneModel:
    """What has been learned about zones: read rates, and a life table of stays.

    Columns (Z zones, A = AGES): ``reads``, ``span`` int64[Z] (reads over epochs within stays);
    ``stayed``, ``left`` int64[Z, A] (epochs stayed and departures by age); ``dwell`` int64[Z, A]
    (class of mean dwell, derived from them by :meth:`refresh` and used until the next).
    """

    COLUMNS = ("reads", "span", "stayed", "left", "dwell")

    def __init__(self, zones: int) -> None:
        self.reads = np.zeros(zones, np.int64)
        self.span = np.zeros(zones, np.int64)
        self.stayed = np.zeros((zones, AGES), np.int64)
        self.left = np.zeros((zones, AGES), np.int64)
        self.dwell = np.zeros((zones, AGES), np.int64)
        self.refresh()

    def learn_reads(self, zone: I64, age: I64, gap: I64) -> None:
        """Tags of ``zone`` were read again, ``gap`` >= 1 epochs after their age was ``age``."""
        zones = len(self.reads)
        self.reads += np.bincount(zone, minlength=zones)
        # bincount sums weights as float64: exact for whole numbers below 2**53.
        self.span += np.bincount(zone, gap, zones).astype(np.int64)
        cell = zone * AGES + age_class(age)
        stayed = np.bincount(cell, gap, zones * AGES).astype(np.int64)
        self.stayed += stayed.reshape(zones, AGES)
        worn = self.stayed >= STAYED_MAX
        if worn.any():
            self.stayed[worn] >>= 1
            self.left[worn] >>= 1
        worn = self.span >= SPAN_MAX
        if worn.any():
            self.reads[worn] >>= 1
            self.span[worn] >>= 1

    def learn_departures(self, zone: I64, age: I64) -> None:
        """Tags of ``zone`` are gone; when last read their age was ``age`` epochs."""
        np.add.at(self.left, (zone, age_class(age)), 1)

    def unlearn_departures(self, zone: I64, age: I64) -> None:
        """Tags of ``zone`` that were taken as gone at ``age`` turn out to have been there."""
        np.subtract.at(self.left, (zone, age_class(age)), 1)
        np.maximum(self.left, 0, out=self.left)

    def refresh(self) -> None:
        """Estimate hazards anew: each class as departures over epochs stayed, shrunk."""
        stayed, left = self.stayed.sum(axis=0).tolist(), self.left.sum(axis=0).tolist()
        shop, below = [], 0
        for age, prior in enumerate(prior_dwells().tolist()):
            below = (stayed[age] + max(prior, below)) // (left[age] + 1)
            shop.append(below)
        mean = (self.stayed + np.array(shop, np.int64)) // (self.left + 1)
        self.dwell = dwell_class(np.maximum(mean, 1))

    def rates(self) -> I64:
        """int64[Z]: read rate of each zone, shrunk towards the shop's, 1024ths."""
        shop = (
            (int(self.reads.sum()) + SHOP_READS) * RATE_ONE // (int(self.span.sum()) + SHOP_EPOCHS)
        )
        rates: I64 = (self.reads * RATE_ONE + ZONE_WEIGHT * shop) // (self.span + ZONE_WEIGHT)
        return rates

    def tag_rates(self, zone: I64, reads: I64, span: I64) -> I64:
        """int64[n]: read rate of tags with ``reads`` over ``span`` epochs, shrunk, 1024ths."""
        rate = (reads * RATE_ONE + TAG_WEIGHT * self.rates()[zone]) // (span + TAG_WEIGHT)
        clipped: I64 = np.clip(rate, 1, RATE_MAX)
        return clipped

    def silences(self, zone: I64, age: I64, rate: I64) -> tuple[I64, I64]:
        """For how many epochs a tag may be silent (believed present, stay not over), int64[n] each.

        The hazard is taken in the middle of the window it gives: the age at which the tag would
        leave, not the age at which it was last read.
        """
        # One flat index into each table: a lookup by two indices takes twice as long.
        believed = silence_table(1.0, WINDOW_MAX).ravel()
        gone = silence_table(float(GONE_ODDS), GONE_MAX).ravel()
        dwell, row, cell = self.dwell.ravel(), rate * DWELLS, zone * AGES
        first = believed[row + dwell[cell + age_class(age)]]
        row += dwell[cell + age_class(age + (first >> 1))]
        return believed[row].astype(np.int64), gone[row].astype(np.int64)
