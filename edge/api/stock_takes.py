"""Stock-takes through the API: begin, look, end. What is expected and found is the view's word."""

from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, field

from edge.api.body import Body
from edge.api.commands import (
    CREATED,
    KEY_HEADER,
    PROBLEMS,
    STATUSES,
    CommandAnswer,
    answer,
    obey,
    result_of,
)
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.lists import Listing, ListQuery, arranged
from edge.api.problems import Problem
from edge.api.query import Text
from edge.api.state import identity_of
from edge.commands import Command
from edge.ledger.stock_take import ITEMS_MAX, BeginStockTake, EndStockTake, StockTake, StockTakeItem
from edge.view_basis import Listed, why_empty
from edge.view_stock_takes import (
    OUTCOMES,
    Ints,
    Outcome,
    StockTakesView,
    TakeDetail,
    TakeItem,
    TakeRow,
    closed_row,
)

Name = Annotated[str, Meta(max_length=255)]
Note = Annotated[str, Meta(max_length=2_000)]
ENDED_MOST = 1_000


class TakesQuery(ListQuery):
    """Which stock-takes."""

    state: Literal["open", "closed", "cancelled"] | None = None
    """Only those that stand so."""
    store: Text | None = None
    """Only of this store."""


class Takes(Listed, kw_only=True):
    """A page of stock-takes."""

    takes: list[TakeRow]
    """The newest first."""


class TakePath(Path):
    """Which stock-take."""

    id: Text
    """Its id."""


class ItemsQuery(ListQuery):
    """Which items of it."""

    outcome: Outcome | None = None
    """Only those of which this became."""


class NewTake(Body):
    """What is counted: a zone, or a bin."""

    zone: Name = ""
    """Zone: what its readers see from now on counts as found."""
    bin: Name = ""
    """Bin or rack: what is scanned into it from now on counts as found."""
    store: Text | None = None
    """Store; without it the configured one."""
    note: Note = ""
    """Free words."""
    by: Name = ""
    """Who begins it."""


class TakeEnd(Body):
    """What was found beside what was read."""

    epcs: Annotated[list[Text], Meta(max_length=ITEMS_MAX)] = field(default_factory=list)
    """Items that somebody found by hand."""
    cancel: bool = False
    """Whether nothing is counted."""
    note: Note = ""
    """Free words."""
    by: Name = ""
    """Who ends it."""


class TakeAnswer(CommandAnswer, kw_only=True):
    """What became of it."""

    result: TakeRow | None = None
    """The stock-take as it is now; null while it is not decided."""


TAKES: Listing[TakeRow] = Listing(
    "stock-takes",
    ("id",),
    ("started_ms", "missing", "expected"),
    "started_ms",
    "desc",
    filters={"state": "state", "store": "store"},
)


ITEMS: Listing[TakeItem] = Listing("stock-take", ("epc",), ("outcome",), "outcome")


async def list_takes(api: Api, call: Call[TakesQuery, Path]) -> Takes:
    """Stock-takes, open ones counted up to now."""
    ended = await api.tables.ledger_rows(StockTake, order="-started_ms", limit=ENDED_MOST)
    view = api.view_of(StockTakesView)
    rows = view.open_takes()
    known = {row.id for row in rows}
    rows += [closed_row(take) for take in ended if take.id not in known]
    page = TAKES.page(call.query, rows)
    none = "No stock-take was begun yet: POST /api/stock-takes begins one."
    return Takes(
        basis=view.basis(),
        takes=page.rows,
        why_empty=why_empty(page.rows, (not rows, none)),
        next_cursor=page.next_cursor,
    )


async def get_take(api: Api, call: Call[ItemsQuery, TakePath]) -> TakeDetail:
    """One stock-take, item by item."""
    view, id_ = api.view_of(StockTakesView), call.path.id
    found = view.standing(id_)
    if found is not None:
        shown, following = _page(call.query, found.numbers, found.outcome)
        return _detail(view, found.row, found.items(shown), following)
    takes = await api.tables.ledger_rows(StockTake, {"id": id_}, limit=1)
    if not takes:
        raise Problem("unknown", f"There is no stock-take {id_!r}.", cure="See /api/stock-takes.")
    items = await api.tables.ledger_rows(
        StockTakeItem, {"id": id_}, order="epc", limit=3 * ITEMS_MAX
    )
    outcome = np.array([OUTCOMES.index(item.outcome) for item in items], np.int64)
    shown, following = _page(call.query, np.arange(len(items)), outcome)
    told = [
        TakeItem(
            epc=item.epc,
            sku=item.sku,
            name=view.name(item.epc),
            outcome=item.outcome,
            elsewhere=item.elsewhere,
        )
        for item in (items[n] for n in shown.tolist())
    ]
    return _detail(view, closed_row(takes[0]), told, following)


def _page(query: ItemsQuery, numbers: Ints, outcome: Ints) -> tuple[Ints, str | None]:
    """Missing items first, then unexpected ones; each by number."""
    if query.outcome is not None:
        keep = outcome == OUTCOMES.index(query.outcome)
        numbers, outcome = numbers[keep], outcome[keep]
    _, falling = ITEMS.arrangement(query)
    return arranged(query, ITEMS.name, numbers, outcome.astype(np.float64), falling)


def _detail(
    view: StockTakesView, take: TakeRow, items: list[TakeItem], following: str | None
) -> TakeDetail:
    none = "Nothing was expected there, and nothing was found yet."
    empty = not (take.expected or take.found or take.unexpected)
    return TakeDetail(
        basis=view.basis(),
        take=take,
        items=items,
        why_empty=why_empty(items, (empty, none)),
        next_cursor=following,
    )


async def begin_take(api: Api, call: Call[Query, Path]) -> Answer:
    """Begin to count a zone or a bin."""
    told: NewTake = call.body
    store = told.store or api.settings.shop.store
    view = api.view_of(StockTakesView)
    if bool(told.zone) == bool(told.bin):
        raise Problem("invalid", "Name a zone or a bin.")
    if not view.known(told.zone, told.bin):
        kind = "zone" if told.zone else "bin"
        cure = "See /api/zones." if told.zone else "A bin is known by its first scan into it."
        raise Problem("unknown", f"There is no {kind} {told.zone or told.bin!r}.", cure=cure)
    asked = BeginStockTake(
        store=store,
        zone=told.zone,
        bin=told.bin,
        epcs=view.expected(store, told.zone, told.bin),
        known=view.knows_place(told.zone, api.clock.now_ms()),
        note=told.note,
        by=told.by,
    )
    return await _told(api, call, asked, created=True)


async def _told(api: Api, call: Call[Any, Any], told: Command, *, created: bool = False) -> Answer:
    """Post a command; its outcome as a row for people."""
    asked = await obey(api, call, told)
    if asked.state != "done":
        return answer(api, asked)
    return answer(api, asked, created=created, result=closed_row(result_of(asked, StockTake)))


async def end_take(api: Api, call: Call[Query, TakePath]) -> Answer:
    """Count what was found: what was read since it began, and what is named here."""
    told: TakeEnd = call.body
    view = api.view_of(StockTakesView)
    take = view.take(call.path.id)
    if take is None:
        raise Problem("unknown", f"There is no open stock-take {call.path.id!r}.")
    by_hand = [identity_of(epc) for epc in told.epcs]
    asked = EndStockTake(
        id=take.id,
        found=[] if told.cancel else [*view.named(take, by_hand), *view.found(take)],
        missing=[] if told.cancel else view.missing(take),
        cancel=told.cancel,
        note=told.note,
        by=told.by,
    )
    return await _told(api, call, asked)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/stock-takes",
        "stock_takes",
        "Stock-takes: expected, found, missing, unexpected.",
        list_takes,
        Takes,
        area="stock-takes",
        query=TakesQuery,
        problems=("bad-cursor",),
        rows="takes",
    ),
    Endpoint(
        "POST",
        "/api/stock-takes",
        "begin_stock_take",
        "Begin to count a zone or a bin.",
        begin_take,
        TakeAnswer,
        area="stock-takes",
        body=NewTake,
        headers=KEY_HEADER,
        statuses=CREATED,
        problems=(*PROBLEMS, "unknown"),
    ),
    Endpoint(
        "GET",
        "/api/stock-takes/{id}",
        "stock_take",
        "One stock-take, item by item.",
        get_take,
        TakeDetail,
        area="stock-takes",
        query=ItemsQuery,
        parts=TakePath,
        problems=("unknown", "bad-cursor"),
        rows="items",
    ),
    Endpoint(
        "POST",
        "/api/stock-takes/{id}/end",
        "end_stock_take",
        "End a stock-take: count what was read and what was found by hand.",
        end_take,
        TakeAnswer,
        area="stock-takes",
        parts=TakePath,
        body=TakeEnd,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=(*PROBLEMS, "unknown"),
    ),
)
