"""The MQTT client against a real Mosquitto, through a proxy where a cut or the wire matters."""

import asyncio
import itertools
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import mqtt5
import msgspec
import pytest
import uvloop

from edge.broker import Broker, BrokerSettings
from edge.clock import ManualClock
from edge.config import Mqtt, Tls
from edge.errors import LinkDown
from edge.ingest.inbox import Inbox
from edge.ingest.mqtt import MqttSource, publisher
from edge.ingest.mqtt_publish import Outgoing, PublishError
from edge.ingest.source import Source
from edge.ingest.times import TIME_MIN_MS
from edge.records import DUP, RETAIN, Message

READ_AT_ONCE_BYTES = 262_144  # the most one read of the transport brings


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


def to(broker: Any, **changes: Any) -> Mqtt:
    plain = Mqtt(host=broker.host, port=broker.port, subscriptions=["shop/#"], reconnect_min_s=0.02)
    return msgspec.structs.replace(plain, **changes)


@asynccontextmanager
async def started(
    settings: Mqtt, inbox: Inbox | None = None, *, wait: bool = True, **more: Any
) -> AsyncIterator[MqttSource]:
    inbox = Inbox(10_000, 1 << 26) if inbox is None else inbox
    source = MqttSource(settings, inbox, **{"clock": ManualClock(1_000), "session": 0, **more})
    running = asyncio.create_task(source.run(), name="source")
    try:
        if wait:
            await until(lambda: source.subscribed)
        yield source
    finally:
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled(), running.exception()


def take(inbox: Inbox, limit: int = 1_000_000) -> tuple[list[Message], list[int]]:
    messages, tokens = inbox.take(limit)
    return messages, cast(list[int], tokens)


class Proxy:
    """A TCP wire to the broker that can be cut, and remembers what the client said."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._writers: list[asyncio.StreamWriter] = []
        self.host = "127.0.0.1"
        self.port = 0
        self.said: list[list[bytes]] = []  # a list of reads for each connection

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def packets(self, connection: int = -1) -> list[mqtt5.Packet]:
        data, at, found = b"".join(self.said[connection]), 0, []
        while at < len(data):
            packet, used = mqtt5.read(memoryview(data)[at:])
            found.append(packet)
            at += used
        return found

    def acked(self, connection: int = -1) -> list[int]:
        return [p.packet_id for p in self.packets(connection) if type(p) is mqtt5.PubAckPacket]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._broker.host, self._broker.port)
        self._writers += [writer, far_writer]
        heard: list[bytes] = []
        self.said.append(heard)
        await asyncio.gather(
            self._pump(reader, far_writer, heard), self._pump(far_reader, writer, [])
        )

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[bytes]
    ) -> None:
        try:
            while data := await reader.read(65_536):
                heard.append(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()


async def say(broker: Broker, *payloads: bytes, topic: str = "shop/a", qos: int = 1) -> None:
    async with publisher(to(broker), "teller") as teller:
        await teller.publish_many([Outgoing(topic, payload) for payload in payloads], qos)


# -- acknowledgement ------------------------------------------------------------------------------


def test_the_client_satisfies_the_port() -> None:
    async def test() -> None:
        source: Source = MqttSource(Mqtt(), Inbox(1, 1), clock=ManualClock(), session=0)
        assert not source.connected

    run(test)


def test_nothing_is_acknowledged_until_the_corridor_says_so(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(100, 1 << 20)
        async with Proxy(broker).open() as proxy, started(to(proxy), inbox) as source:
            await say(broker, *[b"%d" % n for n in range(10)])
            await until(lambda: source.received == 10)
            await asyncio.sleep(0.1)
            assert proxy.acked() == []
            messages, tokens = take(inbox)
            assert [m.payload for m in messages] == [b"%d" % n for n in range(10)]
            reads_before = len(proxy.said[-1])
            source.acknowledge(tokens)
            await until(lambda: len(proxy.acked()) == 10)
            assert proxy.acked() == [m.packet_id for m in messages]
            assert len(proxy.said[-1]) == reads_before + 1, "all of one call go in one write"
            assert source.acknowledged == 10

    run(test)


def test_an_acknowledged_message_does_not_come_again_and_another_does_with_dup(
    broker: Broker,
) -> None:
    async def test() -> None:
        inbox = Inbox(100, 1 << 20)
        async with Proxy(broker).open() as proxy, started(to(proxy), inbox) as source:
            await say(broker, b"stored", b"lost", b"lost too")
            await until(lambda: source.received == 3)
            messages, tokens = take(inbox)
            assert not any(m.flags & DUP for m in messages)
            source.acknowledge(tokens[:1])
            await until(lambda: proxy.acked())
            await source.publish("nobody/listens", b"", qos=1)  # answered after what we said before
            proxy.cut()
            await until(lambda: source.received == 5)
            again, new_tokens = take(inbox)
            assert [m.payload for m in again] == [b"lost", b"lost too"]
            assert all(m.flags & DUP for m in again)
            assert [m.packet_id for m in again] == [m.packet_id for m in messages[1:]]
            assert source.session_present
            assert source.reconnects == 1
            assert {m.session for m in messages + again} == {1}, "the same broker session"
            assert set(tokens).isdisjoint(new_tokens), "but another connection"

    run(test)


def test_an_old_connections_ack_is_never_sent_when_the_broker_forgot_us(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(100, 1 << 20)
        async with Proxy(broker).open() as proxy, started(to(proxy), inbox) as source:
            await say(broker, b"of the old session")
            await until(lambda: source.received == 1)
            (old,), old_tokens = take(inbox)
            broker.kill()
            (broker.directory / "mosquitto.db").unlink(missing_ok=True)
            broker.start()
            await until(lambda: source.generation == 2)
            await say(broker, b"of the new session")
            await until(lambda: source.received == 2)
            (new,), new_tokens = take(inbox)
            assert new.packet_id == old.packet_id, "the trap: packet ids start again"
            assert (old.session, new.session) == (1, 2)
            source.acknowledge(old_tokens)
            await asyncio.sleep(0.1)
            assert proxy.acked() == []
            assert source.stale_tokens_dropped == 1
            source.acknowledge([*old_tokens, *new_tokens])
            await until(lambda: proxy.acked() == [new.packet_id])
            assert source.stale_tokens_dropped == 2
            assert source.acknowledged == 1

    run(test)


def test_a_token_is_dropped_while_there_is_no_link(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(100, 1 << 20)
        async with started(to(broker), inbox) as source:
            await say(broker, b"1")
            await until(lambda: source.received == 1)
            _, tokens = take(inbox)
            broker.stop()
            await until(lambda: not source.connected)
            source.acknowledge([*tokens, 0])
            assert (source.acknowledged, source.stale_tokens_dropped) == (0, 1)

    run(test)


def test_qos_0_needs_no_acknowledgement(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(100, 1 << 20)
        async with started(to(broker), inbox) as source:
            await say(broker, b"0", qos=0)
            await until(lambda: source.received == 1)
            (message,), tokens = take(inbox)
            assert tokens == [0]
            assert (message.packet_id, message.flags) == (0, 0)
            source.acknowledge(tokens)
            assert (source.acknowledged, source.stale_tokens_dropped) == (0, 0)

    run(test)


# -- sessions and the link ------------------------------------------------------------------------


def test_a_session_is_counted_once_however_often_we_come_back(broker: Broker) -> None:
    async def test() -> None:
        async with started(to(broker), session=7) as source:
            assert (source.session, source.session_present) == (8, False)
        await say(broker, b"while away")
        async with started(to(broker), session=8) as source:
            assert (source.session, source.session_present) == (8, True)
            await until(lambda: source.received == 1)

    run(test)


def test_a_session_the_journal_never_heard_of_is_still_counted(broker: Broker) -> None:
    async def test() -> None:
        async with started(to(broker), session=0):
            pass
        async with started(to(broker), session=0) as source:
            assert (source.session, source.session_present) == (1, True)

    run(test)


def test_the_client_comes_back_after_a_broker_restart_with_its_session(broker: Broker) -> None:
    async def test() -> None:
        links: list[tuple[bool, int]] = []
        settings = to(broker)
        async with started(settings, on_link=lambda up, n: links.append((up, n))) as source:
            broker.stop()
            await until(lambda: not source.connected)
            broker.start()
            await until(lambda: source.connected)
            assert source.session_present
            await say(broker, b"after")
            await until(lambda: source.received == 1)
        assert links == [(True, 1), (False, 1), (True, 1), (False, 1)]

    run(test)


def test_a_broker_that_is_not_there_yet_is_awaited(tmp_path: Path) -> None:
    async def test() -> None:
        late = Broker(tmp_path / "late")
        async with started(to(late), wait=False) as source:
            await until(lambda: "is the broker running?" in source.last_error)
            with pytest.raises(LinkDown, match="is the broker running"):
                await source.wait_connected(0.01)
            with pytest.raises(LinkDown):
                await source.publish("shop/a", b"")
            assert not source.publish_nowait("shop/a", b"")
            with late:
                await until(lambda: source.connected)

    run(test)


def test_two_daemons_with_one_name_are_told_what_to_suspect(broker: Broker) -> None:
    async def test() -> None:
        settings = to(broker, reconnect_min_s=5.0)
        async with started(settings) as first, started(settings) as second:
            await until(lambda: not first.connected)
            assert "does another client use this mqtt.client_id?" in first.last_error
            assert second.connected

    run(test)


def test_a_shared_subscription_is_split_between_clients(broker: Broker) -> None:
    async def test() -> None:
        half = to(broker, subscriptions=["$share/daemons/shop/#"])
        other = msgspec.structs.replace(half, client_id="other")
        async with started(half) as one, started(other) as two:
            await until(lambda: one.subscribed and two.subscribed)
            await say(broker, *[b"x"] * 100)
            await until(lambda: one.received + two.received == 100)
            assert one.received
            assert two.received

    run(test)


def test_what_we_publish_does_not_come_back_to_us(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(100, 1 << 20)
        async with started(to(broker), inbox) as source:
            await source.publish("shop/alert", b"ours", qos=1)
            await say(broker, b"theirs")
            await until(lambda: source.received)
            assert [m.payload for m in take(inbox)[0]] == [b"theirs"]

    run(test)


def test_a_retained_message_says_so_and_comes_only_once(broker: Broker) -> None:
    async def test() -> None:
        async with publisher(to(broker), "teller") as teller:
            await teller.publish("shop/state", b"kept", qos=1, retain=True)
        inbox = Inbox(100, 1 << 20)
        async with Proxy(broker).open() as proxy, started(to(proxy), inbox) as source:
            await until(lambda: source.received == 1)
            (message,), tokens = take(inbox)
            assert message.flags & RETAIN
            source.acknowledge(tokens)
            await until(lambda: proxy.acked())
            await source.publish("nobody/listens", b"", qos=1)  # answered after what we said before
            proxy.cut()
            await until(lambda: source.generation == 2)
            await say(broker, b"live")
            await until(lambda: source.received == 2)
            assert [m.flags & RETAIN for m in take(inbox)[0]] == [0]

    run(test)


# -- status ---------------------------------------------------------------------------------------


def test_the_status_is_online_then_offline_by_will_or_by_farewell(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(100, 1 << 20)
        watch = to(broker, client_id="watch", subscriptions=["rfid3/status/rfid3"])
        watch = msgspec.structs.replace(watch, status_topic="")
        seen: list[dict[str, Any]] = []

        def told(count: int) -> bool:
            for message in take(inbox)[0]:
                assert message.topic == "rfid3/status/rfid3"
                seen.append(msgspec.json.decode(message.payload))
            return len(seen) == count

        async with started(watch, inbox), Proxy(broker).open() as proxy:
            async with started(to(proxy)) as source:
                await until(lambda: told(1))
                proxy.cut()
                await until(lambda: told(3))
                assert source.reconnects == 1
            await until(lambda: told(4))
        assert [s["status"] for s in seen] == ["online", "offline", "online", "offline"]
        assert [s.get("reason") for s in seen] == [None, "connection lost", None, None]
        assert all(s["at"] == 1_000 and s["client_id"] == "rfid3" for s in seen)
        late = msgspec.structs.replace(watch, client_id="late")
        async with started(late, inbox):
            await until(lambda: told(5))
        assert seen[-1]["status"] == "offline", "the last one is retained"

    run(test)


def test_a_clean_stop_reaches_the_broker_even_while_reading_is_held_back(broker: Broker) -> None:
    async def test() -> None:
        async with Proxy(broker).open() as proxy:
            async with started(to(proxy), Inbox(5, 1 << 26)) as source:
                await say(broker, *[b"x" * 10_000] * 300)
                await until(lambda: source.paused)
            assert type(proxy.packets()[-1]) is mqtt5.DisconnectPacket
        log = broker.log_file.read_text()
        assert "Client rfid3 disconnected" in log
        assert "rfid3 closed its connection" not in log

    run(test)


# -- flow control ---------------------------------------------------------------------------------


def test_unacknowledged_messages_stop_at_receive_maximum(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(1_000, 1 << 20)
        async with started(to(broker, receive_maximum=20), inbox) as source:
            await say(broker, *[b"%d" % n for n in range(100)])
            await until(lambda: source.received == 20)
            await asyncio.sleep(0.1)
            assert source.received == 20
            got: list[bytes] = []
            while len(got) < 100:  # Mosquitto 2.0.11 now sends more than 20: the inbox must hold
                await until(lambda: len(inbox) > 0)
                messages, tokens = take(inbox)
                got += [m.payload for m in messages]
                source.acknowledge(tokens)
            assert got == [b"%d" % n for n in range(100)]

    run(test)


@pytest.mark.parametrize("qos", [0, 1])
def test_a_full_inbox_holds_the_broker_back_and_nothing_is_lost(broker: Broker, qos: int) -> None:
    async def test() -> None:
        limit, size, count = 10, 4_096, 3_000
        most = limit + READ_AT_ONCE_BYTES // size + 1
        inbox = Inbox(limit, 1 << 26)
        async with started(to(broker), inbox) as source:
            await say(broker, *[n.to_bytes(2) * (size // 2) for n in range(count)], qos=qos)
            await until(lambda: source.paused)
            await asyncio.sleep(0.1)
            assert len(inbox) <= most
            got: list[int] = []
            while len(got) < count:
                await until(lambda: len(inbox) > 0)
                messages, tokens = take(inbox, 3)
                await asyncio.sleep(0)  # let the socket be read, if it is
                assert len(inbox) <= most, "resumed only when there is room"
                got += [int.from_bytes(m.payload[:2]) for m in messages]
                source.acknowledge(tokens)
            assert got == list(range(count))
            assert source.generation == 1

    run(test)


def test_a_pause_longer_than_the_keep_alive_does_not_end_the_connection(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(1, 1 << 20)
        async with started(to(broker, keep_alive_s=3), inbox) as source:
            await say(broker, b"1", b"2")
            await until(lambda: source.paused)
            await asyncio.sleep(5)
            assert source.connected
            inbox.take(10)
            await until(lambda: not source.paused)
            await asyncio.sleep(0.2)
            assert source.generation == 1

    run(test)


def test_a_full_inbox_is_not_filled_again_by_reconnecting(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(5, 1 << 20)
        settings = to(broker, keep_alive_s=3)  # a held-back reader learns of a cut when it pings
        async with (
            Proxy(broker).open() as proxy,
            started(msgspec.structs.replace(settings, port=proxy.port), inbox) as source,
        ):
            await say(broker, *[b"x"] * 5)
            await until(lambda: source.paused)
            proxy.cut()
            await until(lambda: not source.connected)
            await asyncio.sleep(0.3)
            assert (len(inbox), source.generation) == (5, 1)
            inbox.take(5)
            await until(lambda: source.generation == 2)
            await until(lambda: len(inbox) == 5)

    run(test)


# -- publishing -----------------------------------------------------------------------------------


def test_many_publishes_arrive_once_and_in_order(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(100_000, 1 << 26)
        async with started(to(broker, receive_maximum=65_000), inbox) as source:
            async with publisher(to(broker), "teller") as teller:
                messages = (Outgoing("shop/a", b"%d" % n) for n in range(20_000))
                assert await teller.publish_many(messages) == 20_000
            got: list[bytes] = []
            while len(got) < 20_000:
                await until(lambda: len(inbox) > 0)
                batch, tokens = take(inbox)
                got += [m.payload for m in batch]
                source.acknowledge(tokens)
            assert got == [b"%d" % n for n in range(20_000)]

    run(test)


def test_publishes_from_many_tasks_share_the_window(broker: Broker) -> None:
    async def test() -> None:
        async with started(to(broker)) as source, publisher(to(broker), "teller") as teller:
            work = [teller.publish("shop/a", b"%d" % n, qos=1) for n in range(3_000)]
            await asyncio.gather(*work)
            await until(lambda: source.received == 1_000)  # its receive maximum

    run(test)


def test_publish_nowait_says_when_there_is_no_room(broker: Broker) -> None:
    async def test() -> None:
        async with publisher(to(broker), "teller") as teller:
            took = sum(teller.publish_nowait("shop/a", b"x", qos=1) for _ in range(2_000))
            assert took == 1_000, "the window is the broker's Receive Maximum"
            await until(lambda: teller.publish_nowait("shop/a", b"x", qos=1))

    run(test)


def test_a_publish_nobody_listens_to_is_no_error(broker: Broker) -> None:
    async def test() -> None:
        async with publisher(to(broker), "teller") as teller:
            await teller.publish("nobody/listens", b"x", qos=1)

    run(test)


def test_a_publish_that_is_not_authorised_raises_with_the_reason(tmp_path: Path) -> None:
    async def test() -> None:
        acl = tmp_path / "acl"
        acl.write_text("topic readwrite shop/#\n")
        acl.chmod(0o600)
        with Broker(tmp_path / "b", BrokerSettings(acl_file=str(acl))) as broker:
            async with publisher(to(broker), "teller") as teller:
                await teller.publish("shop/a", b"x", qos=1)
                with pytest.raises(PublishError, match="not authorized") as caught:
                    await teller.publish("forbidden", b"x", qos=1)
                assert caught.value.code == 0x87

    run(test)


def test_a_packet_larger_than_the_broker_takes_is_refused_here(tmp_path: Path) -> None:
    async def test() -> None:
        with Broker(tmp_path / "b", BrokerSettings(packet_max_bytes=1_000)) as broker:
            async with publisher(to(broker), "teller") as teller:
                for _ in range(3_000):  # each gives its packet id back
                    with pytest.raises(PublishError, match="the broker takes 1000"):
                        await teller.publish("shop/a", b"x" * 1_000, qos=1)
                await teller.publish("shop/a", b"x" * 900, qos=1)

    run(test)


def test_user_properties_and_binary_payloads_arrive(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(100, 1 << 20)
        async with started(to(broker), inbox, clock_mode="events", arrival_ms=50) as source:
            async with publisher(to(broker), "teller") as teller:
                begun = TIME_MIN_MS
                times = ["", *(str(begun + n) for n in (70, 60, 80)), "soon", "-90", "9" * 400,
                         "\u0663", str(begun + 81)]  # fmt: skip
                for text in times[:6] + times[7:]:
                    note = [("other", "1"), ("rfid3-time", text)] if text else None
                    await teller.publish("shop/a", bytes(range(256)), 1, user_properties=note)
            await until(lambda: source.received == 8)
            messages, _ = take(inbox)
            told = [m.arrival_ms - begun for m in messages]
            assert told == [0, 70, 70, 80, 80, 80, 80, 81], "time begins in 2000 at the earliest"
            assert all(m.payload == bytes(range(256)) for m in messages)

    run(test)


def test_arrival_never_goes_back_with_the_clock(broker: Broker) -> None:
    async def test() -> None:
        inbox, clock = Inbox(100, 1 << 20), ManualClock(500)
        async with started(to(broker), inbox, clock=clock, arrival_ms=700) as source:
            await say(broker, b"1")
            await until(lambda: source.received == 1)
            clock.advance(1_000)
            await say(broker, b"2")
            await until(lambda: source.received == 2)
            assert [m.arrival_ms for m in take(inbox)[0]] == [700, 1_500]

    run(test)


# -- who may connect ------------------------------------------------------------------------------


def test_a_wrong_password_names_the_cure_and_is_tried_again(tmp_path: Path) -> None:
    async def test() -> None:
        words = tmp_path / "passwords"
        command = ["mosquitto_passwd", "-b", "-c", str(words), "shop", "right"]
        subprocess.run(command, check=True, capture_output=True)
        with Broker(tmp_path / "b", BrokerSettings(password_file=str(words))) as broker:
            wrong = to(broker, username="shop", password="wrong", client_id="wrong")
            async with started(wrong, wait=False) as source:
                await until(lambda: source.last_error)
                assert "RFID3_MQTT__PASSWORD" in source.last_error
                await until(lambda: broker.log_file.read_text().count("not authorised") >= 2)
            async with started(to(broker, username="shop", password="right")) as source:
                assert source.connected

    run(test)


def _certificates(folder: Path) -> None:
    """A CA, a server and a client certificate of its making, and a CA nobody trusts."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    for ca in ("ca", "stranger"):
        names = ["-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}"]
        subprocess.run(["openssl", "req", "-x509", *key, *names], cwd=folder, check=True)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for who in ("server", "client"):
        names = ["-keyout", f"{who}.key", "-out", f"{who}.csr", "-subj", f"/CN={who}"]
        subprocess.run(["openssl", "req", *key[:-2], *names], cwd=folder, check=True)
        sign = f"-in {who}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {who}.pem -days 2"
        command = ["openssl", "x509", "-req", *sign.split(), "-extfile", "names"]
        subprocess.run(command, cwd=folder, check=True)


def test_tls_with_client_certificates(tmp_path: Path) -> None:
    async def test() -> None:
        _certificates(tmp_path)
        file = {name: str(tmp_path / name) for name in ("ca.pem", "client.pem", "client.key")}
        server = BrokerSettings(
            ca_file=file["ca.pem"],
            cert_file=str(tmp_path / "server.pem"),
            key_file=str(tmp_path / "server.key"),
        )
        good = Tls(
            enabled=True,
            ca_file=file["ca.pem"],
            cert_file=file["client.pem"],
            key_file=file["client.key"],
        )
        bad = {
            "check mqtt.tls.ca_file": msgspec.structs.replace(
                good, ca_file=str(tmp_path / "stranger.pem")
            ),
            "check the files named in mqtt.tls": msgspec.structs.replace(good, ca_file="/no"),
            "certificate": msgspec.structs.replace(good, cert_file="", key_file=""),
        }
        with Broker(tmp_path / "b", server) as broker:
            inbox = Inbox(1_000, 1 << 26)
            async with started(to(broker, tls=good), inbox) as source:
                async with publisher(to(broker, tls=good), "teller") as teller:
                    work = [Outgoing("shop/a", b"x" * 5_000) for _ in range(500)]
                    await teller.publish_many(work)
                await until(lambda: source.received == 500)
            for cure, tls in bad.items():
                async with started(to(broker, tls=tls, client_id="bad"), wait=False) as source:
                    await until(lambda: source.last_error)
                    assert cure in source.last_error.lower().replace("\n", " "), source.last_error
                    assert not source.connected

    run(test)


# -- hostile publishers, through the broker -------------------------------------------------------


def _framed(first: int, body: bytes) -> bytes:
    length, header = len(body), bytearray([first])
    while True:
        length, digit = divmod(length, 128)
        header.append(digit | (128 if length else 0))
        if not length:
            return bytes(header) + body


def _text(raw: bytes) -> bytes:
    return len(raw).to_bytes(2) + raw


def _properties(raw: bytes) -> bytes:
    return bytes([len(raw)]) + raw


TOPICS = [b"shop/\xff\xfe", b"shop/\xed\xa0\x80", b"shop/\x00", b"shop/\x01", b"shop/\xef\xbf\xbf"]
TOPICS += [b"", b"shop/#", b"shop/+/x", b"shop/" + b"y" * 60_000, b"shop" + b"/" * 190]
PROPERTIES = [
    b"",
    b"\x01\x01",  # says the payload is UTF-8, and it is not
    b"\x01\x07",
    b"\x26" + _text(b"\xff") + _text(b"b"),
    b"\x26" + _text(b"a\x00") + _text(b"b"),
    b"\x26" + _text(b"rfid3-time") + _text(b"99999999999999999999"),
    b"\x03" + _text(b"\xc3\x28"),
    b"\x08" + _text(b"reply/#"),
    b"\x09" + _text(b"\x00\xff"),
    b"\x23\x00\x05",
    b"\x0b\x07",
    b"\x7f\x00",
    b"\x02\x00\x00\x00\x01",
]


def _hostile_packets() -> list[bytes]:
    bodies = [
        _text(topic) + b"\x00\x09" + _properties(note) + b"\xff\x00\xfe"
        for topic, note in itertools.chain(
            zip(TOPICS, itertools.repeat(b"")), zip(itertools.repeat(b"shop/p"), PROPERTIES)
        )
    ]
    packets = [_framed(0x32, body) for body in bodies]
    packets += [_framed(0x36, bodies[0]), _framed(0x32, b"\x00\x40shop"), _framed(0x32, b"")]
    packets += [_framed(0x32, _text(b"shop/big") + b"\x00\x09\x00" + b"z" * 1_100_000)]
    packets += [_framed(0x31, _text(b"shop/old") + _properties(b"") + b"\x80")]
    return packets


def _send_raw(broker: Broker, packet: bytes, number: int) -> None:
    connect = mqtt5.ConnectPacket(f"hostile-{number}", clean_start=True).write()
    with socket.create_connection((broker.host, broker.port), timeout=60.0) as raw:
        raw.sendall(connect)
        raw.recv(1_000)
        try:
            raw.sendall(packet)
            raw.sendall(_framed(0xC0, b""))  # a ping: answered, or the connection was closed
            raw.recv(1_000)
        except OSError:
            pass


def test_no_publisher_can_stop_us_through_the_broker(broker: Broker) -> None:
    async def test() -> None:
        inbox = Inbox(10_000, 1 << 26)
        async with started(to(broker), inbox) as source:
            await until(lambda: source.subscribed)
            for number, packet in enumerate(_hostile_packets()):
                await asyncio.to_thread(_send_raw, broker, packet, number)
            await say(broker, b"and still we listen", topic="shop/end")
            got: list[Message] = []
            while not got or got[-1].topic != "shop/end":
                await until(lambda: len(inbox) > 0)
                messages, tokens = take(inbox)
                got += messages
                source.acknowledge(tokens)
            assert source.generation == 1, "one connection all along"
            assert len(got) > 5, "the broker let some of it through"
            assert all(len(m.payload) < 1_000_000 for m in got), "the broker kept the huge one"

    run(test)
