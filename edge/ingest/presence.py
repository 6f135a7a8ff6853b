"""Raw reads -> who is where, and what people are told of it: arrived, moved, departed.

No formats, no readers, no sockets, no clock: items and zones are small integers, time is an
argument. How long a silent tag is believed present is learned in ``smoothing.py``.

Two answers to two questions. *Is this tag in this zone now?* is smoothed presence, a (tag, zone)
pair at a time, with as few wrong epochs as can be had. *Whom do we tell?* is a location for each
tag with its own, longer hysteresis in the manner of EdgeX app-rfid-llrp-inventory: a tag arrives
with its first read, moves when another zone is clearly louder (by a margin that falls while the
old zone is silent), and departs when it was read nowhere for ``departed_after_s``. A portal or
exit is passed, not stayed in: there 30 s will do. Where a tag is read so rarely that such a
silence happens to present tags, it takes longer (``smoothing.QUIET_CHANCE``).

Time. Reads of one epoch are summed (integer sums: order and batches do not matter) and judged
together when the epoch closes. Between epochs with reads nothing can change but that silences
run out; those are found by one comparison a pair for any span of time, so a jump of years costs
what an epoch costs. Every zone counts its own visible epochs: while a zone is blind its count
stands still, and with it every silence and every departure of its tags.

Not-seen is counted in visible epochs of the zone concerned; epochs in which a zone was blind for
any part teach nothing.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.ma  # np.unique loads it at its first call: not while reads wait
from numpy.typing import ArrayLike, NDArray

from edge.config import PresenceSettings
from edge.features.reads import RSSI_UNKNOWN as _UNKNOWN_CDBM
from edge.ingest import smoothing
from edge.ingest.smoothing import ZoneModel
from edge.ingest.transitions import NOTHING, NOWHERE, Kind, Transitions

I16 = NDArray[np.int16]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Ints = NDArray[np.signedinteger[Any]]
Bool = NDArray[np.bool_]

RSSI_UNKNOWN = _UNKNOWN_CDBM
"""``rssi_cdbm`` of a read whose reader does not tell."""
RSSI_READS = 20
"""The mean signal strength is of 10 to 20 reads (EdgeX: the last 20): beyond 20, the old ones
together weigh as …"""
RSSI_KEPT = 10
"""… so many."""
TAG_SPAN_MAX = 512
"""A tag's own read rate forgets beyond so many epochs."""
RETRO_MAX = 7_200
"""Blindness told late reaches back at most so many epochs."""
REFRESH_EPOCHS = 8
"""Hazards are estimated anew so often, epochs."""
EVICT_SHARE = 16
"""At an epoch's end one pair in so many is kept free for whoever comes next."""

_FOREVER = np.iinfo(np.int64).max // 4
_SILENT_CDBM = -(10**9)


_PAIR_COLUMNS: dict[str, type[np.signedinteger] | type[np.bool_]] = {
    "item": np.int64,  # -1: the slot is free
    "zone": np.int16,
    "born": np.int64,  # visible epoch of the zone when the stay began; -1: no epoch closed yet
    "seen": np.int64,  # visible epoch when last read
    "believed": np.int32,  # silent epochs for which presence is believed
    "gone": np.int32,  # … after which the stay counts as over
    "keep": np.int32,  # … after which the pair is let go
    "ended": np.bool_,  # the stay counts as over
    "reads": np.int32,  # epochs read again, over …
    "span": np.int32,  # … epochs from read to read: the read rate
    "came_ms": np.int64,  # first read of the visit
    "last_ms": np.int64,  # newest read
    "heard": np.int64,  # reads in this visit
    "rssi_sum": np.int64,
    "rssi_n": np.int32,
    "now_count": np.int64,  # reads in the open epoch; 0: none
    "now_rssi": np.int64,
    "now_rssi_n": np.int32,
    "now_first_ms": np.int64,
}
_ITEM_COLUMNS: dict[str, tuple[type[np.signedinteger] | type[np.bool_], int]] = {
    "location": (np.int16, NOWHERE),
    "since_ms": (np.int64, 0),
    "last_ms": (np.int64, 0),
    "hold": (np.int32, 0),  # visible epochs of silence until departure
    "due": (np.int64, 0),  # visible epoch of the location at which it departs
    "muted": (np.bool_, 0),
}
_ENDING = ("item", "zone", "born", "seen", "gone", "keep", "ended")
_ZONE_COLUMNS = ("blind", "dimmed", "lost", "clear_from")
_CLOCK = ("epoch", "refresh_at", "refused", "evicted")


class Presence:
    """Presence of every tag in every zone; see the module for the rules.

    Bounded by ``settings.pairs_max`` pairs. When they run out, new pairs are not taken up
    (``refused`` counts their reads), and at the end of every epoch with reads the pairs silent
    for longest yield (``evicted``) until one in ``EVICT_SHARE`` is free. Items are row numbers
    below ``items_max`` at most; columns grow as they appear.

    All times are epoch milliseconds; arrivals must not decrease, nor lie before what was
    advanced to.
    """

    def __init__(self, settings: PresenceSettings, zone_kinds: Sequence[str]) -> None:
        zones = len(zone_kinds)
        assert 0 < zones < 1 << 15, zones
        assert settings.pairs_max > 1, settings.pairs_max
        self.settings = settings
        self.zone_kinds = tuple(zone_kinds)
        self.refused = 0
        self.evicted = 0
        self._epoch = -1  # the open epoch; -1: nothing was ever told
        self._refresh_at = 0
        self._model = ZoneModel(zones)
        self._blind = np.zeros(zones, np.bool_)
        self._dimmed = np.zeros(zones, np.bool_)  # blind for some part of the open epoch
        self._lost = np.zeros(zones, np.int64)  # epochs not visible so far
        self._clear_from = np.zeros(zones, np.int64)
        self._zone_hold = _holds(settings, self.zone_kinds)
        self._threshold_cdb = round(settings.move_threshold_db * 100)
        self._slope_cdb_per_s = round(settings.move_slope_db_per_s * 100)
        # One slot more than pairs: the last is nobody, so that index -1 is safe to look at.
        self._pairs = {n: np.zeros(settings.pairs_max + 1, t) for n, t in _PAIR_COLUMNS.items()}
        self._pairs["item"][:] = -1
        self._pairs["zone"][:] = NOWHERE
        self._next = np.full(settings.pairs_max + 1, -1, np.int32)  # next pair of the same item
        self._free: list[int] = []
        self._top = 0  # slots from here on were never used
        self._items = {n: np.full(0, v, t) for n, (t, v) in _ITEM_COLUMNS.items()}
        self._head = np.full(0, -1, np.int32)  # first pair of the item
        self._pairs_due = -1  # no stay ends before this epoch has closed
        self._items_due = -1  # nobody departs before this epoch has closed

    # -- what happens

    def observe(
        self,
        item: I64,
        zone: Ints,
        arrival_ms: I64,
        rssi_cdbm: Ints,
        count: Ints,
    ) -> Transitions:
        """Take raw reads in order of arrival; columns of one length n.

        ``rssi_cdbm`` is in hundredths of dBm or ``RSSI_UNKNOWN``; ``count`` is how many reads
        the reader folded into one. Returns what closing epochs brought to light.
        """
        n = len(item)
        if not n:
            return NOTHING
        epochs = arrival_ms // self.settings.epoch_ms
        self._make_room(int(item.max()) + 1)
        if epochs[0] == epochs[-1]:
            told = self._advance_to(int(epochs[0]))
            self._gather(item, zone, arrival_ms, rssi_cdbm, count)
            return told
        cuts = [0, *(np.flatnonzero(np.diff(epochs)) + 1).tolist(), n]
        told_by_epoch = []
        for start, end in pairwise(cuts):
            told_by_epoch.append(self._advance_to(int(epochs[start])))
            rows = slice(start, end)
            self._gather(item[rows], zone[rows], arrival_ms[rows], rssi_cdbm[rows], count[rows])
        return Transitions.join(told_by_epoch)

    def advance(self, now_ms: int) -> Transitions:
        """No further reads until ``now_ms``: close every epoch that ended by then."""
        return self._advance_to(now_ms // self.settings.epoch_ms)

    def set_blind(self, zone: int, blind: bool, at_ms: int) -> Transitions:
        """A zone cannot see, or can see again, from ``at_ms`` on (first advances to it).

        Blindness told late (``at_ms`` before the open epoch) is taken back to ``at_ms`` for
        silences still running, but not further than the last time the zone could see again.
        """
        told = self.advance(at_ms)
        if blind and not self._blind[zone]:
            told_late = self._epoch - max(
                at_ms // self.settings.epoch_ms, int(self._clear_from[zone])
            )
            self._lost[zone] += min(max(told_late, 0), RETRO_MAX)
            self._dimmed[zone] = True
        if self._blind[zone] and not blind:
            self._clear_from[zone] = self._epoch + 1
            self._pairs_due = self._items_due = -1
        self._blind[zone] = blind
        return told

    def set_muted(self, items: ArrayLike, muted: bool = True) -> None:
        """Say nothing (or speak again) of these items; their presence is kept all the same."""
        rows = np.atleast_1d(np.asarray(items, np.int64))
        self._make_room(int(rows.max(initial=-1)) + 1)
        self._items["muted"][rows] = muted

    def forget(self, items: ArrayLike) -> None:
        """Drop everything known of these items, also that they were muted. Tells nobody."""
        rows = np.unique(np.atleast_1d(np.asarray(items, np.int64)))
        rows = rows[rows < len(self._head)]
        self._release(np.flatnonzero(np.isin(self._pairs["item"][: self._top], rows)))
        for name, (_, nothing) in _ITEM_COLUMNS.items():
            self._items[name][rows] = nothing

    # -- what is so

    @property
    def pairs_in_view(self) -> int:
        """How many (tag, zone) pairs are held."""
        return self._top - len(self._free)

    def zone_of(self, items: ArrayLike) -> I16:
        """int16[n]: the zone people are told, NOWHERE after departure."""
        return self._of_items("location", items).astype(np.int16)

    def since_ms(self, items: ArrayLike) -> I64:
        """int64[n]: since when it is in that zone (or was, if departed)."""
        return self._of_items("since_ms", items).astype(np.int64)

    def last_read_ms(self, items: ArrayLike) -> I64:
        """int64[n]: newest read anywhere, of epochs closed; 0: never."""
        return self._of_items("last_ms", items).astype(np.int64)

    def next_at_ms(self) -> int:
        """Nothing is told or learned by advancing to before this moment (nor must it be then)."""
        open_epoch_has_reads = bool(self._pairs["now_count"][: self._top].any())
        due = self._epoch + 1
        if not open_epoch_has_reads:
            due = max(due, min(self._pairs_due, self._items_due))
        return min(due * self.settings.epoch_ms, _FOREVER)

    def present(self, items: ArrayLike, at_ms: int | None = None) -> Bool:
        """bool[n]: smoothed presence in any zone, as last advanced to, or later at ``at_ms``."""
        rows = np.atleast_1d(np.asarray(items, np.int64))
        here = np.zeros(max(len(self._head), int(rows.max(initial=-1)) + 1), np.bool_)
        here[self._believed_items(at_ms)[0]] = True
        return here[rows]

    def present_in(self, items: ArrayLike, zones: ArrayLike, at_ms: int | None = None) -> Bool:
        """bool[n]: smoothed presence of each item in the zone beside it."""
        slot = self._find(items, zones)
        return (slot >= 0) & self._is_believed(slot, self._visible(at_ms))

    def counts(self, at_ms: int | None = None) -> I64:
        """int64[Z]: items present (smoothed) in each zone."""
        zones = self._believed_items(at_ms)[1]
        return np.bincount(zones, minlength=len(self._blind)).astype(np.int64)

    def mean_rssi(self, items: ArrayLike, zones: ArrayLike) -> I64:
        """int64[n]: fading mean signal strength, hundredths of dBm; RSSI_UNKNOWN if unknown."""
        slot = self._find(items, zones)
        n = self._pairs["rssi_n"][slot].astype(np.int64)
        mean = self._pairs["rssi_sum"][slot] // np.maximum(n, 1)
        return np.where((slot >= 0) & (n > 0), mean, RSSI_UNKNOWN).astype(np.int64)

    def read_rate(self, zones: ArrayLike) -> NDArray[np.float64]:
        """float64[n]: learned share of epochs in which a present tag is read, for each zone."""
        rates: NDArray[np.float64] = self._model.rates()[np.asarray(zones)] / smoothing.RATE_ONE
        return rates

    # -- keep and bring back

    def snapshot(self, items: ArrayLike | None = None) -> dict[str, NDArray[np.generic]]:
        """Everything, in canonical order (pairs by item and zone): equal state, equal bits.

        With ``items`` int64[m], only those, renumbered to their position in it: what a shard or
        a new numbering needs. Learned zone columns are copied whole.
        """
        pairs = {n: c[: self._top] for n, c in self._pairs.items()}
        held = np.flatnonzero(pairs["item"] >= 0)
        numbers = np.arange(len(self._head))
        told = self._items
        if items is not None:
            wanted = np.atleast_1d(np.asarray(items, np.int64))
            self._make_room(int(wanted.max(initial=-1)) + 1)
            numbers = np.full(len(self._head), -1)
            numbers[wanted] = np.arange(len(wanted))
            held = held[numbers[pairs["item"][held]] >= 0]
            told = {n: c[wanted] for n, c in self._items.items()}
        number = numbers[pairs["item"][held]]
        order = np.lexsort((pairs["zone"][held], number))
        out: dict[str, NDArray[np.generic]] = {
            f"pair_{n}": c[held][order] for n, c in pairs.items()
        }
        out["pair_item"] = number[order].astype(np.int64)
        # Rows that say nothing are left out: how far columns have grown is nobody's business.
        says = np.zeros(len(told["location"]), np.bool_)
        for name, (_, nothing) in _ITEM_COLUMNS.items():
            says |= told[name] != nothing
        rows = np.flatnonzero(says)
        out["item_row"] = rows.astype(np.int64)
        out |= {f"item_{n}": c[rows] for n, c in told.items()}
        out |= {f"zone_{n}": getattr(self._model, n).copy() for n in ZoneModel.COLUMNS}
        out |= {f"zone_{n}": getattr(self, f"_{n}").copy() for n in _ZONE_COLUMNS}
        out["clock"] = np.array(
            [self._epoch, self._refresh_at, self.refused, self.evicted], np.int64
        )
        return out

    @classmethod
    def restore(
        cls,
        settings: PresenceSettings,
        zone_kinds: Sequence[str],
        snapshot: Mapping[str, NDArray[np.generic]],
        *more: Mapping[str, NDArray[np.generic]],
    ) -> "Presence":
        """From a snapshot, or from the snapshots of shards whose item numbers do not overlap.

        Zones and clock are taken from the first; there may be more zones now than then. The
        shards together must fit ``pairs_max``. Raises ValueError where they do not fit.
        """
        self = cls(settings, zone_kinds)
        for name in ZoneModel.COLUMNS:
            _fill(getattr(self._model, name), snapshot[f"zone_{name}"])
        for name in _ZONE_COLUMNS:
            _fill(getattr(self, f"_{name}"), snapshot[f"zone_{name}"])
        self._epoch, self._refresh_at, self.refused, self.evicted = (
            int(v) for v in snapshot["clock"].tolist()
        )
        for part in (snapshot, *more):
            rows = part["item_row"].astype(np.int64)
            item = part["pair_item"].astype(np.int64)
            self._make_room(max(int(rows.max(initial=-1)), int(item.max(initial=-1))) + 1)
            for name in _ITEM_COLUMNS:
                self._items[name][rows] = part[f"item_{name}"]
            start, self._top = self._top, self._top + len(item)
            if self._top > settings.pairs_max:
                raise ValueError(f"{self._top} pairs stored, but presence.pairs_max is less")
            for name in _PAIR_COLUMNS:
                self._pairs[name][start : self._top] = part[f"pair_{name}"]
            self._link(np.arange(start, self._top), item)
        return self

    # -- time

    def _advance_to(self, epoch: int) -> Transitions:
        """Make ``epoch`` the open one; earlier epochs close."""
        if self._epoch < 0:
            self._epoch = epoch
        if epoch <= self._epoch:
            return NOTHING
        touched = np.flatnonzero(self._pairs["now_count"][: self._top])
        if not len(touched):
            self._pass(epoch - self._epoch)
            return self._expire()
        self._pass(1)
        told = [self._judge(touched), self._expire()]
        if epoch > self._epoch:
            self._pass(epoch - self._epoch)
            told.append(self._expire())
        return Transitions.join(told)

    def _pass(self, epochs: int) -> None:
        """So many epochs go by; those that a zone could not see do not count for it."""
        self._epoch += epochs
        if self._dimmed.any():
            self._lost += self._dimmed + (epochs - 1) * self._blind
            self._dimmed = self._blind.copy()

    def _visible(self, at_ms: int | None = None) -> I64:
        """int64[Z]: visible epochs of each zone up to the last one closed (or to be, by then)."""
        ahead = 0 if at_ms is None else at_ms // self.settings.epoch_ms - self._epoch
        if ahead <= 0:
            return self._epoch - self._lost
        return self._epoch + ahead - self._lost - self._dimmed - (ahead - 1) * self._blind

    def _expire(self) -> Transitions:
        """End the stays and tell the departures that the time passed brings."""
        if self._epoch >= self._pairs_due:
            self._end_stays()
        if self._epoch >= self._items_due:
            return self._depart()
        return NOTHING

    def _end_stays(self) -> None:
        """Stays end where silence says so; pairs long silent are let go."""
        pairs = self._pairs
        at = self._pairs_when()
        due = np.flatnonzero(at <= self._epoch)
        gone = due[~pairs["ended"][due]]
        if len(gone):
            self._model.learn_departures(pairs["zone"][gone].astype(np.int64), self._ages(gone))
            pairs["ended"][gone] = True
            at[gone] += pairs["keep"][gone] - pairs["gone"][gone]
        forgettable = due[at[due] <= self._epoch]
        self._release(forgettable)
        at[forgettable] = _FOREVER
        self._pairs_due = int(at.min(initial=_FOREVER))

    def _pairs_when(self) -> I64:
        """int64[top]: the epoch whose beginning ends the stay, or lets the pair go."""
        pairs = {n: self._pairs[n][: self._top] for n in _ENDING}
        silence = np.where(pairs["ended"], pairs["keep"], pairs["gone"])
        at: I64 = pairs["seen"] + silence + 1 + self._when()[pairs["zone"]]
        # Free slots, and pairs heard for the first time in the open epoch, have nothing to end.
        at[(pairs["item"] < 0) | (pairs["born"] < 0)] = _FOREVER
        return at

    def _ages(self, slots: I64) -> I64:
        """int64[n]: epochs between the first and the newest read of each stay."""
        age: I64 = np.maximum(self._pairs["seen"][slots] - self._pairs["born"][slots], 0)
        return age

    def _depart(self) -> Transitions:
        items = self._items
        here = np.flatnonzero(items["location"] >= 0)
        at = items["due"][here] + self._when()[items["location"][here]]
        over = at <= self._epoch
        gone, gone_at = here[over], at[over]
        self._items_due = int(at[~over].min(initial=_FOREVER))
        if not len(gone):
            return NOTHING
        zone = items["location"][gone]
        items["location"][gone] = NOWHERE
        order = np.lexsort((gone, gone_at))
        gone, gone_at, zone = gone[order], gone_at[order], zone[order]
        nowhere = np.full(len(gone), NOWHERE, np.int16)
        return self._unmuted(self._tell(Kind.DEPARTED, gone, zone, nowhere, gone_at))

    def _when(self) -> I64:
        """int64[Z]: add to a visible epoch to get the epoch; never, while blind."""
        return np.where(self._blind, _FOREVER, self._lost)

    # -- one epoch

    def _gather(self, item: I64, zone: Ints, arrival_ms: I64, rssi_cdbm: Ints, count: Ints) -> None:
        """Add reads of the open epoch to their pairs."""
        slot = self._find_or_take(item, zone)
        if int(slot.min()) < 0:
            known = slot >= 0
            self.refused += int(len(slot) - known.sum())
            slot, arrival_ms = slot[known], arrival_ms[known]
            rssi_cdbm, count = rssi_cdbm[known], count[known]
        pairs = self._pairs
        # Assigned backwards, so that of several reads of one pair the first stays.
        first = np.flatnonzero(pairs["now_count"][slot] == 0)[::-1]
        if len(first):
            fresh = slot[first]
            pairs["now_first_ms"][fresh] = arrival_ms[first]
        pairs["last_ms"][slot] = arrival_ms
        np.add.at(pairs["now_count"], slot, np.maximum(count, 1).astype(np.int64))
        heard = rssi_cdbm != RSSI_UNKNOWN
        if heard.all():
            np.add.at(pairs["now_rssi"], slot, rssi_cdbm.astype(np.int64))
            np.add.at(pairs["now_rssi_n"], slot, np.int32(1))
        else:
            np.add.at(pairs["now_rssi"], slot, np.where(heard, rssi_cdbm, 0).astype(np.int64))
            np.add.at(pairs["now_rssi_n"], slot, heard.astype(np.int32))

    def _judge(self, touched: I64) -> Transitions:
        """Close an epoch that had reads: learn, set how long silence may last, locate items."""
        zone = self._pairs["zone"][touched].astype(np.int64)
        visible = self._visible()[zone]
        self._learn(touched, zone, visible)
        self._add_epoch(touched)
        if self._epoch > self._refresh_at:
            self._model.refresh()
            self._refresh_at = self._epoch - 1 + REFRESH_EPOCHS
        hold = self._set_silences(touched, zone, visible)
        told = self._locate(touched, zone, hold)
        for name in ("now_count", "now_rssi", "now_rssi_n"):
            self._pairs[name][touched] = 0
        self._evict(touched)
        return told

    def _learn(self, touched: I64, zone: I64, visible: I64) -> None:
        """What these reads say about rates and stays; new stays and visits begin."""
        pairs, model = self._pairs, self._model
        fresh = pairs["born"][touched] < 0
        gap = visible - pairs["seen"][touched]
        ended = pairs["ended"][touched]
        returned = np.flatnonzero(ended)
        if len(returned):
            stayed = returned[self._never_left(touched[returned])]
            model.unlearn_departures(zone[stayed], self._ages(touched[stayed]))
            ended[stayed] = False
            pairs["ended"][touched[returned]] = False
        fresh |= ended
        again = np.flatnonzero(~fresh & (gap >= 1))
        slot, gaps = touched[again], gap[again]
        model.learn_reads(zone[again], self._ages(slot), gaps)
        reads, span = pairs["reads"][slot] + 1, pairs["span"][slot] + gaps
        old = span > TAG_SPAN_MAX
        pairs["reads"][slot] = np.where(old, (reads + 1) >> 1, reads)
        pairs["span"][slot] = np.where(old, (span + 1) >> 1, span)
        lapsed = touched[fresh | (gap - 1 > pairs["believed"][touched])]
        for name in ("heard", "rssi_sum", "rssi_n"):
            pairs[name][lapsed] = 0
        pairs["came_ms"][lapsed] = pairs["now_first_ms"][lapsed]
        pairs["born"][touched[fresh]] = visible[fresh]
        pairs["seen"][touched] = visible

    def _never_left(self, slots: I64) -> Bool:
        """Whether pairs read again after their stay had ended were in truth there all along.

        A stay of a single epoch, and then again a read in the same place with none elsewhere that
        moved the item: so behave tags read much more rarely than was thought (or readers that
        report every minute), not tags that come and go. Without this their long gaps would never
        be counted, and their read rate never learned.
        """
        pairs = self._pairs
        here = self._items["location"][pairs["item"][slots]] == pairs["zone"][slots]
        never_left: Bool = here & (self._ages(slots) == 0)
        return never_left

    def _add_epoch(self, touched: I64) -> None:
        """The epoch's reads join those of the visit; old signal strengths fade."""
        pairs = self._pairs
        pairs["heard"][touched] += pairs["now_count"][touched]
        total = pairs["rssi_sum"][touched] + pairs["now_rssi"][touched]
        n = pairs["rssi_n"][touched] + pairs["now_rssi_n"][touched]
        full = np.flatnonzero(n > RSSI_READS)
        total[full] = total[full] * RSSI_KEPT // n[full]
        n[full] = RSSI_KEPT
        pairs["rssi_sum"][touched] = total
        pairs["rssi_n"][touched] = n

    def _set_silences(self, touched: I64, zone: I64, visible: I64) -> I64:
        """How long each may be silent; returns the silence that means departure, int64[n]."""
        pairs, model = self._pairs, self._model
        rate = model.tag_rates(zone, pairs["reads"][touched], pairs["span"][touched])
        age = np.maximum(visible - pairs["born"][touched], 0)
        believed, gone = model.silences(zone, age, rate)
        pairs["believed"][touched] = believed
        pairs["gone"][touched] = gone
        hold = np.maximum(self._zone_hold[zone], smoothing.quiet_table()[rate])
        pairs["keep"][touched] = np.maximum(gone, hold)
        self._pairs_due = min(self._pairs_due, self._epoch + int(gone.min()) + 1)
        return hold

    # -- where items are

    def _locate(self, touched: I64, zone: I64, hold: I64) -> Transitions:
        """Arrivals, moves, and when each item read would depart."""
        items, item = self._items, self._pairs["item"][touched]
        self._note_last(item, self._pairs["last_ms"][touched])
        where = items["location"][item]
        told = NOTHING
        if (where != zone).any():
            told = Transitions.join(
                [
                    self._arrive(touched[where < 0]),
                    self._move(touched[(where >= 0) & (where != zone)]),
                ]
            )
            if len(told.item):
                order = np.argsort(told.item, kind="stable")
                told = told.take(order)
            where = items["location"][item]
        here = where == zone
        if here.all():
            items["hold"][item] = hold
        else:
            items["hold"][item[here]] = hold[here]
            hold = items["hold"][item]
        items["due"][item] = self._visible()[where] + hold
        self._items_due = min(self._items_due, self._epoch + int(hold.min()))
        return self._unmuted(told)

    def _note_last(self, item: I64, last_ms: I64) -> None:
        """Newest read of each item; where an item is there twice, the newer of the two."""
        noted = self._items["last_ms"]
        noted[item] = last_ms  # arrivals never decrease: newer than what was there
        while len(older := np.flatnonzero(noted[item] < last_ms)):
            noted[item[older]] = last_ms[older]

    def _arrive(self, touched: I64) -> Transitions:
        """Pairs of items that were nowhere: each item arrives where it is loudest."""
        if not len(touched):
            return NOTHING
        pairs, items = self._pairs, self._items
        best = self._loudest(touched)
        item = pairs["item"][best]
        items["location"][item] = pairs["zone"][best]
        items["since_ms"][item] = _FOREVER
        np.minimum.at(items["since_ms"], pairs["item"][touched], pairs["now_first_ms"][touched])
        nowhere = np.full(len(best), NOWHERE, np.int16)
        at = np.full(len(best), self._epoch)
        return self._tell(Kind.ARRIVED, item, nowhere, pairs["zone"][best], at)

    def _move(self, touched: I64) -> Transitions:
        """Pairs beside their item's location: the loudest may take the item over."""
        pairs, items = self._pairs, self._items
        rivals = touched[pairs["heard"][touched] >= self.settings.move_reads]
        if not len(rivals):
            return NOTHING
        best = self._loudest(rivals)
        item = pairs["item"][best]
        old_zone = items["location"][item]
        wins = self._outdoes(best, self._find(item, old_zone), old_zone)
        best, item, old_zone = best[wins], item[wins], old_zone[wins]
        items["location"][item] = pairs["zone"][best]
        items["since_ms"][item] = pairs["last_ms"][best]
        at = np.full(len(best), self._epoch)
        return self._tell(Kind.MOVED, item, old_zone, pairs["zone"][best], at)

    def _loudest(self, slots: I64) -> I64:
        """One slot for each item among them: greatest mean, then most reads, then least zone."""
        pairs = self._pairs
        item = pairs["item"][slots]
        order = np.lexsort((-pairs["zone"][slots], pairs["heard"][slots], self._mean(slots), item))
        last = np.append(np.diff(item[order]) != 0, True)
        loudest: I64 = slots[order[last]]
        return loudest

    def _outdoes(self, new: I64, old: I64, old_zone: I16) -> Bool:
        """Whether the new pair is louder by the margin left; EdgeX's rule.

        The margin is the threshold, falling by the slope once the old zone has been silent for
        longer than the hold-off; blind epochs are no silence. Without signal strengths, or
        without an old pair, only that silence counts.
        """
        pairs, epoch_ms = self._pairs, self.settings.epoch_ms
        old_last = pairs["last_ms"][old]
        lost_then = old_last // epoch_ms + 1 - pairs["seen"][old]
        blind_ms = np.maximum(self._lost[old_zone] - lost_then, 0) * epoch_ms
        silence_ms = np.maximum(pairs["last_ms"][new] - old_last - blind_ms, 0)
        fading_ms = np.maximum(silence_ms - self.settings.move_holdoff_ms, 0)
        margin = self._threshold_cdb - self._slope_cdb_per_s * fading_ms // 1000
        known = (pairs["rssi_n"][new] > 0) & (pairs["rssi_n"][old] > 0)
        louder = np.where(known, self._mean(new) - self._mean(old), 0)
        outdone: Bool = (old < 0) | (louder > margin)
        return outdone

    def _mean(self, slots: I64) -> I64:
        n = self._pairs["rssi_n"][slots].astype(np.int64)
        mean = self._pairs["rssi_sum"][slots] // np.maximum(n, 1)
        known: I64 = np.where(n > 0, mean, _SILENT_CDBM)
        return known

    def _tell(self, kind: Kind, item: I64, old: I16, new: I16, at_epoch: I64) -> Transitions:
        """Transitions of one kind, found when ``at_epoch`` - 1 closed."""
        return Transitions(
            np.full(len(item), kind, np.int8),
            item,
            old,
            new,
            at_epoch * self.settings.epoch_ms,
            self._items["last_ms"][item],
        )

    def _unmuted(self, told: Transitions) -> Transitions:
        """Without those of muted items."""
        muted = self._items["muted"][told.item]
        return told.take(~muted) if muted.any() else told

    # -- pairs

    def _find(self, items: ArrayLike, zones: ArrayLike) -> I64:
        """int64[n]: slot of each (item, zone), -1 where there is none."""
        item = np.atleast_1d(np.asarray(items, np.int64))
        zone = np.atleast_1d(np.asarray(zones, np.int16))
        slot = np.full(len(item), -1, np.int64)
        known = item < len(self._head)
        slot[known] = self._head[item[known]]
        return self._follow(slot, zone)

    def _follow(self, slot: I64, zone: Ints) -> I64:
        """Walk each chain from ``slot`` (changed in place) to the pair of its zone, or -1."""
        pair_zone = self._pairs["zone"]
        astray = np.flatnonzero(pair_zone[slot] != zone)
        while len(astray):
            onward = self._next[slot[astray]]
            slot[astray] = onward
            astray = astray[(pair_zone[onward] != zone[astray]) & (onward >= 0)]
        return slot

    def _find_or_take(self, item: I64, zone: Ints) -> I64:
        """Slot of each (item, zone), new ones taken in order of appearance; -1: none left."""
        slot = self._follow(self._head[item].astype(np.int64), zone)
        if not len(slot) or int(slot.min()) >= 0:
            return slot
        missing = np.flatnonzero(slot < 0)
        key = item[missing] * len(self._blind) + zone[missing]
        new, first = np.unique(key, return_index=True)
        room = self.settings.pairs_max - self.pairs_in_view
        if len(new) > room:
            first = np.sort(first)[:room]
        rows = missing[first]
        taken = self._take(len(rows))
        pairs = self._pairs
        for name in _PAIR_COLUMNS:
            pairs[name][taken] = 0
        pairs["item"][taken] = item[rows]
        pairs["zone"][taken] = zone[rows]
        pairs["born"][taken] = -1
        self._link(taken, item[rows])
        slot[missing] = self._follow(self._head[item[missing]].astype(np.int64), zone[missing])
        return slot

    def _take(self, n: int) -> I64:
        """``n`` free slots."""
        cut = max(0, len(self._free) - n)
        slots = self._free[cut:]
        del self._free[cut:]
        fresh = n - len(slots)
        slots.extend(range(self._top, self._top + fresh))
        self._top += fresh
        return np.array(slots, np.int64)

    def _link(self, slots: I64, item: I64) -> None:
        """Put new slots in front of their items' chains."""
        order = np.argsort(item, kind="stable")
        slots, item = slots[order], item[order]
        same = np.append(item[1:] == item[:-1], False)[: len(item)]
        self._next[slots] = np.where(same, np.roll(slots, -1), self._head[item])
        first = np.append(True, ~same[:-1])[: len(item)]
        self._head[item[first]] = slots[first]

    def _release(self, slots: I64) -> None:
        """Free slots: out of their chains, columns cleared."""
        if not len(slots):
            return
        pairs, chain = self._pairs, self._next
        item = np.unique(pairs["item"][slots])
        pairs["item"][slots] = -1
        pairs["zone"][slots] = NOWHERE
        pairs["now_count"][slots] = 0
        kept = self._skip_free(self._head[item])
        self._head[item] = kept
        kept = kept[kept >= 0]
        while len(kept):
            onward = self._skip_free(chain[kept])
            chain[kept] = onward
            kept = onward[onward >= 0]
        self._free.extend(slots.tolist())

    def _skip_free(self, slot: I32) -> I32:
        """Follow chains past slots that were freed."""
        while True:
            dead = (slot >= 0) & (self._pairs["item"][slot] < 0)
            if not dead.any():
                return slot
            slot = np.where(dead, self._next[slot], slot)

    def _evict(self, touched: I64) -> None:
        """Near the limit, pairs silent for longest yield, until there is room for the next."""
        limit = self.settings.pairs_max
        surplus = self.pairs_in_view - (limit - max(1, limit // EVICT_SHARE))
        if surplus <= 0:
            return
        pairs = self._pairs
        silent = pairs["item"][: self._top] >= 0
        silent[touched] = False
        slots = np.flatnonzero(silent)
        if len(slots) > surplus:
            newest = np.partition(pairs["last_ms"][slots], surplus - 1)[surplus - 1]
            slots = slots[pairs["last_ms"][slots] <= newest]
            order = np.lexsort(
                (pairs["zone"][slots], pairs["item"][slots], pairs["last_ms"][slots])
            )
            slots = slots[order[:surplus]]
        self._release(slots)
        self.evicted += len(slots)

    # -- items

    def _make_room(self, items: int) -> None:
        """Item columns for rows up to ``items``; they double."""
        have = len(self._head)
        if items <= have:
            return
        grown = max(items, 2 * have, 1_024)
        for name, (_, nothing) in _ITEM_COLUMNS.items():
            column = self._items[name]
            self._items[name] = np.append(column, np.full(grown - have, nothing, column.dtype))
        self._head = np.append(self._head, np.full(grown - have, -1, np.int32))

    def _of_items(self, name: str, items: ArrayLike) -> NDArray[np.generic]:
        rows = np.atleast_1d(np.asarray(items, np.int64))
        known = rows < len(self._head)
        values = self._items[name][np.where(known, rows, 0)] if known.any() else np.zeros(len(rows))
        return np.where(known, values, _ITEM_COLUMNS[name][1])

    def _is_believed(self, slots: I64, visible: I64) -> Bool:
        pairs = self._pairs
        silence = visible[pairs["zone"][slots]] - pairs["seen"][slots]
        return (silence <= pairs["believed"][slots]) & (pairs["born"][slots] >= 0)

    def _believed_items(self, at_ms: int | None) -> tuple[I64, I16]:
        """Items present and their zones, a row a pair."""
        held = np.flatnonzero(self._pairs["item"][: self._top] >= 0)
        held = held[self._is_believed(held, self._visible(at_ms))]
        return self._pairs["item"][held], self._pairs["zone"][held]


def _fill(column: NDArray[Any], stored: NDArray[np.generic]) -> None:
    if len(stored) > len(column):
        raise ValueError(f"{len(stored)} zones stored, but limits.zones_max is {len(column)}")
    column[: len(stored)] = stored


def _holds(settings: PresenceSettings, kinds: Sequence[str]) -> I64:
    """int64[Z]: silence until departure for well-read tags, epochs."""
    passing = min(settings.departed_after_s, settings.passed_after_s)
    seconds = [settings.departed_after_s if kind == "shelf" else passing for kind in kinds]
    return np.array([-(-s * 1000 // settings.epoch_ms) for s in seconds], np.int64)
