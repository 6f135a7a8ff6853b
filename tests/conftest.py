"""What every test may ask for: a real broker. It is never skipped: no Mosquitto, no green."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.broker import Broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A private Mosquitto of this test alone, running, on a free loopback port."""
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One Mosquitto for tests that neither stop it nor mind what others left in it."""
    with Broker(tmp_path_factory.mktemp("shared_broker")) as running:
        yield running
