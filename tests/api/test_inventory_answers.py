"""What answers about stock say of each other, through a real daemon: nothing that another one denies."""

from pathlib import Path

from tests.api.shop import Shop
from tests.api.test_inventory import with_shop
from tests.api.weeks import Calendar


def test_a_fleet_tells_the_fill_rate_that_performance_tells(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        (chair,) = (await shop.get("/api/inventory/fleet"))["classes"]
        done = {
            row["sku"]: row for row in (await shop.get("/api/inventory/performance"))["classes"]
        }
        seen = done["CHAIR"]
        for name in ("days", "stockout_days", "fill_rate"):
            assert chair[name] == seen[name], name
        row = (await shop.get("/api/inventory/CHAIR"))["item"]
        assert (row["reorder_point"], row["right_size"]) == (None, chair["right_size"])
        assert row["planned_fill_rate"] == chair["served_right"]
        nail = (await shop.get("/api/inventory/NAIL"))["item"]
        assert (nail["right_size"], nail["reorder_point"] > 0) == (None, True)
        for sort, first in (("right_size", "CHAIR"), ("reorder_point", "NAIL")):
            page = await shop.get("/api/inventory", sort=sort, order="desc")
            assert page["items"][0]["sku"] == first

    with_shop(tmp_path, case)


def test_a_class_that_was_put_in_is_shown_though_nothing_of_it_was_counted(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        lamp = {"sku": "LAMP", "name": "Lamp", "category": "Light", "cost_cents": 900, "by": "ann"}
        made = await shop.ask("POST", "/api/inventory", 201, json=lamp | {"offered_for": "sale"})
        row = made["item"]
        assert (row["sku"], row["name"], row["category"], row["kind"]) == (
            "LAMP",
            "Lamp",
            "Light",
            "sale",
        )
        assert (row["unit_cost_cents"], row["stock_known"], row["current_stock"]) == (900, False, 0)
        assert row["suggested_order_qty"] is None
        assert "PUT /api/inventory/{sku}" in row["why_unknown"]
        shown = await shop.get(made["place"])
        assert (shown["item"], shown["demand"]) == (row, [])
        order = {"lines": [{"sku": "LAMP", "units": 6}]}
        await shop.ask("POST", "/api/purchase-orders", 201, json=order)
        shown = await shop.get(made["place"])
        assert (shown["item"]["on_order"], shown["coming"][0]["units"]) == (6, 6)
        counted = await shop.ask("PUT", made["place"], json={"quantity": 4})
        assert (counted["item"]["current_stock"], counted["item"]["on_order"]) == (4, 6)
        assert counted["item"]["name"] == "Lamp"
        await shop.get(f"{made['place']}?store=moon", 404)
        await shop.ask("POST", "/api/inventory", 404, json=lamp | {"store": "moon"})
        odd = {"sku": "A/1 B", "store": "main"}
        there = await shop.ask("POST", "/api/inventory", 201, json=odd)
        assert there["place"] == "/api/inventory/A%2F1%20B?store=main"

    with_shop(tmp_path, case, days=1)


def test_what_people_call_a_class_is_what_lists_call_it_and_find_it_by(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        told = {"name": "Wire nail", "category": "Hardware"}
        changed = await shop.ask("PUT", "/api/inventory/NAIL", json=told)
        assert (changed["item"]["name"], changed["item"]["category"]) == ("Wire nail", "Hardware")
        for query in ({"category": "hardware"}, {"search": "wire"}):
            page = await shop.get("/api/inventory", **query)
            assert [row["name"] for row in page["items"]] == ["Wire nail"]
        seen = (await shop.get("/api/inventory/performance", category="Hardware"))["classes"]
        assert [(row["sku"], row["name"]) for row in seen] == [("NAIL", "Wire nail")]
        assert (await shop.get("/api/inventory", category="Iron"))["items"] == []

    with_shop(tmp_path, case, days=1)


def test_an_order_costs_what_its_class_last_cost_where_nobody_says_otherwise(
    tmp_path: Path,
) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        await shop.get("/api/inventory")
        order = {"lines": [{"sku": "NAIL", "units": 6}]}
        made = await shop.ask("POST", "/api/purchase-orders", 201, json=order)
        assert made["result"]["value_cents"] == 6 * 200  # as received
        order["lines"][0]["cost_cents"] = 150
        made = await shop.ask("POST", "/api/purchase-orders", 201, json=order)
        assert made["result"]["value_cents"] == 6 * 150

    with_shop(tmp_path, case, days=1)
