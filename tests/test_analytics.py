"""Rows for SQL: what they say is what happened; writing again changes nothing; they go in time."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge import pipeline_analytics
from edge.config import Config, Tables
from edge.core import Core
from edge.errors import ConfigError
from edge.inference.scorer import Scorer
from edge.pipeline_analytics import EVERYTHING, Analytics, chosen, strengths
from edge.pipeline_field import FieldRecord
from edge.records import Batch, Effects, Message
from edge.storage import analytics, analytics_room, changes
from edge.storage.analytics import moment
from edge.storage.history import HistoryReader
from edge.storage.journal import Journal
from edge.storage.writer import JournalWriter
from edge.view_correlations import CorrelationRow
from tests.corridor import run
from tests.inference import models
from tests.streams import DAY, HOUR, START_MS, config

ITEMS = 20


class Holds:
    """A copy that holds so much."""

    def __init__(self, holds: int, heard: bool = True) -> None:
        self.holds = holds
        self.heard = heard


class Days:
    """A core whose days are closed by hand, and the journal that keeps what they leave."""

    def __init__(self, directory: Path, **tables: Any) -> None:
        self.config: Config = msgspec.structs.replace(config(), tables=Tables(**tables))
        self.core = Core(self.config)
        self.journal = Journal.open(directory, self.config.storage)
        self.writer = JournalWriter(self.journal)
        self.record: FieldRecord | None = None

    def tell(self, kind: str, at_ms: int, store: str = "main", /, **event: object) -> None:
        payload = msgspec.json.encode({"type": kind, "at": at_ms} | event)
        message = Message(f"rfid3/{store}/{kind}/t", payload, at_ms)
        self._keep(self.core.step([message], self.core.next_ordinal).effects)

    def close(self) -> int:
        """Let the present day close; its number."""
        day = self.core.state.today
        self._keep(self.core.advance(self.core.state.days.end_ms(day) + 1).effects)
        return day

    def _keep(self, effects: Effects) -> None:
        if effects.history:
            tail = self.journal.last()
            batch = Batch(tail.seq + 1, tail.next_ordinal, self.core.now_ms, [])
            self.journal.append(batch, Effects([], [], [], effects.history), batch.seq)

    def ask(self, sql: str, *values: object) -> list[Any]:
        return self.journal._connection.execute(sql, values).fetchall()


@asynccontextmanager
async def days(directory: Path, **tables: Any):
    made = Days(directory, **tables)
    try:
        yield made
    finally:
        await made.writer.close()


def sell(shop: Days, days_: int) -> tuple[Counter[Any], Counter[Any]]:
    """Some sales a day in two stores; (units, cents) by (day, store, SKU)."""
    units: Counter[Any] = Counter()
    cents: Counter[Any] = Counter()
    start = START_MS // DAY * DAY + DAY
    for number in range(days_):
        for line in range(6):
            store, sku = ("main", "north")[line % 2], f"S{line % 3}"
            at_ms = start + number * DAY + 10 * HOUR + line
            shop.tell(
                "pos_line",
                at_ms,
                store,
                document=f"R-{number}",
                line=line,
                kind="sale",
                sku=sku,
                quantity=line + 1,
                price_cents=100,
            )
            key = (analytics.date(at_ms // DAY), store, sku)
            units[key] += line + 1
            cents[key] += (line + 1) * 100
        shop.tell("factor", start + number * DAY + 11 * HOUR, factor="weather",
                  name="temperature_c", value=12.5 + number)  # fmt: skip
        shop.close()
    return units, cents


def test_sales_by_class_store_and_day_are_what_the_tills_said(tmp_path: Path) -> None:
    async def main() -> None:
        async with days(tmp_path) as shop:
            units, cents = sell(shop, 5)
            await Analytics(shop.config, shop.core, shop.writer).read_history()
            rows = shop.ask("SELECT day, store, sku, sold_units, revenue_cents FROM daily_sales")
            assert {(d, s, k): u for d, s, k, u, _ in rows} == units
            assert {(d, s, k): c for d, s, k, _, c in rows} == cents
            assert shop.ask("SELECT store, sku FROM classes ORDER BY 1, 2") == [
                (store, f"S{i}") for store in ("main", "north") for i in range(3)
            ]
            factors = shop.ask(
                "SELECT factor_type, factor_name, factor_store, factor_value, measurement_date"
                " FROM external_data_factors ORDER BY measurement_date"
            )
            assert [f[:4] for f in factors] == [
                ("weather", "temperature_c", "main", 12.5 + i) for i in range(5)
            ]

    run(main)


def test_only_the_features_asked_for_are_written_as_the_day_closed(tmp_path: Path) -> None:
    async def main() -> None:
        names = ["class.sold_units_7d", "item.rentals_total"]
        async with days(tmp_path, features=names) as shop:
            shop.tell("item_scan", START_MS, epc="E1", scan_type="Rental", sku="S0")
            sell(shop, 3)
            await Analytics(shop.config, shop.core, shop.writer).read_history()
            asked = (
                "SELECT feature_value, feature_timestamp, feature_category FROM ml_feature_store"
                " WHERE feature_name = ? AND target_entity = ? ORDER BY feature_timestamp"
            )
            told = shop.ask(asked, "sold_units_7d", "main/S0")
            assert [value for value, _, _ in told][-3:] == [1.0, 2.0, 3.0]
            last = shop.core.state.days.end_ms(shop.core.state.today - 1)
            assert told[-1][1:] == (moment(last), "class")
            assert {value for value, _, _ in shop.ask(asked, "rentals_total", "E1")} == {1.0}
            assert {n for (n,) in shop.ask("SELECT feature_name FROM ml_feature_store")} == {
                "sold_units_7d",
                "rentals_total",
            }
            assert shop.ask("SELECT tag_id, rental_class_num, store FROM items") == [
                ("E1", "S0", "main")
            ]

    run(main)


def test_reading_the_history_again_changes_nothing_and_tells_the_copy_nothing(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with days(tmp_path) as shop:
            sell(shop, 4)
            told = Analytics(shop.config, shop.core, shop.writer)
            await told.read_history()
            tables = [sheet.table for sheet in analytics.SHEETS]
            before = {name: shop.ask(f"SELECT * FROM {name}") for name in tables}
            assert all(before[name] for name in ("daily_sales", "classes", "ml_feature_store"))
            shop.journal.write_field(lambda c: changes.note(c, analytics.HISTORY, 0))
            await told.read_history()  # as after a death before the position was noted
            assert {name: shop.ask(f"SELECT * FROM {name}") for name in tables} == before
            numbers = [
                number for name in tables for (number,) in shop.ask(f"SELECT changed FROM {name}")
            ]
            assert len(numbers) == len(set(numbers))

    run(main)


def test_a_late_line_corrects_the_day_before(tmp_path: Path) -> None:
    async def main() -> None:
        async with days(tmp_path) as shop:
            sell(shop, 1)
            told = Analytics(shop.config, shop.core, shop.writer)
            await told.read_history()
            (before,) = shop.ask("SELECT * FROM daily_sales WHERE store = 'main' AND sku = 'S0'")
            at_ms = shop.core.now_ms + HOUR // 2
            late = msgspec.json.encode(
                {"type": "pos_line", "at": at_ms - HOUR, "document": "R-L", "line": 1,
                 "kind": "sale", "sku": "S0", "quantity": 5, "price_cents": 100}
            )  # fmt: skip
            shop.core.step([Message("rfid3/main/pos_line/t", late, at_ms)], shop.core.next_ordinal)
            shop.close()
            await told.read_history()
            (after,) = shop.ask("SELECT * FROM daily_sales WHERE store = 'main' AND sku = 'S0'")
            assert after[4] == before[4] + 5
            assert after[-1] > before[-1]  # the copy is told

    run(main)


@asynccontextmanager
async def predicting(shop: Days):
    for i in range(ITEMS):
        shop.tell("item_scan", START_MS + i, epc=f"E{i:04d}", scan_type="Rental", sku=f"S{i % 3}")
    scorer = Scorer(shop.core.state, models.SETTINGS, lambda *_: None)
    scorer.use("maintenance", models.loaded(shop.core.state))
    await scorer.beat()
    record = FieldRecord(shop.core, scorer, shop.writer)
    record.also = told = Analytics(shop.config, shop.core, shop.writer)
    yield record, told


def test_predictions_are_there_with_their_interval_and_later_with_what_came_of_them(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with days(tmp_path) as shop, predicting(shop) as (record, _):
            day = shop.close()
            await record.close(day)
            asked = (
                "SELECT target_item_id, predicted_value, confidence_score, actual_value,"
                " accuracy_score, validated_at FROM analytics_predictions WHERE question ="
                " 'p_event_7d' AND role = 'shown' AND prediction_date = ? ORDER BY target_item_id"
            )
            at = moment(shop.core.state.days.end_ms(day))
            before = shop.ask(asked, at)
            assert [row[0] for row in before] == [f"E{i:04d}" for i in range(ITEMS)]
            assert all(row[2] == max(row[1], 1 - row[1]) and row[3] is None for row in before)
            shop.tell("maintenance", shop.core.now_ms + 5, epc="E0003", kind="failure")
            for _ in range(7):
                last = shop.close()
                await record.close(last)
            after = shop.ask(asked, at)
            assert [row[3] for row in after] == [float(i == 3) for i in range(ITEMS)]
            for _, value, _, actual, accuracy, validated in after:
                assert accuracy == pytest.approx(analytics.accuracy(value, actual))
                assert validated == moment(shop.core.state.days.end_ms(last))
            assert shop.ask("SELECT DISTINCT role FROM analytics_predictions") == [("shown",)]
            await record.close(last)  # again, as after a death: nothing is there twice
            (many,) = shop.ask("SELECT count(*) FROM analytics_predictions")[0]
            assert many == shop.ask("SELECT count(*) FROM (SELECT DISTINCT prediction_date,"
                                    " question, target_key FROM analytics_predictions)")[0][0]  # fmt: skip

    run(main)


def test_of_many_items_always_the_same_few_are_written(tmp_path: Path) -> None:
    async def main() -> None:
        async with days(tmp_path, predictions_keys=6) as shop, predicting(shop) as (record, _):
            for _ in range(2):
                await record.close(shop.close())
            told = shop.ask("SELECT prediction_date, target_key FROM analytics_predictions")
            by_day: dict[str, set[str]] = {}
            for at, key in told:
                by_day.setdefault(at, set()).add(key)
            first, second = by_day.values()
            assert first == second
            assert len(first) == 6

    run(main)


def test_old_rows_go_and_old_predictions_thin_out_but_not_before_the_copy_holds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_analytics, "REST_S", 0)
    monkeypatch.setattr(analytics_room, "THIN", 2)

    async def main() -> None:
        kept = {"predictions_days": 6, "predictions_thin_days": 3, "sales_days": 4,
                "factors_days": 4, "features_days": 20}  # fmt: skip
        async with days(tmp_path, **kept) as shop, predicting(shop) as (record, told):
            sell(shop, 1)
            for _ in range(9):
                shop.tell("pos_line", shop.core.now_ms + 5, document=f"R{shop.core.now_ms}",
                          line=1, kind="sale", sku="S0", quantity=1, price_cents=5)  # fmt: skip
                await record.close(shop.close())
            await told.read_history()
            tables = ("analytics_predictions", "daily_sales", "ml_feature_store",
                      "external_data_factors")  # fmt: skip

            def sizes() -> dict[str, int]:
                return {t: shop.ask(f"SELECT count(*) FROM {t}")[0][0] for t in tables}

            before = sizes()
            told._settings = msgspec.structs.replace(told._settings, features_days=2)
            told._copy = Holds(0)
            await told.trim()
            assert sizes() == before  # nothing was copied yet: nothing goes
            told._copy = Holds(EVERYTHING)
            await told.trim()
            after = sizes()
            assert all(after[name] < before[name] for name in tables if before[name])
            oldest = moment(shop.core.now_ms - 6 * DAY)
            thin = moment(shop.core.now_ms - 3 * DAY)
            dates = shop.ask("SELECT prediction_date, count(DISTINCT target_key)"
                             " FROM analytics_predictions GROUP BY prediction_date")  # fmt: skip
            assert min(at for at, _ in dates) >= oldest
            assert {n for at, n in dates if at >= thin} == {ITEMS}
            assert all(0 < n < ITEMS for at, n in dates if at < thin)
            told._copy = None
            await told.trim()
            assert sizes() == after

    run(main)


def test_beyond_the_limit_the_oldest_goes_copied_rows_first_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_analytics, "REST_S", 0)

    async def main() -> None:
        async with days(tmp_path, uncopied_max_bytes=1_048_576) as shop:
            told = Analytics(shop.config, shop.core, shop.writer, copy=Holds(4_000))
            rows = [("w", f"f{i}", "main", moment(i * 60_000), 1.5, "x" * 90, 1.0, moment(0))
                    for i in range(20_000)]  # fmt: skip
            shop.journal.write_field(
                lambda c: analytics.write(c, analytics.Rows(analytics.FACTORS, rows))
            )
            used = sum(
                size for _, size in analytics_room.used_bytes(shop.journal._connection).values()
            )
            assert used > 4_000_000
            shop.core.advance(START_MS)
            told._settings = msgspec.structs.replace(told._settings, factors_days=36_500)
            await told.trim()
            left = shop.ask("SELECT min(changed), count(*) FROM external_data_factors")[0]
            assert left[1] < 6_000
            assert left[0] == 20_000 - left[1] + 1  # the oldest went
            assert told.given_up_rows == 20_000 - left[1] - 4_000
            assert "before the copy" in told.trouble

    run(main)


def test_how_far_the_copy_was_is_remembered_over_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        async with days(tmp_path) as shop:
            told = Analytics(shop.config, shop.core, shop.writer)
            assert await told._copied() == EVERYTHING  # no copy is wanted
            told._copy = Holds(0, heard=False)
            assert await told._copied() == 0  # one is wanted now, and did not speak yet
            told._copy = Holds(70)
            assert await told._copied() == 70
            told._copy = Holds(0, heard=False)
            assert await told._copied() == 70  # as it was before the restart
            told._copy = Holds(5)
            assert await told._copied() == 5  # it came back empty, and is filled again

    run(main)


def test_models_are_told_once_and_again_when_something_is_new(tmp_path: Path) -> None:
    async def main() -> None:
        from edge.inference.registry import Registry, Version

        async with days(tmp_path) as shop:
            manifest = models.manifest() if hasattr(models, "manifest") else None
            loaded = models.loaded(shop.core.state)
            manifest = manifest or loaded.manifest
            registry = Registry(models.SETTINGS)
            version = Version(service="maintenance", version=manifest.version, state="active",
                              since_ms=START_MS, found_ms=START_MS, who="", why="", usable=True,
                              manifest=manifest)  # fmt: skip
            registry.versions["maintenance"][manifest.version] = version
            told = Analytics(shop.config, shop.core, shop.writer, registry)
            await told.write_models()
            await told.write_models()
            asked = "SELECT service_name, model_version, is_active, id, changed FROM ml_model_performance"
            (row,) = shop.ask(asked)
            assert row == ("maintenance", manifest.version, 1, 1, 1)
            version.state = "previous"
            await told.write_models()
            (row,) = shop.ask(asked)
            assert row == ("maintenance", manifest.version, 0, 1, 2)

    run(main)


def test_how_strong_an_influence_was_found_to_be_stands_at_its_newest_day(tmp_path: Path) -> None:
    def row(sku: str, factor: str, r: float | None) -> CorrelationRow:
        return CorrelationRow(
            sku=sku, store="main", name="", factor=factor, lag_days=0, effect=None, effect_low=None,
            effect_high=None, r=r, explained=None, days=90, p=0.0, q=0.0, q_careful=0.0,
        )  # fmt: skip

    rows = [
        row("S0", "weather.temperature_c", 0.3),
        row("S1", "weather.temperature_c", -0.6),
        row("S1", "price", -0.9),
        row("S2", "season.weekday", None),
    ]
    told = strengths(rows)
    assert told == [(-0.6, 0.6667, "weather", "temperature_c")]

    async def main() -> None:
        async with days(tmp_path) as shop:
            sell(shop, 3)
            await Analytics(shop.config, shop.core, shop.writer).read_history()
            before = shop.ask("SELECT max(changed) FROM external_data_factors")[0][0]
            for _ in range(2):
                shop.journal.write_field(lambda c: analytics.write_strengths(c, told))
            found = shop.ask(
                "SELECT correlation_strength, business_relevance_score, changed > ?"
                " FROM external_data_factors ORDER BY measurement_date", before
            )  # fmt: skip
            assert found == [(None, None, 0), (None, None, 0), (-0.6, 0.6667, 1)]

    run(main)


def test_an_unknown_feature_is_told_by_its_name() -> None:
    with pytest.raises(ConfigError, match=r"no feature 'class\.utilization_28d'"):
        chosen(Tables(features=["class.utilization_28d"]))
    assert chosen(Tables()) == frozenset(pipeline_analytics.DEFAULT_FEATURES)


def test_the_history_is_there_for_the_trainer_all_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        async with days(tmp_path) as shop:
            sell(shop, 2)
            await Analytics(shop.config, shop.core, shop.writer).read_history()
            with HistoryReader.open(tmp_path) as reader:
                assert len(reader.days("class")) >= 2

    run(main)


def test_decisions_can_be_read_in_the_words_of_the_design(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, config().storage)
    names = [row[1] for row in journal._connection.execute("PRAGMA table_info(decision)")]
    values = {"id": "d1", "kind": "restock", "target": "S0", "status": "proposed",
              "impact_cents": 1250, "created_ms": 1_700_000_000_000}  # fmt: skip
    row = [values.get(name, 0 if name.endswith(("ms", "cents")) else "") for name in names]
    marks = ", ".join("?" * len(names))
    journal.write_field(lambda c: c.execute(f"INSERT INTO decision VALUES ({marks})", row))
    journal._connection.row_factory = sqlite3.Row
    (told,) = journal._connection.execute("SELECT * FROM automated_decisions").fetchall()
    assert (told["decision_type"], told["predicted_impact"]) == ("restock", 12.5)
    assert (told["created_at"], told["execution_date"]) == ("2023-11-14 22:13:20", None)
    journal.close()


def test_nan_is_null_and_floats_are_short() -> None:
    assert analytics._numbers(np.array([0.1, np.nan, np.inf], np.float32)) == [0.1, None, None]
    assert asyncio.iscoroutinefunction(Analytics.run)
