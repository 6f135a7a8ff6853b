"""Demand through the real daemon: forecasts add up, today sharpens, kept forecasts are judged."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.api.table import ENDPOINTS
from edge.broker import Broker
from edge.config import Mqtt
from tests.api.shop import Shop
from tests.api.weeks import calendar_shop, line, lived

UNITS = {"CUP": 6, "MUG": 3, "TENT": 2}
CATEGORY = {"CUP": "Cups", "MUG": "Cups", "TENT": "Tents"}


def sold(sku: str, day: int) -> float:
    """Twice as much on Saturdays."""
    return UNITS[sku] * (2 if day % 7 == 5 else 1)


def day_of(day: int) -> Iterator[dict[str, Any]]:
    for sku in UNITS:
        yield line(f"R{day}-{sku}", sku, sold(sku, day), category=CATEGORY[sku])


async def with_weeks(tmp_path: Path, case: Any, days: int = 42) -> None:
    async with calendar_shop(tmp_path) as (shop, clock):
        await lived(shop, clock, range(days), day_of)
        clock.set(clock.now_ms() + 14 * 3_600_000)  # 02:00 on the day after
        await shop.events(line("X", "CUP", 1.0))
        await case(shop, clock)


def test_a_forecast_adds_up_over_classes_days_and_parts(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        path = "/api/predictive/demand/forecast"
        whole = await shop.get(path, weeks=2, store="all")
        cups, tents = [await shop.get(path, weeks=2, category=c) for c in ("cups", "Tents")]
        assert (whole["classes"], cups["classes"], tents["classes"]) == (3, 2, 1)
        assert whole["unknown"] == 0
        assert whole["basis"]["fallback"], whole["basis"]
        for i, day in enumerate(whole["days"]):
            parts = [cups["days"][i]["units"], tents["days"][i]["units"]]
            assert day["units"] == pytest.approx(sum(parts), abs=1e-3)
            told = day["trend"] + day["season"] + day["holiday"] + day["influence"]
            assert day["units"] == pytest.approx(told, abs=1e-3)
            assert day["low"] <= day["units"] <= day["high"]
        for week in range(2):
            seven = sum(day["units"] for day in whole["days"][7 * week : 7 * week + 7])
            assert whole["weeks"][week]["units"] == pytest.approx(seven, abs=1e-3)
        assert whole["weeks"][0]["units"] == pytest.approx(11 * 8, rel=0.05)
        assert max(range(7), key=whole["season"]["weekday"].__getitem__) == 5  # Saturday
        async with shop.client.get(path, params={"weeks": 1, "format": "csv"}) as got:
            rows = (await got.text()).splitlines()
        assert (rows[0][:20], len(rows)) == ("day,units,low,high,t", 8)
        sku = await shop.get(path, sku="TENT", store="main", weeks=1)
        assert sku["weeks"][0]["units"] == pytest.approx(tents["weeks"][0]["units"], abs=1e-3)

    asyncio.run(with_weeks(tmp_path, case))


def test_a_class_or_parameter_that_is_not_there_is_refused(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        path = "/api/predictive/demand/forecast"
        assert (await shop.get(path, 404, sku="NONE"))["type"].endswith("unknown-class")
        assert (await shop.get(path, 400, weeks=14))["parameter"] == "weeks"
        assert (await shop.get(path, 400, week=4))["parameter"] == "week"
        none = await shop.get(path, category="None")
        assert none["classes"] == 0
        assert none["why_empty"] == "No class is of category 'None'; there are Cups, Tents."
        none = await shop.get(path, store="moon")
        assert none["why_empty"] == "No store is called 'moon'; there are main."
        assert (await shop.get(path))["why_empty"] == ""
        cure = (await shop.get(path, 404, sku="CUP", store="moon"))["cure"]
        assert "It is known in main" in cure

    asyncio.run(with_weeks(tmp_path, case, days=3))


def test_today_is_expected_to_end_higher_when_more_goes_out(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Any) -> None:
        path = "/api/predictive/demand/forecast"
        morning = (await shop.get(path, sku="CUP"))["nowcast"]
        assert morning["so_far"] == 1.0
        clock.set(clock.now_ms() + 11 * 3_600_000)  # 13:00
        await shop.events(line("Y", "CUP", 20.0))
        noon = (await shop.get(path, sku="CUP"))["nowcast"]
        assert noon["so_far"] == 21.0
        assert noon["share"] > morning["share"]
        assert noon["units"] > noon["so_far"]
        assert noon["units"] > morning["units"] + 10
        assert noon["low"] <= noon["units"] <= noon["high"]
        assert noon["forecast"] == morning["forecast"]

    asyncio.run(with_weeks(tmp_path, case))


def test_weather_that_moved_demand_is_found_and_counts_where_it_is_known_ahead(
    tmp_path: Path,
) -> None:
    def rainy(day: int) -> Iterator[dict[str, Any]]:
        rain = day % 3 == 0
        yield {"type": "factor", "factor": "events", "name": "fair", "value": 1.0 if rain else 0.0}
        yield line(f"R{day}", "CUP", 20.0 if rain else 10.0)

    async def main() -> None:
        async with calendar_shop(tmp_path) as (shop, clock):
            await lived(shop, clock, range(42), rainy)
            clock.set(clock.now_ms() + 14 * 3_600_000)
            now_ms = clock.now_ms()
            fair = {"type": "factor", "factor": "events", "name": "fair", "value": 1.0}
            await shop.events({**fair, "until": now_ms + 2 * 86_400_000})
            found = await shop.get("/api/predictive/demand/forecast", sku="CUP")
            (row,) = found["season"]["influences"]
            assert row["factor"] == "events.fair"
            assert row["known_ahead"]
            assert row["ratio"] == pytest.approx(0.75, abs=0.2)
            assert found["days"][1]["influence"] > 2
            assert found["days"][5]["influence"] == 0

    asyncio.run(main())


def test_a_forecast_is_kept_changed_and_dropped(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        body = {"product_ids": ["CUP", "NONE", "TENT"], "forecast_horizon": 10, "maximum": 7.0}
        key = {"Idempotency-Key": "f1"}
        made = await shop.ask("POST", "/api/forecasts", 201, json=body, headers=key)
        result = made["result"]
        assert (result["status"], len(result["forecasts"])) == ("partial", 2)
        (none,) = result["without"]
        assert (none["sku"], none["state"]) == ("NONE", "unknown_class")
        assert "look it up" in none["reason"]
        cups = result["forecasts"][0]
        assert (cups["sku"], len(cups["predictions"])) == ("CUP", 10)
        assert max(day["demand"] for day in cups["predictions"]) == 7.0  # Saturdays want 12
        assert cups["model_used"] == "rule"
        again = await shop.ask("POST", "/api/forecasts", 201, json=body, headers=key)
        assert again["result"]["forecast_id"] == result["forecast_id"]
        path = f"/api/forecasts/{result['forecast_id']}"
        shown = await shop.get(path)
        assert shown["forecasts"] == result["forecasts"]
        listed = await shop.get("/api/forecasts", sku="CUP")
        assert [row["id"] for row in listed["forecasts"]] == [result["forecast_id"]]
        of_cups = await shop.get("/api/forecasts/product/CUP")
        assert of_cups["forecasts"] == [cups]
        other = {"product_ids": ["MUG"], "forecast_horizon": 5, "include_confidence": False}
        changed = await shop.ask("PUT", path, json=other)
        assert changed["result"]["forecast"]["created_ms"] == result["forecast"]["created_ms"]
        assert changed["result"]["forecasts"][0]["predictions"][0]["lower_bound"] is None
        assert (await shop.get("/api/forecasts/product/CUP"))["forecasts"] == []
        await shop.ask("DELETE", path)
        assert (await shop.get(path, 404))["type"].endswith(":unknown")
        assert (await shop.ask("DELETE", path, 404))["type"].endswith(":unknown")
        assert (await shop.ask("PUT", path, 404, json=other))["type"].endswith(":unknown")

    asyncio.run(with_weeks(tmp_path, case))


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"product_ids": []}, "bad-field"),
        ({"product_ids": ["CUP"], "horizon": 3}, "unknown-field"),
        ({"product_ids": ["CUP"], "minimum": 5, "maximum": 1}, "invalid"),
        ({"product_ids": ["CUP"], "model": "prophet"}, "invalid"),
        ({"product_ids": ["CUP"], "forecast_horizon": 92}, "bad-field"),
    ],
)
def test_a_forecast_that_makes_no_sense_is_refused(
    body: dict[str, Any], slug: str, tmp_path: Path
) -> None:
    async def case(shop: Shop, _: Any) -> None:
        assert (await shop.ask("POST", "/api/forecasts", 422, json=body))["type"].endswith(slug)
        assert (await shop.get("/api/forecasts"))["forecasts"] == []

    asyncio.run(with_weeks(tmp_path, case, days=2))


def test_bounds_hold_means_totals_and_intervals_and_say_where(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        async def made(**bounds: float) -> Any:
            body = {"product_ids": ["CUP"], "forecast_horizon": 14, **bounds}
            answer = await shop.ask("POST", "/api/forecasts", 201, json=body)
            return answer["result"]["forecasts"][0]

        free, low, high, both = (
            await made(), await made(minimum=9.5), await made(maximum=5.0),
            await made(minimum=7.12345, maximum=8.0),
        )  # fmt: skip
        assert (free["bounded_days"], {day["bound"] for day in free["predictions"]}) == (0, {""})
        saturdays = [i for i, day in enumerate(free["predictions"]) if day["demand"] > 9.5]
        assert len(saturdays) == 2
        for i, day in enumerate(low["predictions"]):
            assert day["demand"] == max(free["predictions"][i]["demand"], 9.5)
            assert day["lower_bound"] >= 9.5
            assert day["bound"] == ("" if i in saturdays else "minimum")
        assert low["bounded_days"] == 12
        assert low["total_units"] > free["total_units"] > high["total_units"]
        assert high["total_units"] == 14 * 5.0
        assert all(day["upper_bound"] <= 5.0 for day in high["predictions"])
        assert {day["bound"] for day in high["predictions"]} == {"maximum"}
        assert {day["bound"] for day in both["predictions"]} == {"minimum", "maximum"}
        assert both["bounded_days"] == 14

    asyncio.run(with_weeks(tmp_path, case))


def test_a_forecast_says_days_as_dates_and_only_confidence_that_was_measured(
    tmp_path: Path,
) -> None:
    async def case(shop: Shop, clock: Any) -> None:
        body = {"product_ids": ["CUP"], "forecast_horizon": 10}
        result = (await shop.ask("POST", "/api/forecasts", 201, json=body))["result"]
        first = result["forecasts"][0]["predictions"][0]
        assert result["forecast"]["first_day"] == first["date"]
        assert result["forecast"]["last_day"] == result["forecasts"][0]["predictions"][-1]["date"]
        (row,) = (await shop.get("/api/forecasts"))["forecasts"]
        assert row == result["forecast"]
        assert (first["interval_level"], first["confidence"]) == (0.8, None)
        product = result["forecasts"][0]
        assert (product["confidence"], product["accuracy"]) == (None, None)

    asyncio.run(with_weeks(tmp_path, case))


def test_a_forecast_without_any_number_is_not_told_as_done(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        body = {"product_ids": ["CUP", "MUG"], "minimum": 3.0}
        result = (await shop.ask("POST", "/api/forecasts", 201, json=body))["result"]
        assert result["status"] == "empty"
        assert [one["state"] for one in result["without"]] == ["no_numbers", "no_numbers"]
        assert "no closed day" in result["without"][0]["reason"]
        product = result["forecasts"][0]
        assert (product["state"], product["total_units"]) == ("no_numbers", None)
        assert product["model_used"] == ""
        assert result["forecast"]["total_units"] is None
        assert {day["demand"] for day in product["predictions"]} == {None}
        listed = await shop.get("/api/forecasts?status=empty")
        assert [row["id"] for row in listed["forecasts"]] == [result["forecast_id"]]
        told = await shop.get("/api/predictive/demand/forecast")
        assert "no day of theirs has closed" in told["why_empty"]
        wrong = {"product_ids": ["CUPP"]}
        told = await shop.ask("POST", "/api/forecasts", 404, json=wrong)
        assert "Similar ones are CUP" in told["cure"]
        many = {"product_ids": ["A", "B"]}
        assert "A, B" in (await shop.ask("POST", "/api/forecasts", 404, json=many))["detail"]
        store = {"store": "moon"}
        assert "main" in (await shop.ask("POST", "/api/forecasts/bulk", 404, json=store))["cure"]
        await shop.ask("PUT", "/api/catalogue/classes/LAMP", json={"name": "Lamp"})
        told = await shop.ask("POST", "/api/forecasts", 404, json={"product_ids": ["LAMP"]})
        assert "first sale" in told["cure"]

    async def main() -> None:
        async with calendar_shop(tmp_path) as (shop, _):
            assert "POST /api/forecasts" in (await shop.get("/api/forecasts"))["why_empty"]
            await shop.events({"type": "stock_count", "sku": "CUP", "quantity": 3},
                              {"type": "stock_count", "sku": "MUG", "quantity": 3})  # fmt: skip
            await case(shop, None)

    asyncio.run(main())


def test_kept_forecasts_are_held_against_what_came(tmp_path: Path) -> None:
    async def case(shop: Shop, clock: Any) -> None:
        body = {"product_ids": ["CUP", "TENT"], "forecast_horizon": 5}
        await shop.ask("POST", "/api/forecasts", 201, json=body)
        assert (await shop.get("/api/forecasts/accuracy"))["forecasts"] == []
        await lived(shop, clock, range(42, 45), day_of)
        found = await shop.get("/api/forecasts/accuracy")
        rows = {row["sku"]: row for row in found["forecasts"]}
        assert {row["days"] for row in rows.values()} == {2}
        assert rows["TENT"]["actual"] == 4.0
        assert rows["TENT"]["accuracy"] > 0.8
        assert rows["CUP"]["actual"] == 13.0  # and the one at two in the morning
        assert 0.7 < found["accuracy"] <= 1.0
        assert found["days"] == 4

    asyncio.run(with_weeks(tmp_path, case))


def test_many_classes_are_a_job(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        body = {"category": "Cups", "forecast_horizon": 7, "name": "week"}
        job = await shop.ask("POST", "/api/forecasts/bulk", 202, json=body)
        async with asyncio.timeout(60):
            while job["state"] not in ("done", "failed"):
                job = await shop.get(job["place"])
        assert job["state"] == "done", job
        assert (job["result"]["classes"], job["result"]["without"]) == (2, 0)
        (id_,) = job["result"]["forecasts"]
        assert (await shop.get(f"/api/forecasts/{id_}"))["forecast"]["name"] == "week"
        wrong = {"category": "None"}
        assert (await shop.ask("POST", "/api/forecasts/bulk", 404, json=wrong))["status"] == 404

    asyncio.run(with_weeks(tmp_path, case, days=14))


def test_the_list_of_forecasts_comes_as_csv(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        for sku in UNITS:
            body = {"product_ids": [sku], "name": f"={sku}"}
            await shop.ask("POST", "/api/forecasts", 201, json=body)
        url = "/api/forecasts?limit=2&sort=name&order=asc"
        async with shop.client.get(url, headers={"Accept": "text/csv"}) as got:
            rows = (await got.text()).splitlines()
            assert rows[0].startswith("id,name,store,")
            assert [row.split(",")[1] for row in rows[1:]] == ["'=CUP", "'=MUG"]
            url = str(got.links["next"]["url"])
        async with shop.client.get(url, headers={"Accept": "text/csv"}) as got:
            assert [r.split(",")[1] for r in (await got.text()).splitlines()[1:]] == ["'=TENT"]

    asyncio.run(with_weeks(tmp_path, case, days=2))


def test_a_finished_job_tells_a_topic(tmp_path: Path, broker: Broker) -> None:
    async def main() -> None:
        mqtt = Mqtt(host=broker.host, port=broker.port)
        where = ("-h", broker.host, "-p", str(broker.port), "-t", "shop/done", "-C", "1")
        hears = await asyncio.create_subprocess_exec(
            *("stdbuf", "-oL", "mosquitto_sub", *where, "-W", "20", "-d"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert hears.stdout is not None
        while b"SUBACK" not in await hears.stdout.readline():
            pass
        async with calendar_shop(tmp_path, mqtt=mqtt) as (shop, clock):
            await lived(shop, clock, range(3), day_of)
            async with asyncio.timeout(60):
                while not (await shop.get("/healthz"))["dependencies"][2]["ok"]:
                    await asyncio.sleep(0.02)
            body = {"category": "Cups", "notify": {"topic": "shop/done"}}
            job = await shop.ask("POST", "/api/forecasts/bulk", 202, json=body)
            heard = b""
            while job["job"].encode() not in heard or not heard.startswith(b"{"):
                heard = await hears.stdout.readline()
                assert heard
            told = msgspec.json.decode(heard)
            assert (told["job"], told["state"], told["place"]) == (job["job"], "done", job["place"])
            async with asyncio.timeout(60):
                while (await shop.get(job["place"]))["notified"] != "told":
                    await asyncio.sleep(0.02)
        await hears.wait()

    asyncio.run(main())


def test_a_filter_that_nothing_has_is_named_wherever_it_is_asked(tmp_path: Path) -> None:
    async def case(shop: Shop, _: Any) -> None:
        told = {
            "/api/items?zone=moon": "No zone is called 'moon'",
            "/api/items?status=nonsense": "No item was ever 'nonsense'",
            "/api/items?sku=CUPP": "similar ones are CUP",
            "/api/classes?store=moon": "No store is called 'moon'; there are main.",
            "/api/classes?category=cup": "No class is of category 'cup'; there are Cups, Tents.",
            "/api/inventory?category=cup": "No class is of category 'cup'; there are Cups, Tents.",
            "/api/decisions?store=moon": "No store is called 'moon'",
            "/api/gaps?reader=nobody": "No reader is called 'nobody'; there are none yet.",
            "/api/gaps": "nothing is wrong",
            "/api/dead-letters?reason=nonsense": "No dead letter was 'nonsense'",
            "/api/dead-letters": "nothing waits",
            "/api/movements": "Nothing came, moved or went",
            "/api/unknown-tags": "Every tag that was seen is linked",
            "/api/kpis?store=moon": "No store is called 'moon'; there are main.",
            "/api/kpis?name=nonsense": "begins with 'nonsense'; there are ",
            "/api/contracts?store=moon": "No store is called 'moon'; there are main.",
            "/api/contracts": "Nothing was rented yet",
            "/api/correlations": "POST /api/correlations/look",
            "/api/correlations?sku=CUPP": "similar ones are CUP",
            "/api/jobs": "POST /api/forecasts/bulk",
            "/api/forecasts/product/CUPP": "Similar ones are CUP",
            "/api/forecasts/product/CUP": "No kept forecast holds this class",
            "/api/forecasts/accuracy": "No forecast is kept yet",
            "/api/catalogue/classes": "The catalogue holds no class yet: put one there",
        }
        for path, words in told.items():
            assert words in (await shop.get(path))["why_empty"], path
        listed = {
            "/api/decisions?status=nonsense": "proposed, pending",
            "/api/predictive/models/version-history?state=nonsense": "candidate, shadow",
            "/api/predictive/models/version-history?service=nonsense": "demand",
        }
        for path, known in listed.items():
            assert known in (await shop.ask("GET", path, 400))["detail"], path

    asyncio.run(with_weeks(tmp_path, case, days=2))


def test_every_filter_of_every_list_is_answered_whatever_it_names(tmp_path: Path) -> None:
    """No list is quietly empty: the filter is refused, or named."""

    async def case(shop: Shop, _: Any) -> None:
        quiet = []
        for endpoint in ENDPOINTS:
            if endpoint.method != "GET" or "{" in endpoint.path or not endpoint.rows:
                continue
            fields = {field.name for field in msgspec.structs.fields(endpoint.answer)}
            for name in ("store", "category", "status", "service", "kind"):
                if name not in endpoint.query.__struct_encode_fields__:
                    continue
                url = f"{endpoint.path}?{name}=nonsense"
                async with shop.client.get(url) as got:
                    told = await got.json()
                    named = "nonsense" in str(told.get("why_empty", "")) + str(told.get("detail"))
                    if got.status not in (200, 400, 404) or ("why_empty" in fields and not named):
                        quiet.append((url, got.status, told))
        assert not quiet

    asyncio.run(with_weeks(tmp_path, case, days=2))
