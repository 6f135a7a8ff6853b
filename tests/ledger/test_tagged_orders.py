"""Orders of tagged items, through a real core: each new tag is a unit that came, and only that."""

from typing import Any

import msgspec
import pytest

from edge.commands import Command
from edge.core import Core
from edge.ledger.orders import CancelOrder, NewLine, OrderLine, PlaceOrder, PurchaseOrder
from edge.ledger.suppliers import PutSupplier, Supplier
from edge.records import Message
from tests.streams import START_MS, config

DAY_MS = 86_400_000


class Shop:
    """A core that is told things, a day apart."""

    def __init__(self) -> None:
        self.core, self.ordinal, self.at_ms = Core(config("UTC")), 0, START_MS

    def tell(self, topic: str, payload: bytes, days: float = 1.0) -> list[str]:
        self.at_ms += round(days * DAY_MS)
        step = self.core.step([Message(topic, payload, self.at_ms)], self.ordinal)
        self.ordinal += 1
        return [code for told in step.outcomes.values() for code, _ in told]

    def do(self, command: Command) -> None:
        self.tell("$rfid3/do", msgspec.json.encode(command))

    def event(self, type_: str, days: float = 1.0, **told: Any) -> None:
        told = {"type": type_, "at": self.at_ms + round(days * DAY_MS)} | told
        self.tell(f"$http/{type_}/office", msgspec.json.encode(told), days)

    def bound(self, epc: str, sku: str = "TENT", **told: Any) -> None:
        self.event("item_link", epc=f"{int(epc, 16):024X}", sku=sku, **told)

    def ordered(self, units: float, id_: str = "PO-1", supplier: str = "") -> None:
        lines = [NewLine(sku="TENT", units=units)]
        self.do(PlaceOrder(id=id_, store="main", supplier=supplier, lines=lines))

    def coming(self) -> dict[str, float]:
        rows = self.core.ledger.rows(OrderLine)
        return {line.id: line.coming for line in rows.values()}


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_the_order_closes_with_the_last_new_tag_and_the_lead_time_is_learnt(shop: Shop) -> None:
    shop.do(PutSupplier(supplier="S"))
    shop.ordered(3, supplier="S")
    shop.bound("1", days=9.0)
    assert shop.coming() == {"PO-1": 2}
    supplier = shop.core.ledger.get(Supplier, "S")
    assert supplier is not None
    assert supplier.orders_seen == 1
    assert supplier.lead_seen_days == pytest.approx(9.0)
    shop.bound("2")
    shop.bound("3")
    assert not shop.core.ledger.rows(PurchaseOrder)
    shop.bound("4")  # more than was ordered: nobody waits for it
    assert not shop.coming()


def test_the_oldest_order_of_the_class_and_store_is_served_first(shop: Shop) -> None:
    shop.ordered(1, "PO-1")
    shop.ordered(2, "PO-2")
    shop.bound("1", sku="CHAIR")
    shop.bound("2", store="side")
    assert shop.coming() == {"PO-1": 1, "PO-2": 2}
    shop.bound("3")
    shop.bound("4")
    assert shop.coming() == {"PO-2": 1}


def test_what_is_no_new_unit_counts_nothing(shop: Shop) -> None:
    shop.bound("1")
    shop.bound("2", sku="CHAIR")
    shop.ordered(5)
    shop.bound("1")  # told again
    shop.bound("2")  # another class for a known item
    shop.bound("3", action="replace", replaces=f"{1:024X}")  # a new tag for an old item
    shop.event("item_link", epc=f"{1:024X}", action="retire")
    shop.bound("4", at=START_MS)  # bound before it was ordered
    assert shop.coming() == {"PO-1": 5}
    shop.bound("5")
    for _ in range(3):
        shop.bound("5")
    assert shop.coming() == {"PO-1": 4}


def test_a_tag_that_was_only_read_so_far_is_new_to_its_class(shop: Shop) -> None:
    shop.ordered(2)
    shop.event("tag_read", epc=f"{1:024X}", reader="gate", antenna=1)
    shop.bound("1")
    assert shop.coming() == {"PO-1": 1}


def test_a_receipt_includes_the_tags_bound_before_it_and_then_speaks_alone(shop: Shop) -> None:
    shop.ordered(10)
    for epc in ("1", "2", "3"):
        shop.bound(epc)
    assert shop.coming() == {"PO-1": 7}
    shop.event("stock_receipt", sku="TENT", quantity=5.0, order="PO-1")
    assert shop.coming() == {"PO-1": 5}
    shop.bound("4")  # of the five that the receipt told
    assert shop.coming() == {"PO-1": 5}
    shop.event("stock_receipt", sku="TENT", quantity=5.0, order="PO-1")
    assert not shop.coming()
    shop.ordered(4, "PO-2")
    shop.bound("5")  # still of the first order
    assert shop.coming() == {"PO-2": 4}


def test_an_order_that_was_cancelled_gets_nothing(shop: Shop) -> None:
    shop.ordered(2)
    shop.bound("1")
    shop.do(CancelOrder(id="PO-1"))
    shop.bound("2")
    assert not shop.coming()


def test_a_restart_between_two_tags_changes_nothing(shop: Shop) -> None:
    shop.ordered(3)
    shop.bound("1")
    arrays, blobs = shop.core.save()
    again = Core(config("UTC"))
    again.load(arrays, blobs)
    shop.core = again
    shop.bound("1")
    assert shop.coming() == {"PO-1": 2}
    shop.bound("2")
    assert shop.coming() == {"PO-1": 1}
