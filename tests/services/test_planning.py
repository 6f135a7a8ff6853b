"""The whole plan: it saves what it says, more than any calendar, and leaves items alone that are out."""

from dataclasses import replace

import numpy as np
import pytest

from edge.services.maintenance import Costs, hazards, lessened, outlook
from edge.services.planning import Inputs, planned, planning

HORIZONS = np.array([7.0, 14.0, 30.0])


def inputs(n: int = 300, days: int = 14, seed: int = 0, hours_a_day: float = 4.0) -> Inputs:
    random = np.random.default_rng(seed)
    capacity = np.full((days, 2), hours_a_day)
    capacity[5::7] = capacity[6::7] = 0.0
    chances = np.sort(random.beta(1.0, 8.0, (n, 3)), axis=1)
    worn = hazards(chances, HORIZONS)[:, -1]
    service_cents = random.uniform(1_000, 4_000, n)
    return Inputs(
        first_day=20_414,
        days=days,
        chances=chances,
        horizons=HORIZONS,
        costs=Costs(
            service_cents=service_cents,
            failure_cents=random.uniform(5_000, 30_000, n),
            service_days=np.ones(n),
            failure_days=np.full(n, 3.0),
            cls=random.integers(0, 5, n),
            lost_cents=random.uniform(0, 500, (5, 120)),
        ),
        fresh=lessened(worn, np.full(n, 0.8), np.full(n, 120.0)),
        effect_by_model=np.zeros(n, np.bool_),
        margin_cents=0.25 * service_cents,
        hours=random.choice([0.5, 1.0], n),
        may=random.random((n, 2)) < 0.7,
        crews=["north", "south"],
        capacity=capacity,
        earliest=np.where(random.random(n) < 0.2, random.integers(1, 8, n), 0),
        due_days=np.zeros(n),
        since_days=random.uniform(0, 200, n),
        interval_days=90.0,
        repair_hours=1.5,
        pinned_day=np.full(n, -1),
        pinned_crew=np.full(n, -1),
    )


def test_a_plan_saves_what_it_says_and_more_than_the_calendar() -> None:
    told = inputs()
    plan = planned(told)
    rates = hazards(told.chances, HORIZONS)
    whole = outlook(rates, HORIZONS, told.fresh, told.costs, told.days)
    rows = np.flatnonzero(plan.day >= 0)
    assert len(rows) > 20
    assert plan.gain == pytest.approx(whole.gain[rows, plan.day[rows]].sum())
    assert plan.saves.sum() == pytest.approx(plan.gain)
    assert plan.never.cost_cents - plan.plan.cost_cents == pytest.approx(plan.gain)
    assert plan.never.cost_cents == pytest.approx(whole.never.sum())
    assert plan.plan.cost_cents < plan.best_calendar.cost_cents <= plan.calendar.cost_cents
    assert 0.97 * plan.bound <= plan.gain <= plan.bound + 1e-6
    assert plan.failing == pytest.approx(told.chances[:, 1], rel=1e-6)


def test_a_service_is_planned_only_where_it_saves_the_margin() -> None:
    told = inputs()
    plan = planned(told)
    served = plan.day >= 0
    assert (plan.saves[served] >= told.margin_cents[served]).all()
    greedy = planned(replace(told, margin_cents=np.zeros(len(told.hours))))
    assert (plan.wanted > 0).sum() < (greedy.wanted > 0).sum()
    dear = planned(replace(told, margin_cents=np.full(len(told.hours), 1e9)))
    assert (dear.day == -1).all()


def test_nobody_is_planned_before_it_is_due_but_a_promise_stands() -> None:
    told, n = inputs(), 300
    at_once = planned(told)
    due = np.random.default_rng(3).choice([0.0, 4.0, 9.5, np.inf], n)
    plan = planned(replace(told, due_days=due))
    served = plan.day >= 0
    assert served.sum() > 10
    assert (plan.day[served] >= due[served]).all()
    assert ((at_once.day >= 0) & (at_once.day < due)).any()
    item = int(np.flatnonzero((at_once.day >= 0) & np.isinf(due))[0])
    pinned, crew = np.full(n, -1), np.full(n, -1)
    pinned[item], crew[item] = at_once.day[item], at_once.crew[item]
    kept = planned(replace(told, due_days=due, pinned_day=pinned, pinned_crew=crew))
    assert kept.day[item] == at_once.day[item]


def test_the_chance_to_do_better_is_told_of_planned_services_alone() -> None:
    plan = planned(inputs())
    served = plan.day >= 0
    assert (plan.beats[~served] == 0).all()
    assert ((plan.beats[served] > 0) & (plan.beats[served] < 1)).all()


def test_who_is_out_is_not_planned_before_it_is_back() -> None:
    told = inputs()
    plan = planned(told)
    there = plan.day >= 0
    assert (plan.day[there] >= told.earliest[there]).all()


def test_hours_in_the_weeks_are_those_of_the_plan() -> None:
    told = inputs()
    plan = planned(told)
    assert sum(w.planned_hours for w in plan.weeks) == pytest.approx(
        told.hours[plan.day >= 0].sum()
    )
    assert all(w.planned_hours <= w.capacity_hours + 1e-9 for w in plan.weeks)
    assert sum(w.services for w in plan.weeks) == plan.plan.services == (plan.day >= 0).sum()


def test_a_shop_without_items_has_an_empty_plan() -> None:
    plan = planned(inputs(0))
    assert plan.gain == 0.0
    assert plan.plan.cost_cents == 0.0
    assert len(plan.day) == 0


def test_items_of_which_nothing_is_known_are_left_alone() -> None:
    told = inputs(20)
    told.chances[:] = np.nan
    plan = planned(told)
    assert (plan.day == -1).all()
    assert plan.never.cost_cents == 0.0


def test_progress_rises_to_the_end() -> None:
    seen = []
    work = planning(inputs())
    try:
        while True:
            seen.append(next(work))
    except StopIteration:
        pass
    assert seen == sorted(seen)
    assert 0 <= seen[0] <= seen[-1] <= 1


def test_what_was_promised_stays_and_takes_its_hours() -> None:
    told = inputs(hours_a_day=1.0)
    told.may[:] = True
    free = planned(told)
    items = np.flatnonzero((free.day < 0) & (told.earliest == 0))[:3]
    told.pinned_day[items], told.pinned_crew[items] = [2, 2, 99], [1, 1, 0]
    plan = planned(told)
    assert plan.day[items[:2]].tolist() == [2, 2]
    assert plan.crew[items[:2]].tolist() == [1, 1]
    assert plan.day[items[2]] == free.day[items[2]] or plan.day[items[2]] < told.days
    others = np.setdiff1d(np.flatnonzero((plan.day == 2) & (plan.crew == 1)), items)
    assert told.hours[others].sum() <= max(1.0 - told.hours[items[:2]].sum(), 0.0) + 1e-9
    assert plan.gain <= plan.bound + 1e-6
    assert plan.gain <= free.bound
    assert plan.never.cost_cents - plan.plan.cost_cents == pytest.approx(plan.gain)


def test_nobody_is_planned_on_days_for_which_somebody_said_no() -> None:
    told = inputs()
    free = planned(told)
    barred = np.flatnonzero(free.day >= 0)[:5].tolist()
    plan = planned(replace(told, barred=[(i, -3, 10) for i in barred]))
    assert all(plan.day[i] == -1 or plan.day[i] >= 10 for i in barred)


def test_a_promise_for_an_item_that_is_out_does_not_hold() -> None:
    told = inputs()
    (item,) = np.flatnonzero(told.earliest == 5)[:1].tolist()
    told.pinned_day[item], told.pinned_crew[item] = 1, 0
    assert planned(told).day[item] != 1
