"""Packs: classes that are offered together at a price of their own. Pure.

A pack is handed out under a SKU of its own, so its units, revenue and lines are counted like those of any
class. Packs that were taken apart stay in the table, for the record and for undoing.
"""

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from edge.commands import Command, Done, Outcome, Refused, Told
from edge.decisions.rows import Decision
from edge.ledger.ledger import Deed, Ledger, Table
from edge.ledger.prices import jump

PACKS_MAX = 5_000
CENTS_MAX, NAME_MAX, WORDS_MAX = 10**12, 255, 2_000
PARTS_MAX = 8
"""Most classes of a pack."""


class PackPart(Struct, frozen=True):
    """One class of a pack."""

    sku: str
    """Class or SKU."""
    units: float = 1.0
    """Units of it in a pack."""


class Pack(Struct, frozen=True, kw_only=True):
    """One pack."""

    id: str = ""
    """Derived from store and parts."""
    name: str
    """Name for people."""
    sku: str = ""
    """SKU under which it is handed out; empty when asked for: ``PACK-`` and the id."""
    store: str
    """Store that offers it."""
    parts: list[PackPart]
    """What is in it."""
    price_cents: int
    """Price of the pack, cents."""
    separate_cents: int = 0
    """What its parts cost apart when it was made, cents; 0: not known."""
    status: Literal["offered", "dissolved"] = "offered"
    """Whether it is still offered."""
    created_ms: int = 0
    """When it was made (again)."""
    created_by: str = ""
    """Who made it; empty: a decision."""
    created_why: str = ""
    """Why."""
    decision: str = ""
    """The decision that made it, or took it apart."""
    dissolved_ms: int = 0
    """When it was taken apart; 0: it is not."""
    dissolved_by: str = ""
    """Who took it apart."""
    dissolved_why: str = ""
    """Why."""
    changed_ms: int = 0
    """When it last changed."""


TABLES = (Table("packs", Pack, ("id",), PACKS_MAX, index=("sku", "store")),)


class CreatePack(Command, tag="create_pack", kw_only=True):
    """Offer a pack."""

    pack: Pack
    """What it is; id, moments and status are set here."""
    confirm: bool = False
    """Whether its price is meant, however far from what its parts cost apart."""


class DissolvePack(Command, tag="dissolve_pack", kw_only=True):
    """Offer a pack no more."""

    id: str
    """Id of the pack."""


def pack_id(store: str, parts: list[PackPart]) -> str:
    """The same store and parts make the same pack.

    >>> one = pack_id("main", [PackPart("TENT"), PackPart("POLE", 4)])
    >>> one == pack_id("main", [PackPart("POLE", 4.0), PackPart("TENT")]), len(one)
    (True, 16)
    """
    told = [store, *sorted((part.sku, float(part.units)) for part in parts)]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]


def create(ledger: Ledger, command: CreatePack, told: Told) -> Outcome:
    """The pack as it is now."""
    row = made(ledger, command.pack, told, by=command.by, why=command.why)
    if isinstance(row, Refused):
        return row
    far = jump(row.price_cents, row.separate_cents, "what its parts cost apart,")
    if far and not command.confirm:
        return Refused("limit", f'{far}: if that is meant, send the same with "confirm": true')
    _make_room(ledger, row)
    ledger.put(row)
    return Done(row)


def _make_room(ledger: Ledger, row: Pack) -> None:
    """The pack that was dissolved longest ago leaves memory, where there is no room; the store keeps it."""
    if ledger.room(Pack) > 0 or ledger.get(Pack, row.id) is not None:
        return
    gone = [pack for pack in ledger.rows(Pack).values() if pack.status == "dissolved"]
    if gone:
        ledger.release(Pack, min(gone, key=lambda pack: (pack.dissolved_ms, pack.id)).id)


def made(
    ledger: Ledger, asked: Pack, told: Told, *, by: str = "", why: str = "", decision: str = ""
) -> Pack | Refused:
    """The pack that is to be put; or what is wrong."""
    skus = [part.sku for part in asked.parts]
    if sum(part.units for part in asked.parts) <= 1 or len(skus) > PARTS_MAX:
        return Refused("invalid", f"parts: two units at least, {PARTS_MAX} classes at most")
    if len(set(skus)) < len(skus) or not all(skus):
        return Refused("invalid", "parts: name each class once")
    if not all(0 < part.units < 1e6 for part in asked.parts):
        return Refused("invalid", "parts: units above 0 are needed")
    if not 0 < asked.price_cents <= CENTS_MAX or not 0 <= asked.separate_cents <= CENTS_MAX:
        return Refused("invalid", "a price above 0 (and below 10^12 cents) is needed")
    if not 0 < len(asked.name) <= WORDS_MAX:
        return Refused("invalid", f"a name of at most {WORDS_MAX} characters is needed")
    if max(map(len, (asked.store, asked.sku, *skus))) > NAME_MAX:
        return Refused("invalid", f"a store or SKU is longer than {NAME_MAX} characters")
    id_ = pack_id(asked.store, asked.parts)
    old = ledger.get(Pack, id_)
    if old is not None and old.status == "offered":
        return Refused(
            "conflict", f"the pack {id_} has the same parts in {asked.store!r}: {old.name}"
        )
    sku = asked.sku or (old.sku if old else f"PACK-{id_}")
    if sku in skus:
        return Refused("invalid", f"the pack is handed out as {sku!r}, which is one of its parts")
    for other in ledger.by(Pack, "sku", sku):
        if other.id != id_ and other.store == asked.store and other.status == "offered":
            return Refused("conflict", f"the pack {other.id} is handed out as {sku!r} already")
    return replace(
        asked, id=id_, sku=sku, status="offered", created_ms=told.at_ms, created_by=by,
        created_why=why[:WORDS_MAX], decision=decision, dissolved_ms=0, dissolved_by="", dissolved_why="",
        changed_ms=told.at_ms,
    )  # fmt: skip


def dissolve(ledger: Ledger, command: DissolvePack, told: Told) -> Outcome:
    """The pack as it was taken apart."""
    wrong = take_apart(ledger, command.id, told, by=command.by, why=command.why)
    return wrong or Done(ledger.get(Pack, command.id))


def take_apart(
    ledger: Ledger, id_: str, told: Told, *, by: str = "", why: str = "", decision: str = ""
) -> Refused | None:
    """Offer a pack no more; or what is wrong."""
    row = ledger.get(Pack, id_)
    if row is None:
        return Refused("unknown", f"there is no pack {id_!r}")
    if row.status != "offered":
        return Refused("conflict", f"the pack {id_} is taken apart already")
    ledger.put(
        replace(row, status="dissolved", dissolved_ms=told.at_ms, dissolved_by=by,
                dissolved_why=why[:WORDS_MAX], decision=decision, changed_ms=told.at_ms)
    )  # fmt: skip
    return None


def put_together(ledger: Ledger, id_: str, decision: str, told: Told) -> str:
    """Undo :func:`take_apart` by that decision. Why not, or empty."""
    row = ledger.get(Pack, id_)
    if row is None or row.status != "dissolved" or row.decision != decision:
        return "the pack was changed again since"
    ledger.put(replace(row, status="offered", dissolved_ms=0, dissolved_by="", dissolved_why="",
                       decision="", changed_ms=told.at_ms))  # fmt: skip
    return ""


# -- decisions ----------------------------------------------------------------------------------------


def make_from_decision(ledger: Ledger, decision: Decision, told: Told) -> str:
    """Carry out ``pack_create``: data ``name``, ``parts``, ``price_cents``, ``separate_cents``."""
    names = ("name", "parts", "price_cents", "separate_cents")
    fields = {name: decision.data[name] for name in names if name in decision.data}
    try:
        asked = msgspec.convert({**fields, "store": decision.store}, Pack)
    except msgspec.ValidationError as error:
        return str(error)
    why = decision.reasons[0] if decision.reasons else ""
    row = made(ledger, asked, told, why=why, decision=decision.id)
    if isinstance(row, Refused):
        return row.detail
    _make_room(ledger, row)
    if ledger.get(Pack, row.id) is None and ledger.room(Pack) <= 0:
        return f"{PACKS_MAX} packs are offered, its limit"
    ledger.put(row)
    return ""


def unmake_decision(ledger: Ledger, decision: Decision, told: Told) -> str:
    """Take ``pack_create`` back."""
    made_by = [row for row in ledger.rows(Pack).values() if row.decision == decision.id]
    if not made_by or made_by[0].status != "offered":
        return "the pack was changed again since"
    wrong = take_apart(ledger, made_by[0].id, told, why="the decision was undone")
    return wrong.detail if wrong else ""


def dissolve_from_decision(ledger: Ledger, decision: Decision, told: Told) -> str:
    """Carry out ``pack_dissolve``; the target is the pack's id."""
    why = decision.reasons[0] if decision.reasons else ""
    wrong = take_apart(ledger, decision.target, told, why=why, decision=decision.id)
    return wrong.detail if wrong else ""


def undissolve_decision(ledger: Ledger, decision: Decision, told: Told) -> str:
    """Take ``pack_dissolve`` back."""
    return put_together(ledger, decision.target, decision.id, told)


DEEDS: dict[type[Command], Deed] = {CreatePack: create, DissolvePack: dissolve}
