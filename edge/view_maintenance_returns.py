"""What a plan of services brings, item by item, class by class and altogether, in whole cents that add up.

Everything is rounded once, for each item; classes and totals are sums of that. No plans are made here.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge.services.maintenance import Worth
from edge.services.planning import Plan
from edge.view_fleet import Items
from edge.view_maintenance_rows import ClassReturn, Way, WayRow

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

EVER = {
    "repairs": "repairs_total",
    "repair_cents": "repair_cost_cents_total",
    "revenue_cents": "revenue_cents_total",
}
"""Sum -> column of items."""


@dataclass(frozen=True)
class ItemCents:
    """Of n items, int64[n]; 0 without a planned service. ``saves`` is ``averts`` less ``spends``."""

    spends: Ints
    """What the service is expected to cost, missed rentals included."""
    averts: Ints
    """What the failures cost that it is expected to avert."""
    waiting: Ints
    """What a service would save if there were hours for it."""

    @property
    def saves(self) -> Ints:
        """What is left."""
        return self.averts - self.spends


def item_cents(plan: Plan) -> ItemCents:
    """Of a plan."""
    saves, spends = _whole(plan.saves), _whole(plan.spends)
    waiting = np.where(plan.day >= 0, 0.0, plan.wanted)
    return ItemCents(spends=spends, averts=saves + spends, waiting=_whole(waiting))


def _whole(cents: Floats) -> Ints:
    return np.rint(cents).astype(np.int64)


@dataclass(frozen=True)
class Returned:
    """What maintenance brings, by class; its g classes stand in the order of their rows in the state."""

    rows: Ints
    """int64[g]: rows of the classes in the state."""
    skus: NDArray[np.object_]
    stores: NDArray[np.object_]
    sums: dict[str, Ints]
    """Field of ``ClassReturn`` -> int64[g]."""

    @cached_property
    def totals(self) -> dict[str, int]:
        """Over all classes."""
        return {name: int(values.sum()) for name, values in self.sums.items()}

    @cached_property
    def sortable(self) -> dict[str, Floats]:
        """Field -> float64[g] to sort by."""
        made = {name: values.astype(np.float64) for name, values in self.sums.items()}
        spend = made["spend_cents"]
        made["roi"] = np.divide(
            made["saved_cents"], spend, out=np.full(len(spend), np.nan), where=spend > 0
        )
        made["sku"] = np.unique(self.skus.astype(np.str_), return_inverse=True)[1].astype(
            np.float64
        )
        return made

    def passing(self, sku: str | None, store: str | None) -> Mask:
        """bool[g]: a class, classes of a store."""
        made = np.ones(len(self.rows), np.bool_)
        if sku is not None:
            made &= np.asarray(self.skus == sku, np.bool_)
        if store is not None:
            made &= np.asarray(self.stores == store, np.bool_)
        return made

    def line(self, i: int) -> ClassReturn:
        """Of the class at this place."""
        sums = {name: int(values[i]) for name, values in self.sums.items()}
        roi = return_on(sums["saved_cents"], sums["spend_cents"])
        return ClassReturn(sku=self.skus[i], store=self.stores[i], roi=roi, **sums)


def return_on(saved: int, spend: int) -> float | None:
    """Saved for each cent spent; ``None``: nothing is spent."""
    return round(saved / spend, 4) if spend > 0 else None


def returned(found: Items, plan: Plan, cents: ItemCents, keys: list[str]) -> Returned:
    """``keys``: of the classes in the state."""
    each: dict[str, Ints] = {
        "items": np.ones(len(found), np.int64),
        "services": (plan.day >= 0).astype(np.int64),
        "averted_cents": cents.averts,
        "spend_cents": cents.spends,
        "saved_cents": cents.saves,
        "waiting_cents": cents.waiting,
        **{name: found.col[column] for name, column in EVER.items()},
    }
    named = [key.partition("\x1f") for key in keys]
    return Returned(
        rows=found.class_rows,
        skus=np.array([sku for _, _, sku in named], np.object_),
        stores=np.array([store for store, _, _ in named], np.object_),
        sums={name: _by_class(found, values) for name, values in each.items()},
    )


def _by_class(found: Items, values: Ints) -> Ints:
    # sums of whole numbers below 2**53 are exact
    made = np.bincount(found.cls, weights=values, minlength=len(found.class_rows))
    return made.astype(np.int64)


def ways(plan: Plan, cents: ItemCents, interval_days: float) -> list[WayRow]:
    """The plan beside other ways of doing it; its line is that of no service with the sums of its items."""
    never = round(plan.never.cost_cents)
    spend, averted = int(cents.spends.sum()), int(cents.averts.sum())
    told: list[tuple[Way, float | None, Worth, int, int]] = [
        ("plan", None, plan.plan, spend, never - averted),
        ("run_to_failure", None, plan.never, 0, never),
        ("calendar", interval_days, plan.calendar, *_split(plan.calendar)),
        ("best_calendar", plan.best_interval_days, plan.best_calendar, *_split(plan.best_calendar)),
    ]
    planned = never - averted + spend
    return [
        WayRow(
            way=way,
            interval_days=every,
            cost_cents=service + failure,
            services=worth.services,
            service_cents=service,
            failures=round(worth.failures, 3),
            failure_cents=failure,
            saved_cents=service + failure - planned,
        )
        for way, every, worth, service, failure in told
    ]


def _split(worth: Worth) -> tuple[int, int]:
    return round(worth.service_cents), round(worth.failure_cents)
