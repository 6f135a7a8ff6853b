"""Work within a budget: what takes too much is ended, whole, and whoever watches goes on."""

import os
import time
from pathlib import Path

import msgspec

from trainer.budget import Budget, Ended, run

PREFACE = """
import sys, os, time, json, subprocess
order = sys.stdin.read()
def answer(value): print(json.dumps({"answer": value}), flush=True)
"""


def program(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "work.py"
    path.write_text(PREFACE + text)
    return [str(path)]


def test_an_answer_comes_back_with_what_it_took(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    text = """
print(json.dumps({"say": "half", "share": 0.5}), flush=True)
print("a library that talks")
kept = bytearray(os.urandom(1)) * 60_000_000
time.sleep(1.5)
answer(order.upper())
"""
    outcome = run(program(tmp_path, text), b"do it", Budget(), lambda *said: told.append(said))
    assert outcome.ended is Ended.DONE
    assert msgspec.json.decode(outcome.answer) == "DO IT"
    assert told == [("half", 0.5)]
    assert outcome.spent.peak_mb > 60
    assert outcome.spent.seconds >= 1.5


def test_what_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    text = """
kept = []
while True:
    kept.append(bytearray(b"x") * 4_000_000)
    time.sleep(0.002)
"""
    outcome = run(program(tmp_path, text), b"", Budget(memory_mb=80))
    assert outcome.ended is Ended.MEMORY
    assert bytes(outcome.answer) == b""
    assert "80 MB" in outcome.detail


def test_memory_of_children_counts(tmp_path: Path) -> None:
    text = """
child = "import time; kept = bytearray(b'x') * 150_000_000; time.sleep(600)"
subprocess.run([sys.executable, "-c", child])
"""
    outcome = run(program(tmp_path, text), b"", Budget(memory_mb=100, seconds=300))
    assert outcome.ended is Ended.MEMORY


def test_a_burst_faster_than_the_watch_is_stopped_by_the_kernel(tmp_path: Path) -> None:
    text = """
from trainer.budget import Budget, limit_self
limit_self(Budget(memory_mb=200, nice=0))
kept = bytearray(b"x") * 2_000_000_000
answer(1)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    outcome = run(program(tmp_path, text), b"", Budget(memory_mb=200), environment=environment)
    assert outcome.ended is Ended.MEMORY
    assert outcome.spent.peak_mb < 400


def test_what_takes_too_long_is_ended_with_all_its_children(tmp_path: Path) -> None:
    text = f"""
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(tmp_path / "child")!r}, "w").write(str(child.pid))
time.sleep(600)
"""
    child_file = tmp_path / "child"
    for seconds in (0.6, 6.0, 60.0):  # a slow machine has not come as far as its child
        outcome = run(program(tmp_path, text), b"", Budget(seconds=seconds))
        assert outcome.ended is Ended.TIME
        if child_file.exists() and child_file.read_text():
            break
    child = int(child_file.read_text())
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}/cmdline").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}/cmdline").exists()


def test_what_breaks_says_why(tmp_path: Path) -> None:
    outcome = run(program(tmp_path, "raise ValueError('no such column')"), b"", Budget())
    assert outcome.ended is Ended.CRASHED
    assert "no such column" in outcome.detail


def test_no_answer_is_no_success(tmp_path: Path) -> None:
    assert run(program(tmp_path, ""), b"", Budget()).ended is Ended.CRASHED


def test_it_steps_back_for_others(tmp_path: Path) -> None:
    text = """
from trainer.budget import Budget, limit_self
limit_self(Budget(nice=12))
limit_self(Budget(nice=12))
answer(os.nice(0))
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    outcome = run(program(tmp_path, text), b"", Budget(), environment=environment)
    assert msgspec.json.decode(outcome.answer) >= 12
