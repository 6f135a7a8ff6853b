"""The composition root: builds everything, runs it under one TaskGroup, stops it cleanly.

The only module that knows all concrete classes. No rules live here.
"""

import asyncio
import ctypes
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog
import uvloop
from aiohttp import web

from edge.api.app import API, Bound, server, serving
from edge.api.jobs import Publish
from edge.api.mirrored import told
from edge.api.table import ENDPOINTS
from edge.clock import Clock, SystemClock
from edge.commands import TOPIC
from edge.config import Config
from edge.core import Core
from edge.errors import ConfigError, JournalFull, Rfid3Error
from edge.health import Health
from edge.inference import starter
from edge.inference.door import Limits
from edge.ingest.inbox import Inbox
from edge.ingest.mqtt import MqttSource
from edge.notify.channels import Channels
from edge.outbox import Outbox
from edge.pipeline import Pipeline
from edge.pipeline_analytics import Analytics
from edge.pipeline_field import FieldRecord
from edge.pipeline_insights import Insights
from edge.pipeline_price_outcomes import PriceOutcomes
from edge.pipeline_proposals import Proposals
from edge.pipeline_safeguards import told_safeguards
from edge.pipeline_scoring import Scoring, SignedDoor
from edge.recovery import Recovered, recover
from edge.sdnotify import Notifier
from edge.storage.journal import Journal
from edge.storage.writer import JournalWriter
from edge.tables import StoredTables
from edge.view import LiveView
from edge.view_all import PROPOSERS, Views
from edge.view_basis import Sources
from edge.view_correlations import CorrelationsView
from edge.view_models import LiveModels
from edge.view_packs import PacksView
from edge.view_price_tests import PriceTestsView
from edge.view_pricing import PricingView
from edge.view_types import Counters

if TYPE_CHECKING:
    from edge.storage.mysql import Copier

log = structlog.get_logger(__name__)

GC_THRESHOLDS = (2_000, 5, 2_000)
"""Collections hold the loop: of the youngest for 1 ms, of what five of those left for 3 ms; with ten
thousand and twenty it was 5 ms, and 40 ms once a minute. All of it is looked at as seldom as before."""


class Runs(Protocol):
    """A part with a task of its own."""

    async def run(self) -> None:
        """Until cancelled."""
        ...


@dataclass(slots=True)
class Daemon:
    """The running parts, for those who embed the daemon (tests, benches)."""

    pipeline: Pipeline
    source: MqttSource | None
    view: LiveView
    health: Health
    bound: Bound | None
    scoring: Scoring | None = None
    models: LiveModels | None = None
    record: FieldRecord | None = None
    outbox: Outbox | None = None
    proposals: Proposals | None = None
    views: Views | None = None
    beside: dict[str, Runs] = field(default_factory=dict)
    """Tasks beside the corridor, by name; the first that ends ends the daemon."""


@asynccontextmanager
async def running(
    config: Config, clock: Clock, notifier: Notifier | None = None
) -> AsyncIterator[Daemon]:
    """The daemon while the block runs; a clean stop after it.

    Raises JournalInUse, JournalBroken, JournalFull, ConfigError, OSError (address taken).
    """
    _small_pages()
    directory = Path(config.storage.directory)
    directory.mkdir(parents=True, exist_ok=True)
    journal = await asyncio.to_thread(
        partial(
            Journal.open,
            directory,
            config.storage,
            config.limits.dead_letters_max,
            progress=lambda: notifier.extend(30) if notifier is not None else None,
        )
    )
    recovered = await _recover(config, journal, directory, notifier)
    writer = JournalWriter(journal)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(writer.close)
        daemon = _assemble(config, clock, recovered, writer, directory)
        if config.api.enabled:
            app = server(
                daemon.view,
                daemon.health,
                StoredTables(writer, daemon.pipeline, journal),
                config,
                clock,
                models=daemon.models,
                views=daemon.views,
                publish=_published(daemon.source),
            )
            daemon.bound = await stack.enter_async_context(serving(app, config.api.bind))
            if config.redis.url:
                daemon.beside["mirror"] = _mirroring(config, recovered.core, daemon, app)
        _settle_memory()
        async with asyncio.TaskGroup() as tasks:
            corridor = tasks.create_task(daemon.pipeline.run(), name="corridor")
            if daemon.source is not None:
                door = tasks.create_task(daemon.source.run(), name="mqtt")
            beside = [
                tasks.create_task(part.run(), name=name) for name, part in daemon.beside.items()
            ]
            try:
                yield daemon
            finally:
                # what one of them ended with, the group tells: once
                for task in ([door] if daemon.source is not None else []) + beside:
                    task.cancel()
                    await asyncio.wait([task])
                daemon.pipeline.stop()
                if not corridor.done():
                    await asyncio.wait([corridor])


def _published(source: MqttSource | None) -> Publish | None:
    """How somebody is told by MQTT; ``None``: there is no broker."""
    return partial(source.publish, qos=1) if source is not None else None


async def _recover(
    config: Config, journal: Journal, directory: Path, notifier: Notifier | None
) -> Recovered:
    loop = asyncio.get_running_loop()
    began = loop.time()

    def progress(replayed: int) -> None:
        if notifier is not None:
            notifier.extend(30)

    def recovered_or_closed() -> Recovered:
        try:
            return recover(config, journal, directory, progress)
        except BaseException:
            journal.close()  # nobody else can: its lock must not outlive the failure
            raise

    recovered = await asyncio.to_thread(recovered_or_closed)
    log.info(
        "recovered",
        snapshot_seq=recovered.snapshot_seq,
        replayed=recovered.replayed,
        items=len(recovered.core.state.item.keys),
        took_s=round(loop.time() - began, 3),
    )
    return recovered


def _assemble(
    config: Config,
    clock: Clock,
    recovered: Recovered,
    writer: JournalWriter,
    directory: Path,
) -> Daemon:
    inbox = Inbox(config.ingest.inbox_max, config.ingest.inbox_max_bytes)
    pipeline = Pipeline(config, recovered, writer, inbox, clock, directory)
    source = None
    if config.mqtt.enabled:

        def on_link(up: bool, session: int) -> None:
            told = msgspec.json.encode({"up": up, "session": session})
            pipeline.tell("$rfid3/link", told, session)

        tail = writer.last()
        source = MqttSource(
            config.mqtt,
            inbox,
            clock=clock,
            session=tail.session,
            clock_mode=config.ingest.clock,
            on_link=on_link,
            arrival_ms=max(tail.last_arrival_ms, tail.beat_ms),
        )
        pipeline.source = source
    health = Health(pipeline, source, writer, inbox, config, clock)
    scoring = _scoring(config, pipeline, writer, directory)
    models = record = None
    if scoring is not None:
        record = FieldRecord(recovered.core, scoring.scorer, writer)
        scoring.registry.field = record.measured
        models = LiveModels(recovered.core, config, scoring.registry, scoring.scorer, record)
    copier = _copier(config, writer, directory)
    tables = Analytics(
        config, recovered.core, writer, scoring.registry if scoring else None, record, copier
    )
    if record is not None:
        record.also = tables
    health.watch("tables", lambda: tables.trouble)
    if copier is not None:
        health.watch("mysql", lambda: copier.trouble)

    def counters() -> Counters:
        copy = {"mysql": copier.counters()} if copier is not None else {}
        groups = health.counters() | copy | (models.counters() if models is not None else {})
        groups["layers"] = {**groups.get("layers", {}), "l3_reads": writer.reads}
        return groups

    limits = told_safeguards(recovered.core.ledger, config)
    if limits is not None:
        pipeline.first_words.append((TOPIC, msgspec.json.encode(limits)))
    hosts, port = config.api.webhook_hosts, int(config.api.bind.rpartition(":")[2] or 0)
    channels = Channels(source, hosts, port if config.api.enabled else 0)
    outbox = Outbox(recovered.core, channels, pipeline.tell, clock.now_ms)
    view = LiveView(recovered.core, config, counters)
    scorer = scoring.scorer if scoring is not None else None
    views = Views(Sources(recovered.core, config, models, scorer))
    tables.correlations = views.of(CorrelationsView)
    proposals = Proposals(
        recovered.core,
        [views.of(kind) for kind in PROPOSERS],
        pipeline.tell,
        config.decisions.propose_every_s,
    )
    tasks: dict[str, Runs | None] = {
        "models": scoring,
        "field": record,
        "outbox": outbox,
        "proposals": proposals,
        "insights": Insights(
            recovered.core, writer, views.of(PacksView), views.of(CorrelationsView)
        ),
        "price_outcomes": PriceOutcomes(
            [views.of(PriceTestsView).due, views.of(PricingView).impacts], pipeline.tell
        ),
        "tables": tables,
        "mysql": copier,
    }
    beside = {name: part for name, part in tasks.items() if part is not None}
    return Daemon(
        pipeline,
        source,
        view,
        health,
        None,
        scoring,
        models,
        record,
        outbox,
        proposals,
        views,
        beside,
    )


def _mirroring(config: Config, core: Core, daemon: Daemon, app: web.Application) -> Runs:
    """The mirror's task. Its client loads a library of keys, which a daemon without one does not."""
    from edge.pipeline_mirror import Mirroring
    from edge.storage.mirror import Mirror

    scorer = daemon.scoring.scorer if daemon.scoring is not None else None
    mirror = Mirroring(
        core,
        scorer,
        daemon.models,
        Mirror(config.redis.url),
        config.redis,
        lambda: told(app[API], ENDPOINTS),
    )
    daemon.health.watch("redis", lambda: mirror.trouble)
    return mirror


def _scoring(
    config: Config, pipeline: Pipeline, writer: JournalWriter, directory: Path
) -> Scoring | None:
    """The models' task, told by the corridor; onnxruntime is imported with the first model."""
    if not config.models.enabled:
        return None
    scoring = Scoring(
        config,
        pipeline.core,
        pipeline.tell,
        SignedDoor(directory / "keys" / "trusted", Limits.of(config.models)),
        models_directory(config),
        writer.journal_id,
    )
    pipeline.on_applied = scoring.applied
    pipeline.before_snapshot = scoring.flush
    return scoring


def _copier(config: Config, writer: JournalWriter, directory: Path) -> "Copier | None":
    """The copy in MySQL; its client is imported only where it is wanted."""
    if not config.mysql.enabled:
        return None
    from edge.storage.mysql import Copier

    return Copier(directory, writer.journal_id, config.mysql)


_PR_SET_THP_DISABLE = 41  # <linux/prctl.h>


def _small_pages() -> None:
    """No pages of 2 MB, which numpy asks for: before the arrays are made.

    The first touch of such a page clears all of it. A day's close touches a new row of every ring:
    20 ms in one go now and then, and 25 MB more memory, with 20,000 items of 5,000 classes; reads
    are taken in no slower without.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


SWITCH_S = 0.001
"""How long the loop may keep the interpreter when the journal's thread wants it: a commit asks for
it several times, and Python's own 5 ms each time would be most of a commit's latency under load."""


def _settle_memory() -> None:
    """What lives now lives on: keep the collector from walking it again and again.

    What reading a snapshot took goes back to the system, where the C library can do that.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_S)


async def _serve(config: Config) -> int:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    with Notifier(os.environ) as notifier:
        async with running(config, SystemClock(), notifier) as daemon:
            where = daemon.bound.url if daemon.bound else "off"
            log.info("ready", api=where, broker=f"{config.mqtt.host}:{config.mqtt.port}")
            notifier.ready(f"API at {where}")
            starters = asyncio.create_task(_starters(config), name="starters")
            await _watch(daemon, notifier, stopped)
            await starters
            log.info("stopping")
            notifier.stopping()
    return 0


async def _starters(config: Config) -> None:
    """Where a service has no model at all, the one that is shipped begins; beside all else."""
    if config.models.enabled:
        directory = Path(config.storage.directory)
        models = models_directory(config)
        await asyncio.to_thread(starter.install, models, directory / "keys")


def models_directory(config: Config) -> Path:
    """Where models are looked for."""
    return Path(config.models.directory or Path(config.storage.directory) / "models")


async def _watch(daemon: Daemon, notifier: Notifier, stopped: asyncio.Event) -> None:
    """Feed the watchdog while ingest, journal and beats make progress; until told to stop.

    Conditions are looked at here as well, so that they are known to begin now and not only when
    somebody asks.
    """
    every_s = min(notifier.watchdog_interval_s or 5.0, 5.0) / 2
    while not stopped.is_set():
        daemon.health.health()
        stuck = daemon.health.stuck()
        if stuck:
            log.error("stuck", what=stuck)
        else:
            notifier.watchdog()
        with suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await stopped.wait()


def serve(config: Config) -> int:
    """Run the daemon until SIGINT or SIGTERM; the exit code: 0 stopped, 1 failed, 2 settings."""
    os.umask(0o027)  # what the shop sold and to whom is nobody else's business
    try:
        return uvloop.run(_serve(config))
    except BaseExceptionGroup as group:
        expected, other = group.split(_EXPECTED)
        if other is not None:
            raise
        errors = _leaves(expected)
    except _EXPECTED as error:
        errors = [error]
    for failure in errors:
        _say(failure)
    return 2 if any(isinstance(failure, ConfigError) for failure in errors) else 1


_EXPECTED = (Rfid3Error, OSError)


_CURES = {
    errno.EADDRINUSE: "end the other program there (another rfid3?), or set another api.bind",
    errno.EADDRNOTAVAIL: "this machine has no such address: see api.bind",
    errno.EACCES: "this user lacks the permission: see storage.directory and the port of api.bind",
    errno.EPERM: "this user lacks the permission: see storage.directory and the port of api.bind",
    errno.EROFS: "it can only be read: let storage.directory be on a disk that can be written",
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some disk space, or raise this user's quota",
}
"""What may help against what the system refuses."""


def _cure(error: BaseException) -> str:
    if isinstance(error, JournalFull):
        return error.cure
    if isinstance(error, socket.gaierror):  # its numbers are of another list
        return "no such name: see api.bind"
    code = error.errno if isinstance(error, OSError) else None
    return _CURES.get(code or 0, "see the reason")


def _say(error: BaseException) -> None:
    cure = _cure(error)
    log.critical("failed", kind=type(error).__name__, reason=str(error), cure=cure)


def _leaves(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error] if error is not None else []
