"""Does the broker answer, does it grant what the settings need, does it hold our session?"""

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from edge.checks import Case, Check, size
from edge.config import Config
from edge.ingest.mqtt_probe import Answer, ProbeFailed, probe, session_exists

RECEIVE_FEW = 100
"""With fewer messages in flight, the rate is what the disk's fsync allows."""


def check(case: Case) -> list[Check]:
    """One connection to look; a second one under our own name when nobody is connected by it."""
    config = case.config
    if not config.mqtt.enabled:
        return [Check("broker", "ok", "not used: mqtt.enabled is false")]
    try:
        answer = probe(config.mqtt)
    except ProbeFailed as failed:
        return [Check("broker", "fail", str(failed), failed.cure), *_transport(config)]
    return [
        _reached(config, answer),
        *_transport(config),
        *_grants(config, answer),
        _session(config, answer),
    ]


def _reached(config: Config, answer: Answer) -> Check:
    name = answer.version or "a broker that does not tell its version"
    where = f"{config.mqtt.host}:{config.mqtt.port}"
    how = "TLS" if config.mqtt.tls.enabled else "plain"
    return Check(
        "broker", "ok", f"{name} at {where} ({how}) answered in {answer.connect_ms:.0f} ms"
    )


def is_local(host: str) -> bool:
    """Whether a host is this machine by its name alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _transport(config: Config) -> Iterator[Check]:
    mqtt = config.mqtt
    if not mqtt.tls.enabled and not is_local(mqtt.host):
        what = "the password and every event travel" if mqtt.password else "every event travels"
        yield Check(
            "broker transport",
            "warn",
            f"{what} in plain to {mqtt.host}",
            "set mqtt.tls.enabled = true and the broker's TLS port, often 8883",
        )


def _grants(config: Config, answer: Answer) -> list[Check]:
    """Each line: is it a problem, how bad, what was seen, what to do."""
    mqtt = config.mqtt
    shares = any(f.startswith("$share/") for f in mqtt.subscriptions)
    wild = any(set(f) & set("+#") for f in mqtt.subscriptions)
    packet_max = answer.packet_max_bytes
    expiry = answer.session_expiry_s
    problems = (
        (
            mqtt.receive_maximum < RECEIVE_FEW,
            "warn",
            f"mqtt.receive_maximum = {mqtt.receive_maximum}: so few unacknowledged messages cap the "
            "rate, because we acknowledge after the commit",
            "leave it at 1_000",
        ),
        (
            packet_max is not None and packet_max < config.ingest.payload_max_bytes,
            "warn",
            f"packets above {size(packet_max or 0)} are refused, ingest.payload_max_bytes expects "
            f"up to {size(config.ingest.payload_max_bytes)}",
            "raise max_packet_size in mosquitto.conf, or lower ingest.payload_max_bytes",
        ),
        (
            expiry is not None and expiry < mqtt.session_expiry_s,
            "warn",
            f"our session is kept for {expiry} s, mqtt.session_expiry_s asks for "
            f"{mqtt.session_expiry_s}",
            "raise persistent_client_expiration in mosquitto.conf",
        ),
        (
            mqtt.session_expiry_s < 3_600,
            "warn",
            f"mqtt.session_expiry_s = {mqtt.session_expiry_s}: after so many seconds away, what "
            "was sent meanwhile is lost",
            "leave it at 604_800 (a week)",
        ),
        (
            answer.qos_max < mqtt.qos,
            "fail",
            f"only QoS {answer.qos_max} is offered: messages can be lost on the way",
            "allow QoS 1 in the broker (mosquitto.conf: max_qos 1)",
        ),
        (
            mqtt.qos == 0,
            "warn",
            "mqtt.qos = 0: what is sent while the link is down is lost",
            "set mqtt.qos = 1",
        ),
        (
            not answer.retain,
            "warn",
            "retained messages are not kept: nobody sees our status later",
            "in mosquitto.conf: retain_available true",
        ),
        (
            shares and not answer.shared,
            "fail",
            "shared subscriptions are not offered, but mqtt.subscriptions has $share/…",
            "take $share/<group>/ away, or use a broker that offers them",
        ),
        (
            wild and not answer.wildcards,
            "fail",
            "wildcards are not offered, but mqtt.subscriptions has + or #",
            "name each topic in mqtt.subscriptions",
        ),
    )
    found = [Check("broker grants", v, seen, todo) for bad, v, seen, todo in problems if bad]  # type: ignore[arg-type]
    return found or [Check("broker grants", "ok", _granted(config, answer))]


def _granted(config: Config, answer: Answer) -> str:
    packet_max = size(answer.packet_max_bytes) if answer.packet_max_bytes else "any size"
    keep_alive = answer.keep_alive_s or config.mqtt.keep_alive_s
    return (
        f"{config.mqtt.receive_maximum} in flight to us, {answer.receive_maximum} from us, packets of {packet_max}, keep-alive {keep_alive} s, "
        f"QoS {answer.qos_max}, retained and shared as needed"
    )


def _session(config: Config, answer: Answer) -> Check:
    """A connected daemon holds its session, and must not be pushed out by looking."""
    client_id = config.mqtt.client_id
    if answer.status is not None and "offline" not in answer.status:
        return Check("broker session", "ok", f"in use by the running daemon {client_id}")
    try:
        present = session_exists(config.mqtt)
    except ProbeFailed as failed:
        return Check("broker session", "warn", str(failed), failed.cure)
    if present:
        return Check("broker session", "ok", f"kept for {client_id}, which is not connected now")
    ran_before = answer.status is not None or _has_files(Path(config.storage.directory))
    if ran_before:
        return Check(
            "broker session",
            "warn",
            f"{client_id} has run before, but the broker keeps no session for it: what is sent "
            "while it is away is lost",
            "start rfid3; if this comes back, let the broker keep sessions on disk (persistence true)",
        )
    return Check("broker session", "ok", f"none yet for {client_id}: the first start makes it")


def _has_files(directory: Path) -> bool:
    try:
        return any(directory.iterdir())
    except OSError:
        return False
