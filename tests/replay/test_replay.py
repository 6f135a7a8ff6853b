"""``rfid3 replay`` as a user runs it, through a real broker; and its speeds and shifts."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.broker import Broker
from edge.clock import ManualClock, SystemClock
from edge.config import Mqtt
from edge.ingest.inbox import Inbox
from edge.ingest.mqtt import MqttSource, publisher
from edge.records import Message
from edge.replay.run import Replay, Speed, parse_speed
from edge.simulate.brake import DaemonAwayError, received
from tests.corridor import until
from tests.replay.rows import InMemory, plan_of

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
ROWS = (
    "536366,B,HAND WARMER,6,2010-12-01 08:28:00,1.85,17850,United Kingdom\n"
    "536365,A,HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
    "536365,A,HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
    "C536379,D,DISCOUNT,-1,2010-12-01 09:41:00,27.50,14527,United Kingdom\n"
    "536370,A,HOLDER,many,soon,2.55,,France,and,more\n"
    "536371,A,HOLDER,many,2010-12-01 09:50:00,n/a,,France\n"
)


END = "tests/end"
"""What is published last."""


async def run_and_hear(broker: Broker, topic: str, *args: str) -> tuple[list[Message], int, str]:
    """Everything that a subscriber was sent while the command ran; its exit code and stderr."""
    inbox = Inbox(10_000, 1 << 24)
    settings = Mqtt(
        port=broker.port,
        client_id="listener",
        subscriptions=[topic, END],
        status_topic="",
        session_expiry_s=0,
    )
    listener = MqttSource(settings, inbox, clock=SystemClock(), session=0, clock_mode="events")
    listening = asyncio.create_task(listener.run())
    try:
        await until(lambda: listener.subscribed)
        address = f"127.0.0.1:{broker.port}"
        command = [sys.executable, "-m", "edge", "replay", *args, "--broker", address]
        process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
        _, err = await asyncio.wait_for(process.communicate(), 300)
        async with publisher(Mqtt(port=broker.port), "end") as teller:
            await teller.publish(END, b"", qos=1)
        messages: list[Message] = []
        while not messages or messages[-1].topic != END:
            await until(lambda: len(inbox) > 0)
            taken, tokens = inbox.take(1_000)
            listener.acknowledge([token for token in tokens if isinstance(token, int)])
            messages += taken
        assert process.returncode is not None
        return messages[:-1], process.returncode, err.decode()
    finally:
        listening.cancel()
        await asyncio.wait({listening})


@pytest.fixture
def invoices(tmp_path: Path) -> Path:
    path = tmp_path / "invoices.csv"
    path.write_text(HEADER + ROWS, encoding="utf-8")
    return path


def test_a_file_is_replayed_in_order_of_time_and_every_row_is_accounted_for(
    broker: Broker, invoices: Path
) -> None:
    messages, code, err = asyncio.run(
        run_and_hear(
            broker, "rfid3/+/pos_line/#", str(invoices), "--mapping", "invoices", "--store", "west"
        )
    )
    assert code == 0, err
    told = [json.loads(message.payload) for message in messages]
    assert [said["document"] for said in told] == [
        "536365",
        "536365",
        "536366",
        "C536379",
        "536371",
    ]
    assert [said["line"] for said in told] == [1, 2, 1, 1, 1]
    assert told[-1]["quantity"] == "many"
    assert {message.topic for message in messages} == {"rfid3/west/pos_line/till"}
    assert [message.arrival_ms for message in messages] == [said["at"] for said in told]
    assert "6 rows read; they were not in the order" in err
    assert "5 rows published, as 5 acknowledged messages" in err
    assert "1 rows skipped: more cells than columns" in err
    assert "\x1b" not in err


def test_a_replay_shifted_to_now_says_now(broker: Broker, invoices: Path) -> None:
    before = SystemClock().now_ms()
    messages, code, err = asyncio.run(
        run_and_hear(
            broker,
            "rfid3/#",
            str(invoices),
            "--mapping",
            "invoices",
            "--shift",
            "now",
            "--limit",
            "3",
        )
    )
    assert code == 0, err
    assert len(messages) == 3
    for message in messages:
        assert before <= json.loads(message.payload)["at"] <= SystemClock().now_ms()


@pytest.mark.parametrize(
    ("args", "code", "complaint"),
    [
        (("{file}", "--mapping", "invoice"), 2, "did you mean invoices"),
        (("{file}", "--mapping", "rentals"), 2, "no column 'starttime'"),
        (("{file}.gone", "--mapping", "invoices"), 2, "no such file"),
        (("{file}", "--mapping", "invoices", "--speed", "fast"), 2, "write max, 100x"),
        (("{file}",), 2, "--mapping NAME"),
        (("--list",), 0, ""),
    ],
)
def test_wrong_use_is_told_with_its_cure(
    invoices: Path, args: tuple[str, ...], code: int, complaint: str
) -> None:
    filled = [arg.format(file=invoices) for arg in args]
    done = subprocess.run(
        [sys.executable, "-m", "edge", "replay", *filled],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ},
    )
    assert done.returncode == code, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


VISITS = """
time = { time = "at", unit = "s" }
[[messages]]
format = "native"
type = "reservation"
topic = "rfid3/main/reservation/web"
[messages.fields]
document = { template = "V{row}" }
sku = { constant = "tent" }
start = { time = "until", unit = "s" }
"""


def timed(speed: Speed, *, shift: bool) -> list[tuple[float, dict[str, object], str]]:
    """(due in seconds, object, event time) of visits at 10, 20 and 40 s, each with an end 5 s later."""
    plan = plan_of(VISITS, InMemory(("at", "until"), [(at, at + 5) for at in (10, 20, 40)]))
    clock = ManualClock(1_000_000)
    replay = Replay(plan, speed, clock, shift_to_now=shift, first_ms=10_000)
    told = []
    for one in replay.messages():
        clock.advance(7)
        made = one.make()
        assert made is not None
        assert made.user_properties is not None
        told.append((one.due_s, json.loads(made.payload), made.user_properties[0][1]))
    return told


def test_a_factor_paces_by_the_rows_own_time() -> None:
    assert [due for due, _, _ in timed(parse_speed("10x"), shift=False)] == [0.0, 1.0, 3.0]


def test_a_rate_paces_by_count() -> None:
    assert [due for due, _, _ in timed(parse_speed("4/s"), shift=False)] == [0.0, 0.25, 0.5]


def test_without_a_shift_every_time_is_the_rows_own() -> None:
    told = timed(parse_speed("max"), shift=False)
    assert [(said["at"], said["start"], at) for _, said, at in told] == [
        (10_000, 15_000, "10000"),
        (20_000, 25_000, "20000"),
        (40_000, 45_000, "40000"),
    ]


@pytest.mark.parametrize(
    ("speed", "moments"),
    [("10x", (1_000_000, 1_001_000, 1_003_000)), ("max", (1_000_007, 1_000_014, 1_000_021))],
)
def test_shifted_to_now_a_message_says_when_it_is_sent_and_keeps_its_distances(
    speed: str, moments: tuple[int, ...]
) -> None:
    told = timed(parse_speed(speed), shift=True)
    assert [said["at"] for _, said, _ in told] == list(moments)
    assert [int(str(said["start"])) - int(str(said["at"])) for _, said, _ in told] == [5_000] * 3
    assert [at for _, _, at in told] == [str(moment) for moment in moments]


def test_an_answer_that_is_no_daemons_stops_the_brake() -> None:
    assert received({"stats": {"mqtt": {"received": 7}}}) == 7
    for told in ({}, [], {"stats": {"mqtt": {}}}, None):
        with pytest.raises(DaemonAwayError, match="no daemon"):
            received(told)
