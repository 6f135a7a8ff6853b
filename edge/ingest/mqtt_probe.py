"""One look at a broker: connect, read what it grants, leave. For ``rfid3 doctor``.

Not the client of the daemon (that is ``mqtt.py``): blocking, one short connection, no state kept.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator

import mqtt5
from msgspec import Struct

from edge.config import Mqtt, Tls
from edge.errors import LinkDown
from edge.ingest.mqtt_words import CURES

VERSION_TOPIC = "$SYS/broker/version"
_CHUNK_BYTES = 65_536
_CONNACK = 0x20


class ProbeFailed(LinkDown):
    """The broker could not be asked; the text says why, ``cure`` what to do."""

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(reason)
        self.cure = cure


class Answer(Struct, frozen=True, kw_only=True):
    """What a broker grants to a client like ours."""

    connect_ms: float
    """From the first packet to the broker's answer, TLS included, milliseconds."""
    version: str
    """What the broker calls itself; empty: it does not say."""
    status: str | None
    """The retained status of our daemon, ``None``: there is none, or it may not be read."""
    assigned_client_id: str | None
    """Another client id the broker gave us."""
    receive_maximum: int
    """Most QoS 1 publishes in flight towards the broker; towards us it is what we asked for."""
    packet_max_bytes: int | None
    """Largest packet the broker takes; ``None``: any."""
    keep_alive_s: int | None
    """Keep-alive the broker insists on; ``None``: ours."""
    session_expiry_s: int | None
    """How long the broker keeps a session, where it is not what we asked for."""
    qos_max: int
    """Highest QoS."""
    retain: bool
    """Whether retained messages are kept."""
    wildcards: bool
    """Whether filters with + and # may be subscribed to."""
    shared: bool
    """Whether shared subscriptions are offered."""


def probe(mqtt: Mqtt, *, timeout_s: float = 5.0) -> Answer:
    """Ask as a client of our own name with ``-doctor`` behind it, so that nobody is disturbed.

    Raises ProbeFailed.
    """
    started = time.monotonic()
    with _connected(mqtt, f"{mqtt.client_id}-doctor", timeout_s, clean=True) as link:
        connect_ms = (time.monotonic() - started) * 1_000
        granted = link.granted
        topic = f"{mqtt.status_topic}/{mqtt.client_id}" if mqtt.status_topic else ""
        retained = link.retained([t for t in (VERSION_TOPIC, topic) if t])
        link.leave(end_session=True)
    return Answer(
        connect_ms=connect_ms,
        version=retained.get(VERSION_TOPIC, ""),
        status=retained.get(topic),
        assigned_client_id=granted.assigned_client_id,
        receive_maximum=granted.receive_max,
        packet_max_bytes=granted.max_packet_size,
        keep_alive_s=granted.server_keep_alive,
        session_expiry_s=granted.session_expiry_interval,
        qos_max=int(granted.max_qos),
        retain=granted.retain_available,
        wildcards=granted.wildcard_subscription_available,
        shared=granted.shared_subscription_available,
    )


def session_exists(mqtt: Mqtt, *, timeout_s: float = 5.0) -> bool:
    """Whether the broker holds our daemon's session. Only while the daemon is not connected:
    a second connection of the same client id would push it out.

    Messages that the broker starts to deliver meanwhile are not acknowledged, so it sends them
    again to the daemon. Raises ProbeFailed.
    """
    with _connected(mqtt, mqtt.client_id, timeout_s, clean=False) as link:
        present = link.granted.session_present
        link.leave(end_session=not present)
    return present


def tls_context(tls: Tls) -> ssl.SSLContext:
    """A client's TLS context. Raises ProbeFailed when a file is not usable."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ProbeFailed(
            f"the TLS files cannot be used: {error}",
            "check that mqtt.tls.ca_file, cert_file and key_file are PEM, readable, and belong together",
        ) from None
    return context


@contextlib.contextmanager
def _connected(mqtt: Mqtt, client_id: str, timeout_s: float, *, clean: bool) -> Iterator["_Link"]:
    """A link whose CONNECT was accepted. Raises ProbeFailed, also for what happens inside."""
    where = f"{mqtt.host}:{mqtt.port}"
    try:
        with _socket(mqtt, timeout_s) as sock:
            link = _Link(sock, where)
            link.open(mqtt, client_id, clean=clean)
            yield link
    except TimeoutError:
        raise ProbeFailed(
            f"{where} did not answer within {timeout_s:g} s",
            "check mqtt.host, the network and the firewall; is something else listening there?",
        ) from None
    except (ConnectionResetError, BrokenPipeError):
        raise ProbeFailed(f"{where} closed the connection", _CLOSED_CURE) from None


_CLOSED_CURE = (
    "the broker must speak MQTT 5 (Mosquitto 1.6 or later); check mqtt.tls.enabled against what "
    "this port expects, and the broker's log"
)


def _socket(mqtt: Mqtt, timeout_s: float) -> socket.socket:
    """A TCP or TLS connection to the broker. Raises ProbeFailed."""
    where = f"{mqtt.host}:{mqtt.port}"
    context = tls_context(mqtt.tls) if mqtt.tls.enabled else None
    try:
        plain = socket.create_connection((mqtt.host, mqtt.port), timeout=timeout_s)
    except (socket.gaierror, UnicodeError):
        raise ProbeFailed(
            f"the name {mqtt.host} is not known", "check mqtt.host, or name the broker's address"
        ) from None
    except ConnectionRefusedError:
        raise ProbeFailed(
            f"nobody listens at {where}",
            "start the broker (sudo systemctl start mosquitto), or check mqtt.host and mqtt.port",
        ) from None
    except TimeoutError:
        raise
    except OSError as error:
        raise ProbeFailed(
            f"{where} cannot be reached: {error.strerror}", "check the network and mqtt.host"
        ) from None
    if context is None:
        return plain
    try:
        return context.wrap_socket(plain, server_hostname=mqtt.host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise ProbeFailed(
            f"the certificate of {where} is not trusted: {error.verify_message}",
            "set mqtt.tls.ca_file to the authority that signed it; mqtt.host must be a name in it",
        ) from None
    except TimeoutError:
        plain.close()
        raise
    except OSError as error:
        plain.close()
        raise ProbeFailed(
            f"no TLS with {where}: {getattr(error, 'reason', None) or error.strerror}",
            "is this the broker's TLS port (often 8883)? a client certificate may be demanded",
        ) from None


class _Link:
    """One open connection, blocking."""

    def __init__(self, sock: socket.socket, where: str) -> None:
        self._sock = sock
        self._where = where
        self._buffer = bytearray()
        self.granted: mqtt5.ConnAckPacket

    def open(self, mqtt: Mqtt, client_id: str, *, clean: bool) -> None:
        """Send CONNECT as the daemon would, and wait for the broker's answer."""
        connect = mqtt5.ConnectPacket(
            client_id,
            username=mqtt.username or None,
            password=mqtt.password.encode() or None,
            clean_start=clean,
            keep_alive=mqtt.keep_alive_s,
            session_expiry_interval=mqtt.session_expiry_s,
            receive_max=mqtt.receive_maximum,
            max_packet_size=mqtt.packet_max_bytes,
        )
        self._sock.sendall(connect.write())
        answer = self._next()
        if not isinstance(answer, mqtt5.ConnAckPacket):
            raise ProbeFailed(f"{self._where} answered CONNECT with something else", _CLOSED_CURE)
        if answer.reason_code != mqtt5.ConnAckReasonCode.SUCCESS:
            words = answer.reason_str or answer.reason_code.name.replace("_", " ").lower()
            raise ProbeFailed(
                f"{self._where} refuses us: {words}",
                CURES.get(int(answer.reason_code), "see the broker's log"),
            )
        self.granted = answer

    def retained(self, topics: list[str]) -> dict[str, str]:
        """Retained messages of these topics, as text."""
        quiet = mqtt5.QoS.AT_MOST_ONCE
        filters = [mqtt5.TopicFilter(topic, max_qos=quiet) for topic in topics]
        self._sock.sendall(mqtt5.SubscribePacket(1, filters).write())
        self._sock.sendall(mqtt5.PingReqPacket().write())
        found: dict[str, str] = {}
        while not isinstance(packet := self._next(), mqtt5.PingRespPacket):
            if isinstance(packet, mqtt5.PublishPacket):
                found[packet.topic] = bytes(packet.payload or b"").decode(errors="replace")
        return found

    def leave(self, *, end_session: bool) -> None:
        """Say goodbye; ``end_session`` leaves nothing of us behind."""
        expiry = 0 if end_session else None
        with contextlib.suppress(OSError):
            self._sock.sendall(mqtt5.DisconnectPacket(session_expiry_interval=expiry).write())

    def _next(self) -> mqtt5.Packet:
        while True:
            if self._buffer:
                try:
                    packet, used = mqtt5.read(memoryview(bytes(self._buffer)))
                except IndexError:
                    pass
                except ValueError:
                    raise ProbeFailed(
                        f"{self._where} does not speak MQTT 5", _CLOSED_CURE
                    ) from None
                else:
                    del self._buffer[:used]
                    return packet
            chunk = self._sock.recv(_CHUNK_BYTES)
            if not chunk:
                if self._buffer and self._buffer[0] != _CONNACK:
                    raise ProbeFailed(f"{self._where} does not speak MQTT 5", _CLOSED_CURE)
                raise ConnectionResetError
            self._buffer += chunk
