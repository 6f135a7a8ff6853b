"""Typed bodies are refused by the name of what is wrong; lists come as CSV that does no harm."""

import asyncio
import csv
import io
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct, field

from edge.api.body import Body, decode_body
from edge.api.endpoint import Api, Call, Endpoint, Path
from edge.api.lists import Listing, ListQuery
from edge.api.problems import Problem
from tests.api.tables import served


class Line(Body):
    units: Annotated[int, Meta(ge=1)]


class Order(Body):
    supplier: str
    lines: list[Line] = field(default_factory=list)


@pytest.mark.parametrize(
    ("body", "slug", "path"),
    [
        (b'{"suplier": "S"}', "unknown-field", "suplier"),
        (b'{"supplier": "S", "lines": [{"units": 1, "prize": 2}]}', "unknown-field", "lines[0].prize"),
        (b'{"lines": []}', "bad-field", "supplier"),
        (b'{"supplier": "S", "lines": [{}]}', "bad-field", "lines[0].units"),
        (b'{"supplier": "S", "lines": [{"units": 0}]}', "bad-field", "lines[0].units"),
        (b'{"supplier": 3}', "bad-field", "supplier"),
        (b"[]", "bad-field", ""),
        (b'{"supplier": "S"', "bad-body", None),
        (b'{"supplier": "\xff"}', "bad-body", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(body: bytes, slug: str, path: str | None) -> None:
    with pytest.raises(Problem) as refused:
        decode_body(body, Order)
    assert refused.value.slug == slug
    assert refused.value.members.get("field") == path


class Look(Body):
    """What was found."""

    defects: list[Literal["oil", "mold"]]


def test_a_word_that_is_not_known_is_answered_with_those_that_are() -> None:
    with pytest.raises(Problem, match=r"defects\[0\]: 'tear' is none of oil, mold\."):
        decode_body(b'{"defects": ["tear"]}', Look)


class Row(Struct):
    """A row."""

    sku: str
    """Class."""
    units: float
    """Units."""


class Rows(Struct):
    """Rows."""

    rows: list[Row]
    """The rows."""
    next_cursor: str | None
    """The next page."""


ROWS: Listing[Row] = Listing("rows", key=("sku",), sorts=("sku",), sort="sku")
TOLD = [Row("=HYPERLINK(1)", -2.0), Row('b"c', 1.5), Row("d", 0.0)]


def list_rows(api: Api, call: Call[ListQuery, Path]) -> Rows:
    page = ROWS.page(call.query, TOLD)
    return Rows(page.rows, page.next_cursor)


def echo(api: Api, call: Call[Any, Any]) -> Order:
    assert isinstance(call.body, Order)
    return call.body


LIST = Endpoint("GET", "/rows", "rows", "Rows.", list_rows, Rows, "t", query=ListQuery, rows="rows")
ECHO = Endpoint("PUT", "/echo", "echo", "Echo.", echo, Order, "t", body=Order, body_max_bytes=64)


def test_a_list_comes_as_csv_by_accept_or_by_name_with_a_link_to_the_next_page() -> None:
    async def main() -> None:
        async with served(LIST) as table:
            client, shown = table.client, ""
            path = "/rows?limit=2"
            for _ in range(2):
                async with client.get(path, headers={"Accept": "text/csv"}) as got:
                    assert got.headers["Content-Type"].startswith("text/csv")
                    assert "Accept" in got.headers["Vary"]
                    shown += await got.text()
                    link = got.links.get("next")
                    path = str(link["url"]) if link else ""
            assert path == ""
            assert list(csv.reader(io.StringIO(shown))) == [
                ["sku", "units"], ["'=HYPERLINK(1)", "-2.0"], ['b"c', "1.5"],
                ["sku", "units"], ["d", "0.0"],
            ]  # fmt: skip
            async with client.get("/rows?format=csv") as got:
                assert len((await got.text()).splitlines()) == 4
            for accept in ("*/*", "application/json, text/csv", "text/csv;q=0.5, */*"):
                async with client.get("/rows", headers={"Accept": accept}) as got:
                    assert got.content_type == (
                        "text/csv" if "0.5" in accept else "application/json"
                    )

    asyncio.run(main())


def test_a_typed_body_is_read_before_the_handler_and_bounded() -> None:
    async def main() -> None:
        async with served(ECHO) as table:
            client = table.client
            async with client.put("/echo", json={"supplier": "S"}) as got:
                assert (got.status, await got.json()) == (200, {"supplier": "S", "lines": []})
            for status, arguments in (
                (413, {"json": {"supplier": "S" * 64}}),
                (415, {"data": "supplier=S"}),
                (422, {"json": {"supplier": "S", "extra": 1}}),
                (422, {}),
                (400, {"data": b"{", "headers": {"Content-Type": "application/json"}}),
            ):
                async with client.put("/echo", **arguments) as got:  # type: ignore[arg-type]
                    assert got.status == status, (arguments, await got.text())

    asyncio.run(main())
