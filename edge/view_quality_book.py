"""All items of the shop as quality sees them, worked out together in slices. Columns only, no answers.

What is gathered (``Gathered``) holds nothing live, so a thread may do the rest (``making``): between two
of its slices everybody else has a turn.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.config import Config
from edge.services import lifecycle, maintenance, quality
from edge.services.maintenance import Fresh
from edge.services.quality import Relation
from edge.view_basis import Basis
from edge.view_fleet import HORIZONS, ClassMoney, ClassNames, Items, failure_cents, repair_costs
from edge.view_quality_rows import RelationRow
from edge.view_quality_worth import gain, lacks, worth
from edge.view_speakers import Speakers
from edge.view_voice import Voice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

DAY_MS = 86_400_000
FALSE_MOST = 0.05
"""Most false discoveries among the relations that are said to be seen."""
RELATIONS = 32
"""Classes whose prices are looked at in one slice."""
ROWS_AT_ONCE = 512
"""Rows about classes that are made in one slice."""
INSPECTION_DAYS = 60
"""Days ahead that inspections are planned for."""
HEALTH_PLACES = 2
"""Health is compared as it is shown."""


@dataclass(frozen=True)
class Gathered:
    """What the book is made of."""

    items: Items
    money: ClassMoney
    names: tuple[str, ...]
    answers: Floats
    by_model: Mask
    voice: Voice
    """How far the model of quality is believed."""
    classes: ClassNames
    speakers: Speakers
    fresh: Fresh
    """What a repair or refurbishing leaves of the rates of failures."""
    basis: Basis
    """Who speaks of quality …"""
    of_failures: Basis
    """… and of failures."""


@dataclass(frozen=True)
class Book:
    """All items of the shop; arrays are of its n items or g classes."""

    items: Items
    new_cents: Floats
    """float64[g]: price of a new one."""
    guessed: Mask
    """bool[g]: whether nobody told it."""
    made_ms: int
    speakers: Speakers
    """The models that answered."""
    basis: Basis
    of_failures: Basis
    """Who told how likely items fail."""
    after: Floats
    """float64[n, 3]: groups of grades after a step, as a model told them; NaN: none did."""
    change: Floats
    """float64[3, 3]: from each group to each, over the shop."""
    loss: Floats
    """float64[n]: grades lost a day, where no model spoke."""
    rates: Floats
    """float64[n, 4] of failures a day."""
    health: Floats
    parts: Floats
    known: Floats
    busy: Floats
    """float64[n]: share of days on which each is needed; NaN: too few days are known."""
    known_days: Ints
    """int64[g]: closed days on which each class was known."""
    lacks: Ints
    """int64[n]: why nothing is said of what to do with it, as in ``LACKS``; 0: something is."""
    values: lifecycle.Values
    gain: Floats
    """float64[n]: what the best choice is worth more than keeping, or keeping than the next."""
    refurbish_cents: Floats
    stake_cents: Floats
    classes: ClassNames
    relations: list[RelationRow]
    relations_by: dict[str, Floats]
    """Field of ``relations`` -> float64[g] to sort by."""
    inspections: quality.Inspections

    def place(self, row: int) -> int:
        """The item's place, by its row in the state; -1: not in the book."""
        at = int(np.searchsorted(self.items.rows, row))
        return at if at < len(self.items) and self.items.rows[at] == row else -1


def making(config: Config, gathered: Gathered) -> Generator[float, None, Book]:
    """All of it, in slices; yields the share that is done."""
    found, money = gathered.items, gathered.money
    grade, group = found.grade, quality.group_of(found.grade)
    after = quality.shares_told(gathered.names, gathered.answers, grade)
    yield 0.01
    after = quality.held(after, group, gathered.voice.share)
    yield 0.02
    change = quality.changes(group, after)
    yield 0.03
    loss = _loss(found)
    yield 0.05
    rates = maintenance.hazards(found.chances, HORIZONS)
    yield 0.06
    cents, _, _ = repair_costs(found, config.maintenance)
    failing = failure_cents(found, money, cents, config.maintenance)
    yield 0.07
    spent = _spent(config, found, money)
    yield 0.08
    health, parts, known = quality.health(grade, found.chances[:, -1], found.open_defects, spent)
    yield 0.1
    relations = yield from _relations(found)
    prices = quality.price_shares(relations, config.quality.price_shares)
    yield 0.4
    place = lifecycle.ranks(found.cls, health)
    yield 0.41
    values, busy, refurbish = yield from _between(
        worth(
            config, money, cls=found.cls, place=place, grade=grade, after=after, change=change, loss=loss,
            rates=rates, fresh=gathered.fresh, failure_cents=failing, price_shares=prices,
        ), 0.41, 0.95,
    )  # fmt: skip
    stake = failing + config.maintenance.failure_cents
    rows = yield from _relation_rows(gathered.classes, relations)
    columns = _relation_columns(rows, gathered.classes)
    yield 0.97
    inspections = _inspections(config, found, rates[:, -1], stake)
    yield 0.98
    why, more = lacks(busy, grade, values.best), gain(values)
    yield 0.99
    return Book(
        items=found.only("grade"),
        new_cents=money.new_cents,
        guessed=money.guessed,
        made_ms=found.now_ms,
        speakers=gathered.speakers,
        basis=_basis(gathered, bool(np.isnan(after).any())),
        of_failures=found.voice.told(gathered.of_failures),
        after=after,
        change=change,
        loss=loss,
        rates=rates,
        health=np.round(health, HEALTH_PLACES),
        parts=parts,
        known=known,
        busy=busy,
        known_days=money.known_days,
        lacks=why,
        values=values,
        gain=more,
        refurbish_cents=refurbish,
        stake_cents=stake,
        classes=gathered.classes,
        relations=rows,
        relations_by=columns,
        inspections=inspections,
    )


def _between(
    work: Generator[float, None, tuple[lifecycle.Values, Floats, Floats]], start: float, end: float
) -> Generator[float, None, tuple[lifecycle.Values, Floats, Floats]]:
    """The same, as a part of the whole."""
    while True:
        try:
            done = next(work)
        except StopIteration as last:
            found: tuple[lifecycle.Values, Floats, Floats] = last.value
            return found
        yield start + (end - start) * done


def _basis(gathered: Gathered, unknown: bool) -> Basis:
    basis, silent = gathered.basis, unknown or not gathered.by_model.all()
    basis.fallback = basis.fallback or (silent and len(gathered.items) > 0)
    return gathered.voice.told(basis)


# -- wear ---------------------------------------------------------------------------------------------


def _age(found: Items) -> Floats:
    """float64[n], days."""
    return np.nan_to_num(found.days_since("first_seen_ms"), nan=0.0)


def _loss(found: Items) -> Floats:
    """float64[n]: grades lost a day, as its class's grades fall with use."""
    age = _age(found)
    used = _used_a_day(found, age)
    by_class = quality.wear(found.grade, used * age, found.cls, len(found.class_rows))
    return np.asarray(np.nan_to_num(by_class, nan=0.0)[found.cls] * used, np.float64)


def _used_a_day(found: Items, age: Floats) -> Floats:
    """float64[n]: share of its days that an item was on rent."""
    out = found.col["on_rent_ms_total"] / DAY_MS
    running = np.where(
        found.on_rent & (found.col["rented_at_ms"] > 0),
        np.maximum(found.now_ms - found.col["rented_at_ms"], 0) / DAY_MS,
        0.0,
    )
    return np.asarray(np.clip((out + running) / np.maximum(age, 1.0), 0.0, 1.0))


def _spent(config: Config, found: Items, money: ClassMoney) -> Floats:
    """float64[n]: share used up of the life, or of the worth in repairs, whichever is more."""
    life = np.where(np.isnan(money.life_days), config.quality.life_days, money.life_days)
    aged = _age(found) / life[found.cls]
    repaired = found.col["repair_cost_cents_total"] / money.new_cents[found.cls]
    return np.asarray(np.fmax(aged, repaired), np.float64)


# -- prices -------------------------------------------------------------------------------------------


def _relations(found: Items) -> Generator[float, None, list[Relation]]:
    rentals = found.col["rentals_total"].astype(np.float64)
    price = np.where(rentals > 0, found.col["revenue_cents_total"] / np.maximum(rentals, 1), 0)
    grade, order = found.grade, np.argsort(found.cls, kind="stable")
    ends = np.cumsum(np.bincount(found.cls, minlength=len(found.class_rows)))
    made: list[Relation] = []
    for i, end in enumerate(ends.tolist()):
        of = order[(ends[i - 1] if i else 0) : end]
        made.append(quality.price_relation(grade[of], price[of], rentals[of]))
        if i % RELATIONS == RELATIONS - 1:
            yield 0.1 + 0.3 * i / len(ends)
    return made


def _relation_rows(
    classes: ClassNames, relations: list[Relation]
) -> Generator[float, None, list[RelationRow]]:
    """Price paid against grade, by class."""
    shares = quality.false_shares(relations).tolist()
    made: list[RelationRow] = []
    for start in range(0, len(relations), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        made += [
            RelationRow(
                sku=sku,
                store=store,
                items=one.items,
                refused=one.refused,
                per_grade=_rounded(one.per_grade),
                low=_rounded(one.low),
                high=_rounded(one.high),
                explained=_rounded(one.explained),
                false_share=_rounded(share),
                seen=share <= FALSE_MOST,
            )
            for sku, store, one, share in zip(
                classes.skus[part], classes.stores[part], relations[part], shares[part], strict=True
            )
        ]
        yield 0.96
    return made


def _relation_columns(rows: list[RelationRow], classes: ClassNames) -> dict[str, Floats]:
    """See ``Book.relations_by``."""
    told = {
        name: np.array([getattr(row, name) for row in rows], np.float64)
        for name in ("per_grade", "explained", "items", "seen")
    }
    return {**told, "sku": classes.sortable()}


# -- inspections ----------------------------------------------------------------------------------------


def _inspections(config: Config, found: Items, rate: Floats, stake: Floats) -> quality.Inspections:
    settings = config.quality
    return quality.inspections(
        rate,
        found.days_since("last_inspection_ms", "last_repair_ms"),
        stake,
        found.on_rent,
        days=INSPECTION_DAYS,
        a_day=settings.inspections_a_day,
        risk=settings.inspection_risk,
        shortest_days=settings.inspection_min_days,
        longest_days=settings.inspection_max_days,
    )


def _rounded(value: float, places: int = 6) -> float | None:
    return round(float(value), places) if math.isfinite(value) else None
