"""Renting in a simulated shop: out over the portal, back, washed, mended. Tagged items only."""

from collections import Counter
from functools import partial
from typing import Literal

from edge.events import Correction, Maintenance, PosLine
from edge.simulate.shop_readers import Readers
from edge.simulate.shop_stage import Stage
from edge.simulate.stock import CLASSES, GRADES, READY, Item

RENTED_MAX = 6
KEPT_SHARE = 0.4
"""Of a class, so much stays in the shop."""

STATUS_IN = {"": READY, "wash": "Wash", "repair": "Repair"}
"""Workshop -> status of what is in it."""

RentalKind = Literal["rental", "return"]


class Rentals:
    """The counter where things are rented, the laundry and the workshop."""

    def __init__(self, stage: Stage, readers: Readers, owned: Counter[str]) -> None:
        """``owned``: class -> items."""
        self._stage = stage
        self._readers = readers
        kept = {sku: round(number * KEPT_SHARE) for sku, number in owned.items()}
        self._kept = Counter(kept)  # class -> items that are never all rented out

    def rent(self) -> None:
        """Somebody takes some things of one class for a day or more."""
        rental_class = self._stage.rng.choice(CLASSES)
        ready = [
            item
            for item in self._stage.lying[rental_class.zone]
            if item.rental_class is rental_class and self._stage.truth.status[item.epc] == READY
        ]
        if len(ready) <= self._kept[rental_class.sku]:
            return self._readers.read()
        free = len(ready) - self._kept[rental_class.sku]
        items = self._stage.rng.sample(
            ready, min(free, self._stage.rng.randrange(1, RENTED_MAX + 1))
        )
        laundry = rental_class.washed and self._stage.rng.random() < 0.1
        contract = f"{'L' if laundry else 'C'}-{next(self._stage.documents):06d}"
        customer, till = f"cust-{self._stage.rng.randrange(200):03d}", self._stage.till()
        days = self._stage.rng.uniform(0.5, 3.0)
        due_ms = self._stage.now_ms + int(days * self._stage.settings.day_s * 1000)
        for line, item in enumerate(items, 1):
            item.contract, item.customer, item.line = contract, customer, line
            self._book(item, "rental", till, due_ms)
        self._readers.pass_door(items)
        for item in items:
            self._stage.scan(item, "Rental", scan_by="crew-2")
            self._stage.say_it_twice()
            self._stage.truth.status[item.epc] = "On Rent"
            self._stage.truth.scans["out", rental_class.sku, self._stage.day()] += 1
            self._stage.put(item, None)
        if self._stage.rng.random() < 0.2:
            self._stage.in_days(days / 4, partial(self._deliver, items))
        self._stage.in_days(
            days * self._stage.rng.uniform(0.8, 1.2), partial(self._take_back, items, till)
        )
        return None

    def put_by(self, item: Item, workshop: str) -> None:
        """An item of the shop's past lies on its shelf, or is being washed or mended."""
        truth, grade = self._stage.truth, GRADES[item.grade]
        truth.status[item.epc], truth.grade[item.epc] = STATUS_IN[workshop], grade
        self._stage.put(item, workshop or item.rental_class.zone)
        if workshop:
            self._stage.in_days(
                self._stage.rng.uniform(0.2, 0.8), partial(self._mend, item, STATUS_IN[workshop])
            )

    def expect(self, items: list[Item]) -> None:
        """A contract of the shop's past is out, and comes back within some days."""
        for item in items:
            self._stage.truth.status[item.epc] = "On Rent"
            self._stage.truth.grade[item.epc] = GRADES[item.grade]
            self._stage.put(item, None)
        self._stage.in_days(
            self._stage.rng.uniform(0.1, 3.0), partial(self._take_back, items, self._stage.till())
        )

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
            at=self._stage.now_ms,
        )
        self._stage.tell(line, till)
        self._stage.say_it_twice()
        self._stage.truth.units[
            "rented" if kind == "rental" else "returned", sku, self._stage.day()
        ] += 1

    def _deliver(self, items: list[Item]) -> None:
        for item in items:
            if self._stage.truth.status[item.epc] == "On Rent":
                self._stage.scan(item, "Delivery", scan_by="truck-1")
                self._stage.truth.status[item.epc] = "Delivered"

    def _take_back(self, items: list[Item], till: str) -> None:
        """Everything comes back; some of it dirty, some of it broken, all of it a little worse."""
        self._readers.pass_door(items)
        for item in items:
            worn = self._stage.rng.random()
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
        self._stage.scan(item, "Return", status=status, quality=grade, scan_by="crew-1", **defects)
        self._stage.say_it_twice()
        truth = self._stage.truth
        truth.status[item.epc], truth.grade[item.epc] = status, grade
        truth.scans["in", item.rental_class.sku, self._stage.day()] += 1
        self._stage.put(item, zone)
        if status != READY:
            self._stage.in_days(
                self._stage.rng.uniform(0.2, 0.8), partial(self._mend, item, status)
            )

    def _mend(self, item: Item, status: str) -> None:
        """Out of the laundry or the workshop, back to its shelf."""
        repaired = status != "Wash"
        if repaired:
            item.grade = max(item.grade - 1, 0)
        done = Maintenance(
            epc=item.epc,
            kind="repair" if repaired else "wash",
            cost_cents=self._stage.rng.randrange(800, 6_000) if repaired else 140,
            minutes=self._stage.rng.randrange(10, 90) if repaired else 5,
            component="seam" if repaired else "",
            grade=GRADES[item.grade],
            status=READY,
            at=self._stage.now_ms,
        )
        self._stage.tell(done, "workshop")
        self._stage.truth.status[item.epc], self._stage.truth.grade[item.epc] = (
            READY,
            GRADES[item.grade],
        )
        self._stage.put(item, item.rental_class.zone)

    def scan_by_mistake(self) -> None:
        """Scanned out, and taken back at once."""
        lying = [item for zone in self._stage.lying.values() for item in zone]
        ready = [item for item in lying if self._stage.truth.status[item.epc] == READY]
        if not ready:
            return
        item = self._stage.rng.choice(ready)
        item.contract, item.customer = f"C-{next(self._stage.documents):06d}", ""
        self._stage.scan(item, "Rental", scan_by="crew-1")
        undo = Correction(
            action="undo_scan",
            epc=item.epc,
            contract=item.contract,
            scan_type="Rental",
            scanned_at=self._stage.now_ms,
            at=self._stage.now_ms,
        )
        self._stage.tell(undo, "office")
