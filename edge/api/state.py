"""What is where and how it moves: items, classes, zones, readers, unknown tags, the catalogue.

Nothing here awaits between two reads of the view, so every answer stands for one revision.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct, field

from edge.api.empty import strange, strange_place
from edge.api.endpoint import Api, Call, Endpoint, Path, Query
from edge.api.etag import tag_of
from edge.api.paging import cursor, position
from edge.api.problems import Problem
from edge.api.query import Cursor, Limit, Text
from edge.api.tags import fixed_tag, state_tag
from edge.errors import FormatError
from edge.ingest.formats.values import identity
from edge.view_basis import why_empty
from edge.view_types import (
    ClassDetail,
    ClassRow,
    FeatureRow,
    ItemDetail,
    ItemRow,
    ReaderRow,
    TimelineRow,
    UnknownTag,
    ZoneRow,
)


class ItemsQuery(Query):
    """Which items."""

    zone: Text | None = None
    """Only items in this zone, or last seen there."""
    sku: Text | None = None
    """Only items of this class."""
    status: Text | None = None
    """Only items in this status; upper and lower case do not matter."""
    cursor: Cursor | None = None
    """``next_cursor`` of the page before."""
    limit: Limit = 100
    """Most rows in the page."""


class Items(Struct):
    """A page of items."""

    revision: int
    """The revision the page belongs to."""
    as_of_ms: int
    """The moment it stands for."""
    items: list[ItemRow]
    """The rows."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""
    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""


class ItemPath(Path):
    """Which item."""

    epc: Text
    """Identity: hex in either case, with or without ``-``, ``:`` and spaces; or any other text."""


class ItemQuery(Query):
    """How much of an item's story."""

    events: Annotated[int, Meta(ge=0, le=200)] = 20
    """Most timeline lines, newest first."""


class Item(Struct):
    """One item: state, features, recent events."""

    revision: int
    """The revision the state belongs to."""
    as_of_ms: int
    """The moment it stands for."""
    item: ItemDetail
    """State and features."""
    events: list[TimelineRow]
    """The newest lines of its story, newest first."""


class ClassesQuery(Query):
    """Which classes."""

    store: Text | None = None
    """Only classes of this store."""
    category: Text | None = None
    """Only classes of this category."""
    cursor: Cursor | None = None
    """``next_cursor`` of the page before."""
    limit: Limit = 100
    """Most rows in the page."""


class Classes(Struct):
    """A page of classes."""

    revision: int
    """The revision the page belongs to."""
    as_of_ms: int
    """The moment it stands for."""
    classes: list[ClassRow]
    """The rows."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""
    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""


class ClassPath(Path):
    """Which class."""

    sku: Text
    """Class or SKU."""


class ClassQuery(Query):
    """Which store, and how much history."""

    store: Text | None = None
    """The store; without it the configured one."""
    days: Annotated[int, Meta(ge=0, le=400)] = 28
    """Most days of history."""


class Class(Struct):
    """One class in one store."""

    revision: int
    """The revision it belongs to."""
    as_of_ms: int
    """The moment it stands for."""
    class_: ClassDetail = field(name="class")
    """State, features and history."""


class Zones(Struct):
    """Every zone."""

    revision: int
    """The revision they belong to."""
    as_of_ms: int
    """The moment they stand for."""
    zones: list[ZoneRow]
    """The rows."""


class Readers(Struct):
    """Every reader."""

    revision: int
    """The revision they belong to."""
    as_of_ms: int
    """The moment they stand for."""
    readers: list[ReaderRow]
    """The rows."""


class PageQuery(Query):
    """Which page."""

    cursor: Cursor | None = None
    """``next_cursor`` of the page before."""
    limit: Limit = 100
    """Most rows in the page."""


class UnknownTags(Struct):
    """A page of tags nobody has linked."""

    revision: int
    """The revision the page belongs to."""
    as_of_ms: int
    """The moment it stands for."""
    tags: list[UnknownTag]
    """The rows."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""
    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""


class Catalogue(Struct):
    """Every feature that answers may carry."""

    features: list[FeatureRow]
    """The rows."""


def _start(text: str | None, listing: str, *filters: str | None) -> int:
    return position(text, listing, filters, (0,))[0] if text else 0


def _next(next_start: int | None, listing: str, *filters: str | None) -> str | None:
    return None if next_start is None else cursor(listing, filters, next_start)


def list_items(api: Api, call: Call[ItemsQuery, Path]) -> Items:
    """One page of items that pass the filters."""
    query = call.query
    filters = (query.zone, query.sku, query.status)
    page = api.view.items(
        zone=query.zone,
        sku=query.sku,
        status=query.status,
        start=_start(query.cursor, "items", *filters),
        limit=query.limit,
    )
    following = _next(page.next_start, "items", *filters)
    why = why_empty(page.items, *_no_item(api, query)) if not page.items else ""
    return Items(api.view.revision, api.view.now_ms, page.items, following, why)


def _no_item(api: Api, query: ItemsQuery) -> tuple[tuple[bool, str], ...]:
    unknown = strange(api, query) or strange_place(api, query.zone, query.status)
    asked = (query.zone, query.sku, query.status, query.cursor) != (None,) * 4
    return (unknown != "", unknown), (not asked, _NO_ITEM)


_NO_ITEM = (
    "No tag was seen or linked yet: point the readers at the broker (docs/connect.md), or send events "
    "(POST /api/events, docs/events.md)."
)
_NO_CLASS = (
    "Nothing was told of any class yet: link a tag to one, or send the till's lines (POST /api/events, "
    "docs/events.md)."
)


def identity_of(text: str) -> str:
    """The identity as it is kept: hex in upper case without separators, other text trimmed.

    >>> identity_of("e2-80:11 60"), identity_of("QR-0042-tent")
    ('E2801160', 'QR-0042-tent')

    Raises Problem ``bad-path``.
    """
    try:
        return identity(text)
    except FormatError as error:
        raise Problem("bad-path", error.detail, part="epc") from None


async def get_item(api: Api, call: Call[ItemQuery, ItemPath]) -> Item:
    """One item; its state is read in one piece before its story is fetched."""
    epc = identity_of(call.path.epc)
    found = api.view.item(epc)
    if found is None:
        raise Problem("unknown-item", f"Nothing is known about {epc!r}.")
    revision, now_ms = api.view.revision, api.view.now_ms
    limit = call.query.events
    entries = await api.tables.timeline(found.epc, limit=limit) if limit else []
    events = [TimelineRow(e.at_ms, e.kind, Raw(e.detail.encode() or b"{}")) for e in entries]
    return Item(revision, now_ms, found, events)


def item_tag(api: Api, call: Call[ItemQuery, ItemPath]) -> str | None:
    """The item's own tag: its revision, and how far the tables have caught up with it.

    The story is read from tables that may lag behind the state for a moment, so the tag changes
    once more when they have caught up, and then stands still.
    """
    revision = api.view.item_revision(identity_of(call.path.epc))
    if revision is None:
        return None
    return tag_of(api.instance, revision, min(revision, api.tables.revision))


def list_classes(api: Api, call: Call[ClassesQuery, Path]) -> Classes:
    """One page of classes that pass the filters."""
    query = call.query
    filters = (query.store, query.category)
    page = api.view.classes(
        store=query.store,
        category=query.category,
        start=_start(query.cursor, "classes", *filters),
        limit=query.limit,
    )
    following = _next(page.next_start, "classes", *filters)
    why = ""
    if not page.classes:
        unknown, asked = strange(api, query), (*filters, query.cursor) != (None,) * 3
        why = why_empty([], (unknown != "", unknown), (not asked, _NO_CLASS))
    return Classes(api.view.revision, api.view.now_ms, page.classes, following, why)


def get_class(api: Api, call: Call[ClassQuery, ClassPath]) -> Class:
    """One class in one store."""
    store = call.query.store or api.settings.shop.store
    found = api.view.class_detail(call.path.sku, store, call.query.days)
    if found is None:
        detail = f"Nothing is known about class {call.path.sku!r} in store {store!r}."
        raise Problem("unknown-class", detail)
    return Class(api.view.revision, api.view.now_ms, found)


def list_zones(api: Api, call: Call[Query, Path]) -> Zones:
    """Every zone."""
    return Zones(api.view.revision, api.view.now_ms, api.view.zones())


def list_readers(api: Api, call: Call[Query, Path]) -> Readers:
    """Every reader."""
    return Readers(api.view.revision, api.view.now_ms, api.view.readers())


def list_unknown_tags(api: Api, call: Call[PageQuery, Path]) -> UnknownTags:
    """One page of tags nobody has linked."""
    start = _start(call.query.cursor, "unknown-tags")
    page = api.view.unknown_tags(start=start, limit=call.query.limit)
    following = _next(page.next_start, "unknown-tags")
    why = why_empty(page.tags, (not page.tags and call.query.cursor is None, _NO_STRANGER))
    return UnknownTags(api.view.revision, api.view.now_ms, page.tags, following, why)


_NO_STRANGER = (
    "Every tag that was seen is linked to a class, or none was seen yet: GET /api/items lists them."
)


def list_features(api: Api, call: Call[Query, Path]) -> Catalogue:
    """The catalogue."""
    return Catalogue(api.view.features())


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/items",
        "items",
        "Items, by zone, class and status.",
        list_items,
        Items,
        area="state",
        query=ItemsQuery,
        tag=state_tag,
        problems=("bad-cursor",),
    ),
    Endpoint(
        "GET",
        "/api/items/{epc}",
        "item",
        "One item: state, features, decoded EPC, recent events.",
        get_item,
        Item,
        area="state",
        query=ItemQuery,
        parts=ItemPath,
        tag=item_tag,
        problems=("unknown-item",),
    ),
    Endpoint(
        "GET",
        "/api/classes",
        "classes",
        "Classes, by store and category.",
        list_classes,
        Classes,
        area="state",
        query=ClassesQuery,
        tag=state_tag,
        problems=("bad-cursor",),
    ),
    Endpoint(
        "GET",
        "/api/classes/{sku}",
        "class",
        "One class in one store: features and daily history.",
        get_class,
        Class,
        area="state",
        query=ClassQuery,
        parts=ClassPath,
        tag=state_tag,
        problems=("unknown-class",),
    ),
    Endpoint(
        "GET",
        "/api/zones",
        "zones",
        "Every zone, with what is in it.",
        list_zones,
        Zones,
        area="state",
        tag=state_tag,
    ),
    Endpoint(
        "GET",
        "/api/readers",
        "readers",
        "Every reader, and whether it can see.",
        list_readers,
        Readers,
        area="state",
        tag=state_tag,
    ),
    Endpoint(
        "GET",
        "/api/unknown-tags",
        "unknown_tags",
        "Tags nobody has linked to a class.",
        list_unknown_tags,
        UnknownTags,
        area="state",
        query=PageQuery,
        tag=state_tag,
        problems=("bad-cursor",),
    ),
    Endpoint(
        "GET",
        "/api/features",
        "features",
        "The feature catalogue.",
        list_features,
        Catalogue,
        area="state",
        tag=fixed_tag,
    ),
)
