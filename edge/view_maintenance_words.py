"""Why a plan of services has no more of them, in words with figures. No columns are gathered here."""

import numpy as np

from edge.services.planning import Inputs, Plan
from edge.view_maintenance_inputs import MARGIN
from edge.view_voice import Voice

NO_PARTS = (
    "No part of any item is known: tell one with POST /api/predictive/maintenance/components, or in a "
    "maintenance event of kind replacement that names its component."
)


def nearest(inputs: Inputs, plan: Plan) -> str:
    """Why nothing more is planned: what the best further service would save, beside what it must."""
    free = np.where(plan.day >= 0, -np.inf, plan.best)
    if not np.isfinite(free).any():
        return f"No item is there to be served {within(plan.days)}."
    if (plan.wanted[plan.day < 0] > 0).any():
        many = int((plan.wanted[plan.day < 0] > 0).sum())
        return f"{many} items are worth a service, and no crew that may do it has hours while they are there."
    later = (free >= inputs.margin_cents) & (inputs.due_days > plan.days - 1)
    if later.any():
        return (
            f"{int(later.sum())} items are worth a service against none at all, but none is due {within(plan.days)}: "
            "as they age here, a service that waits costs less in the long run."
        )
    i = int(np.argmax(free - inputs.margin_cents))
    saved, asked = free[i] / 100, inputs.margin_cents[i] / 100
    told = "saves {:.2f}" if saved >= 0 else "costs {:.2f} more than it saves"
    return (
        f"No service of the {len(free)} items is worth its cost: the one that comes nearest "
        f"{told.format(abs(saved))} over {inputs.costs.window_days} days, its cost taken off, and "
        f"{asked:.2f} ({MARGIN:.0%} of that cost) must be saved to outweigh mere luck."
    )


def little_known(held: Voice) -> str:
    """Whether more might be said once more is known; a reason beside the first, never in its place."""
    known = int(held.founded.sum())
    if known == len(held.founded):
        return ""
    return (
        f" {known} of them are known well: {held.needed_days} days of an item's own history are needed to "
        f"tell it from the others, the longest known is {held.longest_days:.1f}."
    )


def within(days: int) -> str:
    """How far ahead, in words.

    >>> within(1), within(30)
    ('within a day', 'within 30 days')
    """
    return "within a day" if days == 1 else f"within {days} days"
