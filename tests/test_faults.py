"""Disks that are full or fail, under the whole daemon with a real broker."""

import gc
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge.broker import Broker
from edge.ledger.suppliers import PutSupplier, Supplier
from edge.storage.journal_reader import JournalReader
from tests.corridor import replay, run, until
from tests.storage.conftest import OPEN_WAL, FailingDisk
from tests.test_app import ROOT, asked, reads, served, shop, tell, written


@pytest.fixture(autouse=True)
def _usual_memory() -> Iterator[None]:
    """The daemon tunes the collector of its process; here it is only a guest."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


_alive: list[FailingDisk] = []  # SQLite may still hold their tables: never freed


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    """SQLite files opened from here on can be made to fail."""
    made = FailingDisk()
    _alive.append(made)
    made.insert()
    yield made
    made.heal()
    made.remove()


def test_on_a_full_disk_nothing_is_acknowledged_reads_go_on_and_room_heals_it(
    broker: Broker, tmp_path: Path, disk: FailingDisk
) -> None:
    config = shop(tmp_path / "var", broker)

    async def main() -> None:
        async with served(config) as (daemon, client):
            source = daemon.source
            assert source is not None
            await until(lambda: source.subscribed)
            await tell(broker, 0, 100)
            await until(lambda: reads(daemon) == 100 and source.acknowledged == 100)
            disk.write_error[OPEN_WAL] = sqlite3.SQLITE_FULL
            await tell(broker, 100, 400)
            await until(lambda: daemon.pipeline.progress.condition == "full")
            await until(lambda: source.received > 100)
            status, problem = await asked(client, "/readyz")
            assert status == 503
            assert "journal: no room" in problem["detail"]
            assert "free some disk space; nothing is lost" in problem["cure"]
            for path in ("/healthz", "/api/items", "/api/stats", "/api/dead-letters", "/api/gaps"):
                assert (await asked(client, path))[0] == 200, path
            async with client.post("/api/events", json={"type": "tag_read", "epc": "AB"}) as told:
                assert told.status == 503, "it cannot be made durable now"
            assert (source.acknowledged, reads(daemon)) == (100, 100)
            disk.heal()
            await until(lambda: source.acknowledged == 500)
            await until(lambda: daemon.pipeline.progress.condition == "running")
            row = daemon.pipeline.core.state.item.keys
            await until(lambda: row.get("AB") >= 0)  # the corridor held it; it is not lost either
            assert reads(daemon) == 501
            assert (await asked(client, "/readyz"))[0] == 200
        core = replay(tmp_path / "var", config)[0]
        assert core.digest() == daemon.pipeline.core.digest()
        assert "messages_redelivered" not in core.state.counters

    run(main)


def test_on_a_full_disk_no_row_of_the_ledger_is_lost_or_doubled_and_readyz_tells_the_truth(
    broker: Broker, tmp_path: Path, disk: FailingDisk
) -> None:
    config = shop(tmp_path / "var", broker)
    names = [f"S{i:03d}" for i in range(60)]

    def command(name: str, note: str) -> bytes:
        return msgspec.json.encode(PutSupplier(supplier=name, fields={"note": note}))

    async def main() -> None:
        async with served(config) as (daemon, client):
            pipeline = daemon.pipeline
            for name in names[:20]:
                pipeline.tell("$rfid3/do", command(name, "before"))
            ledger = pipeline.core.ledger
            await until(lambda: ledger.count(Supplier) == 20)
            disk.write_error[OPEN_WAL] = sqlite3.SQLITE_FULL
            for name in names:
                pipeline.tell("$rfid3/do", command(name, "while it was full"))
            await until(lambda: pipeline.progress.condition == "full")
            status, problem = await asked(client, "/readyz")
            assert status == 503
            assert "journal: no room" in problem["detail"]
            assert (await asked(client, "/api/items"))[0] == 200
            assert ledger.count(Supplier) == 20  # nothing is believed before it is durable
            disk.heal()
            await until(lambda: ledger.count(Supplier) == 60)
            await until(lambda: pipeline.progress.condition == "running")
            assert (await asked(client, "/readyz"))[0] == 200
            await pipeline.flush()
        stored = JournalReader.open(tmp_path / "var")
        rows = stored._connection.execute(
            "SELECT supplier, note, changed FROM suppliers ORDER BY supplier"
        ).fetchall()
        stored.close()
        assert [row[:2] for row in rows] == [(name, "while it was full") for name in names]
        assert len({changed for *_, changed in rows}) == 60  # each has its own place in the copy
        core = replay(tmp_path / "var", config)[0]
        assert core.digest() == daemon.pipeline.core.digest()

    run(main)


def test_another_program_that_holds_the_journal_is_not_cured_with_disk_space(
    broker: Broker, tmp_path: Path
) -> None:
    config = shop(tmp_path / "var", broker)

    async def main() -> None:
        async with served(config) as (daemon, client):
            assert daemon.source is not None
            await until(lambda: daemon.source.subscribed)
            with sqlite3.connect(tmp_path / "var" / "journal.db", isolation_level=None) as shell:
                shell.execute("BEGIN IMMEDIATE")
                await tell(broker, 0, 10)
                await until(lambda: daemon.pipeline.progress.condition == "full")
                status, problem = await asked(client, "/readyz")
                assert status == 503
                assert "another program holds" in problem["detail"]
                assert "end the other program" in problem["cure"]
                assert "space" not in problem["cure"]
                shell.execute("ROLLBACK")
            await until(lambda: reads(daemon) == 10)
            await until(lambda: daemon.pipeline.progress.condition == "running")
            assert (await asked(client, "/readyz"))[0] == 200

    run(main)


# ``rfid3 run`` on a disk whose next sync of the WAL fails once the daemon is ready.
SCRIPT = """
import sqlite3, sys
from edge import app
from edge.__main__ import main
from tests.storage.conftest import OPEN_WAL, FailingDisk

disk = FailingDisk()
disk.insert()
real = app._watch

async def watch(*args):
    disk.sync_error[OPEN_WAL] = sqlite3.SQLITE_IOERR_FSYNC
    args[0].pipeline.tell("$rfid3/link", b'{"up": true}')
    await real(*args)

app._watch = watch
sys.exit(main(["run", "--config", sys.argv[1]]))
"""


def test_a_failed_fsync_ends_the_daemon_and_it_says_why(broker: Broker, tmp_path: Path) -> None:
    config = written(tmp_path, broker.port, "127.0.0.1:0")
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr[-3_000:]
    lines = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    failed = [line for line in lines if line["event"] == "failed"]
    assert {line["kind"] for line in failed} == {"JournalBroken"}
    assert "fsync" in failed[0]["reason"].lower()
    assert "Traceback" not in ended.stderr
