"""Every feature of the catalogue, recomputed from the list of all events: slow and obvious.

Written from the words of the catalogue, of the events and of docs/features.md; it imports nothing
from ``edge.features`` and knows no columns, rings, slots or sketches. Presence is not judged here
(dwell, moves, arrivals, departures, items in a zone): it has an oracle of its own.

Decoded events go in one by one, in order of arrival; ``Oracle.features`` answers for one key.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from edge import events as e

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
GRADES = ["", "C-", "C", "C+", "B-", "B", "B+", "A-", "A", "A+"]
DEFECTS = [
    "dirty_or_mud",
    "leaves",
    "oil",
    "mold",
    "stain",
    "oxidation",
    "rip_or_tear",
    "sewing_repair_needed",
    "grommet",
    "rope",
    "buckle",
    "wet",
    "other",
    "service_required",
]
GROUPS = {
    "Ready to Rent": "ready",
    "On Rent": "on_rent",
    "Delivered": "on_rent",
    "Needs to be Inspected": "in_service",
    "Repair": "in_service",
    "Wash": "in_service",
    "Wet": "in_service",
    "Sold": "sold",
    "Missing": "missing",
}
AFTER_SCAN = {
    "Rental": "On Rent",
    "Delivery": "Delivered",
    "Return": "Ready to Rent",
    "Pickup": "Needs to be Inspected",
}
PRESENCE = {
    "item": {"dwell_s", "moves_24h"},
    "zone": {"items_present", "arrivals_24h", "departures_24h", "dwell_p50_s", "dwell_p90_s"},
    "reader": {"gaps_total"},  # judged with the outages
}
"""Features that follow presence or silence, and are judged elsewhere."""

OWN_TIME = ("reader", "naive_local")


@dataclass
class Amount:
    """Something that happened at ``at`` and was told at ``arrival``."""

    at: int
    arrival: int
    value: float = 1
    who: str = ""


@dataclass
class Item:
    """What is known of one item."""

    first_seen: int
    last_event: int = 0
    muted: bool = False
    sku: str = ""
    status: str = "Unknown"
    status_before: str = "Unknown"
    status_at: int = 0
    status_since: int = 0
    rented_at: int = 0
    rented_before: int = 0
    on_rent_ms: int = 0
    retired: bool = False
    grade: int = 0
    grade_before: int = 0
    grade_since: int = 0
    grade_changes: int = 0
    defects: int = 0
    moments: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reads: list[Amount] = field(default_factory=list)
    sightings: list[Amount] = field(default_factory=list)
    sight: tuple[int, str] | None = None
    rssi: list[Amount] = field(default_factory=list)
    rentals: list[Amount] = field(default_factory=list)
    returns: list[Amount] = field(default_factory=list)

    @property
    def group(self) -> str:
        return GROUPS.get(self.status, "other")

    def newest(self, name: str, at: int) -> None:
        self.moments[name] = max(self.moments.get(name, 0), at)


@dataclass
class Class:
    """What is known of one class."""

    last_event: int = 0
    ledger: float = 0
    ledger_known: bool = False
    rented_out: float = 0
    days: dict[str, list[Amount]] = field(default_factory=lambda: defaultdict(list))
    sightings: list[Amount] = field(default_factory=list)
    lines: list[tuple[str, Amount]] = field(default_factory=list)
    visits: list[Amount] = field(default_factory=list)
    rental_hours: list[float] = field(default_factory=list)
    moments: dict[str, int] = field(default_factory=dict)
    prices: dict[str, int] = field(default_factory=dict)
    closes: dict[date, tuple[float, float]] = field(default_factory=dict)
    rating: list[float] = field(default_factory=list)


@dataclass
class Place:
    """What is known of a zone or reader."""

    reads: list[Amount] = field(default_factory=list)
    last_message: int = 0
    lost: int = 0
    errors: int = 0
    ahead: int = 0


@dataclass
class Customer:
    """What is known of one customer."""

    lines: int = 0
    visits: int = 0
    newest_day: date = date.min
    units: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    spend: int = 0
    first: int = 0
    last: int = 0


class Oracle:
    """One shop, told everything in order of arrival."""

    def __init__(
        self,
        timezone: str,
        zones: dict[str, list[str]],
        *,
        lateness_ms: int,
        tolerance_ms: int,
        repeat_ms: int,
        unknown_days: int,
        item_days: int,
    ) -> None:
        self.zone = ZoneInfo(timezone)
        self.zone_of_entry = {entry: name for name, entries in zones.items() for entry in entries}
        self.lateness, self.tolerance, self.repeat = lateness_ms, tolerance_ms, repeat_ms
        self.unknown_days, self.item_days = unknown_days, item_days
        self.now = 0
        self.seen: set[Any] = set()
        self.items: dict[str, Item] = {}
        self.classes: dict[str, Class] = {}
        self.zones: dict[str, Place] = {}
        self.readers: dict[str, Place] = {}
        self.customers: dict[str, Customer] = {}
        self.lines: dict[Any, e.PosLine] = {}
        self.reserved: dict[Any, e.Reservation] = {}

    # -- time -------------------------------------------------------------------------------------

    def day(self, at: int) -> date:
        return (datetime.fromtimestamp(at // 1000, UTC).astimezone(self.zone)).date()

    def day_end(self, day: date) -> int:
        """First moment after a local day, found by asking hour by hour, then second by second."""
        at = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) - 86_400
        for step in (3_600, 60, 1):
            while self.day((at + step) * 1000) <= day:
                at += step
        return (at + 1) * 1000

    def advance(self, now: int) -> None:
        """Nothing told until ``now``: days end at their midnight."""
        while self.now and self.day_end(self.day(self.now)) <= now:
            self._end_day()
        self.now = max(self.now, now)

    def _end_day(self) -> None:
        day = self.day(self.now)
        for sku, kind in self.classes.items():
            kind.closes[day] = (self.on_rent(sku), self.on_hand(sku))
        end = self.day_end(day)
        self.reserved = {k: r for k, r in self.reserved.items() if not r.end or r.end > end}
        self.now = end
        self._forget()

    def _forget(self) -> None:
        """Unknown tags, items, classes and customers that nobody has told of for long."""
        for epc, item in list(self.items.items()):
            unknown = not item.sku and not item.totals["scans"] and not item.muted
            days = self.unknown_days if unknown else self.item_days
            if self.now - item.last_event > days * DAY and not item.rented_at:
                del self.items[epc]
        for sku, kind in list(self.classes.items()):
            named = any(item.sku == sku for item in self.items.values())
            if self.now - kind.last_event > self.item_days * DAY and not named:
                del self.classes[sku]
                self.lines = {k: line for k, line in self.lines.items() if line.sku != sku}
                self.reserved = {k: r for k, r in self.reserved.items() if r.sku != sku}
        for name, customer in list(self.customers.items()):
            if self.now - customer.last > self.item_days * DAY:
                del self.customers[name]

    def _not_closed(self, bucket_end: int, arrival: int) -> bool:
        return bucket_end + self.lateness > arrival

    def window(self, amounts: Iterable[Amount], buckets: int, width: int) -> Iterator[Amount]:
        """The bucket that holds now and those before it, ``buckets`` in all; not what came late."""
        newest = self.now // width
        for told in amounts:
            bucket = told.at // width
            inside = newest - buckets < bucket <= newest
            if inside and self._not_closed((bucket + 1) * width, told.arrival):
                yield told

    def days(self, amounts: Iterable[Amount], days: int) -> Iterator[Amount]:
        """Today and the local days before it, ``days`` in all; not what came late."""
        today = self.day(self.now)
        for told in amounts:
            day = self.day(told.at)
            if (today - day).days < days and self._not_closed(self.day_end(day), told.arrival):
                yield told

    def rate(self, amounts: Iterable[Amount], half_life: int, unit: int) -> float:
        """Exponentially weighted by arrival, as the steady rate that would give the same."""
        weighed = sum(t.value * 2 ** ((t.arrival - self.now) / half_life) for t in amounts)
        return weighed * math.log(2) / half_life * unit

    # -- admission --------------------------------------------------------------------------------

    def tell(self, event: e.Event, arrival: int) -> str:
        """Judge and apply one decoded event; what became of it."""
        self.advance(arrival)
        at = event.at
        assert isinstance(at, int)
        if at > arrival + self.tolerance:
            return "future"
        if isinstance(event, e.ReaderStatus):  # told again without an id, it is as true as before
            new = not event.id or self._first("id", event.source, event.id)
        else:
            new = self._new(event, at)
        if not new:
            return "duplicate"
        at = min(at, arrival)
        _APPLY[type(event)](self, event, at, arrival)
        return "admitted"

    def _first(self, *key: Any) -> bool:
        new = key not in self.seen
        self.seen.add(key)
        return new

    def _new(self, event: e.Event, at: int) -> bool:
        own = event.time_quality in OWN_TIME
        if isinstance(event, e.TagRead):
            if event.id:
                return self._first("read id", event.source, event.id)
            signal = event.rssi_dbm and round(event.rssi_dbm * 100)
            told = (event.epc, event.source, event.antenna, at, signal, event.count, event.seq)
            return not own or self._first("read", *told)
        if event.id and not self._first("id", event.source, event.id):
            return False
        if isinstance(event, e.ItemScan):
            new = self._first("scan", event.contract, event.epc, event.scan_type, at)
            return new or not own
        if isinstance(event, e.Correction) and event.action == "undo_scan":
            scan = (event.contract, event.epc, event.scan_type, event.scanned_at)
            return self._first("undo", *scan)
        if isinstance(event, e.PosLine):
            if event.line is None:
                return True
            line = (event.document, event.line, event.kind, self.day(at))
            return self._first("line", event.store, *line)
        if event.id or not own:
            return True
        return self._first(type(event), *(getattr(event, f) for f in event.__struct_fields__))

    # -- items ------------------------------------------------------------------------------------

    def item(self, epc: str, arrival: int) -> Item:
        item = self.items.setdefault(epc, Item(first_seen=arrival))
        item.last_event = arrival
        return item

    def cls(self, sku: str, arrival: int = 0) -> Class:
        kind = self.classes.setdefault(sku, Class())
        kind.last_event = max(kind.last_event, arrival)
        return kind

    def read(self, event: e.TagRead, at: int, arrival: int) -> None:
        item = self.item(event.epc, arrival)
        amount = Amount(at, arrival, event.count, event.epc)
        entries = self.zone_of_entry
        named = any(entry.partition("/")[0] == event.source for entry in entries)
        own = f"{event.source}/{event.antenna}" if named else event.source
        zone = entries.get(f"{event.source}/{event.antenna}") or entries.get(event.source) or own
        item.reads.append(amount)
        self.zones.setdefault(zone, Place()).reads.append(amount)
        reader = self.readers.setdefault(event.source, Place())
        reader.reads.append(amount)
        reader.last_message = max(reader.last_message, arrival)
        if event.time_quality in OWN_TIME:
            assert isinstance(event.at, int)
            reader.ahead = event.at - arrival
        if event.rssi_dbm is not None:
            item.rssi.append(Amount(at, arrival, event.rssi_dbm))
        if at + self.lateness < arrival:
            item.totals["late"] += 1
        sight = (at // self.repeat, zone)
        if sight != item.sight:
            item.sight = sight
            item.sightings.append(amount)
            if item.sku:
                self.cls(item.sku).sightings.append(amount)

    def scan(self, event: e.ItemScan, at: int, arrival: int) -> None:
        item = self.item(event.epc, arrival)
        if event.sku:
            self.cls(event.sku, arrival)
            item.sku = event.sku
        item.totals["scans"] += 1
        item.newest("scan", at)
        newest = at >= item.status_at
        self.count_scan(item, event.scan_type, at, arrival, +1)
        if event.scan_type != "Touch Scan":
            told = event.status or AFTER_SCAN[event.scan_type]
            if event.scan_type == "Return" and event.defects and not event.status:
                told = "Needs to be Inspected"
            self.set_status(item, told, at, arrival)
        if newest and (event.defects or event.scan_type in ("Return", "Pickup")):
            item.defects = sum(1 << DEFECTS.index(d) for d in set(event.defects))
        self.set_grade(item, event.grade, at)

    def count_scan(self, item: Item, scan_type: str, at: int, arrival: int, by: int) -> None:
        if scan_type not in ("Rental", "Return"):
            return
        amount = Amount(at, arrival, by)
        item.totals[f"{scan_type}s"] += by
        (item.rentals if scan_type == "Rental" else item.returns).append(amount)
        if item.sku:
            way = "out" if scan_type == "Rental" else "in"
            self.cls(item.sku).days[f"scans_{way}"].append(amount)

    def set_status(self, item: Item, status: str, at: int, arrival: int) -> None:
        if at < item.status_at:
            return
        ready = self.tagged(item.sku, "ready")
        item.status_at = at
        item.status_before, item.rented_before = item.status, item.rented_at
        if status != item.status:
            item.status_since = at
        was_out = item.group == "on_rent"
        item.status = status
        if item.sku and ready and not self.tagged(item.sku, "ready"):
            kind = self.cls(item.sku)
            if not kind.ledger_known:
                kind.days["stockouts"].append(Amount(at, arrival))
        if item.group == "on_rent" and not was_out:
            item.rented_at = at
        if item.group != "on_rent" and item.rented_at:
            lasted = max(at - item.rented_at, 0)
            item.on_rent_ms += lasted
            item.rented_at = 0
            if item.sku:
                self.cls(item.sku).rental_hours.append(lasted / HOUR)

    def set_grade(self, item: Item, grade: str, at: int) -> None:
        number = GRADES.index(grade)
        if not number or number == item.grade or at < item.grade_since:
            return
        item.grade_changes += bool(item.grade)
        item.grade_before, item.grade, item.grade_since = item.grade, number, at

    def link(self, event: e.ItemLink, at: int, arrival: int) -> None:
        item = self.item(event.epc, arrival)
        old = self.items.get(event.replaces)
        if event.action == "replace" and old and old is not item:
            for name in _INHERITED:
                setattr(item, name, getattr(old, name))
            for name in _INHERITED_TOTALS:
                item.totals[name] = old.totals[name]
            for name in ("inspection", "maintenance", "repair"):
                item.moments[name] = old.moments.get(name, 0)
            old.retired, old.rented_at = True, 0
        if event.action in ("bind", "replace") and event.sku:
            self.cls(event.sku, arrival)
            item.sku = event.sku
        if event.action in ("mute", "unmute"):
            item.muted = event.action == "mute"
        if event.action == "retire":
            item.retired = True
            if item.rented_at:
                item.on_rent_ms += max(at - item.rented_at, 0)
                item.rented_at = 0

    def maintain(self, event: e.Maintenance, at: int, arrival: int) -> None:
        item = self.item(event.epc, arrival)
        failed = event.kind == "failure"
        planned = event.kind == "service" or (event.planned and not failed)
        item.totals["minutes"] += 0 if planned else event.minutes
        item.totals["cost"] += 0 if planned else event.cost_cents
        if failed:
            item.totals["failures"] += 1
        else:
            item.newest("inspection" if event.kind == "inspection" else "maintenance", at)
        if event.kind in ("repair", "replacement", "service"):
            item.totals["repairs"] += 0 if planned else 1
            item.newest("repair", at)
            item.defects = 0
        self.set_grade(item, event.grade, at)
        status = event.status or ("Repair" if event.kind == "failure" else "")
        if status:
            self.set_status(item, status, at, arrival)

    def correct(self, event: e.Correction, at: int, arrival: int) -> None:
        if event.action == "void_line":
            self.void(event, at, arrival)
            return
        scanned_at = event.scanned_at
        assert isinstance(scanned_at, int)
        if ("scan", event.contract, event.epc, event.scan_type, scanned_at) not in self.seen:
            return
        if event.epc not in self.items:
            return
        item = self.items[event.epc]
        item.totals["scans"] -= 1
        self.count_scan(item, event.scan_type, scanned_at, arrival, -1)
        if event.scan_type == "Touch Scan" or scanned_at != item.status_at:
            return
        item.status = item.status_before
        if item.rented_before and not item.rented_at:  # the rental never ended
            lasted = max(scanned_at - item.rented_before, 0)
            item.on_rent_ms -= lasted
            kind = self.classes.get(item.sku)
            if kind and lasted / HOUR in kind.rental_hours:
                kind.rental_hours.remove(lasted / HOUR)
        item.rented_at = item.rented_before

    # -- classes ----------------------------------------------------------------------------------

    def tagged(self, sku: str, group: str) -> int:
        return sum(i.sku == sku and i.group == group and not i.retired for i in self.items.values())

    def on_hand(self, sku: str) -> float:
        kind = self.classes[sku]
        return kind.ledger if kind.ledger_known else self.tagged(sku, "ready")

    def on_rent(self, sku: str) -> float:
        return max(self.classes[sku].rented_out, self.tagged(sku, "on_rent"))

    def line(self, event: e.PosLine, at: int, arrival: int) -> None:
        if event.kind == "void":
            self.void(event, at, arrival)
            return
        told = e.PosLine(**{f: getattr(event, f) for f in event.__struct_fields__} | {"at": at})
        self.cls(event.sku, arrival)
        if event.kind != "return" and event.price_cents:
            kind = self.cls(event.sku)
            newest = max(kind.moments.get("sale", 0), kind.moments.get("rental", 0))
            if at >= newest:
                kind.prices["paid"] = event.price_cents
        self.book(told, at, arrival, +1)
        self.lines[self.line_key(event)] = told
        if event.customer:
            self.visit(event, at, arrival)
        if event.epc and event.kind == "rental" and event.due:
            self.item(event.epc, arrival)

    @staticmethod
    def line_key(event: e.PosLine | e.Correction) -> tuple[str, int | str]:
        return event.document, event.sku if event.line is None else event.line

    def void(self, event: e.PosLine | e.Correction, at: int, arrival: int) -> None:
        told = self.lines.pop(self.line_key(event), None)
        if told:
            self.book(told, at, arrival, -1)
            if told.customer in self.customers:
                self.spend(told, -1)

    def book(self, told: e.PosLine, moved_at: int, arrival: int, sign: int) -> None:
        assert isinstance(told.at, int)
        kind, units = self.cls(told.sku), sign * told.quantity
        cents = round(units * told.price_cents) * (-1 if told.kind == "return" else 1)
        measure = {"sale": "sold", "rental": "rented", "return": "returned"}[told.kind]
        kind.days[measure].append(Amount(told.at, arrival, units))
        kind.days["revenue"].append(Amount(told.at, arrival, cents))
        self.stock(told.sku, units if told.kind == "return" else -units, moved_at, told.at, arrival)
        if told.kind == "rental":
            kind.rented_out = max(kind.rented_out + units, 0)
        if told.kind == "return":
            kind.rented_out = max(kind.rented_out - units, 0)
        if told.epc in self.items:
            self.items[told.epc].totals["turnover"] += cents
        if told.kind != "return":
            kind.lines.append((told.kind, Amount(told.at, arrival, units)))
            if sign > 0:
                kind.moments[told.kind] = max(kind.moments.get(told.kind, 0), told.at)

    def stock(self, sku: str, units: float, moved_at: int, day_at: int, arrival: int) -> None:
        kind = self.cls(sku)
        if moved_at < kind.moments.get("count", 0):
            return
        before = kind.ledger
        kind.ledger += units
        if kind.ledger_known and before > 0 >= kind.ledger:
            kind.days["stockouts"].append(Amount(day_at, arrival))

    def count(self, event: e.StockCount, at: int, arrival: int) -> None:
        kind = self.cls(event.sku, arrival)
        if at < kind.moments.get("count", 0):
            return
        kind.moments["count"] = at
        if kind.ledger_known and kind.ledger > 0 >= event.quantity:
            kind.days["stockouts"].append(Amount(at, arrival))
        kind.ledger, kind.ledger_known = event.quantity, True

    def receive(self, event: e.StockReceipt, at: int, arrival: int) -> None:
        kind = self.cls(event.sku, arrival)
        if at >= kind.moments.get("count", 0):
            kind.ledger += event.quantity
        kind.ledger_known = True
        if event.cost_cents and at >= kind.moments.get("receipt", 0):
            kind.prices["cost"] = event.cost_cents
        kind.moments["receipt"] = max(kind.moments.get("receipt", 0), at)

    def reserve(self, event: e.Reservation, at: int, arrival: int) -> None:
        self.cls(event.sku, arrival)
        key = event.document, event.sku
        self.reserved.pop(key, None)
        if event.quantity:
            self.reserved[key] = event

    def price(self, event: e.PriceObserved, at: int, arrival: int) -> None:
        kind, whose = self.cls(event.sku, arrival), "competitor" if event.competitor else "list"
        if at >= kind.moments.get(whose, 0):
            kind.moments[whose] = at
            kind.prices[whose] = event.price_cents

    def review(self, event: e.Review, at: int, arrival: int) -> None:
        if event.sku:
            self.cls(event.sku, arrival).rating.append(event.rating)
        if event.epc:
            item = self.item(event.epc, arrival)
            item.totals["ratings"] += 1
            item.totals["stars_milli"] += round(event.rating * 1000)

    def factor(self, event: e.Factor, at: int, arrival: int) -> None:
        """Kept in the journal for the trainer; no feature follows from it here."""

    # -- readers and customers --------------------------------------------------------------------

    def status(self, event: e.ReaderStatus, at: int, arrival: int) -> None:
        reader = self.readers.setdefault(event.reader, Place())
        reader.last_message = max(reader.last_message, arrival)
        reader.lost += event.lost_events if event.status == "overflow" else 0
        reader.errors += event.status == "error"

    def visit(self, event: e.PosLine, at: int, arrival: int) -> None:
        customer = self.customers.setdefault(event.customer, Customer(first=at))
        customer.first = min(customer.first, at)
        customer.last = max(customer.last, at)
        if self.day(at) > customer.newest_day:
            customer.newest_day = self.day(at)
            customer.visits += 1
        self.spend(event, +1)
        self.cls(event.sku).visits.append(Amount(at, arrival, who=event.customer))

    def spend(self, told: e.PosLine, sign: int) -> None:
        customer = self.customers[told.customer]
        customer.lines += sign
        customer.units[told.kind] += sign * told.quantity
        cents = round(told.quantity * told.price_cents)
        customer.spend += -sign * cents if told.kind == "return" else sign * cents

    # -- features ---------------------------------------------------------------------------------

    def since(self, at: int | None, unit: int) -> float | None:
        return max(self.now - at, 0) / unit if at else None

    def _reads(self, reads: list[Amount]) -> dict[str, float]:
        return {
            "reads_5m": total(self.window(reads, 5, MINUTE)),
            "reads_1h": total(self.window(reads, 12, 5 * MINUTE)),
            "reads_24h": total(self.window(reads, 24, HOUR)),
        }

    def item_features(self, epc: str) -> dict[str, float | None]:
        """Every feature of one item but those of presence."""
        item, t = self.items[epc], self.items[epc].totals
        signals = list(self.window(item.rssi, 6, 10 * MINUTE))
        kind = self.classes.get(item.sku)
        m = item.moments
        out: dict[str, float | None] = {
            **self._reads(item.reads),
            "reads_total": total(item.reads),
            "reads_per_hour_ew_1h": self.rate(item.reads, HOUR, HOUR),
            "sightings_24h": many(self.window(item.sightings, 24, HOUR)),
            "sightings_total": len(item.sightings),
            "rssi_mean_1h_dbm": total(signals) / len(signals) if signals else None,
            "rssi_last_dbm": item.rssi[-1].value if item.rssi else None,
            "days_since_read": self.since(max((r.at for r in item.reads), default=0), DAY),
            "days_since_scan": self.since(m.get("scan"), DAY),
            "days_since_inspection": self.since(m.get("inspection"), DAY),
            "days_since_maintenance": self.since(m.get("maintenance"), DAY),
            "days_since_repair": self.since(m.get("repair"), DAY),
            "days_in_status": self.since(item.status_since, DAY),
            "age_days": self.since(item.first_seen, DAY),
            "scans_total": t["scans"],
            "rentals_total": t["Rentals"],
            "returns_total": t["Returns"],
            "on_rent_days_total": (
                item.on_rent_ms + (max(self.now - item.rented_at, 0) if item.rented_at else 0)
            )
            / DAY,
            "on_rent_days_current": self.since(item.rented_at, DAY),
            "turnover_cents_total": t["turnover"],
            "repairs_total": t["repairs"],
            "repair_cost_cents_total": t["cost"],
            "maintenance_minutes_total": t["minutes"],
            "failures_total": t["failures"],
            "grade_last": item.grade or None,
            "grade_previous": item.grade_before or None,
            "grade_changes_total": item.grade_changes,
            "days_since_grade": self.since(item.grade_since, DAY),
            "defects_last": item.defects,
            "defects_count_last": bin(item.defects).count("1"),
            "late_total": t["late"],
            "rating_mean": t["stars_milli"] / 1000 / t["ratings"] if t["ratings"] else None,
            "class_price_cents": kind.prices.get("paid") if kind else None,
        }
        for days in (30, 90, 365):
            out[f"rentals_{days}d"] = total(self.days(item.rentals, days))
            out[f"returns_{days}d"] = total(self.days(item.returns, days))
        return out

    def class_features(self, sku: str) -> dict[str, float | None]:
        """Every feature of one class."""
        kind, p, m = self.classes[sku], self.classes[sku].prices, self.classes[sku].moments
        tagged = {g: self.tagged(sku, g) for g in ("ready", "on_rent", "in_service")}
        on_hand, on_rent = self.on_hand(sku), self.on_rent(sku)
        fleet = sum(tagged.values()) or on_hand + on_rent
        units = [amount for _, amount in kind.lines]
        hours = sorted(kind.rental_hours)
        out: dict[str, float | None] = {
            "on_hand_units": on_hand,
            "on_rent_units": on_rent,
            "fleet_units": fleet,
            "reserved_units": sum(r.quantity for r in self.reserved.values() if r.sku == sku),
            "utilisation_now": on_rent / fleet if fleet > 0 else None,
            "utilisation_7d": self._utilisation(kind, 7),
            "utilisation_28d": self._utilisation(kind, 28),
            "units_out_1h": total(self.window(units, 12, 5 * MINUTE)),
            "units_out_24h": total(self.window(units, 24, HOUR)),
            "sightings_24h": many(self.window(kind.sightings, 24, HOUR)),
            "rented_per_day_ew_7d": self.rate(
                (a for k, a in kind.lines if k == "rental"), 7 * DAY, DAY
            ),
            "sold_per_day_ew_7d": self.rate(
                (a for k, a in kind.lines if k == "sale"), 7 * DAY, DAY
            ),
            "customers_distinct_28d": len({a.who for a in self.window(kind.visits, 4, 7 * DAY)}),
            "rental_hours_p50": quantile(hours, 0.5),
            "rental_hours_p90": quantile(hours, 0.9),
            "stockout_days_28d": len(
                {self.day(a.at) for a in self.days(kind.days["stockouts"], 28)}
            ),
            "price_last_cents": p.get("paid"),
            "price_list_cents": p.get("list") or None,
            "price_competitor_cents": p.get("competitor") or None,
            "price_mean_28d_cents": self._mean_price(kind),
            "cost_last_cents": p.get("cost"),
            "days_since_sale": self.since(m.get("sale"), DAY),
            "days_since_rental": self.since(m.get("rental"), DAY),
            "days_since_count": self.since(m.get("count"), DAY),
            "days_since_receipt": self.since(m.get("receipt"), DAY),
            "rating_mean": sum(kind.rating) / len(kind.rating) if kind.rating else None,
        }
        for group in ("ready", "on_rent", "in_service", "sold", "missing", "other"):
            out[f"items_{group}"] = self.tagged(sku, group)
        names = {"rented": "rented_units", "sold": "sold_units", "returned": "returned_units"}
        for measure in (*names, "revenue", "scans_out", "scans_in"):
            name = names.get(measure, "revenue_cents" if measure == "revenue" else measure)
            for days in (1, 7, 28, 364):
                out[f"{name}_{days}d"] = total(self.days(kind.days[measure], days))
        return out

    def _utilisation(self, kind: Class, days: int) -> float | None:
        today = self.day(self.now)
        closes = [kind.closes.get(today - timedelta(back), (0, 0)) for back in range(1, days + 1)]
        out, here = sum(o for o, _ in closes), sum(max(h, 0) for _, h in closes)
        return out / (out + here) if out + here > 0 else None

    def _mean_price(self, kind: Class) -> float | None:
        units = total(self.days([*kind.days["sold"], *kind.days["rented"]], 28))
        return total(self.days(kind.days["revenue"], 28)) / units if units > 0 else None

    def zone_features(self, name: str) -> dict[str, float | None]:
        """Every feature of one zone but those of presence."""
        reads = self.zones[name].reads
        return {
            **self._reads(reads),
            "seconds_since_read": self.since(max((r.at for r in reads), default=0), 1000),
            "reads_per_hour_ew_1h": self.rate(reads, HOUR, HOUR),
            "items_distinct_1h": len({r.who for r in self.window(reads, 6, 10 * MINUTE)}),
            "items_distinct_24h": len({r.who for r in self.window(reads, 24, HOUR)}),
        }

    def reader_features(self, name: str) -> dict[str, float | None]:
        """Every feature of one reader but its gaps."""
        reader = self.readers[name]
        return {
            **self._reads(reader.reads),
            "seconds_since_read": self.since(max((r.at for r in reader.reads), default=0), 1000),
            "reads_total": total(reader.reads),
            "seconds_since_message": self.since(reader.last_message, 1000),
            "lost_events_total": reader.lost,
            "errors_total": reader.errors,
            "clock_ahead_ms": reader.ahead,
        }

    def customer_features(self, name: str) -> dict[str, float | None]:
        """Every feature of one customer."""
        customer = self.customers[name]
        return {
            "lines_total": customer.lines,
            "visits_total": customer.visits,
            "rented_units_total": customer.units["rental"],
            "sold_units_total": customer.units["sale"],
            "returned_units_total": customer.units["return"],
            "spend_cents_total": customer.spend,
            "days_since_visit": self.since(customer.last, DAY),
            "age_days": self.since(customer.first, DAY),
        }

    def everything(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """Entity -> key -> feature -> value."""
        return {
            "item": {k: self.item_features(k) for k in self.items},
            "class": {k: self.class_features(k) for k in self.classes},
            "zone": {k: self.zone_features(k) for k in self.zones},
            "reader": {k: self.reader_features(k) for k in self.readers},
            "customer": {k: self.customer_features(k) for k in self.customers},
        }


def total(amounts: Iterable[Amount]) -> float:
    return sum(a.value for a in amounts)


def many(amounts: Iterable[Amount]) -> int:
    return sum(1 for _ in amounts)


def quantile(ordered: list[float], q: float) -> float | None:
    return ordered[max(math.ceil(q * len(ordered)), 1) - 1] if ordered else None


_INHERITED = (
    "sku",
    "status",
    "status_since",
    "status_at",
    "rented_at",
    "on_rent_ms",
    "grade",
    "grade_before",
    "grade_since",
    "grade_changes",
    "defects",
)
_INHERITED_TOTALS = (
    "Rentals",
    "Returns",
    "repairs",
    "failures",
    "cost",
    "minutes",
    "turnover",
    "ratings",
    "stars_milli",
)
_APPLY: dict[type[e.Event], Any] = {
    e.TagRead: Oracle.read,
    e.ItemScan: Oracle.scan,
    e.PosLine: Oracle.line,
    e.StockCount: Oracle.count,
    e.StockReceipt: Oracle.receive,
    e.Reservation: Oracle.reserve,
    e.ItemLink: Oracle.link,
    e.Correction: Oracle.correct,
    e.Maintenance: Oracle.maintain,
    e.PriceObserved: Oracle.price,
    e.Factor: Oracle.factor,
    e.Review: Oracle.review,
    e.ReaderStatus: Oracle.status,
}
