"""What a simulated shop knows about itself: the answers a daemon that heard everything must give.

Written by the shop as it speaks, never derived from what it sent. ``units`` are quantities by
(measure, class, local day), the measure being sold, rented or returned; a void takes back from the
day of the line it voids, an undone scan from the day of the scan.
"""

from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct, field

Day = str
"""``YYYY-MM-DD`` in the shop's zone."""


class Truth(Struct):
    """Grows with every message taken from the shop; holds for what was taken so far."""

    messages: Counter[str] = field(default_factory=Counter)
    """Format -> messages."""
    units: Counter[tuple[str, str, Day]] = field(default_factory=Counter)
    """(sold, rented or returned; SKU; day) -> units of document lines."""
    scans: Counter[tuple[str, str, Day]] = field(default_factory=Counter)
    """(out or in; SKU; day) -> Rental and Return scans."""
    status: dict[str, str] = field(default_factory=dict)
    """Tag -> RFID3 status."""
    zone: dict[str, str] = field(default_factory=dict)
    """Tag -> the zone it lies in; a tag that is out is not here."""
    grade: dict[str, str] = field(default_factory=dict)
    """Tag -> quality grade."""
    sku: dict[str, str] = field(default_factory=dict)
    """Tag -> its class."""
    ledger: Counter[str] = field(default_factory=Counter)
    """SKU of goods for sale -> units on the shelf."""
    strays: set[str] = field(default_factory=set)
    """Tags of strangers that were read."""
    muted: set[str] = field(default_factory=set)
    """Tags that are always in view, and were muted."""
    unreadable: int = 0
    """Events sent that must become dead letters because they cannot be read."""
    future: int = 0
    """Events sent that are dated later than any clock allows."""
    duplicates: int = 0
    """Events told a second time."""
    overflows: int = 0
    """Times a reader said that it threw reads away."""
    outages: int = 0
    """Times a reader was away."""

    @property
    def on_rent(self) -> set[str]:
        """Tags out with customers."""
        return {tag for tag, status in self.status.items() if status in ("On Rent", "Delivered")}


class Calendar:
    """Local days of one zone, the slow and obvious way.

    >>> Calendar("America/Chicago").day(1_725_520_021_785 - 3 * 3_600_000)
    '2024-09-04'
    """

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)

    def day(self, at_ms: int) -> Day:
        """The local day of a moment."""
        return datetime.fromtimestamp(at_ms / 1000, self._zone).date().isoformat()
