"""Rows of RFID3's own tables as JSON: scans (``tag_id`` + ``scan_type``) and items.

Traps that real rows hold: booleans as the texts "True" and "False"; ``0000-00-00 00:00:00``; a
``scan_date`` equal to ``tag_id``; dates local and without zone; ``rental_class_id`` in scans but
``rental_class_num`` in items; scan types by several names; lower-case hex. Unknown status texts
are kept. The row's own ``id`` is not: the same scan may stand in several rows.
"""

from operator import attrgetter
from typing import Any, get_args

from msgspec import Struct

from edge.errors import FormatError
from edge.events import Defect, Event, Grade, ItemLink, ItemScan, ScanType
from edge.ingest.formats import values
from edge.ingest.formats.checks import settle
from edge.ingest.formats.reading import Object, Reading, Source
from edge.ingest.formats.typed import Absent, Doubt, fast_reader
from edge.ingest.times import plausible

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

GRADES: dict[str, Grade] = {grade: grade for grade in get_args(Grade)}

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

MARK = b'"tag_id"'

_EXACT: dict[str, ScanType] = {scan_type: scan_type for scan_type in get_args(ScanType)}
_NOTHING = ("", "false", "0", "none", "no")
_EVENT_KEY, _ESCAPED = b'Event"', b"\\u"
_flags = attrgetter(*DEFECTS, "other")


class _Row(Struct, gc=False):
    """The columns of a scan that are read; values of any type until the helpers have read them."""

    tag_id: str
    scan_type: str
    scan_date: str | None = None
    contract_number: str | int | None = None
    status: str | None = None
    quality: str | None = None
    rental_class_num: str | int | None = None
    rental_class_id: str | int | None = None
    common_name: str | None = None
    bin_location: str | None = None
    scan_by: str | int | None = None
    last_scanned_by: str | int | None = None
    client_name: str | int | None = None
    dirty_or_mud: str | int | bool | None = None
    mud: str | int | bool | None = None
    leaves: str | int | bool | None = None
    oil: str | int | bool | None = None
    mold: str | int | bool | None = None
    stain: str | int | bool | None = None
    oxidation: str | int | bool | None = None
    rip_or_tear: str | int | bool | None = None
    sewing_repair_needed: str | int | bool | None = None
    grommet: str | int | bool | None = None
    rope: str | int | bool | None = None
    buckle: str | int | bool | None = None
    wet: str | int | bool | None = None
    service_required: str | int | bool | None = None
    other: str | int | bool | None = None


class _Found(_Row, gc=False):
    """A row on a topic that says nothing: without what would make it another format's."""

    epcisBody: Absent = ""  # noqa: N815 - other formats' names
    eventType: Absent = ""  # noqa: N815
    type: Absent = ""
    data: Absent = ""
    tag_reads: Absent = ""
    isHeartBeat: Absent = ""  # noqa: N815
    SSerialReceived: Absent = ""
    RC522: Absent = ""
    PN532: Absent = ""
    RDM6300: Absent = ""


_COLUMNS = _Row.__struct_fields__


def _event(row: _Row, source: Source, arrival_ms: int) -> ItemScan:
    """A scan that needs no more settling: its texts are as :func:`settle` would leave them."""
    scan = _scan(row, source, arrival_ms)
    if scan.time_quality == "arrival" and not plausible(arrival_ms):
        raise Doubt
    scan.store, scan.source = source.store, source.fallback
    return scan


fast = fast_reader(_Row, _event)
"""Ordinary scans, one or many; None where anything is out of the ordinary."""
_fast_found = fast_reader(_Found, _event)


def fast_found(payload: bytes, source: Source, arrival_ms: int) -> list[Event] | None:
    """The same where nobody has said that these are our rows."""
    if _EVENT_KEY in payload or _ESCAPED in payload:  # an older Impinj's, perhaps
        return None
    return _fast_found(payload, source, arrival_ms)


def looks_like(o: Object) -> bool:
    """Whether an object is a row of ours."""
    return "tag_id" in o and ("scan_type" in o or "rental_class_num" in o)


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """One row. Raises FormatError."""
    if "tag_id" not in o:
        raise FormatError("missing_field", "rfid3: tag_id")
    event: Event
    if o.get("scan_type") is not None:
        row = _Row(*map(o.get, _COLUMNS))  # type: ignore[arg-type]
        event = _scan(row, reading.source, reading.arrival_ms)
    else:
        event = _item(o, reading)
    settle(event, reading.source, reading.arrival_ms)
    reading.add(event)


def _scan(row: _Row, source: Source, arrival_ms: int) -> ItemScan:
    """A row's scan, whatever the types of its values. Raises FormatError."""
    at, quality = source.moment(row.scan_date, arrival_ms)
    return ItemScan(
        at=at,
        time_quality=quality,
        epc=values.identity(row.tag_id),
        scan_type=_scan_type(row.scan_type),
        contract=values.name(row.contract_number),
        status=values.free_text(row.status, 50),
        grade=_grade(row.quality),
        defects=_defects(row),
        sku=_class_of(row.rental_class_num, row.rental_class_id),
        name=values.free_text(row.common_name, 200),
        bin=values.name(row.bin_location),
        by=values.name(row.scan_by or row.last_scanned_by),
        customer=values.name(row.client_name),
    )


def _item(o: Object, reading: Reading) -> ItemLink:
    """A row of the item master: which class the tag belongs to."""
    sku = _class_of(o.get("rental_class_num"), o.get("rental_class_id"))
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
    found = _EXACT.get(told) if isinstance(told, str) else None
    return found or _scan_type_of(values.name(told))


def _scan_type_of(text: str) -> ScanType:
    found = SCAN_TYPES.get(text.lower().replace("_", " ").replace("-", " "))
    if found is None:
        raise FormatError(
            "out_of_range",
            f"scan_type {text[:40]!r}: Touch Scan, Rental, Return, Delivery or Pickup",
        )
    return found


def _grade(told: object) -> Grade:
    return GRADES.get(values.name(told).upper(), "") if told else ""


def _defects(row: _Row) -> list[Defect]:
    told = _flags(row)
    if not any(told):
        return []
    found: dict[Defect, Any] = {}
    for value, defect in zip(told, DEFECTS.values(), strict=False):
        if value and value != "False" and values.truth(value):
            found[defect] = None
    if _is_told(told[-1]):
        found["other"] = None
    return list(found)


def _is_told(other: object) -> bool:
    """Whether the text column ``other`` says anything."""
    if isinstance(other, str):
        return other.strip().lower() not in _NOTHING
    return values.truth(other)


def _class_of(number: object, id_: object) -> str:
    return values.name(number) or values.name(id_)
