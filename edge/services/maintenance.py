"""What a failure and a planned service cost, which day of service costs least, and what a plan saves.

No clock and no rules of what may be done: columns of n items in, columns out. How days and crews are
shared out stands in ``schedule.py``, how long parts last in ``components.py``.

An item fails at a rate that is even between the horizons a model told. A failure costs the emergency
repair and the rentals missed meanwhile; a planned service costs less, and takes the share ``effect``
off the rate, as the repair after a failure does. Costs are counted over one and the same window for
every choice, ``Costs.window_days``: a service pays for itself over the time it lasts, not only over
the days that are planned.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

MOST_LIKELY = 0.999
"""Probabilities told above this count as this: a rate must be finite."""
SLICE_ROWS = 4_096
"""Items looked at in one slice: about 2 ms."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What things cost, of n items and their g classes.

    ``lost_cents``: float64[g, window_days], rental income missed by one item that is away on that
    day. ``cls``: int64[n], the item's line in it.
    """

    service_cents: Floats
    """float64[n]: parts and labour of a planned service."""
    failure_cents: Floats
    """float64[n]: parts, labour and everything else of a failure but missed rentals."""
    service_days: Floats
    """float64[n]: days away for a planned service."""
    failure_days: Floats
    """float64[n]: days away after a failure."""
    effect: Floats
    """float64[n]: share of the rate of failures that a service takes away, 0 to 1."""
    cls: Ints
    lost_cents: Floats

    @property
    def window_days(self) -> int:
        """Days over which costs are counted."""
        return int(self.lost_cents.shape[1])

    def failed_cents(self) -> Floats:
        """float64[n]: all of a failure, missed rentals at the classes' mean day included."""
        lost = self.lost_cents.mean(axis=1)[self.cls]
        return np.asarray(self.failure_cents + self.failure_days * lost, np.float64)


def hazards(chances: Floats, horizons: Floats) -> Floats:
    """float64[n, k + 1]: failures a day up to each horizon and, as their mean, after the last.

    ``chances``: float64[n, k] probabilities of an event within each horizon (days, rising). What
    falls where it should rise is taken as level; NaN is no failure at all.

    >>> hazards(np.array([[0.5, 0.75]]), np.array([7.0, 14.0])).round(4).tolist()
    [[0.099, 0.099, 0.099]]
    """
    chances = np.clip(np.nan_to_num(chances, nan=0.0), 0.0, MOST_LIKELY)
    risen = -np.log1p(-np.maximum.accumulate(chances, axis=1))
    rates = np.diff(risen, axis=1, prepend=0.0) / np.diff(horizons, prepend=0.0)
    return np.column_stack([rates, risen[:, -1] / horizons[-1]])


def cumulated(rates: Floats, horizons: Floats, at_days: Floats) -> Floats:
    """float64[n, t]: failures expected until each of ``at_days``, of rates as ``hazards`` gives them."""
    starts = np.concatenate([[0.0], horizons])
    lengths = np.append(np.diff(starts), np.inf)
    within = np.clip(at_days[None, :] - starts[:, None], 0.0, lengths[:, None])
    return np.asarray(rates @ within, np.float64)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What each choice is expected to cost over the window, cents, and how likely failures are.

    float64[n, days] costs of a service on each day; float64[n] of never; ``failing`` float64[n]:
    probability of a failure within the planned days without a service.
    """

    service_on: Floats
    never: Floats
    failing: Floats
    failures: Floats
    """float64[n]: failures expected within the window without a service."""
    failures_on: Floats
    """float64[n, days]: the same with a service on each day."""
    away_on: Floats
    """float64[n, days]: rental income that the service itself is expected to cost."""

    @property
    def gain(self) -> Floats:
        """float64[n, days]: what a service on each day saves against never."""
        return np.asarray(self.never[:, None] - self.service_on, np.float64)


def outlook(rates: Floats, horizons: Floats, costs: Costs, days: int) -> Outlook:
    """What every item costs with a service on each of the first ``days`` days, or never.

    Who fails before the planned day is repaired then and needs no service on it. Day 0 is the first
    that is planned; a service is done at its beginning.
    """
    window = costs.window_days
    assert 0 < days <= window, (days, window)
    whole = np.arange(window + 1.0)
    alive = np.exp(-cumulated(rates, horizons, whole))
    falls = -np.diff(alive, axis=1)  # failing for the first time, day by day
    later = (1.0 - costs.effect) * rates[:, -1]  # rate after a service or repair
    failed = costs.failed_cents()
    # a failure in the middle of a day, and what follows it until the window's end
    follow = 1.0 + later[:, None] * (window - whole[:-1] - 0.5)[None, :]
    counted = np.zeros((len(rates), window + 1))
    np.cumsum(falls * follow, axis=1, out=counted[:, 1:])
    after = later[:, None] * (window - whole[:days])[None, :]
    lost = _away(costs, days)
    before, still = counted[:, :days], alive[:, :days]
    failures_on = before + still * after
    service = still * (costs.service_cents[:, None] + lost)
    return Outlook(
        service_on=failed[:, None] * failures_on + service,
        never=failed * counted[:, window],
        failing=1.0 - alive[:, days],
        failures=counted[:, window],
        failures_on=failures_on,
        away_on=still * lost,
    )


def _away(costs: Costs, days: int) -> Floats:
    """float64[n, days]: income missed by a service that begins on each day.

    A service of more than a day misses the days that follow, too; the window's last day stands for
    those beyond it.
    """
    lost = costs.lost_cents
    total = np.zeros((len(costs.cls), days))
    longest = int(np.ceil(costs.service_days.max(initial=0.0)))
    for ahead in range(longest):
        part = np.clip(costs.service_days - ahead, 0.0, 1.0)
        at = np.minimum(np.arange(days) + ahead, lost.shape[1] - 1)
        total += part[:, None] * lost[costs.cls][:, at]
    return total


def outlooks(
    chances: Floats, horizons: Floats, costs: Costs, days: int, rows: int = SLICE_ROWS
) -> Iterator[tuple[slice, Outlook]]:
    """``outlook`` of ``chances`` (as in ``hazards``), some items at a time."""
    for start in range(0, len(chances), rows):
        part = slice(start, start + rows)
        few = Costs(
            service_cents=costs.service_cents[part],
            failure_cents=costs.failure_cents[part],
            service_days=costs.service_days[part],
            failure_days=costs.failure_days[part],
            effect=costs.effect[part],
            cls=costs.cls[part],
            lost_cents=costs.lost_cents,
        )
        yield part, outlook(hazards(chances[part], horizons), horizons, few, days)


# --- what a plan is worth ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Worth:
    """What one way of doing it is expected to cost over the window, for all items together."""

    cost_cents: float
    """Everything."""
    services: int
    """Planned services."""
    service_cents: float
    """Of these: parts and labour, and rentals missed."""
    failures: float
    """Failures expected."""
    failure_cents: float
    """What they cost."""


def worth(found: Outlook, day: Ints) -> Worth:
    """Of services on ``day`` (int64[n]; -1: none)."""
    planned = day >= 0
    rows, on = np.flatnonzero(planned), day[planned]
    failures = float(found.failures[~planned].sum() + found.failures_on[rows, on].sum())
    cost = float(found.never[~planned].sum() + found.service_on[rows, on].sum())
    each = np.divide(
        found.never, found.failures, out=np.zeros_like(found.never), where=found.failures > 0
    )
    failing = float(found.never[~planned].sum() + (each[rows] * found.failures_on[rows, on]).sum())
    return Worth(
        cost_cents=cost,
        services=int(planned.sum()),
        service_cents=cost - failing,
        failures=failures,
        failure_cents=failing,
    )


def together(parts: list[Worth]) -> Worth:
    """Several slices of items as one."""
    return Worth(
        cost_cents=sum(p.cost_cents for p in parts),
        services=sum(p.services for p in parts),
        service_cents=sum(p.service_cents for p in parts),
        failures=sum(p.failures for p in parts),
        failure_cents=sum(p.failure_cents for p in parts),
    )


def return_on(plan: Worth, never: Worth) -> float | None:
    """Money saved for each unit of money spent on services; ``None``: nothing is spent.

    >>> spent = Worth(700.0, 2, 200.0, 1.0, 500.0)
    >>> return_on(spent, Worth(1000.0, 0, 0.0, 2.0, 1000.0))
    1.5
    """
    if plan.service_cents <= 0:
        return None
    return (never.cost_cents - plan.cost_cents) / plan.service_cents


# --- what it takes -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Week:
    """What one week asks of one crew."""

    start_day: int
    """Its Monday, days since 1970-01-01."""
    crew: str
    capacity_hours: float
    planned_hours: float
    services: int
    repair_hours: float
    """Of failures expected in spite of the plan, shared out by capacity."""


def weeks(
    *,
    first_day: int,
    day: Ints,
    crew: Ints,
    hours: Floats,
    crews: list[str],
    capacity: Floats,
    repairs: Floats,
    repair_hours: float,
) -> list[Week]:
    """Resources by week and crew.

    ``day``, ``crew``: int64[n] of planned services (-1: none); ``hours``: float64[n];
    ``capacity``: float64[days, crews]; ``repairs``: float64[days] failures expected a day, each of
    ``repair_hours``.
    """
    days = len(capacity)
    number = (first_day + np.arange(days) + 3) // 7  # 1970-01-01 was a Thursday
    planned = np.zeros((days, len(crews)))
    services = np.zeros((days, len(crews)), np.int64)
    rows = np.flatnonzero(day >= 0)
    np.add.at(planned, (day[rows], crew[rows]), hours[rows])
    np.add.at(services, (day[rows], crew[rows]), 1)
    total = capacity.sum(axis=0)
    share = total / total.sum() if total.sum() > 0 else np.full(len(crews), 1.0 / len(crews))
    made = []
    for week in np.unique(number).tolist():
        of = number == week
        for i, name in enumerate(crews):
            made.append(
                Week(
                    start_day=week * 7 - 3,
                    crew=name,
                    capacity_hours=float(capacity[of, i].sum()),
                    planned_hours=float(planned[of, i].sum()),
                    services=int(services[of, i].sum()),
                    repair_hours=float(repairs[of].sum() * repair_hours * share[i]),
                )
            )
    return made


def repairs_by_day(rates: Floats, horizons: Floats, day: Ints, effect: Floats, days: int) -> Floats:
    """float64[days]: failures expected on each day with services on ``day`` (int64[n], -1: none).

    Only first failures of the span are counted: it is short.
    """
    whole = np.arange(days + 1.0)
    alive = np.exp(-cumulated(rates, horizons, whole))
    planned = day >= 0
    at = np.where(planned, day, days)
    later = (1.0 - effect) * rates[:, -1]
    still = alive[np.arange(len(alive)), at]
    since = np.maximum(whole[None, :] - at[:, None], 0.0)
    served = still[:, None] * np.exp(-later[:, None] * since)
    alive = np.where(whole[None, :] > at[:, None], served, alive)
    return np.asarray(-np.diff(alive, axis=1).sum(axis=0), np.float64)
