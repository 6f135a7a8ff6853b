"""The ledger: rows change one way, every change is told once, and what was saved comes back."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from edge.ledger.ledger import Changes, Key, Ledger, LedgerFullError, Table


class Box(Struct, frozen=True):
    """Something else to keep."""

    id: str


class Crate(Struct, frozen=True):
    """Something to keep."""

    id: str
    store: str
    units: int = 0
    open: bool = True


ALL = Table("crate", Crate, ("id",), limit=3, index=("store",), ordered=("units", "store"))
OPEN = Table(
    "crate",
    Crate,
    ("id",),
    limit=3,
    kept="open",
    is_open=lambda c: c.open,
    ordered=("units",),
)
NONE = Table("crate", Crate, ("id",), limit=0, kept="none")


def ledger_of(table: Table) -> Ledger:
    return Ledger((table,))


def test_a_row_put_twice_alike_is_told_once() -> None:
    ledger = ledger_of(ALL)
    ledger.put(Crate("a", "s"))
    told, ledger.into = ledger.into, {}
    ledger.put(Crate("a", "s"))
    assert told == {("crate", ("a",)): Crate("a", "s")}
    assert ledger.into == {}


def test_a_full_table_refuses_a_new_row_and_takes_a_change_of_an_old_one() -> None:
    ledger = ledger_of(ALL)
    for name in "abc":
        ledger.put(Crate(name, "s"))
    with pytest.raises(LedgerFullError, match="holds 3 rows"):
        ledger.put(Crate("d", "s"))
    ledger.put(Crate("a", "s", 7))
    assert ledger.get(Crate, "a") == Crate("a", "s", 7)
    assert ledger.get(Crate, "d") is None


def test_a_row_that_closes_leaves_the_memory_but_is_told_to_the_store() -> None:
    ledger = ledger_of(OPEN)
    ledger.put(Crate("a", "s"))
    ledger.put(Crate("a", "s", open=False))
    assert ledger.count(Crate) == 0
    assert ledger.into == {("crate", ("a",)): Crate("a", "s", open=False)}


def test_rows_that_are_only_stored_take_no_memory() -> None:
    ledger = ledger_of(NONE)
    ledger.put(Crate("a", "s"))
    assert ledger.count(Crate) == 0
    assert list(ledger.into.values()) == [Crate("a", "s")]


def test_what_falls_due_is_handed_out_once_and_in_order() -> None:
    ledger = ledger_of(ALL)
    ledger.wake(20, "late", ("b",))
    ledger.wake(10, "soon", ("a",))
    assert ledger.due_ms() == 10
    assert list(ledger.due(15)) == [(10, "soon", ("a",))]
    assert list(ledger.due(15)) == []
    assert ledger.due_ms() == 20


Step = tuple[Literal["put", "drop"], str, str, int, bool]
steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "drop"]),
        st.sampled_from("abcd"),
        st.sampled_from("xy"),
        st.integers(0, 2),
        st.booleans(),
    )
)


def applied(table: Table, told: list[Step]) -> tuple[Ledger, dict[str, Crate], Changes]:
    """A ledger after the steps; what a plain dict holds; and what changed in all."""
    ledger = ledger_of(table)
    plain: dict[str, Crate] = {}
    seen: Changes = {}
    for what, name, store, units, is_open in told:
        row = Crate(name, store, units, is_open)
        stays = table.kept == "all" or row.open
        if what == "drop":
            assert ledger.drop(Crate, name) == (plain.pop(name, None) is not None)
        elif stays and name not in plain and len(plain) == table.limit:
            with pytest.raises(LedgerFullError):
                ledger.put(row)
        else:
            ledger.put(row)
            plain.pop(name, None) if not stays else plain.update({name: row})
        seen.update(ledger.into)
        ledger.into = {}
    return ledger, plain, seen


@given(steps)
def test_rows_and_index_are_what_a_plain_dict_says(told: list[Step]) -> None:
    ledger, plain, _ = applied(ALL, told)
    assert {key[0]: row for key, row in ledger.rows(Crate).items()} == plain
    for store in "xy":
        assert sorted(row.id for row in ledger.by(Crate, "store", store)) == sorted(
            row.id for row in plain.values() if row.store == store
        )


def check_orders(ledger: Ledger, table: Table, plain: dict[str, Crate]) -> None:
    """Every order, both ways, from both ends and from beyond every place there could be."""
    for field in table.ordered:
        rows = sorted(plain.values(), key=lambda row: (getattr(row, field), row.id))
        places = [(getattr(row, field), row.id) for row in rows]
        assert list(ledger.in_order(Crate, field) or ()) == rows
        assert list(ledger.in_order(Crate, field, falling=True) or ()) == rows[::-1]
        for low, high in ((0, 1), (1, 3), (2, 1)) if field == "units" else ():
            mine = [row for row in rows if low <= row.units < high]
            assert ledger.between(Crate, field, low, high) == len(mine)
            assert list(ledger.in_order(Crate, field, (low,)) or ())[: len(mine)] == mine
        for value in {place[0] for place in places} | {1 if field == "units" else "w"}:
            for name in "abcde":
                place = (value, name)
                beyond = [row for row, own in zip(rows, places, strict=True) if own > place]
                below = [row for row, own in zip(rows, places, strict=True) if own < place]
                assert list(ledger.in_order(Crate, field, place) or ()) == beyond
                assert list(ledger.in_order(Crate, field, place, falling=True) or ()) == below[::-1]


@given(steps, st.sampled_from([ALL, OPEN]))
def test_rows_stand_in_every_order_as_a_sort_of_all_puts_them(
    told: list[Step], table: Table
) -> None:
    ledger, plain, _ = applied(table, told)
    check_orders(ledger, table, plain)
    again = ledger_of(table)
    again.load(ledger.save())
    check_orders(again, table, plain)
    for name in list(plain):
        again.release(Crate, name)
    check_orders(again, table, {})


def test_a_tables_version_rises_with_its_own_changes_alone() -> None:
    ledger = Ledger((ALL, Table("box", Box, ("id",), limit=3)))
    seen = [ledger.version_of(Crate)]
    for change in (
        lambda: ledger.put(Crate("a", "s")),
        lambda: ledger.put(Crate("a", "s", 2)),
        lambda: ledger.drop(Crate, "a"),
        lambda: ledger.erase(Crate, "a"),
        lambda: ledger.put(Crate("b", "s")),
        lambda: ledger.release(Crate, "b"),
    ):
        change()
        seen.append(ledger.version_of(Crate))
    assert len(set(seen)) == 7
    assert seen == sorted(seen)
    ledger.put(Crate("c", "s"))
    before = ledger.version_of(Crate)
    ledger.put(Crate("c", "s"))
    ledger.put(Box("c"))
    assert ledger.version_of(Crate) == before
    assert ledger.version_of(Crate, Box) == before + 1


def test_rows_are_in_no_order_that_their_table_does_not_name() -> None:
    assert ledger_of(OPEN).in_order(Crate, "store") is None


@given(steps)
def test_the_changes_told_make_the_rows(told: list[Step]) -> None:
    _, plain, seen = applied(ALL, told)
    made: dict[Key, Struct] = {key: row for (_, key), row in seen.items() if row is not None}
    assert {key[0]: row for key, row in made.items()} == plain


@given(steps)
def test_a_saved_ledger_comes_back_whole(told: list[Step]) -> None:
    ledger, plain, _ = applied(OPEN, told)
    ledger.wake(5, "kind", ("a", 3))
    ledger.answered["k"] = ("said", "done", "null")
    again = ledger_of(OPEN)
    again.load(ledger.save())
    assert again.save() == ledger.save()
    assert {key[0]: row for key, row in again.rows(Crate).items()} == plain
    assert list(again.due(5)) == [(5, "kind", ("a", 3))]
