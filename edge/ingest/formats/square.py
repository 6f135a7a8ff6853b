"""Square's webhook ``inventory.count.updated``: units of a catalogue object in a location.

Only the state ``IN_STOCK`` is a stock count; a change of state sends two counts, and the others
(sold, waste, in transit) are skipped. Source: developer.squareup.com.
"""

from msgspec import Raw, Struct, json

from edge.errors import FormatError
from edge.events import StockCount
from edge.ingest.formats import values
from edge.ingest.formats.checks import fault, settle
from edge.ingest.formats.reading import Object, Reading

KIND = "inventory.count.updated"


class _Counts(Struct):
    inventory_counts: list[Raw] | None = None
    object: "_Counts | None" = None


class _Envelope(Struct):
    data: _Counts


_ENVELOPE = json.Decoder(_Envelope)


def looks_like(o: Object) -> bool:
    """Whether an object is this webhook's."""
    return o.get("type") == KIND


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """All counts of one webhook, in the older and the newer shape. Raises FormatError."""
    try:
        data = _ENVELOPE.decode(raw).data
    except (ValueError, RecursionError) as error:
        raise fault(error) from None
    counts = data.inventory_counts
    if counts is None and data.object is not None:
        counts = data.object.inventory_counts
    if counts is None:
        raise FormatError("missing_field", "square: data.inventory_counts")
    if not counts:
        reading.skip()
        reading.index += 1
    head = b'{"type":"inventory.count.updated","data":{"inventory_counts":['
    identity = values.name(o.get("event_id"))
    reading.each(
        counts,
        lambda element: _read_one(element, identity, o.get("created_at"), reading),
        lambda element: head + element + b"]}}",
    )


def _read_one(raw: bytes, identity: str, created_at: object, reading: Reading) -> None:
    try:
        o = json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise fault(error) from None
    if not isinstance(o, dict):
        raise FormatError("wrong_type", "square: inventory_counts holds objects")
    if o.get("state", "IN_STOCK") != "IN_STOCK":
        reading.skip()
        return
    quantity = values.number(o.get("quantity"))
    if quantity is None:
        raise FormatError("wrong_type", "square: quantity is not a number")
    at, quality = reading.moment(o.get("calculated_at") or created_at)
    event = StockCount(
        at=at,
        time_quality=quality,
        source=reading.source.named(o.get("location_id")),
        id=f"{identity}#{reading.index}"[:128] if identity else "",
        sku=values.name(o.get("catalog_object_id")),
        quantity=quantity,
    )
    settle(event, reading.source, reading.arrival_ms)
    reading.add(event)
