"""The catalogue: classes, categories and stores with what people say of them. Pure.

What is counted of a class stands in its features; here stands what nobody can count: prices as
listed, what a lost unit costs, who cares for it. Rows are put in bunches, all or none.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from edge.commands import Command, Done, Outcome, Refused, Told
from edge.ledger.ledger import Deed, Ledger, Table

Kind = Literal["class", "category", "store"]


class CatalogueClass(Struct, frozen=True, kw_only=True):
    """What people say of a rental class or SKU."""

    sku: str
    """Class or SKU (RFID3 ``rental_class_id``)."""
    name: str = ""
    """Common name."""
    short_name: str = ""
    """Short common name, for handhelds and labels."""
    description: str = ""
    """Free words."""
    category: str = ""
    """Category."""
    subcategory: str = ""
    """Subcategory."""
    brand: str = ""
    """Brand or manufacturer."""
    bin: str = ""
    """Usual bin or rack."""
    offered_for: Literal["rental", "sale", "both"] = "rental"
    """What it is there for."""
    price_cents: int = 0
    """List price of a unit, for a rental or a sale, cents; 0: not told."""
    cost_cents: int = 0
    """Cost of a unit, cents; 0: not told."""
    replacement_cents: int = 0
    """What a unit that does not come back is charged, cents; 0: its cost."""
    damage_cents: int = 0
    """What a unit that comes back damaged is charged, cents; 0: ``contracts.damage_share`` of that."""
    supplier: str = ""
    """Usual supplier."""
    lead_time_days: float = 0.0
    """Days from order to receipt; 0: the supplier's."""
    life_days: int = 0
    """Days a unit is expected to serve; 0: not told."""
    turn_days: float = 0.0
    """Days from return until a unit can go out again; 0: not told."""
    active: bool = True
    """Whether it is still bought and offered."""
    attributes: dict[str, str | int | float | bool] = {}
    """Anything else: size, colour, material."""
    created_ms: int = 0
    """When it was first put here."""
    updated_ms: int = 0
    """When it was last changed here."""


class CatalogueCategory(Struct, frozen=True, kw_only=True):
    """What people say of a category."""

    name: str
    """Category."""
    parent: str = ""
    """Category above it."""
    crew: str = ""
    """Who cares for its items: Tent, Linen, Service."""
    description: str = ""
    """Free words."""
    attributes: dict[str, str | int | float | bool] = {}
    """Anything else."""
    created_ms: int = 0
    """When it was first put here."""
    updated_ms: int = 0
    """When it was last changed here."""


class CatalogueStore(Struct, frozen=True, kw_only=True):
    """What people say of a store."""

    store: str
    """Name of the store, as events tell it."""
    name: str = ""
    """Name for people."""
    city: str = ""
    """Place."""
    country: str = ""
    """Country, ISO 3166-1 alpha-2."""
    latitude: float | None = None
    """Degrees north."""
    longitude: float | None = None
    """Degrees east."""
    opened_on: str = ""
    """Day it opened, ``YYYY-MM-DD``."""
    active: bool = True
    """Whether it is open."""
    attributes: dict[str, str | int | float | bool] = {}
    """Anything else: area, staff."""
    created_ms: int = 0
    """When it was first put here."""
    updated_ms: int = 0
    """When it was last changed here."""


ROWS: dict[Kind, type[Struct]] = {
    "class": CatalogueClass,
    "category": CatalogueCategory,
    "store": CatalogueStore,
}
KEYS: dict[Kind, str] = {"class": "sku", "category": "name", "store": "store"}
OWN = frozenset({"created_ms", "updated_ms"})
"""Fields that nobody can put."""

TABLES = (
    Table(
        "catalogue_classes",
        CatalogueClass,
        ("sku",),
        20_000,
        index=("category",),
        ordered=("sku",),
    ),
    Table("catalogue_categories", CatalogueCategory, ("name",), 2_000),
    Table("catalogue_stores", CatalogueStore, ("store",), 1_000),
)


class PutCatalogue(Command, tag="put_catalogue", kw_only=True):
    """Put rows into the catalogue, all or none. The rest of a new row stands as by default."""

    kind: Kind
    """What the rows are."""
    rows: list[dict[str, Any]]
    """Fields of each row, its key among them."""
    merge: bool = False
    """Whether fields that a row does not name stay as they are, instead of going back."""
    must_exist: bool = False
    """Whether a row that is not there is refused."""


class DropCatalogue(Command, tag="drop_catalogue", kw_only=True):
    """Take one row out of the catalogue; what was counted stays."""

    kind: Kind
    """What it is."""
    name: str
    """SKU of a class, name of a category, or store."""


def put(ledger: Ledger, command: PutCatalogue, told: Told) -> Outcome:
    """The rows as they are now; for more than one only how many changed."""
    made: dict[str, Struct] = {}
    for number, fields in enumerate(command.rows, 1):
        row = _made(ledger, command, fields, told, number)
        if isinstance(row, Refused):
            return row
        made[getattr(row, KEYS[command.kind])] = row
    kind = ROWS[command.kind]
    new = [name for name in made if ledger.get(kind, name) is None]
    if len(new) > ledger.room(kind):
        return Refused("limit", f"there is room for {ledger.room(kind)} more rows, not {len(new)}")
    changed = 0
    for name, row in made.items():
        before = ledger.get(kind, name)
        if before is None or _without(before) != _without(row):
            ledger.put(row)
            changed += 1
    if len(made) == 1:
        return Done(ledger.get(kind, next(iter(made))))
    return Done({"rows": len(made), "changed": changed, "new": len(new)})


def _made(
    ledger: Ledger, command: PutCatalogue, fields: dict[str, Any], told: Told, number: int
) -> Struct | Refused:
    """The row that these fields make of what there is."""
    kind, key = ROWS[command.kind], KEYS[command.kind]
    where = f"row {number}: " if len(command.rows) > 1 else ""
    strange = [n for n in fields if n not in kind.__struct_fields__ or n in OWN]
    name = fields.get(key)
    if strange or not isinstance(name, str) or not name:
        fault = f"{strange[0]!r} is not a field" if strange else f"{key!r} is needed"
        return Refused("invalid", f"{where}{fault}")
    before = ledger.get(kind, name)
    if before is None and command.must_exist:
        return Refused("unknown", f"{where}there is no {command.kind} {name!r} in the catalogue")
    stays = msgspec.structs.asdict(before) if before is not None and command.merge else {}
    created_ms = getattr(before, "created_ms", 0) or told.at_ms
    whole = stays | fields | {"created_ms": created_ms, "updated_ms": told.at_ms}
    try:
        row = msgspec.convert(whole, kind)
    except msgspec.ValidationError as error:
        return Refused("invalid", f"{where}{error}")
    fault = wrong(row)
    return Refused("invalid", f"{where}{fault}") if fault else row


def wrong(row: Struct) -> str:
    """What makes no sense in a row; empty: nothing."""
    for name in row.__struct_fields__:
        value = getattr(row, name)
        signed = name in ("latitude", "longitude")
        if isinstance(value, int | float) and not signed and not 0 <= value < 1e15:
            return f"{name} is {value}: at least 0 is expected"
        if isinstance(value, str) and len(value) > 2_000:
            return f"{name} is longer than 2,000 characters"
    if isinstance(row, CatalogueStore):
        north, east = row.latitude or 0.0, row.longitude or 0.0
        if not (abs(north) <= 90 and abs(east) <= 180):
            return "latitude is within 90 degrees, longitude within 180"
    if isinstance(row, CatalogueCategory) and row.parent == row.name:
        return "a category is not its own parent"
    key = getattr(row, row.__struct_fields__[0])
    return f"{row.__struct_fields__[0]} is longer than 255 characters" if len(key) > 255 else ""


def _without(row: Struct) -> tuple[Any, ...]:
    return tuple([getattr(row, name) for name in row.__struct_fields__ if name not in OWN])


def drop(ledger: Ledger, command: DropCatalogue, told: Told) -> Outcome:
    """A category is kept as long as classes name it."""
    if command.kind == "category":
        held = ledger.by(CatalogueClass, "category", command.name)
        if held:
            words = f"{len(held)} classes are of it, such as {held[0].sku!r}: change them first"
            return Refused("conflict", words)
    if not ledger.drop(ROWS[command.kind], command.name):
        words = f"there is no {command.kind} {command.name!r} in the catalogue"
        return Refused("unknown", words)
    return Done({"dropped": command.name})


DEEDS: dict[type[Command], Deed] = {PutCatalogue: put, DropCatalogue: drop}
