"""Price tests as readers see them, plans of new ones, and what blocks that are over brought. No rules.

Takings come out of the days that the state remembers (400), so a block is told once it is closed and
late events can no longer change it. Rows of tests stand in the ledger.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.decisions.deeds import safeguards
from edge.features.business import class_key
from edge.features.layout import HISTORY_DAYS
from edge.features.windows import DayRing
from edge.ledger.price_tests import ObservePriceTest, PriceTest, PriceTestBlock
from edge.ledger.prices import SAME
from edge.services import price_test as judge
from edge.services.price_test import Design, Layout
from edge.view_basis import Basis, Sources
from edge.view_market import DAY_MS, MarketColumns

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PAST_DAYS = 364
"""Days before a test that tell how its numbers scatter …"""
USUAL_DAYS = 56
"""… and what is usual for a weekday."""
RULE = "anytime-valid t-test on differences of blocks (Wang & Ramdas 2023): it may be looked at any time"


class StoreToday(Struct, kw_only=True):
    """What a store charges today."""

    store: str
    """Store."""
    arm: str
    """``control``, ``tested``, or ``none``: no day of the test."""
    price_cents: int
    """Price that is due today."""


class PriceTestRow(Struct, kw_only=True):
    """One price test."""

    id: str
    """Its id."""
    name: str
    """Name that people gave it."""
    sku: str
    """Class or SKU."""
    stores: list[str]
    """Stores that take part."""
    design: str
    """``store`` or ``period``."""
    control_cents: int
    """Present price."""
    tested_cents: int
    """Tested price."""
    measure: str
    """What is compared."""
    status: str
    """``planned``, ``running`` or ``ended``."""
    verdict: str
    """``better``, ``worse``, ``no_difference_shown`` or ``not_enough_data``."""
    stop: str
    """Why it ended: shown, harm, loss, planned, not_charged, asked; empty: it goes on."""
    stop_why: str
    """Words of whoever stopped it."""
    first_day: str
    """First day, ``YYYY-MM-DD``."""
    last_day: str
    """Last day, if it goes on to the end."""
    period_days: int
    """Days for which a price is charged without a change."""
    washout_days: int
    """First days of a period that do not count."""
    blocks: int
    """Planned blocks of two periods each."""
    blocks_done: int
    """Blocks that are over."""
    effect_least: float
    """Least difference worth knowing, a share."""
    alpha: float
    """Probability of a difference being shown where there is none."""
    power: float
    """Probability of ``effect_least`` being shown within the plan."""
    effect: float | None
    """Mean difference so far, as a share of what was expected; null: no block is over."""
    low: float | None
    """Lower end of its interval, which holds at all times; null: too few blocks."""
    high: float | None
    """Upper end."""
    evidence: float
    """How many times likelier than under no difference; a difference is shown at 1 / ``alpha``."""
    negligible: bool
    """Whether no difference worth knowing is left possible."""
    adherence: float
    """Share of the days on which the planned price was charged."""
    loss_most_cents: int
    """The tested price may have lost this much, then it stops; 0: no such end."""
    today: list[StoreToday]
    """What each store charges today."""
    created_ms: int
    """When it was asked for."""
    ended_ms: int
    """When it ended; 0: it has not."""
    asked_by: str
    """Who asked."""
    words: str
    """What is known, in a sentence."""


class PriceTestBlockRow(Struct, kw_only=True):
    """What one block of a test brought."""

    block: int
    """Number of the block, from 0."""
    first_day: str
    """Its first day, ``YYYY-MM-DD``."""
    difference: float | None
    """Tested less present price, a share of what was expected; null: it could not be told."""
    control_units: float
    """Units at the present price."""
    tested_units: float
    """Units at the tested price."""
    control_cents: int
    """Takings at the present price, cents."""
    tested_cents: int
    """Takings at the tested price, cents."""
    adherence: float
    """Share of the days, from the test's first on, on which the planned price was charged."""


class PricePlan(Struct, kw_only=True):
    """What a test would take, said before it begins."""

    sku: str
    """Class or SKU."""
    stores: list[str]
    """Stores that take part."""
    design: str
    """``store`` or ``period``."""
    control_cents: int
    """Present price."""
    tested_cents: int
    """Tested price."""
    effect_least: float
    """Least difference worth knowing, a share."""
    alpha: float
    """Probability of a difference being shown where there is none."""
    power: float
    """Probability of ``effect_least`` being shown within the planned blocks."""
    blocks_needed: int | None
    """Fewest blocks for the power that was asked for; null: more than 52."""
    blocks: int
    """Planned blocks of two periods each; 0: none can be planned."""
    days: int
    """Days that takes."""
    first_day: str
    """First day, ``YYYY-MM-DD``."""
    last_day: str
    """Last day at the latest; it may be over sooner."""
    units_per_price: float
    """Units expected at each of the two prices, over the whole test."""
    sd: float | None
    """How block differences are expected to scatter, a share; null: nothing is known."""
    sd_blocks: int
    """Blocks of the past that say so; 0: reckoned from counts."""
    units_per_day: float
    """Units a day, of all the stores together, over the last eight weeks."""
    evidence: str
    """What the plan rests on, in words."""
    why: str
    """Why no test can be planned, and what is needed; empty: one can."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to test."""

    sku: str
    stores: tuple[str, ...]
    tested_cents: int
    design: Design
    period_days: int
    washout_days: int
    measure: Literal["revenue", "units"]
    effect_least: float
    alpha: float
    power: float
    blocks: int | None
    """``None``: as many as the power takes."""
    first_day: int | None
    """``None``: tomorrow."""
    loss_most_cents: int
    control_cents: int | None
    """``None``: the present price."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the plan of a test needs, copied out of the state: nothing here changes any more."""

    wish: Wish
    control_cents: int
    baseline_cents: Floats
    """float64[s]: price that guard rails count from, in each store."""
    first_day: int
    past: Floats
    """float64[s, d]: takings of the days before today."""
    units: Floats
    """float64[s, d]: units of the same days."""
    last_day: int
    """Of ``past``."""


class PriceTestsView:
    """Reads tests in the ledger and days in the state."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state
        self._columns = MarketColumns(sources)

    def basis(self) -> Basis:
        """A formula speaks, no model."""
        return self._sources.computed(RULE)

    # -- rows ---------------------------------------------------------------------------------------

    def tests(self) -> list[PriceTestRow]:
        """Every test."""
        return [self.row(test) for test in self._sources.core.ledger.rows(PriceTest).values()]

    def test(self, id_: str) -> PriceTest | None:
        """One test."""
        return self._sources.core.ledger.get(PriceTest, id_)

    def row(self, test: PriceTest) -> PriceTestRow:
        """As people see it."""
        today, layout = self._state.today, test.layout
        waits = test.status == "running" and today < test.first_day
        return PriceTestRow(
            id=test.id, name=test.name, sku=test.sku, stores=test.stores, design=test.design,
            control_cents=test.control_cents, tested_cents=test.tested_cents, measure=test.measure,
            status="planned" if waits else test.status, verdict=test.verdict, stop=test.stop,
            stop_why=test.stop_why, first_day=_date(test.first_day), last_day=_date(layout.last_day),
            period_days=test.period_days, washout_days=test.washout_days, blocks=test.blocks,
            blocks_done=len(test.differences), effect_least=test.effect_least, alpha=test.alpha,
            power=round(test.power, 4), effect=_rounded(test.effect), low=_rounded(test.low),
            high=_rounded(test.high), evidence=round(math.exp(min(test.log_evidence, 50.0)), 4),
            negligible=test.negligible, adherence=round(test.adherence, 4),
            loss_most_cents=test.loss_most_cents,
            today=[self._today(test, store) for store in test.stores],
            created_ms=test.created_ms, ended_ms=test.ended_ms, asked_by=test.asked_by,
            words=words(test),
        )  # fmt: skip

    def _today(self, test: PriceTest, store: str) -> StoreToday:
        arm = judge.OUTSIDE
        if test.status == "running":
            arm = judge.arm(test.layout, store, self._state.today)
        name = {judge.CONTROL: "control", judge.TESTED: "tested"}.get(arm, "none")
        cents = test.tested_cents if arm == judge.TESTED else test.control_cents
        return StoreToday(store=store, arm=name, price_cents=cents)

    # -- plans --------------------------------------------------------------------------------------

    @property
    def today(self) -> int:
        """The present local day."""
        return self._state.today

    def present_cents(self, sku: str, stores: tuple[str, ...]) -> float | None:
        """Present price of a class, the middle of those of the stores; ``None``: not known."""
        rows = [self._state.cls.keys.get(class_key(store, sku)) for store in stores]
        if min(rows) < 0:
            return None
        price, _ = self._columns.prices(np.array(rows, np.int64))
        return float(np.median(price)) if np.isfinite(price).all() else None

    def gathered(self, wish: Wish) -> Gathered | str:
        """What a plan needs; or what is missing, in words."""
        complaint = _laid(wish, self._state.today + 1).complaint()
        if complaint:
            return complaint
        rows = [self._state.cls.keys.get(class_key(store, wish.sku)) for store in wish.stores]
        for store, row in zip(wish.stores, rows, strict=True):
            if row < 0:
                return f"nothing is known about class {wish.sku!r} in store {store!r}"
        some = np.array(rows, np.int64)
        price, base = self._columns.prices(some)
        if not wish.control_cents and _apart(price):
            told = ", ".join(
                f"{cents:.0f} in {store}" for store, cents in zip(wish.stores, price, strict=True)
            )
            return f"the stores charge different prices ({told} cents): name control_cents, or test in one"
        control = float(wish.control_cents or (price[0] if np.isfinite(price).all() else 0))
        if control <= 0:
            return f"no price of {wish.sku!r} is known in every store: name control_cents"
        baseline = np.where(np.isfinite(base), base, control)
        takings, units, _ = self._days(some, PAST_DAYS + 1)
        known = self._since(units)
        first = wish.first_day if wish.first_day is not None else self._state.today + 1
        measured = units if wish.measure == "units" else takings
        return Gathered(
            wish, round(control), baseline, first,
            measured[:, known:-1], units[:, known:-1], self._state.today - 1,
        )  # fmt: skip

    def beyond(self, gathered: Gathered) -> str:
        """Why the tested price is outside of the guard rails; empty: it is within."""
        most = safeguards(self._sources.core.ledger).price_change_max_ratio
        away = gathered.wish.tested_cents / gathered.baseline_cents - 1
        far = int(np.argmax(np.abs(away)))
        if abs(away[far]) <= most + 1e-9:
            return ""
        return (
            f"{gathered.wish.tested_cents} cents are {away[far]:+.1%} from the baseline of "
            f"{gathered.baseline_cents[far]:.0f} in {gathered.wish.stores[far]}: {most:.0%} is allowed"
        )

    def _days(self, rows: Ints, days: int) -> tuple[Floats, Floats, Floats]:
        """(takings cents, units, price paid cents) float64[s, d] of the last days, today last.

        NaN on days that the daemon was off: nobody knows what was sold.
        """
        at = min(days, HISTORY_DAYS)
        parts = {}
        for name in ("revenue_cents", "rented_milli", "sold_milli", "unseen"):
            ring = self._state.cls.part[name]
            assert isinstance(ring, DayRing)
            parts[name] = ring.series(rows, at).T.astype(np.float64)
        units = np.maximum(parts["rented_milli"] + parts["sold_milli"], 0.0) / 1_000
        takings, dark = parts["revenue_cents"], parts["unseen"] > 0
        takings[dark] = units[dark] = np.nan
        paid = np.where(units > 0, takings / np.maximum(units, 1e-9), np.nan)
        return takings, units, paid

    @staticmethod
    def _since(units: Floats) -> int:
        """The first day on which anything moved: before it the class was not there."""
        moved = np.flatnonzero((units > 0).any(axis=0))
        return int(moved[0]) if len(moved) else units.shape[1] - 1

    # -- blocks that are over -------------------------------------------------------------------------

    def due(self) -> Iterator[ObservePriceTest]:
        """Blocks that are over and have not been told, one a test."""
        now_ms = self._sources.now_ms
        for test in list(self._sources.core.ledger.rows(PriceTest).values()):
            number = len(test.differences)
            if test.status != "running" or number >= test.blocks:
                continue
            end_day = test.first_day + (number + 1) * test.layout.block_days
            settled_ms = self._state.days.start_ms(end_day) + self._state.lateness_ms
            if now_ms >= settled_ms and self._state.today >= end_day:
                yield ObservePriceTest(block=self.block(test, number))

    def block(self, test: PriceTest, number: int) -> PriceTestBlock:
        """What a block brought."""
        layout = test.layout
        keys = [class_key(store, test.sku) for store in test.stores]
        rows = np.array([self._state.cls.keys.get(key) for key in keys], np.int64)
        back = self._state.today - test.first_day + 1
        takings, units, paid = self._span(rows, back)
        width = (number + 1) * layout.block_days
        known = width <= takings.shape[1] and back <= HISTORY_DAYS
        measured = units if test.measure == "units" else takings
        difference = math.nan
        adherence = 1.0
        if known:
            usual = np.array(test.usual, np.float64)
            difference = float(judge.differences(layout, measured[:, :width], usual)[number])
            prices = float(test.control_cents), float(test.tested_cents)
            adherence = judge.adherence(layout, paid[:, :width], prices)
        sums = self._sums(test, takings, units, number) if known else np.zeros((2, 2))
        return PriceTestBlock(
            test=test.id, block=number, first_day=test.first_day + number * layout.block_days,
            difference=difference if math.isfinite(difference) else None,
            control_units=round(float(sums[0, 0]), 3), tested_units=round(float(sums[1, 0]), 3),
            control_cents=round(float(sums[0, 1])), tested_cents=round(float(sums[1, 1])),
            adherence=adherence,
        )  # fmt: skip

    def _span(self, rows: Ints, days: int) -> tuple[Floats, Floats, Floats]:
        """As ``_days``; a store whose class is gone tells nothing."""
        takings, units, paid = self._days(np.maximum(rows, 0), days)
        for part in (takings, units, paid):
            part[rows < 0] = np.nan
        return takings, units, paid

    @staticmethod
    def _sums(test: PriceTest, takings: Floats, units: Floats, number: int) -> Floats:
        """float64[arm, 2]: units and cents of a block."""
        out, layout = np.zeros((2, 2)), test.layout
        start = number * layout.block_days
        for s, store in enumerate(test.stores):
            for d in range(start, start + layout.block_days):
                arm = judge.arm(layout, store, test.first_day + d)
                if arm != judge.OUTSIDE and judge.counts(layout, test.first_day + d):
                    out[arm] += np.nan_to_num([units[s, d], takings[s, d]])
        return out


# -- plans, in a thread --------------------------------------------------------------------------------


def _apart(price: Floats) -> bool:
    """Whether stores charge what nobody would take for one price, rounded."""
    return bool(np.isfinite(price).all() and price.max() > price.min() * (1 + SAME))


def _laid(wish: Wish, first_day: int) -> Layout:
    """As it would be laid out, of any length."""
    return Layout("plan", wish.design, wish.stores, first_day, wish.period_days, 2,
                  wish.washout_days)  # fmt: skip


def planned(gathered: Gathered) -> tuple[PriceTest, PricePlan]:
    """The test as it would be asked for, and what it takes. Some tens of milliseconds."""
    wish = gathered.wish
    laid = _laid(wish, gathered.first_day)
    units_day = float(np.nansum(np.nanmean(gathered.units[:, -USUAL_DAYS:], axis=1))) if (
        gathered.units.size) else 0.0  # fmt: skip
    scatter = judge.spread(laid, gathered.past, gathered.last_day, units_day)
    needed = judge.blocks_needed(wish.effect_least, scatter.careful_sd, wish.alpha, wish.power)
    blocks = wish.blocks or needed or 0
    power = 0.0
    if blocks and math.isfinite(scatter.careful_sd):
        reached = judge.chances(wish.effect_least, scatter.careful_sd, wish.alpha)
        power = float(reached[min(blocks, judge.BLOCKS_MAX) - 1])
    usual = judge.expected(gathered.past[:, -USUAL_DAYS:], gathered.last_day)
    half = (wish.period_days - wish.washout_days) * usual.mean(axis=1).sum()
    units_half = units_day * (wish.period_days - wish.washout_days)
    days = 2 * wish.period_days * blocks
    sd = scatter.careful_sd
    test = PriceTest(
        sku=wish.sku, stores=list(wish.stores), design=wish.design,
        control_cents=gathered.control_cents, tested_cents=wish.tested_cents, measure=wish.measure,
        first_day=gathered.first_day, period_days=wish.period_days, washout_days=wish.washout_days,
        blocks=blocks, effect_least=wish.effect_least, alpha=wish.alpha, power=round(power, 4),
        sd=sd if math.isfinite(sd) else 0.0, sd_blocks=scatter.blocks,
        loss_most_cents=wish.loss_most_cents,
        block_cents=float(half if wish.measure == "revenue" else half * gathered.control_cents),
        block_units=units_half, usual=[[float(v) for v in row] for row in usual],
    )  # fmt: skip
    plan = PricePlan(
        sku=wish.sku, stores=list(wish.stores), design=wish.design,
        control_cents=gathered.control_cents, tested_cents=wish.tested_cents,
        effect_least=wish.effect_least, alpha=wish.alpha, power=round(power, 4),
        blocks_needed=needed, blocks=blocks, days=days, first_day=_date(gathered.first_day),
        last_day=_date(gathered.first_day + max(days, 1) - 1),
        units_per_price=round(units_half * blocks, 2),
        sd=round(sd, 4) if math.isfinite(sd) else None, sd_blocks=scatter.blocks,
        units_per_day=round(units_day, 4),
        evidence=_evidence(gathered, scatter.blocks, units_day),
        why=_why_none(wish, blocks, sd),
    )  # fmt: skip
    return test, plan


def _evidence(gathered: Gathered, blocks: int, units_day: float) -> str:
    days = int((~np.isnan(gathered.units)).any(axis=0).sum()) if gathered.units.size else 0
    if units_day <= 0:
        return f"none: nothing moved on the {days} closed days that are known"
    if not blocks:
        return f"reckoned from counts: {days} closed days are too few to see how blocks scatter"
    return f"how {blocks} blocks laid over the {days} closed days before scatter"


def _why_none(wish: Wish, blocks: int, sd: float) -> str:
    if not math.isfinite(sd):
        return (
            f"Nothing of {wish.sku!r} moved on the days that have closed: how long a test takes cannot "
            "be told. A closed day on which it was sold or rented is needed, better eight weeks of them."
        )
    if blocks:
        return ""
    return (
        f"A difference of {wish.effect_least:.1%} is not shown within {judge.BLOCKS_MAX} blocks with "
        f"probability {wish.power:.0%}: block differences scatter by {sd:.1%}."
    )


_VERDICTS = {
    "better": "the tested price brought more",
    "worse": "the tested price brought less",
    "no_difference_shown": "no difference was shown",
    "not_enough_data": "not enough is known to say",
}
_STOPS = {
    "": "it goes on",
    "shown": "the difference is shown",
    "harm": "stopped because it is likely to do harm, which is not shown yet",
    "loss": "stopped because it cost more than was allowed",
    "planned": "the plan is over",
    "not_charged": "stopped because the planned prices were not charged",
    "asked": "stopped by somebody",
}


def words(test: PriceTest) -> str:
    """What is known, in a sentence."""
    told = f"{_VERDICTS[test.verdict]}; {_STOPS[test.stop]}"
    if test.effect is not None and test.low is not None and test.high is not None:
        told += f"; difference {test.effect:+.1%}, {test.low:+.1%} to {test.high:+.1%}"
    if test.negligible:
        told += f"; a difference of {test.effect_least:.0%} or more is ruled out"
    return told


def block_row(block: PriceTestBlock) -> PriceTestBlockRow:
    """As people see it."""
    told = {
        name: getattr(block, name)
        for name in PriceTestBlockRow.__struct_fields__
        if name != "first_day"
    }
    return PriceTestBlockRow(**told, first_day=_date(block.first_day))


def _date(day: int) -> str:
    return str(np.datetime64(day * DAY_MS // 86_400_000, "D"))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
