"""Gaps: when nobody could see, told once each, and never as a departure."""

import json
from typing import Any

import pytest

from edge.core import Core
from edge.records import Gap, Message
from tests.streams import DAY, MINUTE, SECOND, START_MS, Told, config, epc, run

SILENT_MS = 120 * SECOND


class Shop:
    """A core that is told things, one message at a time."""

    def __init__(self) -> None:
        self.core, self.now, self.told, self.ordinal = Core(config()), START_MS, Told(), 0

    def say(self, topic: str, **fields: Any) -> None:
        message = Message(topic, json.dumps(fields).encode(), self.now)
        run(self.core, [message], 1, first=self.ordinal, told=self.told)
        self.ordinal += 1

    def status(self, reader: str, status: str, **fields: Any) -> None:
        self.say("rfid3/main/reader_status/x", reader=reader, status=status, **fields)

    def read(self, reader: str, number: int = 1) -> None:
        self.say("rfid3/main/tag_read/x", source=reader, epc=epc(number))

    def wait(self, ms: int) -> None:
        self.now += ms
        step = self.core.advance(self.now)
        self.told.gaps += step.effects.gaps
        self.told.timeline += step.effects.timeline

    def stay(self, reader: str) -> None:
        """The tag is read until it is surely there."""
        for _ in range(12):
            self.read(reader)
            self.wait(500)
        assert self.kinds()[-1] == "arrived"

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.told.timeline]

    def gaps(self) -> list[tuple[str, int, int, str]]:
        return [
            (g.reader, g.from_ms - START_MS, max(g.to_ms - START_MS, 0), g.reason)
            for g in self.told.gaps
        ]

    def reader(self, name: str, column: str) -> int:
        table = self.core.state.reader
        return int(table.col[column][table.keys.get(name)])


def test_offline_opens_a_gap_and_online_closes_it() -> None:
    shop = Shop()
    shop.status("r0", "offline", detail="power")
    shop.status("r0", "offline")
    assert shop.core.outages.gap_of("r0") == (START_MS, "power")
    shop.wait(5 * SECOND)
    shop.status("r0", "online")
    shop.status("r0", "online")
    assert shop.gaps() == [("r0", 0, 0, "power"), ("r0", 0, 5 * SECOND, "power")]
    assert shop.core.outages.gap_of("r0") is None
    assert shop.reader("r0", "gaps_total") == 1
    assert shop.reader("r0", "online") == 1


@pytest.mark.parametrize("word", ["heartbeat", "antenna", "input", "error", "overflow"])
def test_any_word_of_a_reader_ends_its_gap(word: str) -> None:
    shop = Shop()
    shop.status("r0", "offline")
    shop.wait(SECOND)
    shop.status("r0", word)
    assert ("r0", 0, SECOND, "offline") in shop.gaps()


def test_a_read_ends_a_gap_too() -> None:
    shop = Shop()
    shop.status("r0", "offline")
    shop.wait(SECOND)
    shop.read("r0")
    assert shop.gaps()[-1] == ("r0", 0, SECOND, "offline")


def test_a_reader_with_a_heartbeat_that_stops_is_blind_from_its_last_word() -> None:
    shop = Shop()
    shop.status("r0", "heartbeat")
    shop.wait(SILENT_MS - 1)
    assert shop.gaps() == []
    shop.wait(1)
    assert shop.gaps() == [("r0", 0, 0, "silent")]
    shop.wait(DAY)
    shop.status("r0", "heartbeat")
    assert shop.gaps()[-1] == ("r0", 0, SILENT_MS + DAY, "silent")
    assert shop.reader("r0", "gaps_total") == 1


def test_a_reader_that_never_sent_a_heartbeat_is_not_missed() -> None:
    shop = Shop()
    shop.read("r0")
    shop.wait(DAY)
    assert shop.gaps() == []


@pytest.mark.parametrize("reader", ["r0", "r1", "dock/7"])
def test_nothing_departs_while_its_reader_is_away(reader: str) -> None:
    shop = Shop()
    shop.stay(reader)
    shop.status(reader, "offline")
    shop.wait(3 * 3_600 * SECOND)
    assert "departed" not in shop.kinds()
    shop.status(reader, "online")
    shop.wait(3 * 3_600 * SECOND)
    assert shop.kinds()[-1] == "departed"


def test_nothing_departs_while_the_link_is_down() -> None:
    shop = Shop()
    shop.stay("r0")
    since = shop.now - START_MS
    shop.say("$rfid3/link", up=False)
    shop.wait(3_600 * SECOND)
    assert "departed" not in shop.kinds()
    assert shop.core.outages.gap_of("any") == (START_MS + since, "link down")
    shop.say("$rfid3/link", up=True)
    assert shop.gaps() == [
        ("", since, 0, "link down"),
        ("", since, shop.now - START_MS, "link down"),
    ]
    shop.wait(3_600 * SECOND)
    assert shop.kinds()[-1] == "departed"


def test_a_link_that_is_back_does_not_open_the_eyes_of_a_reader_that_is_away() -> None:
    shop = Shop()
    shop.stay("r0")
    shop.status("r0", "offline")
    shop.say("$rfid3/link", up=False)
    shop.say("$rfid3/link", up=True)
    shop.wait(3_600 * SECOND)
    assert "departed" not in shop.kinds()


def test_nothing_departs_for_the_time_the_daemon_was_down() -> None:
    shop = Shop()
    shop.stay("r0")
    last = shop.now - START_MS
    shop.now += 2 * DAY
    shop.say("$rfid3/start")
    shop.wait(3_600 * SECOND)
    assert "departed" not in shop.kinds()
    shop.say("$rfid3/link", up=True)
    seen = shop.now - START_MS
    assert shop.gaps() == [
        ("", last, 0, "daemon was down"),
        ("", last, seen, "daemon was down"),
    ]
    shop.wait(3_600 * SECOND)
    assert shop.kinds()[-1] == "departed"


def test_an_overflow_is_a_gap_with_what_was_lost() -> None:
    shop = Shop()
    shop.status("r0", "overflow", gap_from=START_MS - MINUTE, lost_events=7, at=START_MS - SECOND)
    assert shop.told.gaps == [Gap(0, "r0", START_MS - MINUTE, START_MS - SECOND, "overflow", 7)]
    assert shop.reader("r0", "lost_events_total") == 7
    assert shop.reader("r0", "errors_total") == 0


def test_open_gaps_survive_a_restart() -> None:
    shop = Shop()
    shop.status("r0", "offline")
    shop.say("$rfid3/link", up=False)
    arrays, blobs = shop.core.save()
    fresh = Core(config())
    fresh.load(arrays, blobs)
    assert fresh.outages.save() == shop.core.outages.save()
    assert not fresh.outages.link_up
    assert fresh.outages.gap_of("r0") == (START_MS, "offline")
