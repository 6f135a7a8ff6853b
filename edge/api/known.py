"""Whether what somebody names is there at all: classes, items, packs. Refuses, and says what to do.

A class is known once anything was told of it (an event, a count, a price) or once it stands in the
catalogue. What nobody knows is a slip of the pen far more often than a new class.
"""

from difflib import get_close_matches
from urllib.parse import quote

from edge.api.empty import strange_store
from edge.api.endpoint import Api
from edge.api.problems import Problem
from edge.api.state import identity_of
from edge.commands import DecisionKind
from edge.view_known import KnownView

NEAR_MOST = 3
"""Classes of a similar name that a refusal shows."""
LONG = 64
"""Longer names are compared with none."""
OF_A_CLASS: frozenset[DecisionKind] = frozenset({"restock", "pricing"})


def need_class(api: Api, sku: str, *stores: str) -> None:
    """Raises Problem ``unknown-class`` unless the class is known, in each of the stores if some are named."""
    view = api.view_of(KnownView)
    for store in stores or ("",):
        if not view.knows_class(sku, store):
            raise unknown_class(api, sku, store)


def need_store(api: Api, store: str | None) -> None:
    """Raises Problem ``unknown-store``, unless none is named."""
    why = strange_store(api, store)
    if why:
        raise Problem("unknown-store", why)


def unknown_class(api: Api, sku: str, store: str = "") -> Problem:
    """The refusal, with what is known instead: other stores, the catalogue, classes of a similar name."""
    view = api.view_of(KnownView)
    where = f" in store {store!r}" if store else ""
    detail = f"Nothing is known about class {sku!r}{where}."
    elsewhere = view.stores_of(sku) if store else []
    if elsewhere:
        cure = f"It is known in {', '.join(elsewhere)}: name one of these stores."
    elif view.in_catalogue(sku):
        cure = "It stands in the catalogue: its first sale, rental or count (POST /api/events) is needed."
    else:
        near = get_close_matches(sku, view.alike(sku), NEAR_MOST) if len(sku) <= LONG else []
        alike = f" Similar ones are {', '.join(near)}." if near else ""
        made = f"/api/catalogue/classes/{quote(sku, safe='')}"
        cure = (
            f"Look it up in /api/classes.{alike} A new one is made known by PUT {made}, or by its "
            "first sale, rental or count (POST /api/events)."
        )
    return Problem("unknown-class", detail, cure=cure)


def need_target(api: Api, kind: DecisionKind, target: str, store: str) -> None:
    """What a decision is about must be there. Raises Problem ``unknown-class``, ``unknown-item``, ``unknown``."""
    view = api.view_of(KnownView)
    if kind in OF_A_CLASS:
        need_class(api, target, store)
    elif kind == "maintenance" and not view.knows_item(identity_of(target)):
        raise Problem(
            "unknown-item",
            f"Nothing is known about item {target!r}.",
            cure="Look it up in /api/items; a new one is made known by its first scan or read.",
        )
    elif kind == "pack_dissolve" and not view.knows_pack(target):
        raise Problem(
            "unknown",
            f"There is no pack {target!r}.",
            cure="See GET /api/predictive/packs/performance-analysis.",
        )


def place_of(api: Api, kind: DecisionKind, target: str) -> str:
    """The store of what a decision is about, as the services name it; empty: of all stores.

    A proposal that names none is so the same as the service's own. Raises Problem ``invalid`` for a
    restock of a class that several stores know: goods are sent to one.
    """
    view = api.view_of(KnownView)
    if kind == "maintenance":
        return view.store_of_item(identity_of(target))
    if kind == "pack_dissolve":
        return view.store_of_pack(target)
    if kind not in OF_A_CLASS:
        return ""
    stores = view.stores_of(target) or [api.settings.shop.store]
    if len(stores) == 1:
        return stores[0]
    if kind == "restock":
        detail = f"{target!r} is known in {', '.join(stores)}: name the store to restock."
        raise Problem("invalid", detail, cure='Send it as "store": "' + stores[0] + '".')
    return ""
