"""``/api/predictive/packs``: how packs do, which to make or take apart, and what goes together. No rules."""

import asyncio
from dataclasses import replace
from typing import Annotated, Literal

from msgspec import Meta, field
from msgspec.structs import asdict

from edge.api.body import Body
from edge.api.commands import CREATED, KEY_HEADER, PROBLEMS, STATUSES, CommandAnswer, command
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.known import need_class
from edge.api.lists import Listing, ListQuery, arranged
from edge.api.query import Text
from edge.ledger.packs import CreatePack, DissolvePack, Pack, PackPart
from edge.view_basis import Listed, why_empty
from edge.view_packs import PacksView
from edge.view_packs_types import Candidate, PackRow, PairRow

AREA = "packs"
Key = Annotated[str, Meta(min_length=1, max_length=255)]
Saving = Annotated[float, Meta(ge=0, le=1e9)]
Share = Annotated[float, Meta(ge=0, le=1)]


class PerformanceQuery(ListQuery):
    """Which packs."""

    store: Text | None = None
    """Only of this store."""
    status: Literal["offered", "dissolved"] | None = None
    """Only packs that stand so."""
    stage: Literal["launch", "growth", "steady", "decline", "idle", "unknown"] | None = None
    """Only packs in this stage of their life."""
    advice: Literal["keep", "watch", "dissolve"] | None = None
    """Only packs of which this is advised."""
    saving_cents: Saving = 0.0
    """Work saved by handing out one pack in the place of its parts, cents."""


class PackPerformance(Listed, kw_only=True):
    """How packs do."""

    horizon_days: int
    """Days that effects are of."""
    packs: list[PackRow]
    """The rows."""


class CandidatesQuery(ListQuery):
    """Which packs that could be."""

    store: Text | None = None
    """Only of this store."""
    action: Literal["create", "consider"] | None = None
    """Only those of which this is recommended."""
    saving_cents: Saving = 0.0
    """Work saved by handing out one pack in the place of its parts, cents."""


class PackRecommendations(Listed, kw_only=True):
    """Packs to make, and packs to take apart; ``why_empty`` is of those to make."""

    horizon_days: int
    """Days that effects are of."""
    counted_ms: int
    """When the history was last counted; 0: not yet."""
    counted_days: int
    """Days of documents that were counted."""
    tests: int
    """Pairs of classes that could have been seen."""
    create: list[Candidate]
    """Packs that could be, on this page."""
    dissolve: list[PackRow]
    """Packs that had better be taken apart: all of them."""


class PairsQuery(ListQuery):
    """Which pairs."""

    store: Text | None = None
    """Only of this store."""
    sku: Text | None = None
    """Only with this class."""
    q_most: Share = 0.05
    """Most share of false discoveries; 1: every pair that was tested and seen."""


class CoDemand(Listed, kw_only=True):
    """What goes out together."""

    counted_ms: int
    """When the history was last counted; 0: not yet."""
    counted_days: int
    """Days of documents that were counted."""
    tests: int
    """Pairs of classes that could have been seen."""
    pairs: list[PairRow]
    """The rows."""


class NewPart(Body):
    """One class of a pack."""

    sku: Key
    """Class or SKU."""
    units: Annotated[float, Meta(gt=0, lt=1e6)] = 1.0
    """Units of it in a pack."""


class NewPack(Body, kw_only=True):
    """A pack to be offered."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    """Name for people."""
    parts: Annotated[list[NewPart], Meta(min_length=1, max_length=8)]
    """What is in it."""
    price_cents: Annotated[int, Meta(ge=1, le=10**12)]
    """Price of the pack."""
    store: Annotated[str, Meta(max_length=255)] = ""
    """Store that offers it; empty: the configured one."""
    sku: Annotated[str, Meta(max_length=255)] = ""
    """SKU under which it is handed out; empty: ``PACK-`` and its id."""
    separate_cents: Annotated[int, Meta(ge=0, le=10**12)] = 0
    """What its parts cost apart, for the record; 0: as their prices are now."""
    confirm: bool = False
    """``true``: the price is meant, though more than ten times what its parts cost apart, or less than a
    tenth of it."""
    by: Annotated[str, Meta(max_length=200)] = ""
    """Who makes it."""
    why: Annotated[str, Meta(max_length=2_000)] = ""
    """Why."""


class PackPath(Path):
    """Which pack."""

    pack_id: Text
    """Its id."""


class DissolveQuery(Query):
    """Who takes it apart, and why."""

    by: Text | None = None
    """Who."""
    why: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    """Why."""


class PackAnswer(CommandAnswer, kw_only=True):
    """What became of the command; the pack as it is now."""

    result: Pack | None = None
    """The pack; null while it is not decided."""
    notes: list[str] = field(default_factory=list)
    """What is odd about it, for people; empty: nothing."""


PACKS: Listing[PackRow] = Listing(
    "packs",
    key=("id",),
    sorts=("units_28d", "revenue_28d_cents", "chance", "growth_per_week", "name", "utilisation"),
    sort="revenue_28d_cents",
    order="desc",
    filters={"status": "status", "stage": "stage", "advice": "advice", "store": "store"},
)
CANDIDATES: Listing[Candidate] = Listing(
    "pack-candidates",
    key=("id",),
    sorts=("effect", "chance", "lift_low", "documents", "q", "units_28d", "together_28d_cents"),
    sort="effect",
    order="desc",
    filters={"action": "action", "store": "store"},
)
PAIRS: Listing[PairRow] = Listing(
    "co-demand",
    key=("store", "sku", "other"),
    sorts=("lift_low", "lift", "lift_plain", "documents", "support", "q"),
    sort="lift_low",
    order="desc",
)


async def performance(api: Api, call: Call[PerformanceQuery, Path]) -> PackPerformance:
    """How each pack does: units, trend, what it is worth."""
    view, query = api.view_of(PacksView), call.query
    asked = query.store, query.status, query.saving_cents
    for _ in view.weighing(*asked):
        await asyncio.sleep(0)
    page = PACKS.page(query, view.packs(*asked))
    return PackPerformance(
        basis=view.performance_basis(), horizon_days=28, packs=page.rows,
        why_empty=why_empty(page.rows, *view.why_no_packs()), next_cursor=page.next_cursor,
    )  # fmt: skip


async def recommendations(api: Api, call: Call[CandidatesQuery, Path]) -> PackRecommendations:
    """Packs worth making, with what they would bring; packs that had better be taken apart."""
    view, query = api.view_of(PacksView), call.query
    for _ in view.looking(query.saving_cents, query.store):
        await asyncio.sleep(0)
    found = view.candidates(query.saving_cents, query.store)
    page = CANDIDATES.page(query, found)
    for _ in view.weighing(query.store, "offered", query.saving_cents):
        await asyncio.sleep(0)
    return PackRecommendations(
        basis=view.candidates_basis(), horizon_days=28, counted_ms=view.counted_ms,
        counted_days=view.counted_days, tests=view.tests, create=page.rows,
        dissolve=view.to_take_apart(query.store, query.saving_cents), next_cursor=page.next_cursor,
        why_empty="" if page.rows else why_empty(page.rows, *view.why_no_candidates(query.store)),
    )  # fmt: skip


def co_demand(api: Api, call: Call[PairsQuery, Path]) -> CoDemand:
    """Pairs of classes that go out together more often than chance says."""
    view, query = api.view_of(PacksView), call.query
    sort, falling = PAIRS.arrangement(query)
    rows = view.pair_rows(query.sku, query.store, query.q_most)
    page, cursor = arranged(query, "co-demand", rows, view.pair_sorting(rows, sort), falling)
    return CoDemand(
        basis=view.candidates_basis(), counted_ms=view.counted_ms, counted_days=view.counted_days,
        tests=view.tests, pairs=view.pairs(page), next_cursor=cursor,
        why_empty=why_empty(page, *view.why_no_pairs(query.q_most)),
    )  # fmt: skip


async def create(api: Api, call: Call[Query, Path]) -> Answer:
    """Offer a pack."""
    asked: NewPack = call.body
    store = asked.store or api.settings.shop.store
    for part in asked.parts:
        need_class(api, part.sku, store)
    parts = [PackPart(part.sku, part.units) for part in asked.parts]
    apart = asked.separate_cents or api.view_of(PacksView).separate_cents(store, parts)
    pack = Pack(
        name=asked.name, sku=asked.sku, store=store, parts=parts,
        price_cents=asked.price_cents, separate_cents=apart,
    )  # fmt: skip
    told = CreatePack(pack=pack, by=asked.by, why=asked.why, confirm=asked.confirm)
    made = await command(api, call, told, created=True)
    return replace(made, body=PackAnswer(**asdict(made.body), notes=_notes(pack)))


def _notes(pack: Pack) -> list[str]:
    """What is odd about a pack that is made."""
    apart, more = pack.separate_cents, pack.price_cents - pack.separate_cents
    if not apart:
        return ["What its parts cost apart is not known: whether it is a bargain cannot be told."]
    if more <= 0:
        return []
    return [
        f"It costs {more / 100:,.2f} more than its parts apart ({apart / 100:,.2f}): who reckons takes "
        "them apart. Offer it for less, or dissolve it."
    ]


async def dissolve(api: Api, call: Call[DissolveQuery, PackPath]) -> Answer:
    """Offer a pack no more."""
    told = DissolvePack(id=call.path.pack_id, by=call.query.by or "", why=call.query.why or "")
    return await command(api, call, told)


_BASE = "/api/predictive/packs"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", f"{_BASE}/performance-analysis", "pack_performance",
        "How packs do: units, trend against the shop, what they are worth.",
        performance, PackPerformance, area=AREA, query=PerformanceQuery, problems=("bad-cursor",),
        rows="packs",
    ),
    Endpoint(
        "GET", f"{_BASE}/recommendations", "pack_recommendations",
        "Packs worth making or taking apart, with the expected effect.",
        recommendations, PackRecommendations, area=AREA, query=CandidatesQuery,
        problems=("bad-cursor",), rows="create",
    ),
    Endpoint(
        "GET", f"{_BASE}/co-demand", "co_demand",
        "What goes out together more often than chance says.",
        co_demand, CoDemand, area=AREA, query=PairsQuery, problems=("bad-cursor",), rows="pairs",
    ),
    Endpoint(
        "POST", f"{_BASE}/create-pack", "create_pack",
        "Offer a pack.",
        create, PackAnswer, area=AREA, body=NewPack,
        problems=(*PROBLEMS, "unknown-class"), headers=KEY_HEADER, statuses=CREATED,
    ),
    Endpoint(
        "DELETE", f"{_BASE}/dissolve-pack/{{pack_id}}", "dissolve_pack",
        "Offer a pack no more.",
        dissolve, PackAnswer, area=AREA, query=DissolveQuery, parts=PackPath,
        problems=(*PROBLEMS, "unknown"), headers=KEY_HEADER, statuses=STATUSES,
    ),
)  # fmt: skip
