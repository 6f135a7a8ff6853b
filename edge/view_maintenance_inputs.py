"""Items, money and crews as a plan of services takes them. Gathers and estimates, decides nothing."""

from collections.abc import Generator, Iterable

import numpy as np
from numpy.typing import NDArray

from edge.config import Config, Crew
from edge.config_rules import WEEKDAYS
from edge.decisions.rows import Decision, Status
from edge.services.maintenance import (
    Costs,
    Fresh,
    aged,
    compared,
    due_days,
    hazards,
    lessened,
)
from edge.services.planning import Inputs, Plan
from edge.view_basis import Sources, speaker
from edge.view_fleet import (
    DAY_MS,
    HORIZONS,
    ITEM_ROWS,
    ClassMoney,
    Items,
    categories,
    failure_cents,
    rental_hours,
    repair_costs,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

RENEWED = {"days_since_repair": 0.0, "days_since_maintenance": 0.0, "defects_count_last": 0.0}
"""Features as they stand right after a service. Counts of repairs stay: more of them mark an item
that fails often, they do not make it one; and the status tells where it is, not how worn."""
AGEING = "ageing_shape"
"""Figure of a manifest: shape of the Weibull law by which an item ages after a repair or a service
(``trainer.ageing``)."""
WINDOW_DAYS = 180
"""Days over which a service is weighed: about two renewals of what fails often."""
MARGIN = 0.25
"""A service has to save this share of what it costs, missed rentals included, beyond that cost: the
largest of many uncertain gains are partly luck."""
LOST_ROWS = 1_024
"""Classes whose missed rentals are looked at in one slice."""
EVERYBODY = "workshop"
"""Name of the crew where none is configured."""


def crews_of(config: Config) -> list[Crew]:
    """Those of the configuration, else one of everybody."""
    told = config.maintenance
    everybody = Crew(name=EVERYBODY, hours=told.crew_hours, weekdays=told.weekdays)
    return list(config.crews) or [everybody]


def plan_inputs(
    sources: Sources, found: Items, money: ClassMoney, days: int
) -> Generator[None, None, Inputs]:
    """All that a plan of so many days is made of, in slices; its first day is tomorrow."""
    settings, n = sources.config.maintenance, len(found)
    crews = crews_of(sources.config)
    promises = Promises(sources, crews, found, first_day=found.today + 1)
    yield
    told, own_crews = yield from categories(sources, found.class_rows)
    may = who_may(crews, told, own_crews)
    yield
    first_day = found.today + 1
    cents, hours, _ = repair_costs(found, settings)
    yield
    lost = np.empty((len(found.class_rows), WINDOW_DAYS))
    for start in range(0, len(lost), LOST_ROWS):
        part = slice(start, start + LOST_ROWS)
        lost[part] = lost_cents(money, first_day, WINDOW_DAYS, part)
        yield
    costs = Costs(
        service_cents=np.full(
            n, settings.service_parts_cents + settings.service_hours * settings.labour_cents
        ),
        failure_cents=failure_cents(found, money, cents, settings) + settings.failure_cents,
        service_days=np.full(n, settings.service_days),
        failure_days=np.full(n, settings.failure_days),
        cls=found.cls,
        lost_cents=lost,
    )
    yield
    fresh, by_model = yield from renewed(sources, found)
    due = yield from _due(sources, found, costs, by_model)
    margin = MARGIN * costs.served_cents()
    yield
    there = earliest(sources, found, first_day, days)
    yield
    return Inputs(
        first_day=first_day,
        days=days,
        chances=found.chances,
        horizons=HORIZONS,
        costs=costs,
        fresh=fresh,
        effect_by_model=by_model,
        margin_cents=margin,
        hours=np.full(n, settings.service_hours),
        may=may[found.cls],
        crews=[crew.name for crew in crews],
        capacity=capacity(crews, first_day, days),
        earliest=there,
        due_days=due,
        since_days=found.days_since("last_repair_ms", "first_seen_ms"),  # a wash is no service
        interval_days=settings.interval_days,
        repair_hours=float(hours.mean()) if n else settings.repair_hours,
        pinned_day=promises.day,
        pinned_crew=promises.crew,
        barred=promises.barred,
    )


def renewed(sources: Sources, found: Items) -> Generator[None, None, tuple[Fresh, Mask]]:
    """(what a service leaves of each item's rate, bool[n] whether the model told it), in slices.

    Where the shop's own model says how its items age (``AGEING``), by that. Else the model is asked for every
    item it spoke of and is fully believed of, as if it came out of a service now: of items that look so,
    many fail often, so it finds less than a service brings. For the others the configured effect fades over
    ``effect_days``: it is not known how worn they are.
    """
    age, parts = _age_days(found), []
    for start in range(0, max(len(found), 1), ITEM_ROWS):
        parts.append((yield from _renewed(sources, found, age, slice(start, start + ITEM_ROWS))))
        yield
    fresh = Fresh(
        rate=np.concatenate([one.rate for one, _ in parts]),
        from_days=np.concatenate([one.from_days for one, _ in parts]),
        worn_days=np.concatenate([one.worn_days for one, _ in parts]),
    )
    return fresh, np.concatenate([told for _, told in parts])


def _renewed(
    sources: Sources, found: Items, age: Floats, part: slice
) -> Generator[None, None, tuple[Fresh, Mask]]:
    """The same of some of the items; ``age``: float64[n] of all, days."""
    settings, scorer = sources.config.maintenance, sources.scorer
    rows, now = found.rows[part], found.chances[part]
    worn, n = hazards(now, HORIZONS)[:, -1], len(rows)
    usual = lessened(worn, np.full(n, settings.effect), np.full(n, float(settings.effect_days)))
    chances, told = np.zeros_like(now), np.zeros(n, np.bool_)
    believed = found.by_model[part] & (found.voice.share[part] >= 1.0)
    shape = _ageing_shape(sources, found)
    if shape is not None:
        return _chosen(believed, aged(worn, age[part], shape, HORIZONS), usual), believed
    asked = np.flatnonzero(believed) if scorer is not None else np.zeros(0, np.int64)
    start = 0
    while start < len(asked) and scorer is not None:
        slot = scorer.slots["maintenance"]
        few = asked[start : start + slot.size]
        start += len(few)
        names = [c.name for c in slot.active.manifest.columns] if slot.active else []
        wanted = [f"p_event_{days:g}d" for days in HORIZONS]
        answers = scorer.instead("maintenance", rows[few], RENEWED)
        if answers is not None and set(wanted) <= set(names):
            chances[few] = answers[:, [names.index(name) for name in wanted]]
            told[few] = np.isfinite(chances[few]).all(axis=1)
        yield
    return _chosen(told, compared(chances, HORIZONS, age[part]), usual), told


def _age_days(found: Items) -> Floats:
    """float64[n]: since the last repair or service, else since it was first heard of."""
    return np.nan_to_num(found.days_since("last_repair_ms", "first_seen_ms"), nan=0.0)


def _due(
    sources: Sources, found: Items, costs: Costs, by_model: Mask
) -> Generator[None, None, Floats]:
    """float64[n]: see ``Inputs.due_days``; 0 where it is not known how items age."""
    shape, age, due = _ageing_shape(sources, found), _age_days(found), np.zeros(len(found))
    if shape is None:
        return due
    for start in range(0, len(found), ITEM_ROWS):
        part = slice(start, start + ITEM_ROWS)
        worn = hazards(found.chances[part], HORIZONS)[:, -1]
        told = due_days(worn, age[part], shape, costs.only(part), HORIZONS)
        due[part] = np.where(by_model[part], told, 0.0)
        yield
    return due


def _chosen(told: Mask, model: Fresh, usual: Fresh) -> Fresh:
    """What the model tells where it does, else the usual."""
    return Fresh(
        rate=np.where(told, model.rate, usual.rate),
        from_days=np.where(told, model.from_days, usual.from_days),
        worn_days=np.where(told, model.worn_days, usual.worn_days),
    )


def _ageing_shape(sources: Sources, found: Items) -> float | None:
    """How items age here, as the model that answers found it in the shop's own history; a starter's
    items were others."""
    told = speaker(sources.scorer, "maintenance")
    return told.metrics.get(AGEING) if told is not None and found.voice.origin == "shop" else None


DECIDED: tuple[Status, ...] = ("approved", "executed", "rejected")


def promised_since(sources: Sources, epcs: Iterable[str], moment_ms: int) -> bool:
    """Whether anybody said yes or no to a service of these items after that moment."""
    by = sources.core.ledger.by
    return any(
        decision.kind == "maintenance"
        and not decision.dry_run
        and decision.status in DECIDED
        and decision.changed_ms > moment_ms
        for epc in epcs
        for decision in by(Decision, "target", epc)
    )


def over_hours(inputs: Inputs, plan: Plan) -> float:
    """Hours of the plan beyond what its crews have, day by day: only promises can ask for them."""
    rows = np.flatnonzero(plan.day >= 0)
    asked = np.zeros_like(inputs.capacity)
    np.add.at(asked, (plan.day[rows], plan.crew[rows]), inputs.hours[rows])
    return float(np.maximum(asked - inputs.capacity - 1e-9, 0.0).sum())


class Promises:
    """What people decided on services: approved ones stay, rejected ones are off for their week."""

    def __init__(self, sources: Sources, crews: list[Crew], found: Items, first_day: int) -> None:
        self.day = np.full(len(found), -1, np.int64)
        self.crew = np.full(len(found), -1, np.int64)
        self.barred: list[tuple[int, int, int]] = []
        self._rows, self._keys = found.rows, sources.core.state.item.keys
        self._crews = {crew.name: c for c, crew in enumerate(crews)}
        self._first_day = first_day
        ledger = sources.core.ledger
        for status in DECIDED:
            for decision in ledger.by(Decision, "status", status):
                if decision.kind == "maintenance" and not decision.dry_run:
                    self._take(decision)

    def _take(self, decision: Decision) -> None:
        i, day = self._place(decision.target), day_of(decision.data.get("day"))
        if i is None or day is None:
            return
        if decision.status == "rejected":
            monday = day - (day + 3) % 7 - self._first_day  # 1970-01-01 was a Thursday
            self.barred.append((i, monday, monday + 7))
        elif day >= self._first_day:
            self.day[i] = day - self._first_day
            self.crew[i] = self._crews.get(str(decision.data.get("crew")), -1)

    def _place(self, epc: str) -> int | None:
        """Of an item among those of the plan; ``None``: it is not."""
        row = self._keys.get(epc)
        at = int(np.searchsorted(self._rows, row))
        return at if at < len(self._rows) and self._rows[at] == row else None


def day_of(text: object) -> int | None:
    """Local day of ``YYYY-MM-DD``; ``None``: it is none.

    >>> day_of("2025-11-22"), day_of("soon")
    (20414, None)
    """
    try:
        return int(np.datetime64(str(text), "D").astype(np.int64))
    except ValueError:
        return None


def lost_cents(money: ClassMoney, first_day: int, days: int, of: slice = slice(None)) -> Floats:
    """float64[g, days]: what one item away costs a day, where the class has none to spare; ``of`` some classes."""
    weekday = (first_day + np.arange(days) + 3) % 7
    earned = np.nan_to_num(money.rent_day_cents[of], nan=0.0)
    return np.asarray(earned[:, None] * money.scarce[of][:, weekday], np.float64)


def who_may(crews: list[Crew], told: list[str], own_crews: list[str]) -> NDArray[np.bool_]:
    """bool[g, crews]: whose class it is."""
    names = [crew.name for crew in crews]
    known: dict[tuple[str, str], list[bool]] = {}
    for category, own in set(zip(told, own_crews, strict=True)):
        known[category, own] = [
            own == crew.name if own in names else not crew.categories or category in crew.categories
            for crew in crews
        ]
    rows = [known[pair] for pair in zip(told, own_crews, strict=True)]
    return np.array(rows, np.bool_).reshape(len(told), len(names))


def capacity(crews: list[Crew], first_day: int, days: int) -> Floats:
    """float64[days, crews], hours."""
    weekday = (first_day + np.arange(days) + 3) % 7
    made = np.zeros((days, len(crews)))
    for c, crew in enumerate(crews):
        works = np.array([name in crew.weekdays for name in WEEKDAYS])
        made[:, c] = np.where(works[weekday], crew.hours, 0.0)
    return made


def earliest(sources: Sources, found: Items, first_day: int, days: int) -> Ints:
    """int64[n]: first day on which the item is there: after its rental, and never while in repair."""
    state = sources.core.state
    hours = rental_hours(state, found.class_rows)[found.cls] if len(found) else np.zeros(0)
    usual_ms = found.col["rented_at_ms"] + (hours * 3.6e6).astype(np.int64)
    back_ms = np.where(found.col["due_ms"] > 0, found.col["due_ms"], usual_ms)
    days_left = np.ceil(np.maximum(back_ms - found.now_ms, 0) / DAY_MS).astype(np.int64)
    back = found.today + days_left + 1 - first_day
    there = np.where(found.on_rent, np.maximum(back, 1), 0)
    return np.where(found.in_repair, days, there)
