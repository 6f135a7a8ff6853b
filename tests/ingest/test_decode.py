"""Which format, which device, what becomes of bad bytes; and that the fast way is only fast."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge import config
from edge.errors import ConfigError
from edge.events import BY_KIND, Event, ItemScan, PosLine, ReaderStatus, StockCount, TagRead
from edge.ingest.decode import _MARKS, ELEMENTS_MAX, REASONS, Decoded, Decoder
from edge.ingest.times import plausible
from edge.records import Message

ARRIVAL = 1_780_000_000_000
RULES = [
    config.SourceRule(topic="dock/+/raw", format="zebra", reader_level=1, store="north"),
    config.SourceRule(topic="desk/#", format="bare", reader="desk-1", timezone="Europe/Berlin"),
    config.SourceRule(topic="keonn/#", format="mapping:keonn"),
    config.SourceRule(topic="noise/#", format="ignore"),
    config.SourceRule(topic="own/#", format="native"),
]
MAPPINGS = {
    "keonn": config.Mapping(
        items="TagReads",
        fields={"epc": "hexEpc", "antenna": "port", "at": "ts", "source": "dev"},
        scale={"at": 1000.0},
    )
}


def decoder(**more: Any) -> Decoder:
    settings_: dict[str, Any] = {
        "store": "main",
        "timezone": "America/Chicago",
        "payload_max_bytes": 100_000,
        "ignore": ["homeassistant/#"],
        "company_prefixes": ["0614141"],
    }
    return Decoder(RULES, MAPPINGS, **(settings_ | more))


DECODER = decoder()


def told(payload: object, topic: str = "some/topic", **more: int) -> Decoded:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return DECODER.decode(Message(topic, data, ARRIVAL, **more))


def one(payload: object, topic: str = "some/topic") -> Any:
    decoded = told(payload, topic)
    assert decoded.rejects == [], decoded.rejects
    assert len(decoded.events) == 1
    return decoded.events[0]


ZEBRA = {
    "data": {"antenna": 2, "eventNum": 9, "format": "epc", "idHex": "E28011700000AA", "reads": 3},
    "timestamp": "2026-04-01T08:15:30.250-0500",
    "type": "INVENTORY",
}
IMPINJ = {
    "timestamp": "2026-04-01T13:15:30.250123456Z",
    "eventType": "tagInventory",
    "tagInventoryEvent": {"epc": "ikUCJA==", "antennaPort": 3, "peakRssiCdbm": -6150},
}
SCAN = {
    "tag_id": "42544500000000000000beef",
    "scan_type": "Return",
    "scan_date": "2026-04-01 08:15:30",
}
SAMPLES: dict[str, Any] = {
    "zebra": ZEBRA,
    "zebra management": {
        "type": "heartbeat",
        "timestamp": "2026-04-01T08:15:30.250Z",
        "component": "RC",
        "eventNum": 1,
        "data": {"radio_control": {"radioConnection": "connected", "numTagReads": 5}},
    },
    "impinj": IMPINJ,
    "smartreader": {
        "readerName": "hall",
        "tag_reads": [{"epc": "E2801170", "firstSeenTimestamp": 1775049330250123}],
    },
    "speedway": {"epc": "E2801170", "antennaPort": 1, "peakRssi": -50, "isHeartBeat": False},
    "tasmota": {"Time": "2026-04-01T08:15:30", "RC522": {"UID": "0A0B0C0D"}},
    "rfid3": SCAN,
    "springcard": {"Protocol": "NFC-A", "TagId": "047DAE02", "Uptime": "1:02.500"},
    "starfish": {"S": "007", "E": "R", "U": "0A0B0C0D0E"},
    "ifm": {"eventID": 4, "gateID": 12, "direction": "OUT", "EPC": "E2801170"},
    "square": {
        "type": "inventory.count.updated",
        "data": {"inventory_counts": [{"catalog_object_id": "X", "quantity": "3"}]},
    },
    "epcis": {
        "type": "ObjectEvent",
        "action": "OBSERVE",
        "bizStep": "shipping",
        "eventTime": "2026-04-01T08:15:30Z",
        "epcList": ["urn:epc:id:sgtin:0614141.812345.6789"],
    },
    "native": {"type": "stock_count", "sku": "A", "quantity": 4},
    "generic": {"uid": "0a0b0c0d", "rssi": -40},
}


@pytest.mark.parametrize("label", SAMPLES)
def test_each_format_is_known_by_its_payload_alone_and_in_an_array(label: str) -> None:
    sample = SAMPLES[label]
    for payload in (sample, [sample], [sample, sample]):
        decoded = told(payload)
        assert decoded.format == label.split()[0]
        assert decoded.rejects == []
        assert len(decoded.events) == (len(payload) if isinstance(payload, list) else 1)


def test_the_fast_way_answers_what_the_slow_way_answers() -> None:
    for sample in SAMPLES.values():
        for payload in (sample, [sample] * 3):
            message = Message("some/topic", json.dumps(payload).encode(), ARRIVAL)
            assert DECODER.decode(message) == DECODER.decode_slowly(message)


@pytest.mark.parametrize(
    ("topic", "payload", "reader"),
    [
        ("zebra/dock7/data", ZEBRA, "dock7"),
        ("tevents/FXR1", ZEBRA, "FXR1"),
        ("free/text", ZEBRA, "free/text"),
        ("free/text", {**ZEBRA, "data": {**ZEBRA["data"], "hostName": "fx-1"}}, "fx-1"),  # type: ignore[dict-item]
        ("impinj/door/x", IMPINJ, "door"),
        ("impinj/door", {**IMPINJ, "hostname": "impinj-1"}, "impinj-1"),
        ("tele/desk/SENSOR", SAMPLES["tasmota"], "desk"),
        ("springcard/springcore/55/rdr/evt", SAMPLES["springcard"], "55"),
        ("RFID/N123/TAG", {"EPC": "E2801170"}, "N123"),
        ("RFID/data", SAMPLES["starfish"], "007"),
        ("rfid3/south/stock_count/till-2", SAMPLES["native"], "till-2"),
        ("$http/events/upload", SAMPLES["native"], "upload"),
        ("free/text", {**ZEBRA, "hostName": "fx-1"}, "fx-1"),
        ("dock/d9/raw", {**ZEBRA, "data": {**ZEBRA["data"], "hostName": "fx-1"}}, "d9"),  # type: ignore[dict-item]
        ("desk/x/y", b"d1f21b2b", "desk-1"),
        ("x" * 300, ZEBRA, "x" * 128),
    ],
)
def test_the_reader_is_named_by_rule_then_payload_then_topic(
    topic: str, payload: object, reader: str
) -> None:
    assert one(payload, topic).source == reader


def test_the_store_is_the_rules_the_topics_the_payloads_or_the_configured_one() -> None:
    assert one(ZEBRA, "dock/d9/raw").store == "north"
    assert one(SAMPLES["native"], "rfid3/south/stock_count/t").store == "south"
    assert one({**SAMPLES["native"], "store": "west"}, "rfid3/south/events/t").store == "west"
    assert one(ZEBRA).store == "main"


def test_a_rule_fixes_the_format_and_what_is_not_of_it_is_refused() -> None:
    decoded = told(IMPINJ, "dock/d9/raw")
    assert [r.reason for r in decoded.rejects] == ["unknown_format"]
    assert told(ZEBRA, "noise/1").ignored
    assert one(b"  Chair 12 ", "desk/1").epc == "Chair 12"


def test_a_rule_may_name_the_reader_and_leave_the_format_open() -> None:
    rules = [config.SourceRule(topic="tele/+/#", reader="counter", store="west")]
    mine = Decoder(rules, {}, store="m", timezone="UTC", payload_max_bytes=9_999, ignore=["tele/#"])

    def run(topic: str, payload: object) -> Decoded:
        return mine.decode(Message(topic, json.dumps(payload).encode(), ARRIVAL))

    (event,) = run("tele/desk/SENSOR", SAMPLES["tasmota"]).events
    assert (event.source, event.store) == ("counter", "west")
    assert run("tele/desk/STATE", {"Time": "2026-04-01T08:15:30"}).ignored


def test_a_mapping_reads_what_no_format_knows() -> None:
    read = one({"TagReads": [{"hexEpc": "ab:cd", "port": 2, "ts": 1775049330.25}]}, "keonn/1")
    assert (read.epc, read.antenna, read.at) == ("ABCD", 2, 1775049330250)


@pytest.mark.parametrize(
    ("payload", "status"),
    [(b"connected", "online"), (b"Online", "online"), (b"connection lost", "offline")],
)
def test_last_words_are_a_readers_status(payload: bytes, status: str) -> None:
    event = one(payload, "impinj/door/will")
    assert isinstance(event, ReaderStatus)
    assert (event.reader, event.status, event.at) == ("door", status, ARRIVAL)
    assert event.time_quality == "arrival"


@pytest.mark.parametrize("payload", [b"d1f21b2b", b"D1-F2-1B-2B\n", b'"d1:f2:1b:2b"'])
def test_a_bare_uid_is_a_read(payload: bytes) -> None:
    assert one(payload, "sensors/1/uid").epc == "D1F21B2B"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("a", b"[]"),
        ("a", b""),
        ("a", b"  "),
        ("homeassistant/tag/1/config", b"{}"),
        ("$SYS/broker/load", b"1"),
        ("$rfid3/link", b"down"),
        ("tele/desk/STATE", b'{"Time":"2026-04-01T08:15:30"}'),
        ("tele/desk/SENSOR", b'{"Time":"2026-04-01T08:15:30","DS18B20":{"Temperature":20.1}}'),
        ("discovery", b'{"topic":"x","value_template":"{{ value_json.UID }}"}'),
        ("rfid3/main/events/x", b"[]"),
        ("rfid3/main/events/x", b"\x90"),
    ],
)
def test_what_tells_nothing_is_ignored(topic: str, payload: bytes) -> None:
    decoded = told(payload, topic)
    assert decoded.ignored
    assert decoded.events == []
    assert decoded.rejects == []


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("spBv1.0/g/NDATA/n", b"\x08\x01", "unsupported_sparkplug"),
        ("a", b"hello there", "not_json"),
        ("a", b"{", "not_json"),
        ("a", b'{"a":NaN}', "not_json"),
        ("a", b'{"epc":"\\ud800"}', "not_json"),
        ("a", b"\xff\xfe\x00", "not_utf8"),
        ("a", b'{"epc":"\xff"}', "not_utf8"),
        ("a", b'{"epc":' + b"[" * 50_000, "too_deep"),
        ("a", b"[" * 50_000, "too_deep"),
        ("a", b"x" * 100_001, "too_large"),
        ("a", b"[" + b"1," * ELEMENTS_MAX + b"1]", "too_many"),
        ("a", b'{"temperature":20.5}', "unknown_format"),
        ("a", b"{}", "unknown_format"),
        ("a", b"17", "not_json"),
        ("a", b'{"epc":""}', "bad_epc"),
        ("a", b'{"epc":"a\\u0000b"}', "bad_epc"),
        ("a", b'{"epc":true}', "bad_epc"),
        ("a", b'{"x":1e999,"epc":"AB"}', "out_of_range"),
        ("rfid3/main/tag_raed/x", b"{}", "unknown_kind"),
        ("rfid3/main/tag_read/x", b"{}", "missing_field"),
        ("rfid3/main/tag_read/x", b'{"epc":"AB","count":true}', "wrong_type"),
        ("rfid3/main/tag_read/x", b'{"epc":"AB","count":0}', "out_of_range"),
        ("rfid3/main/tag_read/x", b'{"epc":"AB","at":"noon"}', "bad_time"),
        ("rfid3/main/tag_read/x", b'{"epc":"AB","source":"a\\u0007"}', "bad_text"),
        ("rfid3/main/tag_read/x", b'{"type":"item_scan","epc":"AB"}', "out_of_range"),
        ("rfid3/main/tag_read/x", b"\x81\xa3epc", "not_msgpack"),
        ("rfid3/main/events/x", b'{"type":"sold"}', "unknown_format"),
        ("a", b'{"eventType":"somethingNew","somethingNewEvent":{}}', "unsupported_event"),
    ],
)
def test_what_cannot_be_read_is_refused_whole_with_its_reason(
    topic: str, payload: bytes, reason: str
) -> None:
    decoded = told(payload, topic)
    assert decoded.events == []
    assert [r.reason for r in decoded.rejects] == [reason]
    (reject,) = decoded.rejects
    assert (reject.index, reject.payload) == (-1, payload)
    assert reason in REASONS
    assert len(reject.detail) <= 200
    assert not decoded.ignored


def test_a_bad_element_takes_no_neighbour_down() -> None:
    good, bad = json.dumps(ZEBRA).encode(), b'{"data": {"idHex":"xyz"},"type":"SIMPLE"}'
    payload = b"[" + b" , ".join([good, bad, b"7", good, b'{"a":"\xff"}', b'"d1f21b2b"']) + b"]"
    decoded = told(payload)
    assert [e.epc for e in decoded.events] == ["E28011700000AA"] * 2 + ["D1F21B2B"]  # type: ignore[attr-defined]
    assert [(r.index, r.reason) for r in decoded.rejects] == [
        (1, "bad_epc"),
        (2, "wrong_type"),
        (4, "not_utf8"),
    ]
    assert decoded.rejects[0].payload == bad
    assert decoded.rejects[1].payload == b"7"


def test_a_rejected_element_is_refused_alike_when_it_comes_alone() -> None:
    smart = {"readerName": "hall", "tag_reads": [{"epc": "?"}, {"epc": "E2"}, {}]}
    square = {
        "type": "inventory.count.updated",
        "data": {"object": {"inventory_counts": [{"quantity": "x"}, {"quantity": 1}]}},
    }
    body = {"epcisBody": {"eventList": [{"type": "ObjectEvent"}, 5, SAMPLES["epcis"]]}}
    mapped = {"TagReads": [{}, {"hexEpc": "AB"}]}
    for topic, payload, bad in (("a", smart, 2), ("a", square, 2), ("a", body, 2), ("keonn/1", mapped, 1)):  # fmt: skip
        decoded = told(payload, topic)
        assert len(decoded.rejects) == bad, decoded
        for reject in decoded.rejects:
            again = told(reject.payload, topic)
            assert [(r.reason, r.detail) for r in again.rejects] == [(reject.reason, reject.detail)]


@pytest.mark.parametrize(
    "at",
    ["1970-01-01T00:00:10Z", "0001-01-01T00:00:00Z", "2106-02-07T06:28:15Z", "", "garbage"],
)
@pytest.mark.parametrize("label", ["zebra", "impinj", "rfid3", "generic"])
def test_a_clock_that_was_never_set_loses_no_read(at: str, label: str) -> None:
    field = {"zebra": "timestamp", "impinj": "timestamp", "rfid3": "scan_date"}.get(label, "time")
    event = one({**SAMPLES[label], field: at})
    assert (event.at, event.time_quality) == (ARRIVAL, "arrival")


def test_a_time_somewhat_in_the_future_is_left_for_admission_to_judge() -> None:
    event = one({**ZEBRA, "timestamp": "2030-01-01T00:00:00.000Z"})
    assert event.time_quality == "reader"
    assert event.at > ARRIVAL


def test_a_dead_letter_played_again_keeps_its_first_arrival() -> None:
    event = told(b"d1f21b2b", origin_ms=1_770_000_000_000).events[0]
    assert event.at == 1_770_000_000_000


@pytest.mark.parametrize("at", [-(2**70), -1, 0, 2**63, 10**40, 1e300, 4.2])
def test_numbers_as_times_at_the_edges_become_the_arrival(at: float) -> None:
    event = one({"epc": "AB", "at": at}, "rfid3/main/tag_read/x")
    assert (event.at, event.time_quality) == (ARRIVAL, "arrival")


@pytest.mark.parametrize("rssi", [float("nan"), float("inf"), -1e308, 51, -151])
def test_impossible_signal_strengths_are_not_told(rssi: float) -> None:
    payload = msgspec.msgpack.encode({"epc": "AB", "rssi_dbm": rssi})
    assert one(payload, "rfid3/main/tag_read/x").rssi_dbm is None


def test_devices_nonsense_in_a_side_field_costs_only_that_field() -> None:
    data = {"idHex": "AB", "antenna": "two", "peakRssi": True, "reads": -4, "eventNum": 2**80}
    read = one({**ZEBRA, "data": data})
    assert (read.epc, read.antenna, read.rssi_dbm, read.count, read.seq) == ("AB", 0, None, 1, 0)


def test_native_events_travel_as_json_and_messagepack_alone_and_in_arrays() -> None:
    lines = [
        {"document": "R1", "line": n, "kind": "sale", "sku": "S", "quantity": n} for n in (1, 2)
    ]
    for encode in (msgspec.json.encode, msgspec.msgpack.encode):
        assert one(encode(lines[0]), "rfid3/main/pos_line/till").quantity == 1
        decoded = told(encode(lines), "rfid3/main/pos_line/till")
        assert [e.line for e in decoded.events if isinstance(e, PosLine)] == [1, 2]
        mixed = [{"type": "pos_line", **lines[0]}, {"type": "stock_count", "sku": 1}, lines[1]]
        decoded = told(encode(mixed), "rfid3/main/events/till")
        assert [type(e) for e in decoded.events] == [PosLine]
        assert [(r.index) for r in decoded.rejects] == [1, 2]
        assert told(decoded.rejects[0].payload, "rfid3/main/events/till").rejects[0].reason == (
            decoded.rejects[0].reason
        )


def test_other_formats_come_through_the_http_door_too() -> None:
    assert isinstance(one(SCAN, "$http/events/upload"), ItemScan)
    assert isinstance(one([SAMPLES["square"]], "$http/square/hook"), StockCount)
    assert isinstance(one(IMPINJ, "$http/impinj/hook"), TagRead)
    assert isinstance(one(IMPINJ, "$http/auto/hook"), TagRead)


def test_a_naive_time_is_the_rules_zone_or_the_shops() -> None:
    rule = config.SourceRule(topic="b/#", timezone="Europe/Berlin")
    berlin = Decoder([rule], {}, store="m", timezone="America/Chicago", payload_max_bytes=9_999)
    payload = json.dumps(SCAN).encode()
    assert berlin.decode(Message("b/1", payload, 1)).events[0].at == 1775024130000
    assert berlin.decode(Message("c/1", payload, 1)).events[0].at == 1775049330000


@pytest.mark.parametrize(
    ("rules", "mappings", "timezone"),
    [
        ([config.SourceRule(topic="a", format="zebar")], {}, "UTC"),
        ([config.SourceRule(topic="a", format="mapping:none")], {}, "UTC"),
        ([config.SourceRule(topic="a/#/b")], {}, "UTC"),
        ([config.SourceRule(topic="a", timezone="Mars/Base")], {}, "UTC"),
        ([], {"m": config.Mapping(kind="tagread")}, "UTC"),
        ([], {"m": config.Mapping(fields={"epcs": "a"})}, "UTC"),
        ([], {}, "Nowhere"),
    ],
)
def test_wrong_settings_are_refused_at_the_start(
    rules: list[config.SourceRule], mappings: dict[str, config.Mapping], timezone: str
) -> None:
    with pytest.raises(ConfigError):
        Decoder(rules, mappings, store="m", timezone=timezone, payload_max_bytes=1)


def test_the_memory_of_topics_is_bounded_and_changes_no_result() -> None:
    mine = decoder()
    payload = json.dumps(ZEBRA).encode()
    first = [mine.decode(Message(f"zebra/{i}/data", payload, 1)) for i in range(5_000)]
    assert len(mine._routes) <= 4_096
    assert [d.events[0].source for d in first] == [str(i) for i in range(5_000)]


# ── anything at all ───────────────────────────────────────────────────────────────────────────

TOPICS = st.sampled_from(
    [
        "some/topic",
        "zebra/d/data",
        "tele/d/SENSOR",
        "tele/d/x",
        "dock/1/raw",
        "desk/1",
        "keonn/1",
        "own/1",
        "$http/auto/x",
        "$http/events/x",
        "$http/epcis/x",
        "$http/tasmota/x",
        "$http/rfid3/x",
        "rfid3/main/events/x",
        *(f"rfid3/main/{kind}/x" for kind in BY_KIND),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["E2801170", "SIMPLE", "2026-04-01T08:15:30Z", "nan", "-1", "ikUCJA=="])
)
KEYS = sorted({k for s in SAMPLES.values() for k in s} | {"type", "epc", "at", "count", "data"})
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)


def check(message: Message, elements: int | None = None) -> None:
    """Never raises, accounts for everything, and the fast way equals the slow way."""
    decoded = DECODER.decode(message)
    assert decoded == DECODER.decode(message)
    refused = DECODER._route(message.topic)
    if refused.refused is None and not refused.ignored and len(message.payload) <= 100_000:
        slowly = DECODER.decode_slowly(message)
        if not unread_garbage(decoded, slowly):
            assert (decoded.events, decoded.rejects) == (slowly.events, slowly.rejects)
            assert decoded.ignored == slowly.ignored
    assert decoded.events or decoded.rejects or decoded.ignored
    for event in decoded.events:
        check_event(event)
    for reject in decoded.rejects:
        assert reject.reason in REASONS
        assert reject.reason != "decoder_fault", reject
        assert len(reject.detail) <= 200
    bare = message.topic == "desk/1"  # where a list is a text like any other
    if elements and not bare and all(r.index >= 0 for r in decoded.rejects) and not decoded.ignored:
        assert len(decoded.events) + len(decoded.rejects) + decoded.skipped >= elements


def unread_garbage(decoded: Decoded, slowly: Decoded) -> bool:
    """The one licence of the fast way: it does not look into fields that nobody reads."""
    return bool(slowly.rejects) and all(
        r.reason in ("not_json", "too_deep") or r.detail.startswith("Number out of range")
        for r in slowly.rejects
    )


def check_event(event: Event) -> None:
    assert type(event.at) is int
    assert event.at == ARRIVAL or plausible(event.at)
    assert event.store
    assert event.source
    for text in (event.store, event.source, event.id, getattr(event, "epc", "AB")):
        assert len(text) <= 128
        assert text.isprintable()
    if isinstance(event, TagRead):
        assert event.epc
        assert 1 <= event.count <= 1_000_000
        assert event.rssi_dbm is None or -150 <= event.rssi_dbm <= 50
    again = msgspec.json.decode(msgspec.json.encode(event), type=type(event))
    assert again == event


FUZZ = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(TOPICS, st.binary(max_size=200))
def test_random_bytes_never_raise(topic: str, payload: bytes) -> None:
    check(Message(topic, payload, ARRIVAL))


@FUZZ
@given(TOPICS, VALUES)
def test_random_json_never_raises_and_is_accounted_for(topic: str, value: object) -> None:
    payload = json.dumps(value).encode()
    check(Message(topic, payload, ARRIVAL), len(value) if isinstance(value, list) else None)


@FUZZ
@given(TOPICS, VALUES)
def test_random_messagepack_never_raises(topic: str, value: object) -> None:
    try:
        payload = msgspec.msgpack.encode(value)
    except OverflowError:
        return
    check(Message(topic, payload, ARRIVAL))


def _paths(o: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = o.items() if isinstance(o, dict) else enumerate(o) if isinstance(o, list) else ()
    return [p for k, v in items for p in ((*here, k), *_paths(v, (*here, k)))]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good sample with some values replaced or removed, alone or among good ones."""
    sample = json.loads(json.dumps(draw(st.sampled_from(list(SAMPLES.values())))))
    for _ in range(draw(st.integers(0, 3))):
        paths = _paths(sample)
        if not paths:
            break
        *way, last = draw(st.sampled_from(paths))
        target = sample
        for step in way:
            target = target[step]
        if draw(st.booleans()):
            target[last] = draw(VALUES)
        else:
            del target[last]
    good = draw(st.sampled_from(list(SAMPLES.values())))
    return json.dumps(draw(st.sampled_from([sample, [sample], [good, sample, good]]))).encode()


@FUZZ
@given(TOPICS, mutated())
def test_samples_gone_bad_never_raise_and_are_accounted_for(topic: str, payload: bytes) -> None:
    value = json.loads(payload)
    check(Message(topic, payload, ARRIVAL), len(value) if isinstance(value, list) else None)


EDGE_NUMBERS = (
    [0, 1, 2, 255, 256, -1, 10**6, 10**6 + 1, 2**63 - 1, 2**63, 2**64, 10**30, 0.0, -0.0, 1.5, -61.5,
     -150, -150.1, 50, 50.01, -15_000, -15_001, 5_000, 5_001, 1e18, None, True, "", "7", [], {}]
)  # fmt: skip
EDGE_TEXTS = (
    ["E2801170", "e2801170", "E2", "zz", "", " AB ", "A" * 128, "A" * 129, "ikUCJA==", "ikUCJA",
     "4oARYGAAAgpmgfI_", "====", "3000", "door", "d\x07r", None, 5, True, "2026-04-01T08:15:30.250Z",
     "2026-04-01T08:15:30Z", "2026-04-01 08:15:30.25-0500", "2026-04-01T08:15:30.250",
     "1970-01-01T00:00:00.000Z", "2106-02-07T00:00:00.000Z", "2106-02-06T23:59:59.999Z",
     "0000-00-00 00:00:00", "2026-04-01 08:15:30", "False", "true", "check-in", "b+",
     "A" * 127 + " B", "A\x07" + "B" * 125 + " C", " " * 300]
)  # fmt: skip
EDGES, TEXTS = st.sampled_from(EDGE_NUMBERS), st.sampled_from(EDGE_TEXTS)
ROW = (
    SCAN
    | {"contract_number": "L4412", "status": "On Rent", "quality": "A-", "common_name": "90 ROUND"}
    | {"rental_class_num": 61885, "rental_class_id": "61886", "bin_location": "NR5", "scan_by": ""}
    | {"last_scanned_by": "kim", "client_name": "c-7", "mud": "True", "wet": 1, "other": "cat hair"}
)
FULL = [
    (
        "free/topic",
        ZEBRA
        | {"data": ZEBRA["data"] | {"peakRssi": -60, "PC": "3000", "TID": "E2", "hostName": "fx"}},  # type: ignore[operator]
    ),
    (
        "free/topic",
        IMPINJ
        | {"hostname": "imp", "data": None, "type": None}
        | {
            "tagInventoryEvent": {
                "epc": "ikUCJA",
                "epcHex": "8A450224",
                "tid": "ikUC",
                "pc": "3000",
            }
            | {"antennaPort": 1, "peakRssiCdbm": -6000, "lastSeenTime": "2026-04-01T08:15:30.250Z"}
        },
    ),
    (
        "rfid3/main/tag_read/x",
        {"epc": "AB", "at": 1, "antenna": 1, "rssi_dbm": -60.0, "count": 2, "seq": 3, "tid": "E2"}
        | {"pc": "3000", "direction": "in", "store": "s", "source": "d", "id": "i"},
    ),
    ("free/topic", ROW),
    ("$http/rfid3/x", ROW),
]
FULL.append(("zebra/d/data", ZEBRA | {"hostName": "fx"}))
_NAMES = ["zebra", "impinj", "native", "rfid3", "rfid3 by topic", "zebra by topic"]
ALONE = dict(zip(_NAMES, FULL, strict=True))
OTHERS = [  # what would make a row another format's payload, or nearly
    {key: value}
    for key in ("epcisBody", "eventType", "data", "type", "fooEvent", "tag_reads", "isHeartBeat")
    for value in (None, {}, [], "stock_count", "tagInventory", {"idHex": "AB"})
] + [{"RC522": {"UID": "AB"}}, {"SSerialReceived": "AB"}, {"TagId": "AB"}, {"epc": "AB"}]


@st.composite
def nearly_ordinary(draw: st.DrawFn) -> tuple[str, bytes]:
    """An ordinary payload of the fast formats with a value or two at the edges, or left out."""
    topic, value = json.loads(json.dumps(draw(st.sampled_from(FULL))))
    for _ in range(draw(st.integers(0, 2))):
        *way, last = draw(st.sampled_from(_paths(value)))
        target = value
        for step in way:
            target = target[step]
        if draw(st.integers(0, 4)):
            target[last] = draw(EDGES | TEXTS)
        else:
            del target[last]
    return topic, json.dumps(draw(st.sampled_from([value, [value]]))).encode()


@pytest.mark.parametrize(("topic", "full"), ALONE.values(), ids=list(ALONE))
def test_fast_and_slow_agree_on_every_value_alone(topic: str, full: dict[str, Any]) -> None:
    for *way, last in _paths(full):
        for edge in (*EDGE_NUMBERS, *EDGE_TEXTS):
            value = json.loads(json.dumps(full))
            target = value
            for step in way:
                target = target[step]
            target[last] = edge
            for payload in (value, [value, full]):
                check(Message(topic, json.dumps(payload).encode(), ARRIVAL))


@pytest.mark.parametrize("topic", ["free/topic", "$http/rfid3/x", "zebra/d/data", "impinj/d"])
@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_what_makes_a_payload_anothers_is_seen_on_the_fast_way_too(
    topic: str, other: dict[str, Any]
) -> None:
    for sample in (ROW, ZEBRA, IMPINJ):
        check(Message(topic, json.dumps({**other, **sample}).encode(), ARRIVAL), 1)
        check(Message(topic, json.dumps({**sample, **other}).encode(), ARRIVAL), 1)
    spelled = json.dumps(ROW | {"fooEvent": {}}).replace("Event", "\\u0045vent")
    check(Message(topic, spelled.encode(), ARRIVAL), 1)


def test_ordinary_payloads_take_the_fast_way() -> None:
    for topic, full in FULL:
        if full.get("data", 1) is not None:  # the Impinj sample bears nulls to provoke
            route = DECODER._route(topic)
            found = [fast for _, mark, fast in _MARKS if mark in json.dumps(full).encode()]
            fast = route.fast or found[0]
            assert fast(json.dumps(full).encode(), route.source, ARRIVAL), topic


@settings(FUZZ, max_examples=1_000)
@given(nearly_ordinary())
def test_fast_and_slow_agree_at_the_edges_of_every_value(case: tuple[str, bytes]) -> None:
    check(Message(*case, ARRIVAL), 1)


@FUZZ
@given(TOPICS, mutated(), st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_samples_with_broken_bytes_never_raise(
    topic: str, payload: bytes, at: int, noise: bytes
) -> None:
    check(Message(topic, payload[:at] + noise + payload[at + len(noise) :], ARRIVAL))
