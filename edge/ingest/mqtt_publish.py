"""What we publish on one connection: packet ids, the broker's window, batches in one write.

Not the receiving side, and it outlives no connection: what is unanswered when the link goes down
fails with LinkDown, and the caller decides whether to say it again.
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence

import mqtt5
from mqtt5 import QoS
from msgspec import Struct

from edge.errors import LinkDown, Rfid3Error
from edge.ingest.mqtt_wire import Wire
from edge.ingest.mqtt_words import in_words

Properties = Sequence[tuple[str, str]]

SUBSCRIBE_ID = 65_535
"""Packet id of our one SUBSCRIBE; publishes use smaller ones."""
WINDOW_MAX = 8_192
CHUNK_MESSAGES = 128
QOS = (QoS.AT_MOST_ONCE, QoS.AT_LEAST_ONCE)


class PublishError(Rfid3Error):
    """The broker refused a publish (its reason code), or it would not fit through."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class Outgoing(Struct, gc=False):
    """One message to publish."""

    topic: str
    payload: bytes
    user_properties: Properties | None = None
    retain: bool = False


class Delivery:
    """What becomes of one or many publishes: ``done`` when the broker has answered them all."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.refused = 0
        self.code = 0
        self._open = 0
        self._sealed = False

    def expect(self) -> None:
        """One more answer to wait for."""
        self._open += 1

    def seal(self) -> None:
        """No more publishes belong to it."""
        self._sealed = True
        self._end_if_complete()

    def settle(self, code: int) -> None:
        """The broker answered one of them."""
        self._open -= 1
        if code >= 0x80:
            self.refused += 1
            self.code = code
        self._end_if_complete()

    def fail(self, error: LinkDown) -> None:
        """The connection ended first."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # nobody may be waiting, and that is no mistake

    def _end_if_complete(self) -> None:
        if self._sealed and not self._open and not self.done.done():
            self.done.set_result(None)


class Window:
    """Packet ids of our own unanswered QoS 1 publishes: at most the broker's Receive Maximum."""

    def __init__(self, limit: int) -> None:
        assert 0 < limit < SUBSCRIBE_ID, limit
        self._free = list(range(limit, 0, -1))
        self._taken: dict[int, Delivery] = {}
        self._ended: LinkDown | None = None
        self._room = asyncio.Event()
        self._room.set()

    def take(self, delivery: Delivery) -> int:
        """A packet id, or 0 when the window is full."""
        if self._ended is not None:
            return 0
        if not self._free:
            self._room.clear()
            return 0
        packet_id = self._free.pop()
        self._taken[packet_id] = delivery
        delivery.expect()
        return packet_id

    def settle(self, packet_id: int, code: int) -> bool:
        """The broker answered; False when nothing was asked under this id."""
        delivery = self._taken.pop(packet_id, None)
        if delivery is None:
            return False
        self._free.append(packet_id)
        self._room.set()
        delivery.settle(code)
        return True

    async def room(self) -> None:
        """Wait until an id is free. Raises LinkDown when the connection ends."""
        await self._room.wait()
        if self._ended is not None:
            raise self._ended

    def end(self, error: LinkDown) -> None:
        """The connection has ended: everything still open fails with ``error``."""
        self._ended = error
        self._free.clear()
        self._room.set()
        taken, self._taken = self._taken, {}
        for delivery in taken.values():
            delivery.fail(error)


class Outbound:
    """Everything we publish on ``wire``, within the limits of the broker's CONNACK."""

    def __init__(self, wire: Wire, connack: mqtt5.ConnAckPacket) -> None:
        self._wire = wire
        self._window = Window(min(connack.receive_max, WINDOW_MAX))
        self._packet_max_bytes = connack.max_packet_size or sys.maxsize
        self._qos_max = int(connack.max_qos)

    def answered(self, packet: mqtt5.PubAckPacket) -> None:
        """The broker answered a QoS 1 publish; an answer to nothing is ignored."""
        self._window.settle(packet.packet_id, int(packet.reason_code))

    def end(self, reason: str) -> None:
        """The connection has ended: who waits for an answer gets LinkDown."""
        self._window.end(LinkDown(f"the link went down before the broker answered: {reason}"))

    async def send(self, messages: Iterable[Outgoing], qos: int) -> int:
        """Send all, as fast as the window allows; return how many, when all are answered.

        Raises LinkDown, and PublishError where the broker refused some (the others were sent).
        """
        self._check(qos)
        delivery, pieces, count = Delivery(), list[bytes](), 0
        try:
            for message in messages:
                packet_id = 0
                while qos and not (packet_id := self._window.take(delivery)):
                    self._flush(pieces)
                    await self._window.room()
                pieces.append(self._packet(message, qos, packet_id))
                count += 1
                if len(pieces) >= CHUNK_MESSAGES:
                    self._flush(pieces)
                    await asyncio.sleep(0)
                    await self._wire.writable()
        finally:
            self._flush(pieces)
        if not self._wire.open:
            raise LinkDown("the link went down while publishing")
        delivery.seal()
        await delivery.done
        if delivery.refused:
            said = in_words(mqtt5.PubAckReasonCode(delivery.code), None)
            raise PublishError(f"{delivery.refused} of {count} refused: {said}", delivery.code)
        return count

    def send_nowait(self, message: Outgoing, qos: int) -> bool:
        """Send without waiting for an answer; False when there is no room now."""
        self._check(qos)
        if self._wire.clogged or not self._wire.open:
            return False
        packet_id = self._window.take(Delivery()) if qos else 0
        if qos and not packet_id:
            return False
        self._wire.write(self._packet(message, qos, packet_id))
        return True

    def _check(self, qos: int) -> None:
        assert qos in (0, 1), qos
        if qos > self._qos_max:
            raise PublishError(f"the broker takes QoS {self._qos_max} at most")

    def _flush(self, pieces: list[bytes]) -> None:
        if pieces:
            self._wire.write(b"".join(pieces))
            pieces.clear()

    def _packet(self, message: Outgoing, qos: int, packet_id: int) -> bytes:
        """The packet's bytes; gives the packet id back where there can be none."""
        try:
            data = encode(message, qos, packet_id)
            if len(data) > self._packet_max_bytes:
                limit = self._packet_max_bytes
                raise PublishError(f"{len(data)} bytes; the broker takes {limit}", 0x95)
        except (PublishError, ValueError, AssertionError):
            self._window.settle(packet_id, 0)
            raise
        return data


def encode(message: Outgoing, qos: int, packet_id: int) -> bytes:
    """One PUBLISH packet; ``packet_id`` 0 for QoS 0."""
    topic = message.topic
    assert "+" not in topic, topic
    assert "#" not in topic, topic
    return mqtt5.PublishPacket(
        topic,
        message.payload,
        qos=QOS[qos],
        retain=message.retain,
        packet_id=packet_id or None,
        user_properties=list(message.user_properties) if message.user_properties else None,
    ).write()
