"""Stock through the API: lists, what to order, alerts, one class, what to do with money. No rules here."""

from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct

from edge.api import inventory_changes, stock_figures
from edge.api.books import in_slices
from edge.api.endpoint import Api, Call, Endpoint, Path, Query
from edge.api.known import need_store
from edge.api.lists import Listing, ListQuery, arranged
from edge.api.problems import Problem
from edge.api.query import Limit, Text
from edge.api.stock_plans import Cents, StockPath, planned, row_of
from edge.services.inventory import MEDIUM
from edge.view_basis import Listed, why_empty
from edge.view_inventory import SORTS, InventoryView
from edge.view_inventory_money import recommending
from edge.view_inventory_one import buy_once as bought_once
from edge.view_inventory_one import detail, unmet_detail
from edge.view_inventory_types import (
    BuyOnce,
    Kind,
    Priority,
    Recommendations,
    StockDetail,
    StockRow,
    SupplierTotal,
)

Ints = Any


LEVELS: tuple[Priority, ...] = ("low", "medium", "high", "critical")


class StockQuery(ListQuery):
    """Which classes."""

    store: Text | None = None
    """Only of this store."""
    category: Text | None = None
    """Only of this category; upper and lower case do not matter."""
    kind: Kind | None = None
    """Only sales classes, or only rental classes."""
    priority: Priority | None = None
    """Only with this priority or a higher one."""
    supplier: Text | None = None
    """Only of this supplier."""
    search: Text | None = None
    """Only with this text in SKU or name; upper and lower case do not matter."""


class StockRows(Listed, kw_only=True):
    """A page of classes."""

    total: int
    """Classes that pass the filters, on all pages."""
    items: list[StockRow]
    """The rows."""


class Suggestions(Listed, kw_only=True):
    """What to order."""

    total: int
    """Suggestions on all pages."""
    suggestions: list[StockRow]
    """The most urgent first."""
    suppliers: list[SupplierTotal]
    """All of them together, supplier by supplier."""


class Alert(Struct, kw_only=True):
    """A class that should be ordered."""

    level: Priority
    """``critical``: gone, or more likely than not before an order is there; ``high``; ``medium``."""
    item_id: str
    """The class, for ``approve-restock``."""
    message: str
    """In words."""
    decision: str
    """Id of the decision that waits for somebody; empty: none does."""
    item: StockRow
    """How it stands."""


class Alerts(Listed, kw_only=True):
    """What should be ordered now."""

    counts: dict[str, int]
    """Level -> alerts, on all pages."""
    alerts: list[Alert]
    """The most urgent first."""


class StoreQuery(Query):
    """In which store."""

    store: Text | None = None
    """Store; without it the configured one."""


class MoneyQuery(Query):
    """How much money, and for what."""

    budget: Cents | None = None
    """Money there is, cents; without it everything that pays."""
    store: Text | None = None
    """Only for this store."""
    category: Text | None = None
    """Only of this category; upper and lower case do not matter."""
    limit: Limit = 100
    """Most orders that are told; all are weighed."""


class BuyOnceQuery(Query):
    """For how long, and at what money."""

    days: Annotated[int, Meta(ge=1, le=365)] = 14
    """Days that it is sold in, from now."""
    store: Text | None = None
    """Store; without it the configured one."""
    price_cents: Cents | None = None
    """Price of a unit; without it the present one."""
    cost_cents: Cents | None = None
    """Cost of a unit; without it the present one."""
    salvage_cents: Cents = 0
    """What a unit that is left over still brings."""


STOCK: Listing[StockRow] = Listing("inventory", ("sku",), tuple(SORTS), "row")


LOW: Listing[StockRow] = Listing("low-stock", ("sku",), tuple(SORTS), "chance_of_stockout", "desc")


TO_ORDER: Listing[StockRow] = Listing("reorder", ("sku",), tuple(SORTS), "priority", "desc")


ALERTS: Listing[StockRow] = Listing("restock-alerts", ("sku",), tuple(SORTS), "priority", "desc")


def _filtered(view: InventoryView, query: StockQuery) -> Ints:
    """int64[n]: rows that pass the filters."""
    rows = view.rows(store=query.store, category=query.category)
    of = view.columns.of
    if query.kind is not None:
        rows = rows[of["rental"][rows] == (query.kind == "rental")]
    if query.priority is not None:
        at_least = of["priority"][rows] >= LEVELS.index(query.priority)
        rows = rows[at_least & np.isfinite(of["suggested"][rows])]
    if query.supplier is not None:
        names = view.columns.suppliers
        rows = rows[np.array([names.get(r) == query.supplier for r in rows.tolist()], np.bool_)]
    if query.search is not None:
        text = query.search.casefold()
        rows = rows[np.array([text in label for label in view.labels(rows)], np.bool_)]
    return rows


def _page(
    view: InventoryView, query: StockQuery, listing: Listing[StockRow], rows: Ints
) -> tuple[Ints, str | None]:
    sort, falling = listing.arrangement(query)
    return arranged(query, listing.name, rows, view.values(rows, sort), falling)


async def list_stock(api: Api, call: Call[StockQuery, Path]) -> StockRows:
    """Every class and how it stands."""
    view = await planned(api)
    return _stock_rows(view, call.query, STOCK, _filtered(view, call.query), "")


async def low_stock(api: Api, call: Call[StockQuery, Path]) -> StockRows:
    """Classes at or below their reorder point."""
    view = await planned(api)
    rows = _filtered(view, call.query)
    none = view.none_of(rows, "stands at or below its reorder point")
    return _stock_rows(view, call.query, LOW, view.low(rows), none)


def _stock_rows(
    view: InventoryView, query: StockQuery, listing: Listing[StockRow], rows: Ints, none: str
) -> StockRows:
    shown, following = _page(view, query, listing, rows)
    return StockRows(
        basis=view.basis(),
        total=len(rows),
        items=view.told(shown),
        why_empty=why_empty(shown, *view.why_none(none)),
        next_cursor=following,
    )


async def reorder_suggestions(api: Api, call: Call[StockQuery, Path]) -> Suggestions:
    """What to order, and how much."""
    view = await planned(api)
    every = _filtered(view, call.query)
    rows = view.needed(every)
    shown, following = _page(view, call.query, TO_ORDER, rows)
    return Suggestions(
        basis=view.basis(),
        total=len(rows),
        suggestions=view.told(shown),
        suppliers=view.by_supplier(rows),
        why_empty=why_empty(shown, *view.why_none(view.none_of(every, TO_BE_ORDERED))),
        next_cursor=following,
    )


TO_BE_ORDERED = "is to be ordered now"


async def restock_alerts(api: Api, call: Call[StockQuery, Path]) -> Alerts:
    """What should be ordered now, by level."""
    view = await planned(api)
    every = _filtered(view, call.query)
    rows = view.needed(every)
    level = view.columns.of["priority"][rows]
    counts: dict[str, int] = {
        LEVELS[p]: int((level == p).sum()) for p in range(len(LEVELS) - 1, MEDIUM - 1, -1)
    }
    shown, following = _page(view, call.query, ALERTS, rows)
    return Alerts(
        basis=view.basis(),
        counts=counts,
        alerts=[_alert(view, row) for row in view.told(shown)],
        why_empty=why_empty(shown, *view.why_none(view.none_of(every, TO_BE_ORDERED))),
        next_cursor=following,
    )


def _alert(view: InventoryView, row: StockRow) -> Alert:
    waiting = view.open_decision(row.sku, row.store)
    return Alert(
        level=row.priority or "low",
        item_id=row.sku,
        message=f"{row.name or row.sku}: {view.words(row)}",
        decision=waiting.id if waiting is not None else "",
        item=row,
    )


async def get_stock(api: Api, call: Call[StoreQuery, StockPath]) -> StockDetail:
    """One class: stock, orders, demand, and what to order."""
    view, sku = await planned(api), call.path.sku
    place = call.query.store or api.settings.shop.store
    if view.row(sku, place) < 0 and (unmet := unmet_detail(view, sku, place)) is not None:
        need_store(api, place)
        return unmet
    return detail(view, row_of(api, view, sku, place))


async def buy_once(api: Api, call: Call[BuyOnceQuery, StockPath]) -> BuyOnce:
    """How much of a class to buy once, for a season or a fair."""
    view, query = await planned(api), call.query
    row = row_of(api, view, call.path.sku, query.store)
    money = (query.price_cents, query.cost_cents, query.salvage_cents)
    found = bought_once(view, row, query.days, *money)
    if isinstance(found, str):
        raise Problem("invalid", f"{found}.")
    return found


async def recommendations(api: Api, call: Call[MoneyQuery, Path]) -> Recommendations:
    """What to buy first with a budget, the best return first."""
    view = await planned(api)
    rows = view.rows(store=call.query.store, category=call.query.category)
    return await in_slices(recommending(view, rows, call.query.budget, call.query.limit))


_LIST = ("bad-cursor",)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/inventory",
        "inventory",
        "Every class: stock, position, reorder point, what to order.",
        list_stock,
        StockRows,
        area="inventory",
        query=StockQuery,
        problems=_LIST,
        rows="items",
    ),
    Endpoint(
        "GET",
        "/api/inventory/low-stock",
        "low_stock",
        "Classes at or below their reorder point, rentals with too small a fleet.",
        low_stock,
        StockRows,
        area="inventory",
        query=StockQuery,
        problems=_LIST,
        rows="items",
    ),
    Endpoint(
        "GET",
        "/api/inventory/reorder-suggestions",
        "reorder_suggestions",
        "What to order, how much, from whom, and when the stock is gone otherwise.",
        reorder_suggestions,
        Suggestions,
        area="inventory",
        query=StockQuery,
        problems=_LIST,
        rows="suggestions",
    ),
    Endpoint(
        "GET",
        "/api/inventory/{sku}",
        "inventory_item",
        "One class: stock, orders on their way, demand, and what to order.",
        get_stock,
        StockDetail,
        area="inventory",
        query=StoreQuery,
        parts=StockPath,
        problems=("unknown-class", "unknown-store"),
    ),
    Endpoint(
        "GET",
        "/api/inventory/{sku}/buy-once",
        "buy_once",
        "How much to buy once, for a season or a fair.",
        buy_once,
        BuyOnce,
        area="inventory",
        query=BuyOnceQuery,
        parts=StockPath,
        problems=("unknown-class", "invalid"),
    ),
    Endpoint(
        "GET",
        "/api/predictive/inventory/restock-alerts",
        "restock_alerts",
        "What should be ordered now, by level.",
        restock_alerts,
        Alerts,
        area="inventory",
        query=StockQuery,
        problems=_LIST,
        rows="alerts",
    ),
    Endpoint(
        "GET",
        "/api/predictive/inventory/optimization-recommendations",
        "inventory_recommendations",
        "What to buy first with a budget, ranked by return.",
        recommendations,
        Recommendations,
        area="inventory",
        query=MoneyQuery,
    ),
    *stock_figures.ENDPOINTS,
    *inventory_changes.ENDPOINTS,
)
