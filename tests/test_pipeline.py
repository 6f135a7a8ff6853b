"""The corridor in process, with a real journal: order, splits, quiet time, clocks, snapshots."""

import asyncio
import threading
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from edge import pipeline as module
from edge.config import Config, Storage
from edge.errors import InboxFull
from edge.records import Message
from edge.storage import journal as journal_module
from edge.storage.journal_reader import JournalReader
from edge.storage.snapshots import kept_snapshots, read_snapshot
from tests.corridor import SetClock, corridor, replay, run, until
from tests.streams import DAY, HOUR, MINUTE, SECOND, START_MS, Streams, config, epc


def settings(directory: Path, **ingest: Any) -> Config:
    """A small shop that stores in ``directory`` and is quick."""
    ingest = {"beat_ms": 1, "quiet_beat_s": 0.005} | ingest
    storage = Storage(directory=str(directory), disk_reserve_bytes=0)
    return msgspec.structs.replace(config(**ingest), storage=storage)


def read(number: int, at_ms: int, reader: str = "r0", packet_id: int = 0) -> Message:
    """A tag read at its arrival."""
    payload = msgspec.json.encode({"epc": epc(number), "at": at_ms, "antenna": 1})
    return Message(f"rfid3/main/tag_read/{reader}", payload, at_ms, 1, packet_id, 1)


class Door:
    """Stands for the MQTT source: remembers what is acknowledged, and how far the journal was."""

    def __init__(self, journal: Any) -> None:
        self._journal = journal
        self.acknowledged: list[int] = []
        self.durable: list[int] = []

    def acknowledge(self, tokens: list[int]) -> None:
        self.acknowledged += tokens
        self.durable += [self._journal.last().next_ordinal] * len(tokens)


@pytest.mark.parametrize("seed", [1, 2])
def test_however_live_batches_are_cut_the_state_is_the_same(tmp_path: Path, seed: int) -> None:
    stream = Streams(seed)
    messages = stream.messages(400)
    many = [{"type": "tag_read", "epc": epc(i % 12), "at": stream.now_ms} for i in range(900)]
    large = Message("rfid3/main/events/s1", msgspec.json.encode(many), stream.now_ms)
    assert len(large.payload) > module.LARGE_BYTES
    messages.append(large)
    digests = set()

    async def main(batch_max: int) -> None:
        directory = tmp_path / str(batch_max)
        cut = settings(directory, batch_max=batch_max)
        async with corridor(directory, cut, SetClock(START_MS)) as live:
            live.put(messages)
            await live.settled()
            digests.add(live.core.digest())
        assert live.core.digest() == replay(directory, cut)[0].digest()

    for batch_max in (1, 7, 1_024):
        run(partial(main, batch_max))
    assert len(digests) == 1


def test_nothing_is_acknowledged_before_the_journal_holds_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with corridor(tmp_path, settings(tmp_path, batch_max=5), SetClock(START_MS)) as live:
            door = Door(live.journal)
            live.pipeline.source = door  # type: ignore[assignment]
            for i in range(1, 200):
                live.put([read(i % 5, START_MS + i, packet_id=i)], token=1 << 16 | i)
            await live.settled()
            assert door.acknowledged == [1 << 16 | i for i in range(1, 200)]
            # one message of our own ($rfid3/start) came first
            assert all(held > i for i, held in enumerate(door.durable, start=1))

    run(main)


def test_a_quiet_shop_closes_windows_and_departs_and_a_replay_does_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        clock = SetClock(START_MS)
        async with corridor(tmp_path, settings(tmp_path), clock) as live:
            for i in range(40):
                clock.advance(250)
                live.put([read(i % 3, clock.now_ms())])
            await live.settled()
            commits = live.pipeline.batches
            item = live.core.state.item
            row = item.keys.get(epc(0))
            assert item.col["zone_row"][row] >= 0
            slot = live.core.state.pool.slot[row]
            window = live.core.state.pool.window["reads_5m"]
            assert window.totals[slot] > 0
            for _ in range(12 * 60):  # an hour in steps of five seconds
                clock.advance(5 * SECOND)
                seen = live.pipeline.progress.beat_at
                await until(lambda seen=seen: live.pipeline.progress.beat_at > seen)
            await live.settled()
            assert item.col["zone_row"][row] < 0, "it departed"
            assert window.totals[slot] == 0, "its window closed"
            assert live.pipeline.batches - commits < 130, "a beat a minute, and what was due"
            assert live.core.digest() == replay(tmp_path, settings(tmp_path))[0].digest()
            clock.advance(20 * SECOND)
        # what the last snapshot holds is what the journal says
        newest = read_snapshot(kept_snapshots(tmp_path)[0][1])
        assert newest.header.seq == JournalReader.open(tmp_path).last().seq
        assert live.core.digest() == replay(tmp_path, settings(tmp_path))[0].digest()

    run(main)


def test_a_clock_set_back_or_forward_changes_no_order_and_no_replay(tmp_path: Path) -> None:
    async def main() -> None:
        clock = SetClock(START_MS)
        async with corridor(tmp_path, settings(tmp_path), clock) as live:
            for jump_ms in (0, -3 * HOUR, 0, DAY, -DAY, 40 * SECOND, -40 * SECOND, MINUTE):
                clock.set(clock.now_ms() + jump_ms)
                for i in range(10):
                    clock.advance(300)
                    live.put([read(i % 4, clock.now_ms())])
                    await live.settled()
                seen = live.pipeline.progress.beat_at
                await until(lambda seen=seen: live.pipeline.progress.beat_at > seen)
            await live.settled()
            assert live.core.digest() == replay(tmp_path, settings(tmp_path))[0].digest()
        arrivals = [
            m.arrival_ms for b in JournalReader.open(tmp_path).batches(0) for m in b.messages
        ]
        assert arrivals == sorted(arrivals)
        assert arrivals[-1] >= START_MS + DAY - 3 * HOUR

    run(main)


def test_nobody_departs_because_the_daemon_was_down(tmp_path: Path) -> None:
    shop = settings(tmp_path)

    async def main() -> None:
        clock = SetClock(START_MS)
        async with corridor(tmp_path, shop, clock) as live:
            for _ in range(20):
                clock.advance(500)
                live.put([read(1, clock.now_ms())])
            await live.settled()
        clock.advance(3 * HOUR)
        async with corridor(tmp_path, shop, clock) as live:
            await live.settled()
            item = live.core.state.item
            row = item.keys.get(epc(1))
            assert item.col["zone_row"][row] >= 0, "it is still taken to be there"
            live.pipeline.tell("$rfid3/link", b'{"up":true}')
            await live.settled()
            await live.pipeline.flush()
            stored = await live.writer.read(
                lambda c: c.execute("SELECT reader, from_ms, to_ms, reason FROM gap").fetchall()
            )
            assert [(r, why) for r, _, _, why in stored] == [("", "daemon was down")]
            assert stored[0][2] - stored[0][1] >= 3 * HOUR
            for _ in range(24):
                clock.advance(MINUTE)
                seen = live.pipeline.progress.beat_at
                await until(lambda seen=seen: live.pipeline.progress.beat_at > seen)
            await live.settled()
            assert item.col["zone_row"][row] < 0, "unseen by a daemon that looks: it departed"
            assert live.core.digest() == replay(tmp_path, shop)[0].digest()

    run(main)


def test_a_full_inbox_refuses_what_comes_through_http_and_loses_nothing(tmp_path: Path) -> None:
    class Told:
        def __init__(self) -> None:
            self.calls: list[str] = []

        def committed(self) -> None:
            self.calls.append("committed")

        def applied(self, outcomes: Any) -> None:
            self.calls.append(f"applied {[reason for reason, _ in outcomes]}")

    async def main() -> None:
        async with corridor(tmp_path, settings(tmp_path, inbox_max=10), SetClock(START_MS)) as live:
            told = [Told() for _ in range(30)]
            payload = msgspec.json.encode({"type": "tag_read", "epc": epc(1)})
            refused = 0
            for receipt in told:
                entry = (Message("$http/events/till", payload, START_MS), receipt)
                while True:
                    try:
                        live.pipeline.submit([entry])
                        break
                    except InboxFull:
                        refused += 1
                        await asyncio.sleep(0.001)
            await live.settled()
            assert refused
            assert [t.calls for t in told] == [["committed", "applied ['admitted']"]] * 30
            row = live.core.state.item.keys.get(epc(1))
            assert live.core.state.item.col["reads_total"][row] == 30

    run(main)


def test_while_a_snapshot_is_written_commits_go_on_and_applying_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, held, go = module.write_snapshot, threading.Event(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Path:
        held.set()
        assert go.wait(60)
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "write_snapshot", slow)

    async def main() -> None:
        shop = settings(tmp_path)
        async with corridor(tmp_path, shop, SetClock(START_MS)) as live:
            live.put([read(1, START_MS + 1)])
            await live.settled()
            before = live.pipeline.applied_seq
            writing = asyncio.create_task(live.pipeline.snapshot())
            await until(held.is_set)
            live.put([read(2, START_MS + 2, packet_id=7)], token=1 << 16 | 7)
            door = Door(live.journal)
            live.pipeline.source = door  # type: ignore[assignment]
            await until(lambda: door.acknowledged)
            assert live.pipeline.applied_seq == before
            go.set()
            await writing
            await live.settled()
            assert live.pipeline.applied_seq > before
            await live.crash()
        async with corridor(tmp_path, shop, SetClock(START_MS)) as again:
            assert again.replayed == 1
            await again.settled()
            assert again.core.digest() == replay(tmp_path, shop)[0].digest()

    run(main)


def test_a_stop_during_a_snapshot_waits_for_it_and_leaves_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, held, go = module.write_snapshot, threading.Event(), threading.Event()
    writers: list[int] = []

    def slow(*args: Any, **kwargs: Any) -> Path:
        writers.append(1)
        assert len(writers) == 1, "two writers of snapshots at once"
        held.set()
        assert go.wait(60)
        try:
            return real(*args, **kwargs)
        finally:
            writers.pop()

    monkeypatch.setattr(module, "write_snapshot", slow)
    monkeypatch.setattr(module, "KEEP_EVERY_S", 0.001)
    monkeypatch.setattr(module, "SNAPSHOT_LEAST_S", 0.0)
    storage = {"snapshot_every_events": 1}

    async def main() -> None:
        shop = settings(tmp_path)
        shop = msgspec.structs.replace(
            shop, storage=msgspec.structs.replace(shop.storage, **storage)
        )
        async with corridor(tmp_path, shop, SetClock(START_MS)) as live:
            live.put([read(i, START_MS + i) for i in range(1, 9)])
            await until(held.is_set)
            live.pipeline.stop()
            asyncio.get_running_loop().call_later(0.05, go.set)
        for _, path in kept_snapshots(tmp_path):
            read_snapshot(path)
        assert not list(tmp_path.glob("*.tmp"))
        assert kept_snapshots(tmp_path)[0][0] == JournalReader.open(tmp_path).last().seq

    run(main)


def test_a_reader_waits_for_what_it_looks_for_and_for_nothing_else(tmp_path: Path) -> None:
    def stored(kind: str) -> Any:
        return lambda c: c.execute(f"SELECT count(*) FROM {kind}").fetchone()[0]

    async def main() -> None:
        # no quiet beat: it stores what waits, whoever looks
        shop = settings(tmp_path, quiet_beat_s=3_600)
        async with corridor(tmp_path, shop, SetClock(START_MS)) as live:
            pipeline = live.pipeline
            live.put([Message("junk", b"{", START_MS + 1), read(1, START_MS + 2)])
            await live.settled()
            await pipeline.flush(lambda effects: bool(effects.gaps))
            assert await live.writer.read(stored("dead_letter")) == 0, "nobody looked for it"
            await pipeline.flush(lambda effects: bool(effects.dead_letters))
            assert await live.writer.read(stored("dead_letter")) == 1

            live.put([Message("junk", b"[", START_MS + 3), read(2, START_MS + 4)])
            await live.settled()
            live.clock.set(START_MS + 5_000)  # the epoch of its read has closed: it has arrived
            live.put([read(3, START_MS + 5_000)])
            await live.settled()
            seen = pipeline.waiting_timeline(epc(2))
            assert seen
            first = asyncio.ensure_future(pipeline.flush())
            while pipeline._on_its_way is None:
                await asyncio.sleep(0)
            assert pipeline.waiting_timeline(epc(2)) == seen
            await pipeline.flush(lambda effects: bool(effects.dead_letters))
            assert await live.writer.read(stored("dead_letter")) == 2, "it was on its way"
            await first
            assert pipeline._on_its_way is None

    run(main)


def test_with_a_full_disk_nothing_is_acknowledged_until_there_is_room(tmp_path: Path) -> None:
    room = [1 << 40]

    async def main() -> None:
        shop = settings(tmp_path)
        clock = SetClock(START_MS)
        async with corridor(tmp_path, shop, clock, lambda _: room[0]) as live:
            door = Door(live.journal)
            live.pipeline.source = door  # type: ignore[assignment]
            bad = Message("junk", b"{", START_MS + 1)
            live.put([bad, read(1, START_MS + 2)])
            await live.settled()
            room[0] = 0
            live.journal._room_checked_at = float("-inf")  # it looks once a second at most
            live.put([read(1, START_MS + i, packet_id=i) for i in range(3, 40)], token=1 << 16 | 1)
            await until(lambda: live.pipeline.progress.condition == "full")
            await live.pipeline.flush()
            assert "bytes" in live.pipeline.progress.trouble
            assert not door.acknowledged
            room[0] = 1 << 40
            await until(lambda: live.pipeline.progress.condition == "running")
            await live.settled()
            assert len(door.acknowledged) == 37
        core, effects = replay(tmp_path, shop)
        assert live.core.digest() == core.digest()
        row = core.state.item.keys.get(epc(1))
        assert core.state.item.col["reads_total"][row] == 38
        assert len(effects.dead_letters) == 1
        stored = JournalReader.open(tmp_path)._connection
        assert stored.execute("SELECT count(*) FROM dead_letter").fetchone() == (1,)

    run(main)


def test_a_stop_does_not_wait_for_room_on_a_full_disk(tmp_path: Path) -> None:
    room = [1 << 40]

    async def main() -> None:
        shop = settings(tmp_path)
        async with corridor(tmp_path, shop, SetClock(START_MS), lambda _: room[0]) as live:
            door = Door(live.journal)
            live.pipeline.source = door  # type: ignore[assignment]
            await live.settled()
            room[0] = 0
            live.journal._room_checked_at = float("-inf")
            live.put([read(1, START_MS + 5, packet_id=3)], token=1 << 16 | 3)
            await until(lambda: live.pipeline.progress.condition == "full")
        assert not door.acknowledged, "the broker keeps it"

    run(main)


def test_the_journals_own_limit_lets_old_history_go_once_a_snapshot_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "ROOM_CHECK_BYTES", 0)  # look every time

    async def main() -> None:
        shop = settings(tmp_path)
        storage = msgspec.structs.replace(shop.storage, journal_max_bytes=400_000)
        shop = msgspec.structs.replace(shop, storage=storage)
        async with corridor(tmp_path, shop, SetClock(START_MS)) as live:
            chance = Random(1)
            for i in range(1, 1_500):
                noise = msgspec.json.encode({"epc": epc(1), "x": chance.randbytes(300).hex()})
                live.put([Message("rfid3/main/tag_read/r0", noise, START_MS + i)])
                if i % 50 == 0:
                    await live.settled()
            await live.settled()
            row = live.core.state.item.keys.get(epc(1))
            assert live.core.state.item.col["reads_total"][row] == 1_499
            assert live.journal.used_bytes() <= 400_000
            assert live.journal.reader.oldest_seq() > 1
            await live.crash()
        async with corridor(tmp_path, shop, SetClock(START_MS)) as again:
            row = again.core.state.item.keys.get(epc(1))
            assert again.core.state.item.col["reads_total"][row] == 1_499

    run(main)


def test_the_session_of_a_link_is_recorded_although_no_message_comes(tmp_path: Path) -> None:
    async def main() -> None:
        shop = settings(tmp_path)
        async with corridor(tmp_path, shop, SetClock(START_MS)) as live:
            live.pipeline.tell("$rfid3/link", b'{"up":true,"session":7}', 7)
            await live.settled()
            await live.crash()
        reader = JournalReader.open(tmp_path)
        assert reader.last().session == 7
        (told,) = [m for b in reader.batches(0) for m in b.messages if m.topic == "$rfid3/link"]
        assert (told.session, told.packet_id) == (7, 0)
        reader.close()

    run(main)


def test_a_snapshot_that_gets_on_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        clock = SetClock(START_MS)
        async with corridor(tmp_path, settings(tmp_path), clock) as live:
            live.put([read(1, clock.now_ms())])
            await live.settled()
            assert live.pipeline.progress.snapshot_at == 0.0
            await live.pipeline.snapshot()
            assert live.pipeline.progress.snapshot_at > 0.0

    run(main)
