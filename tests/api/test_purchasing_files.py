"""Suppliers and terms that come in files or one by one: what nobody named is as configured."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from edge.config import Inventory
from tests.api.shop import Shop, daemon

CSV = {"Content-Type": "text/csv"}
USUAL = Inventory(lead_days=12.0, review_days=5.0)


def with_daemon(tmp_path: Path, case: Callable[[Shop], Awaitable[None]]) -> None:
    async def main() -> None:
        async with daemon(tmp_path, inventory=USUAL) as shop:
            await case(shop)

    asyncio.run(main())


def test_a_new_supplier_takes_what_nobody_named_from_the_configuration(tmp_path: Path) -> None:
    async def case(shop: Shop) -> None:
        made = await shop.ask("PUT", "/api/suppliers/S1", json={"name": "Smith"})
        assert (made["result"]["lead_days"], made["result"]["review_days"]) == (12, 5)
        told = await shop.ask("PUT", "/api/suppliers/S2", json={"lead_days": 3, "review_days": 0})
        assert (told["result"]["lead_days"], told["result"]["review_days"]) == (3, 0)
        again = await shop.ask("PUT", "/api/suppliers/S2", json={"note": "quick"})
        assert again["result"]["lead_days"] == 3  # what is not named stays
        text = "supplier,name,lead_days\nS2,Two,\nS3,Three,\nS4,Four,9\n"
        report = await shop.ask("POST", "/api/suppliers/import", data=text, headers=CSV)
        assert (report["put"], report["new"]) == (3, 2)
        rows = (await shop.get("/api/suppliers"))["suppliers"]
        assert [row["lead_days"] for row in rows] == [12, 3, 12, 9]

    with_daemon(tmp_path, case)


def test_a_file_of_suppliers_is_read_as_a_file_of_classes_is(tmp_path: Path) -> None:
    async def case(shop: Shop) -> None:
        text = "\ufeffSupplier, Name\nS1,Smith\n\nS2\nS3,'=Sum\n"
        report = await shop.ask("POST", "/api/suppliers/import", data=text.encode(), headers=CSV)
        assert (report["put"], report["refused_count"]) == (2, 1)
        assert report["refused"] == [{"line": 4, "detail": "1 cells, the header has 2"}]
        assert (await shop.get("/api/suppliers/S3"))["name"] == "=Sum"
        listed = await shop.get("/api/suppliers")
        again = await shop.ask("POST", "/api/suppliers/import", json=listed)  # as it was answered
        assert (again["put"], again["changed"]) == (2, 0)
        for wrong, words in {
            "": "There is no header row",
            "name\nSmith\n": "No column 'supplier'",
            "supplier,name,name\nS,a,b\n": "'name' stands there twice",
            "supplier,colour\nS,red\n": "'colour' is no column. Columns: supplier, name, contact",
        }.items():
            told = await shop.ask(
                "POST", "/api/suppliers/import", 400, data=wrong.encode(), headers=CSV
            )
            assert words in told["detail"]

    with_daemon(tmp_path, case)
