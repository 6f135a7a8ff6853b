"""The quality of what comes in through a real daemon: the day so far, a day's close, the account kept."""

import asyncio
from pathlib import Path
from typing import Any

from edge.clock import ManualClock
from edge.config import Shop as ShopSettings
from tests.api.shop import DAY_MS, daemon

NOON_MS = 20_500 * DAY_MS + DAY_MS // 2


def line(number: int, at_ms: int, **more: Any) -> dict[str, Any]:
    told = {"type": "pos_line", "document": f"D{number}", "line": 1, "kind": "sale", "sku": "SAW"}
    return told | {"quantity": 1, "price_cents": 900, "at": at_ms, "source": "till1"} | more


def test_a_day_is_told_while_it_lasts_and_kept_when_it_is_over(tmp_path: Path) -> None:
    async def main() -> None:
        clock = ManualClock(NOON_MS)
        async with daemon(tmp_path, clock, shop=ShopSettings(timezone="UTC")) as shop:
            await shop.events(line(1, NOON_MS), line(3, 0), line(2, NOON_MS, price_cents=90_000))
            await shop.events(line(1, NOON_MS))  # told again
            bad = line(4, NOON_MS, quantity=-1)
            await shop.ask("POST", "/api/events", json=[bad], status=200)
            report = await shop.get("/api/data-quality/2026-02-16")
            assert report["day"]["closed"] is False
            assert {c["reason"]: c["events"] for c in report["impossible"]} == {
                "out_of_range": 1,
                "price_absurd": 1,
            }
            assert {c["reason"]: c["events"] for c in report["dead"]} == {"out_of_range": 1}
            assert report["day"]["duplicates"] == 1
            assert report["day"]["untimed"] == 1
            assert report["day"]["admitted"] == 3
            assert report["sources"] == {"till1": 3}
            clock.advance(DAY_MS)
            async with asyncio.timeout(60):
                while True:
                    told = await shop.get("/api/data-quality")
                    if len(told["days"]) == 2 and told["days"][1]["closed"]:
                        break
                    await asyncio.sleep(0.02)
            assert [d["date"] for d in told["days"]] == ["2026-02-17", "2026-02-16"]
            assert told["days"][0]["admitted"] == 0
            assert told["days"][1]["impossible"] == 2
            kept = await shop.get("/api/data-quality/2026-02-16")
            assert kept["day"]["closed"] is True
            assert kept["impossible"] == report["impossible"]
            only = await shop.get("/api/data-quality", day="2026-02-16")
            assert [d["date"] for d in only["days"]] == ["2026-02-16"]
            await shop.get("/api/data-quality/2020-01-01", 404)
            await shop.get("/api/data-quality/2026-02-31", 404)

    asyncio.run(main())
