"""Figures of the shop, against sums that a person would make."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.shop import Shop
from tests.api.weeks import MONDAY_MS, calendar_shop, line, lived

EPC = "E28011606000020A6681F2{:02X}"
DAY_MS = 86_400_000
DAYS = 64


def units(day: int) -> float:
    return 10 + day % 7


def day_of(day: int) -> Iterator[dict[str, Any]]:
    yield line(f"S{day}", "CUP", units(day), price_cents=300, category="Cups")
    yield line(f"R{day}", "TENT", 2, kind="rental", price_cents=2_000, category="Tents")
    yield {**line(f"R{day}", "TENT", 2, kind="return", price_cents=0), "line": 2, "hour": 15}


async def with_shop(tmp_path: Path, case: Any) -> None:
    async with calendar_shop(tmp_path) as (shop, clock):
        await lived(shop, clock, range(DAYS), day_of)
        clock.set(MONDAY_MS + DAYS * DAY_MS + 10 * 3_600_000)
        await shop.events(line("X", "CUP", 4, price_cents=300))
        await case(shop)


async def figures(shop: Shop, **query: Any) -> dict[str, Any]:
    found = await shop.get("/api/kpis", **query)
    return {row["name"]: row for row in found["kpis"]}


def test_sums_are_those_of_the_days(tmp_path: Path) -> None:
    async def case(shop: Shop) -> None:
        found = await figures(shop)
        last = [units(day) for day in range(DAYS)]
        assert found["units_sold_today"]["value"] == 4
        assert found["units_sold_7d"]["value"] == sum(last[-7:])
        assert found["units_sold_7d"]["before"] == sum(last[-14:-7])
        assert found["units_sold_28d"]["value"] == sum(last[-28:])
        assert found["units_sold_28d"]["before"] == sum(last[-56:-28])
        assert found["units_rented_28d"]["value"] == 56
        money = sum(last[-28:]) * 300 + 56 * 2_000
        assert found["revenue_28d"]["value"] == money
        assert found["revenue_28d"]["change"] == pytest.approx(0, abs=1e-6)
        per_unit = money / (sum(last[-28:]) + 56)
        assert found["revenue_per_unit_28d"]["value"] == pytest.approx(per_unit)
        week_ago = units(DAYS - 7)
        assert 0 < found["units_sold_today"]["before"] < week_ago
        cups = await figures(shop, category="cups")
        assert cups["revenue_28d"]["value"] == sum(last[-28:]) * 300
        assert "overdue_items" not in cups
        none = await figures(shop, store="nowhere")
        assert none["revenue_28d"]["value"] is None
        assert none["utilisation"]["value"] is None

    asyncio.run(with_shop(tmp_path, case))


def test_every_figure_says_how_it_is_counted_and_names_are_unique(tmp_path: Path) -> None:
    async def case(shop: Shop) -> None:
        rows = (await shop.get("/api/kpis"))["kpis"]
        assert len({row["name"] for row in rows}) == len(rows)
        assert all(row["definition"] and row["title"] and row["unit"] for row in rows)
        assert {"utilisation", "stockouts", "forecast_accuracy_day", "savings_actual"} <= {
            row["name"] for row in rows
        }
        async with shop.client.get("/api/kpis", params={"format": "csv", "name": "rev"}) as got:
            text = await got.text()
        assert [row.split(",")[0] for row in text.splitlines()] == [
            "name", "revenue_today", "revenue_7d", "revenue_28d", "revenue_per_unit_28d",
        ]  # fmt: skip

    asyncio.run(with_shop(tmp_path, case))


def test_what_is_out_empty_or_late_is_counted_now(tmp_path: Path) -> None:
    def scan(n: int, kind: str, **fields: Any) -> dict[str, Any]:
        told = {"type": "item_scan", "epc": EPC.format(n), "scan_type": kind, "sku": "BENCH"}
        return {**told, **fields}

    async def case(shop: Shop) -> None:
        due = {"due": MONDAY_MS + DAYS * DAY_MS + 9 * 3_600_000, "epc": EPC.format(1)}
        rental = line("C1", "BENCH", 1, kind="rental", **due)
        await shop.events(
            *(scan(n, "Return") for n in (1, 2, 3, 4)),
            {"type": "stock_count", "sku": "CUP", "quantity": 0},
        )
        before = await figures(shop)
        await shop.events(scan(1, "Rental", contract="C1"), rental)
        found = await figures(shop)
        assert found["units_on_rent"]["value"] - before["units_on_rent"]["value"] == 1
        assert found["overdue_items"]["value"] == 1
        assert found["overdue_contracts"]["value"] == 1
        assert found["stockouts"]["value"] == before["stockouts"]["value"] >= 1
        assert (before["utilisation"]["value"], found["utilisation"]["value"]) == (None, 0.25)

    asyncio.run(with_shop(tmp_path, case))
