"""The catalogue through the real daemon: put, changed, dropped, read from files and written to them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from edge.__main__ import main
from edge.api import catalogue, catalogue_text
from tests.api.shop import Shop, daemon

PLACE = "/api/catalogue/classes"
RFID3 = (
    " rental_class_id, category, subcategory, short_common_name, created_at\n"
    "61885,Round Linen,120 Inch,120 WHT,2025-08-31\n"
    "61886,Round Linen,120 Inch,120 BLK,2025-08-31\n"
)


def run(tmp_path: Path, case: Any) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            await case(shop)

    asyncio.run(main())


def test_a_class_is_put_changed_shown_and_dropped(tmp_path: Path) -> None:
    async def case(shop: Shop) -> None:
        body = {"name": "Cup", "category": "Cups", "price_cents": 120, "attributes": {"ml": 300}}
        made = (await shop.ask("PUT", f"{PLACE}/CUP", json=body))["result"]
        assert {name: made[name] for name in body} == body
        assert (made["sku"], made["offered_for"], made["active"]) == ("CUP", "rental", True)
        changed = await shop.ask("PATCH", f"{PLACE}/CUP", json={"price_cents": 150})
        assert changed["result"]["name"] == "Cup"
        assert changed["result"]["created_ms"] == made["created_ms"]
        put = (await shop.ask("PUT", f"{PLACE}/CUP", json={"price_cents": 150}))["result"]
        assert put["name"] == ""
        shown = await shop.get(f"{PLACE}/CUP")
        assert (shown["row"], shown["basis"]["kind"]) == (put, "counted")
        await shop.ask("DELETE", f"{PLACE}/CUP")
        assert (await shop.get(f"{PLACE}/CUP", 404))["type"].endswith(":unknown")
        for method in ("DELETE", "PATCH"):
            got = await shop.ask(method, f"{PLACE}/CUP", 404, json={})
            assert got["type"].endswith(":unknown")

    run(tmp_path, case)


def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    async def put(shop: Shop) -> None:
        await shop.ask("PUT", "/api/catalogue/stores/north", json={"city": "X", "latitude": 47.5})

    async def look(shop: Shop) -> None:
        assert (await shop.get("/api/catalogue/stores/north"))["row"]["latitude"] == 47.5

    run(tmp_path, put)
    run(tmp_path, look)


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"prize_cents": 1}, "unknown-field"),
        ({"price_cents": -1}, "bad-field"),
        ({"price_cents": "1"}, "bad-field"),
        ({"offered_for": "both?"}, "bad-field"),
        ({"created_ms": 1}, "unknown-field"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(
    tmp_path: Path, body: dict[str, Any], slug: str
) -> None:
    async def case(shop: Shop) -> None:
        got = await shop.ask("PUT", f"{PLACE}/CUP", 422, json=body)
        assert got["type"].endswith(slug)
        assert (await shop.get(PLACE))["classes"] == []

    run(tmp_path, case)


def test_a_category_is_kept_while_classes_name_it(tmp_path: Path) -> None:
    async def case(shop: Shop) -> None:
        await shop.ask("PUT", "/api/catalogue/categories/Cups", json={"crew": "Kitchen"})
        await shop.ask("PUT", f"{PLACE}/CUP", json={"category": "Cups"})
        assert (await shop.get("/api/catalogue/categories/Cups"))["classes"] == 1
        refused = await shop.ask("DELETE", "/api/catalogue/categories/Cups", 409)
        assert "CUP" in refused["detail"]
        await shop.ask("DELETE", f"{PLACE}/CUP")
        await shop.ask("DELETE", "/api/catalogue/categories/Cups")

    run(tmp_path, case)


async def send(
    shop: Shop, text: str, status: int = 200, kind: str = "classes", **query: Any
) -> Any:
    headers = {"Content-Type": "text/csv"}
    url = f"/api/catalogue/{kind}/import"
    return await shop.ask("POST", url, status, data=text.encode(), headers=headers, params=query)


def test_rfid3s_rental_classes_are_read_with_spaces_before_their_names(tmp_path: Path) -> None:
    async def case(shop: Shop) -> None:
        tried = await send(shop, RFID3, dry_run="true")
        assert (tried["rows"], tried["put"]) == (2, 0)
        report = await send(shop, RFID3)
        assert (report["put"], report["new"], report["refused"]) == (2, 2, [])
        row = (await shop.get(f"{PLACE}/61885"))["row"]
        told = (row["category"], row["subcategory"], row["short_name"])
        assert told == ("Round Linen", "120 Inch", "120 WHT")
        again = await send(shop, RFID3)
        assert (again["put"], again["changed"]) == (2, 0)
        named = await send(shop, "rental_class_num,common_name,current_price\n61885,Linen,$4.50\n")
        assert named["changed"] == 1
        row = (await shop.get(f"{PLACE}/61885"))["row"]
        assert (row["name"], row["price_cents"], row["category"]) == ("Linen", 450, "Round Linen")
        found = await shop.get(PLACE, search="LIN")
        assert [one["sku"] for one in found["classes"]] == ["61885"]

    run(tmp_path, case)


def test_rows_that_cannot_be_used_are_refused_by_their_line(tmp_path: Path) -> None:
    async def case(shop: Shop) -> None:
        text = "sku,price_cents,active\nA,10,yes\n,10,yes\nB,ten,no\nC,-1,no\nD,1\nE,1,maybe\n"
        report = await send(shop, text)
        assert (report["rows"], report["put"], report["refused_count"]) == (6, 1, 5)
        lines = {row["line"]: row["detail"] for row in report["refused"]}
        assert set(lines) == {3, 4, 5, 6, 7}
        assert "price_cents is -1" in lines[5]
        good = await send(shop, text.replace("C,-1", "C,1"))
        assert (good["put"], good["refused_count"]) == (2, 4)
        assert not (await shop.get(f"{PLACE}/C"))["row"]["active"]
        for text in ("name\nx\n", "sku,colour\nA,red\n", "sku,sku\nA,A\n", ""):
            wrong = await send(shop, text, 400)
            assert wrong["type"].endswith("bad-header-row"), text
            assert "docs/api-catalogue.md" in wrong["cure"]
        twice = await send(shop, "rental_class_id,rental_class_num\n1,A\n", 400)
        assert "rental_class_id and rental_class_num both speak of 'sku'" in twice["detail"]

    run(tmp_path, case)


def test_an_export_can_be_imported_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "CHUNK_ROWS", 7)
    rows = [
        {"sku": f"S{i:02}", "name": f"=evil({i})", "price_cents": i, "attributes": {"n": i}}
        for i in range(20)
    ]

    async def case(shop: Shop) -> None:
        url = f"{PLACE}/import"
        report = await shop.ask("POST", url, json=rows, headers={"Idempotency-Key": "file"})
        assert (report["put"], report["new"]) == (20, 20)
        async with shop.client.get(PLACE, params={"format": "csv", "limit": 1000}) as got:
            text = await got.text()
        assert "'=evil(3)" in text
        before = (await shop.get(PLACE))["classes"]
        assert (await send(shop, text))["changed"] == 0
        for row in rows:
            await shop.ask("DELETE", f"{PLACE}/{row['sku']}")
        assert (await send(shop, text, mode="replace"))["new"] == 20
        after = (await shop.get(PLACE))["classes"]
        moments = ("created_ms", "updated_ms")
        assert [{k: v for k, v in row.items() if k not in moments} for row in after] == [
            {k: v for k, v in row.items() if k not in moments} for row in before
        ]
        whole = await shop.get(PLACE)
        again = await shop.ask("POST", url, json=whole)  # our own answer as a file
        assert (again["rows"], again["changed"]) == (20, 0)

    run(tmp_path, case)


def test_every_spelling_leads_to_a_field_there_is() -> None:
    for kind, spellings in catalogue_text.SPELLINGS.items():
        assert set(spellings.values()) <= set(catalogue_text.ROWS[kind].__struct_fields__)
    assert set(catalogue_text.MONEY.values()) <= set(catalogue_text.ROWS["class"].__struct_fields__)


def test_the_command_line_exports_what_it_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.csv").write_text(RFID3 + "bad\n")
    rows = "".join(f"S{i:04},{i}\n" for i in range(1_200))
    (tmp_path / "many.csv").write_text("sku,price_cents\n" + rows)

    async def case(shop: Shop) -> None:
        assert shop.daemon.bound is not None
        url = shop.daemon.bound.url

        async def rfid3(*words: str) -> int:
            return await asyncio.to_thread(main, ["catalogue", *words, "--api", url])

        assert await rfid3("import", "classes", str(tmp_path / "in.csv")) == 1
        assert "line 4: 1 cells" in capsys.readouterr().out
        assert await rfid3("import", "classes", str(tmp_path / "many.csv")) == 0
        assert "1200 rows: 1200 are in the catalogue (1200 new" in capsys.readouterr().out
        for name in ("out.csv", "out.json"):
            assert await rfid3("export", "classes", str(tmp_path / name)) == 0
        lines = (tmp_path / "out.csv").read_text().splitlines()
        assert (len(lines), lines[0][:8], lines[-1][:6]) == (1_203, "sku,name", "S1199,")
        assert len(json.loads((tmp_path / "out.json").read_text())) == 1_202
        assert await rfid3("import", "classes", str(tmp_path / "out.json"), "--replace") == 0
        assert "(0 new, 0 changed)" in capsys.readouterr().out
        assert await rfid3("import", "classes", str(tmp_path / "none.csv")) == 2

    run(tmp_path / "var", case)
