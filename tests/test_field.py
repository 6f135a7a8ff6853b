"""The record of predictions: kept at a day's close, judged by what happened, told to the registry."""

import asyncio
import itertools
import sqlite3
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge import pipeline_field
from edge.core import Core
from edge.features.keys import key_hash
from edge.inference.field import KEYS_MAX, Kept, actual, chosen, questions
from edge.inference.manifest import Column
from edge.inference.scorer import Scorer
from edge.pipeline_field import FieldRecord
from edge.pipeline_scores import RULE_VERSION
from edge.records import Message
from edge.storage import field as tables
from edge.storage.journal import Journal
from edge.storage.writer import JournalWriter
from tests.corridor import run
from tests.inference import models
from tests.streams import DAY, START_MS, config

ITEMS = 30


def told(core: Core, kind: str, at_ms: int, /, **event: object) -> None:
    payload = msgspec.json.encode({"type": kind, "at": at_ms} | event)
    core.step([Message(f"rfid3/main/{kind}/t", payload, at_ms)], core.next_ordinal)


def pass_day(core: Core) -> int:
    """Let the present day close; its number."""
    day = core.state.today
    core.advance(core.state.days.end_ms(day))
    core.advance(core.state.days.end_ms(day) + 1)
    assert core.state.today == day + 1
    return day


@asynccontextmanager
async def recorder(
    directory: Path, core: Core, **model: Any
) -> AsyncIterator[tuple[FieldRecord, JournalWriter, Scorer]]:
    settings = config()
    journal = Journal.open(directory, settings.storage)
    writer = JournalWriter(journal)
    scorer = Scorer(core.state, models.SETTINGS, lambda *_: None)
    scorer.use("maintenance", models.loaded(core.state, **model))
    await scorer.beat()
    try:
        yield FieldRecord(core, scorer, writer), writer, scorer
    finally:
        await writer.close()


def a_shop() -> Core:
    core = Core(config())
    for i in range(ITEMS):
        told(core, "item_scan", START_MS + i, epc=f"E{i:04d}", scan_type="Rental", sku=f"S{i % 3}")
    return core


def test_a_probability_is_held_against_what_broke_within_its_days(tmp_path: Path) -> None:
    async def main() -> None:
        core = a_shop()
        async with recorder(tmp_path, core) as (record, writer, scorer):
            day = pass_day(core)
            await record.close(day)
            key = ("maintenance", VERSION, "shown", day)
            kept = await writer.read(lambda c: tables.kept(c, key))
            assert kept is not None
            assert sorted(kept.keys) == [f"E{i:04d}" for i in range(ITEMS)]
            rows = np.array([core.state.item.keys.get(epc) for epc in kept.keys])
            seen = scorer.seen("maintenance", rows)
            assert seen is not None
            answers = seen[1]
            assert kept.values == answers.tobytes()
            said = answers[np.argsort(kept.keys), 0].astype(np.float64)
            for i in (3, 7, 11):
                told(core, "maintenance", core.now_ms + i, epc=f"E{i:04d}", kind="failure")
            told(core, "item_link", core.now_ms + 20, epc="E0005", action="retire")
            for _ in range(6):
                await record.close(pass_day(core))
                assert "p_event_7d" not in record.scores("maintenance", VERSION)
            await record.close(pass_day(core))
            broke = np.array([i in (3, 7, 11) for i in range(ITEMS)], float)
            known = np.array([i != 5 for i in range(ITEMS)])
            found = record.scores("maintenance", VERSION)["p_event_7d"]
            assert found["n"] == ITEMS - 1
            assert found["brier"] == pytest.approx(((said - broke)[known] ** 2).mean(), rel=1e-5)
            measured = record.measured("maintenance", VERSION)
            assert measured is not None
            assert measured.rows == ITEMS - 1
            assert measured.loss == pytest.approx(found["brier"])
            assert measured.baseline_loss == pytest.approx(
                record.scores("maintenance", RULE_VERSION)["p_event_7d"]["brier"]
            )
            worst = await writer.read(lambda c: tables.worst_classes(c, "maintenance", VERSION, 10))
            assert {one.class_key for one in worst} == {f"main\x1fS{i}" for i in range(3)}
            assert sum(one.n for one in worst) == ITEMS - 1

    run(main)


VERSION = "20261121T000000Z-00000000"


def test_a_second_close_and_a_restart_count_nothing_twice(tmp_path: Path) -> None:
    async def main() -> None:
        core = a_shop()
        async with recorder(tmp_path, core) as (record, _, _):
            for _ in range(8):
                day = pass_day(core)
                await record.close(day)
                await record.close(day)
            before = record.scores("maintenance", VERSION)
            assert before["p_event_7d"]["n"] == ITEMS
        async with recorder(tmp_path, core) as (again, _, _):
            await again.restore()
            assert again.scores("maintenance", VERSION) == before
            await again.close(core.state.today - 1)
            assert again.scores("maintenance", VERSION) == before

    run(main)


def test_nothing_is_kept_for_a_day_that_closed_while_nobody_was_there(tmp_path: Path) -> None:
    async def main() -> None:
        core = a_shop()
        async with recorder(tmp_path, core) as (record, writer, _):
            day = pass_day(core)
            core.advance(core.now_ms + DAY // 4)
            await record.close(day)
            assert await writer.read(tables.waiting) == []

    run(main)


def test_a_day_that_closed_just_before_a_restart_is_kept_once_the_models_are_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon goes down at midnight; when it is back the door takes a while to let models in."""
    monkeypatch.setattr(pipeline_field, "LOOK_S", 0.01)

    async def main() -> None:
        core = a_shop()
        day = pass_day(core)
        async with recorder(tmp_path, core) as (record, writer, scorer):
            model = scorer.slots["maintenance"].active
            scorer.use("maintenance", None)
            task = asyncio.create_task(record.run())
            async with asyncio.timeout(60):
                while record._closed < day:
                    await asyncio.sleep(0.01)
            assert await writer.read(tables.waiting) == []
            core.advance(core.now_ms + 60_000)
            scorer.use("maintenance", model)
            async with asyncio.timeout(60):
                while not await writer.read(tables.waiting):
                    await asyncio.sleep(0.01)
            task.cancel()
            kept = {(role, at) for _, _, role, at in await writer.read(tables.waiting)}
            assert kept == {("shown", day), ("rule", day)}

    run(main)


def test_models_that_come_too_late_leave_a_day_unkept(tmp_path: Path) -> None:
    async def main() -> None:
        core = a_shop()
        async with recorder(tmp_path, core) as (record, writer, scorer):
            day = pass_day(core)
            model = scorer.slots["maintenance"].active
            scorer.use("maintenance", None)
            await record.close(day)
            core.advance(core.state.days.end_ms(day) + pipeline_field.FRESH_MS + 1)
            scorer.use("maintenance", model)
            await record.keep(day)
            assert await writer.read(tables.waiting) == []

    run(main)


def test_rows_of_earlier_versions_which_hold_features_too_are_read(tmp_path: Path) -> None:
    told = Kept(7, 1, ["a"], list(models.chances(1)), np.float32(0.5).tobytes(), b"\0" * 8)
    fields = [*msgspec.to_builtins(told), ["age_days"], b"\0" * 4]
    fields[4:6] = told.values, told.basis
    packed = tables.pack("maintenance", "v1", "shown", told, 14)
    blob = zlib.compress(msgspec.msgpack.encode(fields))
    journal = Journal.open(tmp_path, config().storage)
    old = msgspec.structs.replace(packed, blob=blob)
    journal.write_field(lambda connection: tables.keep(connection, [old]), 0)
    journal.close()
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        assert tables.kept(connection, ("maintenance", "v1", "shown", 7)) == told


def test_the_record_follows_the_days_by_itself(tmp_path: Path) -> None:
    async def main() -> None:
        core = a_shop()
        async with recorder(tmp_path, core) as (record, writer, _):
            pass_day(core)
            task = asyncio.create_task(record.run())
            async with asyncio.timeout(60):
                while len(await writer.read(tables.waiting)) < 2:
                    await asyncio.sleep(0.005)
            task.cancel()
            kept = await writer.read(tables.waiting)
            assert {role for _, _, role, _ in kept} == {"shown", "rule"}

    run(main)


def test_quantiles_and_mean_of_one_horizon_are_one_question() -> None:
    columns = [
        Column(name=name, unit="units", horizon_days=days, quantile=level)
        for name, days, level in (
            ("units_day_7", 7, None),
            ("units_day_7_p10", 7, 0.1),
            ("units_week_1", 7, None),
            ("units_week_1_p90", 7, 0.9),
            ("units_day_8", 8, None),
            ("confidence", 0, None),
        )
    ]
    found = questions("demand", columns)
    assert [(q.name, q.columns) for q in found] == [
        ("units_day_7", (0, 1)),
        ("units_week_1", (2, 3)),
    ]


def test_the_keys_that_are_kept_are_the_same_whoever_else_comes() -> None:
    hashes = np.array([key_hash(f"K{i}") for i in range(KEYS_MAX + 100)], np.uint64)
    first, fewer = set(chosen(hashes).tolist()), hashes[: KEYS_MAX + 50]
    assert len(first) == KEYS_MAX
    assert first == set(np.argsort(hashes)[:KEYS_MAX].tolist())
    assert first & set(range(len(fewer))) <= set(chosen(fewer).tolist())
    assert chosen(hashes[:7]).tolist() == list(range(7))


def test_units_are_those_of_the_days_after(tmp_path: Path) -> None:

    core = a_shop()
    day = pass_day(core)
    sold = [4.0, 0.0, 2.5, 1.0]
    for n, units in enumerate(sold):
        if units:
            told(core, "pos_line", core.now_ms + 1, document=f"D{n}", kind="sale", sku="S0",
                 quantity=units, line=1)  # fmt: skip
        pass_day(core)
    columns = [
        Column(name="units_day_3", unit="units", horizon_days=3),
        Column(name="units_4d", unit="units", horizon_days=4),
        Column(name="units_week_1", unit="units", horizon_days=7),
    ]
    kept = Kept(day, 0, ["main\x1fS0", "main\x1fgone"], columns, b"", b"\0" * 16)
    asked = {q.name: q for q in questions("inventory", columns)}
    total = actual("demand", core.state, kept, asked["units_4d"], 0, 2)
    assert total.tolist()[0] == sum(sold)
    assert np.isnan(total[1])


def test_kept_rows_stay_in_line_while_slices_grow_and_shrink(tmp_path: Path) -> None:
    async def main() -> None:
        core = a_shop()
        async with recorder(tmp_path, core) as (record, writer, scorer):
            slot, real = scorer.slots["maintenance"], scorer.seen
            sizes = itertools.cycle([3, 7, 1, 16, 2])
            slot.size = 5

            def seen(*asked: Any) -> Any:
                found = real(*asked)
                slot.size = next(sizes)  # as the scorer's own pace may do between two slices
                return found

            scorer.seen = seen  # type: ignore[method-assign, assignment]
            day = pass_day(core)
            await record.close(day)
            kept = await writer.read(
                lambda c: tables.kept(c, ("maintenance", VERSION, "shown", day))
            )
            assert kept is not None
            rows = core.state.item.keys.lookup(kept.keys)
            assert len(set(rows.tolist())) == ITEMS
            asked = real("maintenance", rows)
            assert asked is not None
            assert kept.values == asked[1].tobytes()

    run(main)


def test_a_row_that_cannot_be_read_ends_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        core = a_shop()
        async with recorder(tmp_path, core) as (record, writer, _):
            for _ in range(8):
                await record.close(pass_day(core))

            def spoil(journal: Journal) -> None:
                def work(connection: sqlite3.Connection) -> None:
                    connection.execute("UPDATE field_kept SET blob = substr(blob, 1, 40)")
                    connection.execute("UPDATE field_score SET scores = '{\"n\": null}'")

                journal.write_field(work)

            await writer.run(spoil)
        async with recorder(tmp_path, core) as (again, writer, _):
            await again.restore()
            assert again.scores("maintenance", VERSION) == {}
            day = pass_day(core)
            await again.close(day)
            found = await writer.read(
                lambda c: tables.kept(c, ("maintenance", VERSION, "shown", day))
            )
            assert found is not None

    run(main)


def test_a_long_horizon_is_told_for_as_many_days_as_a_short_one(tmp_path: Path) -> None:
    async def main() -> None:
        core = a_shop()
        async with recorder(tmp_path, core, o=5) as (record, _, _):
            for _ in range(30):
                await record.close(pass_day(core))
            told = record.scores("maintenance", VERSION)
            assert told["p_event_28d"]["n"] == 2 * ITEMS
            assert told["p_event_7d"]["n"] == 23 * ITEMS
        async with recorder(tmp_path, core, o=5) as (again, _, _):
            await again.restore()
            assert again.scores("maintenance", VERSION) == told

    run(main)


def test_what_broke_since_is_unknown_once_another_day_has_closed(tmp_path: Path) -> None:
    async def main() -> None:
        core = a_shop()
        async with recorder(tmp_path, core) as (record, _, _):
            await record.close(pass_day(core))
            for _ in range(7):
                last = pass_day(core)
            told(core, "maintenance", core.now_ms + 1, epc="E0003", kind="failure")
            last = pass_day(core)
            await record.close(last)
            assert record.scores("maintenance", VERSION)["p_event_7d"] == {"n": 0.0}

    run(main)


def test_who_was_beside_and_is_shown_on_one_day_is_kept_once(tmp_path: Path) -> None:
    async def main() -> None:
        core = a_shop()
        async with recorder(tmp_path, core) as (record, writer, scorer):
            candidate = models.loaded(core.state, 2, seed=1, version=OTHER)
            scorer.use("maintenance", scorer.slots["maintenance"].active, candidate)
            await scorer.beat()
            day = pass_day(core)
            await record.close(day)
            scorer.use("maintenance", candidate)
            await record.close(day)
            waiting = await writer.read(tables.waiting)
            assert [(version, role) for _, version, role, _ in waiting] == [
                (VERSION, "shown"),
                (OTHER, "beside"),
                (RULE_VERSION, "rule"),
            ]

    run(main)


OTHER = "20261122T000000Z-00000000"


def test_a_full_disk_makes_the_record_wait_and_lets_it_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_field, "LOOK_S", 0.002)
    monkeypatch.setattr(pipeline_field, "FULL_S", 0.004)

    async def main() -> None:
        core = a_shop()
        async with recorder(tmp_path, core) as (record, writer, _):
            pass_day(core)
            asked = []

            def full(directory: Path) -> int:
                asked.append(directory)
                return 0

            await writer.run(lambda journal: setattr(journal, "_free_bytes", full))
            task = asyncio.create_task(record.run())
            async with asyncio.timeout(60):
                while len(asked) < 3:
                    await asyncio.sleep(0.001)
            assert await writer.read(tables.waiting) == []
            await writer.run(lambda journal: setattr(journal, "_free_bytes", lambda _: 1 << 40))
            async with asyncio.timeout(60):
                while len(await writer.read(tables.waiting)) < 2:
                    await asyncio.sleep(0.001)
            assert not task.done()
            task.cancel()

    run(main)


def test_a_grade_is_held_against_the_one_at_the_horizon() -> None:
    core = a_shop()
    told(core, "item_scan", core.now_ms + 1, epc="E0000", scan_type="Return", grade="B-")
    told(core, "item_scan", core.now_ms + 2, epc="E0001", scan_type="Return", grade="A+")
    told(core, "item_scan", core.now_ms + 3, epc="E0002", scan_type="Return", grade="C-")
    day = pass_day(core)
    pass_day(core)
    names = ("p_grade_a_1d", "p_grade_b_1d", "p_grade_c_1d", "p_grade_b_or_worse_1d")
    columns = [
        Column(name=name, unit="1", horizon_days=1, lowest=0.0, highest=1.0) for name in names
    ]
    keys = ["E0000", "E0001", "E0002", "E0003"]
    kept = Kept(day, 0, keys, columns, b"", b"\0" * 32)
    found = [
        actual("quality", core.state, kept, asked, 0, 4).tolist()
        for asked in questions("quality", columns)
    ]
    assert [row[:3] for row in found] == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1]]
    assert all(np.isnan(row[3]) for row in found), "never graded"
