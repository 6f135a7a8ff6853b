"""How long bytes take to become events: µs an event by format, single and in arrays.

What it does not say: nothing about the broker, the journal, admission or features, and nothing
about payloads with errors in them, which take the slow way. Samples repeat one shape with changing
tags, so caches are as warm as in a shop with as many tags; one process, one core.

    python bench/decode.py [--json FILE] [--seconds 0.5]
"""

import argparse
import json
import platform
import time
from collections.abc import Callable

import msgspec

from edge.ingest.decode import Decoder
from edge.ingest.formats.values import base64_of_hex
from edge.records import Message

TAGS = 5_000
AT = "2026-03-01T09:30:{:02d}.{:03d}"


def _zebra(i: int) -> dict[str, object]:
    data = {"antenna": 1 + i % 4, "format": "epc", "idHex": f"E2801160{i:016X}", "peakRssi": -60}
    return {
        "data": data | {"eventNum": i, "reads": 1 + i % 3},
        "timestamp": AT.format(i % 60, i % 1000) + "-0600",
        "type": "INVENTORY",
    }


def _impinj(i: int) -> dict[str, object]:
    seen = {
        "epc": base64_of_hex(f"E2801160{i:016X}"),
        "antennaPort": 1 + i % 4,
        "peakRssiCdbm": -6000 - i % 900,
        "frequency": 866900,
        "transmitPowerCdbm": 3150,
    }
    return {
        "timestamp": AT.format(i % 60, i % 1000) + "087177Z",
        "eventType": "tagInventory",
        "tagInventoryEvent": seen,
    }


def _native(i: int) -> dict[str, object]:
    return {
        "epc": f"E2801160{i:016X}",
        "at": 1_772_300_000_000 + i,
        "antenna": 1,
        "rssi_dbm": -61.5,
    }


def _pos_line(i: int) -> dict[str, object]:
    return {
        "document": f"R{i // 3}",
        "line": i % 3,
        "kind": "sale",
        "sku": f"SKU{i % 900}",
        "quantity": 2,
        "price_cents": 1995,
        "at": AT.format(i % 60, i % 1000) + "Z",
    }


def _rfid3(i: int) -> dict[str, object]:
    return {
        "tag_id": f"425445{i:018x}",
        "scan_type": "Rental",
        "scan_date": "2026-03-01 09:30:00",
        "contract_number": f"C{i}",
        "status": "On Rent",
        "quality": "A-",
        "rental_class_id": "61885",
        "wet": "False",
        "oil": "True",
    }


def _smartreader(i: int) -> dict[str, object]:
    read = {
        "epc": f"E2801160{i:016X}",
        "firstSeenTimestamp": 1_772_300_000_000_000 + i,
        "antennaPort": 1,
        "peakRssi": -51.25,
    }
    return {"readerName": "door", "tag_reads": [read]}


def _tasmota(i: int) -> dict[str, object]:
    return {"Time": "2026-03-01T09:30:00", "RC522": {"UID": f"{i:08X}", "Type": "MIFARE"}}


def _epcis(i: int) -> dict[str, object]:
    return {
        "type": "ObjectEvent",
        "action": "OBSERVE",
        "bizStep": "shipping",
        "epcList": [f"urn:epc:id:sgtin:0614141.107346.{i}"],
        "eventTime": "2026-03-01T09:30:00.000Z",
        "eventTimeZoneOffset": "+00:00",
    }


JSON: Callable[[object], bytes] = msgspec.json.encode
PACK: Callable[[object], bytes] = msgspec.msgpack.encode
# name, topic, one element, encoder, elements in an array (1: an object)
CASES = (
    ("zebra", "zebra/dock/data", _zebra, JSON, 1),
    ("zebra array", "zebra/dock/data", _zebra, JSON, 50),
    ("impinj", "impinj/door", _impinj, JSON, 1),
    ("impinj array", "impinj/door", _impinj, JSON, 50),
    ("native tag_read", "rfid3/main/tag_read/door", _native, JSON, 1),
    ("native tag_read array", "rfid3/main/tag_read/door", _native, JSON, 50),
    ("native msgpack", "rfid3/main/tag_read/door", _native, PACK, 1),
    ("native msgpack array", "rfid3/main/tag_read/door", _native, PACK, 50),
    ("native pos_line", "rfid3/main/pos_line/till", _pos_line, JSON, 1),
    ("native pos_line array", "rfid3/main/pos_line/till", _pos_line, JSON, 50),
    ("rfid3", "handheld/1", _rfid3, JSON, 1),
    ("smartreader", "smartreader/tag", _smartreader, JSON, 1),
    ("tasmota", "tele/desk/SENSOR", _tasmota, JSON, 1),
    ("epcis event", "partner/epcis", _epcis, JSON, 1),
)


def _messages(topic: str, element: Callable[[int], object], encode: Callable[[object], bytes],
              size: int) -> list[Message]:  # fmt: skip
    """Messages that hold ``TAGS`` different tags between them."""
    return [
        Message(
            topic, encode(element(i) if size == 1 else [element(i + j) for j in range(size)]), i
        )
        for i in range(1, TAGS + 1, size)
    ]


def measure(seconds: float) -> dict[str, float]:
    """µs an event, best round, by case."""
    decoder = Decoder([], {}, store="main", timezone="America/Chicago", payload_max_bytes=1 << 20)
    result: dict[str, float] = {}
    for name, topic, element, encode, size in CASES:
        messages = _messages(topic, element, encode, size)
        decode = decoder.decode
        events = sum(len(decode(m).events) for m in messages)
        assert events == len(messages) * size, (name, events)
        best, until = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < until:
            start = time.perf_counter()
            for message in messages:
                decode(message)
            best = min(best, time.perf_counter() - start)
        result[name] = best / events * 1e6
    return result


def main() -> None:
    """Print the table; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--seconds", type=float, default=0.5, help="time a case, seconds")
    options = parser.parse_args()
    result = measure(options.seconds)
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    print(f"µs an event from bytes to events, best round; {machine}")
    for name, micros in result.items():
        print(f"  {name:24} {micros:7.2f}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "us_per_event": result}, file, indent=1)


if __name__ == "__main__":
    main()
