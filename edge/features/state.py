"""What is known about every item, class, zone, reader and customer, as columns. Pure.

No clock, no I/O: time comes in as an argument and only moves forward. The same events give the
same bits however they are cut into calls, as long as calls are separated at ``next_boundary_ms``.
A state may hold any subset of keys: ``split`` it by key hash, ``merge`` the parts again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.config import Limits, ManualDemand
from edge.features.days import LocalDays
from edge.features.decay import DecayedCount
from edge.features.layout import HOUR_MS, MINUTE_MS, item_pool, tables
from edge.features.pairs import CLASSES_MAX, Pairs
from edge.features.read_windows import ReadWindows
from edge.features.reads import Reads
from edge.features.windows import DayRing
from edge.features.words import GROUP_OF_STATUS, GROUPS

Array = NDArray[Any]
Ints = NDArray[np.int64]

T = TypeVar("T")

_NOBODY: Ints = np.zeros(0, np.int64)


@dataclass(slots=True)
class Line:
    """A recent document line, kept so that it can be voided."""

    class_key: str
    kind: str
    milli: int
    price_cents: int
    at_ms: int
    item: str
    customer: str


@dataclass(slots=True)
class Reserved:
    """A reservation in force."""

    class_key: str
    milli: int
    start_ms: int
    end_ms: int


class FeatureState:
    """Tables, windows and counters; ``now_ms`` is the time they have been rolled to."""

    def __init__(self, limits: Limits, timezone: str, lateness_ms: int) -> None:
        self.limits = limits
        self.days = LocalDays(timezone)
        self.lateness_ms = lateness_ms
        self.tables = tables(limits)
        self.pool = item_pool(limits)
        self._reads = ReadWindows(self.tables, self.pool, lateness_ms)
        self.now_ms = 0
        self.today = self.days.day(0)
        self.unseen = False
        """Whether nobody looked on the day that ends; whoever closes days says it."""
        # what was found when time stood in a span: asked anew once it has left that
        self._boundary_from_ms = self._boundary_ms = 0
        self._rolled_from_ms = self._roll_ms = self._rolled_day = 0
        self.manual_demand = ManualDemand()
        """What the configuration says of classes without a history; whoever owns the state sets it."""
        self.counters: dict[str, int] = {}
        self.lines: dict[str, Line] = {}
        self.reserved: dict[str, Reserved] = {}
        self.item = self.tables["item"]
        self.cls = self.tables["class"]
        self.zone = self.tables["zone"]
        self.reader = self.tables["reader"]
        self.customer = self.tables["customer"]
        self.store = self.tables["store"]
        self.status = self.tables["status"]
        self.factor = self.tables["factor"]
        self.pairs = Pairs(self.cls, limits, lateness_ms)

    # -- time -----------------------------------------------------------------------------------

    def next_boundary_ms(self) -> int:
        """Events that arrive at or after this moment belong to a later call than those before."""
        if not self._boundary_from_ms <= self.now_ms < self._boundary_ms:
            hour = (self.now_ms // HOUR_MS + 1) * HOUR_MS
            decays = [
                part.next_landmark_ms()
                for table in self.tables.values()
                for part in table.part.values()
                if isinstance(part, DecayedCount)
            ]
            self._boundary_from_ms = self.now_ms
            self._boundary_ms = min(hour, self.days.end_ms(self.today), *decays)
        return self._boundary_ms

    def advance(self, now_ms: int) -> Ints:
        """Let time reach ``now_ms``: close days and windows; int64[n] rows of forgotten items."""
        if now_ms <= self.now_ms:
            return _NOBODY
        forgotten: list[Ints] = []
        if self.blank:
            self.today = self.days.day(now_ms)
        if not self._boundary_from_ms <= now_ms < self._boundary_ms:  # else no day can have ended
            while self.days.end_ms(self.today) <= now_ms:
                forgotten.append(self._close_day())
        self.now_ms = now_ms
        self.roll(now_ms)
        if not forgotten:
            return _NOBODY
        return np.concatenate(forgotten)

    def roll(self, now_ms: int) -> None:
        """Let windows reach ``now_ms``; no day ends and nothing is forgotten."""
        if self._rolled_from_ms <= now_ms < self._roll_ms and self._rolled_day == self.today:
            return  # within the minute: the width of every window is whole minutes
        self._rolled_from_ms, self._rolled_day = now_ms, self.today
        self._roll_ms = (now_ms // MINUTE_MS + 1) * MINUTE_MS
        for table in self.tables.values():
            table.roll(now_ms, self.today)
        self.pool.roll(now_ms)
        self.pairs.roll(now_ms)

    def count(self, name: str, by: int = 1) -> None:
        """Raise a counter."""
        self.counters[name] = self.counters.get(name, 0) + by

    # -- reads ----------------------------------------------------------------------------------

    repeat_ms = 60_000
    """Repeat reads of a tag in the same zone within a span of this are one sighting."""

    def update_reads(self, reads: Reads) -> Ints:
        """Take admitted reads into every window; returns int64[n], 1 where a read was folded.

        A read is folded when the same item was last read in the same zone and the same
        ``repeat`` cell: counted, but no new sighting.
        """
        if not len(reads):
            return np.zeros(0, np.int64)
        self.item.touched[reads.item] = True
        return self._reads.take(reads, self.repeat_ms, self.count)

    @property
    def blank(self) -> bool:
        """Whether the end of a day would change nothing: time may go past any number of them."""
        kept = (self.item, self.cls, self.customer, self.factor)
        return not (self.reserved or any(len(table.keys) for table in kept))

    # -- the end of a day -----------------------------------------------------------------------

    def day_end_ms(self) -> int:
        """When the day ends that is not over yet."""
        return self.days.end_ms(self.today)

    def closing_levels(self) -> dict[str, Ints]:
        """Day measure -> int64[high] at the close: units in the store and out (thousandths), the
        price, whether stock is known to have run out, whether nobody looked all day."""
        high = self.cls.keys.high
        col = self.cls.col
        known = col["ledger_known"][:high] > 0
        on_hand = np.where(known, col["ledger_milli"][:high], col["items_ready"][:high] * 1000)
        on_rent = np.maximum(col["rented_out_milli"][:high], col["items_on_rent"][:high] * 1000)
        there = self.cls.keys.hashes[:high] != 0
        levels = {
            "on_hand_close_milli": on_hand,
            "on_rent_close_milli": on_rent,
            "price_close_cents": np.maximum(col["price_cents"][:high], 0),
            "empty_close": self.stock_known(np.arange(high)) & (on_hand <= 0) & there,
            "unseen": there & self.unseen,
        }
        return {name: self._bounded(name, level) for name, level in levels.items()}

    def stock_known(self, rows: Ints) -> NDArray[np.bool_]:
        """bool[n]: whether a class's stock was counted or received, or an item of it is tagged."""
        col = self.cls.col
        tagged = sum(col[f"items_{group}"][rows].astype(np.int64) for group in GROUPS)
        return np.asarray((col["ledger_known"][rows] > 0) | (np.asarray(tagged) > 0))

    def _bounded(self, name: str, level: Array) -> Ints:
        ring = self.cls.part[name]
        assert isinstance(ring, DayRing)
        return ring.bounded(level)

    def _close_day(self) -> Ints:
        """Write the day's closing levels, begin the next, forget what has long been silent."""
        end_ms = self.days.end_ms(self.today)
        self.pairs.clear()
        high = self.cls.keys.high
        for name, level in self.closing_levels().items():
            ring = self.cls.part[name]
            assert isinstance(ring, DayRing)
            ring.roll(self.today, high)
            ring.put(self.today, level)
        self._expire_reservations(end_ms)
        forgotten = self._forget_items(end_ms)
        self._forget_classes(end_ms)
        self._forget_customers(end_ms)
        self.now_ms = max(self.now_ms, end_ms)
        self.today += 1
        return forgotten

    def _forget_items(self, now_ms: int) -> Ints:
        col = self.item.col
        rows = self.item.keys.live()
        idle_ms = now_ms - col["last_event_ms"][rows]
        unknown = (col["class_row"][rows] < 0) & (col["scans_total"][rows] == 0)
        unknown &= col["muted"][rows] == 0
        day = 86_400_000
        limit = np.where(unknown, self.limits.unknown_expiry_days, self.limits.item_expiry_days)
        gone: Ints = rows[(idle_ms > limit * day) & (col["rented_at_ms"][rows] == 0)]
        for row in gone.tolist():
            self.shift_group(row, -1)
        zones = col["zone_row"][gone]  # a blind zone still holds what it last saw
        np.subtract.at(self.zone.col["items_present"], zones[zones >= 0], 1)
        self.pool.release(gone)
        self.item.release(gone)
        if len(gone):
            self.count("items_forgotten", len(gone))
        return gone

    def _forget_classes(self, now_ms: int) -> None:
        col = self.cls.col
        rows = self.cls.keys.live()
        old = now_ms - col["last_event_ms"][rows] > self.limits.item_expiry_days * 86_400_000
        if not old.any():
            return
        named = self.item.col["class_row"][self.item.keys.live()]  # retired items too
        gone = rows[old & ~np.isin(rows, named)]
        keys = {self.cls.keys.key(row) for row in gone.tolist()}
        self.lines = {k: line for k, line in self.lines.items() if line.class_key not in keys}
        self.reserved = {k: r for k, r in self.reserved.items() if r.class_key not in keys}
        self.pairs.forget(gone)
        self.cls.release(gone)

    def _forget_customers(self, now_ms: int) -> None:
        rows = self.customer.keys.live()
        last = self.customer.col["last_seen_ms"][rows]
        self.customer.release(rows[now_ms - last > self.limits.item_expiry_days * 86_400_000])

    def _expire_reservations(self, now_ms: int) -> None:
        for key in [k for k, r in self.reserved.items() if 0 < r.end_ms <= now_ms]:
            self.drop_reservation(key)

    def drop_reservation(self, key: str) -> None:
        """Take a reservation back, if it is there."""
        held = self.reserved.pop(key, None)
        row = self.cls.keys.get(held.class_key) if held else -1
        if held and row >= 0:
            self.cls.col["reserved_milli"][row] -= held.milli

    def group_of(self, status_row: int) -> str:
        """The group of a status row: ready, on_rent, in_service, sold, missing or other."""
        return GROUP_OF_STATUS.get(self.status.keys.key(status_row), "other")

    def shift_group(self, item_row: int, by: int) -> None:
        """Add ``by`` to the class's count of items in this item's status group."""
        cell = self.item.cell
        class_row = cell["class_row"][item_row]
        if class_row >= 0 and not cell["retired"][item_row]:
            group = self.group_of(cell["status_row"][item_row])
            self.cls.cell[f"items_{group}"][class_row] += by
            self.cls.touched[class_row] = True

    # -- saving, comparing, splitting -------------------------------------------------------------

    def save(self) -> tuple[dict[str, Array], dict[str, bytes]]:
        """(arrays, blobs) that ``load`` takes back. Arrays are views: do not advance meanwhile."""
        arrays: dict[str, Array] = {f"pool.{k}": a for k, a in self.pool.save().items()}
        blobs: dict[str, bytes] = {}
        for name, table in self.tables.items():
            more_arrays, more_blobs = table.save()
            arrays |= {f"{name}.{k}": a for k, a in more_arrays.items()}
            blobs |= {f"{name}.{k}": b for k, b in more_blobs.items()}
        more_arrays, more_blobs = self.pairs.save()
        arrays |= {f"pairs.{k}": a for k, a in more_arrays.items()}
        blobs |= {f"pairs.{k}": b for k, b in more_blobs.items()}
        blobs["rest"] = msgspec.msgpack.encode(
            (self.now_ms, self.today, self.counters, self.lines, self.reserved)
        )
        return arrays, blobs

    def load(self, arrays: dict[str, Array], blobs: Mapping[str, bytes]) -> None:
        """Take back what ``save`` gave, into a fresh state. Raises ValueError beyond the limits.

        Empties ``arrays`` on the way: a large state is not to be held twice.
        """
        for name, table in self.tables.items():
            if f"{name}.keys" in blobs:  # else of a version that had no such table: starts empty
                table.load(take_under(f"{name}.", arrays), _under(f"{name}.", blobs))
        self.pool.load(take_under("pool.", arrays))
        self.pairs.load(take_under("pairs.", arrays), _under("pairs.", blobs))
        rest = msgspec.msgpack.decode(
            blobs["rest"],
            type=tuple[int, int, dict[str, int], dict[str, Line], dict[str, Reserved]],
        )
        self._boundary_ms = self._roll_ms = 0
        self.now_ms, self.today, self.counters, self.lines, self.reserved = rest

    def canonical(self) -> dict[str, Any]:
        """Everything, in an order that does not depend on row numbers."""
        ranks = {name: table.rank() for name, table in self.tables.items()}
        out = {name: table.canonical(ranks) for name, table in self.tables.items()}
        rows = np.argsort(ranks["item"], kind="stable")[
            self.limits.items_max - len(self.item.keys) :
        ]
        out["pool"] = self.pool.canonical(rows)
        out["pairs"] = self.pairs.canonical(ranks["class"])
        out["rest"] = {
            "now_ms": self.now_ms,
            "today": self.today,
            "counters": dict(sorted(self.counters.items())),
            "lines": [(k, msgspec.to_builtins(v)) for k, v in self.lines.items()],
            "reserved": sorted((k, msgspec.to_builtins(v)) for k, v in self.reserved.items()),
        }
        return out

    def digest(self) -> str:
        """Hex digest of ``canonical``: equal states, and only they, have equal digests."""
        return digest_of(self.canonical())

    def empty(self) -> "FeatureState":
        """A fresh state with the same limits and time zone."""
        fresh = FeatureState(self.limits, self.days.zone, self.lateness_ms)
        fresh.now_ms, fresh.today, fresh.repeat_ms = self.now_ms, self.today, self.repeat_ms
        return fresh

    def split(self, parts: int) -> list["FeatureState"]:
        """``parts`` states, each key in the one its hash names.

        References stay whole: a part also holds an empty row for every key its rows point at.
        Counters, lines, reservations and pairs go to part 0.
        """
        return [_take(self, self.empty(), part, parts) for part in range(parts)]

    @classmethod
    def merge(cls, states: Iterable["FeatureState"]) -> "FeatureState":
        """One state from parts: rows of one key add up (see ``Column.merge``)."""
        states = list(states)
        whole = states[0].empty()
        for state in states:
            remap = _absorb(whole, state, {n: t.keys.live() for n, t in state.tables.items()})
            whole.pairs.absorb(state.pairs, remap["class"])
            for name, value in state.counters.items():
                whole.count(name, value)
            whole.lines |= state.lines
            whole.reserved |= state.reserved
            whole.now_ms = max(whole.now_ms, state.now_ms)
            whole.today = max(whole.today, state.today)
        return whole


def digest_of(canonical: Mapping[str, Any]) -> str:
    """Hex digest of nested dicts of arrays and plain values."""
    digest = blake2b(digest_size=16)

    def feed(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key in sorted(value, key=str):
                feed(f"{name}/{key}", value[key])
            return
        digest.update(name.encode())
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        else:
            digest.update(repr(value).encode())

    feed("", canonical)
    return digest.hexdigest()


def take_under(prefix: str, entries: dict[str, T]) -> dict[str, T]:
    """The entries whose names begin with ``prefix``, without it; they leave ``entries``."""
    return {
        name[len(prefix) :]: entries.pop(name)
        for name in [name for name in entries if name.startswith(prefix)]
    }


def _under(prefix: str, entries: Mapping[str, T]) -> dict[str, T]:
    return {k[len(prefix) :]: v for k, v in entries.items() if k.startswith(prefix)}


def _take(source: FeatureState, target: FeatureState, part: int, parts: int) -> FeatureState:
    rows = {}
    for name, table in source.tables.items():
        live = table.keys.live()
        rows[name] = live[table.keys.hashes[live] % np.uint64(parts) == part]
    remap = _absorb(target, source, rows)
    if part == 0:
        target.pairs.absorb(source.pairs, remap["class"])
        target.counters = dict(source.counters)
        target.lines = dict(source.lines)
        target.reserved = dict(source.reserved)
    return target


def _absorb(
    target: FeatureState, source: FeatureState, rows: Mapping[str, Ints]
) -> dict[str, Ints]:
    """Add rows; table -> our row of each of the source's rows, -1 where it was not asked for."""
    remap: dict[str, Ints] = {}
    for name, table in source.tables.items():
        mine = target.tables[name]
        ranks = np.full(table.keys.limit, -1, np.int64)
        wanted = rows[name]
        if name in ("store", "status", "bin", "class", "zone", "reader"):
            wanted = table.keys.live()  # whatever may be pointed at
        ranks[wanted] = mine.keys.claim_all([table.keys.key(r) for r in wanted.tolist()])
        remap[name] = ranks
    for name, table in source.tables.items():
        chosen = rows[name]
        target.tables[name].absorb(table, chosen, remap[name][chosen], remap)
    items = rows["item"]
    target.pool.absorb(source.pool, items, remap["item"][items])
    return remap


# What Python takes beside the columns, measured: a key of 24 characters with its row and hash, a
# row's short text, an entry of a log after a restart, a document line or reservation.
_KEY_BYTES, _TEXT_BYTES, _LOG_BYTES, _LINE_BYTES = 176, 200, 48, 520
_BASKET_BYTES = 400 + 2 * 80 * CLASSES_MAX  # an open document with as many classes as it may have


def memory_table(limits: Limits) -> list[tuple[str, int, int]]:
    """(what, rows, bytes when full) for every table; known before the first event."""
    made = tables(limits)
    table = [
        (t.name, t.keys.limit, t.nbytes() + (_KEY_BYTES + _TEXT_BYTES * len(t.text)) * t.keys.limit)
        for t in made.values()
    ]
    pool = item_pool(limits)
    pairs = Pairs(made["class"], limits, 0)
    log, lines = 2 * limits.rental_log_max, 2 * limits.lines_max
    return [
        *table,
        ("windows of active items", pool.size, pool.nbytes()),
        ("rentals and returns of items", log, log * _LOG_BYTES),
        ("document lines and reservations", lines, lines * _LINE_BYTES),
        ("pairs of the day", pairs.slots, pairs.nbytes()),
        ("open documents", limits.baskets_max, limits.baskets_max * _BASKET_BYTES),
    ]
