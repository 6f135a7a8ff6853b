"""Prices as readers see them: recommendations, elasticities, competitors. Gathers and hands over.

Recommendations are worked out some classes at a time (``refreshing``) and remembered for some minutes;
the class that somebody asks for by name is always worked out anew. What is best is the word of
``edge.services.pricing``.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from edge.commands import Propose
from edge.decisions.deeds import RecordImpact, safeguards
from edge.decisions.rows import Decision
from edge.features.business import class_key
from edge.features.windows import DayRing
from edge.ledger.price_tests import PriceTest
from edge.ledger.prices import CompetitorPrice, Price
from edge.services import impact, pricing
from edge.services.pricing import Action, Kind, Rails
from edge.view_basis import Basis, Sources
from edge.view_market import DAY_MS, HORIZON_DAYS, MARKET_DAYS, MarketColumns
from edge.view_pricing_types import (
    CompetitorRow,
    ElasticityGroup,
    ElasticityRow,
    Influences,
    PriceRow,
    Range,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SLICE_ROWS = 32
"""Classes worked out without letting others work: about 3 ms."""
KEEP_MS = 300_000
"""A recommendation is worked out anew after so long."""
BEAT_MS = 2_000
"""A price may bear a moment that is so much older than the state it changed."""
IMPACT_WHY = "takings of 28 days after, against 28 before at the pace of the rest of the store"
PROPOSED_A_WEEK = 50
"""Prices proposed within any seven days, the most valuable: what came of them is not known sooner."""
ADOPT_DAYS = 60
"""A tested price is proposed for so long after its test."""
GROUPS_KEEP_MS = 60_000
GROUPS_KEPT = 64
SHOWN_KEPT = 4_000
"""Rows of answers that are remembered."""
GROUP_ROWS = 256
NUMBERS = (
    "change", "price_cents", "confidence", "units", "units_now",
    "revenue_mean", "revenue_low", "revenue_high",
    "revenue_now_mean", "revenue_now_low", "revenue_now_high",
    "gain_mean", "gain_low", "gain_high",
)  # fmt: skip
STANDING = (
    "price_cents", "baseline_cents", "elasticity", "elasticity_low", "elasticity_high", "season",
    "utilisation", "grade", "market_cents",
)  # fmt: skip
"""Columns of the market that rows show as they were when the recommendation was worked out."""
ACTIONS = {
    Action.NOTHING: "nothing",
    Action.KEEP: "keep",
    Action.TEST: "test",
    Action.CHANGE: "change",
}
KINDS = {
    Kind.UNKNOWN: "unknown", Kind.ELASTIC: "elastic", Kind.INELASTIC: "inelastic",
    Kind.EITHER: "either", Kind.ODD: "odd",
}  # fmt: skip
EVIDENCE = ("nothing", "category", "own")
RULE = "expected contribution of 28 days at changed prices; intervals and chances of beliefs"


class PricingView:
    """Reads what is known of prices; remembers what was worked out."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state
        self.columns = MarketColumns(sources)
        size = self._state.cls.keys.limit
        self._numbers: dict[str, Floats] = {}
        self._said = np.zeros((3, size), np.int64)  # action, why, evidence
        self._at_ms = np.full(size, -KEEP_MS, np.int64)
        self._whose = np.zeros(size, np.uint64)
        self._by = np.zeros(size, np.int32)
        self._busy = False
        self.seen_in_order = partial(sources.core.ledger.in_order, CompetitorPrice)
        self._ledger_version, self._priced_ms = -1, 0
        self._shown: dict[int, tuple[int, PriceRow]] = {}
        self._groups: dict[tuple[str, str, str, int], tuple[int, list[ElasticityGroup]]] = {}

    # -- whose prices -------------------------------------------------------------------------------

    def rows(self, store: str = "", category: str = "", sku: str = "") -> Ints:
        """int64[n]: classes of a store, category, SKU; empty: all."""
        return self.columns.demand.rows(store, category, sku)

    def basis(self) -> Basis:
        """Who speaks."""
        made = self.columns.basis()
        made.rule = f"{made.rule}; {RULE}" if made.rule else RULE
        return made

    def counted(self) -> Basis:
        """Nobody predicts: it was seen."""
        return self._sources.counted()

    def rails(self) -> Rails:
        """Guard rails in force."""
        return Rails(baseline=safeguards(self._sources.core.ledger).price_change_max_ratio)

    # -- recommendations ------------------------------------------------------------------------------

    def refreshing(self, rows: Ints, *, anew: bool = False) -> Iterator[None]:
        """Work out what is too old (``anew``: everything), some classes at each step.

        While somebody else is at it, what was worked out before is good enough.
        """
        self._repriced()
        due = rows if anew else rows[self._due(rows)]
        if not anew and self._busy:
            due = due[self._whose[due] != self._state.cls.keys.hashes[due]]
        mine = not self._busy
        self._busy = True
        try:
            for start in range(0, len(due), SLICE_ROWS):
                part = self._live(due[start : start + SLICE_ROWS])
                yield from self.columns.filling(part)
                self._work_out(part)
                yield
        finally:
            if mine:
                self._busy = False

    def _repriced(self) -> None:
        """What was worked out before its price changed is too old."""
        ledger = self._sources.core.ledger
        version = ledger.version_of(Price)
        if version == self._ledger_version:
            return
        get, since_ms = self._state.cls.keys.get, self._priced_ms - BEAT_MS
        self._ledger_version, self._priced_ms = version, self._sources.now_ms
        for price in [one for one in ledger.rows(Price).values() if one.since_ms >= since_ms]:
            row = get(class_key(price.store, price.sku))
            if row >= 0 and self._at_ms[row] - BEAT_MS <= price.since_ms:
                self._at_ms[row] = -KEEP_MS

    def _live(self, rows: Ints) -> Ints:
        """Those that were not forgotten while others worked."""
        return np.asarray(rows[self._state.cls.keys.hashes[rows] != 0], np.int64)

    def _due(self, rows: Ints) -> NDArray[np.bool_]:
        old = self._sources.now_ms - self._at_ms[rows] >= KEEP_MS
        other = self._by[rows] != self.columns.model_number
        return np.asarray(old | other | (self._whose[rows] != self._state.cls.keys.hashes[rows]))

    def _work_out(self, rows: Ints) -> None:
        rows = self._live(rows)
        market = self.columns.gather(rows)
        said = pricing.advise(market, self.rails())
        if not self._numbers:
            size = self._state.cls.keys.limit
            shown = (*NUMBERS, *(f"now_{name}" for name in STANDING))
            self._numbers = {name: np.full(size, np.nan) for name in shown}
        for name in ("change", "price_cents", "confidence", "units", "units_now"):
            self._numbers[name][rows] = getattr(said, name)
        for name in ("revenue", "revenue_now", "gain"):
            money = getattr(said, name)
            for part in ("mean", "low", "high"):
                self._numbers[f"{name}_{part}"][rows] = getattr(money, part)
        for name in STANDING:
            self._numbers[f"now_{name}"][rows] = getattr(market, name)
        self._said[:, rows] = said.action, said.why, market.evidence
        self._at_ms[rows] = self._sources.now_ms
        for row in rows.tolist():
            self._shown.pop(row, None)
        self._whose[rows] = self._state.cls.keys.hashes[rows]
        self._by[rows] = self.columns.model_number

    def of_action(self, rows: Ints, action: str | None) -> Ints:
        """Those of which this is recommended."""
        wanted = [number for number, word in ACTIONS.items() if word == action]
        return rows if action is None else rows[self._said[0, rows] == int(wanted[0])]

    def counts(self, rows: Ints) -> dict[str, int]:
        """Action -> classes."""
        many = np.bincount(self._said[0, rows], minlength=len(ACTIONS))
        return {word: int(many[number]) for number, word in ACTIONS.items()}

    def sorting(self, rows: Ints, name: str) -> Floats:
        """float64[n]: a column to sort by: gain_cents, confidence, change, price_cents, revenue_cents."""
        column = {"gain_cents": "gain_mean", "revenue_cents": "revenue_mean"}.get(name, name)
        if not self._numbers:
            return np.full(len(rows), np.nan)
        return self._numbers[column][rows]

    def told(self, rows: Ints, *, influences: bool = False) -> list[PriceRow]:
        """What was worked out, for the rows of one page; a row is made once until it is worked out anew."""
        rows = self._live(rows)
        if influences:
            why = pricing.influences(self.columns.gather(rows), self.rails()) if len(rows) else {}
            return self._made(rows, why)
        asked = list(zip(rows.tolist(), self._at_ms[rows].tolist(), strict=True))
        missing = [row for row, at_ms in asked if self._shown.get(row, (-1,))[0] != at_ms]
        if missing:
            if len(self._shown) > SHOWN_KEPT:
                self._shown.clear()
                missing = rows.tolist()
            made = self._made(np.array(missing, np.int64), {})
            for row, one in zip(missing, made, strict=True):
                self._shown[row] = int(self._at_ms[row]), one
        return [self._shown[row][1] for row, _ in asked]

    def _made(self, rows: Ints, why: dict[str, Floats]) -> list[PriceRow]:
        shown = {name: values[rows].tolist() for name, values in self._numbers.items()}
        action, bits, evidence = (column[rows].tolist() for column in self._said)
        texts, made = self._state.cls.text["name"], []
        for i, (row, (store, sku)) in enumerate(
            zip(rows.tolist(), self.columns.keys(rows), strict=True)
        ):
            doubt = self.columns.doubted(row, store, sku)
            numbers = {name: _number(values[i]) for name, values in shown.items()}
            known = {name: numbers.get(f"now_{name}") for name in STANDING}
            made.append(
                PriceRow(
                    sku=sku, store=store, name=texts.get(row, ""),
                    category=self.columns.demand.category(sku, row),
                    action=ACTIONS[Action(action[i])], price_cents=known["price_cents"],
                    baseline_cents=known["baseline_cents"],
                    recommended_cents=numbers.get("price_cents"), change=numbers.get("change"),
                    confidence=numbers.get("confidence"), units_now=numbers.get("units_now"),
                    units=numbers.get("units"), revenue_now_cents=_money(numbers, "revenue_now"),
                    revenue_cents=_money(numbers, "revenue"), gain_cents=_money(numbers, "gain"),
                    elasticity=_elasticity(known if evidence[i] else {}),
                    evidence=EVIDENCE[evidence[i]], season=known["season"],
                    utilisation=known["utilisation"], grade=known["grade"],
                    market_cents=known["market_cents"],
                    competitors=len(self.columns.competitors(sku, store)),
                    reasons=[
                        *(text for flag, text in pricing.WORDS.items() if bits[i] & flag),
                        *([doubt] if doubt else []),
                    ],
                    influences=Influences(**{n: _number(v[i]) for n, v in why.items()})
                    if why else None,
                )
            )  # fmt: skip
        return made

    # -- elasticities ---------------------------------------------------------------------------------

    def elasticities(self, rows: Ints) -> tuple[Floats, Ints]:
        """(beliefs float64[n, 7] as ``MarketColumns.beliefs``, int64[n] kinds)."""
        known = self.columns.beliefs(rows)
        kinds = pricing.kinds(known[:, 0].astype(np.int64), *known[:, 1:4].T)
        return known, kinds

    @staticmethod
    def having(known: Floats, wanted: bool | None) -> NDArray[np.bool_]:
        """bool[n]: which classes have an elasticity, or have none; ``None``: all."""
        has: NDArray[np.bool_] = known[:, 0] > 0
        return np.ones(len(known), np.bool_) if wanted is None else has == wanted

    def elasticity_sorting(self, known: Floats, name: str) -> Floats:
        """float64[n]: ``elasticity``, or ``certainty`` (minus the interval's width); NaN: unknown."""
        value = known[:, 1] if name == "elasticity" else known[:, 2] - known[:, 3]
        return np.where(known[:, 0] > 0, value, np.nan)

    @staticmethod
    def kind_counts(kinds: Ints) -> dict[str, int]:
        """Kind -> classes."""
        return {word: int((kinds == kind).sum()) for kind, word in KINDS.items()}

    def elasticity_rows(self, rows: Ints) -> list[ElasticityRow]:
        """Of one page."""
        rows = self._live(rows)
        known, kinds = self.elasticities(rows)
        price, _ = self.columns.prices(rows)
        made = []
        for i, (row, (store, sku)) in enumerate(
            zip(rows.tolist(), self.columns.keys(rows), strict=True)
        ):
            low, high = _number(known[i, 5], 2), _number(known[i, 6], 2)
            value = [_number(v) if known[i, 0] else None for v in known[i, 1:4].tolist()]
            outside = low is not None and high is not None and not (
                low * 0.999 <= price[i] <= high * 1.001
            )  # fmt: skip
            made.append(
                ElasticityRow(
                    sku=sku, store=store, name=self._state.cls.text["name"].get(row, ""),
                    category=self.columns.demand.category(sku, row),
                    elasticity=Range(value=value[0], low=value[1], high=value[2]),
                    evidence=EVIDENCE[int(known[i, 0])], kind=KINDS[Kind(int(kinds[i]))],
                    price_cents=_number(price[i], 2), seen_low_cents=low, seen_high_cents=high,
                    extrapolated=outside and bool(price[i] == price[i]),
                )
            )  # fmt: skip
        return made

    def grouping(self, store: str, category: str, sku: str) -> Iterator[None]:
        """Work out categories that are not known or older than a minute; some classes at each step."""
        asked = self._asked(store, category, sku)
        at_ms, _ = self._groups.get(asked, (-GROUPS_KEEP_MS, []))
        if self._sources.now_ms - at_ms < GROUPS_KEEP_MS:
            return
        rows = self.rows(store, category, sku)
        of: dict[str, list[Floats]] = {}
        for start in range(0, len(rows), GROUP_ROWS):
            part = self._live(rows[start : start + GROUP_ROWS])
            known = self.columns.beliefs(part)
            own = np.flatnonzero(known[:, 0] == pricing.OWN)
            keys = self.columns.keys(part[own])
            for i, row, (_, of_sku) in zip(own.tolist(), part[own].tolist(), keys, strict=True):
                name = self.columns.demand.category(of_sku, row)
                of.setdefault(name, []).append(known[i, 1:4])
            yield
        if len(self._groups) >= GROUPS_KEPT:
            self._groups.clear()
        self._groups[asked] = self._sources.now_ms, _pooled(of)

    def elasticity_groups(self, store: str, category: str, sku: str) -> list[ElasticityGroup]:
        """By category, those of which most classes tell first; after ``grouping``."""
        return self._groups.get(self._asked(store, category, sku), (0, []))[1]

    def _asked(self, store: str, category: str, sku: str) -> tuple[str, str, str, int]:
        return store, category.lower(), sku, self.columns.model_number

    # -- competitors ----------------------------------------------------------------------------------

    def competing(self, sku: str | None, store: str | None) -> list[CompetitorPrice]:
        """Every price of a competitor that is kept."""
        ledger = self._sources.core.ledger
        found = ledger.by(CompetitorPrice, "sku", sku) if sku else [
            *ledger.rows(CompetitorPrice).values()]  # fmt: skip
        return [one for one in found if one.store == store] if store is not None else found

    def competing_count(self) -> int:
        """How many prices of competitors are kept, of all classes."""
        return self._sources.core.ledger.count(CompetitorPrice)

    def competitors(self, found: Sequence[CompetitorPrice]) -> list[CompetitorRow]:
        """Some of them, beside our own price."""
        ours = self._ours(sorted({(one.store, one.sku) for one in found}))
        return [self._competitor(one, ours.get((one.store, one.sku))) for one in found]

    def _ours(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], float]:
        get = self._state.cls.keys.get
        known = [(key, row) for key in keys if (row := get("\x1f".join(key))) >= 0]
        if not known:
            return {}
        price, _ = self.columns.prices(np.array([row for _, row in known], np.int64))
        return {key: float(p) for (key, _), p in zip(known, price, strict=True) if p == p}

    def _competitor(self, one: CompetitorPrice, ours: float | None) -> CompetitorRow:
        age = (self._sources.now_ms - one.seen_ms) / DAY_MS
        told = {name: getattr(one, name) for name in
                ("sku", "store", "competitor", "price_cents", "before_cents", "seen_ms", "source")}  # fmt: skip
        return CompetitorRow(
            **told, age_days=round(age, 3), counts=age <= MARKET_DAYS, ours_cents=ours,
            gap=None if ours is None else round(ours / one.price_cents - 1, 4),
        )  # fmt: skip

    # -- proposals ------------------------------------------------------------------------------------

    def proposals(self) -> Iterator[Propose | None]:
        """Prices worth changing now, and tested prices that proved better; ``None`` lets others work."""
        rows = self.rows()
        for _ in self.refreshing(rows):
            yield None
        found = self.of_action(rows, "change")
        basis = self.columns.basis()
        worth = self.sorting(found, "gain_cents") * self.sorting(found, "confidence")
        found = found[np.argsort(-worth, kind="stable")][: self._room()]
        for start in range(0, len(found), SLICE_ROWS):
            part = found[start : start + SLICE_ROWS]
            yield from (self._proposal(row, basis) for row in self.told(part))
            yield None
        for test in list(self._sources.core.ledger.rows(PriceTest).values()):
            recent = self._sources.now_ms - test.ended_ms < ADOPT_DAYS * DAY_MS
            if test.verdict == "better" and recent:
                yield from self._adopt(test)

    def _room(self) -> int:
        """How many more prices may be proposed this week; those of the week count, whatever became of them."""
        week_ms = self._sources.now_ms - 7 * DAY_MS
        decisions = self._sources.core.ledger.rows(Decision).values()
        lately = sum(d.kind == "pricing" and d.created_ms > week_ms for d in decisions)
        return max(PROPOSED_A_WEEK - lately, 0)

    def _proposal(self, row: PriceRow, basis: Basis) -> Propose | None:
        new, gain, sure = row.recommended_cents, row.gain_cents.value, row.confidence
        if not (new and row.price_cents and row.baseline_cents and gain and sure):
            return None
        reasons = [
            f"{gain / 100:,.2f} more are expected of the next {HORIZON_DAYS} days "
            f"({(row.gain_cents.low or 0) / 100:,.2f} to {(row.gain_cents.high or 0) / 100:,.2f})",
            f"elasticity {row.elasticity.value} ({row.elasticity.low} to {row.elasticity.high}), "
            f"from its {row.evidence} prices",
            *row.reasons,
        ]
        return Propose(
            kind="pricing", target=row.sku, store=row.store, period=self._month(),
            confidence=sure, impact_cents=round(gain),
            change_ratio=new / row.baseline_cents - 1,
            data={"price_cents": round(new), "baseline_cents": round(row.baseline_cents),
                  "from_cents": round(row.price_cents)},
            reasons=reasons, service="pricing", version=basis.version, fallback=basis.fallback,
        )  # fmt: skip

    def _adopt(self, test: PriceTest) -> Iterator[Propose]:
        """A tested price that was shown to be better, for each store that took part."""
        days = test.period_days - test.washout_days
        gain = (test.effect or 0.0) * test.block_cents * HORIZON_DAYS / days
        for store in test.stores:
            row = self._state.cls.keys.get(f"{store}\x1f{test.sku}")
            if row < 0:
                continue
            _, base = self.columns.prices(np.array([row], np.int64))
            baseline = float(base[0]) if base[0] == base[0] else float(test.control_cents)
            yield Propose(
                kind="pricing", target=test.sku, store=store, period=f"test-{test.id}",
                confidence=1 - test.alpha, impact_cents=round(gain / len(test.stores)),
                change_ratio=test.tested_cents / baseline - 1,
                data={"price_cents": test.tested_cents, "baseline_cents": round(baseline),
                      "from_cents": test.control_cents, "test": test.id},
                reasons=[f"price test {test.id}: better by {test.effect or 0:+.1%} "
                         f"({test.low or 0:+.1%} to {test.high or 0:+.1%})"],
                service="pricing",
            )  # fmt: skip

    # -- what came of it ------------------------------------------------------------------------------

    def impacts(self) -> Iterator[RecordImpact]:
        """What changed prices brought in their first 28 whole days, once these have closed."""
        ledger, today = self._sources.core.ledger, self._state.today
        for decision in list(ledger.rows(Decision).values()):
            if decision.kind != "pricing" or decision.status != "executed" or decision.dry_run:
                continue
            price = ledger.get(Price, decision.target, decision.store)
            first = self._state.days.day(decision.executed_ms) + 1
            same = price is not None and price.decision == decision.id
            if decision.actual_impact_cents is not None or not same:
                continue
            if not first + HORIZON_DAYS <= today < first + 2 * HORIZON_DAYS:
                continue
            gain = self._brought(decision, first, today)
            if gain is not None:
                yield RecordImpact(id=decision.id, actual_cents=round(gain), why=IMPACT_WHY)

    def _brought(self, decision: Decision, first: int, today: int) -> float | None:
        row = self._state.cls.keys.get(f"{decision.store}\x1f{decision.target}")
        ring = self._state.cls.part["revenue_cents"]
        assert isinstance(ring, DayRing)
        back = today - first + HORIZON_DAYS + 2  # the day of the change itself is left out
        if row < 0 or back > ring.days:
            return None
        store = f"{decision.store}\x1f"
        keys = self._state.cls.keys
        rows = np.array([r for key, r in keys.items() if key.startswith(store)], np.int64)
        series = ring.series(rows, back).astype(np.float64)
        mine = series[:, rows == row].sum(axis=1)
        rest = series.sum(axis=1) - mine
        before, after = slice(0, HORIZON_DAYS), slice(HORIZON_DAYS + 1, 2 * HORIZON_DAYS + 1)
        return impact.brought(mine[before], mine[after], rest[before], rest[after])

    def _month(self) -> str:
        day = self._state.today * DAY_MS // 1_000
        return datetime.fromtimestamp(day, UTC).strftime("%Y-%m")


def _pooled(of: dict[str, list[Floats]]) -> list[ElasticityGroup]:
    made = []
    for category, some in of.items():
        found = pricing.pooled(*np.stack(some).T)
        if found is not None:
            made.append(
                ElasticityGroup(
                    category=category, classes=found.classes, elasticity=round(found.mean, 4),
                    sd=round(found.sd, 4), spread=round(found.spread, 4),
                )
            )  # fmt: skip
    return sorted(made, key=lambda group: (-group.classes, group.category))


def _elasticity(known: dict[str, float | None]) -> Range:
    names = ("elasticity", "elasticity_low", "elasticity_high")
    value, low, high = (known.get(name) for name in names)
    return Range(value=value, low=low, high=high)


def _money(numbers: dict[str, float | None], name: str) -> Range:
    value, low, high = (numbers.get(f"{name}_{part}") for part in ("mean", "low", "high"))
    return Range(value=value, low=low, high=high)


def _number(value: float, digits: int = 4) -> float | None:
    """A finite number, rounded, or nothing."""
    return round(float(value), digits) if isfinite(value) else None
