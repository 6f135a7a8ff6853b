"""The makers' formats as written, held against the captures that makers and users have published."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.events import AnyEvent, PosLine
from edge.simulate import speak

AT_MS = 1_725_520_021_785
AT_NS = 1_772_126_017_432_087_177


def test_a_zebra_read_without_metadata_carries_only_the_tag() -> None:
    said = speak.zebra_read(AT_MS, "000000000000000000000343", mode="SIMPLE", offset_minutes=-360)
    assert said == {
        "data": {"format": "epc", "idHex": "000000000000000000000343"},
        "timestamp": "2024-09-05T01:07:01.785-0600",
        "type": "SIMPLE",
    }


def test_a_zebra_read_with_metadata_names_it_as_zebra_does() -> None:
    said = speak.zebra_read(AT_MS, "AB", antenna=2, rssi_dbm=-48, reads=4, event_number=12)
    assert said["data"] == {
        "eventNum": 12,
        "format": "epc",
        "idHex": "AB",
        "antenna": 2,
        "peakRssi": -48,
        "reads": 4,
    }


def test_an_impinj_read_has_base64url_and_no_hex_as_from_the_factory() -> None:
    said = speak.impinj_read(AT_NS, "8A450224", antenna=3, rssi_dbm=-74.0, frequency_khz=866_900)
    assert said == {
        "timestamp": "2026-02-26T17:13:37.432087177Z",
        "eventType": "tagInventory",
        "tagInventoryEvent": {
            "epc": "ikUCJA==",
            "antennaPort": 3,
            "peakRssiCdbm": -7400,
            "frequency": 866_900,
        },
    }


@given(st.binary(min_size=1, max_size=62))
def test_any_epc_survives_base64url(epc: bytes) -> None:
    text = speak.epc_base64url(epc.hex())
    assert base64.urlsafe_b64decode(text) == epc
    assert not set(text) & set("+/")


@pytest.mark.parametrize(
    ("said", "key"),
    [
        (speak.impinj_status(AT_NS, "running"), "inventoryStatusEvent"),
        (speak.impinj_overflow(AT_NS, from_ns=AT_NS - 10**9, purged=512), "overflowEvent"),
        (speak.impinj_antenna(AT_NS, antenna=2, connected=False), "antennaDisconnectedEvent"),
    ],
)
def test_an_impinj_event_is_named_twice(said: speak.Object, key: str) -> None:
    assert key in said
    assert said["eventType"] + "Event" == key


def test_a_handheld_row_leaves_out_what_is_empty() -> None:
    row = speak.rfid3_row(
        AT_MS, "42", "Return", contract_number="C1", quality="", mold=False, oil=True
    )
    assert row == {
        "tag_id": "42",
        "scan_type": "Return",
        "scan_date": "2024-09-05T07:07:01.785Z",
        "contract_number": "C1",
        "oil": True,
    }


def test_a_till_line_reads_back_from_json_and_from_messagepack() -> None:
    line = PosLine(document="R1", line=1, kind="sale", sku="CHAIR", quantity=2, at=AT_MS)
    assert msgspec.json.decode(speak.native(line), type=AnyEvent) == line
    assert msgspec.msgpack.decode(speak.native_msgpack(line), type=AnyEvent) == line
