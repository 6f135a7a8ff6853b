"""A day's row adds up, and an import's account says what is odd about it and nothing else."""

from pathlib import Path

import msgspec

from edge.config import Config, Mqtt
from edge.core import Core
from edge.ledger.data_quality import DataQualityDay, Imported, row_of
from edge.records import Message
from edge.replay.quality import FileQuality
from edge.services.data_quality import Account, Silence

DAY_MS = 86_400_000
FIRST_DAY = 20_500


def line(number: int, at_ms: int, **more: object) -> bytes:
    told = {"document": f"D{number}", "line": 1, "kind": "sale", "sku": "SAW", "price_cents": 900}
    return msgspec.json.encode(told | {"quantity": 1, "at": at_ms} | more)


def test_a_days_row_is_the_rise_of_the_counters_by_what_they_mean() -> None:
    account = Account(
        counts={
            "messages": 9,
            "messages_redelivered": 1,
            "events_admitted": 4,
            "events_folded": 2,
            "events_duplicate": 3,
            "events_late": 1,
            "events_unreadable": 2,
            "dead_letters": 2,
            "dead_not_json": 1,
            "dead_future": 1,
        },
        impossible={"price_zero": 1, "untimed": 5, "gaps": 2},
        sources={"a": 1, "b": 8},
    )
    row = row_of(FIRST_DAY, account)
    assert (row.messages, row.events, row.admitted, row.duplicates) == (9, 9, 6, 4)
    assert (row.late, row.dead_letters, row.untimed, row.gaps) == (1, 2, 5, 2)
    assert row.dead == {"not_json": 1, "future": 1}
    assert row.impossible == {"future": 1, "price_zero": 1}
    assert list(row.sources) == ["b", "a"]


def test_a_core_leaves_one_row_a_day_and_begins_each_anew() -> None:
    core, rows = Core(Config(mqtt=Mqtt(enabled=False))), Imported()
    for day in range(3):
        at_ms = (FIRST_DAY + day) * DAY_MS + DAY_MS // 2
        told = [line(day, at_ms), line(day, at_ms), line(10 + day, at_ms, quantity=-1)]
        messages = [Message("rfid3/main/pos_line/till1", payload, at_ms) for payload in told]
        rows.take(core.step(messages, 3 * day).effects.rows)
    rows.take(core.advance((FIRST_DAY + 3) * DAY_MS).effects.rows)
    assert [row.day for row in rows.days] == [FIRST_DAY, FIRST_DAY + 1, FIRST_DAY + 2]
    for row in rows.days:
        assert (row.messages, row.admitted, row.duplicates, row.dead_letters) == (3, 1, 1, 1)
        assert row.sources == {"till1": 1}


def test_a_restart_in_the_middle_of_a_day_loses_nothing_of_its_account() -> None:
    at_ms = FIRST_DAY * DAY_MS + DAY_MS // 2
    config = Config(mqtt=Mqtt(enabled=False))
    core, again = Core(config), Core(config)
    core.step([Message("rfid3/main/pos_line/till1", line(1, at_ms, price_cents=0), at_ms)], 0)
    arrays, blobs = core.save()
    again.load({name: array.copy() for name, array in arrays.items()}, blobs)
    assert again.digest() == core.digest()
    assert again.watch.account(again.quality_counters()) == core.watch.account(
        core.quality_counters()
    )


def test_an_import_without_anything_odd_says_so_in_one_line() -> None:
    quality = Imported()
    quality.end(DataQualityDay(day=FIRST_DAY, messages=5, events=5, admitted=5))
    assert quality.lines() == ["Data quality: 1 days looked at, nothing odd"]


def test_an_imports_account_names_what_is_odd() -> None:
    quality = Imported()
    silence = Silence(source="till1", from_ms=FIRST_DAY * DAY_MS, expected=9.0)
    for day, more in ((0, {}), (1, {"silences": [silence]}), (9, {"silences": [silence]})):
        quality.end(
            DataQualityDay(
                day=FIRST_DAY + day,
                messages=5,
                duplicates=2,
                dead={"future": 1},
                impossible={"future": 1, "price_zero": 3},
                **more,
            )
        )
    assert quality.lines() == [
        "Data quality: 3 days looked at",
        "dead letters, future: 3",
        "impossible, price_zero: 9",
        "duplicates: 6",
        "days without anything: 7",
        "  7 from 2026-02-18",
        "sudden silences: 1",
        "  till1, from 2026-02-16 00:00 UTC; usually 9 events by then",
    ]


def test_a_file_is_judged_as_the_daemon_would(tmp_path: Path) -> None:
    quality = FileQuality()
    for number in range(600):
        at_ms = FIRST_DAY * DAY_MS + number * 60_000
        quality.see("rfid3/main/pos_line/till1", line(number // 2, at_ms), at_ms)
    told = quality.lines()
    assert told[0] == "Data quality: 1 days looked at"
    assert any(text.startswith("duplicates: ") for text in told)
