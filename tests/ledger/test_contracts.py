"""Contracts follow scans and lines, whatever their order; the rows alone say what a person would."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.commands import Told
from edge.events import Correction, Event, ItemScan, Maintenance, PosLine
from edge.ledger import contracts, deeds
from edge.ledger.contracts import (
    GRACE_MS,
    KNOWN_MS,
    CloseContract,
    Contract,
    ContractItem,
    ContractLine,
    ContractUnits,
)
from edge.ledger.ledger import Ledger
from edge.ledger.tables import TABLES

EPCS = ("E1", "E2", "E3")
CONTRACTS = ("C1", "C2")

scans = st.builds(
    ItemScan,
    epc=st.sampled_from(EPCS),
    scan_type=st.sampled_from(["Rental", "Delivery", "Return", "Pickup", "Touch Scan"]),
    contract=st.sampled_from([*CONTRACTS, ""]),
    sku=st.just("TENT"),
)
lines = st.builds(
    PosLine,
    document=st.sampled_from(CONTRACTS),
    kind=st.sampled_from(["rental", "return", "void", "sale"]),
    sku=st.sampled_from(["TENT", "CUP"]),
    line=st.sampled_from([None, 1, 2]),
    quantity=st.sampled_from([1.0, 2.0]),
)
others = st.builds(
    Maintenance, epc=st.sampled_from(EPCS), kind=st.just("repair"), cost_cents=st.just(5)
)
undos = st.builds(
    Correction,
    action=st.just("undo_scan"),
    epc=st.sampled_from(EPCS),
    contract=st.sampled_from([*CONTRACTS, ""]),
    scan_type=st.sampled_from(["Rental", "Return", "Pickup"]),
)


def tell(ledger: Ledger, event: Event, at_ms: int) -> None:
    event.at = at_ms
    for hook in deeds.HOOKS.get(type(event), ()):
        hook(ledger, event, Told(at_ms, at_ms))


def out_by_hand(ledger: Ledger, contract: str) -> bool:
    """The slow way: count what went out and what came back, class by class."""
    items = [r for r in ledger.rows(ContractItem).values() if r.contract == contract]
    told = [r for r in ledger.rows(ContractLine).values() if r.contract == contract]
    for sku in {r.sku for r in told} | {r.sku for r in items}:
        mine = [r for r in items if r.sku == sku]
        if any(r.state != "back" for r in mine):
            return True
        out = sum(r.units for r in told if r.sku == sku and r.kind == "rental")
        back = sum(r.units for r in told if r.sku == sku and r.kind == "return")
        if out > max(back, len(mine)):
            return True
    return False


RENTED = PosLine(document="C1", kind="rental", sku="TENT", line=1, quantity=2.0)
BACK = PosLine(document="C1", kind="return", sku="TENT", line=2, quantity=2.0)


@given(st.lists(st.one_of(scans, lines, lines, others, undos), min_size=5, max_size=40))
@example([RENTED, BACK])
@example([RENTED, ItemScan(epc="E1", scan_type="Rental", contract="C1", sku="TENT"), BACK])
def test_a_contract_is_open_exactly_while_something_is_out(events: list[Event]) -> None:
    ledger = Ledger(TABLES)
    for i, event in enumerate(events):
        tell(ledger, event, 1_000 + i)
        for contract in ledger.rows(Contract).values():
            assert (contract.state == "open") == out_by_hand(ledger, contract.contract)
            assert (contract.state == "open") == (contract.classes_out > 0)
            assert contract.items == len(ledger.by(ContractItem, "contract", contract.contract))
            assert contract.lines_known == len(
                ledger.by(ContractLine, "contract", contract.contract)
            )
            assert (contract.returned_ms > 0) == (contract.state == "returned")
    copy = Ledger(TABLES)
    copy.load(ledger.save())
    assert copy.save() == ledger.save()


@given(st.lists(st.one_of(scans, lines), max_size=20))
def test_what_is_back_for_a_week_closes_and_leaves_memory(events: list[Event]) -> None:
    ledger = Ledger(TABLES)
    for i, event in enumerate(events):
        tell(ledger, event, 1_000 + i)
    returned = [c.contract for c in ledger.rows(Contract).values() if c.state == "returned"]
    ledger.into = {}
    now_ms = 2_000 + GRACE_MS
    for due_ms, kind, key in ledger.due(now_ms):
        deeds.WAKES[kind](ledger, key, Told(due_ms, 0))
    for number in returned:
        row = ledger.get(Contract, number)
        assert isinstance(row, Contract)
        assert (row.state, row.closed_by) == ("closed", "")
        assert not ledger.by(ContractItem, "contract", number)
        assert not ledger.by(ContractLine, "contract", number)
        assert ledger.into["contracts", (number,)] == row
    assert all(c.state == "open" for c in ledger.rows(Contract).values() if not c.closed_ms)
    for due_ms, kind, key in ledger.due(now_ms + KNOWN_MS):
        deeds.WAKES[kind](ledger, key, Told(due_ms, 0))
    assert not set(returned) & {number for (number,) in ledger.rows(Contract)}


def test_an_item_that_goes_out_again_before_the_week_is_over_keeps_its_contract_open() -> None:
    ledger = Ledger(TABLES)
    tell(ledger, ItemScan(epc="E1", scan_type="Rental", contract="C1"), 1_000)
    tell(ledger, ItemScan(epc="E1", scan_type="Return"), 2_000)
    tell(ledger, ItemScan(epc="E1", scan_type="Rental", contract="C1"), 3_000)
    for due_ms, kind, key in ledger.due(2_000 + GRACE_MS):
        deeds.WAKES[kind](ledger, key, Told(due_ms, 0))
    row = ledger.get(Contract, "C1")
    assert row is not None
    assert row.state == "open"


def test_a_return_without_a_contract_belongs_to_the_newest_way_out() -> None:
    ledger = Ledger(TABLES)
    for at_ms, number in ((1_000, "C1"), (2_000, "C2")):
        tell(ledger, ItemScan(epc="E1", scan_type="Rental", contract=number), at_ms)
    tell(ledger, ItemScan(epc="E1", scan_type="Return", defects=["oil"]), 3_000)
    new, old = ledger.get(ContractItem, "C2", "E1"), ledger.get(ContractItem, "C1", "E1")
    assert new is not None
    assert old is not None
    assert (new.state, new.defects, old.state) == ("back", ["oil"], "out")


def test_closing_twice_is_refused_and_a_key_is_answered_alike() -> None:
    ledger = Ledger(TABLES)
    tell(ledger, ItemScan(epc="E1", scan_type="Rental", contract="C1"), 1_000)
    first = deeds.do(ledger, CloseContract(contract="C1", key="k"), Told(2_000, 1))
    assert first[0] == "done"
    assert msgspec.json.decode(first[1])["state"] == "closed"
    assert deeds.do(ledger, CloseContract(contract="C1", key="k"), Told(3_000, 2)) == first
    assert deeds.do(ledger, CloseContract(contract="C1"), Told(3_000, 3))[0] == "conflict"
    assert deeds.do(ledger, CloseContract(contract="C2"), Told(3_000, 4))[0] == "unknown"


def test_a_number_under_which_everything_is_scanned_stays_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contracts, "ITEMS_MAX", 3)
    monkeypatch.setattr(contracts, "LINES_MAX", 2)
    ledger = Ledger(TABLES)
    for n in range(6):
        tell(ledger, ItemScan(epc=f"E{n}", scan_type="Rental", contract="C1"), 1_000 + n)
        tell(ledger, PosLine(document="C1", kind="rental", sku="CUP", line=n), 1_000 + n)
    row = ledger.get(Contract, "C1")
    assert row is not None
    assert (row.items, row.lines_known) == (3, 2)
    assert len(ledger.rows(ContractItem)) == 3
    units = ledger.get(ContractUnits, "C1", "CUP")
    assert units is not None
    assert units.rented == 6.0
