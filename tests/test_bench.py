"""Every bench goes through all its steps at a tiny size and tells its figures. No speed is asserted."""

import io
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from bench import __main__ as command
from bench import bytewax_peer, harness, shops
from bench.daemon import DaemonError
from bench.harness import Bench, Context, Figure, Result, Run
from bench.workload import Workload, arriving, epc, shop, skewed, uniform
from edge.core import Core

NAMES = [bench.name for bench in command.BENCHES]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory):
    made = Context(tmp_path_factory.mktemp("bench"), quick=True, tiny=True)
    yield made
    shops.close(made)


@pytest.mark.parametrize("name", NAMES)
def test_every_bench_tells_its_figures_and_what_they_do_not_say(name, context) -> None:
    (bench,) = command.chosen([name])
    found = bench.measure(context)
    assert found.name == name
    assert found.caveat.startswith("What ")
    assert found.figures or "left out" in found.notes[0]
    assert all(rows for rows in found.tables.values())
    again = msgspec.json.decode(msgspec.json.encode(found), type=Result)
    assert [f.name for f in again.figures] == [f.name for f in found.figures]


@pytest.mark.parametrize("name", NAMES)
def test_the_documents_describe_every_bench(name) -> None:
    text = (Path(__file__).parent.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert f"## `{name}`" in text


def test_without_bytewax_the_comparison_is_left_out_and_says_so(context, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "bytewax.operators", None)
    found = bytewax_peer.measure(context)
    assert found.figures == []
    assert "3.13" in found.notes[0]


def test_the_peers_rings_are_right_beside_a_sum_over_all_events() -> None:
    chance = np.random.default_rng(4)
    at_ms = np.sort(chance.integers(0, 40 * 3_600_000, 400)).tolist()
    for windows in bytewax_peer.WINDOWS.values():
        rings = bytewax_peer.Rings(windows)
        for moment in at_ms:
            rings.add([(moment, 2)])
        now_ms = at_ms[-1] + 200_000
        expected = tuple(
            sum(2 for m in at_ms if m // width > now_ms // width - buckets)
            for _, buckets, width in windows
        )
        assert rings.totals(now_ms) == expected


def test_the_workload_is_read_whole_and_refused_nowhere() -> None:
    core = Core(shop())
    drawn = uniform(300, 2_000, 1)
    messages = arriving(Workload(1).messages(drawn, 1_772_000_000_000, 2e3), 1_772_000_000_000, 2e3)
    step = core.step(messages, 0)
    assert step.events == 2_000
    assert step.effects.dead_letters == []
    assert "events_duplicate" not in core.state.counters
    assert set(core.state.item.keys.keys()) <= {epc(i) for i in range(300)}


def test_the_same_seed_gives_the_same_messages() -> None:
    drawn = uniform(50, 100, 2)
    once, again = (list(Workload(9).messages(drawn, 10**12, 100)) for _ in range(2))
    assert once == again


def test_skewed_draws_stay_inside_and_prefer_a_few() -> None:
    drawn = skewed(1_000, 20_000, 3)
    assert drawn.min() >= 0
    assert drawn.max() < 1_000
    most = np.sort(np.bincount(drawn))[::-1]
    assert most[:10].sum() > 0.3 * 20_000


def _result(value: float) -> Result:
    figure = Figure(name="rate", value=value, better="higher", goal=10.0)
    return Result(name="made_up", title="Made up", caveat="What it does not say.", figures=[figure])


def test_a_miss_is_shown_as_a_miss_and_a_change_as_better_or_worse() -> None:
    console = Console(record=True, width=120, file=io.StringIO())
    harness.show(console, _result(8.0), _result(16.0))
    text = console.export_text()
    assert "≥ 10: MISSED" in text
    assert "16 (-50 %, worse)" in text


def test_accepting_a_part_of_a_run_keeps_the_rest(tmp_path) -> None:
    path = tmp_path / "accepted.json"
    harness.accept(Run(machine={"processor": "a"}, results={"one": _result(1.0)}), path)
    harness.accept(Run(machine={"processor": "b"}, results={"two": _result(2.0)}), path)
    kept = harness.read(path)
    assert kept is not None
    assert sorted(kept.results) == ["one", "two"]
    assert kept.machine == {"processor": "b"}


def test_a_run_writes_a_file_a_bench_and_one_for_all(tmp_path) -> None:
    harness.write(Run(machine={"processor": "a"}, results={"one": _result(1.0)}), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"one.json", "latest.json"}


def test_a_bench_that_fails_is_said_and_does_not_end_the_run(tmp_path) -> None:
    def failing(context: Context) -> Result:
        raise DaemonError("the daemon ended: no room")

    benches = [Bench("first", "First", failing), Bench("second", "Second", lambda _: _result(1.0))]
    console = Console(record=True, width=200, file=io.StringIO())
    found = command.run(benches, Context(tmp_path), console)
    assert list(found.results) == ["second"]
    assert "first: the daemon ended: no room" in console.export_text()


def test_a_run_shows_the_machine_and_survives_being_stopped(tmp_path) -> None:
    def stopped(context: Context) -> Result:
        raise KeyboardInterrupt

    benches = [Bench("first", "First", lambda _: _result(11.0)), Bench("second", "Second", stopped)]
    console = Console(record=True, width=200, file=io.StringIO())
    found = command.run(benches, Context(tmp_path), console)
    assert list(found.results) == ["first"]
    assert "Machine:" in console.export_text()
