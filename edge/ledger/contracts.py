"""Contracts at check-in: what went out under each, what came back, and in which state. Pure.

Rows come from scans that name a contract (or of items that are out under one), and from lines of
rentals and their returns. What is charged for what is missing or damaged is not decided here. A
contract closes by itself some days after everything came back, or by command; then its items and
lines live in the store alone, and some months later it does too.
"""

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct

from edge.commands import Command, Done, Outcome, Refused, Told
from edge.events import Correction, Event, ItemScan, Maintenance, PosLine
from edge.ledger.ledger import Deed, Hook, Key, Ledger, Table, Wake

DAY_MS = 86_400_000
GRACE_MS = 7 * DAY_MS
"""So long after the last return a contract stays open: inspections come later."""
KNOWN_MS = 90 * DAY_MS
"""So long a closed contract is remembered: what was lost may be found."""
ITEMS_MAX = 10_000
LINES_MAX = 2_000
"""Of one contract; where everything is scanned under one number, that is no contract."""
OUT = frozenset({"Rental", "Delivery"})
WORKED_ON = frozenset({"repair", "failure", "replacement"})


class Contract(Struct, frozen=True, kw_only=True):
    """One rental contract."""

    contract: str
    """Contract number."""
    store: str
    """Store that told of it first."""
    customer: str = ""
    """Customer, pseudonymous key."""
    state: Literal["open", "returned", "closed"] = "open"
    """``open``: something is out; ``returned``: nothing is; ``closed``: settled."""
    classes_out: int = 0
    """Classes of which something is out."""
    items: int = 0
    """Items known under it; beyond ``ITEMS_MAX`` no more are told apart."""
    lines_known: int = 0
    """Lines known under it; beyond ``LINES_MAX`` they only count."""
    opened_ms: int
    """First event under it."""
    last_ms: int
    """Newest event under it."""
    due_ms: int = 0
    """Latest moment that anything of it is due back; 0: not told."""
    returned_ms: int = 0
    """When the last of it came back; 0: something is out."""
    closed_ms: int = 0
    """When it was closed; 0: it is not."""
    closed_by: str = ""
    """Who closed it; empty: it closed by itself."""
    note: str = ""
    """Words of whoever closed it."""

    @property
    def owed_ms(self) -> int:
        """When what is out of it is due back; 0: nothing is, or nobody told."""
        return self.due_ms if self.state == "open" else 0


class ContractItem(Struct, frozen=True, kw_only=True):
    """One item under a contract."""

    contract: str
    """Contract number."""
    epc: str
    """The item."""
    sku: str = ""
    """Its class, as far as the scans told it."""
    name: str = ""
    """Its name, as far as the scans told it."""
    state: Literal["out", "picked_up", "back"] = "out"
    """Where it is; ``picked_up``: with our driver."""
    out_ms: int = 0
    """When it went out; 0: nobody scanned that."""
    back_ms: int = 0
    """When it came back; 0: it has not."""
    due_ms: int = 0
    """When it is due back; 0: as the contract."""
    grade_out: str = ""
    """Quality grade when it went out."""
    grade_back: str = ""
    """Quality grade when it came back."""
    defects: list[str] = []
    """Defect flags set when it came back or was looked at afterwards."""
    repair_cents: int = 0
    """What repairing it cost since it came back, cents."""
    closed: bool = False
    """Whether its contract is closed."""


class ContractLine(Struct, frozen=True, kw_only=True):
    """One line of a rental document, or of what came back under it."""

    id: str
    """Derived from contract, kind, line number and class."""
    contract: str
    """Contract number."""
    kind: Literal["rental", "return"]
    """Which way the goods went."""
    line: int
    """Line number; -1: the document has none."""
    sku: str
    """Class or SKU."""
    name: str = ""
    """Name, as the line told it."""
    units: float
    """Units."""
    price_cents: int = 0
    """Price of one unit, cents."""
    at_ms: int
    """When it was told."""
    due_ms: int = 0
    """When it is due back; 0: not told."""
    closed: bool = False
    """Whether its contract is closed."""


class ContractUnits(Struct, frozen=True, kw_only=True):
    """What is out and back of one class under a contract: sums, so that no event looks at all rows."""

    contract: str
    """Contract number."""
    sku: str
    """Class; empty: items of which nobody told it."""
    rented: float = 0.0
    """Units of rental lines."""
    returned: float = 0.0
    """Units of return lines."""
    items_out: int = 0
    """Items that went out and are not back."""
    items_back: int = 0
    """Items that are back."""
    closed: bool = False
    """Whether its contract is closed."""

    @property
    def short(self) -> bool:
        """Whether something of it is out."""
        return self.items_out > 0 or self.rented > max(self.returned, self.items_back) + 1e-9


TABLES = (
    Table(
        "contracts",
        Contract,
        ("contract",),
        50_000,
        ordered=("opened_ms", "owed_ms"),
    ),
    Table(
        "contract_items",
        ContractItem,
        ("contract", "epc"),
        100_000,
        kept="open",
        is_open=lambda row: not row.closed,
        index=("contract", "epc"),
    ),
    Table(
        "contract_lines",
        ContractLine,
        ("id",),
        100_000,
        kept="open",
        is_open=lambda row: not row.closed,
        index=("contract",),
    ),
    Table(
        "contract_units",
        ContractUnits,
        ("contract", "sku"),
        100_000,
        kept="open",
        is_open=lambda row: not row.closed,
        index=("contract",),
    ),
)


class CloseContract(Command, tag="close_contract", kw_only=True):
    """Settle a contract: what is missing now is taken for lost."""

    contract: str
    """Contract number."""
    note: str = ""
    """What was agreed."""


# -- what events change ----------------------------------------------------------------------------


def scanned(ledger: Ledger, event: ItemScan, told: Told) -> None:
    """An item goes out, is picked up, comes back, or is looked at."""
    at_ms = _at(event, told)
    if event.scan_type in OUT and event.contract:
        _goes_out(ledger, event, at_ms)
        return
    before = _item_of(ledger, event.contract, event.epc)
    item = before
    if item is None and event.contract and event.scan_type == "Return":
        _touch(ledger, event.contract, event.store, event.customer, at_ms, 0, out=False)
        item = ContractItem(contract=event.contract, epc=event.epc)
    if item is None:
        return
    defects = [*item.defects, *(d for d in event.defects if d not in item.defects)]
    item = msgspec.structs.replace(
        item, sku=event.sku or item.sku, name=event.name or item.name, defects=defects
    )
    if event.scan_type == "Return":
        grade = event.grade or item.grade_back
        item = msgspec.structs.replace(item, state="back", back_ms=at_ms, grade_back=grade)
    elif event.scan_type == "Pickup" and item.state == "out":
        item = msgspec.structs.replace(item, state="picked_up")
    elif event.grade and item.state == "back":
        item = msgspec.structs.replace(item, grade_back=event.grade)
    _put_item(ledger, before, item, at_ms)


def _goes_out(ledger: Ledger, event: ItemScan, at_ms: int) -> None:
    before = ledger.get(ContractItem, event.contract, event.epc)
    _touch(ledger, event.contract, event.store, event.customer, at_ms, 0, out=True)
    first_ms = before.out_ms if before is not None and before.state == "out" else 0
    item = ContractItem(
        contract=event.contract,
        epc=event.epc,
        sku=event.sku or (before.sku if before else ""),
        name=event.name or (before.name if before else ""),
        out_ms=first_ms or at_ms,
        due_ms=before.due_ms if before else 0,
        grade_out=event.grade or (before.grade_out if before else ""),
    )
    _put_item(ledger, before, item, at_ms)


def told_line(ledger: Ledger, event: PosLine, told: Told) -> None:
    """A rental line opens a contract; returns and voids matter to those that are open."""
    if event.kind == "sale":
        return
    at_ms, due_ms = _at(event, told), int(event.due or 0)
    if event.kind == "void":
        _void(ledger, event.document, event.line, event.sku, at_ms)
        return
    if event.kind == "return" and ledger.get(Contract, event.document) is None:
        return  # goods that were sold
    out = event.kind == "rental"
    _touch(ledger, event.document, event.store, event.customer, at_ms, due_ms, out=out)
    line = -1 if event.line is None else event.line
    known = f"{event.document}\x1f{event.kind}\x1f{line}\x1f{event.sku}"
    id_ = hashlib.sha256(known.encode()).hexdigest()[:24]
    before = ledger.get(ContractLine, id_)
    more = before.units if before is not None and line < 0 else 0.0
    row = ContractLine(
        id=id_,
        contract=event.document,
        kind=event.kind,
        line=line,
        sku=event.sku,
        name=event.name,
        units=more + event.quantity,
        price_cents=event.price_cents,
        at_ms=at_ms,
        due_ms=due_ms,
    )
    _put_line(ledger, before, row, at_ms)
    if event.epc:
        _item_line(ledger, event, at_ms, due_ms)


def _item_line(ledger: Ledger, event: PosLine, at_ms: int, due_ms: int) -> None:
    """A line that names its item says as much as a scan."""
    before = ledger.get(ContractItem, event.document, event.epc)
    if event.kind == "return":
        if before is not None:
            back = msgspec.structs.replace(before, state="back", back_ms=at_ms)
            _put_item(ledger, before, back, at_ms)
        return
    item = before or ContractItem(contract=event.document, epc=event.epc, out_ms=at_ms)
    item = msgspec.structs.replace(item, sku=event.sku, name=event.name or item.name, due_ms=due_ms)
    _put_item(ledger, before, item, at_ms)


def corrected(ledger: Ledger, event: Correction, told: Told) -> None:
    """A scan is undone, or a line is voided."""
    at_ms = _at(event, told)
    if event.action == "void_line":
        _void(ledger, event.document, event.line, event.sku, at_ms)
        return
    item = _item_of(ledger, event.contract, event.epc)
    if item is None:
        return
    if event.scan_type in OUT and item.state == "out":
        _put_item(ledger, item, None, at_ms)
    elif event.scan_type == "Return" and item.state == "back":
        out = msgspec.structs.replace(item, state="out", back_ms=0, grade_back="", defects=[])
        _put_item(ledger, item, out, at_ms)
    elif event.scan_type == "Pickup" and item.state == "picked_up":
        _put_item(ledger, item, msgspec.structs.replace(item, state="out"), at_ms)


def maintained(ledger: Ledger, event: Maintenance, told: Told) -> None:
    """What repairing an item cost that came back under a contract not yet closed."""
    item = _item_of(ledger, "", event.epc)
    if item is None or item.state != "back" or event.kind not in WORKED_ON:
        return
    if event.as_planned:  # nobody broke anything
        return
    grade = event.grade or item.grade_back
    cents = item.repair_cents + max(event.cost_cents, 0)
    ledger.put(msgspec.structs.replace(item, repair_cents=cents, grade_back=grade))


def _void(ledger: Ledger, contract: str, line: int | None, sku: str, at_ms: int) -> None:
    found = [
        row
        for row in ledger.by(ContractLine, "contract", contract)
        if (row.line == line if line is not None else row.sku == sku)
    ]
    if found:
        _put_line(ledger, max(found, key=lambda row: (row.at_ms, row.id)), None, at_ms)


# -- one row more, another, or one less ----------------------------------------------------------------


def _put_item(
    ledger: Ledger, before: ContractItem | None, after: ContractItem | None, at_ms: int
) -> None:
    """Change an item under a contract, and the sums with it."""
    known = after or before
    assert known is not None
    contract = ledger.get(Contract, known.contract)
    if contract is None or (before is None and contract.items >= ITEMS_MAX):
        return
    if contract.state == "closed":  # found after all; its other items are not in memory any more
        ledger.put(msgspec.structs.replace(known, closed=True))
        return
    if after is None:
        ledger.drop(ContractItem, known.contract, known.epc)
    else:
        ledger.put(after)
    for item, by in ((before, -1), (after, +1)):
        if item is not None:
            back = item.state == "back"
            _count(ledger, item.contract, item.sku, "items_back" if back else "items_out", by)
    more = (after is not None) - (before is not None)
    _settle(ledger, known.contract, at_ms, items=more)


def _put_line(
    ledger: Ledger, before: ContractLine | None, after: ContractLine | None, at_ms: int
) -> None:
    """Change a line of a contract, and the sums with it."""
    known = after or before
    assert known is not None
    contract = ledger.get(Contract, known.contract)
    if contract is None:
        return
    if contract.state == "closed":
        ledger.put(msgspec.structs.replace(known, closed=True))
        return
    room = before is not None or contract.lines_known < LINES_MAX
    if after is None:
        ledger.drop(ContractLine, known.id)
    elif room:
        ledger.put(after)
    for line, sign in ((before, -1), (after, +1)):
        if line is not None:
            name = "rented" if line.kind == "rental" else "returned"
            _count(ledger, line.contract, line.sku, name, sign * line.units)
    more = ((after is not None) - (before is not None)) if room else 0
    _settle(ledger, known.contract, at_ms, lines=more)


def _count(ledger: Ledger, contract: str, sku: str, name: str, by: float) -> None:
    """Change one sum of a class, and with it how many classes are out."""
    row = ledger.get(ContractUnits, contract, sku) or ContractUnits(contract=contract, sku=sku)
    now = msgspec.structs.replace(row, **{name: getattr(row, name) + by})
    ledger.put(now)
    if now.short != row.short:
        whole = ledger.get(Contract, contract)
        assert whole is not None, contract
        ledger.put(
            msgspec.structs.replace(whole, classes_out=whole.classes_out + now.short - row.short)
        )


# -- a contract as a whole ---------------------------------------------------------------------------


def _at(event: Event, told: Told) -> int:
    return event.at if isinstance(event.at, int) and event.at > 0 else told.at_ms


def _item_of(ledger: Ledger, contract: str, epc: str) -> ContractItem | None:
    """The item under this contract; under none named: under that of its newest way out."""
    if contract:
        return ledger.get(ContractItem, contract, epc)
    return max(
        ledger.by(ContractItem, "epc", epc),
        key=lambda row: (row.out_ms, row.contract),
        default=None,
    )


def _touch(
    ledger: Ledger, contract: str, store: str, customer: str, at_ms: int, due_ms: int, *, out: bool
) -> None:
    """Begin a contract, or go on with it; ``out``: something goes out, so that a closed one opens anew."""
    before = ledger.get(Contract, contract)
    if before is None:
        before = Contract(contract=contract, store=store, opened_ms=at_ms, last_ms=at_ms)
    elif before.state == "closed" and out:
        before = msgspec.structs.replace(
            before, state="open", returned_ms=0, closed_ms=0, closed_by="", note=""
        )
    ledger.put(
        msgspec.structs.replace(
            before,
            customer=customer or before.customer,
            opened_ms=min(before.opened_ms, at_ms),
            last_ms=max(before.last_ms, at_ms),
            due_ms=max(before.due_ms, due_ms),
        )
    )


def _settle(ledger: Ledger, contract: str, at_ms: int, items: int = 0, lines: int = 0) -> None:
    """Whether everything is back; if so it closes later by itself."""
    row = ledger.get(Contract, contract)
    assert row is not None, contract
    row = msgspec.structs.replace(
        row,
        last_ms=max(row.last_ms, at_ms),
        items=row.items + items,
        lines_known=row.lines_known + lines,
    )
    if row.classes_out:
        ledger.put(msgspec.structs.replace(row, state="open", returned_ms=0))
        return
    if row.state == "open":
        row = msgspec.structs.replace(row, state="returned", returned_ms=row.last_ms)
        ledger.wake(row.returned_ms + GRACE_MS, "contract", (contract,))
    ledger.put(row)


def _close(ledger: Ledger, row: Contract, at_ms: int, by: str, note: str) -> Contract:
    made = msgspec.structs.replace(row, state="closed", closed_ms=at_ms, closed_by=by, note=note)
    for kind in (ContractItem, ContractLine, ContractUnits):
        for one in ledger.by(kind, "contract", row.contract):
            ledger.put(msgspec.structs.replace(one, closed=True))
    ledger.put(made)
    ledger.wake(at_ms + KNOWN_MS, "contract_closed", (row.contract,))
    return made


def close(ledger: Ledger, command: CloseContract, told: Told) -> Outcome:
    """The contract as it is now."""
    row = ledger.get(Contract, command.contract)
    if row is None:
        words = (
            f"no contract {command.contract!r} is known: it was never told of, or closed long ago"
        )
        return Refused("unknown", words)
    if row.state == "closed":
        return Refused("conflict", f"contract {command.contract!r} is closed already")
    return Done(_close(ledger, row, told.at_ms, command.by, command.note))


def ripe(ledger: Ledger, key: Key, told: Told) -> None:
    """Some days after the last return: nothing more is expected."""
    row = ledger.get(Contract, *key)
    if row is not None and row.state == "returned" and row.returned_ms + GRACE_MS <= told.at_ms:
        _close(ledger, row, told.at_ms, "", "")


def forgotten(ledger: Ledger, key: Key, told: Told) -> None:
    """Closed for months: the store knows it still."""
    row = ledger.get(Contract, *key)
    if row is not None and row.state == "closed" and row.closed_ms + KNOWN_MS <= told.at_ms:
        ledger.release(Contract, *key)


DEEDS: dict[type[Command], Deed] = {CloseContract: close}
HOOKS: dict[type[Event], tuple[Hook, ...]] = {
    ItemScan: (scanned,),
    PosLine: (told_line,),
    Correction: (corrected,),
    Maintenance: (maintained,),
}
WAKES: dict[str, Wake] = {"contract": ripe, "contract_closed": forgotten}
