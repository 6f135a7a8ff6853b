"""Prices, tests of prices and decisions about them, in any order: what must hold always holds."""

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.commands import Command, Propose, Told
from edge.decisions.deeds import Approve, Undo
from edge.decisions.rows import Decision, Safeguards
from edge.events import PriceObserved
from edge.ledger import deeds
from edge.ledger.ledger import Ledger
from edge.ledger.price_tests import (
    ObservePriceTest,
    PriceTest,
    PriceTestBlock,
    StartPriceTest,
    StopPriceTest,
)
from edge.ledger.prices import CompetitorPrice, Price, SetPrice
from edge.ledger.tables import TABLES

SKUS, STORES = ("TENT", "CUP"), ("north", "south")
some_sku, some_store = st.sampled_from(SKUS), st.sampled_from(STORES)
cents = st.integers(500, 2_000)


class Prices(RuleBasedStateMachine):
    """A ledger, everything that was told to it, and what people last set."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Command | PriceObserved] = []
        self.ledger = self.fresh()
        self.set: dict[tuple[str, str], set[int]] = {}
        self.newest: dict[tuple[str, str, str], int] = {}

    @staticmethod
    def fresh() -> Ledger:
        ledger = Ledger(TABLES)
        ledger.put(Safeguards(dry_run=False))
        return ledger

    def apply(self, ledger: Ledger, number: int, told: Command | PriceObserved) -> tuple[str, Any]:
        at = Told(1_000 * (number + 1), number)
        if isinstance(told, PriceObserved):
            for hook in deeds.HOOKS[PriceObserved]:
                hook(ledger, told, at)
            return "done", None
        code, detail = deeds.do(ledger, told, at)
        return code, msgspec.json.decode(detail) if code == "done" else detail

    def tell(self, told: Command | PriceObserved) -> tuple[str, Any]:
        self.told.append(told)
        return self.apply(self.ledger, len(self.told) - 1, told)

    def a_test(self, data: st.DataObject, running: bool) -> PriceTest | None:
        tests = [
            t for t in self.ledger.rows(PriceTest).values() if (t.status == "running") == running
        ]
        return data.draw(st.sampled_from(tests)) if tests else None

    # -- what may happen --------------------------------------------------------------------------

    @rule(sku=some_sku, store=some_store, price=cents)
    def people_set(self, sku: str, store: str, price: int) -> None:
        if self.tell(SetPrice(sku=sku, store=store, price_cents=price))[0] == "done":
            self.set.setdefault((sku, store), set()).add(price)

    @rule(
        sku=some_sku,
        store=some_store,
        price=cents,
        whose=st.sampled_from(["", "A", "B"]),
        late=st.booleans(),
    )
    def somebody_tells(self, sku: str, store: str, price: int, whose: str, late: bool) -> None:
        at = 1 if late else 1_000 * (len(self.told) + 1)
        self.tell(PriceObserved(sku=sku, store=store, price_cents=price, competitor=whose, at=at))
        if whose:
            key = (sku, store, whose)
            self.newest[key] = max(self.newest.get(key, 0), at)
        else:
            self.set.setdefault((sku, store), set()).add(price)

    @rule(sku=some_sku, store=some_store, price=cents, base=cents, n=st.integers(0, 9))
    def a_service_proposes(self, sku: str, store: str, price: int, base: int, n: int) -> None:
        known = self.ledger.get(Price, sku, store)
        from_ = known.baseline_cents if known else base
        self.tell(
            Propose(kind="pricing", target=sku, store=store, period=f"P{n}", confidence=0.95,
                    impact_cents=1, change_ratio=price / from_ - 1,
                    data={"price_cents": price, "baseline_cents": from_})
        )  # fmt: skip
        for waits in self.ledger.by(Decision, "status", "pending"):
            self.tell(Approve(id=waits.id, by="eve"))
        if known is None:
            self.set.setdefault((sku, store), set()).add(from_)

    @rule(data=st.data())
    def people_undo(self, data: st.DataObject) -> None:
        found = list(self.ledger.rows(Decision))
        if found:
            self.tell(Undo(id=str(data.draw(st.sampled_from(found))[0]), by="eve"))

    @rule(
        sku=some_sku,
        stores=st.lists(some_store, min_size=1, max_size=2, unique=True),
        up=st.booleans(),
    )
    def a_test_begins(self, sku: str, stores: list[str], up: bool) -> None:
        self.tell(
            StartPriceTest(
                test=PriceTest(
                    sku=sku, stores=stores, design="period", control_cents=1_000,
                    tested_cents=1_100 if up else 900, first_day=20_000, period_days=7, blocks=4,
                    effect_least=0.1, alpha=0.05, power=0.8, sd=0.1, sd_blocks=0,
                    usual=[[1.0] * 7] * len(stores),
                )
            )
        )  # fmt: skip

    @rule(data=st.data(), difference=st.one_of(st.none(), st.floats(-1, 1)), skip=st.integers(0, 1))
    def a_block_is_over(self, data: st.DataObject, difference: float | None, skip: int) -> None:
        test = self.a_test(data, running=True)
        if test is not None:
            block = PriceTestBlock(
                test=test.id, block=len(test.differences) + skip, first_day=20_000,
                difference=difference, control_units=1, tested_units=1, control_cents=1,
                tested_cents=1, adherence=1.0,
            )  # fmt: skip
            code, _ = self.tell(ObservePriceTest(block=block))
            assert (code == "done") == (skip == 0)

    @rule(data=st.data(), running=st.booleans())
    def people_stop(self, data: st.DataObject, running: bool) -> None:
        test = self.a_test(data, running)
        if test is not None:
            assert (self.tell(StopPriceTest(id=test.id))[0] == "done") == running

    # -- what always holds --------------------------------------------------------------------------

    @invariant()
    def no_price_is_tested_twice_at_a_time(self) -> None:
        seen: set[tuple[str, str]] = set()
        for test in self.ledger.rows(PriceTest).values():
            for store in test.stores if test.status == "running" else ():
                assert (test.sku, store) not in seen
                seen.add((test.sku, store))

    @invariant()
    def only_people_move_a_baseline_and_no_decision_leaves_the_rail(self) -> None:
        for price in self.ledger.rows(Price).values():
            assert price.baseline_cents in self.set[price.sku, price.store]
            if price.decided:
                assert abs(price.price_cents / price.baseline_cents - 1) <= 0.2 + 1e-9

    @invariant()
    def ended_tests_say_why_and_running_ones_do_not(self) -> None:
        for test in self.ledger.rows(PriceTest).values():
            assert (test.status == "ended") == bool(test.stop)
            assert len(test.differences) <= test.blocks
            if test.verdict in ("better", "worse"):
                assert test.stop == "shown"

    @invariant()
    def the_newest_price_of_each_competitor_is_kept(self) -> None:
        seen = {(r.sku, r.store, r.competitor): r.seen_ms
                for r in self.ledger.rows(CompetitorPrice).values()}  # fmt: skip
        assert seen == self.newest

    def teardown(self) -> None:
        """Told again in the same order everything is the same; what was saved comes back."""
        again = self.fresh()
        for number, told in enumerate(self.told):
            self.apply(again, number, told)
        assert again.save() == self.ledger.save()
        loaded = Ledger(TABLES)
        loaded.load(self.ledger.save())
        assert loaded.save() == self.ledger.save()


TestPrices = Prices.TestCase
TestPrices.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
