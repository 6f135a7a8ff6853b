"""Maintenance through the API of a real daemon: the plan, chances, feedback that models learn from."""

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.clock import SystemClock
from edge.config import Crew, DecisionSettings, Maintenance
from edge.view_maintenance import MaintenanceView
from tests.api.shop import DAY_MS, Shop, daemon

NOW_MS = SystemClock().now_ms()
EPCS = [f"4254450000000000000000{i:02d}" for i in range(24)]


def history() -> list[dict[str, Any]]:
    """Items of two classes in use for half a year, some of which failed now and then."""
    random = np.random.default_rng(3)
    told: list[dict[str, Any]] = []
    for i, epc in enumerate(EPCS):
        sku = "TENT" if i % 2 else "CHAIR"
        told.append(
            {"type": "item_link", "epc": epc, "sku": sku, "name": f"{sku} {i}", "at": at(-100)}
        )
        for day in range(-90, -5, 20):
            told.append({"type": "item_scan", "epc": epc, "scan_type": "Rental", "at": at(day)})
            told.append(
                {
                    "type": "item_scan",
                    "epc": epc,
                    "scan_type": "Return",
                    "grade": "B+",
                    "at": at(day + 3),
                }
            )
            if random.random() < 0.5:
                told.append(
                    {"type": "maintenance", "epc": epc, "kind": "failure", "at": at(day + 3)}
                )
                told.append({"type": "maintenance", "epc": epc, "kind": "repair", "cost_cents": 4_000,
                             "minutes": 60, "at": at(day + 4), "status": "Ready to Rent"})  # fmt: skip
    told.append({"type": "pos_line", "document": "D1", "kind": "rental", "sku": "TENT", "price_cents": 20_000,
                 "category": "Tents", "at": at(-1)})  # fmt: skip
    told.append({"type": "pos_line", "document": "D1", "kind": "rental", "sku": "CHAIR", "price_cents": 300,
                 "category": "Chairs", "at": at(-1)})  # fmt: skip
    return sorted(told, key=lambda event: event["at"])


def at(day: float) -> int:
    return NOW_MS + round(day * DAY_MS)


async def filled(shop: Shop) -> None:
    await shop.events(*history())


SETTINGS = Maintenance(failure_cents=30_000, crew_hours=2.0)


def test_a_plan_of_the_shop_saves_money_and_keeps_to_its_hours(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path, maintenance=SETTINGS) as shop:
            await filled(shop)
            got = await shop.get("/api/predictive/maintenance/schedule", days=14, limit=1000)
            assert got["days"] == 14
            assert got["items"] == len(EPCS)
            assert got["basis"]["fallback"]
            ways = {row["way"]: row for row in got["ways"]}
            assert ways["run_to_failure"]["saved_cents"] == pytest.approx(got["saved_cents"], abs=1)
            assert ways["plan"]["cost_cents"] <= ways["best_calendar"]["cost_cents"]
            services = got["services"]
            assert services
            assert len(services) == ways["plan"]["services"]
            assert sum(row["saves_cents"] for row in services) == pytest.approx(
                got["saved_cents"], abs=len(services)
            )
            hours: dict[str, float] = {}
            for row in services:
                hours[row["day"]] = hours.get(row["day"], 0.0) + row["hours"]
                assert np.datetime64(row["day"]).astype(object).weekday() < 5
            assert max(hours.values()) <= 2.0
            weeks = await shop.get("/api/predictive/maintenance/resources", days=14)
            assert sum(w["services"] for w in weeks["weeks"]) == len(services)
            roi = await shop.get("/api/predictive/maintenance/roi", days=14)
            assert roi["saved_cents"] == got["saved_cents"]
            assert sum(c["services"] for c in roi["classes"]) == len(services)
            assert {c["sku"] for c in roi["classes"]} == {"TENT", "CHAIR"}
            one = await shop.get(
                "/api/predictive/maintenance/schedule", days=14, sku="TENT", limit=1
            )
            assert len(one["services"]) == 1
            assert one["services"][0]["sku"] == "TENT"

    asyncio.run(main())


def test_the_feed_is_a_calendar_with_one_event_a_service(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path, maintenance=SETTINGS) as shop:
            await filled(shop)
            async with shop.client.get("/api/predictive/maintenance/schedule.ics") as got:
                assert got.status == 200
                assert got.content_type == "text/calendar"
                text = await got.text()
            plan = await shop.get("/api/predictive/maintenance/schedule", limit=1000)
            assert text.count("BEGIN:VEVENT") == len(plan["services"])
            assert text.startswith("BEGIN:VCALENDAR\r\n")
            async with shop.client.get("/api/predictive/maintenance/schedule.ics") as again:
                assert await again.text() == text

    asyncio.run(main())


def test_crews_do_what_they_can(tmp_path: Path) -> None:
    crews = [Crew(name="canvas", hours=4.0, categories=["Tents"]), Crew(name="rest", hours=1.0)]

    async def main() -> None:
        async with daemon(tmp_path, maintenance=SETTINGS, crews=crews) as shop:
            await filled(shop)
            await shop.ask("PUT", "/api/catalogue/categories/Chairs", 200, json={"crew": "rest"})
            got = await shop.get("/api/predictive/maintenance/schedule", limit=1000)
            told = {(row["sku"], row["crew"]) for row in got["services"]}
            assert ("TENT", "canvas") in told
            assert ("CHAIR", "canvas") not in told

    asyncio.run(main())


def test_one_item_has_a_rising_chance_and_an_advice(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path, maintenance=SETTINGS) as shop:
            await filled(shop)
            await shop.get("/api/predictive/maintenance/schedule")
            got = await shop.get(f"/api/predictive/maintenance/probability/{EPCS[1]}")
            curve = [row["probability"] for row in got["curve"]]
            assert curve == sorted(curve)
            assert 0 < curve[0] < curve[-1] < 1
            assert got["sku"] == "TENT"
            advice = got["advice"]
            assert advice["best_cents"] <= advice["never_cents"]
            assert advice["failure_cents"] > 30_000
            missing = await shop.get("/api/predictive/maintenance/probability/00", 404)
            assert missing["type"].endswith("unknown-item")

    asyncio.run(main())


def test_feedback_is_kept_and_the_work_becomes_an_event_that_counts_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path, maintenance=SETTINGS) as shop:
            await filled(shop)
            before = (await shop.get(f"/api/items/{EPCS[0]}"))["item"]["features"]
            body = {"item": EPCS[0], "verdict": "right", "work": "replacement", "component": "Leg",
                    "minutes": 40, "cost_cents": 2_500, "grade": "A", "rating": 4, "by": "ann"}  # fmt: skip
            for _ in range(2):
                got = await shop.ask(
                    "POST", "/api/predictive/maintenance/feedback", 201, json=body,
                    headers={"Idempotency-Key": "k-1"},
                )  # fmt: skip
                assert got["result"]["verdict"] == "right"
                assert got["result"]["predicted"] is not None
            after = (await shop.get(f"/api/items/{EPCS[0]}"))["item"]["features"]
            assert after["repairs_total"] == before["repairs_total"] + 1
            assert after["repair_cost_cents_total"] == before["repair_cost_cents_total"] + 2_500
            assert after["grade_last"] == 8.0
            rows = (await shop.get("/api/predictive/maintenance/feedback"))["feedback"]
            assert [row["said_by"] for row in rows] == ["ann"]
            said = (await shop.get("/api/predictive/maintenance/roi"))["feedback"]
            assert said == [
                {
                    "verdict": "right",
                    "times": 1,
                    "predicted_mean": said[0]["predicted_mean"],
                    "rating_mean": 4.0,
                }
            ]
            parts = await shop.get("/api/predictive/maintenance/components")
            assert [(row["epc"], row["component"]) for row in parts["components"]] == [
                (EPCS[0], "leg")
            ]
            assert parts["kinds"][0]["cost_cents"] == 2_500
            resources = await shop.get("/api/predictive/maintenance/resources")
            assert resources["parts"] == [] or resources["parts"][0]["component"] == "leg"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ({"verdict": "right", "work": "service"}, 0),
        ({"verdict": "unsure", "work": "repair", "planned": True}, 0),
        ({"verdict": "false_alarm", "work": "replacement"}, 0),
        ({"verdict": "right", "work": "repair"}, 1),
    ],
)
def test_only_work_that_nobody_planned_is_a_failure_for_the_next_training(
    tmp_path: Path, said: dict[str, Any], more: int
) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            await filled(shop)
            before = (await shop.get(f"/api/items/{EPCS[0]}"))["item"]["features"]
            await shop.ask(
                "POST", "/api/predictive/maintenance/feedback", 201, json={"item": EPCS[0], **said}
            )
            after = (await shop.get(f"/api/items/{EPCS[0]}"))["item"]["features"]
            for name in ("failures_total", "repairs_total"):
                rise = more if name == "repairs_total" else 0
                assert after[name] == before[name] + rise, name
            assert after["days_since_repair"] == pytest.approx(0.0, abs=0.01)

    asyncio.run(main())


def test_feedback_about_an_item_nobody_knows_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            await filled(shop)
            for body, status in (
                ({"item": "00FF", "verdict": "right"}, 404),
                ({"item": EPCS[0], "verdict": "wrong"}, 422),
                ({"item": EPCS[0], "verdict": "right", "raiting": 4}, 422),
            ):
                await shop.ask("POST", "/api/predictive/maintenance/feedback", status, json=body)

    asyncio.run(main())


def test_a_cost_that_is_a_slip_of_the_pen_is_refused_with_its_figure(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            await filled(shop)
            path = "/api/predictive/maintenance/feedback"
            said = {"item": EPCS[0], "verdict": "right", "work": "repair", "cost_cents": 10**13}
            told = await shop.ask("POST", path, 422, json=said)
            assert told["type"].endswith("limit")
            assert "100,000,000,000.00 is " in told["detail"]
            assert " times the larger of a usual repair and a new item, " in told["detail"]
            item = (await shop.get(f"/api/items/{EPCS[0]}"))["item"]["features"]
            assert item["repair_cost_cents_total"] < 10**7
            await shop.ask("POST", path, 201, json={**said, "cost_cents": 60_000})
            await shop.ask(
                "POST", path, 201, json={**said, "cost_cents": 5_000_000, "confirm": True}
            )

    asyncio.run(main())


def test_a_service_whose_item_was_mended_meanwhile_is_marked_and_proposed_no_more(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with daemon(tmp_path, maintenance=SETTINGS) as shop:
            await filled(shop)
            path = "/api/predictive/maintenance/schedule"
            before = (await shop.get(path, limit=1000))["services"]
            assert before
            assert not any(row["done"] for row in before)
            view = shop.daemon.views.of(MaintenanceView)
            proposed = [one.target for one in view.proposals() if one is not None]
            epc = proposed[0]
            for item, work in ((epc, "repair"), (proposed[1], "wash")):  # washed is not mended
                await shop.ask(
                    "POST", "/api/predictive/maintenance/feedback", 201,
                    json={"item": item, "verdict": "right", "work": work},
                )  # fmt: skip
            after = (await shop.get(path, limit=1000))["services"]
            assert [row["epc"] for row in after if row["done"]] == [epc]
            assert len(after) == len(before)  # the plan and its sums are as they were made
            assert [one.target for one in view.proposals() if one is not None] == proposed[1:]

    asyncio.run(main())


def test_a_part_that_is_told_has_an_expected_end(tmp_path: Path) -> None:
    async def main() -> None:
        settings = Maintenance(component_lives={"motor": 200.0})
        async with daemon(tmp_path, maintenance=settings) as shop:
            await filled(shop)
            body = {"item": EPCS[2], "component": "Motor", "installed_ms": at(-150)}
            await shop.ask("POST", "/api/predictive/maintenance/components", 201, json=body)
            got = await shop.get("/api/predictive/maintenance/components", component="motor")
            (row,) = got["components"]
            assert row["age_days"] == pytest.approx(150, abs=0.1)
            assert 200 <= row["expected_days"] < 215  # it has lasted for 150 already
            assert 30 < row["remaining_days"] < 150
            one = await shop.get(f"/api/predictive/maintenance/probability/{EPCS[2]}")
            assert one["components"][0]["component"] == "motor"
            parts = (await shop.get("/api/predictive/maintenance/resources"))["parts"]
            assert 0 < sum(part["units"] for part in parts) < 1

    asyncio.run(main())


def test_an_empty_shop_has_an_empty_plan(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            got = await shop.get("/api/predictive/maintenance/schedule")
            assert got["services"] == []
            assert got["saved_cents"] == 0
            assert (await shop.get("/api/predictive/maintenance/roi"))["roi"] is None
            for name, words in (
                ("schedule", "No item is in the shop"),
                ("roi", "No item is in the shop"),
                ("resources", "No part of any item is known"),
                ("components", "No part of any item is known"),
                ("feedback", "No mechanic has said anything yet"),
            ):
                got = await shop.get(f"/api/predictive/maintenance/{name}")
                assert got["why_empty"].startswith(words), name

    asyncio.run(main())


def test_a_list_that_is_not_empty_has_no_reason_and_a_filter_is_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path, maintenance=SETTINGS) as shop:
            await filled(shop)
            for name, by in (("schedule", "day"), ("roi", "sku")):
                full = await shop.get(f"/api/predictive/maintenance/{name}")
                assert full["why_empty"] == ""
                path = f"/api/predictive/maintenance/{name}"
                none = await shop.ask("GET", path, params={by: "2001-01-01"})
                assert none["why_empty"], name
            pages, cursor = [], None
            while True:
                query: dict[str, Any] = {"limit": 1, "sort": "sku"}
                query |= {"cursor": cursor} if cursor else {}
                got = await shop.get("/api/predictive/maintenance/roi", **query)
                pages += got["classes"]
                cursor = got["next_cursor"]
                if cursor is None:
                    break
            assert [row["sku"] for row in pages] == ["TENT", "CHAIR"]  # falling, by default
            assert sum(row["spend_cents"] for row in pages) == got["spend_cents"]

    asyncio.run(main())


def test_an_approved_service_keeps_its_day_and_a_rejected_one_is_off_for_its_week(
    tmp_path: Path,
) -> None:
    async def decided(shop: Shop, row: dict[str, Any], deed: str, day: str) -> None:
        body = {"kind": "maintenance", "target": row["epc"], "period": "by hand",
                "data": {"day": day, "crew": row["crew"]}}  # fmt: skip
        got = await shop.ask("POST", "/api/decisions", 201, json=body)
        await shop.ask(
            "POST", f"/api/decisions/{got['result']['id']}/{deed}", 200, json={"by": "ann"}
        )

    async def main() -> None:
        settings = DecisionSettings(dry_run=False)
        async with daemon(tmp_path, maintenance=SETTINGS, decisions=settings) as shop:
            await filled(shop)
            got = await shop.get("/api/predictive/maintenance/schedule", days=20, limit=1000)
            by_day = sorted({row["day"] for row in got["services"]})
            first = [row for row in got["services"] if row["day"] == by_day[0]]
            late = str(np.datetime64(by_day[0]) + 14)  # the same weekday, so its crew works
            await decided(shop, first[0], "approve", late)
            await decided(shop, first[1], "reject", by_day[0])
            again = await shop.get("/api/predictive/maintenance/schedule", days=60, limit=1000)
            rows = {row["epc"]: row for row in again["services"]}
            assert rows[first[0]["epc"]]["day"] == late
            assert rows[first[0]["epc"]]["approved"]
            assert sum(row["approved"] for row in rows.values()) == 1
            other = rows.get(first[1]["epc"])
            week = np.datetime64(by_day[0]).astype(object).isocalendar()[:2]
            assert (
                other is None
                or np.datetime64(other["day"]).astype(object).isocalendar()[:2] != week
            )

    asyncio.run(main())


def test_what_was_approved_stands_in_the_plan_at_once_and_more_than_the_hours_is_told(
    tmp_path: Path,
) -> None:
    path = "/api/predictive/maintenance/schedule"

    async def approved(shop: Shop, least: int) -> dict[str, Any]:
        """The plan, once so many are approved in it: it is made anew behind the one that is shown."""
        deadline = time.monotonic() + 60.0
        while time.monotonic() < deadline:
            told = await shop.get(path, limit=1000)
            if sum(row["approved"] for row in told["services"]) >= least:
                return told
            await asyncio.sleep(0.05)
        raise AssertionError(told)

    async def main() -> None:
        settings = DecisionSettings(dry_run=False)
        async with daemon(tmp_path, maintenance=SETTINGS, decisions=settings) as shop:
            await filled(shop)
            before = await shop.get(path, limit=1000)
            assert before["over_hours"] == 0.0
            day, crew = (before["services"][0][name] for name in ("day", "crew"))
            for number, row in enumerate(before["services"][:6]):
                body = {"kind": "maintenance", "target": row["epc"], "period": "by hand",
                        "data": {"day": day, "crew": crew}}  # fmt: skip
                got = await shop.ask("POST", "/api/decisions", 201, json=body)
                id_ = got["result"]["id"]
                await shop.ask("POST", f"/api/decisions/{id_}/approve", json={"by": "ann"})
                if number == 0:
                    assert (await approved(shop, 1))["over_hours"] == 0.0
            after = await approved(shop, 6)
            hours = sum(row["hours"] for row in after["services"] if row["day"] == day)
            assert hours > SETTINGS.crew_hours
            assert after["over_hours"] == pytest.approx(hours - SETTINGS.crew_hours)

    asyncio.run(main())
