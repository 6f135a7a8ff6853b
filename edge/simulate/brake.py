"""Hold publishing back while the daemon is far behind, so that no queue of the broker overflows.

A broker drops messages, silently, for a subscriber with more of them queued than its
``max_queued_messages``. It asks the daemon's API how far it is; it publishes nothing itself.
"""

import asyncio

import aiohttp

from edge.errors import Rfid3Error

BEHIND_MAX = 50_000
"""Messages the daemon may be behind before the brake waits for it."""
BEHIND_ENOUGH = 10_000


class DaemonAwayError(Rfid3Error):
    """The daemon whose progress should be watched does not answer."""


class Brake:
    """Awaited before each piece with the number published so far.

    How much the daemon received is asked for over its API; what it had received before counts
    as nothing.
    """

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._url = f"{base_url.rstrip('/')}/api/stats"
        self._before: int | None = None
        self._known = 0

    async def __call__(self, published: int) -> None:
        """Return when fewer than BEHIND_MAX of ``published`` messages are on their way."""
        if self._before is None:
            self._before = await self._received()
        if published - self._known < BEHIND_MAX:
            return
        while True:
            self._known = await self._received() - self._before
            if published - self._known <= BEHIND_ENOUGH:
                return
            await asyncio.sleep(0.05)

    async def _received(self) -> int:
        try:
            async with self._session.get(self._url) as answer:
                answer.raise_for_status()
                return received(await answer.json())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DaemonAwayError(f"{self._url}: {error}; is the daemon running there?") from error


def received(told: object) -> int:
    """Messages taken from the broker, out of the answer of ``/api/stats``.

    Raises DaemonAwayError when whoever answered is no daemon that listens to a broker.
    """
    try:
        return int(told["stats"]["mqtt"]["received"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError) as error:
        text = "this is no daemon that listens to a broker: /api/stats counts no messages received"
        raise DaemonAwayError(text) from error
