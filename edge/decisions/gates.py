"""How a proposal begins: refused by a limit, approved, for review, or only shown. Pure.

The gates stand in order; the first that closes speaks. Values and their defaults are those of the
owner's architecture: restock at most 5,000 a decision, price within 20 % of its baseline, a person
above 1,000, confidence above 0.8 alone, from 0.6 for review. What nobody outside would hear of, and
what an order of unknown cost would commit, is for a person as well.
"""

from collections.abc import Callable
from typing import NamedTuple

from edge.commands import DecisionKind, Propose
from edge.decisions.rows import Safeguards, Status


class Verdict(NamedTuple):
    """Where a proposal begins and which gate said so."""

    status: Status
    gate: str


class Asked(NamedTuple):
    """What the gates look at."""

    proposal: Propose
    safeguards: Safeguards
    spent_cents: int  # approved within the last 24 hours


Gate = Callable[[Asked], Verdict | None]


def money(cents: int) -> str:
    """Cents as people write them.

    >>> money(123456)
    '1,234.56'
    """
    return f"{cents / 100:,.2f}"


def _within_restock(asked: Asked) -> Verdict | None:
    limit = asked.safeguards.restock_max_cents
    if asked.proposal.kind != "restock" or asked.proposal.value_cents <= limit:
        return None
    told = f"costs {money(asked.proposal.value_cents)}, a restock may cost {money(limit)}"
    return Verdict("rejected", f"over the limit: {told}")


def _within_price(asked: Asked) -> Verdict | None:
    limit, change = asked.safeguards.price_change_max_ratio, asked.proposal.change_ratio
    if asked.proposal.kind != "pricing" or abs(change) <= limit + 1e-9:
        return None
    told = f"{change:+.1%} from the baseline, {limit:.0%} is allowed"
    return Verdict("rejected", f"over the limit: {told}")


def _running(asked: Asked) -> Verdict | None:
    return Verdict("pending", "the kill switch is on") if asked.safeguards.killed else None


def _sure(asked: Asked) -> Verdict | None:
    if asked.proposal.confidence >= asked.safeguards.review_confidence:
        return None
    return Verdict("proposed", f"confidence {asked.proposal.confidence:.2f}: a person decides")


def _priced(asked: Asked) -> Verdict | None:
    if asked.proposal.kind != "restock" or asked.proposal.value_cents > 0:
        return None
    return Verdict(
        "pending",
        "what it costs is not known, so no limit can be held against it: a person decides; cost_cents of "
        "PUT /api/supply/{sku}, or of its data, lets the limits judge",
    )


def _surer(asked: Asked) -> Verdict | None:
    if asked.proposal.confidence > asked.safeguards.auto_approve_confidence:
        return None
    return Verdict("pending", f"confidence {asked.proposal.confidence:.2f}: for review")


def _cheap(asked: Asked) -> Verdict | None:
    limit = asked.safeguards.approval_above_cents
    if asked.proposal.value_cents <= limit:
        return None
    return Verdict("pending", f"costs more than {money(limit)}: needs a person")


def _modelled(asked: Asked) -> Verdict | None:
    if not asked.proposal.fallback:
        return None
    return Verdict("pending", "a simple rule spoke, not a model: for review")


def _affordable(asked: Asked) -> Verdict | None:
    left = asked.safeguards.daily_budget_cents - asked.spent_cents
    if asked.proposal.value_cents <= left:
        return None
    return Verdict("pending", f"the budget of 24 hours has {money(max(left, 0))} left")


def _heard(asked: Asked) -> Verdict | None:
    if asked.safeguards.dry_run or asked.safeguards.places(asked.proposal.kind):
        return None
    return Verdict("pending", f"{unheard(asked.proposal.kind)}: a person decides, and sees to it")


def unheard(kind: DecisionKind) -> str:
    """That nobody outside would be told, and what to configure."""
    return f"nobody would be told: no [[deliveries]] of the configuration takes {kind}"


def on_paper(kind: DecisionKind, automatic: bool, safeguards: Safeguards) -> str:
    """What a dry run left out."""
    words = "dry run: nothing was sent or changed"
    if not automatic or safeguards.places(kind):
        return words
    return f"{words}, and otherwise it would wait for a person: {unheard(kind)}"


GATES: tuple[Gate, ...] = (
    _within_restock,
    _within_price,
    _running,
    _sure,
    _priced,
    _surer,
    _cheap,
    _modelled,
    _affordable,
    _heard,
)


def judge(proposal: Propose, safeguards: Safeguards, spent_cents: int) -> Verdict:
    """Where a proposal begins."""
    asked = Asked(proposal, safeguards, spent_cents)
    for gate in GATES:
        verdict = gate(asked)
        if verdict is not None:
            return verdict
    return Verdict("approved", f"confidence {proposal.confidence:.2f}, within all limits")


def barred(proposal: Propose, safeguards: Safeguards) -> str:
    """Why not even a person may approve this; empty: nothing bars it."""
    asked = Asked(proposal, safeguards, 0)
    for gate in (_within_restock, _within_price):
        verdict = gate(asked)
        if verdict is not None:
            return verdict.gate
    return ""
