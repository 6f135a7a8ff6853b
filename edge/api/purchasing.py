"""Suppliers, terms of classes and purchase orders through the API. No rules: commands change rows."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from edge.api import purchasing_files
from edge.api.body import Body
from edge.api.commands import CREATED, KEY_HEADER, PROBLEMS, STATUSES, CommandAnswer, command
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.known import need_class
from edge.api.lists import Listing, ListQuery
from edge.api.problems import Problem
from edge.api.query import Text
from edge.ledger.orders import CancelOrder, NewLine, OrderLine, PlaceOrder, PurchaseOrder
from edge.ledger.suppliers import (
    EVERY,
    DropSupplier,
    DropSupply,
    PutSupplier,
    PutSupply,
    Supplier,
    Supply,
    seen_variance,
)
from edge.view_basis import Basis, Listed, why_empty
from edge.view_inventory import InventoryView

Name = Annotated[str, Meta(max_length=255)]
Note = Annotated[str, Meta(max_length=2_000)]
LeadDays = Annotated[float, Meta(ge=0, le=3_650)]
Cents = Annotated[int, Meta(ge=0, le=2**53)]
Units = Annotated[float, Meta(gt=0, le=1e9)]
ENDED_MOST = 5_000
"""Orders of the store that are looked at for lists, the newest."""


class SuppliersQuery(ListQuery):
    """Which suppliers."""

    active: bool | None = None
    """Only those that are ordered from, or not any more."""


class SupplierRow(Supplier, frozen=True, kw_only=True):
    """A supplier, and what its orders really took."""

    lead_seen_sd_days: float | None = None
    """Deviation of the days that its orders took; null: fewer than two came."""
    classes: int = 0
    """Terms that name it."""


class Suppliers(Listed, kw_only=True):
    """A page of suppliers."""

    suppliers: list[SupplierRow]
    """The rows."""


class SupplierPath(Path):
    """Which supplier."""

    supplier: Text
    """Its name."""


class SupplierFields(Body):
    """What is known of a supplier. What is not named stays as it is."""

    name: Name | None = None
    """Name for people."""
    contact: Note | None = None
    """Mail address, telephone, page."""
    lead_days: LeadDays | None = None
    """Days from order to receipt, as the supplier says; of a new one otherwise ``inventory.lead_days`` of the
    configuration."""
    lead_sd_days: LeadDays | None = None
    """Deviation of that, days."""
    review_days: LeadDays | None = None
    """Days between two orders, such as 7 for a weekly round; 0: whenever it is needed; of a new supplier
    otherwise ``inventory.review_days``."""
    order_cost_cents: Cents | None = None
    """Cost of an order whatever is in it, cents."""
    minimum_cents: Cents | None = None
    """Value of the smallest order, cents."""
    active: bool | None = None
    """Whether it is still ordered from."""
    note: Note | None = None
    """Free words."""
    by: Name = ""
    """Who says so."""


class SupplyQuery(ListQuery):
    """Which terms."""

    sku: Text | None = None
    """Only of this class; ``*``: those of classes without their own."""
    store: Text | None = None
    """Only of this store."""
    supplier: Text | None = None
    """Only of this supplier."""


class SupplyRows(Listed, kw_only=True):
    """A page of terms."""

    supply: list[Supply]
    """The rows."""


class SupplyPath(Path):
    """Which class."""

    sku: Text
    """Class or SKU; ``*``: every class without terms of its own."""


class OneStoreQuery(Query):
    """Of which store."""

    store: Text | None = None
    """Store; without it the terms of all stores."""


class SupplyFields(Body):
    """On what terms a class is bought and kept. What is not named stays as it is."""

    supplier: Name | None = None
    """Who sells it: one of ``/api/suppliers``."""
    cost_cents: Cents | None = None
    """Cost of a unit, cents."""
    pack_units: Units | None = None
    """Units sold together."""
    minimum_units: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    """Units of the smallest order."""
    lead_days: LeadDays | None = None
    """Days from order to receipt, where they are not the supplier's."""
    lead_sd_days: LeadDays | None = None
    """Deviation of that, days."""
    holding_rate: Annotated[float, Meta(ge=0, le=10)] | None = None
    """Cost of keeping a unit a year, as a share of its cost."""
    service_level: Annotated[float, Meta(ge=0.5, le=0.999)] | None = None
    """Share of order cycles without a stock-out, or of rental requests served."""
    fixed_reorder_point: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    """Reorder point set by hand."""
    by: Name = ""
    """Who says so."""


OrderState = Literal["open", "ordered", "partial", "received", "cancelled", "closed", "all"]


class OrdersQuery(ListQuery):
    """Which orders."""

    state: OrderState = "open"
    """``open``: ordered or partly here; ``all``: those that ended too."""
    supplier: Text | None = None
    """Only of this supplier."""
    store: Text | None = None
    """Only for this store."""


class Orders(Listed, kw_only=True):
    """A page of purchase orders."""

    orders: list[PurchaseOrder]
    """The newest first."""


class OrderPath(Path):
    """Which order."""

    id: Text
    """Its number."""


class LineRow(Struct, kw_only=True):
    """One class in an order, with all that a supplier must be told."""

    order: str
    """Purchase order."""
    supplier: str
    """Supplier."""
    store: str
    """Store that it is for."""
    sku: str
    """Class or SKU."""
    name: str
    """Name."""
    units: float
    """Units ordered."""
    received: float
    """Units that came."""
    cost_cents: int
    """Cost of one unit, cents."""
    value_cents: int
    """Cost of all units, cents."""
    ordered_ms: int
    """When it was ordered."""
    expected_ms: int
    """When it is expected; 0: not known."""


class OrderDetail(Struct):
    """One order."""

    basis: Basis
    """How fresh this is."""
    order: PurchaseOrder
    """The order."""
    lines: list[LineRow]
    """What is in it; alone as CSV."""
    next_cursor: str | None = None
    """Null: an order is one page."""


class OrderQuery(ListQuery):
    """In which form."""


class OrderLineBody(Body):
    """A line to be ordered."""

    sku: Text
    """Class or SKU."""
    units: Units
    """Units."""
    cost_cents: Cents | None = None
    """Cost of one unit, cents; without it as the terms of the class, its last receipt or the catalogue say."""


class NewOrder(Body):
    """An order to be placed."""

    lines: Annotated[list[OrderLineBody], Meta(min_length=1, max_length=500)]
    """What is ordered; a class once."""
    id: Annotated[str, Meta(max_length=64)] = ""
    """Its number; without it one is derived."""
    store: Text | None = None
    """Store that it is for; without it the configured one."""
    supplier: Name = ""
    """Who it is from; without it as the terms of its first class say."""
    expected_ms: Annotated[int, Meta(ge=0, le=2**53)] = 0
    """When it is expected; 0: after the supplier's lead time."""
    note: Note = ""
    """Free words."""
    below_minimum: bool = False
    """Whether it may be less than the supplier's, or a class's, smallest order."""
    by: Name = ""
    """Who places it."""


class Cancelling(Body):
    """Who, and why."""

    note: Note = ""
    """Why."""
    by: Name = ""
    """Who says so."""


class SupplierAnswer(CommandAnswer, kw_only=True):
    """What became of it."""

    result: Supplier | None = None
    """The supplier as it is now; null while it is not decided."""


class SupplyAnswer(CommandAnswer, kw_only=True):
    """What became of it."""

    result: Supply | None = None
    """The terms as they are now; null while it is not decided."""


class OrderAnswer(CommandAnswer, kw_only=True):
    """What became of it."""

    result: PurchaseOrder | None = None
    """The order as it is now; null while it is not decided."""


SUPPLIERS: Listing[Supplier] = Listing(
    "suppliers",
    ("supplier",),
    ("supplier", "lead_days", "orders_seen", "lead_seen_days"),
    "supplier",
    filters={"active": "active"},
)
SUPPLY: Listing[Supply] = Listing(
    "supply",
    ("sku", "store"),
    ("sku", "updated_ms", "cost_cents"),
    "sku",
    filters={"sku": "sku", "store": "store", "supplier": "supplier"},
)
ORDERS: Listing[PurchaseOrder] = Listing(
    "orders",
    ("id",),
    ("ordered_ms", "expected_ms", "value_cents"),
    "ordered_ms",
    "desc",
    filters={
        "state": lambda row, wanted: wanted in ("all", "open") or row.state == wanted,
        "supplier": "supplier",
        "store": "store",
    },
)


def _view(api: Api) -> InventoryView:
    return api.view_of(InventoryView)


async def list_suppliers(api: Api, call: Call[SuppliersQuery, Path]) -> Suppliers:
    """Every supplier."""
    view = _view(api)
    known = view.rows_of(Supplier)
    page = await SUPPLIERS.page_of_many(call.query, known)
    return Suppliers(
        basis=view.counted(),
        suppliers=[_supplier_row(view, row) for row in page.rows],
        why_empty=why_empty(page.rows, (not known, NO_SUPPLIER)),
        next_cursor=page.next_cursor,
    )


NO_SUPPLIER = "No supplier is known: PUT /api/suppliers/{supplier} or POST /api/suppliers/import."


def _supplier_row(view: InventoryView, row: Supplier) -> SupplierRow:
    variance = seen_variance(row)
    return SupplierRow(
        **msgspec.structs.asdict(row),
        lead_seen_sd_days=round(variance**0.5, 3) if variance == variance else None,
        classes=view.terms_naming(row.supplier),
    )


def get_supplier(api: Api, call: Call[Query, SupplierPath]) -> SupplierRow:
    """One supplier."""
    view, name = _view(api), call.path.supplier
    for row in view.rows_of(Supplier):
        if row.supplier == name:
            return _supplier_row(view, row)
    raise Problem("unknown", f"There is no supplier {name!r}.", cure="See /api/suppliers.")


async def put_supplier(api: Api, call: Call[Query, SupplierPath]) -> Answer:
    """Put a supplier."""
    fields = purchasing_files.begun(api, call.path.supplier, _given(call.body))
    asked = PutSupplier(supplier=call.path.supplier, fields=fields, by=call.body.by)
    return await command(api, call, asked)


async def drop_supplier(api: Api, call: Call[Query, SupplierPath]) -> Answer:
    """Forget a supplier."""
    return await command(api, call, DropSupplier(supplier=call.path.supplier))


def _given(body: Any) -> dict[str, Any]:
    """Fields of a body that were named."""
    told = msgspec.structs.asdict(body)
    return {name: value for name, value in told.items() if value is not None and name != "by"}


async def list_supply(api: Api, call: Call[SupplyQuery, Path]) -> SupplyRows:
    """Terms of classes."""
    view = _view(api)
    known = view.rows_of(Supply)
    page = await SUPPLY.page_of_many(call.query, known)
    return SupplyRows(
        basis=view.counted(),
        supply=page.rows,
        why_empty=why_empty(page.rows, (not known, NO_TERMS)),
        next_cursor=page.next_cursor,
    )


NO_TERMS = (
    "No terms of any class were put: those of [inventory] in the configuration hold. PUT"
    " /api/supply/{sku} puts some, those of * for every class."
)


async def put_supply(api: Api, call: Call[OneStoreQuery, SupplyPath]) -> Answer:
    """Put the terms of a class."""
    sku, store = call.path.sku, call.query.store or ""
    if sku != EVERY:
        need_class(api, sku, store)
    asked = PutSupply(
        sku=sku,
        store=store,
        fields=_given(call.body),
        by=call.body.by,
    )
    return await command(api, call, asked)


async def drop_supply(api: Api, call: Call[OneStoreQuery, SupplyPath]) -> Answer:
    """Forget the terms of a class."""
    return await command(api, call, DropSupply(sku=call.path.sku, store=call.query.store or ""))


async def list_orders(api: Api, call: Call[OrdersQuery, Path]) -> Orders:
    """Purchase orders."""
    view, query = _view(api), call.query
    rows = view.rows_of(PurchaseOrder)
    if query.state not in ("open", "ordered", "partial"):
        rows = await api.tables.ledger_rows(PurchaseOrder, order="-ordered_ms", limit=ENDED_MOST)
    page = await ORDERS.page_of_many(query, rows)
    looked = "open" if query.state in ("open", "ordered", "partial") else "here"
    none = f"No purchase order is {looked}: POST /api/purchase-orders or an approved restock places one."
    return Orders(
        basis=view.counted(),
        orders=page.rows,
        why_empty=why_empty(page.rows, (not rows, none)),
        next_cursor=page.next_cursor,
    )


async def get_order(api: Api, call: Call[OrderQuery, OrderPath]) -> OrderDetail:
    """One order and its lines."""
    view, id_ = _view(api), call.path.id
    found = await api.tables.ledger_rows(PurchaseOrder, {"id": id_}, limit=1)
    if not found:
        raise Problem("unknown", f"There is no order {id_!r}.", cure="See /api/purchase-orders.")
    lines = await api.tables.ledger_rows(OrderLine, {"id": id_}, order="sku", limit=1_000)
    made = [
        LineRow(
            order=line.id,
            supplier=line.supplier,
            store=line.store,
            sku=line.sku,
            name=view.name(line.sku, line.store),
            units=line.units,
            received=line.received,
            cost_cents=line.cost_cents,
            value_cents=round(line.units * line.cost_cents),
            ordered_ms=line.ordered_ms,
            expected_ms=line.expected_ms,
        )
        for line in lines
    ]
    return OrderDetail(view.counted(), found[0], made)


async def place_order(api: Api, call: Call[Query, Path]) -> Answer:
    """Place an order."""
    told: NewOrder = call.body
    store = told.store or api.settings.shop.store
    for line in told.lines:
        need_class(api, line.sku, store)
    view = api.view_of(InventoryView)
    suppliers = {row.supplier for row in view.rows_of(Supplier)}
    if told.supplier and told.supplier not in suppliers:
        raise Problem(
            "unknown",
            f"There is no supplier {told.supplier!r}.",
            cure=f"See /api/suppliers; PUT /api/suppliers/{quote(told.supplier, safe='')} makes it known.",
        )
    asked = PlaceOrder(
        store=store,
        lines=[
            NewLine(
                sku=line.sku,
                units=line.units,
                cost_cents=view.cost_of(line.sku, store)
                if line.cost_cents is None
                else line.cost_cents,
            )
            for line in told.lines
        ],
        id=told.id,
        supplier=told.supplier,
        expected_ms=told.expected_ms,
        note=told.note,
        below_minimum=told.below_minimum,
        by=told.by,
    )
    return await command(api, call, asked, created=True)


async def cancel_order(api: Api, call: Call[Query, OrderPath]) -> Answer:
    """Expect nothing more of an order."""
    asked = CancelOrder(id=call.path.id, note=call.body.note, by=call.body.by)
    return await command(api, call, asked)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/suppliers",
        "suppliers",
        "Suppliers, what they promise and what their orders really took.",
        list_suppliers,
        Suppliers,
        area="purchasing",
        query=SuppliersQuery,
        problems=("bad-cursor",),
        rows="suppliers",
    ),
    Endpoint(
        "GET",
        "/api/suppliers/{supplier}",
        "supplier",
        "One supplier.",
        get_supplier,
        SupplierRow,
        area="purchasing",
        parts=SupplierPath,
        problems=("unknown",),
    ),
    Endpoint(
        "PUT",
        "/api/suppliers/{supplier}",
        "put_supplier",
        "Put a supplier, new or known.",
        put_supplier,
        SupplierAnswer,
        area="purchasing",
        parts=SupplierPath,
        body=SupplierFields,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=PROBLEMS,
    ),
    Endpoint(
        "DELETE",
        "/api/suppliers/{supplier}",
        "drop_supplier",
        "Forget a supplier that no terms name.",
        drop_supplier,
        CommandAnswer,
        area="purchasing",
        parts=SupplierPath,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=(*PROBLEMS, "unknown"),
    ),
    Endpoint(
        "GET",
        "/api/supply",
        "supply",
        "On what terms classes are bought and kept.",
        list_supply,
        SupplyRows,
        area="purchasing",
        query=SupplyQuery,
        problems=("bad-cursor",),
        rows="supply",
    ),
    Endpoint(
        "PUT",
        "/api/supply/{sku}",
        "put_supply",
        "Put the terms of a class.",
        put_supply,
        SupplyAnswer,
        area="purchasing",
        query=OneStoreQuery,
        parts=SupplyPath,
        body=SupplyFields,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=(*PROBLEMS, "unknown-class"),
    ),
    Endpoint(
        "DELETE",
        "/api/supply/{sku}",
        "drop_supply",
        "Forget the terms of a class.",
        drop_supply,
        CommandAnswer,
        area="purchasing",
        query=OneStoreQuery,
        parts=SupplyPath,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=(*PROBLEMS, "unknown"),
    ),
    Endpoint(
        "GET",
        "/api/purchase-orders",
        "purchase_orders",
        "Purchase orders, open or ended.",
        list_orders,
        Orders,
        area="purchasing",
        query=OrdersQuery,
        problems=("bad-cursor",),
        rows="orders",
    ),
    Endpoint(
        "POST",
        "/api/purchase-orders",
        "place_order",
        "Write an order down.",
        place_order,
        OrderAnswer,
        area="purchasing",
        body=NewOrder,
        headers=KEY_HEADER,
        statuses=CREATED,
        problems=(*PROBLEMS, "unknown-class"),
    ),
    Endpoint(
        "GET",
        "/api/purchase-orders/{id}",
        "purchase_order",
        "One order and its lines; as CSV the lines, to be sent to the supplier.",
        get_order,
        OrderDetail,
        area="purchasing",
        query=OrderQuery,
        parts=OrderPath,
        problems=("unknown",),
        rows="lines",
    ),
    Endpoint(
        "POST",
        "/api/purchase-orders/{id}/cancel",
        "cancel_order",
        "Expect nothing more of an order.",
        cancel_order,
        OrderAnswer,
        area="purchasing",
        parts=OrderPath,
        body=Cancelling,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=(*PROBLEMS, "unknown"),
    ),
    *purchasing_files.ENDPOINTS,
)
