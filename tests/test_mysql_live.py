"""The whole daemon under load with MariaDB stopped: the shop goes on, and the copy is equal in the end.

``RFID3_MARIADB_STOP_S=60`` stops it for longer than the few seconds of every day's run.
"""

import asyncio
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.broker import Broker
from edge.config import Config, Mysql, Tables
from edge.ledger.suppliers import DropSupplier, PutSupplier
from edge.records import Message
from edge.servers import MariaDb
from tests.corridor import run, until
from tests.databases import Database
from tests.storage.test_mysql_copy import copied_rows, local_rows
from tests.test_app import asked, served, shop, tell

STOP_S = float(os.environ.get("RFID3_MARIADB_STOP_S", "3"))
RATE = 400
"""Reads a second, besides the commands."""


def settings(directory: Path, broker: Broker, database: Database) -> Config:
    server = database.server
    return msgspec.structs.replace(
        shop(directory, broker),
        tables=Tables(features=["item.reads_total"]),
        mysql=Mysql(
            enabled=True,
            host=server.host,
            port=server.port,
            user="root",
            database=database.name,
            every_s=0.05,
        ),
    )


async def conditions(client: Any) -> dict[str, Any]:
    _, told = await asked(client, "/healthz")
    return {one["name"]: one for one in told["dependencies"]}


class Load:
    """Reads through the broker and commands through the corridor, until told to stop."""

    def __init__(self, daemon: Any, broker: Broker) -> None:
        self._daemon = daemon
        self._broker = broker
        self._stopping = False
        self.reads = 0
        self.commands = 0

    async def run(self) -> None:
        while not self._stopping:
            await tell(self._broker, self.reads, RATE // 10)
            self.reads += RATE // 10
            for i in range(10):
                name = f"S{(self.commands + i) % 37}"
                drop = (self.commands + i) % 5 == 4
                command = (
                    DropSupplier(supplier=name)
                    if drop
                    else PutSupplier(supplier=name, fields={"note": f"{self.commands + i} 🏠"})
                )
                self._daemon.pipeline.tell("$rfid3/do", msgspec.json.encode(command))
            self.commands += 10
            await asyncio.sleep(0.1)

    def stop(self) -> None:
        self._stopping = True


@pytest.mark.parametrize("gently", [True, False], ids=["stopped", "killed"])
def test_with_mariadb_stopped_under_load_nothing_is_lost_or_doubled_and_readyz_tells_the_truth(
    tmp_path: Path, broker: Broker, mariadb: MariaDb, gently: bool
) -> None:
    database = Database(mariadb, "shop")
    config = settings(tmp_path / "shop", broker, database)

    async def main() -> None:
        async with served(config) as (daemon, client):
            copier: Any = daemon.beside["mysql"]
            source: Any = daemon.source
            await until(lambda: source.subscribed)
            load = Load(daemon, broker)
            loading = asyncio.create_task(load.run())
            await until(lambda: copier.state.copied_rows > 20)
            assert not (await conditions(client))["mysql"]["degraded"]
            await asyncio.to_thread(mariadb.stop if gently else mariadb.kill)
            taken = source.acknowledged
            await until(lambda: copier.state.condition == "away")
            for _ in range(int(STOP_S * 10)):
                assert (await asked(client, "/readyz"))[0] == 200  # the truth: the shop works
                await asyncio.sleep(0.1)
            told = (await conditions(client))["mysql"]
            assert told["degraded"]
            assert "changes wait" in told["detail"]
            await until(lambda: source.acknowledged > taken + RATE * STOP_S / 4)  # ingest goes on
            assert copier.state.condition == "away"
            await until(lambda: daemon.pipeline.latency_ms and not daemon.pipeline.behind)
            await asyncio.to_thread(mariadb.start)
            await until(lambda: copier.state.condition != "away", within_s=180)
            load.stop()
            await loading
            await until(lambda: source.acknowledged >= load.reads)
            await until(lambda: not len(daemon.pipeline.inbox) and not daemon.pipeline.behind)
            await daemon.pipeline.flush()
            number = await daemon.pipeline._writer.read(_newest)
            await until(
                lambda: copier.state.position >= number and copier.state.condition == "caught_up"
            )
            assert not (await conditions(client))["mysql"]["degraded"]
            # everything that was told is there once, in both
            mine = local_rows(tmp_path / "shop")
            there = await asyncio.to_thread(copied_rows, tmp_path / "shop", database)
            assert there == mine
            assert len(mine["suppliers"]) > 20
            assert source.acknowledged >= load.reads

    run(main, 300 + STOP_S)


def _newest(connection: Any) -> int:
    (value,) = connection.execute("SELECT value FROM meta WHERE key = 'changed'").fetchone()
    return int(value)


def test_what_the_tills_said_stands_in_mariadb_once_the_day_has_closed(
    tmp_path: Path, database: Database
) -> None:
    """From a message to a row that somebody else can ask: through everything that lies between."""
    server = database.server
    days, start_ms = 4, 1_760_000_000_000
    usual = shop(tmp_path / "shop", None, clock="events")
    config = msgspec.structs.replace(
        usual,
        mysql=Mysql(
            enabled=True,
            host=server.host,
            port=server.port,
            user="root",
            database=database.name,
            every_s=0.05,
        ),
    )
    told: Counter[tuple[str, str]] = Counter()

    async def main() -> None:
        async with served(config) as (daemon, _):
            for day in range(days + 1):
                for line in range(5):
                    at_ms = start_ms + day * 86_400_000 + line * 60_000
                    event = {"document": f"R{day}", "line": line, "kind": "sale", "sku": f"S{line % 2}",
                             "quantity": line + 1, "price_cents": 250, "at": at_ms}  # fmt: skip
                    message = Message("rfid3/main/pos_line/t", msgspec.json.encode(event), at_ms)
                    daemon.pipeline.inbox.put(message, 0)
                    local = datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
                    told[local, f"S{line % 2}"] += line + 1
            closed = sorted({day for day, _ in told})[:days]

            def asked_() -> dict[tuple[str, str], float]:
                rows = database.ask("SELECT day, sku, sold_units FROM daily_sales")
                return {(str(day), sku): units for day, sku, units in rows}

            expected = {key: units for key, units in told.items() if key[0] in closed}
            core = daemon.pipeline.core
            await until(lambda: core.state.counters.get("events_admitted") == 5 * (days + 1))
            copier: Any = daemon.beside["mysql"]
            await until(lambda: copier.state.known)
            await daemon.pipeline.flush()  # with time from events no quiet beat does
            found: dict[tuple[str, str], float] = {}
            for _ in range(600):
                found = await asyncio.to_thread(asked_)
                if len(found) >= len(expected):
                    break
                await asyncio.sleep(0.1)
            assert found == expected
            revenue = await asyncio.to_thread(
                database.ask, "SELECT sum(revenue_cents) FROM daily_sales"
            )
            assert revenue[0][0] == sum(expected.values()) * 250

    run(main)
