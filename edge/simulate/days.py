"""A simulated shop's days, told in bulk: what tills, handhelds and the workshop say in months or years.

The shop of ``shop.py`` speaks as readers do, ten messages a second; a year of it takes an hour. Here
a day is drawn at once and nothing is read by antennas, so that a year takes seconds: to train on,
to measure training, to look at charts. Same seed and settings, same bytes. No clock, no sockets.

What is true of it, and what a model may find out: weekends and seasons by category, a slow trend,
classes that are rented together, prices that move every few weeks and customers who mind, stock that
runs out, things that wear with use, some faster than others, and fail.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from edge.events import (
    Defect,
    Event,
    ItemLink,
    ItemScan,
    Maintenance,
    PosLine,
    PriceObserved,
    StockCount,
    StockReceipt,
)
from edge.records import Batch, Message
from edge.simulate.stock import ARTICLES, CLASSES, GRADES, READY, Item

DAY_MS, HOUR_MS, SECOND_MS = 86_400_000, 3_600_000, 1_000
OPENS_H, CLOSES_H = 8, 18
TOPIC = "rfid3/{store}/events/office"
DEFECTS: tuple[Defect, ...] = ("rip_or_tear", "stain", "other")

WEEKDAY = {
    "rental": (0.6, 0.6, 0.8, 1.1, 1.9, 1.6, 0.4),
    "sale": (0.8, 0.8, 0.9, 1.0, 1.4, 1.7, 0.4),
}
"""Monday to Sunday, about 1 on average."""
TOGETHER = (("linen", "furniture"), ("furniture", "linen"), ("tents", "furniture"))
"""Zones: who takes the first often takes a certain class of the second."""
TOGETHER_SHARE = 0.35
SIZES = ("", " S", " M", " L", " XL")
FAILURES_A_USE = 0.02
"""Hazard of a use of a new thing of usual frailty."""
WORN_USES = 12.0
"""After so many uses the hazard is four times that of a new thing."""
FRAILTY_SHAPE, FRAILTY_SCALE = 2.0, 0.5
"""Gamma distribution of a thing's frailty; its mean is 1."""
REPAIR_CENTS = (800, 6_000)
REPAIR_DAYS = (1, 5)
"""A repair costs and takes at least, and less than; uniform."""


class DaysSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the shop is like."""

    store: str = "main"
    """Its name, as in the daemon's ``shop.store``."""
    days: int = 730
    first_day: int = 19_723
    """Local day since 1970-01-01; 2024-01-01."""
    rental_classes: int = 32
    articles: int = 24
    items_per_class: int = 12
    rentals_a_day: float = 26.0
    """Contracts, on average."""
    sales_a_day: float = 0.9
    """Units of an article a day, on average."""
    seed: int = 1


@dataclass(slots=True)
class Kind:
    """A class that is rented, or an article that is sold."""

    sku: str
    name: str
    category: str
    zone: str
    """Where it lies; empty: it is sold."""
    rate: float
    """Share of contracts that begin with it, or units a day."""
    elasticity: float
    peak_day: float
    """Day of the year around which it is wanted most."""
    swing: float
    trend_a_year: float
    list_cents: int
    washed: bool = False
    price_cents: int = 0
    on_hand: int = 0
    ordered_for: int = -1
    """Day on which goods arrive; -1: nothing is ordered."""


@dataclass(slots=True)
class Thing:
    """One tagged item."""

    epc: str
    kind: Kind
    frailty: float
    grade: int
    uses: int = 0
    """Rentals since it was last mended."""
    busy_until: int = -1
    """Day on which it is back or mended; before it, nobody can have it."""
    contract: str = ""
    line: int = 0
    workshop: str = ""
    """What is done to it until then; empty: it is on rent, or ready."""
    inspect_on: int = 0


class ShopDays:
    """The shop; a source of history for ``trainer.imports`` (``HistorySource``).

    With ``items`` it owns these, of the first eight classes, and what it owns more of is rented more.
    """

    whole_days = True

    def __init__(self, settings: DaysSettings | None = None, items: Sequence[Item] = ()) -> None:
        self.settings = settings or DaysSettings()
        self.total = self.settings.days  # days there are
        self.done = 0  # days told so far
        self.skipped: Counter[str] = Counter()
        self._said: list[Event] = []
        self._documents = 0
        self._mood = 0.0
        self._random = np.random.default_rng(self.settings.seed)
        self._rented = self._rental_classes()
        self._sold = self._articles()
        self._things = self._these(items) if items else self._make_things()
        self._partner = self._make_partners()

    # -- what there is ----------------------------------------------------------------------------

    def _rental_classes(self) -> list[Kind]:
        made = []
        for number in range(self.settings.rental_classes):
            one, series = CLASSES[number % len(CLASSES)], number // len(CLASSES)
            kind = self._kind(f"{int(one.sku) + series}", one.name, series, one.price_cents)
            kind.category, kind.zone, kind.washed = one.category, one.zone, one.washed
            made.append(kind)
        return _scaled(made, 1.0)

    def _articles(self) -> list[Kind]:
        made = []
        for number in range(self.settings.articles):
            one, series = ARTICLES[number % len(ARTICLES)], number // len(ARTICLES)
            sku = f"{one.sku}-{series}" if series else one.sku
            kind = self._kind(sku, one.name, series, one.price_cents)
            kind.category = ("Resale", "Supplies", "Decoration")[number % 3]
            kind.on_hand = int(self._random.integers(15, 60))
            made.append(kind)
        return _scaled(made, self.settings.sales_a_day * len(made))

    def _kind(self, sku: str, name: str, series: int, cents: int) -> Kind:
        random = self._random
        list_cents = int(cents * (1 + 0.15 * (series % 7)))
        return Kind(
            sku=sku,
            name=name + SIZES[min(series, 4)],
            category="",
            zone="",
            rate=float(random.lognormal(0.0, 0.8)),
            elasticity=float(-random.gamma(6.0, 0.22)),
            peak_day=float(random.normal(172.0, 25.0)),
            swing=float(random.uniform(0.15, 0.6)),
            trend_a_year=float(random.normal(0.05, 0.1)),
            list_cents=list_cents,
            price_cents=list_cents,
        )

    def _make_things(self) -> dict[str, list[Thing]]:
        random, number = self._random, 0
        found: dict[str, list[Thing]] = {}
        for kind in self._rented:
            things = []
            for _ in range(self.settings.items_per_class):
                number += 1
                things.append(
                    Thing(
                        epc=f"425445{number:018X}",
                        kind=kind,
                        frailty=float(random.gamma(FRAILTY_SHAPE, FRAILTY_SCALE)),
                        grade=int(random.integers(0, 4)),
                        inspect_on=self.settings.first_day + int(random.integers(1, 90)),
                    )
                )
            found[kind.sku] = things
        return found

    def _these(self, items: Sequence[Item]) -> dict[str, list[Thing]]:
        random = self._random
        found: dict[str, list[Thing]] = {kind.sku: [] for kind in self._rented}
        kinds = {kind.sku: kind for kind in self._rented}
        for item in items:
            things = found[item.rental_class.sku]
            first = self.settings.first_day + int(random.integers(1, 90))
            frailty, kind = (
                float(random.gamma(FRAILTY_SHAPE, FRAILTY_SCALE)),
                kinds[item.rental_class.sku],
            )
            things.append(Thing(item.epc, kind, frailty, item.grade, inspect_on=first))
        for kind in self._rented:
            kind.rate *= len(found[kind.sku])
        _scaled(self._rented, 1.0)
        return found

    def things(self) -> Iterator[Thing]:
        """Every tagged thing, as it stands after the days told so far."""
        for things in self._things.values():
            yield from things

    def on_hand(self) -> dict[str, int]:
        """SKU of what is sold -> units on the shelf, after the days told so far."""
        return {kind.sku: kind.on_hand for kind in self._sold}

    def _make_partners(self) -> dict[str, Kind]:
        """Class -> the class that often goes along with it."""
        found: dict[str, Kind] = {}
        zones = dict(TOGETHER)
        for kind in self._rented:
            likely = [k for k in self._rented if k.zone == zones.get(kind.zone)]
            if likely:
                found[kind.sku] = likely[int(self._random.integers(len(likely)))]
        return found

    # -- telling ----------------------------------------------------------------------------------

    def batches(self) -> Iterator[Batch]:
        """One batch a day, its messages by the hour, in the order of their moments."""
        first = 0
        for number in range(self.settings.days):
            day = self.settings.first_day + number
            self._said = []
            if number == 0:
                self._open()
            self._day(day, number)
            messages = list(self._messages(day))
            self.done = number + 1
            yield Batch(number + 1, first, messages[-1].arrival_ms, messages)
            first += len(messages)

    def _messages(self, day: int) -> Iterator[Message]:
        """What was said, spread over the opening hours in the order in which it was said."""
        hours, topic = CLOSES_H - OPENS_H, TOPIC.format(store=self.settings.store)
        each = max(-(-len(self._said) // hours), 1)
        for hour in range(hours):
            part = self._said[hour * each : (hour + 1) * each]
            start_ms = day * DAY_MS + (OPENS_H + hour) * HOUR_MS
            told = [
                msgspec.structs.replace(event, at=start_ms + i * (HOUR_MS // (each + 1)))
                for i, event in enumerate(part)
            ]
            if told:
                end_ms = start_ms + HOUR_MS - SECOND_MS
                yield Message(topic, msgspec.json.encode(told), end_ms)
        if not self._said:
            yield Message(topic, b"[]", day * DAY_MS + CLOSES_H * HOUR_MS)

    def _tell(self, event: Event) -> None:
        self._said.append(event)

    def _document(self, letter: str) -> str:
        self._documents += 1
        return f"{letter}-{self._documents:07d}"

    def _open(self) -> None:
        """Everything is linked, graded, counted and priced before the first customer."""
        for kind in self._rented:
            for thing in self._things[kind.sku]:
                self._tell(ItemLink(epc=thing.epc, sku=kind.sku, name=kind.name))
                grade = GRADES[thing.grade]
                self._tell(Maintenance(epc=thing.epc, kind="inspection", grade=grade, status=READY))
        for kind in self._sold:
            self._tell(StockCount(sku=kind.sku, quantity=kind.on_hand))
        for kind in (*self._rented, *self._sold):
            self._tell(PriceObserved(sku=kind.sku, price_cents=kind.price_cents))

    # -- a day ------------------------------------------------------------------------------------

    def _day(self, day: int, number: int) -> None:
        self._mood = 0.7 * self._mood + float(self._random.normal(0.0, 0.12))
        self._reprice(number)
        for things in self._things.values():
            for thing in things:
                self._morning(thing, day)
        self._receive(day)
        wish = [self._wanted(kind, "rental", day, number) for kind in self._rented]
        for _ in range(int(self._random.poisson(self.settings.rentals_a_day * sum(wish)))):
            chosen = float(self._random.random()) * sum(wish)
            place = int(np.searchsorted(np.cumsum(wish), chosen))
            self._rent(self._rented[min(place, len(self._rented) - 1)], day)
        for kind in self._sold:
            units = int(self._random.poisson(self._wanted(kind, "sale", day, number)))
            self._sell(kind, units, day)

    def _wanted(self, kind: Kind, what: str, day: int, number: int) -> float:
        """The rate of a class today."""
        weekday = WEEKDAY[what][(day + 3) % 7]  # 1970-01-01 was a Thursday
        angle = 2 * math.pi * ((day % 365.25) - kind.peak_day) / 365.25
        price = math.pow(kind.price_cents / kind.list_cents, kind.elasticity)
        grown = 1 + kind.trend_a_year * number / 365.25
        season = 1 + kind.swing * math.cos(angle)
        return max(kind.rate * weekday * season * price * grown * math.exp(self._mood), 0.0)

    def _reprice(self, number: int) -> None:
        """Each class gets another price every five weeks or so."""
        for i, kind in enumerate((*self._rented, *self._sold)):
            if (number + 11 * i) % 35 == 34:
                share = float(self._random.choice((0.8, 0.9, 1.0, 1.0, 1.1, 1.2)))
                kind.price_cents = round(kind.list_cents * share)
                self._tell(PriceObserved(sku=kind.sku, price_cents=kind.price_cents))

    def _morning(self, thing: Thing, day: int) -> None:
        """It comes back, or out of the workshop; or somebody looks at it."""
        if thing.busy_until == day:
            if thing.workshop:
                self._mended(thing)
            elif thing.contract:
                self._returned(thing, day)
        elif thing.inspect_on <= day and thing.busy_until < day:
            thing.inspect_on = day + int(self._random.integers(60, 120))
            grade = GRADES[thing.grade]
            self._tell(Maintenance(epc=thing.epc, kind="inspection", minutes=5, grade=grade))

    def _returned(self, thing: Thing, day: int) -> None:
        thing.uses += 1
        worn = thing.uses / WORN_USES
        failed = self._random.random() < failing(thing.frailty, thing.uses)
        if self._random.random() < 0.04 + 0.03 * worn:
            thing.grade = min(thing.grade + 1, len(GRADES) - 1)
        status = "Needs to be Inspected" if failed else "Wash" if thing.kind.washed else READY
        defects = [DEFECTS[int(self._random.integers(len(DEFECTS)))]] if failed else []
        self._tell(
            ItemScan(
                epc=thing.epc,
                scan_type="Return",
                contract=thing.contract,
                status=status,
                grade=GRADES[thing.grade],
                defects=defects,
            )
        )
        self._tell(
            PosLine(
                document=thing.contract,
                line=thing.line,
                kind="return",
                sku=thing.kind.sku,
                epc=thing.epc,
            )
        )
        thing.contract = ""
        if failed:
            self._tell(Maintenance(epc=thing.epc, kind="failure", component="seam"))
        if failed or thing.kind.washed:
            thing.workshop = "repair" if failed else "wash"
            thing.busy_until = day + (int(self._random.integers(*REPAIR_DAYS)) if failed else 1)

    def _mended(self, thing: Thing) -> None:
        repaired = thing.workshop == "repair"
        if repaired:
            thing.uses, thing.grade = 0, max(thing.grade - 1, 0)
        self._tell(
            Maintenance(
                epc=thing.epc,
                kind="repair" if repaired else "wash",
                cost_cents=int(self._random.integers(*REPAIR_CENTS)) if repaired else 140,
                minutes=int(self._random.integers(10, 90)) if repaired else 5,
                component="seam" if repaired else "",
                grade=GRADES[thing.grade] if repaired else "",
                status=READY,
            )
        )
        thing.workshop = ""

    def _rent(self, kind: Kind, day: int) -> None:
        """A contract: some things of a class, often some of another with them."""
        random = self._random
        taken = self._take(kind, int(random.integers(1, 4)), day)
        partner = self._partner.get(kind.sku)
        if taken and partner is not None and random.random() < TOGETHER_SHARE:
            taken += self._take(partner, int(random.integers(1, 4)), day)
        if not taken:
            return
        contract, days = self._document("C"), int(random.integers(1, 5))
        for line, thing in enumerate(taken, 1):
            thing.contract, thing.line, thing.busy_until = contract, line, day + days
            self._tell(
                PosLine(
                    document=contract,
                    line=line,
                    kind="rental",
                    sku=thing.kind.sku,
                    price_cents=thing.kind.price_cents,
                    due=(day + days) * DAY_MS + OPENS_H * HOUR_MS,
                    customer=f"cust-{int(random.integers(200)):03d}",
                    epc=thing.epc,
                    name=thing.kind.name,
                    category=thing.kind.category,
                )
            )
            self._tell(ItemScan(epc=thing.epc, scan_type="Rental", contract=contract))

    def _take(self, kind: Kind, many: int, day: int) -> list[Thing]:
        """What is ready, at most so many; it is spoken for at once."""
        ready = [thing for thing in self._things[kind.sku] if thing.busy_until < day]
        chosen = ready[:many] if len(ready) <= many else _some(ready, many, self._random)
        for thing in chosen:
            thing.busy_until = day
        return chosen

    def _sell(self, kind: Kind, units: int, day: int) -> None:
        """Receipts of one to three units each, until the shelf is empty."""
        units = min(units, kind.on_hand)
        while units > 0:
            quantity = min(int(self._random.integers(1, 4)), units)
            units -= quantity
            kind.on_hand -= quantity
            self._tell(
                PosLine(
                    document=self._document("R"),
                    line=1,
                    kind="sale",
                    sku=kind.sku,
                    quantity=quantity,
                    price_cents=kind.price_cents,
                    customer=f"cust-{int(self._random.integers(200)):03d}",
                    name=kind.name,
                    category=kind.category,
                )
            )
        if kind.on_hand < 6 and kind.ordered_for < 0:
            kind.ordered_for = day + int(self._random.integers(2, 9))

    def _receive(self, day: int) -> None:
        for kind in self._sold:
            if kind.ordered_for == day:
                units = 12 * max(round(kind.rate * 28 / 12), 1)
                kind.on_hand += units
                kind.ordered_for = -1
                cost = kind.list_cents // 2
                order = self._document("PO")
                self._tell(
                    StockReceipt(
                        sku=kind.sku,
                        quantity=units,
                        cost_cents=cost,
                        supplier="Acme Events",
                        order=order,
                    )
                )


def failing(frailty: float, uses: int) -> float:
    """Probability that this use, the ``uses``-th since it was last mended, breaks a thing."""
    return 1 - math.exp(-FAILURES_A_USE * frailty * (1 + uses / WORN_USES) ** 2)


def _scaled(kinds: list[Kind], total: float) -> list[Kind]:
    """The same with rates that add up to ``total``."""
    scale = total / (sum(kind.rate for kind in kinds) or 1.0)
    for kind in kinds:
        kind.rate *= scale
    return kinds


def _some(ready: Sequence[Thing], many: int, random: np.random.Generator) -> list[Thing]:
    chosen = random.choice(len(ready), many, replace=False)
    return [ready[int(i)] for i in chosen]
