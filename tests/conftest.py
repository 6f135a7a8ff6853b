"""What every test may ask for: a real broker, MariaDB, Redis. Never skipped: not there, no green."""

import gc
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings

from edge.api.endpoint import Patience
from edge.broker import Broker
from edge.servers import MariaDb, Redis
from tests.databases import Database

# a machine that does other work beside makes no test wrong
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

_numbers = count(1)


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """Daemons in the tests' own process wait for a commit however slow the machine: no 202 for that."""
    with patch("edge.api.app.Patience", partial(Patience, beat_s=60.0, book_s=60.0)):
        yield


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """A daemon in the tests' own process freezes what there is: with its module it is let go."""
    before = gc.get_threshold()
    yield
    if gc.get_freeze_count():
        gc.set_threshold(*before)
        gc.unfreeze()
        gc.collect()


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


@contextmanager
def _in_memory(otherwise: Path) -> Iterator[Path]:
    """A directory in memory where the machine has one: a table made there costs no wait for a disk.

    What is killed loses no more and no less than on a disk.
    """
    memory = Path("/dev/shm")
    if not (memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30):
        yield otherwise
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="rfid3-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def shared_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """One MariaDB for tests that do not stop it; see ``database``."""
    with (
        _in_memory(tmp_path_factory.mktemp("shared_mariadb")) as directory,
        MariaDb(directory) as running,
    ):
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
    with _in_memory(tmp_path / "mariadb") as directory, MariaDb(directory) as running:
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
