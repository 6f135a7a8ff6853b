"""What we are asked to do: the words that every command of the domain shares. No handlers, no clock.

A command is posted as one message of topic ``$rfid3/do`` whose payload is a JSON object with the
field ``do``; it is journaled like an event and applied in its order. Which commands there are, and
what they do, stands with the rows they change (``edge.ledger``, ``edge.decisions``).
"""

from typing import Any, ClassVar, Literal

from msgspec import Struct

TOPIC = "$rfid3/do"
"""Topic of a command in the journal; nobody outside can publish to it."""


class Command(Struct, tag_field="do", kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Fields that every command has."""

    noted: ClassVar[frozenset[str]] = frozenset()
    """Fields that the daemon fills in as things stand: no part of what was asked for, so the same command
    sent again under its key may find them changed."""

    by: str = ""
    """Who asks, pseudonymous; empty: the daemon itself."""
    why: str = ""
    """Why, for the record."""
    key: str = ""
    """The asker's own key: a command with a key that was answered before is answered alike again."""


class Told(Struct, frozen=True, gc=False):
    """When and where something was told; the only clock that handlers know."""

    at_ms: int
    """Arrival in the journal, epoch milliseconds."""
    ordinal: int
    """Of the message in the journal."""
    index: int = 0
    """Of the event inside the message."""
    new_unit: bool = False
    """Of an ``ItemLink``: whether a tag without a class is bound to one of which no receipt was told."""


class Done(Struct, frozen=True):
    """A command was carried out."""

    detail: Any = None
    """What the asker is told: something that JSON can say."""


RefusalCode = Literal["unknown", "conflict", "invalid", "limit", "forbidden"]
"""``unknown``: what it speaks of is not there; ``conflict``: not in its present state; ``invalid``:
its values make no sense; ``limit``: a table is full or a safeguard says no; ``forbidden``: never."""


class Refused(Struct, frozen=True):
    """A command was not carried out, nothing changed."""

    code: RefusalCode
    """What kind of reason."""
    detail: str
    """What, where and the cure, for people."""


Outcome = Done | Refused

DecisionKind = Literal["restock", "maintenance", "pricing", "pack_create", "pack_dissolve"]


class Propose(Command, tag="propose", kw_only=True):
    """Something that a service thinks worth doing; what may be done is for the gates to say.

    The decision's id is derived from kind, target, store and period: proposing twice is proposing
    once.
    """

    kind: DecisionKind
    """What kind of decision."""
    target: str
    """SKU of a class, EPC of an item, or id of a pack."""
    store: str = ""
    """Store it is for; empty: all."""
    period: str
    """Such as ``2026-W47``: within it the same is not proposed again."""
    confidence: float
    """Calibrated probability that acting beats not acting, 0 to 1."""
    impact_cents: int
    """Expected gain over not acting, cents; may be negative."""
    value_cents: int = 0
    """Money that acting commits, cents."""
    change_ratio: float = 0.0
    """For prices: new price over baseline less 1."""
    data: dict[str, Any] = {}
    """What is to be carried out, such as ``{"units": 12, "supplier": "S1"}``; JSON."""
    reasons: list[str] = []
    """Why, for people, the weightiest first."""
    service: str = ""
    """Service that thinks so."""
    version: str = ""
    """Its model's version; empty: no model spoke."""
    fallback: bool = False
    """Whether a simple rule spoke in place of a model."""
    valid_until_ms: int = 0
    """Expires then if nobody decided; 0: the configured time."""
