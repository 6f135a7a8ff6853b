"""Impinj IoT device interface: tags in base64 and hex, health, overflow, antennas, inputs."""

from typing import Any

import pytest

from edge.events import TagRead
from edge.ingest.formats.values import base64_of_hex

AT = "2026-04-01T13:15:30.250123456Z"
AT_MS = 1_775_049_330_250


def event(kind: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"timestamp": AT, "eventType": kind, f"{kind}Event": body} | more


def tag(**body: Any) -> dict[str, Any]:
    return event("tagInventory", body)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 12, 25])
@pytest.mark.parametrize("padded", [True, False])
def test_base64_ids_of_any_length_with_and_without_padding(
    one: Any, size: int, padded: bool
) -> None:
    digits = "FBEF" * (size // 2) + "FE" * (size % 2)  # has both - and _
    text = base64_of_hex(digits)
    assert one(tag(epc=text + "=" * (-len(text) % 4 if padded else 0))).epc == digits


def test_a_read_with_everything(one: Any) -> None:
    full = tag(
        epc=base64_of_hex("E28011700001"),
        epcHex="E28011700001",
        tid=base64_of_hex("E2003412"),
        antennaPort=2,
        antennaName="door",
        peakRssiCdbm=-6150,
        frequency=866900,
        pc="3000",
        lastSeenTime="2026-04-01T13:15:29.5Z",
    )
    assert one(full, "impinj/hall") == TagRead(
        epc="E28011700001",
        at=AT_MS - 750,
        antenna=2,
        rssi_dbm=-61.5,
        tid="E2003412",
        pc="3000",
        store="main",
        source="hall",
    )


def test_a_read_with_only_hex_and_one_without_event_type(one: Any) -> None:
    assert one(tag(epcHex="e2801170")).epc == "E2801170"
    old = {"timestamp": AT, "tagInventoryEvent": {"epc": "ikUCJA"}}
    assert (one(old).epc, one(old).at) == ("8A450224", AT_MS)


@pytest.mark.parametrize("epc", ["", "====", "a", "ik\nUCJA", "ik.UCJA", "ikUCJ*==", "é" * 4])
def test_what_is_not_base64_is_refused(refused: Any, epc: str) -> None:
    assert refused(tag(epc=epc)) == ["bad_epc"]


def test_a_read_without_an_id_says_what_to_switch_on(tell: Any) -> None:
    (reject,) = tell(tag(antennaPort=1)).rejects
    assert reject.reason == "missing_field"
    assert "epc" in reject.detail


@pytest.mark.parametrize(
    ("kind", "body", "status", "detail"),
    [
        ("inventoryStatus", {"inventoryStatus": 1, "status": "running"}, "online", "running"),
        ("inventoryStatus", {"status": "idle"}, "offline", "idle"),
        ("inventoryStatus", {"status": "armed"}, "offline", "armed"),
        ("inventoryTerminated", {}, "offline", "terminated"),
        (
            "antennaConnected",
            {"antennaPort": 2, "antennaName": "door"},
            "antenna",
            "door connected",
        ),
        ("antennaDisconnected", {"antennaPort": 2}, "antenna", "2 disconnected"),
        ("antennaActivation", {"antennaPort": 2}, "antenna", "2 active"),
        ("gpiTransition", {"gpi": 1, "transition": "high-to-low"}, "input", "gpi 1 high-to-low"),
    ],
)
def test_other_events_are_the_readers_health(
    one: Any, kind: str, body: dict[str, Any], status: str, detail: str
) -> None:
    found = one(event(kind, body, hostname="impinj-1"), "free/topic")
    assert (found.reader, found.status, found.at) == ("impinj-1", status, AT_MS)
    assert detail in found.detail


def test_an_antenna_event_names_its_port(one: Any) -> None:
    found = one(event("antennaDisconnected", {"antennaPort": 3}))
    assert (found.antenna, found.connected) == (3, False)


def test_an_overflow_is_a_gap_with_its_size(one: Any) -> None:
    body = {
        "firstEventTimestamp": "2026-04-01T13:15:00Z",
        "lastEventTimestamp": "2026-04-01T13:15:20Z",
        "eventsPurged": 99,
        "eventsRemaining": 1,
    }
    found = one(event("overflow", body))
    assert (found.status, found.lost_events) == ("overflow", 99)
    assert (found.gap_from, found.at) == (1_775_049_300_000, 1_775_049_320_000)


def test_events_of_newer_firmware_are_refused_by_name(tell: Any) -> None:
    (reject,) = tell(event("tagWarp", {})).rejects
    assert (reject.reason, "tagWarp" in reject.detail) == ("unsupported_event", True)
