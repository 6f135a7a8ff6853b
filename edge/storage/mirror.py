"""Redis as a mirror: keys with a life span, written in batches, read by whoever likes. No meaning.

Nothing of the shop depends on it: what cannot be written is written later, or not at all.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import redis.asyncio as client
from redis.exceptions import RedisError

from edge.errors import Rfid3Error

TIMEOUT_S = 2.0
BATCH = 500
"""Keys written in one round trip."""


class MirrorAwayError(Rfid3Error):
    """Redis cannot be reached, or refuses."""


class Entry(NamedTuple):
    """One key to write."""

    key: str
    value: bytes
    ttl_s: int


class Mirror:
    """One connection pool to one Redis."""

    def __init__(self, url: str) -> None:
        self._client: client.Redis = client.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, max_connections=8
        )

    async def put(self, entries: Sequence[Entry]) -> None:
        """Write keys, each with its life span. Raises MirrorAwayError: some may be written."""
        for start in range(0, len(entries), BATCH):
            pipe = self._client.pipeline(transaction=False)
            for key, value, ttl_s in entries[start : start + BATCH]:
                pipe.set(key, value, ex=ttl_s)
            await self._tried(pipe.execute())

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete keys. Raises MirrorAwayError."""
        listed = list(keys)
        for start in range(0, len(listed), BATCH):
            await self._tried(self._client.delete(*listed[start : start + BATCH]))

    async def get(self, key: str) -> tuple[bytes, float] | None:
        """A key's value and the seconds it still lives (-1: for ever). Raises MirrorAwayError."""
        pipe = self._client.pipeline(transaction=False)
        pipe.get(key)
        pipe.pttl(key)
        value, left_ms = await self._tried(pipe.execute())
        return None if value is None else (bytes(value), left_ms / 1000)

    async def found(self, pattern: str, limit: int) -> list[tuple[str, bytes]]:
        """(key, value) of keys that match a glob, sorted. Raises MirrorAwayError.

        Keys that are no UTF-8 are not ours.
        """
        keys: list[str] = []
        try:
            async for key in self._client.scan_iter(match=pattern, count=1_000):
                with suppress(UnicodeDecodeError):
                    keys.append(key.decode())
                if len(keys) >= limit:
                    break
        except (RedisError, OSError) as error:
            raise MirrorAwayError(_words(error)) from error
        _heed_cancel()
        keys.sort()
        values = await self._tried(self._client.mget(keys)) if keys else []
        pairs = zip(keys, values, strict=True)
        return [(key, bytes(value)) for key, value in pairs if value is not None]

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    @staticmethod
    async def _tried(asked: object) -> list[Any]:
        try:
            found: list[Any] = await asked  # type: ignore[misc]
        except (RedisError, OSError, TimeoutError) as error:
            _heed_cancel()
            raise MirrorAwayError(_words(error)) from error
        _heed_cancel()
        return found


def _heed_cancel() -> None:
    """End where the task was told to. Raises CancelledError.

    The client writes through ``asyncio.wait_for``, which up to Python 3.11 forgets a cancellation that
    comes while its write completes: whoever asks in a loop would never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
