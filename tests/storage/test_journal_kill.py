"""Kill -9 at random moments: what was confirmed is there, once, in order, and whole.

The kernel outlives the process here, so this shows what survives a crash of the daemon. A power
cut also takes what the kernel had not yet written; that cannot be staged without pulling a plug.
What stands against it is ``synchronous=FULL`` (a test beside this one counts the syncs).
"""

import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from edge.config import Storage
from edge.records import Message
from edge.storage.journal import Journal

KILLS = 30
SEED = 20_260_801

# Appends for ever and says each seq once it is committed: batches of all sizes, effects now and
# then, trimming, checkpoints far more often than in the daemon. With "early" it says the seq
# before the commit: the mistake this test exists to find.
CHILD = """
import sys
from random import Random
from edge.config import Storage
from edge.records import Batch, DeadLetter, Effects, Message, TimelineEntry
from edge.storage import journal as module
from edge.storage.journal import Journal

directory, early = sys.argv[1], sys.argv[2] == "early"
module.IDLE_CHECKPOINT_BYTES = 20_000
journal = Journal.open(directory, Storage(disk_reserve_bytes=0))
chance = Random(journal.last().seq)
unstored = list(journal.batches(journal.effects_seq))
while True:
    tail = journal.last()
    n = chance.choice([0, 1, 3, 20, 300])
    first = tail.next_ordinal
    batch = Batch(tail.seq + 1, first, tail.seq * 50, [
        Message("t", b"%d" % o * 30, o + 1, 1) for o in range(first, first + n)
    ])
    if early:
        print(batch.seq, batch.first + n, flush=True)
    if chance.random() < 0.3 and unstored:
        found = [m for b in unstored for m in b.messages]
        start = unstored[0].first
        lines = [TimelineEntry(start + i, 0, "E", m.arrival_ms, "k", "") for i, m in enumerate(found)]
        journal.append(batch, Effects([], lines, []), unstored[-1].seq)
        unstored.clear()
    else:
        journal.append(batch)
    if not early:
        print(batch.seq, batch.first + n, flush=True)
    unstored.append(batch)
    journal.checkpoint_if_due()
    if chance.random() < 0.05:
        journal.trim(first - 3_000, tail.seq - 5)
"""


def run_and_kill(directory: Path, when: str, lines: int, delay_s: float) -> tuple[int, int]:
    """Let a child commit ``lines`` times and a moment more, kill it; the last (seq, next) it said."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(directory), when], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        said = b""
        deadline = time.monotonic() + 300
        while said.count(b"\n") < lines and time.monotonic() < deadline:
            if select.select([child.stdout], [], [], 1)[0]:
                said += os.read(child.stdout.fileno(), 65_536)
        time.sleep(delay_s)  # not to wait for anything: only to die at another instruction
        child.send_signal(signal.SIGKILL)
        said += child.stdout.read()
    assert said.count(b"\n") >= lines, "the child did not come so far"
    seq, following = said[: said.rindex(b"\n")].split(b"\n")[-1].split()
    return int(seq), int(following)


def check(directory: Path, confirmed: tuple[int, int]) -> None:
    """All that was said is there; the rest is a whole batch more at most; effects are exact."""
    journal = Journal.open(directory, Storage(disk_reserve_bytes=0))
    try:
        tail = journal.last()
        assert tail.seq in (confirmed[0], confirmed[0] + 1), (tail, confirmed)
        assert tail.seq > confirmed[0] or tail.next_ordinal == confirmed[1], (tail, confirmed)
        ordinal = None
        for batch in journal.batches(journal.reader.oldest_seq() - 1):
            ordinal = batch.first if ordinal is None else ordinal
            assert batch.first == ordinal
            assert batch.messages == [
                Message("t", b"%d" % o * 30, o + 1, 1)
                for o in range(ordinal, ordinal + len(batch.messages))
            ]
            ordinal += len(batch.messages)
        assert ordinal == tail.next_ordinal
        stored = [o for (o,) in journal._connection.execute("SELECT ordinal FROM timeline")]
        assert sorted(stored) == list(range(ordinal_after(journal, journal.effects_seq)))
    finally:
        journal.close()


def ordinal_after(journal: Journal, seq: int) -> int:
    """The first ordinal whose effects are not stored."""
    if seq == 0:
        return 0
    (batch,) = journal.batches(seq - 1, seq)
    return batch.first + len(batch.messages)


def test_no_confirmed_batch_is_lost_or_doubled_by_kill_9(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    for _ in range(KILLS):
        confirmed = run_and_kill(tmp_path, "late", chance.randint(1, 60), chance.random() * 0.02)
        check(tmp_path, confirmed)


def test_confirming_before_the_commit_is_found_out(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    for attempt in range(200):
        directory = tmp_path / str(attempt)
        seq, following = run_and_kill(directory, "early", 1 + attempt % 5, chance.random() * 0.01)
        try:
            check(directory, (seq, following))
        except AssertionError:
            return
    raise AssertionError("confirming too early went unnoticed")
