"""The MQTT client against a broker that breaks the rules, byte by byte; and its framing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import mqtt5
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt5 import PublishPacket, QoS

from edge.clock import ManualClock
from edge.config import Mqtt
from edge.errors import LinkDown
from edge.ingest.inbox import Inbox
from edge.ingest.mqtt import MqttSource
from edge.ingest.mqtt_publish import Delivery, Outgoing, PublishError, Window
from edge.ingest.mqtt_wire import Salvaged, Wire
from edge.records import DUP, RETAIN, Message

CONNACK = mqtt5.ConnAckPacket(session_present=True).write()
FRESH = mqtt5.ConnAckPacket(session_present=False).write()
NOT_UTF8 = b"\x32\x08\x00\x02a\xff\x00\x07\x00!"  # PUBLISH, QoS 1, topic a\xff, packet id 7, "!"


# The codec prints the cause of its panic through Python's hook for unraisable errors.
panics = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(300):
            await test()

    uvloop.run(limited())


async def until(true: Callable[[], object], within_s: float = 60.0) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while not true():
        assert asyncio.get_running_loop().time() < deadline, "it did not become true in time"
        await asyncio.sleep(0.005)


def publish(packet_id: int, payload: bytes = b"!", **more: Any) -> bytes:
    return PublishPacket(
        "shop/a", payload, qos=QoS.AT_LEAST_ONCE, packet_id=packet_id, **more
    ).write()


class FakeBroker:
    """Answers each CONNECT with the next script; says no more by itself."""

    def __init__(self, *scripts: bytes) -> None:
        self._scripts = list(scripts)
        self.links: list[asyncio.StreamWriter] = []
        self.said: list[bytearray] = []

    @asynccontextmanager
    async def source(self, **changes: Any) -> AsyncIterator[tuple[MqttSource, Inbox]]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        plain = {"port": port, "reconnect_min_s": 0.02, "status_topic": "", "subscriptions": []}
        inbox = Inbox(1_000, 1 << 26)
        mqtt = Mqtt(**{**plain, **changes})
        source = MqttSource(mqtt, inbox, clock=ManualClock(1_000), session=1)
        running = asyncio.create_task(source.run(), name="source")
        try:
            yield source, inbox
        finally:
            running.cancel()
            await asyncio.wait({running})
            server.close()
            for link in self.links:
                link.transport.abort()
            assert running.cancelled(), running.exception()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = bytearray(await reader.read(65_536))
        writer.write(self._scripts.pop(0) if self._scripts else b"")
        self.links.append(writer)
        self.said.append(said)
        with suppress(OSError):
            while not said.endswith(mqtt5.DisconnectPacket().write()):
                data = await reader.read(65_536)
                if not data:
                    break
                said += data
        writer.close()

    def packets(self, link: int = -1) -> list[mqtt5.Packet]:
        data, at, found = bytes(self.said[link]), 0, []
        while at < len(data):
            packet, used = mqtt5.read(memoryview(data)[at:])
            found.append(packet)
            at += used
        return found

    def last(self, link: int = -1) -> Any:
        return self.packets(link)[-1]


def take(inbox: Inbox) -> tuple[list[Message], list[int]]:
    messages, tokens = inbox.take(1_000)
    return messages, cast(list[int], tokens)


# -- the fence, on the wire -----------------------------------------------------------------------


def test_an_old_connections_ack_never_reaches_the_wire() -> None:
    async def test() -> None:
        broker = FakeBroker(CONNACK + publish(1, b"old"), FRESH + publish(1, b"new"))
        async with broker.source() as (source, inbox):
            await until(lambda: source.received == 1)
            (old,), old_tokens = take(inbox)
            broker.links[0].close()
            await until(lambda: source.received == 2)
            (new,), new_tokens = take(inbox)
            assert (old.packet_id, old.session) == (1, 1)
            assert (new.packet_id, new.session) == (1, 2)
            source.acknowledge(old_tokens)
            await source.publish("shop/marker", b"behind whatever was written")
            await until(lambda: len(broker.packets()) == 2)
            assert type(broker.last()) is PublishPacket, "nothing stands before the marker"
            source.acknowledge(new_tokens)
            await until(lambda: len(broker.packets()) == 3)
            assert broker.last().packet_id == 1
            assert (source.stale_tokens_dropped, source.acknowledged) == (1, 1)

    run(test)


def test_generations_do_not_wrap_into_each_other() -> None:
    async def test() -> None:
        broker = FakeBroker(CONNACK + publish(9))
        async with broker.source() as (source, inbox):
            source.generation = 70_000  # sixteen bits are long used up
            await until(lambda: source.received == 1)
            _, tokens = take(inbox)
            assert tokens == [70_001 << 16 | 9]
            source.acknowledge([(70_001 - 65_536) << 16 | 9, (4_465) << 16 | 9])
            assert source.acknowledged == 0
            source.acknowledge(tokens)
            await until(lambda: len(broker.packets()) == 2)
            assert broker.last().packet_id == 9

    run(test)


def test_a_message_of_qos_2_is_received_before_it_is_released() -> None:
    async def test() -> None:
        two = PublishPacket("shop/a", b"!", qos=QoS.EXACTLY_ONCE, packet_id=5).write()
        broker = FakeBroker(CONNACK + two + publish(6))
        async with broker.source() as (source, inbox):
            await until(lambda: source.received == 2)
            messages, tokens = take(inbox)
            assert [m.flags for m in messages] == [2, 1]
            assert len(broker.packets()) == 1, "only CONNECT so far"
            source.acknowledge(tokens)
            await until(lambda: len(broker.packets()) == 3)
            assert [type(p).__name__ for p in broker.packets()[1:]] == [
                "PubRecPacket",
                "PubAckPacket",
            ]
            broker.links[0].write(mqtt5.PubRelPacket(5).write())
            await until(lambda: type(broker.last()) is mqtt5.PubCompPacket)
            assert broker.last().packet_id == 5

    run(test)


# -- packets the codec refuses --------------------------------------------------------------------


@panics
@pytest.mark.parametrize(
    ("frame", "topic", "payload"),
    [
        (NOT_UTF8, "a\ufffd", b"!"),
        (b"\x32\x0a\x00\x01a\x00\x07\x02\x7f\x01xy", "a", b"xy"),  # unknown property
        (b"\x32\x08\x00\x01a\x00\x07\x7fxy", "a", b"\x7fxy"),  # properties longer than the packet
        (b"\x32\x06\x00\x00\x00\x07\x00!", "", b"!"),  # no topic and no alias
    ],
)
def test_a_publish_the_codec_refuses_is_read_by_hand_and_can_be_acknowledged(
    frame: bytes, topic: str, payload: bytes
) -> None:
    async def test() -> None:
        broker = FakeBroker(CONNACK + publish(6) + frame + publish(8))
        async with broker.source() as (source, inbox):
            await until(lambda: source.received == 3)
            messages, tokens = take(inbox)
            assert [m.packet_id for m in messages] == [6, 7, 8]
            assert (messages[1].topic, messages[1].payload) == (topic, payload)
            source.acknowledge(tokens)
            await until(lambda: len(broker.packets()) == 4)
            assert [p.packet_id for p in broker.packets()[1:]] == [6, 7, 8]
            assert (source.malformed, source.generation) == (1, 1)

    run(test)


def test_a_topic_alias_we_never_allowed_is_a_message_without_topic() -> None:
    async def test() -> None:
        broker = FakeBroker(CONNACK + b"\x32\x09\x00\x00\x00\x07\x03\x23\x00\x05!")
        async with broker.source() as (source, inbox):
            await until(lambda: source.received == 1)
            (message,), _ = take(inbox)
            assert (message.topic, message.payload, message.packet_id) == ("", b"!", 7)

    run(test)


@pytest.mark.parametrize(
    ("bytes_", "said"),
    [
        (CONNACK + b"\x32\x06\x00\x40abcd", "malformed packet of kind 3"),  # topic beyond its end
        (CONNACK + b"\x36\x08\x00\x02ab\x00\x01\x00!", "malformed packet of kind 3"),  # QoS 3
        (CONNACK + b"\x30\xff\xff\xff\xff\x01", "malformed packet of kind 3"),
        (CONNACK + b"\x00\x00", "malformed packet of kind 0"),
        (CONNACK + b"\x30\xff\xff\xff\x7f", "more than mqtt.packet_max_bytes"),
        (CONNACK + mqtt5.PingReqPacket().write(), "PingReqPacket, which nobody asked for"),
        (b"HTTP/1.1 400 Bad Request\r\n" * 9, "malformed packet of kind 4"),
        (b"\x20\x02\x00\x01", "does not speak MQTT 5"),
        (b"\x20\x03\x00\x86\x00", "RFID3_MQTT__PASSWORD"),
        (b"\x20\x03\x00\x9a\x00", "set mqtt.status_topic to nothing"),
        (CONNACK + b"\xe0\x01\x8b", "shutting down"),
        (CONNACK + b"\xe0\x00", "ended by the broker: normal disconnection"),
    ],
)
def test_a_broker_beyond_help_is_left_with_a_reason_and_tried_again(
    bytes_: bytes, said: str
) -> None:
    async def test() -> None:
        broker = FakeBroker(bytes_, CONNACK + publish(1))
        async with broker.source() as (source, _):
            reasons: list[str] = []

            def back() -> bool:
                reasons.append(source.last_error)
                return source.received == 1

            await until(back)
            assert any(said in reason for reason in reasons), set(reasons)

    run(test)


def test_a_client_whose_name_was_taken_does_not_fight() -> None:
    async def test() -> None:
        broker = FakeBroker(CONNACK + b"\xe0\x01\x8e", CONNACK)
        async with broker.source() as (source, _):
            await until(lambda: "are two daemons running?" in source.last_error)
            await asyncio.sleep(0.3)
            assert len(broker.links) == 1

    run(test)


def test_a_refused_subscription_is_named_and_the_others_live() -> None:
    async def test() -> None:
        codes = [mqtt5.SubAckReasonCode(c) for c in (0x01, 0x87, 0x00)]
        broker = FakeBroker(CONNACK + mqtt5.SubAckPacket(65_535, codes).write() + publish(1))
        async with broker.source(subscriptions=["a/#", "b/#", "c/#"]) as (source, _):
            await until(lambda: source.received == 1)
            assert source.refused_filters == ["b/#"]
            assert "subscription b/# refused: not authorized" in source.last_error
            assert source.connected

    run(test)


# -- silence, and answers that do not come --------------------------------------------------------


def test_a_silent_broker_is_left() -> None:
    async def test() -> None:
        broker = FakeBroker(CONNACK, CONNACK)
        async with broker.source(keep_alive_s=2) as (source, _):
            await until(lambda: len(broker.links) == 2)
            assert "silent" in source.last_error
            assert mqtt5.PingReqPacket in {type(p) for p in broker.packets(0)}

    run(test)


def test_the_brokers_own_keep_alive_counts() -> None:
    async def test() -> None:
        broker = FakeBroker(mqtt5.ConnAckPacket(server_keep_alive=1).write(), CONNACK)
        async with broker.source(keep_alive_s=10) as (_, _):
            await until(lambda: len(broker.links) == 2)

    run(test)


def test_a_broker_that_does_not_answer_connect_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.ingest.mqtt.CONNECT_WITHIN_S", 0.5)

    async def test() -> None:
        broker = FakeBroker(b"", *[CONNACK] * 50)  # on a slow machine more than one comes too late
        async with broker.source() as (source, _):
            await until(lambda: source.connected)
            assert "no answer to CONNECT" in source.last_error

    run(test)


def test_a_publish_without_answer_fails_when_the_link_does() -> None:
    async def test() -> None:
        small = mqtt5.ConnAckPacket(receive_max=2).write()
        broker = FakeBroker(small, small)
        async with broker.source() as (source, _):
            await until(lambda: source.connected)
            one = asyncio.create_task(source.publish("shop/a", b"", qos=1))
            many = asyncio.create_task(source.publish_many([Outgoing("shop/a", b"")] * 5))
            await until(lambda: len(broker.packets()) == 3)
            assert not source.publish_nowait("shop/a", b"", qos=1), "two are in flight"
            broker.links[0].transport.abort()
            for waiting in (one, many):
                with pytest.raises(LinkDown):
                    await waiting
            await until(lambda: source.generation == 2)
            assert source.publish_nowait("shop/a", b"", qos=1), "a new window"

    run(test)


def test_a_cancelled_publish_keeps_its_packet_id_until_it_is_answered() -> None:
    async def test() -> None:
        broker = FakeBroker(mqtt5.ConnAckPacket(receive_max=1).write())
        async with broker.source() as (source, _):
            await until(lambda: source.connected)
            given_up = asyncio.create_task(source.publish("shop/a", b"", qos=1))
            await until(lambda: len(broker.packets()) == 2)
            given_up.cancel()
            await asyncio.wait({given_up})
            assert not source.publish_nowait("shop/a", b"", qos=1)
            broker.links[0].write(mqtt5.PubAckPacket(1).write())
            await until(lambda: source.publish_nowait("shop/a", b"", qos=1))

    run(test)


def test_a_broker_without_qos_1_is_not_given_any() -> None:
    async def test() -> None:
        broker = FakeBroker(mqtt5.ConnAckPacket(max_qos=QoS.AT_MOST_ONCE).write())
        async with broker.source() as (source, _):
            await until(lambda: source.connected)
            with pytest.raises(PublishError, match="QoS 0 at most"):
                await source.publish("shop/a", b"", qos=1)
            await source.publish("shop/a", b"")

    run(test)


def test_no_status_is_kept_where_the_broker_keeps_none() -> None:
    async def test() -> None:
        broker = FakeBroker(mqtt5.ConnAckPacket(retain_available=False).write())
        async with broker.source(status_topic="s") as (source, _):
            await until(lambda: source.connected)
            await source.publish("shop/a", b"")
            await until(lambda: len(broker.packets()) == 2)
            assert broker.last().topic == "shop/a"

    run(test)


def test_a_window_fails_what_is_open_and_gives_no_more_ids() -> None:
    async def test() -> None:
        window, delivery = Window(3), Delivery()
        assert {window.take(delivery) for _ in range(4)} == {0, 1, 2, 3}
        assert window.settle(2, 0)
        assert not window.settle(2, 0), "answered twice"
        window.end(LinkDown("gone"))
        assert window.take(delivery) == 0
        with pytest.raises(LinkDown):
            await window.room()
        with pytest.raises(LinkDown):
            await delivery.done

    run(test)


# -- framing --------------------------------------------------------------------------------------


class Recorder:
    """An owner that writes everything down."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def heard(self, size_bytes: int) -> None:
        pass

    def published(self, packets: Sequence[PublishPacket], flags: Sequence[int]) -> None:
        self.seen += [
            (p.topic, p.payload, p.packet_id, bits) for p, bits in zip(packets, flags, strict=True)
        ]

    def salvaged(self, found: Salvaged, why: str) -> None:
        self.seen.append((found.topic, found.payload, found.packet_id, found.flags))

    def answered(self, packet: mqtt5.Packet) -> None:
        self.seen.append((type(packet).__name__,))

    def lost(self, reason: str) -> None:
        self.seen.append(("lost",))


class DeadEnd(asyncio.Transport):
    """A transport that goes nowhere."""

    closing = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: Any) -> None:
        pass

    def close(self) -> None:
        self.closing = True


def read_in(pieces: list[bytes]) -> list[tuple[Any, ...]]:
    async def feed() -> list[tuple[Any, ...]]:
        recorder = Recorder()
        wire = Wire(recorder, 1_000)
        wire.connection_made(DeadEnd())
        for piece in pieces:
            wire.data_received(piece)
        return recorder.seen

    return asyncio.run(feed())


UNKNOWN_PROPERTY = b"\x32\x0a\x00\x01a\x00\x07\x02\x7f\x01xy"
STREAM = b"".join(
    [
        CONNACK,
        publish(1),
        UNKNOWN_PROPERTY,
        PublishPacket("t", b"x" * 300, retain=True).write(),
        mqtt5.PingRespPacket().write(),
        publish(2, b"y" * 130, duplicate=True, user_properties=[("a", "b")]),
        UNKNOWN_PROPERTY,
        publish(3, b""),
    ]
)
EXPECTED = [
    ("ConnAckPacket",),
    ("shop/a", b"!", 1, 1),
    ("a", b"xy", 7, 1),
    ("t", b"x" * 300, None, RETAIN),
    ("PingRespPacket",),
    ("shop/a", b"y" * 130, 2, 1 | DUP),
    ("a", b"xy", 7, 1),
    ("shop/a", b"", 3, 1),
]


@panics
def test_the_codecs_panic_does_not_lock_the_buffer() -> None:
    stream = publish(1) + NOT_UTF8 + publish(2)
    for size in (1, 3, 20, len(stream)):
        seen = read_in([stream[at : at + size] for at in range(0, len(stream), size)])
        assert [packet[2] for packet in seen] == [1, 7, 2], size


def test_packets_are_the_same_however_the_stream_is_cut() -> None:
    for size in (*range(1, 40), 128, 129, 300, len(STREAM)):
        pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
        assert read_in(pieces) == EXPECTED, size


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_packets_are_the_same_at_any_cuts(cuts: list[int]) -> None:
    ends = [*sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in zip([0, *ends], ends, strict=False) if a < b]
    assert read_in(pieces) == EXPECTED


@panics
@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=4))
def test_no_bytes_raise(pieces: list[bytes]) -> None:
    read_in(pieces)


@panics
@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(STREAM) - 1), st.integers(0, 255), st.integers(1, 200))
def test_no_damaged_byte_raises_or_stalls_what_came_before(at: int, to: int, size: int) -> None:
    damaged = STREAM[:at] + bytes([to]) + STREAM[at + 1 :]
    seen = read_in([damaged[n : n + size] for n in range(0, len(damaged), size)])
    whole = read_in([STREAM[:at]])
    assert seen[: len(whole)] == whole


@panics
@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100), st.integers(0, 15))
def test_a_publish_of_any_bytes_raises_nothing(body: bytes, nibble: int) -> None:
    seen = read_in([bytes([0x30 | nibble, len(body)]) + body, publish(3)])
    assert len(seen) in (0, 2), "either it is a message, or the connection is over"
