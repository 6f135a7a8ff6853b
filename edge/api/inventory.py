"""Stock through the API: lists, what to order, fleets, availability, performance, what to do with money.

No rules and no columns here: views answer, commands change. Plans are brought up to date by whoever
asks: an answer waits for the first plan of all and for a few changed classes, never for more.
"""

import asyncio
import math
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct, field

from edge.api.body import Body
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
from edge.api.lists import Listing, ListQuery, arranged
from edge.api.problems import Problem
from edge.api.query import Limit, Text
from edge.api.report import Report
from edge.api.upload import idempotency_key
from edge.commands import Command, Propose
from edge.decisions.deeds import Approve
from edge.decisions.rows import Decision
from edge.errors import InboxFull
from edge.ledger.catalogue import PutCatalogue
from edge.ledger.suppliers import PutSupply
from edge.records import Message
from edge.services import stock_performance
from edge.services.inventory import MEDIUM
from edge.view_availability import Availability, AvailabilityView
from edge.view_basis import Basis
from edge.view_inventory import (
    FEW,
    SORTS,
    InventoryView,
    Kind,
    Priority,
    Recommendations,
    StockDetail,
    StockRow,
)
from edge.view_stock_history import (
    PerformanceRow,
    PerformanceTotal,
    RepairDemand,
    StockHistoryView,
)

T = TypeVar("T")
Ints = Any
Days = Annotated[int, Meta(ge=7, le=365)]
Cents = Annotated[int, Meta(ge=0, le=2**53)]
Units = Annotated[float, Meta(ge=0, le=1e9)]
LEVELS: tuple[Priority, ...] = ("low", "medium", "high", "critical")


# -- queries and answers ------------------------------------------------------------------------------


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


class StockRows(Struct):
    """A page of classes."""

    basis: Basis
    """How fresh this is, and who spoke."""
    total: int
    """Classes that pass the filters, on all pages."""
    items: list[StockRow]
    """The rows."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""


class Suggestions(Struct):
    """What to order."""

    basis: Basis
    """How fresh this is, and who spoke."""
    total: int
    """Suggestions on all pages."""
    suggestions: list[StockRow]
    """The most urgent first."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""


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


class Alerts(Struct):
    """What should be ordered now."""

    basis: Basis
    """How fresh this is, and who spoke."""
    counts: dict[str, int]
    """Level -> alerts, on all pages."""
    alerts: list[Alert]
    """The most urgent first."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""


class StockPath(Path):
    """Which class."""

    sku: Text
    """Class or SKU."""


class ItemPath(Path):
    """Which class."""

    item_id: Text
    """Class or SKU."""


class StoreQuery(Query):
    """In which store."""

    store: Text | None = None
    """Store; without it the configured one."""


class VelocityQuery(ListQuery):
    """Which classes."""

    store: Text | None = None
    """Only of this store."""
    abc: Literal["A", "B", "C"] | None = None
    """Only of this class by revenue."""
    xyz: Literal["X", "Y", "Z"] | None = None
    """Only of this class by evenness."""


class VelocityRow(Struct, kw_only=True, gc=False):
    """How fast and how evenly a class moves."""

    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    name: str
    """Name."""
    abc: str
    """A: the classes with the first 80 % of revenue, B: up to 95 %, C: the rest."""
    xyz: str
    """X steady, Y varying, Z erratic or hardly known."""
    pattern: str
    """smooth, erratic, intermittent or lumpy."""
    daily_demand: float
    """Units asked for a day over the next four weeks."""
    revenue_cents: int
    """Revenue of the last 182 days, cents."""
    revenue_share: float
    """Share of all classes' revenue."""
    evidence: str
    """What it is known from: simple, history or model."""


class Velocity(Struct):
    """How fast classes move."""

    basis: Basis
    """How fresh this is, and who spoke."""
    matrix: dict[str, int]
    """``AX``, ``AY`` … -> classes of all that pass the filters."""
    classes: list[VelocityRow]
    """The rows, the largest revenue first."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""


class SlowQuery(ListQuery):
    """What counts as slow."""

    store: Text | None = None
    """Only of this store."""
    keep_days: Annotated[float, Meta(ge=1, le=3650)] = 182.0
    """Stock for longer than this is too much, days."""
    idle_days: Annotated[float, Meta(ge=0, le=3650)] = 28.0
    """Only what has not moved for so long, days."""


class SlowRow(Struct, kw_only=True, gc=False):
    """A class whose stock hardly moves."""

    sku: str
    """Class or SKU."""
    store: str
    """Store."""
    name: str
    """Name."""
    current_stock: float
    """Units in the store."""
    daily_demand: float
    """Units asked for a day."""
    cover_days: float | None
    """Days that the stock lasts; null: for ever."""
    idle_days: float | None
    """Days since a unit last moved; null: never seen to."""
    excess_units: float
    """Units beyond ``keep_days`` of demand."""
    tied_cents: int | None
    """What these cost; null: no cost is known."""
    holding_cents_a_year: int | None
    """What keeping them costs a year."""
    dead: bool
    """Whether nothing is asked for at all."""
    advice: str
    """What to do, in words."""


class SlowMovers(Struct):
    """What hardly moves."""

    basis: Basis
    """How fresh this is, and who spoke."""
    total: int
    """Classes on all pages."""
    tied_cents: int
    """Money in the excess of all of them, as far as costs are known."""
    holding_cents_a_year: int
    """What keeping that costs a year."""
    items: list[SlowRow]
    """The most money first."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""


class FleetRow(Struct, kw_only=True, gc=False):
    """A rental class and the fleet it needs."""

    sku: str
    """Class."""
    store: str
    """Store."""
    name: str
    """Name."""
    owned: float
    """Units owned."""
    on_order: float
    """Units on their way."""
    right_size: float | None
    """Units that serve ``service_level`` of requests; null: nobody asks for it."""
    gap: float
    """Units too few (above 0) or too many (below)."""
    service_level: float
    """Share of requests to be served."""
    served_now: float
    """Share of requests that the present fleet serves."""
    served_right: float | None
    """Share that the right one would."""
    requests_a_day: float
    """Requests a day, those turned away included."""
    turn_days: float | None
    """Days until a unit that went out may go out again."""
    offered_units: float
    """Units that would be out if nobody were turned away."""
    peakedness: float | None
    """How much that varies, against a Poisson count."""
    gain_cents_a_year: int | None
    """What closing the gap earns in a year beyond its cost of keeping; null: not known, or no gap."""


class Fleet(Struct):
    """Fleets of rental classes."""

    basis: Basis
    """How fresh this is, and who spoke."""
    total: int
    """Rental classes on all pages."""
    model: str
    """The model, in words."""
    classes: list[FleetRow]
    """The largest gap first."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""


class PerformanceQuery(ListQuery):
    """Of what span, and which classes."""

    days: Days = 91
    """Days before today."""
    store: Text | None = None
    """Only of this store."""
    category: Text | None = None
    """Only of this category; upper and lower case do not matter."""


class PerformanceRows(Struct):
    """How stock has done."""

    basis: Basis
    """How fresh this is."""
    days: int
    """Days that were asked for."""
    total: PerformanceTotal
    """All classes that pass the filters together."""
    classes: list[PerformanceRow]
    """Class by class."""
    next_cursor: str | None
    """Ask with it for the next page; null: this is the last."""


class AvailabilityQuery(Query):
    """Of what, when, how many."""

    sku: Text
    """Class or SKU."""
    to: Text
    """End of the span, like ``from``."""
    from_: Text = field(name="from")
    """Begin of the span: RFC 3339 text or epoch milliseconds; a day alone begins at its local
    midnight."""
    store: Text | None = None
    """Store; without it the configured one."""
    units: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    """Units wanted."""


class RepairsQuery(Query):
    """Of which items."""

    store: Text | None = None
    """Only of this store."""
    limit: Limit = 100
    """Most classes."""


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
    """How it stands now; null: it has no stock, orders or terms yet, or is not applied."""


# -- plans -----------------------------------------------------------------------------------------------


async def planned(api: Api) -> InventoryView:
    """The view, its plans brought up to date as far as an answer may wait for it."""
    view = api.view_of(InventoryView)
    work = view.due()
    if work is not None:
        classes, slices = work
        if view.ready and classes > FEW:
            _beside(api, slices)
        else:
            await walked(slices)
    while not view.ready:  # somebody else makes the first plan
        await asyncio.sleep(0.005)
        if not view.busy and (work := view.due()) is not None:
            await walked(work[1])
    return view


def _beside(api: Api, slices: Iterator[None]) -> None:
    """Let the plans be made while answers go on with those that stand."""
    task = asyncio.create_task(walked(slices, REST_S), name="inventory plans")
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)


_TASKS: set[asyncio.Task[None]] = set()


async def walked(slices: Iterator[None], rest_s: float = 0.0) -> None:
    """Do work in slices, everybody else's turn between two of them."""
    for _ in slices:
        await asyncio.sleep(rest_s)


REST_S = 0.002
"""Rest after each slice of work that nobody waits for, seconds."""


async def found_by(slices: Generator[None, None, T]) -> T:
    """The same of work that finds something."""
    while True:
        try:
            next(slices)
        except StopIteration as ended:
            found: T = ended.value
            return found
        await asyncio.sleep(0)


# -- lists -----------------------------------------------------------------------------------------------

STOCK: Listing[StockRow] = Listing("inventory", ("sku",), tuple(SORTS), "row")
LOW: Listing[StockRow] = Listing("low-stock", ("sku",), tuple(SORTS), "chance_of_stockout", "desc")
TO_ORDER: Listing[StockRow] = Listing("reorder", ("sku",), tuple(SORTS), "priority", "desc")
ALERTS: Listing[StockRow] = Listing("restock-alerts", ("sku",), tuple(SORTS), "priority", "desc")
FLEETS: Listing[FleetRow] = Listing("fleet", ("sku",), ("gap", "owned", "requests_a_day"), "gap", "desc")  # fmt: skip
SLOW: Listing[SlowRow] = Listing("slow", ("sku",), ("tied_cents", "excess_units", "idle_days", "current_stock"), "tied_cents", "desc")  # fmt: skip
SPEED: Listing[VelocityRow] = Listing("velocity", ("sku",), ("revenue_cents", "daily_demand"), "revenue_cents", "desc")  # fmt: skip
DONE: Listing[PerformanceRow] = Listing(
    "performance",
    ("sku",),
    ("revenue_cents", "turns", "utilisation", "stockout_days", "fill_rate", "lost_units", "sold", "rented"),
    "revenue_cents",
    "desc",
)  # fmt: skip


def _filtered(view: InventoryView, query: StockQuery) -> Ints:
    """int64[n]: rows that pass the filters."""
    rows = view.rows(store=query.store, category=query.category)
    of = view.columns.of
    if query.kind is not None:
        rows = rows[of["rental"][rows] == (query.kind == "rental")]
    if query.priority is not None:
        rows = rows[of["priority"][rows] >= LEVELS.index(query.priority)]
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
    return _stock_rows(view, call.query, STOCK, _filtered(view, call.query))


async def low_stock(api: Api, call: Call[StockQuery, Path]) -> StockRows:
    """Classes at or below their reorder point."""
    view = await planned(api)
    return _stock_rows(view, call.query, LOW, view.low(_filtered(view, call.query)))


def _stock_rows(
    view: InventoryView, query: StockQuery, listing: Listing[StockRow], rows: Ints
) -> StockRows:
    shown, following = _page(view, query, listing, rows)
    return StockRows(view.basis(), len(rows), view.told(shown), following)


async def reorder_suggestions(api: Api, call: Call[StockQuery, Path]) -> Suggestions:
    """What to order, and how much."""
    view = await planned(api)
    rows = view.needed(_filtered(view, call.query))
    shown, following = _page(view, call.query, TO_ORDER, rows)
    return Suggestions(view.basis(), len(rows), view.told(shown), following)


async def restock_alerts(api: Api, call: Call[StockQuery, Path]) -> Alerts:
    """What should be ordered now, by level."""
    view = await planned(api)
    rows = view.needed(_filtered(view, call.query))
    level = view.columns.of["priority"][rows]
    counts: dict[str, int] = {
        LEVELS[p]: int((level == p).sum()) for p in range(len(LEVELS) - 1, MEDIUM - 1, -1)
    }
    shown, following = _page(view, call.query, ALERTS, rows)
    return Alerts(view.basis(), counts, [_alert(view, row) for row in view.told(shown)], following)


def _alert(view: InventoryView, row: StockRow) -> Alert:
    waiting = view.open_decision(row.sku, row.store)
    return Alert(
        level=row.priority,
        item_id=row.sku,
        message=f"{row.name or row.sku}: {view.words(row)}",
        decision=waiting.id if waiting is not None else "",
        item=row,
    )


async def get_stock(api: Api, call: Call[StoreQuery, StockPath]) -> StockDetail:
    """One class: stock, orders, demand, and what to order."""
    view = await planned(api)
    return view.detail(_row(api, view, call.path.sku, call.query.store))


def _row(api: Api, view: InventoryView, sku: str, store: str | None) -> int:
    """Raises Problem ``unknown-class``."""
    place = store or api.settings.shop.store
    row = view.row(sku, place)
    if row < 0:
        raise Problem("unknown-class", f"Nothing is known about class {sku!r} in store {place!r}.")
    return row


async def velocity(api: Api, call: Call[VelocityQuery, Path]) -> Velocity:
    """How fast and how evenly classes move."""
    view, query = await planned(api), call.query
    rows, of = view.rows(store=query.store), view.columns.of
    for name, letters in (("abc", "ABC"), ("xyz", "XYZ")):
        wanted = getattr(query, name)
        if wanted is not None:
            rows = rows[of[name][rows] == letters.index(wanted)]
    matrix = {
        a + x: int(((of["abc"][rows] == i) & (of["xyz"][rows] == j)).sum())
        for i, a in enumerate("ABC")
        for j, x in enumerate("XYZ")
    }
    sort, falling = SPEED.arrangement(query)
    shown, following = arranged(query, SPEED.name, rows, view.values(rows, sort), falling)
    total = float(np.nansum(of["revenue_cents"][view.rows()]))
    revenue = of["revenue_cents"][shown].tolist()
    made = [
        VelocityRow(
            sku=row.sku,
            store=row.store,
            name=row.name,
            abc=row.abc,
            xyz=row.xyz,
            pattern=row.pattern,
            daily_demand=row.daily_demand,
            revenue_cents=round(cents),
            revenue_share=round(cents / total, 6) if total > 0 else 0.0,
            evidence=row.evidence,
        )
        for row, cents in zip(view.told(shown), revenue, strict=True)
    ]
    return Velocity(view.basis(), matrix, made, following)


async def slow_movers(api: Api, call: Call[SlowQuery, Path]) -> SlowMovers:
    """Stock that hardly moves, and the money in it."""
    view, query = await planned(api), call.query
    rows, of = view.rows(store=query.store), view.columns.of
    rows = rows[of["rental"][rows] != 1]
    on_hand, idle = view.on_hand(rows), view.idle_days(rows)
    found = stock_performance.slow_movers(
        on_hand, of["rate"][rows], idle, of["cost"][rows], of["holding_rate"][rows],
        query.keep_days, query.idle_days,
    )  # fmt: skip
    slow = found.slow
    rows, on_hand, idle = rows[slow], on_hand[slow], idle[slow]
    columns = {
        "tied_cents": found.tied_cents[slow],
        "excess_units": found.excess[slow],
        "idle_days": idle,
        "current_stock": on_hand,
    }
    holding, cover = found.holding_cents[slow], found.cover_days[slow]
    sort, falling = SLOW.arrangement(query)
    shown, following = arranged(query, SLOW.name, rows, columns[sort], falling)
    at = {int(row): i for i, row in enumerate(rows)}
    made = []
    for row in view.told(shown):
        i = at[view.row(row.sku, row.store)]
        dead = row.daily_demand <= 0
        made.append(
            SlowRow(
                sku=row.sku,
                store=row.store,
                name=row.name,
                current_stock=float(on_hand[i]),
                daily_demand=row.daily_demand,
                cover_days=_number(cover[i]),
                idle_days=_number(idle[i]),
                excess_units=round(float(columns["excess_units"][i]), 2),
                tied_cents=_cents(columns["tied_cents"][i]),
                holding_cents_a_year=_cents(holding[i]),
                dead=dead,
                advice="clear it out: nobody asks for it"
                if dead
                else "order no more, and lower the price of what is too much",
            )
        )
    return SlowMovers(
        view.basis(),
        len(rows),
        round(float(np.nansum(columns["tied_cents"]))),
        round(float(np.nansum(holding))),
        made,
        following,
    )


class FleetQuery(ListQuery):
    """Which rental classes."""

    store: Text | None = None
    """Only of this store."""
    category: Text | None = None
    """Only of this category; upper and lower case do not matter."""


FLEET_MODEL = (
    "Erlang's loss formula with Hayward's approximation: requests at random, turn times of any "
    "distribution, whoever finds no unit goes elsewhere"
)


async def fleets(api: Api, call: Call[FleetQuery, Path]) -> Fleet:
    """Rental classes and the fleets they need."""
    view, query = await planned(api), call.query
    rows, of = view.rows(store=query.store, category=query.category), view.columns.of
    rows = rows[of["rental"][rows] == 1]
    gap = np.nan_to_num(of["reorder_point"][rows]) - of["owned"][rows] - of["on_order"][rows]
    columns = {"gap": gap, "owned": of["owned"][rows], "requests_a_day": of["requests"][rows]}
    sort, falling = FLEETS.arrangement(query)
    shown, following = arranged(query, FLEETS.name, rows, columns[sort], falling)
    made = [_fleet_row(view, row) for row in view.told(shown)]
    return Fleet(view.basis(), len(rows), FLEET_MODEL, made, following)


def _fleet_row(view: InventoryView, row: StockRow) -> FleetRow:
    offered = view.of(row, "offered")
    requests = row.requests_a_day or 0.0
    return FleetRow(
        sku=row.sku,
        store=row.store,
        name=row.name,
        owned=row.owned or 0.0,
        on_order=row.on_order,
        right_size=row.reorder_point if requests > 0 else None,
        gap=(row.reorder_point or 0.0) - (row.owned or 0.0) - row.on_order if requests > 0 else 0.0,
        service_level=row.service_level,
        served_now=round(1.0 - row.chance_of_stockout, 4),
        served_right=row.fill_rate if requests > 0 else None,
        requests_a_day=requests,
        turn_days=round(offered / requests, 3) if requests > 0 else None,
        offered_units=round(offered, 3) if math.isfinite(offered) else 0.0,
        peakedness=row.peakedness,
        gain_cents_a_year=row.expected_gain_cents,
    )


async def performance(api: Api, call: Call[PerformanceQuery, Path]) -> PerformanceRows:
    """Turns, fill rate, stock-outs and utilisation."""
    view, query = api.view_of(StockHistoryView), call.query
    while (standing := view.standing(query.days)) is None:
        await walked(view.measuring(query.days))
    rows, found = standing
    inventory = api.view_of(InventoryView)
    at = np.flatnonzero(np.isin(rows, inventory.known(query.store, query.category)))
    sort, falling = DONE.arrangement(query)
    column = {"stockout_days": "empty_days", "lost_units": "lost"}.get(sort, sort)
    values = getattr(found, column)[at]
    shown, following = arranged(query, DONE.name, at, values, falling)
    return PerformanceRows(
        view.basis(), query.days, view.total(at, found), view.rows(shown, rows, found), following
    )


async def repair_demand(api: Api, call: Call[RepairsQuery, Path]) -> RepairDemand:
    """Repairs to come, by week and class."""
    return api.view_of(StockHistoryView).repairs(call.query.store, call.query.limit)


def availability(api: Api, call: Call[AvailabilityQuery, Path]) -> Availability:
    """Whether so many units are free in a span."""
    query = call.query
    view = api.view_of(AvailabilityView)
    from_ms, to_ms = (_moment(view, name, text) for name, text in (("from", query.from_), ("to", query.to)))  # fmt: skip
    if to_ms <= from_ms:
        raise Problem("bad-parameter", "to is not after from.", parameter="to")
    store = query.store or api.settings.shop.store
    found = view.available(query.sku, store, from_ms, to_ms, query.units)
    if found is None:
        detail = f"Nothing is known about class {query.sku!r} in store {store!r}."
        raise Problem("unknown-class", detail)
    return found


def _moment(view: AvailabilityView, name: str, text: str) -> int:
    """Epoch milliseconds. Raises Problem ``bad-parameter``."""
    if text.lstrip("-").isdigit() and len(text) > 8:
        return int(text)
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        detail = f"{name}={text!r}: a day, RFC 3339 text or epoch milliseconds."
        raise Problem("bad-parameter", detail, parameter=name) from None
    if told.tzinfo is None:
        day = (told.date() - datetime(1970, 1, 1).date()).days
        start_ms = view.day_start_ms(day)
        clock = told - told.replace(hour=0, minute=0, second=0, microsecond=0)
        return start_ms + round(clock.total_seconds() * 1000)
    return round(told.astimezone(UTC).timestamp() * 1000)


async def recommendations(api: Api, call: Call[MoneyQuery, Path]) -> Recommendations:
    """What to buy first with a budget, the best return first."""
    view = await planned(api)
    rows = view.rows(store=call.query.store, category=call.query.category)
    return await found_by(view.recommending(rows, call.query.budget, call.query.limit))


# -- changes ---------------------------------------------------------------------------------------------


async def approve_restock(api: Api, call: Call[Query, ItemPath]) -> Answer:
    """Approve the restock of a class: the one that waits, else one of what is suggested now."""
    told: Restocking = call.body
    view = await planned(api)
    before = _answered_before(api, call, view)
    if before is not None:
        return before
    row = _row(api, view, call.path.item_id, told.store)
    (stock,) = view.told(np.array([row], np.int64))
    waiting = view.open_decision(stock.sku, stock.store)
    if waiting is None or told.units is not None:
        proposed = await obey(api, call, _proposal(api, call, view, stock))
        if proposed.state != "done":
            return answer(api, proposed)
        waiting = msgspec.json.decode(proposed.detail, type=Decision)
        if waiting.status in CARRIED:  # the gates let it pass without a person
            return answer(api, proposed)
    asked = Approve(id=waiting.id, by=told.by, why=told.why, override=told.override)
    return await command(api, call, asked)


CARRIED = ("approved", "executed", "failed")


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
    units = told.units or stock.suggested_order_qty
    if units <= 0:
        detail = f"Nothing is suggested for {stock.sku!r}: name the units."
        raise Problem("invalid", detail)
    made = view.proposal(stock, units)
    made.by, made.why, made.key = told.by, told.why, _part(call, "propose")
    if told.units is not None:  # another wish in the same week is another decision
        made.period = f"{made.period}/{told.units:g}/{made.key or api.view.now_ms}"
    return made


def _part(call: Call[Any, Any], part: str) -> str:
    """Key of one command of several, where the asker gave one for all."""
    key = idempotency_key(call.request)
    return f"{key}/{part}" if key else ""


async def add_stock(api: Api, call: Call[Query, Path]) -> Answer:
    """Put a class into the inventory."""
    told: NewStock = call.body
    return await _change(api, call, told.sku, told, created=True)


async def put_stock(api: Api, call: Call[Query, StockPath]) -> Answer:
    """Change what is known of a class, its terms, or its count."""
    view = await planned(api)
    told: StockFields = call.body
    _row(api, view, call.path.sku, told.store)
    return await _change(api, call, call.path.sku, told, created=False)


async def _change(
    api: Api, call: Call[Any, Any], sku: str, told: StockFields, *, created: bool
) -> Answer:
    """Commands one after the other, then the count; each may be sent again without harm."""
    store = told.store or api.settings.shop.store
    ids, durable = [], False
    for one in _commands(sku, store, told):
        one.key = _part(call, str(one.__struct_config__.tag))
        asked = await obey(api, call, one)
        ids.append(asked.id)
        durable |= asked.state != "done"
    if told.quantity is not None:
        durable |= not await _count(api, sku, store, told)
    view = await planned(api)
    row = view.row(sku, store)
    if row >= 0 and not durable:
        await walked(view.planning(np.array([row], np.int64)))
    item = view.told(np.array([row], np.int64))[0] if row >= 0 else None
    body = StockChange(
        state="durable" if durable else "done",
        commands=ids,
        place=f"/api/inventory/{sku}",
        item=item,
    )
    status = 202 if durable else 201 if created else 200
    return Answer(body, status=status, headers={"Location": body.place} if status > 200 else {})


def _commands(sku: str, store: str, told: StockFields) -> list[Command]:
    """What the fields ask for: a row of the catalogue, terms."""
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
    if listed or not terms:
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


def _number(value: Any, digits: int = 2) -> float | None:
    number = float(value)
    return round(number, digits) if math.isfinite(number) else None


def _cents(value: Any) -> int | None:
    number = float(value)
    return round(number) if math.isfinite(number) else None


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
        problems=PROBLEMS,
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
        "/api/inventory/velocity",
        "inventory_velocity",
        "Velocity classes: ABC by revenue, XYZ by evenness.",
        velocity,
        Velocity,
        area="inventory",
        query=VelocityQuery,
        problems=_LIST,
        rows="classes",
    ),
    Endpoint(
        "GET",
        "/api/inventory/slow-movers",
        "slow_movers",
        "Stock that hardly moves, and the money in it.",
        slow_movers,
        SlowMovers,
        area="inventory",
        query=SlowQuery,
        problems=_LIST,
        rows="items",
    ),
    Endpoint(
        "GET",
        "/api/inventory/fleet",
        "fleet",
        "Rental classes: how many units serve the requests.",
        fleets,
        Fleet,
        area="inventory",
        query=FleetQuery,
        problems=_LIST,
        rows="classes",
    ),
    Endpoint(
        "GET",
        "/api/inventory/performance",
        "inventory_performance",
        "Turns, fill rate, stock-outs and utilisation, by class and together.",
        performance,
        PerformanceRows,
        area="inventory",
        query=PerformanceQuery,
        problems=_LIST,
        rows="classes",
    ),
    Endpoint(
        "GET",
        "/api/inventory/repair-demand",
        "repair_demand",
        "Repairs to come, by week and class.",
        repair_demand,
        RepairDemand,
        area="inventory",
        query=RepairsQuery,
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
        problems=("unknown-class",),
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
        "GET",
        "/api/availability",
        "availability",
        "Whether so many units of a class are free in a span of days, with a probability.",
        availability,
        Availability,
        area="inventory",
        query=AvailabilityQuery,
        problems=("unknown-class",),
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
