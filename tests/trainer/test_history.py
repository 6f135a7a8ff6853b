"""Panels and feature tables out of daily history: corrected, whole, and of several sources."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core import Core
from edge.features.keys import key_hash
from edge.inference import demand
from edge.records import HistoryRows, Message
from edge.storage.history import HistoryFile, HistoryReader
from tests.streams import DAY, HOUR, START_MS, config, epc
from trainer.history import feature_table, panel

FIRST = START_MS // DAY
NOON = FIRST * DAY + 12 * HOUR
A, B = "main\x1fA", "main\x1fB"
NEWER = ("unseen", "empty_close", "price_close_cents")


class Shop:
    """A core in UTC, told events at moments of days counted from the first."""

    def __init__(self) -> None:
        self.core = Core(config("UTC"))
        self.rows: list[HistoryRows] = []
        self.ordinal = 0

    def tell(self, day: float, type_: str, at_day: float | None = None, **fields: Any) -> None:
        arrival_ms = NOON + round(day * DAY)
        at_ms = arrival_ms if at_day is None else NOON + round(at_day * DAY)
        body = json.dumps({"type": type_, "at": at_ms} | fields).encode()
        message = Message("rfid3/main/events/s1", body, arrival_ms)
        self.rows += self.core.step([message], self.ordinal).effects.history
        self.ordinal += 1

    def sell(self, day: float, sku: str, units: float, at_day: float | None = None) -> None:
        self.tell(
            day, "pos_line", at_day, document=f"D{self.ordinal}", line=1, kind="sale", sku=sku,
            quantity=units, price_cents=250, category="gifts", name=f"The {sku}",
        )  # fmt: skip

    def off_until(self, day: float) -> None:
        """The daemon was down from the last event until then."""
        message = Message("$rfid3/start", b"{}", NOON + round(day * DAY))
        self.rows += self.core.step([message], self.ordinal).effects.history
        self.ordinal += 1

    def until(self, day: float) -> None:
        self.rows += self.core.advance(NOON + round(day * DAY)).effects.history

    def write(self, path: Path) -> HistoryReader:
        file = HistoryFile(path)
        file.write(self.rows)
        file.close()
        return HistoryReader.open(path)


def sold_over(path: Path) -> HistoryReader:
    """Five days: B comes on the third; a sale of the second night is told on the third day."""
    shop = Shop()
    shop.tell(0, "stock_receipt", sku="A", quantity=10)
    shop.sell(0.1, "A", 2)
    shop.sell(1.0, "A", 3)
    shop.sell(1.501, "A", 4, at_day=1.49)  # half an hour after midnight, of ten minutes before it
    shop.sell(2.0, "B", 1.5)
    shop.tell(2.0, "factor", factor="weather", name="t", value=7.5)
    shop.sell(3.0, "A", 1)
    shop.until(5.0)
    return shop.write(path)


def test_a_panel_holds_what_was_sold_as_it_was_corrected(tmp_path: Path) -> None:
    with sold_over(tmp_path / "h.sqlite") as source:
        made = panel([source])
    assert made.days.tolist() == [FIRST + i for i in range(5)]
    assert made.keys == [A, B]
    assert made.measures["units"][0].tolist() == [2, 7, 0, 1, 0]
    assert np.isnan(made.measures["units"][1, :2]).all()
    assert made.measures["units"][1, 2:].tolist() == [1.5, 0, 0]
    assert made.measures["revenue_cents"][0].tolist() == [500, 1_750, 0, 250, 0]
    assert made.measures["on_hand_close"][0].tolist() == [8, 5, 1, 0, 0]
    assert made.measures["stockout"][0].tolist() == [0, 0, 0, 1, 1]
    assert np.isnan(made.measures["on_hand_close"][1, 2:]).all(), "B was never counted"
    assert made.measures["stockout"][1, 2:].tolist() == [0, 0, 0]
    assert made.measures["price_cents"][0].tolist() == [250] * 5
    assert made.groups == {
        "store": ["main", "main"],
        "category": ["gifts", "gifts"],
        "name": ["The A", "The B"],
    }
    assert np.isnan(made.factors["weather.t"][[0, 1, 3, 4]]).all()
    assert made.factors["weather.t"][2] == 7.5


def test_a_part_of_the_days_is_a_part_of_the_panel(tmp_path: Path) -> None:
    with sold_over(tmp_path / "h.sqlite") as source:
        made = panel([source], ["sold"], FIRST + 1, FIRST + 2)
    assert made.days.tolist() == [FIRST + 1, FIRST + 2]
    assert list(made.measures) == ["sold"]
    assert made.measures["sold"][0].tolist() == [7, 0]


def test_a_later_source_wins_and_days_without_any_are_unknown(tmp_path: Path) -> None:
    late = Shop()
    late.sell(4.0, "A", 9)
    late.sell(8.0, "A", 8)
    late.until(9.0)
    late.rows = [one for one in late.rows if one.day != FIRST + 6]
    with sold_over(tmp_path / "a.sqlite") as one, late.write(tmp_path / "b.sqlite") as two:
        made = panel([one, two], ["units"])
    units = made.measures["units"][0]
    assert units[:6].tolist() == [2, 7, 0, 1, 9, 0]
    assert made.days.tolist() == [FIRST + i for i in range(9)]
    assert units[7:].tolist() == [0, 8]
    assert units[6] == 0 or np.isnan(units[6])


def test_nothing_is_an_empty_panel(tmp_path: Path) -> None:
    with Shop().write(tmp_path / "h.sqlite") as source:
        made = panel([source])
        table = feature_table([source], "item", ["reads_total"])
    assert (made.keys, len(made.days), made.factors) == ([], 0, {})
    assert (table.keys, len(table.day)) == ([], 0)


def test_a_measure_that_is_none_is_refused(tmp_path: Path) -> None:
    with Shop().write(tmp_path / "h.sqlite") as source, pytest.raises(AssertionError):
        panel([source], ["sole"])


def test_a_feature_table_lies_by_key_and_day(tmp_path: Path) -> None:
    with sold_over(tmp_path / "h.sqlite") as source:
        table = feature_table(
            [source], "class", ["sold_units_7d", "of another catalogue"],
            measures=["units"], levels=["price_cents"],
        )  # fmt: skip
    assert table.keys == [A, B]
    assert table.start.tolist() == [0, 5, 8]
    assert table.day.tolist() == [FIRST + i for i in (0, 1, 2, 3, 4, 2, 3, 4)]
    assert table.amounts["units"].tolist() == [2, 7, 0, 1, 0, 1.5, 0, 0]
    # features stand as they were read: the sale told late was not known at the second close
    assert table.x[:, 0].tolist() == [2, 5, 9, 10, 10, 1.5, 1.5, 1.5]
    assert np.isnan(table.x[:, 1]).all()
    assert table.levels["price_cents"].tolist() == [250] * 8
    assert table.texts["category"] == ["gifts", "gifts"]


def test_a_sale_voided_after_midnight_is_no_sale_of_its_day(tmp_path: Path) -> None:
    shop = Shop()
    line = {"document": "D", "line": 1, "sku": "A"}
    shop.tell(0, "pos_line", kind="sale", quantity=2, price_cents=100, **line)
    shop.tell(0.51, "correction", action="void_line", **line)
    shop.until(2)
    with shop.write(tmp_path / "h.sqlite") as source:
        assert panel([source]).measures["units"].tolist() == [[0, 0]]
        table = feature_table([source], "class", [], measures=["units"])
    assert table.amounts["units"].tolist() == [0, 0]


def test_items_have_their_class_their_status_and_their_turn(tmp_path: Path) -> None:
    shop = Shop()
    for i in range(30):
        shop.tell(0, "item_link", epc=epc(i), sku="A")
    shop.tell(3, "item_scan", epc=epc(1), scan_type="Rental", sku="A")
    shop.until(16)
    with shop.write(tmp_path / "h.sqlite") as source:
        table = feature_table(
            [source], "item", ["rentals_total"], levels=["status_group", "retired"]
        )
    assert sorted(table.keys) == [epc(i) for i in range(30)]
    assert set(table.texts["class"]) == {A}
    turns = np.array([key_hash(table.keys[k]) % 7 for k in table.key_of_rows()])
    assert (table.on_turn() == (turns == table.day % 7)).all()
    mine = table.key_of_rows() == table.keys.index(epc(1))
    out = mine & (table.day >= FIRST + 3)
    assert set(table.levels["status_group"][out].tolist()) == {1}
    assert table.x[out, 0].min() == 1
    assert FIRST + 3 in table.day[mine]


def test_a_day_on_which_the_daemon_was_off_is_missing_and_a_quiet_day_is_not(
    tmp_path: Path,
) -> None:
    shop = Shop()
    shop.sell(0, "A", 2)
    shop.until(1.9)  # the second day is quiet
    shop.sell(2, "A", 3)
    shop.off_until(5)  # down from noon of the third day to noon of the sixth
    shop.sell(5.1, "A", 4)
    shop.until(7)
    with shop.write(tmp_path / "h.sqlite") as source:
        made = panel([source])
        table = feature_table([source], "class", ["units_28d"], measures=["units"])
    units = [2, 0, 3, None, None, 4, 0]
    for measure in ("units", "revenue_cents", "on_rent_close", "stockout"):
        unknown = np.isnan(made.measures[measure][0])
        assert unknown.tolist() == [value is None for value in units], measure
    told = [None if v != v else v for v in made.measures["units"][0].tolist()]
    assert told == units
    assert np.isnan(table.amounts["units"]).tolist() == [value is None for value in units]
    assert made.measures["price_cents"][0].tolist() == [250] * 7, "a price stands until it changes"
    row = np.array([shop.core.state.cls.keys.get(A)])
    live = demand.history(shop.core.state, row)[0, -7:]
    np.testing.assert_array_equal(live, made.measures["units"][0])


def test_a_restart_within_a_day_hides_no_day(tmp_path: Path) -> None:
    shop = Shop()
    shop.sell(0, "A", 2)
    shop.off_until(0.9)  # over midnight, but each day was seen for a while
    shop.until(3)
    with shop.write(tmp_path / "h.sqlite") as source:
        assert panel([source]).measures["units"][0].tolist() == [2, 0, 0]


def test_rows_of_before_days_were_told_apart_hold_only_days_that_were_seen(tmp_path: Path) -> None:
    shop = Shop()
    shop.sell(0, "A", 2)
    shop.off_until(3)
    shop.until(4)
    for rows in shop.rows:
        if rows.entity == "class":
            amounts = np.frombuffer(rows.amounts, "<i8").reshape(rows.days, len(rows.measures), -1)
            old = [i for i, name in enumerate(rows.measures) if name not in NEWER]
            rows.measures = tuple(rows.measures[i] for i in old)
            rows.amounts = np.ascontiguousarray(amounts[:, old]).tobytes()
    with shop.write(tmp_path / "h.sqlite") as source:
        assert panel([source]).measures["units"][0].tolist() == [2, 0, 0, 0]
