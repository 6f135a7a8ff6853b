"""``/api/predictive/pricing``: what prices would earn, how units answer to them. No rules.

Tests of prices stand in ``pricing_tests.py``.
"""

import asyncio
from typing import Annotated, Any, Literal

from msgspec import Meta

from edge.api import pricing_tests
from edge.api.commands import KEY_HEADER, PROBLEMS, STATUSES, CommandAnswer, command
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.known import need_class
from edge.api.lists import Listing, ListQuery, arranged
from edge.api.pricing_tests import Asking, Cents, Key
from edge.api.query import Text
from edge.ledger.prices import CompetitorPrice, DropCompetitorPrice, Price, SetPrice
from edge.view_basis import Listed, Rows, why_empty
from edge.view_price_tests import PriceTestsView
from edge.view_pricing import PricingView
from edge.view_pricing_types import CompetitorRow, ElasticityGroup, ElasticityRow, PriceRow

AREA = "pricing"
ALL = "all"
SHOWN_AT_ONCE = 100
"""Rows made without letting others work."""


class RecommendationsQuery(ListQuery):
    """Of which classes."""

    category: Text | None = None
    """Only classes of this category; upper and lower case do not matter."""
    store: Text | None = None
    """Only this store; ``all`` or nothing: all stores."""
    sku: Text | None = None
    """Only this class: worked out anew, and with what each influence adds."""
    action: Literal["change", "test", "keep", "nothing"] | None = None
    """Only those of which this is recommended."""


class PriceRecommendations(Listed, kw_only=True):
    """What is recommended."""

    horizon_days: int
    """Days that units, revenue and gains are of."""
    counts: dict[str, int]
    """Action -> classes, of all that were asked for."""
    recommendations: list[PriceRow]
    """The rows."""


class ElasticityQuery(ListQuery):
    """Of which classes."""

    category: Text | None = None
    """Only classes of this category; upper and lower case do not matter."""
    store: Text | None = None
    """Only this store; ``all`` or nothing: all stores."""
    sku: Text | None = None
    """Only this class."""
    known: bool | None = None
    """Only classes of which an elasticity is known, or is not."""


class ElasticityAnalysis(Listed, kw_only=True):
    """How units answer to prices."""

    level: float
    """Share of cases that an interval should hold."""
    kinds: dict[str, int]
    """Kind -> classes, of all that were asked for."""
    groups: list[ElasticityGroup]
    """Categories, from classes with evidence of their own."""
    elasticities: list[ElasticityRow]
    """The rows."""


class CompetitorsQuery(ListQuery):
    """Of what, and whose."""

    sku: Text | None = None
    """Only this class."""
    store: Text | None = None
    """Only this store of ours."""
    competitor: Text | None = None
    """Only this competitor."""


class CompetitorPrices(Listed, kw_only=True):
    """The newest prices of competitors."""

    prices: list[CompetitorRow]
    """The rows."""


class NewPrice(Asking, kw_only=True):
    """A price that people set: the new baseline."""

    sku: Key
    """Class or SKU."""
    price_cents: Cents
    """Price of one unit."""
    store: Annotated[str, Meta(max_length=255)] = ""
    """Store; empty: the configured one."""
    confirm: bool = False
    """``true``: it is meant, though more than ten times the present price, or less than a tenth of it."""


class CompetitorPath(Path):
    """Which price of whom."""

    sku: Text
    """Class or SKU."""
    competitor: Text
    """Whose price."""


class DropQuery(Query):
    """Where."""

    store: Text | None = None
    """Store of ours; without it the configured one."""


class PriceAnswer(CommandAnswer, kw_only=True):
    """What became of the command; the price as it is now."""

    result: Price | None = None
    """The price; null while it is not decided."""


RECOMMENDATIONS: Listing[PriceRow] = Listing(
    "price-recommendations",
    key=("sku", "store"),
    sorts=("gain_cents", "confidence", "change", "price_cents", "revenue_cents"),
    sort="gain_cents",
    order="desc",
)
ELASTICITIES: Listing[ElasticityRow] = Listing(
    "elasticities",
    key=("sku", "store"),
    sorts=("elasticity", "certainty"),
    sort="certainty",
    order="desc",
)
COMPETITORS: Listing[CompetitorRow] = Listing(
    "competitor-prices",
    key=("sku", "store", "competitor"),
    sorts=("sku", "competitor", "price_cents", "gap", "seen_ms"),
    sort="seen_ms",
    order="desc",
    filters={"competitor": "competitor"},
)
COMPETING: Listing[CompetitorPrice] = Listing(
    COMPETITORS.name,
    key=COMPETITORS.key,
    sorts=COMPETITORS.sorts,
    sort=COMPETITORS.sort,
    order=COMPETITORS.order,
    filters={"competitor": "competitor"},
)
"""The same of rows as they are kept, which have all but the gap."""
_NO_CLASS = (
    "No class was sold, rented, counted or priced there yet: send the till's lines "
    "(POST /api/events), or put classes into the catalogue."
)
_NO_ELASTICITY = (
    "Of none of the {} classes is it known how units answer to the price: prices must have moved, and "
    "pricing must have learnt from it. Try a price: POST /api/predictive/pricing/test-price/plan."
)
_NO_COMPETITOR = (
    "Nobody told of a competitor's price yet: send price_observed events with a competitor "
    "(docs/events.md)."
)

_NO_PRICE_OF = "No competitor's price{} was told; {} are known of other classes or stores."


def _asked(query: CompetitorsQuery) -> str:
    """Of what and where, in words."""
    return (f" of {query.sku!r}" if query.sku else "") + (
        f" in {query.store!r}" if query.store else ""
    )


def _store(text: str | None) -> str:
    return "" if text is None or text == ALL else text


async def recommendations(api: Api, call: Call[RecommendationsQuery, Path]) -> PriceRecommendations:
    """Prices that would earn more, the most valuable first."""
    view, query = api.view_of(PricingView), call.query
    sort, falling = RECOMMENDATIONS.arrangement(query)
    asked = _store(query.store), query.category or "", query.sku or ""
    for _ in view.refreshing(view.rows(*asked), anew=query.sku is not None):
        await asyncio.sleep(0)
    rows = view.rows(*asked)  # classes come and go meanwhile
    counts = view.counts(rows)
    chosen = view.of_action(rows, query.action)
    page, cursor = arranged(
        query, "price-recommendations", chosen, view.sorting(chosen, sort), falling
    )
    shown: list[PriceRow] = []
    for start in range(0, len(page), SHOWN_AT_ONCE):
        some = page[start : start + SHOWN_AT_ONCE]
        shown += view.told(some, influences=query.sku is not None)
        await asyncio.sleep(0)
    return PriceRecommendations(
        basis=view.basis(),
        horizon_days=28,
        counts=counts,
        recommendations=shown,
        why_empty=why_empty(
            shown,
            (not len(rows), _NO_CLASS),
            (not len(chosen), f"None of the {len(rows)} classes is recommended that: see counts."),
        ),
        next_cursor=cursor,
    )


async def elasticities(api: Api, call: Call[ElasticityQuery, Path]) -> ElasticityAnalysis:
    """How units of each class answer to its price, and of each category."""
    view, query = api.view_of(PricingView), call.query
    sort, falling = ELASTICITIES.arrangement(query)
    asked = _store(query.store), query.category or "", query.sku or ""
    for _ in view.grouping(*asked):
        await asyncio.sleep(0)
    rows = view.rows(*asked)
    known, kinds = view.elasticities(rows)
    value = view.elasticity_sorting(known, sort)
    keep = view.having(known, query.known)
    page, cursor = arranged(query, "elasticities", rows[keep], value[keep], falling)
    shown: list[ElasticityRow] = []
    for start in range(0, len(page), SHOWN_AT_ONCE):
        shown += view.elasticity_rows(page[start : start + SHOWN_AT_ONCE])
        await asyncio.sleep(0)
    return ElasticityAnalysis(
        basis=view.columns.basis(),
        level=0.8,
        kinds=view.kind_counts(kinds),
        groups=view.elasticity_groups(_store(query.store), query.category or "", query.sku or ""),
        elasticities=shown,
        why_empty=why_empty(
            shown,
            (not len(rows), _NO_CLASS),
            (query.known is True, _NO_ELASTICITY.format(len(rows))),
        ),
        next_cursor=cursor,
    )


async def competitors(api: Api, call: Call[CompetitorsQuery, Path]) -> CompetitorPrices:
    """What competitors charge, as far as somebody saw it."""
    view = api.view_of(PricingView)
    query = call.query
    told: Rows[Any]
    found = view.competing(query.sku, query.store)
    if query.sort == "gap":  # the one thing that every row must be worked out for
        every: list[CompetitorRow] = []
        for start in range(0, len(found), SHOWN_AT_ONCE):
            every += view.competitors(found[start : start + SHOWN_AT_ONCE])
            await asyncio.sleep(0)
        page = await COMPETITORS.page_of_many(query, every)
        told, shown, cursor = page.rows, list(page.rows), page.next_cursor
    else:
        some = None
        if query.sku is None:
            there = query.store
            some = COMPETING.page_in_order(
                query, view.seen_in_order, lambda row: there in (None, row.store)
            )
        some = some or await COMPETING.page_of_many(query, found)
        told, shown, cursor = some.rows, view.competitors(some.rows), some.next_cursor
    empty = why_empty(
        told,
        (not view.competing_count(), _NO_COMPETITOR),
        (not found, _NO_PRICE_OF.format(_asked(query), view.competing_count())),
    )
    return CompetitorPrices(basis=view.counted(), prices=shown, why_empty=empty, next_cursor=cursor)


async def drop_competitor(api: Api, call: Call[DropQuery, CompetitorPath]) -> Answer:
    """Forget a competitor's price."""
    store = call.query.store or api.settings.shop.store
    told = DropCompetitorPrice(sku=call.path.sku, store=store, competitor=call.path.competitor)
    return await command(api, call, told)


async def set_price(api: Api, call: Call[Query, Path]) -> Answer:
    """Set a price: guard rails count from it."""
    asked: NewPrice = call.body
    store = asked.store or api.settings.shop.store
    need_class(api, asked.sku, store)
    present = api.view_of(PriceTestsView).present_cents(asked.sku, (store,))
    told = SetPrice(sku=asked.sku, store=store, price_cents=asked.price_cents, by=asked.by,
                    why=asked.why, confirm=asked.confirm, present_cents=round(present or 0))  # fmt: skip
    return await command(api, call, told)


_BASE = "/api/predictive/pricing"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", f"{_BASE}/recommendations", "price_recommendations",
        "Prices that would earn more, within the guard rails; nothing where nothing is known.",
        recommendations, PriceRecommendations, area=AREA, query=RecommendationsQuery,
        problems=("bad-cursor",), rows="recommendations",
    ),
    Endpoint(
        "GET", f"{_BASE}/elasticity-analysis", "elasticity_analysis",
        "How units answer to prices, by class and category.",
        elasticities, ElasticityAnalysis, area=AREA, query=ElasticityQuery,
        problems=("bad-cursor",), rows="elasticities",
    ),
    Endpoint(
        "GET", f"{_BASE}/competitors", "competitor_prices",
        "What competitors charge, as far as somebody saw it.",
        competitors, CompetitorPrices, area=AREA, query=CompetitorsQuery,
        problems=("bad-cursor",), rows="prices",
    ),
    Endpoint(
        "DELETE", f"{_BASE}/competitors/{{sku}}/{{competitor}}", "drop_competitor_price",
        "Forget a competitor's price.",
        drop_competitor, CommandAnswer, area=AREA, query=DropQuery, parts=CompetitorPath,
        problems=(*PROBLEMS, "unknown"), headers=KEY_HEADER, statuses=STATUSES,
    ),
    Endpoint(
        "POST", f"{_BASE}/prices", "set_price",
        "Set a price: guard rails count from it.",
        set_price, PriceAnswer, area=AREA, body=NewPrice,
        problems=(*PROBLEMS, "unknown-class"), headers=KEY_HEADER, statuses=STATUSES,
    ),
    *pricing_tests.ENDPOINTS,
)  # fmt: skip
