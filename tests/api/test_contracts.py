"""Contracts at check-in through the real daemon: what is missing and damaged, and what it costs."""

import asyncio
from pathlib import Path
from typing import Any

from edge.clock import ManualClock
from edge.config import Contracts
from tests.api.shop import DAY_MS, Shop
from tests.api.weeks import MONDAY_MS, calendar_shop

EPC = "E28011606000020A6681F2{:02X}"


def run(tmp_path: Path, case: Any, **contracts: Any) -> None:
    async def main() -> None:
        async with calendar_shop(tmp_path, contracts=Contracts(**contracts)) as (shop, clock):
            await case(shop, clock)

    asyncio.run(main())


def scan(n: int, kind: str, contract: str = "C1", **fields: Any) -> dict[str, Any]:
    told = {"type": "item_scan", "epc": EPC.format(n), "scan_type": kind, "contract": contract}
    return {**told, "sku": "TENT", **fields}


def line(kind: str, units: float, number: int, **fields: Any) -> dict[str, Any]:
    told = {"type": "pos_line", "document": "C1", "kind": kind, "sku": "TENT", "line": number}
    return {**told, "quantity": units, "price_cents": 2_000, **fields}


async def cost(shop: Shop) -> None:
    body = {"replacement_cents": 10_000}
    await shop.ask("PUT", "/api/catalogue/classes/TENT", json=body)


def later(clock: ManualClock, days: float) -> None:
    clock.advance(int(days * DAY_MS))


def test_what_does_not_come_back_is_missing_once_it_is_due(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: ManualClock) -> None:
        await cost(shop)
        due = MONDAY_MS + 3 * DAY_MS
        await shop.events(line("rental", 3, 1, due=due), *(scan(n, "Rental") for n in (1, 2)))
        found = await shop.get("/api/contracts/C1")
        assert (found["expected"], found["returned"], found["missing"]) == (3, 0, 0)
        assert found["classes"][0]["out"] == 3
        later(clock, 2)
        await shop.events(scan(1, "Return"))
        later(clock, 2)
        await shop.events({**scan(9, "Touch Scan", ""), "sku": "OTHER"})
        found = await shop.get("/api/contracts/C1")
        assert (found["expected"], found["returned"], found["missing"]) == (3, 1, 2)
        named = {charge["epc"]: charge for charge in found["charges"]}
        assert set(named) == {EPC.format(2), ""}  # one that was scanned, one that nobody scanned
        assert found["charges_cents"] == 20_000
        listed = await shop.get("/api/contracts", overdue="true")
        assert [row["contract"] for row in listed["contracts"]] == ["C1"]
        assert (await shop.get("/api/contracts", overdue="false"))["contracts"] == []

    run(tmp_path, case)


def test_damage_is_charged_by_its_repair_or_by_a_share(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: ManualClock) -> None:
        await cost(shop)
        await shop.events(*(scan(n, "Rental", grade="A") for n in (1, 2, 3)))
        later(clock, 1)
        flags = {1: ["rip_or_tear"], 2: ["rip_or_tear"], 3: ["leaves"]}
        await shop.events(*(scan(n, "Return", "", defects=d) for n, d in flags.items()))
        later(clock, 0.5)
        repair = {"type": "maintenance", "epc": EPC.format(2), "kind": "repair"}
        await shop.events({**repair, "cost_cents": 4_321, "grade": "B"})
        found = await shop.get("/api/contracts/C1")
        assert (found["row"]["state"], found["damaged"], found["missing"]) == ("returned", 2, 0)
        costs = {(c["kind"], c["epc"][-2:]): c["cents"] for c in found["charges"]}
        assert costs == {("damage", "01"): 2_500, ("repair", "02"): 4_321, ("cleaning", "03"): 700}
        assert found["charges_cents"] == 7_521
        items = {item["epc"][-2:]: item for item in found["items"]}
        assert (items["02"]["grade_out"], items["02"]["grade_back"]) == ("A", "B")

    run(tmp_path, case, cleaning_cents=700)


def test_days_beyond_the_due_day_are_charged_where_that_is_configured(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: ManualClock) -> None:
        await shop.events(line("rental", 1, 1, due=MONDAY_MS + DAY_MS), scan(1, "Rental"))
        later(clock, 2.5)
        await shop.events(scan(1, "Return"))
        (charge,) = (await shop.get("/api/contracts/C1"))["charges"]
        assert (charge["kind"], charge["units"], charge["cents"]) == ("late", 2.0, 2_000)

    run(tmp_path, case, late_share_a_day=0.5)


def test_a_contract_closes_by_itself_a_week_after_its_last_return(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: ManualClock) -> None:
        await shop.events(scan(1, "Rental"))
        later(clock, 1)
        await shop.events(scan(1, "Return", ""))
        assert (await shop.get("/api/contracts/C1"))["row"]["state"] == "returned"
        later(clock, 8)
        await shop.events(scan(2, "Rental", "C2"))
        assert [r["contract"] for r in (await shop.get("/api/contracts"))["contracts"]] == ["C2"]
        closed = await shop.get("/api/contracts", state="closed")
        assert [row["contract"] for row in closed["contracts"]] == ["C1"]
        found = await shop.get("/api/contracts/C1")  # out of the store
        assert (found["row"]["state"], found["expected"], found["returned"]) == ("closed", 1, 1)
        assert len((await shop.get("/api/contracts", state="all"))["contracts"]) == 2

    run(tmp_path, case)


def test_closing_a_contract_takes_what_is_out_for_lost(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: ManualClock) -> None:
        await cost(shop)
        await shop.events(scan(1, "Rental"), scan(2, "Rental"))
        body = {"note": "two tents burnt", "by": "jo"}
        made = await shop.ask("POST", "/api/contracts/C1/close", json=body)
        assert made["result"]["state"] == "closed"
        found = await shop.get("/api/contracts/C1")
        assert (found["missing"], found["charges_cents"]) == (2, 20_000)
        assert (found["note"], found["closed_by"]) == ("two tents burnt", "jo")
        again = await shop.ask("POST", "/api/contracts/C1/close", 409)
        assert again["type"].endswith(":conflict")
        assert (await shop.ask("POST", "/api/contracts/C9/close", 404))["status"] == 404
        later(clock, 3)
        await shop.events(scan(2, "Return"))  # found after all
        found = await shop.get("/api/contracts/C1")
        assert (found["row"]["state"], found["missing"]) == ("closed", 1)
        assert found["note"] == "two tents burnt"
        await shop.events(scan(3, "Rental"))  # the number is used again
        found = await shop.get("/api/contracts/C1")
        assert (found["row"]["state"], found["row"]["closed_ms"]) == ("open", 0)
        assert (await shop.get("/api/contracts/NONE", 404))["type"].endswith(":unknown")

    run(tmp_path, case)


def test_a_scan_or_a_line_told_by_mistake_is_taken_back(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: ManualClock) -> None:
        at_ms = clock.now_ms()
        await shop.events(line("rental", 2, 1), line("rental", 5, 2), scan(1, "Rental", at=at_ms))
        undo = {"type": "correction", "action": "undo_scan", "epc": EPC.format(1)}
        undo |= {"contract": "C1", "scan_type": "Rental", "scanned_at": at_ms}
        await shop.events(undo, line("void", 5, 2))
        found = await shop.get("/api/contracts/C1")
        assert (found["expected"], found["items"]) == (2, [])
        await shop.events(line("return", 2, 7))
        assert (await shop.get("/api/contracts/C1"))["row"]["state"] == "returned"

    run(tmp_path, case)
