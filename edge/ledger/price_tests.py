"""Price tests under way and done: what was stated beforehand, what each block said, how it ended. Pure.

The figures come with the commands, computed by whoever asks (``edge.view_pricing``) from days that have
closed, so that a replay of the journal keeps the same words; when to stop is decided here, by the rule
that was stated (``edge.services.price_test``). Which store charges which price on a day is nobody's
choice: it follows from the test's id (``arm``).
"""

import hashlib
import math
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from edge.commands import Command, Done, Outcome, Refused, Told
from edge.ledger.ledger import Deed, Ledger, Table
from edge.services.price_test import Design, Layout, Rule, Stop, Verdict, judge, scale_for

TESTS_MAX = 2_000
CENTS_MAX, NAME_MAX, WORDS_MAX = 10**12, 255, 2_000
RUNNING_MAX = 100
"""Tests under way at once."""
APART_MOST = 0.5
"""No tested price is further than this share from the present one."""


class PriceTest(Struct, frozen=True, kw_only=True):
    """One test of a price."""

    id: str = ""
    """Derived from what was asked and when."""
    name: str = ""
    """Name that people gave it."""
    sku: str
    """Class or SKU."""
    stores: list[str]
    """Stores that take part."""
    design: Design
    """``store``: two groups of stores charge different prices and swap; ``period``: all charge the same."""
    control_cents: int
    """Present price, cents."""
    tested_cents: int
    """Tested price, cents."""
    measure: Literal["revenue", "units"] = "revenue"
    """What is compared."""
    first_day: int
    """Its first local day, counted from 1970-01-01."""
    period_days: int
    """Days for which a price is charged without a change."""
    washout_days: int = 0
    """First days of a period that do not count."""
    blocks: int
    """Planned blocks of two periods each."""
    effect_least: float
    """Least difference worth knowing, a share."""
    alpha: float
    """Probability of a difference being shown where there is none."""
    power: float
    """Probability of ``effect_least`` being shown within the plan."""
    sd: float
    """How block differences were expected to scatter, a share."""
    sd_blocks: int
    """Blocks of the past that said so; 0: reckoned from counts."""
    loss_most_cents: int = 0
    """The tested price may have lost this much, then it stops; 0: no such end."""
    block_cents: float = 0.0
    """Takings of a block's half as expected, cents; with ``units`` their worth at the present price."""
    block_units: float = 0.0
    """Units of a block's half as expected."""
    usual: list[list[float]] = []
    """Usual takings of each store by weekday, Monday first, from before the test."""
    status: Literal["running", "ended"] = "running"
    """Whether it goes on (or will begin)."""
    verdict: Verdict = "not_enough_data"
    """What is known: better, worse, no difference shown, or not enough data."""
    stop: Stop | Literal["asked"] = ""
    """Why it ended: shown, harm, loss, planned, not_charged, asked; empty: it goes on."""
    stop_why: str = ""
    """Words of whoever stopped it."""
    differences: list[float | None] = []
    """What each whole block said, a share; null: it could not be told."""
    effect: float | None = None
    """Mean difference, a share of what was expected; null before the first block."""
    low: float | None = None
    """Lower end of the interval that holds at all times; null: none yet."""
    high: float | None = None
    """Its upper end."""
    log_evidence: float = 0.0
    """Logarithm of the evidence; a difference is shown at ln(1 / alpha)."""
    negligible: bool = False
    """Whether no difference worth knowing is left possible."""
    adherence: float = 1.0
    """Share of the days on which the planned price was charged."""
    created_ms: int = 0
    """When it was asked for."""
    changed_ms: int = 0
    """When it last changed."""
    ended_ms: int = 0
    """When it ended; 0: it has not."""
    asked_by: str = ""
    """Who asked."""

    @property
    def layout(self) -> Layout:
        """Who charges what, when."""
        return Layout(self.id, self.design, tuple(self.stores), self.first_day, self.period_days,
                      self.blocks, self.washout_days)  # fmt: skip

    @property
    def rule(self) -> Rule:
        """What was stated before it began."""
        loss = self.loss_most_cents / self.block_cents if self.block_cents > 0 else 0.0
        scale = scale_for(self.effect_least, self.sd)
        return Rule(self.alpha, scale, self.blocks, self.effect_least, loss)


class PriceTestBlock(Struct, frozen=True, kw_only=True):
    """What one block of a test brought, for the record; lives in the store alone."""

    test: str
    """Id of the test."""
    block: int
    """Number of the block, from 0."""
    first_day: int
    """Its first day, counted from 1970-01-01."""
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


TABLES = (
    Table("price_tests", PriceTest, ("id",), TESTS_MAX, index=("sku",)),
    Table("price_test_blocks", PriceTestBlock, ("test", "block"), 0, kept="none"),
)


class StartPriceTest(Command, tag="start_price_test", kw_only=True):
    """Begin a test; its figures were worked out by whoever asks."""

    test: PriceTest
    """What is planned; id, moments and outcome are set here."""


class ObservePriceTest(Command, tag="observe_price_test", kw_only=True):
    """A block of a test is over."""

    block: PriceTestBlock
    """What it brought."""


class StopPriceTest(Command, tag="stop_price_test", kw_only=True):
    """End a test before its time."""

    id: str
    """Id of the test."""


def start(ledger: Ledger, command: StartPriceTest, told: Told) -> Outcome:
    """The test as it is now."""
    asked = command.test
    wrong = _wrong(ledger, asked)
    if wrong is not None:
        return wrong
    told_apart = msgspec.json.encode((told.ordinal, asked.sku, asked.stores, asked.first_day))
    row = replace(
        asked, id=hashlib.sha256(told_apart).hexdigest()[:16], status="running", stop="",
        verdict="not_enough_data", differences=[], created_ms=told.at_ms, changed_ms=told.at_ms,
        ended_ms=0, asked_by=command.by,
    )  # fmt: skip
    if ledger.room(PriceTest) <= 0:
        _release_oldest(ledger)
    ledger.put(row)
    return Done(row)


def _release_oldest(ledger: Ledger) -> None:
    """The test that ended longest ago leaves memory; the store keeps it."""
    ended = [test for test in ledger.rows(PriceTest).values() if test.status == "ended"]
    if ended:
        ledger.release(PriceTest, min(ended, key=lambda test: (test.ended_ms, test.id)).id)


def _wrong(ledger: Ledger, asked: PriceTest) -> Refused | None:
    complaint = asked.layout.complaint()
    if complaint:
        return Refused("invalid", complaint)
    if (
        min(asked.control_cents, asked.tested_cents) <= 0
        or asked.control_cents == asked.tested_cents
    ):
        return Refused("invalid", "two different prices above 0 are needed")
    if max(asked.control_cents, asked.tested_cents, asked.loss_most_cents) > CENTS_MAX:
        return Refused("invalid", "prices and losses are below 10^12 cents")
    if max(map(len, (asked.sku, *asked.stores))) > NAME_MAX or len(asked.name) > WORDS_MAX:
        return Refused(
            "invalid", f"a SKU or store is longer than {NAME_MAX} characters, or a name than 2,000"
        )
    if abs(asked.tested_cents / asked.control_cents - 1) > APART_MOST:
        return Refused(
            "invalid", f"the prices are further apart than {APART_MOST:.0%} of the present one"
        )
    if not (0 < asked.alpha < 0.5 and asked.effect_least > 0 and 0 < asked.sd < math.inf):
        return Refused("invalid", "alpha, effect_least and sd must be above 0, alpha below 0.5")
    if [len(row) for row in asked.usual] != [7] * len(asked.stores):
        return Refused("invalid", "usual: seven weekdays for each store")
    for other in running(ledger, asked.sku):
        shared = sorted({*other.stores} & {*asked.stores})
        if shared:
            return Refused("conflict", f"the test {other.id} of {asked.sku!r} runs in {shared[0]!r}"
                           f": stop it (POST /api/predictive/pricing/price-tests/{other.id}/stop), or wait")  # fmt: skip
    if sum(test.status == "running" for test in ledger.rows(PriceTest).values()) >= RUNNING_MAX:
        return Refused(
            "limit", f"{RUNNING_MAX} price tests run at once: stop one, or wait until one ends"
        )
    return None


def running(ledger: Ledger, sku: str, store: str = "") -> list[PriceTest]:
    """Tests of a class that are under way or will begin; with ``store`` those that it takes part in."""
    found = [test for test in ledger.by(PriceTest, "sku", sku) if test.status == "running"]
    return [test for test in found if not store or store in test.stores]


def observe(ledger: Ledger, command: ObservePriceTest, told: Told) -> Outcome:
    """The test as it is after the block; blocks come in order, each once."""
    seen = command.block
    test = ledger.get(PriceTest, seen.test)
    if test is None:
        return Refused("unknown", f"there is no price test {seen.test!r}")
    if test.status != "running" or seen.block != len(test.differences):
        return Refused("conflict", f"block {seen.block} is not the next one of {test.id}")
    known = seen.difference is not None and math.isfinite(seen.difference)
    differences = [*test.differences, seen.difference if known else None]
    row = judged(replace(test, differences=differences, adherence=seen.adherence))
    if row.status == "running" and len(differences) >= test.blocks:
        row = replace(
            row, status="ended", stop="planned"
        )  # blocks that could not be told were too many
    ended = row.status == "ended"
    row = replace(row, changed_ms=told.at_ms, ended_ms=told.at_ms if ended else 0)
    ledger.put(seen)
    ledger.put(row)
    return Done(row)


def judged(test: PriceTest) -> PriceTest:
    """The test with what its blocks say so far."""
    said = judge(
        [math.nan if d is None else d for d in test.differences], test.rule, test.adherence
    )

    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return replace(
        test, status="ended" if said.stop else "running", verdict=said.verdict, stop=said.stop,
        effect=number(said.effect), low=number(said.low), high=number(said.high),
        log_evidence=said.log_evidence, negligible=said.negligible,
    )  # fmt: skip


def stop(ledger: Ledger, command: StopPriceTest, told: Told) -> Outcome:
    """The test as it ended."""
    test = ledger.get(PriceTest, command.id)
    if test is None:
        return Refused("unknown", f"there is no price test {command.id!r}")
    if test.status == "ended":
        return Refused(
            "conflict", f"the price test {test.id} has ended ({test.stop}): begin another"
        )
    row = replace(test, status="ended", stop="asked", stop_why=command.why[:WORDS_MAX], changed_ms=told.at_ms,
                  ended_ms=told.at_ms)  # fmt: skip
    ledger.put(row)
    return Done(row)


DEEDS: dict[type[Command], Deed] = {
    StartPriceTest: start,
    ObservePriceTest: observe,
    StopPriceTest: stop,
}
