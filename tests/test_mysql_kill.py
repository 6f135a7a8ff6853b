"""The daemon killed with kill -9 while it works and copies: the copy equals the store in the end."""

import asyncio
import json
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

from edge.broker import LOOPBACK, free_port
from tests.databases import Database
from tests.storage.test_mysql_copy import copied_rows, local_rows

WITHIN_S = 120.0
KILLS = 3


def written(directory: Path, port: int, database: Database) -> Path:
    server = database.server
    file = directory / "config.toml"
    file.write_text(
        f"""
[mqtt]
enabled = false
[ingest]
beat_ms = 5
quiet_beat_s = 0.05
[limits]
items_max = 2000
active_items_max = 2000
rental_log_max = 10000
[storage]
directory = "{directory / "shop"}"
disk_reserve_bytes = 0
[api]
bind = "{LOOPBACK}:{port}"
[models]
enabled = false
[mysql]
enabled = true
host = "{server.host}"
port = {server.port}
user = "root"
database = "{database.name}"
every_s = 0.05
batch_rows = 10
"""
    )
    return file


def asked(port: int, path: str, body: Any = None) -> Any:
    """JSON of an answer; ``None`` while nobody answers well."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://{LOOPBACK}:{port}{path}", data, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except (OSError, urllib.error.URLError, ValueError):
        return None


def until(told: Any, daemon: "subprocess.Popen[bytes]", log: Path) -> None:
    """Poll until it is true; fail with the daemon's last words."""
    deadline = time.monotonic() + WITHIN_S
    while not told():
        assert daemon.poll() is None, log.read_text()[-3_000:]
        assert time.monotonic() < deadline, log.read_text()[-3_000:]
        time.sleep(0.02)


def scans(first: int) -> list[dict[str, Any]]:
    """Items that go out under contracts and come back."""
    return [
        {
            "type": "item_scan",
            "id": f"scan-{number}",
            "epc": f"{0x425445 << 72 | number % 400:024X}",
            "scan_type": ("Rental", "Return")[number // 400 % 2],
            "contract": f"C{number % 60}",
            "sku": f"S{number % 7}",
        }
        for number in range(first, first + 20)
    ]


def test_a_daemon_killed_while_it_copies_loses_and_doubles_nothing(
    tmp_path: Path, database: Database
) -> None:
    port, chance, told = free_port(), random.Random(5), 0
    config = written(tmp_path, port, database)
    for kill in range(KILLS + 1):
        with (tmp_path / "log").open("ab") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "edge", "run", "-c", str(config)], stdout=log, stderr=log
            )
        try:
            until(lambda: asked(port, "/healthz"), daemon, tmp_path / "log")
            for _ in range(chance.randrange(8, 16)):
                # A busy machine may answer late; what is told again counts once, by its id.
                tell = partial(asked, port, "/api/events", scans(told))
                until(tell, daemon, tmp_path / "log")
                told += 20
            if kill < KILLS:
                time.sleep(chance.random() * 0.3)
                daemon.kill()
                continue
            until(lambda: _caught_up(port), daemon, tmp_path / "log")
        finally:
            if kill == KILLS:
                daemon.terminate()
            daemon.wait()
    mine = local_rows(tmp_path / "shop")
    assert len(mine["contracts"]) == 60
    assert len(mine["contract_items"]) >= 400
    asyncio.run(_rest(tmp_path / "shop", database))  # what the last stop still stored
    assert copied_rows(tmp_path / "shop", database) == mine


def _caught_up(port: int) -> bool:
    stats = asked(port, "/api/stats")
    mysql = (stats or {}).get("stats", {}).get("mysql", {})
    return bool(mysql) and mysql["position"] > 0 and mysql["changes_waiting"] == 0


async def _rest(directory: Path, database: Database) -> None:
    """Copy what came after the daemon looked last."""
    from edge.storage.journal_reader import JournalReader
    from edge.storage.mysql import Copier
    from tests.storage.test_mysql_copy import where

    reader = JournalReader.open(directory)
    ((number,),) = reader._connection.execute("SELECT value FROM meta WHERE key = 'journal_id'")
    reader.close()
    await Copier(directory, f"{number:016x}", where(database)).copy_once()
