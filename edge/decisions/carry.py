"""What carrying out a decision changes here, by kind; the world outside is told by the outbox. Table.

``do`` and ``undo`` change rows of the ledger and return why they could not; empty: done.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from edge.commands import DecisionKind, Told
from edge.decisions.rows import Decision
from edge.ledger import orders, packs, prices
from edge.ledger.ledger import Ledger

Step = Callable[[Ledger, Decision, Told], str]


class Carry(NamedTuple):
    """How a kind of decision is carried out and taken back."""

    do: Step
    undo: Step


CARRY: Mapping[DecisionKind, Carry] = MappingProxyType(
    {
        "restock": Carry(orders.from_decision, orders.undo_decision),
        "pricing": Carry(prices.from_decision, prices.undo_decision),
        "pack_create": Carry(packs.make_from_decision, packs.unmake_decision),
        "pack_dissolve": Carry(packs.dissolve_from_decision, packs.undissolve_decision),
    }
)
"""Kinds that change something here; the others only tell somebody outside."""


def carry_out(ledger: Ledger, decision: Decision, told: Told) -> str:
    """Change what the decision changes; why that could not be, or empty."""
    carry = CARRY.get(decision.kind)
    return carry.do(ledger, decision, told) if carry else ""


def take_back(ledger: Ledger, decision: Decision, told: Told) -> str:
    """Undo ``carry_out``; why that could not be, or empty."""
    carry = CARRY.get(decision.kind)
    return carry.undo(ledger, decision, told) if carry else ""
