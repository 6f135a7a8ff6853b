"""How many messages the corridor lets the core take at once, so that the loop is soon free again.

What an event costs differs tenfold: a tag read is a row of a column, a contract's line or a payload
nobody understands is work of its own. So a cost is kept for each kind of message that has come, by
its topic without the last level (who sent it), and a slice is as many messages as their costs allow.
Costs are measured by whoever runs the slice; nothing here reads a clock.
"""

from collections import Counter
from collections.abc import Iterable
from operator import attrgetter

from edge.records import Message

TARGET_S = 0.0025
"""A slice aims to hold the loop so long, half of what anything may hold it."""
MESSAGES_MAX = 512
"""A slice takes no more, however cheap they seem: the next may not be."""
EVENTS_MIN = 16
"""A payload of many events is applied so many at a time at least: a call costs something too."""
SINGLE_BYTES = 256
"""A payload no longer than this counts as one event."""
LARGE_BYTES = 16_384
"""A payload beyond this may hold so many events that it is decoded in a thread."""
UNKNOWN_S = 50e-6
"""What an event of a kind that never came is taken to cost: as much as the dearest ones do."""
COST_MIN_S, COST_MAX_S = 1e-6, 0.01
KINDS_MAX = 256
"""Kinds whose cost is remembered; senders who invent topics cost a new start, not memory."""
FALL = 0.25
"""Part of a fall in cost that is believed at once; a rise is believed whole."""

_TOPIC = attrgetter("topic")


class Pace:
    """The cost of an event by kind, seconds, and the slices that follow from it."""

    def __init__(self, target_s: float = TARGET_S) -> None:
        self.target_s = target_s
        self._cost_s: dict[str, float] = {}
        self._parts: dict[str, float] = {}  # kind -> what it was taken to cost in the slice given

    def end(self, messages: list[Message], start: int, limit: int) -> int:
        """Where the slice that begins at ``start`` ends: after one message at least, by ``limit``."""
        part = messages[start : min(limit, start + MESSAGES_MAX)]
        if max([len(message.payload) for message in part]) > SINGLE_BYTES:
            return start + self._many(part)
        self._parts = self._expected(Counter(map(_TOPIC, part)).items())
        expected_s = sum(self._parts.values())
        if expected_s <= self.target_s:
            return start + len(part)
        share = self.target_s / expected_s  # the front of a slice is taken to be as the whole
        count = max(1, int(len(part) * share))
        self._parts = {kind: cost_s * count / len(part) for kind, cost_s in self._parts.items()}
        return start + count

    def events(self, topic: str, left: int) -> int:
        """Events of one large payload of this topic to be applied now, of those that are left."""
        cost_s = self._cost_s.get(_kind(topic), UNKNOWN_S)
        count = min(left, MESSAGES_MAX, max(EVENTS_MIN, int(self.target_s / cost_s)))
        self._parts = {_kind(topic): cost_s * count}
        return count

    def took(self, seconds: float) -> None:
        """The slice given last held the loop so long."""
        parts, self._parts = self._parts, {}
        expected_s = sum(parts.values())
        if not expected_s:
            return  # nothing was given since
        wrong = seconds / expected_s - 1
        for kind, part_s in parts.items():
            cost_s = self._cost_s.get(kind, UNKNOWN_S)
            change = wrong * part_s / expected_s * (1 if wrong > 0 else FALL)
            self._cost_s[kind] = min(COST_MAX_S, max(COST_MIN_S, cost_s * (1 + change)))
        if len(self._cost_s) > KINDS_MAX:
            self._cost_s.clear()

    def _many(self, part: list[Message]) -> int:
        """How many messages, some of which hold many events: up to a large one, or to the target."""
        parts: dict[str, float] = {}
        expected_s, count = 0.0, 0
        for message in part:
            kind, size = _kind(message.topic), len(message.payload)
            events = 1 if size <= SINGLE_BYTES else guess_events(message.payload)
            cost_s = events * self._cost_s.get(kind, UNKNOWN_S)
            if count and (size > LARGE_BYTES or expected_s + cost_s > self.target_s):
                break
            expected_s += cost_s
            parts[kind] = parts.get(kind, 0.0) + cost_s
            count += 1
        self._parts = parts
        return count

    def _expected(self, counts: Iterable[tuple[str, int]]) -> dict[str, float]:
        parts: dict[str, float] = {}
        for topic, count in counts:
            kind = _kind(topic)
            cost_s = count * self._cost_s.get(kind, UNKNOWN_S)
            parts[kind] = parts.get(kind, 0.0) + cost_s
        return parts


def guess_events(payload: bytes) -> int:
    """No fewer events than a payload is likely to hold: JSON objects, or MessagePack's bytes."""
    return max(payload.count(b"{"), len(payload) // 100)


def _kind(topic: str) -> str:
    return topic.rpartition("/")[0] or topic
