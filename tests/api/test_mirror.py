"""The mirror in a real Redis, and the replica that reads it: the shop does not notice when it is away."""

import asyncio
import math
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import aiohttp
import msgspec
import pytest

from edge.api import replica as replica_module
from edge.api.app import serving
from edge.api.endpoint import Answer, Api, Endpoint
from edge.api.mirrored import _body
from edge.api.replica import replica
from edge.config import DecisionSettings, Redis
from edge.servers import Redis as Server
from edge.storage.mirror import Entry, Mirror, MirrorAwayError
from tests.api.shop import Shop, daemon
from tests.api.test_decisions import RESTOCK, proposed, until

SALES: list[dict[str, Any]] = [
    {"type": "pos_line", "document": f"D{i}", "kind": "sale", "sku": "chair", "quantity": 2}
    for i in range(5)
]
LIVE = DecisionSettings(dry_run=False)


def mirrored(server: Server) -> Redis:
    """Settings of a quick mirror."""
    return Redis(url=url_of(server), every_s=0.1)


def url_of(server: Server) -> str:
    """Its address."""
    return f"redis://{server.host}:{server.port}/0"


async def value(mirror: Mirror, key: str) -> Any:
    """A key's JSON; ``None``: there is no such key."""
    try:
        found = await mirror.get(key)
    except MirrorAwayError:  # a connection from before it went away
        return None
    return msgspec.json.decode(found[0]) if found else None


def test_a_forecast_stands_under_the_key_that_other_programs_read(
    tmp_path: Path, redis_server: Server
) -> None:
    async def main() -> None:
        mirror = Mirror(url_of(redis_server))
        async with daemon(tmp_path, redis=mirrored(redis_server)) as shop:
            await shop.events(*SALES)
            told = await until(lambda: value(mirror, "forecast:chair:main"))
            asked = (await shop.get("/api/predict/demand/chair"))["prediction"]
            assert (told["service"], told["key"], told["answers"]) == (
                "demand",
                "chair",
                asked["answers"],
            )
            found = await mirror.get("forecast:chair:main")
            assert found is not None
            assert 0 < found[1] <= 3_600
            kept: Any = shop.daemon.beside["mirror"]
            kept._forecasts["forecast:gone:main"] = (0, 0, math.inf)  # a class that is forgotten

            async def forgotten() -> bool:
                return kept._forecasts.keys() == {"forecast:chair:main"}

            await until(forgotten)
        await mirror.close()

    asyncio.run(main())


def test_an_alert_is_there_while_a_decision_waits_and_gone_afterwards(
    tmp_path: Path, redis_server: Server
) -> None:
    async def main() -> None:
        mirror = Mirror(url_of(redis_server))
        async with daemon(tmp_path, redis=mirrored(redis_server), decisions=LIVE) as shop:
            waiting = await proposed(shop, confidence=0.7)
            key = f"alert:active:decision-{waiting['id']}"
            assert (await until(lambda: value(mirror, key)))["target"] == "chair"
            await shop.ask("POST", f"/api/decisions/{waiting['id']}/reject", json={})

            async def gone() -> bool:
                return await mirror.get(key) is None

            await until(gone)
        await mirror.close()

    asyncio.run(main())


def test_the_shop_does_not_notice_that_redis_is_away_and_fills_it_when_it_is_back(
    tmp_path: Path, redis_server: Server
) -> None:
    async def main() -> None:
        mirror = Mirror(url_of(redis_server))
        async with daemon(tmp_path, redis=mirrored(redis_server), decisions=LIVE) as shop:
            await shop.events(*SALES)
            await until(lambda: value(mirror, "forecast:chair:main"))
            redis_server.kill()
            await until(lambda: degraded(shop))
            await shop.get("/readyz")  # 200: ready
            await shop.events({"type": "stock_count", "sku": "table", "quantity": 3})
            await shop.ask("POST", "/api/decisions", 201, json=RESTOCK)
            redis_server.start()  # empty, as it keeps nothing
            await until(lambda: value(mirror, "forecast:chair:main"))
            await until(lambda: value(mirror, "forecast:table:main"))

            async def well() -> bool:
                return not await degraded(shop)

            await until(well)
        await mirror.close()

    async def degraded(shop: Shop) -> bool:
        rows = (await shop.get("/healthz"))["dependencies"]
        return any(row["name"] == "redis" and row["degraded"] for row in rows)

    asyncio.run(main())


@pytest.mark.parametrize("fails", [False, True])
def test_a_cancellation_that_the_client_forgets_ends_whoever_asks_all_the_same(fails: bool) -> None:
    async def forgetful() -> list[Any]:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        if fails:
            raise ConnectionError("it went away")
        return []

    async def main() -> None:
        asking = asyncio.create_task(Mirror._tried(forgetful()))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(main())


@pytest.mark.parametrize("mark", [b"not JSON", b"[1]", b"\xff"])
def test_whatever_others_write_into_redis_the_shop_goes_on(
    tmp_path: Path, redis_server: Server, mark: bytes
) -> None:
    async def main() -> None:
        mirror = Mirror(url_of(redis_server))
        await mirror.put([Entry("rfid3:mirror", mark, 300)])
        await mirror._client.set(b"alert:active:\xff", b"somebody else's")
        await mirror.put([Entry("alert:active:old", b"{}", 300)])
        async with daemon(tmp_path, redis=mirrored(redis_server)) as shop:
            await shop.events(*SALES)
            await until(lambda: value(mirror, "forecast:chair:main"))
            assert [key for key, _ in await mirror.found("alert:active:*", 9)] == []
        await mirror.close()

    asyncio.run(main())


@pytest.mark.parametrize(("status", "body"), [(200, b'{"kpis":[]}'), (202, None)])
def test_a_promise_of_an_answer_is_not_mirrored_as_the_answer(
    status: int, body: bytes | None
) -> None:
    def handler(api: Any, call: Any) -> Answer:
        return Answer({"kpis": []}, status=status)

    endpoint = Endpoint("GET", "/api/kpis", "kpis", "Figures.", handler, dict, "t")
    assert asyncio.run(_body(cast(Api, None), endpoint)) == body


def test_a_replica_answers_like_the_daemon_says_how_old_it_is_and_refuses_the_rest(
    tmp_path: Path, redis_server: Server
) -> None:
    async def main() -> None:
        mirror = Mirror(url_of(redis_server))
        app = replica(mirror, 300, 3_600)
        async with (
            serving(app, "127.0.0.1:0") as bound,
            aiohttp.ClientSession(bound.url) as client,
        ):
            assert await asked(client, "/readyz") == (503, "urn:rfid3:problem:stale")
            async with daemon(tmp_path, redis=mirrored(redis_server), decisions=LIVE) as shop:
                await shop.events(*SALES)
                made = await proposed(shop, confidence=0.7)

                async def there() -> bool:
                    async with client.get("/api/decisions") as got:
                        rows = (await got.json(content_type=None)).get("decisions", [])
                        return [row["id"] for row in rows] == [made["id"]]

                await until(there)
                await until(lambda: value(mirror, "forecast:chair:main"))
            # the daemon is gone; what it said is still there for a while
            async with client.get("/api/predict/demand/chair?store=main") as got:
                assert got.status == 200
                assert int(got.headers["Age"]) < 300
                assert (await got.json())["key"] == "chair"
            async with client.get("/api/alerts/active") as got:
                assert [row["id"] for row in (await got.json())["alerts"]] == [made["id"]]
            assert (await asked(client, "/api/items"))[0] == 404
            assert (await asked(client, "/api/predict/demand/none?store=main"))[0] == 404
            assert (await asked(client, "/api/predict/demand/chair"))[0] == 400
            async with client.post("/api/decisions") as got:
                assert got.status == 405
            redis_server.kill()
            await asyncio.sleep(0.11)  # what this process remembers for 100 ms is over
            assert await asked(client, "/api/decisions") == (503, "urn:rfid3:problem:redis-away")
        await mirror.close()

    async def asked(client: aiohttp.ClientSession, path: str) -> tuple[int, str]:
        async with client.get(path) as got:
            body = await got.json(content_type=None)
            return got.status, body.get("type", "")

    asyncio.run(main())


@pytest.mark.parametrize(("life_s", "hits"), [(60.0, 2), (0.0, 0)])
def test_what_one_process_asks_again_while_it_remembers_redis_is_asked_once(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch, life_s: float, hits: int
) -> None:
    monkeypatch.setattr(replica_module, "L1_S", life_s)

    async def main() -> None:
        mirror = Mirror(url_of(redis_server))
        await mirror.put([Entry("answer:/api/kpis", b"{}", 300)])
        app = replica(mirror, 300, 3_600)
        async with (
            serving(app, "127.0.0.1:0") as bound,
            aiohttp.ClientSession(bound.url) as client,
        ):
            for _ in range(3):
                async with client.get("/api/kpis") as got:
                    assert got.status == 200
            async with client.get("/api/stats") as got:
                told = Counter(await got.json())
            assert (told["l1_hit"], told["l1_miss"], told["l2_hit"]) == (hits, 3 - hits, 3 - hits)
        await mirror.close()

    asyncio.run(main())
