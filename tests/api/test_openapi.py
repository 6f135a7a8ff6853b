"""The OpenAPI document is valid, complete and true; and so is docs/api.md."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from edge.api import commands, jobs
from edge.api.endpoint import Endpoint
from edge.api.lists import ListQuery
from edge.api.openapi import document
from edge.api.problems import KINDS
from edge.api.report import UploadReport
from edge.api.table import ENDPOINTS
from edge.api.upload import IDEMPOTENCY_KEY
from edge.events import EVENT_TYPES
from tests.api.contract import scan
from tests.api.fakes import fake_daemon
from tests.api.shop import shop

ROOT = Path(__file__).parents[2]
DOCS = "\n### \n".join(
    page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("api*.md"))
)
IN_COMMON = {
    *ListQuery.__struct_fields__,
    "bad-cursor",
    "unknown-store",
    IDEMPOTENCY_KEY,
    *commands.PROBLEMS,
    *jobs.PROBLEMS,
}
"""Told once, for all endpoints that have them."""


def test_the_document_is_valid_openapi_3_1() -> None:
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


def test_the_document_is_made_without_a_daemon() -> None:
    code = "import json; from edge.api.openapi import document; print(json.dumps(document()))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(made.stdout) == document()


def test_every_endpoint_event_type_and_field_is_described() -> None:
    found = document()
    assert {(m.upper(), p) for p, item in found["paths"].items() for m in item} == {
        (e.method, e.path) for e in ENDPOINTS
    }
    schemas = found["components"]["schemas"]
    assert {kind.__name__ for kind in EVENT_TYPES} <= set(schemas)
    for name, schema in schemas.items():
        assert schema.get("description"), name
        for field, about in schema.get("properties", {}).items():
            assert about.get("description") or field == "type", (name, field)
    for path, item in found["paths"].items():
        for operation in item.values():
            assert operation["summary"], path
            assert all(p["description"] for p in operation["parameters"]), path


def test_operation_names_are_unique_and_paths_name_their_parts() -> None:
    assert len({e.name for e in ENDPOINTS}) == len(ENDPOINTS)
    for endpoint in ENDPOINTS:
        assert tuple(re.findall(r"{(\w+)}", endpoint.path)) == endpoint.parts.__struct_fields__


def schema_of(found: dict[str, Any], path: str) -> dict[str, Any]:
    content = found["paths"][path]["get"]["responses"]["200"]["content"]
    return {**content["application/json"]["schema"], "components": found["components"]}


PARTS = {"epc": scan(1)["epc"], "item_id": scan(1)["epc"], "sku": "CUP", "entity": "CUP", "id": "2"}
PARTS["service"] = "demand"
"""Values of the variable parts of paths; what has none here is asked for in vain."""


def test_answers_keep_what_the_document_promises(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path) as client:
            line = {"type": "pos_line", "document": "R", "kind": "sale", "sku": "CUP"}
            reader = {"type": "reader_status", "reader": "r1", "status": "offline"}
            read = {"type": "tag_read", "epc": "E2801160AA"}
            bad = {"type": "none"}
            async with client.post("/api/events", json=[scan(1), line, reader, read, bad]) as got:
                assert got.status == 200
            found = document()
            for endpoint in ENDPOINTS:
                if endpoint.method == "GET" and endpoint.media == "application/json":
                    await keeps_its_promise(client, endpoint, found)

    asyncio.run(main())


async def keeps_its_promise(
    client: aiohttp.ClientSession, endpoint: Endpoint, found: dict[str, Any]
) -> None:
    """It answers as its schema says, or with a problem that it names."""
    names = re.findall(r"{(\w+)}", endpoint.path)
    path = endpoint.path.format(**{name: PARTS.get(name, "NONE") for name in names})
    async with client.get(path) as got:
        answer = json.loads(await got.read())
    if got.status != 200:
        told = (*endpoint.problems, "bad-parameter")  # some parameters must be given
        assert answer["type"].rpartition(":")[2] in told, (path, answer)
        return
    Draft202012Validator(schema_of(found, endpoint.path)).validate(answer)
    record = found["components"]["schemas"].get(getattr(endpoint.answer, "__name__", ""))
    if record:
        assert set(answer) == set(record["properties"]), endpoint.path


def test_problems_keep_what_the_document_promises() -> None:
    async def main() -> None:
        schema = document()["components"]["schemas"]["ProblemBody"]
        async with fake_daemon() as fake:
            for path in ("/api/items?x=1", "/none", "/api/items/NONE"):
                async with fake.client.get(path) as got:
                    body = await got.json(content_type="application/problem+json")
                    Draft202012Validator(schema).validate(body)

    asyncio.run(main())


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_every_endpoint_and_parameter_is_documented(endpoint: Any) -> None:
    heading = f"### {endpoint.method} {endpoint.path}\n"
    assert heading in DOCS
    section = DOCS.split(heading)[1].split("\n### ")[0]
    told = {*endpoint.query.__struct_encode_fields__, *endpoint.headers, *endpoint.problems}
    lists, commanded = issubclass(endpoint.query, ListQuery), endpoint.answer is not UploadReport
    told -= IN_COMMON if lists or commanded else set()
    for name in told:
        assert f"`{name}`" in section, name


def test_no_endpoint_is_documented_that_does_not_exist() -> None:
    documented = set(re.findall(r"^### ([A-Z]+ /\S*)$", DOCS, re.MULTILINE))
    assert documented == {f"{e.method} {e.path}" for e in ENDPOINTS}


def test_whoever_sends_events_is_told_that_200_is_not_enough() -> None:
    operation = document()["paths"]["/api/events"]["post"]
    assert "200 does not mean that every event was taken" in operation["description"]
    assert "refused_count" in operation["description"]
    (header,) = [p for p in operation["parameters"] if p["in"] == "header"]
    assert header["name"] == "Idempotency-Key"
    for page in ("api.md", "connect.md"):
        text = " ".join((ROOT / "docs" / page).read_text().replace("\n> ", " ").split())
        assert "200 does not mean that every event was taken" in text, page


@pytest.mark.parametrize("slug", KINDS)
def test_every_problem_is_documented(slug: str) -> None:
    assert f"| `{slug}` | {KINDS[slug].status} |" in DOCS
