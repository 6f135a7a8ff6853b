"""Suppliers, terms of classes and purchase orders through the API. No rules: commands change rows."""

from typing import Any
from urllib.parse import quote

import msgspec

from edge.api import purchasing_files
from edge.api.commands import CREATED, KEY_HEADER, PROBLEMS, STATUSES, CommandAnswer, command
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.known import need_class
from edge.api.lists import Listing
from edge.api.problems import Problem
from edge.api.purchasing_types import (
    Cancelling,
    LineRow,
    NewOrder,
    OneStoreQuery,
    OrderAnswer,
    OrderDetail,
    OrderPath,
    OrderQuery,
    Orders,
    OrdersQuery,
    SupplierAnswer,
    SupplierFields,
    SupplierPath,
    SupplierRow,
    Suppliers,
    SuppliersQuery,
    SupplyAnswer,
    SupplyFields,
    SupplyPath,
    SupplyQuery,
    SupplyRows,
)
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
from edge.view_basis import why_empty
from edge.view_inventory import InventoryView

ENDED_MOST = 5_000
"""Orders of the store that are looked at for lists, the newest."""


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
