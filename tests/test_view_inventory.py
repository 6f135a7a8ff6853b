"""Plans of stock as they are kept: made anew for what changed, proposed, and never somebody else's."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from edge.commands import Propose, Told
from edge.config import Config, Inventory
from edge.core import Core
from edge.decisions.deeds import Approve, SetSafeguards, decision_id
from edge.decisions.rows import Decision, Safeguards
from edge.features.business import class_key
from edge.ledger import deeds
from edge.ledger.orders import NewLine, PlaceOrder
from edge.ledger.suppliers import PutSupplier, PutSupply
from edge.records import Message
from edge.services import lead_time
from edge.view_basis import Sources
from edge.view_inventory import FEW, InventoryView
from edge.view_inventory_one import buy_once as bought_once
from edge.view_inventory_one import detail
from edge.view_inventory_plans import CHECK_MS, PLAN_MS, SLICE_ROWS
from edge.view_stock_columns import Coming, Watch, days_of, wanted
from edge.view_stock_history import REPAIRS_LAST_MS, StockHistoryView

DAY_MS = 86_400_000
START_MS = 1_772_409_600_000
"""2026-03-02, a Monday, midnight UTC."""


class Shop:
    """A core told day by day, and the view over it."""

    def __init__(self, config: Config | None = None) -> None:
        self.core = Core(config or Config())
        self.view = InventoryView(Sources(self.core, config or Config()))
        self.now_ms, self.ordinal = START_MS, 0

    def tell(self, *events: dict[str, Any]) -> None:
        for event in events:
            kind = event.pop("type")
            payload = msgspec.json.encode({"type": kind, "at": self.now_ms, **event})
            self.core.step([Message(f"$http/{kind}/till", payload, self.now_ms)], self.ordinal)
            self.ordinal += 1

    def do(self, command: Any) -> None:
        told = Told(self.now_ms, self.ordinal)
        self.ordinal += 1
        assert deeds.do(self.core.ledger, command, told)[0] == "done"

    def days(self, count: int, skus: Iterable[str] = ("NAIL",)) -> None:
        for _ in range(count):
            for sku in skus:
                self.tell(
                    {"type": "pos_line", "document": f"R{self.ordinal}", "kind": "sale", "sku": sku, "quantity": 5.0, "price_cents": 500}
                )  # fmt: skip
            self.wait(DAY_MS)

    def wait(self, ms: int) -> None:
        self.now_ms += ms
        self.core.advance(self.now_ms)

    def plan(self) -> int:
        """Bring the plans up to date; how many classes that took."""
        work = self.view.due()
        if work is None:
            return 0
        for _ in work[1]:
            pass
        return work[0]

    def row(self, sku: str) -> Any:
        """As people are told of it; what was kept of it is what would be written now."""
        row = self.view.row(sku, "main")
        if row < 0:
            return None
        (kept,) = self.view.told(np.array([row], np.int64))
        self.view._written.clear()
        (told,) = self.view.told(np.array([row], np.int64))
        assert kept == told
        # most kept rows are looked at again later, after something moved
        assert self.view.told(np.array([row], np.int64))[0] is told
        return told


@pytest.fixture
def shop() -> Shop:
    made = Shop()
    made.tell({"type": "stock_count", "sku": "NAIL", "quantity": 500})
    made.tell({"type": "stock_receipt", "sku": "NAIL", "quantity": 0, "cost_cents": 200})
    made.days(40)
    return made


def test_repairs_to_come_are_told_again_for_a_while_and_made_anew_meanwhile(shop: Shop) -> None:
    shop.tell({"type": "item_scan", "epc": "E1", "scan_type": "Return", "sku": "NAIL"})
    view = StockHistoryView(Sources(shop.core, Config()))

    def made() -> Any:
        work = view.repairs(None, 10)
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value

    assert view.kept_repairs(None, 10) == (None, True)
    first = made()
    assert first.items == 1
    assert view.kept_repairs(None, 10) == (first, False)
    assert view.kept_repairs(None, 11) == (None, True)
    shop.wait(REPAIRS_LAST_MS - 1)
    assert made() is first
    shop.wait(1)
    assert view.kept_repairs(None, 10) == (first, True)
    shop.wait(REPAIRS_LAST_MS)
    assert view.kept_repairs(None, 10) == (None, True)
    assert made() is not first
    assert not view.kept_repairs(None, 10)[1]


def test_of_a_class_nobody_asked_for_yet_no_figure_of_demand_is_told(shop: Shop) -> None:
    shop.tell({"type": "stock_count", "sku": "NEW", "quantity": 40})
    shop.wait(2 * DAY_MS)
    shop.plan()
    new = shop.row("NEW")
    assert (new.evidence, new.current_stock, new.stock_known) == ("unknown", 40, True)
    for name in (
        "daily_demand", "lead_time_demand", "chance_of_stockout", "cover_days", "planned_fill_rate",
        "estimated_stockout_date", "early_stockout_date", "suggested_order_qty", "reorder_point",
        "safety_stock", "eoq", "order_quantity", "confidence", "priority", "expected_gain_cents",
    ):  # fmt: skip
        assert getattr(new, name) is None, name
    assert (new.abc, new.xyz, new.pattern) == ("", "", "")
    assert "2 whole days" in new.why_unknown
    assert "7" in new.why_unknown
    at = np.array([shop.view.row("NEW", "main")], np.int64)
    assert shop.view.basis(at).fallback
    assert not len(shop.view.needed(at))
    assert shop.row("NAIL").why_unknown == ""
    told = detail(shop.view, int(at[0]))
    assert (told.demand, told.cheapest, told.order_up_to) == ([], None, None)
    assert bought_once(shop.view, int(at[0]), 14, 500, 200, 0) == new.why_unknown


def test_a_week_in_which_nobody_asked_is_known_and_so_is_the_first_sale(shop: Shop) -> None:
    shop.tell({"type": "stock_count", "sku": "QUIET", "quantity": 4})
    shop.wait(6 * DAY_MS)
    shop.tell({"type": "stock_count", "sku": "SOLD", "quantity": 40})
    shop.days(1, ["SOLD"])
    shop.plan()
    quiet, sold = shop.row("QUIET"), shop.row("SOLD")
    assert (quiet.evidence, quiet.daily_demand, quiet.suggested_order_qty) == ("simple", 0, 0)
    assert (sold.evidence, sold.daily_demand) == ("simple", 5)


def test_a_reorder_point_set_by_hand_holds_where_nothing_is_known(shop: Shop) -> None:
    shop.tell({"type": "stock_count", "sku": "NEW", "quantity": 40})
    shop.do(PutSupply(sku="NEW", fields={"fixed_reorder_point": 60, "cost_cents": 100}))
    shop.plan()
    new = shop.row("NEW")
    assert (new.reorder_point, new.suggested_order_qty, new.priority) == (60, 21, "medium")
    assert (new.chance_of_stockout, new.confidence, new.expected_gain_cents) == (None, None, None)
    at = np.array([shop.view.row("NEW", "main")], np.int64)
    assert shop.view.low(at).tolist() == at.tolist()
    (one,) = [one for one in shop.view.proposals() if one is not None]
    assert (one.target, one.confidence, one.fallback) == ("NEW", 0.0, True)
    assert "by hand" in one.reasons[0]


def test_stock_that_was_never_counted_is_said_to_be_unknown() -> None:
    shop = Shop()
    shop.days(10)
    shop.plan()
    nail = shop.row("NAIL")
    assert (nail.current_stock, nail.stock_known) == (0, False)
    assert "never counted" in shop.view.words(nail)


def test_only_what_changed_is_planned_anew(shop: Shop) -> None:
    shop.days(1, ["NAIL", "ROPE"])
    assert shop.plan() == 2
    shop.wait(CHECK_MS)
    assert shop.plan() == 0
    shop.tell({"type": "stock_count", "sku": "ROPE", "quantity": 9})
    assert shop.plan() == 0  # it was looked at a moment ago
    shop.wait(CHECK_MS)
    assert shop.plan() == 1
    assert shop.row("ROPE").current_stock == 9
    shop.wait(PLAN_MS)
    assert shop.plan() == 2


def test_stock_that_moved_is_held_against_the_plan_that_stands_as_if_it_were_made_anew(
    shop: Shop,
) -> None:
    shop.days(60, ("NAIL", "SCREW"))
    shop.plan()
    for units in (1.0, 40.0, 3_000.0):
        shop.tell(
            {"type": "pos_line", "document": f"M{units}", "kind": "sale", "sku": "NAIL",
             "quantity": units, "price_cents": 500}
        )  # fmt: skip
        shop.wait(CHECK_MS)
        assert [len(rows) for rows in shop.view.changed()] == [0, 1]
        assert shop.plan() == 1
        stands = shop.view.told(shop.view.rows())
        for _ in shop.view.planning(shop.view.rows()):
            pass
        assert shop.view.told(shop.view.rows()) == stands


def test_terms_and_orders_are_seen_at_once(shop: Shop) -> None:
    shop.days(1, ["NAIL", "ROPE"])
    shop.plan()
    shop.do(PutSupply(sku="NAIL", fields={"pack_units": 50}))
    assert shop.plan() == 1
    assert shop.row("NAIL").order_quantity % 50 == 0
    shop.do(PlaceOrder(store="main", lines=[NewLine(sku="NAIL", units=70.0)]))
    assert shop.plan() == 1
    assert shop.row("NAIL").on_order == 70
    shop.do(PutSupplier(supplier="S", fields={"lead_days": 3}))
    assert shop.plan() == 2  # it may be anybody's
    assert shop.plan() == 0


def test_nobody_plans_while_somebody_else_does(shop: Shop) -> None:
    work = shop.view.due()
    assert work is not None
    next(work[1])
    assert shop.view.due() is None
    work[1].close()
    assert shop.view.due() is not None  # given up: somebody else may


def test_a_row_that_another_class_took_over_has_no_plan(shop: Shop) -> None:
    shop.plan()
    row = shop.view.row("NAIL", "main")
    keys = shop.core.state.cls.keys
    shop.core.state.cls.release(np.array([row]))
    assert keys.claim(class_key("main", "OTHER")) == row
    assert shop.view.row("OTHER", "main") == -1
    assert len(shop.view.rows()) == 0


def test_a_restock_is_proposed_once_a_week_with_what_it_takes(shop: Shop) -> None:
    shop.do(PutSupplier(supplier="S"))
    shop.do(PutSupply(sku="NAIL", fields={"supplier": "S"}))

    def proposed() -> list[Propose]:
        return [one for one in shop.view.proposals() if one is not None]

    assert proposed() == []
    shop.tell({"type": "stock_count", "sku": "NAIL", "quantity": 10})
    shop.wait(CHECK_MS)
    (one,) = proposed()
    row = shop.row("NAIL")
    assert (one.kind, one.target, one.store) == ("restock", "NAIL", "main")
    assert one.data == {"units": row.suggested_order_qty, "supplier": "S", "cost_cents": 200}
    assert one.value_cents == row.suggested_order_qty * 200 == row.order_cents
    assert one.impact_cents == row.expected_gain_cents > 0
    assert one.confidence == row.confidence > 0.8
    assert one.period == "2026-W15"
    assert not one.fallback
    assert any("10 units" in words for words in one.reasons)
    shop.wait(3_600_000)
    (again,) = proposed()
    assert decision_id(again) == decision_id(one)
    shop.wait(7 * DAY_MS)
    (later,) = proposed()
    assert decision_id(later) != decision_id(one)


def test_an_order_beyond_what_a_decision_may_commit_is_proposed_in_part(shop: Shop) -> None:
    limits = Safeguards(restock_max_cents=5_000)
    shop.do(SetSafeguards(safeguards=limits))
    shop.do(PutSupply(sku="NAIL", fields={"pack_units": 10}))
    shop.tell({"type": "stock_count", "sku": "NAIL", "quantity": 10})
    (one,) = [one for one in shop.view.proposals() if one is not None]
    row = shop.row("NAIL")
    assert row.suggested_order_qty > 25
    assert one.data["units"] == 20  # two packs of ten at 2.00
    assert one.value_cents == 4_000
    assert 0 < one.impact_cents < row.expected_gain_cents
    assert "would be right" in one.reasons[-1]
    shop.do(SetSafeguards(safeguards=msgspec.structs.replace(limits, dry_run=False)))
    shop.do(one)
    (decided,) = shop.core.ledger.rows(Decision).values()
    assert (
        "nobody would be told" in decided.gate
    )  # sure and small, yet no supplier would hear of it
    shop.do(Approve(id=decided.id))
    (rest,) = [one for one in shop.view.proposals() if one is not None]
    assert rest.period == f"{one.period}/2"
    assert shop.row("NAIL").on_order == 20


def supplied(shop: Shop, minimum_cents: int, **counts: float) -> None:
    """A supplier of NAIL and ROPE with a smallest order, and the stock as counted."""
    shop.days(40, ["NAIL", "ROPE"])
    shop.do(PutSupplier(supplier="S", fields={"minimum_cents": minimum_cents}))
    shop.do(PutSupply(sku="*", fields={"supplier": "S", "cost_cents": 200}))
    shop.tell(*({"type": "stock_count", "sku": sku, "quantity": n} for sku, n in counts.items()))
    shop.wait(CHECK_MS)
    shop.plan()


def proposed(shop: Shop) -> list[Propose]:
    return [one for one in shop.view.proposals() if one is not None]


def test_an_order_is_raised_to_what_its_supplier_takes_where_that_pays(shop: Shop) -> None:
    supplied(shop, 80_000, NAIL=10, ROPE=900)
    nail = shop.row("NAIL")
    assert nail.suggested_order_qty == 400
    assert (nail.order_cents, nail.waits) == (80_000, False)
    assert "raised from" in nail.minimum_note
    assert "800.00" in nail.minimum_note
    (one,) = proposed(shop)
    assert (one.data["units"], one.value_cents) == (400, 80_000)
    assert any("raised from" in words for words in one.reasons)
    assert one.impact_cents == nail.expected_gain_cents > 0
    at = shop.view.rows()
    assert [total.below_minimum for total in shop.view.by_supplier(shop.view.needed(at))] == [False]
    shop.do(PutSupplier(supplier="S", fields={"minimum_cents": 0}))
    shop.plan()
    nail = shop.row("NAIL")
    assert nail.suggested_order_qty < 400
    assert (nail.minimum_note, nail.order_cents) == ("", nail.suggested_order_qty * 200)


def test_what_would_last_too_long_waits_and_says_so(shop: Shop) -> None:
    supplied(shop, 250_000, NAIL=10, ROPE=900)  # 1250 units of 5 a day
    nail = shop.row("NAIL")
    assert (nail.waits, nail.suggested_order_qty) == (True, nail.order_cents / 200)
    assert "it waits: S takes no order below 2,500.00" in nail.minimum_note
    assert proposed(shop) == []
    (total,) = shop.view.by_supplier(shop.view.needed(shop.view.rows()))
    assert total.below_minimum
    assert "it waits" in shop.view.words(nail)


def test_several_classes_reach_the_smallest_order_together(shop: Shop) -> None:
    supplied(shop, 90_000, NAIL=10, ROPE=10)
    both = [shop.row(sku) for sku in ("NAIL", "ROPE")]
    assert all(row.order_cents < 90_000 for row in both)
    assert sum(row.order_cents for row in both) >= 90_000
    assert [row.waits for row in both] == [False, False]
    assert all("together" in row.minimum_note for row in both)
    assert {one.target for one in proposed(shop)} == {"NAIL", "ROPE"}


def test_nothing_is_raised_beyond_what_one_decision_may_commit(shop: Shop) -> None:
    shop.do(SetSafeguards(safeguards=Safeguards(restock_max_cents=60_000)))
    supplied(shop, 80_000, NAIL=10, ROPE=900)
    assert shop.row("NAIL").waits


def test_what_cannot_earn_is_not_proposed(shop: Shop) -> None:
    shop.do(PutSupply(sku="NAIL", fields={"cost_cents": 600}))  # sold at 500
    shop.tell({"type": "stock_count", "sku": "NAIL", "quantity": 10})
    assert not [one for one in shop.view.proposals() if one is not None]
    assert shop.row("NAIL").suggested_order_qty > 0


def test_days_without_stock_do_not_lower_what_is_asked_for() -> None:
    shop = Shop()
    shop.tell({"type": "stock_count", "sku": "NAIL", "quantity": 150})
    shop.days(30)  # the last unit goes on the thirtieth
    shop.wait(15 * DAY_MS)
    shop.plan()
    assert shop.row("NAIL").daily_demand == pytest.approx(5.0, rel=0.02)
    assert shop.row("NAIL").estimated_stockout_date == "2026-04-16"  # today: nothing is left
    assert shop.row("NAIL").priority == "critical"


def test_many_classes_are_planned_in_slices(shop: Shop) -> None:
    many = [f"S{n}" for n in range(SLICE_ROWS + 10)]
    shop.days(2, many)
    work = shop.view.due()
    assert work is not None
    assert work[0] == len(many) + 1 > FEW
    assert sum(1 for _ in work[1]) > 10
    assert len(shop.view.rows()) == len(many) + 1


def test_a_model_speaks_for_classes_with_four_weeks_behind_them(shop: Shop) -> None:
    """A scorer that has answered for both classes; one is a week old."""
    shop.days(7, ["NAIL", "YOUNG"])
    state = shop.core.state
    names = ["abc", "xyz", "pattern"]
    for days in (7, 14):
        names += [f"units_{days}d", *(f"units_{days}d_p{q}" for q in (50, 90, 95, 99))]
    told = [0, 1, 2, 42.0, 40, 60, 66, 80, 84.0, 82, 108, 116, 134]
    values = np.tile(np.array(told, np.float32), (state.cls.keys.limit, 1))
    slot = SimpleNamespace(
        active=SimpleNamespace(
            number=3,
            manifest=SimpleNamespace(
                columns=[SimpleNamespace(name=n) for n in names],
                training=SimpleNamespace(reason="schedule"),
            ),
        ),
        shown=SimpleNamespace(
            values=values,
            held=lambda rows: np.ones(len(rows), bool),
            by=np.full(state.cls.keys.limit, 3),
        ),
    )
    empty = SimpleNamespace(active=None, shown=None)
    scorer: Any = SimpleNamespace(slots={"inventory": slot, "demand": empty})
    rows = np.array([state.cls.keys.get(class_key("main", s)) for s in ("NAIL", "YOUNG")])
    found = wanted(state, scorer, rows, days_of(state, rows), 0.0)
    assert found.evidence.tolist() == [lead_time.MODEL, lead_time.SIMPLE]
    assert found.curve.mean[0].tolist() == [42, 84, 168, 546]
    assert found.curve.mean[1, 0] == pytest.approx(35.0)
    assert (found.abc[0], found.xyz[0], found.pattern[0]) == (0, 1, 2)

    slot.active.manifest.training.reason = "starter"
    found = wanted(state, scorer, rows, days_of(state, rows), 0.0)
    assert found.evidence.tolist() == [lead_time.HISTORY, lead_time.SIMPLE]
    assert found.curve.mean[0, 0] == pytest.approx(35.0), "five a day, by its own weeks"


def test_an_order_without_a_day_comes_after_the_lead_time_and_a_late_one_tomorrow(
    shop: Shop,
) -> None:
    line = [NewLine(sku="NAIL", units=5.0)]
    shop.do(PlaceOrder(store="main", lines=line))
    shop.do(PlaceOrder(store="main", lines=line, expected_ms=START_MS))
    coming = Coming()
    assert coming.refresh(shop.core.ledger) == {("NAIL", "main")}
    assert coming.refresh(shop.core.ledger) == set()
    state = shop.core.state
    rows = np.array([state.cls.keys.get(class_key("main", "NAIL"))])
    told = coming.arrivals(state, rows, shop.now_ms, np.array([9.0]))
    assert [(float(days[0]), float(units[0])) for days, units in told] == [(1.0, 5.0), (9.0, 5.0)]


def test_what_nobody_told_stands_as_configured() -> None:
    shop = Shop(Config(inventory=Inventory(
        service_level=0.99, lead_days=20.0, lead_sd_share=0.0, review_days=5.0, holding_rate=0.5,
        order_cost_cents=4_000, cost_share=0.5, round_days=10.0,
    )))  # fmt: skip
    shop.tell({"type": "stock_count", "sku": "NAIL", "quantity": 500})
    shop.days(40)
    shop.plan()
    nail = shop.row("NAIL")
    assert (nail.service_level, nail.lead_time_days, nail.lead_time_sd_days) == (0.99, 20, 0)
    assert (nail.unit_cost_cents, nail.cost_source) == (250, "assumed")  # sold at 500
    eoq = (2 * 4_000 * 5 * 365 / (250 * 0.5)) ** 0.5
    assert nail.eoq == pytest.approx(eoq, rel=0.01)
    assert nail.lead_time_demand == pytest.approx(25 * 5, rel=0.01)  # 20 days and the review's 5
    at = shop.view.row("NAIL", "main")
    assert detail(shop.view, at).order_up_to.review_days == 5  # type: ignore[union-attr]
    shop.do(PutSupplier(supplier="S", fields={"lead_days": 3}))
    shop.do(PutSupply(sku="NAIL", fields={"supplier": "S", "service_level": 0.9}))
    shop.plan()
    nail = shop.row("NAIL")
    assert (nail.service_level, nail.lead_time_days) == (0.9, 3)
    assert detail(shop.view, at).order_up_to.review_days == 10  # type: ignore[union-attr]


def test_what_changed_in_the_terms_is_told_once(shop: Shop) -> None:
    watch, ledger = Watch(), shop.core.ledger
    assert watch.changed(ledger) == set()
    shop.do(PutSupply(sku="NAIL", fields={"pack_units": 5}))
    assert watch.changed(ledger) == {"NAIL"}
    assert watch.changed(ledger) == set()
    shop.do(PutSupply(sku="*", fields={"pack_units": 5}))
    assert watch.changed(ledger) is None


def test_the_first_plan_after_a_start_knows_how_means_drift_here_like_any_later_one() -> None:
    shop = Shop()
    shop.days(70)
    shop.days(60, ["NAIL"] * 4)  # four times as much
    shop.plan()
    first = shop.row("NAIL")
    assert first.evidence == "history"
    shop.wait(PLAN_MS)
    assert shop.plan() == 1
    assert shop.row("NAIL").reorder_point == first.reorder_point
    other = Shop()
    other.core = shop.core
    other.view = InventoryView(Sources(shop.core, Config()))
    other.view._drift_day = shop.core.state.today  # as if nobody had measured it
    other.plan()
    assert other.row("NAIL").reorder_point != first.reorder_point


def test_a_class_that_begins_a_span_without_stock_was_without_it() -> None:
    shop = Shop()
    shop.tell({"type": "stock_count", "sku": "NAIL", "quantity": 5})
    shop.days(1)  # the last five go
    shop.wait(10 * DAY_MS)
    rows = np.array([shop.core.state.cls.keys.get(class_key("main", "NAIL"))], np.int64)
    for span in (7, 10):
        assert np.nansum(days_of(shop.core.state, rows, span).empty) == span
        assert np.isfinite(days_of(shop.core.state, rows, span).on_hand).all()
    long = days_of(shop.core.state, rows, 30)
    assert np.isfinite(long.on_hand).sum() == 11  # nobody knew it before


def test_a_class_whose_first_unit_went_out_is_a_rental_at_once() -> None:
    shop = Shop()
    tag = "30" + "0" * 22
    shop.tell({"type": "item_link", "epc": tag, "sku": "CHAIR"})
    shop.plan()
    assert shop.row("CHAIR").kind == "sale"  # nothing says otherwise
    shop.tell({"type": "item_scan", "epc": tag, "scan_type": "Rental", "contract": "C1"})
    shop.wait(CHECK_MS)
    shop.plan()
    row = shop.row("CHAIR")
    assert (row.kind, row.on_rent, row.owned) == ("rental", 1, 1)
