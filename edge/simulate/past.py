"""The weeks that a simulated shop has behind it when a demo begins. No clock, no sockets.

The same items, classes and articles as the live shop's (``shop.py``), told in bulk by ``days.py`` up to
yesterday evening; what is out or in the workshop then, the live shop takes over. Same seed, settings and
day, same bytes.
"""

import random
from collections.abc import Iterator

from edge.records import Message
from edge.simulate.days import DAY_MS, DaysSettings, ShopDays, Thing
from edge.simulate.shop_settings import ShopSettings
from edge.simulate.stock import ARTICLES, CLASSES, Item, make_items

ITEMS_A_CONTRACT = 16
"""One contract a day for so many items …"""
CONTRACTS_MOST = 60.0
"""… but no more: the past of a large shop is told as quickly."""
SALES_A_DAY = 6.0
"""Units of an article."""
WEEKS_MOST = 52


class Past:
    """So many weeks, ending yesterday."""

    def __init__(self, settings: ShopSettings, *, seed: int, weeks: int, now_ms: int) -> None:
        assert 0 < weeks <= WEEKS_MOST, weeks
        self.now_ms = now_ms
        self.items: list[Item] = make_items(settings.items, random.Random(seed))
        self._days = ShopDays(
            DaysSettings(
                store=settings.store,
                days=7 * weeks,
                first_day=now_ms // DAY_MS - 7 * weeks,
                rental_classes=len(CLASSES),
                articles=len(ARTICLES),
                rentals_a_day=min(settings.items / ITEMS_A_CONTRACT, CONTRACTS_MOST),
                sales_a_day=SALES_A_DAY,
                seed=seed,
            ),
            self.items,
        )

    @property
    def days(self) -> int:
        """Days in it."""
        return self._days.total

    @property
    def done(self) -> int:
        """Days told so far."""
        return self._days.done

    def messages(self) -> Iterator[Message]:
        """What tills, handhelds and the workshop said, in order; the last one only says what time it is."""
        topic = ""
        for batch in self._days.batches():
            for message in batch.messages:
                topic = message.topic
                yield message
        yield Message(topic, b"[]", self.now_ms)

    def things(self) -> dict[str, Thing]:
        """EPC -> how a thing stands at the end."""
        return {thing.epc: thing for thing in self._days.things()}

    def on_hand(self) -> dict[str, int]:
        """SKU of what is sold -> units on the shelf at the end."""
        return self._days.on_hand()
