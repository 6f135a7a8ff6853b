"""Once a day, beside the corridor: what goes out together, and what moves together. No statistics here.

Columns are copied out of the state in slices, factors and documents are read from the history, and the
work is done in a thread behind all others; views are handed what was found. Nothing waits for it and it
changes no state.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from edge.core import Core
from edge.errors import Rfid3Error
from edge.features.history import MISSING
from edge.features.layout import HISTORY_DAYS
from edge.features.windows import DayRing
from edge.services import correlation
from edge.services.co_demand import Table, Tally
from edge.services.correlation import Found, Season
from edge.services.tails import q_values
from edge.storage.history import HistoryReader
from edge.storage.writer import JournalWriter
from edge.view_correlations import CorrelationsView, Looked, told
from edge.view_packs import PacksView

log = structlog.get_logger(__name__)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
T = TypeVar("T")

LOOK_S = 30.0
"""How often somebody looks whether a day has closed."""
FIRST_AFTER_S = 60.0
REST_TIMES = 9.0
"""So many times as long as a look took nobody looks again, however fast days go by in a replay."""
SETTLE_S = 60.0
"""What a day's close left is in the tables by then."""
DOCUMENT_DAYS = 364
SLICE_ROWS = 256
BLOCK_ROWS = 800
NOT_TOLD_IS_NONE = frozenset({"events", "seasonal", "market"})
"""Kinds of factors of which no word means: there was none. Of the others nothing is known then."""
NICE = 15


@dataclass(frozen=True, slots=True)
class Moved:
    """What a look at classes needs, copied out of the state."""

    keys: list[str]
    units: NDArray[np.float32]
    """float32[k, t] by closed day; NaN: the daemon was off."""
    price: NDArray[np.float32]
    """float32[k, t]: logarithm of the mean price paid; NaN: nothing was."""
    first_day: int


class Insights:
    """One daemon's daily looks."""

    def __init__(
        self,
        core: Core,
        writer: JournalWriter,
        packs: PacksView,
        correlations: CorrelationsView,
        first_after_s: float = FIRST_AFTER_S,
    ) -> None:
        self.rounds = 0
        self._core = core
        self._writer = writer
        self._packs = packs
        self._correlations = correlations
        self._first_after_s = first_after_s
        self._thread = ThreadPoolExecutor(1, "insights", initializer=_behind_others)
        self._turn = asyncio.Lock()
        correlations.look = self.round

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await asyncio.sleep(self._first_after_s)
            day = -1
            while True:
                today = self._core.state.today
                rest_s = LOOK_S
                if self._core.now_ms and today != day:
                    await asyncio.sleep(SETTLE_S if day >= 0 else 0)
                    began = time.monotonic()
                    await self.round()
                    rest_s = max(LOOK_S, REST_TIMES * (time.monotonic() - began))
                    day = today
                await asyncio.sleep(rest_s)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def round(self) -> None:
        """Look once; one look at a time."""
        began = time.monotonic()
        try:
            async with self._turn:
                await self._together()
                await self._moving()
        except Rfid3Error as error:
            log.warning("insights_wait", reason=str(error))
            return
        self.rounds += 1
        log.info("insights", took_s=round(time.monotonic() - began, 2))

    # -- what goes out together -----------------------------------------------------------------------

    async def _together(self) -> None:
        first = self._core.state.today - DOCUMENT_DAYS
        days = await self._writer.read(lambda c: _days(c, first))
        tally = Tally()
        for day in days:
            chunks = await self._writer.read(partial(_documents, day=day))
            await self._behind(partial(_add, tally, chunks))
        self._packs.take(await self._behind(lambda: _table(tally)))

    # -- what moves together --------------------------------------------------------------------------

    async def _moving(self) -> None:
        moved = await self._moved()
        if not len(moved.keys):
            return
        last = moved.first_day + moved.units.shape[1] - 1
        factors = await self._writer.read(lambda c: _factors(c, moved.first_day, last))
        looked = await self._behind(lambda: looked_at(moved, factors))
        rows = await self._behind(lambda: told(looked))
        self._correlations.take(looked, rows)

    async def _moved(self) -> Moved:
        """Units and prices of classes by closed day; some classes at a time."""
        state = self._core.state
        today, keys, units, price = state.today, [], [], []
        none = np.zeros((0, 0), np.float32)
        live = state.cls.keys.live()
        for start in range(0, len(live), SLICE_ROWS):
            rows = live[start : start + SLICE_ROWS]
            parts = {}
            for name in ("rented_milli", "sold_milli", "revenue_cents", "unseen"):
                ring = state.cls.part[name]
                assert isinstance(ring, DayRing)
                parts[name] = ring.series(rows, HISTORY_DAYS)[:-1].T
            some = np.maximum(parts["rented_milli"] + parts["sold_milli"], 0) / 1_000
            busy = (some > 0).sum(axis=1) >= correlation.TAKEN_MIN
            some = np.where(parts["unseen"] > 0, np.nan, some)  # the daemon was off
            keys += [state.cls.keys.key(row) for row in rows[busy].tolist()]
            units.append(some[busy].astype(np.float32))
            with np.errstate(divide="ignore", invalid="ignore"):
                paid = np.log(parts["revenue_cents"][busy] / (some[busy] * 100))
            price.append(np.where(np.isfinite(paid), paid, np.nan).astype(np.float32))
            await asyncio.sleep(0)
            if state.today != today:  # a day has closed meanwhile: the columns would not match
                return Moved([], none, none, 0)
        if not keys:
            return Moved([], none, none, 0)
        whole = np.concatenate(units)
        began = int(np.flatnonzero((np.nan_to_num(whole) > 0).any(axis=0))[0])
        first = today - (HISTORY_DAYS - 1) + began
        return Moved(keys, whole[:, began:], np.concatenate(price)[:, began:], first)

    async def _behind(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


# -- in the thread ------------------------------------------------------------------------------------


def looked_at(moved: Moved, factors: dict[str, Floats]) -> Looked:
    """Test every class with the influences of its store and with its own price."""
    began = time.monotonic()
    names = sorted({name.partition("\x1f")[2] for name in factors})
    number = {name: i for i, name in enumerate([*names, "price"])}
    stores = [key.partition("\x1f")[0] for key in moved.keys]
    parts: list[tuple[Found, Ints, Ints]] = []
    seasons: list[tuple[Season, Ints]] = []
    for rows in _blocks(stores):
        store = stores[rows[0]]
        mine = [key for key in sorted(factors) if key.partition("\x1f")[0] in (store, "")]
        shared = np.array([factors[key] for key in mine]).reshape(len(mine), moved.units.shape[1])
        units, price = (part[rows].astype(np.float64) for part in (moved.units, moved.price))
        found, season = correlation.correlate(units, shared, moved.first_day, own=[_carried(price)])
        of = [number[key.partition("\x1f")[2]] for key in mine]
        parts.append((found, rows, np.array([*of, number["price"]], np.int64)))
        seasons.append((season, rows))
    return Looked(
        moved.keys, [*number], correlation.joined(parts), _seasons(seasons, len(moved.keys)),
        moved.first_day, moved.units.shape[1], time.monotonic() - began,
    )  # fmt: skip


def _blocks(stores: list[str]) -> Iterator[Ints]:
    """Classes of one store, some hundreds at a time: memory is bounded, rates are held over all."""
    for store in sorted(set(stores)):
        rows = np.array([i for i, of in enumerate(stores) if of == store], np.int64)
        for start in range(0, len(rows), BLOCK_ROWS):
            yield rows[start : start + BLOCK_ROWS]


def _seasons(parts: list[tuple[Season, Ints]], k: int) -> Season:
    names = ("weekday", "year", "weekday_p", "year_p")
    columns = {name: np.full(k, np.nan) for name in names}
    for season, rows in parts:
        for name in names:
            columns[name][rows] = getattr(season, name)
    q = {f"{name}_q": q_values(columns[f"{name}_p"]) for name in ("weekday", "year")}
    return Season(**columns, **q)


def _carried(values: Floats) -> Floats:
    """The last value known, for days without one; NaN before the first."""
    known = np.isfinite(values)
    at = np.maximum.accumulate(np.where(known, np.arange(values.shape[1]), 0), axis=1)
    carried = np.take_along_axis(values, at, axis=1)
    return np.where(np.logical_or.accumulate(known, axis=1), carried, np.nan)


def _days(connection: Any, first: int) -> list[int]:
    return [day for day in HistoryReader(connection).days("basket") if day >= first]


Documents = list[tuple[str, list[str], Ints]]


def _documents(connection: Any, day: int) -> Documents:
    reader = HistoryReader(connection)
    return [(entity, chunk.keys, chunk.amounts[0])
            for entity in ("basket", "pair") for chunk in reader.day(entity, day)]  # fmt: skip


def _add(tally: Tally, chunks: Documents) -> None:
    for entity, keys, amounts in chunks:
        (tally.documents if entity == "basket" else tally.pairs)(keys, amounts)
    tally.days += 1


def _table(tally: Tally) -> Table:
    return tally.table()


def _factors(connection: Any, first: int, last: int) -> dict[str, Floats]:
    """Store and name of each factor -> float64[t] by day; NaN: not known."""
    made: dict[str, Floats] = {}
    for chunk in HistoryReader(connection).chunks("factor", first, last):
        for back in range(chunk.amounts.shape[0]):
            at = chunk.day - back - first
            if at < 0:
                break
            values = chunk.amounts[back, 0]
            for key, value in zip(chunk.keys, values.tolist(), strict=True):
                if value != MISSING:
                    made.setdefault(key, np.full(last - first + 1, np.nan))[at] = value / 1_000
    for key, series in made.items():
        if key.partition("\x1f")[2].partition(".")[0] in NOT_TOLD_IS_NONE:
            made[key] = np.nan_to_num(series)
    return made


def _behind_others() -> None:
    """This thread yields to every other."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
