"""The record of predictions: kept at each day's close, judged when their day has come.

Beside the corridor and the models' task: reads the state and the scorer between their slices, writes
through the journal's thread, changes neither. What it learns is told to the registry (``measured``)
and to readers (``scores``, ``drift``).
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from edge.core import Core
from edge.errors import JournalFull
from edge.inference import corrections, drift
from edge.inference.accuracy import by_group, judge
from edge.inference.corrections import Corrections
from edge.inference.drift import Bins, Moved
from edge.inference.field import JUDGED, Kept, Question, actual, chosen, questions
from edge.inference.manifest import SERVICES as NAMES
from edge.inference.manifest import Column, Service
from edge.inference.model import Loaded
from edge.inference.registry import Measured
from edge.inference.scorer import Scorer, Slot
from edge.inference.session import ROWS_MAX
from edge.pipeline_scores import REMEMBERED_DAYS, RULE_VERSION, Figures, KnownScores
from edge.storage import field as tables
from edge.storage.field import ByClass, Packed, Scored
from edge.storage.journal import Journal
from edge.storage.writer import JournalWriter

log = structlog.get_logger(__name__)

Floats = NDArray[np.float32]
Floats64 = NDArray[np.float64]
Ints = NDArray[np.int64]

LOOK_S = 5.0
"""How often somebody looks whether a day has closed."""
SWEEP_LOOK_S = 0.25
"""How often somebody looks whether a day's answers are complete."""
FULL_S = 60.0
"""How long to wait for room: until then all of the day's work would be done in vain."""
FRESH_MS = 2 * 3_600_000
"""Later than this after a day's close nothing is kept for it: the next day would be known already.
Until then whoever has no model yet is asked again: after a start models take a moment to come in."""
SLICE_KEYS = 500
"""So many keys are looked up in one go on the loop."""
RULED_KEYS = 100
"""So many keys a simple rule speaks of in one go: about 2 ms where it reads 400 days of each."""
KEPT_DAYS = 400
SHOWN, BESIDE, RULE = "shown", "beside", "rule"

FAR = 1 << 62
"""The day of what is never due."""

Key = tuple[str, str, str, int]
Told = tuple[str, str, Kept]
"""(version, role, what it said)"""
Names = list[str]


class Also(Protocol):
    """Somebody else who writes down what is predicted and what came of it; may be told twice."""

    async def kept(self, service: Service, told: Sequence[Told]) -> None:
        """A day's predictions are about to be kept. Raises JournalFull."""
        ...

    async def judged(self, key: Key, kept: Kept, asked: Question, truth: Floats64) -> None:
        """It is known what came of one question. Raises JournalFull."""
        ...


class FieldRecord:
    """One daemon's record."""

    def __init__(self, core: Core, scorer: Scorer, writer: JournalWriter) -> None:
        self.drift: dict[Service, list[Moved]] = {}
        """What the newest look at each service's active model said, the most surprising first."""
        self.known = KnownScores()
        self.also: Also | None = None
        self._corrections = Corrections()
        self._state = core.state
        self._scorer = scorer
        self._writer = writer
        self._closed = -1
        self._kept: dict[Service, int] = {}  # the newest day that was kept
        self._due: dict[Key, int] = {}  # the day whose close will judge some of a kept row next

    # -- what others ask ------------------------------------------------------------------------

    def scores(self, service: Service, version: str) -> Figures:
        """Question -> figures over the last days, for people; empty: nothing is known yet."""
        return self.known.figures(service, version)

    def scores_by_day(
        self, service: Service, version: str
    ) -> dict[str, list[tuple[int, dict[str, float]]]]:
        """Question -> (day, figures), for people; the oldest first."""
        return self.known.by_day(service, version)

    def measured(self, service: Service, version: str) -> Measured | None:
        """How good a version has been, on days on which all who answer now were judged alike."""
        slot = self._scorer.slots.get(service)
        answering = (slot.active, slot.candidate) if slot is not None else ()
        beside = {model.manifest.version for model in answering if model is not None}
        return self.known.measured(service, version, beside)

    # -- the task -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        restored = False
        while True:
            wait_s = LOOK_S
            try:
                if not restored:
                    await self.restore()
                    restored = True
                self._correct()
                closed = self._state.today - 1
                if self._state.now_ms and closed > self._closed:
                    await self.close(closed)
                    self._closed = closed
                elif self._state.now_ms:
                    await self.keep(closed)
            except JournalFull as error:
                log.warning("field_record_waits", reason=str(error), cure=error.cure)
                wait_s = max(LOOK_S, FULL_S)
            await asyncio.sleep(wait_s)

    async def restore(self) -> None:
        """Remember the scores of the last days."""
        from_day = self._state.today - REMEMBERED_DAYS if self._state.now_ms else 0
        for scored in await self._writer.read(lambda c: list(tables.scores(c, from_day))):
            self.known.remember(scored)
        teaching = partial(
            tables.scores_of, service=corrections.SERVICE, question=corrections.QUESTION
        )
        for scored in await self._writer.read(teaching):
            self._learn(scored)

    def _learn(self, scored: Scored) -> None:
        if scored.role != RULE:
            self._corrections.learn(scored.service, scored.version, scored.question, scored.scores)

    def _correct(self) -> None:
        """Give those who answer the corrections that they have earned."""
        slot = self._scorer.slots.get(corrections.SERVICE)
        for model in (slot.active, slot.candidate) if slot is not None else ():
            if model is not None and model.offset is not None:
                known = self._corrections.offset(model.manifest.version)
                if known is not None and known.shape == model.offset.shape:
                    model.set_offset(known)

    async def close(self, day: int) -> None:
        """A day has closed: judge what can be judged now, then keep what is said today.

        Raises JournalFull: then it is done again later, and nothing counts twice.
        """
        waiting = await self._writer.read(tables.waiting)
        self._due = {key: self._due.get(key, day) for key in waiting}
        for key in waiting:
            if self._due[key] <= day:
                self._due[key] = await self._judge(key, day)
        self._kept = {service: kept for service, kept in self._kept.items() if kept < day}
        await self.keep(day)
        await self._write(partial(tables.trim, closed_day=day, before_day=day - KEPT_DAYS))
        self.known.forget(day)
        self.known.know(await asyncio.to_thread(self.known.work_out))

    async def _write(self, work: "partial[None]", bytes_needed: int = 0) -> None:
        def run(journal: Journal) -> None:
            journal.write_field(work, bytes_needed)

        await self._writer.run(run)

    # -- keeping --------------------------------------------------------------------------------

    async def keep(self, day: int) -> None:
        """Keep what is said at a day's close, of every service of which it is not kept yet.

        Raises JournalFull.
        """
        if self._state.now_ms - self._state.days.end_ms(day) > FRESH_MS:
            return
        for service, slot in self._scorer.slots.items():
            if self._kept.get(service, -1) < day and await self._keep(slot, day):
                self._kept[service] = day

    async def _keep(self, slot: Slot, day: int) -> bool:
        """Keep what a service's models, and its simple rule, say of the chosen rows.

        False: nobody answers yet, or not for long enough.
        """
        service, active = slot.service, slot.active
        if (
            active is None
            or service not in JUDGED
            or not questions(service, active.manifest.columns)
        ):
            return False
        rows, keys = await self._chosen(slot)
        ask = self._asked if slot.at_edge.when == "touched" else self._told_today
        said = await ask(slot, active, rows)
        if said is None:
            return False
        seen, answers = said
        rule = slot.at_edge.fallback
        parts = [
            (SHOWN, active.manifest.version, active.manifest.columns, answers),
            (RULE, RULE_VERSION, rule.columns, await self._ruled(slot, rows)),
        ]
        candidate = slot.candidate
        if candidate is not None:
            values = await self._said_beside(slot, candidate, rows)
            parts.append((BESIDE, candidate.manifest.version, candidate.manifest.columns, values))
        basis = JUDGED[service].basis(self._state, rows)
        at_ms = self._state.now_ms
        now = slot.table.keys.keys_of(rows.tolist())
        same = np.array([a == b for a, b in zip(now, keys, strict=True)], np.bool_)
        told = active.manifest
        self.drift[service] = await asyncio.to_thread(
            _look, told.features, told.columns, told.feature_bins, told.output_bins, seen, answers
        )
        moved = [m.name for m in self.drift[service] if m.drifted]
        if moved:
            log.info("model_drift", service=service, version=told.version, moved=moved)
        said_by = await asyncio.to_thread(_kept, service, day, at_ms, keys, same, parts, basis)
        if self.also is not None:
            await self.also.kept(service, said_by)
        packed = await asyncio.to_thread(_packed, service, said_by)
        await self._write(partial(tables.keep, packed=packed), sum(len(p.blob) for p in packed))
        return True

    async def _chosen(self, slot: Slot) -> tuple[Ints, Names]:
        """Rows that are kept, and their keys."""
        table = slot.table.keys
        live = table.live()
        rows = live[await asyncio.to_thread(chosen, table.hashes[live])]
        keys = table.keys_of(rows.tolist())
        there = np.array([bool(key) for key in keys], np.bool_)  # not forgotten meanwhile
        return rows[there], [key for key in keys if key]

    async def _asked(self, slot: Slot, active: Loaded, rows: Ints) -> tuple[Floats, Floats] | None:
        """(features, answers) of rows, a slice at a time; ``None``: trouble, or no rows.

        How large a slice may be changes meanwhile: the scorer goes on beside this.
        """
        seen, said, start = [], [], 0
        while start < len(rows):
            piece = rows[start : start + min(slot.size, ROWS_MAX)]
            start += len(piece)
            found = self._scorer.seen(slot.service, piece)
            if found is None or found[2] != active.number:
                return None
            seen.append(found[0])
            said.append(found[1])
            await asyncio.sleep(0)
        return (np.concatenate(seen), np.concatenate(said)) if said else None

    async def _told_today(
        self, slot: Slot, active: Loaded, rows: Ints
    ) -> tuple[Floats, Floats] | None:
        """The same of a service that is asked once a day: what it has said, once that is all."""
        today = self._state.today
        while slot.cursor >= 0 or slot.day != today:
            if self._state.today != today or slot.active is not active:
                return None
            await asyncio.sleep(SWEEP_LOOK_S)
        shown = slot.shown
        if shown is None or not len(rows):
            return None
        mine = shown.held(rows) & (shown.by[rows] == active.number)
        said = np.full((len(rows), len(active.manifest.columns)), np.nan, np.float32)
        said[mine] = shown.values[rows[mine], : said.shape[1]]
        return np.zeros((len(rows), 0), np.float32), said

    async def _ruled(self, slot: Slot, rows: Ints) -> Floats:
        """The simple rule's answers, a slice at a time."""
        told = []
        for start in range(0, len(rows), RULED_KEYS):
            told.append(slot.at_edge.fallback.answer(self._state, rows[start : start + RULED_KEYS]))
            await asyncio.sleep(0)
        return np.concatenate(told)

    async def _said_beside(self, slot: Slot, candidate: Loaded, rows: Ints) -> Floats:
        """What a candidate said of rows when it was last asked; NaN where it was not."""
        told, o = [], len(candidate.manifest.columns)
        for start in range(0, len(rows), SLICE_KEYS):
            some = rows[start : start + SLICE_KEYS]
            values = np.full((len(some), o), np.nan, np.float32)
            if slot.beside is not None:
                held = slot.beside.held(some) & (slot.beside.by[some] == candidate.number)
                values[held] = slot.beside.values[some[held], :o]
            told.append(values)
            await asyncio.sleep(0)
        return np.concatenate(told)

    # -- judging --------------------------------------------------------------------------------

    async def _judge(self, key: Key, closed: int) -> int:
        """Score the questions of one kept row whose horizon has passed; the day of the next."""
        service, _, _, day = key
        if service not in NAMES:
            return FAR
        kept = await self._writer.read(partial(tables.kept, key=key))
        if kept is None:
            return FAR
        done = await self._writer.read(partial(tables.judged, key=key))
        asked = [one for one in questions(service, kept.columns) if one.name not in done]
        due = [one for one in asked if day + one.horizon_days <= closed]
        classes = await self._classes(service, kept) if due else []
        for one in due:
            truth = await self._truth(service, kept, one)
            if self.also is not None:
                await self.also.judged(key, kept, one, truth)
            scored, by_class = await asyncio.to_thread(_scored, key, kept, one, truth, classes)
            await self._write(partial(tables.score, scored=scored, by_class=by_class))
            self.known.remember(scored)
            self._learn(scored)
        return min((day + one.horizon_days for one in asked if one not in due), default=FAR)

    async def _truth(self, service: Service, kept: Kept, asked: Question) -> NDArray[np.float64]:
        found = []
        for start in range(0, len(kept.keys), SLICE_KEYS):
            stop = min(start + SLICE_KEYS, len(kept.keys))
            found.append(actual(service, self._state, kept, asked, start, stop))
            await asyncio.sleep(0)
        return np.concatenate(found) if found else np.zeros(0)

    async def _classes(self, service: Service, kept: Kept) -> Names:
        """The class of each key, now; empty where it has none."""
        if JUDGED[service].entity == "class":
            return kept.keys
        item, cls = self._state.item, self._state.cls
        found: Names = []
        for start in range(0, len(kept.keys), SLICE_KEYS):
            rows = item.keys.lookup(kept.keys[start : start + SLICE_KEYS])
            of = np.where(rows >= 0, item.col["class_row"][rows], -1).tolist()
            found += [cls.keys.key(row) if row >= 0 else "" for row in of]
            await asyncio.sleep(0)
        return found


Part = tuple[str, str, Sequence[Column], Floats]
"""(role, version, columns, float32[n, columns])"""


def _kept(
    service: Service,
    day: int,
    at_ms: int,
    keys: Names,
    same: NDArray[np.bool_],
    parts: Sequence[Part],
    basis: Ints,
) -> list[Told]:
    """Pure, in a thread: what was said. Only rows that are still the ``same`` keys."""
    names = [key for key, one in zip(keys, same.tolist(), strict=True) if one]
    told_by = []
    for role, version, columns, values in parts:
        asked = questions(service, columns)
        if not asked:
            continue
        told = sorted({i for question in asked for i in question.columns})
        kept = Kept(
            day=day,
            at_ms=at_ms,
            keys=names,
            columns=[columns[i] for i in told],
            values=np.ascontiguousarray(values[same][:, told], "<f4").tobytes(),
            basis=basis[same].astype("<i8").tobytes(),
        )
        told_by.append((version, role, kept))
    return told_by


def _packed(service: Service, told: Sequence[Told]) -> list[Packed]:
    """Pure, in a thread: what goes into the table."""
    packed = []
    for version, role, kept in told:
        asked = questions(service, kept.columns)
        until_day = kept.day + max(question.horizon_days for question in asked)
        packed.append(tables.pack(service, version, role, kept, until_day))
    return packed


def _look(
    features: Sequence[str],
    columns: Sequence[Column],
    feature_bins: dict[str, Bins],
    output_bins: dict[str, Bins],
    seen: Floats,
    said: Floats,
) -> list[Moved]:
    """Pure, in a thread: whether what the model sees or says has moved from its training."""
    live = {name: seen[:, i] for i, name in enumerate(features) if i < seen.shape[1]}
    reference = dict(feature_bins)
    for i, column in enumerate(columns):
        if column.name in output_bins:
            reference[f"answer {column.name}"] = output_bins[column.name]
            live[f"answer {column.name}"] = said[:, i]
    return drift.look(reference, live)


def _scored(
    key: Key,
    kept: Kept,
    asked: Question,
    truth: NDArray[np.float64],
    classes: list[str],
) -> tuple[Scored, list[ByClass]]:
    """Pure, in a thread: sums over all keys, and by class."""
    service, version, role, day = key
    values = np.frombuffer(kept.values, "<f4").reshape(len(kept.keys), len(kept.columns))
    columns = [kept.columns[i] for i in asked.columns]
    said = values[:, asked.columns]
    scored = Scored(
        service, version, role, asked.name, asked.horizon_days, day, judge(columns, said, truth)
    )
    return scored, _by_class(scored, columns, said, truth, classes)


def _by_class(
    scored: Scored,
    columns: list[Column],
    said: Floats,
    truth: NDArray[np.float64],
    classes: list[str],
) -> list[ByClass]:
    names, at = np.unique(np.array(classes, np.str_), return_inverse=True)
    sums = by_group(columns, said, truth, at.astype(np.int64), len(names))
    return [
        ByClass(
            scored.service,
            scored.version,
            scored.question,
            name,
            int(n),
            error,
            absolute_error,
            absolute_actual,
            int(covered),
        )
        for name, (n, error, absolute_error, absolute_actual, covered) in zip(
            names.tolist(), sums.tolist(), strict=True
        )
        if name and n
    ]
