"""RFID3's vocabulary as tables: statuses, scan types, grades, defects. No logic.

Staff know these words, so they are stored as they are; unknown status texts are accepted.
Grades, defects and qualities of time are those of ``edge.events``, in its order.
"""

from typing import get_args

from edge.events import Defect, Grade, TimeQuality

# The order is the order of their numbers in a fresh state; unknown texts get the numbers after.
STATUSES: tuple[str, ...] = (
    "Unknown",
    "Ready to Rent",
    "On Rent",
    "Delivered",
    "Needs to be Inspected",
    "Repair",
    "Wash",
    "Wet",
    "Sold",
    "Missing",
)

# Columns of the class table that count its items by status.
GROUPS: tuple[str, ...] = ("ready", "on_rent", "in_service", "sold", "missing", "other")

GROUP_OF_STATUS: dict[str, str] = {
    "Unknown": "other",
    "Ready to Rent": "ready",
    "On Rent": "on_rent",
    "Delivered": "on_rent",
    "Needs to be Inspected": "in_service",
    "Repair": "in_service",
    "Wash": "in_service",
    "Wet": "in_service",
    "Sold": "sold",
    "Missing": "missing",
}

# Status after a scan that does not name one; Touch Scan never changes the status.
STATUS_AFTER_SCAN: dict[str, str] = {
    "Rental": "On Rent",
    "Delivery": "Delivered",
    "Return": "Ready to Rent",
    "Pickup": "Needs to be Inspected",
}

# A return with a defect is not ready to rent again before somebody has looked at it.
STATUS_AFTER_DEFECT = "Needs to be Inspected"

STATUS_AFTER_MAINTENANCE: dict[str, str] = {"failure": "Repair"}

OUT_SCANS = frozenset({"Rental"})
IN_SCANS = frozenset({"Return", "Pickup"})

# Worst to best; the number of a grade is its place counted from the worst, 0 = not graded.
GRADES: tuple[str, ...] = tuple(reversed([grade for grade in get_args(Grade) if grade]))
GRADE_NUMBER: dict[str, int] = {"": 0, **{grade: i + 1 for i, grade in enumerate(GRADES)}}
GRADE_TEXT: tuple[str, ...] = ("", *GRADES)

# Snapshots hold these as bits and numbers: a new word goes to the end.
DEFECTS: tuple[str, ...] = get_args(Defect)
DEFECT_BIT: dict[str, int] = {name: 1 << i for i, name in enumerate(DEFECTS)}

TIME_QUALITIES: tuple[str, ...] = get_args(TimeQuality)
