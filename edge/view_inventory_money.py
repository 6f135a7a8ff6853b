"""What to buy first with a budget: orders ranked by what they return. One question, over the plans.

What the best steps are is ``edge.services.budget``'s word.
"""

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from edge.services import budget, inventory
from edge.services.counts import Floats
from edge.services.stock_position import Position
from edge.view_basis import why_empty
from edge.view_inventory import InventoryView
from edge.view_inventory_plans import POSITION, SLICE_ROWS
from edge.view_inventory_types import Recommendation, Recommendations
from edge.view_inventory_words import reasons

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CANDIDATES = 256
"""Orders that are weighed against each other under a budget, those with the best returns."""
STEPS = 6


def recommending(
    view: InventoryView, rows: Ints, budget_cents: int | None, limit: int
) -> Generator[None, None, Recommendations]:
    """What to buy of ``rows`` first, the best ``limit`` told; in slices."""
    of = view.columns.of
    none = view.none_of(rows, "is to be ordered now")
    rows = wanted = view.needed(rows)
    known = np.isfinite(of["roi"][rows])
    basis, unknown = view.basis(rows), int((~known).sum())
    rows = rows[known & (of["gain"][rows] > 0)]
    order = np.lexsort((rows, -of["roi"][rows]))
    rows = rows[order]
    total = float(of["value"][rows].sum())
    if budget_cents is None or budget_cents >= total:
        units, cost = of["suggested"][rows], of["value"][rows]
        gain, cut = of["gain"][rows], np.zeros(len(rows), np.bool_)
    else:
        units, cost, gain, cut = yield from _within(view, rows, budget_cents)
    yield
    told = _recommended(view, rows, (units, cost, gain), limit)
    pays = (
        f"None of {len(wanted)} orders is known to earn anything; of {unknown} the gain is not known, for"
        " want of a cost or a price."
    )
    small = f"The budget is too small for any of {len(rows)} orders."
    why = (
        *view.why_none("" if len(wanted) else none),
        (bool(len(wanted)) and not len(rows), pays),
        (bool(len(rows)), small),
    )
    return Recommendations(
        basis=basis,
        budget_cents=budget_cents,
        spent_cents=round(float(cost.sum())),
        gain_cents=round(float(gain.sum())),
        wanted_cents=round(total),
        orders=int((units > 0).sum()),
        left_out=int(cut.sum()),
        not_weighed=unknown,
        recommendations=told,
        why_empty=why_empty(told, *why),
    )


def _within(
    view: InventoryView, rows: Ints, budget_cents: int
) -> Generator[None, None, tuple[Floats, Floats, Floats, Bools]]:
    weighed = rows[:CANDIDATES]
    taken, cost, gain = yield from _stepped(view, weighed)
    share = budget.allocate(cost, gain, float(budget_cents))
    k = len(rows)
    units, spent, gained = np.zeros(k), np.zeros(k), np.zeros(k)
    cut = np.ones(k, np.bool_)
    first = np.arange(STEPS) < share.steps[:, None]
    units[: len(weighed)] = np.where(first, np.nan_to_num(taken), 0.0).sum(axis=1)
    spent[: len(weighed)], gained[: len(weighed)] = share.spent, share.gain
    cut[: len(weighed)] = share.cut
    return units, spent, gained, cut


def _stepped(view: InventoryView, rows: Ints) -> Generator[None, None, inventory.Steps]:
    """The orders of ``rows`` cut into steps; kept until one of them changes."""
    now = np.stack([rows, *(view.columns.of[name][rows] for name in (*POSITION, "suggested"))])
    planned = view.columns.planned_ms[rows]
    if view.steps is not None:
        before, planned_before, found = view.steps
        if np.array_equal(before, now) and np.array_equal(planned_before, planned):
            return found
    parts = []
    for start in range(0, len(rows), SLICE_ROWS):
        part = rows[start : start + SLICE_ROWS]
        plan, terms, curve, owned = view.parts(part)
        found = yield from inventory.stepping(
            plan,
            curve,
            terms,
            view.columns.take(Position, part),
            owned,
            view.columns.of["suggested"][part],
            STEPS,
        )
        parts.append(found)
    taken, cost, gain = (np.concatenate(told) for told in zip(*parts, strict=True))
    view.steps = now, planned, (taken, cost, gain)
    return taken, cost, gain


def _recommended(
    view: InventoryView, rows: Ints, found: tuple[Floats, Floats, Floats], limit: int
) -> list[Recommendation]:
    units, cost, gain = found
    taken = np.flatnonzero(units > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        roi = gain / cost
    order = taken[np.lexsort((rows[taken], -roi[taken]))][:limit]
    told = view.told(rows[order])
    return [
        Recommendation(
            rank=n,
            action="expand_fleet" if row.kind == "rental" else "reorder",
            sku=row.sku,
            store=row.store,
            name=row.name,
            units=float(units[i]),
            wanted_units=row.suggested_order_qty or 0.0,
            cost_cents=round(float(cost[i])),
            gain_cents=round(float(gain[i])),
            roi=round(float(roi[i]), 4),
            days=round(float(view.columns.of["span"][rows[i]]), 1),
            confidence=row.confidence or 0.0,
            priority=row.priority or "low",
            supplier=row.supplier,
            why="; ".join(reasons(row)),
        )
        for n, (i, row) in enumerate(zip(order.tolist(), told, strict=True), 1)
    ]
