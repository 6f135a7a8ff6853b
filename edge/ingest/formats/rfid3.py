"""Rows of RFID3's own tables as JSON: scans (``tag_id`` + ``scan_type``) and items.

Traps that real rows hold: booleans as the texts "True" and "False"; ``0000-00-00 00:00:00``; a
``scan_date`` equal to ``tag_id``; dates local and without zone; ``rental_class_id`` in scans but
``rental_class_num`` in items; scan types by several names; lower-case hex. Unknown status texts
are kept. The row's own ``id`` is not: the same scan may stand in several rows.
"""

from typing import Any

from edge.errors import FormatError
from edge.events import Defect, Grade, ItemLink, ItemScan, ScanType
from edge.ingest.formats import values
from edge.ingest.formats.checks import settle
from edge.ingest.formats.reading import Object, Reading

SCAN_TYPES: dict[str, ScanType] = {
    "touch scan": "Touch Scan",
    "touchscan": "Touch Scan",
    "touch": "Touch Scan",
    "rental": "Rental",
    "checkout": "Rental",
    "check out": "Rental",
    "return": "Return",
    "checkin": "Return",
    "check in": "Return",
    "delivery": "Delivery",
    "deliver": "Delivery",
    "pickup": "Pickup",
    "pick up": "Pickup",
}
"""Scan types as rows spell them, in lower case -> ours."""

GRADES: dict[str, Grade] = {
    g: g for g in ("A+", "A", "A-", "B+", "B", "B-", "C+", "C", "C-")
}  # fmt: skip

DEFECTS: dict[str, Defect] = {
    "dirty_or_mud": "dirty_or_mud",
    "mud": "dirty_or_mud",
    "leaves": "leaves",
    "oil": "oil",
    "mold": "mold",
    "stain": "stain",
    "oxidation": "oxidation",
    "rip_or_tear": "rip_or_tear",
    "sewing_repair_needed": "sewing_repair_needed",
    "grommet": "grommet",
    "rope": "rope",
    "buckle": "buckle",
    "wet": "wet",
    "service_required": "service_required",
}
"""Flag columns -> our defects. ``other`` is a text column: any words in it count."""


def looks_like(o: Object) -> bool:
    """Whether an object is a row of ours."""
    return "tag_id" in o and ("scan_type" in o or "rental_class_num" in o)


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """One row. Raises FormatError."""
    if "tag_id" not in o:
        raise FormatError("missing_field", "rfid3: tag_id")
    event = _scan(o, reading) if o.get("scan_type") is not None else _item(o, reading)
    settle(event, reading.source, reading.arrival_ms)
    reading.add(event)


def _scan(o: Object, reading: Reading) -> ItemScan:
    at, quality = reading.moment(o.get("scan_date"))
    return ItemScan(
        at=at,
        time_quality=quality,
        epc=values.identity(o["tag_id"]),
        scan_type=_scan_type(o["scan_type"]),
        contract=values.name(o.get("contract_number")),
        status=values.free_text(o.get("status"), 50),
        grade=_grade(o.get("quality")),
        defects=_defects(o),
        sku=_class_of(o),
        name=values.free_text(o.get("common_name"), 200),
        bin=values.name(o.get("bin_location")),
        by=values.name(o.get("scan_by") or o.get("last_scanned_by")),
        customer=values.name(o.get("client_name")),
    )


def _item(o: Object, reading: Reading) -> ItemLink:
    """A row of the item master: which class the tag belongs to."""
    sku = _class_of(o)
    if not sku:
        raise FormatError(
            "missing_field", "rfid3: scan_type (a scan) or rental_class_num (an item)"
        )
    at, quality = reading.moment(o.get("date_updated") or o.get("date_created"))
    return ItemLink(
        at=at,
        time_quality=quality,
        epc=values.identity(o["tag_id"]),
        sku=sku,
        name=values.free_text(o.get("common_name"), 200),
    )


def _scan_type(told: object) -> ScanType:
    text = values.name(told)
    found = SCAN_TYPES.get(text.lower().replace("_", " ").replace("-", " "))
    if found is None:
        raise FormatError(
            "out_of_range",
            f"scan_type {text[:40]!r}: Touch Scan, Rental, Return, Delivery or Pickup",
        )
    return found


def _grade(told: object) -> Grade:
    return GRADES.get(values.name(told).upper(), "")


def _defects(o: Object) -> list[Defect]:
    found: dict[Defect, Any] = {}
    for column, defect in DEFECTS.items():
        told = o.get(column)
        if told and values.truth(told):
            found[defect] = None
    other = o.get("other")
    if other and (
        values.truth(other)
        or (
            isinstance(other, str) and other.strip().lower() not in ("", "false", "0", "none", "no")
        )
    ):
        found["other"] = None
    return list(found)


def _class_of(o: Object) -> str:
    return values.name(o.get("rental_class_num")) or values.name(o.get("rental_class_id"))
