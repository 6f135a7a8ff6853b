"""A simulated rental and retail shop: everything its readers, handhelds and tills would publish.

No clock, no sockets: it is told when it begins, and its time moves with the messages taken from it,
``rate`` of them a second. The same seed and settings say the same bytes. :attr:`Shop.truth` keeps
the exact answers for what was taken so far.

The shop's people live by the shop's day, which ``day_s`` makes as short as a demo needs: things go
out over the portal, come back after one to three such days, are washed, inspected and repaired.
Nothing it says is later than the message's own moment.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from itertools import count

from msgspec.structs import replace

from edge.events import Event, ItemLink, Maintenance
from edge.simulate import speak
from edge.simulate.past import Past
from edge.simulate.shop_readers import Readers
from edge.simulate.shop_rentals import Rentals
from edge.simulate.shop_sales import Sales
from edge.simulate.shop_settings import ShopSettings
from edge.simulate.shop_stage import Act, Spoken, Stage
from edge.simulate.stock import GRADES, MUTED_TAG, READY, Item, make_items
from edge.simulate.truth import Truth

OPENING_ITEMS = 20
"""Items linked by one message of the opening."""
WEIGHTS = (85.0, 3.0, 3.0, 0.2, 0.3)
"""Of what happens when nothing is due, in the order of ``Shop._activities``: mostly readers read."""

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


class Shop:
    """The shop; :meth:`messages` never ends."""

    def __init__(
        self, settings: ShopSettings, *, seed: int, start_ms: int, past: Past | None = None
    ) -> None:
        """``past``: the weeks behind it, told to their end; without it nobody knows it yet."""
        assert min(settings.rate, settings.day_s, settings.items) > 0, settings
        self.settings = settings
        stage = self._stage = Stage(settings, seed=seed, start_ms=start_ms)
        items = make_items(settings.items, stage.rng) if past is None else past.items
        owned = Counter(item.rental_class.sku for item in items)
        readers = self._readers = Readers(stage)
        rentals = self._rentals = Rentals(stage, readers, owned)
        sales = self._sales = Sales(stage)
        self._activities = (readers.read, rentals.rent, sales.sell, sales.recount, sales.reprice)
        if past is None:
            self._open_shop(items)
        else:
            self._go_on(past)

    @property
    def truth(self) -> Truth:
        """The exact answers for what was taken so far."""
        return self._stage.truth

    @property
    def now_ms(self) -> int:
        """The moment of the message taken last."""
        return self._stage.now_ms

    @property
    def settled(self) -> bool:
        """Whether all that was done has been said: only then is :attr:`truth` what was told."""
        return not self._stage.queue

    def messages(self) -> Iterator[Spoken]:
        """Message after message, ``rate`` a second, the time of each not before the last's."""
        stage = self._stage
        for number in count():
            stage.now_ms = stage.start_ms + int(number * 1000 / self.settings.rate)
            while not stage.queue:
                self._do_something()
            spoken = replace(stage.queue.popleft(), at_ms=stage.now_ms)
            stage.truth.messages[spoken.format] += 1
            yield spoken

    def until(self, at_ms: int) -> Iterator[Spoken]:
        """Messages up to a moment, and those after it that make the shop :attr:`settled`."""
        for spoken in self.messages():
            yield spoken
            if self.now_ms >= at_ms and self.settled:
                return

    def _do_something(self) -> None:
        """What is due, else what may go wrong, else what people and readers do all day."""
        if self._stage.diary and self._stage.diary[0][0] <= self._stage.now_ms:
            heapq.heappop(self._stage.diary)[2]()
            return
        trouble = self._stage.rng.random()
        for share, act in self._troubles():
            trouble -= share
            if trouble < 0:
                act()
                return
        (activity,) = self._stage.rng.choices(self._activities, WEIGHTS)
        activity()

    def _open_shop(self, items: list[Item]) -> None:
        """Everything is linked, graded and counted before the first customer."""
        stage = self._stage
        topic = f"rfid3/{stage.settings.store}/events/office"
        for start in range(0, len(items), OPENING_ITEMS):
            told: list[Event] = []
            for item in items[start : start + OPENING_ITEMS]:
                told += self._introduce(item)
            stage.say(topic, speak.natives(told), "native", len(told))
        self._mute()
        self._sales.open()
        self._readers.open()

    def _go_on(self, past: Past) -> None:
        """Everything is known: what is out comes back, what is in the workshop comes out of it."""
        things = past.things()
        out: dict[str, list[Item]] = {}
        for item in past.items:
            thing = things[item.epc]
            self._stage.truth.sku[item.epc] = item.rental_class.sku
            item.grade = thing.grade
            if thing.contract:
                item.contract, item.line = thing.contract, thing.line
                out.setdefault(thing.contract, []).append(item)
            else:
                self._rentals.put_by(item, thing.workshop)
        for items in out.values():
            self._rentals.expect(items)
        self._mute()
        self._sales.open(past.on_hand())
        self._readers.open()

    def _mute(self) -> None:
        """One tag is always in view, and means nothing."""
        self._stage.truth.muted.add(MUTED_TAG)
        self._stage.tell(ItemLink(epc=MUTED_TAG, action="mute", at=self._stage.now_ms), "office")

    def _introduce(self, item: Item) -> list[Event]:
        rental_class, grade = item.rental_class, GRADES[item.grade]
        truth, epc, at = self._stage.truth, item.epc, self._stage.now_ms
        truth.sku[epc], truth.grade[epc], truth.status[epc] = rental_class.sku, grade, READY
        self._stage.put(item, rental_class.zone)
        return [
            ItemLink(epc=epc, sku=rental_class.sku, name=rental_class.name, at=at),
            Maintenance(epc=epc, kind="inspection", grade=grade, status=READY, at=at),
        ]

    def _troubles(self) -> tuple[tuple[float, Act], ...]:
        noise = self._stage.settings.noise
        return (
            (noise.garbage, self._babble),
            (noise.clock_ahead, self._sales.sell_the_day_after_tomorrow),
            (noise.stray, self._readers.stranger),
            (noise.corrected, self._correct),
            (self._share_of(noise.overflow_every_s), self._readers.overflow),
            (self._share_of(noise.outage_every_s), self._readers.lose_one),
        )

    def _share_of(self, every_s: float) -> float:
        return 1.0 / (every_s * self._stage.settings.rate) if every_s else 0.0

    def _babble(self) -> None:
        topic, payload = self._stage.rng.choice(GARBAGE)
        self._stage.say(topic.format(store=self._stage.settings.store), payload, "garbage")
        self._stage.truth.unreadable += 1

    def _correct(self) -> None:
        self._sales.forget_old()
        if self._stage.rng.random() < 0.5 and self._sales.recent:
            self._sales.void()
        else:
            self._rentals.scan_by_mistake()
