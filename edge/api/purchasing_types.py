"""Suppliers, terms of classes and purchase orders: what their endpoints take and give. No handlers."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.api.body import Body
from edge.api.commands import CommandAnswer
from edge.api.endpoint import Path, Query
from edge.api.lists import ListQuery
from edge.api.query import Text
from edge.ledger.orders import PurchaseOrder
from edge.ledger.suppliers import Supplier, Supply
from edge.view_basis import Basis, Listed

Name = Annotated[str, Meta(max_length=255)]
Note = Annotated[str, Meta(max_length=2_000)]
LeadDays = Annotated[float, Meta(ge=0, le=3_650)]
Cents = Annotated[int, Meta(ge=0, le=2**53)]
Units = Annotated[float, Meta(gt=0, le=1e9)]


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
