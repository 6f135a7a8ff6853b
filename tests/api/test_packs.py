"""Packs and correlations through the real daemon: counted from its own days, confirmed by hand."""

import asyncio
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from edge.inference.manifest import Entities
from edge.pipeline_insights import Insights
from edge.view_correlations import CorrelationsView
from edge.view_packs import PacksView
from tests.api.shop import DAY_MS, Shop
from tests.api.weeks import MONDAY_MS, Calendar, calendar_shop, line, lived
from tests.inference import models
from trainer import pricing as trained

BASE = "/api/predictive/packs"
SKUS = [f"S{i}" for i in range(8)]
PRICE = {sku: 1_000 + 100 * i for i, sku in enumerate(SKUS)}


def receipts(day: int) -> list[list[str]]:
    """S1 and S2 go together, the rest as it comes."""
    random = np.random.default_rng(day)
    made = []
    for _ in range(14):
        classes = set(random.choice(SKUS, 1 + int(random.random() < 0.4), replace=False).tolist())
        if random.random() < 0.2:
            classes |= {"S1", "S2"}
        made.append(sorted(classes))
    return made


def day_of(day: int) -> Iterator[dict[str, Any]]:
    for number, classes in enumerate(receipts(day)):
        for at, sku in enumerate(classes):
            yield line(
                f"R{day}-{number}", sku, 1, line=at, price_cents=PRICE[sku], hour=8 + number / 8
            )


async def settled(shop: Shop, clock: Calendar, days: int) -> None:
    """The last day has closed, and its rows are in the tables."""
    clock.set(MONDAY_MS + days * DAY_MS + 9 * 3_600_000)
    await shop.events(line("Z", "S0", 1, price_cents=1_000))
    await shop.daemon.pipeline.snapshot()


def insights(shop: Shop) -> Insights:
    found = shop.daemon.beside["insights"]
    assert isinstance(found, Insights)
    return found


def test_what_goes_together_is_what_counting_the_receipts_by_hand_finds(tmp_path: Path) -> None:
    days = 20

    async def main() -> None:
        async with calendar_shop(tmp_path) as (shop, clock):
            before = await shop.get(f"{BASE}/co-demand")
            assert (before["pairs"], before["counted_ms"]) == ([], 0)
            assert "counted once a day" in before["why_empty"]
            before = await shop.get(f"{BASE}/recommendations")
            assert before["create"] == []
            assert "counted once a day" in before["why_empty"]
            none = await shop.get(f"{BASE}/performance-analysis")
            assert "create-pack" in none["why_empty"]
            await lived(shop, clock, range(days), day_of)
            await settled(shop, clock, days)
            await insights(shop).round()
            told = await shop.get(f"{BASE}/co-demand", q_most=1, limit=100)
            every = [set(r) for day in range(days) for r in receipts(day)]
            assert told["counted_days"] == days
            assert told["tests"] == 28
            n = len(every)
            single = {sku: sum(sku in r for r in every) for sku in SKUS}
            lines = sum(len(r) for r in every)
            met = sum(len(r) * (len(r) - 1) // 2 for r in every)
            both = {pair: sum(set(pair) <= r for r in every) for pair in combinations(SKUS, 2)}
            assert len(told["pairs"]) == sum(count > 0 for count in both.values())
            for row in told["pairs"]:
                pair = tuple(sorted((row["sku"], row["other"])))
                a, b = single[row["sku"]], single[row["other"]]
                assert row["documents"] == both[pair]
                assert row["support"] == pytest.approx(both[pair] / n, abs=1e-6)
                assert row["confidence_ab"] == pytest.approx(both[pair] / a, abs=1e-6)
                assert row["lift_plain"] == pytest.approx(both[pair] * n / (a * b), abs=1e-5)
                sized = a * b * 2 * met / lines**2
                assert row["lift"] == pytest.approx(both[pair] / sized, abs=1e-5)
            found = await shop.get(f"{BASE}/co-demand")
            assert {found["pairs"][0]["sku"], found["pairs"][0]["other"]} == {"S1", "S2"}
            advice = await shop.get(f"{BASE}/recommendations")
            (one,) = advice["create"]
            assert one["action"] == "consider"  # no elasticity is known, so no effect is told
            assert one["effect_cents"]["value"] is None
            assert one["separate_cents"] == PRICE["S1"] + PRICE["S2"]
            assert advice["dissolve"] == []
            saves = await shop.get(f"{BASE}/recommendations", saving_cents=50)
            assert saves["create"][0]["action"] == "create"
            assert saves["create"][0]["discount"] == 0
            expected = (one["documents"] + 0.5) * 28 / days * 50
            assert saves["create"][0]["effect_cents"]["value"] == pytest.approx(expected, rel=0.02)
            view = shop.daemon.views.of(PacksView)
            assert [p for p in view.proposals() if p is not None] == []
            await taught(shop)
            advice = await shop.get(f"{BASE}/recommendations", action="create")
            (one,) = advice["create"]
            assert one["effect_cents"]["low"] > 0
            assert one["price_cents"] < one["separate_cents"]
            (told_,) = [p for p in view.proposals() if p is not None]
            assert (told_.kind, told_.target) == ("pack_create", one["id"])
            assert told_.data["price_cents"] == one["price_cents"]

    asyncio.run(main())


async def taught(shop: Shop) -> None:
    """Elastic classes, by the trainer's own graph."""
    rows = [[-3.0, 0.2, PRICE[s], PRICE[s] * 0.7, PRICE[s] * 1.4, 2.0, 0.0, -1.0] for s in SKUS]
    rows.append([0.0, trained.NOBODY_SD, 0, 0, 0, 0, 0, -1])
    made = models.loaded(
        shop.daemon.pipeline.core.state, 901, service="pricing", content=trained.onnx(),
        entities=Entities(keys=[*(f"main\x1f{s}" for s in SKUS), ""], columns=list(trained.SIDE),
                          values=trained.prepared(np.array(rows, float)).astype("<f4").tobytes()),
        features=trained.FEATURES, columns=trained.columns(), side=trained.SIDE,
    )  # fmt: skip
    assert shop.daemon.scoring is not None
    shop.daemon.scoring.scorer.use("pricing", made)
    for _ in range(3):
        await shop.daemon.scoring.scorer.beat()


def test_a_pack_is_made_handed_out_judged_and_taken_apart(tmp_path: Path) -> None:
    wish = {"name": "Pair", "parts": [{"sku": "S1"}, {"sku": "S2", "units": 2}], "price_cents": 3_000,
            "sku": "PAIR"}  # fmt: skip

    def handed_out(day: int) -> Iterator[dict[str, Any]]:
        yield from day_of(day)
        for number in range(2 if day < 60 else 0):
            yield line(f"P{day}-{number}", "PAIR", 1, price_cents=3_000)

    async def main() -> None:
        async with calendar_shop(tmp_path) as (shop, clock):
            await lived(shop, clock, range(2), day_of)
            slip = {**wish, "parts": [{"sku": "S1"}, {"sku": "S11"}]}
            wrong = await shop.ask("POST", f"{BASE}/create-pack", 404, json=slip)
            assert "'S11'" in wrong["detail"]
            assert "/api/catalogue/classes/S11" in wrong["cure"]
            made = await shop.ask("POST", f"{BASE}/create-pack", 201, json=wish)
            id_ = made["result"]["id"]
            assert made["notes"] == []
            assert made["result"]["separate_cents"] == PRICE["S1"] + 2 * PRICE["S2"]
            await shop.ask("POST", f"{BASE}/create-pack", 409, json=wish)
            wrong = await shop.ask("POST", f"{BASE}/create-pack", 422, json={**wish, "prize": 1})
            assert "prize" in wrong["detail"]
            await lived(shop, clock, range(2, 30), handed_out)
            clock.set(MONDAY_MS + 30 * DAY_MS + 1_000)
            await shop.events(line("Z", "S0", 1, price_cents=1_000))
            (row,) = (await shop.get(f"{BASE}/performance-analysis"))["packs"]
            assert row["units_28d"] == 56
            assert row["revenue_28d_cents"] == 56 * 3_000
            assert row["separate_cents"] == PRICE["S1"] + 2 * PRICE["S2"]
            assert row["discount"] == pytest.approx(1 - 3_000 / row["separate_cents"], abs=1e-4)
            assert (row["stage"], row["advice"]) == ("launch", "keep")
            assert 0 < row["share_of_parts"] < 1
            assert row["effect_cents"]["value"] is None
            await lived(shop, clock, range(119, 121), day_of)
            idle = await shop.get(f"{BASE}/performance-analysis", advice="dissolve")
            assert idle["packs"][0]["stage"] == "idle"
            advice = await shop.get(f"{BASE}/recommendations")
            assert [pack["id"] for pack in advice["dissolve"]] == [id_]
            gone = await shop.ask("DELETE", f"{BASE}/dissolve-pack/{id_}?why=dull")
            assert gone["result"]["status"] == "dissolved"
            await shop.ask("DELETE", f"{BASE}/dissolve-pack/{id_}", 409)
            await shop.ask("DELETE", f"{BASE}/dissolve-pack/nobody", 404)
            assert (await shop.get(f"{BASE}/performance-analysis?status=offered"))["packs"] == []

    asyncio.run(main())


def test_a_pack_dearer_than_its_parts_is_called_so_from_the_first_day(tmp_path: Path) -> None:
    dear = {"name": "Dear", "parts": [{"sku": "S1"}, {"sku": "S3"}], "price_cents": 3_000}

    async def main() -> None:
        async with calendar_shop(tmp_path) as (shop, clock):
            await lived(shop, clock, range(2), day_of)
            slip = {**dear, "price_cents": 300_000}
            refused = await shop.ask("POST", f"{BASE}/create-pack", 422, json=slip)
            assert "3,000.00 is 125 times what its parts cost apart, 24.00" in refused["detail"]
            made = await shop.ask("POST", f"{BASE}/create-pack", 201, json=dear)
            (note,) = made["notes"]
            assert note.startswith("It costs 6.00 more than its parts apart (24.00)")
            (row,) = (await shop.get(f"{BASE}/performance-analysis"))["packs"]
            assert (row["stage"], row["advice"]) == ("launch", "watch")
            assert "it costs 6.00 more than its parts apart: offer it for less" in row["reasons"]
            await shop.ask("DELETE", f"{BASE}/dissolve-pack/{made['result']['id']}")
            (row,) = (await shop.get(f"{BASE}/performance-analysis"))["packs"]
            assert row["advice"] == ""  # nothing is to be done about what is gone

    asyncio.run(main())


def test_packs_that_could_be_come_by_what_they_would_bring(tmp_path: Path) -> None:
    days = 20

    def pairs(day: int) -> Iterator[dict[str, Any]]:
        """Beside S1 and S2 three pairs more, each rarer and dearer than the one before."""
        yield from day_of(day)
        for name, pair, many in (
            ("Q", ("S3", "S4"), 3),
            ("P", ("S0", "S5"), 2),
            ("N", ("S6", "S7"), 2),
        ):
            for number in range(int(np.random.default_rng([day, many]).poisson(many))):
                for at, sku in enumerate(pair):
                    yield line(f"{name}{day}-{number}", sku, 1, line=at, price_cents=PRICE[sku])

    async def main() -> None:
        async with calendar_shop(tmp_path) as (shop, clock):
            await lived(shop, clock, range(days), pairs)
            await settled(shop, clock, days)
            await insights(shop).round()
            silent = (await shop.get(f"{BASE}/recommendations"))["create"]
            money = [one["together_28d_cents"] for one in silent]
            assert [one["effect_cents"]["value"] for one in silent] == [None] * len(silent)
            assert len(silent) > 3
            assert money == sorted(money, reverse=True)
            for one in silent:
                apart = one["documents"] * 28 / days * one["separate_cents"]
                assert one["together_28d_cents"] == pytest.approx(apart, abs=1)
            await taught(shop)
            told = (await shop.get(f"{BASE}/recommendations"))["create"]
            worth = [one["effect_cents"]["value"] for one in told]
            assert worth == sorted(worth, reverse=True)
            paged: list[str] = []
            cursor: dict[str, str] = {}
            while len(paged) < len(told):
                page = await shop.get(f"{BASE}/recommendations", limit=1, **cursor)
                paged += [one["id"] for one in page["create"]]
                cursor = {"cursor": page["next_cursor"] or ""}
            assert paged == [one["id"] for one in told]
            await shop.events(line("South", "S1", 1, price_cents=1_100, store="south"))
            none = await shop.get(f"{BASE}/recommendations", store="south")
            assert none["why_empty"].startswith("In 'south' nothing was seen to go together")
            assert "/api/correlations/look" in none["why_empty"]

    asyncio.run(main())


# -- what moves together ------------------------------------------------------------------------------


def warm(day: int) -> float:
    """Degrees: a slow wave and noise of the day's own."""
    return float(15 + 8 * np.sin(day / 9) + np.random.default_rng(900 + day).normal(0, 4))


def weather_day(day: int) -> Iterator[dict[str, Any]]:
    yield {
        "type": "factor",
        "factor": "weather",
        "name": "temperature_c",
        "value": warm(day),
        "hour": 6,
    }
    random = np.random.default_rng(day)
    ice = random.poisson(np.exp(2.5 + 0.07 * (warm(day) - 15)))
    for sku, units in (("ICE", int(ice)), ("NAIL", int(random.poisson(12)))):
        if units:
            yield line(f"W{day}-{sku}", sku, units, price_cents=300)


def test_the_weather_moves_what_it_moves_in_a_table_and_a_picture(tmp_path: Path) -> None:
    days = 130

    async def main() -> None:
        async with calendar_shop(tmp_path) as (shop, clock):
            empty = await shop.get("/api/correlations")
            assert (empty["looked_ms"], empty["correlations"]) == (0, [])
            await lived(shop, clock, range(days), weather_day)
            await settled(shop, clock, days)
            job = await shop.ask("POST", "/api/correlations/look", 202, json={})
            while job["state"] in ("waiting", "running"):
                await asyncio.sleep(0.05)
                job = await shop.get(job["place"])
            assert job["state"] == "done", job
            told = await shop.get("/api/correlations")
            assert job["result"]["found"] == told["found"]
            found = {(row["sku"], row["factor"]): row for row in told["correlations"]}
            ice = found["ICE", "weather.temperature_c"]
            assert ice["lag_days"] == 0
            assert ice["effect_low"] > 0.1
            assert not any(sku == "NAIL" for sku, factor in found if factor.startswith("weather"))
            assert told["to_day"] == "2026-07-09"
            every = await shop.get("/api/correlations", q_most=1, sku="NAIL")
            assert {row["factor"] for row in every["correlations"]} >= {"weather.temperature_c"}
            async with shop.client.get("/api/correlations/picture") as got:
                assert got.content_type == "image/svg+xml"
                drawn = await got.text()
            words = ["".join(e.itertext()) for e in ElementTree.fromstring(drawn).iter()]
            assert "ICE (main)" in words
            view = shop.daemon.views.of(CorrelationsView)
            assert view.tests == every["tests"]

    asyncio.run(main())
