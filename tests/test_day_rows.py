"""What days leave behind: the same rows live, replayed, imported and cut anyhow; and true ones."""

import asyncio
import json
import random
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.config import Config, Storage
from edge.core import Core, Step
from edge.features import history as history_module
from edge.features.catalog import BY_ENTITY, matrix
from edge.features.history import CHUNK_ROWS, QUIET_DAYS, SLOT_DAYS, days_written
from edge.features.keys import key_hash
from edge.records import HistoryRows, Message
from edge.recovery import recover
from edge.storage.history import Chunk, HistoryReader, pack, unpack
from edge.storage.journal import Journal
from tests.corridor import SetClock, corridor, replay, until
from tests.corridor import run as run_async
from tests.features.oracle import PRESENCE, Amount, Oracle
from tests.features.test_catalog import close, oracle_for, tell
from tests.streams import DAY, HOUR, MINUTE, SECOND, START_MS, Streams, config, epc
from trainer.imports import from_journal

PACES: dict[str, dict[str, Any]] = {
    "hours": {"pauses_ms": (0, SECOND, 20 * MINUTE, 2 * HOUR)},
    "days": {"pauses_ms": (0, MINUTE, 7 * HOUR, DAY), "ages_ms": (0, HOUR, 3 * HOUR, 30 * HOUR)},
    "autumn": {"start_ms": 1_761_350_000_000, "pauses_ms": (0, SECOND, 3 * HOUR)},
    "weeks": {"pauses_ms": (0, 0, HOUR, DAY, 5 * DAY), "ages_ms": (0, HOUR, 3 * DAY)},
}
VOIDS = {"rates": {"pos_line": 40, "correction": 15}}
some = settings(
    max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

Told = dict[tuple[str, int, int], tuple[int, str, bytes]]


def kept(rows: list[HistoryRows]) -> Told:
    """As the table keeps them; the first of two equal keys stays."""
    out: Told = {}
    for one in map(pack, rows):
        key = (one.entity, one.day, one.chunk)
        out.setdefault(key, (one.n, one.catalogue, one.packed))
    return out


def stored(path: Path) -> Told:
    with HistoryReader.open(path) as reader:
        rows = reader._connection.execute(
            "SELECT entity, day, chunk, n, catalogue, blob FROM history"
        )
        return {(e, d, c): (n, catalogue, blob) for e, d, c, n, catalogue, blob in rows}


def chunks(told: Told) -> list[Chunk]:
    return [unpack(*key, n, catalogue, blob) for key, (n, catalogue, blob) in told.items()]


def fed(shop: Config, messages: list[Message], sizes: list[int], beats: bool = False) -> Told:
    """A core's rows when messages come in pieces of these sizes."""
    core, rows, chance, start, piece = Core(shop), [], random.Random(7), 0, 0
    while start < len(messages):
        stop = start + sizes[piece % len(sizes)]
        rows += core.step(messages[start:stop], start).effects.history
        start, piece = stop, piece + 1
        if beats and start < len(messages) and messages[start].topic != "$rfid3/start":
            last, following = messages[start - 1].arrival_ms, messages[start].arrival_ms
            between = last + int((following - last) * chance.random())
            rows += core.advance(between).effects.history
    return kept(rows)


def shop_at(directory: Path, **ingest: Any) -> Config:
    ingest = {"beat_ms": 1, "quiet_beat_s": 0.005, "clock": "events"} | ingest
    stored_at = Storage(directory=str(directory), disk_reserve_bytes=0)
    return msgspec.structs.replace(config(**ingest), storage=stored_at)


# -- the same rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("pace", PACES)
@some
@given(seed=st.integers(0, 2**32), many=st.integers(20, 150))
def test_however_a_journal_is_cut_its_days_leave_the_same_rows(
    pace: str, seed: int, many: int
) -> None:
    messages, shop = Streams(seed, **PACES[pace], **VOIDS).messages(many), config()
    whole = fed(shop, messages, [many])
    assert fed(shop, messages, [1]) == whole
    assert fed(shop, messages, [1, 9, 30], beats=True) == whole


@pytest.mark.parametrize("pace", PACES)
def test_live_rows_replayed_rows_and_imported_rows_are_the_same_bits(
    pace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "CHUNK_ROWS", 4)  # several chunks, several slices
    monkeypatch.setattr(history_module, "SLICE_ROWS", {"class": 2, "item": 3})
    messages = Streams(11, **PACES[pace], **VOIDS).messages(150)
    shop = shop_at(tmp_path / "live", batch_max=17)
    whole: list[str] = []  # days that ended inside a step, and so held the loop
    real = Core.step

    def step(core: Core, some: list[Message], first: int) -> Step:
        if some[-1].arrival_ms >= core.day_end_ms():
            whole.append(some[-1].topic)
        return real(core, some, first)

    monkeypatch.setattr(Core, "step", step)

    async def main() -> None:
        async with corridor(tmp_path / "live", shop, SetClock(START_MS)) as live:
            live.put(messages)
            await live.settled()

    run_async(main)
    assert not whole
    live = stored(tmp_path / "live")
    assert {entity for entity, _, _ in live} >= {"class", "item", "factor"}
    assert max(chunk for _, _, chunk in live) >= 1
    assert kept(replay(tmp_path / "live", shop)[1].history) == live
    assert kept(replay(tmp_path / "live", shop, slice_=3)[1].history) == live
    from_journal(tmp_path / "live", tmp_path / "imported.sqlite", shop)
    assert stored(tmp_path / "imported.sqlite") == live


def test_telling_history_changes_nothing() -> None:
    messages = Streams(5, **PACES["days"]).messages(200)
    shop = config()
    silent = msgspec.structs.replace(shop, storage=Storage(history_days=0))
    digests = set()
    for made in (shop, silent):
        core = Core(made)
        rows = core.step(messages, 0).effects.history
        assert bool(rows) == (made is shop)
        digests.add(core.digest())
    assert len(digests) == 1


# -- true rows ------------------------------------------------------------------------------------


class Diary(Oracle):
    """Writes down everything it knows at each day's last moment."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.pages: dict[date, dict[str, dict[str, dict[str, float | None]]]] = {}
        self.amounts: dict[date, dict[str, dict[str, tuple[float, float]]]] = {}

    def _end_day(self) -> None:
        day = self.day(self.now)
        self.now = self.day_end(day) - 1
        self.pages[day] = self.everything()
        self.amounts[day] = {
            sku: {
                **{m: self.today_and_before(kind.days[m]) for m in MEASURED.values()},
                "on_hand": (self.on_hand(sku), self.closed(kind, day, 1)),
                "on_rent": (self.on_rent(sku), self.closed(kind, day, 0)),
            }
            for sku, kind in self.classes.items()
        }
        super()._end_day()

    def today_and_before(self, amounts: list[Amount]) -> tuple[float, float]:
        one, two = (sum(a.value for a in self.days(amounts, days)) for days in (1, 2))
        return one, two - one

    @staticmethod
    def closed(kind: Any, day: date, which: int) -> float:
        before = [d for d in kind.closes if (day - d).days == 1]
        return float(kind.closes[before[0]][which]) if before else 0.0


MEASURED = {
    "rented_milli": "rented",
    "sold_milli": "sold",
    "returned_milli": "returned",
    "revenue_cents": "revenue",
    "scans_out": "scans_out",
    "scans_in": "scans_in",
    "stockouts": "stockouts",
}


def diary(shop: Config) -> Diary:
    made = oracle_for(shop)
    return Diary(
        shop.shop.timezone,
        {},
        lateness_ms=made.lateness,
        tolerance_ms=made.tolerance,
        repeat_ms=made.repeat,
        unknown_days=made.unknown_days,
        item_days=made.item_days,
    )


def of_day(number: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + number)


@pytest.mark.parametrize("pace", PACES)
@some
@given(seed=st.integers(0, 2**32), many=st.integers(30, 120))
def test_every_row_is_what_the_oracle_says(pace: str, seed: int, many: int) -> None:
    shop = config()
    messages = Streams(seed, redeliveries=False, **PACES[pace]).messages(many)
    oracle = diary(shop)
    oracle.zone_of_entry = oracle_for(shop).zone_of_entry
    tell(oracle, shop, messages)
    for chunk in chunks(fed(shop, messages, [64])):
        if chunk.entity not in BY_ENTITY:
            continue
        page = oracle.pages[of_day(chunk.day)][chunk.entity]
        for i, key in enumerate(chunk.keys):
            right = page[key.removeprefix("main\x1f")]
            for name in BY_ENTITY[chunk.entity]:
                if name in PRESENCE.get(chunk.entity, ()):
                    continue
                value = float(chunk.column(name)[i])
                told = None if np.isnan(value) else value
                assert close_enough(name, told, right[name]), (of_day(chunk.day), key, name)


def close_enough(name: str, told: float | None, right: float | None) -> bool:
    """As float32 keeps it."""
    return close(name, told, right) or bool(
        told is not None and right is not None and np.isclose(told, right, rtol=3e-7, atol=1e-4)
    )


@pytest.mark.parametrize("pace", PACES)
@some
@given(seed=st.integers(0, 2**32), many=st.integers(30, 120))
def test_every_day_measure_and_its_correction_is_exact(pace: str, seed: int, many: int) -> None:
    shop = config()
    messages = Streams(seed, redeliveries=False, **PACES[pace], **VOIDS).messages(many)
    oracle = diary(shop)
    tell(oracle, shop, messages)
    seen = 0
    for chunk in chunks(fed(shop, messages, [64])):
        if chunk.entity != "class":
            continue
        page = oracle.amounts[of_day(chunk.day)]
        for i, key in enumerate(chunk.keys):
            right = page[key.removeprefix("main\x1f")]
            for name, word in (*MEASURED.items(), *CLOSES.items()):
                told = chunk.amounts[:2, chunk.measures.index(name), i].tolist()
                scale = 1000 if name.endswith("_milli") else 1
                assert told == [round(value * scale) for value in right[word]], (key, name)
                seen += bool(any(told))
    assert seen or many < 60


CLOSES = {"on_hand_close_milli": "on_hand", "on_rent_close_milli": "on_rent"}


def test_a_sampled_day_is_the_state_itself_at_its_last_moment() -> None:
    shop, messages = config(), Streams(21, **PACES["hours"]).messages(400)
    told = {(c.entity, c.day): c for c in chunks(fed(shop, messages, [50]))}
    days = sorted({day for _, day in told})
    for day in days[:: max(len(days) // 5, 1)]:
        core = Core(shop)
        end_ms = core.state.days.end_ms(day)
        before = [m for m in messages if m.arrival_ms < end_ms]
        core.step(before, 0)
        core.advance(end_ms - 1)
        for entity in ("class", "item"):
            if (entity, day) not in told:
                continue
            chunk = told[entity, day]
            rows = core.state.tables[entity].keys.lookup(chunk.keys)
            now = matrix(core.state, entity, rows, chunk.features)
            assert now.tobytes() == np.ascontiguousarray(chunk.values).tobytes()


def test_items_are_written_when_something_happened_and_once_a_week() -> None:
    shop = config()
    core = Core(shop)
    start_ms = START_MS // DAY * DAY + 12 * HOUR
    link = [{"type": "item_link", "epc": epc(i), "sku": "A", "at": start_ms} for i in range(40)]
    core.step([Message("rfid3/main/events/s1", json.dumps(link).encode(), start_ms)], 0)
    rows: list[HistoryRows] = []
    for day in range(1, 15):
        at_ms = start_ms + day * DAY
        read = {"type": "tag_read", "epc": epc(day % 3), "at": at_ms}
        step = core.step([Message("rfid3/main/events/s1", json.dumps(read).encode(), at_ms)], day)
        rows += step.effects.history
    written: dict[int, set[str]] = {}
    for chunk in chunks(kept(rows)):
        if chunk.entity == "item":
            written[chunk.day] = written.get(chunk.day, set()) | set(chunk.keys)
    first = core.state.days.day(start_ms)
    assert written[first] == {epc(i) for i in range(40)}
    for day in range(first + 1, first + 13):
        turn = {epc(i) for i in range(40) if key_hash(epc(i)) % SLOT_DAYS == day % SLOT_DAYS}
        assert written[day] == turn | {epc((day - first) % 3)}


def test_factors_of_a_day_are_means_and_spans_go_on() -> None:
    shop = config("UTC")
    core, noon = Core(shop), START_MS // DAY * DAY + 12 * HOUR

    def factor(name: str, value: float, at_ms: int, until_ms: int = 0) -> dict[str, Any]:
        told = {"type": "factor", "factor": "weather", "name": name, "value": value, "at": at_ms}
        return told | ({"until": until_ms} if until_ms else {})

    days = [
        [factor("t", 10, noon), factor("t", 20.5, noon), factor("fair", 1, noon, noon + 2 * DAY)],
        [factor("t", -1.25, noon + DAY), factor("t", 4, noon + 11 * HOUR)],  # one of yesterday
        [factor("other", 3, noon + 2 * DAY)],
        [factor("other", 3, noon + 3 * DAY)],
        [factor("other", 3, noon + 4 * DAY)],
    ]
    rows: list[HistoryRows] = []
    arrivals = (noon, noon + 12 * HOUR, noon + 2 * DAY, noon + 3 * DAY, noon + 4 * DAY)
    for i, (told, at_ms) in enumerate(zip(days, arrivals, strict=True)):
        body = json.dumps([t | {"at": min(t["at"], at_ms)} for t in told]).encode()
        rows += core.step([Message("rfid3/main/events/s1", body, at_ms)], i).effects.history
    found: dict[tuple[int, str], list[int]] = {}
    for chunk in chunks(kept(rows)):
        if chunk.entity == "factor":
            for i, key in enumerate(chunk.keys):
                found[chunk.day, key.partition("\x1f")[2]] = chunk.amounts[:, 0, i].tolist()
    first = START_MS // DAY
    missing = history_module.MISSING
    assert found[first, "weather.t"] == [15_250, missing]
    assert found[first + 1, "weather.t"] == [-1_250, 34_500 // 3]
    assert found[first + 2, "weather.t"][0] == missing
    assert [found[first + i, "weather.fair"][0] for i in range(4)] == [1_000] * 3 + [missing]


def test_a_clock_set_forward_by_years_writes_a_month_and_no_more() -> None:
    core = Core(config())
    core.step(Streams(1).messages(50), 0)
    rows = core.advance(core.now_ms + 3_000 * DAY).effects.history
    assert QUIET_DAYS <= len({one.day for one in rows}) <= QUIET_DAYS + 1


def test_as_many_days_are_written_as_late_events_may_change() -> None:
    assert [days_written(h * HOUR) for h in (0, 2, 23, 24, 47)] == [2, 2, 2, 3, 4]


# -- restarts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 4, 9])
def test_a_crash_in_the_middle_of_a_close_loses_and_doubles_nothing(
    tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "SLICE_ROWS", {"class": 1, "item": 2})
    monkeypatch.setattr(history_module, "CHUNK_ROWS", 4)
    messages = Streams(3, **PACES["hours"]).messages(300)
    shop = shop_at(tmp_path, batch_max=20)
    reached: list[asyncio.Event] = []
    real = Core.passing

    def passing(core: Core, now_ms: int, out: Step) -> Any:
        for number, none in enumerate(real(core, now_ms, out)):
            if number >= after and len(out.effects.history) >= after // 3 and core.now_ms > halt:
                reached[0].set()
            yield none

    halt = messages[len(messages) // 2].arrival_ms
    monkeypatch.setattr(Core, "passing", passing)

    async def crashing() -> None:
        reached.append(asyncio.Event())
        async with corridor(tmp_path, shop, SetClock(START_MS)) as live:
            live.put(messages)
            await reached[0].wait()
            await live.crash()

    async def again() -> None:
        async with corridor(tmp_path, shop, SetClock(START_MS)) as live:
            live.put(messages[live.inbox.first - 1 :])  # one message of our own came first
            await live.settled()

    run_async(crashing)
    monkeypatch.setattr(Core, "passing", real)
    before = stored(tmp_path)
    run_async(again)
    assert stored(tmp_path) == kept(replay(tmp_path, shop)[1].history)
    assert before.items() < stored(tmp_path).items()


def test_what_is_stored_is_not_told_again_by_a_replay(tmp_path: Path) -> None:
    messages = Streams(9, **PACES["days"]).messages(200)
    shop = shop_at(tmp_path)

    async def main() -> None:
        async with corridor(tmp_path, shop, SetClock(START_MS)) as live:
            live.put(messages)
            await live.settled()

    run_async(main)
    for snapshot in tmp_path.glob("snapshot-*.bin"):
        snapshot.unlink()
    journal = Journal.open(tmp_path, shop.storage)
    try:
        found = recover(shop, journal, tmp_path)
    finally:
        journal.close()
    assert found.replayed > 200
    assert found.effects.history == []
    assert found.core.tells_history


def test_a_day_that_ends_in_a_quiet_shop_is_written_soon(tmp_path: Path) -> None:
    shop = shop_at(tmp_path, clock="wall")

    async def main() -> None:
        clock = SetClock(START_MS)
        async with corridor(tmp_path, shop, clock) as live:
            body = json.dumps({"document": "1", "kind": "sale", "sku": "A", "line": 1}).encode()
            live.put([Message("rfid3/main/pos_line/till", body, START_MS)])
            await live.settled()
            clock.set(live.core.day_end_ms() + SECOND)
            await until(lambda: live.core.state.now_ms == clock.now_ms())
            await live.pipeline.flush()
            assert "class" in {entity for entity, _, _ in stored(tmp_path)}

    run_async(partial(main))


def test_more_rows_than_a_chunk_holds_are_cut() -> None:
    core = Core(msgspec.structs.replace(config(), limits=msgspec.structs.replace(
        config().limits, classes_max=3 * CHUNK_ROWS)))  # fmt: skip
    many = 2 * CHUNK_ROWS + 3
    for start in range(0, many, 500):
        lines = [
            {"type": "pos_line", "document": "1", "kind": "sale", "sku": f"S{i}", "line": i}
            for i in range(start, min(start + 500, many))
        ]
        core.step([Message("rfid3/main/events/s", json.dumps(lines).encode(), START_MS)], start)
    rows = core.advance(core.day_end_ms()).effects.history
    cut = [(one.chunk, len(one.keys)) for one in rows if one.entity == "class"]
    assert cut == [(0, 2_048), (1, 2_048), (2, 3)]
