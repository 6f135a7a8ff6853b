"""The smaller readers: Speedway Connect, SmartReader, SpringCard, Starfish, ifm, Tasmota, plain."""

from typing import Any

import pytest

AT_MS = 1_775_049_330_250


def test_speedway_connect_reads_and_heartbeats(one: Any) -> None:
    flat = {
        "antennaPort": 3,
        "epc": "e2801170",
        "tid": "E2003412",
        "firstSeenTimestamp": "2026-04-01T13:15:30.25Z",
        "peakRssi": -44,
        "isHeartBeat": False,
    }
    read = one(flat)
    assert (read.epc, read.antenna, read.rssi_dbm) == ("E2801170", 3, -44.0)
    assert (read.tid, read.at) == ("E2003412", AT_MS)
    assert one({"isHeartBeat": True}).status == "heartbeat"


def test_smartreader_counts_in_microseconds_under_the_readers_name(tell: Any) -> None:
    reads = [
        {"epc": "E2801170", "firstSeenTimestamp": AT_MS * 1000 + 999, "antennaPort": 1},
        {"epc": "E2801171", "firstSeenTimestamp": 17, "peakRssi": -51.25},
        {"epc": "zz"},
        17,
    ]
    decoded = tell({"readerName": "hall-7", "mac": "00:11", "tag_reads": reads})
    first, second = decoded.events
    assert (first.source, first.at, first.time_quality) == ("hall-7", AT_MS, "reader")
    assert (second.time_quality, second.rssi_dbm) == ("arrival", -51.25)
    assert [(r.index, r.reason) for r in decoded.rejects] == [(2, "bad_epc"), (3, "wrong_type")]
    assert b'"readerName":"hall-7"' in decoded.rejects[0].payload


def test_an_empty_smartreader_report_tells_nothing(tell: Any) -> None:
    assert tell({"readerName": "hall-7", "tag_reads": []}).ignored


def test_springcard_knows_only_its_uptime(one: Any, arrival: int) -> None:
    card = {"Interface": "13.56", "Protocol": "NFC-A", "TagId": "04a1b2c3", "Uptime": "12:01.500"}
    read = one(card, "springcard/springcore/77/rdr/evt")
    assert (read.epc, read.source) == ("04A1B2C3", "77")
    assert (read.at, read.time_quality) == (arrival, "uptime")


def test_a_starfish_hub_tells_entering_staying_leaving_and_itself(tell: Any, arrival: int) -> None:
    decoded = tell([{"S": "012", "E": e, "U": "0A0B0C0D0E"} for e in "RCUSX"], "RFID/data")
    assert [type(e).__name__ for e in decoded.events] == ["TagRead"] * 3 + ["ReaderStatus"]
    assert {e.source for e in decoded.events} == {"012"}
    assert decoded.events[0].at == arrival
    assert [(r.index, r.reason) for r in decoded.rejects] == [(4, "unsupported_event")]


def test_an_ifm_gate_tells_the_direction(one: Any) -> None:
    passage = {
        "eventID": 8,
        "gateID": 4711,
        "direction": "OUT",
        "EPC": "E2801170",
        "TID": "",
        "timestamp": "2026-04-01T15:15:30+0200",
    }
    read = one([passage])
    assert (read.source, read.direction, read.seq, read.at) == ("4711", "out", 8, AT_MS - 250)


@pytest.mark.parametrize(
    ("telegram", "uid"),
    [
        ({"RC522": {"UID": "0A0B0C0D", "Data": "", "Type": "MIFARE 1KB"}}, "0A0B0C0D"),
        ({"PN532": {"UID": "0a0b0c0d", "DATA": "x"}}, "0A0B0C0D"),
        ({"RDM6300": {"UID": "00A1B2C3"}}, "00A1B2C3"),
        ({"SSerialReceived": "0102030405AA"}, "0102030405AA"),
    ],
)
def test_tasmotas_times_are_local(one: Any, telegram: dict[str, Any], uid: str) -> None:
    read = one({"Time": "2026-04-01T08:15:30"} | telegram, "tele/desk/SENSOR")
    assert (read.epc, read.source) == (uid, "desk")
    assert (read.at, read.time_quality) == (AT_MS - 250, "naive_local")


def test_tasmotas_serial_bridge_has_no_time(one: Any, arrival: int) -> None:
    read = one({"SSerialReceived": "0102030405AA"}, "tele/desk/RESULT")
    assert (read.at, read.time_quality) == (arrival, "arrival")


def test_tasmotas_last_will_is_its_status(one: Any) -> None:
    status = one(b"Offline", "tele/desk/LWT")
    assert (status.reader, status.status) == ("desk", "offline")


def test_a_tasmota_card_without_a_uid_is_refused(refused: Any) -> None:
    assert refused({"RC522": {"Type": "x"}}) == ["missing_field"]
    assert refused({"PN532": 7}) == ["missing_field"]


def test_json_with_a_tag_under_a_usual_name_is_read(one: Any) -> None:
    read = one({"tagId": "E0-04-01-50", "rssi": -61, "time": "2026-04-01T08:15:30", "device": "x"})
    assert (read.epc, read.source, read.rssi_dbm) == ("E0040150", "x", -61.0)
    assert read.time_quality == "naive_local"
    assert one({"tag_id": 1234567}).epc == "1234567"
