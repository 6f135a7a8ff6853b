"""A seeded floor of tags and what its readers report of it: raw reads with their ground truth.

No clock, no sockets, no formats: plain columns. Whoever wants Zebra or Impinj messages wraps them.

Tags dwell in zones, walk to another zone or leave the shop, and come back. Every epoch a reader
makes ``rounds`` interrogation rounds; each sees a present tag independently, so that the tag is
reported at least once in an epoch with the tag's read rate (the sampling model of Jeffery,
Garofalakis and Franklin, "Adaptive Cleaning for RFID Data Streams", VLDB 2006, section 3). Real
floors are less kind, and so can this one be: tags hidden behind a trolley for a while, readers
that fall silent, neighbours that overhear.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

AWAY = -1
OWN_ZONE_CDBM = -5_500
"""Mean signal strength of a tag in its own zone, hundredths of dBm."""
OVERHEARD_CDBM = -6_900
"""Mean signal strength of a tag overheard by the zone next door, hundredths of dBm."""
TAG_SPREAD_CDBM = 300.0
READ_SPREAD_CDBM = 200.0


@dataclass(frozen=True, kw_only=True)
class Floor:
    """What the floor is like. Spans are inclusive (least, most) epochs, drawn uniformly.

    A dwell ends by walking to another zone, or with probability ``away_share`` by leaving the
    shop for a span of ``away``. ``static_share`` of the tags dwell for ``static_dwell`` instead.
    ``read_rate`` is the chance of being read at all in an epoch; a tag's own rate lies within
    ``read_rate_spread`` of it. ``hidden_share`` of its time a tag cannot be read, in spells of
    mean ``hidden_epochs``. ``overheard_share`` scales the read rate at the next zone.
    ``outages`` are (zone, first epoch, end epoch) in which that zone's reader reports nothing.
    """

    tags: int = 40
    zones: int = 4
    epochs: int = 1_500
    epoch_ms: int = 1_000
    start_ms: int = 1_700_000_000_000
    read_rate: float = 0.6
    read_rate_spread: float = 0.0
    rounds: int = 4
    antennas: int = 2
    dwell: tuple[int, int] = (20, 80)
    away: tuple[int, int] = (20, 80)
    away_share: float = 0.5
    static_share: float = 0.0
    static_dwell: tuple[int, int] = (200, 600)
    hidden_share: float = 0.0
    hidden_epochs: int = 30
    overheard_share: float = 0.0
    outages: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Reads:
    """Raw reads in order of arrival: columns of one length n."""

    arrival_ms: NDArray[np.int64]  # epoch milliseconds
    item: NDArray[np.int64]  # the tag, 0..tags-1
    zone: NDArray[np.int16]  # 0..zones-1
    antenna: NDArray[np.int16]  # port within the zone, from 1
    rssi_cdbm: NDArray[np.int32]  # hundredths of dBm
    count: NDArray[np.int32]  # rounds that saw the tag, folded into this report

    def between(self, start: int, end: int) -> "Reads":
        """Rows ``start:end``."""
        return self.take(slice(start, end))

    def take(self, rows: slice | NDArray[np.int64]) -> "Reads":
        """Chosen rows, in the order given."""
        return Reads(
            self.arrival_ms[rows],
            self.item[rows],
            self.zone[rows],
            self.antenna[rows],
            self.rssi_cdbm[rows],
            self.count[rows],
        )

    @classmethod
    def join(cls, parts: "Sequence[Reads]") -> "Reads":
        """One after the other."""
        return cls(
            np.concatenate([part.arrival_ms for part in parts]),
            np.concatenate([part.item for part in parts]),
            np.concatenate([part.zone for part in parts]),
            np.concatenate([part.antenna for part in parts]),
            np.concatenate([part.rssi_cdbm for part in parts]),
            np.concatenate([part.count for part in parts]),
        )


class Scene(NamedTuple):
    """What readers said, and what was true."""

    reads: Reads
    zone: NDArray[np.int16]  # int16[epochs, tags]: where each tag truly was; AWAY: not here


def generate(floor: Floor, seed: int) -> Scene:
    """The whole scene of a floor; the same seed gives the same scene.

    >>> scene = generate(Floor(tags=3, epochs=10), seed=1)
    >>> scene.zone.shape
    (10, 3)
    """
    rng = np.random.default_rng(seed)
    truth = _walk(floor, rng)
    rates = _tag_rates(floor, rng)
    hearable = ~_hidden(floor, rng)
    loudness = rng.normal(0.0, TAG_SPREAD_CDBM, floor.tags)
    parts = [_hear(floor, rng, truth, hearable, rates, loudness, OWN_ZONE_CDBM)]
    if floor.overheard_share > 0 and floor.zones > 1:
        beside = np.where(truth == AWAY, AWAY, (truth + 1) % floor.zones).astype(np.int16)
        faint = rates * floor.overheard_share
        parts.append(_hear(floor, rng, beside, hearable, faint, loudness, OVERHEARD_CDBM))
    reads = Reads.join(parts)
    return Scene(reads.take(np.argsort(reads.arrival_ms, kind="stable")), truth)


def _walk(floor: Floor, rng: np.random.Generator) -> NDArray[np.int16]:
    """int16[epochs, tags]: the zone of every tag in every epoch."""
    truth = np.full((floor.epochs, floor.tags), AWAY, np.int16)
    static = rng.random(floor.tags) < floor.static_share
    for tag in range(floor.tags):
        low, high = floor.static_dwell if static[tag] else floor.dwell
        zone = int(rng.integers(floor.zones))
        # The scene starts in the middle of everybody's stay.
        until = int(rng.integers(1, high + 1))
        start = 0
        while start < floor.epochs:
            truth[start:until, tag] = zone
            start = until
            if rng.random() < floor.away_share or floor.zones == 1:
                start += int(rng.integers(floor.away[0], floor.away[1] + 1))
            zone = (zone + int(rng.integers(1, max(2, floor.zones)))) % floor.zones
            until = start + int(rng.integers(low, high + 1))
    return truth


def _tag_rates(floor: Floor, rng: np.random.Generator) -> NDArray[np.float64]:
    """float64[tags]: each tag's own read rate per epoch."""
    spread = floor.read_rate_spread
    rates = floor.read_rate + rng.uniform(-spread, spread, floor.tags)
    return np.clip(rates, 0.0, 1.0)


def _hidden(floor: Floor, rng: np.random.Generator) -> NDArray[np.bool_]:
    """bool[epochs, tags]: spells in which a tag cannot be read (a Gilbert-Elliott channel)."""
    hidden = np.zeros((floor.epochs, floor.tags), np.bool_)
    if floor.hidden_share <= 0:
        return hidden
    leave = 1.0 / floor.hidden_epochs
    enter = leave * floor.hidden_share / (1.0 - floor.hidden_share)
    now = rng.random(floor.tags) < floor.hidden_share
    for epoch in range(floor.epochs):
        chance = rng.random(floor.tags)
        now = np.where(now, chance >= leave, chance < enter)
        hidden[epoch] = now
    return hidden


def _hear(
    floor: Floor,
    rng: np.random.Generator,
    where: NDArray[np.int16],
    hearable: NDArray[np.bool_],
    rates: NDArray[np.float64],
    loudness: NDArray[np.float64],
    level_cdbm: int,
) -> Reads:
    """Reports of the tags that are at ``where`` (int16[epochs, tags]), unsorted."""
    audible = (where != AWAY) & hearable
    for zone, start, end in floor.outages:
        audible[start:end] &= where[start:end] != zone
    epoch, item = np.nonzero(audible)
    a_round = 1.0 - (1.0 - rates[item]) ** (1.0 / floor.rounds)
    seen = rng.binomial(floor.rounds, a_round)
    heard = seen > 0
    epoch, item, seen = epoch[heard], item[heard], seen[heard]
    n = len(epoch)
    within = rng.integers(0, floor.epoch_ms, n)
    rssi = level_cdbm + loudness[item] + rng.normal(0.0, READ_SPREAD_CDBM, n)
    return Reads(
        arrival_ms=floor.start_ms + epoch * floor.epoch_ms + within,
        item=item.astype(np.int64),
        zone=where[epoch, item],
        antenna=rng.integers(1, floor.antennas + 1, n).astype(np.int16),
        rssi_cdbm=np.rint(rssi).astype(np.int32),
        count=seen.astype(np.int32),
    )
