"""Suppliers, terms, orders and approved restocks through a real daemon: what is on its way is counted."""

import csv
import io
from pathlib import Path

import pytest

from edge.config import DecisionSettings
from tests.api.shop import DAY_MS, Shop
from tests.api.test_inventory import item, tick, with_shop
from tests.api.weeks import Calendar


def test_suppliers_and_terms_come_out_of_files_and_go_into_them(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        csv_type = {"Content-Type": "text/csv"}
        told = "supplier,name,lead_days,active\nS1,Smith & Sons,12,true\nS2,=Sum,,false\n"
        report = await shop.ask("POST", "/api/suppliers/import", data=told, headers=csv_type)
        assert (report["put"], report["new"], report["refused_count"]) == (2, 2, 0)
        one = await shop.get("/api/suppliers/S1")
        assert (one["name"], one["lead_days"], one["active"]) == ("Smith & Sons", 12.0, True)
        terms = [{"sku": "NAIL", "supplier": "S1", "pack_units": 50}, {"sku": "*", "store": "main"}]
        report = await shop.ask("POST", "/api/supply/import", json=terms)
        assert report["put"] == 2
        for path in ("/api/suppliers", "/api/supply"):
            async with shop.client.get(path, headers={"Accept": "text/csv"}) as got:
                text = await got.text()
            again = await shop.ask("POST", f"{path}/import", data=text, headers=csv_type)
            assert (again["put"], again["changed"]) == (2, 0), text
        bad = [{"sku": "NAIL", "pack_units": 6}, {"sku": "CHAIR", "supplier": "nobody"}]
        report = await shop.ask("POST", "/api/supply/import", json=bad)
        assert (report["put"], report["refused_count"]) == (0, 2)
        assert "row 2: there is no supplier 'nobody'" in report["refused"][0]["detail"]
        rows = await shop.get("/api/supply", sku="NAIL")
        assert rows["supply"][0]["pack_units"] == 50  # all or none
        slip = [{"sku": "NIAL", "pack_units": 6}, {"sku": "NAIL", "pack_units": 40}]
        report = await shop.ask("POST", "/api/supply/import", json=slip)
        assert (report["put"], report["refused_count"]) == (1, 1)
        assert report["refused"] == [
            {
                "line": 1,
                "detail": "nothing is known about class 'NIAL': put it into the catalogue first",
            }
        ]
        wrong = await shop.ask(
            "POST", "/api/supply/import", 400, data="sku,colour\nA,red\n", headers=csv_type
        )
        assert "colour" in wrong["detail"]

    with_shop(tmp_path, case, days=1)


def test_orders_raise_the_position_until_their_goods_come(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Calendar) -> None:
        await shop.ask("PUT", "/api/suppliers/S1", json={"lead_days": 5})
        await shop.ask("PUT", "/api/supply/*", json={"supplier": "S1", "cost_cents": 120})
        before = await item(shop, "NAIL")
        order = {"lines": [{"sku": "NAIL", "units": 60}, {"sku": "ROPE", "units": 5}]}
        wrong = await shop.ask("POST", "/api/purchase-orders", 404, json=order)
        assert "'ROPE'" in wrong["detail"]
        assert "/api/catalogue/classes/ROPE" in wrong["cure"]
        await shop.ask("PUT", "/api/supply/ROPE", 404, json={"pack_units": 2})
        await shop.ask("PUT", "/api/catalogue/classes/ROPE", json={"name": "Rope"})
        stranger = await shop.ask(
            "POST", "/api/purchase-orders", 404, json=order | {"supplier": "nobody"}
        )
        assert "PUT /api/suppliers/nobody" in stranger["cure"]
        made = (await shop.ask("POST", "/api/purchase-orders", 201, json=order))["result"]
        assert (made["supplier"], made["value_cents"]) == ("S1", 65 * 120)
        after = await shop.get("/api/inventory/NAIL")
        assert after["item"]["on_order"] == 60
        assert after["item"]["position"] == before["position"] + 60
        assert [row["order"] for row in after["coming"]] == [made["id"]]
        path = f"/api/purchase-orders/{made['id']}"
        async with shop.client.get(path, headers={"Accept": "text/csv"}) as got:
            rows = list(csv.DictReader(io.StringIO(await got.text())))
        assert [(row["sku"], float(row["units"])) for row in rows] == [("NAIL", 60), ("ROPE", 5)]
        assert rows[0]["name"] == "Nail"
        clock.set(clock.now_ms() + 4 * DAY_MS)
        await shop.events(
            {"type": "stock_receipt", "sku": "NAIL", "quantity": 60, "order": made["id"]}
        )
        assert (await item(shop, "NAIL"))["on_order"] == 0
        assert (await shop.get(path))["order"]["state"] == "partial"
        seen = await shop.get("/api/suppliers/S1")
        assert (seen["orders_seen"], seen["lead_seen_days"]) == (1, pytest.approx(4, abs=0.01))
        await shop.ask("POST", f"{path}/cancel", json={"note": "no rope"})
        assert (await shop.get("/api/purchase-orders"))["orders"] == []
        (ended,) = (await shop.get("/api/purchase-orders", state="all"))["orders"]
        assert (ended["state"], ended["note"]) == ("closed", "no rope")
        await shop.ask("POST", f"{path}/cancel", 404, json={})

    with_shop(tmp_path, case)


def test_an_order_below_what_its_supplier_takes_is_refused_unless_said_so(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Calendar) -> None:
        await shop.ask("PUT", "/api/suppliers/S1", json={"minimum_cents": 10_000})
        await shop.ask(
            "PUT",
            "/api/supply/NAIL",
            json={"supplier": "S1", "minimum_units": 20, "cost_cents": 200},
        )
        order = {"lines": [{"sku": "NAIL", "units": 49}]}
        wrong = await shop.ask("POST", "/api/purchase-orders", 422, json=order)
        assert "it comes to 98.00, 'S1' takes no order below 100.00" in wrong["detail"]
        few = {"lines": [{"sku": "NAIL", "units": 19, "cost_cents": 2_000}]}
        wrong = await shop.ask("POST", "/api/purchase-orders", 422, json=few)
        assert "its smallest order is 20" in wrong["detail"]
        await shop.ask("POST", "/api/purchase-orders", 201, json={**order, "below_minimum": True})
        enough = {"lines": [{"sku": "NAIL", "units": 50}]}
        await shop.ask("POST", "/api/purchase-orders", 201, json=enough)
        unknown = {"lines": [{"sku": "CHAIR", "units": 1}], "supplier": "S1"}  # no cost is known
        await shop.ask("POST", "/api/purchase-orders", 201, json=unknown)

    with_shop(tmp_path, case, days=3)


def test_an_approved_restock_becomes_an_order_once(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Calendar) -> None:
        await shop.events({"type": "stock_count", "sku": "NAIL", "quantity": 12})
        await tick(shop, clock)
        path = "/api/predictive/inventory/approve-restock/NAIL"
        wanted = (await item(shop, "NAIL"))["suggested_order_qty"]
        headers = {"Idempotency-Key": "again"}
        done = await shop.ask("POST", path, json={"by": "eve", "why": "yes"}, headers=headers)
        assert (done["result"]["status"], done["result"]["proposed_by"]) == ("executed", "eve")
        same = await shop.ask("POST", path, json={"by": "eve", "why": "yes"}, headers=headers)
        assert same["result"]["id"] == done["result"]["id"]
        (order,) = (await shop.get("/api/purchase-orders"))["orders"]
        assert order["decision"] == done["result"]["id"]
        now = await item(shop, "NAIL")
        assert (now["on_order"], now["suggested_order_qty"]) == (wanted, 0)
        refused = await shop.ask("POST", path, 422, json={})
        assert "name the units" in refused["detail"]
        more = await shop.ask("POST", path, json={"units": 7})
        assert more["result"]["data"]["units"] == 7
        await shop.ask("POST", "/api/predictive/inventory/approve-restock/NONE", 404, json={})

    with_shop(tmp_path, case, decisions=DecisionSettings(dry_run=False))


def test_in_a_dry_run_an_approved_restock_orders_nothing(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Calendar) -> None:
        path = "/api/predictive/inventory/approve-restock/NAIL"
        done = await shop.ask("POST", path, json={"units": 5})
        assert (done["result"]["status"], done["result"]["dry_run"]) == ("executed", True)
        assert (await shop.get("/api/purchase-orders", state="all"))["orders"] == []

    with_shop(tmp_path, case, days=3)


def test_a_restock_beyond_the_limit_is_refused_with_the_limit(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Calendar) -> None:
        path = "/api/predictive/inventory/approve-restock/NAIL"
        await shop.ask("PUT", "/api/supply/NAIL", json={"cost_cents": 200})
        await tick(shop, clock)
        refused = await shop.ask("POST", path, 422, json={"units": 1_000_000})
        assert refused["type"].endswith("limit")
        assert "a restock may cost" in refused["detail"]

    with_shop(tmp_path, case, days=3)
