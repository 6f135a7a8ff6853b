"""Whole numbers that no store can hold: refused or held at the most, and the daemon goes on."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edge.ledger.orders import PurchaseOrder
from tests.api.shop import Shop, daemon

PROPOSAL: dict[str, Any] = {
    "kind": "restock",
    "target": "chair",
    "store": "main",
    "period": "2026-W47",
    "confidence": 0.7,
    "data": {"units": 12},
}


async def goes_on(shop: Shop) -> None:
    """Everything is stored, and the state can be saved."""
    await shop.daemon.pipeline.flush()
    await shop.daemon.pipeline.snapshot()
    await shop.get("/readyz")


@pytest.mark.parametrize(
    "told", [{"impact_cents": 2**63}, {"impact_cents": -(2**64)}, {"data": {"units": 2**70}}]
)
def test_a_command_with_a_number_beyond_the_store_is_refused(
    tmp_path: Path, told: dict[str, Any]
) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            await shop.events({"type": "stock_count", "sku": "chair", "quantity": 3})
            await shop.ask("POST", "/api/decisions", 422, json=PROPOSAL | told)
            assert (await shop.get("/api/decisions"))["decisions"] == []
            await shop.ask("POST", "/api/decisions", 201, json=PROPOSAL | {"impact_cents": 2**62})
            await goes_on(shop)

    asyncio.run(main())


def test_a_product_beyond_the_store_is_held_at_the_most_and_survives_a_restart(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        line = {"sku": "chair", "units": 9e8, "cost_cents": 9 * 10**11}
        async with daemon(tmp_path) as shop:
            await shop.events({"type": "stock_count", "sku": "chair", "quantity": 3})
            await shop.ask("POST", "/api/purchase-orders", 201, json={"lines": [line]})
            await goes_on(shop)
        async with daemon(tmp_path) as shop:
            (order,) = shop.daemon.pipeline.core.ledger.rows(PurchaseOrder).values()
            assert order.value_cents == 2**63 - 1
            await goes_on(shop)

    asyncio.run(main())
