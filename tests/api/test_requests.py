"""What every endpoint has in common: checks of the request, problems, HEAD, gzip, ETags."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import msgspec
import pytest

from edge.api.app import server, serving
from edge.api.paging import cursor, position
from edge.api.problems import Problem
from edge.api.table import ENDPOINTS
from edge.clock import SystemClock
from edge.config import Config
from edge.errors import ConfigError
from edge.view_types import Dependency, ItemDetail, Metric
from tests.api.contract import PROBLEM, scan
from tests.api.fakes import (
    Fake,
    MemoryCorridor,
    MemoryShop,
    MemoryTables,
    MemoryView,
    fake_daemon,
)


def run(case: Callable[[Fake], Awaitable[None]]) -> None:
    async def main() -> None:
        async with fake_daemon() as fake, asyncio.timeout(300):
            await case(fake)

    asyncio.run(main())


async def refused(fake: Fake, path: str, **arguments: Any) -> tuple[int, Any]:
    """(status, problem) of a GET that must fail."""
    async with fake.client.get(path, **arguments) as got:
        assert got.content_type == PROBLEM, path
        problem = msgspec.json.decode(await got.read())
        assert problem["status"] == got.status
        assert all(problem[member] for member in ("instance", "title", "cure"))
        return got.status, problem


BAD_QUERIES = {
    "/api/items?colour=red": ("unknown-parameter", "colour"),
    "/api/items?Zone=hall": ("unknown-parameter", "Zone"),
    "/healthz?x=1": ("unknown-parameter", "x"),
    "/api/items?limit=0": ("bad-parameter", "limit"),
    "/api/items?limit=1001": ("bad-parameter", "limit"),
    "/api/items?limit=99999999999999999999999": ("bad-parameter", "limit"),
    "/api/items?limit=-5": ("bad-parameter", "limit"),
    "/api/items?limit=ten": ("bad-parameter", "limit"),
    "/api/items?limit=": ("bad-parameter", "limit"),
    "/api/items?limit=1.5": ("bad-parameter", "limit"),
    "/api/items?zone=": ("bad-parameter", "zone"),
    "/api/items?zone=a&zone=b": ("bad-parameter", "zone"),
    "/api/items?zone=a%00b": ("bad-parameter", "zone"),
    "/api/items?zone=" + "a" * 256: ("bad-parameter", "zone"),
    "/api/items/A1?events=201": ("bad-parameter", "events"),
    "/api/classes/A1?days=401": ("bad-parameter", "days"),
    "/api/items?cursor=zzz": ("bad-cursor", None),
    "/api/items?cursor=%F0%9F%98%80": ("bad-cursor", None),
    "/api/items?cursor=" + cursor("classes", (None, None), 5): ("bad-cursor", None),
    "/api/items?zone=hall&cursor=" + cursor("items", (None, None, None), 5): ("bad-cursor", None),
    "/api/items?cursor=" + cursor("items", (None, None, None), -5): ("bad-cursor", None),
    "/api/dead-letters?cursor=" + cursor("dead-letters", (None,), 5): ("bad-cursor", None),
}


@pytest.mark.parametrize(("path", "wanted"), BAD_QUERIES.items())
def test_a_wrong_parameter_is_refused_by_name(path: str, wanted: tuple[str, str | None]) -> None:
    async def case(fake: Fake) -> None:
        status, problem = await refused(fake, path)
        assert (status, problem["type"]) == (400, f"urn:rfid3:problem:{wanted[0]}")
        assert problem.get("parameter") == wanted[1]
        if wanted[1]:
            assert wanted[1] in problem["detail"]

    run(case)


@pytest.mark.parametrize(
    "path",
    [
        "/api/items/a%00b",
        "/api/items/a%0Ab",
        "/api/items/%7F",
        "/api/items/" + "a" * 256,
        "/api/items/" + "a" * 250,
        "/api/items/%20",
        "/api/dead-letters/x",
        "/api/dead-letters/-1",
        "/api/dead-letters/1.2.3",
        "/api/dead-letters/" + "9" * 30,
    ],
)
def test_a_wrong_path_is_refused(path: str) -> None:
    async def case(fake: Fake) -> None:
        status, problem = await refused(fake, path)
        assert (status, problem["type"]) == (400, "urn:rfid3:problem:bad-path")

    run(case)


def test_a_path_that_is_no_endpoint_is_a_problem() -> None:
    async def case(fake: Fake) -> None:
        for path in ("/api", "/api/items/", "/api/%FF", "/api/items/a/b", "/favicon.ico"):
            status, _ = await refused(fake, path)
            assert status == 404, path

    run(case)


def test_a_method_that_is_not_offered_is_refused_with_those_that_are() -> None:
    async def case(fake: Fake) -> None:
        for method, path, allowed in (
            ("DELETE", "/api/items", {"GET", "HEAD"}),
            ("GET", "/api/events", {"POST"}),
            ("OPTIONS", "/api/events", {"POST"}),
        ):
            async with fake.client.request(method, path) as got:
                assert (got.status, got.content_type) == (405, PROBLEM)
                assert set(got.headers["Allow"].split(",")) == allowed
                assert not [name for name in got.headers if name.startswith("Access-Control")]

    run(case)


def plain_paths() -> Iterator[str]:
    """Paths of all GET endpoints that need no variable part."""
    return (e.path for e in ENDPOINTS if e.method == "GET" and "{" not in e.path)


def test_head_answers_like_get_without_a_body() -> None:
    async def case(fake: Fake) -> None:
        async with fake.client.post("/api/events", json=[scan(n) for n in range(100)]) as got:
            assert got.status == 200
        for path in (*plain_paths(), "/api/items/NONE"):
            async with fake.client.get(path) as whole:
                await whole.read()
            async with fake.client.head(path) as head:
                assert (head.status, await head.read()) == (whole.status, b""), path
                for name in ("Content-Type", "ETag", "Content-Encoding", "Cache-Control"):
                    assert head.headers.get(name) == whole.headers.get(name), (path, name)

    run(case)


def test_large_bodies_are_sent_as_gzip_where_the_client_takes_it() -> None:
    async def case(fake: Fake) -> None:
        async with fake.client.post("/api/events", json=[scan(n) for n in range(250)]) as got:
            assert got.status == 200
        async with aiohttp.ClientSession(fake.url, auto_decompress=False) as client:
            bodies: dict[int, bytes] = {}
            for limit, wanted, encoding in (
                (1, "gzip", None),
                (50, "gzip, br", "gzip"),
                (250, "gzip", "gzip"),
                (250, "gzip;q=0", None),
                (250, "identity", None),
            ):
                headers = {"Accept-Encoding": wanted}
                async with client.get(f"/api/items?limit={limit}", headers=headers) as got:
                    body = await got.read()
                    assert got.headers.get("Content-Encoding") == encoding, (limit, wanted)
                    assert got.headers["Vary"] == "Accept-Encoding"
                    plain = gzip.decompress(body) if encoding else body
                    assert bodies.setdefault(limit, plain) == plain

    run(case)


def test_a_304_is_decided_before_anything_is_built() -> None:
    async def case(fake: Fake) -> None:
        async with fake.client.post("/api/events", json=scan(1)) as got:
            assert got.status == 200
        epc = scan(1)["epc"]
        tagged = [e.path for e in ENDPOINTS if e.tag and "{" not in e.path] + [f"/api/items/{epc}"]
        tags = {}
        for path in tagged:
            async with fake.client.get(path) as got:
                tags[path] = got.headers["ETag"]
                assert got.headers["Cache-Control"] == "no-cache"
        # Nothing can be built any more; what did not change is still a 304.
        fake.shop.items = fake.shop.classes = fake.shop.readers = fake.shop.letters = None  # type: ignore[assignment]
        for path, tag in tags.items():
            for header in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
                async with fake.client.get(path, headers={"If-None-Match": header}) as got:
                    assert (got.status, await got.read()) == (304, b""), (path, header)
                    assert got.headers["ETag"] == tag
        async with fake.client.get("/api/items", headers={"If-None-Match": '"other"'}) as got:
            assert got.status == 500

    run(case)


def test_an_items_tag_changes_only_with_the_item() -> None:
    async def case(fake: Fake) -> None:
        async def tag(n: int) -> str:
            async with fake.client.get(f"/api/items/{scan(n)['epc']}") as got:
                return got.headers["ETag"]

        for n in (1, 2):
            await (await fake.client.post("/api/events", json=scan(n))).read()
        before = await tag(1), await tag(2)
        await (await fake.client.post("/api/events", json=scan(2, contract="C-other"))).read()
        after = await tag(1), await tag(2)
        assert after[0] == before[0]
        assert after[1] != before[1]

    run(case)


def test_an_items_tag_changes_again_when_its_story_has_caught_up() -> None:
    class SlowTables(MemoryTables):
        written = 0

        @property
        def revision(self) -> int:
            return self.written

    async def main() -> None:
        shop = MemoryShop()
        tables = SlowTables(shop)
        app = server(MemoryView(shop), MemoryCorridor(shop), tables, Config(), SystemClock())
        async with serving(app, "127.0.0.1:0") as bound, aiohttp.ClientSession(bound.url) as client:
            shop.items["A1"] = ItemDetail(epc="A1")
            shop.changed["A1"] = 10
            tags = []
            for written in (8, 9, 10, 11, 50):
                tables.written = written
                async with client.get("/api/items/A1") as got:
                    tags.append(got.headers["ETag"])
            assert len(set(tags[:3])) == 3
            assert len(set(tags[2:])) == 1

    asyncio.run(main())


def test_a_tag_of_another_run_of_the_daemon_never_matches() -> None:
    async def main() -> None:
        tags = []
        for _ in range(2):
            async with fake_daemon() as fake, fake.client.get("/api/items") as got:
                tags.append(got.headers["ETag"])
        assert tags[0] != tags[1]

    asyncio.run(main())


def test_a_mistake_of_ours_is_a_problem_and_the_next_request_is_served() -> None:
    async def case(fake: Fake) -> None:
        items, fake.shop.items = fake.shop.items, None  # type: ignore[assignment]
        status, problem = await refused(fake, "/api/items")
        assert (status, problem["type"]) == (500, "urn:rfid3:problem:internal")
        fake.shop.items = items
        async with fake.client.get("/api/items") as got:
            assert got.status == 200

    run(case)


def test_a_plain_client_of_http_1_0_is_served() -> None:
    async def case(fake: Fake) -> None:
        port = int(fake.url.rpartition(":")[2])
        for request, wanted in (
            (b"GET /healthz HTTP/1.0\r\n\r\n", b" 200 "),
            (b"GET /healthz HTTP/1.0\r\nHost: \r\n\r\n", b" 403 "),
            (b"GET /healthz HTTP/1.0\r\nHost: [::1]:80\r\n\r\n", b" 200 "),
            (b"GET /healthz HTTP/1.0\r\nHost: [::1\r\n\r\n", b" 403 "),
            (b"no HTTP at all\r\n\r\n", b" 400 "),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            assert wanted in await reader.readline(), request
            writer.close()

    run(case)


def test_not_ready_names_every_dependency_that_is_not_ok() -> None:
    async def case(fake: Fake) -> None:
        fake.corridor.dependencies = [
            Dependency("journal", False, detail="the disk is full", cure="Make room."),
            Dependency("mqtt", True, True, detail="reconnecting"),
        ]
        status, problem = await refused(fake, "/readyz")
        assert (status, problem["detail"]) == (503, "journal: the disk is full")
        assert problem["cure"] == "Make room."
        assert [row["name"] for row in problem["dependencies"]] == ["journal", "mqtt"]
        async with fake.client.get("/healthz") as got:
            assert (got.status, (await got.json())["status"]) == (200, "not ready")
        fake.corridor.dependencies = fake.corridor.dependencies[1:]
        async with fake.client.get("/readyz") as got:
            assert (got.status, (await got.json())["status"]) == (200, "degraded")

    run(case)


def test_metrics_are_prometheus_text() -> None:
    async def case(fake: Fake) -> None:
        await (await fake.client.get("/api/items")).read()
        await (await fake.client.get("/api/nothing")).read()
        await (await fake.client.post("/api/events", json=[scan(1), {"type": "x"}])).read()
        async with fake.client.get("/metrics") as got:
            assert got.headers["Content-Type"].startswith("text/plain")
            lines = (await got.text()).splitlines()
        for line in (
            "# TYPE rfid3_events_total counter",
            'rfid3_events_total{outcome="admitted"} 1.0',
            "# TYPE rfid3_items gauge",
            "rfid3_items 1.0",
            'rfid3_http_requests_total{endpoint="/api/items",status="200"} 1.0',
            'rfid3_http_requests_total{endpoint="none",status="404"} 1.0',
            'rfid3_http_events_total{outcome="no_such_event"} 1.0',
        ):
            assert line in lines, line
        assert any(line.startswith("process_resident_memory_bytes") for line in lines)
        assert sum(line == "# TYPE rfid3_events_total counter" for line in lines) == 1

    run(case)


def test_a_sample_with_odd_labels_is_escaped() -> None:
    async def case(fake: Fake) -> None:
        odd = Metric("rfid3_odd", 1.0, "Odd.", "gauge", {"reader": 'a"b\\c\nd'})
        MemoryView.metrics, metrics = lambda self: [odd], MemoryView.metrics  # type: ignore[method-assign]
        try:
            async with fake.client.get("/metrics") as got:
                assert 'rfid3_odd{reader="a\\"b\\\\c\\nd"} 1.0' in await got.text()
        finally:
            MemoryView.metrics = metrics  # type: ignore[method-assign]

    run(case)


@pytest.mark.parametrize(
    "bind", ["0.0.0.0:0", "10.0.0.1:80", "[::]:0", "8099", "127.0.0.1:x", "localhost:70000"]
)
def test_only_loopback_can_be_bound(bind: str) -> None:
    async def main() -> None:
        shop = MemoryShop()
        app = server(
            MemoryView(shop), MemoryCorridor(shop), MemoryTables(shop), Config(), SystemClock()
        )
        async with serving(app, bind):
            pass

    with pytest.raises(ConfigError, match=r"api\.bind"):
        asyncio.run(main())


def test_a_cursor_survives_the_trip() -> None:
    for place in (0, 1, 2**31, 2**61):
        text = cursor("items", ("hall", None), place)
        assert position(text, "items", ("hall", None), (0,)) == (place,)
        with pytest.raises(Problem):
            position(text, "items", ("hall", "x"), (0,))
