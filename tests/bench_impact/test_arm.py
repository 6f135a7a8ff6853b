"""The arm with a daemon, whole: a real daemon, the shipped models, a few weeks of a small shop."""

from pathlib import Path

from bench.impact.arm import Plan, with_proposals, without


def test_a_daemon_that_is_only_listened_to_changes_nothing(tmp_path: Path) -> None:
    plan = Plan(seed=3, warm_days=12, days=8, kinds=(), trains=False)
    helped = with_proposals(plan, tmp_path)
    assert helped.done == {}
    assert helped.money == without(plan)


def test_what_is_carried_out_is_what_the_daemon_decided(tmp_path: Path) -> None:
    plan = Plan(seed=3, warm_days=40, days=8, trains=False)
    helped = with_proposals(plan, tmp_path)
    assert helped.done["restock"] == helped.money.actions["orders"] > 0
    assert helped.money.actions.get("prices", 0) == helped.done.get("pricing", 0)
    assert helped.money != without(plan)
