"""Paced publishing: when, in which order, and what happens when the link breaks or the daemon is behind."""

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from edge.errors import LinkDown
from edge.ingest.mqtt_publish import Outgoing
from edge.simulate.publish import PIECE_MESSAGES, Progress, Timed, publish_paced


class Wire:
    """A client whose link may break; keeps what arrived, with the moment."""

    def __init__(self, breaks_at: tuple[int, ...] = ()) -> None:
        self.arrived: list[tuple[float, str, int]] = []
        self._breaks_at = list(breaks_at)
        self._pieces = 0

    async def publish_many(self, messages: list[Outgoing], qos: int = 1) -> int:
        self._pieces += 1
        await asyncio.sleep(0)
        if self._pieces in self._breaks_at:
            half = messages[: len(messages) // 2]
            self.arrived += [(time.monotonic(), one.topic, qos) for one in half]
            raise LinkDown("cut")
        self.arrived += [(time.monotonic(), one.topic, qos) for one in messages]
        return len(messages)

    async def wait_connected(self, timeout_s: float) -> None:
        await asyncio.sleep(0)


def message(topic: str) -> Callable[[], Outgoing]:
    return lambda: Outgoing(topic, b"")


def messages(count: int, per_second: float = 0.0) -> Iterator[Timed]:
    for n in range(count):
        yield Timed(n / per_second if per_second else 0.0, message(str(n)))


def test_everything_is_published_once_and_in_order() -> None:
    wire, progress = Wire(), Progress()
    asyncio.run(publish_paced(wire, messages(3 * PIECE_MESSAGES + 7), progress))
    assert [topic for _, topic, _ in wire.arrived] == [
        str(n) for n in range(3 * PIECE_MESSAGES + 7)
    ]
    assert progress.published == 3 * PIECE_MESSAGES + 7
    assert progress.sent_again == 0


def test_nothing_is_published_before_it_is_due() -> None:
    wire = Wire()
    began = time.monotonic()
    asyncio.run(publish_paced(wire, messages(40, per_second=200.0), Progress()))
    assert len(wire.arrived) == 40
    assert all(at - began >= int(topic) / 200.0 for at, topic, _ in wire.arrived)


def test_messages_may_decide_at_the_last_moment_not_to_be_sent() -> None:
    wire, progress = Wire(), Progress()
    chosen = (Timed(0.0, message("a") if n % 2 else lambda: None) for n in range(10))
    asyncio.run(publish_paced(wire, chosen, progress))
    assert progress.published == len(wire.arrived) == 5


def test_each_message_goes_out_at_its_own_qos() -> None:
    wire = Wire()
    mixed = iter([Timed(0.0, message("a"), 0), Timed(0.0, message("b"), 1)])
    asyncio.run(publish_paced(wire, mixed, Progress()))
    assert {(topic, qos) for _, topic, qos in wire.arrived} == {("a", 0), ("b", 1)}


def test_a_piece_whose_link_broke_is_sent_again_whole() -> None:
    wire, progress = Wire(breaks_at=(1, 3)), Progress()
    asyncio.run(publish_paced(wire, messages(PIECE_MESSAGES + 10), progress))
    assert {topic for _, topic, _ in wire.arrived} == {str(n) for n in range(PIECE_MESSAGES + 10)}
    assert progress.published == PIECE_MESSAGES + 10
    assert progress.sent_again == PIECE_MESSAGES + 10


def test_the_brake_is_asked_before_each_piece() -> None:
    asked: list[int] = []

    async def brake(published: int) -> None:
        asked.append(published)

    asyncio.run(publish_paced(Wire(), messages(2 * PIECE_MESSAGES + 1), Progress(), brake=brake))
    assert asked == [0, PIECE_MESSAGES, 2 * PIECE_MESSAGES]


def test_an_error_of_the_client_reaches_the_caller() -> None:
    class Broken(Wire):
        async def publish_many(self, messages: list[Outgoing], qos: int = 1) -> int:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        asyncio.run(publish_paced(Broken(), messages(3 * PIECE_MESSAGES), Progress()))
