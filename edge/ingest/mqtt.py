"""The MQTT door: connect, subscribe, messages into the inbox, acknowledgements when they are durable.

It never acknowledges what it receives by itself: the corridor does, after the journal's commit,
with :meth:`MqttSource.acknowledge`. It decodes nothing and keeps nothing.

A token is ``generation << 16 | packet id``. The generation counts connections: a broker that lost
our session hands out the same packet ids again, so a token of an older connection would acknowledge
a message nobody has stored. Such tokens are counted and dropped.
"""

import asyncio
import random
import sys
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import mqtt5
import msgspec
import structlog

from edge.clock import Clock, SystemClock
from edge.config import Mqtt
from edge.errors import LinkDown
from edge.ingest.inbox import Inbox
from edge.ingest.mqtt_greeting import connect, status_message, subscribe, tls_context
from edge.ingest.mqtt_publish import Outbound, Outgoing, Properties, encode
from edge.ingest.mqtt_wire import Published, Salvaged, Wire
from edge.ingest.mqtt_words import PROTOCOL_ERROR, TAKEN_OVER, dial_error, in_words
from edge.ingest.times import TIME_MAX_MS, TIME_MIN_MS
from edge.records import QOS_MASK, Message

log = structlog.get_logger(__name__)

CONNECT_WITHIN_S = 10.0
LEAVE_WITHIN_S = 2.0
STABLE_AFTER_S = 60.0  # longer than a fight of two daemons for one name lets either live
TOPICS_REMEMBERED = 4_096
TICK_MAX_S = 1.0
PUBACK_WORD = 0x40020000  # type PUBACK, two bytes follow: the packet id
PUBACK_TOP = PUBACK_WORD >> 16
PUBREC_WORD = 0x50020000
PINGREQ = mqtt5.PingReqPacket().write()
EVENT_TIME = "rfid3-time"
EVENT_TIME_DIGITS_MAX = 14


class MqttSource:
    """A client of one broker; satisfies :class:`edge.ingest.source.Source`.

    ``session`` is the number the journal remembers; it goes up when the broker says it has no
    session of ours. ``arrival_ms`` is the newest arrival the journal remembers: arrivals never
    decrease. ``on_link(connected, session)`` is called before the first message of a connection
    and after its last. With no subscriptions it only publishes; with an empty ``status_topic`` it
    leaves no status and no will.

    Publishing waits for the broker's answer on the same connection: while reading is held back by
    a full inbox, answers to QoS 1 publishes wait too.
    """

    def __init__(
        self,
        settings: Mqtt,
        inbox: Inbox,
        *,
        clock: Clock,
        session: int,
        clock_mode: Literal["wall", "events"] = "wall",
        on_link: Callable[[bool, int], None] | None = None,
        arrival_ms: int = 0,
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._clock = clock
        self._by_events = clock_mode == "events"
        self._on_link = on_link
        # replayed time that nobody has told yet is the earliest there can be, not before all time
        self._arrival_ms = max(arrival_ms, TIME_MIN_MS) if self._by_events else arrival_ms
        self._wire: Wire | None = None
        self._outbound: Outbound | None = None
        self._token_base = 0
        self._topics: dict[str, str] = {}
        self._exactly_once: set[int] = set()  # packet ids of QoS 2 messages not yet durable
        self._awaits_room = False
        self._up = asyncio.Event()
        self._keep_alive_s = settings.keep_alive_s
        self._broker_retains = True
        self._answers: dict[type, Callable[..., None]] = {
            mqtt5.ConnAckPacket: self._on_connack,
            mqtt5.SubAckPacket: self._on_suback,
            mqtt5.PubAckPacket: self._on_puback,
            mqtt5.PubRelPacket: self._on_pubrel,
            mqtt5.PingRespPacket: lambda packet: None,
            mqtt5.DisconnectPacket: self._on_disconnect,
        }
        self.session = session
        self.session_present = False
        self.generation = 0
        self.connected = False
        self.paused = False
        self.last_error = ""
        self.received = 0
        self.acknowledged = 0
        self.stale_tokens_dropped = 0
        self.reconnects = 0
        self.malformed = 0
        self.bytes_received = 0
        self.subscribed = False
        self.refused_filters: list[str] = []

    # -- the link ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect and reconnect until cancelled; then say offline and DISCONNECT.

        Nothing the network or the broker does ends it: the reason and the cure go to the log and
        to ``last_error``.
        """
        loop, failures = asyncio.get_running_loop(), 0
        while True:
            await self._room()
            began = loop.time()
            code = await self._one_connection()
            failures = 0 if loop.time() - began > STABLE_AFTER_S else failures + 1
            delay_s = self._delay_s(failures, code)
            log.warning(
                "mqtt_link_down",
                broker=f"{self._settings.host}:{self._settings.port}",
                reason=self.last_error,
                retry_in_s=round(delay_s, 2),
            )
            await asyncio.sleep(delay_s)

    async def wait_connected(self, timeout_s: float) -> None:
        """Wait for the link. Raises LinkDown, with the reason, after ``timeout_s`` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        except TimeoutError:
            raise LinkDown(self.last_error or "the broker has not answered yet") from None

    async def _one_connection(self) -> int:
        """Live through one connection; return the broker's reason code, 0 where it gave none."""
        try:
            wire = await self._dial()
        except (OSError, UnicodeError) as error:  # refused, unreachable, certificate, file missing
            self.last_error = dial_error(error, self._settings)
            return 0
        self._wire = wire
        silent = asyncio.get_running_loop().call_later(CONNECT_WITHIN_S, self._give_up, wire)
        try:
            wire.write(connect(self._settings, self._clock.now_ms()))
            await self._keep_alive(wire)
        except asyncio.CancelledError:
            await self._leave(wire)
            raise
        finally:
            silent.cancel()
            wire.abort("stopped")
        return wire.code

    async def _dial(self) -> Wire:
        settings, loop = self._settings, asyncio.get_running_loop()
        context = tls_context(settings) if settings.tls.enabled else None
        async with asyncio.timeout(CONNECT_WITHIN_S):
            _, wire = await loop.create_connection(
                lambda: Wire(self, settings.packet_max_bytes),
                settings.host,
                settings.port,
                ssl=context,
            )
        return wire

    def _give_up(self, wire: Wire) -> None:
        if not self.connected:
            wire.abort(f"no answer to CONNECT within {CONNECT_WITHIN_S:.0f} s")

    async def _keep_alive(self, wire: Wire) -> None:
        """Ping twice in a keep-alive interval; end a connection that is silent for longer."""
        loop = asyncio.get_running_loop()
        pinged_at = loop.time()
        while not wire.lost.done():
            every_s = self._keep_alive_s / 2
            await asyncio.wait({wire.lost}, timeout=min(every_s or TICK_MAX_S, TICK_MAX_S))
            now = loop.time()
            if not every_s or now - pinged_at < every_s:
                continue
            silent_s = now - wire.heard_at
            if silent_s > self._keep_alive_s and not self.paused:
                wire.abort(f"the broker was silent for {silent_s:.1f} s")
                await asyncio.wait({wire.lost})
            wire.write(PINGREQ)
            pinged_at = now

    async def _leave(self, wire: Wire) -> None:
        """Say offline and DISCONNECT, and let the broker close: no reset overtakes the last words."""
        if self.connected and wire.open:
            self._say("offline", wire)
            wire.leave("stopped")
            await asyncio.wait({wire.lost}, timeout=LEAVE_WITHIN_S)

    async def _room(self) -> None:
        """With a full inbox a new connection would only bring what is already in it."""
        if self._inbox.full:
            log.warning("mqtt_waits_for_room_in_the_inbox", messages=len(self._inbox))
        while self._inbox.full:
            drained = asyncio.Event()
            self._inbox.on_drained(drained.set)
            await drained.wait()

    def _delay_s(self, failures: int, code: int) -> float:
        settings = self._settings
        if code == TAKEN_OVER:  # two daemons: do not fight for the name
            return settings.reconnect_max_s
        longest_s = settings.reconnect_min_s * 2.0 ** min(failures, 20)
        return min(settings.reconnect_max_s, longest_s) * random.uniform(0.5, 1.0)

    def _say(self, status: str, wire: Wire) -> None:
        """Our retained status, where there is a topic for it and the broker retains."""
        if self._settings.status_topic and self._broker_retains:
            wire.write(encode(status_message(self._settings, status, self._clock.now_ms()), 0, 0))

    # -- what the broker tells us -----------------------------------------------------------------

    def heard(self, size_bytes: int) -> None:
        """Called by the wire: bytes arrived, all at one moment."""
        self.bytes_received += size_bytes
        if not self._by_events:
            self._arrival_ms = max(self._arrival_ms, self._clock.now_ms())

    def published(self, packets: Sequence[Published], flags: Sequence[int]) -> None:
        """Called by the wire: messages, into the inbox; their PUBACKs are not ours to send."""
        topics, base, session = self._topics, self._token_base, self.session
        arrival_ms = self._arrival_ms
        messages: list[Message] = []
        tokens: list[int] = []
        for packet, bits in zip(packets, flags, strict=True):
            if self._by_events:
                arrival_ms = self._moved_time(packet.user_properties)
            told, packet_id = packet.topic, packet.packet_id or 0
            topic = topics.get(told) or self._remember(told)
            messages.append(Message(topic, packet.payload, arrival_ms, session, packet_id, bits))
            tokens.append(base | packet_id if packet_id else 0)
            if bits & QOS_MASK == 2:
                self._exactly_once.add(packet_id)
        self.received += len(messages)
        if not self._inbox.put_all(messages, tokens):
            self._hold()

    def salvaged(self, found: Salvaged, why: str) -> None:
        """Called by the wire: a message the codec refused; the decoder will say what it thinks."""
        self.malformed += 1
        if not self.malformed & (self.malformed - 1):  # the 1st, 2nd, 4th, 8th ...: no flood
            topic = found.topic[:200]
            log.warning("mqtt_malformed_message", topic=topic, why=why, count=self.malformed)
        self.published([found], [found.flags])

    def answered(self, packet: mqtt5.Packet) -> None:
        """Called by the wire: anything else."""
        act = self._answers.get(type(packet))
        if act is not None:
            act(packet)
        elif self._wire is not None:
            self.malformed += 1
            text = f"the broker sent {type(packet).__name__}, which nobody asked for"
            self._wire.close(text, PROTOCOL_ERROR)

    def lost(self, reason: str) -> None:
        """Called by the wire: the connection has ended."""
        was_connected = self.connected
        self.connected = self.subscribed = self.paused = False
        self.last_error = reason
        self._token_base = 0
        self._exactly_once.clear()
        self._up.clear()
        if self._outbound is not None:
            self._outbound.end(reason)
            self._outbound = None
        if was_connected and self._on_link is not None:
            self._on_link(False, self.session)

    def _remember(self, topic: str) -> str:
        # One string a topic: waiting messages share it, and its hash is computed once.
        if len(self._topics) >= TOPICS_REMEMBERED:
            self._topics.clear()
        self._topics[topic] = topic
        return topic

    def _moved_time(self, properties: Properties) -> int:
        for name, value in properties:
            if name == EVENT_TIME and value.isascii() and value.isdigit():
                told_ms = min(int(value[:EVENT_TIME_DIGITS_MAX]), TIME_MAX_MS - 1)
                self._arrival_ms = max(self._arrival_ms, told_ms)
        return self._arrival_ms

    def _hold(self) -> None:
        """Stop reading until the inbox has room. What has been read is still put."""
        if self._wire is not None and not self.paused:
            self.paused = True
            self._wire.pause()
        if not self._awaits_room:
            self._awaits_room = True
            self._inbox.on_drained(self._release)

    def _release(self) -> None:
        self._awaits_room = False
        if self._wire is None or not self.paused:
            return
        if self._inbox.full:  # less was taken than one read may bring
            self._hold()
            return
        self.paused = False
        self._wire.resume()

    def _on_connack(self, packet: mqtt5.ConnAckPacket) -> None:
        wire = self._wire
        assert wire is not None
        wire.code = int(packet.reason_code)  # the codec's codes are all true, even 0
        if wire.code:
            wire.close(f"refused: {in_words(packet.reason_code, packet.reason_str)}", None)
            return
        self.reconnects += self.generation > 0
        self.generation += 1
        self._token_base = self.generation << 16
        self.session_present = packet.session_present
        if not packet.session_present or not self.session:
            self.session += 1
        if packet.server_keep_alive is not None:
            self._keep_alive_s = packet.server_keep_alive
        self._broker_retains = packet.retain_available
        self._outbound = Outbound(wire, packet)
        self.connected = True
        self._up.set()
        wire.write(subscribe(self._settings))
        self._say("online", wire)
        log.info("mqtt_link_up", session=self.session, session_present=packet.session_present)
        if self._on_link is not None:
            self._on_link(True, self.session)

    def _on_suback(self, packet: mqtt5.SubAckPacket) -> None:
        self.subscribed, self.refused_filters = True, []
        for pattern, code in zip(self._settings.subscriptions, packet.reason_codes, strict=False):
            granted = int(code)
            if granted >= 0x80:
                self.refused_filters.append(pattern)
                self.last_error = f"subscription {pattern} refused: {in_words(code, None)}"
                log.error("mqtt_subscription_refused", filter=pattern, reason=self.last_error)
            elif granted < self._settings.qos:
                log.warning("mqtt_subscription_at_lower_qos", filter=pattern, qos=granted)

    def _on_puback(self, packet: mqtt5.PubAckPacket) -> None:
        if self._outbound is not None:
            self._outbound.answered(packet)

    def _on_pubrel(self, packet: mqtt5.PubRelPacket) -> None:
        if self._wire is not None:
            self._wire.write(mqtt5.PubCompPacket(packet.packet_id).write())

    def _on_disconnect(self, packet: mqtt5.DisconnectPacket) -> None:
        if self._wire is not None:
            self._wire.code = int(packet.reason_code)
            text = in_words(packet.reason_code, packet.reason_str)
            self._wire.close(f"ended by the broker: {text}", None)

    # -- what the corridor and publishers ask -----------------------------------------------------

    def acknowledge(self, tokens: Sequence[int]) -> None:
        """These messages are durable: one write with all their PUBACKs; 0 (QoS 0) is nothing.

        Tokens of an older connection are counted and never sent.
        """
        wire = self._wire
        # A token of this generation becomes the four bytes of its PUBACK; any other does not.
        mix = self._token_base ^ PUBACK_WORD
        words = array("I")
        if self._token_base:
            words.extend([word for token in tokens if (word := token ^ mix) >> 16 == PUBACK_TOP])
        if len(words) < len(tokens):
            self.stale_tokens_dropped += sum(token != 0 for token in tokens) - len(words)
        if not words or wire is None:
            return
        if self._exactly_once:
            words = array("I", [self._as_pubrec(word) for word in words])
        if sys.byteorder == "little":
            words.byteswap()
        wire.write(words.tobytes())
        self.acknowledged += len(words)

    def _as_pubrec(self, word: int) -> int:
        packet_id = word & 0xFFFF
        if packet_id not in self._exactly_once:
            return word
        self._exactly_once.discard(packet_id)
        return PUBREC_WORD | packet_id

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        user_properties: Properties | None = None,
    ) -> None:
        """Publish; with QoS 1 return when the broker has answered.

        Raises LinkDown when there is no link (with QoS 1 also when it ends before the answer: the
        message may or may not have arrived), PublishError when the broker refuses.
        """
        await self.publish_many([Outgoing(topic, payload, user_properties, retain)], qos)

    async def publish_many(self, messages: Iterable[Outgoing], qos: int = 1) -> int:
        """Publish as fast as the broker's window allows; return how many, when all are answered.

        Raises as :meth:`publish`; after a refusal the others are still sent.
        """
        if self._outbound is not None:
            return await self._outbound.send(messages, qos)
        raise LinkDown(self.last_error or "not connected yet")

    def publish_nowait(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        user_properties: Properties | None = None,
    ) -> bool:
        """Publish without waiting for anything; False when there is no link or no room for it now.

        Nobody learns whether the broker took it. Raises PublishError when it could never fit.
        """
        message = Outgoing(topic, payload, user_properties, retain)
        return self._outbound is not None and self._outbound.send_nowait(message, qos)


@asynccontextmanager
async def publisher(
    settings: Mqtt, client_id: str, *, timeout_s: float = 10.0
) -> AsyncIterator[MqttSource]:
    """A connected client that only publishes: no session, no subscriptions, no status, no will.

    Raises LinkDown, with the reason, when there is no link within ``timeout_s`` seconds.
    """
    plain = msgspec.structs.replace(
        settings, client_id=client_id, subscriptions=[], status_topic="", session_expiry_s=0
    )
    client = MqttSource(plain, Inbox(1, 1), clock=SystemClock(), session=0)
    running = asyncio.create_task(client.run(), name=f"mqtt {client_id}")
    try:
        await client.wait_connected(timeout_s)
        yield client
    finally:
        running.cancel()
        await asyncio.wait({running})
