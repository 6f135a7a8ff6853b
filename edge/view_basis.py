"""What every answer stands on: how fresh it is, who spoke, and whether a fallback did. No rules.

Views embed a :class:`Basis` in what they tell, lists are :class:`Listed`; the classes that make views
are given :class:`Sources`.
"""

from collections.abc import Sized
from dataclasses import dataclass
from typing import TypeVar

from msgspec import Struct

from edge.config import Config
from edge.core import Core
from edge.inference.answering import Origin, origin_of
from edge.inference.manifest import Manifest, Service
from edge.inference.scorer import Scorer
from edge.view_models import LiveModels, Prediction

R = TypeVar("R")


class Basis(Struct, kw_only=True):
    """How fresh an answer is, which model and version spoke, and whether a fallback did."""

    as_of_ms: int
    """The moment of the state that it was made from."""
    revision: int
    """The revision of the state."""
    service: str = ""
    """Service that spoke; empty: it is counted, nobody predicted anything."""
    version: str = ""
    """Version of its model; empty: no model spoke."""
    origin: Origin = ""
    """``starter``: the model came with the program and knows nothing of this shop; ``shop``: it learnt
    from this shop's history; empty: no model spoke."""
    trained_on: str = ""
    """What the model learnt from, in words; empty: no model spoke."""
    kind: str = "counted"
    """``counted``, ``computed`` (from counted figures by a formula), ``rule`` or a model's family."""
    fallback: bool = False
    """Whether a simple rule spoke in place of a model, for at least one of the rows."""
    rule: str = ""
    """The simple rule, or the formula, in words; empty where a model spoke alone."""
    held: str = ""
    """Why, and until when, what a starter says is held towards the simple rule; empty: it is not."""
    stale: bool = False
    """Whether a prediction was made longer ago than ``models.feature_stale_h``."""

    def as_rule(self, service: str, rule: str = "") -> "Basis":
        """The same, spoken by a service's simple rule."""
        self.service, self.kind, self.fallback = service, "rule", True
        self.rule = rule or self.rule
        self.version = self.origin = self.trained_on = self.held = ""
        return self


class Listed(Struct, kw_only=True):
    """A page of rows; the answer itself names the field that holds them."""

    basis: Basis
    """How fresh it is and who spoke."""
    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""
    next_cursor: str | None = None
    """Cursor of the next page; null: it is the last."""


NONE_PASSES = "No row passes the filters that were asked for, or the page lies behind the last row."


class Rows(list[R]):
    """The rows of a page, which know why there are none where a filter names what no row has."""

    why = ""
    """In words; empty: no filter is to blame."""


def why_empty(rows: Sized, *reasons: tuple[bool, str]) -> str:
    """Why a page has no rows: the first of the reasons that holds; empty where it has some.

    What ``rows`` know of it themselves (:class:`Rows`) stands before all others.

    >>> why_empty([], (True, "Nothing was ever rented."), (True, "…"))
    'Nothing was ever rented.'
    >>> why_empty(["row"], (True, "Nothing was ever rented."))
    ''
    """
    if len(rows):
        return ""
    own = rows.why if isinstance(rows, Rows) else ""
    return own or next((words for holds, words in reasons if holds), NONE_PASSES)


def speaker(scorer: Scorer | None, service: Service) -> Manifest | None:
    """What is told of the model that answers for a service; ``None``: none does."""
    slot = scorer.slots.get(service) if scorer is not None else None
    return slot.active.manifest if slot is not None and slot.active is not None else None


@dataclass(frozen=True)
class Sources:
    """What a view may read: never to be changed, never held across an await."""

    core: Core
    config: Config
    models: LiveModels | None = None
    """``None``: models are switched off."""
    scorer: Scorer | None = None
    """Columns of predictions; ``None`` with ``models``."""

    @property
    def revision(self) -> int:
        """The revision of the state."""
        return self.core.revision

    @property
    def now_ms(self) -> int:
        """The moment the state stands for."""
        return max(self.core.now_ms, self.core.state.now_ms)

    def counted(self) -> Basis:
        """The basis of what is only counted."""
        return Basis(as_of_ms=self.now_ms, revision=self.revision)

    def computed(self, formula: str) -> Basis:
        """The basis of what a formula makes of counted figures."""
        return Basis(as_of_ms=self.now_ms, revision=self.revision, kind="computed", rule=formula)

    def of_prediction(self, made: Prediction) -> Basis:
        """The basis of one prediction."""
        return Basis(
            as_of_ms=made.predicted_ms,
            revision=self.revision,
            service=made.service,
            version=made.version,
            kind=made.kind,
            origin=made.origin,
            trained_on=made.trained_on,
            fallback=bool(made.fallback),
            rule=made.rule,
            stale=made.stale,
        )

    def of_service(self, service: Service) -> Basis:
        """The basis of an answer over many rows of a service: who answers now."""
        if self.models is None:
            return self.computed("models are switched off: simple rules speak").as_rule(service)
        basis = Basis(as_of_ms=self.now_ms, revision=self.revision, service=service)
        told = speaker(self.scorer, service)
        if told is None:
            return basis.as_rule(service, self.models.row(service).rule)
        basis.version, basis.kind, basis.origin = told.version, told.kind, origin_of(told)
        basis.trained_on = told.training.data
        return basis
