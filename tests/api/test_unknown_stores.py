"""Stores that nobody knows, asked of a real daemon: no answer tells another store's figures instead."""

from pathlib import Path

from edge.api.table import ENDPOINTS
from tests.api.shop import Shop
from tests.api.test_inventory import with_shop
from tests.api.weeks import Calendar


def test_no_figure_of_the_whole_shop_is_told_of_a_store_that_nobody_knows(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        asked = [e for e in ENDPOINTS if e.method == "GET" and "{" not in e.path]
        whole = [e.path for e in asked if "unknown-store" in e.problems]
        assert "/api/predictive/maintenance/schedule" in whole
        for path in (*whole, "/api/availability?sku=NAIL&from=2030-01-01&to=2030-01-02"):
            mark = "&" if "?" in path else "?"
            told = await shop.ask("GET", f"{path}{mark}store=moon", 404)
            assert "moon" in told["detail"], path
        for path in whole:
            told = await shop.ask("GET", f"{path}?store=moon", 404)
            assert told["detail"] == "No store is called 'moon'; there are main."
            assert told["type"].endswith("unknown-store")
        for path in whole:
            response = await shop.client.get(f"{path}?store=main")
            assert response.status in (200, 202)
        listed = "/api/predictive/inventory/optimization-recommendations?store=moon"
        assert (await shop.get(listed))["why_empty"] == "No store is called 'moon'; there are main."

    with_shop(tmp_path, case, days=1)
