"""Presence the slow and obvious way: dictionaries, one tag and one epoch after the other.

The judge of ``edge.ingest.presence``. It closes every epoch, also the empty ones (it skips time
only while nobody is in view or all zones in question are blind), finds windows by walking the recursion of the hidden Markov model
odds by odds, and knows nothing of columns, slots or bounds.
"""

import math
from dataclasses import dataclass
from functools import cache

from edge.config import PresenceSettings
from edge.ingest import smoothing as s
from edge.ingest.presence import (
    EVICT_SHARE,
    RETRO_MAX,
    RSSI_KEPT,
    RSSI_READS,
    RSSI_UNKNOWN,
    TAG_SPAN_MAX,
)

ARRIVED, MOVED, DEPARTED = 0, 1, 2
Transition = tuple[int, int, int, int, int, int]  # kind, item, old zone, new zone, at, last read


@cache
def longest_silence(rate: int, dwell: int, odds_max: float, limit: int) -> int:
    """The largest k with odds(k) <= odds_max, by stepping."""
    p = min(max(rate, 1), s.RATE_MAX) / s.RATE_ONE
    h = min(0.9, 2.0 ** (-(dwell + 0.5) / 2))
    odds, k = 0.0, 0
    while k < limit:
        odds = (odds + h) / ((1 - h) * (1 - p))
        if odds > odds_max:
            break
        k += 1
    return k


def age_class(age: int) -> int:
    return 0 if age < 1 else min(s.AGES - 1, math.floor(2 * math.log2(age)) + 1)


@dataclass
class Pair:
    zone: int
    born: int  # visible epochs of the zone when the stay began
    seen: int  # ... when last read
    came_ms: int
    last_ms: int = 0
    reads: int = 0
    span: int = 0
    heard: int = 0
    rssi_sum: int = 0
    rssi_n: int = 0
    believed: int = 0
    gone: int = 0
    hold: int = 0
    ended: bool = False
    fresh: bool = True  # not closed an epoch yet

    def age(self) -> int:
        return max(self.seen - self.born, 0)

    def mean(self) -> int | None:
        return self.rssi_sum // self.rssi_n if self.rssi_n else None

    def loudness(self) -> tuple[int, int, int]:
        mean = self.mean()
        return (-(10**9) if mean is None else mean, self.heard, -self.zone)


@dataclass
class Item:
    zone: int = -1
    since_ms: int = 0
    last_ms: int = 0
    hold: int = 0
    due: int = 0


class Oracle:
    """Same doors as ``Presence``; transitions are tuples."""

    def __init__(self, settings: PresenceSettings, zone_kinds: list[str]) -> None:
        self.settings = settings
        self.ms = settings.epoch_ms
        self.kinds = zone_kinds
        zones = range(len(zone_kinds))
        self.epoch = -1
        self.refresh_at = 0
        self.pairs: dict[tuple[int, int], Pair] = {}
        self.items: dict[int, Item] = {}
        self.pending: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        self.muted: set[int] = set()
        self.blind = dict.fromkeys(zones, False)
        self.dimmed = dict.fromkeys(zones, False)
        self.lost = dict.fromkeys(zones, 0)
        self.clear_from = dict.fromkeys(zones, 0)
        self.zone_reads = dict.fromkeys(zones, 0)
        self.zone_span = dict.fromkeys(zones, 0)
        self.stayed = {z: [0] * s.AGES for z in zones}
        self.left = {z: [0] * s.AGES for z in zones}
        self.dwell: dict[int, list[int]] = {}
        self.refresh()
        self.refused = self.evicted = 0

    # -- doors

    def observe(self, rows: list[tuple[int, int, int, int, int]]) -> list[Transition]:
        out: list[Transition] = []
        for item, zone, arrival, rssi, count in rows:
            out += self.advance(arrival)
            if (item, zone) not in self.pairs:
                if len(self.pairs) >= self.settings.pairs_max:
                    self.refused += 1
                    continue
                self.pairs[item, zone] = Pair(zone, 0, 0, arrival)
            self.pending.setdefault((item, zone), []).append((arrival, rssi, max(1, count)))
        return out

    def advance(self, now_ms: int) -> list[Transition]:
        target = now_ms // self.ms
        if self.epoch < 0:
            self.epoch = target
        out: list[Transition] = []
        while self.epoch < target:
            if self.asleep():
                self.skip(target - self.epoch)
            else:
                out += self.close()
        return out

    def set_blind(self, zone: int, blind: bool, at_ms: int) -> list[Transition]:
        out = self.advance(at_ms)
        if blind and not self.blind[zone]:
            late = self.epoch - max(at_ms // self.ms, self.clear_from[zone])
            self.lost[zone] += min(max(late, 0), RETRO_MAX)
            self.dimmed[zone] = True
        if self.blind[zone] and not blind:
            self.clear_from[zone] = self.epoch + 1
        self.blind[zone] = blind
        return out

    def set_muted(self, items: list[int], muted: bool) -> None:
        self.muted = self.muted | set(items) if muted else self.muted - set(items)

    def forget(self, items: list[int]) -> None:
        for item in items:
            self.items.pop(item, None)
            self.muted.discard(item)
            for key in [k for k in self.pairs if k[0] == item]:
                del self.pairs[key]
                self.pending.pop(key, None)

    # -- answers

    def visible(self, zone: int) -> int:
        """Visible epochs of the zone up to the last one closed."""
        return self.epoch - self.lost[zone]

    def present(self, item: int, zone: int) -> bool:
        pair = self.pairs.get((item, zone))
        return bool(pair and not pair.fresh and self.visible(zone) - pair.seen <= pair.believed)

    # -- one epoch

    def asleep(self) -> bool:
        """Nobody is in view but in zones that are blind: only time can pass."""
        zones = {zone for _, zone in self.pairs} | {i.zone for i in self.items.values()}
        return not self.pending and all(zone < 0 or self.blind[zone] for zone in zones)

    def skip(self, epochs: int) -> None:
        for zone in self.lost:
            self.lost[zone] += self.dimmed[zone] + (epochs - 1) * self.blind[zone]
            self.dimmed[zone] = self.blind[zone]
        self.epoch += epochs

    def close(self) -> list[Transition]:
        closed = self.epoch
        self.skip(1)
        out: list[Transition] = []
        touched = sorted(self.pending)
        if touched:
            for key in touched:
                self.hear(key[0], self.pairs[key], self.pending[key])
            self.fade()
            if closed >= self.refresh_at:
                self.refresh()
                self.refresh_at = closed + 8
            for key in touched:
                self.judge(self.pairs[key])
            for item in sorted({item for item, _ in touched}):
                out += self.locate(item, [self.pairs[k] for k in touched if k[0] == item])
            self.evict(set(touched))
            self.pending.clear()
        return out + self.expire()

    def hear(self, item: int, pair: Pair, reports: list[tuple[int, int, int]]) -> None:
        visible = self.visible(pair.zone)
        if pair.fresh:
            pair.born = pair.seen = visible
            pair.came_ms = reports[0][0]
            pair.fresh = False
        else:
            gap = visible - pair.seen
            if gap - 1 > pair.believed:
                pair.heard = pair.rssi_sum = pair.rssi_n = 0
                pair.came_ms = reports[0][0]
            cell = age_class(pair.age())
            if pair.ended:
                here = item in self.items and self.items[item].zone == pair.zone
                if here and pair.age() == 0:
                    self.left[pair.zone][cell] = max(self.left[pair.zone][cell] - 1, 0)
                    pair.ended = False
            if pair.ended:
                pair.ended, pair.born = False, visible
            elif gap >= 1:
                self.stayed[pair.zone][cell] += gap
                self.zone_reads[pair.zone] += 1
                self.zone_span[pair.zone] += gap
                pair.reads, pair.span = pair.reads + 1, pair.span + gap
                if pair.span > TAG_SPAN_MAX:
                    pair.reads, pair.span = (pair.reads + 1) // 2, (pair.span + 1) // 2
            pair.seen = visible
        pair.last_ms = reports[-1][0]
        for _, rssi, count in reports:
            pair.heard += count
            if rssi != RSSI_UNKNOWN:
                pair.rssi_sum, pair.rssi_n = pair.rssi_sum + rssi, pair.rssi_n + 1
        if pair.rssi_n > RSSI_READS:
            pair.rssi_sum = pair.rssi_sum * RSSI_KEPT // pair.rssi_n
            pair.rssi_n = RSSI_KEPT

    def fade(self) -> None:
        for zone in self.stayed:
            for age in range(s.AGES):
                if self.stayed[zone][age] >= s.STAYED_MAX:
                    self.stayed[zone][age] //= 2
                    self.left[zone][age] //= 2
            if self.zone_span[zone] >= s.SPAN_MAX:
                self.zone_span[zone] //= 2
                self.zone_reads[zone] //= 2

    def refresh(self) -> None:
        shop, below = [], 0
        for age in range(s.AGES):
            middle = round(2.0 ** ((age - 0.5) / 2)) if age else 0
            stayed = sum(self.stayed[z][age] for z in self.stayed)
            left = sum(self.left[z][age] for z in self.left)
            below = (stayed + max(middle + s.PRIOR_DWELL, below)) // (left + 1)
            shop.append(below)
        for zone in self.stayed:
            means = [
                (self.stayed[zone][age] + shop[age]) // (self.left[zone][age] + 1)
                for age in range(s.AGES)
            ]
            self.dwell[zone] = [
                min(s.DWELLS - 1, math.floor(2 * math.log2(max(m, 1)))) for m in means
            ]

    def judge(self, pair: Pair) -> None:
        """Rate, and how long this pair may be silent."""
        span = sum(self.zone_span.values()) + s.SHOP_EPOCHS
        shop = (sum(self.zone_reads.values()) + s.SHOP_READS) * s.RATE_ONE // span
        zone = (self.zone_reads[pair.zone] * s.RATE_ONE + s.ZONE_WEIGHT * shop) // (
            self.zone_span[pair.zone] + s.ZONE_WEIGHT
        )
        tag = (pair.reads * s.RATE_ONE + s.TAG_WEIGHT * zone) // (pair.span + s.TAG_WEIGHT)
        rate = min(max(tag, 1), s.RATE_MAX)
        dwell = self.dwell[pair.zone]
        first = longest_silence(rate, dwell[age_class(pair.age())], 1.0, s.WINDOW_MAX)
        h = dwell[age_class(pair.age() + first // 2)]
        pair.believed = longest_silence(rate, h, 1.0, s.WINDOW_MAX)
        pair.gone = longest_silence(rate, h, float(s.GONE_ODDS), s.GONE_MAX)
        quiet = math.ceil(math.log(s.QUIET_CHANCE) / math.log1p(-rate / s.RATE_ONE))
        seconds = self.settings.departed_after_s
        if self.kinds[pair.zone] != "shelf":
            seconds = min(seconds, self.settings.passed_after_s)
        pair.hold = max(-(-seconds * 1000 // self.ms), min(quiet, s.QUIET_MAX))

    def locate(self, item: int, heard: list[Pair]) -> list[Transition]:
        state = self.items.setdefault(item, Item())
        state.last_ms = max(pair.last_ms for pair in heard)
        old, out = state.zone, []
        at_ms = self.epoch * self.ms
        if old < 0:
            best = max(heard, key=Pair.loudness)
            state.zone = best.zone
            state.since_ms = min(self.pending[item, pair.zone][0][0] for pair in heard)
            out = [(ARRIVED, item, -1, best.zone, at_ms, state.last_ms)]
        else:
            rivals = [p for p in heard if p.zone != old and p.heard >= self.settings.move_reads]
            best_rival = max(rivals, key=Pair.loudness, default=None)
            if best_rival and self.outdoes(best_rival, self.pairs.get((item, old))):
                state.zone, state.since_ms = best_rival.zone, best_rival.last_ms
                out = [(MOVED, item, old, best_rival.zone, at_ms, state.last_ms)]
        here = self.pairs.get((item, state.zone))
        if here and here in heard:
            state.hold = here.hold
        state.due = self.visible(state.zone) + state.hold
        return [] if item in self.muted else out

    def outdoes(self, new: Pair, old: Pair | None) -> bool:
        if old is None:
            return True
        lost_then = old.last_ms // self.ms + 1 - old.seen
        blind_ms = max(self.lost[old.zone] - lost_then, 0) * self.ms
        silence_ms = max(new.last_ms - old.last_ms - blind_ms, 0)
        threshold = round(self.settings.move_threshold_db * 100)
        slope = round(self.settings.move_slope_db_per_s * 100)
        fading_ms = max(silence_ms - self.settings.move_holdoff_ms, 0)
        offset = threshold - slope * fading_ms // 1000
        new_mean, old_mean = new.mean(), old.mean()
        louder = 0 if new_mean is None or old_mean is None else new_mean - old_mean
        return louder > offset

    def evict(self, touched: set[tuple[int, int]]) -> None:
        limit = self.settings.pairs_max
        surplus = len(self.pairs) - (limit - max(1, limit // EVICT_SHARE))
        silent = sorted((p.last_ms, *k) for k, p in self.pairs.items() if k not in touched)
        for _, item, zone in silent[: max(surplus, 0)]:
            del self.pairs[item, zone]
            self.evicted += 1

    def expire(self) -> list[Transition]:
        for key in list(self.pairs):
            pair = self.pairs[key]
            silence = self.visible(pair.zone) - pair.seen
            if pair.fresh:
                continue
            if not pair.ended and silence > pair.gone:
                self.left[pair.zone][age_class(pair.age())] += 1
                pair.ended = True
            if pair.ended and silence > max(pair.hold, pair.gone):
                del self.pairs[key]
        out: list[Transition] = []
        for item in sorted(self.items):
            state = self.items[item]
            if state.zone >= 0 and self.visible(state.zone) >= state.due:
                if item not in self.muted:
                    at_ms = self.epoch * self.ms
                    out.append((DEPARTED, item, state.zone, -1, at_ms, state.last_ms))
                state.zone = -1
        return out
