"""A simulated rental and retail shop: everything its readers, handhelds and tills would publish.

No clock, no sockets: it is told when it begins, and its time moves with the messages taken from it,
``rate`` of them a second. The same seed and settings say the same bytes. :attr:`Shop.truth` keeps
the exact answers for what was taken so far.

The shop's people live by the shop's day, which ``day_s`` makes as short as a demo needs: things go
out over the portal, come back after one to three such days, are washed, inspected and repaired.
Nothing it says is later than the message's own moment.
"""

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from edge.events import (
    Correction,
    Event,
    ItemLink,
    Maintenance,
    PosLine,
    PriceObserved,
    StockCount,
    StockReceipt,
    kind_of,
)
from edge.simulate import speak
from edge.simulate.stock import (
    ARTICLES,
    CLASSES,
    GRADES,
    MUTED_TAG,
    READERS,
    READY,
    Article,
    Item,
    Reader,
    make_items,
    zones_of,
)
from edge.simulate.truth import Calendar, Truth

NS_PER_MS = 1_000_000
OPENING_ITEMS = 20
"""Items linked by one message of the opening."""


class Noise(Struct, frozen=True, kw_only=True):
    """How often things go wrong: shares of all messages, and for readers spans of time."""

    twice: float = 0.004
    """A message is published again, word for word."""
    garbage: float = 0.002
    """A payload nobody can read."""
    clock_ahead: float = 0.0005
    """A till dates its line two days ahead."""
    clock_unset: float = 0.001
    """A reader says it is 1970; its reads count on arrival."""
    stray: float = 0.02
    """A stranger's tag passes the portal."""
    corrected: float = 0.002
    """A clerk takes back a line or a scan."""
    overflow_every_s: float = 120.0
    """About so often a reader says that it threw reads away, seconds; 0: never."""
    outage_every_s: float = 300.0
    """About so often a reader is lost for a while, seconds; 0: never."""


class ShopSettings(Struct, frozen=True, kw_only=True):
    """What the shop is like."""

    store: str = "main"
    """Its name, as in the daemon's ``shop.store``."""
    timezone: str = "UTC"
    """IANA zone of its days, as in the daemon's ``shop.timezone``."""
    items: int = 400
    """Tagged items."""
    rate: float = 100.0
    """Messages a second."""
    day_s: float = 86_400.0
    """Length of a day in the life of its people, seconds."""
    heartbeat_s: float = 30.0
    """How often each reader says that it is well, seconds."""
    noise: Noise = Noise()
    """How often things go wrong."""


class Spoken(Struct, frozen=True):
    """One message of one device."""

    at_ms: int
    """When it is published, epoch milliseconds; never before the moments it speaks of."""
    topic: str
    payload: bytes
    qos: int
    format: str
    """Who speaks so: zebra, impinj, rfid3, native, msgpack or garbage."""
    events: int = 1
    """Events in it."""


# Weight of what happens when nothing is due: mostly readers read.
ACTIVITIES = ("read", "rent", "sell", "recount", "reprice")
WEIGHTS = (85.0, 3.0, 3.0, 0.2, 0.3)

GARBAGE = (
    ("rfid3/{store}/pos_line/till-1", b'{"document":"77'),
    ("zebra/fx-linen/data", b"\x00\xff\xfe\x9f\x00reader\x81"),
    ("sensors/cellar/climate", b'{"temperature":21.5,"battery":87}'),
    (
        "handheld/mc3390/scans",
        b'{"tag_id":"425445000000000000000001","scan_type":"renting"}',
    ),
    (
        "rfid3/{store}/pos_line/till-1",
        b'{"document":"7","kind":"sale","sku":"R-1001","quantity":-2}',
    ),
)
"""Topic and payload; each becomes one dead letter."""

SHELF_READERS = tuple(reader for reader in READERS if reader.kind == "shelf")
DOOR_READERS = tuple(reader for reader in READERS if reader.kind != "shelf")
IMPINJ_READERS = tuple(reader for reader in READERS if reader.maker == "impinj")
READS_MAX = 8
RENTED_MAX = 6
VOID_WITHIN_MS = 3_600_000
"""A clerk notices within the hour; a closed day is not opened again."""
KEPT_SHARE = 0.4
"""Of a class, so much stays in the shop."""

Act = Callable[[], None]
RentalKind = Literal["rental", "return"]


class Shop:
    """The shop; :meth:`messages` never ends."""

    def __init__(self, settings: ShopSettings, *, seed: int, start_ms: int) -> None:
        assert min(settings.rate, settings.day_s, settings.items) > 0, settings
        self.settings = settings
        self.truth = Truth()
        self.now_ms = start_ms
        self._start_ms = start_ms
        self._heartbeat_ms = int(settings.heartbeat_s * 1000)
        self._rng = random.Random(seed)
        self._calendar = Calendar(settings.timezone)
        self._queue: deque[Spoken] = deque()
        self._diary: list[tuple[int, int, Act]] = []
        self._page = count()
        self._documents = count(1)
        self._lying: dict[str, list[Item]] = {zone: [] for zone in zones_of()}
        self._last_read: dict[tuple[str, str], int] = {}
        self._seen: Counter[str] = Counter()  # messages by reader
        self._away: set[str] = set()
        self._kept: Counter[str] = Counter()  # SKU -> items that are never all rented out
        self._sales: deque[tuple[PosLine, str]] = deque(maxlen=50)
        self._open_shop(make_items(settings.items, self._rng))

    @property
    def settled(self) -> bool:
        """Whether all that was done has been said: only then is :attr:`truth` what was told."""
        return not self._queue

    def messages(self) -> Iterator[Spoken]:
        """Message after message, ``rate`` a second, the time of each not before the last's."""
        for number in count():
            self.now_ms = self._start_ms + int(number * 1000 / self.settings.rate)
            while not self._queue:
                self._do_something()
            spoken = replace(self._queue.popleft(), at_ms=self.now_ms)
            self.truth.messages[spoken.format] += 1
            yield spoken

    def until(self, at_ms: int) -> Iterator[Spoken]:
        """Messages up to a moment, and those after it that make the shop :attr:`settled`."""
        for spoken in self.messages():
            yield spoken
            if self.now_ms >= at_ms and self.settled:
                return

    # -- speaking ---------------------------------------------------------------------------------

    def _say(self, topic: str, payload: bytes, form: str, events: int = 1, qos: int = 1) -> None:
        self._queue.append(Spoken(self.now_ms, topic, payload, qos, form, events))

    def _say_it_twice(self) -> None:
        """Sometimes: the last message again, word for word."""
        if self._rng.random() < self.settings.noise.twice:
            self._queue.append(self._queue[-1])
            self.truth.duplicates += self._queue[-1].events

    def _tell(self, event: Event, source: str) -> None:
        """One of our own events; the second till speaks MessagePack."""
        topic = f"rfid3/{self.settings.store}/{kind_of(event)}/{source}"
        if source == "till-2":
            self._say(topic, speak.native_msgpack(event), "msgpack")
        else:
            self._say(topic, speak.native(event), "native")

    def _scan(self, item: Item, scan_type: str, **columns: str | bool | None) -> None:
        """A handheld's row about an item."""
        own = item.epc.startswith("425445")  # RFID3 writes its own numbers in lower case
        row = speak.rfid3_row(
            self.now_ms,
            item.epc.lower() if own else item.epc,
            scan_type,
            contract_number=item.contract,
            rental_class_num=item.rental_class.sku,
            common_name=item.rental_class.name,
            bin_location=item.bin,
            client_name=item.customer,
            **columns,
        )
        self._say("handheld/mc3390/scans", speak.payload(row), "rfid3")

    def _day(self) -> str:
        return self._calendar.day(self.now_ms)

    # -- time -------------------------------------------------------------------------------------

    def _in(self, days: float, act: Act) -> None:
        """Write into the diary: in so many of the shop's days."""
        self._at(self.now_ms + int(days * self.settings.day_s * 1000), act)

    def _at(self, at_ms: int, act: Act) -> None:
        heapq.heappush(self._diary, (at_ms, next(self._page), act))

    def _do_something(self) -> None:
        """What is due, else what may go wrong, else what people and readers do all day."""
        if self._diary and self._diary[0][0] <= self.now_ms:
            heapq.heappop(self._diary)[2]()
            return
        trouble = self._rng.random()
        for share, act in self._troubles():
            trouble -= share
            if trouble < 0:
                act()
                return
        activity = self._rng.choices(ACTIVITIES, WEIGHTS)[0]
        getattr(self, f"_{activity}")()

    # -- opening ----------------------------------------------------------------------------------

    def _open_shop(self, items: list[Item]) -> None:
        """Everything is linked, graded and counted before the first customer."""
        topic = f"rfid3/{self.settings.store}/events/office"
        owned = Counter(item.rental_class.sku for item in items)
        self._kept.update({sku: round(number * KEPT_SHARE) for sku, number in owned.items()})
        for start in range(0, len(items), OPENING_ITEMS):
            told: list[Event] = []
            for item in items[start : start + OPENING_ITEMS]:
                told += self._introduce(item)
            self._say(topic, speak.natives(told), "native", len(told))
        self.truth.muted.add(MUTED_TAG)
        self._tell(ItemLink(epc=MUTED_TAG, action="mute", at=self.now_ms), "office")
        for article in ARTICLES:
            units = self._rng.randrange(40, 160)
            self.truth.ledger[article.sku] = units
            self._tell(StockCount(sku=article.sku, quantity=units, at=self.now_ms), "office")
        for place, reader in enumerate(READERS):
            first_ms = self.now_ms + place * self._heartbeat_ms // len(READERS)
            self._at(first_ms, partial(self._heartbeat, reader))

    def _introduce(self, item: Item) -> list[Event]:
        rental_class, grade = item.rental_class, GRADES[item.grade]
        truth, epc, at = self.truth, item.epc, self.now_ms
        truth.sku[epc], truth.grade[epc], truth.status[epc] = rental_class.sku, grade, READY
        self._put(item, rental_class.zone)
        return [
            ItemLink(epc=epc, sku=rental_class.sku, name=rental_class.name, at=at),
            Maintenance(epc=epc, kind="inspection", grade=grade, status=READY, at=at),
        ]

    def _put(self, item: Item, zone: str | None) -> None:
        """Where an item lies from now on; ``None``: it has left the shop."""
        before = self.truth.zone.pop(item.epc, None)
        if before is not None:
            self._lying[before].remove(item)
        if zone is not None:
            self._lying[zone].append(item)
            self.truth.zone[item.epc] = zone

    # -- readers ----------------------------------------------------------------------------------

    def _heartbeat(self, reader: Reader) -> None:
        self._at(self.now_ms + self._heartbeat_ms, partial(self._heartbeat, reader))
        if reader.name in self._away:
            return
        if reader.maker == "zebra":
            said = speak.zebra_heartbeat(
                self.now_ms,
                event_number=self._next_number(reader),
                tag_reads=self._seen[reader.name],
                uptime_s=(self.now_ms - self._start_ms) // 1000,
                antennas=len(reader.zones),
            )
            self._say(f"zebra/{reader.name}/events", speak.payload(said), "zebra", qos=0)
        else:
            said = speak.impinj_status(self.now_ms * NS_PER_MS, "running", hostname=reader.name)
            self._say(f"impinj/{reader.name}", speak.payload(said), "impinj", qos=0)

    def _next_number(self, reader: Reader) -> int:
        self._seen[reader.name] += 1
        return self._seen[reader.name]

    def _read(self) -> None:
        """A shelf's reader reports some of what lies before one of its antennas."""
        reader = self._rng.choice(SHELF_READERS)
        antenna = self._rng.randrange(len(reader.zones)) + 1
        lying = self._lying[reader.zones[antenna - 1]]
        seen = self._rng.sample(lying, min(len(lying), self._rng.randrange(1, READS_MAX + 1)))
        tags = [(item.epc, item.loudness_dbm) for item in seen]
        if reader is SHELF_READERS[0] and self._rng.random() < 0.5:
            tags.append((MUTED_TAG, 9))
        self._report(reader, antenna, tags)

    def _report(self, reader: Reader, antenna: int, tags: list[tuple[str, int]]) -> None:
        """A reader tells of tags; it never reports one tag twice within a millisecond."""
        fresh = [tag for tag in tags if self._last_read.get((reader.name, tag[0])) != self.now_ms]
        if not fresh or reader.name in self._away:
            return
        for epc, _ in fresh:
            self._last_read[(reader.name, epc)] = self.now_ms
        unset = self._rng.random() < self.settings.noise.clock_unset
        at_ms = self._seen[reader.name] if unset else self.now_ms
        if reader.maker == "zebra":
            self._report_zebra(reader, antenna, fresh, at_ms)
        else:
            self._report_impinj(reader, antenna, fresh, at_ms)
        if not unset:
            self._say_it_twice()

    def _report_zebra(
        self, reader: Reader, antenna: int, tags: list[tuple[str, int]], at_ms: int
    ) -> None:
        said = [
            speak.zebra_read(
                at_ms,
                epc,
                mode="PORTAL" if reader.kind == "portal" else "INVENTORY",
                antenna=antenna,
                rssi_dbm=self._loudness(loudness),
                reads=self._rng.randrange(1, 9),
                event_number=self._next_number(reader),
                offset_minutes=-360,
            )
            for epc, loudness in tags
        ]
        payload = speak.payload(said if len(said) > 1 else said[0])
        self._say(f"zebra/{reader.name}/data", payload, "zebra", len(said))

    def _report_impinj(
        self, reader: Reader, antenna: int, tags: list[tuple[str, int]], at_ms: int
    ) -> None:
        said = [
            speak.impinj_read(
                at_ms * NS_PER_MS + self._rng.randrange(NS_PER_MS),
                epc,
                antenna=antenna,
                rssi_dbm=self._loudness(loudness) + self._rng.randrange(0, 4) / 4,
                frequency_khz=902_750 + 500 * self._rng.randrange(50),
                power_cdbm=3_000,
                hostname=reader.name,
            )
            for epc, loudness in tags
        ]
        self._next_number(reader)
        payload = speak.payload(said if len(said) > 1 else said[0])
        self._say(f"impinj/{reader.name}", payload, "impinj", len(said))

    def _loudness(self, item_dbm: int) -> int:
        return -58 + item_dbm + self._rng.randrange(-3, 4)

    def _pass_door(self, items: list[Item]) -> None:
        """Through the portal and past the exit; not every tag is caught at both."""
        tags = [(item.epc, item.loudness_dbm) for item in items]
        for reader in DOOR_READERS:
            caught = [tag for tag in tags if self._rng.random() < 0.85]
            self._report(reader, 1, caught)

    # -- renting ----------------------------------------------------------------------------------

    def _rent(self) -> None:
        """Somebody takes some things of one class for a day or more."""
        rental_class = self._rng.choice(CLASSES)
        ready = [
            item
            for item in self._lying[rental_class.zone]
            if item.rental_class is rental_class and self.truth.status[item.epc] == READY
        ]
        if len(ready) <= self._kept[rental_class.sku]:
            return self._read()
        free = len(ready) - self._kept[rental_class.sku]
        items = self._rng.sample(ready, min(free, self._rng.randrange(1, RENTED_MAX + 1)))
        laundry = rental_class.washed and self._rng.random() < 0.1
        contract = f"{'L' if laundry else 'C'}-{next(self._documents):06d}"
        customer, till = f"cust-{self._rng.randrange(200):03d}", self._till()
        days = self._rng.uniform(0.5, 3.0)
        due_ms = self.now_ms + int(days * self.settings.day_s * 1000)
        for line, item in enumerate(items, 1):
            item.contract, item.customer, item.line = contract, customer, line
            self._book(item, "rental", till, due_ms)
        self._pass_door(items)
        for item in items:
            self._scan(item, "Rental", scan_by="crew-2")
            self._say_it_twice()
            self.truth.status[item.epc] = "On Rent"
            self.truth.scans["out", rental_class.sku, self._day()] += 1
            self._put(item, None)
        if self._rng.random() < 0.2:
            self._in(days / 4, partial(self._deliver, items))
        self._in(days * self._rng.uniform(0.8, 1.2), partial(self._take_back, items, till))
        return None

    def _book(self, item: Item, kind: RentalKind, till: str, due_ms: int = 0) -> None:
        """A contract's line."""
        sku = item.rental_class.sku
        line = PosLine(
            document=item.contract,
            line=item.line,
            kind=kind,
            sku=sku,
            price_cents=item.rental_class.price_cents if kind == "rental" else 0,
            customer=item.customer,
            channel="counter",
            due=due_ms,
            epc=item.epc,
            name=item.rental_class.name,
            category=item.rental_class.category,
            at=self.now_ms,
        )
        self._tell(line, till)
        self._say_it_twice()
        self.truth.units["rented" if kind == "rental" else "returned", sku, self._day()] += 1

    def _till(self) -> str:
        return self._rng.choice(("till-1", "till-2"))

    def _deliver(self, items: list[Item]) -> None:
        for item in items:
            if self.truth.status[item.epc] == "On Rent":
                self._scan(item, "Delivery", scan_by="truck-1")
                self.truth.status[item.epc] = "Delivered"

    def _take_back(self, items: list[Item], till: str) -> None:
        """Everything comes back; some of it dirty, some of it broken, all of it a little worse."""
        self._pass_door(items)
        for item in items:
            worn = self._rng.random()
            if worn < 0.15:
                item.grade = min(item.grade + 1, len(GRADES) - 1)
            if item.rental_class.washed:
                self._return(item, "Wash", "wash", dirty_or_mud=worn < 0.3)
            elif worn < 0.12:
                self._return(item, "Needs to be Inspected", "repair", rip_or_tear=True)
            else:
                self._return(item, READY, item.rental_class.zone)
            self._book(item, "return", till)

    def _return(self, item: Item, status: str, zone: str, **defects: bool) -> None:
        grade = GRADES[item.grade]
        self._scan(item, "Return", status=status, quality=grade, scan_by="crew-1", **defects)
        self._say_it_twice()
        truth = self.truth
        truth.status[item.epc], truth.grade[item.epc] = status, grade
        truth.scans["in", item.rental_class.sku, self._day()] += 1
        self._put(item, zone)
        if status != READY:
            self._in(self._rng.uniform(0.2, 0.8), partial(self._mend, item, status))

    def _mend(self, item: Item, status: str) -> None:
        """Out of the laundry or the workshop, back to its shelf."""
        repaired = status != "Wash"
        if repaired:
            item.grade = max(item.grade - 1, 0)
        done = Maintenance(
            epc=item.epc,
            kind="repair" if repaired else "wash",
            cost_cents=self._rng.randrange(800, 6_000) if repaired else 140,
            minutes=self._rng.randrange(10, 90) if repaired else 5,
            component="seam" if repaired else "",
            grade=GRADES[item.grade],
            status=READY,
            at=self.now_ms,
        )
        self._tell(done, "workshop")
        self.truth.status[item.epc], self.truth.grade[item.epc] = READY, GRADES[item.grade]
        self._put(item, item.rental_class.zone)

    # -- selling ----------------------------------------------------------------------------------

    def _sell(self) -> None:
        document, till = f"R-{next(self._documents):06d}", self._till()
        customer = f"cust-{self._rng.randrange(200):03d}" if self._rng.random() < 0.6 else ""
        for number in range(1, self._rng.randrange(1, 4) + 1):
            article = self._rng.choice(ARTICLES)
            if self.truth.ledger[article.sku] < 10:
                self._receive(article)
            line = PosLine(
                document=document,
                line=number,
                kind="sale",
                sku=article.sku,
                quantity=self._rng.randrange(1, 4),
                price_cents=article.price_cents,
                channel="counter",
                customer=customer,
                name=article.name,
                category="Resale",
                at=self.now_ms,
            )
            self._tell(line, till)
            self._say_it_twice()
            self._sold(line, self._day(), +1)
            self._sales.append((line, self._day()))

    def _sold(self, line: PosLine, day: str, sign: int) -> None:
        units = sign * int(line.quantity)
        self.truth.units["sold", line.sku, day] += units
        self.truth.ledger[line.sku] -= units

    def _receive(self, article: Article) -> None:
        units = 12 * self._rng.randrange(1, 5)
        cost_cents = article.price_cents // 2
        receipt = StockReceipt(
            sku=article.sku,
            quantity=units,
            cost_cents=cost_cents,
            supplier="Acme Events",
            order=f"PO-{next(self._documents):06d}",
            at=self.now_ms,
        )
        self._tell(receipt, "office")
        self.truth.ledger[article.sku] += units

    def _recount(self) -> None:
        """Somebody counts a shelf and finds a unit more or less."""
        article = self._rng.choice(ARTICLES)
        units = max(self.truth.ledger[article.sku] + self._rng.randrange(-1, 2), 0)
        self._tell(StockCount(sku=article.sku, quantity=units, at=self.now_ms), "office")
        self.truth.ledger[article.sku] = units

    def _reprice(self) -> None:
        article = self._rng.choice(ARTICLES)
        competitor = self._rng.choice(("", "party-place"))
        cents = article.price_cents * self._rng.randrange(90, 111) // 100
        seen = PriceObserved(
            sku=article.sku, price_cents=cents, competitor=competitor, at=self.now_ms
        )
        self._tell(seen, "office")

    # -- trouble ----------------------------------------------------------------------------------

    def _troubles(self) -> tuple[tuple[float, Act], ...]:
        noise = self.settings.noise
        return (
            (noise.garbage, self._babble),
            (noise.clock_ahead, self._sell_the_day_after_tomorrow),
            (noise.stray, self._stranger),
            (noise.corrected, self._correct),
            (self._share_of(noise.overflow_every_s), self._overflow),
            (self._share_of(noise.outage_every_s), self._lose_reader),
        )

    def _share_of(self, every_s: float) -> float:
        return 1.0 / (every_s * self.settings.rate) if every_s else 0.0

    def _babble(self) -> None:
        topic, payload = self._rng.choice(GARBAGE)
        self._say(topic.format(store=self.settings.store), payload, "garbage")
        self.truth.unreadable += 1

    def _sell_the_day_after_tomorrow(self) -> None:
        article = self._rng.choice(ARTICLES)
        line = PosLine(
            document=f"R-{next(self._documents):06d}",
            line=1,
            kind="sale",
            sku=article.sku,
            at=self.now_ms + 2 * 86_400_000,
        )
        self._tell(line, "till-1")
        self.truth.future += 1

    def _stranger(self) -> None:
        """A tag of another shop's goods is carried past the door."""
        epc = f"E2801160600002{self._rng.randrange(40):010X}"
        if DOOR_READERS[0].name not in self._away:
            self.truth.strays.add(epc)
        self._report(DOOR_READERS[0], 1, [(epc, 0)])

    def _correct(self) -> None:
        while self._sales and int(self._sales[0][0].at) < self.now_ms - VOID_WITHIN_MS:
            self._sales.popleft()
        if self._rng.random() < 0.5 and self._sales:
            self._void()
        else:
            self._scan_by_mistake()

    def _void(self) -> None:
        place = self._rng.randrange(len(self._sales))
        line, day = self._sales[place]
        del self._sales[place]
        if self._rng.random() < 0.5:
            void = PosLine(
                document=line.document, line=line.line, kind="void", sku=line.sku, at=self.now_ms
            )
            self._tell(void, "till-1")
        else:
            undo = Correction(
                action="void_line", document=line.document, line=line.line, at=self.now_ms
            )
            self._tell(undo, "office")
        self._sold(line, day, -1)

    def _scan_by_mistake(self) -> None:
        """Scanned out, and taken back at once."""
        lying = [item for zone in self._lying.values() for item in zone]
        ready = [item for item in lying if self.truth.status[item.epc] == READY]
        if not ready:
            return
        item = self._rng.choice(ready)
        item.contract, item.customer = f"C-{next(self._documents):06d}", ""
        self._scan(item, "Rental", scan_by="crew-1")
        undo = Correction(
            action="undo_scan",
            epc=item.epc,
            contract=item.contract,
            scan_type="Rental",
            scanned_at=self.now_ms,
            at=self.now_ms,
        )
        self._tell(undo, "office")

    def _overflow(self) -> None:
        reader = self._rng.choice(IMPINJ_READERS)
        if reader.name in self._away:
            return
        said = speak.impinj_overflow(
            self.now_ms * NS_PER_MS,
            from_ns=(self.now_ms - 800) * NS_PER_MS,
            purged=self._rng.randrange(50, 900),
            hostname=reader.name,
        )
        self._say(f"impinj/{reader.name}", speak.payload(said), "impinj")
        self.truth.overflows += 1

    def _lose_reader(self) -> None:
        """Its broker connection breaks, and comes back after a while."""
        reader = self._rng.choice(IMPINJ_READERS)
        if reader.name in self._away:
            return
        self._away.add(reader.name)
        self._say(f"impinj/{reader.name}/will", speak.IMPINJ_WILL, "impinj")
        self.truth.outages += 1
        self._at(self.now_ms + self._rng.randrange(2_000, 20_000), partial(self._back, reader))

    def _back(self, reader: Reader) -> None:
        self._away.discard(reader.name)
        self._say(f"impinj/{reader.name}/will", speak.IMPINJ_BIRTH, "impinj")
