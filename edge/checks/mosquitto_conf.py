"""Mosquitto's own configuration, where it is on this machine: its defaults lose events.

It reads ``mosquitto.conf`` and the folders it includes; it does not ask the broker.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from edge.checks import Case, Check, Verdict
from edge.checks.broker import is_local

CONF = "etc/mosquitto/mosquitto.conf"
NAME = "mosquitto.conf"


class Advice(Struct, frozen=True):
    """One option of Mosquitto: its default, when it hurts, and what then to say."""

    option: str
    default: str
    verdict: Verdict
    hurts: Callable[[str, Case], bool]
    because: str
    set_to: str


def _below(bound: int) -> Callable[[str, Case], bool]:
    return lambda value, case: value.isdigit() and 0 < int(value) < bound


ADVICE: tuple[Advice, ...] = (
    Advice(
        "persistence",
        "false",
        "fail",
        lambda value, case: value != "true",
        "sessions and queues die with the broker",
        "persistence true",
    ),
    Advice(
        "autosave_interval",
        "1800",
        "warn",
        lambda value, case: value.isdigit() and not 0 < int(value) <= 60,
        "what it took since the last save is lost when it is killed or the power fails",
        "autosave_interval 5",
    ),
    Advice(
        "max_queued_messages",
        "1000",
        "warn",
        _below(100_000),
        "more than so many messages for a daemon that is away are dropped silently",
        "max_queued_messages 1000000",
    ),
    Advice(
        "max_queued_messages",
        "1000",
        "warn",
        lambda value, case: value == "0",
        "no limit is broken in Mosquitto 2.0.16, and can fill the memory in others",
        "max_queued_messages 1000000",
    ),
    Advice(
        "max_queued_bytes",
        "0",
        "warn",
        _below(50_000_000),
        "more than so many bytes for a daemon that is away are dropped silently",
        "max_queued_bytes 0",
    ),
    Advice(
        "persistent_client_expiration",
        "never",
        "warn",
        lambda value, case: value[-1:] == "h",
        "a daemon that is away for longer loses its queue",
        "persistent_client_expiration 14d",
    ),
)

"""Not among them: ``max_inflight_messages`` (default 20). It binds clients that ask for nothing; we
ask for ``mqtt.receive_maximum``, and Mosquitto 2.0.11 then sends so many (counted, 20 against 1,000).
"""


def check(case: Case) -> list[Check]:
    """Nothing to say where the broker is elsewhere, or this file belongs to another broker."""
    mqtt = case.config.mqtt
    if not mqtt.enabled or not is_local(mqtt.host):
        return []
    if not (case.root / CONF).exists():
        return [Check(NAME, "ok", f"no /{CONF} here")]
    options, unread = read(case.root)
    if unread:
        files = ", ".join(f"/{file.relative_to(case.root)}" for file in unread)
        cure = "run the doctor with sudo to have them examined"
        return [Check(NAME, "warn", f"this user may not read {files}", cure)]
    ports = [words.split()[0] for words in [*options.get("listener", []), *options.get("port", [])]]
    if str(mqtt.port) not in (ports or ["1883"]):
        seen = f"/{CONF} describes another broker (port {', '.join(ports) or '1883'})"
        return [Check(NAME, "ok", seen)]
    found = list(_advice(case, options))
    return found or [Check(NAME, "ok", f"/{CONF} keeps sessions and queues")]


def _advice(case: Case, options: dict[str, list[str]]) -> Iterator[Check]:
    for advice in ADVICE:
        given = options.get(advice.option)
        value = given[-1] if given else advice.default
        if advice.hurts(value, case):
            origin = "" if given else " (the default)"
            seen = f"{advice.option} {value}{origin}: {advice.because}"
            todo = f"write {advice.set_to} into /etc/mosquitto/conf.d/rfid3.conf and restart it"
            yield Check(NAME, advice.verdict, seen, todo)


def read(root: Path) -> tuple[dict[str, list[str]], list[Path]]:
    """Options of Mosquitto -> values in order, and the files that could not be read."""
    options: dict[str, list[str]] = {}
    unread: list[Path] = []
    waiting = [root / CONF]
    while waiting:
        file = waiting.pop(0)
        try:
            lines = file.read_text(errors="replace").splitlines()
        except OSError:
            unread.append(file)
            continue
        for line in lines:
            option, _, value = line.strip().partition(" ")
            if option and not option.startswith("#"):
                options.setdefault(option, []).append(value.strip())
            if option == "include_dir":
                waiting += sorted((root / value.strip().lstrip("/")).glob("*.conf"))
    return options, unread
