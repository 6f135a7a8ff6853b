"""What we say first and last on a connection: CONNECT with its will, SUBSCRIBE, our status.

No sockets: settings in, packets out.
"""

import ssl

import mqtt5
import msgspec
from mqtt5 import QoS

from edge.config import Mqtt
from edge.ingest.mqtt_publish import SUBSCRIBE_ID, Outgoing


def connect(settings: Mqtt, now_ms: int) -> bytes:
    """CONNECT to a session that lasts, with the will that tells when we vanish.

    ``now_ms`` (epoch milliseconds) stands in the will: the broker adds no time of its own.
    """
    last_words = status_message(settings, "offline", now_ms, "connection lost")
    will = mqtt5.Will(
        last_words.topic, payload=last_words.payload, qos=QoS.AT_LEAST_ONCE, retain=True
    )
    return mqtt5.ConnectPacket(
        settings.client_id,
        username=settings.username or None,
        password=settings.password.encode() if settings.password else None,
        clean_start=False,
        will=will if settings.status_topic else None,
        keep_alive=settings.keep_alive_s,
        session_expiry_interval=settings.session_expiry_s,
        receive_max=settings.receive_maximum,
        max_packet_size=settings.packet_max_bytes,
    ).write()


def subscribe(settings: Mqtt) -> bytes:
    """SUBSCRIBE to all filters; nothing when there are none.

    Said again on every connection, for the configuration may have changed. Retained messages come
    only for a filter that is new to the session. A filter that left the configuration stays in the
    broker's session until that expires.
    """
    filters = [
        mqtt5.TopicFilter(
            pattern,
            max_qos=QoS(settings.qos),
            no_local=not pattern.startswith("$share/"),  # not allowed together
            retain_as_published=False,  # RETAIN then means: kept by the broker from earlier
            retain_handling=mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
        )
        for pattern in settings.subscriptions
    ]
    return mqtt5.SubscribePacket(SUBSCRIBE_ID, filters).write() if filters else b""


def status_message(settings: Mqtt, status: str, now_ms: int, reason: str = "") -> Outgoing:
    """Our retained status: ``{"status", "client_id", "at"}`` and, in the will, ``"reason"``.

    >>> status_message(Mqtt(), "online", 5).topic
    'rfid3/status/rfid3'
    """
    said: dict[str, str | int] = {"status": status, "client_id": settings.client_id, "at": now_ms}
    payload = msgspec.json.encode({**said, "reason": reason} if reason else said)
    return Outgoing(f"{settings.status_topic}/{settings.client_id}", payload, retain=True)


def tls_context(settings: Mqtt) -> ssl.SSLContext:
    """From the files of the configuration, read at every connect: certificates get renewed.

    Raises OSError (which ssl.SSLError is) when one cannot be read or does not fit.
    """
    tls = settings.tls
    context = ssl.create_default_context(cafile=tls.ca_file or None)
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file or None)
    return context
