"""Who is let in: redeliveries by the broker's rules, duplicates by their own keys."""

import random
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge import events as e
from edge.ingest.admit import Admission, Redeliveries, id_key
from edge.records import DUP, Message, Reason

DAY = 86_400_000
AT = 1_760_000_000_000

KINDS: list[e.Event] = [
    e.StockCount(sku="A", quantity=1, at=AT),
    e.StockReceipt(sku="A", quantity=1, at=AT),
    e.Reservation(document="V", sku="A", at=AT),
    e.ItemLink(epc="E1", sku="A", at=AT),
    e.Maintenance(epc="E1", kind="wash", at=AT),
    e.PriceObserved(sku="A", price_cents=1, at=AT),
    e.Factor(factor="weather", name="t", value=1, at=AT),
    e.Review(rating=5, sku="A", at=AT),
    e.ItemScan(epc="E1", scan_type="Rental", contract="C", at=AT),
    e.PosLine(document="D", kind="sale", sku="A", line=1, at=AT),
    e.Correction(action="void_line", document="D", line=1, at=AT),
    e.Correction(action="undo_scan", epc="E1", scan_type="Rental", scanned_at=AT, at=AT),
]


def admission(redeliveries: int = 10, events: int = 1_000) -> Admission:
    return Admission(redeliveries=redeliveries, events=events, day_of=lambda at: at // DAY)


def judged(told: Admission, *events: e.Event) -> list[Reason]:
    return [told.event(event) for event in events]


def changed(event: e.Event, **fields: Any) -> e.Event:
    return msgspec.structs.replace(event, **fields)


def test_every_kind_told_twice_counts_once() -> None:
    for event in KINDS:
        first, second = judged(admission(), event, event)
        assert first is Reason.ADMITTED, event
        assert second in (Reason.DUPLICATE, Reason.BUSINESS_DUPLICATE), event


def test_another_time_is_another_event() -> None:
    for event in KINDS:
        if not isinstance(event, e.PosLine) and getattr(event, "action", "") != "undo_scan":
            assert judged(admission(), event, changed(event, at=AT + 1))[1] is Reason.ADMITTED


def test_an_id_tells_events_of_one_source_apart_and_nothing_else_does() -> None:
    told = admission()
    count = e.StockCount(sku="A", quantity=1, at=AT, id="1", source="till")
    events = [
        count,
        changed(count, id="2"),
        changed(count, source="other"),
        changed(count, at=AT + 5),
    ]
    assert judged(told, *events) == [Reason.ADMITTED] * 3 + [Reason.DUPLICATE]


def test_without_a_time_of_its_own_an_event_is_never_a_duplicate() -> None:
    for event in KINDS:
        if isinstance(event, e.PosLine) or getattr(event, "action", "") == "undo_scan":
            continue  # told apart by other means than time
        for quality in ("arrival", "uptime"):
            timeless = changed(event, time_quality=quality)
            assert judged(admission(), timeless, timeless) == [Reason.ADMITTED] * 2


def test_a_line_with_a_number_counts_once_a_day_and_kind() -> None:
    line = e.PosLine(document="D", kind="rental", sku="A", line=1, at=AT)
    events = [
        line,
        changed(line, at=AT + 1, sku="B"),
        changed(line, kind="return"),
        changed(line, line=2),
        changed(line, store="other"),
        changed(line, at=AT + DAY),
    ]
    assert judged(admission(), *events) == [
        Reason.ADMITTED,
        Reason.BUSINESS_DUPLICATE,
        *[Reason.ADMITTED] * 4,
    ]


def test_equal_lines_without_a_number_are_two_lines() -> None:
    line = e.PosLine(document="D", kind="sale", sku="A", at=AT)
    assert judged(admission(), line, line) == [Reason.ADMITTED] * 2


def test_a_scan_is_known_to_its_undoing_also_without_a_time_of_its_own() -> None:
    for quality in ("reader", "arrival"):
        told = admission()
        scan = e.ItemScan(epc="E1", scan_type="Rental", contract="C", at=AT, time_quality=quality)
        undo = e.Correction(
            action="undo_scan", epc="E1", scan_type="Rental", contract="C", scanned_at=AT, at=AT + 9
        )
        assert not told.knows_scan(undo)
        told.event(scan)
        assert told.knows_scan(undo)
        assert not told.knows_scan(changed(undo, contract="D"))
        assert judged(told, undo, changed(undo, at=AT + 10)) == [
            Reason.ADMITTED,
            Reason.BUSINESS_DUPLICATE,
        ]


def test_what_was_taken_back_may_come_again() -> None:
    for event in KINDS:
        for told_event in (event, changed(event, id="7")):
            told = admission()
            told.event(told_event)
            told.take_back()
            assert told.event(told_event) is Reason.ADMITTED


def reads(told: Admission, *rows: tuple[int, int, int], own: bool = True, **ids: str) -> list[bool]:
    item, reader, at = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    zeros = np.zeros(len(item), np.int64)
    keys = {int(place[1:]): id_key("r", text) for place, text in ids.items()}
    columns = (at, zeros, zeros, zeros, zeros)
    own_time = np.full(len(item), own)
    return told.reads(
        item.view(np.uint64), reader.view(np.uint64), columns, own_time, keys
    ).tolist()


def test_reads_are_told_apart_by_tag_reader_and_time() -> None:
    told = admission()
    rows = [(1, 1, AT), (2, 1, AT), (1, 2, AT), (1, 1, AT + 1), (1, 1, AT)]
    assert reads(told, *rows) == [True, True, True, True, False]
    assert reads(told, (2, 1, AT), own=False) == [True]
    assert reads(told, (2, 1, AT)) == [False]


def test_reads_with_an_id_are_told_apart_by_it_alone() -> None:
    told = admission()
    assert reads(told, (1, 1, AT), (1, 1, AT), (2, 1, AT), _0="a", _1="b", _2="a") == [
        True,
        True,
        False,
    ]
    assert reads(told, (9, 9, AT), own=False, _0="b") == [False]


def test_memories_survive_a_restart() -> None:
    told = admission()
    reads(told, (1, 1, AT))
    judged(told, *KINDS)
    told.redeliveries.judge([Message("t", b"x", AT, 1, 5, 1)])
    again = admission()
    again.load(told.save())
    assert reads(again, (1, 1, AT)) == [False]
    assert Reason.ADMITTED not in judged(again, *KINDS)
    assert again.redeliveries.judge([Message("t", b"x", AT, 1, 5, 1 | DUP)]) == [Reason.REDELIVERED]


# -- redeliveries -----------------------------------------------------------------------------------


class Broker:
    """The rule, written down plainly: what the broker may send again, and what may be a repeat."""

    def __init__(self, size: int) -> None:
        self.size, self.session, self.since = size, 0, 0
        self.told: list[tuple[int, int]] = []  # (packet id, payload), without redeliveries
        self.lost: set[int] = set()

    def judge(self, m: Message) -> Reason:
        if not m.packet_id:
            return Reason.ADMITTED
        payload = crc32(m.payload, len(m.topic))
        if m.session != self.session:
            self.lost = self.newest_payloads() if self.session else set()
            self.session, self.told, self.since = m.session, [], 0
        recent = self.told[-Redeliveries.AGAIN_WITHIN :]
        newest = next((p for i, p in reversed(recent) if i == m.packet_id), None)
        if m.flags & DUP and newest == payload:
            return Reason.REDELIVERED
        self.told.append((m.packet_id, payload))
        self.since += 1
        if self.since > self.size:
            self.lost = set()
        return Reason.POSSIBLE_REPEAT if payload in self.lost else Reason.ADMITTED

    def newest_payloads(self) -> set[int]:
        """Payloads of the last ``size`` messages whose packet id was not used again since."""
        start = max(len(self.told) - self.size, 0)
        return {
            payload
            for n, (packet_id, payload) in enumerate(self.told[start:], start)
            if packet_id not in {i for i, _ in self.told[n + 1 :]}
        }


def packets(chance: random.Random, many: int) -> Iterator[Message]:
    session = 1
    for _ in range(many):
        session += chance.random() < 0.05
        qos1 = chance.random() < 0.9
        flags = int(qos1) | (DUP if qos1 and chance.random() < 0.3 else 0)
        payload = b"%d" % chance.randrange(6)
        yield Message("t", payload, AT, session if qos1 else 0, chance.randint(1, 4) * qos1, flags)


@given(chance=st.randoms(use_true_random=False), size=st.integers(1, 6), many=st.integers(1, 60))
def test_redeliveries_are_judged_alike_however_they_are_cut(
    chance: random.Random, size: int, many: int
) -> None:
    broker, ours = Broker(size), Redeliveries(size)
    messages = list(packets(chance, many))
    expected = [broker.judge(m) for m in messages]
    told: list[Reason] = []
    while len(told) < many:
        piece = messages[len(told) : len(told) + chance.randint(1, 9)]
        told += ours.judge(piece) or [Reason.ADMITTED] * len(piece)
        if chance.random() < 0.2:
            saved = ours.save()
            ours = Redeliveries(size)
            ours.load(saved)
    assert told == expected
