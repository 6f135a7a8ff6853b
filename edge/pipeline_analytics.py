"""The tables for everybody who asks in SQL: kept up beside the corridor, and let go of in time.

Reads what each day's close left in the history, what the field's record keeps and learns, and what
the registry knows of models; writes through the journal's thread, in slices. Nothing that the shop
does waits for it, and it changes no state. What the copy in MySQL has not been told stays, up to a
limit; beyond that the oldest goes, and that is said.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from edge.config import Config, Tables
from edge.core import Core
from edge.errors import ConfigError, JournalFull
from edge.features.catalog import BY_ENTITY
from edge.inference.field import JUDGED, Kept, Question, questions
from edge.inference.manifest import SERVICES, Service
from edge.inference.registry import Registry
from edge.pipeline_scores import Figures
from edge.services.correlation import FDR
from edge.storage import analytics, analytics_room, changes
from edge.storage.analytics import Floats, Place, Rows, Said, moment
from edge.storage.analytics_room import Ages
from edge.storage.journal import Journal
from edge.storage.writer import JournalWriter
from edge.view_correlations import CorrelationRow, CorrelationsView

log = structlog.get_logger(__name__)

T = TypeVar("T")
Connection = Any
"""``sqlite3.Connection``, which only the store opens."""

LOOK_S = 5.0
"""How often somebody looks whether a day has closed."""
FULL_S = 60.0
"""How long to wait for room."""
TRIM_EVERY_S = 600.0
REST_S = 0.02
"""A pause between two slices: commits come first."""
SLICE_BYTES = 262_144
"""About what a slice takes on the disk."""
EVERYTHING = 1 << 62
"""As if a copy held all: nobody waits for one."""
DAY_MS = 86_400_000
FACTOR_TYPES = frozenset({"weather", "economic", "seasonal", "market", "events"})
DEFAULT_FEATURES = ("class.utilisation_28d", "class.rented_units_28d")
SHOWN = frozenset({"shown", "beside"})
"""Roles whose predictions are written; the simple rule can be worked out again from the sales."""


class Scores(Protocol):
    """What versions have been worth in this shop."""

    def scores(self, service: Service, version: str) -> Figures:
        """Question -> figures over the last days."""
        ...


class Copy(Protocol):
    """How far a copy is."""

    @property
    def holds(self) -> int:
        """Number of the newest change that it is known to hold."""
        ...

    @property
    def heard(self) -> bool:
        """Whether it said so itself since the start."""
        ...


class Analytics:
    """One daemon's tables. ``copy``: whose rows must not go before it holds them."""

    def __init__(
        self,
        config: Config,
        core: Core,
        writer: JournalWriter,
        registry: Registry | None = None,
        scores: Scores | None = None,
        copy: Copy | None = None,
    ) -> None:
        self.given_up_rows = 0
        """Rows that went although the copy did not hold them, since the start."""
        self._settings: Tables = config.tables
        self._state = core.state
        self._writer = writer
        self._registry = registry
        self._scores = scores
        self._copy = copy
        self._place = Place(config.shop.store, core.state.days.end_ms, chosen(config.tables))
        self.correlations: CorrelationsView | None = None
        self._looked_ms = 0
        self._told: dict[tuple[str, str], tuple[object, ...]] = {}
        self._trimmed_at = float("-inf")
        self._waits = ""

    # -- what others ask ------------------------------------------------------------------------

    @property
    def trouble(self) -> str:
        """What is wrong, for people; empty: nothing."""
        if self._waits:
            return self._waits
        if self.given_up_rows:
            return (
                f"{self.given_up_rows} rows went before the copy in MySQL held them: see mysql,"
                " or raise tables.uncopied_max_bytes"
            )
        return ""

    # -- the task -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            wait_s = LOOK_S
            try:
                await self.read_history()
                await self.write_models()
                await self.write_strengths()
                if self._state.now_ms and loop.time() - self._trimmed_at > TRIM_EVERY_S:
                    await self.trim()
                    self._trimmed_at = loop.time()
                self._waits = ""
            except JournalFull as error:
                self._waits = str(error)
                log.warning("tables_wait", reason=str(error), cure=error.cure)
                wait_s = FULL_S
            await asyncio.sleep(wait_s)

    async def read_history(self) -> None:
        """Write what the days' closes left since the last look. Raises JournalFull: later again."""
        while (found := await self._writer.read(analytics.next_chunk)) is not None:
            row, chunk = found
            place = self._place
            if chunk.day < self._state.today - self._settings.features_days:
                place = Place(place.store, place.end_ms, frozenset())
            await self._write(await asyncio.to_thread(analytics.of_history, chunk, place))
            await self._run(_note(analytics.HISTORY, row))

    async def write_models(self) -> None:
        """Write versions of models of which something is new."""
        registry = self._registry
        if registry is None:
            return
        made: list[analytics.Row] = []
        for service in SERVICES:
            for version in list(registry.versions[service].values()):
                if version.manifest is None:
                    continue
                await asyncio.sleep(0)  # figures may take a millisecond to work out
                figures = self._scores.scores(service, version.version) if self._scores else {}
                news = (version.state, version.since_ms, repr(figures))
                if self._told.get((service, version.version)) != news:
                    self._told[service, version.version] = news
                    made.append(
                        analytics.of_model(
                            version.manifest,
                            version.state,
                            version.since_ms,
                            version.found_ms,
                            dict(figures),
                        )
                    )
        try:
            await self._write([Rows(analytics.MODELS, made)])
        except JournalFull:
            self._told.clear()
            raise

    async def write_strengths(self) -> None:
        """Write how strong influences were found to be, once for each look at them."""
        view = self.correlations
        if view is None or view.looked_ms == self._looked_ms:
            return
        looked_ms = view.looked_ms
        rows = strengths(view.rows(FDR, False))
        await self._run(partial(analytics.write_strengths, rows=rows))
        self._looked_ms = looked_ms

    # -- what the field's record tells ------------------------------------------------------------

    async def kept(self, service: Service, told: Sequence[tuple[str, str, Kept]]) -> None:
        """Predictions of a day, by (version, role), are about to be kept. Raises JournalFull."""
        parts = []
        for version, role, kept in told:
            if role in SHOWN:
                said = self._said(service, version, role, kept)
                make = partial(
                    analytics.of_predictions, said, self._place, self._settings.predictions_keys
                )
                parts.append(await asyncio.to_thread(make))
        await self._write(parts)

    async def judged(
        self, key: tuple[str, str, str, int], kept: Kept, asked: Question, truth: Floats
    ) -> None:
        """It is known what came of one question. Raises JournalFull."""
        service, version, role, _ = key
        if role not in SHOWN or service not in JUDGED:
            return
        said = self._said(_service(service), version, role, kept)
        most = self._settings.predictions_keys
        make = partial(analytics.of_truth, said, asked, truth, self._place, most)
        rows = (await asyncio.to_thread(make)).rows
        for start in range(0, len(rows), analytics.SLICE_ROWS):
            some = rows[start : start + analytics.SLICE_ROWS]
            await self._run(partial(analytics.write_truth, rows=some))

    @staticmethod
    def _said(service: Service, version: str, role: str, kept: Kept) -> Said:
        asked = questions(service, kept.columns)
        return Said(service, version, role, JUDGED[service].entity, kept, asked)

    # -- letting go -------------------------------------------------------------------------------

    async def trim(self) -> None:
        """Let go of what is old, of what is too much, and of lines of what was deleted."""
        copied = await self._copied()
        ages = self._ages()
        while await self._run(partial(analytics_room.trim, ages=ages, copied=copied)):
            await asyncio.sleep(REST_S)
        before = moment(self._before(self._settings.predictions_thin_days))
        while await self._run(partial(analytics_room.thin, before=before, copied=copied)):
            await asyncio.sleep(REST_S)
        await self._run(partial(changes.trim_gone, copied=copied))
        given_up = 0
        while await self._used() > self._settings.uncopied_max_bytes:
            fine, lost = await self._run(
                partial(analytics_room.give_up, copied=copied, also_uncopied=True)
            )
            given_up += lost
            if not fine + lost:
                break
            await asyncio.sleep(REST_S)
        if given_up:
            self.given_up_rows += given_up
            log.error("tables_give_up_rows", rows=given_up, limit="tables.uncopied_max_bytes")

    async def _copied(self) -> int:
        """How far the copy is; remembered over a restart. Without a copy nobody is waited for."""
        known = await self._writer.read(lambda c: changes.value_of(c, changes.COPIED))
        if self._copy is None:
            holds = EVERYTHING
        elif self._copy.heard:  # also where it came back empty
            holds = self._copy.holds
        else:
            holds = known if known != EVERYTHING else 0  # no copy was wanted when that was noted
        if holds != known:
            await self._run(_note(changes.COPIED, holds))
        return holds

    async def _used(self) -> int:
        told = await self._writer.read(analytics_room.used_bytes)
        return sum(size for _, size in told.values())

    def _ages(self) -> Ages:
        told, today = self._settings, self._state.today
        moments = {
            "analytics_predictions": moment(self._before(told.predictions_days)),
            "ml_feature_store": moment(self._before(told.features_days)),
            "external_data_factors": moment(self._before(told.factors_days)),
            "daily_sales": analytics.date(today - int(told.sales_days)),
        }
        before = {table: (column, moments[table]) for table, column in analytics_room.AGED.items()}
        return Ages(before)

    def _before(self, days: float) -> int:
        return max(0, self._state.now_ms - int(days * DAY_MS))

    # -- the writer's thread ------------------------------------------------------------------------

    async def _write(self, parts: Sequence[Rows]) -> None:
        for part in analytics.slices(parts):
            await self._run(partial(analytics.write, part=part))
            await asyncio.sleep(REST_S)

    async def _run(self, work: Callable[[Connection], T]) -> T:
        def run(journal: Journal) -> T:
            return journal.write_field(work, SLICE_BYTES)

        return await self._writer.run(run)


def chosen(settings: Tables) -> frozenset[str]:
    """Features that are written. Raises ConfigError for one that there is not."""
    names = settings.features or list(DEFAULT_FEATURES)
    for name in names:
        entity, _, feature = name.partition(".")
        if entity not in ("class", "item") or feature not in BY_ENTITY[entity]:
            raise ConfigError(
                f"tables.features: there is no feature {name!r}; docs/features.md names those of"
                " class and item, such as class.utilisation_28d"
            )
    return frozenset(names)


def strengths(rows: Sequence[CorrelationRow]) -> list[analytics.Row]:
    """(strongest correlation, share of the classes that move with it, type, name) by influence.

    ``rows`` are those believed; seasons and prices are no influences from outside.
    """
    classes = {(row.store, row.sku) for row in rows}
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        kind, _, name = row.factor.partition(".")
        if row.r is not None and kind in FACTOR_TYPES:
            found.setdefault((kind, name), []).append(row.r)
    return [
        (max(told, key=abs), round(len(told) / len(classes), 4), kind, name)
        for (kind, name), told in sorted(found.items())
    ]


def _service(name: str) -> Service:
    return next(service for service in SERVICES if service == name)


def _note(name: str, value: int) -> Callable[[Connection], None]:
    return lambda connection: changes.note(connection, name, value)
