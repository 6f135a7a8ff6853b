"""What people found when they looked at an item. Pure.

The look itself is an ordinary event beside the command (grade, defects, status), so that features
and history learn of it; here stands what they said.
"""

import hashlib
from typing import ClassVar, Literal

from msgspec import Struct, field

from edge.commands import Command, Done, Outcome, Refused, Told
from edge.events import Defect, Grade
from edge.ledger.ledger import Deed, Ledger, Table

Result = Literal["pass", "repair", "wash", "retire"]
"""What follows: nothing, a repair, a wash, or the item's end."""


class Inspection(Struct, frozen=True, kw_only=True):
    """One look at an item."""

    id: str
    """Derived from the item and the command."""
    epc: str
    """The item."""
    at_ms: int
    """When."""
    result: Result
    """What follows."""
    grade: str = ""
    """Grade given, A+ to C-; empty: none."""
    grade_before: str = ""
    """Grade it had."""
    defects: list[str] = []
    """Defects found."""
    minutes: int = 0
    """How long it took."""
    note: str = ""
    """Free words."""
    said_by: str = ""
    """Who looked, pseudonymous."""


class InspectionTally(Struct, frozen=True, kw_only=True):
    """How often looks ended in this way."""

    result: Result
    """Which."""
    times: int = 0
    """How often."""
    minutes: int = 0
    """How long these took together."""
    defects: int = 0
    """Defects found in them."""


TABLES = (
    Table("inspections", Inspection, ("id",), 0, kept="none"),
    Table("inspection_results", InspectionTally, ("result",), 8),
)


class RecordInspection(Command, tag="record_inspection", kw_only=True):
    """Record what was found."""

    noted: ClassVar[frozenset[str]] = frozenset({"grade_before"})

    epc: str
    """The item."""
    result: Result
    """What follows."""
    grade: Grade = ""
    """Grade given; empty: none."""
    grade_before: Grade = ""
    """Grade it had."""
    defects: list[Defect] = field(default_factory=list)
    """Defects found."""
    minutes: int = 0
    """How long it took."""
    note: str = ""
    """Free words."""


def record_inspection(ledger: Ledger, command: RecordInspection, told: Told) -> Outcome:
    """The row, and the result counted."""
    if command.minutes < 0:
        return Refused("invalid", "minutes cannot be below 0")
    if command.result == "pass" and "service_required" in command.defects:
        return Refused("invalid", "service_required was found, so result cannot be pass")
    unique = f"{command.epc}\x1f{command.key or told.ordinal}"
    row = Inspection(
        id=hashlib.sha256(unique.encode()).hexdigest()[:24],
        epc=command.epc,
        at_ms=told.at_ms,
        result=command.result,
        grade=command.grade,
        grade_before=command.grade_before,
        defects=[*dict.fromkeys(command.defects)],
        minutes=command.minutes,
        note=command.note,
        said_by=command.by,
    )
    ledger.put(row)
    before = ledger.get(InspectionTally, row.result) or InspectionTally(result=row.result)
    ledger.put(
        InspectionTally(
            result=row.result,
            times=before.times + 1,
            minutes=before.minutes + row.minutes,
            defects=before.defects + len(row.defects),
        )
    )
    return Done(row)


DEEDS: dict[type[Command], Deed] = {RecordInspection: record_inspection}
