"""The models' task beside the corridor: finds, loads, swaps, scores and judges them.

Commands come out of the journal in its order (``applied``), the registry says what should answer,
and this file makes it so: sessions are built in a thread and handed to the scorer between two of
its slices. It changes nothing of the core's state.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from edge.config import Config
from edge.core import Core
from edge.inference.folder import Folder, Published, contents
from edge.inference.history import HistoryFile
from edge.inference.manifest import SERVICES as NAMES
from edge.inference.manifest import Manifest, Service
from edge.inference.model import Loaded
from edge.inference.predict import SERVICES
from edge.inference.registry import Command, Field, Registry, Version
from edge.inference.scorer import Role, Scorer
from edge.inference.session import ModelUnusable, Trouble

log = structlog.get_logger(__name__)

TOPIC = "$rfid3/models"
WATCH_S = 3.0
"""How often the folder is looked at, and the registry asked what is due."""
BEAT_S = 0.05
"""Least time between two beats of scoring."""
IDLE_S = 1.0
"""Longest time between two, for what nothing happens to."""
SHARE = 0.1
"""Scoring takes no more than this share of the loop's time; the more is waiting, the larger batches."""
AGAIN_S = 60.0
"""What is due is told again when nothing came of it for so long."""


class Verdict(Protocol):
    """What the door says of a folder."""

    @property
    def ok(self) -> bool:
        """Whether the model may be loaded."""
        ...

    @property
    def reason(self) -> str:
        """Why not."""
        ...

    @property
    def manifest(self) -> Manifest | None:
        """Its manifest, verified; only where ``ok``."""
        ...


Door = Callable[[Path], Verdict]
Tell = Callable[[str, bytes], None]
Key = tuple[Service, str]


class Scoring:
    """Owns the registry and the scorer of one daemon.

    ``tell(topic, payload)`` puts a message into the corridor; ``door(folder)`` blocks.
    """

    def __init__(
        self,
        config: Config,
        core: Core,
        tell: Tell,
        door: Door,
        directory: Path,
        journal_id: str,
        field: Field | None = None,
    ) -> None:
        self.folder = Folder(directory)
        self._file = HistoryFile(directory)
        lines = self._file.read()
        options = {} if field is None else {"field": field}
        self.registry = Registry(config.models, journal_id, lines, **options)
        self.scorer = Scorer(core.state, config.models, self._troubled)
        self.swap_s: list[float] = []
        self._config = config
        self._core = core
        self._tell = tell
        self._door = door
        self._held: dict[Key, Loaded] = {}
        self._numbers = 0
        self._manifests: dict[Key, Manifest] = {}
        self._failed: set[Key] = set()
        self._told: tuple[int, float] = (-1, 0.0)
        self._stirred = asyncio.Event()
        self._changed = asyncio.Event()
        self._keeping = asyncio.Lock()
        self.applied()

    # -- the corridor's side ------------------------------------------------------------------------

    def applied(self) -> None:
        """A batch was applied: take the commands that were in it. On the loop, never waits."""
        self._stirred.set()
        commands, self._core.model_commands = self._core.model_commands, []
        for ordinal, at_ms, payload in commands:
            outcome = self.registry.apply(ordinal, at_ms, payload)
            if outcome is None:
                continue
            log.info("model_command", done=outcome.done, reason=outcome.reason, told=payload[:200])
            self._changed.set()
        if commands:
            self._know()
            self._use()

    async def flush(self) -> None:
        """Keep what the registry changed, so that a snapshot may pass over its commands."""
        async with self._keeping:
            lines = self.registry.take_lines()
            if lines:
                await asyncio.to_thread(self._file.append, lines)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_for_ever(), name="models-watch")
            tasks.create_task(self._load_for_ever(), name="models-load")
            tasks.create_task(self._score_for_ever(), name="models-score")

    # -- finding --------------------------------------------------------------------------------

    async def _watch_for_ever(self) -> None:
        while True:
            await self.watch()
            await asyncio.sleep(WATCH_S)

    async def watch(self) -> None:
        """Look at the folder once: what is new goes through the door; and what is due is told."""
        found = await asyncio.to_thread(lambda: list(self.folder.published()))
        for published in found:
            key = (published.service, published.version)
            if not self.registry.knows(*key, published.mark):
                await self._examine(published)
            elif self._unread(key):
                await self._read_again(published)
        self._know()
        self._judge()
        await self.flush()

    def _unread(self, key: Key) -> bool:
        version = self.registry.versions[key[0]][key[1]]
        return version.usable and key not in self._manifests and key not in self._failed

    async def _examine(self, published: Published) -> None:
        verdict = await asyncio.to_thread(self._door, published.path)
        key = (published.service, published.version)
        if verdict.ok and verdict.manifest is not None:
            self._manifests[key] = verdict.manifest
            told = Command(do="found", service=key[0], version=key[1], mark=published.mark)
        else:
            why = verdict.reason
            log.warning("model_refused", service=key[0], version=key[1], reason=why)
            told = Command(
                do="refuse", service=key[0], version=key[1], mark=published.mark, why=why
            )
        self._command(told)

    async def _read_again(self, published: Published) -> None:
        """A version from before the start: the door says whether it is still what it was."""
        key = (published.service, published.version)
        verdict = await asyncio.to_thread(self._door, published.path)
        if verdict.ok and verdict.manifest is not None:
            self._manifests[key] = verdict.manifest
            self._changed.set()
        else:
            self._unusable(key, verdict.reason)
            self._command(
                Command(
                    do="refuse",
                    service=key[0],
                    version=key[1],
                    mark=self.registry.versions[key[0]][key[1]].mark,
                    why=verdict.reason,
                )
            )

    def _know(self) -> None:
        """Give the registry the manifests that the door has let pass."""
        for (service, version), manifest in self._manifests.items():
            known = self.registry.versions[service].get(version)
            if known is not None:
                known.manifest = manifest

    def _judge(self) -> None:
        """Tell the corridor what is due; once, unless nothing comes of it for a while."""
        now_s = asyncio.get_running_loop().time()
        revision, told_at_s = self._told
        if revision == self.registry.revision and now_s - told_at_s < AGAIN_S:
            return
        due = self.registry.due(self._core.state.now_ms)
        for command in due:
            self._command(command)
        if due:
            self._told = (self.registry.revision, now_s)

    def _command(self, command: Command) -> None:
        self._tell(TOPIC, msgspec.json.encode(command))

    # -- loading and swapping -------------------------------------------------------------------

    async def _load_for_ever(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.load()

    async def load(self) -> None:
        """Load what should answer and is not held yet, the active ones first; let go of the rest."""
        for version in self._wanted():
            key = (version.service, version.version)
            manifest = self._manifests.get(key)
            if key in self._held or manifest is None:
                continue
            self._numbers += 1
            try:
                made = await asyncio.to_thread(self._build, key, manifest, self._numbers)
            except ModelUnusable as error:
                self._unusable(key, str(error))
                continue
            self._held[key] = made
            self._use()
        wanted = {(v.service, v.version) for v in self._wanted()}
        for key in [key for key in self._held if key not in wanted]:
            del self._held[key]
        await self.flush()

    def _wanted(self) -> list[Version]:
        asked = (self.registry.active, self.registry.beside, self.registry.previous)
        return [v for ask in asked for name in NAMES if (v := ask(name)) is not None and v.usable]

    def _build(self, key: Key, manifest: Manifest, number: int) -> Loaded:
        """In a thread. Raises ModelUnusable."""
        content, entities = contents(self.folder.path(*key), manifest)
        most = SERVICES[key[0]].columns_max
        return Loaded(manifest, content, entities, self._core.state, number, most)

    def _use(self) -> None:
        """Let the scorer ask whom the registry says, as far as they are loaded."""
        for service in self.scorer.slots:
            active, beside = self.registry.active(service), self.registry.beside(service)
            share = self._config.models.canary_share if beside and beside.state == "canary" else 0.0
            now, candidate = self._loaded(active), self._loaded(beside)
            slot = self.scorer.slots[service]
            if active is not None and now is None and self._may_wait(active, slot.active):
                now = slot.active  # the one before goes on until the new one is built
            if (now, candidate, share) != (slot.active, slot.candidate, slot.share_asked):
                self.scorer.use(service, now, candidate, share)

    def _loaded(self, version: Version | None) -> Loaded | None:
        return self._held.get((version.service, version.version)) if version else None

    def _may_wait(self, active: Version, loaded: Loaded | None) -> bool:
        """Whether what answers now may go on until the active version is there."""
        if loaded is None:
            return False
        known = self.registry.versions[active.service].get(loaded.manifest.version)
        return known is not None and known.state != "rejected"

    # -- trouble --------------------------------------------------------------------------------

    def _troubled(self, service: Service, model: Loaded, role: Role, trouble: Trouble) -> None:
        """On the loop, out of a slice: the scorer has let the model go already."""
        self._unusable((service, model.manifest.version), str(trouble))

    def _unusable(self, key: Key, why: str) -> None:
        log.error("model_unusable", service=key[0], version=key[1], reason=why)
        self._held.pop(key, None)
        self._failed.add(key)
        self._command(Command(do="rollback", service=key[0], version=key[1], why=why))

    # -- scoring --------------------------------------------------------------------------------

    async def _score_for_ever(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self._stirred.wait()
            self._stirred.clear()
            took_s = await self.scorer.beat() if self.scorer.busy else 0.0
            await asyncio.sleep(max(BEAT_S, took_s * (1 / SHARE - 1)))
