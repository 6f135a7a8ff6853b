"""A plan of services for some weeks: what it saves, against doing nothing and against the calendar.

Puts together ``maintenance.py`` (what things cost) and ``schedule.py`` (who is served when). Pure, in
slices of some milliseconds: between two of them others may work.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.services import maintenance
from edge.services.maintenance import Costs, Fresh, Week, Worth
from edge.services.schedule import assigning, fixing_intervals

T = TypeVar("T")
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

INTERVALS_DAYS = (30.0, 60.0, 90.0, 180.0, 365.0)
"""Intervals of the calendar that a plan is compared with, beside the usual one."""
ROWS = 256
"""Items looked at in one slice: some milliseconds."""
SURE_ROWS = 64
"""Planned services whose chances are worked out in one slice."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Columns of n items, and what the plan may use."""

    first_day: int
    """Local day that is day 0 of the plan, days since 1970-01-01."""
    days: int
    chances: Floats
    """float64[n, k]: probability of a failure or repair within each horizon; NaN: not known."""
    horizons: Floats
    """float64[k], days."""
    costs: Costs
    fresh: Fresh
    """What a service or a repair leaves of the rates."""
    effect_by_model: Mask
    """bool[n]: whether a model told it; else the configured effect stands in."""
    margin_cents: Floats
    """float64[n]: a service that is expected to save less than this is not planned."""
    hours: Floats
    """float64[n]: of a service."""
    may: Mask
    """bool[n, crews]"""
    crews: list[str]
    capacity: Floats
    """float64[days, crews], hours."""
    earliest: Ints
    """int64[n]: first day of the plan on which the item is there."""
    due_days: Floats
    """float64[n]: a service before this day of the plan costs more than the same one later; inf: each does."""
    since_days: Floats
    """float64[n]: days since the last service or repair; NaN: nobody knows."""
    interval_days: float
    """Usual interval of the calendar."""
    repair_hours: float
    pinned_day: Ints
    """int64[n]: day of the plan on which it was promised; -1: none was."""
    pinned_crew: Ints
    """int64[n]: who promised it; -1: nobody."""
    barred: Sequence[tuple[int, int, int]] = ()
    """(item, first day, day after the last) on which somebody said no."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is served when, by whom, and what that is worth. Arrays are of the n items."""

    first_day: int
    days: int
    day: Ints
    """int64[n]: day of the plan; -1: no service."""
    crew: Ints
    saves: Floats
    """float64[n]: cents saved by the planned service against none, what it costs taken off; 0 without one."""
    spends: Floats
    """float64[n]: cents that the planned service is expected to cost, missed rentals included; it is not
    done where the item fails before. 0 without one."""
    wanted: Floats
    """float64[n]: cents that the best day would save if there were hours enough; 0: never worth it."""
    best: Floats
    """float64[n]: the same, worth it or not; -inf: the item is not there on any of the days."""
    avoided: Floats
    """float64[n]: failures that the planned service is expected to avoid; 0 without one."""
    beats: Floats
    """float64[n]: chance that the item costs less with the planned service; 0 without one."""
    failing: Floats
    """float64[n]: probability of a failure within the plan's days without a service."""
    gain: float
    bound: float
    """No plan with these hours and promises saves more."""
    plan: Worth
    never: Worth
    calendar: Worth
    """By the usual interval, with the same hours."""
    best_interval_days: float
    """The interval of the calendar that costs least …"""
    best_calendar: Worth
    """… and what it costs."""
    weeks: list[Week]


def planning(told: Inputs) -> Generator[float, None, Plan]:
    """The plan; yields how much of the work is done, 0 to 1."""
    n, days = len(told.hours), told.days
    gain = np.full((days, n), -np.inf)
    failing, best_saved = np.zeros(n), np.full(n, -np.inf)
    there = np.arange(days)[:, None]
    yield 0.0
    for part, found in maintenance.outlooks(
        told.chances, told.horizons, told.fresh, told.costs, days, rows=ROWS
    ):
        late = there < told.earliest[None, part]
        saved = found.gain.T
        small = (saved < told.margin_cents[part]) | (there < told.due_days[None, part])
        promised = told.pinned_day[None, part] == there
        gain[:, part] = np.where(late | (small & ~promised), -np.inf, saved)
        failing[part] = found.failing
        best_saved[part] = np.where(late, -np.inf, saved).max(axis=0, initial=-np.inf)
        yield 0.3 * min(part.stop / max(n, 1), 1.0)
    for item, first, end in told.barred:
        gain[max(first, 0) : max(end, 0), item] = -np.inf
    pinned, left = _pinned(told, gain)
    free = gain.copy() if len(pinned) else gain
    free[:, pinned] = -np.inf
    yield 0.3
    assigned = yield from _spread(assigning(free, told.hours, told.may, left), 0.3, 0.6)
    assigned.day[pinned], assigned.crew[pinned] = told.pinned_day[pinned], told.pinned_crew[pinned]
    promised = float(gain[told.pinned_day[pinned], pinned].sum())
    rows = np.flatnonzero(assigned.day >= 0)
    saves = np.zeros(n)
    saves[rows] = gain[assigned.day[rows], rows]
    calendars: dict[float, Ints] = {}
    for interval in (told.interval_days, *INTERVALS_DAYS):
        due = interval - told.since_days
        work = fixing_intervals(due, told.hours, told.may, told.capacity, told.earliest)
        calendars[interval], _ = yield from _spread(work, 0.65, 0.65)
        yield 0.65
    beats = np.zeros(n)
    for start in range(0, len(rows), SURE_ROWS):
        few = rows[start : start + SURE_ROWS]
        beats[few] = maintenance.beats(
            maintenance.hazards(told.chances[few], told.horizons),
            told.horizons,
            told.fresh.only(few),
            told.costs.only(few),
            assigned.day[few],
        )
        yield 0.7
    avoided, spends = np.zeros(n), np.zeros(n)
    plan, never, by_calendar, repairs = yield from _compared(
        told, assigned.day, calendars, avoided, spends
    )
    best = min(by_calendar, key=lambda interval: by_calendar[interval].cost_cents)
    return Plan(
        first_day=told.first_day,
        days=days,
        day=assigned.day,
        crew=assigned.crew,
        saves=saves,
        spends=spends,
        wanted=np.maximum(gain.max(axis=0, initial=-np.inf), 0.0),
        best=best_saved,
        avoided=avoided,
        beats=beats,
        failing=failing,
        gain=assigned.gain + promised,
        bound=assigned.bound + promised,
        plan=plan,
        never=never,
        calendar=by_calendar[told.interval_days],
        best_interval_days=best,
        best_calendar=by_calendar[best],
        weeks=maintenance.weeks(
            first_day=told.first_day,
            day=assigned.day,
            crew=assigned.crew,
            hours=told.hours,
            crews=told.crews,
            capacity=told.capacity,
            repairs=repairs,
            repair_hours=told.repair_hours,
        ),
    )


def _pinned(told: Inputs, gain: Floats) -> tuple[Ints, Floats]:
    """(int64[m] items whose promised day stands, hours that are left for the others)."""
    rows = np.flatnonzero(
        (told.pinned_day >= 0) & (told.pinned_day < told.days) & (told.pinned_crew >= 0)
    )
    rows = rows[np.isfinite(gain[told.pinned_day[rows], rows])]
    left = told.capacity.copy()
    np.subtract.at(left, (told.pinned_day[rows], told.pinned_crew[rows]), told.hours[rows])
    return rows, np.maximum(left, 0.0)


def planned(told: Inputs) -> Plan:
    """The plan, at once."""
    work = planning(told)
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: Plan = end.value
            return found


def _spread(work: Generator[None, None, T], start: float, end: float) -> Generator[float, None, T]:
    """Slices of unknown number as a progress that never reaches the end."""
    done = 0
    while True:
        try:
            next(work)
        except StopIteration as last:
            found: T = last.value
            return found
        done += 1
        yield start + (end - start) * done / (done + 200)


def _compared(
    told: Inputs, day: Ints, calendars: dict[float, Ints], avoided: Floats, spends: Floats
) -> Generator[float, None, tuple[Worth, Worth, dict[float, Worth], Floats]]:
    """(plan, never, calendar by interval, failures expected a day with the plan).

    ``avoided``, ``spends``: float64[n] are filled with the failures that each planned service avoids,
    and with what it costs.
    """
    plans: list[Worth] = []
    nevers: list[Worth] = []
    others: dict[float, list[Worth]] = {interval: [] for interval in calendars}
    repairs = np.zeros(told.days)
    n = len(day)
    for part, found in maintenance.outlooks(
        told.chances, told.horizons, told.fresh, told.costs, told.days, rows=ROWS
    ):
        plans.append(maintenance.worth(found, day[part]))
        served = np.flatnonzero(day[part] >= 0)
        on = day[part][served]
        avoided[part][served] = found.failures[served] - found.failures_on[served, on]
        spends[part][served] = maintenance.spent(found, day[part])[served]
        nevers.append(maintenance.worth(found, np.full(len(day[part]), -1)))
        for interval, of in calendars.items():
            others[interval].append(maintenance.worth(found, of[part]))
        rates = maintenance.hazards(told.chances[part], told.horizons)
        repairs += maintenance.repairs_by_day(
            rates, told.horizons, day[part], told.fresh.only(part), told.days
        )
        yield 0.7 + 0.3 * min(part.stop / max(n, 1), 1.0)
    return (
        maintenance.together(plans),
        maintenance.together(nevers),
        {interval: maintenance.together(parts) for interval, parts in others.items()},
        repairs,
    )
