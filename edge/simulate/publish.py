"""Messages to a broker at a pace: each when it is due, in pieces, and nothing counted before its PUBACK.

It does not make messages and shows nothing: who calls hands in what is to be sent and is told how
far it got. Used by ``simulate``, ``demo`` and ``replay``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Protocol

from msgspec import Struct

from edge.errors import LinkDown
from edge.ingest.mqtt_publish import Outgoing

PIECE_MESSAGES = 1_000
TICK_S = 0.05
COME_BACK_WITHIN_S = 60.0


class Timed(Struct, gc=False):
    """A message and when it is due."""

    due_s: float
    """Seconds since the publishing began; 0: at once."""
    make: Callable[[], Outgoing | None]
    """Called when it is due; ``None``: there is nothing to send after all."""
    qos: int = 1


class Client(Protocol):
    """The part of :class:`edge.ingest.mqtt.MqttSource` that is needed."""

    async def publish_many(self, messages: list[Outgoing], qos: int = 1) -> int:
        """All, answered by the broker. Raises LinkDown."""
        ...

    async def wait_connected(self, timeout_s: float) -> None:
        """Raises LinkDown."""
        ...


class Progress(Struct):
    """How far it got; grows while it runs."""

    published: int = 0
    """Messages the broker has answered (QoS 1) or that were written (QoS 0)."""
    sent_again: int = 0
    """Messages of pieces that were sent again because the link went down before the answer."""


async def publish_paced(
    client: Client,
    messages: Iterator[Timed],
    progress: Progress,
    *,
    brake: Callable[[int], Awaitable[None]] | None = None,
) -> None:
    """Publish all. Raises LinkDown when the broker stays away for a minute.

    ``brake`` is awaited before each piece with the number published so far, and may take its time.
    While the broker answers one piece, the next is made. A piece whose link broke is sent again
    whole: some of its messages may then arrive twice, as QoS 1 allows.
    """
    began = time.monotonic()
    ahead: Timed | None = None
    sending: asyncio.Task[None] | None = None
    try:
        while True:
            piece, ahead = _collect(messages, ahead, time.monotonic() - began)
            if sending is not None:
                await sending
                sending = None
            if piece:
                if brake is not None:
                    await brake(progress.published)
                sending = asyncio.create_task(_send(client, piece, progress))
                await asyncio.sleep(0)  # let it write before the next piece is made
            if ahead is None and not piece:
                return
            if ahead is not None:
                wait_s = ahead.due_s - (time.monotonic() - began)
                if wait_s > 0:
                    await asyncio.sleep(min(wait_s, TICK_S))
    finally:
        if sending is not None:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending


def _collect(
    messages: Iterator[Timed], ahead: Timed | None, now_s: float
) -> tuple[list[tuple[int, Outgoing]], Timed | None]:
    """What is due now, at most a piece, and the first message that was not taken."""
    piece: list[tuple[int, Outgoing]] = []
    while len(piece) < PIECE_MESSAGES:
        ahead = ahead or next(messages, None)
        if ahead is None or ahead.due_s > now_s:
            break
        made = ahead.make()
        if made is not None:
            piece.append((ahead.qos, made))
        ahead = None
    else:
        ahead = next(messages, None)
    return piece, ahead


async def _send(client: Client, piece: list[tuple[int, Outgoing]], progress: Progress) -> None:
    """In the order given within each QoS. Raises LinkDown."""
    for qos in (0, 1):
        chosen = [message for each, message in piece if each == qos]
        while chosen:
            try:
                await client.publish_many(chosen, qos)
            except LinkDown:
                progress.sent_again += len(chosen)
                await client.wait_connected(COME_BACK_WITHIN_S)
                continue
            progress.published += len(chosen)
            break
