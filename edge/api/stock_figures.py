"""Figures of stock through the API: velocity, slow movers, fleets, performance, repairs, availability."""

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct, field

from edge.api.books import REST_S, in_slices, shared
from edge.api.endpoint import Api, Call, Endpoint, Path, Query
from edge.api.lists import Listing, ListQuery, arranged
from edge.api.problems import Problem
from edge.api.query import Limit, Text
from edge.api.stock_plans import planned
from edge.services import stock_performance
from edge.view_availability import Availability, AvailabilityView
from edge.view_basis import Listed, why_empty
from edge.view_inventory import InventoryView
from edge.view_inventory_types import StockRow
from edge.view_inventory_words import fleet_note
from edge.view_stock_history import PerformanceRow, PerformanceTotal, RepairDemand, StockHistoryView

Days = Annotated[int, Meta(ge=7, le=365)]


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
    daily_demand: float | None
    """Units asked for a day over the next four weeks; null: nothing is known of it, nor any letter."""
    revenue_cents: int
    """Revenue of the last 182 days, cents."""
    revenue_share: float
    """Share of all classes' revenue."""
    evidence: str
    """What it is known from: simple, history or model; unknown."""


class Velocity(Listed, kw_only=True):
    """How fast classes move."""

    matrix: dict[str, int]
    """``AX``, ``AY`` … -> classes of all that pass the filters."""
    classes: list[VelocityRow]
    """The rows, the largest revenue first."""


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
    """Whether nothing was asked for in the days that are known."""
    advice: str
    """What to do, in words."""


class SlowMovers(Listed, kw_only=True):
    """What hardly moves."""

    total: int
    """Classes on all pages."""
    tied_cents: int
    """Money in the excess of all of them, as far as costs are known."""
    holding_cents_a_year: int
    """What keeping that costs a year."""
    items: list[SlowRow]
    """The most money first."""


class FleetQuery(ListQuery):
    """Which rental classes."""

    store: Text | None = None
    """Only of this store."""
    category: Text | None = None
    """Only of this category; upper and lower case do not matter."""


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
    """Units that serve ``service_level`` of requests; null: nobody asks for it, or nothing is known of
    what is asked for."""
    gap: float | None
    """Units too few (above 0) or too many (below); null: nothing is known of what is asked for."""
    service_level: float
    """Share of requests to be served."""
    served_now: float | None
    """Share of requests that the present fleet serves; null as above."""
    served_right: float | None
    """Share that the right one would."""
    requests_a_day: float | None
    """Requests a day, those turned away included; null as above."""
    turn_days: float | None
    """Days until a unit that went out may go out again."""
    offered_units: float | None
    """Units that would be out if nobody were turned away; null as above."""
    peakedness: float | None
    """How much that varies, against a Poisson count."""
    gain_cents_a_year: int | None
    """What the units too few would earn in a year beyond their keeping; null: not known, or none is."""
    days: int
    """Days that were looked back on, at most 91."""
    stockout_days: int
    """Of them those that closed without stock, or on which the last unit went."""
    fill_rate: float | None
    """Units served over units asked for on those days, as ``/api/inventory/performance`` tells it; null:
    nothing was asked for. ``served_now`` looks ahead, this one back."""
    note: str
    """Where the advice and the days behind it seem to disagree: why they do; empty: they do not."""
    why_unknown: str
    """Why nothing is known of what is asked for, and from when on it is; empty: it is known."""


class Fleet(Listed, kw_only=True):
    """Fleets of rental classes."""

    total: int
    """Rental classes on all pages."""
    model: str
    """The model, in words."""
    classes: list[FleetRow]
    """The largest gap first."""


class PerformanceQuery(ListQuery):
    """Of what span, and which classes."""

    days: Days = 91
    """Days before today."""
    store: Text | None = None
    """Only of this store."""
    category: Text | None = None
    """Only of this category; upper and lower case do not matter."""


class PerformanceRows(Listed, kw_only=True):
    """How stock has done."""

    days: int
    """Days that were asked for."""
    total: PerformanceTotal
    """All classes that pass the filters together."""
    classes: list[PerformanceRow]
    """Class by class."""


class AvailabilityQuery(Query):
    """Of what, when, how many."""

    sku: Text
    """Class or SKU."""
    to: Text
    """End of the span, like ``from``; a day alone counts whole."""
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
    return Velocity(
        basis=view.basis(),
        matrix=matrix,
        classes=made,
        why_empty=why_empty(shown, *view.why_none()),
        next_cursor=following,
    )


async def slow_movers(api: Api, call: Call[SlowQuery, Path]) -> SlowMovers:
    """Stock that hardly moves, and the money in it."""
    view, query = await planned(api), call.query
    rows, of = view.rows(store=query.store), view.columns.of
    sales = rows[of["rental"][rows] != 1]
    none = view.none_of(
        sales,
        f"that are sold has stock for more than {query.keep_days:g} days that did not move for"
        f" {query.idle_days:g}",
    )
    rows = sales[np.isfinite(of["rate"][sales])]
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
        dead = not row.daily_demand
        made.append(
            SlowRow(
                sku=row.sku,
                store=row.store,
                name=row.name,
                current_stock=float(on_hand[i]),
                daily_demand=row.daily_demand or 0.0,
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
        basis=view.basis(),
        total=len(rows),
        tied_cents=round(float(np.nansum(columns["tied_cents"]))),
        holding_cents_a_year=round(float(np.nansum(holding))),
        items=made,
        why_empty=why_empty(made, *view.why_none(none or NOTHING_SOLD)),
        next_cursor=following,
    )


NOTHING_SOLD = "No class is sold: all that are known are rentals."
NOTHING_RENTED = (
    "No class is rented: none was ever rented out, and none stands in the catalogue as for rental."
)


FLEET_MODEL = (
    "Erlang's loss formula with Hayward's approximation: requests at random, turn times of any "
    "distribution, whoever finds no unit goes elsewhere"
)


async def fleets(api: Api, call: Call[FleetQuery, Path]) -> Fleet:
    """Rental classes and the fleets they need."""
    view, query = await planned(api), call.query
    rows, of = view.rows(store=query.store, category=query.category), view.columns.of
    none = NOTHING_RENTED if not (of["rental"][view.rows()] == 1).any() else ""
    rows = rows[of["rental"][rows] == 1]
    unknown = np.isnan(of["rate"][rows])
    target = np.where(unknown, of["reorder_point"][rows], np.nan_to_num(of["reorder_point"][rows]))
    gap = target - of["owned"][rows] - of["on_order"][rows]
    columns = {"gap": gap, "owned": of["owned"][rows], "requests_a_day": of["requests"][rows]}
    sort, falling = FLEETS.arrangement(query)
    shown, following = arranged(query, FLEETS.name, rows, columns[sort], falling)
    made = [_fleet_row(view, row) for row in view.told(shown)]
    return Fleet(
        basis=view.basis(),
        total=len(rows),
        model=FLEET_MODEL,
        classes=made,
        why_empty=why_empty(made, *view.why_none(none)),
        next_cursor=following,
    )


def _fleet_row(view: InventoryView, row: StockRow) -> FleetRow:
    offered = view.of(row, "offered")
    requests = row.requests_a_day or 0.0
    lost = row.chance_of_stockout
    right = row.right_size if requests > 0 or row.reorder_point_by_hand else None
    gap = None if row.why_unknown else 0.0
    if right is not None:
        gap = right - (row.owned or 0.0) - row.on_order
    days, out, filled = (view.of(row, f"record_{name}") for name in ("days", "out", "fill"))
    return FleetRow(
        sku=row.sku,
        store=row.store,
        name=row.name,
        owned=row.owned or 0.0,
        on_order=row.on_order,
        right_size=right,
        gap=gap,
        service_level=row.service_level,
        served_now=None if lost is None else round(1.0 - lost, 4),
        served_right=row.planned_fill_rate if requests > 0 else None,
        requests_a_day=None if row.why_unknown else requests,
        turn_days=round(offered / requests, 3) if requests > 0 else None,
        offered_units=None if row.why_unknown else _number(offered, 3) or 0.0,
        peakedness=row.peakedness,
        gain_cents_a_year=row.expected_gain_cents,
        days=round(days) if math.isfinite(days) else 0,
        stockout_days=round(out) if math.isfinite(out) else 0,
        fill_rate=_number(filled),
        note=fleet_note(row, gap, filled, days),
        why_unknown=row.why_unknown,
    )


async def performance(api: Api, call: Call[PerformanceQuery, Path]) -> PerformanceRows:
    """Turns, fill rate, stock-outs and utilisation."""
    view, query = api.view_of(StockHistoryView), call.query
    while (standing := view.standing(query.days)) is None:
        await in_slices(view.measuring(query.days))
    rows, found = standing
    inventory = api.view_of(InventoryView)
    at = np.flatnonzero(np.isin(rows, inventory.known(query.store, query.category)))
    sort, falling = DONE.arrangement(query)
    column = {"stockout_days": "empty_days", "lost_units": "lost"}.get(sort, sort)
    values = getattr(found, column)[at]
    shown, following = arranged(query, DONE.name, at, values, falling)
    return PerformanceRows(
        basis=view.basis(),
        days=query.days,
        total=view.total(at, found),
        classes=view.rows(shown, rows, found),
        why_empty=why_empty(shown, *inventory.why_none()),
        next_cursor=following,
    )


async def repair_demand(api: Api, call: Call[RepairsQuery, Path]) -> RepairDemand:
    """Repairs to come, by week and class."""
    view, asked = api.view_of(StockHistoryView), (call.query.store, call.query.limit)
    kept, old = view.kept_repairs(*asked)
    if kept is not None and not old:
        return kept
    rest_s, patience_s = (REST_S, 0.0) if kept is not None else (0.0, None)
    made = await shared(
        view, ("repairs", *asked), lambda: in_slices(view.repairs(*asked), rest_s), patience_s
    )
    found = made if made is not None else kept
    assert found is not None, asked
    return found


def availability(api: Api, call: Call[AvailabilityQuery, Path]) -> Availability:
    """Whether so many units are free in a span."""
    query = call.query
    view = api.view_of(AvailabilityView)
    from_ms = _moment(view, "from", query.from_)
    to_ms = _moment(view, "to", query.to, whole_day=True)
    if to_ms <= from_ms:
        raise Problem("bad-parameter", "to is not after from.", parameter="to")
    if to_ms <= api.view.now_ms:
        raise Problem("bad-parameter", f"to={query.to!r} is over already.", parameter="to")
    store = query.store or api.settings.shop.store
    found = view.available(query.sku, store, from_ms, to_ms, query.units)
    if found is None:
        detail = f"Nothing is known about class {query.sku!r} in store {store!r}."
        raise Problem("unknown-class", detail)
    return found


def _moment(view: AvailabilityView, name: str, text: str, *, whole_day: bool = False) -> int:
    """Epoch milliseconds; a day alone: its begin, or its end. Raises Problem ``bad-parameter``."""
    if text.lstrip("-").isdigit() and len(text) > 8:
        return int(text)
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        detail = f"{name}={text!r}: a day, RFC 3339 text or epoch milliseconds."
        raise Problem("bad-parameter", detail, parameter=name) from None
    if told.tzinfo is None:
        day = (told.date() - datetime(1970, 1, 1).date()).days
        if whole_day and len(text) <= len("2026-06-13"):
            return view.day_start_ms(day + 1)
        start_ms = view.day_start_ms(day)
        clock = told - told.replace(hour=0, minute=0, second=0, microsecond=0)
        return start_ms + round(clock.total_seconds() * 1000)
    return round(told.astimezone(UTC).timestamp() * 1000)


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
        problems=("unknown-store",),
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
)
