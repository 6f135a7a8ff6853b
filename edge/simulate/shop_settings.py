"""What a simulated shop is like, and how often things go wrong in it. Values only."""

from msgspec import Struct


class Noise(Struct, frozen=True, kw_only=True):
    """How often things go wrong: shares of all messages, and for readers spans of time."""

    twice: float = 0.004
    """A message is published again, word for word."""
    garbage: float = 0.002
    """A payload nobody can read."""
    clock_ahead: float = 0.0005
    """A till dates its line two days ahead."""
    clock_unset: float = 0.001
    """A reader says it is 1970; its reads count on arrival."""
    stray: float = 0.02
    """A stranger's tag passes the portal."""
    corrected: float = 0.002
    """A clerk takes back a line or a scan."""
    overflow_every_s: float = 120.0
    """About so often a reader says that it threw reads away, seconds; 0: never."""
    outage_every_s: float = 300.0
    """About so often a reader is lost for a while, seconds; 0: never."""


class ShopSettings(Struct, frozen=True, kw_only=True):
    """What the shop is like."""

    store: str = "main"
    """Its name, as in the daemon's ``shop.store``."""
    timezone: str = "UTC"
    """IANA zone of its days, as in the daemon's ``shop.timezone``."""
    items: int = 400
    """Tagged items."""
    rate: float = 100.0
    """Messages a second."""
    day_s: float = 86_400.0
    """Length of a day in the life of its people, seconds."""
    heartbeat_s: float = 30.0
    """How often each reader says that it is well, seconds."""
    noise: Noise = Noise()
    """How often things go wrong."""
