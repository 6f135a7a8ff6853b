"""The simulated shop on a real clock: its messages as they fall due, counted as they are taken."""

from collections import Counter
from collections.abc import Callable, Iterator

from msgspec import Struct, field

from edge.ingest.mqtt_publish import Outgoing
from edge.simulate.publish import Timed
from edge.simulate.shop import Shop
from edge.simulate.shop_stage import Spoken

EVENT_TIME = "rfid3-time"


class Taken(Struct):
    """What was taken from the shop so far."""

    messages: int = 0
    """Messages."""
    events: int = 0
    """Events in them."""
    formats: Counter[str] = field(default_factory=Counter)
    """Format -> messages."""


def live(shop: Shop, seconds: float, taken: Taken) -> Iterator[Timed]:
    """Messages of ``seconds`` (0: without end), due at the shop's rate from now on."""
    start_ms = shop.now_ms
    for spoken in shop.messages():
        due_s = (spoken.at_ms - start_ms) / 1000
        if seconds and due_s >= seconds:
            return
        yield Timed(due_s, _maker(spoken, taken), spoken.qos)


def _maker(spoken: Spoken, taken: Taken) -> Callable[[], Outgoing]:
    def make() -> Outgoing:
        taken.messages += 1
        taken.events += spoken.events
        taken.formats[spoken.format] += 1
        return Outgoing(spoken.topic, spoken.payload, ((EVENT_TIME, str(spoken.at_ms)),))

    return make
