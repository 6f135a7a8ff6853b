"""The OpenAPI 3.1 document, derived from the endpoint table and the records it names.

No daemon is needed: ``document()`` reads types only. Source: OpenAPI Specification 3.1.0.
"""

from collections.abc import Iterable, Sequence
from typing import Any, get_args

import msgspec
from msgspec import Struct

from edge import __version__
from edge.api import problems
from edge.api.descriptions import field_descriptions
from edge.api.endpoint import Endpoint, Path, Query
from edge.api.problems import KINDS, ProblemBody
from edge.api.table import ENDPOINTS
from edge.events import AnyEvent

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{name}"
EVERYWHERE = ("unknown-parameter", "bad-parameter", "foreign-host", "foreign-origin", "internal")
BODY_PROBLEMS = (
    *("bad-body", "unknown-field", "bad-field", "incomplete-body", "slow-body", "body-too-large"),
    "unsupported-media-type",
)
"""What every endpoint with a typed body may answer; its own problems are those beyond."""
ABOUT = (
    "What is where in the shop and how it moves. Moments are integers named `*_ms`: milliseconds "
    "since 1970-01-01 UTC, 0 for never. Errors are problem bodies (RFC 9457) with a cure."
)
EXAMPLES = {
    "application/x-ndjson": '{"type":"tag_read","epc":"E28011606000020A6681F23F","at":1700000000000}\n',
    "text/csv": "epc,scan_type,contract\nE28011606000020A6681F23F,Rental,C-1001\n",
}


def document(table: Sequence[Endpoint] = ENDPOINTS) -> dict[str, Any]:
    """The whole document, as JSON-ready builtins."""
    records = _records(table)
    schemas, components = _schemas([*records, AnyEvent, list[AnyEvent], ProblemBody])
    named = dict(zip(records, schemas, strict=False))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rfid3",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": area} for area in dict.fromkeys(e.area for e in table)],
        "paths": _paths(table, named),
        "components": {"schemas": components},
    }


def _records(table: Sequence[Endpoint]) -> list[Any]:
    found = [e.answer for e in table] + [b for e in table for b in e.bodies.values()]
    found += [e.body for e in table if e.body is not None]
    return list(dict.fromkeys(found))


def _schemas(types: Iterable[Any]) -> tuple[Sequence[Schema], dict[str, Schema]]:
    """(schema of each type, named schemas they refer to), with the fields' docstrings."""
    wanted = list(types)
    schemas, components = msgspec.json.schema_components(wanted, ref_template=REFERENCE)
    for record in _structs(wanted):
        _describe(_component(components, record), record)
    return list(schemas), components


def _component(components: dict[str, Schema], record: type[Struct]) -> Schema:
    """The schema of a record; its module stands before its name where another has the same."""
    whole = f"{record.__module__}.{record.__qualname__}"
    return components.get(whole) or components.get(record.__name__, {})


def _structs(types: Iterable[Any]) -> set[type[Struct]]:
    """Every record reachable from ``types``."""
    found: set[type[Struct]] = set()
    waiting = list(types)
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, Struct) and kind not in found:
            found.add(kind)
            waiting += [field.type for field in msgspec.structs.fields(kind)]
        waiting += get_args(kind)
    return found


def _describe(schema: Schema, record: type[Struct]) -> None:
    texts = field_descriptions(record)
    for name, field in schema.get("properties", {}).items():
        if name in texts:
            field["description"] = texts[name]


def _paths(table: Sequence[Endpoint], named: dict[Any, Schema]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for endpoint in table:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, named)
    return paths


def _operation(endpoint: Endpoint, named: dict[Any, Schema]) -> Schema:
    operation: Schema = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [endpoint.area],
        "parameters": _parameters(endpoint.parts, "path")
        + _parameters(endpoint.query, "query")
        + _headers(endpoint),
        "responses": _responses(endpoint, named),
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.bodies:
        content = {media: _body(media, named[body]) for media, body in endpoint.bodies.items()}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.body is not None:
        content = {"application/json": {"schema": named[endpoint.body]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _body(media: str, schema: Schema) -> Schema:
    return (
        {"schema": schema, "example": EXAMPLES[media]} if media in EXAMPLES else {"schema": schema}
    )


def _headers(endpoint: Endpoint) -> list[Schema]:
    return [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for name, text in endpoint.headers.items()
    ]


def _parameters(record: type[Path] | type[Query], place: str) -> list[Schema]:
    (_,), components = _schemas([record])
    schema = components[record.__name__]
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": place,
            "required": place == "path" or name in required,
            "description": field.pop("description", ""),
            "schema": _without_null(field),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _without_null(schema: Schema) -> Schema:
    """An optional parameter is left out, never sent as null."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else schema


def _responses(endpoint: Endpoint, named: dict[Any, Schema]) -> Schema:
    content: Schema = {endpoint.media: {"schema": named[endpoint.answer]}}
    if endpoint.rows:
        content["text/csv"] = {"schema": {"type": "string"}}
    answers: Schema = {
        str(status): {"description": text, "content": content}
        for status, text in endpoint.statuses.items()
    }
    if endpoint.tag:
        answers["200"] = {**answers["200"], "headers": {"ETag": _ETAG}}
        answers["304"] = {"description": "Nothing changed since the ETag of If-None-Match."}
    body = BODY_PROBLEMS if endpoint.body is not None else ()
    told = (*EVERYWHERE, *_path_problems(endpoint), *body, *endpoint.problems)
    return answers | _refusals(tuple(dict.fromkeys(told)))


_ETAG: Schema = {"description": "For If-None-Match.", "schema": {"type": "string"}}


def _path_problems(endpoint: Endpoint) -> tuple[str, ...]:
    return ("bad-path",) if "{" in endpoint.path else ()


def _refusals(slugs: Sequence[str]) -> Schema:
    """One response a status, whose description lists the problems it may carry."""
    by_status: dict[int, list[str]] = {}
    for slug in slugs:
        by_status.setdefault(KINDS[slug].status, []).append(slug)
    content = {problems.MEDIA: {"schema": {"$ref": REFERENCE.format(name="ProblemBody")}}}
    return {
        str(status): {
            "description": "; ".join(f"{slug}: {KINDS[slug].title}" for slug in found) + ".",
            "content": content,
        }
        for status, found in sorted(by_status.items())
    }
