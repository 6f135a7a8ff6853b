"""What anybody outside may rely on, in HTTP alone: runs before the fake and the real daemon.

``CASES`` are coroutine functions that take a client of a fresh, empty daemon (``mqtt.enabled``
may be false), with a base URL. Run each with its own daemon: ``run(case, open_client)``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import msgspec

Client = aiohttp.ClientSession
Case = Callable[[Client], Awaitable[None]]
OpenClient = Callable[[], AbstractAsyncContextManager[Client]]

EPC = "E28011606000020A6681F2{:02X}"
PROBLEM = "application/problem+json"


def run(case: Case, open_client: OpenClient) -> None:
    """Run one case with a client of its own."""

    async def main() -> None:
        async with open_client() as client, asyncio.timeout(300):
            await case(client)

    asyncio.run(main())


async def get(client: Client, path: str, **params: Any) -> Any:
    """The JSON of a GET that must answer 200."""
    async with client.get(path, params=params) as answer:
        body = await answer.read()
        assert answer.status == 200, (path, answer.status, body)
        return msgspec.json.decode(body)


async def post(client: Client, path: str, status: int = 200, **arguments: Any) -> Any:
    """The JSON of a POST that must answer ``status``."""
    async with client.post(path, **arguments) as answer:
        body = await answer.read()
        assert answer.status == status, (path, answer.status, body)
        return msgspec.json.decode(body)


async def until(client: Client, path: str, wanted: Callable[[Any], bool], **params: Any) -> Any:
    """Poll ``path`` until its JSON is as wanted; a minute at most."""
    async with asyncio.timeout(60):
        while True:
            found = await get(client, path, **params)
            if wanted(found):
                return found
            await asyncio.sleep(0.01)


def scan(n: int, **fields: Any) -> dict[str, Any]:
    """A rental scan of item ``n``."""
    return {
        "type": "item_scan",
        "epc": EPC.format(n),
        "scan_type": "Rental",
        "contract": f"C-{n}",
        "sku": "TENT-20",
        **fields,
    }


async def an_event_that_was_posted_can_be_seen(client: Client) -> None:
    report = await post(client, "/api/events", json=scan(1))
    assert (report["accepted"], report["refused"]) == (1, [])
    shown = await get(client, f"/api/items/{EPC.format(1)}")
    assert shown["item"]["status"] == "On Rent"
    assert shown["item"]["contract"] == "C-1"
    assert shown["item"]["sku"] == "TENT-20"
    path = f"/api/items/{EPC.format(1)}"
    told = await until(client, path, lambda found: found["events"] != [])
    assert told["events"][0]["kind"] == "item_scan"


async def an_item_is_found_by_its_identity_in_any_spelling(client: Client) -> None:
    await post(client, "/api/events", json=scan(1))
    spelled = "-".join(EPC.format(1).lower()[i : i + 4] for i in range(0, 24, 4))
    assert (await get(client, f"/api/items/{spelled}"))["item"]["epc"] == EPC.format(1)


async def items_are_filtered_by_class_and_status(client: Client) -> None:
    events = [scan(1), scan(2, sku="CHAIR"), scan(3, scan_type="Return", contract="")]
    await post(client, "/api/events", json=events)
    tents = await get(client, "/api/items", sku="TENT-20")
    assert {row["epc"] for row in tents["items"]} == {EPC.format(1), EPC.format(3)}
    out = await get(client, "/api/items", status=" on rent")
    assert {row["epc"] for row in out["items"]} == {EPC.format(1), EPC.format(2)}
    assert (await get(client, "/api/items", zone="nowhere"))["items"] == []


async def pages_show_every_item_once(client: Client) -> None:
    await post(client, "/api/events", json=[scan(n) for n in range(23)])
    shown: list[str] = []
    params: dict[str, Any] = {"limit": 5, "sku": "TENT-20"}
    while True:
        page = await get(client, "/api/items", **params)
        assert len(page["items"]) <= 5
        shown += [row["epc"] for row in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert sorted(shown) == sorted(EPC.format(n) for n in range(23))


async def polling_costs_a_304_until_something_changes(client: Client) -> None:
    await post(client, "/api/events", json=scan(1))
    for path in ("/api/items", f"/api/items/{EPC.format(1)}"):
        await until(client, path, lambda found: True)
    async with client.get("/api/items") as first:
        tag = first.headers["ETag"]
    async with client.get("/api/items", headers={"If-None-Match": tag}) as second:
        # A daemon whose beats change nothing visible must say so.
        assert (second.status, await second.read()) == (304, b"")
    await post(client, "/api/events", json=scan(2))
    async with client.get("/api/items", headers={"If-None-Match": tag}) as third:
        assert third.status == 200
        assert third.headers["ETag"] != tag


async def a_bad_line_costs_nobody_else(client: Client) -> None:
    lines = [
        msgspec.json.encode(scan(1)),
        b"{broken",
        msgspec.json.encode({"type": "item_scan", "epc": EPC.format(9)}),
        b'["not an object"]',
        b"",
        msgspec.json.encode(scan(2)),
    ]
    headers = {"Content-Type": "application/x-ndjson"}
    report = await post(client, "/api/events", data=b"\n".join(lines), headers=headers)
    assert report["accepted"] == 2
    assert [row["line"] for row in report["refused"]] == [2, 3, 4]
    assert report["refused"][0]["reason"] == "not_json"
    assert report["refused"][2]["reason"] == "not_an_object"
    assert all(row["detail"] for row in report["refused"])
    assert len((await get(client, "/api/items"))["items"]) == 2


async def a_misspelt_field_is_told_and_the_event_counts(client: Client) -> None:
    lines = [
        msgspec.json.encode(scan(1)),
        msgspec.json.encode(scan(2, contrat="C-2", Grade="A")),
        b'{"type":"item_scan","contrat":"C-3"}',
    ]
    headers = {"Content-Type": "application/x-ndjson"}
    report = await post(client, "/api/events", data=b"\n".join(lines), headers=headers)
    assert (report["accepted"], report["refused_count"], report["warnings_count"]) == (2, 1, 3)
    assert [row["line"] for row in report["warnings"]] == [2, 2, 3]
    told = "unknown field 'contrat' was ignored; did you mean 'contract'?"
    assert report["warnings"][0]["detail"] == report["warnings"][2]["detail"] == told
    assert "'grade'" in report["warnings"][1]["detail"]
    foreign = {"idHex": EPC.format(3), "antenna": 1, "timestamp": "2026-01-01T00:00:00Z"}
    assert (await post(client, "/api/events", json=foreign))["warnings"] == []


async def a_body_sent_again_under_its_name_counts_once(client: Client) -> None:
    # a receipt without line numbers, and goods received without a time: nothing tells a repeat
    line = {"type": "pos_line", "document": "R-1", "kind": "sale", "sku": "TENT-20", "name": "T"}
    body = msgspec.json.encode([line, line, {"type": "stock_receipt", "sku": "S", "quantity": 2}])

    async def sent(name: str) -> tuple[int, int]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": name}
        report = await post(client, "/api/events", data=body, headers=headers)
        return report["accepted"], report["repeated"]

    assert await sent("day-1") == (3, 0)
    assert await sent("day-1") == (0, 3)
    assert await sent("day-2") == (3, 0)
    own_id = msgspec.json.encode(scan(1, id="x"))
    for name, accepted in (("day-3", 1), ("day-4", 0)):  # an id of its own is what counts
        headers = {"Content-Type": "application/json", "Idempotency-Key": name}
        report = await post(client, "/api/events", data=own_id, headers=headers)
        assert report["accepted"] == accepted
    bad = {"Content-Type": "application/json", "Idempotency-Key": "x" * 65}
    problem = await post(client, "/api/events", 400, data=body, headers=bad)
    assert problem["type"].endswith(":bad-header")


async def a_csv_upload_names_native_fields(client: Client) -> None:
    rows = (
        "epc,scan_type,contract,defects,at\r\n"
        f"{EPC.format(1)},Rental,C-9,oil;mold,1700000000000\r\n"
        f"{EPC.format(2)},Return,,,2023-11-14T22:13:20Z\r\n"
        f"{EPC.format(3)},Dance,C-9,,\r\n"
    )
    headers = {"Content-Type": "text/csv"}
    params = {"type": "item_scan", "source": "upload"}
    report = await post(client, "/api/events", data=rows.encode(), headers=headers, params=params)
    assert (report["accepted"], [row["line"] for row in report["refused"]]) == (2, [4])
    shown = await get(client, f"/api/items/{EPC.format(1)}")
    assert shown["item"]["contract"] == "C-9"


async def the_same_event_id_twice_counts_once(client: Client) -> None:
    event = scan(1, id="till-7-0001", source="till-7", at=1_700_000_000_000)
    assert (await post(client, "/api/events", json=event))["accepted"] == 1
    report = await post(client, "/api/events", json=event)
    assert (report["accepted"], report["repeated"], report["refused_count"]) == (0, 1, 0)


async def what_cannot_be_read_becomes_a_dead_letter_and_can_be_played_again(
    client: Client,
) -> None:
    bad = {"type": "no_such_type", "n": 1}
    report = await post(client, "/api/events", json=bad)
    listed = await until(client, "/api/dead-letters", lambda found: found["letters"] != [])
    letter = listed["letters"][0]
    told = report["refused"][0]
    assert (told["reason"], told["detail"]) == (letter["reason"], letter["detail"])
    whole = await get(client, f"/api/dead-letters/{letter['id']}")
    assert msgspec.json.decode(whole["payload_text"]) == bad
    again = await post(client, f"/api/dead-letters/{letter['id']}/replay")
    assert again["replayed"] == 1
    assert again["report"]["refused_count"] == 1
    # It failed again: one letter, a new one.
    listed = await until(
        client,
        "/api/dead-letters",
        lambda found: [row["id"] for row in found["letters"]] not in ([], [letter["id"]]),
    )
    assert len(listed["letters"]) == 1
    assert listed["letters"][0]["arrival_ms"] == letter["arrival_ms"]


async def dead_letters_of_one_reason_are_played_again_together(client: Client) -> None:
    bad = [{"type": "no_such_type", "n": n} for n in range(5)]
    await post(client, "/api/events", json=bad)
    listed = await until(client, "/api/dead-letters", lambda found: len(found["letters"]) == 5)
    reason = listed["letters"][0]["reason"]
    again = await post(client, "/api/dead-letters/replay", params={"reason": reason})
    assert (again["replayed"], again["report"]["refused_count"]) == (5, 5)
    other = await post(client, "/api/dead-letters/replay", params={"reason": "no such reason"})
    assert other["replayed"] == 0


async def dead_letters_come_in_pages_newest_first(client: Client) -> None:
    bad = [{"type": "no_such_type", "n": n} for n in range(5)]
    await post(client, "/api/events", json=bad)
    await until(client, "/api/dead-letters", lambda found: len(found["letters"]) == 5)
    first = await get(client, "/api/dead-letters", limit=3)
    rest = await get(client, "/api/dead-letters", limit=3, cursor=first["next_cursor"])
    texts = [row["payload_start"] for row in first["letters"] + rest["letters"]]
    assert [msgspec.json.decode(text)["n"] for text in texts] == [4, 3, 2, 1, 0]
    assert rest["next_cursor"] is None
    assert (await get(client, "/api/dead-letters", reason="other"))["letters"] == []


async def polling_dead_letters_and_gaps_misses_none(client: Client) -> None:
    bad = {"type": "no_such_type"}
    down = {"type": "reader_status", "reader": "r1", "status": "offline", "source": "r1"}
    for path, event in (("/api/dead-letters", bad), ("/api/gaps", down)):
        async with client.get(path) as first:
            tag, empty = first.headers["ETag"], await first.read()
        await post(client, "/api/events", json=event)
        async with client.get(path, headers={"If-None-Match": tag}) as second:
            assert second.status == 200, path
            assert await second.read() != empty, path


async def a_class_is_shown_with_its_history(client: Client) -> None:
    line = {
        "type": "pos_line",
        "document": "R-1",
        "line": 1,
        "kind": "sale",
        "sku": "CUP/4 blue",
        "quantity": 3,
        "name": "Cup",
        "category": "Tableware",
    }
    await post(client, "/api/events", json=line)
    rows = await get(client, "/api/classes", category="Tableware")
    assert [row["sku"] for row in rows["classes"]] == ["CUP/4 blue"]
    shown = await get(client, "/api/classes/CUP%2F4%20blue", days=7)
    found = shown["class"]
    assert found["name"] == "Cup"
    assert all(
        len(c) == len(found["history"]["days"]) for c in found["history"]["columns"].values()
    )


async def a_tag_nobody_knows_waits_to_be_linked(client: Client) -> None:
    await post(client, "/api/events", json={"type": "tag_read", "epc": EPC.format(1)})
    tags = await get(client, "/api/unknown-tags")
    assert [row["epc"] for row in tags["tags"]] == [EPC.format(1)]
    await post(client, "/api/events", json=scan(1))
    assert (await get(client, "/api/unknown-tags"))["tags"] == []


async def a_readers_outage_is_a_gap(client: Client) -> None:
    down = {"type": "reader_status", "reader": "r1", "status": "offline", "source": "r1"}
    await post(client, "/api/events", json=down)
    assert [row["name"] for row in (await get(client, "/api/readers"))["readers"]] == ["r1"]
    gaps = await until(client, "/api/gaps", lambda found: found["gaps"] != [], reader="r1")
    assert (gaps["gaps"][0]["reader"], gaps["gaps"][0]["to_ms"]) == ("r1", 0)


async def every_outcome_is_counted(client: Client) -> None:
    report = await post(client, "/api/events", json=[scan(1), {"type": "no_such_type"}])
    refusal = report["refused"][0]["reason"]
    stats = await get(client, "/api/stats")
    assert stats["stats"]["http_events"] == {"admitted": 1, refusal: 1}
    performance = await get(client, "/api/predictive/health/performance-metrics")
    assert performance["seconds_mean"]["/api/events"] > 0
    async with client.get("/metrics") as answer:
        text = (await answer.read()).decode()
    assert 'rfid3_http_events_total{outcome="admitted"} 1.0' in text


async def the_daemon_says_how_it_is(client: Client) -> None:
    assert (await get(client, "/healthz"))["status"] in ("ok", "degraded")
    ready = await get(client, "/readyz")
    names = [row["name"] for row in ready["dependencies"]]
    assert "journal" in names
    assert len(set(names)) == len(names)


async def an_answer_says_as_of_when_it_stands_and_does_not_call_that_now(client: Client) -> None:
    before_ms = time.time_ns() // 1_000_000
    await post(client, "/api/events", json=scan(1))
    for path in ("/healthz", "/readyz", "/api/stats", "/api/items", "/api/zones", "/api/readers"):
        shown = await get(client, path)
        assert before_ms <= shown["as_of_ms"] <= time.time_ns() // 1_000_000, path
        assert "now_ms" not in shown, path


async def every_list_answers_on_an_empty_daemon(client: Client) -> None:
    index = await get(client, "/")
    paths = [row["path"] for row in index["endpoints"] if row["method"] == "GET"]
    for path in paths:
        if "{" not in path and path != "/metrics":
            async with client.get(path) as answer:
                told = (await answer.text()) if answer.status != 200 else ""
                assert not told or "is needed, as in ?" in told, (path, told)


async def what_is_not_there_is_a_problem(client: Client) -> None:
    for path in ("/api/items/NONE", "/api/classes/NONE", "/api/dead-letters/77", "/api/nothing"):
        async with client.get(path) as answer:
            assert (answer.status, answer.content_type) == (404, PROBLEM), path
            assert (await answer.json(content_type=PROBLEM))["cure"]


CASES: tuple[Case, ...] = (
    an_event_that_was_posted_can_be_seen,
    an_item_is_found_by_its_identity_in_any_spelling,
    items_are_filtered_by_class_and_status,
    pages_show_every_item_once,
    polling_costs_a_304_until_something_changes,
    a_bad_line_costs_nobody_else,
    a_misspelt_field_is_told_and_the_event_counts,
    a_body_sent_again_under_its_name_counts_once,
    a_csv_upload_names_native_fields,
    the_same_event_id_twice_counts_once,
    what_cannot_be_read_becomes_a_dead_letter_and_can_be_played_again,
    dead_letters_of_one_reason_are_played_again_together,
    dead_letters_come_in_pages_newest_first,
    polling_dead_letters_and_gaps_misses_none,
    a_class_is_shown_with_its_history,
    a_tag_nobody_knows_waits_to_be_linked,
    a_readers_outage_is_a_gap,
    every_outcome_is_counted,
    the_daemon_says_how_it_is,
    an_answer_says_as_of_when_it_stands_and_does_not_call_that_now,
    every_list_answers_on_an_empty_daemon,
    what_is_not_there_is_a_problem,
)
