"""What a failure and a planned service cost, which day of service costs least, and what a plan saves.

No clock and no rules of what may be done: columns of n items in, columns out. How days and crews are
shared out stands in ``schedule.py``, how long parts last in ``components.py``.

An item fails at a rate that is even between the horizons a model told. A failure costs the emergency
repair and the rentals missed meanwhile, a planned service costs less. Both renew: afterwards the item
fails at the rate ``Fresh.rate``, which rises again until it is worn as it is now. So a service is set
against going on until the failure that renews as well, over one and the same window for every choice,
``Costs.window_days``; and where a renewed item fails as often as a worn one, a service is worth nothing.

Source of the renewal equation and of replacing by age: R. E. Barlow and F. Proschan, "Mathematical
Theory of Reliability", Wiley 1965, chapters 3 and 4.
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
SLICE_ROWS = 512
"""Items looked at in one slice: some milliseconds."""
STEP_DAYS = 3.0
"""Failures after a renewal are worked out in steps of so many days."""
LONG_STEP_DAYS = 6.0
"""The same where a year is looked at."""
LIVES = np.linspace(0.0, 6.0, 3_001)
"""Ages at which a service is tried, in the law's own unit: of the longest hardly any item is left."""
COUNTED_MOST = 12
"""Failures of one item within the window that are told apart."""


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
    cls: Ints
    lost_cents: Floats

    @property
    def window_days(self) -> int:
        """Days over which costs are counted."""
        return int(self.lost_cents.shape[1])

    def only(self, part: slice | Ints) -> "Costs":
        """Of these items."""
        return Costs(
            service_cents=self.service_cents[part],
            failure_cents=self.failure_cents[part],
            service_days=self.service_days[part],
            failure_days=self.failure_days[part],
            cls=self.cls[part],
            lost_cents=self.lost_cents,
        )

    def served_cents(self) -> Floats:
        """float64[n]: all of a service, missed rentals at the classes' mean day included."""
        lost = self.lost_cents.mean(axis=1)[self.cls]
        return np.asarray(self.service_cents + self.service_days * lost, np.float64)

    def failed_cents(self) -> Floats:
        """float64[n]: all of a failure, missed rentals at the classes' mean day included."""
        lost = self.lost_cents.mean(axis=1)[self.cls]
        return np.asarray(self.failure_cents + self.failure_days * lost, np.float64)


@dataclass(frozen=True, slots=True)
class Fresh:
    """How often n items fail after a service or a repair, and until when that lasts.

    The rate is ``rate`` until the age ``from_days``, then rises evenly until it is at ``worn_days``
    what the item's is now (``hazards``, the mean), where it stays: nobody knows more.
    """

    rate: Floats
    """float64[n]: failures a day just after it; more than now counts as no less than now."""
    from_days: Floats
    """float64[n], days since the renewal."""
    worn_days: Floats
    """float64[n], above ``from_days``."""

    def only(self, part: slice | Ints) -> "Fresh":
        """Of these items."""
        return Fresh(self.rate[part], self.from_days[part], self.worn_days[part])

    def cumulated(self, worn: Floats, ages: Floats) -> Floats:
        """float64[n, t]: failures until ``ages`` (float64[t] or [n, t]); ``worn``: float64[n] rate now."""
        rate = np.minimum(self.rate, worn)[:, None]
        start, span = self.from_days[:, None], (self.worn_days - self.from_days)[:, None]
        past = np.maximum(ages - start, 0.0)
        rising = np.minimum(past, span)
        more = rising * rising / (2.0 * span) + (past - rising)
        return np.asarray(rate * ages + (worn[:, None] - rate) * more, np.float64)


def lessened(worn: Floats, share: Floats, fades_days: Floats) -> Fresh:
    """A service takes ``share`` off the rate ``worn``, which is back after ``fades_days`` (float64[n])."""
    return Fresh((1.0 - share) * worn, np.zeros_like(worn), fades_days)


def compared(renewed: Floats, horizons: Floats, age_days: Floats) -> Fresh:
    """From ``renewed``, the chances that a model tells of the same items just after a service.

    ``age_days``: float64[n], how long ago each was renewed. The mean rate up to the last horizon is
    that of its middle; as worn as now it is again where that middle is as old as the items are.
    """
    middle = horizons[-1] / 2.0
    rate = hazards(renewed, horizons)[:, -1]
    start = np.full(len(rate), float(middle))
    return Fresh(rate, start, start + np.maximum(age_days, float(horizons[-1])))


def aged(worn: Floats, age_days: Floats, shape: float, horizons: Floats) -> Fresh:
    """Of items that age by a Weibull law of this shape, each of which fails at ``worn`` now.

    ``age_days``: float64[n], how long ago each was renewed; a mean rate up to the last horizon is that of
    its middle. Until an item is as old again it fails as often as the law says, and of shape 2 just when;
    of another the rise is an even one between the same ends. Shape 1 or less: a service changes nothing.

    >>> fresh = aged(np.array([0.02]), np.array([85.0]), 1.6, np.array([30.0]))
    >>> float(fresh.cumulated(np.array([0.02]), np.array([100.0]))[0, 0]), 0.02 * 100 / 1.6
    (1.25, 1.25)
    """
    reach = age_days + float(horizons[-1]) / 2.0
    start = max(2.0 / max(shape, 1.0) - 1.0, 0.0)
    return Fresh(start * worn, max(1.0 - 2.0 / shape, 0.0) * reach, reach)


def due_days(
    worn: Floats, age_days: Floats, shape: float, costs: Costs, horizons: Floats
) -> Floats:
    """float64[n]: days until each item is so old that serving it at that age, ever again, costs least; inf: never.

    Items that age as in ``aged``. An earlier service may still cost less than none at all, but more than the
    same one later. At the age t sought, rate(t) * integral of survival to t - (1 - survival(t)) is
    c / (1 - c), where c is what a service costs over what a failure costs: it only rises with t.

    Source: Barlow and Proschan 1965, chapter 4.2, age replacement.
    """
    if shape <= 1.0:
        return np.full(len(worn), np.inf)
    survives = np.exp(-(LIVES**shape))
    lived = np.cumsum(survives) * LIVES[1] - (survives + 1.0) * LIVES[1] / 2.0
    pays = shape * LIVES ** (shape - 1.0) * lived - (1.0 - survives)
    costs_of = costs.served_cents() / np.maximum(costs.failed_cents(), 1e-9)
    asked = np.where(costs_of < 1.0, costs_of / np.maximum(1.0 - costs_of, 1e-9), np.inf)
    best = np.interp(asked, np.maximum.accumulate(pays), LIVES, right=np.inf)
    reach = age_days + float(horizons[-1]) / 2.0
    with np.errstate(divide="ignore"):
        life = reach * (shape / (worn * reach)) ** (1.0 / shape)
    return np.asarray(np.maximum(life * best - age_days, 0.0), np.float64)


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


def half_failed(rates: Floats, horizons: Floats) -> Floats:
    """float64[n]: days until half of such items have failed, of rates as ``hazards`` gives them; NaN: later
    than the last horizon, where rates are not told any more.

    >>> told, until = np.array([[0.5, 0.75], [0.1, 0.5], [0.1, 0.2]]), np.array([7.0, 14.0])
    >>> half_failed(hazards(told, until), until).round(2).tolist()
    [7.0, 14.0, nan]
    """
    ends = np.concatenate([[0.0], horizons])
    risen = cumulated(rates, horizons, ends)
    found = np.full(len(rates), np.nan)
    for k in range(len(horizons)):
        left = np.log(2.0) - risen[:, k]
        here = np.isnan(found) & (left >= 0) & (risen[:, k + 1] >= np.log(2.0) - 1e-9)
        days = left / np.maximum(rates[:, k], 1e-12)
        found[here] = np.minimum(ends[k] + days[here], ends[k + 1])
    return found


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


def outlook(rates: Floats, horizons: Floats, fresh: Fresh, costs: Costs, days: int) -> Outlook:
    """What every item costs with a service on each of the first ``days`` days, or never.

    Who fails before the planned day is repaired then and needs no service on it. Day 0 is the first
    that is planned; a service is done at its beginning. ``rates``: as ``hazards`` gives them.
    """
    window = costs.window_days
    assert 0 < days <= window, (days, window)
    whole = np.arange(window + 1.0)
    alive = np.exp(-cumulated(rates, horizons, whole))
    falls = -np.diff(alive, axis=1)  # failing for the first time, day by day
    again = renewals(fresh, rates[:, -1], window)
    # a failure in the middle of a day, and what follows it until the window's end
    follow = 1.0 + (again[:, :-1] + again[:, 1:])[:, ::-1] / 2.0
    counted = np.zeros((len(rates), window + 1))
    np.cumsum(falls * follow, axis=1, out=counted[:, 1:])
    after = again[:, window : window - days : -1]
    lost = _away(costs, days)
    before, still = counted[:, :days], alive[:, :days]
    failures_on = before + still * after
    service = still * (costs.service_cents[:, None] + lost)
    failed = costs.failed_cents()
    return Outlook(
        service_on=failed[:, None] * failures_on + service,
        never=failed * counted[:, window],
        failing=1.0 - alive[:, days],
        failures=counted[:, window],
        failures_on=failures_on,
        away_on=still * lost,
    )


def failures_until(
    rates: Floats, horizons: Floats, fresh: Fresh, ends: Ints
) -> tuple[Floats, Floats]:
    """(of the items as they are, of the same just renewed) float64[n, t]: failures until each of ``ends``.

    ``ends``: int64[t], whole days, rising. Each failure is repaired, and the item is a renewed one from then
    on. ``rates``: as ``hazards`` gives them.
    """
    window = int(ends[-1])
    falls = -np.diff(np.exp(-cumulated(rates, horizons, np.arange(window + 1.0))), axis=1)
    again = renewals(fresh, rates[:, -1], window, LONG_STEP_DAYS)
    follow = 1.0 + (again[:, :-1] + again[:, 1:]) / 2.0  # of a failure in the middle of a day
    backwards = np.ascontiguousarray(follow[:, ::-1])
    found = np.stack(
        [
            np.einsum("nk,nk->n", falls[:, :end], backwards[:, window - end :])
            for end in ends.tolist()
        ],
        axis=1,
    )
    return found, again[:, ends]


def _steps(window: int, step_days: float = STEP_DAYS) -> Floats:
    """float64[k + 1]: ends of the steps that renewals are worked out in, from 0 to the window or more."""
    steps = int(np.ceil(window / step_days))
    return np.linspace(0.0, steps * step_days, steps + 1)


def renewals(fresh: Fresh, worn: Floats, window: int, step_days: float = STEP_DAYS) -> Floats:
    """float64[n, window + 1]: failures expected within so many days of a renewal, each renewing again.

    The renewal equation M(t) = F(t) + integral of M(t - s) dF(s), by the trapezoid rule.
    """
    ends = _steps(window, step_days)
    share = 1.0 - np.exp(-fresh.cumulated(worn, ends))
    falls = np.diff(share, axis=1)
    found = np.zeros_like(share)
    both = np.zeros_like(falls)  # twice the mean of ``found`` over each step
    for j in range(1, len(ends)):
        known = (falls[:, 1:j] * both[:, : j - 1][:, ::-1]).sum(axis=1) / 2.0
        first = falls[:, 0] / 2.0
        found[:, j] = (share[:, j] + known + first * found[:, j - 1]) / (1.0 - first)
        both[:, j - 1] = found[:, j - 1] + found[:, j]
    at = np.arange(window + 1.0) / step_days
    left = np.minimum(at.astype(np.int64), len(ends) - 2)
    part = at - left
    return np.asarray(found[:, left] * (1.0 - part) + found[:, left + 1] * part, np.float64)


def beats(rates: Floats, horizons: Floats, fresh: Fresh, costs: Costs, day: Ints) -> Floats:
    """float64[n]: chance that the item costs less with a service on ``day`` (int64[n]) than without.

    Of two alike that came to that day without a failure, one is served, the other is not; each then
    fails and is repaired by its own luck until the window ends. As much counts as not less.
    """
    window, n = costs.window_days, len(day)
    ends = _steps(window)
    worn = rates[:, -1]
    share = 1.0 - np.exp(-fresh.cumulated(worn, ends))
    until = np.maximum(np.rint((window - day) / STEP_DAYS).astype(np.int64), 1)
    rows = np.arange(n)
    at = np.stack([cumulated(rates[i : i + 1], horizons, ends + day[i])[0] for i in range(n)])
    going = 1.0 - np.exp(at[:, :1] - at)
    number = _at_least(np.diff(share, axis=1), np.diff(share, axis=1), until)
    without = _at_least(np.diff(going, axis=1), np.diff(share, axis=1), until)
    served = number - np.column_stack([number[:, 1:], np.zeros(n)])
    lost = _away(costs, int(day.max(initial=0)) + 1)[rows, day]
    failed = np.maximum(costs.failed_cents(), 1e-9)
    # so many failures more pay for the service
    pays = np.floor((costs.service_cents + lost) / failed).astype(np.int64) + 1
    reach = np.arange(COUNTED_MOST + 1)[None, :] + pays[:, None]
    enough = np.where(
        reach <= COUNTED_MOST, without[rows[:, None], np.minimum(reach, COUNTED_MOST)], 0.0
    )
    return np.asarray((served * enough).sum(axis=1), np.float64)


def _at_least(first: Floats, falls: Floats, until: Ints) -> Floats:
    """float64[n, COUNTED_MOST + 1]: chance of at least so many failures within ``until`` steps.

    ``first``: float64[n, k] chance that the first comes in each step; ``falls``: of every next one.
    """
    n, k = falls.shape
    rows = np.arange(n)
    found = np.zeros((n, COUNTED_MOST + 1))
    found[:, 0] = 1.0
    within = np.column_stack([np.zeros(n), np.cumsum(first, axis=1)])  # at least one, by step
    found[:, 1] = within[rows, until]
    for count in range(2, COUNTED_MOST + 1):
        came = np.diff(within, axis=1)
        within = np.zeros((n, k + 1))
        total = np.column_stack([np.zeros(n), np.cumsum(falls, axis=1)])
        mean = (total[:, :-1] + total[:, 1:]) / 2.0
        for j in range(1, k + 1):
            within[:, j] = (came[:, :j] * mean[:, :j][:, ::-1]).sum(axis=1)
        found[:, count] = within[rows, until]
    return found


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
    chances: Floats, horizons: Floats, fresh: Fresh, costs: Costs, days: int, rows: int = SLICE_ROWS
) -> Iterator[tuple[slice, Outlook]]:
    """``outlook`` of ``chances`` (as in ``hazards``), some items at a time."""
    for start in range(0, len(chances), rows):
        part = slice(start, start + rows)
        rates = hazards(chances[part], horizons)
        yield part, outlook(rates, horizons, fresh.only(part), costs.only(part), days)


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


def spent(found: Outlook, day: Ints) -> Floats:
    """float64[n]: expected cost of the services on ``day`` (int64[n]; -1: none, so 0), without failures.

    All that is not the cost of failures, each of which costs what it costs without a service.
    """
    planned = day >= 0
    rows, on = np.flatnonzero(planned), day[planned]
    each = np.divide(
        found.never, found.failures, out=np.zeros_like(found.never), where=found.failures > 0
    )
    made = np.zeros(len(day))
    made[rows] = found.service_on[rows, on] - each[rows] * found.failures_on[rows, on]
    return made


def worth(found: Outlook, day: Ints) -> Worth:
    """Of services on ``day`` (int64[n]; -1: none)."""
    planned = day >= 0
    rows, on = np.flatnonzero(planned), day[planned]
    failures = float(found.failures[~planned].sum() + found.failures_on[rows, on].sum())
    cost = float(found.never[~planned].sum() + found.service_on[rows, on].sum())
    services = float(spent(found, day).sum())
    return Worth(
        cost_cents=cost,
        services=int(planned.sum()),
        service_cents=services,
        failures=failures,
        failure_cents=cost - services,
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


def repairs_by_day(rates: Floats, horizons: Floats, day: Ints, fresh: Fresh, days: int) -> Floats:
    """float64[days]: failures expected on each day with services on ``day`` (int64[n], -1: none).

    Only first failures of the span are counted: it is short.
    """
    whole = np.arange(days + 1.0)
    alive = np.exp(-cumulated(rates, horizons, whole))
    planned = day >= 0
    at = np.where(planned, day, days)
    still = alive[np.arange(len(alive)), at]
    since = np.maximum(whole[None, :] - at[:, None], 0.0)
    served = still[:, None] * np.exp(-fresh.cumulated(rates[:, -1], since))
    alive = np.where(whole[None, :] > at[:, None], served, alive)
    return np.asarray(-np.diff(alive, axis=1).sum(axis=0), np.float64)
