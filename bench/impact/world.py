"""The shop of ``edge.simulate.days`` as a world that can be acted on, and what it costs its owner.

Both arms of a comparison meet the same customers: every draw has a generator of its own, named by
what it is for, so that an order more or a price less changes what follows from it and nothing else.
No daemon, no clock.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from edge.events import Event, ItemLink, Maintenance, PriceObserved, StockReceipt
from edge.records import Message
from edge.simulate.days import (
    FRAILTY_SCALE,
    FRAILTY_SHAPE,
    DaysSettings,
    Kind,
    ShopDays,
    Thing,
)
from edge.simulate.stock import GRADES, READY

LEAD_DAYS = (3, 9)
"""Goods take so long, at least and less than, days."""
HOLDING_A_YEAR = 0.25
"""Cost of keeping stock a year, as a share of what it cost."""
COST_SHARE = 0.5
"""Cost of an article over its list price."""
FLEET_PRICES = 8
"""A rented thing costs so many times its list price of one rental."""
FLEET_YEARS = 5
"""… and is written off over so many years."""
SERVICE_CENTS, SERVICE_MINUTES = 1_200, 25
"""A planned service."""
SERVICE_DAYS = 1
"""It takes the day on which it is done: whoever comes the next morning can have the thing."""
SUPPLIER = "acme"
_COUNT, _CONTRACT, _BACK, _SALE, _MOOD, _LEAD, _PRICE, _MORNING = range(8)


@dataclass
class Money:
    """What a span of days came to."""

    days: int = 0
    sale_units: int = 0
    sale_wanted: int = 0
    sale_cents: int = 0
    sold_cost_cents: int = 0
    rental_units: int = 0
    rental_wanted: int = 0
    rental_cents: int = 0
    contracts: int = 0
    stockout_class_days: int = 0
    stock_cents_days: float = 0.0
    """Value of the articles in stock, summed over days."""
    holding_cents: float = 0.0
    fleet_cents: float = 0.0
    """Write-off of things bought beyond those at the beginning."""
    failures: int = 0
    repair_cents: int = 0
    services: int = 0
    service_cents: int = 0
    bought_cents: int = 0
    actions: dict[str, int] = field(default_factory=dict)
    rented: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Class -> units rented, and what was taken for them, cents."""

    def figures(self) -> dict[str, float]:
        """Name -> figure of a year, as an owner asks for them."""
        year = 365 / max(self.days, 1)
        stock = self.stock_cents_days / max(self.days, 1)
        lost = self.sale_wanted - self.sale_units + self.rental_wanted - self.rental_units
        margin = (
            self.sale_cents + self.rental_cents - self.sold_cost_cents - self.holding_cents
            - self.fleet_cents - self.repair_cents - self.service_cents
        )  # fmt: skip
        return {
            "lost units sold": (self.sale_wanted - self.sale_units) * year,
            "lost units rented": (self.rental_wanted - self.rental_units) * year,
            "lost share": lost / max(self.sale_wanted + self.rental_wanted, 1),
            "class days with a stock-out": self.stockout_class_days * year,
            "turns of sold stock": self.sold_cost_cents * year / stock if stock else math.nan,
            "holding cost": self.holding_cents * year / 100,
            "units rented": self.rental_units * year,
            "emergency repairs": self.failures * year,
            "emergency repairs per 1,000 units rented": (
                1_000 * self.failures / max(self.rental_units, 1)
            ),
            "cost of emergency repairs": self.repair_cents * year / 100,
            "planned services": self.services * year,
            "cost of planned services": self.service_cents * year / 100,
            "revenue per rental": self.rental_cents / max(self.rental_units, 1) / 100,
            "revenue": (self.sale_cents + self.rental_cents) * year / 100,
            "margin after all of that": margin * year / 100,
        }


class World(ShopDays):
    """A shop whose days are asked for one at a time. ``habits``: it orders as it always has."""

    def __init__(self, settings: DaysSettings) -> None:
        super().__init__(settings)
        self.habits = True
        self.moves_prices = True
        self.money = Money()
        self._coming: dict[str, list[tuple[int, int]]] = {}  # sku -> (day, units)
        self._by_sku = {kind.sku: kind for kind in (*self._rented, *self._sold)}
        self._place = {kind.sku: i for i, kind in enumerate(self._by_sku.values())}
        self._by_epc = {t.epc: t for things in self._things.values() for t in things}
        self._number = {epc: i for i, epc in enumerate(self._by_epc)}
        self._services: dict[str, int] = {}  # epc -> day
        self._served: list[Thing] = []  # in the workshop for a service, until the evening
        self._bought_things = 0
        self._orders = 0
        self._first: list[Event] = []  # said before anything else on the next day

    def rng(self, *what: int) -> np.random.Generator:
        """The generator for one purpose."""
        return np.random.default_rng([self.settings.seed, *what])

    # -- acting -----------------------------------------------------------------------------------

    def order(self, sku: str, units: int, day: int) -> None:
        """Goods, or things to rent out, come after the supplier's time."""
        kind = self._by_sku.get(sku)
        if kind is None or units <= 0:
            return
        self._orders += 1
        days = int(self.rng(_LEAD, day, self._place[sku]).integers(*LEAD_DAYS))
        self._coming.setdefault(sku, []).append((day + days, units))
        self.money.actions["orders"] = self.money.actions.get("orders", 0) + 1

    def price(self, sku: str, cents: int) -> None:
        """A new price from tomorrow on."""
        kind = self._by_sku.get(sku)
        if kind is None or cents <= 0:
            return
        kind.price_cents = cents
        self.tell_price(sku)
        self.money.actions["prices"] = self.money.actions.get("prices", 0) + 1

    def service(self, epc: str, day: int) -> None:
        """A planned service on that day, or as soon as the thing is in the house; the newest word holds."""
        if epc in self._by_epc:
            self._services[epc] = day

    def cost(self, kind: Kind) -> int:
        """What one costs to buy, cents."""
        return round(kind.list_cents * (FLEET_PRICES if kind.zone else COST_SHARE))

    def value_cents(self) -> int:
        """What the articles in stock cost."""
        return sum(round(k.on_hand * k.list_cents * COST_SHARE) for k in self._sold)

    # -- a day ------------------------------------------------------------------------------------

    def next_day(self) -> list[Message]:
        """What is said on the next day, in order."""
        number = self.done
        day = self.settings.first_day + number
        self._said, self._first = self._first, []
        if number == 0:
            self._open()
        self._day(day, number)
        self.done = number + 1
        self._close_books()
        return list(self._messages(day))

    def _close_books(self) -> None:
        value = self.value_cents()
        money = self.money
        money.days += 1
        money.stock_cents_days += value
        money.holding_cents += value * HOLDING_A_YEAR / 365
        money.fleet_cents += self._bought_things / (FLEET_YEARS * 365)

    def _day(self, day: int, number: int) -> None:
        self._mood = 0.7 * self._mood + float(self.rng(_MOOD, day).normal(0.0, 0.12))
        if self.moves_prices:
            self._random = self.rng(_PRICE, day)
            self._reprice(number)
        for things in self._things.values():
            for thing in things:
                self._random = self.rng(_MORNING, day, self._number[thing.epc])
                self._morning(thing, day)
        self._receive(day)
        self._serve(day)
        for kind in self._rented:
            wish = self._wanted(kind, "rental", day, number) * self.settings.rentals_a_day
            short = False
            for i in range(
                _poisson(float(self.rng(_COUNT, day, self._place[kind.sku]).random()), wish)
            ):
                self._random = self.rng(_CONTRACT, day, self._place[kind.sku], i)
                short |= self._contract(kind, day)
            self.money.stockout_class_days += short
        for kind in self._sold:
            wish = self._wanted(kind, "sale", day, number)
            drawn = float(self.rng(_COUNT, day, self._place[kind.sku]).random())
            units = _poisson(drawn, wish)
            self._random = self.rng(_SALE, day, self._place[kind.sku])
            self._sale(kind, units, day)
        for thing in self._served:
            self._mended(thing)
        self._served = []

    def _contract(self, kind: Kind, day: int) -> bool:
        """One contract; whether something was wanted that was not there."""
        before = self.money.rental_wanted - self.money.rental_units
        self._rent(kind, day)
        return self.money.rental_wanted - self.money.rental_units > before

    def _take(self, kind: Kind, many: int, day: int) -> list[Thing]:
        taken = super()._take(kind, many, day)
        self.money.rental_wanted += many
        self.money.rental_units += len(taken)
        self.money.rental_cents += kind.price_cents * len(taken)
        units, cents = self.money.rented.get(kind.sku, (0, 0))
        self.money.rented[kind.sku] = units + len(taken), cents + kind.price_cents * len(taken)
        return taken

    def _sale(self, kind: Kind, units: int, day: int) -> None:
        sold = min(units, kind.on_hand)
        self.money.sale_wanted += units
        self.money.sale_units += sold
        self.money.sale_cents += sold * kind.price_cents
        self.money.sold_cost_cents += round(sold * kind.list_cents * COST_SHARE)
        self.money.stockout_class_days += sold < units
        self._sell(kind, units, day)

    def _sell(self, kind: Kind, units: int, day: int) -> None:
        waiting = kind.ordered_for
        kind.ordered_for = day + 1  # the shop's habit looks at this: not now
        super()._sell(kind, units, day)
        kind.ordered_for = waiting
        low = kind.on_hand < 6 and not self._coming.get(kind.sku)
        if self.habits and low:
            self.order(kind.sku, 12 * max(round(kind.rate * 28 / 12), 1), day)

    def _receive(self, day: int) -> None:
        for sku, coming in self._coming.items():
            for units in [n for at, n in coming if at <= day]:
                self._received(self._by_sku[sku], units)
            self._coming[sku] = [(at, n) for at, n in coming if at > day]

    def _received(self, kind: Kind, units: int) -> None:
        if kind.zone:
            self._new_things(kind, units)
            return
        kind.on_hand += units
        cost = round(kind.list_cents * COST_SHARE)
        self.money.bought_cents += cost * units
        self._tell(StockReceipt(sku=kind.sku, quantity=units, cost_cents=cost, supplier=SUPPLIER))

    def _new_things(self, kind: Kind, units: int) -> None:
        """Things to rent out, tagged and linked as they come."""
        self._bought_things += units * kind.list_cents * FLEET_PRICES
        for _ in range(units):
            number = len(self._by_epc) + 1
            frailty = float(self.rng(_BACK, number).gamma(FRAILTY_SHAPE, FRAILTY_SCALE))
            thing = Thing(f"425445{number:018X}", kind, frailty, 0)
            thing.inspect_on = self.settings.first_day + self.done + 90
            self._things[kind.sku].append(thing)
            self._by_epc[thing.epc] = thing
            self._number[thing.epc] = number
            self._tell(ItemLink(epc=thing.epc, sku=kind.sku, name=kind.name))
            self._tell(Maintenance(epc=thing.epc, kind="inspection", grade=GRADES[0], status=READY))

    # -- wear -------------------------------------------------------------------------------------

    def _returned(self, thing: Thing, day: int) -> None:
        super()._returned(thing, day)
        self.money.failures += thing.workshop == "repair"

    def _serve(self, day: int) -> None:
        """Planned services of today: of what is in the house and not otherwise busy."""
        for epc, due in list(self._services.items()):
            thing = self._by_epc[epc]
            if due > day or thing.busy_until >= day:
                continue
            del self._services[epc]
            thing.busy_until, thing.workshop = day, "service"
            self._served.append(thing)

    def _mended(self, thing: Thing) -> None:
        if thing.workshop != "service":
            said = len(self._said)
            repaired = thing.workshop == "repair"
            super()._mended(thing)
            if repaired:
                self._services.pop(thing.epc, None)  # nobody services what was just repaired
                told = self._said[said]
                assert isinstance(told, Maintenance)
                self.money.repair_cents += told.cost_cents
            return
        thing.uses, thing.workshop = 0, ""
        self.money.services += 1
        self.money.service_cents += SERVICE_CENTS
        self._tell(
            Maintenance(
                epc=thing.epc,
                kind="service",
                cost_cents=SERVICE_CENTS,
                minutes=SERVICE_MINUTES,
                component="seam",
                status=READY,
            )
        )

    def tell_price(self, sku: str) -> None:
        """The list price as it is now, said with the next day."""
        kind = self._by_sku[sku]
        self._first.append(PriceObserved(sku=sku, price_cents=kind.price_cents))


def at_the_same_mix(money: Money, mix: Money) -> float:
    """Revenue per rental, had each class been rented as often as in ``mix``.

    Larger fleets of cheap things lower the revenue per rental though no price has changed; this does not.
    """
    both = [
        sku for sku, (units, _) in mix.rented.items() if units and money.rented.get(sku, (0, 0))[0]
    ]
    weights = [mix.rented[sku][0] for sku in both]
    prices = [money.rented[sku][1] / money.rented[sku][0] for sku in both]
    return sum(w * p for w, p in zip(weights, prices, strict=True)) / max(sum(weights), 1) / 100


def _poisson(drawn: float, mean: float) -> int:
    """The count whose distribution function first exceeds ``drawn``: more mean, never fewer.

    >>> _poisson(0.5, 0.1), _poisson(0.5, 3.0)
    (0, 3)
    """
    share = total = math.exp(-mean)
    count = 0
    while total < drawn and count < 10_000:
        count += 1
        share *= mean / count
        total += share
    return count
