"""How fast can this machine's broker be drained at all? The peer the daemon is measured against.

What the number does not say: nothing is stored, decoded or counted here. This subscriber speaks
through the same codec as the daemon, acknowledges ``--ack-batch`` messages in one write (or what
there is after a millisecond) and throws the messages away. It is a peer and no upper limit: the
broker is what limits here, and runs of the daemon's client fall on either side of it. The broker runs on the same machine and takes its share of the cores. CPU a message is mostly a matter of how many messages
one read of the socket brings, which the scheduler decides: a busier machine reads less often and
looks cheaper. So compare only runs that alternate, and look at ``messages_per_read`` beside it.
Mosquitto 2.0.11 sends more than Receive Maximum once it has seen an acknowledgement, so on it the
rate is not limited by the window as it would be on a broker that counts. ``--source`` drains through the daemon's own
client and inbox instead, still without a journal: the difference is what that client costs.

    python -m bench.null_subscriber --messages 200000
"""

import argparse
import asyncio
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import cast

import mqtt5
import msgspec
import uvloop
from msgspec import Struct

from edge.broker import Broker
from edge.clock import SystemClock
from edge.config import Mqtt
from edge.ingest.inbox import Inbox
from edge.ingest.mqtt import MqttSource, publisher
from edge.ingest.mqtt_publish import Outgoing

TOPIC = "rfid3/main/tag_read/reader-1"
PROGRESS_WITHIN_S = 30.0
ACK_BATCH = 256
ACK_WITHIN_S = 0.001


class Drained(Struct, frozen=True):
    """What draining ``messages`` took."""

    messages: int
    seconds: float
    messages_per_s: float
    cpu_us_per_message: float
    messages_per_read: float


class NullSubscriber(asyncio.Protocol):
    """Takes over a persistent session and acknowledges ``count`` messages, a read at a time."""

    def __init__(self, settings: Mqtt, count: int, ack_batch: int = ACK_BATCH) -> None:
        self._settings = settings
        self._count = count
        self._seen = 0
        self._reads = 0
        self._ack_batch = ack_batch
        self._answers: list[bytes] = []
        self._flushes_later = False
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._began: tuple[float, float] = (0.0, 0.0)
        self.done: asyncio.Future[Drained] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the session."""
        self._transport = cast(asyncio.Transport, transport)
        settings = self._settings
        connect = mqtt5.ConnectPacket(
            settings.client_id,
            clean_start=False,
            session_expiry_interval=settings.session_expiry_s,
            receive_max=settings.receive_maximum,
        )
        self._transport.write(connect.write())

    def data_received(self, data: bytes) -> None:
        """Read, acknowledge in one write, forget."""
        if not self._reads:
            self._began = (time.perf_counter(), time.process_time())
        self._reads += 1
        read, publish = mqtt5.read, mqtt5.PublishPacket
        answers = self._answers
        data = self._rest + data if self._rest else data
        view, at, size = memoryview(data), 0, len(data)
        while at < size:
            try:
                packet, used = read(view[at:])
            except IndexError:
                break
            at += used
            if type(packet) is publish and packet.packet_id:
                answers.append(b"\x40\x02" + packet.packet_id.to_bytes(2))
        self._rest = data[at:]
        if len(answers) >= self._ack_batch:
            self._flush()
        elif answers and not self._flushes_later:
            self._flushes_later = True
            asyncio.get_running_loop().call_later(ACK_WITHIN_S, self._flush_late)

    def connection_lost(self, error: Exception | None) -> None:
        """Only an accident before the end is worth telling."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the broker closed the connection"))

    def _flush_late(self) -> None:
        self._flushes_later = False
        self._flush()

    def _flush(self) -> None:
        answers, self._answers = self._answers, []
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))
            self._count_in(len(answers))

    def _count_in(self, new: int) -> None:
        self._seen += new
        if self._seen >= self._count and not self.done.done():
            self.done.set_result(since(self._began, self._count, self._reads))


def since(began: tuple[float, float], messages: int, reads: int) -> Drained:
    """The figures since ``began`` (perf_counter and process_time, seconds)."""
    seconds, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
    per_s, cpu_us = messages / seconds, cpu_s / messages * 1e6
    return Drained(messages, seconds, per_s, cpu_us, messages / reads)


class CountingSource(MqttSource):
    """The daemon's client, with its reads of the socket counted."""

    reads = 0

    def heard(self, size_bytes: int) -> None:
        """Bytes arrived, in one read."""
        self.reads += 1
        super().heard(size_bytes)


async def fill(settings: Mqtt, count: int, payload_bytes: int) -> float:
    """Leave ``count`` QoS 1 messages in the broker for an absent session; return messages/s."""
    client = MqttSource(settings, Inbox(1_000, 1 << 20), clock=SystemClock(), session=0)
    running = asyncio.create_task(client.run(), name="subscribe once")
    async with asyncio.timeout(10.0):
        while not client.subscribed:
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.wait({running})
    async with publisher(settings, "filler") as filler:
        began = time.perf_counter()
        payload = b"x" * payload_bytes
        await filler.publish_many((Outgoing(TOPIC, payload) for _ in range(count)), 1)
        return count / (time.perf_counter() - began)


async def drain_null(settings: Mqtt, count: int, ack_batch: int = ACK_BATCH) -> Drained:
    """Drain ``count`` waiting messages with the null subscriber."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(
        lambda: NullSubscriber(settings, count, ack_batch), settings.host, settings.port
    )
    try:
        async with asyncio.timeout(PROGRESS_WITHIN_S + count / 1_000):
            return await protocol.done
    finally:
        transport.close()


async def drain_source(settings: Mqtt, count: int) -> Drained:
    """Drain ``count`` waiting messages with the daemon's client and inbox, acknowledged at once."""
    inbox = Inbox(20_000, 1 << 26)
    source = CountingSource(settings, inbox, clock=SystemClock(), session=0)
    running = asyncio.create_task(source.run(), name="drain")
    began = (0.0, 0.0)
    async with asyncio.timeout(PROGRESS_WITHIN_S + count / 1_000):
        while source.acknowledged < count:
            await inbox.arrived.wait()
            began = began if began[0] else (time.perf_counter(), time.process_time())
            _, tokens = inbox.take(1_024)
            source.acknowledge(cast(list[int], tokens))
            await asyncio.sleep(0)
    drained = since(began, count, source.reads)
    running.cancel()
    await asyncio.wait({running})
    return drained


async def _measure(arguments: argparse.Namespace) -> Drained:
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder)) as broker:
        settings = Mqtt(
            host=broker.host,
            port=broker.port,
            receive_maximum=1_000,
            subscriptions=["rfid3/#"],
            status_topic="",
        )
        await fill(settings, arguments.messages, arguments.payload_bytes)
        if arguments.source:
            return await drain_source(settings, arguments.messages)
        return await drain_null(settings, arguments.messages, arguments.ack_batch)


def main() -> None:
    """Fill a private broker, drain it, print the figures (and as JSON with ``--json``)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=200_000, help="how many (default 200000)")
    parser.add_argument("--payload-bytes", type=int, default=180, help="size of each (default 180)")
    parser.add_argument("--ack-batch", type=int, default=ACK_BATCH, help="default 256; 1: a read")
    parser.add_argument("--source", action="store_true", help="drain with the daemon's client")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    drained = uvloop.run(_measure(arguments))
    if arguments.json:
        print(json.dumps(msgspec.to_builtins(drained)))
        return
    who = "daemon's client" if arguments.source else "null subscriber"
    print(
        f"{who} on {platform.machine()}, Python {platform.python_version()}: "
        f"{drained.messages_per_s:,.0f} messages/s, {drained.cpu_us_per_message:.2f} us CPU each, "
        f"{drained.messages_per_read:.1f} messages a read"
    )


if __name__ == "__main__":
    main()
