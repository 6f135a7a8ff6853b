"""The port of the door that brings events: what the corridor needs of a transport.

Not a transport. ``mqtt.MqttSource`` is one; another (AMQP, a vendor's stream) replaces it by having
these members, without inheriting.
"""

from collections.abc import Sequence
from typing import Protocol


class Source(Protocol):
    """Puts messages into an inbox by itself and is told which of them are durable.

    Counters only grow. A message's token comes back through :meth:`acknowledge` once the journal
    has committed it, never before.
    """

    @property
    def connected(self) -> bool:
        """Whether the other side can reach us now."""
        ...

    @property
    def session(self) -> int:
        """Sessions held so far; goes up when the other side has forgotten what it sent."""
        ...

    @property
    def subscribed(self) -> bool:
        """Whether the other side hands over, and keeps, what we asked for."""
        ...

    @property
    def paused(self) -> bool:
        """Whether reading is held back because the inbox is full."""
        ...

    @property
    def last_error(self) -> str:
        """Why the link was last down, with the cure; empty: it never was."""
        ...

    @property
    def received(self) -> int:
        """Messages put into the inbox."""
        ...

    @property
    def acknowledged(self) -> int:
        """Messages acknowledged to the other side."""
        ...

    @property
    def stale_tokens_dropped(self) -> int:
        """Tokens of an older connection, which were not sent."""
        ...

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        ...

    @property
    def malformed(self) -> int:
        """Packets that broke the protocol's rules."""
        ...

    @property
    def bytes_received(self) -> int:
        """Bytes read from the wire."""
        ...

    async def run(self) -> None:
        """Connect, and connect again, until cancelled; then leave cleanly."""
        ...

    def acknowledge(self, tokens: Sequence[int]) -> None:
        """These messages are durable: tell the other side, in one write."""
        ...
