"""EPCIS 2.0 documents and single events: other companies' systems, and our own exports.

Business steps become RFID3's words by the reverse of the table we export with; a step that has no
word of ours is still an observation, so its tags become tag reads. EPC URIs become hex where that
is possible (tag URIs, pure identities, private ``https://host/epc/<HEX>``, Digital Links of known
company prefixes); other URIs stay as they are, a text.

What has no item and no stock in it (sensor reports, transformations of bulk goods) is refused with
``unsupported_event``: counted and kept, never guessed.

Source: GS1 EPCIS 2.0 and CBV 2.0.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Raw, Struct, json

from edge.errors import FormatError
from edge.events import (
    Correction,
    Event,
    ItemLink,
    ItemScan,
    Maintenance,
    StockCount,
    StockReceipt,
    TagRead,
    TimeQuality,
)
from edge.ingest import epc
from edge.ingest.formats import values
from edge.ingest.formats.checks import fault, settle
from edge.ingest.formats.reading import ELEMENTS_MAX, Object, Reading, Source
from edge.ingest.formats.values import HEX, NAME_MAX

EVENT_TYPES = (
    "ObjectEvent",
    "AggregationEvent",
    "TransactionEvent",
    "TransformationEvent",
    "AssociationEvent",
)


class _Events(Struct):
    eventList: list[Raw] | None = None  # noqa: N815 - EPCIS's own field names
    queryResults: "_Results | None" = None  # noqa: N815
    event: Raw | None = None


class _Results(Struct):
    resultsBody: _Events  # noqa: N815


class _Document(Struct):
    epcisBody: _Events  # noqa: N815


_DOCUMENT = json.Decoder(_Document)


def looks_like(o: Object) -> bool:
    """Whether an object is an EPCIS document, a query result or a single event."""
    return "epcisBody" in o or (o.get("type") in EVENT_TYPES and "eventTime" in o)


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """Every event of a document, or a single event. Raises FormatError."""
    if "epcisBody" not in o:
        _read_event(o, reading)
        return
    try:
        body = _DOCUMENT.decode(raw).epcisBody
    except (ValueError, RecursionError) as error:
        raise fault(error) from None
    if body.queryResults is not None:
        body = body.queryResults.resultsBody
    events = body.eventList if body.eventList is not None else [body.event] if body.event else None
    if events is None:
        raise FormatError("missing_field", "epcis: epcisBody.eventList")
    if not events:
        reading.skip()
        reading.index += 1
    reading.each(
        events,
        lambda element: _read_raw(element, reading),
        lambda element: b'{"epcisBody":{"eventList":[' + element + b"]}}",
    )


def _read_raw(raw: bytes, reading: Reading) -> None:
    try:
        o = json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise fault(error) from None
    if not isinstance(o, dict):
        raise FormatError("wrong_type", "epcis: eventList holds objects")
    _read_event(o, reading)


# ── one event ─────────────────────────────────────────────────────────────────────────────────


class _What(Struct):
    """What every event we make of one EPCIS event shares."""

    at: int
    quality: TimeQuality
    source: str
    id: str
    step: str
    action: str
    disposition: str
    place: str
    contract: str


def _read_event(o: Object, reading: Reading) -> None:
    """All that one EPCIS event tells, or nothing of it. Raises FormatError."""
    kind = o.get("type")
    maker = _KINDS.get(kind) if isinstance(kind, str) else None
    if maker is None:
        raise FormatError("unsupported_event", f"epcis: type {values.name(kind)[:40]!r}")
    if not isinstance(o.get("eventTime"), str):
        raise FormatError("missing_field", "epcis: eventTime")
    what = _what(o, reading)
    found = maker(o, what, reading.source)
    declared = o.get("errorDeclaration")
    undo = "undo" if isinstance(declared, dict) else ""  # it carries the id of what it undoes
    if isinstance(declared, dict):
        found = _undone(found, declared, reading)
    if not found:
        raise FormatError("unsupported_event", _NOTHING.get(kind, f"epcis: {kind} names no item"))
    for number, event in enumerate(found):
        if what.id:
            event.id = f"{what.id[: NAME_MAX - 12]}#{undo}{number}"
        settle(event, reading.source, reading.arrival_ms)
    reading.add(*found)


_NOTHING: dict[Any, str] = {
    "ObjectEvent": "epcis: no epcList, and no counted quantityList; sensor reports are not read",
    "TransformationEvent": "epcis: a transformation without EPCs; bulk goods are not tracked",
}


def _what(o: Object, reading: Reading) -> _What:
    at, quality = reading.moment(o["eventTime"])
    if quality == "arrival":
        _must_be_time(o["eventTime"], reading)
    point = _place(o.get("readPoint"))
    return _What(
        at,
        quality,
        reading.source.named(point) if point else reading.source.named(),
        _event_id(o.get("eventID")),
        _word(o.get("bizStep")),
        values.name(o.get("action")),
        _word(o.get("disposition")),
        _place(o.get("bizLocation")),
        _contract(o.get("bizTransactionList")),
    )


def _must_be_time(text: str, reading: Reading) -> None:
    try:
        reading.source.times.parse(text)
    except ValueError:
        raise FormatError("bad_time", f"epcis: eventTime {text[:40]!r}") from None


def _event_id(told: object) -> str:
    """The event's id; a hash id loses its prefix, so that it keeps its digits when cut."""
    return values.name(told.removeprefix("ni:///sha-256;")) if isinstance(told, str) else ""


def _word(told: object) -> str:
    """``shipping`` from the bare word, the URN or the web vocabulary; own URIs by their tail.

    >>> _word("urn:epcglobal:cbv:bizstep:shipping"), _word("https://ref.gs1.org/cbv/BizStep-shipping")
    ('shipping', 'shipping')
    """
    text = values.name(told)
    tail = text.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    head, _, rest = tail.partition("-")
    return rest if rest and head.lower() in ("bizstep", "disp") else tail


def _place(told: object) -> str:
    return values.name(told.get("id")) if isinstance(told, dict) else ""


def _contract(told: object) -> str:
    """The number at the end of the first business transaction that is a contract, else any."""
    found = [t for t in told if isinstance(t, dict)] if isinstance(told, list) else []
    found.sort(key=lambda t: "contract" not in values.name(t.get("type")).lower())
    text = values.name(found[0].get("bizTransaction")) if found else ""
    return text.rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _undone(found: list[Event], declared: Object, reading: Reading) -> list[Event]:
    """An error declaration takes scans back; reads and counts cannot be taken back."""
    at, quality = reading.moment(declared.get("declarationTime"))
    undone: list[Event] = [
        Correction(
            at=at,
            time_quality=quality,
            source=event.source,
            action="undo_scan",
            epc=event.epc,
            contract=event.contract,
            scan_type=event.scan_type,
            scanned_at=event.at,
        )
        for event in found
        if isinstance(event, ItemScan)
    ]
    if not undone:
        raise FormatError("unsupported_event", "epcis: errorDeclaration of an event without a scan")
    return undone


# ── whose tags ────────────────────────────────────────────────────────────────────────────────


def identity_of_uri(uri: object, source: Source) -> str:
    """A tag's identity from an EPC URI: hex where possible, else the text. Raises FormatError."""
    if not isinstance(uri, str):
        raise FormatError("wrong_type", "epcis: an EPC must be a URI text")
    text = uri.strip()
    head, _, tail = text.rpartition("/epc/")
    if head.startswith(("https://", "http://")) and 0 < len(tail) <= NAME_MAX:
        digits = tail.upper()
        if not digits.strip(HEX):
            return digits
    try:
        if text.startswith("urn:epc:"):
            return epc.encode(epc.from_uri(text), words=True)
        if text.startswith(("https://", "http://")):
            return epc.encode(epc.from_link(text, source.company_prefixes), words=True)
    except FormatError:
        pass
    return values.identity(text)


def sku_of_class(uri: object) -> str:
    """A class: the GTIN where the URI names one, else the URI.

    >>> sku_of_class("urn:epc:idpat:sgtin:4012345.044444.*")
    '04012345444445'
    """
    text = values.name(uri)
    for prefix in ("urn:epc:idpat:sgtin:", "urn:epc:class:lgtin:"):
        if text.startswith(prefix):
            company, _, rest = text.removeprefix(prefix).partition(".")
            item = rest.partition(".")[0]
            digits = item[:1] + company + item[1:]
            if len(digits) == 13 and digits.isascii() and digits.isdigit():
                return epc.with_check_digit(digits)
    return epc.gtin_of_link(text) or text


def _tags(o: Object, field: str, source: Source) -> list[str]:
    told = o.get(field)
    if told is None:
        return []
    if not isinstance(told, list):
        raise FormatError("wrong_type", f"epcis: {field} must be a list")
    if len(told) > ELEMENTS_MAX:
        raise FormatError("too_many", f"epcis: {field} has {len(told)}, at most {ELEMENTS_MAX}")
    return [identity_of_uri(uri, source) for uri in told]


def _classes(o: Object, field: str) -> list[tuple[str, float]]:
    """(class, quantity) of each counted entry of a quantity list."""
    told = o.get(field)
    found = []
    for entry in told if isinstance(told, list) else []:
        if isinstance(entry, dict) and entry.get("quantity") is not None:
            amount = values.number(entry["quantity"])
            if amount is None:
                raise FormatError("wrong_type", f"epcis: {field}.quantity is not a number")
            found.append((sku_of_class(entry.get("epcClass")), amount))
    return found


# ── business steps in our words ───────────────────────────────────────────────────────────────

_Maker = Callable[[str, _What], Event]


def _common(what: _What) -> dict[str, Any]:
    return {"at": what.at, "time_quality": what.quality, "source": what.source}


def _seen(tag: str, what: _What) -> Event:
    return TagRead(**_common(what), epc=tag)


def _scan(scan_type: Any, status: str = "", *, binned: bool = False) -> _Maker:
    def make(tag: str, what: _What) -> Event:
        place = what.place if binned else ""
        return ItemScan(
            **_common(what),
            epc=tag,
            scan_type=scan_type,
            status=status,
            by_hand=scan_type == "Touch Scan" and bool(status),
            contract=what.contract,
            bin=place,
        )

    return make


def _upkeep(kind: Any, statuses: dict[str, str], otherwise: str) -> _Maker:
    def make(tag: str, what: _What) -> Event:
        status = statuses.get(what.disposition, otherwise)
        return Maintenance(**_common(what), epc=tag, kind=kind, status=status)

    return make


def _counted(tag: str, what: _What) -> Event:
    """Stock taking finds an item, or finds that it is gone."""
    gone = what.disposition in ("unknown", "stolen")
    return _scan("Touch Scan", "Missing" if gone else "")(tag, what)


def _bound(tag: str, what: _What) -> Event:
    return ItemLink(**_common(what), epc=tag, action="bind", sku=_gtin(tag))


def _retired(tag: str, what: _What) -> Event:
    return ItemLink(**_common(what), epc=tag, action="retire")


def _gtin(tag: str) -> str:
    """The class an SGTIN tag names by itself."""
    try:
        return epc.decode(tag).gtin
    except FormatError:
        return ""


STEPS: dict[str, _Maker] = {
    "shipping": _scan("Rental"),
    "arriving": _scan("Delivery"),
    "collecting": _scan("Pickup"),
    "receiving": _scan("Return"),
    "cycle_counting": _scan("Touch Scan"),
    "stock_taking": _counted,
    "storing": _scan("Touch Scan", "Ready to Rent", binned=True),
    "retail_selling": _scan("Touch Scan", "Sold"),
    "holding": _scan("Touch Scan", "Needs to be Inspected"),
    "inspecting": _upkeep("inspection", {"conformant": "Ready to Rent"}, "Needs to be Inspected"),
    "repairing": _upkeep("repair", {"available": "Ready to Rent"}, "Repair"),
    "laundering": _upkeep("wash", {"available": "Ready to Rent"}, "Wash"),
    "commissioning": _bound,
    "decommissioning": _retired,
    "destroying": _retired,
}
"""Business step -> our event; every other step is an observation, a tag read."""


def _objects(o: Object, what: _What, source: Source) -> list[Event]:
    make = STEPS.get(what.step, _seen)
    found = [make(tag, what) for tag in _tags(o, "epcList", source)]
    return found + _stock(o, "quantityList", what)


def _stock(o: Object, field: str, what: _What) -> list[Event]:
    """Counted classes: stock taking sets the ledger, receiving adds to it, other steps neither."""
    if what.step in ("stock_taking", "cycle_counting"):
        return [StockCount(**_common(what), sku=s, quantity=n) for s, n in _classes(o, field)]
    if what.step == "receiving":
        return [StockReceipt(**_common(what), sku=s, quantity=n) for s, n in _classes(o, field)]
    return []


def _transaction(o: Object, what: _What, source: Source) -> list[Event]:
    parent = _tags({"p": [o["parentID"]]}, "p", source) if o.get("parentID") else []
    make = STEPS.get(what.step, _seen)
    return [_seen(p, what) for p in parent] + [make(t, what) for t in _tags(o, "epcList", source)]


def _together(o: Object, what: _What, source: Source) -> list[Event]:
    """Aggregation and association: parent and children were seen together at the read point."""
    parent = _tags({"p": [o["parentID"]]}, "p", source) if o.get("parentID") else []
    return [_seen(tag, what) for tag in (*parent, *_tags(o, "childEPCs", source))]


def _transformation(o: Object, what: _What, source: Source) -> list[Event]:
    """Inputs are no more, outputs are new."""
    gone = [_retired(tag, what) for tag in _tags(o, "inputEPCList", source)]
    return gone + [_bound(tag, what) for tag in _tags(o, "outputEPCList", source)]


_KINDS: dict[str, Callable[[Object, _What, Source], list[Event]]] = {
    "ObjectEvent": _objects,
    "TransactionEvent": _transaction,
    "AggregationEvent": _together,
    "AssociationEvent": _together,
    "TransformationEvent": _transformation,
}
