"""Rows of decisions, of what limits them, and of what waits to be delivered. No rules."""

from typing import Any, Literal

from msgspec import Struct

from edge.commands import DecisionKind
from edge.ledger.ledger import Table

Status = Literal[
    "proposed", "pending", "approved", "rejected", "executed", "failed", "expired", "undone"
]
Channel = Literal["webhook", "mqtt", "file"]


class Delivery(Struct, frozen=True):
    """Where decisions of some kinds go once they are approved."""

    channel: Channel
    """``webhook``: posted as JSON; ``mqtt``: published as JSON; ``file``: a CSV file an order."""
    target: str
    """Address, topic, or directory."""
    kinds: list[DecisionKind] = []
    """Kinds of decisions that go there; empty: all."""


class Safeguards(Struct, frozen=True, kw_only=True):
    """What automation may do. One row; set from the configuration and by people."""

    name: str = "decisions"
    """There is one."""
    dry_run: bool = True
    """Whether approved decisions are only recorded: nothing is sent, nothing changes."""
    killed: bool = False
    """Whether the kill switch is on: nothing is approved, nothing is sent."""
    restock_max_cents: int = 500_000
    """A restock decision may commit at most this, cents."""
    price_change_max_ratio: float = 0.2
    """A price may leave its baseline by at most this share."""
    approval_above_cents: int = 100_000
    """A decision that commits more than this needs a person, cents."""
    auto_approve_confidence: float = 0.8
    """Above this a decision is approved without a person."""
    review_confidence: float = 0.6
    """From this on a decision waits for review; below it is only proposed."""
    daily_budget_cents: int = 500_000
    """What is approved within any 24 hours may commit at most this, cents."""
    expire_h: float = 72.0
    """Hours after which nobody's decision is a no."""
    deliver_h: float = 24.0
    """Hours for which a delivery is tried."""
    deliveries: list[Delivery] = []
    """Where approved decisions go."""
    source: str = ""
    """Digest of the configuration that these values came from."""
    changed_ms: int = 0
    """When they were last set, epoch milliseconds."""
    changed_by: str = ""
    """By whom; empty: the configuration."""

    def places(self, kind: DecisionKind) -> list[Delivery]:
        """Where decisions of a kind go."""
        return [place for place in self.deliveries if not place.kinds or kind in place.kinds]


class Decision(Struct, frozen=True, kw_only=True):
    """One decision from proposal to its end."""

    id: str
    """Derived from kind, target, store and period: 24 hex digits."""
    kind: DecisionKind
    """What kind."""
    target: str
    """SKU of a class, EPC of an item, or id of a pack."""
    store: str
    """Store; empty: all."""
    period: str
    """The span within which it is proposed once."""
    status: Status
    """Where it stands."""
    gate: str
    """Why it stands there: the gate that opened or closed, for people."""
    confidence: float
    """Calibrated probability that acting beats not acting."""
    impact_cents: int
    """Expected gain over not acting, cents."""
    value_cents: int
    """Money it commits, cents; 0 of a restock: what it costs is not known."""
    change_ratio: float
    """For prices: new price over baseline less 1."""
    data: dict[str, Any]
    """What is carried out."""
    reasons: list[str]
    """Why it was proposed, for people."""
    service: str
    """Service that proposed it."""
    version: str
    """Version of its model; empty: a rule, or a person."""
    fallback: bool
    """Whether a simple rule spoke."""
    auto_approved: bool = False
    """Whether it was approved without a person."""
    human_override: bool = False
    """Whether a person approved what the gates would not."""
    dry_run: bool = False
    """Whether it was carried out on paper only; before that it is not known."""
    proposed_by: str = ""
    """Who proposed it; empty: the daemon."""
    decided_by: str = ""
    """Who approved, rejected or undid it; empty: nobody, or the gates."""
    decided_why: str = ""
    """Why, in their words."""
    created_ms: int = 0
    """When it was proposed, epoch milliseconds."""
    changed_ms: int = 0
    """When its status last changed."""
    decided_ms: int = 0
    """When it was approved or rejected; 0: not yet."""
    executed_ms: int = 0
    """When it was carried out; 0: not yet."""
    expires_ms: int = 0
    """When it expires if nobody decides."""
    actual_impact_cents: int | None = None
    """What it brought in the end; null: not known yet."""
    feedback_score: int | None = None
    """How good people found it, 1 (bad) to 5 (good)."""
    feedback_note: str = ""
    """Their words."""
    feedback_ms: int = 0
    """When they said so; 0: nobody has."""
    failure: str = ""
    """Why carrying it out failed."""


class OutboxLine(Struct, frozen=True, kw_only=True):
    """Something that must be delivered to somebody outside; its id is the idempotency key."""

    id: str
    """Derived from the decision, what is done with it, and the place it goes to."""
    decision: str
    """Id of the decision."""
    channel: Channel
    """How it goes out."""
    target: str
    """Where to."""
    body: dict[str, Any]
    """What is told."""
    status: Literal["waiting", "sent", "failed", "cancelled"] = "waiting"
    """Where it stands."""
    attempts: int = 0
    """Tries that failed."""
    due_ms: int = 0
    """When to try next, epoch milliseconds."""
    until_ms: int = 0
    """When to give up."""
    created_ms: int = 0
    """When it was written."""
    changed_ms: int = 0
    """When its status last changed."""
    error: str = ""
    """Why the last try failed."""


DECISIONS_MAX = 20_000
OUTBOX_MAX = 10_000

TABLES = (
    Table("safeguards", Safeguards, ("name",), limit=1),
    Table(
        "decision",
        Decision,
        ("id",),
        limit=DECISIONS_MAX,
        index=("status", "target"),
        ordered=("changed_ms",),
    ),
    Table(
        "outbox",
        OutboxLine,
        ("id",),
        limit=OUTBOX_MAX,
        kept="open",
        is_open=lambda line: line.status == "waiting",
        index=("decision",),
    ),
)
