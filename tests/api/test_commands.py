"""A command is answered once it is decided, promised once it is durable, and refused by its reason."""

import asyncio
import json
from typing import Any

import pytest

from edge.api import commands
from edge.api.endpoint import Answer, Api, Call, Endpoint
from edge.commands import TOPIC, Command
from tests.api.tables import ScriptedCorridor, served


class Rename(Command, tag="rename"):
    to: str = ""


async def rename(api: Api, call: Call[Any, Any]) -> Answer:
    return await commands.command(api, call, Rename(to="x"), created=True)


RENAME = Endpoint("POST", "/rename", "rename", "Rename.", rename, commands.CommandAnswer, "t")
TABLE = (RENAME, *commands.ENDPOINTS)


async def ask(corridor: ScriptedCorridor, **headers: str) -> tuple[int, Any, Any]:
    """(status, body, what is told of the command afterwards)."""
    async with served(*TABLE, corridor=corridor) as table:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with table.client.post("/rename", headers=sent) as got:
            body = json.loads(await got.read())
            place = got.headers.get("Location") or f"/api/commands/{body.get('command')}"
        corridor.catch_up()
        async with table.client.get(place) as later:
            return got.status, body, json.loads(await later.read())


def test_what_is_decided_within_two_beats_is_told_at_once() -> None:
    corridor = ScriptedCorridor(outcome=("done", '{"name":"x"}'))
    status, body, later = asyncio.run(ask(corridor, Idempotency_Key="k1"))
    assert (status, body["state"], body["result"]) == (201, "done", {"name": "x"})
    (message,) = corridor.taken
    assert message.topic == TOPIC
    assert json.loads(message.payload) == {"do": "rename", "to": "x", "key": "k1"}
    assert (later["state"], later["result"], later["what"]) == ("done", {"name": "x"}, "rename")


def test_what_is_durable_but_not_decided_is_promised_with_a_place_to_look() -> None:
    corridor = ScriptedCorridor(outcome=("done", "1"), apply_s=None)
    status, body, later = asyncio.run(ask(corridor))
    assert (status, body["state"], body["result"]) == (202, "durable", None)
    assert (later["state"], later["result"]) == ("done", 1)


@pytest.mark.parametrize(
    ("code", "status"),
    [("unknown", 404), ("conflict", 409), ("invalid", 422), ("limit", 422), ("forbidden", 403)],
)
def test_a_refusal_is_a_problem_of_its_own(code: str, status: int) -> None:
    got, body, later = asyncio.run(ask(ScriptedCorridor(outcome=(code, "because"))))
    assert (got, body["type"], body["detail"]) == (status, f"urn:rfid3:problem:{code}", "because")
    assert (later["state"], later["reason"], later["detail"]) == ("refused", code, "because")


def test_what_is_not_durable_or_not_taken_is_no_success() -> None:
    never = ScriptedCorridor(commit_s=None, apply_s=None)
    assert asyncio.run(ask(never))[:1] == (503,)
    assert asyncio.run(ask(ScriptedCorridor(full=True)))[:1] == (503,)


def test_only_the_newest_commands_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "ASKED_MAX", 3)

    async def main() -> None:
        async with served(*TABLE) as table:
            names = []
            for _ in range(5):
                async with table.client.post("/rename") as got:
                    names.append((await got.json())["command"])
            found = [(await table.client.get(f"/api/commands/{n}")).status for n in names]
            assert found == [404, 404, 200, 200, 200]

    asyncio.run(main())
