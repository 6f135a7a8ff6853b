"""Suppliers, and who supplies which class on what terms. Pure.

A supplier says how long it takes; how long its orders really took is counted beside it, so that a
lead time need not be believed. Terms of a class hold for one store or all (``store`` empty), and
those of ``sku`` ``*`` for every class that has none of its own.
"""

import math
from typing import Any, Literal

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from edge.commands import Command, Done, Outcome, Refused, Told
from edge.ledger.ledger import Deed, Ledger, Table

EVERY = "*"
"""As ``sku``: terms of every class without its own."""
DAYS_MOST = 3_650.0
BELIEVED_MOST = 4.0
"""Times the usual lead time that an order is believed to have taken that nobody named at its receipt."""
USUAL_ORDERS = 3
"""Orders seen from which on their mean is what is usual; before, it is what the supplier says."""


class Supplier(Struct, frozen=True, kw_only=True):
    """Somebody who sells to us."""

    supplier: str
    """Name or number that orders and receipts use."""
    name: str = ""
    """Name for people."""
    contact: str = ""
    """Mail address, telephone, page."""
    lead_days: float = 7.0
    """Days from order to receipt, as the supplier says."""
    lead_sd_days: float | None = None
    """Deviation of that, days; null: as configured, ``inventory.lead_sd_share`` of it."""
    review_days: float = 0.0
    """Days between two orders, such as 7 for a weekly round; 0: whenever it is needed."""
    order_cost_cents: int | None = None
    """Cost of an order whatever is in it, cents; null: as configured."""
    minimum_cents: int = 0
    """Value of the smallest order, cents."""
    active: bool = True
    """Whether it is still ordered from."""
    note: str = ""
    """Free words."""
    orders_seen: int = 0
    """Orders that came, counted here."""
    lead_seen_days: float = 0.0
    """Mean days that they took."""
    lead_seen_square: float = 0.0
    """Sum of squares of the days round that mean."""
    created_ms: int = 0
    """When it was first put here."""
    updated_ms: int = 0
    """When it was last changed here."""


class Supply(Struct, frozen=True, kw_only=True):
    """On what terms a class is bought and kept."""

    sku: str
    """Class or SKU; ``*``: every class without terms of its own."""
    store: str = ""
    """Store; empty: all."""
    supplier: str = ""
    """Who sells it; empty: the catalogue's usual supplier."""
    cost_cents: int | None = None
    """Cost of a unit, cents; null: as last received, else as in the catalogue."""
    pack_units: float = 1.0
    """Units sold together."""
    minimum_units: float = 0.0
    """Units of the smallest order."""
    lead_days: float | None = None
    """Days from order to receipt; null: the supplier's."""
    lead_sd_days: float | None = None
    """Deviation of that, days; null: the supplier's."""
    holding_rate: float | None = None
    """Cost of keeping a unit a year, as a share of its cost; null: as configured."""
    service_level: float | None = None
    """Share of order cycles without a stock-out, or of rental requests served; null: as configured."""
    fixed_reorder_point: float | None = None
    """Reorder point set by hand; null: computed."""
    updated_ms: int = 0
    """When it was last changed here."""


TABLES = (
    Table("suppliers", Supplier, ("supplier",), 2_000),
    Table("supply", Supply, ("sku", "store"), 20_000, index=("supplier",)),
)
COUNTED = frozenset(
    {"orders_seen", "lead_seen_days", "lead_seen_square", "created_ms", "updated_ms"}
)
"""Fields that nobody can put."""


class PutSupplier(Command, tag="put_supplier", kw_only=True):
    """Put a supplier; fields that are not named stay, or stand as by default."""

    supplier: str
    """Its name."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Other fields."""


class DropSupplier(Command, tag="drop_supplier", kw_only=True):
    """Forget a supplier that no terms and no open order name."""

    supplier: str
    """Its name."""


class PutSupply(Command, tag="put_supply", kw_only=True):
    """Put the terms of a class; fields that are not named stay as they held for it before.

    New terms of one store begin as those of all stores, new terms of a class as those of ``*``.
    """

    sku: str
    """Class or SKU, or ``*``."""
    store: str = ""
    """Store; empty: all."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Other fields."""


class DropSupply(Command, tag="drop_supply", kw_only=True):
    """Forget the terms of a class."""

    sku: str
    """Class or SKU, or ``*``."""
    store: str = ""
    """Store; empty: those of all stores."""


class PutPurchasing(Command, tag="put_purchasing", kw_only=True):
    """Put many suppliers, or the terms of many classes: all or none."""

    kind: Literal["supplier", "supply"]
    """What the rows are."""
    rows: list[dict[str, Any]]
    """Fields of each row, its key among them; what is not named stays."""


def put_many(ledger: Ledger, command: PutPurchasing, told: Told) -> Outcome:
    """How many there are, how many changed, how many are new."""
    made: dict[tuple[str, ...], Supplier | Supply] = {}
    for number, fields in enumerate(command.rows, 1):
        rest, own = dict(fields), {}
        for name in KEYS[command.kind]:
            own[name] = rest.pop(name, "")
        if not all(isinstance(value, str) for value in own.values()):
            return Refused("invalid", f"row {number}: {', '.join(own)} must be text")
        row = _wanted(ledger, command.kind, own, rest, told)
        if isinstance(row, Refused):
            return Refused(row.code, f"row {number}: {row.detail}")
        made[tuple(own.values())] = row
    kind = Supplier if command.kind == "supplier" else Supply
    new = [key for key in made if ledger.get(kind, *key) is None]
    if len(new) > ledger.room(kind):
        return Refused("limit", f"there is room for {ledger.room(kind)} more rows, not {len(new)}")
    changed = 0
    for key, row in made.items():
        before = ledger.get(kind, *key)
        if before is None or replace(before, updated_ms=0) != replace(row, updated_ms=0):
            ledger.put(row)
            changed += 1
    return Done({"rows": len(made), "changed": changed, "new": len(new)})


def _wanted(
    ledger: Ledger, kind: str, own: dict[str, str], fields: dict[str, Any], told: Told
) -> Any:
    if kind == "supplier":
        return _supplier(ledger, own["supplier"], fields, told)
    return _supply(ledger, own["sku"], own["store"], fields, told)


KEYS = {"supplier": ("supplier",), "supply": ("sku", "store")}


def put_supplier(ledger: Ledger, command: PutSupplier, told: Told) -> Outcome:
    """The row as it is now."""
    row = _supplier(ledger, command.supplier, command.fields, told)
    if isinstance(row, Refused):
        return row
    ledger.put(row)
    return Done(row)


def _supplier(ledger: Ledger, name: str, fields: dict[str, Any], told: Told) -> Any:
    before = ledger.get(Supplier, name)
    stays = msgspec.structs.asdict(before) if before else {"created_ms": told.at_ms}
    return _made(Supplier, stays, fields, {"supplier": name}, told)


def put_supply(ledger: Ledger, command: PutSupply, told: Told) -> Outcome:
    """The row as it is now."""
    row = _supply(ledger, command.sku, command.store, command.fields, told)
    if isinstance(row, Refused):
        return row
    ledger.put(row)
    return Done(row)


def _supply(ledger: Ledger, sku: str, store: str, fields: dict[str, Any], told: Told) -> Any:
    before = terms_of(ledger, sku, store)
    stays = msgspec.structs.asdict(before) if before else {}
    row = _made(Supply, stays, fields, {"sku": sku, "store": store}, told)
    if isinstance(row, Supply) and row.supplier and ledger.get(Supplier, row.supplier) is None:
        return Refused("invalid", f"there is no supplier {row.supplier!r}: put it first")
    return row


def _made(
    kind: type[Any], stays: dict[str, Any], fields: dict[str, Any], own: dict[str, str], told: Told
) -> Any:
    strange = [name for name in fields if name not in kind.__struct_fields__ or name in COUNTED]
    if strange:
        return Refused("invalid", f"{strange[0]!r} is not a field")
    try:
        row = msgspec.convert(stays | fields | own | {"updated_ms": told.at_ms}, kind)
    except msgspec.ValidationError as error:
        return Refused("invalid", str(error))
    wrong = _wrong(row)
    return Refused("invalid", wrong) if wrong else row


def _wrong(row: Supplier | Supply) -> str:
    """What makes no sense in a row; empty: nothing."""
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if name in COUNTED:  # ours, and moments are larger than any figure
            continue
        if isinstance(value, int | float) and not 0 <= value < 1e12:
            return f"{name} is {value}: at least 0 is expected"
        if isinstance(value, float) and name.endswith("_days") and value > DAYS_MOST:
            return f"{name} is {value}: at most {DAYS_MOST:g} days are expected"
        if isinstance(value, str) and len(value) > (255 if name in _KEYS else 2_000):
            return f"{name} is too long"
    key = row.supplier if isinstance(row, Supplier) else row.sku
    if not key:
        return "the name must not be empty"
    if isinstance(row, Supply):
        if row.pack_units <= 0:
            return "pack_units must be above 0"
        if row.service_level is not None and not 0.5 <= row.service_level <= 0.999:
            return f"service_level is {row.service_level}: it lies between 0.5 and 0.999"
    return ""


_KEYS = frozenset({"supplier", "sku", "store"})


def drop_supplier(ledger: Ledger, command: DropSupplier, told: Told) -> Outcome:
    """Refused while something names it."""
    held = ledger.by(Supply, "supplier", command.supplier)
    if held:
        words = f"{len(held)} terms name it, such as those of {held[0].sku!r}: change them first"
        return Refused("conflict", words)
    if not ledger.drop(Supplier, command.supplier):
        return Refused("unknown", f"there is no supplier {command.supplier!r}")
    return Done({"dropped": command.supplier})


def drop_supply(ledger: Ledger, command: DropSupply, told: Told) -> Outcome:
    """The terms go; those of ``*`` hold then."""
    if not ledger.drop(Supply, command.sku, command.store):
        where = f" in {command.store!r}" if command.store else ""
        return Refused("unknown", f"there are no terms of {command.sku!r}{where}")
    return Done({"dropped": command.sku, "store": command.store})


def terms_of(ledger: Ledger, sku: str, store: str) -> Supply | None:
    """The terms that hold for a class in a store: its own, those of all stores, those of ``*``."""
    for name in (sku, EVERY):
        for place in (store, ""):
            found = ledger.get(Supply, name, place)
            if found is not None:
                return found
    return None


def learn(ledger: Ledger, supplier: str, days: float, *, named: bool) -> None:
    """An order of this supplier came after so many days.

    ``named``: what came said so itself. Otherwise it was taken for the oldest order that is open, which
    may be one that never came: such an order is believed to have taken ``BELIEVED_MOST`` times what is
    usual, and no longer.
    """
    row = ledger.get(Supplier, supplier)
    if row is None or not 0 <= days < DAYS_MOST:
        return
    if not named:
        usual = row.lead_seen_days if row.orders_seen >= USUAL_ORDERS else row.lead_days
        days = min(days, BELIEVED_MOST * max(usual, 1.0))
    n = row.orders_seen + 1
    mean = row.lead_seen_days + (days - row.lead_seen_days) / n
    square = row.lead_seen_square + (days - row.lead_seen_days) * (days - mean)
    ledger.put(
        msgspec.structs.replace(
            row, orders_seen=n, lead_seen_days=mean, lead_seen_square=max(square, 0.0)
        )
    )


def seen_variance(row: Supplier) -> float:
    """Variance of the days that orders took; NaN with fewer than two."""
    return row.lead_seen_square / (row.orders_seen - 1) if row.orders_seen > 1 else math.nan


DEEDS: dict[type[Command], Deed] = {
    PutSupplier: put_supplier,
    DropSupplier: drop_supplier,
    PutSupply: put_supply,
    PutPurchasing: put_many,
    DropSupply: drop_supply,
}
