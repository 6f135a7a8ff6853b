"""Keeps Redis like the daemon: forecasts, figures and alerts under the keys that other programs read.

Beside the corridor: reads between its slices, changes nothing, waits for nobody else. A Redis that is
away, or came back empty, costs the shop nothing; it is written whole once it answers again.

======================================  ==========================================  ==========
key                                     what                                        lives
======================================  ==========================================  ==========
``forecast:{class}:{store}``            the answer of ``/api/predict/demand``       1 h
``kpi:{name}``                          one figure of ``/api/kpis``                 5 min
``alert:active:{id}``                   one active alert; deleted once it is over   5 min
``answer:{path}``                       a whole GET answer, for replicas            5 min
``rfid3:mirror``                        which daemon writes here, and when it did   5 min
======================================  ==========================================  ==========
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import msgspec
import structlog

from edge.config import Redis
from edge.core import Core
from edge.inference.scorer import Scorer
from edge.storage.mirror import Entry, Mirror, MirrorAwayError
from edge.view_models import LiveModels

log = structlog.get_logger(__name__)

SELF = "rfid3:mirror"
SLICE = 100
"""Forecasts made in one go on the loop: some milliseconds."""
BACK_OFF_S = (1.0, 30.0)
REFRESH = 0.5
"""A key is written again once this share of its life has passed."""

Told = AsyncIterator[tuple[Literal["kpi", "alert", "answer"], str, Any]]


class Mirroring:
    """One daemon's mirror. ``told()`` yields (family, name, record)."""

    def __init__(
        self,
        core: Core,
        scorer: Scorer | None,
        models: LiveModels | None,
        mirror: Mirror,
        settings: Redis,
        told: Callable[[], Told],
    ) -> None:
        self.written = 0
        self.rounds = 0
        self.trouble = ""
        """Why Redis cannot be written; empty: it can."""
        self._core = core
        self._scorer = scorer
        self._models = models
        self._mirror = mirror
        self._settings = settings
        self._told = told
        self._me = secrets.token_hex(8)
        self._forecasts: dict[str, tuple[int, int, float]] = {}  # key -> made at, by, write by
        self._alerts: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        wait_s = BACK_OFF_S[0]
        try:
            while True:
                try:
                    await self.round()
                except MirrorAwayError as error:
                    self._away(str(error))
                    await asyncio.sleep(wait_s)
                    wait_s = min(wait_s * 2, BACK_OFF_S[1])
                else:
                    self._back()
                    wait_s = BACK_OFF_S[0]
                    await asyncio.sleep(self._settings.every_s)
        finally:
            await self._mirror.close()

    def _away(self, why: str) -> None:
        if not self.trouble:
            log.warning("mirror_away", reason=why, cure="start Redis, or set redis.url")
        self.trouble = why

    def _back(self) -> None:
        if self.trouble:
            log.info("mirror_back")
        self.trouble = ""

    async def round(self) -> None:
        """Write what changed, and what would soon die. Raises MirrorAwayError."""
        found = await self._mirror.get(SELF)
        if found is None or _daemon(found[0]) != self._me:
            self._forecasts.clear()  # it is empty, or somebody else wrote here
            await self._forget_alerts()
        await self._write_forecasts()
        await self._write_told()
        await self._put([self._mark()])
        self.rounds += 1

    def _mark(self) -> Entry:
        told = {
            "daemon": self._me,
            "as_of_ms": self._core.now_ms,
            "revision": self._core.revision,
        }
        return Entry(SELF, msgspec.json.encode(told), self._settings.ttl_s)

    async def _put(self, entries: list[Entry]) -> None:
        if entries:
            await self._mirror.put(entries)
            self.written += len(entries)

    # -- forecasts ------------------------------------------------------------------------------

    async def _write_forecasts(self) -> None:
        if self._models is None or self._scorer is None:
            return
        table = self._core.state.cls
        rows = table.keys.live().tolist()
        seen: set[str] = set()
        for start in range(0, len(rows), SLICE):
            await self._put(self._forecasts_of(rows[start : start + SLICE], seen))
            await asyncio.sleep(0)
        if len(self._forecasts) > len(seen):  # classes that are forgotten
            self._forecasts = {key: self._forecasts[key] for key in self._forecasts.keys() & seen}

    def _forecasts_of(self, rows: list[int], seen: set[str]) -> list[Entry]:
        """Those that were made anew since they were written, or would soon die; all keys into ``seen``."""
        assert self._models is not None
        assert self._scorer is not None
        shown = self._scorer.slots["demand"].shown
        keys, now_s = self._core.state.cls.keys, asyncio.get_running_loop().time()
        settings = self._settings  # a simple rule's answer changes with every event: it lives short
        entries = []
        for row in rows:
            if not keys.hashes[row]:
                continue
            store, _, sku = keys.key(row).partition("\x1f")
            made = (int(shown.at_ms[row]), int(shown.by[row])) if shown is not None else (0, 0)
            key = f"forecast:{sku}:{store}"
            seen.add(key)
            before = self._forecasts.get(key)
            if before is not None and before[:2] == made and now_s < before[2]:
                continue
            told = self._models.predict("demand", sku, store, explain=False)
            if told is not None:
                life_s = settings.ttl_s if told.fallback else settings.forecast_ttl_s
                entries.append(Entry(key, msgspec.json.encode(told), life_s))
                self._forecasts[key] = (*made, now_s + life_s * REFRESH)
        return entries

    # -- figures, alerts, answers ---------------------------------------------------------------

    async def _write_told(self) -> None:
        entries, alerts = [], set()
        async for family, name, record in self._told():
            key = f"alert:active:{name}" if family == "alert" else f"{family}:{name}"
            if family == "alert":
                alerts.add(key)
            entries.append(Entry(key, _bytes(record), self._settings.ttl_s))
        await self._put(entries)
        await self._mirror.delete(self._alerts - alerts)
        self._alerts = alerts

    async def _forget_alerts(self) -> None:
        """Of whoever wrote here before: what is active is written anew at once."""
        old = [key for key, _ in await self._mirror.found("alert:active:*", 10_000)]
        await self._mirror.delete(old)
        self._alerts = set()


class _Mark(msgspec.Struct):
    daemon: str


def _daemon(mark: bytes) -> str:
    """Who wrote a mark; empty: none of ours."""
    try:
        return msgspec.json.decode(mark, type=_Mark).daemon
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _bytes(record: Any) -> bytes:
    return record if isinstance(record, bytes) else msgspec.json.encode(record)
