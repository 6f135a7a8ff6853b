"""Empty lists whose filter names a store, a category or a class that nobody knows say so. No routing.

One place for every endpoint that lists rows: what a filter may name is asked of the state and of the
catalogue, only where the list is empty.
"""

from typing import Any

import msgspec
from msgspec import Struct

from edge.api.endpoint import Api, Query
from edge.view_known import KnownView

ALL = "all"


def explained(api: Api, field: str, query: Query, made: Any) -> Any:
    """The same answer; if its list ``field`` is empty, with ``why_empty`` naming what nobody knows.

    Without a ``field`` the answer itself says by its ``why_empty`` that it is empty.
    """
    if not isinstance(made, Struct) or not hasattr(made, "why_empty"):
        return made
    if getattr(made, field) if field else not made.why_empty:
        return made
    why = strange(api, query)
    return msgspec.structs.replace(made, why_empty=why) if why else made


def strange(api: Api, query: Query) -> str:
    """What the query names that nobody knows, in words; empty: nothing."""
    if api.views is None:
        return ""
    view = api.view_of(KnownView)
    store, category, sku = (getattr(query, name, None) for name in ("store", "category", "sku"))
    if why := strange_store(api, store):
        return why
    if category and not view.knows_category(category):
        known = ", ".join(view.categories()) or "none yet: name them in the catalogue"
        return f"No class is of category {category!r}; there are {known}."
    if sku and not view.knows_class(sku):
        near = ", ".join(view.alike(sku)[:3])
        alike = f"; similar ones are {near}" if near else ""
        return f"Nothing is known about class {sku!r}{alike}. See /api/classes."
    return ""


def strange_store(api: Api, store: str | None) -> str:
    """A store that nobody knows, in words; empty: it is known, or none is named."""
    if api.views is None or not store or store.lower() == ALL:
        return ""
    view = api.view_of(KnownView)
    if view.knows_store(store):
        return ""
    return f"No store is called {store!r}; there are {', '.join(view.stores())}."


def strange_place(api: Api, zone: str | None, status: str | None) -> str:
    """Which of an item's zone and status nobody knows, in words; empty: neither."""
    if api.views is None:
        return ""
    view = api.view_of(KnownView)
    if zone and not view.knows_zone(zone):
        return f"No zone is called {zone!r}; there are {_listed(view.zones(), 'none: name them in [[zones]]')}."
    if status and not view.knows_status(status):
        return f"No item was ever {status!r}; they were {_listed(view.statuses(), 'nothing yet')}."
    return ""


def strange_reader(api: Api, reader: str | None) -> str:
    """A reader that nobody knows, in words; empty: it is known, or none is named."""
    if api.views is None or not reader:
        return ""
    view = api.view_of(KnownView)
    if view.knows_reader(reader):
        return ""
    return f"No reader is called {reader!r}; there are {_listed(view.readers(), 'none yet')}."


def strange_reason(api: Api, reason: str | None) -> str:
    """A reason for which nothing became a dead letter, in words; empty: there is one, or none is named."""
    if api.views is None or not reason:
        return ""
    known = api.view_of(KnownView).dead_reasons()
    if reason in known:
        return ""
    return f"No dead letter was {reason!r}; they were {_listed(known, 'none so far')}."


def _listed(names: list[str], nothing: str) -> str:
    return ", ".join(names) or nothing
