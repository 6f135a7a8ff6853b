"""Which status follows which: one table. No limits, no clock."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from edge.decisions.rows import Status

Deed = Literal["approve", "reject", "expire", "deliver", "fail", "undo", "retry"]

TRANSITIONS: Mapping[tuple[Status, Deed], Status] = MappingProxyType(
    {
        ("proposed", "approve"): "approved",
        ("proposed", "reject"): "rejected",
        ("proposed", "expire"): "expired",
        ("pending", "approve"): "approved",
        ("pending", "reject"): "rejected",
        ("pending", "expire"): "expired",
        ("approved", "deliver"): "executed",
        ("approved", "fail"): "failed",
        ("approved", "undo"): "undone",
        ("executed", "undo"): "undone",
        ("failed", "retry"): "approved",
        ("failed", "undo"): "undone",
    }
)
"""(status, what is done) -> the next status. What is not here is not done."""

FIRST: tuple[Status, ...] = ("proposed", "pending", "approved", "rejected")
"""A decision begins as one of these: the gates say which."""
OPEN: tuple[Status, ...] = ("proposed", "pending", "approved")
"""Something may still happen by itself."""


def following(status: Status, deed: Deed) -> Status | None:
    """The next status; ``None``: not from here.

    >>> following("pending", "approve"), following("expired", "approve")
    ('approved', None)
    """
    return TRANSITIONS.get((status, deed))


def possible(status: Status) -> list[Deed]:
    """What can be done from a status.

    >>> possible("executed")
    ['undo']
    """
    return [deed for known, deed in TRANSITIONS if known == status]
