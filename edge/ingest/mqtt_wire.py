"""One MQTT 5 connection: bytes into packets, packet ids of what we publish, reasons in words.

It does not connect, reconnect, subscribe or know what a message means: that is ``mqtt.py``. The
codec is ``mqtt5``; framing, and what to do with a packet the codec refuses, is ours.

A PUBLISH that the codec refuses (a topic that is not UTF-8, an unknown property) is salvaged: its
length frames it, its topic and packet id are read by hand and it goes on to be a dead letter. If it
closed the connection instead, the broker would send it again after every reconnect and nothing
behind it would ever arrive.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol, cast

import mqtt5
from msgspec import Struct

from edge.ingest.mqtt_words import CLOSED, CURES, MALFORMED, PACKET_TOO_LARGE

WRITE_HIGH_BYTES = 262_144
LONGEST_HEADER_BYTES = 5

PUBLISH = 3
CONNACK = 2
DUP_BIT, QOS_BITS, RETAIN_BIT = 8, 6, 1

# Fixed-header nibble of a PUBLISH -> flags of a Message (bits 0-1 QoS, 2 DUP, 3 RETAIN).
FLAGS = tuple((n >> 1) & 3 | (n & DUP_BIT) >> 1 | (n & RETAIN_BIT) << 3 for n in range(16))


class Salvaged(Struct, frozen=True):
    """What could be read by hand of a PUBLISH that the codec refused."""

    topic: str
    payload: bytes
    packet_id: int
    flags: int
    user_properties: Sequence[tuple[str, str]] = ()


Published = mqtt5.PublishPacket | Salvaged


class Owner(Protocol):
    """Whoever a connection reports to; all calls are synchronous, in the order of the wire."""

    def heard(self, size_bytes: int) -> None:
        """Bytes arrived; their packets follow."""
        ...

    def published(self, packets: Sequence[mqtt5.PublishPacket], flags: Sequence[int]) -> None:
        """Messages, one after the other; ``flags`` of each as in :class:`edge.records.Message`."""
        ...

    def salvaged(self, found: Salvaged, why: str) -> None:
        """A message the codec refused, read by hand."""
        ...

    def answered(self, packet: mqtt5.Packet) -> None:
        """Any other packet."""
        ...

    def lost(self, reason: str) -> None:
        """The connection has ended; nothing follows."""
        ...


def frame_bytes(view: memoryview) -> int:
    """Length of the packet that begins here, header included; 0 when its header is incomplete.

    >>> frame_bytes(memoryview(bytes([0x30, 0x80, 0x01])))
    131
    >>> frame_bytes(memoryview(bytes([0x30, 0x80])))
    0
    """
    length = 0
    for at, byte in enumerate(view[1:LONGEST_HEADER_BYTES]):
        length |= (byte & 127) << 7 * at
        if byte < 128:
            return length + at + 2
    return 0


def salvage(frame: bytes) -> Salvaged | None:
    """Topic, payload and packet id of a whole PUBLISH frame, or None where even these are missing.

    Bytes of the topic that are not UTF-8 become U+FFFD; properties are skipped by their length, or
    kept as part of the payload where that length lies.

    >>> found = salvage(bytes([0x32, 7, 0, 1, 0xFF, 0, 9, 0, 33]))
    >>> found.topic == chr(0xFFFD), found.payload, found.packet_id, found.flags
    (True, b'!', 9, 1)
    >>> salvage(bytes([0x30, 3, 0, 9, 65])) is None
    True
    """
    flags = FLAGS[frame[0] & 15]
    topic_at = 4 + next(i for i, byte in enumerate(frame[1:]) if byte < 128)
    topic_end = topic_at + int.from_bytes(frame[topic_at - 2 : topic_at])
    body_at = topic_end + (2 if flags & 3 else 0)
    packet_id = int.from_bytes(frame[topic_end:body_at])
    if flags & 3 == 3 or body_at > len(frame) or (flags & 3 and not packet_id):
        return None
    topic = frame[topic_at:topic_end].decode("utf-8", "replace")
    return Salvaged(topic, _after_properties(frame, body_at), packet_id, flags)


def _after_properties(frame: bytes, at: int) -> bytes:
    end = at + frame_bytes(memoryview(b"\0" + frame[at : at + 4])) - 1
    return frame[end:] if at < end <= len(frame) else frame[at:]


class Wire(asyncio.Protocol):
    """The connection's life from the first byte to :attr:`lost`.

    Memory: one unfinished packet of at most ``packet_max_bytes``, and what the transport hands
    over at once. A packet that arrives in pieces is looked at again only when it is complete.
    """

    def __init__(self, owner: Owner, packet_max_bytes: int) -> None:
        self._owner = owner
        self._packet_max_bytes = packet_max_bytes
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._rest = bytearray()
        self._needed_bytes = 0
        self._reason = ""
        self._writable = asyncio.Event()
        self._writable.set()
        self.heard_at = self._loop.time()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.code = 0
        """Reason code of the broker, where it gave one; see CURES."""

    # -- called by the transport ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP (and TLS) handshake is done."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)

    def data_received(self, data: bytes) -> None:
        """Bytes of any cut: whole packets are reported, an unfinished one waits for its rest."""
        if self._reason:
            return
        self.heard_at = self._loop.time()
        self._owner.heard(len(data))
        if not self._rest:
            with memoryview(data) as view:
                used = self._read(view)
                self._rest += view[used:]
            return
        self._rest += data
        if len(self._rest) < self._needed_bytes:
            return
        with memoryview(self._rest) as view:
            used = self._read(view)
            rest = bytearray(view[used:])
        self._rest = rest

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        """The end, whoever wanted it."""
        said = f"{type(error).__name__}: {error}" if error else CLOSED
        reason = self._reason or said
        self._writable.set()
        self.lost.set_result(reason)
        self._owner.lost(reason)

    # -- called by the owner ----------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether writing still makes sense."""
        return self._transport is not None and not self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send, unless the connection is ending."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    @property
    def clogged(self) -> bool:
        """Whether more than WRITE_HIGH_BYTES wait to be sent."""
        return not self._writable.is_set()

    async def writable(self) -> None:
        """Wait until the socket takes more (or the connection has ended)."""
        await self._writable.wait()

    def pause(self) -> None:
        """Stop reading: TCP holds the broker back."""
        if self.open and self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again; silence so far was ours."""
        self.heard_at = self._loop.time()
        if self.open and self._transport is not None:
            self._transport.resume_reading()

    def close(self, reason: str, code: int | None = 0) -> None:
        """Say DISCONNECT with ``code`` (None: say nothing), flush, end with ``reason``."""
        if not self.open or self._transport is None:
            return
        self._reason = reason
        if code is not None:
            said = mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode(code))
            self._transport.write(said.write())
        self._transport.close()

    def leave(self, reason: str) -> None:
        """Say DISCONNECT and let the broker close; whatever it still sends is thrown away.

        Closing with bytes unread would reset the connection and could overtake our last words.
        """
        self.write(mqtt5.DisconnectPacket().write())
        self._reason = reason
        self.resume()

    def abort(self, reason: str) -> None:
        """End now, without flushing: nobody answers."""
        if self._transport is not None and not self.lost.done():
            self._reason = self._reason or reason
            self._transport.abort()

    # -- inside -----------------------------------------------------------------------------------

    def _read(self, view: memoryview) -> int:
        """Report every whole packet, messages that follow each other together; the bytes done with."""
        read, at, size = mqtt5.read, 0, len(view)
        packets: list[mqtt5.PublishPacket] = []
        flags: list[int] = []
        while at < size:
            try:
                packet, used = read(view[at:])
            except IndexError:
                at = self._wait_for_rest(view, at)
                break
            except BaseException as error:
                if not _is_refusal(error):
                    raise
                self._report(packets, flags)
                at += self._refused(view[at:], error)
            else:
                if type(packet) is mqtt5.PublishPacket:
                    packets.append(packet)
                    flags.append(FLAGS[view[at] & 15])
                    at += used
                    continue
                self._report(packets, flags)
                self._owner.answered(packet)
                at += used
            if self._reason:
                return size
        self._report(packets, flags)
        return at

    def _report(self, packets: list[mqtt5.PublishPacket], flags: list[int]) -> None:
        if packets:
            self._owner.published(packets, flags)
            packets.clear()
            flags.clear()

    def _wait_for_rest(self, view: memoryview, at: int) -> int:
        needed_bytes = frame_bytes(view[at : at + LONGEST_HEADER_BYTES])
        if needed_bytes > self._packet_max_bytes:
            text = f"a packet of {needed_bytes} bytes, more than mqtt.packet_max_bytes"
            self.close(text, PACKET_TOO_LARGE)
            return len(view)
        self._needed_bytes = needed_bytes
        return at

    def _refused(self, view: memoryview, error: BaseException) -> int:
        """Salvage a PUBLISH, or end the connection; return the bytes done with."""
        frame = bytes(view[: frame_bytes(view)])
        kind = view[0] >> 4
        found = salvage(frame) if kind == PUBLISH and len(frame) > 2 else None
        if found is not None:
            self._owner.salvaged(found, str(error))
            return len(frame)
        if kind == CONNACK:
            self.close(f"the answer to CONNECT is not MQTT 5's: {CURES[0x84]}", None)
        else:
            self.close(
                f"malformed packet of kind {kind}: {error}",
                MALFORMED,
            )
        return len(view)


def _is_refusal(error: BaseException) -> bool:
    # The codec panics on text that is not UTF-8 (0.1 to 0.3 ms and a trace on standard error);
    # pyo3's exception is no Exception and has no importable name.
    return isinstance(error, ValueError) or type(error).__name__ == "PanicException"
