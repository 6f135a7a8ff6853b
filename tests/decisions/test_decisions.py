"""Decisions: gates in order, one table of transitions, nothing twice, nothing beyond a limit."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from edge.commands import Command, Done, Propose, Refused, Told
from edge.decisions import deeds as what
from edge.decisions import gates
from edge.decisions.budget import HOUR_MS, spent_cents
from edge.decisions.rows import Decision, Delivery, OutboxLine, Safeguards, Status
from edge.decisions.transitions import FIRST, TRANSITIONS
from edge.ledger import deeds
from edge.ledger.catalogue import PutCatalogue
from edge.ledger.ledger import Ledger
from edge.ledger.orders import OrderLine
from edge.ledger.suppliers import PutSupply
from edge.ledger.tables import TABLES

NOW = 1_700_000_000_000
LIVE = Safeguards(dry_run=False)
HOOK = Delivery("webhook", "http://127.0.0.1:1/x")
HEARD = replace(LIVE, deliveries=[HOOK])
"""Limits of a shop in which somebody is told."""


PRICES = Delivery("mqtt", "shop/prices", ["pricing"])
PRICE = {"price_cents": 1_200, "baseline_cents": 1_000}


def proposal(**changed: Any) -> Propose:
    """A restock that every gate lets through."""
    told: dict[str, Any] = {
        "kind": "restock",
        "target": "chair",
        "store": "s1",
        "period": "2026-W47",
        "confidence": 0.9,
        "impact_cents": 20_000,
        "value_cents": 50_000,
        "data": {"units": 12},
    }
    return Propose(**(told | changed))


def shop(limits: Safeguards = LIVE) -> Ledger:
    """A ledger with these limits in force."""
    ledger = Ledger(TABLES)
    ledger.put(limits)
    return ledger


def do(ledger: Ledger, command: Command, at_ms: int = NOW) -> Any:
    """The detail of what was done."""
    outcome = deeds.DEEDS[type(command)](ledger, command, Told(at_ms, 0))
    assert isinstance(outcome, Done), outcome
    return outcome.detail


def refused(ledger: Ledger, command: Command, at_ms: int = NOW) -> Refused:
    """The refusal; nothing may have changed."""
    before = ledger.save()
    outcome = deeds.DEEDS[type(command)](ledger, command, Told(at_ms, 0))
    assert isinstance(outcome, Refused), outcome
    assert ledger.save() == before
    return outcome


@pytest.mark.parametrize(
    ("changed", "limits", "status", "said"),
    [
        ({}, HEARD, "approved", "within all limits"),
        (
            {},
            LIVE,
            "pending",
            "nobody would be told: no [[deliveries]] of the configuration takes r",
        ),
        ({}, replace(LIVE, deliveries=[PRICES]), "pending", "takes restock"),
        (
            {},
            Safeguards(),
            "executed",
            "otherwise it would wait for a person: nobody would be told",
        ),
        ({}, replace(HEARD, dry_run=True), "executed", "dry run: nothing was sent or changed"),
        ({"value_cents": 0}, HEARD, "pending", "what it costs is not known"),
        ({"value_cents": 0}, Safeguards(), "pending", "what it costs is not known"),
        (
            {"value_cents": 0, "data": {"units": 11, "cost_cents": 50_000}},
            HEARD,
            "rejected",
            "5,500",
        ),
        ({"value_cents": 1, "data": {"units": 3, "cost_cents": 50_000}}, HEARD, "pending", "1,000"),
        ({"confidence": 0.8}, LIVE, "pending", "confidence 0.80: for review"),
        ({"confidence": 0.6}, LIVE, "pending", "confidence 0.60: for review"),
        ({"confidence": 0.59}, LIVE, "proposed", "confidence 0.59: a person decides"),
        ({"value_cents": 100_001}, LIVE, "pending", "costs more than 1,000.00"),
        ({"value_cents": 500_001}, LIVE, "rejected", "a restock may cost 5,000.00"),
        (
            {"kind": "pricing", "change_ratio": 0.2, "data": PRICE},
            HEARD,
            "approved",
            "within all limits",
        ),
        (
            {"kind": "pricing", "change_ratio": -0.21, "data": PRICE},
            LIVE,
            "rejected",
            "20% is allowed",
        ),
        ({"fallback": True}, LIVE, "pending", "a simple rule spoke"),
        ({}, replace(LIVE, killed=True), "pending", "the kill switch is on"),
        ({}, replace(LIVE, daily_budget_cents=49_999), "pending", "has 499.99 left"),
    ],
)
def test_the_first_gate_that_closes_says_where_a_proposal_begins(
    changed: dict[str, Any], limits: Safeguards, status: Status, said: str
) -> None:
    decision = do(shop(limits), proposal(**changed))
    assert decision.status == status
    assert said in decision.gate


def test_proposing_twice_is_proposing_once() -> None:
    ledger = shop()
    first = do(ledger, proposal(confidence=0.7))
    ledger.into = {}
    assert do(ledger, proposal(confidence=0.9), NOW + 5) == first
    assert ledger.into == {}
    assert ledger.count(Decision) == 1


def test_what_was_done_on_paper_only_is_proposed_anew_once_it_is_in_earnest() -> None:
    ledger = shop(replace(HEARD, dry_run=True))
    paper = do(ledger, proposal())
    assert (paper.status, paper.dry_run) == ("executed", True)
    assert do(ledger, proposal()) == paper
    ledger.put(HEARD)
    real = do(ledger, proposal(), NOW + 5)
    assert (real.status, real.dry_run) == ("approved", False)
    assert do(ledger, proposal(), NOW + 6) == real, "once"
    assert ledger.get(Decision, paper.id) == paper


def test_what_was_undone_may_be_asked_for_again_by_a_person_and_by_nobody_else() -> None:
    ledger = shop(HEARD)
    undone = do(ledger, what.Undo(id=do(ledger, proposal()).id, by="ann"))
    assert do(ledger, proposal(), NOW + 5) == undone
    again = do(ledger, proposal(by="ann"), NOW + 6)
    assert again.status == "approved"
    assert do(ledger, proposal(by="ann"), NOW + 7) == again, "once"


def test_a_newer_proposal_takes_the_place_of_one_nobody_decided() -> None:
    ledger = shop()
    old = do(ledger, proposal(confidence=0.7))
    new = do(ledger, proposal(confidence=0.7, period="2026-W48"), NOW + 5)
    assert ledger.get(Decision, old.id).status == "expired"  # type: ignore[union-attr]
    assert new.status == "pending"


def test_what_is_being_carried_out_is_not_proposed_anew() -> None:
    ledger = shop(HEARD)
    old = do(ledger, proposal())
    assert old.status == "approved"
    assert do(ledger, proposal(period="2026-W48")).id == old.id


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"confidence": 1.5}, "between 0 and 1"),
        ({"confidence": float("nan")}, "between 0 and 1"),
        ({"value_cents": -1}, "cannot be negative"),
        ({"target": ""}, "must not be empty"),
        (
            {"kind": "restock", "data": {"units": -5}},
            "data.units is -5: it must be a number above 0",
        ),
        ({"kind": "restock", "data": {"units": "ten"}}, "data.units is 'ten': it must be a number"),
        ({"kind": "restock", "data": {"units": True}}, "data.units is True"),
        ({"kind": "restock", "data": {}}, "data.units is needed"),
        ({"kind": "pricing", "data": {}}, "data.price_cents is needed"),
        (
            {"kind": "pricing", "data": {"price_cents": 0}},
            "data.price_cents is 0: it must be a number above 0",
        ),
    ],
)
def test_a_proposal_that_makes_no_sense_is_refused(changed: dict[str, Any], said: str) -> None:
    outcome = refused(shop(), proposal(**changed))
    assert outcome.code == "invalid"
    assert said in outcome.detail


def test_a_person_may_exceed_the_budget_but_no_limit() -> None:
    ledger = shop(replace(LIVE, daily_budget_cents=10))
    cheap = do(ledger, proposal())
    assert refused(ledger, what.Approve(id=cheap.id)).code == "limit"
    approved = do(ledger, what.Approve(id=cheap.id, override=True, by="ann", why="fair on Sunday"))
    assert (approved.status, approved.human_override) == ("executed", True)
    assert (approved.decided_by, approved.decided_why) == ("ann", "fair on Sunday")
    waiting = do(ledger, proposal(target="table"))
    ledger.put(replace(LIVE, restock_max_cents=100))
    assert "raise the limit" in refused(ledger, what.Approve(id=waiting.id, override=True)).detail


def test_what_a_person_approves_is_on_order_though_nobody_is_told() -> None:
    ledger = shop()
    waiting = do(ledger, proposal())
    assert (waiting.status, waiting.auto_approved) == ("pending", False)
    assert ledger.rows(OrderLine) == {}
    done = do(ledger, what.Approve(id=waiting.id, by="ann"))
    assert done.status == "executed"
    (line,) = ledger.rows(OrderLine).values()
    assert (line.sku, line.coming) == ("chair", 12)


def test_the_limits_hold_for_what_units_cost_whatever_a_proposal_says() -> None:
    ledger = shop(HEARD)
    do(ledger, PutSupply(sku="chair", fields={"cost_cents": 10_000}))
    cheap_by_its_word = do(ledger, proposal(value_cents=0))
    assert (cheap_by_its_word.status, cheap_by_its_word.value_cents) == ("pending", 120_000)
    listed = do(ledger, proposal(value_cents=0, target="lamp"))
    assert "not known" in listed.gate
    row = {"sku": "lamp", "cost_cents": 50_000}
    do(ledger, PutCatalogue(kind="class", rows=[row]))
    too_much = refused(ledger, what.Approve(id=listed.id, override=True))
    assert "costs 6,000.00, a restock may cost 5,000.00" in too_much.detail


def test_the_kill_switch_stops_people_too_until_it_is_off() -> None:
    ledger = shop()
    waiting = do(ledger, proposal(confidence=0.7))
    do(ledger, what.KillSwitch(on=True, by="ann"))
    assert "kill switch" in refused(ledger, what.Approve(id=waiting.id)).detail
    do(ledger, what.KillSwitch(on=False))
    assert do(ledger, what.Approve(id=waiting.id)).status == "executed"


def test_new_limits_leave_the_kill_switch_as_it_is() -> None:
    ledger = shop()
    do(ledger, what.KillSwitch(on=True))
    do(ledger, what.SetSafeguards(safeguards=Safeguards(killed=False)))
    assert what.safeguards(ledger).killed


def test_nobody_deciding_is_a_no() -> None:
    ledger = shop()
    waiting = do(ledger, proposal(confidence=0.7))
    at_ms = waiting.expires_ms
    assert ledger.due_ms() == at_ms
    for due_ms, kind, key in ledger.due(at_ms):
        deeds.WAKES[kind](ledger, key, Told(due_ms, 0))
    assert ledger.get(Decision, waiting.id).status == "expired"  # type: ignore[union-attr]


def test_what_ended_long_ago_leaves_the_memory_and_not_the_store() -> None:
    ledger = shop(Safeguards())
    done = do(ledger, proposal())
    ledger.into = {}
    at_ms = done.changed_ms + what.REMEMBERED_MS
    for due_ms, kind, key in ledger.due(at_ms):
        deeds.WAKES[kind](ledger, key, Told(due_ms, 0))
    assert ledger.get(Decision, done.id) is None
    assert ledger.into == {}


def test_a_decision_is_executed_once_all_who_must_know_were_told() -> None:
    two = [HOOK, Delivery("mqtt", "shop/orders", ["restock"]), Delivery("mqtt", "x", ["pricing"])]
    ledger = shop(replace(LIVE, deliveries=two))
    decision = do(ledger, proposal())
    first, second = ledger.by(OutboxLine, "decision", decision.id)
    do(ledger, what.Delivered(line=first.id, ok=True))
    assert ledger.get(Decision, decision.id).status == "approved"  # type: ignore[union-attr]
    do(ledger, what.Delivered(line=first.id, ok=True))  # told twice
    do(ledger, what.Delivered(line=second.id, ok=True), NOW + 9)
    ended = ledger.get(Decision, decision.id)
    assert ended is not None
    assert (ended.status, ended.executed_ms) == ("executed", NOW + 9)


def test_a_delivery_is_tried_again_later_and_later_until_it_is_too_late() -> None:
    ledger = shop(replace(LIVE, deliveries=[HOOK], deliver_h=1.0))
    decision = do(ledger, proposal())
    (line,) = ledger.by(OutboxLine, "decision", decision.id)
    waits = []
    at_ms = NOW
    while (waiting := ledger.get(OutboxLine, line.id)) is not None:
        waits.append(waiting.due_ms - at_ms)
        at_ms = waiting.due_ms
        do(ledger, what.Delivered(line=line.id, ok=False, error="away"), at_ms)
    assert waits[1:] == sorted(waits[1:])
    assert at_ms >= NOW + HOUR_MS
    failed = ledger.get(Decision, decision.id)
    assert failed is not None
    assert (failed.status, failed.failure) == ("failed", "webhook http://127.0.0.1:1/x: away")
    assert spent_cents(ledger, at_ms) == 0
    assert do(ledger, what.Retry(id=decision.id), at_ms).status == "approved"


def test_what_is_tried_again_takes_the_place_of_a_newer_proposal() -> None:
    ledger = shop(HEARD)
    old = do(ledger, proposal())
    (line,) = ledger.by(OutboxLine, "decision", old.id)
    do(ledger, what.Delivered(line=line.id, ok=False, final=True))
    newer = do(ledger, proposal(confidence=0.7, period="2026-W48"))
    assert do(ledger, what.Retry(id=old.id)).status == "approved"
    assert ledger.get(Decision, newer.id).status == "expired"  # type: ignore[union-attr]


def test_an_undone_decision_is_called_back_where_it_was_told() -> None:
    ledger = shop(HEARD)
    decision = do(ledger, proposal())
    (line,) = ledger.by(OutboxLine, "decision", decision.id)
    do(ledger, what.Delivered(line=line.id, ok=True))
    assert do(ledger, what.Undo(id=decision.id, by="ann")).status == "undone"
    (back,) = ledger.by(OutboxLine, "decision", decision.id)
    assert back.body["deed"] == "undo"
    assert back.id != line.id


def test_what_was_not_sent_yet_is_cancelled_by_an_undo() -> None:
    ledger = shop(HEARD)
    decision = do(ledger, proposal())
    do(ledger, what.Undo(id=decision.id))
    assert ledger.by(OutboxLine, "decision", decision.id) == []
    assert spent_cents(ledger, NOW) == 0


def test_a_command_with_a_key_is_carried_out_once_and_answered_alike() -> None:
    ledger = shop()
    waiting = do(ledger, proposal(confidence=0.7))
    command = what.Approve(id=waiting.id, key="k1")
    first = deeds.do(ledger, command, Told(NOW, 0))
    assert deeds.do(ledger, command, Told(NOW + 1, 1)) == first
    other = deeds.do(ledger, what.Reject(id=waiting.id, key="k1"), Told(NOW + 2, 2))
    assert other[0] == "conflict"


def test_every_command_survives_the_journal() -> None:
    decoder = deeds.decoder()
    for command in (proposal(), what.Approve(id="a", by="b", why="c", key="d")):
        assert decoder.decode(msgspec.json.encode(command)) == command


def test_a_command_with_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(msgspec.ValidationError, match="colour"):
        deeds.decoder().decode(b'{"do":"approve","id":"a","colour":"red"}')


def test_every_status_is_reached_by_the_table() -> None:
    assert {*FIRST, *TRANSITIONS.values()} == set(get_args(Status))


@given(
    confidence=st.floats(0, 1),
    value=st.integers(0, 1_000_000),
    change=st.floats(-0.5, 0.5),
    spent=st.integers(0, 1_000_000),
    kind=st.sampled_from(["restock", "pricing", "maintenance"]),
    killed=st.booleans(),
)
@settings(max_examples=300)
def test_the_gates_are_what_the_plain_words_say(
    confidence: float, value: int, change: float, spent: int, kind: Any, killed: bool
) -> None:
    told = proposal(kind=kind, confidence=confidence, value_cents=value, change_ratio=change)
    limits = replace(HEARD, killed=killed)
    status = gates.judge(told, limits, spent).status
    over = (kind == "restock" and value > 500_000) or (kind == "pricing" and abs(change) > 0.2)
    alone = confidence > 0.8 and value <= 100_000 and spent + value <= 500_000 and not killed
    alone &= value > 0 or kind != "restock"
    plain: Status = "rejected" if over else "approved" if alone else "pending"
    if plain == "pending" and confidence < 0.6 and not killed:
        plain = "proposed"
    assert status == plain


class Life(RuleBasedStateMachine):
    """Anything done in any order: money, outbox and statuses stay what they must be."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = shop(HEARD)
        self.at_ms = NOW

    def _any(self, number: int) -> Decision:
        rows = list(self.ledger.rows(Decision).values())
        return rows[number % len(rows)]

    @rule(
        sku=st.sampled_from("abc"),
        confidence=st.sampled_from([0.5, 0.7, 0.9]),
        week=st.integers(0, 3),
    )
    def propose(self, sku: str, confidence: float, week: int) -> None:
        do(
            self.ledger,
            proposal(target=sku, confidence=confidence, period=str(week)),
            self.at_ms,
        )

    @precondition(lambda self: self.ledger.count(Decision))
    @rule(
        number=st.integers(0, 99),
        deed=st.sampled_from([what.Approve, what.Reject, what.Undo, what.Retry]),
    )
    def decide(self, number: int, deed: Any) -> None:
        before = self._any(number)
        outcome = deeds.DEEDS[deed](self.ledger, deed(id=before.id), Told(self.at_ms, 0))
        after = self.ledger.get(Decision, before.id)
        assert after is not None
        if isinstance(outcome, Refused):
            assert after == before
        else:
            assert after.status in TRANSITIONS.values()

    @precondition(lambda self: self.ledger.count(OutboxLine))
    @rule(ok=st.booleans(), final=st.booleans())
    def deliver(self, ok: bool, final: bool) -> None:
        line = next(iter(self.ledger.rows(OutboxLine).values()))
        do(self.ledger, what.Delivered(line=line.id, ok=ok, final=final), self.at_ms)

    @rule(hours=st.integers(1, 40))
    def wait(self, hours: int) -> None:
        until_ms = self.at_ms + hours * HOUR_MS
        for due_ms, kind, key in self.ledger.due(until_ms):
            deeds.WAKES[kind](self.ledger, key, Told(due_ms, 0))
        self.at_ms = until_ms

    @invariant()
    def what_waits_belongs_to_a_decision_under_way_or_undone(self) -> None:
        for line in self.ledger.rows(OutboxLine).values():
            decision = self.ledger.get(Decision, line.decision)
            assert decision is not None
            assert decision.status == ("approved" if line.body["deed"] == "do" else "undone")

    @invariant()
    def an_approved_decision_has_something_to_wait_for(self) -> None:
        for decision in self.ledger.by(Decision, "status", "approved"):
            assert self.ledger.by(OutboxLine, "decision", decision.id)

    @invariant()
    def at_most_one_decision_is_open_for_a_target(self) -> None:
        for target in "abc":
            open_ones = [
                one
                for one in self.ledger.by(Decision, "target", target)
                if one.status in ("proposed", "pending", "approved")
            ]
            assert len(open_ones) <= 1

    @invariant()
    def the_money_spent_within_a_day_is_that_of_the_decisions(self) -> None:
        since_ms = (self.at_ms // HOUR_MS - 24) * HOUR_MS
        counted = sum(
            one.value_cents
            for one in self.ledger.rows(Decision).values()
            if one.decided_ms >= since_ms and one.status in ("approved", "executed")
        )
        assert spent_cents(self.ledger, self.at_ms) >= counted


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
