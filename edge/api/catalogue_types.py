"""What ``/api/catalogue`` takes and gives: queries, bodies, answers. Structs only."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from edge.api.body import Body
from edge.api.commands import CommandAnswer
from edge.api.endpoint import Path, Query
from edge.api.lists import ListQuery
from edge.api.query import Text
from edge.ledger.catalogue import CatalogueCategory, CatalogueClass, CatalogueStore
from edge.view_basis import Basis, Listed

Word = Annotated[str, Meta(max_length=2_000)]
Cents = Annotated[int, Meta(ge=0, le=10**12)]
Attributes = dict[str, str | int | float | bool]


class ClassFields(Body):
    """What is to be said of a class; what is left out goes back to its default (PUT) or stays (PATCH)."""

    name: Word | UnsetType = UNSET
    """Common name."""
    short_name: Word | UnsetType = UNSET
    """Short common name, for handhelds and labels."""
    description: Word | UnsetType = UNSET
    """Free words."""
    category: Word | UnsetType = UNSET
    """Category."""
    subcategory: Word | UnsetType = UNSET
    """Subcategory."""
    brand: Word | UnsetType = UNSET
    """Brand or manufacturer."""
    bin: Word | UnsetType = UNSET
    """Usual bin or rack."""
    offered_for: Literal["rental", "sale", "both"] | UnsetType = UNSET
    """What it is there for."""
    price_cents: Cents | UnsetType = UNSET
    """List price of a unit, cents."""
    cost_cents: Cents | UnsetType = UNSET
    """Cost of a unit, cents."""
    replacement_cents: Cents | UnsetType = UNSET
    """What a unit that does not come back is charged, cents; 0: its cost."""
    damage_cents: Cents | UnsetType = UNSET
    """What a unit that comes back damaged is charged, cents; 0: a share of that."""
    supplier: Word | UnsetType = UNSET
    """Usual supplier."""
    lead_time_days: Annotated[float, Meta(ge=0, le=3650)] | UnsetType = UNSET
    """Days from order to receipt."""
    life_days: Annotated[int, Meta(ge=0, le=36500)] | UnsetType = UNSET
    """Days a unit is expected to serve."""
    turn_days: Annotated[float, Meta(ge=0, le=3650)] | UnsetType = UNSET
    """Days from return until a unit can go out again."""
    active: bool | UnsetType = UNSET
    """Whether it is still bought and offered."""
    attributes: Attributes | UnsetType = UNSET
    """Anything else: size, colour, material."""


class CategoryFields(Body):
    """What is to be said of a category; as of classes."""

    parent: Word | UnsetType = UNSET
    """Category above it."""
    crew: Word | UnsetType = UNSET
    """Who cares for its items."""
    description: Word | UnsetType = UNSET
    """Free words."""
    attributes: Attributes | UnsetType = UNSET
    """Anything else."""


class StoreFields(Body):
    """What is to be said of a store; as of classes."""

    name: Word | UnsetType = UNSET
    """Name for people."""
    city: Word | UnsetType = UNSET
    """Place."""
    country: Word | UnsetType = UNSET
    """Country, ISO 3166-1 alpha-2."""
    latitude: Annotated[float, Meta(ge=-90, le=90)] | UnsetType | None = UNSET
    """Degrees north."""
    longitude: Annotated[float, Meta(ge=-180, le=180)] | UnsetType | None = UNSET
    """Degrees east."""
    opened_on: Word | UnsetType = UNSET
    """Day it opened, ``YYYY-MM-DD``."""
    active: bool | UnsetType = UNSET
    """Whether it is open."""
    attributes: Attributes | UnsetType = UNSET
    """Anything else."""


class ClassesQuery(ListQuery):
    """Which classes."""

    category: Text | None = None
    """Only of this category."""
    subcategory: Text | None = None
    """Only of this subcategory."""
    supplier: Text | None = None
    """Only of this supplier."""
    offered_for: Literal["rental", "sale", "both"] | None = None
    """Only those there for this."""
    active: bool | None = None
    """Only those still offered, or only those no longer."""
    search: Text | None = None
    """Only those with this in SKU or name; upper and lower case do not matter."""


class CategoriesQuery(ListQuery):
    """Which categories."""

    parent: Text | None = None
    """Only those below this one."""
    crew: Text | None = None
    """Only those of this crew."""


class StoresQuery(ListQuery):
    """Which stores."""

    country: Text | None = None
    """Only of this country."""
    active: bool | None = None
    """Only those open, or only those closed."""


class ClassList(Listed, kw_only=True):
    """A page of classes of the catalogue."""

    classes: list[CatalogueClass]
    """The rows."""


class CategoryList(Listed, kw_only=True):
    """A page of categories of the catalogue."""

    categories: list[CatalogueCategory]
    """The rows."""


class StoreList(Listed, kw_only=True):
    """A page of stores of the catalogue."""

    stores: list[CatalogueStore]
    """The rows."""


class OneClass(Struct, kw_only=True):
    """One class of the catalogue."""

    basis: Basis
    """What it stands on."""
    row: CatalogueClass
    """What people say of it."""
    seen_in: list[str]
    """Stores in which something of it was ever told: see ``/api/classes/{sku}``."""


class OneCategory(Struct, kw_only=True):
    """One category of the catalogue."""

    basis: Basis
    """What it stands on."""
    row: CatalogueCategory
    """What people say of it."""
    classes: int
    """Classes of it in the catalogue."""


class OneStore(Struct, kw_only=True):
    """One store of the catalogue."""

    basis: Basis
    """What it stands on."""
    row: CatalogueStore
    """What people say of it."""


class ClassPath(Path):
    """Which class."""

    sku: Text
    """Class or SKU."""


class CategoryPath(Path):
    """Which category."""

    name: Text
    """Category."""


class StorePath(Path):
    """Which store."""

    store: Text
    """Store."""


class ImportQuery(Query):
    """How a file is taken."""

    mode: Literal["merge", "replace"] = "merge"
    """``merge``: fields that the file does not name, or leaves empty, stay; ``replace``: a row is what
    the file says. Rows that the file does not name stay either way."""
    dry_run: bool = False
    """Only say what is wrong with it."""
    by: Text | None = None
    """Who asks, for the record."""


class ImportRefusal(Struct, gc=False):
    """One row that was refused."""

    line: int
    """Line of the file, or place in the list, from 1."""
    detail: str
    """Why, for people."""


class ImportReport(Struct, kw_only=True):
    """What became of a file: read it, whatever the status."""

    rows: int
    """Rows read."""
    put: int
    """Rows that are in the catalogue now as the file says."""
    changed: int
    """Of them those that were another before, or not there."""
    new: int
    """Of them those that were not there."""
    refused_count: int
    """Rows that were refused."""
    refused: list[ImportRefusal]
    """The first 1,000 of them."""
    pending: int
    """Rows that are durable and not decided; only with status 202."""


class PutClass(CommandAnswer, kw_only=True):
    """The class as it is now."""

    result: CatalogueClass | None = None
    """The row; null while it is not decided."""


class PutCategory(CommandAnswer, kw_only=True):
    """The category as it is now."""

    result: CatalogueCategory | None = None
    """The row; null while it is not decided."""


class PutStore(CommandAnswer, kw_only=True):
    """The store as it is now."""

    result: CatalogueStore | None = None
    """The row; null while it is not decided."""
