"""What MQTT and the network answer, in words for the person who reads the log, with the cure.

No sockets: tables, and two functions that read them.
"""

import socket
import ssl
from enum import IntEnum

from edge.config import Mqtt

CURES: dict[int, str] = {
    0x81: "a packet was damaged on the way: look for a proxy that is not transparent",
    0x82: "one side breaks the protocol: report it with both logs",
    0x84: "the broker does not speak MQTT 5: update it (Mosquitto 1.6 or later)",
    0x85: "choose another mqtt.client_id",
    0x86: "wrong user or password: check mqtt.username and RFID3_MQTT__PASSWORD",
    0x87: "check mqtt.username, RFID3_MQTT__PASSWORD and the broker's access control list",
    0x88: "the broker is not available yet",
    0x89: "the broker is busy",
    0x8A: "the broker has banned this client",
    0x8B: "the broker is shutting down",
    0x8C: "the broker wants another authentication method than user and password",
    0x8D: "the broker heard nothing from us: the machine or the network was stalled",
    0x8E: "another client uses this mqtt.client_id: are two daemons running?",
    0x8F: "a topic filter is not valid: check mqtt.subscriptions",
    0x90: "a topic is not valid: check mqtt.status_topic",
    0x93: "we had more in flight than the broker allows",
    0x95: "a packet was too large: check mqtt.packet_max_bytes and the broker's max_packet_size",
    0x97: "a quota of the broker is exceeded",
    0x98: "an administrator ended the connection",
    0x9A: "the broker keeps no retained messages: set mqtt.status_topic to nothing",
    0x9B: "the broker does not support this QoS: lower mqtt.qos",
    0x9C: "the broker says: use another server",
    0x9D: "the broker has moved to another server",
    0x9E: "the broker has no shared subscriptions: take $share out of mqtt.subscriptions",
    0x9F: "the broker refuses so many connections: slow down reconnects",
    0xA2: "the broker has no wildcards: name the topics in mqtt.subscriptions",
}
"""What to do about a reason code of the broker, in words for the person who reads the log."""

# Mosquitto 2.0.11 says nothing when another client takes the session over, so this must.
CLOSED = (
    "the broker closed the connection without a reason "
    "(if it repeats: does another client use this mqtt.client_id?)"
)

# The codec's reason codes are no ints (they cannot be compared, and 0 is true), so ours are.
MALFORMED, PROTOCOL_ERROR, TAKEN_OVER, PACKET_TOO_LARGE = 0x81, 0x82, 0x8E, 0x95

DIAL_CURES: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLCertVerificationError, "not trusted: check mqtt.tls.ca_file and mqtt.host"),
    (ssl.SSLError, "is this the TLS port, and do mqtt.tls.cert_file and key_file belong together?"),
    (FileNotFoundError, "check the files named in mqtt.tls"),
    (PermissionError, "may this user read the files named in mqtt.tls?"),
    (ConnectionRefusedError, "nothing listens there: is the broker running?"),
    (socket.gaierror, "the name is not known: check mqtt.host"),
    (UnicodeError, "not a host name: check mqtt.host"),
    (TimeoutError, "no answer: check mqtt.host, the network and the firewall"),
)


def in_words(code: IntEnum, said: str | None) -> str:
    """Name of a reason code, the broker's own words, and the cure.

    >>> from mqtt5 import ConnAckReasonCode
    >>> in_words(ConnAckReasonCode.SERVER_BUSY, None)
    'server busy (the broker is busy)'
    """
    name = code.name.lower().replace("_", " ")
    notes = [note for note in (said, CURES.get(int(code))) if note]
    return f"{name} ({'; '.join(notes)})" if notes else name


def dial_error(error: Exception, settings: Mqtt) -> str:
    """Why there is no connection, and what to look at."""
    for kind, cure in DIAL_CURES:
        if isinstance(error, kind):
            where = f"{settings.host}:{settings.port}"
            return f"{where}: {error or type(error).__name__} ({cure})"
    return f"{settings.host}:{settings.port}: {error}"
