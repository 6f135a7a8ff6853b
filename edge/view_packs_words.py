"""Packs in words: why one is advised, and the proposals to make or to take apart. No columns, no state."""

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from edge.commands import Propose
from edge.services.packs import Effect, Stage
from edge.view_basis import Basis
from edge.view_market import HORIZON_DAYS
from edge.view_packs_found import Found
from edge.view_packs_types import Candidate, PackRow
from edge.view_pricing_types import Range

Floats = NDArray[np.float64]

COUNT_NOW = "POST /api/correlations/look counts now."
NOT_COUNTED = (
    "What goes together is counted once a day, a minute after the start at the earliest: not yet. "
    f"{COUNT_NOW}"
)


def to_create(one: Candidate, period: str, basis: Basis) -> Propose:
    """A pack worth making."""
    name = " + ".join(part.name or part.sku for part in one.parts)[:200]
    return Propose(
        kind="pack_create", target=one.id, store=one.store, period=period,
        confidence=one.chance or 0.0, impact_cents=round(one.effect_cents.value or 0.0),
        data={"name": name, "parts": [{"sku": p.sku, "units": p.units} for p in one.parts],
              "price_cents": round(one.price_cents or 0), "separate_cents": round(one.separate_cents or 0)},
        reasons=one.reasons, service="packs", version=basis.version,
    )  # fmt: skip


def to_dissolve(row: PackRow, period: str) -> Propose:
    """A pack that had better be taken apart."""
    worth = row.effect_cents.value or 0.0
    sure = 0.9 if row.stage == "idle" else 1 - (row.chance or 0.0)
    return Propose(
        kind="pack_dissolve", target=row.id, store=row.store, period=period, confidence=sure,
        impact_cents=round(-worth), data={"name": row.name}, reasons=row.reasons, service="packs",
    )  # fmt: skip


def why_so(found: Found, group: Sequence[int], effect: Effect, i: int, create: bool) -> list[str]:
    """What stands behind a pack that could be, for people."""
    lift, low, high = min((found.lift[k] for k in group), key=lambda told: told[1])
    made = [f"go out together {lift:.1f} times as often as chance says ({low:.1f} to {high:.1f})"]
    if not np.isfinite(effect.mean_cents[i]):
        made.append("what a pack would bring is not known: a price or an elasticity is missing")
    elif create:
        made.append(f"{effect.mean_cents[i] / 100:,.2f} more are expected in {HORIZON_DAYS} days "
                    f"({effect.low_cents[i] / 100:,.2f} to {effect.high_cents[i] / 100:,.2f})")  # fmt: skip
    else:
        made.append("no discount is likely enough to be worth it")
    if len(group) > 1:
        made.append("only pairs are counted: three go out together at most so often")
    return made


def why_kept(stage: int, effect: Effect, i: int, dearer_cents: float) -> list[str]:
    """What stands behind the advice about the i-th pack; ``dearer_cents``: what it costs more than its parts."""
    made = [{
        Stage.UNKNOWN: "nothing is known of its units", Stage.LAUNCH: "offered for less than 8 weeks",
        Stage.GROWTH: "grows against the shop", Stage.STEADY: "holds its place in the shop",
        Stage.DECLINE: "declines against the shop", Stage.IDLE: "nobody took it for 8 weeks",
    }[Stage(int(stage))]]  # fmt: skip
    if dearer_cents > 0:
        made.append(
            f"it costs {dearer_cents / 100:,.2f} more than its parts apart: offer it for less"
        )
    if not np.isfinite(effect.mean_cents[i]):
        made.append("what it is worth is not known: a price or an elasticity is missing")
    elif effect.mean_cents[i]:
        made.append(f"worth {effect.mean_cents[i] / 100:,.2f} in {HORIZON_DAYS} days "
                    f"({effect.low_cents[i] / 100:,.2f} to {effect.high_cents[i] / 100:,.2f})")  # fmt: skip
    return made


def effect_range(effect: Effect, i: int) -> Range:
    """Of the i-th pack."""
    parts = (effect.mean_cents[i], effect.low_cents[i], effect.high_cents[i])
    value, low, high = (rounded(part, 2) for part in parts)
    return Range(value=value, low=low, high=high)


def sum_or_none(values: Floats) -> float | None:
    """``None``: one of them is not known."""
    return float(values.sum()) if len(values) and np.isfinite(values).all() else None


def rounded(value: float | None, digits: int = 4) -> float | None:
    """A finite number, rounded, or nothing."""
    return None if value is None or not isfinite(value) else round(float(value), digits)
