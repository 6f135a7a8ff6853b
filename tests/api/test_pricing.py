"""Pricing through the real daemon: silent without a model, recommendations with one, tests to their end."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge.commands import TOPIC, Propose
from edge.config import DecisionSettings
from edge.features.windows import DayRing
from edge.inference.manifest import Entities
from edge.inference.model import Loaded
from edge.pipeline_price_outcomes import PriceOutcomes
from edge.view_price_tests import PriceTestsView
from edge.view_pricing import PricingView
from tests.api.shop import DAY_MS, Shop
from tests.api.weeks import MONDAY_MS, Calendar, calendar_shop, line, lived
from tests.inference import models
from trainer import pricing as trained

BASE = "/api/predictive/pricing"
SLOPES = {"CUP": -2.5, "TENT": -0.3, "MUG": -1.0}
PRICE = {"CUP": 500, "TENT": 9_000, "MUG": 700, "NEW": 100}


def model(shop: Shop, slopes: dict[str, float] = SLOPES) -> Loaded:
    """The trainer's own graph, with elasticities of the test's choice."""
    rows = [[e, 0.15, PRICE[sku], PRICE[sku] * 0.7, PRICE[sku] * 1.4, 2.0, 0.0, -1.0]
            for sku, e in slopes.items()]  # fmt: skip
    rows.append([0.0, trained.NOBODY_SD, 0, 0, 0, 0, 0, -1])
    values = trained.prepared(np.array(rows, np.float64)).astype("<f4")
    keys = [*(f"main\x1f{sku}" for sku in slopes), ""]
    return models.loaded(
        shop.daemon.pipeline.core.state, 900, service="pricing", content=trained.onnx(),
        entities=Entities(keys=keys, columns=list(trained.SIDE), values=values.tobytes()),
        features=trained.FEATURES, columns=trained.columns(), side=trained.SIDE,
    )  # fmt: skip


async def taught(shop: Shop) -> None:
    """Let the model answer, and every class be scored."""
    assert shop.daemon.scoring is not None
    scorer = shop.daemon.scoring.scorer
    scorer.use("pricing", model(shop))
    for _ in range(3):
        await scorer.beat()


def day_of(day: int) -> Iterator[dict[str, Any]]:
    """Over-dispersed enough for a test; a class without a single sale is only counted."""
    random = np.random.default_rng(day)
    for sku, mean in (("CUP", 40), ("MUG", 12), ("TENT", 3)):
        units = int(random.poisson(mean))
        if units:
            yield line(f"R{day}-{sku}", sku, units, price_cents=PRICE[sku], category="Party")
    if day == 0:
        yield {"type": "stock_count", "sku": "NEW", "quantity": 5}


async def with_weeks(tmp_path: Path, case: Any, days: int = 42) -> None:
    async with calendar_shop(tmp_path) as (shop, clock):
        await lived(shop, clock, range(days), day_of)
        clock.set(MONDAY_MS + days * DAY_MS + 3 * 3_600_000)
        await shop.events(line("X", "CUP", 1.0, price_cents=500))
        await case(shop, clock)


def by_sku(told: dict[str, Any], name: str = "recommendations") -> dict[str, dict[str, Any]]:
    return {row["sku"]: row for row in told[name]}


def test_without_a_model_nothing_is_recommended_and_that_is_said(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        told = await shop.get(f"{BASE}/recommendations")
        assert told["counts"] == {"nothing": 4, "keep": 0, "test": 0, "change": 0}
        assert told["basis"]["fallback"]
        for row in told["recommendations"]:
            assert row["recommended_cents"] is None
            assert "how units answer to price is not known" in row["reasons"]
        table = await shop.get(f"{BASE}/elasticity-analysis")
        assert table["kinds"]["unknown"] == 4
        assert table["groups"] == []
        known = await shop.get(f"{BASE}/elasticity-analysis", known="true")
        assert "prices must have moved" in known["why_empty"]
        none = await shop.get(f"{BASE}/recommendations", store="moon")
        assert none["why_empty"] == "No store is called 'moon'; there are main."
        none = await shop.get(f"{BASE}/recommendations", category="pary")
        assert none["why_empty"] == "No class is of category 'pary'; there are Party."
        none = await shop.get(f"{BASE}/recommendations", sku="MUGG")
        assert "similar ones are MUG" in none["why_empty"]
        assert "price_observed" in (await shop.get(f"{BASE}/competitors"))["why_empty"]
        assert "/plan" in (await shop.get(f"{BASE}/price-tests"))["why_empty"]
        assert told["why_empty"] == ""
        wrong = {"sku": "CUPP", "price_cents": 5}
        refused = await shop.ask("POST", f"{BASE}/prices", 404, json=wrong)
        assert "Similar ones are CUP" in refused["cure"]
        view = shop.daemon.views.of(PricingView)
        assert [one for one in view.proposals() if one is not None] == []

    asyncio.run(with_weeks(tmp_path, case))


def test_recommendations_follow_elasticities_within_the_rails(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        await taught(shop)
        told = await shop.get(f"{BASE}/recommendations", store="all")
        rows = by_sku(told)
        assert told["basis"]["version"]
        assert rows["CUP"]["action"] == rows["TENT"]["action"] == "change"
        assert rows["CUP"]["recommended_cents"] == 400  # elastic: 20 % down, the rail
        assert rows["TENT"]["recommended_cents"] == 10_800
        assert rows["MUG"]["action"] == "keep"
        assert rows["NEW"]["action"] == "nothing"
        for sku in ("CUP", "TENT"):
            row = rows[sku]
            now, new, gain = (row[n] for n in ("revenue_now_cents", "revenue_cents", "gain_cents"))
            assert now["low"] <= now["value"] <= now["high"]
            assert gain["value"] == pytest.approx(new["value"] - now["value"], rel=0.01)
            assert now["value"] == pytest.approx(row["units_now"] * PRICE[sku], rel=0.01)
            assert row["confidence"] > 0.9
        gains = [r["gain_cents"]["value"] for r in told["recommendations"][:2]]
        assert gains == sorted(gains, reverse=True)
        only = await shop.get(f"{BASE}/recommendations", category="party", action="change", limit=1)
        assert len(only["recommendations"]) == 1
        rest = await shop.get(f"{BASE}/recommendations", category="party", action="change", limit=1,
                              cursor=only["next_cursor"])  # fmt: skip
        assert {only["recommendations"][0]["sku"], rest["recommendations"][0]["sku"]} == {
            "CUP",
            "TENT",
        }
        one = await shop.get(f"{BASE}/recommendations", sku="TENT")
        assert set(one["recommendations"][0]["influences"]) == {
            "season", "utilisation", "quality", "market"}  # fmt: skip

    asyncio.run(with_weeks(tmp_path, case))


def test_a_slip_of_the_pen_is_refused_with_its_figure_and_moves_no_rail(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Calendar) -> None:
        await taught(shop)

        async def listed() -> dict[str, Any]:
            return by_sku(await shop.get(f"{BASE}/recommendations"))["TENT"]

        assert (await listed())["price_cents"] == 9_000
        slip = {"sku": "TENT", "price_cents": 900_000_000}
        refused = await shop.ask("POST", f"{BASE}/prices", 422, json=slip)
        assert refused["type"].endswith("limit")
        assert "100,000 times the present price of 90.00" in refused["detail"]
        row = await listed()
        assert (row["price_cents"], row["baseline_cents"], row["recommended_cents"]) == (
            9_000, 9_000, 10_800)  # fmt: skip
        await shop.ask("POST", f"{BASE}/prices", json={"sku": "TENT", "price_cents": 9_500})
        told = await listed()
        assert told["price_cents"] == 9_500  # at once, not minutes later
        assert told["action"] == "change"  # what it cost before is not known
        await shop.ask("POST", f"{BASE}/prices", json={"sku": "TENT", "price_cents": 9_000})
        told = await listed()
        assert (told["action"], told["reasons"][-1]) == (
            "keep", "its price was changed a short while ago")  # fmt: skip
        await shop.ask("POST", f"{BASE}/prices", json={"sku": "TENT", "price_cents": 9_500})
        clock.set(clock.now_ms() + 60_000)
        seen = {"type": "price_observed", "sku": "TENT", "at": clock.now_ms()}
        await shop.events({**seen, "price_cents": 900_000_000})
        (row,) = (await shop.get(f"{BASE}/recommendations", sku="TENT"))["recommendations"]
        assert (row["price_cents"], row["baseline_cents"]) == (9_500, 9_500)
        assert "9,000,000.00 is 94,737 times" in row["reasons"][-1]
        clock.set(clock.now_ms() + 60_000)
        await shop.ask("POST", f"{BASE}/prices", json={**slip, "confirm": True})
        (row,) = (await shop.get(f"{BASE}/recommendations", sku="TENT"))["recommendations"]
        assert row["baseline_cents"] == 900_000_000
        assert not any("not believed" in reason for reason in row["reasons"])

    asyncio.run(with_weeks(tmp_path, case))


def test_one_absurd_line_of_a_till_moves_neither_price_nor_rail(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Calendar) -> None:
        await taught(shop)
        (before,) = (await shop.get(f"{BASE}/recommendations", sku="CUP"))["recommendations"]
        await shop.events(line("slip", "CUP", 1.0, price_cents=50_000_000))
        (row,) = (await shop.get(f"{BASE}/recommendations", sku="CUP"))["recommendations"]
        for name in ("price_cents", "baseline_cents", "recommended_cents"):
            assert row[name] == pytest.approx(before[name], rel=0.01), name

    asyncio.run(with_weeks(tmp_path, case))


def test_competitors_hold_a_rise_back_and_are_listed(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Calendar) -> None:
        await taught(shop)
        seen = {"type": "price_observed", "sku": "TENT", "at": clock.now_ms()}
        await shop.events({**seen, "price_cents": 8_000, "competitor": "A"},
                          {**seen, "price_cents": 8_200, "competitor": "B"})  # fmt: skip
        (row,) = (await shop.get(f"{BASE}/recommendations", sku="TENT"))["recommendations"]
        assert row["market_cents"] == 8_100
        assert row["competitors"] == 2
        assert row["recommended_cents"] <= 8_100 * 1.15
        assert row["influences"]["market"] < 0
        told = await shop.get(f"{BASE}/competitors", sku="TENT", sort="price_cents", order="asc")
        assert [p["competitor"] for p in told["prices"]] == ["A", "B"]
        assert told["prices"][0]["gap"] == pytest.approx(9_000 / 8_000 - 1, abs=1e-3)
        none = await shop.get(f"{BASE}/competitors", sku="CUP")
        assert none["why_empty"] == (
            "No competitor's price of 'CUP' was told; 2 are known of other classes or stores."
        )
        await shop.ask("DELETE", f"{BASE}/competitors/TENT/A")
        await shop.ask("DELETE", f"{BASE}/competitors/TENT/A", 404)

    asyncio.run(with_weeks(tmp_path, case))


def test_proposals_are_decisions_and_approved_ones_change_the_price(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        await taught(shop)
        await shop.ask("POST", f"{BASE}/prices", json={"sku": "TENT", "price_cents": 9_000})
        view = shop.daemon.views.of(PricingView)
        found = {one.target: one for one in view.proposals() if one is not None}
        assert set(found) == {"CUP", "TENT"}
        assert found["TENT"].change_ratio == pytest.approx(0.2)
        shop.daemon.pipeline.tell(TOPIC, msgspec.json.encode(found["TENT"]))
        decisions: list[dict[str, Any]] = []
        while not decisions:
            decisions = (await shop.get("/api/decisions", kind="pricing"))["decisions"]
        assert decisions[0]["data"]["price_cents"] == 10_800
        room = view._room()
        assert room == 49
        assert decisions[0]["dry_run"]  # the default of a fresh install: nothing changes
        table = by_sku(await shop.get(f"{BASE}/elasticity-analysis"), "elasticities")
        assert table["CUP"]["kind"] == "elastic"
        assert table["TENT"]["kind"] == "inelastic"
        assert table["MUG"]["kind"] == "either"
        assert table["NEW"]["kind"] == "unknown"

    asyncio.run(with_weeks(tmp_path, case))


def test_what_a_decided_price_brought_is_told_once_its_first_weeks_are_over(tmp_path: Path) -> None:
    days = 35

    def steady(day: int) -> Iterator[dict[str, Any]]:
        """After the change a fifth more cups, while the rest of the shop grows by a tenth."""
        later = day > days
        yield line(f"R{day}-CUP", "CUP", 48 if later else 40, price_cents=400 if later else 500)
        yield line(f"R{day}-MUG", "MUG", 22 if later else 20, price_cents=700)

    async def main() -> None:
        live = DecisionSettings(dry_run=False, propose_every_s=86_400.0)
        async with calendar_shop(tmp_path, decisions=live) as (shop, clock):
            await lived(shop, clock, range(days), steady)
            clock.set(MONDAY_MS + days * DAY_MS + 3 * 3_600_000)
            await shop.ask("POST", f"{BASE}/prices", json={"sku": "CUP", "price_cents": 500})
            told = Propose(
                kind="pricing", target="CUP", store="main", period="2026-04", confidence=0.95,
                impact_cents=10, change_ratio=-0.2, data={"price_cents": 400, "baseline_cents": 500},
            )  # fmt: skip
            shop.daemon.pipeline.tell(TOPIC, msgspec.json.encode(told))
            await shop.events(line("X", "MUG", 1, price_cents=700))
            (row,) = (await shop.get("/api/decisions", kind="pricing"))["decisions"]
            if row["status"] == "pending":
                await shop.ask("POST", f"/api/decisions/{row['id']}/approve", json={"by": "eve"})
            (row,) = (await shop.get("/api/decisions?status=executed"))["decisions"]
            view, outcomes = shop.daemon.views.of(PricingView), shop.daemon.beside["price_outcomes"]
            assert isinstance(outcomes, PriceOutcomes)
            assert [*view.impacts()] == []
            await lived(shop, clock, range(days + 1, days + 30), steady)
            clock.set(MONDAY_MS + (days + 30) * DAY_MS + 1_000)
            await shop.events(line("Y", "MUG", 1, price_cents=700))
            assert await outcomes.round() == 1
            await shop.events(line("Z", "MUG", 1, price_cents=700))
            (row,) = (await shop.get("/api/decisions", kind="pricing"))["decisions"]
            wanted = 28 * (48 * 400 - 40 * 500 * 1.1)
            assert row["actual_impact_cents"] == pytest.approx(wanted, rel=0.02)
            assert [*view.impacts()] == []

    asyncio.run(main())


# -- tests of prices ----------------------------------------------------------------------------------


async def until(shop: Shop, id_: str, blocks: int) -> dict[str, Any]:
    """Tell every block that is over; the test afterwards."""
    view = shop.daemon.views.of(PriceTestsView)
    for _ in range(3_000):
        for one in view.due():
            shop.daemon.pipeline.tell(TOPIC, msgspec.json.encode(one))
        told = (await shop.get(f"{BASE}/price-tests/{id_}"))["test"]
        if told["blocks_done"] >= blocks or told["status"] == "ended":
            return dict(told)
        await asyncio.sleep(0.02)
    raise AssertionError(told)


def test_a_price_is_planned_tested_and_judged_block_by_block(tmp_path: Path) -> None:
    wish = {"sku": "CUP", "change": 0.1, "period_days": 1, "effect_least": 0.3, "name": "dearer"}

    async def case(shop: Shop, clock: Calendar) -> None:
        plan = (await shop.ask("POST", f"{BASE}/test-price/plan", json=wish))["plan"]
        assert plan["tested_cents"] == 550
        assert plan["blocks"] == plan["blocks_needed"]
        assert plan["power"] >= 0.8
        assert plan["sd_blocks"] >= 6
        assert f"{plan['sd_blocks']} blocks" in plan["evidence"]
        assert plan["why"] == ""
        assert (await shop.get(f"{BASE}/price-tests"))["tests"] == []
        made = await shop.ask("POST", f"{BASE}/test-price", 201, json=wish)
        id_ = made["result"]["id"]
        await shop.ask("POST", f"{BASE}/test-price", 409, json=wish)
        other = {"sku": "CUP", "price_cents": 520}
        spoilt = await shop.ask("POST", f"{BASE}/prices", 409, json=other)
        assert f"price-tests/{id_}/stop" in spoilt["detail"]
        row = (await shop.get(f"{BASE}/price-tests/{id_}"))["test"]
        assert (row["status"], row["verdict"], row["today"][0]["arm"]) == (
            "planned", "not_enough_data", "none")  # fmt: skip
        first = 43
        for day in range(first, first + 2 * plan["blocks"]):
            clock.set(MONDAY_MS + day * DAY_MS + 9 * 3_600_000)
            await shop.events(line(f"open{day}", "MUG", 1.0, price_cents=700))  # the day begins
            today = (await shop.get(f"{BASE}/price-tests/{id_}"))["test"]["today"]
            dear = bool(today) and today[0]["arm"] == "tested"
            units = 40 + day % 3 if not dear else 66 + day % 2
            sold = line(f"T{day}", "CUP", units, price_cents=550 if dear else 500)
            await shop.events(sold)
        clock.set(MONDAY_MS + (first + 2 * plan["blocks"]) * DAY_MS + 9 * 3_600_000)
        await shop.events(line("last", "MUG", 1.0, price_cents=700))
        ended = await until(shop, id_, plan["blocks"])
        assert (ended["verdict"], ended["stop"]) == ("better", "shown")
        assert ended["effect"] == pytest.approx(66 * 550 / (41 * 500) - 1, abs=0.15)
        assert ended["low"] > 0
        assert ended["adherence"] == 1.0
        assert "brought more" in ended["words"]
        blocks = (await shop.get(f"{BASE}/price-tests/{id_}"))["blocks"]
        assert blocks[0]["first_day"] == plan["first_day"] == made["result"]["first_day"]
        assert len(blocks) == ended["blocks_done"]
        assert blocks[0]["tested_units"] > blocks[0]["control_units"]
        view = shop.daemon.views.of(PricingView)
        adopt = [p for p in view.proposals() if p is not None and p.period == f"test-{id_}"]
        assert adopt[0].data["price_cents"] == 550
        listed = await shop.get(f"{BASE}/price-tests", verdict="better", store="main")
        assert [t["id"] for t in listed["tests"]] == [id_]

    asyncio.run(with_weeks(tmp_path, case))


def test_days_on_which_the_daemon_was_off_are_no_days_without_customers(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        view = shop.daemon.views.of(PriceTestsView)
        state = shop.daemon.pipeline.core.state
        row = state.cls.keys.get("main\x1fCUP")
        ring = state.cls.part["unseen"]
        assert isinstance(ring, DayRing)
        wish = {"sku": "CUP", "change": 0.1, "period_days": 1, "effect_least": 0.3}
        before = (await shop.ask("POST", f"{BASE}/test-price/plan", json=wish))["plan"]
        for name in ("sold_milli", "revenue_cents"):
            sold = state.cls.part[name]
            assert isinstance(sold, DayRing)
            for back in range(5, 15, 2):
                sold.ring[(state.today - back) % sold.days, row] = 0
        broken = (await shop.ask("POST", f"{BASE}/test-price/plan", json=wish))["plan"]
        for back in range(5, 15, 2):
            ring.ring[(state.today - back) % ring.days, row] = 1
        told = (await shop.ask("POST", f"{BASE}/test-price/plan", json=wish))["plan"]
        assert broken["sd"] > 1.5 * before["sd"]
        assert told["sd"] == pytest.approx(before["sd"], rel=0.3)
        assert view.today == state.today

    asyncio.run(with_weeks(tmp_path, case))


def test_a_price_test_that_cannot_be_is_refused_with_its_cure(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        path = f"{BASE}/test-price"

        async def refused(status: int, **wish: Any) -> str:
            told = await shop.ask("POST", path, status, json={"sku": "CUP", **wish})
            return str(told["detail"])

        await shop.events(line("S", "CUP", 3.0, price_cents=600, store="south"))
        both = {"stores": ["main", "south"], "effect_least": 1.0}
        assert "(500 in main, 600 in south cents): name control_cents" in await refused(
            422, change=0.1, **both
        )
        assert "+22.0% from the baseline of 500 in main" in await refused(
            422, tested_cents=610, control_cents=550, **both
        )
        assert "either" in await refused(422)
        assert "two prices are needed" in await refused(422, change=0.0)
        assert "two prices are needed" in await refused(422, tested_cents=500)
        assert "allowed" in await refused(422, change=0.3)
        assert "in store 'moon'" in await refused(404, tested_cents=550, stores=["moon"])
        assert "'CUPP'" in await refused(404, sku="CUPP", tested_cents=550, control_cents=500)
        assert "NEW" in await refused(422, sku="NEW", tested_cents=550, control_cents=500)
        assert "moved" in await refused(
            422, sku="NEW", tested_cents=105, control_cents=100, blocks=4
        )
        still = {"sku": "NEW", "tested_cents": 105, "control_cents": 100}
        plan = (await shop.ask("POST", f"{path}/plan", json=still))["plan"]
        assert (plan["blocks"], plan["units_per_day"]) == (0, 0.0)
        assert "moved" in plan["why"]
        assert plan["evidence"].startswith("none")
        small = {"sku": "TENT", "change": 0.1, "effect_least": 0.01}
        assert "scatter" in (await shop.ask("POST", f"{path}/plan", json=small))["plan"]["why"]
        assert "store" in await refused(422, change=0.1, stores=["main", "main"])
        assert "store" in await refused(422, change=0.1, design="store")
        assert "washout" in await refused(422, change=0.1, washout_days=7)
        assert "scatter" in await refused(422, sku="TENT", change=0.1, effect_least=0.01)
        await refused(422, sku="CUP", change=0.1, periods=3)
        made = await shop.ask("POST", path, 201, json={"sku": "CUP", "change": -0.1, "blocks": 4})
        id_ = made["result"]["id"]
        stopped = await shop.ask("POST", f"{BASE}/price-tests/{id_}/stop", json={"why": "enough"})
        assert (stopped["result"]["status"], stopped["result"]["stop"]) == ("ended", "asked")
        await shop.ask("POST", f"{BASE}/price-tests/{id_}/stop", 409, json={})
        await shop.get(f"{BASE}/price-tests/nobody", 404)
        text = await shop.client.get(f"{BASE}/price-tests?format=csv")
        assert text.status == 200
        assert (await text.text()).startswith("id,")

    asyncio.run(with_weeks(tmp_path, case))
