"""MQTT topic names and filters: matching, levels, shared subscriptions. No client, no state.

Source: OASIS MQTT 5.0, section 4.7 (wildcards; a leading ``$`` is never matched by a wildcard in
the first level) and 4.8.2 (shared subscriptions).
"""


def levels(topic: str) -> list[str]:
    """The levels of a topic, from 0.

    >>> levels("zebra/dock/data")
    ['zebra', 'dock', 'data']
    """
    return topic.split("/")


def level(topic: str, index: int) -> str:
    """One level of a topic, or an empty string where the topic is shorter.

    >>> level("zebra/dock/data", 1), level("zebra", 1)
    ('dock', '')
    """
    parts = topic.split("/")
    return parts[index] if 0 <= index < len(parts) else ""


def unshared(topic_filter: str) -> str:
    """The filter without its ``$share/<group>/`` prefix.

    >>> unshared("$share/pi/zebra/#")
    'zebra/#'
    """
    if topic_filter.startswith("$share/"):
        return topic_filter.split("/", 2)[2] if topic_filter.count("/") >= 2 else ""
    return topic_filter


def is_filter(text: str) -> bool:
    """Whether ``text`` is a well-formed topic filter.

    >>> is_filter("a/+/#"), is_filter("a/b#"), is_filter("#/a"), is_filter("")
    (True, False, False, False)
    """
    if not text or "\0" in text or len(text) > 65_535:
        return False
    parts = text.split("/")
    if any(("+" in p and p != "+") or ("#" in p and p != "#") for p in parts):
        return False
    return "#" not in parts[:-1]


def matches(topic_filter: str, topic: str) -> bool:
    """Whether ``topic`` is named by ``topic_filter`` (``+`` one level, ``#`` the rest).

    >>> matches("zebra/+/data", "zebra/dock/data"), matches("zebra/#", "zebra")
    (True, True)
    >>> matches("#", "$http/events/till"), matches("$http/#", "$http/events/till")
    (False, True)
    """
    if topic_filter == topic:
        return True
    wanted = unshared(topic_filter).split("/")
    given = topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    for i, want in enumerate(wanted):
        if want == "#":
            return True
        if i >= len(given) or (want != "+" and want != given[i]):
            return False
    return len(given) == len(wanted)


# Conventions seen in the field: first level(s) of the topic -> which level names the device.
_PREFIXES: dict[tuple[str, ...], int] = {
    ("zebra",): 1,
    ("tevents",): 1,
    ("mevents",): 1,
    ("crsp",): 1,
    ("mrsp",): 1,
    ("impinj",): 1,
    ("tele",): 1,
    ("stat",): 1,
    ("springcard", "springcore"): 2,
    ("$http",): 2,
    ("rfid3",): 3,
}
_WILLS = frozenset({"will", "lwt", "LWT"})


def device_of(topic: str) -> str:
    """Which device a topic belongs to by the makers' conventions; else the whole topic.

    A last level ``will`` or ``lwt`` is dropped, so that a reader's last will and its reads agree.

    >>> device_of("tevents/FXR9001234"), device_of("tele/desk/SENSOR"), device_of("dock/will")
    ('FXR9001234', 'desk', 'dock')
    """
    parts = topic.split("/")
    for depth in (2, 1):
        index = _PREFIXES.get(tuple(parts[:depth]))
        if index is not None and len(parts) > index and parts[index]:
            return parts[index]
    if len(parts) == 3 and parts[0] == "RFID" and parts[2] in ("TAG", "ACK", "CMD"):
        return parts[1]
    if len(parts) > 1 and parts[-1] in _WILLS:
        return "/".join(parts[:-1])
    return topic
