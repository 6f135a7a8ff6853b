"""Stock-takes by zone: what should be there, what was found, what was there and should not. Pure.

Whoever begins one says what is expected (the view knows it), whoever ends it says what was found; so
a replay of the journal counts the same. The items of a stock-take live in the store alone.
"""

import hashlib
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from edge.commands import Command, Done, Outcome, Refused, Told
from edge.ledger.ledger import Deed, Ledger, Table

UNKNOWN = -1
"""Items expected in a place of which nothing is known."""
ITEMS_MAX = 5_000
"""Items of one stock-take; a larger place is taken zone by zone, or bin by bin."""


class StockTake(Struct, frozen=True, kw_only=True):
    """One stock-take of a place."""

    id: str
    """Derived."""
    store: str
    """Store."""
    zone: str = ""
    """Zone; empty: not by zone."""
    bin: str = ""
    """Bin or rack; empty: not by bin."""
    state: Literal["open", "closed", "cancelled"] = "open"
    """``closed``: counted."""
    started_ms: int
    """When it began: what is read from then on counts as found."""
    ended_ms: int = 0
    """When it ended; 0: it is open."""
    expected: int
    """Items that should be there; -1: nothing was known of the place when it began."""
    found: int = 0
    """Of these, those that were found; of an unknown place all that were."""
    missing: int = 0
    """Of these, those that were not."""
    unexpected: int = 0
    """Items found that should be elsewhere, on rent, or are not known."""
    epcs: list[str] = []
    """Items that should be there, while it is open."""
    started_by: str = ""
    """Who began it."""
    note: str = ""
    """Free words."""


class StockTakeItem(Struct, frozen=True, kw_only=True):
    """One item in a stock-take that has ended."""

    id: str
    """The stock-take."""
    epc: str
    """The item."""
    sku: str = ""
    """Its class; empty: not known."""
    outcome: Literal["found", "missing", "unexpected"]
    """What became of it."""
    elsewhere: str = ""
    """Where an unexpected one should be, or where a missing one was seen."""


TABLES = (
    Table(
        "stock_takes",
        StockTake,
        ("id",),
        200,
        kept="open",
        is_open=lambda row: row.state == "open",
    ),
    Table("stock_take_items", StockTakeItem, ("id", "epc"), 0, kept="none"),
)


class SeenItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item that was found, or is missing."""

    epc: str
    """The item."""
    sku: str = ""
    """Its class."""
    elsewhere: str = ""
    """Where it should be, or was seen."""


class BeginStockTake(Command, tag="begin_stock_take", kw_only=True):
    """Begin to count a place."""

    store: str
    """Store."""
    zone: str = ""
    """Zone."""
    bin: str = ""
    """Bin or rack."""
    epcs: list[str]
    """What should be there."""
    known: bool = True
    """Whether anything is known of the place; if not, whatever is found counts as found."""
    note: str = ""
    """Free words."""


class EndStockTake(Command, tag="end_stock_take", kw_only=True):
    """Count what was found."""

    id: str
    """The stock-take."""
    found: list[SeenItem]
    """What was found, expected or not."""
    missing: list[SeenItem] = field(default_factory=list)
    """What is known of those that were not."""
    note: str = ""
    """Free words."""
    cancel: bool = False
    """Whether nothing is counted."""


def begin(ledger: Ledger, command: BeginStockTake, told: Told) -> Outcome:
    """The stock-take as it is now."""
    if bool(command.zone) == bool(command.bin):
        return Refused("invalid", "name a zone or a bin")
    if max(map(len, (command.store, command.zone, command.bin, *command.epcs))) > 255:
        return Refused("invalid", "a name is longer than 255 characters")
    if len(command.epcs) > ITEMS_MAX:
        return Refused("limit", f"{len(command.epcs)} items are there: at most {ITEMS_MAX} at once")
    for other in ledger.rows(StockTake).values():
        if (other.store, other.zone, other.bin) == (command.store, command.zone, command.bin):
            return Refused("conflict", f"{other.id!r} of this place is still open: end it first")
    parts = (str(told.ordinal), command.store, command.zone, command.bin)
    epcs = sorted(set(command.epcs)) if command.known else []
    row = StockTake(
        id="st-" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16],
        store=command.store,
        zone=command.zone,
        bin=command.bin,
        started_ms=told.at_ms,
        expected=len(epcs) if command.known else UNKNOWN,
        epcs=epcs,
        started_by=command.by,
        note=command.note,
    )
    ledger.put(row)
    return Done(replace(row, epcs=[]))


def end(ledger: Ledger, command: EndStockTake, told: Told) -> Outcome:
    """The stock-take with its counts."""
    row = ledger.get(StockTake, command.id)
    if row is None:
        return Refused("unknown", f"there is no open stock-take {command.id!r}")
    if len(command.found) > 2 * ITEMS_MAX:
        return Refused("limit", f"{len(command.found)} items were found: at most {2 * ITEMS_MAX}")
    told_of = [*command.found, *command.missing]
    if any(max(len(i.epc), len(i.sku), len(i.elsewhere)) > 255 for i in told_of):
        return Refused("invalid", "a name is longer than 255 characters")
    note = command.note or row.note
    if command.cancel:
        ended = replace(row, state="cancelled", ended_ms=told.at_ms, epcs=[], note=note)
        ledger.put(ended)
        return Done(ended)
    items = judged(row, command.found, command.missing)
    for epc, (outcome, item) in items.items():
        ledger.put(
            StockTakeItem(
                id=row.id, epc=epc, sku=item.sku, outcome=outcome, elsewhere=item.elsewhere
            )
        )
    outcomes = [outcome for outcome, _ in items.values()]
    ended = replace(
        row,
        state="closed",
        ended_ms=told.at_ms,
        found=outcomes.count("found"),
        missing=outcomes.count("missing"),
        unexpected=outcomes.count("unexpected"),
        epcs=[],
        note=note,
    )
    ledger.put(ended)
    return Done(ended)


Outcomes = dict[str, tuple[Literal["found", "missing", "unexpected"], SeenItem]]


def judged(take: StockTake, found: list[SeenItem], missing: list[SeenItem]) -> Outcomes:
    """Item -> what became of it; an item found twice counts once."""
    seen = {item.epc: item for item in found}
    if take.expected == UNKNOWN:
        return {epc: ("found", replace(item, elsewhere="")) for epc, item in seen.items()}
    should, known = set(take.epcs), {item.epc: item for item in missing}
    made: Outcomes = {}
    for epc in take.epcs:
        if epc in seen:
            made[epc] = "found", seen[epc]
        else:
            made[epc] = "missing", known.get(epc, SeenItem(epc=epc))
    for epc, item in seen.items():
        if epc not in should:
            made[epc] = "unexpected", item
    return made


DEEDS: dict[type[Command], Deed] = {BeginStockTake: begin, EndStockTake: end}
