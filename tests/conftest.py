"""What every test may ask for: a real broker, MariaDB, Redis. Never skipped: not there, no green."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from edge.broker import Broker
from edge.servers import MariaDb, Redis
from tests.databases import Database

_numbers = count(1)


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


@pytest.fixture(scope="session")
def shared_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """One MariaDB for tests that do not stop it; see ``database``."""
    with MariaDb(tmp_path_factory.mktemp("shared_mariadb")) as running:
        yield running


@pytest.fixture
def database(shared_mariadb: MariaDb) -> Iterator[Database]:
    """An empty database of this test alone, on a MariaDB that runs on."""
    made = Database(shared_mariadb, f"test_{next(_numbers)}")
    yield made
    made.drop()


@pytest.fixture
def mariadb(tmp_path: Path) -> Iterator[MariaDb]:
    """A private MariaDB of this test alone, which may be stopped and killed."""
    with MariaDb(tmp_path / "mariadb") as running:
        yield running


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """One Redis for tests that do not stop it; its databases are not emptied."""
    with Redis(tmp_path_factory.mktemp("shared_redis")) as running:
        yield running


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Redis]:
    """A private, empty Redis of this test alone, which may be stopped and killed."""
    with Redis(tmp_path / "redis") as running:
        yield running
