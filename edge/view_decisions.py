"""Decisions as readers see them: rows of the ledger, what can be done with each, how they fared."""

from collections.abc import Collection, Iterable
from functools import partial

from msgspec import Struct, field
from msgspec.structs import asdict

from edge.commands import DecisionKind
from edge.decisions.budget import spent_cents
from edge.decisions.deeds import safeguards
from edge.decisions.rows import Decision, OutboxLine, Safeguards, Status
from edge.decisions.transitions import possible
from edge.view_basis import Basis, Sources

FOR_PEOPLE = ("approve", "reject", "undo", "retry")
WAITING: tuple[Status, ...] = ("proposed", "pending")
"""Not carried out, and not on its way."""


class DecisionRow(Decision, frozen=True, kw_only=True):
    """A decision and what a person can do with it now."""

    dry_run: bool = False
    """Whether it was carried out on paper only; while it waits (``proposed``, ``pending``): whether it
    would be, were it approved now."""
    can: list[str] = field(default_factory=list)
    """``approve``, ``reject``, ``undo``, ``retry``."""


class DecisionDetail(Struct, kw_only=True):
    """One decision and its deliveries."""

    basis: Basis
    """How fresh this is."""
    decision: DecisionRow
    """The decision."""
    waiting: list[OutboxLine]
    """What still waits to be delivered."""


class SafeguardsNow(Struct, kw_only=True):
    """The limits in force and how much of the budget is left."""

    basis: Basis
    """How fresh this is."""
    safeguards: Safeguards
    """The limits."""
    spent_cents: int
    """Approved within the last 24 hours, cents."""
    left_cents: int
    """Left of the budget, cents."""


class KindSummary(Struct, kw_only=True):
    """How decisions of one kind fared, over all that are remembered."""

    kind: DecisionKind
    """The kind."""
    counts: dict[Status, int]
    """Status -> decisions."""
    accepted_share: float | None
    """Approved or carried out, of those that anybody or anything decided; null: none was."""
    automatic: int
    """Approved without a person."""
    predicted_impact_cents: int
    """Sum over those carried out, dry runs left out, cents."""
    actual_impact_cents: int
    """Sum over those of which it is known, cents."""
    actual_known: int
    """Of how many it is known."""
    feedback_mean: float | None
    """Mean score, 1 to 5; null: nobody said."""


class DecisionsView:
    """Reads the ledger's decisions."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._ledger = sources.core.ledger
        self.in_order = partial(self._ledger.in_order, Decision)

    def basis(self) -> Basis:
        """How fresh what is read now is."""
        return self._sources.counted()

    def rows(self) -> Iterable[DecisionRow]:
        """Every decision that is remembered."""
        return self.shown(self._ledger.rows(Decision).values())

    def decisions(self) -> Collection[Decision]:
        """The same as they are remembered, for who shows a few of them."""
        return self._ledger.rows(Decision).values()

    def shown(self, decisions: Iterable[Decision]) -> list[DecisionRow]:
        """Some of them, as people see them."""
        limits = safeguards(self._ledger)
        return [row_of(decision, limits) for decision in decisions]

    def one(self, of: str) -> DecisionDetail | None:
        """One of them."""
        found = self._ledger.get(Decision, of)
        if found is None:
            return None
        waiting = self._ledger.by(OutboxLine, "decision", of)
        row = row_of(found, safeguards(self._ledger))
        return DecisionDetail(basis=self.basis(), decision=row, waiting=waiting)

    def safeguards(self) -> SafeguardsNow:
        """The limits."""
        limits = safeguards(self._ledger)
        spent = spent_cents(self._ledger, self._sources.now_ms)
        left = max(0, limits.daily_budget_cents - spent)
        return SafeguardsNow(
            basis=self.basis(), safeguards=limits, spent_cents=spent, left_cents=left
        )

    def summary(self) -> list[KindSummary]:
        """How each kind fared."""
        by_kind: dict[DecisionKind, list[Decision]] = {}
        for one in self._ledger.rows(Decision).values():
            by_kind.setdefault(one.kind, []).append(one)
        return [_summed(kind, rows) for kind, rows in sorted(by_kind.items())]


def row_of(decision: Decision, limits: Safeguards) -> DecisionRow:
    """A decision with what can be done, and what would happen under these limits."""
    can: list[str] = [deed for deed in possible(decision.status) if deed in FOR_PEOPLE]
    known = asdict(decision)
    if decision.status in WAITING:
        known["dry_run"] = limits.dry_run
    return DecisionRow(**known, can=can)


def _summed(kind: DecisionKind, rows: list[Decision]) -> KindSummary:
    counts: dict[Status, int] = {}
    for one in rows:
        counts[one.status] = counts.get(one.status, 0) + 1
    accepted = sum(one.status in ("approved", "executed", "failed") for one in rows)
    decided = accepted + counts.get("rejected", 0) + counts.get("undone", 0)
    known = [one.actual_impact_cents for one in rows if one.actual_impact_cents is not None]
    scores = [one.feedback_score for one in rows if one.feedback_score is not None]
    done = [one for one in rows if one.status == "executed" and not one.dry_run]
    return KindSummary(
        kind=kind,
        counts=counts,
        accepted_share=accepted / decided if decided else None,
        automatic=sum(one.auto_approved for one in rows),
        predicted_impact_cents=sum(one.impact_cents for one in done),
        actual_impact_cents=sum(known),
        actual_known=len(known),
        feedback_mean=sum(scores) / len(scores) if scores else None,
    )
