"""What is refused is told in words for people: judged on what the real decoder says."""

import msgspec
import pytest

from edge.api.complaints import readable
from edge.api.native import RefusedLineError, json_event
from edge.ingest.decode import Decoder
from edge.records import Message

DECODER = Decoder([], {}, store="main", timezone="UTC", payload_max_bytes=10_000)
LINE = {"document": "R-1", "kind": "sale", "sku": "T", "line": 1}
SCAN = {"epc": "AB", "scan_type": "Rental"}

EVENTS = (
    ("pos_line", LINE | {"sku": 65020}, "sku: write a text in double quotes, not a whole number"),
    ("pos_line", LINE | {"quantity": "2"}, "quantity: write a number, not a text"),
    ("pos_line", LINE | {"line": 1.5}, "line: write a whole number, not a number"),
    (
        "pos_line",
        LINE | {"kind": "sell"},
        "kind: 'sell' is none of its words; did you mean 'sale'?",
    ),
    ("pos_line", {"kind": "sale", "sku": "T"}, "document is missing"),
    ("item_scan", SCAN | {"scan_type": "rental"}, "did you mean 'Rental'?"),
    ("item_scan", SCAN | {"scan_type": "xyz"}, "docs/events.md lists them"),
    ("item_scan", SCAN | {"defects": ["oil", "moldy"]}, "defects[1]: 'moldy' is none of its words"),
    ("item_scan", SCAN | {"by_hand": "yes"}, "by_hand: write true or false"),
    ("item_scan", SCAN | {"at": []}, "at: write a whole number or a number or a text"),
    ("item_scan", SCAN | {"sku": {"a": 1}}, "not an object in {}"),
    ("tag_read", {"epc": "AB", "count": 1 << 70}, "count: "),
)


@pytest.mark.parametrize(("kind", "event", "told"), EVENTS, ids=range(len(EVENTS)))
def test_a_refused_event_is_told_by_field_and_cure(
    kind: str, event: dict[str, object], told: str
) -> None:
    payload = (
        msgspec.json.encode(event)
        if "count" not in event
        else b'{"epc":"AB","count":%d}' % (1 << 70)
    )
    (reject,) = DECODER.decode(Message(f"$http/{kind}/till", payload, 1_700_000_000_000)).rejects
    words = readable(reject.detail)
    assert told in words
    assert not set("`$") & set(words), words


TEXTS = (
    (b'{"a":1,}', "take away the comma before the }"),
    (b'{"a":[1,]}', "take away the comma before the ]"),
    (b"{'a':1}", "names stand in double quotes"),
    (b'{"a":1} {"b":2}', "one a line"),
    (b'{"a":"\\q"}', "write a backslash in a text twice"),
    (b'{"a":1', "ends too early"),
    (b'{"a":NaN}', "no value, bracket or quote is right there"),
)


@pytest.mark.parametrize(("text", "told"), TEXTS, ids=range(len(TEXTS)))
def test_text_that_is_no_json_is_told_with_the_place_and_the_cure(text: bytes, told: str) -> None:
    with pytest.raises(RefusedLineError) as refused:
        json_event(text)
    assert refused.value.reason == "not_json"
    assert told in refused.value.detail
    assert "malformed" not in refused.value.detail
