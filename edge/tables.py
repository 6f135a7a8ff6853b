"""The local store's tables as the API asks for them: queries handed to read-only connections."""

import sqlite3
from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import Struct

from edge.inference.manifest import Service
from edge.ledger.tables import TABLES
from edge.pipeline import Pipeline
from edge.records import DeadLetter, Effects, Gap, TimelineEntry
from edge.storage import field, tables
from edge.storage.journal import Journal
from edge.storage.ledger import read_rows
from edge.storage.writer import JournalWriter
from edge.view_models import WorstClass
from edge.view_types import DeadLetterHead

_HEAD_BYTES = 256
R = TypeVar("R", bound=Struct)


def _dead_letters(effects: Effects) -> bool:
    return bool(effects.dead_letters)


def _gaps(effects: Effects) -> bool:
    return bool(effects.gaps)


class StoredTables:
    """Dead letters, timelines and gaps; what waits to be stored is shown as well."""

    def __init__(self, writer: JournalWriter, pipeline: Pipeline, journal: Journal) -> None:
        """Of ``journal`` only a counter is read: it belongs to the writer's thread."""
        self._writer = writer
        self._pipeline = pipeline
        self._journal = journal
        self._of = {table.row: table for table in TABLES}

    @property
    def revision(self) -> int:
        """Rises whenever an answer below could differ."""
        return self._pipeline.effects_revision + self._journal.letters_played

    async def dead_letters(
        self,
        *,
        reason: str | None,
        after: tuple[int, int] | None,
        newest_first: bool,
        limit: int,
    ) -> list[DeadLetterHead]:
        """At most ``limit`` dead letters beyond ``after`` in the direction asked for."""
        await self._pipeline.flush(_dead_letters)

        def query(connection: sqlite3.Connection) -> list[DeadLetterHead]:
            rows = tables.dead_letter_heads(
                connection, limit, after, reason, newest_first, _HEAD_BYTES
            )
            return [
                DeadLetterHead(
                    ordinal=o,
                    index=i,
                    arrival_ms=a,
                    topic=t,
                    reason=r,
                    detail=d,
                    payload_bytes=n,
                    payload_start=p,
                )
                for o, i, a, t, r, d, n, p in rows
            ]

        return await self._writer.read(query)

    async def dead_letter(self, key: tuple[int, int]) -> DeadLetter | None:
        """One dead letter, whole."""
        await self._pipeline.flush(_dead_letters)
        return await self._writer.read(lambda connection: tables.dead_letter(connection, *key))

    async def timeline(self, epc: str, *, limit: int) -> list[TimelineEntry]:
        """The newest ``limit`` lines of an item's story, newest first."""
        waiting = self._pipeline.waiting_timeline(epc)
        stored = await self._writer.read(lambda connection: tables.timeline(connection, epc, limit))
        both = {(e.ordinal, e.index): e for e in (*stored, *waiting)}.values()
        newest = sorted(both, key=lambda e: (e.at_ms, e.ordinal, e.index), reverse=True)
        return newest[:limit]

    async def ledger_rows(
        self,
        kind: type[R],
        where: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int = 1_000,
        offset: int = 0,
    ) -> list[R]:
        """Rows of a table of the ledger, whether they are in memory or in the store alone."""
        table = self._of[kind]
        await self._pipeline.flush(
            lambda effects: any(name == table.name for name, _ in effects.rows)
        )

        def query(connection: sqlite3.Connection) -> list[R]:
            found = read_rows(connection, table, where, order=order, limit=limit, offset=offset)
            return [row for row in found if isinstance(row, kind)]

        return await self._writer.read(query)

    async def worst_classes(
        self, service: Service, version: str, *, limit: int
    ) -> list[WorstClass]:
        """Of each question at most ``limit`` classes where a version's errors weigh most."""
        found = await self._writer.read(
            lambda connection: field.worst_classes(connection, service, version, limit)
        )
        return [_worst(one) for one in found]

    async def gaps(self, *, reader: str | None, limit: int) -> list[Gap]:
        """The newest ``limit`` gaps, newest first."""
        await self._pipeline.flush(_gaps)
        return await self._writer.read(lambda connection: tables.gaps(connection, reader, limit))


def _worst(one: field.ByClass) -> WorstClass:
    store, _, sku = one.class_key.rpartition("\x1f")
    return WorstClass(
        question=one.question,
        sku=sku,
        store=store,
        answers=one.n,
        error_mean=one.error / one.n,
        absolute_error_mean=one.absolute_error / one.n,
        actual_mean=one.absolute_actual / one.n,
    )
