"""A plan of messages -> a broker, at a speed, on the rows' own times or shifted to now.

Speeds: ``max``; ``100x``, the rows' own time a hundred times as fast; ``5000/s``, messages a second.

Shifted to now, a message says the moment at which it is sent, and every other time in it (such as
when a rental is due) is as far away as it was.
"""

import re
from collections.abc import Callable, Iterator

from msgspec import Struct

from edge.clock import Clock
from edge.ingest.mqtt_publish import Outgoing
from edge.replay.plan import Due, Plan
from edge.simulate.publish import Timed

EVENT_TIME = "rfid3-time"
"""User property that carries the event time, epoch milliseconds, to a daemon on ``--clock events``."""


class Speed(Struct, frozen=True):
    """How fast; both 0: as fast as the broker takes it."""

    factor: float = 0.0
    """Times the rows' own time."""
    per_second: float = 0.0
    """Messages a second."""


def parse_speed(text: str) -> Speed:
    """``max``, ``100x`` or ``5000/s``. Raises ValueError with the cure.

    >>> parse_speed("100x").factor, parse_speed("5000/s").per_second, parse_speed("max")
    (100.0, 5000.0, Speed(factor=0.0, per_second=0.0))
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(x|/s)", text.strip())
    if text.strip() == "max":
        return Speed()
    if found is None or float(found[1]) <= 0:
        raise ValueError(f"{text!r} is no speed: write max, 100x (times real time) or 5000/s")
    return Speed(factor=float(found[1])) if found[2] == "x" else Speed(per_second=float(found[1]))


class Replay:
    """Turns a plan into timed messages; remembers the newest event time given."""

    def __init__(
        self, plan: Plan, speed: Speed, clock: Clock, *, shift_to_now: bool, first_ms: int
    ) -> None:
        self._plan = plan
        self._speed = speed
        self._clock = clock
        self._shift = shift_to_now
        self._first_ms = first_ms
        self.newest_ms = first_ms
        self.seen: Callable[[str, bytes, int], None] = lambda topic, payload, at_ms: None
        """Told of every message that is written, and the moment it speaks of."""

    def messages(self) -> Iterator[Timed]:
        """What :func:`edge.simulate.publish.publish_paced` takes."""
        speed, first_ms, began_ms = self._speed, self._first_ms, self._clock.now_ms()
        for number, due in enumerate(self._plan):
            due_s = 0.0
            if speed.factor:
                due_s = (due.at_ms - first_ms) / 1000 / speed.factor
            elif speed.per_second:
                due_s = number / speed.per_second
            yield Timed(due_s, self._maker(due, began_ms + round(due_s * 1000)))

    def _maker(self, due: Due, planned_ms: int) -> Callable[[], Outgoing | None]:
        def make() -> Outgoing | None:
            self.newest_ms = due.at_ms
            at_ms = due.at_ms
            if self._shift:
                paced = self._speed.factor or self._speed.per_second
                at_ms = planned_ms if paced else self._clock.now_ms()
            written = self._plan.write(due, at_ms - due.at_ms)
            if written is None:
                return None
            self.seen(*written, at_ms)
            return Outgoing(*written, ((EVENT_TIME, str(at_ms)),))

        return make
