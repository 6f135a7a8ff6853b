"""``/api/predictive/pricing``: tests of prices, planned, begun, looked at, stopped. No rules."""

import asyncio
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

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
from edge.api.known import need_class
from edge.api.lists import Listing, ListQuery
from edge.api.problems import Problem
from edge.api.query import Text
from edge.ledger.price_tests import PriceTest, PriceTestBlock, StartPriceTest, StopPriceTest
from edge.services.price_test import BLOCKS_MAX
from edge.view_basis import Basis, Listed, why_empty
from edge.view_price_tests import (
    PricePlan,
    PriceTestBlockRow,
    PriceTestRow,
    PriceTestsView,
    Wish,
    block_row,
    planned,
)

AREA = "pricing"
Cents = Annotated[int, Meta(ge=1, le=10**12)]
Key = Annotated[str, Meta(min_length=1, max_length=255)]


class TestsQuery(ListQuery):
    """Which tests."""

    sku: Text | None = None
    """Only of this class."""
    store: Text | None = None
    """Only those that this store takes part in."""
    status: Literal["planned", "running", "ended"] | None = None
    """Only those that stand so."""
    verdict: Literal["better", "worse", "no_difference_shown", "not_enough_data"] | None = None
    """Only those of which this is known."""


class PriceTests(Listed, kw_only=True):
    """A page of price tests."""

    tests: list[PriceTestRow]
    """The rows."""


class TestPath(Path):
    """Which test."""

    id: Text
    """Its id."""


class PriceTestDetail(Struct, kw_only=True):
    """One price test with what each block brought."""

    basis: Basis
    """How fresh this is."""
    test: PriceTestRow
    """How it stands."""
    blocks: list[PriceTestBlockRow]
    """Blocks that are over, in order."""


class NewPriceTest(Body):
    """A price to be tested."""

    sku: Key
    """Class or SKU."""
    tested_cents: Cents | None = None
    """Price to be tried; or ``change``."""
    change: Annotated[float, Meta(ge=-0.5, le=0.5)] | None = None
    """The same as a share of the present price, such as 0.1."""
    control_cents: Cents | None = None
    """Present price; without it the one that is known."""
    stores: Annotated[list[Key], Meta(max_length=50)] = field(default_factory=list)
    """Stores that take part; none: the configured one."""
    design: Literal["store", "period"] | None = None
    """``store``: two groups of stores swap prices; ``period``: all charge the same. Without it by store
    where there are two or more."""
    measure: Literal["revenue", "units"] = "revenue"
    """What is compared."""
    period_days: Annotated[int, Meta(ge=1, le=28)] = 7
    """Days for which a price is charged without a change."""
    washout_days: Annotated[int, Meta(ge=0, le=27)] = 0
    """First days of a period that do not count."""
    effect_least: Annotated[float, Meta(ge=0.005, le=2)] = 0.1
    """Least difference worth knowing, a share of the takings."""
    alpha: Annotated[float, Meta(ge=0.001, le=0.2)] = 0.05
    """Probability of a difference being shown where there is none."""
    power: Annotated[float, Meta(ge=0.5, le=0.99)] = 0.8
    """Probability of ``effect_least`` being shown."""
    blocks: Annotated[int, Meta(ge=2, le=BLOCKS_MAX)] | None = None
    """Blocks of two periods each; without it as many as the power takes."""
    start_in_days: Annotated[int, Meta(ge=1, le=90)] = 1
    """Days until it begins."""
    loss_most_cents: Annotated[int, Meta(ge=0, le=10**12)] = 0
    """The tested price may lose this much, then the test stops; 0: no such end."""
    name: Annotated[str, Meta(max_length=200)] = ""
    """Name for people."""
    by: Annotated[str, Meta(max_length=200)] = ""
    """Who asks."""


class PlannedTest(Struct, kw_only=True):
    """What a test would take; nothing has begun."""

    basis: Basis
    """How fresh this is."""
    plan: PricePlan
    """What it takes."""


class Asking(Body):
    """Who asks, and why."""

    by: Annotated[str, Meta(max_length=200)] = ""
    """Who."""
    why: Annotated[str, Meta(max_length=2_000)] = ""
    """Why."""


class TestAnswer(CommandAnswer, kw_only=True):
    """What became of the command; the test as it is now."""

    result: PriceTestRow | None = None
    """The test; null while it is not decided."""


TESTS: Listing[PriceTestRow] = Listing(
    "price-tests",
    key=("id",),
    sorts=("created_ms", "sku", "first_day", "effect"),
    sort="created_ms",
    order="desc",
    filters={
        "sku": "sku",
        "status": "status",
        "verdict": "verdict",
        "store": lambda row, wanted: wanted in row.stores,
    },
)


_NO_TEST = (
    "No price was tested yet: ask what a test takes, POST /api/predictive/pricing/test-price/plan."
)


async def plan_test(api: Api, call: Call[Query, Path]) -> PlannedTest:
    """Say what a test would take; nothing begins."""
    _, plan = await _planned(api, call.body)
    return PlannedTest(basis=api.view_of(PriceTestsView).basis(), plan=plan)


async def start_test(api: Api, call: Call[Query, Path]) -> Answer:
    """Plan a test of a price and begin it."""
    asked: NewPriceTest = call.body
    test, plan = await _planned(api, asked)
    if plan.why:
        raise Problem("invalid", plan.why, cure=_SOONER)
    told = StartPriceTest(test=replace(test, name=asked.name), by=asked.by)
    return await _test(api, call, told, created=True)


async def _test(
    api: Api, call: Call[Any, Any], told: StartPriceTest | StopPriceTest, *, created: bool = False
) -> Answer:
    """Post a command about a test; the answer holds the test as it is now."""
    asked = await obey(api, call, told)
    view, row = api.view_of(PriceTestsView), None
    if asked.state == "done":
        row = view.row(result_of(asked, PriceTest))
    return answer(api, asked, created=created, result=row)


async def _planned(api: Api, asked: NewPriceTest) -> tuple[PriceTest, PricePlan]:
    view = api.view_of(PriceTestsView)
    need_class(api, asked.sku, *(asked.stores or (api.settings.shop.store,)))
    gathered = view.gathered(_wish(api, view, asked))
    if isinstance(gathered, str):
        raise Problem("invalid", f"{gathered}.")
    if gathered.wish.tested_cents == gathered.control_cents:
        raise Problem(
            "invalid",
            f"The tested price is the present one, {gathered.control_cents} cents: two prices are needed.",
            cure='Name another tested_cents, or a larger change, such as "change": 0.1.',
        )
    beyond = view.beyond(gathered)
    if beyond:
        raise Problem("limit", f"{beyond}.", cure="Test a price nearer to the baseline.")
    return await asyncio.to_thread(planned, gathered)


_SOONER = (
    "Name a larger effect_least, shorter period_days, more stores, or a class that moves more; or the "
    "blocks yourself (the answer states its power), once a closed day is known."
)


def _wish(api: Api, view: PriceTestsView, asked: NewPriceTest) -> Wish:
    stores = tuple(asked.stores) or (api.settings.shop.store,)
    if (asked.tested_cents is None) == (asked.change is None):
        raise Problem(
            "invalid",
            "Name either tested_cents or change, not both.",
            cure='Send "tested_cents": 1350, or "change": 0.1 for a price 10 % above the present one.',
        )
    cents = asked.tested_cents
    if cents is None:
        present = asked.control_cents or view.present_cents(asked.sku, stores)
        if present is None:
            raise Problem(
                "invalid",
                f"No price of {asked.sku!r} is known: name control_cents.",
                cure='Add the present price, such as "control_cents": 1250, or set it: '
                "POST /api/predictive/pricing/prices.",
            )
        cents = round(present * (1 + (asked.change or 0.0)))
    return Wish(
        sku=asked.sku, stores=stores, tested_cents=cents,
        design=asked.design or ("store" if len(stores) > 1 else "period"),
        period_days=asked.period_days, washout_days=asked.washout_days, measure=asked.measure,
        effect_least=asked.effect_least, alpha=asked.alpha, power=asked.power, blocks=asked.blocks,
        first_day=view.today + asked.start_in_days, loss_most_cents=asked.loss_most_cents,
        control_cents=asked.control_cents,
    )  # fmt: skip


def list_tests(api: Api, call: Call[TestsQuery, Path]) -> PriceTests:
    """Price tests, the newest first."""
    view = api.view_of(PriceTestsView)
    tests = view.tests()
    page = TESTS.page(call.query, tests)
    return PriceTests(
        basis=view.basis(),
        tests=page.rows,
        why_empty=why_empty(page.rows, (not tests, _NO_TEST)),
        next_cursor=page.next_cursor,
    )


async def get_test(api: Api, call: Call[Query, TestPath]) -> PriceTestDetail:
    """One price test: what each store charges today, what is known, block by block."""
    view = api.view_of(PriceTestsView)
    test = view.test(call.path.id)
    if test is None:
        raise _unknown(call.path.id)
    row, basis = view.row(test), view.basis()
    blocks = await api.tables.ledger_rows(
        PriceTestBlock, {"test": test.id}, order="block", limit=99
    )
    return PriceTestDetail(basis=basis, test=row, blocks=[block_row(one) for one in blocks])


async def stop_test(api: Api, call: Call[Query, TestPath]) -> Answer:
    """End a price test before its time; what is known stays known."""
    told = StopPriceTest(id=call.path.id, by=call.body.by, why=call.body.why)
    return await _test(api, call, told)


def _unknown(id_: str) -> Problem:
    return Problem(
        "unknown", f"No price test {id_!r}.", cure="See /api/predictive/pricing/price-tests"
    )


_BASE = "/api/predictive/pricing"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST", f"{_BASE}/test-price", "test_price",
        "Begin a test of a price, its length stated beforehand.",
        start_test, TestAnswer, area=AREA, body=NewPriceTest,
        problems=(*PROBLEMS, "unknown-class"), headers=KEY_HEADER, statuses=CREATED,
    ),
    Endpoint(
        "POST", f"{_BASE}/test-price/plan", "plan_price_test",
        "What a test of a price would take; nothing begins.",
        plan_test, PlannedTest, area=AREA, body=NewPriceTest,
        problems=("invalid", "limit", "unknown-class"),
    ),
    Endpoint(
        "GET", f"{_BASE}/price-tests", "price_tests",
        "Price tests and what is known of them.",
        list_tests, PriceTests, area=AREA, query=TestsQuery, problems=("bad-cursor",), rows="tests",
    ),
    Endpoint(
        "GET", f"{_BASE}/price-tests/{{id}}", "price_test",
        "One price test: today's prices, what is known, block by block.",
        get_test, PriceTestDetail, area=AREA, parts=TestPath, problems=("unknown",),
    ),
    Endpoint(
        "POST", f"{_BASE}/price-tests/{{id}}/stop", "stop_price_test",
        "End a price test before its time.",
        stop_test, TestAnswer, area=AREA, parts=TestPath, body=Asking,
        problems=(*PROBLEMS, "unknown"), headers=KEY_HEADER, statuses=STATUSES,
    ),
)  # fmt: skip
