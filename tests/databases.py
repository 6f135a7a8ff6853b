"""Real databases for tests: one MariaDB for the session, a database of its own for each test."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncmy
import asyncmy.errors

from edge.servers import MariaDb


def ask(server: MariaDb, sql: str, values: Sequence[Any] = (), database: str = "") -> list[Any]:
    """The rows of one statement, on a connection of its own."""

    async def main() -> list[Any]:
        connection = await asyncmy.connect(
            host=server.host,
            port=server.port,
            user="root",
            db=database or None,
            charset="utf8mb4",
            autocommit=True,
        )
        async with connection.cursor() as cursor:
            await cursor.execute(sql, values or None)
            rows = await cursor.fetchall()
        connection.close()
        return list(rows or ())

    return asyncio.run(main())


class Database:
    """One empty database on a server."""

    def __init__(self, server: MariaDb, name: str) -> None:
        self.server = server
        self.name = name
        self.make()

    def make(self) -> None:
        """Make it anew, empty."""
        ask(self.server, f"CREATE OR REPLACE DATABASE {self.name}")

    def ask(self, sql: str, *values: Any) -> list[Any]:
        """The rows of one statement."""
        return ask(self.server, sql, values, self.name)

    def drop(self) -> None:
        """Remove it, if the server still runs."""
        if self.server.pid:
            with suppress(asyncmy.errors.OperationalError):  # a test that failed may still hold it
                ask(
                    self.server,
                    f"SET STATEMENT lock_wait_timeout = 2 FOR DROP DATABASE IF EXISTS {self.name}",
                )
