"""Prices, competitors and price tests in the ledger: baselines, undoing, blocks in order, stops by rule."""

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from edge.commands import Command, Propose, Told
from edge.decisions.deeds import Approve, Undo
from edge.decisions.rows import Decision, Safeguards
from edge.events import PriceObserved
from edge.ledger import deeds
from edge.ledger.catalogue import CatalogueClass
from edge.ledger.ledger import Ledger
from edge.ledger.price_tests import (
    ObservePriceTest,
    PriceTest,
    PriceTestBlock,
    StartPriceTest,
    StopPriceTest,
    running,
)
from edge.ledger.prices import CompetitorPrice, DropCompetitorPrice, Price, SetPrice
from edge.ledger.tables import TABLES

HOUR_MS = 3_600_000


class Book:
    """A ledger and its clock."""

    def __init__(self) -> None:
        self.ledger = Ledger(TABLES)
        self.ledger.put(Safeguards(dry_run=False))
        self.at = 0

    def do(self, command: Command) -> tuple[str, Any]:
        self.at += 1
        code, detail = deeds.do(self.ledger, command, Told(self.at * HOUR_MS, self.at))
        for waits in self.ledger.by(Decision, "status", "pending"):  # a person says yes
            deeds.do(self.ledger, Approve(id=waits.id, by="eve"), Told(self.at * HOUR_MS, self.at))
        return code, msgspec.json.decode(detail) if code == "done" else detail

    def see(self, price: PriceObserved) -> None:
        self.at += 1
        price.at = price.at or self.at * HOUR_MS
        for hook in deeds.HOOKS[PriceObserved]:
            hook(self.ledger, price, Told(self.at * HOUR_MS, self.at))

    def price(self) -> Price:
        found = self.ledger.get(Price, "TENT", "main")
        assert found is not None
        return found

    def propose(self, cents: int, period: str = "2026-W47") -> Decision:
        """A proposal that every gate lets through, or a person."""
        told = Propose(
            kind="pricing", target="TENT", store="main", period=period, confidence=0.9,
            impact_cents=500, change_ratio=cents / 1_000 - 1, service="pricing",
            data={"price_cents": cents, "baseline_cents": 1_000},
        )  # fmt: skip
        code, _ = self.do(told)
        assert code == "done"
        return list(self.ledger.rows(Decision).values())[-1]


# -- prices -----------------------------------------------------------------------------------------


def test_a_price_that_people_set_is_the_new_baseline() -> None:
    book = Book()
    assert book.do(SetPrice(sku="TENT", store="main", price_cents=1_000))[0] == "done"
    book.see(PriceObserved(sku="TENT", store="main", price_cents=1_200))
    assert (book.price().price_cents, book.price().baseline_cents) == (1_200, 1_200)
    assert book.price().before_cents == 1_000
    assert book.do(SetPrice(sku="TENT", store="main", price_cents=0))[0] == "invalid"


def test_a_price_far_from_the_present_one_is_taken_from_whoever_confirms_it_alone() -> None:
    book = Book()
    book.do(SetPrice(sku="TENT", store="main", price_cents=1_000))
    slip = SetPrice(sku="TENT", store="main", price_cents=100_000_000)
    code, words = book.do(slip)
    assert code == "limit"
    assert words.startswith("1,000,000.00 is 100,000 times the present price of 10.00")
    assert '"confirm": true' in words
    assert book.do(SetPrice(sku="TENT", store="main", price_cents=99))[0] == "limit"
    assert (book.price().price_cents, book.price().baseline_cents) == (1_000, 1_000)
    assert book.do(SetPrice(sku="TENT", store="main", price_cents=10_000))[0] == "done"
    meant = SetPrice(sku="TENT", store="main", price_cents=100_000_000, confirm=True)
    assert book.do(meant)[0] == "done"
    assert (book.price().price_cents, book.price().baseline_cents) == (100_000_000, 100_000_000)


def test_a_price_that_is_told_moves_neither_price_nor_baseline_when_it_is_absurd() -> None:
    book = Book()
    book.do(SetPrice(sku="TENT", store="main", price_cents=1_000))
    book.see(PriceObserved(sku="TENT", store="main", price_cents=100_000_000))
    assert (book.price().price_cents, book.price().baseline_cents) == (1_000, 1_000)
    book.see(PriceObserved(sku="TENT", store="main", price_cents=1_300))  # the next one counts
    assert book.price().baseline_cents == 1_300


def test_a_first_price_is_held_against_the_catalogue_and_what_was_seen_before() -> None:
    book = Book()
    first = SetPrice(sku="TENT", store="main", price_cents=50_000, present_cents=1_000)
    assert book.do(first)[0] == "limit"
    book.ledger.put(CatalogueClass(sku="TENT", price_cents=1_000))
    book.see(PriceObserved(sku="TENT", store="main", price_cents=50_000))
    assert book.ledger.get(Price, "TENT", "main") is None
    book.see(
        PriceObserved(sku="NEW", store="main", price_cents=50_000)
    )  # nothing to hold it against
    assert book.ledger.get(Price, "NEW", "main") is not None


def test_a_decision_is_not_carried_out_beyond_the_rails_of_the_baseline_there_is() -> None:
    book = Book()
    book.do(SetPrice(sku="TENT", store="main", price_cents=1_000))
    told = Propose(
        kind="pricing", target="TENT", store="main", period="P", confidence=0.9, impact_cents=1,
        change_ratio=0.1, data={"price_cents": 9_000, "baseline_cents": 9_000},
    )  # fmt: skip
    book.do(told)
    (decision,) = book.ledger.rows(Decision).values()
    assert decision.status == "failed"
    assert "+800.0% from the baseline of 10.00, 20% is allowed" in decision.failure
    assert book.price().price_cents == 1_000


def test_decisions_move_the_price_and_never_the_baseline() -> None:
    book = Book()
    book.do(SetPrice(sku="TENT", store="main", price_cents=1_000))
    first = book.propose(1_100)
    assert first.status == "executed"
    assert (book.price().price_cents, book.price().baseline_cents) == (1_100, 1_000)
    book.see(PriceObserved(sku="TENT", store="main", price_cents=1_101))  # the till's echo
    assert book.price().baseline_cents == 1_000
    second = book.propose(1_200, "2026-W48")
    assert (book.price().price_cents, book.price().baseline_cents) == (1_200, 1_000)
    assert book.do(Undo(id=first.id, by="eve"))[0] == "conflict"  # changed again since
    assert book.do(Undo(id=second.id, by="eve"))[0] == "done"
    assert (book.price().price_cents, book.price().baseline_cents) == (1_100, 1_000)


def test_a_first_decision_takes_the_baseline_it_was_told() -> None:
    book = Book()
    decision = book.propose(900)
    assert decision.status == "executed"
    assert (book.price().price_cents, book.price().baseline_cents) == (900, 1_000)
    assert book.do(Undo(id=decision.id, by="eve"))[0] == "done"
    assert book.price().price_cents == 1_000


def test_the_newest_price_of_each_competitor_is_kept() -> None:
    book = Book()
    for name, cents, at in (("A", 900, 50), ("B", 1_050, 60), ("A", 950, 70), ("A", 10, 20)):
        book.see(PriceObserved(sku="TENT", store="main", price_cents=cents, competitor=name, at=at))
    seen = {row.competitor: row for row in book.ledger.by(CompetitorPrice, "sku", "TENT")}
    assert (seen["A"].price_cents, seen["A"].before_cents, seen["A"].seen_ms) == (950, 900, 70)
    assert seen["B"].price_cents == 1_050
    assert book.ledger.count(Price) == 0
    drop = DropCompetitorPrice(sku="TENT", store="main", competitor="B")
    assert book.do(drop)[0] == "done"
    assert book.do(drop)[0] == "unknown"


def test_numbers_and_names_that_no_table_holds_are_refused() -> None:
    book = Book()
    assert book.do(SetPrice(sku="TENT", store="main", price_cents=2**70))[0] == "invalid"
    assert book.do(SetPrice(sku="T" * 300, store="main", price_cents=1))[0] == "invalid"
    assert book.do(SetPrice(sku="TENT", store="s" * 300, price_cents=1))[0] == "invalid"
    wild = Propose(kind="pricing", target="TENT", store="main", period="P", confidence=0.9,
                   impact_cents=1, data={"price_cents": 2**62, "baseline_cents": 1_000})  # fmt: skip
    book.do(wild)
    (decision,) = book.ledger.rows(Decision).values()
    assert decision.status == "failed"
    assert book.ledger.count(Price) == 0
    for other in ({"control_cents": 2**62, "tested_cents": 2**62 + 2**59}, {"sku": "T" * 300},
                  {"name": "x" * 3_000}, {"loss_most_cents": 2**64}):  # fmt: skip
        assert book.do(StartPriceTest(test=plan(**other)))[0] == "invalid"


# -- tests of prices ----------------------------------------------------------------------------------


def plan(**other: Any) -> PriceTest:
    told: dict[str, Any] = {
        "sku": "TENT", "stores": ["main"], "design": "period", "control_cents": 1_000,
        "tested_cents": 1_100, "first_day": 20_000, "period_days": 7, "blocks": 8,
        "effect_least": 0.1, "alpha": 0.05, "power": 0.8, "sd": 0.1, "sd_blocks": 10,
        "block_cents": 70_000.0, "usual": [[100.0] * 7],
    }  # fmt: skip
    return PriceTest(**(told | other))


def block(
    test: str, number: int, difference: float | None, adherence: float = 1.0
) -> ObservePriceTest:
    return ObservePriceTest(
        block=PriceTestBlock(
            test=test, block=number, first_day=20_000 + 14 * number, difference=difference,
            control_units=70, tested_units=68, control_cents=70_000, tested_cents=74_800,
            adherence=adherence,
        )
    )  # fmt: skip


def begun(book: Book, **other: Any) -> PriceTest:
    code, told = book.do(StartPriceTest(test=plan(**other)))
    assert code == "done", told
    found = book.ledger.get(PriceTest, told["id"])
    assert found is not None
    return found


def now(book: Book, test: PriceTest) -> PriceTest:
    found = book.ledger.get(PriceTest, test.id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"stores": []}, "stores"),
        ({"design": "store"}, "two"),
        ({"tested_cents": 1_000}, "different"),
        ({"tested_cents": 1_600}, "apart"),
        ({"blocks": 1}, "blocks"),
        ({"usual": [[1.0]]}, "usual"),
        ({"sd": 0.0}, "sd"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, Any], word: str) -> None:
    code, words = Book().do(StartPriceTest(test=plan(**wrong)))
    assert code == "invalid"
    assert word in words


def test_one_price_is_tested_once_at_a_time() -> None:
    book = Book()
    first = begun(book)
    assert book.do(StartPriceTest(test=plan()))[0] == "conflict"
    assert begun(book, stores=["other"]).id != first.id
    assert running(book.ledger, "TENT", "main") == [first]
    assert book.propose(1_050).status == "failed"
    book.see(
        PriceObserved(sku="TENT", store="main", price_cents=1_100)
    )  # the tested price at the till
    assert book.ledger.get(Price, "TENT", "main") is None
    assert book.do(StopPriceTest(id=first.id, why="enough"))[0] == "done"
    assert now(book, first).stop_why == "enough"
    assert book.do(StopPriceTest(id=first.id))[0] == "conflict"
    assert book.do(StopPriceTest(id="nobody"))[0] == "unknown"
    begun(book)


def test_a_test_ends_when_a_difference_is_shown_and_takes_no_more_blocks() -> None:
    book = Book()
    test = begun(book)
    for number in range(8):
        code, told = book.do(block(test.id, number, 0.3 + 0.01 * (number % 2)))
        assert code == "done", told
        if told["status"] == "ended":
            break
    ended = now(book, test)
    assert (ended.verdict, ended.stop) == ("better", "shown")
    assert ended.low is not None
    assert ended.low > 0
    assert ended.ended_ms > 0
    assert len(ended.differences) < 8
    assert book.do(block(test.id, len(ended.differences), 0.3))[0] == "conflict"


def test_blocks_come_in_order_and_each_once() -> None:
    book = Book()
    test = begun(book)
    assert book.do(block(test.id, 1, 0.1))[0] == "conflict"
    assert book.do(block(test.id, 0, 0.1))[0] == "done"
    assert book.do(block(test.id, 0, 0.1))[0] == "conflict"
    assert book.do(block("nobody", 0, 0.1))[0] == "unknown"


def test_a_plan_that_is_over_ends_with_what_can_be_said() -> None:
    random = np.random.default_rng(1)
    book = Book()
    quiet = begun(book)
    for number, d in enumerate(random.normal(0, 0.1, 8).tolist()):
        book.do(block(quiet.id, number, d))
    assert (now(book, quiet).verdict, now(book, quiet).stop) == ("no_difference_shown", "planned")
    blind = begun(book, stores=["other"])
    for number in range(8):
        book.do(block(blind.id, number, None))
    assert (now(book, blind).verdict, now(book, blind).stop) == ("not_enough_data", "planned")
    assert now(book, blind).effect is None


def test_a_costly_price_and_one_that_was_not_charged_stop_without_a_verdict() -> None:
    book = Book()
    costly = begun(book, loss_most_cents=30_000)
    for number, d in enumerate((0.2, -0.5, 0.1, -0.4)):
        book.do(block(costly.id, number, d))
    assert (now(book, costly).stop, now(book, costly).verdict) == ("loss", "not_enough_data")
    ignored = begun(book, stores=["other"])
    for number in range(8):
        book.do(block(ignored.id, number, 0.3 + 0.01 * number, adherence=0.4))
    assert now(book, ignored).stop == "not_charged"


def test_what_is_saved_comes_back() -> None:
    book = Book()
    test = begun(book)
    book.do(block(test.id, 0, 0.12))
    book.do(block(test.id, 1, math.nan))
    book.do(SetPrice(sku="TENT", store="other", price_cents=900))
    again = Ledger(TABLES)
    again.load(book.ledger.save())
    assert again.save() == book.ledger.save()
    assert again.get(PriceTest, test.id) == now(book, test)
    assert now(book, test).differences == [0.12, None]


def test_a_full_table_lets_the_test_go_that_ended_longest_ago() -> None:
    book = Book()
    tables = [replace(t, limit=3) if t.name == "price_tests" else t for t in TABLES]
    book.ledger = Ledger(tables)
    ids = []
    for number in range(5):
        test = begun(book, stores=[f"s{number}"])
        ids.append(test.id)
        if number != 1:
            book.do(StopPriceTest(id=test.id))
    kept = [test.id for test in book.ledger.rows(PriceTest).values()]
    assert kept == [ids[1], ids[3], ids[4]]
