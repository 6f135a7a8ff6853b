"""Packs in the ledger: made once, taken apart once, by people or decisions, and undone."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from edge.commands import Command, Propose, Told
from edge.decisions.deeds import Approve, Undo
from edge.decisions.rows import Decision, Safeguards
from edge.ledger import deeds
from edge.ledger.ledger import Ledger
from edge.ledger.packs import CreatePack, DissolvePack, Pack, PackPart, pack_id
from edge.ledger.tables import TABLES

PARTS = [PackPart("TENT"), PackPart("POLE", 4)]


def shop() -> Ledger:
    ledger = Ledger(TABLES)
    ledger.put(Safeguards(dry_run=False))
    return ledger


def do(ledger: Ledger, command: Command, at_ms: int = 5) -> tuple[str, Any]:
    code, detail = deeds.do(ledger, command, Told(at_ms, at_ms))
    for waits in ledger.by(Decision, "status", "pending"):  # a person says yes
        deeds.do(ledger, Approve(id=waits.id, by="eve"), Told(at_ms, at_ms))
    return code, msgspec.json.decode(detail) if code == "done" else detail


def pack(**other: Any) -> Pack:
    told: dict[str, Any] = {"name": "Party", "store": "main", "parts": PARTS, "price_cents": 9_000}
    return Pack(**(told | other))


def only(ledger: Ledger) -> Pack:
    (found,) = ledger.rows(Pack).values()
    return found


def test_a_pack_is_made_once_taken_apart_once_and_can_come_back() -> None:
    ledger = shop()
    code, told = do(ledger, CreatePack(pack=pack(), by="eve"))
    assert code == "done"
    assert told["sku"] == f"PACK-{told['id']}"
    assert do(ledger, CreatePack(pack=pack(name="Other")))[0] == "conflict"
    assert do(ledger, DissolvePack(id=told["id"], by="eve", why="dull"))[0] == "done"
    assert (only(ledger).status, only(ledger).dissolved_why) == ("dissolved", "dull")
    assert do(ledger, DissolvePack(id=told["id"]))[0] == "conflict"
    assert do(ledger, DissolvePack(id="nobody"))[0] == "unknown"
    code, again = do(ledger, CreatePack(pack=pack(price_cents=8_000)))
    assert (again["id"], again["sku"], again["status"]) == (told["id"], told["sku"], "offered")


@pytest.mark.parametrize(
    "wrong",
    [
        {"parts": [PackPart("TENT")]},
        {"parts": [PackPart("TENT"), PackPart("TENT")]},
        {"parts": [PackPart("TENT"), PackPart("")]},
        {"parts": [PackPart("TENT"), PackPart("POLE", -1)]},
        {"parts": [PackPart(f"C{i}") for i in range(9)]},
        {"price_cents": 0},
        {"name": ""},
        {"sku": "TENT"},
        {"sku": "x" * 300},
        {"store": "x" * 300},
        {"name": "x" * 3_000},
        {"price_cents": 2**63},
        {"separate_cents": 2**63},
        {"parts": [PackPart("TENT"), PackPart("x" * 300)]},
    ],
)
def test_a_pack_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    ledger = shop()
    assert do(ledger, CreatePack(pack=pack(**wrong)))[0] == "invalid"
    assert ledger.count(Pack) == 0


def test_a_price_far_from_that_of_the_parts_is_taken_from_whoever_confirms_it_alone() -> None:
    ledger = shop()
    slip = pack(price_cents=9_000_000, separate_cents=9_000)
    code, words = do(ledger, CreatePack(pack=slip))
    assert code == "limit"
    assert words.startswith("90,000.00 is 1,000 times what its parts cost apart, 90.00")
    assert ledger.count(Pack) == 0
    assert do(ledger, CreatePack(pack=slip, confirm=True))[0] == "done"


def test_two_packs_are_not_handed_out_under_one_sku() -> None:
    ledger = shop()
    do(ledger, CreatePack(pack=pack(sku="P1")))
    other = [PackPart("TABLE"), PackPart("CHAIR", 8)]
    assert do(ledger, CreatePack(pack=pack(sku="P1", parts=other)))[0] == "conflict"
    assert do(ledger, CreatePack(pack=pack(sku="P1", parts=other, store="south")))[0] == "done"


def test_decisions_make_and_dissolve_packs_and_undo_what_they_did() -> None:
    ledger = shop()
    data = {
        "name": "Party",
        "parts": [{"sku": "TENT"}, {"sku": "POLE", "units": 4}],
        "price_cents": 900,
    }
    target = pack_id("main", PARTS)
    propose = Propose(kind="pack_create", target=target, store="main", period="2026-W47",
                      confidence=0.95, impact_cents=100, data=data)  # fmt: skip
    assert do(ledger, propose)[0] == "done"
    assert (only(ledger).id, only(ledger).status) == (target, "offered")
    (made,) = ledger.rows(Decision).values()
    assert made.status == "executed"
    assert do(ledger, Undo(id=made.id, by="eve"))[0] == "done"
    assert only(ledger).status == "dissolved"
    do(ledger, CreatePack(pack=pack()))
    apart = Propose(kind="pack_dissolve", target=target, store="main", period="2026-W48",
                    confidence=0.95, impact_cents=100)  # fmt: skip
    assert do(ledger, apart)[0] == "done"
    assert only(ledger).status == "dissolved"
    dissolved = list(ledger.rows(Decision).values())[-1]
    assert do(ledger, Undo(id=dissolved.id, by="eve"))[0] == "done"
    assert only(ledger).status == "offered"


def test_a_decision_about_a_pack_that_cannot_be_fails_with_words() -> None:
    ledger = shop()
    wrong = Propose(kind="pack_create", target="x", store="main", period="2026-W47", confidence=0.95,
                    impact_cents=100, data={"name": "Party", "parts": 7})  # fmt: skip
    do(ledger, wrong)
    (decision,) = ledger.rows(Decision).values()
    assert decision.status == "failed"
    assert decision.failure


def test_a_full_table_lets_the_pack_go_that_was_dissolved_longest_ago() -> None:
    ledger = Ledger([replace(t, limit=2) if t.name == "packs" else t for t in TABLES])
    for number in range(2):
        parts = [PackPart(f"A{number}"), PackPart("B")]
        made = do(ledger, CreatePack(pack=pack(parts=parts)), 10 + number)[1]
        if number == 0:
            do(ledger, DissolvePack(id=made["id"]), 20)
    third = [PackPart("A3"), PackPart("B")]
    assert do(ledger, CreatePack(pack=pack(parts=third)), 30)[0] == "done"
    assert [row.parts[0].sku for row in ledger.rows(Pack).values()] == ["A1", "A3"]
    assert (
        do(ledger, CreatePack(pack=pack(parts=[PackPart("A4"), PackPart("B")])), 31)[0] == "limit"
    )
