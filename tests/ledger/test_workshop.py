"""Parts that are replaced, what mechanics say, what was found: rows of the ledger."""

import json

import pytest

from edge.commands import Told
from edge.events import ItemLink, Maintenance
from edge.ledger import deeds
from edge.ledger.inspections import Inspection, InspectionTally, RecordInspection
from edge.ledger.ledger import Ledger
from edge.ledger.tables import TABLES
from edge.ledger.workshop import (
    LIVES_KEPT,
    Component,
    ComponentKind,
    GiveMaintenanceFeedback,
    MaintenanceFeedback,
    PutComponent,
    VerdictTally,
    linked,
    replaced,
)

DAY_MS = 86_400_000


def ledger() -> Ledger:
    return Ledger(TABLES)


def replace(
    of: Ledger, day: int, epc: str = "E1", component: str = "Drive  Belt", **more: int
) -> None:
    event = Maintenance(epc=epc, kind="replacement", component=component, at=day * DAY_MS, **more)  # type: ignore[arg-type]
    replaced(of, event, Told(day * DAY_MS + 5, day))


def test_a_life_is_counted_from_one_replacement_to_the_next() -> None:
    of = ledger()
    replace(of, 10, cost_cents=900)
    kind = of.get(ComponentKind, "drive belt")
    assert kind is not None
    assert kind.lives_days == []
    replace(of, 35, cost_cents=1_100, minutes=30)
    kind = of.get(ComponentKind, "drive belt")
    assert kind == ComponentKind(
        component="drive belt", lives_days=[25.0], replaced=2, cost_cents=2_000, minutes=30
    )
    part = of.get(Component, "E1", "drive belt")
    assert part is not None
    assert (part.installed_ms, part.replaced) == (35 * DAY_MS, 2)


def test_a_replacement_told_late_changes_nothing() -> None:
    of = ledger()
    replace(of, 35)
    before = of.save()
    replace(of, 10)
    assert of.save() == before


def test_work_that_replaces_no_part_is_no_replacement() -> None:
    of = ledger()
    replaced(of, Maintenance(epc="E1", kind="repair", component="belt", at=DAY_MS), Told(1, 1))
    replaced(of, Maintenance(epc="E1", kind="replacement", at=DAY_MS), Told(1, 1))
    assert of.count(Component) == 0


def test_only_the_newest_lives_are_kept() -> None:
    of = ledger()
    for day in range(LIVES_KEPT * 2 + 10):
        replace(of, day)
    kind = of.get(ComponentKind, "drive belt")
    assert kind is not None
    assert len(kind.lives_days) == LIVES_KEPT


def test_parts_follow_the_item_to_its_new_tag_and_leave_with_it() -> None:
    of = ledger()
    replace(of, 10, component="belt")
    replace(of, 11, component="motor")
    linked(of, ItemLink(epc="E2", action="replace", replaces="E1", at=DAY_MS), Told(20, 20))
    assert {row.epc for row in of.rows(Component).values()} == {"E2"}
    assert of.count(Component) == 2
    linked(of, ItemLink(epc="E2", action="retire", at=DAY_MS), Told(21, 21))
    assert of.count(Component) == 0


def test_a_part_can_be_told_and_its_life_counts_from_there() -> None:
    of = ledger()
    told = Told(50 * DAY_MS, 1)
    said = deeds.do(of, PutComponent(epc="E1", component="Motor", installed_ms=20 * DAY_MS), told)
    assert said[0] == "done"
    assert json.loads(said[1])["component"] == "motor"
    replace(of, 60, component="motor")
    kind = of.get(ComponentKind, "motor")
    assert kind is not None
    assert kind.lives_days == [40.0]


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (PutComponent(epc="E1", component="  "), "needs a name"),
        (PutComponent(epc="E1", component="a", installed_ms=99 * DAY_MS), "future"),
        (PutComponent(epc="E1", component="a", expected_days=-1.0), "expected_days"),
        (GiveMaintenanceFeedback(epc="E1", verdict="right", rating=6), "1 to 5"),
        (GiveMaintenanceFeedback(epc="E1", verdict="right", minutes=-1), "below 0"),
        (GiveMaintenanceFeedback(epc="E1", verdict="right", predicted=1.5), "probability"),
        (RecordInspection(epc="E1", result="pass", minutes=-1), "below 0"),
        (RecordInspection(epc="E1", result="pass", defects=["service_required"]), "cannot be pass"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(command: object, word: str) -> None:
    of = ledger()
    code, words = deeds.do(of, command, Told(50 * DAY_MS, 1))  # type: ignore[arg-type]
    assert code == "invalid"
    assert word in words
    assert of.into == {}


def test_feedback_is_kept_in_the_store_and_counted_by_verdict() -> None:
    of = ledger()
    for number, (rating, predicted) in enumerate([(5, 0.7), (0, None), (2, 0.3)]):
        command = GiveMaintenanceFeedback(
            epc="E1", verdict="right", rating=rating, predicted=predicted, work="repair", by="ann"
        )
        assert deeds.do(of, command, Told(1_000 + number, number))[0] == "done"
    rows = [row for row in of.into.values() if isinstance(row, MaintenanceFeedback)]
    assert len(rows) == 3
    assert len({row.id for row in rows}) == 3
    assert rows[0].said_by == "ann"
    tally = of.get(VerdictTally, "right")
    assert tally == VerdictTally(
        verdict="right", times=3, predicted_sum=1.0, predicted_times=2, rating_sum=7, ratings=2
    )


def test_feedback_sent_again_under_its_key_counts_once() -> None:
    of = ledger()
    command = GiveMaintenanceFeedback(epc="E1", verdict="missed", key="k1")
    first = deeds.do(of, command, Told(1_000, 1))
    assert deeds.do(of, command, Told(2_000, 2)) == first
    tally = of.get(VerdictTally, "missed")
    assert tally is not None
    assert tally.times == 1


def test_an_inspection_is_kept_in_the_store_and_counted_by_result() -> None:
    of = ledger()
    command = RecordInspection(
        epc="E1", result="repair", grade="B", grade_before="A-", defects=["rope", "rope"], minutes=7
    )
    assert deeds.do(of, command, Told(1_000, 1))[0] == "done"
    (row,) = [row for row in of.into.values() if isinstance(row, Inspection)]
    assert (row.defects, row.at_ms, row.grade) == (["rope"], 1_000, "B")
    assert of.get(InspectionTally, "repair") == InspectionTally(
        result="repair", times=1, minutes=7, defects=1
    )
