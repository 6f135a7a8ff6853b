"""``/api/catalogue``: classes, categories and stores: list, put, change, drop, import. No rules.

Every change is a command of the corridor; a file becomes several, so that none holds the loop.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from edge.api import catalogue_text as text
from edge.api import commands, imports
from edge.api.body import Body
from edge.api.catalogue_types import (
    CategoriesQuery,
    CategoryFields,
    CategoryList,
    CategoryPath,
    ClassesQuery,
    ClassFields,
    ClassList,
    ClassPath,
    ImportQuery,
    ImportReport,
    OneCategory,
    OneClass,
    OneStore,
    PutCategory,
    PutClass,
    PutStore,
    StoreFields,
    StoreList,
    StorePath,
    StoresQuery,
)
from edge.api.commands import KEY_HEADER, CommandAnswer
from edge.api.commands import PROBLEMS as COMMAND_PROBLEMS
from edge.api.commands import STATUSES as COMMAND_STATUSES
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.imports import Read, file_of, rows_of, taken
from edge.api.lists import Listing, ListQuery
from edge.api.problems import Problem
from edge.api.upload import CSV_TYPE, JSON_TYPE
from edge.ledger.catalogue import (
    KEYS,
    CatalogueCategory,
    CatalogueClass,
    CatalogueStore,
    DropCatalogue,
    Kind,
    PutCatalogue,
)
from edge.view_basis import why_empty
from edge.view_catalogue import CatalogueView

AREA = "catalogue"
CHUNK_ROWS = 200
"""Rows that one command of an import puts."""
IMPORT_MAX_BYTES = 16_777_216


def _found(row: CatalogueClass, wanted: str) -> bool:
    wanted = wanted.lower()
    return wanted in row.sku.lower() or wanted in row.name.lower()


CLASSES: Listing[CatalogueClass] = Listing(
    "catalogue-classes",
    key=("sku",),
    sorts=("sku", "name", "category", "price_cents", "cost_cents", "supplier", "updated_ms"),
    sort="sku",
    filters={
        **{n: n for n in ("category", "subcategory", "supplier", "offered_for", "active")},
        "search": _found,
    },
)
CATEGORIES: Listing[CatalogueCategory] = Listing(
    "catalogue-categories",
    key=("name",),
    sorts=("name", "parent", "crew", "updated_ms"),
    sort="name",
    filters={"parent": "parent", "crew": "crew"},
)
STORES: Listing[CatalogueStore] = Listing(
    "catalogue-stores",
    key=("store",),
    sorts=("store", "name", "city", "country", "opened_on", "updated_ms"),
    sort="store",
    filters={"country": "country", "active": "active"},
)


_PUT_THERE = (
    "The catalogue holds no {kind} yet: put one there (PUT /api/catalogue/{plural}/{{{key}}}), or import a "
    "file: rfid3 catalogue import {plural} FILE (docs/api-catalogue.md)."
)
_NO_CLASS = _PUT_THERE.format(kind="class", plural="classes", key="sku")
_NO_CATEGORY = _PUT_THERE.format(kind="category", plural="categories", key="name")
_NO_STORE = _PUT_THERE.format(kind="store", plural="stores", key="store")


async def list_classes(api: Api, call: Call[ClassesQuery, Path]) -> ClassList:
    """One page of classes."""
    view = api.view_of(CatalogueView)
    page = CLASSES.page_in_order(call.query, view.in_order)
    page = page or await CLASSES.page_of_many(call.query, list(view.classes()))
    return ClassList(
        basis=view.counted(),
        classes=page.rows,
        why_empty=why_empty(page.rows, (not view.classes(), _NO_CLASS)),
        next_cursor=page.next_cursor,
    )


def list_categories(api: Api, call: Call[CategoriesQuery, Path]) -> CategoryList:
    """One page of categories."""
    view = api.view_of(CatalogueView)
    page = CATEGORIES.page(call.query, view.categories())
    return CategoryList(
        basis=view.counted(),
        categories=page.rows,
        why_empty=why_empty(page.rows, (not view.categories(), _NO_CATEGORY)),
        next_cursor=page.next_cursor,
    )


def list_stores(api: Api, call: Call[StoresQuery, Path]) -> StoreList:
    """One page of stores."""
    view = api.view_of(CatalogueView)
    page = STORES.page(call.query, view.stores())
    return StoreList(
        basis=view.counted(),
        stores=page.rows,
        why_empty=why_empty(page.rows, (not view.stores(), _NO_STORE)),
        next_cursor=page.next_cursor,
    )


def _missing(kind: Kind, name: str) -> Problem:
    detail = f"There is no {kind} {name!r} in the catalogue."
    return Problem("unknown", detail, cure=f"See /api/catalogue/{PLURAL[kind]}, or put it there.")


def get_class(api: Api, call: Call[Query, ClassPath]) -> OneClass:
    """One class."""
    view = api.view_of(CatalogueView)
    row = view.one("class", call.path.sku)
    if not isinstance(row, CatalogueClass):
        raise _missing("class", call.path.sku)
    return OneClass(basis=view.counted(), row=row, seen_in=view.seen_in(row.sku))


def get_category(api: Api, call: Call[Query, CategoryPath]) -> OneCategory:
    """One category."""
    view = api.view_of(CatalogueView)
    row = view.one("category", call.path.name)
    if not isinstance(row, CatalogueCategory):
        raise _missing("category", call.path.name)
    held = sum(one.category == row.name for one in view.classes())
    return OneCategory(basis=view.counted(), row=row, classes=held)


def get_store(api: Api, call: Call[Query, StorePath]) -> OneStore:
    """One store."""
    view = api.view_of(CatalogueView)
    row = view.one("store", call.path.store)
    if not isinstance(row, CatalogueStore):
        raise _missing("store", call.path.store)
    return OneStore(basis=view.counted(), row=row)


Handler = Callable[[Api, Call[Any, Any]], Any]


def _put(kind: Kind, *, merge: bool) -> Handler:
    async def put(api: Api, call: Call[Query, Any]) -> Answer:
        name = getattr(call.path, KEYS[kind])
        fields = msgspec.to_builtins(call.body)
        told = PutCatalogue(
            kind=kind, rows=[{**fields, KEYS[kind]: name}], merge=merge, must_exist=merge
        )
        return await commands.command(api, call, told)

    return put


def _drop(kind: Kind) -> Handler:
    async def drop(api: Api, call: Call[Query, Any]) -> Answer:
        told = DropCatalogue(kind=kind, name=getattr(call.path, KEYS[kind]))
        return await commands.command(api, call, told)

    return drop


# -- files ---------------------------------------------------------------------------------------


def _import(kind: Kind) -> Handler:
    async def take(api: Api, call: Call[ImportQuery, Path]) -> Answer:
        media, body = await file_of(api, call, IMPORT_MAX_BYTES)
        rows = await asyncio.to_thread(_read, kind, media, body)
        query = call.query

        def puts(fields: list[dict[str, Any]], key: str) -> PutCatalogue:
            merge, by = query.mode == "merge", query.by or ""
            return PutCatalogue(kind=kind, rows=fields, merge=merge, by=by, key=key)

        return await taken(api, call, rows, puts, CHUNK_ROWS, query.dry_run)

    return take


def _read(kind: Kind, media: str, body: bytes) -> list[Read]:
    """Raises Problem ``bad-body``, ``bad-header-row``."""
    return [text.checked(kind, read) for read in rows_of(text.form(kind), media, body)]


# -- the table -------------------------------------------------------------------------------------

PLURAL: dict[Kind, str] = {"class": "classes", "category": "categories", "store": "stores"}
_NOTE: dict[Kind, str] = {
    "class": "Also RFID3's tables of rental classes, and lists of products with prices in whole "
    "currency, are understood.",
    "category": "",
    "store": "",
}


def _of(
    kind: Kind,
    listed: tuple[Handler, Any, type[ListQuery]],
    one: tuple[Handler, Any, type[Path]],
    fields: type[Body],
    answer: type[CommandAnswer],
) -> tuple[Endpoint, ...]:
    """The endpoints of one kind."""
    plural = PLURAL[kind]
    place, row = f"/api/catalogue/{plural}", f"/api/catalogue/{plural}/{{{KEYS[kind]}}}"
    parts = one[2]
    shared: dict[str, Any] = {
        "area": AREA,
        "parts": parts,
        "headers": KEY_HEADER,
        "statuses": COMMAND_STATUSES,
    }
    return (
        Endpoint(
            "GET",
            place,
            f"catalogue_{plural}",
            f"The {plural} of the catalogue, also as CSV.",
            listed[0],
            listed[1],
            area=AREA,
            query=listed[2],
            rows=plural,
            problems=("bad-cursor",),
        ),
        Endpoint(
            "POST",
            f"{place}/import",
            f"import_{plural}",
            f"Put many {plural} into the catalogue: CSV with a header row, or a JSON list.",
            _import(kind),
            ImportReport,
            area=AREA,
            query=ImportQuery,
            headers=KEY_HEADER,
            statuses=imports.STATUSES,
            bodies={JSON_TYPE: list[fields], CSV_TYPE: str},  # type: ignore[valid-type]
            description=_NOTE[kind],
            problems=imports.PROBLEMS,
        ),
        Endpoint(
            "GET",
            row,
            f"catalogue_{kind}",
            f"One {kind} of the catalogue.",
            one[0],
            one[1],
            area=AREA,
            parts=parts,
            problems=("unknown",),
        ),
        Endpoint(
            "PUT",
            row,
            f"put_{kind}",
            f"Put a {kind} into the catalogue, or another in its place.",
            _put(kind, merge=False),
            answer,
            body=fields,
            problems=COMMAND_PROBLEMS,
            **shared,
        ),
        Endpoint(
            "PATCH",
            row,
            f"change_{kind}",
            f"Change some fields of a {kind} of the catalogue.",
            _put(kind, merge=True),
            answer,
            body=fields,
            problems=("unknown", *COMMAND_PROBLEMS),
            **shared,
        ),
        Endpoint(
            "DELETE",
            row,
            f"drop_{kind}",
            f"Take a {kind} out of the catalogue; what was counted of it stays.",
            _drop(kind),
            CommandAnswer,
            problems=("unknown", *COMMAND_PROBLEMS),
            **shared,
        ),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    *_of(
        "class",
        (list_classes, ClassList, ClassesQuery),
        (get_class, OneClass, ClassPath),
        ClassFields,
        PutClass,
    ),
    *_of(
        "category",
        (list_categories, CategoryList, CategoriesQuery),
        (get_category, OneCategory, CategoryPath),
        CategoryFields,
        PutCategory,
    ),
    *_of(
        "store",
        (list_stores, StoreList, StoresQuery),
        (get_store, OneStore, StorePath),
        StoreFields,
        PutStore,
    ),
)
