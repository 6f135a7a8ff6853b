"""The models' task beside the corridor: finds, loads, swaps, scores and judges them.

Commands come out of the journal in its order (``applied``), the registry says what should answer,
and this file makes it so: sessions are built in a thread and handed to the scorer between two of
its slices. It changes nothing of the core's state.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from edge.config import Config
from edge.core import Core
from edge.errors import JournalFull
from edge.inference import door
from edge.inference.door import Limits, Reason, Refused, Verdict
from edge.inference.door import Loaded as Contents
from edge.inference.folder import Folder, Published
from edge.inference.history import HistoryFile
from edge.inference.manifest import SERVICES as NAMES
from edge.inference.manifest import Service
from edge.inference.model import Loaded
from edge.inference.predict import SERVICES
from edge.inference.registry import Command, Field, Registry, Version
from edge.inference.scorer import Role, Scorer
from edge.inference.session import ModelUnusable, Trouble, warm_up

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


class Door(Protocol):
    """Who may come in, and with which bytes. Both block."""

    def inspect(self, folder: Path) -> Verdict:
        """Whether the model in a folder may be used."""
        ...

    def load(self, folder: Path, verdict: Verdict) -> Contents:
        """The very bytes that the verdict spoke of. Raises Refused."""
        ...

    def trust(self) -> str:
        """Changes when other keys are believed: then the refused are asked in again."""
        ...


class SignedDoor:
    """Lets in what is signed by a key in ``trusted``, and passes the check in its subprocess."""

    def __init__(self, trusted: Path, limits: Limits) -> None:
        self._trusted = trusted
        self._limits = limits

    def inspect(self, folder: Path) -> Verdict:
        """See ``door.inspect``."""
        return door.inspect(folder, self._trusted, self._limits)

    def load(self, folder: Path, verdict: Verdict) -> Contents:
        """See ``door.load_verified``."""
        return door.load_verified(folder, verdict, self._limits)

    def trust(self) -> str:
        """Names and times of the keys that are believed."""
        try:
            with os.scandir(self._trusted) as entries:
                told = sorted((entry.name, entry.stat().st_mtime_ns) for entry in entries)
        except OSError:
            return ""
        return repr(told)


Tell = Callable[[str, bytes], None]
Key = tuple[Service, str]


class Scoring:
    """Owns the registry and the scorer of one daemon.

    ``tell(topic, payload)`` puts a message into the corridor.
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
        self._verdicts: dict[Key, Verdict] = {}  # of what may come in
        self._refused: dict[Key, str] = {}  # what was trusted when it was refused
        self._asked: set[Key] = set()  # told to the corridor, not out of it yet
        self._told: tuple[int, float] = (-1, 0.0)
        self._stirred = asyncio.Event()
        self._changed = asyncio.Event()
        self._keeping = asyncio.Lock()
        if any(True for _ in self.folder.published()):
            warm_up()
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
            log.info("model_command", ordinal=ordinal, done=outcome.done, reason=outcome.reason)
            self._changed.set()
        if commands:
            self._asked.clear()
            self._know()
            self._use()

    async def flush(self) -> None:
        """Keep what the registry changed, so that a snapshot may pass over its commands."""
        async with self._keeping:
            lines = self.registry.take_lines()
            try:
                await asyncio.to_thread(self._file.append, lines)
            except OSError as error:
                self.registry.give_back(lines)
                raise JournalFull(f"the models' history cannot be written: {error}") from error

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
        trust = await asyncio.to_thread(self._door.trust)
        for published in found:
            if self._to_be_examined((published.service, published.version), published.mark, trust):
                await self._examine(published, trust)
        self._know()
        self._judge()
        await self._flush_if_possible()

    def _to_be_examined(self, key: Key, mark: str, trust: str) -> bool:
        """Whether the door has not seen it, or not in this run, or not with these keys."""
        if key in self._asked:
            return False
        if not self.registry.knows(*key, mark):
            return True
        if self.registry.versions[key[0]][key[1]].usable:
            return key not in self._verdicts
        return self._refused.get(key) != trust

    async def _examine(self, published: Published, trust: str) -> None:
        verdict = await asyncio.to_thread(self._door.inspect, published.path)
        if verdict.reason is Reason.NO_CHECK:  # no word about the model: it is asked in again
            log.error("model_not_checked", folder=str(published.path), reason=verdict.detail)
            return
        key, mark = (published.service, published.version), published.mark
        known = self.registry.versions[key[0]].get(key[1])
        told = Command(do="found", service=key[0], version=key[1], mark=mark)
        if verdict.ok:
            self._verdicts[key] = verdict
            self._changed.set()
            if known is not None and known.usable and known.mark == mark:
                return  # from before the start, and still what it was
        else:
            self._refused[key] = trust
            why = f"{verdict.reason}: {verdict.detail} ({verdict.cure})"
            if known is not None and not known.usable and known.mark == mark:
                return
            if known is not None and known.state != "rejected":
                self._unusable(key, why)
            told = msgspec.structs.replace(told, do="refuse", why=why)
        self._asked.add(key)
        self._command(told)

    def _know(self) -> None:
        """Give the registry the manifests that the door has let pass."""
        for (service, version), verdict in self._verdicts.items():
            known = self.registry.versions[service].get(version)
            if known is not None:
                known.manifest = verdict.manifest

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
            verdict = self._verdicts.get(key)
            if key in self._held or verdict is None:
                continue
            self._numbers += 1
            try:
                made = await asyncio.to_thread(self._build, key, verdict, self._numbers)
            except (ModelUnusable, Refused) as error:
                del self._verdicts[key]
                self._unusable(key, str(error))
                continue
            self._held[key] = made
            self._use()
        wanted = {(v.service, v.version) for v in self._wanted()}
        for key in [key for key in self._held if key not in wanted]:
            del self._held[key]
        await self._flush_if_possible()

    async def _flush_if_possible(self) -> None:
        """The journal holds the commands until there is room for what came of them."""
        try:
            await self.flush()
        except JournalFull as error:
            log.error("model_history_unwritten", reason=str(error), cure=error.cure)

    def _wanted(self) -> list[Version]:
        asked = (self.registry.active, self.registry.beside, self.registry.previous)
        return [v for ask in asked for name in NAMES if (v := ask(name)) is not None and v.usable]

    def _build(self, key: Key, verdict: Verdict, number: int) -> Loaded:
        """In a thread. Raises ModelUnusable, Refused."""
        told = self._door.load(self.folder.path(*key), verdict)
        why = SERVICES[key[0]].unfit(told.manifest)
        if why:
            raise ModelUnusable(why)
        most = SERVICES[key[0]].columns_max
        state = self._core.state
        return Loaded(told.manifest, told.model, told.entities, state, number, most)

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
