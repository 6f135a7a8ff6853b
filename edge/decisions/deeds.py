"""What commands do to decisions: propose, approve, reject, undo, retry, rate, deliver. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Literal

from msgspec.structs import replace

from edge.commands import Command, DecisionKind, Done, Outcome, Propose, Refused, Told
from edge.decisions import gates
from edge.decisions.budget import spend, spent_cents
from edge.decisions.carry import carry_out, take_back
from edge.decisions.rows import DECISIONS_MAX, Decision, OutboxLine, Safeguards
from edge.decisions.transitions import OPEN, following, possible
from edge.decisions.transitions import Deed as Step
from edge.decisions.value import valued
from edge.ledger.ledger import Deed, Key, Ledger, Wake

HOUR_MS = 3_600_000
REMEMBERED_MS = 90 * 24 * HOUR_MS
"""A decision that has come to its end leaves the memory after this; the store keeps it."""
KILLED = 'the kill switch is on: POST /api/safeguards/kill-switch {"on": false} lets it go on'
RETRY_FIRST_MS = 5_000
RETRY_MOST_MS = 3_600_000


class Approve(Command, tag="approve", kw_only=True):
    """Let a decision be carried out."""

    id: str
    """Of the decision."""
    override: bool = False
    """Whether the budget may be exceeded; never the limits of a single decision."""


class Reject(Command, tag="reject", kw_only=True):
    """Say no to a decision."""

    id: str
    """Of the decision."""


class Undo(Command, tag="undo", kw_only=True):
    """Take a decision back."""

    id: str
    """Of the decision."""


class Retry(Command, tag="retry", kw_only=True):
    """Try a failed decision again."""

    id: str
    """Of the decision."""


class Rate(Command, tag="rate_decision", kw_only=True):
    """Say how good a decision was."""

    id: str
    """Of the decision."""
    score: int
    """1 (bad) to 5 (good)."""
    note: str = ""
    """Words."""


class RecordImpact(Command, tag="record_impact", kw_only=True):
    """Say what a decision brought in the end."""

    id: str
    """Of the decision."""
    actual_cents: int
    """Gain over not acting, cents."""


class Delivered(Command, tag="delivered", kw_only=True):
    """What became of one try to deliver."""

    line: str
    """Id of the outbox line."""
    ok: bool
    """Whether it arrived."""
    error: str = ""
    """Why it did not."""
    final: bool = False
    """Whether trying again would be in vain."""


class SetSafeguards(Command, tag="set_safeguards", kw_only=True):
    """Set the limits; the kill switch stays as it is."""

    safeguards: Safeguards
    """The new values."""


class KillSwitch(Command, tag="kill_switch", kw_only=True):
    """Stop everything automatic, or let it go on."""

    on: bool
    """Whether nothing may be approved or sent."""


def safeguards(ledger: Ledger) -> Safeguards:
    """The limits in force; before any were set, those of a fresh install."""
    return ledger.get(Safeguards, "decisions") or Safeguards()


def derived(*parts: str) -> str:
    """24 hex digits out of what makes something the one it is."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]


def decision_id(proposal: Propose) -> str:
    """Proposing the same twice gives the same id."""
    return derived(proposal.kind, proposal.target, proposal.store, proposal.period)


# -- proposing ------------------------------------------------------------------------------------


def propose(ledger: Ledger, proposal: Propose, told: Told) -> Outcome:
    """Let the gates judge; the same within its period changes nothing."""
    wrong = _wrong(proposal)
    if wrong:
        return Refused("invalid", wrong)
    proposal = _anew(ledger, valued(ledger, proposal))
    known = ledger.get(Decision, decision_id(proposal))
    if known is not None:
        return _told(known)
    if not ledger.room(Decision):
        return Refused(
            "limit",
            f"{DECISIONS_MAX:,} decisions are remembered: those that ended are forgotten after 90 days",
        )
    for open_one in _open_for(ledger, proposal):
        if open_one.status == "approved":
            return _told(open_one)
        _expire(ledger, open_one, told, "a newer proposal took its place")
    limits = safeguards(ledger)
    verdict = gates.judge(proposal, limits, spent_cents(ledger, told.at_ms))
    decision = _fresh(proposal, verdict, limits, told)
    if verdict.status == "approved":
        return _told(_approved(ledger, decision, told))
    ledger.put(decision)
    _wake(ledger, decision, told)
    return _told(decision)


def _anew(ledger: Ledger, proposal: Propose) -> Propose:
    """As it is, or under a period of its own where what has that id is over and stands in nobody's way.

    What was carried out on paper only is still to be done once it is in earnest, and what a person had
    undone another may want again.
    """
    earnest = not safeguards(ledger).dry_run
    while (known := ledger.get(Decision, decision_id(proposal))) is not None:
        on_paper = earnest and known.dry_run and known.status in CARRIED_OUT
        if not (on_paper or (proposal.by and known.status == "undone")):
            break
        proposal = replace(proposal, period=f"{proposal.period}/again")
    return proposal


CARRIED_OUT = ("executed", "failed", "undone")
"""What a decision is, once it was on its way; on paper it stays there."""

MORE_THAN_NOTHING: Mapping[DecisionKind, str] = {"restock": "units", "pricing": "price_cents"}
"""Kind -> field of its data without which nothing could be carried out: a number above nothing."""


def _wrong(proposal: Propose) -> str:
    """What makes no sense in a proposal; empty: nothing."""
    if not 0.0 <= proposal.confidence <= 1.0:
        return f"confidence is {proposal.confidence}: it must lie between 0 and 1"
    if proposal.value_cents < 0:
        return f"value_cents is {proposal.value_cents}: it cannot be negative"
    name = MORE_THAN_NOTHING.get(proposal.kind, "")
    told = proposal.data.get(name)
    if name and (isinstance(told, bool) or not isinstance(told, int | float) or not told > 0):
        said = f"is {told!r}: it must be a number above 0" if name in proposal.data else "is needed"
        return f"data.{name} {said}"
    if not proposal.target or not proposal.period:
        return "target and period must not be empty"
    return ""


def _open_for(ledger: Ledger, proposal: Propose) -> list[Decision]:
    same = ledger.by(Decision, "target", proposal.target)
    asked = (proposal.kind, proposal.store)
    return [one for one in same if one.status in OPEN and (one.kind, one.store) == asked]


def _fresh(proposal: Propose, verdict: gates.Verdict, limits: Safeguards, told: Told) -> Decision:
    until_ms = proposal.valid_until_ms or told.at_ms + int(limits.expire_h * HOUR_MS)
    return Decision(
        id=decision_id(proposal),
        kind=proposal.kind,
        target=proposal.target,
        store=proposal.store,
        period=proposal.period,
        status=verdict.status,
        gate=verdict.gate,
        confidence=proposal.confidence,
        impact_cents=proposal.impact_cents,
        value_cents=proposal.value_cents,
        change_ratio=proposal.change_ratio,
        data=proposal.data,
        reasons=proposal.reasons,
        service=proposal.service,
        version=proposal.version,
        fallback=proposal.fallback,
        auto_approved=verdict.status == "approved",
        proposed_by=proposal.by,
        created_ms=told.at_ms,
        changed_ms=told.at_ms,
        decided_ms=told.at_ms if verdict.status in ("approved", "rejected") else 0,
        expires_ms=max(until_ms, told.at_ms + 1),
    )


# -- deciding -------------------------------------------------------------------------------------


def approve(ledger: Ledger, command: Approve, told: Told) -> Outcome:
    """Carry a decision out, or say why not."""
    decision = _reach(ledger, command.id, "approve")
    if isinstance(decision, Refused):
        return decision
    limits = safeguards(ledger)
    if limits.killed:
        return Refused("conflict", KILLED)
    now = valued(ledger, _as_proposal(decision))  # its cost may have become known since
    decision = replace(decision, value_cents=now.value_cents)
    barred = gates.barred(now, limits)
    if barred:
        return Refused(
            "limit", f"{barred}; raise the limit (PUT /api/safeguards), then propose anew"
        )
    left = limits.daily_budget_cents - spent_cents(ledger, told.at_ms)
    over = decision.value_cents > left
    if over and not command.override:
        told_left = gates.money(max(left, 0))
        return Refused(
            "limit", f'the budget of 24 hours has {told_left} left: wait, or send "override": true'
        )
    decided = replace(
        decision,
        status="approved",
        gate="approved by a person",
        human_override=over or decision.status == "proposed",
        decided_by=command.by,
        decided_why=command.why,
        decided_ms=told.at_ms,
        changed_ms=told.at_ms,
    )
    return _told(_approved(ledger, decided, told))


def _as_proposal(decision: Decision) -> Propose:
    return Propose(
        kind=decision.kind,
        target=decision.target,
        store=decision.store,
        period=decision.period,
        confidence=decision.confidence,
        impact_cents=decision.impact_cents,
        value_cents=decision.value_cents,
        change_ratio=decision.change_ratio,
        data=decision.data,
    )


def _approved(ledger: Ledger, decision: Decision, told: Told) -> Decision:
    """Send an approved decision on its way; on paper it is done at once.

    So it is with nobody to tell: no gate lets that pass, so a person said yes, and sees to it.
    """
    limits = safeguards(ledger)
    if limits.dry_run:
        return _ended(ledger, decision, told, dry_run=True)
    spend(ledger, told.at_ms, decision.value_cents)
    lines = _lines(decision, "do", limits, told)
    if not lines:
        return _carried_out(ledger, decision, told)
    if ledger.room(OutboxLine) < len(lines):
        return _failed(ledger, decision, "the outbox is full: see why nothing is delivered", told)
    ledger.put(decision)
    for line in lines:
        ledger.put(line)
    return decision


def _lines(decision: Decision, deed: str, limits: Safeguards, told: Told) -> list[OutboxLine]:
    return [
        OutboxLine(
            id=derived(decision.id, deed, str(decision.decided_ms), place.channel, place.target),
            decision=decision.id,
            channel=place.channel,
            target=place.target,
            body=_body(decision, deed),
            due_ms=told.at_ms,
            until_ms=told.at_ms + int(limits.deliver_h * HOUR_MS),
            created_ms=told.at_ms,
            changed_ms=told.at_ms,
        )
        for place in limits.places(decision.kind)
    ]


def _body(decision: Decision, deed: str) -> dict[str, object]:
    return {
        "deed": deed,
        "decision": decision.id,
        "kind": decision.kind,
        "target": decision.target,
        "store": decision.store,
        "value_cents": decision.value_cents,
        "data": decision.data,
        "reasons": decision.reasons,
        "approved_by": decision.decided_by or "automatic",
    }


def reject(ledger: Ledger, command: Reject, told: Told) -> Outcome:
    """A person says no."""
    decision = _reach(ledger, command.id, "reject")
    if isinstance(decision, Refused):
        return decision
    rejected = replace(
        decision,
        status="rejected",
        gate="rejected by a person",
        decided_by=command.by,
        decided_why=command.why,
        decided_ms=told.at_ms,
        changed_ms=told.at_ms,
    )
    ledger.put(rejected)
    _wake(ledger, rejected, told)
    return _told(rejected)


def undo(ledger: Ledger, command: Undo, told: Told) -> Outcome:
    """Take a decision back: what waits is not sent, what was sent is called back."""
    decision = _reach(ledger, command.id, "undo")
    if isinstance(decision, Refused):
        return decision
    if decision.status == "executed" and not decision.dry_run:
        why = take_back(ledger, decision, told)
        if why:
            return Refused("conflict", why)
        for line in _lines(decision, "undo", safeguards(ledger), told):
            ledger.put(line)
    if decision.status == "approved":
        _unspend(ledger, decision)
    for line in ledger.by(OutboxLine, "decision", decision.id):
        if line.body.get("deed") == "do":
            ledger.put(replace(line, status="cancelled", changed_ms=told.at_ms))
    undone = replace(
        decision,
        status="undone",
        gate="undone by a person",
        decided_by=command.by or decision.decided_by,
        decided_why=command.why or decision.decided_why,
        changed_ms=told.at_ms,
    )
    ledger.put(undone)
    _wake(ledger, undone, told)
    return _told(undone)


def retry(ledger: Ledger, command: Retry, told: Told) -> Outcome:
    """Send a failed decision again."""
    decision = _reach(ledger, command.id, "retry")
    if isinstance(decision, Refused):
        return decision
    if safeguards(ledger).killed:
        return Refused("conflict", KILLED)
    others = _open_for(ledger, _as_proposal(decision))
    if any(other.status == "approved" for other in others):
        return Refused(
            "conflict", "a newer decision about the same is being carried out: undo that one first"
        )
    for other in others:
        _expire(ledger, other, told, "an older one was tried again")
    again = replace(
        decision,
        status="approved",
        gate="tried again",
        failure="",
        decided_ms=told.at_ms,
        changed_ms=told.at_ms,
    )
    return _told(_approved(ledger, again, told))


# -- being carried out ----------------------------------------------------------------------------


def delivered(ledger: Ledger, command: Delivered, told: Told) -> Outcome:
    """Count one try; a decision is executed once all its lines are sent, failed once one is."""
    line = ledger.get(OutboxLine, command.line)
    if line is None:
        return Done("no longer waiting")
    if command.ok:
        ledger.put(replace(line, status="sent", error="", changed_ms=told.at_ms))
    elif command.final or told.at_ms >= line.until_ms:
        ledger.put(replace(line, status="failed", error=command.error, changed_ms=told.at_ms))
    else:
        wait_ms = min(RETRY_FIRST_MS << min(line.attempts, 20), RETRY_MOST_MS)
        waits = replace(
            line, attempts=line.attempts + 1, due_ms=told.at_ms + wait_ms, error=command.error
        )
        ledger.put(waits)
        return Done("will be tried again")
    if line.body.get("deed") == "do":
        _line_ended(ledger, line, command, told)
    return Done("ended")


def _line_ended(ledger: Ledger, line: OutboxLine, command: Delivered, told: Told) -> None:
    decision = ledger.get(Decision, line.decision)
    if decision is None or decision.status != "approved":
        return
    if not command.ok:
        _failed(ledger, decision, f"{line.channel} {line.target}: {command.error}", told)
    elif not any(
        other.body.get("deed") == "do" for other in ledger.by(OutboxLine, "decision", decision.id)
    ):
        _carried_out(ledger, decision, told)


def _carried_out(ledger: Ledger, decision: Decision, told: Told) -> Decision:
    why = carry_out(ledger, decision, told)
    if why:
        return _failed(ledger, decision, why, told)
    return _ended(ledger, decision, told, dry_run=False)


def _ended(ledger: Ledger, decision: Decision, told: Told, *, dry_run: bool) -> Decision:
    gate = decision.gate
    if dry_run:
        gate += f"; {gates.on_paper(decision.kind, decision.auto_approved, safeguards(ledger))}"
    executed = replace(
        decision,
        status="executed",
        gate=gate,
        dry_run=dry_run,
        executed_ms=told.at_ms,
        changed_ms=told.at_ms,
    )
    ledger.put(executed)
    _wake(ledger, executed, told)
    return executed


def _failed(ledger: Ledger, decision: Decision, why: str, told: Told) -> Decision:
    _unspend(ledger, decision)
    for line in ledger.by(OutboxLine, "decision", decision.id):
        ledger.put(replace(line, status="cancelled", changed_ms=told.at_ms))
    failed = replace(decision, status="failed", failure=why, changed_ms=told.at_ms)
    ledger.put(failed)
    _wake(ledger, failed, told)
    return failed


def _unspend(ledger: Ledger, decision: Decision) -> None:
    """What was not carried out is not spent."""
    if not decision.dry_run:
        spend_at = decision.decided_ms
        spend(ledger, spend_at, -decision.value_cents)


# -- what people tell afterwards ------------------------------------------------------------------


def rate(ledger: Ledger, command: Rate, told: Told) -> Outcome:
    """Keep people's opinion."""
    if not 1 <= command.score <= 5:
        return Refused("invalid", f"score is {command.score}: it must lie between 1 and 5")
    decision = _known(ledger, command.id)
    if isinstance(decision, Refused):
        return decision
    rated = replace(
        decision,
        feedback_score=command.score,
        feedback_note=command.note,
        feedback_ms=told.at_ms,
    )
    ledger.put(rated)
    return _told(rated)


def record_impact(ledger: Ledger, command: RecordImpact, told: Told) -> Outcome:
    """Keep what it brought."""
    decision = _known(ledger, command.id)
    if isinstance(decision, Refused):
        return decision
    if decision.status not in ("executed", "undone"):
        return Refused(
            "conflict", f"it is {decision.status}: only what was carried out has an impact"
        )
    known = replace(decision, actual_impact_cents=command.actual_cents)
    ledger.put(known)
    return _told(known)


# -- limits ---------------------------------------------------------------------------------------


def set_safeguards(ledger: Ledger, command: SetSafeguards, told: Told) -> Outcome:
    """New limits, from now on."""
    new = command.safeguards
    wrong = _wrong_limits(new)
    if wrong:
        return Refused("invalid", wrong)
    killed = safeguards(ledger).killed
    ledger.put(
        replace(new, name="decisions", killed=killed, changed_ms=told.at_ms, changed_by=command.by)
    )
    return Done(safeguards(ledger))


def _wrong_limits(new: Safeguards) -> str:
    if not 0 <= new.review_confidence <= new.auto_approve_confidence <= 1:
        return "0 <= review_confidence <= auto_approve_confidence <= 1 must hold"
    least = min(new.restock_max_cents, new.approval_above_cents, new.daily_budget_cents)
    if least < 0 or new.price_change_max_ratio < 0:
        return "limits cannot be negative"
    if min(new.expire_h, new.deliver_h) <= 0:
        return "expire_h and deliver_h must be above 0"
    return ""


def kill_switch(ledger: Ledger, command: KillSwitch, told: Told) -> Outcome:
    """Stop everything automatic, or let it go on."""
    ledger.put(
        replace(safeguards(ledger), killed=command.on, changed_ms=told.at_ms, changed_by=command.by)
    )
    return Done(safeguards(ledger))


# -- time -----------------------------------------------------------------------------------------


def woken(ledger: Ledger, key: Key, told: Told) -> None:
    """Nobody decided in time; or it ended long ago and memory may forget it."""
    decision = ledger.get(Decision, *key)
    if decision is None:
        return
    if decision.status in ("proposed", "pending"):
        if told.at_ms >= decision.expires_ms:
            _expire(ledger, decision, told, "nobody decided in time")
    elif decision.status not in OPEN and told.at_ms >= decision.changed_ms + REMEMBERED_MS:
        ledger.release(Decision, decision.id)


def _expire(ledger: Ledger, decision: Decision, told: Told, why: str) -> None:
    expired = replace(decision, status="expired", gate=why, changed_ms=told.at_ms)
    ledger.put(expired)
    _wake(ledger, expired, told)


def _wake(ledger: Ledger, decision: Decision, told: Told) -> None:
    open_one = decision.status in ("proposed", "pending")
    at_ms = decision.expires_ms if open_one else decision.changed_ms + REMEMBERED_MS
    ledger.wake(at_ms, "decision", (decision.id,))


# -- words ----------------------------------------------------------------------------------------


def _known(ledger: Ledger, of: str) -> Decision | Refused:
    found = ledger.get(Decision, of)
    if found is None:
        return Refused("unknown", f"there is no decision {of!r}, or it ended over 90 days ago")
    return found


def _reach(ledger: Ledger, of: str, deed: Step) -> Decision | Refused:
    decision = _known(ledger, of)
    if isinstance(decision, Refused) or following(decision.status, deed) is not None:
        return decision
    can = " or ".join(one for one in possible(decision.status) if one in _FOR_PEOPLE) or "nothing"
    return Refused("conflict", f"it is {decision.status}: from there {can} can be done")


_FOR_PEOPLE: tuple[Literal["approve", "reject", "undo", "retry"], ...] = (
    "approve",
    "reject",
    "undo",
    "retry",
)


def _told(decision: Decision) -> Done:
    return Done(decision)


DEEDS: Mapping[type[Command], Deed] = {
    Propose: propose,
    Approve: approve,
    Reject: reject,
    Undo: undo,
    Retry: retry,
    Rate: rate,
    RecordImpact: record_impact,
    Delivered: delivered,
    SetSafeguards: set_safeguards,
    KillSwitch: kill_switch,
}
WAKES: Mapping[str, Wake] = {"decision": woken}
