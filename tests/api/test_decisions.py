"""Decisions through the API of a real daemon: proposed, approved, delivered, and still there after a restart."""

import asyncio
import csv
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from edge.config import DecisionSettings, DeliveryRule
from tests.api.shop import Shop, daemon

LIVE = DecisionSettings(dry_run=False)
RESTOCK = {
    "kind": "restock",
    "target": "chair",
    "period": "2026-W47",
    "confidence": 0.9,
    "value_cents": 50_000,
    "data": {"units": 12},
}


async def until(ready: Callable[[], Awaitable[Any]], seconds: float = 60.0) -> Any:
    """What ``ready`` gives once it is something."""
    end = time.monotonic() + seconds
    while not (found := await ready()):
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.02)
    return found


async def proposed(shop: Shop, **changed: Any) -> Any:
    """The decision made of a proposal about a class that is known."""
    await shop.events({"type": "stock_count", "sku": "chair", "quantity": 3})
    answer = await shop.ask("POST", "/api/decisions", 201, json=RESTOCK | changed)
    assert answer["state"] == "done"
    return answer["result"]


def test_a_fresh_install_only_writes_down_what_it_would_do(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            decision = await proposed(shop)
            assert (decision["status"], decision["dry_run"]) == ("executed", True)
            limits = await shop.get("/api/safeguards")
            assert limits["safeguards"]["dry_run"]
            assert limits["left_cents"] == 500_000

    asyncio.run(main())


def test_a_decision_that_waits_says_whether_it_would_be_carried_out_on_paper_only(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            waiting = await proposed(shop, confidence=0.7)
            assert (waiting["status"], waiting["dry_run"]) == ("pending", True)
            (row,) = (await shop.get("/api/decisions"))["decisions"]
            assert row["dry_run"]
            await shop.ask("PUT", "/api/safeguards", json={"dry_run": False})
            path = f"/api/decisions/{waiting['id']}"
            assert not (await shop.get(path))["decision"]["dry_run"]
            await shop.ask("PUT", "/api/safeguards", json={"dry_run": True})
            done = await shop.ask("POST", f"{path}/approve", json={})
            assert (done["result"]["status"], done["result"]["dry_run"]) == ("executed", True)
            await shop.ask("PUT", "/api/safeguards", json={"dry_run": False})
            assert (await shop.get(path))["decision"]["dry_run"]  # so it was carried out

    asyncio.run(main())


def test_a_proposal_about_what_nobody_knows_is_refused_with_similar_names(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            await shop.events({"type": "stock_count", "sku": "chair", "quantity": 3})
            for kind in ("restock", "pricing"):
                wrong = RESTOCK | {"kind": kind, "target": "chari"}
                told = await shop.ask("POST", "/api/decisions", 404, json=wrong)
                assert told["type"].endswith("unknown-class")
                assert "'chari'" in told["detail"]
                assert "Similar ones are chair." in told["cure"]
            elsewhere = RESTOCK | {"store": "moon"}
            told = await shop.ask("POST", "/api/decisions", 404, json=elsewhere)
            assert "in store 'moon'" in told["detail"]
            item = RESTOCK | {"kind": "maintenance", "target": "E28011"}
            told = await shop.ask("POST", "/api/decisions", 404, json=item)
            assert told["type"].endswith("unknown-item")
            pack = RESTOCK | {"kind": "pack_dissolve", "target": "nothing"}
            told = await shop.ask("POST", "/api/decisions", 404, json=pack)
            assert "no pack 'nothing'" in told["detail"]
            assert (await shop.get("/api/decisions"))["decisions"] == []
            await shop.ask("PUT", "/api/catalogue/classes/lamp", json={"name": "Lamp"})
            await proposed(
                shop, target="lamp"
            )  # the catalogue knows it, though nothing happened yet

    asyncio.run(main())


def test_a_proposal_that_names_no_store_is_the_one_of_the_store_that_knows_its_class(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with daemon(tmp_path, decisions=LIVE) as shop:
            one = await proposed(shop, confidence=0.7)
            assert one["store"] == "main"
            same = await proposed(shop, confidence=0.9, store="main")
            assert same["id"] == one["id"]
            (row,) = (await shop.get("/api/decisions"))["decisions"]
            assert (row["store"], row["confidence"]) == ("main", 0.7)
            await shop.events(
                {"type": "stock_count", "sku": "chair", "store": "moon", "quantity": 1}
            )
            which = await shop.ask("POST", "/api/decisions", 422, json=RESTOCK)
            assert "'chair' is known in main, moon: name the store" in which["detail"]
            price = {"price_cents": 1_100, "baseline_cents": 1_000}
            both = await proposed(shop, kind="pricing", data=price, value_cents=0)
            assert both["store"] == ""

    asyncio.run(main())


def test_what_nobody_would_hear_of_waits_for_a_person(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path, decisions=LIVE) as shop:
            waiting = await proposed(shop)
            assert (waiting["status"], waiting["can"]) == ("pending", ["approve", "reject"])
            assert "no [[deliveries]] of the configuration takes restock" in waiting["gate"]
            assert (await shop.get("/api/inventory/chair"))["item"]["on_order"] == 0
            path = f"/api/decisions/{waiting['id']}/approve"
            await shop.ask("POST", path, json={"by": "ann"})
            assert (await shop.get("/api/inventory/chair"))["item"]["on_order"] == 12

    asyncio.run(main())


def test_a_person_approves_and_it_is_still_so_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path, decisions=LIVE) as shop:
            waiting = await proposed(shop, confidence=0.7)
            assert (waiting["status"], waiting["can"]) == ("pending", ["approve", "reject"])
            path = f"/api/decisions/{waiting['id']}"
            done = await shop.ask("POST", f"{path}/approve", json={"by": "ann", "why": "fair"})
            assert done["result"]["status"] == "executed"
            await shop.ask("POST", f"{path}/feedback", json={"score": 4, "note": "good"})
            again = await shop.ask("POST", f"{path}/approve", 409, json={})
            assert "it is executed: from there undo can be done" in again["detail"]
        async with daemon(tmp_path, decisions=LIVE) as shop:
            found = (await shop.get(path))["decision"]
            assert (found["status"], found["decided_by"]) == ("executed", "ann")
            assert (found["feedback_score"], found["decided_why"]) == (4, "fair")
            rows = await shop.ask("GET", "/api/decisions?status=executed")
            assert [row["id"] for row in rows["decisions"]] == [waiting["id"]]
            summary = await shop.get("/api/decisions/summary")
            assert summary["kinds"][0]["accepted_share"] == 1.0

    asyncio.run(main())


def test_an_order_reaches_webhook_and_folder_with_its_key(tmp_path: Path) -> None:
    async def main() -> None:
        told: list[tuple[str, Any]] = []
        tries = 0

        async def take(request: web.Request) -> web.Response:
            nonlocal tries
            tries += 1
            if tries == 1:
                return web.Response(status=503)
            told.append((request.headers["Idempotency-Key"], await request.json()))
            return web.Response(status=204)

        app = web.Application()
        app.router.add_post("/orders", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        folder = tmp_path / "orders"
        places = [
            DeliveryRule(channel="webhook", target=f"http://127.0.0.1:{port}/orders"),
            DeliveryRule(channel="file", target=str(folder), kinds=["restock"]),
        ]
        async with daemon(tmp_path / "s", decisions=LIVE, deliveries=places) as shop:
            decision = await proposed(shop)
            path = f"/api/decisions/{decision['id']}"

            async def executed() -> bool:
                return (await shop.get(path))["decision"]["status"] == "executed"  # type: ignore[no-any-return]

            await until(executed)
            assert (await shop.get(path))["waiting"] == []
        await runner.cleanup()
        ((key, body),) = told
        assert body["id"] == key
        assert body["data"] == {"units": 12}
        (order,) = folder.glob("restock-do-*.csv")
        (row,) = csv.DictReader(order.open())
        assert (row["target"], row["data.units"]) == ("chair", "12")

    asyncio.run(main())


def test_limits_set_by_people_outlive_a_restart_until_the_configuration_changes(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with daemon(tmp_path, decisions=LIVE) as shop:
            new = {"dry_run": False, "restock_max_cents": 7, "by": "ann"}
            assert (await shop.ask("PUT", "/api/safeguards", json=new))["state"] == "done"
            await shop.ask("POST", "/api/safeguards/kill-switch", json={"on": True})
        async with daemon(tmp_path, decisions=LIVE) as shop:
            found = (await shop.get("/api/safeguards"))["safeguards"]
            assert (found["restock_max_cents"], found["killed"], found["changed_by"]) == (
                7,
                True,
                "",
            )
        changed = msgspec.structs.replace(LIVE, restock_max_cents=9)
        async with daemon(tmp_path, decisions=changed) as shop:

            async def nine() -> bool:
                found = (await shop.get("/api/safeguards"))["safeguards"]
                return (found["restock_max_cents"], found["killed"]) == (9, True)

            await until(nine)

    asyncio.run(main())


def test_what_makes_no_sense_is_refused_with_its_name(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            colour = await shop.ask("POST", "/api/decisions", 422, json=RESTOCK | {"colour": 1})
            assert "colour" in colour["detail"]
            unsure = await shop.ask("POST", "/api/decisions", 422, json=RESTOCK | {"confidence": 2})
            assert "confidence" in unsure["detail"]
            await shop.get("/api/decisions/nothing", 404)
            limits = {"review_confidence": 0.9, "auto_approve_confidence": 0.8}
            wrong = await shop.ask("PUT", "/api/safeguards", 422, json=limits)
            assert "review_confidence <= auto_approve_confidence" in wrong["detail"]
            score = await shop.ask(
                "POST", "/api/decisions/nothing/feedback", 422, json={"score": 9}
            )
            assert "score" in score["detail"]

    asyncio.run(main())
