"""Decisions: seen, approved, rejected, undone, rated; their limits and the kill switch."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from edge.api.body import Body
from edge.api.commands import (
    CREATED,
    KEY_HEADER,
    PROBLEMS,
    STATUSES,
    CommandAnswer,
    answer,
    command,
    obey,
)
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.known import need_target, place_of
from edge.api.lists import Listing, ListQuery
from edge.api.problems import Problem
from edge.api.query import Text
from edge.api.state import identity_of
from edge.commands import Command, DecisionKind, Propose
from edge.decisions.deeds import (
    Approve,
    KillSwitch,
    Rate,
    RecordImpact,
    Reject,
    Retry,
    SetSafeguards,
    Undo,
)
from edge.decisions.rows import Decision, Safeguards, Status
from edge.view_basis import Basis, Listed, why_empty
from edge.view_decisions import (
    DecisionDetail,
    DecisionRow,
    DecisionsView,
    KindSummary,
    SafeguardsNow,
)

Share = Annotated[float, Meta(ge=0, le=1)]
Cents = Annotated[int, Meta(ge=0, le=2**53)]
Hours = Annotated[float, Meta(gt=0, le=8_760)]


class DecisionsQuery(ListQuery):
    """Which decisions."""

    status: Status | None = None
    """Only those that stand so."""
    kind: DecisionKind | None = None
    """Only of this kind."""
    target: Text | None = None
    """Only about this class, item or pack."""
    store: Text | None = None
    """Only for this store."""


class DecisionPath(Path):
    """Which decision."""

    id: Text
    """Its id."""


class Decisions(Listed, kw_only=True):
    """A page of decisions."""

    decisions: list[DecisionRow]
    """The rows."""


class Summary(Struct, kw_only=True):
    """How decisions fared."""

    basis: Basis
    """How fresh this is."""
    kinds: list[KindSummary]
    """One row a kind."""


class Deciding(Body):
    """Who decides, and why."""

    by: Annotated[str, Meta(max_length=200)] = ""
    """Who."""
    why: Annotated[str, Meta(max_length=2_000)] = ""
    """Why."""


class Approving(Deciding):
    """Who approves, and why."""

    override: bool = False
    """Whether the budget of 24 hours may be exceeded; never the limits of one decision."""


class Rating(Body):
    """How good it was."""

    score: Annotated[int, Meta(ge=1, le=5)]
    """1 (bad) to 5 (good)."""
    note: Annotated[str, Meta(max_length=2_000)] = ""
    """Words."""
    by: Annotated[str, Meta(max_length=200)] = ""
    """Who says so."""


class Impact(Body):
    """What it brought."""

    actual_cents: int
    """Gain over not acting, cents; negative: a loss."""
    by: Annotated[str, Meta(max_length=200)] = ""
    """Who says so."""


class NewProposal(Body):
    """A proposal of a person; the gates judge it like any other."""

    kind: DecisionKind
    """What kind."""
    target: Annotated[str, Meta(min_length=1, max_length=255)]
    """Class, item or pack."""
    period: Annotated[str, Meta(min_length=1, max_length=64)]
    """Such as ``2026-W47``: within it the same is proposed once."""
    store: Annotated[str, Meta(max_length=255)] = ""
    """Store; empty: the one that knows it. Of a class that several stores know a restock must name one."""
    confidence: Share = 0.6
    """How sure the person is; 0.6 lets it wait for review."""
    impact_cents: int = 0
    """Expected gain, cents."""
    value_cents: Cents = 0
    """Money it commits, cents; of a restock at least what its units cost, where that is known."""
    change_ratio: float = 0.0
    """For prices: new price over baseline less 1."""
    data: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    """What is carried out."""
    reasons: list[str] = field(default_factory=list)
    """Why."""
    by: Annotated[str, Meta(max_length=200)] = ""
    """Who proposes."""


class NewSafeguards(Body):
    """All limits, as they shall be; what is left out gets the value of a fresh install."""

    dry_run: bool = True
    """Whether approved decisions are only recorded."""
    restock_max_cents: Cents = 500_000
    """Most that a restock may cost, cents."""
    price_change_max_ratio: Annotated[float, Meta(ge=0, le=10)] = 0.2
    """Most that a price may leave its baseline."""
    approval_above_cents: Cents = 100_000
    """A decision above this needs a person, cents."""
    auto_approve_confidence: Share = 0.8
    """Above this a decision is approved without a person."""
    review_confidence: Share = 0.6
    """From this on a decision waits for review."""
    daily_budget_cents: Cents = 500_000
    """Most that is approved within 24 hours, cents."""
    expire_h: Hours = 72.0
    """After so long nobody's decision is a no, hours."""
    deliver_h: Hours = 24.0
    """For so long a delivery is tried, hours."""
    by: Annotated[str, Meta(max_length=200)] = ""
    """Who sets them."""
    why: Annotated[str, Meta(max_length=2_000)] = ""
    """Why."""


class Switch(Body):
    """On or off."""

    on: bool
    """Whether everything automatic stops."""
    by: Annotated[str, Meta(max_length=200)] = ""
    """Who."""
    why: Annotated[str, Meta(max_length=2_000)] = ""
    """Why."""


class DecisionAnswer(CommandAnswer, kw_only=True):
    """What became of a command about a decision."""

    result: DecisionRow | None = None
    """The decision as it is now; null while it is not decided."""


class SafeguardsAnswer(CommandAnswer, kw_only=True):
    """What became of new limits."""

    result: Safeguards | None = None
    """The limits as they are now; null while that is not decided."""


DECISIONS: Listing[Decision] = Listing(
    "decisions",
    key=("id",),
    sorts=("id", "changed_ms", "created_ms", "confidence", "impact_cents", "value_cents"),
    sort="changed_ms",
    order="desc",
    filters={"status": "status", "kind": "kind", "target": "target", "store": "store"},
)


class _Named(Struct):
    id: str


async def _decide(
    api: Api, call: Call[Any, Any], told: Command, *, created: bool = False
) -> Answer:
    """Post a command about a decision; the answer holds it as it is now."""
    asked = await obey(api, call, told)
    row = None
    if asked.state == "done":
        found = api.view_of(DecisionsView).one(msgspec.json.decode(asked.detail, type=_Named).id)
        row = found.decision if found is not None else None
    return answer(api, asked, created=created, result=row)


async def list_decisions(api: Api, call: Call[DecisionsQuery, Path]) -> Decisions:
    """A page of what is remembered."""
    view = api.view_of(DecisionsView)
    page = DECISIONS.page_in_order(call.query, view.in_order)
    page = page or await DECISIONS.page_of_many(call.query, list(view.decisions()))
    shown = view.shown(page.rows)
    empty = why_empty(page.rows, (not view.decisions(), _none_yet(api)))
    return Decisions(
        basis=view.basis(), decisions=shown, why_empty=empty, next_cursor=page.next_cursor
    )


def _none_yet(api: Api) -> str:
    minutes = api.settings.decisions.propose_every_s / 60
    return (
        f"Nothing was proposed yet: services are asked every {minutes:g} minutes, and propose where they "
        "are sure enough that acting pays. A person proposes by POST /api/decisions."
    )


def get_decision(api: Api, call: Call[Query, DecisionPath]) -> DecisionDetail:
    """One decision."""
    found = api.view_of(DecisionsView).one(call.path.id)
    if found is None:
        raise Problem(
            "unknown", f"There is no decision {call.path.id!r}.", cure="See /api/decisions."
        )
    return found


def summary(api: Api, call: Call[Query, Path]) -> Summary:
    """How decisions fared."""
    view = api.view_of(DecisionsView)
    return Summary(basis=view.basis(), kinds=view.summary())


def get_safeguards(api: Api, call: Call[Query, Path]) -> SafeguardsNow:
    """The limits."""
    return api.view_of(DecisionsView).safeguards()


async def propose(api: Api, call: Call[Query, Path]) -> Answer:
    """A person proposes."""
    told: NewProposal = call.body
    need_target(api, told.kind, told.target, told.store)
    asked = Propose(
        kind=told.kind,
        target=identity_of(told.target) if told.kind == "maintenance" else told.target,
        period=told.period,
        store=told.store or place_of(api, told.kind, told.target),
        confidence=told.confidence,
        impact_cents=told.impact_cents,
        value_cents=told.value_cents,
        change_ratio=told.change_ratio,
        data=dict(told.data),
        reasons=told.reasons,
        by=told.by or "api",
    )
    return await _decide(api, call, asked, created=True)


async def approve(api: Api, call: Call[Query, DecisionPath]) -> Answer:
    """A person says yes."""
    told: Approving = call.body
    asked = Approve(id=call.path.id, by=told.by, why=told.why, override=told.override)
    return await _decide(api, call, asked)


async def reject(api: Api, call: Call[Query, DecisionPath]) -> Answer:
    """A person says no."""
    return await _decide(api, call, Reject(id=call.path.id, by=call.body.by, why=call.body.why))


async def undo(api: Api, call: Call[Query, DecisionPath]) -> Answer:
    """A person takes it back."""
    return await _decide(api, call, Undo(id=call.path.id, by=call.body.by, why=call.body.why))


async def retry(api: Api, call: Call[Query, DecisionPath]) -> Answer:
    """A person tries a failed one again."""
    return await _decide(api, call, Retry(id=call.path.id, by=call.body.by, why=call.body.why))


async def feedback(api: Api, call: Call[Query, DecisionPath]) -> Answer:
    """A person says how good it was."""
    told: Rating = call.body
    asked = Rate(id=call.path.id, score=told.score, note=told.note, by=told.by)
    return await _decide(api, call, asked)


async def impact(api: Api, call: Call[Query, DecisionPath]) -> Answer:
    """A person says what it brought."""
    told: Impact = call.body
    asked = RecordImpact(id=call.path.id, actual_cents=told.actual_cents, by=told.by)
    return await _decide(api, call, asked)


async def put_safeguards(api: Api, call: Call[Query, Path]) -> Answer:
    """New limits."""
    told: NewSafeguards = call.body
    before = api.view_of(DecisionsView).safeguards().safeguards
    limits = Safeguards(
        dry_run=told.dry_run,
        restock_max_cents=told.restock_max_cents,
        price_change_max_ratio=told.price_change_max_ratio,
        approval_above_cents=told.approval_above_cents,
        auto_approve_confidence=told.auto_approve_confidence,
        review_confidence=told.review_confidence,
        daily_budget_cents=told.daily_budget_cents,
        expire_h=told.expire_h,
        deliver_h=told.deliver_h,
        deliveries=before.deliveries,  # files and addresses: the configuration's alone
        source=before.source,
    )
    return await command(api, call, SetSafeguards(safeguards=limits, by=told.by, why=told.why))


async def kill_switch(api: Api, call: Call[Query, Path]) -> Answer:
    """Stop everything automatic, or let it go on."""
    told: Switch = call.body
    return await command(api, call, KillSwitch(on=told.on, by=told.by, why=told.why))


def _deed(name: str, handler: object, text: str, body: type[Body]) -> Endpoint:
    return Endpoint(
        "POST",
        f"/api/decisions/{{id}}/{name}",
        f"{name}_decision",
        text,
        handler,  # type: ignore[arg-type]
        DecisionAnswer,
        area="decisions",
        parts=DecisionPath,
        body=body,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=(*PROBLEMS, "unknown"),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/decisions",
        "decisions",
        "What was proposed, and what became of it.",
        list_decisions,
        Decisions,
        area="decisions",
        query=DecisionsQuery,
        rows="decisions",
    ),
    Endpoint(
        "POST",
        "/api/decisions",
        "propose_decision",
        "Propose something; the gates judge it.",
        propose,
        DecisionAnswer,
        area="decisions",
        body=NewProposal,
        headers=KEY_HEADER,
        statuses=CREATED,
        problems=(*PROBLEMS, "unknown", "unknown-class", "unknown-item"),
    ),
    Endpoint(
        "GET",
        "/api/decisions/summary",
        "decisions_summary",
        "How decisions fared: accepted, automatic, predicted and actual impact.",
        summary,
        Summary,
        area="decisions",
    ),
    Endpoint(
        "GET",
        "/api/decisions/{id}",
        "decision",
        "One decision, what can be done with it, and what waits to be delivered.",
        get_decision,
        DecisionDetail,
        area="decisions",
        parts=DecisionPath,
        problems=("unknown",),
    ),
    _deed("approve", approve, "Let it be carried out.", Approving),
    _deed("reject", reject, "Say no.", Deciding),
    _deed(
        "undo",
        undo,
        "Take it back: what waits is not sent, what was sent is called back.",
        Deciding,
    ),
    _deed("retry", retry, "Try a failed one again.", Deciding),
    _deed("feedback", feedback, "Say how good it was, 1 to 5.", Rating),
    _deed("impact", impact, "Say what it brought in the end.", Impact),
    Endpoint(
        "GET",
        "/api/safeguards",
        "safeguards",
        "What automation may do, and what is left of the budget.",
        get_safeguards,
        SafeguardsNow,
        area="decisions",
    ),
    Endpoint(
        "PUT",
        "/api/safeguards",
        "put_safeguards",
        "Set the limits; the kill switch stays as it is.",
        put_safeguards,
        SafeguardsAnswer,
        area="decisions",
        body=NewSafeguards,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=PROBLEMS,
    ),
    Endpoint(
        "POST",
        "/api/safeguards/kill-switch",
        "kill_switch",
        "Stop everything automatic, or let it go on.",
        kill_switch,
        SafeguardsAnswer,
        area="decisions",
        body=Switch,
        headers=KEY_HEADER,
        statuses=STATUSES,
        problems=PROBLEMS,
    ),
)
