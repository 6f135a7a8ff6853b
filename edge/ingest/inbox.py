"""The one bounded inbox. Doors put messages in; the corridor takes them out in batches.

No sockets: a door that gets ``False`` holds its own sender back and waits to be woken.
"""

import asyncio
from collections.abc import Callable, Sequence

from edge.records import Message, Receipt

# What a message's sender is told after the commit: an MQTT token (generation << 16 | packet id),
# 0 for nobody, or the Receipt of an HTTP request.
Token = int | Receipt


class Inbox:
    """A bounded list of (message, token), taken whole or in part.

    ``limit`` counts messages, ``limit_bytes`` their payloads. ``put`` still accepts the message
    that crosses the limit (it is already in memory) but says ``False``: hold back now.
    """

    def __init__(self, limit: int, limit_bytes: int) -> None:
        assert limit > 0, limit
        assert limit_bytes > 0, limit_bytes
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._messages: list[Message] = []
        self._tokens: list[Token] = []
        self._bytes = 0
        self._drained: list[Callable[[], None]] = []
        self.arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Whether doors should hold back."""
        return len(self._messages) >= self._limit or self._bytes >= self._limit_bytes

    def put(self, message: Message, token: Token = 0) -> bool:
        """Append; ``False`` asks the door to hold its sender back until woken."""
        return self.put_all([message], [token])

    def put_all(self, messages: list[Message], tokens: Sequence[Token]) -> bool:
        """The same for all that arrived at once: nobody takes from between them."""
        assert len(messages) == len(tokens), (len(messages), len(tokens))
        self._messages += messages
        self._tokens += tokens
        self._bytes += _bytes_of(messages)
        if messages and not self.arrived.is_set():
            self.arrived.set()
        return not self.full

    def on_drained(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` once, when the inbox is next taken from."""
        self._drained.append(wake)

    def take(self, limit: int) -> tuple[list[Message], list[Token]]:
        """Remove and return up to ``limit`` messages with their tokens, oldest first."""
        assert limit > 0, limit
        if len(self._messages) <= limit:
            messages, tokens = self._messages, self._tokens
            self._messages, self._tokens, self._bytes = [], [], 0
            self.arrived.clear()
        else:
            messages, tokens = self._messages[:limit], self._tokens[:limit]
            del self._messages[:limit], self._tokens[:limit]
            self._bytes -= _bytes_of(messages)
        waiting, self._drained = self._drained, []
        for wake in waiting:
            wake()
        return messages, tokens


def _bytes_of(messages: list[Message]) -> int:
    return sum([len(message.payload) for message in messages]) + 64 * len(messages)
