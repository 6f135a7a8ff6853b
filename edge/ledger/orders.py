"""Purchase orders: what was ordered, what of it came, what is still on its way. Pure.

A receipt of stock that names an order closes its lines; one that names none is taken for the oldest
open line of its class, store and supplier. Of a class of which nobody tells receipts each new tag
is one unit that came. An order that came, or was cancelled, lives in the store
alone. A restock decision that is carried out places one.
"""

import hashlib
import math
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from edge.commands import Command, Done, Outcome, Refused, Told
from edge.decisions.rows import Decision
from edge.events import Event, ItemLink, StockReceipt
from edge.ledger.ledger import Deed, Hook, Ledger, Table
from edge.ledger.suppliers import Supplier, learn, terms_of

DAY_MS = 86_400_000
LINES_MAX = 500
_EPS = 1e-9


class PurchaseOrder(Struct, frozen=True, kw_only=True):
    """One order from one supplier."""

    id: str
    """Derived from what it came of; or the number that whoever placed it gave it."""
    supplier: str
    """Who it is from; empty: not said."""
    store: str
    """Store that it is for."""
    state: Literal["ordered", "partial", "received", "cancelled", "closed"] = "ordered"
    """``partial``: some of it came; ``closed``: the rest will not come."""
    ordered_ms: int
    """When it was placed."""
    expected_ms: int = 0
    """When it is expected; 0: not known."""
    received_ms: int = 0
    """When the first of it came; 0: nothing has."""
    ended_ms: int = 0
    """When it was complete, closed or cancelled; 0: it is open."""
    value_cents: int = 0
    """Units times their cost, cents."""
    decision: str = ""
    """Decision that placed it; empty: somebody did."""
    placed_by: str = ""
    """Who placed it."""
    note: str = ""
    """Free words."""


class OrderLine(Struct, frozen=True, kw_only=True):
    """One class in an order."""

    id: str
    """Order."""
    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    supplier: str
    """Supplier."""
    units: float
    """Units ordered."""
    received: float = 0.0
    """Units that came."""
    tagged: int = 0
    """How many of these are known by their new tags alone."""
    cost_cents: int = 0
    """Cost of one unit, cents."""
    ordered_ms: int
    """When it was ordered."""
    expected_ms: int = 0
    """When it is expected; 0: not known."""
    is_open: bool = True
    """Whether more is expected."""

    @property
    def coming(self) -> float:
        """Units still on their way."""
        return max(self.units - self.received, 0.0) if self.is_open else 0.0


OPEN = frozenset({"ordered", "partial"})
TABLES = (
    Table(
        "purchase_orders",
        PurchaseOrder,
        ("id",),
        5_000,
        kept="open",
        is_open=lambda row: row.state in OPEN,
        index=("supplier",),
    ),
    Table(
        "purchase_order_lines",
        OrderLine,
        ("id", "sku"),
        20_000,
        kept="open",
        is_open=lambda row: row.is_open,
        index=("id", "sku"),
    ),
)


class NewLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line to be ordered."""

    sku: str
    """Class or SKU."""
    units: float
    """Units."""
    cost_cents: int | None = None
    """Cost of one unit, cents; null: as the terms of the class say."""


class PlaceOrder(Command, tag="place_order", kw_only=True):
    """Write an order down; sending it to the supplier is the outbox's or a person's."""

    store: str
    """Store that it is for."""
    lines: list[NewLine]
    """What is ordered; a class once."""
    id: str = ""
    """Its number; empty: derived."""
    supplier: str = ""
    """Who it is from; empty: the one that the terms of its first class name."""
    expected_ms: int = 0
    """When it is expected; 0: after the supplier's lead time."""
    note: str = ""
    """Free words."""
    below_minimum: bool = True
    """Whether it may be less than the supplier takes, or than the terms of a class say."""


class CancelOrder(Command, tag="cancel_order", kw_only=True):
    """Nothing of an order will come, or nothing more."""

    id: str
    """The order."""
    note: str = ""
    """Why."""


def place(ledger: Ledger, command: PlaceOrder, told: Told) -> Outcome:
    """The order as it is now."""
    id_ = command.id or _derived("order", str(told.ordinal), str(told.index))
    wrong = _wrong(ledger, command, id_)
    if wrong is not None:
        return wrong
    order, lines = _made(ledger, command, id_, told)
    small = too_small(ledger, order, lines)
    if small and not command.below_minimum:
        return Refused("invalid", f"{small}: order more, or say below_minimum")
    _put(ledger, order, lines)
    return Done(order)


def _wrong(ledger: Ledger, command: PlaceOrder, id_: str) -> Refused | None:
    if not 1 <= len(command.lines) <= LINES_MAX:
        return Refused("invalid", f"an order has 1 to {LINES_MAX} lines, not {len(command.lines)}")
    if len({line.sku for line in command.lines}) < len(command.lines):
        return Refused("invalid", "a class stands in two lines: put them together")
    for line in command.lines:
        if not line.sku or not 0 < line.units < 1e9 or not 0 <= (line.cost_cents or 0) < 1e12:
            return Refused(
                "invalid",
                f"line of {line.sku!r}: units must be above 0 and below 1e9, "
                "cost_cents at least 0 and below 1e12",
            )
    names = [command.store, command.supplier, *(line.sku for line in command.lines)]
    if max(map(len, names)) > 255:
        return Refused("invalid", "a name is longer than 255 characters")
    if len(id_) > 64:
        return Refused("invalid", "id is longer than 64 characters")
    if ledger.get(PurchaseOrder, id_) is not None:
        return Refused("conflict", f"there is an order {id_!r} already")
    if ledger.room(PurchaseOrder) < 1 or ledger.room(OrderLine) < len(command.lines):
        return Refused("limit", "too many orders are open: close those that will not come")
    return None


def too_small(ledger: Ledger, order: PurchaseOrder, lines: list[OrderLine]) -> str:
    """Why the supplier would not take an order; empty: it would, as far as costs are known."""
    for line in lines:
        terms = terms_of(ledger, line.sku, line.store)
        if terms is not None and line.units < terms.minimum_units - _EPS:
            return f"{line.units:g} units of {line.sku!r}, its smallest order is {terms.minimum_units:g}"
    supplier = ledger.get(Supplier, order.supplier) if order.supplier else None
    if supplier is None or not all(line.cost_cents for line in lines):
        return ""
    if order.value_cents >= supplier.minimum_cents:
        return ""
    least, comes_to = supplier.minimum_cents / 100, order.value_cents / 100
    return f"it comes to {comes_to:,.2f}, {order.supplier!r} takes no order below {least:,.2f}"


def _put(ledger: Ledger, order: PurchaseOrder, lines: list[OrderLine]) -> None:
    ledger.put(order)
    for line in lines:
        ledger.put(line)


def _made(
    ledger: Ledger, command: PlaceOrder, id_: str, told: Told, decision: str = ""
) -> tuple[PurchaseOrder, list[OrderLine]]:
    terms = [terms_of(ledger, line.sku, command.store) for line in command.lines]
    named = next((found.supplier for found in terms if found and found.supplier), "")
    supplier = command.supplier or named
    expected_ms = command.expected_ms or _expected_ms(ledger, supplier, told)
    lines = [
        OrderLine(
            id=id_,
            sku=line.sku,
            store=command.store,
            supplier=supplier,
            units=line.units,
            cost_cents=line.cost_cents
            if line.cost_cents is not None
            else (found.cost_cents or 0 if found else 0),
            ordered_ms=told.at_ms,
            expected_ms=expected_ms,
        )
        for line, found in zip(command.lines, terms, strict=True)
    ]
    order = PurchaseOrder(
        id=id_,
        supplier=supplier,
        store=command.store,
        ordered_ms=told.at_ms,
        expected_ms=expected_ms,
        value_cents=round(sum(line.units * line.cost_cents for line in lines)),
        decision=decision,
        placed_by=command.by,
        note=command.note,
    )
    return order, lines


def _expected_ms(ledger: Ledger, supplier: str, told: Told) -> int:
    row = ledger.get(Supplier, supplier) if supplier else None
    return told.at_ms + round(row.lead_days * DAY_MS) if row is not None else 0


def cancel(ledger: Ledger, command: CancelOrder, told: Told) -> Outcome:
    """What came stays; the rest is expected no more."""
    order = ledger.get(PurchaseOrder, command.id)
    if order is None:
        return Refused("unknown", f"there is no open order {command.id!r}")
    state: Literal["closed", "cancelled"] = "closed" if order.received_ms else "cancelled"
    return Done(_ended(ledger, order, state, told.at_ms, command.note))


def _ended(
    ledger: Ledger,
    order: PurchaseOrder,
    state: Literal["received", "cancelled", "closed"],
    at_ms: int,
    note: str = "",
) -> PurchaseOrder:
    for line in ledger.by(OrderLine, "id", order.id):
        ledger.put(replace(line, is_open=False))
    ended = replace(order, state=state, ended_ms=at_ms, note=note or order.note)
    ledger.put(ended)
    return ended


# -- what receipts change ------------------------------------------------------------------------


def received(ledger: Ledger, event: StockReceipt, told: Told) -> None:
    """Goods came: lines shrink, the order ends with its last one, the lead time is learnt."""
    at_ms = event.at if isinstance(event.at, int) and event.at else told.at_ms
    left = event.quantity
    for line in _lines_for(ledger, event):
        known = min(line.tagged, left)  # their tags were bound before the receipt was told
        line, left = replace(line, tagged=line.tagged - math.ceil(known)), left - known
        taken = min(left, line.coming)
        if event.order and line.coming - left <= _EPS:
            taken = left  # more than ordered came under its number
        left -= taken
        _came(ledger, line, taken, at_ms, named=bool(event.order))
        if left <= _EPS:
            break


def tagged(ledger: Ledger, event: ItemLink, told: Told) -> None:
    """A new tag of a class on order is one unit that came, where nobody tells receipts of the class."""
    if not told.new_unit:
        return
    at_ms = event.at if isinstance(event.at, int) and event.at else told.at_ms
    for line in _oldest_first(ledger.by(OrderLine, "sku", event.sku)):
        if line.store == event.store and line.ordered_ms <= at_ms:
            one = replace(line, tagged=line.tagged + 1)
            _came(ledger, one, min(1.0, line.coming), at_ms, named=False)
            return


def _oldest_first(lines: list[OrderLine]) -> list[OrderLine]:
    return sorted(lines, key=lambda line: (line.ordered_ms, line.id))


def _lines_for(ledger: Ledger, event: StockReceipt) -> list[OrderLine]:
    """Open lines that a receipt may be for, the oldest first."""
    lines = ledger.by(OrderLine, "sku", event.sku)
    if event.order:
        return [line for line in lines if line.id == event.order]
    mine = [
        line
        for line in lines
        if line.store == event.store
        and (not event.supplier or line.supplier in ("", event.supplier))
    ]
    return _oldest_first(mine)


def _came(ledger: Ledger, line: OrderLine, units: float, at_ms: int, *, named: bool) -> None:
    got = line.received + units
    ledger.put(replace(line, received=got, is_open=got < line.units - _EPS))
    order = ledger.get(PurchaseOrder, line.id)
    if order is None:
        return
    if not order.received_ms:
        order = replace(order, received_ms=at_ms, state="partial")
        ledger.put(order)
        days = (at_ms - order.ordered_ms) / DAY_MS
        learn(ledger, order.supplier, days, named=named)
    if not ledger.by(OrderLine, "id", order.id):
        _ended(ledger, order, "received", at_ms)


# -- what decisions change -----------------------------------------------------------------------


def from_decision(ledger: Ledger, decision: Decision, told: Told) -> str:
    """Carry a restock decision out: place its order. Why that could not be, or empty."""
    id_ = order_of(decision)
    if ledger.get(PurchaseOrder, id_) is not None:
        return ""
    told_line = {name: decision.data[name] for name in _LINE if name in decision.data}
    try:
        line = msgspec.convert({"sku": decision.target} | told_line, NewLine)
    except msgspec.ValidationError as error:
        return f"its data do not make an order: {error}"
    told_supplier = decision.data.get("supplier", "")
    command = PlaceOrder(
        by=decision.decided_by,
        store=decision.store,
        lines=[line],
        id=id_,
        supplier=told_supplier if isinstance(told_supplier, str) else "",
        note=f"decision {decision.id}",
    )
    wrong = _wrong(ledger, command, id_)
    if wrong is not None:
        return wrong.detail
    order, lines = _made(ledger, command, id_, told, decision.id)
    small = too_small(ledger, order, lines)
    if small:  # with others of the same day it may be enough: for who sends it to say
        order = replace(order, note=f"{order.note}; by itself too small: {small}")
    _put(ledger, order, lines)
    return ""


_LINE = ("units", "cost_cents")


def undo_decision(ledger: Ledger, decision: Decision, told: Told) -> str:
    """Take the order of a restock decision back. Why that could not be, or empty."""
    order = ledger.get(PurchaseOrder, order_of(decision))
    if order is None:
        return "its order came already, or was closed: nothing can be taken back"
    if order.received_ms:
        return f"some of order {order.id!r} came already: close the order instead"
    _ended(ledger, order, "cancelled", told.at_ms, "the decision was undone")
    return ""


def order_of(decision: Decision) -> str:
    """Id of the order that a restock decision places; another after it was tried again."""
    return _derived("decision", decision.id, str(decision.decided_ms))


def _derived(*parts: str) -> str:
    return "po-" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


DEEDS: dict[type[Command], Deed] = {PlaceOrder: place, CancelOrder: cancel}
HOOKS: dict[type[Event], tuple[Hook, ...]] = {StockReceipt: (received,), ItemLink: (tagged,)}
