"""Rows of the catalogue are put all or none, and keep what a merge does not name."""

from typing import Any

import pytest

from edge.commands import Command, Told
from edge.ledger import deeds
from edge.ledger.catalogue import (
    CatalogueCategory,
    CatalogueClass,
    CatalogueStore,
    DropCatalogue,
    PutCatalogue,
)
from edge.ledger.ledger import Ledger, Table


def small() -> Ledger:
    return Ledger(
        [
            Table("catalogue_classes", CatalogueClass, ("sku",), 3, index=("category",)),
            Table("catalogue_categories", CatalogueCategory, ("name",), 3),
            Table("catalogue_stores", CatalogueStore, ("store",), 3),
        ]
    )


def do(ledger: Ledger, command: Command, at_ms: int = 5) -> tuple[str, str]:
    return deeds.do(ledger, command, Told(at_ms, 0))


def put(*rows: dict[str, Any], **more: Any) -> PutCatalogue:
    return PutCatalogue(kind=more.pop("kind", "class"), rows=list(rows), **more)


def test_one_bad_row_keeps_all_out() -> None:
    ledger = small()
    code, why = do(ledger, put({"sku": "A"}, {"sku": "B", "price_cents": -1}))
    assert (code, why) == ("invalid", "row 2: price_cents is -1: at least 0 is expected")
    assert not ledger.rows(CatalogueClass)
    assert not ledger.into


def test_more_rows_than_there_is_room_for_change_nothing() -> None:
    ledger = small()
    do(ledger, put({"sku": "A"}, {"sku": "B"}))
    assert do(ledger, put({"sku": "B"}, {"sku": "C"}, {"sku": "D"}))[0] == "limit"
    assert len(ledger.rows(CatalogueClass)) == 2
    assert do(ledger, put({"sku": "B", "name": "b"}, {"sku": "C"}))[0] == "done"


def test_a_merge_keeps_what_it_does_not_name_and_the_same_again_changes_nothing() -> None:
    ledger = small()
    do(ledger, put({"sku": "A", "name": "a", "price_cents": 3}), 1)
    do(ledger, put({"sku": "A", "price_cents": 4}, merge=True), 2)
    row = ledger.get(CatalogueClass, "A")
    assert row is not None
    assert (row.name, row.price_cents, row.created_ms, row.updated_ms) == ("a", 4, 1, 2)
    before = ledger.version
    do(ledger, put({"sku": "A", "price_cents": 4}, merge=True), 3)
    assert ledger.version == before
    do(ledger, put({"sku": "A"}), 4)
    assert ledger.rows(CatalogueClass)["A",].name == ""


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("class", {"sku": ""}),
        ("class", {"name": "x"}),
        ("class", {"sku": "A", "created_ms": 1}),
        ("class", {"sku": "A", "colour": 1}),
        ("class", {"sku": "A", "offered_for": "free"}),
        ("class", {"sku": "A" * 256}),
        ("class", {"sku": "A", "name": "x" * 2_001}),
        ("store", {"store": "S", "latitude": 91.0}),
        ("category", {"name": "C", "parent": "C"}),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(kind: str, row: dict[str, Any]) -> None:
    assert do(small(), put(row, kind=kind))[0] == "invalid"


def test_what_is_not_there_is_not_dropped_and_not_changed() -> None:
    ledger = small()
    assert do(ledger, DropCatalogue(kind="store", name="S"))[0] == "unknown"
    told = put({"store": "S"}, kind="store", merge=True, must_exist=True)
    assert do(ledger, told)[0] == "unknown"
