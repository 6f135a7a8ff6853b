"""Kill -9 while days are closing: after any number of deaths the table holds every row once."""

import select
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec

from edge.config import Storage
from edge.storage.journal_reader import JournalReader
from tests.corridor import replay
from tests.streams import DAY, HOUR, MINUTE, Streams, config
from tests.test_day_rows import kept, stored

KILLS = 5
MESSAGES = 240
SEED = 5
ROOT = Path(__file__).resolve().parents[1]

# Goes on with the stream where the journal ends. Says a line at each slice of a close.
CHILD = """
import asyncio, sys
from pathlib import Path
from edge.core import Core
from edge.features import history
from tests.corridor import SetClock, corridor
from tests.streams import START_MS
from tests.test_day_rows_kill import MESSAGES, messages, shop_at

directory = Path(sys.argv[1])
history.SLICE_ROWS, history.CHUNK_ROWS = {"class": 1, "item": 2}, 4
real = Core.passing

def passing(core, now_ms, out):
    for none in real(core, now_ms, out):
        print("slice", flush=True)
        yield none

Core.passing = passing

async def main():
    async with corridor(directory, shop_at(directory), SetClock(START_MS)) as live:
        live.put(messages()[sent(live.journal):])
        await live.settled()
    print("done", flush=True)

def sent(journal):
    return sum(m.topic != "$rfid3/start" for b in journal.batches(0) for m in b.messages)

asyncio.run(main())
"""


def shop_at(directory: Path):
    """A small shop on event time."""
    where = Storage(directory=str(directory), disk_reserve_bytes=0)
    shop = config(beat_ms=1, quiet_beat_s=0.005, clock="events", batch_max=9)
    return msgspec.structs.replace(shop, storage=where)


def messages():
    """The same stream in every life of the child; nothing of our own in it."""
    made = Streams(SEED, pauses_ms=(0, MINUTE, 2 * HOUR, DAY), redeliveries=False).messages(
        MESSAGES
    )
    return [m for m in made if not m.topic.startswith("$rfid3/")]


def live_until(directory: Path, slices: int) -> bool:
    """Let a child work until it has told of so many slices, then kill it; whether it was done."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(directory)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as child:
        assert child.stdout is not None
        told = b""
        while told.count(b"slice") < slices and b"done" not in told:
            ready = select.select([child.stdout], [], [], 60)[0]
            assert ready, "the child is stuck"
            piece = child.stdout.read1()
            if not piece:
                break
            told += piece
        child.send_signal(signal.SIGKILL)
    assert b"slice" in told or b"done" in told, "the child did not come so far"
    return b"done" in told


def test_no_row_of_a_day_is_lost_or_doubled_by_kill_9(tmp_path: Path) -> None:
    chance, deaths = Random(SEED), 0
    for _ in range(KILLS):
        deaths += not live_until(tmp_path, chance.randint(1, 60))
    assert deaths >= 3, "it was not killed while days were closing"
    assert live_until(tmp_path, 1 << 30)
    reader = JournalReader.open(tmp_path)
    told = [m for b in reader.batches(0) for m in b.messages if m.topic != "$rfid3/start"]
    reader.close()
    assert [m.payload for m in told] == [m.payload for m in messages()]
    assert stored(tmp_path) == kept(replay_in_small_chunks(tmp_path))


def replay_in_small_chunks(directory: Path):
    """As the child cut its rows."""
    from edge.features import history

    before = history.SLICE_ROWS, history.CHUNK_ROWS
    try:
        history.SLICE_ROWS, history.CHUNK_ROWS = {"class": 1, "item": 2}, 4
        return replay(directory, shop_at(directory))[1].history
    finally:
        history.SLICE_ROWS, history.CHUNK_ROWS = before
