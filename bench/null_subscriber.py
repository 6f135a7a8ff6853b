"""How fast can this machine's broker be drained at all? The peer the daemon is measured against.

What the number does not say: nothing is stored, decoded or counted here. This subscriber speaks
through the same codec as the daemon, acknowledges everything a read brought in one write, and
throws the messages away; a real subscriber cannot be faster on the same broker. The broker runs on
the same machine and takes its share of the cores. ``--source`` drains through the daemon's own
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


class Drained(Struct, frozen=True):
    """What draining ``messages`` took."""

    messages: int
    seconds: float
    messages_per_s: float
    cpu_us_per_message: float


class NullSubscriber(asyncio.Protocol):
    """Takes over a persistent session and acknowledges ``count`` messages, a read at a time."""

    def __init__(self, settings: Mqtt, count: int) -> None:
        self._settings = settings
        self._count = count
        self._seen = 0
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
        read, publish = mqtt5.read, mqtt5.PublishPacket
        answers = []
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
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))
            self._count_in(len(answers))

    def connection_lost(self, error: Exception | None) -> None:
        """Only an accident before the end is worth telling."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the broker closed the connection"))

    def _count_in(self, new: int) -> None:
        if not self._seen:
            self._began = (time.perf_counter(), time.process_time())
        self._seen += new
        if self._seen >= self._count and not self.done.done():
            self.done.set_result(since(self._began, self._count))


def since(began: tuple[float, float], messages: int) -> Drained:
    """The figures since ``began`` (perf_counter and process_time, seconds)."""
    seconds, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
    return Drained(messages, seconds, messages / seconds, cpu_s / messages * 1e6)


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


async def drain_null(settings: Mqtt, count: int) -> Drained:
    """Drain ``count`` waiting messages with the null subscriber."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(
        lambda: NullSubscriber(settings, count), settings.host, settings.port
    )
    try:
        async with asyncio.timeout(PROGRESS_WITHIN_S + count / 1_000):
            return await protocol.done
    finally:
        transport.close()


async def drain_source(settings: Mqtt, count: int) -> Drained:
    """Drain ``count`` waiting messages with the daemon's client and inbox, acknowledged at once."""
    inbox = Inbox(20_000, 1 << 26)
    source = MqttSource(settings, inbox, clock=SystemClock(), session=0)
    running = asyncio.create_task(source.run(), name="drain")
    began = (0.0, 0.0)
    async with asyncio.timeout(PROGRESS_WITHIN_S + count / 1_000):
        while source.acknowledged < count:
            await inbox.arrived.wait()
            began = began if began[0] else (time.perf_counter(), time.process_time())
            _, tokens = inbox.take(1_024)
            source.acknowledge(cast(list[int], tokens))
            await asyncio.sleep(0)
    drained = since(began, count)
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
        drain = drain_source if arguments.source else drain_null
        return await drain(settings, arguments.messages)


def main() -> None:
    """Fill a private broker, drain it, print the figures (and as JSON with ``--json``)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=200_000, help="how many (default 200000)")
    parser.add_argument("--payload-bytes", type=int, default=180, help="size of each (default 180)")
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
        f"{drained.messages_per_s:,.0f} messages/s, {drained.cpu_us_per_message:.2f} us CPU each"
    )


if __name__ == "__main__":
    main()
