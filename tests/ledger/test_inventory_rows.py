"""Suppliers, terms, purchase orders and stock-takes: what commands and receipts make of them."""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.commands import Command, Told
from edge.decisions.rows import Decision
from edge.events import StockReceipt
from edge.ledger import deeds, orders
from edge.ledger.ledger import Ledger
from edge.ledger.orders import CancelOrder, NewLine, OrderLine, PlaceOrder, PurchaseOrder
from edge.ledger.stock_take import BeginStockTake, EndStockTake, SeenItem, StockTake, StockTakeItem
from edge.ledger.suppliers import (
    DropSupplier,
    DropSupply,
    PutSupplier,
    PutSupply,
    Supplier,
    Supply,
    seen_variance,
    terms_of,
)
from edge.ledger.tables import TABLES

DAY_MS = 86_400_000


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(TABLES)


class Story:
    """Commands and receipts one after the other, one a day."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.at_ms, self.ordinal = ledger, DAY_MS, 0

    def do(self, command: Command, days: float = 0) -> tuple[str, str]:
        self.at_ms += round(days * DAY_MS)
        self.ordinal += 1
        return deeds.do(self.ledger, command, Told(self.at_ms, self.ordinal))

    def came(self, units: float, *, sku: str = "A", order: str = "", supplier: str = "", days: float = 0, store: str = "main") -> None:  # fmt: skip
        self.at_ms += round(days * DAY_MS)
        event = StockReceipt(
            sku=sku, quantity=units, order=order, supplier=supplier, store=store, at=self.at_ms
        )
        for hook in deeds.HOOKS[StockReceipt]:
            hook(self.ledger, event, Told(self.at_ms, self.ordinal))

    def ordered(self, units: float, sku: str = "A", **more: str) -> str:
        before = set(self.ledger.rows(PurchaseOrder))
        reason, detail = self.do(
            PlaceOrder(store="main", lines=[NewLine(sku=sku, units=float(units))], **more)
        )
        assert reason == "done", detail
        (new,) = set(self.ledger.rows(PurchaseOrder)) - before
        return str(new[0])

    def coming(self, sku: str = "A") -> float:
        return sum(line.coming for line in self.ledger.by(OrderLine, "sku", sku))


@pytest.fixture
def story(ledger: Ledger) -> Story:
    return Story(ledger)


# -- suppliers and terms ------------------------------------------------------------------------------


def test_fields_that_are_not_named_stay(story: Story) -> None:
    story.do(PutSupplier(supplier="S", fields={"name": "Smith", "lead_days": 14}))
    story.do(PutSupplier(supplier="S", fields={"lead_days": 10.0}), days=1)
    row = story.ledger.get(Supplier, "S")
    assert row is not None
    assert (row.name, row.lead_days, row.created_ms) == ("Smith", 10.0, DAY_MS)
    assert row.updated_ms == 2 * DAY_MS


@pytest.mark.parametrize(
    "fields",
    [
        {"lead_days": -1},
        {"lead_days": 4000.0},
        {"lead_days": "soon"},
        {"orders_seen": 7},
        {"colour": "red"},
        {"name": "x" * 3000},
    ],
)
def test_a_supplier_that_makes_no_sense_is_refused_and_nothing_changes(
    story: Story, fields: dict[str, object]
) -> None:
    assert story.do(PutSupplier(supplier="S", fields=fields))[0] == "invalid"
    assert story.ledger.get(Supplier, "S") is None


@pytest.mark.parametrize(
    "fields",
    [{"pack_units": 0}, {"service_level": 0.3}, {"service_level": 1.0}, {"supplier": "nobody"}],
)
def test_terms_that_make_no_sense_are_refused(story: Story, fields: dict[str, object]) -> None:
    assert story.do(PutSupply(sku="A", fields=fields))[0] == "invalid"
    assert story.ledger.get(Supply, "A", "") is None


def test_the_nearest_terms_hold(story: Story) -> None:
    for sku, store, pack in (("*", "", 1), ("*", "main", 2), ("A", "", 3), ("A", "main", 4)):
        story.do(PutSupply(sku=sku, store=store, fields={"pack_units": pack}))
    packs = [
        terms_of(story.ledger, sku, store).pack_units  # type: ignore[union-attr]
        for sku, store in (("B", "side"), ("B", "main"), ("A", "side"), ("A", "main"))
    ]
    assert packs == [1, 2, 3, 4]
    story.do(DropSupply(sku="A", store="main"))
    assert terms_of(story.ledger, "A", "main").pack_units == 3  # type: ignore[union-attr]


def test_new_terms_begin_as_those_that_held_before(story: Story) -> None:
    story.do(PutSupply(sku="*", fields={"holding_rate": 0.4}))
    story.do(PutSupply(sku="A", fields={"pack_units": 6}))
    story.do(PutSupply(sku="A", store="main", fields={"cost_cents": 5}))
    row = story.ledger.get(Supply, "A", "main")
    assert row is not None
    assert (row.holding_rate, row.pack_units, row.cost_cents) == (0.4, 6, 5)


def test_a_supplier_that_terms_name_stays(story: Story) -> None:
    story.do(PutSupplier(supplier="S"))
    story.do(PutSupply(sku="A", fields={"supplier": "S"}))
    assert story.do(DropSupplier(supplier="S"))[0] == "conflict"
    story.do(DropSupply(sku="A"))
    assert story.do(DropSupplier(supplier="S"))[0] == "done"
    assert story.do(DropSupplier(supplier="S"))[0] == "unknown"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.5, 60), min_size=2, max_size=12))
def test_lead_times_are_learnt_from_the_orders_that_came(days: list[float]) -> None:
    story = Story(Ledger(TABLES))
    story.do(PutSupplier(supplier="S"))
    for wait in days:
        order = story.ordered(5, supplier="S")
        story.came(5, order=order, days=wait)
    row = story.ledger.get(Supplier, "S")
    assert row is not None
    assert row.orders_seen == len(days)
    assert math.isclose(row.lead_seen_days, statistics.mean(days), rel_tol=1e-6)
    assert math.isclose(seen_variance(row), statistics.variance(days), rel_tol=1e-4, abs_tol=1e-9)


# -- orders -----------------------------------------------------------------------------------------------


def test_an_order_takes_supplier_cost_and_day_from_the_terms(story: Story) -> None:
    story.do(PutSupplier(supplier="S", fields={"lead_days": 10}))
    story.do(PutSupply(sku="A", fields={"supplier": "S", "cost_cents": 250}))
    order = story.ledger.get(PurchaseOrder, story.ordered(12))
    assert order is not None
    assert (order.supplier, order.value_cents) == ("S", 3000)
    assert order.expected_ms == order.ordered_ms + 10 * DAY_MS


def test_a_receipt_that_names_its_order_ends_it(story: Story) -> None:
    first, second = story.ordered(10), story.ordered(7)
    story.came(4, order=second, days=3)
    assert story.coming() == 13
    row = story.ledger.get(PurchaseOrder, second)
    assert row is not None
    assert row.state == "partial"
    story.came(3, order=second, days=1)
    assert story.coming() == 10
    assert story.ledger.get(PurchaseOrder, second) is None  # received: in the store alone
    told = story.ledger.into["purchase_orders", (second,)]
    assert isinstance(told, PurchaseOrder)
    assert told.state == "received"
    assert told.ended_ms - told.ordered_ms == 4 * DAY_MS
    assert story.ledger.get(PurchaseOrder, first) is not None


def test_a_receipt_without_a_number_is_the_oldest_order_of_its_class_store_and_supplier(
    story: Story,
) -> None:
    story.do(PutSupplier(supplier="S"))
    story.do(PutSupplier(supplier="T"))
    story.ordered(5, supplier="S")
    story.at_ms += DAY_MS
    story.ordered(5, supplier="T")
    story.came(5, supplier="T")
    assert [line.supplier for line in story.ledger.by(OrderLine, "sku", "A")] == ["S"]
    story.came(9, store="side")
    story.came(9, sku="B")
    assert story.coming() == 5
    story.came(2)
    assert story.coming() == 3


def test_more_than_ordered_may_come(story: Story) -> None:
    order = story.ordered(5)
    story.came(8, order=order)
    line = story.ledger.into["purchase_order_lines", (order, "A")]
    assert isinstance(line, OrderLine)
    assert (line.received, line.is_open, line.coming) == (8, False, 0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 20)), max_size=30))
def test_what_is_coming_is_what_was_ordered_less_what_came(told: list[tuple[bool, int]]) -> None:
    story = Story(Ledger(TABLES))
    coming = 0
    for is_order, units in told:
        if is_order:
            story.ordered(units)
            coming += units
        else:
            story.came(units)
            coming = max(coming - units, 0)
        story.at_ms += 1000
        assert story.coming() == coming


def test_a_cancelled_order_brings_nothing_more(story: Story) -> None:
    order = story.ordered(5)
    assert story.do(CancelOrder(id=order, note="sold out there"))[0] == "done"
    assert story.coming() == 0
    told = story.ledger.into["purchase_orders", (order,)]
    assert isinstance(told, PurchaseOrder)
    assert (told.state, told.note) == ("cancelled", "sold out there")
    assert story.do(CancelOrder(id=order))[0] == "unknown"
    partly = story.ordered(5)
    story.came(2, order=partly)
    story.do(CancelOrder(id=partly))
    told = story.ledger.into["purchase_orders", (partly,)]
    assert isinstance(told, PurchaseOrder)
    assert told.state == "closed"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([], "invalid"),
        ([NewLine(sku="A", units=0)], "invalid"),
        ([NewLine(sku="", units=1)], "invalid"),
        ([NewLine(sku="A", units=1), NewLine(sku="A", units=2)], "invalid"),
        ([NewLine(sku="A", units=1, cost_cents=-1)], "invalid"),
        ([NewLine(sku="A" * 256, units=1)], "invalid"),
        ([NewLine(sku=str(n), units=1) for n in range(orders.LINES_MAX + 1)], "invalid"),
    ],
)
def test_orders_that_make_no_sense_are_refused(
    story: Story, lines: list[NewLine], code: str
) -> None:
    assert story.do(PlaceOrder(store="main", lines=lines))[0] == code
    assert not story.ledger.rows(PurchaseOrder)


def test_a_number_is_used_once(story: Story) -> None:
    story.ordered(5, id="PO-1")
    again = PlaceOrder(store="main", id="PO-1", lines=[NewLine(sku="A", units=5)])
    assert story.do(again)[0] == "conflict"


# -- decisions --------------------------------------------------------------------------------------------


def restock(**data: object) -> Decision:
    return Decision(
        id="d1", kind="restock", target="A", store="main", period="2026-W47", status="approved", gate="",
        confidence=0.9, impact_cents=1, value_cents=1, change_ratio=0.0, data=data, reasons=[],
        service="inventory", version="", fallback=False, decided_by="eve", decided_ms=5,
    )  # fmt: skip


def test_a_restock_decision_places_its_order_once_and_takes_it_back(story: Story) -> None:
    decision = restock(units=12, supplier="S", cost_cents=99)
    told = Told(story.at_ms, 1)
    assert orders.from_decision(story.ledger, decision, told) == ""
    assert orders.from_decision(story.ledger, decision, told) == ""
    (order,) = story.ledger.rows(PurchaseOrder).values()
    assert (order.supplier, order.value_cents, order.decision, order.placed_by) == ("S", 1188, "d1", "eve")  # fmt: skip
    assert story.coming() == 12
    assert orders.undo_decision(story.ledger, decision, told) == ""
    assert story.coming() == 0


def test_a_decision_whose_goods_came_cannot_be_taken_back(story: Story) -> None:
    decision = restock(units=12)
    orders.from_decision(story.ledger, decision, Told(story.at_ms, 1))
    story.came(3)
    assert "came already" in orders.undo_decision(story.ledger, decision, Told(0, 2))
    story.came(9)
    assert "came already" in orders.undo_decision(story.ledger, decision, Told(0, 2))


def test_a_decision_without_units_fails_with_words(story: Story) -> None:
    assert "units" in orders.from_decision(story.ledger, restock(), Told(0, 1))
    assert not story.ledger.rows(PurchaseOrder)


# -- stock-takes ------------------------------------------------------------------------------------------


def test_a_stock_take_says_what_was_found_what_is_missing_and_what_is_too_much(
    story: Story,
) -> None:
    story.do(BeginStockTake(store="main", zone="hall", epcs=["E1", "E2", "E3", "E3"]))
    (row,) = story.ledger.rows(StockTake).values()
    assert row.expected == 3
    found = [SeenItem(epc="E1", sku="A"), SeenItem(epc="E9", elsewhere="On Rent")]
    story.do(EndStockTake(id=row.id, found=[*found, found[0]]), days=0.1)
    told = story.ledger.into["stock_takes", (row.id,)]
    assert isinstance(told, StockTake)
    assert (told.state, told.found, told.missing, told.unexpected) == ("closed", 1, 2, 1)
    assert told.epcs == []
    items = {
        key[1]: item.outcome
        for (table, key), item in story.ledger.into.items()
        if table == "stock_take_items" and isinstance(item, StockTakeItem)
    }
    assert items == {"E1": "found", "E2": "missing", "E3": "missing", "E9": "unexpected"}


def test_one_stock_take_a_place_and_one_place_a_stock_take(story: Story) -> None:
    assert story.do(BeginStockTake(store="main", epcs=[]))[0] == "invalid"
    assert story.do(BeginStockTake(store="main", zone="hall", bin="B1", epcs=[]))[0] == "invalid"
    assert story.do(BeginStockTake(store="main", zone="hall", epcs=[]))[0] == "done"
    assert story.do(BeginStockTake(store="main", zone="hall", epcs=[]))[0] == "conflict"
    assert story.do(BeginStockTake(store="side", zone="hall", epcs=[]))[0] == "done"
    many = [f"E{n}" for n in range(5_001)]
    assert story.do(BeginStockTake(store="main", bin="B1", epcs=many))[0] == "limit"
    assert story.do(EndStockTake(id="st-none", found=[]))[0] == "unknown"
    assert story.do(BeginStockTake(store="main", bin="B1", epcs=["E" * 256]))[0] == "invalid"
    (open_one, _) = story.ledger.rows(StockTake).values()
    long = [SeenItem(epc="E" * 256)]
    assert story.do(EndStockTake(id=open_one.id, found=long))[0] == "invalid"


def test_a_cancelled_stock_take_counts_nothing(story: Story) -> None:
    story.do(BeginStockTake(store="main", zone="hall", epcs=["E1"]))
    (row,) = story.ledger.rows(StockTake).values()
    story.do(EndStockTake(id=row.id, found=[], cancel=True))
    assert not story.ledger.rows(StockTake)
    assert not any(table == "stock_take_items" for table, _ in story.ledger.into)


def test_everything_survives_a_restart(story: Story) -> None:
    story.do(PutSupplier(supplier="S"))
    story.do(PutSupply(sku="A", fields={"supplier": "S"}))
    story.ordered(5)
    story.do(BeginStockTake(store="main", zone="hall", epcs=["E1"]))
    again = Ledger(TABLES)
    again.load(story.ledger.save())
    assert again.save() == story.ledger.save()
    assert sum(line.coming for line in again.by(OrderLine, "sku", "A")) == 5


def test_an_order_that_never_came_makes_no_supplier_ten_times_slower(story: Story) -> None:
    story.do(PutSupplier(supplier="S", fields={"lead_days": 5.0}))
    story.ordered(5, supplier="S")
    story.came(5, days=200.0)  # meant for an order that nobody told
    row = story.ledger.get(Supplier, "S")
    assert row is not None
    assert row.lead_seen_days == pytest.approx(20.0)
    order = story.ordered(5, supplier="S")
    story.came(5, order=order, days=40.0)  # it says which order it is
    row = story.ledger.get(Supplier, "S")
    assert row is not None
    assert row.lead_seen_days == pytest.approx(30.0)
