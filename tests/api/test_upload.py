"""``POST /api/events`` when bodies, senders or the corridor misbehave."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from edge.api.endpoint import Patience
from edge.api.upload import CHUNK_LINES, WINDOW_LINES
from edge.config import Api, Config, Ingest
from tests.api.contract import PROBLEM
from tests.api.fakes import Fake, fake_daemon

LINES = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}


def event(n: int) -> bytes:
    return b'{"type":"tag_read","epc":"%024X"}\n' % n


HURRIED = Patience(progress_s=0.5, body_s=0.5, full_s=0.01)
"""For what is never answered in time."""


def run(
    case: Callable[[Fake], Awaitable[None]],
    settings: Config | None = None,
    patience: Patience | None = None,
) -> None:
    async def main() -> None:
        async with fake_daemon(settings, patience) as fake, asyncio.timeout(300):
            await case(fake)

    asyncio.run(main())


async def send(fake: Fake, data: Any, headers: dict[str, str], **params: str) -> tuple[int, Any]:
    """(status, JSON of the answer)."""
    async with fake.client.post("/api/events", data=data, headers=headers, params=params) as got:
        assert got.content_type == ("application/json" if got.status < 300 else PROBLEM)
        return got.status, msgspec.json.decode(await got.read())


def slug(problem: Any) -> str:
    return str(problem["type"].rpartition(":")[2])


def test_a_message_says_where_it_came_from() -> None:
    async def case(fake: Fake) -> None:
        await send(fake, b'{"epc":"A1"}', JSON, type="tag_read", source="till-7")
        await send(fake, event(1), LINES)
        first, second = fake.corridor.submitted
        assert (first.topic, first.payload) == ("$http/tag_read/till-7", b'{"epc":"A1"}')
        assert second.topic == "$http/events/http"
        assert first.arrival_ms > 1_700_000_000_000

    run(case)


def test_a_large_upload_never_fills_the_corridor() -> None:
    async def case(fake: Fake) -> None:
        fake.corridor.limit = WINDOW_LINES + 1  # more than that in flight would be refused
        n = 3 * WINDOW_LINES + 17
        status, report = await send(fake, b"".join(map(event, range(n))), LINES)
        assert (status, report["accepted"], report["refused_count"]) == (200, n, 0)
        assert [m.payload for m in fake.corridor.submitted] == [event(i).strip() for i in range(n)]

    run(case)


def test_a_corridor_that_stands_still_is_given_no_more_than_the_window() -> None:
    async def case(fake: Fake) -> None:
        fake.corridor.applies = False
        status, problem = await send(fake, b"".join(map(event, range(3 * WINDOW_LINES))), LINES)
        assert (status, slug(problem)) == (503, "inbox-full")
        assert len(fake.corridor.submitted) == WINDOW_LINES
        assert problem["resume_line"] == WINDOW_LINES + 1

    run(case, patience=HURRIED)


def test_a_full_inbox_refuses_the_first_chunk_at_once() -> None:
    async def case(fake: Fake) -> None:
        fake.corridor.limit = 0
        async with fake.client.post("/api/events", data=event(1), headers=LINES) as got:
            problem = msgspec.json.decode(await got.read())
            assert (got.status, slug(problem), problem["resume_line"]) == (503, "inbox-full", 1)
            assert int(got.headers["Retry-After"]) >= 1

    run(case)


def test_an_inbox_that_is_full_for_a_moment_only_delays_an_upload() -> None:
    async def case(fake: Fake) -> None:
        submit = fake.corridor.submit
        calls = 0

        def sometimes(entries: Any) -> None:
            nonlocal calls
            calls += 1
            fake.corridor.refuses = int(calls in (2, 3))
            submit(entries)

        fake.corridor.submit = sometimes  # type: ignore[method-assign]
        n = 3 * CHUNK_LINES
        status, report = await send(fake, b"".join(map(event, range(n))), LINES)
        assert (status, report["accepted"], calls) == (200, n, 5)

    run(case)


def test_an_inbox_that_stays_full_says_where_to_resume() -> None:
    async def case(fake: Fake) -> None:
        submit = fake.corridor.submit

        def once(entries: Any) -> None:
            submit(entries)
            fake.corridor.limit = 0

        fake.corridor.submit = once  # type: ignore[method-assign]
        status, problem = await send(fake, b"".join(map(event, range(600))), LINES)
        assert (status, slug(problem)) == (503, "inbox-full")
        assert problem["resume_line"] == CHUNK_LINES + 1
        assert problem["report"]["accepted"] == CHUNK_LINES

    run(case, patience=HURRIED)


def test_what_is_durable_but_not_applied_in_time_is_a_202() -> None:
    async def case(fake: Fake) -> None:
        fake.corridor.applies = False
        status, report = await send(fake, event(1) + event(2), LINES)
        assert (status, report["pending"], report["accepted"]) == (202, 2, 0)

    run(case, patience=HURRIED)


async def buried(fake: Fake, many: int) -> list[str]:
    """Ids of so many dead letters, newest first."""
    lines = b"\n".join(b'{"type":"no_such_type","n":%d}' % n for n in range(many))
    await send(fake, lines, LINES)
    async with fake.client.get("/api/dead-letters") as answer:
        return [row["id"] for row in (await answer.json())["letters"]]


async def played(fake: Fake, path: str) -> tuple[int, Any]:
    """Status and body of a replay."""
    async with fake.client.post(f"/api/dead-letters/{path}") as answer:
        return answer.status, await answer.json(content_type=None)


def test_a_letter_on_its_way_into_the_journal_is_not_played_twice() -> None:
    async def case(fake: Fake) -> None:
        (id_,) = await buried(fake, 1)
        fake.corridor.commits = False
        assert (await played(fake, f"{id_}/replay"))[0] == 503  # no commit in time
        before = len(fake.corridor.submitted)
        status, problem = await played(fake, f"{id_}/replay")
        assert (status, slug(problem)) == (409, "in-play")
        status, told = await played(fake, "replay?reason=no_such_event")
        assert (status, told["replayed"]) == (200, 0)
        assert len(fake.corridor.submitted) == before

    run(case, patience=HURRIED)


def test_a_letter_that_did_not_get_in_may_be_played_again() -> None:
    async def case(fake: Fake) -> None:
        ids = await buried(fake, 3)
        fake.corridor.refuses = 2
        for path in (f"{ids[0]}/replay", "replay?reason=no_such_event"):
            status, problem = await played(fake, path)
            assert (status, slug(problem)) == (503, "inbox-full")
        assert (await played(fake, "replay?reason=no_such_event"))[1]["replayed"] == 3
        assert (await played(fake, f"{ids[0]}/replay"))[0] == 404

    run(case)


def test_whoever_asks_at_the_same_time_plays_a_letter_once() -> None:
    async def case(fake: Fake) -> None:
        (id_,) = await buried(fake, 1)
        before = len(fake.corridor.submitted)
        answers = await asyncio.gather(*(played(fake, f"{id_}/replay") for _ in range(8)))
        assert sorted(status for status, _ in answers)[0] == 200
        assert {status for status, _ in answers} <= {200, 404, 409}
        assert len(fake.corridor.submitted) == before + 1

    run(case)


def test_what_is_not_durable_in_time_is_never_called_accepted() -> None:
    async def case(fake: Fake) -> None:
        fake.corridor.commits = False
        status, problem = await send(fake, event(1), LINES)
        assert (status, slug(problem)) == (503, "not-durable")

    run(case, patience=HURRIED)


def test_a_body_beyond_the_limit_is_refused_before_it_is_sent() -> None:
    async def case(fake: Fake) -> None:
        status, problem = await send(fake, event(1) * 1_000, LINES)
        assert (status, slug(problem)) == (413, "body-too-large")
        assert fake.corridor.submitted == []

    run(case, Config(api=Api(body_max_bytes=1_000)))


def test_a_body_without_a_length_is_cut_at_the_limit_and_says_what_was_taken() -> None:
    async def body() -> AsyncIterator[bytes]:
        for n in range(100):
            yield event(n)

    async def case(fake: Fake) -> None:
        status, problem = await send(fake, body(), LINES)
        assert (status, slug(problem)) == (413, "body-too-large")
        taken = problem["report"]["accepted"]
        assert problem["resume_line"] == taken + 1
        assert len(fake.corridor.submitted) == taken < 100

    run(case, Config(api=Api(body_max_bytes=1_000)))


def test_a_json_body_is_bounded_like_one_payload() -> None:
    async def case(fake: Fake) -> None:
        body = b"[" + b",".join(event(n).strip() for n in range(100)) + b"]"
        status, problem = await send(fake, body, JSON)
        assert (status, slug(problem)) == (413, "body-too-large")
        assert "JSON lines" in problem["cure"]

    run(case, Config(ingest=Ingest(payload_max_bytes=1_000)))


def test_a_line_beyond_the_payload_limit_costs_nobody_else() -> None:
    async def case(fake: Fake) -> None:
        long = b'{"type":"tag_read","epc":"' + b"A" * 500_000 + b'"}\n'
        status, report = await send(fake, event(1) + long + event(2), LINES)
        assert (status, report["accepted"]) == (200, 2)
        assert [(r["line"], r["reason"]) for r in report["refused"]] == [(2, "too_long")]

    run(case, Config(ingest=Ingest(payload_max_bytes=1_000)))


def test_garbage_is_refused_line_by_line_and_the_report_is_bounded() -> None:
    async def case(fake: Fake) -> None:
        status, report = await send(fake, b"\xff\x00\n" * 5_000 + event(1), LINES)
        assert (status, report["accepted"], report["refused_count"]) == (200, 1, 5_000)
        assert len(report["refused"]) == 1_000
        assert report["outcomes"] == {"admitted": 1, "not_utf8": 5_000}

    run(case)


def test_a_body_that_is_no_json_is_a_problem() -> None:
    async def case(fake: Fake) -> None:
        for body in (b"", b"{", b'"\xff"', b"[{},"):
            status, problem = await send(fake, body, JSON)
            assert (status, slug(problem)) == (400, "bad-body"), body
        assert fake.corridor.submitted == []

    run(case)


def test_other_content_types_are_refused() -> None:
    async def case(fake: Fake) -> None:
        for media in ("text/plain", "application/xml", "application/octet-stream"):
            status, problem = await send(fake, event(1), {"Content-Type": media})
            assert (status, slug(problem)) == (415, "unsupported-media-type"), media
            assert "text/csv" in problem["cure"]

    run(case)


def test_a_csv_header_that_names_no_field_refuses_the_upload() -> None:
    async def case(fake: Fake) -> None:
        for body in (b"", b"epc,colour\nA1,red\n", b"epc\nA1\n"):
            kind = {} if body == b"epc\nA1\n" else {"type": "tag_read"}
            status, problem = await send(fake, body, CSV, **kind)
            assert (status, slug(problem)) == (400, "bad-header-row"), body
            assert problem["cure"]
        assert fake.corridor.submitted == []

    run(case)


def test_a_type_or_source_that_cannot_be_is_refused() -> None:
    async def case(fake: Fake) -> None:
        for params in ({"type": "dance"}, {"source": "a/b"}, {"source": "#"}, {"source": "a\nb"}):
            status, problem = await send(fake, event(1), LINES, **params)
            assert (status, slug(problem)) == (400, "bad-parameter"), params
            assert problem["parameter"] in params

    run(case)


def test_a_compressed_body_is_read_and_a_broken_one_is_a_problem() -> None:
    async def case(fake: Fake) -> None:
        packed = {**LINES, "Content-Encoding": "gzip"}
        status, report = await send(fake, gzip.compress(event(1) + event(2)), packed)
        assert (status, report["accepted"]) == (200, 2)
        whole = gzip.compress(event(1) + event(2))
        for broken in (b"this is not gzip", whole[:-9], whole[:5], whole + b"x", b""):
            status, problem = await send(fake, broken, packed)
            assert (status, slug(problem)) == (400, "incomplete-body"), broken
        status, problem = await send(fake, whole, {**LINES, "Content-Encoding": "br"})
        assert (status, slug(problem)) == (415, "unsupported-media-type")

    run(case)


def test_a_compressed_body_is_bounded_by_what_it_becomes() -> None:
    async def case(fake: Fake) -> None:
        bomb = gzip.compress(b" " * 5_000_000)
        assert len(bomb) < 10_000
        status, problem = await send(fake, bomb, {**LINES, "Content-Encoding": "gzip"})
        assert (status, slug(problem)) == (413, "body-too-large")

    run(case, Config(api=Api(body_max_bytes=1_000_000)))


def test_a_sender_that_stops_is_told_how_far_he_came() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield event(1) + event(2) + b'{"type":'
        await asyncio.sleep(2)

    async def case(fake: Fake) -> None:
        status, problem = await send(fake, body(), LINES)
        assert (status, slug(problem)) == (408, "slow-body")
        assert (problem["resume_line"], problem["report"]["accepted"]) == (3, 2)

    run(case, patience=HURRIED)


def test_the_loop_turns_while_a_large_upload_is_read() -> None:
    async def case(fake: Fake) -> None:
        body = b"".join(map(event, range(20_000)))
        upload = asyncio.create_task(send(fake, body, LINES))
        answered = 0
        while not upload.done():
            async with fake.client.get("/healthz") as got:
                assert got.status == 200
            answered += 1
        assert (await upload)[0] == 200
        assert answered > 5

    run(case)


def test_uploads_at_the_same_time_do_not_mix_their_reports() -> None:
    async def one(fake: Fake, n: int) -> None:
        body = b"{broken\n" * n + b"".join(event(1_000 * n + i) for i in range(50))
        status, report = await send(fake, body, LINES)
        assert (status, report["accepted"], report["refused_count"]) == (200, 50, n)

    async def case(fake: Fake) -> None:
        await asyncio.gather(*(one(fake, n) for n in range(10)))

    run(case)


def test_a_sender_that_hangs_up_leaves_the_server_well() -> None:
    async def case(fake: Fake) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(fake.url.rpartition(":")[2])
        )
        head = "POST /api/events HTTP/1.1\r\nHost: localhost\r\n"
        head += "Content-Type: application/x-ndjson\r\nContent-Length: 100000\r\n\r\n"
        writer.write(head.encode() + event(1))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert await reader.read() == b""
        async with fake.client.get("/healthz") as got:
            assert got.status == 200

    run(case)


def test_a_page_of_another_site_cannot_send_events() -> None:
    async def case(fake: Fake) -> None:
        for headers in ({"Origin": "https://a.example"}, {"Host": "a.example"}, {"Origin": "null"}):
            async with fake.client.post(
                "/api/dead-letters/replay?reason=x", headers=headers
            ) as got:
                assert got.status == 403, headers
                assert got.content_type == PROBLEM
        own = {**LINES, "Origin": fake.url}
        async with fake.client.post("/api/events", data=event(1), headers=own) as got:
            assert got.status == 200

    run(case)
