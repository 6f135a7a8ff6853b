"""Two asynchronous clients for MySQL against one real MariaDB: aiomysql and asyncmy.

What the numbers do not say: server and client share one machine and two cores, so the wall time is
that of both; the CPU time is the client's own. "Loop held" is the longest that anything else on the
client's event loop had to wait. MySQL 8 itself was not run.

Rows look like predictions: a number, six short texts, six doubles, a NULL and 200 characters of JSON.
The copy to MariaDB replaces them by 1,000 in a transaction; a source is read in pages.
"""

import asyncio
import importlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from types import ModuleType
from typing import Any

from bench.harness import Context, Figure, Result, Row, result
from edge.servers import MariaDb

TITLE = "MySQL clients: replacing by 1,000, and reading"
CLIENTS = ("aiomysql", "asyncmy")
BATCH = 1_000
COLUMNS = ("id", *(f"t{i}" for i in range(6)), *(f"d{i}" for i in range(6)), "empty", "data")
CREATE = (
    "CREATE TABLE told (id BIGINT NOT NULL PRIMARY KEY, "
    + ", ".join(f"t{i} VARCHAR(100) NOT NULL" for i in range(6))
    + ", "
    + ", ".join(f"d{i} DOUBLE" for i in range(6))
    + ", empty DOUBLE, data TEXT NOT NULL)"
)
REPLACE = f"REPLACE INTO told ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"


def rows(first: int, number: int) -> list[tuple[Any, ...]]:
    """Some rows, some of whose texts need care."""
    text = '{"units": 12, "why": "it’s \\"less\\" than 5 %"}'.ljust(200)
    return [
        (
            i,
            *(f"class-{i % 997}-é{t}" for t in range(6)),
            *(i * 0.1 + d for d in range(6)),
            None,
            text,
        )
        for i in range(first, first + number)
    ]


class Held:
    """The longest that the event loop was held, milliseconds."""

    def __init__(self) -> None:
        self.ms = 0.0

    async def watch(self) -> None:
        """Until cancelled: how late a sleep of 1 ms ends."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            self.ms = max(self.ms, (time.perf_counter() - began) * 1_000 - 1)


@contextmanager
def watching(held: Held) -> Iterator[None]:
    """Watch the loop inside the block."""
    task = asyncio.create_task(held.watch())
    try:
        yield
    finally:
        task.cancel()


async def one(client: ModuleType, port: int, batches: Sequence[list[tuple[Any, ...]]]) -> Row:
    """What one client costs, microseconds a row."""
    connection = await client.connect(host="127.0.0.1", port=port, user="root", charset="utf8mb4")
    try:
        async with connection.cursor() as cursor:
            await cursor.execute("CREATE OR REPLACE DATABASE bench")
            await cursor.execute("USE bench")
            await cursor.execute(CREATE)
            await cursor.executemany(REPLACE, batches[0])  # warm
            await connection.commit()
            written, read = Held(), Held()
            with watching(written):
                wall, cpu = time.perf_counter(), time.process_time()
                for batch in batches:
                    await cursor.executemany(REPLACE, batch)
                    await connection.commit()
                write_s, write_cpu_s = time.perf_counter() - wall, time.process_time() - cpu
            many = sum(len(batch) for batch in batches)
            with watching(read):
                wall, cpu = time.perf_counter(), time.process_time()
                for start in range(0, many, BATCH):
                    await cursor.execute(
                        "SELECT * FROM told WHERE id >= %s ORDER BY id LIMIT %s", (start, BATCH)
                    )
                    got = await cursor.fetchall()
                    assert len(got) == BATCH, len(got)
                read_s, read_cpu_s = time.perf_counter() - wall, time.process_time() - cpu
            assert tuple(got[-1]) == batches[-1][-1], (got[-1], batches[-1][-1])
    finally:
        with suppress(Exception):
            connection.close()
    return {
        "client": f"{client.__name__} {version(client.__name__)}",
        "replace µs a row": write_s / many * 1e6,
        "of it CPU": write_cpu_s / many * 1e6,
        "loop held ms": written.ms,
        "read µs a row": read_s / many * 1e6,
        "of it CPU ": read_cpu_s / many * 1e6,
        "loop held ms ": read.ms,
    }


def measure(context: Context) -> Result:
    """Both clients in turns, the better of three rounds each."""
    batches = [rows(first, BATCH) for first in range(0, context.size(50, 10, 2) * BATCH, BATCH)]
    best: dict[str, Row] = {}
    notes = []
    with MariaDb(context.directory / "mysql_clients") as server:
        for turn in range(context.size(3, 2, 1)):
            for name in CLIENTS:
                context.say(f"{name}, round {turn + 1}", turn / 3)
                try:
                    client = importlib.import_module(name)
                except ImportError:
                    notes.append(f"{name} is not installed here: left out")
                    continue
                row = asyncio.run(one(client, server.port, batches))
                if name not in best or row["of it CPU"] < best[name]["of it CPU"]:
                    best[name] = row
    figures = [
        Figure(name=f"{name}: {what}", value=row[column], unit="µs a row")
        for name, row in best.items()
        for what, column in (("replace, CPU", "of it CPU"), ("read, CPU", "of it CPU "))
    ]
    return result(
        "mysql_clients",
        TITLE,
        __doc__,
        figures,
        {"clients": list(best.values())},
        sorted(set(notes)),
    )
