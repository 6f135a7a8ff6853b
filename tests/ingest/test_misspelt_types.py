"""A misspelt event type is told so; it never passes for a tag read."""

import pytest

from edge.ingest.decode import Decoder
from edge.records import Message


@pytest.mark.parametrize("topic", ["$http/events/till", "rfid3/main/events/till"])
def test_a_misspelt_type_is_refused_by_its_name(topic: str) -> None:
    decoder = Decoder([], {}, store="main", timezone="UTC", payload_max_bytes=10_000)
    told = Message(topic, b'{"type":"item_lnk","epc":"E280","sku":"65001"}', 1_780_000_000_000)
    found = decoder.decode(told)
    assert found.events == []
    assert [(r.reason, "item_lnk" in r.detail) for r in found.rejects] == [("unknown_kind", True)]


def test_another_makers_type_beside_a_tag_is_none_of_ours() -> None:
    decoder = Decoder([], {}, store="main", timezone="UTC", payload_max_bytes=10_000)
    told = Message("door/reader", b'{"type":"MIFARE","uid":"94D8FC5F"}', 1_780_000_000_000)
    assert len(decoder.decode(told).events) == 1
