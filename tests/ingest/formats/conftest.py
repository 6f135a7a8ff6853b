"""One decoder for all formats' tests: payload in, events or rejects out."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from edge import config
from edge.ingest.decode import Decoded, Decoder
from edge.records import Message

ARRIVAL = 1_780_000_000_000
Tell = Callable[..., Decoded]


@pytest.fixture(scope="session")
def tell() -> Tell:
    """Decode one payload (text, bytes or something for JSON) on a topic."""

    def run(payload: Any, topic: str = "some/topic", **mappings: config.Mapping) -> Decoded:
        rules = [config.SourceRule(topic=f"m/{n}", format=f"mapping:{n}") for n in mappings]
        decoder = Decoder(
            rules,
            mappings,
            store="main",
            timezone="America/Chicago",
            payload_max_bytes=1_000_000,
            company_prefixes=["0614141", "4012345"],
        )
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        decoded = decoder.decode(Message(topic, data, ARRIVAL))
        assert decoded.events or decoded.rejects or decoded.ignored
        return decoded

    return run


@pytest.fixture(scope="session")
def one(tell: Tell) -> Callable[..., Any]:
    """Decode a payload that holds exactly one event."""

    def run(*args: Any, **more: config.Mapping) -> Any:
        decoded = tell(*args, **more)
        assert decoded.rejects == []
        (event,) = decoded.events
        return event

    return run


@pytest.fixture(scope="session")
def refused(tell: Tell) -> Callable[..., list[str]]:
    """Decode a payload of which nothing can be read: the reasons."""

    def run(*args: Any, **more: config.Mapping) -> list[str]:
        decoded = tell(*args, **more)
        assert decoded.events == []
        return [r.reason for r in decoded.rejects]

    return run


@pytest.fixture(scope="session")
def arrival() -> int:
    """When the payloads arrive, epoch ms."""
    return ARRIVAL
