"""Pages of lists: nothing that stays is missed or shown twice, however they are sorted."""

import asyncio
from functools import partial
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from edge.api import lists
from edge.api.lists import Listing, ListQuery, arranged
from edge.api.problems import Problem
from edge.ledger.ledger import Ledger, Table
from edge.view_basis import NONE_PASSES, why_empty


class Row(Struct):
    id: str
    value: float | None
    kind: str = "a"


class RowsQuery(ListQuery):
    kind: str | None = None
    least: float | None = None


ROWS: Listing[Row] = Listing(
    "rows",
    key=("id",),
    sorts=("id", "value"),
    sort="value",
    filters={
        "kind": "kind",
        "least": lambda row, wanted: row.value is not None and row.value >= wanted,
    },
)


def walk(query: RowsQuery, rows: list[Row]) -> list[Row]:
    shown: list[Row] = []
    while True:
        page = ROWS.page(query, rows)
        assert len(page.rows) <= query.limit
        shown += page.rows
        if page.next_cursor is None:
            return shown
        query.cursor = page.next_cursor


values = st.none() | st.sampled_from([0.0, 1.0, 2.5]) | st.floats(allow_nan=True)


@given(st.lists(values, max_size=30), st.integers(1, 7), st.sampled_from(["asc", "desc"]))
def test_pages_together_are_the_sorted_whole(
    found: list[float | None], limit: int, order: Literal["asc", "desc"]
) -> None:
    rows = [Row(f"r{i:02}", value) for i, value in enumerate(found)]
    shown = walk(RowsQuery(limit=limit, order=order), rows)
    assert sorted(row.id for row in shown) == [row.id for row in rows]
    told = [row.value for row in shown if row.value is not None and row.value == row.value]
    assert told == sorted(told, reverse=order == "desc")
    assert all(row.value is None or row.value != row.value for row in shown[len(told) :])


def test_rows_that_come_and_go_between_pages_hide_no_other() -> None:
    rows = [Row(f"r{i}", float(i)) for i in range(6)]
    query = RowsQuery(limit=2)
    first = ROWS.page(query, rows)
    rows = [Row("new", 0.5), *rows[1:], Row("later", 2.5)]
    query.cursor = first.next_cursor
    assert [row.id for row in walk(query, rows)] == ["r2", "later", "r3", "r4", "r5"]


def test_filters_of_equality_and_of_their_own_are_passed_together() -> None:
    rows = [Row("1", 1.0), Row("2", 5.0, "b"), Row("3", 7.0), Row("4", None)]
    assert [r.id for r in walk(RowsQuery(kind="a", least=2.0), rows)] == ["3"]


def test_a_wrong_sort_is_refused_with_those_that_can_be_used() -> None:
    with pytest.raises(Problem, match="one of id, value"):
        ROWS.page(RowsQuery(sort="kind"), [])


def test_a_cursor_of_other_filters_or_of_another_list_is_refused() -> None:
    rows = [Row(str(i), float(i)) for i in range(5)]
    cursor = ROWS.page(RowsQuery(limit=2), rows).next_cursor
    for query in (
        RowsQuery(cursor=cursor, kind="a"),
        RowsQuery(cursor=cursor, sort="id"),
        RowsQuery(cursor=cursor, order="desc"),
        RowsQuery(cursor="AAAA"),
        RowsQuery(cursor="!"),
    ):
        with pytest.raises(Problem, match="bad-cursor"):
            ROWS.page(query, rows)


@given(st.lists(st.sampled_from([0.0, 1.0, np.nan, -3.5]), max_size=400), st.integers(1, 40))
def test_columns_are_paged_like_rows(found: list[float], limit: int) -> None:
    rows, column = np.arange(len(found)), np.array(found, np.float64)
    for falling in (False, True):
        query = ListQuery(limit=limit, order="desc" if falling else "asc")
        shown: list[int] = []
        while True:
            page, query.cursor = arranged(query, "columns", rows, column, falling)
            shown += page.tolist()
            if query.cursor is None:
                break
        signed = np.where(np.isnan(column), np.inf, -column if falling else column)
        assert shown == np.lexsort((rows, signed)).tolist()


def test_many_rows_are_paged_alike_slice_by_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "SLICE_ROWS", 3)
    rows = [Row(f"r{i:02}", float(i * 7 % 10)) for i in range(20)]

    async def main() -> None:
        query = RowsQuery(limit=4, order="desc")
        shown: list[str] = []
        while True:
            page = await ROWS.page_of_many(query, rows)
            assert page == ROWS.page(query, rows)
            shown += [row.id for row in page.rows]
            if page.next_cursor is None:
                break
            query.cursor = page.next_cursor
        assert shown == [r.id for r in sorted(rows, key=lambda r: (r.value, r.id), reverse=True)]

    asyncio.run(main())


class Crate(Struct, frozen=True):
    id: str
    value: int
    kind: str = "a"


CRATES: Listing[Crate] = Listing(
    "crates", key=("id",), sorts=("id", "value", "kind"), sort="value", filters={"kind": "kind"}
)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab")), max_size=30),
    st.integers(1, 7),
    st.sampled_from(["asc", "desc"]),
    st.sampled_from(["value", "kind", "id"]),
    st.sampled_from([None, "a", "c"]),
)
def test_pages_of_rows_in_order_are_those_of_all_rows(
    found: list[tuple[int, str]],
    limit: int,
    order: Literal["asc", "desc"],
    sort: str,
    kind: str | None,
) -> None:
    """An oracle: the page that looks at every row. Where nothing is shown, that one is asked."""
    ledger = Ledger((Table("crate", Crate, ("id",), limit=99, ordered=("value", "kind")),))
    rows = [Crate(f"r{i:02}", value, kind) for i, (value, kind) in enumerate(found)]
    for row in rows:
        ledger.put(row)
    in_order = partial(ledger.in_order, Crate)
    odd = [row for row in rows if row.id not in ("r03", "r04")]
    query = RowsQuery(limit=limit, order=order, sort=sort, kind=kind)
    seen = 0
    while True:
        whole = CRATES.page(query, odd)
        page = CRATES.page_in_order(query, in_order, lambda row: row.id not in ("r03", "r04"))
        if sort == "id" or not whole.rows:
            assert page is None
        else:
            assert page == whole
        seen += len(whole.rows)
        query.cursor = whole.next_cursor
        if whole.next_cursor is None:
            break
    assert seen == sum(kind in (None, row.kind) for row in odd)


def test_a_page_of_which_the_first_rows_are_no_more_than_some_is_left_to_who_looks_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lists, "SLICE_ROWS", 3)
    ledger = Ledger((Table("crate", Crate, ("id",), limit=99, ordered=("value",)),))
    for i in range(9):
        ledger.put(Crate(f"r{i}", i, "ab"[i % 2]))
    in_order = partial(ledger.in_order, Crate)
    full = CRATES.page_in_order(RowsQuery(limit=1, kind="a"), in_order)
    assert full is not None
    assert [row.id for row in full.rows] == ["r0"]
    assert CRATES.page_in_order(RowsQuery(limit=2, kind="a"), in_order) is None
    cursor = CRATES.page(RowsQuery(limit=6), list(ledger.rows(Crate).values())).next_cursor
    last = CRATES.page_in_order(RowsQuery(limit=6, cursor=cursor), in_order)
    assert last is not None
    assert ([row.id for row in last.rows], last.next_cursor) == (["r6", "r7", "r8"], None)
    strange = RowsQuery(cursor=lists._cursor(RowsQuery(), "crates", [False, "word", "r1"]))
    assert CRATES.page_in_order(strange, in_order) is None


def test_an_empty_page_names_the_filter_that_no_row_passes_and_what_there_is() -> None:
    rows = [Row(f"r{i:02}", 1.0, kind="ab"[i % 2]) for i in range(20)]
    page = ROWS.page(RowsQuery(kind="c"), rows)
    assert (page.rows, page.rows.why) == ([], "No row has kind='c'; there are a, b.")
    assert why_empty(page.rows, (True, "something else")) == page.rows.why
    assert ROWS.page(RowsQuery(kind="a"), rows).rows.why == ""
    # a number that nothing passes is no slip of the pen, and a list without rows blames no filter
    assert ROWS.page(RowsQuery(least=2.0), rows).rows.why == ""
    assert ROWS.page(RowsQuery(kind="c"), []).rows.why == ""
    both = ROWS.page(RowsQuery(kind="a", least=2.0), rows)
    assert why_empty(both.rows) == NONE_PASSES


def test_an_empty_page_of_many_rows_remembers_what_earlier_slices_had() -> None:
    rows = [Row(f"r{i:05}", 1.0, kind="first" if i == 0 else "other") for i in range(2_500)]
    query = RowsQuery(kind="first", least=2.0)
    assert asyncio.run(ROWS.page_of_many(query, rows)).rows.why == ""
    many = asyncio.run(ROWS.page_of_many(RowsQuery(kind="c"), rows))
    assert many.rows.why == "No row has kind='c'; there are first, other."
