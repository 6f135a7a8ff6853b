"""Answers that are codes, and what each code means in words. Tables; no model is asked here.

A graph answers with numbers only, so a velocity class arrives as 0 and a partner as its number in the
manifest's ``extra``. Nobody should have to know that.
"""

from collections.abc import Mapping, Sequence

import msgspec

from edge.features.words import GRADE_TEXT
from edge.inference.manifest import Column, Manifest, Service

CODES: dict[tuple[Service, str], tuple[str, ...]] = {
    ("inventory", "abc"): ("A", "B", "C"),
    ("inventory", "xyz"): ("X", "Y", "Z"),
    ("inventory", "pattern"): ("smooth", "erratic", "intermittent", "lumpy"),
    ("pricing", "evidence"): ("nothing", "its category's prices", "its own prices"),
    ("pricing", "extrapolated"): ("within the prices charged", "outside of the prices charged"),
    ("quality", "grade"): GRADE_TEXT,
}
"""(service, column) -> the words of 0, 1, 2 …"""

SILENT: dict[Service, tuple[str, float]] = {"pricing": ("evidence", 0.0)}
"""Service -> (column, its value when nothing is known): then every other number means nothing."""

PARTNER = "partner_"
"""Columns of ``packs`` that number a class in the manifest's ``extra.classes``; below 0: none."""
NOBODY = "none"
SEPARATOR = "\x1f"


def word(service: Service, column: Column, value: float | None, names: Sequence[str]) -> str:
    """What a value means; empty: it is no code. ``names``: see :func:`named`.

    >>> word("inventory", Column(name="abc", unit="1"), 2.0, ())
    'C'
    """
    if value is None:
        return ""
    at = round(value)
    if service == "packs" and column.name.startswith(PARTNER):
        return names[at] if 0 <= at < len(names) else NOBODY
    words = CODES.get((service, column.name), ())
    return words[at] if 0 <= at < len(words) else ""


def named(manifest: Manifest) -> list[str]:
    """SKUs of the classes that a manifest numbers; empty: it numbers none."""
    told = manifest.extra.get("classes") if manifest.service == "packs" else None
    try:
        keys = msgspec.json.decode(told, type=list[str]) if told is not None else []
    except msgspec.DecodeError:
        return []
    return [key.partition(SEPARATOR)[2] or key for key in keys]


def silent(service: Service, told: Mapping[str, float | None]) -> str:
    """The one column that still means something where nothing is known; empty: all of them do."""
    column, nothing = SILENT.get(service, ("", 0.0))
    value = told.get(column)
    return column if value is not None and round(value) == nothing else ""
