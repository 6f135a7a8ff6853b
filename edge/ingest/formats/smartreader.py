"""SmartReader, an application on the Impinj R700: a list of reads under the reader's name.

``firstSeenTimestamp`` is epoch **micro**seconds. Source: smartreader.alexconnect.io.
"""

from msgspec import Raw, Struct, json

from edge.errors import FormatError
from edge.events import TagRead, TimeQuality
from edge.ingest.formats import values
from edge.ingest.formats.checks import fault
from edge.ingest.formats.reading import Object, Reading
from edge.ingest.times import plausible


class _Envelope(Struct):
    tag_reads: list[Raw]


_ENVELOPE = json.Decoder(_Envelope)


def looks_like(o: Object) -> bool:
    """Whether an object is SmartReader's."""
    return "tag_reads" in o


def read(o: Object, raw: bytes, reading: Reading) -> None:
    """All reads of one envelope; a bad one keeps the envelope's name. Raises FormatError."""
    reader = reading.source.named(o.get("readerName") or o.get("mac"))
    try:
        elements = _ENVELOPE.decode(raw).tag_reads
    except (ValueError, RecursionError) as error:
        raise fault(error) from None
    head = b'{"readerName":' + json.encode(reader) + b',"tag_reads":['
    if not elements:
        reading.skip()
        reading.index += 1
    reading.each(
        elements,
        lambda element: _read_one(element, reader, reading),
        lambda element: head + element + b"]}",
    )


def _read_one(raw: bytes, reader: str, reading: Reading) -> None:
    try:
        o = json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise fault(error) from None
    if not isinstance(o, dict):
        raise FormatError("wrong_type", "smartreader: tag_reads holds objects")
    if "epc" not in o:
        raise FormatError("missing_field", "smartreader: epc")
    at, quality = _moment(o.get("firstSeenTimestamp"), reading)
    reading.add(
        TagRead(
            at=at,
            time_quality=quality,
            store=reading.source.store,
            source=reader,
            epc=values.hex_identity(o["epc"]),
            antenna=values.antenna(o.get("antennaPort")),
            rssi_dbm=values.rssi(o.get("peakRssi")),
            tid=values.optional_hex(o.get("tid")),
        )
    )


def _moment(told: object, reading: Reading) -> tuple[int, TimeQuality]:
    if isinstance(told, int) and plausible(told // 1_000):
        return told // 1_000, "reader"
    return reading.moment(told)
