"""A line becomes one native event, or is refused with a reason."""

import msgspec
import pytest

from edge.api.native import COMMAS_MAX, CsvEvents, RefusedLineError, json_event, json_events
from edge.api.problems import Problem
from edge.events import EVENT_TYPES, AnyEvent, ItemScan, kind_of

REFUSED = {
    b"{": "not_json",
    b'{"a":NaN}': "not_json",
    b'{"a":1} {"b":2}': "not_json",
    b'{"a":' * 100_000: "not_json",
    b'{"a":"\xff"}': "not_utf8",
    b"\x00\x01": "not_json",
    b"[]": "not_an_object",
    b"12": "not_an_object",
    b"null": "not_an_object",
}


@pytest.mark.parametrize(("line", "reason"), REFUSED.items(), ids=range(len(REFUSED)))
def test_a_line_that_is_no_json_object_is_refused(line: bytes, reason: str) -> None:
    with pytest.raises(RefusedLineError) as refused:
        json_event(line)
    assert refused.value.reason == reason
    assert refused.value.detail


def test_a_json_object_passes_unchanged() -> None:
    text = b'{"type":"tag_read","big":18446744073709551616,"deep":{"x":[null]}}'
    assert json_event(b" " + text + b"\t") == text


@pytest.mark.parametrize("body", [b"", b"[1,", b'"\xff"', b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(Problem) as refused:
        json_events(body)
    assert refused.value.slug == "bad-body"


def test_a_list_with_too_many_values_is_refused_before_it_is_read() -> None:
    with pytest.raises(Problem) as refused:
        json_events(b"[" + b"1," * (COMMAS_MAX + 1) + b"1]")
    assert refused.value.slug == "body-too-large"


def test_every_field_of_every_event_type_can_be_a_column() -> None:
    for kind in EVENT_TYPES:
        names = list(kind.__struct_fields__)
        CsvEvents(",".join(names).encode(), kind_of(kind))


def test_cells_take_the_type_of_their_field() -> None:
    rows = CsvEvents(b"type,epc,antenna,rssi_dbm,at,count", "")
    text = rows.event(b"tag_read,E2801160,3,-61.5,1700000000000,")
    event = msgspec.json.decode(text, type=AnyEvent)
    assert (event.antenna, event.rssi_dbm, event.at, event.count) == (
        3,
        -61.5,
        1_700_000_000_000,
        1,
    )


def test_a_quoted_cell_may_hold_commas_and_quotes() -> None:
    rows = CsvEvents(b"epc,scan_type,name,defects", "item_scan")
    event = msgspec.json.decode(
        rows.event(b'A1,Return,"Tent, 20 m ""wide""",oil; mold'), type=ItemScan
    )
    assert (event.name, event.defects) == ('Tent, 20 m "wide"', ["oil", "mold"])


BAD_ROWS = {
    b"A1": "bad_row",
    b"A1,Return,3,4": "bad_row",
    b'A1,Return,"3': "bad_row",
    b"A1,Return,\xff": "bad_row",
    b"A1,Dance,": "bad_cell",
    b"A1,,": "bad_cell",
}


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS.items(), ids=range(len(BAD_ROWS)))
def test_a_bad_row_is_refused_by_itself(row: bytes, reason: str) -> None:
    rows = CsvEvents(b"epc,scan_type,contract", "item_scan")
    with pytest.raises(RefusedLineError) as refused:
        rows.event(row)
    assert refused.value.reason == reason
    assert refused.value.detail


def test_a_row_of_another_type_than_the_uploads_is_refused() -> None:
    rows = CsvEvents(b"type,epc", "tag_read")
    with pytest.raises(RefusedLineError):
        rows.event(b"item_scan,A1")
    assert rows.event(b",A1") == b'{"type":"tag_read","epc":"A1"}'


def test_a_cell_that_its_type_does_not_have_is_refused() -> None:
    rows = CsvEvents(b"type,epc,document", "")
    with pytest.raises(RefusedLineError) as refused:
        rows.event(b"tag_read,A1,R-7")
    assert "document" in refused.value.detail


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_than_commas_are_told_with_the_cure(separator: str) -> None:
    with pytest.raises(Problem) as refused:
        CsvEvents(separator.join(("epc", "scan_type", "contract")).encode(), "item_scan")
    assert refused.value.slug == "bad-header-row"
    assert "separated by" in refused.value.detail
    assert "by commas" in refused.value.cure


def test_a_row_with_other_separators_than_its_header_is_told_so() -> None:
    with pytest.raises(RefusedLineError) as refused:
        CsvEvents(b"epc,scan_type", "item_scan").event(b"A1;Rental")
    assert refused.value.detail == "1 cells under 2 names; separate them with commas."


def test_a_cell_is_not_asked_to_have_no_quotes() -> None:
    with pytest.raises(RefusedLineError) as refused:
        CsvEvents(b"sku,quantity", "stock_count").event(b'T,"12,5"')
    assert refused.value.detail == "quantity: write a number."


BAD_HEADERS = {
    b"epc,colour": "tag_read",
    b"epc,epc": "tag_read",
    b"epc,antenna": "",
    b"epc,scan_type": "tag_read",
    b"\xff": "tag_read",
    b'"epc': "tag_read",
}


@pytest.mark.parametrize(("header", "kind"), BAD_HEADERS.items(), ids=range(len(BAD_HEADERS)))
def test_a_bad_header_row_refuses_the_upload(header: bytes, kind: str) -> None:
    with pytest.raises(Problem) as refused:
        CsvEvents(header, kind)
    assert refused.value.slug == "bad-header-row"
