"""What a plan of services brings, item by item, class by class and altogether, in whole cents that add up.

Everything is rounded once, for each item; classes and totals are sums of that. No plans are made here.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.services.maintenance import Worth
from edge.services.planning import Plan
from edge.view_fleet import ClassNames, Items
from edge.view_maintenance_rows import ClassReturn, Way, WayRow

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

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
    """What maintenance brings, by class."""

    names: ClassNames
    """Of the g classes."""
    sums: dict[str, Ints]
    """Field of ``ClassReturn`` -> int64[g]."""
    totals: dict[str, int]
    """The same over all classes."""
    sortable: dict[str, Floats]
    """Field -> float64[g] to sort by."""

    def line(self, i: int) -> ClassReturn:
        """Of the class at this place."""
        sums = {name: int(values[i]) for name, values in self.sums.items()}
        roi = return_on(sums["saved_cents"], sums["spend_cents"])
        return ClassReturn(sku=self.names.skus[i], store=self.names.stores[i], roi=roi, **sums)


def return_on(saved: int, spend: int) -> float | None:
    """Saved for each cent spent; ``None``: nothing is spent."""
    return round(saved / spend, 4) if spend > 0 else None


def returned(
    found: Items, plan: Plan, cents: ItemCents, names: ClassNames
) -> Generator[float, None, Returned]:
    """In slices; ``names``: of the classes of ``found``."""
    each: dict[str, Ints] = {
        "items": np.ones(len(found), np.int64),
        "services": (plan.day >= 0).astype(np.int64),
        "averted_cents": cents.averts,
        "spend_cents": cents.spends,
        "saved_cents": cents.saves,
        "waiting_cents": cents.waiting,
        **{name: found.col[column] for name, column in EVER.items()},
    }
    sums = {}
    for name, values in each.items():
        sums[name] = _by_class(found, values)
        yield 0.99
    return Returned(
        names=names,
        sums=sums,
        totals={name: int(values.sum()) for name, values in sums.items()},
        sortable=_sortable(sums, names),
    )


def _sortable(sums: dict[str, Ints], names: ClassNames) -> dict[str, Floats]:
    made = {name: values.astype(np.float64) for name, values in sums.items()}
    saved, spend = made["saved_cents"], made["spend_cents"]
    made["roi"] = np.divide(saved, spend, out=np.full(len(spend), np.nan), where=spend > 0)
    made["sku"] = names.sortable()
    return made


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
