"""The index of endpoints and the OpenAPI document: bodies made once, when the server is built."""

from typing import Any

from msgspec import Struct

from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.tags import fixed_tag


class IndexRow(Struct):
    """One endpoint."""

    method: str
    """HTTP method; where there is GET there is HEAD."""
    path: str
    """Path, with its variable parts in braces."""
    summary: str
    """What it is for."""


class Index(Struct):
    """Where everything is."""

    name: str
    """``rfid3``."""
    version: str
    """The daemon's version."""
    endpoints: list[IndexRow]
    """Every endpoint."""


def index(api: Api, call: Call[Query, Path]) -> Answer:
    """The list of endpoints."""
    return Answer(api.documents["index"], lasting=True)


def openapi(api: Api, call: Call[Query, Path]) -> Answer:
    """This API as an OpenAPI 3.1 document."""
    return Answer(api.documents["openapi"], lasting=True)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/",
        "index",
        "The list of endpoints.",
        index,
        Index,
        area="documents",
        tag=fixed_tag,
    ),
    Endpoint(
        "GET",
        "/openapi.json",
        "openapi",
        "This API as an OpenAPI 3.1 document.",
        openapi,
        dict[str, Any],
        area="documents",
        tag=fixed_tag,
    ),
)
