"""Inventory through a real daemon: what it says is what the days of the shop give, counted by hand."""

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.config import Zone
from edge.services import counts, fleet, lead_time
from tests.api.shop import DAY_MS, Shop, daemon
from tests.api.weeks import MONDAY_MS, Calendar, calendar_shop, line, lived

DAYS = 42
SOLD = [4, 6, 3, 5, 9, 11, 0]
"""Nails sold on each weekday."""
Case = Callable[[Shop, Calendar], Awaitable[None]]


def rented(day: int, n: int, **fields: Any) -> dict[str, Any]:
    return line(
        f"C{day}-{n}", "CHAIR", 2.0, kind="rental", name="Chair", category="Chairs", price_cents=900, **fields
    )  # fmt: skip


def day_of(day: int) -> Iterator[dict[str, Any]]:
    if day == 0:
        yield {"type": "stock_count", "sku": "NAIL", "quantity": 300, "hour": 8}
        yield {"type": "stock_count", "sku": "STATUE", "quantity": 40, "hour": 8}
        yield {"type": "stock_count", "sku": "CHAIR", "quantity": 20, "hour": 8}
        yield {"type": "stock_receipt", "sku": "NAIL", "quantity": 0, "cost_cents": 200, "hour": 9}
        yield {
            "type": "stock_receipt",
            "sku": "STATUE",
            "quantity": 0,
            "cost_cents": 9000,
            "hour": 9,
        }
        yield line("S", "STATUE", 1.0, price_cents=20_000, name="Statue")
    if SOLD[day % 7]:
        yield line(f"N{day}", "NAIL", float(SOLD[day % 7]), name="Nail", category="Iron")
    for n in range(2):
        yield rented(day, n)
    if day >= 3:  # everything comes back after three days
        for n in range(2):
            yield line(f"B{day}-{n}", "CHAIR", 2.0, kind="return", price_cents=0, hour=13)


def with_shop(tmp_path: Path, case: Case, days: int = DAYS, **tables: Any) -> None:
    async def main() -> None:
        async with calendar_shop(tmp_path, **tables) as (shop, clock):
            await lived(shop, clock, range(days), day_of)
            clock.set(MONDAY_MS + days * DAY_MS + 8 * 3_600_000)
            await shop.events({"type": "price_observed", "sku": "NAIL", "price_cents": 500})
            await case(shop, clock)

    asyncio.run(main())


async def item(shop: Shop, sku: str) -> dict[str, Any]:
    return (await shop.get(f"/api/inventory/{sku}"))["item"]


async def tick(shop: Shop, clock: Calendar, ms: int = 2_000) -> None:
    """Let time pass, so that plans are looked at again."""
    clock.set(clock.now_ms() + ms)
    await shop.events({"type": "price_observed", "sku": "NAIL", "price_cents": 500})


def history(days: int = DAYS) -> np.ndarray:
    return np.array([SOLD[d % 7] for d in range(days)], float)[:, None]


def test_a_reorder_point_is_the_quantile_of_the_days_that_were_lived(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        found = await shop.get("/api/inventory/NAIL")
        nail = found["item"]
        sold = history().sum()
        assert nail["current_stock"] == nail["position"] == 300 - sold
        assert nail["daily_demand"] == pytest.approx(history().mean(), rel=1e-3)
        curve, enough = lead_time.from_history(history())
        assert enough[0]
        mean, variance = curve.at(7.0, 7 * 0.25)
        point = counts.quantile(mean, variance, 0.95)[0]
        assert (nail["evidence"], nail["kind"]) == ("history", "sale")
        assert nail["reorder_point"] == point
        assert nail["safety_stock"] == pytest.approx(point - mean[0], abs=1e-3)
        eoq = (2 * 1000 * 365 * history().mean() / (200 * 0.25)) ** 0.5
        assert nail["eoq"] == pytest.approx(eoq, rel=1e-3)
        assert nail["unit_cost_cents"] == 200
        assert nail["cost_source"] == "receipt"
        assert found["basis"]["as_of_ms"] > MONDAY_MS
        assert [point["days"] for point in found["demand"]] == [7, 14, 28, 91]
        assert found["demand"][0]["expected"] == pytest.approx(38, abs=0.01)
        assert found["cheapest"]["reorder_point"] > 30

    with_shop(tmp_path, case)


def test_a_class_with_few_days_is_told_by_the_simple_rule(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        nail = await item(shop, "NAIL")
        days = history(10)
        safety = np.ceil(1.6449 * days.std(ddof=1) * 7**0.5)
        assert nail["evidence"] == "simple"
        assert nail["safety_stock"] == safety
        assert nail["reorder_point"] == np.ceil(days.mean() * 7 + safety)
        assert nail["confidence"] <= 0.59
        assert (await shop.get("/api/inventory"))["basis"]["fallback"]

    with_shop(tmp_path, case, days=10)


def test_what_runs_low_is_suggested_with_its_day_and_its_quantity(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Calendar) -> None:
        await shop.events({"type": "stock_count", "sku": "NAIL", "quantity": 120})
        assert (await shop.get("/api/inventory/low-stock"))["items"] == []
        await shop.events({"type": "stock_count", "sku": "NAIL", "quantity": 12})
        await tick(shop, clock)
        low = (await shop.get("/api/inventory/low-stock"))["items"]
        assert [row["sku"] for row in low] == ["NAIL"]
        found = await shop.get("/api/inventory/reorder-suggestions")
        (told,) = found["suggestions"]
        names = {"product_id", "sku", "current_stock", "reorder_point", "suggested_order_qty"}
        names |= {"lead_time_days", "estimated_stockout_date", "priority"}
        assert names <= told.keys()
        assert told["current_stock"] == 12
        assert told["priority"] == "critical"
        assert told["chance_of_stockout"] > 0.9
        assert told["suggested_order_qty"] >= told["reorder_point"] - 12
        assert "2026-04-14" <= told["estimated_stockout_date"] <= "2026-04-17"
        assert told["early_stockout_date"] <= told["estimated_stockout_date"]
        assert told["order_cents"] == told["suggested_order_qty"] * 200
        assert told["expected_gain_cents"] > 0
        assert told["confidence"] > 0.9
        await shop.ask("PUT", "/api/suppliers/S1", json={"minimum_cents": 10_000_000})
        await shop.ask("PUT", "/api/supply/NAIL", json={"supplier": "S1"})
        told = (await shop.get("/api/inventory/reorder-suggestions"))["suggestions"][0]
        (total,) = (await shop.get("/api/inventory/reorder-suggestions"))["suppliers"]
        assert (total["supplier"], total["classes"], total["below_minimum"]) == ("S1", 1, True)
        assert total["value_cents"] == told["order_cents"]
        alerts = await shop.get("/api/predictive/inventory/restock-alerts")
        assert alerts["counts"] == {"critical": 1, "high": 0, "medium": 0}
        assert alerts["alerts"][0]["item_id"] == "NAIL"
        async with shop.client.get(
            "/api/inventory/reorder-suggestions", headers={"Accept": "text/csv"}
        ) as got:
            (row,) = csv.DictReader(io.StringIO(await got.text()))
        assert row["sku"] == "NAIL"
        assert float(row["suggested_order_qty"]) == told["suggested_order_qty"]

    with_shop(tmp_path, case)


def test_a_fair_is_bought_for_until_a_unit_more_risks_what_it_earns(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        path = "/api/inventory/NAIL/buy-once"
        even = await shop.get(path, days=14, price_cents=300, salvage_cents=100)
        assert even["critical_ratio"] == 0.5
        assert even["cost_cents"] == 200
        assert even["expected_demand"] == pytest.approx(76, abs=0.01)
        assert abs(even["units"] - 76) < 8  # the median
        assert even["to_buy"] == max(even["units"] - 72, 0)
        sure = await shop.get(path, days=14, price_cents=2000, salvage_cents=150)
        assert sure["units"] > even["units"]
        loss = await shop.get(path, days=14, price_cents=150)
        assert (loss["units"], loss["expected_profit_cents"]) == (0, 0)
        bad = await shop.get(path, 422, salvage_cents=200)
        assert "no limit" in bad["detail"]
        await shop.get("/api/inventory/CHAIR/buy-once", 422)
        told = (await shop.get("/api/inventory/NAIL"))["order_up_to"]
        assert told["review_days"] == 7
        assert told["critical_ratio"] > 0.98
        assert told["order_up_to"] > 76

    with_shop(tmp_path, case)


def test_what_each_unit_more_earns_falls(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        await shop.ask("PUT", "/api/supply/CHAIR", json={"cost_cents": 4_000})
        found = await shop.get("/api/inventory/CHAIR")
        more = found["more_units"]
        assert [one["owned"] for one in more] == [21, 22, 23, 24, 25, 26]
        gains = [one["gain_cents_a_year"] for one in more]
        assert gains == sorted(gains, reverse=True)
        assert gains[-1] >= -4_000 * 0.5 - 1  # at worst its keeping and wear
        assert found["order_up_to"] is None

    with_shop(tmp_path, case)


def test_terms_move_the_reorder_point_at_once(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        before = await item(shop, "NAIL")
        await shop.ask("PUT", "/api/suppliers/S1", json={"name": "Smith", "lead_days": 21})
        done = await shop.ask("PUT", "/api/supply/NAIL", json={"supplier": "S1", "pack_units": 12})
        assert done["result"]["pack_units"] == 12
        after = await item(shop, "NAIL")
        assert (after["lead_time_days"], after["supplier"]) == (21, "S1")
        assert after["reorder_point"] > 2 * before["reorder_point"]
        assert after["order_quantity"] % 12 == 0
        changed = await shop.ask(
            "PUT", "/api/inventory/NAIL", json={"reorder_point": 500, "quantity": 77}
        )
        told = changed["item"]
        assert (told["reorder_point"], told["reorder_point_by_hand"]) == (500, True)
        assert told["current_stock"] == 77
        assert told["suggested_order_qty"] > 400
        rows = await shop.get("/api/suppliers")
        assert [(row["supplier"], row["classes"]) for row in rows["suppliers"]] == [("S1", 2)]
        assert (await shop.ask("DELETE", "/api/suppliers/S1", 409))["type"].endswith("conflict")
        for params in ({}, {"store": "main"}):
            await shop.ask("DELETE", "/api/supply/NAIL", params=params)
        assert (await item(shop, "NAIL"))["reorder_point"] == before["reorder_point"]
        await shop.ask("DELETE", "/api/suppliers/S1")
        await shop.get("/api/suppliers/S1", 404)

    with_shop(tmp_path, case)


def test_a_new_class_can_be_put_into_the_inventory(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        told = {
            "sku": "ROPE",
            "name": "Rope",
            "quantity": 30,
            "cost_cents": 150,
            "price_cents": 400,
        }
        made = await shop.ask("POST", "/api/inventory", 201, json=told)
        assert made["item"]["current_stock"] == 30
        assert made["item"]["unit_cost_cents"] == 150
        assert (await item(shop, "ROPE"))["price_cents"] == 400
        assert (await shop.get("/api/catalogue/classes/ROPE"))["row"]["name"] == "Rope"
        await shop.ask("POST", "/api/inventory", 422, json={"sku": "ROPE", "colour": "red"})
        await shop.ask("PUT", "/api/inventory/NONE", 404, json={"quantity": 1})
        await shop.ask("POST", "/api/inventory", 201, json={"sku": "GLUE", "service_level": 0.9})
        await shop.ask("PUT", "/api/supply/GLUE", json={"pack_units": 6})  # it is known from now on

    with_shop(tmp_path, case, days=3)


def test_a_budget_goes_to_the_best_return(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Calendar) -> None:
        await shop.ask(
            "PUT", "/api/supply/CHAIR", json={"cost_cents": 4_000, "service_level": 0.999}
        )
        await shop.events({"type": "stock_count", "sku": "NAIL", "quantity": 0})
        await shop.events({"type": "stock_count", "sku": "CHAIR", "quantity": 0})
        await tick(shop, clock)
        path = "/api/predictive/inventory/optimization-recommendations"
        whole = await shop.get(path)
        assert whole["budget_cents"] is None
        assert whole["spent_cents"] == whole["wanted_cents"]
        told = whole["recommendations"]
        assert {"NAIL"} <= {row["sku"] for row in told}
        assert [row["roi"] for row in told] == sorted((r["roi"] for r in told), reverse=True)
        half = await shop.get(path, budget=whole["wanted_cents"] // 2)
        assert 0 < half["spent_cents"] <= whole["wanted_cents"] // 2
        assert half["gain_cents"] <= whole["gain_cents"]
        assert half["left_out"] >= 1
        assert (await shop.get(path, budget=0))["recommendations"] == []

    with_shop(tmp_path, case)


def test_a_fleet_is_what_serves_the_requests(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        (chair,) = (await shop.get("/api/inventory/fleet"))["classes"]
        assert (chair["sku"], chair["owned"]) == ("CHAIR", 20)
        assert chair["requests_a_day"] == pytest.approx(4.0, rel=0.03)
        assert chair["turn_days"] == pytest.approx(3.0, rel=0.1)
        offered = np.array([chair["offered_units"]])
        right = fleet.size(offered, 0.95, chair["peakedness"])[0]
        assert chair["right_size"] == right
        assert chair["gap"] == right - 20
        assert chair["served_now"] > 0.95

    with_shop(tmp_path, case)


def test_units_are_free_when_they_have_come_back_and_nobody_else_was_promised_them(
    tmp_path: Path,
) -> None:
    async def case(shop: Shop, clock: Calendar) -> None:
        # 12 of 20 chairs are out, four more go out and come back every day
        path = "/api/availability"
        today = await shop.get(path, sku="CHAIR", **{"from": "2026-04-13", "to": "2026-04-14"})
        assert (today["on_hand"], today["on_rent"]) == (8, 12)
        assert today["available"]
        assert today["probability"] == 1.0
        many = await shop.get(
            path, sku="CHAIR", units=18, **{"from": "2026-04-13", "to": "2026-04-15"}
        )
        assert not many["available"]
        later = await shop.get(
            path, sku="CHAIR", units=18, **{"from": "2026-05-13", "to": "2026-05-15"}
        )
        assert later["probability"] > many["probability"]
        one = await shop.get(path, sku="CHAIR", **{"from": "2026-05-13", "to": "2026-05-13"})
        assert [day["day"] for day in one["days"]] == ["2026-05-13"]
        assert [day["day"] for day in later["days"]] == ["2026-05-13", "2026-05-14", "2026-05-15"]
        over = await shop.ask("GET", f"{path}?sku=CHAIR&from=2016-05-13&to=2016-05-15", status=400)
        assert "over already" in over["detail"]
        assert later["probability_unpromised"] < later["probability"]
        at_ms = clock.now_ms() + 30 * DAY_MS
        await shop.events(
            {"type": "reservation", "document": "R1", "sku": "CHAIR", "quantity": 15, "start": at_ms - DAY_MS, "end": at_ms + DAY_MS}
        )  # fmt: skip
        taken = await shop.get(
            path, sku="CHAIR", units=18, **{"from": "2026-05-13", "to": "2026-05-15"}
        )
        assert taken["reserved_units"] == 15
        assert taken["probability"] == 0
        (bad,) = [
            await shop.get(path, 400, sku="CHAIR", **{"from": "2026-05-13", "to": "2026-05-12"})
        ]
        assert bad["parameter"] == "to"
        assert (await shop.get(path, 400, sku="CHAIR", to="2026-05-12"))["parameter"] == "from"
        await shop.get(path, 404, sku="NONE", **{"from": "2026-05-13", "to": "2026-05-15"})

    with_shop(tmp_path, case)


def test_turns_fill_rate_and_stock_outs_are_counted_from_the_days(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        found = await shop.get("/api/inventory/performance", days=28)
        by_sku = {row["sku"]: row for row in found["classes"]}
        nail, chair = by_sku["NAIL"], by_sku["CHAIR"]
        assert (nail["days"], nail["sold"]) == (28, 4 * sum(SOLD))
        closes = 300 - np.cumsum(history())
        assert nail["turns"] == pytest.approx(4 * 38 * 365 / 28 / closes[14:].mean(), rel=1e-3)
        assert (nail["stockout_days"], nail["fill_rate"]) == (0, 1.0)
        assert chair["utilisation"] == pytest.approx(12 / 20, rel=0.02)
        assert found["total"]["classes"] == 3
        assert found["total"]["revenue_cents"] == sum(r["revenue_cents"] for r in by_sku.values())
        only = await shop.get("/api/inventory/performance", days=28, category="iron")
        assert [row["sku"] for row in only["classes"]] == ["NAIL"]

    with_shop(tmp_path, case)


def test_what_hardly_moves_is_told_with_the_money_in_it(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        found = await shop.get("/api/inventory/slow-movers")
        (statue,) = found["items"]
        assert (statue["sku"], statue["current_stock"]) == ("STATUE", 39)
        assert statue["idle_days"] == pytest.approx(42 - 0.17, abs=0.1)
        excess = 39 - 182 / 42
        assert statue["excess_units"] == pytest.approx(excess, abs=0.5)
        assert found["tied_cents"] == statue["tied_cents"] == pytest.approx(excess * 9000, rel=0.02)
        assert (await shop.get("/api/inventory/slow-movers", idle_days=60))["items"] == []

    with_shop(tmp_path, case)


def test_velocity_classes_follow_revenue_and_evenness(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        found = await shop.get("/api/inventory/velocity")
        assert sum(found["matrix"].values()) == 3
        by_sku = {row["sku"]: row for row in found["classes"]}
        assert by_sku["CHAIR"]["abc"] == "A"
        assert sum(row["revenue_share"] for row in by_sku.values()) == pytest.approx(1, abs=1e-4)
        only = await shop.get("/api/inventory/velocity", abc="A")
        assert "CHAIR" in {row["sku"] for row in only["classes"]}

    with_shop(tmp_path, case)


def test_lists_are_paged_filtered_and_sorted(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        path, seen, cursor = "/api/inventory", [], {}
        while True:
            page = await shop.get(path, limit=1, sort="current_stock", order="desc", **cursor)
            assert page["total"] == 3
            seen += [row["sku"] for row in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert seen == ["NAIL", "STATUE", "CHAIR"]
        for params, skus in (
            ({"kind": "rental"}, {"CHAIR"}),
            ({"category": "IRON"}, {"NAIL"}),
            ({"search": "stat"}, {"STATUE"}),
            ({"store": "elsewhere"}, set()),
        ):
            got = await shop.get(path, **params)
            assert {row["sku"] for row in got["items"]} == skus, params
        assert (await shop.get(path, 400, sort="colour"))["parameter"] == "sort"
        await shop.get("/api/inventory/NONE", 404)

    with_shop(tmp_path, case)


def test_repairs_to_come_are_told_even_by_the_simple_rule(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Calendar) -> None:
        for n in range(4):
            await shop.events(
                {"type": "item_scan", "epc": f"E{n}", "scan_type": "Return", "sku": "TENT"}
            )
        clock.set(clock.now_ms() + 10 * DAY_MS)
        await shop.events({"type": "tag_read", "epc": "AA77", "source": "R1"})  # of nothing known
        totals = []
        for limit, kind in enumerate(("failure", "repair"), 10):  # one breakdown, told twice
            await shop.events({"type": "maintenance", "epc": "E0", "kind": kind})
            told = await shop.get("/api/inventory/repair-demand", limit=limit)
            totals.append([week["expected"] for week in told["total"]])
        assert totals[0] == totals[1]
        found = await shop.get("/api/inventory/repair-demand")
        assert found["items"] == 4
        assert [row["sku"] for row in found["classes"]] == ["TENT"]
        assert found["total"][0]["expected"] > 0
        assert len(found["total"]) == 4

    with_shop(tmp_path, case, days=2)


def test_a_stock_take_of_a_zone_finds_what_its_readers_see(tmp_path: Path) -> None:
    hall = Zone(name="hall", readers=["R1"])

    async def case(shop: Shop, clock: Calendar) -> None:
        def reads(*epcs: str) -> list[dict[str, Any]]:
            return [
                {"type": "tag_read", "epc": epc, "source": "R1", "rssi_dbm": -50.0} for epc in epcs
            ]

        for n in range(4):
            await shop.events(
                {
                    "type": "item_scan",
                    "epc": f"AA0{n}",
                    "scan_type": "Return",
                    "sku": "TENT",
                    "name": "Tent",
                }
            )
        await shop.events(*reads("AA00", "AA01", "AA02"))
        clock.set(clock.now_ms() + 60_000)
        await shop.ask("POST", "/api/stock-takes", 422, json={})
        await shop.ask("POST", "/api/stock-takes", 404, json={"zone": "nowhere"})
        begun = (await shop.ask("POST", "/api/stock-takes", 201, json={"zone": "hall"}))["result"]
        assert begun["expected"] == 3
        clock.set(clock.now_ms() + 60_000)
        await shop.events(*reads("AA00", "AA03"))
        path = f"/api/stock-takes/{begun['id']}"
        now = await shop.get(path)
        assert {item["epc"]: item["outcome"] for item in now["items"]} == {
            "AA00": "found", "AA01": "missing", "AA02": "missing", "AA03": "unexpected",
        }  # fmt: skip
        pages, cursor = [], {}
        while True:
            page = await shop.get(path, limit=1, **cursor)
            pages += [item["epc"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert pages == ["AA01", "AA02", "AA03", "AA00"]
        missing = (await shop.get(path, outcome="missing"))["items"]
        assert [(item["epc"], item["elsewhere"]) for item in missing] == [
            ("AA01", "hall"),
            ("AA02", "hall"),
        ]
        (row,) = (await shop.get("/api/stock-takes"))["takes"]
        assert (row["state"], row["found"], row["missing"]) == ("open", 1, 2)
        await shop.ask("POST", f"{path}/end", json={"epcs": ["AA:01"], "by": "eve"})
        ended = await shop.get(path)
        take = ended["take"]
        assert (take["state"], take["found"], take["missing"], take["unexpected"]) == (
            "closed",
            2,
            1,
            1,
        )
        assert [item["epc"] for item in ended["items"]] == ["AA02", "AA03", "AA00", "AA01"]
        assert ended["items"][0]["elsewhere"] == "hall"
        found = (await shop.get(path, outcome="found"))["items"]
        assert [item["epc"] for item in found] == ["AA00", "AA01"]
        await shop.ask("POST", f"{path}/end", 404, json={})
        assert (await shop.get("/api/stock-takes", state="closed"))["takes"][0]["id"] == take["id"]

    with_shop(tmp_path, case, days=1, zones=[hall])


def test_of_a_zone_nobody_saw_into_yet_nothing_is_missing_or_unexpected(tmp_path: Path) -> None:
    hall = Zone(name="hall", readers=["R1"])

    async def main() -> None:
        async with calendar_shop(tmp_path, zones=[hall]) as (shop, clock):
            clock.set(MONDAY_MS)

            async def reads(*epcs: str) -> None:
                told = {"type": "tag_read", "source": "R1", "rssi_dbm": -50.0}
                await shop.events(*({**told, "epc": epc} for epc in epcs))
                clock.set(clock.now_ms() + 20_000)

            async def begins() -> dict[str, Any]:
                return (await shop.ask("POST", "/api/stock-takes", 201, json={"zone": "hall"}))[
                    "result"
                ]

            first = await begins()  # right after the start
            assert (first["expected"], first["missing"], first["unexpected"]) == (None, None, None)
            assert "a minute" in first["why_unknown"]
            await reads("AA00", "AA01")
            path = f"/api/stock-takes/{first['id']}"
            found = await shop.get(path)
            assert (found["take"]["found"], found["take"]["unexpected"]) == (2, None)
            assert {item["outcome"] for item in found["items"]} == {"found"}
            ended = (await shop.ask("POST", f"{path}/end", json={"epcs": ["AA02"]}))["result"]
            assert (ended["state"], ended["expected"], ended["found"]) == ("closed", None, 3)
            assert (await shop.get(path))["take"] == ended
            second = await begins()  # its first items were seen 20 s ago
            assert second["expected"] is None
            await shop.ask("POST", f"/api/stock-takes/{second['id']}/end", json={"cancel": True})
            await reads("AA00")
            await reads("AA01")
            third = await begins()
            assert (third["expected"], third["why_unknown"]) == (2, "")

    asyncio.run(main())


def test_empty_lists_say_why_they_are(tmp_path: Path) -> None:
    of_classes = (
        "",
        "/low-stock",
        "/reorder-suggestions",
        "/velocity",
        "/slow-movers",
        "/fleet",
        "/performance",
    )
    told = {f"/api/inventory{path}": "POST /api/inventory" for path in of_classes} | {
        "/api/predictive/inventory/restock-alerts": "POST /api/inventory",
        "/api/predictive/inventory/optimization-recommendations": "POST /api/inventory",
        "/api/suppliers": "PUT /api/suppliers",
        "/api/supply": "PUT /api/supply",
        "/api/purchase-orders": "POST /api/purchase-orders",
        "/api/stock-takes": "POST /api/stock-takes",
    }

    async def main() -> None:
        async with daemon(tmp_path) as shop:
            for path, cure in told.items():
                assert cure in (await shop.get(path))["why_empty"], path
            await shop.ask(
                "POST",
                "/api/inventory",
                201,
                json={"sku": "NEW", "quantity": 4, "offered_for": "sale"},
            )
            for path, words in {
                "/api/inventory/low-stock": "None of 1 classes stands at or below its reorder point; of 1 nothing is known",
                "/api/inventory/reorder-suggestions": "None of 1 classes is to be ordered now; of 1",
                "/api/inventory/slow-movers": "None of 1 classes that are sold has stock for more than 182 days",
                "/api/inventory/fleet": "No class is rented",
                "/api/predictive/inventory/restock-alerts": "of 1 nothing is known of what is asked for",
                "/api/predictive/inventory/optimization-recommendations": "None of 1 classes is to be ordered",
            }.items():
                assert words in (await shop.get(path))["why_empty"], path
            assert (
                "No row passes" in (await shop.get("/api/inventory", search="nothing"))["why_empty"]
            )
            found = await shop.get("/api/inventory")
            assert (found["total"], found["why_empty"]) == (1, "")

    asyncio.run(main())
