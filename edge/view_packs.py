"""Packs as readers see them: how they do, what goes together, which to make or take apart. No judgement.

What goes together is counted over the last year of the history (``edge.pipeline_insights`` brings it
once a day) and, where a model answers, told by it, too. What is best is ``edge.services.packs``'s word.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.commands import Propose
from edge.decisions.rows import Decision
from edge.features import catalog
from edge.features.business import class_key
from edge.features.windows import DayRing
from edge.ledger.catalogue import CatalogueClass
from edge.ledger.packs import Pack, PackPart, pack_id
from edge.services import packs
from edge.services.co_demand import Table
from edge.services.packs import Advice, Life, Offers, Stage
from edge.view_basis import Basis, Sources
from edge.view_known import KnownView
from edge.view_market import DAY_MS, HORIZON_DAYS, MarketColumns
from edge.view_packs_found import PAIRS_LOOKED_AT, Found, from_extra, from_history, parts_of
from edge.view_packs_types import Candidate, PackRow, PairRow, PartRow
from edge.view_packs_words import (
    COUNT_NOW,
    NOT_COUNTED,
    effect_range,
    rounded,
    sum_or_none,
    to_create,
    to_dissolve,
    why_kept,
    why_so,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

WEEKS = 52
TRIPLES_LOOKED_AT = 50
KEEP_MS = 10_000
"""How packs do is worked out anew after so long, and whenever a pack changes."""
KEPT = 16
PROPOSED_A_WEEK = 10
"""Packs proposed to be made within any seven days, the most valuable."""
COULD_KEEP_MS = 60_000
GROUPS_AT_ONCE = PACKS_AT_ONCE = 8
STAGES = {
    Stage.UNKNOWN: "unknown", Stage.LAUNCH: "launch", Stage.GROWTH: "growth",
    Stage.STEADY: "steady", Stage.DECLINE: "decline", Stage.IDLE: "idle",
}  # fmt: skip
ADVICE = {Advice.KEEP: "keep", Advice.WATCH: "watch", Advice.DISSOLVE: "dissolve"}
PERFORMANCE_RULE = (
    "trend of weekly units against the shop's, quasi-Poisson; effect of having the pack from "
    "elasticities, 28 days"
)
CREATE_RULE = (
    "pairs that meet more often than popularity and sizes of documents explain, false discoveries "
    f"at most {packs.FDR:.0%}; effect from elasticities, 28 days"
)


def _in(store: str) -> Callable[[tuple[str, str]], bool]:
    """Whether a pair is of a store."""
    return lambda pair: pair[0].partition("\x1f")[0] == store


class PacksView:
    """Reads packs in the ledger, days in the state, and what was found to go together."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state
        self._columns = MarketColumns(sources)
        self._table: Table | None = None
        self._table_ms = 0
        self._here = KnownView(sources)
        self._model: tuple[int, Found | None] = (0, None)
        self._best: tuple[tuple[int, ...], Found | None] = ((), None)
        self._shop: tuple[int, Floats] = (-1, np.zeros(WEEKS))
        self._known: dict[tuple[Any, ...], tuple[int, list[PackRow]]] = {}
        self._could: dict[tuple[Any, ...], tuple[int, list[Candidate]]] = {}

    # -- what goes together ---------------------------------------------------------------------------

    def take(self, table: Table) -> None:
        """What the history's last year says goes together."""
        self._table, self._table_ms = table, self._sources.now_ms

    @property
    def counted_ms(self) -> int:
        """When that was found; 0: not yet."""
        return self._table_ms

    @property
    def counted_days(self) -> int:
        """Days it was found in."""
        return self._table.days if self._table is not None else 0

    @property
    def tests(self) -> int:
        """Pairs that could have been seen in them."""
        return self._table.tests if self._table is not None else 0

    def pair_rows(self, sku: str | None, store: str | None, q_most: float) -> Ints:
        """int64[n]: rows of pairs of the history with a q-value up to ``q_most``."""
        table = self._table
        if table is None:
            return np.zeros(0, np.int64)
        rows = np.flatnonzero(table.judged.q <= q_most)
        for of, wanted in ((0, store), (2, sku)):
            if wanted is not None:
                named = [
                    i for i, key in enumerate(table.keys) if key.partition("\x1f")[of] == wanted
                ]
                keep = np.isin(table.first[rows], named)
                if of:
                    keep |= np.isin(table.second[rows], named)
                rows = rows[keep]
        return rows

    def pair_sorting(self, rows: Ints, name: str) -> Floats:
        """float64[n]: a column to sort pairs by."""
        if self._table is None:
            return np.zeros(0)
        column = self._table.documents if name == "documents" else getattr(self._table.judged, name)
        return np.asarray(column[rows], np.float64)

    def pairs(self, rows: Ints) -> list[PairRow]:
        """The pairs of one page."""
        table = self._table
        if table is None:
            return []
        made = []
        for i in rows.tolist():
            of, _, a = table.keys[table.first[i]].partition("\x1f")
            b = table.keys[table.second[i]].partition("\x1f")[2]
            told = {name: round(float(getattr(table.judged, name)[i]), 6) for name in (
                "support", "confidence_ab", "confidence_ba", "lift", "lift_low", "lift_high",
                "lift_plain")}  # fmt: skip
            made.append(
                PairRow(
                    store=of, sku=a, other=b, documents=int(table.documents[i]),
                    of_sku=int(table.of_first[i]), of_other=int(table.of_second[i]),
                    p=float(table.judged.p[i]), q=float(table.judged.q[i]), **told,
                )
            )  # fmt: skip
        return made

    def _found(self) -> Found | None:
        """From the history where it was counted, else from the model: of classes that are known here."""
        listed, ledger = self._listed(), self._sources.core.ledger
        stamp = (
            self._table_ms,
            self._model[0],
            len(self._state.cls.keys),
            ledger.count(CatalogueClass),
        )
        if self._best[0] != stamp:
            self._best = stamp, self._surest(listed)
        return self._best[1]

    def _surest(self, listed: Found | None) -> Found | None:
        if self._table is not None and self._hits(packs.FDR):
            return from_history(self._table)
        found = listed.only(self._is_here) if listed is not None else None
        return found if found is not None and found.pairs else None

    def _hits(self, q_most: float) -> bool:
        """Whether the history shows any pair with a q-value up to that."""
        return self._table is not None and bool((self._table.judged.q <= q_most).any())

    def _is_here(self, key: str) -> bool:
        store, _, sku = key.partition("\x1f")
        return self._here.knows_class(sku, store)

    def why_no_pairs(self, q_most: float) -> tuple[tuple[bool, str], ...]:
        """Reasons why the history shows no pair, for ``why_empty``."""
        return (
            (self._table is None, NOT_COUNTED),
            (self.counted_days == 0, "No day on which documents were told has closed yet."),
            (
                not self._hits(q_most),
                f"In {self.counted_days} days {self.tests} pairs of classes could have been seen in one"
                f" document; none has a share of false discoveries of at most {q_most:g}.",
            ),
        )

    def why_no_candidates(self, store: str | None = None) -> tuple[tuple[bool, str], ...]:
        """Reasons why there is no pack that could be, for ``why_empty``."""
        found, listed = self._found(), self._listed()
        foreign = len(listed.pairs) if listed is not None else 0
        model = f" The {foreign} pairs that the model in use lists are of classes that nobody knows here."
        none = [
            (holds and found is None, why + model * bool(foreign))
            for holds, why in self.why_no_pairs(packs.FDR)
        ]
        here = found is not None and (store is None or any(map(_in(store), found.pairs)))
        elsewhere = f"In {store!r} nothing was seen to go together when documents were last counted: once a day."
        offered = found is not None and not self._groups(found, store)
        return (
            *none,
            (found is not None and not here, f"{elsewhere} {COUNT_NOW}"),
            (offered, "Everything that goes together is offered as a pack already."),
        )

    def why_no_packs(self) -> tuple[tuple[bool, str], ...]:
        """Reasons why there is no pack to look at, for ``why_empty``."""
        none = not self._sources.core.ledger.rows(Pack)
        words = "No pack was offered yet: POST /api/predictive/packs/create-pack offers one."
        return ((none, words),)

    def _listed(self) -> Found | None:
        """What the answering model lists, of whichever shop it is."""
        scorer = self._sources.scorer
        slot = scorer.slots.get("packs") if scorer is not None else None
        if slot is None or slot.active is None:
            return None
        if self._model[0] != slot.active.number:
            self._model = slot.active.number, from_extra(slot.active.manifest.extra)
        return self._model[1]

    # -- packs that could be ---------------------------------------------------------------------------

    def looking(self, saving_cents: float, store: str | None = None) -> Iterator[None]:
        """Work out packs that could be, if that is not known or a minute old; some at each step."""
        same = self._asked(saving_cents, store)
        known = self._could.get(same)
        if known is not None and self._sources.now_ms - known[0] < COULD_KEEP_MS:
            return
        found, made = self._found(), []
        groups = self._groups(found, store) if found is not None else []
        for start in range(0, len(groups), GROUPS_AT_ONCE):
            assert found is not None
            made += self._candidates(found, groups[start : start + GROUPS_AT_ONCE], saving_cents)
            yield
        if len(self._could) >= KEPT:
            self._could.clear()
        self._could[same] = self._sources.now_ms, made

    def candidates(self, saving_cents: float, store: str | None = None) -> list[Candidate]:
        """Packs worth making or considering, after ``looking``; those that exist are left out."""
        known = self._could.get(self._asked(saving_cents, store))
        return known[1] if known is not None else []

    def _asked(self, saving_cents: float, store: str | None) -> tuple[Any, ...]:
        rows = self._sources.core.ledger.rows(Pack).values()
        offered = tuple([(row.id, row.changed_ms, row.status) for row in rows])
        return saving_cents, store, self._table_ms, self._columns.model_number, offered

    def _groups(self, found: Found, store: str | None) -> list[tuple[int, ...]]:
        """Positions of the pairs that make each candidate: one, or three for a triple."""
        many = min(len(found.pairs), PAIRS_LOOKED_AT)
        mine = [i for i in range(many)
                if store is None or found.pairs[i][0].partition("\x1f")[0] == store]  # fmt: skip
        number: dict[str, int] = {}
        for i in mine:
            for key in found.pairs[i]:
                number.setdefault(key, len(number))
        edges = [(number[found.pairs[i][0]], number[found.pairs[i][1]]) for i in mine]
        at = {frozenset(edge): i for edge, i in zip(edges, mine, strict=True)}
        triples = packs.chains(edges, [found.documents[i] for i in mine], TRIPLES_LOOKED_AT)
        groups: list[tuple[int, ...]] = [(i,) for i in mine]
        groups += [tuple(at[frozenset(side)] for side in ((x, y), (x, z), (y, z)))
                   for x, y, z in triples]  # fmt: skip
        offered = {pack.id for pack in self._sources.core.ledger.rows(Pack).values()
                   if pack.status == "offered"}  # fmt: skip
        return [g for g in groups if pack_id(*parts_of(found.keys(g))) not in offered]

    def _candidates(
        self, found: Found, groups: Sequence[tuple[int, ...]], saving_cents: float
    ) -> list[Candidate]:
        keys = [found.keys(group) for group in groups]
        parts = [[PackPart(key.partition("\x1f")[2]) for key in some] for some in keys]
        stores = [some[0].partition("\x1f")[0] for some in keys]
        seen = np.array([min(found.documents[i] for i in group) for group in groups], np.float64)
        most = np.array([min(found.rarest[i] for i in group) for group in groups])
        offers = self._offers(stores, parts, seen, np.full(len(groups), found.days), most)
        best = packs.best_discount(offers, HORIZON_DAYS, saving_cents)
        made = []
        for i, group in enumerate(groups):
            weakest = min(group, key=lambda k: found.lift[k][1])
            separate = sum_or_none(offers.price_cents[i, : len(parts[i])])
            discount = rounded(best.discount[i])
            price = None if separate is None or discount is None else separate * (1 - discount)
            create = bool(best.create[i])
            made.append(
                Candidate(
                    id=pack_id(stores[i], parts[i]), store=stores[i],
                    action="create" if create else "consider",
                    parts=self._part_rows(stores[i], parts[i], offers.price_cents[i]),
                    documents=int(seen[i]), days=round(found.days),
                    lift=found.lift[weakest][0], lift_low=found.lift[weakest][1],
                    lift_high=found.lift[weakest][2], confidence_ab=found.confidence[group[0]][0],
                    confidence_ba=found.confidence[group[0]][1], q=max(found.q[k] for k in group),
                    separate_cents=rounded(separate, 2), price_cents=rounded(price, 0),
                    discount=discount, effect_cents=effect_range(best.effect, i),
                    chance=rounded(best.effect.chance[i]), units_28d=rounded(best.effect.units[i]),
                    extra_units_28d=rounded(best.effect.extra_units[i]), source=found.source,
                    together_28d_cents=rounded(
                        None if separate is None else separate * seen[i] * HORIZON_DAYS / found.days, 0),
                    reasons=why_so(found, group, best.effect, i, create),
                )
            )  # fmt: skip
        return made

    def _part_rows(self, store: str, parts: Sequence[PackPart], price: Floats) -> list[PartRow]:
        texts, get = self._state.cls.text["name"], self._state.cls.keys.get
        return [
            PartRow(
                sku=part.sku, units=part.units, name=texts.get(get(class_key(store, part.sku)), ""),
                price_cents=rounded(price[i] / part.units, 2),
            )
            for i, part in enumerate(parts)
        ]  # fmt: skip

    def _offers(
        self, stores: Sequence[str], parts: Sequence[Sequence[PackPart]], seen: Floats,
        days: Floats, most: Floats,
    ) -> Offers:  # fmt: skip
        """Columns of packs; a part of which nothing is known has no price, so no effect is told."""
        width = max((len(some) for some in parts), default=2)
        keys = [class_key(store, part.sku) for store, some in zip(stores, parts, strict=True)
                for part in some]  # fmt: skip
        get = self._state.cls.keys.get
        rows = np.array([get(key) for key in keys], np.int64)
        known = np.flatnonzero(rows >= 0)
        flat = np.full((5, len(keys)), np.nan)
        if len(known):
            price, _ = self._columns.prices(rows[known])
            belief = self._columns.beliefs(rows[known])
            told = belief[:, 0] > 0
            flat[0, known], flat[1, known] = price, self._costs(rows[known])
            flat[2:, known] = np.where(told, belief[:, 1:4].T, np.nan)
        shape = (len(parts), width)
        columns = [np.full(shape, np.nan) for _ in range(5)]
        at = 0
        for i, some in enumerate(parts):
            for j, part in enumerate(some):
                for k, column in enumerate(columns):
                    column[i, j] = flat[k, at] * (part.units if k < 2 else 1.0)
                if columns[0][i, j] != columns[0][i, j]:
                    seen = seen.copy()
                    seen[i] = np.nan  # without a price nothing can be expected
                at += 1
        return Offers(seen, days, columns[0], columns[1], columns[2], columns[3], columns[4], most)

    def _costs(self, rows: Ints) -> Floats:
        """float64[n]: cost of one more unit handed out; NaN: it comes back, or is not known."""
        names = ("cost_last_cents", "rented_units_364d", "sold_units_364d")
        told = catalog.matrix(self._state, "class", rows, names).astype(np.float64)
        sells = np.nan_to_num(told[:, 2]) > np.nan_to_num(told[:, 1])
        return np.where(sells & (told[:, 0] > 0), told[:, 0], np.nan)

    # -- packs that are ---------------------------------------------------------------------------------

    def weighing(
        self, store: str | None, status: str | None, saving_cents: float
    ) -> Iterator[None]:
        """Work out how packs do, if that is not known or some seconds old; some at each step."""
        told = self._packs(store, status)
        same = self._same(told, saving_cents)
        known = self._known.get(same)
        if known is not None and self._sources.now_ms - known[0] < KEEP_MS:
            return
        days, revenue = [], []
        for start in range(0, len(told), PACKS_AT_ONCE):
            units, money = self._daily(self._rows(told[start : start + PACKS_AT_ONCE]))
            days.append(units)
            revenue.append(money)
            yield
        made: list[PackRow] = []
        if told:
            age = np.array(
                [(self._sources.now_ms - pack.created_ms) / (7 * DAY_MS) for pack in told]
            )
            weeks = np.concatenate(days).reshape(len(told), WEEKS, 7).sum(axis=2)
            life = packs.lifecycle(weeks, np.maximum(age, 0.0), self._shop_weeks())
            yield
            for k, start in enumerate(range(0, len(told), PACKS_AT_ONCE)):
                part = slice(start, start + PACKS_AT_ONCE)
                some = Life(*(getattr(life, name)[part] for name in Life.__slots__))
                made += self._performance(
                    told[part], some, age[part], days[k], revenue[k], saving_cents
                )
                yield
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[same] = self._sources.now_ms, made

    def packs(self, store: str | None, status: str | None, saving_cents: float) -> list[PackRow]:
        """How each pack does, after ``weighing``."""
        known = self._known.get(self._same(self._packs(store, status), saving_cents))
        return known[1] if known is not None else []

    def to_take_apart(self, store: str | None, saving_cents: float) -> list[PackRow]:
        """Packs that had better be taken apart, the costliest first; after ``weighing`` those offered."""
        rows = [
            one for one in self.packs(store, "offered", saving_cents) if one.advice == "dissolve"
        ]
        return sorted(rows, key=lambda one: (one.effect_cents.value or 0.0, one.id))

    def _packs(self, store: str | None, status: str | None) -> list[Pack]:
        return [pack for pack in self._sources.core.ledger.rows(Pack).values()
                if (store is None or pack.store == store)
                and (status is None or pack.status == status)]  # fmt: skip

    def _same(self, told: list[Pack], saving_cents: float) -> tuple[Any, ...]:
        return (
            saving_cents,
            self._state.today,
            tuple([(pack.id, pack.changed_ms, pack.status) for pack in told]),
        )

    def _rows(self, told: list[Pack]) -> Ints:
        get = self._state.cls.keys.get
        return np.array([get(class_key(pack.store, pack.sku)) for pack in told], np.int64)

    def separate_cents(self, store: str, parts: Sequence[PackPart]) -> int:
        """What these parts cost apart now; 0: a price is not known."""
        nothing = np.zeros(1)
        offers = self._offers([store], [parts], nothing, nothing, nothing)
        return round(sum_or_none(offers.price_cents[0]) or 0)

    def pack(self, id_: str) -> Pack | None:
        """One pack."""
        return self._sources.core.ledger.get(Pack, id_)

    def _performance(
        self, told: list[Pack], life: Life, age: Floats, daily: Floats, revenue: Floats,
        saving_cents: float,
    ) -> list[PackRow]:  # fmt: skip
        rows = self._rows(told)
        window = np.clip(age * 7, 7, WEEKS * 7)
        offers = self._offers(
            [pack.store for pack in told], [pack.parts for pack in told], daily.sum(axis=1), window,
            np.full(len(told), np.nan),
        )  # fmt: skip
        separate = np.array([
            value if (value := sum_or_none(offers.price_cents[i, : len(pack.parts)])) else np.nan
            for i, pack in enumerate(told)
        ])  # fmt: skip
        price = np.array([pack.price_cents for pack in told], np.float64)
        discount = 1 - price / separate
        off = np.where(np.isfinite(discount), np.maximum(discount, 0.0), np.nan)
        effect = packs.effects(offers, off, HORIZON_DAYS, saving_cents, is_pack=True)
        advice = packs.dissolve(life, effect, np.asarray(price > separate))
        busy, within = self._utilisation(rows), self._shares(told, daily)
        made = []
        for i, pack in enumerate(told):
            units = daily[i, -HORIZON_DAYS:].sum()
            cost = np.nansum(offers.cost_cents[i])
            made.append(
                PackRow(
                    id=pack.id, name=pack.name, sku=pack.sku, store=pack.store, status=pack.status,
                    parts=self._part_rows(pack.store, pack.parts, offers.price_cents[i]),
                    price_cents=pack.price_cents, separate_cents=rounded(separate[i], 2),
                    discount=rounded(discount[i]), stage=STAGES[Stage(int(life.stage[i]))],
                    growth_per_week=rounded(life.growth[i]),
                    growth_q=rounded(life.q[i]) if np.isfinite(life.growth[i]) else None,
                    units_28d=round(float(units), 3),
                    units_before_28d=round(float(daily[i, -56:-28].sum()), 3),
                    units_total=round(float(daily[i].sum()), 3),
                    revenue_28d_cents=round(float(revenue[i, -HORIZON_DAYS:].sum())),
                    utilisation=rounded(busy[i]), share_of_parts=within[i],
                    contribution_28d_cents=rounded(
                        float(revenue[i, -HORIZON_DAYS:].sum() - units * cost), 2),
                    effect_cents=effect_range(effect, i), chance=rounded(effect.chance[i]),
                    advice=ADVICE[Advice(int(advice[i]))] if pack.status == "offered" else "",
                    reasons=why_kept(life.stage[i], effect, i, price[i] - separate[i]),
                )
            )  # fmt: skip
        return made

    def _daily(self, rows: Ints, days: int = WEEKS * 7) -> tuple[Floats, Floats]:
        """(units, revenue cents) float64[n, days] of closed days; 0 of a pack nobody has heard of."""
        at = np.maximum(rows, 0)
        parts = {}
        for name in ("rented_milli", "sold_milli", "revenue_cents"):
            ring = self._state.cls.part[name]
            assert isinstance(ring, DayRing)
            parts[name] = np.where(rows[:, None] >= 0, ring.series(at, days + 1)[:-1].T, 0)
        units = np.maximum(parts["rented_milli"] + parts["sold_milli"], 0) / 1_000
        return units.astype(np.float64), parts["revenue_cents"].astype(np.float64)

    def _shop_weeks(self) -> Floats:
        """float64[52]: units of everybody, by week; worked out once a day."""
        if self._shop[0] == self._state.today:
            return self._shop[1]
        total = np.zeros(WEEKS * 7)
        high = self._state.cls.keys.high
        for name in ("rented_milli", "sold_milli"):
            ring = self._state.cls.part[name]
            assert isinstance(ring, DayRing)
            numbers = np.arange(ring.today - WEEKS * 7, ring.today) % ring.days
            total += ring.ring[:, :high].sum(axis=1)[numbers] / 1_000
        self._shop = self._state.today, np.asarray(total.reshape(WEEKS, 7).sum(axis=1))
        return self._shop[1]

    def _utilisation(self, rows: Ints) -> Floats:
        told = catalog.matrix(self._state, "class", np.maximum(rows, 0), ("utilisation_28d",))
        return np.where(rows >= 0, told[:, 0], np.nan).astype(np.float64)

    def _shares(self, told: list[Pack], daily: Floats) -> list[float | None]:
        """Within each pack, of what went out of its scarcest part in 28 days."""
        get = self._state.cls.keys.get
        parts = [(i, part) for i, pack in enumerate(told) for part in pack.parts]
        keys = [class_key(told[i].store, part.sku) for i, part in parts]
        alone, _ = self._daily(np.array([get(key) for key in keys], np.int64), HORIZON_DAYS)
        made: list[float | None] = [None] * len(told)
        for (i, part), units in zip(parts, alone.sum(axis=1).tolist(), strict=True):
            within = float(daily[i, -HORIZON_DAYS:].sum()) * part.units
            if within + units > 0:
                made[i] = round(max(made[i] or 0.0, within / (within + units)), 4)
        return made

    # -- proposals ------------------------------------------------------------------------------------

    def performance_basis(self) -> Basis:
        """Counted, and judged by a formula."""
        return self._sources.computed(PERFORMANCE_RULE)

    def candidates_basis(self) -> Basis:
        """Counted in the history, or told by the model."""
        found = self._found()
        if found is not None and found.source == "model":
            made = self._sources.of_service("packs")
            made.rule = CREATE_RULE
            return made
        made = self._sources.computed(CREATE_RULE)
        made.as_of_ms = self._table_ms or made.as_of_ms
        return made

    def _room(self) -> int:
        """How many more packs may be proposed this week."""
        week_ms = self._sources.now_ms - 7 * DAY_MS
        decisions = self._sources.core.ledger.rows(Decision).values()
        lately = sum(d.kind == "pack_create" and d.created_ms > week_ms for d in decisions)
        return max(PROPOSED_A_WEEK - lately, 0)

    def proposals(self) -> Iterator[Propose | None]:
        """Packs worth making or taking apart now; ``None`` lets others work."""
        period = datetime.fromtimestamp(self._state.today * DAY_MS / 1_000, UTC).strftime("%Y-%m")
        basis = self.candidates_basis()
        for _ in self.looking(0.0):
            yield None
        found = self.candidates(0.0)
        worth = [one for one in found if one.action == "create"]
        worth.sort(key=lambda one: (-(one.effect_cents.value or 0.0) * (one.chance or 0.0), one.id))
        yield from (to_create(one, period, basis) for one in worth[: self._room()])
        for _ in self.weighing(None, "offered", 0.0):
            yield None
        for row in self.to_take_apart(None, 0.0):
            yield to_dissolve(row, period)
        yield None
