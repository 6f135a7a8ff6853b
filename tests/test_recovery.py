"""Snapshot plus replay, and what stands in their way: damage, poison, other versions, pulled plugs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge import recovery
from edge.core import Core
from edge.errors import JournalBroken, Rfid3Error
from edge.features import business
from edge.records import Batch, Effects, Message
from edge.recovery import Marks, Recovered, apply_batch, header_of, recover
from edge.storage.journal import Journal
from edge.storage.snapshots import path_of, write_snapshot
from tests.streams import START_MS, Streams
from tests.streams import config as shop_config

CONFIG = shop_config()
ROOT = Path(__file__).resolve().parents[1]


def opened(directory: Path) -> Journal:
    return Journal.open(directory, msgspec.structs.replace(CONFIG.storage, disk_reserve_bytes=0))


def recovered(directory: Path) -> Recovered:
    journal = opened(directory)
    try:
        return recover(CONFIG, journal, directory)
    finally:
        journal.close()


def grow(directory: Path, messages: list[Message], size: int = 9, effects: bool = False) -> Core:
    """A journal of these messages in batches; an uninterrupted core that has seen them."""
    core, journal = Core(CONFIG), opened(directory)
    for start in range(0, len(messages), size):
        part, tail = messages[start : start + size], journal.last()
        batch = Batch(tail.seq + 1, tail.next_ordinal, part[-1].arrival_ms + 3, part)
        journal.append(batch)
        left = Effects.empty()
        apply_batch(core, batch, left)
        if effects:
            journal.append_effects(left, batch.seq)
    journal.close()
    return core


def snapshot(directory: Path, seq: int) -> None:
    """What the daemon would have written after batch ``seq``."""
    core, journal = Core(CONFIG), opened(directory)
    for batch in journal.batches(0, seq):
        apply_batch(core, batch, Effects.empty())
    write_snapshot(directory, header_of(core, seq), *core.save(), compress=True)
    journal.close()


def rows(effects: Effects) -> list[list[str]]:
    """Effects without regard to their order: they are stored by key."""
    lists = (effects.dead_letters, effects.timeline, effects.gaps)
    return [sorted(map(repr, entries)) for entries in lists]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def messages() -> list[Message]:
    return Streams(3).messages(300)


def test_from_any_snapshot_on_the_state_is_the_uninterrupted_one(
    tmp_path: Path, messages: list[Message]
) -> None:
    core = grow(tmp_path, messages)
    for seq in (0, 1, 17, 33, 34):
        if seq:
            snapshot(tmp_path, seq)
        found = recovered(tmp_path)
        assert (found.snapshot_seq, found.seq) == (seq, 34)
        assert found.core.digest() == core.digest()


def test_a_damaged_snapshot_costs_a_longer_replay_and_nothing_else(
    tmp_path: Path, messages: list[Message]
) -> None:
    core = grow(tmp_path, messages)
    snapshot(tmp_path, 10)
    snapshot(tmp_path, 30)
    damage(path_of(tmp_path, 30))
    found = recovered(tmp_path)
    assert found.snapshot_seq == 10
    assert found.core.digest() == core.digest()
    damage(path_of(tmp_path, 10))
    found = recovered(tmp_path)
    assert (found.snapshot_seq, found.replayed) == (0, 300)
    assert found.core.digest() == core.digest()


def test_a_snapshot_of_another_catalogue_is_not_used(
    tmp_path: Path, messages: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = grow(tmp_path, messages)
    snapshot(tmp_path, 30)
    monkeypatch.setattr(recovery, "STATE_LAYOUT", "of the next version")
    found = recovered(tmp_path)
    assert (found.snapshot_seq, found.replayed) == (0, 300)
    assert found.core.digest() == core.digest()


def test_a_snapshot_of_a_journal_that_is_no_longer_here_is_not_used(
    tmp_path: Path, messages: list[Message]
) -> None:
    grow(tmp_path / "old", messages)
    snapshot(tmp_path / "old", 34)
    core = grow(tmp_path / "new", messages[:90])
    shutil.copy(path_of(tmp_path / "old", 34), tmp_path / "new")
    found = recovered(tmp_path / "new")
    assert (found.snapshot_seq, found.seq) == (0, 10)
    assert found.core.digest() == core.digest()


def test_without_a_snapshot_a_trimmed_journal_gives_what_it_still_holds(
    tmp_path: Path, messages: list[Message]
) -> None:
    grow(tmp_path, messages)
    journal = opened(tmp_path)
    while journal.trim(1 << 62, 20):
        pass
    rest = Core(CONFIG)
    for batch in journal.batches(20):
        apply_batch(rest, batch, Effects.empty())
    journal.close()
    found = recovered(tmp_path)
    assert found.core.digest() == rest.digest()


def test_a_damaged_journal_is_said_to_be_damaged(tmp_path: Path, messages: list[Message]) -> None:
    grow(tmp_path, messages, size=2)
    journal = opened(tmp_path)
    journal._connection.execute("UPDATE batch SET blob = x'00' WHERE seq = 5")
    journal.close()
    with pytest.raises(JournalBroken, match="batch 5 is damaged"):
        recovered(tmp_path)
    assert Marks.load(tmp_path).poisoned == []


def test_effects_that_are_not_stored_come_again_and_no_others(
    tmp_path: Path, messages: list[Message]
) -> None:
    grow(tmp_path, messages[:180], effects=True)
    journal = opened(tmp_path)
    core, told = Core(CONFIG), Effects.empty()
    for batch in journal.batches(0):
        apply_batch(core, batch, Effects.empty())
    for start in range(180, 300, 12):
        tail = journal.last()
        part = messages[start : start + 12]
        batch = Batch(tail.seq + 1, tail.next_ordinal, part[-1].arrival_ms, part)
        journal.append(batch)
        apply_batch(core, batch, told)
    journal.close()
    snapshot(tmp_path, 15)
    found = recovered(tmp_path)
    assert found.effects == told
    assert told.timeline


# -- poison ---------------------------------------------------------------------------------------

REVIEW = b'{"type":"review","sku":"A","rating":5,"text":"%s"}'


def poisoned(messages: list[Message], at: int) -> list[Message]:
    """The same with a message that the patched handlers cannot bear."""
    return [
        *messages[:at],
        Message("rfid3/main/events/s1", REVIEW % b"poison", messages[at].arrival_ms),
        *messages[at:],
    ]


def judge_of(messages: list[Message], at: int) -> tuple[Core, Effects]:
    """An uninterrupted core that has been told beforehand whom to set aside."""
    core, effects = Core(CONFIG), Effects.empty()
    core.poisoned = frozenset([at])
    for start in range(0, len(messages), 9):
        part = messages[start : start + 9]
        apply_batch(core, Batch(1, start, part[-1].arrival_ms + 3, part), effects)
    return core, effects


def test_a_message_that_raises_is_set_aside_in_the_same_start_and_the_others_live(
    tmp_path: Path, messages: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = poisoned(messages, 100)
    grow(tmp_path, messages)
    real = business.HANDLERS[business.Review]

    def handler(state: Any, event: Any, arrival_ms: int) -> bool:
        if event.text == "poison":
            raise ZeroDivisionError("a mistake of ours")
        return real(state, event, arrival_ms)

    monkeypatch.setitem(business.HANDLERS, business.Review, handler)
    found = recovered(tmp_path)
    judge, effects = judge_of(messages, 100)
    assert found.core.digest() == judge.digest()
    assert rows(found.effects) == rows(effects)
    letters = [(d.ordinal, d.payload) for d in found.effects.dead_letters if d.reason == "poison"]
    assert letters == [(100, REVIEW % b"poison")]
    # the next start knows
    assert Marks.load(tmp_path) == Marks(poisoned=[100])
    assert recovered(tmp_path).core.digest() == judge.digest()


# Recovers with a handler that ends the process; prints the digest when it gets through.
CHILD = """
import os, signal, sys
from pathlib import Path
from edge.features import business
from tests.test_recovery import recovered

how, real = sys.argv[2], business.HANDLERS[business.Review]

def handler(state, event, arrival_ms):
    if event.text == "poison":
        if how == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGSEGV)
    return real(state, event, arrival_ms)

business.HANDLERS[business.Review] = handler
print(recovered(Path(sys.argv[1])).core.digest())
"""


def start(directory: Path, how: str, script: str = CHILD) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, str(directory), how],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("how", ["exit", "crash"])
def test_a_message_that_kills_the_process_is_found_and_set_aside(
    tmp_path: Path, messages: list[Message], how: str
) -> None:
    messages = poisoned(messages, 100)
    grow(tmp_path, messages)
    # two plain attempts, two careful ones, and the one that comes up
    for _ in range(5):
        ended = start(tmp_path, how)
        if ended.returncode == 0:
            break
    assert ended.returncode == 0, ended.stderr[-2_000:]
    judge, _ = judge_of(messages, 100)
    assert ended.stdout.split()[-1] == judge.digest()
    assert Marks.load(tmp_path) == Marks(poisoned=[100])


# Dies once in careful mode at a message that the argument names, for no reason of the message.
PLUG = """
import os, sys
from pathlib import Path
from edge.core import Core
from tests.test_recovery import recovered

left, real = int(sys.argv[2]), Core.step

def step(self, messages, first):
    if left and first + len(messages) > left:
        os._exit(9)
    return real(self, messages, first)

Core.step = step
print(recovered(Path(sys.argv[1])).core.digest())
"""


def test_plugs_pulled_during_replay_poison_nobody(tmp_path: Path, messages: list[Message]) -> None:
    core = grow(tmp_path, messages)
    for dies_at in (50, 50, 60, 61, 200, 7):
        assert start(tmp_path, str(dies_at), PLUG).returncode == 9
    ended = start(tmp_path, "0", PLUG)
    assert ended.stdout.split()[-1] == core.digest()
    assert Marks.load(tmp_path) == Marks()


def test_a_message_that_fails_although_it_was_set_aside_ends_the_start(
    tmp_path: Path, messages: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(tmp_path, messages)
    real = Core.advance

    def advance(self: Core, now_ms: int) -> Any:
        if self.next_ordinal > 90:
            raise ZeroDivisionError("not a message's fault")
        return real(self, now_ms)

    monkeypatch.setattr(Core, "advance", advance)
    for _ in range(3):
        with pytest.raises(Rfid3Error, match="no message is at fault"):
            recovered(tmp_path)
    assert Marks.load(tmp_path).poisoned == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"attempts": "many"}', os.urandom(40)])
def test_damaged_marks_are_as_none(tmp_path: Path, messages: list[Message], content: bytes) -> None:
    core = grow(tmp_path, messages[:50])
    (tmp_path / "replay.json").write_bytes(content)
    assert recovered(tmp_path).core.digest() == core.digest()
    assert Marks.load(tmp_path) == Marks()


def test_an_empty_journal_gives_an_empty_state(tmp_path: Path) -> None:
    found = recovered(tmp_path)
    assert (found.seq, found.replayed) == (0, 0)
    assert found.core.now_ms == 0 < START_MS
