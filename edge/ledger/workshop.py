"""Parts in items, how long parts lasted, and what mechanics say of predictions. Pure.

A part is known from the event that says it was replaced (``maintenance`` of kind ``replacement``
with a ``component``), or because somebody put it here. What was done to the item itself stands in
its features and its history, as for every maintenance event.
"""

import hashlib
from typing import ClassVar, Literal

import msgspec
from msgspec import Struct

from edge.commands import Command, Done, Outcome, Refused, Told
from edge.events import Event, ItemLink, Maintenance
from edge.ledger.ledger import Deed, Hook, Ledger, Table

DAY_MS = 86_400_000
LIVES_KEPT = 200
"""Newest lives of a part that its expected life is learnt from."""
COMPONENTS_MAX = 100_000
KINDS_MAX = 2_000
NAME_MAX = 64

Verdict = Literal["right", "false_alarm", "missed", "unsure"]
"""What was found against what was predicted: it needed it; it did not; nobody had said so."""


class Component(Struct, frozen=True, kw_only=True):
    """A part in an item, in use."""

    epc: str
    """The item."""
    component: str
    """Which part, in lower case."""
    installed_ms: int
    """When it was put in."""
    replaced: int = 0
    """How often this part of this item was replaced."""
    expected_days: float = 0.0
    """Life that somebody told for this one, days; 0: that of its kind."""
    serial_number: str = ""
    """Its own number, where somebody told it."""
    updated_ms: int = 0
    """When this row last changed."""


class ComponentKind(Struct, frozen=True, kw_only=True):
    """A kind of part, over all items."""

    component: str
    """Which part."""
    lives_days: list[float] = []
    """How long the newest replaced ones lasted, oldest first."""
    replaced: int = 0
    """Replacements, ever."""
    cost_cents: int = 0
    """What these cost together."""
    minutes: int = 0
    """Labour of these together."""


class MaintenanceFeedback(Struct, frozen=True, kw_only=True):
    """What a mechanic said of an item after work or after a look."""

    id: str
    """Derived from the item and the command."""
    epc: str
    """The item."""
    at_ms: int
    """When it was said."""
    verdict: Verdict
    """What was found against what was predicted."""
    work: str = ""
    """What was done: inspection, repair, wash, replacement, failure; empty: nothing."""
    rating: int = 0
    """How useful the prediction was, 1 to 5; 0: not said."""
    predicted: float | None = None
    """Probability of a failure or repair within 30 days that had been told."""
    version: str = ""
    """Version of the model that told it; empty: the simple rule."""
    minutes: int = 0
    """Labour, minutes."""
    cost_cents: int = 0
    """Cost of parts and labour, cents."""
    component: str = ""
    """The part worked on."""
    note: str = ""
    """Free words."""
    said_by: str = ""
    """Who said it, pseudonymous."""


class VerdictTally(Struct, frozen=True, kw_only=True):
    """How often a verdict was given."""

    verdict: Verdict
    """Which."""
    times: int = 0
    """How often."""
    predicted_sum: float = 0.0
    """Sum of the probabilities that had been told."""
    predicted_times: int = 0
    """How often one had been told."""
    rating_sum: int = 0
    """Sum of ratings."""
    ratings: int = 0
    """How many."""


TABLES = (
    Table(
        "components", Component, ("epc", "component"), COMPONENTS_MAX, index=("epc", "component")
    ),
    Table("component_kinds", ComponentKind, ("component",), KINDS_MAX),
    Table("maintenance_feedback", MaintenanceFeedback, ("id",), 0, kept="none"),
    Table("maintenance_verdicts", VerdictTally, ("verdict",), 8),
)


class GiveMaintenanceFeedback(Command, tag="maintenance_feedback", kw_only=True):
    """Say what was found; the work itself is told by an ordinary maintenance event beside it."""

    noted: ClassVar[frozenset[str]] = frozenset({"predicted", "version"})

    epc: str
    """The item."""
    verdict: Verdict
    """What was found against what was predicted."""
    work: Literal["", "inspection", "repair", "wash", "replacement", "failure", "service"] = ""
    """What was done."""
    rating: int = 0
    """1 to 5; 0: not said."""
    predicted: float | None = None
    """Probability that had been told."""
    version: str = ""
    """By which version."""
    minutes: int = 0
    """Labour, minutes."""
    cost_cents: int = 0
    """Cost, cents."""
    component: str = ""
    """The part worked on."""
    note: str = ""
    """Free words."""


class PutComponent(Command, tag="put_component", kw_only=True):
    """Say that an item has a part, since when, and how long it should last."""

    epc: str
    """The item."""
    component: str
    """Which part."""
    installed_ms: int = 0
    """When it was put in; 0: now."""
    expected_days: float = 0.0
    """How long it should last, days; 0: as its kind."""
    serial_number: str = ""
    """Its own number."""


def part_name(text: str) -> str:
    """A part's name as rows hold it.

    >>> part_name("  Drive  Belt ")
    'drive belt'
    """
    return " ".join(text.split()).casefold()[:NAME_MAX]


def give_feedback(ledger: Ledger, command: GiveMaintenanceFeedback, told: Told) -> Outcome:
    """The row, and the verdict counted."""
    if not 0 <= command.rating <= 5:
        return Refused("invalid", f"rating {command.rating}: 1 to 5")
    if command.minutes < 0 or command.cost_cents < 0:
        return Refused("invalid", "minutes and cost_cents cannot be below 0")
    if command.predicted is not None and not 0 <= command.predicted <= 1:
        return Refused("invalid", f"predicted {command.predicted}: a probability is 0 to 1")
    row = MaintenanceFeedback(
        id=_id(command.epc, command.key, told),
        epc=command.epc,
        at_ms=told.at_ms,
        verdict=command.verdict,
        work=command.work,
        rating=command.rating,
        predicted=command.predicted,
        version=command.version,
        minutes=command.minutes,
        cost_cents=command.cost_cents,
        component=part_name(command.component),
        note=command.note,
        said_by=command.by,
    )
    ledger.put(row)
    _count(ledger, row)
    return Done(row)


def _count(ledger: Ledger, row: MaintenanceFeedback) -> None:
    before = ledger.get(VerdictTally, row.verdict) or VerdictTally(verdict=row.verdict)
    ledger.put(
        VerdictTally(
            verdict=row.verdict,
            times=before.times + 1,
            predicted_sum=before.predicted_sum + (row.predicted or 0.0),
            predicted_times=before.predicted_times + (row.predicted is not None),
            rating_sum=before.rating_sum + row.rating,
            ratings=before.ratings + (row.rating > 0),
        )
    )


def _id(epc: str, key: str, told: Told) -> str:
    """The same command under the same key is the same row."""
    unique = f"{epc}\x1f{key or told.ordinal}\x1f{'' if key else told.index}"
    return hashlib.sha256(unique.encode()).hexdigest()[:24]


def put_component(ledger: Ledger, command: PutComponent, told: Told) -> Outcome:
    """The part as it is now."""
    name = part_name(command.component)
    if not name:
        return Refused("invalid", "component: a part needs a name")
    if not 0 <= command.installed_ms <= told.at_ms:
        return Refused("invalid", "installed_ms lies in the future")
    if not 0 <= command.expected_days <= 36_500:
        return Refused("invalid", "expected_days: 0 to 36500")
    before = ledger.get(Component, command.epc, name)
    row = Component(
        epc=command.epc,
        component=name,
        installed_ms=command.installed_ms or told.at_ms,
        replaced=before.replaced if before else 0,
        expected_days=command.expected_days,
        serial_number=command.serial_number,
        updated_ms=told.at_ms,
    )
    ledger.put(row)
    return Done(row)


def replaced(ledger: Ledger, event: Maintenance, told: Told) -> None:
    """A replacement ends the life of the part before it, where it is known since when that was in."""
    name = part_name(event.component)
    if event.kind != "replacement" or not name:
        return
    assert isinstance(event.at, int), event.at
    before = ledger.get(Component, event.epc, name)
    if before is not None and event.at < before.installed_ms:
        return  # told late: a newer one is in already
    lived = (event.at - before.installed_ms) / DAY_MS if before is not None else None
    row = Component(
        epc=event.epc,
        component=name,
        installed_ms=event.at,
        replaced=(before.replaced if before else 0) + 1,
        updated_ms=told.at_ms,
    )
    ledger.put(row)
    kind = ledger.get(ComponentKind, name) or ComponentKind(component=name)
    lives = kind.lives_days if lived is None else [*kind.lives_days, round(lived, 3)]
    ledger.put(
        ComponentKind(
            component=name,
            lives_days=lives[-LIVES_KEPT:],
            replaced=kind.replaced + 1,
            cost_cents=kind.cost_cents + event.cost_cents,
            minutes=kind.minutes + event.minutes,
        )
    )


def linked(ledger: Ledger, event: ItemLink, told: Told) -> None:
    """Parts of a retired item are gone; those of a replaced tag go over to the new one."""
    if event.action == "retire":
        for part in ledger.by(Component, "epc", event.epc):
            ledger.drop(Component, part.epc, part.component)
    if event.action == "replace" and event.replaces:
        for part in ledger.by(Component, "epc", event.replaces):
            ledger.drop(Component, part.epc, part.component)
            ledger.put(msgspec.structs.replace(part, epc=event.epc, updated_ms=told.at_ms))


DEEDS: dict[type[Command], Deed] = {
    GiveMaintenanceFeedback: give_feedback,
    PutComponent: put_component,
}
HOOKS: dict[type[Event], tuple[Hook, ...]] = {Maintenance: (replaced,), ItemLink: (linked,)}
