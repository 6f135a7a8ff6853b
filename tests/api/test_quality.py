"""Quality through the API of a real daemon: grades ahead, health, what to do, prices, inspections."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edge.clock import SystemClock
from edge.config import Quality
from tests.api.shop import DAY_MS, Shop, daemon
from tests.api.weeks import MONDAY_MS, Calendar, calendar_shop

NOW_MS = SystemClock().now_ms()
EPCS = [f"4254450000000000000001{i:02d}" for i in range(20)]
GRADES = ("A+", "A", "A-", "B+", "B", "B-", "C+", "C", "C-")


def at(day: float) -> int:
    return NOW_MS + round(day * DAY_MS)


def history() -> list[dict[str, Any]]:
    """Twenty chairs of falling grade; the better ones go out first, and are paid better."""
    told: list[dict[str, Any]] = []
    for i, epc in enumerate(EPCS):
        grade = GRADES[i * 9 // 20]
        told.append(
            {"type": "item_link", "epc": epc, "sku": "CHAIR", "name": f"Chair {i}", "at": at(-100)}
        )
        told.append(
            {"type": "maintenance", "epc": epc, "kind": "inspection", "grade": grade, "at": at(-99)}
        )
        for n, day in enumerate(range(-90, -2, 8)):
            if i < 12:
                told.append({"type": "item_scan", "epc": epc, "scan_type": "Rental", "at": at(day)})
                told.append({"type": "pos_line", "document": f"D{i}-{n}", "kind": "rental", "sku": "CHAIR",
                             "epc": epc, "price_cents": 4_000 - 100 * i, "category": "Chairs",
                             "line": 1, "at": at(day)})  # fmt: skip
                told.append(
                    {"type": "item_scan", "epc": epc, "scan_type": "Return", "at": at(day + 4)}
                )
                told.append({"type": "pos_line", "document": f"D{i}-{n}", "kind": "return", "sku": "CHAIR",
                             "epc": epc, "price_cents": 0, "line": 2, "at": at(day + 4)})  # fmt: skip
        if i > 16:
            told.append({"type": "maintenance", "epc": epc, "kind": "failure", "at": at(-3)})
            told.append({"type": "maintenance", "epc": epc, "kind": "repair", "cost_cents": 3_000,
                         "status": "Needs to be Inspected", "at": at(-2)})  # fmt: skip
    told.append(
        {
            "type": "stock_receipt",
            "sku": "CHAIR",
            "quantity": 1,
            "cost_cents": 20_000,
            "at": at(-99),
        }
    )
    return sorted(told, key=lambda event: event["at"])


async def filled(shop: Shop) -> None:
    await shop.events(*history())


async def grown(shop: Shop, clock: Calendar, days: float = 100) -> None:
    """The last so many days of that history, each told on its day: the use of every day is known."""
    moved = MONDAY_MS + 101 * DAY_MS - NOW_MS
    by_moment: dict[int, list[dict[str, Any]]] = {}
    for event in history():
        # what happened before has happened all the same
        when = max(event["at"], at(-days)) + moved
        by_moment.setdefault(when, []).append({**event, "at": when})
    by_moment[NOW_MS + moved] = [
        {"type": "factor", "factor": "events", "name": "fair", "value": 1.0}
    ]
    for when, told in sorted(by_moment.items()):
        clock.set(when)
        await shop.events(*told)


def test_the_better_items_are_healthier_and_the_worst_come_first(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            await filled(shop)
            got = await shop.get("/api/predictive/quality/health", limit=1000)
            rows = got["health"]
            assert got["items"] == got["passing"] == len(rows) == len(EPCS)
            scores = [row["health"] for row in rows]
            assert scores == sorted(scores)
            assert got["mean"] == pytest.approx(sum(scores) / len(scores), abs=0.01)
            by_epc = {row["epc"]: row for row in rows}
            assert by_epc[EPCS[0]]["health"] > by_epc[EPCS[19]]["health"]
            assert by_epc[EPCS[0]]["grade"] == "A+"
            assert by_epc[EPCS[0]]["parts"]["condition"] == 1.0
            few = await shop.get("/api/predictive/quality/health", below=scores[3], limit=2)
            assert few["passing"] == 3
            assert [row["epc"] for row in few["health"]] == [row["epc"] for row in rows[:2]]
            rest = await shop.get(
                "/api/predictive/quality/health",
                below=scores[3],
                limit=2,
                cursor=few["next_cursor"],
            )
            assert [row["epc"] for row in rest["health"]] == [rows[2]["epc"]]
            nobody = await shop.get("/api/predictive/quality/health", sku="SOFA")
            assert (nobody["passing"], nobody["mean"]) == (0, None)

    asyncio.run(main())


def test_who_is_never_needed_is_not_kept_and_the_money_is_shown(tmp_path: Path) -> None:
    async def main() -> None:
        async with calendar_shop(tmp_path) as (shop, clock):
            await grown(shop, clock)
            got = await shop.get("/api/predictive/quality/replacement-recommendations", limit=1000)
            assert sum(got["counts"].values()) == len(EPCS)
            rows = got["recommendations"]
            assert rows
            assert got["counts"]["unknown"] == 0
            assert got["unknown"] == {}
            assert got["why_empty"] == ""
            assert got["gain_cents"] == sum(r["gain_cents"] for r in rows)
            for row in rows:
                worth = {
                    name: row[f"{name}_cents"] for name in ("keep", "refurbish", "resell", "retire")
                }
                assert row["choice"] == max(worth, key=lambda name: worth[name]) != "keep"
                assert row["gain_cents"] == worth[row["choice"]] - worth["keep"]
                assert row["new_cents"] == 20_000
                assert not row["new_guessed"]
            assert [r["gain_cents"] for r in rows] == sorted(
                (r["gain_cents"] for r in rows), reverse=True
            )
            kept = await shop.get(
                "/api/predictive/quality/replacement-recommendations", choice="keep", limit=1000
            )
            assert len(kept["recommendations"]) == got["counts"]["keep"]
            busy = {r["epc"]: r["busy"] for r in rows + kept["recommendations"]}
            assert busy[EPCS[0]] >= 0.4  # four days of every eight
            assert busy[EPCS[19]] == 0.0
            assert "of 99 days" in rows[0]["reasons"][0]

    asyncio.run(main())


@pytest.mark.parametrize("days", [0.1, 30, 89])
def test_of_items_whose_use_nobody_knows_yet_nothing_is_said(tmp_path: Path, days: float) -> None:
    async def main() -> None:
        async with calendar_shop(tmp_path) as (shop, clock):
            await grown(shop, clock, days)
            path = "/api/predictive/quality/replacement-recommendations"
            got = await shop.get(path, limit=1000)
            assert got["recommendations"] == []
            assert got["gain_cents"] == 0
            assert got["counts"] == {
                "keep": 0, "refurbish": 0, "resell": 0, "retire": 0, "unknown": len(EPCS)
            }  # fmt: skip
            assert list(got["unknown"].values()) == [len(EPCS)]
            assert "fewer than 90 closed days" in got["why_empty"]
            one = await shop.get(f"/api/predictive/quality/degradation/{EPCS[0]}")
            assert one["replacement"] is None
            assert "90 are needed" in one["no_advice"]

    asyncio.run(main())


def test_one_item_has_a_curve_beside_its_class(tmp_path: Path) -> None:
    async def main() -> None:
        async with calendar_shop(tmp_path) as (shop, clock):
            await grown(shop, clock)
            got = await shop.get(f"/api/predictive/quality/degradation/{EPCS[0]}")
            assert got["grade"] == "A+"
            assert got["class_items"] == len(EPCS)
            assert got["basis"]["fallback"]
            grades = [point["grade"] for point in got["curve"]]
            assert grades == sorted(grades, reverse=True)
            for point in (*got["curve"], *got["class_curve"]):
                assert point["p_a"] + point["p_b"] + point["p_c"] == pytest.approx(1.0, abs=1e-5)
            assert got["health"]["epc"] == EPCS[0]
            assert got["no_advice"] == ""
            assert got["replacement"]["choice"] in ("keep", "refurbish", "resell", "retire")
            await shop.get("/api/predictive/quality/degradation/00", 404)

    asyncio.run(main())


def test_price_follows_grade_where_it_does_and_nothing_is_said_where_nothing_varies(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            await filled(shop)
            (row,) = (await shop.get("/api/predictive/quality/price-relation"))["classes"]
            assert row["seen"]
            assert 0 < row["low"] < row["per_grade"] < row["high"]
            assert row["items"] == 12
            none = await shop.get("/api/predictive/quality/price-relation", seen="false")
            assert none["classes"] == []
            assert none["why_empty"].startswith("No row passes the filters")

    asyncio.run(main())


def test_a_result_is_recorded_and_changes_the_item(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path, quality=Quality(inspection_max_days=30.0)) as shop:
            await filled(shop)
            due = await shop.get("/api/predictive/quality/inspections", days=7)
            assert due["due"] == len(due["inspections"]) > 0
            assert due["inspections"][0]["day"] > ""
            worst = EPCS[19]
            item = (await shop.get(f"/api/items/{worst}"))["item"]
            assert item["status"] == "Needs to be Inspected"
            body = {"item": worst, "result": "pass", "grade": "B", "minutes": 6, "by": "ben"}
            key = {"Idempotency-Key": "look-1"}
            got = await shop.ask(
                "POST", "/api/predictive/quality/inspection-result", 201, json=body, headers=key
            )
            assert got["result"]["grade_before"] == "C-"
            assert got["events"] == {"admitted": 1}
            again = await shop.ask(
                "POST", "/api/predictive/quality/inspection-result", 201, json=body, headers=key
            )
            assert again["result"] == got["result"]
            item = (await shop.get(f"/api/items/{worst}"))["item"]
            assert (item["status"], item["grade"]) == ("Ready to Rent", "B")
            assert item["features"]["days_since_inspection"] == pytest.approx(0.0, abs=0.01)
            body = {"item": EPCS[0], "result": "repair", "defects": ["rope", "stain"]}
            got = await shop.ask(
                "POST", "/api/predictive/quality/inspection-result", 201, json=body
            )
            assert got["events"] == {"admitted": 2}
            item = (await shop.get(f"/api/items/{EPCS[0]}"))["item"]
            assert item["status"] == "Repair"
            assert item["features"]["defects_last"] > 0
            listed = await shop.get("/api/predictive/quality/inspection-results")
            assert [row["result"] for row in listed["inspections"]] == ["repair", "pass"]
            assert listed["inspections"][0]["defects"] == ["rope", "stain"]
            told = await shop.get("/api/predictive/quality/inspection-results", item=worst)
            assert [row["said_by"] for row in told["inspections"]] == ["ben"]
            results = (await shop.get("/api/predictive/quality/inspections"))["results"]
            assert {row["result"]: row["times"] for row in results} == {"pass": 1, "repair": 1}
            wrong = {"item": worst, "result": "pass", "defects": ["service_required"]}
            await shop.ask("POST", "/api/predictive/quality/inspection-result", 422, json=wrong)

    asyncio.run(main())


def test_the_end_of_an_item_is_told_to_the_shop(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            await filled(shop)
            body = {"item": EPCS[5], "result": "retire"}
            got = await shop.ask(
                "POST", "/api/predictive/quality/inspection-result", 201, json=body
            )
            assert got["events"] == {"admitted": 2}
            health = await shop.get("/api/predictive/quality/health", limit=1000)
            assert EPCS[5] not in {row["epc"] for row in health["health"]}

    asyncio.run(main())


def test_an_empty_shop_answers_everywhere(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            for name in (
                "health",
                "replacement-recommendations",
                "price-relation",
                "inspections",
                "inspection-results",
            ):
                got = await shop.get(f"/api/predictive/quality/{name}")
                assert got["next_cursor"] is None
                assert got["why_empty"].endswith(("first scans.", "takes what was found."))

    asyncio.run(main())
