"""What people change of stock through the API: classes put in, counted, their terms; restocks approved."""

import hashlib
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
import numpy as np
from msgspec import Meta, Struct

from edge.api.body import Body
from edge.api.books import in_slices
from edge.api.commands import (
    CREATED,
    KEY_HEADER,
    PROBLEMS,
    STATUSES,
    CommandAnswer,
    answer,
    command,
    obey,
)
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.known import need_class, need_store
from edge.api.problems import Problem
from edge.api.query import Text
from edge.api.report import Report
from edge.api.stock_plans import Cents, StockPath, planned, row_of
from edge.api.upload import idempotency_key
from edge.commands import Command, Propose
from edge.decisions.deeds import Approve
from edge.decisions.rows import Decision
from edge.errors import InboxFull
from edge.ledger.catalogue import PutCatalogue
from edge.ledger.suppliers import PutSupply
from edge.records import Message
from edge.view_inventory import InventoryView
from edge.view_inventory_types import StockRow

Units = Annotated[float, Meta(ge=0, le=1e9)]


class ItemPath(Path):
    """Which class."""

    item_id: Text
    """Class or SKU."""


class Restocking(Body):
    """Who approves, and how many."""

    store: Text | None = None
    """Store; without it the configured one."""
    units: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    """Units, where they are not those suggested."""
    by: Annotated[str, Meta(max_length=255)] = ""
    """Who approves."""
    why: Annotated[str, Meta(max_length=2000)] = ""
    """Why."""
    override: bool = False
    """Whether the daily budget may be exceeded; never the limits of a single decision."""


class RestockAnswer(CommandAnswer, kw_only=True):
    """What became of it."""

    result: Decision | None = None
    """The decision as it is now; null while it is not decided."""


class StockFields(Body):
    """What is known of a class, and how it is ordered. What is not named stays as it is."""

    store: Text | None = None
    """Store; without it the configured one."""
    quantity: Units | None = None
    """Units counted in the store now: sets the stock ledger."""
    name: Annotated[str, Meta(max_length=255)] | None = None
    """Name."""
    category: Annotated[str, Meta(max_length=255)] | None = None
    """Category."""
    price_cents: Cents | None = None
    """Price of a unit or of a rental, cents."""
    cost_cents: Cents | None = None
    """Cost of a unit, cents."""
    offered_for: Literal["rental", "sale", "both"] | None = None
    """What it is there for."""
    supplier: Annotated[str, Meta(max_length=255)] | None = None
    """Who sells it: one of ``/api/suppliers``."""
    lead_time_days: Annotated[float, Meta(ge=0, le=3650)] | None = None
    """Days from order to receipt."""
    service_level: Annotated[float, Meta(ge=0.5, le=0.999)] | None = None
    """Share of order cycles without a stock-out, or of rental requests served."""
    pack_units: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    """Units sold together."""
    minimum_units: Units | None = None
    """Units of the smallest order."""
    holding_rate: Annotated[float, Meta(ge=0, le=10)] | None = None
    """Cost of keeping a unit a year, as a share of its cost."""
    reorder_point: Units | None = None
    """Reorder point set by hand."""
    by: Annotated[str, Meta(max_length=255)] = ""
    """Who says so."""


class NewStock(StockFields, kw_only=True):
    """A class to be put into the inventory."""

    sku: Text
    """Class or SKU."""


class StockChange(Struct, kw_only=True):
    """What became of it."""

    state: Literal["done", "durable"]
    """``done``; with status 202 ``durable``: it is in the journal and will be applied."""
    commands: list[str]
    """Ids of the commands, for ``/api/commands``."""
    place: str
    """Where to look for it."""
    item: StockRow | None
    """How it stands now; null: it is not applied yet."""


async def approve_restock(api: Api, call: Call[Query, ItemPath]) -> Answer:
    """Approve the restock of a class: the one that waits, else one of what is suggested now."""
    told: Restocking = call.body
    view = await planned(api)
    before = _answered_before(api, call, view)
    if before is not None:
        return before
    row = row_of(api, view, call.path.item_id, told.store)
    (stock,) = view.told(np.array([row], np.int64))
    waiting = view.open_decision(stock.sku, stock.store)
    if waiting is None or told.units is not None:
        proposed = await obey(api, call, _proposal(api, call, view, stock))
        if proposed.state != "done":
            return answer(api, proposed)
        waiting = msgspec.json.decode(proposed.detail, type=Decision)
        if waiting.status in CARRIED:  # the gates let it pass without a person
            return answer(api, proposed)
        if waiting.status == "rejected" and waiting.gate.startswith(OVER):
            raise Problem("limit", f"{waiting.gate}.")
    asked = Approve(id=waiting.id, by=told.by, why=told.why, override=told.override)
    return await command(api, call, asked)


CARRIED = ("approved", "executed", "failed")
OVER = "over the limit"
"""So the gate of a decision begins that no person can approve."""


def _answered_before(api: Api, call: Call[Any, ItemPath], view: InventoryView) -> Answer | None:
    """What became of the same request under the same key. Raises Problem ``conflict``."""
    key = idempotency_key(call.request)
    for part in (key, f"{key}/propose") if key else ():
        detail = view.answered(part)
        if detail is None:
            continue
        decision = msgspec.json.decode(detail, type=Decision)
        if decision.target != call.path.item_id:
            detail = f"The key {key!r} was used for {decision.target!r}: choose another."
            raise Problem("conflict", detail)
        if decision.status in CARRIED:
            told = RestockAnswer(
                command="",
                state="done",
                place=f"/api/decisions/{decision.id}",
                revision=api.view.revision,
                as_of_ms=api.view.now_ms,
                result=decision,
            )
            return Answer(told)
    return None


def _proposal(api: Api, call: Call[Any, Any], view: InventoryView, stock: StockRow) -> Propose:
    """What a person wants ordered. Raises Problem ``invalid``."""
    told: Restocking = call.body
    units = told.units or stock.suggested_order_qty or 0.0
    if units <= 0:
        why = f" ({stock.why_unknown})" if stock.why_unknown else ""
        detail = f"Nothing is suggested for {stock.sku!r}{why}: name the units."
        raise Problem("invalid", detail)
    made = view.proposal(stock, units)
    made.by, made.why, made.key = told.by, told.why, _part(call, "propose")
    if told.units is not None:  # another wish in the same week is another decision
        asked = hashlib.sha256(f"{made.key or api.view.now_ms}".encode()).hexdigest()[:12]
        made.period = f"{made.period}/{told.units:g}/{asked}"
    return made


def _part(call: Call[Any, Any], part: str) -> str:
    """Key of one command of several, where the asker gave one for all."""
    key = idempotency_key(call.request)
    return f"{key}/{part}" if key else ""


async def add_stock(api: Api, call: Call[Query, Path]) -> Answer:
    """Put a class into the inventory."""
    told: NewStock = call.body
    need_store(api, told.store)
    return await _change(api, call, told.sku, told, created=True)


async def put_stock(api: Api, call: Call[Query, StockPath]) -> Answer:
    """Change what is known of a class, its terms, or its count."""
    told: StockFields = call.body
    need_class(api, call.path.sku, told.store or api.settings.shop.store)
    return await _change(api, call, call.path.sku, told, created=False)


async def _change(
    api: Api, call: Call[Any, Any], sku: str, told: StockFields, *, created: bool
) -> Answer:
    """Commands one after the other, then the count; each may be sent again without harm."""
    store = told.store or api.settings.shop.store
    ids, durable = [], False
    for one in _commands(sku, store, told, created):
        one.key = _part(call, str(one.__struct_config__.tag))
        asked = await obey(api, call, one)
        ids.append(asked.id)
        durable |= asked.state != "done"
    if told.quantity is not None:
        durable |= not await _count(api, sku, store, told)
    view = await planned(api)
    row = view.row(sku, store) if durable else view.met(sku, store)
    if row >= 0 and not durable:
        await in_slices(view.planning(np.array([row], np.int64)))
    item = view.told(np.array([row], np.int64))[0] if row >= 0 else view.unmet(sku, store)
    where = f"?store={quote(store, safe='')}" if told.store else ""
    body = StockChange(
        state="durable" if durable else "done",
        commands=ids,
        place=f"/api/inventory/{quote(sku, safe='')}{where}",
        item=item,
    )
    status = 202 if durable else 201 if created else 200
    return Answer(body, status=status, headers={"Location": body.place} if status > 200 else {})


def _commands(sku: str, store: str, told: StockFields, created: bool) -> list[Command]:
    """What the fields ask for: a row of the catalogue (always of a class put in), terms."""
    listed = {
        name: getattr(told, name)
        for name in ("name", "category", "price_cents", "offered_for")
        if getattr(told, name) is not None
    }
    terms = {
        field_: getattr(told, name)
        for name, field_ in _TERMS.items()
        if getattr(told, name) is not None
    }
    made: list[Command] = []
    if terms:
        made.append(PutSupply(sku=sku, store=store, fields=terms, by=told.by))
    if created or listed or not terms:
        rows = [{"sku": sku, **listed}]
        made.append(PutCatalogue(kind="class", rows=rows, merge=True, by=told.by))
    return made


_TERMS = {
    "cost_cents": "cost_cents",
    "supplier": "supplier",
    "lead_time_days": "lead_days",
    "service_level": "service_level",
    "pack_units": "pack_units",
    "minimum_units": "minimum_units",
    "holding_rate": "holding_rate",
    "reorder_point": "fixed_reorder_point",
}


async def _count(api: Api, sku: str, store: str, told: StockFields) -> bool:
    """Tell the count as an event; whether it is applied. Raises Problem."""
    event = {"sku": sku, "store": store, "quantity": told.quantity, "by": told.by}
    report = Report(api.uploaded)
    message = Message(
        "$http/stock_count/api",
        msgspec.json.encode({"type": "stock_count", **event}),
        api.clock.now_ms(),
    )
    try:
        api.corridor.submit([(message, report.receipt(1))])
    except InboxFull as error:
        raise Problem("inbox-full", str(error)) from None
    report.submitted = 1
    settled = await report.settle(0, api.patience.progress_s)
    if not report.durable:
        raise Problem("not-durable", "No commit in time.")
    if report.refused_count:
        raise Problem("invalid", "The count was refused: see /api/dead-letters.")
    return bool(settled)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/api/inventory",
        "add_inventory",
        "Put a class into the inventory: count, catalogue, terms.",
        add_stock,
        StockChange,
        area="inventory",
        body=NewStock,
        headers=KEY_HEADER,
        statuses=CREATED,
        problems=(*PROBLEMS, "unknown-store"),
    ),
    Endpoint(
        "PUT",
        "/api/inventory/{sku}",
        "put_inventory",
        "Change a class: count, catalogue, terms.",
        put_stock,
        StockChange,
        area="inventory",
        parts=StockPath,
        body=StockFields,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=(*PROBLEMS, "unknown-class"),
    ),
    Endpoint(
        "POST",
        "/api/predictive/inventory/approve-restock/{item_id}",
        "approve_restock",
        "Approve the restock of a class, proposed or suggested.",
        approve_restock,
        RestockAnswer,
        area="inventory",
        parts=ItemPath,
        body=Restocking,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=(*PROBLEMS, "unknown", "unknown-class"),
    ),
)
