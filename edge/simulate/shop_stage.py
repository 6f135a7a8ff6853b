"""What all in a simulated shop share: its time and diary, its dice, what lies where, and how one speaks.

It decides nothing: people and readers (the other ``shop_`` files) act on it.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from itertools import count

from msgspec import Struct

from edge.events import Event, kind_of
from edge.simulate import speak
from edge.simulate.shop_settings import ShopSettings
from edge.simulate.stock import Item, zones_of
from edge.simulate.truth import Calendar, Truth

NS_PER_MS = 1_000_000

Act = Callable[[], None]


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


class Stage:
    """The shop without anybody in it."""

    def __init__(self, settings: ShopSettings, *, seed: int, start_ms: int) -> None:
        self.settings = settings
        self.truth = Truth()
        self.now_ms = start_ms
        self.start_ms = start_ms
        self.rng = random.Random(seed)
        self.calendar = Calendar(settings.timezone)
        self.queue: deque[Spoken] = deque()  # said, and not taken yet
        self.diary: list[tuple[int, int, Act]] = []
        self.page = count()
        self.documents = count(1)
        self.lying: dict[str, list[Item]] = {zone: [] for zone in zones_of()}

    # -- speaking ---------------------------------------------------------------------------------

    def say(self, topic: str, payload: bytes, form: str, events: int = 1, qos: int = 1) -> None:
        """One message, to be taken when its turn has come."""
        self.queue.append(Spoken(self.now_ms, topic, payload, qos, form, events))

    def say_it_twice(self) -> None:
        """Sometimes: the last message again, word for word."""
        if self.rng.random() < self.settings.noise.twice:
            self.queue.append(self.queue[-1])
            self.truth.duplicates += self.queue[-1].events

    def tell(self, event: Event, source: str) -> None:
        """One of our own events; the second till speaks MessagePack."""
        topic = f"rfid3/{self.settings.store}/{kind_of(event)}/{source}"
        if source == "till-2":
            self.say(topic, speak.native_msgpack(event), "msgpack")
        else:
            self.say(topic, speak.native(event), "native")

    def scan(self, item: Item, scan_type: str, **columns: str | bool | None) -> None:
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
        self.say("handheld/mc3390/scans", speak.payload(row), "rfid3")

    def day(self) -> str:
        """Today, in the shop's zone."""
        return self.calendar.day(self.now_ms)

    def in_days(self, days: float, act: Act) -> None:
        """Write into the diary: in so many of the shop's days."""
        self.at(self.now_ms + int(days * self.settings.day_s * 1000), act)

    def at(self, at_ms: int, act: Act) -> None:
        """Write into the diary: at that moment, or as soon after it as there is time."""
        heapq.heappush(self.diary, (at_ms, next(self.page), act))

    def put(self, item: Item, zone: str | None) -> None:
        """Where an item lies from now on; ``None``: it has left the shop."""
        before = self.truth.zone.pop(item.epc, None)
        if before is not None:
            self.lying[before].remove(item)
        if zone is not None:
            self.lying[zone].append(item)
            self.truth.zone[item.epc] = zone

    def till(self) -> str:
        """One of the two tills."""
        return self.rng.choice(("till-1", "till-2"))
