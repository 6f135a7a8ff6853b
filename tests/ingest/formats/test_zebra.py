"""Zebra IoT Connector: every mode, batches, management events."""

from typing import Any

import pytest

from edge.events import ReaderStatus, TagRead

AT = "2026-04-01T08:15:30.250-0500"
AT_MS = 1_775_049_330_250


def tag(mode: str = "INVENTORY", **data: Any) -> dict[str, Any]:
    return {
        "data": {"format": "epc", "idHex": "E28011700001"} | data,
        "timestamp": AT,
        "type": mode,
    }


def management(kind: str, **data: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": AT, "component": "RC", "eventNum": 3, "data": data}


@pytest.mark.parametrize("mode", ["SIMPLE", "INVENTORY", "PORTAL", "CONVEYOR", "CUSTOM"])
def test_every_mode_is_a_read_with_what_it_tells(one: Any, mode: str) -> None:
    full = {"antenna": 4, "peakRssi": -57, "reads": 12, "eventNum": 77, "PC": "3000", "TID": "e2a0"}
    assert one(tag(mode, **full), "zebra/dock/data") == TagRead(
        epc="E28011700001",
        at=AT_MS,
        antenna=4,
        rssi_dbm=-57.0,
        count=12,
        seq=77,
        pc="3000",
        tid="E2A0",
        store="main",
        source="dock",
    )
    bare = one(tag(mode))
    assert (bare.antenna, bare.rssi_dbm, bare.count) == (0, None, 1)


def test_directions_are_told_where_a_portal_can(one: Any) -> None:
    assert one(tag("DIRECTIONALITY", direction="OUT")).direction == "out"
    assert one(tag("DIRECTIONALITY", direction="UNKNOWN")).direction == ""


@pytest.mark.parametrize("mode", ["RAW_DIRECTIONALITY", "DIRECTIONALITY_RAW"])
def test_an_overhead_reader_says_rssi_instead_of_peak(one: Any, mode: str) -> None:
    assert one(tag(mode, azimuth=10.5, elevation=70, rssi=-49)).rssi_dbm == -49.0


def test_a_batch_is_as_many_reads(tell: Any) -> None:
    decoded = tell([tag(idHex=f"E28011700{i:03d}") for i in range(50)])
    assert len(decoded.events) == 50
    assert decoded.format == "zebra"


def test_tags_and_management_may_share_a_batch(tell: Any) -> None:
    decoded = tell([tag(), management("heartbeat"), tag()])
    assert [type(e) for e in decoded.events] == [TagRead, ReaderStatus, TagRead]


def test_lower_case_ids_become_upper_case(one: Any) -> None:
    assert one(tag(idHex="e280ab")).epc == "E280AB"


@pytest.mark.parametrize(
    ("payload", "status", "detail"),
    [
        (management("heartbeat", radio_control={"radioConnection": "connected", "radioActivity": "active", "numTagReads": 9}), "heartbeat", "9 reads, 0 errors"),
        (management("heartbeat", radio_control={"radioConnection": "disconnected"}), "offline", "radio disconnected"),
        (management("heartbeat", radio_control={"radioActivity": "inactive"}), "offline", "radio inactive"),
        (management("heartbeat", radio_control=None), "heartbeat", "0 reads, 0 errors"),
        (management("gpi", pin=2, state="LOW"), "input", "gpi 2 LOW"),
        (management("error", message="antenna\nshort"), "error", "error: antenna short"),
        (management("warning", message="hot"), "error", "warning: hot"),
        (management("firmwareUpdateProgress"), "heartbeat", "firmwareUpdateProgress"),
    ],
)  # fmt: skip
def test_management_events_are_the_readers_health(
    one: Any, payload: object, status: str, detail: str
) -> None:
    event = one(payload, "mevents/FX1")
    assert (event.reader, event.source, event.status) == ("FX1", "FX1", status)
    assert (event.detail, event.at) == (detail, AT_MS)


def test_a_tag_without_its_id_is_refused(refused: Any) -> None:
    assert refused({"data": {"antenna": 1}, "timestamp": AT, "type": "INVENTORY"}) == [
        "missing_field"
    ]
    assert refused(tag(idHex="")) == ["bad_epc"]
    assert refused(tag(idHex=["E2"])) == ["bad_epc"]
