"""Jobs end, can be cancelled, are bounded, and tell only whom they may."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from edge.api import jobs
from edge.api.endpoint import Answer, Api, Call, Endpoint
from edge.api.jobs import Job, JobRow, Notify
from edge.api.problems import Problem
from edge.clock import SystemClock
from edge.config import Config
from edge.notify import guarded
from tests.api.tables import Table, served

DO = "/do"


def endpoint(work: Callable[[Job], Any]) -> Endpoint:
    def start(api: Api, call: Call[Any, Any]) -> Answer:
        return jobs.started(api.jobs.start("test", work, notify=call.body))

    return Endpoint("POST", DO, "do", "Do.", start, JobRow, "t", body=Notify)


async def start(table: Table, status: int = 202, **body: Any) -> Any:
    async with table.client.post(DO, json=body) as got:
        assert got.status == status, await got.text()
        return json.loads(await got.read())


async def until(table: Table, place: str, *states: str) -> Any:
    async with asyncio.timeout(60):
        while True:
            async with table.client.get(place) as got:
                row = await got.json()
            if row["state"] in states:
                return row
            await asyncio.sleep(0.01)


def run(work: Callable[[Job], Any], case: Callable[[Table], Any]) -> None:
    async def main() -> None:
        async with served(endpoint(work), *jobs.ENDPOINTS) as table:
            await case(table)

    asyncio.run(main())


def test_a_job_is_waited_for_at_its_place() -> None:
    def work(job: Job) -> Any:
        job.step(0.5, "half")
        assert threading.current_thread() is not threading.main_thread()
        return {"answer": 42}

    async def case(table: Table) -> None:
        row = await start(table)
        found = await until(table, row["place"], "done")
        assert (found["result"], found["progress"]) == ({"answer": 42}, 1.0)
        async with table.client.get("/api/jobs") as got:
            (listed,) = (await got.json())["jobs"]
        assert (listed["job"], listed["result_at"]) == (row["job"], row["place"])
        assert "result" not in listed  # it may be large
        assert row["result_at"] == ""  # it was not done then
        async with table.client.delete(row["place"]) as got:
            assert got.status == 200
        async with table.client.get(row["place"]) as got:
            assert got.status == 404

    run(work, case)


def test_a_job_at_work_or_waiting_is_cancelled() -> None:
    begun = threading.Event()

    def work(job: Job) -> Any:
        begun.set()
        while True:
            job.step(0.1)
            threading.Event().wait(0.005)

    async def case(table: Table) -> None:
        first, second = await start(table), await start(table)
        await asyncio.to_thread(begun.wait, 5)
        assert (await until(table, second["place"], "waiting"))["started_ms"] == 0
        for row in (second, first):
            async with table.client.delete(row["place"]) as got:
                assert got.status == 200
            await until(table, row["place"], "cancelled")

    run(work, case)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Problem("invalid", "no data"), "invalid: no data"),
        (KeyError("x"), "internal: KeyError: 'x'"),
    ],
)
def test_a_job_that_fails_says_why(error: Exception, told: str) -> None:
    def work(job: Job) -> Any:
        raise error

    async def case(table: Table) -> None:
        found = await until(table, (await start(table))["place"], "failed")
        assert found["error"] == told

    run(work, case)


def test_too_many_jobs_are_refused_and_few_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "KEPT_MAX", 2)
    gate = threading.Event()

    def work(job: Job) -> Any:
        return gate.wait(10)

    async def case(table: Table) -> None:
        rows = [await start(table) for _ in range(jobs.WAITING_MAX)]
        assert (await start(table, 503))["type"].endswith("too-many-jobs")
        gate.set()
        await until(table, rows[-1]["place"], "done")
        async with table.client.get("/api/jobs") as got:
            assert [r["job"] for r in (await got.json())["jobs"]] == [
                r["job"] for r in rows[:-3:-1]
            ]

    run(work, case)


def test_a_finished_job_tells_its_listener_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(guarded.post, "__defaults__", ((0.01, 0.01),))

    async def listen(request: web.Request) -> web.Response:
        heard.append({**await request.json(), "name": request.headers["Idempotency-Key"]})
        return web.Response(status=500 if len(heard) == 1 else 204)

    async def case(table: Table) -> None:
        listener = web.Application()
        listener.router.add_post("/done", listen)
        runner = web.AppRunner(listener)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        row = await start(table, url=f"http://127.0.0.1:{port}/done")
        async with asyncio.timeout(60):
            while (await until(table, row["place"], "done"))["notified"] == "":
                await asyncio.sleep(0.01)
        assert [h["name"] for h in heard] == [row["job"]] * 2
        assert (heard[1]["state"], heard[1]["result_at"]) == ("done", row["place"])
        await runner.cleanup()

    run(lambda job: 1, case)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/x",
        "http://8.8.8.8/",
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://[::ffff:8.8.8.8]/",
        "http://user:word@127.0.0.1/",
        "http://localhost:8099/api/events",
        "nonsense",
    ],
)
def test_no_listener_is_told_where_a_shop_has_no_business(url: str) -> None:
    async def case(table: Table) -> None:
        assert (await start(table, 422, url=url))["type"].endswith("invalid")

    run(lambda job: 1, case)


def test_a_name_is_judged_by_all_its_addresses_when_it_is_used() -> None:
    async def main() -> None:
        url = guarded.checked_url("http://localhost:1/", ())
        assert set(await guarded.resolved(url, ())) <= {"127.0.0.1", "::1"}
        outside = guarded.checked_url("http://8.8.8.8:1/", ("8.8.8.8",))
        assert await guarded.resolved(outside, ("8.8.8.8",)) == ["8.8.8.8"]
        with pytest.raises(guarded.ForbiddenAddressError, match="webhook_hosts"):
            await guarded.resolved(outside, ())

    asyncio.run(main())


def test_a_topic_needs_a_broker_and_no_wildcard() -> None:
    async def main() -> None:
        told: list[tuple[str, bytes]] = []

        async def publish(topic: str, body: bytes) -> None:
            told.append((topic, body))

        with pytest.raises(Problem, match="no broker"):
            jobs.Jobs(SystemClock(), []).start("x", lambda job: 1, notify=Notify(topic="a"))
        made = jobs.Jobs(SystemClock(), Config().api.webhook_hosts, publish=publish)
        with pytest.raises(Problem, match="wildcards"):
            made.start("x", lambda job: 1, notify=Notify(topic="a/#"))
        job = made.start("x", lambda job: 1, notify=Notify(topic="a/b"))
        async with asyncio.timeout(60):
            while not job.notified:
                await asyncio.sleep(0.005)
        assert [topic for topic, _ in told] == ["a/b"]
        await made.close()

    asyncio.run(main())
